"""The arithmetic of shapes, indices and masks: nodes whose inputs are known, evaluated.

One small function an operator, on arrays. What it raises means that it has no answer: ONNX's
reference implementation is asked then, which is general and slow. What runtimes do counts where
they and the reference differ: integers are divided towards zero.

Source: https://onnx.ai/onnx/operators/.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from math import ceil
from typing import Any, TypeAlias

import numpy as np

from rfgraph.model.element_types import dtype_of
from rfgraph.model.graph import Kind
from rfgraph.model.shape_rules import RULES, NoAnswer, broadcast

# The inputs by position; None for one that is left out.
Inputs: TypeAlias = Sequence[Any]


def evaluate(kind: Kind, inputs: Inputs) -> Sequence[Any]:
    """The outputs of a node whose inputs are known.

    Parameters
    ----------
    kind : Kind
        What the node is.
    inputs : sequence of array or None
        Its inputs; None for one that is left out.
    """
    known = _KNOWN.get(kind.op_type) if not kind.domain else None
    if known is not None:
        try:
            found = known(kind, inputs)
        except MemoryError:
            raise
        except Exception:
            # What is unusual, and what does not fit, is the reference's.
            return referred(kind, inputs)
        return found if isinstance(found, list) else [found]
    return referred(kind, inputs)


def referred(kind: Kind, inputs: Inputs) -> Sequence[Any]:
    """The outputs of a node by ONNX's reference implementation, which is only now imported."""
    import onnx
    from onnx.reference import ReferenceEvaluator
    from onnx.reference.ops import load_op

    parameters = {
        "log": lambda *_: None,
        "opsets": {kind.domain: kind.version},
        "verbose": 0,
        "new_ops": None,
        "existing_functions": {},
        "evaluator_cls": ReferenceEvaluator,
    }
    proto = onnx.NodeProto()
    proto.CopyFrom(kind.proto)
    proto.input.extend("" if value is None else f"{k}" for k, value in enumerate(inputs))
    proto.output.extend("" if ~k in kind.left_out else f"o{k}" for k in range(kind.outputs))
    operator = load_op(kind.domain, kind.op_type, kind.version, node=proto)
    if kind.op_type == "CumSum" and not kind.domain:
        # An axis of shape (1,), as exporters write it, is refused by the reference.
        inputs = [inputs[0], inputs[1].reshape(())]
    with np.errstate(all="ignore"):
        results: Sequence[Any] = operator(proto, parameters).run(*inputs)
    return results


def _need(fits: object) -> None:
    if not fits:
        raise NoAnswer


# ---------------------------------------------------------------- element by element


def _are_numbers(inputs: Inputs) -> bool:
    return all(value.dtype.kind in "biuf" for value in inputs)


def _ufunc(function: Callable[..., Any]) -> Callable[[Kind, Inputs], Any]:
    def evaluated(kind: Kind, inputs: Inputs) -> Any:
        _need(_are_numbers(inputs))
        return function(*inputs)

    return evaluated


def _folded(function: Callable[..., Any]) -> Callable[[Kind, Inputs], Any]:
    def evaluated(kind: Kind, inputs: Inputs) -> Any:
        _need(_are_numbers(inputs) and all(i.dtype == inputs[0].dtype for i in inputs))
        return reduce(function, inputs)

    return evaluated


def _same_type(function: Callable[..., Any], kinds: str = "iuf") -> Callable[[Kind, Inputs], Any]:
    """Of numbers of one type, and no truth values, of which numpy makes other things."""

    def evaluated(kind: Kind, inputs: Inputs) -> Any:
        first = inputs[0]
        _need(first.dtype.kind in kinds and all(i.dtype == first.dtype for i in inputs))
        if first.dtype.kind != "f":
            return function(*inputs)
        with np.errstate(all="ignore"):
            return function(*inputs)

    return evaluated


def _truncated(a: Any, b: Any) -> Any:
    """A quotient; of integers towards zero."""
    if a.dtype.kind == "f":
        return a / b
    _need(np.all(b))
    quotient = a // b
    if a.dtype.kind == "u":
        return quotient
    return quotient + ((a % b != 0) & ((a < 0) != (b < 0))).astype(a.dtype)


def _mod(kind: Kind, inputs: Inputs) -> Any:
    a, b = inputs
    _need(a.dtype == b.dtype and a.dtype.kind in "iuf" and np.all(b))
    if kind.attribute("fmod", 0):
        return np.fmod(a, b)
    _need(a.dtype.kind in "iu")
    return np.mod(a, b)


