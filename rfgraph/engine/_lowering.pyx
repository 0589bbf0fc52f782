# cython: wraparound=True, nonecheck=True, boundscheck=True
"""Reads lowered to a program: structure here, numbers in `rfgraph._core`.

What a value sees of one axis of an input is an `AxisView`, a list of items: a slot of the
program, the *pieces* of the value's axes along which it runs, and masks that say where it holds.
Axes of the input don't meet: bounds along one of them are the smallest and the largest of what is
read, whatever the others are. An item is a product over sets of axes, so that reading it along one
axis after the other is exact; where two of its factors run along the same axis, they are made one
before anything is joined along it.

Only instructions are made here, and equal ones are one. Masks don't depend on any input: whether
one holds everywhere or nowhere is asked of the program as it is made.
"""

from libc.stdint cimport int64_t

from rfgraph.model._known cimport Step as Traced
from rfgraph.model._wire cimport Node

import itertools
from array import array
from math import gcd, prod

import numpy as np

import rfgraph.reads.words
from rfgraph._core import Program
from rfgraph.errors import ShapeError
from rfgraph.reads.words import (
    Along,
    Elementwise,
    Everything,
    Fixed,
    PerAxis,
    Rearrange,
    Stage,
    Table,
    followed,
    is_same,
    is_shift,
    same,
)

# If there are more items than this, they are written out over all axes along which they vary, and
# merged.
cdef int MAX_ITEMS = 24

# When a value has this many views, they are merged before more are added.
cdef int MANY = 64


cdef inline size_t address(object thing) noexcept:
    return <size_t> <void*> thing


# ---------------------------------------------------------------- which axes a slot runs along


cdef class Piece:
    """The digit ``(c - shift) // inner % size`` of the coordinate ``c`` along an axis of a value.

    A slot has one coordinate. Its pieces are its digits, the first one the most significant: rows
    of a picture are one piece, the whole of axis 2; flattened to tokens they are
    ``token // width``; cut into windows they are two, which window, and which row in it. A reshape
    or a permutation changes the pieces, never the slot.

    Attributes
    ----------
    axis : int
        The axis of the value. In the midst of a read, those of the output are counted from -1 down.
    inner : int
        So many neighbouring coordinates have the same digit.
    size : int
        How many values the digit has.
    shift : int
        The coordinate at which it begins.
    grows : bool
        Whether it would have more values for a larger input: it says where along the input's axis
        an element is.
    """

    def __init__(
        self, int64_t axis, int64_t inner, int64_t size, int64_t shift=0, bint grows=False
    ):
        self.axis, self.inner, self.size, self.shift, self.grows = axis, inner, size, shift, grows

    def __repr__(self):
        grows = ", grows=True" if self.grows else ""
        shift = f", shift={self.shift}" if self.shift else ""
        return f"Piece({self.axis}, {self.inner}, {self.size}{shift}{grows})"

    def of(self, coordinate):
        """The digit of a coordinate, or of each of some."""
        return (coordinate - self.shift) // self.inner % self.size

    cpdef bint is_whole(self, int64_t extent):
        """Whether it is the coordinate itself, along an axis of length `extent`."""
        return self.inner == 1 and self.size == extent and self.shift == 0

    cdef tuple told(self, int axis):
        """All that it is, along an axis of another number."""
        return axis, self.inner, self.size, self.shift, self.grows


cdef class Factor:
    """A slot and its pieces."""


cdef class Item(Factor):
    """An interval for each element.

    Attributes
    ----------
    slot : int
        First and last coordinate along the axis of the input.
    pieces : tuple of Piece
        The axes of the value along which that varies.
    masks : tuple of Factor
        There is nothing where one of these has nothing.
    is_global : bool
        Whether a statistic has left it no place along the axis of the input.
    """


cdef Factor new_factor(int64_t slot, tuple pieces):
    cdef Factor made = Factor.__new__(Factor)
    made.slot, made.pieces = slot, pieces
    return made


cpdef Item new_item(int64_t slot, tuple pieces, tuple masks=(), bint is_global=False):
    """An item, made of its attributes."""
    cdef Item made = Item.__new__(Item)
    made.slot, made.pieces, made.masks, made.is_global = slot, pieces, masks, is_global
    return made


cdef class Chain:
    """What is seen differently from different parts of one axis of the value: a concatenation.

    Attributes
    ----------
    axis, size : int
        The axis, and its length.
    parts : tuple of (int, int, AxisView)
        In order: where a part begins, its length, and what is seen from there, whose own axis
        begins with 0. It varies along that axis only by further chains. Between the parts there is
        nothing.
    """


cdef Chain new_chain(int64_t axis, int64_t size, tuple parts):
    cdef Chain made = Chain.__new__(Chain)
    made.axis, made.size, made.parts = axis, size, parts
    return made


cdef class AxisView:
    """What is seen of one axis of an input: the union of items and chains.

    Views of equal items are one object.
    """


cdef AxisView new_view(tuple items):
    cdef AxisView view = AxisView.__new__(AxisView)
    cdef Piece piece
    cdef Factor factor
    view.items = items
    for item in items:
        if isinstance(item, Chain):
            view.axes |= (<int64_t> 1) << (<Chain> item).axis
            for _, _, part in (<Chain> item).parts:
                view.axes |= (<AxisView> part).axes
                view.direct |= (<AxisView> part).direct
            continue
        for piece in (<Item> item).pieces:
            view.direct |= (<int64_t> 1) << piece.axis
        for factor in (<Item> item).masks:
            for piece in factor.pieces:
                view.direct |= (<int64_t> 1) << piece.axis
    view.axes |= view.direct
    return view


# ---------------------------------------------------------------- how a value is read


# Stands where the keys of steps have their kind.
cdef enum:
    REPEAT = 3


cdef class Step:
    """How one axis is read.

    Attributes
    ----------
    kind : int
        The same coordinate, all of the axis, or progressions along it.
    size : int
        Length of the axis that is read.
    outs : tuple of (int, int)
        The output's axes that are followed, and their lengths.
    word : int
        The number of the progressions in the program.
    place : int
        A slot that has nothing where nothing is read; -1 if something is read everywhere.
    part : int
        The same where axes have no ends: nothing is read outside the part of a concatenation.
    repeated : int
        The output's axis along which the only coordinate is repeated; else -1.
    shift : int or None
        Where one coordinate is read, so far from the output's own.
    is_part : bool
        Whether the axis is placed in a longer one, as in a concatenation.
    joins : bool
        Whether more than one coordinate is read.
    is_statistic : bool
        Whether these are summed up, compared or mixed.
    """

    def __init__(self, int kind, int64_t size, tuple outs=(), bint is_statistic=False):
        self.kind, self.size, self.outs, self.is_statistic = kind, size, outs, is_statistic
        self.word = self.place = self.part = self.repeated = -1
        self.joins = kind == FOLD


cdef class Plan:
    """How the axes of a value are read; equal plans are one object.

    Attributes
    ----------
    steps : dict of int to Step
        By axis of what is read; other axes don't matter.
    changes : list of (int, Step)
        The axes of which something else than the same coordinate is read.
    outs : dict of int to int
        The axes of the output that are the same as those that are read.
    sizes : dict of int to int
        Lengths of the axes, those of the output counted from -1 down.
    shared : set of int
        Axes of the output that several axes follow.
    placed : int
        The axis that is placed in a longer one, if nothing else happens; else -1.
    concatenated : int
        The same where axes have no ends: padding places nothing.
    places, parts : int
        The axes along which something may read nothing, one bit each; the same where axes have no
        ends.
    is_identity : bool
        Whether nothing happens at all.
    """

    def __init__(self, dict steps):
        cdef Step step
        cdef set seen = set()
        self.steps = steps
        self.changes = []
        self.outs = {}
        self.sizes = {}
        self.shared = set()
        self.is_identity = True
        self.placed = self.concatenated = -1
        for axis, step in steps.items():
            self.sizes[axis] = step.size
            if step.place >= 0:
                self.places |= (<int64_t> 1) << <int64_t> axis
            if step.part >= 0:
                self.parts |= (<int64_t> 1) << <int64_t> axis
            for out, size in step.outs:
                self.sizes[~out] = size
                if out in seen:
                    self.shared.add(out)
                seen.add(out)
                if out != axis:
                    self.is_identity = False
            if step.kind == SAME:
                self.outs[axis] = step.outs[0][0]
            else:
                self.changes.append((axis, step))
                self.is_identity = False
        if len(self.changes) == 1:
            axis, step = self.changes[0]
            if step.is_part and step.outs[0][0] not in self.shared:
                if step.place >= 0:
                    self.placed = axis
                if step.part >= 0:
                    self.concatenated = axis


