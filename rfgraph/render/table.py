"""What ``rfgraph show`` prints: a table and notes.

Where it goes to a file or another program it is whole and plain. On a terminal it is no wider than
that: figures are left out and names are shortened until it fits.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from rfgraph.render.text import Words, look_ahead, plain, shape, share, words

if TYPE_CHECKING:
    from rfgraph.analysis.analysis import Analysis
    from rfgraph.render.documents import LayerTable, Screen
    from rfgraph.render.rows import Module, Row

# The most lines of notes.
_MOST_NOTES = 8

# What some exporters write between the name of a node and the number of its output.
_APPENDED = re.compile(r"_output_(?=\d+$)")

# More than any width.
_ALL = sys.maxsize

# Between columns.
_GAP = "  "

# The least room for the header of what is seen of an input, which may have a long name.
_LEAST_HEADER = 16

# Escape sequences of terminals (ECMA-48, SGR), and the words that are written with them.
_RESET, _BOLD = "\x1b[0m", "\x1b[1m"
_YELLOW, _MAGENTA, _CYAN = "\x1b[33m", "\x1b[35m", "\x1b[36m"
_WORDS = re.compile(r"(?P<wide>(?<!\S)\+?global\b)|(?P<open>(?<!\S)(?:past|future)\b)|(?P<rough>~)")
_COLOURS = {"wide": _YELLOW, "open": _CYAN, "rough": _MAGENTA}


class _Step(NamedTuple):
    """The least widths of names, operators and shapes, and how many figures a field has."""

    name: int
    operator: int
    shape: int
    figures: int


# What a file or another program gets, and a terminal that has the room; then how a table becomes
# narrower. What is below the first two steps is for one input only.
_PIPED = _Step(_ALL, _ALL, _ALL, 0)
_WHOLE = _Step(_ALL, _ALL, _ALL, 4)
_STEPS = (
    _Step(48, 14, _ALL, 4),
    _Step(26, 12, _ALL, 3),
    _Step(20, 8, _ALL, 2),
    _Step(12, 6, 8, 1),
)
_OF_SEVERAL = _STEPS[:2]


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the table: a value, or above some of them their module."""

    row: Row | None
    density: Mapping[str, float] | None
    name: str
    indent: int = 0


@dataclass(frozen=True, slots=True)
class _Inside:
    """What a module holds, in order."""

    module: Module
    all: list[_Line | _Inside] = dataclasses.field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Column:
    """A column, header first, and how it may become narrower: to at least `least`, by `cut`."""

    kind: str
    cells: list[str]
    least: int
    cut: Callable[[str, int, str], str]

    @property
    def width(self) -> int:
        return max(map(_width, self.cells))


def text(document: LayerTable) -> str:
    """What `rfgraph show` says: a table and notes."""
    analysis, densities, screen = document.analysis, document.densities, document.screen
    left_out = list(densities).count(None) if densities else 0
    notes = [*_open_axes(analysis), *_summed([*analysis.notes, *analysis.unequal])]
    notes += document.hints
    if left_out:
        values = "value" if left_out == 1 else "values"
        notes.insert(
            0,
            f"the density of {left_out} {values} is left out: choose fewer values with --select",
        )
    said = [f"note: {plain(note)}" for note in notes]
    if screen.width is not None:
        said = [line for note in said for line in _wrapped(note, screen.width)]
    if screen.colours:
        said = [re.sub("^note:", f"{_BOLD}note:{_RESET}", line) for line in said]
    return "\n".join([*_tables(document, screen), *said])


# ---------------------------------------------------------------- notes


