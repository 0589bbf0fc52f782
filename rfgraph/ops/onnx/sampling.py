"""Operators that sample between elements: by regions, by grids, by offsets.

Where the places are static the taps are exact, and computed in float32 in the order in which the
specification and runtimes do: between two elements the rounding decides which ones are read. A tap
of weight zero is not read.
"""

from __future__ import annotations

from math import prod

import numpy as np

from rfgraph.ops.onnx.indexing import listed
from rfgraph.ops.onnx.windows import bias
from rfgraph.ops.registry import Computed, Operation, Reads, Undetermined, transfer
from rfgraph.reads.words import (
    STATISTIC,
    WHOLE,
    AxisRead,
    PerAxis,
    Read,
    Stage,
    block,
    point,
    same,
    window,
)

_COMPUTED_ROIS = "its regions are computed: all positions are assumed"
COMPUTED_GRID = "its 'grid' is computed: all positions are assumed"
_COMPUTED_OFFSET = "its 'offset' is computed: all positions are assumed"


# ---------------------------------------------------------------- regions


@transfer("MaxRoiPool", since=1, computed=_COMPUTED_ROIS)
def max_roi_pool(op: Operation) -> Reads:
    """Each region is cut into bins, and each bin reads the positions that it touches.

    Y[r, c, o] <- X[batch of r, c, start + floor(o*b) .. start + ceil((o+1)*b) - 1],
                  rois[r, all];  b = (end - start + 1) / bins,  both ends rounded

    region 0..4, two bins:   o: 0 1   reads: {0,1,2} {2,3,4}

    https://onnx.ai/onnx/operators/onnx__MaxRoiPool.html
    """
    X, Y, rois = op.shape(0), op.out(), op.static(1)
    if rois is None:
        op.note(_COMPUTED_ROIS)
        return [PerAxis(0, (WHOLE, same(1), WHOLE, WHOLE)), PerAxis(1, (same(0), WHOLE))]
    f = np.float32
    scale = f(op.attribute("spatial_scale", 1.0))
    along = [listed([0], rois[:, 0].astype(np.int64), np.ones(len(rois))), same(1)]
    for axis, column in ((2, 2), (3, 1)):
        # Halves are rounded away from zero.
        scaled = rois[:, [column, column + 2]].astype(f) * scale
        begin, end = np.trunc(scaled + np.copysign(f(0.5), scaled)).astype(np.int64).T[..., None]
        size = np.maximum(end - begin + 1, 1).astype(f) / f(Y[axis])
        o = np.arange(Y[axis], dtype=f)
        first = np.floor(o * size).astype(np.int64) + begin
        last = np.ceil((o + f(1)) * size).astype(np.int64) + begin
        first, last = np.clip(first, 0, X[axis]), np.clip(last, 0, X[axis])
        along.append(listed([0, axis], first, last - first))
    return [PerAxis(0, tuple(along))]