cdef class Template:
    """What happens when it is read to what runs along certain pieces: these alone decide it.

    Attributes
    ----------
    ops : tuple of (int, int, int, int)
        What is done to the slot, one after the other: see `Lowering.applied`.
    pieces : tuple of Piece
        What the new slot runs along.
    masks : tuple of Factor
        Where it then holds.
    is_global : bool
        Whether it then is global.
    is_nothing : bool
        Whether nothing is seen of it.
    """


cdef class Move:
    """A reshape, a permutation, a reshape."""

    def __init__(self, tuple source, tuple view, tuple permutation, tuple extent):
        self.source, self.view = source, view
        self.permutation, self.extent = permutation, extent


# ---------------------------------------------------------------- lowering


cdef class Lowering:
    """Makes instructions of reads.

    Parameters
    ----------
    like : Lowering, optional
        One that knows how values are read; this one knows no ends of axes.

    Attributes
    ----------
    program : Program
        What is made.
    """

    def __init__(self, Lowering like=None):
        self.clips = like is None
        self.read, self.limited, self.seen, self.unions = {}, {}, {}, {}
        self.views, self.templates, self.answers, self.seeds = {}, {}, {}, {}
        if like is None:
            self.program = Program()
            self.pieces, self.factors, self.plans = {}, {}, {}
            self.words, self.steps, self.hows, self.recipes = {}, {}, {}, {}
        else:
            self.program = like.program
            self.pieces, self.factors, self.plans = like.pieces, like.factors, like.plans
            self.words, self.steps, self.hows = like.words, like.steps, like.hows
            self.recipes = like.recipes

    @property
    def size(self):
        """How much is kept: what was made of reads, and the elements of what is listed."""
        made = len(self.read) + len(self.seen) + len(self.unions) + len(self.recipes)
        # Of each that is kept there are several answers.
        made += 8 * len(self.answers) + len(self.seeds)
        apart = 0 if self.unclipped is None else self.unclipped.size
        return made + len(self.program) + self.program.elements + apart

    def without_ends(self, make):
        """What is like this one on axes without end, by `make` if there is none yet."""
        if self.unclipped is None:
            self.unclipped = make(self)
        return self.unclipped

    # ------------------------------------------------ what the walk asks for

    def seed(self, shape):
        """Every element sees itself; a scalar is treated as if it had one axis, of length 1."""
        if not shape:
            return (self.view((new_item(self.program.seed(1), ()),)),)
        return tuple(
            [
                self.view((new_item(self.program.seed(n), (self.piece(a, 1, n, 0, True),)),))
                for a, n in enumerate(shape)
            ]
        )

    cdef tuple through(self, tuple view, how):
        """What is seen by what reads a value with `view`; None if that is nothing."""
        cdef AxisView along, made
        cdef list found
        key = view, how
        known = self.seen.get(key, view)
        if known is not view:
            return known
        found = []
        for along in view:
            made = self.reading(along, how)
            if not made.items:
                self.seen[key] = None
                return None
            found.append(made)
        known = self.seen[key] = tuple(found)
        return known

    def union(self, views, extent):
        """What is seen by what reads values with all of these views."""
        key = tuple(views), extent
        known = self.unions.get(key)
        if known is None:
            known = self.unions[key] = self.joint(views, extent)
        return known

    cdef tuple joint(self, views, extent):
        cdef list found = []
        for alongs in zip(*views):
            first = alongs[0]
            for along in alongs:
                if along is not first:
                    if len(alongs) == 2:
                        both = self.both(first, along)
                        if both is not None:
                            found.append(both)
                            break
                    items = [item for along in alongs for item in (<AxisView> along).items]
                    found.append(self.joined(items, extent))
                    break
            else:
                found.append(first)
        return tuple(found)

    def everything(self, shape):
        """The view of what sees all of an input of `shape` from everywhere."""
        seed, fold = self.program.seed, self.program.fold
        return tuple(
            [self.view((new_item(fold(seed(n), 1, n, 1), ()),)) for n in shape or (1,)]
        )

    # ------------------------------------------------ what is the same is one object

    cdef Piece piece(
        self, int64_t axis, int64_t inner, int64_t size, int64_t shift, bint grows
    ):
        key = axis, inner, size, shift, grows
        found = self.pieces.get(key)
        if found is None:
            found = self.pieces[key] = Piece(axis, inner, size, shift, grows)
        return found

    cdef Piece whole(self, int64_t axis, int64_t extent, bint grows=False):
        return self.piece(axis, 1, extent, 0, grows)

    cdef Factor factor(self, int64_t slot, tuple pieces):
        key = slot, pieces
        found = self.factors.get(key)
        if found is None:
            found = self.factors[key] = new_factor(slot, pieces)
        return found

    cpdef AxisView view(self, tuple items):
        """The view of these items: the one there is already, if there is one."""
        cdef Item one
        cdef Chain chain
        cdef list key = []
        for item in items:
            if isinstance(item, Item):
                one = item
                key.append((one.slot, one.pieces, one.masks, one.is_global))
            else:
                chain = item
                key.append((chain.axis, chain.size, chain.parts))
        whole = tuple(key)
        found = self.views.get(whole)
        if found is None:
            found = self.views[whole] = new_view(items)
        return found

    cdef AxisView single(self, int64_t slot, tuple pieces, tuple masks, bint is_global):
        """The view of one item."""
        key = ((slot, pieces, masks, is_global),)
        found = self.views.get(key)
        if found is None:
            found = self.views[key] = new_view((new_item(slot, pieces, masks, is_global),))
        return found

    cpdef Plan plan(self, dict steps):
        """The plan of these steps, by axis."""
        key = tuple(steps.items())
        found = self.plans.get(key)
        if found is None:
            found = self.plans[key] = Plan(steps)
        return found

    # ------------------------------------------------ words

    cpdef int64_t zeros(self, int64_t size) except -1:
        """A slot of 0 everywhere: what a mask begins with."""
        found = self.words.get(size)
        if found is None:
            one = np.zeros(1, dtype=np.int64)
            word = self.program.word(one, one + 1, 0, 1, 0, size, size, 1)
            found = self.program.window(self.program.listed(one, one), word)
            self.words[size] = found
        return found

    cpdef int64_t word(self, read, int64_t size, tuple sizes) except -1:
        """The number of a progression; `sizes` are those of the output axes that it follows."""
        if isinstance(read, Along):
            begin, end = read.part or (0, sizes[0])
            key = (read.starts, read.counts, read.advance, read.step, begin, end, sizes[0], size)
            found = self.words.get(key)
            if found is None:
                starts, counts = array("q", read.starts), array("q", read.counts)
                found = self.words[key] = self.program.word(starts, counts, *key[2:])
            return found
        if isinstance(read, Fixed):
            count = size - read.start if read.count is None else read.count
            return self.table(np.array([read.start]), np.array([count]), 1, size)
        return self.table(read.starts, read.counts, read.step, size)

    cdef int64_t table(self, starts, counts, step, int64_t size) except -1:
        """The number of a progression that is listed."""
        starts = np.ascontiguousarray(starts, dtype=np.int64).reshape(-1)
        counts = np.ascontiguousarray(counts, dtype=np.int64).reshape(-1)
        key = starts.tobytes(), counts.tobytes(), step, size
        found = self.words.get(key)
        if found is None:
            n = len(starts)
            found = self.words[key] = self.program.word(starts, counts, 0, step, 0, n, n, size)
        return found

    # ------------------------------------------------ reads

    cdef object how(self, read, source, extent):
        """A plan or a move; None if the read changes nothing."""
        if isinstance(read, Elementwise):
            if source is None or extent is None or source == extent:
                return None
            key = source, extent
            if key not in self.hows:
                self.hows[key] = self.broadcast(source, extent)
            return self.hows[key]
        key = address(read), source, extent
        kept = self.hows.get(key)
        if kept is None:
            # The read is kept, so that no other one gets its place.
            kept = self.hows[key] = read, self.made_how(read, source, extent)
        return kept[1]

    cdef object made_how(self, read, source, extent):
        cdef Plan plan
        if isinstance(read, Everything) or source is None or extent is None:
            # What all of a value is joined in says nothing of a place.
            return self.plan(
                {axis: self.folding(size, True) for axis, size in enumerate(source or ())}
            )
        if isinstance(read, Rearrange):
            key = source, read.view, read.permutation, extent
            if key not in self.hows:
                self.hows[key] = Move(*key)
            return self.hows[key]
        steps = {}
        for axis, (r, size) in enumerate(zip(read.axes, source)):
            if isinstance(r, Along):
                key = address(r), size, extent[r.axis]
            elif isinstance(r, Fixed):
                key = address(r), size, -1
            else:
                key = address(r), size, extent
            kept = self.steps.get(key)
            if kept is None:
                kept = self.steps[key] = r, self.step(r, size, extent)
            steps[axis] = kept[1]
        plan = self.plan(steps)
        return None if plan.is_identity else plan

    cdef Plan broadcast(self, tuple source, tuple extent):
        """The plan of elements at the same position; of an axis that is repeated, the only one."""
        cdef int64_t lead = len(extent) - len(source)
        steps = {}
        for axis, size in enumerate(source):
            if size == extent[axis + lead]:
                steps[axis] = self.staying(axis + lead, size)
            else:
                steps[axis] = self.repeating(axis + lead, size)
        return self.plan(steps)

    cdef Step repeating(self, int64_t out, int64_t size):
        """An axis of one coordinate, which is repeated along the output's axis `out`."""
        cdef Step made
        key = REPEAT, out, size
        if key not in self.steps:
            made = self.steps[key] = Step(FOLD, size)
            made.repeated = out
        return self.steps[key]

    cdef Step folding(self, int64_t size, bint is_statistic):
        key = FOLD, size, is_statistic
        if key not in self.steps:
            self.steps[key] = Step(FOLD, size, (), is_statistic)
        return self.steps[key]

    cpdef Step staying(self, int64_t out, int64_t size):
        """An axis of this size that is read as it is, as the output's axis `out`."""
        key = SAME, out, size
        if key not in self.steps:
            self.steps[key] = Step(SAME, size, ((out, size),))
        return self.steps[key]

    cdef Step step(self, read, int64_t size, tuple extent):
        cdef Step made
        if isinstance(read, Along) and is_same(read) and extent[read.axis] == size:
            return self.staying(read.axis, size)
        statistic = isinstance(read, Fixed) and read.statistic
        if isinstance(read, Fixed) and read.start == 0 and read.count in (None, size):
            return self.folding(size, statistic)
        axes = followed(read)
        sizes = tuple([extent[axis] for axis in axes])
        word = self.word(read, size, sizes)
        # The words of equal progressions are one, and so are their steps.
        beyond = (read.interior, read.open) if isinstance(read, Table) else None
        key = WINDOW, word, axes, sizes, statistic, beyond
        if key in self.steps:
            return self.steps[key]
        made = self.steps[key] = Step(WINDOW, size, tuple(zip(axes, sizes)), statistic)
        made.word, made.read, made.extent = word, read, extent
        place = self.program.window(self.zeros(size), word)
        if not self.program.everywhere(place):
            made.place = place
        if isinstance(read, Along) and is_shift(read):
            shift = made.shift = read.starts[0]
            made.is_part = (
                shift <= 0
                and size - shift <= sizes[0]
                and read.part in (None, (-shift, size - shift))
            )
        if isinstance(read, Along) and read.part is not None:
            made.part = made.place
            if not made.is_part:
                inside = self.word(Along(0, part=read.part), sizes[0], sizes)
                made.part = self.program.window(self.zeros(sizes[0]), inside)
            if made.part >= 0 and self.program.everywhere(made.part):
                made.part = -1
        if isinstance(read, Along):
            made.joins = max(read.counts) > 1
        else:
            made.joins = isinstance(read, Fixed) or int(read.counts.max(initial=0)) > 1
        made.growing = tuple([self.whole(~axis, n, True) for axis, n in made.outs])
        made.steady = tuple([self.whole(~axis, n, False) for axis, n in made.outs])
        return made

    cdef int64_t gaps(self, Step step) noexcept:
        """A slot that has nothing where a step reads nothing; -1 if there is no such place."""
        return step.place if self.clips else step.part

    cdef object relevant(self, AxisView view, how):
        """`how`, as far as it matters to a view."""
        cdef Plan plan
        cdef Step step
        if not isinstance(how, Plan):
            return how
        plan = how
        key = plan, view.axes
        found = self.limited.get(key)
        if found is None:
            steps = {}
            for axis, step in plan.steps.items():
                if self.gaps(step) >= 0 or view.axes >> <int64_t> axis & 1:
                    steps[axis] = step
            found = self.limited[key] = self.plan(steps)
        return found

    cdef object inside(self, Chain chain, how):
        """How the parts of a chain are read; None if it can't be read part by part."""
        cdef Step step
        cdef Plan plan
        if isinstance(how, Move):
            return None
        plan = how
        step = plan.steps[chain.axis]
        if step.kind == FOLD:
            # Parts are asked the same whatever the length of all of them is.
            return self.plan({**plan.steps, chain.axis: self.folding(0, step.is_statistic)})
        if step.kind == WINDOW and not step.is_part:
            return None
        if step.outs[0][0] in plan.shared:
            return None
        if step.kind == SAME:
            return plan
        # Further chains along this axis stay such.
        return self.plan({**plan.steps, chain.axis: self.staying(step.outs[0][0], step.size)})

    cdef AxisView reading(self, AxisView view, how):
        """What is seen by what reads a value with `view`.

        Concatenations of concatenations are read from the inside out: there may be thousands.
        """
        cdef AxisView current
        found = self.read.get((view, how))
        if found is not None:
            return found
        if len(view.items) == 1 and isinstance(view.items[0], Item):
            key = self.relevant(view, how)
            found = self.read.get((view, key))
            if found is None:
                found = self.read[view, key] = self.made(view, key)
            if key is not how:
                self.read[view, how] = found
            return found
        pending = [(view, how)]
        while pending:
            current, asked = pending[-1]
            if (current, asked) in self.read:
                pending.pop()
                continue
            key = self.relevant(current, asked)
            if (current, key) not in self.read:
                needed = []
                for item in current.items:
                    if isinstance(item, Chain):
                        inner = self.inside(item, key)
                        if inner is not None:
                            for _, _, part in (<Chain> item).parts:
                                if (part, inner) not in self.read:
                                    needed.append((part, inner))
                if needed:
                    pending += needed
                    continue
                self.read[current, key] = self.made(current, key)
            self.read[current, asked] = self.read[current, key]
        return self.read[view, how]

    cdef AxisView made(self, AxisView view, how):
        cdef Plan plan
        cdef Item item
        cdef int placed
        if isinstance(how, Plan):
            plan = how
            if plan.is_identity:
                return view
            placed = plan.placed if self.clips else plan.concatenated
            if placed >= 0 and not view.direct >> placed & 1:
                return self.placed(view, plan, placed)
        if len(view.items) == 1 and isinstance(view.items[0], Item):
            item = self.item(view.items[0], how)
            if item is None:
                return self.view(())
            return self.single(item.slot, item.pieces, item.masks, item.is_global)
        chains = [one for one in view.items if isinstance(one, Chain)]
        items = [one for one in view.items if isinstance(one, Item)]
        insides = [self.inside(chain, how) for chain in chains]
        if None in insides or any(
            [self.varies_inside(chain, how, inner) for chain, inner in zip(chains, insides)]
        ):
            chains, items = [], self.flat(view)
        found = []
        for one in items:
            item = self.item(one, how)
            if item is not None:
                found.append(item)
        for chain, inner in zip(chains, insides):
            found += self.chain(chain, how, inner)
        return self.joined(found, None)

    cdef bint varies_inside(self, Chain chain, Plan plan, inside):
        """Whether an item of a part, read as `inside` says, runs along the axis of its chain: where
        further chains along it could not be read part by part.
        """
        cdef Step step = plan.steps[chain.axis]
        if step.kind == FOLD:
            return False
        for _, _, part in chain.parts:
            if (<AxisView> self.read[part, inside]).direct >> <int64_t> step.outs[0][0] & 1:
                return True
        return False

    cdef AxisView placed(self, AxisView view, Plan plan, int axis):
        """What is placed along an axis along which it does not vary: a part of a chain."""
        cdef Step step = plan.steps[axis]
        out, size = step.outs[0]
        # Its own chains stay such along this axis.
        inside = self.plan({**plan.steps, axis: self.staying(out, step.size)})
        seen = self.reading(view, inside)
        return self.view((new_chain(out, size, ((-step.shift, step.size, seen),)),))

    cdef list chain(self, Chain chain, how, inside):
        """What is seen of a chain, whose parts are read as `inside` says."""
        cdef Step step
        step = (<Plan> how).steps[chain.axis]
        if step.kind == FOLD:
            return [
                item
                for _, _, view in chain.parts
                for item in (<AxisView> self.read[view, inside]).items
            ]
        axis, size = step.outs[0]
        offset = -step.shift if step.kind == WINDOW else 0
        parts = []
        for begin, length, view in chain.parts:
            seen = self.read[view, inside]
            if (<AxisView> seen).items:
                parts.append((begin + offset, length, seen))
        return [new_chain(axis, size, tuple(parts))] if parts else []

    # ------------------------------------------------ unions

    cpdef AxisView both(self, AxisView a, AxisView b):
        """The union where it is one item, as a rule; else None."""
        cdef Item left, right
        if len(a.items) != 1 or len(b.items) != 1:
            return None
        if not (isinstance(a.items[0], Item) and isinstance(b.items[0], Item)):
            return None
        left, right = a.items[0], b.items[0]
        if left.masks or right.masks or left.is_global != right.is_global:
            return None
        if left.pieces != right.pieces:
            return None
        slot = self.program.least(left.slot, right.slot)
        return self.single(slot, left.pieces, (), left.is_global)

    cdef AxisView joined(self, items, extent):
        """The union: items and chains."""
        cdef dict chains = {}
        cdef list found = []
        for item in items:
            if isinstance(item, Chain):
                chains.setdefault((item.axis, item.size), []).extend(item.parts)
            else:
                found.append(item)
        if len(found) > 1:
            found = self.merged(found, extent)
        rest, alike = [], []
        for (axis, size), parts in chains.items():
            one_chain = self.chained(axis, size, parts)
            if isinstance(one_chain, AxisView):
                alike += (<AxisView> one_chain).items
            else:
                rest += one_chain
        if alike:
            return self.joined([*found, *rest, *alike], extent)
        return self.view((*found, *rest))

    cpdef list merged(self, list items, extent):
        """Items that vary with the same pieces and hold at the same places as one, in order."""
        cdef dict kept = {}
        cdef Item one
        cdef list slots
        cdef bint masked = False
        for one in items:
            masked = masked or bool(one.masks)
            kept.setdefault((one.pieces, one.masks, one.is_global), []).append(one.slot)
        found = []
        for (pieces, masks, is_global), slots in kept.items():
            found.append(new_item(self.least(slots), pieces, masks, is_global))
        if masked and len(found) > 1:
            found = self.holding_anywhere(self.uncovered(found))
        if extent is not None and len(found) > MAX_ITEMS:
            found = self.written_out(found, extent)
        if len(found) > 1:
            found.sort(key=_slot)
        return found

    cdef int64_t least(self, list slots) except -1:
        """The union of slots: by twos, so that of many short parts none is gone through often."""
        while len(slots) > 1:
            last = slots[-1:] if len(slots) % 2 else []
            pairs = zip(slots[::2], slots[1::2])
            slots = [self.program.least(one, other) for one, other in pairs] + last
        return slots[0]

    cdef object chained(self, axis, size, list parts):
        """One chain of parts that come from several; what is seen alike from all is no chain."""
        made = []
        for begin, length, view in sorted(set(parts), key=_begin):
            if made and begin < made[-1][0] + made[-1][1]:
                if (begin, length) != made[-1][:2]:
                    # They overlap: each is a chain of its own.
                    return [new_chain(axis, size, (part,)) for part in parts]
                before = made.pop()[2]
                both = [*(<AxisView> before).items, *(<AxisView> view).items]
                view = self.joined(both, None)
            elif made and made[-1][2] is view and begin == made[-1][0] + made[-1][1]:
                if all([isinstance(item, Item) for item in (<AxisView> view).items]):
                    # What is seen alike from neighbours is one part.
                    begin, length = made[-1][0], made.pop()[1] + length
            made.append((begin, length, view))
        first = made[0][2]
        if all([view is first for _, _, view in made]) and size == sum(
            [length for _, length, _ in made]
        ):
            if len(made) == 1 or not (<AxisView> first).axes >> <int64_t> axis & 1:
                return first
        return [new_chain(axis, size, tuple(made))]

    cdef list uncovered(self, list items):
        """The items of which no other one sees as much, wherever they hold."""
        cdef Item item, other
        cdef list found
        groups = {}
        for item in items:
            found = groups.setdefault((item.pieces, item.is_global), [])
            for other in found:
                if self.covers(other, item):
                    break
            else:
                found[:] = [other for other in found if not self.covers(item, other)]
                found.append(item)
        return [item for found in groups.values() for item in found]

    cdef bint covers(self, Item a, Item b):
        """Whether `a` holds wherever `b`, of the same pieces, does and sees no less there."""
        cdef Factor mask, other
        for mask in a.masks:
            for other in b.masks:
                if mask is other:
                    break
                if mask.pieces == other.pieces:
                    # Masks have 0 or nothing.
                    if self.program.least(mask.slot, other.slot) == mask.slot:
                        break
            else:
                return False
        return <bint> (self.program.least(a.slot, b.slot) == a.slot)

    cdef list holding_anywhere(self, list items):
        """Of items that differ in where they hold only, one for all."""
        while True:
            groups = {}
            for item in items:
                group = groups.setdefault((item.slot, item.pieces, item.is_global), [])
                for k, other in enumerate(group):
                    both = self.holding_at_either(item, other)
                    if both is not None:
                        group[k] = both
                        break
                else:
                    group.append(item)
            made = [item for group in groups.values() for item in group]
            if len(made) == len(items):
                return made
            items = made

    cpdef Item holding_at_either(self, Item a, Item b):
        """One for two items of which at most one mask differs."""
        if not (a.masks and b.masks):
            return a if not a.masks else b
        apart = sorted(set(a.masks) ^ set(b.masks), key=_slot)
        if not apart:
            return a
        if len(apart) != 2 or len(a.masks) != len(b.masks) or apart[0].pieces != apart[1].pieces:
            return None
        both = self.factor(self.program.least(apart[0].slot, apart[1].slot), apart[0].pieces)
        masks = [mask for mask in a.masks if mask not in apart]
        if not self.program.everywhere(both.slot):
            masks.append(both)
        return new_item(a.slot, a.pieces, tuple(sorted(masks, key=_slot)), a.is_global)

    cdef list written_out(self, list items, extent):
        """One item for each set of axes, whatever that takes."""
        sizes = dict(enumerate(extent))
        made = {}
        for item in items:
            one = self.coupled([item, *item.masks], sizes)
            ops = []
            pieces = self.expanded(one.pieces, set(sizes), sizes, ops)
            key = pieces, item.is_global
            slot = self.applied(one.slot, ops)
            if key in made:
                slot = self.program.least(made[key].slot, slot)
            made[key] = new_item(slot, pieces, (), item.is_global)
        return list(made.values())

    cdef list flat(self, AxisView view):
        """The items of a view, chains told by masks."""
        found = []
        for item, confined in leaves(view):
            masks = list(item.masks)
            for axis, begin, end, size in confined:
                word = self.word(Along(0, (-begin,), part=(begin, end)), end - begin, (size,))
                slot = self.program.window(self.zeros(end - begin), word)
                masks.append(self.factor(slot, (self.whole(axis, size),)))
            masks.sort(key=_slot)
            found.append(new_item(item.slot, item.pieces, tuple(masks), item.is_global))
        return found

    # ------------------------------------------------ items

    cpdef Item item(self, Item item, how):
        """What is seen of an item; None if it is nothing at all."""
        cdef Template made = None
        cdef Factor mask
        cdef list masks = []
        if not item.masks or isinstance(how, Move) or not needs_coupling(item, how, self.clips):
            made = self.template(item.pieces, how, False)
        if made is None:
            return self.planned(item, how)
        if made.is_nothing:
            return None
        slot = self.applied(item.slot, made.ops)
        is_global = item.is_global or made.is_global
        if not item.masks:
            return new_item(slot, made.pieces, made.masks, is_global)
        pieces = made.pieces
        for mask in item.masks:
            made = self.template(mask.pieces, how, True)
            masks.append(self.factor(self.applied(mask.slot, made.ops), made.pieces))
        kept = self.holding(masks)
        return None if kept is None else new_item(slot, pieces, kept, is_global)

    cdef Template template(self, tuple pieces, how, bint is_mask):
        """What happens to what runs along these pieces."""
        cdef Template made
        key = pieces, how, is_mask
        found = self.templates.get(key)
        if found is not None:
            return found
        made = self.templates[key] = Template.__new__(Template)
        made.masks = ()
        ops = []
        if isinstance(how, Move):
            made.pieces = self.moved(pieces, how, ops)
        else:
            self.begun(made, pieces, how, ops, is_mask)
        made.ops = tuple(ops)
        return made

    cdef int begun(
        self, Template made, tuple pieces, Plan plan, list ops, bint is_mask
    ) except -1:
        """Fill in a template for a plan."""
        cdef Step step
        cdef bint is_told
        cdef list masks = []
        made.is_global = loses_place(pieces, plan)
        for axis, step in plan.changes:
            is_told = step.kind == FOLD or self.gaps(step) < 0
            if runs_along(pieces, axis):
                if step.kind == WINDOW and (is_mask or not self.keeps_slot(pieces, axis, step)):
                    is_told = True
                    pieces = self.windowed(pieces, axis, step, plan, ops)
                else:
                    pieces = self.along(pieces, axis, step, plan, ops)
            if not is_told:
                masks.append(self.factor(self.gaps(step), self.landed(step.steady, {})))
        made.pieces = self.landed(pieces, plan.outs)
        made.is_global = made.is_global and not any_grows(made.pieces)
        kept = self.holding(masks)
        if kept is None:
            made.is_nothing = True
        else:
            made.masks = kept
        return 0

    cdef Item planned(self, Item item, Plan plan):
        """What is seen of an item with masks."""
        cdef Step step
        cdef Factor factor
        cdef list factors = [item, *item.masks]
        cdef list own, ops
        cdef bint is_told, is_global = loses_place(item.pieces, plan)
        for axis, step in plan.changes:
            own = [k for k, f in enumerate(factors) if runs_along((<Factor> f).pieces, axis)]
            is_told = step.kind == FOLD or self.gaps(step) < 0
            if len(own) > 1 and step.joins:
                factors[own[0]] = self.coupled([factors[k] for k in own], plan.sizes)
                for k in reversed(own[1:]):
                    del factors[k]
                del own[1:]
            for k in own:
                factor = factors[k]
                if step.kind == WINDOW and (k or not self.keeps_slot(factor.pieces, axis, step)):
                    is_told = True
                    ops = []
                    pieces = self.windowed(factor.pieces, axis, step, plan, ops)
                else:
                    ops = []
                    pieces = self.along(factor.pieces, axis, step, plan, ops)
                factors[k] = new_factor(self.applied(factor.slot, ops), pieces)
            if not is_told:
                factors.append(new_factor(self.gaps(step), step.steady))
        masks = self.holding(
            [
                self.factor((<Factor> f).slot, self.landed((<Factor> f).pieces, plan.outs))
                for f in factors[1:]
            ]
        )
        if masks is None:
            return None
        factor = factors[0]
        pieces = self.landed(factor.pieces, plan.outs)
        is_global = item.is_global or (is_global and not any_grows(pieces))
        return new_item(factor.slot, pieces, masks, is_global)

    cdef tuple holding(self, list masks):
        """The masks that have nothing somewhere; None if one has nothing anywhere."""
        cdef Factor mask
        if not masks:
            return ()
        kept = set()
        for mask in masks:
            if not self.program.somewhere(mask.slot):
                return None
            if not self.program.everywhere(mask.slot):
                kept.add(mask)
        return tuple(sorted(kept, key=_slot))

    cdef tuple landed(self, tuple pieces, dict outs):
        """The pieces by the output's axes; `outs` are those of axes that are read as they are."""
        cdef Piece piece
        cdef list found = []
        for piece in pieces:
            axis = ~piece.axis if piece.axis < 0 else outs[piece.axis]
            if axis != piece.axis:
                piece = self.piece(axis, piece.inner, piece.size, piece.shift, piece.grows)
            found.append(piece)
        return tuple(found)

    # ------------------------------------------------ slots and pieces

    # What is to be done to a slot is noted in `ops`: the number of a word, or -1 for all of an
    # axis, the axis's length, and how many coordinates there are above and below it.

    cdef int64_t applied(self, int64_t slot, ops) except -1:
        """The slot that these operations make of one."""
        for word, size, above, below in ops:
            if word >= 0:
                slot = self.program.window(slot, word, above, below)
            else:
                slot = self.program.fold(slot, above, size, below)
        return slot

    cdef bint keeps_slot(self, tuple pieces, int64_t axis, Step step):
        """Whether one coordinate is read along an axis of which the pieces are digits: these keep
        their slot when the axis is cut or padded.
        """
        return step.shift is not None and not is_plain(pieces, axis, step.size)

    cdef tuple along(self, tuple pieces, int64_t axis, Step step, Plan plan, list ops):
        """Pieces read along one axis along which they run; those of the output are marked."""
        cdef Piece p
        if step.kind == FOLD:
            return self.folded(pieces, axis, plan.sizes, ops)
        if not self.keeps_slot(pieces, axis, step):
            return self.windowed(pieces, axis, step, plan, ops)
        out = ~step.outs[0][0]
        made = []
        for p in pieces:
            if p.axis == axis:
                p = self.piece(out, p.inner, p.size, p.shift - step.shift, p.grows)
            made.append(p)
        return tuple(made)

    cdef tuple folded(self, tuple pieces, int64_t axis, dict sizes, list ops):
        cdef Piece piece
        cdef int k = 0
        if not are_independent([p for p in pieces if p.axis == axis], sizes[axis]):
            pieces = self.expanded(pieces, {axis}, sizes, ops)
        while k < len(pieces):
            piece = pieces[k]
            if piece.axis == axis:
                above, below = around(pieces, k)
                ops.append((-1, piece.size, above, below))
                pieces = pieces[:k] + pieces[k + 1 :]
            else:
                k += 1
        return pieces

    cdef tuple windowed(self, tuple pieces, int64_t axis, Step step, Plan plan, list ops):
        cdef Piece piece
        cdef int k = 0
        if not is_plain(pieces, axis, step.size):
            pieces = self.expanded(pieces, {axis}, plan.sizes, ops)
        for k in range(len(pieces)):
            piece = pieces[k]
            if piece.axis == axis:
                break
        above, below = around(pieces, k)
        made = step.growing if piece.grows else step.steady
        outs = {out for out, _ in step.outs}
        if any([p is not piece and landing(p, plan) in outs for p in pieces]):
            return self.windowed_jointly(pieces, k, step, plan, made, ops)
        ops.append((step.word, step.size, above, below))
        return (*pieces[:k], *made, *pieces[k + 1 :])

    cdef tuple windowed_jointly(
        self, tuple pieces, int k, Step step, Plan plan, tuple made, list ops
    ):
        """Read along the axis of the k-th piece by progressions that follow axes of the output
        along which other pieces run too, such as the keys that each query sees.
        """
        cdef Piece p
        wanted = []
        grows = False
        outs = {out for out, _ in step.outs}
        for p in pieces:
            if landing(p, plan) in outs:
                grows = grows or p.grows
            elif p is not pieces[k]:
                wanted.append(p)
        first = len(wanted)
        wanted += step.growing if grows else made
        sizes = [p.size for p in wanted]
        grids = np.ogrid[tuple([slice(n) for n in sizes])]
        number = {out: grids[first + j] for j, (out, _) in enumerate(step.outs)}
        starts, counts, stride = rfgraph.reads.words.coordinates(step.read, step.size, step.extent)
        dims = (1,) * first + tuple([n for _, n in step.outs])
        place = np.zeros((), dtype=np.int64)
        left = iter(grids[:first])
        for j in range(len(pieces)):
            p = pieces[j]
            if j == k:
                digit = starts.reshape(dims)
            elif landing(p, plan) in outs:
                digit = p.of(number[landing(p, plan)])
            else:
                digit = next(left)
            place = place * p.size + digit
        _, below = around(pieces, k)
        size = prod([p.size for p in pieces])
        index = np.broadcast_to(place, sizes)
        word = self.table(
            index, np.broadcast_to(counts.reshape(dims), sizes), stride * below, size
        )
        ops.append((word, size, 1, 1))
        return tuple(wanted)

    cdef tuple expanded(self, tuple pieces, axes, dict sizes, list ops):
        """Pieces of some axes replaced by the axes themselves."""
        wanted = []
        done = set()
        for piece in pieces:
            if piece.axis not in axes:
                wanted.append(piece)
            elif piece.axis not in done:
                done.add(piece.axis)
                grows = any([p.grows for p in pieces if p.axis == piece.axis])
                wanted.append(self.whole(piece.axis, sizes[piece.axis], grows))
        self.read_by(pieces, wanted, ops)
        return tuple(wanted)

    cdef int read_by(self, tuple pieces, list wanted, list ops) except -1:
        """Read by other pieces: a slot's own ones, or whole axes."""
        cdef Piece p
        bare = [self.piece(p.axis, p.inner, p.size, p.shift, False) for p in pieces]
        places = {
            self.piece(p.axis, p.inner, p.size, p.shift, False): k for k, p in enumerate(wanted)
        }
        if bare == list(places):
            return 0
        size = prod([p.size for p in bare])
        key = tuple(bare), tuple(places)
        word = self.words.get(key)
        if word is not None:
            ops.append((word, size, 1, 1))
            return 0
        by_axis = {p.axis: k for k, p in enumerate(wanted)}
        # Each of the wanted ones as if it were an axis.
        own = []
        for p in bare:
            k = places.get(p)
            if k is None:
                own.append(Piece(by_axis[p.axis], p.inner, p.size, p.shift))
            else:
                own.append(Piece(k, 1, p.size))
        sizes = [p.size for p in wanted]
        number = dict(enumerate(np.ogrid[tuple([slice(n) for n in sizes])]))
        self.words[key] = self.gather(np.broadcast_to(digits_at(own, number), sizes), size)
        ops.append((self.words[key], size, 1, 1))
        return 0

    cdef int64_t gather(self, index, int64_t size) except -1:
        """The number of a progression of one coordinate, of so many, for each place."""
        return self.table(index, np.ones(index.size, dtype=np.int64), 1, size)

    cdef Factor coupled(self, factors, dict sizes):
        """Factors as one, that has nothing where one of them has nothing."""
        cdef Piece p
        cdef Factor factor
        by_axis = {}
        for factor in factors:
            for p in factor.pieces:
                bare = self.piece(p.axis, p.inner, p.size, p.shift, False)
                by_axis.setdefault(p.axis, {})[bare] = None
        grows = {p.axis for p in factors[0].pieces if p.grows}
        wanted = []
        for axis, pieces in sorted(by_axis.items()):
            p = next(iter(pieces)) if len(pieces) == 1 else self.whole(axis, sizes[axis])
            wanted.append(self.piece(axis, p.inner, p.size, p.shift, axis in grows))
        slot = -1
        for factor in factors:
            ops = []
            self.read_by(factor.pieces, wanted, ops)
            own = self.applied(factor.slot, ops)
            slot = own if slot < 0 else self.program.where(slot, own)
        return new_factor(slot, tuple(wanted))

    cdef tuple moved(self, tuple pieces, Move move, list ops):
        """Pieces of a value that is rearranged."""
        cdef Piece p
        pieces = self.regrouped(pieces, move.source, move.view, ops)
        place = {a: b for b, a in enumerate(move.permutation)}
        pieces = tuple(
            [self.piece(place[p.axis], p.inner, p.size, p.shift, p.grows) for p in pieces]
        )
        between = tuple([move.view[a] for a in move.permutation])
        return self.regrouped(pieces, between, move.extent, ops)

    cdef tuple regrouped(self, tuple pieces, tuple source, tuple target, list ops):
        """Pieces of a value of shape `source`, reshaped to `target`.

        Where a piece can't be cut at the ends of the target's axes, its slot is written out along
        the digits that decide it; what the others run along stays as it is.
        """
        cdef Piece p
        cdef int k
        if source == target or not pieces:
            return pieces
        cuts = [digits_after(p, source, target) for p in pieces]
        by_axis = {}
        for digits, _ in cuts:
            for p in digits:
                by_axis.setdefault(p.axis, []).append(p)
        if not all([is_it for _, is_it in cuts]):
            if not all([are_apart(digits, target[axis]) for axis, digits in by_axis.items()]):
                # What several are decided by is followed once for all.
                wanted = []
                for axis, digits in sorted(by_axis.items()):
                    p = digits[0]
                    grows = any([other.grows for other in digits])
                    if any([(d.inner, d.size) != (p.inner, p.size) or d.shift for d in digits]):
                        p = self.whole(axis, target[axis])
                    wanted.append(self.piece(axis, p.inner, p.size, 0, grows))
                word = self.placed_at(pieces, tuple(wanted), source, target)
                ops.append((word, prod([p.size for p in pieces]), 1, 1))
                return tuple(wanted)
        made = []
        for k in range(len(pieces) - 1, -1, -1):
            digits, is_it = cuts[k]
            if not is_it:
                p = pieces[k]
                word = self.placed_at((p,), tuple(digits), source, target)
                above = prod([(<Piece> other).size for other in pieces[:k]])
                ops.append((word, p.size, above, prod([other.size for other in made])))
            made[:0] = digits
        return tuple(
            [self.piece(p.axis, p.inner, p.size, p.shift, p.grows) for p in put_together(made)]
        )

    cdef int64_t placed_at(
        self, tuple pieces, tuple wanted, tuple source, tuple target
    ) except -1:
        """The number of the progression of a slot's coordinates along its pieces, which run along a
        value of shape `source`, for all that digits of the value reshaped to `target` can be: these
        decide it.
        """
        cdef Piece p
        sizes = [p.size for p in wanted]
        flat = np.zeros((), dtype=np.int64)
        for p, digit in zip(wanted, np.ogrid[tuple([slice(n) for n in sizes])]):
            flat = flat + digit * (p.inner * prod(target[p.axis + 1 :]))
        coordinates = {}
        for axis in range(len(source) - 1, -1, -1):
            coordinates[axis], flat = flat % source[axis], flat // source[axis]
        index = np.broadcast_to(digits_at(pieces, coordinates), sizes)
        return self.gather(index, prod([p.size for p in pieces]))


