"""``rfgraph check``, ``explain`` and ``diff``: what they print, write and end with."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from rfgraph import checks, cli
from tests.checks.test_checks import conv
from tests.graphs import model

Rfgraph = Callable[..., tuple[int, str, str]]


@pytest.fixture
def rf(capsys: pytest.CaptureFixture[str]) -> Rfgraph:
    """`rfgraph` in this process: its exit code, and what it printed."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a good and an off-centre model, which is the working directory."""
    onnx.save(conv(), tmp_path / "good.onnx")
    onnx.save(conv(5, (4, 0)), tmp_path / "off.onnx")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_exit_codes(rf: Rfgraph, here: Path) -> None:
    assert rf("check", "good.onnx")[0] == 0
    code, out, err = rf("check", ".")
    assert (code, err) == (1, "")
    assert "RF303" in out
    assert "output 'y' lies 2 elements before the middle of axis 2 of input 'x'" in out
    (here / "bad.onnx").write_bytes(b"")
    code, out, err = rf("check", ".")
    assert code == 2
    assert "bad.onnx" in out
    assert "RF303" in out


def test_select_ignore_and_options(rf: Rfgraph, here: Path) -> None:
    assert rf("check", "off.onnx", "--ignore", "RF303")[0] == 0
    assert rf("check", "off.onnx", "--ignore", "RF1,RF303", "--ignore", "RF2")[0] == 0
    assert rf("check", "off.onnx", "--select", "RF1")[0] == 0
    assert rf("check", "off.onnx", "--set", "off-centre=2")[0] == 0
    assert rf("check", "off.onnx", "--set", "causal=2")[0] == 0
    assert rf("check", "good.onnx", "--set", "at-least = 4")[0] == 1
    assert rf("check", "good.onnx", "--set", "at-least={2 = 3}")[0] == 0
    code, out, err = rf("check", "good.onnx", "--set", "at-lest=4")
    assert (code, out) == (2, "")
    assert (
        "the command line: at-lest: there is no option 'at-lest' (did you mean 'at-least'?)" in err
    )
    assert rf("check", "good.onnx", "--set", "at-least")[0] == 2
    assert rf("check", "good.onnx", "--select", "XX")[0] == 2
    assert rf("check", "good.onnx", "--jobs", "0")[0] == 2


def test_the_command_line_goes_before_the_configuration(rf: Rfgraph, here: Path) -> None:
    (here / "rfgraph.toml").write_text('at-least = 100\n[models."good*"]\nat-least = 50\n')
    assert "50" in rf("check", "good.onnx")[1]
    assert rf("check", "good.onnx", "--set", "at-least=3")[0] == 0
    (here / "other.toml").write_text('select = ["RF9"]\n')
    assert rf("check", ".", "--config", "other.toml")[0] == 0
    (here / "rfgraph.toml").write_text("at-lest = 100\n")
    code, out, err = rf("check", "good.onnx")
    assert (code, out) == (2, "")
    assert err.endswith(
        "rfgraph.toml: at-lest: there is no option 'at-lest' (did you mean 'at-least'?)\n"
    )
    assert rf("check", ".", "--config", "none.toml")[0] == 2


def test_shapes_and_values(rf: Rfgraph, here: Path) -> None:
    onnx.save(conv(inputs="float[1,1,T] x"), here / "open.onnx")
    assert rf("check", "open.onnx", "--shape", "1,1,3", "--set", "covers=1.0")[0] == 0
    assert rf("check", "open.onnx", "--shape", "x=1,1,9", "--set", "covers=1.0")[0] == 1
    code, _, err = rf("check", "open.onnx", "good.onnx", "--shape", "1,1,3")
    assert code == 2
    assert "with several models" in err
    # Only models that have the input are given its shape.
    onnx.save(model("y = Relu(z)", "float[1,4] z"), here / "other.onnx")
    assert rf("check", "open.onnx", "other.onnx", "--shape", "x=1,1,3")[0] == 0


def test_formats_and_files(rf: Rfgraph, here: Path) -> None:
    code, out, _ = rf("check", ".", "--output-format", "json")
    assert code == 1
    document = json.loads(out)
    assert document["version"] == 1
    files = ["sarif=a.sarif", "junit=a.xml", "markdown=a.md", "json=a.json", "github=a.txt"]
    code, out, _ = rf("check", ".", *(f"--output-file={file}" for file in files))
    assert code == 1
    assert "RF303" in out
    assert json.loads((here / "a.sarif").read_text())["version"] == "2.1.0"
    assert (here / "a.xml").read_text().startswith("<?xml")
    assert "RF303" in (here / "a.md").read_text()
    assert "::warning" in (here / "a.txt").read_text()
    code, out, _ = rf("check", ".", "--output-file", "answer.txt", "--output-file", "json=b.json")
    assert (code, out) == (1, "")
    assert "RF303" in (here / "answer.txt").read_text()
    assert (here / "b.json").exists()


