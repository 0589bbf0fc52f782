"""Many models at once, baselines, and how models differ."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import onnx
import pytest

import rfgraph
from rfgraph import checks
from rfgraph.checks import baseline as baselines
from rfgraph.checks import suite
from rfgraph.checks.baseline import Baseline
from rfgraph.checks.suite import checked
from rfgraph.compare import compared, matched
from tests.checks.test_checks import conv
from tests.graphs import model

MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Good models among bad ones."""
    (tmp_path / "deep").mkdir()
    onnx.save(conv(), tmp_path / "good.onnx")
    onnx.save(conv(5, (4, 0)), tmp_path / "deep" / "off.onnx")
    (tmp_path / "corrupt.onnx").write_bytes(b"\x08\x08" + bytes(range(256)))
    (tmp_path / "empty.onnx").write_bytes(b"")
    (tmp_path / "text.onnx").write_text("version https://git-lfs.github.com/spec/v1\n")
    (tmp_path / "notes.txt").write_text("no model")
    huge = conv()
    huge.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 2**62
    onnx.save(huge, tmp_path / "huge.onnx")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("jobs", [1, 2])
def test_one_bad_file_does_not_stop_the_others(folder: Path, jobs: int) -> None:
    told: list[tuple[int, int]] = []
    report = rfgraph.check(".", jobs=jobs, progress=lambda done, of: told.append((done, of)))
    assert [c.model for c in report.models] == [
        "corrupt.onnx",
        "deep/off.onnx",
        "empty.onnx",
        "good.onnx",
        "huge.onnx",
        "text.onnx",
    ]
    assert [c.model for c in report.errors] == [
        "corrupt.onnx",
        "empty.onnx",
        "huge.onnx",
        "text.onnx",
    ]
    assert all("internal error" not in c.error for c in report.errors)
    assert [f.code for f in report.findings] == ["RF303"]
    assert not report.ok
    assert told == [(k + 1, 6) for k in range(6)]


def test_files_globs_and_folders(folder: Path) -> None:
    report = rfgraph.check(["good.onnx", "*/*.onnx", "./good.onnx", "deep", "none.onnx", "x*.onnx"])
    assert [c.model for c in report.models] == [
        "good.onnx",
        "deep/off.onnx",
        "none.onnx",
        "x*.onnx",
    ]
    assert [bool(c.error) for c in report.models] == [False, False, True, True]
    (folder / "none").mkdir()
    (only,) = rfgraph.check("none").models
    assert only.error == "the folder has no .onnx file in it"
    assert rfgraph.check("").models[0].error


def test_a_name_with_brackets_is_a_name(folder: Path) -> None:
    onnx.save(conv(), folder / "a[1].onnx")
    assert rfgraph.check("a[1].onnx").models[0].model == "a[1].onnx"


def die(order: tuple, config: checks.Config, memory: int) -> checks.Checked:
    """Check a model, unless it is the one that kills its process."""
    if order[1] == "good.onnx":
        os._exit(9)
    return checked(order, config, memory)


