"""Effective fields against what is known without any run: products of kernels, and counts."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import reduce
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx.parser
import pytest

import rfgraph
from rfgraph.errors import QueryError
from rfgraph.measure import Effective, effective, growth
from tests.measure.plain import Net, laid

HEAD = '<ir_version: 8, opset_import: ["" : 17]>'


def model(text: str) -> onnx.ModelProto:
    return onnx.parser.parse_model(HEAD + text)


# ---------------------------------------------------------------- products of kernels


def convolved(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The full convolution of two kernels: the kernel of one after the other."""
    made = np.zeros([a + b - 1 for a, b in zip(one.shape, other.shape, strict=True)])
    for at in product(*map(range, one.shape)):
        window = tuple(slice(k, k + n) for k, n in zip(at, other.shape, strict=True))
        made[window] += one[at] * other
    return made


def spread(kernel: np.ndarray, by: int) -> np.ndarray:
    """A kernel whose taps are apart."""
    made = np.zeros([(n - 1) * by + 1 for n in kernel.shape])
    made[tuple(slice(None, None, by) for _ in kernel.shape)] = kernel
    return made


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_unit_of_a_linear_net(axes: int) -> None:
    """Of one channel: kernels, each as far apart as the strides and dilations before it make it."""
    net = Net(0, 1, axes).conv(1, 3, stride=2).conv(1, 3, dilation=2, pad=2)
    apart, size = [1, 4], 14
    if axes < 3:
        net.conv(1, 3)
        apart, size = [1, 4, 2], 28
    kernels = [np.float64(layer.weight[0, 0]) for layer in net.layers if layer.weight is not None]
    wanted = reduce(convolved, [spread(k, by) for k, by in zip(kernels, apart, strict=True)])
    unit = (0, 0, *[size // 4] * axes)
    # As nothing has a kink, changes may be large.
    found = effective(net.model(size), "y", units=unit, step=1, change=1)
    assert found.extent[2:] == wanted.shape
    np.testing.assert_allclose(found.map[0, 0], np.abs(wanted), rtol=2e-4, atol=2e-5)
    # A cell that happens to be sampled by one group alone counts as wrong.
    assert found.relative_error < (1e-4 if axes < 3 else 0.05)
    # Only what the unit sees is changed: holes are not.
    seen = rfgraph.analyze(net.model(size)).support("y", unit).count
    assert found.passes % (2 * seen) == 0


def jacobian(net: Net, size: int) -> np.ndarray:
    """Every unit of a linear net by every element, in NumPy: shape (units, elements)."""
    made = np.eye(net.first * size).reshape(net.first * size, net.first, size)
    for layer in net.layers:
        assert layer.kind == "conv"
        assert layer.weight is not None
        kernel = spread(
            layer.weight.astype(np.float64).reshape(-1, layer.kernel)[0], layer.dilation
        )
        reach = len(kernel)
        padded = np.pad(made, [(0, 0), (0, 0), (layer.pad, layer.pad)])
        steps = range(0, padded.shape[2] - reach + 1, layer.stride)
        taps = layer.weight.astype(np.float64)
        made = np.stack(
            [
                np.einsum("nck,ock->no", padded[:, :, s : s + reach : layer.dilation], taps)
                for s in steps
            ],
            axis=2,
        )
    return made.reshape(len(made), -1).T


@pytest.mark.parametrize(
    "net",
    [
        Net(1, 2, 1).conv(3, 5, stride=2).conv(4, 3),
        Net(2, 1, 1).conv(3, 3, dilation=3).conv(2, 4, stride=3, pad=0),
        # Without padding the value is shorter than the input.
        Net(3, 3, 1).conv(2, 3, pad=0).conv(2, 3, pad=0).conv(1, 3, pad=0),
    ],
    ids=["strides", "dilations", "no padding"],
)
def test_all_units_of_a_linear_net(net: Net) -> None:
    """Borders included: each offset is the mean over the units that have it inside the input."""
    size = 30
    made = net.model(size)
    found = effective(made, "y", step=1)
    analysis = rfgraph.analyze(made)
    shape = analysis.extent("y")
    assert shape is not None
    (first, _) = analysis.places("y", "x", 2) or (None, None)
    own = np.broadcast_to(first, shape).ravel()
    gradient = np.abs(jacobian(net, size)).reshape(-1, net.first, size)
    sums, many = laid(gradient, [np.zeros(len(own), int), own], found.first[1:], found.extent[1:])
    np.testing.assert_allclose(found.map[0], sums / many, rtol=2e-4, atol=2e-5)


def test_phases_after_an_upsampling() -> None:
    """Units of two phases see different offsets; the mean is over both."""
    made = model(
        "net (float[N, 1, 8] x) => (float[N, 1, 16] y) <float[1, 1, 4] W = {1, 2, 3, 4}>"
        "{ y = ConvTranspose <strides = [2], pads = [1, 1]> (x, W) }"
    )
    found = effective(made, "y", step=1, units=(0, 0, slice(4, 12)))
    # Even units take taps 1 and 3, odd ones 2 and 0: y[2i] = 2 x[i] + 4 x[i - 1],
    # y[2i + 1] = 3 x[i] + 1 x[i + 1].
    assert found.first[2] == -1
    np.testing.assert_allclose(found.map[0, 0], [2, 2.5, 0.5], rtol=1e-4)


def test_channels_last_and_several_inputs() -> None:
    made = model(
        "net (float[N, 9, 2] x, float[N, 2, 9] other) => (float[N, 1, 9] y)"
        "<float[1, 2, 3] W = {1, 2, 3, 4, 5, 6}> {"
        " t = Transpose <perm = [0, 2, 1]> (x) m = Mul (t, other) y = Conv <pads = [1, 1]> (m, W) }"
    )
    ones = {"other": np.full((1, 2, 9), 2, np.float32)}
    found = effective(made, "y", "x", inputs=ones, units=(0, 0, slice(1, 8)), step=1)
    np.testing.assert_allclose(found.map[0], 2 * np.array([[1, 4], [2, 5], [3, 6]]), rtol=1e-4)
    assert found.axes == (1,)
    with pytest.raises(rfgraph.QueryError, match="depends on 2 inputs"):
        effective(made, "y")


def test_tokens_are_replaced() -> None:
    """What is embedded as 0 or 1 and summed over three tokens changes by 1 or not at all."""
    made = model(
        "net (int64[N, 12] tokens) => (float[N, 12] y)"
        "<float[4] table = {0, 1, 0, 1}, float[1, 1, 3] W = {1, 0, 2}, int64[1] one = {1}> {"
        " e = Gather (table, tokens) u = Unsqueeze (e, one) c = Conv <pads = [1, 1]> (u, W)"
        " y = Squeeze (c, one) }"
    )
    found = effective(made, "y", vocabulary=4, error=0.01)
    assert found.is_replacement
    assert found.is_noise
    # Two of the three others differ.
    np.testing.assert_allclose(found.map[0], [2 / 3, 0, 4 / 3], rtol=0.05)
    assert abs(found.map[0, 2] - 4 / 3) < 4 * found.error[0, 2]


def test_a_batch_of_its_own_and_states_held() -> None:
    """A fixed batch, and a state: the other input is held as it is given."""
    made = model(
        "net (float[2, 1, 6] x, float[2, 1, 1] state) => (float[2, 1, 7] y)"
        "{ y = Concat <axis = 2> (state, x) }"
    )
    found = effective(made, "y", "x", values={"state": np.ones((2, 1, 1), np.float32)})
    assert found.map.shape == found.extent
    assert found.map.max() == pytest.approx(1, rel=1e-3)


# ---------------------------------------------------------------- figures


def flat(kernel: int, axes: int = 2) -> Effective:
    """A field all of whose elements count the same."""
    net = Net(0, 1, axes).conv(1, kernel)
    weight = net.layers[0].weight
    assert weight is not None
    weight[:] = 1
    return effective(net.model(2 * kernel), "y", units=(0, 0, *[kernel] * axes), step=1)


def test_figures_of_a_flat_field() -> None:
    found = flat(9)
    box = found.share(0.5)
    assert box.sides == (7, 7)
    assert box.area == pytest.approx(49 / 18**2)
    assert box.of_field == pytest.approx(49 / 81)
    assert box.elements == pytest.approx(41 / 81)
    assert found.share(1.0).sides == (9, 9)
    assert found.width == pytest.approx([np.sqrt(80 / 12)] * 2, rel=1e-3)
    assert found.luo == pytest.approx(9)
    assert found.theoretical == (1, 1, 9, 9)
    assert found.ratio == (1, 1)
    offset, density = found.profile(2)
    assert offset.tolist() == list(range(-4, 5))
    np.testing.assert_allclose(density, 1 / 9, rtol=1e-3)


def test_the_box_grows_around_the_units_own_place() -> None:
    """Of a causal net all lies on one side: what is not there is no part of the box."""
    made = model(
        "net (float[N, 1, 40] x) => (float[N, 1, 40] y)"
        "<float[1, 1, 5] W = {1, 1, 1, 1, 6}> { y = Conv <pads = [4, 0]> (x, W) }"
    )
    found = effective(made, "y", step=1)
    assert (found.first[2], found.centre[2]) == (-4, 0)
    assert [found.share(s).sides for s in (0.5, 0.65, 1.0)] == [(1,), (2,), (5,)]


def test_cells_of_several_elements() -> None:
    """Coarser maps have the same figures, as far as cells can tell."""
    net = Net(0, 1).conv(1, 9)
    made = net.model(40)
    fine = effective(made, "y", step=1, units=(0, 0, 20, 20))
    coarse = effective(made, "y", step=3, units=(0, 0, 20, 20))
    wanted = fine.map[0, 0].reshape(3, 3, 3, 3).mean(axis=(1, 3))
    assert coarse.map.shape == (1, 1, 3, 3)
    assert (np.abs(coarse.map[0, 0] - wanted) < 4 * coarse.error[0, 0]).all()
    assert coarse.contribution.sum() == pytest.approx(1)
    assert coarse.width == pytest.approx(fine.width, rel=0.15)


def test_places_of_strides() -> None:
    """The middle of a unit's own elements lies between two of them."""
    found = effective(Net(0, 1, 1).conv(1, 2, stride=2, pad=0).model(16), "y", step=1)
    assert (found.first[2], found.centre[2]) == (0, 0.5)
    assert found.share(1.0).sides == (2,)


def test_what_is_pooled_over_all_has_no_place() -> None:
    made = model("net (float[N, 2, 8, 8] x) => (float[N, 2, 1, 1] y) { y = GlobalAveragePool (x) }")
    found = effective(made, "y", step=1)
    np.testing.assert_allclose(found.map.sum(axis=1), 1 / 64, rtol=1e-3)
    assert found.theoretical[2:] == (8, 8)
    assert found.share(1.0).sides[-1] == 8


# ---------------------------------------------------------------- images


def images(number: int, shape: Sequence[int], seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(np.float32) for _ in range(number)]


SMALL = Net(0, 2).conv(3).relu().conv(2).model(10)


def test_images_are_all_there_is() -> None:
    """Each is used for every cell once: then it ends, and says what it can't know."""
    some = images(3, (1, 2, 10, 10))
    found = effective(SMALL, "y", images=some, error=1e-9, step=1)
    phases = 2 * 5 * 5
    assert (found.passes, found.images, found.complete) == (3 * 2 * phases, 3, True)
    assert "all images were used" in found.notes[-1]
    each = [effective(SMALL, "y", images=[image], step=1) for image in some]
    np.testing.assert_allclose(found.map, np.mean([e.map for e in each], axis=0), rtol=1e-9)
    assert np.isnan(each[0].error).all()
    assert "one image" in each[0].notes[-1]
    assert np.isnan(each[0].relative_error)


def test_inputs_may_be_the_image() -> None:
    (image,) = images(1, (1, 2, 10, 10))
    given = effective(SMALL, "y", inputs={"x": image}, step=1)
    assert not given.is_noise
    assert (given.map == effective(SMALL, "y", images=[image], step=1).map).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"images": []}, "there are no images"),
        ({"images": [np.zeros((3, 10, 10), np.float32)]}, "image 0"),
        ({"images": [np.full((2, 10, 10), np.nan, np.float32)]}, "image 0 .*NaN"),
        ({"change": 0}, "change"),
        ({"units": (0, 0, 10, 0)}, "no unit 10 along axis 2"),
        ({"units": (0, 0, 0)}, "4 axes, and 3 coordinates"),
        ({"units": (0, 0, 1.5, 0)}, "a whole number or a slice for each axis"),
        ({"units": 3}, "a whole number or a slice for each axis"),
        ({"step": 1.5}, "step"),
        ({"change": np.inf}, "change"),
        ({"vocabulary": 1}, "no token can be replaced"),
        ({"units": (0, 0, slice(4, 4), 0)}, "no units 4:4"),
        ({"step": 0}, "step"),
        ({"step": (1, 1)}, "step"),
        ({"error": 0}, "error"),
        ({"seed": -1}, "seed"),
        ({"seconds": 0}, "seconds"),
        ({"jobs": -1}, "jobs"),
        ({"input": "nowhere"}, "nowhere"),
    ],
)
def test_what_makes_no_sense(options: dict[str, Any], said: str) -> None:
    with pytest.raises(rfgraph.RFGraphError, match=said):
        effective(SMALL, "y", **options)