def _open_axes(analysis: Analysis) -> Iterator[str]:
    """What open axes are taken as, in one line."""
    notes = [(note, note.axis) for note in analysis.notes if note.axis is not None]
    if len(notes) < 2:
        yield from (f"input '{note.node}': {note.reason}" for note, _ in notes)
        return
    taken: dict[str, int] = {}
    for note, axis in notes:
        size = (analysis.extent(note.node) or ())[axis]
        name = analysis.dims(note.node)[axis]
        if not isinstance(name, str) or taken.setdefault(name, size) != size:
            taken[f"axis {axis} of '{note.node}'"] = size
    said = ", ".join(f"{name} = {size}" for name, size in taken.items())
    why = {note.reason.partition(": ")[2] for note, _ in notes}
    yield ": ".join([f"open axes are taken as {said}", *sorted(filter(None, why))])


def _summed(notes: Sequence[Any]) -> list[str]:
    """The other notes, those of one reason and operator in one line."""
    groups: dict[tuple[str, str], list[str]] = {}
    for note in notes:
        if note.axis is None:
            groups.setdefault((note.operator, note.reason), []).append(note.node)
    lines = []
    for (operator, reason), nodes in groups.items():
        names = ", ".join(f"'{node}'" for node in nodes[:3]) + (", ..." if len(nodes) > 3 else "")
        count = f" ({len(nodes)} nodes)" if len(nodes) > 1 else ""
        lines.append(f"{operator or 'input'} {names}{count}: {reason}")
    if len(lines) > _MOST_NOTES:
        lines[_MOST_NOTES:] = [
            f"and {len(lines) - _MOST_NOTES} more (--output-format json has all)"
        ]
    return lines


def _wrapped(note: str, width: int) -> list[str]:
    # What goes elsewhere needs none of it.
    from textwrap import wrap

    return wrap(note, max(width, 20), subsequent_indent="  ", break_on_hyphens=False)


# ---------------------------------------------------------------- lines


def _lines(document: LayerTable) -> list[_Line]:
    """The values in order; with modules, each once, and below it what is in it."""
    rows, densities = document.rows, document.densities or [None] * len(document.rows)
    lines = [_Line(row, density, row.name) for row, density in zip(rows, densities, strict=True)]
    if document.modules is None:
        return lines
    is_short = document.screen.width is not None
    top = _Inside(())
    known = {top.module: top}
    for row, line in zip(rows, lines, strict=True):
        path = document.modules.get(row.tensor, ())
        for depth in range(1, len(path) + 1):
            if path[:depth] not in known:
                known[path[:depth]] = inside = _Inside(path[:depth])
                known[path[: depth - 1]].all.append(inside)
        name = line.name.rpartition("/")[2] if is_short and path else line.name
        known[path].all.append(replace(line, name=name))
    return list(_below(top, is_short=is_short))


def _below(top: _Inside, *, is_short: bool) -> Iterator[_Line]:
    """The lines of what is in a module; if it is to be short, a value that is alone in one of them
    is in one line with it.
    """
    # A stack: modules may be nested deeper than functions.
    pending = [(each, top, 0) for each in reversed(top.all)]
    while pending:
        found, around, indent = pending.pop()
        if isinstance(found, _Line):
            yield replace(found, indent=indent)
            continue
        # A module that holds nothing but another one stands in one line with it.
        while len(found.all) == 1 and isinstance(found.all[0], _Inside):
            found = found.all[0]
        heading, first = _heading(found.module, around.module), found.all[0]
        if is_short and len(found.all) == 1 and isinstance(first, _Line):
            yield replace(first, name=f"{heading}/{first.name}", indent=indent)
            continue
        yield _Line(None, None, heading, indent)
        pending += [(each, found, indent + 1) for each in reversed(found.all)]


def _heading(module: Module, around: Module) -> str:
    """The name of a module within another one; a number is no name."""
    begin = len(around)
    while begin and module[begin].isdecimal():
        begin -= 1
    return ".".join(module[begin:])


def _axes(document: LayerTable) -> dict[str, list[int]]:
    """The axes of each input that are shown."""
    analysis = document.analysis
    if document.all_axes:
        return {name: list(range(len(analysis.extent(name) or ()))) for name in analysis.inputs}
    axes = {name: analysis.moving_axes(name) for name in analysis.inputs}
    return axes | {name: [axis] for name, axis in (document.time or {}).items()}


