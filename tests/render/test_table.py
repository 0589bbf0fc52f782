"""The table of ``rfgraph show``: on terminals, in modules, and its figures against bounds.

``RFGRAPH_UPDATE_SNAPSHOTS=1 pytest tests/render`` writes the files anew; look at what has changed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

import rfgraph
from rfgraph import cli
from rfgraph.render.text import field
from tests.graphs import parsed

FOLDER = Path(__file__).parent / "screens"
MODELS = Path(__file__).parents[2] / "models"

# What steers a terminal: colours.
COLOUR = re.compile(r"\x1b\[\d+m")

CAUSAL = """
    causal (float[1, 4, time] audio) => (float[time, 1, 1, 8] steps, float[1, 1, 8] last) {
        weights = Constant <value_ints = [6, 4, 5]> ()
        W = ConstantOfShape (weights)
        gates = Constant <value_ints = [1, 24, 6]> ()
        V = ConstantOfShape (gates)
        again = Constant <value_ints = [1, 24, 8]> ()
        R = ConstantOfShape (again)
        padded = Conv <pads = [4, 0]> (audio, W)
        first = Transpose <perm = [2, 0, 1]> (padded)
        steps, last = GRU <hidden_size = 8> (first, V, R)
    }
"""

Show = Callable[..., str]


@pytest.fixture
def causal(tmp_path: Path) -> Path:
    """A network that ends in a causal recurrence."""
    onnx.save(parsed(CAUSAL), tmp_path / "causal.onnx")
    return tmp_path / "causal.onnx"


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Show]:
    """What ``rfgraph show`` prints on a terminal of some width, or elsewhere."""
    monkeypatch.setenv("TERM", "xterm")

    def run(*arguments: str | Path, width: int | None = None) -> str:
        capsys.readouterr()
        if width is not None:
            monkeypatch.setenv("COLUMNS", str(width))
            monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        assert cli.main(["show", *map(str, arguments)]) == 0
        monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
        return capsys.readouterr().out

    return run


# ---------------------------------------------------------------- snapshots

SCREENS = {
    "resnet50": ("resnet50.onnx",),
    "resnet50_tree": ("resnet50.onnx", "--tree", "--select", "layer1"),
    "swin_tiny": ("swin_tiny.onnx", "--select", "features.1"),
    "swin_tiny_blocks": ("swin_tiny.onnx", "--select", "/features/features.*/Add_1"),
    "unet_tconv": ("unet_tconv.onnx",),
    "tcn": ("tcn.onnx", "--time", "2", "--select", "Conv", "--select", "Gemm"),
    "siamese": ("siamese.onnx",),
    "efficientnet_b0": ("efficientnet_b0.onnx", "--select", "Mul", "--outputs"),
}


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("screen", [*SCREENS, "causal"])
def test_on_a_terminal(show: Show, causal: Path, screen: str, width: int) -> None:
    model, *options = SCREENS.get(screen, (str(causal), "--time", "time"))
    shown = show(MODELS / model, *options, width=width)
    plain = COLOUR.sub("", shown)
    assert plain != shown
    assert max(map(len, plain.splitlines())) <= width
    file = FOLDER / f"{screen}-{width}.txt"
    if os.environ.get("RFGRAPH_UPDATE_SNAPSHOTS") == "1":
        file.write_text(plain, encoding="utf-8", newline="\n")
    assert plain == file.read_text(encoding="utf-8")


def test_there_are_no_other_screens() -> None:
    expected = {f"{screen}-{width}.txt" for screen in [*SCREENS, "causal"] for width in (80, 120)}
    assert {file.name for file in FOLDER.iterdir()} == expected


@pytest.mark.parametrize("width", [20, 33, 47, 64, 79, 97])
@pytest.mark.parametrize("options", [(), ("--density",), ("--tree",), ("--all-axes",)])
def test_no_line_is_wider_than_the_terminal(
    show: Show, options: tuple[str, ...], width: int
) -> None:
    shown = COLOUR.sub("", show(MODELS / "siamese.onnx", *options, width=width))
    assert max(map(len, shown.splitlines())) <= width


def test_a_wide_terminal_shows_what_a_file_gets(show: Show) -> None:
    def words(text: str) -> list[list[str]]:
        return [line.split() for line in COLOUR.sub("", text).splitlines()]

    model = MODELS / "unet_tconv.onnx"
    assert words(show(model, width=1000)) == words(show(model))


def test_wide_characters_take_two_places(show: Show, tmp_path: Path) -> None:
    model = parsed("""
        net (float[1, 9] x) => (float[1, 9] y) { a = Relu (x)  y = Relu (a) }
    """)
    model.graph.node[0].output[0] = model.graph.node[1].input[0] = "畳み込み" * 9
    onnx.save(model, tmp_path / "wide.onnx")
    lines = COLOUR.sub("", show(tmp_path / "wide.onnx", width=60)).splitlines()
    (line,) = [line for line in lines if "畳" in line]
    assert len(line) + sum(not c.isascii() and c != "…" for c in line) <= 60
    assert line.split()[-3:] == lines[1].split()[-3:]


# ---------------------------------------------------------------- colours


@pytest.mark.parametrize(
    ("settings", "width", "coloured"),
    [
        ({}, 80, True),
        ({}, None, False),
        ({"TERM": "dumb"}, 80, False),
        ({"NO_COLOR": "1"}, 80, False),
        ({"NO_COLOR": ""}, 80, True),
        ({"FORCE_COLOR": "1"}, None, True),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, 80, True),
        ({"FORCE_COLOR": "0"}, 80, False),
        ({"FORCE_COLOR": ""}, None, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, 80, False),
    ],
)
def test_colours(
    show: Show,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, str],
    width: int | None,
    coloured: bool,
) -> None:
    model = MODELS / "siamese.onnx"
    plain = show(model, width=width)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    shown = show(model, width=width)
    assert bool(COLOUR.search(shown)) == coloured
    # They are all that differs.
    assert COLOUR.sub("", shown) == COLOUR.sub("", plain)


def test_a_name_has_no_colours(show: Show, tmp_path: Path) -> None:
    model = parsed("""
        net (float[1, 9] x) => (float[1, 9] y) { y = Relu (x) }
    """)
    model.graph.node[0].output[0] = model.graph.output[0].name = "\x1b[31mred global ~\x1b[0m"
    onnx.save(model, tmp_path / "red.onnx")
    shown = show(tmp_path / "red.onnx", width=120)
    assert "\x1b[31m" not in shown
    assert "\\x1b[31mred global ~\\x1b[0m" in COLOUR.sub("", shown)


def test_a_file_is_plain(show: Show, tmp_path: Path) -> None:
    model = MODELS / "resnet50.onnx"
    plain = show(model)
    shown = show(model, "--output-file", f"text={tmp_path / 'beside'}", width=80)
    assert COLOUR.search(shown)
    show(model, "--output-file", tmp_path / "instead", width=80)
    for name in ("beside", "instead"):
        assert (tmp_path / name).read_text(encoding="utf-8") == plain


@pytest.mark.skipif(os.name != "posix", reason="terminals are those of POSIX")
@pytest.mark.parametrize("width", [80, pytest.param(120, marks=pytest.mark.slow)])
def test_a_real_terminal(width: int) -> None:
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    settings = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    command = [sys.executable, "-m", "rfgraph", "show", str(MODELS / "resnet50.onnx")]
    with subprocess.Popen(
        command, stdout=theirs, stderr=subprocess.DEVNULL, env={**settings, "TERM": "xterm"}
    ):
        os.close(theirs)
        shown = b""
        while True:
            try:
                more = os.read(ours, 1 << 16)
            except OSError:
                # On Linux the end of a terminal is an error.
                break
            if not more:
                break
            shown += more
    os.close(ours)
    plain = COLOUR.sub("", shown.decode()).replace("\r\n", "\n")
    assert plain == (FOLDER / f"resnet50-{width}.txt").read_text(encoding="utf-8")


# ---------------------------------------------------------------- modules

SCOPED = """
    net (float[1, 9] x) => (float[1, 9] y, float[1, 9] z) {
        a = Relu (x)
        b = Sigmoid (a)
        c = Tanh (x)
        y = Add (b, c)
        z = Relu (y)
    }
