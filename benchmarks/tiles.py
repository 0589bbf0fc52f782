"""An image that is larger than memory in tiles, beside other ways to the same; see README.md."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from networks import unet

from rfgraph.tiling import Plan, plan

MODEL = str(Path(__file__).parent.parent / "models" / "unet_tconv.onnx")
INPUT, OUTPUT = "x", "logits"

# Of all processes that are compared, as docs/tiling.md says: what one thread gives back of memory
# another one takes.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}

# What it says of clusters: workers keep memory that they will need again, and what looks after
# them does so once a second, and not up to a hundred times.
SETTINGS = {
    "distributed.nanny.pre-spawn-environ": ENVIRONMENT,
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.monitor-interval": "1s",
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
}

# The side of the chunks of the image.
CHUNK = 512

# The largest side of a tile; and of the image and the tiles for what holds the whole in memory.
TILE, SMALL, SMALL_TILE = 1024, 2048, 512

# After so many finished tiles of all, a worker is killed, and the run.
WORKER, RUN = 0.25, 0.5

Found = list[tuple[str, str, str]]


def session(model: str) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run_on(opened: Any, tile: np.ndarray) -> np.ndarray:
    made: np.ndarray = opened.run([OUTPUT], {INPUT: np.ascontiguousarray(tile)})[0]
    return made


# ---------------------------------------------------------------- from zarr to zarr


def written(path: str, size: int) -> None:
    """An image of random numbers, a row of chunks at a time."""
    import zarr

    image = zarr.create_array(
        path,
        shape=(1, 1, size, size),
        chunks=(1, 1, CHUNK, CHUNK),
        dtype="f4",
        compressors=zarr.codecs.BloscCodec(cname="lz4", shuffle="shuffle"),
    )
    rng = np.random.default_rng(0)
    for row in range(0, size, CHUNK):
        image[:, :, row : row + CHUNK] = rng.random(
            (1, 1, min(CHUNK, size - row), size), np.float32
        )


def by_hand(model: str, source: str, target: str, part: int, parts: int) -> None:
    """The loop over the same tiles that somebody writes who knows where to cut."""
    import zarr

    image, found = zarr.open_array(source, mode="r"), plan(model, tile=TILE, outputs=[OUTPUT])
    rows, columns = (axis.cuts(image.shape[2], even=True) for axis in found.axes)
    made, opened = zarr.open_array(target, mode="r+"), session(model)
    for k, (row, column) in enumerate(product(rows, columns)):
        if k % parts == part:
            tile = image[:, :, row.begin : row.end, column.begin : column.end]
            result = run_on(opened, tile)
            core = (
                slice(row.first - row.begin, row.last - row.begin),
                slice(column.first - column.begin, column.last - column.begin),
            )
            made[:, :, row.first : row.last, column.first : column.last] = result[:, :, *core]


@contextmanager
def peaks() -> Iterator[dict[str, float]]:
    """The most resident memory of processes that are begun meanwhile, in MB: of one, of all."""
    import psutil

    found = {"one": 0.0, "all": 0.0}
    done = threading.Event()

    def look() -> None:
        while not done.wait(1):
            sizes = []
            for process in psutil.Process().children(recursive=True):
                try:
                    sizes.append(process.memory_info().rss / 1e6)
                except psutil.Error:
                    continue
            found["one"] = max([found["one"], *sizes])
            found["all"] = max(found["all"], sum(sizes))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield found
    finally:
        done.set()
        watcher.join()


def used() -> float:
    """Seconds of processor time of all processes that were begun here and have ended."""
    at = os.times()
    return at.children_user + at.children_system


def again(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    """A process that does a part of this, see the end."""
    command = [sys.executable, __file__, *arguments]
    return subprocess.Popen(command, text=True, env=os.environ | ENVIRONMENT, **options)


def cluster() -> None:
    """A cluster of two workers, until standard input ends; its address on standard output."""
    import dask
    from distributed import LocalCluster

    dask.config.set(SETTINGS)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as made:
        print(made.scheduler_address, flush=True)
        sys.stdin.read()


@contextmanager
def cluster_of_two() -> Iterator[str]:
    """The address of a cluster that is a process of its own, whose time counts as others' does."""
    process = again("cluster", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait()


def killed_and_resumed(model: str, source: str, target: str, tiles: int) -> int:
    """Run with two workers, one of which is killed, and then the run; how many tiles it kept."""
    from distributed import Client

    command = [sys.executable, "-m", "rfgraph", "tile", model, source, target, "--run"]
    command += ["--tile", str(TILE), "--output", OUTPUT, "--output-format", "json"]

    def finished() -> int:
        chunks = f"{Path(target).name}.*.part/result/c/*/*/*/*"
        return sum(chunk.suffix != ".partial" for chunk in Path(target).parent.glob(chunks))

    def wait(process: subprocess.Popen[bytes], share: float) -> None:
        while finished() < share * tiles:
            if process.poll() is not None:
                raise RuntimeError("the run has ended by itself")
            time.sleep(0.5)

    with cluster_of_two() as address:
        command += ["--dask", address]
        environment = os.environ | ENVIRONMENT
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
        wait(process, WORKER)
        with Client(address) as client:
            worker = next(iter(client.run(os.getpid).values()))
        os.kill(worker, signal.SIGKILL)
        wait(process, RUN)
        process.kill()
        process.wait()
        kept = finished()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=environment)
    return kept


