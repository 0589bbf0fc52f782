"""``rfgraph tile``: what it prints, its exit codes, and bad input."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from rfgraph import cli

MODELS = Path(__file__).parents[2] / "models"
UNET = str(MODELS / "unet_tconv.onnx")
RESNET = str(MODELS / "resnet50.onnx")


def test_the_tables(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["tile", UNET, "--tile", "256x512"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    rows = "axis 2 of 'x' (height) 256 160 48/48 46/46 8 51/51 multiples of 8"
    columns = "axis 3 of 'x' (width) 512 416 48/48 46/46 8 51/51 multiples of 8"
    assert lines[1:3] == [rows, columns]
    assert "features 2 axis 2 of 'x' 1/8 0 7/2 30/30" in lines
    assert "1.97 elements are computed for each one that is kept" in lines
    said = "in onnxruntime the result is that of the whole, bit for bit, with "
    assert f"{said}graph_optimization_level = ORT_ENABLE_ALL; else within rounding" in lines


def test_the_page(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(MODELS.parent)
    page = (MODELS.parent / "docs" / "tiling.md").read_text("utf-8")
    command, shown = re.findall(r"```(?:sh)?\n(.*?)```", page, re.DOTALL)[:2]
    assert cli.main(shlex.split(command)[1:]) == 0
    assert capsys.readouterr().out == shown


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--tile", "256", "--axes", "height", "--output", "logits"]
    assert cli.main(["tile", UNET, *options, "--output-format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["version"], found["exact"], found["tiled"]) == (2, True, ["logits"])
    (rows,) = found["axes"]
    assert rows["inputs"] == [{"input": "x", "axis": 2}]
    assert rows["margin"] == [48, 48]
    assert (rows["before"], rows["after"], rows["alignment"]) == (46, 46, 8)
    assert (rows["unaligned"], rows["sizes"], rows["smallest"]) == ([51, 51], [0], 104)
    assert rows["outputs"]["logits"]["scale"] == "1"
    assert found["equality"]["level"] == "bit for bit"
    assert found["equality"]["options"] == {"graph_optimization_level": "ORT_ENABLE_ALL"}
    assert len(found["equality"]["causes"]) == 6
    assert found["waste"] == rows["waste"] == 1.6


def test_verify(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["tile", UNET, "--axes", "height", "--verify"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].split()[:5] == ["axis", "2", "of", "'x'", "3"]
    assert lines[-1] == "tiles give what the whole gives, at x: 1x1x144x224"
    options = ["--axes", "height", "--verify", "--output-format", "json"]
    assert cli.main(["tile", UNET, *options]) == 0
    found = json.loads(capsys.readouterr().out)["verified"]
    assert (found["ok"], found["shapes"]) == (True, {"x": [1, 1, 144, 224]})
    (rows,) = found["axes"]
    assert rows["difference"] <= found["tolerance"] <= 1e-4
    assert min(rows["less_before"], rows["less_after"], rows["unaligned"]) > 0


def test_no_tiles(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["tile", RESNET]) == 1
    out = capsys.readouterr().out
    assert "GlobalAveragePool '/avgpool/GlobalAveragePool': it sees the whole of axis 2" in out
    assert "these outputs can be had in tiles: features" in out
    assert cli.main(["tile", RESNET, "--output-format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["exact"]
    assert found["obstacle"]["node"] == "GlobalAveragePool '/avgpool/GlobalAveragePool'"
    assert cli.main(["tile", str(MODELS / "tcn.onnx"), "--output", "features"]) == 0
    assert "note: the file fixes axis 2 of 'x'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--tile", "64"), "unet_tconv.onnx: a tile of 64 along axis 2 of 'x' is too small"),
        (("--tile", "8x"), "write it as --tile 256"),
        (("--tile", "256x256x256"), "give one size for all, or one for each"),
        (("--axes", "depth"), "no input has an axis 'depth'"),
        (("--output", "nix"), "its outputs are features, logits"),
    ],
)
def test_bad_input(
    options: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["tile", UNET, *options]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert len(err.splitlines()) == 1
    assert words in err
