"""A model and its twin, as quantised or optimised: the first value in which they part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from rfgraph.agreement.node import Alone, Seen
from rfgraph.agreement.result import OTHER_ELEMENTS, PARTED, Difference, OutputFound
from rfgraph.agreement.segments import Common, Segments, between, told_apart
from rfgraph.agreement.sides import Side, alone
from rfgraph.agreement.whole import flat
from rfgraph.compare import compared
from rfgraph.runtimes import Outcome
from rfgraph.runtimes.observe import Region, Sight, distance, observed
from rfgraph.runtimes.session import OTHER_SHAPE
from rfgraph.validation.claims import Claims
from rfgraph.validation.plan import Run
from rfgraph.worker.protos import dependent, is_container

# So many values that both have are looked at, spread over the graph, with so many changes.
_VALUES = 96
_CHANGES = 4

# Units of each value that are looked at.
_UNITS = 2000


def matched(first: Side, second: Side) -> list[tuple[str, int | None]]:
    """The outputs of the first model, and their places in the second: by name, else by place."""
    names = second.outputs
    as_many = len(first.outputs) == len(names)
    return [
        (name, names.index(name) if name in names else k if as_many else None)
        for k, name in enumerate(first.outputs)
    ]


def claimed(first: Side, second: Side) -> str:
    """How rfgraph's own claims of both models differ in their outputs."""
    found = compared(first.analysis, second.analysis, [], only_outputs=True)
    said = [change.text for change in found.changes]
    if not said:
        return "rfgraph claims that the outputs of both see the same"
    more = f", and {len(said) - 3} more" if len(said) > 3 else ""
    return f"rfgraph's claims of both differ: {'; '.join(said[:3])}{more}"


def traced(
    sides: tuple[Side, Side],
    point: Mapping[str, np.ndarray],
    runs: Sequence[Run],
    outputs: Sequence[OutputFound],
) -> Parting | None:
    """The first value that both have in which they see other elements, or, failing that, which
    has another shape, as an output has.

    Parameters
    ----------
    sides : tuple of Side
        The model and its twin.
    point : mapping of str to ndarray
        Inputs of the first.
    runs : sequence of Run
        What may be changed.
    outputs : sequence of OutputFound
        What was found of the outputs.
    """
    # A runtime may merge nodes unless it has to show what is between them.
    for pairs in (_common(*sides), _outputs(*sides)):
        found = _traced(sides, point, runs, outputs, pairs)
        if found is not None:
            return found
    return None


def _traced(
    sides: tuple[Side, Side],
    point: Mapping[str, np.ndarray],
    runs: Sequence[Run],
    outputs: Sequence[OutputFound],
    pairs: Sequence[tuple[str, str]],
) -> Parting | None:
    """The first of some values, by their names in both, in which they part; see `traced`."""
    points = [point, sides[1].feeds(point)]
    base: list[list[np.ndarray]] = []
    for k, side in enumerate(sides):
        answer = side.open_upto([names[k] for names in pairs])
        made = side.session.run([points[k]])[0] if pairs and answer.answered else answer
        if not made.answered or not pairs:
            return None
        base.append([np.asarray(array) for array in made.outputs])
    common = [Common(*one) for one in zip(pairs, zip(*base, strict=True), strict=True)]
    found = _seeing(sides, point, runs, common)
    if found is None and any(one.kind == PARTED and not one.tested for one in outputs):
        shapes = [one.made[0].shape == one.made[1].shape for one in common]
        found = None if all(shapes) else _Place(shapes.index(False))
    if found is None:
        return None
    value, before = common[found.value], common[: found.value]
    segments = between(sides, point, value, before)
    return Parting(sides, point, value, segments, found)


@dataclass(frozen=True)
class _Place:
    """Where both part: the value's place, and what only one side sees from which unit, if any."""

    value: int
    unit: int = 0
    region: Region | None = None
    words: str = ""
    side: int = 0


@dataclass(frozen=True)
class Parting:
    """Where a model and its twin part.

    Attributes
    ----------
    sides : tuple of Side
        Both.
    point : mapping of str to ndarray
        Inputs of the first.
    value : Common
        The value in which they part.
    segments : Segments
        What makes it of values that agree.
    """

    sides: tuple[Side, Side]
    point: Mapping[str, np.ndarray]
    value: Common
    segments: Segments
    _place: _Place

    def difference(self) -> Difference:
        """What is told of it."""
        return _difference(self.sides, self.value, self._place, self.segments)

    def shown(self) -> tuple[Alone | None, Seen | None]:
        """What shows it: the segments or, if they do not by themselves, all before the value."""
        if self._place.region is None:
            return self.segments.alone(self.sides), None
        return told_apart(self.sides, self._tried(), self._place.unit, self._place.region)

    def _tried(self) -> Iterator[Segments]:
        yield self.segments
        yield between(self.sides, self.point, self.value, [])