def _cast(kind: Kind, inputs: Inputs) -> Any:
    (value,) = inputs
    target = dtype_of(kind.attribute("to"))
    _need(target.kind in "biuf" and value.dtype.kind in "biuf")
    if value.dtype.kind == "f" and target.kind in "iu" and value.size:
        # What lies beyond the type is anything.
        limits = np.iinfo(target)
        _need(np.isfinite(value).all() and limits.min <= value.min() <= value.max() < limits.max)
    if value.dtype.kind != "f":
        return value.astype(target)
    with np.errstate(all="ignore"):
        return value.astype(target)


def _where(kind: Kind, inputs: Inputs) -> Any:
    condition, x, y = inputs
    _need(condition.dtype.kind == "b" and x.dtype == y.dtype)
    return np.where(condition, x, y)


# ---------------------------------------------------------------- in another place


def _shaped(kind: Kind, inputs: Inputs) -> Any:
    """Elements in their order, in the shape that the rule of the operator gives."""
    rule = RULES[kind.op_type]
    shapes = [() if value is None else value.shape for value in inputs]
    values = [inputs[k] if k < len(inputs) else None for k in rule.steering]
    shape = rule.shape(kind, shapes, values)
    return inputs[0].reshape(shape)


def _transpose(kind: Kind, inputs: Inputs) -> Any:
    return inputs[0].transpose(kind.attribute("perm"))


def _concat(kind: Kind, inputs: Inputs) -> Any:
    _need(all(value.dtype == inputs[0].dtype for value in inputs))
    return np.concatenate(inputs, kind.attribute("axis"))


def _gather(kind: Kind, inputs: Inputs) -> Any:
    data, indices = inputs
    _need(indices.dtype.kind in "iu")
    return data.take(indices, kind.attribute("axis", 0))


def _slice(kind: Kind, inputs: Inputs) -> Any:
    _need(kind.version >= 10)
    data, *given = inputs
    starts, ends, axes, steps = [*given, None, None][:4]
    cut: list[Any] = [slice(None)] * data.ndim
    if axes is None:
        axes = np.arange(len(starts))
    if steps is None:
        steps = np.ones(len(starts), np.int64)
    _need(starts.ndim == ends.ndim == axes.ndim == steps.ndim == 1)
    for start, end, axis, step in zip(
        starts.tolist(), ends.tolist(), axes.tolist(), steps.tolist(), strict=True
    ):
        n = data.shape[axis]
        _need(n > 0 and step and cut[axis] == slice(None))
        start += n if start < 0 else 0
        end += n if end < 0 else 0
        if step > 0:
            cut[axis] = slice(max(start, 0), max(end, 0), step)
        else:
            start, end = min(max(start, 0), n - 1), min(end, n - 1)
            cut[axis] = slice(start, None if end < 0 else end, step)
    return data[tuple(cut)]


def _split(kind: Kind, inputs: Inputs) -> Any:
    value = inputs[0]
    axis = kind.attribute("axis", 0)
    shapes = RULES["Split"].shape(kind, [value.shape], [inputs[1] if len(inputs) > 1 else None])
    ends = np.cumsum([shape[axis] for shape in shapes])[:-1]  # type: ignore[index]
    return np.split(value, ends, axis)


def _expand(kind: Kind, inputs: Inputs) -> Any:
    value, given = inputs
    return np.broadcast_to(value, broadcast((value.shape, tuple(given.tolist()))))


def _tile(kind: Kind, inputs: Inputs) -> Any:
    value, repeats = inputs
    _need(repeats.shape == (value.ndim,))
    return np.tile(value, repeats.tolist())


def _trilu(kind: Kind, inputs: Inputs) -> Any:
    k = int(inputs[1].item()) if len(inputs) > 1 and inputs[1] is not None else 0
    return (np.triu if kind.attribute("upper", 1) else np.tril)(inputs[0], k)


# ---------------------------------------------------------------- sums


def _reduced(function: Callable[..., Any]) -> Callable[[Kind, Inputs], Any]:
    def evaluated(kind: Kind, inputs: Inputs) -> Any:
        value = inputs[0]
        _need(value.dtype.kind in "iu" and value.size)
        axes = kind.attribute("axes")
        if len(inputs) > 1 and inputs[1] is not None:
            axes = inputs[1].reshape(-1).tolist()
        if not axes:
            if kind.attribute("noop_with_empty_axes", 0):
                return value
            axes = range(value.ndim)
        keep = bool(kind.attribute("keepdims", 1))
        return function(value, axis=tuple(axes), dtype=value.dtype, keepdims=keep)

    return evaluated


