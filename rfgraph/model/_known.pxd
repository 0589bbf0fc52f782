"""What other Cython modules build on: steps."""

cimport cython

from rfgraph.model._wire cimport Node


# Nothing that it refers to refers to it, so there is no garbage to be looked for.
@cython.no_gc
@cython.final
cdef class Step:
    cdef readonly Node node
    cdef readonly list reads
    cdef readonly object cycle
    cdef readonly object answer