def _which(axes: Sequence[int], all_axes: bool) -> str:
    said = ",".join(map(str, axes))
    return "" if all_axes or not axes else f" axes {said}" if "," in said else f" axis {said}"


def _fields(lines: Sequence[_Line], name: str, axes: Sequence[int]) -> list[Words]:
    found = []
    for line in lines:
        seen = None if line.row is None else line.row.fields.get(name)
        nothing = Words("" if line.row is None else "-")
        found.append(nothing if seen is None else words(seen.local, seen.full, axes))
    return found


def _beside(document: LayerTable, lines: Sequence[_Line], name: str) -> Iterator[list[str]]:
    """What stands beside the fields of an input: look-ahead and density, where they are asked for,
    below their headers.
    """
    time = document.time or {}
    if name in time:
        cells = ["ahead"]
        for line in lines:
            seen = None if line.row is None else line.row.fields.get(name)
            told = "-" if seen is None else look_ahead(seen.full[time[name]])
            cells.append("" if line.row is None else told)
        yield cells
    if document.densities is not None:
        cells = ["density"]
        for line in lines:
            dense = (line.density or {}).get(name)
            told = "-" if dense is None else share(dense)
            cells.append("" if line.row is None else told)
        yield cells


# ---------------------------------------------------------------- on a terminal


def _tables(document: LayerTable, screen: Screen) -> list[str]:
    """The table; on a terminal that has too little room, one for each input."""
    lines, inputs = _lines(document), document.analysis.inputs
    if screen.width is None:
        columns = _columns(document, lines, inputs, _PIPED)
        return _joined(columns, [column.width for column in columns], lines, screen)
    steps = (_WHOLE, *(_OF_SEVERAL if len(inputs) > 1 else _STEPS))
    whole = _fitting(document, lines, inputs, steps, screen)
    if whole is not None:
        return whole
    found: list[str] = []
    for name in inputs:
        # What depends on no input is shown once.
        some = [
            line
            for line in lines
            if line.row is None
            or name in line.row.fields
            or (name == inputs[0] and not line.row.fields)
        ]
        found += [""] if found else []
        found += _fitting(document, _filled(some), [name], (_WHOLE, *_STEPS), screen) or []
    return found


def _filled(lines: Sequence[_Line]) -> list[_Line]:
    """The lines without modules that have no value below them."""
    kept: list[_Line] = []
    for line in reversed(lines):
        if line.row is not None or (kept and kept[-1].indent > line.indent):
            kept.append(line)
    return kept[::-1]


def _fitting(
    document: LayerTable,
    lines: Sequence[_Line],
    inputs: Sequence[str],
    steps: Sequence[_Step],
    screen: Screen,
) -> list[str] | None:
    """The table by the first step with which it fits; if there is none the last one is to do, or
    of several inputs None.
    """
    assert screen.width is not None
    for step in steps:
        columns = _columns(document, lines, inputs, step)
        least = [min(column.least, column.width) for column in columns]
        spare = screen.width - sum(least) - len(_GAP) * (len(columns) - 1)
        if spare >= 0:
            break
    else:
        if len(inputs) > 1:
            return None
    # What is left the fields' headers get first, then names; what is still missing these give.
    for k in (*range(4, len(columns)), 3, 1, 2):
        more = min(spare, columns[k].width - least[k])
        least[k] += max(more, 0) if spare > 0 else max(spare, 1 - least[k])
        spare = screen.width - sum(least) - len(_GAP) * (len(columns) - 1)
    return _joined(columns, least, lines, screen)


