"""Size, stride, start and centre of receptive fields, whatever the input's size.

The same reads as for the bounds are interpreted on axes without end: nothing is clipped, and a
value's view of one axis of an input is a pattern that repeats and advances (`rfgraph.patterns`).

The terms are those of the field: *size* input elements from *start* to the last inclusive,
*stride* input elements between neighbouring units, *centre* ``start + (size - 1) / 2`` of unit 0
(Araujo, Norris and Sim, Computing Receptive Fields of Convolutional Neural Networks, Distill
2019, https://doi.org/10.23915/distill.00021; its padding is ``-start``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import inf, isinf, lcm, nan, prod
from typing import overload

import numpy as np

from rfgraph.compressed import NOTHING, moved, placed, pulled
from rfgraph.patterns import (
    ENDLESS,
    Digit,
    Pattern,
    equal,
    least,
    least_of_any,
    listed_read,
    one_digit,
    over_all,
    regrouped,
    relabelled,
    shifted,
    simplified,
    window_read,
    without,
)
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
    Table,
    followed,
    is_same,
    is_shift,
)

# More terms than this are joined without regard to where they hold; fewer where it is the place
# along a moving axis that tells them apart, as after a cyclic shift.
_MAX_TERMS = 128
_MAX_PLACES = 16

# More runs of units than this, along all axes together, are not told apart.
_MAX_CELLS = 1 << 14


# So many units are looked at one by one.
_MOST_UNITS = 1 << 22

# ---------------------------------------------------------------- views


@dataclass(frozen=True, slots=True)
class Pace:
    """How a branch moves along an axis of the input.

    Attributes
    ----------
    stride : Fraction
        Input elements between neighbouring units.
    centre : Fraction
        Of unit 0, on the line through the mean of all units of a period.
    ahead : int or inf
        How far the fields reach beyond the units' own elements.
    span : int
        Input elements from one period of units to the next.
    """

    stride: Fraction
    centre: Fraction
    ahead: Number
    span: int

    @property
    def offset(self) -> Fraction:
        """How far the centre lies behind the middle of the units' own elements."""
        return self.centre - (self.stride - 1) / 2


@dataclass(frozen=True, slots=True)
class Meeting:
    """Branches that meet, and move differently along `axis` of the input."""

    axis: int
    paces: frozenset[Pace]

    @property
    def strides(self) -> list[Fraction]:
        """The strides, ascending."""
        return sorted({pace.stride for pace in self.paces})

    @property
    def misalignment(self) -> Fraction:
        """How far the branches lie apart, in units of their longest period."""
        offsets = [pace.offset for pace in self.paces]
        longest = max(abs(pace.span) for pace in self.paces)
        return (max(offsets) - min(offsets)) / longest

    def __str__(self) -> str:
        if len(self.strides) > 1:
            return f"strides {', '.join(map(str, self.strides))} on axis {self.axis}"
        centres = sorted({pace.centre for pace in self.paces})
        return f"centres {', '.join(map(str, centres))} on axis {self.axis}"


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """A pattern for each axis of the input (None: irregular), and where the term holds.

    It holds where no one of `masks`, compressed arrays, has nothing. `marks` has a bit for each
    axis of the input along which a statistic has left it no place. `is_loose` tells that the term
    holds at some places only, too many for masks to tell which.
    """

    patterns: tuple[Pattern | None, ...]
    masks: tuple[np.ndarray, ...] = ()
    marks: int = 0
    is_loose: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What a value sees of one input: the union of `terms`.

    `unequal` has what differs between the branches that meet at this value.
    """

    terms: tuple[Term, ...]
    unequal: tuple[Meeting, ...] = ()

    def edges(self, axis: int, extent: int) -> list[int]:
        """Coordinates of the value's `axis` at which the answer may change, ascending."""
        found: set[int] = set()
        for term in self.terms:
            for mask in term.masks:
                along = np.moveaxis(mask, axis + 1, 0).reshape(mask.shape[axis + 1], -1)
                changed = (along[1:] != along[:-1]).any(axis=1)
                found.update((np.flatnonzero(changed) + 1).tolist())
            for pattern in term.patterns:
                for digit in pattern.digits if pattern is not None else ():
                    if digit.axis == axis:
                        found.update(range(digit.shift % digit.inner, extent, digit.inner))
        return sorted(found)


