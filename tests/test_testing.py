"""`rfgraph.testing.assert_receptive_field`: what passes, what fails, and what is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import rfgraph
from rfgraph.testing import assert_receptive_field
from tests.checks.test_checks import conv
from tests.graphs import model

MODELS = Path(__file__).parents[1] / "models"


def failure(*arguments: Any, **asked: Any) -> str:
    with pytest.raises(AssertionError) as caught:
        assert_receptive_field(*arguments, **asked)
    return str(caught.value)


@pytest.mark.parametrize(
    ("passes", "fails"),
    [
        ({"at_least": 7}, {"at_least": 8}),
        ({"at_most": 7}, {"at_most": 6}),
        ({"halo": 3}, {"halo": 2}),
        ({"covers": 7 / 32}, {"covers": 7.1 / 32}),
        ({"covers": {2: 7 / 32}}, {"covers": {2: 7.1 / 32}}),
        ({"at_least": 9, "tolerance": 2}, {"at_least": 9, "tolerance": 1}),
        ({"causal": 2, "look_ahead": 3}, {"causal": 2, "look_ahead": 2}),
        ({"causal": True, "look_ahead": 3}, {"causal": True, "look_ahead": 2}),
        ({"causal": 2, "aligned": 3}, {"causal": 2, "aligned": 2}),
    ],
)
def test_both_sides_of_a_limit(passes: dict[str, Any], fails: dict[str, Any]) -> None:
    made = conv(times=3)
    assert_receptive_field(made, "y", **passes)
    assert_receptive_field(made, **passes)
    assert failure(made, "y", **fails).startswith("model: the receptive field is not as required")


def test_what_a_failure_says() -> None:
    path = MODELS / "lenet_textbook.onnx"
    said = failure(path, at_least=100).split("\n\n")
    assert said[0] == f"{path}: the receptive field is not as required"
    assert said[1].startswith(
        "output 'y' sees 6 elements along axis 2 of input 'x', and has to see at least 100\n"
        "what to do: "
    )
    assert "lower end" in said[3]
    assert "AveragePool" in said[3]


def test_the_way_by_which_the_future_gets_in() -> None:
    made = model(
        "a = Conv<pads=[2,0]>(x, w) b = Conv<pads=[1,1]>(a, w) y = Relu(b)",
        "float[1,1,16] x",
        initializers={"w": np.ones((1, 1, 3), np.float32)},
    )
    said = failure(made, causal=2)
    assert (
        "output 'y' sees 1 step ahead along axis 2 of input 'x': at step 0 it sees step 1" in said
    )
    assert "y[0,0,7] sees 5 of 16 along axis 2 of x: 4..8" in said
    assert [line.split()[-2] for line in said.splitlines() if "  Conv" in line] == ["a", "b"]


def test_any_value_and_any_input() -> None:
    siamese = MODELS / "siamese.onnx"
    assert_receptive_field(siamese, "left_features", "left", at_least=65, at_most=65)
    said = failure(siamese, at_most=64)
    # The output that joins them sees everything; the others along two axes.
    assert said.count("left_features' sees 65") == 2
    assert said.count("right_features' sees 65") == 2
    assert_receptive_field(siamese, "right_features", at_most=65)
    assert failure(conv(times=3), "a1", at_least=4).count("output 'a1'") == 1


def test_what_sees_nothing_fails() -> None:
    made = model("y = Identity(w)", "float[1,8] x", initializers={"w": np.ones(3, np.float32)})
    assert "output 'y' depends on no input" in failure(made, at_least=1)


def test_shapes_values_and_pruning() -> None:
    made = conv(inputs="float[1,1,T] x")
    assert_receptive_field(made, covers=1.0, shapes={"x": (1, 1, 3)})
    assert failure(made, covers=1.0, shapes={"x": (1, 1, 4)})
    taps = np.zeros((1, 1, 5), np.float32)
    taps[..., 2] = 1
    zeros = model("y = Conv<pads=[2,2]>(x, w)", "float[1,1,9] x", initializers={"w": taps})
    assert failure(zeros, at_most=1)
    assert_receptive_field(zeros, at_most=1, prune=True)
    resized = model('y = Resize<mode="linear">(x, , , s)', "float[1,1,8,8] x, int64[4] s")
    assert_receptive_field(resized, at_most=3, values={"s": np.array([1, 1, 16, 16])})


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "no limit is given"),
        ({"at_least": -1}, "at-least: this value is not allowed"),
        ({"covers": 2}, "covers: this value is not allowed"),
        ({"output": "none", "at_least": 1}, "none"),
        ({"input": "none", "at_least": 1}, "none"),
        ({"input": "y", "at_least": 1}, "the model has no input 'y'"),
        ({"at_least": {7: 1}}, "no input has axis 7"),
        ({"causal": 3}, "no input has axis 3"),
        ({"causal": -1}, "causal"),
        ({"at_least": "x"}, "at-least: this value is not allowed"),
    ],
)
def test_what_makes_no_sense(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(rfgraph.QueryError, match=said):
        assert_receptive_field(conv(), **asked)


def test_a_model_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"")
    with pytest.raises(rfgraph.ModelError):
        assert_receptive_field(tmp_path / "a.onnx", at_least=1)


def test_bytes_and_protos_are_models() -> None:
    made: onnx.ModelProto = conv()
    assert_receptive_field(made.SerializeToString(), at_least=3)
