"""``rfgraph validate``: the claims tested on the model itself."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from rfgraph.cli.cluster import client_of
from rfgraph.cli.common import (
    CLEAN,
    ERROR,
    FINDINGS,
    Answer,
    add_common,
    arguments,
    teller,
)
from rfgraph.cli.outputs import add_outputs, answered, try_out_outputs
from rfgraph.cli.runs import add_inputs, add_workers, arrays_of
from rfgraph.runtimes.registry import names
from rfgraph.validation import validate


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "validate",
        help="test the receptive fields on the model itself, with onnxruntime",
        description="Change planes and elements of the inputs, run the model, and report units "
        "that change although they are claimed not to see the change. Ends with 1 if "
        "a claim is contradicted, with 2 if nothing could be tested.",
    )
    add_outputs(command, "validation")
    # It runs the model, which takes what it takes.
    add_common(command, timeout=0, memory=0)
    _add_what(command)
    _add_how_much(command)
    add_workers(command, jobs=1)
    command.add_argument(
        "--runtime",
        metavar="NAME",
        help="another runtime to run the model in, with options as in onnxruntime:level=all; with "
        f"--method perturb only. There are {', '.join(names())} (default: onnxruntime, with every "
        "kernel as it is)",
    )
    command.add_argument(
        "--reproduce",
        type=Path,
        metavar="FOLDER",
        help="write what reproduces the first violations: model, inputs and a script",
    )
    command.set_defaults(run=run)


def _add_what(command: argparse.ArgumentParser) -> None:
    """What is tested, and how."""
    command.add_argument(
        "--method",
        choices=("perturb", "poison"),
        default="perturb",
        help="perturb (the default): change inputs to other numbers, and run the model as it is; "
        "poison: change inputs to NaN, and run a copy of the model in which every operator "
        "carries NaN: what is seen has to equal what is claimed",
    )
    command.add_argument(
        "--tensors",
        metavar="GLOB,...",
        help="the values to test; '*' for all (default: the outputs and some of the others)",
    )
    add_inputs(command)


def _add_how_much(command: argparse.ArgumentParser) -> None:
    """How many runs are made."""
    command.add_argument(
        "--samples",
        type=int,
        metavar="N",
        help="change at most N planes across each axis, and N single elements of each input",
    )
    command.add_argument(
        "--seconds",
        type=float,
        default=20.0,
        metavar="N",
        help="begin no run after N seconds; the runs until then are an even sample of all "
        "(default: 20; inf: make all runs)",
    )
    command.add_argument(
        "--exhaustive",
        action="store_true",
        help="change every plane in a run of its own: when planes share a run, what a unit sees "
        "farther from its field than the field is long can go unnoticed",
    )
    command.add_argument(
        "--seed", type=int, default=0, metavar="N", help="the seed of random numbers (default: 0)"
    )


def run(options: argparse.Namespace) -> Answer:
    """The answer."""
    try_out_outputs(options)
    with client_of(options.dask) as client:
        found = validate(
            options.model,
            **arguments(options),
            method=options.method,
            tensors=options.tensors.split(",") if options.tensors else None,
            inputs=arrays_of(options.inputs),
            samples=options.samples,
            seconds=options.seconds,
            exhaustive=options.exhaustive,
            seed=options.seed,
            jobs=sum(client.ncores().values()) if client else options.jobs,
            processes=options.processes,
            executor=client.get_executor() if client else None,
            providers=options.provider or ("CPUExecutionProvider",),
            runtime=options.runtime,
            reproductions=options.reproduce,
            progress=teller("passes") if sys.stderr.isatty() else None,
        )
    code = CLEAN if found.ok else FINDINGS
    # That nothing was found says little where nothing was tested.
    unproven = found.interrupted or not found.tested
    return answered(options, found, ERROR if found.ok and unproven else code)
