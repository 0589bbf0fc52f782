"""Constants that repeat along the axis: the alignment is a multiple of their period."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from rfgraph.tiling import TilingError, plan
from tests.graphs import model
from tests.tiling.test_tiling import difference, opened

R = np.random.default_rng(0)
NUMBERS = {f"number{n}": np.array(n) for n in (0, 1, 2, 3, 6)}
NUMBERS |= {"ones": np.array([1]), "W": R.uniform(0.5, 1.5, (2, 2, 3, 3)).astype(np.float32)}
# Counted places of `v` along its rows, modulo a number.
COUNTED = (
    "{p}s = Shape ({v}) {p}n = Gather ({p}s, number2) {p}r = Range (number0, {p}n, number1) "
    "{p}m = Mod ({p}r, {q}) {p}f = Cast <to = 1> ({p}m) {p}c = Unsqueeze ({p}f, ones) "
)


def striped(q: str) -> onnx.ModelProto:
    """Rows of a picture, and those of one that is half as large, get other numbers by turns."""
    body = (
        "c = Conv <pads = [1, 1, 1, 1]> (x, W) "
        + COUNTED.format(p="a", v="c", q=q)
        + "d = Add (c, ac) e = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (d) "
        + COUNTED.format(p="b", v="e", q=q)
        + "y = Mul (e, bc)"
    )
    return model(body, "float[1,2,h,20] x", opset=17, initializers=NUMBERS)


@pytest.mark.parametrize(("q", "alignment"), [("number2", 4), ("number3", 6), ("number6", 12)])
def test_stripes(q: str, alignment: int) -> None:
    made = striped(q)
    (axis,) = plan(made).axes
    assert axis.alignment == alignment
    verified = plan(made).verify(made.SerializeToString())
    assert verified.ok
    assert (verified.axes[0].unaligned or 0) > 1e-3
    found = plan(made, tile=40)
    x = R.uniform(0, 1, (1, 2, 40 * 3 - 40 * 3 % alignment, 20)).astype(np.float32)
    session = opened(made)
    assert difference(found.run(session, x), session.run(None, {"x": x})[0]) < 1e-6


def test_what_does_not_repeat() -> None:
    made = striped("number6")
    made.graph.initializer.append(onnx.numpy_helper.from_array(np.array(10**6), "many"))
    for node in made.graph.node:
        node.input[:] = ["many" if name == "number6" else name for name in node.input]
    with pytest.raises(TilingError, match="'ac', which varies along the axis"):
        plan(made)