# ---------------------------------------------------------------- the walk


# A model is seen as it is, as constants cut it, and at some more sizes.
cdef int FEW = 3


cdef class Recipe:
    """How an output is read of a node's inputs.

    Attributes
    ----------
    reads : list of Read
        What it is made of, kept so that no other one gets its place.
    axis : int
        The axis along which all inputs are placed, if that is all that happens; else -1.
    parts : list of (int, int)
        Where each begins along it, and how long it is.
    sources : list of (int or Recipe, Plan or Move or None)
        What is read, by position or by way of a stage, and how.
    joined : list of (list, dict)
        Of inputs that are placed along an axis, what was seen of them, and what it made: the last
        few.
    """

    cdef list reads
    cdef object extent
    cdef int axis
    cdef list parts
    cdef list sources
    cdef list joined
    # Whether there are no elements to be made.
    cdef bint is_empty

    def __init__(self, list reads, extent):
        self.reads, self.extent = reads, extent
        self.is_empty = extent is not None and 0 in extent
        self.sources = []
        self.joined = []
        self.axis = -1


cdef class Walk:
    """Carries the views of all inputs through the steps of a `rfgraph.engine.trace.Flow`.

    Parameters
    ----------
    flow : Flow
        The steps.
    lowering : Lowering
        Makes instructions of their reads.
    axes : mapping of str to sequence of int, optional
        The inputs and the axes of them that are followed; all if left out.

    Attributes
    ----------
    views : dict of str to dict of str to tuple of AxisView
        By value, then by input: one for each axis of the input that is followed.
    """

    cdef object flow
    cdef dict inputs
    cdef readonly Lowering lowering
    cdef readonly dict views
    cdef object shape_of
    cdef object axes
    cdef dict recipes

    def __init__(self, flow, Lowering lowering not None, axes=None):
        self.flow, self.lowering, self.axes = flow, lowering, axes
        self.inputs = flow.inputs
        # What the data decide no size of has its shapes at hand.
        self.shape_of = flow.shape if flow.shapes.unsized else flow.shapes.shape
        self.recipes = lowering.recipes
        self.views = {}
        for name, shape in flow.inputs.items():
            shape = shape or ()
            if 0 not in shape and (axes is None or name in axes):
                view = lowering.seeds.get(shape)
                if view is None:
                    view = lowering.seeds[shape] = lowering.seed(shape)
                self.views[name] = {name: self.asked(name, view)}

    cdef tuple asked(self, name, tuple view):
        """A view of an input, of the axes that are followed."""
        return view if self.axes is None else tuple([view[axis] for axis in self.axes[name]])

    def run(self, progress=None, int every=1000, rounds=256):
        """Go through all steps.

        Parameters
        ----------
        progress : callable, optional
            Called on long work, after so many steps, with the number of steps done and of all.
        every : int
            After how many steps.
        rounds : int
            So often a loop is gone round before what still grows is taken to see everything.
        """
        steps = self.flow.steps
        total = len(steps)
        for done, step in enumerate(steps, 1):
            if progress is not None and total >= every and (done % every == 0 or done == total):
                progress(done, total)
            self.step(step, rounds)

    cdef int step(self, Traced step, rounds) except -1:
        cdef tuple names, outputs
        cdef list reads = step.reads
        cdef Recipe recipe
        cdef Py_ssize_t k
        cdef Node node = step.node
        if step.cycle is not None:
            self.settle(step.cycle, rounds)
        outputs = node.outputs
        names = (*node.inputs, *node.captures) if node.captures else node.inputs
        for k in range(min(len(outputs), len(reads))):
            name = outputs[k]
            if not name or not reads[k] or name in self.inputs:
                continue
            try:
                found = self.recipes.get(address(reads[k]))
                if found is None:
                    found = self.recipe(names, reads[k], self.shape_of(name))
                recipe = found
                if not recipe.is_empty:
                    self.views[name] = self.gather(names, recipe)
            except MemoryError as error:
                raise ShapeError(
                    f"out of memory for the bounds of '{name}'"
                    + (f": {error}" if str(error) else ""),
                    node=str(node),
                    remedy="give smaller sizes with shapes= or --shape, or more memory with "
                    "--memory",
                ) from None
            except OverflowError:
                raise ShapeError(
                    "numbers in its attributes are too large",
                    node=str(node),
                    remedy="no runtime runs it: export the model again",
                ) from None
        return 0

    cdef Recipe recipe(self, tuple names, list reads, extent):
        cdef Recipe made = self.recipes.get(address(reads))
        if made is not None:
            return made
        made = self.recipes[address(reads)] = Recipe(reads, extent)
        if len(reads) > 1 and self.concatenation(made, names):
            return made
        for read in reads:
            source = read.source
            if isinstance(source, Stage):
                inner = self.recipe(names, source.reads, source.shape)
                made.sources.append((inner, self.lowering.how(read, source.shape, extent)))
            else:
                shape = self.shape_of(names[source])
                made.sources.append((source, self.lowering.how(read, shape, extent)))
        return made

    cdef bint concatenation(self, Recipe made, tuple names):
        """Fill in a recipe of reads that place their inputs along one axis; False for others."""
        cdef int axis = -1, k
        extent = made.extent
        parts, sources = [], []
        for read in made.reads:
            source = read.source
            if not isinstance(read, PerAxis) or isinstance(source, Stage) or extent is None:
                return False
            shape = self.shape_of(names[source])
            if shape is None or len(shape) != len(extent):
                return False
            along = read.axes
            for k in range(len(along)):
                if along[k] is same(k) and shape[k] == extent[k]:
                    continue
                r = along[k]
                if axis < 0:
                    axis = k
                if k != axis or not isinstance(r, Along) or r.axis != k or not is_shift(r):
                    return False
                begin = -r.starts[0]
                if r.part != (begin, begin + shape[k]) or not 0 <= begin <= extent[k] - shape[k]:
                    return False
                parts.append((begin, shape[k]))
            if len(parts) == len(sources):
                return False
            sources.append((source, read))
        made.axis, made.parts, made.sources = axis, parts, sources
        return True

    def seen(self, tuple names, list reads, extent):
        """What is seen of each input by what reads `names` so."""
        return self.gather(names, self.recipe(names, reads, extent))

    cdef dict gather(self, tuple names, Recipe recipe):
        """What is seen of each input by what is made by a recipe."""
        cdef dict found = {}
        cdef dict seen
        cdef tuple view
        cdef list kept
        if len(recipe.sources) == 1:
            source, how = recipe.sources[0]
            if isinstance(source, Recipe):
                seen = self.gather(names, source)
            else:
                seen = self.views.get(names[source], {})
            if how is None:
                return seen
            for name, view in seen.items():
                made = self.lowering.through(view, how)
                if made is not None:
                    found[name] = made
            return found
        if recipe.axis >= 0:
            return self.concatenated(names, recipe)
        for source, how in recipe.sources:
            if isinstance(source, Recipe):
                seen = self.gather(names, source)
            else:
                seen = self.views.get(names[source], {})
            for name, view in seen.items():
                made = view if how is None else self.lowering.through(view, how)
                if made is None:
                    continue
                kept = found.get(name)
                if kept is None:
                    found[name] = [made]
                else:
                    kept.append(made)
                    if len(kept) == MANY:
                        found[name] = [self.lowering.union(kept, recipe.extent)]
        for name, kept in found.items():
            found[name] = kept[0] if len(kept) == 1 else self.lowering.union(kept, recipe.extent)
        return found

    cdef dict concatenated(self, tuple names, Recipe recipe):
        """`gather` where every source is a part of one axis."""
        cdef dict by_input = {}
        cdef dict found = {}
        cdef list joined = []
        cdef int k, axis = recipe.axis
        size = recipe.extent[axis]
        for k in range(len(recipe.sources)):
            source = recipe.sources[k][0]
            joined.append(tuple(self.views.get(names[source], {}).items()))
        for before, views in recipe.joined:
            if joined == before:
                return dict(views)
        for k in range(len(joined)):
            for name, view in joined[k]:
                by_input.setdefault(name, []).append((k, view))
        for name, views in by_input.items():
            made = []
            for alongs in zip(*[view for _, view in views]):
                if any([(<AxisView> along).direct >> axis & 1 for along in alongs]):
                    items = []
                    for (k, _), along in zip(views, alongs):
                        source, read = recipe.sources[k]
                        how = self.lowering.how(read, self.shape_of(names[source]), recipe.extent)
                        seen = along if how is None else self.lowering.reading(along, how)
                        items += (<AxisView> seen).items
                    made.append(self.lowering.joined(items, recipe.extent))
                    continue
                parts = [(*recipe.parts[k], along) for (k, _), along in zip(views, alongs)]
                one = self.lowering.chained(axis, size, parts)
                if isinstance(one, list):
                    one = self.lowering.view(tuple(one))
                made.append(one)
            if all([(<AxisView> along).items for along in made]):
                found[name] = tuple(made)
        recipe.joined = [(joined, dict(found)), *recipe.joined[:FEW]]
        return found

    cdef int settle(self, cycle, rounds) except -1:
        """Go round until no view changes: after some rounds what still grows sees everything.

        It ends. A view that is replaced by one of everything is not changed again, so that after
        `rounds` each round but the last makes a carried value see one more input, or everything
        of one, and there are only so many of both.
        """
        cdef set full = set()
        for _, inner, _ in cycle.carried:
            self.views.pop(inner, None)
        for done in itertools.count():
            changed = not done
            for names, inner, reads in cycle.carried:
                extent = self.shape_of(inner)
                before = self.views.get(inner, {})
                after = dict(
                    self.gather(tuple(names), self.recipe(tuple(names), reads, extent))
                )
                for name, view in after.items():
                    if (inner, name) in full or (
                        name in before and before[name] == view
                    ):
                        after[name] = before[name]
                        continue
                    changed = True
                    if done > rounds:
                        shape = self.flow.inputs[name] or ()
                        after[name] = self.asked(name, self.lowering.everything(shape))
                        full.add((inner, name))
                self.views[inner] = after
            if not changed:
                return 0
            for inside in cycle.steps:
                self.step(inside, rounds)
        return 0


