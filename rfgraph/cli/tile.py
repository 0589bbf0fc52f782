"""``rfgraph tile``: how to cut inputs into tiles whose results together are that of the whole."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from rfgraph.cli.cluster import client_of
from rfgraph.cli.common import CLEAN, FINDINGS, add_common, analysis_of, axis_of, teller
from rfgraph.cli.outputs import add_outputs, answered
from rfgraph.errors import QueryError
from rfgraph.render.documents import Tiling
from rfgraph.tiling import Plan, Stored, TilingError, plan, run_zarr


def add(commands: Any) -> None:
    """Add the command to the parser."""
    tile = commands.add_parser(
        "tile",
        help="tell how to cut an image into tiles whose results are that of the whole",
        description="Print, for each axis that is cut, the margins of a tile, the alignment of "
        "where tiles begin, the sizes that the model takes, and how much is computed for each "
        "element that is kept. It ends with 1 if no tiles give the result of the whole, and names "
        "the first node that is the reason. With --run, run the model on an array of zarr that "
        "may be larger than memory. The same command goes on with a run that was ended.",
    )
    add_common(tile)
    add_outputs(tile, "tiling")
    tile.add_argument(
        "--tile",
        metavar="N[xN...]",
        help="the largest size of a tile: for all axes, or one for each (default: a sensible one)",
    )
    tile.add_argument(
        "--tile-memory",
        type=int,
        metavar="MIB",
        help="in place of --tile: the largest tile of which one run is estimated to take no more",
    )
    tile.add_argument(
        "--axes",
        metavar="AXIS,...",
        help="the axes to cut, by number or by name (default: those that the file leaves open "
        "and along which fields move)",
    )
    tile.add_argument(
        "--output",
        action="append",
        metavar="NAME",
        help="an output that is wanted (may be repeated; default: all)",
    )
    tile.add_argument(
        "--local",
        action="store_true",
        help="plan for the local part, where nodes see whole axes: each tile then has its own "
        "statistics, and the result is not that of the whole",
    )
    tile.add_argument(
        "--verify",
        action=_Unlimited,
        nargs=0,
        default=False,
        help="compare tiles with the whole in onnxruntime, on random data of a small size, and "
        "tell what difference a smaller margin makes, and a tile that begins off the alignment; "
        "it ends with 1 if tiles differ from the whole; no limit of time and memory unless one is "
        "given",
    )
    _add_run(tile)
    tile.set_defaults(run=run)


def _add_run(tile: argparse.ArgumentParser) -> None:
    tile.add_argument(
        "source", nargs="?", type=Path, metavar="IN.zarr", help="with --run: the array to read"
    )
    tile.add_argument(
        "target",
        nargs="?",
        type=Path,
        metavar="OUT.zarr",
        help="with --run: what is written, an array or, of several outputs, a group. It is there "
        "when it is finished; until then there is OUT.zarr.….part",
    )
    tile.add_argument(
        "--run",
        dest="runs",
        action=_Unlimited,
        nargs=0,
        default=False,
        help="run the model tile by tile, without a limit of time and memory unless one is given",
    )
    workers = tile.add_mutually_exclusive_group()
    workers.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="with --run: how many tiles are run at a time (default: one for each processor)",
    )
    workers.add_argument(
        "--dask",
        metavar="ADDRESS",
        help="with --run: run tiles on a dask cluster, given by the address of its scheduler; its "
        "workers have to see the same files",
    )


class _Unlimited(argparse.Action):
    """Run the model, which takes what it takes: limits are those that are given."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, *_: Any
    ) -> None:
        setattr(namespace, self.dest, True)
        for name in ("timeout", "memory"):
            if getattr(namespace, name) == parser.get_default(name):
                setattr(namespace, name, 0)


def run(options: argparse.Namespace) -> str:
    """The answer."""
    _check(options)
    tile, axes = _sizes(options.tile), _axes(options.axes)
    analysis = analysis_of(options)
    try:
        found = plan(
            analysis,
            tile=tile,
            axes=axes,
            outputs=options.output,
            local=options.local,
            memory=None if options.tile_memory is None else options.tile_memory << 20,
        )
    except TilingError as error:
        return answered(options, Tiling(analysis, None, error), FINDINGS)
    verified = found.verify(options.model) if options.verify else None
    code = CLEAN if verified is None or verified.ok else FINDINGS
    stored = _run(options, found) if options.runs else None
    return answered(options, Tiling(analysis, found, None, verified, stored), code)


def _check(options: argparse.Namespace) -> None:
    """What belongs to --run is there if it is, and not else."""
    if options.runs and options.target is None:
        raise QueryError(
            "--run: an array to read and one to write are missing",
            remedy="rfgraph tile MODEL IN.zarr OUT.zarr --run",
        )
    given = ("IN.zarr", options.source), ("--jobs", options.jobs), ("--dask", options.dask)
    for name, value in given if not options.runs else ():
        if value is not None:
            raise QueryError(f"{name} {value}: nothing is run", remedy="add --run")
    if options.jobs is not None and options.jobs < 1:
        raise QueryError(f"--jobs {options.jobs}: not a number of tiles from 1 on")


def _run(options: argparse.Namespace, found: Plan) -> Stored:
    progress = teller("tiles") if sys.stderr.isatty() else None
    with client_of(options.dask) as client:
        return run_zarr(
            found,
            options.model,
            options.source,
            options.target,
            client=client,
            jobs=options.jobs,
            progress=progress,
        )


def _sizes(given: str | None) -> list[int] | None:
    if given is None:
        return None
    try:
        return [int(size) for size in given.replace(",", "x").split("x")]
    except ValueError:
        raise QueryError(
            f"--tile {given}: not a size", remedy="write it as --tile 256 or --tile 256x384"
        ) from None


def _axes(given: str | None) -> list[int | str] | None:
    if given is None:
        return None
    return [axis_of(axis) for axis in given.split(",") if axis]