def test_a_process_that_dies_takes_no_other_model_along(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rfgraph.checks.suite.checked", die)
    report = rfgraph.check(".", jobs=2)
    errors = {c.model: c.error for c in report.errors}
    assert len(report.models) == 6
    assert "that read it died" in errors["good.onnx"]
    assert [f.code for f in report.findings] == ["RF303"]


def test_a_check_that_fails_is_no_clean_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(subject: object) -> None:
        raise rfgraph.ShapeError("it is too large")

    one = checks.CHECKS["RF302"]
    broken = checks.Check(one.code, one.name, one.severity, one.options, fails)  # type: ignore[arg-type]
    monkeypatch.setitem(checks.CHECKS, "RF302", broken)
    report = rfgraph.check(conv(5, (4, 0)))
    assert report.errors[0].error == "RF302: it is too large"
    assert [f.code for f in report.findings] == ["RF303"]


# ---------------------------------------------------------------- baselines


def test_a_baseline_knows_what_was_found(folder: Path) -> None:
    before = rfgraph.check("deep")
    file = folder / "baseline.json"
    file.write_text(baselines.written(before, Baseline()))
    after = rfgraph.check("deep", baseline=file)
    assert after.ok
    assert [f.code for f in after.models[0].known] == ["RF303"]
    # Other figures are the same finding; other places are not.
    onnx.save(conv(7, (6, 0)), folder / "deep" / "off.onnx")
    again = rfgraph.check("deep", baseline=file)
    assert [f.code for f in again.findings] == ["RF401"]
    onnx.save(conv(5, (2, 2)), folder / "deep" / "off.onnx")
    mended = rfgraph.check("deep", baseline=file, ignore=["RF401"])
    assert mended.stale == ["deep/off.onnx: RF303 value 'y', axis 2 of input 'x'"]
    # What is not looked at is not stale.
    assert rfgraph.check("deep", baseline=file, select=["RF1"]).stale == []


def test_a_baseline_counts(folder: Path) -> None:
    report = rfgraph.check("deep")
    report.models[0].findings *= 2
    content = json.loads(baselines.written(report, Baseline()))
    entry = content["models"]["deep/off.onnx"]["findings"][0]
    assert entry["count"] == 2
    entry["count"] = 1
    known = Baseline(content["models"])
    known.apply(report.models[0])
    assert (len(report.models[0].findings), len(report.models[0].known)) == (1, 1)


def test_a_baseline_of_some_models_keeps_the_others(folder: Path) -> None:
    first = Baseline(json.loads(baselines.written(rfgraph.check("deep"), Baseline()))["models"])
    content = json.loads(baselines.written(rfgraph.check("good.onnx"), first))
    assert sorted(content["models"]) == ["deep/off.onnx", "good.onnx"]
    # Of a model that can't be checked it keeps what it had.
    (folder / "good.onnx").write_bytes(b"")
    second = Baseline(content["models"])
    assert json.loads(baselines.written(rfgraph.check("."), second))["models"].keys() == {
        "deep/off.onnx",
        "good.onnx",
    }


SIDE = (
    '{"size": "a", "smallest": 1, "stride": 1, "start": 0, "back": 0, "ahead": 0, "global": false}'
)


def known(fields: str, findings: str = "[]") -> str:
    return f'{{"version": 2, "models": {{"a": {{"fields": {fields}, "findings": {findings}}}}}}}'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"version": 3, "models": {}}',
        '{"version": 2}',
        '{"version": 2, "models": {"a": {"fields": {}, "findings": [{"code": "RF101"}]}}}',
        '{"version": 2, "models": {"a": {"fields": {"y": 3}, "findings": []}}}',
        '{"version": 2, "models": {"a": {"fields": {"y": {"shape": [], "sees": {"x": [{}]}}}, '
        '"findings": []}}}',
        "[" * 100_000,
        '{"version": true, "models": {}}',
        known('{"y": {"shape": 5, "sees": {}}}'),
        known('{"y": {"shape": [], "sees": {"x": [{"size": "a", "stride": 1}]}}}'),
        known(f'{{"y": {{"shape": [], "sees": {{"x": [{SIDE}]}}}}}}'),
        known("{}", '[{"fingerprint": "a", "code": "b", "place": "c", "count": -5}]'),
    ],
)
def test_a_file_that_is_no_baseline(text: str, tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"
    file.write_text(text)
    with pytest.raises(rfgraph.QueryError, match="baseline"):
        rfgraph.check(conv(), baseline=file)


# ---------------------------------------------------------------- differences


def analysed(made: onnx.ModelProto) -> rfgraph.Analysis:
    return rfgraph.analyze(made)


def test_what_grew_and_shrank() -> None:
    found = compared(analysed(conv(times=3)), analysed(conv(5, (2, 2), times=3)))
    assert [(c.kind, c.value, c.before, c.after) for c in found.changes] == [
        ("grew", "a1", 3, 5),
        ("grew", "a2", 5, 9),
        ("grew", "y", 7, 13),
    ]
    assert found.matched == 3
    back = compared(analysed(conv(5, (2, 2), times=3)), analysed(conv(times=3)))
    assert {c.kind for c in back.changes} == {"shrank"}
    assert compared(analysed(conv()), analysed(conv())).changes == []
    assert compared(analysed(conv()), analysed(conv(5, (2, 2))), tolerance=2).changes == []


def test_what_appeared_and_vanished() -> None:
    old = model("a = Relu(x) b = Sigmoid(a) y = Tanh(b)")
    new = model("a = Relu(x) c = Softplus(a) y = Tanh(c)")
    kinds = [(c.kind, c.value) for c in compared(analysed(old), analysed(new)).changes]
    assert kinds == [("vanished", "b"), ("appeared", "c")]


def test_values_are_matched_by_structure() -> None:
    old = model(
        "a = Relu(x) b = MaxPool<kernel_shape=[2,2]>(a) y = Tanh(b)",
    )
    new = model(
        "r = Relu(i) p = MaxPool<kernel_shape=[3,3]>(r) z = Tanh(p)", "float[1,1,8,8] i", "z"
    )
    found = compared(analysed(old), analysed(new))
    assert found.renamed == {"a": "r", "b": "p", "y": "z"}
    assert {(c.kind, c.value) for c in found.changes} >= {("grew", "p"), ("grew", "z")}
    assert all(c.kind in ("grew", "shape") for c in found.changes)


def test_a_name_of_another_operator_is_another_value() -> None:
    old = model("t1 = Relu(x) t2 = Sigmoid(t1) y = Tanh(t2)")
    new = model("t2 = Relu(x) t3 = Sigmoid(t2) y = Tanh(t3)")
    assert matched(analysed(old), analysed(new)) == {"x": "x", "y": "y", "t1": "t2", "t2": "t3"}


def test_two_exports_of_one_model() -> None:
    pair = [rfgraph.analyze(MODELS / f"espcn{kind}.onnx") for kind in ("", ".dynamo")]
    found = compared(*pair, only_outputs=True)
    assert (found.changes, found.matched) == ([], 1)


def test_a_gate_is_told() -> None:
    old = model("a = Relu(x) y = Mul(a, a)")
    new = model("a = Relu(x) g = GlobalAveragePool(a) y = Mul(a, g)")
    kinds = {(c.kind, c.value, c.axis) for c in compared(analysed(old), analysed(new)).changes}
    assert {("global", "y", 2), ("global", "y", 3)} <= kinds


def test_models_without_a_common_input() -> None:
    old, new = model("y = Relu(x)"), model("y = Relu(x)")
    del new.graph.input[:]
    new.graph.initializer.append(onnx.helper.make_tensor("x", 1, [1, 1, 8, 8], [0.0] * 64))
    with pytest.raises(rfgraph.QueryError, match="no input in common"):
        compared(analysed(old), analysed(new))


def test_inputs_are_matched_with_those_of_as_many_axes() -> None:
    old = model("y = Relu(i)", "float[1,3,8] i")
    new = model("y = Relu(x) z = Relu(m)", "float[1] m, float[1,3,8] x", "y z")
    assert matched(analysed(old), analysed(new))["i"] == "x"


def test_an_input_with_more_axes() -> None:
    old, new = model("y = Relu(x)", "float[3,8] x"), model("y = Relu(x)", "float[1,3,8] x")
    found = compared(analysed(old), analysed(new))
    assert [(c.kind, c.input, c.before, c.after) for c in found.changes] == [
        ("shape", "", [3, 8], [1, 3, 8]),
        ("shape", "x", 2, 3),
    ]


# ---------------------------------------------------------------- interruptions


def test_what_was_found_before_an_interruption_is_told(tmp_path: Path) -> None:
    names = [f"{k}.onnx" for k in range(4)]
    for name in names:
        onnx.save(conv(5, (4, 0)), tmp_path / name)

    def interrupt(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    report = rfgraph.check([str(tmp_path / name) for name in names], progress=interrupt)
    assert report.interrupted
    assert not report.ok
    assert [bool(checked.findings) for checked in report.models] == [True, True, False, False]
    assert [checked.error for checked in report.models[2:]] == [suite.INTERRUPTED] * 2


@pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
@pytest.mark.parametrize("jobs", [1, 2])
def test_control_c_at_the_command_line(jobs: int, tmp_path: Path) -> None:
    """A model that never ends is ended; what was found before is printed, no file made."""
    onnx.save(conv(5, (4, 0)), tmp_path / "a.onnx")
    onnx.save(model("y = custom.Wait(x)"), tmp_path / "b.onnx")
    onnx.save(conv(), tmp_path / "c.onnx")
    (tmp_path / "ops.py").write_text(
        "import pathlib, time, rfgraph\n"
        "@rfgraph.transfer('Wait', domain='custom', shape=lambda op: op.shape(0))\n"
        "def wait(op):\n"
        f"    pathlib.Path({str(tmp_path / 'begun')!r}).touch()\n"
        "    time.sleep(600)\n"
    )
    options = ["--jobs", str(jobs), "--ops", "ops.py", "--output-file", "junit=out.xml"]
    command = [sys.executable, "-m", "rfgraph", "check", "a.onnx", "b.onnx", "c.onnx", *options]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    end = time.monotonic() + 60
    while not (tmp_path / "begun").exists() and time.monotonic() < end:
        time.sleep(0.05)
    # With two processes the others are done meanwhile.
    time.sleep(3 if jobs > 1 else 0)
    # A terminal sends it to all processes of the command.
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "a.onnx: 1 finding" in out
    assert "RF303" in out
    assert "interrupted: these are the findings until then" in out
    assert re.fullmatch(
        r"rfgraph: error: interrupted: [12] of 3 models were not checked, "
        r"and no file was written\n",
        err,
    )
    assert not (tmp_path / "out.xml").exists()


@pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
def test_control_c_while_modules_are_loaded(tmp_path: Path) -> None:
    """An interruption of an import is one line: here that of a module that stands for numpy."""
    (tmp_path / "numpy.py").write_text(
        "import os, signal, time\n"
        # It may be taken by another thread, and then takes its time.
        "try:\n    os.kill(os.getpid(), signal.SIGINT)\n    time.sleep(30)\n"
        "except BaseException as error:\n    raise ImportError('no numpy') from error\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "rfgraph", "show", "a.onnx"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "rfgraph: error: interrupted\n")
