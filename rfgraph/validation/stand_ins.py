"""What stands in for the operators of a probe whose kernels lose NaN, or spread it.

`RULES` has them by operator, `CARRIES` those that need none; `LOST` says why there is no rule.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rfgraph.ops.onnx.moving import are_blocks_of
from rfgraph.validation.protos import (
    FLOATS,
    MICROSOFT,
    NCHWC,
    NHWC,
    Key,
    LostError,
    Shape,
    attributes_of,
    input_of,
    key_of,
    node_interpolates,
    reads_of,
)

if TYPE_CHECKING:
    from rfgraph.validation.poison import Rewriting

# An interpolation weight below this is rounding of one that is zero.
_WEIGHT = 1e-4

# How often an operator is run on data of its own.
_DRAWS = 2

_ONE = numpy_helper.from_array(np.ones(1, np.float32))

# ---------------------------------------------------------------- what stands in


def _max_pool(probe: Rewriting, node: onnx.NodeProto) -> None:
    """The average where each window has an element; else the same window over the indicator.

    In a window of padding only the average is NaN, and the maximum is -max.
    """
    given = attributes_of(node)
    simple = not given.get("ceil_mode") and set(given.get("dilations", ())) <= {1}
    if simple:
        for name in ("storage_order", "dilations", "ceil_mode"):
            given.pop(name, None)
        probe.emit("AveragePool", node.input, node.output[0], **given)
    else:
        indicator = probe.indicator(node.input[0])
        found = probe.emit("MaxPool", [indicator], **given)
        probe.nan_where(probe.emit("Greater", [found, probe.constant(0.5)]), node.output[0])
    for indices in node.output[1:]:
        if indices:
            probe.emit("Identity", [node.output[0]], indices)


def _lrn(probe: Rewriting, node: onnx.NodeProto) -> None:
    """The same operator on 1 and 101: their sums of squares are exact, so it forgets exactly."""
    exact: dict[str, Any] = {"alpha": 1.0, "beta": 1.0, "bias": 1.0}
    marked = probe.emit("Mul", [probe.indicator(node.input[0]), probe.constant(100.0)])
    with_it = probe.emit("Add", [marked, probe.constant(1.0)])
    without = probe.emit("Sub", [with_it, marked])
    difference = probe.emit(
        "Sub", [probe.clone(node, with_it, **exact), probe.clone(node, without, **exact)]
    )
    probe.nan_where(probe.exceeds(difference, 1e-3), node.output[0])


def _interpolation(probe: Rewriting, node: onnx.NodeProto) -> None:
    """Interpolate the indicator: what has a weight shows."""
    outside: dict[str, Any] = {}
    if "extrapolation_value" in attributes_of(node):
        outside["extrapolation_value"] = 0.0
    found = probe.clone(node, probe.indicator(node.input[0]), **outside)
    probe.nan_where(probe.exceeds(found, _WEIGHT), node.output[0])


def _reduction(probe: Rewriting, node: onnx.NodeProto) -> None:
    """The mean over the same axes."""
    copy = probe.with_floats(node)
    probe.emit("ReduceMean", copy.input, node.output[0], **attributes_of(node))


def _arg_reduction(probe: Rewriting, node: onnx.NodeProto) -> None:
    """The mean over the same axis."""
    given = attributes_of(node)
    keepdims = given.get("keepdims", 1)
    probe.mean(node.input[0], [given.get("axis", 0)], node.output[0], keepdims=keepdims)


def _top_k(probe: Rewriting, node: onnx.NodeProto) -> None:
    """The mean over the same axis, repeated."""
    if len(node.input) > 1 and node.input[1] in probe.live:
        raise LostError("the size of its output depends on the data")
    mean = probe.mean(node.input[0], [attributes_of(node).get("axis", -1)])
    for output in filter(None, node.output):
        probe.spread(mean, probe.shapes[output], output)


def _hardmax(probe: Rewriting, node: onnx.NodeProto) -> None:
    """The softmax over the same axis, or axes before opset 13."""
    probe.emit("Softmax", node.input, node.output[0], **attributes_of(node))


def _global_max_pool(probe: Rewriting, node: onnx.NodeProto) -> None:
    """The average over the same axes."""
    probe.emit("GlobalAveragePool", node.input, node.output[0])


def _pass(probe: Rewriting, node: onnx.NodeProto) -> None:
    """Each element reads its own."""
    if node.input[0] not in probe.live:
        raise LostError("an operand beside the first is computed from the data")
    probe.emit("Identity", node.input[:1], node.output[0])


def _conv(probe: Rewriting, node: onnx.NodeProto) -> None:
    """Conv of X by weights of its own, and where a weight that is NaN meets an element of X."""
    X, W = node.input[:2]
    given = attributes_of(node)
    taps = probe.shapes[W]
    ones = [
        probe.emit("ConstantOfShape", [probe.constant(list(shape), np.int64)], value=_ONE)
        for shape in (probe.shapes[X], taps)
    ]
    met = probe.emit("Conv", [ones[0], probe.indicator(W)], **given)
    read_ = probe.fresh()
    probe.nan_where(probe.emit("Greater", [met, probe.constant(0.5)]), read_)
    if X in probe.live:
        # Sums of a window's elements would grow from layer to layer.
        weights = probe.emit("Div", [ones[1], probe.constant(float(prod(taps[1:])))])
        read_ = probe.emit("Add", [read_, probe.emit("Conv", [X, weights], **given)])
    probe.add(read_, [(name, 1) for name in node.input[2:]], X, node.output[0])


def _dropout(probe: Rewriting, node: onnx.NodeProto) -> None:
    """The data; the mask is by chance."""
    if len(node.input) > 2 and not probe.live.isdisjoint(node.input[1:]):
        raise LostError("its 'ratio' or 'training_mode' is computed from the data")
    probe.emit("Identity", node.input[:1], node.output[0])
    if len(node.output) > 1 and node.output[1]:
        copy = probe.with_floats(node)
        if input_of(node, 1) in probe.live:
            copy.input[1] = ""
        copy.output[0] = probe.fresh()
        probe.nodes.append(copy)


def _split(probe: Rewriting, node: onnx.NodeProto) -> None:
    """Itself, with a name for every part."""
    copy = probe.with_floats(node)
    copy.output[:] = [name or probe.fresh() for name in node.output]
    probe.nodes.append(copy)


def _depart(probe: Rewriting, node: onnx.NodeProto) -> None:
    """Nothing."""
    raise LostError("its kernel departs from the specification here")


def _scatter(probe: Rewriting, node: onnx.NodeProto) -> None:
    """Itself, adding."""
    copy = probe.with_floats(node)
    probe.emit(
        node.op_type, copy.input, node.output[0], **attributes_of(node) | {"reduction": "add"}
    )


def _sum(probe: Rewriting, node: onnx.NodeProto) -> None:
    """The sum of the operands that are given, broadcast alike."""
    probe.sum(node.input, node.output[0])


def _flow(probe: Rewriting, node: onnx.NodeProto) -> None:
    """Itself, if all that lives inside carries NaN."""
    for name in reads_of(node):
        probe.must_be_float(name)
    live = probe.live
    try:
        living = probe.trust(node)
    finally:
        probe.live = live
    probe.dead.update(name for name, alive in zip(node.output, living, strict=True) if not alive)
    probe.nodes.append(node)


def _branches(probe: Rewriting, node: onnx.NodeProto) -> None:
    """Itself, its branches rewritten."""
    probe.branches(node)


# ------------------------------------------------ embeddings


def _gather(probe: Rewriting, node: onnx.NodeProto) -> None:
    """The index itself, spread over what it picks."""
    data, indices = node.input
    if data in probe.live:
        raise LostError("its 'indices' say where it reads, and are computed from the data")
    rank = len(probe.shapes[data])
    axis = attributes_of(node).get("axis", 0) % rank
    trailing = (1,) * (rank - 1 - axis)
    placed = probe.reshaped(indices, (*probe.shapes[indices], *trailing))
    probe.spread(placed, probe.shapes[node.output[0]], node.output[0])


def _gather_elements(probe: Rewriting, node: onnx.NodeProto) -> None:
    """The index itself."""
    data, indices = node.input
    if data in probe.live:
        raise LostError("its 'indices' say where it reads, and are computed from the data")
    probe.emit("Identity", [indices], node.output[0])


def _gather_nd(probe: Rewriting, node: onnx.NodeProto) -> None:
    """The mean of the index tuple, spread over what it picks."""
    data, indices = node.input
    if data in probe.live:
        raise LostError("its 'indices' say where it reads, and are computed from the data")
    mean = probe.mean(indices, [-1])
    leading = probe.shapes[indices][:-1]
    shape = probe.shapes[node.output[0]]
    placed = probe.reshaped(mean, (*leading, *(1,) * (len(shape) - len(leading))))
    probe.spread(placed, shape, node.output[0])


def _one_hot(probe: Rewriting, node: onnx.NodeProto) -> None:
    """The index, spread along the new axis, and both values."""
    indices, depth, values = node.input
    if depth in probe.live:
        raise LostError("the size of its output depends on the data")
    shape = probe.shapes[node.output[0]]
    axis = attributes_of(node).get("axis", -1) % len(shape)
    placed = [n if k != axis else 1 for k, n in enumerate(shape)]
    read_ = probe.reshaped(probe.tame(indices), placed)
    if values in probe.live:
        read_ = probe.emit("Add", [read_, probe.mean(values, None, keepdims=0)])
    probe.spread(read_, shape, node.output[0])


# ------------------------------------------------ operators on data of their own


def _without_masks(probe: Rewriting, node: onnx.NodeProto) -> onnx.NodeProto:
    """The same node with masks that leave out nothing, in place of those that do not live.

    What a mask leaves out is read, and multiplied by zero: data, and no structure.
    """
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    for k in _MASKS[key_of(node)]:
        name = input_of(node, k)
        if name and name not in probe.live:
            copy.input[k] = _open_mask(probe, node, name)
    return copy


def _open_mask(probe: Rewriting, node: onnx.NodeProto, name: str) -> str:
    """Zeros of floats, which are added; ones of others, or lengths that take in all keys."""
    shape = probe.shapes[name]
    kind = probe.types.get(name, TensorProto.FLOAT)
    array: np.ndarray
    if kind in FLOATS:
        array = np.zeros(shape, np.float32)
    elif kind == TensorProto.BOOL or len(shape) != 1:
        array = np.ones(shape, helper.tensor_dtype_to_np_dtype(kind))
    else:
        first, past = _KEYS[key_of(node)]
        batch, *_, keys = probe.shapes[node.input[first]][:-1]
        keys += probe.shapes[node.input[past]][-2] if input_of(node, past) else 0
        if shape not in ((batch,), (2 * batch,)):
            raise LostError(f"its mask '{name}' has a form that is not followed")
        # Where they end, and where they begin.
        array = np.repeat(np.array([keys, 0], np.int32), batch)[: shape[0]]
    made = probe.constant(array, array.dtype.type)
    probe.shapes.added[made] = shape
    return made


def _attention(probe: Rewriting, node: onnx.NodeProto) -> None:
    """Itself without masks, on data of its own where it cuts keys."""
    copy = _without_masks(probe, node)
    if _cuts_keys(probe, copy):
        _compared(probe, copy)
    else:
        probe.nodes.append(probe.with_floats(copy))


def _compared_without_masks(probe: Rewriting, node: onnx.NodeProto) -> None:
    """The same operator without masks, compared."""
    _compared(probe, _without_masks(probe, node))


def _compared(probe: Rewriting, node: onnx.NodeProto) -> None:
    """The same operator on generic data, and on data that differ where there is NaN.

    It is run in 32-bit floats, or in the types of integers that it has. A mask by itself would not
    always show, where few keys are left.
    """
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    marked: dict[int, str] = {}
    for k, name in enumerate(node.input):
        if name in probe.live and k not in _COMPARED[key_of(node)]:
            raise LostError(f"its input {k} ('{name}') is computed from the data")
        if name in probe.live:
            marked[k] = probe.indicator(name)
        elif name and probe.types.get(name) in FLOATS:
            copy.input[k] = probe.floats(name)
    outputs = {k: name for k, name in enumerate(node.output) if name}
    found: dict[int, list[str]] = {k: [] for k in outputs}
    for draw in range(_DRAWS):
        runs = []
        for changed in (False, True):
            run = onnx.NodeProto()
            run.CopyFrom(copy)
            for k, indicator in marked.items():
                kind = probe.types.get(node.input[k]) or TensorProto.FLOAT
                data = probe.generic(probe.shapes[node.input[k]], kind, draw)
                if changed:
                    other = probe.generic(probe.shapes[node.input[k]], kind, draw + _DRAWS)
                    sign = "Sub" if kind == TensorProto.BOOL else "Add"
                    data = probe.emit(sign, [data, probe.emit("Mul", [indicator, other])])
                if kind not in FLOATS:
                    data = probe.emit("Cast", [data], to=kind)
                run.input[k] = data
            run.output[:] = [probe.fresh() if name else "" for name in node.output]
            probe.nodes.append(run)
            runs.append(run.output)
        for k, name in outputs.items():
            pair = [run[k] for run in runs]
            if probe.types.get(name, TensorProto.FLOAT) != TensorProto.FLOAT:
                pair = [probe.emit("Cast", [one], to=TensorProto.FLOAT) for one in pair]
            found[k].append(probe.emit("Abs", [probe.emit("Sub", pair)]))
    for k, name in outputs.items():
        total = probe.emit("Sum", found[k])
        probe.nan_where(probe.emit("Greater", [total, probe.constant(0.0)]), name)


def _recurrent(probe: Rewriting, node: onnx.NodeProto) -> None:
    """Itself with its default activations, without bias, peepholes and clipping."""
    if not probe.live.isdisjoint((*node.input[1:4], *node.input[7:])):
        raise LostError("its weights are computed from the data")
    copy = probe.with_floats(node)
    for k in (3, 7):
        if input_of(node, k):
            copy.input[k] = ""
    given = [a for a in copy.attribute if not a.name.startswith(("activation", "clip"))]
    del copy.attribute[:]
    copy.attribute.extend(given)
    probe.nodes.append(copy)


def _everything(probe: Rewriting, node: onnx.NodeProto) -> None:
    """The mean of all that lives."""
    if not probe.live.isdisjoint(node.input[1:4]):
        raise LostError("its weights are computed from the data")
    means = [probe.mean(name, None, keepdims=0) for name in node.input if name in probe.live]
    total = probe.emit("Sum", means)
    for output in filter(None, node.output):
        probe.spread(total, probe.shapes[output], output)


# ------------------------------------------------ quantised values


def _quantise(probe: Rewriting, node: onnx.NodeProto) -> None:
    """Each element, its scale and its zero point."""
    axis = attributes_of(node).get("axis", 1)
    if len(node.input) > 1 and any(name in probe.live for name in node.input[1:]):
        axis = min(axis, len(probe.shapes[node.output[0]]) - 1)
    parameters = [(name, axis) for name in node.input[1:]]
    probe.add(probe.floats(node.input[0]), parameters, node.output[0], node.output[0])


def _quantise_dynamically(probe: Rewriting, node: onnx.NodeProto) -> None:
    """Each element, and the mean of all: their range gives scale and zero point."""
    mean = probe.mean(node.input[0], None, keepdims=0)
    probe.emit("Add", [node.input[0], mean], node.output[0])
    for output in filter(None, node.output[1:]):
        probe.emit("Identity", [mean], output)


Rewrite: TypeAlias = "Callable[[Rewriting, onnx.NodeProto], None]"


@dataclass(frozen=True)
class _Operand:
    """An input with its scale and zero point, which it is read with.

    Attributes
    ----------
    input : int
        Its position.
    parameters : tuple of int
        Those of scale, zero point or bias.
    axis : int
        Where they are one for each place along an axis: which axis.
    """

    input: int
    parameters: tuple[int, ...] = ()
    axis: int = -1


def _as(
    op: str,
    *operands: _Operand,
    added: Sequence[int] = (),
    axis: int = -1,
    everything: Collection[int] = (),
) -> Rewrite:
    """A rewriting into another operator, on floats; it averages by weights that do not live.

    Integers would grow from layer to layer until there is NaN without any poison.

    Parameters
    ----------
    op : str
        An operator of ONNX.
    *operands : _Operand
        Its first input and its weights.
    added : sequence of int
        Inputs that are added to what it makes.
    axis : int
        Where they are one for each place along an axis: which axis.
    everything : collection of int
        Inputs that each element reads all of.
    """

    def rewrite(probe: Rewriting, node: onnx.NodeProto) -> None:
        given = attributes_of(node)
        last = given.pop("channels_last", 0) or node.domain == NHWC
        first = node.input[operands[0].input]
        rank = len(probe.shapes[first]) if last else 0
        read_ = []
        for k, operand in enumerate(operands):
            name = node.input[operand.input]
            if k:
                value = probe.average(name, _terms(op, probe.shapes[name], given))
            else:
                value = probe.floats(name)
            along = operand.axis
            if k and op == "Gemm" and given.get("transB"):
                along = 0
            value = probe.with_parameters(value, node, operand.parameters, along, name)
            read_.append(probe.turned(value, _first(rank)) if last and not k else value)
        made = probe.probe(op, read_, **given)
        if last:
            made = probe.turned(made, _last(rank))
        for k in everything:
            if input_of(node, k) in probe.live:
                made = probe.emit("Add", [made, probe.mean(node.input[k], None, keepdims=0)])
        output = node.output[0]
        made = probe.with_parameters(made, node, added, -1 if last else axis, output)
        probe.emit("Identity", [made], output)

    return rewrite


def _first(rank: int) -> Shape:
    """The transposition that moves the channels before the other axes."""
    return (0, rank - 1, *range(1, rank - 1))


def _last(rank: int) -> Shape:
    """The transposition that moves the channels behind the other axes."""
    return (0, *range(2, rank), 1)


def _terms(op: str, weights: Shape, given: Mapping[str, Any]) -> int:
    """How many products an output element is the sum of."""
    if op == "Conv":
        return prod(weights[1:])
    if op == "Gemm":
        return weights[1 if given.get("transB") else 0]
    return weights[-2] if len(weights) > 1 else weights[0]


def _sum_of(*operands: int) -> Rewrite:
    """A rewriting into the sum of some operands, and of scales and zero points that live."""

    def rewrite(probe: Rewriting, node: onnx.NodeProto) -> None:
        given = [probe.tame(node.input[k]) for k in operands]
        added = [(name, -1) for k, name in enumerate(node.input) if k not in operands and name]
        probe.add(probe.emit("Sum", given), added, node.output[0], node.output[0])

    return rewrite


def _q_conv(probe: Rewriting, node: onnx.NodeProto) -> None:
    """Conv; the bias is quantised by the scales of x and w."""
    scales = (1, 4) if input_of(node, 8) else ()
    operands = _Operand(0, (1, 2)), _Operand(3, (4, 5), 0)
    _as("Conv", *operands, added=(*scales, 6, 7, 8), axis=1)(probe, node)


def _q_concat(probe: Rewriting, node: onnx.NodeProto) -> None:
    """Concat of the parts; each has a scale and a zero point, and so has the output."""
    parts = []
    for k in range(2, len(node.input), 3):
        name = node.input[k]
        parts.append(
            probe.add(probe.floats(name), [(n, -1) for n in node.input[k + 1 : k + 3]], name)
        )
    made = probe.emit("Concat", parts, axis=attributes_of(node)["axis"])
    added = [(name, -1) for name in node.input[:2]]
    probe.add(made, added, node.output[0], node.output[0])


def _q_reduce_mean(probe: Rewriting, node: onnx.NodeProto) -> None:
    """ReduceMean, the scales and the zero points."""
    given = attributes_of(node)
    made = probe.mean(
        probe.floats(node.input[0]), given.get("axes"), keepdims=given.get("keepdims", 1)
    )
    probe.add(made, [(name, -1) for name in node.input[1:]], node.output[0], node.output[0])


def _q_softmax(probe: Rewriting, node: onnx.NodeProto) -> None:
    """Softmax over one axis, or from it on before operator set 13."""
    given = attributes_of(node)
    rank = len(probe.shapes[node.output[0]])
    old = given.get("opset", 13) < 13
    axis = given.get("axis", -1) % rank
    mean = probe.mean(probe.floats(node.input[0]), range(axis, rank) if old else [axis])
    added = [(name, -1) for name in node.input[1:]]
    total = probe.emit("Add", [probe.floats(node.input[0]), mean])
    probe.add(total, added, node.output[0], node.output[0])


def _packed_product(probe: Rewriting, node: onnx.NodeProto) -> None:
    """The mean of a row, for each column of the weights; no bias."""
    if any(name in probe.live for name in node.input[1:]):
        raise LostError("its weights are computed from the data")
    mean = probe.mean(node.input[0], [-1])
    probe.spread(mean, probe.shapes[node.output[0]], node.output[0])


# ------------------------------------------------ fused operators, and other layouts


def _fused_conv(probe: Rewriting, node: onnx.NodeProto) -> None:
    """Conv, and what is added to it; no activation."""
    given = {k: v for k, v in attributes_of(node).items() if not k.startswith("activation")}
    X = node.input[0]
    if node.domain == NCHWC:
        X = _padded(probe, X, probe.shapes[node.input[1]][1] * given.get("group", 1))
    made = probe.probe("Conv", [X, *node.input[1:3]], **given)
    probe.sum([made, input_of(node, 3)], node.output[0])


def _padded(probe: Rewriting, X: str, channels: int) -> str:
    """X with as many channels as its weights know, if it has fewer."""

    def cut(name: str, axis: int, begin: int, end: int) -> str:
        return probe.emit(
            "Slice", [name, *(probe.constant([n], np.int64) for n in (begin, end, axis))]
        )

    shape = probe.emit("Shape", [X])
    sizes = [cut(shape, 0, 0, 1), probe.constant([channels], np.int64), cut(shape, 0, 2, 4)]
    zeros = probe.emit("ConstantOfShape", [probe.emit("Concat", sizes, axis=0)])
    padded = cut(probe.emit("Concat", [probe.floats(X), zeros], axis=1), 1, 0, channels)
    if X in probe.live:
        probe.live.add(padded)
    given = probe.shapes.get(X)
    if given is not None:
        probe.shapes.added[padded] = (given[0], channels, *given[2:])
    return padded


def _fused_gemm(probe: Rewriting, node: onnx.NodeProto) -> None:
    """Gemm; no activation."""
    given = {k: v for k, v in attributes_of(node).items() if not k.startswith("activation")}
    probe.probe("Gemm", node.input, node.output[0], **given)


def _reorder_input(probe: Rewriting, node: onnx.NodeProto) -> None:
    """As it is, or with the channels moved to the front."""
    if attributes_of(node).get("channels_last"):
        probe.turned(node.input[0], (0, 3, 1, 2), node.output[0])
    else:
        probe.emit("Identity", node.input, node.output[0])


def _reorder_output(probe: Rewriting, node: onnx.NodeProto) -> None:
    """The channels that are not padding, moved to the end if they are."""
    given = attributes_of(node)
    ends = [probe.constant([n], np.int64) for n in (0, given["channels"], 1)]
    if given.get("channels_last"):
        kept = probe.emit("Slice", [node.input[0], *ends])
        probe.emit("Transpose", [kept], node.output[0], perm=[0, 2, 3, 1])
    else:
        probe.emit("Slice", [node.input[0], *ends], node.output[0])


def _reshape_of_blocks(probe: Rewriting, node: onnx.NodeProto) -> None:
    """The channels in order: those of a block go behind the positions, or back."""
    source, target = probe.shapes[node.input[0]], probe.shapes[node.output[0]]
    if are_blocks_of(target, source):
        apart = probe.reshaped(node.input[0], (*target[:2], target[-1], *target[2:-1]))
        probe.emit("Transpose", [apart], node.output[0], perm=[0, 1, *range(3, len(target)), 2])
    else:
        rank = len(source)
        together = probe.turned(node.input[0], (0, 1, rank - 1, *range(2, rank - 1)))
        probe.reshaped(together, target, node.output[0])


def _moves_blocks(probe: Rewriting, node: onnx.NodeProto) -> bool:
    source, target = probe.shapes.get(node.input[0]), probe.shapes.get(node.output[0])
    if node.input[0] not in probe.in_blocks or source is None or target is None:
        return False
    return are_blocks_of(target, source) or are_blocks_of(source, target)


def _upsample(probe: Rewriting, node: onnx.NodeProto) -> None:
    """Resize by the same scales; nearest rounds down."""
    given = attributes_of(node)
    probe.probe(
        "Resize",
        [node.input[0], probe.constant([]), probe.constant(given["scales"])],
        node.output[0],
        mode=given.get("mode", b"nearest"),
        coordinate_transformation_mode=given.get("coordinate_transformation_mode", b"asymmetric"),
        nearest_mode="floor",
    )


def _plain(probe: Rewriting, node: onnx.NodeProto) -> None:
    """ONNX's operator of the same name, on NCHW."""
    probe.rewrite(helper.make_node(node.op_type, node.input, node.output, **attributes_of(node)))