class ClosedForm:
    """The interpretation of reads as closed forms, for `rfgraph.flow.forward`."""

    def seed(self, shape: Shape) -> View:
        """Every element sees itself."""
        own = np.zeros((2, 1), dtype=np.int64)
        return View(
            (Term(tuple(Pattern((Digit(a, 1, n, True),), own, (1,)) for a, n in enumerate(shape))),)
        )

    def read(
        self, view: View, read: Read, source: Shape | None, extent: Shape | None
    ) -> View | None:
        """See `rfgraph.flow.Interpretation`."""
        if isinstance(read, Elementwise):
            return _broadcast(view, source, extent)
        if isinstance(read, Everything) or source is None or extent is None:
            return View(_joined([_all_of(t) for t in view.terms]))
        terms = []
        for term in view.terms:
            if isinstance(read, Rearrange):
                made: Term | None = _rearranged(term, read, source, extent)
            else:
                made = _per_axis(term, read, source, extent)
            if made is not None:
                terms.append(made)
        return View(_joined(terms)) if terms else None

    def union(self, views: Sequence[View], extent: Shape | None) -> View:
        """See `rfgraph.flow.Interpretation`."""
        return View(_joined([term for view in views for term in view.terms]))

    def meet(self, views: Sequence[View], extent: Shape | None) -> View:
        """See `rfgraph.flow.Interpretation`."""
        return replace(self.union(views, extent), unequal=_differences(views))

    def everything(self, shape: Shape, extent: Shape | None) -> View:
        """See `rfgraph.flow.Interpretation`."""
        endless = Pattern((), np.full(2, ENDLESS, dtype=np.int64), ())
        return View((Term((endless,) * len(shape)),))

    def equal(self, a: View, b: View) -> bool:
        """See `rfgraph.flow.Interpretation`."""
        return len(a.terms) == len(b.terms) and all(
            any(_equal_terms(term, other) for other in b.terms) for term in a.terms
        )


def _equal_terms(a: Term, b: Term) -> bool:
    return (
        a.marks == b.marks
        and all(
            p is q or (p and q and equal(p, q)) for p, q in zip(a.patterns, b.patterns, strict=True)
        )
        and len(a.masks) == len(b.masks)
        and all(map(_equal, a.masks, b.masks))
    )


def _broadcast(view: View, source: Shape | None, extent: Shape | None) -> View:
    if source is None or extent is None or len(source) == len(extent):
        return View(view.terms) if view.unequal else view
    lead = len(extent) - len(source)
    axes = {axis: axis + lead for axis in range(len(source))}

    def shift(pattern: Pattern | None) -> Pattern | None:
        return None if pattern is None else relabelled(pattern, axes)

    terms = [
        Term(
            tuple(map(shift, t.patterns)),
            tuple(m.reshape(1, *[1] * lead, *m.shape[1:]) for m in t.masks),
            t.marks,
            t.is_loose,
        )
        for t in view.terms
    ]
    return View(tuple(terms))


def _all_of(term: Term) -> Term:
    marks = term.marks
    patterns: list[Pattern | None] = []
    for axis, pattern in enumerate(term.patterns):
        if pattern is not None and pattern.digits:
            marks |= 1 << axis
            for k in reversed(range(len(pattern.digits))):
                pattern = over_all(pattern, k, endless=True)
        patterns.append(pattern)
    return Term(tuple(patterns), (), marks, term.is_loose)


def _rearranged(term: Term, read: Rearrange, source: Shape, extent: Shape) -> Term:
    between = tuple(read.view[a] for a in read.permutation)
    place = {a: b for b, a in enumerate(read.permutation)}

    def move(pattern: Pattern | None) -> Pattern | None:
        if pattern is None or not pattern.digits:
            return pattern
        made = regrouped(pattern, source, read.view) if source != read.view else pattern
        if made is None:
            return None
        made = relabelled(made, place)
        return regrouped(made, between, extent) if between != extent else made

    masks = tuple(moved(m, read, source, extent) for m in term.masks)
    return Term(tuple(map(move, term.patterns)), masks, term.marks, term.is_loose)


def _per_axis(term: Term, read: PerAxis, source: Shape, extent: Shape) -> Term | None:
    masks = [pulled(m, read.axes, source, extent) for m in term.masks]
    for r in read.axes:
        if isinstance(r, Along) and r.part is not None:
            o = np.arange(extent[r.axis])
            inside = (o >= r.part[0]) & (o < r.part[1])
            masks.append(placed(np.where(inside, 0, NOTHING)[None], (r.axis,), extent))
    masks = [m for m in masks if (m >= NOTHING).any()]
    if any((m >= NOTHING).all() for m in masks):
        return None
    marks = term.marks
    patterns: list[Pattern | None] = []
    for axis, pattern in enumerate(term.patterns):
        if pattern is None:
            patterns.append(None)
            continue
        made = _read_pattern(pattern, term.masks, read.axes, source, extent)
        varied = [read.axes[a] for a in {d.axis for d in pattern.digits}]
        mixed = any(isinstance(r, Fixed) and r.statistic for r in varied)
        if mixed and made is not None and made.is_placeless:
            marks |= 1 << axis
        patterns.append(made)
    return Term(tuple(patterns), tuple(masks), marks, term.is_loose)


