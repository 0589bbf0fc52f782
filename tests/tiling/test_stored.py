"""Arrays of zarr: the same as in memory, gone on with, never mixed, never half there."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import zarr

import rfgraph
from rfgraph import cli
from rfgraph.tiling import Plan, lazy, plan, run_zarr
from rfgraph.worker import tiles as worker
from tests.graphs import model
from tests.tiling.nets import OpenNet, random_net
from tests.tiling.test_tiling import ROUNDING, cropping_unet, difference, opened

MODELS = Path(__file__).parents[2] / "models"
UNET = MODELS / "unet_tconv.onnx"


def saved(folder: Path, x: np.ndarray, name: str = "in.zarr") -> Path:
    array = zarr.create_array(
        str(folder / name), shape=x.shape, chunks=tuple(min(n, 50) for n in x.shape), dtype=x.dtype
    )
    array[...] = x
    return folder / name


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, Path, np.ndarray]:
    """A model, its image and what it holds."""
    net = OpenNet(2, np.random.default_rng(5))
    path = tmp_path / "model.onnx"
    onnx.save(net.model(net.same("x")), path)
    x = np.random.default_rng(0).uniform(0, 1, (1, 2, 70, 50)).astype(np.float32)
    return path, saved(tmp_path, x), x


def arrays(target: Path, found: Plan) -> dict[str, np.ndarray]:
    if len(found.outputs) == 1:
        return {found.outputs[0]: zarr.open_array(str(target), mode="r")[...]}
    group = zarr.open_group(str(target), mode="r")
    return {name: group[name][...] for name in found.outputs}


def assert_same(made: onnx.ModelProto, tile: int, x: np.ndarray, folder: Path) -> None:
    path, target = folder / "model.onnx", folder / "out.zarr"
    onnx.save(made, path)
    found = plan(path, tile=tile)
    done = run_zarr(found, path, saved(folder, x), target, jobs=2)
    assert done.tiles > 1
    assert not done.before
    tiled = found.run(path, x)
    for name, stored in arrays(target, found).items():
        of_run = tiled if len(found.outputs) == 1 else tiled[name]
        assert (stored.shape, stored.dtype) == (of_run.shape, of_run.dtype)
        assert difference(stored, of_run) <= ROUNDING
    assert sorted(p.name for p in folder.iterdir()) == ["in.zarr", "model.onnx", "out.zarr"]


def test_several_outputs(tmp_path: Path) -> None:
    made = model(
        "y = Conv <pads = [1, 1, 1, 1]> (x, W) "
        "low = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (y) same = Neg (W)",
        "float[1,2,h,w] x",
        "y low same",
        initializers={"W": np.ones((2, 2, 3, 3), np.float32)},
    )
    x = np.random.default_rng(0).uniform(0, 1, (1, 2, 34, 27)).astype(np.float32)
    assert_same(made, 12, x, tmp_path)


def test_a_unet_that_crops(tmp_path: Path) -> None:
    made, _ = cropping_unet(np.random.default_rng(0))
    x = np.random.default_rng(1).uniform(0, 1, (1, 2, 98, 62)).astype(np.float32)
    assert_same(made, 30, x, tmp_path)


def test_an_output_that_is_longer_than_its_input(tmp_path: Path) -> None:
    """Its last tile writes more than one chunk."""
    net = OpenNet(1, np.random.default_rng(3))
    made = net.model(net.full(net.full("x")))
    x = np.random.default_rng(1).uniform(0, 1, (1, 2, 66)).astype(np.float32)
    assert_same(made, 11, x, tmp_path)


LATER = [pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 60)]


@pytest.mark.parametrize("seed", [0, 1, *LATER])
def test_one_tile_writes_a_chunk(seed: int) -> None:
    """No chunk has two writers, and each has one."""
    made, _ = random_net(seed, 1)
    try:
        found = plan(made)
    except rfgraph.ShapeError:
        pytest.skip("it takes few sizes")
    (axis,) = found.axes
    (output,) = found.outputs
    found = plan(made, tile=axis.smallest + 2 * axis.alignment)
    (axis,) = found.axes
    for size in range(3 * axis.tile, 3 * axis.tile + 3 * axis.alignment + 7):
        if size % axis.alignment not in axis.sizes:
            continue
        x = {"x": np.empty((1, 2, size), np.float32)}
        cuts = [axis.cuts(size, even=True)]
        shapes = lazy.output_shapes(found.analysis, found.axes, found.outputs, x, cuts)
        tiles = lazy.Tiles(found.axes, found.outputs, cuts, [size], shapes)
        k = axis.outputs[output].axis
        places = [tiles.places([i])[0] for i in range(len(cuts[0]))]
        cores = [range(at.target[k].start, at.target[k].stop) for at in places]
        chunk = max(cores[0].stop, 1)
        writers = Counter(each for core in cores for each in {at // chunk for at in core})
        assert set(writers.values()) <= {1}
        assert sorted(at for core in cores for at in core) == list(range(places[0].whole[k]))


def test_an_input_that_is_held_fixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = model(
        "a = Conv <pads = [1, 1, 1, 1]> (x, W) y = Mul (a, gain)",
        "float[1,2,h,w] x, float[1,2,1,1] gain",
        "y",
        initializers={"W": np.ones((2, 2, 3, 3), np.float32)},
    )
    x = np.random.default_rng(0).uniform(0, 1, (1, 2, 34, 27)).astype(np.float32)
    path, target = tmp_path / "model.onnx", tmp_path / "out.zarr"
    onnx.save(made, path)
    command = ["tile", str(path), str(saved(tmp_path, x)), str(target), "--run", "--tile", "12"]
    assert cli.main(command) == 2
    assert "the model has 2 inputs (hold others fixed" in capsys.readouterr().err
    assert cli.main([*command, "--value", "gain=ones"]) == 0
    ones = {"x": x, "gain": np.ones((1, 2, 1, 1), np.float32)}
    (whole,) = opened(made).run(None, ones)
    assert difference(zarr.open_array(str(target), mode="r")[...], whole) <= ROUNDING


# ---------------------------------------------------------------- gone on with


def ended_after(count: int) -> Callable[[int, int], None]:
    def progress(done: int, total: int) -> None:
        if done == count:
            raise KeyboardInterrupt

    return progress


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What tells the tiles apart that are run from now on."""
    found: list[int] = []
    outputs_of = worker.outputs_of

    def run(session: Any, outputs: Any, feed: Any, file: Any) -> Any:
        found.append(hash(b"".join(array.tobytes() for array in feed.values())))
        return outputs_of(session, outputs, feed, file)

    monkeypatch.setattr(worker, "outputs_of", run)
    return found


