"""Models taken apart: what is found is what protobuf's own library finds, or a clear refusal."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from rfgraph._wire import holdings, nodes, split

MODELS = Path(__file__).parent.parent / "models"
NAMES = sorted(path.stem for path in MODELS.glob("*.onnx"))

CONTENTS = ("raw_data", "float_data", "int32_data", "string_data", "int64_data", "double_data")

# What is not kept of a node.
_DROPPED = ("name", "input", "output", "doc_string", "metadata_props")


def _node(*given: Any) -> onnx.NodeProto:
    """The node that `nodes` tells of."""
    _, (content, inputs, outputs, left_out), names, made, name = given
    node = onnx.NodeProto(name=name, input=names, output=made)
    node.MergeFromString(content)
    assert (inputs, outputs) == (len(names), len(made))
    assert list(left_out) == [
        *(k for k, value in enumerate(names) if not value),
        *(~k for k, value in enumerate(made) if not value),
    ]
    return node


def _same(content: bytes) -> None:
    """Both ways of reading a model give the same."""
    expected = onnx.ModelProto.FromString(content)
    head, tensors = split(content)
    found = onnx.ModelProto.FromString(head)
    found.graph.node.extend(nodes(content, _node))
    for name, kind, shape, (begin, end), raw, location in tensors:
        tensor = TensorProto.FromString(content[begin:end])
        assert (tensor.name, tensor.data_type, tuple(tensor.dims)) == (name, kind, shape)
        assert raw == (len(tensor.raw_data) if tensor.HasField("raw_data") else -1)
        assert location == tensor.data_location
        found.graph.initializer.append(tensor)
    for node in expected.graph.node:
        node.ClearField("doc_string")
        node.ClearField("metadata_props")
        node.name = node.name
    if not expected.HasField("graph"):
        found.ClearField("graph")
    assert found == expected


@pytest.mark.parametrize("name", NAMES)
def test_models(name: str) -> None:
    _same((MODELS / f"{name}.onnx").read_bytes())


def test_left_out_inputs_and_outputs() -> None:
    made = onnx.ModelProto(ir_version=8)
    made.graph.node.add(op_type="F", input=["", "a", ""], output=["", "b"], domain="d")
    made.graph.node.add(op_type="G", name="g", doc_string="G.", overload="o")
    made.graph.node.add(name="nothing")
    _same(made.SerializeToString())


def test_equal_nodes_have_one_key() -> None:
    made = onnx.ModelProto()
    for k in range(2):
        made.graph.node.append(helper.make_node("Conv", [f"{k}", "w"], [f"y{k}"], pads=[1, 1]))
    made.graph.node.append(helper.make_node("Conv", ["0", "w"], ["z"], pads=[1, 2]))
    a, b, c = nodes(made.SerializeToString(), lambda index, key, *_: key)
    assert a == b != c


def test_a_name_that_is_no_text() -> None:
    made = onnx.ModelProto()
    made.graph.node.add(op_type="Relu", input=["in"], name="ab")
    content = made.SerializeToString().replace(b"ab", b"\xff\xfe").replace(b"in", b"\xfe\xff")
    assert nodes(content, lambda *given: given[2:]) == [((b"\xfe\xff",), (), b"\xff\xfe")]


def test_dimensions_may_be_packed() -> None:
    tensor = TensorProto(name="w", data_type=TensorProto.INT64)
    content = tensor.SerializeToString() + bytes([0x0A, 3, 2, 0xAC, 0x02])
    model = onnx.ModelProto()
    model.graph.SetInParent()
    graph = bytes([0x2A, len(content)]) + content
    made = bytes([0x3A, len(graph)]) + graph
    ((_, _, shape, *_),) = split(made)[1]
    assert shape == (2, 300)
    _same(made)


def test_what_attributes_hold() -> None:
    inner = helper.make_graph([], "inner", [], [])
    tensor = numpy_helper.from_array(np.zeros(2), "t")
    plain = helper.make_node("F", [], [], a=1, b=[2.0], c="s", t=tensor)
    assert holdings(plain.SerializeToString()) == (False, False)
    graph = helper.make_node("If", [], [], then_branch=inner)
    assert holdings(graph.SerializeToString()) == (True, False)
    graphs = helper.make_node("F", [], [], branches=[inner])
    assert holdings(graphs.SerializeToString()) == (True, False)
    tensor.data_location = TensorProto.EXTERNAL
    outside = helper.make_node("Constant", [], [], value=tensor)
    assert holdings(outside.SerializeToString()) == (False, True)
    assert holdings(b"") == (False, False)


def _random_model(seed: int) -> bytes:
    rng = random.Random(seed)
    made = onnx.ModelProto(ir_version=rng.randrange(12), producer_name="x" * rng.randrange(300))
    for k in range(rng.randrange(6)):
        node = made.graph.node.add(op_type=rng.choice("FGH"))
        node.input.extend(rng.choice(["", "a", "ß", "b" * 200]) for _ in range(rng.randrange(4)))
        node.output.extend(rng.choice(["", f"o{k}"]) for _ in range(rng.randrange(3)))
        if rng.random() < 0.5:
            node.attribute.append(
                helper.make_attribute("v", rng.choice([-1, 2.5, [3, -(1 << 40)]]))
            )
        if rng.random() < 0.5:
            node.name = rng.choice(["", "n"])
    for k in range(rng.randrange(4)):
        shape = [rng.randrange(3) for _ in range(rng.randrange(4))]
        kind = rng.choice([np.float32, np.int64, np.bool_])
        made.graph.initializer.append(numpy_helper.from_array(np.zeros(shape, kind), f"w{k}"))
    made.graph.input.add(name="x")
    return made.SerializeToString()


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 1 << 30))
def test_random_models(seed: int) -> None:
    _same(_random_model(seed))


@settings(deadline=None, max_examples=1000)
@given(st.integers(0, 1 << 30), st.data())
def test_broken_models_give_the_same_or_are_refused(seed: int, data: st.DataObject) -> None:
    content = bytearray(_random_model(seed))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    cut = bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        expected = onnx.ModelProto.FromString(cut)
    except DecodeError:
        return _refused(cut)
    try:
        split(cut)
    except ValueError:
        # Groups, which protobuf skips and nobody writes, are refused.
        return None
    texts = [tensor.name for tensor in expected.graph.initializer]
    nodes(cut, lambda *given: texts.extend([*given[2], *given[3], given[4]]))
    if all(isinstance(text, str) for text in texts):
        _same(cut)
    return None


def _refused(content: bytes) -> None:
    """Some reader of what is left to others refuses it, or this one does: nothing is made up."""
    try:
        head, tensors = split(content)
        kept = nodes(content, lambda *given: given[1][0])
    except ValueError:
        return
    with pytest.raises(DecodeError):  # noqa: PT012
        onnx.ModelProto.FromString(head)
        for part in kept:
            onnx.NodeProto.FromString(part)
        for *_, (begin, end), _, _ in tensors:
            TensorProto.FromString(content[begin:end])
        # What is dropped of nodes is not looked into.
        raise DecodeError


@settings(deadline=None, max_examples=500)
@given(st.binary(max_size=60))
def test_noise_is_no_model(content: bytes) -> None:
    try:
        onnx.ModelProto.FromString(content)
    except DecodeError:
        _refused(content)