@transfer("RoiAlign", since=10, computed=_COMPUTED_ROIS)
def roi_align(op: Operation) -> Reads:
    """Each region is cut into bins, and each bin reads around its sampling points, axis by axis.

    Y[r, c, o] <- X[batch_indices[r], c, the two around start + (o + (k + 0.5)/g) * b],  0 <= k < g,
                  rois[r, all], batch_indices[r];  b = (end - start) / bins

    region 0..4 without shift, two bins, g=1:   o: 0 1   reads: {1} {3}

    g is ``sampling_ratio``, or ceil(b) where that is 0. Points more than one element outside are
    left out, the others are moved to the border. Before version 16 regions are not shifted by half
    an element and are at least one element wide.

    https://onnx.ai/onnx/operators/onnx__RoiAlign.html
    """
    X, Y, rois, samples = op.shape(0), op.out(), op.static(1), op.static(2)
    batch: AxisRead = WHOLE
    if samples is not None:
        batch = listed([0], samples, np.ones(len(samples)))
    steering: list[Read] = [PerAxis(1, (same(0), WHOLE)), PerAxis(2, (same(0),))]
    if rois is None:
        op.note(_COMPUTED_ROIS)
        return [PerAxis(0, (batch, same(1), WHOLE, WHOLE)), *steering]
    if samples is None:
        op.note("its 'batch_indices' are computed: any sample is assumed")
    f = np.float32
    mode = op.attribute("coordinate_transformation_mode", "half_pixel")
    half = op.version >= 16 and mode == "half_pixel"
    scale, shift = f(op.attribute("spatial_scale", 1.0)), f(0.5 if half else 0)
    ratio = op.attribute("sampling_ratio", 0)
    between, taps, bins = [Y[0], X[1]], [], []
    for axis, column in ((2, 1), (3, 0)):
        begin, end = (rois[:, [column, column + 2]].astype(f) * scale - shift).T[..., None, None]
        extent = end - begin if half else np.maximum(end - begin, f(1))
        size = extent / f(Y[axis])
        grid = np.full(size.shape, ratio) if ratio > 0 else np.ceil(size).astype(np.int64)
        most = max(int(grid.max(initial=1)), 1)
        o = np.arange(Y[axis], dtype=f)[:, None]
        k = np.arange(most, dtype=f)
        x = begin + o * size + (k + f(0.5)) * size / np.maximum(grid, 1).astype(f)
        inside = (x >= -1) & (x <= X[axis]) & (k < grid)
        x = np.clip(x, 0, X[axis] - 1)
        counts = np.where(inside, np.ceil(x) - np.floor(x) + 1, 0)
        points = (len(rois), Y[axis] * most)
        first = np.floor(x).astype(np.int64)
        taps.append(listed([0, axis], first.reshape(points), counts.reshape(points)))
        bins.append(window(axis, most, most, 1, 0))
        between.append(Y[axis] * most)
    sampled = Stage(tuple(between), [PerAxis(0, (batch, same(1), *taps))])
    return [PerAxis(sampled, (same(0), same(1), *bins)), *steering]


# ---------------------------------------------------------------- grids


@transfer("GridSample", since=16, computed=COMPUTED_GRID)
def grid_sample(op: Operation) -> Reads:
    """Each output position reads the elements around the place that `grid` gives it.

    nearest:  one element; linear: the two around; cubic: four, along each spatial axis

    Y[n, c, o] <- X[n, c, taps around grid[n, o, :]], grid[n, o, all]

    linear, three inputs, align_corners, grid [-1, -0.5, 1]:   o: 0 1 2   reads: {0} {0,1} {2}

    The last axis of the grid counts the spatial axes from the last. Taps outside are not read with
    ``zeros``, and read where they are moved to with ``border`` and ``reflection``. A computed grid
    may name any place: all positions, with a note.

    https://onnx.ai/onnx/operators/onnx__GridSample.html
    """
    X, grid = op.shape(0), op.static(1)
    rank = len(X) - 2
    outputs = range(2, rank + 2)
    steering = PerAxis(1, (same(0), *map(same, outputs), WHOLE))
    if grid is None:
        op.note(COMPUTED_GRID)
        return [PerAxis(0, (same(0), same(1), *[WHOLE] * rank)), steering]
    mode = op.attribute("mode", "linear")
    mode = {"bilinear": "linear", "bicubic": "cubic"}.get(mode, mode)
    padding = op.attribute("padding_mode", "zeros")
    corners = bool(op.attribute("align_corners", 0))
    along = []
    for axis in outputs:
        place = grid[..., rank + 1 - axis].astype(np.float32)
        first, counts = _grid_taps(place, X[axis], mode, padding, corners)
        along.append(listed([0, *outputs], first, counts))
    return [PerAxis(0, (same(0), same(1), *along)), steering]


