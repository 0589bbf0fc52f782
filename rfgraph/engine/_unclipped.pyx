# cython: wraparound=True, nonecheck=True, boundscheck=True
"""Reads lowered once more, on axes without end: nothing is clipped.

The structure is that of the bounds (`_lowering`), and so is how values are read; a slot
here is a wave (`_waves`), and the pieces along which it runs are its *digits*. As 75 is 7
tens and 5 ones, a coordinate has one for a feature map's rows, two for tokens that are the rows and
columns of a picture, so that reshapes only regroup digits. Masks are slots of the program, made of
concatenations alone.
"""

from libc.stdint cimport int64_t

import numpy as np

from rfgraph._core import NOTHING
from rfgraph.engine._lowering cimport (
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
from rfgraph.engine._waves cimport Digit, Wave, Waves
from rfgraph.engine._waves import IRREGULAR, MAX_PERIOD
from rfgraph.reads.words import Along, Fixed

# More items than this are joined without regard to where they hold; fewer where it is the place
# along a moving axis that tells them apart, as after a cyclic shift.
cdef int MAX_ITEMS = 128
cdef int MAX_PLACES = 16

cdef int64_t NO_WAVE = IRREGULAR
cdef int64_t LONGEST = MAX_PERIOD

# A wave and its digits, by axis, the higher ones first: here, what has no closed form.
cdef tuple UNKNOWN = (IRREGULAR, ())


cdef class Unclipped(Lowering):
    """Makes waves of reads.

    Parameters
    ----------
    like : Lowering
        What made bounds of them.

    Attributes
    ----------
    waves : Waves
        What is made.
    """

    cdef readonly Waves waves
    cdef dict digits
    cdef dict made_one
    cdef dict made_least
    cdef dict held

    def __init__(self, Lowering like not None):
        super().__init__(like)
        self.waves = Waves()
        self.digits, self.made_one, self.made_least, self.held = {}, {}, {}, {}

    cdef Digit digit(
        self,
        int64_t axis,
        int64_t inner,
        int64_t size,
        bint grows,
        bint last=True,
        int64_t shift=0,
    ):
        """The digit of these attributes: equal ones are one."""
        key = axis, inner, size, grows, last, shift
        found = self.digits.get(key)
        if found is None:
            found = self.digits[key] = Digit(axis, inner, size, shift, grows, last)
        return found

    cdef Digit on(self, Digit digit, int64_t axis, int64_t by=0):
        """The digit along another axis, on which it begins `by` earlier."""
        if axis == digit.axis and by == 0:
            return digit
        return self.digit(
            axis, digit.inner, digit.size, digit.grows, digit.last, digit.shift - by
        )

    # ------------------------------------------------ where this differs from the bounds

    def seed(self, shape):
        """Every element sees itself."""
        if not shape:
            return (self.view((new_item(self.waves.listed((), (), [0], [0]), ()),)),)
        own = self.waves.listed((1,), (1,), [0], [0])
        return tuple(
            [
                self.view((new_item(own, (self.digit(axis, 1, size, True),)),))
                for axis, size in enumerate(shape)
            ]
        )

    def everything(self, shape):
        """The view of what sees all of an input of `shape` from everywhere."""
        return (self.view((new_item(self.waves.endless(), ()),)),) * max(len(shape), 1)

    cpdef AxisView both(self, AxisView a, AxisView b):
        """The union of two views."""
        items = [item for item in (*a.items, *b.items) if isinstance(item, Item)]
        if len(items) < len(a.items) + len(b.items):
            return None
        return self.view(tuple(self.merged(items, None)))

    cpdef list merged(self, list items, extent):
        """Items as one where they vary alike and hold at the same places."""
        cdef list kept = []
        cdef Item item, both
        cdef Py_ssize_t k, done
        for done, item in enumerate(items, 1):
            for k in range(len(kept)):
                both = self.union_of(kept[k], item)
                if both is not None:
                    kept[k] = both
                    break
            else:
                kept.append(item)
                if len(kept) > MAX_ITEMS:
                    kept += items[done:]
                    return self.merged([self.loose(item) for item in kept], None)
        if len(kept) <= MAX_PLACES:
            return kept
        # What is global says nothing of a place: it is the first to go.
        apart = [item for item in kept if is_placed(item)]
        for dropped in ([item for item in apart if (<Item> item).is_global], apart):
            if dropped and len(apart) > MAX_PLACES:
                others = [item for item in kept if item not in dropped]
                return self.merged([*others, *[self.loose(item) for item in dropped]], None)
        return kept

    cdef Item loose(self, Item item):
        """The item without regard to where it holds."""
        slot = item.slot if item.slot == NO_WAVE else self.waves.loose(item.slot)
        return new_item(slot, item.pieces, (), item.is_global)

    cdef Item union_of(self, Item a, Item b):
        """One item for two; None where they stay apart."""
        if a.is_global != b.is_global:
            return None
        alike = a.slot == b.slot and a.pieces == b.pieces
        if a.masks != b.masks:
            return self.holding_at_either(a, b) if alike else None
        if alike:
            return a
        if a.slot == NO_WAVE or b.slot == NO_WAVE:
            return new_item(NO_WAVE, (), a.masks, a.is_global)
        if a.pieces != b.pieces:
            return None
        key = a.slot, b.slot, a.pieces
        both = self.made_least.get(key, key)
        if both is key:
            both = self.waves.least(a.slot, b.slot, a.pieces, b.pieces, a.pieces)
            self.made_least[key] = both
        return None if both is None else new_item(both[0], both[1], a.masks, a.is_global)

    # ------------------------------------------------ reads

    cpdef Item item(self, Item item, how):
        """What is seen of an item; None if it is nothing at all."""
        cdef Plan plan = how if isinstance(how, Plan) else None
        cdef Item place
        cdef tuple masks = item.masks
        cdef tuple digits = item.pieces
        cdef int64_t slot = item.slot
        cdef bint is_global = item.is_global
        if masks or (plan is not None and plan.parts):
            # Where something is seen is known without what is seen there.
            place = Lowering.item(self, new_item(self.zeros(1), (), masks), how)
            if place is None:
                return None
            masks = place.masks
        if slot == NO_WAVE:
            return new_item(slot, (), masks, is_global)
        if plan is None:
            slot, digits = self.rearranged(slot, digits, how)
        elif digits:
            slot, digits = self.read_along(item, plan)
            if slot != NO_WAVE and not is_global and any_statistic(item.pieces, plan):
                is_global = self.is_placeless(digits)
        return new_item(slot, digits, masks, is_global)

    cdef bint is_placeless(self, tuple digits):
        """Whether a wave of these digits is the same for all places, however large the input is:
        that of all there is has no digits.
        """
        cdef Digit digit
        for digit in digits:
            if digit.grows:
                return False
        return True

    cdef tuple read_along(self, Item item, Plan plan):
        """The wave that is seen of one along all axes along which that runs."""
        cdef int64_t slot = item.slot, by, out
        cdef tuple digits = item.pieces
        cdef list axes = axes_of(digits)
        cdef Step step
        cdef Digit first
        cdef bint keeps
        if len(axes) > 1:
            axes.sort()
            if follow_twice(axes, plan):
                return UNKNOWN
        # The output's axes are counted from -1 down until all are read.
        for axis in axes:
            step = plan.steps[axis]
            first = first_along(digits, axis)
            if first is None:
                continue
            keeps = step.shift is not None and not first.is_whole(step.size)
            if step.kind == SAME or keeps or step.repeated >= 0:
                by = step.shift if keeps else 0
                out = ~(step.repeated if step.repeated >= 0 else <int64_t> step.outs[0][0])
                digits = tuple(
                    [
                        self.on(digit, out, by) if (<Digit> digit).axis == axis else digit
                        for digit in digits
                    ]
                )
            elif step.kind == FOLD or (isinstance(step.read, Fixed) and step.read.count is None):
                slot, digits = self.over_all(slot, digits, axis, step, item.masks)
            else:
                slot, digits = self.through_window(slot, digits, axis, step)
            if slot == NO_WAVE:
                return UNKNOWN
        digits = tuple(
            [
                self.on(digit, ~(<Digit> digit).axis) if (<Digit> digit).axis < 0 else digit
                for digit in digits
            ]
        )
        return self.in_order(slot, digits)

    cdef tuple in_order(self, int64_t slot, tuple digits):
        """The wave with its digits by axis, the higher ones first."""
        if len(digits) < 2:
            return slot, digits
        order = tuple(sorted(digits, key=_place))
        return (slot, digits) if order == digits else self.waves.shortest(slot, digits, order)

    cdef tuple over_all(self, int64_t slot, tuple digits, int64_t axis, Step step, tuple masks):
        """All of an axis, or of what masks leave of it, joined."""
        cdef Digit digit
        cdef int k
        places = self.where(masks, axis, step.size) if masks else None
        while slot != NO_WAVE:
            k = index_along(digits, axis)
            if k < 0:
                break
            digit = digits[k]
            if step.is_statistic and digit.grows:
                return self.waves.endless((<Wave> self.waves.wave(slot)).is_loose), ()
            values = range(digit.size)
            if places is not None:
                values = np.unique(digit.of(places)).tolist()
            slot, digits = self.waves.joined_over(slot, k, digits[:k] + digits[k + 1 :], values)
        return slot, digits

    cdef tuple through_window(self, int64_t slot, tuple digits, int64_t axis, Step step):
        """What progressions along an axis read."""
        cdef Digit digit
        cdef int k
        slot, digits = self.one_digit(slot, digits, axis, step.size)
        k = index_along(digits, axis)
        if k < 0:
            return slot, digits
        read, digit = step.read, digits[k]
        before, behind = digits[:k], digits[k + 1 :]
        if isinstance(read, Fixed):
            values = range(read.start, read.start + (read.count or 0))
            return self.waves.joined_over(slot, k, (*before, *behind), values)
        along = read if isinstance(read, Along) else read.interior
        if along is None:
            starts, counts = read.starts.reshape(-1), read.counts.reshape(-1)
            if counts.size > LONGEST:
                return UNKNOWN
            made = [self.digit(~out, 1, size, digit.grows) for out, size in step.outs]
            sizes = [size for _, size in step.outs]
            return self.waves.values_of(
                slot,
                k,
                (*before, *made, *behind),
                starts.tolist(),
                counts.tolist(),
                read.step,
                sizes,
            )
        on = (<Wave> self.waves.wave(slot)).advances[k]
        size = dict(step.outs)[along.axis]
        digits = (*before, self.digit(~along.axis, 1, size, digit.grows), *behind)
        slot, digits = self.waves.window(
            slot, k, digits, along.starts, along.counts, along.step, along.advance
        )
        if along is not read and read.open and on and slot != NO_WAVE:
            return self.waves.opened(slot, 0 if read.open * on < 0 else 1, digits)
        return slot, digits

    cdef object where(self, tuple masks, int64_t axis, int64_t size):
        """The coordinates of an axis at which all masks leave something; None: all."""
        cdef Factor mask
        places = None
        for mask in masks:
            if index_along(mask.pieces, axis) >= 0:
                held = self.held_along(mask, axis, size)
                places = held if places is None else places & held
        return None if places is None else np.flatnonzero(places)

    cdef object held_along(self, Factor mask, int64_t axis, int64_t size):
        """Where along an axis a mask leaves something."""
        cdef Piece piece
        key = mask, axis, size
        if key not in self.held:
            array = np.empty((2, self.program.size(mask.slot)), dtype=np.int64)
            self.program.write_out(mask.slot, array)
            held = array[0].reshape([piece.size for piece in mask.pieces]) < NOTHING
            own = [k for k, piece in enumerate(mask.pieces) if piece.axis == axis]
            held = held.any(axis=tuple([k for k in range(held.ndim) if k not in own]))
            places = np.arange(size)
            self.held[key] = held[tuple([(<Piece> mask.pieces[k]).of(places) for k in own])]
        return self.held[key]

    # ------------------------------------------------ digits

    cpdef tuple one_digit(self, int64_t slot, tuple digits, int64_t axis, int64_t extent):
        """The wave with a single digit, the coordinate itself, along an axis.

        Returns
        -------
        slot : int
            The wave.
        digits : tuple of Digit
            What it varies with.
        """
        cdef list places = [
            k for k in range(len(digits)) if (<Digit> digits[k]).axis == axis
        ]
        if not places or (
            len(places) == 1 and (<Digit> digits[places[0]]).is_whole(extent)
        ):
            return slot, digits
        key = slot, digits, axis, extent
        found = self.made_one.get(key)
        if found is None:
            found = self.made_one[key] = self.as_one(slot, digits, axis, extent, places)
        return found

    cdef tuple as_one(
        self, int64_t slot, tuple digits, int64_t axis, int64_t extent, list places
    ):
        cdef Wave wave = self.waves.wave(slot)
        cdef Digit digit, one
        cdef int64_t length, advance = 0
        cdef int k, top = places[0]
        cdef bint grows = False
        for k in places:
            if (<Digit> digits[k]).inner > (<Digit> digits[top]).inner:
                top = k
        digit = digits[top]
        length = digit.inner * digit.size
        if digit.last:
            length, advance = digit.inner * <int64_t> wave.periods[top], wave.advances[top]
        if length > LONGEST:
            return UNKNOWN
        coordinates = np.arange(length, dtype=np.int64)
        values = []
        for k in places:
            one = digits[k]
            grows = grows or one.grows
            values.append(
                (coordinates - one.shift) // one.inner
                if k == top and advance
                else one.of(coordinates)
            )
        others = [digits[k] for k in range(len(digits)) if k not in places]
        made = (self.digit(axis, 1, extent, grows), *others)
        return self.waves.diagonal(slot, places, values, advance, made)

    cdef tuple rearranged(self, int64_t slot, tuple digits, Move move):
        """The digits of a value that is rearranged."""
        slot, digits = self.digits_after(slot, digits, move.source, move.view)
        place = {a: b for b, a in enumerate(move.permutation)}
        digits = tuple([self.on(digit, place[(<Digit> digit).axis]) for digit in digits])
        between = tuple([move.view[a] for a in move.permutation])
        slot, digits = self.digits_after(slot, digits, between, move.extent)
        return UNKNOWN if slot == NO_WAVE else self.in_order(slot, digits)

    cdef tuple digits_after(self, int64_t slot, tuple digits, tuple source, tuple target):
        """The digits of a value of shape `source`, reshaped to `target`."""
        if source == target or not digits:
            return slot, digits
        made = self.cut(slot, digits, source, target)
        if made is None:
            # Digits that can't be cut where the new axes end are written as whole coordinates.
            for axis in axes_of(digits):
                slot, digits = self.one_digit(slot, digits, axis, source[axis])
            made = None if slot == NO_WAVE else self.cut(slot, digits, source, target)
        return made or UNKNOWN

    cdef tuple cut(self, int64_t slot, tuple digits, tuple source, tuple target):
        """The digits cut where the new axes end; None where they can't be."""
        cdef Digit digit
        cdef int64_t flat, left, room, rest, take, inner
        cdef int k, b, place
        cdef list before = strides(source), after = strides(target)
        cdef list made = [], parts
        cdef bint is_top, last
        # Shifted digits stay what they are on an axis that the reshape leaves alone.
        kept = {}
        for axis in axes_of(tuple([d for d in digits if (<Digit> d).shift])):
            own = before[axis], source[axis]
            alike = [b for b in range(len(target)) if (after[b], target[b]) == own]
            if alike:
                kept[axis] = alike[0]
                continue
            slot, digits = self.one_digit(slot, digits, axis, source[axis])
            if slot == NO_WAVE:
                return None
        # From the last digit to the first, so that their places in the wave stay what they are.
        for k in range(len(digits) - 1, -1, -1):
            digit = digits[k]
            if digit.axis in kept:
                made.insert(0, self.on(digit, kept[digit.axis]))
                continue
            flat, left = digit.inner * <int64_t> before[digit.axis], digit.size
            parts = []
            while left > 1:
                place = -1
                for b in range(len(target)):
                    if after[b] <= flat and target[b] > 1:
                        place = b
                        break
                if place < 0 or flat % <int64_t> after[place]:
                    return None
                room = <int64_t> after[place] * <int64_t> target[place]
                room, rest = room // flat, room % flat
                take = min(left, room)
                if rest or take <= 1 or left % take or room % take:
                    return None
                inner = flat // <int64_t> after[place]
                is_top = take == left
                last = inner * take == target[place]
                parts.append(self.digit(place, inner, take, digit.grows and is_top, last))
                if not is_top:
                    slot = self.waves.cut(slot, k, take)
                    if slot == NO_WAVE:
                        return None
                flat, left = flat * take, left // take
            if not parts:
                slot = self.waves.without_digit(slot, k)
            parts.reverse()
            made[:0] = parts
        return self.waves.shortest(slot, tuple(made), tuple(made))


cdef list axes_of(tuple digits):
    """The axes along which digits run."""
    cdef list found = []
    cdef Digit digit
    for digit in digits:
        if digit.axis not in found:
            found.append(digit.axis)
    return found


cdef int index_along(tuple pieces, int64_t axis):
    """Where the first piece along an axis stands; -1 if there is none."""
    cdef Py_ssize_t k
    for k in range(len(pieces)):
        if (<Piece> pieces[k]).axis == axis:
            return k
    return -1


cdef Digit first_along(tuple digits, int64_t axis):
    cdef int k = index_along(digits, axis)
    return None if k < 0 else digits[k]


cdef bint follow_twice(list axes, Plan plan):
    """Whether several of some axes are followed by the same axis of the output."""
    cdef Step step
    cdef list outs = []
    for axis in axes:
        step = plan.steps[axis]
        outs += [out for out, _ in step.outs]
        if step.repeated >= 0:
            outs.append(step.repeated)
    return len(outs) != len(set(outs))


cdef bint any_statistic(tuple digits, Plan plan):
    """Whether a statistic is taken along an axis along which digits run."""
    cdef Digit digit
    for digit in digits:
        if (<Step> plan.steps[digit.axis]).is_statistic:
            return True
    return False


cdef bint is_placed(Item item):
    """Whether a mask confines the item along an axis along which it moves."""
    cdef Factor mask
    cdef Piece piece
    for mask in item.masks:
        for piece in mask.pieces:
            if index_along(item.pieces, piece.axis) >= 0:
                return True
    return False


cdef list strides(tuple shape):
    """How many elements apart neighbours along each axis are."""
    cdef list found = [1] * len(shape)
    cdef int k
    for k in range(len(shape) - 2, -1, -1):
        found[k] = found[k + 1] * shape[k + 1]
    return found


def _place(Digit digit not None):
    return digit.axis, -digit.inner