def _slot(Factor factor not None):
    return factor.slot


def _begin(tuple part):
    return part[0], part[1]


cdef bint runs_along(tuple pieces, int64_t axis):
    cdef Piece piece
    for piece in pieces:
        if piece.axis == axis:
            return True
    return False


cdef bint is_plain(tuple pieces, int64_t axis, int64_t size):
    """Whether pieces run along an axis as it is."""
    cdef Piece piece
    cdef int found = 0
    for piece in pieces:
        if piece.axis == axis:
            if found or not piece.is_whole(size):
                return False
            found += 1
    return True


cdef bint needs_coupling(Item item, Plan plan, bint clips):
    """Whether an item can't be read factor by factor."""
    cdef Factor factor
    cdef Step step
    cdef int own
    if plan.places if clips else plan.parts:
        return True
    for axis, step in plan.changes:
        if step.joins:
            own = runs_along(item.pieces, axis)
            for factor in item.masks:
                own += runs_along(factor.pieces, axis)
            if own > 1:
                return True
    return False


cdef object landing(Piece piece, Plan plan):
    """The axis of the output along which a piece runs, as far as that is known; else None."""
    return ~piece.axis if piece.axis < 0 else plan.outs.get(piece.axis)


cdef bint any_grows(tuple pieces):
    cdef Piece piece
    for piece in pieces:
        if piece.grows:
            return True
    return False


