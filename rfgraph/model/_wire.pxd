"""What other Cython modules build on: nodes."""

cimport cython


@cython.final
cdef class Node:
    cdef readonly str name
    cdef readonly object kind
    cdef readonly tuple inputs
    cdef readonly tuple outputs
    cdef readonly object captures
    cdef readonly object opsets
    cdef readonly object body
    cdef readonly bint named
