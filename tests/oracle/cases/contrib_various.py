"""Cases of the rest of com.microsoft."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from onnx import parser

from ..perturbation import Case
from . import cases
from .contrib_fused import MS, ms, normal

_Cases: TypeAlias = Iterator[Case]


@cases("Trilu", MS)
def trilu() -> _Cases:
    for upper in (0, 1):
        for k in (None, np.array(-1), np.array(1)):
            inputs = {"X": normal(2, 3, 4), "k": k}
            constants = () if k is None else ("k",)
            yield Case(f"{upper}-{k}", *ms("Trilu", inputs, upper=upper, constants=constants))


@cases("Range", MS)
def range_() -> _Cases:
    inputs = {
        name: np.array([value], np.float32)
        for name, value in (("start", 1), ("limit", 7), ("delta", 2))
    }
    why = "how many there are is computed"
    yield Case("computed", *ms("Range", inputs), why, follow=("start",), within=(1, 6))


@cases("GatherND", MS)
def gather_nd() -> _Cases:
    for indices in (np.array([[1, 0], [0, 2]]), np.array([[[1]], [[0]]])):
        inputs = {"data": normal(2, 3, 2), "indices": indices}
        yield Case(f"{indices.shape}", *ms("GatherND", inputs))
    inputs["indices"] = np.array([[[0], [1]], [[1], [0]]])
    model, feeds = ms("GatherND", inputs)
    yield Case("indices", model, feeds, follow=("indices",), within=(0, 1))
    why = "the indices are computed"
    yield Case("computed", model, feeds, why, follow=("data", "indices"), within=(0, 1))


@cases("Pad", MS)
def pad() -> _Cases:
    for mode in ("constant", "edge", "reflect"):
        for rank in (1, 2):
            pads = np.array([0, 1, 2, -1]).reshape((1, 4) if rank == 2 else 4)
            inputs = {"data": normal(4, 4), "pads": pads, "value": np.array([0.5], np.float32)}
            if mode != "constant":
                inputs.pop("value")
            yield Case(f"{mode}-{rank}", *ms("Pad", inputs, mode=mode))


@cases("ExpandDims", MS)
def expand_dims() -> _Cases:
    for axis in (0, 1, -1):
        inputs = {"X": normal(2, 3), "axis": np.array(axis, np.int32)}
        yield Case(f"{axis}", *ms("ExpandDims", inputs, constants=("axis",)))


@cases("ConvTransposeWithDynamicPads", MS)
def conv_transpose_with_dynamic_pads() -> _Cases:
    inputs = {
        "X": normal(2, 4, 3, 4),
        "W": normal(4, 3, 3, 3, seed=1),
        "Pads": np.array([1, 0, 0, 2]),
        "B": normal(6),
    }
    model, feeds = ms("ConvTransposeWithDynamicPads", inputs, group=2, strides=[2, 1])
    yield Case("pads", model, feeds)
    inputs = {"X": normal(1, 2, 3, 3), "W": normal(2, 1, 3, 3), "Pads": np.array([1, 1, 1, 1])}
    yield Case("equal-pads", *ms("ConvTransposeWithDynamicPads", inputs))


@cases("GridSample", MS)
def grid_sample() -> _Cases:
    inputs = {"X": normal(2, 2, 3, 4), "Grid": np.clip(normal(2, 2, 3, 2, seed=1), -1, 1)}
    for mode in ("bilinear", "nearest", "bicubic"):
        yield Case(
            mode, *ms("GridSample", inputs, mode=mode), "where the grid points", within=(-1, 1)
        )


@cases("CropAndResize", MS)
def crop_and_resize() -> _Cases:
    inputs = {
        "X": normal(2, 2, 4, 5),
        "rois": np.array([[0, 0, 1, 1], [0.2, 0.1, 0.6, 0.9], [0.5, 0, 0.7, 1]], np.float32),
        "batch_indices": np.array([1, 0, 1], np.int32),
        "crop_size": np.array([2, 3], np.int32),
    }
    for mode in ("bilinear", "nearest"):
        model, feeds = ms("CropAndResize", inputs, mode=mode)
        yield Case(mode, model, feeds, "where the boxes lie", within=(0, 1))


@cases("Irfft", MS)
@cases("Rfft", MS)
def rfft() -> _Cases:
    def forward(feeds: Any) -> list[np.ndarray]:
        y = np.fft.rfft(feeds["X"].astype(np.float64))
        return [np.stack([y.real, y.imag], -1)]

    def back(feeds: Any) -> list[np.ndarray]:
        x = feeds["X"].astype(np.float64)
        return [np.fft.irfft(x[..., 0] + 1j * x[..., 1])]

    options = {"onesided": 1, "normalized": 0, "signal_ndim": 1}
    model, feeds = ms("Rfft", {"X": normal(2, 6)}, **options)
    zero = "some coefficients are zero"
    yield Case("forward", model, feeds, zero, run=forward)
    yield Case("back", *ms("Irfft", {"X": normal(2, 4, 2)}, **options), zero, run=back)


@cases("Irfft", MS)
@cases("Rfft", MS)
def rfft_of_real_parts() -> _Cases:
    """Of six numbers no cosine is zero."""

    def forward(feeds: Any) -> list[np.ndarray]:
        return [np.fft.rfft(feeds["x"].astype(np.float64)).real]

    def back(feeds: Any) -> list[np.ndarray]:
        return [np.fft.irfft(feeds["x"].astype(np.float64))]

    for name, shape, nodes, run in (
        (
            "forward",
            (2, 6),
            "c = com.microsoft.Rfft{} (x) y = Gather<axis = -1> (c, zero)",
            forward,
        ),
        (
            "back",
            (2, 4),
            "r = Unsqueeze (x, last) i = Sub (r, r) "
            "c = Concat<axis = -1> (r, i) y = com.microsoft.Irfft{} (c)",
            back,
        ),
    ):
        body = nodes.format("<onesided = 1, normalized = 0, signal_ndim = 1>")
        model = parser.parse_model(
            '<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]> '
            f"g (float[{shape[0]}, {shape[1]}] x) => (float[n, m] y) "
            f"<int64 zero = {{0}}, int64[1] last = {{-1}}> {{ {body} }}"
        )
        yield Case(f"real-{name}", model, {"x": normal(*shape)}, run=run)


@cases("CDist", MS)
def cdist() -> _Cases:
    for metric in ("euclidean", "sqeuclidean"):
        for rows, columns, features in ((3, 4, 2), (2, 3, 5)):
            inputs = {"A": normal(rows, features), "B": normal(columns, features, seed=1)}
            yield Case(f"{metric} of {rows}, {columns}", *ms("CDist", inputs, metric=metric))


@cases("UnfoldTensor", MS)
def unfold_tensor() -> _Cases:
    for shape in ((7,), (2, 7), (2, 7, 3)):
        for dim in range(-1, len(shape)):
            for size, step in ((2, 1), (2, 2), (2, 3), (1, 2), (3, 2)):
                if shape[dim] > size:
                    given = {"dim": dim, "size": size, "step": step}
                    name = " ".join(f"{key} {value}" for key, value in given.items())
                    model, feeds = ms("UnfoldTensor", {"input": normal(*shape)}, **given)
                    yield Case(f"{name} of {shape}", model, feeds)
    yield Case("defaults", *ms("UnfoldTensor", {"input": normal(2, 4)}, size=3))


@cases("EmbedLayerNormalization", MS)
def embed_layer_normalization() -> _Cases:
    inputs = {
        "input_ids": np.array([[2, 0, 1], [4, 4, 0]], np.int32),
        "segment_ids": np.array([[0, 0, 1], [1, 0, 1]], np.int32),
        "word": normal(5, 4),
        "position": normal(6, 4, seed=1),
        "segment": normal(2, 4, seed=2),
        "gamma": normal(4, seed=3),
        "beta": normal(4, seed=4),
        "mask": np.array([[1, 1, 0], [1, 0, 0]], np.int32),
    }
    outputs = ["y", "index", "sum"]
    kinds = {"index": 6}
    options: dict[str, Any] = {"kinds": kinds, "mask_index_type": 1}
    yield Case("whole", *ms("EmbedLayerNormalization", inputs, outputs, **options))
    for ids in ([[0, 5, 2], [1, 1, 3]], [[3, 1, 2]]):
        more = {**inputs, "position_ids": np.array(ids, np.int32)}
        yield Case(f"{len(ids)}", *ms("EmbedLayerNormalization", more, outputs, **options))
    bare = {**inputs, "segment_ids": None, "segment": None, "mask": None}
    yield Case("bare", *ms("EmbedLayerNormalization", bare, ["y", "", "sum"]))
    model, feeds = ms("EmbedLayerNormalization", inputs, outputs, **options)
    followed = ("input_ids", "segment_ids", "word", "mask")
    for chosen in (("input_ids", "segment_ids"), ("mask",)):
        yield Case(f"{chosen[0]}", model, feeds, follow=chosen, within=(0, 1))
    why = "rows are computed"
    yield Case("computed", model, feeds, why, follow=followed, within=(0, 1))


@cases("Unique", MS)
def unique() -> _Cases:
    kinds = {"y1": 7, "y2": 7}
    yield Case("unique", *ms("Unique", {"X": normal(5)}, 3, kinds=kinds), "values")
    model, feeds = ms("Unique", {"X": np.float32([1, 0, 2, 1, 0])}, 3, kinds=kinds)
    yield Case("equal", model, feeds, "values", within=(0, 0))
