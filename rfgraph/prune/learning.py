"""What is learnt of an output from what is known of the inputs, as the operator says of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from itertools import chain
from math import prod
from typing import Any

import numpy as np

from rfgraph.model.element_types import dtype_of
from rfgraph.model.graph import Node
from rfgraph.prune.facts import (
    MAX_ELEMENTS,
    Arrays,
    Fact,
    Knowledge,
    Lack,
    Learnt,
    at_rank,
    compressed,
    in_blocks,
    rows,
    some,
    worth,
)
from rfgraph.prune.passing import Drops, Moves, Passing, Pointwise, SoftmaxWeights, Sums
from rfgraph.prune.settling import (
    MASKING,
    SETTLING,
    Facts,
    maybe_masked,
    set_in_relation,
    settles,
)
from rfgraph.reads.compressed import moved
from rfgraph.reads.words import (
    Elementwise,
    Everything,
    PerAxis,
    Read,
    Rearrange,
    Shape,
    Stage,
    coordinates,
    followed,
    reads_everywhere,
)

# Facts are summed up only over at most _MAX_SUMMED elements, and with steps above 1 only over _MANY
# at a time.
_MAX_SUMMED = 1 << 22
_MANY = 64


class _TooWideError(Exception):
    """Raised where a fact would have to be written out over several axes."""


# ---------------------------------------------------------------- moved elements


def _of_moves(
    how: Moves, known: Knowledge, node: Node, per_output: Sequence[Sequence[Read]]
) -> Sequence[Learnt | None]:
    """What is learnt of the outputs of a node that is one of `Moves`."""
    pairs = zip(node.outputs, per_output, strict=False)
    return [_moved(how, known, node, name, reads) for name, reads in pairs]


def _moved(
    how: Moves, knowledge: Knowledge, node: Node, name: str, reads: Sequence[Read]
) -> Learnt | None:
    shapes = knowledge.shapes
    extent = shapes.shape(name)
    if extent is None or 0 in extent or any(isinstance(r.source, Stage) for r in reads):
        return None
    parts = node.inputs if how.every else node.inputs[:1]
    steering: Sequence[str] = node.inputs[len(parts) :]
    if how.steering is not None:
        steering = [node.inputs[k] for k in how.steering if k < len(node.inputs)]
    if not knowledge.live.isdisjoint(steering):
        return None
    if how.fill is None and not any(map(knowledge.of, parts)):
        return None
    nowhere = np.zeros((1,) * len(extent), dtype=bool)
    known = below = maybe = read_at = nowhere
    value: np.ndarray | None = None
    for read in reads:
        assert isinstance(read.source, int)
        if read.source >= len(parts):
            continue
        source = shapes.shape(parts[read.source])
        there = None if source is None else _reached(read, source, extent)
        if there is None or source is None:
            return None
        read_at = read_at | there
        fact = knowledge.of(parts[read.source])
        if fact is None:
            continue
        try:
            found = fact.map(lambda a, r=read, n=source: _carried(a, r, n, extent))  # type: ignore[misc]
        except _TooWideError:
            return None
        own = found.known & there
        if found.below is not None:
            own = own | (found.below & there)
        value = found.value if value is None else np.where(own, found.value, value)
        known = known | (found.known & there)
        below = below if found.below is None else below | (found.below & there)
        maybe = maybe if found.maybe is None else maybe | (found.maybe & there)
    if how.fill is not None and not read_at.all():
        kind = dtype_of(shapes.element_type(node.inputs[0]))
        fill = how.fill(node, kind, lambda k: _number(knowledge, node, k))
        if fill is None and value is None:
            return None
        if fill is not None:
            value = fill if value is None else np.where(read_at, value, fill)
            known = known | ~read_at
    if value is None:
        return None
    return worth(known, at_rank(np.asarray(value), len(extent)), below, maybe)


def _number(known: Knowledge, node: Node, k: int) -> np.ndarray | None:
    """Input `k`, if all its elements are known; they are all one."""
    given = known.of(node.inputs[k]) if k < len(node.inputs) and node.inputs[k] else None
    if given is None or not given.known.all():
        return None
    return np.asarray(given.value.reshape(-1)[0])


def _reached(read: Read, source: Shape, extent: Shape) -> np.ndarray | None:
    """Where one element is read: bool, compressed; None where it may be several."""
    there = np.ones((1,) * len(extent), dtype=bool)
    if isinstance(read, Everything):
        return None
    if not isinstance(read, PerAxis):
        return there
    for r, size in zip(read.axes, source, strict=True):
        _, counts, _ = coordinates(r, size, extent)
        if (counts > 1).any():
            return None
        there = there & (counts > 0).reshape(_along(followed(r), extent))
    return there


def _along(axes: Sequence[int], extent: Shape) -> list[int]:
    """`extent` with length 1 along all axes but some."""
    return [size if axis in axes else 1 for axis, size in enumerate(extent)]


def _carried(array: np.ndarray, read: Read, source: Shape, extent: Shape) -> np.ndarray:
    """A compressed array over the elements of a source, over those of what reads it."""
    array = at_rank(array, len(source))
    if isinstance(read, Elementwise):
        return at_rank(array, len(extent))
    if isinstance(read, Rearrange):
        if array.size > 1 and prod(extent) > MAX_ELEMENTS:
            raise _TooWideError
        made: np.ndarray = moved(array[None], read, source, extent)[0]
        return made
    assert isinstance(read, PerAxis)
    varying = [axis for axis, n in enumerate(array.shape) if n > 1]
    outs = [axis for a in varying for axis in followed(read.axes[a])]
    work = array.reshape([array.shape[a] for a in varying])
    places = []
    for a in varying:
        starts, counts, _ = coordinates(read.axes[a], source[a], extent)
        places.append(np.clip(np.where(counts > 0, starts, 0), 0, source[a] - 1))
    if len(set(outs)) < len(outs) or any(at.ndim > 1 for at in places):
        # An output axis is followed by several, or one follows several: element by element.
        if prod(extent[axis] for axis in set(outs)) > MAX_ELEMENTS:
            raise _TooWideError
        at = [
            where.reshape(_along(followed(read.axes[a]), extent))
            for a, where in zip(varying, places, strict=True)
        ]
        return np.asarray(work[tuple(at)])
    for place, at_axis in reversed(list(enumerate(places))):
        work = np.take(work, at_axis, axis=place)
    order = sorted(range(len(outs)), key=outs.__getitem__)
    return work.transpose(order).reshape(_along(outs, extent))


# ---------------------------------------------------------------- sums


def _of_sums(
    how: Sums, known: Knowledge, node: Node, per_output: Sequence[Sequence[Read]]
) -> Sequence[Learnt | None]:
    """What is learnt of the outputs of a node that is one of `Sums`."""
    reads = per_output[0]
    extent = known.shapes.shape(node.outputs[0])
    if extent is None or 0 in extent:
        return ()
    left = np.zeros((1,) * len(extent), dtype=bool)
    if how.bias is not None and any(node.inputs[how.bias :]):
        bias = known.of(node.inputs[how.bias])
        if bias is None or bias.zeros is None:
            return ()
        left = left | ~bias.zeros.reshape(-1, *(1,) * (len(extent) - 2))
    # Where one factor is not read none is; what comes after them is added.
    for read in (r for r in reads if _operand(r) != 1):
        try:
            left = left | _nonzero(how, known, node, read, extent)
        except _TooWideError:
            return ()
        if left.all():
            return ()
    kind = dtype_of(known.shapes.element_type(node.outputs[0]))
    return [Learnt(Fact(compressed(~left), np.zeros((1,) * len(extent), dtype=kind)))]


def _nonzero(how: Sums, known: Knowledge, node: Node, read: Read, extent: Shape) -> np.ndarray:
    """The elements of which `read` reads something that may not be 0, compressed."""
    shape: Shape | None
    if isinstance(read.source, Stage):
        shape = read.source.shape
        inner = [_nonzero(how, known, node, r, shape) for r in read.source.reads]
        there = reduce(np.logical_or, inner)
    else:
        name = node.inputs[read.source]
        shape, fact = known.shapes.shape(name), known.of(name)
        there = np.ones((1,) * len(shape or ()), dtype=bool)
        told = how.cut and read.source == 0
        if fact is not None and fact.zeros is not None and not told:
            there = ~fact.zeros
    if shape is None or isinstance(read, Everything):
        raise _TooWideError
    if isinstance(read, PerAxis):
        return _any_read(there, read, shape, extent)
    return _carried(there, read, shape, extent)


def _operand(read: Read) -> int:
    """The input that is read in the end."""
    while isinstance(read.source, Stage):
        read = read.source.reads[0]
    return read.source


def _any_read(array: np.ndarray, read: PerAxis, source: Shape, extent: Shape) -> np.ndarray:
    """Where any of the elements that are read holds: bool, compressed."""
    rank = len(extent)
    work = at_rank(array, len(source))
    work = work.reshape((1,) * rank + work.shape)
    for r, size in zip(reversed(read.axes), reversed(source), strict=True):
        # The last axis that is left goes, those of the output that are followed come.
        varies = work.shape[-1] > 1
        if not varies and reads_everywhere(r, size, extent):
            work = work[..., 0]
            continue
        starts, counts, step = coordinates(r, size, extent)
        dims = (*_along(followed(r), extent), *(1,) * (work.ndim - rank - 1))
        starts, counts = starts.reshape(dims), counts.reshape(dims)
        if not varies:
            work = work[..., 0] & (counts > 0)
            continue
        ends = starts + counts
        most = prod(np.broadcast_shapes(dims, work.shape[:-1]))
        if max(most, work.size) > _MAX_SUMMED or (step > 1 and counts.max() > _MANY):
            raise _TooWideError
        if step == 1:
            # As many before the end as before the start: none between.
            before = np.zeros((*work.shape[:-1], work.shape[-1] + 1), dtype=np.int64)
            np.cumsum(work, axis=-1, out=before[..., 1:])
            some, none = (
                np.take_along_axis(before, np.where(counts > 0, at, 0)[..., None], axis=-1)[..., 0]
                for at in (ends, starts)
            )
            work = some > none
            continue
        found = np.zeros((1,) * (work.ndim - 1), dtype=bool)
        for k in range(int(counts.max())):
            at = np.where(k < counts, starts + k * step, 0)[..., None]
            found = found | (np.take_along_axis(work, at, axis=-1)[..., 0] & (k < counts))
        work = found
    return work


# ---------------------------------------------------------------- element by element


def _of_pointwise(
    how: Pointwise, known: Knowledge, node: Node, per_output: Sequence[Sequence[Read]]
) -> Sequence[Learnt | None]:
    """What is learnt of the outputs of a node that is one of `Pointwise`."""
    if not all(node.inputs) or len(node.outputs) != 1:
        return ()
    moving = [known.of(n) for n in node.inputs if n in known.live]
    if not how.settled_by and not all(moving):
        return ()
    facts = [known.of(name) for name in node.inputs]
    if not any(facts):
        return ()
    alive = tuple(name in known.live for name in node.inputs)
    rank = len(known.shapes.shape(node.outputs[0]) or ())
    if any(f is not None and f.value.size > MAX_ELEMENTS for f in facts):
        return ()

    def make(block: Facts) -> Learnt | None:
        return _evaluated(how, known, node, block, alive, rank)

    what = (node.kind, alive, rank)
    return [known.once(what, facts, lambda: _learnt(make, facts, rank))]


def _evaluated(
    how: Pointwise,
    knowledge: Knowledge,
    node: Node,
    facts: Facts,
    alive: tuple[bool, ...],
    rank: int,
) -> Learnt | None:
    given = [f for f in facts if f is not None]
    nowhere = np.zeros((1,) * rank, dtype=bool)
    known = below = maybe = nowhere
    value: np.ndarray | None = None
    if len(given) == len(facts):
        kinds = map(knowledge.shapes.element_type, node.inputs)
        values = [_widened(f.value, kind) for f, kind in zip(given, kinds, strict=True)]
        try:
            value = np.asarray(knowledge.evaluate(node.kind, values)[0])
        except MemoryError:
            raise
        except Exception:
            # The reference lacks this use of the operator: nothing is learnt.
            return None
        known = reduce(np.logical_and, (f.known for f in given))
    if how.settled_by and len(facts) > 1:
        evaluated = known
        for own, number, low in SETTLING[how.settled_by](facts):
            own, low = own & ~evaluated, low & ~evaluated
            value = number if value is None else np.where(own | low, number, value)
            known, below = known | own, below | low
        maybe = nowhere | maybe_masked(facts)
        if how.masked_by:
            maybe = maybe | MASKING[how.masked_by](facts)
    elif how.low:
        (fact,) = given
        assert value is not None
        if fact.below is not None and how.low == "vanishes":
            value = np.where(fact.below, np.zeros((), value.dtype), value)
            known = known | fact.below
        elif fact.below is not None:
            below = fact.below
        maybe = nowhere if fact.maybe is None else fact.maybe
    if value is None:
        value = np.zeros((1,) * rank, dtype=given[0].value.dtype)
    learnt = worth(*(at_rank(a, rank) for a in (known, value, below, maybe)))
    if learnt is None:
        return None
    implied = [f.known for f, a in zip(facts, alive, strict=True) if f is not None and a]
    settled = learnt.fact.known
    if implied and len(implied) == sum(alive):
        settled = settled & ~reduce(np.logical_and, implied)
    learnt.settled = some(settled)
    return learnt


def _widened(array: np.ndarray, kind: int) -> np.ndarray:
    """Numbers that are kept in the narrowest type, in the type that they are of."""
    return array.astype(dtype_of(kind)) if array.dtype == np.float16 and kind else array


def _of_drops(
    how: Drops, known: Knowledge, node: Node, per_output: Sequence[Sequence[Read]]
) -> Sequence[Learnt | None]:
    """What is learnt of the outputs of a node that is one of `Drops`."""
    fact = known.of(node.inputs[0])
    given = len(node.inputs) > 2 and bool(node.inputs[2])
    training = known.of(node.inputs[2]) if given else None
    if fact is None:
        return ()
    if not given or (training and training.zeros is not None):
        return [Learnt(fact)]
    if fact.zeros is None:
        return ()
    zero = np.zeros((1,) * fact.zeros.ndim, fact.value.dtype)
    return [Learnt(Fact(fact.zeros, zero))]


# ---------------------------------------------------------------- softmax


def _of_weights(
    how: SoftmaxWeights, known: Knowledge, node: Node, per_output: Sequence[Sequence[Read]]
) -> Sequence[Learnt | None]:
    """What is learnt of the outputs of a node that is one of `SoftmaxWeights`."""
    facts = [known.of(name) for name in node.inputs]
    shape = known.shapes.shape(node.inputs[0])
    fact = set_in_relation(facts, len(shape)) if shape else None
    if fact is None or not shape:
        return ()
    axis = how.axis(node, len(shape))
    if axis is None:
        return ()

    def make(block: Sequence[Fact]) -> Learnt | None:
        return _weights(block[0], axis)

    if len(facts) > 1:
        return [_learnt(make, [fact], len(shape), axis)]
    what = ("weights", axis, shape[axis])
    return [known.once(what, [fact], lambda: _learnt(make, [fact], len(shape), axis))]


def _learnt(
    make: Callable[[Sequence[Any]], Learnt | None],
    facts: Sequence[Fact | None],
    rank: int,
    whole: int | None = None,
) -> Learnt | None:
    """What `make` learns of facts that broadcast to `rank` axes, in blocks: see `in_blocks`."""

    def arrays(block: Sequence[Fact | None]) -> Arrays:
        learnt = make(block)
        if learnt is None:
            return (None,) * 5
        fact = learnt.fact
        return fact.known, fact.value, fact.below, fact.maybe, learnt.settled

    known, value, below, maybe, settled = in_blocks(arrays, facts, rank, whole)
    if known is None:
        return None
    assert value is not None
    if settled is not None and np.array_equal(settled, known):
        settled = known
    return Learnt(Fact(known, value, below, maybe), settled)


def _weights(fact: Fact, axis: int) -> Learnt | None:
    """Of a softmax along `axis`."""
    found = rows(fact, axis)
    if found.constant is None and found.masked is None:
        return None
    # What is known is 0, 1 or NaN: the narrowest type has them all.
    kind = np.dtype(np.float16)
    nowhere = np.zeros((1,) * fact.known.ndim, dtype=bool)
    constant = nowhere if found.constant is None else found.constant
    masked = nowhere if found.masked is None else found.masked
    # A row of -inf gives NaN, one that is left alone 1; of others that do not vary the numbers
    # are left open.
    nan = nowhere if fact.lost is None else constant & fact.lost.all(axis=axis, keepdims=True)
    one = nowhere if found.alone is None else found.alone & ~masked
    value = np.where(nan, np.asarray(np.nan, kind), one.astype(kind))
    learnt = worth(nan | one | masked, value, nowhere, nowhere)
    learnt = learnt or Learnt(Fact(nowhere, np.zeros(nowhere.shape, kind)))
    sure = masked
    if fact.maybe is not None:
        # Where the data may mask the whole row, even what is -inf turns into NaN.
        sure = masked & ~(masked | fact.maybe).all(axis=axis, keepdims=True)
    learnt.settled = some(constant | sure)
    return learnt


# ---------------------------------------------------------------- all together


def learn(
    known: Knowledge, node: Node, how: Passing | None, per_output: Sequence[Sequence[Read]]
) -> list[Learnt | None]:
    """What is known of the outputs of a node, of which `per_output` are all reads; it is kept."""
    known.forget(node.outputs)
    learnt: list[Learnt | None] = []
    if how is not None and known.is_sized(node):
        learnt += _LEARNING[type(how)](how, known, node, per_output)
    learnt += [None] * (len(node.outputs) - len(learnt))
    known.keep(node.outputs, [found.fact if found else None for found in learnt])
    return learnt


_LEARNING: Mapping[type, Callable[..., Sequence[Learnt | None]]] = {
    Drops: _of_drops,
    Moves: _of_moves,
    Pointwise: _of_pointwise,
    Sums: _of_sums,
    SoftmaxWeights: _of_weights,
}


def rests_on_zeros(how: Passing) -> bool:
    """Whether what is learnt depends on no more than which elements of the inputs are 0."""
    return isinstance(how, Sums)


def tells_of_nothing(
    known: Knowledge, node: Node, how: Passing | None, per_output: Sequence[Sequence[Read]]
) -> bool:
    """Whether something may be known of the outputs of a node of whose inputs nothing is."""
    if node.domain or (isinstance(how, Moves) and how.fill is not None):
        return True
    # A sum of nothing, as in the midst of padding, is known if what is added to it is.
    return isinstance(how, Sums) and any(learn(known, node, how._replace(bias=None), per_output))


# What a constant among the operands has to have to settle anything, where the others vary and
# nothing is known of them.
_SETTLES: Mapping[str, Lack] = {
    "zero": "zeros",
    "zero numerator": "zeros",
    "truth": "ones",
    "low term": "low",
    "low minuend": "low",
    "lowest": "low",
    "all low": "low",
}


def watched(
    known: Knowledge, node: Node, how: Passing | None, factors: Iterable[int]
) -> Sequence[int | Lack] | None:
    """What decides whether constants tell nothing of what a node reads or makes, as long as nothing
    is known of its inputs that vary.

    Parameters
    ----------
    known : Knowledge
        Knows which inputs vary.
    node : Node
        The node.
    how : Passing or None
        How what is known of inputs passes to outputs.
    factors : iterable of int
        The inputs with which its reads are multiplied.

    Returns
    -------
    tuple or None
        The positions of inputs, each followed by what it may not have; None if that is not enough
        to tell.
    """
    if node.domain or node.captures or (isinstance(how, Moves) and how.fill is not None):
        return None
    constants = [k for k, name in enumerate(node.inputs) if name not in known.live]
    found: set[tuple[int | Lack, ...]] = {(k, "zeros") for k in factors if k in constants}
    if how is None or isinstance(how, Sums):
        pass
    elif isinstance(how, Pointwise) and len(constants) < len(node.inputs):
        if how.settled_by:
            lack = _SETTLES.get(how.settled_by)
            if lack is None:
                return None
            found.update((k, lack) for k in constants)
            if how.masked_by:
                found.update((k, "low") for k in constants)
    elif constants and (not isinstance(how, Moves) or how.every or 0 in constants):
        return None
    return tuple(chain.from_iterable(sorted(found)))


def is_silent(
    known: Knowledge, node: Node, how: Passing | None, factors: Iterable[int] | None = None
) -> bool:
    """Whether nothing that is known of the inputs of a node tells what it reads or makes; but see
    `tells_of_nothing`.

    Parameters
    ----------
    known : Knowledge
        What is known.
    node : Node
        The node.
    how : Passing or None
        How what is known of inputs passes to outputs.
    factors : iterable of int, optional
        The inputs with which its reads are multiplied; if left out, any may be.
    """
    names = node.inputs
    if node.domain or node.captures or (isinstance(how, Moves) and how.fill is not None):
        return False
    if any(map(known.cutting, names if factors is None else [names[k] for k in factors])):
        return False
    if how is None:
        return True
    if isinstance(how, Sums):
        # What is added counts where nothing is summed up.
        return not any(known.cutting(name) for name in names if name in known.live)
    if isinstance(how, Moves):
        return not any(map(known.of, names if how.every else names[:1]))
    if isinstance(how, Pointwise) and any(n in known.live and not known.of(n) for n in names):
        # Beside what varies only what settles something tells anything.
        facts = map(known.of, names) if how.settled_by else ()
        return not any(fact is not None and settles(how, fact) for fact in facts)
    return not any(map(known.of, names))