cdef bint loses_place(tuple pieces, Plan plan):
    """Whether a statistic is taken along an axis along which the pieces run."""
    cdef Piece piece
    cdef Step step
    for axis, step in plan.changes:
        if step.is_statistic:
            for piece in pieces:
                if piece.axis == axis and piece.size > 1:
                    return True
    return False


cdef tuple around(tuple pieces, int k):
    """How many values the pieces before the k-th have together, and those behind it."""
    cdef int64_t above = 1, below = 1
    cdef int j
    for j in range(len(pieces)):
        if j < k:
            above *= (<Piece> pieces[j]).size
        elif j > k:
            below *= (<Piece> pieces[j]).size
    return above, below


cdef bint are_apart(list pieces, int64_t extent):
    """Whether the digits of one axis have no more values together than there are coordinates."""
    return len(pieces) == 1 or are_independent(pieces, extent)


cdef bint are_independent(list pieces, int64_t extent):
    """Whether the digits of one axis take all of their values in all combinations."""
    cdef Piece piece
    cdef int64_t reach = 1
    if len(pieces) > 1:
        pieces.sort(key=_inner)
    for piece in pieces:
        if piece.shift or piece.inner % reach:
            return False
        reach = piece.inner * piece.size
    return reach <= extent


def _inner(Piece piece not None):
    return piece.inner


