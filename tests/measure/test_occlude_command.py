"""``rfgraph occlude``: what it prints and writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from rfgraph import cli
from rfgraph.measure import occlusion
from tests.measure.test_occlusion import nonlinear

pytest.importorskip("onnxruntime")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    onnx.save(nonlinear(), tmp_path / "a.onnx")
    images = np.random.default_rng(0).integers(0, 256, (6, 24, 30, 2), np.uint8)
    np.save(tmp_path / "images.npy", images)
    return tmp_path / "a.onnx"


def run(file: Path, *options: str) -> int:
    images = ["--images", str(file.with_name("images.npy"))]
    return cli.main(["occlude", str(file), "y", *options, *images])


def test_the_table(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(file, "1", "0,0,:,4", "--size", "4x3", "--stride", "2", "--top", "3") == 0
    lines = capsys.readouterr().out.splitlines()
    assert " ".join(lines[0].split()) == "units images responds to each image can see share"
    assert lines[1].startswith("0,1,:,:  3 ")
    assert lines[2].startswith("0,0,:,4  3 ")
    assert "8x8" in lines[1]
    assert "covered by 4x3, 2x2 apart, random" in lines[3]
    assert "6 of them to find the images; with the occluder at all places" in lines[4]


def test_json_and_maps(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = file.with_name("maps.npz")
    options = ["1", "--fill", "mean", "--top", "2", "--mean", "0.5", "--std", "0.25,0.5"]
    assert run(file, *options, "--save", str(target), "--output-format", "json") == 0
    found = json.loads(capsys.readouterr().out)
    images = np.load(file.with_name("images.npy"))
    expected = occlusion(file, "y", 1, images, fill="mean", top=2, mean=0.5, std=(0.25, 0.5))
    (unit,) = found["units"]
    assert unit["side"] == expected.found[0].side
    assert unit["theoretical"] == [8, 8]
    assert unit["units"] == [0, 1, ":", ":"]
    assert [i["unit"] for i in unit["images"]] == [list(o.unit) for o in expected.found[0].images]
    assert found["passes"] == expected.passes < found["naive"]
    assert found["images"]["number"] == found["images"]["looked"] == 6
    assert not found["images"]["noise"]
    with np.load(target) as maps:
        assert np.array_equal(maps["map_0"], expected.found[0].map)
        assert maps["maps_0"].shape == (2, 24, 30)


def test_pictures(file: Path) -> None:
    pytest.importorskip("matplotlib")
    one, other = file.with_name("one.png"), file.with_name("other.svg")
    assert (
        run(file, "0", "--top", "2", "--save", str(one), "--crop", "--save-best", str(other)) == 0
    )
    assert one.read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in other.read_bytes()


def test_a_notebook_shows_the_table(file: Path) -> None:
    html = occlusion(file, "y", [0, 1], most=2, top=1)._repr_html_()
    assert html.count("<tr>") == 3
    assert "responds to" in html
    assert "no images were given" in html


def test_noise_is_said(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["occlude", str(file), "y", "0", "--top", "1", "--most", "3"]) == 0
    assert "on 3 images of random numbers, seed 0: covered" in (said := capsys.readouterr().out)
    assert "note: no images were given: to real ones" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["3"], "'y' has no channel 3"),
        (["0,0,99,0"], "has no unit at 99 on axis 2"),
        (["x"], "'x' is not a unit"),
        (["0", "--fill", "blue"], "fill 'blue' is not known"),
        (["0", "--mean", "a"], "--mean a: not a list of numbers"),
        (["0", "--size", "ax3"], "--size ax3: not a size"),
        (["0", "--stride", "99"], "some elements are never covered"),
        (["0", "--save", "a.txt"], "--save a.txt: its name has to end in one of"),
        (["0", "--save-best", "a.npz"], "--save-best a.npz: its name has to end in one of"),
        (["0", "--crop"], "--crop is for a picture"),
        (["0", "--layout", "HW"], "layout 'HW' has 2 axes, and input 'x' has 4"),
        (["0", "--seconds", "0"], "seconds has to be greater than 0"),
        (["0", "--input", "z"], "'z'"),
    ],
)
def test_bad_options(
    file: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(file, *options) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert message in line


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: np.save(path, np.full((2, 2, 24, 30), np.nan, np.float32)), "it holds NaN"),
        (lambda path: np.save(path, np.ones((2, 3, 24, 30))), "holds no images for input 'x'"),
        (lambda path: path.write_bytes(b"?"), "can't be read as an array"),
        (lambda path: path.unlink(), "there is no such file"),
    ],
)
def test_bad_images(
    file: Path, write: object, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(file.with_name("images.npy"))  # type: ignore[operator]
    assert run(file, "0") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert "images.npy" in line


def test_resumed(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("zarr")
    store = str(file.with_name("store"))
    options = ["0", "--output-format", "json", "--resume", store]
    sides = []
    for _ in range(2):
        assert run(file, *options) == 0
        sides.append(json.loads(capsys.readouterr().out)["units"])
    assert sides[0] == sides[1]
    assert run(file, *options, "--seed", "1") == 2
    assert "another seed" in capsys.readouterr().err
