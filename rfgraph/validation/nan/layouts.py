"""What stands in for fused operators, and for those with channels last or in blocks."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper

from rfgraph.ops.onnx.moving import are_blocks_of
from rfgraph.reads.words import Shape
from rfgraph.validation.nan.emitter import Emitter, Rewrite
from rfgraph.worker.protos import NCHWC, attributes_of, input_of


def channels_first(rank: int) -> Shape:
    """The transposition that moves the channels before the other axes."""
    return (0, rank - 1, *range(1, rank - 1))


def channels_last(rank: int) -> Shape:
    """The transposition that moves the channels behind the other axes."""
    return (0, *range(2, rank), 1)


def plain(to: Emitter, node: onnx.NodeProto) -> None:
    """ONNX's operator of the same name, on NCHW."""
    to.rewrite(helper.make_node(node.op_type, node.input, node.output, **attributes_of(node)))


def transposed(op: str, inputs: int = 9) -> Rewrite:
    """A rewriting into an operator of ONNX between two transpositions.

    It has so many `inputs`; one more is added.
    """

    def rewrite(to: Emitter, node: onnx.NodeProto) -> None:
        rank = len(to.shapes[node.input[0]])
        first = to.turned(node.input[0], channels_first(rank))
        given = {k: v for k, v in attributes_of(node).items() if not k.startswith("activation")}
        inner = helper.make_node(op, [first, *node.input[1:inputs]], [], **given)
        inner.output.extend(to.fresh() if name else "" for name in node.output)
        to.rewrite(inner)
        for made, output in zip(inner.output, node.output, strict=True):
            if output and input_of(node, inputs):
                to.sum([to.turned(made, channels_last(rank)), node.input[inputs]], output)
            elif output:
                to.turned(made, channels_last(rank), output)

    return rewrite


def fused_conv(to: Emitter, node: onnx.NodeProto) -> None:
    """Conv, and what is added to it; no activation."""
    given = {k: v for k, v in attributes_of(node).items() if not k.startswith("activation")}
    X = node.input[0]
    if node.domain == NCHWC:
        X = _padded(to, X, to.shapes[node.input[1]][1] * given.get("group", 1))
    made = to.rewritten("Conv", [X, *node.input[1:3]], **given)
    to.sum([made, input_of(node, 3)], node.output[0])


def _padded(to: Emitter, X: str, channels: int) -> str:
    """X with as many channels as its weights know, if it has fewer."""

    def cut(name: str, axis: int, begin: int, end: int) -> str:
        return to.emit("Slice", [name, *(to.constant([n], np.int64) for n in (begin, end, axis))])

    shape = to.emit("Shape", [X])
    sizes = [cut(shape, 0, 0, 1), to.constant([channels], np.int64), cut(shape, 0, 2, 4)]
    zeros = to.emit("ConstantOfShape", [to.emit("Concat", sizes, axis=0)])
    padded = cut(to.emit("Concat", [to.floats(X), zeros], axis=1), 1, 0, channels)
    if X in to.live:
        to.live.add(padded)
    given = to.shapes.get(X)
    if given is not None:
        to.shapes.added[padded] = (given[0], channels, *given[2:])
    return padded


def fused_gemm(to: Emitter, node: onnx.NodeProto) -> None:
    """Gemm; no activation."""
    given = {k: v for k, v in attributes_of(node).items() if not k.startswith("activation")}
    to.rewritten("Gemm", node.input, node.output[0], **given)


def reorder_input(to: Emitter, node: onnx.NodeProto) -> None:
    """As it is, or with the channels moved to the front."""
    if attributes_of(node).get("channels_last"):
        to.turned(node.input[0], (0, 3, 1, 2), node.output[0])
    else:
        to.emit("Identity", node.input, node.output[0])


def reorder_output(to: Emitter, node: onnx.NodeProto) -> None:
    """The channels that are not padding, moved to the end if they are."""
    given = attributes_of(node)
    ends = [to.constant([n], np.int64) for n in (0, given["channels"], 1)]
    if given.get("channels_last"):
        kept = to.emit("Slice", [node.input[0], *ends])
        to.emit("Transpose", [kept], node.output[0], perm=[0, 2, 3, 1])
    else:
        to.emit("Slice", [node.input[0], *ends], node.output[0])


def reshape_of_blocks(to: Emitter, node: onnx.NodeProto) -> None:
    """The channels in order: those of a block go behind the positions, or back."""
    source, target = to.shapes[node.input[0]], to.shapes[node.output[0]]
    if are_blocks_of(target, source):
        apart = to.reshaped(node.input[0], (*target[:2], target[-1], *target[2:-1]))
        to.emit("Transpose", [apart], node.output[0], perm=[0, 1, *range(3, len(target)), 2])
    else:
        rank = len(source)
        together = to.turned(node.input[0], (0, 1, rank - 1, *range(2, rank - 1)))
        to.reshaped(together, target, node.output[0])


def moves_blocks(to: Emitter, node: onnx.NodeProto) -> bool:
    """Whether a Reshape makes an axis of the blocks of channels, or takes one away."""
    source, target = to.shapes.get(node.input[0]), to.shapes.get(node.output[0])
    if node.input[0] not in to.in_blocks or source is None or target is None:
        return False
    return are_blocks_of(target, source) or are_blocks_of(source, target)


def upsample(to: Emitter, node: onnx.NodeProto) -> None:
    """Resize by the same scales; nearest rounds down."""
    given = attributes_of(node)
    to.rewritten(
        "Resize",
        [node.input[0], to.constant([]), to.constant(given["scales"])],
        node.output[0],
        mode=given.get("mode", b"nearest"),
        coordinate_transformation_mode=given.get("coordinate_transformation_mode", b"asymmetric"),
        nearest_mode="floor",
    )
