"""The hot loop of the bounds: a minimum over arithmetic progressions along one axis.

It takes typed views and plain numbers and trusts them; `rfgraph.bounds` prepares and checks.
"""

from libc.stdint cimport int64_t


cdef inline int64_t floor_div(int64_t a, int64_t b) noexcept nogil:
    cdef int64_t q = a // b
    if (a % b != 0) and ((a < 0) != (b < 0)):
        q -= 1
    return q


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
