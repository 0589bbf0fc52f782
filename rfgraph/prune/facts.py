"""Partly known values: elements that are the same whatever the data are, of values that vary.

A masked score is -inf, a masked weight of attention is 0, whatever the scores are: with
``prune=True`` such elements read nothing, and what they are multiplied with is not read. A fact
about a value is kept compressed, at length 1 along the axes on which it doesn't vary. Facts begin
with constants, and few operators pass them on: those that move elements, by the reads that they
have anyway, those that work element by element, by evaluating them, and Softmax.

Values that vary are taken to be finite: 0 times one of them is 0 (docs/adr/0010-pruning.md).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from math import prod
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar

import numpy as np

from rfgraph.model.graph import Kind, Node
from rfgraph.model.sizes import Shape, all_known
from rfgraph.model.values import Values
from rfgraph.model.weights import may_have_zeros

T = TypeVar("T")

# Elements by which a constant may cut reads: attributes of `Fact`.
Lack: TypeAlias = Literal["zeros", "ones", "low"]

# The outputs of a node of a kind whose inputs are known.
Evaluate: TypeAlias = "Callable[[Kind, Sequence[Any]], Sequence[Any]]"

# An element masks a score if it adds at most this: while scores stay below SCORE, the softmax of a
# masked one is exactly 0 in every type, double precision too.
LOW = -5000.0

# Scores are assumed to stay below this before a mask is added.
SCORE = 2000.0

# From here on a number swallows what is added to it, in every type that reaches as far. What is of
# a narrower type, which doesn't, is compared with it in double precision.
SWALLOWS = np.float64(-1e30)
SWALLOWED = 1e20

# Facts about more elements than this are dropped.
MAX_ELEMENTS = 1 << 26

# This many elements are worked on at a time, to keep temporary arrays small.
_BLOCK = 1 << 18


@dataclass(eq=False)
class Fact:
    """What is known of the elements of a value.

    Attributes
    ----------
    known : ndarray of bool
        Which elements are known, compressed.
    value : ndarray
        What they are, and what has been added to those that are `below`; means nothing elsewhere.
        Compressed.
    below : ndarray of bool or None
        Elements that vary, but are so low that their softmax is 0. Compressed.
    maybe : ndarray of bool or None
        Elements of which the data decide whether they are masked. Compressed.
    """

    known: np.ndarray
    value: np.ndarray
    below: np.ndarray | None = None
    maybe: np.ndarray | None = None
    # What is known of its rows, by axis: see `rows`.
    _rows: dict[int, Rows] = field(default_factory=dict, repr=False)
    # What tells it from others, by what is asked of it, as of a constant: see `rfgraph.ops`.
    told: dict[str, Hashable] = field(default_factory=dict, repr=False)

    @property
    def nbytes(self) -> int:
        """How many bytes it takes."""
        arrays = (self.known, self.value, self.below, self.maybe)
        return sum(a.nbytes for a in arrays if a is not None)

    @property
    def shape(self) -> Shape:
        """Along each axis 1, or as many elements as it varies over."""
        arrays = (self.known, self.value, self.below, self.maybe)
        return np.broadcast_shapes(*(a.shape for a in arrays if a is not None))

    @cached_property
    def zeros(self) -> np.ndarray | None:
        """The elements that are 0, or False; None if there is none. Compressed."""
        return some(self.known & (self.value == 0)) if may_have_zeros(self.value) else None

    @cached_property
    def ones(self) -> np.ndarray | None:
        """The elements that are 1, or True."""
        return some(self.known & (self.value == 1))

    @cached_property
    def low(self) -> np.ndarray | None:
        """The elements that are so low that their softmax is 0 beside others."""
        if self.value.dtype.kind in "OUSbc":
            return None
        if self.below is None and self.value.size and self.value.min() > LOW:
            return None
        low = self.known & (self.value <= LOW)
        return some(low if self.below is None else low | self.below)

    @cached_property
    def deep(self) -> np.ndarray | None:
        """The elements that stay what they are, whatever is added to them."""
        return some(self.known & (self.value <= SWALLOWS)) if self.low is not None else None

    @cached_property
    def lost(self) -> np.ndarray | None:
        """The elements that are -inf: whatever stands beside them, their softmax is not seen."""
        return some(self.known & (self.value == -np.inf)) if self.low is not None else None

    def map(self, change: Callable[[np.ndarray], np.ndarray]) -> Fact:
        """The fact about the same elements elsewhere."""
        return Fact(
            change(self.known),
            change(self.value),
            None if self.below is None else change(self.below),
            None if self.maybe is None else change(self.maybe),
        )

    @cached_property
    def assumes(self) -> bool:
        """Whether some are `low` only as long as no score is very large or very low."""
        if self.below is not None and self.below.any():
            return True
        return bool(((self.value <= LOW) & (self.value > SWALLOWS) & self.known).any())


@cache
def _all(rank: int) -> np.ndarray:
    """All elements of a value of so many axes, compressed."""
    return np.broadcast_to(np.True_, (1,) * rank)


@dataclass(eq=False)
class Learnt:
    """What is learnt of an output of a node.

    Attributes
    ----------
    fact : Fact
        What is known of it.
    settled : ndarray of bool or None
        The elements that are known by this node, and not because what they read is. Compressed.
    """

    fact: Fact
    settled: np.ndarray | None = None


class Knowledge:
    """The facts about the values of one graph.

    Parameters
    ----------
    shapes : Values
        Shapes and static values.
    live : set of str
        Values that depend on an input of the model; it grows.
    evaluate : callable
        Gives the outputs of a node of a kind whose inputs are known.

    Attributes
    ----------
    varying : dict of str to Fact
        What has been learnt of values that are no constants.
    lacking : dict of str to set of str
        The constants of which it was seen that no element is 0, 1, or low enough to mask; what is
        no constant is among them.
    """

    def __init__(self, shapes: Values, live: set[str], evaluate: Evaluate) -> None:
        self.shapes = shapes
        self.live = live
        self.evaluate = evaluate
        self.varying: dict[str, Fact] = {}
        self.lacking: dict[Lack, set[str]] = {"zeros": set(), "ones": set(), "low": set()}
        self._constants: dict[str, Fact | None] = {}
        # With their arguments, so that no identity is given away twice.
        self._made: dict[Hashable, tuple[Any, Any]] = {}

    def of(self, name: str) -> Fact | None:
        """What is known of a value; None if that is nothing."""
        if name in self.live or name in self.varying:
            return self.varying.get(name)
        if name not in self._constants:
            found = self.shapes.found(name)
            if found is None:
                self._constants[name] = self._constant(name)
            else:
                if "fact" not in found:
                    found["fact"] = self._constant(name)
                self._constants[name] = found["fact"]
        return self._constants[name]

    def _constant(self, name: str) -> Fact | None:
        """All that is known of a constant."""
        value = self.shapes.static(name)
        if value is None or value.dtype.kind not in "biufV" or not value.size:
            return None
        return Fact(_all(value.ndim), value)

    def cutting(self, name: str) -> Fact | None:
        """What is known of a value by which it might cut reads: of a constant if it has zeros."""
        if name in self.live or name in self.varying:
            return self.varying.get(name)
        return None if self.lacks(name, "zeros") else self.of(name)

    def lacks(self, name: str, what: Lack) -> bool:
        """Whether a constant has no such elements, or a value is none; see `lacking`."""
        lacking = self.lacking[what]
        if name in lacking:
            return True
        if what != "zeros" or self.shapes.may_have_zeros(name):
            fact = self.of(name)
            if fact is not None and getattr(fact, what) is not None:
                return False
        lacking.add(name)
        return True

    def is_nothing_of(self, names: Sequence[str]) -> bool:
        """Whether nothing is known of any of some values, which all vary."""
        return self.live.issuperset(names) and self.varying.keys().isdisjoint(names)

    def learnt(self, name: str) -> Fact | None:
        """What has been learnt of a value that is no constant; None if that is nothing."""
        return self.varying.get(name)

    def facts(self, names: Sequence[str]) -> list[Fact | None]:
        """The same of some values."""
        return [self.varying.get(name) for name in names]

    def keep(self, names: Sequence[str], facts: Sequence[Fact | None]) -> None:
        """Take over what was learnt of the outputs of an equal node, of which the same is known."""
        for name, fact in zip(names, facts, strict=True):
            if fact is None:
                self.varying.pop(name, None)
            elif name:
                self.varying[name] = fact

    def once(self, what: Hashable, arguments: Sequence[Any], make: Callable[[], T]) -> T:
        """`make`, unless it was called for the same `what` and the very same `arguments`."""
        key = (what, *map(id, arguments))
        if key not in self._made:
            self._made[key] = (make(), arguments)
        made: T = self._made[key][0]
        return made

    def forget(self, names: Sequence[str]) -> None:
        """Drop what is known of some values."""
        for name in names:
            self.varying.pop(name, None)

    def is_sized(self, node: Node) -> bool:
        """Whether the data decide no size of what a node reads and makes."""
        if not self.shapes.unsized:
            return True
        shapes = map(self.shapes.shape, (*node.inputs, *node.outputs))
        return all(shape is None or all_known(shape) for shape in shapes)


class Rows(NamedTuple):
    """What is known of values that are set in relation along an axis; masks, None for none.

    Attributes
    ----------
    constant : ndarray of bool or None
        The rows that do not vary, length 1 along the axis.
    masked : ndarray of bool or None
        The elements that are masked beside others of their row.
    alone : ndarray of bool or None
        The rows in which one element is left beside masked ones: its softmax is 1. They are
        among the constant ones.
    spared : bool
        Whether a constant would mask more elements, if the data could not mask the others.
    """

    constant: np.ndarray | None
    masked: np.ndarray | None
    alone: np.ndarray | None
    spared: bool = False


def rows(fact: Fact, axis: int) -> Rows:
    """What is set in relation along `axis`.

    What is low has no weight beside what is not, or not so low. A row of which the data may mask
    all the others is not cut, but at what is -inf: that has no weight beside -inf either, where all
    is NaN.
    """
    if axis not in fact._rows:

        def arrays(block: Sequence[Fact | None]) -> Arrays:
            assert block[0] is not None
            *masks, spared = _rows(block[0], axis)
            return *masks, np.ones((1,) * fact.known.ndim, dtype=bool) if spared else None

        constant, masked, alone, spared = in_blocks(arrays, [fact], fact.known.ndim, axis)
        fact._rows[axis] = Rows(constant, masked, alone, spared is not None)
    return fact._rows[axis]


def _rows(fact: Fact, axis: int) -> Rows:
    """`rows` at once."""
    constant = np.asarray(fact.known.all(axis=axis, keepdims=True))
    low = fact.low
    if low is None:
        return Rows(some(constant), None, None)
    height = np.where(low, fact.value, np.zeros((), fact.value.dtype)).astype(np.float64)
    sure = height if fact.maybe is None else np.where(fact.maybe, -np.inf, height)
    with np.errstate(invalid="ignore"):
        masked = low & (sure.max(axis=axis, keepdims=True) - height >= -LOW)
    if fact.lost is not None:
        masked = masked | (fact.lost & ~fact.lost.all(axis=axis, keepdims=True))
    spared = False
    if fact.maybe is not None:
        with np.errstate(invalid="ignore"):
            else_masked = low & (height.max(axis=axis, keepdims=True) - height >= -LOW)
        spared = bool((else_masked & ~masked).any())
    if masked.shape[axis] == 1:
        return Rows(some(constant), some(masked), None, spared)
    alone = (masked.sum(axis=axis, keepdims=True) == masked.shape[axis] - 1) & ~constant
    if fact.maybe is not None:
        alone = alone & ~(fact.maybe & ~masked).any(axis=axis, keepdims=True)
    return Rows(some(constant | alone), some(masked), some(alone), spared)


def worth(
    known: np.ndarray, value: np.ndarray, below: np.ndarray, maybe: np.ndarray
) -> Learnt | None:
    """The fact, as far as anything can follow from it; None if nothing can."""
    if value.dtype.kind not in "b":
        with np.errstate(invalid="ignore"):
            kept = (value == 0) | (value == 1) | (value <= LOW) | (value != value)
        known = known & kept
    low, open_ = some(below & ~known), some(maybe & ~known)
    if low is None and open_ is None and not known.any():
        return None
    told = known if low is None else known | low
    # Where it means nothing it is as elsewhere: often it does not vary then.
    told, value = np.broadcast_arrays(told, value)
    first = np.unravel_index(told.argmax(), told.shape)
    value = np.where(told, value, value[first])
    return Learnt(Fact(compressed(known), compressed(value), low, open_))


def some(mask: Any) -> np.ndarray | None:
    """The mask, compressed; None if it holds nowhere."""
    return compressed(mask) if mask.any() else None


# Arrays of numbers without a fraction, of so few bytes, are compared as bytes in less time.
_AT_ONCE = 1 << 13


def compressed(array: np.ndarray) -> np.ndarray:
    """`array` with length 1 along every axis on which it does not vary; NaN equals itself."""
    for axis in range(array.ndim):
        if array.shape[axis] > 1:
            first = array[(slice(None),) * axis + (slice(0, 1),)]
            # The neighbour tells most arrays apart.
            near = array[(slice(None),) * axis + (slice(-1, None),)]
            if _equal(near, first) and _equal(array, first):
                array = first
    return array


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    if a.nbytes <= _AT_ONCE and a.shape == b.shape and a.dtype.kind in "bui":
        return a.tobytes() == b.tobytes()
    same = a == b
    if not same.all() and a.dtype.kind == "f":
        same = same | ((a != a) & (b != b))
    return bool(same.all())


# Compressed, None for a mask that holds nowhere, or for all of what nothing is known of.
Arrays: TypeAlias = "tuple[np.ndarray | None, ...]"


def in_blocks(
    make: Callable[[Sequence[Fact | None]], Arrays],
    facts: Sequence[Fact | None],
    rank: int,
    whole: int | None = None,
) -> Arrays:
    """What `make` makes of facts that broadcast to `rank` axes, joined over blocks of them.

    They are cut along their longest axis other than `whole`. `make` gives arrays of that rank.
    """
    shape = np.broadcast_shapes((1,) * rank, *(f.shape for f in facts if f is not None))
    axis = max((a for a in range(rank) if a != whole), key=shape.__getitem__, default=None)
    if axis is None or prod(shape) <= _BLOCK or shape[axis] == 1:
        return make(facts)
    size = shape[axis]
    many = max(1, _BLOCK * size // prod(shape))

    def block(array: np.ndarray, begin: int) -> np.ndarray:
        behind = rank - axis
        if array.ndim < behind or array.shape[-behind] == 1:
            return array
        return array[(..., slice(begin, begin + many)) + (slice(None),) * (behind - 1)]

    joined: list[_Joined] = []
    for begin in range(0, size, many):
        own = [None if f is None else f.map(lambda a, b=begin: block(a, b)) for f in facts]  # type: ignore[misc]
        made = make(own)
        joined = joined or [_Joined(axis, size) for _ in made]
        for one, array in zip(joined, made, strict=True):
            one.add(array, begin, min(begin + many, size))
    return tuple(one.whole() for one in joined)


class _Joined:
    """Compressed arrays of blocks that follow each other along an axis, as one.

    It is written out from the first block on that differs from those before it, so that no block
    is there twice.
    """

    def __init__(self, axis: int, size: int) -> None:
        self._axis, self._size = axis, size
        # What all blocks so far are, as long as that is the same; and else all of them.
        self._same: np.ndarray | None = None
        self._whole: np.ndarray | None = None
        self._rest = np.zeros((), dtype=bool)

    def add(self, array: np.ndarray | None, begin: int, end: int) -> None:
        if not begin:
            self._same = array
            return
        if self._whole is None:
            given = array if self._same is None else self._same
            if given is None or self._goes_on(array):
                return
            one = given[(slice(0, 1),) * given.ndim]
            # Of what nothing is known of, the value means nothing.
            self._rest = np.zeros_like(one) if one.dtype == bool else one
            self._whole = np.repeat(one, self._size, self._axis)
            self._write(self._same, 0, begin)
        self._write(array, begin, end)

    def _goes_on(self, array: np.ndarray | None) -> bool:
        before = self._same
        if array is None or before is None:
            return False
        is_flat = before.shape[self._axis] == 1
        return is_flat and array.shape == before.shape and _equal(array, before)

    def _write(self, array: np.ndarray | None, begin: int, end: int) -> None:
        array = self._rest if array is None else array
        whole = self._whole
        assert whole is not None
        shape = list(np.broadcast_shapes(whole.shape[: self._axis], array.shape[: self._axis]))
        behind = self._axis + 1
        shape += [self._size, *np.broadcast_shapes(whole.shape[behind:], array.shape[behind:])]
        kind = np.result_type(whole, array)
        if whole.shape != tuple(shape) or whole.dtype != kind:
            whole = self._whole = np.broadcast_to(whole, shape).astype(kind)
        whole[(slice(None),) * self._axis + (slice(begin, end),)] = array

    def whole(self) -> np.ndarray | None:
        return self._same if self._whole is None else compressed(self._whole)


def at_rank(array: np.ndarray, rank: int) -> np.ndarray:
    """`array` with axes of length 1 before its own."""
    return array.reshape((1,) * (rank - array.ndim) + array.shape)


__all__ = [
    "LOW",
    "MAX_ELEMENTS",
    "SCORE",
    "SWALLOWED",
    "SWALLOWS",
    "Arrays",
    "Evaluate",
    "Fact",
    "Knowledge",
    "Lack",
    "Learnt",
    "Rows",
    "at_rank",
    "compressed",
    "in_blocks",
    "rows",
    "some",
    "worth",
]