def _where(masks: Sequence[np.ndarray], axis: int, size: int) -> np.ndarray | None:
    """The coordinates of an axis at which all masks leave something; None: all."""
    places = None
    for mask in masks:
        if mask.shape[axis + 1] > 1:
            other = tuple(a for a in range(mask.ndim) if a != axis + 1)
            held = mask.min(axis=other) < NOTHING
            places = held if places is None else places & held
    return None if places is None else np.flatnonzero(places)


def _read_pattern(
    pattern: Pattern,
    masks: Sequence[np.ndarray],
    reads: Sequence[AxisRead],
    source: Shape,
    extent: Shape,
) -> Pattern | None:
    outs = [out for a in {d.axis for d in pattern.digits} for out in followed(reads[a])]
    if len(outs) != len(set(outs)):
        return None
    # Digits still to be read keep the input's axis; those done get the output's, marked apart
    # by being counted from beyond the input's axes.
    rank = len(source)
    made: Pattern | None = pattern
    for axis in sorted({d.axis for d in pattern.digits}):
        assert made is not None
        r = reads[axis]
        if isinstance(r, Along) and is_same(r) and extent[r.axis] == source[axis]:
            made = relabelled(made, {axis: rank + r.axis})
            continue
        own = [d for d in made.digits if d.axis == axis]
        if isinstance(r, Along) and is_shift(r) and not own[0].is_whole(source[axis]):
            # Rows and columns of a picture stay such when tokens before them come or go.
            made = relabelled(shifted(made, axis, r.starts[0]), {axis: rank + r.axis})
            continue
        if isinstance(r, Fixed) and r.count is None:
            places = _where(masks, axis, source[axis])
            for k in reversed(range(len(made.digits))):
                if made.digits[k].axis == axis:
                    made = over_all(made, k, endless=r.statistic, places=places)
            continue
        made = one_digit(made, axis, source[axis])
        if made is None:
            return None
        if all(d.axis != axis for d in made.digits):
            continue
        k = [d.axis for d in made.digits].index(axis)
        if isinstance(r, Fixed):
            values = np.arange(r.start, r.start + (r.count or 0))
            made = without(made, k, made.at(k, values).min(axis=k + 1))
            continue
        step = made.advance[k]
        if isinstance(r, Along) or r.interior is not None:
            along = r if isinstance(r, Along) else r.interior
            assert along is not None
            made = window_read(made, k, replace(along, axis=rank + along.axis), extent[along.axis])
            if made is not None and isinstance(r, Table) and r.open and step:
                array = made.array.copy()
                array[0 if r.open * step < 0 else 1] = ENDLESS
                made = Pattern(made.digits, array, made.advance)
        else:
            beyond = replace(r, axes=tuple(rank + a for a in r.axes))
            made = listed_read(made, k, beyond, (*source, *extent))
        if made is None:
            return None
    assert made is not None
    return simplified(relabelled(made, {rank + a: a for a in range(len(extent))}))


def _joined(terms: Sequence[Term]) -> tuple[Term, ...]:
    """The terms, joined where they vary alike and hold at the same places."""
    kept: list[Term] = []
    for term in terms:
        for k, other in enumerate(kept):
            both = _join(other, term)
            if both is not None:
                kept[k] = both
                break
        else:
            kept.append(term)
    if len(kept) > _MAX_TERMS:
        return _joined([Term(t.patterns, (), t.marks, True) for t in kept])
    # What is global along all that moves says nothing of a place: it is the first to go.
    apart = [t for t in kept if _placed_apart(t)]
    for dropped in ([t for t in apart if _is_global(t)], apart):
        if dropped and len(apart) > _MAX_PLACES:
            others = [t for t in kept if t not in dropped]
            return _joined([*others, *[Term(t.patterns, (), t.marks, True) for t in dropped]])
    return tuple(kept)


def _is_global(term: Term) -> bool:
    """Whether every axis of the input along which the term moves was passed through a statistic."""
    patterns = enumerate(term.patterns)
    return all(term.marks >> axis & 1 for axis, p in patterns if p is not None and p.digits)


def _placed_apart(term: Term) -> bool:
    """Whether a mask confines the term along an axis along which one of its patterns moves."""
    moving = {d.axis for p in term.patterns if p is not None for d in p.digits}
    return any(mask.shape[axis + 1] > 1 for mask in term.masks for axis in moving)