def _extreme(function: Callable[..., Any]) -> Callable[..., Any]:
    def evaluated(value: Any, axis: Any, dtype: Any, keepdims: bool) -> Any:
        return function(value, axis=axis, keepdims=keepdims)

    return evaluated


def _cumsum(kind: Kind, inputs: Inputs) -> Any:
    value, axis = inputs[0], int(inputs[1].item())
    _need(value.dtype.kind in "iu" and -value.ndim <= axis < value.ndim)
    turned = np.flip(value, axis) if kind.attribute("reverse", 0) else value
    summed = np.cumsum(turned, axis, dtype=value.dtype)
    if kind.attribute("exclusive", 0):
        summed = summed - turned
    return np.flip(summed, axis) if kind.attribute("reverse", 0) else summed


# ---------------------------------------------------------------- made


def _constant_of_shape(kind: Kind, inputs: Inputs) -> Any:
    value = kind.attribute("value")
    fill = np.zeros(1, np.float32) if value is None else value.array()
    _need(fill.size == 1 and fill.dtype.kind in "biuf")
    # One element in the place of all.
    return np.broadcast_to(fill.reshape(()), tuple(inputs[0].tolist()))


def _range(kind: Kind, inputs: Inputs) -> Any:
    start, limit, delta = inputs
    _need(start.dtype == limit.dtype == delta.dtype and delta.item())
    count = max(ceil((limit.item() - start.item()) / delta.item()), 0)
    steps = np.arange(count).astype(start.dtype)
    made = start.reshape(()) + steps * delta.reshape(())
    return made.astype(start.dtype)


def _unique(kind: Kind, inputs: Inputs) -> list[Any]:
    """In the order of the input the reference takes the wrong elements."""
    axis = kind.attribute("axis")
    Y, indices, inverse, counts = np.unique(inputs[0], True, True, True, axis=axis)
    inverse = inverse.reshape(-1)
    if not kind.attribute("sorted", 1):
        order = np.argsort(indices)
        Y = np.take(Y, order, axis=0 if axis is None else axis)
        indices, counts = indices[order], counts[order]
        inverse = np.argsort(order)[inverse]
    return [Y, *(found.astype(np.int64) for found in (indices, inverse, counts))]


def _identity(kind: Kind, inputs: Inputs) -> Any:
    return inputs[0]


_KNOWN: dict[str, Callable[[Kind, Inputs], Any]] = {
    "Abs": _same_type(np.abs),
    "Add": _same_type(np.add),
    "And": _ufunc(np.logical_and),
    "Cast": _cast,
    "Ceil": _same_type(np.ceil, "f"),
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "CumSum": _cumsum,
    "Div": _same_type(_truncated),
    "Equal": _ufunc(np.equal),
    "Expand": _expand,
    "Flatten": _shaped,
    "Floor": _same_type(np.floor, "f"),
    "Gather": _gather,
    "Greater": _ufunc(np.greater),
    "GreaterOrEqual": _ufunc(np.greater_equal),
    "Identity": _identity,
    "Less": _ufunc(np.less),
    "LessOrEqual": _ufunc(np.less_equal),
    "Max": _folded(np.maximum),
    "Min": _folded(np.minimum),
    "Mod": _mod,
    "Mul": _same_type(np.multiply),
    "Neg": _same_type(np.negative),
    "Not": _ufunc(np.logical_not),
    "Or": _ufunc(np.logical_or),
    "Range": _range,
    "ReduceMax": _reduced(_extreme(np.max)),
    "ReduceMin": _reduced(_extreme(np.min)),
    "ReduceProd": _reduced(np.prod),
    "ReduceSum": _reduced(np.sum),
    "Reshape": _shaped,
    "Slice": _slice,
    "Split": _split,
    "Sqrt": _same_type(np.sqrt, "f"),
    "Squeeze": _shaped,
    "Sub": _same_type(np.subtract),
    "Tile": _tile,
    "Transpose": _transpose,
    "Trilu": _trilu,
    "Unique": _unique,
    "Unsqueeze": _shaped,
    "Where": _where,
    "Xor": _ufunc(np.logical_xor),
}
