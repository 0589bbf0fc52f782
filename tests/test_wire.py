"""Models taken apart: what is found is what protobuf's own library finds, or a clear refusal."""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from rfgraph.model._wire import (
    Node,
    any_zero,
    attributes,
    elements,
    head,
    nodes,
    operator,
    producers,
    split,
    value_info,
)

MODELS = Path(__file__).parent.parent / "models"
NAMES = sorted(path.stem for path in MODELS.glob("*.onnx"))


class _Kind:
    """What a kind has to have, and its key."""

    op_type, captures = "F", ()

    def __init__(self, key: tuple[bytes, int, int, tuple[int, ...]], name: str) -> None:
        self.key = key


def _nodes(content: bytes) -> list[Node]:
    return nodes(content, {}, _Kind, {})  # type: ignore[arg-type]


def _message(node: Node, position: int) -> onnx.NodeProto:
    """The node of which `nodes` tells."""
    content, inputs, outputs, left_out = node.kind.key  # type: ignore[attr-defined]
    assert node.named or node.name == f"F_{position}"
    name = node.name if node.named else ""
    message = onnx.NodeProto(name=name, input=node.inputs, output=node.outputs)
    message.MergeFromString(content)
    assert (inputs, outputs) == (len(node.inputs), len(node.outputs))
    assert list(left_out) == [
        *(k for k, value in enumerate(node.inputs) if not value),
        *(~k for k, value in enumerate(node.outputs) if not value),
    ]
    _tell(content, message)
    return message


def _tell(content: bytes, message: onnx.NodeProto) -> None:
    """What is told of operator and attributes is what the message says."""
    op_type, domain, graphs, external = operator(content)
    assert (op_type, domain) == (message.op_type, message.domain)
    given = list(message.attribute)
    assert graphs == any(a.HasField("g") or len(a.graphs) > 0 for a in given)
    assert external == any(a.t.data_location == TensorProto.EXTERNAL for a in given)
    values, others, types = attributes(content)
    last = {a.name: a for a in given}
    assert types == {name: a.type for name, a in last.items()}
    assert values.keys() | others.keys() == last.keys()
    for name, other in others.items():
        assert onnx.AttributeProto.FromString(other) == last[name]
    for name, value in values.items():
        expected = helper.get_attribute_value(last[name])
        if isinstance(expected, TensorProto):
            _tell_of_tensor(value, content, expected)
            continue
        if isinstance(expected, bytes):
            expected = expected.decode("utf-8", "replace")
        assert repr(value) == repr(expected)


def _tell_of_tensor(told: Any, content: bytes, message: onnx.TensorProto) -> None:
    name, kind, shape, (begin, end), raw, location = told
    assert onnx.TensorProto.FromString(content[begin:end]) == message
    assert (name, kind, shape) == (message.name, message.data_type, tuple(message.dims))
    assert location == message.data_location
    assert (raw is not None) == message.HasField("raw_data")
    if raw is not None:
        assert content[slice(*raw)] == message.raw_data


def _tell_of_value(told: Any, message: onnx.ValueInfoProto) -> None:
    name, element, dims, other = told
    tensor = message.type.tensor_type
    assert (name, element) == (message.name, tensor.elem_type)
    assert (other is None) == message.type.HasField("tensor_type")
    if other is not None:
        assert onnx.TypeProto.FromString(other) == message.type
    if tensor.HasField("shape"):
        sizes = [d.dim_value if d.HasField("dim_value") else d.dim_param for d in tensor.shape.dim]
        assert dims == tuple(sizes)
    else:
        assert dims is None


