"""Operators in which each element reads its own: of one value, of several, of a condition."""

from __future__ import annotations

from math import prod

import numpy as np
from onnx import TensorProto

from ..builder import (
    NEWEST,
    OLDEST,
    SCALARS_TOO,
    Builder,
    Operand,
    Value,
    operator,
)
from .common import partner, scalar

# Operators of one value, the operator-set version since which they are, and their attributes.
_UNARY: dict[str, tuple[int, dict[str, float]]] = {
    "Abs": (6, {}),
    "Acos": (7, {}),
    "Acosh": (9, {}),
    "Asin": (7, {}),
    "Asinh": (9, {}),
    "Atan": (7, {}),
    "Atanh": (9, {}),
    "Ceil": (6, {}),
    "Celu": (12, {"alpha": 0.7}),
    "Cos": (7, {}),
    "Cosh": (9, {}),
    "Elu": (6, {"alpha": 0.7}),
    "Erf": (9, {}),
    "Exp": (6, {}),
    "Floor": (6, {}),
    "HardSigmoid": (6, {"alpha": 0.3, "beta": 0.4}),
    "HardSwish": (14, {}),
    "Identity": (1, {}),
    "LeakyRelu": (6, {"alpha": 0.1}),
    "Log": (6, {}),
    "Mish": (18, {}),
    "Neg": (6, {}),
    "Reciprocal": (6, {}),
    "Relu": (6, {}),
    "Round": (11, {}),
    "Selu": (6, {}),
    "Shrink": (9, {"lambd": 0.3, "bias": 0.1}),
    "Sigmoid": (6, {}),
    "Sign": (9, {}),
    "Sin": (7, {}),
    "Sinh": (9, {}),
    "Softplus": (1, {}),
    "Softsign": (1, {}),
    "Sqrt": (6, {}),
    "Swish": (24, {"alpha": 0.7}),
    "Tan": (7, {}),
    "Tanh": (6, {}),
    "ThresholdedRelu": (10, {"alpha": 0.2}),
}

# Operators that are only defined, or only tame, on part of the line; what brings values there.
_DOMAIN = {
    "Acos": "Sin",
    "Acosh": "Cosh",
    "Asin": "Sin",
    "Atanh": "Sin",
    "Cosh": "Tanh",
    "Exp": "Tanh",
    "Log": "Exp",
    "Reciprocal": "Cosh",
    "Sinh": "Tanh",
    "Sqrt": "Abs",
    "Tan": "Tanh",
}


def unary(b: Builder, x: Value, op: str) -> Value:
    """Each element reads its own."""
    given = _UNARY[op][1]
    if op in _DOMAIN:
        x = b.op(_DOMAIN[op], x)
    return b.op(op, x, **(given if b.chance(0.7) else {}))


for _name, (_since, _) in _UNARY.items():
    # Onnxruntime knows Swish as a function, in its first operator set only.
    operator(
        _name,
        since=max(_since, OLDEST),
        until=24 if _name == "Swish" else NEWEST,
        ranks=SCALARS_TOO,
        weight=0.2,
    )(unary)


@operator("Gelu", since=20, ranks=SCALARS_TOO, weight=0.7)
def gelu(b: Builder, x: Value, op: str) -> Value:
    """Either way to compute it."""
    return b.op(op, x, approximate=b.choice((None, "none", "tanh")))


@operator("Clip", weight=1.5)
def clip(b: Builder, x: Value, op: str) -> Value:
    """Limits as attributes or inputs, one or both; a live limit is read by all."""
    low, high = -b.rng.uniform(0.1, 1), b.rng.uniform(0.1, 1)
    if b.opset < 11:
        return b.op(op, x, min=low if b.chance(0.7) else None, max=high if b.chance(0.7) else None)
    limits: list[Operand] = [
        np.array(v, np.float32) if b.chance(0.7) else None for v in (low, high)
    ]
    if b.chance(0.35):
        limits[b.rng.randrange(2)] = scalar(b, x)
    return b.op(op, x, *limits)


@operator("PRelu")
def prelu(b: Builder, x: Value, op: str) -> Value:
    """A slope that is broadcast to the value."""
    shape = [n if b.chance(0.5) else 1 for n in x.shape[b.rng.randrange(x.rank) :]]
    return b.op(op, x, b.weight(*shape, live=0.3))


