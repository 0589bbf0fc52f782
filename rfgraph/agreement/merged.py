"""What parts only where a runtime makes one of several nodes: the first value, and the nodes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
import onnx

from rfgraph.agreement.cut import Cut, suspicious
from rfgraph.agreement.node import Alone, Seen, judged, parted
from rfgraph.agreement.result import Difference
from rfgraph.agreement.sides import Side
from rfgraph.worker.protos import reads_of

# So many nodes in a row are taken for one that a runtime may have made of them.
_DEEP = 6


def merged(
    sides: tuple[Side, Side], cut: Cut, feeds: Mapping[str, np.ndarray], outputs: Collection[str]
) -> tuple[Difference, Alone, Seen | None] | None:
    """The first value that parts where the whole model runs up to it, found by halving.

    Parameters
    ----------
    sides : tuple of Side
        Both, of which no node parts alone.
    cut : Cut
        The model's nodes and values.
    feeds : mapping of str to ndarray
        The model's inputs.
    outputs : collection of str
        Its outputs that part.

    Returns
    -------
    (Difference, Alone, Seen or None), or None
        As `judged` has them, of a model of the fewest nodes before the value that part; None
        where none do.
    """
    nodes, _ = cut.before(outputs)
    places = [(node, n) for node in nodes for n in node.output if n in cut.values]
    if not places:
        return None
    least = apart(sides, feeds, places[-1][1]) / 4
    low, high = 0, len(places) - 1
    while low < high:
        middle = (low + high) // 2
        if apart(sides, feeds, places[middle][1]) > least:
            high = middle
        else:
            low = middle + 1
    node, value = places[low]
    for deep in range(2, _DEEP + 1):
        group = _last(nodes, node, deep)
        hidden = {name for one in group for name in one.output} - {value}
        shorter = replace(cut, values={n: a for n, a in cut.values.items() if n not in hidden})
        model, fed, shown = shorter.model([node])
        found = parted(sides, model, fed, list(shown).index(value))
        if isinstance(found, Alone):
            difference, small, sight = judged(sides, node, value, found)
            kinds = ", ".join(one.op_type for one in group[:-1])
            text = f"{difference.text}; not by itself, but together with {kinds} before it"
            return replace(difference, text=text), small or found, sight
    return None


def apart(sides: tuple[Side, Side], feeds: Mapping[str, np.ndarray], value: str) -> float:
    """How far a value is apart where the whole model runs up to it; 0 if that is rounding."""
    made = []
    for side in sides:
        answer = side.open_upto([value])
        made.append(side.session.run([feeds])[0] if answer.answered else answer)
    if not (made[0].answered and made[1].answered):
        return 0.0
    ours, theirs = (np.asarray(one.outputs[0]) for one in made)
    return suspicious(ours, theirs, *sides)


def _last(nodes: Sequence[onnx.NodeProto], node: onnx.NodeProto, deep: int) -> list[onnx.NodeProto]:
    """A node and those before it, so many steps back, in topological order."""
    wanted, chosen = reads_of(node), [node]
    for _ in range(deep - 1):
        before = [n for n in nodes if n not in chosen and not wanted.isdisjoint(n.output)]
        chosen += before
        wanted = {name for one in before for name in reads_of(one)}
    return [one for one in nodes if one in chosen]


__all__ = ["apart", "merged"]
