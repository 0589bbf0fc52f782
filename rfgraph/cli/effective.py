"""``rfgraph effective``: how much units change with each element that they can see."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rfgraph import plot
from rfgraph.cli.cluster import client_of
from rfgraph.cli.common import (
    CLEAN,
    ERROR,
    UNIT,
    Answer,
    add_common,
    analysis_of,
    arguments,
    teller,
    unit_of,
)
from rfgraph.cli.outputs import add_outputs, answered, try_out_outputs
from rfgraph.cli.pictures import PICTURES, check_kind, draw_into
from rfgraph.cli.runs import add_inputs, add_workers, arrays_of
from rfgraph.errors import QueryError
from rfgraph.measure import Growth, effective, growth
from rfgraph.measure.pictures import RESIZINGS

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "effective",
        help="measure how much units change with each element that they can see",
        description="Change elements of images, run the model, and print how much the units of a "
        "value change on average with elements at each offset from their place: the effective "
        "receptive field, beside the theoretical one. Without a value: of several, by depth.",
    )
    # It runs the model, which takes what it takes.
    add_common(command, timeout=0, memory=0)
    command.add_argument(
        "tensor", nargs="?", metavar="TENSOR", help="the value (default: several, by depth)"
    )
    add_outputs(command, "effective")
    _add_what(command)
    add_images(command)
    _add_how_much(command)
    add_workers(command, jobs=0)
    command.set_defaults(run=run)


def _add_what(command: argparse.ArgumentParser) -> None:
    """What is measured."""
    command.add_argument("--input", metavar="NAME", help="the input that is changed")
    command.add_argument("--at", metavar="UNIT", help=f"{UNIT} (default: all units)")
    command.add_argument(
        "--layers",
        metavar="GLOB,...",
        help="without TENSOR: the values to measure (default: 8 of them, spread over the model)",
    )
    command.add_argument(
        "--save",
        type=Path,
        metavar="FILE",
        help="write a picture of the map, or of the growth with depth (.png, .svg, .pdf), or the "
        "maps, their errors and where they lie as arrays of NumPy (.npz)",
    )


def add_images(command: argparse.ArgumentParser) -> None:
    """What it is measured on."""
    command.add_argument(
        "--images",
        metavar="PATH",
        help="a folder of pictures and .npy files, one such file, or a .npy, .npz or zarr array of "
        "images along its first axis (default: noise)",
    )
    command.add_argument(
        "--most", type=int, metavar="N", help="take at most N images (default: all)"
    )
    command.add_argument(
        "--layout", metavar="NCHW", help="what the axes of the input are (default: as fields move)"
    )
    command.add_argument(
        "--mean",
        metavar="N,...",
        default="0",
        help="what is taken off the numbers of an image, one or one a channel (default: 0)",
    )
    command.add_argument(
        "--std",
        metavar="N,...",
        default="1",
        help="what they are divided by then, one or one a channel (default: 1)",
    )
    command.add_argument(
        "--scale",
        type=float,
        metavar="N",
        help="what they are multiplied by first (default: bytes become numbers from 0 to 1)",
    )
    command.add_argument(
        "--resize",
        choices=RESIZINGS,
        help="how pictures are brought to the input's size (default: not_smaller, and cut)",
    )
    add_inputs(command)


def _add_how_much(command: argparse.ArgumentParser) -> None:
    """For how long."""
    command.add_argument(
        "--step",
        metavar="N,...",
        help="how many elements share a cell of the map, along each axis along which fields move, "
        "or along every axis (default: as few as make 1024 cells)",
    )
    command.add_argument(
        "--error",
        type=float,
        default=0.05,
        metavar="SHARE",
        help="end when the relative standard error of the map is no larger (default: 0.05)",
    )
    command.add_argument(
        "--seconds",
        type=float,
        default=60.0,
        metavar="N",
        help="end after N seconds, whatever the error is (default: 60; inf: never)",
    )
    command.add_argument(
        "--seed", type=int, default=0, metavar="N", help="the seed of random numbers (default: 0)"
    )
    command.add_argument(
        "--change",
        type=float,
        metavar="SHARE",
        help="how far numbers are changed, by the standard deviation of an image (default: the "
        "least of 0.02 to 1 by which the value moves well above its rounding)",
    )
    command.add_argument(
        "--by-node",
        action="store_true",
        help="with --at one unit: measure node by node, by the chain rule, in far fewer passes",
    )
    command.add_argument(
        "--vocabulary",
        type=int,
        metavar="N",
        help="whole numbers are replaced by others below N (default: of the range that occurs)",
    )
    command.add_argument(
        "--resume",
        metavar="STORE",
        help="a folder that keeps what was measured: the same command goes on with it",
    )


def run(options: argparse.Namespace) -> Answer:
    """The answer."""
    _check(options)
    given = arguments(options)
    given.pop("assume")
    with client_of(options.dask) as client:
        every = {
            **given,
            "preparing": preparing(options),
            "inputs": arrays_of(options.inputs),
            "step": _step(options.step),
            "error": options.error,
            "seconds": options.seconds,
            "seed": options.seed,
            "vocabulary": options.vocabulary,
            "change": options.change,
            "by_node": options.by_node,
            "jobs": sum(client.ncores().values()) if client else options.jobs,
            "processes": options.processes,
            "executor": client.get_executor() if client else None,
            "providers": options.provider or ("CPUExecutionProvider",),
        }
        told = sys.stderr.isatty()
        if options.tensor is None:
            patterns = options.layers.split(",") if options.layers else None
            progress = teller("values") if told else None
            found = growth(
                options.model,
                patterns,
                options.input,
                options.images,
                store=options.resume,
                progress=progress,
                **every,
            )
        else:
            units = None
            if options.at is not None:
                units = unit_of(analysis_of(options), options.tensor, options.at)
            one = effective(
                options.model,
                options.tensor,
                options.input,
                options.images,
                units=units,
                store=options.resume,
                progress=teller("tasks") if told else None,
                **every,
            )
            found = Growth((one,))
    if options.save is not None:
        _save(options.save, found, is_one=options.tensor is not None)
    ended = any(layer.interrupted for layer in found.layers)
    return answered(options, found, ERROR if ended else CLEAN)


def _save(path: Path, found: Growth, *, is_one: bool) -> None:
    """Write the picture, or the arrays."""
    if path.suffix.lower() == ".npz":
        (found.layers[0] if is_one else found).save(path)
        return
    drawn = plot.effective(found.layers[0]) if is_one else plot.used(found).figure
    draw_into(path, cast("Figure", drawn))


def preparing(options: argparse.Namespace) -> dict[str, Any]:
    """What `add_images` has said of how images are made to fit."""
    return {
        "layout": options.layout,
        "mean": _numbers("--mean", options.mean),
        "std": _numbers("--std", options.std),
        "scale": options.scale,
        "resize": options.resize,
        "most": options.most,
    }


def _check(options: argparse.Namespace) -> None:
    if options.tensor is None and options.at:
        raise QueryError("--at is for one value", remedy="name TENSOR")
    if options.tensor is not None and options.layers:
        raise QueryError("--layers is for several values", remedy="leave out TENSOR")
    check_kind(options.save, "--save", (*PICTURES, ".npz"))
    try_out_outputs(options, options.save)


def _numbers(option: str, given: str) -> list[float]:
    """Numbers with commas between them."""
    try:
        return [float(number) for number in given.split(",")]
    except ValueError:
        raise QueryError(
            f"{option} {given}: not a list of numbers", remedy=f"write it as {option} 0.5,0.4,0.4"
        ) from None


def _step(given: str | None) -> int | list[int] | None:
    if given is None:
        return None
    try:
        steps = [int(number) for number in given.split(",")]
    except ValueError:
        raise QueryError(
            f"--step {given}: not a whole number, or a list of them",
            remedy="write it as --step 4, or --step 1,3,4,4",
        ) from None
    return steps[0] if len(steps) == 1 else steps
