"""Exact support of units, backward through the same reads as the bounds; it knows no operator.

What a unit depends on, of every value behind it, is a *region*: a union of products. A product
has a mask for some axes of the value and takes the others whole, so that a window of a picture is
two short masks, and cost grows with the sides of a picture and not with its area. Masks over
several axes appear only where a set is no product of its sides, as after a reshape that cuts
through it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from rfgraph.engine._backward import Backward, marked
from rfgraph.engine.trace import Flow
from rfgraph.reads.compressed import affordable, groups_of
from rfgraph.reads.words import (
    Along,
    AxisRead,
    Elementwise,
    Everything,
    Fixed,
    PerAxis,
    Read,
    Rearrange,
    Shape,
    Table,
    coordinates,
    followed,
    is_same,
)

# More products than this are joined, exactly, into one mask, if it is small. Each product more
# makes up for so many elements of a larger mask.
_MAX_PRODUCTS = 32
_PRODUCT_WORTH = 1 << 14

# From this many coordinates on, a read is marked by its ends.
_WIDE = 8

# So many elements are marked at once.
_BLOCK = 1 << 18


@dataclass(frozen=True, eq=False)
class Factor:
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


# Factors of disjoint axes; an axis without one is taken whole.
Product = tuple[Factor, ...]
Region = tuple[Product, ...]


def region_of(index: Sequence[np.ndarray], shape: Shape) -> Region:
    """The region of the coordinates `index`, a mask for every axis of `shape`."""
    if not all(mask.any() for mask in index) or 0 in shape:
        return ()
    return (tuple(Factor((a,), mask) for a, mask in enumerate(index) if not mask.all()),)


def dense(region: Region, shape: Shape) -> np.ndarray:
    """The region as one mask: bool of `shape`."""
    out = np.zeros(shape, dtype=bool)
    for product in region:
        out |= _over(product, tuple(range(len(shape))), shape)
    return out


def compressed(region: Region, shape: Shape | None) -> np.ndarray:
    """The region as one mask: bool, of length 1 along axes on which it does not vary."""
    axes = tuple(sorted({a for product in region for factor in product for a in factor.axes}))
    if shape is None:
        return np.asarray(bool(region))
    out = np.zeros([shape[a] for a in axes], dtype=bool)
    for product in region:
        out |= _over(product, axes, shape)
    return out.reshape([n if a in axes else 1 for a, n in enumerate(shape)])


class Support:
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
        return f"Support({self.count} elements of '{self.value}' in {self.box})"

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
        if not self._region:
            return None
        ends = []
        for axis, size in enumerate(self.shape):
            side = np.flatnonzero(self.along(axis))
            ends.append((int(side[0]), int(side[-1])) if size else (0, -1))
        return tuple(ends)

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
            out |= _shadow(factor.mask, [factor.axes.index(axis)])
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
            factors = [Factor(f.axes, f.mask[tuple(window[a] for a in f.axes)]) for f in product]
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
                    factors.append(Factor(axes_left, _shadow(factor.mask, own)))
            out |= _over(factors, kept, self.shape)
        return out.transpose([kept.index(a) for a in axes])

    @cached_property
    def count(self) -> int:
        """How many elements there are."""
        if len(self._region) == 1:
            (product,) = self._region
            taken = {a for factor in product for a in factor.axes}
            whole = prod(n for a, n in enumerate(self.shape) if a not in taken)
            return whole * prod(int(f.mask.sum()) for f in product)
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


def backward(flow: Flow, wanted: Mapping[str, Region]) -> dict[str, Region]:
    """What regions of some values depend on, of every value.

    Parameters
    ----------
    flow : Flow
        The steps.
    wanted : mapping of str to Region
        The regions to begin with.

    Returns
    -------
    dict of str to Region
        By value; what is not reached is left out.
    """
    known: dict[object, Any] = {}

    def canonical(region: Region) -> Region:
        """The one region that stands for all of the same products."""
        products = []
        for product in region:
            factors = [known.setdefault((f.axes, f.mask.shape, f.bits), f) for f in product]
            factors.sort(key=lambda factor: factor.axes)
            products.append(known.setdefault(tuple(factors), tuple(factors)))
        products.sort(key=id)
        made: Region = known.setdefault((None, *products), tuple(products))
        return made

    def both(one: Region, other: Region, shape: Shape | None) -> Region:
        return union((*one, *other), shape)

    return Backward(flow, wanted, pulled_back, both, canonical).run()


def covers(a: Region, b: Region) -> bool:
    """Whether `a` holds all of `b`."""
    if all(any(_contains(p, q) for p in a) for q in b):
        return True
    factors = [factor for product in (*a, *b) for factor in product]
    sizes = {axis: n for f in factors for axis, n in zip(f.axes, f.mask.shape, strict=True)}
    # Axes that both take whole are of no account.
    shape = tuple(sizes.get(axis, 1) for axis in range(max(sizes, default=-1) + 1))
    return not (dense(b, shape) & ~dense(a, shape)).any()


# ---------------------------------------------------------------- reads, backward


def pulled_back(region: Region, read: Read, source: Shape | None, extent: Shape | None) -> Region:
    """The elements of a source of which `read` makes the elements in `region`."""
    if source is not None and 0 in source:
        return ()
    if isinstance(read, Everything) or source is None or extent is None:
        return ((),)
    found = []
    for product in region:
        if isinstance(read, Elementwise):
            made: Product | None = _broadcast(product, source, extent)
        elif isinstance(read, Rearrange):
            made = _rearranged(product, read, source, extent)
        else:
            made = _per_axis(product, read, source, extent)
        if made is not None:
            found.append(made)
    return tuple(found) if len(found) < 2 else union(found, source)


def _broadcast(product: Product, source: Shape, extent: Shape) -> Product:
    lead = len(extent) - len(source)
    if not lead and source == extent:
        return product
    out = []
    for factor in product:
        kept = [k for k, a in enumerate(factor.axes) if a >= lead and source[a - lead] > 1]
        if len(kept) == len(factor.axes):
            out.append(Factor(tuple(a - lead for a in factor.axes), factor.mask))
        elif kept:
            axes = tuple(factor.axes[k] - lead for k in kept)
            out.extend(split(axes, _shadow(factor.mask, kept)))
    return tuple(out)


def _rearranged(product: Product, read: Rearrange, source: Shape, extent: Shape) -> Product:
    between = tuple(read.view[a] for a in read.permutation)
    product = reshaped(product, extent, between)
    moved = []
    for factor in product:
        axes = [read.permutation[a] for a in factor.axes]
        order = sorted(range(len(axes)), key=axes.__getitem__)
        moved.append(Factor(tuple(axes[k] for k in order), factor.mask.transpose(order)))
    return reshaped(tuple(moved), read.view, source)


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
    out: list[Factor] = []
    for ins, outs in groups:
        held = tuple(f for f in product if ins.issuperset(f.axes))
        if held and outs:
            before, after = tuple(sorted(ins)), tuple(sorted(outs))
            mask = _over(held, before, source).reshape([target[a] for a in after])
            out.extend(split(after, mask))
    return tuple(out)


def _per_axis(product: Product, read: PerAxis, source: Shape, extent: Shape) -> Product | None:
    owner = {axis: factor for factor in product for axis in factor.axes}
    out: list[Factor] = []
    joint: list[int] = []
    used: set[int] = set()
    shared: set[int] = set()
    for r in read.axes:
        for axis in followed(r):
            (shared if axis in used else used).add(axis)
    for a, r in enumerate(read.axes):
        size = source[a]
        if isinstance(r, Fixed):
            if r.count is None and not r.start:
                continue
            found: np.ndarray | bool = _fixed(r, size)
        else:
            axes = followed(r)
            factor = owner.get(axes[0])
            if len(axes) > 1 or axes[0] in shared or (factor is not None and len(factor.axes) > 1):
                joint.append(a)
                continue
            if isinstance(r, Along) and is_same(r) and extent[r.axis] == size:
                if factor is not None:
                    out.append(factor if factor.axes[0] == a else Factor((a,), factor.mask))
                continue
            found = _along(None if factor is None else factor.mask, r, size, extent)
        if isinstance(found, np.ndarray):
            out.append(Factor((a,), found))
        elif not found:
            return None
    if joint:
        made = _jointly(product, joint, read.axes, source, extent)
        if made is None:
            return None
        out.extend(made)
    return tuple(out)


def _fixed(read: Fixed, size: int) -> np.ndarray | bool:
    """The coordinates of an axis of length `size` that are read: True for all, False for none."""
    mask = np.zeros(size, dtype=bool)
    mask[read.start : None if read.count is None else read.start + read.count] = True
    return _told(mask)


def _along(
    mask: np.ndarray | None, read: Along | Table, size: int, extent: Shape
) -> np.ndarray | bool:
    """What the output coordinates in `mask`, None: all, read of an axis of length `size`."""
    if isinstance(read, Along):
        if mask is None:
            return _all_along(read, size, extent[read.axis])
        return _some_along(mask.tobytes(), read, size, extent[read.axis])
    starts, counts, step = coordinates(read, size, extent)
    if mask is not None:
        starts, counts = starts[mask], counts[mask]
    return _told(_marked(starts, counts, step, size))


def _told(mask: np.ndarray) -> np.ndarray | bool:
    """A mask; True or False where it is so everywhere."""
    count = int(np.count_nonzero(mask))
    return mask if 0 < count < mask.size else count > 0


@lru_cache(maxsize=1024)
def _all_along(read: Along, size: int, outputs: int) -> np.ndarray | bool:
    return _some_along(None, read, size, outputs)


def _some_along(mask: bytes | None, read: Along, size: int, outputs: int) -> np.ndarray | bool:
    begin, end = read.part or (0, outputs)
    if mask is not None:
        begin, end = max(begin, mask.find(1)), min(end, mask.rfind(1) + 1)
    made, count = marked(
        mask, outputs, read.starts, read.counts, read.advance, read.step, begin, end, size
    )
    return np.frombuffer(made, dtype=bool) if 0 < count < size else count > 0


def _at(read: Along, o: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, int]:
    """As `rfgraph.reads.words.coordinates`, at some output coordinates, and not clipped."""
    if len(read.starts) == 1:
        starts = o * read.advance + read.starts[0]
        counts = np.full(len(o), read.counts[0])
    else:
        period, phase = np.divmod(o, len(read.starts))
        starts = np.array(read.starts)[phase] + period * read.advance
        counts = np.array(read.counts)[phase]
    if read.part is not None:
        counts = np.where((o >= read.part[0]) & (o < read.part[1]), counts, 0)
    return starts, counts, read.step


def _marked(starts: np.ndarray, counts: np.ndarray, step: int, size: int) -> np.ndarray:
    """The coordinates ``starts, starts + step, ...`` (`counts` of them) that lie in the axis."""
    mask = np.zeros(size, dtype=bool)
    most = int(counts.max(initial=0))
    if step == 1 and most > _WIDE:
        # Ends of runs, summed up.
        live = counts > 0
        begin = np.clip(starts[live], 0, size)
        end = np.clip(starts[live] + counts[live], 0, size)
        edges = np.bincount(begin, minlength=size + 1) - np.bincount(end, minlength=size + 1)
        mask[:] = np.cumsum(edges)[:size] > 0
        return mask
    even = most == int(counts.min(initial=most))
    for k in range(most):
        at = starts + k * step if even else (starts + k * step)[counts > k]
        mask[at[(at >= 0) & (at < size)]] = True
    return mask


def _jointly(
    product: Product,
    axes: list[int],
    reads: Sequence[AxisRead],
    source: Shape,
    extent: Shape,
) -> Product | None:
    """The source axes `axes`, of which some follow output axes that belong together."""
    parts: list[tuple[set[int], list[int]]] = [(set(factor.axes), []) for factor in product]
    for a in axes:
        outs, members = set(followed(reads[a])), [a]
        for part in [p for p in parts if p[0] & outs]:
            parts.remove(part)
            outs |= part[0]
            members += part[1]
        parts.append((outs, members))
    made: list[Factor] = []
    for outs, members in parts:
        if not members:
            continue
        members.sort()
        over = tuple(sorted(outs))
        held = tuple(f for f in product if outs.issuperset(f.axes))
        mask = _over(held, over, extent)
        found = _product_of(mask, over, members, reads, source, extent)
        if not found.any():
            return None
        made.extend(split(tuple(members), found))
    return tuple(made)


def _product_of(
    mask: np.ndarray,
    over: tuple[int, ...],
    members: list[int],
    reads: Sequence[AxisRead],
    source: Shape,
    extent: Shape,
) -> np.ndarray:
    """For every output coordinate in `mask` the product of what it reads of the axes `members`."""
    followed_by = {out for a in members for out in followed(reads[a])}
    kept = [k for k, out in enumerate(over) if out in followed_by]
    mask = _shadow(mask, kept)
    over = tuple(over[k] for k in kept)
    places = dict(zip(over, np.nonzero(mask), strict=True))
    rows = len(next(iter(places.values())))
    shape = tuple(source[a] for a in members)
    affordable(prod(shape))
    progressions = []
    for a in members:
        r = reads[a]
        if isinstance(r, Along):
            starts, counts, step = _at(r, places[r.axis], source[a])
        else:
            assert isinstance(r, Table)
            index = tuple(places[axis] for axis in r.axes)
            starts, counts, step = r.starts[index], r.counts[index], r.step
        first = np.maximum(-(starts // step), 0)
        last = np.minimum((source[a] - 1 - starts) // step, counts - 1)
        progressions.append((starts + first * step, np.maximum(last - first + 1, 0), step))
    # Runs are given by their ends, to be summed up along these axes.
    runs = [step == 1 and counts.max(initial=0) > _WIDE for _, counts, step in progressions]
    out = np.zeros(shape, dtype=bool)

    def descend(
        level: int,
        index: tuple[np.ndarray, ...],
        rows: np.ndarray,
        sign: int,
        into: np.ndarray,
        begin: int = 0,
    ) -> None:
        if level == len(members):
            if any(runs):
                np.add.at(into, index, sign)
            else:
                into[index] = True
            return
        starts, counts, step = progressions[level]
        starts, counts = starts[rows] - begin, counts[rows]
        if runs[level]:
            some = counts > 0
            kept = tuple(i[some] for i in index)
            descend(level + 1, (*kept, starts[some]), rows[some], sign, into)
            descend(level + 1, (*kept, (starts + counts)[some]), rows[some], -sign, into)
            return
        for k in range(int(counts.max(initial=0))):
            some = counts > k
            at = starts[some] + k * step
            descend(level + 1, (*(i[some] for i in index), at), rows[some], sign, into)

    if not any(runs):
        descend(0, (), np.arange(rows), 1, out)
        return out
    for begin, end, here in _blocks(progressions[0], shape):
        own = (end - begin, *shape[1:])
        edges = np.zeros([n + run for n, run in zip(own, runs, strict=True)], np.int32)
        descend(0, (), here, 1, edges, begin)
        for k, run in enumerate(runs):
            if run:
                np.cumsum(edges, axis=k, out=edges)
        np.greater(edges[tuple(slice(n) for n in own)], 0, out=out[begin:end])
    return out


def _blocks(
    progression: tuple[np.ndarray, np.ndarray, int], shape: Shape
) -> Iterator[tuple[int, int, np.ndarray]]:
    """The coordinates of an axis, first and past the last, in blocks that are small if each row has
    one coordinate, and the rows of each; blocks of which nothing is read are left out.
    """
    starts, counts, _ = progression
    if counts.max(initial=0) > 1:
        yield 0, shape[0], np.arange(len(starts))
        return
    rows = np.flatnonzero(counts)
    rows = rows[np.argsort(starts[rows], kind="stable")]
    many = max(1, _BLOCK // prod(shape[1:]))
    begins = np.arange(0, shape[0], many)
    cuts = [*np.searchsorted(starts[rows], begins).tolist(), len(rows)]
    for begin, (first, past) in zip(begins.tolist(), pairwise(cuts), strict=True):
        if first < past:
            yield begin, min(begin + many, shape[0]), rows[first:past]


# ---------------------------------------------------------------- masks and products


def _over(product: Iterable[Factor], axes: tuple[int, ...], shape: Shape) -> np.ndarray:
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


def split(axes: tuple[int, ...], mask: np.ndarray) -> list[Factor]:
    """A mask as factors over as few axes each as can be."""
    if len(axes) == 1:
        return [] if mask.all() else [Factor(axes, mask)]
    whole = int(np.count_nonzero(mask))
    factors: list[Factor] = []
    rest = list(range(len(axes)))
    for k in range(len(axes)):
        # Of two axes the second leaves if the first does.
        if len(rest) < 2 or (len(axes) == 2 and k):
            break
        # An axis leaves if the mask is the product of its sides on it and on the rest.
        others = tuple(j for j in rest if j != k)
        side = _shadow(mask, (k,))
        remainder = _shadow(mask, others)
        gone = prod(int(f.mask.sum()) for f in factors)
        if int(side.sum()) * int(remainder.sum()) * gone == whole:
            factors.append(Factor((axes[k],), side))
            rest.remove(k)
    if rest:
        left = mask if len(rest) == mask.ndim else _shadow(mask, rest)
        factors.append(Factor(tuple(axes[j] for j in rest), left))
    return [f for f in factors if not f.mask.all()]


def _shadow(mask: np.ndarray, kept: Sequence[int]) -> np.ndarray:
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
    apart: list[tuple[Factor, Factor]] = []
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
            mask |= _over(product, axes, shape)
        kept = [tuple(split(axes, mask))]
    return tuple(kept)


__all__ = [
    "Factor",
    "Product",
    "Region",
    "Support",
    "backward",
    "compressed",
    "covers",
    "dense",
    "region_of",
    "reshaped",
    "split",
    "union",
]
