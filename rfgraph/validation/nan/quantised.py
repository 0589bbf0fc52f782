"""What stands in for operators on quantised values, which are integers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import onnx

from rfgraph.reads.words import Shape
from rfgraph.validation.nan.emitter import Emitter, LostError, Rewrite
from rfgraph.validation.nan.layouts import channels_first, channels_last
from rfgraph.worker.protos import NHWC, attributes_of, input_of


@dataclass(frozen=True)
class Operand:
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


def as_operator(
    op: str,
    *operands: Operand,
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
    *operands : Operand
        Its first input and its weights.
    added : sequence of int
        Inputs that are added to what it makes.
    axis : int
        Where they are one for each place along an axis: which axis.
    everything : collection of int
        Inputs that each element reads all of.
    """

    def rewrite(to: Emitter, node: onnx.NodeProto) -> None:
        given = attributes_of(node)
        last = given.pop("channels_last", 0) or node.domain == NHWC
        first = node.input[operands[0].input]
        rank = len(to.shapes[first]) if last else 0
        read_ = []
        for k, operand in enumerate(operands):
            name = node.input[operand.input]
            terms = _terms(op, to.shapes[name], given) if k else 0
            value = to.average(name, terms) if k else to.floats(name)
            along = operand.axis
            if k and op == "Gemm" and given.get("transB"):
                along = 0
            value = to.with_parameters(value, node, operand.parameters, along, name)
            read_.append(to.turned(value, channels_first(rank)) if last and not k else value)
        made = to.rewritten(op, read_, **given)
        if last:
            made = to.turned(made, channels_last(rank))
        for k in everything:
            if input_of(node, k) in to.live:
                made = to.emit("Add", [made, to.mean(node.input[k], None, keepdims=0)])
        output = node.output[0]
        made = to.with_parameters(made, node, added, -1 if last else axis, output)
        to.emit("Identity", [made], output)

    return rewrite


def _terms(op: str, weights: Shape, given: Mapping[str, Any]) -> int:
    """How many products an output element is the sum of."""
    if op == "Conv":
        return prod(weights[1:])
    if op == "Gemm":
        return weights[1 if given.get("transB") else 0]
    return weights[-2] if len(weights) > 1 else weights[0]


def sum_of(*operands: int) -> Rewrite:
    """A rewriting into the sum of some operands, and of scales and zero points that live."""

    def rewrite(to: Emitter, node: onnx.NodeProto) -> None:
        given = [to.tame(node.input[k]) for k in operands]
        added = [(name, -1) for k, name in enumerate(node.input) if k not in operands and name]
        to.add(to.emit("Sum", given), added, node.output[0], node.output[0])

    return rewrite


def quantise(to: Emitter, node: onnx.NodeProto) -> None:
    """Each element, its scale and its zero point."""
    axis = attributes_of(node).get("axis", 1)
    if len(node.input) > 1 and any(name in to.live for name in node.input[1:]):
        axis = min(axis, len(to.shapes[node.output[0]]) - 1)
    parameters = [(name, axis) for name in node.input[1:]]
    to.add(to.floats(node.input[0]), parameters, node.output[0], node.output[0])


def quantise_dynamically(to: Emitter, node: onnx.NodeProto) -> None:
    """Each element, and the mean of all: their range gives scale and zero point."""
    mean = to.mean(node.input[0], None, keepdims=0)
    to.emit("Add", [node.input[0], mean], node.output[0])
    for output in filter(None, node.output[1:]):
        to.emit("Identity", [mean], output)


def conv(to: Emitter, node: onnx.NodeProto) -> None:
    """Conv; the bias is quantised by the scales of x and w."""
    scales = (1, 4) if input_of(node, 8) else ()
    operands = Operand(0, (1, 2)), Operand(3, (4, 5), 0)
    as_operator("Conv", *operands, added=(*scales, 6, 7, 8), axis=1)(to, node)


def concat(to: Emitter, node: onnx.NodeProto) -> None:
    """Concat of the parts; each has a scale and a zero point, and so has the output."""
    parts = []
    for k in range(2, len(node.input), 3):
        name = node.input[k]
        parts.append(to.add(to.floats(name), [(n, -1) for n in node.input[k + 1 : k + 3]], name))
    made = to.emit("Concat", parts, axis=attributes_of(node)["axis"])
    added = [(name, -1) for name in node.input[:2]]
    to.add(made, added, node.output[0], node.output[0])


def reduce_mean(to: Emitter, node: onnx.NodeProto) -> None:
    """ReduceMean, the scales and the zero points."""
    given = attributes_of(node)
    made = to.mean(to.floats(node.input[0]), given.get("axes"), keepdims=given.get("keepdims", 1))
    to.add(made, [(name, -1) for name in node.input[1:]], node.output[0], node.output[0])


def softmax(to: Emitter, node: onnx.NodeProto) -> None:
    """Softmax over one axis, or from it on before operator set 13."""
    given = attributes_of(node)
    rank = len(to.shapes[node.output[0]])
    old = given.get("opset", 13) < 13
    axis = given.get("axis", -1) % rank
    mean = to.mean(to.floats(node.input[0]), range(axis, rank) if old else [axis])
    added = [(name, -1) for name in node.input[1:]]
    total = to.emit("Add", [to.floats(node.input[0]), mean])
    to.add(total, added, node.output[0], node.output[0])


def packed_product(to: Emitter, node: onnx.NodeProto) -> None:
    """The mean of a row, for each column of the weights; no bias."""
    if any(name in to.live for name in node.input[1:]):
        raise LostError("its weights are computed from the data")
    mean = to.mean(node.input[0], [-1])
    to.spread(mean, to.shapes[node.output[0]], node.output[0])
