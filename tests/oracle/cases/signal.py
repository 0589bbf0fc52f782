"""Cases of Fourier transforms and windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx.parser
from onnx import helper
from onnx.reference import ReferenceEvaluator

from tests.graphs import single

from ..perturbation import Case, Feeds
from . import cases


def _signal(*shape: int) -> np.ndarray:
    return np.random.default_rng(9).normal(size=shape).astype(np.float32)


_ZEROS = "sines and cosines that are zero"


def _parts_added(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model` with the real and the imaginary part of its output added.

    One of them alone can have weights that are all zero, such as the sines of bin 0.
    """
    return _followed_by("ReduceSum", model, np.array([-1]))


def _first_left_out(model: onnx.ModelProto, axis: int) -> onnx.ModelProto:
    """`model` without the first element of its output, whose sines are all zero."""
    return _followed_by("Slice", model, *(np.array([n]) for n in (1, 99, axis)))


def _followed_by(operator: str, model: onnx.ModelProto, *inputs: np.ndarray) -> onnx.ModelProto:
    graph = model.graph
    name = graph.output[0].name
    graph.node[0].output[0] = "inner"
    names = [f"c{k}" for k in range(len(inputs))]
    graph.initializer.extend(map(onnx.numpy_helper.from_array, inputs, names))
    graph.node.append(helper.make_node(operator, ["inner", *names], [name]))
    return model


@cases("DFT")
def dft() -> Iterator[Case]:
    # Sizes for which no sine equals its cosine.
    for shape, axis, length in (
        ((2, 7, 1), 1, None),
        ((2, 7, 1), 1, 5),
        ((2, 5, 2), 1, 3),
        ((1, 5, 1), 1, 7),
        ((5, 2, 1), 0, 3),
        ((2, 3, 6, 1), -2, 5),
        ((2, 3, 5, 2), -3, None),
    ):
        kinds = [(0, 0), (0, 1), *([(1, 0)] if shape[-1] == 1 else [])]
        for onesided, inverse in kinds:
            for opset in (17, 20):
                model, feeds = _dft(shape, axis, length, opset, onesided, inverse)
                name = f"{opset}-{shape}-{axis}-{length}-{onesided}-{inverse}"
                yield Case(name, model, feeds, _ZEROS)
                model, feeds = _dft(shape, axis, length, opset, onesided, inverse)
                yield Case(f"{name}-added", _parts_added(model), feeds)
    for opset in (17, 20):
        model, feeds = single("DFT", {"input": _signal(2, 5, 3, 1)}, opset=opset)
        yield Case(f"{opset}-default", _parts_added(model), feeds)


@cases("DFT")
def one_sided_inverse() -> Iterator[Case]:
    """By the reference implementation: onnxruntime reads bins beyond half of dft_length."""
    for shape, axis, length in (
        ((2, 5, 2), 1, 3),
        ((1, 5, 2), 1, 7),
        ((2, 3, 2, 2), 1, 5),
        ((1, 2, 3, 2), 2, 9),
        ((1, 4, 2), 1, None),
    ):
        for opset in (17, 20):
            model, feeds = _dft(shape, axis, length, opset, 1, 1)
            model = _first_left_out(model, axis)
            evaluator = ReferenceEvaluator(model)

            def run(feeds: Feeds, run: Callable[..., Any] = evaluator.run) -> Any:
                return run(None, feeds)

            # By default the length is even, and has one more output whose sines are zero.
            reason = _ZEROS if length is None else ""
            hidden = "" if reason else "the sine of 0 is 0: the imaginary part of the first bin"
            name = f"{opset}-{shape}-{axis}-{length}"
            yield Case(name, model, feeds, reason, run, hidden=hidden)


