"""Reads without what is multiplied by 0: the factors that reads name, where zeros are known.

    Y[o] <- X[o + k] * W[k],  0 <= k < 3
    W[1] is 0:   Y[o] <- X[o], X[o + 2]

A table of what is kept has an axis for each axis of the output, then one for each axis of the
source, along which the taps are counted, then those that are summed over by name; it has length 1
along those on which nothing varies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import groupby
from math import prod
from operator import is_
from typing import Any, TypeAlias

import numpy as np

from rfgraph.prune.pieces import Remarks, Run, confined, kept_together, tap_groups
from rfgraph.reads.words import (
    Along,
    AxisRead,
    Coordinate,
    Elementwise,
    Factor,
    FactorAxis,
    Fixed,
    PerAxis,
    Read,
    Shape,
    Stage,
    Table,
    Tap,
    coordinates,
    followed,
    is_same,
    most,
    progressions,
    transposed_window,
    whole,
    window,
)

# The largest table of what is kept by several factors together.
_JOINT = 1 << 20


def without_zeros(
    reads: list[Read],
    extent: Shape,
    zeros: Callable[[int], np.ndarray | None],
    shape: Callable[[int], Shape | None],
    remarks: Remarks,
) -> list[Read]:
    """The reads of an output that are left where their factors are 0.

    Parameters
    ----------
    reads : list of Read
        What its elements read, with the factors.
    extent : tuple of int
        The output's shape.
    zeros : callable
        The elements of an input that are 0: bool, of length 1 along axes on which that does not
        vary; None for none.
    shape : callable
        The shape of an input; None if it is not known.
    remarks : Remarks
        Where to say what is cut less than it could be.

    Returns
    -------
    list of Read
        Those of which nothing is cut are the very same.
    """
    if not any(map(_multiplied, reads)):
        return reads
    found: list[Read] = []
    for times, group in groupby(reads, _times):
        members = [_inside(read, zeros, shape, remarks) for read in group]
        given = [(f, zeros(f.source) if isinstance(f.source, int) else f.source) for f in times]
        nonzero = [(f, ~array) for f, array in given if array is not None]
        if not nonzero:
            found += members
            continue
        taps = sorted({a.axis for f in times for a in f.axes if isinstance(a, (Tap, Coordinate))})
        if not taps:
            found += confined(remarks, members, _kept(nonzero, (), (), extent), extent)
            continue
        for read in members:
            source = read.source.shape if isinstance(read.source, Stage) else shape(read.source)
            if isinstance(read, PerAxis) and source is not None:
                found += _Cut(read, source, extent, nonzero, taps, remarks).reads()
            else:
                found.append(read)
    return found


def factors_of(reads: Iterable[Read]) -> set[int]:
    """The inputs of a node with which what is read is multiplied."""
    found: set[int] = set()
    for read in reads:
        found.update([f.source for f in _times(read) if isinstance(f.source, int)])
        if isinstance(read.source, Stage):
            found |= factors_of(read.source.reads)
    return found


def _multiplied(read: Read) -> bool:
    """Whether it has factors, or may have some inside."""
    return type(read.source) is Stage or bool(_times(read))


def _times(read: Read) -> tuple[Factor, ...]:
    return read.times if isinstance(read, (PerAxis, Elementwise)) else ()


def _inside(
    read: Read,
    zeros: Callable[[int], np.ndarray | None],
    shape: Callable[[int], Shape | None],
    remarks: Remarks,
) -> Read:
    """The same read of a stage, of whose own reads those are left that are not cut."""
    stage = read.source
    if not isinstance(stage, Stage):
        return read
    reads = without_zeros(stage.reads, stage.shape, zeros, shape, remarks)
    if len(reads) == len(stage.reads) and all(map(is_, reads, stage.reads)):
        return read
    return replace(read, source=Stage(stage.shape, reads))


# ---------------------------------------------------------------- what is kept


def _kept(
    nonzero: Sequence[tuple[Factor, np.ndarray]],
    axes: tuple[AxisRead, ...],
    source: Shape,
    extent: Shape,
) -> np.ndarray:
    """Where no factor is 0, for any of what is summed over by name: over the output's axes and the
    source's.
    """
    names = sorted({a for f, _ in nonzero for a in f.axes if isinstance(a, str)})
    rank = len(extent) + len(source)
    tables = []
    for factor, array in nonzero:
        sized = zip(factor.axes, array.shape, strict=True)
        places = [_place(word, n, axes, source, extent, names) for word, n in sized]
        tables.append(_laid_out(array, places, rank + len(names)))
    if len(tables) > 1 and prod(np.broadcast_shapes(*(t.shape for t in tables))) > _JOINT:
        # One of them alone: the one that leaves less.
        tables = [min(tables, key=lambda table: float(table.mean()))]
    joint = np.asarray(reduce(np.logical_and, tables))
    return np.asarray(joint.any(axis=tuple(range(rank, joint.ndim)))) if names else joint


# Along which axes of a table an axis of a factor varies, and the coordinates there; None: in order.
_Place: TypeAlias = "tuple[tuple[int, ...], np.ndarray | None]"


def _place(
    word: FactorAxis,
    n: int,
    axes: tuple[AxisRead, ...],
    source: Shape,
    extent: Shape,
    names: Sequence[str],
) -> _Place:
    """Where an axis of a factor, of length `n`, lies in a table."""
    if n == 1:
        return (), np.zeros((), dtype=np.int64)
    if isinstance(word, str):
        return (len(extent) + len(source) + names.index(word),), None
    if isinstance(word, Tap):
        return (len(extent) + word.axis,), None
    if isinstance(word, Coordinate):
        read, own = axes[word.axis], len(extent) + word.axis
        if isinstance(read, Fixed) and read.count is None and not read.start:
            return (own,), None
        starts, _, step = progressions(read, source[word.axis], extent)
        taps = np.arange(most(read, source[word.axis])) * step
        return (*followed(read), own), np.clip(starts[..., None] + taps, 0, n - 1)
    if isinstance(word, Along) and is_same(word):
        return (word.axis,), None
    starts, _, _ = coordinates(word, n, extent)
    return followed(word), np.clip(starts, 0, n - 1)


def _laid_out(array: np.ndarray, places: Sequence[_Place], rank: int) -> np.ndarray:
    """A factor's elements over the axes of a table of `rank`."""
    varying = [axis for axes, _ in places for axis in axes]
    plain = all(at is None or n == 1 for (_, at), n in zip(places, array.shape, strict=True))
    if plain and len(set(varying)) == len(varying):
        return _spread(array.reshape([n for n in array.shape if n > 1]), varying, rank)
    sized = zip(places, array.shape, strict=True)
    grid = [_spread(np.arange(n) if at is None else at, axes, rank) for (axes, at), n in sized]
    return np.asarray(array[tuple(grid)])


