"""What commands have in common: in which formats they answer, and where to."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rfgraph.cli.common import CLEAN, Answer
from rfgraph.errors import QueryError
from rfgraph.files import try_out
from rfgraph.render.documents import Screen
from rfgraph.render.registry import formats, rendered


def add_outputs(command: argparse.ArgumentParser, kind: str) -> None:
    """Add the options that say in which formats a kind of document is written, and where."""
    command.set_defaults(document=kind)
    command.add_argument(
        "--output-format",
        choices=formats(kind),
        default="text",
        help="the format of what is printed (default: text)",
    )
    command.add_argument(
        "--output-file",
        action="append",
        default=[],
        metavar="[FORMAT=]FILE",
        help="write a file in this format as well (may be repeated); without a format, write to "
        "FILE instead of printing",
    )


def _outputs_of(options: argparse.Namespace) -> tuple[dict[Path, str], Path | None]:
    """The files of ``--output-file`` and their formats, and the one that takes what is printed.

    Raises
    ------
    QueryError
        A format or a file is not as it should be.
    """
    known = formats(options.document)
    made: dict[Path, str] = {}
    instead: Path | None = None
    for item in options.output_file:
        name, equals, path = item.partition("=")
        if not equals or name not in known:
            if equals and "/" not in name and not Path(item).exists() and name.isalpha():
                raise QueryError(
                    f"--output-file {item}: there is no format '{name}'",
                    remedy=f"the formats are {', '.join(known)}",
                )
            if instead is not None:
                raise QueryError(
                    "--output-file: two files have no format",
                    remedy=f"give the format of one: --output-file {known[-1]}=FILE",
                )
            instead = Path(item)
            continue
        if not path or Path(path) in made:
            raise QueryError(f"--output-file {item}: each format needs a file of its own")
        made[Path(path)] = name
    if instead in made:
        raise QueryError(f"--output-file {instead}: each format needs a file of its own")
    return made, instead


def try_out_outputs(options: argparse.Namespace, *others: Path | None) -> None:
    """Fail at once, before long work, if any of these files or of `others` can't be written."""
    made, instead = _outputs_of(options)
    for path in (*made, instead, *others):
        if path is not None:
            try_out(path)


def answered(
    options: argparse.Namespace, document: Any, code: int = CLEAN, screen: Screen | None = None
) -> Answer:
    """A document in the formats that `add_outputs` was told, and an exit code.

    What is printed is for the `screen`, if that is given; a file's text is whole and plain.
    """
    made, instead = _outputs_of(options)
    files = {path: rendered(options.document, name, document) for path, name in made.items()}
    options.output_file = instead
    if screen is None or instead is not None or options.output_format != "text":
        return Answer(rendered(options.document, options.output_format, document), code, files)
    printed = rendered(options.document, "text", document._replace(screen=screen))
    return Answer(printed, code, files, coloured=screen.colours)
