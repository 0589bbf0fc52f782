"""The command line, a file for each command."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence

from rfgraph import __version__
from rfgraph.cli import check, diff, explain, show, unit, validate, why
from rfgraph.cli.common import CLEAN, ERROR, Answer, silence, write
from rfgraph.errors import RFGraphError
from rfgraph.render import text


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code.

    It is 0, 1 if something was found to be wrong, or 2 on a usage or model error.
    """
    answer = ""
    given = sys.argv[1:] if arguments is None else arguments
    # A unit that begins with a minus is no option.
    options = _parser().parse_args([f" {a}" if re.match(r"-\d", a) else a for a in given])
    try:
        answer = options.run(options)
        write(answer, options.output_file)
        for path, content in answer.files.items() if isinstance(answer, Answer) else ():
            write(content, path)
    except RFGraphError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return _fail("interrupted")
    except BrokenPipeError:
        silence()
    except MemoryError:
        return _fail("out of memory: give smaller sizes with --shape")
    except Exception as error:
        if options.debug:
            raise
        kind = type(error).__name__
        return _fail(f"internal error: {kind}: {_line(error)} (--debug shows where)")
    return answer.code if isinstance(answer, Answer) else CLEAN


def _fail(message: str) -> int:
    print(f"rfgraph: error: {_line(message)}", file=sys.stderr)
    return ERROR


def _line(message: object) -> str:
    return text.plain(" ".join(str(message).split()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rfgraph", description="Exact receptive fields of ONNX models."
    )
    parser.add_argument("--version", action="version", version=f"rfgraph {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (show, unit, why, validate, check, explain, diff):
        command.add(commands)
    return parser
