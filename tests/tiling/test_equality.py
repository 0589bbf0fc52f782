"""What holds of tiles bit for bit, and with which options, is held against onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from rfgraph.tiling import Plan, plan
from rfgraph.tiling.equality import is_measured_here
from tests.graphs import model

R = np.random.default_rng(0)

# With wider vectors than those that were measured, sums may be split at other places.
LEAST, MOST = (1e-12, 0.0) if is_measured_here() else (0.0, 1e-5)


def normal(*shape: int) -> np.ndarray:
    return R.standard_normal(shape).astype(np.float32)


def session_of(made: onnx.ModelProto, options: Mapping[str, Any]) -> onnxruntime.InferenceSession:
    """With these options; by default nothing is optimised, and there are three threads."""
    given = onnxruntime.SessionOptions()
    given.log_severity_level = 4
    levels = onnxruntime.GraphOptimizationLevel
    name = options.get("graph_optimization_level", "ORT_DISABLE_ALL")
    given.graph_optimization_level = getattr(levels, name)
    given.intra_op_num_threads = options.get("intra_op_num_threads", 3)
    return onnxruntime.InferenceSession(
        made.SerializeToString(), given, providers=["CPUExecutionProvider"]
    )


def off(found: Plan, made: onnx.ModelProto, options: Mapping[str, Any]) -> float:
    """How far tiles are from the whole."""
    session = session_of(made, options)
    shape = list(found.analysis.extent("x") or ())
    for axis in found.axes:
        tile = axis.fitted(axis.tile)
        shape[axis.inputs[0][1]] = tile + (150 if len(found.axes) > 1 else 900) * axis.alignment
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    whole = session.run(None, {"x": x})[0]
    return float(np.abs(found.run(session, x) - whole).max() / np.abs(whole).max())


OPTIMISED = {"graph_optimization_level": "ORT_ENABLE_ALL"}
SIGNAL, PICTURE = "float[1,C,n] x", "float[1,C,h,w] x"
PADDED = "pads = [1, 1], kernel_shape = [3]"
SQUARE = "pads = [1, 1, 1, 1], kernel_shape = [3, 3]"
ROW_SUM = "y = ReduceSum <keepdims = 1> (x, axes)"
# Channels, body, inputs, constants, tile, and what the options are; None: within rounding.
CASES: dict[str, tuple[int, str, str, dict[str, Any], int, dict[str, Any] | None]] = {
    "short sums": (8, f"y = Conv <{PADDED}> (x, W)", SIGNAL, {"W": normal(5, 8, 3)}, 9, {}),
    "long sums, many places": (
        64,
        f"y = Conv <{PADDED}> (x, W)",
        SIGNAL,
        {"W": normal(5, 64, 3)},
        170,
        {"intra_op_num_threads": 2},
    ),
    "long sums, fewer places": (
        64,
        f"y = Conv <{PADDED}> (x, W)",
        SIGNAL,
        {"W": normal(5, 64, 3)},
        80,
        {"intra_op_num_threads": 1},
    ),
    "long sums, few places": (
        64,
        f"y = Conv <{PADDED}> (x, W)",
        SIGNAL,
        {"W": normal(5, 64, 3)},
        20,
        None,
    ),
    "blocked": (
        64,
        f"y = Conv <{SQUARE}> (x, W)",
        PICTURE,
        {"W": normal(5, 64, 3, 3)},
        7,
        OPTIMISED,
    ),
    "groups that fill no block": (
        64,
        f"y = Conv <{SQUARE}, group = 4> (x, W)",
        PICTURE,
        {"W": normal(8, 16, 3, 3)},
        7,
        None,
    ),
    "groups that fill blocks": (
        64,
        f"y = Conv <{SQUARE}, group = 4> (x, W)",
        PICTURE,
        {"W": normal(64, 16, 3, 3)},
        7,
        OPTIMISED,
    ),
    "transposed, few places": (
        200,
        "y = ConvTranspose <strides = [2, 2], kernel_shape = [2, 2]> (x, W)",
        PICTURE,
        {"W": normal(200, 3, 2, 2)},
        4,
        None,
    ),
    "transposed": (
        32,
        "y = ConvTranspose <strides = [2, 2], kernel_shape = [2, 2]> (x, W)",
        PICTURE,
        {"W": normal(32, 3, 2, 2)},
        4,
        {},
    ),
    "places as rows": (
        300,
        "t = Transpose <perm = [0, 2, 1]> (x) y = MatMul (t, W)",
        SIGNAL,
        {"W": normal(300, 24)},
        7,
        {},
    ),
    "places as columns": (300, "y = MatMul (W, x)", SIGNAL, {"W": normal(24, 300)}, 9, None),
    "sums over channels": (36, ROW_SUM, PICTURE, {"axes": np.array([1])}, 7, {}),
    "sums that fill no vector": (
        33,
        "t = Transpose <perm = [0, 2, 1]> (x) y = ReduceSum <keepdims = 1> (t, axes)",
        SIGNAL,
        {"axes": np.array([2])},
        9,
        None,
    ),
    "ends that fill no vector": (5, "y = Softplus (x)", SIGNAL, {}, 9, None),
    "softmax over channels": (33, "y = Softmax <axis = 1> (x)", PICTURE, {}, 7, {}),
    "normalised over channels": (
        33,
        "t = Transpose <perm = [0, 2, 1]> (x) y = LayerNormalization (t, S, S)",
        SIGNAL,
        {"S": normal(33)},
        7,
        {},
    ),
    "of one element each": (
        5,
        "a = Sigmoid (x) b = Mul (x, a) c = Erf (b) d = Tanh (c) y = Exp (d)",
        SIGNAL,
        {},
        7,
        {},
    ),
    "means of windows": (
        5,
        f"y = AveragePool <{SQUARE}, count_include_pad = 1> (x)",
        PICTURE,
        {},
        7,
        {},
    ),
    "three from two": (
        3,
        'y = Resize <mode = "linear"> (x, , s)',
        SIGNAL,
        {"s": np.array([1, 1, 1.5], np.float32)},
        40,
        None,
    ),
    "two from three": (
        3,
        'y = Resize <mode = "linear"> (x, , s)',
        SIGNAL,
        {"s": np.array([1, 1, 2 / 3], np.float32)},
        45,
        {},
    ),
    "twice, cubic": (
        3,
        'y = Resize <mode = "cubic"> (x, , s)',
        PICTURE,
        {"s": np.array([1, 1, 2, 2], np.float32)},
        40,
        {},
    ),
    "three times, nearest": (
        3,
        'y = Resize <mode = "nearest"> (x, , s)',
        SIGNAL,
        {"s": np.array([1, 1, 3], np.float32)},
        40,
        {},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_claimed(name: str) -> None:
    channels, body, inputs, constants, tile, options = CASES[name]
    given = inputs.replace("C", str(channels))
    made = model(body, given, opset=18, ir=9, initializers=constants)
    found = plan(made, tile=tile)
    equal = found.equality
    if options is None:
        assert (equal.level, equal.options) == ("within rounding", {})
        assert LEAST <= max(off(found, made, given) for given in (OPTIMISED, {})) < 1e-4
    else:
        assert (equal.level, equal.options) == ("bit for bit", options)
        assert off(found, made, options) <= MOST
    if options:
        assert len(equal.causes) == 1
        assert equal.causes[0].node.startswith("Conv")


def test_without_its_options_it_is_within_rounding() -> None:
    """Few places, whose sums are split otherwise than those of many."""
    for name, others in (("blocked", {}), ("long sums, fewer places", {"intra_op_num_threads": 3})):
        channels, body, inputs, constants, tile, _ = CASES[name]
        made = model(body, inputs.replace("C", str(channels)), initializers=constants)
        assert LEAST <= off(plan(made, tile=tile), made, others) < 1e-5


def test_places_that_rounding_may_move() -> None:
    """Of a scale that rounds so that quotients show it."""
    body = 'y = Resize <mode = "nearest", coordinate_transformation_mode = "asymmetric"> (x, , s)'
    scales = {"s": np.array([1, 1, 7 / 6], np.float32)}
    found = plan(model(body, "float[1,1,n] x", initializers=scales))
    assert found.equality.level == "not the same"
    (cause,) = found.equality.causes
    assert "at a scale of 7/6" in cause.reason
    assert "other elements are read" in cause.reason
