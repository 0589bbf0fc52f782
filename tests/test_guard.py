"""Processes that die, go on for ever or want all memory: one line each, and nobody else is lost.

What does so here are transfers of operators of our own, which stand for native code that a file
makes do so.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import onnx
import pytest

from rfgraph.cli import guard
from rfgraph.limits import Limits
from tests.graphs import model
from tests.test_bad_input import check_line

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what is a process's")
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals are told otherwise there")

OPS = """
import os, signal, time
import numpy as np
import rfgraph
from rfgraph.reads import Elementwise

def shape(op):
    return op.shape(0)

@rfgraph.transfer("Dies", domain="custom", shape=shape)
def dies(op):
    os.kill(os.getpid(), signal.SIGKILL)

@rfgraph.transfer("Killed", domain="custom", shape=shape)
def killed(op):
    if not os.path.exists("killed"):
        open("killed", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return [Elementwise(0)]

@rfgraph.transfer("Waits", domain="custom", shape=shape)
def waits(op):
    open("begun", "w").close()
    time.sleep(600)

@rfgraph.transfer("Holds", domain="custom", shape=shape)
def holds(op):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    open("begun", "w").close()
    time.sleep(600)

@rfgraph.transfer("Grows", domain="custom", shape=shape)
def grows(op):
    return np.ones(1 << 30, dtype=np.uint8)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ops.py").write_text(OPS)
    for operator in ("Dies", "Waits", "Holds", "Grows"):
        onnx.save(model(f"y = custom.{operator}(x)"), tmp_path / f"{operator.lower()}.onnx")
    onnx.save(model("y = Relu(x)"), tmp_path / "good.onnx")
    return tmp_path


def ended(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rfgraph", *arguments, "--ops", "ops.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@POSIX
@pytest.mark.parametrize("command", [("show",), ("unit",), ("why",)])
def test_a_process_that_dies_is_told(folder: Path, command: tuple[str, ...]) -> None:
    more = ("y", "3,3") if command == ("unit",) else ("y",) if command == ("why",) else ()
    done = ended(folder, *command, "dies.onnx", *more)
    assert (done.returncode, done.stdout) == (2, "")
    check_line(done.stderr, "dies.onnx: the process that read it died (SIGKILL)")


@POSIX
def test_a_process_that_goes_on_is_ended(folder: Path) -> None:
    done = ended(folder, "show", "waits.onnx", "--timeout", "1")
    assert (done.returncode, done.stdout) == (2, "")
    check_line(done.stderr, "waits.onnx: it took longer than 1 seconds", "--timeout")


@LINUX
def test_a_process_that_wants_all_memory_is_told(folder: Path) -> None:
    done = ended(folder, "show", "grows.onnx", "--memory", "256")
    assert (done.returncode, done.stdout) == (2, "")
    check_line(done.stderr, "grows.onnx: custom.Grows 'Grows_0': out of memory", "--memory")


@pytest.mark.parametrize("given", ["5", "-1", "x"])
def test_too_little_memory_is_refused(folder: Path, given: str) -> None:
    done = ended(folder, "show", "good.onnx", f"--memory={given}")
    assert done.returncode == 2
    assert "--memory" in done.stderr
    assert "Traceback" not in done.stderr


@LINUX
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_other_models_are_still_judged(folder: Path, jobs: str) -> None:
    for k in range(4):
        onnx.save(model("y = Relu(x)"), folder / f"good{k}.onnx")
    (folder / "holds.onnx").unlink()
    limits = ("--timeout", "5", "--memory", "256")
    done = ended(folder, "check", ".", "--jobs", jobs, *limits)
    assert done.returncode == 2
    assert done.stdout.count("nothing found") == 5
    assert "dies.onnx: not checked\n  error: the process that read it died" in done.stdout
    assert "waits.onnx: not checked\n  error: it took longer than 5 seconds" in done.stdout
    assert "grows.onnx: not checked\n  error: custom.Grows 'Grows_0': out of" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@POSIX
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_process_that_is_killed_from_outside_loses_no_model(folder: Path, jobs: str) -> None:
    for name in ("waits", "holds", "grows", "dies"):
        (folder / f"{name}.onnx").unlink()
    onnx.save(model("y = custom.Killed(x)"), folder / "first.onnx")
    done = ended(folder, "check", ".", "--jobs", jobs)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("nothing found") == 2
    assert (folder / "killed").exists()


def _begun(folder: Path, name: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "rfgraph", "show", name, "--ops", "ops.py"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    end = time.monotonic() + 60
    while not (folder / "begun").exists() and time.monotonic() < end:
        time.sleep(0.05)
    return process


@LINUX
@pytest.mark.parametrize("name", ["waits.onnx", "holds.onnx"])
def test_the_user_ends_it(folder: Path, name: str) -> None:
    """Also where what runs does not listen."""
    process = _begun(folder, name)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (2, "", "rfgraph: error: interrupted\n")


@LINUX
def test_nothing_is_left_of_what_is_terminated(folder: Path) -> None:
    process = _begun(folder, "waits.onnx")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert children
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM
    assert not any(Path(f"/proc/{child}").exists() for child in children)


@LINUX
def test_an_error_that_is_to_be_seen_is_seen(folder: Path) -> None:
    code = (
        "import sys; from rfgraph.cli.guard import guarded; from rfgraph.limits import Limits\n"
        "sys.exit(guarded(lambda: 1 // 0, [], Limits(), None))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


@POSIX
def test_without_copies_it_is_begun_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "platform", "darwin")

    def never() -> int:
        raise AssertionError

    def run(name: str, seconds: float) -> int:
        arguments = ["show", name, "--ops", "ops.py"]
        return guard.guarded(never, arguments, Limits(seconds), name)

    assert run("good.onnx", 60) == 0
    assert run("none.onnx", 60) == 2
    with pytest.raises(guard.RFGraphError, match=r"waits.onnx: it took longer than 2 seconds"):
        run("waits.onnx", 2)
    with pytest.raises(guard.RFGraphError, match=r"dies.onnx: .* died \(SIGKILL\)"):
        run("dies.onnx", 60)
