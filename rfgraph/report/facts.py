"""What the page tells of a model beside the program: values, nodes, fields, findings and notes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite, isnan, prod
from pathlib import PurePath
from typing import Any

from rfgraph.analysis.analysis import Analysis
from rfgraph.checks.finding import Checked, Finding
from rfgraph.engine._lowering import AxisView, leaves
from rfgraph.engine.closed_form import AxisField
from rfgraph.engine.trace import Flow, Step
from rfgraph.model.scopes import Path, paths
from rfgraph.render import text
from rfgraph.render.rows import Row, rows
from rfgraph.report.program import Once, Shipped
from rfgraph.version import VERSION

# Notes of these kinds say that more may be taken to be read than is.
_ASSUMED = ("unknown", "computed", "shape")


def document(
    analysis: Analysis, checked: Checked | None = None, stated: Mapping[str, Path] | None = None
) -> dict[str, Any]:
    """Everything that the page shows, as plain lists and mappings.

    Parameters
    ----------
    analysis : Analysis
        Of the model.
    checked : Checked, optional
        What `rfgraph check` finds in it.
    stated : mapping of str to tuple of str, optional
        The scopes that the file states: see `rfgraph.model.scopes.declared`.
    """
    bounds = analysis.lowered
    shipped = Shipped(analysis.flow, bounds)
    nodes = [
        _node(step, path, shipped, within)
        for (step, within), path in zip(*_steps(analysis.flow, stated), strict=True)
    ]
    inputs = [_input(analysis, name) for name in analysis.inputs]
    fields, maps = Once(), Once()
    table = {row.tensor: row for row in rows(analysis)}
    values = [
        _value(name, table.get(name), analysis, bounds.views.get(name, {}), inputs, fields, maps)
        for name in shipped.names
    ]
    return {
        "version": VERSION,
        "model": PurePath(analysis.file).name if analysis.file else "model",
        "program": shipped.document(),
        "inputs": inputs,
        "held": list(analysis.held),
        "values": values,
        "fields": fields.all,
        "maps": maps.all,
        "nodes": nodes,
        "assumed": _assumed(analysis, shipped),
        "findings": [] if checked is None else list(map(_finding, checked.findings)),
        "remarks": [] if checked is None else [*filter(None, [checked.error]), *checked.remarks],
        "checks": [] if checked is None else checked.codes,
        "notes": [
            [note.kind, note.operator, note.node, note.reason]
            for note in (*analysis.notes, *analysis.unequal)
        ],
    }


# ---------------------------------------------------------------- nodes


def _steps(
    flow: Flow, stated: Mapping[str, Path] | None
) -> tuple[list[tuple[Step, Sequence[tuple[str, str]]]], list[Path]]:
    """The nodes, those of loops before the one that repeats them, what each loop begins with, and
    the scopes of each.
    """
    found = list(_walk(flow.steps))
    names = [(step.node.name if step.node.named else "", step.node.outputs) for step, _ in found]
    return found, paths(names, stated)


def _walk(steps: Sequence[Step]) -> Iterator[tuple[Step, Sequence[tuple[str, str]]]]:
    for step in steps:
        carried: list[tuple[str, str]] = []
        if step.cycle is not None:
            carried = [(inner, first) for (first, *_), inner, _ in step.cycle.carried]
            yield from _walk(step.cycle.steps)
        yield step, carried


def _node(
    step: Step, path: Path, shipped: Shipped, carried: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    node = step.node
    known = shipped.number
    made: dict[str, Any] = {
        "name": node.name,
        "op": f"{node.domain}.{node.op_type}" if node.domain else node.op_type,
        "in": list(dict.fromkeys(known[n] for n in (*node.inputs, *node.captures) if n in known)),
        "out": [known[name] for name in node.outputs if name in known],
    }
    if path:
        made["path"] = path
    if carried:
        made["carried"] = [
            [known[inner], known[first]] for inner, first in carried if first in known
        ]
    return made


def _assumed(analysis: Analysis, shipped: Shipped) -> list[list[Any]]:
    """The values that nodes make of which more may be taken to be read than is, and why."""
    reasons = {note.node: note.reason for note in analysis.notes if note.kind in _ASSUMED}
    return [
        [shipped.number[name], reasons[step.node.name]]
        for step, _ in _walk(analysis.flow.steps)
        if step.node.name in reasons
        for name in step.node.outputs
        if name in shipped.number
    ]


# ---------------------------------------------------------------- values


def _input(analysis: Analysis, name: str) -> dict[str, Any]:
    shape = analysis.extent(name) or ()
    moving = [axis for axis in analysis.moving_axes(name) if shape[axis] > 1]
    wide = [axis for axis, size in enumerate(shape) if size > 1]
    dims = [dim if isinstance(dim, str) else None for dim in analysis.dims(name)]
    # A picture shows at most three of them.
    return {"dims": dims, "axes": (moving or wide)[-3:]}


def _value(
    name: str,
    row: Row | None,
    analysis: Analysis,
    views: Mapping[str, tuple[AxisView, ...]],
    inputs: Sequence[Mapping[str, Any]],
    fields: Once,
    maps: Once,
) -> dict[str, Any]:
    """What is told of a value; what is not the same as its program says."""
    shape = analysis.shape(name)
    made: dict[str, Any] = {}
    if shape is not None and None in shape:
        made["shape"] = shape
    if row is None:
        return made
    if row.is_output:
        made["output"] = 1
    # By input: what it sees along each axis that is shown, and how its units lie over that.
    for k, (given, told) in enumerate(zip(analysis.inputs, inputs, strict=True)):
        if given in row.fields:
            seen = row.fields[given]
            along = [_field(seen.local[axis], seen.full[axis]) for axis in told["axes"]]
            made.setdefault("fields", {})[k] = fields.add(along)
            lie = [_digits(views[given][axis]) for axis in told["axes"]]
            made.setdefault("maps", {})[k] = maps.add(lie)
    return made


def _field(local: AxisField, full: AxisField) -> dict[str, Any]:
    """The figures of a field along one axis: for people, and for sorting and drawing."""
    made: dict[str, Any] = {"size": text.sizes(local)}
    if isfinite(local.size):
        made["n"] = [int(local.smallest), int(local.size)]
    if local.is_global or full.is_global:
        made["global"] = 1
    if not local.is_global:
        made["stride"] = text.number(local.stride)
        if isfinite(local.stride):
            made["s"] = float(local.stride)
        if isfinite(local.start):
            made["start"] = text.number(local.start)
            made["o"] = float(local.start)
        if not isnan(local.back):
            made["reach"] = f"{text.number(local.back)}/{text.number(local.ahead)}"
    if local.irregular or local.branches:
        made["uneven"] = 1
    return made


def _digits(view: AxisView) -> list[list[int]]:
    """Along which digits of its coordinates a value sees different places of an axis: those of the
    item that tells most places apart, the most significant one first.
    """
    pieces = [item.pieces for item, _ in leaves(view) if not item.is_global]
    chosen = max(pieces, key=lambda found: prod(p.size for p in found), default=())
    return [[p.axis, p.inner, p.size, p.shift] for p in chosen]


def _finding(found: Finding) -> dict[str, Any]:
    return {
        "code": found.code,
        "severity": found.severity,
        "message": found.message,
        "remedy": found.remedy,
        "place": found.place,
        "values": [each.value for each in found.each if each.value],
        "nodes": [each.node for each in found.each if each.node],
    }
