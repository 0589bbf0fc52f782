"""The comparison: what it lets pass, what it does not, and what it says then."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import parser

from .compare import check_exact, graph_lines, mismatches, upto
from .observe import Taps, hull, input_shapes, poison

POOLS = parser.parse_model(
    """<ir_version: 8, opset_import: ["": 17]> g (float[1,1,6] x) => (float[1,1,2] y) {
        p = MaxPool<kernel_shape = [3]> (x)
        i = Constant<value = int64[2] {3, 0}> ()
        y = Gather<axis = 2> (p, i)
    }"""
)
RESIZE = parser.parse_model(
    """<ir_version: 8, opset_import: ["": 17]> g (float[1,1,2] x) => (float[1,1,3] y) {
        s = Constant<value = int64[3] {1, 1, 3}> ()
        y = Resize<mode = "linear", coordinate_transformation_mode = "align_corners"> (x, , , s)
    }"""
)


class Told:
    """An analysis that claims what was observed, some units told otherwise."""

    def __init__(self, model: onnx.ModelProto, taps: Taps = "read") -> None:
        self.claims = {
            (value, name): hull(mask, len(shape))
            for name, shape in input_shapes(model).items()
            for value, mask in poison(model, name, "all", taps=taps).items()
        }

    def bounds(self, tensor: str, input: str) -> tuple[np.ndarray, np.ndarray]:
        """What is claimed."""
        return self.claims[tensor, input]


def test_the_truth_passes() -> None:
    check_exact(POOLS, Told)
    check_exact(POOLS, Told, "all")


def test_compressed_bounds_pass() -> None:
    told = Told(POOLS)
    lo, hi = told.claims["p", "x"]
    told.claims["p", "x"] = lo[:1, :1], np.broadcast_to(hi, (1, 1, 4, 3))[0]
    assert not mismatches(POOLS, told, "all")


def test_too_wide_and_too_narrow_fail() -> None:
    for bound, change in ((0, -1), (0, 1), (1, -1), (1, 1)):
        told = Told(POOLS)
        told.claims["y", "x"][bound][0, 0, 0, 2] += change
        (found,) = mismatches(POOLS, told)
        assert (found.value, found.input, found.unit, found.units) == ("y", "x", (0, 0, 0), 1)


def test_values_inside_count_when_asked() -> None:
    told = Told(POOLS)
    told.claims["p", "x"][0][0, 0, 0, 2] += 1
    assert not mismatches(POOLS, told)
    assert [found.value for found in mismatches(POOLS, told, "all")] == ["p"]


def test_empty_claims() -> None:
    told = Told(POOLS)
    lo, hi = told.claims["y", "x"]
    lo[0, 0, 1], hi[0, 0, 1] = 9, -9
    (found,) = mismatches(POOLS, told)
    assert (found.claimed, found.observed) == ("nothing", "[0, 0] x [0, 0] x [0, 2]")
    told = Told(POOLS)
    told.claims["y", "x"][0][0, 0, 1, 0] = 1
    assert mismatches(POOLS, told), "empty on one axis only"


def test_something_claimed_where_nothing_is_seen() -> None:
    told = Told(POOLS)
    lo, hi = told.claims["i", "x"]
    assert (lo > hi).all()
    lo[1], hi[1] = 0, 0
    (found,) = mismatches(POOLS, told, "all")
    assert (found.value, found.unit, found.observed) == ("i", (1,), "nothing")


def test_a_wrong_shape_fails() -> None:
    told = Told(POOLS)
    told.claims["y", "x"] = told.claims["p", "x"]
    (found,) = mismatches(POOLS, told)
    assert found.claimed == "bounds of shapes (1, 1, 4, 3), (1, 1, 4, 3)"


def test_taps_of_weight_zero_may_be_in_or_out() -> None:
    for taps in ("read", "weighted"):
        assert not mismatches(RESIZE, Told(RESIZE, taps))
    told = Told(RESIZE)
    told.claims["y", "x"][0][0, 0, 1, 2] = 1
    (found,) = mismatches(RESIZE, told)
    assert found.claimed == "[0, 0] x [0, 0] x [1, 1]"
    assert found.observed == "[0, 0] x [0, 0] x [0, 1]"


def test_the_message_leads_there() -> None:
    def analyze(model: onnx.ModelProto) -> Told:
        told = Told(model)
        told.claims["y", "x"][1][0, 0, 0, 2] = 4
        return told

    with pytest.raises(AssertionError) as caught:
        check_exact(POOLS, analyze)
    assert str(caught.value).splitlines() == [
        "the model: 1 values differ; first",
        "  y by x at unit (0, 0, 0), as 1 units of it:",
        "  claimed  [0, 0] x [0, 0] x [3, 4]",
        "  observed [0, 0] x [0, 0] x [3, 5]",
        "  x: [1, 1, 6]",
        "  p = MaxPool(x, kernel_shape=[3])",
        "  y = Gather(p, [3, 0], axis=2)",
    ]


def test_an_analysis_that_fails_is_a_failure() -> None:
    def analyze(model: onnx.ModelProto) -> Told:
        raise KeyError("p")

    with pytest.raises(AssertionError, match=r"KeyError: 'p'\n.*\n  p = MaxPool") as caught:
        check_exact(POOLS, analyze)
    assert isinstance(caught.value.__cause__, KeyError)


def test_the_part_up_to_a_value() -> None:
    part = upto(POOLS, "p")
    onnx.checker.check_model(POOLS)
    assert graph_lines(part) == ["x: [1, 1, 6]", "p = MaxPool(x, kernel_shape=[3])"]
    assert [output.name for output in part.graph.output] == ["p"]
