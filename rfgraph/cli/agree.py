"""``rfgraph agree``: whether other runtimes, or a twin of the model, see the same elements."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from rfgraph.agreement import agree
from rfgraph.cli.common import CLEAN, ERROR, FINDINGS, Answer, add_common, arguments
from rfgraph.cli.outputs import add_outputs, answered, try_out_outputs
from rfgraph.cli.runs import add_inputs, arrays_of
from rfgraph.runtimes.registry import names, parsed


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "agree",
        help="test whether other runtimes, or a converted model, see the same elements",
        description="Run MODEL in several runtimes, or MODEL and OTHER, which was made of it, and "
        "report where they see other elements of the inputs: at the outputs, and the node that is "
        "the reason. Ends with 1 if they do or one of them does not answer, with 2 if none "
        "does, or nothing could be compared.",
    )
    add_outputs(command, "agreement")
    # It runs the model, which takes what it takes.
    add_common(command, timeout=0, memory=0)
    command.add_argument(
        "other", metavar="OTHER", nargs="?", help="the model converted, quantised or optimised"
    )
    command.add_argument(
        "--runtimes",
        metavar="NAME,...",
        help="the runtimes, with options as in onnxruntime:level=disable,threads=1,openvino; the "
        "others are compared with the first (default: onnxruntime,openvino; of two models: "
        f"onnxruntime). There are {', '.join(names())}",
    )
    add_inputs(command)
    command.add_argument(
        "--samples",
        type=int,
        default=8,
        metavar="N",
        help="change at most N planes across each axis, and N elements of each input (default: 8)",
    )
    command.add_argument(
        "--seconds",
        type=float,
        default=20.0,
        metavar="N",
        help="begin no change of the whole model after N seconds (default: 20; inf: make all)",
    )
    command.add_argument(
        "--patience",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how long a runtime may take to open a model, or to run it (default: 60)",
    )
    command.add_argument(
        "--seed", type=int, default=0, metavar="N", help="the seed of random numbers (default: 0)"
    )
    command.add_argument(
        "--reproduce",
        type=Path,
        metavar="FOLDER",
        help="write what shows each difference again: the node as a model, inputs and a script",
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> Answer:
    """The answer."""
    try_out_outputs(options)
    found = agree(
        options.model,
        options.other,
        runtimes=parsed(options.runtimes) if options.runtimes else None,
        **{name: given for name, given in arguments(options).items() if name != "assume"},
        inputs=arrays_of(options.inputs),
        samples=options.samples,
        seconds=options.seconds,
        patience=options.patience,
        seed=options.seed,
        reproductions=options.reproduce,
        progress=_tell if sys.stderr.isatty() else None,
    )
    # Where no side answers, or no output shows anything, it is not the sides that differ.
    silent = not any(side.answered for side in found.sides)
    idle = silent or (found.ok and not found.tested)
    return answered(options, found, ERROR if idle else CLEAN if found.ok else FINDINGS)


def _tell(what: str) -> None:
    print(f"\r\033[Krfgraph: {what}", end="\r", file=sys.stderr, flush=True)
