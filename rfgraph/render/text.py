"""The words and figures of tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isfinite, isnan
from typing import TYPE_CHECKING, NamedTuple

from rfgraph.errors import shortened

if TYPE_CHECKING:
    from rfgraph.engine.closed_form import AxisField, Field, Number
    from rfgraph.timings import Timings


def aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """Lines with the columns of `table` aligned."""
    table = [[plain(cell) for cell in row] for row in table]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


def timings(taken: Timings) -> str:
    """The table of ``rfgraph show --timings``: milliseconds of CPU time, and passes."""
    table = [["phase", "ms", "passes"]]
    for phase in ("read", "shapes", "lowering", "closed form", "answer"):
        if phase in taken.passes:
            passes = str(taken.passes[phase])
            table.append([phase, f"{1000 * taken.seconds[phase]:.1f}", passes])
    table.append(["total", f"{1000 * sum(taken.seconds.values()):.1f}", ""])
    return "\n".join(aligned(table))


def plain(text: str) -> str:
    """Names and messages fit for one line of a terminal: what can't be printed is written out, and
    of very long words the middle is left out.
    """
    return shortened(printable(text))


def printable(text: str) -> str:
    """A text in which what can't be printed is written out."""
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def shape(value: Sequence[int | None] | None) -> str:
    """A shape, as ``1x3x224x224``, with ``?`` for a size that the data decide."""
    if value is None:
        return "?"
    return "x".join("?" if size is None else str(size) for size in value) or "scalar"


class Words(NamedTuple):
    """A field in words, each ``""`` if there is nothing to say: size ``92-100x92-100``, stride
    ``/1``, start ``@-46``, ``reach 51/51``, and marks.
    """

    size: str
    stride: str = ""
    start: str = ""
    reach: str = ""
    marks: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, self))


def field(local: Field, full: Field, axes: Sequence[int]) -> str:
    """A field over some axes: ``92-100x92-100 /1 @-46 reach 51/51``, see `words`."""
    return str(words(local, full, axes))


def words(local: Field, full: Field, axes: Sequence[int]) -> Words:
    """A field over some axes: sizes from the smallest to the largest, stride, start, reach back and
    ahead; ``+global`` where more than that is seen.
    """
    chosen = [local[axis] for axis in axes]
    if not chosen:
        return Words("all" if full.is_global else ".")
    if all(a.is_global for a in chosen):
        return Words("global")
    moving = [a for a in chosen if not a.is_global]
    starts = [number(a.start) for a in moving if isfinite(a.start)]
    is_rough = any(a.irregular or a.branches for a in chosen)
    wider = any(full[axis].is_global and not local[axis].is_global for axis in axes)
    return Words(
        "x".join(map(sizes, chosen)),
        f"/{_each([number(a.stride) for a in moving])}",
        f"@{_each(starts)}" if starts else "",
        "" if all(isnan(a.back) for a in moving) else f"reach {_each([_reach(a) for a in moving])}",
        " ".join(["~"] * is_rough + ["+global"] * wider),
    )


def look_ahead(axis: AxisField) -> str:
    """How far behind their own elements units see along the time axis.

    >>> from rfgraph.engine.closed_form import AxisField
    >>> look_ahead(AxisField.periodic(1, (-1, 2))), look_ahead(AxisField.endless())
    ('2', 'all')
    """
    if axis.ahead == inf:
        return "all"
    return "?" if isnan(axis.ahead) else number(axis.ahead)


def sizes(axis: AxisField) -> str:
    """How many elements units see: ``7``, ``92-100``, or in a word.

    >>> from rfgraph.engine.closed_form import AxisField
    >>> sizes(AxisField.periodic(1, (-1, 1))), sizes(AxisField.endless())
    ('3', 'all')
    """
    if axis.is_past or axis.is_future:
        return "past" if axis.is_past else "future"
    if axis.size == inf:
        return "all" if axis.smallest == inf else f"{number(axis.smallest)}-all"
    if axis.smallest == axis.size:
        return number(axis.size)
    return f"{number(axis.smallest)}-{number(axis.size)}"


def _reach(axis: AxisField) -> str:
    return "-" if isnan(axis.back) else f"{number(axis.back)}/{number(axis.ahead)}"


def _each(texts: Sequence[str]) -> str:
    return texts[0] if len(set(texts)) == 1 else ",".join(texts)


def number(value: Number) -> str:
    """A whole number, a fraction, ``all`` without end, or ``?`` where there is none."""
    if isinstance(value, float) and not isfinite(value):
        return "?" if isnan(value) else "all"
    return str(value)


def box(ends: Sequence[tuple[int, int]] | None) -> str:
    """A box, as ``8..13 10..15``, and its size."""
    if ends is None:
        return "nothing"
    spans = " ".join(f"{lo}..{hi}" for lo, hi in ends)
    return f"{spans}  ({'x'.join(str(hi - lo + 1) for lo, hi in ends)})" if ends else "a scalar"


def written(index: tuple[int | slice, ...]) -> str:
    """A unit or a region, as `index_of` takes it."""
    return ",".join(map(coordinate, index))


def coordinate(at: int | slice) -> str:
    """One coordinate, or a run of them."""
    if not isinstance(at, slice):
        return str(at)
    ends = [at.start, at.stop] if at.step is None else [at.start, at.stop, at.step]
    return ":".join("" if end is None else str(end) for end in ends)


def share(part: float) -> str:
    """A share of a whole in percent; 100% is all of it, and nothing less."""
    if part in (0, 1):
        return f"{part:.0%}"
    percent = max(100 * part, 0.01)
    return f"{min(percent, 99.9):.{0 if 1 <= percent < 99 else 1 if percent >= 0.1 else 2}f}%"
