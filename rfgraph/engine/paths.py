"""How many ways lead from a unit to each element: counts of paths, backward through the reads.

A path is a sequence of reads, from the unit to an element of a value behind it. How many there
are is the gradient of a net whose operators are all sums with weights of 1: every read of an
element counts, and one that an operator reads twice (Softmax its own element for itself and in
the sum) counts twice.

The counts of a value are a sum of *terms*, and a term is a product of arrays over some of the
axes, each as short as can be: those of a stack of convolutions are one array of rows times one of
columns times one of channels. Numbers grow beyond every float in deep nets, so that a term has a
power of two beside it; counts are exact up to 2**53 and rounded as floats are beyond.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import frexp, ldexp, prod
from typing import Any, NoReturn

import numpy as np

from rfgraph.engine.trace import Flow
from rfgraph.errors import QueryError, ShapeError
from rfgraph.model.graph import Node
from rfgraph.model.sizes import all_known
from rfgraph.reads.compressed import groups_of
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
    Stage,
    coordinates,
    followed,
    is_same,
)

# Terms are merged where the merged array has at most _SMALL elements. If more than _MAX_TERMS are
# left, they are merged whatever the size.
_SMALL = 1 << 14
_MAX_TERMS = 8

# An array with more elements than this is refused rather than made.
_MAX_ELEMENTS = 1 << 27

# Arrays are scaled by powers of two so that they stay below this: a product of 48 of them still
# fits into a float.
_HUGE = 2.0**20


@dataclass(frozen=True, slots=True, eq=False)
class AxesCounts:
    """Counts over some axes of a value.

    Attributes
    ----------
    axes : tuple of int
        Ascending.
    counts : ndarray of float64
        Over these axes; not all equal.
    """

    axes: tuple[int, ...]
    counts: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """A product of counts, the same along every axis that no factor has.

    Attributes
    ----------
    factors : tuple of AxesCounts
        Of disjoint axes.
    scale : float
        From 0.5 to 1.
    exponent : int
        The product is times ``scale * 2**exponent``.
    """

    factors: tuple[AxesCounts, ...]
    scale: float = 0.5
    exponent: int = 1


Terms = tuple[Term, ...]


class Paths:
    """How many paths lead to each element of one value.

    `numpy.asarray` gives the counts in full, float64.

    Parameters
    ----------
    value : str
        Name of the value, an input as a rule.
    shape : tuple of int
        The value's shape.
    terms : Terms
        The counts.

    Examples
    --------
    >>> p = Paths("x", (2, 3), counted([np.array([True, True]), np.array([True, False, True])]))
    >>> np.asarray(p).tolist(), p.total
    ([[1.0, 0.0, 1.0], [1.0, 0.0, 1.0]], 4)
    """

    def __init__(self, value: str, shape: Shape, terms: Terms) -> None:
        self.value = value
        self.shape = shape
        self._terms = terms

    def __repr__(self) -> str:
        return f"Paths({_readable(self.total)} to '{self.value}')"

    def __bool__(self) -> bool:
        return bool(self._terms)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        made = _floats(*self._projected(range(len(self.shape))))
        return made if dtype is None else made.astype(dtype)

    @cached_property
    def total(self) -> int:
        """How many paths there are, rounded to the 53 binary digits that a float has."""
        counts, exponent = self._projected(())
        return _whole(float(counts), exponent)

    @property
    def relative(self) -> np.ndarray:
        """The counts, divided by the largest: float64, from 0 to 1.

        However many there are it fits; what is below 2**-1000 of the largest may be 0.
        """
        counts, _ = self._projected(range(len(self.shape)))
        return np.asarray(counts / counts.max()) if counts.any() else counts

    def along(self, axis: int) -> np.ndarray:
        """How many paths lead to each coordinate of one axis.

        Parameters
        ----------
        axis : int
            Axis of the value, from 0 on.

        Returns
        -------
        ndarray of float64
            As long as the axis.

        Raises
        ------
        OverflowError
            A count is greater than any float: `relative` shows their proportions.

        Examples
        --------
        >>> p = Paths("x", (2, 3), counted([np.array([True, True]), np.array([True, False, True])]))
        >>> p.along(1).tolist()
        [2.0, 0.0, 2.0]
        """
        return _floats(*self._projected([axis]))

    def unevenness(self, axis: int, period: int) -> float:
        """How unevenly the paths cover one axis away from its borders.

        It is the standard deviation, divided by the mean, of the counts in one period in the
        middle of the axis: 0 where each coordinate is reached by as many paths. The paths of all
        units of a value tell whether strides skip elements, or use some more than others.

        Parameters
        ----------
        axis : int
            Axis of the value.
        period : int
            After how many coordinates the pattern repeats: the product of the strides.

        Returns
        -------
        float
            A ratio, from 0 on.

        Raises
        ------
        QueryError
            The period is not between 1 and the length of the axis.

        Examples
        --------
        A window of 3 with a stride of 2 reads every other element twice.

        >>> Paths("x", (9,), (Term((AxesCounts((0,), np.array([1.0, 1, 2, 1, 2, 1, 2, 1, 1])),)),))
        Paths(12 to 'x')
        >>> round(_.unevenness(0, period=2), 3)
        0.333
        """
        size = self.shape[axis]
        if not 1 <= period <= size:
            raise QueryError(
                f"period={period}: axis {axis} has {size} units, and the period is from 1 to {size}"
            )
        counts, _ = self._projected([axis])
        first = (size - period) // 2
        return variation(counts[first : first + period])

    def _projected(self, axes: Iterable[int]) -> tuple[np.ndarray, int]:
        """The counts summed up over all other axes: an array, and a power of two beside it."""
        kept = tuple(axes)
        gone = [a for a in range(len(self.shape)) if a not in kept]
        terms = [_summed(term, gone, self.shape) for term in self._terms]
        most = max((term.exponent for term in terms), default=0)
        out = np.zeros([self.shape[a] for a in kept])
        for term in terms:
            out += _over(term.factors, kept, self.shape) * ldexp(term.scale, term.exponent - most)
        return out, most


def variation(counts: Sequence[float] | np.ndarray) -> float:
    """The standard deviation of some counts, divided by their mean; 0 where all are 0.

    >>> variation([1, 1, 1]), variation([1, 3])
    (0.0, 0.5)
    """
    mean = float(np.mean(counts))
    return float(np.std(counts)) / mean if mean else 0.0


def proportions(counts: Sequence[int]) -> np.ndarray:
    """Whole numbers of any size, divided by the largest."""
    most = max(counts, default=0) or 1
    return np.array([count / most for count in counts])


def _floats(counts: np.ndarray, exponent: int) -> np.ndarray:
    if frexp(counts.max(initial=0.0))[1] + exponent > 1024:
        raise OverflowError("the number of paths is greater than any float: ask for `relative`")
    return np.asarray(np.ldexp(counts, exponent))


def _whole(count: float, exponent: int) -> int:
    mantissa, shift = frexp(count)
    digits, exponent = int(ldexp(mantissa, 53)), exponent + shift - 53
    return digits << exponent if exponent >= 0 else digits >> -exponent


def _readable(total: int) -> str:
    if total < 10**15:
        return str(total)
    return f"about 2**{total.bit_length() - 1}"


def counted(index: Sequence[np.ndarray]) -> Terms:
    """One path to each of the coordinates `index`, a mask for every axis."""
    return _term(tuple(AxesCounts((a,), np.array(m, dtype=float)) for a, m in enumerate(index)))


def paths(flow: Flow, wanted: Mapping[str, Terms]) -> dict[str, Terms]:
    """How many paths lead from some values to each element of the inputs.

    Parameters
    ----------
    flow : Flow
        The steps.
    wanted : mapping of str to Terms
        The counts to begin with.

    Returns
    -------
    dict of str to Terms
        By input; what is not reached is left out.

    Raises
    ------
    QueryError
        A path leads through a loop that is not written out: how often it is gone is not known.
    ShapeError
        The shape of a value on the way is not known, or the counts vary over too many elements.
    """
    shape_of = flow.shape
    known = {name: terms for name, terms in wanted.items() if terms}

    def refuse_loop(node: Node) -> NoReturn:
        raise QueryError(
            "paths through a loop can't be counted: the data decide how often it repeats",
            node=str(node),
        )

    for step in reversed(flow.steps):
        node = step.node
        if step.cycle is not None and not known.keys().isdisjoint(step.cycle.values):
            refuse_loop(node)
        names = [*node.inputs, *node.captures] if node.captures else node.inputs
        for name, reads in zip(node.outputs, step.reads, strict=False):
            if name not in known or name in flow.inputs:
                continue
            # Every path to this value is known by now, and followed but once.
            terms, extent = known.pop(name), shape_of(name)
            for value in (name, *filter(None, names)):
                if not all_known(flow.shapes.shape(value) or ()):
                    raise ShapeError(
                        f"paths can't be counted: the data decide how many elements '{value}' has"
                    )
            if step.cycle is not None:
                refuse_loop(node)
            if extent is None:
                raise ShapeError(f"paths can't be counted: the shape of '{name}' is not known")
            _follow(known, flow, names, reads, terms, extent)
    return {name: terms for name, terms in known.items() if name in flow.inputs}


def _follow(
    known: dict[str, Terms],
    flow: Flow,
    names: Sequence[str],
    reads: list[Read],
    terms: Terms,
    extent: Shape,
) -> None:
    """Add to what is known the paths that go on through some reads."""
    for read in reads:
        source = read.source
        shape = source.shape if isinstance(source, Stage) else flow.shape(names[source])
        if shape is None:
            assert not isinstance(source, Stage)
            raise ShapeError(f"paths can't be counted: the shape of '{names[source]}' is not known")
        found = pulled_back(terms, read, shape, extent)
        if not found:
            continue
        if isinstance(source, Stage):
            _follow(known, flow, names, source.reads, found, source.shape)
        else:
            name = names[source]
            known[name] = summed_up((*known.get(name, ()), *found), shape)


# ---------------------------------------------------------------- reads, backward


def pulled_back(terms: Terms, read: Read, source: Shape, extent: Shape) -> Terms:
    """How many paths to the elements of a source go through `read`, given those to its reader."""
    if 0 in source:
        return ()
    if isinstance(read, Everything):
        found = [_summed(term, range(len(extent)), extent) for term in terms]
    elif isinstance(read, Elementwise):
        found = [_broadcast(term, source, extent) for term in terms]
    elif isinstance(read, Rearrange):
        found = [_rearranged(term, read, source, extent) for term in terms]
    else:
        found = [made for term in terms for made in _per_axis(term, read, source, extent)]
    return tuple(found) if len(found) < 2 else summed_up(found, source)


def _broadcast(term: Term, source: Shape, extent: Shape) -> Term:
    lead = len(extent) - len(source)
    if not lead and source == extent:
        return term
    gone = [a for a in range(len(extent)) if a < lead or source[a - lead] < extent[a]]
    term = _summed(term, gone, extent)
    factors = [AxesCounts(tuple(a - lead for a in f.axes), f.counts) for f in term.factors]
    return Term(tuple(factors), term.scale, term.exponent)


def _rearranged(term: Term, read: Rearrange, source: Shape, extent: Shape) -> Term:
    between = tuple(read.view[a] for a in read.permutation)
    moved = []
    for factor in _reshaped(term.factors, extent, between):
        axes = [read.permutation[a] for a in factor.axes]
        order = sorted(range(len(axes)), key=axes.__getitem__)
        moved.append(AxesCounts(tuple(axes[k] for k in order), factor.counts.transpose(order)))
    (made,) = _term(_reshaped(tuple(moved), read.view, source), term.scale, term.exponent)
    return made


def _reshaped(
    factors: tuple[AxesCounts, ...], source: Shape, target: Shape
) -> tuple[AxesCounts, ...]:
    if source == target or not factors:
        return factors
    groups = [(set(ins), set(outs)) for ins, outs in groups_of(source, target)]
    for factor in factors:
        # Groups that an array ties together are one.
        axes = set(factor.axes)
        tied = [g for g in groups if g[0] & axes]
        groups = [g for g in groups if not g[0] & axes]
        groups.append((set().union(*(g[0] for g in tied)), set().union(*(g[1] for g in tied))))
    out: list[AxesCounts] = []
    for ins, outs in groups:
        held = tuple(f for f in factors if ins.issuperset(f.axes))
        if held:
            before, after = tuple(sorted(ins)), tuple(sorted(outs))
            counts = _over(held, before, source).reshape([target[a] for a in after])
            out.extend(_split(after, counts))
    return tuple(out)


def _per_axis(term: Term, read: PerAxis, source: Shape, extent: Shape) -> Terms:
    readers: dict[int, list[int]] = {}
    for a, r in enumerate(read.axes):
        for out in followed(r):
            readers.setdefault(out, []).append(a)
    term = _summed(term, [a for a in range(len(extent)) if a not in readers], extent)
    # Output axes that an array or a read ties together, and the source axes that follow them.
    parts: list[tuple[set[int], set[int]]] = []
    ties = [(set(f.axes), {a for out in f.axes for a in readers[out]}) for f in term.factors]
    ties += [(set(followed(r)), {a}) for a, r in enumerate(read.axes) if followed(r)]
    for outs, members in ties:
        for part in [p for p in parts if p[0] & outs]:
            parts.remove(part)
            outs, members = outs | part[0], members | part[1]
        parts.append((outs, members))
    made: list[AxesCounts] = []
    for a, r in enumerate(read.axes):
        if isinstance(r, Fixed):
            counts = np.zeros(source[a])
            counts[r.start : None if r.count is None else r.start + r.count] = 1
            made.append(AxesCounts((a,), counts))
    for outs, members in parts:
        held = [f for f in term.factors if outs.issuperset(f.axes)]
        if len(outs) == len(members) == 1:
            (a,) = members
            r = read.axes[a]
            if isinstance(r, Along) and is_same(r) and extent[r.axis] == source[a]:
                made.extend(AxesCounts((a,), factor.counts) for factor in held)
                continue
        over = tuple(sorted(outs))
        counts = _over(held, over, extent)
        made.extend(_read_by(counts, over, sorted(members), read.axes, source, extent))
    return _term(made, term.scale, term.exponent)


def _read_by(
    counts: np.ndarray,
    over: tuple[int, ...],
    members: list[int],
    reads: Sequence[AxisRead],
    source: Shape,
    extent: Shape,
) -> list[AxesCounts]:
    """Counts over the output axes `over`, carried to the source axes `members` that follow them."""
    users = [out for a in members for out in followed(reads[a])]
    # Each output axis that one source axis has for itself is read by itself.
    alone = [a for a in members if all(users.count(out) == 1 for out in followed(reads[a]))]
    outs = list(over)
    for a in alone:
        mine = followed(reads[a])
        at = [outs.index(out) for out in mine]
        counts = np.moveaxis(counts, at, range(len(at)))
        counts = counts.reshape(-1, *counts.shape[len(at) :])
        starts, lengths, step = coordinates(reads[a], source[a], extent)
        _affordable(source[a] * prod(counts.shape[1:]))
        counts = _scattered(counts, starts.reshape(-1), lengths.reshape(-1), step, source[a])
        # What is read goes to the end: the output axes that are left come first.
        counts = np.moveaxis(counts, 0, -1)
        outs = [out for out in outs if out not in mine]
    joint = [a for a in members if a not in alone]
    if joint:
        counts = _jointly(counts, outs, joint, reads, source, extent)
    order = [*joint, *alone]
    counts = counts.transpose(sorted(range(len(order)), key=order.__getitem__))
    return _split(tuple(members), counts)


def _scattered(
    counts: np.ndarray, starts: np.ndarray, lengths: np.ndarray, step: int, size: int
) -> np.ndarray:
    """`counts` added, along their first axis, to all coordinates of their progressions.

    A progression is cut into runs of 2**k coordinates, at most one for each k, and the runs are
    halved together: what is added up is never taken away again, so that small counts survive.
    """
    live = lengths > 0
    if not live.all():
        counts, starts, lengths = counts[live], starts[live], lengths[live]
    out = np.zeros((size, *counts.shape[1:]))
    for k in reversed(range(int(lengths.max(initial=0)).bit_length())):
        length = 1 << k
        if out.any():
            out[length * step :] += out[: max(size - length * step, 0)].copy()
        here = lengths & length > 0
        first = starts + (lengths & -2 * length) * step
        _add(out, first[here], counts[here])
    return out


def _add(out: np.ndarray, at: np.ndarray, counts: np.ndarray) -> None:
    """`counts` added to ``out[at]``, where `at` may name a place several times."""
    if (np.diff(at) > 0).all():
        out[at] += counts
        return
    order = np.argsort(at, kind="stable")
    at = at[order]
    begins = np.flatnonzero(np.diff(at, prepend=-1))
    out[at[begins]] += np.add.reduceat(counts[order], begins, axis=0)


def _jointly(
    counts: np.ndarray,
    outs: list[int],
    members: list[int],
    reads: Sequence[AxisRead],
    source: Shape,
    extent: Shape,
) -> np.ndarray:
    """Read source axes together that share output axes, the first axes of `counts`."""
    trailing = counts.shape[len(outs) :]
    counts = counts.reshape(*counts.shape[: len(outs)], -1)
    places = dict(zip(outs, np.nonzero(counts.any(axis=-1)), strict=True))
    values = counts[tuple(places.values())]
    shape = tuple(source[a] for a in members)
    _affordable(prod(shape) * prod(trailing))
    result = np.zeros((prod(shape), values.shape[1]))
    progressions = []
    for a in members:
        starts, lengths, step = coordinates(reads[a], source[a], extent)
        index = tuple(places[out] for out in followed(reads[a]))
        progressions.append((starts[index], lengths[index], step))
    every = np.arange(len(values))
    for at, rows in _each(progressions, shape, np.zeros(len(values), dtype=np.int64), every):
        _add(result, at, values[rows])
    return result.reshape(*shape, *trailing)


def _each(
    progressions: Sequence[tuple[np.ndarray, np.ndarray, int]],
    shape: Sequence[int],
    at: np.ndarray,
    rows: np.ndarray,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Where rows read, one place of each at a time: among all places of axes of `shape`, and the
    rows that have so many.
    """
    if not progressions:
        yield at, rows
        return
    starts, lengths, step = progressions[0]
    for k in range(int(lengths[rows].max(initial=0))):
        some = lengths[rows] > k
        here = rows[some]
        place = at[some] * shape[0] + starts[here] + k * step
        yield from _each(progressions[1:], shape[1:], place, here)


