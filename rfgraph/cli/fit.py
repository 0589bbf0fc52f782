"""``rfgraph fit``: whether units of outputs see objects of a size whole."""

from __future__ import annotations

import argparse
from typing import Any

from rfgraph.analysis.objects import fit
from rfgraph.cli.common import add_common, analysis_of
from rfgraph.cli.outputs import add_outputs, answered
from rfgraph.errors import QueryError
from rfgraph.render.documents import Fits


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "fit",
        help="tell whether outputs, as the heads of a detector, see objects of a size whole",
        description="Print, for each output, at which share of places an object lies whole in the "
        "field of a unit, what that unit sees on both sides of it, the stride, and the smallest "
        "and largest field of all phases; away from the borders of the input.",
    )
    add_common(command)
    add_outputs(command, "fits")
    command.add_argument(
        "--object",
        required=True,
        metavar="N[xN...]",
        help="the size of the object along each axis along which fields move: height x width",
    )
    command.add_argument(
        "--output",
        action="append",
        metavar="NAME",
        help="an output that is wanted (may be repeated; default: all)",
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> str:
    """The answer."""
    try:
        size = [int(n) for n in options.object.replace(",", "x").split("x")]
    except ValueError:
        raise QueryError(
            f"--object {options.object}: not a size", remedy="write it as --object 96x64"
        ) from None
    analysis = analysis_of(options)
    return answered(options, Fits(analysis, fit(analysis, size, options.output)))