def test_a_value_that_no_input_reaches() -> None:
    made = model(
        "net (float[2] x) => (float[2] y, float[2] z)"
        "<float[2] c = {1, 2}> { y = Identity (x) z = Identity (c) }"
    )
    with pytest.raises(rfgraph.QueryError, match="z"):
        effective(made, "z")


def test_a_value_that_is_no_number() -> None:
    made = model("net (float[N, 4] x) => (float[N, 4] y) { y = Sqrt (x) }")
    with pytest.raises(rfgraph.RFGraphError, match="'y' has NaN or infinite numbers"):
        effective(made, "y")
    image = np.full((1, 4), 9, np.float32)
    found = effective(made, "y", images=[image])
    np.testing.assert_allclose(found.map, 1 / 6, rtol=0.05)


def test_the_time_is_over() -> None:
    found = effective(SMALL, "y", seconds=1e-9, error=1e-9, jobs=1)
    assert not found.complete
    assert found.passes > 0
    assert found.relative_error > 1e-9


# ---------------------------------------------------------------- the same bits


def same(one: Effective, other: Effective) -> bool:
    return (
        one.map.tobytes() == other.map.tobytes()
        and one.error.tobytes() == other.error.tobytes()
        and one.passes == other.passes
    )


def test_whoever_makes_the_passes(tmp_path: Path) -> None:
    alone = effective(SMALL, "y", jobs=1)
    assert same(effective(SMALL, "y", jobs=3), alone)
    assert not same(effective(SMALL, "y", jobs=3, seed=1), alone)

    def interrupt(done: int, total: int) -> None:
        assert done <= total
        if done == 3:
            raise KeyboardInterrupt

    store = str(tmp_path / "run")
    part = effective(SMALL, "y", jobs=2, store=store, progress=interrupt)
    assert part.interrupted
    assert not part.complete
    assert same(effective(SMALL, "y", store=store), alone)
    with pytest.raises(rfgraph.QueryError, match="another seed"):
        effective(SMALL, "y", store=store, seed=1)
    with pytest.raises(rfgraph.QueryError, match="another images"):
        effective(SMALL, "y", store=store, images=images(20, (2, 10, 10)))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed", reason="the extra 'dask' is not installed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
    ) as made:
        yield made


