"""Operators with windows: convolutions and pools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..builder import (
    SPATIAL,
    Builder,
    Value,
    operator,
)


def _padding(b: Builder, kernel: Sequence[int], dilations: Sequence[int], most: int) -> Any:
    """Either ``auto_pad`` or ``pads`` with up to `most` more than a window on each side."""
    auto = b.choice(("NOTSET", "NOTSET", "", "", "VALID", "SAME_UPPER", "SAME_LOWER"))
    given: dict[str, Any] = {"auto_pad": auto or None}
    if auto in ("", "NOTSET") and b.chance(0.8):
        reach = [(k - 1) * d + most for k, d in zip(kernel, dilations, strict=True)]
        given["pads"] = [b.rng.randint(0, max(r, 0)) for r in reach + reach]
    return given


def _strides(b: Builder, rank: int, most: int) -> list[int] | None:
    return b.ints(rank, 1, most) if b.chance(0.6) else None


def _dilations(b: Builder, rank: int, most: int) -> list[int] | None:
    return b.ints(rank, 1, most) if b.chance(0.5) else None


def _is_same(given: dict[str, Any]) -> bool:
    return str(given["auto_pad"]).startswith("SAME")


def _no_crop(b: Builder, x: Value, kernel: list[int], strides: list[int] | None) -> None:
    """Under auto_pad=SAME_*: not so wide a stride that elements at both ends are passed over."""
    for n, k, s in zip(x.shape[2:], kernel, strides or [1] * len(kernel), strict=True):
        if (-(-n // s) - 1) * s + k < n - 1:
            b.quirk("SAME crop")


@operator("Conv", ranks=SPATIAL, weight=6)
def conv(b: Builder, x: Value, op: str) -> Value:
    """Groups, strides, dilations, every padding; windows of padding only."""
    rank = x.rank - 2
    group = b.divisor(x.shape[1])
    kernel = b.ints(rank, 1, 4 if rank < 3 else 3)
    dilations = _dilations(b, rank, 3)
    padding = _padding(b, kernel, dilations or [1] * rank, b.choice((-1, 0, 0, 3)))
    # Onnxruntime multiplies a weight with the padding too, so a live one is read at the
    # borders or not, as one likes: it is only drawn where there is no border.
    bare = not _is_same(padding) and "pads" not in padding
    strides = _strides(b, rank, b.choice((2, 5)))
    if _is_same(padding):
        _no_crop(b, x, kernel, strides)
    features = group * b.rng.randint(1, 2)
    return b.op(
        "Conv",
        x,
        b.weight(features, x.shape[1] // group, *kernel, live=0.2 if bare else 0),
        b.weight(features) if b.chance(0.4) else None,
        kernel_shape=kernel if b.chance(0.6) else None,
        group=group if group > 1 or b.chance(0.3) else None,
        strides=strides,
        dilations=dilations,
        **padding,
    )


@operator("ConvTranspose", ranks=SPATIAL, weight=5)
def conv_transpose(b: Builder, x: Value, op: str) -> Value:
    """Strides beyond the kernel leave holes; sizes by pads, auto_pad or output_shape."""
    rank = x.rank - 2
    group = b.divisor(x.shape[1])
    features = b.rng.randint(1, 2)
    kernel = b.ints(rank, 1, 3)
    strides = _strides(b, rank, b.choice((2, 4)))
    dilations = _dilations(b, rank, 3)
    s, d = strides or [1] * rank, dilations or [1] * rank
    given = _padding(b, kernel, d, b.choice((-1, 0)))
    if b.chance(0.4):
        most = [max(s[k], d[k]) - 1 for k in range(rank)]
        given["output_padding"] = [b.rng.randint(0, m) for m in most]
    if b.chance(0.3):
        full = [(n - 1) * s[k] + (kernel[k] - 1) * d[k] + 1 for k, n in enumerate(x.shape[2:])]
        given["output_shape"] = [b.rng.randint(max(1, f - 3), f + 2) for f in full]
        given.pop("pads", None)
    return b.op(
        "ConvTranspose",
        x,
        b.weight(x.shape[1], features, *kernel, live=0.15),
        b.weight(group * features) if b.chance(0.3) else None,
        kernel_shape=kernel if b.chance(0.6) else None,
        group=group if group > 1 or b.chance(0.3) else None,
        strides=strides,
        dilations=dilations,
        **given,
    )


@operator("MaxPool", "AveragePool", "LpPool", ranks=SPATIAL, weight=9)
def pool(b: Builder, x: Value, op: str) -> Value:
    """Windows with every padding, ceil_mode and, where they have them, dilations."""
    rank = x.rank - 2
    kernel = b.ints(rank, 1, 4)
    dilated = {"MaxPool": 10, "AveragePool": 19, "LpPool": 18}[op]
    dilations = _dilations(b, rank, 3) if b.opset >= dilated else None
    given = _padding(b, kernel, dilations or [1] * rank, -1 if b.chance(0.7) else 0)
    if b.opset >= {"MaxPool": 10, "AveragePool": 10, "LpPool": 18}[op] and b.chance(0.6):
        given["ceil_mode"] = b.rng.randint(0, 1)
    if op == "AveragePool" and b.chance(0.6):
        given["count_include_pad"] = b.rng.randint(0, 1)
    if op == "LpPool" and b.chance(0.6):
        given["p"] = b.rng.randint(1, 3)
    strides = _strides(b, rank, b.choice((3, 5)))
    if _is_same(given):
        if max(dilations or [1]) > 1:
            b.quirk("pool SAME dilated")
        _no_crop(b, x, kernel, strides)
    return b.op(op, x, kernel_shape=kernel, strides=strides, dilations=dilations, **given)


@operator("GlobalAveragePool", "GlobalMaxPool", ranks=SPATIAL, weight=1.5)
@operator("GlobalLpPool", until=21, ranks=SPATIAL, weight=0.7)
def global_pool(b: Builder, x: Value, op: str) -> Value:
    """All of a channel."""
    p = b.rng.randint(1, 3) if op == "GlobalLpPool" and b.chance(0.5) else None
    return b.op(op, x, p=p)
