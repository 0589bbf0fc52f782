"""The nodes that see whole axes, so that a tile has only its own part of what they see."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from rfgraph.analysis import Analysis
from rfgraph.engine.trace import sources
from rfgraph.reads.words import (
    Elementwise,
    Everything,
    Fixed,
    PerAxis,
    Read,
    Rearrange,
    Shape,
    Stage,
    followed,
)
from rfgraph.tiling.obstacles import TilingError, Way, obstacle, reached


def global_reads(at: Way, longer: Analysis, outputs: Collection[str]) -> Iterator[TilingError]:
    """The nodes on the way to outputs that read whole the axis along which a value moves.

    Parameters
    ----------
    at : Way
        Of the local part.
    longer : Analysis
        Of the model with that axis longer.
    outputs : collection of str
        The outputs that are wanted.
    """
    flow, wanted = at.analysis.flow, reached(at.analysis, outputs)
    along = " and ".join(f"axis {axis} of '{name}'" for name, axis in at.axes)
    for step in flow.steps:
        names = sources(step.node)
        for output, reads in zip(step.node.outputs, step.reads, strict=False):
            if output not in wanted:
                continue
            extent = flow.shape(output) or ()
            for source, whole in _whole(reads, set(), len(extent), flow.shape, names):
                if not whole.isdisjoint(_moving(at, longer, names[source])):
                    yield obstacle(at.analysis, output, f"it sees the whole of {along}")
                    break


def _moving(at: Way, longer: Analysis, value: str) -> set[int]:
    """The axes of a value that grow with the tiled axis."""
    if value not in at.fields:
        return set()
    sizes = zip(at.analysis.extent(value) or (), longer.extent(value) or (), strict=False)
    return {k for k, (n, m) in enumerate(sizes) if n != m}


def _whole(
    reads: Sequence[Read],
    own: set[int],
    rank: int,
    shape_of: Callable[[str], Shape | None],
    names: Sequence[str],
) -> Iterator[tuple[int, set[int]]]:
    """The inputs that are read, and their axes that are read whole.

    `own` are those, of the `rank` axes of what reads, that are read whole themselves.
    """
    for read in reads:
        source = read.source
        shape = source.shape if isinstance(source, Stage) else shape_of(names[source])
        axes = range(len(shape or ()))
        whole: set[int] = set()
        if isinstance(read, Everything) or (isinstance(read, Rearrange) and own):
            whole = set(axes)
        elif isinstance(read, Elementwise):
            whole = {axis - rank + len(axes) for axis in own}
        elif isinstance(read, PerAxis):
            for axis, along in enumerate(read.axes):
                fixed = isinstance(along, Fixed) and along.count is None
                if fixed or not own.isdisjoint(followed(along)):
                    whole.add(axis)
        if isinstance(source, Stage):
            yield from _whole(source.reads, whole, len(axes), shape_of, names)
        else:
            yield source, whole


__all__ = ["global_reads"]
