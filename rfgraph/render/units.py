"""What `rfgraph unit` says: a table, and a picture of what one unit sees."""

from __future__ import annotations

from rfgraph.render.documents import Units
from rfgraph.render.picture import picture, summary
from rfgraph.render.rows import shown_axes
from rfgraph.render.text import aligned, box, share, written


def text(document: Units) -> str:
    """A line for each unit or region, and a drawing of the first."""
    parts = ["\n".join(aligned(_table(document)))]
    if document.drawn:
        for support in document.found[0].supports.values():
            if support:
                axes = shown_axes(document.analysis, support.value)
                drawn = picture(support, axes, width=document.width, blocks=document.blocks)
                parts.append("\n".join(part for part in (summary(support), drawn) if part))
    return "\n\n".join(parts)


def _table(document: Units) -> list[list[str]]:
    dense = bool(document.found[0].supports)
    header = ["value", "operator", "unit"]
    for name in document.inputs:
        header += [f"sees {name}", "density"] if dense else [f"sees {name}"]
    table = [header]
    for found in document.found:
        cells = [found.tensor, found.operator, written(found.unit)]
        for name in document.inputs:
            cells.append(box(found.boxes[name]))
            if dense:
                support = found.supports[name]
                cells.append(share(support.density) if support else "-")
        table.append(cells)
    return table
