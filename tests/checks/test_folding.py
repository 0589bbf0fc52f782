"""Layers of one kind are one finding, and notes fail nothing."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import rfgraph
from rfgraph import cli
from rfgraph.render.registry import rendered
from tests.graphs import model
from tests.render import readers

TWO = np.ones((1, 1, 3, 3), np.float32)


def checkered(layers: int) -> onnx.ModelProto:
    """Transposed convolutions with kernel 3 and stride 2: each is a finding along both axes."""
    names = ["x", *(f"a{k}" for k in range(1, layers)), "y"]
    body = " ".join(
        f"{after} = ConvTranspose<strides=[2, 2]>({before}, w)" for before, after in pairwise(names)
    )
    return model(body, "float[1,1,4,4] x", initializers={"w": TWO})


def noted(layers: int) -> onnx.ModelProto:
    """Convolutions that can add nothing: each is a note."""
    names = ["x", *(f"a{k}" for k in range(1, layers + 2)), "y"]
    body = " ".join(
        f"{after} = Conv<pads=[1, 1, 1, 1]>({before}, w)" for before, after in pairwise(names)
    )
    return model(body, "float[1,1,3,3] x", initializers={"w": TWO})


def check(made: onnx.ModelProto, code: str, **settings: Any) -> rfgraph.checks.Report:
    return rfgraph.check(made, select=[code], **settings)


def test_one_finding_for_all_layers() -> None:
    report = check(checkered(3), "RF304")
    (found,) = report.findings
    assert found.message == (
        "ConvTranspose 'ConvTranspose_0' adds up 1 to 2 elements along axis 2, in turn (and 5 more "
        "like it: ConvTranspose 'ConvTranspose_1', ConvTranspose 'ConvTranspose_2')"
    )
    assert [place.value for place in found.each] == ["a1", "a1", "a2", "a2", "y", "y"]
    # One is told as it is.
    (single,) = check(noted(0), "RF104").findings
    assert not single.places
    assert single.each == (single,)


def test_outputs_and_axes_with_limits_are_told_one_by_one() -> None:
    assert len(check(checkered(1), "RF101", at_least=99).findings) == 2


def test_every_format_has_the_places() -> None:
    report = check(checkered(5), "RF304")
    document = readers.read_json(rendered("report", "json", report), "check")
    (found,) = document["models"][0]["findings"]
    assert [place["value"] for place in found["places"]] == [
        name for name in ("a1", "a2", "a3", "a4", "y") for _ in range(2)
    ]
    assert found["figures"] == {"places": 10}
    (result,) = readers.read_sarif(rendered("report", "sarif", report))["results"]
    assert len(result["relatedLocations"]) == 10
    root = readers.read_junit(rendered("report", "junit", report))
    (failure,) = root.findall("testsuite/testcase/failure")
    assert failure.text.count("\nat ConvTranspose") == 10
    assert len(readers.read_github(rendered("report", "github", report))) == 1
    assert "7 more like it" in rendered("report", "text", report)
    assert "7 more like it" in rendered("report", "markdown", report)
    assert ": 1 finding, 0 known" in rendered("report", "text", report)


def test_a_baseline_tells_a_new_layer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, known = tmp_path / "m.onnx", tmp_path / "known.json"
    arguments = ["check", str(file), "--select", "RF304"]
    onnx.save(checkered(3), file)
    assert cli.main([*arguments, "--write-baseline", str(known)]) == 0
    (entries,) = (kept["findings"] for kept in json.loads(known.read_text())["models"].values())
    assert sum(entry["count"] for entry in entries) == 6
    assert cli.main([*arguments, "--baseline", str(known)]) == 0
    # What was the output has another name, and there is one layer more.
    onnx.save(checkered(4), file)
    capsys.readouterr()
    assert cli.main([*arguments, "--baseline", str(known), "--output-format", "json"]) == 1
    (checked,) = json.loads(capsys.readouterr().out)["models"]
    (found,) = checked["findings"]
    assert [place["value"] for place in found["places"]] == ["a3", "a3"]
    (old,) = checked["known"]
    assert [place["value"] for place in old["places"]] == ["a1", "a1", "a2", "a2", "y", "y"]


# What is found, how it is asked, and the exit code.
EXITS = [
    ("note", [], 0),
    ("note", ["--fail-on", "note"], 1),
    ("note", ["--fail-on", "note", "--exit-zero"], 0),
    ("warning", [], 1),
    ("warning", ["--fail-on", "warning"], 1),
    ("warning", ["--fail-on", "error"], 0),
    ("warning", ["--exit-zero"], 0),
    ("error", ["--fail-on", "error"], 1),
    ("error", ["--exit-zero"], 0),
]


@pytest.mark.parametrize(("worst", "options", "code"), EXITS)
@pytest.mark.parametrize("by", ["options", "configuration"])
def test_what_fails(
    worst: str,
    options: list[str],
    code: int,
    by: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    made = {"note": noted(1), "warning": checkered(1), "error": checkered(1)}[worst]
    onnx.save(made, "m.onnx")
    select = {"note": "RF104", "warning": "RF304", "error": "RF101"}[worst]
    lines = [f'select = ["{select}"]', "at-least = 99"]
    if by == "configuration":
        if "--fail-on" in options:
            lines.append(f'fail-on = "{options[options.index("--fail-on") + 1]}"')
        lines += ["exit-zero = true"] * ("--exit-zero" in options)
        options = []
    Path("rfgraph.toml").write_text("\n".join(lines))
    assert cli.main(["check", "m.onnx", *options, "--output-format", "json"]) == code
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False
    assert {f["severity"] for f in document["models"][0]["findings"]} == {worst}
    lenient = "--exit-zero" in options or "exit-zero = true" in lines
    assert document["passed"] is (code == 0) or lenient


def test_what_can_not_be_checked_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.onnx").write_bytes(b"no model")
    assert cli.main(["check", str(tmp_path / "m.onnx"), "--exit-zero"]) == 2
    capsys.readouterr()


def test_in_python() -> None:
    report = check(noted(2), "RF104")
    assert (report.ok, report.passed) == (False, True)
    assert not check(noted(2), "RF104", fail_on="note").passed
    with pytest.raises(rfgraph.RFGraphError, match='"error", "warning" or "note"'):
        check(noted(2), "RF104", fail_on="notes")
