"""Operators whose output element reads the elements at its own position."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from onnx import TensorProto

from ..perturbation import Case
from . import cases
from .common import floats, of, positive

# What one of their elements may be, so that they are defined, or neither saturate nor overflow.
_WITHIN: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("Acos", "Asin", "Atanh"), (-0.9, 0.9)),
    **dict.fromkeys(("Log", "Reciprocal", "Sqrt"), (0.1, 9)),
    **dict.fromkeys(("Cosh", "Exp", "Sinh"), (-9, 9)),
    **dict.fromkeys(("Erf", "Gelu", "Mish", "Sigmoid", "Softplus", "Swish", "Tanh"), (-2, 2)),
    **dict.fromkeys(("Celu", "Elu", "Selu", "HardSwish", "Softsign"), (-2, 9)),
    "Acosh": (1.1, 9),
    "HardSigmoid": (-2, 2),
}

_FLOAT_TO_FLOAT = (
    *("Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Celu", "Cos", "Cosh"),
    *("Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu"),
    *("Log", "Mish", "Neg", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign"),
    *("Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu"),
)
_SINCE = {"Gelu": 20, "Mish": 18, "Swish": 24}

# Ranks up to five, no axis of one element.
_SHAPES = ((3,), (2, 3, 2), (2, 2, 2, 3, 2))


def _unary(op_type: str) -> Callable[[], Iterator[Case]]:
    within = _WITHIN.get(op_type, (-1e3, 1e3))
    trials = 24 if op_type == "Sign" else 8

    def build() -> Iterator[Case]:
        for shape in _SHAPES:
            x = floats(*shape) if within[0] < 0 else within[0] + positive(*shape)
            opset = max(_SINCE.get(op_type, 0), 21)
            yield of(f"{shape}", op_type, {"X": x}, opset=opset, within=within, trials=trials)

    return build


for _name in _FLOAT_TO_FLOAT:
    cases(_name)(_unary(_name))

_FLOAT, _BOOL, _INT = np.dtype(np.float32), np.dtype(bool), np.dtype(np.int32)

# Types of the operands and of the result.
_SEVERAL: dict[str, tuple[tuple[np.dtype, ...], int]] = {
    **dict.fromkeys(("Add", "Div", "Mul", "Pow", "Sub"), ((_FLOAT, _FLOAT), 1)),
    **dict.fromkeys(("Max", "Mean", "Min", "Sum"), ((_FLOAT, _FLOAT, _FLOAT), 1)),
    **dict.fromkeys(
        ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"),
        ((_FLOAT, _FLOAT), TensorProto.BOOL),
    ),
    **dict.fromkeys(("And", "Or", "Xor"), ((_BOOL, _BOOL), TensorProto.BOOL)),
    **dict.fromkeys(("BitwiseAnd", "BitwiseOr", "BitwiseXor"), ((_INT, _INT), TensorProto.INT32)),
    "Mod": ((_FLOAT, _FLOAT), 1),
    "Where": ((_BOOL, _FLOAT, _FLOAT), 1),
}
_ATTRIBUTES: dict[str, dict[str, Any]] = {"Mod": {"fmod": 1}}

# Shapes of up to three operands.
_BROADCAST = (
    ((2, 3), (2, 3), (2, 3)),
    ((2, 3, 2), (3, 1), (2,)),
    ((2, 1, 2), (2, 3, 1), (3, 2)),
    ((2, 2, 2, 3, 2), (2, 2, 2, 3, 2), (2, 2, 2, 3, 2)),
    ((2, 1, 2, 3, 1), (2, 2, 1, 2), (2, 1, 2, 1, 2)),
)


def _made(kind: np.dtype, shape: tuple[int, ...], seed: int) -> np.ndarray:
    if kind == _BOOL:
        return np.random.default_rng(seed).random(shape) < 0.5
    if kind == _INT:
        return np.random.default_rng(seed).integers(1, 99, shape).astype(kind)
    return positive(*shape, seed=seed) * 3


def _several(op_type: str) -> Callable[[], Iterator[Case]]:
    kinds, result = _SEVERAL[op_type]
    within = (0.2, 4) if op_type in ("Div", "Mod", "Pow") else (-1e2, 1e2)

    def build() -> Iterator[Case]:
        for shapes in _BROADCAST:
            inputs = {
                # Changed numbers are equal to none, so these are equal before.
                f"x{k}": np.ones(shape, kind) if op_type == "Equal" else _made(kind, shape, k)
                for k, (kind, shape) in enumerate(zip(kinds, shapes, strict=False))
            }
            yield of(
                f"{shapes[: len(kinds)]}",
                op_type,
                inputs,
                kinds={"y0": result},
                follow=tuple(inputs),
                within=within,
                trials=32,
                **_ATTRIBUTES.get(op_type, {}),
            )

    return build


for _name in _SEVERAL:
    cases(_name)(_several(_name))


@cases("PRelu")
def p_relu() -> Iterator[Case]:
    """A slope is broadcast to the values, not they to it, and read of those below zero."""
    five = (2, 2, 2, 3, 2)
    for shape, slope in (((2, 3, 2), (3, 1)), ((2, 3), (2, 3)), (five, (2, 1, 3, 2)), (five, five)):
        inputs = {"X": floats(*shape), "slope": floats(*slope, seed=1)}
        yield of(f"{shape}, {slope}", "PRelu", inputs, trials=16)


def _to(op_type: str, kind: int, **given: Any) -> Callable[[], Iterator[Case]]:
    def build() -> Iterator[Case]:
        for shape in _SHAPES:
            inputs = {"X": floats(*shape)}
            yield of(f"{shape}", op_type, inputs, kinds={"y0": kind}, trials=8, **given)

    return build


cases("Cast")(_to("Cast", TensorProto.INT32, to=TensorProto.INT32))
cases("BitCast")(_to("BitCast", TensorProto.INT32, to=TensorProto.INT32, opset=26))


@cases("CastLike")
def cast_like() -> Iterator[Case]:
    for shape in _SHAPES:
        inputs = {"input": floats(*shape), "target_type": floats(2, seed=1)}
        yield of(f"{shape}", "CastLike", inputs)


@cases("BitShift")
def bit_shift() -> Iterator[Case]:
    for direction in ("LEFT", "RIGHT"):
        for left, right, _ in _BROADCAST:
            rng = np.random.default_rng(0)
            inputs = {
                "X": rng.integers(64, 255, left, np.uint8),
                "Y": rng.integers(0, 4, right, np.uint8),
            }
            yield of(
                f"{direction} {left} by {right}",
                "BitShift",
                inputs,
                kinds={"y0": TensorProto.UINT8},
                follow=("X", "Y"),
                within=(0, 255),
                trials=8,
                direction=direction,
            )


def _integers(op_type: str, kind: np.dtype, result: int) -> Callable[[], Iterator[Case]]:
    def build() -> Iterator[Case]:
        for shape in _SHAPES:
            inputs = {"X": _made(kind, shape, 0)}
            yield of(f"{shape}", op_type, inputs, kinds={"y0": result}, follow=("X",))

    return build


cases("Not")(_integers("Not", _BOOL, TensorProto.BOOL))
cases("BitwiseNot")(_integers("BitwiseNot", _INT, TensorProto.INT32))


# What is infinite, or no number, is put in the place of an element.
cases("IsInf")(_to("IsInf", TensorProto.BOOL, within=(-np.inf, np.inf)))
cases("IsNaN")(_to("IsNaN", TensorProto.BOOL, within=(np.nan, np.nan)))


@cases("Clip")
def clip() -> Iterator[Case]:
    for shape in _SHAPES:
        inputs = {"input": floats(*shape), "min": np.float32(-0.5), "max": np.float32(0.5)}
        yield of(f"{shape}", "Clip", inputs, within=(-0.9, 0.9), trials=32)
        yield of(f"{shape}, attributes", "Clip", {"input": floats(*shape)}, opset=7, min=-9.0)


@cases("Expand")
def expand() -> Iterator[Case]:
    for shape, target in (
        ((3,), (2, 3)),
        ((2, 1, 3), (2, 2, 1)),
        ((2, 1), (2, 2, 3)),
        ((2, 1, 2, 3, 2), (1, 2, 1, 1, 1)),
        ((2, 2, 3, 2), (2, 1, 1, 1, 1)),
    ):
        inputs = {"input": floats(*shape), "shape": np.array(target)}
        yield of(f"{shape} to {target}", "Expand", inputs, constants=["shape"])


@cases("Dropout")
def dropout() -> Iterator[Case]:
    for shape in _SHAPES:
        kinds = {"mask": TensorProto.BOOL}
        for opset in (7, 12, 13):
            inputs = {"data": floats(*shape)}
            name = f"{shape}, version {opset}"
            outputs = ["output", "mask"]
            kinds = {"mask": TensorProto.BOOL if opset > 9 else TensorProto.FLOAT}
            yield of(name, "Dropout", inputs, outputs, opset=opset, kinds=kinds)
