"""The walk back through the steps of a flow: from some values to all that they are made of.

What is carried is a set of elements of each value, a *region*. Equal ones are one object
(`canonical`), so that what was asked once, of a region and how it is read, or of two that meet, is
remembered: in networks that repeat, and where sets have grown to all there is, that is nearly
everything. It is remembered beyond a walk, for the next unit and the next model.
"""

from cpython.dict cimport PyDict_GetItemWithError
from cpython.object cimport PyObject
from libc.stdint cimport int64_t

from rfgraph.model._known cimport Step
from rfgraph.model._wire cimport Node

from rfgraph.reads.words import Stage


cdef inline size_t address(object thing) noexcept:
    return <size_t> <void*> thing


cdef class Held:
    """A region, what is read by it, by the identity of the reads, and what it makes with others."""

    cdef object region
    cdef dict read
    cdef dict joined


cdef class Memory:
    """What was worked out of regions: it serves whatever is asked later.

    Parameters
    ----------
    pulled_back : callable
        Gives what of a source is read by a region: of (region, read, shape of the source, shape of
        what is read into).
    union : callable
        Gives the union of two regions of one value of a shape: of (region, other, shape).
    canonical : callable
        Gives the one object that stands for all regions equal to one; an empty one is false.

    """

    cdef object pulled_back
    cdef object union
    cdef object canonical
    # By the identity of the region.
    cdef dict held
    # Numbers of what nodes make, and the reads, so that their identity is not given away twice.
    cdef dict derived
    cdef Py_ssize_t numbers
    # How much is remembered.
    cdef Py_ssize_t size

    def __init__(self, pulled_back, union, canonical):
        self.pulled_back, self.union, self.canonical = pulled_back, union, canonical
        self.held, self.derived = {}, {}
        self.numbers = self.size = 0

    def __len__(self):
        return self.size

    def derivations(self, flow):
        """Numbers for the values of a flow, of this model and of others: what has the same number
        is made of the same inputs by the same reads.

        Parameters
        ----------
        flow : Flow
            The steps.

        Returns
        -------
        dict of str to int
            By value; of what is made by a loop there is none.
        """
        cdef dict numbers = {}
        cdef list key
        cdef Step step
        cdef Node node
        cdef tuple names
        cdef set without = set()
        cdef Py_ssize_t k
        cdef PyObject* found
        for k, (name, shape) in enumerate(flow.inputs.items()):
            numbers[name] = self.derivation((k, shape), None, 1)
        for step in flow.steps:
            node, reads = step.node, step.reads
            names = node.inputs if not node.captures else (*node.inputs, *node.captures)
            if step.cycle is not None or (without and not without.isdisjoint(names)):
                without.update(node.outputs)
                continue
            key = [address(one) for one in reads]
            # Nodes of other numbers of outputs are told apart.
            key.append(None)
            for name in names:
                found = PyDict_GetItemWithError(numbers, name)
                key.append(None if found is NULL else <object> found)
            first = self.derivation(tuple(key), reads, len(reads))
            outputs = node.outputs
            for k in range(min(len(outputs), len(reads))):
                numbers[outputs[k]] = first + k
        return numbers

    cdef object derivation(self, tuple key, reads, Py_ssize_t many):
        """The first of the numbers for what a node makes."""
        cdef PyObject* found = PyDict_GetItemWithError(self.derived, key)
        if found is not NULL:
            return (<tuple> found)[0]
        first = self.numbers
        self.derived[key] = first, reads
        self.numbers += many
        self.size += 1
        return first

    cdef Held one(self, region):
        cdef Held made
        found = self.held.get(address(region))
        if found is not None:
            # Nothing else can be where a region is that is held.
            return found
        region = self.canonical(region)
        found = self.held.get(address(region))
        if found is None:
            made = Held.__new__(Held)
            made.region, made.read, made.joined = region, {}, {}
            # Another thread may have been faster.
            found = self.held.setdefault(address(region), made)
            self.size += 1
        return found

    cdef Held both(self, Held one, Held other, shape):
        """The union of two regions of a value."""
        if one is other:
            return one
        found = one.joined.get(address(other))
        if found is None:
            found = self.one(self.union(one.region, other.region, shape))
            one.joined[address(other)] = found
            self.size += 1
        return found


