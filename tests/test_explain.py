"""Why a unit sees as far as it does: every way holds, and adds up to what is seen."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx.parser
import pytest

import rfgraph
from rfgraph.analysis.analysis import Analysis
from rfgraph.engine.products import region_of
from rfgraph.engine.support import backward
from rfgraph.engine.why import Explanation

from .chunks import chunks, share
from .oracle.control_flow import Graphs
from .oracle.generate import random_graph

MODELS = Path(__file__).parents[1] / "models"
LARGE = ("resnet50", "inception_v3", "efficientnet_b0")
GRAPHS = share(400)


def check(analysis: Analysis, tensor: str, unit: tuple[int, ...], *, local: bool) -> int:
    """Assert that all explanations of a unit hold; how many there are."""
    count = 0
    for name in analysis.inputs:
        box = analysis.box(tensor, unit, name, local)
        seen = np.asarray(analysis.support(tensor, unit, name))
        for why in analysis.explain(tensor, name, unit, local):
            assert box is not None
            assert why.size == len(analysis.support(tensor, unit, name).along(why.axis))
            for end, way in enumerate((why.lower, why.upper)):
                count += 1
                _check_way(analysis, way)
                assert (way[0].tensor, way[0].unit) == (tensor, unit)
                assert way[0].bounds == box[why.axis]
                # It ends with the element at that end, and everything on the way adds up.
                assert way[-1].tensor == name
                assert way[-1].unit[why.axis] == box[why.axis][end]
                assert seen[way[-1].unit]
                assert sum(hop.added for hop in way) == box[why.axis][1] - box[why.axis][0]
            _check_whole(why)
    return count


def _check_way(analysis: Analysis, way: tuple[rfgraph.Hop, ...]) -> None:
    outside = {name for step in analysis._flow.steps for name in step.node.outputs}
    for hop, behind in pairwise(way):
        assert hop.node is not None
        assert hop.added == np.ptp(hop.bounds) - np.ptp(behind.bounds)
        if hop.tensor in outside:
            assert hop.tensor in hop.node.outputs
            assert _reads(analysis, hop, behind), f"{hop} does not read {behind}"
        else:
            assert hop.node.name


def _reads(analysis: Analysis, hop: rfgraph.Hop, behind: rfgraph.Hop) -> bool:
    shape = analysis.shape(hop.tensor) or ()
    unit = region_of([np.arange(n) == i for n, i in zip(shape, hop.unit, strict=True)], shape)
    seen = backward(analysis._flow, {hop.tensor: unit}).get(behind.tensor, ())
    return any(all(f.mask[tuple(behind.unit[a] for a in f.axes)] for f in p) for p in seen)


def _check_whole(why: Explanation) -> None:
    whole = why.whole
    on_the_way = [h for way in (why.lower, why.upper) for h in way]
    everything = [h for h in on_the_way if h.bounds == (0, why.size - 1)]
    assert (whole is None) == (not everything)
    assert whole is None or whole in everything


@pytest.mark.parametrize("start", chunks(GRAPHS, 50, quick=1))
def test_explanations_of_random_graphs(start: int) -> None:
    for seed in range(start, min(start + 50, GRAPHS)):
        made = random_graph(seed)
        analysis = rfgraph.analyze(made)
        rng = random.Random(seed)
        for tensor in analysis.outputs:
            shape = analysis.shape(tensor)
            if shape is None or 0 in shape:
                continue
            unit = tuple(rng.randrange(n) for n in shape)
            for local in (True, False):
                check(analysis, tensor, unit, local=local)


@pytest.mark.parametrize("start", range(0, GRAPHS // 4, 50))
def test_explanations_of_control_flow(start: int) -> None:
    for seed in range(start, start + 50):
        analysis = rfgraph.analyze(Graphs(seed).model)
        rng = random.Random(seed)
        for tensor in analysis.outputs:
            shape = analysis.shape(tensor)
            if shape is not None and 0 not in shape:
                check(analysis, tensor, tuple(rng.randrange(n) for n in shape), local=False)


@pytest.mark.parametrize(
    "name",
    [
        *("unet_bilinear", "vit", "wavenet"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE),
    ],
)
def test_explanations_of_models(name: str) -> None:
    analysis = rfgraph.analyze(MODELS / f"{name}.onnx")
    tensor = analysis.outputs[0]
    shape = analysis.shape(tensor) or ()
    units = [tuple(n // 2 for n in shape), (0,) * len(shape)]
    assert sum(check(analysis, tensor, unit, local=True) for unit in units)


def test_the_value_that_first_sees_the_whole_axis() -> None:
    analysis = rfgraph.analyze(MODELS / "resnet50.onnx")
    (rows,) = analysis.explain("features", axes=[2])
    assert rows.whole is not None
    assert rows.whole.tensor == "/trunk/layer3/layer3.4/conv2/conv2.0/Conv_output_0"
    before = analysis.tensors[: analysis.tensors.index(rows.whole.tensor)]
    for tensor in before:
        lo, hi = analysis.bounds(tensor, axis=2, local=True)
        assert not ((lo == 0) & (hi == 223)).any()


def test_axes_that_are_asked_for() -> None:
    analysis = rfgraph.analyze(MODELS / "lenet_textbook.onnx")
    assert [e.axis for e in analysis.explain("y")] == [2, 3]
    assert [e.axis for e in analysis.explain("y", axes=[-1, 0])] == [3]
    with pytest.raises(rfgraph.QueryError, match="no axis 4"):
        analysis.explain("y", axes=[4])


def test_a_way_leaves_a_loop_as_soon_as_it_can() -> None:
    """Each round reads the whole row again: a way could go through all of its units."""
    model = onnx.parser.parse_model(
        """
        <ir_version: 8, opset_import: ["" : 17]>
        net (float[4, 16384] x, int64 rounds) => (float[4, 16384] y) {
          go = Constant <value: tensor = bool {1}> ()
          y = Loop (rounds, go, x) <
            body = body (int64 i, bool k, float[4, 16384] v) => (bool kk, float[4, 16384] w)
            { kk = Identity (k)  w = Softmax (v) }>
        }
        """
    )
    (along,) = rfgraph.analyze(model).explain("y", "x", (2, 5000))
    for end, last in ((along.lower, 0), (along.upper, 16383)):
        assert [hop.tensor for hop in end] == ["y", "w", "v", "x"]
        assert end[-1].unit == (2, last)
        assert sum(hop.added for hop in end) == 16383