def interrupted(small: tuple[Path, Path, np.ndarray], count: int = 5) -> tuple[Path, Path]:
    """A run that was ended: its target, and its folder."""
    path, image, _ = small
    target = path.with_name("out.zarr")
    with pytest.raises(KeyboardInterrupt):
        run_zarr(plan(path, tile=20), path, image, target, jobs=1, progress=ended_after(count))
    assert not target.exists()
    (part,) = target.parent.glob("out.zarr.*.part")
    return target, part


def test_finished_tiles_are_not_made_again(
    small: tuple[Path, Path, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, image, x = small
    target, part = interrupted(small)
    # What a process leaves that is ended as it writes a chunk.
    chunk = next((part / "result").glob("c/0/0/*/0"))
    chunk.with_suffix(".0.partial").write_bytes(b"half")
    again = counted(monkeypatch)
    found = plan(path, tile=20)
    done = run_zarr(found, path, image, target)
    assert 5 <= done.before <= 6
    assert len(set(again)) == len(again) == done.tiles - done.before
    assert np.array_equal(arrays(target, found)[found.outputs[0]], found.run(path, x))
    assert not list(target.rglob("*.partial"))
    again.clear()
    assert run_zarr(found, path, image, target) == (str(target), done.tiles, done.tiles)
    assert not again


def test_tiles_of_zeros_are_finished_as_well(tmp_path: Path) -> None:
    net = OpenNet(1, np.random.default_rng(0))
    path = tmp_path / "model.onnx"
    onnx.save(net.model(net.same("x")), path)
    small = path, saved(tmp_path, np.zeros((1, 2, 90), np.float32)), np.empty(0)
    target, _ = interrupted(small, 2)
    assert run_zarr(plan(path, tile=20), path, small[1], target).before >= 2


def test_other_models_plans_and_inputs_are_not_mixed(
    small: tuple[Path, Path, np.ndarray],
) -> None:
    path, image, x = small
    target, part = interrupted(small)
    with pytest.raises(rfgraph.QueryError, match="another model, plan or input") as error:
        run_zarr(plan(path, tile=24), path, image, target)
    assert error.value.file == str(part)
    net = OpenNet(2, np.random.default_rng(6))
    other = path.with_name("other.onnx")
    onnx.save(net.model(net.same("x")), other)
    with pytest.raises(rfgraph.QueryError, match="another model, plan or input"):
        run_zarr(plan(other, tile=20), other, image, target)
    zarr.open_array(str(image), mode="r+")[0, 0, 3, 3] = 9
    with pytest.raises(rfgraph.QueryError, match="another model, plan or input"):
        run_zarr(plan(path, tile=20), path, image, target)
    shutil.rmtree(part)
    found = plan(path, tile=20)
    run_zarr(found, path, image, target)
    x[0, 0, 3, 3] = 9
    assert np.array_equal(arrays(target, found)[found.outputs[0]], found.run(path, x))
    with pytest.raises(rfgraph.QueryError, match="it is there already"):
        run_zarr(plan(path, tile=24), path, image, target)


def test_the_input_changes_meanwhile(small: tuple[Path, Path, np.ndarray]) -> None:
    path, image, _ = small
    target = path.with_name("out.zarr")

    def change(done: int, total: int) -> None:
        if done == 3:
            zarr.open_array(str(image), mode="r+")[0, 0, 3, 3] = 9

    with pytest.raises(rfgraph.QueryError, match="it has changed since the run began"):
        run_zarr(plan(path, tile=20), path, image, target, progress=change)
    assert not target.exists()


def test_two_at_once(small: tuple[Path, Path, np.ndarray]) -> None:
    path, image, _ = small
    target = path.with_name("out.zarr")

    def once_more(done: int, total: int) -> None:
        if done == 3:
            with pytest.raises(rfgraph.QueryError, match="another process is at it"):
                run_zarr(plan(path, tile=20), path, image, target)

    assert not run_zarr(plan(path, tile=20), path, image, target, progress=once_more).before


def test_a_chunk_of_the_input_is_broken(small: tuple[Path, Path, np.ndarray]) -> None:
    path, image, _ = small
    target = path.with_name("out.zarr")
    (image / "c/0/0/1/0").write_bytes(b"nothing of zarr")
    with pytest.raises(rfgraph.RFGraphError, match="can't be read") as error:
        run_zarr(plan(path, tile=20), path, image, target, jobs=1)
    assert error.value.file == str(image)
    assert not target.exists()


# ---------------------------------------------------------------- the command line


def test_the_command(
    small: tuple[Path, Path, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    path, image, x = small
    target = path.with_name("out.zarr")
    command = ["tile", str(path), str(image), str(target), "--run", "--tile", "20"]
    assert cli.main(command) == 0
    assert f"{target} is there, of 25 tiles" in capsys.readouterr().out
    assert cli.main([*command, "--output-format", "json"]) == 0
    assert '"before": 25' in capsys.readouterr().out
    found = plan(path, tile=20)
    assert np.array_equal(arrays(target, found)[found.outputs[0]], found.run(path, x))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("in.zarr --run", "an array to read and one to write are missing"),
        ("in.zarr out.zarr", "add --run"),
        ("--jobs 2", "add --run"),
        ("in.zarr out.zarr --run --jobs 0", "--jobs 0: not a number of tiles"),
        ("in.zarr out.zarr --run --tile 2", "is too small: margins of"),
        ("none.zarr out.zarr --run", "none.zarr: there is no such folder"),
        ("model.onnx out.zarr --run", "model.onnx: it is no array of zarr"),
        ("group.zarr out.zarr --run", "group.zarr: it is no array of zarr (name one in it: a, b)"),
        ("flat.zarr out.zarr --run", "the array for input 'x' has 2 axes, not 4"),
        ("double.zarr out.zarr --run", "holds float64, and the model takes float32"),
        ("in.zarr none/out.zarr --run", "none/out.zarr: can't be written: No such file"),
        ("in.zarr model.onnx/out.zarr --run", "can't be written: Not a directory"),
        ("in.zarr full.zarr --run", "full.zarr: it is there already"),
    ],
)
def test_bad_input(
    arguments: str,
    words: str,
    small: tuple[Path, Path, np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(small[0].parent)
    folder = Path()
    for name in ("a", "b"):
        saved(folder / "group.zarr", np.zeros(3), name)
    zarr.open_group("group.zarr", mode="a")
    saved(folder, np.zeros((70, 50), np.float32), "flat.zarr")
    saved(folder, np.zeros((1, 2, 70, 50)), "double.zarr")
    (folder / "full.zarr").mkdir()
    before = sorted(folder.iterdir())
    assert cli.main(["tile", "model.onnx", *arguments.split()]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert len(err.splitlines()) == 1
    assert words in err
    assert sorted(folder.iterdir()) == before


def test_sizes_that_do_not_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = saved(tmp_path, np.zeros((1, 1, 130, 128), np.float32))
    assert cli.main(["tile", str(UNET), str(image), str(tmp_path / "out.zarr"), "--run"]) == 2
    err = capsys.readouterr().err
    assert "has a size of 130, and the model takes multiples of 8 (pad or crop it to 136)" in err
    assert len(list(tmp_path.iterdir())) == 1


def test_no_tiles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = saved(tmp_path, np.zeros((1, 3, 64, 64), np.float32))
    command = [str(MODELS / "resnet50.onnx"), str(image), str(tmp_path / "out.zarr"), "--run"]
    assert cli.main(["tile", *command]) == 1
    assert "no tiles give the result of the whole" in capsys.readouterr().out
    assert len(list(tmp_path.iterdir())) == 1


def test_zarr_is_missing(
    small: tuple[Path, Path, np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, image, _ = small
    monkeypatch.setitem(sys.modules, "zarr", None)
    assert cli.main(["tile", str(path), str(image), str(path.with_name("o.zarr")), "--run"]) == 2
    assert "is not installed (pip install 'rfgraph[tiles]')" in capsys.readouterr().err


# ---------------------------------------------------------------- killed


def tiles_of(target: Path) -> int:
    parts = list(target.parent.glob(f"{target.name}.*.part"))
    return sum(1 for _ in parts[0].glob("result/c/*/*/*/*")) if parts else 0


@pytest.mark.slow
@pytest.mark.parametrize("where", ["threads", "cluster"])
def test_killed_and_gone_on_with(where: str, tmp_path: Path) -> None:
    """The run is killed, and of a cluster a worker besides."""
    from distributed import Client, LocalCluster

    x = np.random.default_rng(0).random((1, 1, 1600, 1600), np.float32)
    image, target = saved(tmp_path, x), tmp_path / "out.zarr"
    command = [sys.executable, "-m", "rfgraph", "tile", str(UNET), str(image), str(target)]
    command += ["--run", "--tile", "256", "--output", "logits"]

    def begun() -> subprocess.Popen[str]:
        before = tiles_of(target)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, **pipes, text=True)
        while tiles_of(target) < before + 8:
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        return process

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
    ) as cluster, Client(cluster) as client:  # fmt: skip
        if where == "cluster":
            command += ["--dask", cluster.scheduler_address]
        process = begun()
        process.kill()
        process.communicate()
        time.sleep(1)
        assert not target.exists()
        assert tiles_of(target) >= 8
        process = begun()
        if where == "cluster":
            os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
        out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "of which" in out
    stored = zarr.open_array(str(target), mode="r")[...]
    assert np.array_equal(stored, plan(UNET, tile=256, outputs=["logits"]).run(UNET, x))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.zarr", "out.zarr"]
