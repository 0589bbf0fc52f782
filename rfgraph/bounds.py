"""Bounds of every unit of every value, in one forward pass; it knows no operator.

A value's view of one input is a short list of *terms* whose union it sees. A term is a product:
for each axis of the input an array of intervals over the value's elements, of length 1 along
every axis of the value on which they don't vary. A feature map's row bounds are ``(1, 1, H, 1)``,
so the cost of a picture grows with its side and not with its area. Such a product is closed
under every read: the hull of a union of boxes over a product of progressions is the product of
the hulls. Terms are kept apart where joining them would lose exactness or fill the product out,
and joined as soon as it does not.

Intervals are stored as ``[lo, -hi]``, so that a union is one minimum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from math import prod
from operator import or_

import numpy as np

from rfgraph.compressed import (
    NOTHING,
    affordable,
    groups_of,
    moved,
    placed,
    pulled,
    reshaped,
)
from rfgraph.errors import ShapeError
from rfgraph.reads import (
    Along,
    AxisRead,
    Elementwise,
    Everything,
    Fixed,
    PerAxis,
    Read,
    Rearrange,
    Shape,
    coordinates,
    followed,
    reads_everywhere,
)

# Up to this length of an axis its empty places are kept for the next node that asks.
_SHORT = 4096

# Arrays from this many bytes on count towards what all bounds together may take.
_LARGE = 1 << 20
_MAX_KEPT = 1 << 30

# More terms than this are joined, exactly, into one that is written out in full.
_MAX_TERMS = 48


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """A product of intervals.

    Attributes
    ----------
    factors : tuple of ndarray of int64, shape (2, ...)
        For each axis of the input, ``[lo, -hi]`` over the value's elements (compressed).
    masks : tuple of ndarray of int64, shape (1, ...)
        0 where the term holds and `NOTHING` where it is empty, over the value's elements. The
        term is empty wherever one of its factors or masks is.
    marks : int
        Bit ``a`` is set if a statistic has left the term no place along axis ``a`` of the input:
        it is *global* there.
    holes : bool
        Whether a factor may hold `NOTHING`.
    places : tuple of int
        For each axis of the input, bit ``b`` is set if axis ``b`` of the value says where along it
        an element is, and would be longer for a larger input: not the channels or the place in
        a window.
    """

    factors: tuple[np.ndarray, ...]
    masks: tuple[np.ndarray, ...] = ()
    marks: int = 0
    holes: bool = False
    places: tuple[int, ...] = ()


Terms = tuple[Term, ...]


class Bounds:
    """The interpretation of reads as bounds, for `rfgraph.flow.forward`."""

    def __init__(self) -> None:
        self._kept = 0

    def seed(self, shape: Shape) -> Terms:
        """Every element sees itself; a scalar is treated as if it had one axis, of length 1."""
        factors = [] if shape else [np.zeros(2, dtype=np.int64)]
        for axis, size in enumerate(shape):
            own = np.arange(size, dtype=np.int64)
            factors.append(placed(np.stack([own, -own]), (axis,), shape))
        return (Term(tuple(factors), places=tuple(1 << a for a in range(len(factors)))),)

    def read(
        self, view: Terms, read: Read, source: Shape | None, extent: Shape | None
    ) -> Terms | None:
        """See `rfgraph.flow.Interpretation`."""
        if isinstance(read, Elementwise):
            return _padded(view, extent)
        if isinstance(read, Everything):
            return union([_all_of(term, extent) for term in view])
        assert source is not None
        assert extent is not None
        if isinstance(read, Rearrange):
            terms = [_rearranged(term, read, source, extent) for term in view]
            return union(terms)
        if len(view) > 1:
            # Reductions first: what they make equal is joined before the windows.
            split = _reductions_first(read, source, extent)
            if split is not None:
                (first, between), read = split
                view = union([_per_axis(term, first, source, between) for term in view])
                source = between
        made = union([_per_axis(term, read, source, extent) for term in view])
        for term in made:
            self._kept += sum(f.nbytes for f in term.factors if f.nbytes > _LARGE)
        if self._kept > _MAX_KEPT:
            raise ShapeError(
                f"the bounds of all values take more than {_MAX_KEPT >> 30} GB",
                remedy="give smaller sizes with shapes= or --shape",
            )
        return made or None

    def union(self, views: Sequence[Terms], extent: Shape | None) -> Terms:
        """See `rfgraph.flow.Interpretation`."""
        return union([term for terms in views for term in terms])

    meet = union

    def everything(self, shape: Shape, extent: Shape | None) -> Terms:
        """See `rfgraph.flow.Interpretation`."""
        ones = (1,) * len(extent or ())
        ends = [np.array([0, 1 - size]).reshape(2, *ones) for size in shape or (1,)]
        return (Term(tuple(ends), places=(0,) * len(ends)),)

    def equal(self, a: Terms, b: Terms) -> bool:
        """See `rfgraph.flow.Interpretation`; however the two are split into terms."""
        if a is b:
            return True
        marks = {term.marks for term in a}
        return marks == {term.marks for term in b} and all(
            bool((_lowest(left, axis) == _lowest(right, axis)).all())
            for left, right in ((_marked(a, m), _marked(b, m)) for m in marks)
            for axis in range(len(a[0].factors))
        )


def _marked(terms: Sequence[Term], marks: int) -> list[Term]:
    return [term for term in terms if term.marks == marks]


# ---------------------------------------------------------------- reads


def _padded(view: Terms, extent: Shape | None) -> Terms:
    rank = view[0].factors[0].ndim - 1
    if extent is None or rank >= len(extent):
        return view
    more = len(extent) - rank
    lead = (1,) * more

    def pad(array: np.ndarray) -> np.ndarray:
        return array.reshape(array.shape[:1] + lead + array.shape[1:])

    return tuple(
        Term(
            tuple(map(pad, t.factors)),
            tuple(map(pad, t.masks)),
            t.marks,
            t.holes,
            tuple(place << more for place in t.places),
        )
        for t in view
    )


def _all_of(term: Term, extent: Shape | None) -> Term:
    dims = (1,) * len(extent or ())
    marks = term.marks
    for axis, factor in enumerate(term.factors):
        if factor.size > 2:
            marks |= 1 << axis

    def lowest(array: np.ndarray) -> np.ndarray:
        least: np.ndarray = array.reshape(len(array), -1).min(axis=1)
        return least.reshape(len(array), *dims)

    factors = tuple(map(lowest, term.factors))
    masks = tuple(map(lowest, term.masks))
    return _tidy(factors, masks, marks, term.holes, (0,) * len(factors))


def _reductions_first(
    read: PerAxis, source: Shape, extent: Shape
) -> tuple[tuple[PerAxis, Shape], PerAxis] | None:
    """`read` as a read of whole axes or blocks followed by the rest of it, if it has both."""
    first: list[AxisRead] = []
    rest: list[AxisRead] = []
    between = list(source)
    for axis, r in enumerate(read.axes):
        own = Along(axis)
        if isinstance(r, Fixed) and r.count is None:
            first.append(r)
            rest.append(Fixed())
            between[axis] = 1
        else:
            first.append(own)
            rest.append(r)
    if between == list(source) or all(isinstance(r, Fixed) for r in rest):
        return None
    return (PerAxis(read.source, tuple(first)), tuple(between)), PerAxis(read.source, tuple(rest))


def _per_axis(term: Term, read: PerAxis, source: Shape, extent: Shape) -> Term:
    marks = term.marks
    holes = term.holes
    empties: list[np.ndarray] = []
    mixed: set[int] = set()
    for axis, r in enumerate(read.axes):
        if isinstance(r, Fixed) and r.statistic:
            mixed.update(a for a, f in enumerate(term.factors) if f.shape[axis + 1] > 1)
        if not reads_everywhere(r, source[axis], extent):
            if any(f.shape[axis + 1] > 1 for f in term.factors):
                holes = True
            elif all(m.shape[axis + 1] == 1 for m in term.masks):
                # Nothing varies along this axis: the empty places need an array of their own.
                empties.append(placed(_empty_places(r, source[axis], extent), followed(r), extent))
    factors = tuple([pulled(f, read.axes, source, extent) for f in term.factors])
    places = tuple([_read_place(place, read.axes) for place in term.places])
    for a in mixed:
        if not places[a]:
            marks |= 1 << a
    if not (holes or term.masks or empties):
        return Term(factors, (), marks, False, places)
    masks = tuple([pulled(m, read.axes, source, extent) for m in term.masks])
    return _tidy(factors, (*masks, *empties), marks, holes, places)


def _read_place(place: int, reads: Sequence[AxisRead]) -> int:
    """The axes of the output that say where, from those of what it reads that do."""
    out = 0
    for axis, r in enumerate(reads):
        if place >> axis & 1:
            for followed_axis in followed(r):
                out |= 1 << followed_axis
    return out


def _empty_places(read: AxisRead, size: int, extent: Shape) -> np.ndarray:
    """`NOTHING` where `read` reads nothing and 0 elsewhere, with a leading axis."""
    if isinstance(read, Along) and extent[read.axis] <= _SHORT:
        return _empty_outputs(read, size, extent[read.axis])
    return np.where(coordinates(read, size, extent)[1] > 0, 0, NOTHING)[None]


@lru_cache(maxsize=1024)
def _empty_outputs(read: Along, size: int, outputs: int) -> np.ndarray:
    """`_empty_places` along a short axis: concatenations ask for the same ones again and again."""
    counts = coordinates(read, size, (0,) * read.axis + (outputs,))[1]
    return np.where(counts > 0, 0, NOTHING)[None]


def _rearranged(term: Term, read: Rearrange, source: Shape, extent: Shape) -> Term:
    found = [
        _moved(f, place, read, source, extent)
        for f, place in zip(term.factors, term.places, strict=True)
    ]
    factors = tuple([factor for factor, _ in found])
    places = tuple([place for _, place in found])
    if not term.masks and not term.holes:
        return Term(factors, (), term.marks, False, places)
    masks = tuple([moved(m, read, source, extent) for m in term.masks])
    return _tidy(factors, masks, term.marks, term.holes, places)


def _moved(
    factor: np.ndarray, place: int, read: Rearrange, source: Shape, extent: Shape
) -> tuple[np.ndarray, int]:
    """A factor and its place, rearranged."""
    factor = reshaped(factor, source, read.view)
    place = _regrouped_place(place, factor, source, read.view)
    place = sum((place >> a & 1) << b for b, a in enumerate(read.permutation))
    factor = factor.transpose(0, *(axis + 1 for axis in read.permutation))
    between = tuple(read.view[axis] for axis in read.permutation)
    factor = reshaped(factor, between, extent)
    return factor, _regrouped_place(place, factor, between, extent)


def _regrouped_place(place: int, factor: np.ndarray, source: Shape, target: Shape) -> int:
    """The axes of `target` that say where: of an axis that is split, the foremost.

    Where rows and columns were one axis, it is the foremost that the factor varies with.
    """
    if not place or source == target:
        return place
    out = 0
    for ins, outs in groups_of(source, target):
        if any(place >> a & 1 for a in ins):
            wide = [b for b in outs if target[b] > 1]
            varying = [b for b in wide if factor.shape[b + 1] > 1]
            for b in (varying or wide)[:1]:
                out |= 1 << b
    return out


# ---------------------------------------------------------------- terms


def _tidy(
    factors: tuple[np.ndarray, ...],
    masks: tuple[np.ndarray, ...],
    marks: int,
    holes: bool,
    places: tuple[int, ...],
) -> Term:
    """A term with its empty places brought into order; `holes`: factors may have some.

    Factors and masks that vary along a common axis must be empty at the same places, or a
    window along that axis would join what never occurs together. Masks that say nothing more
    are dropped.
    """
    kinds = len(factors)
    arrays = [*factors, *(m for m in masks if (m >= NOTHING).any())]
    empty = [holes and bool((f[0] >= NOTHING).any()) for f in factors]
    empty += [True] * (len(arrays) - kinds)
    if not any(empty):
        return Term(factors, (), marks, False, places)
    groups: list[tuple[set[int], list[int]]] = []
    for k, array in enumerate(arrays):
        axes = {axis for axis, size in enumerate(array.shape[1:]) if size > 1}
        members = [k]
        for group in [g for g in groups if g[0] & axes]:
            groups.remove(group)
            axes |= group[0]
            members += group[1]
        groups.append((axes, members))
    carried: set[int] = set()
    spread: list[int] = []
    for _, members in groups:
        if len(members) < 2 or not any(empty[k] for k in members):
            continue
        spread += [k for k in members if k < kinds]
        dead = np.zeros((1,), dtype=bool)
        for k in members:
            affordable(prod(np.broadcast_shapes(dead.shape, arrays[k][:1].shape)))
            dead = dead | (arrays[k][:1] >= NOTHING)
        for k in members:
            arrays[k] = np.where(dead, NOTHING, arrays[k])
        # One member now carries what all of them said.
        carried.update(k for k in members if k >= kinds and k != min(members))
    kept = tuple(a for k, a in enumerate(arrays) if k >= kinds and k not in carried)
    holes = any(empty[:kinds]) or bool(spread)
    return Term(tuple(arrays[:kinds]), kept, marks, holes, places)


def _dead(term: Term) -> bool:
    """Whether the term is empty everywhere."""
    holed = (*term.factors, *term.masks) if term.holes else term.masks
    return any(bool((a[0] >= NOTHING).all()) for a in holed)


def union(terms: Sequence[Term]) -> Terms:
    """The terms, joined wherever that is exact and no array grows."""
    kept: list[Term] = []
    pending = list(terms)
    while pending:
        term = pending.pop()
        if _dead(term):
            continue
        for k, other in enumerate(kept):
            joined = _joined(other, term)
            if joined is not None:
                # What has grown may now join one of the others.
                del kept[k]
                pending.append(joined)
                break
        else:
            kept.append(term)
    if len(kept) > _MAX_TERMS:
        kept = [_written_out(_marked(kept, m)) for m in {t.marks for t in kept}]
    return tuple(kept)


def _joined(a: Term, b: Term) -> Term | None:
    """One term for both, or None where that would lose something or fill a product out."""
    if a is b:
        return a
    if a.marks != b.marks:
        return None
    places = tuple(map(or_, a.places, b.places))
    if not (a.masks or b.masks or a.holes or b.holes):
        # Joining arrays that vary along different axes would fill their product out.
        if not _nested(a.factors, b.factors):
            return None
        return Term(tuple(map(_least, a.factors, b.factors)), (), a.marks, False, places)
    apart = [k for k, (m, n) in enumerate(zip(a.masks, b.masks, strict=False)) if _differ(m, n)]
    if len(apart) > 1:
        return None
    others = []
    for f, g in zip(a.factors, b.factors, strict=True):
        if _differ(f, g):
            if apart:
                # Two parts of a concatenation, as a rule: more than one array differs.
                return None
            others.append((f, g))
    if len(a.masks) != len(b.masks):
        # Without masks a term holds everywhere.
        return (a if not a.masks else b) if not (others or (a.masks and b.masks)) else None
    if not apart and not others:
        return a
    # Where all but one agree, the union of the products is the product with their union; else
    # it is where they are empty at the same places.
    if len(others) > 1 and not all(map(_equally_empty, others)):
        return None
    left, right = (*a.factors, *a.masks), (*b.factors, *b.masks)
    if not _nested(left, right):
        return None
    arrays = tuple(map(_least, left, right))
    kinds = len(a.factors)
    return _tidy(arrays[:kinds], arrays[kinds:], a.marks, a.holes or b.holes, places)


def _equally_empty(pair: tuple[np.ndarray, np.ndarray]) -> bool:
    f, g = pair
    return f.shape == g.shape and np.array_equal(f[0] >= NOTHING, g[0] >= NOTHING)


def _differ(f: np.ndarray, g: np.ndarray) -> bool:
    return f is not g and not (f.shape == g.shape and (f == g).all())


def _least(f: np.ndarray, g: np.ndarray) -> np.ndarray:
    return f if f is g else np.minimum(f, g)


def _nested(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> bool:
    """Whether, for all factors alike, one side varies along no axis that the other does not."""
    left = right = True
    for f, g in zip(a, b, strict=True):
        if f.shape != g.shape:
            for m, n in zip(f.shape, g.shape, strict=True):
                left = left and m <= n
                right = right and n <= m
    return left or right


def _written_out(terms: Sequence[Term]) -> Term:
    """One term that is exactly the union of `terms`, without regard to its size."""
    shape = np.broadcast_shapes(*(a.shape[1:] for t in terms for a in (*t.factors, *t.masks)))
    affordable(2 * prod(shape))
    factors = []
    for axis in range(len(terms[0].factors)):
        best = np.full((2, *shape), NOTHING, dtype=np.int64)
        for term in terms:
            np.minimum(best, np.where(emptiness(term), NOTHING, term.factors[axis]), out=best)
        factors.append(best)
    places = tuple(reduce(or_, found) for found in zip(*(t.places for t in terms), strict=True))
    return _tidy(tuple(factors), (), terms[0].marks, True, places)


def emptiness(term: Term) -> np.ndarray:
    """Where the term is empty: bool, shape (1, ...), compressed."""
    empty = np.zeros((1,) * term.factors[0].ndim, dtype=bool)
    if term.holes or term.masks:
        for array in (*term.factors, *term.masks):
            empty = empty | (array[:1] >= NOTHING)
    return empty


def interval(
    terms: Terms, axis: int, size: int, *, local: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds along one axis of the input, compressed.

    Parameters
    ----------
    terms : tuple of Term
        The value's view of the input.
    axis : int
        Axis of the input.
    size : int
        Its length.
    local : bool
        Leave out what is global along this axis; elements of which nothing is left keep their
        full bounds.

    Returns
    -------
    lo, hi : ndarray of int64
        Broadcastable to the value's shape; ``size`` and ``-1`` where nothing is seen.
    """
    full = _lowest(terms, axis)
    if local:
        near = [t for t in terms if not t.marks >> axis & 1]
        if near and len(near) < len(terms):
            part = _lowest(near, axis)
            full = np.where(part[:1] >= NOTHING, full, part)
    empty = full[0] >= NOTHING
    if not empty.any():
        return full[0], -full[1]
    return np.where(empty, size, full[0]), np.where(empty, -1, -full[1])


def _lowest(terms: Sequence[Term], axis: int) -> np.ndarray:
    best: np.ndarray | None = None
    for term in terms:
        factor = term.factors[axis]
        if term.holes or term.masks:
            factor = np.where(emptiness(term), NOTHING, factor)
        best = factor if best is None else np.minimum(best, factor)
    assert best is not None
    return best


__all__ = ["NOTHING", "Bounds", "Term", "Terms", "emptiness", "interval", "union"]
