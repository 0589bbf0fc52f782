"""Occlusion: against formulas, and against covering every place of every image by hand."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import rfgraph
from rfgraph.errors import QueryError, RFGraphError
from rfgraph.measure import Occlusion, UnitField, occlusion
from rfgraph.measure.discrepancy import side_of
from tests.graphs import model

ort = pytest.importorskip("onnxruntime")

MODELS = Path(__file__).parents[2] / "models"

RNG = np.random.default_rng(0)


def weights(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def nonlinear(batch: str = "1") -> onnx.ModelProto:
    """Two convolutions with a pooling between them: a field of 8 by 8, stride 2."""
    body = """a = Conv (x, V)
              b = Relu (a)
              c = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (b)
              y = Conv <pads = [1, 1, 1, 1]> (c, W)"""
    given = {"V": weights(4, 2, 3, 3), "W": weights(3, 4, 3, 3, seed=1)}
    return model(body, f"float[{batch},2,24,30] x", initializers=given)


def session_of(made: onnx.ModelProto) -> Any:
    return ort.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])


def by_hand(
    made: onnx.ModelProto, image: np.ndarray, unit: tuple[int, ...], size: int, stride: int
) -> np.ndarray:
    """The discrepancy map, from runs with zeros at all places; written out plainly."""
    session = session_of(made)
    base = session.run(None, {"x": image})[0][unit]
    *_, height, width = image.shape
    total, tried = np.zeros((height, width)), np.zeros((height, width))
    tops = sorted({*range(0, height - size + 1, stride), height - size})
    lefts = sorted({*range(0, width - size + 1, stride), width - size})
    for top in tops:
        for left in lefts:
            covered = image.copy()
            covered[..., top : top + size, left : left + size] = 0
            change = abs(float(session.run(None, {"x": covered})[0][unit]) - float(base))
            total[top : top + size, left : left + size] += change
            tried[top : top + size, left : left + size] += 1
    return total / tried


# ---------------------------------------------------------------- formulas


def test_a_linear_unit_responds_by_its_kernel() -> None:
    """Of two convolutions: by the kernels' product, times what was there."""
    first, second = weights(1, 1, 3, 3), weights(1, 1, 3, 3, seed=1)
    made = model(
        "h = Conv (x, V)\n y = Conv (h, W)",
        "float[1,1,16,16] x",
        initializers={"V": first, "W": second},
    )
    images = RNG.standard_normal((6, 1, 16, 16)).astype(np.float32)
    found = occlusion(made, "y", (0, 0, 5, 4), images, size=1, stride=1, fill=0.0, top=6)
    product = np.zeros((5, 5))
    for (i, j), tap in np.ndenumerate(second[0, 0]):
        product[i : i + 3, j : j + 3] += tap * first[0, 0]
    (unit,) = found.found
    assert unit.box == ((0, 4), (0, 4))
    expected = np.abs(images[:, 0, 5:10, 4:9] * product).mean(axis=0)
    assert np.allclose(unit.map, expected, atol=1e-5)
    assert unit.theoretical == (5, 5)
    assert found.passes == 6 + 6 * 25
    assert found.naive == 6 + 6 * 256


def test_a_signal_and_a_volume() -> None:
    kernel = weights(1, 1, 5)
    made = model("y = Conv (x, W)", "float[1,1,40] x", initializers={"W": kernel})
    signal = np.ones((1, 40), np.float32)
    (unit,) = occlusion(made, "y", (0, 0, 7), signal, size=1, stride=1, fill=0.0).found
    assert np.allclose(unit.map, np.abs(kernel[0, 0]), atol=1e-6)
    kernel = weights(1, 1, 2, 3, 2)
    made = model("y = Conv (x, W)", "float[1,1,6,7,8] x", initializers={"W": kernel})
    volume = np.ones((1, 6, 7, 8), np.float32)
    (unit,) = occlusion(made, "y", (0, 0, 2, 2, 2), volume, size=1, stride=1, fill=0.0).found
    assert np.allclose(unit.map, np.abs(kernel[0, 0]), atol=1e-6)


