"""What several operators are drawn with."""

from __future__ import annotations

from ..builder import (
    Builder,
    Operand,
    Value,
)
from ..observe import Shape


def scalar(b: Builder, x: Value) -> Value:
    """A scalar that sees all of a value."""
    return b.op("ReduceMean", x, keepdims=0)


def broadcasts(a: Shape, c: Shape) -> bool:
    pairs = zip(reversed(a), reversed(c), strict=False)
    return all(m == n or 1 in (m, n) for m, n in pairs)


def partner(b: Builder, x: Value, live: float = 0.75) -> Operand:
    """Something to combine with `x` element by element: a branch, or constants."""
    if b.chance(live):
        # What has the same shape merges branches; what is broadcast reads across.
        found = b.other(lambda v: v is not x and v.shape == x.shape)
        if found and b.chance(0.6):
            return found
        found = b.other(lambda v: v is not x and broadcasts(v.shape, x.shape)) or found
        if found:
            return found
        if b.chance(0.6):
            return branch(b, x)
    shape = [n if b.chance(0.6) else 1 for n in x.shape[b.rng.randrange(x.rank) :]]
    return b.weight(*shape, live=0.2)


def branch(b: Builder, x: Value) -> Value:
    """Something made of `x` that is broadcast to it."""
    axes = b.some(range(x.rank))
    if b.chance(0.4):
        inputs, given = b.with_ints(18, "axes", axes)
        return b.op("ReduceMean", x, *inputs, keepdims=1, **given)
    if b.chance(0.5):
        order = list(range(x.rank))
        order[axes[0]], order[axes[-1]] = order[axes[-1]], order[axes[0]]
        turned = b.op("Transpose", x, perm=order)
        if broadcasts(turned.shape, x.shape):
            return turned
    return sliced(b, x, axes[:1], [0], [1])


def sliced(b: Builder, x: Value, axes: list[int], starts: list[int], ends: list[int]) -> Value:
    if b.opset < 10:
        return b.op("Slice", x, axes=axes, starts=starts, ends=ends)
    return b.op("Slice", x, *(b.integers(v) for v in (starts, ends, axes)))


def unsqueezed(b: Builder, x: Value, axes: list[int]) -> Value:
    inputs, given = b.with_ints(13, "axes", axes)
    return b.op("Unsqueeze", x, *inputs, **given)


def turned(b: Builder, x: Value) -> Value:
    order = [*range(x.rank - 2), x.rank - 1, x.rank - 2]
    return b.op("Transpose", x, perm=order)
