"""Resampling: taps of weight zero are not read, and the rounding says which these are."""

from __future__ import annotations

import platform
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
def quotients() -> Iterator[Case]:
    """Scales that are quotients of sizes, as Keras exports them."""
    for n, m in ((7, 11), (3, 10), (24, 7), (13, 11), (9, 3)):
        quotient = float(np.float32(m / n))
        for how in _TRANSFORMATIONS[:5]:
            given = {"coordinate_transformation_mode": how}
            yield _resize(f"{how} {n} to {m}", (1, 1, n), [1, 1, quotient], **given)
            for mode in ("linear", "cubic"):
                modes = given | {"mode": mode}
                shape, scales = (1, 1, n, 2), [1, 1, quotient, 1]
                yield _resize(f"{how} {mode} {n} to {m}", shape, scales, **modes)


@cases("Resize")
def own_size() -> Iterator[Case]:
    """What keeps its shape is copied; with antialias each axis by itself."""
    yield _resize("nearest to its own size", (2, 2), [1.3, 1.3])
    yield _resize("nearest along an axis of its own size", (2, 2), [1.3, 2])
    for mode in ("linear", "cubic"):
        for antialias in (0, 1):
            given = {"mode": mode, "antialias": antialias}
            yield _resize(f"{given} to its own size", (1, 1, 3, 2), [1, 1, 1.3, 1.1], **given)
            yield _resize(f"{given} of one axis", (1, 1, 3, 4), [1, 1, 1.3, 0.5], **given)
    crop = {"coordinate_transformation_mode": "tf_crop_and_resize"}
    for mode in ("nearest", "linear"):
        for rows in (3, 2):
            yield _resize(
                f"crop {mode} of {rows} rows",
                (3, 4),
                sizes=[rows, 4],
                roi=[0, 0.25, 1, 0.75],
                mode=mode,
                **crop,
            )
    yield _resize(
        "crop with antialias, outside",
        (1, 1, 6, 4),
        sizes=[1, 1, 3, 4],
        roi=[0, 0, 0, -0.5, 1, 1, 1, 1],
        mode="linear",
        antialias=1,
        **crop,
    )
    for policy in ("not_larger", "not_smaller"):
        for axes in ([0, 1], [0, -1], [-2, -1]):
            yield _resize(
                f"{policy} {axes}", (2, 4), sizes=[3, 8], axes=axes, keep_aspect_ratio_policy=policy
            )


@cases("Resize")
def antialias() -> Iterator[Case]:
    """Cubic weights are 0 in the middle of the filter too: at a distance of one step."""
    for mode in ("linear", "cubic"):
        for outside in (0, 1):
            given = {"mode": mode, "antialias": 1, "exclude_outside": outside}
            for sizes in ([1, 1, 4, 3], [1, 1, 2, 9], [1, 1, 12, 6]):
                yield _resize(f"{given} to {sizes}", (1, 1, 8, 9), sizes=sizes, **given)
            # Weights of 1e-7, left by rounding: where a multiplication is fused with an addition
            # they are others.
            if platform.machine().lower() in ("x86_64", "amd64"):
                for scale in (0.6, 0.77, 0.35):
                    scales = [1, 1, scale, scale]
                    yield _resize(
                        f"{given} by {scale}", (1, 1, 8, 9), scales, within=(-1e20, 1e20), **given
                    )
    yield _resize(
        "antialias, coefficient",
        (1, 1, 9, 6),
        [1, 1, 1 / 3, 0.5],
        mode="cubic",
        antialias=1,
        cubic_coeff_a=-0.5,
    )
    yield _resize(
        "antialias, channels last", (1, 9, 6, 2), [1, 1 / 3, 0.5, 1], mode="cubic", antialias=1
    )
    yield _resize(
        "antialias of three axes",
        (1, 1, 4, 4, 6),
        [1, 1, 0.5, 0.5, 1 / 3],
        mode="linear",
        antialias=1,
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
            for n, m in ((7, 11), (3, 10), (2, 2)):
                scale = np.float32(1.3 if n == m else m / n)
                inputs = {"X": floats(1, 1, n, 2)}
                name = f"{mode} of {n} by {scale}, {op_type} {opset}"
                given: dict[str, Any] = {"opset": opset, "mode": mode}
                if opset == 7:
                    given["scales"] = [1.0, 1.0, float(scale), 1.0]
                else:
                    inputs["scales"] = np.array([1, 1, scale, 1], np.float32)
                    given["constants"] = ["scales"]
                yield of(name, op_type, inputs, **given)
