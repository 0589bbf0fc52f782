"""``rfgraph agree``: what it prints and writes, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest

from rfgraph import cli
from rfgraph.agreement.result import (
    Agreement,
    AxisSeen,
    Difference,
    OutputFound,
    Pair,
    SideFound,
)
from rfgraph.render.registry import rendered
from tests.agreement.hidden import hidden
from tests.graphs import model
from tests.render import readers

SIDES = (
    SideFound("onnxruntime", "m.onnx", "1.32.0", "answered", 2.0**-24),
    SideFound("openvino", "m.onnx", "2026.4.1", "answered", 2.0**-9),
    SideFound("other", "m.onnx", "1", "crashed: its process ended (SIGSEGV)", 0.25),
)
SHIFT = Difference(
    "up",
    "ConvTranspose",
    "h",
    "other elements",
    0.6,
    (0, 0, 1),
    (AxisSeen("v", 2, {"onnxruntime": (3,), "openvino": (4,), "claim": (3,)}),),
    "onnxruntime",
    "onnxruntime",
    (0, 0, -1),
    text="unit 0,0,1 of 'h': moved",
    reproduction="shown/00",
)
GELU = Difference("act", "Gelu", "g", "other values", 1e-3, text="0.1 % apart", whole=False)
FOUND = Agreement(
    "m.onnx",
    SIDES,
    (
        Pair(
            "onnxruntime",
            "openvino",
            (
                OutputFound("y", "parted", 0.6, 9, 9, 4, (4, 3), (1, 2), (0, 2), "through 'up'"),
                OutputFound("z", "agreed", 0.0, 400_000, 200_000),
            ),
            (SHIFT, GELU),
            ("a note",),
        ),
    ),
    12,
    340,
    900_000,
    1.25,
    notes=("another",),
)


def run(capsys: pytest.CaptureFixture[str], *arguments: Any) -> tuple[int, str, str]:
    capsys.readouterr()
    code = cli.main(["agree", *map(str, arguments)])
    return code, *capsys.readouterr()


def test_text() -> None:
    assert rendered("agreement", "text", FOUND).splitlines() == [
        "onnxruntime 1.32.0: answers, computes in single precision",
        "openvino 2026.4.1: answers, computes in bfloat16",
        "other 1: crashed: its process ended (SIGSEGV)",
        "",
        "onnxruntime and openvino",
        "  output  elements  values apart  units               ends seen  seen by one",
        "  y       parted    60 %          9                   4/3 of 4   1/2",
        "  z       agreed    0             200,000 of 400,000  -          -",
        "output: y: through 'up'",
        "node: ConvTranspose 'up' (other elements): unit 0,0,1 of 'h': moved; to reproduce: "
        "shown/00/reproduce.py",
        "node: Gelu 'act' (other values): 0.1 % apart; only where the node stands alone, not where "
        "the whole model runs up to it",
        "note: a note",
        "",
        "other elements are seen by 1 of 2 outputs",
        "not as it should answer: other",
        "12 runs of whole models and 340 of parts in 1.2 s; one for each input element, amount and "
        "side would be 900,000",
        "note: another",
    ]


def test_notebooks() -> None:
    shown = FOUND._repr_html_()
    assert "<td>parted</td>" in shown
    assert "ConvTranspose &#x27;up&#x27; (other elements)" in shown


def test_sarif_and_json() -> None:
    (log,) = [readers.read_sarif(rendered("agreement", "sarif", FOUND))]
    found = [(one["ruleId"], one["level"], one["message"]["text"]) for one in log["results"]]
    assert [(rule, level) for rule, level, _ in found] == [
        ("RF402", "error"),
        ("RF402", "error"),
        ("RF402", "note"),
    ]
    assert found[0][2].startswith("other 1: crashed: its process ended")
    assert found[1][2].startswith("openvino: ConvTranspose 'up' (other elements): unit 0,0,1")
    document = json.loads(rendered("agreement", "json", FOUND))
    assert (document["version"], document["ok"], document["parted"]) == (1, False, True)
    assert document["pairs"][0]["differences"][0]["moved"] == [0, 0, -1]
    assert document["sides"][2]["outcome"].startswith("crashed")


def test_an_output_that_parts_without_a_node_is_a_finding() -> None:
    pair = FOUND.pairs[0]
    fused = Agreement("m.onnx", SIDES[:2], (Pair(pair.first, pair.second, pair.outputs),))
    log = readers.read_sarif(rendered("agreement", "sarif", fused))
    (one,) = log["results"]
    assert one["message"]["text"].startswith("openvino: output 'y' sees other elements: through")


@pytest.mark.slow
def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "hidden.onnx"
    onnx.save(hidden("transposed", 8), path)
    sarif = tmp_path / "found.sarif"
    code, out, err = run(
        capsys,
        path,
        "--runtimes",
        "onnxruntime:level=disable,threads=1,planted:fault=shift",
        "--samples",
        "1",
        "--reproduce",
        tmp_path / "shown",
        "--output-file",
        f"sarif={sarif}",
    )
    assert (code, err) == (1, "")
    assert "other elements are seen by 1 of 1 outputs" in out
    assert "moved by -1 along axis 3; onnxruntime:level=disable,threads=1 sees what" in out
    assert [one.name for one in (tmp_path / "shown").iterdir()] == ["00-ConvTranspose-hidden"]
    assert readers.read_sarif(sarif.read_text())["results"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["absent.onnx"], "absent.onnx"),
        (["models/lenet_textbook.onnx", "pyproject.toml"], "pyproject.toml"),
        (["models/lenet_textbook.onnx", "models/tcn.onnx"], "models/tcn.onnx"),
        (["models/lenet_textbook.onnx", "--runtimes", "none,onnxruntime"], "no runtime 'none'"),
        (["models/lenet_textbook.onnx", "--samples", "0"], "samples has to be at least 1"),
        (["models/lenet_textbook.onnx", "--reproduce", "models"], "not an empty folder"),
        pytest.param(
            ["models/lenet_textbook.onnx", "--runtimes", "planted:what=1,reference"],
            "options are",
            marks=pytest.mark.slow,
        ),
        (["models/lenet_textbook.onnx", "--runtimes", ","], "no runtime ''"),
        (["models/lenet_textbook.onnx", "--patience", "nan"], "patience at least 0"),
        (["models/lenet_textbook.onnx", "--seconds", "-1"], "seconds and patience at least 0"),
    ],
)
def test_bad_input(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("c = Neg(x) r = RandomNormalLike(c) y = Add(c, r)", "equal runs differ in "),
        ("d = Sub(x, x) y = Div(d, d)", "y: no number is finite"),
        ("y = NonZero(x)", "its shape depends on the data"),
    ],
)
def test_what_shows_nothing_is_not_said_to_agree(
    body: str, said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(model(body, "float[2,5] x"), path)
    sides = "onnxruntime:level=disable,reference"
    code, out, _ = run(capsys, path, "--runtimes", sides, "--samples", "1")
    assert code == 2
    assert said in out
    assert "nothing could be compared" in out
    assert "node: " not in out


@pytest.mark.slow
def test_none_answers(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "hidden.onnx"
    onnx.save(hidden("transposed", 8), path)
    sides = "planted:fault=refuse,planted:fault=crash at open"
    code, out, _ = run(capsys, path, "--runtimes", sides)
    assert code == 2
    assert "nothing could be compared" in out