"""
NAMES = {
    "a": "/net/block/block.0/act/Relu",
    "b": "/net/block/block.0/Sigmoid",
    "c": "/net/block/block.1/act/Tanh",
    "y": "/net/Add",
    "z": "/net/head/Relu",
}
SCOPES = {
    "a": ["", "net", "net.block.0", "net.block.0.act", "relu"],
    "b": ["", "net", "net.block.0", "sigmoid"],
    "c": ["", "net", "net.block.1", "net.block.1.act", "tanh"],
    "y": ["", "net", "add"],
    "z": ["", "net", "net.head", "relu_1"],
}


@pytest.fixture(params=["names", "scopes"])
def scoped(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A model whose modules its exporter tells by the names of nodes, or by scopes."""
    model = parsed(SCOPED)
    for node in model.graph.node:
        if request.param == "names":
            node.name = NAMES[node.output[0]]
        else:
            node.name = f"node_{node.output[0]}"
            node.metadata_props.add(
                key="pkg.torch.onnx.name_scopes", value=str(SCOPES[node.output[0]])
            )
    onnx.save(model, tmp_path / "scoped.onnx")
    return tmp_path / "scoped.onnx"


def test_modules(show: Show, scoped: Path) -> None:
    told = json.loads(show(scoped, "--tree", "--output-format", "json"))["values"]
    assert {value["name"]: value["module"] for value in told} == {
        "x": "",
        "a": "block.0.act",
        "b": "block.0",
        "c": "block.1.act",
        "y": "",
        "z": "head",
    }
    values = json.loads(show(scoped, "--output-format", "json"))["values"]
    assert values == [{k: v for k, v in value.items() if k != "module"} for value in told]


