# cython: wraparound=True, nonecheck=True, boundscheck=True
"""The closed forms of all values, read off the waves (`rfgraph.engine._unclipped`).

What equal waves say is worked out once, and so is what views say that differ only in which axes of
the value they run along. Values that see the same share their answers (`Look`), so what is asked of
every value of a model is asked here.
"""

cimport cython
from cpython.dict cimport PyDict_GetItemWithError
from cpython.object cimport PyObject
from libc.stdint cimport int64_t

from bisect import bisect_left
from dataclasses import replace
from fractions import Fraction
from math import inf, lcm, nan, prod

import numpy as np

from rfgraph._core import NOTHING
from rfgraph.engine._lowering import Likeness, Walk, leaves, written
from rfgraph.engine._lowering cimport AxisView, Factor, Item, Piece
from rfgraph.engine._unclipped import Unclipped
from rfgraph.engine._waves import ENDLESS, IRREGULAR, extremes, ratio
from rfgraph.engine._waves cimport Digit, Wave, Waves
from rfgraph.engine.closed_form import AxisField, Meeting, Pace, centre
from rfgraph.reads.words import Along, PerAxis, Stage, is_same, is_shift

# The most runs of units, along all axes together, that are told apart.
cdef int64_t MAX_CELLS = 1 << 14

# The most units that are looked at one by one.
cdef int64_t MOST_UNITS = 1 << 22

cdef int64_t NO_WAVE = IRREGULAR


cdef class Mask:
    """Where something holds, of the units of a value.

    Attributes
    ----------
    array : ndarray of bool
        Of the value's rank, of length 1 along axes on which it doesn't vary.
    axes : tuple of int
        Those on which it does.
    """

    cdef object array
    cdef tuple axes
    cdef dict places
    cdef dict changes

    def __init__(self, array):
        self.array = array
        self.axes = tuple([axis for axis, size in enumerate(array.shape) if size > 1])
        self.places, self.changes = {}, {}

    cdef object where(self, axis):
        """The coordinates of an axis on which it varies at which it holds anywhere."""
        if axis not in self.places:
            others = tuple([a for a in self.axes if a != axis])
            held = self.array.any(axis=others) if others else self.array
            self.places[axis] = held.reshape(-1).nonzero()[0]
        return self.places[axis]

    cdef list edges(self, axis):
        """Coordinates of such an axis at which it changes."""
        if axis not in self.changes:
            along = self.array.swapaxes(axis, 0).reshape(self.array.shape[axis], -1)
            changed = (along[1:] != along[:-1]).any(axis=1)
            self.changes[axis] = (changed.nonzero()[0] + 1).tolist()
        return self.changes[axis]


cdef class Term:
    """A part of a view: a wave, and the units of which it holds.

    Attributes
    ----------
    slot : int
        The wave's number.
    digits : tuple of Digit
        What it varies with.
    is_global : bool
        Whether a statistic has left it no place along the axis of the input.
    is_loose : bool
        Whether it holds at some places only, too many to tell which.
    masks : list of Mask
        It holds where all of these do.
    confined : list of (int, int, int)
        Axes of the value, and the coordinates, first and past the last, to which it is confined.
    axes : set of int
        The axes of the value along which it does not hold everywhere.
    """

    cdef int64_t slot
    cdef tuple digits
    cdef bint is_global
    cdef bint is_loose
    cdef list masks
    cdef list confined
    cdef set axes

    cdef object where(self, axis):
        """The coordinates of an axis of the value at which it holds anywhere; None: all."""
        cdef Mask mask
        places = None
        for a, begin, end in self.confined:
            if a == axis:
                places = np.arange(begin, end)
        for mask in self.masks:
            if axis in mask.axes:
                held = mask.where(axis)
                places = held if places is None else np.intersect1d(places, held)
        return places

    cdef set edges(self, axis):
        """Coordinates of an axis of the value at which what holds may change."""
        cdef Mask mask
        cdef set found = set()
        for a, begin, end in self.confined:
            if a == axis:
                found.add(begin)
                found.add(end)
        for mask in self.masks:
            if axis in mask.axes:
                found.update(mask.edges(axis))
        return found

    cdef dict first(self):
        """The first place at which it holds, along axes along which it does not everywhere."""
        cdef dict found = {}
        for axis in sorted(self.axes):
            places = self.where(axis)
            if places is not None and len(places):
                found[axis] = int(places[0])
        return found


