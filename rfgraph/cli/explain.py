"""``rfgraph explain``: what a check finds, and what to do."""

from __future__ import annotations

import argparse
from difflib import get_close_matches
from typing import Any

from rfgraph.checks import CHECKS, explained
from rfgraph.errors import QueryError
from rfgraph.render.text import aligned


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "explain",
        help="explain what a check of 'rfgraph check' finds, why it matters, and what to do",
        description="Print the explanation of a check, with its options; without a code, list "
        "the checks.",
    )
    command.add_argument(
        "code", metavar="CODE", nargs="?", help="the code of a check, such as RF101"
    )
    command.add_argument(
        "--debug", action="store_true", help="show a traceback on an internal error"
    )
    command.set_defaults(run=run, output_file=None)


def run(options: argparse.Namespace) -> str:
    """The answer."""
    if options.code is None:
        return "\n".join(
            aligned([[one.code, one.name, one.severity, one.summary] for one in CHECKS.values()])
        )
    code = options.code.strip().upper()
    if code not in CHECKS:
        near = get_close_matches(code, CHECKS, 1, 0.5)
        raise QueryError(
            f"there is no check '{options.code}'",
            remedy=f"did you mean {near[0]}?" if near else f"the checks are {', '.join(CHECKS)}",
        )
    return explained(CHECKS[code])
