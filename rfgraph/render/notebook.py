"""Answers as notebooks show them: tables and drawings in HTML, in which all names are escaped.

Colours are those of the page: what is drawn is seen in the light and in the dark.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import singledispatch
from html import escape
from itertools import pairwise
from math import isnan

import numpy as np

from rfgraph.agreement.result import Agreement
from rfgraph.analysis.analysis import Analysis, Value
from rfgraph.engine.closed_form import AxisField, Field
from rfgraph.engine.support import Support
from rfgraph.errors import RFGraphError
from rfgraph.measure.discrepancy import Occlusion
from rfgraph.measure.spread import Effective, Growth
from rfgraph.render import agreements, effective, occlusions, streams, tiles, validation
from rfgraph.render.picture import scaled, summary
from rfgraph.render.rows import shown_axes
from rfgraph.render.text import box, field, number, plain, shape, sizes, written
from rfgraph.streaming import Plan as StreamPlan
from rfgraph.tiling import Plan as TilePlan
from rfgraph.validation.report import Validation

# The most outputs, violations and notes that are listed.
_MOST = 12

# The most cells of a drawing along an axis, and its width and least height in pixels.
_CELLS, _WIDE, _LOW = 112, 224, 14

_INK = "#0072b2"


@singledispatch
def html(answer: object) -> str:
    """An answer as HTML.

    Parameters
    ----------
    answer : Analysis, Value, Field, AxisField, Support, Validation, Agreement, Effective or others
        What is to be shown.

    Examples
    --------
    >>> html(AxisField.periodic(2, (-1, 1)))[:40]
    '<table><thead><tr><th>size</th><th>strid'
    """
    raise TypeError(f"nothing shows {type(answer).__name__}")


@html.register
def _analysis(answer: Analysis) -> str:
    """What each output sees of each input, as `rfgraph show` tells it."""
    outputs = [name for name in answer.outputs if answer.depends(name)]
    head = ["", "shape", *(f"sees {name} {shape(answer.shape(name))}" for name in answer.inputs)]
    lines = [
        f"{answer.file or 'a model'}: {len(answer.tensors)} values",
        *_more(len(outputs), "outputs"),
        *map(str, answer.notes[:_MOST]),
        *_more(len(answer.notes), "notes"),
    ]
    return _table(head, [_row(answer, name) for name in outputs[:_MOST]]) + _lines(lines)


@html.register
def _value(answer: Value) -> str:
    """What it sees of each input, and a drawing of what its unit in the middle sees."""
    analysis = answer.analysis
    head = [
        "",
        "shape",
        *(f"sees {name} {shape(analysis.shape(name))}" for name in analysis.inputs),
    ]
    table = _table(head, [_row(analysis, answer.name)])
    extent = analysis.extent(answer.name)
    seen = [name for name in analysis.inputs if analysis.depends(answer.name, name)]
    if not extent or 0 in extent or not seen:
        return table
    middle = tuple(n // 2 for n in extent)
    try:
        support = analysis.support(answer.name, middle, seen[0])
    except RFGraphError:  # some shape on the way is not known
        return table
    drawn = _drawing(support, shown_axes(analysis, seen[0]))
    return table + _lines([f"unit {written(middle)} sees of {summary(support)}"]) + drawn


@html.register
def _field(answer: Field) -> str:
    head = ["axis", *_FIGURES]
    return _table(head, [[str(k), *_figures(axis)] for k, axis in enumerate(answer)])


@html.register
def _axis_field(answer: AxisField) -> str:
    return _table(_FIGURES, [_figures(answer)])


@html.register
def _support(answer: Support) -> str:
    """A drawing along the two longest axes, for a picture is one wherever its channels stand."""
    long = [axis for axis, size in enumerate(answer.shape) if size > 1]
    axes = sorted(sorted(long, key=lambda axis: answer.shape[axis])[-2:])
    return _lines([summary(answer), box(answer.box)]) + _drawing(answer, axes)


@html.register
def _validation(answer: Validation) -> str:
    found = answer.violations
    lines = [*validation.summary(answer), *_more(len(found), "violations")]
    rows = [[v.value, written(v.unit), v.input, v.claim, v.changed] for v in found[:_MOST]]
    head = ["value", "unit", "input", "claim that is contradicted", "changed"]
    return _lines(lines) + (_table(head, rows) if rows else "")


@html.register
def _agreement(answer: Agreement) -> str:
    """The outputs of every pair of sides, and the nodes that part."""
    rows = [
        [f"{pair.first}, {pair.second}", one.name, one.kind, agreements.percent(one.distance)]
        for pair in answer.pairs
        for one in pair.outputs
    ]
    parted = [agreements.sentence(one) for pair in answer.pairs for one in pair.differences]
    lines = [
        *map(agreements.side_words, answer.sides),
        *parted[:_MOST],
        *_more(len(parted), "nodes"),
        *agreements.summary(answer),
    ]
    head = ["sides", "output", "elements", "values apart"]
    return (_table(head, rows[:_MOST]) if rows else "") + _lines(lines)


@html.register
def _effective(answer: Effective) -> str:
    head, *rows = effective.shares_of(answer)
    return (
        _lines(effective.summary(answer))
        + _table(head, rows)
        + _lines(effective.remarks_of(answer))
    )


@html.register
def _growth(answer: Growth) -> str:
    head, *rows = effective.layers_of(answer)
    return _table(head, rows) + _lines(effective.all_remarks(answer)[:_MOST])


@html.register
def _occlusion(answer: Occlusion) -> str:
    """What each channel or unit responds to."""
    lines = [*occlusions.summary(answer), *answer.notes[:_MOST]]
    return _table(occlusions.HEAD, list(occlusions.rows_of(answer))) + _lines(lines)


@html.register
def _tile_plan(answer: TilePlan) -> str:
    exact = [] if answer.is_exact else ["NOT EXACT: tiles do not give the result of the whole"]
    waste = f"{float(answer.waste):.2f} elements are computed for each one that is kept"
    (head, *rows), (below, *outputs) = tiles.axes_of(answer), tiles.outputs_of(answer)
    return _table(head, rows) + _table(below, outputs) + _lines([*exact, waste])


@html.register
def _stream_plan(answer: StreamPlan) -> str:
    head, *rows = streams.outputs_of(answer)
    return _table(head, rows) + _lines(streams.remarks_of(answer))


# ---------------------------------------------------------------- figures

_FIGURES = ["size", "stride", "start", "centre", "reach back", "reach ahead"]


def _figures(axis: AxisField) -> list[str]:
    if axis.is_global:
        return ["global", *["-"] * (len(_FIGURES) - 1)]
    told = (axis.stride, axis.start, axis.centre, axis.back, axis.ahead)
    return [sizes(axis), *("-" if isnan(value) else number(value) for value in told)]


def _row(analysis: Analysis, name: str) -> list[str]:
    """A value, its shape, and what it sees of each input."""
    cells = [name, shape(analysis.shape(name))]
    for given in analysis.inputs:
        if analysis.depends(name, given):
            near, full = (analysis.field(name, given, local) for local in (True, False))
            cells.append(field(near, full, analysis.moving_axes(given)))
        else:
            cells.append("-")
    return cells


# ---------------------------------------------------------------- HTML


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def line(kind: str, cells: Sequence[str]) -> str:
        return "<tr>" + "".join(f"<{kind}>{_said(cell)}</{kind}>" for cell in cells) + "</tr>"

    body = "".join(line("td", row) for row in rows)
    return f"<table><thead>{line('th', head)}</thead><tbody>{body}</tbody></table>"


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"<div>{_said(line)}</div>" for line in lines)


def _said(text: str) -> str:
    return escape(plain(text))


def _more(number: int, what: str) -> list[str]:
    return [f"and {number - _MOST:,} more {what}"] if number > _MOST else []


def _drawing(support: Support, axes: Sequence[int]) -> str:
    """The mask in the frame of the whole value, as SVG."""
    if not support or not axes:
        return ""
    mask = support.projection(axes)
    mask = mask if mask.ndim == 2 else mask[None]
    steps = [-(-n // _CELLS) for n in mask.shape]
    cells = scaled(mask, (steps[0], steps[1]))
    height, width = (n / step for n, step in zip(mask.shape, steps, strict=True))
    wide = _WIDE * min(1, mask.shape[1] / mask.shape[0])
    high = max(wide * mask.shape[0] / mask.shape[1], _LOW)
    label = escape(f"what is seen of {plain(support.value)} ({shape(support.shape)})", quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{label}" '
        f'width="{wide:.0f}" height="{high:.0f}" viewBox="0 0 {width:g} {height:g}" '
        f'preserveAspectRatio="none" style="outline:1px solid; margin:4px">'
        f'<path fill="{_INK}" shape-rendering="crispEdges" d="{_outline(cells)}"/></svg>'
    )


def _outline(cells: np.ndarray) -> str:
    """Rectangles that are together the cells: runs of a row, as long as rows below are alike."""
    parts = []
    changes = (cells[1:] != cells[:-1]).any(axis=1).nonzero()[0] + 1
    edges = [0, *changes.tolist(), len(cells)]
    for top, bottom in pairwise(edges):
        ends = np.flatnonzero(np.diff(np.concatenate([[0], cells[top].astype(np.int8), [0]])))
        parts += [f"M{a} {top}H{b}V{bottom}H{a}z" for a, b in ends.reshape(-1, 2).tolist()]
    return "".join(parts)
