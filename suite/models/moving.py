"""Elements that move and stay as they are: slices, padding, blocks, shapes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from .single import Single, family, floats, ints, live, single


@family("Slice")
def slices() -> Iterator[Single]:
    """Slices: backwards, from the end, beyond the ends."""
    least = -(2**63)
    for opset, (start, end, step) in product(
        (10, 13),
        (
            (0, 6, 2),
            (5, 0, -1),
            (-1, -8, -2),
            (-1, least, -1),
            (6, least, -3),
            (1, 2**31, 1),
            (-5, -1, 2),
            (10, -10, -1),
            (-20, 20, 3),
        ),
    ):
        yield single("Slice", live(7, 3), ints(start), ints(end), ints(0), ints(step), opset=opset)
    for axes in ((0, 1), (-1, 0), (1, -2)):
        yield single(
            "Slice", live(4, 6), ints(3, 1), ints(0, 4), ints(*axes), ints(-1, 2), opset=13
        )
    yield single("Slice", live(4, 5), ints(1), ints(3), opset=13)
    yield single("Slice", live(4, 5), opset=9, starts=[1, -3], ends=[3, 9])
    yield single("Slice", live(4, 5), opset=9, starts=[-3], ends=[-1], axes=[1])


@family("Pad")
def pad() -> Iterator[Single]:
    """Padding: of every kind, wider than the axis, negative."""
    for mode, pads in product(
        ("constant", "edge", "reflect", "wrap"),
        (
            (0, 0, 1, 2, 0, 0, 2, 1),
            (0, 0, 3, 0, 0, 0, 3, 2),
            (0, 0, -1, 1, 0, 0, 0, -2),
            (0, 1, 0, 0, 0, 1, 0, 1),
        ),
    ):
        # Reflection over an axis of one element says nothing.
        channels = 2
        for opset in (19, 21):
            yield single("Pad", live(1, channels, 4, 5), ints(*pads), opset=opset, mode=mode)
    for mode in ("constant", "edge", "reflect"):
        yield single("Pad", live(1, 1, 5, 4), opset=2, mode=mode, pads=[0, 0, 1, 2, 0, 0, 2, 0])
        yield single("Pad", live(1, 1, 5, 4), ints(0, 0, 1, 2, 0, 0, 2, 0), opset=11, mode=mode)
    for mode, axes in product(("constant", "edge", "reflect", "wrap"), ((2, 3), (3, 2), (-1, 0))):
        yield single(
            "Pad",
            live(2, 1, 5, 4),
            ints(1, 0, 0, 1),
            np.array(0.5, np.float32),
            ints(*axes),
            opset=19,
            mode=mode,
        )
    # Padding beyond what one reflection, or one round, has.
    for mode in ("wrap", "reflect"):
        yield single(
            "Pad",
            live(1, 1, 1, 3),
            ints(0, 0, 0, 5, 0, 0, 0, 4),
            opset=19,
            mode=mode,
            note="more than the axis",
        )


@family("CenterCropPad")
def center() -> Iterator[Single]:
    """Cropped and padded around the middle."""
    for shape in ((3, 3), (8, 2), (7, 8), (2, 9)):
        yield single("CenterCropPad", live(5, 6), ints(*shape), opset=18)
    yield single("CenterCropPad", live(5, 6, 2), ints(4), opset=18, axes=[1])
    yield single("CenterCropPad", live(5, 6, 2), ints(4, 8), opset=18, axes=[-2, 0])


@family("blocks")
def blocks() -> Iterator[Single]:
    """Blocks of places to channels and back."""
    for mode, (channels, size) in product(("DCR", "CRD"), ((8, 2), (9, 3), (12, 2))):
        yield single("DepthToSpace", live(1, channels, 2, 3), opset=13, mode=mode, blocksize=size)
    yield single("DepthToSpace", live(1, 8, 2, 3), opset=1, blocksize=2)
    for size, shape in ((2, (1, 2, 4, 6)), (3, (1, 1, 6, 3))):
        yield single("SpaceToDepth", live(*shape), opset=13, blocksize=size)


@family("Reshape")
def reshape() -> Iterator[Single]:
    """Shapes that keep the order of elements."""
    for shape, zero in (
        ((0, -1), 0),
        ((0, 0, 3), 0),
        ((6, -1), 1),
        ((-1,), 0),
        ((2, 0, -1), 0),
        ((4, 1, 6), 0),
    ):
        yield single("Reshape", live(4, 2, 3), ints(*shape), opset=14, allowzero=zero)
    yield single("Reshape", live(4, 2, 3), ints(3, -1), opset=5)
    for axis in (0, 1, -1, 3):
        yield single("Flatten", live(2, 3, 4), opset=13, axis=axis)
    for axes in ((0,), (-1,), (0, -2)):
        yield single("Squeeze", live(1, 3, 1, 1), ints(*axes), opset=13)
    yield single("Squeeze", live(1, 3, 1), opset=11)
    for axes in ((0,), (-1,), (3, 0), (-1, 1)):
        yield single("Unsqueeze", live(2, 3), ints(*axes), opset=13)
    yield single("Unsqueeze", live(2, 3), opset=11, axes=[0, -1])
    for shape in ((3, 1, 4), (2, 3, 4), (4,), (1, 1, 1)):
        yield single("Expand", live(3, 1), ints(*shape), opset=13)
    for repeats in ((2, 1, 3), (1, 2, 1)):
        yield single("Tile", live(2, 3, 2), ints(*repeats), opset=13)
    for perm in (None, [2, 0, 1], [1, 2, 0], [0, 2, 1]):
        given: dict[str, Any] = {} if perm is None else {"perm": perm}
        yield single("Transpose", live(2, 3, 4), opset=13, **given)
    for opset, op in product((13, 21), ("Identity",)):
        yield single(op, live(2, 3), opset=opset)


@family("Concat, Split")
def pieces() -> Iterator[Single]:
    """Put together and taken apart."""
    for axis in (0, 1, -1):
        shapes = [[2, 3, 2], [2, 3, 2]]
        shapes[1][axis] = 4
        yield single("Concat", *(live(*shape) for shape in shapes), opset=13, axis=axis)
    for axis, parts in ((0, (1, 4)), (1, (2, 3, 1)), (-1, (1, 5)), (-2, (5, 0))):
        yield single("Split", live(5, 6), ints(*parts), opset=13, axis=axis, outputs=len(parts))
    for count, axis in ((2, 0), (3, 1), (4, -1)):
        yield single("Split", live(5, 7), opset=18, axis=axis, num_outputs=count, outputs=count)
    for count, axis in ((2, -1), (3, 0)):
        yield single("Split", live(6, 4), opset=18, axis=axis, num_outputs=count, outputs=count)
    yield single("Split", live(4, 6), opset=11, axis=1, outputs=3)
    yield single("Split", live(4, 6), opset=2, axis=-1, split=[2, 4], outputs=2)


@family("Trilu")
def trilu() -> Iterator[Single]:
    """Triangles."""
    for upper, k in product((0, 1), (-9, -2, -1, 0, 1, 2, 9)):
        yield single("Trilu", live(1, 4, 5), np.array(k, np.int64), opset=14, upper=upper)
    for upper in (0, 1):
        yield single("Trilu", live(2, 4, 3), opset=14, upper=upper)


@family("ReverseSequence")
def reverse() -> Iterator[Single]:
    """Sequences reversed up to their ends."""
    for batch in (0, 1):
        lengths = ints(4, 1, 3) if batch else ints(3, 2, 1, 3)
        yield single(
            "ReverseSequence",
            live(4, 3, 2),
            lengths,
            opset=10,
            batch_axis=batch,
            time_axis=1 - batch,
        )
    yield single("ReverseSequence", live(4, 3), ints(1, 2, 4), opset=10)


@family("Compress, Where, OneHot")
def chosen() -> Iterator[Single]:
    """Elements chosen by constants."""
    for axis in (0, 1, -1):
        length = 4 if axis == 0 else 3
        given = np.array([True, False, True, True][:length])
        yield single("Compress", live(4, 3), given, opset=11, axis=axis)
    yield single("Compress", live(4, 3), np.array([False, True, True]), opset=11)
    yield single("Compress", live(3, 2), np.array([True] * 3 + [False] * 2 + [True]), opset=11)
    mask = np.array([[True], [False], [True]])
    yield single("Where", mask, live(3, 4), live(4), opset=16)
    yield single("Where", mask, live(2, 1, 4), live(3, 1), opset=16)
    yield single("Where", live(3, 1, dtype=np.bool_), live(1, 4), floats(3, 4), opset=16)
    for axis in (-1, 0, 1):
        yield single(
            "OneHot",
            live(2, 3, low=-4, high=3, dtype=np.int64),
            np.array(4, np.int64),
            floats(2),
            opset=11,
            axis=axis,
        )
