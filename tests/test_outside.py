"""What lies around a run: files that are none, streams, signals, other processes, names."""

from __future__ import annotations

import errno
import os
import pickle
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest

import rfgraph
from rfgraph.checks import baseline as baselines
from tests.graphs import model
from tests.test_bad_input import Run, check_line

POSIX = pytest.mark.skipif(os.name != "posix", reason="there are no such files elsewhere")
GOOD = "y = Relu(x)"


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(tmp_path, capsys)


# ---------------------------------------------------------------- files that are none


@POSIX
@pytest.mark.parametrize("command", ["show", "check"])
def test_a_pipe_is_not_waited_for(run: Run, command: str) -> None:
    os.mkfifo(run.folder / "m.onnx")
    code, out, err = run(command, run.folder / "m.onnx")
    assert code == 2
    assert "it is a pipe or a device, not a file" in out + err


@POSIX
def test_a_device_is_not_read(run: Run) -> None:
    code, _, err = run("show", "/dev/zero")
    assert code == 2
    check_line(err, "/dev/zero", "it is a pipe or a device, not a file")


@POSIX
def test_a_folder_is_looked_at_whole(run: Run) -> None:
    (run.folder / "models").mkdir()
    run.save(model(GOOD), "models/a.onnx")
    os.mkfifo(run.folder / "models" / "b.onnx")
    code, out, _ = run("check", run.folder / "models")
    assert code == 2
    assert "b.onnx: not checked\n  error: it is a pipe or a device" in out


def test_a_folder_that_is_closed_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (run.folder / "models" / "closed").mkdir(parents=True)
    run.save(model(GOOD), "models/a.onnx")
    look = os.scandir

    def closed(path: str) -> Iterator[os.DirEntry[str]]:
        if Path(path).name == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return look(path)

    monkeypatch.setattr(os, "scandir", closed)
    code, out, _ = run("check", run.folder / "models")
    assert code == 2
    assert "closed: not checked\n  error: the folder can't be read: Permission denied" in out


# ---------------------------------------------------------------- streams and targets


def _ended(arguments: list[str], folder: Path, **given: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rfgraph", *arguments],
        cwd=folder,
        text=True,
        timeout=60,
        check=False,
        **given,  # type: ignore[call-overload]
    )


@POSIX
@pytest.mark.parametrize(("name", "code"), [("m.onnx", 0), ("none.onnx", 2)])
@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "1>&- 2>&-"])
def test_streams_that_are_closed(run: Run, closed: str, name: str, code: int) -> None:
    run.save(model(GOOD))
    shell = f"{sys.executable} -m rfgraph show {name} --timings {closed}"
    ended = subprocess.run(
        ["sh", "-c", shell], cwd=run.folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == code
    assert "Traceback" not in ended.stdout + ended.stderr
    if "2" in closed:
        # What went wrong does not land among the results.
        assert "error" not in ended.stdout


@POSIX
def test_a_link_is_written_through(run: Run) -> None:
    path = run.save(model(GOOD))
    target, link = run.folder / "target.json", run.folder / "link.json"
    target.write_text("before")
    link.symlink_to(target)
    assert run("show", path, "--output-format", "json", "--output-file", link)[0] == 0
    assert link.is_symlink()
    assert target.read_text().startswith("{")


@POSIX
def test_a_new_file_has_the_permissions_of_any(run: Run) -> None:
    path = run.save(model(GOOD))
    made, plain = run.folder / "out.txt", run.folder / "plain.txt"
    plain.touch()
    assert run("show", path, "--output-file", made)[0] == 0
    assert stat.S_IMODE(made.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_a_temporary_file_that_was_left_does_not_block(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is killed leaves one; in a container the next has the same number."""
    path = run.save(model(GOOD))
    (run.folder / f".rfgraph-{os.getpid()}").touch()
    assert run("show", path, "--output-file", run.folder / "out.txt")[0] == 0


@POSIX
def test_baselines_written_at_once_lose_nothing(run: Run) -> None:
    target = run.folder / "known.json"
    names = [f"m{k}.onnx" for k in range(4)]
    for name in names:
        run.save(model(GOOD), name)
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "rfgraph", "check", name, "--write-baseline", str(target)],
            cwd=run.folder,
            stdout=subprocess.DEVNULL,
        )
        for name in names
    ]
    assert [process.wait(60) for process in running] == [0] * 4
    assert sorted(Path(name).name for name in baselines.read(target).models) == names


# ---------------------------------------------------------------- names


def _named(made: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """The model, whose input has another name."""
    for node in made.graph.node:
        node.input[:] = [name if given == "x" else given for given in node.input]
    made.graph.input[0].name = name
    return made


@pytest.mark.parametrize("name", ["\x1b[31mred", "a\u202eb", "a\rb"])
@pytest.mark.parametrize("command", [("show",), ("unit", "y", "3,3"), ("why", "y"), ("check",)])
def test_names_don_t_steer_the_terminal(run: Run, name: str, command: tuple[str, ...]) -> None:
    path = run.save(_named(model(GOOD), name))
    first, *rest = command
    _, out, err = run(first, path, *rest)
    assert all(line.isprintable() for line in (out + err).split("\n"))


def test_very_long_names_are_cut(run: Run) -> None:
    long = "n" * 100_000
    made = model("y = Conv(x, w)")
    made.graph.node[0].name = long
    for command in (("show",), ("check",), ("why", "y")):
        code, out, err = run(command[0], run.save(_named(made, long)), *command[1:])
        assert code == 2
        assert len(out + err) < 5000, command
    good = run.save(_named(model(GOOD), long))
    for command in (("show",), ("unit", "y", "3,3"), ("why", "y"), ("check",)):
        code, out, err = run(command[0], good, *command[1:])
        assert code in (0, 1)
        assert len(out + err) < 5000, command


def test_a_message_of_an_error_is_cut() -> None:
    made = _named(model("y = Relu(x, x)"), "n" * 100_000)
    with pytest.raises(rfgraph.ModelError) as refused:
        rfgraph.analyze(made)
    assert len(str(refused.value)) < 2000


def test_an_error_goes_to_another_process() -> None:
    """With its remedy, which is worked out only when it is asked for."""
    made = model("s = Constant <value_ints = [1, 1, 4, 20]> () y = Reshape(x, s)")
    with pytest.raises(rfgraph.ShapeError) as refused:
        rfgraph.analyze(made, shapes={"x": (1, 1, 8, 8)})
    sent = pickle.loads(pickle.dumps(refused.value))
    assert type(sent) is type(refused.value)
    assert str(sent) == str(refused.value)
    assert sent.remedy


# ---------------------------------------------------------------- configuration


@pytest.mark.parametrize(
    "content", ["a = " + "[" * 5000 + "]" * 5000, "at-least = " + "9" * 5000], ids=["deep", "long"]
)
def test_a_configuration_without_end(run: Run, content: str) -> None:
    path = run.save(model(GOOD))
    config = run.folder / "rfgraph.toml"
    config.write_text(content)
    code, _, err = run("check", path, "--config", config)
    assert code == 2
    check_line(err, "rfgraph.toml")