def _grid_taps(
    grid: np.ndarray, size: int, mode: str, padding: str, corners: bool
) -> tuple[np.ndarray, np.ndarray]:
    """First tap and number of taps along an axis of length `size`."""
    f = np.float32
    x = (grid + f(1)) / f(2) * f(size - 1) if corners else ((grid + f(1)) * f(size) - f(1)) / f(2)
    low, high = (0.0, size - 1.0) if corners else (-0.5, size - 0.5)
    if mode == "nearest":
        x = np.rint(x)
    outside = (x < low) | (x > high)
    if padding == "border" and mode != "cubic":
        # Of four taps each is moved to the border for itself.
        x = np.where(outside, np.clip(x, f(0), f(size - 1)), x)
    elif padding == "reflection":
        x = np.where(outside, _reflected(x, f(low), f(high)), x)
    if mode == "nearest":
        base, offsets = np.trunc(x), [0]
    elif mode in ("linear", "cubic"):
        base, offsets = np.floor(x), [0, 1] if mode == "linear" else [-1, 0, 1, 2]
    else:
        raise Undetermined(f"its mode '{mode}' is not known")
    first = np.full(grid.shape, size, dtype=np.int64)
    last = np.full(grid.shape, -1, dtype=np.int64)
    for offset in offsets:
        tap = base + f(offset)
        used = np.full(grid.shape, True) if not offset else x != base
        if padding == "border":
            tap = np.clip(tap, 0, size - 1)
        elif padding == "reflection":
            beyond = (tap < low) | (tap > high)
            tap = np.where(beyond, np.trunc(_reflected(tap, f(low), f(high))), tap)
        used &= (tap >= 0) & (tap < size)
        tap = np.where(used, tap, 0).astype(np.int64)
        first = np.where(used, np.minimum(first, tap), first)
        last = np.where(used, np.maximum(last, tap), last)
    return first, np.maximum(last - first + 1, 0)


def _reflected(x: np.ndarray, low: np.float32, high: np.float32) -> np.ndarray:
    """`x` folded back into `low` to `high`."""
    length = high - low
    if length == 0:
        return np.full_like(x, low)
    beyond = np.where(x < low, low - x, x - high)
    times = np.trunc(beyond / length)
    rest = beyond - times * length
    upwards = (x < low) == (times % 2 == 0)
    return np.where(upwards, low + rest, high - rest)


@transfer("AffineGrid", since=20)
def affine_grid(op: Operation) -> Reads:
    """Each place is its own coordinates times a row of the matrix.

    grid[n, o, i] <- theta[n, i, rank], theta[n, i, k] for every k whose coordinate isn't zero

    The k-th coordinate belongs to the k-th spatial axis from the last, and is zero in its middle.

    https://onnx.ai/onnx/operators/onnx__AffineGrid.html
    """
    if op.live(1):
        raise Computed("its 'size' is computed from the data")
    sizes = op.out()[1:-1]
    rank = len(sizes)
    row = (same(0), same(rank + 1))
    reads: list[Read] = [PerAxis(0, (*row, point(rank)))]
    for k in range(rank):
        axis = rank - k
        n = sizes[axis - 1]
        # With ``align_corners`` a single place lies at -1.
        off = 2 * np.arange(n) != n - 1
        if n == 1 and op.attribute("align_corners", 0):
            off[:] = True
        reads.append(PerAxis(0, (*row, listed([axis], np.full(n, k), off.astype(np.int64)))))
    return reads


# ---------------------------------------------------------------- offsets


