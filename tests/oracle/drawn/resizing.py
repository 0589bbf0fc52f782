"""Resize and its predecessor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..builder import (
    Builder,
    Operand,
    Value,
    operator,
)

_TRANSFORMS = {
    "half_pixel": 11,
    "pytorch_half_pixel": 11,
    "align_corners": 11,
    "asymmetric": 11,
    "tf_crop_and_resize": 11,
    "half_pixel_symmetric": 19,
}
_NEAREST = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
# Quotients of sizes: their products with a size fall short of one unless they are rounded.
_QUOTIENTS = (7 / 24, 11 / 7, 10 / 3)
_SCALES = (0.3, 0.5, 0.6, 0.75, 0.8, 1.0, 1.2, 1.25, 1.5, 1.7, 2.0, 2.5, 3.0, *_QUOTIENTS)


def _scales(b: Builder, rank: int, axes: Sequence[int]) -> np.ndarray:
    return np.array([b.choice(_SCALES) if a in axes else 1 for a in range(rank)], np.float32)


@operator("Upsample", until=9, ranks=(3, 4, 5), weight=2)
def upsample(b: Builder, x: Value, op: str) -> Value:
    """Scales from 1 on, nearest or linear."""
    mode = b.choice((None, "nearest", "linear"))
    scales = np.maximum(_scales(b, x.rank, range(x.rank - 2, x.rank)), np.float32(1))
    return b.op(op, x, scales, mode=mode)


@operator("Resize", since=10, weight=10)
def resize(b: Builder, x: Value, op: str) -> Value:
    """Every mode, coordinate and rounding; by scales and by sizes, of all axes or some."""
    mode = b.choice(("nearest", "nearest", "linear", "cubic" if b.opset >= 11 else "linear"))
    if mode == "nearest":
        axes = b.some(range(x.rank)) if b.chance(0.3) else [*range(min(2, x.rank - 1), x.rank)]
    else:
        # Onnxruntime interpolates along the last two axes, or three.
        count = b.choice((1, 2, 2) if x.rank < 5 else (2, 3))
        axes = [a for a in range(x.rank - count, x.rank) if a >= 0]
    scales = _scales(b, x.rank, axes)
    if b.opset < 11:
        return b.op(op, x, scales, mode=mode)
    given = _coordinates(b, mode)
    listed = b.opset >= 18 and b.chance(0.5)
    if listed:
        given["axes"] = [a - x.rank if b.chance(0.4) else a for a in axes]
    shown = axes if listed else list(range(x.rank))
    crops = given["coordinate_transformation_mode"] == "tf_crop_and_resize"
    roi: Operand = np.zeros(0, np.float32) if b.opset < 13 else None
    if crops:
        starts = [b.rng.uniform(-0.1, 0.4) if a in axes else 0.0 for a in shown]
        ends = [b.rng.uniform(0.5, 1.2) if a in axes else 1.0 for a in shown]
        roi = np.array(starts + ends, np.float32)
        given["extrapolation_value"] = b.choice((None, 0.5))
    if b.chance(0.5):
        return b.op(op, x, roi, scales[shown], **given)
    sizes = [b.rng.randint(1, 2 * x.shape[a] + 1) if a in axes else x.shape[a] for a in shown]
    if b.opset >= 18 and (listed or len(axes) == x.rank):
        given["keep_aspect_ratio_policy"] = b.choice((None, "stretch", "not_larger", "not_smaller"))
    empty = np.zeros(0, np.float32) if b.opset < 13 else None
    return b.op(op, x, roi, empty, b.integers(sizes), **given)


def _coordinates(b: Builder, mode: str) -> dict[str, Any]:
    """How coordinates are made and read."""
    transforms = [name for name, since in _TRANSFORMS.items() if since <= b.opset]
    if b.opset < 13:
        transforms.append("tf_half_pixel_for_nn")
    given: dict[str, Any] = {
        "mode": mode,
        "coordinate_transformation_mode": b.choice((None, *transforms)),
    }
    if mode == "nearest":
        given["nearest_mode"] = b.choice((None, *_NEAREST))
    elif b.opset >= 18:
        given["antialias"] = b.choice((None, 0, 1))
    if mode == "cubic":
        given["cubic_coeff_a"] = b.choice((None, -0.5, -0.75))
    if mode == "cubic" or given.get("antialias"):
        given["exclude_outside"] = b.choice((None, 0, 1))
    return given
