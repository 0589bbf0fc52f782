"""What is loaded, and when: an import is part of what a short command takes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import onnx
import pytest

import rfgraph
from rfgraph.ops import registered
from rfgraph.ops.families import FAMILIES

MODELS = Path(__file__).parents[1] / "models"

# Never needed to show a model.
HEAVY = {
    *("json", "zipfile", "tempfile", "difflib", "email", "importlib.metadata"),
    *("networkx", "onnxruntime", "matplotlib", "numpy.ma", "onnx.reference", "hashlib"),
    *("rfgraph.checks", "rfgraph.validation", "rfgraph.render.findings", "rfgraph.plot"),
    *(
        "rfgraph.engine.why",
        "rfgraph.engine.influence",
        "rfgraph.prune.facts",
        "rfgraph.prune.learning",
        "rfgraph.engine.paths",
        "rfgraph.engine.support",
    ),
}


def fresh(code: str) -> Any:
    """What a new process makes of `code`: the value of ``answer``."""
    code += "\nimport json, sys\nprint('\\n' + json.dumps(answer))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert not done.returncode, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def loaded(code: str) -> set[str]:
    """The modules that are loaded after `code`."""
    return set(fresh(f"{code}\nimport sys\nanswer = list(sys.modules)"))


def families(modules: set[str]) -> set[str]:
    return {name for name in FAMILIES if f"rfgraph.ops.{name}" in modules}


def test_the_package_alone_loads_nothing_else() -> None:
    modules = loaded("import rfgraph")
    assert not modules & {"numpy", "onnx", "google.protobuf", *HEAVY}
    assert {m for m in modules if m.startswith("rfgraph.")} == {"rfgraph.version"}


def test_an_analysis_loads_the_families_that_the_model_uses() -> None:
    file = str(MODELS / "resnet50.onnx")
    modules = loaded(f"import rfgraph\nrfgraph.analyze({file!r})")
    assert not modules & HEAVY
    operators = {node.op_type for node in onnx.load(file).graph.node}
    used = {f for f, domains in FAMILIES.items() if operators & {*domains.get("", "").split()}}
    assert families(modules) == used
    assert used == {
        f"onnx.{name}"
        for name in ("convolution", "elementwise", "linear", "moving", "pooling", "static")
    }


@pytest.mark.parametrize("file", ["lenet_textbook", "resnet50", "unet_bilinear", "convnext_tiny"])
def test_a_table_of_a_small_model_loads_little(file: str) -> None:
    code = f"from rfgraph import cli\ncli.main(['show', {str(MODELS / f'{file}.onnx')!r}])"
    modules = loaded(code)
    assert not modules & {"onnx", "google.protobuf", *HEAVY}
    assert {m for m in modules if m.startswith("rfgraph.cli.")} == {
        "rfgraph.cli.common",
        "rfgraph.cli.guard",
        "rfgraph.cli.outputs",
        "rfgraph.cli.show",
    }
    assert families(modules) <= {
        *("onnx.convolution", "onnx.elementwise", "onnx.linear", "onnx.moving"),
        *("onnx.normalisation", "onnx.pooling", "onnx.reduction", "onnx.resizing", "onnx.static"),
    }


def test_the_graph_is_networkx_s() -> None:
    """Which is there once it is asked for."""
    file = str(MODELS / "lenet_textbook.onnx")
    answer = fresh(
        f"import rfgraph, sys\na = rfgraph.analyze({file!r})\nbefore = 'networkx' in sys.modules\n"
        "answer = [before, type(a.graph).__module__, 'networkx' in sys.modules]"
    )
    assert answer == [False, "networkx.classes.digraph", True]


def test_every_name_has_a_home() -> None:
    homes = {name for names in rfgraph._HOMES.values() for name in names}
    assert homes | {"plot", "reads"} == set(rfgraph.__all__)
    answer = fresh("import rfgraph\nanswer = [bool(getattr(rfgraph, n)) for n in rfgraph.__all__]")
    assert all(answer)


def test_every_family_registers_what_is_said_of_it() -> None:
    said = defaultdict(list)
    for family, domains in FAMILIES.items():
        for domain, op_types in domains.items():
            for op_type in op_types.split():
                said[domain, op_type].append(family)
    assert all(len(found) == 1 for found in said.values())
    own = {key for key, rules in registered().items() if any(rule.own for rule in rules)}
    assert set(said) == own
    # A family is imported by itself, and what it needs of others is imported with it.
    found = fresh(
        "import sys\nfrom importlib import import_module\n"
        "from rfgraph.ops import registry\nfrom rfgraph.ops.families import FAMILIES\n"
        "answer = []\n"
        "for family in FAMILIES:\n"
        "    before = set(registry._RULES)\n"
        "    there = {f for f in FAMILIES if 'rfgraph.ops.' + f in sys.modules}\n"
        "    import_module('rfgraph.ops.' + family)\n"
        "    new = {f for f in FAMILIES if 'rfgraph.ops.' + f in sys.modules} - there\n"
        "    answer.append([sorted(new), sorted(set(registry._RULES) - before)])\n"
    )
    for new, operators in found:
        assert {tuple(key) for key in operators} == {k for k, v in said.items() if v[0] in new}


def test_transfers_of_one_s_own_come_before_the_family_s() -> None:
    """Whoever is first, `replace` means the same."""
    answer = fresh(
        "import rfgraph\nfrom rfgraph.ops import registered\n"
        "try:\n    rfgraph.transfer('MaxPool')(lambda op: [])\n"
        "except ValueError as error:\n    refused = str(error)\n"
        "rfgraph.transfer('AveragePool', replace=True, since=7)(lambda op: [])\n"
        "rfgraph.transfer('Mine', domain='my')(lambda op: [])\n"
        "rules = registered()\n"
        "answer = [refused, [[r.since, r.own] for r in rules['', 'AveragePool']],\n"
        "          ('my', 'Mine') in rules, len(rules)]"
    )
    refused, pools, mine, number = answer
    assert "MaxPool already has a transfer" in refused
    assert [own for _, own in pools] == [since < 7 for since, _ in pools]
    assert pools[-1] == [7, False]
    assert mine
    assert number == len(registered()) + 1
