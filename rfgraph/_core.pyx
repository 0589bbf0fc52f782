"""The engine: functions of one coordinate, and the program that makes one of another.

A *function* gives a number, or `NOTHING`, for every coordinate of an axis. It is kept in
*segments*: from `begin` to the next one's begin its value at ``begin + q * period + r`` is
``values[r] + q * advance``. Nearly everything that receptive fields do along an axis is a few
segments, however long the axis is: the middle, and what the borders clip.

The smallest of several is the only way to join: first coordinates are kept as they are, last ones
negated. Equal functions are one (they are numbered, and looked up by what they hold), and what was
asked of them once is remembered: rows and columns of a square picture cost no more than rows.

A *slot* is an interval over one coordinate: two functions. An instruction makes a slot of others,
at once; slots that hold the same are one. So a program stops growing where receptive fields do.
Which axis of which value a slot runs along is the business of `rfgraph.engine._lowering`.
"""

import array as arrays

from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy

cdef extern from *:
    """
    #define RFGRAPH_NOTHING (((int64_t)1) << 60)
    """
    int64_t _NOTHING "RFGRAPH_NOTHING"

# What stands for no coordinate: more than any.
NOTHING = _NOTHING

# Instructions.
cdef enum:
    SEED = 0
    LISTED = 1
    WINDOW = 2
    FOLD = 3
    MIN = 4
    WHERE = 5

# Stands where the keys of instructions have theirs.
cdef int64_t HOLDS = -1

NAMES = ("SEED", "LISTED", "WINDOW", "FOLD", "MIN", "WHERE")

# What a run may fail of.
cdef enum:
    FITS = 0
    NO_MEMORY = -1
    TOO_LARGE = -2
    MISMATCH = -3

# An array that has to be written out has at most so many elements.
cdef int64_t MOST = 1 << 28

# Windows of more coordinates than this take their minimum from a table of doubled windows.
cdef int64_t WIDE = 64

# Periods up to this length are told from lists.
cdef int64_t LONGEST = 1 << 16
# ... and looked for in a list up to this one.
cdef int64_t TRIED = 64


cdef struct Segment:
    int64_t begin
    int64_t advance
    int64_t period
    # Of its values, one a phase.
    int64_t offset


cdef struct Function:
    int64_t size
    # Its segments.
    int64_t first
    int64_t count
    # Outside begin <= o < end there is nothing, inside there is nothing only if it has holes.
    int64_t begin
    int64_t end
    int64_t least
    bint rising
    bint falling
    bint holed
    uint64_t hash


cdef struct Word:
    # Of its starts, one a phase, with the counts behind them.
    int64_t offset
    int64_t period
    int64_t advance
    int64_t step
    int64_t begin
    int64_t end
    int64_t outputs
    int64_t size
    int64_t most


cdef struct Instruction:
    # What made a slot, and its functions: of first coordinates, and of last ones negated.
    int64_t made[2]
    int64_t op
    int64_t a
    int64_t b
    int64_t above
    int64_t below


cdef struct Entry:
    int64_t key[5]
    int64_t value


cdef struct Table:
    Entry* at
    int64_t room
    int64_t length


cdef inline int64_t floor_div(int64_t a, int64_t b) noexcept nogil:
    cdef int64_t q = a // b
    if (a % b != 0) and ((a < 0) != (b < 0)):
        q -= 1
    return q


cdef inline int64_t ceil_div(int64_t a, int64_t b) noexcept nogil:
    return -floor_div(-a, b)


cdef inline int64_t gcd(int64_t a, int64_t b) noexcept nogil:
    if a < 0:
        a = -a
    while b:
        a, b = b, a % b
    return a


cdef inline int64_t smaller(int64_t a, int64_t b) noexcept nogil:
    return a if a < b else b


cdef inline int64_t larger(int64_t a, int64_t b) noexcept nogil:
    return a if a > b else b


cdef inline uint64_t mixed(uint64_t hash, uint64_t value) noexcept nogil:
    hash ^= value + <uint64_t> 0x9E3779B97F4A7C15 + (hash << 6) + (hash >> 2)
    return hash * <uint64_t> 0xFF51AFD7ED558CCD


cdef bint enlarge(void** at, int64_t* room, int64_t wanted, size_t each) noexcept nogil:
    """Make room for `wanted` elements; False if there is none."""
    cdef int64_t more = room[0]
    cdef void* moved
    if wanted <= more:
        return True
    more = larger(wanted, 2 * more + 64)
    moved = realloc(at[0], <size_t> more * each)
    if moved == NULL:
        return False
    at[0] = moved
    room[0] = more
    return True


# ---------------------------------------------------------------- remembered answers


cdef uint64_t key_hash(const int64_t* key) noexcept nogil:
    cdef uint64_t hash = 0
    cdef int k
    for k in range(5):
        hash = mixed(hash, <uint64_t> key[k])
    return hash ^ (hash >> 29)


cdef Entry* looked_up(Table* table, const int64_t* key) noexcept nogil:
    """The entry of `key`, or the free one that it is to have; NULL without memory."""
    cdef int64_t k, room, place
    cdef Entry* old
    cdef Entry* entry
    if 2 * (table.length + 1) > table.room:
        room = 2 * table.room + 256
        old = table.at
        table.at = <Entry*> malloc(<size_t> room * sizeof(Entry))
        if table.at == NULL:
            table.at = old
            return NULL
        for k in range(room):
            table.at[k].value = -1
        for k in range(table.room):
            if old[k].value >= 0:
                place = <int64_t> (key_hash(old[k].key) % <uint64_t> room)
                while table.at[place].value >= 0:
                    place = place + 1 if place + 1 < room else 0
                table.at[place] = old[k]
        free(old)
        table.room = room
    place = <int64_t> (key_hash(key) % <uint64_t> table.room)
    while True:
        entry = &table.at[place]
        if entry.value < 0:
            for k in range(5):
                entry.key[k] = key[k]
            return entry
        for k in range(5):
            if entry.key[k] != key[k]:
                break
        else:
            return entry
        place = place + 1 if place + 1 < table.room else 0


