"""Which images excite a unit, or the units of a channel, most: one pass over all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import index as whole
from typing import Any

import numpy as np

from rfgraph.analysis import Analysis
from rfgraph.errors import QueryError
from rfgraph.measure.images import Images, Layout
from rfgraph.measure.runs import Network

Index = tuple[int | slice, ...]

# The most images of a task.
_MOST = 16


# ---------------------------------------------------------------- which units


def region_of(
    analysis: Analysis, tensor: str, input: str, layout: Layout, given: int | Sequence[Any]
) -> Index:
    """The units that are meant: those of a channel, or those at an index with slices.

    Raises
    ------
    QueryError
        There are no such units, or which axis has the channels can't be told.
    """
    extent = analysis.extent(tensor) or ()
    if isinstance(given, (int, np.integer)):
        return _channel(analysis, tensor, input, layout, int(given))
    try:
        index = tuple(at if isinstance(at, slice) else whole(at) for at in given)
    except TypeError:
        raise QueryError(
            f"{given!r} is no unit: give a channel, or a coordinate or a slice for each axis"
        ) from None
    if len(index) != len(extent):
        raise QueryError(
            f"'{tensor}' of shape {'x'.join(map(str, extent))} has {len(extent)} axes, and the "
            f"unit is given by {len(index)}",
            file=analysis.file,
            remedy="give a channel, or a coordinate or a slice for each axis",
        )
    for axis, (at, n) in enumerate(zip(index, extent, strict=True)):
        there = bool(range(n)[at]) if isinstance(at, slice) else -n <= at < n
        if not there:
            raise QueryError(
                f"'{tensor}' of shape {'x'.join(map(str, extent))} has no unit at "
                f"{'these coordinates' if isinstance(at, slice) else at} on axis {axis}",
                file=analysis.file,
            )
    return tuple(
        at if isinstance(at, slice) else at % n for at, n in zip(index, extent, strict=True)
    )


def _channel(analysis: Analysis, tensor: str, input: str, layout: Layout, channel: int) -> Index:
    extent = analysis.extent(tensor) or ()
    moving: set[int] = set()
    for axis in layout.spatial:
        lo, hi = analysis.bounds(tensor, input, axis=axis)
        shape = np.broadcast_shapes(lo.shape, hi.shape)
        moving |= {a for a, n in enumerate(shape) if n > 1}
    rows = batch_axis(analysis, tensor, input, layout)
    left = [a for a, n in enumerate(extent) if a not in moving and n > 1 and a != rows]
    if len(left) > 1:
        raise QueryError(
            f"which axis of '{tensor}' of shape {'x'.join(map(str, extent))} has the channels "
            f"can't be told: {' and '.join(map(str, left))} may",
            file=analysis.file,
            remedy="give the units with slices, on the command line as 0,5,:,:",
        )
    number = extent[left[0]] if left else 1
    if not -number <= channel < number:
        raise QueryError(
            f"'{tensor}' has no channel {channel}",
            file=analysis.file,
            remedy=f"give one from 0 to {number - 1}",
        )
    index: list[int | slice] = [slice(None) if n > 1 else 0 for n in extent]
    if rows is not None:
        index[rows] = 0
    if left:
        index[left[0]] = channel % number
    return tuple(index)


def batch_axis(analysis: Analysis, tensor: str, input: str, layout: Layout) -> int | None:
    """The axis of a value that has the rows of a batch of more than one."""
    shape = analysis.extent(input) or ()
    if layout.batch is None or shape[layout.batch] == 1:
        return None
    lo, hi = analysis.bounds(tensor, input, axis=layout.batch)
    shape = np.broadcast_shapes(lo.shape, hi.shape)
    return next((axis for axis, n in enumerate(shape) if n > 1), None)


# ---------------------------------------------------------------- how excited they are


def rows_of(network: Network, values: list[np.ndarray], images: int) -> list[np.ndarray]:
    """The value for each image of a batch, with all axes of one."""
    (value,), (axis,) = values, network.axes
    if axis is None:
        return [value]
    return [np.expand_dims(value[k], axis) for k in range(images)]


@dataclass(frozen=True)
class Look:
    """Some images that are looked at.

    Attributes
    ----------
    number : int
        The task's.
    batch : ndarray
        The images, along the first axis; one, as it is, where a run takes no more.
    images : int
        How many there are.
    """

    number: int
    batch: np.ndarray
    images: int


@dataclass(frozen=True)
class Looking:
    """Runs images and finds the most excited unit of each region.

    Attributes
    ----------
    network : Network
        What is run.
    regions : tuple of index
        The units among which it is looked for, one after the other.
    """

    network: Network
    regions: tuple[Index, ...]

    def carry_out(self, task: Look) -> tuple[np.ndarray, np.ndarray]:
        """By image and region: the greatest value, and where it is in the region, laid flat."""
        values = rows_of(self.network, self.network.run(task.batch), task.images)
        found = np.empty((task.images, len(self.regions)))
        where = np.empty(found.shape, np.int64)
        for k, value in enumerate(values):
            for r, region in enumerate(self.regions):
                # What is no number excites nothing.
                flat = np.asarray(value[region], np.float64).ravel()
                flat = np.where(np.isnan(flat), -np.inf, flat)
                where[k, r] = flat.argmax()
                found[k, r] = flat[where[k, r]]
        return found, where


class Excitement:
    """How excited the units of each region are by each image; what `Looking` finds is added up.

    Parameters
    ----------
    images, regions : int
        How many there are.
    rows : int
        How many images a run takes.
    """

    def __init__(self, images: int, regions: int, rows: int) -> None:
        self._tasks = -(-images // _images_of(rows))
        self.values = np.full((images, regions), -np.inf)
        self.where = np.zeros((images, regions), np.int64)
        self.seen = 0

    def add(self, result: tuple[np.ndarray, np.ndarray]) -> None:
        """Add what the next images have shown."""
        values, where = result
        end = self.seen + len(values)
        self.values[self.seen : end], self.where[self.seen : end] = values, where
        self.seen = end

    def enough(self) -> bool:
        """Whether all images were looked at."""
        return self.seen == len(self.values)

    def planned(self) -> int:
        """How many tasks there are."""
        return self._tasks

    def state(self) -> dict[str, np.ndarray]:
        """What was added so far."""
        return {
            "values": self.values[: self.seen],
            "where": self.where[: self.seen],
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from a state."""
        self.seen = 0
        self.add((state["values"], state["where"]))

    def best(self, region: int, top: int) -> list[int]:
        """The numbers of the images that excite a region most; of equal ones the first."""
        values = self.values[: self.seen, region]
        order = np.argsort(-values, kind="stable")
        return [int(k) for k in order[:top] if values[k] > -np.inf]


def looks(images: Images, rows: int) -> Iterator[Look]:
    """The tasks: all images, as many at a time as a run takes."""
    step = _images_of(rows)
    for number, first in enumerate(range(0, len(images), step)):
        some = [images[k] for k in range(first, min(first + step, len(images)))]
        yield Look(number, stacked(some, images.fitting.shape, rows), len(some))


def _images_of(rows: int) -> int:
    """How many images a task has."""
    return min(rows, _MOST)


def stacked(images: Sequence[np.ndarray], shape: tuple[int, ...], rows: int) -> np.ndarray:
    """Images as a run takes them: one after the other; of one that has several rows, all alike."""
    if rows > 1 or len(images) > 1:
        return np.concatenate(images)
    return np.ascontiguousarray(np.broadcast_to(images[0], shape))


__all__ = [
    "Excitement",
    "Index",
    "Look",
    "Looking",
    "batch_axis",
    "looks",
    "region_of",
    "rows_of",
    "stacked",
]
