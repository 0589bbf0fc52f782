"""Names in the subgraphs of nodes: what they capture, and other names for what they hold."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

# Attribute types that may hold graphs: ``GRAPH``, ``GRAPHS``, and 0, a type that is not given.
_MAYBE_GRAPHS = frozenset({5, 10, 0})


def captures_of(node: onnx.NodeProto) -> list[str]:
    """Names that the subgraphs of `node` use and do not define, in order of use."""
    found: dict[str, None] = {}
    for attribute in node.attribute:
        if attribute.type in _MAYBE_GRAPHS:
            for graph in (attribute.g, *attribute.graphs):
                found.update(dict.fromkeys(_free_names(graph)))
    return list(found)


def _formal_names(graph: onnx.GraphProto) -> Iterator[str]:
    yield from (v.name for v in graph.input)
    yield from (t.name for t in graph.initializer)
    yield from (s.values.name for s in graph.sparse_initializer)


def own_names(graph: onnx.GraphProto) -> Iterator[str]:
    """The values that a graph has of its own: those of its subgraphs not."""
    yield from _formal_names(graph)
    yield from (name for node in graph.node for name in node.output if name)


def _free_names(graph: onnx.GraphProto) -> list[str]:
    own = set(_formal_names(graph))
    free: dict[str, None] = {}
    for node in graph.node:
        for name in (*node.input, *captures_of(node)):
            if name and name not in own:
                free[name] = None
        own.update(node.output)
    for output in graph.output:
        if output.name not in own:
            free[output.name] = None
    return list(free)


def fresh_names(names: Iterable[str], taken: Collection[str]) -> dict[str, str]:
    """For each of some names one that is not taken, nor given to another."""
    found: dict[str, str] = {}
    used = set(taken)
    for name in sorted(names):
        numbered = (f"{name}.{k}" for k in count(1))
        found[name] = next(other for other in numbered if other not in used)
        used.add(found[name])
    return found


def rename(graph: onnx.GraphProto, renamed: Mapping[str, str]) -> None:
    """Give other names to what a graph takes and returns, in place: its nodes are left alone."""
    tensors = [*graph.initializer, *(sparse.values for sparse in graph.sparse_initializer)]
    for value in (*graph.input, *graph.output, *graph.value_info, *tensors):
        value.name = renamed.get(value.name, value.name)