def _dft(
    shape: tuple[int, ...], axis: int, length: int | None, opset: int, onesided: int, inverse: int
) -> tuple[onnx.ModelProto, Feeds]:
    inputs: Feeds = {"input": _signal(*shape), "dft_length": length and np.int64(length)}
    constants = [] if length is None else ["dft_length"]
    attributes = {"onesided": onesided, "inverse": inverse}
    if opset < 20:
        attributes["axis"] = axis
    else:
        inputs["axis"] = np.int64(axis)
        constants.append("axis")
    return single("DFT", inputs, opset=opset, constants=constants, **attributes)


@cases("STFT")
def stft() -> Iterator[Case]:
    for parts, onesided in ((1, 1), (1, 0), (2, 0)):
        for step, window, length in (
            (2, 5, None),
            (3, 5, 5),
            (7, 3, None),
            (4, None, 5),
            (1, None, None),
        ):
            inputs = {
                "signal": _signal(2, 13 if window or length else 5, parts),
                "frame_step": np.int64(step),
                "window": None if window is None else np.full(window, 0.7, np.float32),
                "frame_length": length and np.int64(length),
            }
            constants = ["frame_step", *(["frame_length"] if length else [])]
            name = f"{parts}-{onesided}-{step}-{window}-{length}"
            for added in (False, True):
                model, feeds = single(
                    "STFT", inputs, opset=17, constants=constants, onesided=onesided
                )
                if added:
                    yield Case(f"{name}-added", _parts_added(model), feeds)
                else:
                    yield Case(name, model, feeds, _ZEROS)


@cases("STFT")
def one_sided_by_default() -> Iterator[Case]:
    inputs = {"signal": _signal(2, 9, 1), "frame_step": np.int64(2), "window": _signal(5)}
    model, feeds = single("STFT", inputs, opset=17, constants=["frame_step"])
    yield Case("default", _parts_added(model), feeds)


@cases("MelWeightMatrix")
def mel_weight_matrix() -> Iterator[Case]:
    inputs = {
        "num_mel_bins": np.int64(3),
        "dft_length": np.int64(64),
        "sample_rate": np.int64(8000),
        "lower_edge_hertz": np.float32(500),
        "upper_edge_hertz": np.float32(3000),
    }
    sizes = ("num_mel_bins", "dft_length")
    model, feeds = single("MelWeightMatrix", inputs, opset=17, constants=sizes)
    reason = "the bands are zero outside their edges, which are rounded"
    yield Case("edges", model, feeds, reason, within=(1000, 3000))
    for name, low, high in (
        ("num_mel_bins", 2, 9),
        ("dft_length", 64, 256),
        ("sample_rate", 8000, 20000),
        ("lower_edge_hertz", 10, 2000),
        ("upper_edge_hertz", 2000, 3500),
    ):
        constants = [size for size in sizes if size != name]
        model, feeds = single("MelWeightMatrix", inputs, opset=17, constants=constants)
        mean = _followed_by("ReduceMean", model)
        yield Case(f"mean-{name}", mean, feeds, follow=(name,), within=(low, high))


def _windows(operator: str) -> Iterator[Case]:
    """A window of static size, over a signal, and one of computed size."""
    for periodic in (0, 1):
        text = f"""
            <ir_version: 10, opset_import: ["" : 17]>
            windowed (float[2, 5] x) => (float[2, 5] y)
            <int64 n = {{5}}>
            {{ w = {operator} <periodic = {periodic}> (n) y = Add (x, w) }}
        """
        yield Case(f"{periodic}", onnx.parser.parse_model(text), {"x": _signal(2, 5)})
    model, feeds = single(operator, {"size": np.array([4])}, opset=17)
    yield Case("computed", model, feeds, follow=("size",), within=(1, 9))


@cases("BlackmanWindow")
def blackman_window() -> Iterator[Case]:
    yield from _windows("BlackmanWindow")


@cases("HammingWindow")
def hamming_window() -> Iterator[Case]:
    yield from _windows("HammingWindow")


@cases("HannWindow")
def hann_window() -> Iterator[Case]:
    yield from _windows("HannWindow")
