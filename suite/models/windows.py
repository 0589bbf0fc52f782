"""Windows that move: convolutions, their transposes, pools."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from .single import Single, family, floats, ints, live, single

_SAME = ("SAME_UPPER", "SAME_LOWER")
_AUTO = (*_SAME, "VALID")


def _filled(**given: Any) -> dict[str, Any]:
    """Leave out what is as it is by default."""
    return {name: value for name, value in given.items() if value is not None}


@family("Conv")
def conv() -> Iterator[Single]:
    """Convolutions."""
    for auto, stride, dilation, kernel in product(_AUTO, (1, 2, 3), (1, 2), (2, 3)):
        yield single(
            "Conv",
            live(1, 2, 8, 6),
            floats(2, 2, kernel, 2),
            opset=11,
            auto_pad=auto,
            strides=[stride, 1],
            dilations=[dilation, 1],
        )
    for auto, stride, size in product(_SAME, (1, 2, 3), (6, 7)):
        yield single(
            "Conv", live(1, 2, size), floats(2, 2, 4), opset=11, auto_pad=auto, strides=[stride]
        )
    pads = ([1, 0, 0, 2], [0, 1, 2, 0], [2, 1, 2, 1], [3, 0, 3, 0])
    for pad, stride, dilation in product(pads, (1, 2), (1, 2)):
        yield single(
            "Conv",
            live(1, 2, 7, 5),
            floats(2, 2, 3, 2),
            opset=11,
            pads=pad,
            strides=[stride, 2],
            dilations=[dilation, 1],
        )
    for group, auto in product((2, 4), ("NOTSET", *_SAME)):
        yield single(
            "Conv",
            live(1, 4, 6, 5),
            floats(4, 4 // group, 2, 3),
            floats(4, seed=2),
            opset=22,
            group=group,
            auto_pad=auto,
        )
    for auto in _AUTO:
        yield single(
            "Conv",
            live(1, 1, 4, 5, 3),
            floats(2, 1, 2, 3, 2),
            opset=11,
            auto_pad=auto,
            strides=[1, 2, 1],
        )
    yield single("Conv", live(1, 1, 9), floats(1, 1, 2), opset=11, strides=[4], pads=[1, 0])
    yield single("Conv", live(2, 3, 5), floats(2, 3, 1), opset=11)
    yield single("Conv", live(1, 2, 4, 4), floats(3, 2, 4, 4), floats(3, seed=2), opset=11)
    yield single("Conv", live(1, 2, 3, 3), floats(2, 2, 1, 1), opset=11, pads=[2, 0, 1, 1])


@family("ConvInteger")
def conv_integer() -> Iterator[Single]:
    """Convolutions of integers."""
    weights = np.arange(1, 13, dtype=np.uint8).reshape(2, 1, 3, 2)
    x = live(1, 1, 6, 5, low=20, high=200, dtype=np.uint8)
    for auto, stride in product(("NOTSET", *_AUTO), (1, 2)):
        yield single("ConvInteger", x, weights, opset=10, auto_pad=auto, strides=[stride, 1])


@family("ConvTranspose")
def conv_transpose() -> Iterator[Single]:
    """Transposed convolutions."""
    x = live(1, 2, 4, 3)
    for auto, stride, dilation, kernel in product(_AUTO, (1, 2, 3), (1, 2), (2, 3)):
        yield single(
            "ConvTranspose",
            x,
            floats(2, 2, kernel, 2),
            opset=11,
            auto_pad=auto,
            strides=[stride, 1],
            dilations=[dilation, 1],
        )
    for auto, stride, kernel in product(("NOTSET", *_SAME), (2, 3), (3, 4)):
        for less in (0, 1):
            out = [4 * stride - less, 3 * stride]
            yield single(
                "ConvTranspose",
                x,
                floats(2, 1, kernel, 3),
                opset=11,
                auto_pad=auto,
                strides=[stride, stride],
                output_shape=out,
            )
    for more, auto in product(([1, 0], [0, 1], [1, 1]), ("NOTSET", *_SAME)):
        yield single(
            "ConvTranspose",
            x,
            floats(2, 2, 3, 3),
            opset=11,
            strides=[2, 2],
            output_padding=more,
            auto_pad=auto,
        )
    for pads in ([1, 0, 0, 1], [0, 1, 1, 0], [1, 1, 1, 1], [2, 0, 0, 0]):
        yield single("ConvTranspose", x, floats(2, 2, 3, 3), opset=11, strides=[2, 1], pads=pads)
    for group in (2, 4):
        yield single(
            "ConvTranspose",
            live(1, 4, 4, 3),
            floats(4, 2, 3, 2),
            floats(2 * group),
            opset=22,
            group=group,
            strides=[2, 2],
        )
    for auto in ("NOTSET", *_SAME):
        yield single(
            "ConvTranspose", live(1, 2, 5), floats(2, 2, 4), opset=11, strides=[3], auto_pad=auto
        )
        yield single(
            "ConvTranspose",
            live(1, 1, 3, 2, 3),
            floats(1, 1, 2, 3, 2),
            opset=11,
            strides=[1, 2, 1],
            auto_pad=auto,
        )
        yield single(
            "ConvTranspose",
            live(1, 2, 5),
            floats(2, 1, 4),
            opset=11,
            strides=[2],
            auto_pad=auto,
            output_shape=[11],
        )


@family("DeformConv")
def deform_conv() -> Iterator[Single]:
    """Deformable convolutions, with offsets that are given."""
    for opset, stride, dilation, masked in product((19, 22), (1, 2), (1, 2), (False, True)):
        high, wide = (5 - 2 * dilation) // stride + 1, (5 - dilation - 1) // stride + 1
        offset = floats(1, 12, high, wide, seed=3, low=-1.6, high=1.6)
        mask = floats(1, 6, high, wide, seed=4, low=0.3) if masked else None
        yield single(
            "DeformConv",
            live(1, 2, 6, 5),
            floats(2, 2, 3, 2),
            offset,
            None,
            mask,
            opset=opset,
            strides=[stride, stride],
            dilations=[dilation, dilation],
        )
    offset = floats(1, 24, 4, 4, seed=3, low=-1.6, high=1.6)
    yield single(
        "DeformConv",
        live(1, 4, 6, 5),
        floats(2, 2, 3, 2),
        offset,
        opset=22,
        group=2,
        offset_group=2,
    )


def _pool(kind: str, opset: int, shape: tuple[int, ...], **given: Any) -> Single:
    outputs = given.pop("outputs", 1)
    return single(kind, live(*shape), opset=opset, outputs=outputs, **_filled(**given))


def _opset(kind: str, dilation: int, ceil: int) -> int:
    """A version that has what is asked for."""
    if kind == "LpPool":
        return 18
    return 19 if kind == "AveragePool" else 12


@family("MaxPool, AveragePool, LpPool")
def pools() -> Iterator[Single]:
    """Pools: padding by rule, windows that stand over the end."""
    kinds = ("MaxPool", "AveragePool", "LpPool")
    for kind, auto, stride, dilation in product(kinds, _SAME, (1, 2, 3), (1, 2)):
        yield _pool(
            kind,
            _opset(kind, dilation, 0),
            (1, 1, 8, 6),
            kernel_shape=[3, 2],
            strides=[stride, 1],
            dilations=[dilation, 1],
            auto_pad=auto,
        )
    for kind, ceil, stride, pads in product(
        kinds, (0, 1), (2, 3), (None, [1, 0, 1, 0], [0, 1, 0, 0], [1, 1, 1, 1])
    ):
        yield _pool(
            kind,
            _opset(kind, 1, ceil),
            (1, 1, 8, 6),
            kernel_shape=[3, 2],
            strides=[stride, 2],
            pads=pads,
            ceil_mode=ceil,
        )
    for kind, size, kernel, stride, pad in product(kinds, (5, 6), (2, 3), (3, 4), ([0, 0], [1, 1])):
        yield _pool(
            kind,
            _opset(kind, 1, 1),
            (1, 1, size),
            kernel_shape=[kernel],
            strides=[stride],
            ceil_mode=1,
            pads=pad,
        )
    for kind in kinds:
        yield _pool(
            kind,
            _opset(kind, 1, 0),
            (1, 1, 7, 5),
            kernel_shape=[3, 2],
            auto_pad="VALID",
            strides=[2, 2],
        )
        yield _pool(
            kind,
            _opset(kind, 1, 0),
            (1, 1, 4, 5, 3),
            kernel_shape=[2, 3, 2],
            strides=[1, 2, 1],
            auto_pad="SAME_LOWER",
        )
        yield _pool(
            kind,
            _opset(kind, 1, 1),
            (1, 1, 4, 5, 3),
            kernel_shape=[2, 2, 2],
            strides=[2, 2, 2],
            ceil_mode=1,
        )
        # A window of padding only.
        yield _pool(
            kind,
            _opset(kind, 1, 0),
            (1, 1, 3, 3),
            kernel_shape=[2, 2],
            strides=[1, 1],
            pads=[1, 1, 1, 1],
            dilations=[2, 1],
        )


@family("pools since 22")
def pools_22() -> Iterator[Single]:
    """Pools of which the text says that no window begins in the padding behind the end."""
    for kind, size, pads in product(
        ("MaxPool", "AveragePool", "LpPool"), (5, 6), ([0, 0], [1, 1], [0, 1])
    ):
        yield _pool(kind, 22, (1, 1, size), kernel_shape=[2], strides=[3], ceil_mode=1, pads=pads)


@family("AveragePool, counting")
def counting() -> Iterator[Single]:
    """Whether padding is counted: values alone should differ."""
    for ceil, auto in product((0, 1), ("NOTSET", *_SAME)):
        pads = [1, 0, 1, 1] if auto == "NOTSET" else None
        yield _pool(
            "AveragePool",
            19,
            (1, 1, 7, 5),
            kernel_shape=[3, 2],
            strides=[2, 2],
            pads=pads,
            auto_pad=auto,
            ceil_mode=ceil,
            count_include_pad=1,
        )
    for dilation in (2, 3):
        yield _pool(
            "AveragePool",
            19,
            (1, 1, 8, 5),
            kernel_shape=[2, 2],
            strides=[1, 2],
            dilations=[dilation, 1],
            pads=[1, 0, 1, 0],
            count_include_pad=1,
        )


@family("MaxPool, indices")
def max_indices() -> Iterator[Single]:
    """Indices of maxima, in both orders; and what undoes a pool by them."""
    for order, auto in product((0, 1), ("NOTSET", *_SAME)):
        yield _pool(
            "MaxPool",
            12,
            (1, 1, 6, 5),
            kernel_shape=[2, 2],
            strides=[2, 2],
            storage_order=order,
            auto_pad=auto,
            outputs=2,
        )
    indices = np.array([[[[0, 3], [9, 15]]]], np.int64)
    for pads, places in ((None, indices), ([0, 0, 1, 1], indices // 2)):
        yield single(
            "MaxUnpool",
            live(1, 1, 2, 2),
            places,
            opset=11,
            kernel_shape=[2, 2],
            strides=[2, 2],
            **_filled(pads=pads),
        )
    yield single(
        "MaxUnpool",
        live(1, 1, 2, 2),
        indices,
        ints(1, 1, 5, 5),
        opset=11,
        kernel_shape=[2, 2],
        strides=[2, 2],
        made=(1, 1, 5, 5),
    )


@family("global pools")
def global_pools() -> Iterator[Single]:
    """Pools over all axes but two."""
    for kind, shape in product(
        ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"), ((2, 2, 5), (1, 3, 3, 4))
    ):
        yield single(kind, live(*shape), opset=2 if kind == "GlobalLpPool" else 1)
    for p in (1, 2, 3):
        yield _pool("LpPool", 18, (1, 2, 6, 4), kernel_shape=[2, 2], strides=[2, 1], p=p)


@family("Col2Im")
def col2im() -> Iterator[Single]:
    """Columns back to an image."""
    for stride, dilation, pad in product((1, 2), (1, 2), (0, 1)):
        size = [6, 5]
        block = [2, 2]
        blocks = [
            (n + 2 * pad - dilation * (k - 1) - 1) // stride + 1
            for n, k in zip(size, block, strict=True)
        ]
        columns = live(1, 4, blocks[0] * blocks[1])
        yield single(
            "Col2Im",
            columns,
            ints(*size),
            ints(*block),
            opset=18,
            strides=[stride] * 2,
            dilations=[dilation] * 2,
            pads=[pad] * 4,
        )


@family("rois")
def rois() -> Iterator[Single]:
    """Pools of regions."""
    boxes = np.array([[0.6, 0.4, 4.1, 5.2], [1, 2, 3, 3], [-1.5, 3, 9, 8]], np.float32)
    which = ints(0, 0, 0)
    for mode, move, ratio, scale in product(
        ("avg", "max"), ("half_pixel", "output_half_pixel"), (0, 1, 2), (1.0, 0.5)
    ):
        yield single(
            "RoiAlign",
            live(1, 1, 8, 7),
            boxes,
            which,
            opset=16,
            hides=mode == "max",
            mode=mode,
            coordinate_transformation_mode=move,
            sampling_ratio=ratio,
            spatial_scale=scale,
            output_height=2,
            output_width=3,
        )
    for ratio in (0, 2):
        yield single(
            "RoiAlign",
            live(2, 1, 6, 5),
            boxes,
            ints(1, 0, 1),
            opset=10,
            sampling_ratio=ratio,
            output_height=2,
            output_width=2,
        )
    for scale, high in product((1.0, 0.5), (1, 2, 3)):
        regions = np.array([[0, 1, 1, 4, 5], [0, 0, 2, 6, 7], [0, 3, 3, 3, 3]], np.float32)
        yield single(
            "MaxRoiPool",
            live(1, 1, 8, 7),
            regions,
            opset=1,
            pooled_shape=[high, 2],
            spatial_scale=scale,
        )