def _channels_last(op: str, inputs: int = 9) -> Rewrite:
    """A rewriting into an operator of ONNX between two transpositions.

    It has so many `inputs`; one more is added.
    """

    def rewrite(probe: Rewriting, node: onnx.NodeProto) -> None:
        rank = len(probe.shapes[node.input[0]])
        first = probe.turned(node.input[0], _first(rank))
        given = {k: v for k, v in attributes_of(node).items() if not k.startswith("activation")}
        inner = helper.make_node(op, [first, *node.input[1:inputs]], [], **given)
        inner.output.extend(probe.fresh() if name else "" for name in node.output)
        probe.rewrite(inner)
        for made, output in zip(inner.output, node.output, strict=True):
            if output and input_of(node, inputs):
                probe.sum([probe.turned(made, _last(rank)), node.input[inputs]], output)
            elif output:
                probe.turned(made, _last(rank), output)

    return rewrite


def _embed(probe: Rewriting, node: onnx.NodeProto) -> None:
    """The token, its segment and its position, spread over what they pick."""
    ids = [node.input[k] for k in (0, 1, 8) if input_of(node, k)]
    if any(name in probe.live for name in node.input[2:7]):
        raise LostError("its embeddings are computed from the data")
    total = probe.emit("Sum", [probe.tame(name) for name in ids])
    placed = probe.reshaped(total, (*probe.shapes[node.input[0]], 1))
    for output in (node.output[0], *node.output[2:]):
        if output:
            probe.spread(placed, probe.shapes[output], output)
    if len(node.output) > 1 and node.output[1]:
        if input_of(node, 7):
            shape = probe.shapes[node.output[1]]
            mean = probe.mean(probe.tame(node.input[7]), [1], keepdims=0)
            probe.reshaped(mean, shape, node.output[1])
        else:
            probe.constants.append(numpy_helper.from_array(np.zeros(1, np.float32), node.output[1]))