def test_tokens() -> None:
    """A unit that adds what tokens 2 to 4 stand for responds to these alone."""
    body = """h = Gather (table, x)
              t = Transpose <perm = [0, 2, 1]> (h)
              y = Conv (t, W)"""
    table = np.arange(20, dtype=np.float32)[:, None]
    made = model(
        body, "int64[1,9] x", initializers={"table": table, "W": np.ones((1, 1, 3), np.float32)}
    )
    rows = RNG.integers(1, 20, (5, 9))
    found = occlusion(made, "y", (0, 0, 2), rows, fill=0, top=5)
    assert (found.size, found.stride) == ((1,), (1,))
    assert np.allclose(found.found[0].map, rows[:, 2:5].mean(axis=0))
    assert occlusion(made, "y", (0, 0, 2), rows, vocabulary=20).found[0].side == 3
    noise = occlusion(made, "y", 0, top=3)
    assert noise.images.is_noise
    assert max(image.max() for image in noise.images) < 20


def test_side_of_a_disc() -> None:
    """The square of the same area."""
    down, across = np.mgrid[-50:51, -50:51]
    gauss = np.exp(-(down**2 + across**2) / (2 * 9**2))
    # A Gaussian falls to 4.55 % at 2.486 standard deviations.
    assert side_of(gauss, 1 - 0.9545) == pytest.approx(np.sqrt(np.pi) * 2.486 * 9, rel=0.01)
    assert side_of(np.zeros((3, 3)), 0.5) == 0


# ---------------------------------------------------------------- against all places by hand


@pytest.mark.parametrize("batch", ["1", "n", "2"])
def test_all_places_by_hand(batch: str) -> None:
    """Where a batch is open, of one, or of two, of which the first row is looked at."""
    made = nonlinear(batch)
    images = RNG.standard_normal((9, 2, 24, 30)).astype(np.float32)
    found = occlusion(made, "y", 1, images, size=4, stride=3, fill=0.0, top=2)
    (unit,) = found.found
    session = session_of(nonlinear())
    values = np.concatenate([session.run(None, {"x": i[None]})[0][:, 1] for i in images])
    order = np.argsort(-values.reshape(9, -1).max(axis=1))[:2]
    assert [on.image for on in unit.images] == order.tolist()
    for on in unit.images:
        assert on.value == pytest.approx(values[on.image].max(), rel=1e-5)
        assert on.unit[2:] == np.unravel_index(values[on.image].argmax(), values.shape[1:])
        expected = by_hand(nonlinear(), images[on.image][None], on.unit, 4, 3)
        # What it can't see the occluder may cover, but it does not respond to.
        seen = np.asarray(rfgraph.analyze(nonlinear()).support("y", on.unit))[0, 0]
        assert np.array_equal(on.seen, seen)
        assert np.allclose(on.map, expected * seen, atol=1e-5)
        assert not on.map[~seen].any()


def test_maps_are_laid_at_the_own_place() -> None:
    made, images = nonlinear(), RNG.standard_normal((8, 2, 24, 30)).astype(np.float32)
    analysis = rfgraph.analyze(made)
    (unit,) = occlusion(made, "y", 0, images, size=3, stride=2, fill=0.0, top=8).found
    total, there = np.zeros((80, 80)), np.zeros((80, 80))
    for on in unit.images:
        own = analysis.own("y", on.unit)
        assert own[2] is not None
        assert own[3] is not None
        top, left = 40 - own[2][0], 40 - own[3][0]
        total[top : top + 24, left : left + 30] += on.map
        there[top : top + 24, left : left + 30] += 1
    mean = total / np.maximum(there, 1)
    (top, bottom), (left, right) = unit.box
    assert np.allclose(unit.map, mean[40 + top : 41 + bottom, 40 + left : 41 + right])
    assert not np.delete(mean, np.s_[40 + top : 41 + bottom], axis=0).any()