def test_a_tree(show: Show, scoped: Path) -> None:
    def tree(text: str) -> list[str]:
        return [re.split(r"(?<=\S)\s", line[3:])[0] for line in text.splitlines()[1:]]

    assert tree(show(scoped, "--tree")) == [
        "x",
        "block",
        "  block.0",
        "    act",
        "      a",
        "    b",
        "  block.1.act",
        "    c",
        "y",
        "head",
        "  z",
    ]
    # A terminal has less room.
    assert tree(COLOUR.sub("", show(scoped, "--tree", width=80))) == [
        "x",
        "block",
        "  block.0",
        "    act/a",
        "    b",
        "  block.1.act/c",
        "y",
        "head/z",
    ]


@pytest.mark.parametrize(
    ("patterns", "names"),
    {
        "block": ("block", "abc"),
        "what is in it": ("block.*", "abc"),
        "one of them": ("block.0", "ab"),
        "its end": ("1.act", "c"),
        "each": ("*.act", "ac"),
        "an operator": ("Relu", "az"),
        "a value before a module": ("b", "b"),
        "several": ("head Tanh", "cz"),
    }.values(),
)
def test_modules_are_selected(show: Show, scoped: Path, patterns: str, names: str) -> None:
    options = [option for pattern in patterns.split() for option in ("--select", pattern)]
    values = json.loads(show(scoped, *options, "--output-format", "json"))["values"]
    assert [value["name"] for value in values] == list(names)


