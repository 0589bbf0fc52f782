"""Exact support of units, backward through the same reads as the bounds; it knows no operator.

What a unit depends on, of every value behind it, is a region (`rfgraph.engine.products`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from rfgraph.engine._backward import Backward, Memory
from rfgraph.engine.products import AxesMask, Region, dense, mask_over, shadow, union
from rfgraph.engine.pullback import pulled_back
from rfgraph.engine.trace import Flow
from rfgraph.notebook import Shown
from rfgraph.reads.words import Shape


class Support(Shown):
    """A set of elements of one value.

    Kept as a union of products of masks along single axes wherever it is one; `numpy.asarray`
    gives it in full.

    Parameters
    ----------
    value : str
        Name of the value, an input as a rule.
    shape : tuple of int
        The value's shape.
    region : Region
        The elements.

    Examples
    --------
    >>> from rfgraph.engine.products import region_of
    >>> rows, columns = (np.arange(9) % 4 == 1, np.arange(9) < 3)
    >>> s = Support("x", (9, 9), region_of([rows, columns], (9, 9)))
    >>> s.box, s.count, s.density
    (((1, 5), (0, 2)), 6, 0.4)
    """

    def __init__(self, value: str, shape: Shape, region: Region) -> None:
        self.value = value
        self.shape = shape
        self._region = region

    def __repr__(self) -> str:
        return f"Support({self.count} elements of {self.value!r} in {self.box})"

    def __bool__(self) -> bool:
        return bool(self._region)

    def __or__(self, other: Support) -> Support:
        """What is in either of two sets of the same value."""
        if (self.value, self.shape) != (other.value, other.shape):
            return NotImplemented
        return Support(self.value, self.shape, union((*self._region, *other._region), self.shape))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        made = dense(self._region, self.shape)
        return made if dtype is None else made.astype(dtype)

    @cached_property
    def box(self) -> tuple[tuple[int, int], ...] | None:
        """First and last coordinate, inclusive, along each axis; None if there is no element."""
        return tuple([side[:2] for side in self._sides]) if self._region else None

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """How many coordinates of each axis occur: where there are holes, fewer than the box has.

        Examples
        --------
        >>> from rfgraph.engine.products import region_of
        >>> rows, columns = (np.arange(9) % 4 == 1, np.arange(9) < 3)
        >>> s = Support("x", (9, 9), region_of([rows, columns], (9, 9)))
        >>> s.box, s.lengths
        (((1, 5), (0, 2)), (2, 3))
        """
        return tuple([many for _, _, many in self._sides])

    @cached_property
    def _sides(self) -> Sequence[tuple[int, int, int]]:
        """Along each axis the first and the last coordinate that occurs, and how many do."""
        found = [(0, size - 1, size) for size in self.shape]
        if len(self._region) == 1:
            for factor in self._region[0]:
                for axis, side in zip(factor.axes, factor.sides, strict=True):
                    found[axis] = side
            return found
        for axis in range(len(self.shape)):
            seen = np.flatnonzero(self.along(axis))
            found[axis] = (int(seen[0]), int(seen[-1]), seen.size) if seen.size else (0, -1, 0)
        return found

    def along(self, axis: int) -> np.ndarray:
        """Which coordinates of one axis occur.

        Parameters
        ----------
        axis : int
            Axis of the value, from 0 on.

        Returns
        -------
        ndarray of bool
            As long as the axis.

        Examples
        --------
        >>> from rfgraph.engine.products import region_of
        >>> rows, columns = np.array([True, False, True]), np.array([False, True])
        >>> Support("x", (3, 2), region_of([rows, columns], (3, 2))).along(0).tolist()
        [True, False, True]
        """
        out = np.zeros(self.shape[axis], dtype=bool)
        for product in self._region:
            factor = next((f for f in product if axis in f.axes), None)
            if factor is None:
                out[:] = True
                break
            out |= shadow(factor.mask, [factor.axes.index(axis)])
        return out

    @property
    def mask(self) -> np.ndarray:
        """Which elements of the box there are: bool, of the box's shape."""
        inside = self._inside
        return dense(inside._region, inside.shape)

    @property
    def elements(self) -> np.ndarray:
        """Where the elements are in the input laid out flat: ascending, as `numpy.flatnonzero`."""
        if not self.box:
            return np.arange(self.count)
        at = zip(np.nonzero(self.mask), self.box, strict=True)
        return np.ravel_multi_index(tuple(k + lo for k, (lo, _) in at), self.shape)

    @cached_property
    def _inside(self) -> Support:
        """The same set within its box."""
        box = self.box
        if box is None:
            return Support(self.value, (0,) * len(self.shape), ())
        window = [slice(lo, hi + 1) for lo, hi in box]
        cut = []
        for product in self._region:
            factors = [AxesMask(f.axes, f.mask[tuple(window[a] for a in f.axes)]) for f in product]
            cut.append(tuple(factors))
        return Support(self.value, tuple(hi - lo + 1 for lo, hi in box), tuple(cut))

    def projection(self, axes: Sequence[int]) -> np.ndarray:
        """Which coordinates occur along some axes, together.

        Parameters
        ----------
        axes : sequence of int
            Axes of the value, from 0 on.

        Returns
        -------
        ndarray of bool
            Of the sizes of `axes`, in their order.

        Examples
        --------
        >>> from rfgraph.engine.products import region_of
        >>> rows, columns = np.array([True, False, True]), np.array([False, True])
        >>> Support("x", (3, 2), region_of([rows, columns], (3, 2))).projection([1, 0]).tolist()
        [[False, False, False], [True, False, True]]
        """
        kept = tuple(sorted(axes))
        out = np.zeros([self.shape[a] for a in kept], dtype=bool)
        for product in self._region:
            factors = []
            for factor in product:
                own = [k for k, a in enumerate(factor.axes) if a in kept]
                if own:
                    axes_left = tuple(factor.axes[k] for k in own)
                    factors.append(AxesMask(axes_left, shadow(factor.mask, own)))
            out |= mask_over(factors, kept, self.shape)
        return out.transpose([kept.index(a) for a in axes])

    @cached_property
    def count(self) -> int:
        """How many elements there are."""
        if len(self._region) == 1:
            (product,) = self._region
            taken = {a for factor in product for a in factor.axes}
            whole = prod(n for a, n in enumerate(self.shape) if a not in taken)
            return whole * prod(f.count for f in product)
        inside = self._inside
        axes = tuple(sorted({a for p in self._region for f in p for a in f.axes}))
        whole = prod(n for a, n in enumerate(inside.shape) if a not in axes)
        return whole * int(inside.projection(axes).sum())

    @property
    def density(self) -> float:
        """The share of its box that it holds, from 0 to 1: below 1 there are holes."""
        if self.box is None:
            return 0.0
        return self.count / prod(hi - lo + 1 for lo, hi in self.box)


