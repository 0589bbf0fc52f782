"""The vocabulary of reads: what one output element of an operator takes from its inputs.

A transfer answers with a list of *reads* for each output; the reads of an element are their
union. A read says how the elements of one input are chosen:

`Elementwise`
    the element at the same position, with numpy's broadcasting
`PerAxis`
    a product: along each axis of the input an arithmetic progression of coordinates
`Rearrange`
    one element, moved by reshaping, permuting axes and reshaping again
`Everything`
    all elements

The progressions along one axis of an input are

`Along`
    follows one output axis, with a pattern that repeats: windows, strides, flips, blocks
`Fixed`
    the same for every output element: one coordinate, or the whole axis
`Table`
    listed coordinate by coordinate: gathers, borders that reflect, resampling

What is read may be multiplied before it is summed up: a `Factor` says by which elements of which
input. Bounds don't ask; where constants cut reads, what is multiplied by 0 is not read.

Nothing here knows operators, and each analysis interprets these words once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import gcd
from typing import TypeAlias

import numpy as np

from rfgraph.model.sizes import MAX_AXIS, Shape

# ---------------------------------------------------------------- along one axis of an input


@dataclass(frozen=True, slots=True)
class Along:
    """Coordinates that follow one output axis with a repeating pattern.

    Output coordinate ``o = q * P + r``, where ``P = len(starts)`` and ``0 <= r < P``, reads
    ``counts[r]`` coordinates from ``q * advance + starts[r]`` on, `step` apart. What falls
    outside the input's axis is not read: that is how padding is left out.

    Attributes
    ----------
    axis : int
        The output axis.
    starts, counts : tuple of int
        One entry a phase.
    advance : int
        Input coordinates per period of ``P`` outputs.
    step : int
        Distance between the coordinates that are read.
    part : (int, int) or None
        Output coordinates, first and past the last, to which the read is confined: outside
        them nothing is read however far the input's axis reaches. None: all.
    """

    axis: int
    starts: tuple[int, ...] = (0,)
    counts: tuple[int, ...] = (1,)
    advance: int = 1
    step: int = 1
    part: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Fixed:
    """The same coordinates for every output element.

    Attributes
    ----------
    start : int
        The first coordinate.
    count : int or None
        How many, one after the other; None: the whole axis.
    statistic : bool
        The coordinates are summed up, compared or mixed. What has no place left then, as nothing
        of it varies with the place along an axis of the input, is *global* on that axis; a patch
        among patches keeps its place, and so does a window among windows.
    """

    start: int = 0
    count: int | None = 1
    statistic: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Table:
    """Coordinates listed for every coordinate of one or several output axes.

    Attributes
    ----------
    axes : tuple of int
        The output axes, ascending.
    starts, counts : ndarray of int64, of the sizes of `axes`
        First coordinate and how many. A count of 0 reads nothing.
    step : int
        Distance between the coordinates that are read.
    interior : Along or None
        The pattern away from the borders, if there is one: what the closed form follows.
    open : int
        -1 if everything before the `interior` is read too, however long the axis is, 1 if
        everything after it.
    """

    axes: tuple[int, ...]
    starts: np.ndarray
    counts: np.ndarray
    step: int = 1
    interior: Along | None = None
    open: int = 0


AxisRead: TypeAlias = Along | Fixed | Table


# Words are immutable and repeat within a model: equal ones are one object.
_once = lru_cache(maxsize=4096)


@_once
def same(axis: int) -> Along:
    """The same coordinate as along output axis `axis`.

    Parameters
    ----------
    axis : int
        The output axis.

    Returns
    -------
    Along
        Coordinate ``o``.

    Examples
    --------
    >>> same(2)
    Along(axis=2, starts=(0,), counts=(1,), advance=1, step=1, part=None)
    """
    return Along(axis)


def is_same(read: Along) -> bool:
    """Whether `read` is that of `same`, for some axis.

    Parameters
    ----------
    read : Along
        The read.

    Returns
    -------
    bool
        Whether it is.

    Examples
    --------
    >>> is_same(same(1)), is_same(shifted(1, 2))
    (True, False)
    """
    return read.starts == (0,) and read.counts == (1,) and read.advance == 1 and read.part is None


def is_shift(read: Along) -> bool:
    """Whether `read` is one coordinate at a fixed distance, for some axis.

    Parameters
    ----------
    read : Along
        The read.

    Returns
    -------
    bool
        Whether it is.

    Examples
    --------
    >>> is_shift(shifted(1, 2)), is_shift(window(1, 3, 1, 1, 1))
    (True, False)
    """
    return len(read.starts) == 1 and read.counts == (1,) and read.advance == 1


@_once
def shifted(axis: int, offset: int) -> Along:
    """The coordinate ``o + offset``: constant padding, cropping.

    Parameters
    ----------
    axis : int
        The output axis.
    offset : int
        Input coordinates.

    Returns
    -------
    Along
        What lies outside of the input is not read.

    Examples
    --------
    >>> shifted(2, -1).starts
    (-1,)
    """
    return Along(axis, (offset,))


@_once
def strided(axis: int, start: int, step: int) -> Along:
    """The coordinate ``start + o * step``: Slice; a negative step flips.

    Parameters
    ----------
    axis : int
        The output axis.
    start, step : int
        Input coordinates.

    Returns
    -------
    Along
        What lies outside of the input is not read.

    Examples
    --------
    >>> read = strided(2, 8, -1)
    >>> read.starts, read.advance
    ((8,), -1)
    """
    return Along(axis, (start,), advance=step)


@_once
def window(axis: int, kernel: int, stride: int, dilation: int, pad: int) -> Along:
    """A sliding window: ``o * stride - pad + k * dilation`` for ``0 <= k < kernel``.

    Parameters
    ----------
    axis : int
        The output axis.
    kernel : int
        How many coordinates a window reads.
    stride : int
        Input coordinates between windows.
    dilation : int
        Input coordinates between those that one window reads.
    pad : int
        Coordinates of padding at the begin; they are not read.

    Returns
    -------
    Along
        What lies outside of the input is not read.

    Examples
    --------
    >>> window(2, kernel=3, stride=2, dilation=1, pad=1)
    Along(axis=2, starts=(-1,), counts=(3,), advance=2, step=1, part=None)
    """
    return Along(axis, (-pad,), (kernel,), stride, dilation)


@_once
def transposed_window(
    axis: int, kernel: int, stride: int, dilation: int, pad: int, outputs: int
) -> Along | Table:
    """The adjoint of `window`.

    It reads every ``i`` with ``o + pad - i * stride`` a multiple of `dilation` from 0 to
    ``(kernel - 1) * dilation``.

    With ``g = gcd(stride, dilation)`` these ``i`` are ``dilation / g`` apart, and the pattern
    repeats after `stride` outputs, which move it by one. Where `g` does not divide ``o + pad``
    nothing is read. A pattern much longer than the `outputs` is listed instead.

    Parameters
    ----------
    axis : int
        The output axis.
    kernel, stride, dilation, pad : int
        As for the `window` whose adjoint it is.
    outputs : int
        Length of the output axis.

    Returns
    -------
    Along or Table
        What lies outside of the input is not read.

    Examples
    --------
    >>> transposed_window(2, kernel=3, stride=2, dilation=1, pad=1, outputs=8)
    Along(axis=2, starts=(0, 0), counts=(1, 2), advance=1, step=1, part=None)
    """
    repeats = stride <= max(outputs, 1024)
    o = np.arange(stride if repeats else outputs, dtype=np.int64) + pad
    g = gcd(stride, dilation)
    s, d = stride // g, dilation // g
    # Of the kernel positions k = first, first + s, ... the last one reads the first i.
    first = o // g * pow(d, -1, s) % s
    counts = np.where((o % g == 0) & (first < kernel), (kernel - 1 - first) // s + 1, 0)
    starts = np.where(counts > 0, (o - (first + (counts - 1) * s) * dilation) // stride, 0)
    if not repeats:
        return Table((axis,), starts, counts, d)
    return Along(axis, tuple(starts.tolist()), tuple(counts.tolist()), 1, d)


def _period(outputs: int) -> int:
    """How many outputs it takes until a pattern repeats."""
    if not 0 < outputs <= MAX_AXIS:
        raise ValueError(f"a pattern can't repeat after {outputs} elements")
    return outputs


@_once
def block(axis: int, outputs: int, inputs: int) -> Along:
    """Groups: each run of `outputs` output coordinates reads its own run of `inputs`.

    Parameters
    ----------
    axis : int
        The output axis.
    outputs, inputs : int
        Coordinates of a group.

    Returns
    -------
    Along
        All inputs of the output's group.

    Examples
    --------
    >>> block(1, outputs=2, inputs=3)
    Along(axis=1, starts=(0, 0), counts=(3, 3), advance=3, step=1, part=None)
    """
    return Along(axis, (0,) * _period(outputs), (inputs,) * outputs, inputs)


@_once
def tiled(axis: int, size: int) -> Along:
    """The coordinate ``o mod size``: what is repeated.

    Parameters
    ----------
    axis : int
        The output axis.
    size : int
        Length of the input's axis.

    Returns
    -------
    Along
        One coordinate.

    Examples
    --------
    >>> tiled(2, 3).starts
    (0, 1, 2)
    """
    return Along(axis, tuple(range(_period(size))), (1,) * size, 0)


@_once
def part(axis: int, begin: int, size: int) -> Along:
    """The coordinate ``o - begin``, and nothing outside ``begin <= o < begin + size``.

    It is how a concatenation reads one of its inputs.

    Parameters
    ----------
    axis : int
        The output axis.
    begin, size : int
        Where the part begins along the output axis, and how long it is.

    Returns
    -------
    Along
        One coordinate, or none.

    Examples
    --------
    >>> part(1, begin=4, size=2)
    Along(axis=1, starts=(-4,), counts=(1,), advance=1, step=1, part=(4, 6))
    """
    return Along(axis, (-begin,), part=(begin, begin + size))


def whole(*, statistic: bool = False) -> Fixed:
    """The whole axis: `WHOLE`, or `STATISTIC`.

    Parameters
    ----------
    statistic : bool, optional
        Whether it is summed up, compared or mixed, so that what passes is global if no place is
        left.

    Returns
    -------
    Fixed
        The same for every output element.
    """
    return Fixed(0, None, statistic)


WHOLE = whole()
STATISTIC = whole(statistic=True)


@_once
def point(coordinate: int) -> Fixed:
    """One coordinate, the same for every output element.

    Parameters
    ----------
    coordinate : int
        Of the input.

    Returns
    -------
    Fixed
        The one coordinate.

    Examples
    --------
    >>> point(3).start
    3
    """
    return Fixed(coordinate)


def aligned(rank: int, outputs: int) -> tuple[Along, ...]:
    """The axes of an input that is broadcast to an output.

    Parameters
    ----------
    rank : int
        How many axes the input has.
    outputs : int
        How many axes the output has.

    Returns
    -------
    tuple of Along
        One for each axis of the input.

    Examples
    --------
    >>> [along.axis for along in aligned(2, 4)]
    [2, 3]
    """
    return tuple([same(axis) for axis in range(outputs - rank, outputs)])


def lookup(axes: Sequence[int], indices: np.ndarray, interior: Along | None = None) -> Table:
    """One listed coordinate for every coordinate of the output axes `axes`.

    Parameters
    ----------
    axes : sequence of int
        The output axes that the list follows.
    indices : ndarray of int
        Coordinates of the input, of the sizes of `axes`.
    interior : Along, optional
        What the list is away from its borders, for the closed form.

    Returns
    -------
    Table
        One coordinate each.

    Examples
    --------
    >>> lookup([1], np.array([2, 0, 1])).starts.tolist()
    [2, 0, 1]
    """
    starts = np.ascontiguousarray(indices, dtype=np.int64)
    return Table(tuple(axes), starts, np.ones_like(starts), interior=interior)


def running(axis: int, size: int, *, reverse: bool = False, exclusive: bool = False) -> Table:
    """Everything up to the output's own coordinate, or from it on with `reverse`.

    Parameters
    ----------
    axis : int
        The output axis.
    size : int
        Length of the axis, of the input and of the output.
    reverse : bool, optional
        From the output's own coordinate on.
    exclusive : bool, optional
        Without the output's own coordinate.

    Returns
    -------
    Table
        A running sum's reads.

    Examples
    --------
    >>> running(2, 3).counts.tolist(), running(2, 3, reverse=True).counts.tolist()
    ([1, 2, 3], [3, 2, 1])
    """
    o = np.arange(size, dtype=np.int64)
    if reverse:
        nearest = shifted(axis, 1 if exclusive else 0)
        starts = o + nearest.starts[0]
        return Table((axis,), starts, size - starts, 1, nearest, open=1)
    nearest = shifted(axis, -1 if exclusive else 0)
    counts = o + 1 + nearest.starts[0]
    return Table((axis,), np.zeros_like(o), counts, 1, nearest, open=-1)


# ---------------------------------------------------------------- what is multiplied with it


@dataclass(frozen=True, slots=True)
class Tap:
    """The number of a coordinate among those that are read along an axis: 0 for the first.

    Attributes
    ----------
    axis : int
        The axis of the source.
    adjoint : (int, int, int, int) or None
        Kernel, stride, dilation and pad, if the read is the `transposed_window` of these:
        coordinate ``i`` has the number ``k`` with ``o + pad - i * stride = k * dilation`` then.
    """

    axis: int
    adjoint: tuple[int, int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Coordinate:
    """A coordinate that is read along an axis: that of a matrix's contracted axis.

    Attributes
    ----------
    axis : int
        The axis of the source.
    """

    axis: int


# Where along an axis of a factor its element is. A read follows the output, by one coordinate; a
# name is summed over, together with the axes of other factors that have it.
FactorAxis: TypeAlias = AxisRead | Tap | Coordinate | str


@dataclass(frozen=True, eq=False, slots=True)
class Factor:
    """Elements by which the elements of a read are multiplied.

    An element that is read counts if, anywhere along the axes that are summed over by name, none
    of its factors is 0.

    Attributes
    ----------
    source : int or ndarray of bool
        The input that they belong to; or where they are 0, for a factor that is no input.
    axes : tuple
        For each of its axes, which element it is.

    Examples
    --------
    Y[o] <- X[o + k] * W[k],  0 <= k < 3

    >>> read = PerAxis(0, (window(0, 3, 1, 1, 0),), times=(Factor(1, (Tap(0),)),))
    """

    source: int | np.ndarray
    axes: tuple[FactorAxis, ...]


# ---------------------------------------------------------------- one input of an operator


@dataclass(frozen=True, slots=True)
class Elementwise:
    """The element at the same position, with numpy's broadcasting from the right.

    Attributes
    ----------
    source : int or Stage
        The operator's input, by its position, or a stage.
    times : tuple of Factor
        By what the element is multiplied.
    """

    source: Source
    times: tuple[Factor, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class PerAxis:
    """The product of one progression for every axis of the input.

    Attributes
    ----------
    source : int or Stage
        The operator's input, by its position, or a stage.
    axes : tuple of Along, Fixed or Table
        One for every axis of the input.
    times : tuple of Factor
        By what the elements are multiplied.
    """

    source: Source
    axes: tuple[AxisRead, ...]
    times: tuple[Factor, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Rearrange:
    """One element, moved by reshaping, permuting axes and reshaping again.

    Attributes
    ----------
    source : int or Stage
        The operator's input, by its position, or a stage.
    view : tuple of int
        The shape that the input gets first.
    permutation : tuple of int
        How its axes are then permuted. The result is reshaped to the output's shape.
    """

    source: Source
    view: Shape
    permutation: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Everything:
    """All elements of the input, wherever they are.

    Attributes
    ----------
    source : int or Stage
        The operator's input, by its position, or a stage.
    """

    source: Source


Read: TypeAlias = Elementwise | PerAxis | Rearrange | Everything


@dataclass(frozen=True, eq=False, slots=True)
class Stage:
    """An intermediate array of an operator that works in several steps.

    Attributes
    ----------
    shape : tuple of int
        Its shape.
    reads : list of Read
        What its elements read.
    """

    shape: Shape
    reads: list[Read] = field(default_factory=list)


# An input of the operator by its position, or a stage.
Source: TypeAlias = int | Stage


# ---------------------------------------------------------------- what a progression reads


def progressions(read: AxisRead, size: int, extent: Shape) -> tuple[np.ndarray, np.ndarray, int]:
    """As `coordinates`, with what lies outside the axis.

    Parameters
    ----------
    read : Along, Fixed or Table
        The read.
    size : int
        Length of the axis.
    extent : tuple of int
        Shape of the output.

    Returns
    -------
    starts, counts : ndarray of int64
        First coordinates, and how many there are, over the output axes that the read follows.
    step : int
        Distance between coordinates.

    Examples
    --------
    >>> starts, counts, step = progressions(window(0, 3, 2, 1, 1), 5, (3,))
    >>> starts.tolist(), counts.tolist(), step
    ([-1, 1, 3], [3, 3, 3], 1)
    """
    if isinstance(read, Fixed):
        count = size - read.start if read.count is None else read.count
        return np.asarray(read.start), np.asarray(count), 1
    if isinstance(read, Table):
        return read.starts, read.counts, read.step
    o = np.arange(extent[read.axis], dtype=np.int64)
    phase, period = o % len(read.starts), o // len(read.starts)
    starts = np.asarray(read.starts, dtype=np.int64)[phase] + period * read.advance
    counts = np.asarray(read.counts, dtype=np.int64)[phase]
    if read.part is not None:
        counts = np.where((o >= read.part[0]) & (o < read.part[1]), counts, 0)
    return starts, counts, read.step


def coordinates(read: AxisRead, size: int, extent: Shape) -> tuple[np.ndarray, np.ndarray, int]:
    """The clipped progressions of `read` on an axis of length `size`.

    Parameters
    ----------
    read : Along, Fixed or Table
        The read.
    size : int
        Length of the input's axis.
    extent : tuple of int
        The output's shape.

    Returns
    -------
    starts, counts : ndarray of int64
        First coordinate, inside the axis where the count isn't 0, and how many. Their shape is
        that of the output axes that the read follows (``()`` for `Fixed`).
    step : int
        Distance between the coordinates.

    Examples
    --------
    >>> starts, counts, step = coordinates(window(0, 3, 2, 1, 1), 5, (3,))
    >>> starts.tolist(), counts.tolist(), step
    ([0, 1, 3], [2, 3, 2], 1)
    """
    starts, counts, step = progressions(read, size, extent)
    if isinstance(read, Fixed):
        return starts, counts, step
    first = np.maximum(-(starts // step), 0)
    last = np.minimum((size - 1 - starts) // step, counts - 1)
    return starts + first * step, np.maximum(last - first + 1, 0), step


def most(read: AxisRead, size: int) -> int:
    """How many coordinates are read at most, those outside the axis too.

    Parameters
    ----------
    read : Along, Fixed or Table
        The read.
    size : int
        Length of the axis.

    Returns
    -------
    int
        The number for the output element that reads most.

    Examples
    --------
    >>> most(window(0, 3, 2, 1, 1), 5), most(WHOLE, 5)
    (3, 5)
    """
    if isinstance(read, Fixed):
        return size - read.start if read.count is None else read.count
    if isinstance(read, Table):
        return int(read.counts.max(initial=0))
    return max(read.counts)


def followed(read: AxisRead) -> tuple[int, ...]:
    """The output axes that `read` follows.

    Parameters
    ----------
    read : Along, Fixed or Table
        The read.

    Returns
    -------
    tuple of int
        Empty for what is the same for every output element.
    """
    if isinstance(read, Along):
        return (read.axis,)
    return read.axes if isinstance(read, Table) else ()


@_once
def _along_reads_everywhere(read: Along, size: int, outputs: int) -> bool:
    if read.part is None and len(read.starts) == 1:
        # Without borders in the way, the first and the last window tell.
        first = read.starts[0]
        last = first + (outputs - 1) * read.advance
        reach = (read.counts[0] - 1) * read.step
        if min(first, last) >= 0 and max(first, last) + reach < size:
            return read.counts[0] > 0
    extent = (0,) * read.axis + (outputs,)
    return bool(coordinates(read, size, extent)[1].all())


def reads_everywhere(read: AxisRead, size: int, extent: Shape) -> bool:
    """Whether every output coordinate reads something along this axis.

    Parameters
    ----------
    read : Along, Fixed or Table
        The read.
    size : int
        Length of the input's axis.
    extent : tuple of int
        The output's shape.

    Returns
    -------
    bool
        Whether it does, whatever the other axes are.
    """
    if isinstance(read, Along):
        if is_same(read):
            return extent[read.axis] <= size
        return _along_reads_everywhere(read, size, extent[read.axis])
    if isinstance(read, Fixed):
        return size > 0 if read.count is None else read.count > 0
    return bool(coordinates(read, size, extent)[1].all())


__all__ = [
    "STATISTIC",
    "WHOLE",
    "Along",
    "AxisRead",
    "Coordinate",
    "Elementwise",
    "Everything",
    "Factor",
    "FactorAxis",
    "Fixed",
    "PerAxis",
    "Read",
    "Rearrange",
    "Shape",
    "Source",
    "Stage",
    "Table",
    "Tap",
    "aligned",
    "block",
    "coordinates",
    "followed",
    "is_same",
    "is_shift",
    "lookup",
    "most",
    "part",
    "point",
    "progressions",
    "reads_everywhere",
    "running",
    "same",
    "shifted",
    "strided",
    "tiled",
    "transposed_window",
    "whole",
    "window",
]
