"""RF903: nodes at which a runtime is known to see other elements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import rfgraph
from tests.graphs import model

MODELS = Path(__file__).parents[2] / "models"
WEIGHTS = {"w": np.ones((1, 1, 3), np.float32)}


def up(attributes: str) -> onnx.ModelProto:
    body = f"y = ConvTranspose<strides=[2], {attributes}>(x, w)"
    return model(body, "float[1,1,8] x", initializers=WEIGHTS, opset=13)


def found(made: onnx.ModelProto, **settings: Any) -> list[str]:
    report = rfgraph.check(made, select=["RF903"], **settings)
    assert not report.errors, report.errors[0].error
    return [finding.message for finding in report.findings]


def test_it_is_off_by_default() -> None:
    assert found(up('auto_pad="SAME_UPPER", output_shape=[16]')) == []


def test_a_node_of_which_it_is_known() -> None:
    made = up('auto_pad="SAME_UPPER", output_shape=[16]')
    (said,) = found(made, runtimes=["openvino"])
    assert said.startswith("ConvTranspose 'ConvTranspose_0': openvino 2026.4.1 ")
    assert "auto_pad is SAME_UPPER and output_shape is given" in said
    assert found(made, runtimes=["reference"]) == []


def test_runtimes_with_options_and_twice() -> None:
    made = up('auto_pad="SAME_UPPER", output_shape=[16]')
    runtimes = ["openvino", "openvino:precision=f32"]
    assert len(found(made, runtimes=runtimes)) == 1


def test_nodes_of_one_name() -> None:
    one = 'ConvTranspose<strides=[2], auto_pad="SAME_UPPER", output_shape='
    body = f"a = {one}[16]>(x, w) y = {one}[32]>(a, w)"
    made = model(body, "float[1,1,8] x", initializers=WEIGHTS, opset=13)
    for node in made.graph.node:
        node.name = "up"
    (said,) = found(made, runtimes=["openvino"])
    assert said.endswith("(and 1 more like it)")


def test_nodes_as_near_as_can_be() -> None:
    assert found(up('auto_pad="SAME_LOWER", output_shape=[16]'), runtimes=["openvino"]) == []
    assert found(up('auto_pad="SAME_UPPER"'), runtimes=["openvino"]) == []


def test_the_operator_set_decides() -> None:
    for opset, count in ((11, 1), (13, 0)):
        made = model("y = Softmax<axis=1>(x)", "float[2,3,4] x", opset=opset)
        assert len(found(made, runtimes=["openvino"])) == count


def test_what_no_output_needs_is_not_told() -> None:
    up = 'ConvTranspose<strides=[2], auto_pad="SAME_UPPER", output_shape=[16]>(x, w)'
    for outputs, count in (("y z", 1), ("y", 0)):
        made = model(
            f"y = Relu(x) z = {up}", "float[1,1,8] x", outputs, initializers=WEIGHTS, opset=13
        )
        assert len(found(made, runtimes=["openvino"])) == count


@pytest.mark.parametrize("name", ["efficientnet_b0", "resnet50", "unet_tconv"])
def test_models_that_all_read_alike(name: str) -> None:
    runtimes = ["onnxruntime", "reference", "openvino", "mnn", "onnx2torch"]
    report = rfgraph.check(MODELS / f"{name}.onnx", select=["RF903"], runtimes=runtimes)
    assert not report.findings


def test_a_runtime_of_which_nothing_is_known() -> None:
    report = rfgraph.check(up('auto_pad="VALID"'), select=["RF903"], runtimes=["nothing"])
    (error,) = report.errors
    assert "nothing is known of a runtime 'nothing'" in str(error.error)
