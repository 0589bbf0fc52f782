"""What lies between the time axis and the outputs, and what of it can't be had on a stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from rfgraph.analysis import Analysis
from rfgraph.errors import QueryError, RFGraphError, ShapeError
from rfgraph.ops import traits_of
from rfgraph.tiling.axes import up
from rfgraph.tiling.obstacles import (
    OPEN_SIZES,
    Axis,
    TilingError,
    Way,
    check_constants,
    check_tables,
    moved,
    place,
    way,
)
from rfgraph.tiling.plan import chosen_axes

# What is looked at is so many times as long as the largest field, and so many hops.
_WIDE, _HOPS = 3, 8

# Samples to begin with, where the file leaves the axis open.
_SHORT = 1024


class StreamingError(RFGraphError):
    """The model can't be had on a stream; `node` is the first one that is the reason.

    Attributes
    ----------
    reason : str
        Why, without file and node.
    """

    @property
    def reason(self) -> str:
        """Why it can't be."""
        return self.message


@dataclass(frozen=True)
class Moving:
    """The values on the way, at a size that is several times that of their fields.

    Attributes
    ----------
    at, longer : Way
        At that size, and one hop longer.
    grown : dict of str to dict of int to int
        By value and axis, how many steps a hop has.
    """

    at: Way
    longer: Way
    grown: Mapping[str, Mapping[int, int]]

    @property
    def hop(self) -> int:
        """Samples after which all values repeat."""
        return self.at.alignment

    def axis(self, value: str) -> int | None:
        """The one axis of a value that counts its steps, if there is one."""
        return place(self.at, self.grown, value)

    def steps(self, value: str) -> int:
        """How many steps of a value there are in a hop."""
        return int(self.hop / self.at.stride(value))


def time_axis(analysis: Analysis, axis: int | str | None) -> list[Axis]:
    """The axis of the inputs that is the stream's: the one along which fields extend and move.

    Raises
    ------
    QueryError
        There are several, or none of that name.
    """
    groups = list(chosen_axes(analysis, None if axis is None else [axis]).values())
    if len(groups) > 1:
        # A state that is given has no axis along which fields move, and a batch is none.
        groups = [axes for axes in groups if any(_extends(analysis, *each) for each in axes)]
    if len(groups) != 1:
        told = ", ".join(f"{k} of '{name}'" for axes in groups for name, k in axes)
        raise QueryError(
            f"fields move along several axes: {told}" if groups else "fields move along no axis",
            file=analysis.file,
            remedy="say which one is time: axis= or --axis",
        )
    return groups[0]


def shortened(analysis: Analysis) -> Analysis:
    """The model at a moderate size of the axes that the file leaves open, if it takes that: what
    sees everything takes long to tell where there is much.
    """
    shapes = {}
    for name in analysis.inputs:
        pairs = zip(analysis.extent(name) or (), analysis.dims(name), strict=True)
        shapes[name] = tuple(n if isinstance(dim, int) else min(n, _SHORT) for n, dim in pairs)
    with suppress(ShapeError):
        shorter = analysis.resized(shapes)
        if not any(0 in (shorter.extent(name) or ()) for name in shorter.outputs):
            return shorter
    return analysis


def _extends(analysis: Analysis, name: str, axis: int) -> bool:
    values = {number: value for value, number in analysis.alike(name).items()}.values()
    sides = (analysis.field_along(value, name, axis) for value in values)
    return any(side.stride and side.size > 1 for side in sides)


@contextmanager
def _as_streaming() -> Iterator[None]:
    """What can't be had in tiles is said of a stream."""
    try:
        yield
    except TilingError as error:
        raise StreamingError(
            error.message, file=error.file, node=error.node, remedy=error.remedy
        ) from error


def moving(analysis: Analysis, outputs: Sequence[str], axes: Sequence[Axis]) -> Moving:
    """The values on the way from the time axis to the outputs.

    Raises
    ------
    StreamingError
        A node makes it impossible; it says what would not.
    """
    at = way(_settled(analysis, outputs, axes), outputs, axes, past=True)
    with _as_streaming():
        try:
            longer = way(resized(at, at.alignment), outputs, axes, past=True)
        except ShapeError as error:
            check_tables(at)
            if at.obstacle is not None:
                raise _with_remedy(at.obstacle, analysis) from None
            raise StreamingError(
                f"the model takes no other size along the axis: {error.message}",
                file=error.file,
                node=error.node,
                remedy=OPEN_SIZES,
            ) from error
        if at.obstacle is not None:
            fields = {value: longer.fields.get(value, {}) for value in at.fields}
            longer = Way(longer.analysis, longer.axes, fields, longer.obstacle)
        grown = moved(at, longer)
        check_constants(at, longer, grown)
        if at.obstacle is not None:
            raise _with_remedy(at.obstacle, analysis)
    found = Moving(at, longer, grown)
    for output in outputs:
        if output not in at.fields or found.axis(output) is None:
            raise StreamingError(
                f"no single axis of output '{output}' follows the stream",
                file=analysis.file,
                node=str(analysis.node(output) or f"output '{output}'"),
                remedy="choose outputs that do: outputs= or --output",
            )
    return found


def _with_remedy(error: TilingError, analysis: Analysis) -> TilingError:
    """The obstacle, with what a stream takes in the place of its node."""
    for value in analysis.tensors:
        node = analysis.node(value)
        if node is not None and str(node) == error.node:
            error.remedy = traits_of(node.domain, node.op_type).streamed or error.remedy
    return error


def resized(at: Way, by: int) -> Analysis:
    """The model with the axis longer."""
    shapes = {name: list(at.analysis.extent(name) or ()) for name in at.analysis.inputs}
    for name, axis in at.axes:
        shapes[name][axis] += by
    return at.analysis.resized(shapes)


def _settled(analysis: Analysis, outputs: Sequence[str], axes: Sequence[Axis]) -> Analysis:
    """The model at a size with room between its ends, a multiple of the hop if it takes that."""
    at = way(analysis, outputs, axes, past=True)
    room = up(_WIDE * at.widest + _HOPS * at.alignment, at.alignment) - at.size
    for by in range(at.alignment):
        with suppress(ShapeError):
            return resized(at, room + by)
    return analysis


__all__ = ["Moving", "StreamingError", "moving", "resized", "shortened", "time_axis"]
