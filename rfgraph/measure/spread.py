"""Effective fields, and figures of how far they spread."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import isfinite, prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rfgraph.errors import QueryError
from rfgraph.files import save
from rfgraph.notebook import Shown

# Within two standard deviations of a normal distribution.
TWO_SIGMA = 0.9545

# The shares whose boxes are told by default.
SHARES = (0.5, 0.9, 0.99)


class Box(NamedTuple):
    """The smallest box around a unit's own place that holds a share of its map.

    Attributes
    ----------
    share : float
        How much of the map it holds at least.
    sides : tuple of int
        Its sides along the axes of the figures, in elements: all the same, but for what lies
        outside of the field, and no more than the input has.
    area : float
        What it is of the input along these axes: the high-contribution area ratio of RepLKNet.
    of_field : float
        What it is of the field, as far as that lies inside of the input.
    elements : float
        The share of the field's elements that hold as much if the largest are taken, wherever they
        are: no more than `of_field`.
    """

    share: float
    sides: tuple[int, ...]
    area: float
    of_field: float
    elements: float


@dataclass(frozen=True, repr=False)
class Effective(Shown):
    """How much the units of a value change with each element that they can see.

    Attributes
    ----------
    tensor, operator : str
        The value, and what makes it.
    input : str
        The input that was changed.
    shape : tuple of int
        The input's shape.
    units : tuple of slice
        The units that were looked at, one slice an axis of the value.
    axes : tuple of int
        The axes of the input along which figures are told: those along which fields move. The
        others are summed up.
    first : tuple of int
        By axis of the input: the offset of the map's first element from the first of a unit's own
        elements; along axes over which the value can't be laid, a coordinate.
    extent : tuple of int
        By axis: how many offsets the map has.
    step : tuple of int
        By axis: how many of them share a cell.
    map : ndarray of float64
        By cell, one axis an axis of the input: the mean of what a unit changes by for each unit of
        change of *one* element in it. Where the input has whole numbers: by replacement of it.
    error : ndarray of float64
        The standard errors of these; NaN where nothing tells.
    centre : tuple of float
        By axis: the offset of the middle of a unit's own elements.
    theoretical : tuple of int
        By axis: the size of the field; of what is global that of the input.
    passes : int
        Forward passes, counted by image.
    images : int
        How many images these were.
    is_noise : bool
        Whether the images were noise.
    is_replacement : bool
        Whether elements were replaced by others, as whole numbers are.
    complete : bool
        Whether the error was reached that was asked for.
    interrupted : bool
        Whether the user ended it.
    seconds : float
        How long it took.
    seed : int
        Of all random numbers.
    change : float or None
        How far numbers were changed, as a share of the standard deviation of an image; None where
        elements were replaced.
    notes : tuple of str
        What is to be known.
    groups : (ndarray, ndarray), shape (groups, cells)
        By group of images: what changes add up to, and of how many units.
    file : str or None
        The model's path.

    Examples
    --------
    >>> from rfgraph.measure import effective
    >>> found = effective("models/lenet_textbook.onnx", "y")
    >>> found.theoretical, found.share(0.5).sides
    ((1, 1, 6, 6), (4, 4))
    """

    tensor: str
    operator: str
    input: str
    shape: tuple[int, ...]
    units: tuple[slice, ...]
    axes: tuple[int, ...]
    first: tuple[int, ...]
    extent: tuple[int, ...]
    step: tuple[int, ...]
    map: np.ndarray
    error: np.ndarray
    centre: tuple[float, ...]
    theoretical: tuple[int, ...]
    passes: int
    images: int
    is_noise: bool
    is_replacement: bool
    complete: bool
    interrupted: bool
    seconds: float
    seed: int
    change: float | None
    notes: tuple[str, ...]
    groups: tuple[np.ndarray, np.ndarray] = field(repr=False)
    file: str | None = None

    def __repr__(self) -> str:
        sides = "x".join(map(str, self.share(TWO_SIGMA).sides))
        of = "x".join(str(self.theoretical[axis]) for axis in self.axes)
        error = f"{self.relative_error:.1%}" if isfinite(self.relative_error) else "unknown"
        return (
            f"Effective({self.tensor!r} on {self.input!r}: {TWO_SIGMA:.2%} within {sides} of {of}, "
            f"relative error {error}, {self.passes} passes)"
        )

    @property
    def relative_error(self) -> float:
        """The relative standard error of the map, normalised to a sum of 1; NaN of one image."""
        return relative_error(*self.groups)

    @property
    def contribution(self) -> np.ndarray:
        """What each cell adds to the whole along `axes`, the other axes summed up; sum 1."""
        others = tuple(a for a in range(self.map.ndim) if a not in self.axes)
        whole = self.map
        for axis in range(self.map.ndim):
            dims = [-1 if a == axis else 1 for a in range(self.map.ndim)]
            whole = whole * self._elements(axis).reshape(dims)
        summed: np.ndarray = whole.sum(axis=others)
        total = summed.sum()
        return summed / total if total else summed

    def _elements(self, axis: int) -> np.ndarray:
        """How many offsets each cell along an axis has: the last may have fewer."""
        begin = np.arange(self.map.shape[axis]) * self.step[axis]
        return np.minimum(self.step[axis], self.extent[axis] - begin)

    def profile(self, axis: int) -> tuple[np.ndarray, np.ndarray]:
        """What elements add to the whole along one axis, all others summed up.

        Parameters
        ----------
        axis : int
            One of `axes`.

        Returns
        -------
        offset : ndarray of float64
            The middle of each cell, from the middle of a unit's own elements, in elements.
        density : ndarray of float64
            What each element of the cell adds; the whole is 1.

        Raises
        ------
        QueryError
            It is none of them.
        """
        if axis not in self.axes:
            raise QueryError(
                f"along axis {axis} there is no profile",
                remedy=f"give one of {', '.join(map(str, self.axes))}",
            )
        others = tuple(k for k, a in enumerate(self.axes) if a != axis)
        many = self._elements(axis)
        begin = self.first[axis] + np.arange(len(many)) * self.step[axis]
        offset = begin + (many - 1) / 2 - self.centre[axis]
        return offset, self.contribution.sum(axis=others) / many

    def share(self, share: float) -> Box:
        """The smallest box around a unit's own place that holds a share of the map.

        As of X. Ding, X. Zhang, J. Han and G. Ding, *Scaling up your kernels to 31x31* (RepLKNet),
        CVPR 2022, with the mean size of changes in place of the rectified gradient of a
        sum of channels. Within a cell of several elements all count the same.

        Parameters
        ----------
        share : float
            From 0 to 1.

        Returns
        -------
        Box
            Its sides, and what it is of the input and of the field.

        Raises
        ------
        QueryError
            It is no share.
        """
        if not 0 <= share <= 1:
            raise QueryError(f"share={share}: give a number from 0 to 1")
        whole = self.contribution
        low = self._radius(whole, share)
        sides = tuple(max(1, self._side(axis, low)) for axis in self.axes)
        ordered = np.argsort(-(whole / self._sizes()).ravel(), kind="stable")
        held = np.cumsum(whole.ravel()[ordered])
        many = np.cumsum(self._sizes().ravel()[ordered])
        enough = min(int(np.searchsorted(held, share - 1e-12)), len(many) - 1)
        return Box(
            share,
            sides,
            prod(sides) / prod(self.shape[a] for a in self.axes),
            prod(sides) / prod(min(self.extent[a], self.shape[a]) for a in self.axes),
            float(many[enough] / many[-1]),
        )

    def area_error(self, share: float) -> float:
        """The standard error of the area of a box, as of `share`.

        Sides go by whole elements, which small differences between images do not move: it is that
        of the area in between, by how much of the map the next smaller box holds.

        Parameters
        ----------
        share : float
            From 0 to 1.

        Returns
        -------
        float
            As a share of the input; NaN if there is one group of images alone.
        """

        def area(found: Effective) -> float:
            whole = found.contribution
            radius = found._radius(whole, share)
            areas = [
                prod(max(1, found._side(axis, r)) / found.shape[axis] for axis in found.axes)
                for r in (radius - 1, radius)
            ]
            held = [found._within(whole, r) if r >= 0 else 0.0 for r in (radius - 1, radius)]
            if held[1] <= held[0]:
                return areas[1]
            part = min((share - held[0]) / (held[1] - held[0]), 1.0)
            return areas[0] + part * (areas[1] - areas[0])

        return self.error_of(area)

    def _radius(self, whole: np.ndarray, share: float) -> int:
        """The least box that holds a share: of side 1 + 2r around an element, 2r around a boundary
        of two.
        """
        low, high = (
            0,
            max(
                int(
                    2 * max(abs(self.first[a] - self.centre[a]), abs(self._end(a) - self.centre[a]))
                )
                for a in self.axes
            )
            + 2,
        )
        while low < high:
            middle = (low + high) // 2
            if self._within(whole, middle) >= share - 1e-12:
                high = middle
            else:
                low = middle + 1
        return low

    def _sizes(self) -> np.ndarray:
        """How many offsets each cell of `contribution` has."""
        sizes = np.ones((1,) * len(self.axes))
        for k, axis in enumerate(self.axes):
            dims = [-1 if j == k else 1 for j in range(len(self.axes))]
            sizes = sizes * self._elements(axis).reshape(dims)
        return sizes

    def _end(self, axis: int) -> int:
        return self.first[axis] + self.extent[axis] - 1

    def _ends(self, axis: int, radius: int) -> tuple[float, float]:
        """First and last offset of a box, both whole where the centre allows for it."""
        reach = radius if self.centre[axis] % 1 == 0 else radius - 0.5
        return self.centre[axis] - reach, self.centre[axis] + reach

    def _side(self, axis: int, radius: int) -> int:
        """The side of a box, as far as it lies inside of the map: no more than the input has."""
        begin, end = self._ends(axis, radius)
        side = int(min(end, self._end(axis)) - max(begin, self.first[axis])) + 1
        return min(side, self.shape[axis])

    def _within(self, whole: np.ndarray, radius: int) -> float:
        """What a box holds."""
        for k, axis in enumerate(self.axes):
            begin, end = self._ends(axis, radius)
            many = self._elements(axis)
            at = self.first[axis] + np.arange(len(many)) * self.step[axis]
            held = np.minimum(at + many, end + 1) - np.maximum(at, begin)
            dims = [-1 if j == k else 1 for j in range(len(self.axes))]
            whole = whole * (np.clip(held, 0, None) / many).reshape(dims)
        return float(whole.sum())

    @property
    def width(self) -> tuple[float, ...]:
        """By axis of `axes`: the standard deviation of the profile, in elements.

        It is the width of the Gaussian that the map is if it is one, of the same mean and variance.
        """
        found = []
        for axis in self.axes:
            offset, density = self.profile(axis)
            many = self._elements(axis)
            held = density * many
            if not held.sum():
                found.append(0.0)
                continue
            mean = (held * offset).sum()
            # Within a cell all offsets count the same.
            inner = (many.astype(np.float64) ** 2 - 1) / 12
            found.append(float(np.sqrt((held * ((offset - mean) ** 2 + inner)).sum())))
        return tuple(found)

    @property
    def luo(self) -> float:
        """The side of a square of as many elements as add more than 4.55 % of what the most does.

        Luo et al. measure effective fields so, with the element in the middle in place of the one
        that adds the most: the edge of two standard deviations of a Gaussian, whose side is 4.42
        of them along two axes.
        """
        density = self.contribution / self._sizes()
        many = self._sizes()[density > (1 - TWO_SIGMA) * density.max()].sum()
        return float(many ** (1 / len(self.axes)))

    @property
    def ratio(self) -> tuple[float, ...]:
        """By axis of `axes`: the side of the box of 95.45 % of the map, by the field's size."""
        sides = self.share(TWO_SIGMA).sides
        pairs = zip(sides, self.axes, strict=True)
        return tuple(min(side / self.theoretical[axis], 1.0) for side, axis in pairs)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an ``.npz`` file: the map, its errors, and where its cells lie.

        Parameters
        ----------
        path : path
            The file, with the arrays ``map``, ``error``, ``first``, ``step``, ``extent``,
            ``centre``, ``theoretical``, ``axes`` and ``shape``, as the attributes are.

        Raises
        ------
        RFGraphError
            It can't be written.
        """
        arrays = self._arrays()
        save(Path(path), lambda stream: np.savez_compressed(stream, **arrays))

    def _arrays(self) -> dict[str, Any]:
        names = ("map", "error", "first", "step", "extent", "centre", "theoretical", "axes")
        return {n: np.asarray(getattr(self, n)) for n in (*names, "shape")}

    def error_of(self, figure: Callable[[Effective], float]) -> float:
        """The standard error of any figure of the map, by leaving out one group of images a time.

        Parameters
        ----------
        figure : callable
            What gives the figure of an effective field.

        Returns
        -------
        float
            In the figure's unit; NaN if there is one group alone.

        Examples
        --------
        >>> from rfgraph.measure import effective
        >>> found = effective("models/lenet_textbook.onnx", "y")
        >>> found.error_of(lambda e: e.width[0]) < 0.1
        True
        """
        sums, hits = self.groups
        if len(sums) < 2:
            return float("nan")
        total, many = sums.sum(axis=0), hits.sum(axis=0)
        left = [
            figure(replace(self, map=mean_of(total - s, many - h).reshape(self.map.shape)))
            for s, h in zip(sums, hits, strict=True)
        ]
        return float(np.sqrt((len(left) - 1) * np.var(left)))


@dataclass(frozen=True, repr=False)
class Growth(Shown):
    """The effective fields of several values of a model.

    Attributes
    ----------
    layers : tuple of Effective
        In topological order.
    """

    layers: tuple[Effective, ...]

    def __repr__(self) -> str:
        return f"Growth({len(self.layers)} values)"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an ``.npz`` file with the maps of all values.

        Parameters
        ----------
        path : path
            The file: ``values`` has the names of the values, and the arrays of value k are those of
            `Effective.save`, as ``map_k``.

        Raises
        ------
        RFGraphError
            It can't be written.
        """
        arrays = {
            f"{name}_{k}": array
            for k, layer in enumerate(self.layers)
            for name, array in layer._arrays().items()
        }
        arrays["values"] = np.array([layer.tensor for layer in self.layers])
        save(Path(path), lambda stream: np.savez_compressed(stream, **arrays))


