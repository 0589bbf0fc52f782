"""Sizes and settings that `tests.mutation` asked for: without them a wrong transfer passes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from onnx import TensorProto

from tests.graphs import single

from ..perturbation import Case, Feeds
from . import cases
from .common import floats, of, positive
from .sampling import deformed


@cases("GatherND")
def gather_nd() -> Iterator[Case]:
    inputs = {"data": floats(2, 2, 2), "i": np.array([[[0], [1]], [[1], [0]]])}
    given = {"follow": ("data", "i"), "within": (0, 1), "batch_dims": 1}
    yield of("computed, several of a batch", "GatherND", inputs, **given)


@cases("GridSample")
def grid_sample() -> Iterator[Case]:
    inputs = {"X": floats(1, 1, 2, 2), "grid": positive(1, 2, 2, 2) - np.float32(0.6)}
    yield of("computed, two columns", "GridSample", inputs, within=(-0.9, 0.9), trials=12)


@cases("RoiAlign")
def roi_align() -> Iterator[Case]:
    inputs = {
        "X": floats(1, 2, 3, 3),
        "rois": np.array([[0.2, 0.1, 1.8, 1.7]], np.float32),
        "batch": np.array([0]),
    }
    given = {"output_height": 1, "output_width": 1, "sampling_ratio": 1}
    yield of("computed, two channels", "RoiAlign", inputs, within=(0, 2), trials=24, **given)


@cases("MaxRoiPool")
def max_roi_pool() -> Iterator[Case]:
    rois = np.array([[0, 0, 0, 1, 1], [1, 0.5, 0.5, 1, 1]], np.float32)
    yield of(
        "computed, to the last row",
        "MaxRoiPool",
        {"X": floats(2, 1, 3, 3), "rois": rois},
        incomplete="not every region is tried",
        within=(0, 1),
        trials=24,
        pooled_shape=[1, 1],
        spatial_scale=2.0,
    )


@cases("MaxUnpool")
def max_unpool_along_one_axis() -> Iterator[Case]:
    inputs = {"X": floats(1, 1, 3, 2), "I": np.array([0, 2, 4, 6, 8, 10]).reshape(1, 1, 3, 2)}
    yield of("rows stay", "MaxUnpool", inputs, kernel_shape=[1, 2], strides=[1, 2])
    shifted = {**inputs, "I": inputs["I"] + np.array([0, 1])}
    yield of("rows stay, shifted", "MaxUnpool", shifted, kernel_shape=[1, 2], strides=[1, 2])


@cases("MaxUnpool")
def max_unpool_into_more_rows() -> Iterator[Case]:
    inputs = {"X": floats(1, 1, 2, 2), "I": np.array([0, 2, 4, 6]).reshape(1, 1, 2, 2)}
    yield of("rows stay", "MaxUnpool", inputs, kernel_shape=[2, 2], strides=[1, 2])


@cases("Split")
def split() -> Iterator[Case]:
    for axis in range(5):
        inputs = {"input": floats(*[8 if a == axis else 2 for a in range(5)])}
        yield of(f"four parts along {axis} of five", "Split", inputs, 4, axis=axis, num_outputs=4)


@cases("SoftmaxCrossEntropyLoss")
def softmax_cross_entropy_loss() -> Iterator[Case]:
    inputs = {
        "scores": floats(2, 3, 2, 2),
        "labels": np.array([[[0, 1], [2, 1]], [[2, 2], [1, 0]]]),
    }
    yield of(
        "a batch of two axes",
        "SoftmaxCrossEntropyLoss",
        inputs,
        ["loss", "log_prob"],
        within=(-4, 4),
        reduction="none",
    )


@cases("MaxUnpool")
def max_unpool() -> Iterator[Case]:
    for size, last in ((2, 3), (3, 2)):
        shape = (1, 1, size, 2, last)
        d, h, w = np.ogrid[:size, :2, :last]
        sides = (4, 2 * last)
        places = ((2 * d * sides[0]) + 2 * h) * sides[1] + 2 * w
        for name, at in (("", places), (", firsts", places // 2 * 2 + (d + w) % 2)):
            inputs = {"X": floats(*shape), "I": at.reshape(shape)}
            given = {"kernel_shape": [2, 2, 2], "strides": [2, 2, 2]}
            yield of(f"three axes, {size} by {last}{name}", "MaxUnpool", inputs, **given)


@cases("Resize")
def resize() -> Iterator[Case]:
    for axis in range(1, 5):
        shape = [3 if a == axis else 2 for a in range(5)]
        for factor in (2.0, 0.5):
            scales = [factor if a == axis else 1.0 for a in range(5)]
            inputs = {"X": floats(*shape), "scales": np.array(scales, np.float32)}
            name = f"version 10, axis {axis} by {factor}"
            yield of(name, "Resize", inputs, opset=10, constants=["scales"])


@cases("TensorScatter")
def tensor_scatter() -> Iterator[Case]:
    for axis, past, update in ((2, (2, 2, 4), (2, 2, 2)), (-2, (2, 2, 4, 2), (2, 2, 2, 2))):
        for mode in ("linear", "circular"):
            for at in (None, np.array([1, 2])):
                inputs = {"past": floats(*past), "update": floats(*update, seed=1)}
                inputs |= {} if at is None else {"at": at}
                name = f"{axis} of {past}, {mode} from {at}"
                yield of(name, "TensorScatter", inputs, opset=24, axis=axis, mode=mode)


@cases("ScatterElements")
def scatter_elements() -> Iterator[Case]:
    at = np.array([[[1, 0], [0, 1]], [[0, 0], [1, 1]]])
    inputs = {"data": floats(2, 2, 2), "i": at, "updates": floats(2, 2, 2, seed=1)}
    given = {"follow": ("data", "i", "updates"), "within": (0, 1), "axis": 1, "trials": 24}
    yield of("computed, a batch", "ScatterElements", inputs, reduction="add", **given)
    for indices in ([[0, 0], [1, 1]], [[1, 1], [2, 2]], [[2, 2], [0, 0]]):
        inputs = {"data": floats(3, 2), "i": np.array(indices), "updates": floats(2, 2, seed=1)}
        yield of(f"rows {indices}", "ScatterElements", inputs)


@cases("Unique")
def unique() -> Iterator[Case]:
    """Rows of one element, which are equal at times; other outputs are of any size."""
    model, feeds = single(
        "Unique",
        {"X": np.array([[1], [2], [1], [3]], np.float32)},
        ["", "", "inverse"],
        kinds={"inverse": TensorProto.INT64},
        axis=0,
        sorted=0,
    )
    model.graph.node[0].output[0] = "y"
    first = "the first is always the first"
    yield Case("rows of one element", model, feeds, first, within=(1, 4), trials=48)


@cases("DeformConv")
def deform_conv() -> Iterator[Case]:
    x, w, sizes = (2, 1, 2, 3, 3), (1, 1, 2, 1, 2), (1, 3, 2)
    rng = np.random.default_rng(0)
    inputs = {
        "X": floats(*x),
        "W": floats(*w, seed=1),
        "offset": rng.uniform(-0.9, 0.9, (2, 12, *sizes)).astype(np.float32),
        "B": floats(1),
        "mask": positive(2, 4, *sizes),
    }

    def run(feeds: Feeds) -> Sequence[np.ndarray]:
        names = dict(zip(("x", "w", "offset", "b", "mask"), feeds.values(), strict=True))
        return [deformed(names, {})]

    follow = ("X", "W", "B", "mask")
    yield of("three axes, a batch", "DeformConv", inputs, follow=follow, run=run)
    flat = {
        "X": floats(2, 1, 2, 2),
        "W": floats(1, 1, 1, 1, seed=1),
        "offset": rng.uniform(-0.9, 0.9, (2, 2, 2, 2)).astype(np.float32),
        "B": floats(1),
        "mask": positive(2, 1, 2, 2),
    }
    given = {"follow": tuple(flat), "within": (-0.9, 0.9), "trials": 14}
    yield of("computed, a batch", "DeformConv", flat, run=run, **given)


@cases("ConvInteger")
def conv_integer() -> Iterator[Case]:
    rng = np.random.default_rng(0)
    inputs = {
        "x": rng.integers(1, 99, (2, 1, 2, 3, 4), np.uint8),
        "w": rng.integers(1, 99, (1, 1, 1, 2, 2), np.uint8),
    }
    given = {"kinds": {"y0": TensorProto.INT32}, "follow": ("x", "w"), "within": (0, 255)}
    yield of("three axes, no zero points", "ConvInteger", inputs, run=_sums, **given)


def _sums(feeds: Feeds) -> Sequence[np.ndarray]:
    x, w = (feeds[name].astype(np.int32) for name in ("x", "w"))
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3, 4))
    return [(windows[:, 0] * w[0, 0]).sum(axis=(-3, -2, -1))[:, None]]
