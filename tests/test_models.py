"""Real models: analysed without assumptions, at the shapes that onnxruntime has, and soundly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import rfgraph

MODELS = sorted((Path(__file__).parent.parent / "models").glob("*.onnx"))
LIGHT = sorted((Path(onnx.__file__).parent / "backend/test/data/light").glob("light_*.onnx"))
ALL = [*MODELS, *LIGHT]


def runnable(path: Path, analysis: rfgraph.Analysis) -> tuple[ort.InferenceSession, list[str]]:
    """A session that also gives every value whose shape is known and small enough to look at."""
    model = onnx.load(path)
    declared = {value.name for value in model.graph.output}
    shown = [
        name
        for name in analysis.tensors
        if analysis.depends(name) and (analysis.shape(name) or ()) and name not in declared
    ]
    # The types are left to onnxruntime; a spread of values keeps this fast.
    chosen = shown[:: max(1, len(shown) // 40)]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in chosen)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session, [value.name for value in session.get_outputs()]


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_sound_at_every_unit(path: Path) -> None:
    """Inputs are changed in random boxes; no unit whose bounds miss the box may move."""
    analysis = rfgraph.analyze(path, strict=True, assume=True)
    assert [note for note in analysis.notes if note.operator] == []
    session, names = runnable(path, analysis)
    rng = np.random.default_rng(0)
    feeds = {
        name: rng.normal(size=analysis.shape(name)).astype(np.float32) for name in analysis.inputs
    }
    before = dict(zip(names, session.run(names, feeds), strict=True))
    for name in names:
        assert before[name].shape == analysis.shape(name), name
    for name in analysis.inputs:
        shape = analysis.shape(name)
        assert shape is not None
        corner = [int(rng.integers(n)) for n in shape]
        sides = [int(rng.integers(1, 9)) for _ in shape]
        box = tuple(slice(c, c + s) for c, s in zip(corner, sides, strict=True))
        changed = dict(feeds)
        changed[name] = feeds[name].copy()
        changed[name][box] += 100
        after = dict(zip(names, session.run(names, changed), strict=True))
        for value in names:
            _check(analysis, value, name, box, before[value] != after[value])


def _check(
    analysis: rfgraph.Analysis,
    value: str,
    name: str,
    box: tuple[slice, ...],
    moved: np.ndarray,
) -> None:
    may_move = np.ones((1,) * moved.ndim, dtype=bool)
    for axis, side in enumerate(box):
        lo, hi = analysis.bounds(value, name, axis=axis)
        may_move = may_move & (lo < side.stop) & (hi >= side.start)
    wrong = moved & ~np.broadcast_to(may_move, moved.shape)
    assert not wrong.any(), f"{value} moved at {np.argwhere(wrong)[0]} by {name}{box}"


def test_there_are_models() -> None:
    assert len(MODELS) >= 30
    assert len(LIGHT) == 9