def _join(a: Term, b: Term) -> Term | None:
    if a is b:
        return a
    if a.marks != b.marks:
        return None
    is_loose = a.is_loose or b.is_loose
    apart = [k for k, (m, n) in enumerate(zip(a.masks, b.masks, strict=False)) if not _equal(m, n)]
    if apart or len(a.masks) != len(b.masks):
        # Equal patterns that hold at different places hold at both, if one mask tells them apart.
        if not all(map(equal, a.patterns, b.patterns)):
            return None
        if not a.masks or not b.masks:
            return Term(a.patterns, (), a.marks, is_loose)
        if len(apart) > 1 or len(a.masks) != len(b.masks):
            return None
        masks = list(a.masks)
        masks[apart[0]] = np.minimum(a.masks[apart[0]], b.masks[apart[0]])
        kept = tuple(m for m in masks if (m >= NOTHING).any())
        return Term(a.patterns, kept, a.marks, is_loose)
    patterns: list[Pattern | None] = []
    for p, q in zip(a.patterns, b.patterns, strict=True):
        if p is None or q is None:
            patterns.append(None)
            continue
        both = least(p, q)
        if both is None:
            return None
        patterns.append(both)
    return Term(tuple(patterns), a.masks, a.marks, is_loose)


def _equal(m: np.ndarray, n: np.ndarray) -> bool:
    return m is n or (m.shape == n.shape and bool((m == n).all()))


def _differences(views: Sequence[View]) -> tuple[Meeting, ...]:
    """What the strides and places of branches that meet differ in.

    Branches of one stride belong together if their centres agree, or, as in a causal network,
    the last elements that they see.
    """
    found = []
    for axis in range(len(views[0].terms[0].patterns)):
        branches = {paces for paces in (_paces(view, axis) for view in views) if paces}
        every: frozenset[Pace] = frozenset().union(*branches)
        alike = [
            {frozenset(map(of, paces)) for paces in branches}
            for of in (
                lambda pace: (pace.stride, pace.centre),
                lambda pace: (pace.stride, pace.ahead),
            )
        ]
        if all(len(kinds) > 1 for kinds in alike):
            found.append(Meeting(axis, every))
    return tuple(found)


def _paces(view: View, axis: int) -> frozenset[Pace]:
    """Of the local terms that move, united where they vary alike.

    None where the place along an axis decides which terms hold: no line runs through them all.
    """
    patterns = []
    for term in view.terms:
        pattern = term.patterns[axis]
        if pattern is None or term.marks >> axis & 1:
            continue
        if term.is_loose or _placed_apart(term):
            return frozenset()
        pattern = _by_unit(pattern, axis, term)
        if pattern is not None and pattern.slope() and not pattern.is_open:
            patterns.append(pattern)
    paces = set()
    for pattern in _united(patterns):
        field = _field(pattern, {})
        if field.size:
            span = max(map(abs, pattern.advance))
            paces.add(Pace(Fraction(field.stride), Fraction(field.centre), field.ahead, span))
    return frozenset(paces)


# ---------------------------------------------------------------- answers


Number = int | Fraction | float


@dataclass(frozen=True, slots=True)
class AxisField:
    """A receptive field along one axis of the input: what units see whose borders are not clipped.

    A unit's own elements are those under it when the value is laid over the input: of unit o
    ``floor(o * stride)`` to ``ceil((o + 1) * stride) - 1``.

    Attributes
    ----------
    size : int or inf
        Input elements from the first to the last that one unit sees, both included: of the unit
        that sees most; 0 if nothing is seen.
    stride : int, Fraction or 0
        Input elements between the fields of neighbouring units.
    start : int or -inf
        The first input element that unit 0 sees, of all its channels; negative in the padding.
    centre : Fraction or nan
        Of unit 0: ``start + (size - 1) / 2``. Where units differ, on the line through the mean of
        all units.
    smallest : int or inf
        As `size`, of the unit that sees least. Units differ by phase, as after a transposed
        convolution, or by channel, as after a concatenation.
    back, ahead : int, inf or nan
        The reach: by how many elements fields begin before the first of the unit's own elements,
        and end behind the last of them; of the unit that reaches farthest. Negative where no
        field gets to its own elements; nan without a stride to lay the value out by.
    phases : tuple of (int, int)
        First and last element that each unit of one period sees, in order, the last before the
        first if it sees nothing; where channels differ, of all of them together.
    branches : tuple of AxisField
        Where paths of different stride meet, or the field's place depends on the unit: each. The
        figures are then those of the units away from the borders, at the size that was analysed.
    is_global : bool
        Whether the field is the whole axis, without a place along it, however long it is; or,
        where only the local part is asked for, nothing local is left.
    irregular : bool
        Whether there is no closed form; the figures are those of the units away from the borders,
        at the size that was analysed.
    """

    size: Number
    stride: Number
    start: Number
    centre: Number
    smallest: Number
    back: Number = nan
    ahead: Number = nan
    phases: tuple[tuple[Number, Number], ...] = ()
    branches: tuple[AxisField, ...] = ()
    is_global: bool = False
    irregular: bool = False

    @classmethod
    def nothing(cls) -> AxisField:
        """The field of what sees nothing."""
        return cls(0, 0, nan, nan, 0)

    @classmethod
    def endless(cls) -> AxisField:
        """The field of what sees the whole axis, however long it is."""
        return cls(inf, 0, -inf, nan, inf, inf, inf, is_global=True)

    @classmethod
    def periodic(cls, stride: Number, *phases: tuple[Number, Number]) -> AxisField:
        """The field of units that see `phases`, first and last element, in turn.

        Units of one period later see ``stride * len(phases)`` elements on.

        Examples
        --------
        >>> field = AxisField.periodic(Fraction(1, 2), (-1, 0), (0, 1))
        >>> field.size, field.start, field.centre, field.back, field.ahead
        (2, -1, Fraction(-1, 4), 1, 1)
        """
        array = np.array([[lo for lo, _ in phases], [-hi for _, hi in phases]], dtype=float)
        array = np.where(np.isinf(array), ENDLESS, array).astype(np.int64)
        array[:, array[0] > -array[1]] = NOTHING
        advance = Fraction(stride) * len(phases)
        digit = Digit(0, 1, len(phases), True)
        return _field(Pattern((digit,), array, (int(advance),)), {})

    @property
    def is_past(self) -> bool:
        """Whether everything before a certain place is seen, however much that is."""
        return self.back == inf and self.ahead < inf

    @property
    def is_future(self) -> bool:
        """Whether everything behind a certain place is seen, however much that is."""
        return self.ahead == inf and self.back < inf


