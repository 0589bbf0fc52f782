"""What the commands have in common: their options, the analysis, and what is written where."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rfgraph.analysis import Analysis, analyze, held
from rfgraph.errors import QueryError
from rfgraph.files import replace, unwritten
from rfgraph.model.graph import read
from rfgraph.render.documents import Screen
from rfgraph.render.text import printable
from rfgraph.timings import Timings

# Exit codes. ERROR is also that of an interruption.
CLEAN, FINDINGS, ERROR = 0, 1, 2

# Default limits for one model, in seconds and MiB: far more than a usable model takes. With less
# memory than _LEAST MiB not even an error can be reported.
_TIMEOUT, _MEMORY, _LEAST = 600, 1024, 64

# How a unit is given: help text that commands share.
UNIT = (
    "the coordinates of the unit; the first ones may be left out if they are 0: of 1x128x7x7, 3,3 "
    "is 0,0,3,3"
)

# What may have to be written out on a terminal, without and with colours.
_STEERS, _COLOURED = r"[^\n\t]+", r"(?:(?!\x1b\[\d+m)[^\n\t])+"

# The characters that pictures are made of.
_BLOCKS = "▀▄█▌▐─│┌┐└┘┄┆"


def add_common(
    command: argparse.ArgumentParser, *, timeout: int = _TIMEOUT, memory: int = _MEMORY
) -> None:
    """Add the options of every command about one model; the defaults are as in `add_analysis`."""
    command.add_argument("model", metavar="MODEL", help="an ONNX file")
    add_analysis(command, timeout=timeout, memory=memory)


def add_analysis(
    command: argparse.ArgumentParser, *, timeout: int = _TIMEOUT, memory: int = _MEMORY
) -> None:
    """Add the options of every command that analyses models, with the defaults of two."""
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
        metavar="NAME=VALUE",
        help=f"hold an input fixed: {held.FORMS}",
    )
    command.add_argument(
        "--prune",
        action="store_true",
        help="let constants cut reads: kernel taps that are zero, masks of attention",
    )
    command.add_argument("--strict", action="store_true", help="fail if an operator is not known")
    command.add_argument(
        "--ops",
        action="append",
        default=[],
        metavar="FILE",
        help="a Python file that registers transfers with rfgraph.transfer (may be repeated)",
    )
    command.add_argument(
        "--timeout",
        type=_limit,
        default=timeout,
        metavar="SECONDS",
        help=f"give up a model that takes longer (default: {timeout or 'never'}; 0: never)",
    )
    command.add_argument(
        "--memory",
        type=_memory,
        default=memory,
        metavar="MIB",
        help=f"give up a model that takes more memory, on Linux (default: {memory or 'never'}; 0: "
        "never)",
    )
    command.add_argument(
        "--debug", action="store_true", help="show a traceback on an internal error"
    )


def _limit(given: str) -> int:
    """A whole number from 0 on."""
    if not given.strip().isdecimal():
        raise argparse.ArgumentTypeError(f"'{given}' is not a whole number from 0 on")
    return int(given)


def _memory(given: str) -> int:
    """As `_limit`; with less nothing can be told any more."""
    number = _limit(given)
    if 0 < number < _LEAST:
        raise argparse.ArgumentTypeError(
            f"{number} is too little: give at least {_LEAST}, or 0 for no limit"
        )
    return number


class Answer(str):
    """What a command says, the exit code that it ends with, and files that it writes as well.

    If it is `coloured`, the escape sequences in it are its own.
    """

    code = CLEAN
    files: Mapping[Path, str] = {}
    coloured = False

    def __new__(
        cls,
        text: str,
        code: int,
        files: Mapping[Path, str] | None = None,
        *,
        coloured: bool = False,
    ) -> Answer:
        """The text, which is an answer."""
        made = super().__new__(cls, text)
        made.code = code
        made.files = files or {}
        made.coloured = coloured
        return made


def analysis_of(options: argparse.Namespace, timings: Timings | None = None) -> Analysis:
    """The analysis that the options ask for; `timings` is told how long its phases take."""
    progress = teller("nodes") if sys.stderr.isatty() else None
    return analyze(options.model, **arguments(options), progress=progress, timings=timings)


def arguments(options: argparse.Namespace) -> dict[str, Any]:
    """What the options of every command ask of `rfgraph.analyze`; transfers are registered."""
    register(options.ops)
    held = values(options.value)
    return {
        "shapes": shapes(options.shape, options.model, held),
        "values": held,
        "prune": options.prune,
        "strict": options.strict,
        "assume": True,
    }


def settings(options: argparse.Namespace, model: str | None) -> dict[str, Any]:
    """The same as settings of checks; `model` is the only one, if it is one."""
    given: dict[str, Any] = {}
    held = values(options.value)
    if options.shape:
        given["shapes"] = {n: list(s) for n, s in shapes(options.shape, model, held).items()}
    if held:
        given["values"] = held
    if options.ops:
        given["ops"] = [str(Path(file).resolve()) for file in options.ops]
    for name in ("prune", "strict"):
        if getattr(options, name):
            given[name] = True
    return given


def register(files: Sequence[str]) -> None:
    """Run the files that ``--ops`` names."""
    if files:
        from rfgraph import ops

        for file in files:
            ops.load(file)


def teller(what: str) -> Callable[[int, int], None]:
    """Says on the terminal how far long work is."""

    def tell(done: int, total: int) -> None:
        end = "\r" if done < total else "\r\033[K"
        print(f"rfgraph: {done} of {total} {what}", end=end, file=sys.stderr, flush=True)

    return tell


def values(given: list[str]) -> dict[str, Any]:
    """The inputs to hold fixed that ``--value`` names."""
    return dict(map(_value, given))


def shapes(
    given: list[str], model: str | None, held: Collection[str] = ()
) -> dict[str, tuple[int, ...]]:
    """The shapes that ``--shape`` names; without a name, that of the only input of `model` that
    is not `held`.
    """
    shapes = {}
    for item in given:
        name, equals, sizes = item.rpartition("=")
        if not equals:
            name = _only_input(model, held)
        try:
            shapes[name] = tuple(int(size) for size in sizes.split(",") if size)
        except ValueError:
            raise QueryError(
                f"--shape {item}: not a list of whole numbers",
                remedy="write it as --shape x=1,3,224,224",
            ) from None
    return shapes


def _only_input(model: str | None, held: Collection[str]) -> str:
    if model is None:
        raise QueryError(
            "--shape: with several models, the input has to be named",
            remedy="write it as --shape x=1,3,224,224",
        )
    names = [i.name for i in read(model).inputs if i.name not in held]
    if len(names) != 1:
        raise QueryError(
            f"--shape: the model has {len(names)} inputs",
            remedy="name one: " + ", ".join(f"--shape {name}=..." for name in names),
        )
    return names[0]


def _value(item: str) -> tuple[str, Any]:
    name, _, value = item.partition("=")
    try:
        return name, held.parsed(value)
    except ValueError as error:
        raise QueryError(
            f"--value {item}: {error}",
            remedy=f"write it as --value {name or 'mask'}=1,3,64,64 or --value "
            f"{name or 'mask'}=ones",
        ) from None


def index_of(given: str) -> tuple[int | slice, ...]:
    """A unit as it is written, or a region: ``0,0,4,5``, ``0,:,2:4,5``."""
    try:
        return tuple(_coordinate(part) for part in given.strip("()[] ").split(",") if part.strip())
    except ValueError:
        raise QueryError(
            f"'{given}' is not a unit",
            remedy="give whole numbers or slices, such as 0,0,4,5 or 0,0,:,3:5",
        ) from None


def _coordinate(part: str) -> int | slice:
    if ":" not in part:
        return int(part)
    ends = [int(end) if end.strip() else None for end in part.split(":")]
    if len(ends) > 3 or 0 in ends[2:]:
        raise ValueError(part)
    return slice(*ends)


def unit_of(analysis: Analysis, tensor: str, given: str) -> tuple[int | slice, ...]:
    """A unit, or a region, of a value, as `UNIT` says; that it is there the analysis finds out."""
    index = index_of(given)
    missing = len(analysis.shape(tensor) or ()) - len(index)
    return (0,) * missing + index if index else index


def axis_of(given: str) -> int | str:
    """An axis as it is given: a number, or a name."""
    return int(given) if given.isdecimal() else given


def middle(analysis: Analysis, tensor: str) -> tuple[int, ...]:
    """The unit in the middle of a value."""
    return tuple(n // 2 for n in analysis.extent(tensor) or ())


def padded(
    place: tuple[int | slice, ...], shape: tuple[int | None, ...] | None
) -> tuple[int | slice, ...] | None:
    """The unit whose last coordinates are `place`; None where a value has no such unit."""
    if shape is None or len(shape) < len(place):
        return None
    index = (0,) * (len(shape) - len(place)) + place
    there = (_within(i, n) for i, n in zip(index, shape, strict=True))
    return index if all(there) else None


def _within(at: int | slice, size: int | None) -> bool:
    """Whether there is anything at a coordinate: anything may be along an axis of unknown size."""
    if size is None:
        return True
    return bool(range(size)[at]) if isinstance(at, slice) else -size <= at < size


def whole_units(index: tuple[int | slice, ...]) -> tuple[int, ...] | None:
    """`index` if it is one unit."""
    single = tuple(at for at in index if not isinstance(at, slice))
    return single if len(single) == len(index) else None


def blocks(options: argparse.Namespace) -> bool:
    """Whether block characters can be written where the answer goes."""
    return any("=" not in file for file in options.output_file) or _is_encodable(_BLOCKS)


def _is_encodable(text: str) -> bool:
    """Whether standard output can have these characters."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def screen() -> Screen:
    """What standard output is: a terminal of some width, with colours, or neither."""
    is_terminal, width = sys.stdout.isatty(), None
    if is_terminal:
        # It takes its time to load.
        import shutil

        width = shutil.get_terminal_size().columns
    return Screen(width, _has_colours(is_terminal), "…" if _is_encodable("…") else "...")


