"""Control flow: kept as it is where all inside carries NaN, or an If with other branches."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from onnx import TensorProto, helper

from rfgraph.validation.nan.emitter import Emitter, LostError
from rfgraph.worker.protos import (
    attributes_of,
    is_container,
    is_measured,
    key_of,
    reads_of,
    subgraphs_of,
)

# For each operator: how many of its first inputs decide what it does, and the position of the first
# input of its subgraph that is an input of the node.
_CALLS: Mapping[str, tuple[int, int]] = {"If": (1, 0), "Loop": (2, 2), "Scan": (0, 0)}


def kept(to: Emitter, node: onnx.NodeProto) -> None:
    """Itself, if all that lives inside carries NaN."""
    for name in sorted(reads_of(node)):
        to.must_be_float(name)
    live = to.live
    try:
        living = _living(to, node)
    finally:
        to.live = live
    to.dead.update(name for name, alive in zip(node.output, living, strict=True) if not alive)
    to.nodes.append(node)


def _living(to: Emitter, node: onnx.NodeProto) -> list[bool]:
    """Which outputs of a control flow operator live; it is kept as it is.

    Raises
    ------
    LostError
        Data decide what it does, or something inside does not carry NaN as it is.
    """
    steering, first = _CALLS[node.op_type]
    if any(name in to.live for name in node.input[:steering]):
        raise LostError("the data decide what it does")
    outputs = [False] * len(node.output)
    for graph in subgraphs_of(node):
        made = _living_inside(to, node, graph, first)
        outputs = [one or other for one, other in zip(outputs, made, strict=True)]
    return outputs


def _living_inside(
    to: Emitter, node: onnx.NodeProto, graph: onnx.GraphProto, first: int
) -> list[bool]:
    """Which outputs of a subgraph live, after any number of rounds."""
    outside, begins = to.live, node.input[first:]
    states = {formal.name for formal in graph.input[first:]}
    inside = outside - states
    formals = zip(graph.input[first:], begins, strict=False)
    inside |= {formal.name for formal, name in formals if name in outside}
    carried = len(begins) - attributes_of(node).get("num_scan_inputs", 0)
    while True:
        to.live = set(inside)
        for inner in graph.node:
            _follow(to, inner)
        made = [output.name in to.live for output in graph.output]
        if node.op_type == "Loop" and made.pop(0):
            raise LostError("the data decide how often its body runs")
        loops = zip(graph.input[first : first + carried], made, strict=False)
        grown = inside | {formal.name for formal, alive in loops if alive}
        if node.op_type == "If" or grown == inside:
            break
        inside = grown
    to.live = outside
    return made


def _follow(to: Emitter, node: onnx.NodeProto) -> None:
    """Mark what a node inside makes of what lives."""
    key = key_of(node)
    if is_measured(key) or to.live.isdisjoint(reads_of(node)):
        return
    if node.op_type in _CALLS and not node.domain:
        living = _living(to, node)
    elif key in to.kernels.carries and to.replacement(node) is None:
        for k, name in enumerate(node.input):
            if name in to.live and not to.is_data(node, k):
                raise LostError(f"in its body, input {k} of {node.op_type} says where it reads")
        living = [(key, k) not in to.kernels.fixed for k in range(len(node.output))]
    else:
        raise LostError(f"in its body, {node.op_type} does not carry NaN")
    to.live.update(name for name, alive in zip(node.output, living, strict=True) if alive)


def branches(to: Emitter, node: onnx.NodeProto) -> None:
    """An If, its branches rewritten; its condition does not live."""
    if node.input[0] in to.live:
        raise LostError("the data decide which branch is taken")
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    written = [(graph, _rewritten(to, graph)) for graph in subgraphs_of(copy)]
    ends = [[output.name for output in graph.output] for graph, _ in written]
    living = [any(name in to.live for name in made) for made in zip(*ends, strict=True)]
    for graph, nodes in written:
        with to.into(nodes):
            for output, alive in zip(graph.output, living, strict=True):
                if alive and not is_container(output.type):
                    name = to.floats(output.name)
                    made = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
                    output.CopyFrom(made)
        # Some of them are the graph's own.
        own = onnx.GraphProto(node=nodes)
        del graph.node[:], graph.value_info[:]
        graph.node.extend(own.node)
    to.dead.update(name for name, alive in zip(node.output, living, strict=True) if not alive)
    to.nodes.append(copy)


def _rewritten(to: Emitter, graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """What stands in for the nodes of a branch."""
    nodes: list[onnx.NodeProto] = []
    with to.into(nodes):
        for inner in graph.node:
            if is_measured(key_of(inner)) or to.live.isdisjoint(reads_of(inner)):
                nodes.append(inner)
                continue
            try:
                to.rewrite(inner)
            except LostError as error:
                raise LostError(f"in its body, {inner.op_type} '{inner.name}': {error}") from None
    return nodes
