"""Write docs/gallery.md and its pictures, in docs/gallery/: each by the command or the call that
stands above it.

Usage: pip install -e ".[plot]" && python docs/gallery.py
"""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

PAGE = Path(__file__).with_name("gallery.md")
PICTURES = Path(__file__).with_name("gallery")

# Of so many colours is a picture that is kept, and so many pixels wide and high at most.
_COLOURS, _WIDE, _HIGH = 256, 1000, 600


class Picture(NamedTuple):
    """What a section shows: its title, what is said, and the command or call that draws it."""

    title: str
    text: str
    code: str
    name: str = ""

    @property
    def kind(self) -> str:
        """The language of the code."""
        return "sh" if self.code.startswith("rfgraph ") else "python"


SECTIONS = [
    Picture(
        "An image",
        "Any image will do for what follows. This one is of hills, drawn from data that matplotlib "
        "brings along.",
        """\
from matplotlib import cbook, colormaps, colors, image

heights = cbook.get_sample_data("jacksboro_fault_dem.npz")["elevation"][:344, :344]
light = colors.LightSource(315, 45)
hills = light.shade(heights, colormaps["gist_earth"], vert_exag=0.05, blend_mode="soft")
image.imsave("photo.png", hills)
""",
    ),
    Picture(
        "What a unit sees, stage by stage",
        "The unit in the middle of each stage of a ResNet-50. What it does not see is dimmed; the "
        "small square is the unit's own place, the pixels under it when the layer is laid over the "
        "image.",
        """\
import rfgraph
from rfgraph import plot

a = rfgraph.analyze("models/resnet50.onnx")
stages = ["layer1/layer1.2", "layer2/layer2.3", "layer3/layer3.1", "layer3/layer3.3"]
values = ["/trunk/maxpool/MaxPool_output_0", *(f"/trunk/{s}/Add_output_0" for s in stages)]
plot.layers(a, values, image="photo.png").savefig("stages.png")
""",
        "stages",
    ),
    Picture(
        "One unit",
        "A unit near the corner: dashed is what of its field lies in the padding. `--crop` draws "
        "the part around what is seen.",
        "rfgraph unit models/resnet50.onnx /trunk/layer2/layer2.3/Add_output_0 3,24 "
        "--image photo.png --save unit.png\n",
        "unit",
    ),
    Picture(
        "What a unit responds to",
        "Of what it can see, those pixels change a unit that lie in its middle: occlusion covers "
        "small parts of the image in turn and notes by how much. The network is not trained; "
        "[what is really used](measured.md) shows one that is.",
        "rfgraph occlude models/resnet50.onnx /trunk/layer1/layer1.2/Add_output_0 1 "
        "--images photo.png --save responds.png --crop\n",
        "responds",
    ),
    Picture(
        "Every convolution and pooling of a VGG-16",
        "One unit of each layer, in one command. Without `--at` it is the one in the middle.",
        "rfgraph unit models/vgg16.onnx --every Conv,MaxPool --at 2,2 --save layers.png\n",
        "layers",
    ),
    Picture(
        "The square of a textbook",
        "A 5x5 convolution and a 2x2 pooling on an image of 30x30: the unit (4, 5) sees 6x6.",
        "rfgraph unit models/lenet_textbook.onnx y 4,5 --save square.png\n",
        "square",
    ),
    Picture(
        "Holes",
        "Three convolutions of dilation 2 see a grid: every other row and column.",
        '''\
import onnx.parser
import rfgraph
from rfgraph import plot

model = onnx.parser.parse_model("""
    <ir_version: 8, opset_import: ["": 17]>
    net (float[1, 1, 25, 25] x) => (float[1, 1, 13, 13] y)
    <float[1, 1, 3, 3] W = {1, 1, 1, 1, 1, 1, 1, 1, 1}> {
      a = Conv <dilations = [2, 2]> (x, W)
      b = Conv <dilations = [2, 2]> (a, W)
      y = Conv <dilations = [2, 2]> (b, W)
    }
""")
plot.unit(rfgraph.analyze(model), "y", (0, 0, 6, 6)).savefig("holes.png")
''',
        "holes",
    ),
    Picture(
        "How fields grow",
        "Size and stride by depth, of a U-Net. Where branches meet, at the skip connections, a "
        "mark shows the shortest way, and the band what lies between it and the longest.",
        """\
import rfgraph
from rfgraph import plot

a = rfgraph.analyze("models/unet_tconv.onnx", shapes={"x": (1, 1, 256, 256)})
plot.growth(a).figure.savefig("growth.png")
""",
        "growth",
    ),
    Picture(
        "Layers that add no context",
        "A MobileNet on images of 96x96: the crosses are layers whose input already sees "
        "everything, as `rfgraph explain RF104` says.",
        """\
import rfgraph
from rfgraph import plot

a = rfgraph.analyze("models/mobilenet_v1.onnx").resized({"x": (1, 3, 96, 96)})
plot.growth(a).figure.savefig("unproductive.png")
""",
        "unproductive",
    ),
    Picture(
        "Where units look",
        "The centres of all units of a value, and the boxes of the first, the middle and the last.",
        """\
import rfgraph
from rfgraph import plot

a = rfgraph.analyze("models/unet_tconv.onnx", shapes={"x": (1, 1, 128, 128)})
plot.centres(a, "features", image="photo.png").figure.savefig("centres.png")
""",
        "centres",
    ),
    Picture(
        "How often each pixel is seen",
        "By how many units of a value: strides leave a pattern, and borders are seen less.",
        """\
import rfgraph
from rfgraph import plot

a = rfgraph.analyze("models/resnet50.onnx")
plot.density(a, "/trunk/layer2/layer2.3/Add_output_0").figure.savefig("density.png")
""",
        "density",
    ),
    Picture(
        "A signal",
        "The layers of a TCN, which is causal: a unit sees nothing behind its own place.",
        "rfgraph unit models/tcn.onnx --every Conv,Add --at 500 --save signal.png\n",
        "signal",
    ),
    Picture(
        "Look-ahead",
        "What lies ahead of a unit's place has a colour of its own.",
        '''\
import onnx.parser
import rfgraph
from rfgraph import plot

model = onnx.parser.parse_model("""
    <ir_version: 8, opset_import: ["": 17]>
    net (float[1, 1, 120] x) => (float[1, 1, 120] y)
    <float[1, 1, 5] W = {1, 1, 1, 1, 1}> {
      a = Conv <pads = [3, 1]> (x, W)
      b = Conv <dilations = [4], pads = [12, 4]> (a, W)
      y = Conv <dilations = [8], pads = [16, 16]> (b, W)
    }
""")
a = rfgraph.analyze(model)
plot.layers(a, ["a", "b", "y"], (60,)).savefig("ahead.png")
''',
        "ahead",
    ),
    Picture(
        "A volume",
        "Three slices through a unit of a 3-D U-Net.",
        "rfgraph unit models/unet3d.dynamo.onnx getitem_15 2,8,11 --save volume.png\n",
        "volume",
    ),
    Picture(
        "Tokens",
        "Which tokens each token sees, behind causal attention within a window of 8. Masks count "
        "with `prune=True`.",
        '''\
import numpy as np
import onnx
import onnx.parser
import rfgraph
from rfgraph import plot

model = onnx.parser.parse_model("""
    <ir_version: 8, opset_import: ["": 17]>
    net (float[1, 32, 4] x) => (float[1, 32, 4] y) {
      keys = Transpose <perm = [0, 2, 1]> (x)
      scores = MatMul (x, keys)
      masked = Add (scores, mask)
      weights = Softmax (masked)
      y = MatMul (weights, x)
    }
""")
rows, columns = np.mgrid[:32, :32]
seen = (columns <= rows) & (rows - columns < 8)
mask = np.where(seen, 0, -np.inf).astype(np.float32)
model.graph.initializer.append(onnx.numpy_helper.from_array(mask, "mask"))
plot.tokens(rfgraph.analyze(model, prune=True), "y").figure.savefig("tokens.png")
''',
        "tokens",
    ),
]


