"""Plans of the local part, where nodes see whole axes: what they name, and how far they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from rfgraph import cli
from rfgraph.tiling import TilingError, plan
from tests.graphs import model
from tests.tiling.test_tiling import opened

MODELS = Path(__file__).parents[2] / "models"
IMAGE = "float[1,2,h,w] x"
CONV = "c = Conv <pads = [1, 1, 1, 1]> (x, W) "
R = np.random.default_rng(0)
CONSTANTS: dict[str, Any] = {
    "W": R.uniform(0.5, 1.5, (2, 2, 3, 3)).astype(np.float32),
    "F": R.uniform(0.5, 1.5, (2, 2, 1, 1)).astype(np.float32),
    "S": np.ones(2, np.float32),
    "tokens": np.array([0, 0, -1]),
    "number1": np.array([1]),
    "number2": np.array([2]),
    "number3": np.array([3]),
}
SIZES = "s = Shape (c) h = Gather (s, number2) w = Gather (s, number3) "
# What is seen whole, and by which nodes; the local part is the 3x3 of the convolution, or of two.
GLOBAL: dict[str, tuple[str, list[str], int]] = {
    "squeeze and excite, twice": (
        CONV + "g = GlobalAveragePool (c) e = Conv (g, F) a = Sigmoid (e) m = Mul (c, a) "
        "d = Conv <pads = [1, 1, 1, 1]> (m, W) k = GlobalAveragePool (d) y = Mul (d, k)",
        ["GlobalAveragePool 'GlobalAveragePool_1'", "GlobalAveragePool 'GlobalAveragePool_6'"],
        2,
    ),
    "an instance normalisation": (
        CONV + "y = InstanceNormalization (c, S, S)",
        ["InstanceNormalization 'InstanceNormalization_1'"],
        1,
    ),
    "pooling of the image": (
        CONV + "g = GlobalAveragePool (c) n = Shape (c) b = Expand (g, n) "
        "y = Concat <axis = 1> (c, b)",
        ["GlobalAveragePool 'GlobalAveragePool_1'"],
        1,
    ),
    "attention": (
        CONV + SIZES + "q = Reshape (c, tokens) k = Transpose <perm = [0, 2, 1]> (q) "
        "a = MatMul (k, q) p = Softmax (a) t = Transpose <perm = [0, 2, 1]> (q) "
        "v = MatMul (p, t) u = Transpose <perm = [0, 2, 1]> (v) "
        "o = Concat <axis = 0> (number1, number2, h, w) z = Reshape (u, o) y = Add (c, z)",
        ["MatMul 'MatMul_9'"],
        1,
    ),
}


@pytest.mark.parametrize("name", GLOBAL)
def test_the_local_part(name: str) -> None:
    body, nodes, margin = GLOBAL[name]
    made = model(body, IMAGE, opset=17, initializers=CONSTANTS)
    with pytest.raises(TilingError) as raised:
        plan(made)
    assert [str(each.node) for each in raised.value.global_reads] == nodes
    found = plan(made, tile=32, local=True)
    assert not found.is_exact
    assert [str(each.node) for each in found.left_out] == nodes
    assert all(axis.margin == (margin, margin) for axis in found.axes)
    assert found.equality.level == "not the same"
    assert [cause.node for cause in found.equality.causes] == nodes
    measured = found.verify(made.SerializeToString())
    assert measured.ok
    assert not measured.is_exact
    assert 1e-3 < measured.difference < 2
    assert list(measured.costs) == nodes
    if name != "attention":
        # Its scores grow along two axes.
        assert max(cost or 0 for cost in measured.costs.values()) > 1e-3
    with_session = found.verify(opened(made))
    assert list(with_session.costs.values()) == [None] * len(nodes)


def test_what_a_node_costs_alone() -> None:
    """Of two gates side by side one is of what is the same all over the image."""
    body = (
        "n = Neg (x) z = Add (x, n) o = Exp (z) g = GlobalAveragePool (o) "
        "h = GlobalAveragePool (x) k = Mul (x, g) y = Mul (k, h)"
    )
    made = model(body, IMAGE, initializers=CONSTANTS)
    found = plan(made, tile=32, local=True).verify(made.SerializeToString())
    of_same, of_other = found.costs.values()
    assert of_same is not None
    assert of_other is not None
    assert of_same < 1e-6
    # There is no other one.
    assert of_other == pytest.approx(found.difference, rel=0.5)
    assert of_other > 1e-2


def test_what_is_exact_stays_so() -> None:
    made = model(CONV + "y = Relu (c)", IMAGE, initializers=CONSTANTS)
    found = plan(made, local=True)
    assert found.is_exact
    assert found == plan(made)


def test_where_nothing_local_is_left() -> None:
    made = model(CONV + "y = GlobalAveragePool (c)", IMAGE, initializers=CONSTANTS)
    with pytest.raises(TilingError, match="it sees the whole of axis 2") as raised:
        plan(made, local=True)
    assert not raised.value.global_reads


def test_the_first_node_that_leaves_nothing_local_is_named() -> None:
    """Not the last one, nor a gate before it, beside which something local passes."""
    body = (
        CONV + "g = GlobalAveragePool (c) a = Sigmoid (g) m = Mul (c, a) "
        "p = GlobalAveragePool (m) e = Conv (p, F) y = Relu (e)"
    )
    made = model(body, IMAGE, initializers=CONSTANTS)
    with pytest.raises(TilingError, match="it sees the whole of axis 2") as raised:
        plan(made, local=True)
    assert str(raised.value.node) == "GlobalAveragePool 'GlobalAveragePool_4'"


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    body, nodes, _ = GLOBAL["squeeze and excite, twice"]
    file = tmp_path / "gated.onnx"
    onnx.save(model(body, IMAGE, initializers=CONSTANTS), file)
    assert cli.main(["tile", str(file)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "no tiles give the result of the whole: the first reason is"
    assert [line.split(":")[0].strip() for line in lines[-2:]] == nodes
    assert cli.main(["tile", str(file), "--local", "--verify", "--tile", "32"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "NOT EXACT: tiles do not give the result of the whole"
    assert lines[-1].startswith("measured: differences of up to ")
    assert [line.split("  ")[0].rstrip() for line in lines[-4:-2]] == nodes
    assert cli.main(["tile", str(file), "--local", "--output-format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert not found["exact"]
    assert [each["node"] for each in found["global"]] == nodes


def test_gates_of_a_published_net() -> None:
    """Its field is 851, and each of its 16 gates is named."""
    file = MODELS / "efficientnet_b0.onnx"
    found = plan(file, outputs=["features"], local=True)
    assert len(found.left_out) == 16
    for axis in found.axes:
        assert axis.before + axis.after + axis.alignment == 851