def digits_at(pieces, coordinates):
    """The coordinate of a slot where the axes of its value have some, which broadcast."""
    place = np.zeros((), dtype=np.int64)
    for piece in pieces:
        place = place * piece.size + piece.of(coordinates[piece.axis])
    return place


def written(program, Factor factor not None, extent, at=None):
    """First coordinates, and last ones negated, that a value of shape `extent` has of a factor.

    Of shape (2, ...), of length 1 along axes on which it doesn't vary. With `at` only at these
    coordinates, by axis.
    """
    cdef Piece piece
    cdef list axes = [piece.axis for piece in factor.pieces]
    ends = np.empty((2, program.size(factor.slot)), dtype=np.int64)
    program.write_out(factor.slot, ends)
    if at is None:
        at = {}
    if any([a >= b for a, b in itertools.pairwise(axes)]) or not all(
        [piece.axis not in at and piece.is_whole(extent[piece.axis]) for piece in factor.pieces]
    ):
        axes = sorted(set(axes))
        grid = {}
        for k, axis in enumerate(axes):
            own = at[axis] if axis in at else np.arange(extent[axis])
            grid[axis] = own.reshape([-1 if j == k else 1 for j in range(len(axes))])
        ends = ends[:, digits_at(factor.pieces, grid)]
    sizes = [len(at[a]) if a in at else n for a, n in enumerate(extent)]
    return ends.reshape(2, *[n if a in axes else 1 for a, n in enumerate(sizes)])