# ------------------------------------------------ when a rule applies


def _always(probe: Rewriting, node: onnx.NodeProto) -> bool:
    return True


def _weighted(probe: Rewriting, node: onnx.NodeProto) -> bool:
    return probe.taps == "weighted" and node_interpolates(node)


def _second_live(probe: Rewriting, node: onnx.NodeProto) -> bool:
    return node.input[1] in probe.live


def _first_live(probe: Rewriting, node: onnx.NodeProto) -> bool:
    return node.input[0] in probe.live


def _limit_live(probe: Rewriting, node: onnx.NodeProto) -> bool:
    return not probe.live.isdisjoint(node.input[1:])


def _cuts_keys(probe: Rewriting, node: onnx.NodeProto) -> bool:
    """Whether more than a mask as long as the keys says which of them a query attends to.

    A key that is alone is not read: its weight is 1, whatever the score.
    """
    given = attributes_of(node)
    if given.get("is_causal") or any("window" in name for name in given) or input_of(node, 6):
        return True
    keys = probe.shapes[node.input[1]][-2]
    keys += probe.shapes[node.input[4]][-2] if input_of(node, 4) else 0
    if keys == 1:
        return True
    return bool(input_of(node, 3)) and probe.shapes[node.input[3]][-1] != keys


def _cut_or_masked(probe: Rewriting, node: onnx.NodeProto) -> bool:
    return bool(input_of(node, 3)) or _cuts_keys(probe, node)


