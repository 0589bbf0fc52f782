"""Inputs that are held by a few words: what fits their shape, and what a mask of padding does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import rfgraph
from rfgraph import cli
from rfgraph.errors import QueryError, ShapeError
from tests.graphs import model

LOWEST = float(np.finfo(np.float32).min)


def language_model(time: str = "T", low: float = LOWEST) -> onnx.ModelProto:
    """One head of causal attention, masked as exports of language models are.

    The causal mask is made of positions, and joined with a mask of padding; the score of what
    either excludes is the lowest number there is.
    """
    rng = np.random.default_rng(0)
    body = """
        x = Gather(table, ids)
        sizes = Shape(ids) one = Constant<value_int=1>() zero = Constant<value_int=0>()
        length = Gather(sizes, one) place = Range(zero, length, one)
        first = Constant<value_ints=[0]>() second = Constant<value_ints=[1]>()
        query = Unsqueeze(place, second) key = Unsqueeze(place, first)
        before = LessOrEqual(key, query)
        counts = Cast<to=9>(attention_mask) row = Unsqueeze(counts, second)
        kept = And(before, row)
        bias = Where(kept, nothing, low)
        t = Transpose<perm=[0,2,1]>(x) s = MatMul(x, t) masked = Add(s, bias)
        p = Softmax(masked) y = MatMul(p, x)
    """
    return model(
        body,
        f"int64[B,{time}] ids, int64[B,{time}] attention_mask",
        initializers={
            "nothing": np.float32(0),
            "low": np.float32(low),
            "table": rng.uniform(0.1, 1, (10, 4)).astype(np.float32),
        },
    )


def last_seen(analysis: rfgraph.Analysis) -> list[int]:
    _, hi = analysis.bounds("y", "ids", axis=1)
    return [int(last) for last in hi.reshape(-1)]


@pytest.mark.parametrize(
    "value",
    ["ones", "1x6:1", "1x6:ones", "[[1, 1, 1, 1, 1, 1]]", "1x6:1,1,1,1,1,1", np.ones((1, 6), int)],
)
@pytest.mark.parametrize("time", ["T", "6"])
def test_a_mask_that_is_held(time: str, value: Any) -> None:
    """With no padding unit o attends keys 0 to o, as the model is meant to."""
    shapes = {} if time == "6" else {"ids": (1, 6)}
    held = rfgraph.analyze(
        language_model(time), shapes=shapes, values={"attention_mask": value}, prune=True
    )
    assert last_seen(held) == [0, 1, 2, 3, 4, 5]
    assert not any(note.kind == "mask" for note in held.notes)
    assert held.held["attention_mask"].tolist() == [[1] * 6]


def test_a_mask_that_may_empty_a_row() -> None:
    """By onnxruntime: where key 0 is masked, unit 0 attends all keys alike."""
    ort = pytest.importorskip("onnxruntime")
    made = language_model("6")
    free = rfgraph.analyze(made, prune=True)
    assert last_seen(free) == [5] * 6
    assert [note.operator for note in free.notes if note.kind == "mask"] == ["Softmax"]
    session = ort.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    for mask, moves in (([1] * 6, False), ([0, 1, 1, 1, 1, 1], True)):
        runs = [
            session.run(None, {"ids": [[1, 2, 3, 4, 5, last]], "attention_mask": [mask]})[0]
            for last in (6, 7)
        ]
        assert (runs[0][0, 0] != runs[1][0, 0]).any() == moves
    # A row of -inf turns into NaN, whatever the later keys are.
    strict = rfgraph.analyze(language_model("6", -np.inf), prune=True)
    assert last_seen(strict) == [0, 1, 2, 3, 4, 5]
    assert not any(note.kind == "mask" for note in strict.notes)


def test_what_fills_an_open_shape() -> None:
    made = model("y = Add(x, z)", "float[N,C,T] x, float[N,C,T] z")
    for kind, expected in (
        ("zeros", np.zeros((2, 3, 4))),
        ("ones", np.ones((2, 3, 4))),
        ("arange", np.broadcast_to(np.arange(4), (2, 3, 4))),
    ):
        found = rfgraph.analyze(made, shapes={"x": (2, 3, 4)}, values={"z": kind})
        np.testing.assert_array_equal(found.held["z"], expected)
        assert found.inputs == ["x"]
    # Whose shape is given is not asked about, and nothing else is said of an input that is held.
    found = rfgraph.analyze(made, shapes={"x": (2, 3, 4), "z": (2, 3, 4)}, values={"z": "ones"})
    assert found.shape("y") == (2, 3, 4)
    # What is held has a shape, and so have the axes of the same names.
    found = rfgraph.analyze(made, values={"z": "2x3x5:0"})
    assert found.shape("y") == (2, 3, 5)


REFUSED: dict[str, tuple[Any, str]] = {
    "another shape": ({"values": {"z": "2x3:1"}, "shapes": {"z": (3, 2)}}, "the shape (3, 2)"),
    "another name": ({"values": {"w": "ones"}}, "no input 'w'"),
    "a word": ({"values": {"z": "twos"}}, "expected numbers"),
    "too few": ({"values": {"z": "2x3:1,2"}}, "2 numbers for 6 elements"),
    "a ragged literal": ({"values": {"z": "[[1], [1, 2]]"}}, "expected nested lists"),
    "half a literal": ({"values": {"z": "[[1"}}, "expected nested lists"),
    "no file": ({"values": {"z": "none.npy"}}, "none.npy"),
    "two lengths": ({"values": {"z": "2x3:1"}, "shapes": {"x": (2, 4)}}, "given as 4 and as 3"),
}


@pytest.mark.parametrize(("given", "said"), REFUSED.values(), ids=REFUSED)
def test_what_makes_no_sense(given: dict[str, Any], said: str) -> None:
    made = model("y = Add(x, z)", "float[N,T] x, float[N,T] z")
    with pytest.raises((QueryError, ShapeError)) as caught:
        rfgraph.analyze(made, **given)
    assert said in str(caught.value)


def test_what_fills_an_input_of_any_rank() -> None:
    made = model("y = Add(x, z)", "float[4] x, float[4] z")
    made.graph.input[1].type.tensor_type.ClearField("shape")
    with pytest.raises(ShapeError, match="give the shape with them: '2x3:ones'"):
        rfgraph.analyze(made, values={"z": "ones"})
    assert rfgraph.analyze(made, values={"z": "4:ones"}).held["z"].shape == (4,)


@pytest.fixture
def file(tmp_path: Path) -> str:
    onnx.save(language_model(), tmp_path / "m.onnx")
    return str(tmp_path / "m.onnx")


HOLD = ("--prune", "--value", "attention_mask=ones", "--shape", "ids=1,6")


def test_commands(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", file, "--prune", "--shape", "ids=1,6"]) == 0
    said = capsys.readouterr().out
    assert (
        "if input 'attention_mask' is all ones, hold it fixed: --value attention_mask=ones" in said
    )
    assert cli.main(["show", file, *HOLD]) == 0
    assert "attention_mask" not in capsys.readouterr().out
    assert cli.main(["unit", file, "y", "0,2,0", *HOLD]) == 0
    assert "0..0 0..2" in capsys.readouterr().out
    assert cli.main(["why", file, "y", "--all", "--at", "0,2,0", *HOLD]) == 0
    assert "0..2" in capsys.readouterr().out
    assert cli.main(["diff", file, file, *HOLD]) == 0
    capsys.readouterr()


def test_validate(file: str) -> None:
    pytest.importorskip("onnxruntime")
    found = rfgraph.validate(
        file,
        shapes={"ids": (1, 6)},
        values={"attention_mask": "ones"},
        prune=True,
        seconds=None,
        tensors=["y"],
    )
    assert found.ok
    assert found.total.moved


CAUSAL = {"select": ["RF202"], "causal": {"input": "ids", "axis": 1}}


@pytest.mark.parametrize("shapes", [{}, {"ids": [1, 6]}])
def test_the_check_names_the_mask(file: str, shapes: dict[str, Any]) -> None:
    """Neither the batch nor the length need be given."""
    (found,) = rfgraph.check(file, **CAUSAL, shapes=shapes).findings
    assert found.message.endswith(", as input 'attention_mask' may mask whole rows")
    assert found.remedy == (
        "if input 'attention_mask' is all ones, hold it fixed: --value attention_mask=ones"
    )
    assert rfgraph.check(file, **CAUSAL, shapes=shapes, values={"attention_mask": "ones"}).ok


def test_a_mask_that_is_not_to_blame() -> None:
    """Without a causal mask the future is seen whatever is held."""
    made = language_model("6")
    (node,) = [node for node in made.graph.node if node.op_type == "LessOrEqual"]
    node.op_type = "GreaterOrEqual"
    (found,) = rfgraph.check(made, **CAUSAL).findings
    assert "attention_mask" not in found.message + found.remedy


def test_the_configuration(
    file: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(file).parent)
    causal = '[tool.rfgraph]\nselect = ["RF202"]\ncausal = { input = "ids", axis = 1 }\n'
    Path("pyproject.toml").write_text(causal)
    assert cli.main(["check", "m.onnx"]) == 1
    assert cli.main(["check", "m.onnx", "--value", "attention_mask=ones"]) == 0
    Path("pyproject.toml").write_text(causal + 'values = { attention_mask = "ones" }\n')
    assert cli.main(["check", "m.onnx"]) == 0
    capsys.readouterr()
    Path("pyproject.toml").write_text(causal + 'values = { attention_mask = "twos" }\n')
    assert cli.main(["check", "m.onnx"]) == 2
    said = capsys.readouterr().err
    assert "values: this value is not allowed (give another value for 'attention_mask'" in said
