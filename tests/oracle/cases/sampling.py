"""Sampling between elements: regions, grids, offsets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..perturbation import Case, Feeds
from . import cases
from .common import positive
from .indexing import POSITIONS, parsed, steered

F = np.float32


@cases("MaxRoiPool")
def max_roi_pool() -> Iterator[Case]:
    rois = np.array([[1, 0, 1, 4, 3], [0, 2, 2, 3, 3], [1, 3, 0, 9, 9], [0, -6, 1, -5, 2]], F)
    for pooled, scale in (((2, 2), 1.0), ((1, 3), 0.5), ((3, 2), 1.5)):
        yield steered(
            f"{pooled} {scale}",
            "MaxRoiPool",
            {"x": positive(2, 2, 5, 6), "rois": rois},
            follow=("x",),
            trials=8,
            pooled_shape=pooled,
            spatial_scale=scale,
        )
    yield steered(
        "computed",
        "MaxRoiPool",
        {"x": positive(2, 2, 3, 3), "rois": np.array([[0, 0, 0, 1, 1], [1, 0, 1, 1, 1]], F)},
        follow=("x", "rois"),
        within=(0, 1),
        incomplete=POSITIONS,
        pooled_shape=(2, 2),
    )


@cases("RoiAlign")
def roi_align() -> Iterator[Case]:
    rois = np.array([[0.3, 1.2, 4.1, 3.7], [2, 0, 2.5, 8], [-3, -0.5, 1, 2], [4, 3, 20, 21]], F)
    fixed = {"x": positive(2, 2, 5, 6), "rois": rois, "samples": np.array([1, 0, 1, 1])}
    for ratio in (0, 1, 2):
        for opset, mode in ((10, None), (16, "half_pixel"), (22, "output_half_pixel")):
            for pool in ("avg", "max"):
                given = {"coordinate_transformation_mode": mode} if mode else {}
                yield steered(
                    f"{ratio} {opset} {mode} {pool}",
                    "RoiAlign",
                    fixed,
                    opset=opset,
                    follow=("x",),
                    output_height=2,
                    output_width=3,
                    sampling_ratio=ratio,
                    spatial_scale=0.8 if ratio == 1 else 1.0,
                    mode=pool,
                    # The maximum is taken of products with weights, zero ones among them.
                    within=(0.1, 1e3),
                    trials=3,
                    **given,
                )
    wide = {
        "x": positive(1, 1, 9, 9),
        "rois": np.array([[0.5, 0.5, 8.5, 8.5]], F),
        "samples": np.array([0]),
    }
    yield steered("apart", "RoiAlign", wide, follow=("x",), sampling_ratio=2)
    # What lies between the points is not read, and here it comes from afar.
    model = parsed(
        "g (float[1, 1, 9, 1] x, float[1, 4] rois, int64[1] samples) => (float[A, B, C, D] y)",
        "{ order = Constant <value_ints = [5, 4, 2, 8, 0, 1, 3, 6, 7]> ()",
        "shuffled = Gather <axis = 2> (x, order)",
        "y = RoiAlign <sampling_ratio = 2> (shuffled, rois, samples) }",
    )
    feeds = {
        "x": positive(1, 1, 9, 1),
        "rois": np.array([[0, 0, 1, 9]], F),
        "samples": np.array([0]),
    }
    yield Case("between the points", model, feeds, follow=("x",))
    known = {
        "x": positive(2, 1, 3, 3),
        "rois": np.array([[0, 0, 2, 2]] * 2, F),
        "samples": np.array([0, 1]),
    }
    yield steered(
        "computed samples",
        "RoiAlign",
        known,
        follow=("x", "samples"),
        within=(0, 1),
        output_height=2,
        output_width=2,
        sampling_ratio=1,
    )
    yield steered(
        "computed regions",
        "RoiAlign",
        known,
        opset=10,
        follow=("x", "rois"),
        within=(0, 2),
    )


@cases("GridSample")
def grid_sample() -> Iterator[Case]:
    rng = np.random.default_rng(4)
    grid = rng.uniform(-1.9, 1.9, (2, 3, 4, 2)).astype(F)
    grid[0, 0] = [[-1, -1], [1, 1], [0, 0], [-0.5, 0.25]]
    modes = {16: ("bilinear", "nearest", "bicubic"), 20: ("linear", "nearest", "cubic")}
    for opset in modes:
        for mode in modes[opset]:
            for padding in ("zeros", "border", "reflection"):
                for corners in (0, 1):
                    yield steered(
                        f"{opset} {mode} {padding} {corners}",
                        "GridSample",
                        {"x": positive(2, 2, 4, 5), "grid": grid},
                        opset=opset,
                        follow=("x",),
                        mode=mode,
                        padding_mode=padding,
                        align_corners=corners,
                    )
    volume = rng.uniform(-1.5, 1.5, (1, 2, 2, 3, 3)).astype(F)
    for mode in ("linear", "nearest"):
        for padding in ("zeros", "border", "reflection"):
            yield steered(
                f"volume {mode} {padding}",
                "GridSample",
                {"x": positive(1, 1, 3, 4, 2), "grid": volume},
                opset=22,
                follow=("x",),
                mode=mode,
                padding_mode=padding,
            )
    line = rng.uniform(-1.5, 1.5, (1, 5, 1)).astype(F)
    for mode in ("linear", "cubic"):
        given = {"x": positive(1, 1, 6), "grid": line}
        yield steered(f"line {mode}", "GridSample", given, opset=22, follow=("x",), mode=mode)
    apart = np.stack(np.meshgrid([-0.7, 0.1, 0.6], [-0.3, 0.4]), axis=-1)[None].astype(F)
    yield steered("apart", "GridSample", {"x": positive(1, 1, 5, 5), "grid": apart}, follow=("x",))
    yield steered(
        "computed",
        "GridSample",
        {"x": positive(2, 2, 2, 2), "grid": rng.uniform(-0.9, 0.9, (2, 2, 1, 2)).astype(F)},
        follow=("x", "grid"),
        within=(-0.9, 0.9),
    )


@cases("AffineGrid")
def affine_grid() -> Iterator[Case]:
    for size in ((2, 1, 2, 3), (1, 2, 3, 4), (1, 1, 3, 2, 3), (1, 1, 1, 2)):
        rank = len(size) - 2
        for corners in (0, 1):
            yield steered(
                f"{size} {corners}",
                "AffineGrid",
                {"theta": positive(size[0], rank, rank + 1), "size": np.array(size)},
                opset=20,
                align_corners=corners,
            )


def deformed(feeds: Feeds, given: dict[str, Any]) -> np.ndarray:
    """DeformConv of any rank, from its specification."""
    X, W, offset = (feeds[name].astype(np.float64) for name in ("x", "w", "offset"))
    kernel, sizes = W.shape[2:], offset.shape[2:]
    rank, positions = len(kernel), int(np.prod(kernel))
    group, groups = given.get("group", 1), given.get("offset_group", 1)
    strides, dilations = given.get("strides", [1] * rank), given.get("dilations", [1] * rank)
    pads = given.get("pads", [0] * 2 * rank)
    moved = offset.reshape(X.shape[0], groups, positions, rank, *sizes)
    mask = feeds.get("mask")
    weight = np.ones((X.shape[0], groups, positions, *sizes))
    if mask is not None:
        weight = mask.reshape(weight.shape)
    Y = np.zeros((X.shape[0], W.shape[0], *sizes))
    if "b" in feeds:
        Y += feeds["b"].reshape(1, -1, *[1] * rank)
    o = np.indices(sizes)
    grid = np.array(
        [
            [o[d] * strides[d] - pads[d] + k[d] * dilations[d] for d in range(rank)]
            for k in np.ndindex(*kernel)
        ]
    )
    for c in range(X.shape[1]):
        g, own = c // (X.shape[1] // groups), c // W.shape[1]
        at = np.moveaxis(moved[:, g] + grid, 2, 0)
        values = _interpolated(X[:, c], at) * weight[:, g]
        for m in range(own * W.shape[0] // group, (own + 1) * W.shape[0] // group):
            taps = W[m, c % W.shape[1]].reshape(-1, *[1] * rank)
            Y[:, m] += (values * taps).sum(axis=1)
    return Y.astype(F)


def _interpolated(x: np.ndarray, at: np.ndarray) -> np.ndarray:
    """`x`, of shape (N, ...), at the places `at`, of shape (axes, N, ...)."""
    low = np.floor(at).astype(int)
    total = np.zeros(at.shape[1:])
    sample = np.arange(len(x)).reshape(-1, *[1] * (at.ndim - 2))
    limits = np.array(x.shape[1:]).reshape(-1, *[1] * (at.ndim - 1))
    for corner in np.ndindex(*(2,) * len(at)):
        place = low + np.reshape(corner, limits.shape)
        inside = ((place >= 0) & (place < limits)).all(axis=0)
        found = x[(sample, *np.clip(place, 0, limits - 1))]
        total += np.where(inside, found, 0) * np.prod(1 - np.abs(place - at), axis=0)
    return total


@cases("DeformConv")
def deform_conv() -> Iterator[Case]:
    rng = np.random.default_rng(6)
    for x, w, sizes, given in (
        ((1, 2, 4, 3), (2, 2, 2, 2), (3, 2), {}),
        ((2, 2, 3, 4), (2, 1, 1, 3), (3, 2), {"group": 2, "offset_group": 2}),
        (
            (1, 2, 5, 4),
            (1, 2, 2, 2),
            (2, 3),
            {"offset_group": 2, "strides": [2, 1], "dilations": [2, 1]},
        ),
        ((1, 4, 3, 3), (2, 2, 2, 1), (4, 3), {"group": 2, "pads": [1, 0, 1, 0]}),
        ((1, 4, 2, 2), (2, 2, 1, 1), (2, 2), {"group": 2, "offset_group": 4}),
        ((1, 1, 6), (2, 1, 3), (4,), {"offset_group": 1}),
        ((1, 1, 2, 3, 2), (1, 1, 2, 1, 2), (1, 3, 1), {}),
    ):
        positions, groups = int(np.prod(w[2:])), given.get("offset_group", 1)
        rank = len(sizes)
        offset = rng.uniform(-1.3, 1.3, (x[0], groups * positions * rank, *sizes)).astype(F)
        offset[..., 0] = np.round(offset[..., 0])
        mask = rng.uniform(0.2, 1, (x[0], groups * positions, *sizes)).astype(F)

        def run(feeds: Feeds, given: dict[str, Any] = given) -> list[np.ndarray]:
            return [deformed(feeds, given)]

        arrays = {"x": positive(*x), "w": positive(*w, seed=1), "offset": offset}
        arrays |= {"b": positive(w[0], seed=2), "mask": mask}
        name = f"{x} {w} {given}"
        yield steered(
            name, "DeformConv", arrays, follow=("x", "w", "b", "mask"), run=run, trials=2, **given
        )
        still = {**arrays, "offset": np.zeros_like(offset), "b": None, "mask": None}
        yield steered(f"{name} still", "DeformConv", still, follow=("x",), run=run, **given)
        if rank == 2 and groups == 1:
            continue
        yield steered(
            f"{name} computed",
            "DeformConv",
            arrays,
            follow=("x", "w", "offset", "b", "mask"),
            within=(-1, 1),
            incomplete=POSITIONS,
            run=run,
            trials=1,
            **given,
        )
    arrays = {
        "x": positive(1, 4, 2, 2),
        "w": positive(2, 2, 1, 1, seed=1),
        "offset": rng.uniform(-0.9, 0.9, (1, 4, 2, 2)).astype(F),
        "b": positive(2),
        "mask": rng.uniform(0.2, 1, (1, 2, 2, 2)).astype(F),
    }
    more = {"group": 2, "offset_group": 2}
    yield steered(
        "computed, complete",
        "DeformConv",
        arrays,
        follow=("x", "w", "offset", "b", "mask"),
        within=(-0.9, 0.9),
        run=lambda feeds: [deformed(feeds, more)],
        trials=14,
        **more,
    )
