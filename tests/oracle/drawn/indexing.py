"""Operators that pick elements: by constant indices, by padding, by blocks."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from ..builder import (
    SPATIAL,
    Builder,
    Operand,
    Value,
    operator,
)
from .common import scalar


def _indices(b: Builder, shape: Sequence[int], n: int) -> np.ndarray:
    """Indices into an axis of `n`, from either end."""
    return np.array(b.ints(prod(shape), -n, n - 1), np.int64).reshape(shape)


@operator("Gather", weight=2)
def gather(b: Builder, x: Value, op: str) -> Value:
    """A scalar index, a list or a table of them, along any axis."""
    axis = b.axis(x.rank)
    shape = b.choice(([], [1], [3], [2, 2], [1, 3]))
    kind = b.choice((np.int64, np.int32))
    indices = _indices(b, shape, x.shape[axis])
    if b.opset < 11:
        indices %= x.shape[axis]
    return b.op(op, x, indices.astype(kind), axis=axis if axis or b.chance(0.5) else None)


@operator("GatherElements", since=11, weight=1.5)
def gather_elements(b: Builder, x: Value, op: str) -> Value:
    """An index for each element, along any axis."""
    axis = b.axis(x.rank) if b.chance(0.8) else 0
    shape = [b.rng.randint(1, n) if b.chance(0.3) else n for n in x.shape]
    shape[axis] = b.rng.randint(1, 4)
    return b.op(op, x, _indices(b, shape, x.shape[axis]), axis=axis or None)


@operator("GatherND", since=11, weight=1.5)
def gather_nd(b: Builder, x: Value, op: str) -> Value:
    """Tuples of indices, with and without batch axes."""
    batch = b.rng.randint(0, min(2, x.rank - 1)) if b.opset >= 12 and b.chance(0.5) else 0
    depth = b.rng.randint(1, x.rank - batch)
    shape = [*x.shape[:batch], *b.choice(([], [2], [3], [2, 2]))]
    columns = [_indices(b, shape, x.shape[batch + k]) for k in range(depth)]
    given = {"batch_dims": batch} if batch or (b.opset >= 12 and b.chance(0.3)) else {}
    return b.op(op, x, np.stack(columns, axis=-1), **given)


@operator("Pad", weight=4)
def pad(b: Builder, x: Value, op: str) -> Value:
    """Every mode, more or less than nothing at either end, all axes or some."""
    modes = ["constant", "reflect", "edge"] + (["wrap"] if b.opset >= 19 else [])
    mode = b.choice(modes)
    axes = list(range(x.rank))
    if b.opset >= 18 and b.chance(0.4):
        axes = b.some(axes)
    sizes = [x.shape[a] for a in axes] * 2
    pads = []
    for n in sizes:
        most = {"reflect": n - 1, "wrap": n}.get(mode, 3)
        least = -min(n - 1, 2) if b.chance(0.3) else 0
        pads.append(b.rng.randint(least, min(most, 4)) if b.chance(0.6) else 0)
    given = {"mode": mode if mode != "constant" or b.chance(0.5) else None}
    if b.opset < 11:
        value = 0.5 if mode == "constant" and b.chance(0.5) else None
        return b.op(op, x, pads=pads, value=value, **given)
    fill: Operand = None
    if mode == "constant" and b.chance(0.5):
        fill = np.array(0.5, np.float32)
        if b.chance(0.3):
            fill = scalar(b, x)
    which = None
    if b.opset >= 18 and (len(axes) < x.rank or axes != sorted(axes) or b.chance(0.2)):
        which = np.array([a - x.rank if b.chance(0.4) else a for a in axes], np.int64)
    return b.op(op, x, b.integers(pads), fill, which, **given)


@operator("DepthToSpace", ranks=(4,), weight=1.5)
def depth_to_space(b: Builder, x: Value, op: str) -> Value:
    """Channels to pixels, in either order."""
    if x.shape[1] % 4:
        x = b.op("Conv", x, b.numbers(4, x.shape[1], 1, 1))
    mode = b.choice((None, "DCR", "CRD")) if b.opset >= 11 else None
    return b.op(op, x, blocksize=2, mode=mode)


@operator("SpaceToDepth", ranks=(4,), weight=1.5)
def space_to_depth(b: Builder, x: Value, op: str) -> Value:
    """Pixels to channels."""
    size = b.choice((2, 2, 3))
    pads = [-n % size for n in x.shape[2:]]
    if any(pads):
        x = b.op("Conv", x, b.numbers(2, x.shape[1], 1, 1), pads=[0, 0, *pads])
    return b.op(op, x, blocksize=size)


@operator("Trilu", since=14, ranks=(2, 3, 4, 5, 6))
def trilu(b: Builder, x: Value, op: str) -> Value:
    """Either triangle, from any diagonal on."""
    k = np.array(b.rng.randint(-3, 3), np.int64) if b.chance(0.7) else None
    return b.op(op, x, k, upper=b.choice((None, 0, 1)))


@operator("ScatterElements", since=11, weight=1.5)
def scatter_elements(b: Builder, x: Value, op: str) -> Value:
    """An index for each update, along any axis; some land on the same place."""
    axis = b.axis(x.rank) if b.chance(0.8) else 0
    shape = [b.rng.randint(1, n) if b.chance(0.5) else n for n in x.shape]
    indices = _indices(b, shape, x.shape[axis])
    along = b.rng.randrange(x.rank)
    if b.chance(0.5):
        indices = np.repeat(np.take(indices, [0], axis=along), shape[along], axis=along)
    reduction = b.choice((None, "none", "add", "mul")) if b.opset >= 16 else None
    updates = b.weight(*shape, live=0.6)
    return b.op(op, x, indices, updates, axis=axis or None, reduction=reduction)


@operator("ScatterND", since=11, weight=1.5)
def scatter_nd(b: Builder, x: Value, op: str) -> Value:
    """Slices placed by tuples of indices, listed or as a grid."""
    depth = b.rng.randint(1, x.rank)
    if b.chance(0.5):
        axes = [b.some(range(n)) for n in x.shape[:depth]]
        indices = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).astype(np.int64)
    else:
        shape = b.choice(([], [2], [3], [2, 2]))
        indices = np.stack([_indices(b, shape, n) for n in x.shape[:depth]], axis=-1)
    reduction = b.choice((None, "none", "add", "mul")) if b.opset >= 16 else None
    updates = b.weight(*indices.shape[:-1], *x.shape[depth:], live=0.6)
    return b.op(op, x, indices, updates, reduction=reduction)


@operator("ReverseSequence", since=10, ranks=(2, 3, 4, 5))
def reverse_sequence(b: Builder, x: Value, op: str) -> Value:
    """A length for each sequence, the batch before the time or after it."""
    time = b.rng.randint(0, 1)
    lengths = np.array(b.ints(x.shape[1 - time], 1, x.shape[time]), np.int64)
    return b.op(op, x, lengths, time_axis=time, batch_axis=1 - time)


@operator("Compress")
def compress(b: Builder, x: Value, op: str) -> Value:
    """Some slices along an axis, or some elements of all."""
    axis = b.rng.randrange(x.rank) if b.chance(0.7) else None
    size = x.array.size if axis is None else x.shape[axis]
    kept = np.array([b.chance(0.6) for _ in range(size)])
    kept[b.rng.randrange(size)] = True
    return b.op(op, x, kept[: np.flatnonzero(kept)[-1] + 1], axis=axis)


@operator("Col2Im", since=18, ranks=(3,))
def col2im(b: Builder, x: Value, op: str) -> Value:
    """Blocks along one axis, or along two, put back into an image."""
    rank = b.choice((1, 2))
    block = [b.rng.randint(1, 3) for _ in range(rank)]
    counts = [1] * (rank - 1) + [x.shape[2]]
    # Along one axis onnxruntime mixes dilated blocks of several channels up.
    strides, dilations = b.ints(rank, 1, 3), b.ints(rank, 1, rank)
    pads = [b.rng.randint(0, 1) for _ in range(2 * rank)]
    image = []
    for a in range(rank):
        reach = (block[a] - 1) * dilations[a] + 1
        image.append((counts[a] - 1) * strides[a] + reach - pads[a] - pads[a + rank])
    if min(image) < 1:
        pads = [0] * (2 * rank)
        image = [
            (n - 1) * s + (k - 1) * d + 1
            for n, s, k, d in zip(counts, strides, block, dilations, strict=True)
        ]
    if x.shape[1] % prod(block):
        x = b.op("Conv", x, b.numbers(prod(block), x.shape[1], 1))
    return b.op(
        op,
        x,
        b.integers(image),
        b.integers(block),
        strides=strides,
        dilations=dilations,
        pads=pads,
    )


@operator("MaxUnpool", until=21, ranks=SPATIAL)
def max_unpool(b: Builder, x: Value, op: str) -> Value:
    """Places of their own for all elements, in windows that touch."""
    rank = x.rank - 2
    kernel = b.ints(rank, 1, 2)
    shape = [*x.shape[:2], *(n * k for n, k in zip(x.shape[2:], kernel, strict=True))]
    places = b.rng.sample(range(prod(shape)), x.array.size)
    indices = np.array(places, np.int64).reshape(x.shape)
    return b.op(op, x, indices, kernel_shape=kernel, strides=kernel)


@operator("Det", since=11, until=21, ranks=(2, 3, 4), weight=0.7)
def det(b: Builder, x: Value, op: str) -> Value:
    """Of square matrices."""
    n = min(x.shape[-2:])
    begins, ends = b.integers([0, 0]), b.integers([n, n])
    square = b.op("Slice", x, begins, ends, b.integers([x.rank - 2, x.rank - 1]))
    return b.op(op, square)
