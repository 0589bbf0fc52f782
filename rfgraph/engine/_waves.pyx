"""Intervals on axes without end: what repeats, and moves on with every period.

A *wave* gives a first and a last coordinate for all whole numbers, or for all combinations of
several, its *digits*: along digit k it repeats after ``periods[k]``,
``advances[k]`` further on. First coordinates are kept as they are and last ones negated, so that
the smallest of several is the only way to join them.

Equal waves are one: they are numbered, and looked up by what they hold.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy

from fractions import Fraction
from math import gcd, inf, lcm, nan

from rfgraph.engine._lowering cimport Piece

cdef extern from *:
    """
    #define RFGRAPH_NOTHING (((int64_t)1) << 60)
    """
    int64_t _NOTHING "RFGRAPH_NOTHING"

# Stands for no coordinate, and, negated, for one beyond every other.
NOTHING = _NOTHING
ENDLESS = -NOTHING

# The number of what has no closed form.
IRREGULAR = -1

# A pattern with a longer period gets no closed form: it would be a long table.
MAX_PERIOD = 1 << 16

# Numbers from here on are not told apart.
cdef int64_t FAR = (<int64_t> 1) << 58


cdef class Digit(Piece):
    """A piece of which is known whether it is the uppermost one of its axis.

    The uppermost digit of an endless axis goes on without end, others begin again.
    """

    def __init__(
        self,
        int64_t axis,
        int64_t inner,
        int64_t size,
        int64_t shift=0,
        bint grows=False,
        bint last=True,
    ):
        self.axis, self.inner, self.size, self.shift, self.grows = axis, inner, size, shift, grows
        self.last = last
        self.bare = inner, size, shift, grows

    cdef tuple told(self, int axis):
        """All that it is, along an axis of another number."""
        return axis, self.inner, self.size, self.shift, self.grows, self.last


cdef class Wave:
    """One wave; see the module.

    Attributes
    ----------
    periods, advances : tuple of int
        By digit.
    is_loose : bool
        Whether it holds at some places only, too many to tell which.
    """

    def __dealloc__(self):
        free(self.values)

    @property
    def is_open(self):
        """Whether it reaches beyond every size, on one side or on both."""
        cdef int64_t k
        for k in range(2 * self.count):
            if self.values[k] <= -_NOTHING:
                return True
        return False

    @property
    def is_endless(self):
        """Whether all of the axis is seen from somewhere, however long it is."""
        cdef int64_t k
        for k in range(self.count):
            if self.values[k] <= -_NOTHING and self.values[self.count + k] <= -_NOTHING:
                return True
        return False


cdef int64_t product(tuple sizes, int begin, int end):
    """The product of the sizes from `begin` on, before `end`."""
    cdef int64_t found = 1
    cdef int k
    for k in range(begin, end):
        found *= <int64_t> sizes[k]
    return found


cdef tuple instead(tuple values, int k, value):
    """The values with another one at k."""
    if len(values) == 1:
        return (value,)
    return (*values[:k], value, *values[k + 1 :])


cdef Wave new_wave(tuple periods, tuple advances, bint is_loose):
    cdef Wave made = Wave.__new__(Wave)
    made.periods, made.advances, made.is_loose = periods, advances, is_loose
    made.count = product(periods, 0, len(periods))
    made.values = <int64_t*> malloc(<size_t> (2 * made.count) * sizeof(int64_t))
    if made.values == NULL:
        raise MemoryError
    return made


cdef inline bint is_usual(int64_t value) noexcept nogil:
    return -_NOTHING < value < _NOTHING


cdef inline int64_t further(int64_t value, int64_t times, int64_t by, bint* fits) noexcept nogil:
    """``value + times * by`` of a coordinate; too far a one doesn't fit."""
    cdef double far
    if times == 0 or by == 0 or not is_usual(value):
        return value
    far = <double> times * <double> by
    if not -FAR < far < FAR:
        fits[0] = False
        return value
    value += times * by
    if not -FAR < value < FAR:
        fits[0] = False
    return value


cdef inline int64_t floored(int64_t a, int64_t b) noexcept nogil:
    cdef int64_t q = a // b
    if a % b != 0 and (a < 0) != (b < 0):
        q -= 1
    return q


