"""Bad input: one line that says what is wrong and where, and an answer that is never unsound."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import rfgraph
from rfgraph import cli
from tests.graphs import PICTURE, model

MODELS = Path(__file__).parents[1] / "models"
TRILLION = 10**12

posix = pytest.mark.skipif(
    os.name != "posix", reason="limits, pipes, links and permissions are those of POSIX"
)


# ---------------------------------------------------------------- making and running


def floats(*shape: int) -> np.ndarray:
    return np.ones(shape, dtype=np.float32)


def ints(*values: int) -> str:
    """A Constant of int64, as an expression."""
    return f"Constant<value = int64[{len(values)}] {{{', '.join(map(str, values))}}}>()"


def function(body: str, name: str = "f", arguments: str = "a", opset: int = 17) -> str:
    """A model-local function with the result ``b``."""
    return (
        f'<domain: "custom", opset_import: ["": {opset}, "custom": 1]> '
        f"{name} ({arguments}) => (b) {{ {body} }}"
    )


def changed(made: onnx.ModelProto, change: Callable[[onnx.ModelProto], object]) -> onnx.ModelProto:
    change(made)
    return made


def dims(made: onnx.ModelProto) -> list[onnx.TensorShapeProto.Dimension]:
    return list(made.graph.input[0].type.tensor_type.shape.dim)


class Run:
    """`rfgraph` in this process, with what it printed and the warnings that it let through."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.capsys = capsys

    def save(self, content: onnx.ModelProto | bytes, name: str = "m.onnx") -> Path:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
        return path

    def __call__(self, *arguments: str | Path) -> tuple[int, str, str]:
        self.capsys.readouterr()
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            code = cli.main([str(a) for a in arguments])
        assert not warned, [str(w.message) for w in warned]
        out, err = self.capsys.readouterr()
        return code, out, err

    def refused(self, path: Path, *words: str, arguments: tuple[str, ...] = ()) -> str:
        """The one line with which `rfgraph show` refuses a file; it has all of `words`."""
        code, out, err = self("show", path, *arguments)
        assert (code, out) == (2, "")
        check_line(err, path.name, *words)
        return err


@pytest.fixture(autouse=True, scope="module")
def _no_more_than_some_memory() -> Iterator[None]:
    """What would fill the memory fails with a MemoryError, and takes nobody else down."""
    if os.name != "posix":
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(tmp_path, capsys)


def check_line(err: str, *words: str) -> None:
    assert len(err.splitlines()) == 1, err
    assert err.startswith("rfgraph: error: ")
    assert "internal error" not in err
    for word in words:
        assert word in err


class Ended(NamedTuple):
    """How a process ended; `peak` is the most memory that it had, in bytes."""

    code: int
    out: str
    err: str
    peak: int


def limited(*arguments: str | Path, seconds: int = 20, gigabytes: float = 2) -> Ended:
    """`rfgraph` in a process that may use little time and memory."""
    import resource

    def limit() -> None:
        size = int(gigabytes * 2**30)
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.alarm(3 * seconds)

    with TemporaryFile("w+") as out, TemporaryFile("w+") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "rfgraph", *map(str, arguments)],
            stdout=out,
            stderr=err,
            preexec_fn=limit,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
        ended, peak = 0, 0
        while not ended:
            peak = max(peak, highest(process.pid))
            time.sleep(0.005)
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
        process.returncode = os.waitstatus_to_exitcode(status)
        for stream in (out, err):
            stream.seek(0)
        if sys.platform != "linux":
            peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        return Ended(process.returncode, out.read(), err.read(), peak)


def highest(process: int) -> int:
    """The most memory that a process has had, in bytes, on Linux: what `wait4` says of it counts
    what the process had that it was forked from.
    """
    with suppress(OSError):
        told = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
        return 1024 * int(told[1]) if told else 0
    return 0


# More than that is not needed to see that something is wrong.
LITTLE = 600 << 20


def refused_cheaply(*arguments: str | Path) -> str:
    """The one line of a refusal that takes neither long nor much memory."""
    done = limited(*arguments)
    assert (done.code, done.out) == (2, ""), done
    check_line(done.err)
    assert "out of memory" not in done.err
    assert done.peak < LITTLE
    return done.err


# ---------------------------------------------------------------- not a model

BIG = 1 << 20  # From here on the file is walked, not parsed.