# ---------------------------------------------------------------- estimates


def mean_of(sums: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """The mean by cell; 0 where nothing was sampled."""
    found: np.ndarray = np.divide(sums, hits, out=np.zeros_like(sums), where=hits > 0)
    return found


def standard_error(sums: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """The standard error of each cell's mean, by leaving out one group at a time (a jackknife).

    Parameters
    ----------
    sums, hits : ndarray of float64, shape (groups, cells)
        By group: what is added up, and of how many.

    Returns
    -------
    ndarray of float64, shape (cells,)
        NaN where less than two groups have samples.
    """
    groups = len(sums)
    if groups < 2:
        return np.full(sums.shape[1], np.nan)
    left = mean_of(sums.sum(axis=0) - sums, hits.sum(axis=0) - hits)
    found: np.ndarray = np.sqrt((groups - 1) * left.var(axis=0))
    found[(hits > 0).sum(axis=0) < 2] = np.nan
    return found


def relative_error(sums: np.ndarray, hits: np.ndarray) -> float:
    """The relative standard error of the map that is normalised to a sum of 1.

    Parameters
    ----------
    sums, hits : ndarray of float64, shape (groups, cells)
        By group: what is added up, and of how many.

    Returns
    -------
    float
        The root of the sum of all squared errors, by that of all squared numbers; NaN if there is
        only one group. A cell that one group alone has sampled counts as if it were all wrong.
    """
    groups = len(sums)
    if groups < 2:
        return float("nan")
    total, many = sums.sum(axis=0), hits.sum(axis=0)
    whole = mean_of(total, many)
    if not whole.sum():
        return 0.0
    left = mean_of(total - sums, many - hits)
    scale = left.sum(axis=1, keepdims=True)
    left = np.divide(left, scale, out=np.zeros_like(left), where=scale > 0)
    squares = ((groups - 1) * left.var(axis=0)).sum()
    return float(np.sqrt(squares) / np.linalg.norm(whole / whole.sum()))


__all__ = ["SHARES", "TWO_SIGMA", "Box", "Effective", "Growth", "mean_of", "relative_error"]
