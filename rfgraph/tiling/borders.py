"""What of a tile differs from the whole for its border, beyond what its units see.

A unit whose field reaches beyond a tile is not kept anyway. But where a value is cropped and then
padded, or some of its elements are written over, units differ from others though their fields lie
within: at the border of a tile they are lost as well. It shows in the bounds of units, or in that
a node reads beyond the ends of a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rfgraph.engine.trace import sources
from rfgraph.reads.words import (
    Along,
    Elementwise,
    PerAxis,
    Read,
    Shape,
    Stage,
    Table,
    followed,
    is_same,
    progressions,
)
from rfgraph.tiling.obstacles import UNEVEN, Way, obstacle, place

# Of a unit that sees nothing.
_FIRST, _LAST = 1 << 60, -(1 << 60)


@dataclass(frozen=True)
class Borders:
    """How much of a tile is lost.

    Attributes
    ----------
    before, after : int
        Elements of the input, at the begin and at the end of a tile, that a unit must not see to
        be the same as in the whole; mostly 0.
    """

    before: int = 0
    after: int = 0


def borders(at: Way, grown: Mapping[str, Mapping[int, int]], longer: Way | None = None) -> Borders:
    """How much of a tile is lost at each of its ends.

    Parameters
    ----------
    at : Way
        At a size that is several times that of the fields.
    grown : mapping of str to mapping of int to int
        By value and axis, how many units an alignment of the input has: see `moved`.
    longer : Way, optional
        The same one alignment longer, to see that nothing but the place of the end changes.

    Raises
    ------
    TilingError
        A value differs in its midst, or sees at one end what is at the other.
    """
    before = after = 0
    known: set[tuple[str, int]] = set()
    numbers = {name: at.analysis.alike(name) for name, _ in at.axes}
    for value, fields in at.fields.items():
        for name, axis in at.axes:
            key = name, numbers[name].get(value, -1)
            if name not in fields or key in known:
                continue
            known.add(key)
            along = place(at, grown, value)
            if along is None:
                _check_moves(at, value, grown)
                continue
            units = grown[value][along]
            ends = _ends(at, value, name, axis, along)
            if longer is not None:
                _compare(at, value, ends, _ends(longer, value, name, axis, along), units)
            lost = _lost(at, value, ends, units)
            before, after = max(before, lost.before), max(after, lost.after)
    padded = _padded(at, grown)
    return Borders(max(before, padded.before), max(after, padded.after))


def _padded(at: Way, grown: Mapping[str, Mapping[int, int]]) -> Borders:
    """The ends of the input that the elements next to a value would see, where these are read.

    There is padding in their place. It shows in what units see only if nothing else that they read
    sees the same.
    """
    low, high = _read_beyond(at, grown)
    turned = {value for value in low | high if at.is_backward(value)}
    low, high = (low - turned) | (high & turned), (high - turned) | (low & turned)
    numbers = {name: at.analysis.alike(name) for name, _ in at.axes}
    firsts, lasts = [-1], [at.size]
    known: set[object] = set()
    for value in low | high:
        along = place(at, grown, value)
        for name in at.fields[value]:
            key = name, numbers[name][value], value in low, value in high
            if along is None or key in known:
                continue
            known.add(key)
            units, length = grown[value][along], (at.analysis.extent(value) or ())[along]
            seen = window(at, value, name, along, units)
            for unit in range(-units, 0) if value in low else ():
                firsts += _seen(range(unit, unit + units), seen, at.alignment)[:1]
            for unit in range(length, length + units) if value in high else ():
                lasts += _seen(range(unit, unit - units, -1), seen, at.alignment)[1:]
    return Borders(1 + max(firsts), at.size - min(lasts))


def _seen(units: range, seen: Sequence[tuple[int, int]], step: int) -> list[int]:
    """The first and the last element that one unit sees: the first of some that sees anything.

    What sees nothing, and is no padding, is read together with those next to it.
    """
    for unit in units:
        turns, phase = divmod(unit, len(seen))
        first, last = seen[phase]
        if first <= last:
            return [first + turns * step, last + turns * step]
    return []


def _read_beyond(at: Way, grown: Mapping[str, Mapping[int, int]]) -> tuple[set[str], set[str]]:
    """The values before whose begin, and behind whose end, something is read."""
    low: set[str] = set()
    high: set[str] = set()
    flow = at.analysis.flow
    for step in flow.steps:
        for output, reads in zip(step.node.outputs, step.reads, strict=False):
            extent = flow.shape(output) or ()
            if output in grown:
                for value, begins, ends in _beyond(reads, extent, flow.shape, sources(step.node)):
                    along = grown.get(value, {}).keys()
                    low.update([value] if begins & along else [])
                    high.update([value] if ends & along else [])
    return low, high


def _beyond(
    reads: Sequence[Read],
    extent: Shape,
    shape_of: Callable[[str], Shape | None],
    names: Sequence[str],
) -> Iterator[tuple[str, set[int], set[int]]]:
    """Inputs of a node, and the axes along which it reads before the begin, and after the end."""
    for read in reads:
        source = read.source
        shape = source.shape if isinstance(source, Stage) else shape_of(names[source])
        low: set[int] = set()
        high: set[int] = set()
        if isinstance(read, PerAxis) and shape is not None:
            for axis, along in enumerate(read.axes):
                if isinstance(along, Table):
                    along = along.interior or along
                if isinstance(along, Along):
                    starts, counts, step = progressions(along, shape[axis], extent)
                    there = counts > 0
                    if (starts[there] < 0).any():
                        low.add(axis)
                    if (starts + (counts - 1) * step >= shape[axis])[there].any():
                        high.add(axis)
        if isinstance(source, Stage):
            for name, inner_low, inner_high in _beyond(source.reads, source.shape, shape_of, names):
                yield name, inner_low | low, inner_high | high
        else:
            yield names[source], low, high


def _check_moves(at: Way, value: str, grown: Mapping[str, Mapping[int, int]]) -> None:
    """Refuse windows along an axis that is made of several: they reach from one row to the next."""
    if not all(_is_in_place(read, grown[value]) for read in at.analysis.reads(value)):
        why = "it has windows along an axis that is made of several"
        raise obstacle(at.analysis, value, why)


def _is_in_place(read: Read, grown: Mapping[int, int]) -> bool:
    """Whether a read stays at its place along the axes that grow."""
    if isinstance(read.source, Stage):
        return isinstance(read, Elementwise) and all(
            _is_in_place(inner, grown) for inner in read.source.reads
        )
    if isinstance(read, PerAxis):
        moving = (along for along in read.axes if not set(followed(along)).isdisjoint(grown))
        return all(isinstance(along, Along) and is_same(along) for along in moving)
    return True


def _ends(at: Way, value: str, name: str, axis: int, along: int) -> tuple[np.ndarray, np.ndarray]:
    """First and last element that units see, the axis that counts them last."""
    lo, hi = at.analysis.bounds(value, name, axis=axis, local=at.local)
    empty = lo > hi
    if at.local:
        # No local field is as long as the axis: nothing local is left of these units.
        empty |= (lo == 0) & (hi == at.size - 1)
    lo, hi = np.where(empty, _FIRST, lo), np.where(empty, _LAST, hi)
    # What is turned round is looked at from its end on.
    way = -1 if at.is_backward(value) else 1
    return np.moveaxis(lo, along, -1)[..., ::way], np.moveaxis(hi, along, -1)[..., ::way]


def _moved(ends: np.ndarray, by: np.ndarray | int) -> np.ndarray:
    """Elements farther on; nothing stays nothing."""
    return np.where(np.abs(ends) >= _FIRST, ends, ends + by)


def _compare(
    at: Way,
    value: str,
    ends: tuple[np.ndarray, np.ndarray],
    longer: tuple[np.ndarray, np.ndarray],
    units: int,
) -> None:
    """Refuse what is not the same at both ends of a longer input."""
    half = ends[0].shape[-1] // 2
    for one, other in zip(ends, longer, strict=True):
        begin = np.array_equal(one[..., :half], other[..., :half])
        end = np.array_equal(_moved(one[..., half:], at.alignment), other[..., half + units :])
        if not (begin and end):
            why = "what it sees at one end depends on how far the other is"
            raise obstacle(at.analysis, value, why)


def _evenly(
    at: Way, value: str, ends: tuple[np.ndarray, np.ndarray], units: int
) -> tuple[np.ndarray, np.ndarray]:
    """What all units would see if they saw as those in the middle do, borders not clipped."""
    length = ends[0].shape[-1]
    middle = length // 2 // units * units
    period, after = slice(middle, middle + units), slice(middle + units, middle + 2 * units)
    if middle + 2 * units > length or not all(
        np.array_equal(_moved(end[..., period], at.alignment), end[..., after]) for end in ends
    ):
        raise obstacle(at.analysis, value, UNEVEN)
    turns, phases = np.divmod(np.arange(length) - middle, units)
    first, last = (_moved(end[..., middle + phases], turns * at.alignment) for end in ends)
    return first, last


def _lost(at: Way, value: str, ends: tuple[np.ndarray, np.ndarray], units: int) -> Borders:
    """The ends of the input that those units see which are not as those in the middle."""
    first, last = _evenly(at, value, ends, units)
    differs = (first >= 0) & (last < at.size) & ((ends[0] != first) | (ends[1] != last))
    if (differs & (first == _FIRST)).any():
        raise obstacle(at.analysis, value, UNEVEN)
    half = first.shape[-1] // 2
    begin, end = differs[..., :half], differs[..., half:]
    return Borders(
        1 + int(first[..., :half][begin].max()) if begin.any() else 0,
        at.size - int(last[..., half:][end].min()) if end.any() else 0,
    )


def window(at: Way, value: str, name: str, along: int, units: int) -> list[tuple[int, int]]:
    """The first and the last element that units of a value see, borders not clipped.

    Parameters
    ----------
    at : Way
        As for `borders`.
    value, name : str
        The value, and an input that is tiled.
    along : int
        The axis of the value that counts its units.
    units : int
        How many units an alignment of the input has.

    Returns
    -------
    list of (int, int)
        Of the units of the first alignment; the last before the first if nothing is seen.
    """
    axis = dict(at.axes)[name]
    first, last = _evenly(at, value, _ends(at, value, name, axis, along), units)
    firsts, lasts = (np.atleast_2d(end)[..., :units].reshape(-1, units) for end in (first, last))
    return list(zip(firsts.min(0).tolist(), lasts.max(0).tolist(), strict=True))


__all__ = ["Borders", "borders", "window"]
