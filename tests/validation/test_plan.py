"""What is changed in a run, and what is not changed together."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import onnx.parser
import pytest

import rfgraph
from rfgraph.validation.plan import InputRegion, Run, planned
from tests.graphs import parsed


def chain(size: int, layers: int = 2, batch: str = "1") -> onnx.ModelProto:
    nodes = " ".join(
        f"v{k + 1} = Conv <pads = [1, 1]> ({'x' if not k else f'v{k}'}, W)" for k in range(layers)
    )
    return parsed(
        f"net (float[{batch}, 1, {size}] x) => (float[{batch}, 1, {size}] v{layers}) "
        f"<float[1, 1, 3] W = {{1, 1, 1}}> {{ {nodes} }}"
    )


def planes(runs: list[Run], axis: int) -> Counter[int]:
    """How often each coordinate of an axis is changed."""
    return Counter(
        c
        for run in runs
        for region in run.regions
        if region.axis == axis
        for c in region.coordinates[axis] or ()
    )


@pytest.mark.parametrize("exhaustive", [False, True])
def test_every_plane_is_changed_once(exhaustive: bool) -> None:
    a = rfgraph.analyze(chain(40))
    runs = planned(a, ["v1", "v2"], ["x"], exhaustive=exhaustive)
    assert planes(runs, 2) == Counter(range(40))
    assert [run.number for run in runs] == list(range(len(runs)))
    if exhaustive:
        assert all(len(c.coordinates[2] or ()) == 1 for run in runs for c in run.regions)


def test_planes_of_a_run_lie_three_fields_apart() -> None:
    """So far that a unit sees one of them, and the next is its field's size beyond its field."""
    a = rfgraph.analyze(chain(400))
    runs = planned(a, ["v1", "v2"], ["x"])
    # Two layers see 5: the next plane is 10 further on.
    assert len(runs) == 10
    for run in runs:
        (region,) = run.regions
        assert set(np.diff(region.coordinates[2] or ())) == {10}


def test_planes_that_a_unit_sees_together_share_no_run() -> None:
    a = rfgraph.analyze("models/deeplabv3.onnx", assume=True)
    tensors = [t for t in a.tensors if t not in a.inputs and a.depends(t)][:12]
    for run in planned(a, tensors, a.inputs):
        for region in run.regions:
            if region.axis is None:
                continue
            for one, other in combinations(region.coordinates[region.axis] or (), 2):
                for tensor in tensors:
                    lo, hi = a.bounds(tensor, axis=region.axis)
                    assert not ((lo <= one) & (other <= hi)).any()


def test_a_value_that_sees_everything_leaves_no_choice() -> None:
    a = rfgraph.analyze("models/resnet50.onnx", assume=True)
    assert len(planned(a, ["logits"], ["x"])) == 224 + 224 + 3 + 32
    # The first convolution sees 7 of both axes, and all channels.
    first = next(t for t in a.tensors if t not in a.inputs and a.depends(t))
    assert len(planned(a, [first], ["x"])) == 14 + 14 + 3 + 32


def test_rows_hold_what_one_run_has_in_one_row() -> None:
    a = rfgraph.analyze(chain(40, batch="N"), shapes={"x": (4, 1, 40)})
    alone = planned(a, ["v2"], ["x"])
    packed = planned(a, ["v2"], ["x"], rows=4)
    rows = [region.coordinates[0] for run in packed for region in run.regions if region.axis == 2]
    assert set(rows) == {(0,), (1,), (2,), (3,)}
    assert planes(packed, 2) == Counter(range(40))
    assert len(packed) < len(alone) / 2
    # Rows are planes too, and neighbours are not changed together.
    assert planes(packed, 0) == Counter(range(4))
    across = [c.coordinates[0] for run in packed for c in run.regions if c.axis == 0]
    assert across == [(0, 2), (1, 3)]


def test_samples_are_spread() -> None:
    a = rfgraph.analyze("models/vgg16.onnx", assume=True)
    runs = planned(a, a.outputs, a.inputs, samples=5)
    assert sorted(planes(runs, 2)) == [0, 64, 128, 192, 223]
    elements = [c for run in runs for c in run.regions if c.axis is None]
    assert len(elements) == 5
    assert {c.coordinates for c in elements} >= {((0,),) * 4, ((0,), (2,), (223,), (223,))}


def test_scalars_and_single_elements() -> None:
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> net (float x, float[1, 1] z, float[0, 2] e) '
        "=> (float[1, 1] y) { y = Add(x, z) }"
    )
    a = rfgraph.analyze(model)
    runs = planned(a, ["y"], ["x", "z", "e"])
    assert [str(region) for run in runs for region in run.regions] == ["x[]", "z[0, :]"]


def test_how_a_change_is_written() -> None:
    assert str(InputRegion("x", (None, (2, 4), (7,)), 1)) == "x[:, [2,4], 7]"
    places = np.zeros((2, 5, 8), bool)
    places[InputRegion("x", (None, (2, 4), (7,)), 1).within(places.shape)] = True
    assert np.argwhere(places).tolist() == [[i, j, 7] for i in (0, 1) for j in (2, 4)]
