"""What the documentation shows works as it is shown."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import onnx
import pytest
import yaml

from rfgraph import checks, cli
from tests.checks.test_checks import conv

ROOT = Path(__file__).parents[1]
CI = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", CI, re.DOTALL)


def test_the_configuration(tmp_path: Path) -> None:
    (text,) = blocks("toml")
    (tmp_path / "pyproject.toml").write_text(text)
    config = checks.load(tmp_path / "pyproject.toml")
    assert set(tomllib.loads(text)["tool"]["rfgraph"]) == {"select", "ignore", "at-least", "models"}
    detector = config.settings(str(tmp_path / "models" / "detector-1.onnx"))
    assert detector.get("halo", "boxes") == {None: 512}
    assert detector.get("covers", "mask_0") == {None: 1.0}
    assert config.settings(str(tmp_path / "audio" / "a.onnx")).get("look-ahead", "y") == 160


def test_every_check_is_in_the_table() -> None:
    assert re.findall(r"^\| (RF\d{3}) ", CI, re.MULTILINE) == list(checks.CHECKS)


def commands() -> list[str]:
    """The lines with which somebody calls rfgraph."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line.startswith("rfgraph ")]


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    onnx.save(conv(), tmp_path / "models" / "a.onnx")
    monkeypatch.chdir(tmp_path)
    assert len(commands()) >= 4
    for command in commands():
        assert cli.main(shlex.split(command)[1:]) == 0, command


def test_the_python() -> None:
    (text,) = blocks("python")
    exec(compile(text, "docs/ci.md", "exec"), {})


def test_the_yaml() -> None:
    hooks, job, steps, gitlab = map(yaml.safe_load, blocks("yaml"))
    declared = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert [h["id"] for h in hooks["repos"][0]["hooks"]] == [h["id"] for h in declared]
    action: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
    (used,) = [s for s in job["jobs"]["receptive-fields"]["steps"] if "rfgraph" in s["uses"]]
    assert set(used["with"]) <= set(action["inputs"])
    assert "rfgraph check" in steps[1]["run"]
    assert "rfgraph.xml" in gitlab["receptive-fields"]["script"][1]
