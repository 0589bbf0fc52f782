"""One node on two sides: what its units see on either, and who is right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np
import onnx

from rfgraph.agreement.cut import suspicious
from rfgraph.agreement.result import OTHER_ELEMENTS, OTHER_VALUES, AxisSeen, Difference
from rfgraph.agreement.sides import Side, alone, as_type, is_coarse, nothing, serialized
from rfgraph.analysis import Analysis, analyze
from rfgraph.errors import RFGraphError
from rfgraph.runtimes import Outcome, start
from rfgraph.runtimes.observe import MARGIN, Region, Sight, bases, distance, elements, observed
from rfgraph.runtimes.session import OTHER_SHAPE, OTHER_TYPE

# Up to so many elements of all inputs each is changed by itself; else planes are.
_ELEMENTS = 400

# Inputs of more bytes, which could not be cropped, are changed about one base point alone.
_LARGE = 1 << 20

# No axis is cropped that is not longer.
_FEW = 4

# So many units are looked at, planes across an axis changed, and coordinates on either side of
# the ends of what a unit is claimed to see.
_UNITS = 6
_PLANES = 40
_AROUND = 3

# By how much an output may be that of the other side, moved along its axes, and in how many ways.
_SHIFTS = (1, -1, 2, -2)
_MOST_SHIFTS = 125


@dataclass
class Alone:
    """A model of one node, and what both sides make of it; or a part of a model, and of its twin.

    Attributes
    ----------
    model : onnx.ModelProto
        The node.
    feeds : dict of str to ndarray
        What it is fed.
    place : int
        The output that is looked at.
    ours, theirs : ndarray
        What it is on either side.
    twin : onnx.ModelProto, optional
        The second side's model, where it is another: with as many inputs, in the same order, and
        the output in the same place.
    """

    model: onnx.ModelProto
    feeds: dict[str, np.ndarray]
    place: int
    ours: np.ndarray
    theirs: np.ndarray
    twin: onnx.ModelProto | None = None

    def model_of(self, side: int) -> onnx.ModelProto:
        """The model of a side."""
        return self.twin if side and self.twin is not None else self.model

    def name_of(self, side: int, name: str) -> str:
        """What a side calls an input."""
        if not side or self.twin is None:
            return name
        return str(self.twin.graph.input[list(self.feeds).index(name)].name)

    def feeds_of(self, side: int, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What is fed to the first side, as a side takes it: by its names, and of its types."""
        if not side or self.twin is None:
            return dict(feeds)
        kinds = [value.type.tensor_type.elem_type for value in self.twin.graph.input]
        return {
            self.name_of(side, name): as_type(array, kind)
            for (name, array), kind in zip(feeds.items(), kinds, strict=True)
        }


def both(
    sides: tuple[Side, Side], model: onnx.ModelProto, feeds: Mapping[str, np.ndarray]
) -> tuple[Outcome, Outcome]:
    """What two sides make of a model, which each has open afterwards."""
    first, second = (run_alone(side, model, feeds) for side in sides)
    return first, second


def run_alone(side: Side, model: onnx.ModelProto, feeds: Mapping[str, np.ndarray]) -> Outcome:
    """What a side makes of a model, which it has open afterwards."""
    answer = side.session.open(serialized(model, side.analysis.file))
    return side.session.run([feeds])[0] if answer.answered else answer


def parted(
    sides: tuple[Side, Side], model: onnx.ModelProto, feeds: Mapping[str, np.ndarray], place: int
) -> Alone | Outcome | None:
    """A model of one node if the sides make something else of it.

    Returns
    -------
    Alone, Outcome or None
        The outcome of a side that doesn't answer; None where they make the same.
    """
    first, second = both(sides, model, feeds)
    for answer in (first, second):
        if not answer.answered:
            return answer
    ours, theirs = np.asarray(first.outputs[place]), np.asarray(second.outputs[place])
    if not suspicious(ours, theirs, *sides):
        return None
    return Alone(model, dict(feeds), place, ours, theirs)


