"""``rfgraph diff``: how two models differ in what their values see."""

from __future__ import annotations

import argparse
from typing import Any

from rfgraph.analysis import Analysis, analyze
from rfgraph.cli.common import (
    CLEAN,
    FINDINGS,
    add_analysis,
    register,
    shapes,
    values,
)
from rfgraph.cli.outputs import add_outputs, answered
from rfgraph.compare import compared
from rfgraph.errors import QueryError
from rfgraph.model.graph import read


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "diff",
        help="show how the receptive fields of two models differ",
        description="Show which values see more, less or something else in NEW than in OLD, and "
        "which are new or gone. Values are matched by name and operator, else by "
        "structure. Ends with 1 if anything differs.",
    )
    command.add_argument("old", metavar="OLD", help="an ONNX file")
    command.add_argument("new", metavar="NEW", help="an ONNX file")
    add_analysis(command)
    command.add_argument(
        "--select",
        action="append",
        default=[],
        metavar="GLOB",
        help="only values whose names match (may be repeated); for the outputs: --outputs",
    )
    command.add_argument("--outputs", action="store_true", help="only the outputs of the models")
    command.add_argument(
        "--tolerance",
        type=int,
        default=0,
        metavar="N",
        help="take sizes and starts that differ by up to N elements as equal",
    )
    add_outputs(command, "comparison")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> str:
    """The answer."""
    if options.tolerance < 0:
        raise QueryError(f"--tolerance {options.tolerance}: has to be at least 0")
    register(options.ops)
    old, new = _analysis(options, options.old), _analysis(options, options.new)
    found = compared(
        old, new, options.select, tolerance=options.tolerance, only_outputs=options.outputs
    )
    if options.select and not found.matched and not found.changes:
        raise QueryError(
            f"--select: no value matches {' or '.join(options.select)}",
            file=options.new,
            remedy="rfgraph show MODEL lists the values",
        )
    code = FINDINGS if found.changes else CLEAN
    return answered(options, found, code)


def _analysis(options: argparse.Namespace, file: str) -> Analysis:
    """One of the models; it takes what the options say of inputs that it has."""
    names = {given.name for given in read(file).inputs}
    held = {n: v for n, v in values(options.value).items() if n in names}
    own = {n: s for n, s in shapes(options.shape, file, held).items() if n in names}
    return analyze(
        file, shapes=own, values=held, prune=options.prune, strict=options.strict, assume=True
    )