@operator("Dropout")
def dropout(b: Builder, x: Value, op: str) -> Value:
    """Inference: nothing is dropped; with or without the mask."""
    outputs = b.choice((1, 2))
    if b.opset < 12:
        return b.node(op, [x], outputs, ratio=b.choice((None, 0.3)))[0]
    ratio = np.array(0.3, np.float32) if b.chance(0.5) else None
    training = np.array(False) if b.chance(0.5) else None
    return b.node(op, [x, ratio, training], outputs)[0]


@operator("Cast", weight=2)
def cast(b: Builder, x: Value, op: str) -> Value:
    """To another type and back."""
    types = (
        TensorProto.INT32,
        TensorProto.INT64,
        TensorProto.DOUBLE,
        TensorProto.FLOAT16,
        TensorProto.BOOL,
        TensorProto.FLOAT,
    )
    return b.op(op, b.op(op, x, to=b.choice(types)), to=TensorProto.FLOAT)


@operator("CastLike", since=15, weight=0.5)
def cast_like(b: Builder, x: Value, op: str) -> Value:
    """To the type of a constant, and back."""
    kind = b.choice((np.int32, np.int64, np.float64, np.float16, np.float32))
    return b.op("Cast", b.op(op, x, np.ones(b.rng.randint(1, 2), kind)), to=TensorProto.FLOAT)


@operator("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Mean", "Sum", weight=9)
@operator("Mod", since=10, weight=0.5)
def nary(b: Builder, x: Value, op: str) -> Value:
    """Branches that meet, either way around, broadcast."""
    first: Operand = x
    second = partner(b, x)
    if b.chance(0.3) and isinstance(second, Value):
        first, second = second, first
    if op in ("Max", "Min", "Mean", "Sum"):
        more = [partner(b, x) for _ in range(b.choice((0, 0, 1)))]
        return b.op(op, first, second, *more)
    if op == "Mod":
        return b.op(op, first, second, fmod=1)
    if op == "Pow":
        base = b.op("Exp", b.op("Tanh", x))
        constant: Operand = np.array(b.rng.uniform(0.5, 2), np.float32)
        return b.op(op, base, b.op("Tanh", partner(b, x)) if b.chance(0.6) else constant)
    if op == "Div" and isinstance(second, Value):
        # Away from zero, so that nothing gets large.
        second = b.op("Exp", b.op("Tanh", second))
    return b.op(op, first, second)


_COMPARISONS = {"Greater": 9, "Less": 9, "Equal": 11, "GreaterOrEqual": 12, "LessOrEqual": 12}
_LOGIC = {"IsInf": 10, "IsNaN": 9, "Not": 9, "And": 9, "Or": 9, "Xor": 9}


def _condition(b: Builder, x: Value) -> Value:
    """A live condition."""
    op = b.choice([name for name, since in _COMPARISONS.items() if since <= b.opset])
    return b.op(op, x, partner(b, x))


def comparison(b: Builder, x: Value, op: str) -> Value:
    """A comparison, or the logic on one, back among the numbers."""
    if op in _COMPARISONS:
        found = b.op(op, x, partner(b, x))
    elif op in ("IsNaN", "IsInf"):
        found = b.op(op, x)
    elif op == "Not":
        found = b.op(op, _condition(b, x))
    else:
        left = _condition(b, x)
        right: Operand = np.array(b.ints(left.shape[-1], 0, 1), bool)
        found = b.op(op, left, _condition(b, x) if b.chance(0.6) else right)
    return b.op("Cast", found, to=TensorProto.FLOAT)


for _name, _since in {**_COMPARISONS, **_LOGIC}.items():
    operator(_name, since=_since, weight=0.3)(comparison)


@operator("Where", weight=2)
def where(b: Builder, x: Value, op: str) -> Value:
    """A live or constant condition; structurally both branches are read."""
    shape = [n if b.chance(0.6) else 1 for n in x.shape]
    mask: Operand = np.array(b.ints(prod(shape), 0, 1), bool).reshape(shape)
    condition = _condition(b, x) if b.chance(0.6) else mask
    branches = [x, partner(b, x)]
    b.rng.shuffle(branches)
    return b.op(op, condition, *branches)