def _to_reals(probe: Rewriting, node: onnx.NodeProto) -> bool:
    given = attributes_of(node)
    return bool(given.get("inverse") and given.get("onesided"))


def _one_left_out(probe: Rewriting, node: onnx.NodeProto) -> bool:
    return not all(node.output)


def _of_given_shape(probe: Rewriting, node: onnx.NodeProto) -> bool:
    return len(node.input) > 2


def _selects(probe: Rewriting, node: onnx.NodeProto) -> bool:
    return attributes_of(node).get("reduction") in (b"max", b"min")


@dataclass(frozen=True)
class Rule:
    """Why an operator is not observed as it is, and what stands in for it.

    Attributes
    ----------
    why : str
        What onnxruntime's kernel does with a NaN.
    instead : str
        What the probe has in the operator's place.
    rewrite : callable
        Appends that to a probe.
    applies : callable
        Whether the rule holds for a node: the others are in `CARRIES` too.
    """

    why: str
    instead: str
    rewrite: Callable[[Rewriting, onnx.NodeProto], None]
    applies: Callable[[Rewriting, onnx.NodeProto], bool] = _always


# Of operators with subgraphs: how many inputs decide what they do, and which of a subgraph's is
# the first that is one of the node's.


FLOWS: Mapping[str, tuple[int, int]] = {"If": (1, 0), "Loop": (2, 2), "Scan": (0, 0)}

