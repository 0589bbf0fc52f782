"""What is changed in a run: planes and elements of an input, and which of them share one.

One run that changes the plane ``x[..., c, ...]`` tests every unit of every value against
coordinate ``c``: as many runs as an axis is long test all units on that axis. Planes share a run
where no unit that may see one of them comes near another: these are the colour classes of an
interval graph, for which taking the first class that is free, in order of the coordinates, needs
the fewest (Olariu, "An optimal greedy heuristic to color interval graphs", 1991). The rows of a
batch that does not mix hold different regions of one run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import zip_longest
from math import prod

import numpy as np

from rfgraph.analysis.analysis import Analysis
from rfgraph.reads.words import Shape

# The most coordinates of a region that are printed.
_SHOWN = 6

# How many elements of each input are changed one by one, unless `samples` says it.
ELEMENTS = 32


@dataclass(frozen=True)
class InputRegion:
    """A region of an input: the product of coordinates along each axis.

    Attributes
    ----------
    input : str
        The input.
    coordinates : tuple of (tuple of int or None)
        For each axis its coordinates; None takes all.
    axis : int or None
        The axis across which these are planes; None for an element.
    """

    input: str
    coordinates: tuple[tuple[int, ...] | None, ...]
    axis: int | None = None

    @property
    def index(self) -> tuple[slice | list[int], ...]:
        """As `rfgraph.Analysis.influenced` takes it."""
        return tuple(slice(None) if c is None else list(c) for c in self.coordinates)

    def within(self, shape: Shape) -> tuple[np.ndarray, ...]:
        """As numpy takes it, for an array of `shape`."""
        sides = (range(n) if c is None else c for c, n in zip(self.coordinates, shape, strict=True))
        return np.ix_(*(np.asarray(side, dtype=np.int64) for side in sides))

    @property
    def many(self) -> int:
        """How many planes, or elements, it is."""
        return 1 if self.axis is None else len(self.coordinates[self.axis] or ())

    def in_row(self, row: int) -> InputRegion:
        """The same in one row of the batch, the first axis."""
        return replace(self, coordinates=((row,), *self.coordinates[1:]))

    def __str__(self) -> str:
        return f"{self.input}[{', '.join(map(_side, self.coordinates))}]"


def _side(coordinates: tuple[int, ...] | None) -> str:
    """Coordinates along one axis, the first ones of many."""
    if coordinates is None:
        return ":"
    if len(coordinates) == 1:
        return str(coordinates[0])
    shown = ",".join(map(str, coordinates[:_SHOWN]))
    more = f",… ({len(coordinates)})" if len(coordinates) > _SHOWN else ""
    return f"[{shown}{more}]"


@dataclass(frozen=True)
class Run:
    """Changes of one input that are made together.

    Attributes
    ----------
    number : int
        Its place among all runs; random numbers are drawn by it.
    regions : tuple of InputRegion
        Planes across one axis or elements; each in a row of the batch of its own, or only one.
    """

    number: int
    regions: tuple[InputRegion, ...]


def planned(
    analysis: Analysis,
    tensors: Sequence[str],
    inputs: Sequence[str],
    *,
    rows: int = 1,
    samples: int | None = None,
    exhaustive: bool = False,
    seed: int = 0,
) -> list[Run]:
    """All runs, in an order of which any beginning is spread over the inputs.

    Parameters
    ----------
    analysis : Analysis
        What claims.
    tensors : sequence of str
        The values that are tested: planes that one of their units may see apart share no run.
    inputs : sequence of str
        The inputs that are changed.
    rows : int
        Rows of the batch, the first axis of all inputs; more than one only where they don't mix.
    samples : int, optional
        At most so many planes across each axis, and elements of each input.
    exhaustive : bool
        One region a run.
    seed : int
        Of the choice of elements.
    """
    rng = np.random.default_rng(seed)
    queues: list[list[tuple[InputRegion, ...]]] = []
    for name in inputs:
        shape = analysis.extent(name) or ()
        if 0 in shape:
            continue
        varied = [a for a, n in enumerate(shape) if n > 1] or list(range(len(shape)))[:1]
        for axis in varied:
            size = shape[axis]
            coordinates = _spread(size, samples)
            reach = np.full(size, size) if exhaustive else _reach(analysis, tensors, name, axis)
            planes = [
                InputRegion(name, _only(len(shape), axis, tuple(c)), axis)
                for c in _classes(reach, sorted(coordinates))
            ]
            planes = [planes[k] for k in _spread(len(planes))]
            packed = rows if axis and not exhaustive else 1
            queues.append(list(_packed(planes, packed)))
        if len(varied) == 1:
            # Planes are elements.
            continue
        elements = [
            InputRegion(name, tuple((int(c),) for c in place))
            for place in _elements(shape, ELEMENTS if samples is None else samples, rng)
        ]
        queues.append(list(_packed(elements, 1 if exhaustive else rows)))
    in_turn = (made for turn in zip_longest(*queues) for made in turn if made is not None)
    return [Run(number, regions) for number, regions in enumerate(in_turn)]


def _only(rank: int, axis: int, coordinates: tuple[int, ...]) -> tuple[tuple[int, ...] | None, ...]:
    return (*(None,) * axis, coordinates, *(None,) * (rank - axis - 1))


def _packed(regions: Sequence[InputRegion], rows: int) -> Iterator[tuple[InputRegion, ...]]:
    """The regions by the run, each in a row of its own where there are several."""
    if rows == 1:
        yield from ((region,) for region in regions)
        return
    for k in range(0, len(regions), rows):
        yield tuple(region.in_row(row) for row, region in enumerate(regions[k : k + rows]))


def _spread(size: int, most: int | None = None) -> list[int]:
    """Numbers below `size`: both ends, then those between by halving, `most` of them.

    >>> _spread(9)
    [0, 8, 4, 2, 6, 1, 3, 5, 7]
    >>> _spread(9, 3)
    [0, 8, 4]
    """
    order = dict.fromkeys((0, size - 1) if size else ())
    step = 1 << max(size - 1, 1).bit_length()
    while step > 1 and len(order) < size:
        order.update(dict.fromkeys(range(step // 2, size, step)))
        step //= 2
    return list(order)[:most]


def _classes(reach: np.ndarray, coordinates: Sequence[int]) -> list[list[int]]:
    """Coordinates, ascending, in classes of which each lies beyond the reach of the one before.

    >>> _classes(np.array([2, 3, 4, 5, 6, 6, 6]), range(7))
    [[0, 3, 6], [1, 4], [2, 5]]
    """
    classes: list[list[int]] = []
    free: list[tuple[int, int]] = []
    for c in coordinates:
        if free and free[0][0] < c:
            k = heappop(free)[1]
            classes[k].append(c)
        else:
            k = len(classes)
            classes.append([c])
        heappush(free, (int(reach[c]), k))
    return classes


def _reach(analysis: Analysis, tensors: Sequence[str], name: str, axis: int) -> np.ndarray:
    """How far from each coordinate the next plane of its run must be.

    A unit must not see a plane of a run while another one lies in its field or within the field's
    size of it: so what it sees beyond its claim is told from what it may see, if it is not further
    away than that.
    """
    size = (analysis.extent(name) or ())[axis]
    reach = np.arange(size)
    for tensor in tensors:
        lo, hi = np.broadcast_arrays(*analysis.bounds(tensor, name, axis=axis))
        seeing = lo <= hi
        lo, hi = lo[seeing], hi[seeing]
        width = hi - lo + 1
        np.maximum.at(reach, lo, np.minimum(hi + width, size - 1))
        np.maximum.at(reach, np.maximum(lo - width, 0), hi)
    return np.maximum.accumulate(reach)


def _elements(shape: Shape, most: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Both corners and random places, no place twice."""
    total = prod(shape)
    drawn = rng.choice(total, min(most, total), replace=False)
    flat = dict.fromkeys([0, total - 1, *map(int, drawn)])
    return [np.array(np.unravel_index(k, shape), dtype=np.int64) for k in list(flat)[:most]]
