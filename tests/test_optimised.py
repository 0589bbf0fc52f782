"""What onnxruntime makes of a model, fused, laid out or quantised, sees what the model sees."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from onnxruntime import GraphOptimizationLevel as Level
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

import rfgraph

MODELS = sorted((Path(__file__).parent.parent / "models").glob("*.onnx"))

# Small, and between them with every quantised operator that the tools write for such models.
QUANTISED = ("lenet_textbook", "mobilenet_v2", "siamese", "tcn", "unet_bilinear", "vit")


def optimised(path: Path, level: Level, folder: Path) -> Path:
    """The model as onnxruntime has it after optimisation."""
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.log_severity_level = 4
    made = folder / f"{path.stem}.{level.name}.onnx"
    options.optimized_model_filepath = str(made)
    ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return made


def assert_equal(
    original: rfgraph.Analysis, path: Path, views: tuple[bool, ...] = (False, True)
) -> None:
    """Every unit of every output has the same bounds, and no operator is assumed."""
    shapes = {name: original.shape(name) or () for name in original.inputs}
    made = rfgraph.analyze(path, shapes=shapes, strict=True)
    assert [str(note) for note in made.notes if note.operator] == []
    assert set(made.outputs) == set(original.outputs)
    for output in original.outputs:
        assert made.shape(output) == original.shape(output)
        for name, shape in shapes.items():
            for axis in range(len(shape)):
                for local in views:
                    old = original.bounds(output, name, local=local, axis=axis)
                    new = made.bounds(output, name, local=local, axis=axis)
                    for a, b in zip(old, new, strict=True):
                        assert np.array_equal(*np.broadcast_arrays(a, b)), (output, name, axis)


@pytest.mark.parametrize(
    "level",
    [Level.ORT_ENABLE_ALL, pytest.param(Level.ORT_ENABLE_EXTENDED, marks=pytest.mark.slow)],
    ids=str,
)
@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_optimised_models_see_the_same(path: Path, level: Level, tmp_path: Path) -> None:
    assert_equal(rfgraph.analyze(path, assume=True), optimised(path, level, tmp_path))


class _Samples(CalibrationDataReader):  # type: ignore[misc]
    """One random input, from which the scales are taken."""

    def __init__(self, analysis: rfgraph.Analysis) -> None:
        rng = np.random.default_rng(0)
        feeds = {
            name: rng.normal(size=analysis.shape(name)).astype(np.float32)
            for name in analysis.inputs
        }
        self._feeds: Iterator[dict[str, Any]] = iter([feeds])

    def get_next(self) -> dict[str, Any] | None:
        return next(self._feeds, None)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [*QuantFormat, None], ids=lambda k: k.name if k else "dynamic")
@pytest.mark.parametrize("name", QUANTISED)
def test_quantised_models_see_the_same(name: str, kind: QuantFormat | None, tmp_path: Path) -> None:
    path = next(path for path in MODELS if path.stem == name)
    original = rfgraph.analyze(path, assume=True)
    # Weights that are computed from constants become such.
    folded = optimised(path, Level.ORT_ENABLE_BASIC, tmp_path)
    made = tmp_path / "quantised.onnx"
    # A scale that is taken from all elements as the model runs makes every unit see everything.
    views = (False, True)
    if kind is None:
        views = (True,)
        quantize_dynamic(folded, made, weight_type=QuantType.QUInt8)
    else:
        quantize_static(
            folded,
            made,
            _Samples(original),
            quant_format=kind,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8 if kind is QuantFormat.QDQ else QuantType.QUInt8,
        )
    assert_equal(original, made, views)
    assert_equal(original, optimised(made, Level.ORT_ENABLE_ALL, tmp_path), views)
