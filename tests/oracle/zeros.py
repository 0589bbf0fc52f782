"""Seeded random small graphs that are rich in constants which cut reads: zeros, and masks.

Kernels, matrices and factors hold zeros by the tap, row, column, band and at random; zeros are put
beside what varies, and moved; scores are masked in every way that exporters have. All numbers are
positive, and no operator is drawn that hides what it reads (a maximum, a saturation), so that
nothing cancels: what a unit reads shows when it is changed, and what is seen is all that is read.

Before a softmax, and after it, every element is multiplied by a number of its own: else a score
that all elements of a row share, or a sum over all the weights, would be read in vain.

`changes` observes such a graph by changing one element at a time.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from .builder import Builder, Operand, Operator, Rejected, Value
from .observe import Shape, input_shapes, node_outputs, session

MAX_ELEMENTS = 60
"""Elements of all inputs together: the model is run several times for each."""

_TRIES = 60
_NODE_TRIES = 12

# Numbers that masks are made of: the least of single precision among them. Beside -1e9 scores are
# rounded away, so that what a row reads that is masked whole could not be seen.
_EXACT = (-np.inf, -1e4, -1e30, float(np.finfo(np.float32).min))

# From here down a number is a mask.
_MASKED = -5e3

PATTERNS: dict[str, Operator] = {}

Build = Callable[["Sparse", Value], "Value | list[Value]"]


class Sparse(Builder):
    """A builder of which all numbers are positive, and values may be masked.

    Parameters
    ----------
    rng : random.Random
        Decides everything.
    opset : int
        Operator-set version.
    """

    def numbers(self, *shape: int) -> np.ndarray:
        """Generic positive numbers."""
        made = [self.rng.uniform(0.3, 1.2) for _ in range(prod(shape))]
        return np.array(made, np.float32).reshape(shape)

    def tame(self, array: np.ndarray) -> np.ndarray:
        """Which numbers are of a size that leaves room for others, or mask."""
        return np.asarray((np.abs(array) < 4e3) | (array < _MASKED))

    def node(
        self, op: str, inputs: Sequence[Operand], outputs: int = 1, **given: Any
    ) -> list[Value]:
        """Append a node, as `Builder.node` does; numpy's scalars are arrays here."""
        arrays = [np.asarray(v) if isinstance(v, np.generic) else v for v in inputs]
        return super().node(op, arrays, outputs, **given)

    def pattern(self, *shape: int) -> np.ndarray:
        """Where something is left: bool, not everywhere as a rule."""
        size = prod(shape)
        kept = np.ones(shape, bool)
        if not shape:
            return np.array(self.chance(0.7))
        kind = self.rng.random()
        if kind < 0.3:
            axis = self.rng.randrange(len(shape))
            lost = self.rng.sample(range(shape[axis]), self.rng.randint(0, shape[axis] - 1))
            np.moveaxis(kept, axis, 0)[lost] = False
        elif kind < 0.6:
            p = self.choice((0.2, 0.5, 0.8))
            kept = np.array([self.chance(p) for _ in range(size)], bool).reshape(shape)
        elif kind < 0.75 and len(shape) > 1:
            i, j = np.ogrid[: shape[-2], : shape[-1]]
            back, ahead = self.ints(2, 0, 2)
            band = (j <= i + ahead) & (j >= i - back) if self.chance(0.5) else j <= i + ahead
            kept = np.broadcast_to(band, shape).copy()
        elif kind < 0.85:
            # Every second tap, or all but one.
            kept.reshape(-1)[:: self.choice((2, size))] = False
        elif kind < 0.9:
            kept[:] = False
            kept.reshape(-1)[self.rng.randrange(size)] = True
        elif kind < 0.93:
            kept[:] = False
        return kept

    def sparse(self, *shape: int) -> np.ndarray:
        """Positive numbers with zeros among them."""
        return np.where(self.pattern(*shape), self.numbers(*shape), 0).astype(np.float32)

    def broad(self, shape: Shape) -> list[int]:
        """A shape that is broadcast to another."""
        return [n if self.chance(0.7) else 1 for n in shape[self.rng.randrange(len(shape)) :]]

    def written(self, array: np.ndarray) -> Operand:
        """A constant as it is, or computed by a chain of nodes; none of them varies."""
        if not array.ndim or self.chance(0.6):
            return array
        kind = self.rng.randrange(6)
        rank, shape = array.ndim, np.array(array.shape, np.int64)
        if kind == 0:
            order = self.some(range(rank), rank)
            back = [order.index(axis) for axis in range(rank)]
            return self.op("Transpose", np.ascontiguousarray(array.transpose(order)), perm=back)
        if kind == 1:
            return self.op("Reshape", array.reshape(-1), shape)
        if kind == 2:
            axis = self.axis(rank)
            order = self.some(range(array.shape[axis]), array.shape[axis])
            moved = np.argsort(np.array(order)).astype(np.int64)
            return self.op("Gather", np.take(array, order, axis=axis), moved, axis=axis)
        if kind == 3:
            wide = np.concatenate([array, array[:1]])
            ends = [np.array([v], np.int64) for v in (0, len(array), 0)]
            return self.op("Slice", wide, *ends)
        if kind == 4 and array.dtype == np.float32:
            mask = self.op("Cast", array != 0, to=TensorProto.FLOAT)
            return self.op("Mul", np.where(array != 0, array, 1).astype(np.float32), mask)
        if kind == 5 and rank > 1 and array.dtype == np.float32:
            zeros = self.op("ConstantOfShape", shape)
            return self.op("Add", zeros, array)
        return array

    def live(self, *shape: int) -> Operand:
        """Something that varies: an input, zeros beside what varies; or a constant."""
        if self.chance(0.5) and 0 < prod(shape) <= self.room:
            given = self.input("w", shape)
            return self.op("Mul", given, self.sparse(*shape)) if self.chance(0.6) else given
        return self.written(self.sparse(*shape))

    def scaled(self, x: Value) -> Value:
        """Every element times a number of its own, so that none is larger than 1."""
        most = float(x.array[x.array > _MASKED].max(initial=1.0))
        return self.op("Mul", x, self.numbers(*x.shape) / np.float32(max(most, 1)))


