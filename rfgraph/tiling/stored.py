"""Running a model tile by tile from one zarr array to another, in a way that can be gone on with.

While it runs, results lie in a folder beside the target, whose name has the digest of model, plan
and input: what another run has left is never gone on with. A tile is finished if its chunks are
there: each tile writes whole chunks, which no other does, and zarr puts a chunk in its place when
it is whole. In the end the folder becomes the target.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from glob import escape
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote
from uuid import uuid4

import numpy as np

from rfgraph.errors import QueryError, RFGraphError
from rfgraph.files import locked
from rfgraph.tiling.lazy import INSTALL, Tiles, element_dtype, output_shapes
from rfgraph.tiling.run import cuts_of
from rfgraph.version import VERSION
from rfgraph.worker.source import Source
from rfgraph.worker.tiles import Tile, Work

if TYPE_CHECKING:
    from rfgraph.tiling.plan import Plan

# The attribute of the target that tells what it was made of.
_MADE_OF = "rfgraph"

# The folder of what becomes the target, in that of the run.
_RESULT = "result"


class Stored(NamedTuple):
    """What `run_zarr` has done.

    Attributes
    ----------
    target : str
        Where the outputs are.
    tiles : int
        How many tiles they consist of.
    before : int
        How many of them were there before.
    """

    target: str
    tiles: int
    before: int


def run_zarr(
    plan: Plan,
    model: str | os.PathLike[str],
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    client: Any = None,
    jobs: int | None = None,
    providers: Sequence[str] = ("CPUExecutionProvider",),
    progress: Callable[[int, int], None] | None = None,
) -> Stored:
    """Run a model of one input tile by tile, from an array of zarr to another.

    A run that was ended in any way is gone on with by the same call: tiles that are finished are
    not made again. Until then they lie in a folder beside the target, which is there when all of
    it is.

    Parameters
    ----------
    plan : Plan
        How to cut; the whole has all axes of the model's input.
    model : path
        The model.
    source : path
        The folder of the array.
    target : path
        A folder that is not there yet: of an array whose chunks are the cores of tiles; where
        there are several outputs, of a group that has an array for each.
    client : distributed.Client, optional
        The cluster that runs tiles, whose workers have the same files; threads of this process
        if left out.
    jobs : int, optional
        How many tiles these run at a time; one for each processor if left out.
    providers : sequence of str
        The execution providers of onnxruntime.
    progress : callable, optional
        Is told how many tiles are finished, and how many there are.

    Returns
    -------
    Stored
        How many tiles there are, and how many were there before.

    Raises
    ------
    QueryError
        The array is not what the model takes, or of a size that it does not take; or the target is
        there already.
    RFGraphError
        dask or zarr is not installed; a file can't be read or written; or onnxruntime can't run
        the model.
    """
    run = _Run(plan, Source.of(model, providers), Path(source), Path(target))
    return run.carried_out(client, jobs, progress)


@dataclass
class _Run:
    """One run, from a zarr array to another."""

    plan: Plan
    source: Source
    image: Path
    target: Path
    made_of: dict[str, Any] = field(init=False)
    part: Path = field(init=False)

    def carried_out(
        self, client: Any, jobs: int | None, progress: Callable[[int, int], None] | None
    ) -> Stored:
        analysis, axes, outputs = self.plan.analysis, self.plan.axes, self.plan.outputs
        name, image = self._input(), self._opened()
        cuts, sizes = cuts_of(analysis, axes, {name: image}, even=True)
        shapes = output_shapes(analysis, axes, outputs, {name: image}, cuts)
        tiles = Tiles(axes, outputs, cuts, sizes, shapes)
        # What can't be opened is told before anything is written.
        self.source.session()
        self.made_of = self._made_of()
        every = [_tile(tiles, index, image.ndim) for index in np.ndindex(*map(len, cuts))]
        # Where borders are cropped the last tiles may have no core.
        every = [tile for tile in every if tile.cores]
        if self._is_there():
            return Stored(str(self.target), len(every), len(every))
        digest = sha256(json.dumps(self.made_of, sort_keys=True).encode()).hexdigest()[:8]
        self.part = self.target.with_name(f"{self.target.name}.{digest}.part")
        self._check_others()
        with locked(self.part, self.target):
            results = {output: self._result(tiles, k) for k, output in enumerate(outputs)}
            held = {
                other: np.asarray(value, element_dtype(analysis, other))
                for other, value in analysis.held.items()
            }
            at = str(self.image.resolve())
            work = Work(self.source, name, at, results, held, uuid4().hex)
            left = [tile for tile in every if not work.is_done(tile)]
            before = done = len(every) - len(left)

            def tell(*_: Any) -> None:
                nonlocal done
                done += 1
                if progress:
                    progress(done, len(every))

            try:
                _carry_out(work, left, client, jobs, tell)
                self._finish()
            except BaseException:
                if not done:
                    rmtree(self.part, ignore_errors=True)
                raise
        return Stored(str(self.target), len(every), before)

    def _input(self) -> str:
        names = self.plan.analysis.inputs
        if len(names) != 1:
            raise QueryError(
                f"one array, and the model has {len(names)} inputs",
                file=self.plan.analysis.file,
                remedy="hold others fixed, or run it in Python: Plan.map_blocks",
            )
        return names[0]

    def _opened(self) -> Any:
        """The array that is read."""
        zarr = _zarr()
        try:
            return zarr.open_array(str(self.image), mode="r")
        except Exception as error:  # what is raised differs from fault to fault
            arrays: list[str] = []
            with suppress(Exception):
                arrays = sorted(zarr.open_group(str(self.image), mode="r").array_keys())
            raise QueryError(
                "it is no array of zarr" if self.image.exists() else "there is no such folder",
                file=str(self.image),
                remedy=f"name one in it: {', '.join(arrays)}" if arrays else None,
            ) from error

    def _made_of(self) -> dict[str, Any]:
        """What decides on every element of the target."""
        import onnxruntime

        held = sha256()
        for name, value in sorted(self.plan.analysis.held.items()):
            held.update(f"{name}{value.dtype}{value.shape}".encode() + value.tobytes())
        axes = [[a.title, a.tile, a.before, a.after, a.alignment] for a in self.plan.axes]
        return {
            "version": VERSION,
            "onnxruntime": onnxruntime.__version__,
            "providers": list(self.source.providers),
            "model": self.source.digest,
            "held": held.hexdigest(),
            "input": _stamp(self.image),
            "outputs": list(self.plan.outputs),
            "axes": axes,
        }

    def _is_there(self) -> bool:
        """Whether the target is finished; what else is there is not touched."""
        if not os.path.lexists(self.target):
            return False
        attributes = None
        with suppress(Exception):
            attributes = _zarr().open(str(self.target), mode="r").attrs.get(_MADE_OF)
        if attributes != self.made_of:
            raise QueryError(
                "it is there already, and was not made of this model, plan and input",
                file=str(self.target),
                remedy="remove it, or name another target",
            )
        return True

    def _check_others(self) -> None:
        """A run of something else has to be ended by somebody."""
        for other in sorted(self.target.parent.glob(f"{escape(self.target.name)}.*.part")):
            if other != self.part:
                raise QueryError(
                    "it is of a run with another model, plan or input that is not finished",
                    file=str(other),
                    remedy="remove it, or name another target",
                )

    def _result(self, tiles: Tiles, k: int) -> str:
        """The folder of an output's array, whose chunks are the cores of tiles."""
        zarr, name = _zarr(), tiles.outputs[k]
        path, made_of = self.part / _RESULT, {_MADE_OF: self.made_of}
        attributes = made_of
        if len(tiles.outputs) > 1:
            zarr.open_group(str(path), mode="a", zarr_format=3, attributes=made_of)
            path, attributes = path / quote(name, safe=""), {}
        if path.exists():
            return str(path.resolve())
        at = tiles.places([0] * len(tiles.axes))[k]
        zarr.create_array(
            str(path),
            shape=at.whole,
            chunks=tuple(max(s.stop, 1) for s in at.target),
            dtype=element_dtype(self.plan.analysis, name),
            zarr_format=3,
            attributes=attributes,
            # Of numbers with a fraction it makes less than zarr's default does, in half the time.
            compressors=zarr.codecs.BloscCodec(cname="lz4", shuffle="shuffle"),
        )
        return str(path.resolve())

    def _finish(self) -> None:
        """The target appears, all of it."""
        if _stamp(self.image) != self.made_of["input"]:
            raise QueryError(
                "it has changed since the run began",
                file=str(self.image),
                remedy=f"remove {self.part}, and begin anew",
            )
        # What a process has left that was ended within a chunk.
        for left in self.part.rglob("*.partial"):
            left.unlink()
        (self.part / _RESULT).rename(self.target)
        self.part.rmdir()