@cython.final
cdef class Look:
    """What values of one shape see of an input, all of them the same.

    Attributes
    ----------
    answers : dict
        What was answered of one of them, which holds for all.
    is_seen : bool or None
        Whether any element of theirs sees anything; None: it was not asked.
    """

    cdef readonly dict answers
    cdef readonly object is_seen

    def __cinit__(self):
        self.answers = {}


cdef class ClosedForm:
    """Closed forms of all values.

    Parameters
    ----------
    flow : Flow
        The steps of a model.
    walk : Walk
        What carried bounds through them: how values are read is known from there.

    Attributes
    ----------
    likeness : Likeness
        Tells which views are alike.
    """

    cdef object flow
    cdef dict inputs
    cdef object lowering
    cdef Waves waves
    cdef object walk
    cdef readonly object likeness
    # What was made, by what it was made of.
    cdef dict terms
    cdef dict masks
    cdef dict fields
    cdef dict equal
    cdef dict known
    cdef dict inner
    cdef dict found_paces
    cdef dict pace_of
    # What values see on axes with ends and without, by value; their looks, by input and value.
    cdef dict ended
    cdef dict endless
    cdef dict looks
    # Element types and shapes of values.
    cdef dict shapes
    # Looks of other models too.
    cdef dict kept

    def __init__(self, flow, walk):
        self.flow, self.inputs = flow, flow.inputs
        self.lowering = walk.lowering.without_ends(Unclipped)
        self.waves = self.lowering.waves
        self.walk = Walk(flow, self.lowering)
        self.walk.run()
        self.likeness = Likeness()
        self.ended, self.endless = walk.views, self.walk.views
        self.shapes = flow.shapes.known
        self.looks = {name: {} for name in flow.inputs}
        self.kept = walk.lowering.answers
        self.terms, self.masks, self.fields, self.equal = {}, {}, {}, {}
        self.known, self.inner, self.found_paces, self.pace_of = {}, {}, {}, {}

    def view(self, tensor, input):
        """What a value sees of an input; None if that is nothing."""
        return of_input(self.endless, tensor, input)

    # ------------------------------------------------ values that are alike

    cpdef Look look(self, tensor, input):
        """What a value sees of an input, for what is to be answered once for all that see it."""
        cdef dict looks = self.looks[input]
        cdef PyObject* found = PyDict_GetItemWithError(looks, tensor)
        cdef Look made
        if found is not NULL:
            return <Look> <object> found
        found = PyDict_GetItemWithError(self.shapes, tensor)
        key = (
            of_input(self.endless, tensor, input),
            of_input(self.ended, tensor, input),
            self.inputs[input],
            None if found is NULL else (<tuple> found)[1],
        )
        found = PyDict_GetItemWithError(self.kept, key)
        if found is not NULL:
            made = <Look?> <object> found
        else:
            made = self.kept[key] = Look()
        looks[tensor] = made
        return made

    def numbered(self, list tensors not None, input, sees):
        """The values that see an input, numbered by what they see.

        Parameters
        ----------
        tensors : list of str
            The values, in topological order.
        input : str
            The input.
        sees : callable
            Whether any element of a value sees anything of an input.
        """
        cdef dict made = {}, numbers = {}
        cdef Look look
        cdef PyObject* found
        for tensor in tensors:
            found = PyDict_GetItemWithError(self.ended, tensor)
            if found is NULL or input not in <dict> found:
                continue
            look = self.look(tensor, input)
            if look.is_seen is None:
                look.is_seen = sees(tensor, input)
            if look.is_seen:
                found = PyDict_GetItemWithError(numbers, look)
                if found is NULL:
                    made[tensor] = numbers[look] = len(numbers)
                else:
                    made[tensor] = <object> found
        return made

    def each_once(self, dict numbers not None, input, what, make):
        """What a function gives of one value for each number, unless it was called for the same
        `what`; see `look`.

        Parameters
        ----------
        numbers : dict of str to int
            The values that see an input, as `numbered` has them.
        input : str
            The input.
        what : hashable
            What it gives.
        make : callable
            The function, of a value.

        Returns
        -------
        list
            By number.
        """
        cdef list made = []
        cdef dict answers
        cdef PyObject* found
        for tensor, number in numbers.items():
            # Numbers are given away in order.
            if number < len(made):
                continue
            answers = (<Look> self.look(tensor, input)).answers
            found = PyDict_GetItemWithError(answers, what)
            if found is NULL:
                answers[what] = answer = make(tensor)
            else:
                answer = <object> found
            made.append(answer)
        return made

    def changes(self, dict numbers not None, dict producer not None):
        """The values that see something else than all that they are made of.

        Parameters
        ----------
        numbers : dict of str to int
            The values that see an input, in topological order, numbered by what they see.
        producer : dict of str to Node
            The nodes that make values.

        Returns
        -------
        list of (str, list of str)
            Each, and what of it its node takes that sees the input.
        """
        cdef list made = [], sources
        for tensor, number in numbers.items():
            node = producer.get(tensor)
            if node is None:
                continue
            sources = []
            for source in node.inputs:
                other = numbers.get(source)
                if other == number:
                    break
                if other is not None:
                    sources.append(source)
            else:
                if sources:
                    made.append((tensor, sources))
        return made

    def shortest(
        self,
        dict numbers not None,
        dict producer not None,
        list closed not None,
        own_of,
        size_of,
    ):
        """The sizes of fields by the shortest path.

        Parameters
        ----------
        numbers : dict of str to int
            The values that see an input, in topological order, numbered by what they see.
        producer : dict of str to Node
            The nodes that make values.
        closed : list of (tuple, tuple)
            By number, of such a value: the sizes of its field by axis where it has a closed form,
            and inf elsewhere; the same where that is of all units, and -inf elsewhere, None where
            the bounds have to tell.
        own_of, size_of : callable
            The latter of a value, and the sizes of its field.

        Returns
        -------
        dict of str to tuple
            By value: one size an axis.
        """
        cdef dict made = {}
        cdef tuple before, size, own, of
        cdef Py_ssize_t k, count
        for tensor, number in numbers.items():
            node = producer.get(tensor)
            count, before, of, nearest = 0, None, None, None
            if node is not None:
                for source in (*node.inputs, *node.captures) if node.captures else node.inputs:
                    size = made.get(source)
                    if size is None:
                        continue
                    if count == 0:
                        nearest = numbers[source]
                        before, of = size, closed[nearest][0]
                    else:
                        before = each(min, before, size)
                        of = each(max, of, closed[numbers[source]][0])
                    count += 1
            # What the value adds: figures for this size of the input say nothing of that.
            if count == 0:
                before = closed[number][0]
                if inf in before:
                    before = size_of(tensor)
            elif count > 1 or nearest != number:
                own = closed[number][1]
                if own is None and min(of) != inf:
                    own = own_of(tensor)
                if own is not None:
                    before = tuple(
                        [
                            before[k] + (own[k] - of[k]) if own[k] > of[k] else before[k]
                            for k in range(len(own))
                        ]
                    )
            made[tensor] = before
        return made

    # ------------------------------------------------ what a view is made of

    cdef list terms_of(self, AxisView view, extent):
        """What a value of shape `extent` sees along one axis of an input."""
        cdef Item item
        cdef Term term
        cdef Mask own
        cdef list made
        found = self.terms.get((view, extent))
        if found is not None:
            return found
        made = []
        for item, confined in leaves(view):
            term = Term.__new__(Term)
            term.slot, term.digits, term.is_global = item.slot, item.pieces, item.is_global
            term.is_loose = item.slot != NO_WAVE and self.waves.wave(item.slot).is_loose
            term.confined = [(a, begin, end) for a, begin, end, _ in confined]
            term.masks = [self.mask(mask, extent) for mask in item.masks]
            term.axes = {a for a, _, _ in term.confined}
            for own in term.masks:
                term.axes.update(own.axes)
            made.append(term)
        self.terms[view, extent] = made
        return made

    cdef Mask mask(self, Factor mask, extent):
        found = self.masks.get((mask, extent))
        if found is None:
            found = Mask(written(self.lowering.program, mask, extent)[0] < NOTHING)
            self.masks[mask, extent] = found
        return found

    # ------------------------------------------------ one axis

    cpdef tuple alike(self, view, int axis, tuple extent, dict at):
        """What decides the closed form along one axis of the input, whatever axes of the value it
        runs along, and these axes.
        """
        number, axes, is_confined, is_split = self.likeness.of(view[axis])
        if not (is_confined or is_split or at):
            return number, axes
        below = self.finest(view, axis)
        told = [(extent[a] if is_confined else 0, below.get(a), at.get(a)) for a in axes]
        return (number, *told), axes

    def side_of(self, tuple view, int axis, tuple extent, *, local, dict at):
        """The closed form along one axis of the input.

        Parameters
        ----------
        view : tuple of AxisView
            What a value sees of the input.
        axis : int
            The axis.
        extent : tuple of int
            The value's shape.
        local : bool
            Leave out what is global along an axis, if anything else is left.
        at : dict of int to int
            Coordinates of the value to hold fixed: ``{1: 0}`` for channel 0.

        Returns
        -------
        AxisField or None
            None where there is none; with `branches` the other figures are missing: `measured` has
            them.
        """
        key = self.alike(view, axis, extent, at)[0], local
        found = self.known.get(key, key)
        if found is key:
            found = self.known[key] = self.side(view, axis, extent, local, at)
        return found

    cdef object side(self, view, int axis, extent, bint local, dict at):
        cdef Term term
        cdef list near
        cdef list terms = self.terms_of(view[axis], extent)
        for a, coordinate in at.items():
            kept = []
            for term in terms:
                held = term.where(a)
                if held is None or coordinate in held:
                    kept.append(term)
            terms = kept
        if not terms:
            return AxisField.nothing()
        near = [term for term in terms if not term.is_global] if local else terms
        for term in (near or terms):
            # Some unit sees all of the axis, however long it is.
            if term.slot != NO_WAVE and self.waves.wave(term.slot).is_endless:
                return AxisField.endless()
        known = self.summary(near or terms, extent, self.finest(view, axis), at)
        if known is not None and known.size:
            # Of what holds at places that are not known it may be that no unit sees it all.
            if any([(<Term> term).is_loose for term in near or terms]):
                known = branched(list(known.branches) or [known], nan)
        return known if near or known is None else replace(known, is_global=True)

    cdef dict finest(self, view, int axis):
        """By axis of the value, the finest digit with which other axes of the input move: it
        matters where something runs along an upper one.
        """
        cdef dict found = {}
        cdef int k
        if not self.likeness.of(view[axis])[3]:
            return found
        for k in range(len(view)):
            if k != axis:
                for a, inner in self.lowest(view[k]).items():
                    found[a] = min(inner, found.get(a, inner))
        return found

    cdef dict lowest(self, AxisView along):
        """By axis of the value, its finest digit along which a view runs."""
        cdef Item item
        cdef Piece piece
        found = self.inner.get(along)
        if found is None:
            found = self.inner[along] = {}
            for item, _ in leaves(along):
                for piece in item.pieces:
                    found[piece.axis] = min(piece.inner, found.get(piece.axis, piece.inner))
        return found

    def span(self, tensor, input, int axis, *, local):
        """The first and the last coordinate that the units of a value see, borders not clipped.

        Units that see nothing of the axis don't count, unless there are very many. None where there
        is no closed form, or it is not known where it holds, or nothing is seen; `local` as of
        `side_of`.
        """
        cdef Term term
        cdef Digit digit
        size = (self.flow.inputs[input] or ())[axis]
        view = self.view(tensor, input)
        if view is None:
            return None
        ends = []
        for term in self.terms_of(view[axis], self.flow.shape(tensor) or ()):
            if local and term.is_global:
                continue
            # Of what holds at places that are not known any unit might be the first.
            if term.slot == NO_WAVE or term.is_loose:
                return None
            periods = self.waves.wave(term.slot).periods
            values = []
            for period, digit in zip(periods, term.digits):
                places = term.where(digit.axis)
                if places is not None:
                    values.append(np.unique(digit.of(places)).tolist())
                elif prod(periods) * digit.size <= MOST_UNITS:
                    values.append(range(digit.size))
                else:
                    # What lies between the first and the last period reaches less far.
                    values.append(extremes(digit.size, period))
            firsts, lasts = self.waves.at(term.slot, values)
            seen = [(lo, hi) for lo, hi in zip(firsts, lasts) if lo < size and hi <= 0]
            if seen:
                ends.append((min([lo for lo, _ in seen]), min([hi for _, hi in seen])))
        if not ends:
            return None
        return min([number(lo) for lo, _ in ends]), max([-number(hi) for _, hi in ends])

    def units_along(self, tensor, input, int axis):
        """How many units a value has along the axis of the input; None where terms differ in it."""
        cdef Term term
        cdef set counts = set()
        view = self.view(tensor, input)
        if view is None:
            return None
        finest = self.finest(view, axis)
        for term in self.terms_of(view[axis], self.flow.shape(tensor) or ()):
            slot, digits = self.by_unit(term.slot, term.digits, finest)
            if slot == NO_WAVE:
                return None
            advances = self.waves.wave(slot).advances
            moving = [
                (digit.inner, digit.size)
                for digit, by in zip(digits, advances)
                if digit.grows and by
            ]
            if moving:
                counts.add(min(moving)[1])
        return counts.pop() if len(counts) == 1 else None

    def edges(self, tensor, input, int axis):
        """Coordinates of the value's `axis` at which the answer may change, ascending."""
        cdef Term term
        cdef Digit digit
        cdef set found = set()
        extent = self.flow.shape(tensor) or ()
        for along in self.view(tensor, input) or ():
            for term in self.terms_of(along, extent):
                found |= term.edges(axis)
                for digit in term.digits:
                    if digit.axis == axis:
                        found.update(range(digit.shift % digit.inner, extent[axis], digit.inner))
        return sorted(found)

    def layout(self, view, int axis, stride):
        """How a value is laid over an axis of the input: the digit that moves, and its stride.

        None where it can't be laid at this stride.
        """
        cdef Item item
        cdef set moving = set()
        if not stride > 0:
            return None
        finest = self.finest(view, axis)
        for item, _ in leaves(view[axis]):
            slot, digits = self.by_unit(item.slot, item.pieces, finest)
            if slot != NO_WAVE:
                for digit, by in zip(digits, self.waves.wave(slot).advances):
                    if digit.grows and by:
                        moving.add((digit, self.waves.slope(slot, digits)))
        if len(moving) != 1:
            return None
        digit, slope = moving.pop()
        return (digit, slope) if slope == stride else None

    # ------------------------------------------------ branches that meet

    def meetings(self):
        """Where branches meet in a value that move differently.

        Returns
        -------
        list of (str, str, Meeting)
            The value, the input, and how they do, in topological order.
        """
        cdef list made = [], reads
        cdef tuple outputs, names
        cdef Py_ssize_t k
        for step in self.flow.steps:
            reads = step.reads
            for k in range(len(reads)):
                if len(<list?> reads[k]) < 2:
                    continue
                node = step.node
                outputs = node.outputs
                if k >= len(outputs) or not outputs[k]:
                    continue
                names = (*node.inputs, *node.captures) if node.captures else node.inputs
                for given, found in self.meeting(outputs[k], names, reads[k]).items():
                    made.extend([(outputs[k], given, one) for one in found])
        return made

    cdef dict meeting(self, tensor, tuple names, list reads):
        """How branches meet in a value that move differently, by input."""
        cdef dict branches = {}
        cdef dict found = {}
        cdef list origins, groups
        origins = [origin(read.source, names) for read in reads]
        groups = self.by_origin(reads, origins)
        if len(groups) < 2:
            return found
        extent = self.flow.shape(tensor)
        for own in groups:
            for name, view in self.branch(names, own, extent).items():
                branches.setdefault(name, []).append(view)
        for name, views in branches.items():
            key = "meetings", tuple(views)
            differing = self.lowering.answers.get(key)
            if differing is None:
                differing = self.lowering.answers[key] = self.differences(views)
            if differing:
                found[name] = differing
        return found

    cdef list by_origin(self, list reads, list origins):
        """The reads of each origin: for the same reads the same lists, which recipes go by."""
        cdef dict groups = {}
        # Nodes that share their reads may take one value twice.
        key = "origins", <size_t> <void*> reads, tuple([origins.index(own) for own in origins])
        known = self.lowering.answers.get(key)
        if known is None:
            for read, own in zip(reads, origins):
                groups.setdefault(own, []).append(read)
            # With the reads, so that their identity is not given away twice.
            known = self.lowering.answers[key] = list(groups.values()), reads
        return known[0]

    cdef object branch(self, tuple names, list reads, extent):
        """What is seen by some of the reads of a value."""
        read = reads[0]
        if len(reads) == 1 and isinstance(read, PerAxis) and isinstance(read.source, int):
            name = names[read.source]
            axis = placed_along(read, self.flow.shape(name), extent)
            views = self.walk.views.get(name, {})
            # A part of an axis along which nothing runs moves as it does by itself.
            if axis is not None and not any(
                [axis in self.lowest(along) for view in views.values() for along in view]
            ):
                return views
        return self.walk.seen(names, reads, extent)

    cdef list differences(self, list views):
        """What the strides and places of branches that meet differ in.

        Branches of one stride belong together if their centres agree, or, as in a causal network,
        the last elements that they see.
        """
        cdef list found = []
        cdef int axis
        if len(set(views)) < 2:
            return found
        for axis in range(len(views[0])):
            branches = {self.paces(view, axis) for view in views}
            branches.discard(frozenset())
            by_centre, by_end = set(), set()
            for paces in branches:
                by_centre.add(frozenset([(pace.stride, pace.centre) for pace in paces]))
                by_end.add(frozenset([(pace.stride, pace.ahead) for pace in paces]))
            if len(by_centre) > 1 and len(by_end) > 1:
                found.append(Meeting(axis, frozenset().union(*branches)))
        return found

    cdef object paces(self, view, int axis):
        """Of the local terms that move, united where they vary alike.

        None where the place along an axis decides which terms hold: no line runs through them all.
        """
        key = view, axis
        if key not in self.found_paces:
            self.found_paces[key] = self.made_paces(view, axis)
        return self.found_paces[key]

    cdef object made_paces(self, view, int axis):
        cdef Item item
        cdef Wave wave
        cdef Factor mask
        cdef list known = []
        finest = self.finest(view, axis)
        for item, confined in leaves(view[axis], local=True):
            if item.slot == NO_WAVE:
                continue
            if self.waves.wave(item.slot).is_loose:
                return frozenset()
            axes = {a for a, _, _, _ in confined}
            for mask in item.masks:
                axes.update([(<Piece> piece).axis for piece in mask.pieces])
            if axes:
                for along in view:
                    if not axes.isdisjoint(self.lowest(along)):
                        return frozenset()
            slot, digits = self.by_unit(item.slot, item.pieces, finest)
            if slot != NO_WAVE:
                wave = self.waves.wave(slot)
                if self.waves.slope(slot, digits) and not wave.is_open:
                    known.append((slot, digits))
        paces = [self.pace(slot, digits) for slot, digits in self.united(known)]
        return frozenset([pace for pace in paces if pace is not None])

    cdef object pace(self, int64_t slot, tuple digits):
        """How the units move that see one wave; None if they see nothing."""
        field = self.field(slot, digits, {})
        found = self.pace_of.get((slot, field))
        if found is None and field.size:
            span = max([abs(by) for by in self.waves.wave(slot).advances])
            found = Pace(Fraction(field.stride), Fraction(field.centre), field.ahead, span)
            self.pace_of[slot, field] = found
        return found

    # ------------------------------------------------ waves

    cdef object field(self, int64_t slot, tuple digits, dict first):
        """The figures of the units that see one wave, from some coordinates on, by axis."""
        cdef Digit digit
        # Rows and columns have the same figures.
        begins = [first.get(digit.axis) for digit in digits] if first else ()
        key = slot, tuple([digit.bare for digit in digits]), tuple(begins)
        found = self.fields.get(key)
        if found is None:
            figures = self.waves.figures(slot, digits, first)
            found = AxisField.nothing() if figures is None else AxisField(*figures)
            # Equal ones are one object.
            found = self.fields[key] = self.equal.setdefault(found, found)
        return found

    cdef tuple by_unit(self, int64_t slot, tuple digits, dict finest):
        """The wave over neighbouring units: upper digits alone become whole coordinates.

        They stay digits where another axis of the input moves with the lower ones: the rows of
        tokens are as far apart as the rows of the picture, not a row's length less.
        """
        cdef Digit digit
        for digit in digits:
            if slot != NO_WAVE and digit.inner > 1:
                if finest.get(digit.axis, digit.inner) >= digit.inner:
                    length = digit.inner * digit.size
                    slot, digits = self.lowering.one_digit(slot, digits, digit.axis, length)
        return slot, digits

    cdef list united(self, list known):
        """The waves, united where they move on at the same pace."""
        cdef list found = []
        cdef int k
        if len(known) < 2:
            return known
        for slot, digits in dict.fromkeys(known):
            for k in range(len(found)):
                other, others = found[k]
                every = others
                if others != digits:
                    every = tuple(sorted({*digits, *others}, key=place_of))
                both = self.waves.least(other, slot, others, digits, every)
                if both is not None and both[0] != NO_WAVE:
                    found[k] = both
                    break
            else:
                found.append((slot, digits))
        return found

    cdef tuple held(self, int64_t slot, tuple digits, dict at):
        """The wave with some of the value's coordinates fixed."""
        cdef Digit digit
        for digit in digits:
            if digit.axis in at and digit in digits:
                k = digits.index(digit)
                others = digits[:k] + digits[k + 1 :]
                slot, digits = self.waves.joined_over(slot, k, others, [digit.of(at[digit.axis])])
        return slot, digits

    cdef object summary(self, list terms, extent, dict finest, dict at):
        """The figures of the units of which `terms` hold."""
        cdef Term term
        cdef Digit digit
        cdef list known = [], figures = [], united
        cdef set moving
        cdef bint is_branched = False
        for term in terms:
            if term.slot == NO_WAVE:
                return None
            slot, digits = term.slot, term.digits
            if at:
                slot, digits = self.held(slot, digits, at)
            slot, digits = self.by_unit(slot, digits, finest)
            if slot == NO_WAVE or self.waves.is_list(slot, digits):
                return None
            known.append((slot, digits))
        if len(terms) == 1:
            slot, digits = known[0]
            return self.field(slot, digits, (<Term> terms[0]).first())
        moving = set()
        for _, digits in known:
            for digit in digits:
                if digit.grows:
                    moving.add(digit.axis)
        for term in terms:
            if not moving.isdisjoint(term.axes):
                return self.by_place(terms, known)
        for cell in cells(terms, at, extent) or [range(len(terms))]:
            united = self.united([known[k] for k in cell])
            is_branched = is_branched or len(united) > 1
            figures += [self.field(slot, digits, {}) for slot, digits in united]
        # Equal ones are one object.
        found = [field for field in {id(field): field for field in figures}.values() if field.size]
        if len(found) == 1 and not is_branched:
            return found[0]
        start = min([field.start for field in found], default=nan)
        if is_branched or len({field.stride for field in found}) > 1:
            return branched(found, start)
        if not found:
            return AxisField.nothing()
        return AxisField(
            max([field.size for field in found]),
            found[0].stride,
            start,
            mean([field.centre for field in found]),
            min([field.smallest for field in found]),
            max([field.back for field in found]),
            max([field.ahead for field in found]),
            together([field.phases for field in found], found[0].stride),
        )

    cdef object by_place(self, list terms, list known):
        """The figures where what differs with the place along the moving axis itself: they are told
        of the units as they are, of each wave from the first unit on that sees it.
        """
        cdef Term term
        cdef dict firsts = {}
        cdef dict here
        for own, term in zip(known, terms):
            here = term.first()
            before = firsts.setdefault(own, here)
            firsts[own] = {a: min(n, before[a]) for a, n in here.items() if a in before}
        fields = [self.field(slot, digits, first) for (slot, digits), first in firsts.items()]
        if len(fields) == 1:
            return fields[0]
        begins = [
            (sum(first.values()), field.start)
            for field, first in zip(fields, firsts.values())
            if field.size
        ]
        return branched(fields, min(begins, default=(0, nan))[1])


