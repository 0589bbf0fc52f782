"""What occlusion has shown: discrepancy maps of images, and the mean of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from rfgraph.analysis import Analysis
from rfgraph.measure.excited import Index
from rfgraph.measure.images import Images
from rfgraph.measure.spread import TWO_SIGMA
from rfgraph.notebook import Shown

Ends = tuple[int, int]

# An element counts as responded to from this share of the largest discrepancy on: of a Gaussian it
# is what two standard deviations leave, as Luo et al. (2016) take it of effective fields.
LEVEL = 1 - TWO_SIGMA


@dataclass(frozen=True)
class Occluded:
    """What occlusion of one image has shown of one unit.

    Attributes
    ----------
    image : int
        The image's number.
    name : str
        What it is called: its file, or its number.
    unit : tuple of int
        The unit.
    value : float
        What it is for the image as it is.
    seen : ndarray of bool
        What it can see, along the spatial axes of the input: exact.
    own : tuple of (int, int) or None
        By spatial axis: the first and last of the unit's own elements; None where it has no place.
    map : ndarray of float64
        By element along the spatial axes: the mean change of the unit, without its sign, where the
        element was covered; 0 of what it can't see.
    """

    image: int
    name: str
    unit: tuple[int, ...]
    value: float
    seen: np.ndarray = field(repr=False)
    own: tuple[Ends | None, ...]
    map: np.ndarray = field(repr=False)

    @cached_property
    def box(self) -> tuple[Ends, ...]:
        """The first and last element that it can see, along the spatial axes."""
        found = []
        for axis in range(self.seen.ndim):
            others = tuple(a for a in range(self.seen.ndim) if a != axis)
            at = np.flatnonzero(self.seen.any(axis=others))
            found.append((int(at[0]), int(at[-1])))
        return tuple(found)

    @property
    def begin(self) -> tuple[int, ...]:
        """The element from which offsets are counted: the first of its own, 0 without a place."""
        return tuple(0 if own is None else own[0] for own in self.own)


@dataclass(frozen=True)
class UnitField:
    """The empirical field of a unit, or of the units of a channel.

    Attributes
    ----------
    region : tuple of int or slice
        The units of which the most excited one was looked at, image by image.
    images : tuple of Occluded
        What each image has shown, of those that excite it most; the most exciting one first.
    theoretical : tuple of float
        By spatial axis: what a unit sees away from the borders; `inf` if that is everything.
    level : float
        From which share of the largest discrepancy on an element counts.
    """

    region: Index
    images: tuple[Occluded, ...]
    theoretical: tuple[float, ...]
    level: float = LEVEL

    @cached_property
    def box(self) -> tuple[Ends, ...]:
        """By spatial axis: the first and last offset that any of the units can see."""
        ends = []
        for axis in range(len(self.theoretical)):
            each = [(o.box[axis], o.begin[axis]) for o in self.images]
            ends.append((min(b[0] - at for b, at in each), max(b[1] - at for b, at in each)))
        return tuple(ends)

    @cached_property
    def map(self) -> np.ndarray:
        """The discrepancy by offset from the unit's own place: the mean over the images.

        Of shape ``tuple(last - first + 1 for first, last in box)``. Of each offset it is the mean
        over the images that have an element there: behind a border there is none.
        """
        shape = [last - first + 1 for first, last in self.box]
        total, there = np.zeros(shape), np.zeros(shape)
        for found in self.images:
            target, source = [], []
            for axis, (first, last) in enumerate(self.box):
                at = found.begin[axis]
                low, high = max(first, -at), min(last, found.map.shape[axis] - 1 - at)
                target.append(slice(low - first, high - first + 1))
                source.append(slice(low + at, high + at + 1))
            total[tuple(target)] += found.map[tuple(source)]
            there[tuple(target)] += 1
        return np.divide(total, there, out=total, where=there > 0)

    @property
    def side(self) -> float:
        """The empirical size: the side of the square, or cube, of as many elements as count.

        Zhou et al. (2014) give their sizes so; they do not say from where on an element counts.
        """
        return side_of(self.map, self.level)

    @cached_property
    def sides(self) -> tuple[float, ...]:
        """The same of the map of each image alone."""
        return tuple(side_of(found.map, self.level) for found in self.images)

    @property
    def can_see(self) -> float:
        """The side of the square, or cube, of the box that it can see of this input."""
        sizes = [
            min(size, n) for size, n in zip(self.theoretical, self.images[0].map.shape, strict=True)
        ]
        return float(prod(sizes) ** (1 / len(sizes)))

    @property
    def ratio(self) -> float:
        """The empirical size as a share of the theoretical one, within the input."""
        return self.side / self.can_see


def side_of(map: np.ndarray, level: float) -> float:
    """The side of the square, or cube, of the elements that have so much of the largest one.

    Parameters
    ----------
    map : ndarray
        Not negative, along any number of axes.
    level : float
        From which share of the largest element on one counts.

    Returns
    -------
    float
        0 if the map is 0 everywhere.

    Examples
    --------
    >>> side_of(np.outer([0, 1, 2, 1], [0, 1, 1, 0]), 0.5)
    2.449489742783178
    """
    largest = map.max(initial=0)
    if not largest > 0:
        return 0.0
    return float(np.count_nonzero(map >= level * largest) ** (1 / map.ndim))


@dataclass(frozen=True, repr=False)
class Occlusion(Shown):
    """What `occlusion` has found.

    Attributes
    ----------
    analysis : Analysis
        Of the model.
    tensor, input : str
        The value whose units were looked at, and the input that was covered.
    axes : tuple of int
        The spatial axes of the input, along which maps are.
    found : tuple of UnitField
        By channel or unit, in the order in which they were asked for.
    size, stride : tuple of int
        The occluder's sides along `axes`, and how far its places are apart.
    fill : str or float
        What it is made of.
    images : Images
        What was looked at.
    looked : int
        How many of these.
    passes : int
        How many images were run, covered or not.
    naive : int
        How many it would have been to cover the same images at all places: one run for each.
    seconds : float
        How long it took.
    complete : bool
        Whether all was done that was asked for.
    interrupted : bool
        Whether the user ended it.
    seed : int
        Of random numbers.
    notes : tuple of str
        What is to be known.
    """

    analysis: Analysis
    tensor: str
    input: str
    axes: tuple[int, ...]
    found: tuple[UnitField, ...]
    size: tuple[int, ...]
    stride: tuple[int, ...]
    fill: str | float
    images: Images
    looked: int
    passes: int
    naive: int
    seconds: float
    complete: bool
    interrupted: bool
    seed: int
    notes: tuple[str, ...] = ()

    @property
    def side(self) -> tuple[float, float]:
        """The mean of the empirical sizes, and their deviation: of all units that responded."""
        sides = [found.side for found in self.found if found.side] or [0.0]
        return float(np.mean(sides)), float(np.std(sides))

    @property
    def can_see(self) -> float:
        """The mean of what they can see of this input."""
        return float(np.mean([found.can_see for found in self.found]))

    def arrays(self) -> Mapping[str, np.ndarray]:
        """All maps, as ``numpy.savez`` takes them.

        Returns
        -------
        mapping of str to ndarray
            For each channel or unit k: ``map_k``, the mean over its images; ``box_k``, the first
            and last offset along each spatial axis; and of shape ``(images, ...)`` ``maps_k``,
            ``images_k`` (their numbers), ``units_k`` and ``values_k``.
        """
        made: dict[str, Any] = {}
        for k, found in enumerate(self.found):
            made[f"map_{k}"] = found.map
            made[f"box_{k}"] = np.array(found.box)
            made[f"maps_{k}"] = np.array([o.map for o in found.images])
            made[f"images_{k}"] = np.array([o.image for o in found.images])
            made[f"units_{k}"] = np.array([o.unit for o in found.images])
            made[f"values_{k}"] = np.array([o.value for o in found.images])
        return made

    def __repr__(self) -> str:
        mean, deviation = self.side
        return (
            f"Occlusion({self.tensor!r} responds to {mean:.1f}±{deviation:.1f} of "
            f"{self.can_see:.1f} elements of {self.input!r}, {self.passes:,} passes)"
        )


__all__ = ["LEVEL", "Occluded", "Occlusion", "UnitField", "side_of"]
