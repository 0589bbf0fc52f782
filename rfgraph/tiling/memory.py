"""How much memory one run of a tile takes, and the largest tile for a budget: estimated."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from math import prod

from rfgraph.analysis import Analysis
from rfgraph.engine.trace import sources
from rfgraph.errors import QueryError, ShapeError
from rfgraph.model import element_types
from rfgraph.ops import traits_of
from rfgraph.prune.passing import Moves, Pointwise
from rfgraph.tiling.axes import AxisPlan
from rfgraph.tiling.equality import resized

# Of types that numpy lacks.
_BYTES = {element_types.BFLOAT16: 2, element_types.INT4: 1, element_types.UINT4: 1}

# No tile is larger than that along an axis.
_MOST = 1 << 24


def peak(analysis: Analysis, outputs: Collection[str]) -> int:
    """The bytes of all values that are alive at a time, at most, and of the weights.

    A value lives from the node that makes it to the last one that takes it, inputs and outputs to
    the end. What is made element by element, or moved, takes the place of what it is made of.

    Parameters
    ----------
    analysis : Analysis
        At the shapes of a run.
    outputs : collection of str
        The outputs that are wanted.
    """
    flow, shapes = analysis.flow, analysis.flow.shapes
    last: dict[str, int] = {}
    for k, step in enumerate(flow.steps):
        last |= dict.fromkeys(sources(step.node), k)
    kept = {*analysis.inputs, *outputs}
    live = sum(_size(analysis, name) for name in analysis.inputs)
    most = live
    for k, step in enumerate(flow.steps):
        node = step.node
        made = [name for name in node.outputs if name and shapes.static(name) is None]
        ended = [n for n in dict.fromkeys(sources(node)) if last[n] == k and n not in kept]
        ended = [n for n in ended if n not in shapes.graph.weights and shapes.static(n) is None]
        grown, freed = (sum(_size(analysis, n) for n in names) for names in (made, ended))
        in_place = isinstance(traits_of(node.domain, node.op_type).facts, Moves | Pointwise)
        most = max(most, live + grown - (min(grown, freed) if in_place else 0))
        live += grown - freed
    return most + _weights(analysis)


def _size(analysis: Analysis, name: str) -> int:
    kind = analysis.flow.shapes.element_type(name)
    dtype = element_types.DTYPES.get(kind)
    extent = analysis.flow.shapes.shape(name) or ()
    return prod(map(int, extent)) * (dtype.itemsize if dtype else _BYTES.get(kind, 8))


def _weights(analysis: Analysis) -> int:
    graph = analysis.flow.shapes.graph
    used = {name for step in analysis.flow.steps for name in sources(step.node)}
    return sum(_size(analysis, name) for name in used if name in graph.weights)


def largest(
    analysis: Analysis, axes: Sequence[AxisPlan], outputs: Collection[str], memory: int
) -> list[int]:
    """The sizes of the largest tile, the same along all axes as far as the model takes it, of which
    a run is estimated to take no more than some bytes.

    Parameters
    ----------
    analysis : Analysis
        Of the model.
    axes : sequence of AxisPlan
        The axes that are cut.
    outputs : collection of str
        The outputs that are wanted.
    memory : int
        The bytes.

    Raises
    ------
    QueryError
        The smallest tile takes more.
    """

    def sizes(tile: int) -> list[int]:
        return [axis.fitted(max(tile, axis.smallest)) for axis in axes]

    def takes(tile: int) -> int:
        with suppress(ShapeError):
            return peak(resized(analysis, axes, sizes(tile)), outputs)
        return memory + 1

    low = min(axis.smallest for axis in axes)
    least = takes(low)
    if least > memory:
        raise QueryError(
            f"the smallest tile, {'x'.join(map(str, sizes(low)))}, is estimated to take "
            f"{mebibytes(least)}, more than {mebibytes(memory)}",
            file=analysis.file,
            remedy="give more memory, or cut other axes",
        )
    high = 2 * low
    while high < _MOST and takes(high) <= memory:
        low, high = high, 2 * high
    while high - low > max(axis.alignment for axis in axes):
        middle = (low + high) // 2
        low, high = (middle, high) if takes(middle) <= memory else (low, middle)
    return sizes(low)


def mebibytes(size: int) -> str:
    """Bytes, for people.

    >>> mebibytes(3 << 20)
    '3.0 MiB'
    """
    return f"{size / (1 << 20):.1f} MiB"


__all__ = ["largest", "mebibytes", "peak"]