def _seeing(
    sides: tuple[Side, Side],
    point: Mapping[str, np.ndarray],
    runs: Sequence[Run],
    common: Sequence[Common],
) -> _Place | None:
    """The first value in which one side sees what the other does not."""
    first, second = sides
    tried = [(run, run.regions[0]) for run in runs[:_CHANGES]]
    regions = [Region(r.input, r.within(np.shape(point[r.input]))) for _, r in tried]
    units = [
        np.linspace(0, size - 1, min(_UNITS, size)).astype(np.int64)
        for size in (one.made[0].size for one in common)
    ]
    # None of a value of another size.
    kept: list[np.ndarray | None] = [
        at if one.made[0].shape == one.made[1].shape else np.zeros(0, np.int64)
        for one, at in zip(common, units, strict=True)
    ]
    ours = observed(first.session, [point], regions, units=kept, precision=0)
    own = [second.region(region, point) for region in regions]
    theirs = observed(second.session, [second.feeds(point)], own, units=kept, precision=0)
    if isinstance(ours, Outcome) or isinstance(theirs, Outcome):
        return None
    known = [n for one in common if first.analysis.extent(n := one.names[0]) is not None]
    asked = Claims(first.analysis, known)
    claims = [asked.of(run) for run, _ in tried]
    for k, one in enumerate(common):
        name = one.names[0]
        if not one.made[0].shape == one.made[1].shape == first.analysis.extent(name):
            continue
        claimed = np.array(
            [flat(claim[name].support, claim[name].shape, units[k]) for claim in claims]
        )
        found = _parts(sides, (ours, theirs), k, claimed)
        if found is not None:
            row, column, side = found
            return _Place(k, int(units[k][column]), regions[row], str(tried[row][1]), side)
    return None


def _parts(
    sides: tuple[Side, Side], sights: tuple[Sight, Sight], k: int, claimed: np.ndarray
) -> tuple[int, int, int] | None:
    """The first change that only one side sees, the unit that shows it most, and the side."""
    ours, theirs = (sight.responses[k] for sight in sights)
    coarse = any(side.coarse for side in sides)
    for side, lone in enumerate(
        (
            alone(ours, theirs, sides[0], sides[1], claimed, coarse=coarse),
            alone(theirs, ours, sides[1], sides[0], claimed, coarse=coarse),
        )
    ):
        rows = np.flatnonzero(lone.any(axis=1))
        if len(rows):
            row = int(rows[0])
            apart = np.where(lone[row], np.abs(ours[row] - theirs[row]), -1.0)
            return row, int(apart.argmax()), side
    return None


def _common(first: Side, second: Side) -> list[tuple[str, str]]:
    """Values that both models make of their inputs, in the order of the second.

    Of other names are outputs that are matched by place.
    """
    living = _living(second)
    ours = {name for name in _living(first) if name in first.analysis.tensors}
    names = {name: name for name in living if name in ours}
    names |= {
        theirs: name
        for name, theirs in _outputs(first, second)
        if name not in living and theirs not in ours
    }
    found = [(names[theirs], theirs) for theirs in living if theirs in names]
    if len(found) > _VALUES:
        chosen = np.linspace(0, len(found) - 1, _VALUES).astype(int)
        found = [found[k] for k in chosen]
    return found


def _outputs(first: Side, second: Side) -> list[tuple[str, str]]:
    """The outputs that both models make of their inputs, as they are matched."""
    ours, theirs = _living(first), _living(second)
    pairs = [(n, second.outputs[k]) for n, k in matched(first, second) if k is not None]
    return [(n, m) for n, m in pairs if n in ours and m in theirs and n in first.analysis.tensors]


def _living(side: Side) -> dict[str, None]:
    """Tensors that depend on inputs, in topological order."""
    weights = {tensor.name for tensor in side.proto.graph.initializer}
    inputs = {value.name for value in side.proto.graph.input} - weights
    return {
        name: None
        for node in dependent(side.proto.graph.node, inputs)
        for name in node.output
        if name in side.kinds and not is_container(side.kinds[name])
    }


def _difference(
    sides: tuple[Side, Side], value: Common, found: _Place, segments: Segments
) -> Difference:
    """What is told of the first value that parts."""
    nodes = [segments.nodes(k) for k in (0, 1)]
    theirs = {node.op_type for node in nodes[0]}
    own = [node for node in nodes[1] if node.op_type not in theirs] or nodes[1]
    node = own[0] if own else onnx.NodeProto(op_type="?")
    name, shape = value.names[0], value.made[0].shape
    kind, unit = OTHER_SHAPE, tuple[int, ...]()
    if found.region is None:
        said = f"has the shape {shape} in {sides[0].name} and {value.made[1].shape} in "
        said += sides[1].name
    else:
        kind = OTHER_ELEMENTS
        unit = tuple(int(k) for k in np.unravel_index(found.unit, shape))
        said = f"changes with {found.words} in {sides[found.side].name} only"
    text = (
        f"'{name}' {said}; between it and what agrees the first has {_words(nodes[0])}, the "
        f"second {_words(nodes[1])}"
    )
    shown = node.name or (node.output[0] if node.output else name)
    apart = float(distance(*value.made).max(initial=0.0))
    return Difference(shown, node.op_type, name, kind, apart, unit, text=text)


def _words(nodes: Sequence[onnx.NodeProto]) -> str:
    kinds = list(dict.fromkeys(node.op_type for node in nodes))
    return ", ".join(kinds[:6]) + (", …" if len(kinds) > 6 else "") or "nothing"


__all__ = ["Parting", "claimed", "matched", "traced"]