_LOSES = "a comparison with NaN is false, so a NaN only survives as the first element"
_NOT_FLOAT = "the output is no float, and can't hold a NaN"
_ZERO = "taps of weight zero are multiplied too, and 0 * NaN is NaN"
_UNDEFINED = "outside of its domain it is NaN without any poison"
_INDEX = "an index holds no NaN"

_IDENTITY: Mapping[str, str] = {
    "ThresholdedRelu": "NaN is not above alpha: 0",
    "Shrink": "NaN is neither below nor above: 0",
    "IsNaN": _NOT_FLOAT,
    "IsInf": _NOT_FLOAT,
    "Not": _NOT_FLOAT,
    "BitwiseNot": _NOT_FLOAT,
    "Cast": "the type may be one that can't hold a NaN",
    "CastLike": "the type may be one that can't hold a NaN",
    "BitCast": _NOT_FLOAT,
    "Bernoulli": "it is by chance",
    "Log": _UNDEFINED,
    "Sqrt": _UNDEFINED,
}

_SUM: Mapping[str, str] = {
    "Greater": _NOT_FLOAT,
    "GreaterOrEqual": _NOT_FLOAT,
    "Less": _NOT_FLOAT,
    "LessOrEqual": _NOT_FLOAT,
    "Equal": _NOT_FLOAT,
    "And": _NOT_FLOAT,
    "Or": _NOT_FLOAT,
    "Xor": _NOT_FLOAT,
    "BitShift": _NOT_FLOAT,
    "BitwiseAnd": _NOT_FLOAT,
    "BitwiseOr": _NOT_FLOAT,
    "BitwiseXor": _NOT_FLOAT,
    "Mod": "of integers it holds no NaN",
    "Where": "only the branch that is taken passes",
    "Pow": "1 to the power of NaN is 1, and NaN to the power of 0",
    "PRelu": "the slope is not read where the value is positive",
}

