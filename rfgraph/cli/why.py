"""``rfgraph why``: which nodes make a unit see as far as it does."""

from __future__ import annotations

import argparse
from typing import Any

from rfgraph.cli.common import UNIT, add_common, analysis_of, index_of, middle, unit_of, whole_units
from rfgraph.cli.outputs import add_outputs, answered
from rfgraph.errors import QueryError
from rfgraph.render.documents import Reasons


def add(commands: Any) -> None:
    """Add the command to the parser."""
    why = commands.add_parser(
        "why",
        help="explain why a unit sees as far as it does: what each node adds",
        description="Print the nodes that set the bounds of a unit, from the input on, how much "
        "each of them adds, and where the unit first sees the whole of an axis.",
    )
    add_common(why)
    add_outputs(why, "why")
    why.add_argument(
        "tensor", nargs="?", metavar="TENSOR", help="the value (default: the first output)"
    )
    why.add_argument(
        "index", nargs="?", metavar="INDEX", help=f"{UNIT} (default: the unit in the middle)"
    )
    why.add_argument("--at", metavar="INDEX", help="the same as INDEX")
    parts = why.add_mutually_exclusive_group()
    parts.add_argument(
        "--local",
        action="store_true",
        help="only the local part: leave out what is seen through a statistic or attention over a "
        "whole axis",
    )
    parts.add_argument(
        "--all", action="store_false", dest="local", help="all that is seen (the default)"
    )
    why.add_argument("--input", metavar="NAME", help="one input only")
    why.add_argument("--all-axes", action="store_true", help="every axis of the inputs")
    why.set_defaults(run=run)


def run(options: argparse.Namespace) -> str:
    """The answer."""
    if options.index and options.at:
        raise QueryError("INDEX and --at mean the same: give one of them")
    at = options.at or options.index
    if at and whole_units(index_of(at)) is None:
        raise QueryError(f"'{at}' is a region: give one unit")
    analysis = analysis_of(options)
    tensor = options.tensor or analysis.outputs[0]
    unit = whole_units(unit_of(analysis, tensor, at)) if at else middle(analysis, tensor)
    assert unit is not None
    found = {}
    for name in analysis.inputs if options.input is None else [options.input]:
        axes = None if options.all_axes else analysis.moving_axes(name)
        found[name] = analysis.explain(tensor, name, unit, options.local, axes)
    return answered(options, Reasons(analysis, tensor, unit, options.local, found))
