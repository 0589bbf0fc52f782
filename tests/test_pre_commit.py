"""The hook for pre-commit, run by pre-commit itself from a clone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from tests.checks.test_checks import conv

ROOT = Path(__file__).parents[1]


def git(folder: Path, *arguments: str) -> None:
    own = ["-c", "user.name=rfgraph", "-c", "user.email=rfgraph@example.invalid"]
    subprocess.run(
        ["git", *own, "-c", "init.defaultBranch=main", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
    )


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository of the files that this one has now."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    folder = tmp_path / "rfgraph"
    if (ROOT / ".git").exists():
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT,
            check=True,
            capture_output=True,
        )
        names = [name for name in listed.stdout.decode().split("\0") if name]
    else:
        names = [str(p.relative_to(ROOT)) for p in ROOT.rglob("*") if p.is_file()]
    for name in names:
        # What is installed is enough.
        if name.split("/")[0] not in ("tests", "models", "benchmarks") and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    git(folder, "init")
    git(folder, "add", "-A")
    git(folder, "commit", "-m", "A version of rfgraph")
    return folder


def test_the_hook(clone: Path, tmp_path: Path) -> None:
    pytest.importorskip("pre_commit", reason="pre-commit is not installed")
    user = tmp_path / "user"
    user.mkdir()
    git(user, "init")
    onnx.save(conv(), user / "good.onnx")
    (user / "notes.txt").write_text("no model")
    git(user, "add", "-A")

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pre_commit", "try-repo", str(clone), "rfgraph-check", "-a"],
            cwd=user,
            # The core is compiled in a third of the time, and of other packages what is imported.
            env={
                **os.environ,
                "PRE_COMMIT_HOME": str(tmp_path / "home"),
                "CFLAGS": "-O0",
                "PIP_COMPILE": "0",
            },
            capture_output=True,
            text=True,
            check=False,
        )

    done = run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Passed" in done.stdout
    onnx.save(conv(5, (4, 0)), user / "off.onnx")
    git(user, "add", "-A")
    done = run()
    assert done.returncode == 1, done.stdout + done.stderr
    assert "output 'y' lies 2 elements before the middle of axis 2 of input 'x'" in done.stdout
