"""Reads followed back: which elements of a source a region is made of; it knows no operator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from math import prod
from typing import TypeAlias

import numpy as np

from rfgraph.engine._backward import marked
from rfgraph.engine.products import (
    AxesMask,
    Product,
    Region,
    mask_over,
    reshaped,
    shadow,
    split,
    union,
)
from rfgraph.reads.compressed import affordable
from rfgraph.reads.words import (
    Along,
    AxisRead,
    Elementwise,
    Everything,
    Fixed,
    PerAxis,
    Read,
    Rearrange,
    Shape,
    Table,
    coordinates,
    followed,
    is_same,
)

# For each of some rows the first coordinate and how many, and the step between them.
Progression: TypeAlias = "tuple[np.ndarray, np.ndarray, int]"

# From this many coordinates on, a read is marked by its ends.
_WIDE = 8

# So many elements are marked at once.
_BLOCK = 1 << 18


def pulled_back(region: Region, read: Read, source: Shape | None, extent: Shape | None) -> Region:
    """The elements of a source of which `read` makes the elements in `region`."""
    if source is not None and 0 in source:
        return ()
    if isinstance(read, Everything) or source is None or extent is None:
        return ((),)
    found = []
    for product in region:
        if isinstance(read, Elementwise):
            made: Product | None = _broadcast(product, source, extent)
        elif isinstance(read, Rearrange):
            made = _rearranged(product, read, source, extent)
        else:
            made = _per_axis(product, read, source, extent)
        if made is not None:
            found.append(made)
    return tuple(found) if len(found) < 2 else union(found, source)


def _broadcast(product: Product, source: Shape, extent: Shape) -> Product:
    lead = len(extent) - len(source)
    if not lead and source == extent:
        return product
    out = []
    for factor in product:
        kept = [k for k, a in enumerate(factor.axes) if a >= lead and source[a - lead] > 1]
        if len(kept) == len(factor.axes):
            out.append(AxesMask(tuple(a - lead for a in factor.axes), factor.mask))
        elif kept:
            axes = tuple(factor.axes[k] - lead for k in kept)
            out.extend(split(axes, shadow(factor.mask, kept)))
    return tuple(out)


def _rearranged(product: Product, read: Rearrange, source: Shape, extent: Shape) -> Product:
    between = tuple(read.view[a] for a in read.permutation)
    product = reshaped(product, extent, between)
    moved = []
    for factor in product:
        axes = [read.permutation[a] for a in factor.axes]
        order = sorted(range(len(axes)), key=axes.__getitem__)
        moved.append(AxesMask(tuple(axes[k] for k in order), factor.mask.transpose(order)))
    return reshaped(tuple(moved), read.view, source)


def _per_axis(product: Product, read: PerAxis, source: Shape, extent: Shape) -> Product | None:
    owner = {axis: factor for factor in product for axis in factor.axes}
    out: list[AxesMask] = []
    joint: list[int] = []
    used: set[int] = set()
    shared: set[int] = set()
    for r in read.axes:
        for axis in followed(r):
            (shared if axis in used else used).add(axis)
    for a, r in enumerate(read.axes):
        size = source[a]
        if isinstance(r, Fixed):
            if r.count is None and not r.start:
                continue
            found: np.ndarray | bool = _fixed(r, size)
        else:
            axes = followed(r)
            factor = owner.get(axes[0])
            if len(axes) > 1 or axes[0] in shared or (factor is not None and len(factor.axes) > 1):
                joint.append(a)
                continue
            if isinstance(r, Along) and is_same(r) and extent[r.axis] == size:
                if factor is not None:
                    out.append(factor if factor.axes[0] == a else AxesMask((a,), factor.mask))
                continue
            found = _along(None if factor is None else factor.mask, r, size, extent)
        if isinstance(found, np.ndarray):
            out.append(AxesMask((a,), found))
        elif not found:
            return None
    if joint:
        made = _jointly(product, joint, read.axes, source, extent)
        if made is None:
            return None
        out.extend(made)
    return tuple(out)


def _fixed(read: Fixed, size: int) -> np.ndarray | bool:
    """The coordinates of an axis of length `size` that are read: True for all, False for none."""
    mask = np.zeros(size, dtype=bool)
    mask[read.start : None if read.count is None else read.start + read.count] = True
    return _told(mask)


def _along(
    mask: np.ndarray | None, read: Along | Table, size: int, extent: Shape
) -> np.ndarray | bool:
    """What the output coordinates in `mask`, None: all, read of an axis of length `size`."""
    if isinstance(read, Along):
        if mask is None:
            return _all_along(read, size, extent[read.axis])
        return _some_along(mask.tobytes(), read, size, extent[read.axis])
    starts, counts, step = coordinates(read, size, extent)
    if mask is not None:
        starts, counts = starts[mask], counts[mask]
    return _told(_marked(starts, counts, step, size))


def _told(mask: np.ndarray) -> np.ndarray | bool:
    """A mask; True or False where it is so everywhere."""
    count = int(np.count_nonzero(mask))
    return mask if 0 < count < mask.size else count > 0


@lru_cache(maxsize=1024)
def _all_along(read: Along, size: int, outputs: int) -> np.ndarray | bool:
    return _some_along(None, read, size, outputs)


def _some_along(mask: bytes | None, read: Along, size: int, outputs: int) -> np.ndarray | bool:
    begin, end = read.part or (0, outputs)
    if mask is not None:
        begin, end = max(begin, mask.find(1)), min(end, mask.rfind(1) + 1)
    made, count = marked(
        mask, outputs, read.starts, read.counts, read.advance, read.step, begin, end, size
    )
    return np.frombuffer(made, dtype=bool) if 0 < count < size else count > 0


def _at(read: Along, o: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, int]:
    """As `rfgraph.reads.words.coordinates`, at some output coordinates, and not clipped."""
    if len(read.starts) == 1:
        starts = o * read.advance + read.starts[0]
        counts = np.full(len(o), read.counts[0])
    else:
        period, phase = np.divmod(o, len(read.starts))
        starts = np.array(read.starts)[phase] + period * read.advance
        counts = np.array(read.counts)[phase]
    if read.part is not None:
        counts = np.where((o >= read.part[0]) & (o < read.part[1]), counts, 0)
    return starts, counts, read.step


def _marked(starts: np.ndarray, counts: np.ndarray, step: int, size: int) -> np.ndarray:
    """The coordinates ``starts, starts + step, ...`` (`counts` of them) that lie in the axis."""
    mask = np.zeros(size, dtype=bool)
    most = int(counts.max(initial=0))
    if step == 1 and most > _WIDE:
        # Ends of runs, summed up.
        live = counts > 0
        begin = np.clip(starts[live], 0, size)
        end = np.clip(starts[live] + counts[live], 0, size)
        edges = np.bincount(begin, minlength=size + 1) - np.bincount(end, minlength=size + 1)
        mask[:] = np.cumsum(edges)[:size] > 0
        return mask
    even = most == int(counts.min(initial=most))
    for k in range(most):
        at = starts + k * step if even else (starts + k * step)[counts > k]
        mask[at[(at >= 0) & (at < size)]] = True
    return mask


def _jointly(
    product: Product,
    axes: list[int],
    reads: Sequence[AxisRead],
    source: Shape,
    extent: Shape,
) -> Product | None:
    """The source axes `axes`, of which some follow output axes that belong together."""
    parts: list[tuple[set[int], list[int]]] = [(set(factor.axes), []) for factor in product]
    for a in axes:
        outs, members = set(followed(reads[a])), [a]
        for part in [p for p in parts if p[0] & outs]:
            parts.remove(part)
            outs |= part[0]
            members += part[1]
        parts.append((outs, members))
    made: list[AxesMask] = []
    for outs, members in parts:
        if not members:
            continue
        members.sort()
        over = tuple(sorted(outs))
        held = tuple(f for f in product if outs.issuperset(f.axes))
        mask = mask_over(held, over, extent)
        found = _product_of(mask, over, members, reads, source, extent)
        if not found.any():
            return None
        made.extend(split(tuple(members), found))
    return tuple(made)


def _product_of(
    mask: np.ndarray,
    over: tuple[int, ...],
    members: list[int],
    reads: Sequence[AxisRead],
    source: Shape,
    extent: Shape,
) -> np.ndarray:
    """For every output coordinate in `mask` the product of what it reads of the axes `members`."""
    followed_by = {out for a in members for out in followed(reads[a])}
    kept = [k for k, out in enumerate(over) if out in followed_by]
    mask = shadow(mask, kept)
    over = tuple(over[k] for k in kept)
    places = dict(zip(over, np.nonzero(mask), strict=True))
    rows = len(next(iter(places.values())))
    shape = tuple(source[a] for a in members)
    affordable(prod(shape))
    progressions = [_clipped(reads[a], places, source[a]) for a in members]
    # Runs are given by their ends, to be summed up along these axes.
    runs = [step == 1 and counts.max(initial=0) > _WIDE for _, counts, step in progressions]
    out = np.zeros(shape, dtype=bool)
    if not any(runs):
        _mark(out, progressions, runs, np.arange(rows))
        return out
    for begin, end, here in _blocks(progressions[0], shape):
        own = (end - begin, *shape[1:])
        edges = np.zeros([n + run for n, run in zip(own, runs, strict=True)], np.int32)
        _mark(edges, progressions, runs, here, begin)
        for k, run in enumerate(runs):
            if run:
                np.cumsum(edges, axis=k, out=edges)
        np.greater(edges[tuple(slice(n) for n in own)], 0, out=out[begin:end])
    return out


def _clipped(read: AxisRead, places: Mapping[int, np.ndarray], size: int) -> Progression:
    """What is read of an axis of length `size` at some output coordinates, and lies in it."""
    if isinstance(read, Along):
        starts, counts, step = _at(read, places[read.axis], size)
    else:
        assert isinstance(read, Table)
        index = tuple(places[axis] for axis in read.axes)
        starts, counts, step = read.starts[index], read.counts[index], read.step
    first = np.maximum(-(starts // step), 0)
    last = np.minimum((size - 1 - starts) // step, counts - 1)
    return starts + first * step, np.maximum(last - first + 1, 0), step


def _mark(
    into: np.ndarray,
    progressions: Sequence[Progression],
    runs: Sequence[bool],
    rows: np.ndarray,
    begin: int = 0,
    index: tuple[np.ndarray, ...] = (),
    sign: int = 1,
) -> None:
    """Mark the product of what each of the `rows` reads, axis by axis, from `begin` on.

    Along an axis of `runs` a 1 is added where a run begins, and taken away where it has ended;
    `index` holds the coordinates along the axes before.
    """
    level = len(index)
    if level == len(progressions):
        if any(runs):
            np.add.at(into, index, sign)
        else:
            into[index] = True
        return
    starts, counts, step = progressions[level]
    starts, counts = starts[rows] - begin, counts[rows]

    def descend(some: np.ndarray, at: np.ndarray, sign: int) -> None:
        kept = (*[i[some] for i in index], at[some])
        _mark(into, progressions, runs, rows[some], 0, kept, sign)

    if runs[level]:
        descend(counts > 0, starts, sign)
        descend(counts > 0, starts + counts, -sign)
        return
    for k in range(int(counts.max(initial=0))):
        descend(counts > k, starts + k * step, sign)


def _blocks(progression: Progression, shape: Shape) -> Iterator[tuple[int, int, np.ndarray]]:
    """The coordinates of an axis, first and past the last, in blocks that are small if each row has
    one coordinate, and the rows of each; blocks of which nothing is read are left out.
    """
    starts, counts, _ = progression
    if counts.max(initial=0) > 1:
        yield 0, shape[0], np.arange(len(starts))
        return
    rows = np.flatnonzero(counts)
    rows = rows[np.argsort(starts[rows], kind="stable")]
    many = max(1, _BLOCK // prod(shape[1:]))
    begins = np.arange(0, shape[0], many)
    cuts = [*np.searchsorted(starts[rows], begins).tolist(), len(rows)]
    for begin, (first, past) in zip(begins.tolist(), pairwise(cuts), strict=True):
        if first < past:
            yield begin, min(begin + many, shape[0]), rows[first:past]