def _tell_of_head(content: bytes, message: onnx.ModelProto) -> None:
    """What is told of the head of a model is what the message says."""
    version, imports, graph, inputs, outputs, values, sparse, functions = head(content)
    assert version == message.ir_version
    assert imports == [(i.domain, i.version) for i in message.opset_import]
    assert graph == message.HasField("graph")
    for told, expected in zip(
        [*inputs, *outputs, *map(value_info, values)],
        [*message.graph.input, *message.graph.output, *message.graph.value_info],
        strict=True,
    ):
        _tell_of_value(told, expected)
    for parts, messages in (
        (sparse, message.graph.sparse_initializer),
        (functions, message.functions),
    ):
        for part, expected in zip(parts, messages, strict=True):
            assert type(expected).FromString(part) == expected


def _same(content: bytes) -> None:
    """Both ways of reading a model give the same."""
    expected = onnx.ModelProto.FromString(content)
    light, tensors = split(content)
    found = onnx.ModelProto.FromString(light)
    _tell_of_head(light, found)
    found.graph.node.extend(_message(node, k) for k, node in enumerate(_nodes(content)))
    for told, tensor in zip(tensors, expected.graph.initializer, strict=True):
        _tell_of_tensor(told, content, tensor)
        found.graph.initializer.append(tensor)
    for node in expected.graph.node:
        for field in ("doc_string", "metadata_props", "device_configurations"):
            node.ClearField(field)
        node.name = node.name
    for node in (*expected.graph.node, *found.graph.node):
        # What no version of ONNX has a name for says nothing.
        node.DiscardUnknownFields()
    if not expected.HasField("graph"):
        found.ClearField("graph")
    assert found.SerializeToString(deterministic=True) == expected.SerializeToString(
        deterministic=True
    )


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
    a, b, c = nodes(made.SerializeToString(), known := {}, _Kind, {})  # type: ignore[var-annotated,arg-type]
    assert a.kind is not c.kind
    assert a.kind is not b.kind  # what is made is kept by who makes it
    assert a.kind.key == b.kind.key != c.kind.key  # type: ignore[attr-defined]
    known[a.kind.key] = a.kind  # type: ignore[attr-defined]
    a, b, c = nodes(made.SerializeToString(), known, _Kind, {})  # type: ignore[arg-type]
    assert a.kind is b.kind
    assert [a.name, a.inputs, a.outputs] == ["F_0", ("0", "w"), ("y0",)]


@pytest.mark.parametrize("kind", [15, 127])
def test_a_type_of_attribute_that_there_is_not(kind: int) -> None:
    made = onnx.ModelProto()
    made.graph.node.append(helper.make_node("F", [], ["y"], v=3.0))
    attribute = made.graph.node[0].attribute[0].SerializeToString()
    assert attribute.endswith(bytes([0xA0, 1, 1]))
    changed = attribute[:-1] + bytes([kind])
    _same(made.SerializeToString().replace(attribute, changed))


def test_a_name_that_is_no_text() -> None:
    made = onnx.ModelProto()
    made.graph.node.add(op_type="Relu", input=["in"], name="ab")
    content = made.SerializeToString()
    (node,) = _nodes(content.replace(b"in", b"\xfe\xff"))
    assert node.inputs == (b"\xfe\xff",)
    with pytest.raises(ValueError, match="no text"):
        _nodes(content.replace(b"ab", b"\xff\xfe"))


def test_which_node_makes_a_value() -> None:
    kind: Any = _Kind((b"", 0, 0, ()), "")
    first, second = (Node(n, kind, (i,), (n, ""), (), {}) for n, i in (("a", "x"), ("b", "a")))
    assert producers([first, second], {"x"}) == ({"a": first, "b": second}, True, None)
    assert not producers([second, first], {"x"})[1]
    assert not producers([second], {"x"})[1]
    assert producers([first, first], {"x"})[2] == (first, "a")
    assert producers([first], {"x", "a"})[2] == (first, "a")
    captures = Node("c", kind, (), ("c",), ("b",), {})
    assert not producers([captures, first, second], {"x"})[1]
    assert producers([first, second, captures], {"x"})[1]


