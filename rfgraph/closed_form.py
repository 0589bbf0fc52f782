"""Size, stride, start and centre of receptive fields, whatever the input's size.

The same reads as for the bounds are lowered on axes without end (`rfgraph.unclipped`): nothing is
clipped, and a value's view of one axis of an input is a few waves, which repeat and move on.

The terms are those of the field: *size* input elements from *start* to the last inclusive,
*stride* input elements between neighbouring units, *centre* ``start + (size - 1) / 2`` of unit 0
(Araujo, Norris and Sim, Computing Receptive Fields of Convolutional Neural Networks, Distill
2019, https://doi.org/10.23915/distill.00021; its padding is ``-start``).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import product
from math import inf, isinf, lcm, nan, prod
from typing import Any, NamedTuple, overload

import numpy as np

from rfgraph._lowering import AxisView, Factor, Item, Walk, leaves, written
from rfgraph._waves import ENDLESS, IRREGULAR, NOTHING, Waves
from rfgraph.flow import Flow
from rfgraph.reads import Along, PerAxis, Read, Shape, Stage, is_same, is_shift
from rfgraph.unclipped import Digit, Unclipped, digits_of

# More runs of units than this, along all axes together, are not told apart.
_MAX_CELLS = 1 << 14

# So many units are looked at one by one.
_MOST_UNITS = 1 << 22

# First and last coordinates may be infinite.
Number = int | Fraction | float

# What is seen of an input: one view for each of its axes.
View = tuple[AxisView, ...]

# ---------------------------------------------------------------- fields


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
        waves = Waves()
        period = len(phases)
        firsts = [ENDLESS if lo == -inf else int(lo) if lo <= hi else NOTHING for lo, hi in phases]
        lasts = [ENDLESS if hi == inf else -int(hi) if lo <= hi else NOTHING for lo, hi in phases]
        advance = int(Fraction(stride) * period)
        slot = waves.listed((period,), (advance,), firsts, lasts)
        return _figures(waves, slot, (Digit(0, 1, period, 0, True),), {})

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


# ---------------------------------------------------------------- branches that meet


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


class _Branch(NamedTuple):
    """How a branch moves along an axis of the input.

    Attributes
    ----------
    paces : frozenset of Pace
        Of its terms.
    centres, ends : int
        The same for branches of which strides and centres, or the last elements seen, are equal.
    """

    paces: frozenset[Pace]
    centres: int
    ends: int


# ---------------------------------------------------------------- all values


@dataclass(frozen=True, eq=False)
class Term:
    """A part of a view: a wave, and the units of which it holds.

    Attributes
    ----------
    slot : int
        The wave's number.
    digits : tuple of Digit
        What it varies with.
    masks : tuple of ndarray of bool
        It holds where all of these do: of the value's rank, of length 1 where they don't vary.
    confined : tuple of (int, int, int)
        Axes of the value, and the coordinates, first and past the last, to which it is confined.
    is_global : bool
        Whether a statistic has left it no place along the axis of the input.
    is_loose : bool
        Whether it holds at some places only, too many to tell which.
    """

    slot: int
    digits: tuple[Digit, ...]
    masks: tuple[np.ndarray, ...] = ()
    confined: tuple[tuple[int, int, int], ...] = ()
    is_global: bool = False
    is_loose: bool = False

    @cached_property
    def axes(self) -> set[int]:
        """The axes of the value along which it does not hold everywhere."""
        axes = {axis for axis, _, _ in self.confined}
        axes.update(a for mask in self.masks for a, size in enumerate(mask.shape) if size > 1)
        return axes

    def where(self, axis: int) -> np.ndarray | None:
        """The coordinates of an axis of the value at which it holds anywhere; None: all."""
        places = None
        for a, begin, end in self.confined:
            if a == axis:
                places = np.arange(begin, end)
        for mask in self.masks:
            if mask.shape[axis] > 1:
                others = tuple(a for a in range(mask.ndim) if a != axis)
                held = np.flatnonzero(mask.any(axis=others))
                places = held if places is None else np.intersect1d(places, held)
        return places

    def holds_at(self, axis: int, coordinate: int) -> bool:
        """Whether it holds anywhere at one coordinate of an axis of the value."""
        places = self.where(axis)
        return places is None or coordinate in places

    def edges(self, axis: int) -> set[int]:
        """Coordinates of an axis of the value at which what holds may change."""
        found = {end for a, *ends in self.confined if a == axis for end in ends}
        for mask in self.masks:
            along = np.moveaxis(mask, axis, 0).reshape(mask.shape[axis], -1)
            changed = (along[1:] != along[:-1]).any(axis=1)
            found.update((np.flatnonzero(changed) + 1).tolist())
        return found

    @property
    def first(self) -> dict[int, int]:
        """The first place at which it holds, along axes along which it does not everywhere."""
        found = {}
        for axis in sorted(self.axes):
            places = self.where(axis)
            if places is not None and len(places):
                found[axis] = int(places[0])
        return found


class ClosedForm:
    """Closed forms of all values.

    Parameters
    ----------
    flow : Flow
        The steps of a model.
    """

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._lowering = Unclipped()
        self._waves = self._lowering.waves
        self._walk = Walk(flow, self._lowering)
        self._walk.run()
        self._terms: dict[tuple[AxisView, Shape], list[Term]] = {}
        self._masks: dict[tuple[Factor, Shape], np.ndarray] = {}
        self._plain: dict[object, AxisField] = {}
        self._varies: dict[View, set[int]] = {}
        self._pace_of: dict[tuple[int, AxisField], Pace] = {}
        self._found_paces: dict[object, _Branch] = {}
        self._equal_paces: dict[frozenset[Any], frozenset[Any]] = {}
        self._whole: dict[AxisView, bool] = {}

    def view(self, tensor: str, input: str) -> View | None:
        """What a value sees of an input; None if that is nothing."""
        found: View | None = self._walk.views.get(tensor, {}).get(input)
        return found

    def terms(self, tensor: str, input: str, axis: int) -> list[Term]:
        """What a value sees along one axis of an input."""
        view = self.view(tensor, input)
        return [] if view is None else self._of(view[axis], self._flow.shape(tensor) or ())

    def _of(self, view: AxisView, extent: Shape) -> list[Term]:
        found = self._terms.get((view, extent))
        if found is None:
            found = self._terms[view, extent] = [
                Term(
                    item.slot,
                    digits_of(item),
                    tuple([self._mask(mask, extent) for mask in item.masks]),
                    tuple((a, begin, end) for a, begin, end, _ in confined),
                    item.is_global,
                    item.slot != IRREGULAR and self._waves[item.slot].is_loose,
                )
                for item, confined in leaves(view)
            ]
        return found

    def _mask(self, mask: Factor, extent: Shape) -> np.ndarray:
        """Where a mask holds: bool, of length 1 along axes on which it doesn't vary."""
        found = self._masks.get((mask, extent))
        if found is None:
            found = written(self._lowering.program, mask, extent)[0] < NOTHING
            self._masks[mask, extent] = found
        return found

    # ------------------------------------------------ one axis

    def axis_field(
        self, tensor: str, input: str, axis: int, *, local: bool, at: Mapping[int, int]
    ) -> AxisField | None:
        """The closed form along one axis of the input; None where there is none.

        Parameters
        ----------
        tensor, input : str
            The value, and the input.
        axis : int
            Axis of the input.
        local : bool
            Leave out what is global along this axis, if anything else is left.
        at : mapping of int to int
            Coordinates of the value to hold fixed: ``{1: 0}`` for channel 0.

        Returns
        -------
        AxisField or None
            With `branches` the other figures are missing: `measured` has them.
        """
        view = self.view(tensor, input)
        if view is None:
            return AxisField.nothing()
        extent = self._flow.shape(tensor) or ()
        along = view[axis].items
        if len(along) == 1 and not at and isinstance(along[0], Item) and not along[0].masks:
            item = along[0]
            if all(digit.inner == 1 for digit in item.pieces):
                known = self._of_one(item.slot, digits_of(item))
                return (
                    replace(known, is_global=True) if known and local and item.is_global else known
                )
        terms = self._of(view[axis], extent)
        for a, coordinate in at.items():
            terms = [term for term in terms if term.holds_at(a, coordinate)]
        if not terms:
            return AxisField.nothing()
        if local:
            near = [term for term in terms if not term.is_global]
            if any(self._is_endless(term.slot) for term in near or terms):
                return AxisField.endless()
            known = self._summary(near or terms, extent, view, axis, at)
            return known if near or known is None else replace(known, is_global=True)
        if any(self._is_endless(term.slot) for term in terms):
            return AxisField.endless()
        return self._summary(terms, extent, view, axis, at)

    def span(
        self, tensor: str, input: str, axis: int, *, local: bool
    ) -> tuple[Number, Number] | None:
        """The first and the last coordinate that the units of a value see, borders not clipped.

        Units that see nothing of the axis don't count, unless there are very many. None where there
        is no closed form, or it is not known where it holds, or nothing is seen; parameters as of
        `axis_field`.
        """
        size = (self._flow.inputs[input] or ())[axis]
        ends: list[tuple[int, int]] = []
        for term in self.terms(tensor, input, axis):
            if local and term.is_global:
                continue
            # Of what holds at places that are not known any unit might be the first.
            if term.slot == IRREGULAR or term.is_loose:
                return None
            periods = self._waves[term.slot].periods
            values: list[Sequence[int]] = []
            for period, digit in zip(periods, term.digits, strict=True):
                places = term.where(digit.axis)
                if places is not None:
                    values.append(np.unique(digit.of(places)).tolist())
                elif prod(periods) * digit.size <= _MOST_UNITS:
                    values.append(range(digit.size))
                else:
                    # What lies between the first and the last period reaches less far.
                    values.append(_extremes(digit.size, period))
            firsts, lasts = self._waves.at(term.slot, values)
            seen = [(lo, hi) for lo, hi in zip(firsts, lasts, strict=True) if lo < size and hi <= 0]
            if seen:
                ends.append((min(lo for lo, _ in seen), min(hi for _, hi in seen)))
        if not ends:
            return None
        return min(_number(lo) for lo, _ in ends), max(-_number(hi) for _, hi in ends)

    def units_along(self, tensor: str, input: str, axis: int) -> int | None:
        """How many units a value has along the axis of the input; None where terms differ in it."""
        counts = set()
        view = self.view(tensor, input)
        if view is None:
            return None
        for term in self.terms(tensor, input, axis):
            slot, digits = self._by_unit(term.slot, term.digits, axis, view)
            if slot == IRREGULAR:
                return None
            advances = self._waves[slot].advances
            moving = [d for d, by in zip(digits, advances, strict=True) if d.grows and by]
            if moving:
                counts.add(min(moving, key=lambda digit: digit.inner).size)
        return counts.pop() if len(counts) == 1 else None

    def edges(self, tensor: str, input: str, axis: int) -> list[int]:
        """Coordinates of the value's `axis` at which the answer may change, ascending."""
        extent = self._flow.shape(tensor) or ()
        found: set[int] = set()
        for along in self.view(tensor, input) or ():
            for term in self._of(along, extent):
                found |= term.edges(axis)
                for digit in term.digits:
                    if digit.axis == axis:
                        found.update(range(digit.shift % digit.inner, extent[axis], digit.inner))
        return sorted(found)

    # ------------------------------------------------ branches that meet

    def meetings(
        self, tensor: str, names: Sequence[str], reads: Sequence[Read]
    ) -> dict[str, list[Meeting]]:
        """Where branches meet in a value that move differently, by input.

        Parameters
        ----------
        tensor : str
            The value.
        names : sequence of str
            What its node reads.
        reads : sequence of Read
            How the value reads these.
        """
        by_origin: dict[object, list[Read]] = {}
        for read in reads:
            by_origin.setdefault(_origin(read.source, names), []).append(read)
        if len(by_origin) < 2:
            return {}
        extent = self._flow.shape(tensor)
        branches: dict[str, list[View]] = {}
        for own in by_origin.values():
            for name, view in self._branch(tuple(names), own, extent).items():
                branches.setdefault(name, []).append(view)
        found = {}
        for name, views in branches.items():
            differing = self._differences(views)
            if differing:
                found[name] = differing
        return found

    def _branch(
        self, names: tuple[str, ...], reads: list[Read], extent: Shape | None
    ) -> Mapping[str, View]:
        """What is seen by some of the reads of a value."""
        (read, *more) = reads
        if isinstance(read, PerAxis) and isinstance(read.source, int) and not more:
            source = self._flow.shape(names[read.source])
            axis = _placed_along(read, source, extent)
            views: Mapping[str, View] = self._walk.views.get(names[read.source], {})
            # A part of an axis along which nothing runs moves as it does by itself.
            if axis is not None and not any(axis in self._axes_of(v) for v in views.values()):
                return views
        found: Mapping[str, View] = self._walk.seen(names, reads, extent)
        return found

    def _axes_of(self, view: View) -> set[int]:
        """The axes of the value along which what it sees varies."""
        found = self._varies.get(view)
        if found is None:
            found = self._varies[view] = {
                piece.axis for along in view for item, _ in leaves(along) for piece in item.pieces
            }
        return found

    def _differences(self, views: Sequence[View]) -> list[Meeting]:
        """What the strides and places of branches that meet differ in.

        Branches of one stride belong together if their centres agree, or, as in a causal network,
        the last elements that they see.
        """
        found: list[Meeting] = []
        if len(set(views)) < 2:
            return found
        for axis in range(len(views[0])):
            # What is seen of one axis as a whole does not depend on what is seen of others.
            apart = {v[axis] if self._is_whole(v[axis]) else (v, axis): v for v in views}
            if len(apart) < 2:
                continue
            branches = [self._paces(key, v, axis) for key, v in apart.items()]
            branches = [branch for branch in branches if branch.paces]
            centres = {branch.centres for branch in branches}
            ends = {branch.ends for branch in branches}
            if len(centres) > 1 and len(ends) > 1:
                every = frozenset[Pace]().union(*(branch.paces for branch in branches))
                found.append(Meeting(axis, every))
        return found

    def _is_whole(self, along: AxisView) -> bool:
        """Whether it holds everywhere, along whole axes of the value."""
        found = self._whole.get(along)
        if found is None:
            found = self._whole[along] = all(
                not confined and not item.masks and all(digit.inner == 1 for digit in item.pieces)
                for item, confined in leaves(along)
            )
        return found

    def _paces(self, key: object, view: View, axis: int) -> _Branch:
        """How a branch moves; `key` is what that rests on."""
        found = self._found_paces.get(key)
        if found is None:
            paces = self._made_paces(view, axis)
            centres = frozenset((pace.stride, pace.centre) for pace in paces)
            ends = frozenset((pace.stride, pace.ahead) for pace in paces)
            # Equal ones are one object.
            equal = self._equal_paces.setdefault
            found = _Branch(paces, id(equal(centres, centres)), id(equal(ends, ends)))
            self._found_paces[key] = found
        return found

    def _made_paces(self, view: View, axis: int) -> frozenset[Pace]:
        """Of the local terms that move, united where they vary alike.

        None where the place along an axis decides which terms hold: no line runs through them all.
        """
        known = []
        for item, confined in leaves(view[axis], local=True):
            if item.slot == IRREGULAR:
                continue
            if self._waves[item.slot].is_loose:
                return frozenset()
            axes = {piece.axis for mask in item.masks for piece in mask.pieces}
            axes.update(a for a, _, _, _ in confined)
            if not axes.isdisjoint(self._axes_of(view)):
                return frozenset()
            slot, digits = self._by_unit(item.slot, digits_of(item), axis, view)
            if slot != IRREGULAR and self._slope(slot, digits) and not self._waves[slot].is_open:
                known.append((slot, digits))
        paces = {self._pace(slot, digits) for slot, digits in self._united(known)}
        return frozenset(pace for pace in paces if pace is not None)

    def _pace(self, slot: int, digits: tuple[Digit, ...]) -> Pace | None:
        """How the units move that see one wave; None if they see nothing."""
        field = self._field(slot, digits, {})
        found = self._pace_of.get((slot, field))
        if found is None and field.size:
            span = max(map(abs, self._waves[slot].advances))
            found = Pace(Fraction(field.stride), Fraction(field.centre), field.ahead, span)
            self._pace_of[slot, field] = found
        return found

    # ------------------------------------------------ waves

    def _is_endless(self, slot: int) -> bool:
        """Whether some unit sees all of the axis, however long it is."""
        return slot != IRREGULAR and self._waves[slot].is_endless

    def _is_list(self, slot: int, digits: Sequence[Digit]) -> bool:
        """Whether it lists the coordinates of an axis that grows, and does not advance."""
        wave = self._waves[slot]
        return any(
            digit.grows and digit.last and not advance and period > 1
            for digit, period, advance in zip(digits, wave.periods, wave.advances, strict=True)
        )

    def _slope(self, slot: int, digits: Sequence[Digit]) -> Fraction:
        return _slope(self._waves, slot, digits)

    def _of_one(self, slot: int, digits: tuple[Digit, ...]) -> AxisField | None:
        """The field of units that all see one wave."""
        if slot == IRREGULAR or self._is_list(slot, digits):
            return None
        return AxisField.endless() if self._is_endless(slot) else self._field(slot, digits, {})

    def _field(self, slot: int, digits: tuple[Digit, ...], first: Mapping[int, int]) -> AxisField:
        # Rows and columns have the same figures.
        key = slot, tuple([(d.inner, d.size, d.grows, d.shift, first.get(d.axis)) for d in digits])
        found = self._plain.get(key)
        if found is None:
            found = self._plain[key] = _figures(self._waves, slot, digits, first)
        return found

    def _by_unit(
        self, slot: int, digits: tuple[Digit, ...], axis: int, view: View
    ) -> tuple[int, tuple[Digit, ...]]:
        """The wave over neighbouring units: upper digits alone become whole coordinates.

        They stay digits where another axis of the input moves with the lower ones: the rows of
        tokens are as far apart as the rows of the picture, not a row's length less.
        """
        for digit in digits:
            if slot != IRREGULAR and digit.inner > 1:
                others = (
                    other
                    for k, along in enumerate(view)
                    if k != axis
                    for item, _ in leaves(along)
                    for other in item.pieces
                )
                if not any(o.axis == digit.axis and o.inner < digit.inner for o in others):
                    length = digit.inner * digit.size
                    slot, digits = self._lowering.one_digit(slot, digits, digit.axis, length)
        return slot, digits

    def _united(
        self, known: Sequence[tuple[int, tuple[Digit, ...]]]
    ) -> list[tuple[int, tuple[Digit, ...]]]:
        """The waves, united where they move on at the same pace."""
        found: list[tuple[int, tuple[Digit, ...]]] = []
        if len(known) < 2:
            return list(known)
        for slot, digits in dict.fromkeys(known):
            for k, (other, others) in enumerate(found):
                every = tuple(sorted({*digits, *others}, key=lambda d: (d.axis, -d.inner)))
                both = self._waves.least(other, slot, others, digits, every)
                if both is not None and both[0] != IRREGULAR:
                    found[k] = both
                    break
            else:
                found.append((slot, digits))
        return found

    def _held(
        self, slot: int, digits: tuple[Digit, ...], at: Mapping[int, int]
    ) -> tuple[int, tuple[Digit, ...]]:
        """The wave with some of the value's coordinates fixed."""
        for digit in digits:
            if digit.axis in at and digit in digits:
                k = digits.index(digit)
                others = digits[:k] + digits[k + 1 :]
                value = digit.of(at[digit.axis])
                slot, digits = self._waves.joined_over(slot, k, others, [value])
        return slot, digits

    def _summary(
        self,
        terms: Sequence[Term],
        extent: Shape,
        view: View,
        axis: int,
        at: Mapping[int, int],
    ) -> AxisField | None:
        """The figures of the units of which `terms` hold."""
        known = []
        for term in terms:
            if term.slot == IRREGULAR:
                return None
            slot, digits = self._held(term.slot, term.digits, at)
            slot, digits = self._by_unit(slot, digits, axis, view)
            if slot == IRREGULAR or self._is_list(slot, digits):
                return None
            known.append((slot, digits))
        if len(terms) == 1:
            return self._field(*known[0], terms[0].first)
        moving = {digit.axis for _, digits in known for digit in digits if digit.grows}
        if any(moving & term.axes for term in terms):
            # What differs with the place along the axis itself is told of the units as they are:
            # of each wave, from the first unit on that sees it.
            firsts: dict[tuple[int, tuple[Digit, ...]], dict[int, int]] = {}
            for own, term in zip(known, terms, strict=True):
                here = term.first
                before = firsts.setdefault(own, here)
                firsts[own] = {a: min(n, before[a]) for a, n in here.items() if a in before}
            fields = [self._field(*own, first) for own, first in firsts.items()]
            if len(fields) == 1:
                return fields[0]
            begins = [
                (sum(first.values()), field.start)
                for field, first in zip(fields, firsts.values(), strict=True)
                if field.size
            ]
            return _branched(fields, min(begins, default=(0, nan))[1])
        cells = _cells(terms, at, extent) or [list(range(len(terms)))]
        figures = []
        is_branched = False
        for cell in cells:
            united = self._united([known[k] for k in cell])
            is_branched = is_branched or len(united) > 1
            figures += [self._field(*one, {}) for one in united]
        found = [field for field in dict.fromkeys(figures) if field.size]
        start = min((f.start for f in found), default=nan)
        if is_branched or len({f.stride for f in found}) > 1:
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

    def layout(
        self, tensor: str, input: str, axis: int, stride: Number
    ) -> tuple[Digit, Fraction] | None:
        """How a value is laid over an axis of the input: the digit that moves, and its stride.

        None where it can't be laid at this stride.
        """
        view = self.view(tensor, input)
        if view is None or not stride > 0:
            return None
        moving = set()
        for item, _ in leaves(view[axis]):
            slot, digits = item.slot, digits_of(item)
            if slot != IRREGULAR:
                slot, digits = self._by_unit(slot, digits, axis, view)
            if slot != IRREGULAR:
                for digit, by in zip(digits, self._waves[slot].advances, strict=True):
                    if digit.grows and by:
                        moving.add((digit, self._slope(slot, digits)))
        if len(moving) != 1:
            return None
        ((digit, slope),) = moving
        return (digit, slope) if slope == stride else None


