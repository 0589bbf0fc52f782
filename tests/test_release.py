"""What is released: built, checked and tried by tools/release.py."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "tools" / "release.py"


def test_the_version_is_that_of_the_changelog(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    version = runpy.run_path(str(SCRIPT))["version"]
    (tmp_path / "rfgraph").mkdir()
    monkeypatch.setitem(version.__globals__, "ROOT", tmp_path)
    source, log = tmp_path / "rfgraph" / "version.py", tmp_path / "CHANGELOG.md"
    source.write_text('VERSION = "1.2.3"')
    log.write_text("# Changelog\n\n## 1.2.3 - 2026-01-02\n")
    assert version() == "1.2.3"
    for head in ("Unreleased", "1.2.3", "1.2.2 - 2026-01-02"):
        log.write_text(f"# Changelog\n\n## {head}\n")
        with pytest.raises(
            SystemExit, match=r"its first heading has to be '## 1\.2\.3 - YYYY-MM-DD'"
        ):
            version()
    source.write_text('VERSION = "1.2.3.dev0"')
    with pytest.raises(SystemExit, match="no version to release"):
        version()


def test_what_is_released_works_without_a_compiler(tmp_path: Path) -> None:
    pytest.importorskip("build")
    pytest.importorskip("twine")
    environment = os.environ | {"CFLAGS": "-O0", "PIP_COMPILE": "0"}
    done = subprocess.run(
        [sys.executable, SCRIPT, tmp_path], env=environment, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    source, wheel = sorted(tmp_path.iterdir(), key=lambda file: file.suffix)
    assert "-cp311-abi3-" in wheel.name
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"rfgraph/_core.pyx", "setup.py", "conftest.py", "tests/test_release.py"} <= names
    assert not [name for name in names if name.endswith((".c", ".so"))]