def _columns(
    document: LayerTable, lines: Sequence[_Line], inputs: Sequence[str], step: _Step
) -> list[_Column]:
    analysis, axes = document.analysis, _axes(document)
    rows = [line.row for line in lines]
    columns = [
        _Column("mark", ["", *("*" if row and row.is_output else "" for row in rows)], 1, _end),
        _Column(
            "name",
            ["value", *("  " * line.indent + plain(line.name) for line in lines)],
            step.name,
            _middle,
        ),
        _Column(
            "operator",
            ["operator", *(plain(row.operator) if row else "" for row in rows)],
            step.operator,
            _end,
        ),
        _Column(
            "shape",
            ["shape", *(shape(row.shape) if row else "" for row in rows)],
            step.shape,
            _end,
        ),
    ]
    for name in inputs:
        fields = _fields(lines, name, axes[name])
        cells = (
            _one_below_the_other(fields, step.figures) if step.figures else list(map(str, fields))
        )
        header = f"sees {plain(name)}"
        # The input is a line of the table as well.
        header += f" {shape(analysis.shape(name))}" if step in (_PIPED, _WHOLE) else ""
        header += _which(axes[name], document.all_axes)
        least = max([_LEAST_HEADER, *map(_width, cells)]) if step in _STEPS else _ALL
        columns.append(_Column("field", [header, *cells], least, _middle))
        columns += [
            _Column("figure", beside, _ALL, _end) for beside in _beside(document, lines, name)
        ]
    return columns


def _one_below_the_other(fields: Sequence[Words], figures: int) -> list[str]:
    """The first few figures of fields, and the marks, in columns."""
    kept = [(*each[:figures], each.marks) for each in fields]
    # A single word needs no column.
    wide = [each for each in kept if any(each[1:])] or [("",) * (figures + 1)]
    widths = [max(map(len, column)) for column in zip(*wide, strict=True)]
    return [
        " ".join(part.ljust(n) for part, n in zip(each, widths, strict=True) if n or part).rstrip()
        for each in kept
    ]


def _joined(
    columns: Sequence[_Column], widths: Sequence[int], lines: Sequence[_Line], screen: Screen
) -> list[str]:
    """The lines of a table with columns of these widths."""
    made = []
    for k, line in enumerate([None, *lines]):
        cells = []
        for column, width in zip(columns, widths, strict=True):
            cell = column.cut(column.cells[k], width, screen.cut)
            padding = " " * (width - _width(cell))
            cells.append((_painted(cell, column.kind, line) if screen.colours else cell) + padding)
        made.append(_GAP.join(cells).rstrip())
    return made


def _width(text: str) -> int:
    """How many places of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def _end(text: str, width: int, cut: str) -> str:
    """A text without its end, if it is too long."""
    if _width(text) <= width:
        return text
    return (_begin(text, width - len(cut)) + cut)[:width]


def _middle(text: str, width: int, cut: str) -> str:
    """A text without its middle, if it is too long: its end tells more than its beginning."""
    if _width(text) <= width:
        return text
    # Of what exporters append to a node's name the number is enough.
    text = _APPENDED.sub(cut, text)
    if _width(text) <= width:
        return text
    bare = text.lstrip(" ")
    indent = text[: len(text) - len(bare)]
    room = width - len(indent) - len(cut)
    head = _begin(bare, max(room, 0) // 4)
    tail = _begin(bare[::-1], max(room - _width(head), 0))[::-1]
    return _begin(indent + head + cut + tail, width)


def _begin(text: str, width: int) -> str:
    """As much of a text as fits."""
    if text.isascii():
        return text[: max(width, 0)]
    while _width(text) > width and text:
        text = text[:-1]
    return text


# ---------------------------------------------------------------- colours


def _painted(cell: str, kind: str, line: _Line | None) -> str:
    """A cell with colours; the header's has no line."""
    if not cell:
        return cell
    if line is None or (kind in ("mark", "name") and line.row and line.row.is_output):
        return f"{_BOLD}{cell}{_RESET}"
    if line.row is None:
        return f"{_CYAN}{cell}{_RESET}"
    if kind != "field":
        return cell
    return _WORDS.sub(lambda word: f"{_COLOURS[word.lastgroup or '']}{word[0]}{_RESET}", cell)


__all__ = ["text"]