cdef class Backward:
    """Regions of all values behind some.

    Parameters
    ----------
    flow : Flow
        The steps.
    wanted : mapping of str to Region
        The regions to begin with, by value.
    memory : Memory
        What was worked out before.

    """

    cdef object flow
    cdef object shape_of
    cdef Memory memory
    # By value.
    cdef dict found

    def __init__(self, flow, wanted, Memory memory not None):
        self.flow, self.shape_of = flow, flow.shape
        self.memory = memory
        self.found = {name: memory.one(region) for name, region in wanted.items() if region}

    def run(self):
        """The regions of all values that are reached, by value."""
        for step in reversed(self.flow.steps):
            self.step(step)
        return {name: (<Held> held).region for name, held in self.found.items()}

    cdef int step(self, Step step) except -1:
        cdef list reads = step.reads
        cdef tuple outputs
        cdef Py_ssize_t k
        cdef bint reached = False
        cdef Node node = step.node
        outputs = node.outputs
        for k in range(min(len(outputs), len(reads))):
            held = self.found.get(outputs[k])
            if held is not None:
                reached = True
                names = node.inputs if not node.captures else (*node.inputs, *node.captures)
                self.follow(names, reads[k], held, outputs[k])
        if step.cycle is not None:
            # What is asked may lie within the loop.
            if reached or not self.found.keys().isdisjoint(step.cycle.values):
                self.settle(step.cycle)
        return 0

    cdef int follow(self, names, list reads, Held held, name) except -1:
        """Go back from a region of a value."""
        cdef tuple known = held.read.get(address(reads))
        if known is None:
            sources = []
            self.pull(names, reads, held, self.shape_of(name), sources)
            # With the reads, so that their identity is not given away twice.
            known = held.read[address(reads)] = (sources, reads)
            self.memory.size += 1
        for source, made in <list> known[0]:
            value = names[source]
            got = self.found.get(value)
            if got is None:
                self.found[value] = made
            elif got is not made:
                self.found[value] = self.memory.both(got, made, self.shape_of(value))
        return 0

    cdef int pull(self, names, list reads, Held held, extent, list sources) except -1:
        """What is read by a region of a value, or of a stage, of shape `extent`: by what source."""
        cdef Held made
        for read in reads:
            source = read.source
            shape = source.shape if isinstance(source, Stage) else self.shape_of(names[source])
            made = self.memory.one(self.memory.pulled_back(held.region, read, shape, extent))
            if not made.region:
                continue
            if isinstance(source, Stage):
                self.pull(names, source.reads, made, source.shape, sources)
            else:
                sources.append((source, made))
        return 0

    cdef int settle(self, cycle) except -1:
        """Go round until no region of what is carried grows.

        It ends: regions only grow, and are sets of finitely many elements.
        """
        cdef bint grown = True
        carried = {name for names, inner, _ in cycle.carried for name in (inner, *names)}
        while grown:
            before = {name: self.found.get(name) for name in carried}
            for step in reversed(cycle.steps):
                self.step(step)
            for names, inner, reads in cycle.carried:
                held = self.found.get(inner)
                if held is not None:
                    self.follow(names, reads, held, inner)
            grown = any([self.found.get(name) is not before[name] for name in before])
        return 0


def marked(
    const unsigned char[::1] outputs,
    int64_t many,
    tuple starts,
    tuple counts,
    int64_t advance,
    int64_t step,
    int64_t begin,
    int64_t end,
    int64_t size,
):
    """The coordinates of an axis that some output coordinates read.

    Parameters
    ----------
    outputs : bytes or None
        A byte for each of the `many` output coordinates, 0 for those that don't count; None: all.
    many : int
        How many there are.
    starts, counts, advance, step : tuple of int, int
        What they read: see `rfgraph.reads.words.Along`.
    begin, end : int
        Outputs outside of these read nothing.
    size : int
        The length of the axis.

    Returns
    -------
    (bytearray, int)
        A byte for each coordinate, 1 if it is read; and how many are.
    """
    cdef bytearray made = bytearray(size)
    cdef unsigned char[::1] out = made
    cdef int64_t period = len(starts), r, k, q, low, high, start, count, at, to, reach, found = 0
    cdef bint whole = outputs is None
    begin, end = max(begin, 0), min(end, many)
    for r in range(period):
        if r >= end:
            break
        start, count = starts[r], counts[r]
        low, high = max(begin - r + period - 1, 0) // period, (end - 1 - r) // period
        reach = 0
        # In the order in which what they read begins, so that no run is filled twice.
        for k in range(high - low + 1):
            q = high - k if advance < 0 else low + k
            if not (whole or outputs[r + q * period]):
                continue
            at = start + q * advance
            to = min(at + (count - 1) * step + 1, size)
            if step == 1:
                at = max(at, reach)
                reach = max(reach, to)
            elif at < 0:
                at += (step - 1 - at) // step * step
            while at < to:
                found += not out[at]
                out[at] = 1
                at += step
    return made, found
