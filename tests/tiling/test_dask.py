"""Arrays of dask: what is made of them lazily is what the run in memory makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import onnx
import onnxruntime
import pytest

import rfgraph
from rfgraph.tiling import Plan, plan
from tests.graphs import model
from tests.tiling.nets import OpenNet, random_net
from tests.tiling.test_tiling import ROUNDING, cropping_unet, difference, opened

MODELS = Path(__file__).parents[2] / "models"
UNET = MODELS / "unet_tconv.onnx"


@pytest.fixture(scope="module")
def unet() -> Plan:
    return plan(UNET, tile=128, outputs=["logits"])


def assert_same(made: onnx.ModelProto, tile: int, given: dict[str, np.ndarray]) -> None:
    """The lazy result is that of `run` and of the whole, however the input lies in chunks."""
    found = plan(made, tile=tile)
    rng = np.random.default_rng(0)
    lazy = {
        name: da.from_array(x, chunks=tuple(int(rng.integers(1, n + 1)) for n in x.shape))
        for name, x in given.items()
    }
    session = opened(made)
    parts, tiled = found.map_blocks(session, lazy), found.run(session, given)
    if len(found.outputs) == 1:
        parts, tiled = {found.outputs[0]: parts}, {found.outputs[0]: tiled}
    values = dict(zip(parts, dask.compute(*parts.values(), scheduler="threads"), strict=True))
    whole = session.run(list(found.outputs), given)
    for name, of_whole in zip(found.outputs, whole, strict=True):
        assert parts[name].shape == values[name].shape == of_whole.shape
        assert parts[name].dtype == values[name].dtype == of_whole.dtype
        assert difference(values[name], tiled[name]) <= ROUNDING
        assert difference(values[name], of_whole) <= ROUNDING


@pytest.mark.parametrize(
    ("axes", "seeds"),
    [
        (1, range(2)),
        pytest.param(1, range(2, 40), marks=pytest.mark.slow),
        pytest.param(2, range(15), marks=pytest.mark.slow),
    ],
)
def test_random_nets(axes: int, seeds: range) -> None:
    compared = 0
    for seed in seeds:
        made, _ = random_net(seed, axes)
        try:
            found = plan(made)
        except rfgraph.ShapeError:
            continue
        smallest = [axis.smallest for axis in found.axes]
        tile = max(smallest) + 3 * max(axis.alignment for axis in found.axes)
        shape = [1, 2, *(16,) * axes]
        for axis in found.axes:
            size = 2 * tile + 5
            shape[axis.inputs[0][1]] = size + (axis.sizes[0] - size) % axis.alignment
        x = np.random.default_rng(seed).uniform(1, 2, shape).astype(np.float32)
        assert_same(made, tile, {"x": x})
        compared += 1
    assert compared >= 0.7 * len(seeds)


@pytest.mark.parametrize("axes", [1, 2])
def test_a_unet_that_crops(axes: int) -> None:
    """The last tiles may have no core."""
    made, _ = cropping_unet(np.random.default_rng(0), axes)
    x = np.random.default_rng(1).uniform(0, 1, (1, 2, 98, 62)[: axes + 2]).astype(np.float32)
    assert_same(made, 30, {"x": x})


def test_several_inputs_and_outputs() -> None:
    kernel = {"W": np.random.default_rng(0).uniform(0.5, 1.5, (2, 2, 3, 3)).astype(np.float32)}
    made = model(
        "a = Conv <pads = [1, 1, 1, 1]> (x, W) b = Add (a, z) y = Mul (b, gain) "
        "low = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (b) twice = Add (gain, gain)",
        "float[1,2,h,w] x, float[1,2,h,w] z, float[1,2,1,1] gain",
        "y low twice",
        initializers=kernel,
    )
    rng = np.random.default_rng(0)
    given = {n: rng.uniform(0, 1, (1, 2, 34, 27)).astype(np.float32) for n in "xz"}
    given["gain"] = rng.uniform(1, 2, (1, 2, 1, 1)).astype(np.float32)
    assert_same(made, 12, given)


def test_an_output_that_follows_one_of_two_axes() -> None:
    kernel = {"W": np.random.default_rng(0).uniform(0.5, 1.5, (2, 2, 3)).astype(np.float32)}
    made = model(
        "y = Conv <pads = [1, 1]> (x, W) v = Conv <pads = [1, 1]> (z, W)",
        "float[1,2,h] x, float[1,2,w] z",
        "y v",
        initializers=kernel,
    )
    rng = np.random.default_rng(0)
    given = {
        n: rng.uniform(0, 1, (1, 2, size)).astype(np.float32) for n, size in (("x", 34), ("z", 27))
    }
    assert_same(made, 12, given)


READ: list[Any] = []


class Image:
    """An image that tells what is read of it, in all its copies."""

    shape, dtype, ndim = (1, 1, 512, 512), np.dtype(np.float32), 4

    def __getitem__(self, index: Any) -> np.ndarray:
        READ.append(index)
        return np.zeros(self.shape, self.dtype)[index]


def test_nothing_is_read_before_it_is_asked_for(unet: Plan) -> None:
    READ.clear()
    image = da.from_array(Image(), chunks=(1, 1, 64, 64), meta=np.empty((0,) * 4, np.float32))
    made = unet.map_blocks(UNET, image)
    assert made.chunks[2] == (32,) * 16
    assert not READ
    made[0, 0, 256:288, 256:288].compute(scheduler="synchronous")
    # Of 64 chunks those that the tile lies in.
    assert 4 <= len(READ) <= 9


def test_a_session_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    opens: list[Any] = []
    of_onnxruntime = onnxruntime.InferenceSession

    def session(*arguments: Any, **options: Any) -> Any:
        opens.append(options["sess_options"].intra_op_num_threads)
        return of_onnxruntime(*arguments, **options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    net = OpenNet(2, np.random.default_rng(5))
    contents = net.model(net.same("x")).SerializeToString()
    x = da.random.default_rng(0).random((1, 2, 90, 90), np.float32, chunks=50)
    made = plan(contents, tile=20).map_blocks(contents, x)
    assert made.npartitions == 48
    made.compute(scheduler="threads")
    made.compute(scheduler="threads")
    assert opens == [1]


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (da.zeros((1, 1, 128, 128)), "holds float64, and the model takes float32"),
        (da.zeros((1, 1, 130, 128), dtype="f4"), "axis 2 of 'x' has a size of 130"),
        (da.zeros((128, 128), dtype="f4"), "has 2 axes, not 4"),
        (da.zeros((1, 1, 0, 128), chunks=1, dtype="f4"), "axis 2 of 'x' has no elements"),
    ],
)
def test_bad_arrays(array: da.Array, words: str, unet: Plan) -> None:
    with pytest.raises(rfgraph.QueryError, match=words):
        unet.map_blocks(UNET, array)


def test_chunks_of_unknown_size(unet: Plan) -> None:
    x = da.zeros((1, 1, 128, 128), dtype="f4")
    with pytest.raises(rfgraph.QueryError, match="chunks of unknown size"):
        unet.map_blocks(UNET, x[:, :, da.ones(128) > 0])


@pytest.mark.slow
def test_a_cluster_and_a_session_that_stays_in_its_process(unet: Plan) -> None:
    from distributed import Client

    x = np.random.default_rng(0).random((1, 1, 192, 128), np.float32)
    image = da.from_array(x, chunks=64)
    with Client(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None):
        made = unet.map_blocks(UNET, image).compute()
    assert difference(made, unet.run(UNET, x)) == 0
    kept = unet.map_blocks(opened(onnx.load(UNET)), image)
    with pytest.raises(rfgraph.QueryError, match="can't be sent to other processes"):
        kept.compute(scheduler="processes", num_workers=1)


def test_the_model_changes_before_it_is_run(tmp_path: Path) -> None:
    net = OpenNet(1, np.random.default_rng(7))
    first, second = (net.model(net.same("x")).SerializeToString() for _ in range(2))
    path = tmp_path / "model.onnx"
    path.write_bytes(first)
    made = plan(path, tile=20).map_blocks(path, da.ones((1, 2, 60), dtype="f4"))
    path.write_bytes(second)
    with pytest.raises(rfgraph.RFGraphError, match="it has changed since the run began"):
        made.compute(scheduler="synchronous")


def test_dask_is_missing(unet: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "dask.array", None)
    with pytest.raises(rfgraph.RFGraphError, match="not installed") as error:
        unet.map_blocks(UNET, np.zeros((1, 1, 128, 128), np.float32))
    assert error.value.remedy == "pip install 'rfgraph[tiles]'"
