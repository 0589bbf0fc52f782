"""Which elements are changed in one pass, and whose unit's offset each of them samples.

Changed elements lie on a grid that is so wide that no unit sees two of them. So one pass tells of
every unit how it answers to one element, at one offset from the unit's own place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod
from operator import index

import numpy as np

from rfgraph.analysis import Analysis
from rfgraph.errors import QueryError

Index = tuple[slice, ...]


@dataclass(frozen=True)
class Grid:
    """How the units of a value lie over an input, and the grids of elements that are changed.

    Arrays have a place for each unit of a selection, or 1 along axes on which they do not vary.

    Attributes
    ----------
    shape : tuple of int
        The input's shape.
    units : tuple of slice
        The units that are looked at.
    own : tuple of ndarray
        By axis of the input: the first of each unit's own elements; 0 where it has none.
    lo, hi : tuple of ndarray
        By axis: its bounds.
    summed : tuple of int
        Axes of the value on which nothing of this varies.
    alike : int
        How many units each place of these arrays stands for.
    first : tuple of int
        By axis: the first offset from a unit's own place that any unit sees.
    extent : tuple of int
        By axis: how many offsets there are, to the last one that any sees.
    step, cells : tuple of int
        By axis: how many offsets a cell of the map has, and how many cells there are.
    spacing : tuple of int
        By axis: from one changed element to the next; a multiple of the step.
    support : ndarray of bool, or None
        Of a single unit: the elements that it depends on. Others need no pass.
    """

    shape: tuple[int, ...]
    units: Index
    own: tuple[np.ndarray, ...] = field(repr=False)
    lo: tuple[np.ndarray, ...] = field(repr=False)
    hi: tuple[np.ndarray, ...] = field(repr=False)
    summed: tuple[int, ...]
    alike: int
    first: tuple[int, ...]
    extent: tuple[int, ...]
    step: tuple[int, ...]
    cells: tuple[int, ...]
    spacing: tuple[int, ...]
    support: np.ndarray | None = field(repr=False, default=None)

    @property
    def phases(self) -> int:
        """How many grids it takes for every cell to be sampled once at every unit."""
        return prod(s // b for s, b in zip(self.spacing, self.step, strict=True))

    def phase(self, number: int, rng: np.random.Generator) -> tuple[int, ...]:
        """By axis, the first element of a grid: the cell is given by a number, the rest drawn."""
        rest, found = number, []
        for spacing, step in zip(self.spacing[::-1], self.step[::-1], strict=True):
            rest, cell = divmod(rest, spacing // step)
            found.append(cell * step + (int(rng.integers(step)) if step > 1 else 0))
        return tuple(found[::-1])

    def elements(self, phase: Sequence[int]) -> Index:
        """The elements of a grid."""
        return tuple(slice(p, None, s) for p, s in zip(phase, self.spacing, strict=True))

    def is_seen(self, phase: Sequence[int]) -> bool:
        """Whether any unit may see an element of a grid."""
        if self.support is not None:
            return bool(self.support[self.elements(phase)].any())
        return all(p < n for p, n in zip(phase, self.shape, strict=True))

    def add(
        self, phase: Sequence[int], change: np.ndarray | None, sums: np.ndarray, hits: np.ndarray
    ) -> None:
        """Add what one pass has shown.

        Parameters
        ----------
        phase : sequence of int
            Of the grid that was changed.
        change : ndarray or None
            By unit of the value: how much it has changed; None where none has.
        sums, hits : ndarray of float64, shape (cells,)
            What changes add up to by cell of the map, and how many units there were.
        """
        weight = np.zeros((1,) * len(self.units))
        if change is not None:
            weight = change[self.units].sum(axis=self.summed, keepdims=True, dtype=np.float64)
        for cell, inside, seen in self._placed(phase):
            cell, inside, seen, changed = np.broadcast_arrays(cell, inside, seen, weight)
            at = cell[inside]
            hits += self.alike * np.bincount(at, minlength=hits.size)
            seen = seen[inside]
            sums += np.bincount(at[seen], changed[inside][seen], minlength=sums.size)

    def _placed(self, phase: Sequence[int]) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """For each element of a grid that may lie on the map of a unit, by unit: the cell where it
        does, whether it does, and whether it is within its bounds.
        """
        along = []
        for axis, p in enumerate(phase):
            begin = self.own[axis] + self.first[axis]
            spacing = self.spacing[axis]
            first = begin + (p - begin) % spacing
            along.append([first + k * spacing for k in range(-(-self.extent[axis] // spacing))])
        for element in product(*along):
            cell, inside, seen = np.int64(0), np.True_, np.True_
            for axis, c in enumerate(element):
                offset = c - self.own[axis] - self.first[axis]
                cell = cell * self.cells[axis] + offset // self.step[axis]
                there = (c >= 0) & (c < self.shape[axis])
                inside = inside & there & (offset < self.extent[axis])
                seen = seen & (c >= self.lo[axis]) & (c <= self.hi[axis])
            yield np.asarray(cell), np.asarray(inside), np.asarray(seen)


def grid_of(
    analysis: Analysis,
    tensor: str,
    input: str,
    units: Sequence[int | slice] | None,
    step: Sequence[int] | int | None,
    most: int,
) -> Grid:
    """The grid for some units of a value.

    Parameters
    ----------
    analysis : Analysis
        The analysis.
    tensor, input : str
        The value, and an input that it depends on.
    units : sequence of int or slice, or None
        The units; None: all.
    step : int or sequence of int, optional
        By axis of the input, or for all along which fields move: how many offsets a cell of the
        map has. None: as few as give at most `most` grids.
    most : int
        See `step`.

    Raises
    ------
    QueryError
        There are no such units, or none of them sees anything; or the step makes no sense.
    """
    shape = analysis.extent(input) or ()
    extent = analysis.extent(tensor) or ()
    chosen = _units(analysis, tensor, extent, units)
    own: list[np.ndarray] = []
    lo: list[np.ndarray] = []
    hi: list[np.ndarray] = []
    for axis in range(len(shape)):
        places = analysis.places(tensor, input, axis)
        none = np.zeros((1,) * len(extent), np.int64)
        own.append(_chosen(none if places is None else places[0], chosen))
        for ends, bound in zip((lo, hi), analysis.bounds(tensor, input, axis=axis), strict=True):
            ends.append(_chosen(bound, chosen))
    seeing = np.logical_and.reduce(
        np.broadcast_arrays(*(a <= b for a, b in zip(lo, hi, strict=True)))
    )
    if not seeing.any():
        raise QueryError(
            f"no unit of '{tensor}' that is asked for sees anything of input '{input}'",
            file=analysis.file,
            remedy="name other units",
        )
    sizes = [len(range(n)[at]) for n, at in zip(extent, chosen, strict=True)]
    common = np.broadcast_shapes(*(a.shape for a in (*own, *lo, *hi)))
    summed = tuple(a for a, n in enumerate(common) if n == 1)
    begins, widths, extents = [], [], []
    for axis in range(len(shape)):
        place, first, last, seen = np.broadcast_arrays(own[axis], lo[axis], hi[axis], seeing)
        begins.append(int((first - place)[seen].min()))
        extents.append(int((last - place)[seen].max()) - begins[-1] + 1)
        widths.append(int((last - first)[seen].max()) + 1)
    steps = _steps(analysis, input, shape, widths, step, most)
    return Grid(
        shape,
        chosen,
        tuple(own),
        tuple(lo),
        tuple(hi),
        summed,
        prod(sizes[a] for a in summed),
        tuple(begins),
        tuple(extents),
        steps,
        tuple(-(-n // b) for n, b in zip(extents, steps, strict=True)),
        tuple(-(-n // b) * b for n, b in zip(widths, steps, strict=True)),
        np.asarray(analysis.support(tensor, [at.start for at in chosen], input))
        if prod(sizes) == 1
        else None,
    )


def _units(
    analysis: Analysis, tensor: str, extent: Sequence[int], units: Sequence[int | slice] | None
) -> Index:
    """The units as slices, one an axis."""
    if units is None:
        return (slice(None),) * len(extent)
    try:
        units = [at if isinstance(at, slice) else index(at) for at in units]
    except TypeError:
        raise QueryError(
            f"units={units!r}: give a whole number or a slice for each axis of '{tensor}'"
        ) from None
    if len(units) != len(extent):
        raise QueryError(
            f"'{tensor}' has {len(extent)} axes, and {len(units)} coordinates are given",
            file=analysis.file,
        )
    found = []
    for axis, (at, size) in enumerate(zip(units, extent, strict=True)):
        if not isinstance(at, slice):
            if not -size <= at < size:
                raise QueryError(
                    f"'{tensor}' has no unit {at} along axis {axis}, which has {size}",
                    file=analysis.file,
                )
            at = slice(at % size, at % size + 1)
        elif not len(range(size)[at]):
            raise QueryError(
                f"'{tensor}' has no units {at.start}:{at.stop} along axis {axis}, which has {size}",
                file=analysis.file,
            )
        found.append(at)
    return tuple(found)


def _chosen(array: np.ndarray, units: Index) -> np.ndarray:
    """The part of an array of all units, compressed, that some of them have."""
    return array[
        tuple(at if n > 1 else slice(None) for at, n in zip(units, array.shape, strict=True))
    ]


def _steps(
    analysis: Analysis,
    input: str,
    shape: Sequence[int],
    widths: Sequence[int],
    step: Sequence[int] | int | None,
    most: int,
) -> tuple[int, ...]:
    """By axis of the input: how many offsets a cell has."""
    moving = set(analysis.moving_axes(input))
    if step is None:
        # All channels are one cell, as most of them are summed up in the end, unless every element
        # can be had.
        if prod(widths) <= most:
            return (1,) * len(shape)
        steps = [1 if axis in moving else n for axis, n in enumerate(shape)]
        while prod(-(-n // b) for n, b in zip(widths, steps, strict=True)) > most:
            axis = max(moving, key=lambda a: -(-widths[a] // steps[a]))
            steps[axis] += 1
        return tuple(steps)
    try:
        if isinstance(step, Sequence):
            given = [index(b) for b in step]
        else:
            given = [index(step) if a in moving else 1 for a in range(len(shape))]
    except TypeError:
        given = []
    if len(given) != len(shape) or any(b < 1 for b in given):
        raise QueryError(
            f"step: give a number from 1 on, or one for each of the {len(shape)} axes of '{input}'"
        )
    return tuple(min(b, n) for b, n in zip(given, shape, strict=True))


__all__ = ["Grid", "grid_of"]
