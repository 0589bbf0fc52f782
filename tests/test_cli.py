"""The command line: what it prints, where it writes, and how it ends."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shlex
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import parser

import rfgraph
from rfgraph import cli
from rfgraph.render import rows as rendered
from tests.graphs import parsed

MODELS = Path(__file__).parents[1] / "models"
LENET = MODELS / "lenet_textbook.onnx"
RESNET = MODELS / "resnet50.onnx"
SIAMESE = MODELS / "siamese.onnx"
DYNAMIC = MODELS / "dynamic.onnx"

posix = pytest.mark.skipif(os.name != "posix", reason="pipes and permissions are those of POSIX")

Rfgraph = Callable[..., tuple[int, str, str]]


@pytest.fixture
def rf(capsys: pytest.CaptureFixture[str]) -> Rfgraph:
    """`rfgraph` in this process: its exit code and what it printed."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            code = cli.main([str(a) for a in arguments])
        except SystemExit as end:
            code = int(end.code or 0)
        return code, *capsys.readouterr()

    return run


def process(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """`rfgraph` in a process of its own."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    command = [sys.executable, "-m", "rfgraph", *map(str, arguments)]
    return subprocess.run(command, text=True, timeout=60, check=False, **options)


def assert_refused(answer: tuple[int, str, str], *words: str) -> None:
    code, out, err = answer
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert err.startswith("rfgraph: error: ")
    assert "internal error" not in err
    for word in words:
        assert word in err


def cells(out: str) -> list[list[str]]:
    """A table's rows, without the mark of outputs."""
    return [re.split(r"\s{2,}", line[1:].strip()) for line in out.splitlines()]


# ---------------------------------------------------------------- show


def test_the_table(rf: Rfgraph) -> None:
    code, out, err = rf("show", LENET)
    assert (code, err) == (0, "")
    assert out == (
        "   value  operator     shape      sees x 1x1x30x30 axes 2,3\n"
        "   x      input        1x1x30x30  1x1 /1 @0 reach 0/0\n"
        "   c      Conv         1x1x26x26  5x5 /1 @0 reach 0/4\n"
        "*  y      AveragePool  1x1x13x13  6x6 /2 @0 reach 0/4\n"
    )


def test_the_table_of_the_readme(rf: Rfgraph) -> None:
    readme = (MODELS.parent / "README.md").read_text(encoding="utf-8")
    shown = readme.partition("rfgraph show models/resnet50.onnx\n```\n\n```\n")[2]
    head, _, tail = shown.partition("```")[0].partition("   ...\n")
    _, out, _ = rf("show", RESNET)
    printed = [line.split() for line in out.splitlines()]
    for line in (head + tail).splitlines():
        assert line.split() in printed


def test_all_axes(rf: Rfgraph) -> None:
    _, out, _ = rf("show", LENET, "--all-axes")
    assert cells(out)[0][-1] == "sees x 1x1x30x30"
    assert cells(out)[-1][-1] == "1x1x6x6 /1,0,2,2 @0 reach 0/0,-,0/4,0/4"


def test_density(rf: Rfgraph, dilated: Path) -> None:
    _, out, _ = rf("show", dilated, "--density")
    assert [row[-2:] for row in cells(out)] == [
        ["sees x 1x1x12x14 axes 2,3", "density"],
        ["1x1 /1 @0 reach 0/0", "100%"],
        ["5x5 /1 @0 reach 0/4", "36%"],
        ["9x9 /1 @0 reach 0/8", "31%"],
    ]
    _, out, _ = rf("show", dilated, "--density", "--output-format", "json")
    assert [v["density"]["x"] for v in json.loads(out)["values"]] == [1.0, 9 / 25, 25 / 81]


def test_density_of_two_inputs(rf: Rfgraph) -> None:
    _, out, _ = rf("show", SIAMESE, "--density")
    assert cells(out)[0][4::2] == ["density", "density"]
    (row,) = (row for row in cells(out) if row[0] == "left_features")
    assert row[-2:] == ["-", "-"]


def test_density_that_is_too_much_work(rf: Rfgraph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendered, "_MOST_NODES", 3)
    _, out, _ = rf("show", LENET, "--density")
    assert [line.split()[-1] for line in out.splitlines()[1:4]] == ["100%", "100%", "-"]
    assert "note: the density of 1 value is left out: choose fewer values with --select" in out
    _, out, _ = rf("show", LENET, "--density", "--select", "y")
    assert "100%" in out


def test_a_column_for_every_input(rf: Rfgraph) -> None:
    _, out, _ = rf("show", SIAMESE)
    head, *rest = cells(out)
    assert [h.split()[1] for h in head[3:]] == ["left", "right"]
    rows = {row[0]: row[3:] for row in rest if len(row) == 5}
    assert rows["left"][1] == "-"
    assert rows["right"][0] == "-"
    assert rows["distance"] == ["global", "global"]


SELECTED = {
    "a name": (["y"], ["y"]),
    "an operator": (["Conv"], ["c"]),
    "a node": (["conv"], ["c"]),
    "a pattern": (["*Pool"], ["y"]),
    "several": (["x", "Conv"], ["x", "c"]),
    "all": (["*"], ["x", "c", "y"]),
}


@pytest.mark.parametrize(("patterns", "names"), SELECTED.values(), ids=SELECTED)
def test_select(rf: Rfgraph, patterns: list[str], names: list[str]) -> None:
    options = [option for pattern in patterns for option in ("--select", pattern)]
    code, out, _ = rf("show", LENET, *options)
    assert code == 0
    assert [row[0] for row in cells(out)[1:]] == names


@pytest.mark.parametrize("pattern", ["z", "[", ""])
def test_select_of_nothing(rf: Rfgraph, pattern: str) -> None:
    answer = rf("show", LENET, "--select", pattern, "--select", "z")
    assert_refused(answer, LENET.name, "nothing matches", "z")


def test_constants(rf: Rfgraph) -> None:
    def names(*options: str) -> list[str]:
        lines = rf("show", RESNET, *options)[1].partition("\nnote:")[0]
        return [row[0] for row in cells(lines)[1:]]

    analysis = rfgraph.analyze(RESNET)
    assert names("--constants") == analysis.tensors
    assert names() == [name for name in analysis.tensors if analysis.depends(name)]
    assert names() != analysis.tensors


def test_what_is_assumed_is_said(rf: Rfgraph) -> None:
    code, out, _ = rf("show", DYNAMIC)
    assert code == 0
    notes = [line for line in out.splitlines() if line.startswith("note: ")]
    assert notes == ["note: open axes are taken as batch = 1, height = 224, width = 224"]
    code, out, _ = rf("show", DYNAMIC, "--shape", "x=1,3,64,96")
    assert code == 0
    assert "note:" not in out
    assert "1x3x64x96" in out


@pytest.mark.parametrize("given", ["x=1,1,40,40", "1,1,40,40"])
def test_a_shape(rf: Rfgraph, given: str) -> None:
    code, out, _ = rf("show", LENET, "--shape", given)
    assert code == 0
    assert "1x1x18x18" in out


SHAPES = {
    "an unknown input": ("z=1,1,30,30", "'z'"),
    "too few sizes": ("x=30,30", "4 axes, and 2 sizes"),
    "too many sizes": ("x=1,1,30,30,30", "4 axes, and 5 sizes"),
    "no sizes": ("x=", "4 axes, and 0 sizes"),
    "a negative size": ("x=1,1,-30,30", "negative"),
    "no number": ("x=1,1,a,30", "--shape x=1,1,a,30"),
    "a fraction": ("x=1,1,30.5,30", "--shape x=1,1,30.5,30"),
    "crosses": ("x=1x1x30x30", "--shape x=1x1x30x30"),
    "too small a size": ("x=1,1,2,2", "Conv 'conv'"),
    "other channels": ("x=1,3,30,30", "Conv 'conv'"),
    "a huge size": ("x=1,1,30,1000000000000", "smaller sizes"),
}


@pytest.mark.parametrize(("given", "words"), SHAPES.values(), ids=SHAPES)
def test_a_shape_that_does_not_fit(rf: Rfgraph, given: str, words: str) -> None:
    assert_refused(rf("show", LENET, "--shape", given), words)


def test_a_shape_of_one_of_two_inputs(rf: Rfgraph) -> None:
    answer = rf("show", SIAMESE, "--shape", "1,1,105,105")
    assert_refused(answer, "2 inputs", "--shape left=", "--shape right=")


def test_an_empty_axis(rf: Rfgraph) -> None:
    code, out, _ = rf("show", LENET, "--shape", "x=0,1,30,30")
    assert code == 0
    assert cells(out)[-1] == ["y", "AveragePool", "0x1x13x13", "-"]


def save(text: str, folder: Path) -> Path:
    """A model of operator set 17, in ONNX's text form."""
    path = folder / "m.onnx"
    onnx.save(parsed(text), path)
    return path


@pytest.fixture
def resize(tmp_path: Path) -> Path:
    text = "g (float[1,1,4,4] x, int64[4] s) => (float[N,C,h,w] y) { y = Resize(x, , , s) }"
    return save(text, tmp_path)


def test_a_value(rf: Rfgraph, resize: Path) -> None:
    code, out, _ = rf("show", resize, "--value", "s=1,1,8,8")
    assert code == 0
    assert "1x1x8x8" in out
    assert "sees s" not in out


def test_a_value_and_its_shape(rf: Rfgraph, resize: Path) -> None:
    held = ("--value", "s=1,1,8,8")
    assert rf("show", resize, *held, "--shape", "s=4")[0] == 0
    # Without a name it is that of the input that is left.
    code, out, _ = rf("show", resize, *held, "--shape", "1,1,2,2")
    assert code == 0
    assert "sees x 1x1x2x2" in out
    code, _, err = rf("show", resize, *held, "--shape", "s=5")
    assert code == 2
    assert "'s' is given the shape (5,), and values= holds it with the shape (4,)" in err


def test_a_value_of_a_file(rf: Rfgraph, resize: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "s.npy", np.array([1, 1, 8, 8]))
    code, out, _ = rf("show", resize, "--value", f"s={tmp_path / 's.npy'}")
    assert code == 0
    assert "1x1x8x8" in out


def test_a_value_of_a_scalar(rf: Rfgraph, tmp_path: Path) -> None:
    path = save("g (float[2] x, float f) => (float[2] y) { y = Mul(x, f) }", tmp_path)
    code, out, _ = rf("show", path, "--value", "f=2")
    assert code == 0
    assert "sees f" not in out


VALUES = {
    "an unknown input": ("t=1", "'t'"),
    "text": ("s=a", "s=a"),
    "nothing": ("s=", "s="),
    "not even nothing": ("s", "--value s"),
    "too few": ("s=1,1", "m.onnx"),
    "no numbers": ("s=1,1,8,nan", "'s'"),
    "another rank": ("x=1,2", "'x' has 4 axes"),
    "a missing file": ("s=missing.npy", "missing.npy"),
}


@pytest.mark.parametrize(("given", "words"), VALUES.values(), ids=VALUES)
def test_a_value_that_does_not_fit(rf: Rfgraph, resize: Path, given: str, words: str) -> None:
    assert_refused(rf("show", resize, "--value", given), words)


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\x01\x00"])
def test_a_value_of_a_file_that_is_no_array(
    rf: Rfgraph, resize: Path, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "s.npy"
    path.write_bytes(content)
    assert_refused(rf("show", resize, "--value", f"s={path}"), "s.npy")


def test_a_value_of_a_file_with_a_program(rf: Rfgraph, resize: Path, tmp_path: Path) -> None:
    """Pickled objects run code when they are read: they are not."""
    np.save(tmp_path / "s.npy", np.array([print], dtype=object), allow_pickle=True)
    assert_refused(rf("show", resize, "--value", f"s={tmp_path / 's.npy'}"), "s.npy")


def test_strict(rf: Rfgraph, tmp_path: Path) -> None:
    path = save("g (float[3] x) => (float[3] y) { y = own.Op(x) }", tmp_path)
    code, out, _ = rf("show", path)
    assert code == 0
    assert "note: Op 'Op_0'" in out
    assert_refused(rf("show", path, "--strict"), "m.onnx", "own.Op 'Op_0'")


# ---------------------------------------------------------------- show, as JSON


def test_the_document(rf: Rfgraph) -> None:
    code, out, err = rf("show", LENET, "--output-format", "json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert document["version"] == 2
    assert document["model"] == str(LENET)
    assert document["inputs"] == {"x": [1, 1, 30, 30]}
    assert document["outputs"] == ["y"]
    assert document["notes"] == []
    assert [value["name"] for value in document["values"]] == ["x", "c", "y"]
    last = document["values"][-1]
    assert (last["operator"], last["shape"], last["output"]) == (
        "AveragePool",
        [1, 1, 13, 13],
        True,
    )
    rows = last["fields"]["x"]["local"][2]
    assert (rows["smallest"], rows["size"], rows["stride"], rows["start"]) == (6, 6, 2, 0)
    assert (rows["back"], rows["ahead"], rows["past"], rows["future"]) == (0, 4, False, False)
    assert not rows["global"]


@pytest.mark.parametrize("name", ["vit", "espcn", "dynamic", "siamese", "unet_bilinear"])
def test_documents_are_json_for_everybody(rf: Rfgraph, name: str) -> None:
    """NaN and Infinity are Python's own."""

    def refuse(word: str) -> None:
        raise AssertionError(word)

    code, out, _ = rf("show", MODELS / f"{name}.onnx", "--output-format", "json")
    assert code == 0
    assert json.loads(out, parse_constant=refuse)["values"]


# ---------------------------------------------------------------- unit


def test_the_textbook_case(rf: Rfgraph) -> None:
    code, out, err = rf("unit", LENET, "y", "0,0,4,5")
    assert (code, err) == (0, "")
    assert cells(" " + out.replace("\n", "\n ").strip(" "))[1] == [
        "y",
        "AveragePool",
        "0,0,4,5",
        "0..0 0..0 8..13 10..15",
        "(1x1x6x6)",
        "100%",
    ]


def test_the_textbook_case_as_json(rf: Rfgraph) -> None:
    code, out, _ = rf("unit", LENET, "y", "0,0,4,5", "--output-format", "json")
    assert code == 0
    assert json.loads(out)["units"] == [
        {
            "tensor": "y",
            "operator": "AveragePool",
            "unit": [0, 0, 4, 5],
            "boxes": {"x": [[0, 0], [0, 0], [8, 13], [10, 15]]},
            "count": {"x": 36},
            "density": {"x": 1.0},
        }
    ]


@pytest.mark.parametrize("index", ["(0,0,4,5)", "[0, 0, 4, 5]", "0,0,-9,-8"])
def test_a_unit_may_be_written(rf: Rfgraph, index: str) -> None:
    code, out, _ = rf("unit", LENET, "y", index)
    assert code == 0
    assert "8..13 10..15" in out


def test_a_unit_that_begins_with_a_minus(rf: Rfgraph) -> None:
    code, out, _ = rf("unit", LENET, "y", "-1,-1,-9,-8")
    assert code == 0
    assert "8..13 10..15" in out


def test_a_unit_of_two_inputs(rf: Rfgraph) -> None:
    _, out, _ = rf("unit", SIAMESE, "/Sigmoid_output_0", "0,0", "--output-format", "json")
    boxes = json.loads(out)["units"][0]["boxes"]
    assert boxes["right"] is None
    assert boxes["left"][2] == [0, 104]
    assert "nothing" in rf("unit", SIAMESE, "/Sigmoid_output_0", "0,0")[1]


def test_every_value_of_an_operator(rf: Rfgraph) -> None:
    code, out, _ = rf("unit", LENET, "--every", "Conv,Average*", "--at", "4,5")
    assert code == 0
    assert [line.split()[:3] for line in out.splitlines()[1:]] == [
        ["c", "Conv", "0,0,4,5"],
        ["y", "AveragePool", "0,0,4,5"],
    ]


def test_every_value_that_has_the_unit(rf: Rfgraph) -> None:
    code, out, _ = rf("unit", LENET, "--every", "*", "--at", "20,20")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["x", "c"]


def test_local_units(rf: Rfgraph) -> None:
    path = MODELS / "efficientnet_b0.onnx"
    analysis = rfgraph.analyze(path)
    gated = next(
        name
        for name in analysis.tensors
        if analysis.depends(name)
        and analysis.field(name, local=False)[2].is_global
        and not analysis.field(name)[2].is_global
    )
    options = ("unit", path, gated, "0,0,50,50", "--output-format", "json")
    full = json.loads(rf(*options)[1])["units"][0]["boxes"]["x"][2]
    local = json.loads(rf(*options, "--local")[1])["units"][0]["boxes"]["x"][2]
    assert full == [0, 223]
    assert 0 < local[0] < local[1] < 223


@pytest.fixture
def dilated(tmp_path: Path) -> Path:
    weights = "<float[1, 1, 3, 3] W = {1, 1, 1, 1, 1, 1, 1, 1, 1}>"
    nodes = "a = Conv <dilations = [2, 2]> (x, W) y = Conv <dilations = [2, 2]> (a, W)"
    return save(f"g (float[1,1,12,14] x) => (float[1,1,4,6] y) {weights} {{ {nodes} }}", tmp_path)


HOLES = """\
value  operator  unit     sees x                           density
y      Conv      0,0,1,2  0..0 0..0 1..9 2..10  (1x1x9x9)  31%

x: 25 of 168 elements, 31% of the box
axis 2 down, 0..11 of 0..11; axis 3 across, 0..13 of 0..13
┌──────────────┐
│  ▄ ▄ ▄ ▄ ▄   │
│  ▄ ▄ ▄ ▄ ▄   │
│  ▄ ▄ ▄ ▄ ▄   │
│  ▄ ▄ ▄ ▄ ▄   │
│  ▄ ▄ ▄ ▄ ▄   │
│              │
└──────────────┘
"""


def test_a_picture_of_holes(rf: Rfgraph, dilated: Path) -> None:
    code, out, err = rf("unit", dilated, "y", "0,0,1,2")
    assert (code, err) == (0, "")
    assert out == HOLES


def test_a_picture_in_a_terminal_without_blocks(dilated: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = process("unit", dilated, "y", "0,0,1,2", env=environment)
    assert done.returncode == 0
    assert "|  . . . . .   |" in done.stdout
    assert "\x1b" not in done.stdout
    assert "\\u" not in done.stdout


def test_a_picture_fits_the_terminal(rf: Rfgraph, monkeypatch: pytest.MonkeyPatch) -> None:
    for columns in (20, 40, 200):
        monkeypatch.setenv("COLUMNS", str(columns))
        for unit in ("0,0,0,0", "0,0,3,3"):
            _, out, _ = rf("unit", RESNET, "features", unit)
            drawn = [line for line in out.splitlines() if line[:1] in tuple("┌│┆└")]
            assert drawn
            assert max(map(len, drawn)) <= columns
            assert len(drawn) <= 34


def test_a_region(rf: Rfgraph) -> None:
    code, out, _ = rf("unit", LENET, "y", "0,0,4:6,:2", "--output-format", "json")
    assert code == 0
    (found,) = json.loads(out)["units"]
    assert found["unit"] == [0, 0, "4:6", ":2"]
    assert found["boxes"]["x"][2:] == [[8, 15], [0, 7]]
    assert found["count"] == {"x": 64}
    _, out, _ = rf("unit", LENET, "y", "0,0,::12,-1:")
    assert "0,0,::12,-1:" in out
    assert "40% of the box" in out


def test_a_mask_is_saved(rf: Rfgraph, dilated: Path, tmp_path: Path) -> None:
    path = tmp_path / "mask.npy"
    assert rf("unit", dilated, "y", "0,0,1,2", "--save", path)[0] == 0
    mask = np.load(path)
    assert (mask.shape, mask.dtype, mask.sum()) == ((1, 1, 12, 14), bool, 25)
    expected = np.asarray(rfgraph.analyze(dilated).support("y", (0, 0, 1, 2)))
    assert np.array_equal(mask, expected)


@pytest.mark.parametrize("every", [False, True])
def test_a_picture_is_saved(rf: Rfgraph, dilated: Path, tmp_path: Path, every: bool) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "out.png"
    unit = ("--every", "Conv", "--at", "1,2") if every else ("y", "0,0,1,2")
    code, _, err = rf("unit", dilated, *unit, "--save", path)
    assert (code, err) == (0, "")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert not list(tmp_path.glob(".rfgraph*"))


def test_one_unit_of_every_layer_in_one_command(rf: Rfgraph, tmp_path: Path) -> None:
    """Each convolution and pooling of a VGG-16, at its middle."""
    code, out, _ = rf("unit", MODELS / "vgg16.onnx", "--every", "Conv,MaxPool")
    assert code == 0
    assert len(out.splitlines()) == 1 + 13 + 5
    assert "0,2,112,112" in out.splitlines()[1]


def _colours(image: Any) -> Any:
    return image.convert("RGB").getcolors(1 << 24)


def test_an_image_beneath_the_picture(rf: Rfgraph, dilated: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from PIL import Image

    photo, path = tmp_path / "photo.png", tmp_path / "out.png"
    Image.new("RGB", (40, 30), "green").save(photo)
    for unit in (("y", "1,2"), ("--every", "Conv")):
        for more in ((), ("--crop",)):
            answer = rf("unit", dilated, *unit, "--image", photo, "--save", path, *more)
            assert (answer[0], answer[2]) == (0, "")
            with Image.open(path) as drawn:
                assert (0, 128, 0) in {colour for _, colour in _colours(drawn)}
            path.unlink()
    photo.write_text("text")
    answer = rf("unit", dilated, "y", "1,2", "--image", photo, "--save", path)
    assert_refused(answer, str(photo), "can't be read as an image", "PNG or JPEG")
    answer = rf("unit", dilated, "y", "1,2", "--image", photo, "--save", tmp_path / "out.npy")
    assert_refused(answer, "--image is for a picture")


def test_no_matplotlib(
    rf: Rfgraph, dilated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    path = tmp_path / "out.png"
    answer = rf("unit", dilated, "y", "0,0,1,2", "--save", path)
    assert_refused(answer, "matplotlib", "pip install 'rfgraph[plot]'")
    assert not path.exists()
    assert rf("unit", dilated, "y", "0,0,1,2", "--save", tmp_path / "out.npy")[0] == 0


UNSAVED = {
    "an unknown kind": (("y", "0,0,1,2"), "out.txt", (".png", ".npy")),
    "no kind": (("y", "0,0,1,2"), "out", (".png", ".npy")),
    "a mask of several": (("--every", "Conv", "--at", "0"), "out.npy", (".png",)),
    "the local part": (("y", "0,0,1,2", "--local"), "out.npy", ("--local",)),
    "no folder": (("y", "0,0,1,2"), "no/out.npy", ("No such file",)),
}


@pytest.mark.parametrize(("unit", "name", "words"), UNSAVED.values(), ids=UNSAVED)
def test_what_is_not_saved(
    rf: Rfgraph,
    dilated: Path,
    tmp_path: Path,
    unit: tuple[str, ...],
    name: str,
    words: tuple[str, ...],
) -> None:
    assert_refused(rf("unit", dilated, *unit, "--save", tmp_path / name), *words)
    assert not (tmp_path / name).exists()


def test_a_picture_of_one_of_two_inputs(rf: Rfgraph, tmp_path: Path) -> None:
    unit = ("unit", SIAMESE, "distance", "0,0", "--save", tmp_path / "out.npy")
    assert_refused(rf(*unit), "2 are seen", "--input left or right")
    assert rf(*unit, "--input", "right")[0] == 0
    assert np.load(tmp_path / "out.npy").shape == (1, 1, 105, 105)
    assert_refused(rf(*unit, "--input", "wibble"), "wibble")


UNITS = {
    "an unknown tensor": (("yy", "0,0,0,0"), ("lenet", "'yy'", "(did you mean 'y'?)")),
    "a tensor that is far from any": (("wibble", "0"), ("lenet", "'wibble'")),
    "twice": (("y", "4,5", "--at", "4,5"), ("INDEX", "--at")),
    "too many coordinates": (("y", "0,0,0,4,5"), ("lenet", "'y' has 4 axes")),
    "no coordinates": (("y", ","), ("lenet", "'y' has 4 axes")),
    "a unit outside": (("y", "0,0,13,0"), ("lenet", "'y' has no unit", "(1, 1, 13, 13)")),
    "a unit before the first": (("y", "0,0,-14,0"), ("lenet", "'y' has no unit")),
    "a unit far outside": (("y", f"0,0,{10**30},0"), ("lenet", "'y' has no unit")),
    "an empty region": (("y", "0,0,5:5,0"), ("lenet", "'y' of shape", "5:5 on axis 2")),
    "a region outside": (("y", "0,0,0,13:"), ("lenet", "'y' of shape", "13: on axis 3")),
    "a step of nothing": (("y", "0,0,0,::0"), ("'0,0,0,::0'", "slices")),
    "a local region": (("y", "0,0,0,:", "--local"), ("--local",)),
    "no number": (("y", "a,b"), ("'a,b'", "(give whole numbers")),
    "a fraction": (("y", "0,0,1.5,0"), ("'0,0,1.5,0'", "(give whole numbers")),
    "no unit": (("y",), ("unit is missing", "lenet_textbook.onnx y 0,0,6,6)")),
    "an empty unit": (("y", ""), ("unit is missing",)),
    "nothing": ((), ("TENSOR", "--every")),
    "an image without a picture": (("y", "4,5", "--image", "a.png"), ("--image", "--save")),
    "a part without a picture": (("y", "4,5", "--crop"), ("--crop", "--save")),
    "a unit of everything": (("--at", "0,0"), ("--every",)),
    "both": (("y", "0,0,0,0", "--every", "Conv", "--at", "0"), ("TENSOR", "--every")),
    "every of nothing": (("--every", "Wibble", "--at", "0"), ("lenet", "Wibble")),
    "every without such a unit": (("--every", "Conv", "--at", "99,99"), ("lenet", "Conv", "99,99")),
    "every with no number": (("--every", "Conv", "--at", "a"), ("'a'", "(give whole numbers")),
}


@pytest.mark.parametrize(("arguments", "words"), UNITS.values(), ids=UNITS)
def test_a_unit_that_there_is_not(
    rf: Rfgraph, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    assert_refused(rf("unit", LENET, *arguments), *words)


def test_the_unit_that_is_named_where_it_is_missing(rf: Rfgraph) -> None:
    said = rf("unit", RESNET, "features")[2]
    command = said[said.index("rfgraph unit") :].rstrip(")\n")
    assert shlex.split(command) == ["rfgraph", "unit", str(RESNET), "features", "0,64,3,3"]
    assert rf(*shlex.split(command)[1:])[0] == 0


LAST = {
    "of a unit": ("unit", "y", "4,5"),
    "of a unit, by option": ("unit", "y", "--at", "4,5"),
    "of a unit, behind options": ("unit", "--local", "y", "--at", "4,5"),
    "of a unit among options": ("unit", "--local", "y", "4,5"),
    "with channels": ("unit", "y", "0,4,5"),
    "from the end": ("unit", "y", "-9,-8"),
    "why": ("why", "y", "--at", "4,5"),
    "why, without the option": ("why", "y", "4,5"),
    "of everything": ("unit", "--every", "AveragePool", "--at", "4,5"),
}


@pytest.mark.parametrize("arguments", LAST.values(), ids=LAST)
def test_a_unit_is_given_by_its_last_coordinates(rf: Rfgraph, arguments: tuple[str, ...]) -> None:
    """One meaning everywhere; the box is that of the documentation, 8..13 by 10..15."""
    code, out, err = rf(arguments[0], LENET, *arguments[1:])
    assert (code, err) == (0, "")
    assert re.search(r"8\.\.13\s.*10\.\.15\s", out, re.DOTALL)


USAGE = {
    "a command": (("shwo", "a.onnx"), "usage: rfgraph [-h]", "did you mean 'rfgraph show'?"),
    "no command": ((str(LENET),), "usage: rfgraph [-h]", f"'rfgraph show {LENET}'?"),
    "a command like none": (("garply",), "usage: rfgraph [-h]", "the commands are show, unit, why"),
    "an option": (("show", LENET, "--shpae", "1"), "usage: rfgraph show", "did you mean --shape?"),
    "an option with a value": (("why", LENET, "--inptu=x"), "usage: rfgraph why", "--input?"),
    "an option of another command": (
        ("show", LENET, "--every", "Conv"),
        "usage: rfgraph show",
        "which is one of 'rfgraph unit'",
    ),
    "one too many": (("show", LENET, "y"), "usage: rfgraph show", "unexpected argument 'y'"),
}


@pytest.mark.parametrize(("arguments", "usage", "words"), USAGE.values(), ids=USAGE)
def test_what_is_mistyped(
    rf: Rfgraph, arguments: tuple[str | Path, ...], usage: str, words: str
) -> None:
    code, out, err = rf(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(usage)
    assert words in err.splitlines()[-1]


def test_no_memory_is_no_fault_of_the_model(
    rf: Rfgraph, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Wherever it is missed: in a rule for shapes, or in a transfer."""
    from rfgraph.ops import registry

    def fail(_: object) -> None:
        raise MemoryError

    made = parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17, "com.microsoft": 1]>'
        "g (float[1,1,8,8] x) => (float[1,1,8,8] y) { y = Relu(x) }"
    )
    onnx.save(made, tmp_path / "relu.onnx")
    for key, rules in list(registry._RULES.items()):
        if key[1] == "Relu":
            changed = [dataclasses.replace(rule, transfer=fail) for rule in rules]
            monkeypatch.setitem(registry._RULES, key, changed)
    answer = rf("show", tmp_path / "relu.onnx")
    assert_refused(answer, "relu.onnx: Relu 'Relu_0': out of memory for what it reads", "--shape")
    code, out, _ = rf("check", tmp_path / "relu.onnx")
    assert code == 2
    assert "out of memory" in out
    assert "checker" not in out


# ---------------------------------------------------------------- why


def test_why(rf: Rfgraph) -> None:
    code, out, err = rf("why", LENET, "y", "--at", "0,0,4,5")
    assert (code, err) == (0, "")
    assert out == (
        "y[0,0,4,5] sees 6 of 30 along axis 2 of x: 8..13\n"
        "\n"
        "  adds                    size  lower end  upper end  value  operator\n"
        "                          1     8..8       13..13     x      input\n"
        "  +4    ################  5     8..12      9..13      c      Conv\n"
        "  +1    ####              6     8..13      8..13      y      AveragePool\n"
        "\n"
        "y[0,0,4,5] sees 6 of 30 along axis 3 of x: 10..15\n"
        "\n"
        "  adds                    size  lower end  upper end  value  operator\n"
        "                          1     10..10     15..15     x      input\n"
        "  +4    ################  5     10..14     11..15     c      Conv\n"
        "  +1    ####              6     10..15     10..15     y      AveragePool\n"
    )


def test_why_it_is_the_whole_input(rf: Rfgraph) -> None:
    _, out, _ = rf("why", RESNET)
    lines = out.splitlines()
    assert lines[0] == (
        "features[0,64,3,3] sees 224 of 224 along axes 2,3 of x: 0..223 (427 away from the borders)"
    )
    assert lines[1] == (
        "first to see the whole axis: /trunk/layer3/layer3.4/conv2/conv2.0/Conv_output_0 (Conv)"
    )
    assert len(lines) < 22
    analysis = rfgraph.analyze(RESNET)
    earlier = "/trunk/layer3/layer3.3/conv2/conv2.0/Conv_output_0"
    shape = analysis.shape(earlier) or ()
    boxes = {analysis.box(earlier, (0, 0, k, 0)) for k in range(shape[2])}
    assert all(box and box[2] != (0, 223) for box in boxes)


def test_why_by_a_statistic(rf: Rfgraph) -> None:
    vit = MODELS / "vit.onnx"
    _, out, _ = rf("why", vit, "--local")
    assert "with statistics and attention: 0..223, by /blocks/blocks.0/attn" in out
    assert "sees 16 of 224" in out
    _, out, _ = rf("why", vit)
    assert "sees 224 of 224" in out
    assert "without what is global: 96..111; see --local" in out
    assert "first to see the whole axis: /blocks/blocks.0/attn" in out
    _, out, _ = rf("why", MODELS / "efficientnet_b0.onnx", "logits")
    assert "(GlobalAveragePool), by what it reads of the whole axis at once" in out


def test_why_one_of_two_inputs(rf: Rfgraph) -> None:
    _, out, _ = rf("why", SIAMESE, "left_features")
    assert "of left: 24..88" in out
    assert "sees nothing of right" in out
    _, out, _ = rf("why", SIAMESE, "left_features", "--input", "left")
    assert "right" not in out


def test_why_as_json(rf: Rfgraph) -> None:
    code, out, _ = rf("why", LENET, "--at", "0,0,4,5", "--output-format", "json")
    assert code == 0
    document = json.loads(out)
    assert (document["tensor"], document["unit"], document["local"]) == ("y", [0, 0, 4, 5], False)
    rows = document["explanations"]["x"][0]
    assert {k: rows[k] for k in ("axis", "size", "bounds", "whole")} == {
        "axis": 2,
        "size": 30,
        "bounds": [8, 13],
        "whole": None,
    }
    assert rows["lower"][0] == {
        "tensor": "y",
        "operator": "AveragePool",
        "node": "pool",
        "unit": [0, 0, 4, 5],
        "bounds": [8, 13],
        "added": 1,
    }
    assert [hop["tensor"] for hop in rows["upper"]] == ["y", "c", "x"]


REASONS = {
    "an unknown tensor": (("yy",), ("lenet", "'yy'")),
    "too many coordinates": (("y", "--at", "0,0,0,4,5"), ("lenet", "'y' has 4 axes")),
    "a unit outside": (("y", "13,0"), ("lenet", "'y' has no unit", "(1, 1, 13, 13)")),
    "a region": (("y", "--at", "0,0,:,5"), ("one unit",)),
    "an unknown input": (("y", "--input", "z"), ("'z'",)),
}


@pytest.mark.parametrize(("arguments", "words"), REASONS.values(), ids=REASONS)
def test_why_there_is_nothing(
    rf: Rfgraph, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    assert_refused(rf("why", LENET, *arguments), *words)


# ---------------------------------------------------------------- output files


def test_an_output_file(rf: Rfgraph, tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("what was there before, and longer than it will be" * 100)
    assert rf("show", LENET, "--output-file", path) == (0, "", "")
    assert path.read_text() == rf("show", LENET)[1]
    assert list(tmp_path.iterdir()) == [path]


@posix
def test_an_output_file_may_be_read_as_others_are(rf: Rfgraph, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        rf("show", LENET, "--output-file", tmp_path / "out.txt")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out.txt").stat().st_mode) == 0o640


def test_an_output_file_in_a_folder_that_does_not_exist(rf: Rfgraph, tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "out.txt"
    assert_refused(rf("show", LENET, "--output-file", path), str(path), "No such file")
    assert not list(tmp_path.iterdir())


@posix
@pytest.mark.parametrize("name", [".", "a" * 300])
def test_an_output_file_that_can_not_be(rf: Rfgraph, tmp_path: Path, name: str) -> None:
    assert_refused(rf("show", LENET, "--output-file", tmp_path / name), "can't be written")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [("show", "--shape", "x=1"), ("unit", "z", "0")])
def test_an_error_leaves_the_output_file(
    rf: Rfgraph, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    path = tmp_path / "out.txt"
    command, *rest = arguments
    assert_refused(rf(command, LENET, *rest, "--output-file", path))
    assert not path.exists()
    path.write_text("before")
    assert_refused(rf(command, LENET, *rest, "--output-file", path))
    assert path.read_text() == "before"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_output_file_that_is_cut_short(
    rf: Rfgraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    path = tmp_path / "out.txt"
    path.write_text("before")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(os, "replace", fail)
    assert_refused(rf("show", LENET, "--output-file", path))
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@posix
def test_an_output_file_that_is_a_pipe(rf: Rfgraph, tmp_path: Path) -> None:
    """What is no file is written to, not replaced: a pipe here, /dev/null elsewhere."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert rf("show", LENET, "--output-file", path)[0] == 0
        assert stat.S_ISFIFO(path.stat().st_mode)
        assert os.read(reader, 1 << 16).decode() == rf("show", LENET)[1]
    finally:
        os.close(reader)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names of files are text")
def test_an_output_file_takes_any_name_of_a_model(rf: Rfgraph, tmp_path: Path) -> None:
    """A path on disk is bytes, not always text."""
    model = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.onnx")
    Path(model).write_bytes(LENET.read_bytes())
    path = tmp_path / "out.json"
    code, _, err = rf("show", model, "--output-format", "json", "--output-file", path)
    assert (code, err) == (0, "")
    assert json.loads(path.read_text())["outputs"] == ["y"]


# ---------------------------------------------------------------- standard output


@posix
def test_a_reader_that_goes_away() -> None:
    """As ``rfgraph show ... | head -1`` does."""
    command = [sys.executable, "-m", "rfgraph", "show", str(RESNET), "--output-format", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline() == b"{\n"
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait(30) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk() -> None:
    with Path("/dev/full").open("w") as full:
        done = process("show", LENET, stdout=full)
    assert_refused((done.returncode, "", done.stderr), "No space left")


def test_no_standard_output(rf: Rfgraph, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with ``>&-``: there is nobody to tell."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", None)
        code = cli.main(["show", str(LENET)])
    assert code in (0, 2)
    assert "internal error" not in rf("show", LENET)[2]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize("form", ["text", "json"])
def test_names_that_the_terminal_can_not_show(tmp_path: Path, encoding: str, form: str) -> None:
    path = save("g (float[3] x) => (float[3] y) { t = Relu(x) y = Neg(t) }", tmp_path)
    made = onnx.load(path)
    made.graph.node[0].output[0] = made.graph.node[1].input[0] = "漢字"
    onnx.save(made, path)
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = process("show", path, "--output-format", form, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Relu" in done.stdout


def test_control_c(rf: Rfgraph, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.common, "analyze", interrupt)
    path = tmp_path / "out.txt"
    assert_refused(rf("show", LENET, "--output-file", path), "interrupted")
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------- usage


@pytest.mark.parametrize(
    "arguments", [("--help",), ("show", "--help"), ("unit", "--help"), ("why", "--help")]
)
def test_help(rf: Rfgraph, arguments: tuple[str, ...]) -> None:
    code, out, err = rf(*arguments)
    assert (code, err) == (0, "")
    assert out.startswith("usage: rfgraph")
    for option in {
        "show": ("--select", "--all-axes"),
        "unit": ("--every", "--at"),
        "why": ("--all",),
    }.get(arguments[0], ("show", "unit")):
        assert option in out


def test_version(rf: Rfgraph) -> None:
    assert rf("--version") == (0, f"rfgraph {rfgraph.__version__}\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("look",),
        ("show",),
        ("show", LENET, "--wibble"),
        ("show", LENET, "--output-format", "x"),
    ],
)
def test_wrong_usage(rf: Rfgraph, arguments: tuple[str, ...]) -> None:
    code, out, err = rf(*arguments)
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith("rfgraph")
    assert "Traceback" not in err


def test_the_module_is_the_command() -> None:
    done = process("unit", LENET, "y", "0,0,4,5")
    assert (done.returncode, done.stderr) == (0, "")
    assert "8..13 10..15" in done.stdout


def test_an_error_of_our_own_is_no_traceback(rf: Rfgraph, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("first\nsecond")

    monkeypatch.setattr(cli.common, "analyze", fail)
    code, out, err = rf("show", LENET)
    assert (code, out) == (2, "")
    assert err == "rfgraph: error: internal error: ValueError: first second (--debug shows where)\n"
    with pytest.raises(ValueError, match="first"):
        cli.main(["show", str(LENET), "--debug"])


def test_importing_loads_no_runtime_and_no_plots(tmp_path: Path) -> None:
    code = (
        "import sys, rfgraph, rfgraph.cli\n"
        "rfgraph.cli.main(['show', *sys.argv[1:]])\n"
        "unwanted = {'onnxruntime', 'matplotlib', 'torch', 'scipy', 'pandas', 'jinja2'}\n"
        "print(*unwanted & sys.modules.keys())"
    )
    arguments = [str(LENET), "--output-file", str(tmp_path / "out.txt")]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("\n", "")


def test_channels_are_told_apart(rf: Rfgraph) -> None:
    code, out, _ = rf("show", MODELS / "densenet121.onnx", "--select", "features", "--along", "1")
    lines = out.splitlines()
    assert code == 0
    assert "features[:,0:64]" in lines[1]
    assert "1047x1047 /32" in lines[1]
    assert "2071x2071 /32" in lines[-1]
    assert_refused(rf("show", LENET, "--along", "-1"), "--along")
