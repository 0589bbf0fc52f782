"""``rfgraph report``: everything about a model in one HTML file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rfgraph import checks, report
from rfgraph.cli.common import add_common, analysis_of, settings
from rfgraph.files import save
from rfgraph.model import scopes


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "report",
        help="write everything about a model into one HTML file, to be looked at in a browser",
        description="Write one HTML file that asks for nothing from the network: the graph, a "
        "table of all values, how fields grow, what 'rfgraph check' finds, and the exact support "
        "of any unit that is clicked on. 'rfgraph serve' shows the same at once.",
    )
    add_common(command)
    command.add_argument(
        "-o",
        "--output-file",
        type=Path,
        metavar="FILE",
        help="the file (default: the model's name with .html, in this folder)",
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> str:
    """The answer."""
    report.available()
    path = options.output_file or Path(Path(options.model).stem + ".html")
    content = page_of(options).encode(errors="replace")
    save(path, lambda stream: stream.write(content))
    options.output_file = None
    return f"wrote {path}"


def page_of(options: argparse.Namespace) -> str:
    """The page of the model that the options name."""
    analysis = analysis_of(options)
    config = checks.load(None).with_values(settings(options, options.model), "the command line")
    found = checks.check(options.model, config=config)
    return report.page(analysis, found.models[0], scopes.declared(options.model))