@dataclass(frozen=True, slots=True)
class Field(Sequence[AxisField]):
    """A receptive field: one `AxisField` for every axis of the input.

    `size`, `stride`, `start` and `centre` give these for all axes at once.

    Examples
    --------
    >>> field = Field((AxisField.periodic(2, (-1, 1)),))
    >>> field.size, field[0].stride, field.is_global
    ((3,), 2, False)
    """

    axes: tuple[AxisField, ...]

    @property
    def size(self) -> tuple[Number, ...]:
        """Sizes, one an axis."""
        return tuple(a.size for a in self.axes)

    @property
    def stride(self) -> tuple[Number, ...]:
        """Strides, one an axis."""
        return tuple(a.stride for a in self.axes)

    @property
    def start(self) -> tuple[Number, ...]:
        """Starts, one an axis."""
        return tuple(a.start for a in self.axes)

    @property
    def centre(self) -> tuple[Number, ...]:
        """Centres, one an axis."""
        return tuple(a.centre for a in self.axes)

    @property
    def is_global(self) -> bool:
        """Whether the field is the whole input along some axis."""
        return any(a.is_global for a in self.axes)

    @overload
    def __getitem__(self, index: int) -> AxisField: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[AxisField, ...]: ...
    def __getitem__(self, index: int | slice) -> AxisField | tuple[AxisField, ...]:
        return self.axes[index]

    def __len__(self) -> int:
        return len(self.axes)

    def __iter__(self) -> Iterator[AxisField]:
        return iter(self.axes)


def axis_field(
    view: View, axis: int, *, local: bool, at: Mapping[int, int] | None = None
) -> AxisField | None:
    """The closed form along one axis of the input; None where there is none.

    Parameters
    ----------
    view : View
        The value's view of the input.
    axis : int
        Axis of the input.
    local : bool
        Leave out what is global along this axis, if anything else is left.
    at : mapping of int to int, optional
        Coordinates of the value to hold fixed: ``{1: 0}`` for channel 0.

    Returns
    -------
    AxisField or None
        With `branches` the other figures are missing: `measured` has them.
    """
    terms = list(view.terms)
    for a, coordinate in (at or {}).items():
        terms = [t for t in terms if _holds(t, a, coordinate)]
    if not terms:
        return AxisField.nothing()
    if local:
        near = [t for t in terms if not t.marks >> axis & 1]
        if any(_is_endless(t, axis) for t in near or terms):
            return AxisField.endless()
        known = _summary(near or terms, axis, at or {})
        return known if near or known is None else replace(known, is_global=True)
    if any(_is_endless(t, axis) for t in terms):
        return AxisField.endless()
    return _summary(terms, axis, at or {})


def measured(
    view: View | None,
    axis: int,
    ends: tuple[np.ndarray, np.ndarray],
    extent: Shape,
    known: AxisField | None,
) -> AxisField:
    """The field where there is no closed form: what units away from the borders see.

    Parameters
    ----------
    view : View or None
        The value's view of the input, for how far units are from their own elements.
    axis : int
        Axis of the input.
    ends : (ndarray, ndarray)
        Bounds of the units along the axis, compressed; ``lo > hi`` of those that don't count.
    extent : tuple of int
        The value's shape.
    known : AxisField or None
        The branches, if these are known.
    """
    lo, hi = ends
    seen = lo <= hi
    if not seen.any():
        return AxisField.nothing()
    # At a border fields are cut off: there the first or the last of all elements are seen.
    inner = seen & (lo > lo[seen].min()) & (hi < hi[seen].max())
    inner = inner if inner.any() else seen
    widths = (hi - lo + 1)[inner]
    largest, smallest = int(widths.max()), int(widths.min())
    start = int(lo[seen].reshape(-1)[0])
    if known is None:
        return AxisField(largest, nan, start, _centre(start, largest), smallest, irregular=True)
    back: Number = nan
    ahead: Number = nan
    own = _own(view, axis, known.stride, lo.ndim, extent)
    if own is not None:
        before, behind = own[0] - lo, hi - own[1]
        inner = np.broadcast_to(inner, before.shape)
        back, ahead = int(before[inner].max()), int(behind[inner].max())
    return replace(known, size=largest, smallest=smallest, back=back, ahead=ahead)