NO_MODELS = {
    "empty": b"",
    "text": b"This is no model.\n",
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "zeros": bytes(500),
    "ones": b"\xff" * 500,
    "much text": b"This is no model.\n" * (BIG // 10),
    "a big picture": b"\x89PNG\r\n\x1a\n" + random.Random(0).randbytes(BIG),
    "many zeros": bytes(BIG),
    "many ones": b"\xff" * BIG,
}


@pytest.mark.parametrize("content", NO_MODELS.values(), ids=NO_MODELS)
def test_what_is_no_model(run: Run, content: bytes) -> None:
    run.refused(run.save(content), "not an ONNX model", "export it again" if not content else "(")


def big_model() -> bytes:
    weights = {"w": floats(1, 1, 3, 3), "big": floats(1 << 18), "s": np.array([1, 1, 64])}
    made = model(
        "a = Conv(x, w) b = ReduceSum<keepdims = 0>(big) y = Add(a, b)", initializers=weights
    )
    return bytes(made.SerializeToString())


def test_the_big_model_is_one(run: Run) -> None:
    content = big_model()
    assert len(content) > BIG
    assert run("show", run.save(content))[0] == 0


@pytest.mark.parametrize("size", [1, 3, 9, 10, 33, 100, 199, 200, 250, 300, 310, 318, 322, 325])
def test_a_truncated_file(run: Run, size: int) -> None:
    run.refused(run.save((MODELS / "lenet_textbook.onnx").read_bytes()[:size]))


CUTS = [1, 2, 10, 90, 150, 1000, BIG - 1, BIG, BIG + 1, *range(-150, 0, 7), -3, -2, -1]


@pytest.mark.parametrize("size", CUTS)
def test_a_truncated_big_file(run: Run, size: int) -> None:
    run.refused(run.save(big_model()[:size]))


@pytest.mark.parametrize("size", [0, 200, 320])
def test_truncated_bytes(size: int) -> None:
    content = (MODELS / "lenet_textbook.onnx").read_bytes()[:size]
    with pytest.raises(rfgraph.ModelError):
        rfgraph.analyze(content)


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_file(run: Run, seed: int) -> None:
    dice = random.Random(seed)
    names = ("lenet_textbook", "espcn", "dynamic.dynamo", "siamese")
    for _ in range(20):
        content = bytearray((MODELS / f"{dice.choice(names)}.onnx").read_bytes())
        for _ in range(dice.choice([1, 1, 2, 4])):
            at = dice.randrange(len(content))
            if dice.random() < 0.5:
                content[at] ^= 1 << dice.randrange(8)
            else:
                content[at : at + dice.randrange(3)] = dice.randbytes(dice.randrange(3))
        code, out, err = run("show", run.save(bytes(content)))
        if code:
            assert (code, out) == (2, "")
            check_line(err)
        else:
            assert err == ""


# Without a length-delimited type the field is none of the graph's, for the walk as for the parser.
def test_an_initializer_of_a_wrong_wire_type(run: Run) -> None:
    made = model("y = Relu(x)")
    graph = made.graph.SerializeToString() + b"\x28\x01"  # field 5, varint
    made.ClearField("graph")
    rest = made.SerializeToString() + b"\xfa\x3e" + varint(BIG) + bytes(BIG)  # field 1007, unknown
    content = rest + b"\x3a" + varint(len(graph)) + graph
    assert run("show", run.save(content))[0] == 0


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


# ---------------------------------------------------------------- paths


def test_a_path_that_does_not_exist(run: Run, tmp_path: Path) -> None:
    run.refused(tmp_path / "nothing.onnx", "No such file", "(check the path)")


@posix
def test_a_folder(run: Run, tmp_path: Path) -> None:
    run.refused(tmp_path, "is a folder")


@posix
def test_a_path_below_a_file(run: Run) -> None:
    run.refused(run.save(model("y = Relu(x)")) / "m.onnx", "Not a directory")


def test_a_path_that_no_file_has(run: Run) -> None:
    code, _, err = run("show", "a\0b.onnx")
    assert code == 2
    check_line(err)


@posix
def test_a_path_that_is_too_long(run: Run, tmp_path: Path) -> None:
    run.refused(tmp_path / ("a" * 5000), "too long")


@posix
def test_a_path_with_a_newline(run: Run, tmp_path: Path) -> None:
    code, _, err = run("show", tmp_path / "a\nb.onnx")
    assert code == 2
    check_line(err, "a b.onnx")


@contextmanager
def without_privileges() -> Iterator[None]:
    """Root reads everything: become somebody else for a while."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@posix
def test_a_file_that_may_not_be_read(run: Run) -> None:
    path = run.save(model("y = Relu(x)"))
    path.chmod(0)
    with without_privileges():
        run.refused(path, "Permission denied")


@pytest.mark.parametrize("given", [5, None, [], bytearray(b"a"), onnx.GraphProto()])
def test_what_analyze_does_not_take(given: object) -> None:
    with pytest.raises(rfgraph.ModelError, match="a model is a path, bytes or"):
        rfgraph.analyze(given)  # type: ignore[arg-type]


# ---------------------------------------------------------------- graphs that break a rule


def twice(values: object) -> None:
    values.append(values[0])  # type: ignore[attr-defined, index]


RULES: dict[str, tuple[onnx.ModelProto, tuple[str, ...]]] = {
    "a cycle": (
        model("y = Add(x, b) b = Relu(y)"),
        ("has a cycle", "Add 'Add_0' -> Relu 'Relu_1' -> Add 'Add_0'"),
    ),
    "a cycle of one": (model("y = Add(x, y)"), ("has a cycle", "Add 'Add_0'")),
    "a cycle through a branch": (
        model(
            "d = Neg(y) y = If(c)<then_branch = t() => (float p) { p = Neg(d) }, "
            "else_branch = e() => (float q) { q = Neg(x) }>",
            "float[1] x, bool[1] c",
        ),
        ("has a cycle", "If 'If_1'"),
    ),
    "a missing producer": (model("y = Add(x, z)"), ("Add 'Add_0'", "'z'")),
    "a missing producer in a branch": (
        model(
            "y = If(c)<then_branch = t() => (float p) { p = Neg(z) }, "
            "else_branch = e() => (float q) { q = Neg(x) }>",
            "float[1] x, bool[1] c",
        ),
        ("If 'If_0'", "'z'"),
    ),
    "a value made twice": (
        model("y = Relu(x) y = Neg(x)"),
        ("Neg 'Neg_1'", "'y'", "another value"),
    ),
    "two outputs of one name": (
        changed(
            model("y, z = Split<axis = 2>(x)", opset=13),
            lambda m: m.graph.node[0].output.__setitem__(1, "y"),
        ),
        ("Split 'Split_0'", "'y'", "another value"),
    ),
    "an input made again": (
        model("x = Relu(x) y = Neg(x)"),
        ("Relu 'Relu_0'", "'x'", "another value"),
    ),
    "an initializer made again": (
        model("w = Relu(x) y = Add(x, w)", initializers={"w": floats(1)}),
        ("Relu 'Relu_0'", "'w'", "another value"),
    ),
    "two inputs of one name": (
        changed(model("y = Relu(x)"), lambda m: twice(m.graph.input)),
        ("two inputs", "'x'"),
    ),
    "two equal initializers of one name": (
        changed(
            model("y = Add(x, w)", initializers={"w": floats(1)}),
            lambda m: twice(m.graph.initializer),
        ),
        ("two initializers", "'w'"),
    ),
    "two initializers of one name": (
        changed(
            model("y = Add(x, w)", initializers={"w": floats(1)}),
            lambda m: m.graph.initializer.append(numpy_helper.from_array(floats(8), "w")),
        ),
        ("two initializers", "'w'"),
    ),
    "an output made by nobody": (model("y = Relu(x)", outputs="y z"), ("output 'z'",)),
    "an input that is left out": (
        changed(model("y = Relu(x)"), lambda m: m.graph.node[0].input.__setitem__(0, "")),
        ("Relu 'Relu_0'",),
    ),
    "no graph": (
        changed(model("y = Relu(x)"), lambda m: m.ClearField("graph")),
        ("not an ONNX model",),
    ),
    "no operator sets": (
        changed(model("y = Relu(x)"), lambda m: m.ClearField("opset_import")),
        ("opset", "Relu"),
    ),
    "a domain that is not imported": (
        changed(model("y = Relu(x)"), lambda m: setattr(m.graph.node[0], "domain", "other")),
        ("opset", "other"),
    ),
    "a negative size": (
        changed(model("y = Relu(x)"), lambda m: setattr(dims(m)[2], "dim_value", -3)),
        ("'x'", "-3"),
    ),
    "a function that calls itself": (
        model("y = custom.f(x)", functions=function("b = custom.f(a)")),
        ("'f' calls itself",),
    ),
    "functions that call each other": (
        model(
            "y = custom.f(x)",
            functions=function("b = custom.h(a)") + function("b = custom.f(a)", "h"),
        ),
        ("'f' calls itself",),
    ),
    "a function with too many arguments": (
        model("y = custom.f(x, x)", functions=function("b = Relu(a)")),
        ("f_0", "more inputs or outputs"),
    ),
    "a function with too many arguments in a branch": (
        model(
            "y = If(c)<then_branch = t() => (float p) { p = custom.f(x, x) }, "
            "else_branch = e() => (float q) { q = Neg(x) }>",
            "float[1] x, bool[1] c",
            functions=function("b = Relu(a)"),
        ),
        ("more inputs or outputs", "'f'"),
    ),
    "a function without an argument that it needs": (
        model("y = custom.f(x)", functions=function("b = Add(a, c)", arguments="a, c")),
        ("f_0/Add",),
    ),
    "a function that looks outside": (
        model("z = Neg(x) y = custom.f(x)", functions=function("b = Add(a, z)")),
        ("f_1/Add", "'z'"),
    ),
    "a function of an old operator set": (
        model("y = custom.f(x)", functions=function("b = Add(a, a)", opset=6)),
        ("operator set 6", "version_converter"),
    ),
}


def nameless(made: onnx.ModelProto) -> None:
    made.graph.input.add().CopyFrom(made.graph.input[0])
    made.graph.input[1].name = ""


RULES["an input without a name"] = (changed(model("y = Relu(x)"), nameless), ("has no name",))


@pytest.mark.parametrize(("made", "words"), RULES.values(), ids=RULES)
def test_a_graph_that_breaks_a_rule(run: Run, made: onnx.ModelProto, words: tuple[str]) -> None:
    run.refused(run.save(made), *words)


# ---------------------------------------------------------------- operators that nobody knows


@pytest.mark.parametrize(
    ("body", "opset"), [("y = OptionalGetElement()", 12), ("y = Squeeze<axes = 3>(x)", 13)]
)
def test_an_operator_that_its_set_does_not_have_so(body: str, opset: int) -> None:
    """It is no internal error: what is not known of it reads everything, or is told."""
    with suppress(rfgraph.RFGraphError):
        rfgraph.analyze(model(body, PICTURE, opset=opset))


@pytest.mark.parametrize("version", [-1, 0])
def test_an_operator_set_that_does_not_exist(run: Run, version: int) -> None:
    made = model("y = Relu(x)")
    made.opset_import[0].version = version
    run.refused(run.save(made), f"there is no operator set {version}")


@pytest.mark.parametrize(("version", "text"), [(1, "y = Relu(x)"), (6, "y = Add(x, x)")])
def test_an_operator_that_is_defined_anew_since(run: Run, version: int, text: str) -> None:
    made = model(text)
    made.opset_import[0].version = version
    words = f"operator set {version} defines it differently from operator set 7"
    run.refused(run.save(made), words, "version_converter")


@pytest.mark.parametrize("version", [1000, 2**31 - 1, 2**31, 2**63 - 1])
def test_an_operator_set_of_the_future(run: Run, version: int) -> None:
    made = model("a = Conv(x, w) y = Wibble(a)", initializers={"w": floats(1, 1, 3, 3)})
    made.opset_import[0].version = version
    code, out, _ = run("show", run.save(made))
    assert code == 0
    assert "3x3" in out


@pytest.mark.parametrize("operator", ["Wibble", "custom.Wibble"])
@pytest.mark.parametrize(
    "shape", ["", "[1]", "[1,1]", "[1,1,1,1]", "[1,1,8,8]", "[N]", "[N,M]", "[N,3]"]
)
def test_an_unknown_operator_sees_everything(operator: str, shape: str) -> None:
    made = model(f"z = {operator}(x) y = Add(x, z)", f"float{shape} x")
    a = rfgraph.analyze(made, assume=True)
    size = a.shape("x")
    assert size is not None
    for value in ("z", "y"):
        assert a.depends(value)
        lo, hi = a.bounds(value)
        assert (lo == 0).all()
        assert (hi == np.array(size, dtype=np.int64) - 1).all()
    assert any("Wibble" in str(note) for note in a.notes)


@pytest.mark.parametrize("operator", ["Wibble", "custom.Wibble"])
def test_an_unknown_operator_is_an_error_with_strict(run: Run, operator: str) -> None:
    path = run.save(model(f"y = {operator}(x)"))
    run.refused(path, f"{operator} 'Wibble_0'", "(analyse it without", arguments=("--strict",))


# ---------------------------------------------------------------- nodes that make no sense

W = {"w": floats(1, 1, 3, 3)}
CONV = "y = Conv{}(x, w)"

# The node's attributes or inputs, what it is given and the operator set.
NODES: dict[str, tuple[str, str, int]] = {
    "a kernel larger than the input": (CONV.format(""), "float[1,1,1,1] x", 17),
    "a kernel longer than the input": (CONV.format(""), "float[1,1,8,1] x", 17),
    "a dilated kernel larger than the input": (CONV.format("<dilations=[9,9]>"), PICTURE, 17),
    "a huge dilation": (CONV.format(f"<dilations=[{TRILLION},1]>"), PICTURE, 17),
    "a zero dilation": (CONV.format("<dilations=[0,1]>"), PICTURE, 17),
    "a zero stride": (CONV.format("<strides=[0,1]>"), PICTURE, 17),
    "a negative stride": (CONV.format("<strides=[-1,1]>"), PICTURE, 17),
    "too few strides": (CONV.format("<strides=[2]>"), PICTURE, 17),
    "strides of a wrong type": (CONV.format("<strides=[1.5,2.0]>"), PICTURE, 17),
    "strides as text": (CONV.format('<strides="ab">'), PICTURE, 17),
    "too few pads": (CONV.format("<pads=[1,1]>"), PICTURE, 17),
    "too many pads": (CONV.format("<pads=[1,1,1,1,1,1]>"), PICTURE, 17),
    "negative pads": (CONV.format("<pads=[-9,0,0,0]>"), PICTURE, 17),
    "a short kernel_shape": (CONV.format("<kernel_shape=[3]>"), PICTURE, 17),
    "a kernel_shape that is not the kernel's": (CONV.format("<kernel_shape=[5,5]>"), PICTURE, 17),
    "no groups": (CONV.format("<group=0>"), PICTURE, 17),
    "a negative number of groups": (CONV.format("<group=-1>"), PICTURE, 17),
    "too many groups": (CONV.format("<group=2>"), PICTURE, 17),
    "groups as text": (CONV.format('<group="2">'), PICTURE, 17),
    "other channels": (CONV.format(""), "float[1,3,8,8] x", 17),
    "no kernel": ("y = Conv(x)", PICTURE, 17),
    "no input": ("y = Conv() z = Relu(x)", PICTURE, 17),
    "a signal for a picture": (CONV.format(""), "float[1,1,8] x", 17),
    "a scalar for a picture": (CONV.format(""), "float x", 17),
    "a transposed zero stride": ("y = ConvTranspose<strides=[0,1]>(x, w)", PICTURE, 17),
    "huge pads, transposed": (f"y = ConvTranspose<pads=[{TRILLION},0,0,0]>(x, w)", PICTURE, 17),
    "no groups, transposed": ("y = ConvTranspose<group=0>(x, w)", PICTURE, 17),
    "a short output_shape": ("y = ConvTranspose<output_shape=[16]>(x, w)", PICTURE, 17),
    "a short output_padding": ("y = ConvTranspose<output_padding=[1]>(x, w)", PICTURE, 17),
    "no kernel_shape": ("y = MaxPool(x)", PICTURE, 17),
    "no kernel_shape with ceil_mode": ("y = MaxPool<ceil_mode=1>(x)", PICTURE, 17),
    "a short kernel_shape of a pool": ("y = MaxPool<kernel_shape=[2]>(x)", PICTURE, 17),
    "an empty window": ("y = MaxPool<kernel_shape=[0,2]>(x)", PICTURE, 17),
    "a negative window": ("y = MaxPool<kernel_shape=[-2,2]>(x)", PICTURE, 17),
    "a pool larger than the input": ("y = MaxPool<kernel_shape=[20,20]>(x)", PICTURE, 17),
    "a huge pool": (f"y = MaxPool<kernel_shape=[{TRILLION},2]>(x)", PICTURE, 17),
    "a pool of a vector": ("y = MaxPool<kernel_shape=[2]>(x)", "float[8] x", 17),
    "LRN without a size": ("y = LRN(x)", PICTURE, 17),
    "LRN of a vector": ("y = LRN<size=3>(x)", "float[8] x", 17),
    "Concat without an axis": ("y = Concat(x, x)", PICTURE, 17),
    "Concat along axis 9": ("y = Concat<axis=9>(x, x)", PICTURE, 17),
    "Concat of scalars": ("y = Concat<axis=0>(x, x)", "float x", 17),
    "Concat of other shapes": (
        "t = Transpose(x) y = Concat<axis=0>(x, t)",
        "float[2,3] x",
        17,
    ),
    "Split into other parts": ("y, z = Split<axis=2, split=[3,9]>(x)", PICTURE, 11),
    "Split into negative parts": ("y, z = Split<axis=2, split=[-1,9]>(x)", PICTURE, 11),
    "Transpose of an axis twice": ("y = Transpose<perm=[0,0,1,2]>(x)", PICTURE, 17),
    "Transpose of too few axes": ("y = Transpose<perm=[1,0]>(x)", PICTURE, 17),
    "Transpose of axis 9": ("y = Transpose<perm=[9,0,1,2]>(x)", PICTURE, 17),
    "Flatten at axis 9": ("y = Flatten<axis=9>(x)", PICTURE, 17),
    "Softmax over axis 9": ("y = Softmax<axis=9>(x)", PICTURE, 17),
    "LayerNormalization from axis 9": ("y = LayerNormalization<axis=9>(x, x)", PICTURE, 17),
    "ReduceMean over axis 9": ("y = ReduceMean<axes=[9]>(x)", PICTURE, 17),
    "ArgMax over axis 9": ("y = ArgMax<axis=9>(x)", PICTURE, 17),
    "Gather along axis 9": (f"i = {ints(0)} y = Gather<axis=9>(x, i)", PICTURE, 17),
    "Gather of what isn't there": (f"i = {ints(99)} y = Gather<axis=2>(x, i)", PICTURE, 17),
    "Gather of some that isn't there": (
        f"i = {ints(0, 99)} y = Gather<axis=2>(x, i)",
        PICTURE,
        17,
    ),
    "Gather far before the beginning": (
        f"i = {ints(1, -99, 3)} y = Gather<axis=2>(x, i)",
        PICTURE,
        17,
    ),
    "Gather of absurd indices": (
        f"i = {ints(2**63 - 1, -(2**63))} y = Gather<axis=2>(x, i)",
        PICTURE,
        17,
    ),
    "Gather from a scalar": (f"i = {ints(0)} y = Gather(x, i)", "float x", 17),
    "GatherND of what isn't there": (f"i = {ints(9, 9, 9, 9)} y = GatherND(x, i)", PICTURE, 17),
    "GatherND that is too deep": (f"i = {ints(*[0] * 6)} y = GatherND(x, i)", PICTURE, 17),
    "GatherND of too many batches": (
        f"i = {ints(0)} y = GatherND<batch_dims=7>(x, i)",
        PICTURE,
        17,
    ),
    "GatherND of fewer batches than none": (
        f"i = {ints(0)} y = GatherND<batch_dims=-9223372036854775808>(x, i)",
        PICTURE,
        17,
    ),
    "GatherElements of another rank": (f"i = {ints(0)} y = GatherElements(x, i)", PICTURE, 17),
    "Einsum of too many operands": ('y = Einsum<equation="ij,jk->ik">(x)', "float[2,2] x", 17),
    "Einsum of another rank": ('y = Einsum<equation="ij->i">(x)', PICTURE, 17),
    "Einsum of what isn't there": ('y = Einsum<equation="abcd->z">(x)', PICTURE, 17),
    "Einsum without an equation": ("y = Einsum(x)", PICTURE, 17),
    "MatMul of scalars": ("y = MatMul(x, x)", "float x", 17),
    "MatMul of other sizes": ("y = MatMul(x, x)", "float[2,3] x", 17),
    "Gemm of other sizes": ("y = Gemm(x, x)", "float[2,3] x", 17),
    "Gemm of three axes": ("y = Gemm(x, x)", "float[2,2,2] x", 17),
    "Gemm of one": ("y = Gemm(x)", "float[2,2] x", 17),
    "Add of other sizes": ("t = Transpose(x) y = Add(x, t)", "float[2,3] x", 17),
    "Add of one": ("y = Add(x)", PICTURE, 17),
    "Reshape to more": (f"s = {ints(128)} y = Reshape(x, s)", PICTURE, 17),
    "Reshape to fewer": (f"s = {ints(1, 1, 4, 4)} y = Reshape(x, s)", PICTURE, 17),
    "Reshape to one": (
        "s = Constant<value = int64[0] {}>() y = Reshape(x, s)",
        PICTURE,
        17,
    ),
    "Reshape to two open sizes": (f"s = {ints(-1, -1)} y = Reshape(x, s)", PICTURE, 17),
    "Reshape to what doesn't divide": (f"s = {ints(-1, 7)} y = Reshape(x, s)", PICTURE, 17),
    "Reshape to a negative size": (f"s = {ints(-5)} y = Reshape(x, s)", PICTURE, 17),
    "Reshape to a huge size": (f"s = {ints(TRILLION, TRILLION)} y = Reshape(x, s)", PICTURE, 17),
    "Reshape to nothing": ("y = Reshape(x)", PICTURE, 17),
    "Reshape to a thousand axes": (
        f"n = {ints(1000)} s = ConstantOfShape<value = int64[1] {{1}}>(n) y = Reshape(x, s)",
        PICTURE,
        17,
    ),
    "Squeeze of an axis that is longer": ("y = Squeeze<axes=[2]>(x)", PICTURE, 11),
    "Squeeze of axis 9": ("y = Squeeze<axes=[9]>(x)", PICTURE, 11),
    "Unsqueeze of nothing": ("y = Unsqueeze(x)", PICTURE, 11),
    "Unsqueeze twice": ("y = Unsqueeze<axes=[1,1]>(x)", PICTURE, 11),
    "Slice of axis 9": ("y = Slice<starts=[0], ends=[1], axes=[9]>(x)", PICTURE, 9),
    "Slice from nowhere": ("y = Slice(x)", PICTURE, 9),
    "Slice with more starts": ("y = Slice<starts=[0,1], ends=[1]>(x)", PICTURE, 9),
    "Slice with a zero step": (
        f"s = {ints(0)} e = {ints(9)} a = {ints(2)} y = Slice(x, s, e, a, s)",
        PICTURE,
        17,
    ),
    "Slice of an axis twice": (
        f"s = {ints(0, 1)} e = {ints(9, 9)} a = {ints(2, 2)} y = Slice(x, s, e, a)",
        PICTURE,
        17,
    ),
    "Pad that crops all": (f"p = {ints(0, 0, -9, 0, 0, 0, 0, 0)} y = Pad(x, p)", PICTURE, 17),
    "Pad of too few axes": (f"p = {ints(0, 0, 1)} y = Pad(x, p)", PICTURE, 17),
    "Tile by a negative number": (f"r = {ints(1, 1, -1, 1)} y = Tile(x, r)", PICTURE, 17),
    "Resize by nothing": (
        "s = Constant<value = float[4] {1, 1, 0, 1}>() y = Resize(x, , s)",
        PICTURE,
        17,
    ),
    "Resize by a negative scale": (
        "s = Constant<value = float[4] {1, 1, -1, 1}>() y = Resize(x, , s)",
        PICTURE,
        17,
    ),
    "Resize without end": (
        "a = Constant<value = float[1] {1}>() b = Constant<value = float[4] {1, 1, 0, 1}>()"
        "s = Div(a, b) y = Resize(x, , s)",
        PICTURE,
        17,
    ),
    "Resize of no elements": (
        f"s = {ints(1, 1, 8, 8)} y = Resize(x, , , s)",
        "float[1,1,0,8] x",
        17,
    ),
    "Resize of too few axes": (
        "s = Constant<value = float[2] {1, 2}>() y = Resize(x, , s)",
        PICTURE,
        17,
    ),
    "Upsample by nothing": (
        "s = Constant<value = float[4] {1, 1, 0, 1}>() y = Upsample(x, s)",
        PICTURE,
        9,
    ),
    "blocks of nothing": ("y = DepthToSpace<blocksize=0>(x)", PICTURE, 17),
    "spaces of nothing": ("y = SpaceToDepth<blocksize=0>(x)", PICTURE, 17),
    "blocks that do not fit": ("y = SpaceToDepth<blocksize=3>(x)", PICTURE, 17),
    "CumSum along two axes": (f"a = {ints(0, 1)} y = CumSum(x, a)", PICTURE, 17),
    "CumSum along axis 9": ("a = Constant<value = int64 {9}>() y = CumSum(x, a)", PICTURE, 17),
    "batches of a scalar": ("y = BatchNormalization(x, x, x, x, x)", "float x", 17),
    "instances of a vector": ("y = InstanceNormalization(x, x, x)", "float[3] x", 17),
    "a pool that steps backwards": (
        "y = LpPool<ceil_mode=1, kernel_shape=[3,3], dilations=[-2,1]>(x)",
        PICTURE,
        21,
    ),
    "lengths of another batch": (
        f"l = {ints(2, 2, 2)} n = Cast<to = 6>(l) y = RNN<hidden_size=2>(x, v, r, , n)",
        "float[4,2,3] x, float[1,2,3] v, float[1,2,2] r",
        17,
    ),
    "a loop under two conditions": (
        "n = Constant<value = int64 {3}>() c = Constant<value = bool[2] {1, 1}>()"
        " y = Loop(n, c, x)<body = b(int64 i, bool d, float s) => (bool e, float t)"
        " { e = Identity(d) t = Neg(s) }>",
        PICTURE,
        17,
    ),
    "a loop without a count": (
        "n = Constant<value = int64[0] {}>()"
        " y = Loop(n, , x)<body = b(int64 i, bool d, float s) => (bool e, float t)"
        " { e = Identity(d) t = Neg(s) }>",
        PICTURE,
        17,
    ),
    "one branch": (
        "y = If(c)<then_branch = t() => (float p) { p = Neg(x) }>",
        "float[1] x, bool[1] c",
        17,
    ),
}


@pytest.mark.parametrize(("body", "inputs", "opset"), NODES.values(), ids=NODES)
def test_a_node_that_makes_no_sense(run: Run, body: str, inputs: str, opset: int) -> None:
    made = model(body, inputs, opset=opset, initializers=W if "w)" in body else None)
    node = next(n for n in made.graph.node if "y" in n.output)
    run.refused(run.save(made), f"{node.op_type} '")


NUMBERS = helper.make_tensor("", TensorProto.INT64, [1], [64])
CONSTANTS = {
    "nothing": [],
    "a tensor that is left out": [onnx.AttributeProto(name="value", type="TENSOR")],
    "several tensors": [onnx.AttributeProto(name="value", type="TENSORS", tensors=[NUMBERS])],
    "a tensor that is said to be a number": [
        onnx.AttributeProto(name="value", type="INT", t=NUMBERS)
    ],
    "a number that is said to be a tensor": [onnx.AttributeProto(name="value", type="TENSOR", i=3)],
    "a wrong name": [helper.make_attribute("wibble", NUMBERS)],
}


@pytest.mark.parametrize("attributes", CONSTANTS.values(), ids=CONSTANTS)
def test_a_constant_that_has(run: Run, attributes: list[onnx.AttributeProto]) -> None:
    made = model("y = Reshape(x, s)")
    made.graph.node.insert(0, helper.make_node("Constant", [], ["s"]))
    made.graph.node[0].attribute.extend(attributes)
    code, out, err = run("show", run.save(made))
    if code:
        assert (code, out) == (2, "")
        check_line(err, "'s'" if "Constant" not in err else "Constant '")
    else:
        assert "global" in out


def test_an_attribute_that_the_operator_does_not_have(run: Run) -> None:
    """It says nothing, and so it harms nothing; here the shape has to be found node by node."""
    made = model("n = NonZero(x) z = Transpose(n) y = Relu(x)", "float[3] x")
    made.graph.node[1].attribute.append(helper.make_attribute("wibble", 1))
    assert run("show", run.save(made))[0] == 0


# ---------------------------------------------------------------- huge sizes


@pytest.mark.parametrize(
    "given",
    [f"x=1,1,{TRILLION},30", f"x=1,1,30,{2**63}", f"x=1,1,30,{10**30}", f"x={TRILLION},1,30,30"],
)
def test_a_huge_shape(run: Run, given: str) -> None:
    run.refused(MODELS / "lenet_textbook.onnx", "smaller sizes", arguments=("--shape", given))


def declared(name: str, *shape: int, element_type: int = TensorProto.FLOAT) -> TensorProto:
    """An initializer without contents."""
    return TensorProto(name=name, dims=shape, data_type=element_type)


HUGE: dict[str, onnx.ModelProto] = {
    "an input": model("y = Relu(x)", f"float[1,1,{TRILLION},8] x"),
    "a picture": model("y = Relu(x)", f"float[1,1,{TRILLION},{TRILLION}] x"),
    "an initializer": changed(
        model("y = Add(x, c)", "float[1,1,8,1] x"),
        lambda m: m.graph.initializer.append(declared("c", TRILLION)),
    ),
    "a shape": changed(
        model("y = Reshape(x, c)"),
        lambda m: m.graph.initializer.append(declared("c", TRILLION, element_type=7)),
    ),
    "Expand": model(f"s = {ints(TRILLION, 1, 8, 8)} y = Expand(x, s)"),
    "Expand of a constant": model(
        f"s = {ints(TRILLION)} o = {ints(1)} i = Expand(o, s) y = Gather<axis = 2>(x, i)"
    ),
    "Tile": model(f"r = {ints(1, 1, TRILLION, 1)} y = Tile(x, r)"),
    "Resize": model(f"s = {ints(1, 1, TRILLION, 8)} y = Resize(x, , , s)"),
    "Resize by scales": model(
        "s = Constant<value = float[4] {1.0, 1.0, 1000000000000.0, 1.0}>() y = Resize(x, , s)"
    ),
    "Pad": model(f"p = {ints(0, 0, TRILLION, 0, 0, 0, 0, 0)} y = Pad(x, p)"),
    "Pad by reflecting": model(
        f'p = {ints(0, 0, TRILLION, 0, 0, 0, 0, 0)} y = Pad<mode = "reflect">(x, p)'
    ),
    "pads": model(CONV.format(f"<pads = [{TRILLION}, 0, 0, 0]>"), initializers=W),
    "strides": model(f"y = ConvTranspose<strides = [{TRILLION}, 1]>(x, w)", initializers=W),
    "an output_shape": model(
        f"y = ConvTranspose<output_shape = [{TRILLION}, 8]>(x, w)", initializers=W
    ),
    "Range": model(
        "a = Constant<value = int64 {0}>() b = Constant<value = int64 {1000000000000}>()"
        "c = Constant<value = int64 {1}>() i = Range(a, b, c) y = Gather<axis = 2>(x, i)"
    ),
    "OneHot": model(
        "d = Constant<value = int64 {1000000000000}>() v = Constant<value = float[2] {0, 1}>()"
        f"i = {ints(1, 2)} h = OneHot(i, d, v) z = ReduceSum<keepdims = 0>(h) y = Add(x, z)"
    ),
}


@pytest.mark.parametrize("made", HUGE.values(), ids=HUGE)
def test_a_huge_axis(run: Run, made: onnx.ModelProto) -> None:
    line = run.refused(run.save(made), "has an axis of ", "(give smaller sizes")
    assert "out of memory" not in line


# What ONNX's own inference is tempted to write out.
TEMPTING = {
    "ConstantOfShape": f"s = {ints(TRILLION)} c = ConstantOfShape(s) y = Add(x, c)",
    "ConstantOfShape of integers": (
        f"s = {ints(TRILLION)} c = ConstantOfShape<value = int64[1] {{1}}>(s) y = Reshape(x, c)"
    ),
    "a shape that doubles forty times": " ".join(
        [
            f"a0 = {ints(1)}",
            *(f"a{k + 1} = Concat<axis = 0>(a{k}, a{k})" for k in range(40)),
            "y = Reshape(x, a40)",
        ]
    ),
}


@posix
@pytest.mark.parametrize("body", TEMPTING.values(), ids=TEMPTING)
def test_a_huge_constant(run: Run, body: str) -> None:
    refused_cheaply("show", run.save(model(body, "float[1,1,8,1] x")))


# Many elements, though no axis is long: fine as long as the bounds don't vary over them.
WIDE = {
    "Expand": f"s = {ints(1, 10**4, 10**4, 8, 8)} y = Expand(x, s)",
    "ConstantOfShape": f"s = {ints(*[1000] * 9)} c = ConstantOfShape(s)"
    "z = ReduceSum<keepdims = 0>(c) y = Add(x, z)",
    "a product": f"s = {ints(10**6, 1)} t = {ints(1, 10**6)} a = ConstantOfShape(s)"
    "b = ConstantOfShape(t) c = MatMul(a, b) z = ReduceSum<keepdims = 0>(c) y = Add(x, z)",
    "broadcasting": f"s = {ints(10**6, 1)} t = {ints(1, 10**6)} a = ConstantOfShape(s)"
    "b = ConstantOfShape(t) c = Add(a, b) z = ReduceSum<keepdims = 0>(c) y = Add(x, z)",
}


@pytest.mark.parametrize("body", WIDE.values(), ids=WIDE)
def test_many_elements_of_a_constant(body: str) -> None:
    a = rfgraph.analyze(model(body))
    lo, hi = a.bounds("y", "x")
    assert lo.size < 10**4
    assert (hi >= lo).all()


REGROUPED = f"s = {ints(10**5, 10**4)} r = Reshape(x, s) y = Transpose(r)"


def test_axes_that_are_cut_cost_nothing() -> None:
    """Each of 10^9 elements lies elsewhere, but by digits of its place."""
    a = rfgraph.analyze(model(REGROUPED, "float[10000,100000] x"))
    place = 54_321 * 10_000 + 678
    row, column = divmod(place, 100_000)
    assert a.box("y", (678, 54_321)) == ((row, row), (column, column))


def test_bounds_that_would_fill_the_memory() -> None:
    """No digit of the one shape ends where an axis of the other does."""
    made = model(
        f"s = {ints(10**4 + 1, 10**5 - 1)} r = Reshape(x, s) y = Transpose(r)",
        f"float[{10**5 - 1},{10**4 + 1}] x",
    )
    with pytest.raises(rfgraph.ShapeError, match="smaller sizes"):
        rfgraph.analyze(made)


SLOW: dict[str, onnx.ModelProto] = {
    "a huge stride over one element": model(
        f"y = ConvTranspose<strides = [{TRILLION}, 1]>(x, w)",
        "float[1,1,1,8] x",
        initializers=W,
    ),
    "a long kernel with a long stride": changed(
        model("y = ConvTranspose<strides = [100000]>(x, c)", "float[1,1,2] x"),
        lambda m: m.graph.initializer.append(declared("c", 1, 1, 100000)),
    ),
}


@posix
@pytest.mark.parametrize("made", SLOW.values(), ids=SLOW)
def test_what_may_not_hang(run: Run, made: onnx.ModelProto) -> None:
    done = limited("show", run.save(made))
    assert done.code in (0, 2)
    assert "internal error" not in done.err
    assert done.peak < LITTLE


def nested_functions(depth: int, calls: int) -> onnx.ModelProto:
    """Functions each of which calls the next one `calls` times."""
    inner = ["b = Relu(a)"]
    for k in range(depth):
        names = ["a", *(f"t{i}" for i in range(calls - 1)), "b"]
        inner.append(" ".join(f"{names[i + 1]} = custom.f{k}({names[i]})" for i in range(calls)))
    functions = " ".join(function(body, f"f{k}") for k, body in enumerate(inner))
    return model(f"y = custom.f{depth}(x)", functions=functions)


@posix
def test_functions_that_double_thirty_times(run: Run) -> None:
    err = refused_cheaply("show", run.save(nested_functions(30, 2)))
    assert "function" in err


def test_functions_a_thousand_deep(run: Run) -> None:
    code, _, err = run("show", run.save(nested_functions(1000, 1)))
    if code:
        check_line(err, "function")


@posix
def test_long_axes_through_many_layers(run: Run) -> None:
    """As arrays, the bounds of all layers would not fit."""
    lines = [f"a{k + 1} = Conv<pads = [1, 1]>(a{k}, w)" for k in range(40)]
    made = model(
        " ".join([*lines, "y = Relu(a40)"]),
        f"float[1,1,{1 << 24}] a0",
        initializers={"w": floats(1, 1, 3)},
    )
    done = limited("show", run.save(made), seconds=20, gigabytes=4)
    assert (done.code, done.err) == (0, ""), done
    assert "81 /1 @-40" in done.out
    assert done.peak < LITTLE


@posix
def test_many_parts(run: Run) -> None:
    """Each of many inputs is a small part of what they are joined to."""
    made = model(f"y = Concat<axis = 0>({', '.join(['x'] * 6000)})", "float[3] x")
    done = limited("unit", run.save(made), "y", "17999", seconds=20)
    if done.code:
        assert done.code == 2, done
        check_line(done.err)
        assert "out of memory" not in done.err
    else:
        assert "2..2" in done.out
    assert done.peak < LITTLE


def sparse(name: str, shape: tuple[int, ...], values: list[int], indices: list[int]) -> object:
    return onnx.SparseTensorProto(
        dims=shape,
        values=numpy_helper.from_array(np.array(values, dtype=np.int64), name),
        indices=numpy_helper.from_array(np.array(indices, dtype=np.int64)),
    )


@posix
@pytest.mark.parametrize("body", ["y = Gather<axis = 2>(x, c)", "n = Neg(c) y = Reshape(x, n)"])
def test_a_huge_sparse_tensor(run: Run, body: str) -> None:
    made = model(body)
    made.graph.sparse_initializer.append(sparse("c", (10**5, 10**5), [1], [1]))
    done = limited("show", run.save(made))
    assert done.code in (0, 2)
    assert "internal error" not in done.err
    assert done.peak < LITTLE


SPARSE = {
    "an index outside": ((3,), [1, 1, 64], [0, 1, 9]),
    "fewer values": ((3,), [1, 64], [0, 1, 2]),
    "a negative size": ((-3,), [1, 64], [0, 1]),
}


@pytest.mark.parametrize(("shape", "values", "indices"), SPARSE.values(), ids=SPARSE)
def test_a_sparse_tensor_that_makes_no_sense(
    run: Run, shape: tuple[int], values: list[int], indices: list[int]
) -> None:
    made = model("y = Reshape(x, c)")
    made.graph.sparse_initializer.append(sparse("c", shape, values, indices))
    run.refused(run.save(made), "'c'")


# ---------------------------------------------------------------- contents of tensors

CONTENTS = {
    "too short": (TensorProto.INT64, bytes(8)),
    "too long": (TensorProto.INT64, bytes(80)),
    "no multiple": (TensorProto.INT64, bytes(7)),
    "none": (TensorProto.INT64, b""),
    "without a type": (TensorProto.UNDEFINED, bytes(24)),
    "of a type that there is not": (12345, bytes(24)),
}


@pytest.mark.parametrize(("element_type", "raw"), CONTENTS.values(), ids=CONTENTS)
def test_contents_that_do_not_fit(run: Run, element_type: int, raw: bytes) -> None:
    made = model("y = Reshape(x, s)")
    tensor = TensorProto(name="s", dims=[3], raw_data=raw)
    tensor.data_type = element_type
    made.graph.initializer.append(tensor)
    line = run.refused(run.save(made))
    assert "tensor 's'" in line or "Reshape 'Reshape_0'" in line


def test_contents_that_nobody_needs_may_be_wrong() -> None:
    made = model("y = Conv(x, w)")
    made.graph.initializer.append(
        TensorProto(name="w", dims=[1, 1, 3, 3], data_type=1, raw_data=bytes(5))
    )
    assert rfgraph.analyze(made).shape("y") == (1, 1, 6, 6)


# ---------------------------------------------------------------- external data


def external(location: str, **entries: object) -> TensorProto:
    """A shape that lies in another file."""
    tensor = TensorProto(name="s", dims=[3], data_type=TensorProto.INT64)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def as_initializer(tensor: TensorProto) -> onnx.ModelProto:
    made = model("y = Reshape(x, s)")
    made.graph.initializer.append(tensor)
    return made


def as_constant(tensor: TensorProto) -> onnx.ModelProto:
    made = model("y = Reshape(x, s)")
    made.graph.node.insert(0, helper.make_node("Constant", [], ["s"], value=tensor))
    return made


def as_fill(tensor: TensorProto) -> onnx.ModelProto:
    del tensor.dims[:]
    tensor.dims.append(1)
    made = model(f"n = {ints(1)} y = Reshape(x, s)")
    made.graph.node.insert(1, helper.make_node("ConstantOfShape", ["n"], ["s"], value=tensor))
    return made


def of_sparse(tensor: TensorProto) -> onnx.SparseTensorProto:
    indices = numpy_helper.from_array(np.arange(3))
    return onnx.SparseTensorProto(dims=[3], values=tensor, indices=indices)


def as_sparse_initializer(tensor: TensorProto) -> onnx.ModelProto:
    made = model("y = Reshape(x, s)")
    made.graph.sparse_initializer.append(of_sparse(tensor))
    return made


def as_sparse_constant(tensor: TensorProto) -> onnx.ModelProto:
    made = model("y = Reshape(x, s)")
    node = helper.make_node("Constant", [], ["s"], sparse_value=of_sparse(tensor))
    made.graph.node.insert(0, node)
    return made


CARRIERS = [as_initializer, as_constant, as_sparse_initializer, as_sparse_constant]


@pytest.fixture
def beside(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run whose model lies in a folder of its own; outside it, where we are, is more."""
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    shape = np.array([1, 1, 64]).tobytes()
    (outside / "secret.bin").write_bytes(shape)
    (outside / "fill.bin").write_bytes(np.array([32]).tobytes())
    (inside / "data.bin").write_bytes(shape)
    if os.name == "posix":
        (inside / "link.bin").symlink_to(outside / "secret.bin")
        (inside / "way").symlink_to(outside)
    monkeypatch.chdir(outside)
    run.folder = inside
    return run


@pytest.mark.parametrize("carrier", CARRIERS)
def test_data_beside_the_model(beside: Run, carrier: Callable[[TensorProto], object]) -> None:
    path = beside.save(carrier(external("data.bin")))  # type: ignore[arg-type]
    assert rfgraph.analyze(path).shape("y") == (1, 1, 64)


@pytest.mark.parametrize(
    "location",
    [
        "../outside/secret.bin",
        pytest.param("link.bin", marks=posix),
        pytest.param("way/secret.bin", marks=posix),
        "secret.bin",
        "ABSOLUTE",
    ],
)
@pytest.mark.parametrize("carrier", CARRIERS)
def test_data_outside_the_folder(
    beside: Run, carrier: Callable[[TensorProto], object], location: str
) -> None:
    location = location.replace("ABSOLUTE", str(Path("secret.bin").absolute()))
    path = beside.save(carrier(external(location)))  # type: ignore[arg-type]
    expected = "can't be read" if location == "secret.bin" else "outside the model's folder"
    beside.refused(path, "'s'", location, expected)


def test_a_fill_value_outside_the_folder(beside: Run) -> None:
    path = beside.save(as_fill(external("fill.bin")))
    # One axis of all 64 elements, whatever the file says it is.
    assert beside("show", path)[0] == 2 or rfgraph.analyze(path).shape("y") == (64,)


WRONG: dict[str, tuple[str, dict[str, object]]] = {
    "missing": ("nothing.bin", {}),
    "no location": ("", {}),
    "a folder": (".", {}),
    "an offset beyond the end": ("data.bin", {"offset": 8}),
    "a far offset": ("data.bin", {"offset": TRILLION}),
    "a negative offset": ("data.bin", {"offset": -8}),
    "an absurd offset": ("data.bin", {"offset": 10**30}),
    "an offset that is no number": ("data.bin", {"offset": "a"}),
    "a short length": ("data.bin", {"length": 8}),
    "an empty length": ("data.bin", {"length": 0}),
    "a long length": ("data.bin", {"length": 10**13}),
    "an absurd length": ("data.bin", {"length": 10**30}),
    "a name that no file has": ("a\0b", {}),
    "a name that is too long": ("a" * 5000, {}),
    "a name with a newline": ("a\nb", {}),
}


@pytest.mark.parametrize(("location", "entries"), WRONG.values(), ids=WRONG)
def test_data_that_can_not_be_read(beside: Run, location: str, entries: dict[str, object]) -> None:
    path = beside.save(as_initializer(external(location, **entries)))
    beside.refused(path, "tensor 's'")


@pytest.mark.parametrize("element_type", [TensorProto.UNDEFINED, TensorProto.STRING, 99])
def test_data_of_a_type_that_is_none(beside: Run, element_type: int) -> None:
    tensor = external("data.bin")
    tensor.data_type = element_type
    beside.refused(beside.save(as_initializer(tensor)), "tensor 's'")


@posix
def test_data_in_a_huge_file(beside: Run) -> None:
    """Only what the tensor needs is read."""
    with (beside.folder / "huge.bin").open("wb") as stream:
        stream.truncate(1 << 36)
    done = limited("show", beside.save(as_initializer(external("huge.bin"))))
    assert done.code in (0, 2)
    assert done.peak < LITTLE


@posix
def test_data_in_a_pipe(beside: Run) -> None:
    os.mkfifo(beside.folder / "pipe")
    path = beside.save(as_initializer(external("pipe")))
    refused_cheaply("show", path)


def test_data_of_a_model_without_a_folder() -> None:
    content = as_initializer(external("data.bin")).SerializeToString()
    with pytest.raises(rfgraph.ModelError, match="has no folder"):
        rfgraph.analyze(content)


# ---------------------------------------------------------------- subgraphs

YES = "k = Constant<value = bool {1}>()"


def branches(then: str, otherwise: str = "q = Constant<value = float[1] {0}>()") -> str:
    return (
        f"If(k)<then_branch = t() => (float[3] p) {{ {then} }}, "
        f"else_branch = e() => (float[3] q) {{ {otherwise} }}>"
    )


INNER = {
    "a branch": f"{YES} d = Neg(x) y = {branches('p = Neg(d)')}",
    "the other branch": (
        "k = Constant<value = bool {0}>() "
        f"y = {branches('p = Constant<value = float[1] {0}>()', 'q = Neg(x)')}"
    ),
    "a branch's output": f"{YES} p = Neg(x) y = {branches('')}",
    "a branch of a branch": f"{YES} y = "
    + branches(
        "p = If(k)<then_branch = t2() => (float[3] r) { r = Neg(x) }, "
        "else_branch = e2() => (float[3] u) { u = Constant<value = float[1] {0}>() }>"
    ),
    "a branch before its value": f"y = {branches('p = Neg(d)')} d = Neg(x) {YES}",
    "a branch with the same name inside": (
        f"{YES} d = Neg(x) y = {branches('p = Neg(d)', 'r = Identity(k) q = Cast<to = 1>(r)')}"
    ),
    "a loop": (
        f"n = Constant<value = int64 {{3}}>() {YES} z = Constant<value = float[3] {{0, 0, 0}}>()"
        "y = Loop(n, k, z)<body = b(int64 i, bool c, float[3] s) => (bool o, float[3] r)"
        "{ o = Identity(c) r = Add(s, x) }>"
    ),
    "a scan": (
        "z = Constant<value = float {0}>() v, y = Scan<num_scan_inputs = 1, body = "
        "b(float s, float e) => (float r, float o) { r = Add(s, e) o = Identity(r) }>(z, x)"
    ),
    "an operator of another domain": "y = custom.Wibble()<body = b() => (float p) { p = Neg(x) }>",
    "an unknown operator": "y = Wibble()<body = b() => (float p) { p = Neg(x) }>",
}


@pytest.mark.parametrize("body", INNER.values(), ids=INNER)
def test_what_a_subgraph_takes_from_outside_counts(body: str) -> None:
    a = rfgraph.analyze(model(body, "float[3] x"))
    assert a.depends("y", "x")
    lo, hi = a.bounds("y", "x")
    assert (lo.min(), hi.max()) == (0, 2)


def test_a_subgraph_without_a_type_still_counts() -> None:
    """Old files leave out the type of an attribute."""
    made = model("y = custom.Wibble()<body = b() => (float p) { p = Neg(x) }>", "float[3] x")
    made.graph.node[0].attribute[0].ClearField("type")
    assert rfgraph.analyze(made).depends("y", "x")


def test_a_function_is_called_in_a_branch() -> None:
    made = model(
        f"{YES} y = {branches('p = custom.f(x)')}", "float[3] x", functions=function("b = Neg(a)")
    )
    assert rfgraph.analyze(made).depends("y", "x")


def test_a_branch_in_a_function() -> None:
    body = f"{YES} d = Neg(a) b = {branches('p = Neg(d)')}"
    made = model("y = custom.f(x)", "float[3] x", functions=function(body))
    assert rfgraph.analyze(made).depends("y", "x")


# The number of elements that are not zero depends on all of them.
@pytest.mark.parametrize(
    "count",
    [
        "s = Shape(n) i = Constant<value = int64 {1}>() m = Gather(s, i) z = Cast<to = 1>(m)",
        "s = Size(n) z = Cast<to = 1>(s)",
        "s = Shape(n) c = ConstantOfShape<value = float[1] {1}>(s) z = ReduceSum<keepdims = 0>(c)",
    ],
)
def test_a_shape_that_depends_on_the_data(count: str) -> None:
    a = rfgraph.analyze(model(f"n = NonZero(x) {count} y = Add(x, z)", "float[5] x"))
    lo, hi = a.bounds("y", "x")
    assert (lo.max(), hi.min()) == (0, 4)


# ---------------------------------------------------------------- inputs of all kinds


def typed(kind: onnx.TypeProto, body: str) -> onnx.ModelProto:
    made = model(body)
    made.graph.input[0].type.CopyFrom(kind)
    return made


TENSOR = helper.make_tensor_type_proto(TensorProto.FLOAT, [2, 3])
KINDS = {
    "a sequence": helper.make_sequence_type_proto(TENSOR),
    "an optional": helper.make_optional_type_proto(TENSOR),
    "a map": helper.make_map_type_proto(TensorProto.INT64, TENSOR),
    "nothing": onnx.TypeProto(),
    "a tensor of any rank": helper.make_tensor_type_proto(TensorProto.FLOAT, None),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("form", ["text", "json"])
def test_an_input_that_is_no_tensor_of_known_rank(
    run: Run, kind: onnx.TypeProto, form: str
) -> None:
    made = typed(kind, "t = custom.Wibble(x) y = Add(t, t)")
    assert rfgraph.analyze(made).depends("y", "x")
    assert run("show", run.save(made), "--output-format", form)[0] == 0


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("option", ["--shape", "--value"])
def test_a_shape_for_what_has_none(run: Run, kind: onnx.TypeProto, option: str) -> None:
    path = run.save(typed(kind, "t = custom.Wibble(x) y = Add(t, t)"))
    code, _, err = run("show", path, option, "x=2,3")
    if code:
        check_line(err, "'x'")


def test_a_shape_for_a_tensor_of_any_rank() -> None:
    made = typed(KINDS["a tensor of any rank"], "y = Relu(x)")
    assert rfgraph.analyze(made, shapes={"x": (2, 3)}).box("y", (1, 2)) == ((1, 1), (2, 2))


def test_elements_of_a_sequence() -> None:
    made = typed(
        KINDS["a sequence"], "i = Constant<value = int64 {0}>() t = SequenceAt(x, i) y = Relu(t)"
    )
    assert rfgraph.analyze(made).depends("y", "x")


@pytest.mark.parametrize("arguments", [(), ("--all-axes",), ("--output-format", "json")])
@pytest.mark.parametrize("body", ["y = Relu(x)", f"s = {ints(2, 3)} y = Expand(x, s)"])
def test_a_scalar_input(run: Run, body: str, arguments: tuple[str]) -> None:
    code, out, _ = run("show", run.save(model(body, "float x")), *arguments)
    assert code == 0
    assert "y" in out


def test_a_scalar_among_other_inputs(run: Run) -> None:
    code, out, _ = run("show", run.save(model("y = Mul(x, z)", f"{PICTURE}, float z")))
    assert code == 0
    assert "sees z" in out


def test_a_unit_of_a_scalar(run: Run) -> None:
    path = run.save(model("y = ReduceSum<keepdims = 0>(x)", "float[2,3] x"))
    code, out, _ = run("unit", path, "y", "()")
    assert code == 0
    assert "0..1 0..2" in out


ZERO = {
    "elementwise": "y = Relu(x)",
    "a sum": "y = ReduceSum<keepdims = 0>(x)",
    "a window": "y = AveragePool<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(x)",
    "a part": "y = Concat<axis = 2>(x, x)",
}


@pytest.mark.parametrize("body", ZERO.values(), ids=ZERO)
def test_an_input_without_elements(run: Run, body: str) -> None:
    path = run.save(model(body, "float[1,1,0,3] x"))
    assert run("show", path)[0] == 0
    assert run("show", path, "--output-format", "json")[0] == 0
    assert not rfgraph.analyze(path).depends("y", "x")


def test_a_part_without_elements() -> None:
    a = rfgraph.analyze(model("y = Concat<axis = 1>(x, z)", "float[2,0] x, float[2,3] z"))
    assert a.box("y", (0, 0), "x") is None
    assert a.box("y", (1, 2), "z") == ((1, 1), (2, 2))


@pytest.mark.parametrize("fields", [("output",), ("input", "node", "output"), ("node", "output")])
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_model_without(run: Run, fields: tuple[str], form: str) -> None:
    made = model("y = Relu(x)")
    for field in fields:
        made.graph.ClearField(field)
    assert run("show", run.save(made), "--output-format", form)[0] == 0


def test_a_model_without_inputs(run: Run) -> None:
    path = run.save(model("y = Constant<value = float[1] {1}>()", ""))
    assert run("show", path)[0] == 0
    code, _, err = run("show", path, "--shape", "1,1")
    assert code == 2
    check_line(err, "0 inputs")


def test_an_input_that_is_an_output() -> None:
    a = rfgraph.analyze(model("y = Conv(x, w)", outputs="y x", initializers=W))
    assert a.shape("y") == (1, 1, 6, 6)
    assert a.box("y", (0, 0, 1, 2)) == ((0, 0), (0, 0), (1, 3), (2, 4))


@pytest.mark.parametrize("rank", [33, 48])
def test_many_axes(run: Run, rank: int) -> None:
    """More than the arrays of some libraries can have."""
    sizes = ",".join(["1"] * (rank - 1) + ["5"])
    made = model("y = Relu(x)", f"float[{sizes}] x")
    a = rfgraph.analyze(made)
    assert a.box("y", (0,) * (rank - 1) + (3,)) == ((0, 0),) * (rank - 1) + ((3, 3),)
    assert [field[-1].start for _, field in a.fields("y", axis=rank - 1)] == [0, 1, 2, 3, 4]
    for along in (0, rank - 1):
        code, _, err = run("show", run.save(made), "--along", str(along))
        assert (code, err) == (0, "")


@pytest.mark.parametrize("rank", [49, 64, 100])
def test_too_many_axes(run: Run, rank: int) -> None:
    sizes = ",".join(["1"] * rank)
    code, _, err = run("show", run.save(model("y = Relu(x)", f"float[{sizes}] x")))
    assert code == 2
    check_line(err, f"{rank} axes: more than 48", "with fewer axes")


# ---------------------------------------------------------------- names

NAMES = {
    "a newline": "a\nb",
    "other scripts": "é漢字🎉",
    "a terminal's command": "\x1b[31ma",
    "a null": "a\0b",
    "blanks": " a  b ",
    "quotes": "a\"'b",
    "many letters": "a" * 5000,
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name(run: Run, name: str) -> None:
    made = model("t = Relu(x) y = custom.Wibble(t)")
    made.graph.node[0].output[0] = made.graph.node[1].input[0] = name
    made.graph.node[1].name = name
    path = run.save(made)
    assert rfgraph.analyze(path).box(name, (0, 0, 1, 2)) == ((0, 0), (0, 0), (1, 1), (2, 2))
    code, out, _ = run("show", path)
    assert code == 0
    # The head, three values and a note: a line for each.
    assert len(out.split("\n")) == 6
    assert all(c.isprintable() for c in out.replace("\n", ""))


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31mb"])
def test_a_name_in_an_error(run: Run, name: str) -> None:
    made = model("y = Add(x, z)")
    made.graph.node[0].input[1] = name
    line = run.refused(run.save(made), "Add 'Add_0'")
    assert all(c.isprintable() for c in line.rstrip("\n"))


def test_a_name_that_is_no_text(run: Run) -> None:
    content = model("y = Wibble(x)").SerializeToString().replace(b"Wibble", b"Wib\xffle")
    code, _, err = run("show", run.save(content))
    if code:
        check_line(err)


def test_a_name_of_an_axis_that_is_no_text(run: Run) -> None:
    content = model("y = Relu(x)", "float[wibble,3] x").SerializeToString()
    code, _, err = run("show", run.save(content.replace(b"wibble", b"wib\xffle")))
    if code:
        check_line(err)


# ---------------------------------------------------------------- depth


def chain(length: int) -> onnx.ModelProto:
    made = onnx.ModelProto(ir_version=8, opset_import=[helper.make_opsetid("", 17)])
    made.graph.input.append(helper.make_tensor_value_info("a0", TensorProto.FLOAT, [1, 1, 8]))
    made.graph.output.append(helper.make_empty_tensor_value_info(f"a{length}"))
    for k in range(length):
        made.graph.node.add(op_type="Relu", input=[f"a{k}"], output=[f"a{k + 1}"])
    return made


def test_a_deep_chain() -> None:
    a = rfgraph.analyze(chain(100_000))
    assert a.box("a100000", (0, 0, 3)) == ((0, 0), (0, 0), (3, 3))
    assert a.field("a100000")[2].size == 1


def test_a_deep_chain_of_shapes() -> None:
    lines = ["s0 = Shape(x)", *(f"s{k + 1} = Abs(s{k})" for k in range(3000))]
    made = model(" ".join([*lines, "y = Reshape(x, s3000)"]))
    assert rfgraph.analyze(made).shape("y") == (1, 1, 8, 8)


def test_a_long_cycle(run: Run) -> None:
    made = chain(2000)
    made.graph.node[0].input[0] = "a2000"
    assert len(run.refused(run.save(made), "has a cycle")) < 2000
