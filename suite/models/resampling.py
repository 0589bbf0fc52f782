"""Places between elements: Resize, Upsample, GridSample."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from .single import Single, family, floats, ints, live, single

_MOVES = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")
_ROUNDS = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


def _resize(
    shape: tuple[int, ...],
    opset: int,
    factors: Any = None,
    sizes: Any = None,
    region: Any = None,
    **given: Any,
) -> Single:
    scales = None if factors is None else np.array(factors, np.float32)
    wanted = None if sizes is None else ints(*sizes)
    if opset < 11:
        return single("Resize", live(*shape), scales, opset=opset, **given)
    corners = None if region is None else np.array(region, np.float32)
    if opset < 13 and scales is None:
        scales = np.zeros(0, np.float32)
    if opset < 13 and corners is None:
        corners = np.zeros(0, np.float32)
    return single("Resize", live(*shape), corners, scales, wanted, opset=opset, **given)


@family("Resize nearest")
def nearest() -> Iterator[Single]:
    """Nearest elements: every rounding, every way to count places."""
    for move, rounds, scale in product(_MOVES, _ROUNDS, (0.6, 2.0, 2.5)):
        yield _resize(
            (1, 1, 5, 4),
            13,
            (1, 1, scale, 1.5),
            mode="nearest",
            nearest_mode=rounds,
            coordinate_transformation_mode=move,
        )
    for scale in (0.5, 0.6, 2.5):
        yield _resize((1, 1, 5, 4), 10, (1, 1, scale, 1.5), mode="nearest")


@family("Resize between")
def between() -> Iterator[Single]:
    """Linear and cubic."""
    for mode, move, scale in product(
        ("linear", "cubic"), (*_MOVES, "half_pixel_symmetric"), (0.6, 1.7, 2.0)
    ):
        yield _resize(
            (1, 1, 6, 5), 19, (1, 1, scale, 0.5), mode=mode, coordinate_transformation_mode=move
        )
    for scale in (0.6, 2.5):
        yield _resize((1, 1, 5, 4), 10, (1, 1, scale, 1.5), mode="linear")
    for outside, coefficient in product((0, 1), (-0.5, -0.75)):
        for scale in (0.6, 1.7):
            yield _resize(
                (1, 1, 6, 5),
                13,
                (1, 1, scale, 1.5),
                mode="cubic",
                exclude_outside=outside,
                cubic_coeff_a=coefficient,
            )
    for mode in ("linear", "cubic"):
        yield _resize((1, 2, 7), 13, (1, 1, 1.5), mode=mode)
    yield _resize((1, 1, 3, 4, 2), 13, (1, 1, 1.5, 0.5, 2), mode="linear")
    yield _resize((1, 1, 3, 4, 2), 13, (1, 1, 1.5, 0.5, 2), mode="nearest")


@family("Resize to sizes")
def to_sizes() -> Iterator[Single]:
    """Sizes in place of scales."""
    for opset, mode, move in product((11, 13), ("nearest", "linear", "cubic"), _MOVES[:3]):
        yield _resize(
            (1, 1, 5, 4), opset, sizes=(1, 1, 3, 7), mode=mode, coordinate_transformation_mode=move
        )


@family("Resize since 18")
def since_18() -> Iterator[Single]:
    """Filters that grow, proportions that are kept, some axes only."""
    for opset, mode, scale, outside in product((18, 19), ("linear", "cubic"), (0.3, 0.7), (0, 1)):
        yield _resize(
            (1, 1, 8, 7), opset, (1, 1, scale, 0.5), mode=mode, antialias=1, exclude_outside=outside
        )
    for mode in ("linear", "cubic"):
        yield _resize((1, 1, 8, 7), 18, sizes=(1, 1, 3, 10), mode=mode, antialias=1)
        yield _resize(
            (1, 1, 8, 7),
            18,
            (1, 1, 0.4, 0.4),
            mode=mode,
            antialias=1,
            coordinate_transformation_mode="align_corners",
        )
    for policy, mode in product(("not_larger", "not_smaller"), ("nearest", "linear")):
        yield _resize(
            (1, 1, 6, 4), 18, sizes=(9, 3), axes=[2, 3], mode=mode, keep_aspect_ratio_policy=policy
        )
        yield _resize(
            (1, 1, 6, 4), 19, sizes=(3, 5), axes=[2, 3], mode=mode, keep_aspect_ratio_policy=policy
        )
    for mode in ("nearest", "linear", "cubic"):
        yield _resize((1, 1, 6, 4), 18, (0.5, 1.5), axes=[3, 2], mode=mode)
        yield _resize((1, 1, 6, 4), 18, sizes=(9, 3), axes=[-1, -2], mode=mode)
        yield _resize((1, 6, 4, 1), 18, (2.0, 1.5), axes=[1, 2], mode=mode)


@family("Resize of a region")
def of_a_region() -> Iterator[Single]:
    """Crop and resize."""
    for mode, region in product(
        ("nearest", "linear", "cubic"),
        ((0, 0, 0.2, 0.3, 1, 1, 0.8, 0.9), (0, 0, -0.2, 0.5, 1, 1, 0.6, 1.3)),
    ):
        yield _resize(
            (1, 1, 6, 5),
            13,
            sizes=(1, 1, 4, 3),
            region=region,
            mode=mode,
            coordinate_transformation_mode="tf_crop_and_resize",
            extrapolation_value=3.0,
        )


@family("Upsample")
def upsample() -> Iterator[Single]:
    """What Resize was before."""
    for mode, scale in product(("nearest", "linear"), (1.5, 2.0, 3.0)):
        yield single(
            "Upsample", live(1, 1, 4, 3), np.array([1, 1, scale, 2], np.float32), opset=9, mode=mode
        )


def _grid(*shape: int, far: float = 1.3) -> np.ndarray:
    return floats(*shape, seed=7, low=-far, high=far)


@family("GridSample")
def grid_sample() -> Iterator[Single]:
    """Sampled where a grid says."""
    paddings = ("zeros", "border", "reflection")
    for opset, modes in (
        (16, ("bilinear", "nearest", "bicubic")),
        (20, ("linear", "nearest", "cubic")),
    ):
        for mode, padding, corners in product(modes, paddings, (0, 1)):
            yield single(
                "GridSample",
                live(1, 1, 6, 5),
                _grid(1, 3, 4, 2),
                opset=opset,
                mode=mode,
                padding_mode=padding,
                align_corners=corners,
            )
    for mode, padding, corners in product(("linear", "nearest"), paddings, (0, 1)):
        yield single(
            "GridSample",
            live(1, 1, 3, 4, 5),
            _grid(1, 2, 2, 3, 3),
            opset=20,
            mode=mode,
            padding_mode=padding,
            align_corners=corners,
        )
    for mode, padding in product(("bilinear", "bicubic"), paddings):
        yield single(
            "GridSample",
            live(2, 2, 4, 4),
            _grid(2, 2, 3, 2, far=2.6),
            opset=16,
            mode=mode,
            padding_mode=padding,
            note="far outside",
        )


@family("AffineGrid")
def affine_grid() -> Iterator[Single]:
    """Grids from matrices."""
    for corners in (0, 1):
        yield single("AffineGrid", live(2, 2, 3), ints(2, 1, 3, 4), opset=20, align_corners=corners)
        yield single(
            "AffineGrid", live(1, 3, 4), ints(1, 1, 2, 3, 4), opset=20, align_corners=corners
        )