def random_graph(
    seed: int, *, nodes: int | None = None, first: str | None = None
) -> onnx.ModelProto:
    """Make a random small graph with constants that cut.

    Parameters
    ----------
    seed : int
        Decides everything else that is not given.
    nodes : int, optional
        Patterns of the table: one for a third of the seeds, up to six for the others.
    first : str, optional
        The first one, of `PATTERNS`; the table in turn, by default.

    Returns
    -------
    onnx.ModelProto
        Static shapes, inputs of 32-bit floats. Its ``doc_string`` says how to make it again.

    Raises
    ------
    ValueError
        Nothing was found that fits what is asked for.
    """
    asked = {"nodes": nodes, "first": first}
    given = "".join(f", {key}={value!r}" for key, value in asked.items() if value is not None)
    names = [first] if first else list(PATTERNS)
    for tried in range(_TRIES):
        rng = random.Random(f"{seed}/{tried}")
        start = PATTERNS[names[seed % len(names)] if tried < _TRIES // 2 else rng.choice(names)]
        opset = rng.randint(start.since, 23)
        b = Sparse(rng, opset, MAX_ELEMENTS)
        wanted = nodes or (1 if rng.random() < 0.35 else rng.randint(2, 6))
        try:
            _inputs(b, start, wanted)
            _append(b, start, b.values[0])
            for _ in range(wanted - 1):
                _grow(b)
            model = b.model(f"zeros.random_graph({seed}{given})  # {start.name}, opset {opset}")
        except Rejected:
            continue
        session(model)
        return model
    raise ValueError(f"nothing fits zeros.random_graph({seed}{given})")


def _inputs(b: Sparse, start: Operator, wanted: int) -> None:
    rank = b.choice([r for r in start.ranks if 1 < r < 6])
    most = {2: 6, 3: 5, 4: 4, 5: 3}[rank]
    shape = b.ints(rank, 1, most)
    if rank > 2:
        shape[0] = b.choice((1, 1, 2))
    while prod(shape) > MAX_ELEMENTS * 2 // 3:
        shape[shape.index(max(shape))] -= 1
    b.values.append(b.input("x", shape))
    if wanted > 1 and b.chance(0.4) and prod(shape) <= b.room:
        b.values.append(b.input("y", shape))


def _grow(b: Sparse) -> None:
    usable = [p for p in PATTERNS.values() if p.since <= b.opset]
    for _ in range(_NODE_TRIES):
        x = b.values[-1] if b.chance(0.65) else b.choice(b.values)
        if not 1 < x.rank < 6:
            x = b.values[0]
        fitting = [p for p in usable if x.rank in p.ranks]
        chosen = b.rng.choices(fitting, [p.weight for p in fitting])[0]
        before = b.snapshot()
        try:
            _append(b, chosen, x)
        except Rejected:
            b.restore(before)
        else:
            return


def _append(b: Sparse, chosen: Operator, x: Value) -> None:
    if (x.array < _MASKED).any():
        raise Rejected("masked")
    made = chosen.build(b, x, chosen.name)
    b.values += [v for v in (made if isinstance(made, list) else [made]) if v.live]


# ---------------------------------------------------------------- observing


@dataclass(frozen=True)
class Seen:
    """What was seen of a value.

    Attributes
    ----------
    mask : ndarray of bool
        Of shape ``value.shape + input.shape``.
    hidden : ndarray of bool
        The units that may read what can't be seen: whether something is larger than something
        else, and scores beside a mask that is so low that they are rounded away.
    """

    mask: np.ndarray
    hidden: np.ndarray


def changes(
    model: onnx.ModelProto, most: int, seed: int = 0
) -> Iterator[dict[str, dict[str, Seen]]]:
    """What was seen of the units of every value after each trial, by input, then by value.

    In each trial every element is replaced once, on new random data: all positive, or in
    the third trial signed, or in the next much larger, so that it isn't lost beside a mask of -1e9.
    A 0 counts as the same with either sign. A run that meets a root of a negative number, or in
    which a score outweighs its mask, tells nothing: what varies is taken to be finite, and scores
    not to be that large.

    Yields
    ------
    dict of dict of Seen
        The masks grow.
    """
    names = node_outputs(model)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.output[:]
    copy.graph.output.extend([onnx.helper.make_empty_tensor_value_info(name) for name in names])
    opened = session(copy)
    shapes = input_shapes(model)
    rng = np.random.default_rng(seed)
    seen: dict[str, dict[str, np.ndarray]] = {name: {} for name in shapes}
    wild: list[np.ndarray] | None = None
    for trial in range(most):
        signed = trial % 5 == 2
        feeds = {n: rng.uniform(0.2, 2, s).astype(np.float32) for n, s in shapes.items()}
        if signed:
            feeds = {
                n: v * rng.choice([-1, 1], v.shape).astype(np.float32) for n, v in feeds.items()
            }
        base = opened.run(names, feeds)
        masked = [_wild(value) for value in base]
        if wild is None:
            wild = masked
        elif not all(map(np.array_equal, wild, masked)):
            continue
        for name, shape in shapes.items():
            found = seen[name]
            flat = feeds[name].reshape(-1)
            for k in range(flat.size):
                kept = flat[k]
                flat[k] = kept * (2.5, 0.1, -1.5, 1e3, 1e6)[trial % 5]
                after = opened.run(names, feeds)
                flat[k] = kept
                if not all(map(np.array_equal, wild, map(_wild, after))):
                    continue
                for value, old, new in zip(names, base, after, strict=True):
                    if value not in found:
                        found[value] = np.zeros((old.size, prod(shape)), bool)
                    same = (old == new) | ((old != old) & (new != new))
                    found[value][:, k] |= ~np.asarray(same).reshape(-1)
        yield {
            name: {
                value: Seen(found.reshape(np.shape(old) + shapes[name]), _hidden(old))
                for (value, found), old in zip(by_value.items(), base, strict=True)
            }
            for name, by_value in seen.items()
        }


def _hidden(value: np.ndarray) -> np.ndarray:
    if value.dtype == bool:
        return np.ones(value.shape, bool)
    with np.errstate(invalid="ignore"):
        return np.asarray((value < -1e6) & (value > -1e30))


def _wild(value: np.ndarray) -> np.ndarray:
    """Which elements are not finite, or masked."""
    if value.dtype.kind != "f":
        return np.zeros(0, bool)
    return np.asarray(~np.isfinite(value) | (value < _MASKED))


# ---------------------------------------------------------------- the table


def pattern(
    *names: str, since: int = 13, ranks: tuple[int, ...] = (2, 3, 4, 5), weight: float = 1.0
) -> Callable[[Any], Any]:
    """Enter the decorated function into the table, as `builder.operator` does."""

    def enter(build: Any) -> Any:
        for name in names:
            PATTERNS[name] = Operator(name, build, since, 23, ranks, weight / len(names))
        return build

    return enter


def _same_shape(b: Sparse, x: Value) -> Value | None:
    return b.other(lambda v: v.shape == x.shape, x)


@pattern("Mul", weight=3)
def times(b: Sparse, x: Value, op: str) -> Value:
    """By a constant with zeros, or by another branch."""
    found = _same_shape(b, x) if b.chance(0.25) else None
    return b.op(op, x, found or b.written(b.sparse(*b.broad(x.shape))))


@pattern("Div", weight=0.7)
def divided(b: Sparse, x: Value, op: str) -> Value:
    """Zeros among what is divided by what varies, which nothing cancels later."""
    return b.op(op, b.written(b.sparse(*x.shape)), b.op("Add", x, np.float32([0.5])))


@pattern("Add", "Sum", weight=2)
def added(b: Sparse, x: Value, op: str) -> Value:
    """A branch, or a constant."""
    found = _same_shape(b, x) if b.chance(0.7) else None
    return b.op(op, x, found or b.sparse(*b.broad(x.shape)))


@pattern("Identity", "Relu", "Sqrt", "Abs", "LeakyRelu", "Softplus", "Exp", "Dropout", weight=2)
def mapped(b: Sparse, x: Value, op: str) -> Value:
    """What keeps a zero, or makes another number of it; nothing of it is flat above 0."""
    if op == "Exp" and x.array.max() > 4:
        raise Rejected("large")
    if op == "Dropout":
        return b.node(op, [x, np.array(0.3, np.float32)], outputs=b.rng.randint(1, 2))[0]
    return b.op(op, x)


@pattern("Where", weight=2)
def chosen(b: Sparse, x: Value, op: str) -> Value:
    """By a constant condition, or one that varies in part."""
    found = _same_shape(b, x) if b.chance(0.4) else None
    other: Operand = found or b.sparse(*(x.shape if b.chance(0.5) else b.broad(x.shape)))
    condition: Operand = b.written(b.pattern(*b.broad(x.shape)))
    if x in b.inputs and b.chance(0.6):
        # Beside it a condition by the data, of which a constant settles some elements.
        limit = x.array * np.float32(1.05) + np.float32(1e-3)
        condition = b.op(b.choice(("And", "Or")), b.op("Greater", x, limit), condition)
        if b.chance(0.3):
            condition = b.op("Not", condition)
    pair = [x, other] if b.chance(0.5) else [other, x]
    return b.op(op, condition, *pair)


@pattern("Pad", weight=1.5)
def padded(b: Sparse, x: Value, op: str) -> Value:
    """Zeros, or another number, on either side."""
    pads = np.array([b.choice((0, 0, 1, 2)) for _ in range(2 * x.rank)], np.int64)
    return b.op(op, x, pads, np.array(1, np.float32) if b.chance(0.2) else None)


@pattern("Concat", weight=1.5)
def joined(b: Sparse, x: Value, op: str) -> Value:
    """Zeros beside, or another branch."""
    axis = b.axis(x.rank)
    shape = list(x.shape)
    shape[axis] = b.rng.randint(1, 2)
    parts: list[Operand] = [x, b.written(b.sparse(*shape) * b.choice((0, 1)))]
    found = _same_shape(b, x)
    if found and b.chance(0.4):
        parts.append(found)
    return b.op(op, *b.rng.sample(parts, len(parts)), axis=axis)


@pattern("Trilu", since=14)
def triangle(b: Sparse, x: Value, op: str) -> Value:
    """One half, on which side of which diagonal ever."""
    return b.op(
        op, x, np.array(b.rng.randint(-2, 2)) if b.chance(0.8) else None, upper=b.rng.randint(0, 1)
    )


@pattern("Transpose", "Reshape", "Slice", "Gather", "Expand", "Split", weight=4)
def moved(b: Sparse, x: Value, op: str) -> Value | list[Value]:
    """What takes zeros with it."""
    axis = b.axis(x.rank)
    size = x.shape[axis]
    if op == "Transpose":
        return b.op(op, x, perm=b.some(range(x.rank), x.rank))
    if op == "Reshape":
        at = b.rng.randrange(x.rank)
        d = b.divisor(x.shape[at])
        shape = [*x.shape[:at], d, x.shape[at] // d, *x.shape[at + 1 :]]
        if b.chance(0.6):
            at = b.rng.randrange(len(shape) - 1)
            shape = [*shape[:at], shape[at] * shape[at + 1], *shape[at + 2 :]]
        return b.op(op, x, np.array(shape, np.int64))
    if op == "Slice":
        start = b.rng.randrange(size)
        step = b.choice((1, 1, 2, -1))
        ends = (size, -(2**40))[step < 0]
        return b.op(op, x, *(np.array([v], np.int64) for v in (start, ends, axis, step)))
    if op == "Gather":
        return b.op(op, x, np.array(b.ints(b.rng.randint(1, 4), 0, size - 1)), axis=axis)
    if op == "Expand":
        at = b.rng.randrange(x.rank + 1)
        wide = b.op("Unsqueeze", x, np.array([at], np.int64))
        shape = [1] * wide.rank
        shape[at] = b.rng.randint(1, 3)
        return b.op(op, wide, np.array(shape, np.int64))
    if size < 2:
        raise Rejected("nothing to split")
    cut = b.rng.randint(1, size - 1)
    return b.node(op, [x, np.array([cut, size - cut], np.int64)], 2, axis=axis)


@pattern("MatMul", weight=4)
def product(b: Sparse, x: Value, op: str) -> Value:
    """By a matrix with zeros on either side, in batches or not; or by another branch."""
    left = b.chance(0.5)
    inner = x.shape[-1 if left else -2]
    y: Operand = None
    if b.chance(0.35):
        order = [*range(x.rank - 2), x.rank - 1, x.rank - 2]
        found = _same_shape(b, x)
        y = b.op("Transpose", found, perm=order) if found else None
    if y is None:
        batch = [n if b.chance(0.5) else 1 for n in x.shape[:-2]] if b.chance(0.4) else []
        size = b.rng.randint(1, 4)
        y = b.live(*batch, *((inner, size) if left else (size, inner)))
    return b.op(op, *((x, y) if left else (y, x)))


@pattern("Gemm", weight=2)
def gemm(b: Sparse, x: Value, op: str) -> Value:
    """Either side turned; an addend with zeros."""
    if x.rank != 2:
        x = b.op("Flatten", x, axis=b.rng.randint(1, x.rank - 1))
    turn_a, turn_b = b.rng.randint(0, 1), b.rng.randint(0, 1)
    rows, inner = x.shape[::-1] if turn_a else x.shape
    columns = b.rng.randint(1, 4)
    y = b.live(*((columns, inner) if turn_b else (inner, columns)))
    addend = b.sparse(*b.choice(((columns,), (rows, 1)))) if b.chance(0.4) else None
    pair = {"transA": turn_a, "transB": turn_b}
    if b.chance(0.3):
        x, y = b.op("Transpose", y if isinstance(y, Value) else b.constant(y)), x  # type: ignore[arg-type]
        pair = {"transA": turn_b, "transB": turn_a}
        x, y = (x, b.op("Transpose", y))  # type: ignore[arg-type]
        addend = None
    return b.op(op, x, y, addend, **pair)


@pattern("Einsum", weight=2)
def einsum(b: Sparse, x: Value, op: str) -> Value:
    """With a constant with zeros, or two; contractions, products, sums."""
    letters = "abcdefgh"
    own = list(letters[: x.rank])
    sizes = dict(zip(own, x.shape, strict=True))
    operands: list[Operand] = [x]
    terms = [own]
    for k in range(b.choice((1, 1, 1, 2)) if b.opset > 12 else 0):
        fresh = letters[x.rank + k : x.rank + k + b.rng.randint(0, 1)]
        sizes |= {letter: b.rng.randint(1, 3) for letter in fresh}
        term = b.some([*own, *fresh])[:3]
        operands.append(b.live(*(sizes[letter] for letter in term)))
        terms.append(term)
    known = list(dict.fromkeys(letter for term in terms for letter in term))
    equation = ",".join(map("".join, terms)) + "->" + "".join(b.some(known, least=0)[:4])
    return b.op(op, *operands, equation=equation)


def _windows(b: Sparse, x: Value) -> tuple[list[int], dict[str, Any]]:
    rank = x.rank - 2
    kernel = b.ints(rank, 1, 4 if rank == 1 else 3 if rank == 2 else 2)
    dilations = b.ints(rank, 1, 2) if b.chance(0.4) else [1] * rank
    reach = [(k - 1) * d for k, d in zip(kernel, dilations, strict=True)]
    pads = [b.rng.randint(0, r) for r in reach + reach]
    strides = b.ints(rank, 1, 3) if b.chance(0.4) else None
    return kernel, {"dilations": dilations, "pads": pads, "strides": strides}


@pattern("Conv", "ConvTranspose", ranks=(3, 4, 5), weight=5)
def convolution(b: Sparse, x: Value, op: str) -> Value:
    """Taps that are zero for all channels, for some, or for pairs; a kernel that is computed."""
    kernel, given = _windows(b, x)
    group = b.divisor(x.shape[1])
    features = b.rng.randint(1, 3)
    if op == "Conv":
        shape = (features * group, x.shape[1] // group, *kernel)
    else:
        shape = (x.shape[1], features, *kernel)
    W: Operand
    if b.chance(0.2) and prod(shape) <= b.room and x.array.min() > 0.05:
        # Onnxruntime multiplies what varies with the padding too; zeros of the data are not cut.
        given["pads"] = None
        W = b.op("Mul", b.input("w", shape), b.sparse(*shape))
    else:
        W = b.written(b.sparse(*shape))
    bias = b.sparse(features * group) if b.chance(0.3) else None
    return b.op(op, x, W, bias, group=group, **given)


@pattern("AveragePool", ranks=(3, 4, 5), weight=0.7)
def pool(b: Sparse, x: Value, op: str) -> Value:
    """Each window whole."""
    kernel, given = _windows(b, x)
    return b.op(op, x, kernel_shape=kernel, strides=given["strides"])


@pattern("ReduceSum", "CumSum", weight=1)
def summed(b: Sparse, x: Value, op: str) -> Value:
    """All along an axis, or up to a place."""
    if op == "CumSum":
        return b.op(op, x, np.array(b.axis(x.rank)), reverse=b.rng.randint(0, 1))
    return b.op(
        op, x, np.array([b.axis(x.rank)], np.int64), keepdims=int(x.rank == 2 or b.chance(0.5))
    )


@pattern("BatchNormalization", ranks=(3, 4), weight=0.7)
def batch(b: Sparse, x: Value, op: str) -> Value:
    """Channels of which the scale is 0."""
    c = x.shape[1]
    return b.op(op, x, b.sparse(c), b.numbers(c), b.numbers(c) * 0, b.numbers(c))


@pattern("LayerNormalization", "InstanceNormalization", since=17, ranks=(3,), weight=0.7)
def normalised(b: Sparse, x: Value, op: str) -> Value:
    """Places, or channels, of which the scale is 0; above zero again."""
    if x.shape[-1] < 3:
        raise Rejected("of two elements only the order is left")
    size = x.shape[-1 if op[0] == "L" else 1]
    made = b.op(op, b.scaled(x), b.sparse(size), np.full(size, 3, np.float32))
    return b.op("Mul", made, b.numbers(*made.shape))


# ---------------------------------------------------------------- masks


def mask(b: Sparse, shape: Shape, axis: int) -> tuple[np.ndarray, float]:
    """What is left, each row something as a rule, and the number elsewhere."""
    kept = b.pattern(*shape).copy()
    if b.chance(0.15) or shape[axis] == 1:
        return kept, b.choice(_EXACT)
    first = np.moveaxis(kept, axis, 0)
    first[b.rng.randrange(len(first))] |= ~first.any(axis=0)
    return kept, b.choice((*_EXACT, -1e9))


def _numbered(b: Sparse, x: Value, axis: int) -> Value:
    """The places along one of the last two axes, of which there are as many as the shape says."""
    count: Operand = np.array(x.shape[axis])
    if b.chance(0.5):
        count = b.op("Gather", b.op("Shape", x), np.array(axis))
    places = b.op("Range", np.array(0), count, np.array(1))
    return b.op("Unsqueeze", places, np.array([x.rank - 1 - axis], np.int64))


def masked(b: Sparse, x: Value, axis: int) -> Value:
    """Scores of which constants mask some, in one of the ways that exporters have."""
    shape = list(x.shape)
    for k in range(x.rank - 2):
        shape[k] = shape[k] if b.chance(0.3) else 1
    kept, low = mask(b, tuple(shape), axis)
    kind = b.rng.randrange(6)
    least = np.array(low, np.float32)
    if kind == 0:
        return b.op("Where", b.written(kept), x, least)
    if kind == 1:
        return b.op("Where", b.op("Not", b.written(kept)), least, x)
    if kind == 2 and low > -np.inf:
        lost = b.op("Cast", b.op("Not", b.written(kept)), to=TensorProto.FLOAT)
        return b.op("Add", x, b.op("Mul", lost, least))
    if kind == 3 and low > -np.inf:
        one = b.op("Sub", np.array(1, np.float32), b.written(kept.astype(np.float32)))
        return b.op("Sub", x, b.op("Mul", one, np.asarray(-least)))
    if kind == 4 and b.opset >= 14 and low in _EXACT:
        # Range, Less and a triangle beside it.
        i, j = (_numbered(b, x, axis) for axis in (x.rank - 2, x.rank - 1))
        late = b.op("Less", i, j)
        full = b.op("ConstantOfShape", np.array(x.shape[-2:], np.int64))
        far = b.op("Trilu", b.op("Add", full, np.ones((), np.float32)), np.array(-2), upper=0)
        cut = b.op("Or", late, b.op("Cast", far, to=TensorProto.BOOL))
        return b.op("Add", x, b.op("Where", cut, least, np.zeros((), np.float32)))
    return b.op("Add", x, b.written(np.where(kept, np.float32(0), least)))


@pattern("Softmax", weight=4)
def softmax(b: Sparse, x: Value, op: str) -> Value:
    """Masked, along any axis; what is NaN made 0; then the weights of values, as a rule."""
    axis = b.choice((-1, -1, b.axis(x.rank)))
    if x.shape[axis] < 2:
        raise Rejected("one alone has the weight 1")
    weights = b.op(op, masked(b, b.scaled(x), axis), axis=axis)
    if np.isnan(weights.array).any() or b.chance(0.1):
        weights = b.op("Where", b.op("IsNaN", weights), np.zeros((), np.float32), weights)
    if b.chance(0.15):
        weights = b.node("Dropout", [weights])[0]
    weights = b.op("Mul", weights, b.numbers(*weights.shape))
    if b.chance(0.5):
        return weights
    return product(b, weights, "MatMul")


@pattern("Attention", since=23, ranks=(2, 3, 4), weight=2)
def attention(b: Sparse, x: Value, op: str) -> Value:
    """With a mask of bool or to be added, of every number of axes; causal besides."""
    if x.rank < 4:
        x = b.op("Unsqueeze", x, np.arange(4 - x.rank))
    if x.array.min() < 0.05:
        # Zeros of queries and keys are not cut.
        x = b.op("Add", x, np.float32([0.5]))
    batch, heads, length, size = x.shape
    keys = b.rng.randint(2, 4)
    K = b.scaled(b.op("Mul", b.input("w", (batch, heads, keys, size)), b.numbers(1)))
    V = K if b.chance(0.3) else b.live(batch, heads, keys, b.rng.randint(1, 2))
    shape: list[int] = [length, keys]
    for n in (heads, batch):
        if b.chance(0.4):
            shape.insert(0, n if b.chance(0.5) else 1)
    kept, low = mask(b, tuple(shape), -1)
    # That a score outweighs a mask of -1e4 would not show: it is inside of the operator.
    low = low if low < -1e4 else -np.inf
    given = kept if b.chance(0.4) else np.where(kept, 0, low).astype(np.float32)
    if given is not kept and low > -np.inf:
        # What is left of a row that is masked whole by a finite number depends on the version.
        given[..., 0] = 0
    causal = b.rng.randint(0, 1) if length > 1 else 0
    made = b.op(op, b.scaled(x), K, V, b.written(given), is_causal=causal)
    # That all its values are 0 is not known of it.
    return b.op("Add", made, np.float32([0.5]))


# ---------------------------------------------------------------- quantised


def _stored(b: Sparse, zero: int, *shape: int) -> np.ndarray:
    """Of weights: what stands for 0 is `zero`."""
    made = np.array([b.rng.randint(5, 12) for _ in range(prod(shape))]).reshape(shape)
    return (np.where(b.pattern(*shape), made, 0) + zero).astype(np.uint8)


def _raw(b: Sparse, x: Value) -> Value:
    """An input as like `x` as there is: of others a step might hide the changes."""
    found = [v for v in b.inputs if v.rank == x.rank]
    if not found:
        raise Rejected("no input of this rank")
    return x if x in found else b.choice(found)


def _quantised(b: Sparse, x: Value, zero: int) -> tuple[Value, np.ndarray, np.ndarray]:
    scale = np.array(max(float(x.array.max()), 0.1) / 60, np.float32)
    point = np.array(zero, np.uint8)
    return b.op("QuantizeLinear", x, scale, point), scale, point


@pattern("MatMulInteger", "QLinearMatMul", weight=1)
def integer_product(b: Sparse, x: Value, op: str) -> Value:
    """A matrix of which some numbers are its zero point, on either side."""
    zero, x = b.choice((0, 0, 7, 100)), _raw(b, x)
    a, scale, point = _quantised(b, x, b.choice((0, 5)))
    left = b.chance(0.6)
    inner, size = x.shape[-1 if left else -2], b.rng.randint(1, 3)
    w = _stored(b, zero, *((inner, size) if left else (size, inner)))
    wide = np.array(zero, np.uint8)
    if op == "MatMulInteger":
        pair = (a, w, point, wide) if left else (w, a, wide, point)
        made = b.op(op, *pair)
    else:
        first, second = (a, scale, point), (w, np.array(0.01, np.float32), wide)
        last = np.array(scale * inner * 0.02, np.float32), np.array(3, np.uint8)
        made = b.op(op, *((*first, *second) if left else (*second, *first)), *last)
    return _real(b, made)


@pattern("ConvInteger", "QLinearConv", ranks=(3, 4), weight=1)
def integer_convolution(b: Sparse, x: Value, op: str) -> Value:
    """A kernel of which some taps are its zero point."""
    x = _raw(b, x)
    kernel, given = _windows(b, x)
    zero = b.choice((0, 0, 7, 100))
    a, scale, point = _quantised(b, x, b.choice((0, 5)))
    w = _stored(b, zero, b.rng.randint(1, 2), x.shape[1], *kernel)
    wide = np.array(zero, np.uint8)
    if op == "ConvInteger":
        return _real(b, b.op(op, a, w, point, wide, **given))
    last = np.array(scale * w[0].size * 0.02, np.float32), np.array(3, np.uint8)
    return _real(b, b.op(op, a, scale, point, w, np.array(0.01, np.float32), wide, *last, **given))


def _real(b: Sparse, x: Value) -> Value:
    real = b.op("Cast", x, to=TensorProto.FLOAT)
    return b.op("Mul", real, np.array(1 / max(float(real.array.max()), 1), np.float32))


# The older ones count as read: they are not evaluated.
@pattern("DequantizeLinear", since=19, weight=1)
def stored_matrix(b: Sparse, x: Value, op: str) -> Value:
    """A product with weights that are stored, each column with its own zero point."""
    inner, size = x.shape[-1], b.rng.randint(1, 3)
    zeros = np.array([b.choice((0, 7, 100)) for _ in range(size)], np.uint8)
    w = (_stored(b, 0, inner, size) + zeros).astype(np.uint8)
    scales = b.numbers(size) / 60
    return b.op("MatMul", x, b.op(op, w, scales, zeros, axis=1))
