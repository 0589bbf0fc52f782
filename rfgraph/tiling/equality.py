"""What it means that the result in tiles is that of the whole: bit for bit, or up to rounding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from math import inf
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from rfgraph.analysis import Analysis
from rfgraph.engine.trace import Step, sources
from rfgraph.errors import QueryError
from rfgraph.model import element_types
from rfgraph.model.sizes import UnknownSizeError
from rfgraph.ops import Operation, Rounding, Undetermined, traits_of
from rfgraph.prune.passing import Drops, Moves, Pointwise
from rfgraph.tiling.axes import AxisPlan
from rfgraph.tiling.obstacles import way

Level: TypeAlias = Literal["bit for bit", "within rounding", "not the same"]

# The options of a session with which values are the same bit for bit.
OPTIMISED, THREADS = "graph_optimization_level", "intra_op_num_threads"

_OTHER_FLOATS = {
    element_types.FLOAT16: "float16",
    element_types.DOUBLE: "double",
    element_types.BFLOAT16: "bfloat16",
}
_NOT_MEASURED = "the order of its sums was not measured"


class Cause(NamedTuple):
    """A node that keeps values from being the same bit for bit, whatever the options are."""

    node: str
    reason: str


@dataclass(frozen=True)
class Equality:
    """How far tiles give what the whole gives, in onnxruntime on one machine: as it was measured on
    x86-64 with AVX2.

    Attributes
    ----------
    level : str
        ``"bit for bit"``, ``"within rounding"`` or ``"not the same"``.
    options : dict of str to int or str
        The options of a session with which that holds, the same for tiles and whole: with others
        it is within rounding. ``intra_op_num_threads`` is the largest number of threads.
    causes : tuple of Cause
        The nodes that are the reason for a lower level, or for options, and why.

    Examples
    --------
    >>> from rfgraph.tiling import plan
    >>> found = plan("models/unet_tconv.onnx", tile=256).equality
    >>> found.level, found.options
    ('bit for bit', {'graph_optimization_level': 'ORT_ENABLE_ALL'})
    """

    level: Level
    options: Mapping[str, int | str] = field(default_factory=dict)
    causes: tuple[Cause, ...] = ()


@cache
def is_measured_here() -> bool:
    """Whether this processor is of the kind on which it was measured what is the same bit for bit:
    x86-64 with AVX2, and without the wider vectors of AVX-512. Only on Linux it can be told.
    """
    try:
        flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    except OSError:
        return False
    return "avx2" in flags and "avx512f" not in flags


def equality(analysis: Analysis, axes: Sequence[AxisPlan], outputs: Sequence[str]) -> Equality:
    """See `rfgraph.tiling.Plan.equality`; for tiles of the size that is planned.

    Parameters
    ----------
    analysis : Analysis
        Of the model.
    axes : sequence of AxisPlan
        The axes that are cut.
    outputs : sequence of str
        The outputs that are put together.
    """
    # At the smallest size of which tiles may be, sums are the most likely to be split otherwise.
    sizes = [_smallest(axis) for axis in axes]
    tile = resized(analysis, axes, sizes)
    longer = resized(analysis, axes, [n + a.alignment for a, n in zip(axes, sizes, strict=True)])
    found = list(_roundings(tile, longer, axes, outputs))
    lasting = [(node, r) for node, r in found if r.reason or not (r.is_blocked or r.threads)]
    if lasting:
        level: Level = "not the same" if any(r.is_moved for _, r in lasting) else "within rounding"
        return Equality(level, causes=tuple(Cause(node, _why(r)) for node, r in lasting))
    splitting = [(node, r) for node, r in found if r.threads < inf]
    options: dict[str, int | str] = {}
    if any(r.is_blocked for _, r in splitting):
        options[OPTIMISED] = "ORT_ENABLE_ALL"
    if threads := [int(r.threads) for _, r in splitting if not r.is_blocked]:
        options[THREADS] = min(threads)
    return Equality("bit for bit", options, tuple(Cause(node, _why(r)) for node, r in splitting))


def resized(analysis: Analysis, axes: Sequence[AxisPlan], sizes: Sequence[int]) -> Analysis:
    """The model with tiled axes of other sizes.

    Parameters
    ----------
    analysis : Analysis
        Of the model.
    axes : sequence of AxisPlan
        The axes.
    sizes : sequence of int
        The size of each.
    """
    shapes = {name: list(analysis.extent(name) or ()) for name in analysis.inputs}
    for axis, size in zip(axes, sizes, strict=True):
        for name, k in axis.inputs:
            shapes[name][k] = size
    return analysis.resized(shapes)


def _smallest(axis: AxisPlan) -> int:
    """The smallest size that tiles may get, which depends on that of the whole."""
    found = []
    for residue in axis.sizes:
        with suppress(QueryError):
            found.append(axis.fitted(axis.tile, residue + axis.alignment * (axis.tile + 1)))
    return min(found)


def _why(rounding: Rounding) -> str:
    return rounding.reason or "its sums are split by how many places are left to a thread"


def _roundings(
    tile: Analysis, longer: Analysis, axes: Sequence[AxisPlan], outputs: Sequence[str]
) -> Iterator[tuple[str, Rounding]]:
    """The nodes on the way from tiled axes to the outputs, and what their sums rest on."""
    on_way: set[str] = set()
    for axis in axes:
        on_way |= way(tile, outputs, axis.inputs).fields.keys()
    for step in tile.flow.steps:
        for value in step.node.outputs:
            if value not in on_way:
                continue
            sizes = zip(tile.extent(value) or (), longer.extent(value) or (), strict=False)
            grown = frozenset(k for k, (n, m) in enumerate(sizes) if n != m)
            yield str(step.node), _rounding(tile, step, value, grown)


def _rounding(analysis: Analysis, step: Step, value: str, grown: frozenset[int]) -> Rounding:
    """What the sums of a node rest on, of an output whose axes `grown` differ in size."""
    node, shapes = step.node, analysis.flow.shapes
    traits = traits_of(node.domain, node.op_type)
    if traits.rounding is None:
        moved = isinstance(traits.facts, Moves | Pointwise | Drops)
        return Rounding() if moved else Rounding(reason=_NOT_MEASURED)
    other = _OTHER_FLOATS.get(shapes.element_type(value))
    if other is not None:
        return Rounding(reason=f"{_NOT_MEASURED} in {other}")
    names = sources(node)
    live = {name for name in names if name in analysis.tensors and analysis.depends(name)}
    try:
        return traits.rounding(Operation(node, names, shapes, live), grown)
    except (Undetermined, UnknownSizeError):
        return Rounding(reason=_NOT_MEASURED)


__all__ = ["Cause", "Equality", "equality", "resized"]
