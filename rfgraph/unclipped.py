"""Reads lowered once more, on axes without end: nothing is clipped.

The structure is that of the bounds (`rfgraph._lowering`); a slot here is a wave (`rfgraph._waves`),
and the pieces along which it runs are its *digits*. As 75 is 7 tens and 5 ones, a coordinate has
one for a feature map's rows, two for tokens that are the rows and columns of a picture, so that
reshapes only regroup digits. Masks are slots of the program, made of concatenations alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import prod
from typing import cast

import numpy as np

from rfgraph._core import NOTHING
from rfgraph._lowering import (
    FOLD,
    SAME,
    AxisView,
    Factor,
    Item,
    Lowering,
    Move,
    Piece,
    Plan,
    Step,
    new_item,
)
from rfgraph._waves import IRREGULAR, MAX_PERIOD, Waves
from rfgraph.reads import Along, AxisRead, Fixed, Shape, Table

# More items than this are joined without regard to where they hold; fewer where it is the place
# along a moving axis that tells them apart, as after a cyclic shift.
_MAX_ITEMS = 128
_MAX_PLACES = 16


class Digit(Piece):
    """A piece of which is known whether it is the uppermost one of its axis.

    The uppermost digit of an endless axis goes on without end, others begin again.
    """

    __slots__ = ("last",)

    last: bool


# A wave, and its digits: by axis, the higher ones first.
Known = tuple[int, tuple[Digit, ...]]

_UNKNOWN: Known = (IRREGULAR, ())


class Unclipped(Lowering):
    """Makes waves of reads."""

    def __init__(self, like: Lowering) -> None:
        super().__init__(like)
        self.waves = Waves()
        self._digits: dict[tuple[int, int, int, bool, bool, int], Digit] = {}
        self._whole: dict[tuple[int, tuple[Digit, ...], int, int], Known] = {}
        self._held: dict[tuple[Factor, int, int], np.ndarray] = {}

    def digit(
        self, axis: int, inner: int, size: int, grows: bool, last: bool = True, shift: int = 0
    ) -> Digit:
        """The digit of these attributes: equal ones are one."""
        key = axis, inner, size, grows, last, shift
        found = self._digits.get(key)
        if found is None:
            found = self._digits[key] = Digit(axis, inner, size, shift, grows)
            found.last = last
        return found

    def _on(self, digit: Digit, axis: int, by: int = 0) -> Digit:
        """The digit along another axis, on which it begins `by` earlier."""
        return self.digit(axis, digit.inner, digit.size, digit.grows, digit.last, digit.shift - by)

    # ------------------------------------------------ where this differs from the bounds

    def seed(self, shape: Shape) -> tuple[AxisView, ...]:
        """Every element sees itself."""
        if not shape:
            return (self.view((new_item(self.waves.listed((), (), [0], [0]), ()),)),)
        own = self.waves.listed((1,), (1,), [0], [0])
        return tuple(
            self.view((new_item(own, (self.digit(axis, 1, size, True),)),))
            for axis, size in enumerate(shape)
        )

    def everything(self, shape: Shape) -> tuple[AxisView, ...]:
        """The view of what sees all of an input of `shape` from everywhere."""
        return (self.view((new_item(self.waves.endless(), ()),)),) * max(len(shape), 1)

    def both(self, a: AxisView, b: AxisView) -> AxisView | None:
        """The union of two views."""
        items = [item for item in (*a.items, *b.items) if isinstance(item, Item)]
        if len(items) < len(a.items) + len(b.items):
            return None
        return self.view(tuple(self.merged(items, None)))

    def merged(self, items: list[Item], extent: Shape | None) -> list[Item]:
        """Items as one where they vary alike and hold at the same places."""
        kept: list[Item] = []
        for item in items:
            for k, other in enumerate(kept):
                both = self._joined(other, item)
                if both is not None:
                    kept[k] = both
                    break
            else:
                kept.append(item)
        if len(kept) <= _MAX_PLACES:
            return kept
        if len(kept) > _MAX_ITEMS:
            return self.merged([self._loose(item) for item in kept], None)
        # What is global says nothing of a place: it is the first to go.
        apart = [item for item in kept if _is_placed(item)]
        for dropped in ([item for item in apart if item.is_global], apart):
            if dropped and len(apart) > _MAX_PLACES:
                others = [item for item in kept if item not in dropped]
                return self.merged([*others, *map(self._loose, dropped)], None)
        return kept

    def _loose(self, item: Item) -> Item:
        """The item without regard to where it holds."""
        slot = item.slot if item.slot == IRREGULAR else self.waves.loose(item.slot)
        return new_item(slot, item.pieces, (), item.is_global)

    def _joined(self, a: Item, b: Item) -> Item | None:
        if a.is_global != b.is_global:
            return None
        if a.masks != b.masks:
            if (a.slot, a.pieces) != (b.slot, b.pieces):
                return None
            return self.holding_at_either(a, b)
        if (a.slot, a.pieces) == (b.slot, b.pieces):
            return a
        if IRREGULAR in (a.slot, b.slot):
            return new_item(IRREGULAR, (), a.masks, a.is_global)
        if a.pieces != b.pieces:
            return None
        both = self.waves.least(a.slot, b.slot, a.pieces, b.pieces, a.pieces)
        return None if both is None else new_item(*both, a.masks, a.is_global)

    # ------------------------------------------------ reads

    def item(self, item: Item, how: Plan | Move) -> Item | None:
        """What is seen of an item; None if it is nothing at all."""
        masks = item.masks
        if masks or (isinstance(how, Plan) and how.parts):
            # Where something is seen is known without what is seen there.
            place = super().item(new_item(self.zeros(1), (), masks), how)
            if place is None:
                return None
            masks = place.masks
        slot, digits = item.slot, digits_of(item)
        is_global = item.is_global
        if slot == IRREGULAR:
            return new_item(slot, (), masks, is_global)
        if isinstance(how, Move):
            slot, digits = self._moved(slot, digits, how)
        elif digits:
            steps = [how.steps[axis] for axis in {digit.axis for digit in digits}]
            slot, digits = self._read(item, how)
            if slot != IRREGULAR and any(step.is_statistic for step in steps):
                is_global = is_global or self.is_placeless(slot, digits)
        return new_item(slot, digits, masks, is_global)

    def is_placeless(self, slot: int, digits: Sequence[Digit]) -> bool:
        """Whether a wave is the same for all places, however large the input is."""
        # The wave of all that there is has no digits.
        return not any(digit.grows for digit in digits)

    def _read(self, item: Item, plan: Plan) -> Known:
        slot, digits = item.slot, digits_of(item)
        axes = sorted({digit.axis for digit in digits})
        outs = [out for axis in axes for out, _ in plan.steps[axis].outs]
        outs += [step.repeated for axis in axes if (step := plan.steps[axis]).repeated >= 0]
        if len(outs) != len(set(outs)):
            return _UNKNOWN
        # The output's axes are counted from -1 down until all are read.
        for axis in axes:
            step = plan.steps[axis]
            first = next((digit for digit in digits if digit.axis == axis), None)
            if first is None:
                continue
            keeps = step.shift is not None and not first.is_whole(step.size)
            if step.kind == SAME or keeps or step.repeated >= 0:
                by = (step.shift or 0) if keeps else 0
                out = ~(step.outs[0][0] if step.outs else step.repeated)
                digits = tuple(
                    self._on(digit, out, by) if digit.axis == axis else digit for digit in digits
                )
            elif step.kind == FOLD or (isinstance(step.read, Fixed) and step.read.count is None):
                slot, digits = self._over_all(slot, digits, axis, step, item.masks)
            else:
                slot, digits = self._windowed(slot, digits, axis, step)
            if slot == IRREGULAR:
                return _UNKNOWN
        digits = tuple(self._on(d, ~d.axis) if d.axis < 0 else d for d in digits)
        return self._sorted(slot, digits)

    def _sorted(self, slot: int, digits: tuple[Digit, ...]) -> Known:
        order = tuple(sorted(digits, key=lambda digit: (digit.axis, -digit.inner)))
        if order == digits:
            return slot, digits
        return self.waves.shortest(slot, digits, order)

    def _over_all(
        self,
        slot: int,
        digits: tuple[Digit, ...],
        axis: int,
        step: Step,
        masks: Sequence[Factor],
    ) -> Known:
        """All of an axis, or of what masks leave of it, joined."""
        places = self.where(masks, axis, step.size)
        while slot != IRREGULAR:
            k = next((k for k, digit in enumerate(digits) if digit.axis == axis), None)
            if k is None:
                break
            digit = digits[k]
            others = digits[:k] + digits[k + 1 :]
            if step.is_statistic and digit.grows:
                return self.waves.endless(self.waves[slot].is_loose), ()
            values: Collection[int] = range(digit.size)
            if places is not None:
                values = np.unique(digit.of(places)).tolist()
            slot, digits = self.waves.joined_over(slot, k, others, values)
        return slot, digits

    def _windowed(self, slot: int, digits: tuple[Digit, ...], axis: int, step: Step) -> Known:
        slot, digits = self.one_digit(slot, digits, axis, step.size)
        k = next((k for k, digit in enumerate(digits) if digit.axis == axis), None)
        if k is None:
            return slot, digits
        read, digit = step.read, digits[k]
        others = (digits[:k], digits[k + 1 :])
        if isinstance(read, Fixed):
            values = range(read.start, read.start + (read.count or 0))
            return self.waves.joined_over(slot, k, (*others[0], *others[1]), values)
        along = read if isinstance(read, Along) else read.interior
        if isinstance(read, Table) and along is None:
            starts, counts = read.starts.reshape(-1), read.counts.reshape(-1)
            if counts.size > MAX_PERIOD:
                return _UNKNOWN
            made = [self.digit(~out, 1, size, digit.grows) for out, size in step.outs]
            sizes = [size for _, size in step.outs]
            return self.waves.values_of(
                slot,
                k,
                (*others[0], *made, *others[1]),
                starts.tolist(),
                counts.tolist(),
                read.step,
                sizes,
            )
        assert along is not None
        on = self.waves[slot].advances[k]
        size = dict(step.outs)[along.axis]
        digits = (*others[0], self.digit(~along.axis, 1, size, digit.grows), *others[1])
        slot, digits = self.waves.window(
            slot, k, digits, along.starts, along.counts, along.step, along.advance
        )
        if isinstance(read, Table) and read.open and on and slot != IRREGULAR:
            slot, digits = self.waves.opened(slot, 0 if read.open * on < 0 else 1, digits)
        return slot, digits

    def where(self, masks: Sequence[Factor], axis: int, size: int) -> np.ndarray | None:
        """The coordinates of an axis at which all masks leave something; None: all."""
        places = None
        for mask in masks:
            if any(piece.axis == axis for piece in mask.pieces):
                held = self._held_along(mask, axis, size)
                places = held if places is None else places & held
        return None if places is None else np.flatnonzero(places)

    def _held_along(self, mask: Factor, axis: int, size: int) -> np.ndarray:
        """Where along an axis a mask leaves something."""
        key = mask, axis, size
        if key not in self._held:
            array = np.empty((2, self.program.size(mask.slot)), dtype=np.int64)
            self.program.write_out(mask.slot, array)
            held = array[0].reshape([piece.size for piece in mask.pieces]) < NOTHING
            own = [k for k, piece in enumerate(mask.pieces) if piece.axis == axis]
            held = held.any(axis=tuple(k for k in range(held.ndim) if k not in own))
            places = np.arange(size)
            self._held[key] = held[tuple(mask.pieces[k].of(places) for k in own)]
        return self._held[key]

    # ------------------------------------------------ digits

    def one_digit(self, slot: int, digits: tuple[Digit, ...], axis: int, extent: int) -> Known:
        """The wave with a single digit, the coordinate itself, along an axis."""
        places = [k for k, digit in enumerate(digits) if digit.axis == axis]
        if not places or (len(places) == 1 and digits[places[0]].is_whole(extent)):
            return slot, digits
        key = slot, digits, axis, extent
        if key not in self._whole:
            self._whole[key] = self._made_one(slot, digits, axis, extent, places)
        return self._whole[key]

    def _made_one(
        self, slot: int, digits: tuple[Digit, ...], axis: int, extent: int, places: list[int]
    ) -> Known:
        wave = self.waves[slot]
        top = max(places, key=lambda k: digits[k].inner)
        digit = digits[top]
        length, advance = digit.inner * digit.size, 0
        if digit.last:
            length, advance = digit.inner * wave.periods[top], wave.advances[top]
        if length > MAX_PERIOD:
            return _UNKNOWN
        values = []
        for k in places:
            coordinates = np.arange(length)
            values.append(
                (coordinates - digits[k].shift) // digits[k].inner
                if k == top and advance
                else digits[k].of(coordinates)
            )
        grows = any(digits[k].grows for k in places)
        others = [digit for k, digit in enumerate(digits) if k not in places]
        made = (self.digit(axis, 1, extent, grows), *others)
        return self.waves.diagonal(slot, places, [v.tolist() for v in values], advance, made)

    def _moved(self, slot: int, digits: tuple[Digit, ...], move: Move) -> Known:
        """The digits of a value that is rearranged."""
        slot, digits = self._regrouped(slot, digits, move.source, move.view)
        place = {a: b for b, a in enumerate(move.permutation)}
        digits = tuple(self._on(digit, place[digit.axis]) for digit in digits)
        between = tuple(move.view[a] for a in move.permutation)
        slot, digits = self._regrouped(slot, digits, between, move.extent)
        return _UNKNOWN if slot == IRREGULAR else self._sorted(slot, digits)

    def _regrouped(
        self, slot: int, digits: tuple[Digit, ...], source: Shape, target: Shape
    ) -> Known:
        if source == target or not digits:
            return slot, digits
        made = self._cut(slot, digits, source, target)
        if made is None:
            # Digits that can't be cut where the new axes end are written as whole coordinates.
            for axis in {digit.axis for digit in digits}:
                slot, digits = self.one_digit(slot, digits, axis, source[axis])
            made = None if slot == IRREGULAR else self._cut(slot, digits, source, target)
        return made or _UNKNOWN

    def _cut(
        self, slot: int, digits: tuple[Digit, ...], source: Shape, target: Shape
    ) -> Known | None:
        before = [prod(source[a + 1 :]) for a in range(len(source))]
        after = [prod(target[b + 1 :]) for b in range(len(target))]
        # Shifted digits stay what they are on an axis that the reshape leaves alone.
        kept: dict[int, int] = {}
        for axis in {digit.axis for digit in digits if digit.shift}:
            own = before[axis], source[axis]
            alike = [b for b, size in enumerate(target) if (after[b], size) == own]
            if alike:
                kept[axis] = alike[0]
                continue
            slot, digits = self.one_digit(slot, digits, axis, source[axis])
            if slot == IRREGULAR:
                return None
        made: list[Digit] = []
        # From the last digit to the first, so that their places in the wave stay what they are.
        for k in reversed(range(len(digits))):
            digit = digits[k]
            if digit.axis in kept:
                made.insert(0, self._on(digit, kept[digit.axis]))
                continue
            flat, left = digit.inner * before[digit.axis], digit.size
            parts: list[Digit] = []
            while left > 1:
                place = next((b for b, a in enumerate(after) if a <= flat and target[b] > 1), None)
                if place is None or flat % after[place]:
                    return None
                room, rest = divmod(after[place] * target[place], flat)
                take = min(left, room)
                if rest or take <= 1 or left % take or room % take:
                    return None
                inner = flat // after[place]
                is_top = take == left
                last = inner * take == target[place]
                parts.append(self.digit(place, inner, take, digit.grows and is_top, last))
                if not is_top:
                    slot = self.waves.cut(slot, k, take)
                    if slot == IRREGULAR:
                        return None
                flat, left = flat * take, left // take
            if not parts:
                slot = self.waves.without_digit(slot, k)
            made[:0] = reversed(parts)
        return self.waves.shortest(slot, tuple(made), tuple(made))


def digits_of(item: Item) -> tuple[Digit, ...]:
    """The digits along which a wave runs."""
    return cast("tuple[Digit, ...]", item.pieces)


def _is_placed(item: Item) -> bool:
    """Whether a mask confines the item along an axis along which it moves."""
    moving = {digit.axis for digit in item.pieces}
    return any(piece.axis in moving for mask in item.masks for piece in mask.pieces)


__all__ = ["Digit", "Known", "Unclipped", "digits_of"]
