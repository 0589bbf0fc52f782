"""The steps of action.yml, run as a runner would run them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import pytest
import yaml

from tests.checks.test_checks import conv

ROOT = Path(__file__).parents[1]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the steps are for bash")


@dataclass
class Done:
    """What the steps have printed and written, and how the last one ended."""

    code: int
    printed: str
    outputs: dict[str, str]
    summary: str


def run(folder: Path, **inputs: str) -> Done:
    """Run the steps that are scripts, in order, in `folder`."""
    given = {name: spec.get("default", "") for name, spec in ACTION["inputs"].items()}
    given |= {name.replace("_", "-"): value for name, value in inputs.items()}
    temporary = folder.parent / "runner"
    temporary.mkdir()
    files = {n: temporary / n for n in ("GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STEP_SUMMARY")}
    for file in files.values():
        file.touch()
    # As users have it who have installed rfgraph themselves.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    code, printed = 0, ""
    for step in ACTION["runs"]["steps"]:
        condition = step.get("if", "")
        if "run" not in step or (condition == "inputs.install == 'true'") > (
            given["install"] == "true"
        ):
            continue
        assert step["shell"] == "bash"
        assert "${{" not in step["run"], "what is written into a script could be run"
        own = {name: filled(value, given) for name, value in step.get("env", {}).items()}
        added = files["GITHUB_PATH"].read_text().split("\n")[::-1]
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]],
            cwd=folder,
            env={
                "HOME": os.environ.get("HOME", "/"),
                "PATH": os.pathsep.join([*filter(None, added), path]),
                "RUNNER_TEMP": str(temporary),
                **{k: v for k, v in os.environ.items() if k.startswith("PIP_")},
                # The core is compiled in a third of the time, and of other packages what is
                # imported.
                "CFLAGS": "-O0",
                "PIP_COMPILE": "0",
                **{name: str(file) for name, file in files.items()},
                **own,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        code, printed = done.returncode, printed + done.stdout + done.stderr
        if code:
            break
    lines = files["GITHUB_OUTPUT"].read_text().splitlines()
    outputs = dict(line.split("=", 1) for line in lines)
    return Done(code, printed, outputs, files["GITHUB_STEP_SUMMARY"].read_text())


def filled(value: str, inputs: dict[str, str]) -> str:
    """An expression as a runner evaluates it."""
    known = {f"inputs.{name}": given for name, given in inputs.items()}
    known["github.action_path"] = str(ROOT)
    return re.sub(r"\$\{\{ *([\w.-]+) *\}\}", lambda found: known[found[1]], value)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    (folder / "models").mkdir(parents=True)
    onnx.save(conv(), folder / "models" / "good.onnx")
    return folder


def test_a_clean_model(work: Path) -> None:
    done = run(work, models="models", install="false")
    assert done.code == 0, done.printed
    assert done.outputs == {"exit-code": "0", "sarif-file": "rfgraph.sarif"}
    assert "::warning" not in done.printed
    assert json.loads((work / "rfgraph.sarif").read_text())["runs"][0]["results"] == []
    assert done.summary.startswith("## rfgraph check")


def test_findings(work: Path) -> None:
    odd = 'it\'s $(touch ran) `touch ran` "off"; touch ran.onnx'
    onnx.save(conv(5, (4, 0)), work / odd)
    done = run(work, models=f"models\n{odd}\n", install="false", sarif_file="a b.sarif")
    assert done.code == 1, done.printed
    assert done.outputs == {"exit-code": "1", "sarif-file": "a b.sarif"}
    assert "title=RF303 off-centre::output 'y' lies 2 elements before" in done.printed
    results = json.loads((work / "a b.sarif").read_text())["runs"][0]["results"]
    assert [result["ruleId"] for result in results] == ["RF303"]
    assert "RF303" in done.summary
    assert not (work / "ran").exists()


def test_configuration_baseline_and_options(work: Path) -> None:
    (work / "own.toml").write_text("at-least = 9\n")
    onnx.save(conv(5, (4, 0)), work / "models" / "off.onnx")
    more = {"models": "models/*.onnx", "install": "false"}
    done = run(work, **more, config="own.toml", args="--ignore\nRF303\n--set\ncausal=2")
    assert done.code == 1
    assert done.printed.count("title=RF101") == 2
    assert "title=RF303" not in done.printed


def test_a_file_that_is_no_model(work: Path) -> None:
    (work / "models" / "bad.onnx").write_bytes(b"")
    done = run(work, models="models", install="false")
    assert (done.code, done.outputs["exit-code"]) == (2, "2")
    assert "::error" in done.printed


def test_it_installs_itself(work: Path) -> None:
    done = run(work, models="models", python=sys.executable)
    assert done.code == 0, done.printed
    assert (work.parent / "runner" / "rfgraph" / "bin" / "rfgraph").exists()
