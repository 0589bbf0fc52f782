"""A model and its twin, as quantised or optimised: the first value in which they part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx

from rfgraph.agreement.result import OTHER_ELEMENTS, Difference, OutputFound
from rfgraph.agreement.sides import Side, alone
from rfgraph.agreement.whole import flat
from rfgraph.compare import compared
from rfgraph.runtimes import Outcome
from rfgraph.runtimes.observe import Region, Sight, distance, observed
from rfgraph.validation.claims import Claims
from rfgraph.validation.plan import Run
from rfgraph.worker.protos import is_container, reads_of

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
) -> Difference | None:
    """The first value that both have in which they see other elements.

    Parameters
    ----------
    sides : tuple of Side
        The model and its twin.
    point : mapping of str to ndarray
        Inputs of the first.
    runs : sequence of Run
        What may be changed.
    outputs : sequence of OutputFound
        What was found of the outputs; those that parted end the search.
    """
    first, second = sides
    common = _common(first, second)
    if not common:
        return None
    points = [point, second.feeds(point)]
    base = []
    for side, feeds in zip(sides, points, strict=True):
        answer = side.open_upto(common)
        made = side.session.run([feeds])[0] if answer.answered else answer
        if not made.answered:
            return None
        base.append([np.asarray(array) for array in made.outputs])
    units = [
        np.linspace(0, array.size - 1, min(_UNITS, array.size)).astype(np.int64)
        for array in base[0]
    ]
    sights = []
    for side, feeds in zip(sides, points, strict=True):
        names = dict(zip(point, feeds, strict=False))
        regions = [
            Region(names[r.input], r.within(np.shape(point[r.input])))
            for run in runs[:_CHANGES]
            for r in run.regions[:1]
        ]
        sight = observed(side.session, [feeds], regions, units=_within(units, base), precision=0)
        if isinstance(sight, Outcome):
            return None
        sights.append(sight)
    known = [n for n in common if first.analysis.extent(n) is not None]
    asked = Claims(first.analysis, known)
    claims = [asked.of(run) for run in runs[:_CHANGES]]
    for k, name in enumerate(common):
        alike = base[0][k].shape == base[1][k].shape == first.analysis.extent(name)
        if not alike:
            continue
        claimed = np.array(
            [flat(claim[name].support, claim[name].shape, units[k]) for claim in claims]
        )
        found = _parts(sides, (sights[0], sights[1]), k, claimed)
        if found:
            apart = float(distance(base[0][k], base[1][k]).max(initial=0.0))
            return _difference(
                sides, name, common[:k], apart, found, str(runs[found[0]].regions[0])
            )
    return None


def _within(
    units: Sequence[np.ndarray], base: Sequence[Sequence[np.ndarray]]
) -> list[np.ndarray | None]:
    """Units that both have: none of a value of another size."""
    return [
        at if base[0][k].shape == base[1][k].shape else np.zeros(0, np.int64)
        for k, at in enumerate(units)
    ]


def _parts(
    sides: tuple[Side, Side], sights: tuple[Sight, Sight], k: int, claimed: np.ndarray
) -> tuple[int, int] | None:
    """The first change that only one side sees, and which."""
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
            return int(rows[0]), side
    return None


def _common(first: Side, second: Side) -> list[str]:
    """Values that both models make of their inputs, in the order of the second."""
    ours = _living(first)
    known = set(first.analysis.tensors)
    names = [name for name in _living(second) if name in ours and name in known]
    if len(names) > _VALUES:
        chosen = np.linspace(0, len(names) - 1, _VALUES).astype(int)
        names = [names[k] for k in chosen]
    return names


def _living(side: Side) -> dict[str, None]:
    """Tensors that depend on inputs, in topological order."""
    proto, kinds = side.proto, side.kinds
    weights = {tensor.name for tensor in proto.graph.initializer}
    living = {value.name for value in proto.graph.input} - weights
    found: dict[str, None] = {}
    for node in proto.graph.node:
        if not living.isdisjoint(reads_of(node)):
            living.update(filter(None, node.output))
            found.update(
                (n, None) for n in node.output if n in kinds and not is_container(kinds[n])
            )
    return found


def _difference(
    sides: tuple[Side, Side],
    value: str,
    before: Sequence[str],
    apart: float,
    found: tuple[int, int],
    changed: str,
) -> Difference:
    """What is told of the first value that parts."""
    segments = [_segment(one, value, before) for one in sides]
    theirs = {node.op_type for node in segments[0]}
    own = [node for node in segments[1] if node.op_type not in theirs] or segments[1]
    node = own[0] if own else onnx.NodeProto(op_type="?")
    text = (
        f"'{value}' changes with {changed} in {sides[found[1]].name} only; between it and what "
        f"agrees the first has {_words(segments[0])}, the second {_words(segments[1])}"
    )
    name = node.name or (node.output[0] if node.output else value)
    return Difference(name, node.op_type, value, OTHER_ELEMENTS, apart, text=text)


def _segment(side: Side, value: str, before: Sequence[str]) -> list[onnx.NodeProto]:
    """The nodes that make a value of those that agree, in topological order, but for constants."""
    known, wanted, found = set(before), {value}, []
    living = _living(side).keys()
    for node in reversed(side.proto.graph.node):
        if not wanted.isdisjoint(node.output):
            wanted.update(reads_of(node) - known)
            if not living.isdisjoint(node.output):
                found.append(node)
    return found[::-1]


def _words(nodes: Sequence[onnx.NodeProto]) -> str:
    kinds = list(dict.fromkeys(node.op_type for node in nodes))
    return ", ".join(kinds[:6]) + (", …" if len(kinds) > 6 else "") or "nothing"


__all__ = ["claimed", "matched", "traced"]