def digits_after(Piece piece not None, tuple source, tuple target):
    """The digits along a value reshaped from `source` to `target` that decide what a piece is, and
    whether it is made of them, the first one the most significant.

    >>> rows = Piece(0, 1, 6, grows=True)
    >>> digits_after(rows, (6, 8), (48,)), digits_after(rows, (6, 8), (3, 2, 8))
    (([Piece(0, 8, 6, grows=True)], True), ([Piece(0, 1, 3, grows=True), Piece(1, 1, 2)], True))
    >>> digits_after(rows, (6, 8), (4, 12))
    ([Piece(0, 1, 4, grows=True), Piece(1, 4, 3, grows=True)], False)
    """
    cdef Piece p
    cdef int64_t own, total, flat, period, below, room, unit, size
    own, total = prod(source[piece.axis + 1 :]), source[piece.axis]
    below = 1
    for b in range(len(target) - 1, -1, -1):
        if below == own and target[b] == total > 1:
            return [Piece(b, piece.inner, piece.size, piece.shift, piece.grows)], True
        below *= target[b]
    # It changes every `flat` elements at most, and is the same after `period` ones.
    is_even = piece.shift == 0 and total % (piece.inner * piece.size) == 0
    if is_even:
        flat = own * piece.inner
        period = flat * piece.size
    else:
        flat = own * gcd(piece.inner, piece.shift, total)
        period = own * total
    made = []
    below = 1
    for b in range(len(target) - 1, -1, -1):
        room = below * target[b]
        if flat % room:
            # The lowest axis that matters counts in steps that neither end of it cuts.
            unit = gcd(flat, room) if flat % below == 0 else below
            size = min(room // unit, period // gcd(period, unit))
            if size > 1:
                made.insert(0, Piece(b, unit // below, size, 0, piece.grows))
        below = room
    below = flat
    for p in reversed(made):
        if p.inner * prod(target[p.axis + 1 :]) != below:
            return made, False
        below *= p.size
    if below != period or not is_even:
        return made, False
    # What it would have more values of is told by the most significant one alone.
    return [*made[:1], *[Piece(p.axis, p.inner, p.size) for p in made[1:]]], True


def put_together(list pieces):
    """Neighbouring digits of one axis, as after what was cut is put together again, are one."""
    cdef Piece piece, other
    made = list(pieces)
    for k in range(len(made) - 1, 0, -1):
        piece, other = made[k], made[k - 1]
        if (
            other.axis == piece.axis
            and other.shift == piece.shift
            and other.inner == piece.inner * piece.size
        ):
            size = other.size * piece.size
            grows = other.grows or piece.grows
            made[k - 1 : k + 1] = [Piece(piece.axis, piece.inner, size, piece.shift, grows)]
    return made


def leaves(AxisView view not None, bint local=False):
    """All items of a view, and to which coordinates those of chains are confined.

    Yields
    ------
    item : Item
        One that is not global, with `local`.
    confined : list of (int, int, int, int)
        For each axis of the value along which it is in a chain: the axis, the first and past the
        last coordinate, and the axis's length.
    """
    pending = [(view, [])]
    while pending:
        current, confined = pending.pop()
        for item in (<AxisView> current).items:
            if isinstance(item, Item):
                if not (local and (<Item> item).is_global):
                    yield item, confined
                continue
            outer = [c for c in confined if c[0] == item.axis]
            offset, total = (outer[0][1], outer[0][3]) if outer else (0, item.size)
            others = [c for c in confined if c[0] != item.axis]
            for begin, size, inner in item.parts:
                begin += offset
                pending.append((inner, [*others, (item.axis, begin, begin + size, total)]))


cdef class Likeness:
    """Tells views of one axis of an input that differ only in which axes of the value they run
    along: the rows of a picture are seen as its columns are.
    """

    cdef dict known
    cdef dict numbers

    def __init__(self):
        self.known, self.numbers = {}, {}

    cpdef tuple of(self, AxisView view):
        """What a view is like.

        Returns
        -------
        number : int
            The same for all that are alike.
        axes : tuple of int
            The axes of the value that it knows, in the order in which it names them.
        is_confined : bool
            Whether something holds at some of the value's coordinates only.
        is_split : bool
            Whether something runs along an upper digit of an axis.
        """
        cdef AxisView current
        found = self.known.get(view)
        if found is not None:
            return found
        # From the inside out: there may be thousands of concatenations in each other.
        pending = [view]
        while pending:
            current = pending[-1]
            needed = []
            for item in current.items:
                if isinstance(item, Chain):
                    needed += [part for _, _, part in item.parts if part not in self.known]
            if needed:
                pending += needed
            else:
                self.known[pending.pop()] = self.told(current)
        return self.known[view]

    cdef tuple told(self, AxisView view):
        cdef Item item
        cdef Chain chain
        cdef Factor mask
        cdef Piece piece
        cdef list told = [], own
        cdef dict ranks = {}
        cdef bint is_confined = False, is_split = False
        for one in view.items:
            if isinstance(one, Chain):
                chain = one
                is_confined = True
                own = [ranks.setdefault(chain.axis, len(ranks)), chain.size]
                for begin, length, part in chain.parts:
                    number, axes, _, splits = self.known[part]
                    is_split = is_split or splits
                    own += (begin, length, number)
                    own += [ranks.setdefault(axis, len(ranks)) for axis in axes]
                told.append(tuple(own))
                continue
            item = one
            own = [item.slot, item.is_global]
            for piece in item.pieces:
                is_split = is_split or piece.inner > 1
                own.append(piece.told(ranks.setdefault(piece.axis, len(ranks))))
            for mask in item.masks:
                is_confined = True
                own.append(mask.slot)
                for piece in mask.pieces:
                    own.append(piece.told(ranks.setdefault(piece.axis, len(ranks))))
            told.append((tuple(own),))
        axes = tuple(ranks)
        if len(axes) > 1:
            # What is told in the order of the axes is not the same in another one.
            told.append(ascending(axes))
        key = tuple(told)
        number = self.numbers.setdefault(key, len(self.numbers))
        return number, axes, is_confined, is_split


def ascending(axes):
    """The places of axes in ascending order.

    >>> ascending((3, 1))
    (1, 0)
    """
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))
