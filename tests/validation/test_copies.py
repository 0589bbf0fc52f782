"""The copy that is run opens, and has the names of the analysis, however the file names things."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest

import rfgraph
from tests.oracle.observe import session

# Two values in a function; each of its outputs sees three elements of its input.
F = """
    <domain: "d", opset_import: ["": 17, "d": 1]> f (a) => (b)
    {
        t = AveragePool <kernel_shape = [3], pads = [1, 1]> (a)
        b = Abs(t)
    }
"""

# Calls it twice.
G = """
    <domain: "d", opset_import: ["": 17, "d": 1]> g (a) => (b) { t = d.f(a) b = d.f(t) }
"""

# Values inside of a branch and of a loop have names that are likely outside too.
BRANCHES = """
    <domain: "d", opset_import: ["": 17, "d": 1]> h (c, a) => (b)
    {
        b = If (c) <
            then_branch = then () => (float[1, 1, 9] z) { y = d.f(a) z = d.f(y) },
            else_branch = else () => (float[1, 1, 9] y) { z = d.f(a) y = d.f(z) }
        >
    }
"""
LOOP = """
    <domain: "d", opset_import: ["": 17, "d": 1]> h (n, a) => (b)
    {
        b = Loop (n, , a) <
            body = again (int64 i, bool c, float[1, 1, 9] z) => (bool e, float[1, 1, 9] x)
            { x = d.f(z) e = Identity(c) }
        >
    }
"""
NORM = """
    <domain: "d", opset_import: ["": 17, "ai.onnx.ml": 1]> m (a) => (b)
    { t = Abs(a) b = ai.onnx.ml.Scaler <scale = [2.0], offset = [0.0]> (t) }
"""


def model(body: str, *functions: str, **nodes: str) -> onnx.ModelProto:
    """One with the input `x` and the output `y`, some nodes renamed: the old name is the key."""
    made = onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["": 17, "d": 1]> net (float[1, 1, 9] x) => '
        f"(float[1, 1, 9] y) <bool c = {{1}}, int64 n = {{2}}> {{ {body} }} {' '.join(functions)}"
    )
    for node in made.graph.node:
        node.name = nodes.get(node.output[0], "")
    return made


# The model, and how many units to either side a unit of its output sees.
MODELS: dict[str, tuple[onnx.ModelProto, int]] = {
    "nodes of one name": (model("z = Abs(x) y = Abs(z)", z="node", y="node"), 0),
    "called twice by another": (model("y = d.g(x)", F, G), 2),
    "called twice by another that is called twice": (model("z = d.g(x) y = d.g(z)", F, G), 4),
    "two calls of one name": (model("z = d.f(x) y = d.f(z)", F, z="call", y="call"), 2),
    "a node with the name of one inside of a call": (
        model("z = Abs(x) y = d.f(z)", F, z="call/Abs", y="call"),
        1,
    ),
    "a value with the name of one inside of a call": (
        model('z = Abs(x) "call/t" = d.f(z) t = Abs("call/t") y = d.f(t)', F, y="call"),
        2,
    ),
    "called in both branches": (
        model(
            "y = If (c) <then_branch = then () => (float[1, 1, 9] u) { t = d.f(x) u = d.f(t) }, "
            "else_branch = else () => (float[1, 1, 9] t) { u = d.f(x) t = d.f(u) }>",
            F,
        ),
        2,
    ),
    "called in a loop": (
        model(
            "y = Loop (n, , x) <body = again (int64 i, bool c, float[1, 1, 9] s) => "
            "(bool e, float[1, 1, 9] t) { t = d.g(s) e = Identity(c) }>",
            F,
            G,
        ),
        4,
    ),
    "branches that hide a value": (model("z = d.f(x) y = d.h(c, z)", F, BRANCHES), 3),
    "branches that hide a value, twice": (
        model("z = d.h(c, x) y = d.h(c, z)", F, BRANCHES),
        4,
    ),
    "a loop that hides a value": (model("z = d.f(x) y = d.h(n, z)", F, LOOP), 3),
    "a set of operators that only a function imports": (model("y = d.m(x)", NORM), 0),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("method", ["perturb", "poison"])
def test_the_copy_opens_and_agrees(name: str, method: Any) -> None:
    made, reach = MODELS[name]
    found = rfgraph.validate(made, method=method, tensors=["*"], seconds=None)
    assert found.ok
    assert found.total.attained == found.total.ends
    if "Scaler" not in " ".join(found.untested.values()):
        assert "y" in found.units
    lo, hi = found.analysis.bounds("y", axis=2)
    place = np.arange(9)
    assert lo.reshape(-1).tolist() == np.maximum(place - reach, 0).tolist()
    assert hi.reshape(-1).tolist() == np.minimum(place + reach, 8).tolist()


@pytest.mark.parametrize("name", [name for name in MODELS if "of one name" not in name])
def test_the_reach_is_what_the_runtime_shows(name: str) -> None:
    """By the file as it is: one element of the input is changed."""
    made, reach = MODELS[name]
    opened = session(made)
    x = np.arange(1, 10, dtype=np.float32).reshape(1, 1, 9)
    changed = x.copy()
    changed[0, 0, 4] += 1
    before, after = (opened.run(None, {"x": data})[0].reshape(-1) for data in (x, changed))
    assert np.flatnonzero(before != after).tolist() == [*range(4 - reach, 5 + reach)]