def test_types_may_be_given_in_parts() -> None:
    """Those of one kind count together, of several kinds the last one."""
    tensor = helper.make_tensor_type_proto(1, [2, "n"])
    longer = helper.make_tensor_type_proto(7, [3])
    sequence = helper.make_sequence_type_proto(tensor)
    for parts in ([tensor, longer], [tensor, sequence], [sequence, tensor], [sequence, sequence]):
        content = b"".join(
            onnx.ValueInfoProto(name="x", type=part).SerializeToString() for part in parts
        )
        _tell_of_value(value_info(content), onnx.ValueInfoProto.FromString(content))


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


def test_attributes() -> None:
    inner = helper.make_graph([], "inner", [], [])
    tensor = numpy_helper.from_array(np.zeros(2), "t")
    outside = numpy_helper.from_array(np.zeros(2), "t")
    outside.data_location = TensorProto.EXTERNAL
    for several in (
        {"a": 1, "b": -1, "c": 2.5, "d": "ß", "e": [1, -2], "f": [2.0], "g": ["s"], "t": tensor},
        {"then_branch": inner},
        {"branches": [inner]},
        {"value": outside},
        {"empty": onnx.AttributeProto(type=onnx.AttributeProto.INTS)},
    ):
        message = helper.make_node("F", [], [], domain="d")
        for name, value in several.items():
            made = value if isinstance(value, onnx.AttributeProto) else None
            message.attribute.append(made or helper.make_attribute(name, value))
        _tell(message.SerializeToString(), message)
    # Of two of one name the last one counts, and numbers may be packed.
    message = helper.make_node("F", [], [], a=tensor)
    message.attribute.append(helper.make_attribute("a", 3))
    _tell(message.SerializeToString(), message)
    packed = bytes([0x0A, 1, 0x61, 0x42, 3, 1, 0xAC, 0x02, 0xA0, 0x01, 7])
    content = bytes([0x2A, len(packed)]) + packed
    assert attributes(content)[0] == {"a": [1, 300]}
    _tell(content, onnx.NodeProto.FromString(content))
    assert operator(b"") == ("", "", False, False)


def _random_type(rng: random.Random, kind: onnx.TypeProto) -> None:
    if rng.random() < 0.3:
        kind.sequence_type.elem_type.tensor_type.elem_type = 1
        return
    kind.tensor_type.elem_type = rng.randrange(20)
    if rng.random() < 0.8:
        kind.tensor_type.shape.SetInParent()
    for _ in range(rng.randrange(4)):
        dim = kind.tensor_type.shape.dim.add()
        if rng.random() < 0.8:
            (name, size) = rng.choice([("dim_value", -1), ("dim_value", 300), ("dim_param", "n")])
            setattr(dim, name, size)


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
    for values in (made.graph.input, made.graph.output, made.graph.value_info):
        for k in range(rng.randrange(3)):
            _random_type(rng, values.add(name=f"v{k}").type)
    for domain in rng.sample(["", "ai.onnx.ml", "ß"], rng.randrange(3)):
        made.opset_import.add(domain=domain, version=rng.choice([-1, 7, 300]))
    if rng.random() < 0.2:
        made.functions.add(name="f")
        made.graph.sparse_initializer.add(dims=[3])
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
        *_, values, _, _ = head(split(cut)[0])
        for message in values:
            value_info(message)
    except ValueError:
        # Groups, which protobuf skips and nobody writes, are refused.
        return None
    texts = [tensor.name for tensor in expected.graph.initializer]
    for message in expected.graph.node:
        texts += [message.op_type, message.domain, message.overload, message.name]
        texts += [*message.input, *message.output, *(a.name for a in message.attribute)]
    if all(isinstance(text, str) for text in texts):
        _same(cut)
    return None


def _refused(content: bytes) -> None:
    """Some reader of what is left to others refuses it, or this one does: nothing is made up."""
    try:
        light, tensors = split(content)
        kept = [node.kind.key[0] for node in _nodes(content)]  # type: ignore[attr-defined]
    except ValueError:
        return
    with pytest.raises(DecodeError):  # noqa: PT012
        onnx.ModelProto.FromString(light)
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