cdef int64_t remembered(Table* table, const int64_t* key, int64_t answer) noexcept nogil:
    """The answer, kept under its key; what failed is not kept."""
    cdef Entry* entry
    if answer < 0:
        return answer
    entry = looked_up(table, key)
    if entry == NULL:
        return NO_MEMORY
    entry.value = answer
    table.length += 1
    return answer


cdef class Program:
    """Instructions, what they made, and all functions."""

    cdef Segment* segments
    cdef int64_t segment_count
    cdef int64_t segment_room
    cdef int64_t* values
    cdef int64_t value_count
    cdef int64_t value_room
    cdef Function* functions
    cdef int64_t function_count
    cdef int64_t function_room
    cdef Word* words
    cdef int64_t word_count
    cdef int64_t word_room
    cdef int64_t* phases
    cdef int64_t phase_count
    cdef int64_t phase_room
    cdef Instruction* code
    cdef int64_t code_count
    cdef int64_t code_room
    # Functions by their hash.
    cdef int64_t* buckets
    cdef int64_t bucket_room
    # Slots by the instructions that make them, and by what they hold.
    cdef Table slots
    # Functions by how they are made of others.
    cdef Table known
    # Where the function begins that is being made.
    cdef int64_t base
    cdef int64_t value_base

    def __dealloc__(self):
        free(self.segments)
        free(self.values)
        free(self.functions)
        free(self.words)
        free(self.phases)
        free(self.code)
        free(self.buckets)
        free(self.slots.at)
        free(self.known.at)

    # ------------------------------------------------ making a function

    cdef void begin(self) noexcept nogil:
        self.base = self.segment_count
        self.value_base = self.value_count

    cdef void drop(self) noexcept nogil:
        self.segment_count = self.base
        self.value_count = self.value_base

    cdef bint add(self, int64_t begin, int64_t period, int64_t advance) noexcept nogil:
        """A segment, whose values are still to be written."""
        cdef Segment* segment
        if not enlarge(
            <void**> &self.segments, &self.segment_room, self.segment_count + 1, sizeof(Segment)
        ):
            return False
        if not enlarge(
            <void**> &self.values, &self.value_room, self.value_count + period, sizeof(int64_t)
        ):
            return False
        segment = &self.segments[self.segment_count]
        segment.begin = begin
        segment.period = period
        segment.advance = advance
        segment.offset = self.value_count
        self.segment_count += 1
        self.value_count += period
        return True

    cdef bint line(
        self, int64_t begin, int64_t end, int64_t value, int64_t advance
    ) noexcept nogil:
        """Append ``value + (o - begin) * advance`` for ``begin <= o < end``: as far to the left
        as can be it belongs to the segment before.
        """
        cdef Segment* last
        cdef int64_t before, length
        if begin >= end:
            return True
        if value >= _NOTHING or end - begin == 1:
            advance = 0
        if self.segment_count > self.base:
            last = &self.segments[self.segment_count - 1]
            if last.period == 1:
                before = self.values[last.offset]
                length = begin - last.begin
                if before >= _NOTHING or value >= _NOTHING:
                    if before == value:
                        return True
                elif length == 1:
                    last.advance = value - before
                    if advance == last.advance or end - begin == 1:
                        return True
                    begin += 1
                    value += advance
                elif before + length * last.advance == value:
                    if advance == last.advance or end - begin == 1:
                        return True
                    begin += 1
                    value += advance
                if end - begin == 1:
                    advance = 0
        if not self.add(begin, 1, advance):
            return False
        self.values[self.value_count - 1] = value
        return True

    cdef bint wave(
        self, int64_t begin, int64_t end, int64_t period, int64_t advance, int64_t* phases
    ) noexcept nogil:
        """Append ``phases[r] + q * advance`` at ``begin + q * period + r``, in as short a period
        as will do.
        """
        cdef int64_t shorter, k, step, length
        cdef Segment* last
        if begin >= end:
            return True
        for shorter in range(1, period // 2 + 1):
            if period % shorter or advance % (period // shorter):
                continue
            step = advance // (period // shorter)
            for k in range(period - shorter):
                if phases[k] >= _NOTHING:
                    if phases[k + shorter] < _NOTHING:
                        break
                elif phases[k + shorter] != phases[k] + step:
                    break
            else:
                period, advance = shorter, step
                break
        if period == 1:
            return self.line(begin, end, phases[0], advance)
        if end - begin < 2 * period:
            for k in range(end - begin):
                step = phases[k % period]
                if step < _NOTHING:
                    step += (k // period) * advance
                if not self.line(begin + k, begin + k + 1, step, 0):
                    return False
            return True
        if self.segment_count > self.base:
            last = &self.segments[self.segment_count - 1]
            length = begin - last.begin
            if last.period == period and last.advance == advance:
                for k in range(period):
                    step = self.values[last.offset + (length + k) % period]
                    if step < _NOTHING:
                        step += ((length + k) // period) * advance
                    if step != phases[k]:
                        break
                else:
                    return True
        if not self.add(begin, period, advance):
            return False
        memcpy(
            self.values + self.value_count - period, phases, <size_t> period * sizeof(int64_t)
        )
        return True

    cdef bint lines(self, const int64_t* array, int64_t begin, int64_t end) noexcept nogil:
        """Append what is listed."""
        cdef int64_t o
        for o in range(begin, end):
            if not self.line(o, o + 1, array[o], 0):
                return False
        return True

    cdef bint spelled(self, int64_t* array, int64_t size) noexcept nogil:
        """Append a list, with the period that it has in its middle if it has one."""
        cdef int64_t period, left, right, step
        cdef bint fine
        if not self.lines(array, 0, size):
            return False
        if not self.crowded(size):
            return True
        self.drop()
        for period in range(2, smaller(TRIED, size // 4) + 1):
            step = _NOTHING
            right = size // 2 - period
            left = right - 1
            while right + period < size and matches(array, right, period, &step):
                right += 1
            while left >= 0 and matches(array, left, period, &step):
                left -= 1
            left += 1
            # Between them every coordinate goes on as the one a period before.
            if step == _NOTHING or right - left < period or 2 * (right + period - left) < size:
                continue
            right += period
            fine = self.lines(array, 0, left)
            fine = fine and self.wave(left, right, period, step, array + left)
            return fine and self.lines(array, right, size)
        if not self.add(0, size, 0):
            return False
        memcpy(self.values + self.value_count - size, array, <size_t> size * sizeof(int64_t))
        return True

    cdef bint crowded(self, int64_t size) noexcept nogil:
        """Whether a list would be shorter than the segments are."""
        cdef int64_t count = self.segment_count - self.base
        return count > 16 and 3 * count > size

    cdef int64_t finish(self, int64_t size) noexcept nogil:
        """The number of the function that was made: that of an equal one if there is one."""
        cdef int64_t* array
        cdef bint fine
        cdef Function made
        if self.crowded(size) and self.segment_count - self.base > 1:
            if size > MOST:
                self.drop()
                return TOO_LARGE
            array = <int64_t*> malloc(<size_t> size * sizeof(int64_t))
            if array == NULL:
                self.drop()
                return NO_MEMORY
            made.first, made.count, made.size = self.base, self.segment_count - self.base, size
            self.write(&made, array)
            self.drop()
            fine = self.spelled(array, size)
            free(array)
            if not fine:
                self.drop()
                return NO_MEMORY
        return self.numbered(size)

    cdef int64_t numbered(self, int64_t size) noexcept nogil:
        cdef Function made
        cdef Segment* segment
        cdef int64_t k, r, place, other, room
        cdef uint64_t hash = mixed(0, <uint64_t> size)
        made.size = size
        made.first, made.count = self.base, self.segment_count - self.base
        for k in range(made.count):
            segment = &self.segments[made.first + k]
            hash = mixed(hash, <uint64_t> segment.begin)
            hash = mixed(hash, <uint64_t> segment.advance)
            hash = mixed(hash, <uint64_t> segment.period)
            for r in range(segment.period):
                hash = mixed(hash, <uint64_t> self.values[segment.offset + r])
        hash ^= hash >> 31
        made.hash = hash
        if 2 * (self.function_count + 1) > self.bucket_room:
            room = 2 * self.bucket_room + 256
            free(self.buckets)
            self.buckets = <int64_t*> malloc(<size_t> room * sizeof(int64_t))
            if self.buckets == NULL:
                self.bucket_room = 0
                self.drop()
                return NO_MEMORY
            self.bucket_room = room
            for k in range(room):
                self.buckets[k] = -1
            for k in range(self.function_count):
                place = <int64_t> (self.functions[k].hash % <uint64_t> room)
                while self.buckets[place] >= 0:
                    place = place + 1 if place + 1 < room else 0
                self.buckets[place] = k
        place = <int64_t> (hash % <uint64_t> self.bucket_room)
        while self.buckets[place] >= 0:
            other = self.buckets[place]
            if self.functions[other].hash == hash and self.alike(&self.functions[other], &made):
                self.drop()
                return other
            place = place + 1 if place + 1 < self.bucket_room else 0
        if not enlarge(
            <void**> &self.functions,
            &self.function_room,
            self.function_count + 1,
            sizeof(Function),
        ):
            self.drop()
            return NO_MEMORY
        self.describe(&made)
        self.functions[self.function_count] = made
        self.buckets[place] = self.function_count
        self.function_count += 1
        return self.function_count - 1

    cdef bint alike(self, const Function* f, const Function* g) noexcept nogil:
        cdef int64_t k, r
        cdef Segment* s
        cdef Segment* t
        if f.size != g.size or f.count != g.count:
            return False
        for k in range(f.count):
            s, t = &self.segments[f.first + k], &self.segments[g.first + k]
            if s.begin != t.begin or s.advance != t.advance or s.period != t.period:
                return False
            for r in range(s.period):
                if self.values[s.offset + r] != self.values[t.offset + r]:
                    return False
        return True

    cdef void describe(self, Function* f) noexcept nogil:
        """Fill in what is asked of a function again and again."""
        cdef int64_t k, r, q, end, value, last, before = _NOTHING
        cdef bint something = False, gap = False, values, nothings
        cdef Segment* s
        f.begin, f.end, f.least = 0, 0, _NOTHING
        f.rising = f.falling = True
        f.holed = False
        for k in range(f.count):
            s = &self.segments[f.first + k]
            end = self.segments[f.first + k + 1].begin if k + 1 < f.count else f.size
            values = nothings = False
            for r in range(smaller(s.period, end - s.begin)):
                value = self.values[s.offset + r]
                if value >= _NOTHING:
                    nothings = True
                    gap = something
                    continue
                values = True
                if gap:
                    f.holed = True
                if not something:
                    f.begin = s.begin + r
                    something = True
                # The last coordinate of this phase.
                q = (end - 1 - s.begin - r) // s.period
                last = value + q * s.advance
                f.end = larger(f.end, s.begin + r + q * s.period + 1)
                f.least = smaller(f.least, smaller(value, last))
                if before < _NOTHING:
                    if value < before:
                        f.rising = False
                    if value > before:
                        f.falling = False
                before = value
            if not values or end - s.begin <= s.period:
                continue
            if nothings:
                f.holed = True
            # From the last phase of a period to the first of the next.
            value = self.values[s.offset] + s.advance
            if value < before:
                f.rising = False
            if value > before:
                f.falling = False
            before = self.value_in(s, end - 1)

    # ------------------------------------------------ asking a function

    cdef int64_t segment_of(self, const Function* f, int64_t o) noexcept nogil:
        cdef int64_t low = f.first, high = f.first + f.count - 1, middle
        while low < high:
            middle = (low + high + 1) // 2
            if self.segments[middle].begin <= o:
                low = middle
            else:
                high = middle - 1
        return low

    cdef inline int64_t value_in(self, const Segment* s, int64_t o) noexcept nogil:
        cdef int64_t q = (o - s.begin) // s.period
        cdef int64_t value = self.values[s.offset + (o - s.begin) - q * s.period]
        return value if value >= _NOTHING else value + q * s.advance

    cdef int64_t value_at(self, const Function* f, int64_t o) noexcept nogil:
        return self.value_in(&self.segments[self.segment_of(f, o)], o)

    cdef void write(self, const Function* f, int64_t* out) noexcept nogil:
        """All values of a function."""
        cdef int64_t k, o, end, r, value, add
        cdef Segment* s
        for k in range(f.count):
            s = &self.segments[f.first + k]
            end = self.segments[f.first + k + 1].begin if k + 1 < f.count else f.size
            r = add = 0
            for o in range(s.begin, end):
                value = self.values[s.offset + r]
                out[o] = value if value >= _NOTHING else value + add
                r += 1
                if r == s.period:
                    r = 0
                    add += s.advance

    # ------------------------------------------------ one function of others

    cdef int64_t constant(self, int64_t size, int64_t value) noexcept nogil:
        self.begin()
        if not self.line(0, size, value, 0):
            self.drop()
            return NO_MEMORY
        return self.finish(size)

    cdef int64_t composed(self, int64_t outer, int64_t inner) noexcept nogil:
        """``outer(inner(o))``; nothing where `inner` is nothing."""
        cdef Function f = self.functions[outer]
        cdef Function g = self.functions[inner]
        cdef int64_t k, end, o
        self.begin()
        for k in range(g.first, g.first + g.count):
            o = self.segments[k].begin
            end = self.segments[k + 1].begin if k + 1 < g.first + g.count else g.size
            if self.segments[k].period == 1:
                if not self.along_line(&f, k, o, end):
                    self.drop()
                    return NO_MEMORY
            elif not self.along_wave(&f, k, o, end):
                self.drop()
                return NO_MEMORY
        return self.finish(g.size)

    cdef bint along_line(
        self, const Function* f, int64_t k, int64_t o, int64_t end
    ) noexcept nogil:
        cdef int64_t advance = self.segments[k].advance
        cdef int64_t x = self.values[self.segments[k].offset], own, limit, many, value, repeat, i
        cdef int64_t* phases
        cdef Segment s
        cdef bint fine
        if x >= _NOTHING:
            return self.line(o, end, _NOTHING, 0)
        while o < end:
            own = self.segment_of(f, x)
            s = self.segments[own]
            value = self.value_in(&s, x)
            if advance == 0:
                return self.line(o, end, value, 0)
            limit = self.segments[own + 1].begin if own + 1 < f.first + f.count else f.size
            many = (limit - 1 - x) // advance if advance > 0 else (x - s.begin) // -advance
            many = smaller(many + 1, end - o)
            repeat = s.period // gcd(advance, s.period)
            if s.period == 1:
                if not self.line(o, o + many, value, s.advance * advance):
                    return False
            elif many < 2 * repeat or repeat > LONGEST:
                for i in range(many):
                    if not self.line(o + i, o + i + 1, self.value_in(&s, x + i * advance), 0):
                        return False
            else:
                phases = <int64_t*> malloc(<size_t> repeat * sizeof(int64_t))
                if phases == NULL:
                    return False
                for i in range(repeat):
                    phases[i] = self.value_in(&s, x + i * advance)
                fine = self.wave(
                    o, o + many, repeat, s.advance * (repeat * advance // s.period), phases
                )
                free(phases)
                if not fine:
                    return False
            o += many
            x += many * advance
        return True

    cdef bint along_wave(
        self, const Function* f, int64_t k, int64_t o, int64_t end
    ) noexcept nogil:
        cdef Segment g = self.segments[k]
        cdef int64_t lowest = _NOTHING, highest = -_NOTHING, r, x, base, own, limit, many, i
        cdef int64_t repeat, period, q = 0
        cdef int64_t* phases
        cdef Segment s
        cdef bint fine
        for r in range(smaller(g.period, end - o)):
            x = self.values[g.offset + r]
            if x < _NOTHING:
                lowest = smaller(lowest, x)
                highest = larger(highest, x)
        if lowest >= _NOTHING:
            return self.line(o, end, _NOTHING, 0)
        while o < end:
            # Whole periods whose coordinates lie in one segment.
            base = q * g.advance
            own = self.segment_of(f, lowest + base)
            s = self.segments[own]
            limit = self.segments[own + 1].begin if own + 1 < f.first + f.count else f.size
            many = (end - o) // g.period
            if highest + base >= limit:
                many = 0
            elif g.advance > 0:
                many = smaller(many, (limit - 1 - highest - base) // g.advance + 1)
            elif g.advance < 0:
                many = smaller(many, (lowest + base - s.begin) // -g.advance + 1)
            repeat = s.period // gcd(g.advance, s.period) if g.advance else 1
            period = g.period * repeat
            if many < 2 * repeat or period > LONGEST:
                # One period, coordinate by coordinate.
                for r in range(smaller(g.period, end - o)):
                    x = self.values[g.offset + r]
                    if x < _NOTHING:
                        x = self.value_at(f, x + base)
                    if not self.line(o + r, o + r + 1, x, 0):
                        return False
                o += g.period
                q += 1
                continue
            phases = <int64_t*> malloc(<size_t> period * sizeof(int64_t))
            if phases == NULL:
                return False
            for i in range(period):
                x = self.values[g.offset + i % g.period]
                if x < _NOTHING:
                    x = self.value_in(&s, x + base + (i // g.period) * g.advance)
                phases[i] = x
            many -= many % repeat
            fine = self.wave(
                o,
                o + many * g.period,
                period,
                s.advance * (repeat * g.advance // s.period),
                phases,
            )
            free(phases)
            if not fine:
                return False
            o += many * g.period
            q += many
        return True

    cdef int64_t joined(self, int64_t first, int64_t second, bint where) noexcept nogil:
        """The smaller of two functions; or the first one `where` the second is something."""
        cdef Function f = self.functions[first]
        cdef Function g = self.functions[second]
        cdef int64_t i = f.first, j = g.first, o = 0, end
        if f.size != g.size:
            return MISMATCH
        if where:
            if not g.holed and g.begin == 0 and g.end == g.size:
                return first
        elif first == second:
            return first
        self.begin()
        while o < f.size:
            end = f.size
            if i + 1 < f.first + f.count:
                end = smaller(end, self.segments[i + 1].begin)
            if j + 1 < g.first + g.count:
                end = smaller(end, self.segments[j + 1].begin)
            if not self.overlap(i, j, o, end, where):
                self.drop()
                return NO_MEMORY
            o = end
            if i + 1 < f.first + f.count and self.segments[i + 1].begin == o:
                i += 1
            if j + 1 < g.first + g.count and self.segments[j + 1].begin == o:
                j += 1
        return self.finish(f.size)

    cdef bint overlap(
        self, int64_t i, int64_t j, int64_t o, int64_t end, bint where
    ) noexcept nogil:
        cdef Segment s = self.segments[i]
        cdef Segment t = self.segments[j]
        cdef int64_t v = self.value_in(&s, o), w = self.value_in(&t, o)
        cdef int64_t period, k, cross, advance
        cdef int64_t* phases
        cdef bint fine
        if s.period == 1 and t.period == 1:
            if where:
                return self.line(o, end, v if w < _NOTHING else _NOTHING, s.advance)
            if v >= _NOTHING or w >= _NOTHING or s.advance == t.advance:
                return self.line(o, end, smaller(v, w), s.advance if v <= w else t.advance)
            # They cross once: from there on the other one is the smaller.
            if v > w or (v == w and s.advance > t.advance):
                s, t = t, s
                v, w = w, v
            if s.advance < t.advance:
                return self.line(o, end, v, s.advance)
            cross = smaller(o + (w - v) // (s.advance - t.advance) + 1, end)
            if not self.line(o, cross, v, s.advance):
                return False
            return self.line(cross, end, w + (cross - o) * t.advance, t.advance)
        period = s.period // gcd(s.period, t.period) * t.period
        advance = s.advance * (period // s.period)
        if (
            end - o < 2 * period
            or period > LONGEST
            or not (where or advance == t.advance * (period // t.period))
        ):
            for k in range(o, end):
                v, w = self.value_in(&s, k), self.value_in(&t, k)
                v = (v if w < _NOTHING else _NOTHING) if where else smaller(v, w)
                if not self.line(k, k + 1, v, 0):
                    return False
            return True
        phases = <int64_t*> malloc(<size_t> period * sizeof(int64_t))
        if phases == NULL:
            return False
        for k in range(period):
            v, w = self.value_in(&s, o + k), self.value_in(&t, o + k)
            phases[k] = (v if w < _NOTHING else _NOTHING) if where else smaller(v, w)
        fine = self.wave(o, end, period, advance, phases)
        free(phases)
        return fine

    # ------------------------------------------------ windows

    cdef int64_t place(self, int64_t number, int64_t low, int64_t high, bint last) noexcept nogil:
        """For every output the first, or the last, coordinate that it reads of
        ``low <= i < high``.
        """
        cdef Word w = self.words[number]
        cdef int64_t* starts = self.phases + w.offset
        cdef int64_t* counts = starts + w.period
        cdef int64_t begin = larger(0, smaller(w.begin, w.outputs))
        cdef int64_t end = larger(begin, smaller(w.end, w.outputs))
        cdef int64_t lowest = _NOTHING, highest = -_NOTHING, r, o, q, left, right
        cdef int64_t* phases
        cdef bint fine
        cdef int64_t key[5]
        cdef Entry* entry
        key[0], key[1], key[2], key[3], key[4] = 100 + last, number, low, high, 0
        entry = looked_up(&self.known, key)
        if entry == NULL:
            return NO_MEMORY
        if entry.value >= 0:
            return entry.value
        # Whole periods, of which the first and the last lie inside: nothing is clipped there.
        for r in range(w.period):
            if counts[r] > 0:
                lowest = smaller(lowest, starts[r])
                highest = larger(highest, starts[r] + (counts[r] - 1) * w.step)
        left, right = ceil_div(begin, w.period), end // w.period
        if lowest >= _NOTHING:
            right = left
        elif w.advance > 0:
            left = larger(left, ceil_div(low - lowest, w.advance))
            right = smaller(right, floor_div(high - 1 - highest, w.advance) + 1)
        elif w.advance < 0:
            left = larger(left, ceil_div(highest - high + 1, -w.advance))
            right = smaller(right, floor_div(lowest - low, -w.advance) + 1)
        elif lowest < low or highest >= high:
            right = left
        left, right = left * w.period, larger(left, right) * w.period
        if right == left or right - left < 2 * w.period:
            left = right = end
        self.begin()
        fine = self.line(0, begin, _NOTHING, 0)
        o = begin
        while fine and o < end:
            if o == left:
                phases = <int64_t*> malloc(<size_t> w.period * sizeof(int64_t))
                if phases == NULL:
                    fine = False
                    break
                q = o // w.period
                for r in range(w.period):
                    phases[r] = starts[r] + q * w.advance
                    if last:
                        phases[r] += (counts[r] - 1) * w.step
                    if counts[r] <= 0:
                        phases[r] = _NOTHING
                fine = self.wave(o, right, w.period, w.advance, phases)
                free(phases)
                o = right
            else:
                fine = self.line(o, o + 1, clipped(&w, starts, o, low, high, last), 0)
                o += 1
        if not fine or not self.line(end, w.outputs, _NOTHING, 0):
            self.drop()
            return NO_MEMORY
        return remembered(&self.known, key, self.finish(w.outputs))

    cdef int64_t window_of(
        self, int64_t number, int64_t function, int64_t above, int64_t below
    ) noexcept nogil:
        """The least of what every output reads."""
        cdef Word w = self.words[number]
        cdef Function f = self.functions[function]
        cdef int64_t inner
        if f.size != above * w.size * below:
            return MISMATCH
        if f.begin >= f.end:
            return self.constant(above * w.outputs * below, _NOTHING)
        if above == 1 and below == 1 and not f.holed and (f.rising or f.falling):
            inner = self.place(number, f.begin, f.end, not f.rising)
            return inner if inner < 0 else self.composed(function, inner)
        return self.window_written(&w, &f, above, below)

    cdef int64_t window_written(
        self, const Word* w, const Function* f, int64_t above, int64_t below
    ) noexcept nogil:
        cdef int64_t size = above * w.outputs * below
        cdef int64_t* array
        cdef int64_t* out
        cdef bint fine
        if f.size > MOST or size > MOST:
            return TOO_LARGE
        array = <int64_t*> malloc(<size_t> larger(f.size, 1) * sizeof(int64_t))
        out = <int64_t*> malloc(<size_t> larger(size, 1) * sizeof(int64_t))
        fine = array != NULL and out != NULL
        if fine:
            self.write(f, array)
            if w.most > WIDE:
                wide_windows(w, self.phases + w.offset, array, out, above, below)
            else:
                windows(w, self.phases + w.offset, array, out, above, below)
            self.begin()
            fine = self.spelled(out, size)
            if not fine:
                self.drop()
        free(array)
        free(out)
        return self.numbered(size) if fine else NO_MEMORY

    cdef int64_t fold_of(
        self, int64_t function, int64_t above, int64_t size, int64_t below
    ) noexcept nogil:
        """The least along the middle one of three axes."""
        cdef Function f = self.functions[function]
        cdef int64_t a, b, k, least
        cdef int64_t* array
        cdef bint fine
        if f.size != above * size * below:
            return MISMATCH
        if above == 1 and below == 1:
            return self.constant(1, f.least)
        if f.size > MOST:
            return TOO_LARGE
        array = <int64_t*> malloc(<size_t> larger(f.size, 1) * sizeof(int64_t))
        if array == NULL:
            return NO_MEMORY
        self.write(&f, array)
        for a in range(above):
            for b in range(below):
                least = _NOTHING
                for k in range(size):
                    least = smaller(least, array[(a * size + k) * below + b])
                # What is overwritten has been read.
                array[a * below + b] = least
        self.begin()
        fine = self.spelled(array, above * below)
        free(array)
        if not fine:
            self.drop()
            return NO_MEMORY
        return self.numbered(above * below)

    # ------------------------------------------------ running

    cdef int64_t answer(self, const Instruction* i, int which) noexcept nogil:
        """The function, for first or last coordinates, that an instruction makes."""
        cdef int64_t key[5]
        cdef Entry* entry
        cdef int64_t a, b, made
        if i.op == SEED:
            self.begin()
            made = self.line(0, i.a, 0, 1 - 2 * which)
            if not made:
                self.drop()
                return NO_MEMORY
            return self.finish(i.a)
        if i.op == LISTED:
            return i.b if which else i.a
        a = self.code[i.a].made[which]
        b = self.code[i.b].made[which] if i.op == MIN or i.op == WHERE else i.b
        key[0], key[1], key[2], key[3], key[4] = i.op, a, b, i.above, i.below
        entry = looked_up(&self.known, key)
        if entry == NULL:
            return NO_MEMORY
        if entry.value >= 0:
            return entry.value
        if i.op == WINDOW:
            made = self.window_of(b, a, i.above, i.below)
        elif i.op == FOLD:
            made = self.fold_of(a, i.above, b, i.below)
        else:
            made = self.joined(a, b, i.op == WHERE)
        return remembered(&self.known, key, made)

    cdef int64_t emit(
        self, int64_t op, int64_t a, int64_t b, int64_t above, int64_t below
    ) except -1:
        """The slot that an instruction makes."""
        cdef int64_t key[5]
        cdef int64_t pair[5]
        cdef int64_t made = 0
        cdef int which
        cdef Entry* entry
        cdef Instruction i
        key[0], key[1], key[2], key[3], key[4] = op, a, b, above, below
        entry = looked_up(&self.slots, key)
        if entry == NULL:
            raise MemoryError
        if entry.value >= 0:
            return entry.value
        i.op, i.a, i.b, i.above, i.below = op, a, b, above, below
        # No other thread may come in between: programs are shared.
        for which in range(2):
            made = self.answer(&i, which)
            if made < 0:
                break
            i.made[which] = made
        if made == MISMATCH:
            raise ValueError(f"{NAMES[op]} {a} {b} {above} {below}: lengths don't fit")
        if made == TOO_LARGE:
            raise MemoryError(f"{MOST:,} elements at once are too many to tell apart")
        if made < 0:
            raise MemoryError
        pair[0], pair[1], pair[2], pair[3], pair[4] = HOLDS, i.made[0], i.made[1], 0, 0
        entry = looked_up(&self.slots, pair)
        if entry == NULL or not enlarge(
            <void**> &self.code, &self.code_room, self.code_count + 1, sizeof(Instruction)
        ):
            raise MemoryError
        made = entry.value
        if made < 0:
            made = entry.value = self.code_count
            self.slots.length += 1
            self.code[made] = i
            self.code_count += 1
        entry = looked_up(&self.slots, key)
        if entry == NULL:
            raise MemoryError
        entry.value = made
        self.slots.length += 1
        return made

    cdef int64_t checked(self, int64_t slot) except -1:
        if not 0 <= slot < self.code_count:
            raise IndexError(slot)
        return slot

    def __len__(self):
        return self.code_count

    @property
    def elements(self):
        """How many segments and values the functions consist of."""
        return self.segment_count + self.value_count

    def seed(self, int64_t size):
        """The slot of an axis that sees itself."""
        return self.emit(SEED, size, 0, 1, 1)

    def listed(self, int64_t[::1] first not None, int64_t[::1] last not None):
        """The slot of what is listed: first coordinates, and last ones negated."""
        cdef int64_t made[2]
        cdef int which
        cdef bint fine
        if first.shape[0] != last.shape[0]:
            raise ValueError("two lists of one length are wanted")
        for which in range(2):
            self.begin()
            fine = True
            if first.shape[0]:
                fine = self.spelled(&first[0] if which == 0 else &last[0], first.shape[0])
            if not fine:
                self.drop()
                raise MemoryError
            made[which] = self.numbered(first.shape[0])
            if made[which] < 0:
                raise MemoryError
        return self.emit(LISTED, made[0], made[1], 1, 1)

    def word(
        self,
        const int64_t[::1] starts not None,
        const int64_t[::1] counts not None,
        int64_t advance,
        int64_t step,
        int64_t begin,
        int64_t end,
        int64_t outputs,
        int64_t size,
    ):
        """The number of a progression along one axis, see `rfgraph.reads.words`."""
        cdef Py_ssize_t k
        cdef Word* w
        cdef int64_t period = starts.shape[0]
        cdef int64_t far = 0, most = 0
        if period != counts.shape[0] or step < 1 or outputs < 0 or size < 0:
            raise ValueError("no progression")
        if not period:
            if outputs:
                raise ValueError("a progression without phases")
            # Whatever goes through the phases finds one, that of nothing.
            starts = counts = arrays.array("q", [0])
            period = 1
        for k in range(period):
            # Neither term is larger than 2^60 then.
            if not (
                -_NOTHING < starts[k] < _NOTHING
                and -_NOTHING // step <= counts[k] <= _NOTHING // step
            ):
                raise OverflowError("a progression leaves the range of whole numbers")
            far = larger(far, abs(starts[k]) + abs(counts[k]) * step)
            most = larger(most, counts[k])
        if <object> far + abs(<object> advance) * (outputs // period + 1) >= _NOTHING:
            raise OverflowError("a progression leaves the range of whole numbers")
        if not enlarge(
            <void**> &self.words, &self.word_room, self.word_count + 1, sizeof(Word)
        ) or not enlarge(
            <void**> &self.phases,
            &self.phase_room,
            self.phase_count + 2 * period,
            sizeof(int64_t),
        ):
            raise MemoryError
        w = &self.words[self.word_count]
        w.offset, w.period, w.advance, w.step = self.phase_count, period, advance, step
        w.begin, w.end, w.outputs, w.size, w.most = begin, end, outputs, size, most
        for k in range(period):
            self.phases[self.phase_count + k] = starts[k]
            self.phases[self.phase_count + period + k] = counts[k]
        self.phase_count += 2 * period
        self.word_count += 1
        return self.word_count - 1

    def window(self, int64_t slot, int64_t word, int64_t above=1, int64_t below=1):
        """Read along the middle one of three axes, of which the others stay."""
        if not 0 <= word < self.word_count:
            raise IndexError(word)
        return self.emit(WINDOW, self.checked(slot), word, above, below)

    def fold(self, int64_t slot, int64_t above, int64_t size, int64_t below):
        """Join all along the middle one of three axes."""
        return self.emit(FOLD, self.checked(slot), size, above, below)

    def least(self, int64_t slot, int64_t other):
        """The union of two."""
        if slot == other:
            return slot
        if slot > other:
            slot, other = other, slot
        return self.emit(MIN, self.checked(slot), self.checked(other), 1, 1)

    def where(self, int64_t slot, int64_t mask):
        """The slot where the mask is something, else nothing."""
        return self.emit(WHERE, self.checked(slot), self.checked(mask), 1, 1)

    # ------------------------------------------------ answers

    cdef Function* of(self, int64_t slot, int which) except NULL:
        return &self.functions[self.code[self.checked(slot)].made[which]]

    def size(self, int64_t slot):
        """Length of the coordinate of a slot."""
        return self.of(slot, 0).size

    def somewhere(self, int64_t slot):
        """Whether anything is seen from anywhere."""
        return self.of(slot, 0).begin < self.of(slot, 0).end

    def everywhere(self, int64_t slot):
        """Whether something is seen from everywhere."""
        cdef Function* f = self.of(slot, 0)
        return not f.holed and f.begin == 0 and f.end == f.size

    def write_out(self, int64_t slot, int64_t[:, ::1] out not None):
        """Write first coordinates, and last ones negated, of a slot into an array (2, size)."""
        cdef Function* f = self.of(slot, 0)
        if out.shape[0] != 2 or out.shape[1] != f.size:
            raise ValueError("an array of another shape is wanted")
        if f.size:
            self.write(f, &out[0, 0])
            self.write(self.of(slot, 1), &out[1, 0])

    def at(self, int64_t slot, int64_t coordinate):
        """First coordinate, and the last one negated, that is seen from one place."""
        if not 0 <= coordinate < self.of(slot, 0).size:
            raise IndexError(coordinate)
        return (
            self.value_at(self.of(slot, 0), coordinate),
            self.value_at(self.of(slot, 1), coordinate),
        )

    def segments_of(self, int64_t slot, int which):
        """The segments of one of a slot's functions: begin, advance, values."""
        cdef Function* f = self.of(slot, which)
        cdef Segment* s
        cdef int64_t k, r
        found = []
        for k in range(f.first, f.first + f.count):
            s = &self.segments[k]
            values = [self.values[s.offset + r] for r in range(s.period)]
            found.append((s.begin, s.advance, values))
        return found

    def instruction(self, int64_t slot):
        """Name and operands of the instruction that makes a slot."""
        cdef Instruction* i = &self.code[self.checked(slot)]
        return NAMES[i.op], i.a, i.b, i.above, i.below

    def progression(self, int64_t number):
        """The numbers of a word, as `word` takes them."""
        cdef Word* w
        cdef int64_t k
        if not 0 <= number < self.word_count:
            raise IndexError(number)
        w = &self.words[number]
        starts = [self.phases[w.offset + k] for k in range(w.period)]
        counts = [self.phases[w.offset + w.period + k] for k in range(w.period)]
        return starts, counts, w.advance, w.step, w.begin, w.end, w.outputs, w.size


# ---------------------------------------------------------------- written out


cdef bint matches(
    const int64_t* array, int64_t o, int64_t period, int64_t* step
) noexcept nogil:
    """Whether a list goes on at ``o + period`` as at `o`, `step` further; that is learnt first."""
    cdef int64_t here = array[o], there = array[o + period]
    if here >= _NOTHING or there >= _NOTHING:
        return here == there
    if step[0] == _NOTHING:
        step[0] = there - here
    return there - here == step[0]


cdef int64_t clipped(
    const Word* w, const int64_t* starts, int64_t o, int64_t low, int64_t high, bint last
) noexcept nogil:
    """The first, or the last, coordinate that one output reads of ``low <= i < high``."""
    cdef int64_t q = o // w.period, r = o - q * w.period
    cdef int64_t start = starts[r] + q * w.advance, count = starts[w.period + r]
    cdef int64_t first = 0, end = smaller(count - 1, floor_div(high - 1 - start, w.step))
    if start < low:
        first = ceil_div(low - start, w.step)
    if first > end:
        return _NOTHING
    return start + (end if last else first) * w.step


cdef void windows(
    const Word* w,
    const int64_t* starts,
    const int64_t* array,
    int64_t* out,
    int64_t above,
    int64_t below,
) noexcept nogil:
    cdef int64_t o, a, b, i, first, last, least, place
    for o in range(w.outputs):
        first = last = _NOTHING
        if w.begin <= o < w.end:
            first = clipped(w, starts, o, 0, w.size, False)
            last = clipped(w, starts, o, 0, w.size, True)
        for a in range(above):
            for b in range(below):
                least = _NOTHING
                if first < _NOTHING:
                    i = first
                    while i <= last:
                        place = (a * w.size + i) * below + b
                        least = smaller(least, array[place])
                        i += w.step
                out[(a * w.outputs + o) * below + b] = least


cdef void wide_windows(
    const Word* w,
    const int64_t* starts,
    int64_t* level,
    int64_t* out,
    int64_t above,
    int64_t below,
) noexcept nogil:
    """`windows` by minima over windows of doubled length, two of which cover any window."""
    cdef int64_t o, a, b, i, first, last, many, length = 1, reach
    for i in range(above * w.outputs * below):
        out[i] = _NOTHING
    while True:
        for o in range(w.outputs):
            if not w.begin <= o < w.end:
                continue
            first = clipped(w, starts, o, 0, w.size, False)
            if first >= _NOTHING:
                continue
            last = clipped(w, starts, o, 0, w.size, True)
            many = (last - first) // w.step + 1
            if not length <= many < 2 * length:
                continue
            last = first + (many - length) * w.step
            for a in range(above):
                for b in range(below):
                    out[(a * w.outputs + o) * below + b] = smaller(
                        level[(a * w.size + first) * below + b],
                        level[(a * w.size + last) * below + b],
                    )
        if 2 * length > w.most:
            return
        reach = length * w.step
        for a in range(above):
            for i in range(w.size - reach):
                for b in range(below):
                    level[(a * w.size + i) * below + b] = smaller(
                        level[(a * w.size + i) * below + b],
                        level[(a * w.size + i + reach) * below + b],
                    )
        length *= 2


def progression_min(
    const int64_t[:, :, ::1] source not None,
    const int64_t[::1] starts not None,
    const int64_t[::1] counts not None,
    int64_t advance,
    int64_t step,
    int64_t begin,
    int64_t end,
    int64_t nothing,
    int64_t[:, :, ::1] out not None,
):
    """Write ``out[a, o, b] = min(source[a, i, b])`` over the coordinates `i` that `o` reads.

    Output ``o = q * P + r`` reads ``counts[r]`` coordinates from ``starts[r] + q * advance`` on,
    `step` (positive) apart, those inside the axis; outputs before `begin` and from `end` on, and
    those that read nothing, get `nothing`.
    """
    cdef Py_ssize_t outer = source.shape[0]
    cdef Py_ssize_t size = source.shape[1]
    cdef Py_ssize_t inner = source.shape[2]
    cdef Py_ssize_t outputs = out.shape[1]
    cdef Py_ssize_t phases = starts.shape[0]
    cdef Py_ssize_t a, b, o, i, r, first, last, _k
    cdef int64_t start, base, least, value
    with nogil:
        r = 0
        base = 0
        for o in range(outputs):
            start = starts[r] + base
            last = floor_div(size - 1 - start, step)
            if last > counts[r] - 1:
                last = counts[r] - 1
            first = 0
            if start < 0:
                first = -floor_div(start, step)
            if o < begin or o >= end:
                last = -1
            for a in range(outer):
                for b in range(inner):
                    least = nothing
                    i = start + first * step
                    for _k in range(first, last + 1):
                        value = source[a, i, b]
                        if value < least:
                            least = value
                        i += step
                    out[a, o, b] = least
            r += 1
            if r == phases:
                r = 0
                base += advance
