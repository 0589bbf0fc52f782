"""A loop of which it is not known how often it goes round, as a node with a body."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from rfgraph.model.graph import Body, Node, make_node
from rfgraph.model.sizes import Shape, is_unknown
from rfgraph.unroll.writer import Writer


class TooLong(Exception):  # noqa: N818 - an answer, not an error: it never leaves the package
    """Raised where a loop would be unrolled into too many nodes, or where its end isn't static."""


class Round(NamedTuple):
    """The values of one round of a loop.

    Attributes
    ----------
    after : list of str
        What goes on to the next round.
    rows : list of str
        What it adds to the outputs that are stacked.
    condition : str
        What says whether there is a next one.
    """

    after: list[str]
    rows: list[str]
    condition: str


def put_repeated(
    writer: Writer,
    node: Node,
    steering: list[str],
    first: Sequence[str],
    round_: Callable[[list[str]], Round],
    length: int | None,
    *,
    at_least_once: bool,
    **given: Any,
) -> None:
    """Append a node that repeats a body, once it is known which states keep their shape.

    Parameters
    ----------
    writer : Writer
        To where.
    node : Node
        The Loop or Scan.
    steering : list of str
        Its inputs that decide how often it goes round.
    first : sequence of str
        What the first round begins with.
    round_ : callable
        Writes one round that begins with the values given.
    length : int or None
        The number of rounds if that is known.
    at_least_once : bool
        Whether there is a first round.
    **given
        Attributes of the new node.
    """
    shapes, state, body, last = _settled(writer, node, len(steering), first, round_)
    carried = list(zip(first, state, last.after, strict=True))
    from onnx import helper

    proto = helper.make_node(
        node.op_type, [*steering, *first], node.outputs, name=node.name, **given
    )
    made = make_node(proto, {"": node.version}, "", writer.graph.file, writer.graph.kinds)
    repeated = Node(
        made.name,
        made.kind,
        made.inputs,
        made.outputs,
        [*last.after, last.condition, *last.rows],
        made.opsets,
        Body(body, carried, at_least_once),
    )
    _give_states(writer, node, first, shapes)
    _give_stacks(writer, node.outputs[len(state) :], last.rows, length, given)
    writer.emit(repeated)


def _settled(
    writer: Writer,
    node: Node,
    steering: int,
    first: Sequence[str],
    round_: Callable[[list[str]], Round],
) -> tuple[list[Shape | None], list[str], list[Node], Round]:
    """The shapes that states have before and after every round, their names inside, and a round."""
    shapes = writer.shapes
    kept: list[Shape | None] = [shapes.shape(name) for name in first]
    own = node.attribute("body").input[steering:]
    while True:
        mark = writer.mark()
        with writer.apart() as body:
            state = [
                inside(writer, value.name, node, shapes.element_type(name), shape)
                for value, name, shape in zip(own, first, kept, strict=False)
            ]
            made = round_(state)
        stays = [
            _common(writer, f"{node.name}, state {k}", shape, shapes.shape(after))
            for k, (shape, after) in enumerate(zip(kept, made.after, strict=True))
        ]
        if stays == kept:
            return kept, state, body, made
        kept = stays
        writer.undo(mark)


def _common(writer: Writer, name: str, before: Shape | None, after: Shape | None) -> Shape | None:
    """What a state's shape before and after a round have in common; what changes is unknown."""
    if before is None or after is None or len(before) != len(after):
        return None
    pairs = zip(before, after, strict=True)
    return writer.shapes.named(name, tuple([n if n == m else None for n, m in pairs]))


def inside(writer: Writer, name: str, node: Node, element_type: int, shape: Shape | None) -> str:
    """A value inside of a body that no node makes."""
    made = writer.fresh(name, node.name, keep=True)
    writer.shapes.give(made, element_type, shape)
    return made


def _give_states(
    writer: Writer, node: Node, first: Sequence[str], kept: Sequence[Shape | None]
) -> None:
    """Say what shapes the states have after the last round."""
    shapes = writer.shapes
    for name, begin, shape in zip(node.outputs, first, kept, strict=False):
        if name and shape is not None:
            # The size of one round is not that of another one.
            left = tuple([None if is_unknown(n) else n for n in shape])
            shapes.give(name, shapes.element_type(begin), shapes.named(name, left))


def _give_stacks(
    writer: Writer,
    outputs: Sequence[str],
    rows: Sequence[str],
    length: int | None,
    given: Mapping[str, Any],
) -> None:
    """Say what shapes the outputs have that consist of a row for each round."""
    shapes = writer.shapes
    axes = given.get("scan_output_axes") or [0] * len(rows)
    for name, row, axis in zip(outputs, rows, axes, strict=False):
        shape = shapes.shape(row)
        if name and shape is not None:
            axis %= len(shape) + 1
            sizes = [None if is_unknown(n) else n for n in shape]
            stacked = shapes.named(name, (*sizes[:axis], length, *sizes[axis:]))
            shapes.give(name, shapes.element_type(row), stacked)