def own_elements(
    digit: Digit, stride: Fraction, at: Mapping[int, np.ndarray], rank: int
) -> tuple[np.ndarray, np.ndarray]:
    """The first and the last of the own elements of some units of a value, compressed.

    Parameters
    ----------
    digit : Digit
        What moves along the axis of the input.
    stride : Fraction
        By how many elements.
    at : mapping of int to ndarray
        Coordinates of the units, by axis of the value.
    rank : int
        How many axes the value has.
    """
    unit = digit.of(at[digit.axis])
    first = (unit * stride.numerator) // stride.denominator
    last = -(-((unit + 1) * stride.numerator) // stride.denominator) - 1
    dims = [-1 if a == digit.axis else 1 for a in range(rank)]
    return first.reshape(dims), last.reshape(dims)


def measured(
    ends: tuple[np.ndarray, np.ndarray],
    known: AxisField | None,
    own: tuple[np.ndarray, np.ndarray] | None,
) -> AxisField:
    """The field where there is no closed form: what units away from the borders see.

    Parameters
    ----------
    ends : (ndarray, ndarray)
        Bounds of the units along an axis of the input; ``lo > hi`` of those that don't count.
    known : AxisField or None
        The branches, if these are known.
    own : (ndarray, ndarray) or None
        First and last of the units' own elements, if the value can be laid over the input.
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
    if own is not None:
        before, behind = own[0] - lo, hi - own[1]
        inner = np.broadcast_to(inner, before.shape)
        back, ahead = int(before[inner].max()), int(behind[inner].max())
    return replace(known, size=largest, smallest=smallest, back=back, ahead=ahead)


# ---------------------------------------------------------------- figures


def _slope(waves: Waves, slot: int, digits: Sequence[Digit]) -> Fraction:
    """Input elements per step of the finest digit that grows and moves it; 0 if none does."""
    wave = waves[slot]
    for k in sorted(range(len(digits)), key=lambda k: digits[k].inner):
        if digits[k].grows and wave.advances[k]:
            return Fraction(wave.advances[k], wave.periods[k])
    return Fraction(0)


def _figures(
    waves: Waves, slot: int, digits: tuple[Digit, ...], first: Mapping[int, int]
) -> AxisField:
    """The figures of a wave, for one period of units from the coordinates `first` on."""
    wave = waves[slot]
    slope = _slope(waves, slot, digits)
    # The first of a unit's own elements, in parts of an element.
    parts = lcm(*(n for n, digit in zip(wave.periods, digits, strict=True) if digit.grows))
    values: list[Sequence[int]] = []
    paces = []
    for digit, period, advance in zip(digits, wave.periods, wave.advances, strict=True):
        if digit.grows:
            begin = digit.of(first.get(digit.axis, max(digit.shift, 0)))
            values.append(range(begin, begin + period))
            paces.append(advance * parts // period)
        else:
            values.append(_extremes(digit.size, period))
            paces.append(0)
    firsts, lasts = waves.at(slot, values)
    if paces and any(paces):
        owns = [
            sum(pace * value for pace, value in zip(paces, place, strict=True))
            for place in product(*values)
        ]
    else:
        owns = [0] * len(firsts)
    seen = [
        (lo, -minus_hi, own)
        for lo, minus_hi, own in zip(firsts, lasts, owns, strict=True)
        if lo < NOTHING
    ]
    if not seen:
        return AxisField.nothing()
    before = any(lo <= ENDLESS for lo, _, _ in seen)
    behind = any(hi >= -ENDLESS for _, hi, _ in seen)
    sizes = [hi - lo + 1 for lo, hi, _ in seen if lo > ENDLESS and hi < -ENDLESS]
    size: Number = max(sizes) if len(sizes) == len(seen) else inf
    smallest: Number = 0 if len(seen) < len(firsts) else min(sizes) if sizes else inf
    centre: Number = nan
    if not before and not behind:
        # In parts of half an element.
        middles = sum((lo + hi) * parts - 2 * own for lo, hi, own in seen)
        centre = _plain(Fraction(middles, 2 * parts * len(seen)))
    back: Number = nan
    ahead: Number = nan
    if slope > 0:
        on = int(slope * parts)
        back = inf if before else max(own // parts - lo for lo, _, own in seen)
        ahead = inf if behind else max(hi + -(own + on) // parts + 1 for _, hi, own in seen)
    phases = _phases(digits, values, firsts, lasts)
    start = next(begin for begin, end in phases if begin <= end)
    stride = _plain(slope)
    return AxisField(size, stride, start, centre, smallest, back, ahead, phases)


def _phases(
    digits: Sequence[Digit],
    values: Sequence[Sequence[int]],
    firsts: Sequence[int],
    lasts: Sequence[int],
) -> tuple[tuple[Number, Number], ...]:
    """First and last coordinates by the digits that grow, of all others together."""
    together: dict[tuple[int, ...], tuple[int, int]] = {}
    places = product(*(v if d.grows else [0] * len(v) for d, v in zip(digits, values, strict=True)))
    for place, lo, hi in zip(places, firsts, lasts, strict=True):
        old = together.get(place, (NOTHING, NOTHING))
        together[place] = min(old[0], lo), min(old[1], hi)
    return tuple(
        (_number(lo), -_number(hi)) if lo < NOTHING else (0, -1) for lo, hi in together.values()
    )


def _branched(fields: Sequence[AxisField], start: Number) -> AxisField:
    """The field of paths that differ; what units see is still to be measured."""
    found = [field for field in dict.fromkeys(fields) if field.size]
    if not found:
        return AxisField.nothing()
    size = max(f.size for f in found)
    widest = max((f.stride for f in found), key=lambda stride: Fraction(stride) ** 2)
    return AxisField(size, widest, start, _centre(start, size), nan, branches=tuple(found))


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


def _cells(terms: Sequence[Term], at: Mapping[int, int], extent: Shape) -> list[list[int]] | None:
    """Which terms hold together, for all units; None where these are too many to tell apart."""
    starts: dict[int, list[int]] = {}
    for axis in sorted(set().union(*(term.axes for term in terms))):
        if axis in at:
            starts[axis] = [at[axis]]
        else:
            edges = {0}.union(*(term.edges(axis) for term in terms))
            starts[axis] = sorted(edges - {extent[axis]})
    if prod(map(len, starts.values())) > _MAX_CELLS:
        return None
    holds = np.ones((len(terms), *map(len, starts.values())), dtype=bool)
    number = {axis: k for k, axis in enumerate(starts)}
    for own, term in zip(holds, terms, strict=True):
        for axis, begin, end in term.confined:
            along = own.swapaxes(0, number[axis])
            along[: bisect_left(starts[axis], begin)] = False
            along[bisect_left(starts[axis], end) :] = False
        for mask in term.masks:
            for axis, places in starts.items():
                if mask.shape[axis] > 1:
                    mask = mask.take(places, axis=axis)
            own &= mask.squeeze(axis=tuple(a for a in range(mask.ndim) if a not in starts))
    found = dict.fromkeys(here.tobytes() for here in holds.reshape(len(terms), -1).T)
    return [[k for k, held in enumerate(here) if held] for here in found if any(here)]


def _extremes(size: int, period: int) -> Sequence[int]:
    """Of `size` values of a digit those that may see most or least: the first and last periods."""
    return range(size) if size <= 2 * period else [*range(period), *range(size - period, size)]


def _placed_along(read: PerAxis, source: Shape | None, extent: Shape | None) -> int | None:
    """The axis of which a read makes a part of that of the output, where all others are as they
    were: a concatenation.
    """
    if source is None or extent is None or len(source) != len(extent):
        return None
    placed = None
    for axis, along in enumerate(read.axes):
        if not isinstance(along, Along) or along.axis != axis or not is_shift(along):
            return None
        if is_same(along) and source[axis] == extent[axis]:
            continue
        begin = -along.starts[0]
        if placed is not None or along.part != (begin, begin + source[axis]):
            return None
        placed = axis
    return placed


def _origin(source: int | Stage, names: Sequence[str]) -> object:
    """What a read goes back to: a value, or several by way of a stage."""
    if not isinstance(source, Stage):
        return names[source]
    origins = {_origin(read.source, names) for read in source.reads}
    return origins.pop() if len(origins) == 1 else frozenset(origins)


def _number(end: int) -> Number:
    return -inf if end <= ENDLESS else int(end)


def _plain(number: Fraction) -> int | Fraction:
    return int(number) if number.denominator == 1 else number


def _centre(start: Number, size: Number) -> Number:
    return nan if isinf(start) or isinf(size) else _plain(Fraction(start) + Fraction(size - 1) / 2)


def _mean(numbers: Sequence[Number]) -> Number:
    if any(isinstance(number, float) for number in numbers):
        return nan
    return _plain(Fraction(sum(numbers)) / len(numbers))


__all__ = [
    "AxisField",
    "ClosedForm",
    "Field",
    "Meeting",
    "Number",
    "Pace",
    "measured",
    "own_elements",
]
