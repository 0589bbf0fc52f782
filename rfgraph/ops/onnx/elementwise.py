"""Operators whose output element reads the elements at its own position, and a few like them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import reduce
from typing import Any, TypeAlias

import numpy as np

from rfgraph.model.element_types import dtype_of
from rfgraph.model.graph import Kind, Node
from rfgraph.model.sizes import Shape, Sized, is_unknown
from rfgraph.ops.registry import Operation, Reads, describe, transfer
from rfgraph.ops.rounding import Rounding, at_ends, steady
from rfgraph.ops.shaping import (
    Extents,
    NoAnswer,
    ShapeRule,
    Steering,
    Wrong,
    broadcast,
    by_last,
    integers,
    need,
    unchanged,
)
from rfgraph.prune.passing import Drops, Moves, Pointwise
from rfgraph.reads.words import Elementwise, Everything, Factor, Read, aligned

# Operators of ONNX whose output element reads the elements at its own position. Those of one
# operand, to which parameters may be given, those whose operands are broadcast, and the rest.
UNARY = """
    Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Ceil Celu Clip Cos Cosh Elu Erf Exp Floor
    Gelu HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Log Mish Neg Not Reciprocal Relu
    Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Swish Tan Tanh
    ThresholdedRelu
"""
BROADCAST = """
    Add And BitShift BitwiseAnd BitwiseOr BitwiseXor Div Equal Greater GreaterOrEqual Less
    LessOrEqual Max Mean Min Mod Mul Or Pow Sub Sum Xor
