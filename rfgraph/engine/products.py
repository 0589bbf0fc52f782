"""Regions: sets of elements of one value, as unions of products of masks.

A product has a mask for some axes of the value and takes the others whole, so that a window of a
picture is two short masks, and cost grows with the sides of a picture and not with its area. Masks
over several axes appear only where a set is no product of its sides, as after a reshape that cuts
through it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod

import numpy as np

from rfgraph.reads.compressed import affordable, groups_of
from rfgraph.reads.words import Shape

# More products than this are joined, exactly, into one mask, if it is small. Each product more
# makes up for so many elements of a larger mask.
_MAX_PRODUCTS = 32
_PRODUCT_WORTH = 1 << 14


@dataclass(frozen=True, eq=False)
class AxesMask:
    """A mask over some axes of a value.

    Attributes
    ----------
    axes : tuple of int
        Ascending.
    mask : ndarray of bool
        Over these axes; somewhere true, and somewhere false.
    """

    axes: tuple[int, ...]
    mask: np.ndarray

    @cached_property
    def bits(self) -> int:
        """The mask as a number: masks are compared again and again."""
        return int.from_bytes(np.packbits(self.mask).tobytes(), "little")

    @cached_property
    def count(self) -> int:
        """How many places it holds."""
        return int(np.count_nonzero(self.mask))

    @cached_property
    def sides(self) -> tuple[tuple[int, int, int], ...]:
        """Along each axis the first and the last coordinate that occurs, and how many do."""
        found = []
        for k in range(len(self.axes)):
            side = np.flatnonzero(self.mask if self.mask.ndim == 1 else shadow(self.mask, [k]))
            found.append((int(side[0]), int(side[-1]), side.size))
        return tuple(found)


# Factors of disjoint axes; an axis without one is taken whole.
Product = tuple[AxesMask, ...]
Region = tuple[Product, ...]


def region_of(index: Sequence[np.ndarray], shape: Shape) -> Region:
    """The region of the coordinates `index`, a mask for every axis of `shape`."""
    if not all(mask.any() for mask in index) or 0 in shape:
        return ()
    return (tuple(AxesMask((a,), mask) for a, mask in enumerate(index) if not mask.all()),)


def region_of_unit(unit: Sequence[int], shape: Shape) -> Region:
    """The region of one unit of a value of a shape without axes of length 0."""
    every = zip(unit, shape, strict=True)
    return (tuple([_point(axis, at, size) for axis, (at, size) in enumerate(every) if size > 1]),)


@lru_cache(maxsize=1024)
def _point(axis: int, at: int, size: int) -> AxesMask:
    mask = np.zeros(size, dtype=bool)
    mask[at] = True
    return AxesMask((axis,), mask)


def dense(region: Region, shape: Shape) -> np.ndarray:
    """The region as one mask: bool of `shape`."""
    out = np.zeros(shape, dtype=bool)
    for product in region:
        out |= mask_over(product, tuple(range(len(shape))), shape)
    return out


def compressed(region: Region, shape: Shape | None) -> np.ndarray:
    """The region as one mask: bool, of length 1 along axes on which it does not vary."""
    axes = tuple(sorted({a for product in region for factor in product for a in factor.axes}))
    if shape is None:
        return np.asarray(bool(region))
    out = np.zeros([shape[a] for a in axes], dtype=bool)
    for product in region:
        out |= mask_over(product, axes, shape)
    return out.reshape([n if a in axes else 1 for a, n in enumerate(shape)])


def covers(a: Region, b: Region) -> bool:
    """Whether `a` holds all of `b`."""
    if all(any(_contains(p, q) for p in a) for q in b):
        return True
    factors = [factor for product in (*a, *b) for factor in product]
    sizes = {axis: n for f in factors for axis, n in zip(f.axes, f.mask.shape, strict=True)}
    # Axes that both take whole are of no account.
    shape = tuple(sizes.get(axis, 1) for axis in range(max(sizes, default=-1) + 1))
    return not (dense(b, shape) & ~dense(a, shape)).any()


def reshaped(product: Product, source: Shape, target: Shape) -> Product:
    """The elements of a product of a value of shape `source`, reshaped to `target`."""
    if source == target or not product:
        return product
    groups = [(set(ins), set(outs)) for ins, outs in groups_of(source, target)]
    for factor in product:
        # Groups that a mask ties together are one.
        axes = set(factor.axes)
        tied = [g for g in groups if g[0] & axes]
        groups = [g for g in groups if not g[0] & axes]
        groups.append((set().union(*(g[0] for g in tied)), set().union(*(g[1] for g in tied))))
    out: list[AxesMask] = []
    for ins, outs in groups:
        held = tuple(f for f in product if ins.issuperset(f.axes))
        if held and outs:
            before, after = tuple(sorted(ins)), tuple(sorted(outs))
            mask = mask_over(held, before, source).reshape([target[a] for a in after])
            out.extend(split(after, mask))
    return tuple(out)


def mask_over(product: Iterable[AxesMask], axes: tuple[int, ...], shape: Shape) -> np.ndarray:
    """One mask over `axes`, which hold those of every factor."""
    affordable(prod(shape[a] for a in axes))
    product = list(product)
    if len(product) == 1 and product[0].axes == axes:
        return product[0].mask
    out = np.ones([shape[a] for a in axes], dtype=bool)
    for factor in product:
        dims = [shape[a] if a in factor.axes else 1 for a in axes]
        out &= factor.mask.reshape(dims)
    return out


def split(axes: tuple[int, ...], mask: np.ndarray) -> list[AxesMask]:
    """A mask as factors over as few axes each as can be."""
    if len(axes) == 1:
        return [] if mask.all() else [AxesMask(axes, mask)]
    whole = int(np.count_nonzero(mask))
    factors: list[AxesMask] = []
    rest = list(range(len(axes)))
    for k in range(len(axes)):
        # Of two axes the second leaves if the first does.
        if len(rest) < 2 or (len(axes) == 2 and k):
            break
        # An axis leaves if the mask is the product of its sides on it and on the rest.
        others = tuple(j for j in rest if j != k)
        side = shadow(mask, (k,))
        remainder = shadow(mask, others)
        gone = prod(int(f.mask.sum()) for f in factors)
        if int(side.sum()) * int(remainder.sum()) * gone == whole:
            factors.append(AxesMask((axes[k],), side))
            rest.remove(k)
    if rest:
        left = mask if len(rest) == mask.ndim else shadow(mask, rest)
        factors.append(AxesMask(tuple(axes[j] for j in rest), left))
    return [f for f in factors if not f.mask.all()]


def shadow(mask: np.ndarray, kept: Sequence[int]) -> np.ndarray:
    """Where a mask holds somewhere along all axes but those `kept`."""
    return np.asarray(mask.any(axis=tuple(k for k in range(mask.ndim) if k not in kept)))


def _contains(p: Product, q: Product) -> bool:
    """Whether product `p` is seen to hold all of `q`."""
    if p is q:
        return True
    own = {factor.axes: factor for factor in q}
    for factor in p:
        other = own.get(factor.axes)
        if other is None or (other is not factor and factor.bits | other.bits != factor.bits):
            return False
    return True


def _joined(p: Product, q: Product) -> Product | None:
    """One product that is the union of both, where there is one that is easily seen."""
    if len(p) != len(q):
        return None
    other = {factor.axes: factor for factor in q}
    apart: list[tuple[AxesMask, AxesMask]] = []
    for factor in p:
        match = other.get(factor.axes)
        if match is None:
            return None
        if match is not factor and match.bits != factor.bits:
            apart.append((factor, match))
            if len(apart) > 1:
                return None
    if not apart:
        return p
    ((factor, match),) = apart
    both = factor.mask | match.mask
    kept = [f for f in p if f is not factor]
    return tuple(kept) if both.all() else (*kept, *split(factor.axes, both))


def union(products: Iterable[Product], shape: Shape | None) -> Region:
    """The union of products, with as few as is easily seen."""
    kept: list[Product] = []
    pending = list(products)
    while pending:
        product = pending.pop()
        if any(_contains(other, product) for other in kept):
            continue
        kept = [other for other in kept if not _contains(product, other)]
        for k, other in enumerate(kept):
            joined = _joined(other, product)
            if joined is not None:
                del kept[k]
                pending.append(joined)
                break
        else:
            kept.append(product)
    if len(kept) <= _MAX_PRODUCTS or shape is None:
        return tuple(kept)
    axes = tuple(sorted({a for product in kept for f in product for a in f.axes}))
    if len(kept) > prod(shape[a] for a in axes) // _PRODUCT_WORTH:
        mask = np.zeros([shape[a] for a in axes], dtype=bool)
        for product in kept:
            mask |= mask_over(product, axes, shape)
        kept = [tuple(split(axes, mask))]
    return tuple(kept)
