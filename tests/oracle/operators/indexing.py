"""Operators that pick elements: by constant indices, by padding, by blocks."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from ..builder import (
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