_BODY = "what it has inside is not rewritten"
_INTEGERS = "quantised values are integers"
_ACTIVATION = "its activation may lose it"
_LAYOUT = "other values hold the channels elsewhere"
_BLOCKED = "the value holds its channels in blocks, which no name of an axis tells"

_A, _B = _Operand(0, (1, 2), -2), _Operand(3, (4, 5), -1)
_Q_POOL = _Operand(0, (1, 2))

_QUANTISED: Mapping[Key, Rule] = {
    (domain, op): Rule(_INTEGERS, instead, rewrite)
    for domains, op, instead, rewrite in (
        (("", MICROSOFT), "QuantizeLinear", "Identity", _quantise),
        (("", MICROSOFT), "DequantizeLinear", "Identity", _quantise),
        (("",), "DynamicQuantizeLinear", "itself and ReduceMean of all", _quantise_dynamically),
        (("",), "ConvInteger", "Conv", _as("Conv", _Operand(0, (2,)), _Operand(1, (3,), 0))),
        (("", MICROSOFT, NHWC), "QLinearConv", "Conv", _q_conv),
        (
            ("",),
            "MatMulInteger",
            "MatMul",
            _as("MatMul", _Operand(0, (2,), -2), _Operand(1, (3,))),
        ),
        (("",), "QLinearMatMul", "MatMul", _as("MatMul", _A, _B, added=(6, 7), axis=-2)),
        ((MICROSOFT,), "MatMulInteger16", "MatMul", _as("MatMul", _Operand(0), _Operand(1))),
        (
            (MICROSOFT,),
            "MatMulIntegerToFloat",
            "MatMul",
            _as("MatMul", _Operand(0, (2, 4), -2), _Operand(1, (3, 5)), added=(6,)),
        ),
        (
            (MICROSOFT,),
            "DynamicQuantizeMatMul",
            "MatMul and ReduceMean of all of A",
            _as("MatMul", _Operand(0), _Operand(1, (2, 3)), added=(4,), everything=(0,)),
        ),
        ((MICROSOFT,), "QGemm", "Gemm", _as("Gemm", _A, _B, added=(6, 7, 8))),
        ((MICROSOFT,), "QLinearAdd", "Sum", _sum_of(0, 3)),
        ((MICROSOFT,), "QLinearMul", "Sum", _sum_of(0, 3)),
        ((MICROSOFT,), "QLinearWhere", "Sum", _sum_of(0, 1, 4)),
        ((MICROSOFT,), "MulInteger", "Sum", _sum_of(0, 2)),
        ((MICROSOFT,), "QLinearSigmoid", "Identity", _sum_of(0)),
        ((MICROSOFT,), "QLinearLeakyRelu", "Identity", _sum_of(0)),
        ((MICROSOFT,), "QLinearConcat", "Concat", _q_concat),
        ((MICROSOFT,), "QLinearReduceMean", "ReduceMean", _q_reduce_mean),
        ((MICROSOFT,), "QLinearSoftmax", "Identity and ReduceMean", _q_softmax),
        (
            (MICROSOFT, NHWC),
            "QLinearAveragePool",
            "AveragePool",
            _as("AveragePool", _Q_POOL, added=(3, 4)),
        ),
        (
            (MICROSOFT,),
            "QLinearGlobalAveragePool",
            "GlobalAveragePool",
            _as("GlobalAveragePool", _Q_POOL, added=(3, 4)),
        ),
        ((MICROSOFT,), "DynamicQuantizeLSTM", "ReduceMean of all", _everything),
        ((MICROSOFT,), "MatMulNBits", "ReduceMean, expanded", _packed_product),
        ((MICROSOFT,), "MatMulBnb4", "ReduceMean, expanded", _packed_product),
    )
    for domain in domains
}

