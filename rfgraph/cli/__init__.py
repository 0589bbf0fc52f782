"""The command line, a file for each command."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

from rfgraph.cli.common import CLEAN, ERROR, Answer, open_streams, silence, write
from rfgraph.cli.guard import guarded
from rfgraph.errors import RFGraphError
from rfgraph.limits import Limits, too_much
from rfgraph.render.text import printable
from rfgraph.version import VERSION

# The commands, each a module of this package, which is imported when it is asked for.
_COMMANDS = (
    "show",
    "unit",
    "why",
    "report",
    "serve",
    "validate",
    "agree",
    "check",
    "explain",
    "diff",
    "tile",
    "stream",
    "fit",
    "effective",
    "occlude",
    "annotate",
)


def main(arguments: Sequence[str] | None = None, *, guard: bool = False) -> int:
    """Run the command line; return the exit code.

    It is 0, 1 if something was found to be wrong, or 2 on a usage or model error, or if the user
    ended it.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command line; that of this process if left out.
    guard : bool
        Whether what looks at a model does so in a process of its own, see `rfgraph.cli.guard`.
    """
    open_streams()
    given = sys.argv[1:] if arguments is None else arguments
    options = _parsed(given)
    options.guard = guard
    # Where there may be many models, each has its own.
    own = hasattr(options, "models") or hasattr(options, "guards_itself")
    if not guard or not hasattr(options, "timeout") or own:
        return _run(options)
    limits = Limits(options.timeout, options.memory)
    try:
        return guarded(lambda: _run(options), given, limits, getattr(options, "model", None))
    except RFGraphError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return _fail("interrupted")


def _run(options: argparse.Namespace) -> int:
    """Run a command; return the exit code."""
    answer = ""
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
        return _fail(f"{_models(options)}{too_much(_limit(options))}")
    except Exception as error:
        if options.debug:
            raise
        kind = type(error).__name__
        return _fail(f"internal error: {kind}: {_line(error)} (--debug shows where)")
    return answer.code if isinstance(answer, Answer) else CLEAN


def _fail(message: str) -> int:
    print(f"rfgraph: error: {_line(message)}", file=sys.stderr)
    return ERROR


def _limit(options: argparse.Namespace) -> int:
    """How much memory there was to be, in MiB; 0: as much as there is."""
    return getattr(options, "memory", 0) if options.guard else 0


def _models(options: argparse.Namespace) -> str:
    """What the command is about, as errors begin."""
    model = getattr(options, "model", None)
    return f"{model}: " if model else ""


def _line(message: object) -> str:
    return printable(" ".join(str(message).split()))


def _parsed(given: Sequence[str]) -> argparse.Namespace:
    """The options; what is wrong with them is said with the usage of the command."""
    if not given or given[0].startswith("-"):
        return _parser()[0].parse_args(given)
    name, rest = given[0], given[1:]
    if name not in _COMMANDS:
        _parser()[0].error(_unknown_command(name))
    command = _parser([name])[1][name]
    # A unit that begins with a minus is no option.
    rest = [f" {a}" if re.match(r"-\d", a) else a for a in rest]
    options, extra = command.parse_known_intermixed_args(rest)
    if extra:
        command.error(_unknown_argument(extra[0], name))
    return options


def _unknown_command(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, _COMMANDS, 1)
    if near:
        return f"there is no command '{name}': did you mean 'rfgraph {near[0]}'?"
    if Path(name).exists() or name.endswith(".onnx"):
        return f"there is no command '{name}': did you mean 'rfgraph show {name}'?"
    return f"there is no command '{name}': the commands are {', '.join(_COMMANDS)}"


def _unknown_argument(argument: str, name: str) -> str:
    from difflib import get_close_matches

    option = argument.partition("=")[0]
    if not option.startswith("-"):
        return f"unexpected argument '{option.strip()}'"
    known = {other: _options(command) for other, command in _parser()[1].items()}
    elsewhere = [f"'rfgraph {other}'" for other, options in known.items() if option in options]
    if elsewhere:
        return (
            f"'rfgraph {name}' has no option '{option}', which is one of {' and '.join(elsewhere)}"
        )
    near = get_close_matches(option, known[name], 1)
    return f"there is no option '{option}'" + (f": did you mean {near[0]}?" if near else "")


def _options(command: argparse.ArgumentParser) -> list[str]:
    return re.findall(r"(?<![\w-])--[a-z][a-z-]*", command.format_usage())


def _parser(
    names: Sequence[str] = _COMMANDS,
) -> tuple[argparse.ArgumentParser, Mapping[str, argparse.ArgumentParser]]:
    """The parser of all commands, and that of each."""
    parser = argparse.ArgumentParser(
        prog="rfgraph", description="Exact receptive fields of ONNX models."
    )
    parser.add_argument("--version", action="version", version=f"rfgraph {VERSION}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in names:
        import_module(f"rfgraph.cli.{name}").add(commands)
    return parser, commands.choices