def cropped(sides: tuple[Side, Side], found: Alone) -> Alone:
    """The same with smaller inputs, as far as the sides still part: each axis by halves."""
    name = max(found.feeds, key=lambda n: found.feeds[n].size)
    for axis in reversed(range(found.feeds[name].ndim)):
        # A few elements are left, of which some differ.
        while (size := found.feeds[name].shape[axis]) > _FEW:
            smaller = _with_size(found, name, axis, (size + 1) // 2)
            made = parted(sides, *smaller, found.place)
            if not isinstance(made, Alone) or not made.ours.size:
                break
            found = made
    # Both have the last one that parted open.
    both(sides, found.model, found.feeds)
    return found


def _with_size(
    found: Alone, name: str, axis: int, size: int
) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    model = onnx.ModelProto()
    model.CopyFrom(found.model)
    feeds = dict(found.feeds)
    feeds[name] = np.ascontiguousarray(np.take(feeds[name], range(size), axis))
    for value in model.graph.input:
        if value.name == name:
            value.type.tensor_type.shape.dim[axis].dim_value = size
    return model, feeds


# ---------------------------------------------------------------- sight


@dataclass
class Seen:
    """What some units of a node see on both sides, and are claimed to see.

    Attributes
    ----------
    units : ndarray of int
        The units, as they lie in memory.
    regions : sequence of Region
        What was changed.
    sights : tuple of Sight
        The responses of these units on either side.
    lone : tuple of ndarray of bool, shape (regions, units)
        What one side sees and the other does not.
    claimed : ndarray of bool of that shape, or None
        What rfgraph claims.
    """

    units: np.ndarray
    regions: Sequence[Region]
    sights: tuple[Sight, Sight]
    lone: tuple[np.ndarray, np.ndarray]
    claimed: np.ndarray | None


def seen(
    sides: tuple[Side, Side],
    found: Alone,
    units: np.ndarray | None = None,
    more: Sequence[Region] = (),
) -> Seen | None:
    """Change the inputs of a node on both sides; None where one of them does not answer.

    Parameters
    ----------
    sides : tuple of Side
        Both, with the model open.
    found : Alone
        The node.
    units : ndarray of int, optional
        The units that are looked at; if left out, some that differ.
    more : sequence of Region, optional
        What else is changed.
    """
    if units is None:
        units = _differing(found)
    value = found.model.graph.output[found.place].name
    claims = _claims(found, value, units)
    regions = [*more, *_regions(found, claims)]
    points = points_of(found)
    kept: list[np.ndarray | None] = [np.zeros(0, np.int64) for _ in found.model.graph.output]
    kept[found.place] = units
    sights = []
    for k, side in enumerate(sides):
        fed = [found.feeds_of(k, point) for point in points]
        own = [Region(found.name_of(k, r.input), r.index) for r in regions]
        sight = observed(side.session, fed, own, units=kept, precision=side.noise)
        if isinstance(sight, Outcome):
            return None
        sights.append(sight)
    ours, theirs = (sight.responses[found.place] for sight in sights)
    first, second = sides
    claimed = None
    if claims is not None:
        claimed = np.array(
            [[bool(claim[r.input][r.index].any()) for claim in claims] for r in regions]
        )
        claimed = claimed.reshape(len(regions), len(units))
    coarse = any(is_coarse(found.model_of(k)) for k in (0, 1))
    lone = (
        alone(ours, theirs, first, second, claimed, coarse=coarse) | nothing(ours, theirs, second),
        alone(theirs, ours, second, first, claimed, coarse=coarse) | nothing(theirs, ours, first),
    )
    for sight in sights:
        for row in sight.failed:
            lone[0][row] = lone[1][row] = False
    return Seen(units, regions, (sights[0], sights[1]), lone, claimed)


def points_of(found: Alone) -> list[dict[str, np.ndarray]]:
    """The base points about which a node is looked at."""
    large = sum(array.nbytes for array in found.feeds.values()) > _LARGE
    return bases(found.feeds)[: 1 if large else 2]


def _differing(found: Alone) -> np.ndarray:
    """Units that differ: the most, the first, the last, and some between."""
    apart = distance(found.ours, found.theirs).reshape(-1)
    places = np.flatnonzero(apart > apart.max() / 8)
    spread = places[np.linspace(0, len(places) - 1, _UNITS - 1).astype(np.int64)]
    chosen: np.ndarray = np.unique([int(apart.argmax()), *spread])
    return chosen


def _claims(found: Alone, value: str, units: np.ndarray) -> list[dict[str, np.ndarray]] | None:
    """By unit and input what rfgraph claims; None where it says nothing of them."""
    try:
        analysis = analyze(found.model)
        return [_supports(analysis, value, found, int(unit)) for unit in units]
    except RFGraphError:
        return None


def _supports(analysis: Analysis, value: str, found: Alone, unit: int) -> dict[str, np.ndarray]:
    index = tuple(int(k) for k in np.unravel_index(unit, found.ours.shape))
    return {
        name: (
            np.asarray(analysis.support(value, index, name), dtype=bool).reshape(array.shape)
            if analysis.depends(value, name)
            else np.zeros(array.shape, dtype=bool)
        )
        for name, array in found.feeds.items()
    }


def _regions(found: Alone, claims: Sequence[Mapping[str, np.ndarray]] | None) -> list[Region]:
    """Every element, or planes about the ends of what units are claimed to see."""
    if sum(array.size for array in found.feeds.values()) <= _ELEMENTS:
        return elements(found.feeds)
    return [
        Region(name, (slice(None),) * axis + (c,))
        for name, array in found.feeds.items()
        for axis, size in enumerate(array.shape)
        if size > 1
        for c in _coordinates(size, axis, [claim[name] for claim in claims or ()])
    ]


def _coordinates(size: int, axis: int, claims: Sequence[np.ndarray]) -> list[int]:
    if size <= _PLANES:
        return list(range(size))
    near: dict[int, None] = {}
    for claim in claims:
        others = tuple(k for k in range(claim.ndim) if k != axis)
        held = np.flatnonzero(claim.any(axis=others))
        for end in (held[:1], held[-1:]):
            near.update(
                dict.fromkeys(int(c) for e in end for c in range(e - _AROUND, e + _AROUND + 1))
            )
    ends = [0, size - 1, *np.linspace(0, size - 1, 8).astype(int)]
    return sorted({c for c in [*list(near)[:_PLANES], *ends] if 0 <= c < size})


# ---------------------------------------------------------------- judgement


def judged(
    sides: tuple[Side, Side], node: onnx.NodeProto, value: str, found: Alone | Outcome
) -> tuple[Difference, Alone | None, Seen | None]:
    """How a node differs, in words, and what shows it."""
    name = node.name or value
    if isinstance(found, Outcome):
        text = f"{sides[1].name} alone: {found}"
        return Difference(name, node.op_type, value, found.kind, 1.0, text=text), None, None
    if found.ours.shape != found.theirs.shape or found.ours.dtype != found.theirs.dtype:
        return _otherwise(sides, node, value, found), found, None
    small = cropped(sides, found)
    sight = seen(sides, small)
    if small is not found and (sight is None or not _lone(sight).any()):
        both(sides, found.model, found.feeds)
        small, sight = found, seen(sides, found)
    apart = float(distance(found.ours, found.theirs).max())
    reference = _reference(sides, small)
    if sight is None or not _lone(sight).any():
        text = f"{_percent(apart)} apart, and they see the same elements"
        made = Difference(
            name, node.op_type, value, OTHER_VALUES, apart, reference=reference, text=text
        )
        return made, small, sight
    # The unit that shows most.
    column = int(_lone(sight).sum(axis=0).argmax())
    unit = tuple(int(k) for k in np.unravel_index(int(sight.units[column]), small.ours.shape))
    axes = tuple(one for one in _axes(sides, small, sight, column) if one.differs)
    right = _right(sides, sight)
    text = "; ".join(_worded(sides, one) for one in axes) or "they see other elements"
    text = f"unit {','.join(map(str, unit))} of '{value}': {text}"
    moved = _moved(sides, found)
    if moved:
        by = " and ".join(f"by {by:+d} along axis {k}" for k, by in enumerate(moved) if by)
        text += f"; all of it is that of {sides[0].name}, moved {by}"
    if right:
        text += f"; {right} sees what the operator reads by its specification"
    if reference:
        text += f"; onnx.reference computes what {reference} does"
    made = Difference(
        name,
        node.op_type,
        value,
        OTHER_ELEMENTS,
        apart,
        unit,
        axes,
        right,
        reference,
        moved,
        text=text,
    )
    return made, small, sight


def _otherwise(
    sides: tuple[Side, Side], node: onnx.NodeProto, value: str, found: Alone
) -> Difference:
    """A node whose output has another shape or type on the sides."""
    is_shape = found.ours.shape != found.theirs.shape
    made = [one.shape if is_shape else one.dtype for one in (found.ours, found.theirs)]
    text = " and ".join(f"{one} in {side.name}" for one, side in zip(made, sides, strict=True))
    right = ""
    with suppress(RFGraphError):
        name = found.model.graph.output[found.place].name
        known: Any = analyze(found.model).shape(name)
        if is_shape and known in made:
            right = sides[made.index(known)].name
    text = f"'{value}' has the {'shape' if is_shape else 'type'} {text}"
    if right:
        text += f"; {right} has it as the operator's specification says"
    kind = OTHER_SHAPE if is_shape else OTHER_TYPE
    return Difference(node.name or value, node.op_type, value, kind, 1.0, right=right, text=text)


def _moved(sides: tuple[Side, Side], found: Alone) -> tuple[int, ...]:
    """By how much one side's output is the other's, moved along its axes; ``()`` if it is not."""
    shape = found.ours.shape
    ways = [(0, *_SHIFTS) if size > 2 else (0,) for size in shape]
    if prod(map(len, ways)) > _MOST_SHIFTS:
        # Channels seldom move: what lies behind them does.
        ways = [w if k >= len(shape) - 2 else (0,) for k, w in enumerate(ways)]
    for by in product(*ways):
        if not any(by):
            continue
        ours = found.ours[
            tuple(slice(max(-b, 0), n - max(b, 0)) for b, n in zip(by, shape, strict=True))
        ]
        theirs = found.theirs[
            tuple(slice(max(b, 0), n + min(b, 0)) for b, n in zip(by, shape, strict=True))
        ]
        if ours.size and not suspicious(ours, theirs, *sides):
            return by
    return ()


def _lone(sight: Seen) -> np.ndarray:
    found: np.ndarray = sight.lone[0] | sight.lone[1]
    return found


def _axes(sides: tuple[Side, Side], found: Alone, sight: Seen, column: int) -> Iterator[AxisSeen]:
    """What one unit sees along every axis of every input, on either side and by the claim."""
    who: dict[str, np.ndarray] = {
        # Where one side is in doubt, and the other sees, it is taken to see as well.
        side.name: (one.responses[found.place][:, column] > MARGIN * side.noise)
        | (other.responses[found.place][:, column] > MARGIN * rival.noise) & ~rivals[:, column]
        for side, one, rival, other, rivals in (
            (sides[0], sight.sights[0], sides[1], sight.sights[1], sight.lone[1]),
            (sides[1], sight.sights[1], sides[0], sight.sights[0], sight.lone[0]),
        )
    }
    if sight.claimed is not None:
        who["claim"] = sight.claimed[:, column]
    single = all(isinstance(part, int) for region in sight.regions for part in region.index)
    for name, array in found.feeds.items():
        for axis in range(array.ndim):
            rows = [
                (k, region.index[axis])
                for k, region in enumerate(sight.regions)
                if region.input == name and (single or len(region.index) == axis + 1)
            ]
            if not rows or array.shape[axis] == 1:
                continue
            yield AxisSeen(
                name,
                axis,
                {
                    one: tuple(sorted({int(c) for k, c in rows if mask[k]}))
                    for one, mask in who.items()
                },
            )


def _right(sides: tuple[Side, Side], sight: Seen) -> str:
    """The side that sees what is claimed wherever one of them sees what the other does not."""
    if sight.claimed is None:
        return ""
    wrong = []
    for k in (0, 1):
        too_much = sight.lone[k] & ~sight.claimed
        too_little = sight.lone[1 - k] & sight.claimed
        wrong.append(bool((too_much | too_little).any()))
    if wrong[0] == wrong[1]:
        return ""
    return sides[0].name if wrong[1] else sides[1].name


def _reference(sides: tuple[Side, Side], found: Alone) -> str:
    """The side that computes the values of `onnx.reference`."""
    witness: Any = None
    with suppress(RFGraphError), start("reference") as session:
        if session.open(serialized(found.model, None)).answered:
            witness = session.run([found.feeds])[0]
    if witness is None or not witness.answered:
        return ""
    values = np.asarray(witness.outputs[found.place])
    if values.shape != found.ours.shape:
        return ""
    apart = [float(distance(values, made).max()) for made in (found.ours, found.theirs)]
    near = min(range(2), key=lambda k: apart[k])
    return sides[near].name if apart[near] < apart[1 - near] / 4 else ""


def _worded(sides: tuple[Side, Side], one: AxisSeen) -> str:
    """What the sides see along an axis, and by how many elements that differs."""
    a, b = (one.seen[side.name] for side in sides)
    said = " and ".join(
        f"{_span(found)} in {side.name}" for side, found in zip(sides, (a, b), strict=True)
    )
    said = f"along axis {one.axis} of '{one.input}' it sees {said}"
    if a and b and len(a) == len(b) and {y - x for x, y in zip(a, b, strict=True)} == {b[0] - a[0]}:
        return f"{said}: moved by {b[0] - a[0]:+d}"
    extra, missing = len(set(b) - set(a)), len(set(a) - set(b))
    parts = [f"{extra} more"] * bool(extra) + [f"{missing} fewer"] * bool(missing)
    return f"{said}: {' and '.join(parts)}"


def _span(found: Sequence[int]) -> str:
    """Coordinates in words.

    >>> _span((3, 4, 5)), _span((1, 3)), _span(())
    ('3-5', '1,3', 'nothing')
    """
    if not found:
        return "nothing"
    if len(found) > 1 and found[-1] - found[0] == len(found) - 1:
        return f"{found[0]}-{found[-1]}"
    shown = ",".join(map(str, found[:8]))
    return f"{shown},… ({len(found)})" if len(found) > 8 else shown


def _percent(share: float) -> str:
    """A relative difference in words.

    >>> _percent(0.0123)
    '1.2 %'
    """
    return f"{100 * share:.2g} %"


__all__ = ["Alone", "Seen", "both", "judged", "parted", "points_of", "run_alone", "seen"]