# What is remembered takes about so many bytes, without the elements of masks.
_ENTRY = 200


class KnownRegions:
    """Regions that were met, and what was read by them: see `rfgraph.engine._backward`.

    Attributes
    ----------
    memory : Memory
        What was worked out of them.
    supports : dict
        What was last asked of values, by how they are derived of the input: what of the value, and
        the answer.
    """

    def __init__(self) -> None:
        self._known: dict[object, Any] = {}
        self._elements = 0
        self.memory: Memory[Region] = Memory(pulled_back, _both, self._canonical)
        self.supports: dict[object, tuple[object, Support]] = {}

    @property
    def size(self) -> int:
        """How much is kept, about, in bytes."""
        return _ENTRY * (len(self.memory) + len(self.supports)) + self._elements

    def _canonical(self, region: Region) -> Region:
        """The one region that stands for all of the same products."""
        products = []
        for product in region:
            factors = [self._one(factor) for factor in product]
            factors.sort(key=lambda factor: factor.axes)
            products.append(self._known.setdefault(tuple(factors), tuple(factors)))
        products.sort(key=id)
        made: Region = self._known.setdefault((None, *products), tuple(products))
        return made

    def _one(self, factor: AxesMask) -> AxesMask:
        key = factor.axes, factor.mask.shape, factor.bits
        found: AxesMask | None = self._known.get(key)
        if found is None:
            found = self._known[key] = factor
            self._elements += factor.mask.size
        return found


def _both(one: Region, other: Region, shape: Shape | None) -> Region:
    return union((*one, *other), shape)


def backward(
    flow: Flow, wanted: Mapping[str, Region], known: KnownRegions | None = None
) -> dict[str, Region]:
    """What regions of some values depend on, of every value.

    Parameters
    ----------
    flow : Flow
        The steps.
    wanted : mapping of str to Region
        The regions to begin with.
    known : KnownRegions, optional
        What was worked out before; it grows.

    Returns
    -------
    dict of str to Region
        By value; what is not reached is left out.
    """
    return Backward(flow, wanted, (KnownRegions() if known is None else known).memory).run()