def span(view: View, axis: int, size: int, *, local: bool) -> tuple[Number, Number] | None:
    """The first and the last coordinate that the units of a value see, borders not clipped.

    Units that see nothing of the axis, of length `size`, don't count, unless there are very many.
    None where there is no closed form, or nothing is seen; parameters as of `axis_field`.
    """
    terms = [t for t in view.terms if not (local and t.marks >> axis & 1)]
    ends: list[tuple[Number, Number]] = []
    for term in terms:
        pattern = term.patterns[axis]
        if pattern is None:
            return None
        for k, digit in enumerate(pattern.digits):
            places = _where(term.masks, digit.axis, digit.size)
            if places is None and pattern.array.size * digit.size <= _MOST_UNITS:
                values = np.arange(digit.size)
            elif places is None:
                # What lies between the first and the last period reaches less far.
                period = np.arange(min(pattern.array.shape[k + 1], digit.size))
                values = np.concatenate([period, digit.size - 1 - period])
            else:
                values = np.unique(digit.of(places))
            pattern = Pattern(pattern.digits, pattern.at(k, values), pattern.advance)
        lo, minus_hi = pattern.array.reshape(2, -1)
        seen = (lo < size) & (minus_hi <= 0)
        if seen.any():
            ends.append((_number(lo[seen].min()), -_number(minus_hi[seen].min())))
    if not ends:
        return None
    return min(lo for lo, _ in ends), max(hi for _, hi in ends)


def units_along(view: View, axis: int) -> int | None:
    """How many units a value has along the axis of the input; None where terms differ in it."""
    counts = set()
    for term in view.terms:
        pattern = term.patterns[axis]
        pattern = pattern and _by_unit(pattern, axis, term)
        if pattern is None:
            return None
        moving = [d for k, d in enumerate(pattern.digits) if d.grows and pattern.advance[k]]
        if moving:
            counts.add(min(moving, key=lambda digit: digit.inner).size)
    return counts.pop() if len(counts) == 1 else None


def _number(end: np.int64) -> Number:
    return -inf if end <= ENDLESS else int(end)


def _is_endless(term: Term, axis: int) -> bool:
    """Whether some unit sees all of the axis, however long it is."""
    pattern = term.patterns[axis]
    return pattern is not None and bool((pattern.array <= ENDLESS).all(axis=0).any())


def _holds(term: Term, axis: int, coordinate: int) -> bool:
    """Whether the term holds anywhere at `coordinate` of the value's `axis`."""
    for mask in term.masks:
        if mask.shape[axis + 1] > 1 and (mask.take(coordinate, axis=axis + 1) >= NOTHING).all():
            return False
    return True


def _summary(terms: Sequence[Term], axis: int, at: Mapping[int, int]) -> AxisField | None:
    """The figures of the units of which `terms` hold."""
    patterns: list[Pattern] = []
    for term in terms:
        pattern = term.patterns[axis]
        pattern = pattern and _by_unit(_held(pattern, at), axis, term)
        if pattern is None or pattern.is_list:
            return None
        patterns.append(pattern)
    moving = {digit.axis for pattern in patterns for digit in pattern.digits if digit.grows}
    firsts = [_first_unit(term) for term in terms]
    if len(terms) == 1:
        return _field(patterns[0], firsts[0])
    if any(moving & first.keys() for first in firsts):
        # What differs with the place along the axis itself is told of the units as they are.
        fields = [_field(*item) for item in zip(patterns, firsts, strict=True)]
        begins = [
            (sum(first.values()), field.start)
            for field, first in zip(fields, firsts, strict=True)
            if field.size
        ]
        return _branched(fields, min(begins, default=(0, nan))[1])
    cells = _cells(terms, at)
    if cells is None:
        cells = [_Cell(range(len(terms)), {})]
    united = [(_united([patterns[k] for k in cell.terms]), cell.first) for cell in cells]
    figures = [[_field(pattern, first) for pattern in parts] for parts, first in united]
    found = [f for f in dict.fromkeys(f for here in figures for f in here) if f.size]
    start = min((f.start for f in found), default=nan)
    if any(len(parts) > 1 for parts, _ in united) or len({f.stride for f in found}) > 1:
        return _branched(found, start)
    if len(found) < 2:
        return found[0] if found else AxisField.nothing()
    return AxisField(
        max(f.size for f in found),
        found[0].stride,
        start,
        _mean([f.centre for f in found]),
        min(f.smallest for f in found),
        max(f.back for f in found),
        max(f.ahead for f in found),
        _together([f.phases for f in found], found[0].stride),
    )


