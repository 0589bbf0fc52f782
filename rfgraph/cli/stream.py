"""``rfgraph stream``: how a model follows a stream, and the model with explicit states."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rfgraph.cli.common import CLEAN, FINDINGS, add_common, analysis_of, axis_of
from rfgraph.cli.outputs import add_outputs, answered
from rfgraph.files import save
from rfgraph.render.documents import Streaming
from rfgraph.streaming import StreamingError, plan


def add(commands: Any) -> None:
    """Add the command to the parser."""
    stream = commands.add_parser(
        "stream",
        help="tell how far a model looks ahead on a stream, or write it with explicit states",
        description="Print look-back, look-ahead, hop and latency of each output, and which nodes "
        "look ahead. It ends with 1 if the model can't be had on a stream, and names the first "
        "node that is the reason.",
    )
    add_common(stream)
    add_outputs(stream, "streaming")
    stream.add_argument(
        "--axis",
        metavar="AXIS",
        help="the time axis, by number or by name (default: the one along which fields move)",
    )
    stream.add_argument(
        "--rate",
        type=_rate,
        metavar="HZ",
        help="samples of the input a second, for times in milliseconds",
    )
    stream.add_argument(
        "--output",
        action="append",
        metavar="NAME",
        help="an output that is wanted (may be repeated; default: all)",
    )
    stream.add_argument(
        "-o",
        "--save",
        type=Path,
        metavar="FILE",
        help="write the model with explicit states, which computes nothing twice, to FILE",
    )
    stream.set_defaults(run=run)


def run(options: argparse.Namespace) -> str:
    """The answer."""
    axis = None if options.axis is None else axis_of(options.axis)
    analysis = analysis_of(options)
    found = converted = None
    try:
        found = plan(analysis, axis=axis, rate=options.rate, outputs=options.output)
        if options.save is not None:
            converted = found.convert()
    except StreamingError as error:
        return answered(options, Streaming(analysis, found, error), FINDINGS)
    answer = answered(options, Streaming(analysis, found, None, converted), CLEAN)
    if converted is not None:
        content = converted.model.SerializeToString()
        save(options.save, lambda stream: stream.write(content))
    return answer


def _rate(given: str) -> float:
    try:
        rate = float(given)
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise argparse.ArgumentTypeError(f"'{given}' is not a number of samples a second")
    return rate
