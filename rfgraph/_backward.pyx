"""The walk back through the steps of a flow: from some values to all that they are made of.

What is carried is a set of elements of each value, a *region*. Equal ones are one object
(`canonical`), so that what was asked once, of a region and how it is read, or of two that meet, is
remembered: in networks that repeat, and where sets have grown to all there is, that is nearly
everything.
"""

from rfgraph.reads import Stage


cdef inline size_t address(object thing) noexcept:
    return <size_t> <void*> thing


cdef class Held:
    """A region, what is read by it, by the identity of the read, and what it makes with others."""

    cdef object region
    cdef dict read
    cdef dict joined


cdef class Backward:
    """Regions of all values behind some.

    Parameters
    ----------
    flow : Flow
        The steps.
    wanted : mapping of str to Region
        The regions to begin with, by value.
    pulled_back : callable
        Gives what of a source is read by a region: of (region, read, shape of the source, shape of
        what is read into).
    union : callable
        Gives the union of two regions of one value of a shape: of (region, other, shape).
    canonical : callable
        Gives the one object that stands for all regions equal to one; an empty one is false.

    """

    cdef object flow
    cdef object shape_of
    cdef object pulled_back
    cdef object union
    cdef object canonical
    # By value.
    cdef dict found
    # By the identity of the region.
    cdef dict held

    def __init__(self, flow, wanted, pulled_back, union, canonical):
        self.flow, self.shape_of = flow, flow.shape
        self.pulled_back, self.union, self.canonical = pulled_back, union, canonical
        self.held = {}
        self.found = {name: self.one(region) for name, region in wanted.items() if region}

    def run(self):
        """The regions of all values that are reached, by value."""
        cdef Held held
        try:
            for step in reversed(self.flow.steps):
                self.step(step)
            return {name: (<Held> held).region for name, held in self.found.items()}
        finally:
            # They remember each other, and themselves: without that all is freed at once.
            for held in self.held.values():
                held.read.clear()
                held.joined.clear()

    cdef Held one(self, region):
        cdef Held made
        region = self.canonical(region)
        found = self.held.get(address(region))
        if found is None:
            made = Held.__new__(Held)
            made.region, made.read, made.joined = region, {}, {}
            found = self.held[address(region)] = made
        return found

    cdef int step(self, step) except -1:
        cdef list reads = step.reads
        cdef tuple outputs
        cdef Py_ssize_t k
        cdef bint reached = False
        node = step.node
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
        """Go back from a region of a value, or of a stage, whose shape is then given as `name`."""
        cdef Held made, known
        for read in reads:
            source = read.source
            got = held.read.get(address(read))
            if got is None:
                extent = self.shape_of(name) if isinstance(name, str) else name
                shape = source.shape if isinstance(source, Stage) else self.shape_of(names[source])
                got = self.one(self.pulled_back(held.region, read, shape, extent))
                held.read[address(read)] = got
            made = got
            if not made.region:
                continue
            if isinstance(source, Stage):
                self.follow(names, source.reads, made, source.shape)
                continue
            value = names[source]
            got = self.found.get(value)
            if got is None:
                self.found[value] = made
            elif got is not made:
                known = got
                got = known.joined.get(address(made))
                if got is None:
                    got = self.one(self.union(known.region, made.region, self.shape_of(value)))
                    known.joined[address(made)] = got
                self.found[value] = got
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