@pytest.mark.slow
def test_processes() -> None:
    assert same(effective(SMALL, "y", jobs=2, processes=True), effective(SMALL, "y", jobs=1))


@pytest.mark.slow
def test_a_worker_of_a_cluster_is_killed_midway(cluster: Any) -> None:
    from distributed import Client

    options: dict[str, Any] = {"error": 0.01, "step": 1}
    alone = effective(SMALL, "y", jobs=1, **options)
    killed = []
    with Client(cluster) as client:

        def kill(done: int, total: int) -> None:
            if done == 6:
                killed.append(next(iter(client.run(os.getpid).values())))
                os.kill(killed[-1], signal.SIGKILL)

        executor = client.get_executor()
        found = effective(SMALL, "y", jobs=2, executor=executor, progress=kill, **options)
    assert killed
    assert found.complete
    assert same(found, alone)


# ---------------------------------------------------------------- errors


@pytest.mark.slow
def test_the_error_covers_the_truth() -> None:
    """In 95 of 100 measurements, by the quantile of Student's distribution of 15 degrees."""
    net = Net(5, 1, 1).conv(4, 3).relu().conv(4, 3).relu().conv(1, 3)
    made = net.model(16)
    units = (0, slice(None), slice(4, 12))
    options: dict[str, Any] = {"units": units, "step": 1, "jobs": 1, "change": 0.02}
    maps = [effective(made, "y", error=0.5, seed=seed, **options) for seed in range(100)]
    # All of them together are ten times as certain as each.
    truth = replace(maps[0], map=np.mean([m.map for m in maps], axis=0))
    covered = [np.abs(m.map - truth.map) <= 2.131 * m.error for m in maps]
    assert 0.92 <= np.mean(covered) <= 0.98
    figures = [lambda e: e.width[0], lambda e: e.contribution.max()]
    for figure in figures:
        wanted = figure(truth)
        hits = [abs(figure(m) - wanted) <= 2.131 * m.error_of(figure) for m in maps]
        assert 0.9 <= np.mean(hits) <= 0.99


