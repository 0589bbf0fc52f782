"""The builder of random graphs, and the table of what it is built of."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias, TypeVar

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .observe import Shape, session

T = TypeVar("T")

OLDEST = 9
NEWEST = 25
"""Operator-set versions that graphs are drawn from, operators permitting."""

MAX_ELEMENTS = 150
"""Elements of all inputs together: the model is run once for each."""

MAX_UNITS = 600
"""Elements of any value in a graph."""

MAX_RANK = 6

# Magnitudes beyond this are refused: they would overflow somewhere, and inf - inf is NaN.
_LARGE = 1e4


# A window of padding only gives the lowest float; the probe has some other number.
_MAY_OVERFLOW = ("MaxPool",)

END = 2**31 - 1


# Where onnxruntime's kernels (1.32, CPU) do not follow the specification: not drawn by default.
QUIRKS = {
    "pool SAME dilated": (
        "MaxPool, AveragePool and LpPool leave the dilation out of the padding under "
        "auto_pad=SAME_*: the output is smaller than ceil(size / stride), and shifted"
    ),
    "SAME crop": (
        "Conv and the pools let the padding under auto_pad=SAME_* be negative where the stride is "
        "larger than the window, and start inside of the axis, or refuse the model"
    ),
}


class Rejected(Exception):  # noqa: N818 - an answer, not an error: it never leaves the generator
    """What was drawn is not possible; the message says why."""


# ---------------------------------------------------------------- the builder


@dataclass(frozen=True, eq=False)
class Value:
    """A value of the graph that is being built.

    Attributes
    ----------
    name : str
        Its name.
    array : ndarray
        What it is for one random input.
    live : bool
        Whether it depends on an input.
    """

    name: str
    array: np.ndarray
    live: bool

    @property
    def shape(self) -> Shape:
        """Its shape."""
        return tuple(self.array.shape)

    @property
    def rank(self) -> int:
        """Its rank."""
        return self.array.ndim


Operand: TypeAlias = "Value | np.ndarray | None"


class Builder:
    """Appends nodes to a graph, and runs each of them.

    Parameters
    ----------
    rng : random.Random
        Decides everything.
    opset : int
        Operator-set version.
    max_elements : int
        Elements of all inputs together.
    quirks : bool
        Whether what is in `QUIRKS` may be drawn.
    """

    def __init__(
        self,
        rng: random.Random,
        opset: int,
        max_elements: int = MAX_ELEMENTS,
        *,
        quirks: bool = False,
    ) -> None:
        self.rng = rng
        self.opset = opset
        self.quirks = quirks
        self.inputs: list[Value] = []
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.values: list[Value] = []
        self._elements = max_elements
        self._count = 0

    # ------------------------------------------------ state

    def snapshot(self) -> tuple[int, ...]:
        """What `restore` needs to undo everything since."""
        return len(self.inputs), len(self.nodes), len(self.constants), len(self.values)

    def restore(self, snapshot: tuple[int, ...]) -> None:
        """Undo everything since `snapshot`."""
        inputs, nodes, constants, values = snapshot
        self._elements += sum(v.array.size for v in self.inputs[inputs:])
        del self.inputs[inputs:], self.nodes[nodes:]
        del self.constants[constants:], self.values[values:]

    def fresh(self, prefix: str) -> str:
        """A name that nothing has."""
        self._count += 1
        return f"{prefix}{self._count}"

    @property
    def room(self) -> int:
        """How many elements further inputs may have."""
        return self._elements

    def quirk(self, name: str) -> None:
        """Refuse what onnxruntime gets wrong, unless it is asked for; see `QUIRKS`."""
        if not self.quirks:
            raise Rejected(f"quirk: {QUIRKS[name]}")

    # ------------------------------------------------ drawing

    def chance(self, p: float) -> bool:
        """Whether something of probability `p` happens."""
        return self.rng.random() < p

    def choice(self, options: Sequence[T]) -> T:
        """One of `options`."""
        return options[self.rng.randrange(len(options))]

    def ints(self, count: int, low: int, high: int) -> list[int]:
        """`count` integers in [low, high]."""
        return [self.rng.randint(low, high) for _ in range(count)]

    def some(self, options: Sequence[T], least: int = 1) -> list[T]:
        """A random subset, in random order."""
        return self.rng.sample(list(options), self.rng.randint(least, len(options)))

    def axis(self, rank: int) -> int:
        """An axis, counted from either end."""
        axis = self.rng.randrange(rank)
        return axis - rank if self.chance(0.4) else axis

    def axes(self, rank: int) -> list[int]:
        """Some axes, each counted from either end."""
        return [a - rank if self.chance(0.4) else a for a in self.some(range(rank))]

    def divisor(self, n: int) -> int:
        """A divisor of `n`."""
        return self.choice([d for d in range(1, n + 1) if n % d == 0])

    def numbers(self, *shape: int) -> np.ndarray:
        """Generic numbers: none is zero, none equals another."""
        made = np.empty(prod(shape), np.float32)
        for k in range(made.size):
            made[k] = self.rng.choice((-1, 1)) * self.rng.uniform(0.2, 1)
        return made.reshape(shape)

    def positive(self, *shape: int) -> np.ndarray:
        """Generic positive numbers."""
        return np.asarray(np.abs(self.numbers(*shape)))

    def weight(self, *shape: int, live: float = 0.1) -> Operand:
        """Generic numbers; with probability `live` they are an input of the graph."""
        if self.chance(live) and 0 < prod(shape) <= self.room:
            return self.input("w", shape)
        return self.numbers(*shape)

    def other(self, fits: Callable[[Value], bool], prefer_not: Value | None = None) -> Value | None:
        """A live value that fits; not `prefer_not` if there is another."""
        found = [v for v in self.values if fits(v)]
        better = [v for v in found if v is not prefer_not]
        return self.choice(better or found) if found else None

    # ------------------------------------------------ appending

    def input(self, prefix: str, shape: Sequence[int]) -> Value:
        """Append an input of the graph."""
        taken = any(v.name == prefix for v in self.inputs)
        value = Value(self.fresh(prefix) if taken else prefix, self.numbers(*shape), True)
        self._elements -= value.array.size
        self.inputs.append(value)
        return value

    def constant(self, array: np.ndarray) -> Value:
        """Append a constant: an initializer or a Constant node."""
        value = Value(self.fresh("c"), array, False)
        tensor = numpy_helper.from_array(array, value.name)
        if array.size and self.chance(0.25):
            self.nodes.append(helper.make_node("Constant", [], [value.name], value=tensor))
        else:
            self.constants.append(tensor)
        return value

    def node(
        self, op: str, inputs: Sequence[Operand], outputs: int = 1, **given: Any
    ) -> list[Value]:
        """Append a node and run it; attributes that are None are left out.

        Raises
        ------
        Rejected
            onnxruntime refuses it, or what it makes is empty, too large or not finite.
        """
        operands = [self.constant(v) if isinstance(v, np.ndarray) else v for v in inputs]
        while operands and operands[-1] is None:
            operands.pop()
        node = helper.make_node(
            op,
            [v.name if v else "" for v in operands],
            [self.fresh("v") for _ in range(outputs)],
            **{key: value for key, value in given.items() if value is not None},
        )
        known = [v for v in operands if v]
        arrays = _run(node, known, self.opset)
        live = op not in ("Shape", "Size") and any(v.live for v in known)
        made = []
        for name, array in zip(node.output, arrays, strict=True):
            if live and not 0 < array.size <= MAX_UNITS:
                raise Rejected(f"{op}: {array.size} units")
            if live and array.ndim > MAX_RANK:
                raise Rejected(f"{op}: rank {array.ndim}")
            if array.dtype.kind == "f":
                tame = self.tame(array)
                if not tame.all():
                    if op not in _MAY_OVERFLOW:
                        raise Rejected(f"{op}: not finite, or large")
                    array = np.where(tame, array, np.float32(0.75))
            made.append(Value(name, array, live))
        self.nodes.append(node)
        return made

    def tame(self, array: np.ndarray) -> np.ndarray:
        """Which numbers are finite, and not so large that they overflow later."""
        return np.asarray(np.isfinite(array) & (np.abs(array) < _LARGE))

    def op(self, op: str, *inputs: Operand, **given: Any) -> Value:
        """Append a node with one output; see `node`."""
        return self.node(op, inputs, **given)[0]

    def integers(self, values: Iterable[int]) -> Value:
        """Append a constant of integers, of rank 1."""
        return self.constant(np.array(list(values), np.int64))

    def with_ints(self, since: int, name: str, values: Sequence[int]) -> tuple[list[Operand], Any]:
        """Integers as an input from opset `since` on, and as attribute `name` before.

        Returns
        -------
        inputs, attributes
            To add to those of the node.
        """
        if self.opset >= since:
            return [self.integers(values)], {}
        return [], {name: list(values)}

    def model(self, description: str) -> onnx.ModelProto:
        """The graph; its outputs are the values that nothing reads."""
        read = {name for node in self.nodes for name in node.input}
        leaves = [v for v in self.values if v.name not in read and v not in self.inputs]
        if not leaves:
            raise Rejected("no output")
        used = [v for v in self.inputs if v.name in read]
        graph = helper.make_graph(
            self.nodes,
            "random",
            [helper.make_tensor_value_info(v.name, TensorProto.FLOAT, v.shape) for v in used],
            [
                helper.make_tensor_value_info(
                    v.name, helper.np_dtype_to_tensor_dtype(v.array.dtype), v.shape
                )
                for v in leaves
            ],
            self.constants,
        )
        opsets = [helper.make_opsetid("", self.opset)]
        return helper.make_model(
            graph,
            opset_imports=opsets,
            ir_version=max(helper.find_min_ir_version_for(opsets), 4),
            doc_string=description,
        )


def _run(node: onnx.NodeProto, known: Sequence[Value], opset: int) -> list[np.ndarray]:
    """What onnxruntime makes of one node."""
    distinct = {v.name: v for v in known}.values()
    graph = helper.make_graph(
        [node],
        "node",
        [
            helper.make_tensor_value_info(
                v.name, helper.np_dtype_to_tensor_dtype(v.array.dtype), v.shape
            )
            for v in distinct
            if v.live
        ],
        [helper.make_empty_tensor_value_info(name) for name in node.output],
        [numpy_helper.from_array(v.array, v.name) for v in distinct if not v.live],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    try:
        arrays = session(model).run(None, {v.name: v.array for v in distinct if v.live})
    except Exception as error:  # onnxruntime's errors have no common base but this
        raise Rejected(f"{node.op_type}: {reason(error)}") from None
    return [np.asarray(array) for array in arrays]


def reason(error: Exception) -> str:
    """The telling part of onnxruntime's message."""
    text = " ".join(str(error).split())
    return text.rsplit("onnxruntime::", 1)[-1][-200:]


