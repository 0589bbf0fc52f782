"""RF202 against its definition, by what onnxruntime shows when steps are changed, at any length."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from rfgraph.checks import CHECKS, Config
from rfgraph.checks.subject import Subject
from tests.graphs import model
from tests.oracle.observe import session

LENGTHS = range(1, 65)

# Long enough that no end hides how far a unit of the middle sees.
LONG = 240


def seen(opened: ort.InferenceSession, length: int) -> np.ndarray | None:
    """By unit the last step that changes it, or -1; None where the model fits no such length."""
    rng = np.random.default_rng(0)
    x = np.repeat(rng.uniform(1, 2, (1, 1, length)).astype(np.float32), length + 1, axis=0)
    x[np.arange(length), 0, np.arange(length)] += 1
    try:
        (y,) = opened.run(None, {"x": x})
    except Exception:  # onnxruntime's errors have no common class
        return None
    if y.size == 0:
        return None
    moved = (y[:-1] != y[-1]).any(axis=1)
    steps = np.arange(length)[:, None]
    last: np.ndarray = np.where(moved, steps, -1).max(axis=0)
    return last


def ahead(last: np.ndarray, stride: Fraction, first: int | None = None) -> int:
    """By the definition: unit o may see the steps up to ``o * stride + stride - 1``."""
    offset = max(stride - 1, Fraction(0)) if first is None else Fraction(first)
    units = stride.denominator * offset.denominator
    own = (np.arange(len(last)) * int(stride * units) + int(offset * units)) // units
    return int((last - own)[last >= 0].max())


def window(kernel: int, stride: int, dilation: int, pads: tuple[int, int]) -> str:
    attributes = f"strides=[{stride}], dilations=[{dilation}], pads=[{pads[0]},{pads[1]}]"
    return f"Conv<{attributes}>(%, w{kernel})"


def up(kernel: int, stride: int, pads: tuple[int, int]) -> str:
    return f"ConvTranspose<strides=[{stride}], pads=[{pads[0]},{pads[1]}]>(%, w{kernel})"


NEAREST = 'Resize<mode="nearest", coordinate_transformation_mode="asymmetric", '
NEAREST += 'nearest_mode="floor">(%, , twice)'

# Many windows, each at some lengths.
GRID: list[tuple[list[str], Fraction, int | None]] = [
    ([window(kernel, stride, dilation, (before, after))], Fraction(stride), None)
    for kernel, dilation in ((3, 2), (4, 3), (7, 1))
    for stride in (1, 2, 5)
    for before in sorted({max(dilation * (kernel - 1) - stride + 1 + k, 0) for k in (-1, 0, 1)})
    for after in (0, stride)
]

# Layers, the stride, and the newest step of the first unit where that is given.
CASES: list[tuple[list[str], Fraction, int | None]] = [
    ([window(5, 2, 1, (3, 1))], Fraction(2), None),
    ([window(5, 2, 1, (2, 2))], Fraction(2), None),
    ([window(15, 6, 1, (9, 5))], Fraction(6), None),
    ([window(15, 6, 1, (8, 6))], Fraction(6), None),
    *GRID,
    # Two of them; the second one makes good what the first one looks ahead, or does not.
    ([window(3, 2, 1, (1, 0)), window(3, 2, 1, (1, 0))], Fraction(4), None),
    ([window(3, 1, 1, (1, 1)), window(4, 4, 1, (1, 0))], Fraction(4), None),
    ([window(3, 1, 1, (1, 1)), window(4, 4, 1, (0, 0))], Fraction(4), None),
    # Without padding.
    ([window(3, 1, 1, (0, 0))], Fraction(1), 2),
    ([window(3, 1, 1, (0, 0))], Fraction(1), 1),
    ([window(3, 1, 1, (0, 0))], Fraction(1), None),
    ([window(7, 3, 1, (0, 0))], Fraction(3), 6),
    ([window(7, 3, 1, (0, 0))], Fraction(3), 5),
    ([window(3, 1, 2, (0, 0)), window(3, 2, 1, (0, 0))], Fraction(2), 6),
    # Longer than the input.
    ([window(5, 1, 1, (4, 4))], Fraction(1), None),
    ([window(5, 1, 1, (3, 4))], Fraction(1), None),
    ([up(4, 2, (0, 2))], Fraction(1, 2), None),
    ([up(4, 2, (1, 1))], Fraction(1, 2), None),
    ([up(3, 1, (0, 0))], Fraction(1), None),
    ([up(5, 3, (0, 0))], Fraction(1, 3), None),
    ([up(5, 3, (1, 0))], Fraction(1, 3), None),
    ([NEAREST], Fraction(1, 2), None),
    ([NEAREST, window(3, 1, 1, (2, 0))], Fraction(1, 2), None),
    ([NEAREST, window(3, 1, 1, (1, 1))], Fraction(1, 2), None),
    ([window(3, 2, 1, (1, 0)), NEAREST], Fraction(1), None),
    ([window(2, 2, 1, (0, 0)), up(2, 2, (0, 0))], Fraction(1), None),
    ([window(2, 2, 1, (1, 0)), up(2, 2, (0, 0))], Fraction(1), None),
    # What is cut off at the end, as by those who pad both sides, and at the beginning.
    ([window(5, 1, 1, (4, 4)), "Slice(%, zero, minus4, two)"], Fraction(1), None),
    ([window(5, 1, 1, (4, 4)), "Slice(%, one, minus4, two)"], Fraction(1), None),
    # A step later, by what stands before.
    (["Concat<axis=2>(lead, %)", "Slice(%, zero, minus1, two)"], Fraction(1), None),
    ([window(3, 1, 1, (0, 2)), "Concat<axis=2>(lead, %)"], Fraction(1), None),
    # A sum of what runs on at different strides is not asked for here; of equal ones it is.
    (["CumSum(%, axis)"], Fraction(1), None),
    (["CumSum<reverse=1>(%, axis)"], Fraction(1), None),
    ([window(3, 2, 1, (1, 0)), "CumSum(%, axis)"], Fraction(2), None),
    ([window(3, 2, 1, (0, 1)), "CumSum(%, axis)"], Fraction(2), None),
]


def made(layers: list[str]) -> onnx.ModelProto:
    names = ["x", *(f"a{k}" for k in range(1, len(layers))), "y"]
    body, lead = [], False
    for layer, (before, after) in zip(layers, pairwise(names), strict=True):
        lead = lead or "lead" in layer
        body.append(f"{after} = {layer.replace('%', before)}")
    constants = {f"w{k}": np.ones((1, 1, k), np.float32) for k in (1, 2, 3, 4, 5, 7, 15)}
    constants |= {
        name: np.array([value], np.int64)
        for name, value in {"zero": 0, "one": 1, "two": 2, "minus1": -1, "minus4": -4}.items()
    }
    constants["axis"] = np.array(2, np.int64)
    constants["twice"] = np.array([1, 1, 2], np.float32)
    if lead:
        # As many zeros as there are samples.
        body.insert(0, "sizes = Shape<end=1>(x) ends = Constant<value_ints=[1, 2]>()")
        body.insert(1, "shape = Concat<axis=0>(sizes, ends) lead = ConstantOfShape(shape)")
    text = " ".join(body)
    used = {name: array for name, array in constants.items() if name in text}
    net = model(text, "float[N,1,T] x", initializers=used)
    net.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    return net


@pytest.mark.parametrize(("layers", "stride", "first"), CASES)
def test_any_length(layers: list[str], stride: Fraction, first: int | None) -> None:
    """What is found is the same at every length, and is what a long input shows."""
    net = made(layers)
    opened = session(net)
    long = seen(opened, LONG)
    assert long is not None
    most = ahead(long, stride, first)
    # Of what sees all that is to come, the length says how much that is.
    endless = long[0] == LONG - 1
    asked: dict[str, Any] = {} if first is None else {"aligned": first}
    lengths = LENGTHS[:: 7 if (layers, stride, first) in GRID else 1]
    tried = 0
    # What runs on from the first step has no closed form: of one unit it can't be told whether it
    # is a step.
    shortest = 5 if "CumSum" in layers[-1] else 1
    for length in (*(n for n in lengths if n >= shortest), None):
        shapes: dict[str, Any] = {} if length is None else {"shapes": {"x": [2, 1, length]}}
        last = long if length is None else seen(opened, length)
        if last is None:
            continue
        config = Config().with_values({"causal": 2, "prune": True} | asked | shapes, "the test")
        subject = Subject(net, "net", config.settings(None), config.root)
        subject.check = CHECKS["RF202"]
        steps = [finding.figures["steps"] for finding in subject.check.run(subject)]
        expected = max(most, 0)
        if endless:
            expected = ahead(last, stride, first) if length else -1
        if expected < 0:
            assert steps, length
        elif (last >= 0).any():
            assert steps == ([expected] if expected else []), length
            tried += 1
    assert tried > len(lengths) - 14