# ---------------------------------------------------------------- terms


def _term(factors: Iterable[AxesCounts], scale: float = 1.0, exponent: int = 0) -> Terms:
    """A product as a term: none if it is 0 everywhere."""
    kept = []
    for factor in factors:
        counts = factor.counts
        least, most = float(counts.min()), float(counts.max())
        if not most:
            return ()
        if not 1 / _HUGE < most < _HUGE:
            shift = frexp(most)[1]
            counts, most, least = (
                np.ldexp(counts, -shift),
                ldexp(most, -shift),
                ldexp(least, -shift),
            )
            exponent += shift
        if least == most:
            scale, shift = frexp(scale * most)
            exponent += shift
        else:
            kept.append(AxesCounts(factor.axes, counts))
    scale, shift = frexp(scale)
    return (Term(tuple(kept), scale, exponent + shift),)


def _summed(term: Term, axes: Iterable[int], shape: Shape) -> Term:
    """The term summed up over some axes, which are then no longer among those of its factors."""
    gone = set(axes)
    if not gone:
        return term
    taken = {a for factor in term.factors for a in factor.axes}
    scale = term.scale * prod(shape[a] for a in gone - taken)
    factors = []
    for factor in term.factors:
        over = tuple(k for k, a in enumerate(factor.axes) if a in gone)
        if len(over) == len(factor.axes):
            scale *= float(factor.counts.sum())
        elif over:
            left = tuple(a for a in factor.axes if a not in gone)
            factors.extend(_split(left, factor.counts.sum(axis=over)))
        else:
            factors.append(factor)
    (made,) = _term(factors, scale, term.exponent)
    return made


