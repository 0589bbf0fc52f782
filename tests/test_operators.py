"""Every operator of ONNX is known, exactly or conservatively; docs/operators.md says so."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
from onnx import defs

from rfgraph.ops import registered
from rfgraph.ops.microsoft.layout import CHANNELS_LAST, NHWC

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