cdef Wave replaced(Wave w, int k, starts, counts, int64_t step, int64_t advance):
    """The wave whose digit k has the value o where ``counts[o]`` of the old ones are joined, from
    ``starts[o]`` on, `step` apart; None if numbers grow too large.
    """
    cdef int64_t length = len(starts), period = w.periods[k], on = w.advances[k]
    cdef int64_t above = product(w.periods, 0, k)
    cdef int64_t below = product(w.periods, k + 1, len(w.periods))
    cdef int64_t side, a, b, o, t, r, q, least, value, start, count
    cdef int64_t repeat = period // gcd(step, period)
    cdef bint fits = True
    cdef Wave made = new_wave(
        instead(w.periods, k, length), instead(w.advances, k, advance), w.is_loose
    )
    for o in range(length):
        start, count = starts[o], counts[o]
        for side in range(2):
            for a in range(above):
                for b in range(below):
                    least = _NOTHING
                    t = 0
                    while t < count:
                        q = floored(start + t * step, period)
                        r = start + t * step - q * period
                        value = w.values[((side * above + a) * period + r) * below + b]
                        value = further(value, q, -on if side else on, &fits)
                        if value < least:
                            least = value
                        t += 1
                        # What moves on evenly is least in its first period, or in its last.
                        if t == repeat and count > 2 * repeat:
                            t = count - repeat
                    made.values[((side * above + a) * length + o) * below + b] = least
    return made if fits else None


