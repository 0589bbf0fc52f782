"""Pictures: which panels there are, and what they show."""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rfgraph
from rfgraph import plot
from rfgraph.engine.products import region_of
from rfgraph.engine.support import Support
from rfgraph.errors import QueryError
from rfgraph.render.picture import picture

from .graphs import model

pytest.importorskip("matplotlib")

MODELS = Path(__file__).parents[1] / "models"


def titles(figure: Any) -> list[str]:
    return [a.get_title(loc="left") for a in figure.axes if a.axison]


def layers(name: str, at: tuple[int, ...], *operators: str) -> Any:
    analysis = rfgraph.analyze(MODELS / f"{name}.onnx")
    chosen = []
    for tensor in analysis.tensors:
        node = analysis.node(tensor)
        if node is not None and node.op_type in operators:
            chosen.append(tensor)
    return plot.layers(analysis, chosen, at)


def test_a_panel_for_every_layer() -> None:
    figure = layers("vgg16", (2, 2), "Conv", "MaxPool")
    assert titles(figure) == [
        *(f"features.{k}" for k in (0, 2, 4, 5, 7, 9, 10, 12, 14, 16, 17, 19, 21, 23, 24, 26, 28)),
        "features",
    ]
    # Every panel has the same scale, that of the whole input.
    assert len({(a.get_xlim(), a.get_ylim()) for a in figure.axes}) == 1
    low, high = figure.axes[0].get_xlim()
    assert low < 0
    assert high > 223


def test_the_mask_of_a_panel() -> None:
    figure = layers("vgg16", (2, 2), "Conv")
    image = figure.axes[0].images[0]
    assert image.get_extent() == [0.5, 3.5, 3.5, 0.5]
    assert not np.ma.getmaskarray(image.get_array()).any()


def test_what_sees_the_same_shares_a_panel() -> None:
    figure = layers("vgg16", (2, 2), "Conv", "Relu")
    assert len(titles(figure)) == 13
    assert any("+1 alike" in t.get_text() for t in figure.axes[0].texts)


def test_not_too_many_panels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plot, "_PANELS", 5)
    names = titles(layers("vgg16", (2, 2), "Conv", "MaxPool"))
    assert len(names) == 5
    assert (names[0], names[-1]) == ("features.0", "features")


def test_bars_along_one_axis() -> None:
    figure = layers("tcn", (500,), "Conv")
    (axes,) = figure.axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[0] == "network.0/conv1  Conv"
    assert len(labels) == len(axes.collections)


def test_a_bar_has_holes() -> None:
    weights = {"W": np.ones((1, 1, 2), np.float32)}
    made = model("y = Conv <dilations = [3]> (x, W)", "float[1,1,9] x", initializers=weights)
    figure = plot.unit(rfgraph.analyze(made), "y", (0, 0, 2))
    (bars,) = figure.axes[0].collections
    spans = sorted((p.vertices[:, 0].min(), p.vertices[:, 0].max()) for p in bars.get_paths())
    assert spans == [(1.5, 2.5), (4.5, 5.5)]


def test_a_small_part_of_a_large_input_is_cut_out() -> None:
    weights = {"W": np.ones((1, 1, 3, 3), np.float32)}
    made = model("y = Conv (x, W)", "float[1,1,500,500] x", initializers=weights)
    figure = plot.unit(rfgraph.analyze(made), "y", (0, 0, 250, 250))
    assert "a part of it" in figure.get_suptitle()
    assert figure.axes[0].get_xlim()[0] > 200


def test_it_is_written() -> None:
    stream = BytesIO()
    layers("lenet_textbook", (4, 5), "Conv", "AveragePool").savefig(stream, format="png")
    assert stream.getvalue().startswith(b"\x89PNG")


def test_nothing_to_draw() -> None:
    analysis = rfgraph.analyze(MODELS / "lenet_textbook.onnx")
    with pytest.raises(QueryError, match="99,99"):
        plot.layers(analysis, analysis.tensors, (99, 99))
    with pytest.raises(QueryError, match="no tensor"):
        plot.layers(analysis, ["z"], (0, 0))


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    analysis = rfgraph.analyze(MODELS / "lenet_textbook.onnx")
    for name in [n for n in sys.modules if n.partition(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"rfgraph\[plot\]"):
        plot.unit(analysis, "y", (0, 0, 0, 0))


NAMES = {
    "/features/features.0/Conv_output_0": "features.0",
    "/trunk/layer1/layer1.0/conv1/conv1.0/Conv_output_0": "trunk/layer1.0/conv1.0",
    "/Conv_output_0": "Conv",
    "/blocks/Conv_1_output_0": "blocks",
    "conv2d_3": "conv2d_3",
    "/a/quite/long/name/with/many/modules/in/it": "…ith/many/modules/in/it",
    "/": "/",
}


@pytest.mark.parametrize(("name", "short"), NAMES.items())
def test_short_names(name: str, short: str) -> None:
    assert plot.shortened([name], ["Conv"], 23) == [short]


# ---------------------------------------------------------------- in the terminal


def test_a_bar_in_the_terminal() -> None:
    support = Support("x", (1, 9), region_of([np.ones(1, bool), np.arange(9) % 4 == 0], (1, 9)))
    assert picture(support, (1,)) == "axis 1, 0..8 of 0..8\n│█   █   █│"
    assert picture(support, (1,), width=5, blocks=False) == (
        "axis 1, 0..8 of 0..8; 3 elements to a character\n|###|"
    )


def test_a_part_in_the_terminal() -> None:
    side = (np.arange(500) >= 250) & (np.arange(500) < 254)
    support = Support("x", (500, 500), region_of([side, side], (500, 500)))
    assert picture(support, (0, 1)) == (
        "axis 0 down, 249..254 of 0..499; axis 1 across, 249..254 of 0..499\n"
        "┌┄┄┄┄┄┄┐\n"
        "┆ ▄▄▄▄ ┆\n"
        "┆ ████ ┆\n"
        "┆ ▀▀▀▀ ┆\n"
        "└┄┄┄┄┄┄┘"
    )


def test_nothing_in_the_terminal() -> None:
    assert picture(Support("x", (3, 3), ()), (0, 1)) == ""
    assert picture(Support("x", (), ((),)), ()) == ""
