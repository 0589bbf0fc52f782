"""Attention, run without masks, or twice on data of its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper

from rfgraph.validation.nan.emitter import Emitter, LostError
from rfgraph.worker.protos import FLOATS, MICROSOFT, Key, attributes_of, input_of, key_of

# How often an operator is run on data of its own, to compare.
_DRAWS = 2


_COMPARED: Mapping[Key, Collection[int]] = {
    ("", "Attention"): (0, 1, 2, 4, 5),
    (MICROSOFT, "Attention"): (0, 4, 5),
    (MICROSOFT, "MultiHeadAttention"): (0, 1, 2, 5, 6, 7),
    (MICROSOFT, "GroupQueryAttention"): (0, 1, 2, 3, 4),
    (MICROSOFT, "QAttention"): (0, 8),
}


_MASKS: Mapping[Key, Collection[int]] = {
    ("", "Attention"): (3,),
    (MICROSOFT, "Attention"): (3, 5),
    (MICROSOFT, "MultiHeadAttention"): (4, 5),
    (MICROSOFT, "GroupQueryAttention"): (10,),
    (MICROSOFT, "QAttention"): (5,),
}


_KEYS: Mapping[Key, tuple[int, int]] = {
    (MICROSOFT, "Attention"): (0, 4),
    (MICROSOFT, "MultiHeadAttention"): (1, 6),
    (MICROSOFT, "QAttention"): (0, 8),
}


# What a projection is made of: its weight and its bias, and the scales of what is quantised.
_PROJECTIONS: Mapping[str, tuple[int, int, Collection[int]]] = {
    "Attention": (1, 2, ()),
    "QAttention": (1, 2, (3, 4)),
}


def attention(to: Emitter, node: onnx.NodeProto) -> None:
    """Itself without masks, on data of its own where it cuts keys."""
    copy = _without_masks(to, node)
    if _cuts_keys(to, copy):
        _compared(to, copy)
    else:
        to.nodes.append(to.with_floats(copy))


def compared_without_masks(to: Emitter, node: onnx.NodeProto) -> None:
    """The same operator without masks, compared."""
    _compared(to, _without_masks(to, node))


def _without_masks(to: Emitter, node: onnx.NodeProto) -> onnx.NodeProto:
    """The same node with masks that leave out nothing, in place of those that do not live.

    What a mask leaves out is read, and multiplied by zero: data, and no structure.
    """
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    for k in _MASKS[key_of(node)]:
        name = input_of(node, k)
        if name and name not in to.live:
            copy.input[k] = _open_mask(to, node, name)
    return copy


def _open_mask(to: Emitter, node: onnx.NodeProto, name: str) -> str:
    """Zeros of floats, which are added; ones of others, or lengths that take in all keys."""
    shape = to.shapes[name]
    kind = to.types.get(name, TensorProto.FLOAT)
    array: np.ndarray
    if kind in FLOATS:
        array = np.zeros(shape, np.float32)
    elif kind == TensorProto.BOOL or len(shape) != 1:
        array = np.ones(shape, helper.tensor_dtype_to_np_dtype(kind))
    else:
        first, past = _KEYS[key_of(node)]
        batch, *_, keys = to.shapes[node.input[first]][:-1]
        keys += to.shapes[node.input[past]][-2] if input_of(node, past) else 0
        if shape not in ((batch,), (2 * batch,)):
            raise LostError(f"its mask '{name}' has a form that is not followed")
        # Where they end, and where they begin.
        array = np.repeat(np.array([keys, 0], np.int32), batch)[: shape[0]]
    made = to.constant(array, array.dtype.type)
    to.shapes.added[made] = shape
    return made


def _compared(to: Emitter, node: onnx.NodeProto) -> None:
    """The same operator on generic data, and on data that differ where there is NaN.

    It is run in 32-bit floats, or in the types of integers that it has. A mask by itself would not
    always show, where few keys are left.
    """
    copy = _with_moderate_scores(to, node)
    marked: dict[int, str] = {}
    for k, name in enumerate(copy.input):
        if name in to.live and k not in _COMPARED[key_of(node)]:
            raise LostError(f"its input {k} ('{name}') is computed from the data")
        if name in to.live:
            marked[k] = to.indicator(name)
        elif name and to.types.get(name) in FLOATS:
            is_data = k in _COMPARED[key_of(node)]
            copy.input[k] = _own_data(to, name, k, 0) if is_data else to.floats(name)
    outputs = {k: name for k, name in enumerate(node.output) if name}
    found: dict[int, list[str]] = {k: [] for k in outputs}
    for draw in range(_DRAWS):
        runs = []
        for changed in (False, True):
            run = onnx.NodeProto()
            run.CopyFrom(copy)
            for k, indicator in marked.items():
                kind = to.types.get(node.input[k]) or TensorProto.FLOAT
                data = _own_data(to, node.input[k], k, draw)
                if changed:
                    other = _own_data(to, node.input[k], k, draw + _DRAWS)
                    sign = "Sub" if kind == TensorProto.BOOL else "Add"
                    data = to.emit(sign, [data, to.emit("Mul", [indicator, other])])
                if kind not in FLOATS:
                    data = to.emit("Cast", [data], to=kind)
                run.input[k] = data
            run.output[:] = [to.fresh() if name else "" for name in node.output]
            to.nodes.append(run)
            runs.append(run.output)
        for k, name in outputs.items():
            pair = [run[k] for run in runs]
            if to.types.get(name, TensorProto.FLOAT) != TensorProto.FLOAT:
                pair = [to.emit("Cast", [one], to=TensorProto.FLOAT) for one in pair]
            found[k].append(to.emit("Abs", [to.emit("Sub", pair)]))
    for k, name in outputs.items():
        total = to.emit("Sum", found[k])
        to.nan_where(to.emit("Greater", [total, to.constant(0.0)]), name)


def _own_data(to: Emitter, name: str, k: int, draw: int) -> str:
    """Data in place of input `k`, other than those of any other input.

    A query would score itself far above the rest.
    """
    kind = to.types.get(name) or TensorProto.FLOAT
    return to.generic(to.shapes[name], kind, draw + 2 * _DRAWS * k)


def _with_moderate_scores(to: Emitter, node: onnx.NodeProto) -> onnx.NodeProto:
    """The same node, its scores of the order of 1: with the usual scale, projected by own weights.

    Beside a score that is much larger the weight of a key is rounded away, and it isn't seen.
    """
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    kept = [one for one in node.attribute if one.name != "scale"]
    del copy.attribute[:]
    copy.attribute.extend(kept)
    if node.domain != MICROSOFT or node.op_type not in _PROJECTIONS:
        return copy
    weight, bias, scales = _PROJECTIONS[node.op_type]
    operands = [k for k in (weight, bias, *scales) if input_of(node, k)]
    if any(node.input[k] in to.live for k in operands):
        return copy  # That isn't followed.
    shapes = {k: to.shapes[node.input[k]] for k in operands}
    width = shapes[weight][0]
    kind = to.types.get(node.input[weight]) or TensorProto.FLOAT
    made = to.generic(shapes[weight], kind, 0)
    if kind in FLOATS:
        made = to.emit("Mul", [made, to.constant(width**-0.5)])
    else:
        made = to.emit("Cast", [made], to=kind)
    copy.input[weight] = made
    for k in operands[1:]:
        # Differences of integers of 8 bits are of the order of 100.
        number = 0.01 / width**0.5 if k in scales else 0.0
        copy.input[k] = to.constant(np.full(shapes[k], number))
    return copy


def _cuts_keys(to: Emitter, node: onnx.NodeProto) -> bool:
    """Whether more than a mask as long as the keys says which of them a query attends to.

    A key that is alone is not read: its weight is 1, whatever the score.
    """
    given = attributes_of(node)
    if given.get("is_causal") or any("window" in name for name in given) or input_of(node, 6):
        return True
    keys = to.shapes[node.input[1]][-2]
    keys += to.shapes[node.input[4]][-2] if input_of(node, 4) else 0
    if keys == 1:
        return True
    return bool(input_of(node, 3)) and to.shapes[node.input[3]][-1] != keys


def is_cut_or_masked(to: Emitter, node: onnx.NodeProto) -> bool:
    """Whether keys are left out: by a mask or by what else says which ones a query attends to."""
    return bool(input_of(node, 3)) or _cuts_keys(to, node)
