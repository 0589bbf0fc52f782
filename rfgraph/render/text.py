"""Tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, isfinite, isinf, isnan
from typing import TYPE_CHECKING

from rfgraph.errors import shortened

if TYPE_CHECKING:
    from rfgraph.analysis.analysis import Analysis
    from rfgraph.engine.closed_form import AxisField, Field, Number
    from rfgraph.render.rows import Row
    from rfgraph.timings import Timings


def show(
    analysis: Analysis,
    rows: Sequence[Row],
    densities: Sequence[Mapping[str, float] | None] | None = None,
    *,
    all_axes: bool = False,
) -> str:
    """The table of `rfgraph show`.

    Parameters
    ----------
    analysis : Analysis
        The analysis.
    rows : sequence of Row
        The values to show.
    densities : sequence of mapping, optional
        For each row and input the share of its box that the middle unit sees.
    all_axes : bool
        Every axis of each input; else those along which something moves.
    """
    axes = {name: analysis.moving_axes(name) for name in analysis.inputs}
    if all_axes:
        axes = {name: list(range(len(analysis.extent(name) or ()))) for name in analysis.inputs}
    header = ["", "value", "operator", "shape"]
    for name in analysis.inputs:
        which = ",".join(map(str, axes[name]))
        shown = (
            "" if all_axes or not which else f" axes {which}" if "," in which else f" axis {which}"
        )
        header.append(f"sees {name} {shape(analysis.shape(name))}{shown}")
        header += ["density"] * (densities is not None)
    table = [header]
    for k, row in enumerate(rows):
        cells = ["*" if row.is_output else "", row.name, row.operator, shape(row.shape)]
        for name in analysis.inputs:
            seen = row.fields.get(name)
            cells.append("-" if seen is None else field(seen.local, seen.full, axes[name]))
            if densities is not None:
                dense = (densities[k] or {}).get(name)
                cells.append("-" if dense is None else share(dense))
        table.append(cells)
    return "\n".join(aligned(table))


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


def field(local: Field, full: Field, axes: Sequence[int]) -> str:
    """A field over some axes: ``92-100x92-100 /1 @-46 reach 51/51``.

    Sizes from the smallest to the largest, stride, start, reach back and ahead; ``+global`` where
    more than that is seen.
    """
    chosen = [local[axis] for axis in axes]
    if not chosen:
        return "all" if full.is_global else "."
    if all(a.is_global for a in chosen):
        return "global"
    text = "x".join(map(sizes, chosen))
    moving = [a for a in chosen if not a.is_global]
    text += f" /{_each([number(a.stride) for a in moving])}"
    starts = [number(a.start) for a in moving if not isinf(a.start)]
    text += f" @{_each(starts)}" if starts else ""
    if not all(isnan(a.back) for a in moving):
        text += f" reach {_each([_reach(a) for a in moving])}"
    if any(a.irregular or a.branches for a in chosen):
        text += " ~"
    wider = [full[axis].is_global and not local[axis].is_global for axis in axes]
    return text + (" +global" if any(wider) else "")


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


def share(part: float) -> str:
    """A share of a whole in percent; 100% is all of it, and nothing less."""
    if part in (0, 1):
        return f"{part:.0%}"
    percent = max(100 * part, 0.01)
    return f"{min(percent, 99.9):.{0 if 1 <= percent < 99 else 1 if percent >= 0.1 else 2}f}%"
