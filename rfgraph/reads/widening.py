"""Reads where the data decide a size: whole along that axis, and as they are along the others.

An axis of unknown size is followed as if it had one element, which stands for all of them: what any
of them sees. So what reads it reads all of it, and what follows it reads what any coordinate does.
Along the other axes, whose sizes are known, nothing changes. An operator whose reads rest on the
size itself has no answer to be widened: it can't compute with it (`rfgraph.model.sizes`).

What sums up along such an axis depends on how many elements there are. So every element of a value
depends on what decides its sizes: the operator that makes a size reads it, and of the others those
whose elements would read nothing read something that has the same size (`carrying`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

import numpy as np

from rfgraph.model.sizes import all_known, is_unknown, nominal
from rfgraph.reads.compressed import placed
from rfgraph.reads.words import (
    STATISTIC,
    WHOLE,
    AxisRead,
    Elementwise,
    Everything,
    Fixed,
    PerAxis,
    Read,
    Rearrange,
    Shape,
    Source,
    Stage,
    Table,
    coordinates,
    followed,
    point,
    reads_everywhere,
    same,
)


def widened(read: Read, source: Shape, extent: Shape) -> Read:
    """The read between nominal shapes that holds whatever the unknown sizes are.

    Parameters
    ----------
    read : Read
        What is read.
    source, extent : tuple of int
        Shapes of what is read and of the output, some of whose sizes the data decide.

    Examples
    --------
    Of boxes that are selected all are read, but each of their four numbers by itself.

    >>> from rfgraph.model.sizes import unknown
    >>> read = widened(PerAxis(0, (same(0), same(1))), (8, 4), (unknown("boxes"), 4))
    >>> read.axes[0], read.axes[1]
    (Fixed(start=0, count=None, statistic=False), Along(axis=1, starts=(0,), \
counts=(1,), advance=1, step=1, part=None))
    """
    if isinstance(read.source, Stage) and not all_known(source):
        read = replace(read, source=Stage(nominal(source), read.source.reads))
    if isinstance(read, Everything):
        return read
    if isinstance(read, Rearrange):
        if all_known(source) and all_known(read.view) and all_known(extent):
            return read
        return _rearranged(read, source, extent)
    if all_known(source) and all_known(extent):
        return read
    if isinstance(read, Elementwise):
        return _elementwise(read, source, extent)
    if len(read.axes) != len(source):
        return read
    pairs = zip(read.axes, source, strict=True)
    return PerAxis(read.source, tuple([_axis(r, size, extent) for r, size in pairs]))


def _axis(read: AxisRead, size: int, extent: Shape) -> AxisRead:
    if isinstance(read, Fixed):
        return replace(read, start=0, count=None) if is_unknown(size) else read
    if is_unknown(size) or any(is_unknown(extent[a]) for a in followed(read)):
        return STATISTIC if isinstance(read, Table) and read.open else WHOLE
    return read


def _elementwise(read: Elementwise, source: Shape, extent: Shape) -> Read:
    lead = len(extent) - len(source)
    if lead < 0:
        return Everything(read.source)
    along: list[AxisRead] = []
    for axis, size in enumerate(source, lead):
        if is_unknown(size) or size == 1:
            along.append(point(0))
        else:
            along.append(WHOLE if is_unknown(extent[axis]) else same(axis))
    return PerAxis(read.source, tuple(along)) if WHOLE in along else read


# ---------------------------------------------------------------- what decides a size


def carrying(reads: list[Read], inputs: Sequence[Shape | None], extent: Shape) -> list[Read]:
    """`reads` and, where elements would not depend on what decides their sizes, a read that does.

    Parameters
    ----------
    reads : list of Read
        What the elements of an output read.
    inputs : sequence of shape or None
        Shapes of the operator's inputs.
    extent : tuple of int
        That of the output.

    Examples
    --------
    A mask of as many ones as there are boxes has no element of the boxes' own, but their number.

    >>> from rfgraph.model.sizes import unknown
    >>> boxes = (unknown("boxes"), 4)
    >>> carrying([], [boxes], boxes)
    [Elementwise(source=0)]
    """
    more: list[Read] = []
    for size in filter(is_unknown, extent):
        holders = [k for k, shape in enumerate(inputs) if shape and size in shape]
        if not holders:
            # It is made here, maybe by an input of which nothing else counts.
            unread = set(range(len(inputs))) - _sources([*reads, *more])
            more += map(Everything, sorted(unread))
            continue
        there = _there([*reads, *more], inputs, extent, holders)
        if not there.all():
            more.append(_of_size(holders[0], reads, inputs[holders[0]] or (), extent))
    return [*reads, *more]


def _sources(reads: Sequence[Read]) -> set[int]:
    """The inputs that are read."""
    found: set[int] = set()
    for read in reads:
        source = read.source
        found |= _sources(source.reads) if isinstance(source, Stage) else {source}
    return found


def _there(
    reads: Sequence[Read],
    inputs: Sequence[Shape | None],
    extent: Shape,
    holders: Collection[int],
) -> np.ndarray:
    """Which elements read something of one of the inputs that are `holders`: bool, compressed."""
    there = np.zeros((1,) * len(extent), dtype=bool)
    for read in reads:
        source = read.source
        shape = source.shape if isinstance(source, Stage) else inputs[source]
        if isinstance(source, Stage):
            found = bool(_there(source.reads, inputs, source.shape, holders).all())
        else:
            found = source in holders
        if not found or (shape is None and isinstance(read, PerAxis)):
            continue
        own = np.ones((1,) * len(extent), dtype=bool)
        for r, n in zip(read.axes, shape or (), strict=True) if isinstance(read, PerAxis) else ():
            if not _everywhere(r, n, extent):
                reads_some = coordinates(r, n, extent)[1] > 0
                own = own & placed(reads_some[None], followed(r), extent)[0]
        there = there | own
    return there


def _everywhere(read: AxisRead, size: int, extent: Shape) -> bool:
    """Whether every output coordinate reads something along an axis, once widened."""
    size = 1 if is_unknown(size) else size
    return reads_everywhere(_axis(read, size, extent), size, nominal(extent))


def _of_size(k: int, reads: Sequence[Read], shape: Shape, extent: Shape) -> Read:
    """A read of an input that has the same size: where all others are the same too, in place."""
    if shape == extent:
        return Elementwise(k)
    along: tuple[AxisRead, ...] = (point(0),) * len(shape)
    for read in reads:
        if isinstance(read, PerAxis) and read.source == k:
            along = tuple(
                r if _everywhere(r, n, extent) else point(0)
                for r, n in zip(read.axes, shape, strict=True)
            )
    return PerAxis(k, along)


# ---------------------------------------------------------------- reshapes


def _rearranged(read: Rearrange, source: Shape, extent: Shape) -> Read:
    between = tuple([read.view[axis] for axis in read.permutation])
    if not any(_mixed(source, read.view)) and not any(_mixed(between, extent)):
        return replace(read, view=nominal(read.view))
    view = Stage(nominal(read.view), [_reshaped(read.source, source, read.view)])
    turned = Stage(nominal(between), [Rearrange(view, view.shape, read.permutation)])
    return _reshaped(turned, between, extent)


def _reshaped(k: Source, source: Shape, target: Shape) -> Read:
    """A reshape, that reads all along the axes which do not line up."""
    ins, outs = _mixed(source, target)
    start, end = (
        tuple([1 if axis in axes else n for axis, n in enumerate(nominal(shape))])
        for axes, shape in ((ins, source), (outs, target))
    )
    if ins:
        k = Stage(start, [PerAxis(k, _all_but(ins, len(source), WHOLE))])
    moved = Rearrange(k, start, tuple(range(len(source))))
    if not outs:
        return moved
    return PerAxis(Stage(end, [moved]), _all_but(outs, len(target), point(0)))


def _all_but(axes: Iterable[int], rank: int, read: AxisRead) -> tuple[AxisRead, ...]:
    """`read` along some axes, and the same coordinate along the others."""
    return tuple([read if axis in axes else same(axis) for axis in range(rank)])


def _mixed(source: Shape, target: Shape) -> tuple[list[int], list[int]]:
    """The axes of known sizes, of both shapes, whose elements a reshape mixes with those of unknown
    ones; the others line up, from the first axis on or back from the last one.
    """
    i, j = _lined_up(source, target)
    k, m = _lined_up(source[i:][::-1], target[j:][::-1])
    mixed = range(i, len(source) - k), range(j, len(target) - m)
    ins, outs = (
        [axis for axis in axes if nominal(shape)[axis] != 1]
        for axes, shape in zip(mixed, (source, target), strict=True)
    )
    return ins, outs


def _lined_up(source: Shape, target: Shape) -> tuple[int, int]:
    """How many axes of both shapes, from the first on, hold the same elements in the same order."""
    i = j = 0
    while i < len(source) and j < len(target):
        k, m = i + 1, j + 1
        left, right = source[i], target[j]
        while left != right and not (is_unknown(left) or is_unknown(right)):
            if left < right and k < len(source):
                factor, k = source[k], k + 1
                left = factor if is_unknown(factor) else left * factor
            elif right < left and m < len(target):
                factor, m = target[m], m + 1
                right = factor if is_unknown(factor) else right * factor
            else:
                break
        if left != right:
            break
        i, j = k, m
    return i, j


__all__ = ["carrying", "widened"]