@pytest.mark.parametrize(
    "files",
    [
        ["saarif=a.sarif"],
        ["a.txt", "b.txt"],
        ["json=a", "sarif=a"],
        ["json=a", "a"],
        ["json="],
        ["json=none/a.json"],
    ],
)
def test_files_that_make_no_sense(rf: Rfgraph, here: Path, files: list[str]) -> None:
    before = sorted(here.iterdir())
    code, _, err = rf("check", "good.onnx", *(f"--output-file={file}" for file in files))
    assert code == 2
    assert err.startswith("rfgraph: error: ")
    assert sorted(here.iterdir()) == before


def test_baselines(rf: Rfgraph, here: Path) -> None:
    code, out, _ = rf("check", ".", "--write-baseline", "known.json")
    assert (code, out) == (
        0,
        "wrote known.json: 1 finding in 2 models\n",
    )
    assert rf("check", ".", "--baseline", "known.json")[0] == 0
    assert rf("check", ".")[0] == 1
    (here / "rfgraph.toml").write_text('baseline = "known.json"\n')
    assert rf("check", ".")[0] == 0
    onnx.save(conv(7, (3, 3)), here / "good.onnx")
    code, out, _ = rf("check", ".")
    assert code == 1
    assert "RF401" in out
    assert "'y' sees 7 elements along axis 2 of input 'x', and saw 3" in out
    assert rf("check", ".", "--write-baseline")[0] == 0
    assert rf("check", ".")[0] == 0
    onnx.save(conv(5, (2, 2)), here / "off.onnx")
    code, out, _ = rf("check", ".", "--ignore", "RF401")
    assert code == 0
    assert "off.onnx: RF303" in out
    assert rf("check", ".", "--baseline", "none.json")[0] == 2
    (here / "rfgraph.toml").unlink()
    code, _, err = rf("check", ".", "--write-baseline")
    assert code == 2
    assert "give one: --write-baseline FILE" in err


def test_a_baseline_is_the_same_from_every_folder(
    rf: Rfgraph, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "rfgraph.toml").write_text('baseline = "known.json"\n')
    rf("check", ".", "--write-baseline")
    (here / "below").mkdir()
    monkeypatch.chdir(here / "below")
    assert rf("check", "..")[0] == 0


def test_operators_of_ones_own(rf: Rfgraph, here: Path) -> None:
    onnx.save(model("y = custom.Mine(x)"), here / "own.onnx")
    assert rf("check", "own.onnx", "--select", "RF9")[0] == 1
    (here / "mine.py").write_text(
        "import rfgraph\n"
        "@rfgraph.transfer('Mine', domain='custom', shape=lambda op: op.shape())\n"
        "def mine(op):\n"
        "    return [rfgraph.reads.Elementwise(0)]\n"
    )
    assert rf("check", "own.onnx", "--select", "RF9", "--ops", "mine.py")[0] == 0
    (here / "rfgraph.toml").write_text('ops = ["mine.py"]\n')
    assert rf("check", "own.onnx", "good.onnx", "--select", "RF9", "--jobs", "2")[0] == 0


def test_explain(rf: Rfgraph) -> None:
    code, out, _ = rf("explain")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == list(checks.CHECKS)
    for code_of in checks.CHECKS:
        code, out, _ = rf("explain", code_of.lower())
        assert code == 0
        assert out.startswith(f"{code_of} ")
    code, _, err = rf("explain", "RF11")
    assert code == 2
    assert "there is no check 'RF11'" in err


def test_diff(rf: Rfgraph, here: Path) -> None:
    code, out, _ = rf("diff", "good.onnx", "good.onnx")
    assert code == 0
    code, out, _ = rf("diff", "good.onnx", "off.onnx")
    assert code == 1
    assert out.split("\n")[4].split() == ["grew", "y", "x", "axis", "2", "3", "5"]
    assert rf("diff", "good.onnx", "off.onnx", "--tolerance", "3")[0] == 0
    assert rf("diff", "good.onnx", "off.onnx", "--select", "y", "--outputs")[0] == 1
    for name in ("json", "sarif", "junit", "github", "markdown"):
        code, out, _ = rf("diff", "good.onnx", "off.onnx", "--output-format", name)
        assert code == 1
        assert "5" in out
    assert rf("diff", "good.onnx", "none.onnx")[0] == 2
    assert rf("diff", "good.onnx", "off.onnx", "--select", "nothing")[0] == 2
    assert rf("diff", "good.onnx", "off.onnx", "--tolerance", "-1")[0] == 2


def test_as_a_process(here: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rfgraph", "check", ".", "--jobs", "2"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert "RF303" in done.stdout


def test_an_internal_error(rf: Rfgraph, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(subject: object) -> None:
        raise ZeroDivisionError("that was\nnot meant")

    one = checks.CHECKS["RF302"]
    broken = checks.Check(one.code, one.name, one.severity, one.options, fails)  # type: ignore[arg-type]
    monkeypatch.setitem(checks.CHECKS, "RF302", broken)
    code, out, err = rf("check", "good.onnx")
    assert (code, err) == (2, "")
    assert "internal error: ZeroDivisionError: that was not meant (--debug shows where)" in out
    code, out, err = rf("check", "good.onnx", "--debug")
    assert code == 2
    assert "Traceback" in err
