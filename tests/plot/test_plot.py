"""Pictures: what they show, in figures of their own and in given axes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import rfgraph
from rfgraph import checks, plot
from rfgraph.errors import QueryError
from tests.graphs import model

pytest.importorskip("matplotlib")

MODELS = Path(__file__).parents[2] / "models"

Analysis = rfgraph.Analysis


def analysis_of(name: str, **shapes: tuple[int, ...]) -> Analysis:
    return rfgraph.analyze(MODELS / f"{name}.onnx", shapes=shapes or None)


def conv(input: str, kernel: tuple[int, ...], attributes: str = "") -> Analysis:
    weights = {"W": np.ones((1, 1, *kernel), np.float32)}
    body = f"y = Conv {attributes} (x, W)"
    return rfgraph.analyze(model(body, f"float[{input}] x", initializers=weights))


def made_by(analysis: Analysis, *operators: str) -> list[str]:
    nodes = {tensor: analysis.node(tensor) for tensor in analysis.tensors}
    return [tensor for tensor, node in nodes.items() if node and node.op_type in operators]


def titles(figure: Any) -> list[str]:
    return [a.get_title(loc="left") for a in figure.axes]


def filled(axes: Any, number: int = 0) -> np.ndarray:
    """Where a frame is coloured."""
    return np.asarray(axes.images[number].get_array())[..., 3] > 0


def boxes(axes: Any) -> list[tuple[float, ...]]:
    from matplotlib.patches import Rectangle

    found = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    return [(*patch.get_xy(), patch.get_width(), patch.get_height()) for patch in found]


# ---------------------------------------------------------------- one unit


def test_the_mask_in_the_whole_image() -> None:
    """The 6x6 square in the image of 30x30."""
    analysis = analysis_of("lenet_textbook")
    (axes,) = plot.unit(analysis, "y", (0, 0, 4, 5)).axes
    expected = np.zeros((30, 30), bool)
    expected[8:14, 10:16] = True
    assert np.array_equal(filled(axes), expected)
    assert axes.images[0].get_extent() == [-0.5, 29.5, 29.5, -0.5]
    low, high = axes.get_xlim()
    assert low < -0.5 < 29.5 < high
    assert axes.get_title(loc="left") == "what y[0,0,4,5] sees of x (1x1x30x30)"
    # The frame, the box, and twice the unit's own place.
    assert boxes(axes) == [(-0.5, -0.5, 30, 30), (9.5, 7.5, 6, 6), *[(9.5, 7.5, 2, 2)] * 2]


def test_a_part_on_request() -> None:
    analysis = conv("1,1,500,500", (3, 3))
    (axes,) = plot.unit(analysis, "y", (0, 0, 250, 250), crop=True).axes
    assert axes.get_title(loc="left").endswith("a part of it")
    assert axes.get_xlim()[0] > 200


def test_what_lies_in_the_padding() -> None:
    analysis = conv("1,1,9,9", (5, 5), "<pads = [2, 2, 2, 2]>")
    (axes,) = plot.unit(analysis, "y", (0, 0, 0, 4)).axes
    field, _, box, *_ = boxes(axes)
    assert field == (1.5, -2.5, 5, 5)
    assert box == (1.5, -0.5, 5, 3)
    assert axes.get_ylim()[1] < -1
    assert "in the padding" in [text.get_text() for text in axes.get_legend().get_texts()]


def test_channels_last() -> None:
    """Nothing says where rows and columns stand but how fields move."""
    body = "h = Transpose <perm = [0, 3, 1, 2]> (x)\n c = Conv (h, W)\n"
    body += "y = Transpose <perm = [0, 2, 3, 1]> (c)"
    weights = {"W": np.ones((1, 2, 3, 3), np.float32)}
    analysis = rfgraph.analyze(model(body, "float[1,8,10,2] x", initializers=weights))
    (axes,) = plot.unit(analysis, "y", (0, 2, 4, 0)).axes
    expected = np.zeros((8, 10), bool)
    expected[2:5, 4:7] = True
    assert np.array_equal(filled(axes), expected)


def test_a_large_mask_keeps_its_holes_and_its_place() -> None:
    """What is scaled down loses nothing."""
    analysis = conv("1,1,60,5000", (2, 2), "<dilations = [1, 2500]>")
    (axes,) = plot.unit(analysis, "y", (0, 0, 1, 777)).axes
    mask, (left, right, *_) = filled(axes), axes.images[0].get_extent()
    scale = (right - left) / mask.shape[1]
    found = [int((left + 0.5) + column * scale) for column in mask.any(axis=0).nonzero()[0]]
    assert [777 - at < scale and at <= 777 for at in found[:1]] == [True]
    assert [3277 - at < scale and at <= 3277 for at in found[1:]] == [True]


def test_a_span_has_holes_and_what_is_ahead() -> None:
    from matplotlib.collections import PolyCollection

    analysis = conv("1,1,9", (2,), "<dilations = [3]>")
    (axes,) = plot.unit(analysis, "y", (0, 0, 2)).axes
    bars = [part for part in axes.collections if isinstance(part, PolyCollection)]
    spans = {
        tuple(part.get_facecolor()[0]): [(p.vertices[:, 0].min(), p.vertices[:, 0].max())]
        for part in bars
        for p in part.get_paths()
    }
    assert sorted(spans.values()) == [[(1.5, 2.5)], [(4.5, 5.5)]]
    assert len(spans) == 2


def test_three_slices_of_a_volume() -> None:
    analysis = conv("1,1,8,9,10", (3, 3, 3))
    figure = plot.unit(analysis, "y", (0, 0, 1, 2, 3))
    assert titles(figure) == ["axis 2 at 1", "axis 3 at 2", "axis 4 at 3"]
    expected = np.zeros((8, 9, 10), bool)
    expected[1:4, 2:5, 3:6] = True
    for axis, axes in enumerate(figure.axes):
        assert np.array_equal(filled(axes), expected.take((1, 2, 3)[axis], axis))


def test_a_region_has_no_place() -> None:
    (axes,) = plot.unit(analysis_of("lenet_textbook"), "y", (0, 0, slice(2, 4), 5)).axes
    assert len(boxes(axes)) == 2


# ---------------------------------------------------------------- images


PHOTO = np.linspace(0, 1, 12 * 16 * 3).reshape(12, 16, 3)


def written_photo(folder: Path, name: str = "photo.png") -> Path:
    from PIL import Image

    path = folder / name
    Image.fromarray((PHOTO * 255).astype(np.uint8)).save(path)
    return path


@pytest.mark.parametrize("given", ["array", "path", "opened", "grey"])
def test_an_image_lies_beneath(given: str, tmp_path: Path) -> None:
    from PIL import Image

    path = written_photo(tmp_path)
    image = {"array": PHOTO, "path": str(path), "opened": Image.open(path), "grey": PHOTO[..., 0]}
    analysis = analysis_of("lenet_textbook")
    (axes,) = plot.unit(analysis, "y", (0, 0, 4, 5), image=image[given]).axes
    # It is stretched to the whole input, and what is not seen is dimmed.
    assert axes.images[0].get_extent() == [-0.5, 29.5, 29.5, -0.5]
    assert axes.images[0].get_array().shape[:2] == (12, 16)
    assert (~filled(axes, 1)).sum() == 36


def test_images_that_are_none(tmp_path: Path) -> None:
    analysis = analysis_of("lenet_textbook")
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "cut.png").write_bytes(written_photo(tmp_path).read_bytes()[:100])
    for name, said in (
        ("none.png", "No such file"),
        ("text.png", "cannot identify"),
        ("cut.png", "can't be read as an image"),
        (".", "can't be read as an image"),
    ):
        with pytest.raises(QueryError, match=said) as caught:
            plot.unit(analysis, "y", (0, 0, 4, 5), image=tmp_path / name)
        assert str(tmp_path) in str(caught.value)
    with pytest.raises(QueryError, match=r"shape \(2, 3, 5\) is no image"):
        plot.unit(analysis, "y", (0, 0, 4, 5), image=np.zeros((2, 3, 5)))
    with pytest.raises(QueryError, match="along 1 axes"):
        plot.unit(conv("1,1,9", (3,)), "y", (0, 0, 2), image=PHOTO)


# ---------------------------------------------------------------- every layer


def test_a_panel_for_every_layer() -> None:
    analysis = analysis_of("vgg16")
    figure = plot.layers(analysis, made_by(analysis, "Conv", "MaxPool"), (2, 2))
    assert titles(figure) == [
        *(f"features.{k}" for k in (0, 2, 4, 5, 7, 9, 10, 12, 14, 16, 17, 19, 21, 23, 24, 26, 28)),
        "features",
    ]
    # Every panel has the same scale, that of the whole input.
    assert len({(a.get_xlim(), a.get_ylim()) for a in figure.axes}) == 1
    low, high = figure.axes[0].get_xlim()
    assert low < 0
    assert high > 223
    assert filled(figure.axes[0])[1:4, 1:4].all()
    assert filled(figure.axes[0]).sum() == 9


def test_the_middle_unit_of_every_layer() -> None:
    analysis = analysis_of("lenet_textbook")
    figure = plot.layers(analysis, analysis.tensors)
    assert [filled(axes).nonzero()[0][0] for axes in figure.axes] == [15, 13, 12]


def test_what_sees_the_same_shares_a_panel() -> None:
    analysis = analysis_of("vgg16")
    figure = plot.layers(analysis, made_by(analysis, "Conv", "Relu"), (2, 2))
    assert len(figure.axes) == 13
    assert any("+1 alike" in t.get_text() for t in figure.axes[0].texts)


def test_not_too_many_panels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["rfgraph.plot.layers"], "_PANELS", 5)
    analysis = analysis_of("vgg16")
    names = titles(plot.layers(analysis, made_by(analysis, "Conv", "MaxPool"), (2, 2)))
    assert len(names) == 5
    assert (names[0], names[-1]) == ("features.0", "features")


def test_spans_along_one_axis() -> None:
    analysis = analysis_of("tcn")
    (axes,) = plot.layers(analysis, made_by(analysis, "Conv"), (500,)).axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[0] == "network.0/conv1  Conv"
    assert len(labels) == len(axes.texts)


# ---------------------------------------------------------------- growth


def plain_net(side: int, depth: int) -> onnx.ModelProto:
    """3x3 convolutions, one behind the other."""
    names = ["x", *(f"h{k}" for k in range(1, depth)), "y"]
    body = "\n".join(
        f"{made} = Conv <pads = [1, 1, 1, 1]> ({given}, W)" for given, made in pairwise(names)
    )
    weights = {"W": np.ones((1, 1, 3, 3), np.float32)}
    return model(body, f"float[1,1,{side},{side}] x", initializers=weights)


def test_sizes_grow_with_depth() -> None:
    axes = plot.growth(rfgraph.analyze(plain_net(32, 5)))
    size, stride = axes.lines[:2]
    assert size.get_xdata().tolist() == list(range(6))
    assert size.get_ydata().tolist() == [1, 3, 5, 7, 9, 11]
    assert set(stride.get_ydata()) == {1}


def test_layers_that_add_nothing_are_those_of_the_check() -> None:
    net = plain_net(8, 9)
    axes = plot.growth(rfgraph.analyze(net))
    (marked,) = [line for line in axes.lines if line.get_marker() == "x"]
    found = checks.check(net, select=["RF104"]).findings
    assert found
    assert len(marked.get_xdata()) == sum(max(len(finding.places), 1) for finding in found)
    # The fourth sees 9x9.
    assert list(marked.get_xdata()) == [5, 6, 7, 8, 9]


def test_the_shortest_way_of_a_residual_net() -> None:
    axes = plot.growth(analysis_of("resnet50"))
    (met,) = [line for line in axes.lines if line.get_marker() == "v"]
    assert set(met.get_ydata()) == {11}
    said = [text.get_text() for text in axes.texts]
    assert "features 427" in said
    assert "input 224" in said


# ---------------------------------------------------------------- density, centres, tokens


def test_every_element_is_counted() -> None:
    analysis = conv("1,1,7,9", (3, 3), "<strides = [2, 2]>")
    axes = plot.density(analysis, "y")
    counts = np.asarray(axes.images[0].get_array())
    expected = sum(np.asarray(analysis.support("y", (0, 0, r, c)))[0, 0].astype(int)
                   for r in range(3) for c in range(4))  # fmt: skip
    assert np.array_equal(counts, expected)
    assert counts.max() == 4


def test_too_many_units_to_count() -> None:
    analysis = conv("1,1,80,80", (3, 3))
    with pytest.raises(QueryError, match="6,084 units"):
        plot.density(analysis, "y")
    region = (0, 0, slice(0, 3), slice(0, 3))
    assert plot.density(analysis, "y", index=region).images[0].get_array().max() == 9


def test_the_centres_of_a_value() -> None:
    axes = plot.centres(analysis_of("resnet50"), "features")
    (points,) = axes.lines
    assert sorted(set(points.get_xdata())) == [0, 32, 64, 96, 128, 160, 192]
    assert len(points.get_xdata()) == 49


def test_tokens_that_see_the_past() -> None:
    body = "axis = Constant <value_int = 1> ()\n y = CumSum (x, axis)"
    axes = plot.tokens(rfgraph.analyze(model(body, "float[1,6,4] x")), "y")
    assert np.array_equal(filled(axes), np.tri(6, dtype=bool))


def test_tokens_within_a_window() -> None:
    axes = plot.tokens(conv("1,1,9", (3,), "<pads = [1, 1]>"), "y")
    rows, columns = np.mgrid[:9, :9]
    assert np.array_equal(filled(axes), abs(rows - columns) <= 1)


# ---------------------------------------------------------------- all of them

EVERY: dict[str, Callable[[Analysis, Any], Any]] = {
    "unit": lambda a, ax: plot.unit(a, "y", (0, 0, 4, 5), ax=ax),
    "layers": lambda a, ax: plot.layers(a, a.tensors, ax=ax),
    "growth": lambda a, ax: plot.growth(a, ax=ax),
    "density": lambda a, ax: plot.density(a, "y", ax=ax),
    "centres": lambda a, ax: plot.centres(a, "y", ax=ax),
    "tokens": lambda a, ax: plot.tokens(a, "y", ax=ax),
}


@pytest.mark.parametrize("name", EVERY)
def test_given_axes_are_drawn_on(name: str) -> None:
    from matplotlib.figure import Figure

    figure = Figure()
    left, right = figure.subplots(1, 2)
    made = EVERY[name](analysis_of("lenet_textbook"), right)
    assert made in (figure, right)
    assert not left.has_data()
    assert right.has_data() or right.child_axes
    assert figure.axes == [left, right]
    figure.savefig(BytesIO(), format="png", dpi=20)


def test_a_notebook_shows_figures_and_pyplot_keeps_none() -> None:
    figure = plot.unit(analysis_of("lenet_textbook"), "y", (0, 0, 4, 5))
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert (
        "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    )


def test_names_are_no_formulas() -> None:
    made = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> g (float[1,1,9,9] x) => (float[1,1,9,9] y)'
        "{ h = Relu (x)\n y = Relu (h) }"
    )
    for node in made.graph.node:
        node.input[:] = [f"${n}_$\x1b" if n == "h" else n for n in node.input]
        node.output[:] = [f"${n}_$\x1b" if n == "h" else n for n in node.output]
    name = "$h_$\x1b"
    figure = plot.unit(rfgraph.analyze(made), name, (0, 0, 4, 5))
    assert r"\$h_\$\x1b" in figure.axes[0].get_title(loc="left")
    figure.savefig(BytesIO(), format="png", dpi=20)


def test_nothing_to_draw() -> None:
    analysis = analysis_of("lenet_textbook")
    with pytest.raises(QueryError, match="99,99"):
        plot.layers(analysis, analysis.tensors, (99, 99))
    for draw in (
        lambda: plot.layers(analysis, ["z"], (0, 0)),
        lambda: plot.unit(analysis, "z", (0, 0)),
        lambda: plot.density(analysis, "z"),
        lambda: plot.centres(analysis, "z"),
        lambda: plot.tokens(analysis, "z"),
    ):
        with pytest.raises(QueryError, match="no tensor"):
            draw()
    with pytest.raises(QueryError, match="no input"):
        plot.growth(analysis, "z")
    with pytest.raises(QueryError, match="no axis"):
        plot.growth(analysis, axis=7)
    constant = rfgraph.analyze(model("y = Shape (x)", "float[1,1,9,9] x"))
    for draw in (
        lambda: plot.unit(constant, "y", (0,)),
        lambda: plot.density(constant, "y"),
        lambda: plot.centres(constant, "y"),
        lambda: plot.tokens(constant, "y"),
    ):
        with pytest.raises(QueryError, match="sees nothing"):
            draw()


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    analysis = analysis_of("lenet_textbook")
    for name in [n for n in sys.modules if n.partition(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    for draw in EVERY.values():
        with pytest.raises(ImportError, match=r"rfgraph\[plot\]"):
            draw(analysis, None)


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