def _spread(array: np.ndarray, places: Sequence[int], rank: int) -> np.ndarray:
    """`array` over `rank` axes: its own at `places`, and length 1 along the others."""
    dims = [1] * rank
    for place, n in zip(places, array.shape, strict=True):
        dims[place] = n
    order = sorted(range(array.ndim), key=lambda k: places[k])
    return array.transpose(order).reshape(dims)


# ---------------------------------------------------------------- what is read of it


@dataclass(frozen=True)
class _Cut:
    """A read whose elements are multiplied before they are summed up.

    Attributes
    ----------
    read : PerAxis
        The read.
    source, extent : tuple of int
        The shapes of what is read, and of the output.
    nonzero : sequence of (Factor, ndarray of bool)
        Its factors, and where they are not 0.
    taps : sequence of int
        The axes of the source along which the factors vary.
    remarks : Remarks
        Where to say what is cut less than it could be.
    made : dict
        By axis, and the shape of what is kept: where its taps lie over coordinates.
    """

    read: PerAxis
    source: Shape
    extent: Shape
    nonzero: Sequence[tuple[Factor, np.ndarray]]
    taps: Sequence[int]
    remarks: Remarks
    made: dict[tuple[int, Shape], tuple[Shape, tuple[Any, ...]]] = field(default_factory=dict)

    def reads(self) -> list[Read]:
        """What is left."""
        rank, axes = len(self.extent), self.read.axes
        words = [word for factor, _ in self.nonzero for word in factor.axes]
        adjoint = {w.axis: w.adjoint for w in words if isinstance(w, Tap) and w.adjoint}
        # A window slides if it has the same taps wherever it is: no factor varies with its place.
        own = {a for w in words if isinstance(w, (Along, Table)) for a in followed(w)}
        places = {w.axis for w in words if isinstance(w, Coordinate)}
        sliding = [
            t
            for t in self.taps
            if t not in places
            and (t in adjoint or isinstance(axes[t], Along))
            and own.isdisjoint(followed(axes[t]))
        ]
        fixed = [t for t in self.taps if t not in sliding]
        counts = [
            adjoint[t][0] if t in adjoint else most(axes[t], self.source[t])
            for t in (*fixed, *sliding)
        ]
        kept = _kept(self.nonzero, axes, self.source, self.extent)
        others = [t for t in range(len(self.source)) if t not in self.taps]
        kept = kept.transpose([*range(rank), *(rank + t for t in (*fixed, *sliding, *others))])
        kept = kept.reshape(kept.shape[: rank + len(counts)])
        kept = np.broadcast_to(kept, (*kept.shape[:rank], *counts))
        if not sliding:
            return self._of_places(axes, kept, fixed)
        outer, kernel = kept.shape[: rank + len(fixed)], kept.shape[rank + len(fixed) :]
        pairs = prod(outer[:rank]), prod(outer[rank:])
        found: list[Read] = []
        for box, held in tap_groups(self.remarks, kept.reshape(*pairs, *kernel)):
            along = list(axes)
            for t, run in zip(sliding, box, strict=True):
                along[t] = _restricted(axes[t], run, adjoint.get(t), self.extent)
            found += self._of_places(tuple(along), held.reshape(outer), fixed)
        return found

    def _of_places(
        self, axes: tuple[AxisRead, ...], kept: np.ndarray, places: Sequence[int]
    ) -> list[Read]:
        """The reads by `axes`, along `places` of what is kept: bool over the output and these."""
        rank, source = len(self.extent), self.read.source
        if kept.all():
            return [self.read if axes is self.read.axes else PerAxis(source, axes)]
        if not places:
            return confined(self.remarks, [PerAxis(source, axes)], kept, self.extent)
        for k, axis in enumerate(places, rank):
            kept = self._over_axis(kept, k, axis)
        if len(places) < len(self.taps):
            kept = _compressed(kept, rank)
        first = axes[places[0]]
        all_of = whole(statistic=isinstance(first, Fixed) and first.statistic)
        found: list[Read] = []
        for along in kept_together(self.remarks, kept, range(rank), all_of):
            own = dict(zip(places, along, strict=True))
            found.append(PerAxis(source, tuple([own.get(a, r) for a, r in enumerate(axes)])))
        return found

    def _over_axis(self, kept: np.ndarray, k: int, axis: int) -> np.ndarray:
        """`kept`, of which axis `k` counts the taps along `axis`, over the coordinates there."""
        word, size = self.read.axes[axis], self.source[axis]
        if isinstance(word, Fixed) and word.count is None and not word.start:
            return kept
        behind = kept.ndim - 1
        kept = kept if k == behind else np.moveaxis(kept, k, -1)
        key = axis, kept.shape
        if key not in self.made:
            starts, counts, step = progressions(word, size, self.extent)
            dims = _spread(starts, followed(word), kept.ndim - 1).shape
            starts, counts = (a.reshape(*dims, 1) for a in (starts, counts))
            tap = np.arange(kept.shape[-1])
            at = starts + tap * step
            # What is beyond the last tap, or outside, goes to a coordinate of its own.
            at = np.where((tap < counts) & (at >= 0) & (at < size), at, size)
            outer = np.broadcast_shapes(dims, kept.shape[:-1])
            self.made[key] = (outer, (*np.ogrid[tuple([slice(n) for n in (*outer, 1)])][:-1], at))
        outer, places = self.made[key]
        over = np.zeros((*outer, size + 1), dtype=bool)
        over[places] = kept
        over = over[..., :size]
        return over if k == behind else np.moveaxis(over, -1, k)


def _restricted(
    word: AxisRead, run: Run, adjoint: tuple[int, int, int, int] | None, extent: Shape
) -> AxisRead:
    """The read of some of the taps along a window."""
    if adjoint is not None:
        (axis,), (_, stride, dilation, pad) = followed(word), adjoint
        pad -= dilation * run.start
        return transposed_window(axis, run.many, stride, dilation * run.step, pad, extent[axis])
    assert isinstance(word, Along)
    if len(word.starts) == 1 and word.part is None:
        pad = -word.starts[0] - run.start * word.step
        return window(word.axis, run.many, word.advance, word.step * run.step, pad)
    return replace(
        word,
        starts=tuple([start + run.start * word.step for start in word.starts]),
        counts=tuple([min(run.many, max(-(-(n - run.start) // run.step), 0)) for n in word.counts]),
        step=word.step * run.step,
    )


def _compressed(kept: np.ndarray, rank: int) -> np.ndarray:
    """`kept` with length 1 along those of the first axes on which it does not vary."""
    for axis in range(rank):
        if kept.shape[axis] > 1:
            first = kept.take([0], axis=axis)
            kept = first if (kept == first).all() else kept
    return kept


__all__ = ["factors_of", "without_zeros"]
