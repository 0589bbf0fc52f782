"""What one unit sees, with all that pictures show of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite

import numpy as np

from rfgraph.analysis.analysis import Analysis
from rfgraph.engine.support import Support
from rfgraph.errors import QueryError
from rfgraph.plot.names import shortened
from rfgraph.render.rows import shown_axes
from rfgraph.render.text import coordinate, share
from rfgraph.render.text import shape as size_of

Index = Sequence[int | slice]
Ends = tuple[int, int]


@dataclass(slots=True)
class Seen:
    """What a unit, or a region, sees of an input along the axes that are shown.

    Attributes
    ----------
    tensor, operator : str
        The value, and what makes it.
    index : tuple of int or slice
        The unit.
    support : Support
        All that it sees.
    axes : tuple of int
        The axes of the input that are shown.
    mask : ndarray of bool
        What is seen along them.
    own : tuple of (int, int) or None
        By shown axis: the first and the last of the unit's own elements, where it has a place.
    unclipped : tuple of (int, int)
        By shown axis: what it would see were there no borders; more than is seen in the padding.
    alike : list of str
        Values after it that see the same.
    """

    tensor: str
    operator: str
    index: tuple[int | slice, ...]
    support: Support
    axes: tuple[int, ...]
    mask: np.ndarray
    own: tuple[Ends | None, ...]
    unclipped: tuple[Ends, ...]
    alike: list[str] = field(default_factory=list)

    @property
    def size(self) -> tuple[int, ...]:
        """The sizes of the input along the shown axes."""
        return self.mask.shape

    @property
    def box(self) -> tuple[Ends, ...]:
        """First and last coordinate that is seen, along the shown axes."""
        box = self.support.box
        assert box is not None
        return tuple(box[axis] for axis in self.axes)

    @property
    def caption(self) -> str:
        """The sides of the box, and how much of it is seen if that is not all."""
        sides = [last - first + 1 for first, last in self.box]
        filled = int(self.mask.sum()) / int(np.prod(sides))
        return "x".join(map(str, sides)) + ("" if filled == 1 else f", {share(filled)} of it")


def seen(
    analysis: Analysis, tensor: str, index: Index, input: str | None, most: int = 2
) -> Seen | None:
    """What a unit sees along at most so many axes; None if that is nothing to be drawn."""
    support = analysis.support(tensor, index, input)
    axes = shown_axes(analysis, support.value, most)
    box = support.box
    if box is None or not axes:
        return None
    node = analysis.node(tensor)
    own: tuple[Ends | None, ...] = (None,) * len(axes)
    unclipped = tuple(box[axis] for axis in axes)
    unit = [at for at in index if not isinstance(at, slice)]
    if len(unit) == len(index):
        laid = analysis.own(tensor, unit, support.value)
        own = tuple(laid[axis] for axis in axes)
        unclipped = tuple(
            without_borders(analysis, tensor, unit, support.value, axis, box[axis]) for axis in axes
        )
    return Seen(
        tensor,
        node.op_type if node else "input",
        tuple(index),
        support,
        axes,
        support.projection(axes),
        own,
        unclipped,
    )


def without_borders(
    analysis: Analysis, tensor: str, unit: Sequence[int], input: str, axis: int, ends: Ends
) -> Ends:
    """The first and the last element that a unit would see were there no borders.

    What has no end, and what mirrors or repeats at a border, is as `ends`, which are seen.
    """
    first, last = ends
    side = analysis.field_along(tensor, input, axis, local=False, at=dict(enumerate(unit)))
    if isfinite(side.start):
        first = min(first, int(side.start))
        if isfinite(side.size):
            last = max(last, int(side.start + side.size) - 1)
    return first, last


def everywhere(
    analysis: Analysis, tensor: str, input: str, axes: Sequence[int]
) -> tuple[int | slice, ...]:
    """All units along the axes of a value along which what is seen along `axes` varies.

    Of other axes the first, or the middle if what is seen varies there too.
    """
    extent = analysis.extent(tensor)
    if extent is None:
        raise QueryError(f"the shape of '{tensor}' is not known", file=analysis.file)
    varies: dict[int, set[int]] = {}
    for axis in shown_axes(analysis, input, len(analysis.extent(input) or ())):
        lo, hi = analysis.bounds(tensor, input, axis=axis)
        shape = np.broadcast_shapes(lo.shape, hi.shape)
        varies[axis] = {a for a, n in enumerate(shape) if n > 1}
    wanted = set().union(*(varies.get(axis, set()) for axis in axes))
    others = set().union(*varies.values())
    return tuple(
        slice(None) if a in wanted else n // 2 if a in others else 0 for a, n in enumerate(extent)
    )


def input_name(analysis: Analysis, input: str | None) -> str:
    """The input that is meant, which may be left out where there is only one."""
    analysis.alike(input)
    return analysis.inputs[0] if input is None else input


def short(analysis: Analysis, tensor: str) -> str:
    """The name of a value, short enough for a title."""
    node = analysis.node(tensor)
    return shortened([tensor], [node.op_type if node else ""], 36)[0]


def written(index: Index) -> str:
    """A unit, as the command line takes it."""
    return ",".join(map(coordinate, index))


def input_of(support: Support) -> str:
    """An input and its shape."""
    return f"{support.value} ({size_of(support.shape)})"


def axis_names(analysis: Analysis, name: str, axes: Sequence[int]) -> list[str]:
    """The names of axes of an input, as the file has them, or their numbers."""
    dims = analysis.dims(name)
    return [str(d) if isinstance(d := dims[axis], str) and d else f"axis {axis}" for axis in axes]


def window(masks: Sequence[np.ndarray], axis: int, *, crop: bool) -> Ends:
    """The part of an axis that is drawn: all of it, or what any mask has, with a margin."""
    size = masks[0].shape[axis]
    if not crop:
        return 0, size - 1
    others = tuple(a for a in range(masks[0].ndim) if a != axis)
    there = np.flatnonzero(np.any([mask.any(axis=others) for mask in masks], axis=0))
    first, last = int(there[0]), int(there[-1])
    margin = max((last - first + 1) // 8, 1)
    return max(first - margin, 0), min(last + margin, size - 1)
