"""Figures as other tools take them, run as these run them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import onnx
import pytest

from rfgraph import cli
from rfgraph.tiling import plan
from tests.tiling.nets import with_open_axes
from tests.tiling.test_tiling import ROUNDING, difference, opened

MODELS = Path(__file__).parents[2] / "models"
UNET = str(MODELS / "unet_tconv.onnx")


def exported(
    capsys: pytest.CaptureFixture[str],
    form: str,
    model: str = UNET,
    output: str = "logits",
    tile: str = "240",
) -> str:
    options = ["--output", output, "--tile", tile, "--output-format", form]
    assert cli.main(["tile", model, *options]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("model", "output", "tile", "size"),
    [
        pytest.param("unet_tconv", "logits", "240", (456, 528), marks=pytest.mark.slow),
        ("unet_tconv", "features", "136", (256, 200)),
        ("espcn.dynamo", "y", "100", (300, 251)),
    ],
)
def test_dask(
    model: str,
    output: str,
    tile: str,
    size: tuple[int, int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = str(tmp_path / "model.onnx")
    onnx.save(with_open_axes(onnx.load(MODELS / f"{model}.onnx"), 2, 3), path)
    names: dict[str, Any] = {}
    exec(exported(capsys, "dask", path, output, tile), names)
    session, inputs = opened(onnx.load(path)), plan(path).analysis.inputs

    def run(tile: np.ndarray) -> np.ndarray:
        made: np.ndarray = session.run([output], {inputs[0]: np.ascontiguousarray(tile)})[0]
        return made

    x = np.random.default_rng(0).random((1, 1, *size), np.float32)
    made = names["tiled"](run, da.from_array(x, chunks=100))
    whole = run(x)
    assert made.shape == whole.shape
    assert len(made.chunks[2]) > 1
    assert difference(made.compute(), whole) <= ROUNDING


@pytest.mark.slow
@pytest.mark.parametrize("size", [528, 456, 480, 488])
def test_monai(size: int, capsys: pytest.CaptureFixture[str]) -> None:
    monai = pytest.importorskip("monai.inferers", reason="MONAI, which needs PyTorch, is not there")
    torch = pytest.importorskip("torch")
    names: dict[str, Any] = {}
    exec(exported(capsys, "monai"), names)
    session = opened(onnx.load(UNET))

    def run(tile: Any) -> Any:
        return torch.from_numpy(session.run(["logits"], {"x": tile.numpy()})[0])

    x = torch.from_numpy(np.random.default_rng(0).random((1, 1, size, size), np.float32))
    made = monai.sliding_window_inference(x, predictor=run, sw_batch_size=1, **names["options"])
    assert difference(made.numpy(), run(x).numpy()) == 0


def test_bioimageio(capsys: pytest.CaptureFixture[str]) -> None:
    """Halos are those of the output, and multiples of what it takes for the alignment."""
    found = json.loads(exported(capsys, "bioimageio"))
    (given,), (made,) = found["inputs"], found["outputs"]
    assert [axis["type"] for axis in given["axes"]] == ["batch", "channel", "space", "space"]
    assert [axis["size"] for axis in given["axes"][2:]] == [{"min": 104, "step": 8}] * 2
    assert [(axis["id"], axis["halo"]) for axis in made["axes"][2:]] == [("y", 48), ("x", 48)]
    (made,) = json.loads(exported(capsys, "bioimageio", output="features"))["outputs"]
    rows = made["axes"][2]
    # 30 pixels of the input, up to 32.
    assert (rows["scale"], rows["halo"]) == (8, 4)
    path = str(MODELS / "espcn.dynamo.onnx")
    found = json.loads(exported(capsys, "bioimageio", path, "y"))
    rows = found["inputs"][0]["axes"][2], found["outputs"][0]["axes"][2]
    assert (rows[0]["scale"], rows[1]["scale"], rows[1]["halo"]) == (3, 1, 12)


def test_nnunet(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(exported(capsys, "nnunet"))
    assert found == {
        "patch_size": [240, 240],
        "tile_step_size": 0.6,
        "use_gaussian": True,
        "exact": False,
    }


@pytest.mark.parametrize(
    ("form", "model", "options", "words"),
    [
        ("dask", UNET, (), "this format is of one output, and these are features, logits"),
        ("monai", UNET, ("--axes", "2"), "this format can't say it: it takes one input, all axes"),
        ("bioimageio", str(MODELS / "lenet_textbook.onnx"), (), "has an offset of -"),
        ("nnunet", str(MODELS / "lenet_textbook.onnx"), (), "has not the input's size"),
    ],
)
def test_what_a_format_can_not_say(
    form: str,
    model: str,
    options: tuple[str, ...],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["tile", model, *options, "--output-format", form]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert len(err.splitlines()) == 1
    assert words in err


def test_no_tiles(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["tile", str(MODELS / "resnet50.onnx"), "--output-format", "monai"]) == 1
    assert "GlobalAveragePool" in capsys.readouterr().out
