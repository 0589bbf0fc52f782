"""Resampling, at scales whose weights are simple fractions: taps of weight zero are not read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..perturbation import Case
from . import cases
from .common import floats, of

_TRANSFORMATIONS = (
    *("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "asymmetric"),
    *("align_corners", "tf_half_pixel_for_nn"),
)
_NEAREST = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


def _resize(
    name: str,
    shape: tuple[int, ...],
    scales: list[float] | None = None,
    sizes: list[int] | None = None,
    *,
    roi: list[float] | None = None,
    opset: int = 19,
    **given: Any,
) -> Case:
    inputs: dict[str, Any] = {"X": floats(*shape), "roi": None}
    if opset == 11 or roi:
        inputs["roi"] = np.array(roi or [], np.float32)
    inputs["scales"] = np.array(scales or [], np.float32) if scales or opset == 11 else None
    if sizes:
        inputs["sizes"] = np.array(sizes)
    constants = [k for k, v in inputs.items() if k != "X" and v is not None]
    return of(name, "Resize", inputs, opset=opset, constants=constants, **given)


@cases("Resize")
def resize() -> Iterator[Case]:
    for how in _TRANSFORMATIONS:
        given = {"coordinate_transformation_mode": how}
        for rounding in _NEAREST:
            modes = given | {"nearest_mode": rounding}
            yield _resize(f"{how} {rounding} up", (2, 2, 4), [1, 1, 2], **modes)
            yield _resize(f"{how} {rounding} down", (1, 2, 8), [1, 1, 0.5], **modes)
        for mode in ("linear", "cubic"):
            if how == "tf_half_pixel_for_nn":
                continue
            modes = given | {"mode": mode}
            yield _resize(f"{how} {mode} up", (1, 2, 4, 3), [1, 1, 2, 2], **modes)
            yield _resize(f"{how} {mode} down", (1, 1, 8, 6), [1, 1, 0.5, 0.5], **modes)
    for mode in ("nearest", "linear"):
        for opset in (11, 13, 18):
            yield _resize(f"{mode}, {opset}", (1, 2, 4), [1, 1, 2], opset=opset, mode=mode)
        yield _resize(f"{mode}, sizes", (1, 2, 4, 6), sizes=[1, 2, 8, 3], mode=mode)
        yield _resize(f"{mode}, axes", (1, 1, 4, 4), [2, 0.5], axes=[3, 2], mode=mode)
        yield _resize(
            f"{mode}, aspect",
            (1, 1, 4, 2),
            sizes=[8, 2],
            axes=[2, 3],
            keep_aspect_ratio_policy="not_larger",
            mode=mode,
        )
    yield _resize("nearest of three axes", (1, 2, 2, 3, 4), [1, 1, 2, 2, 2])
    yield _resize("linear of three axes", (1, 1, 2, 3, 4), [1, 1, 2, 2, 2], mode="linear")
    yield _resize("nearest of all axes", (2, 2, 3), [2, 2, 2])
    for mode in ("linear", "cubic"):
        yield _resize(f"{mode} antialias", (1, 1, 8, 8), [1, 1, 0.5, 0.25], antialias=1, mode=mode)
    yield _resize(
        "crop",
        (1, 1, 5, 5),
        sizes=[1, 1, 4, 4],
        roi=[0, 0, 0.25, 0.5, 1, 1, 0.75, 1.25],
        mode="nearest",
        coordinate_transformation_mode="tf_crop_and_resize",
    )


@cases("Resize")
@cases("Upsample")
def upsample() -> Iterator[Case]:
    """Resize of version 10 is Upsample that may also shrink."""
    for mode in ("nearest", "linear"):
        for op_type, opset in (("Upsample", 7), ("Upsample", 9), ("Resize", 10)):
            for scales in ([1.0, 1.0, 2.0, 3.0], [1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 0.5, 2.0]):
                if min(scales) < 1 and op_type == "Upsample":
                    continue
                name = f"{mode} by {scales}, {op_type} {opset}"
                inputs: dict[str, Any] = {"X": floats(1, 2, 4, 3)}
                if opset == 7:
                    yield of(name, op_type, inputs, opset=opset, mode=mode, scales=scales)
                    continue
                inputs["scales"] = np.array(scales, np.float32)
                yield of(name, op_type, inputs, opset=opset, mode=mode, constants=["scales"])