def page() -> str:
    """The text of the page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Gallery"
    yield ""
    yield "Made by `python docs/gallery.py`, which runs what stands above each picture; not written"
    yield "by hand. The functions are those of [`rfgraph.plot`](api.md#pictures)."
    for picture in SECTIONS:
        yield ""
        yield f"## {picture.title}"
        yield ""
        yield from _wrapped(picture.text)
        yield ""
        yield f"```{picture.kind}"
        yield picture.code.rstrip()
        yield "```"
        if picture.name:
            yield ""
            yield f"![{picture.title}](gallery/{picture.name}.png)"


def _wrapped(text: str, most: int = 100) -> Iterator[str]:
    line = ""
    for word in text.split():
        if len(line) + 1 + len(word) > most:
            yield line
            line = ""
        line = f"{line} {word}".lstrip()
    yield line


def _run(picture: Picture) -> None:
    """Draw a picture, as the page says, in the folder where one is."""
    from rfgraph import cli

    if picture.kind == "python":
        exec(compile(picture.code, picture.title, "exec"), {})
    else:
        with contextlib.redirect_stdout(None):
            code = cli.main(shlex.split(picture.code)[1:])
        if code:
            raise SystemExit(f"{picture.code}ended with {code}")


def _kept(drawn: Path, kept: Path) -> None:
    """Make a picture small: of few colours."""
    from PIL import Image

    with Image.open(drawn) as image:
        made = image.convert("RGB")
    made.thumbnail((_WIDE, _HIGH))
    # Rare colours, as of thin lines, are kept too.
    few = made.quantize(_COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(kept, optimize=True)


def main() -> None:
    """Write the page and its pictures."""
    PAGE.write_text(page(), encoding="utf-8")
    PICTURES.mkdir(exist_ok=True)
    for old in PICTURES.iterdir():
        old.unlink()
    with TemporaryDirectory() as folder, contextlib.chdir(folder):
        os.symlink(PAGE.parents[1] / "models", "models")
        for picture in SECTIONS:
            _run(picture)
            if picture.name:
                _kept(Path(f"{picture.name}.png"), PICTURES / f"{picture.name}.png")


if __name__ == "__main__":
    main()