def one_tile(model: str, side: int) -> None:
    """Seconds of processor time that onnxruntime takes for a tile, the median of some."""
    tile = np.random.default_rng(0).random((1, 1, side, side), np.float32)
    opened, found = session(model), []
    for _ in range(12):
        begin = time.process_time()
        run_on(opened, tile)
        found.append(time.process_time() - begin)
    print(median(found[2:]))


def both(*arguments: str) -> list[str]:
    """What two processes print that do a part at the same time, as two workers do."""
    parts = [again(*arguments, str(k), stdout=subprocess.PIPE) for k in (0, 1)]
    printed = [part.communicate()[0] for part in parts]
    if any(part.returncode for part in parts):
        raise RuntimeError(f"{arguments[0]} has failed")
    return printed


def same(one: str, other: str) -> bool:
    import zarr

    arrays = [zarr.open_array(path, mode="r") for path in (one, other)]
    step = arrays[0].chunks[2]
    rows = range(0, arrays[0].shape[2], step)
    return all(np.array_equal(*(a[:, :, row : row + step] for a in arrays)) for row in rows)


def from_zarr_to_zarr(model: str, name: str, size: int, row: Callable[..., None]) -> Found:
    import zarr

    found = plan(model, tile=TILE, outputs=[OUTPUT])
    cuts = found.axes[0].cuts(size, even=True)
    tiles, core, side = len(cuts) ** 2, cuts[0].last, cuts[0].end
    with TemporaryDirectory(prefix="rfgraph-tiles-") as folder:
        source, target, hand = (f"{folder}/{name}.zarr" for name in ("in", "out", "hand"))
        written(source, size)
        begin = used()
        with cluster_of_two():
            pass
        of_cluster = used() - begin
        with peaks() as memory:
            begin, clock = used(), time.monotonic()
            kept = killed_and_resumed(model, source, target, tiles)
            took, wall = used() - begin - of_cluster, time.monotonic() - clock
        made = zarr.open_array(target, mode="r")
        zarr.create_array(
            hand, shape=made.shape, chunks=made.chunks, dtype="f4", compressors=made.compressors
        )
        begin, clock = used(), time.monotonic()
        both("hand", model, source, hand)
        by_loop, loop_wall = used() - begin, time.monotonic() - clock
        is_same = same(target, hand)
    alone = mean(map(float, both("tile", model, str(side))))
    rate, of_loop, of_tile = (n / 1e6 for n in (size**2 / took, size**2 / by_loop, core**2 / alone))
    row(f"{size:,} squared, {name}", "rfgraph", "by hand", "ratio")
    row("seconds of processors", took, by_loop, took / by_loop)
    row("seconds", wall, loop_wall, wall / loop_wall)
    row("useful megapixels a second", rate, of_loop, rate / of_loop)
    row("of what one tile has", rate / of_tile, of_loop / of_tile)
    print(
        f"{tiles} tiles of {side} squared, {kept} were kept, {(side / core) ** 2:.2f} elements are "
        f"computed for each one; beginning a cluster,\nleft out above: {of_cluster:.1f} s; memory: "
        f"{memory['one']:,.0f} MB of one process, {memory['all']:,.0f} MB of all"
    )
    return [
        (
            f"tiles, {name}, one worker killed and the run resumed : a loop by hand",
            f"{took / by_loop:.2f}, {'the same' if is_same else 'another'} result",
            "<= 1.15, the same result",
        ),
        (
            f"useful pixels a second, {name} : onnxruntime on one tile",
            f"{rate / of_tile:.2f}",
            ">= 0.9",
        ),
    ]