def _tile(tiles: Tiles, index: Sequence[int], rank: int) -> Tile:
    """A tile by its index; an output that follows no axis is written by the first tile."""
    part = [slice(None)] * rank
    for axis, cuts, k in zip(tiles.axes, tiles.cuts, index, strict=True):
        part[axis.inputs[0][1]] = slice(cuts[k].begin, cuts[k].end)
    cores = {}
    for name, at in zip(tiles.outputs, tiles.places(index), strict=True):
        is_first = not any(
            k for axis, k in zip(tiles.axes, index, strict=True) if name not in axis.outputs
        )
        if is_first and all(s.start < s.stop for s in at.target):
            cores[name] = at.source, at.target
    return Tile(tuple(part), cores)


def _carry_out(
    work: Work,
    left: Sequence[Tile],
    client: Any,
    jobs: int | None,
    tell: Callable[..., None],
) -> None:
    """Let dask run tiles."""
    if client is None:
        import dask
        from dask.callbacks import Callback

        # By their names tasks are begun in order, so that what is read is read again soon.
        carry_out = dask.delayed(work.carry_out, pure=False)
        tasks = [carry_out(at, dask_key_name=f"tile-{k:012}") for k, at in enumerate(left)]
        with Callback(posttask=tell):
            dask.compute(*tasks, scheduler="threads", num_workers=jobs)
        return
    from distributed import as_completed

    futures = client.map(work.carry_out, left, pure=False)
    try:
        for future in as_completed(futures):
            future.result()
            tell()
    except (RFGraphError, OSError):
        raise
    except Exception as error:  # what is raised differs from fault to fault
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise RFGraphError(f"the cluster can't run a tile: {said}") from error
    finally:
        client.cancel(futures)


def _stamp(folder: Path) -> str:
    """What changes when an array is written to, as make tells: sizes and times of its files."""
    found = sha256()
    for root, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            at = os.stat(os.path.join(root, name))
            where = os.path.relpath(os.path.join(root, name), folder)
            found.update(f"{where} {at.st_size} {at.st_mtime_ns}\n".encode())
    return found.hexdigest()


def _zarr() -> Any:
    try:
        import dask  # noqa: F401
        import zarr
    except ImportError as error:
        raise RFGraphError(
            f"{error.name}, which reads and writes tiles, is not installed", remedy=INSTALL
        ) from None
    return zarr


__all__ = ["Stored", "run_zarr"]
