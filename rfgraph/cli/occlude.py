"""``rfgraph occlude``: what units respond to, by covering parts of images."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from rfgraph import plot
from rfgraph.cli.common import Answer, add_common, arguments, index_of
from rfgraph.cli.measuring import add_images, add_workers, images_from, workers_from
from rfgraph.cli.outputs import add_outputs, answered
from rfgraph.errors import QueryError
from rfgraph.files import save
from rfgraph.measure import occlusion

_PICTURES = (".png", ".svg", ".pdf")


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
    add_images(command)
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
        "--save",
        type=Path,
        metavar="FILE",
        help="write the heat map over the first image (.png, .svg, .pdf), or all maps (.npz)",
    )
    command.add_argument(
        "--save-best",
        type=Path,
        metavar="FILE",
        help="write the picture of the images that excite each unit most, cropped to its field",
    )
    add_workers(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> Answer:
    """The answer."""
    _check(options.save, "--save", (*_PICTURES, ".npz"))
    _check(options.save_best, "--save-best", _PICTURES)
    units = [_unit(text) for text in options.units]
    given = arguments(options)
    # Open axes get sizes anyway, as there is nothing to be run without.
    del given["assume"]
    with workers_from(options) as workers:
        found = occlusion(
            options.model,
            options.tensor,
            units,
            size=_sizes("--size", options.size),
            stride=_sizes("--stride", options.stride),
            fill=_fill(options.fill),
            top=options.top,
            **images_from(options),
            **given,
            **workers,
        )
    if options.save and options.save.suffix.lower() == ".npz":
        arrays: dict[str, Any] = dict(found.arrays())
        save(options.save, lambda stream: np.savez(stream, **arrays))
    elif options.save:
        _draw(options.save, plot.heat(found))
    if options.save_best:
        _draw(options.save_best, plot.best(found))
    return answered(options, found)


def _check(path: Path | None, option: str, kinds: tuple[str, ...]) -> None:
    """Refuse what can't be saved, before anything is run."""
    if path is None:
        return
    if path.suffix.lower() not in kinds:
        raise QueryError(f"{option} {path}: its name has to end in one of {', '.join(kinds)}")
    if path.suffix.lower() in _PICTURES:
        plot.available()


def _draw(path: Path, figure: Any) -> None:
    save(path, lambda stream: figure.savefig(stream, format=path.suffix[1:].lower()))


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
