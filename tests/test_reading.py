"""Reading models: every form of a file, of constants, of functions and of open axes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, parser

import rfgraph
from rfgraph.model import model_file
from tests.graphs import PICTURE, model

MODELS = Path(__file__).parents[1] / "models"
NAMES = sorted(path.stem for path in MODELS.glob("*.onnx"))

# Some of each exporter, small enough to be read again and again.
SOME = ["lenet_textbook", "dynamic", "dynamic.dynamo", "espcn", "siamese", "vit", "wavenet.dynamo"]


def function(body: str, head: str = "f (a) => (b)", *, opset: int = 17, more: str = "") -> str:
    """A model-local function of the domain ``own``."""
    return f'<domain: "own", opset_import: ["": {opset}, "own": 1{more}]> {head} {{ {body} }}'


def floats(*shape: int) -> np.ndarray:
    return np.ones(shape, dtype=np.float32)


def ints(*values: int) -> str:
    return f"Constant<value = int64[{len(values)}] {{{', '.join(map(str, values))}}}>()"


KERNEL = {"w": floats(1, 1, 3, 3)}


def assert_equal(first: rfgraph.Analysis, second: rfgraph.Analysis) -> None:
    """Both know the same values, shapes, notes and bounds."""
    assert first.tensors == second.tensors
    assert (first.inputs, first.outputs) == (second.inputs, second.outputs)
    assert first.notes == second.notes
    for name in first.tensors:
        assert first.shape(name) == second.shape(name)
        for given in first.inputs:
            for axis in range(len(first.shape(given) or ())):
                for a, b in zip(
                    first.bounds(name, given, axis=axis),
                    second.bounds(name, given, axis=axis),
                    strict=True,
                ):
                    np.testing.assert_array_equal(a, b)


# ---------------------------------------------------------------- a path, bytes, a ModelProto


@pytest.mark.parametrize("name", SOME)
def test_a_path_bytes_and_a_proto_give_the_same(name: str) -> None:
    path = MODELS / f"{name}.onnx"
    proto = onnx.load(path)
    before = proto.SerializeToString(deterministic=True)
    expected = rfgraph.analyze(path, assume=True)
    assert expected.file == str(path)
    for given in (str(path), path.read_bytes(), proto):
        assert_equal(rfgraph.analyze(given, assume=True), expected)
    assert proto.SerializeToString(deterministic=True) == before


def test_a_proto_is_not_changed_by_shapes_values_and_functions() -> None:
    made = model(
        "t = own.f(x) y = Resize(t, , , s)",
        "float[N,1,h,w] x, int64[4] s",
        functions=function("b = Relu(a)"),
    )
    before = made.SerializeToString(deterministic=True)
    a = rfgraph.analyze(made, shapes={"x": (1, 1, 4, 4)}, values={"s": [1, 1, 8, 8]})
    assert a.shape("y") == (1, 1, 8, 8)
    assert made.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("opset", range(7, onnx.defs.onnx_opset_version() + 2))
def test_every_operator_set(opset: int) -> None:
    body = (
        "c = Conv<pads = [1, 1, 1, 1]>(x, w)"
        "p = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(c)"
        "r = Relu(p) a = Add(r, r) y = GlobalAveragePool(a)"
    )
    a = rfgraph.analyze(model(body, opset=opset, initializers=KERNEL))
    assert a.box("a", (0, 0, 1, 2)) == ((0, 0), (0, 0), (1, 4), (3, 6))
    assert a.box("y", (0, 0, 0, 0)) == ((0, 0), (0, 0), (0, 7), (0, 7))
    assert not a.notes


def test_initializers_listed_as_inputs_are_no_inputs() -> None:
    made = model("y = Conv(x, w)", ir=3, initializers=KERNEL)
    made.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [1, 1, 3, 3]))
    a = rfgraph.analyze(made)
    assert a.inputs == ["x"]
    assert a.box("y", (0, 0, 0, 0)) == ((0, 0), (0, 0), (0, 2), (0, 2))


def test_declared_shapes_are_not_believed() -> None:
    """Exporters leave wrong shapes behind, and files keep those of another input size."""
    made = model("t = Relu(x) y = Relu(t)")
    wrong = helper.make_tensor_value_info("t", TensorProto.FLOAT, [1, 1, 99, 99])
    made.graph.value_info.append(wrong)
    made.graph.output[0].CopyFrom(
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 5, 5])
    )
    a = rfgraph.analyze(made)
    assert (a.shape("t"), a.shape("y")) == ((1, 1, 8, 8), (1, 1, 8, 8))


def test_nodes_in_any_order() -> None:
    body = ["c = Conv(x, w)", "r = Relu(c)", "s = Sigmoid(r)", "y = Mul(r, s)"]
    expected = rfgraph.analyze(model(" ".join(body), initializers=KERNEL))
    for order in ([3, 2, 1, 0], [2, 0, 3, 1]):
        made = model(" ".join(body[k] for k in order), initializers=KERNEL)
        assert_equal(rfgraph.analyze(made), expected)


def test_many_nodes_in_reverse_order() -> None:
    body = [f"a{k + 1} = Relu(a{k})" for k in range(5000)]
    made = model(" ".join(reversed(body)), "float[1,3] a0", "a5000")
    assert rfgraph.analyze(made).box("a5000", (0, 2)) == ((0, 0), (2, 2))


@pytest.mark.parametrize("node", ["Clip(x, , m)", 'Clip(x, "", m)'])
def test_inputs_that_are_left_out(node: str) -> None:
    made = model("m = Constant<value = float {6}>() y = Clip(x, m)")
    made.graph.node[1].input[:] = ["x", "", "m"]
    assert rfgraph.analyze(made).box("y", (0, 0, 1, 2)) == ((0, 0), (0, 0), (1, 1), (2, 2))


def test_empty_inputs_at_the_end() -> None:
    made = model("y = Conv(x, w)", initializers=KERNEL)
    made.graph.node[0].input.append("")
    assert rfgraph.analyze(made).shape("y") == (1, 1, 6, 6)


def test_outputs_that_are_left_out() -> None:
    made = model("y, m = Dropout(x)")
    made.graph.node[0].output[1] = ""
    a = rfgraph.analyze(made)
    assert a.tensors == ["x", "y"]


# ---------------------------------------------------------------- what is mapped


@pytest.fixture
def mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """However small the file, it is mapped."""
    monkeypatch.setattr(model_file, "MAP_FROM", 1)


@pytest.mark.parametrize("name", SOME)
def test_a_file_that_is_mapped_gives_the_same_analysis(
    name: str, request: pytest.FixtureRequest
) -> None:
    path = MODELS / f"{name}.onnx"
    expected = rfgraph.analyze(path, assume=True)
    request.getfixturevalue("mapped")
    assert_equal(rfgraph.analyze(path, assume=True), expected)
    assert_equal(rfgraph.analyze(path.read_bytes(), assume=True), expected)
    assert_equal(rfgraph.analyze(onnx.load(path), assume=True), expected)


def unmapped(*_: object, **__: object) -> None:
    raise OSError("there is no room for it")


@pytest.mark.parametrize(
    "how",
    [{}, {"MAP_FROM": 1}, {"_MAP_UP_TO": 0}, {"MAP_FROM": 1, "mmap.mmap": unmapped}],
    ids=["at once", "mapped", "in parts", "not to be mapped"],
)
@pytest.mark.parametrize("type_name", ["FLOAT", "FLOAT16", "BFLOAT16", "INT8", "DOUBLE", "INT4"])
def test_contents_beside_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, type_name: str, how: dict[str, Any]
) -> None:
    """Read at once, mapped, in parts, and where nothing can be mapped."""
    for name, value in how.items():
        monkeypatch.setattr(f"rfgraph.model.weights.{name}", value)
    kind = TensorProto.DataType.Value(type_name)
    tensors = [
        helper.make_tensor(f"w{k}", kind, [2, 3], [k, 0, 2, 3, 4, 5] if k else [1, 2, 3, 4, 5, 6])
        for k in range(3)
    ]
    content, wanted = b"", [numpy_helper.to_array(tensor) for tensor in tensors]
    for tensor, array in zip(tensors, wanted, strict=True):
        raw = numpy_helper.from_array(array, "").raw_data
        for field in ("raw_data", "int32_data", "float_data", "double_data"):
            tensor.ClearField(field)
        tensor.data_location = TensorProto.EXTERNAL
        entries = {"location": "w.bin", "offset": len(content), "length": len(raw)}
        for key, value in entries.items():
            tensor.external_data.add(key=key, value=str(value))
        content += raw
    (tmp_path / "w.bin").write_bytes(content)
    made = model("y = Relu(x)")
    made.graph.initializer.extend(tensors)
    onnx.save(made, tmp_path / "m.onnx")
    weights = model_file.load(tmp_path / "m.onnx").weights
    for name, array in zip(("w0", "w1", "w2"), wanted, strict=True):
        found = weights.array(name)
        assert (found.dtype, found.shape) == (array.dtype, (2, 3))
        assert (found == array).all()
        assert weights.may_have_zeros(name) or array.all()


def test_contents_are_read_where_they_are_needed() -> None:
    made = model("y = Reshape(x, s)", initializers={"s": np.array([1, 64])})
    assert rfgraph.analyze(made.SerializeToString()).shape("y") == (1, 64)


def test_a_graph_in_two_pieces() -> None:
    """Messages that come twice are merged: that is how protobuf files may be appended to."""
    first = model("t = Reshape(x, s)", outputs="t", initializers={"s": np.array([1, 64])})
    second = onnx.ModelProto()
    second.graph.node.add(op_type="Reshape", input=["t", "r"], output=["y"])
    second.graph.initializer.append(numpy_helper.from_array(np.array([8, 8]), "r"))
    content = first.SerializeToString() + second.SerializeToString()
    a = rfgraph.analyze(content)
    assert (a.shape("t"), a.shape("y")) == ((1, 64), (8, 8))


MEGABYTE = 1 << 20
WEIGHT = 4096 * 4096 * 4  # bytes

# Bodies with a weight of 64 MB, and the shape of x. None of them needs its contents.
HEAVY = {
    "a product": ("y = MatMul(x, w)", "float[1,4096] x"),
    "a weight that is transposed and cast": (
        "a = Transpose(w) b = Cast<to = 10>(a) c = Cast<to = 1>(b) y = MatMul(x, c)",
        "float[1,4096] x",
    ),
    "a weight in another shape": (
        "s = Shape(x) i = Constant<value = int64[1] {1}>() n = Gather(s, i) f = Cast<to = 1>(n)"
        "q = Sqrt(f) p = Mul(q, q) m = Cast<to = 7>(p) t = Concat<axis = 0>(m, m)"
        "r = Reshape(w, t) y = MatMul(x, r)",
        "float[1,4096] x",
    ),
}


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """No more than `size` bytes are taken at any time."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < size
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def heavy(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Files with a big weight, by their bodies."""
    folder = tmp_path_factory.mktemp("heavy")
    files: dict[str, Path] = {}

    def make(case: str) -> Path:
        if case not in files:
            made = model(*HEAVY[case])
            weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4096, 4096])
            weight.raw_data = bytes(WEIGHT)
            made.graph.initializer.append(weight)
            files[case] = folder / f"{len(files)}.onnx"
            files[case].write_bytes(made.SerializeToString())
        return files[case]

    return make


@pytest.mark.parametrize("case", HEAVY)
def test_weights_are_not_read(heavy: Callable[[str], Path], case: str) -> None:
    path = heavy(case)
    rfgraph.analyze(MODELS / "lenet_textbook.onnx")
    with at_most(8 * MEGABYTE):
        a = rfgraph.analyze(path)
    assert a.shape("y") == (1, 4096)
    lo, hi = a.bounds("y", "x")
    assert (lo[..., 1].max(), hi[..., 1].min()) == (0, 4095)


def test_weights_of_bytes_are_not_read(heavy: Callable[[str], Path]) -> None:
    content = heavy("a product").read_bytes()
    with at_most(8 * MEGABYTE):
        rfgraph.analyze(content)


def test_weights_of_a_proto_are_not_copied(heavy: Callable[[str], Path]) -> None:
    proto = onnx.load(heavy("a product"))
    with at_most(8 * MEGABYTE):
        rfgraph.analyze(proto)


def missing(name: str, *shape: int) -> TensorProto:
    """A weight in a file that isn't there."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="missing.bin")
    return tensor


# Bodies with the weight w, whose contents nobody needs, and its shape.
UNREAD: dict[str, tuple[str, tuple[int, ...]]] = {
    "a kernel": ("y = Conv(x, w)", (1, 1, 3, 3)),
    "a term": ("y = Add(x, w)", (8, 8)),
    "a kernel that is computed": ("n = Neg(w) y = Conv(x, n)", (1, 1, 3, 3)),
    "a term in another shape": (
        "s = Shape(x) r = Reshape(w, s) y = Add(x, r)",
        (64,),
    ),
    "a term in a shape that is hard to tell": (
        "s = Shape(x) f = Cast<to = 1>(s) q = Sqrt(f) p = Mul(q, q) o = Round(p)"
        "i = Cast<to = 7>(o) r = Reshape(w, i) n = Sigmoid(r) y = Add(x, n)",
        (64,),
    ),
}


@pytest.mark.parametrize(("body", "shape"), UNREAD.values(), ids=UNREAD)
@pytest.mark.parametrize("form", ["path", "bytes", "proto"])
def test_missing_data_that_nobody_needs(
    tmp_path: Path, body: str, shape: tuple[int, ...], form: str
) -> None:
    made = model(body)
    made.graph.initializer.append(missing("w", *shape))
    path = tmp_path / "m.onnx"
    path.write_bytes(made.SerializeToString())
    given: Any = {"path": path, "bytes": path.read_bytes(), "proto": made}[form]
    assert rfgraph.analyze(given).depends("y", "x")


def test_missing_data_that_is_needed(tmp_path: Path) -> None:
    made = model("y = Gather<axis = 2>(x, i)")
    tensor = missing("i", 3)
    tensor.data_type = TensorProto.INT64
    made.graph.initializer.append(tensor)
    path = tmp_path / "m.onnx"
    path.write_bytes(made.SerializeToString())
    with pytest.raises(rfgraph.ModelError, match=r"'i'.*'missing\.bin' can't be read") as caught:
        rfgraph.analyze(path)
    assert caught.value.file == str(path)
    assert caught.value.remedy


# ---------------------------------------------------------------- functions

WINDOW = function("b = MaxPool<kernel_shape: ints = @k>(a)", "f <k> (a) => (b)")
DEFAULT = function("b = MaxPool<kernel_shape: ints = @k>(a)", "f <k: ints = [3, 3]> (a) => (b)")

# The call, the functions, and the size of the window that y sees.
FUNCTIONS: dict[str, tuple[str, str, int]] = {
    "plain": ("y = own.f(x)", function("t = Relu(a) b = Neg(t)"), 1),
    "with an attribute": ("y = own.f<k = [5, 5]>(x)", WINDOW, 5),
    "with an attribute's default": ("y = own.f(x)", DEFAULT, 3),
    "with an attribute beside its default": ("y = own.f<k = [2, 2]>(x)", DEFAULT, 2),
    "twice, with other attributes": (
        "t = own.f<k = [2, 2]>(x) y = own.f<k = [4, 4]>(t)",
        WINDOW,
        5,
    ),
    "nested": (
        "y = own.g(x)",
        function("b = own.f<k = [3, 3]>(a)", "g (a) => (b)") + WINDOW,
        3,
    ),
    "nested, passing an attribute on": (
        "y = own.g<j = [4, 4]>(x)",
        function("b = own.f<k: ints = @j>(a)", "g <j> (a) => (b)") + WINDOW,
        4,
    ),
    "nested, passing no attribute on": (
        "y = own.g(x)",
        function("b = own.f<k: ints = @j>(a)", "g <j> (a) => (b)") + DEFAULT,
        3,
    ),
    "nested twice": (
        "y = own.h(x)",
        function("t = own.g(a) b = own.g(t)", "h (a) => (b)")
        + function("b = own.f(a)", "g (a) => (b)")
        + DEFAULT,
        5,
    ),
    "with an argument that is left out": (
        "y = own.f(x)",
        function("b = Clip(a, c)", "f (a, c) => (b)"),
        1,
    ),
    "with a constant": (
        "y = own.f(x)",
        function(
            f"s = {ints(1, 1, 64)} t = Reshape(a, s) r = {ints(1, 1, 8, 8)} b = Reshape(t, r)"
        ),
        1,
    ),
    "called as an operator is": ("y = Relu(x)", function("b = Relu(a)", "Relu (a) => (b)"), 1),
    "with a domain that only it imports": (
        "y = own.f(x)",
        '<domain: "own", opset_import: ["": 17, "far": 1]> f (a) => (b) { b = far.g(a) }'
        '<domain: "far", opset_import: ["": 17]> g (a) => (b) { b = Relu(a) }',
        1,
    ),
    "of the same name in two domains": (
        "y = own.f(x)",
        '<domain: "own", opset_import: ["": 17, "far": 1]> f (a) => (b) { b = far.f(a) }'
        '<domain: "far", opset_import: ["": 17]> f (a) => (b) { b = Relu(a) }',
        1,
    ),
}


@pytest.mark.parametrize(("body", "functions", "size"), FUNCTIONS.values(), ids=FUNCTIONS)
def test_functions_are_inlined(body: str, functions: str, size: int) -> None:
    a = rfgraph.analyze(model(body, functions=functions))
    side = 8 - size + 1
    assert a.shape("y") == (1, 1, side, side)
    assert a.box("y", (0, 0, 1, 2)) == ((0, 0), (0, 0), (1, size), (2, size + 1))
    assert not a.notes


def test_an_operator_of_a_domain_that_only_a_function_imports() -> None:
    functions = '<domain: "own", opset_import: ["": 17, "far": 1]> f (a) => (b) { b = far.Op(a) }'
    a = rfgraph.analyze(model("y = own.f(x)", functions=functions))
    assert a.depends("y", "x")
    assert "Op" in str(a.notes)


def test_results_of_a_function_that_are_left_out() -> None:
    parts = function("b, c = Split<axis = 2, num_outputs = 2>(a)", "f (a) => (b, c)", opset=18)
    a = rfgraph.analyze(model("y = own.f(x)", opset=18, functions=parts))
    assert a.shape("y") == (1, 1, 4, 8)
    made = model("t, y = own.f(x)", opset=18, functions=parts)
    made.graph.node[0].output[0] = ""
    assert rfgraph.analyze(made).box("y", (0, 0, 0, 0)) == ((0, 0), (0, 0), (4, 4), (0, 0))


def test_names_inside_a_function_are_kept_where_they_are_unique() -> None:
    inner = function("c = Neg(a) b = Relu(c)")
    once = rfgraph.analyze(model("y = own.f(x)", functions=inner))
    assert once.tensors == ["x", "c", "y"]
    twice = rfgraph.analyze(model("t = own.f(x) y = own.f(t)", functions=inner))
    assert twice.tensors[:3] == ["x", "c", "t"]
    assert twice.tensors[4:] == ["y"]
    assert twice.tensors[3] not in {"x", "c", "t", "y"}


@pytest.mark.parametrize("taken", ["c = Neg(x) y = Add(t, c)", "c = Neg(t) y = Relu(c)"])
def test_names_inside_a_function_give_way_to_those_outside(taken: str) -> None:
    inner = function("c = MaxPool<kernel_shape = [8, 8]>(a) b = Relu(c)")
    a = rfgraph.analyze(model(f"t = own.f(x) {taken}", functions=inner))
    assert a.shape("c") == ((1, 1, 8, 8) if "Neg(x)" in taken else (1, 1, 1, 1))
    assert len(set(a.tensors)) == len(a.tensors) == 5


def test_a_function_of_another_operator_set() -> None:
    """Each body is read by the operator set that the function imports."""
    inner = function("b = Squeeze<axes = [0]>(a)", opset=11)
    a = rfgraph.analyze(model("y = own.f(x)", opset=17, functions=inner))
    assert a.shape("y") == (1, 8, 8)


def test_overloads_of_a_function() -> None:
    made = model("t = own.f(x) y = own.f(t)", ir=10, functions=DEFAULT)
    second = made.functions.add()
    second.CopyFrom(made.functions[0])
    second.overload = "wide"
    second.node[0].attribute[0].CopyFrom(helper.make_attribute("kernel_shape", [5, 5]))
    made.graph.node[1].overload = "wide"
    a = rfgraph.analyze(made)
    assert (a.shape("t"), a.shape("y")) == ((1, 1, 6, 6), (1, 1, 2, 2))


# ---------------------------------------------------------------- constants


def sparse(*values: int) -> onnx.SparseTensorProto:
    dense = np.array(values)
    (places,) = dense.nonzero()
    return onnx.SparseTensorProto(
        dims=dense.shape,
        values=numpy_helper.from_array(dense[places], "s"),
        indices=numpy_helper.from_array(places),
    )


def constant(**attribute: Any) -> Callable[[onnx.ModelProto], None]:
    def add(made: onnx.ModelProto) -> None:
        made.graph.node.insert(0, helper.make_node("Constant", [], ["s"], **attribute))

    return add


def initializer(made: onnx.ModelProto) -> None:
    made.graph.initializer.append(numpy_helper.from_array(np.array([4, 16]), "s"))


def typed_initializer(made: onnx.ModelProto) -> None:
    made.graph.initializer.append(helper.make_tensor("s", TensorProto.INT64, [2], [4, 16]))


def sparse_initializer(made: onnx.ModelProto) -> None:
    made.graph.sparse_initializer.append(sparse(4, 16))


def sparse_by_row(made: onnx.ModelProto) -> None:
    made.graph.sparse_initializer.append(sparse(4, 16))
    rows = numpy_helper.from_array(np.array([[0], [1]]))
    made.graph.sparse_initializer[0].indices.CopyFrom(rows)


def filled(made: onnx.ModelProto) -> None:
    four = helper.make_tensor("", TensorProto.INT64, [1], [4])
    made.graph.node.insert(0, helper.make_node("ConstantOfShape", ["n"], ["f"], value=four))
    made.graph.node.insert(1, helper.make_node("Mul", ["f", "m"], ["s"]))
    made.graph.initializer.append(numpy_helper.from_array(np.array([2]), "n"))
    made.graph.initializer.append(numpy_helper.from_array(np.array([1, 4]), "m"))


def computed(made: onnx.ModelProto) -> None:
    nodes = parser.parse_graph(
        "g (float[1] x) => (float[1] y) { a = Shape(x) c = Constant<value_ints = [-1]>()"
        "d = Constant<value = int64[1] {2}>() e = Gather(a, d) f = Constant<value_int = 2>()"
        "h = Div(e, f) s = Concat<axis = 0>(h, c) }"
    ).node
    for node in reversed(nodes):
        made.graph.node.insert(0, node)


FORMS: dict[str, Callable[[onnx.ModelProto], None]] = {
    "an initializer": initializer,
    "an initializer of typed data": typed_initializer,
    "a sparse initializer": sparse_initializer,
    "a sparse initializer by rows": sparse_by_row,
    "Constant value": constant(value=numpy_helper.from_array(np.array([4, 16]))),
    "Constant value_ints": constant(value_ints=[4, 16]),
    "Constant sparse_value": constant(sparse_value=sparse(4, 16)),
    "ConstantOfShape": filled,
    "computed from shapes": computed,
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_shape_that_is(form: Callable[[onnx.ModelProto], None]) -> None:
    made = model("y = Reshape(x, s)")
    form(made)
    a = rfgraph.analyze(made)
    assert a.shape("y") == (4, 16)
    assert a.box("y", (1, 2)) == ((0, 0), (0, 0), (2, 2), (2, 2))
    assert rfgraph.analyze(made.SerializeToString()).shape("y") == (4, 16)


@pytest.mark.parametrize(
    "index", ["Constant<value_int = 5>()", "Constant<value = int64 {5}>()", "Size(v)"]
)
def test_an_index_that_is_a_scalar(index: str) -> None:
    made = model(f"i = {index} y = Gather<axis = 3>(x, i)", initializers={"v": floats(5)})
    assert rfgraph.analyze(made).box("y", (0, 0, 2)) == ((0, 0), (0, 0), (2, 2), (5, 5))


@pytest.mark.parametrize(
    "scales",
    [
        "Constant<value_floats = [1.0, 1.0, 2.0, 2.0]>()",
        "Constant<value = float[4] {1, 1, 2, 2}>()",
    ],
)
def test_scales_that_are_constant(scales: str) -> None:
    made = model(f's = {scales} y = Resize<mode = "nearest">(x, , s)')
    assert rfgraph.analyze(made).shape("y") == (1, 1, 16, 16)


def test_a_float_that_is_constant() -> None:
    made = model("f = Constant<value_float = 5.0>() i = Cast<to = 7>(f) y = Gather<axis = 3>(x, i)")
    assert rfgraph.analyze(made).box("y", (0, 0, 2)) == ((0, 0), (0, 0), (2, 2), (5, 5))


def test_an_unused_text_constant_does_no_harm() -> None:
    made = model('s = Constant<value_string = "a">() y = Relu(x)')
    assert rfgraph.analyze(made).depends("y")


# ---------------------------------------------------------------- open axes


def test_an_open_batch_needs_no_size() -> None:
    body = "c = Conv(x, w) r = Relu(c) f = Flatten(r) y = Gemm(f, v)"
    weights = {**KERNEL, "v": floats(36, 5)}
    open_batch = rfgraph.analyze(model(body, "float[N,1,8,8] x", initializers=weights))
    fixed = rfgraph.analyze(model(body, initializers=weights))
    assert [str(note) for note in open_batch.notes] == [
        "x: its axis 0 is open and taken as 1: nothing is read across it"
    ]
    open_batch.notes.clear()
    assert_equal(open_batch, fixed)


def test_an_open_batch_takes_a_size() -> None:
    made = model("y = Conv(x, w)", "float[N,1,8,8] x", initializers=KERNEL)
    a = rfgraph.analyze(made, shapes={"x": (3, 1, 8, 8)})
    assert a.box("y", (2, 0, 0, 0)) == ((2, 2), (0, 0), (0, 2), (0, 2))
    assert not a.notes


PLACES = "float[1,1,n] x"
SIGNAL = {"w": floats(1, 1, 3), "v": floats(1, 1, 2)}

# What reads across the open axis 2.
ACROSS = {
    "a padded window": "y = Conv<pads = [1, 1]>(x, w)",
    "a window": "y = Conv(x, w)",
    "a window of two": "y = Conv(x, v)",
    "a dilated window": "y = Conv<dilations = [4]>(x, v)",
    "a pool": "y = MaxPool<kernel_shape = [3], strides = [3]>(x)",
    "a sum": "y = ReduceSum<keepdims = 0>(x)",
    "a sum from the fifth on": (
        f"s = {ints(4)} e = {ints(9999)} a = {ints(2)} z = Slice(x, s, e, a) y = GlobalMaxPool(z)"
    ),
    "a sum without the last two": (
        f"s = {ints(0)} e = {ints(-2)} a = {ints(2)} z = Slice(x, s, e, a) y = GlobalMaxPool(z)"
    ),
    "a sum of every second": (
        f"s = {ints(0)} e = {ints(9999)} a = {ints(2)} t = {ints(2)}"
        "z = Slice(x, s, e, a, t) y = GlobalMaxPool(z)"
    ),
    "a sum of two places": f"i = {ints(2, 3)} z = Gather<axis = 2>(x, i) y = GlobalMaxPool(z)",
    "a place": f"i = {ints(3)} y = Gather<axis = 2>(x, i)",
    "a difference": (
        f"s = {ints(2)} e = {ints(9999)} a = {ints(2)} z = Slice(x, s, e, a)"
        f"t = {ints(0)} u = {ints(-2)} q = Slice(x, t, u, a) y = Sub(z, q)"
    ),
    "a shift": f"p = {ints(0, 0, 2, 0, 0, -2)} z = Pad(x, p) y = Add(z, x)",
    "blocks": f"s = {ints(1, 1, -1, 4)} y = Reshape(x, s)",
}


@pytest.mark.parametrize("body", ACROSS.values(), ids=ACROSS)
def test_an_open_axis_that_is_read_across_needs_a_size(body: str) -> None:
    made = model(body, PLACES, initializers=SIGNAL)
    with pytest.raises(rfgraph.ShapeError, match=r"axis 2 \('n'\) of input 'x'") as caught:
        rfgraph.analyze(made)
    assert "--shape x=1,1,n" in str(caught.value)
    assert "shapes={'x': (1,1,n)}" in str(caught.value)
    with_size = rfgraph.analyze(made, shapes={"x": (1, 1, 64)})
    assumed = rfgraph.analyze(made, assume=True)
    assert "open and taken as" in str(assumed.notes)
    for a in (with_size, assumed):
        assert a.depends("y", "x")
        assert min(a.shape("y") or (1,)) > 0


def test_an_open_axis_without_a_name() -> None:
    made = model("y = Conv(x, w)", PLACES, initializers=SIGNAL)
    made.graph.input[0].type.tensor_type.shape.dim[2].ClearField("dim_param")
    with pytest.raises(rfgraph.ShapeError, match=r"axis 2 of input 'x'.*--shape x=1,1,\?"):
        rfgraph.analyze(made)


def test_a_batch_that_has_to_be_a_multiple() -> None:
    made = model(f"s = {ints(-1, 8, 3)} y = Reshape(x, s)", "float[N,3] x")
    with pytest.raises(rfgraph.ShapeError, match=r"axis 0 \('N'\) of input 'x'.*--shape x=N,3"):
        rfgraph.analyze(made)
    assert rfgraph.analyze(made, shapes={"x": (16, 3)}).shape("y") == (2, 8, 3)


def test_a_model_of_open_height_and_width() -> None:
    path = MODELS / "dynamic.onnx"
    with pytest.raises(rfgraph.ShapeError, match=r"axis 2 .*of input 'x'.*--shape x="):
        rfgraph.analyze(path)
    given = rfgraph.analyze(path, shapes={"x": (1, 3, 64, 96)})
    logits = given.shape("logits")
    assert logits is not None
    assert logits[2:] == (64, 96)
    assumed = rfgraph.analyze(path, assume=True)
    assert assumed.shape("x") == (1, 3, 224, 224)
    assert {note.node for note in assumed.notes} == {"x"}


def test_axes_of_one_name_are_of_one_size() -> None:
    made = model("a = Relu(x) y = Relu(z)", "float[n,2] x, float[n] z")
    assert rfgraph.analyze(made, shapes={"x": (3, 2)}).shape("z") == (3,)
    with pytest.raises(rfgraph.ShapeError, match="'n' is given as 3 and as 4"):
        rfgraph.analyze(made, shapes={"x": (3, 2), "z": (4,)})
    with pytest.raises(rfgraph.ShapeError, match="'n'"):
        rfgraph.analyze(model("y = Relu(x)", "float[n,n] x"), shapes={"x": (3, 4)})


SHAPES: dict[str, tuple[dict[str, object], type[rfgraph.RFGraphError], str]] = {
    "an unknown input": ({"z": (1, 1, 8, 8)}, rfgraph.QueryError, "no input 'z'.*inputs are x"),
    "too few sizes": ({"x": (8, 8)}, rfgraph.ShapeError, "4 axes, and 2 sizes"),
    "too many sizes": ({"x": (1, 1, 8, 8, 8)}, rfgraph.ShapeError, "4 axes, and 5 sizes"),
    "a negative size": ({"x": (1, 1, -8, 8)}, rfgraph.ShapeError, "'x' is negative"),
    "a huge size": ({"x": (1, 1, 10**12, 8)}, rfgraph.ShapeError, "smaller sizes"),
    "an absurd size": ({"x": (1, 1, 10**30, 8)}, rfgraph.ShapeError, "smaller sizes"),
    "no size": ({"x": (1, 1, None, 8)}, rfgraph.RFGraphError, "'x'"),
    "a size that is no number": ({"x": (1, 1, "a", 8)}, rfgraph.RFGraphError, "'x'"),
    "half a size": ({"x": (1, 1, 8.5, 8)}, rfgraph.RFGraphError, r"8\.5"),
    "one number": ({"x": 8}, rfgraph.RFGraphError, "'x'"),
}


@pytest.mark.parametrize(("shapes", "error", "words"), SHAPES.values(), ids=SHAPES)
def test_shapes_that_do_not_fit(
    shapes: dict[str, object], error: type[rfgraph.RFGraphError], words: str
) -> None:
    made = model("y = Conv(x, w)", "float[N,1,h,w] x", initializers=KERNEL)
    with pytest.raises(error, match=words):
        rfgraph.analyze(made, shapes=shapes)  # type: ignore[arg-type]


def test_shapes_may_be_any_integers() -> None:
    made = model("y = Conv(x, w)", "float[N,1,h,w] x", initializers=KERNEL)
    assert rfgraph.analyze(made, shapes={"x": tuple(np.array([1, 1, 9, 9]))}).shape("y") == (
        1,
        1,
        7,
        7,
    )


def test_another_shape_than_the_declared_one() -> None:
    """A fully convolutional network runs at other sizes, whatever its file says."""
    made = model("y = Conv(x, w)", initializers=KERNEL)
    assert rfgraph.analyze(made, shapes={"x": (2, 1, 20, 20)}).shape("y") == (2, 1, 18, 18)


def test_a_shape_that_contradicts_the_graph() -> None:
    made = model("y = Add(x, c)", "float[h,3] x", initializers={"c": floats(3)})
    with pytest.raises(rfgraph.ShapeError, match="Add 'Add_0'"):
        rfgraph.analyze(made, shapes={"x": (5, 6)})


# ---------------------------------------------------------------- inputs that are held fixed

RESIZE = model("y = Resize(x, , , s)", "float[1,1,4,4] x, int64[4] s")


def test_an_input_held_fixed() -> None:
    a = rfgraph.analyze(RESIZE, values={"s": [1, 1, 8, 8]})
    assert a.inputs == ["x"]
    assert a.shape("y") == (1, 1, 8, 8)
    assert a.box("y", (0, 0, 7, 0)) == ((0, 0), (0, 0), (3, 3), (0, 0))


def test_an_input_that_is_not_held_fixed_is_one() -> None:
    a = rfgraph.analyze(RESIZE)
    assert a.inputs == ["x", "s"]
    assert a.shape("y") == (None,) * 4
    assert a.notes


def test_an_initializer_that_is_an_input_held_fixed() -> None:
    made = onnx.ModelProto()
    made.CopyFrom(RESIZE)
    made.ir_version = 3
    made.graph.initializer.append(numpy_helper.from_array(np.array([1, 1, 4, 4]), "s"))
    assert rfgraph.analyze(made).shape("y") == (1, 1, 4, 4)
    assert rfgraph.analyze(made, values={"s": [1, 1, 8, 8]}).shape("y") == (1, 1, 8, 8)


def test_an_input_held_fixed_of_open_size() -> None:
    made = model("y = Reshape(x, s)", "float[1,1,8,8] x, int64[k] s")
    assert rfgraph.analyze(made, values={"s": np.array([4, 16])}).shape("y") == (4, 16)


def test_a_scalar_held_fixed() -> None:
    made = model("y = Gather<axis = 3>(x, i)", f"{PICTURE}, int64 i")
    a = rfgraph.analyze(made, values={"i": 5})
    assert a.box("y", (0, 0, 2)) == ((0, 0), (0, 0), (2, 2), (5, 5))


VALUES: dict[str, tuple[dict[str, object], type[rfgraph.RFGraphError], str]] = {
    "an unknown input": ({"t": [1]}, rfgraph.QueryError, "no input 't'.*inputs are x, s"),
    "another rank": ({"s": 8}, rfgraph.ShapeError, "'s' has 1 axes"),
    "another size": ({"s": [8, 8]}, rfgraph.ShapeError, "Resize 'Resize_0'"),
    "text": ({"s": ["a", "b", "c", "d"]}, rfgraph.RFGraphError, "'s'"),
    "no array": ({"s": [[1], [1, 2]]}, rfgraph.RFGraphError, "'s'"),
    "no numbers": ({"s": [float("nan")] * 4}, rfgraph.RFGraphError, "'s'"),
}


@pytest.mark.parametrize(("values", "error", "words"), VALUES.values(), ids=VALUES)
def test_values_that_do_not_fit(
    values: dict[str, object], error: type[rfgraph.RFGraphError], words: str
) -> None:
    with pytest.raises(error, match=words):
        rfgraph.analyze(RESIZE, values=values)


def test_the_shape_of_an_input_held_fixed_is_that_of_its_value() -> None:
    held = {"s": [1, 1, 8, 8]}
    assert rfgraph.analyze(RESIZE, values=held, shapes={"s": (4,)}).shape("y") == (1, 1, 8, 8)
    with pytest.raises(rfgraph.ShapeError, match=r"'s' is given the shape \(3,\).*shape \(4,\)"):
        rfgraph.analyze(RESIZE, values=held, shapes={"s": (3,)})


def test_axes_of_one_name_have_the_size_of_a_value_held_fixed() -> None:
    made = model("r = ReduceSum<keepdims = 0>(m) y = Mul(x, r)", "float[N,3] x, float[N,2] m")
    held = {"m": np.ones((5, 2), np.float32)}
    assert rfgraph.analyze(made, values=held).shape("x") == (5, 3)
    with pytest.raises(rfgraph.ShapeError, match="'N' is given as"):
        rfgraph.analyze(made, values=held, shapes={"x": (4, 3)})


# ---------------------------------------------------------------- questions

QUESTIONS: dict[str, Callable[[rfgraph.Analysis], object]] = {
    "bounds of nothing": lambda a: a.bounds("z"),
    "bounds of no input": lambda a: a.bounds("y", "z"),
    "bounds along no axis": lambda a: a.bounds("y", axis=9),
    "a box of nothing": lambda a: a.box("z", (0,)),
    "a box of another rank": lambda a: a.box("y", (0, 0)),
    "a box outside": lambda a: a.box("y", (0, 0, 99, 0)),
    "a field of nothing": lambda a: a.field("z"),
    "a field at no axis": lambda a: a.field("y", at={9: 0}),
    "a field outside": lambda a: a.field("y", at={1: 7}),
    "fields of nothing": lambda a: a.fields("z", 1),
    "fields along no axis": lambda a: a.fields("y", 9),
    "the shape of nothing": lambda a: a.shape("z"),
    "the node of nothing": lambda a: a.node("z"),
    "dependence of nothing": lambda a: a.depends("z"),
    "dependence on nothing": lambda a: a.depends("y", "z"),
}


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_a_question_without_an_answer(question: Callable[[rfgraph.Analysis], object]) -> None:
    path = MODELS / "lenet_textbook.onnx"
    with pytest.raises(rfgraph.QueryError) as caught:
        question(rfgraph.analyze(path))
    assert caught.value.file == str(path)


def test_an_open_axis_written_as_minus_one() -> None:
    made = model("y = Relu(x)", "float[1,1,8,8] x")
    made.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -1
    assert rfgraph.analyze(made).shape("y") == (1, 1, 8, 8)
    assert rfgraph.analyze(made, shapes={"x": (3, 1, 8, 8)}).shape("y") == (3, 1, 8, 8)


def test_a_mark_is_no_name_of_an_axis() -> None:
    made = model("y = Relu(x)", "float[1,1,8,8] x")
    for axis in (2, 3):
        made.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = "?"
    assert rfgraph.analyze(made, shapes={"x": (1, 1, 6, 9)}).shape("y") == (1, 1, 6, 9)


@pytest.mark.parametrize("given", ["./there/net.onnx", "there//net.onnx", "./there/./net.onnx"])
def test_a_file_is_called_as_in_other_messages(given: str) -> None:
    with pytest.raises(rfgraph.ModelError) as told:
        rfgraph.analyze(given)
    assert told.value.file == str(Path("there/net.onnx"))