# ---------------------------------------------------------------- the table


Made: TypeAlias = "Value | list[Value]"
Build: TypeAlias = "Callable[[Builder, Value, str], Made]"


@dataclass(frozen=True)
class Operator:
    """How one operator, or one pattern of operators, is drawn.

    Attributes
    ----------
    name : str
        The operator, or in lower case the pattern.
    build : callable
        Appends it to a builder, reading a given value; returns what further nodes may read.
    since, until : int
        Operator-set versions that have it.
    ranks : tuple of int
        Ranks of the value that it can read.
    weight : float
        How often it is drawn, beside the others.
    """

    name: str
    build: Build
    since: int
    until: int
    ranks: tuple[int, ...]
    weight: float


OPERATORS: dict[str, Operator] = {}

SPATIAL = (3, 4, 5)
_ANY = (1, 2, 3, 4, 5, 6)
SCALARS_TOO = (0, *_ANY)


def operator(
    *names: str,
    since: int = OLDEST,
    until: int = NEWEST,
    ranks: tuple[int, ...] = _ANY,
    weight: float = 1.0,
) -> Callable[[Build], Build]:
    """Enter the decorated function into the table, once for each of `names`.

    Parameters
    ----------
    *names : str
        Operators, or in lower case the name of a pattern.
    since, until, ranks
        See `Operator`.
    weight : float
        Of all the names together.
    """

    def enter(build: Build) -> Build:
        for name in names:
            OPERATORS[name] = Operator(name, build, since, until, ranks, weight / len(names))
        return build

    return enter
