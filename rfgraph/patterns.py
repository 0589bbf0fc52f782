"""Intervals as functions of a value's coordinates, on axes without end.

A `Pattern` repeats and advances. A coordinate is written in *digits* (as 75 is 7 tens and 5
ones): one for a feature map's rows, two for tokens that are the rows and columns of a picture,
so that reshapes only regroup digits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd, lcm, prod

import numpy as np

from rfgraph.compressed import NOTHING
from rfgraph.reads import Along, Shape, Table

# Stands for "without end" in the pattern arrays, which hold ``[lo, -hi]``.
ENDLESS = -NOTHING

# Patterns that repeat later than this are called irregular.
_MAX_PERIOD = 1 << 16


@dataclass(frozen=True, slots=True)
class Digit:
    """A digit of a coordinate: ``(coordinate - shift) // inner % size`` along `axis`.

    `grows` tells whether it gets more values when the input gets larger, `last` whether it is the
    axis's uppermost digit.
    """

    axis: int
    inner: int
    size: int
    grows: bool
    last: bool = True
    shift: int = 0

    def of(self, coordinate: np.ndarray) -> np.ndarray:
        """The digit's values at some coordinates."""
        return (coordinate - self.shift) // self.inner % self.size

    def is_whole(self, extent: int) -> bool:
        """Whether it is the coordinate itself, on an axis of length `extent`."""
        return self.inner == 1 and self.size == extent and not self.shift


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """An interval of one axis of the input, as a function of the value's coordinates.

    Attributes
    ----------
    digits : tuple of Digit
        The digits that it varies with.
    array : ndarray of int64, shape (2, period of each digit...)
        ``[lo, -hi]`` for the first period.
    advance : tuple of int
        For each digit, what a period adds to both ends.
    """

    digits: tuple[Digit, ...]
    array: np.ndarray
    advance: tuple[int, ...]

    def at(self, k: int, values: np.ndarray) -> np.ndarray:
        """The array with digit `k` taking the given values in place of its period."""
        period = self.array.shape[k + 1]
        out: np.ndarray = self.array.take(values % period, axis=k + 1)
        if self.advance[k]:
            dims = [1] * out.ndim
            dims[k + 1] = len(values)
            add = (values // period * self.advance[k]).reshape(dims)
            sign = np.array([1, -1]).reshape(2, *[1] * (out.ndim - 1))
            out = np.where(np.abs(out) >= NOTHING, out, out + sign * add)
        return out

    @property
    def is_open(self) -> bool:
        """Whether it reaches beyond every size, on one side or on both."""
        return bool((self.array <= ENDLESS).any())

    @property
    def is_placeless(self) -> bool:
        """Whether it is the same for all places, however large the input is."""
        return not any(digit.grows for digit in self.digits) or bool((self.array <= ENDLESS).all())

    @property
    def is_list(self) -> bool:
        """Whether it lists the coordinates of an axis that grows, and does not advance."""
        return any(
            digit.grows and digit.last and not self.advance[k] and self.array.shape[k + 1] > 1
            for k, digit in enumerate(self.digits)
        )

    def slope(self) -> Fraction:
        """Input elements per step of the finest digit that grows and moves it; 0 if none does."""
        for k in sorted(range(len(self.digits)), key=lambda k: self.digits[k].inner):
            if self.digits[k].grows and self.advance[k]:
                return Fraction(self.advance[k], self.array.shape[k + 1])
        return Fraction(0)


def simplified(pattern: Pattern) -> Pattern:
    """The same pattern with the shortest periods, without digits that change nothing."""
    digits, array, advance = list(pattern.digits), pattern.array, list(pattern.advance)
    for k in reversed(range(len(digits))):
        array, advance[k] = _shortened(array, k + 1, advance[k], digits[k].size)
        if array.shape[k + 1] == 1 and not advance[k]:
            array = array.take(0, axis=k + 1)
            del digits[k], advance[k]
    order = sorted(range(len(digits)), key=lambda k: (digits[k].axis, -digits[k].inner))
    return Pattern(
        tuple(digits[k] for k in order),
        array.transpose(0, *(k + 1 for k in order)),
        tuple(advance[k] for k in order),
    )


def _shortened(array: np.ndarray, axis: int, advance: int, size: int) -> tuple[np.ndarray, int]:
    period = array.shape[axis]
    # A period that covers all of the digit's values may go on in any way.
    listed = not advance and period >= size
    if period == 1:
        return array, advance
    flat = np.moveaxis(array, axis, -1)
    special = np.abs(flat) >= NOTHING
    for shorter in [p for p in range(1, period) if period % p == 0]:
        if not np.array_equal(special[..., shorter:], special[..., :-shorter]):
            continue
        steps = np.where(special[..., shorter:], 0, flat[..., shorter:] - flat[..., :-shorter])
        usual = ~special[..., shorter:]
        lows = steps[0][usual[0]]
        highs = -steps[1][usual[1]]
        every = np.concatenate([lows.reshape(-1), highs.reshape(-1)])
        step = int(every[0]) if every.size else 0
        if (every == step).all() and (listed or step * (period // shorter) == advance):
            return array.take(range(shorter), axis=axis), step
    return array, advance


def relabelled(pattern: Pattern, axes: Mapping[int, int]) -> Pattern:
    """The pattern with some of the axes of its digits renamed."""
    digits = tuple(replace(d, axis=axes.get(d.axis, d.axis)) for d in pattern.digits)
    return Pattern(digits, pattern.array, pattern.advance)


def one_digit(pattern: Pattern, axis: int, extent: int) -> Pattern | None:
    """The pattern with a single digit, the coordinate itself, along `axis`; it comes first."""
    places = [k for k, d in enumerate(pattern.digits) if d.axis == axis]
    others = [k for k in range(len(pattern.digits)) if k not in places]
    if not places:
        return pattern
    top = max(places, key=lambda k: pattern.digits[k].inner)
    digit, period = pattern.digits[top], pattern.array.shape[top + 1]
    if digit.last:
        length, advance = digit.inner * period, pattern.advance[top]
    else:
        length, advance = digit.inner * digit.size, 0
    if length > _MAX_PERIOD:
        return None
    # All of these digits take their values from the same coordinate: a diagonal of the array.
    coordinate = np.arange(length)
    index, added = [], np.zeros(length, dtype=np.int64)
    for k in places:
        d, period = pattern.digits[k], pattern.array.shape[k + 1]
        values = d.of(coordinate)
        if k == top and advance:
            values = (coordinate - d.shift) // d.inner
        index.append(values % period)
        added += values // period * pattern.advance[k]
    array = pattern.array.transpose(0, *(k + 1 for k in places), *(k + 1 for k in others))
    array = array[(slice(None), *index)]
    add = np.stack([added, -added]).reshape(2, length, *[1] * len(others))
    array = np.where(np.abs(array) >= NOTHING, array, array + add)
    grows = any(pattern.digits[k].grows for k in places)
    digits = (Digit(axis, 1, extent, grows), *(pattern.digits[k] for k in others))
    advances = (advance, *(pattern.advance[k] for k in others))
    return simplified(Pattern(digits, array, advances))


def window_read(pattern: Pattern, k: int, read: Along, outputs: int) -> Pattern | None:
    """Digit `k`, a whole coordinate, read along `read`."""
    period, phases = pattern.array.shape[k + 1], len(read.starts)
    repeat = period // gcd(read.advance, period) if read.advance else 1
    length = phases * repeat
    counts = np.array(read.counts)
    if length > _MAX_PERIOD or length * counts.max() > 16 * _MAX_PERIOD:
        return None
    o = np.arange(length)
    starts = np.array(read.starts)[o % phases] + o // phases * read.advance
    taps = np.arange(counts.max())
    coordinate = starts[:, None] + taps * read.step
    found = pattern.at(k, coordinate.reshape(-1))
    found = np.moveaxis(found, k + 1, -1).reshape(
        *np.moveaxis(found, k + 1, -1).shape[:-1], length, len(taps)
    )
    used = taps < counts[o % phases][:, None]
    least = np.where(used, found, NOTHING).min(axis=-1, initial=NOTHING)
    advance = list(pattern.advance)
    advance[k] = advance[k] * (read.advance * repeat) // period
    digits = list(pattern.digits)
    digits[k] = replace(digits[k], axis=read.axis, size=outputs)
    return simplified(Pattern(tuple(digits), np.moveaxis(least, -1, k + 1), tuple(advance)))


def listed_read(pattern: Pattern, k: int, read: Table, extent: Shape) -> Pattern | None:
    """Digit `k`, a whole coordinate, read at the listed coordinates."""
    counts = read.counts.reshape(-1)
    if counts.size * max(int(counts.max(initial=0)), 1) > 16 * _MAX_PERIOD:
        return None
    least = None
    for tap in range(int(counts.max(initial=0))):
        found = pattern.at(k, read.starts.reshape(-1) + tap * read.step)
        found = np.where((tap < counts).reshape([-1] + [1] * (found.ndim - k - 2)), found, NOTHING)
        least = found if least is None else np.minimum(least, found)
    if least is None:
        return None
    shape = (*least.shape[: k + 1], *read.starts.shape, *least.shape[k + 2 :])
    new = [Digit(a, 1, extent[a], pattern.digits[k].grows) for a in read.axes]
    digits = (*pattern.digits[:k], *new, *pattern.digits[k + 1 :])
    advance = (*pattern.advance[:k], *[0] * len(new), *pattern.advance[k + 1 :])
    return simplified(Pattern(digits, least.reshape(shape), advance))


def without(pattern: Pattern, k: int, array: np.ndarray) -> Pattern:
    """The pattern without digit `k`, over whose values `array` is the minimum."""
    digits = pattern.digits[:k] + pattern.digits[k + 1 :]
    return simplified(Pattern(digits, array, pattern.advance[:k] + pattern.advance[k + 1 :]))


def shifted(pattern: Pattern, axis: int, offset: int) -> Pattern:
    """The pattern read at ``coordinate + offset`` along `axis`, its digits kept."""
    digits = tuple(
        replace(d, shift=d.shift - offset) if d.axis == axis else d for d in pattern.digits
    )
    return Pattern(digits, pattern.array, pattern.advance)


def over_all(
    pattern: Pattern, k: int, *, endless: bool, places: np.ndarray | None = None
) -> Pattern:
    """Digit `k` read at all of its values, or at those that it has at certain coordinates."""
    digit = pattern.digits[k]
    if endless and digit.grows:
        shape = pattern.array.shape[: k + 1] + pattern.array.shape[k + 2 :]
        return without(pattern, k, np.full(shape, ENDLESS, dtype=np.int64))
    # A pattern that advances evenly has its extremes in its first and its last periods.
    period = pattern.array.shape[k + 1]
    values = np.arange(digit.size) if places is None else np.unique(digit.of(places))
    if len(values) > 2 * period and places is None:
        values = np.concatenate([values[:period], values[-period:]])
    return without(pattern, k, pattern.at(k, values).min(axis=k + 1))


def regrouped(pattern: Pattern, source: Shape, target: Shape) -> Pattern | None:
    """The pattern of a value of shape `source` for the value reshaped to `target`."""
    made = _regrouped(pattern, source, target)
    if made is None:
        # Digits that can't be cut where the new axes end are written as whole coordinates.
        whole: Pattern | None = pattern
        for axis in {d.axis for d in pattern.digits}:
            whole = whole and one_digit(whole, axis, source[axis])
        made = whole and _regrouped(whole, source, target)
    return made


def _regrouped(pattern: Pattern, source: Shape, target: Shape) -> Pattern | None:
    before = [prod(source[a + 1 :]) for a in range(len(source))]
    after = [prod(target[b + 1 :]) for b in range(len(target))]
    # Shifted digits stay what they are on an axis that the reshape leaves alone.
    kept: dict[int, int] = {}
    for axis in {d.axis for d in pattern.digits if d.shift}:
        alike = [
            b for b in range(len(target)) if (after[b], target[b]) == (before[axis], source[axis])
        ]
        if alike:
            kept[axis] = alike[0]
            continue
        whole = one_digit(pattern, axis, source[axis])
        if whole is None:
            return None
        pattern = whole
    array = pattern.array
    digits: list[Digit] = []
    advance: list[int] = []
    # From the last digit to the first, so that positions in `array` stay what they are.
    for k in reversed(range(len(pattern.digits))):
        digit = pattern.digits[k]
        if digit.axis in kept:
            digits.insert(0, replace(digit, axis=kept[digit.axis]))
            advance.insert(0, pattern.advance[k])
            continue
        flat, size = digit.inner * before[digit.axis], digit.size
        pieces: list[tuple[int, int, int]] = []
        while size > 1:
            place = next((b for b, a in enumerate(after) if a <= flat and target[b] > 1), None)
            if place is None or flat % after[place]:
                return None
            room = after[place] * target[place] // flat
            take = min(size, room)
            if take <= 1 or size % take:
                return None
            pieces.append((place, flat // after[place], take))
            flat, size = flat * take, size // take
        # The digit's own pattern is cut from the lowest piece up.
        new_digits, new_advance = [], []
        step = pattern.advance[k]
        for number, (place, inner, take) in enumerate(pieces):
            top = number == len(pieces) - 1
            last = inner * take == target[place]
            new_digits.append(Digit(place, inner, take, digit.grows and top, last))
            if top:
                new_advance.append(step)
                break
            array, step = _cut(array, k + 1, step, take)
            new_advance.append(0)
        if not pieces:
            array = array.take([0], axis=k + 1).squeeze(k + 1)
        # _cut leaves the lower piece behind the upper one.
        digits[:0] = new_digits[::-1]
        advance[:0] = new_advance[::-1]
    return simplified(Pattern(tuple(digits), array, tuple(advance)))


def _cut(array: np.ndarray, axis: int, advance: int, size: int) -> tuple[np.ndarray, int]:
    """Cut one digit in two: the lower piece takes `size` values, written out; the upper repeats."""
    period = array.shape[axis]
    whole = lcm(period, size)
    others = (0,) * (array.ndim - 2)
    advances = (*others[: axis - 1], advance, *others[axis - 1 :])
    long = Pattern((), array, advances).at(axis - 1, np.arange(whole))
    shape = (*array.shape[:axis], whole // size, size, *array.shape[axis + 1 :])
    return long.reshape(shape), advance * (whole // period)


def equal(p: Pattern | None, q: Pattern | None) -> bool:
    """Whether two patterns are the same; an irregular one (None) equals only itself."""
    if p is q:
        return True
    if p is None or q is None:
        return False
    return (
        p.digits == q.digits and p.advance == q.advance and bool(np.array_equal(p.array, q.array))
    )


def least(p: Pattern, q: Pattern) -> Pattern | None:
    """The union of patterns that vary with the same digits at the same pace."""
    if p is q:
        return p
    if p.digits != q.digits:
        return None
    return _least(p, q, list(p.digits))


def least_of_any(p: Pattern, q: Pattern) -> Pattern | None:
    """The union of patterns that move at the same pace; digits that don't grow are written out."""
    if p is q:
        return p
    digits = sorted({*p.digits, *q.digits}, key=lambda d: (d.axis, -d.inner))
    return _least(_over(p, digits), _over(q, digits), digits)


def _over(pattern: Pattern, digits: Sequence[Digit]) -> Pattern:
    """The pattern with further digits, with which it does not vary."""
    dims, advance = [2], []
    for digit in digits:
        there = digit in pattern.digits
        k = pattern.digits.index(digit) if there else 0
        dims.append(pattern.array.shape[k + 1] if there else 1)
        advance.append(pattern.advance[k] if there else 0)
    order = [pattern.digits.index(digit) for digit in digits if digit in pattern.digits]
    array = pattern.array.transpose(0, *(k + 1 for k in order)).reshape(dims)
    return Pattern(tuple(digits), array, tuple(advance))


def _least(p: Pattern, q: Pattern, digits: list[Digit]) -> Pattern | None:
    arrays, advance = [p.array, q.array], []
    for k, digit in enumerate(digits):
        m, n = p.array.shape[k + 1], q.array.shape[k + 1]
        common, step = lcm(m, n), p.advance[k] * (lcm(m, n) // m)
        if p.advance[k] * n != q.advance[k] * m:
            if digit.grows:
                return None
            common, step = digit.size, 0
        if common * max(a.size // a.shape[k + 1] for a in arrays) > _MAX_PERIOD:
            return None
        values = np.arange(common)
        for side, pattern in enumerate((p, q)):
            arrays[side] = Pattern(pattern.digits, arrays[side], pattern.advance).at(k, values)
        advance.append(step)
    return simplified(Pattern(tuple(digits), np.minimum(*arrays), tuple(advance)))
