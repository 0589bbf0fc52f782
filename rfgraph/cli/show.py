"""``rfgraph show``: a table of every value."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rfgraph.analysis import Analysis, analyze
from rfgraph.analysis.masks import hint, to_hold
from rfgraph.cli.common import add_common, analysis_of, arguments, axis_of, screen
from rfgraph.cli.outputs import add_outputs, answered
from rfgraph.errors import QueryError
from rfgraph.render import text
from rfgraph.render.documents import LayerTable, Listing
from rfgraph.render.rows import densities, modules, rows, selected
from rfgraph.timings import Timings


def add(commands: Any) -> None:
    """Add the command to the parser."""
    show = commands.add_parser(
        "show",
        help="print a table: how far every value sees into the inputs",
        description="Print, for every value, how far it sees into the inputs: size, /stride and "
        "@start along the axes on which fields move. '+global' marks a value that "
        "sees the whole input through a statistic as well, '~' one whose figures hold "
        "for this size only or join branches of different strides, '*' an output. On a "
        "terminal that is too narrow, figures are left out and names are shortened.",
    )
    add_common(show)
    add_outputs(show, "table")
    show.add_argument("--all-axes", action="store_true", help="every axis of the inputs")
    show.add_argument(
        "--time",
        metavar="AXIS",
        help="this axis of the inputs alone, by number or by name, and how far ahead each value "
        "looks along it",
    )
    show.add_argument(
        "--select",
        action="append",
        default=[],
        metavar="GLOB",
        help="only values whose name, node or operator matches, or if nothing does, whose module: "
        "'layer1' or 'layer1.*' (may be repeated)",
    )
    show.add_argument("--outputs", action="store_true", help="only the outputs of the model")
    show.add_argument(
        "--tree", action="store_true", help="modules, and below each the values that it makes"
    )
    show.add_argument(
        "--constants", action="store_true", help="also values that depend on no input"
    )
    show.add_argument(
        "--along",
        type=int,
        metavar="AXIS",
        help="a line for each run of coordinates along this axis of the values that see the same: "
        "1 shows channels one by one",
    )
    show.add_argument(
        "--density",
        action="store_true",
        help="the share of its box that the middle unit of each value sees: less than 100%% means "
        "holes",
    )
    show.add_argument(
        "--program",
        action="store_true",
        help="for maintainers: the program that the model is lowered to (docs/engine.md)",
    )
    show.add_argument(
        "--timings",
        action="store_true",
        help="print the CPU time of each phase to standard error",
    )
    show.set_defaults(run=run)


def run(options: argparse.Namespace) -> str:
    """The answer."""
    if options.along is not None and options.along < 0:
        raise QueryError(f"--along {options.along}: axes are counted from 0")
    if options.program and (
        options.output_format != "text"
        or options.all_axes
        or options.density
        or options.time is not None
        or options.along is not None
        or options.outputs
        or options.tree
    ):
        raise QueryError(
            "--program can't be combined with --all-axes, --time, --along, --density, --outputs, "
            "--tree or --output-format",
            remedy="choose values with --select and --constants",
        )
    if options.time is not None and options.all_axes:
        raise QueryError("--time can't be combined with --all-axes")
    timings = Timings()
    with timings.phase("answer"):
        answer = _program(options, timings) if options.program else _table(options, timings)
    if options.timings:
        print(text.timings(timings), file=sys.stderr)
    return answer


def _program(options: argparse.Namespace, timings: Timings) -> str:
    analysis = analysis_of(options, timings)
    found = selected(analysis, options.select, constants=options.constants)
    names = [name for name, *_ in found]
    _refuse_if_none_matches(options, analysis, names)
    options.document = "program"
    return answered(options, Listing(analysis, names))


def _refuse_if_none_matches(
    options: argparse.Namespace, analysis: Analysis, chosen: Sequence[Any]
) -> None:
    """Raise an error if `--select` chooses no value."""
    if options.select and not chosen:
        raise QueryError(
            f"--select: nothing matches {' or '.join(options.select)}",
            file=analysis.file,
            remedy="without --select all values are listed",
        )


def _table(options: argparse.Namespace, timings: Timings) -> str:
    analysis = analysis_of(options, timings)
    with timings.phase("closed form"):
        chosen = rows(analysis, options.select, constants=options.constants, along=options.along)
    _refuse_if_none_matches(options, analysis, chosen)
    if options.outputs:
        chosen = [row for row in chosen if row.is_output]
        if not chosen:
            raise QueryError("--select and --outputs: no output matches", file=analysis.file)
    dense = densities(analysis, chosen) if options.density else None
    masks = to_hold(
        analysis, lambda held: analyze(options.model, **_with(options, held), timings=timings)
    )
    hints = [hint(list(masks))] if masks else []
    time = None
    if options.time is not None:
        # What most tables don't need is not loaded.
        from rfgraph.streaming.way import time_axis

        time = dict(time_axis(analysis, axis_of(options.time)))
    of = modules(analysis) if options.tree else None
    table = LayerTable(analysis, chosen, dense, options.all_axes, hints, time, of)
    return answered(options, table, screen=screen())


def _with(options: argparse.Namespace, held: Mapping[str, Any]) -> dict[str, Any]:
    """What is asked of the analysis, with more inputs held."""
    given = arguments(options)
    return given | {"values": given["values"] | held}