def _branched(fields: Sequence[AxisField], start: Number) -> AxisField:
    """The field of paths that differ; what units see is still to be `measured`."""
    found = [field for field in dict.fromkeys(fields) if field.size]
    if not found:
        return AxisField.nothing()
    size = max(f.size for f in found)
    widest = max((f.stride for f in found), key=lambda stride: Fraction(stride) ** 2)
    return AxisField(size, widest, start, _centre(start, size), nan, branches=tuple(found))


def _first_unit(term: Term) -> dict[int, int]:
    """The first place at which the term holds, along axes along which it does not everywhere."""
    first = {}
    for a in range(term.masks[0].ndim - 1 if term.masks else 0):
        places = _where(term.masks, a, 0)
        if places is not None and len(places):
            first[a] = int(places[0])
    return first


def _together(
    fields: Sequence[tuple[tuple[Number, Number], ...]], stride: Number
) -> tuple[tuple[Number, Number], ...]:
    """What the phases of fields of one stride see together."""
    period = lcm(*map(len, fields))
    if period > _MAX_CELLS:
        return ()
    found: list[tuple[Number, Number]] = []
    for unit in range(period):
        here = []
        for phases in fields:
            first, last = phases[unit % len(phases)]
            if first <= last:
                on = int(stride * len(phases)) * (unit // len(phases))
                here.append((first + on, last + on))
        found.append((min(lo for lo, _ in here), max(hi for _, hi in here)) if here else (0, -1))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Cell:
    """Units at which the same terms hold, and the first of their coordinates along axes."""

    terms: Sequence[int]
    first: Mapping[int, int]


def _cells(terms: Sequence[Term], at: Mapping[int, int]) -> list[_Cell] | None:
    """The units, by which terms hold at them; None where these are too many."""
    masks = list({id(mask): mask for term in terms for mask in term.masks}.values())
    if not masks:
        return [_Cell(range(len(terms)), {})]
    starts: dict[int, np.ndarray] = {}
    for a in range(masks[0].ndim - 1):
        length = max(mask.shape[a + 1] for mask in masks)
        if a in at:
            starts[a] = np.array([at[a]])
        elif length > 1:
            edges = np.zeros(length, dtype=bool)
            edges[0] = True
            for mask in masks:
                if mask.shape[a + 1] > 1:
                    along = np.moveaxis(mask, a + 1, 0).reshape(length, -1)
                    edges[1:] |= (along[1:] != along[:-1]).any(axis=1)
            starts[a] = np.flatnonzero(edges)
    if prod(map(len, starts.values())) > _MAX_CELLS:
        return None
    dims = [len(starts.get(a, (0,))) for a in range(masks[0].ndim - 1)]
    holds = np.ones((len(terms), *dims), dtype=bool)
    for k, term in enumerate(terms):
        for mask in term.masks:
            for a, places in starts.items():
                if mask.shape[a + 1] > 1:
                    mask = mask.take(places, axis=a + 1)
            holds[k] &= mask[0] < NOTHING
    found: dict[bytes, _Cell] = {}
    for place in np.ndindex(*dims):
        here = holds[(slice(None), *place)]
        key = here.tobytes()
        if here.any() and key not in found:
            first = {a: int(places[place[a]]) for a, places in starts.items()}
            found[key] = _Cell(np.flatnonzero(here).tolist(), first)
    return list(found.values())


def _united(patterns: Sequence[Pattern]) -> list[Pattern]:
    """The patterns, united where they vary alike."""
    found: list[Pattern] = []
    for pattern in {id(pattern): pattern for pattern in patterns}.values():
        for k, other in enumerate(found):
            both = least_of_any(other, pattern)
            if both is not None:
                found[k] = both
                break
        else:
            found.append(pattern)
    return found


def _held(pattern: Pattern, at: Mapping[int, int]) -> Pattern:
    """The pattern with some of the value's coordinates fixed."""
    for k in reversed(range(len(pattern.digits))):
        digit = pattern.digits[k]
        if digit.axis in at:
            value = digit.of(np.array([at[digit.axis]]))
            pattern = without(pattern, k, pattern.at(k, value).min(axis=k + 1))
    return pattern


def _by_unit(pattern: Pattern, axis: int, term: Term) -> Pattern | None:
    """The pattern over neighbouring units: upper digits alone become whole coordinates.

    They stay digits where another axis of the input moves with the lower ones: the rows of
    tokens are as far apart as the rows of the picture, not a row's length less.
    """
    others = [
        d for k, p in enumerate(term.patterns) if p is not None and k != axis for d in p.digits
    ]
    made: Pattern | None = pattern
    for digit in pattern.digits:
        finer = [d for d in others if d.axis == digit.axis and d.inner < digit.inner]
        if made is not None and digit.inner > 1 and not finer:
            made = one_digit(made, digit.axis, digit.inner * digit.size)
    return made


def _field(pattern: Pattern, first: Mapping[int, int]) -> AxisField:
    """The figures of a pattern, for one period of units from the coordinates `first` on."""
    moving = [k for k, digit in enumerate(pattern.digits) if digit.grows]
    slope = pattern.slope()
    # The first of a unit's own elements, in parts of an element.
    parts = lcm(*(pattern.array.shape[k + 1] for k in moving))
    own = np.zeros((1,) * len(pattern.digits), dtype=np.int64)
    units = pattern
    for k, digit in enumerate(pattern.digits):
        period = pattern.array.shape[k + 1]
        if k in moving:
            begin = digit.of(np.array([first.get(digit.axis, max(digit.shift, 0))]))
            values = begin + np.arange(period)
            dims = [-1 if other == k else 1 for other in range(len(pattern.digits))]
            own = own + (values * (pattern.advance[k] * parts // period)).reshape(dims)
        else:
            values = _extremes(digit.size, period)
        units = Pattern(units.digits, units.at(k, values), units.advance)
    lo, minus_hi = units.array
    seen = lo < NOTHING
    if not seen.any():
        return AxisField.nothing()
    own = np.broadcast_to(own, lo.shape)
    before, behind = (lo <= ENDLESS)[seen], (minus_hi <= ENDLESS)[seen]
    sizes = 1 - lo[seen] - minus_hi[seen]
    is_open = before | behind
    size = inf if is_open.any() else int(sizes.max())
    smallest = 0 if not seen.all() else inf if is_open.all() else int(sizes[~is_open].min())
    stride = int(slope) if slope.denominator == 1 else slope
    if before.any() or behind.any():
        centre: Number = nan
    else:
        middles = Fraction(int((lo - minus_hi)[seen].sum()), 2)
        centre = _plain((middles - Fraction(int(own[seen].sum()), parts)) / int(seen.sum()))
    back: Number = nan
    ahead: Number = nan
    if slope > 0:
        last = -(-(own + int(slope * parts)) // parts) - 1
        back = inf if before.any() else int((own // parts - lo)[seen].max())
        ahead = inf if behind.any() else int((-minus_hi - last)[seen].max())
    still = tuple(k + 1 for k in range(len(pattern.digits)) if k not in moving)
    together = units.array.min(axis=still).reshape(2, -1)
    phases = tuple((_number(a), -_number(b)) if a < NOTHING else (0, -1) for a, b in together.T)
    start = next(begin for begin, end in phases if begin <= end)
    return AxisField(size, stride, start, centre, smallest, back, ahead, phases)


def _extremes(size: int, period: int) -> np.ndarray:
    """Of `size` values of a digit those that may see most or least: the first and last periods."""
    values = np.arange(size)
    return values if size <= 2 * period else np.concatenate([values[:period], values[-period:]])


def _own(
    view: View | None, axis: int, stride: Number, rank: int, lengths: Sequence[int]
) -> tuple[np.ndarray, np.ndarray] | None:
    """The first and the last of every unit's own elements, compressed.

    None where the value can't be laid over the input.
    """
    if view is None or not stride > 0:
        return None
    moving = set()
    for term in view.terms:
        pattern = term.patterns[axis]
        pattern = pattern and _by_unit(pattern, axis, term)
        for k, digit in enumerate(pattern.digits if pattern else ()):
            if pattern and digit.grows and pattern.advance[k]:
                moving.add((digit, pattern.slope()))
    if len(moving) != 1:
        return None
    ((digit, slope),) = moving
    if slope != stride:
        return None
    unit = digit.of(np.arange(lengths[digit.axis]))
    first = (unit * slope.numerator) // slope.denominator
    last = -(-((unit + 1) * slope.numerator) // slope.denominator) - 1
    dims = [-1 if a == digit.axis else 1 for a in range(rank)]
    return first.reshape(dims), last.reshape(dims)


def _plain(number: Fraction) -> int | Fraction:
    return int(number) if number.denominator == 1 else number


def _centre(start: Number, size: Number) -> Number:
    return nan if isinf(start) or isinf(size) else _plain(Fraction(start) + Fraction(size - 1) / 2)


def _mean(numbers: Sequence[Number]) -> Number:
    if any(isinstance(number, float) for number in numbers):
        return nan
    return _plain(sum((Fraction(n) for n in numbers), Fraction(0)) / len(numbers))


__all__ = [
    "AxisField",
    "ClosedForm",
    "Field",
    "Meeting",
    "Pace",
    "View",
    "axis_field",
    "measured",
    "span",
    "units_along",
]
