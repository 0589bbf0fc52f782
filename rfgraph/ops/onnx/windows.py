"""Geometry that convolutions and pools share: kernel, stride, dilation and padding an axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rfgraph.model.graph import Kind
from rfgraph.ops.registry import Operation
from rfgraph.ops.shaping import (
    need,
)
from rfgraph.reads.words import STATISTIC, Fixed, PerAxis, Read, Table, same


class Window(NamedTuple):
    """A sliding window along one axis; `pad` is the padding before the first element."""

    kernel: int
    stride: int
    dilation: int
    pad: int


def spatial_windows(op: Operation, kernel: tuple[int, ...]) -> list[Window]:
    """The windows of a convolution or pool, one for each axis of the input after the second.

    Padding as ONNX defines it: ``pads`` with ``auto_pad=NOTSET``, none with ``VALID``, and with
    ``SAME_UPPER`` or ``SAME_LOWER`` what makes the output ``ceil(size / stride)`` long, an odd
    element at the end or at the beginning.
    """
    sizes = op.shape(0)[2:]
    rank = len(sizes)
    strides = op.attribute("strides") or [1] * rank
    dilations = op.attribute("dilations") or [1] * rank
    auto_pad = op.attribute("auto_pad", "NOTSET")
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        begins = []
        for n, k, s, d in zip(sizes, kernel, strides, dilations, strict=True):
            total = max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
            begins.append(total // 2 if auto_pad == "SAME_UPPER" else (total + 1) // 2)
    elif auto_pad == "VALID":
        begins = [0] * rank
    else:
        begins = (op.attribute("pads") or [0] * rank)[:rank]
    if min((*kernel, *strides, *dilations), default=1) < 1:
        raise ValueError(f"kernel {kernel}, strides {strides} and dilations {dilations}")
    geometry = zip(kernel, strides, dilations, begins, strict=True)
    return [Window(k, s, d, p) for k, s, d, p in geometry]


def taps(axis: int, used: np.ndarray, step: int = 1) -> Fixed | Table:
    """The kernel positions that are used: bool, shape (outputs, kernel), `step` apart.

    A kernel that is itself computed is not read where it meets padding.
    """
    counts = used.sum(axis=1)
    if used.all():
        return STATISTIC
    return Table((axis,), used.argmax(axis=1), counts, step)


def bias(k: int) -> Read:
    """A vector over the output's channels, as input `k`."""
    return PerAxis(k, (same(1),))


def window_sizes(kind: Kind, spatial: Sequence[int], kernel: Sequence[int]) -> list[int]:
    """Sizes after a window has gone along the axes, those that are left by the way."""
    rank, given = len(spatial), kind.attributes
    ones = [1] * rank
    strides = given.get("strides") or ones
    dilations = given.get("dilations") or ones
    pads = given.get("pads") or [0] * (2 * rank)
    auto_pad = given.get("auto_pad", "NOTSET")
    need(rank == len(kernel) == len(strides) == len(dilations) and len(pads) == 2 * rank)
    need(min(kernel) > 0 and min(strides) > 0 and min(dilations) > 0)
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        need(min(spatial) > 0)
        return [-(-n // stride) for n, stride in zip(spatial, strides, strict=True)]
    if auto_pad == "VALID":
        pads = [0] * (2 * rank)
    else:
        need(auto_pad == "NOTSET")
    sizes = []
    for a, n in enumerate(spatial):
        # How far the window can go; where it does not fit, inference rounds towards zero as well.
        room = n + pads[a] + pads[a + rank] - (kernel[a] - 1) * dilations[a] - 1
        steps = room // strides[a] if room >= 0 else -(-room // strides[a])
        sizes.append(steps + 1)
    return sizes