def _over(factors: Iterable[AxesCounts], axes: tuple[int, ...], shape: Shape) -> np.ndarray:
    """One array over `axes`, which hold those of every factor."""
    _affordable(prod(shape[a] for a in axes))
    out = np.ones([shape[a] for a in axes])
    ascending = sorted(axes)
    for factor in factors:
        dims = [shape[a] if a in factor.axes else 1 for a in ascending]
        out *= factor.counts.reshape(dims).transpose([ascending.index(a) for a in axes])
    return out


def _split(axes: tuple[int, ...], counts: np.ndarray) -> list[AxesCounts]:
    """An array as a product over few axes each, wherever that is exact."""
    factors: list[AxesCounts] = []
    rest = list(axes)
    for axis in axes:
        if len(rest) < 2:
            break
        k = rest.index(axis)
        # An axis leaves if all is a multiple of what is on it.
        if not counts.any():
            break
        least = int(np.argmin(np.where(counts > 0, counts, np.inf)))
        place = np.unravel_index(least, counts.shape)
        across = counts.take(place[k], axis=k)
        along = np.moveaxis(counts, k, -1)[tuple(np.delete(place, k))]
        dims = [1] * counts.ndim
        dims[k] = -1
        with np.errstate(over="ignore", invalid="ignore"):
            down = along / along[place[k]]
            whole = np.expand_dims(across, k) * down.reshape(dims)
        if np.array_equal(whole, counts):
            factors.append(AxesCounts((axis,), down))
            counts = across
            rest.remove(axis)
    return [*factors, AxesCounts(tuple(rest), counts)]