_TRANSPOSED = """
    AveragePool BatchNormalization Conv ConvTranspose DepthToSpace GlobalAveragePool GlobalLpPool
    GlobalMaxPool GridSample InstanceNormalization LRN LpPool MaxPool SpaceToDepth
"""

_FUSED: Mapping[Key, Rule] = {
    (MICROSOFT, "FusedConv"): Rule(_ACTIVATION, "Conv and Sum", _fused_conv),
    (MICROSOFT, "FusedGemm"): Rule(_ACTIVATION, "Gemm", _fused_gemm),
    (MICROSOFT, "EmbedLayerNormalization"): Rule(_INDEX, "the index, expanded", _embed),
    (MICROSOFT, "NhwcConv"): Rule(_LAYOUT, "Conv, transposed", _channels_last("Conv", 3)),
    (MICROSOFT, "NhwcFusedConv"): Rule(_LAYOUT, "Conv, transposed", _channels_last("Conv", 3)),
    (MICROSOFT, "NhwcMaxPool"): Rule(_LAYOUT, "MaxPool, transposed", _channels_last("MaxPool")),
    (NCHWC, "Conv"): Rule(_BLOCKED, "Conv and Sum", _fused_conv),
    (NCHWC, "ReorderInput"): Rule(_BLOCKED, "Identity or Transpose", _reorder_input),
    (NCHWC, "ReorderOutput"): Rule(_BLOCKED, "Slice", _reorder_output),
    (NCHWC, "Upsample"): Rule(_BLOCKED, "Resize", _upsample),
    **{
        (NCHWC, name): Rule(_BLOCKED, f"ONNX's {name}", _plain)
        for name in ("AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool")
    },
    (NHWC, "Resize"): Rule(_LAYOUT, "ONNX's Resize", _plain),
    **{
        (NHWC, name): Rule(_LAYOUT, f"ONNX's {name}, transposed", _channels_last(name))
        for name in _TRANSPOSED.split()
    },
}

_RECURRENT = "with a bias some sizes of it clip, and lose NaN; activations may"
_MASKED = "what is masked is multiplied by zero, and 0 * NaN is NaN"
_ITSELF = "itself without masks, on data of its own, compared"

# Of operators that are compared, the inputs whose change shows in what they make: a bias of all
# keys cancels in a softmax.
_COMPARED: Mapping[Key, Collection[int]] = {
    ("", "Attention"): (0, 1, 2, 4, 5),
    (MICROSOFT, "Attention"): (0, 4, 5),
    (MICROSOFT, "MultiHeadAttention"): (0, 1, 2, 5, 6, 7),
    (MICROSOFT, "GroupQueryAttention"): (0, 1, 2, 3, 4),
    (MICROSOFT, "QAttention"): (0, 8),
}

# Inputs that say which keys are left out.
_MASKS: Mapping[Key, Collection[int]] = {
    ("", "Attention"): (3,),
    (MICROSOFT, "Attention"): (3, 5),
    (MICROSOFT, "MultiHeadAttention"): (4, 5),
    (MICROSOFT, "GroupQueryAttention"): (10,),
    (MICROSOFT, "QAttention"): (5,),
}

# Where a mask may have lengths: the inputs with the keys, and with those of the past.
_KEYS: Mapping[Key, tuple[int, int]] = {
    (MICROSOFT, "Attention"): (0, 4),
    (MICROSOFT, "MultiHeadAttention"): (1, 6),
    (MICROSOFT, "QAttention"): (0, 8),
}

_SEQUENCES: Mapping[Key, Rule] = {
    **{
        ("", name): Rule(_RECURRENT, "itself without bias", _recurrent)
        for name in ("GRU", "LSTM", "RNN")
    },
    ("", "Attention"): Rule(_MASKED, _ITSELF, _attention, _cut_or_masked),
    ("", "DFT"): Rule("of an inverse to reals it mixes more", "nothing", _depart, _to_reals),
    **{
        (MICROSOFT, name): Rule(_MASKED, _ITSELF, _compared_without_masks)
        for name in ("Attention", "GroupQueryAttention", "MultiHeadAttention", "QAttention")
    },
}

