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
from math import inf, nan
from typing import overload

import numpy as np

from rfgraph.compressed import NOTHING, moved, placed, pulled
from rfgraph.patterns import (
    ENDLESS,
    Digit,
    Pattern,
    equal,
    least,
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
        Of all that the first period of units sees.
    span : int
        Input elements from one period of units to the next.
    """

    stride: Fraction
    centre: Fraction
    span: int

    @property
    def offset(self) -> Fraction:
        """How far the centre lies behind the middle of the first period's own elements."""
        return self.centre - Fraction(self.span - 1, 2)


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

    `masks` and `marks` are as in `rfgraph.bounds.Term`.
    """

    patterns: tuple[Pattern | None, ...]
    masks: tuple[np.ndarray, ...] = ()
    marks: int = 0


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
        terms = [term for view in views for term in view.terms]
        return View(_joined(terms), _differences(views))

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
    return Term(tuple(patterns), (), marks)


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
    return Term(tuple(map(move, term.patterns)), masks, term.marks)


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
        placeless = made is not None and (made.endless or not made.digits)
        if any(_marks(r, placeless) for r in varied):
            marks |= 1 << axis
        patterns.append(made)
    return Term(tuple(patterns), tuple(masks), marks)


def _marks(read: AxisRead, placeless: bool) -> bool:
    """Whether what passes becomes global; `placeless`: it varies no more."""
    if isinstance(read, Along) or not read.statistic:
        return False
    return placeless or isinstance(read, Table) or not read.linear


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
        return _joined([Term(t.patterns, (), t.marks) for t in kept])
    # What is global along all that moves says nothing of a place: it is the first to go.
    apart = [t for t in kept if _placed_apart(t)]
    for dropped in ([t for t in apart if _is_global(t)], apart):
        if dropped and len(apart) > _MAX_PLACES:
            others = [t for t in kept if t not in dropped]
            return _joined([*others, *[Term(t.patterns, (), t.marks) for t in dropped]])
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
    apart = [k for k, (m, n) in enumerate(zip(a.masks, b.masks, strict=False)) if not _equal(m, n)]
    if apart or len(a.masks) != len(b.masks):
        # Equal patterns that hold at different places hold at both, if one mask tells them apart.
        if not all(map(equal, a.patterns, b.patterns)):
            return None
        if not a.masks or not b.masks:
            return Term(a.patterns, (), a.marks)
        if len(apart) > 1 or len(a.masks) != len(b.masks):
            return None
        masks = list(a.masks)
        masks[apart[0]] = np.minimum(a.masks[apart[0]], b.masks[apart[0]])
        return Term(a.patterns, tuple(m for m in masks if (m >= NOTHING).any()), a.marks)
    patterns: list[Pattern | None] = []
    for p, q in zip(a.patterns, b.patterns, strict=True):
        if p is None or q is None:
            patterns.append(None)
            continue
        both = least(p, q)
        if both is None:
            return None
        patterns.append(both)
    return Term(tuple(patterns), a.masks, a.marks)


def _equal(m: np.ndarray, n: np.ndarray) -> bool:
    return m is n or (m.shape == n.shape and bool((m == n).all()))


def _differences(views: Sequence[View]) -> tuple[Meeting, ...]:
    """What the strides and centres of branches that meet differ in."""
    found = []
    for axis in range(len(views[0].terms[0].patterns)):
        branches = {paces for paces in (_paces(view, axis) for view in views) if paces}
        if len({frozenset((p.stride, p.centre) for p in paces) for paces in branches}) > 1:
            found.append(Meeting(axis, frozenset().union(*branches)))
    return tuple(found)


def _paces(view: View, axis: int) -> frozenset[Pace]:
    """Of the local terms that hold everywhere and move."""
    paces = set()
    for term in view.terms:
        pattern = term.patterns[axis]
        if pattern is None or _placed_apart(term) or term.marks >> axis & 1:
            continue
        if pattern.slope() and not pattern.endless:
            array = pattern.array.reshape(2, -1)
            centre = Fraction(int(array[0].min() - array[1].min()), 2)
            span = max(map(abs, pattern.advance))
            paces.add(Pace(pattern.slope(), centre, span))
    return frozenset(paces)


# ---------------------------------------------------------------- answers


Number = int | Fraction | float


@dataclass(frozen=True, slots=True)
class AxisField:
    """A receptive field along one axis of the input.

    Attributes
    ----------
    size : int or inf
        Input elements from the first to the last that is seen, both included; 0 if none is. Where
        units differ with their phase, as after a transposed convolution, those that one period
        of units sees together.
    stride : int, Fraction or 0
        Input elements between the fields of neighbouring units.
    start : int or -inf
        The first input element that unit 0 sees; negative in the padding.
    centre : Fraction or nan
        ``start + (size - 1) / 2``.
    phases : tuple of (int, int)
        Start and size of each unit of one period, in order.
    branches : tuple of AxisField
        Where paths of different stride meet, or the field's place depends on the unit: each.
    is_global : bool
        Whether the field is the whole axis however long it is, or, where only the local part is
        asked for, nothing local is left.
    irregular : bool
        Whether there is no closed form; the figures then hold for the size that was analysed.
    """

    size: Number
    stride: Number
    start: Number
    centre: Number
    phases: tuple[tuple[Number, Number], ...] = ()
    branches: tuple[AxisField, ...] = ()
    is_global: bool = False
    irregular: bool = False

    @classmethod
    def nothing(cls) -> AxisField:
        """The field of what sees nothing."""
        return cls(0, 0, nan, nan)

    @classmethod
    def endless(cls) -> AxisField:
        """The field of what sees the whole axis, however long it is."""
        return cls(inf, 0, -inf, nan, is_global=True)

    @classmethod
    def measured(cls, lo: np.ndarray, hi: np.ndarray, size: int) -> AxisField:
        """The field where there is no closed form, from the bounds along an axis of `size`."""
        seen = lo <= hi
        if not seen.any():
            return cls.nothing()
        if (lo[seen] == 0).all() and (hi[seen] == size - 1).all():
            return cls.endless()
        largest = int((hi - lo + 1)[seen].max())
        start = int(lo.reshape(-1)[0])
        return cls(largest, nan, start, _centre(start, largest), irregular=True)


@dataclass(frozen=True, slots=True)
class Field(Sequence[AxisField]):
    """A receptive field: one `AxisField` for every axis of the input.

    `size`, `stride`, `start` and `centre` give these for all axes at once.

    Examples
    --------
    >>> field = Field((AxisField(3, 2, -1, 0),))
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
        Leave out what has passed a statistic over this axis, if anything else is left.
    at : mapping of int to int, optional
        Coordinates of the value to hold fixed: ``{1: 0}`` for channel 0.
    """
    terms = list(view.terms)
    for a, coordinate in (at or {}).items():
        terms = [t for t in terms if _holds(t, a, coordinate)]
    if not terms:
        return AxisField.nothing()
    near = [t for t in terms if not t.marks >> axis & 1]
    if local:
        if not near:
            if _reaches_all(terms, axis):
                return AxisField.endless()
            known = _summary(terms, axis, at)
            return None if known is None else replace(known, is_global=True)
        terms = near
    if not local and _reaches_all(terms, axis):
        return AxisField.endless()
    return _summary(terms, axis, at)


def reach(view: View, axis: int, size: int, *, local: bool) -> tuple[Number, Number] | None:
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
        if pattern.endless:
            return -inf, inf
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
            ends.append((int(lo[seen].min()), -int(minus_hi[seen].min())))
    if not ends:
        return None
    return min(lo for lo, _ in ends), max(hi for _, hi in ends)


def _reaches_all(terms: Sequence[Term], axis: int) -> bool:
    patterns = [t.patterns[axis] for t in terms]
    return any(p is not None and p.endless for p in patterns)


def _holds(term: Term, axis: int, coordinate: int) -> bool:
    """Whether the term holds anywhere at `coordinate` of the value's `axis`."""
    for mask in term.masks:
        if mask.shape[axis + 1] > 1 and (mask.take(coordinate, axis=axis + 1) >= NOTHING).all():
            return False
    return True


def _summary(terms: Sequence[Term], axis: int, at: Mapping[int, int] | None) -> AxisField | None:
    found: list[tuple[Pattern, dict[int, int]]] = []
    for term in terms:
        pattern = term.patterns[axis]
        if pattern is None:
            return None
        pattern = _by_unit(_held(pattern, at or {}), axis, term)
        if pattern is None:
            return None
        first = _first_unit(pattern, term)
        for k, (other, place) in enumerate(found):
            both = least(other, pattern) if place == first else None
            if both is not None:
                found[k] = both, first
                break
        else:
            found.append((pattern, first))
    if any(pattern.is_list for pattern, _ in found):
        return None
    fields = list(dict.fromkeys(f for f in (_figures(p, first) for p, first in found) if f))
    if not fields:
        return AxisField.nothing()
    if len(fields) == 1:
        return fields[0]
    if any(f.is_global for f in fields):
        return AxisField.endless()
    start = min(f.start for f in fields)
    size = max(f.start + f.size for f in fields) - start
    stride = max(fields, key=lambda f: Fraction(f.stride) ** 2).stride
    return AxisField(size, stride, start, _centre(start, size), (), tuple(fields))


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


def _first_unit(pattern: Pattern, term: Term) -> dict[int, int]:
    """The first unit at which the term holds, along the axes with which the pattern varies."""
    first = {}
    for digit in pattern.digits:
        places = _where(term.masks, digit.axis, digit.size)
        first[digit.axis] = max(digit.shift, 0) if places is None else int(places[0])
    return first


def _figures(pattern: Pattern, first: Mapping[int, int]) -> AxisField | None:
    """The figures of a pattern, for one period of units from `first` on."""
    if pattern.endless:
        return AxisField.endless()
    growing = {digit.axis for digit in pattern.digits if digit.grows}
    for k in reversed(range(len(pattern.digits))):
        # Of channels and of places in a window the figures are the union.
        if pattern.digits[k].axis not in growing:
            pattern = over_all(pattern, k, endless=False)
    for k, digit in enumerate(pattern.digits):
        begin = digit.of(np.array([first[digit.axis]]))
        period = np.arange(pattern.array.shape[k + 1])
        pattern = Pattern(pattern.digits, pattern.at(k, begin + period), pattern.advance)
    array = pattern.array.reshape(2, -1)
    seen = array[:, array[0] < NOTHING]
    if not seen.size:
        return None
    start, last = int(seen[0].min()), int(-seen[1].min())
    size = last - start + 1
    phases = tuple(
        (int(lo), int(-minus - lo + 1)) if lo < NOTHING else (0, 0) for lo, minus in array.T
    )
    slope = pattern.slope()
    stride = int(slope) if slope.denominator == 1 else slope
    return AxisField(size, stride, start, _centre(start, size), phases)


def _centre(start: Number, size: Number) -> Number:
    centre = Fraction(start) + Fraction(size - 1) / 2
    return int(centre) if centre.denominator == 1 else centre


__all__ = ["AxisField", "ClosedForm", "Field", "Meeting", "Pace", "View", "axis_field", "reach"]
