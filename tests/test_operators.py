"""Every operator of ONNX is known, exactly or conservatively; docs/operators.md says so."""

from __future__ import annotations

import runpy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from onnx import defs

from rfgraph.ops import registered
from rfgraph.ops.microsoft.layout import CHANNELS_LAST, NHWC
from rfgraph.reads import Fixed, PerAxis, Read, Stage
from tests import mutation
from tests.oracle.cases import CASES
from tests.oracle.perturbation import analysed

SCRIPT = Path(__file__).parents[1] / "docs" / "operators.py"


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    """The names of docs/operators.py."""
    pytest.importorskip("onnxruntime")
    return runpy.run_path(str(SCRIPT))


def test_the_page_is_current(script: dict[str, Any]) -> None:
    written = script["PAGE"].read_text(encoding="utf-8")
    if script["made_of"]() not in written:
        pytest.skip(f"the page is not made from {script['made_of']()}")
    assert script["page"]() == written, "python docs/operators.py writes it anew"


def test_the_table_of_families_is_current(script: dict[str, Any]) -> None:
    """Of what it lacks nothing is looked up."""
    written = script["TABLE"].read_text(encoding="utf-8")
    assert script["table"]() == written, "python docs/operators.py writes it anew"


def test_every_operator_is_in_one_list(script: dict[str, Any]) -> None:
    status = {(e.domain, e.name): e.status for e in script["entries"]()}
    assert set(status.values()) <= set(script["STATUSES"])
    specified = {(schema.domain, schema.name) for schema in defs.get_all_schemas()}
    assert specified <= set(status)
    assert {key for key in specified if status[key] == script["UNKNOWN"]} == set()


def test_another_layout_is_as_exact(script: dict[str, Any]) -> None:
    """What is said of an operator holds with its channels last too."""
    said = {(e.domain, e.name): (e.status, e._at(max(e.specified))) for e in script["entries"]()}
    for name in CHANNELS_LAST.split():
        assert said[NHWC, name] == said["", name], name


def test_every_operator_has_cases() -> None:
    """Of others nobody has seen what they read."""
    others = {op_type for op_type, mutant, _ in mutation.LISTED if mutant == "*"}
    own = {key for key, rules in registered().items() if any(rule.own for rule in rules)}
    without = {key for key in own - set(CASES) if key[1] not in others}
    assert without == set(), "write cases in tests/oracle/cases/"


# Operators that read a whole axis without a place being lost along it: convolutions the channels,
# and a row becomes one map.
NO_STATISTIC = {
    *("Conv", "ConvInteger", "ConvTranspose", "DeformConv", "FusedConv", "NhwcFusedConv"),
    *("QLinearConv", "ZipMap"),
}


def whole_axes(reads: Sequence[Read]) -> Iterator[Fixed]:
    for read in reads:
        for axis in read.axes if isinstance(read, PerAxis) else ():
            if isinstance(axis, Fixed) and axis.count is None:
                yield axis
        if isinstance(source := getattr(read, "source", None), Stage):
            yield from whole_axes(source.reads)


def test_a_whole_axis_is_read_by_a_statistic_or_with_a_note() -> None:
    """What is summed up, compared or mixed is STATISTIC, what is not known WHOLE with a note."""
    found = set()
    for (domain, op_type), generators in CASES.items():
        for case in (next(generator()) for generator in generators):
            analysis = analysed(case)
            nodes = {} if analysis.notes else {t: analysis.node(t) for t in analysis.tensors}
            for tensor, node in nodes.items():
                if node is not None and (node.domain, node.op_type) == (domain, op_type):
                    axes = whole_axes(analysis.reads(tensor))
                    found |= {op_type for axis in axes if not axis.statistic}
    assert found == NO_STATISTIC, "STATISTIC for what is reduced or mixed, else op.note(...)"


def test_what_is_registered_exists(script: dict[str, Any]) -> None:
    """A transfer for a name that nobody specifies is a slip."""
    specified = {(e.domain, e.name) for e in script["entries"]() if e.specified}
    own = {key for key, rules in registered().items() if any(rule.own for rule in rules)}
    assert own - specified == set()


def test_no_version_is_left_out(script: dict[str, Any]) -> None:
    partly = [
        f"{e.domain}.{e.name}: {e.remark}"
        for e in script["entries"]()
        if e.status != script["UNKNOWN"] and script["UNKNOWN"] in e.remark
    ]
    assert partly == []


def test_remarks_fit_a_table(script: dict[str, Any]) -> None:
    for e in script["entries"]():
        assert "|" not in e.remark
        assert "\n" not in e.remark
