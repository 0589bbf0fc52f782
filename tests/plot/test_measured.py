"""Pictures of what units respond to: what they show is what was measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rfgraph import plot
from rfgraph.errors import QueryError
from rfgraph.measure import Growth, Occlusion, effective, growth, occlusion
from rfgraph.measure.discrepancy import Occluded
from rfgraph.measure.images import Fitting, Layout
from rfgraph.plot.shown import picture_of
from tests.graphs import model

pytest.importorskip("matplotlib")
pytest.importorskip("onnxruntime")

RNG = np.random.default_rng(0)


def measured(sides: tuple[int, ...], kernel: tuple[int, ...], **options: Any) -> Occlusion:
    weights = {"W": RNG.standard_normal((2, 3, *kernel)).astype(np.float32)}
    shape = ",".join(map(str, (1, 3, *sides)))
    made = model("y = Conv (x, W)", f"float[{shape}] x", initializers=weights)
    images = RNG.random((4, 3, *sides), np.float32)
    return occlusion(made, "y", [0, 1], images, size=2, stride=1, top=3, **options)


@pytest.fixture(scope="module")
def plane() -> Occlusion:
    return measured((12, 16), (3, 5))


def test_the_map_lies_over_the_image(plane: Occlusion) -> None:
    figure = plot.heat(plane, 1, 2)
    left, right = figure.axes
    on = plane.found[1].images[2]
    picture = plane.images[on.image][0].transpose(1, 2, 0)
    assert np.allclose(left.images[0].get_array(), picture)
    assert np.allclose(right.images[0].get_array(), picture.mean(axis=2))
    opaque = right.images[-1].get_array()[..., 3]
    assert np.array_equal(opaque > 0, on.map > 0)
    assert np.unravel_index(opaque.argmax(), opaque.shape) == np.unravel_index(
        on.map.argmax(), on.map.shape
    )
    assert right.images[-1].get_extent() == [-0.5, 15.5, 11.5, -0.5]
    unit = ",".join(map(str, on.unit))
    assert left.get_title(loc="left") == f"what y[{unit}] can see"
    ((top, bottom), (first, last)) = on.box
    edges = [(p.get_xy(), p.get_width(), p.get_height()) for p in right.patches]
    assert ((first - 0.5, top - 0.5), last - first + 1, bottom - top + 1) in edges


def test_the_mean_map(plane: Occlusion) -> None:
    (axes,) = plot.heat(plane, 0, None).axes
    (top, bottom), (left, right) = plane.found[0].box
    assert axes.images[0].get_extent() == [left - 0.5, right + 0.5, bottom + 0.5, top - 0.5]
    assert axes.images[0].get_array().shape[:2] == plane.found[0].map.shape


def test_a_signal() -> None:
    found = measured((60,), (7,))
    (axes,) = plot.heat(found, crop=True).axes
    low, high = axes.get_xlim()
    ((first, last),) = found.found[0].images[0].box
    assert low < first < last < high < 59.6
    (axes,) = plot.heat(found, image=None).axes
    assert axes.get_title(loc="left") == "what y[0,0,:] responds to"
    assert len(plot.best(found).axes) == 6


def test_slices_of_a_volume() -> None:
    """They are through the element that the map is greatest on, and of one scale."""
    found = measured((7, 9, 8), (3, 2, 4))
    on, mean = found.found[1].images[0], found.found[1].map
    for figure, map, begins in (
        (plot.heat(found, 1), on.map, (0, 0, 0)),
        (plot.heat(found, 1, None), mean, [first for first, _ in found.found[1].box]),
    ):
        at = np.unravel_index(int(map.argmax()), map.shape)
        assert len(figure.axes) == 3
        for held, axes in enumerate(figure.axes):
            cut = map.take(at[held], axis=held)
            opaque = axes.images[-1].get_array()[..., 3]
            assert np.allclose(opaque, opaque.max() * np.sqrt(cut / map.max()))
            assert axes.get_title(loc="left") == f"axis {held + 2} at {at[held] + begins[held]}"
    picture = found.images[on.image][0].mean(axis=0)
    assert np.allclose(plot.heat(found, 1).axes[0].images[0].get_array(), picture[at_of(on)])


def at_of(on: Occluded) -> int:
    return int(np.unravel_index(int(on.map.argmax()), on.map.shape)[0])


def test_crops_are_of_the_field(plane: Occlusion) -> None:
    figure = plot.best(plane, most=2)
    assert len(figure.axes) == 4
    for row, unit in enumerate(plane.found):
        for column in range(2):
            on, axes = unit.images[column], figure.axes[2 * row + column]
            (top, bottom), (left, right) = on.box
            assert axes.get_xlim() == (left - 0.5, right + 0.5)
            assert axes.get_ylim() == (bottom + 0.5, top - 0.5)
            assert axes.get_title() == f"{on.value:.3g}"
    assert [figure.axes[0].get_ylabel(), figure.axes[2].get_ylabel()] == ["0", "1"]


def test_crops_of_volumes_are_slices_through_the_middle() -> None:
    found = measured((7, 9, 8), (3, 3, 5))
    figure = plot.best(found, most=1)
    for unit, axes in zip(found.found, figure.axes, strict=True):
        on = unit.images[0]
        (first, last), (top, bottom), (left, right) = on.box
        middle = (first + last) // 2
        whole = found.images[on.image][0].mean(axis=0)
        assert np.allclose(axes.images[0].get_array(), whole[middle])
        assert axes.get_xlim() == (left - 0.5, right + 0.5)
        assert axes.get_ylim() == (bottom + 0.5, top - 0.5)


def test_in_axes_of_ones_own(plane: Occlusion) -> None:
    from matplotlib.figure import Figure

    for draw in (plot.heat, plot.best):
        own = Figure()
        assert draw(plane, ax=own.add_subplot()) is own


def test_what_is_not_there(plane: Occlusion) -> None:
    with pytest.raises(QueryError, match="there is no channel or unit 2: there are 2"):
        plot.heat(plane, 2)
    with pytest.raises(QueryError, match="there is no image 3: there are 3"):
        plot.heat(plane, 0, 3)
    with pytest.raises(QueryError, match="images along 4 axes are not drawn"):
        plot.best(replace(plane, axes=(1, 2, 3, 4)))
    with pytest.raises(QueryError, match="a map along 4 axes is not drawn"):
        plot.heat(replace(plane, axes=(1, 2, 3, 4)))


def test_pictures_are_as_they_were_given() -> None:
    """What makes them fit an input is taken back, wherever the channels stand."""
    image = RNG.random((5, 7, 3))
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
    for text, shape in (("NCHW", (1, 3, 5, 7)), ("NHWC", (1, 5, 7, 3))):
        dtype = np.dtype(np.float32)
        fitting = Fitting("x", shape, dtype, Layout.parsed(text), mean=mean, std=std)
        made = fitting.fitted(image.astype(np.float32), None, is_picture=False)
        assert np.allclose(picture_of(fitting, made), image, atol=1e-6)


# ---------------------------------------------------------------- effective fields


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_an_effective_field(axes: int) -> None:
    """What is drawn is the map, and boxes are where they hold their share."""
    shape, ones = [10, 9, 8][:axes], np.ones((1, 1, *[5, 3, 4][:axes]), np.float32)
    made = model(
        "y = Conv (x, W)", f"float[1,1,{','.join(map(str, shape))}] x", initializers={"W": ones}
    )
    found = effective(made, "y")
    figure = plot.effective(found)
    planes = {1: [], 2: [(0, 1)], 3: [(1, 2), (0, 2), (0, 1)]}[axes]
    for drawn, (down, across) in zip(figure.axes, planes, strict=False):
        (mesh,) = drawn.collections
        assert mesh.get_array().shape == (found.extent[2 + down], found.extent[2 + across])
        assert np.allclose(mesh.get_array(), 1)
        # The box of 99 % is all of it.
        box = drawn.patches[-1]
        assert (box.get_width(), box.get_height()) == (
            found.extent[2 + across],
            found.extent[2 + down],
        )
        assert box.get_x() == pytest.approx(-found.extent[2 + across] / 2)
    if axes == 1:
        (stairs,) = (p for p in figure.axes[0].patches if hasattr(p, "get_data"))
        assert np.allclose(stairs.get_data().values, 0.2)
        assert stairs.get_data().edges.tolist() == [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]
    own = type(figure)()
    assert plot.effective(found, ax=own.add_subplot()) is own


def test_an_effective_field_of_four_axes() -> None:
    found = effective(model("y = Relu (x)", "float[1,2,3,4] x"), "y")
    with pytest.raises(QueryError, match="a map along 4 axes is not drawn"):
        plot.effective(replace(found, axes=(0, 1, 2, 3)))


# ---------------------------------------------------------------- with depth


def test_sizes_with_depth() -> None:
    """Two layers: the lines are what was measured of each."""
    body = "h = Conv <pads = [2, 2, 2, 2]> (x, V)\n y = Conv <pads = [2, 2, 2, 2]> (h, W)"
    weights = {"V": np.ones((1, 1, 5, 5), np.float32), "W": np.ones((1, 1, 5, 5), np.float32)}
    made = model(body, "float[1,1,20,24] x", initializers=weights)
    layers = growth(made, ["h", "y"], images=[np.ones((1, 1, 20, 24), np.float32)])
    covered = occlusion(made, "y", 0, np.ones((1, 20, 24), np.float32), fill=0.0, size=1, stride=1)
    axes = plot.used(layers, [covered])
    whole, theoretical, effective, *_ = axes.lines
    assert list(theoretical.get_ydata()) == [5, 9]
    sides = [layer.share(1 - 0.0455).sides[-1] for layer in layers.layers]
    assert list(effective.get_ydata()) == sides
    assert list(whole.get_ydata()) == [24, 24]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["h", "y"]
    (bar,) = axes.containers
    assert list(bar.lines[0].get_xdata()) == [1]
    # Of 9 by 9 elements those in the corners have 1/25 of the largest, which do not count.
    assert list(bar.lines[0].get_ydata()) == [covered.side[0]] == [pytest.approx(np.sqrt(77))]
    with pytest.raises(QueryError, match="along axis 1 nothing was measured"):
        plot.used(layers, axis=1)
    with pytest.raises(QueryError, match="of 'y' no effective field was measured"):
        plot.used(Growth(layers.layers[:1]), [covered])
    with pytest.raises(QueryError, match="nothing was measured"):
        plot.used(Growth(()))
