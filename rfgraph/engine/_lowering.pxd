"""What other Cython modules build on: the structure of a lowering."""

from libc.stdint cimport int64_t


cdef class Piece:
    cdef readonly int64_t axis
    cdef readonly int64_t inner
    cdef readonly int64_t size
    cdef readonly int64_t shift
    cdef readonly bint grows
    cpdef bint is_whole(self, int64_t extent)
    cdef tuple told(self, int axis)


cdef class Factor:
    cdef readonly int64_t slot
    cdef readonly tuple pieces


cdef class Item(Factor):
    cdef readonly tuple masks
    cdef readonly bint is_global


cdef class Chain:
    cdef readonly int64_t axis
    cdef readonly int64_t size
    cdef readonly tuple parts


cdef class AxisView:
    cdef readonly tuple items
    # The axes of the value along which it varies, one bit each.
    cdef int64_t axes
    # Those along which an item does, in a chain or not, rather than a chain alone.
    cdef int64_t direct

cpdef enum:
    SAME = 0
    FOLD = 1
    WINDOW = 2


cdef class Step:
    cdef readonly int kind
    cdef readonly int64_t size
    cdef readonly tuple outs
    cdef int64_t word
    cdef int64_t place
    cdef int64_t part
    cdef readonly int repeated
    cdef readonly object shift
    cdef bint is_part
    cdef bint joins
    cdef readonly bint is_statistic
    # What is read, and of which shape the output is.
    cdef readonly object read
    cdef tuple extent
    # The output's coordinates, as pieces that grow and that don't.
    cdef tuple growing
    cdef tuple steady


cdef class Plan:
    cdef readonly dict steps
    cdef list changes
    cdef dict outs
    cdef dict sizes
    cdef set shared
    cdef int placed
    cdef int concatenated
    cdef int64_t places
    cdef readonly int64_t parts
    cdef bint is_identity


cdef class Template:
    cdef tuple ops
    cdef tuple pieces
    cdef tuple masks
    cdef bint is_global
    cdef bint is_nothing


cdef class Move:
    cdef readonly tuple source
    cdef readonly tuple view
    cdef readonly tuple permutation
    cdef readonly tuple extent


cdef class Lowering:
    cdef readonly object program
    # Whether axes have ends, beyond which nothing is read.
    cdef bint clips
    cdef dict pieces
    cdef dict factors
    cdef dict views
    cdef dict plans
    cdef dict words
    cdef dict steps
    cdef dict hows
    cdef dict templates
    # What was made of a view of one axis, by how it is read; of plans, by the axes that matter; and
    # of views of all axes, by how they are read, and by the union of several. None of it is kept by
    # what it is made of: nothing goes in circles, and all is freed at once.
    cdef dict read
    cdef dict limited
    cdef dict seen
    cdef dict unions
    # What inputs see of themselves, by their shapes.
    cdef dict seeds
    # How outputs are read, by the list of their reads.
    cdef dict recipes
    # What was worked out of views since, for who asks again.
    cdef readonly dict answers
    # The one that is like this one, on axes without end, once it has been asked for.
    cdef object unclipped
    cdef tuple through(self, tuple view, how)
    cdef tuple joint(self, views, extent)
    cdef Piece piece(self, int64_t axis, int64_t inner, int64_t size, int64_t shift, bint grows)
    cdef Piece whole(self, int64_t axis, int64_t extent, bint grows=*)
    cdef Factor factor(self, int64_t slot, tuple pieces)
    cpdef AxisView view(self, tuple items)
    cdef AxisView single(self, int64_t slot, tuple pieces, tuple masks, bint is_global)
    cpdef Plan plan(self, dict steps)
    cpdef int64_t zeros(self, int64_t size) except -1
    cpdef int64_t word(self, read, int64_t size, tuple sizes) except -1
    cdef int64_t table(self, starts, counts, step, int64_t size) except -1
    cdef object how(self, read, source, extent)
    cdef object made_how(self, read, source, extent)
    cdef Plan broadcast(self, tuple source, tuple extent)
    cdef Step repeating(self, int64_t out, int64_t size)
    cdef Step folding(self, int64_t size, bint is_statistic)
    cpdef Step staying(self, int64_t out, int64_t size)
    cdef Step step(self, read, int64_t size, tuple extent)
    cdef int64_t gaps(self, Step step) noexcept
    cdef object relevant(self, AxisView view, how)
    cdef object inside(self, Chain chain, how)
    cdef AxisView reading(self, AxisView view, how)
    cdef AxisView made(self, AxisView view, how)
    cdef bint varies_inside(self, Chain chain, Plan plan, inside)
    cdef AxisView placed(self, AxisView view, Plan plan, int axis)
    cdef list chain(self, Chain chain, how, inside)
    cpdef AxisView both(self, AxisView a, AxisView b)
    cdef AxisView joined(self, items, extent)
    cpdef list merged(self, list items, extent)
    cdef int64_t least(self, list slots) except -1
    cdef object chained(self, axis, size, list parts)
    cdef list holding_anywhere(self, list items)
    cdef list uncovered(self, list items)
    cdef bint covers(self, Item a, Item b)
    cpdef Item holding_at_either(self, Item a, Item b)
    cdef list written_out(self, list items, extent)
    cdef list flat(self, AxisView view)
    cpdef Item item(self, Item item, how)
    cdef Template template(self, tuple pieces, how, bint is_mask)
    cdef int begun(self, Template made, tuple pieces, Plan plan, list ops, bint is_mask) except -1
    cdef Item planned(self, Item item, Plan plan)
    cdef tuple holding(self, list masks)
    cdef tuple landed(self, tuple pieces, dict outs)
    cdef int64_t applied(self, int64_t slot, ops) except -1
    cdef bint keeps_slot(self, tuple pieces, int64_t axis, Step step)
    cdef tuple along(self, tuple pieces, int64_t axis, Step step, Plan plan, list ops)
    cdef tuple folded(self, tuple pieces, int64_t axis, dict sizes, list ops)
    cdef tuple windowed(self, tuple pieces, int64_t axis, Step step, Plan plan, list ops)
    cdef tuple windowed_jointly(
        self, tuple pieces, int k, Step step, Plan plan, tuple made, list ops
    )
    cdef tuple expanded(self, tuple pieces, axes, dict sizes, list ops)
    cdef int read_by(self, tuple pieces, list wanted, list ops) except -1
    cdef int64_t gather(self, index, int64_t size) except -1
    cdef Factor coupled(self, factors, dict sizes)
    cdef tuple moved(self, tuple pieces, Move move, list ops)
    cdef tuple regrouped(self, tuple pieces, tuple source, tuple target, list ops)
    cdef int64_t placed_at(
        self, tuple pieces, tuple wanted, tuple source, tuple target
    ) except -1


cdef Factor new_factor(int64_t slot, tuple pieces)
cpdef Item new_item(int64_t slot, tuple pieces, tuple masks=*, bint is_global=*)
