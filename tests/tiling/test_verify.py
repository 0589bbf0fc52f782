"""Tiles against the whole: what is right is found right, and what is less is found less."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import rfgraph
from rfgraph.tiling import Plan, plan
from rfgraph.tiling.equality import is_measured_here
from tests.graphs import model
from tests.tiling.nets import OpenNet, random_net, with_open_axes

MODELS = Path(__file__).parents[2] / "models"


@pytest.mark.parametrize("name", ["unet_tconv", "dynamic", "espcn.dynamo"])
def test_models(name: str) -> None:
    made = with_open_axes(onnx.load(MODELS / f"{name}.onnx"), 2, 3)
    verified = plan(made).verify(made.SerializeToString())
    assert verified.ok
    assert verified.tolerance == 0 or not is_measured_here()
    assert len(verified.axes) == 2
    for found in verified.axes:
        assert found.tiles == 3
        assert found.less_before is not None
        assert found.less_after is not None
        assert min(found.less_before, found.less_after) > 0
        assert (found.unaligned or 0) > 0 or found.axis.alignment == 1


@pytest.mark.parametrize("seed", range(6))
def test_random_nets(seed: int) -> None:
    made, _ = random_net(seed, 1 + seed % 2)
    assert plan(made).verify(made.SerializeToString(), seed=seed).ok


def wrong(found: Plan, **changed: Any) -> Plan:
    return replace(found, axes=tuple(replace(axis, **changed) for axis in found.axes))


@pytest.mark.parametrize("changed", [{"before": 40}, {"after": 32}, {"before": 0, "after": 0}])
def test_a_wrong_plan_is_found(changed: dict[str, int]) -> None:
    file = MODELS / "unet_tconv.onnx"
    right = plan(file)
    found = wrong(right, **changed).verify(file)
    assert not found.ok
    assert right.verify(file).ok


def test_what_is_not_tried() -> None:
    """Without margins there is nothing less, and at an alignment of 1 nothing off it."""
    made = model("y = Relu (x)", "float[1,1,h,w] x")
    for found in plan(made).verify(made.SerializeToString(), tiles=1).axes:
        assert (found.less_before, found.less_after, found.unaligned) == (None, None, None)


def test_elements_that_are_missing() -> None:
    net = OpenNet(1, np.random.default_rng(0))
    made = net.model(net.conv("x", kernel=[3]))
    (found,) = plan(made).verify(made.SerializeToString()).axes
    assert found.less_after == float("inf")


def test_whole_numbers_and_several_inputs() -> None:
    made = model(
        "f = Cast <to = 1> (x) a = AveragePool <kernel_shape = [3], pads = [1, 1]> (f) "
        "y = Mul (a, z)",
        "uint8[1,2,n] x, float[1,2,n] z",
    )
    verified = plan(made).verify(made.SerializeToString())
    assert verified.ok
    assert verified.shapes["x"] == verified.shapes["z"]


def test_a_file_that_fixes_the_size() -> None:
    file = MODELS / "lenet_textbook.onnx"
    with pytest.raises(rfgraph.QueryError, match="fixes the size along axis 2"):
        plan(file).verify(file)
    with pytest.raises(rfgraph.RFGraphError, match="onnxruntime can't open the model"):
        plan(MODELS / "unet_tconv.onnx").verify("none.onnx")
