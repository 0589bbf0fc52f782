"""What `rfgraph fit` says."""

from __future__ import annotations

from fractions import Fraction

from rfgraph.analysis.objects import AxisFit, Fit
from rfgraph.render.documents import Fits
from rfgraph.render.text import aligned, number, plain


def text(document: Fits) -> str:
    """A table with a row for each output and axis."""
    table = [
        ["output", "axis", "object", "places", "margin", "stride", "field", "all axes together"]
    ]
    for found in document.found:
        for k, axis in enumerate(found.axes):
            table.append(
                [
                    found.output if not k else "",
                    f"{axis.axis} of {found.input}",
                    str(axis.size),
                    _share(axis.share),
                    _margin(axis),
                    number(axis.stride),
                    _field(axis),
                    _share(found.share) if not k else "",
                ]
            )
    return "\n".join([*aligned(table), *_remarks(document)])


def _share(share: Fraction | None) -> str:
    return "?" if share is None else f"{float(share):.0%}" if share in (0, 1) else f"{share}"


def _margin(axis: AxisFit) -> str:
    if axis.margin is None or axis.widest is None:
        return "?" if axis.share is None else "all"
    same = axis.margin == axis.widest
    return f"{axis.margin}" if same else f"{axis.margin}..{axis.widest}"


def _field(axis: AxisFit) -> str:
    smallest, largest = number(axis.smallest), number(axis.largest)
    return largest if smallest == largest else f"{smallest}..{largest}"


def _remarks(document: Fits) -> list[str]:
    found: list[Fit] = [each for each in document.found if each.is_global]
    lines = []
    if found:
        names = plain(", ".join(dict.fromkeys(each.output for each in found)))
        lines.append(f"note: what {names} see of the whole input at once is left out")
    if any(each.share is None for each in document.found):
        lines.append("note: ?: fields that are no windows which move evenly")
    return lines
