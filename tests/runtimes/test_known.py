"""Conditions of known differences, on nodes that have what they ask for and nodes that have not."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import rfgraph
from rfgraph.errors import QueryError
from rfgraph.runtimes.known import KnownDifference, differences
from tests.graphs import model

WEIGHTS = {"w": np.ones((2, 1, 3), np.float32), "axes": np.array([2])}


def holds(made: onnx.ModelProto, *where: str, since: int = 1, until: int = 99) -> bool:
    """Whether a cause of that condition holds of the node that makes `y`."""
    analysis = rfgraph.analyze(made)
    node = analysis.node("y")
    assert node is not None
    cause = KnownDifference("a", "1", (node.op_type,), since, until, where, "", "", "")
    return cause.holds(node)


def conv(attributes: str = "", opset: int = 17) -> onnx.ModelProto:
    body = f"y = Conv<{attributes}>(x, w)" if attributes else "y = Conv(x, w)"
    return model(body, "float[1,1,8] x", initializers=WEIGHTS, opset=opset)


@pytest.mark.parametrize(
    ("attributes", "condition", "expected"),
    [
        ('auto_pad="SAME_LOWER"', "auto_pad is SAME_LOWER", True),
        ('auto_pad="SAME_UPPER"', "auto_pad is SAME_LOWER", False),
        ('auto_pad="SAME_UPPER"', "auto_pad is SAME_LOWER or SAME_UPPER", True),
        # What it is by default.
        ("", "auto_pad is NOTSET", True),
        ("", "auto_pad is VALID", False),
        ("pads=[1,1]", "pads is given", True),
        ("", "pads is given", False),
        ("", "pads is not given", True),
        ("dilations=[2]", "dilations is not 1", True),
        ("dilations=[1]", "dilations is not 1", False),
        ("", "dilations is not 1", False),
        ("pads=[0,1]", "pads is not 0", True),
        ("pads=[0,0]", "pads is not 0", False),
        ("group=1", "group is odd", True),
        ("group=1", "group is even", False),
        # Inputs, by the names that the operator has for them.
        ("", "W is given", True),
        ("", "B is given", False),
        ("", "B is not given", True),
    ],
)
def test_conditions(attributes: str, condition: str, expected: bool) -> None:
    assert holds(conv(attributes), condition) is expected


def test_all_conditions_have_to_hold() -> None:
    made = conv('auto_pad="SAME_LOWER"')
    assert holds(made, "auto_pad is SAME_LOWER", "pads is not given")
    assert not holds(made, "auto_pad is SAME_LOWER", "pads is given")


def test_the_version_is_that_of_the_model() -> None:
    assert holds(conv(opset=12), until=12)
    assert not holds(conv(opset=13), until=12)
    assert not holds(conv(opset=17), since=18)


def test_an_input_that_is_left_out_between_others() -> None:
    resize = "y = Resize<antialias=1>(x, , s)"
    scales = {"s": np.array([1, 1, 0.5], np.float32)}
    made = model(resize, "float[1,1,8] x", initializers=scales, opset=18)
    assert holds(made, "roi is not given", "scales is given", "sizes is not given")


def test_other_operators_and_other_domains() -> None:
    node = rfgraph.analyze(conv()).node("y")
    assert node is not None
    assert not KnownDifference("a", "1", ("MaxPool",), 1, 99, (), "", "", "").holds(node)
    assert all(one.runtime == "openvino" for one in differences("openvino"))


def test_a_runtime_of_which_nothing_is_known() -> None:
    with pytest.raises(QueryError, match="nothing is known of a runtime 'tract'"):
        differences("tract")