def _has_colours(is_terminal: bool) -> bool:
    """Whether there are to be colours: NO_COLOR has the first word, then FORCE_COLOR."""
    if os.environ.get("NO_COLOR"):
        return False
    forced = os.environ.get("FORCE_COLOR")
    if forced:
        return forced not in ("0", "false")
    # Consoles of Windows before its Terminal print escape sequences as they are.
    is_able = sys.platform != "win32" or "WT_SESSION" in os.environ
    return is_terminal and is_able and os.environ.get("TERM") != "dumb"


def write(answer: str, path: Path | None) -> None:
    """Print, or write to a file that is either whole or not there."""
    try:
        if path is None:
            # What the terminal's encoding lacks is written out, and what steers it.
            encoding = sys.stdout.encoding or "utf-8"
            steers = _COLOURED if getattr(answer, "coloured", False) else _STEERS
            answer = re.sub(steers, lambda found: printable(found[0]), answer)
            print(answer.encode(encoding, "backslashreplace").decode(encoding))
            sys.stdout.flush()
        elif path.exists() and not path.is_file():
            path.write_text(answer + "\n", encoding="utf-8")
        else:
            content = (answer + "\n").encode("utf-8", "backslashreplace")
            replace(path, lambda stream: stream.write(content))
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        if path is None:
            silence()
        raise unwritten(error, path) from None


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Other processes that do the same wait until this one has read a file and written it anew.

    Where files can't be locked, as on Windows, they don't.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    # The file itself is replaced, and a lock on it lost: its folder stays.
    try:
        folder = os.open(path.resolve().parent, os.O_RDONLY)
    except OSError as error:
        raise unwritten(error, path) from None
    try:
        with suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def open_streams() -> None:
    """Standard streams that are closed swallow what is said there."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def silence() -> None:
    """Standard output is gone or full: nothing more is to be said there, not even at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
