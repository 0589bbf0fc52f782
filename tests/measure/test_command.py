"""``rfgraph effective``: what it prints and writes, and what it says of bad input."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from rfgraph import cli
from rfgraph.measure import effective, growth
from rfgraph.render.notebook import html
from tests.measure.plain import Net

Said = tuple[int, str, str]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model") / "small.onnx"
    onnx.save(Net(0, 3).conv(4).relu().conv(3).model(12), path)
    return str(path)


@pytest.fixture
def rf(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    def run(*arguments: str) -> Said:
        code = cli.main(arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_one_value(rf: Callable[..., Said], file: str) -> None:
    code, out, _ = rf("effective", file, "y")
    assert code == 0
    found = effective(file, "y")
    sides = "x".join(map(str, found.share(0.5).sides))
    assert f"50%    {sides}" in out
    assert f"{found.passes:,} passes" in out
    assert "all units" in out
    assert "note: no images were given: it is measured on noise" in out


def test_one_unit(rf: Callable[..., Said], file: str) -> None:
    code, out, _ = rf("effective", file, "y", "--at", "6,6", "--error", "0.2", "--change", "0.1")
    assert code == 0
    assert "unit 0,0,6,6" in out
    _, region, _ = rf("effective", file, "y", "--at", "0,:,4:8,6", "--error", "0.2")
    assert "units 0,:,4:8,6" in region


def test_layers(rf: Callable[..., Said], file: str) -> None:
    code, out, _ = rf("effective", file, "--seconds", "inf")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1:3]] == ["v1", "y"]
    _, one, _ = rf("effective", file, "--layers", "v*", "--error", "0.2")
    assert "v0" in one
    assert "y" not in [line.split()[0] for line in one.splitlines()]


def test_json_and_arrays(rf: Callable[..., Said], file: str, tmp_path: Path) -> None:
    arrays = tmp_path / "map.npz"
    code, out, _ = rf("effective", file, "y", "--output-format", "json", "--save", str(arrays))
    assert code == 0
    (told,) = json.loads(out)["effective"]
    found = effective(file, "y")
    assert told["map"] == found.map.tolist()
    assert told["shares"][0]["sides"] == list(found.share(0.5).sides)
    assert told["noise"]
    with np.load(arrays) as stored:
        assert (stored["map"] == found.map).all()
        assert tuple(stored["first"]) == found.first


def test_images_of_a_file(rf: Callable[..., Said], file: str, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 12, 12, 3)).astype(np.uint8)
    np.save(tmp_path / "images.npy", images)
    how = ("--mean", "0.5,0.4,0.3", "--std", "0.2", "--output-format", "json")
    code, out, _ = rf("effective", file, "y", "--images", str(tmp_path / "images.npy"), *how)
    assert code == 0
    (told,) = json.loads(out)["effective"]
    assert (told["images"], told["noise"]) == (3, False)
    scaled = (images / 255 - [0.5, 0.4, 0.3]) / 0.2
    same = effective(file, "y", images=scaled.transpose(0, 3, 1, 2).astype(np.float32))
    np.testing.assert_allclose(told["map"], same.map, rtol=1e-3)


def test_it_is_resumed(rf: Callable[..., Said], file: str, tmp_path: Path) -> None:
    store = str(tmp_path / "run")
    code, part, _ = rf(
        "effective", file, "y", "--resume", store, "--seconds", "1e-9", "--jobs", "1"
    )
    assert code == 0
    assert "the time of --seconds ended it" in part
    _, whole, _ = rf("effective", file, "y", "--resume", store)
    assert whole == rf("effective", file, "y")[1]
    code, _, said = rf("effective", file, "y", "--resume", store, "--seed", "1")
    assert code == 2
    assert "another seed" in said


def test_several_values_are_resumed(rf: Callable[..., Said], file: str, tmp_path: Path) -> None:
    """Each is gone on with; and what came of an end in between is what comes of one run."""
    store, other = tmp_path / "run", tmp_path / "other"
    arguments = ("effective", file, "--jobs", "1", "--error", "0.1", "--output-format", "json")
    code, part, _ = rf(*arguments, "--resume", str(store), "--seconds", "1e-9")
    assert code == 0
    assert not all(layer["complete"] for layer in json.loads(part)["effective"])
    _, resumed, _ = rf(*arguments, "--resume", str(store), "--seconds", "inf")
    _, whole, _ = rf(*arguments, "--seconds", "inf")
    for layers in zip(*(json.loads(text)["effective"] for text in (resumed, whole)), strict=True):
        assert layers[0]["map"] == layers[1]["map"]
        assert layers[0]["passes"] == layers[1]["passes"]
    other.mkdir()
    (other / "photo.png").touch()
    for folder, value, said in ((other, (), "no measurement"), (store, ("y",), "another kind")):
        code, _, told = rf("effective", file, *value, "--resume", str(folder))
        assert code == 2
        assert said in told


def test_pictures_and_arrays_of_several_values(
    rf: Callable[..., Said], file: str, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib", reason="pictures are drawn by it")
    for name, value in (("one.png", ("y",)), ("growth.svg", ()), ("growth.pdf", ())):
        path = tmp_path / name
        code, _, _ = rf("effective", file, *value, "--error", "0.3", "--save", str(path))
        assert code == 0
        assert path.read_bytes()[:5] in (b"\x89PNG\r", b"<?xml", b"%PDF-")
    arrays = tmp_path / "growth.npz"
    rf("effective", file, "--error", "0.3", "--save", str(arrays))
    found = growth(file, error=0.3)
    with np.load(arrays) as stored:
        assert stored["values"].tolist() == [layer.tensor for layer in found.layers]
        for k, layer in enumerate(found.layers):
            np.testing.assert_array_equal(stored[f"map_{k}"], layer.map)


def test_of_which_values_a_note_is(rf: Callable[..., Said], file: str) -> None:
    """What is said of some values alone names them."""
    _, out, _ = rf("effective", file, "--error", "0.02", "--seconds", "1e-9", "--jobs", "1")
    notes = [line for line in out.splitlines() if line.startswith("note: ")]
    assert "note: no images were given: it is measured on noise" in notes
    some = [line for line in notes if "not sampled" in line]
    assert all(line.endswith(")") for line in some)


def test_by_node(rf: Callable[..., Said], file: str) -> None:
    code, out, _ = rf("effective", file, "y", "--at", "6,6", "--by-node")
    assert code == 0
    assert "unit 0,0,6,6" in out


def test_an_interruption(
    rf: Callable[..., Said], file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rfgraph.measure import perturbing

    def interrupted(self: Any, result: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(perturbing.Maps, "add", interrupted)
    code, out, _ = rf("effective", file, "y", "--jobs", "1")
    assert code == 2
    assert "note: it was interrupted" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["y", "--images", "nowhere"], "nowhere"),
        (["y", "--at", "0,0,99,0"], "99"),
        (["y", "--step", "a"], "--step a"),
        (["y", "--mean", "a"], "--mean a"),
        (["y", "--save", "map.gif"], "--save map.gif"),
        (["y", "--by-node"], "name a unit"),
        (["y", "--change", "inf"], "change"),
        (["y", "--scale", "nan", "--images", "."], "scale"),
        (["y", "--layers", "y"], "--layers"),
        (["--at", "3,3"], "--at"),
        (["nowhere"], "nowhere"),
        (["y", "--input", "nowhere"], "nowhere"),
        (["y", "--error", "0"], "error"),
        (["y", "--resume", "/dev/null"], "/dev/null"),
        (["y", "--save", "/nowhere/map.npz", "--error", "0.5"], "/nowhere/map.npz"),
    ],
)
def test_bad_input(rf: Callable[..., Said], file: str, arguments: list[str], said: str) -> None:
    code, out, told = rf("effective", file, *arguments)
    assert (code, out) == (2, "")
    assert told.count("\n") == 1
    assert said in told


def test_notebooks(file: str) -> None:
    found = effective(file, "y", error=0.2)
    assert "<td>50%</td>" in html(found)
    assert "<td>v1</td>" in html(growth(file, error=0.2))
    assert repr(found).startswith("Effective('y' on 'x': 95.45% within")


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (["effective", "y"], "--save={}/x.npz"),
        (["effective", "y"], "--output-file=json={}/x.json"),
        (["occlude", "y", "0"], "--output-file={}/x.txt"),
        (["occlude", "y", "0"], "--save={}/x.npz"),
        (["occlude", "y", "0"], "--save-best={}/x.png"),
    ],
)
def test_what_can_not_be_written_is_told_before_anything_is_run(
    command: list[str],
    option: str,
    tmp_path: Path,
    rf: Callable[..., Said],
    file: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ran(*_: object, **__: object) -> None:
        raise AssertionError("it is run")

    name, *rest = command
    module = importlib.import_module(f"rfgraph.cli.{name}")
    monkeypatch.setattr(module, {"occlude": "occlusion"}.get(name, name), ran)
    folder = tmp_path / "not there"
    code, out, told = rf(name, file, *rest, option.format(folder))
    assert (code, out) == (2, "")
    assert f"{folder}/x" in told
    assert "can't be written" in told
    assert told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