@transfer("DeformConv", since=19, computed=_COMPUTED_OFFSET)
def deform_conv(op: Operation) -> Reads:
    """A convolution, each of whose taps is moved by an offset of its own and read by interpolation.

    Y[n, m, o] <- X[n, channels of m's group, the two around o*s - p + k*d + offset[n, (g, k), o]],
                  offset[n, (g, k, all), o], mask[n, (g, k), o], W[m, all, k], B[m]
                  for every kernel position k and offset group g of these channels

    What lies outside of X is not read. A computed offset may lead anywhere: all positions of X,
    with a note.

    https://onnx.ai/onnx/operators/onnx__DeformConv.html
    """
    X, W, Y = op.shape(0), op.shape(1), op.out()
    rank = len(X) - 2
    group, groups = op.attribute("group", 1), op.attribute("offset_group", 1)
    kernel, spatial = W[2:], range(2, rank + 2)
    positions = prod(kernel)
    if X[1] != W[1] * group or W[0] % group or X[1] % groups:
        raise ValueError(
            f"X has {X[1]} channels, W has {W[0]} by {W[1]}, group is {group}, and offset_group "
            f"is {groups}"
        )
    channels = block(1, W[0] // group, W[1]) if group > 1 else WHOLE
    # The offset groups of the channels that an output channel reads.
    share = X[1] // groups
    owner = np.arange(W[0]) // (W[0] // group)
    lowest, highest = owner * W[1] // share, ((owner + 1) * W[1] - 1) // share
    offset = op.static(2)
    reads: list[Read] = []
    if offset is None:
        op.note(_COMPUTED_OFFSET)
        reads.append(PerAxis(0, (same(0), channels, *[WHOLE] * rank)))
        for k, values in ((2, rank), (4, 1)):
            if op.has(k):
                many = (highest - lowest + 1) * positions * values
                own = listed([1], lowest * positions * values, many)
                reads.append(PerAxis(k, (same(0), own, *map(same, spatial))))
        reads.append(PerAxis(1, (same(1), *[STATISTIC] * (rank + 1))))
    else:
        first, counts = _deformed(op, offset)
        # What every channel reads at every kernel position, before they are summed up.
        taken = Stage((X[0], X[1], positions, *Y[2:]))
        repeat = 1 if groups == 1 else share
        axes = [0, *([1] if groups > 1 else []), 2, *[axis + 1 for axis in spatial]]
        along = []
        for d in range(rank):
            starts, many = (np.repeat(a[..., d, :], repeat, axis=1) for a in (first, counts))
            shape = (X[0], *([X[1]] if groups > 1 else []), positions, *Y[2:])
            along.append(listed(axes, starts.reshape(shape), many.reshape(shape)))
        taken.reads.append(PerAxis(0, (same(0), same(1), *along)))
        reads.append(PerAxis(taken, (same(0), channels, WHOLE, *map(same, spatial))))
        used = counts.min(axis=-2) > 0
        for g in range(groups):
            # The kernel position counts where it meets X, for the channels of its offset group.
            begin = np.maximum(owner * W[1], g * share)
            end = np.minimum((owner + 1) * W[1], (g + 1) * share)
            own = listed([1], begin - owner * W[1], end - begin)
            for k, place in enumerate(np.ndindex(*kernel)):
                met = used[:, g, k].reshape(X[0], *Y[2:]).astype(np.int64)
                if op.live(1):
                    row = listed([0, *spatial], np.full_like(met, place[0]), met)
                    reads.append(PerAxis(1, (same(1), own, row, *map(point, place[1:]))))
                if op.live(4):
                    both = met[:, None] * (end > begin).reshape(-1, *[1] * rank)
                    at = np.full_like(both, g * positions + k)
                    row = listed([0, 1, *spatial], at, both)
                    reads.append(PerAxis(4, (same(0), row, *map(same, spatial))))
    if op.live(3):
        reads.append(bias(3))
    return reads


def _deformed(op: Operation, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First tap and number of taps, over (N, offset groups, kernel positions, axes, outputs)."""
    X, kernel, f = op.shape(0), op.shape(1)[2:], np.float32
    rank, groups = len(kernel), op.attribute("offset_group", 1)
    strides = op.attribute("strides") or [1] * rank
    dilations = op.attribute("dilations") or [1] * rank
    pads = op.attribute("pads") or [0] * (2 * rank)
    sizes = offset.shape[2:]
    moved = offset.astype(f).reshape(X[0], groups, *kernel, rank, *sizes)
    firsts, counts = [], []
    for d in range(rank):
        o = np.arange(sizes[d]) * strides[d] - pads[d]
        k = (np.arange(kernel[d]) * dilations[d]).reshape(-1, *[1] * (rank - 1 - d), *[1] * rank)
        place = k + o.reshape(-1, *[1] * (rank - 1 - d))
        x = place.astype(f) + moved.take(d, axis=2 + rank)
        first = np.maximum(np.floor(x), 0).astype(np.int64)
        last = np.minimum(np.ceil(x), X[d + 2] - 1).astype(np.int64)
        shape = (X[0], groups, prod(kernel), 1, prod(sizes))
        firsts.append(first.reshape(shape))
        counts.append(np.maximum(last - first + 1, 0).reshape(shape))
    return np.concatenate(firsts, axis=3), np.concatenate(counts, axis=3)
