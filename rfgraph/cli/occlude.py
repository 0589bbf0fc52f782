"""``rfgraph occlude``: what units respond to, by covering parts of images."""

from __future__ import annotations

import argparse
import sys
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from rfgraph import plot
from rfgraph.cli.cluster import client_of
from rfgraph.cli.common import CLEAN, ERROR, Answer, add_common, arguments, index_of, teller
from rfgraph.cli.effective import add_images, preparing
from rfgraph.cli.outputs import add_outputs, answered, try_out_outputs
from rfgraph.cli.pictures import PICTURES, check_kind, draw_into
from rfgraph.cli.runs import add_workers, arrays_of
from rfgraph.errors import QueryError
from rfgraph.files import save
from rfgraph.measure import occlusion


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "occlude",
        help="measure which pixels particular units respond to, by covering parts of images",
        description="Find the images that excite units most, run these with an occluder at every "
        "place that the unit can see, and print the size of what changes the unit beside the size "
        "of what it can see.",
    )
    add_outputs(command, "occlusion")
    # It runs the model, which takes what it takes.
    add_common(command, timeout=0, memory=0)
    command.add_argument("tensor", metavar="TENSOR", help="the value whose units are looked at")
    command.add_argument(
        "units",
        nargs="+",
        metavar="UNIT",
        help="a channel, of which the most excited unit of each image is looked at; or a unit by "
        "all of its coordinates, with slices for a region: 0,5,:,:",
    )
    command.add_argument("--input", metavar="NAME", help="the input that is covered")
    add_images(command)
    _add_occluder(command)
    _add_how_much(command)
    add_workers(command, jobs=0)
    command.set_defaults(run=run)


def _add_occluder(command: argparse.ArgumentParser) -> None:
    """What covers, where, and which images."""
    command.add_argument(
        "--size",
        metavar="N[xN...]",
        help="the sides of the occluder (default: a twentieth of the input's, and no more than a "
        "sixth of the field)",
    )
    command.add_argument(
        "--stride",
        metavar="N[xN...]",
        help="how far its places are apart (default: 3/11 of its sides)",
    )
    command.add_argument(
        "--fill",
        default="random",
        metavar="FILL",
        help="what covers: random (the default), pixels from elsewhere in the image; mean, the "
        "mean of each channel; or a number",
    )
    command.add_argument(
        "--top",
        type=int,
        default=10,
        metavar="K",
        help="cover the K images that excite a unit most (default: 10)",
    )
    command.add_argument(
        "--vocabulary",
        type=int,
        metavar="N",
        help="tokens are covered by others below N (default: by those of the same row)",
    )


def _add_how_much(command: argparse.ArgumentParser) -> None:
    """For how long, and what is kept."""
    command.add_argument(
        "--save",
        type=Path,
        metavar="FILE",
        help="write the heat map over the first image (.png, .svg, .pdf), or all maps (.npz)",
    )
    command.add_argument(
        "--crop", action="store_true", help="in the heat map: only the part around what is seen"
    )
    command.add_argument(
        "--save-best",
        type=Path,
        metavar="FILE",
        help="write the picture of the images that excite each unit most, cropped to its field",
    )
    command.add_argument(
        "--seconds",
        type=float,
        default=inf,
        metavar="N",
        help="begin nothing after N seconds: what is told is of the images that are finished then "
        "(default: inf)",
    )
    command.add_argument(
        "--seed", type=int, default=0, metavar="N", help="the seed of random numbers (default: 0)"
    )
    command.add_argument(
        "--resume",
        metavar="STORE",
        help="a folder that keeps what was measured: the same command goes on with it",
    )


def run(options: argparse.Namespace) -> Answer:
    """The answer."""
    check_kind(options.save, "--save", (*PICTURES, ".npz"))
    check_kind(options.save_best, "--save-best", PICTURES)
    try_out_outputs(options, options.save, options.save_best)
    if options.crop and (options.save is None or options.save.suffix.lower() == ".npz"):
        raise QueryError("--crop is for a picture", remedy="name its file as well: --save out.png")
    units = [_unit(text) for text in options.units]
    given = arguments(options)
    # Open axes get sizes anyway, as there is nothing to be run without.
    del given["assume"]
    with client_of(options.dask) as client:
        found = occlusion(
            options.model,
            options.tensor,
            units,
            options.images,
            input=options.input,
            size=_sizes("--size", options.size),
            stride=_sizes("--stride", options.stride),
            fill=_fill(options.fill),
            top=options.top,
            vocabulary=options.vocabulary,
            inputs=arrays_of(options.inputs),
            seconds=options.seconds,
            seed=options.seed,
            jobs=sum(client.ncores().values()) if client else options.jobs,
            processes=options.processes,
            executor=client.get_executor() if client else None,
            providers=options.provider or ("CPUExecutionProvider",),
            store=options.resume,
            progress=teller("tasks") if sys.stderr.isatty() else None,
            **preparing(options),
            **given,
        )
    if options.save and options.save.suffix.lower() == ".npz":
        arrays: dict[str, Any] = dict(found.arrays())
        save(options.save, lambda stream: np.savez(stream, **arrays))
    elif options.save:
        draw_into(options.save, plot.heat(found, crop=options.crop))
    if options.save_best:
        draw_into(options.save_best, plot.best(found))
    return answered(options, found, ERROR if found.interrupted else CLEAN)


def _unit(text: str) -> int | tuple[int | slice, ...]:
    """A channel, or a unit."""
    index = index_of(text)
    if not index:
        raise QueryError(f"'{text}' is no unit", remedy="give a channel, or a unit as 0,5,:,:")
    if len(index) == 1 and isinstance(index[0], int) and "," not in text:
        return index[0]
    return index


def _sizes(option: str, text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(n) for n in text.replace(",", "x").split("x")]
    except ValueError:
        raise QueryError(
            f"{option} {text}: not a size", remedy=f"write it as {option} 11 or {option} 11x7"
        ) from None


def _fill(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text