def test_outputs(show: Show, scoped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def names(*options: str) -> list[str]:
        values = json.loads(show(scoped, *options, "--output-format", "json"))["values"]
        return [value["name"] for value in values]

    assert names("--outputs") == ["y", "z"]
    assert names("--outputs", "--select", "head") == ["z"]
    assert cli.main(["show", str(scoped), "--outputs", "--select", "block"]) == 2
    assert "no output matches" in capsys.readouterr().err


# ---------------------------------------------------------------- the truth


def told(cell: str) -> tuple[int, int]:
    """The sizes of a cell with figures."""
    smallest, _, size = cell.partition("-")
    return int(smallest), int(size or smallest)


@pytest.mark.parametrize(
    "name",
    [
        "swin_tiny",
        pytest.param("swin_tiny.dynamo", marks=pytest.mark.slow),
        "unet_tconv",
        pytest.param("unet_bilinear", marks=pytest.mark.slow),
        "wavenet",
    ],
)
def test_sizes_are_those_of_bounds(name: str) -> None:
    """A size is that of the units that see neither end of the input, or of all."""
    a = rfgraph.analyze(MODELS / f"{name}.onnx", assume=True)
    values = {number: tensor for tensor, number in a.alike("x").items()}.values()
    counted = 0
    for axis in a.moving_axes("x"):
        length = a.extent("x")[axis]
        for tensor in values:
            near, full = a.field(tensor, "x"), a.field(tensor, "x", local=False)
            cell, *rest = field(near, full, [axis]).split()
            # Figures that leave something out say so.
            assert full[axis].is_global or full[axis] == near[axis]
            lo, hi = a.bounds(tensor, "x", local=full[axis].is_global, axis=axis)
            seen = lo <= hi
            if not seen.any():
                continue
            lo, hi = np.broadcast_arrays(lo, hi)
            inner = seen & (lo > 0) & (hi < length - 1)
            assert ("+global" in rest or cell == "global") == full[axis].is_global
            if cell == "global":
                assert (lo[seen] == 0).all()
                assert (hi[seen] == length - 1).all()
                continue
            smallest, size = told(cell)
            widths = (hi - lo + 1)[inner if inner.any() else seen]
            assert widths.max() == min(size, length), (tensor, axis)
            if inner.any():
                assert widths.min() >= smallest, (tensor, axis)
            counted += 1
    assert counted > 20


def test_windows_of_swin(show: Show) -> None:
    """Each block sees a window more."""
    out = show(MODELS / "swin_tiny.onnx", "--select", "/features/features.*/Add_1")
    sizes = [line.split()[3] for line in out.splitlines()[1:]]
    assert sizes[:4] == ["28x28", "56x56", "112x112", "168x168"]
    assert set(sizes[4:]) == {"224x224"}
    merged = show(MODELS / "swin_tiny.onnx", "--select", "/features/features.2/*/Lay*")
    assert merged.splitlines()[1].split()[3] == "56-84x56-84"


def test_phases_of_a_u_net(show: Show) -> None:
    assert "92-100x92-100 /1 @-46 reach 51/51" in show(MODELS / "unet_tconv.onnx", "--outputs")


def test_a_causal_recurrence_sees_the_past(show: Show, causal: Path) -> None:
    a = rfgraph.analyze(causal, assume=True)
    lo, hi = a.bounds("steps", axis=2)
    length = a.extent("audio")[2]
    assert (lo == 0).all()
    assert hi.reshape(-1).tolist() == list(range(length))
    lo, hi = a.bounds("last", axis=2)
    assert (lo == 0).all()
    assert (hi == length - 1).all()
    cells = [re.split(r"\s{2,}", line[3:]) for line in show(causal, "--time", "time").splitlines()]
    rows = {row[0]: row[3:] for row in cells}
    assert rows["value"] == [f"sees audio 1x4x{length} axis 2", "ahead"]
    assert rows["padded"] == ["5 /1 @-4 reach 4/0", "0"]
    assert rows["steps"] == ["past /1 reach all/0", "0"]
    assert rows["last"] == ["global", "all"]


# ---------------------------------------------------------------- notes


def test_open_axes_are_one_line(show: Show) -> None:
    out = show(MODELS / "unet_tconv.onnx", "--outputs")
    notes = [line for line in out.splitlines() if line.startswith("note: ")]
    assert notes == ["note: open axes are taken as batch = 1, height = 224, width = 224"]


def test_open_axes_without_a_name(show: Show, tmp_path: Path) -> None:
    model = parsed("""
        net (float[N, 4] x, float[N, 4] y) => (float[N, 4] z) { z = Add (x, y) }
    """)
    model.graph.input[1].type.tensor_type.shape.dim[0].ClearField("dim_param")
    onnx.save(model, tmp_path / "open.onnx")
    out = show(tmp_path / "open.onnx")
    assert out.splitlines()[-1] == (
        "note: open axes are taken as N = 1, axis 0 of 'y' = 1: nothing is read across it"
    )


def test_notes_are_wrapped(show: Show) -> None:
    lines = COLOUR.sub("", show(MODELS / "unet_tconv.onnx", "--outputs", width=50)).splitlines()
    assert lines[-2:] == [
        "note: open axes are taken as batch = 1, height =",
        "  224, width = 224",
    ]
