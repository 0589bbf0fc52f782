"""Arrays over the elements of a value, kept at length 1 along axes on which they don't vary.

Such a *compressed* array has a leading axis of its own and after it one axis for each axis of
the value. `pulled` and `moved` carry it through a read: every output element gets the minimum
over what it reads, `NOTHING` where it reads nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from rfgraph._core import progression_min
from rfgraph.errors import ShapeError
from rfgraph.reads.words import (
    Along,
    AxisRead,
    Fixed,
    Rearrange,
    Shape,
    coordinates,
    followed,
    is_same,
    same,
)

# Stands for "no coordinate": the neutral element of the minimum.
NOTHING = 1 << 60

# The minimum over longer windows is taken from a table of windows of doubled lengths.
_WIDE = 64

# An array with more elements than this is refused rather than made.
_MAX_ELEMENTS = 1 << 28


def placed(array: np.ndarray, axes: tuple[int, ...], extent: Shape) -> np.ndarray:
    """`array`, whose axes after the first are the output's `axes`, at the output's rank."""
    dims = [1] * len(extent)
    for axis, size in zip(axes, array.shape[1:], strict=True):
        dims[axis] = size
    return array.reshape(array.shape[0], *dims)


def pulled(
    array: np.ndarray, reads: Sequence[AxisRead], source: Shape, extent: Shape
) -> np.ndarray:
    """The minimum of `array` over the product of progressions, for every output element."""
    lead = array.shape[0]
    if array.size == lead:
        return array if array.ndim == len(extent) + 1 else array.reshape(lead, *(1,) * len(extent))
    varying = [axis for axis, size in enumerate(array.shape[1:]) if size > 1]
    if len(varying) == 1:
        # The usual case: a window along one axis.
        axis = varying[0]
        r = reads[axis]
        if r == same(axis) and source[axis] == extent[axis] and array.ndim == len(extent) + 1:
            return array
        flat = _along(array.reshape(lead, -1, 1), r, source[axis], extent)
        dims = [1] * len(extent)
        for out in followed(r):
            dims[out] = extent[out]
        return flat.reshape(lead, *dims)
    # Axes whose output axes no other one shares can be read one after the other.
    owners: dict[int, list[int]] = {}
    for axis in varying:
        for out in followed(reads[axis]):
            owners.setdefault(out, []).append(axis)
    shared = {axis for axes in owners.values() if len(axes) > 1 for axis in axes}
    work = array.reshape(lead, *(array.shape[axis + 1] for axis in varying))
    labels: list[tuple[str, int]] = [("in", axis) for axis in varying]
    for axis in sorted(varying, key=lambda a: followed(reads[a]) != ()):
        if axis in shared:
            continue
        at = labels.index(("in", axis)) + 1
        r = reads[axis]
        before, after = work.shape[:at], work.shape[at + 1 :]
        flat = _along(
            work.reshape(prod(before), work.shape[at], prod(after)), r, source[axis], extent
        )
        middle = tuple(extent[out] for out in followed(r))
        work = flat.reshape(*before, *middle, *after)
        labels[at - 1 : at] = [("out", out) for out in followed(r)]
    if shared:
        work, labels = _jointly(work, labels, reads, source, extent)
    order = sorted(range(len(labels)), key=lambda k: labels[k][1])
    work = work.transpose(0, *(k + 1 for k in order))
    return _compressed(
        placed(np.ascontiguousarray(work), tuple(labels[k][1] for k in order), extent)
    )


@lru_cache(maxsize=1024)
def _phases(read: Along) -> tuple[np.ndarray, np.ndarray]:
    return np.array(read.starts, dtype=np.int64), np.array(read.counts, dtype=np.int64)


def _along(array: np.ndarray, read: AxisRead, size: int, extent: Shape) -> np.ndarray:
    """The minimum over `read` along axis 1 of ``array`` of shape (lead, size, inner)."""
    if isinstance(read, Fixed):
        if read.count is not None:
            array = array[:, read.start : read.start + read.count]
        least: np.ndarray = array.min(axis=1, keepdims=True)
        return least
    begin, end = 0, NOTHING
    if isinstance(read, Along):
        outputs = extent[read.axis]
        if is_same(read) and outputs == size:
            return array
        starts, counts = _phases(read)
        advance = read.advance
        if read.part is not None:
            begin, end = read.part
    else:
        starts, counts = read.starts.reshape(-1), read.counts.reshape(-1)
        outputs, advance = starts.size, 0
    affordable(array.shape[0] * outputs * array.shape[2])
    if not outputs:
        return np.full((array.shape[0], 0, array.shape[2]), NOTHING, dtype=np.int64)
    if counts.max() > _WIDE:
        return _wide(array, read, size, extent)
    out = np.empty((array.shape[0], outputs, array.shape[2]), dtype=np.int64)
    progression_min(
        np.ascontiguousarray(array), starts, counts, advance, read.step, begin, end, NOTHING, out
    )
    return out


def _wide(array: np.ndarray, read: AxisRead, size: int, extent: Shape) -> np.ndarray:
    """`_along` for many coordinates: minima over windows of doubled length cover any window."""
    starts, counts, step = coordinates(read, size, extent)
    starts, counts = starts.reshape(-1), counts.reshape(-1)
    out = np.full((array.shape[0], starts.size, array.shape[2]), NOTHING, dtype=np.int64)
    level, length = array, 1
    while True:
        here = np.flatnonzero((counts >= length) & (counts < 2 * length))
        if here.size:
            first = starts[here]
            last = first + (counts[here] - length) * step
            out[:, here] = np.minimum(level[:, first], level[:, last])
        if 2 * length > counts.max():
            return out
        reach = length * step
        level = np.minimum(level[:, : level.shape[1] - reach], level[:, reach:])
        length *= 2


def _jointly(
    work: np.ndarray,
    labels: list[tuple[str, int]],
    reads: Sequence[AxisRead],
    source: Shape,
    extent: Shape,
) -> tuple[np.ndarray, list[tuple[str, int]]]:
    """Read the remaining input axes of `work` together: they share output axes."""
    axes = [label[1] for label in labels if label[0] == "in"]
    done = [label[1] for label in labels if label[0] == "out"]
    outs = sorted({out for axis in axes for out in followed(reads[axis])})
    # The axes that are read already go along as they are where the others don't follow them.
    kept = [out for out in done if out not in outs]
    order = [k + 1 for k, label in enumerate(labels) if label[0] == "in"]
    order += [k + 1 for k, label in enumerate(labels) if label in [("out", o) for o in kept]]
    work = work.transpose(0, *order)
    shape = tuple(extent[out] for out in outs)
    affordable(work.shape[0] * prod(shape) * prod(work.shape[1 + len(axes) :]))
    progressions = []
    for axis in axes:
        starts, counts, step = coordinates(reads[axis], source[axis], extent)
        dims = [1] * len(outs)
        for out in followed(reads[axis]):
            dims[outs.index(out)] = extent[out]
        progressions.append((starts.reshape(dims), counts.reshape(dims), step))
    result = np.full((work.shape[0], *shape, *work.shape[1 + len(axes) :]), NOTHING, dtype=np.int64)
    for index, valid in _each(progressions, (), np.ones((1,) * len(outs), dtype=bool)):
        places: tuple[Any, ...] = (slice(None), *np.broadcast_arrays(*index))
        found = work[places]
        mask = np.broadcast_to(valid, found.shape[1 : 1 + len(outs)])
        mask = mask.reshape(mask.shape + (1,) * (found.ndim - 1 - len(outs)))
        np.minimum(result, np.where(mask, found, NOTHING), out=result)
    return result, [("out", out) for out in outs] + [("out", out) for out in kept]


def _each(
    progressions: Sequence[tuple[np.ndarray, np.ndarray, int]],
    index: tuple[np.ndarray, ...],
    valid: np.ndarray,
) -> Iterator[tuple[tuple[np.ndarray, ...], np.ndarray]]:
    """What is read, one element of each progression at a time: by axis, and where there is one."""
    if not progressions:
        yield index, valid
        return
    starts, counts, step = progressions[0]
    for k in range(int(counts.max(initial=0))):
        reading = k < counts
        at = np.where(reading, starts + k * step, 0)
        yield from _each(progressions[1:], (*index, at), valid & reading)


def moved(array: np.ndarray, read: Rearrange, source: Shape, extent: Shape) -> np.ndarray:
    """`array` over the elements of a value, over the same elements rearranged."""
    array = reshaped(array, source, read.view)
    array = array.transpose(0, *(axis + 1 for axis in read.permutation))
    between = tuple(read.view[axis] for axis in read.permutation)
    return reshaped(array, between, extent)


def reshaped(array: np.ndarray, source: Shape, target: Shape) -> np.ndarray:
    """A compressed array of a value of shape `source`, for the value reshaped to `target`."""
    if source == target:
        return array
    if array.size == len(array):
        return array.reshape(len(array), *(1,) * len(target))
    # Groups of axes that hold the same elements; those on which nothing varies stay compressed.
    expanded = [array.shape[0]]
    spread = [array.shape[0]]
    for ins, outs in groups_of(source, target):
        varies = any(array.shape[a + 1] > 1 for a in ins)
        expanded.extend(source[a] if varies else 1 for a in ins)
        spread.extend(target[b] if varies else 1 for b in outs)
    affordable(prod(expanded))
    array = np.broadcast_to(array, expanded).reshape(spread)
    return _compressed(array)


@lru_cache(maxsize=1024)
def groups_of(source: Shape, target: Shape) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]:
    """The finest groups of consecutive axes of both shapes that have equal products."""
    groups = []
    i = j = 0
    while i < len(source) or j < len(target):
        first, second = (i, j)
        left = right = 1
        if i < len(source):
            left, i = source[i], i + 1
        if j < len(target):
            right, j = target[j], j + 1
        while left != right:
            if left < right:
                left, i = left * source[i], i + 1
            else:
                right, j = right * target[j], j + 1
        groups.append((tuple(range(first, i)), tuple(range(second, j))))
    return tuple(groups)


def _compressed(array: np.ndarray) -> np.ndarray:
    """`array` with length 1 along every axis after the first on which it does not vary."""
    for axis in range(1, array.ndim):
        if array.shape[axis] > 1:
            first = array[(slice(None),) * axis + (slice(0, 1),)]
            if (array == first).all():
                array = first
    return np.ascontiguousarray(array)


def affordable(elements: int) -> None:
    """Refuse arrays that would fill the memory."""
    if elements > _MAX_ELEMENTS:
        raise ShapeError(
            f"the bounds vary over {elements:,} elements at once: too many to keep",
            remedy="give smaller sizes with shapes= or --shape",
        )


__all__ = ["NOTHING", "affordable", "groups_of", "moved", "placed", "pulled", "reshaped"]