cdef int64_t shorter_period(Wave w, int k, bint is_listed, int64_t* advance):
    """The shortest period of digit k, and what it moves on by."""
    cdef int64_t period = w.periods[k], above = product(w.periods, 0, k)
    cdef int64_t below = product(w.periods, k + 1, len(w.periods))
    cdef int64_t shorter, step, side, a, b, i, here, there
    cdef bint any_usual, fine
    advance[0] = w.advances[k]
    for shorter in range(1, period):
        if period % shorter:
            continue
        step = 0
        any_usual = False
        fine = True
        for side in range(2):
            for a in range(above):
                for i in range(period - shorter):
                    for b in range(below):
                        here = w.values[((side * above + a) * period + i) * below + b]
                        there = w.values[((side * above + a) * period + i + shorter) * below + b]
                        if not is_usual(here) or not is_usual(there):
                            fine = here == there
                        else:
                            there = here - there if side else there - here
                            if not any_usual:
                                any_usual = True
                                step = there
                            fine = step == there
                        if not fine:
                            break
                    if not fine:
                        break
                if not fine:
                    break
            if not fine:
                break
        if fine and (is_listed or not any_usual or step * (period // shorter) == advance[0]):
            advance[0] = step
            return shorter
    return period


cdef class Waves:
    """All waves, by number."""

    def __init__(self):
        self.made, self.numbers = [], {}

    cdef inline Wave wave(self, int64_t number):
        return self.made[number]

    def __getitem__(self, int64_t number):
        if not 0 <= number < len(self.made):
            raise IndexError(number)
        return self.made[number]

    cdef int64_t numbered(self, Wave wave) except -2:
        key = (
            wave.periods,
            wave.advances,
            wave.is_loose,
            (<char*> wave.values)[: 2 * wave.count * <int64_t> sizeof(int64_t)],
        )
        found = self.numbers.get(key)
        if found is None:
            found = self.numbers[key] = len(self.made)
            self.made.append(wave)
        return found

    cdef tuple finished(self, Wave wave, tuple digits):
        """The number of a wave in the shortest periods, and the digits that change anything, by
        axis, the higher ones first.
        """
        cdef int64_t shorter, period, size, advance = 0
        cdef int k, rank
        cdef bint moved, is_listed
        cdef Digit digit
        cdef list order
        if wave is None:
            return IRREGULAR, ()
        rank = len(wave.periods)
        for k in range(rank):
            period = wave.periods[k]
            if period > 1:
                size = (<Digit?> digits[k]).size
                # Of a list of all values that there are the rest does not matter.
                is_listed = period >= size and not wave.advances[k]
                if is_listed and period > size > 0:
                    wave = replaced(wave, k, range(size), [1] * size, 1, 0)
                    period = size
                shorter = shorter_period(wave, k, is_listed, &advance)
                if shorter < period:
                    wave = replaced(wave, k, range(shorter), [1] * shorter, 1, advance)
        moved = any_usual(wave)
        order = [
            k for k in range(rank) if wave.periods[k] != 1 or (moved and wave.advances[k] != 0)
        ]
        if len(order) > 1:
            keys = []
            for k in order:
                digit = digits[k]
                keys.append((digit.axis, -digit.inner, k))
            keys.sort()
            order = [k for _, _, k in keys]
        if len(order) == rank and (rank < 2 or order == list(range(rank))):
            return self.numbered(wave), digits
        wave = transposed(wave, order)
        return self.numbered(wave), tuple([digits[k] for k in order])

    # ------------------------------------------------ waves of nothing

    cpdef int64_t listed(
        self, periods, advances, firsts, lasts, bint is_loose=False
    ) except -2:
        """The wave of these first and last coordinates; last ones are negated already."""
        cdef Wave made = new_wave(tuple(periods), tuple(advances), is_loose)
        cdef int64_t k
        if len(firsts) != made.count or len(lasts) != made.count:
            raise ValueError("as many coordinates are wanted as there are values in a period")
        for k in range(made.count):
            made.values[k] = firsts[k]
            made.values[made.count + k] = lasts[k]
        return self.numbered(made)

    # ------------------------------------------------ one wave of another

    cpdef tuple window(
        self, int64_t number, int k, tuple digits, starts, counts, int64_t step, int64_t advance
    ):
        """Digit k, read by progressions that move on by `advance` after their last phase."""
        cdef Wave w = self.made[number]
        cdef int64_t period = w.periods[k], phases = len(starts), repeat = 1
        if advance and period > 1:
            repeat = period // <int64_t> gcd(advance, period)
        if phases * repeat > MAX_PERIOD:
            return IRREGULAR, ()
        if repeat > 1:
            starts = [start + q * advance for q in range(repeat) for start in starts]
            counts = list(counts) * repeat
        on = w.advances[k] * (advance * repeat // period)
        if not -FAR < on < FAR:
            return IRREGULAR, ()
        return self.finished(replaced(w, k, starts, counts, step, on), digits)

    cpdef tuple values_of(
        self, int64_t number, int k, tuple digits, starts, counts, int64_t step, sizes
    ):
        """Digit k, read at listed values, which are those of new digits of these sizes."""
        cdef Wave made = replaced(self.made[number], k, starts, counts, step, 0)
        if made is None:
            return IRREGULAR, ()
        made.periods = (*made.periods[:k], *sizes, *made.periods[k + 1 :])
        made.advances = (*made.advances[:k], *[0] * len(sizes), *made.advances[k + 1 :])
        return self.finished(made, digits)

    cpdef tuple joined_over(self, int64_t number, int k, tuple digits, values):
        """Digit k, joined over all of these values; `digits` are the others."""
        cdef Wave w = self.made[number]
        if isinstance(values, range) and values.step == 1:
            w = replaced(w, k, [values.start], [len(values)], 1, 0)
        else:
            w = replaced(w, k, values, [1] * len(values), 1, 0)
            w = w and replaced(w, k, [0], [len(values)], 1, 0)
        return (IRREGULAR, ()) if w is None else self.finished(without(w, k), digits)

    cpdef int64_t endless(self, bint is_loose=False) except -2:
        """All of an axis, however long it is."""
        return self.listed((), (), [ENDLESS], [ENDLESS], is_loose)

    cpdef tuple opened(self, int64_t number, int side, tuple digits):
        """All before its last coordinates (side 0), or behind its first ones (side 1)."""
        cdef Wave w = self.made[number]
        cdef Wave made = new_wave(w.periods, w.advances, w.is_loose)
        cdef int64_t k
        memcpy(made.values, w.values, <size_t> (2 * w.count) * sizeof(int64_t))
        for k in range(side * w.count, (side + 1) * w.count):
            made.values[k] = -_NOTHING
        return self.finished(made, digits)

    cpdef int64_t cut(self, int64_t number, int k, int64_t size) except -2:
        """Digit k as two, of which the lower one, behind the upper, takes `size` values."""
        cdef Wave w = self.made[number]
        period = w.periods[k]
        whole = lcm(period, size)
        if whole > MAX_PERIOD:
            return IRREGULAR
        advance = w.advances[k] * (whole // period)
        cdef Wave made = replaced(w, k, range(whole), [1] * whole, 1, advance)
        if made is None:
            return IRREGULAR
        made.periods = (*w.periods[:k], whole // size, size, *w.periods[k + 1 :])
        made.advances = (*w.advances[:k], advance, 0, *w.advances[k + 1 :])
        return self.numbered(made)

    cpdef int64_t without_digit(self, int64_t number, int k) except -2:
        """Digit k at 0."""
        cdef Wave w = self.made[number]
        return self.numbered(without(replaced(w, k, [0], [1], 1, 0), k))

    cpdef tuple diagonal(self, int64_t number, places, values, advance, tuple digits):
        """Digits `places` as one, the first: each o of it stands for ``values[p][o]`` of digit
        ``places[p]``; the period's length moves on by `advance`. Values are arrays of int64.
        """
        cdef Wave w = self.made[number]
        cdef Wave made
        cdef int64_t length = len(values[0]), period, stride, by, o, j, q, others
        cdef int side
        cdef bint fits = True
        cdef const int64_t[::1] own
        cdef int64_t* index
        cdef int64_t* on
        cdef int64_t* offsets
        cdef list kept = [k for k in range(len(w.periods)) if k not in places]
        made = new_wave(
            (length, *[w.periods[k] for k in kept]),
            (advance, *[w.advances[k] for k in kept]),
            w.is_loose,
        )
        others = made.count // length
        index = <int64_t*> calloc(<size_t> (2 * length + others), sizeof(int64_t))
        if index == NULL:
            raise MemoryError
        on, offsets = index + length, index + 2 * length
        try:
            place_all(w, kept, offsets)
            for k, own in zip(places, values):
                period, by = w.periods[k], w.advances[k]
                stride = product(w.periods, k + 1, len(w.periods))
                for o in range(length):
                    q = floored(own[o], period)
                    index[o] += (own[o] - q * period) * stride
                    on[o] = further(on[o], q, by, &fits)
            for side in range(2):
                for o in range(length):
                    for j in range(others):
                        made.values[(side * length + o) * others + j] = further(
                            w.values[side * w.count + index[o] + offsets[j]],
                            -on[o] if side else on[o],
                            1,
                            &fits,
                        )
        finally:
            free(index)
        return self.finished(made, digits) if fits else (IRREGULAR, ())

    cpdef tuple shortest(self, int64_t number, tuple own, tuple digits):
        """The wave of digits `own` in the shortest periods, over `digits` in their order."""
        return self.finished(spread(self.made[number], own, digits), digits)

    cpdef int64_t loose(self, int64_t number) except -2:
        """The same wave, of which is not known where it holds."""
        cdef Wave w = self.made[number]
        cdef Wave made = new_wave(w.periods, w.advances, True)
        memcpy(made.values, w.values, <size_t> (2 * w.count) * sizeof(int64_t))
        return self.numbered(made)

    # ------------------------------------------------ the union of two

    cpdef tuple least(
        self, int64_t first, int64_t second, tuple own, tuple other, tuple digits
    ):
        """The union of two waves over `digits`, of which they have `own` and `other`.

        None if they move on at different paces along a digit that grows, or if their common period
        is too long. Digits that don't grow are written out.
        """
        cdef Wave p = spread(self.made[first], own, digits)
        cdef Wave q = spread(self.made[second], other, digits)
        cdef Wave made
        cdef int64_t k
        for k in range(len(digits)):
            m, n = p.periods[k], q.periods[k]
            common = m if m == n else lcm(m, n)
            step = p.advances[k] * (common // m)
            if p.advances[k] * n != q.advances[k] * m:
                if digits[k].grows:
                    return None
                common, step = digits[k].size, 0
            if common * max(p.count // m, q.count // n) > MAX_PERIOD:
                return None
            if m != common or p.advances[k] != step:
                p = replaced(p, k, range(common), [1] * common, 1, step)
            if n != common or (q is not None and q.advances[k] != step):
                q = replaced(q, k, range(common), [1] * common, 1, step)
            if p is None or q is None:
                return None
        made = new_wave(p.periods, p.advances, p.is_loose or q.is_loose)
        for k in range(2 * made.count):
            made.values[k] = p.values[k] if p.values[k] < q.values[k] else q.values[k]
        return self.finished(made, digits)

    # ------------------------------------------------ answers

    def is_list(self, int64_t number, tuple digits):
        """Whether a wave lists the coordinates of an axis that grows, and does not advance."""
        cdef Wave w = self.made[number]
        cdef Digit digit
        cdef int k
        for k in range(len(digits)):
            digit = digits[k]
            if digit.grows and digit.last and not w.advances[k] and w.periods[k] != 1:
                return True
        return False

    def slope(self, int64_t number, tuple digits):
        """Input elements per step of the finest digit that grows and moves a wave; 0 if none does.
        """
        cdef Wave w = self.made[number]
        cdef int k = finest(w, digits)
        return Fraction(0) if k < 0 else Fraction(w.advances[k], w.periods[k])

    def figures(self, int64_t number, tuple digits, first):
        """The figures of a wave, for one period of units.

        Parameters
        ----------
        number : int
            The wave.
        digits : tuple of Digit
            What it varies with.
        first : mapping of int to int
            From which coordinates on, by axis; else from the first.

        Returns
        -------
        tuple or None
            Size, stride, start, centre, the smallest size, reach back and ahead, and phases, as
            `rfgraph.AxisField` has them; None if nothing is seen.
        """
        cdef Wave w = self.made[number]
        cdef Digit digit
        cdef int64_t count, k, lo, hi, wide = 0, narrow = _NOTHING, seen = 0
        cdef bint before = False, behind = False
        cdef int moving = finest(w, digits)
        cdef list values = [], owns = [0], together = [0], firsts, lasts
        for digit in digits:
            if not digit.size:
                # There are no units.
                return None
        # The first of a unit's own elements, in parts of an element.
        parts = 1
        for k in range(len(digits)):
            if (<Digit> digits[k]).grows:
                parts = lcm(parts, w.periods[k])
        for k in range(len(digits)):
            digit, period, pace = digits[k], w.periods[k], 0
            if digit.grows:
                begin = digit.of(first.get(digit.axis, max(digit.shift, 0)))
                own = range(begin, begin + period)
                pace = w.advances[k] * parts // period
                together = [at * period + j for at in together for j in range(period)]
            else:
                own = extremes(digit.size, period)
                together = [at for at in together for _ in own]
            values.append(own)
            if pace:
                owns = [at + pace * value for at in owns for value in own]
            else:
                owns = [at for at in owns for _ in own]
        firsts, lasts = self.at(number, values)
        count = len(firsts)
        middles, back, ahead = 0, nan, nan
        on = 0 if moving < 0 else w.advances[moving] * parts // w.periods[moving]
        starts, ends = {}, {}
        for k in range(count):
            lo, hi, unit = firsts[k], lasts[k], together[k]
            if unit not in starts or lo < starts[unit]:
                starts[unit] = lo
            if unit not in ends or hi < ends[unit]:
                ends[unit] = hi
            if lo >= _NOTHING:
                continue
            hi = -hi
            own = owns[k]
            seen += 1
            before = before or lo <= -_NOTHING
            behind = behind or hi >= _NOTHING
            if -_NOTHING < lo and hi < _NOTHING:
                wide = max(wide, hi - lo + 1)
                narrow = min(narrow, hi - lo + 1)
            # In parts of half an element.
            middles += (<object> lo + <object> hi) * parts - 2 * own
            if on > 0:
                reach = own // parts - lo
                back = reach if seen == 1 else max(back, reach)
                reach = -(own + on) // parts + hi + 1
                ahead = reach if seen == 1 else max(ahead, reach)
        if not seen:
            return None
        phases = tuple(
            [
                (known(lo), -known(hi)) if lo < _NOTHING else (0, -1)
                for lo, hi in zip(starts.values(), ends.values())
            ]
        )
        if on > 0:
            back, ahead = inf if before else back, inf if behind else ahead
        return (
            inf if before or behind else wide,
            0 if moving < 0 else ratio(w.advances[moving], w.periods[moving]),
            next(begin for begin, end in phases if begin <= end),
            nan if before or behind else ratio(middles, 2 * parts * seen),
            0 if seen < count else inf if narrow == _NOTHING else narrow,
            back,
            ahead,
            phases,
        )

    def at(self, int64_t number, values):
        """First coordinates, and last ones negated, where the digits take these values.

        Parameters
        ----------
        number : int
            The wave.
        values : sequence of sequence of int
            By digit.

        Returns
        -------
        firsts, lasts : list of int
            In the order of the product of the values.
        """
        cdef Wave w = self.made[number]
        cdef int k
        for k in range(len(w.periods)):
            w = replaced(w, k, values[k], [1] * len(values[k]), 1, 0)
            if w is None:
                raise OverflowError("coordinates leave the range of whole numbers")
        return (
            [w.values[j] for j in range(w.count)],
            [w.values[w.count + j] for j in range(w.count)],
        )


cdef int finest(Wave w, tuple digits):
    """The finest digit that grows and moves a wave; -1 if none does."""
    cdef Digit digit
    cdef int64_t least = 0
    cdef int k, found = -1
    for k in range(len(digits)):
        digit = digits[k]
        if digit.grows and w.advances[k] and (found < 0 or digit.inner < least):
            found, least = k, digit.inner
    return found


def extremes(int64_t size, int64_t period):
    """Of `size` values of a digit those that may see most or least: the first and last periods."""
    if size <= 2 * period:
        return range(size)
    return [*range(period), *range(size - period, size)]


cdef object known(int64_t end):
    return -inf if end <= -_NOTHING else end


def ratio(numerator, denominator):
    """A fraction, or a whole number where it is one.

    >>> ratio(6, 2), ratio(1, 2)
    (3, Fraction(1, 2))
    """
    if numerator % denominator:
        return Fraction(numerator, denominator)
    return numerator // denominator


cdef bint any_usual(Wave w):
    cdef int64_t k
    for k in range(2 * w.count):
        if is_usual(w.values[k]):
            return True
    return False


cdef Wave without(Wave w, int k):
    """The wave without a digit that has one value."""
    w.periods = w.periods[:k] + w.periods[k + 1 :]
    w.advances = w.advances[:k] + w.advances[k + 1 :]
    return w


cdef Wave transposed(Wave w, list order):
    """The wave with its digits in another order; those that are left out have one value."""
    cdef Wave made = new_wave(
        tuple([w.periods[k] for k in order]), tuple([w.advances[k] for k in order]), w.is_loose
    )
    cdef int64_t j
    cdef int64_t* offsets = <int64_t*> malloc(<size_t> made.count * sizeof(int64_t))
    if offsets == NULL:
        raise MemoryError
    place_all(w, order, offsets)
    for j in range(made.count):
        made.values[j] = w.values[offsets[j]]
        made.values[made.count + j] = w.values[w.count + offsets[j]]
    free(offsets)
    return made


cdef int place_all(Wave w, list order, int64_t* offsets) except -1:
    """Where the values of a period in some digits stand, in their order; of others the first."""
    cdef int64_t count = 1, period, stride, base, a, i
    cdef int k
    offsets[0] = 0
    for k in order:
        period, stride = w.periods[k], product(w.periods, k + 1, len(w.periods))
        # From the last on, so that none is overwritten before it is read.
        for a in range(count - 1, -1, -1):
            base = offsets[a]
            for i in range(period - 1, -1, -1):
                offsets[a * period + i] = base + i * stride
        count *= period
    return 0


cdef Wave spread(Wave w, tuple own, tuple digits):
    """The wave over further digits, with which it does not vary."""
    cdef list order
    cdef Wave made
    if own == digits:
        return w
    order = [own.index(digit) for digit in digits if digit in own]
    made = transposed(w, order)
    periods, advances = iter(made.periods), iter(made.advances)
    made.periods = tuple([next(periods) if digit in own else 1 for digit in digits])
    made.advances = tuple([next(advances) if digit in own else 0 for digit in digits])
    return made
