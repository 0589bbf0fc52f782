"""The tables of `rfgraph why`."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from rfgraph.analysis.analysis import Analysis
from rfgraph.engine.why import Explanation, Hop
from rfgraph.render.documents import Reasons
from rfgraph.render.text import aligned, plain, sizes

# The length of the longest bar, in characters.
_BAR = 16


def text(document: Reasons) -> str:
    """What `rfgraph why` says."""
    analysis, tensor, unit = document.analysis, document.tensor, document.unit
    local = document.local
    title = f"{tensor}[{','.join(map(str, unit))}]"
    parts = []
    for name, explanations in document.found.items():
        alike: dict[object, list[Explanation]] = {}
        for explanation in explanations:
            alike.setdefault((_key(explanation.lower), _key(explanation.upper)), []).append(
                explanation
            )
        for group in alike.values():
            head = _head(analysis, tensor, unit, title, group, local=local)
            parts.append("\n".join([*map(plain, head), "", *_tables(group[0])]))
        if not explanations:
            box = analysis.box(tensor, unit, name, local)
            seen = "nothing" if box is None else "no more than one element along an axis"
            parts.append(plain(f"{title} sees {seen} of {name}"))
    return "\n\n".join(parts)


def _key(way: Sequence[Hop]) -> tuple[object, ...]:
    return tuple((hop.tensor, hop.bounds) for hop in way)


def _head(
    analysis: Analysis,
    tensor: str,
    unit: Sequence[int],
    title: str,
    group: Sequence[Explanation],
    *,
    local: bool,
) -> list[str]:
    found = group[0]
    axis, (first, last) = found.axis, found.lower[0].bounds
    axes = ("axis " if len(group) == 1 else "axes ") + ",".join(str(e.axis) for e in group)
    size = last - first + 1
    seen = f"{title} sees {size} of {found.size} along {axes} of {found.input}: {first}..{last}"
    field = analysis.field(tensor, found.input, local)[axis]
    if isfinite(field.size) and field.size > size and (first == 0 or last == found.size - 1):
        seen += f" ({sizes(field)} away from the borders)"
    lines = [seen]
    whole = found.whole
    if whole is not None:
        lines.append(f"first to see the whole axis: {_named(whole)}")
    full = analysis.box(tensor, unit, found.input)
    near = analysis.box(tensor, unit, found.input, local=True)
    if whole is not None and field.is_global and whole.added:
        lines[-1] += ", by what it reads of the whole axis at once"
    if local and full is not None and full[axis] != (first, last):
        (wider,) = analysis.explain(tensor, found.input, unit, False, [axis])
        most = max(wider.lower, key=lambda hop: hop.added)
        ends = f"{full[axis][0]}..{full[axis][1]}"
        lines.append(f"with statistics and attention: {ends}, by {_named(most)}; see --all")
    elif not local and near is not None and near[axis] != (first, last):
        lines.append(f"without what is global: {near[axis][0]}..{near[axis][1]}; see --local")
    return lines


def _named(hop: Hop) -> str:
    return f"{hop.tensor} ({hop.node.op_type if hop.node else 'input'})"


def _tables(found: Explanation) -> list[str]:
    lower, upper = found.lower, found.upper
    if [hop.tensor for hop in lower] == [hop.tensor for hop in upper]:
        return _table(found, list(zip(lower, upper, strict=True)))
    first, last = lower[0].bounds
    return [
        f"the lower end, {first}:",
        *_table(found, [(hop,) for hop in lower]),
        "",
        f"the upper end, {last}:",
        *_table(found, [(hop,) for hop in upper]),
    ]


def _table(found: Explanation, way: Sequence[tuple[Hop, ...]]) -> list[str]:
    """The nodes that add, from the input on; at both ends of the bounds if there are two hops."""
    ends = ["lower end", "upper end"] if len(way[0]) > 1 else ["bounds"]
    table = [["adds", "", "size", *ends, "value", "operator"]]
    most = max(hop.added for hops in way for hop in hops)
    silent = 0
    for hops in reversed(way):
        added = [hop.added for hop in hops]
        if not any(added) and hops[0].node is not None:
            silent += 1
            continue
        bar = "#" * max(round(_BAR * max(added) / most), max(added) > 0) if most > 0 else ""
        table.append(
            [
                _both([f"{n:+}" for n in added]) if hops[0].node else "",
                bar,
                _both([str(hop.bounds[1] - hop.bounds[0] + 1) for hop in hops]),
                *(f"{hop.bounds[0]}..{hop.bounds[1]}" for hop in hops),
                hops[0].tensor,
                hops[0].node.op_type if hops[0].node else "input",
            ]
        )
    lines = [f"  {line}" for line in aligned(table)]
    if silent:
        lines.append(f"  {silent} more node{' adds' if silent == 1 else 's add'} nothing")
    return lines


def _both(texts: Sequence[str]) -> str:
    return texts[0] if len(set(texts)) == 1 else "|".join(texts)
