"""Fields where there is no closed form: seen from the bounds of units.

Bounds come in parts that vary along different axes of the value, as those of attention's scores do
along queries and along keys: a unit sees the hull of one interval of each part. What is asked of
all units is asked of the parts: their lengths add up, where those of their combinations multiply.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import nan

import numpy as np

from rfgraph.engine._waves import NOTHING, Digit
from rfgraph.engine.closed_form import AxisField, Number, centre

# First and last coordinates, compressed: the first is greater where nothing is seen.
Ends = tuple[np.ndarray, np.ndarray]


def own_elements(digit: Digit, stride: Fraction, at: Mapping[int, np.ndarray], rank: int) -> Ends:
    """The first and the last of the own elements of some units of a value, compressed.

    Parameters
    ----------
    digit : Digit
        What moves along the axis of the input.
    stride : Fraction
        By how many elements.
    at : mapping of int to ndarray
        Coordinates of the units, by axis of the value.
    rank : int
        How many axes the value has.
    """
    unit = digit.of(at[digit.axis])
    first = (unit * stride.numerator) // stride.denominator
    last = -(-((unit + 1) * stride.numerator) // stride.denominator) - 1
    dims = [-1 if a == digit.axis else 1 for a in range(rank)]
    return first.reshape(dims), last.reshape(dims)


def end_to_end(parts: Sequence[Ends], size: int) -> bool:
    """Whether all units that see something see an axis of the input from end to end."""
    backward = [(size - 1 - hi, size - 1 - lo) for lo, hi in parts]
    return _latest(parts) <= 0 and _latest(backward) <= 0


def _latest(parts: Sequence[Ends]) -> int:
    """The last of the first coordinates of all units that see something."""
    seen = [lo <= hi for lo, hi in parts]
    latest = [int(lo[s].max(initial=-1)) for (lo, _), s in zip(parts, seen, strict=True)]
    # A part in which something is always seen has its word in every unit.
    always = [at for at, s in zip(latest, seen, strict=True) if s.all()]
    return min(always) if always else max(latest)


@dataclass(frozen=True)
class _Part:
    """A part: first and last coordinates, where something is seen, and what of it counts."""

    lo: np.ndarray
    hi: np.ndarray
    seen: np.ndarray
    counts: np.ndarray

    def within(self, first: int, last: int) -> _Part:
        """What lies between two coordinates alone counts."""
        inner = (self.lo > first) & (self.hi < last)
        return replace(self, counts=~self.seen | inner)

    @property
    def intervals(self) -> Ends:
        """Those that count and see something."""
        at = self.seen & self.counts
        return self.lo[at], self.hi[at]

    @property
    def is_always_seen(self) -> bool:
        """Whether something is seen wherever it counts."""
        return bool(self.seen[self.counts].all())


def measured(parts: Sequence[Ends], known: AxisField | None, own: Ends | None) -> AxisField:
    """The field where there is no closed form: what units away from the borders see.

    Parameters
    ----------
    parts : sequence of (ndarray, ndarray)
        Bounds of the units along an axis of the input. Parts vary along different axes.
    known : AxisField or None
        The branches, if these are known.
    own : (ndarray, ndarray) or None
        First and last of the units' own elements, if the value can be laid over the input.
    """
    every = [_Part(lo, hi, lo <= hi, np.ones(lo.shape, bool)) for lo, hi in parts]
    some = [part.intervals for part in every if part.seen.any()]
    if not some:
        return AxisField.nothing()
    # At a border fields are cut off: there the first or the last of all elements are seen.
    first, last = (int(lo.min()) for lo, _ in some), (int(hi.max()) for _, hi in some)
    ends = min(first), max(last)
    inner = [part.within(*ends) for part in every]
    if all(p.counts.any() for p in inner) and any(p.intervals[0].size for p in inner):
        every = inner
    largest, smallest, start = _widest(every), _narrowest(every), _start(every)
    if known is None:
        return AxisField(largest, nan, start, centre(start, largest), smallest, irregular=True)
    back: Number = nan
    ahead: Number = nan
    if own is not None:
        back = _beyond(every, own[0])
        ahead = _beyond([replace(part, lo=-part.hi, hi=-part.lo) for part in every], -own[1])
    return replace(known, size=largest, smallest=smallest, back=back, ahead=ahead)


def _start(parts: Sequence[_Part]) -> int:
    """The first coordinate of the first unit that sees something."""
    found = []
    for part in parts:
        at = np.unravel_index(int(part.seen.argmax()), part.seen.shape)
        if part.seen[at]:
            found.append((tuple(map(int, at)), int(part.lo[at])))
    return min(found)[1]


def _widest(parts: Sequence[_Part]) -> int:
    """The size of the largest hull."""
    some = [part.intervals for part in parts if part.intervals[0].size]
    found = [int((hi - lo).max()) for lo, hi in some]
    for k, (lo, _) in enumerate(some):
        found += [int(hi.max()) - int(lo.min()) for j, (_, hi) in enumerate(some) if j != k]
    return max(found) + 1


def _narrowest(parts: Sequence[_Part]) -> int:
    """The size of the smallest hull: of those that begin with an interval of any part, and hold
    the one of every other that ends first.
    """
    found = []
    for part in parts:
        begins, ends = part.intervals
        for other in parts:
            if other is part or not other.is_always_seen:
                continue
            lo, hi = other.intervals
            order = np.argsort(lo)
            # What ends first of those from one on; nothing does from the last one's end on.
            least = np.minimum.accumulate(np.append(hi[order], NOTHING)[::-1])[::-1]
            ends = np.maximum(ends, least[np.searchsorted(lo[order], begins)])
        found.append(int((ends - begins).min(initial=NOTHING)))
    return min(found) + 1


def _beyond(parts: Sequence[_Part], own: np.ndarray) -> int:
    """How far units see before their own elements."""
    found, farthest, apart = [], int(own.max()), []
    for part in parts:
        if np.broadcast_shapes(part.lo.shape, own.shape) != part.lo.shape:
            apart.append(part)
            continue
        of_part = np.broadcast_to(own, part.lo.shape)
        farthest = min(farthest, int(of_part[part.counts].max()))
        at = part.seen & part.counts
        found.append(int((of_part - part.lo)[at].max(initial=-NOTHING)))
    # What varies along other axes meets all of them.
    found += [
        farthest - int(part.lo[part.seen & part.counts].min(initial=NOTHING)) for part in apart
    ]
    return max(found)


__all__ = ["Ends", "end_to_end", "measured", "own_elements"]
