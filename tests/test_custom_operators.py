"""Operators that rfgraph does not know: what is assumed, and how one says what they read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import rfgraph
from rfgraph import cli, reads
from rfgraph.ops import registered
from rfgraph.ops.custom import load
from tests.graphs import model

DOCUMENT = Path(__file__).parents[1] / "docs" / "custom-operators.md"

OP = 'import rfgraph\n@rfgraph.transfer("Op", domain="own", shape=lambda op: op.shape(0))\n'
WINDOW = "[rfgraph.reads.PerAxis(0, (rfgraph.reads.window(0, 3, 1, 1, 1),))]"


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str, name: str = "my_ops.py") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


Write = Callable[..., Path]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "m.onnx"
    onnx.save(model("y = own.Op(x) z = Relu(y)", "float[9] x", "z"), made)
    return made


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """`rfgraph` ends with one line of error that has some words; the line."""

    def check(*arguments: str | Path, words: tuple[str, ...]) -> str:
        assert cli.main([str(a) for a in arguments]) == 2
        out, err = capsys.readouterr()
        assert not out
        assert len(err.splitlines()) == 1
        assert "internal error" not in err
        for word in words:
            assert word in err
        return err

    return check


def windows(a: rfgraph.Analysis, name: str = "y") -> list[list[int]]:
    return [bound.ravel().tolist() for bound in a.bounds(name, axis=0)]


# ---------------------------------------------------------------- from Python


def test_a_transfer_and_its_shape() -> None:
    @rfgraph.transfer("Halve", domain="own", shape=lambda op: (op.shape(0)[0] // 2,))
    def halve(op: rfgraph.Operation) -> list[reads.Read]:
        return [reads.PerAxis(0, (reads.window(0, 2, 2, 1, 0),))]

    a = rfgraph.analyze(model("y = own.Halve(x) z = Relu(y)", "float[6] x", "z"), strict=True)
    assert a.shape("y") == a.shape("z") == (3,)
    assert windows(a, "z") == [[0, 2, 4], [1, 3, 5]]
    assert not a.notes


BLUR = """
import rfgraph
from rfgraph.reads import *
@rfgraph.transfer("Blur", domain="own", shape=lambda op: op.shape(0))
def blur(op):
    along = (same(0), window(1, 3, 1, 1, 1))
    return [PerAxis(0, along, times=%s), PerAxis(1, (same(0), WHOLE))]