def test_channels_last() -> None:
    """The same network on the same images, whichever axis has the channels."""
    first = nonlinear()
    body = (
        "h = Transpose <perm = [0, 3, 1, 2]> (x)\n"
        + """
              a = Conv (h, V)
              b = Relu (a)
              c = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (b)
              d = Conv <pads = [1, 1, 1, 1]> (c, W)
              y = Transpose <perm = [0, 2, 3, 1]> (d)"""
    )
    given = {"V": weights(4, 2, 3, 3), "W": weights(3, 4, 3, 3, seed=1)}
    last = model(body, "float[1,24,30,2] x", initializers=given)
    images = RNG.standard_normal((5, 2, 24, 30)).astype(np.float32)
    options: dict[str, Any] = {"size": 5, "stride": 2, "top": 3, "seed": 4}
    one = occlusion(first, "y", [0, 2], images, **options)
    other = occlusion(last, "y", [0, 2], images.transpose(0, 2, 3, 1), **options)
    for a, b in zip(one.found, other.found, strict=True):
        assert np.allclose(a.map, b.map, atol=1e-4)
    assert one.passes == other.passes


# ---------------------------------------------------------------- what it costs


def test_units_apart_share_runs() -> None:
    """With what they are alone, in a fraction of the runs."""
    made, images = nonlinear(), RNG.standard_normal((1, 2, 24, 30)).astype(np.float32)
    units = [(0, 0, 1, 1), (0, 1, 1, 12), (0, 2, 9, 1), (0, 0, 9, 12)]
    options: dict[str, Any] = {"size": 3, "stride": 1, "fill": "random"}
    together = occlusion(made, "y", units, images, **options)
    alone = [occlusion(made, "y", unit, images, **options) for unit in units]
    for one, other in zip(together.found, alone, strict=True):
        assert np.allclose(one.map, other.found[0].map, atol=1e-5)
    assert together.passes < 0.4 * sum(found.passes for found in alone)
    assert together.naive < sum(found.naive for found in alone)


def test_five_times_fewer_than_all_places() -> None:
    """Zhou et al.'s occluder on the second pooling of AlexNet, of a field of 67x67."""
    pool = "/features/features.5/MaxPool_output_0"
    found = occlusion(MODELS / "alexnet.onnx", pool, 3, size=11, stride=3, top=1, most=2)
    (unit,) = found.found
    assert unit.theoretical == (67, 67)
    assert found.naive == 2 + 72 * 72
    assert 5 * found.passes <= found.naive


# ---------------------------------------------------------------- fills, and what is the same


@pytest.mark.parametrize("fill", ["random", "mean", -1.5])
def test_what_covers(fill: Any) -> None:
    made = model("y = Conv (x, W)", "float[1,2,9,9] x", initializers={"W": weights(1, 2, 9, 9)})
    image = RNG.standard_normal((1, 2, 9, 9)).astype(np.float32)
    found = occlusion(made, "y", 0, image, size=9, stride=1, fill=fill, seed=3)
    kernel, pixels = weights(1, 2, 9, 9)[0], image[0]
    if fill == "random":
        at = np.random.default_rng((3, 0, 0)).integers(0, 81, (9, 9))
        other = pixels.reshape(2, 81)[:, at]
    else:
        mean = pixels.mean(axis=(1, 2), keepdims=True) if fill == "mean" else fill
        other = np.broadcast_to(mean, pixels.shape)
    assert found.found[0].map.max() == pytest.approx(
        abs(float((kernel * (other - pixels)).sum())), rel=1e-4
    )


def same(one: Occlusion, other: Occlusion) -> bool:
    pairs = zip(one.arrays().items(), other.arrays().items(), strict=True)
    return all(a == b and np.array_equal(x, y) for (a, x), (b, y) in pairs)


def test_the_same_bits_whoever_runs_it() -> None:
    made, images = nonlinear("n"), RNG.standard_normal((9, 2, 24, 30)).astype(np.float32)
    options: dict[str, Any] = {"size": 4, "stride": 3, "top": 3}
    one = occlusion(made, "y", [0, 1], images, jobs=1, **options)
    assert same(one, occlusion(made, "y", [0, 1], iter(images), jobs=4, **options))
    assert not same(one, occlusion(made, "y", [0, 1], images, seed=1, **options))


