"""What `rfgraph tile` says."""

from __future__ import annotations

from math import isinf

from rfgraph.render.documents import Tiling
from rfgraph.render.text import aligned, number, plain
from rfgraph.tiling import Equality, Plan, Verification
from rfgraph.tiling.memory import mebibytes


def text(document: Tiling) -> str:
    """A table of the axes and one of the outputs, or why there can be none."""
    if document.obstacle is not None:
        error = document.obstacle
        lines = ["no tiles give the result of the whole: the first reason is", plain(_said(error))]
        lines += [f"to do: {plain(error.remedy)}"] if error.remedy else []
        if error.global_reads:
            lines += ["", "without what these nodes see --local plans, and the result differs:"]
            lines += [f"  {plain(_said(each))}" for each in error.global_reads]
        return "\n".join(lines)
    assert document.plan is not None
    plan = document.plan
    parts = [] if plan.is_exact else ["NOT EXACT: tiles do not give the result of the whole", ""]
    parts += [*aligned(axes_of(plan)), "", *aligned(outputs_of(plan)), "", *_remarks(plan)]
    if document.verified is not None:
        parts += ["", *_verified(document.verified)]
    if document.stored is not None:
        stored = document.stored
        before = f", of which {stored.before} were there before" if stored.before else ""
        parts.append(f"{plain(stored.target)} is there, of {stored.tiles} tiles{before}")
    return "\n".join(parts)


def _said(error: Exception) -> str:
    """The node and the reason."""
    return f"{getattr(error, 'node', None) or 'the model'}: {getattr(error, 'message', error)}"


def axes_of(plan: Plan) -> list[list[str]]:
    """The table of the axes that are cut."""
    table = [["axis", "tile", "core", "margin", "needed", "alignment", "unaligned", "sizes"]]
    table += [
        [
            axis.title + (f" ({axis.name})" if axis.name else ""),
            str(axis.fitted(axis.tile)),
            str(axis.core()),
            "/".join(map(str, axis.margin)),
            f"{axis.before}/{axis.after}",
            str(axis.alignment),
            "/".join(map(str, axis.unaligned)),
            axis.sizes_text,
        ]
        for axis in plan.axes
    ]
    return table


def outputs_of(plan: Plan) -> list[list[str]]:
    """The table of how outputs follow them."""
    table = [["output", "axis", "along", "scale", "offset", "centre", "needed"]]
    for output in plan.outputs:
        for axis in plan.axes:
            follows = axis.outputs.get(output)
            if follows is not None:
                table.append(
                    [
                        output,
                        str(follows.axis),
                        axis.title,
                        number(follows.scale),
                        number(follows.offset),
                        number(follows.centre),
                        f"{follows.before}/{follows.after}",
                    ]
                )
    return table


def _verified(found: Verification) -> list[str]:
    """Differences between tiles and the whole, and those that less makes."""
    table = [["verified", "tiles", "difference", "margin before less", "after less", "unaligned"]]
    table += [
        [
            along.axis.title,
            str(along.tiles),
            _difference(along.difference),
            _difference(along.less_before),
            _difference(along.less_after),
            _difference(along.unaligned),
        ]
        for along in found.axes
    ]
    shapes = ", ".join(f"{name}: {'x'.join(map(str, n))}" for name, n in found.shapes.items())
    said = "tiles give what the whole gives" if found.ok else "TILES DIFFER FROM THE WHOLE"
    if not found.is_exact:
        said = (
            f"measured: differences of up to {_difference(found.difference)} of the largest value"
        )
    lines = [*aligned(table), ""] if found.costs else aligned(table)
    if found.costs:
        costs = [["measured, if this node alone sees no more than a tile", "difference"]]
        costs += [[plain(node), _difference(cost)] for node, cost in found.costs.items()]
        lines += [*aligned(costs), ""]
    return [*lines, f"{said}, at {plain(shapes)}"]


def _difference(found: float | None) -> str:
    """Relative to the largest value."""
    if found is None:
        return "-"
    return "missing" if isinf(found) else f"{found:.1e}" if found else "0"


# So many nodes that keep values from being the same are named.
_NAMED = 3


def _equality(found: Equality) -> str:
    """How far tiles give what the whole gives, and because of which nodes."""
    said = f"in onnxruntime the result is that of the whole, {found.level}"
    if found.options:
        options = (
            f"{name} {'of at most ' if isinstance(given, int) else '= '}{given}"
            for name, given in found.options.items()
        )
        said += f", with {' and '.join(options)}; else within rounding"
    if found.level == "not the same":
        said = "in onnxruntime the result is not, or need not be, that of the whole"
    by_reason: dict[str, list[str]] = {}
    for node, reason in found.causes:
        by_reason.setdefault(reason, []).append(node)
    lines = [said]
    for reason, nodes in list(by_reason.items())[:_NAMED]:
        others = f" and {len(nodes) - 1} more" if len(nodes) > 1 else ""
        lines.append(f"  {plain(nodes[0])}{others}: {reason}")
    if len(by_reason) > _NAMED:
        rest = list(by_reason.values())[_NAMED:]
        lines.append(f"  and {sum(map(len, rest))} other nodes")
    return "\n".join(lines)


def _remarks(plan: Plan) -> list[str]:
    lines = [f"{float(plan.waste):.2f} elements are computed for each one that is kept"]
    lines.append(f"a run of one tile takes {mebibytes(plan.memory)}, as estimated")
    lines.append(_equality(plan.equality))
    if plan.whole:
        lines.append(f"every tile gets the whole of {plain(', '.join(plan.whole))}")
    fixed = [axis.title for axis in plan.axes if axis.is_fixed]
    if fixed:
        lines.append(
            f"note: the file fixes {plain(', '.join(fixed))}: to run tiles, export the model with "
            "these axes open (dynamic)"
        )
    notes = [note for note in plan.analysis.notes if note.kind != "size"]
    return [*lines, *(f"note: {plain(str(note))}" for note in notes)]
