"""Small pictures of every kind, which tests compare with those in ``pictures/``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import rfgraph
from rfgraph import measure, plot
from tests.graphs import model

FOLDER = Path(__file__).parent / "pictures"

DPI = 80


def _conv(input: str, kernel: tuple[int, ...], attributes: str) -> rfgraph.Analysis:
    weights = {"W": np.ones((1, 1, *kernel), np.float32)}
    body = f"h = Conv <{attributes}> (x, W)\n y = Conv <{attributes}> (h, W)"
    return rfgraph.analyze(model(body, f"float[{input}] x", initializers=weights))


def _plane() -> rfgraph.Analysis:
    """Of two axes, with holes."""
    return _conv("1,1,16,20", (3, 3), "dilations = [2, 2], pads = [2, 2, 2, 2]")


def _signal() -> rfgraph.Analysis:
    """Of one axis, with holes, that looks ahead."""
    return _conv("1,1,40", (3,), "dilations = [3], pads = [3, 3]")


def _volume() -> rfgraph.Analysis:
    """Of three axes."""
    return _conv("1,1,10,12,14", (3, 3, 3), "pads = [1, 1, 1, 1, 1, 1]")


def _causal() -> rfgraph.Analysis:
    return rfgraph.analyze(
        model("axis = Constant <value_int = 1> ()\n y = CumSum (x, axis)", "float[1,12,4] x")
    )


def _photo() -> np.ndarray:
    """Stripes and a ramp."""
    rows, columns = np.mgrid[:32, :40]
    return np.stack([columns / 40, rows / 32, (rows // 4 + columns // 4) % 2], axis=-1)


def _occluded(input: str, kernel: tuple[int, ...], *, top: int = 2) -> measure.Occlusion:
    """Of a linear unit, on ramps: what it responds to is the same in any runtime."""
    body = "y = Conv (x, W)"
    weights = np.linspace(0.2, 1, int(np.prod(kernel)), dtype=np.float32).reshape(1, 1, *kernel)
    made = model(body, f"float[{input}] x", initializers={"W": weights})
    sides = [int(n) for n in input.split(",")][2:]
    ramp = np.linspace(0, 1, int(np.prod(sides)), dtype=np.float32).reshape(1, *sides)
    images = np.stack([ramp, ramp[..., ::-1]])
    return measure.occlusion(made, "y", [0], images, size=2, stride=1, fill=0.0, top=top)


# By name; of those in MASKS a mask that moves by one element has to be seen.
PICTURES: dict[str, Callable[[], Any]] = {
    "unit_2d": lambda: plot.unit(_plane(), "y", (0, 0, 6, 1)),
    "unit_crop": lambda: plot.unit(_plane(), "y", (0, 0, 3, 9), crop=True),
    "unit_photo": lambda: plot.unit(_plane(), "y", (0, 0, 8, 9), image=_photo()),
    "unit_1d": lambda: plot.unit(_signal(), "y", (0, 0, 12)),
    "unit_3d": lambda: plot.unit(_volume(), "y", (0, 0, 4, 6, 8)),
    "layers_2d": lambda: plot.layers((a := _plane()), a.tensors, (6, 9)),
    "layers_1d": lambda: plot.layers((a := _signal()), a.tensors),
    "tokens": lambda: plot.tokens(_causal(), "y"),
    "density_2d": lambda: plot.density(_plane(), "y", index=(0, 0, slice(2, 5), slice(3, 4))),
    "density_1d": lambda: plot.density(_signal(), "y"),
    "centres_2d": lambda: plot.centres(_plane(), "y"),
    "centres_1d": lambda: plot.centres(_signal(), "y"),
    "heat_2d": lambda: plot.heat(_occluded("1,1,16,20", (5, 7))),
    "heat_1d": lambda: plot.heat(_occluded("1,1,40", (9,)), crop=True),
    "heat_3d": lambda: plot.heat(_occluded("1,1,8,9,10", (3, 5, 4))),
    "heat_mean": lambda: plot.heat(_occluded("1,1,16,20", (5, 7)), image=None),
    "best": lambda: plot.best(_occluded("1,1,16,20", (5, 7))),
    "growth": lambda: plot.growth(_plane()),
}
MASKS = [name for name in PICTURES if name.startswith(("unit", "layers", "tokens", "density"))]


def draw(name: str, path: Path) -> None:
    """Draw a picture without its words, of which no two installations make the same pixels."""
    from matplotlib.text import Text

    made = PICTURES[name]()
    figure = getattr(made, "figure", made)
    for axes in figure.findobj(lambda part: hasattr(part, "get_legend")):
        if axes.get_legend() is not None:
            axes.get_legend().remove()
    for text in figure.findobj(Text):
        text.set_visible(False)
    # Whole pixels: versions of matplotlib round differently.
    figure.set_size_inches(
        [round(DPI * inches) / DPI + 1e-6 for inches in figure.get_size_inches()]
    )
    figure.savefig(path, dpi=DPI)
