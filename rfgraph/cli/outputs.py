"""What the commands that give findings have in common: in which formats, and where."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from rfgraph.cli.common import Answer
from rfgraph.errors import QueryError
from rfgraph.render.findings import FORMATS, Format


def add_outputs(command: argparse.ArgumentParser) -> None:
    """Add the options that say in which formats findings are written, and where."""
    command.add_argument(
        "--output-format",
        choices=tuple(FORMATS),
        default="text",
        help="what is printed (default: text)",
    )
    command.add_argument(
        "--output-file",
        action="append",
        default=[],
        metavar="[FORMAT=]FILE",
        help="write a file in a format too (may be repeated); without a format, what would be "
        "printed goes there",
    )


def in_formats(options: argparse.Namespace, render: Callable[[Format], str], code: int) -> Answer:
    """The answer in the formats that `add_outputs` was told."""
    files: dict[Path, str] = {}
    instead: Path | None = None
    for item in options.output_file:
        name, equals, path = item.partition("=")
        if not equals or name not in FORMATS:
            if equals and "/" not in name and not Path(item).exists() and name.isalpha():
                raise QueryError(
                    f"--output-file {item}: there is no format '{name}'",
                    remedy=f"there are {', '.join(FORMATS)}",
                )
            if instead is not None:
                raise QueryError(
                    "--output-file: two files without a format",
                    remedy="--output-file sarif=FILE writes one in another format too",
                )
            instead = Path(item)
            continue
        if not path or Path(path) in files:
            raise QueryError(f"--output-file {item}: name a file of its own for each format")
        files[Path(path)] = render(FORMATS[name])
    if instead in files:
        raise QueryError(f"--output-file {instead}: name a file of its own for each format")
    options.output_file = instead
    return Answer(render(FORMATS[options.output_format]), code, files)
