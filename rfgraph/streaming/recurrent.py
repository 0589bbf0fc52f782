"""States that a model takes and gives: those of recurrent layers, and how they pair."""

from __future__ import annotations

from rfgraph.analysis import Analysis
from rfgraph.ops import traits_of


def states(analysis: Analysis) -> tuple[tuple[str, str], ...]:
    """The inputs of a model that are states before the first step, and what they are behind the
    last: the outputs that take up the states of the very layers that an input gives them to.
    """
    given: dict[str, set[str]] = {}
    made: dict[str, set[str]] = {}
    for step in analysis.flow.steps:
        node = step.node
        for before, behind in traits_of(node.domain, node.op_type).carried:
            if before >= len(node.inputs) or behind >= len(node.outputs):
                continue
            first, last = node.inputs[before], node.outputs[behind]
            for name in analysis.inputs:
                if first and (first == name or name in analysis.ancestors(first)):
                    given.setdefault(name, set()).add(last)
            for name in analysis.outputs:
                if last and (last == name or last in analysis.ancestors(name)):
                    made.setdefault(name, set()).add(last)
    return tuple(
        (before, behind)
        for before, layers in given.items()
        for behind, others in made.items()
        if layers == others and analysis.extent(before) == analysis.extent(behind)
    )


__all__ = ["states"]