def test_the_error_falls_as_it_is_asked_for() -> None:
    coarse, fine = (effective(SMALL, "y", error=error) for error in (0.1, 0.02))
    assert coarse.relative_error <= 0.1
    assert fine.relative_error <= 0.02
    assert fine.passes > coarse.passes


# ---------------------------------------------------------------- layers


def test_growth() -> None:
    net = Net(0, 1).conv(2).relu().conv(2).relu().conv(2).relu()
    found = growth(net.model(16), seconds=None)
    assert [layer.theoretical[2:] for layer in found.layers] == [(3, 3), (5, 5), (7, 7)]
    # Of a convolution and its activation the latter.
    assert [layer.operator for layer in found.layers] == ["Relu"] * 3
    widths = [layer.width[0] for layer in found.layers]
    assert widths == sorted(widths)
    (one,) = growth(net.model(16), ["v0"]).layers
    assert one.tensor == "v0"
    with pytest.raises(rfgraph.QueryError, match="'nowhere'"):
        growth(net.model(16), ["nowhere"])


def test_growth_of_a_model_of_several_inputs() -> None:
    """One is to be named, before anything is run; images of an iterator go to each value."""
    made = model(
        "net (float[1,1,20] x, float[1] s) => (float[1,1,20] y) { r = Relu (x) y = Mul (r, s) }"
    )
    with pytest.raises(QueryError, match=r"the model has 2 inputs \(name one: x, s\)"):
        growth(made)
    images = iter(np.random.default_rng(0).standard_normal((12, 1, 20)).astype(np.float32))
    found = growth(made, input="x", images=images)
    assert [layer.tensor for layer in found.layers] == ["y"]
    images = iter(np.random.default_rng(0).standard_normal((12, 1, 20)).astype(np.float32))
    found = growth(made, ["r", "y"], "x", images)
    assert [layer.images for layer in found.layers] == [12, 12]


