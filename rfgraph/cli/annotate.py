"""``rfgraph annotate``: the model with its receptive fields in it, for Netron to show."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rfgraph import annotate
from rfgraph.cli.common import add_common, analysis_of


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "annotate",
        help="write a copy of the model in which each node says what it sees, for Netron",
        description="Write the model with what each node and value sees of the inputs, as "
        "'rfgraph show' prints it, in its metadata: Netron shows it beside the node. All else "
        "stays as it is, and weights in other files stay there.",
    )
    add_common(command)
    command.add_argument(
        "-o", "--save", type=Path, required=True, metavar="FILE", help="where to write the copy"
    )
    command.set_defaults(run=run, output_file=None)


def run(options: argparse.Namespace) -> str:
    """The answer."""
    analysis = analysis_of(options)
    nodes = annotate.save(analysis, options.save)
    return f"{options.save}: {nodes} {'node says' if nodes == 1 else 'nodes say'} what they see"
