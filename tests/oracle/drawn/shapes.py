"""Operators that move elements and compute nothing."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from ..builder import (
    END,
    MAX_RANK,
    SCALARS_TOO,
    Builder,
    Operand,
    Value,
    operator,
)
from ..observe import Shape
from .common import sliced, unsqueezed


def _factors(b: Builder, n: int) -> list[int]:
    """A random shape of `n` elements."""
    shape: list[int] = []
    while n > 1 and len(shape) < MAX_RANK - 1:
        d = b.choice([d for d in range(1 if b.chance(0.1) else 2, n + 1) if n % d == 0])
        shape.append(d)
        n //= d
    if n > 1 or not shape or b.chance(0.2):
        shape.append(n)
    b.rng.shuffle(shape)
    return shape


def _merged(b: Builder, shape: Shape) -> list[int]:
    """A shape with some neighbouring axes merged and some split, as models do."""
    made: list[int] = []
    for n in shape:
        if made and b.chance(0.4):
            made[-1] *= n
        elif b.chance(0.3):
            d = b.divisor(n)
            made += [d, n // d]
        else:
            made.append(n)
    return made


@operator("Reshape", weight=4)
def reshape(b: Builder, x: Value, op: str) -> Value:
    """Arbitrary factors, merged and split axes, 0 and -1, allowzero."""
    size = prod(x.shape)
    shape = _merged(b, x.shape) if b.chance(0.6) else _factors(b, size)
    written = list(shape)
    allow = b.choice((None, 0, 1)) if b.opset >= 14 else None
    if allow != 1:
        for k in range(min(len(shape), x.rank)):
            if shape[k] == x.shape[k] and b.chance(0.4):
                written[k] = 0
    if b.chance(0.4):
        written[b.rng.randrange(len(written))] = -1
    return b.op(op, x, b.integers(written), allowzero=allow)


@operator("Flatten", weight=1.5)
def flatten(b: Builder, x: Value, op: str) -> Value:
    """Before and after any axis."""
    axis = b.rng.randint(0, x.rank)
    if b.opset >= 11 and b.chance(0.4) and axis < x.rank:
        axis -= x.rank
    return b.op(op, x, axis=axis if b.chance(0.8) else None)


@operator("Squeeze", weight=1.5)
def squeeze(b: Builder, x: Value, op: str) -> Value:
    """All axes of length 1, or some."""
    ones = [k for k, n in enumerate(x.shape) if n == 1]
    if b.chance(0.25):
        return b.op(op, x)
    if not ones:
        ones = [b.rng.randint(0, x.rank)]
        x = unsqueezed(b, x, ones)
    axes = b.some(ones)
    if b.opset >= 11:
        axes = [a - x.rank if b.chance(0.4) else a for a in axes]
    inputs, given = b.with_ints(13, "axes", axes)
    return b.op(op, x, *inputs, **given)


@operator("Unsqueeze", ranks=SCALARS_TOO, weight=1.5)
def unsqueeze(b: Builder, x: Value, op: str) -> Value:
    """One or two new axes, in any order."""
    rank = x.rank + b.choice((1, 1, 2))
    axes = b.rng.sample(range(rank), rank - x.rank)
    if b.opset >= 11:
        axes = [a - rank if b.chance(0.4) else a for a in axes]
    else:
        axes.sort()
    return unsqueezed(b, x, axes)


@operator("Transpose", weight=2)
def transpose(b: Builder, x: Value, op: str) -> Value:
    """Any order of the axes."""
    order = b.rng.sample(range(x.rank), x.rank)
    return b.op(op, x, perm=order if b.chance(0.85) else None)


@operator("Expand", weight=1.5)
def expand(b: Builder, x: Value, op: str) -> Value:
    """New leading axes, axes of length 1 repeated, and a shape that is itself broadcast."""
    if 1 not in x.shape and b.chance(0.5):
        axis = b.rng.randrange(x.rank)
        x = sliced(b, x, [axis], [0], [1])
    shape = [b.rng.randint(1, 3) if n == 1 else b.choice((n, n, 1)) for n in x.shape]
    lead = b.ints(b.choice((0, 0, 1)), 1, 2)
    shape = lead + shape if lead else shape[b.choice((0, 0, 1)) :] or [1]
    return b.op(op, x, b.integers(shape))


@operator("Tile", weight=1.5)
def tile(b: Builder, x: Value, op: str) -> Value:
    """Whole repetitions."""
    return b.op(op, x, b.integers(b.choice((1, 1, 2, 3)) for _ in range(x.rank)))


@operator("Slice", weight=4)
def slice_(b: Builder, x: Value, op: str) -> Value:
    """Every direction, bounds counted from both ends and out of range."""
    axes = b.some(range(x.rank))
    starts, ends, steps = [], [], []
    for axis in axes:
        n = x.shape[axis]
        step = b.choice((1, 1, 2, 3, -1, -2, -3)) if b.opset >= 10 else 1
        first, last = sorted(b.ints(2, 0, n - 1))
        start, end = (first, last + 1) if step > 0 else (last, first - 1)
        starts.append(_written(b, start, n, low=step > 0))
        if end < 0:
            ends.append(b.choice((-n - 1, -n - 5, -END)))
        else:
            ends.append(_written(b, end, n, low=False))
        steps.append(step)
    if b.chance(0.4) and b.opset >= 11:
        axes = [a - x.rank for a in axes]
    if sorted(axes) == list(range(x.rank)) == axes and b.chance(0.3):
        axes = []
    if b.opset < 10:
        return b.op(op, x, starts=starts, ends=ends, axes=axes or None)
    kind = b.choice((np.int64, np.int64, np.int32))
    arrays = [np.array(v, kind) for v in (starts, ends)]
    steps_given = steps != [1] * len(steps) or b.chance(0.3)
    return b.op(
        op,
        x,
        *arrays,
        np.array(axes, kind) if axes else None,
        np.array(steps, kind) if steps_given else None,
    )


def _written(b: Builder, bound: int, n: int, *, low: bool) -> int:
    """One of the ways to write a bound of a slice along an axis of `n`."""
    ways = [bound, bound]
    if bound < n:
        ways.append(bound - n)
    if bound >= n - 1 and not (low and bound == n - 1):
        ways += [n + 3, END] if bound == n else []
    if bound == 0 and low:
        ways += [-n - 3, -END]
    return b.choice(ways)


@operator("Split", weight=3.5)
def split(b: Builder, x: Value, op: str) -> list[Value]:
    """Equal parts, given sizes, or a number of parts that need not divide."""
    # An axis of 1 can't be split: one of the longest, for the most part.
    axis = b.axis(x.rank) if b.chance(0.4) else x.shape.index(max(x.shape))
    n = x.shape[axis]
    parts = min(b.rng.randint(1, 3), n)
    given: dict[str, Any] = {"axis": axis if axis or b.chance(0.5) else None}
    style = b.choice(("equal", "sizes", "number", "number"))
    if style == "equal" and n % parts == 0 and b.opset < 18:
        return b.node(op, [x], parts, **given)
    if style == "number" and b.opset >= 18:
        return b.node(op, [x], parts, num_outputs=parts, **given)
    cuts = [0, *sorted(b.rng.sample(range(1, n), parts - 1)), n]
    sizes = [j - i for i, j in pairwise(cuts)]
    inputs, sized = b.with_ints(13, "split", sizes)
    return b.node(op, [x, *inputs], parts, **given, **sized)


@operator("Concat", weight=4)
def concat(b: Builder, x: Value, op: str) -> Value:
    """Branches, the value itself, and constants, along any axis."""
    axis = b.axis(x.rank) if b.opset >= 11 else b.rng.randrange(x.rank)
    where = axis % x.rank

    def fits(v: Value) -> bool:
        return v.rank == x.rank and all(
            m == n for k, (m, n) in enumerate(zip(v.shape, x.shape, strict=True)) if k != where
        )

    parts: list[Operand] = [x]
    for _ in range(b.choice((1, 1, 2))):
        shape = list(x.shape)
        shape[where] = b.rng.randint(1, 2)
        kind = b.choice(("branch", "branch", "constant", "itself"))
        found = b.other(fits, prefer_not=x) if kind == "branch" else None
        parts.append(found or (x if kind == "itself" else b.numbers(*shape)))
    b.rng.shuffle(parts)
    return b.op(op, *parts, axis=axis)
