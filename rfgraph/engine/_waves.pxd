"""What other Cython modules build on: waves and their digits."""

from libc.stdint cimport int64_t

from rfgraph.engine._lowering cimport Piece


cdef class Digit(Piece):
    cdef readonly bint last
    # What does not depend on the axis.
    cdef readonly tuple bare


cdef class Wave:
    cdef readonly tuple periods
    cdef readonly tuple advances
    cdef readonly bint is_loose
    cdef int64_t count
    # First coordinates of a period in all digits, then last ones negated.
    cdef int64_t* values


cdef class Waves:
    cdef list made
    cdef dict numbers
    cdef Wave wave(self, int64_t number)
    cdef int64_t numbered(self, Wave wave) except -2
    cdef tuple finished(self, Wave wave, tuple digits)
    cpdef int64_t listed(self, periods, advances, firsts, lasts, bint is_loose=*) except -2
    cpdef tuple window(
        self, int64_t number, int k, tuple digits, starts, counts, int64_t step, int64_t advance
    )
    cpdef tuple values_of(
        self, int64_t number, int k, tuple digits, starts, counts, int64_t step, sizes
    )
    cpdef tuple joined_over(self, int64_t number, int k, tuple digits, values)
    cpdef int64_t endless(self, bint is_loose=*) except -2
    cpdef tuple opened(self, int64_t number, int side, tuple digits)
    cpdef int64_t cut(self, int64_t number, int k, int64_t size) except -2
    cpdef int64_t without_digit(self, int64_t number, int k) except -2
    cpdef tuple diagonal(self, int64_t number, places, values, advance, tuple digits)
    cpdef tuple shortest(self, int64_t number, tuple own, tuple digits)
    cpdef int64_t loose(self, int64_t number) except -2
    cpdef tuple least(self, int64_t first, int64_t second, tuple own, tuple other, tuple digits)
