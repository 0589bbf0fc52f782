"""Output shapes of the operators that graphs are made of: one small function each.

A rule takes what nodes have in common, the shapes of its inputs and, of the inputs that steer the
shape, the values. What it raises means that it has no answer: ONNX's own inference is asked then,
which also finds the words for inputs that don't fit. Where that inference is wrong, `Rule.instead`
says so and the rule has the last word.

Source: https://onnx.ai/onnx/operators/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, prod
from typing import NamedTuple, TypeAlias

import numpy as np

from rfgraph.model import element_types
from rfgraph.model.graph import Kind
from rfgraph.model.signatures import signature

Shape: TypeAlias = tuple[int, ...]
# Of each input; an input that is left out has the shape ().
Shapes: TypeAlias = Sequence[Shape]
# Of the inputs that steer, in the order in which a rule names them; None for one left out.
Values: TypeAlias = Sequence[np.ndarray | None]
# The shape of all outputs, or of each.
Answer: TypeAlias = "Shape | list[Shape]"


class NoAnswer(Exception):  # noqa: N818 - an answer, not an error: it never leaves rfgraph
    """Raised by a rule that has none."""


class Wrong(Exception):  # noqa: N818 - told by `rfgraph.model.shapes` as the error of a node
    """Raised by a rule for a node that is wrong whatever its inputs are; the message says why.

    ONNX's own inference is not asked: of some such nodes it ends the process.
    """


@dataclass(frozen=True, slots=True)
class Rule:
    """How the outputs of an operator follow from its inputs.

    Attributes
    ----------
    shape : callable
        Gives the shape of the outputs.
    steering : tuple of int
        The inputs whose values the shape depends on.
    element : callable or None
        Gives the element type of the outputs from those of the inputs, where ONNX's definition of
        the operator does not tell it.
    instead : callable or None
        Whether ONNX's own inference is wrong about nodes of a kind, or knows nothing.
    """

    shape: Callable[[Kind, Shapes, Values], Answer]
    steering: tuple[int, ...] = ()
    element: Callable[[Kind, Sequence[int]], int] | None = None
    instead: Callable[[Kind], bool] | None = None


class Applied(NamedTuple):
    """The rule for nodes of one kind.

    Attributes
    ----------
    rule : Rule
        The rule.
    instead : bool
        Whether it has the last word.
    elements : list of (int, int)
        For each output its element type, or else 0 and the input that has the same one.
    """

    rule: Rule
    instead: bool
    elements: list[tuple[int, int]]


def element_type(kind: Kind, types: Sequence[int], position: int) -> int:
    """The element type of an output by ONNX's definition and the types of the inputs; 0 where
    these don't tell it.
    """
    found = signature(kind.domain, kind.op_type, kind.version)
    alone, like = (0, -1) if found is None else found.element(position)
    return alone or (types[like] if 0 <= like < len(types) else 0)


def rule_of(kind: Kind) -> Applied | None:
    """The rule for nodes of a kind, which are as ONNX defines the operator; None if it has none."""
    if kind.rule is NotImplemented:
        kind.rule = _rule_of(kind)
    found: Applied | None = kind.rule
    return found


def _rule_of(kind: Kind) -> Applied | None:
    rule = RULES.get(kind.op_type) if not kind.domain else None
    if rule is None:
        return None
    known = signature("", kind.op_type, kind.version)
    instead = rule.instead is not None and rule.instead(kind)
    if not instead:
        if known is None or kind.fault:
            return None
        # What inference says of attributes that an operator doesn't have is not for a rule to tell.
        if not kind.attributes.keys() <= known.attributes.keys():
            return None
    elements = [(0, 0) if known is None else known.element(k) for k in range(kind.outputs)]
    return Applied(rule, instead, elements)


def _need(fits: object) -> None:
    if not fits:
        raise NoAnswer


def _axis(axis: int, rank: int) -> int:
    _need(-rank <= axis < rank)
    return axis % rank


def _integers(value: np.ndarray | None) -> list[int]:
    """A vector of whole numbers, or one alone."""
    if value is None or value.dtype.kind not in "iu" or value.ndim > 1:
        raise NoAnswer
    found: list[int] = value.reshape(-1).tolist()
    return found


# ---------------------------------------------------------------- element by element


def _unchanged(kind: Kind, shapes: Shapes, _: Values) -> Shape:
    return shapes[0]


def _along_axis(kind: Kind, shapes: Shapes, _: Values) -> Shape:
    """As the input, which has an axis that an attribute names."""
    old = kind.version < 13 and kind.op_type != "LpNormalization"
    _axis(kind.attribute("axis", 1 if old else -1), len(shapes[0]))
    return shapes[0]


def broadcast(shapes: Iterable[Shape]) -> Shape:
    """The shape that some shapes are broadcast to."""
    first, *others = shapes
    for other in others:
        if first == other or not other:
            continue
        rank = max(len(first), len(other))
        a = (1,) * (rank - len(first)) + first
        b = (1,) * (rank - len(other)) + other
        made = []
        for n, m in zip(a, b, strict=True):
            _need(n == m or n == 1 or m == 1)
            made.append(m if n == 1 else n)
        first = tuple(made)
    return first


def _broadcast(kind: Kind, shapes: Shapes, _: Values) -> Shape:
    return broadcast(shapes)


def _sloped(kind: Kind, shapes: Shapes, _: Values) -> Shape:
    _need(broadcast(shapes) == shapes[0])
    return shapes[0]


def _cast_to(kind: Kind, _: Sequence[int]) -> int:
    return int(kind.attribute("to", 0))


def _quantised_type(kind: Kind, types: Sequence[int]) -> int:
    told = int(kind.attribute("output_dtype", 0))
    return (types[2] if len(types) > 2 else 0) or told or element_types.UINT8


def _dequantised_type(kind: Kind, types: Sequence[int]) -> int:
    return int(kind.attribute("output_dtype", 0)) or types[1]


def _layer_norm(kind: Kind, shapes: Shapes, _: Values) -> Shape:
    _need(kind.outputs == 1)
    _axis(kind.attribute("axis", -1), len(shapes[0]))
    return shapes[0]


def _batch_norm(kind: Kind, shapes: Shapes, _: Values) -> Shape:
    _need(kind.outputs == 1 and len(shapes[0]) > 1)
    _need(all(shape == (shapes[0][1],) for shape in shapes[1:]))
    return shapes[0]


def _dynamically_quantised(kind: Kind, shapes: Shapes, _: Values) -> list[Shape]:
    return [shapes[0], (), ()]


# ---------------------------------------------------------------- windows


def _window(kind: Kind, spatial: Sequence[int], kernel: Sequence[int]) -> list[int]:
    """Sizes after a window has gone along the axes, those that are left by the way."""
    rank, given = len(spatial), kind.attributes
    ones = [1] * rank
    strides = given.get("strides") or ones
    dilations = given.get("dilations") or ones
    pads = given.get("pads") or [0] * (2 * rank)
    auto_pad = given.get("auto_pad", "NOTSET")
    _need(rank == len(kernel) == len(strides) == len(dilations) and len(pads) == 2 * rank)
    _need(min(kernel) > 0 and min(strides) > 0 and min(dilations) > 0)
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        _need(min(spatial) > 0)
        return [-(-n // stride) for n, stride in zip(spatial, strides, strict=True)]
    if auto_pad == "VALID":
        pads = [0] * (2 * rank)
    else:
        _need(auto_pad == "NOTSET")
    sizes = []
    for a, n in enumerate(spatial):
        # How far the window can go; where it does not fit, inference rounds towards zero as well.
        room = n + pads[a] + pads[a + rank] - (kernel[a] - 1) * dilations[a] - 1
        steps = room // strides[a] if room >= 0 else -(-room // strides[a])
        sizes.append(steps + 1)
    return sizes


def _conv(x: int, w: int) -> Callable[[Kind, Shapes, Values], Shape]:
    def output(kind: Kind, shapes: Shapes, _: Values) -> Shape:
        X, W = shapes[x], shapes[w]
        group = kind.attribute("group", 1)
        _need(len(X) == len(W) > 2 and X[1] == W[1] * group and W[0] % group == 0)
        _need(tuple(kind.attribute("kernel_shape") or W[2:]) == W[2:])
        return (X[0], W[0], *_window(kind, X[2:], W[2:]))

    return output


def _is_ceiled(kind: Kind) -> bool:
    """With ``ceil_mode`` a window that would begin beyond the input and its first padding does
    not count (https://onnx.ai/onnx/operators/onnx__AveragePool.html); inference counts it.
    """
    return bool(kind.attribute("ceil_mode", 0) and kind.attribute("kernel_shape"))


def _pool(kind: Kind, shapes: Shapes, _: Values) -> Shape:
    shape, kernel = shapes[0], kind.attribute("kernel_shape")
    if not _is_ceiled(kind):
        _need(len(shape) > 2)
        return (*shape[:2], *_window(kind, shape[2:], kernel))
    rank = len(kernel)
    strides = kind.attribute("strides") or [1] * rank
    dilations = kind.attribute("dilations") or [1] * rank
    pads = kind.attribute("pads") or [0] * (2 * rank)
    auto_pad = kind.attribute("auto_pad", "NOTSET")
    sizes = []
    for a, n in enumerate(shape[2:]):
        if auto_pad.startswith("SAME"):
            sizes.append(ceil(n / strides[a]))
            continue
        begin, end = (pads[a], pads[a + rank]) if auto_pad == "NOTSET" else (0, 0)
        reach = (kernel[a] - 1) * dilations[a] + 1
        count = -((reach - n - begin - end) // strides[a]) + 1
        if (count - 1) * strides[a] >= n + begin:
            count -= 1
        sizes.append(count)
    return (*shape[:2], *sizes)


def _global_pool(kind: Kind, shapes: Shapes, _: Values) -> Shape:
    _need(len(shapes[0]) > 2)
    return shapes[0][:2] + (1,) * (len(shapes[0]) - 2)


def _is_of_told_size(kind: Kind) -> bool:
    """An `output_shape` is that of the spatial axes, which inference takes for all. With
    ``auto_pad=SAME_*`` the output is size * stride long, to which inference adds
    `output_padding` (https://onnx.ai/onnx/operators/onnx__ConvTranspose.html); runtimes don't
    lengthen it to that where it is shorter by itself.
    """
    return bool(
        kind.attribute("output_shape") or kind.attribute("auto_pad", "NOTSET").startswith("SAME")
    )


def _conv_transpose(kind: Kind, shapes: Shapes, _: Values) -> Shape:
    X, W = shapes[:2]
    rank = len(X) - 2
    strides = kind.attribute("strides") or [1] * rank
    dilations = kind.attribute("dilations") or [1] * rank
    extra = kind.attribute("output_padding") or [0] * rank
    channels = W[1] * kind.attribute("group", 1)
    if _is_of_told_size(kind):
        sizes = list(kind.attribute("output_shape") or [])[-rank:]
        if not sizes:
            for a, n in enumerate(X[2:]):
                reach = (W[a + 2] - 1) * dilations[a] + 1
                sizes.append(min(n * strides[a], (n - 1) * strides[a] + extra[a] + reach))
        return (X[0], channels, *sizes)
    pads = kind.attribute("pads") or [0] * (2 * rank)
    if kind.attribute("auto_pad", "NOTSET") == "VALID":
        pads = [0] * (2 * rank)
    _need(len(W) == len(X) > 2 and W[0] == X[1] and len(pads) == 2 * rank)
    _need(rank == len(strides) == len(dilations) == len(extra))
    _need(tuple(kind.attribute("kernel_shape") or W[2:]) == W[2:])
    sizes = [
        (n - 1) * strides[a]
        + extra[a]
        + (W[a + 2] - 1) * dilations[a]
        + 1
        - pads[a]
        - pads[a + rank]
        for a, n in enumerate(X[2:])
    ]
    _need(min(*sizes, *X[2:], *W[2:]) > 0)
    return (X[0], channels, *sizes)


# ---------------------------------------------------------------- products and sums


def _matmul(a: int, b: int) -> Callable[[Kind, Shapes, Values], Shape]:
    def output(kind: Kind, shapes: Shapes, _: Values) -> Shape:
        A, B = shapes[a], shapes[b]
        _need(A and B and A[-1] == (B[-2] if len(B) > 1 else B[0]))
        batch = broadcast((A[:-2], B[:-2]))
        return (*batch, *A[-2:-1], *(B[-1:] if len(B) > 1 else ()))

    return output


def _gemm(kind: Kind, shapes: Shapes, _: Values) -> Shape:
    A, B = shapes[:2]
    _need(len(A) == len(B) == 2)
    if kind.attribute("transA", 0):
        A = A[::-1]
    if kind.attribute("transB", 0):
        B = B[::-1]
    out = (A[0], B[1])
    _need(A[1] == B[0] and (len(shapes) < 3 or broadcast((out, shapes[2])) == out))
    return out


def _axes(kind: Kind, given: np.ndarray | None) -> list[int] | None:
    """Axes that are an attribute or, in later versions, an input."""
    axes: list[int] | None = kind.attribute("axes") if given is None else _integers(given)
    # To count from the end is allowed since version 11.
    _need(not axes or min(axes) >= 0 or kind.version >= 11)
    return axes


def _reduced(kind: Kind, shapes: Shapes, values: Values) -> Shape:
    shape, axes = shapes[0], _axes(kind, values[0])
    if not axes:
        if kind.attribute("noop_with_empty_axes", 0):
            return shape
        # An empty attribute is none.
        axes = list(range(len(shape)))
    gone = {_axis(axis, len(shape)) for axis in axes}
    if kind.attribute("keepdims", 1):
        return tuple([1 if a in gone else n for a, n in enumerate(shape)])
    return tuple([n for a, n in enumerate(shape) if a not in gone])


def _reduced_to_place(kind: Kind, shapes: Shapes, _: Values) -> Shape:
    axis = _axis(kind.attribute("axis", 0), len(shapes[0]))
    kept = (1,) if kind.attribute("keepdims", 1) else ()
    return (*shapes[0][:axis], *kept, *shapes[0][axis + 1 :])


def _top(kind: Kind, shapes: Shapes, values: Values) -> Shape:
    shape = shapes[0]
    axis = _axis(kind.attribute("axis", -1), len(shape))
    (k,) = _integers(values[0]) if kind.version >= 10 else (kind.attribute("k"),)
    _need(0 <= k <= shape[axis])
    return (*shape[:axis], k, *shape[axis + 1 :])


# ---------------------------------------------------------------- elements in another place


def _has_shape_attribute(kind: Kind) -> bool:
    """Before version 5 the new shape is an attribute, and inference knows nothing."""
    return kind.version < 5 and kind.attribute("shape") is not None


def _reshape(kind: Kind, shapes: Shapes, values: Values) -> Shape:
    shape = shapes[0]
    told = _has_shape_attribute(kind)
    new: list[int] = kind.attribute("shape") if told else _integers(values[0])
    if not told:
        _need(values[0] is not None and values[0].ndim == 1)
        _need(min(new, default=0) >= -1 and new.count(-1) <= 1)
    keeps_zeros = kind.attribute("allowzero", 0)
    sizes = [n if n or keeps_zeros else shape[axis] for axis, n in enumerate(new)]
    if -1 in sizes:
        open_ = sizes.index(-1)
        others = prod(sizes[:open_] + sizes[open_ + 1 :])
        _need(told or (others and prod(shape) % others == 0))
        sizes[open_] = prod(shape) // others
    _need(told or prod(sizes) == prod(shape))
    return tuple(sizes)


def _flatten(kind: Kind, shapes: Shapes, _: Values) -> Shape:
    shape, axis = shapes[0], kind.attribute("axis", 1)
    _need(-len(shape) <= axis <= len(shape) and (axis >= 0 or kind.version >= 11))
    if axis < 0:
        axis += len(shape)
    return prod(shape[:axis]), prod(shape[axis:])


def _has_unsorted_axes(kind: Kind) -> bool:
    """Before version 13 inference drops the wrong axes where they are out of order."""
    axes = kind.attribute("axes") or []
    return bool(kind.version < 13 and axes != sorted(axes))


def _squeeze(kind: Kind, shapes: Shapes, values: Values) -> Shape:
    shape, axes = shapes[0], _axes(kind, values[0])
    if axes is None:
        return tuple([n for n in shape if n != 1])
    gone = {_axis(axis, len(shape)) for axis in axes}
    _need(axes and len(gone) == len(axes) and all(shape[axis] == 1 for axis in gone))
    return tuple([n for axis, n in enumerate(shape) if axis not in gone])


def _unsqueeze(kind: Kind, shapes: Shapes, values: Values) -> Shape:
    axes = _axes(kind, values[0])
    assert axes is not None
    rank = len(shapes[0]) + len(axes)
    new = {_axis(axis, rank) for axis in axes}
    _need(len(new) == len(axes))
    left = iter(shapes[0])
    return tuple([1 if axis in new else next(left) for axis in range(rank)])


def _transpose(kind: Kind, shapes: Shapes, _: Values) -> Shape:
    shape = shapes[0]
    perm = kind.attribute("perm")
    _need(shape)
    if perm is None:
        return shape[::-1]
    _need(sorted(perm) == list(range(len(shape))))
    return tuple([shape[axis] for axis in perm])


def _has_slice_attributes(kind: Kind) -> bool:
    """Before version 10 inference gives up on axes that are out of order."""
    return bool(kind.version < 10 and kind.attribute("starts") and kind.attribute("ends"))


def _slice(kind: Kind, shapes: Shapes, values: Values) -> Shape:
    sizes = list(shapes[0])
    if _has_slice_attributes(kind):
        starts, ends = kind.attribute("starts"), kind.attribute("ends")
        axes = kind.attribute("axes") or range(len(starts))
        for start, end, axis in zip(starts, ends, axes, strict=True):
            sizes[axis] = len(range(*slice(start, end).indices(shapes[0][axis])))
        return tuple(sizes)
    starts, ends = _integers(values[0]), _integers(values[1])
    axes = range(len(starts)) if values[2] is None else _integers(values[2])
    steps = [1] * len(starts) if values[3] is None else _integers(values[3])
    seen = set()
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis = _axis(axis, len(sizes))
        _need(axis not in seen)
        seen.add(axis)
        sizes[axis] = sliced(sizes[axis], start, end, step)
    return tuple(sizes)


def sliced(n: int, start: int, end: int, step: int) -> int:
    """How many elements of an axis of `n` a Slice takes, which confines places to the axis.

    >>> sliced(5, -2, 9, 1), sliced(5, -1, -9, -2)
    (2, 3)
    """
    _need(n > 0 and step)
    start += n if start < 0 else 0
    end += n if end < 0 else 0
    if step > 0:
        start, end = min(max(start, 0), n), min(max(end, 0), n)
    else:
        start, end = min(max(start, 0), n - 1), min(max(end, -1), n - 1)
    return max(-((start - end) // step), 0)


def _concat(kind: Kind, shapes: Shapes, _: Values) -> Shape:
    first = shapes[0]
    axis = kind.attribute("axis")
    _need(axis >= 0 or kind.version >= 11)
    axis = _axis(axis, len(first))
    before, behind = first[:axis], first[axis + 1 :]
    size = 0
    for shape in shapes:
        _need(len(shape) == len(first) and shape[:axis] == before and shape[axis + 1 :] == behind)
        size += shape[axis]
    return (*before, size, *behind)


def _split(kind: Kind, shapes: Shapes, values: Values) -> list[Shape]:
    shape, count = shapes[0], kind.outputs
    axis = _axis(kind.attribute("axis", 0), len(shape))
    n = shape[axis]
    sizes = kind.attribute("split") if values[0] is None else _integers(values[0])
    if sizes is None:
        # Before version 18 the parts are equal, from then on the last one may be smaller.
        _need(n % count == 0 or kind.version >= 18)
        told = kind.attribute("num_outputs")
        if kind.version >= 18 and told not in (None, count):
            raise Wrong(f"num_outputs is {told}, and it has {count} outputs")
        _need(kind.version < 18 or told is not None)
        part = -(-n // count)
        sizes = [part] * (count - 1) + [n - part * (count - 1)]
    if len(sizes) != count:
        raise Wrong(f"it is split into {len(sizes)} parts, and has {count} outputs")
    _need(sum(sizes) == n and min(sizes) >= 0)
    return [(*shape[:axis], size, *shape[axis + 1 :]) for size in sizes]


def _gather(kind: Kind, shapes: Shapes, _: Values) -> Shape:
    data, indices = shapes[:2]
    axis = _axis(kind.attribute("axis", 0), len(data))
    return (*data[:axis], *indices, *data[axis + 1 :])


def _gather_elements(kind: Kind, shapes: Shapes, _: Values) -> Shape:
    _need(len(shapes[0]) == len(shapes[1]))
    _axis(kind.attribute("axis", 0), len(shapes[0]))
    return shapes[1]


def _gather_nd(kind: Kind, shapes: Shapes, _: Values) -> Shape:
    data, indices = shapes[:2]
    return indices[:-1] + data[kind.attribute("batch_dims", 0) + indices[-1] :]


def _expand(kind: Kind, shapes: Shapes, values: Values) -> Shape:
    assert values[0] is not None
    given = tuple(_integers(values[0]))
    _need(min(given, default=1) > 0 and values[0].ndim == 1)
    return broadcast((shapes[0], given))


def _tile(kind: Kind, shapes: Shapes, values: Values) -> Shape:
    repeats = _integers(values[0])
    _need(min(repeats, default=0) >= 0)
    return tuple([n * r for n, r in zip(shapes[0], repeats, strict=True)])


def _pad(kind: Kind, shapes: Shapes, values: Values) -> Shape:
    shape = shapes[0]
    pads = kind.attribute("pads") if kind.version < 11 else _integers(values[0])
    axes = range(len(shape)) if values[1] is None else _integers(values[1])
    _need(len(axes) and len(pads) == 2 * len(axes))
    sizes = list(shape)
    seen = set()
    for k, axis in enumerate(axes):
        axis = _axis(axis, len(shape))
        _need(axis not in seen)
        seen.add(axis)
        sizes[axis] += pads[k] + pads[k + len(axes)]
        _need(sizes[axis] >= 0)
    return tuple(sizes)


def _depth_to_space(kind: Kind, shapes: Shapes, _: Values) -> Shape:
    n, c, h, w = shapes[0]
    block = kind.attribute("blocksize")
    _need(block > 0 and c % (block * block) == 0)
    return n, c // (block * block), h * block, w * block


def _space_to_depth(kind: Kind, shapes: Shapes, _: Values) -> Shape:
    n, c, h, w = shapes[0]
    block = kind.attribute("blocksize")
    _need(block > 0 and h % block == 0 and w % block == 0)
    return n, c * block * block, h // block, w // block


# ---------------------------------------------------------------- shapes and constants


def _shape(kind: Kind, shapes: Shapes, _: Values) -> Shape:
    return (len(shapes[0][kind.attribute("start", 0) : kind.attribute("end")]),)


def _scalar(kind: Kind, shapes: Shapes, _: Values) -> Shape:
    return ()


# The attributes of a Constant that are numbers or words, and what it then is made of.
_NUMBERS = {
    "value_float": element_types.FLOAT,
    "value_floats": element_types.FLOAT,
    "value_int": element_types.INT64,
    "value_ints": element_types.INT64,
    "value_string": element_types.STRING,
    "value_strings": element_types.STRING,
}


def _constant(kind: Kind, shapes: Shapes, _: Values) -> Shape:
    ((name, value),) = kind.attributes.items()
    if name == "value":
        _need(min(value.shape, default=0) >= 0)
        return tuple(value.shape)
    _need(name in _NUMBERS)
    return (len(value),) if name.endswith("s") else ()


def _constant_type(kind: Kind, _: Sequence[int]) -> int:
    ((name, value),) = kind.attributes.items()
    return int(value.element_type) if name == "value" else _NUMBERS[name]


def _constant_of_shape(kind: Kind, shapes: Shapes, values: Values) -> Shape:
    assert values[0] is not None
    sizes = _integers(values[0])
    _need(min(sizes, default=0) >= 0 and values[0].ndim == 1)
    return tuple(sizes)


def _filled_type(kind: Kind, _: Sequence[int]) -> int:
    value = kind.attribute("value")
    return element_types.FLOAT if value is None else int(value.element_type)


def _range(kind: Kind, shapes: Shapes, values: Values) -> Shape:
    assert all(value is not None for value in values)
    _need(all(value is not None and value.dtype.kind in "iuf" for value in values))
    start, limit, delta = (value.item() for value in values if value is not None)
    return (max(ceil((limit - start) / delta), 0),)


def _always(kind: Kind) -> bool:
    return True


def _leaves_mask_open(kind: Kind) -> bool:
    """Before version 10 inference leaves the mask of a Dropout open."""
    return kind.version < 10 and kind.outputs > 1


RULES: dict[str, Rule] = {
    **dict.fromkeys(
        [
            *("Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BitwiseNot", "Ceil"),
            *("Celu", "Clip", "Cos", "Cosh", "CumSum", "Elu", "Erf", "Exp", "Floor", "Gelu"),
            *("HardSigmoid", "HardSwish", "Identity", "InstanceNormalization", "IsInf", "IsNaN"),
            *("LRN", "LeakyRelu", "Log", "Mish", "Neg", "Not", "Reciprocal", "Relu"),
            *("Round", "ScatterElements", "ScatterND", "Selu", "Shrink", "Sigmoid", "Sign", "Sin"),
            *("Sinh", "Softplus", "Softsign", "Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu"),
            "Trilu",
        ],
        Rule(_unchanged),
    ),
    **dict.fromkeys(
        [
            *("Add", "And", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Div", "Equal"),
            *("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Mean", "Min", "Mod"),
            *("Mul", "Or", "Pow", "Sub", "Sum", "Xor"),
        ],
        Rule(_broadcast),
    ),
    **dict.fromkeys(
        [
            *("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax"),
            *("ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"),
        ],
        Rule(_reduced, (1,)),
    ),
    "ArgMax": Rule(_reduced_to_place),
    "ArgMin": Rule(_reduced_to_place),
    "AveragePool": Rule(_pool, instead=_is_ceiled),
    "BatchNormalization": Rule(_batch_norm),
    "Cast": Rule(_unchanged, element=_cast_to),
    "CastLike": Rule(_unchanged),
    "Concat": Rule(_concat),
    "Constant": Rule(_constant, element=_constant_type),
    "ConstantOfShape": Rule(_constant_of_shape, (0,), element=_filled_type),
    "Conv": Rule(_conv(0, 1)),
    "ConvInteger": Rule(_conv(0, 1)),
    "ConvTranspose": Rule(_conv_transpose, instead=_is_of_told_size),
    "DepthToSpace": Rule(_depth_to_space),
    "DequantizeLinear": Rule(_unchanged, element=_dequantised_type),
    "Dropout": Rule(_unchanged, instead=_leaves_mask_open),
    "DynamicQuantizeLinear": Rule(_dynamically_quantised),
    "Expand": Rule(_expand, (1,)),
    "Flatten": Rule(_flatten),
    "Gather": Rule(_gather),
    "GatherElements": Rule(_gather_elements),
    # An output without axes is left open by inference.
    "GatherND": Rule(_gather_nd, instead=_always),
    "Gemm": Rule(_gemm),
    "GlobalAveragePool": Rule(_global_pool),
    "GlobalLpPool": Rule(_global_pool),
    "GlobalMaxPool": Rule(_global_pool),
    # Deprecated at 18, where inference refuses it, and from 21 on a function, as
    # MeanVarianceNormalization is, whose body infers wrongly.
    "GroupNormalization": Rule(_unchanged, instead=_always),
    "Hardmax": Rule(_along_axis),
    "LayerNormalization": Rule(_layer_norm),
    "LogSoftmax": Rule(_along_axis),
    "LpNormalization": Rule(_along_axis),
    "LpPool": Rule(_pool, instead=_is_ceiled),
    "MatMul": Rule(_matmul(0, 1)),
    "MatMulInteger": Rule(_matmul(0, 1)),
    "MaxPool": Rule(_pool, instead=_is_ceiled),
    "MeanVarianceNormalization": Rule(_unchanged, instead=_always),
    "PRelu": Rule(_sloped),
    "Pad": Rule(_pad, (1, 3)),
    "QLinearConv": Rule(_conv(0, 3)),
    "QLinearMatMul": Rule(_matmul(0, 3)),
    "QuantizeLinear": Rule(_unchanged, element=_quantised_type),
    "RMSNormalization": Rule(_layer_norm),
    "Range": Rule(_range, (0, 1, 2)),
    "Reshape": Rule(_reshape, (1,), instead=_has_shape_attribute),
    "Shape": Rule(_shape),
    "Size": Rule(_scalar),
    "Slice": Rule(_slice, (1, 2, 3, 4), instead=_has_slice_attributes),
    "Softmax": Rule(_along_axis),
    "SpaceToDepth": Rule(_space_to_depth),
    "Split": Rule(_split, (1,)),
    "Squeeze": Rule(_squeeze, (1,), instead=_has_unsorted_axes),
    "Tile": Rule(_tile, (1,)),
    "TopK": Rule(_top, (1,)),
    "Transpose": Rule(_transpose),
    "Unsqueeze": Rule(_unsqueeze, (1,)),
    "Where": Rule(_broadcast),
}
