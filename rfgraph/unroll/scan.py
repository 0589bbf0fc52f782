"""Scan: a copy of its body for each row of what it scans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rfgraph.model import element_types
from rfgraph.model.graph import Node
from rfgraph.unroll.repeated import Round, TooLong, inside, put_repeated
from rfgraph.unroll.writer import Writer, graph_of


@dataclass(frozen=True)
class _Scan:
    """A node, as far as it is the same in all versions.

    Attributes
    ----------
    node : Node
        The node.
    first : sequence of str
        What the first round begins with.
    scanned : sequence of str
        Inputs of which every round gets a row.
    axes : sequence of int
        The axis along which these lie, for each of `scanned`.
    length : int or None
        How many rows there are, if that is known.
    """

    node: Node
    first: Sequence[str]
    scanned: Sequence[str]
    axes: Sequence[int]
    length: int | None

    @property
    def stacked(self) -> Sequence[str]:
        """The outputs that get a row from every round."""
        return self.node.outputs[len(self.first) :]

    @property
    def output_axes(self) -> Sequence[int]:
        """The axis along which each of these lies."""
        found: Sequence[int] = self.node.attribute("scan_output_axes") or [0] * len(self.stacked)
        return found


def scan(writer: Writer, node: Node) -> None:
    """As many copies of the body as there are rows, or one that is repeated."""
    # Version 8 has a batch, and the lengths of its samples first.
    batched = node.version < 9
    given = _parsed(writer, node, batched=batched)
    mark = writer.mark()
    try:
        if given.length is None:
            raise TooLong
        if batched:
            _unroll_batch(writer, given, given.length)
        else:
            _unroll(writer, given, given.length)
    except TooLong:
        writer.undo(mark)
        if batched:
            writer.emit(node)
        else:
            _repeat(writer, given)


def _parsed(writer: Writer, node: Node, *, batched: bool) -> _Scan:
    """What a node scans.

    Raises
    ------
    ModelError
        Its body, or the number of its inputs, does not fit.
    """
    number = node.attribute("num_scan_inputs") or 0
    names = node.inputs[batched:]
    graph = graph_of(node, "body")
    if graph is None or len(graph.input) != len(names):
        raise writer.error(node, f"it has no 'body' that takes {len(names)} inputs")
    if not 0 < number <= len(names):
        raise writer.error(node, f"num_scan_inputs is {number}, and it has {len(names)} inputs")
    first, scanned = names[:-number], names[-number:]
    axes = node.attribute("scan_input_axes") or [int(batched)] * number
    lengths = {
        shape[axis] if shape is not None and -len(shape) <= axis < len(shape) else None
        for shape, axis in zip(map(writer.shapes.shape, scanned), axes, strict=True)
    }
    length = lengths.pop() if len(lengths) == 1 else None
    return _Scan(node, first, scanned, axes, length)


def _unroll(writer: Writer, given: _Scan, length: int) -> None:
    """A scan as so many copies of its body."""
    node = given.node
    state, stacks = _rounds(writer, node, given.first, given.scanned, given.axes, length, node.name)
    back = node.attribute("scan_output_directions") or [0] * len(given.stacked)
    for inner, outer in zip(state, node.outputs, strict=False):
        writer.same(inner, outer, node)
    for rows, outer, axis, b in zip(stacks, given.stacked, given.output_axes, back, strict=True):
        if outer:
            writer.stacked(rows[::-1] if b else rows, outer, node, axis)


def _rounds(
    writer: Writer,
    node: Node,
    first: Sequence[str],
    scanned: Sequence[str],
    axes: Sequence[int],
    length: int,
    prefix: str,
) -> tuple[list[str], list[list[str]]]:
    """The last state of so many rounds, and the rows of each output that is stacked."""
    body = node.attribute("body")
    if length * (len(body.node) + len(scanned)) > writer.room:
        raise TooLong
    back = node.attribute("scan_input_directions") or node.attribute("directions")
    back = back or [0] * len(scanned)
    state = list(first)
    stacks: list[list[str]] = [[] for _ in body.output[len(first) :]]
    for k in range(length):
        indices = [
            writer.constant(np.int64(length - 1 - k if b else k), f"{k}/index", node) for b in back
        ]
        made = _round(writer, node, state, scanned, axes, indices, f"{prefix}/{k}")
        state = made[: len(first)]
        for rows, name in zip(stacks, made[len(first) :], strict=True):
            rows.append(name)
        if writer.room < 0:
            raise TooLong
    return state, stacks


def _round(
    writer: Writer,
    node: Node,
    state: Sequence[str],
    scanned: Sequence[str],
    axes: Sequence[int],
    indices: Sequence[str],
    prefix: str,
) -> list[str]:
    """One round: a row of everything that is scanned, and the body."""
    keep = prefix == node.name
    inputs = list(state)
    for index, name, axis in zip(indices, scanned, axes, strict=True):
        own = node.attribute("body").input[len(inputs)].name
        inputs.append(writer.fresh(own, prefix, keep=keep))
        writer.put("Gather", [name, index], [inputs[-1]], f"{prefix}/{own}", axis=axis)
    return writer.subgraph(node, "body", inputs, prefix, keep=keep)


def _unroll_batch(writer: Writer, given: _Scan, length: int) -> None:
    """A scan of version 8: sample by sample, each of its own length, the rest zeros."""
    node = given.node
    lengths = writer.static(node.inputs[0])
    if node.inputs[0] and lengths is None:
        raise TooLong
    batch = (writer.shapes.shape(given.scanned[0]) or (0,))[0]
    samples: list[list[str]] = [[] for _ in node.outputs]
    for b in range(batch):
        steps = length if lengths is None else int(lengths[b])
        for kept, name in zip(samples, _sample(writer, given, b, steps, length), strict=False):
            kept.append(name)
    for made, outer in zip(samples, node.outputs, strict=True):
        if outer:
            writer.stacked(made, outer, node, 0)


def _sample(writer: Writer, given: _Scan, b: int, steps: int, length: int) -> list[str]:
    """The outputs for one sample of a batch, which has so many `steps` of `length`."""
    node = given.node
    sample = writer.constant(np.int64(b), f"{b}/sample", node)
    own = []
    for name in (*given.first, *given.scanned):
        own.append(writer.fresh(f"{name}/{b}", node.name, keep=True))
        writer.put("Gather", [name, sample], [own[-1]], f"{node.name}/{own[-1]}", axis=0)
    first, scanned = own[: len(given.first)], own[len(given.first) :]
    axes = [0] * len(scanned)
    made, stacks = _rounds(writer, node, first, scanned, axes, steps, f"{node.name}/{b}")
    for k, rows in enumerate(stacks):
        shape = writer.shapes.shape(rows[0]) if rows else None
        if len(rows) < length and shape is None:
            raise TooLong
        for _ in range(length - len(rows)):
            rows.append(writer.constant(np.zeros(shape or (), np.float32), "zero", node))
        made.append(writer.fresh(f"{b}/rows/{k}", node.name, keep=False))
        writer.stacked(rows, made[-1], node, 0)
    return made


def _repeat(writer: Writer, given: _Scan) -> None:
    """A scan as a body that is repeated until nothing changes."""
    node, first = given.node, list(given.first)

    def round_(state: list[str]) -> Round:
        index = inside(writer, f"{node.name}/index", node, element_types.INT64, ())
        indices = [index] * len(given.scanned)
        made = _round(writer, node, state, given.scanned, given.axes, indices, node.name)
        return Round(made[: len(first)], made[len(first) :], index)

    put_repeated(
        writer,
        node,
        [],
        first,
        round_,
        given.length,
        at_least_once=bool(given.length),
        scan_output_axes=given.output_axes,
    )
