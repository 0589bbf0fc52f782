"""If and Loop: the branch that is taken, and as many copies of a body as there are rounds."""

from __future__ import annotations

from itertools import count

import numpy as np

from rfgraph.model import element_types
from rfgraph.model.graph import Node
from rfgraph.unroll.repeated import Round, TooLong, inside, put_repeated
from rfgraph.unroll.writer import Writer, graph_of

# ---------------------------------------------------------------- If


def if_(writer: Writer, node: Node) -> None:
    """The branch that is taken; where the data decide that, both of them and a choice."""
    condition = writer.static(node.inputs[0])
    if condition is not None and condition.size == 1:
        which = "then_branch" if condition.reshape(()) else "else_branch"
        made = writer.subgraph(node, which, [], node.name, keep=True)
        for inner, outer in zip(made, node.outputs, strict=True):
            writer.same(inner, outer, node)
        return
    then = writer.subgraph(node, "then_branch", [], node.name, keep=True)
    other = writer.subgraph(node, "else_branch", [], node.name, keep=True)
    for k, outer in enumerate(node.outputs):
        pair = writer.sequences.get(then[k]), writer.sequences.get(other[k])
        if pair[0] is not None and pair[1] is not None and len(pair[0]) == len(pair[1]):
            writer.sequences[outer] = [
                _either(writer, node, a, b, f"{outer}/{i}")
                for i, (a, b) in enumerate(zip(pair[0], pair[1], strict=True))
            ]
    writer.put("If", [node.inputs[0], *then, *other], node.outputs, node.name)
    shapes = writer.shapes
    for a, b, outer in zip(then, other, node.outputs, strict=True):
        kinds = {shapes.element_type(name) for name in (a, b)}
        if outer and shapes.shape(outer) is None and len(kinds) == 1:
            shapes.give(outer, kinds.pop(), None)


def _either(writer: Writer, node: Node, a: str, b: str, name: str) -> str:
    made = writer.fresh(name, node.name, keep=True)
    writer.put("If", [node.inputs[0], a, b], [made], f"{node.name}/{name}")
    return made


# ---------------------------------------------------------------- Loop


def loop(writer: Writer, node: Node) -> None:
    """As many copies of the body as there are rounds, or one that is repeated."""
    inputs = [*node.inputs, *[""] * (2 - len(node.inputs))]
    trips, condition = writer.static(inputs[0]), writer.static(inputs[1])
    steered = (inputs[0] and trips is None) or (inputs[1] and condition is None)
    mark = writer.mark()
    try:
        if steered:
            raise TooLong
        begins = condition is None or bool(writer.single(node, condition, "condition"))
        most = None if trips is None else int(writer.single(node, trips, "trip count"))
        _unroll(writer, node, inputs, most, begins)
    except TooLong:
        writer.undo(mark)
        _repeat(writer, node, inputs, trips)


def _unroll(
    writer: Writer, node: Node, inputs: list[str], trips: int | None, goes_on: bool
) -> None:
    """A loop as so many copies of its body."""
    graph = graph_of(node, "body")
    if graph is None:
        raise writer.error(node, "it has no 'body'")
    size = len(graph.node)
    if trips is not None and trips * size > writer.room and _counts_only(node):
        raise TooLong
    state = list(inputs[2:])
    condition = inputs[1] or writer.constant(True, "cond", node)
    stacks: list[list[str]] = [[] for _ in node.outputs[len(state) :]]
    for k in count():
        if not goes_on or (trips is not None and k >= trips):
            break
        if writer.room < size:
            raise TooLong
        number = writer.constant(np.int64(k), f"{k}/iteration", node)
        made = writer.subgraph(
            node, "body", [number, condition, *state], f"{node.name}/{k}", keep=False
        )
        condition, state = made[0], made[1 : 1 + len(state)]
        for rows, name in zip(stacks, made[1 + len(state) :], strict=False):
            rows.append(name)
        known = writer.static(condition)
        if known is None:
            raise TooLong
        goes_on = bool(writer.single(node, known, "condition"))
    for inner, outer in zip(state, node.outputs, strict=False):
        writer.same(inner, outer, node)
    for rows, outer in zip(stacks, node.outputs[len(state) :], strict=True):
        if outer:
            writer.stacked(rows, outer, node, 0)


def _repeat(writer: Writer, node: Node, inputs: list[str], trips: np.ndarray | None) -> None:
    """A loop as a body that is repeated until nothing changes."""
    graph = graph_of(node, "body")
    first = inputs[2:]
    if graph is None or len(graph.input) != len(first) + 2:
        raise writer.error(node, f"it has no 'body' that takes {len(first) + 2} inputs")

    def round_(state: list[str]) -> Round:
        number = inside(writer, graph.input[0].name, node, element_types.INT64, ())
        condition = inside(writer, graph.input[1].name, node, element_types.BOOL, ())
        made = writer.subgraph(node, "body", [number, condition, *state], node.name, keep=True)
        return Round(made[1 : 1 + len(state)], made[1 + len(state) :], made[0])

    most = None if trips is None else int(writer.single(node, trips, "trip count"))
    begins = writer.static(inputs[1]) if inputs[1] else np.array(True)
    begun = begins is not None and bool(writer.single(node, begins, "condition"))
    sure = begun and (not inputs[0] or bool(most))
    counted = most if sure and _counts_only(node) else None
    put_repeated(writer, node, inputs[:2], first, round_, counted, at_least_once=sure)


def _counts_only(node: Node) -> bool:
    """Whether the condition that a loop's body gives is the one that it got, or a constant."""
    body = node.attribute("body")
    if not body.output or len(body.input) < 2:
        return False
    name = body.output[0].name
    made = next((node for node in body.node if name in node.output), None)
    if made is None or made.op_type == "Constant":
        return True
    return made.op_type == "Identity" and body.input[1].name in made.input