# ---------------------------------------------------------------- other ways


def guessed_halo(opened: Any) -> int:
    """How far outputs change where one pixel in the middle does."""
    side = SMALL_TILE
    image = np.random.default_rng(1).random((1, 1, side, side), np.float32)
    changed = image.copy()
    changed[0, 0, side // 2, side // 2] += 10
    moved = np.abs(run_on(opened, changed) - run_on(opened, image)).max(axis=(0, 1)) > 0
    places = np.argwhere(moved) - side // 2
    return int(np.abs(places).max())


def with_halo(opened: Any, image: np.ndarray, halo: int) -> np.ndarray:
    """Tiles around cores that lie side by side, as tutorials cut them."""
    size, core = image.shape[2], SMALL_TILE - 2 * halo
    made = np.zeros((1, 2, size, size), np.float32)
    for places in product(range(0, size, core), repeat=2):
        begins = [min(max(place - halo, 0), size - SMALL_TILE) for place in places]
        window = tuple(slice(b, b + SMALL_TILE) for b in begins)
        kept = tuple(slice(place, min(place + core, size)) for place in places)
        inner = tuple(slice(k.start - b, k.stop - b) for k, b in zip(kept, begins, strict=True))
        made[:, :, *kept] = run_on(opened, image[:, :, *window])[:, :, *inner]
    return made


def with_monai(opened: Any, image: np.ndarray) -> np.ndarray:
    import torch
    from monai.inferers import sliding_window_inference

    made: np.ndarray = sliding_window_inference(
        torch.from_numpy(image),
        (SMALL_TILE, SMALL_TILE),
        1,
        lambda tile: torch.from_numpy(run_on(opened, tile.numpy())),
    ).numpy()
    return made


def other_ways(row: Callable[..., None]) -> None:
    """The same image through the same tiles, by margins, by a guess and by MONAI."""
    opened = session(MODEL)
    image = np.random.default_rng(0).random((1, 1, SMALL, SMALL), np.float32)
    whole = run_on(opened, image)
    halo = guessed_halo(opened)
    found: Plan = plan(MODEL, tile=SMALL_TILE, outputs=[OUTPUT])
    ways: dict[str, Callable[[], np.ndarray]] = {
        f"rfgraph, margin {found.axes[0].margin[0]}": lambda: found.run(opened, image),
        f"a halo of {halo}, by an impulse": lambda: with_halo(opened, image, halo),
        "MONAI, its defaults": lambda: with_monai(opened, image),
    }
    row(f"{SMALL:,} squared, tiles of {SMALL_TILE}", "differ", "at most", "Mpixel/s")
    for name, way in ways.items():
        try:
            made = way()
        except ImportError as missing:
            print(f"{name:32}not measured: {missing}")
            continue
        begin = time.process_time()
        way()
        took = time.process_time() - begin
        off = np.abs(made - whole)
        share = f"{100 * (off > 0).mean():.1f} %"
        row(name, share, f"{off.max():.2g}", whole[0, 0].size / took / 1e6)


def measured(size: int, row: Callable[..., None]) -> Found:
    """All of it; `size` is the side of the image in zarr."""
    other_ways(row)
    found = from_zarr_to_zarr(MODEL, "unet_tconv", size, row)
    with TemporaryDirectory(prefix="rfgraph-tiles-") as folder:
        wider = f"{folder}/unet.onnx"
        made = unet(32)
        made.graph.node[-1].output[0] = made.graph.output[0].name = OUTPUT
        onnx.save(made, wider)
        return found + from_zarr_to_zarr(wider, "32 to 128 channels", size, row)


if __name__ == "__main__":
    part, *arguments = sys.argv[1:]
    if part == "cluster":
        cluster()
    elif part == "hand":
        by_hand(*arguments[:3], int(arguments[3]), 2)
    else:
        one_tile(arguments[0], int(arguments[1]))
