"""Partly known values: elements that are the same whatever the data are, of values that vary.

A masked score is -inf, a masked weight of attention is 0, whatever the scores are: with
``prune=True`` such elements read nothing, and what they are multiplied with is not read. A fact
about a value is kept compressed, at length 1 along the axes on which it doesn't vary. Facts begin
with constants, and few operators pass them on: those that move elements, by the reads that they
have anyway, those that work element by element, by evaluating them, and Softmax.

Values that vary are taken to be finite: 0 times one of them is 0 (docs/adr/0010-pruning.md).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from math import prod
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np

from rfgraph.model.arithmetic import evaluate
from rfgraph.model.element_types import dtype_of
from rfgraph.model.graph import Node
from rfgraph.model.shapes import Shapes
from rfgraph.model.sizes import all_known
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

T = TypeVar("T")

# What is added to a score to mask it is at most this: with scores of a size below 2,000 the
# softmax of what is masked is 0 in every type, double precision too.
LOW = -5000.0

# Scores are taken to be below this, whatever is added to them.
_SCORE = 2000.0

# From here on a number swallows what is added to it, in every type that reaches as far. What is of
# a narrower type, which doesn't, is compared with it in double precision.
_SWALLOWS = np.float64(-1e30)
_SWALLOWED = 1e20

# A fact about more elements than this is not kept.
_MAX_ELEMENTS = 1 << 26

# So many elements are worked on at once, so that what is made on the way stays small.
_BLOCK = 1 << 18

# Nor is a fact about more elements summed up, or one of steps of more than so many.
_MAX_SUMMED = 1 << 22
_MANY = 64

# They give each output element one input element, by their reads.
_MOVING = frozenset(
    [
        *("CenterCropPad", "Compress", "Concat", "DepthToSpace", "Expand", "Flatten", "Gather"),
        *("GatherElements", "GatherND", "Identity", "Pad", "Reshape", "ReverseSequence", "Slice"),
        *("SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Trilu", "Unsqueeze"),
    ]
)

# They put a number where nothing is read.
_FILLING = frozenset({"CenterCropPad", "Pad", "Trilu"})

# They are sums, or means, of input 0, or of its products with input 1: of nothing but zeros 0.
_SUMMING = frozenset(
    [
        *("AveragePool", "Conv", "ConvInteger", "ConvTranspose", "CumSum", "Einsum", "Gemm"),
        *("GlobalAveragePool", "MatMul", "MatMulInteger", "ReduceMean", "ReduceSum"),
    ]
)

# Of these, the ones that don't read zeros of their factors, or have zero points beside them.
_PRODUCTS = frozenset({"ConvInteger", "Einsum", "Gemm", "MatMul", "MatMulInteger"})

# They work element by element, on their inputs alone.
_ELEMENTWISE = frozenset(
    [
        *("Abs", "Add", "And", "Cast", "CastLike", "Ceil", "Clip", "Div", "Elu", "Equal", "Erf"),
        *("Exp", "Floor", "Gelu", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "IsInf"),
        *("IsNaN", "LeakyRelu", "Less", "LessOrEqual", "Max", "Mean", "Min", "Mod", "Mul", "Neg"),
        *("Not", "Or", "Pow", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Softplus", "Sqrt"),
        *("Sub", "Sum", "Tanh", "Where", "Xor"),
    ]
)

_SOFTMAXES = frozenset({"Softmax", "BiasSoftmax"})

# All of which anything is learnt.
_LEARNT = _MOVING | _SUMMING | _ELEMENTWISE | {"Dropout", "Softmax"}

# Of the elementwise ones, those of which one operand can settle the result.
_SETTLING = frozenset({"Add", "And", "Div", "Max", "Min", "Mul", "Or", "Sub", "Sum", "Where"})


@dataclass(eq=False)
class Partial:
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

    @property
    def shape(self) -> Shape:
        """Along each axis 1, or as many elements as it varies over."""
        arrays = (self.known, self.value, self.below, self.maybe)
        return np.broadcast_shapes(*(a.shape for a in arrays if a is not None))

    @cached_property
    def zeros(self) -> np.ndarray | None:
        """The elements that are 0, or False; None if there is none. Compressed."""
        if self.value.dtype.kind in "biuf" and np.count_nonzero(self.value) == self.value.size:
            return None
        return _some(self.known & (self.value == 0))

    @cached_property
    def ones(self) -> np.ndarray | None:
        """The elements that are 1, or True."""
        return _some(self.known & (self.value == 1))

    @cached_property
    def low(self) -> np.ndarray | None:
        """The elements that are so low that their softmax is 0 beside others."""
        if self.value.dtype.kind in "OUSbc":
            return None
        low = self.known & (self.value <= LOW)
        return _some(low if self.below is None else low | self.below)

    @cached_property
    def deep(self) -> np.ndarray | None:
        """The elements that stay what they are, whatever is added to them."""
        return _some(self.known & (self.value <= _SWALLOWS)) if self.low is not None else None

    @cached_property
    def lost(self) -> np.ndarray | None:
        """The elements that are -inf: whatever stands beside them, their softmax is not seen."""
        return _some(self.known & (self.value == -np.inf)) if self.low is not None else None

    def map(self, change: Callable[[np.ndarray], np.ndarray]) -> Partial:
        """The fact about the same elements elsewhere."""
        return Partial(
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
        return bool(((self.value <= LOW) & (self.value > _SWALLOWS) & self.known).any())


@dataclass(eq=False)
class Learnt:
    """What is learnt of an output of a node.

    Attributes
    ----------
    fact : Partial
        What is known of it.
    settled : ndarray of bool or None
        The elements that are known by this node, and not because what they read is. Compressed.
    """

    fact: Partial
    settled: np.ndarray | None = None


class _TooWideError(Exception):
    """Raised where a fact would have to be written out over several axes."""


class Knowledge:
    """The facts about the values of one graph.

    Parameters
    ----------
    shapes : Shapes
        Shapes and static values.
    live : set of str
        Values that depend on an input of the model; it grows.
    """

    def __init__(self, shapes: Shapes, live: set[str]) -> None:
        self._shapes = shapes
        self._live = live
        self._facts: dict[str, Partial] = {}
        self._constants: dict[str, Partial | None] = {}
        # With their arguments, so that no identity is given away twice.
        self._made: dict[Hashable, tuple[Any, Any]] = {}

    def of(self, name: str) -> Partial | None:
        """What is known of a value; None if that is nothing."""
        if name in self._live or name in self._facts:
            return self._facts.get(name)
        if name not in self._constants:
            value = self._shapes.static(name)
            fact = None
            if value is not None and value.dtype.kind in "biufV" and value.size:
                fact = Partial(np.ones((1,) * value.ndim, dtype=bool), value)
            self._constants[name] = fact
        return self._constants[name]

    def cutting(self, name: str) -> Partial | None:
        """What is known of a value by which it might cut reads: of a constant if it has zeros."""
        fact = self.of(name)
        if fact is None or name in self._live or name in self._facts:
            return fact
        return None if fact.zeros is None else fact

    def facts(self, names: Sequence[str]) -> list[Partial | None]:
        """What has been learnt of each of some values."""
        return [self._facts.get(name) for name in names]

    def keep(self, names: Sequence[str], facts: Sequence[Partial | None]) -> None:
        """Take over what was learnt of the outputs of an equal node, of which the same is known."""
        for name, fact in zip(names, facts, strict=True):
            if fact is None:
                self._facts.pop(name, None)
            elif name:
                self._facts[name] = fact

    def once(self, what: Hashable, arguments: Sequence[Any], make: Callable[[], T]) -> T:
        """`make`, unless it was called for the same `what` and the very same `arguments`."""
        key = (what, *map(id, arguments))
        if key not in self._made:
            self._made[key] = (make(), arguments)
        made: T = self._made[key][0]
        return made

    def learn(self, node: Node, per_output: Sequence[Sequence[Read]]) -> list[Learnt | None]:
        """What is known of the outputs of a node, of which `per_output` are all reads."""
        names = [name for name in node.outputs if name]
        for name in names:
            self._facts.pop(name, None)
        if not self.learns_of(node) or not self._sized(node):
            return [None] * len(node.outputs)
        learnt: list[Learnt | None] = [None] * len(node.outputs)
        if node.op_type in _MOVING:
            for k, reads in enumerate(per_output):
                learnt[k] = self._moved(node, node.outputs[k], reads)
        elif node.op_type in _SOFTMAXES:
            learnt[0] = self._softmax(node)
        elif node.op_type == "Dropout":
            learnt[0] = self._dropped(node)
        elif node.op_type in _SUMMING:
            learnt[0] = self._summed(node, per_output[0])
        elif node.op_type in _ELEMENTWISE and all(node.inputs):
            learnt[0] = self._elementwise(node)
        for name, found in zip(node.outputs, learnt, strict=False):
            if name and found is not None:
                self._facts[name] = found.fact
        return learnt

    def learns_of(self, node: Node) -> bool:
        """Whether anything may be learnt of the outputs of a node."""
        if node.domain:
            return (node.domain, node.op_type) == ("com.microsoft", "BiasSoftmax")
        return node.op_type in _LEARNT

    def rests_on_zeros(self, node: Node) -> bool:
        """Whether that depends on no more than which elements of its inputs are 0."""
        return not node.domain and node.op_type in _SUMMING

    def is_silent(self, node: Node) -> bool:
        """Whether nothing that is known of the inputs of a node tells what it reads or makes; but
        sums of nothing are known without.
        """
        names, op_type = node.inputs, node.op_type
        if node.domain or node.captures or any(map(self.cutting, names)):
            return False
        if op_type in _SUMMING:
            return True
        if op_type in _MOVING:
            if op_type in _FILLING:
                return False
            names = names if op_type == "Concat" else names[:1]
        return not any(map(self.of, names))

    def _sized(self, node: Node) -> bool:
        """Whether the data decide no size of what a node reads and makes."""
        if not self._shapes.unsized:
            return True
        shapes = map(self._shapes.shape, (*node.inputs, *node.outputs))
        return all(shape is None or all_known(shape) for shape in shapes)

    def _dropped(self, node: Node) -> Learnt | None:
        """Of a dropout: what is 0 stays so, dropped or scaled."""
        fact = self.of(node.inputs[0])
        given = len(node.inputs) > 2 and bool(node.inputs[2])
        training = self.of(node.inputs[2]) if given else None
        if fact is None or not given or (training and training.zeros is not None):
            return Learnt(fact) if fact is not None else None
        if fact.zeros is None:
            return None
        return Learnt(Partial(fact.zeros, np.zeros((1,) * fact.zeros.ndim, fact.value.dtype)))

    # moving

    def _moved(self, node: Node, name: str, reads: Sequence[Read]) -> Learnt | None:
        extent = self._shapes.shape(name)
        if extent is None or 0 in extent or any(isinstance(r.source, Stage) for r in reads):
            return None
        parts = node.inputs if node.op_type == "Concat" else node.inputs[:1]
        if node.op_type not in ("Concat", "Pad") and not self._live.isdisjoint(node.inputs[1:]):
            return None
        filled = node.op_type in _FILLING and node.attribute("mode", "constant") == "constant"
        if not filled and not any(self.of(part) for part in parts):
            return None
        nowhere = np.zeros((1,) * len(extent), dtype=bool)
        known = below = maybe = read_at = nowhere
        value: np.ndarray | None = None
        for read in reads:
            assert isinstance(read.source, int)
            if read.source >= len(parts):
                continue
            source = self._shapes.shape(parts[read.source])
            there = None if source is None else _reached(read, source, extent)
            if there is None or source is None:
                return None
            read_at = read_at | there
            fact = self.of(parts[read.source])
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
        fill = self._fill(node) if filled and not read_at.all() else None
        if fill is not None:
            value = fill if value is None else np.where(read_at, value, fill)
            known = known | ~read_at
        if value is None:
            return None
        return _worth(known, _at_rank(np.asarray(value), len(extent)), below, maybe)

    def _fill(self, node: Node) -> np.ndarray | None:
        kind = self._shapes.element_type(node.inputs[0])
        if node.op_type == "Pad" and len(node.inputs) > 2 and node.inputs[2]:
            given = self.of(node.inputs[2])
            if given is None or not given.known.all():
                return None
            return np.asarray(given.value.reshape(-1)[0])
        number = node.attribute("value", 0.0) if node.op_type == "Pad" else 0
        return np.asarray(number, dtype=dtype_of(kind))

    # sums

    def _summed(self, node: Node, reads: Sequence[Read]) -> Learnt | None:
        """Of a sum of products: 0 where nothing is left to sum up, or nothing but zeros."""
        extent = self._shapes.shape(node.outputs[0])
        if extent is None or 0 in extent:
            return None
        left = np.zeros((1,) * len(extent), dtype=bool)
        if node.op_type in ("Conv", "ConvTranspose") and any(node.inputs[2:]):
            bias = self.of(node.inputs[2])
            if bias is None or bias.zeros is None:
                return None
            left = left | ~bias.zeros.reshape(-1, *(1,) * (len(extent) - 2))
        # Where one factor is not read none is; input 2 of a Gemm is added.
        for read in (r for r in reads if _operand(r) != 1):
            try:
                left = left | self._nonzero(node, read, extent)
            except _TooWideError:
                return None
            if left.all():
                return None
        kind = dtype_of(self._shapes.element_type(node.outputs[0]))
        return Learnt(Partial(_compressed(~left), np.zeros((1,) * len(extent), dtype=kind)))

    def _nonzero(self, node: Node, read: Read, extent: Shape) -> np.ndarray:
        """The elements of which `read` reads something that may not be 0, compressed."""
        shape: Shape | None
        if isinstance(read.source, Stage):
            shape = read.source.shape
            inner = [self._nonzero(node, r, shape) for r in read.source.reads]
            there = reduce(np.logical_or, inner)
        else:
            name = node.inputs[read.source]
            shape, fact = self._shapes.shape(name), self.of(name)
            there = np.ones((1,) * len(shape or ()), dtype=bool)
            # The reads of a product leave zeros out already.
            told = node.op_type in _PRODUCTS and read.source == 0
            if fact is not None and fact.zeros is not None and not told:
                there = ~fact.zeros
        if shape is None or isinstance(read, Everything):
            raise _TooWideError
        if isinstance(read, PerAxis):
            return _any_read(there, read, shape, extent)
        return _carried(there, read, shape, extent)

    # element by element

    def _elementwise(self, node: Node) -> Learnt | None:
        settling = node.op_type in _SETTLING
        moving = [self.of(n) for n in node.inputs if n in self._live]
        if not settling and not all(moving):
            return None
        facts = [self.of(name) for name in node.inputs]
        if not any(facts):
            return None
        alive = tuple(name in self._live for name in node.inputs)
        rank = len(self._shapes.shape(node.outputs[0]) or ())
        if any(f is not None and f.value.size > _MAX_ELEMENTS for f in facts):
            return None

        def make(block: Sequence[Partial | None]) -> Learnt | None:
            return self._evaluated(node, block, alive, rank)

        what = (node.kind, alive, rank)
        return self.once(what, facts, lambda: _learnt(make, facts, rank))

    def _evaluated(
        self, node: Node, facts: Sequence[Partial | None], alive: tuple[bool, ...], rank: int
    ) -> Learnt | None:
        given = [f for f in facts if f is not None]
        nowhere = np.zeros((1,) * rank, dtype=bool)
        known = below = maybe = nowhere
        value: np.ndarray | None = None
        if len(given) == len(facts):
            kinds = map(self._shapes.element_type, node.inputs)
            values = [_widened(f.value, kind) for f, kind in zip(given, kinds, strict=True)]
            try:
                value = np.asarray(evaluate(node.kind, values)[0])
            except MemoryError:
                raise
            except Exception:
                # The reference lacks this use of the operator: nothing is learnt.
                return None
            known = reduce(np.logical_and, (f.known for f in given))
        if node.op_type in _SETTLING and len(facts) > 1:
            evaluated = known
            for own, settled_value, low in _settled(node.op_type, facts):
                own, low = own & ~evaluated, low & ~evaluated
                value = (
                    settled_value if value is None else np.where(own | low, settled_value, value)
                )
                known, below = known | own, below | low
            maybe = nowhere | _maybe_masked(node.op_type, facts)
        elif node.op_type in ("Cast", "Exp"):
            (fact,) = given
            assert value is not None
            if fact.below is not None and node.op_type == "Exp":
                # Too low for any type.
                value = np.where(fact.below, np.zeros((), value.dtype), value)
                known = known | fact.below
            elif fact.below is not None:
                below = fact.below
            maybe = nowhere if fact.maybe is None else fact.maybe
        if value is None:
            value = np.zeros((1,) * rank, dtype=given[0].value.dtype)
        learnt = _worth(*(_at_rank(a, rank) for a in (known, value, below, maybe)))
        if learnt is None:
            return None
        implied = [f.known for f, a in zip(facts, alive, strict=True) if f is not None and a]
        settled = learnt.fact.known
        if implied and len(implied) == sum(alive):
            settled = settled & ~reduce(np.logical_and, implied)
        learnt.settled = _some(settled)
        return learnt

    # Softmax

    def _softmax(self, node: Node) -> Learnt | None:
        facts = [self.of(name) for name in node.inputs]
        shape = self._shapes.shape(node.inputs[0])
        fact = set_in_relation(facts, len(shape)) if shape else None
        if fact is None or not shape:
            return None
        whole = node.version < 13
        axis = node.attribute("axis", 1 if whole else -1) % len(shape)
        if whole and axis < len(shape) - 1:
            # All axes from there on count as one.
            return None

        def make(block: Sequence[Partial]) -> Learnt | None:
            return _weights(block[0], axis)

        if len(facts) > 1:
            return _learnt(make, [fact], len(shape), axis)
        what = ("Softmax", axis, shape[axis])
        return self.once(what, [fact], lambda: _learnt(make, [fact], len(shape), axis))


def _learnt(
    make: Callable[[Sequence[Any]], Learnt | None],
    facts: Sequence[Partial | None],
    rank: int,
    whole: int | None = None,
) -> Learnt | None:
    """What `make` learns of facts that broadcast to `rank` axes, in blocks: see `_in_blocks`."""

    def arrays(block: Sequence[Partial | None]) -> _Arrays:
        learnt = make(block)
        if learnt is None:
            return (None,) * 5
        fact = learnt.fact
        return fact.known, fact.value, fact.below, fact.maybe, learnt.settled

    known, value, below, maybe, settled = _in_blocks(arrays, facts, rank, whole)
    if known is None:
        return None
    assert value is not None
    if settled is not None and np.array_equal(settled, known):
        settled = known
    return Learnt(Partial(known, value, below, maybe), settled)


def _weights(fact: Partial, axis: int) -> Learnt | None:
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
    learnt = _worth(nan | one | masked, value, nowhere, nowhere)
    learnt = learnt or Learnt(Partial(nowhere, np.zeros(nowhere.shape, kind)))
    sure = masked
    if fact.maybe is not None:
        # Where the data may mask the whole row, even what is -inf turns into NaN.
        sure = masked & ~(masked | fact.maybe).all(axis=axis, keepdims=True)
    learnt.settled = _some(constant | sure)
    return learnt


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


def rows(fact: Partial, axis: int) -> Rows:
    """What is set in relation along `axis`.

    What is low has no weight beside what is not, or not so low. A row of which the data may mask
    all the others is not cut, but at what is -inf: that has no weight beside -inf either, where all
    is NaN.
    """
    if axis not in fact._rows:

        def arrays(block: Sequence[Partial | None]) -> _Arrays:
            assert block[0] is not None
            *masks, spared = _rows(block[0], axis)
            return *masks, np.ones((1,) * fact.known.ndim, dtype=bool) if spared else None

        constant, masked, alone, spared = _in_blocks(arrays, [fact], fact.known.ndim, axis)
        fact._rows[axis] = Rows(constant, masked, alone, spared is not None)
    return fact._rows[axis]


def _rows(fact: Partial, axis: int) -> Rows:
    """`rows` at once."""
    constant = np.asarray(fact.known.all(axis=axis, keepdims=True))
    low = fact.low
    if low is None:
        return Rows(_some(constant), None, None)
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
        return Rows(_some(constant), _some(masked), None, spared)
    alone = (masked.sum(axis=axis, keepdims=True) == masked.shape[axis] - 1) & ~constant
    if fact.maybe is not None:
        alone = alone & ~(fact.maybe & ~masked).any(axis=axis, keepdims=True)
    return Rows(_some(constant | alone), _some(masked), _some(alone), spared)


def set_in_relation(facts: Sequence[Partial | None], rank: int) -> Partial | None:
    """What is known of a sum of values that a softmax sets in relation, or of a single one."""
    given = [fact for fact in facts if fact is not None]
    if len(facts) == 1 or not given:
        return facts[0]
    return masked_scores(given).map(lambda a: _at_rank(a, rank))


def masked_scores(masks: Sequence[Partial]) -> Partial:
    """What is known of scores that vary, to which `masks` are added; these broadcast."""
    known = below = np.zeros((), dtype=bool)
    value = np.zeros((), dtype=np.float32)
    for own, number, low in _settled("Sum", [None, *masks]):
        value = np.where(own | low, number.astype(np.float32), value)
        known, below = known | own, below | low
    maybe = _maybe_masked("Sum", masks)
    known, value, below, maybe = np.broadcast_arrays(known, value, below, maybe)
    return Partial(known, value, _some(below & ~known), _some(maybe))


# ---------------------------------------------------------------- elements


# Where, what the elements are there, and where they are low.
_Settled: TypeAlias = "tuple[np.ndarray, np.ndarray, np.ndarray]"


def _settled(op_type: str, facts: Sequence[Partial | None]) -> Iterator[_Settled]:
    """What single operands settle."""
    if op_type == "Where":
        yield from _chosen(*facts)
        return
    no = np.zeros((), dtype=bool)
    for k, fact in enumerate(facts):
        if fact is None or (k and op_type in ("Div", "Sub")):
            continue
        zero = np.zeros((), dtype=fact.value.dtype)
        if op_type in ("Mul", "And", "Div") and fact.zeros is not None:
            yield fact.zeros, zero, no
        elif op_type == "Or" and fact.ones is not None:
            yield fact.ones, ~zero, no
        elif op_type in ("Add", "Sum", "Sub") and fact.low is not None:
            low, number = fact.low, fact.value
            # What is no larger than a score is part of one.
            most = _SCORE if fact.deep is None else np.where(fact.deep, _SWALLOWED, _SCORE)
            for other in (f for j, f in enumerate(facts) if j != k and f is not None):
                given = other.known if other.below is None else other.known | other.below
                more = np.where(given, -other.value if op_type == "Sub" else other.value, 0)
                low = low & ~(more > most)
                with np.errstate(over="ignore", invalid="ignore"):
                    number = number + more.astype(number.dtype)
            swallows = low & fact.known & (fact.value <= _SWALLOWS)
            yield swallows, number, low & ~swallows
        elif op_type == "Min" and fact.low is not None:
            yield no, fact.value, fact.low
    if op_type == "Max":
        given = [(f.low, f.value) for f in facts if f is not None and f.low is not None]
        if len(given) == len(facts):
            lows, values = zip(*given, strict=True)
            yield no, reduce(np.maximum, values), reduce(np.logical_and, lows)


def _chosen(condition: Partial | None, X: Partial | None, Y: Partial | None) -> Iterator[_Settled]:
    no = np.zeros((), dtype=bool)
    if condition is not None:
        for where, fact in ((condition.ones, X), (condition.zeros, Y)):
            if where is not None and fact is not None:
                yield (
                    where & fact.known,
                    fact.value,
                    no if fact.below is None else where & fact.below,
                )
    if X is not None and Y is not None:
        low = no if X.low is None or Y.low is None else X.low & Y.low
        yield X.known & Y.known & (X.value == Y.value), np.maximum(X.value, Y.value), low


def _maybe_masked(op_type: str, facts: Sequence[Partial | None]) -> np.ndarray:
    """Where the data decide whether an element is masked."""
    maybe = np.zeros((), dtype=bool)
    for fact in facts:
        if fact is not None and fact.maybe is not None:
            maybe = maybe | fact.maybe
    if op_type not in ("Min", "Mul", "Where"):
        return maybe
    # A mask that is chosen by what varies, multiplied or set in relation with it.
    condition = facts[0] if op_type == "Where" else None
    for fact in facts[1:] if op_type == "Where" else facts:
        if fact is not None and fact.low is not None:
            maybe = maybe | (fact.low if condition is None else fact.low & ~condition.known)
    return maybe


def _worth(
    known: np.ndarray, value: np.ndarray, below: np.ndarray, maybe: np.ndarray
) -> Learnt | None:
    """The fact, as far as anything can follow from it; None if nothing can."""
    if value.dtype.kind not in "b":
        with np.errstate(invalid="ignore"):
            kept = (value == 0) | (value == 1) | (value <= LOW) | (value != value)
        known = known & kept
    low, open_ = _some(below & ~known), _some(maybe & ~known)
    if low is None and open_ is None and not known.any():
        return None
    told = known if low is None else known | low
    # Where it means nothing it is as elsewhere: often it does not vary then.
    told, value = np.broadcast_arrays(told, value)
    first = np.unravel_index(told.argmax(), told.shape)
    value = np.where(told, value, value[first])
    return Learnt(Partial(_compressed(known), _compressed(value), low, open_))


def _some(mask: Any) -> np.ndarray | None:
    """The mask, compressed; None if it holds nowhere."""
    return _compressed(mask) if mask.any() else None


def _compressed(array: np.ndarray) -> np.ndarray:
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
    same = a == b
    if not same.all() and a.dtype.kind == "f":
        same = same | ((a != a) & (b != b))
    return bool(same.all())


# Compressed, None for a mask that holds nowhere, or for all of what nothing is known of.
_Arrays: TypeAlias = "tuple[np.ndarray | None, ...]"


def _in_blocks(
    make: Callable[[Sequence[Partial | None]], _Arrays],
    facts: Sequence[Partial | None],
    rank: int,
    whole: int | None = None,
) -> _Arrays:
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

    begins = range(0, size, many)
    parts = []
    for begin in begins:
        own = [None if f is None else f.map(lambda a, b=begin: block(a, b)) for f in facts]  # type: ignore[misc]
        parts.append(make(own))
    lengths = [min(many, size - begin) for begin in begins]
    columns = [list(arrays) for arrays in zip(*parts, strict=True)]
    del parts
    return tuple(_joined(arrays, lengths, axis) for arrays in columns)


def _joined(
    arrays: list[np.ndarray | None], lengths: Sequence[int], axis: int
) -> np.ndarray | None:
    """Compressed arrays of blocks that follow each other along an axis, as one; uses them up."""
    given = [a for a in arrays if a is not None]
    if not given:
        return None
    first = given[0]
    rest: np.ndarray = np.zeros((1,) * first.ndim, dtype=bool)
    if first.dtype != bool:
        # Of what nothing is known of, the value means nothing.
        rest = first[(slice(0, 1),) * first.ndim]
    filled = [rest if a is None else a for a in arrays]
    if all(a.shape == first.shape and a.shape[axis] == 1 and _equal(a, first) for a in filled):
        return first
    arrays.clear()
    shapes = [(*a.shape[:axis], sum(lengths), *a.shape[axis + 1 :]) for a in filled]
    whole = np.empty(np.broadcast_shapes(*shapes), np.result_type(*filled))
    begin = sum(lengths)
    # From behind, so that none is there twice for long.
    for length in reversed(lengths):
        begin -= length
        whole[(slice(None),) * axis + (slice(begin, begin + length),)] = filled.pop()
    return _compressed(whole)


def _widened(array: np.ndarray, kind: int) -> np.ndarray:
    """Numbers that are kept in the narrowest type, in the type that they are of."""
    return array.astype(dtype_of(kind)) if array.dtype == np.float16 and kind else array


def _at_rank(array: np.ndarray, rank: int) -> np.ndarray:
    return array.reshape((1,) * (rank - array.ndim) + array.shape)


# ---------------------------------------------------------------- moved elements


def _operand(read: Read) -> int:
    """The input that is read in the end."""
    while isinstance(read.source, Stage):
        read = read.source.reads[0]
    return read.source


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


def _any_read(array: np.ndarray, read: PerAxis, source: Shape, extent: Shape) -> np.ndarray:
    """Where any of the elements that are read holds: bool, compressed."""
    rank = len(extent)
    work = _at_rank(array, len(source))
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


def _along(axes: Sequence[int], extent: Shape) -> list[int]:
    """`extent` with length 1 along all axes but some."""
    return [size if axis in axes else 1 for axis, size in enumerate(extent)]


def _carried(array: np.ndarray, read: Read, source: Shape, extent: Shape) -> np.ndarray:
    """A compressed array over the elements of a source, over those of what reads it."""
    array = _at_rank(array, len(source))
    if isinstance(read, Elementwise):
        return _at_rank(array, len(extent))
    if isinstance(read, Rearrange):
        if array.size > 1 and prod(extent) > _MAX_ELEMENTS:
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
        if prod(extent[axis] for axis in set(outs)) > _MAX_ELEMENTS:
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


__all__ = [
    "LOW",
    "Knowledge",
    "Learnt",
    "Partial",
    "Rows",
    "masked_scores",
    "rows",
    "set_in_relation",
]