def test_gone_on_with(tmp_path: Path) -> None:
    """A run that was ended, within finding images or within covering them, is the same as whole."""
    pytest.importorskip("zarr")
    made, images = nonlinear(), RNG.standard_normal((6, 2, 24, 30)).astype(np.float32)
    options: dict[str, Any] = {"size": 2, "stride": 1, "top": 2, "jobs": 1}
    whole = occlusion(made, "y", [0, 1], images, **options)

    def ending(after: int) -> Callable[[int, int], None]:
        told = []

        def tell(done: int, total: int) -> None:
            told.append(done)
            if len(told) == after:
                raise KeyboardInterrupt

        return tell

    store = tmp_path / "store"
    with pytest.raises(RFGraphError, match="no image was finished"):
        occlusion(made, "y", [0, 1], images, store=store, progress=ending(3), **options)
    found = occlusion(made, "y", [0, 1], images, store=store, progress=ending(17), **options)
    assert not found.complete
    assert found.interrupted
    assert any("images were covered before it was ended" in note for note in found.notes)
    assert same(whole, occlusion(made, "y", [0, 1], images, store=store, **options))
    with pytest.raises(QueryError, match="of a measurement with another seed"):
        occlusion(made, "y", [0, 1], images, store=store, seed=1, **options)
    images[5, 0, 0, 0] += 1
    with pytest.raises(QueryError, match="of a measurement with another set of images"):
        occlusion(made, "y", [0, 1], images, store=store, **options)


