"""The command line: ``rfgraph show`` and ``rfgraph unit``."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rfgraph import __version__, ops
from rfgraph.analysis import Analysis, analyze
from rfgraph.errors import QueryError, RFGraphError
from rfgraph.graph import read
from rfgraph.render import json as json_format
from rfgraph.render import text
from rfgraph.render.rows import rows

CLEAN, ERROR = 0, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code: 0, or 2 on a usage or model error."""
    given = sys.argv[1:] if arguments is None else arguments
    # A unit that begins with a minus is no option.
    options = _parser().parse_args([f" {a}" if re.match(r"-\d", a) else a for a in given])
    try:
        answer = options.run(options)
        _write(answer, options.output_file)
    except RFGraphError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return _fail("interrupted")
    except BrokenPipeError:
        _silence()
    except MemoryError:
        return _fail("out of memory: give smaller sizes with --shape")
    except Exception as error:
        if options.debug:
            raise
        kind = type(error).__name__
        return _fail(f"internal error: {kind}: {_line(error)} (--debug shows where)")
    return CLEAN


def _silence() -> None:
    """Standard output is gone or full: nothing more is to be said there, not even at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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

    show = commands.add_parser(
        "show",
        help="a table: how far every value sees into the inputs",
        description="Print, for every value, how far it sees into the inputs: size, /stride and "
        "@start along the axes on which something moves. '+global' marks a value that "
        "sees the whole input through a statistic as well, '~' one whose figures "
        "hold for this size only or join branches of different strides, '*' an output.",
    )
    _common(show)
    show.add_argument("--all-axes", action="store_true", help="every axis of the inputs")
    show.add_argument(
        "--select",
        action="append",
        default=[],
        metavar="GLOB",
        help="only values whose name, node or operator matches (may be repeated)",
    )
    show.add_argument(
        "--constants", action="store_true", help="also values that depend on no input"
    )
    show.add_argument(
        "--along",
        type=int,
        metavar="AXIS",
        help="a line for each run of coordinates along this axis of the values: 1 tells channels "
        "apart",
    )
    show.set_defaults(run=_show)

    unit = commands.add_parser(
        "unit",
        help="the box that one unit sees",
        description="Print the box of input elements that a unit sees, one line for each input.",
    )
    _common(unit)
    unit.add_argument("tensor", nargs="?", metavar="TENSOR", help="the value")
    unit.add_argument(
        "index", nargs="?", metavar="INDEX", help="the unit, a coordinate for each axis: 0,0,4,5"
    )
    unit.add_argument(
        "--every", metavar="GLOB,...", help="every value made by these operators, with --at"
    )
    unit.add_argument(
        "--at", metavar="INDEX", help="the unit, by the last coordinates; those before it are 0"
    )
    unit.add_argument("--local", action="store_true", help="without what came by a statistic")
    unit.set_defaults(run=_unit)
    return parser


def _common(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", metavar="MODEL", help="an ONNX file")
    command.add_argument(
        "--shape",
        action="append",
        default=[],
        metavar="[NAME=]N,N,...",
        help="shape of an input whose axes the model leaves open",
    )
    command.add_argument(
        "--value",
        action="append",
        default=[],
        metavar="NAME=N,N,...|FILE.npy",
        help="hold an input fixed",
    )
    command.add_argument(
        "--strict", action="store_true", help="fail on an operator that is not known"
    )
    command.add_argument(
        "--ops",
        action="append",
        default=[],
        metavar="FILE",
        help="a Python file that registers transfers with rfgraph.transfer (may be repeated)",
    )
    command.add_argument("--output-format", choices=("text", "json"), default="text")
    command.add_argument("--output-file", type=Path, metavar="FILE", help="write there instead")
    command.add_argument("--debug", action="store_true", help="a traceback on an internal error")


def _analysis(options: argparse.Namespace) -> Analysis:
    for file in options.ops:
        ops.load(file)
    return analyze(
        options.model,
        shapes=_shapes(options.shape, options.model),
        values=dict(_value(text) for text in options.value),
        strict=options.strict,
        assume=True,
        progress=_progress if sys.stderr.isatty() else None,
    )


def _progress(done: int, total: int) -> None:
    """Say on the terminal how far the analysis is; it is called on long work only."""
    end = "\r" if done < total else "\r\033[K"
    print(f"rfgraph: {done} of {total} nodes", end=end, file=sys.stderr, flush=True)


def _shapes(given: list[str], model: str) -> dict[str, tuple[int, ...]]:
    shapes = {}
    for item in given:
        name, equals, sizes = item.rpartition("=")
        if not equals:
            name = _only_input(model)
        try:
            shapes[name] = tuple(int(size) for size in sizes.split(",") if size)
        except ValueError:
            raise QueryError(
                f"--shape {item}: not a list of whole numbers", remedy="--shape x=1,3,224,224"
            ) from None
    return shapes


def _only_input(model: str) -> str:
    names = [i.name for i in read(model).inputs]
    if len(names) != 1:
        raise QueryError(
            f"--shape: the model has {len(names)} inputs",
            remedy="name one: " + ", ".join(f"--shape {name}=..." for name in names),
        )
    return names[0]


def _value(item: str) -> tuple[str, Any]:
    name, _, value = item.partition("=")
    if value.endswith(".npy"):
        try:
            return name, np.load(value, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise QueryError(f"--value {item}: {error}") from None
    try:
        numbers = [float(n) for n in value.split(",")]
    except ValueError:
        raise QueryError(
            f"--value {item}: neither numbers nor a .npy file for '{name}'",
            remedy="--value sizes=1,3,64,64",
        ) from None
    return name, np.array(numbers)


def _show(options: argparse.Namespace) -> str:
    if options.along is not None and options.along < 0:
        raise QueryError("--along: axes are counted from 0")
    analysis = _analysis(options)
    chosen = rows(analysis, options.select, constants=options.constants, along=options.along)
    if options.select and not chosen:
        raise QueryError(f"nothing matches {' or '.join(options.select)}", file=analysis.file)
    if options.output_format == "json":
        return json_format.show(analysis, chosen)
    parts = [text.show(analysis, chosen, all_axes=options.all_axes)]
    parts += [f"note: {text.plain(note)}" for note in _summed([*analysis.notes, *analysis.unequal])]
    return "\n".join(parts)


def _summed(notes: Sequence[Any], most: int = 8) -> list[str]:
    """The notes, those of one reason and operator in one line."""
    groups: dict[tuple[str, str], list[str]] = {}
    for note in notes:
        groups.setdefault((note.operator, note.reason), []).append(note.node)
    lines = []
    for (operator, reason), nodes in groups.items():
        names = ", ".join(f"'{node}'" for node in nodes[:3]) + (", ..." if len(nodes) > 3 else "")
        count = f" ({len(nodes)} nodes)" if len(nodes) > 1 else ""
        lines.append(f"{operator or 'input'} {names}{count}: {reason}")
    if len(lines) > most:
        lines[most:] = [f"and {len(lines) - most} more (--output-format json has all)"]
    return lines


def _unit(options: argparse.Namespace) -> str:
    if bool(options.every) == bool(options.tensor) or bool(options.every) != bool(options.at):
        raise QueryError("give TENSOR and INDEX, or --every and --at")
    if options.tensor and not options.index:
        raise QueryError("the unit is missing", remedy=f"rfgraph unit MODEL {options.tensor} 0,0")
    analysis = _analysis(options)
    if options.every:
        place = _index(options.at)
        chosen = [
            (row.name, row.operator, _padded(place, row.shape))
            for row in rows(analysis, options.every.split(","))
        ]
        units = [(name, operator, index) for name, operator, index in chosen if index is not None]
        if not units:
            raise QueryError(
                f"no value of {options.every} has a unit {options.at}", file=analysis.file
            )
    else:
        node = analysis.node(options.tensor)
        units = [(options.tensor, node.op_type if node else "input", _index(options.index))]
    found: list[dict[str, Any]] = [
        {
            "tensor": name,
            "operator": operator,
            "unit": list(index),
            "boxes": {i: analysis.box(name, index, i, options.local) for i in analysis.inputs},
        }
        for name, operator, index in units
    ]
    if options.output_format == "json":
        return json_format.units(analysis, found)
    table = [["value", "operator", "unit", *(f"sees {i}" for i in analysis.inputs)]]
    for entry in found:
        boxes = [text.box(box) for box in entry["boxes"].values()]
        index = ",".join(map(str, entry["unit"]))
        table.append([entry["tensor"], entry["operator"], index, *boxes])
    return "\n".join(text.aligned(table))


def _index(given: str) -> tuple[int, ...]:
    try:
        return tuple(int(i) for i in given.strip("()[] ").split(",") if i.strip())
    except ValueError:
        raise QueryError(f"'{given}' is no unit", remedy="whole numbers, as 0,0,4,5") from None


def _padded(place: tuple[int, ...], shape: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """The unit whose last coordinates are `place`; None where the value has no such unit."""
    if shape is None or len(shape) < len(place):
        return None
    index = (0,) * (len(shape) - len(place)) + place
    return index if all(-n <= i < n for i, n in zip(index, shape, strict=True)) else None


def _write(answer: str, path: Path | None) -> None:
    """Print, or write to a file that is either whole or not there."""
    try:
        if path is None:
            # What the terminal's encoding lacks is written out.
            encoding = sys.stdout.encoding or "utf-8"
            print(answer.encode(encoding, "backslashreplace").decode(encoding))
            sys.stdout.flush()
        elif path.exists() and not path.is_file():
            path.write_text(answer + "\n", encoding="utf-8")
        else:
            _replace(path, answer + "\n")
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        if path is None:
            _silence()
        reason = getattr(error, "strerror", None) or str(error)
        raise RFGraphError(f"can't be written: {reason}", file=str(path or "output")) from None


def _replace(path: Path, content: str) -> None:
    """Write beside the file and rename, with the permissions of any new file."""
    temporary = path.with_name(f".rfgraph-{os.getpid()}")
    try:
        with temporary.open("x", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


if __name__ == "__main__":
    sys.exit(main())
