"""``rfgraph fit``: held against what onnxruntime shows that units see, place by place."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import pytest

import rfgraph
from rfgraph import cli
from rfgraph.analysis.objects import fit
from tests.graphs import model
from tests.tiling.architectures import encodec_decoder, encodec_encoder, unet
from tests.tiling.nets import OpenNet
from tests.tiling.test_tiling import opened

MODELS = Path(__file__).parents[1] / "models"


def strided() -> onnx.ModelProto:
    """Fields of 7 at a stride of 6: neighbours overlap by one."""
    net = OpenNet(1, np.random.default_rng(0))
    value = net.conv(net.conv("x", kernel=[3], strides=[2]), kernel=[3], strides=[3])
    return net.model(value)


def gapped() -> onnx.ModelProto:
    """Fields of 3 at a stride of 5: two of five elements are seen by none."""
    net = OpenNet(1, np.random.default_rng(0))
    return net.model(net.conv("x", kernel=[3], strides=[5]))


NETS = {
    "strided": (strided, (1, 2, 3, 7, 8)),
    "gapped": (gapped, (1, 2, 3, 4)),
    "a U-Net": (lambda: unet(3)[0], (1, 40, 43, 44, 45)),
    "an encoder": (lambda: encodec_encoder()[0], (8, 60, 71, 72, 78, 79)),
    "a decoder": (lambda: encodec_decoder()[0], (1, 3, 9, 10, 11)),
}


@pytest.mark.parametrize("name", NETS)
def test_what_runs_show(name: str) -> None:
    """An input element is changed at a time: what changes with it sees it."""
    make, sizes = NETS[name]
    made = make()
    session, n = opened(made), 240
    x = np.random.default_rng(0).uniform(1, 2, (1, 2, n)).astype(np.float32)
    changed = np.repeat(x, n, axis=0)
    changed[np.arange(n), :, np.arange(n)] += 1e4
    # By input element and unit, whether this sees that.
    sees = (session.run(None, {"x": changed})[0] != session.run(None, {"x": x})[0]).any(axis=1)
    firsts = sees.argmax(axis=0)
    lasts = n - 1 - sees[::-1].argmax(axis=0)
    analysis = rfgraph.analyze(made, assume=True)
    for size in sizes:
        ((axis,),) = (found.axes for found in fit(analysis, [size]))
        # Whole periods in the midst, of all strides above.
        places = np.arange(96, 120 if name in ("a U-Net", "an encoder", "a decoder") else 126)
        best = np.array(
            [np.minimum(p - firsts, lasts - (p + size - 1)).max() for p in places.tolist()]
        )
        assert axis.share == Fraction(int((best >= 0).sum()), len(best))
        assert (axis.margin, axis.widest) == (best.min(), best.max())
        inner = slice(len(firsts) // 3, 2 * len(firsts) // 3)
        widths = (lasts - firsts + 1)[inner]
        assert (axis.smallest, axis.largest) == (widths.min(), widths.max())


def test_heads(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fit", str(MODELS / "unet_tconv.onnx"), "--object", "40x90"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1] == ["features", "2", "of", "x", "40", "100%", "10..14", "8", "68", "0%"]
    assert lines[2] == ["3", "of", "x", "90", "0%", "-15..-11", "8", "68"]
    assert lines[3] == ["logits", "2", "of", "x", "40", "100%", "26..30", "1", "92..100", "100%"]


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    file = str(MODELS / "lenet_textbook.onnx")
    assert cli.main(["fit", file, "--object", "5x6", "--output-format", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["fits"]
    assert (found["output"], found["share"], found["global"]) == ("y", "1/2", False)
    assert [axis["margin"] for axis in found["axes"]] == [0, -1]


def test_a_part_that_sees_everything(capsys: pytest.CaptureFixture[str]) -> None:
    file = str(MODELS / "efficientnet_b0.onnx")
    assert cli.main(["fit", file, "--object", "500x900", "--output", "features"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[4:8] == ["500", "100%", "160..175", "32"]
    assert lines[-1] == "note: what features see of the whole input at once is left out"


def test_everything_and_what_is_uneven(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "uneven.onnx"
    made = model(
        'g = GlobalAveragePool (x) u = Resize <mode = "linear", '
        'coordinate_transformation_mode = "align_corners"> (x, , s)',
        "float[1,1,20,20] x",
        "g u",
        initializers={"s": np.array([1, 1, 2, 2], np.float32)},
    )
    onnx.save(made, file)
    assert cli.main(["fit", str(file), "--object", "3x3"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1][:6] == ["g", "2", "of", "x", "3", "100%"]
    assert lines[3][:7] == ["u", "2", "of", "x", "3", "?", "?"]
    assert lines[-1][0] == "note:"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--object", "96"), "an object of 1 sizes, and no input has so many axes"),
        (("--object", "0x4"), "an object of 0x4 has no elements"),
        (("--object", "wide"), "write it as --object 96x64"),
        (("--object", "9x9", "--output", "nix"), "its outputs are features, logits"),
    ],
)
def test_bad_input(
    options: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["fit", str(MODELS / "unet_tconv.onnx"), *options]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert len(err.splitlines()) == 1
    assert words in err