# By element type: the field, and how a number is written in it.
LISTED = {
    TensorProto.FLOAT: (4, 5),
    TensorProto.DOUBLE: (10, 1),
    TensorProto.INT64: (7, 0),
    TensorProto.INT32: (5, 0),
    TensorProto.INT16: (5, 0),
    TensorProto.UINT16: (5, 0),
    TensorProto.FLOAT16: (5, 0),
    TensorProto.INT8: (5, 0),
    TensorProto.UINT8: (5, 0),
}


def _varint(number: int) -> bytes:
    out = bytearray()
    number &= (1 << 64) - 1
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


def _number(how: int, number: int) -> bytes:
    if how == 0:
        return _varint(number)
    return struct.pack("<f" if how == 5 else "<d", float(number % 1000))


@settings(deadline=None, max_examples=400)
@given(
    st.sampled_from(list(LISTED)),
    st.lists(st.tuples(st.booleans(), st.lists(st.integers(-200, 300), max_size=4)), max_size=4),
    st.binary(max_size=3),
)
def test_elements_are_read_as_protobuf_reads_them(
    kind: int, parts: list[tuple[bool, list[int]]], before: bytes
) -> None:
    # Of one tensor some may be packed, others stand by themselves.
    field, how = LISTED[kind]
    message = b""
    for packed, numbers in parts:
        written = [_number(how, number) for number in numbers]
        if packed:
            content = b"".join(written)
            message += _varint(field << 3 | 2) + _varint(len(content)) + content
        else:
            message += b"".join(_varint(field << 3 | how) + one for one in written)
    many = sum(len(numbers) for _, numbers in parts)
    message = TensorProto(data_type=kind, dims=[many], name="t").SerializeToString() + message
    found = elements(before + message, len(before), len(before) + len(message), kind)
    assert found == numpy_helper.to_array(TensorProto.FromString(message)).tobytes()


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(list(LISTED)), st.data())
def test_elements_of_what_is_no_tensor_are_not_told(kind: int, data: st.DataObject) -> None:
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    made = helper.make_tensor("t", kind, [3], np.array([1, 2, 3], dtype))
    content = bytearray(made.SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    found = elements(bytes(content), 0, len(content), kind)
    try:
        read = TensorProto.FromString(bytes(content))
    except DecodeError:
        assert found is None
        return
    if found is not None:
        # What it says of itself is told apart.
        assert not read.HasField("raw_data")
        many = len(getattr(read, helper.tensor_dtype_to_field(kind)))
        read.data_type, read.data_location = kind, TensorProto.DEFAULT
        read.dims[:] = [many]
        assert found == numpy_helper.to_array(read).tobytes()


@pytest.mark.parametrize(("begin", "end"), [(0, 17), (-1, 8), (8, 4)])
def test_elements_are_looked_for_inside_alone(begin: int, end: int) -> None:
    with pytest.raises(ValueError, match="tensor"):
        elements(bytes(16), begin, end, TensorProto.FLOAT)


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(["f2", "f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]),
    st.binary(max_size=9),
    st.lists(st.sampled_from([0.0, -0.0, 1.0, 2.0, 96.0]), max_size=20),
)
def test_zeros_are_found_where_they_stand(kind: str, before: bytes, numbers: list[float]) -> None:
    array = np.array(numbers).astype(kind)
    content, begin = before + array.tobytes() + b"\0\0", len(before)
    end = begin + array.nbytes
    found = any_zero(content, begin, end, array.itemsize, array.dtype.kind == "f")
    assert found == (not array.all())


@pytest.mark.parametrize(
    ("begin", "end", "width"), [(0, 17, 1), (-1, 8, 1), (8, 4, 4), (0, 8, 3), (0, 6, 4), (0, 8, 0)]
)
def test_zeros_are_looked_for_inside_alone(begin: int, end: int, width: int) -> None:
    with pytest.raises(ValueError, match="number"):
        any_zero(bytes(16), begin, end, width, False)