def test_progress_is_told_of_both_parts() -> None:
    told: list[tuple[int, int]] = []
    images = RNG.standard_normal((5, 2, 24, 30)).astype(np.float32)
    occlusion(
        nonlinear("n"), "y", 0, images, size=2, stride=1, top=2, jobs=1,
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    parts = [total for done, total in told if done == total]
    # All images make one task, and each that is covered two, of 64 runs at most.
    assert parts == [1, 4]


def test_what_is_finished_within_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images are covered in the order of how exciting they are, and those not finished left out."""
    from rfgraph.measure import runs

    class Clock:
        now = 0.0

        def monotonic(self) -> float:
            self.now += 0.1
            return self.now

    images = RNG.standard_normal((8, 2, 24, 30)).astype(np.float32)
    options: dict[str, Any] = {"size": 2, "stride": 1, "top": 6, "jobs": 1}
    whole = occlusion(nonlinear(), "y", 0, images, **options)
    monkeypatch.setattr(runs, "time", Clock())
    part = occlusion(nonlinear(), "y", 0, images, seconds=8, **options)
    assert not part.complete
    (all_of_it,), (found,) = whole.found, part.found
    assert 1 <= len(found.images) < 6
    for one, other in zip(found.images, all_of_it.images, strict=False):
        assert one.image == other.image
        assert np.array_equal(one.map, other.map)
    assert part.notes[0] == f"{len(found.images)} of 6 images were covered before it was ended"
    with pytest.raises(RFGraphError, match=r"no image was finished .* \(allow more"):
        occlusion(nonlinear(), "y", 0, images, seconds=0.5, **options)


@pytest.mark.slow
def test_a_worker_of_a_cluster_is_killed_midway() -> None:
    distributed = pytest.importorskip("distributed", reason="the extra 'dask' is not installed")
    made, images = nonlinear(), RNG.standard_normal((6, 2, 24, 30)).astype(np.float32)
    options: dict[str, Any] = {"size": 2, "stride": 1, "top": 3}
    alone = occlusion(made, "y", [0, 1], images, jobs=1, **options)
    killed: list[int] = []
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0"
    ) as cluster:
        client = distributed.Client(cluster)

        def kill(done: int, total: int) -> None:
            # Half of the images are found, and some of them were covered.
            if done == 12 and not killed:
                killed.append(next(iter(client.run(os.getpid).values())))
                os.kill(killed[-1], signal.SIGKILL)

        executor = client.get_executor()
        found = occlusion(
            made, "y", [0, 1], images, jobs=2, executor=executor, progress=kill, **options
        )
        client.close()
    assert killed
    assert same(alone, found)


@pytest.mark.slow
def test_processes() -> None:
    made, images = nonlinear("n"), RNG.standard_normal((6, 2, 24, 30)).astype(np.float32)
    options: dict[str, Any] = {"size": 3, "stride": 2, "top": 3}
    alone = occlusion(made, "y", [0, 1], images, jobs=1, **options)
    found = occlusion(made, "y", [0, 1], images, jobs=2, processes=True, **options)
    assert same(alone, found)


# ---------------------------------------------------------------- what can't be done


@pytest.mark.parametrize(
    ("units", "options", "message"),
    [
        (3, {}, r"'y' has no channel 3 \(give one from 0 to 2\)"),
        ((0, 1), {}, r"has 4 axes, and the unit is given by 2"),
        (1.5, {}, r"1.5 is no unit: give a channel"),
        ((0, 1, 1.5, 0), {}, r"is no unit: give a channel"),
        ((0, 1, 99, 0), {}, "has no unit at 99 on axis 2"),
        ((0, 1, slice(50, 60), 0), {}, "has no unit at these coordinates on axis 2"),
        ([], {}, "no unit is given"),
        (0, {"top": 0}, "no image is to be covered"),
        (0, {"level": 0}, "not a share"),
        (0, {"fill": "blue"}, r"fill 'blue' is not known \(give random, mean or a number\)"),
        (0, {"fill": np.nan}, "has to be a number"),
        (0, {"size": 3, "stride": 4}, "some elements are never covered"),
        (0, {"size": (3, 4, 5)}, "one for each of 2 axes"),
        (0, {"size": 0}, "size 0x0: give one number from 1 on"),
        (0, {"seed": -1}, "the seed has to be at least 0"),
        (0, {"vocabulary": 1}, "no token can be replaced by another"),
        (0, {"scale": np.nan}, "scale: it has to be a number"),
        (0, {"seconds": 0}, "seconds has to be greater than 0"),
        (0, {"images": []}, "there are no images"),
        (0, {"images": np.full((2, 24, 30), np.nan, np.float32)}, "it holds NaN"),
        (0, {"images": np.ones((4, 3, 24, 30))}, "holds no images for input 'x'"),
        (0, {"input": "z"}, "'z'"),
    ],
)
def test_bad_input_is_one_line(units: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(QueryError, match=message) as caught:
        occlusion(nonlinear(), "y", units, **{"most": 2, **options})
    assert "\n" not in str(caught.value)


def test_an_input_that_is_a_single_number() -> None:
    with pytest.raises(QueryError, match="'x' is a single number"):
        occlusion(model("y = Relu (x)", "float x"), "y", 0)


def test_axes_that_may_both_be_channels() -> None:
    body = "s = Constant <value_ints = [1, 3, 4, -1]> ()\n y = Reshape (x, s)"
    made = model(body, "float[1,12,5] x")
    with pytest.raises(QueryError, match=r"has the channels can't be told: .* may"):
        occlusion(made, "y", 0, layout="NCT")


def test_a_value_that_no_image_reaches() -> None:
    made = model("y = Relu (x)\n c = Constant <value_float = 1.0> ()\n z = Relu (c)", outputs="y z")
    with pytest.raises(QueryError, match="'z' depends on no inputs"):
        occlusion(made, "z", ())


def test_what_makes_no_difference_is_said() -> None:
    body = "h = Neg (x)\n a = Abs (h)\n n = Neg (a)\n y = Relu (n)"
    made = model(body, "float[1,1,6,6] x")
    found = occlusion(made, "y", (0, 0, 2, 2), most=2)
    assert found.found[0].side == 0
    assert any("made no difference" in note for note in found.notes)
    assert found.found[0].ratio == 0
    assert found.side == (0, 0)


def test_dead_channels_do_not_count() -> None:
    kernels = np.ones((2, 1, 3, 3), np.float32)
    kernels[1] = 0
    made = model("y = Conv (x, W)", "float[1,1,9,9] x", initializers={"W": kernels})
    found = occlusion(made, "y", [0, 1], most=2, size=1, fill=100.0)
    assert found.side == (3, 0)
    assert [unit.side for unit in found.found] == [3, 0]


def test_what_it_says_of_itself() -> None:
    found = occlusion(nonlinear(), "y", [0, 1], most=3, top=2)
    assert repr(found).startswith("Occlusion('y' responds to ")
    assert found.can_see == 8
    assert isinstance(found.found[0], UnitField)
    assert len(found.found[0].sides) == 2
    assert "no images were given" in found.notes[0]
    assert set(found.arrays()) == {
        f"{name}_{k}"
        for name in ("map", "box", "maps", "images", "units", "values")
        for k in range(2)
    }