"""
ELEMENTWISE = f"{UNARY} {BROADCAST} BitCast Cast PRelu SwiGLU"


def elementwise(op: Operation) -> Reads:
    """Each output element reads the elements at its position, by numpy's broadcasting.

    Y[o] <- X_k[o]  for every input k;  o without the axes that X_k lacks, 0 where it has size 1

    (3,) with (1,):   o: 0 1 2   reads: {0} {1} {2} with {0} {0} {0}
    """
    return [Elementwise(k) for k in op.inputs]


# One input, or several that are broadcast as in numpy
# (https://onnx.ai/onnx/repo-docs/Broadcasting.html).
for _name in ELEMENTWISE.split():
    transfer(_name)(elementwise)


_COMPUTED_SHAPE = "its shape is computed: everything along the axes of unknown size is assumed"


@transfer("Expand", since=8, computed=_COMPUTED_SHAPE)
def expand(op: Operation) -> Reads:
    """The input is repeated along axes of size 1, by numpy's broadcasting.

    Y[o] <- X[o], 0 where X has size 1

    https://onnx.ai/onnx/operators/onnx__Expand.html
    """
    if op.live(1) and not op.has_sizes_of_its_own(1):
        op.note(_COMPUTED_SHAPE)
        return [Elementwise(0), Everything(1)]
    return [Elementwise(0)]


@transfer("Where", since=9)
def where(op: Operation) -> Reads:
    """Each element of one of two inputs.

    output[o] <- condition[o], X[o] * condition[o], Y[o] * not condition[o]

    Pruned, X is not read where the condition is known not to hold, nor Y where it is.

    https://onnx.ai/onnx/operators/onnx__Where.html
    """
    fact = op.known(0)
    if fact is None:
        return elementwise(op)
    axes = aligned(len(op.shape(0)), len(op.out()))
    return [
        Elementwise(k, () if settled is None else (Factor(settled, axes),))
        for k, settled in ((0, fact.known), (1, fact.zeros), (2, fact.ones))
    ]


@transfer("CastLike", since=15)
def cast_like(op: Operation) -> Reads:
    """Each element is converted; of `target_type` only the type counts.

    Y[o] <- X[o]

    https://onnx.ai/onnx/operators/onnx__CastLike.html
    """
    return [Elementwise(0)]


@transfer("Dropout", since=12)
def dropout(op: Operation) -> Reads:
    """In training each element is kept or dropped by chance: `mask` reads no data.

    Y[o] <- data[o]
    in training:  Y[o] <- data[o], ratio;  mask[o] <- ratio

    Both read `training_mode` where it is computed.

    https://onnx.ai/onnx/operators/onnx__Dropout.html
    """
    training = op.static(2) if op.has(2) else np.array(False)
    if training is not None and not training.any():
        return [Elementwise(0)], []
    settings: list[Read] = [Elementwise(k) for k in op.inputs[1:]]
    return [Elementwise(0), *settings], settings


@transfer("Dropout", since=7, shape=lambda op: op.shape(0))
def plain_dropout(op: Operation) -> Reads:
    """Each element as it is: `mask` reads nothing.

    Y[o] <- data[o]

    https://onnx.ai/onnx/operators/onnx__Dropout.html#dropout-10
    """
    return [Elementwise(0)], []


# ---------------------------------------------------------------- shapes


def _broadcast(kind: Kind, shapes: Extents, _: Steering) -> Shape:
    try:
        return broadcast(shapes)
    except NoAnswer:
        # Earlier ones say in attributes how.
        need(kind.version >= 7)
        raise Wrong(f"{' and '.join(map(str, shapes))} can't be broadcast") from None


def _sloped(kind: Kind, shapes: Extents, _: Steering) -> Shape:
    need(broadcast(shapes) == shapes[0])
    return shapes[0]


def _expand(kind: Kind, shapes: Extents, values: Steering) -> Shape:
    assert values[0] is not None
    given = tuple(integers(values[0]))
    need(min(given, default=1) > 0 and values[0].ndim == 1)
    return broadcast((shapes[0], given))


def _cast_to(kind: Kind, _: Sequence[int]) -> int:
    return int(kind.attribute("to", 0))


def _leaves_mask_open(kind: Kind) -> bool:
    """Before version 10 inference leaves the mask of a Dropout open."""
    return kind.version < 10 and kind.outputs > 1


def _broadcast_with(source: Shape, given: Shape) -> Sized:
    """`source` broadcast with a shape that is `given`."""
    rank = max(len(source), len(given))
    pairs = zip(*((1,) * (rank - len(s)) + s for s in (source, given)), strict=True)
    return tuple([_longer(n, m) for n, m in pairs])


def _told(_: Node, source: Shape | None, given: Shape) -> Sized | None:
    """The shape of an Expand, some of whose sizes are open."""
    return None if source is None else _broadcast_with(source, given)


def _longer(n: int, m: int) -> int | None:
    if n == m or m == 1:
        return n
    if n == 1:
        return m
    if is_unknown(n):
        return None if is_unknown(m) else m
    return n


# ---------------------------------------------------------------- values


Value: TypeAlias = "Callable[[Kind, Sequence[Any]], Any]"


def _are_numbers(inputs: Sequence[Any]) -> bool:
    return all(value.dtype.kind in "biuf" for value in inputs)


def _ufunc(function: Callable[..., Any]) -> Value:
    def evaluated(kind: Kind, inputs: Sequence[Any]) -> Any:
        need(_are_numbers(inputs))
        return function(*inputs)

    return evaluated


def _folded(function: Callable[..., Any]) -> Value:
    def evaluated(kind: Kind, inputs: Sequence[Any]) -> Any:
        need(_are_numbers(inputs) and all(i.dtype == inputs[0].dtype for i in inputs))
        return reduce(function, inputs)

    return evaluated


def _same_type(function: Callable[..., Any], kinds: str = "iuf") -> Value:
    """Of numbers of one type, and no truth values, of which numpy makes other things."""

    def evaluated(kind: Kind, inputs: Sequence[Any]) -> Any:
        first = inputs[0]
        need(first.dtype.kind in kinds and all(i.dtype == first.dtype for i in inputs))
        if first.dtype.kind != "f":
            return function(*inputs)
        with np.errstate(all="ignore"):
            return function(*inputs)

    return evaluated


def _truncated(a: Any, b: Any) -> Any:
    """A quotient; of integers towards zero."""
    if a.dtype.kind == "f":
        return a / b
    need(np.all(b))
    quotient = a // b
    if a.dtype.kind == "u":
        return quotient
    return quotient + ((a % b != 0) & ((a < 0) != (b < 0))).astype(a.dtype)


def _gated(gate: Callable[[Any], Any]) -> Value:
    """A number times its gate; the reference has no such operators."""

    def evaluated(kind: Kind, inputs: Sequence[Any]) -> Any:
        (value,) = inputs
        need(value.dtype.kind == "f" and np.isfinite(value).all())
        with np.errstate(all="ignore"):
            return (value * gate(value)).astype(value.dtype)

    return evaluated


def _powers(op: Operation, axes: Collection[int]) -> Rounding:
    """Squares are products."""
    exponent = op.static(1)
    is_square = exponent is not None and exponent.size == 1 and exponent.item() == 2
    return steady(op, axes) if is_square else at_ends(op, axes)


def _mod(kind: Kind, inputs: Sequence[Any]) -> Any:
    a, b = inputs
    need(a.dtype == b.dtype and a.dtype.kind in "iuf" and np.all(b))
    if kind.attribute("fmod", 0):
        return np.fmod(a, b)
    need(a.dtype.kind in "iu")
    return np.mod(a, b)


def _cast(kind: Kind, inputs: Sequence[Any]) -> Any:
    (value,) = inputs
    target = dtype_of(kind.attribute("to"))
    need(target.kind in "biuf" and value.dtype.kind in "biuf")
    if value.dtype.kind == "f" and target.kind in "iu" and value.size:
        # What lies beyond the type is anything.
        limits = np.iinfo(target)
        need(np.isfinite(value).all() and limits.min <= value.min() <= value.max() < limits.max)
    if value.dtype.kind != "f":
        return value.astype(target)
    with np.errstate(all="ignore"):
        return value.astype(target)


def _where(kind: Kind, inputs: Sequence[Any]) -> Any:
    condition, x, y = inputs
    need(condition.dtype.kind == "b" and x.dtype == y.dtype)
    return np.where(condition, x, y)


def _expanded(kind: Kind, inputs: Sequence[Any]) -> Any:
    value, given = inputs
    return np.broadcast_to(value, broadcast((value.shape, tuple(given.tolist()))))


def _same_value(kind: Kind, inputs: Sequence[Any]) -> Any:
    return inputs[0]


describe(UNARY, shape=ShapeRule(unchanged))
describe(BROADCAST, shape=ShapeRule(_broadcast))
describe("Where", shape=ShapeRule(_broadcast), value=_where)
describe("Cast", shape=ShapeRule(unchanged, element=_cast_to), value=_cast)
describe("CastLike", shape=ShapeRule(unchanged))
describe("Dropout", shape=ShapeRule(unchanged, instead=_leaves_mask_open))
describe("Expand", shape=ShapeRule(_expand, (1,)), value=_expanded, growth=by_last, told=_told)
describe("Identity", value=_same_value)
describe("PRelu", shape=ShapeRule(_sloped))
for _name, _value in {
    "Abs": _same_type(np.abs),
    "Add": _same_type(np.add),
    "And": _ufunc(np.logical_and),
    "Ceil": _same_type(np.ceil, "f"),
    "Div": _same_type(_truncated),
    "Equal": _ufunc(np.equal),
    "Floor": _same_type(np.floor, "f"),
    "Greater": _ufunc(np.greater),
    "HardSwish": _gated(lambda x: np.clip(x / 6 + 0.5, 0, 1)),
    "GreaterOrEqual": _ufunc(np.greater_equal),
    "Less": _ufunc(np.less),
    "LessOrEqual": _ufunc(np.less_equal),
    "Max": _folded(np.maximum),
    "Min": _folded(np.minimum),
    "Mish": _gated(lambda x: np.tanh(np.log1p(np.exp(x)))),
    "Mod": _mod,
    "Mul": _same_type(np.multiply),
    "Neg": _same_type(np.negative),
    "Not": _ufunc(np.logical_not),
    "Or": _ufunc(np.logical_or),
    "Sqrt": _same_type(np.sqrt, "f"),
    "Sub": _same_type(np.subtract),
    "Xor": _ufunc(np.logical_xor),
}.items():
    describe(_name, value=_value)
describe(ELEMENTWISE, facts=Pointwise())
describe("CastLike", facts=Pointwise())
describe("Add Sum", facts=Pointwise("low term"))
describe("And", facts=Pointwise("zero"))
describe("Cast", facts=Pointwise(low="stays"))
describe("Div", facts=Pointwise("zero numerator"))
describe("Exp", facts=Pointwise(low="vanishes"))
describe("Max", facts=Pointwise("all low"))
describe("Min", facts=Pointwise("lowest", "factor"))
describe("Mul", facts=Pointwise("zero", "factor"))
describe("Or", facts=Pointwise("truth"))
describe("Sub", facts=Pointwise("low minuend"))
describe("Where", facts=Pointwise("condition", "choice"))
describe("Dropout", facts=Drops())
describe("Acos Asin Atan Celu Cos Elu Log Mish Selu Sin Softplus", rounding=at_ends)
describe("Pow", rounding=_powers)
describe("Expand Identity", facts=Moves())