def _apart(p: Term, q: Term) -> tuple[int, ...]:
    """The axes of the factors in which two terms differ."""
    axes: set[int] = set()
    other = {factor.axes: factor for factor in q.factors}
    for factor in p.factors:
        match = other.get(factor.axes)
        if match is not None and (
            match.counts is factor.counts or np.array_equal(match.counts, factor.counts)
        ):
            del other[factor.axes]
        else:
            axes.update(factor.axes)
    return tuple(sorted(axes.union(*other)))


def _joined(p: Term, q: Term, axes: tuple[int, ...], shape: Shape) -> Term:
    """One term that is the sum of two, which differ along `axes` only."""
    most = max(p.exponent, q.exponent)
    counts = np.zeros([shape[a] for a in axes])
    for term in (p, q):
        apart = [f for f in term.factors if f.axes and f.axes[0] in axes]
        counts += _over(apart, axes, shape) * ldexp(term.scale, term.exponent - most)
    common = [f for f in p.factors if f.axes[0] not in axes]
    (made,) = _term([*common, *_split(axes, counts)], 1.0, most)
    return made


def summed_up(terms: Iterable[Term], shape: Shape) -> Terms:
    """The sum of terms, with few of them and arrays that stay small."""
    kept: list[Term] = []
    pending = list(terms)
    while pending:
        term = pending.pop()
        for k, other in enumerate(kept):
            axes = _apart(other, term)
            if prod(shape[a] for a in axes) <= _SMALL:
                del kept[k]
                pending.append(_joined(other, term, axes, shape))
                break
        else:
            kept.append(term)
    while len(kept) > _MAX_TERMS:
        pairs = [(_apart(p, q), p, q) for p, q in combinations(kept, 2)]
        axes, p, q = min(pairs, key=lambda pair: prod(shape[a] for a in pair[0]))
        kept = [term for term in kept if term is not p and term is not q]
        kept.append(_joined(p, q, axes, shape))
    return tuple(kept)


def _affordable(elements: int) -> None:
    if elements > _MAX_ELEMENTS:
        raise ShapeError(
            f"the number of paths varies over {elements:,} elements at once: too many to keep",
            remedy="give smaller sizes with shapes= or --shape",
        )


__all__ = ["AxesCounts", "Paths", "Term", "Terms", "counted", "paths", "proportions", "variation"]
