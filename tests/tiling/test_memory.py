"""What a run of a tile is estimated to take: counted by hand, and the largest tile for a budget."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import rfgraph
from rfgraph import cli
from rfgraph.tiling import plan
from tests.graphs import model

UNET = Path(__file__).parents[2] / "models" / "unet_tconv.onnx"


def test_what_is_alive_at_a_time() -> None:
    made = model(
        "a = Conv <pads = [1, 1]> (x, W) b = Relu (a) c = MaxPool <kernel_shape = [1]> (b) "
        "y = Add (c, b)",
        "float[1,2,n] x",
        initializers={"W": np.ones((6, 2, 3), np.float32)},
    )
    n = 1000
    # x to the end; b, which takes the place of a, until y, which takes that of c; and the weights.
    assert plan(made, tile=n).memory == 4 * (2 * n + 2 * 6 * n + 6 * 2 * 3)


def test_narrow_types() -> None:
    made = model("y = Cast <to = 1> (x)", "uint8[1,2,n] x")
    assert plan(made, tile=1000).memory == 2000 * (1 + 4)


def test_the_largest_tile() -> None:
    budget = 64 << 20
    found = plan(UNET, memory=budget)
    tile = found.axes[0].tile
    assert {axis.tile for axis in found.axes} == {tile}
    assert found.memory <= budget
    larger = replace(found, axes=tuple(replace(axis, tile=tile + 8) for axis in found.axes))
    assert larger.memory > budget


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--tile-memory", "64", "--output-format", "json"]
    assert cli.main(["tile", str(UNET), *options]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["memory"] <= 64 << 20
    assert found["axes"][0]["tile"] == plan(UNET, memory=64 << 20).axes[0].tile
    assert cli.main(["tile", str(UNET), "--tile-memory", "0"]) == 2
    assert "the smallest tile, 104x104, is estimated to take" in capsys.readouterr().err


def test_bad_input() -> None:
    with pytest.raises(rfgraph.QueryError, match="both tile= and memory= are given"):
        plan(UNET, tile=256, memory=1 << 30)
    with pytest.raises(rfgraph.QueryError, match=r"more than 0\.1 MiB"):
        plan(UNET, memory=100_000)