# The rules, established with onnxruntime 1.32's CPU kernels; tests hold each of them against the
# kernel.
RULES: Mapping[Key, Rule] = {
    ("", "MaxPool"): Rule(_LOSES, "AveragePool, or itself on the indicator", _max_pool),
    ("", "GlobalMaxPool"): Rule(_LOSES, "GlobalAveragePool", _global_max_pool),
    ("", "ReduceMax"): Rule(_LOSES, "ReduceMean", _reduction),
    ("", "ReduceMin"): Rule(_LOSES, "ReduceMean", _reduction),
    ("", "ReduceLogSum"): Rule(_UNDEFINED, "ReduceMean", _reduction),
    ("", "ArgMax"): Rule(_NOT_FLOAT, "ReduceMean", _arg_reduction),
    ("", "ArgMin"): Rule(_NOT_FLOAT, "ReduceMean", _arg_reduction),
    ("", "TopK"): Rule(_LOSES, "ReduceMean, repeated", _top_k),
    ("", "Hardmax"): Rule("only zeros and ones are written", "Softmax", _hardmax),
    ("", "LRN"): Rule(
        "a running sum over the channels keeps NaN beyond the window",
        "itself on 1 and on 1 + 100 * the indicator, compared",
        _lrn,
    ),
    ("", "Resize"): Rule(_ZERO, "itself on the indicator", _interpolation, _weighted),
    ("", "Upsample"): Rule(_ZERO, "itself on the indicator", _interpolation, _weighted),
    ("", "Gather"): Rule(_INDEX, "the index, expanded", _gather, _second_live),
    ("", "GatherElements"): Rule(_INDEX, "Identity of the index", _gather_elements, _second_live),
    ("", "GatherND"): Rule(_INDEX, "the index's mean, expanded", _gather_nd, _second_live),
    ("", "OneHot"): Rule(_INDEX, "the index, expanded", _one_hot, _first_live),
    ("", "Conv"): Rule(
        "a weight that is NaN spreads over the padding",
        "itself on ones and the indicator",
        _conv,
        _second_live,
    ),
    ("", "Dropout"): Rule("in training it is by chance", "Identity", _dropout),
    ("", "Reshape"): Rule(_BLOCKED, "Reshape and Transpose", _reshape_of_blocks, _moves_blocks),
    ("", "Split"): Rule("an output left out ends the process", "itself", _split, _one_left_out),
    ("", "MaxUnpool"): Rule("it departs from the standard", "nothing", _depart, _of_given_shape),
    ("", "ScatterND"): Rule(_LOSES, "itself, adding", _scatter, _selects),
    ("", "ScatterElements"): Rule(_LOSES, "itself, adding", _scatter, _selects),
    (MICROSOFT, "SampleOp"): Rule("there is no kernel", "Identity", _pass),
    (MICROSOFT, "BiasAdd"): Rule("there is no kernel", "Sum", _sum),
    (MICROSOFT, "ScaledSiLU"): Rule("there is no kernel", "Sum", _sum),
    ("", "If"): Rule("its branches may lose it", "itself, its branches rewritten", _branches),
    **{("", name): Rule(_BODY, "itself", _flow) for name in ("Loop", "Scan")},
    **_QUANTISED,
    **_FUSED,
    **_SEQUENCES,
    ("", "GridSample"): Rule(_ZERO, "itself on the indicator", _interpolation, _weighted),
    **{("", name): Rule(why, "Identity", _pass) for name, why in _IDENTITY.items()},
    **{("", name): Rule(why, "Sum", _sum) for name, why in _SUM.items()},
    ("", "Clip"): Rule("a limit that is NaN does not limit", "Sum", _sum, _limit_live),
}

_CARRY = """
    Abs Acos Acosh Add Asin Asinh Atan Atanh Attention AveragePool BatchNormalization Ceil Celu
    CenterCropPad Clip Col2Im Compress Concat ConcatFromSequence Conv ConvTranspose Cos Cosh CumProd
    CumSum DFT DepthToSpace Det Div Einsum Elu Erf Exp Expand Flatten Floor Gather
    GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool GridSample
    GroupNormalization HardSigmoid HardSwish Identity InstanceNormalization LayerNormalization
    LeakyRelu LogSoftmax LpNormalization LpPool MatMul Max MaxUnpool Mean
    MeanVarianceNormalization Min Mish Mul Neg NegativeLogLikelihoodLoss OneHot Optional
    OptionalGetElement Pad RMSNormalization Reciprocal ReduceL1 ReduceL2 ReduceLogSumExp
    ReduceMean ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize ReverseSequence
    RotaryEmbedding Round STFT Scatter ScatterElements ScatterND Selu SequenceAt
    SequenceConstruct SequenceErase SequenceInsert SequenceLength Sigmoid Sign
    SimplifiedLayerNormalization Sin Sinh Slice Softmax SoftmaxCrossEntropyLoss Softplus
    Softsign SpaceToDepth Split SplitToSequence Squeeze Sub Sum Swish Tan Tanh TensorScatter
    Tile Transpose Trilu Unsqueeze Upsample
"""

_CARRY_FUSED = """
    BiasGelu ExpandDims FastGelu FusedMatMul GatherND Gelu Inverse Pad QuickGelu
    RotaryEmbedding SkipLayerNormalization SkipSimplifiedLayerNormalization TransposeMatMul Trilu
"""

# Operators whose unoptimised kernels carry a NaN to exactly the elements that read it.
CARRIES: frozenset[Key] = frozenset(("", name) for name in _CARRY.split()) | frozenset(
    (MICROSOFT, name) for name in _CARRY_FUSED.split()
)

# Inputs that hold no data, though their type is one of data, or there is no schema to tell.
STEERING: Mapping[Key, Collection[int]] = {
    ("", "CastLike"): (1,),
    ("", "GridSample"): (1,),
    ("", "OneHot"): (1,),
    (MICROSOFT, "ExpandDims"): (1,),
    (MICROSOFT, "GatherND"): (1,),
    (MICROSOFT, "Pad"): (1,),
    (MICROSOFT, "RotaryEmbedding"): (1,),
    (MICROSOFT, "Trilu"): (1,),
}

# Operators that no rule can stand in for, and why.
LOST: Mapping[Key, str] = {
    ("", "NonZero"): "the size of its output depends on the data",
    ("", "NonMaxSuppression"): "the size of its output depends on the data",
    ("", "Unique"): "the size of its output depends on the data",
    ("", "Range"): "the size of its output depends on the data",
    ("", "ConstantOfShape"): "the shape of its output depends on the data",
}