def test_what_can_not_be_laid_over_each_other_is_said() -> None:
    """Each unit of a product of a signal with itself sees two places."""
    made = model(
        "net (float[1,6,4] x) => (float[1,6,6] y) "
        "{ t = Transpose <perm = [0, 2, 1]> (x) y = MatMul (x, t) }"
    )
    found = effective(made, "y", error=0.3)
    assert any("can't be laid over each other along axis 1 of 'x'" in n for n in found.notes)
    with pytest.raises(QueryError, match="has the name 'nothing'"):
        growth(made, ["nothing"])


def test_an_input_that_is_a_single_number() -> None:
    with pytest.raises(QueryError, match="'x' is a single number"):
        effective(model("net (float x) => (float y) { y = Relu (x) }"), "y")


def test_which_whole_numbers_are_random_is_said() -> None:
    """Of what is changed only where nothing else is given; of bytes all occur."""
    tokens = model(
        "net (int64[1,6] x, int64[1,6] z) => (float[1,6] y) <float[9] e = "
        "{1,2,3,4,5,6,7,8,9}> { a = Gather (e, x) b = Gather (e, z) y = Add (a, b) }"
    )
    said = [
        [note for note in effective(tokens, "y", "x", **given, error=0.5).notes if "random" in note]
        for given in (
            {},
            {"vocabulary": 9},
            {"vocabulary": 9, "inputs": {"z": np.zeros((1, 6), np.int64)}},
            {"images": np.array([[[1, 2, 3, 4, 5, 6]], [[3, 2, 3, 4, 5, 1]]])},
        )
    ]
    others = "random whole numbers for the other inputs are below 2"
    assert [len(notes) for notes in said] == [2, 1, 0, 1]
    assert all(others in notes for k, notes in enumerate(said) if k != 2)
    pixels = model("net (uint8[1,6] x) => (float[1,6] y) { f = Cast <to = 1> (x) y = Relu (f) }")
    assert not any("random" in note for note in effective(pixels, "y", error=0.5).notes)


