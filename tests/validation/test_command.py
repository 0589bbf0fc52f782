"""``rfgraph validate``: what it prints, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import rfgraph
from rfgraph import cli
from rfgraph.reads import WHOLE, PerAxis, same, window
from tests.graphs import parsed
from tests.validation.test_validate import CONV, claiming

__all__ = ["claiming"]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "conv.onnx"
    onnx.save(CONV, path)
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: Any) -> tuple[int, str, str]:
    capsys.readouterr()
    code = cli.main(["validate", *map(str, arguments)])
    return code, *capsys.readouterr()


def test_a_clean_model(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, model, "--method", "poison", "--seconds", "inf")
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[0].split() == ["value", "operator", "shape", "ends", "seen", "contradicted"]
    assert lines[1].split() == ["a", "Conv", "1x3x12x12", "100%", "-"]
    assert lines[3].split() == ["*", "y", "MaxPool", "1x3x6x6", "100%", "-"]
    assert lines[4].startswith("poison, seed 0: all 972 units of 3 of 3 values, by ")
    assert "one for each input element would be 288" in lines[4]
    assert lines[5] == (
        "changed in 'x': planes across axis 1 (all 2), 2 (all 12), 3 (all 12); 32 of 288 elements"
    )
    assert lines[6].startswith("no claim is contradicted")


def test_a_violation(model: Path, capsys: pytest.CaptureFixture[str], claiming: Any) -> None:
    claiming("a", [PerAxis(0, (same(0), WHOLE, window(2, 2, 1, 1, 1), window(3, 3, 1, 1, 1)))])
    code, out, _ = run(capsys, model, "--tensors", "a", "--exhaustive", "--seconds", "inf")
    assert code == 1
    assert "claims are contradicted" in out
    said = next(line for line in out.splitlines() if line.startswith("violation:"))
    assert "'a' unit 0,0," in said
    assert "changes with what is outside its support: x[0, " in said
    assert "it is claimed to see x at" in said


def test_json(model: Path, capsys: pytest.CaptureFixture[str], claiming: Any) -> None:
    found = json.loads(run(capsys, model, "--output-format", "json", "--samples", "2")[1])
    assert found["version"] == 2
    assert found["ok"] is True
    assert found["violations"] == []
    assert {row["value"] for row in found["tested"]} == {"a", "b", "y"}
    claiming("a", [])
    code, out, _ = run(capsys, model, "--output-format", "json", "--samples", "2")
    found = json.loads(out)
    assert (code, found["ok"]) == (1, False)
    assert set(found["violations"][0]) == {
        *("value", "input", "unit", "units", "claim", "changed", "box", "element", "run")
    }


def test_a_file_and_given_inputs(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs, answer = tmp_path / "in.npz", tmp_path / "answer.txt"
    np.savez(inputs, x=np.ones((1, 2, 12, 12), np.float32))
    options = ("--inputs", inputs, "--output-file", answer, "--seed", 3, "--samples", 2)
    assert run(capsys, model, *options) == (0, "", "")
    assert "seed 3" in answer.read_text()


def test_an_interruption_is_told(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rfgraph.cli import validate as command

    def interrupted(*arguments: Any, **options: Any) -> rfgraph.Validation:
        def stop(done: int, total: int) -> None:
            if done == 3:
                raise KeyboardInterrupt

        return rfgraph.validate(*arguments, **{**options, "progress": stop})

    monkeypatch.setattr(command, "validate", interrupted)
    code, out, _ = run(capsys, model)
    assert code == 2
    assert "by 3 forward passes" in out
    assert "interrupted: 3 of " in out


def test_a_sample_says_of_what(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, model, "--seconds", "1e-6", "--exhaustive")
    assert code == 0
    (said,) = [line for line in out.splitlines() if line.startswith("a sample")]
    assert said.startswith("a sample within the time of --seconds: 1 of 58 passes, spread evenly")
    assert said.endswith("(--seconds inf)")
    assert "changed in 'x': planes across axis 1 (1 of 2), 2 (0 of 12)" in out
    assert "no claim is contradicted" in out


def test_what_can_not_be_tested_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(
        parsed(
            "net (float[1, 6] x) => (int64[2, n] z, float[1, 6] y) { z = NonZero(x) y = Neg(x) }"
        ),
        path,
    )
    code, out, _ = run(capsys, path)
    assert code == 0
    assert "not tested: z: its shape depends on the data" in out


@pytest.mark.parametrize(
    "text",
    [
        # The only index that is there can't be changed.
        "net (int64[4] t) => (float[4, 3] y) <float[1, 3] w = {1, 2, 3}> { y = Gather(w, t) }",
        "net (float[2, 3] x) => (float[2, 3] y) { r = RandomUniformLike(x) y = Add(x, r) }",
        "net (float[1, 6] x) => (int64[2, n] z) { z = NonZero(x) }",
    ],
)
def test_nothing_that_is_tested_is_no_proof(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(parsed(text), path)
    code, out, _ = run(capsys, path)
    assert code == 2
    assert "nothing was tested" in out
    assert "no claim is contradicted" not in out


def test_a_file_of_inputs_that_is_none(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.npz").write_bytes(b"PK\003\004garbage")
    code, out, err = run(capsys, model, "--inputs", tmp_path / "bad.npz")
    assert (code, out) == (2, "")
    assert "bad.npz" in err
    assert "numpy.savez" in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--inputs", "nothing.npz"], "nothing.npz: No such file or directory (write it"),
        (["--inputs", "models/lenet_textbook.onnx"], "it is no such file, or holds Python objects"),
        (["--samples", "0"], "at least 1"),
        (["--seconds", "0"], "greater than 0"),
        (["--tensors", "zz"], "zz"),
        (["--method", "poison", "--prune"], "perturb"),
        (["--provider", "Abacus"], "Abacus"),
    ],
)
def test_wrong_options(
    options: list[str], words: str, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, model, *options)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert words in err


def test_a_reproduction_is_not_written_over(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], claiming: Any
) -> None:
    claiming("a", [])
    options = (model, "--samples", 1, "--reproduce", tmp_path / "again")
    code, out, _ = run(capsys, *options)
    assert code == 1
    assert (tmp_path / "again" / "violation-0" / "reproduce.py").is_file()
    assert f"to reproduce: {tmp_path / 'again'}" in out
    code, out, err = run(capsys, *options)
    assert (code, out) == (2, "")
    assert "again" in err