cdef object branched(list fields, start):
    """The field of paths that differ; what units see is still to be measured."""
    found = [field for field in {id(field): field for field in fields}.values() if field.size]
    if not found:
        return AxisField.nothing()
    # Slots are numbered by what was looked at before, so their order tells nothing.
    found.sort(key=by_begin)
    size = max([field.size for field in found])
    # Of those that move both ways the first.
    widest = max([field.stride for field in found], key=abs)
    return AxisField(size, widest, start, centre(start, size), nan, branches=tuple(found))


def by_begin(field):
    """What branches are told in the order of: where they begin, and how large they are."""
    told = field.start, field.back, field.ahead
    return [(end != end, 0 if end != end else end) for end in told], field.size, field.stride


cdef tuple together(list fields, stride):
    """What the phases of fields of one stride see together."""
    cdef list found = []
    cdef int64_t period = lcm(*[len(phases) for phases in fields]), unit, many
    if period > MAX_CELLS:
        return ()
    for unit in range(period):
        lowest, highest, seen = 0, -1, False
        for phases in fields:
            many = len(phases)
            first, last = phases[unit % many]
            if first <= last:
                if unit >= many:
                    on = int(stride * many) * (unit // many)
                    first, last = first + on, last + on
                if not seen:
                    lowest, highest, seen = first, last, True
                else:
                    lowest, highest = min(lowest, first), max(highest, last)
        found.append((lowest, highest))
    return tuple(found)


cdef list cells(list terms, dict at, extent):
    """Which terms hold together, for all units; None where these are too many to tell apart."""
    cdef Term term
    cdef Mask mask
    cdef dict starts = {}
    cdef set axes = set(), edges
    cdef list along, found, places
    cdef int k, place, first, past
    for term in terms:
        axes |= term.axes
    for axis in sorted(axes):
        if axis in at:
            starts[axis] = [at[axis]]
        else:
            edges = {0}
            for term in terms:
                edges |= term.edges(axis)
            edges.discard(extent[axis])
            starts[axis] = sorted(edges)
    if prod([len(places) for places in starts.values()]) > MAX_CELLS:
        return None
    # The terms that hold, one bit each, by cell.
    found = [(1 << <object> len(terms)) - 1]
    for axis, places in starts.items():
        along = [0] * len(places)
        for k, term in enumerate(terms):
            first, past = 0, len(places)
            for a, begin, end in term.confined:
                if a == axis:
                    first, past = bisect_left(places, begin), bisect_left(places, end)
            bit = 1 << <object> k
            for place in range(first, past):
                along[place] |= bit
        found = [held & own for held in found for own in along]
    sizes = [len(places) for places in starts.values()]
    arrays = {}
    for k, term in enumerate(terms):
        bit = 1 << <object> k
        for mask in term.masks:
            held = mask.array
            for axis in mask.axes:
                if axis not in arrays:
                    arrays[axis] = np.array(starts[axis])
                held = held.take(arrays[axis], axis=axis)
            held = held.reshape([n if a in mask.axes else 1 for a, n in zip(starts, sizes)])
            for place, holds in enumerate(np.broadcast_to(held, sizes).reshape(-1).tolist()):
                if not holds:
                    found[place] &= ~bit
    return [
        [k for k in range(len(terms)) if held >> <object> k & 1]
        for held in dict.fromkeys(found)
        if held
    ]


cdef tuple each(function, tuple a, tuple b):
    """What a function gives of the entries of two tuples."""
    cdef Py_ssize_t k
    return tuple([function(a[k], b[k]) for k in range(len(a))])


cdef object of_input(dict views, tensor, input):
    """The view that a value has of an input; None if it has none."""
    cdef PyObject* found = PyDict_GetItemWithError(views, tensor)
    if found is NULL:
        return None
    found = PyDict_GetItemWithError(<dict> found, input)
    return None if found is NULL else <object> found


cdef object placed_along(read, source, extent):
    """The axis of which a read makes a part of that of the output, where all others are as they
    were: a concatenation.
    """
    if source is None or extent is None or len(source) != len(extent):
        return None
    placed = None
    for axis, along in enumerate(read.axes):
        if not isinstance(along, Along) or along.axis != axis or not is_shift(along):
            return None
        if is_same(along) and source[axis] == extent[axis]:
            continue
        begin = -along.starts[0]
        if placed is not None or along.part != (begin, begin + source[axis]):
            return None
        placed = axis
    return placed


def origin(source, names):
    """What a read goes back to: a value, or several by way of a stage."""
    if not isinstance(source, Stage):
        return names[source]
    origins = {origin(read.source, names) for read in source.reads}
    return origins.pop() if len(origins) == 1 else frozenset(origins)


cdef object number(end):
    return -inf if end <= ENDLESS else end


cdef object mean(list numbers):
    exact = [number for number in numbers if not isinstance(number, float)]
    if len(exact) < len(numbers):
        return nan
    whole = lcm(*{number.denominator for number in exact})
    total = sum([number.numerator * (whole // number.denominator) for number in exact])
    return ratio(total, whole * len(exact))


def place_of(Digit digit not None):
    return digit.axis, -digit.inner
