"""Element by element, and what is broadcast."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from .single import Single, family, floats, ints, live, single

_PAIRS = (((2, 3, 4), (3, 1)), ((3, 1), (1, 4)), ((2, 1, 1, 3), (4, 1)), ((1,), (2, 3)))


@family("broadcast")
def broadcast() -> Iterator[Single]:
    """Operators of two inputs."""
    for kind, (a, b) in product(("Add", "Sub", "Mul", "Div"), _PAIRS):
        yield single(kind, live(*a), live(*b, low=0.4, high=1.5), opset=14)
    for kind, (a, b) in product(("Max", "Min", "Mean", "Sum"), _PAIRS[:2]):
        yield single(kind, live(*a), live(*b), opset=13)
    yield single("Pow", live(2, 3, low=0.4, high=1.5), live(3), opset=15)
    for kind in ("Greater", "Less", "GreaterOrEqual", "LessOrEqual"):
        yield single(kind, live(2, 3), live(3), opset=16)
    whole = live(2, 3, low=1, high=9, dtype=np.int64)
    yield single("Mod", whole, live(3, low=2, high=7, dtype=np.int64), opset=13)
    yield single("Mod", live(2, 3), live(3, low=0.4), opset=13, fmod=1)
    few = live(2, 3, low=1, high=2, dtype=np.int64)
    yield single("Equal", few, live(3, low=1, high=2, dtype=np.int64), opset=13)
    for kind in ("And", "Or", "Xor"):
        yield single(kind, live(2, 3, dtype=np.bool_), live(3, dtype=np.bool_), opset=7)
    for slope in ((3, 1, 1), (1,), (2, 4)):
        yield single("PRelu", live(1, 3, 2, 4), live(*slope), opset=16)


@family("one input")
def one_input() -> Iterator[Single]:
    """Operators of one input."""
    for kind, opset in (
        ("Relu", 14), ("Sigmoid", 13), ("Tanh", 13), ("Exp", 13), ("Abs", 13), ("Neg", 13),
        ("Erf", 13), ("Softplus", 1), ("Softsign", 1), ("Elu", 6), ("Selu", 6), ("Celu", 12),
        ("LeakyRelu", 16), ("HardSigmoid", 6), ("HardSwish", 14), ("Mish", 18), ("Gelu", 20),
        ("ThresholdedRelu", 10), ("Sin", 7), ("Cos", 7), ("Atan", 7), ("Floor", 13),
        ("Round", 11), ("Sign", 13), ("Shrink", 9),
    ):  # fmt: skip
        given: dict[str, Any] = {"alpha": 0.1} if kind == "ThresholdedRelu" else {}
        yield single(kind, live(2, 3, low=-3, high=3), opset=opset, **given)
    for kind in ("Sqrt", "Log", "Reciprocal"):
        yield single(kind, live(2, 3, low=0.3, high=2), opset=13)
    yield single(
        "Clip",
        live(2, 3, low=-3, high=3),
        np.array(-0.5, np.float32),
        np.array(1, np.float32),
        opset=13,
    )
    yield single("Cast", live(2, 3, low=-9, high=9), opset=13, to=7)
    yield single("Dropout", live(2, 3), opset=13)
    yield single("Not", live(2, 3, dtype=np.bool_), opset=1)


@family("quantisation")
def quantisation() -> Iterator[Single]:
    """Scales for all, for each slice, for each block; and dynamic ones, which see everything."""
    scale, zero = floats(3, low=0.02, high=0.05), np.array([10, 20, 30], np.uint8)
    for axis, shape in ((1, (2, 3, 2)), (0, (3, 4)), (-1, (2, 2, 3))):
        x = live(*shape, low=-2, high=2)
        yield single("QuantizeLinear", x, scale, zero, opset=13, axis=axis)
        whole = live(*shape, low=0, high=255, dtype=np.uint8)
        yield single("DequantizeLinear", whole, scale, zero, opset=13, axis=axis)
    blocks = floats(2, 2, 3, low=0.02, high=0.05)
    yield single(
        "QuantizeLinear",
        live(2, 4, 3),
        blocks,
        np.full((2, 2, 3), 9, np.uint8),
        opset=21,
        axis=1,
        block_size=2,
    )
    yield single(
        "DequantizeLinear",
        live(2, 4, 3, low=0, high=255, dtype=np.uint8),
        blocks,
        opset=21,
        axis=1,
        block_size=2,
    )
    yield single("DynamicQuantizeLinear", live(2, 3), opset=11, outputs=3)
    a, b = live(3, 4, low=0, high=255, dtype=np.uint8), np.arange(8, dtype=np.uint8)
    step, origin = np.float32(0.02), np.uint8(9)
    yield single(
        "QLinearMatMul",
        a,
        np.array(step),
        np.array(origin),
        b.reshape(4, 2),
        np.array(step),
        np.array(3, np.uint8),
        np.array(np.float32(0.01)),
        np.array(100, np.uint8),
        opset=10,
    )
    weights = np.arange(20, 32, dtype=np.uint8).reshape(2, 1, 3, 2)
    for auto in ("NOTSET", "SAME_UPPER", "SAME_LOWER"):
        yield single(
            "QLinearConv",
            live(1, 1, 6, 5, low=0, high=255, dtype=np.uint8),
            np.array(step),
            np.array(origin),
            weights,
            np.array(step),
            np.array(origin),
            np.array(np.float32(0.1)),
            np.array(origin),
            opset=10,
            auto_pad=auto,
            strides=[2, 1],
        )


@family("integers")
def integers() -> Iterator[Single]:
    """Integers, bit by bit."""
    whole = live(2, 3, low=1, high=60, dtype=np.uint8)
    for way in ("LEFT", "RIGHT"):
        yield single("BitShift", whole, np.array([1, 2, 1], np.uint8), opset=11, direction=way)
    for kind in ("BitwiseAnd", "BitwiseOr", "BitwiseXor"):
        yield single(kind, whole, live(3, low=1, high=60, dtype=np.uint8), opset=18)
    yield single("Gather", live(4, 3, low=0, high=99, dtype=np.int64), ints(1, -1), opset=13)