"""


def blurred(times: str, path: Path, file: Callable[[str], Path]) -> rfgraph.Analysis:
    load(file(BLUR % times))
    kernel = {"k": np.array([[1, 0, 1], [0, 0, 2]], np.float32)}
    made = model("y = own.Blur(x, k) z = Relu(y)", "float[2, 5] x", "z", initializers=kernel)
    onnx.save(made, path)
    return rfgraph.analyze(path, prune=True)


def test_a_factor_cuts_what_it_makes_0(path: Path, file: Callable[[str], Path]) -> None:
    a = blurred("(Factor(1, (same(0), Tap(1))),)", path, file)
    seen = np.asarray(a.support("z", (0, 2), "x"))
    assert np.argwhere(seen).tolist() == [[0, 1], [0, 3]]
    assert np.argwhere(np.asarray(a.support("z", (1, 2), "x"))).tolist() == [[1, 3]]


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ("[Factor(1, (same(0), Tap(1)))]", "not a tuple of Factor"),
        ("(1,)", "1 is not a Factor"),
        ("(Factor('k', (same(0), Tap(1))),)", "neither the number of an input"),
        ("(Factor(1, (Tap(1),)),)", "1 axes, and its elements have the shape (2, 3)"),
        ("(Factor(1, (same(0), Tap(2))),)", "counts along an axis that"),
        ("(Factor(1, (same(0), Coordinate(1))),)", "has 5 elements, and"),
        ("(Factor(1, (same(7), Tap(1))),)", "follows an axis that"),
        ("(Factor(1, (0, Tap(1))),)", "0 is not an axis of a factor"),
    ],
)
def test_a_factor_that_makes_no_sense(
    times: str, words: str, path: Path, file: Callable[[str], Path]
) -> None:
    with pytest.raises(rfgraph.TransferError, match=re.escape(words)):
        blurred(times, path, file)


def test_the_example_of_the_document() -> None:
    code = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.S)
    for part in code:
        exec(part, {"__name__": "my_ops"})
    made = model("y = my.domain.Smooth<radius = 1>(x)", "float[1,1,5] x")
    made.opset_import.append(onnx.helper.make_opsetid("my.domain", 1))
    lo, hi = rfgraph.analyze(made, strict=True).bounds("y", axis=2)
    assert lo.ravel().tolist() == [0, 0, 1, 2, 3]
    assert hi.ravel().tolist() == [1, 2, 3, 4, 4]
    kernel = {"k": np.array([[0, 1, 1]], np.float32)}
    made = model("y = my.domain.Blur(x, k)", "float[1,1,5] x", initializers=kernel)
    made.opset_import.append(onnx.helper.make_opsetid("my.domain", 1))
    lo, hi = rfgraph.analyze(made, strict=True, prune=True).bounds("y", axis=2)
    assert lo.ravel().tolist() == [0, 1, 2, 3, 4]
    assert hi.ravel().tolist() == [1, 2, 3, 4, 4]


def test_a_list_an_output() -> None:
    @rfgraph.transfer("Two", domain="own", shape=lambda op: [op.shape(0), (1,)])
    def two(op: rfgraph.Operation) -> Any:
        return [reads.Elementwise(0)], [reads.PerAxis(0, (reads.STATISTIC,))]

    a = rfgraph.analyze(model("y, z = own.Two(x)", "float[3] x", "y z"), strict=True)
    assert windows(a, "y") == [[0, 1, 2], [0, 1, 2]]
    assert windows(a, "z") == [[0], [2]]


def test_an_attribute_that_is_a_tensor_is_onnx_s(path: Path) -> None:
    seen = []

    @rfgraph.transfer("Op", domain="own", shape=lambda op: op.shape(0))
    def op(op: rfgraph.Operation) -> Any:
        seen.append(op.attribute("kernel"))
        return [reads.PerAxis(0, (reads.window(0, seen[-1].dims[0], 1, 1, 0),))]

    made = onnx.load(path)
    kernel = onnx.numpy_helper.from_array(np.ones(3, np.float32), "kernel")
    made.graph.node[0].attribute.append(onnx.helper.make_attribute("kernel", kernel))
    onnx.save(made, path)
    for given in (path, path.read_bytes(), made):
        assert windows(rfgraph.analyze(given))[1][:3] == [2, 3, 4]
        assert seen.pop() == kernel


def test_what_can_not_be_told_is_assumed_and_noted() -> None:
    @rfgraph.transfer("Op", domain="own")
    def op(op: rfgraph.Operation) -> Any:
        raise rfgraph.Undetermined("its moon is full")

    a = rfgraph.analyze(model("y = own.Op(x)", "float[3] x"), strict=True)
    assert windows(a) == [[0], [2]]
    assert "its moon is full" in str(a.notes[0])


def test_a_shape_that_can_not_be_told() -> None:
    def undetermined(op: rfgraph.Operation) -> Any:
        raise rfgraph.Undetermined("no")

    @rfgraph.transfer("Op", domain="own", shape=undetermined)
    def op(op: rfgraph.Operation) -> Any:
        return [reads.PerAxis(0, (reads.same(0),))]

    a = rfgraph.analyze(model("y = own.Op(x)", "float[3] x"))
    assert a.shape("y") is None
    assert windows(a) == [[0], [2]]
    assert "shape=" in str(a.notes[0])


def test_the_transfer_of_the_model_s_version_holds() -> None:
    for since in (3, 1, 2):

        @rfgraph.transfer("Op", domain="own", since=since, shape=lambda op: op.shape(0))
        def op(op: rfgraph.Operation, since: int = since) -> Any:
            return [reads.PerAxis(0, (reads.window(0, since, 1, 1, 0),))]

    for version, last in ((1, 0), (2, 1), (3, 2), (9, 2)):
        made = model("y = own.Op(x)", "float[3] x")
        next(o for o in made.opset_import if o.domain == "own").version = version
        assert windows(rfgraph.analyze(made))[1][0] == last


# ---------------------------------------------------------------- registered twice


def everything(op: rfgraph.Operation) -> Any:
    return [reads.Everything(0)]


def nothing(op: rfgraph.Operation) -> Any:
    return []


@pytest.mark.parametrize("since", [1, 13, 99])
@pytest.mark.parametrize("domain", ["", "ai.onnx"])
def test_an_operator_of_rfgraph_itself_is_replaced_only_on_purpose(since: int, domain: str) -> None:
    before = registered()
    with pytest.raises(ValueError, match=r"Softmax already has a transfer.*replace=True"):
        rfgraph.transfer("Softmax", since=since, domain=domain)(nothing)
    assert registered() == before
    rfgraph.transfer("Softmax", since=since, domain=domain, replace=True)(nothing)
    kept = [rule for rule in before["", "Softmax"] if rule.since < since]
    assert registered()["", "Softmax"][:-1] == kept
    a = rfgraph.analyze(model("y = Softmax(x)", "float[3] x", opset=17))
    assert a.depends("y") == (since == 99)


def test_another_function_of_the_same_version_is_refused() -> None:
    rfgraph.transfer("Op", domain="own")(nothing)
    with pytest.raises(ValueError, match=r"own.Op already has a transfer, nothing \(test_custom"):
        rfgraph.transfer("Op", domain="own")(everything)
    rfgraph.transfer("Op", domain="own", since=2)(everything)
    rfgraph.transfer("Op", domain="own", replace=True)(everything)
    assert [(r.since, r.transfer) for r in registered()["own", "Op"]] == [(1, everything)]


def test_a_function_defined_anew_replaces_itself() -> None:
    def define(kernel: int) -> None:
        @rfgraph.transfer("Op", domain="own", shape=lambda op: op.shape(0))
        def op(op: rfgraph.Operation) -> Any:
            return [reads.PerAxis(0, (reads.window(0, kernel, 1, 1, 0),))]

    for kernel in (1, 2, 3):
        define(kernel)
    assert windows(rfgraph.analyze(model("y = own.Op(x)", "float[9] x")))[1][:2] == [2, 3]


def test_a_decorator_without_a_name() -> None:
    with pytest.raises(TypeError, match="the name of an operator"):
        rfgraph.transfer(nothing)  # type: ignore[arg-type]


# ---------------------------------------------------------------- operators that nobody knows


def test_all_is_assumed_of_an_unknown_operator(path: Path) -> None:
    a = rfgraph.analyze(path)
    assert windows(a, "z") == [[0], [8]]
    assert [str(note) for note in a.notes] == [
        "Op 'Op_0': this operator is not known: every output is assumed to read all of every input"
    ]


def test_an_unknown_operator_is_an_error_with_strict(path: Path) -> None:
    with pytest.raises(rfgraph.UnsupportedError, match=r"rfgraph\.transfer.*--ops") as raised:
        rfgraph.analyze(path, strict=True)
    assert str(path) in str(raised.value)
    assert "own.Op 'Op_0'" in str(raised.value)


@pytest.mark.parametrize("known", [False, True])
def test_a_declared_shape_is_kept(known: bool) -> None:
    """Of an operator without a transfer, and of one whose transfer has no `shape`."""
    if known:
        rfgraph.transfer("Op", domain="own")(everything)
    made = model(
        "a = own.Op(x) y = MaxPool<kernel_shape = [2], strides = [2]>(a)", "float[1,3,8] x"
    )
    made.graph.value_info.append(onnx.helper.make_tensor_value_info("a", 1, [1, 4, 6]))
    a = rfgraph.analyze(made)
    assert a.shape("a") == (1, 4, 6)
    assert a.shape("y") == (1, 4, 3)
    lo, hi = a.bounds("y", "x")
    assert (lo == 0).all()
    assert (hi == np.array([0, 2, 7])).all()


def test_a_declared_shape_is_of_the_stated_sizes_only() -> None:
    made = model("y = own.Op(x)", "float[N,3,8] x")
    made.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("y", 1, [1, 4, 6]))
    assert rfgraph.analyze(made, shapes={"x": (2, 3, 8)}).shape("y") is None


# ---------------------------------------------------------------- files of transfers


@pytest.mark.parametrize("command", [("show",), ("unit",)])
def test_ops(command: tuple[str], path: Path, file: Write, capsys: Any) -> None:
    ops = file(f"{OP}def smooth(op):\n    return {WINDOW}\n")
    unit = ("z", "4") if command == ("unit",) else ()
    # The same file again, as from a notebook, is no conflict.
    for _ in range(2):
        assert cli.main([*command, str(path), *unit, "--strict", "--ops", str(ops)]) == 0
        out, err = capsys.readouterr()
        assert not err
        assert ("3..5" in out) if unit else ("3 /1 @-1" in out)
    assert not (ops.parent / "__pycache__").exists()


def test_ops_are_run_in_order(path: Path, file: Write, refused: Callable[..., str]) -> None:
    first = file(f"{OP}def smooth(op):\n    return {WINDOW}\n", "a.py")
    later = file(f"{OP}def smooth(op):\n    return []\n", "b.py")
    refused(
        *("show", path, "--ops", first, "--ops", later),
        words=("b.py: line 2: ValueError: own.Op already has a transfer, smooth (a.py, line 2)",),
    )
    later.write_text(later.read_text().replace("shape=", "replace=True, shape="))
    assert cli.main(["show", str(path), "--ops", str(first), "--ops", str(later)]) == 0
    assert not rfgraph.analyze(path).depends("z")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import rfgraph\ndef f(:\n", ("line 2: SyntaxError",)),
        ("x = 1\n\nimport no_such_module\n", ("line 3: ModuleNotFoundError",)),
        ("def f():\n    return {}['x']\nf()\n", ("line 2: KeyError: 'x'",)),
        ("open('/no/such/file')\n", ("line 1: FileNotFoundError",)),
        ("import sys\nsys.exit(3)\n", ("line 2: SystemExit: 3",)),
        ("import json\njson.loads('{')\n", ("line 2: JSONDecodeError",)),
        ("import rfgraph\n@rfgraph.transfer\ndef f(op): ...\n", ("line 2: TypeError",)),
        ("import rfgraph\n@rfgraph.transfer('Add')\ndef f(op): ...\n", ("line 2:", "replace=True")),
        ("x = '\0'\n", ("null bytes",)),
        ("raise ValueError('one\\ntwo')\n", ("line 1: ValueError: one two",)),
    ],
)
def test_a_file_that_fails(
    text: str, words: tuple[str, ...], path: Path, file: Write, refused: Callable[..., str]
) -> None:
    refused("show", path, "--ops", file(text), words=("my_ops.py: ", *words))


def test_a_file_that_is_not_there(path: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    for missing in (tmp_path / "nope.py", tmp_path):
        refused("show", path, "--ops", missing, words=(f"{missing}: can't be read: ",))


@pytest.fixture(params=["show", "analyze"])
def fails(
    request: pytest.FixtureRequest, path: Path, file: Write, refused: Callable[..., str]
) -> Iterator[Callable[[str], str]]:
    """What is said where a file of transfers is used."""

    def message(text: str) -> str:
        ops = file(text)
        if request.param == "show":
            return refused("show", path, "--ops", ops, words=())
        exec(compile(text, str(ops), "exec"), {"__name__": "my_ops"})
        with pytest.raises(rfgraph.TransferError) as raised:
            rfgraph.analyze(path)
        return str(raised.value)

    return message


NONSENSE = {
    "None": "None is not a list of reads",
    "5": "5 is not a list of reads",
    "[5]": "5 is not a read",
    "([], [])": "2 lists of reads for 1 outputs",
    "()": "0 lists of reads for 1 outputs",
    "[R.PerAxis(-1, (R.same(0),))]": "-1 is neither the number of an input nor a Stage",
    "[R.PerAxis('x', (R.same(0),))]": "'x' is neither the number of an input nor a Stage",
    "[R.PerAxis(0, ())]": "0 reads along axes, for an input of shape (9,)",
    "[R.PerAxis(0, (R.same(1),))]": "follows an axis that an output of shape (9,) does not have",
    "[R.PerAxis(0, (R.same(-1),))]": "follows an axis that an output of shape (9,) does not have",
    "[R.PerAxis(0, (3,))]": "3 is not a read along an axis",
    "[R.PerAxis(0, (R.point(9),))]": "does not fit axis 0 of an input of shape (9,)",
    "[R.PerAxis(0, (R.Fixed(-1),))]": "does not fit axis 0 of an input of shape (9,)",
    "[R.PerAxis(0, (R.window(0, 3, 1, 0, 0),))]": "does not fit axis 0 of an input of shape (9,)",
    "[R.PerAxis(0, (R.running(0, 5),))]": "does not fit axis 0 of an input of shape (9,)",
    "[R.PerAxis(R.Stage((2,), [5]), (R.same(0),))]": "5 is not a read",
    "[R.Elementwise(R.Stage((2,), [R.Everything(0)]))]": "an input of shape (2,) can't be "
    "broadcast to an output of shape (9,)",
}


@pytest.mark.parametrize("answer", NONSENSE)
def test_a_transfer_that_answers_with_nonsense(answer: str, fails: Callable[[str], str]) -> None:
    said = fails(f"from rfgraph import reads as R\n{OP}def smooth(op):\n    return {answer}\n")
    assert "m.onnx: own.Op 'Op_0': its transfer smooth (my_ops.py, line 3) gives an answer" in said
    assert NONSENSE[answer] in said
    assert "docs/custom-operators.md" in said


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("{}['x']", "fails at line 4: KeyError: 'x'"),
        ("op.attribute('kernel')[0]", "fails at line 4: TypeError"),
        ("[rfgraph.reads.Rearrange(0, (3, 4), (0, 1))]", "can't become"),
        ("[rfgraph.reads.Rearrange(0, (3, 3), (0, 0))]", "is not a permutation"),
    ],
)
def test_a_transfer_that_fails(answer: str, error: str, fails: Callable[[str], str]) -> None:
    said = fails(f"{OP}def smooth(op):\n    return {answer}\n")
    assert "m.onnx: own.Op 'Op_0': its transfer smooth (my_ops.py, line 2) fails" in said
    assert error in said


@pytest.mark.parametrize(
    ("shape", "error"),
    [
        ("5", "gives an answer that can't be used: 5 is neither"),
        ("[9]", "gives an answer that can't be used: [9] is neither"),
        ("[(9,), (9,)]", "gives an answer that can't be used: 2 shapes for 1 outputs"),
        ("(1.5,)", "fails: TypeError"),
        ("1 / 0", "fails at line 2: ZeroDivisionError"),
    ],
)
def test_a_shape_that_fails(shape: str, error: str, fails: Callable[[str], str]) -> None:
    changed = OP.replace("op.shape(0)", shape)
    said = fails(f"{changed}def smooth(op):\n    return {WINDOW}\n")
    assert "m.onnx: own.Op 'Op_0': the shape= of its transfer smooth (my_ops.py, line 2) " in said
    assert error in said


def test_a_negative_size_is_refused(file: Write, path: Path, refused: Callable[..., str]) -> None:
    ops = file(f"{OP.replace('op.shape(0)', '(-1,)')}def smooth(op):\n    return {WINDOW}\n")
    refused("show", path, "--ops", ops, words=("own.Op 'Op_0'", "(-1,)"))