def test_growth_leaves_out_what_can_not_be_looked_at() -> None:
    """Values of a branch, and such as the data decide how long they are."""
    made = model(
        "net (float[1, 8] x) => (float[1, 8] y, int64[2, K] z)"
        "<bool c = {1}> {"
        " a = If (c) <then_branch = g () => (float[1, 8] t) { u = Neg (x) t = Neg (u) },"
        " else_branch = h () => (float[1, 8] e) { e = Identity (x) }>"
        " y = Relu (a) z = NonZero (y) }"
    )
    found = growth(made, images=[np.ones((1, 8), np.float32)])
    assert {layer.tensor for layer in found.layers} <= {"a", "y"}
    assert found.layers


def test_the_error_of_an_area() -> None:
    """It tells how much areas differ between seeds, though sides go by whole elements."""
    made = Net(5, 1, 1).conv(4, 9).relu().conv(4, 9).relu().conv(2, 9).relu().model(64)
    found = [effective(made, "y", error=0.2, seed=seed, jobs=1) for seed in range(24)]
    areas = [each.share(0.9).area for each in found]
    told = float(np.mean([each.area_error(0.9) for each in found]))
    assert 0 < told < 0.03
    # Of whole elements: a side of two more or less is a 32nd.
    assert abs(told - np.std(areas)) < 1 / 64
    assert np.isnan(replace(found[0], groups=tuple(g[:1] for g in found[0].groups)).area_error(0.9))


def test_figures_that_there_are_not() -> None:
    found = effective(SMALL, "y", inputs={"x": images(1, (1, 2, 10, 10))[0]}, step=1)
    assert "relative error unknown" in repr(found)
    for share in (-0.1, 1.1, np.nan):
        with pytest.raises(QueryError, match="give a number from 0 to 1"):
            found.share(share)
    with pytest.raises(QueryError, match=r"along axis 1 there is no profile \(give one of 2, 3\)"):
        found.profile(1)


def test_figures_follow_the_map() -> None:
    found = flat(5)
    other = replace(found, map=np.eye(5)[None, None])
    assert other.share(1.0).sides == (5, 5)
    assert other.share(0.2).sides == (1, 1)
