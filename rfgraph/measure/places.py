"""Where an occluder is laid: at places that meet what units see, as many in a run as keep apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Grid(NamedTuple):
    """The places of an occluder on an input, along its spatial axes.

    Attributes
    ----------
    size : tuple of int
        The occluder's sides.
    firsts : tuple of ndarray of int
        Along each axis: where it may begin, ascending.

    Examples
    --------
    >>> grid = Grid.of((7, 5), (3, 3), (2, 2))
    >>> [list(map(int, firsts)) for firsts in grid.firsts], grid.number
    ([[0, 2, 4], [0, 2]], 6)
    """

    size: tuple[int, ...]
    firsts: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, sides: Sequence[int], size: Sequence[int], stride: Sequence[int]) -> Grid:
        """All places `stride` elements apart, and the last one, so that no element is left out.

        Parameters
        ----------
        sides, size, stride : sequence of int
            Of the input and of the occluder, and how far its places are apart.
        """
        firsts = []
        clipped = tuple(min(s, n) for s, n in zip(size, sides, strict=True))
        for n, s, step in zip(sides, clipped, stride, strict=True):
            at = np.arange(0, n - s + 1, step)
            firsts.append(at if at[-1] == n - s else np.append(at, n - s))
        return cls(clipped, tuple(firsts))

    @property
    def number(self) -> int:
        """How many places there are."""
        return int(np.prod([len(at) for at in self.firsts]))

    def block(self, place: int) -> tuple[slice, ...]:
        """What the occluder covers at a place, by its number."""
        at = np.unravel_index(place, [len(firsts) for firsts in self.firsts])
        begins = (int(firsts[k]) for firsts, k in zip(self.firsts, at, strict=True))
        return tuple(slice(b, b + s) for b, s in zip(begins, self.size, strict=True))

    def meeting(self, mask: np.ndarray) -> np.ndarray:
        """The places at which the occluder covers any element of a mask, by number, ascending."""
        counts = np.asarray(mask, np.int64)
        for axis, (firsts, size) in enumerate(zip(self.firsts, self.size, strict=True)):
            before = np.insert(counts.cumsum(axis), 0, 0, axis)
            counts = before.take(firsts + size, axis) - before.take(firsts, axis)
        return np.flatnonzero(counts.ravel())

    def spread(self, places: np.ndarray, values: np.ndarray, sides: Sequence[int]) -> np.ndarray:
        """A map over the input: of each element the mean of what was found where it was covered.

        Parameters
        ----------
        places : ndarray of int
            The places that were tried.
        values : ndarray of float
            What was found at each.
        sides : sequence of int
            Of the input.

        Returns
        -------
        ndarray of float64
            Of shape `sides`; 0 where no place covers an element.
        """
        total = np.zeros([len(firsts) for firsts in self.firsts])
        tried = np.zeros_like(total)
        total.flat[places] = values
        tried.flat[places] = 1
        # Along one axis after the other, so that it takes no array of places by elements.
        for axis, (firsts, size, n) in enumerate(zip(self.firsts, self.size, sides, strict=True)):
            total, tried = (_covered(a, axis, firsts, size, n) for a in (total, tried))
        return np.divide(total, tried, out=np.zeros_like(total), where=tried > 0)


def _covered(array: np.ndarray, axis: int, firsts: np.ndarray, size: int, n: int) -> np.ndarray:
    """The sums along an axis of `n` elements of what covers each."""
    before = np.moveaxis(array, axis, 0)
    made = np.zeros((n, *before.shape[1:]))
    for k in range(size):
        made[firsts + k] += before
    return np.moveaxis(made, 0, axis)


def packed(wanted: Sequence[np.ndarray]) -> list[tuple[int, ...]]:
    """The runs in which every unit has each of its places once, and no other that it sees.

    Parameters
    ----------
    wanted : sequence of ndarray of int
        By unit: the places that meet what it sees.

    Returns
    -------
    list of tuple of int
        By run: the places that are covered in it. Of any two places of a run no unit sees both.

    Examples
    --------
    Two units that see nothing in common take the runs of one; place 3 is seen by both.

    >>> packed([np.array([0, 1, 3]), np.array([3, 7, 8])])
    [(3,), (0, 7), (1, 8)]
    """
    seen: dict[int, int] = {}
    for unit, places in enumerate(wanted):
        for place in places.tolist():
            seen[place] = seen.get(place, 0) | 1 << unit
    # Places that the same units see never share a run: so each group goes on behind the run in
    # which its last place was laid. Those that many units see are the hardest to find room for.
    groups: dict[int, list[int]] = {}
    for place in sorted(seen):
        groups.setdefault(seen[place], []).append(place)
    runs: list[list[int]] = []
    taken: list[int] = []
    for units in sorted(groups, key=lambda units: (-units.bit_count(), units)):
        at = 0
        for place in groups[units]:
            while at < len(runs) and taken[at] & units:
                at += 1
            if at == len(runs):
                runs.append([])
                taken.append(0)
            runs[at].append(place)
            taken[at] |= units
    return [tuple(run) for run in runs]


__all__ = ["Grid", "packed"]
