"""The nodes of a probe while they are written: values of one name, all that live in floats."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any, Literal, TypeAlias

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rfgraph.errors import QueryError
from rfgraph.reads.words import Shape
from rfgraph.worker.protos import (
    FLOATS,
    Key,
    attributes_of,
    formal_of,
    input_of,
    key_of,
)

Taps: TypeAlias = Literal["read", "weighted"]


class LostError(Exception):
    """Nothing carries NaN for a node; the message says why."""


class KnownShapes:
    """Shapes of the model's values, and of those that the probe adds."""

    def __init__(self, known: Callable[[str], Shape | None]) -> None:
        self._known = known
        self.added: dict[str, Shape] = {}

    def get(self, name: str) -> Shape | None:
        """Static shape of a value, or None."""
        if name in self.added:
            return self.added[name]
        try:
            return self._known(name)
        except QueryError:
            return None

    def __getitem__(self, name: str) -> Shape:
        shape = self.get(name)
        if shape is None:
            raise LostError(f"the shape of '{name}' is not known")
        return shape


Rewrite: TypeAlias = "Callable[[Emitter, onnx.NodeProto], None]"
Condition: TypeAlias = "Callable[[Emitter, onnx.NodeProto], bool]"


@dataclass(frozen=True)
class Replacement:
    """Why an operator is not observed as it is, and what stands in for it.

    Attributes
    ----------
    why : str
        What the kernel does with a NaN.
    instead : str
        What the probe has in the operator's place.
    rewrite : callable
        Appends that to a probe.
    applies : callable or None
        Whether it is needed for a node: the others are in `Kernels.carries` too. None: for all.
    """

    why: str
    instead: str
    rewrite: Rewrite
    applies: Condition | None = None


def lives(k: int) -> Condition:
    """Of an operator that needs a replacement where its input `k` lives: whether it does."""
    return lambda to, node: node.input[k] in to.live


@dataclass(frozen=True)
class Kernels:
    """What the kernels of a runtime do with NaN.

    Attributes
    ----------
    replaced : mapping of (str, str) to Replacement
        What stands in for operators, by domain and operator.
    carries : collection of (str, str)
        Operators that carry a NaN to exactly the elements that read it.
    lost : mapping of (str, str) to str
        Operators that nothing can stand in for, and why.
    steering : mapping of (str, str) to collection of int
        Inputs that hold no data, though their type is one of data, or there is no schema to tell.
    fixed : collection of ((str, str), int)
        Outputs that no data can change.
    """

    replaced: Mapping[Key, Replacement]
    carries: Collection[Key]
    lost: Mapping[Key, str]
    steering: Mapping[Key, Collection[int]]
    fixed: Collection[tuple[Key, int]]


class Emitter:
    """Appends nodes to a probe.

    Parameters
    ----------
    kernels : Kernels
        What runs it.
    opsets : mapping of str to int
        Versions of operator sets by domain.
    types : mapping of str to int
        Element types of the model's values.
    shapes : KnownShapes
        Their shapes.
    taps : "read" or "weighted"
        As for `rfgraph.validation.nan.probe.poisoned`.
    live : set of str
        Inputs that are followed.
    taken : container of str
        Names that the model has.
    in_blocks : container of str
        Values whose channels the model has in blocks.

    Attributes
    ----------
    nodes, constants : list
        What has been written.
    live : set of str
        Values that depend on an input that is followed.
    dead : set of str
        Outputs of nodes that live, and do not live themselves.
    """

    def __init__(
        self,
        kernels: Kernels,
        opsets: Mapping[str, int],
        types: Mapping[str, int],
        shapes: KnownShapes,
        taps: Taps,
        live: set[str],
        taken: Container[str],
        in_blocks: Container[str],
    ) -> None:
        self.kernels = kernels
        self.opsets = opsets
        self.opset = opsets[""]
        self.types = types
        self.shapes = shapes
        self.taps = taps
        self.live = live
        self.in_blocks = in_blocks
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.dead: set[str] = set()
        self._taken = taken
        self._count = 0
        self._casts: dict[str, tuple[str, int]] = {}
        self._drawn: dict[tuple[Shape, int, int], str] = {}

    # ------------------------------------------------ the model's nodes

    def rewrite(self, node: onnx.NodeProto) -> None:
        """Append what stands in for a node that lives, and mark what it makes.

        Raises
        ------
        LostError
            There is no such thing.
        """
        key = key_of(node)
        replacement = self.replacement(node)
        if replacement is not None:
            replacement.rewrite(self, node)
        elif key in self.kernels.carries:
            self.nodes.append(self.with_floats(node))
        else:
            raise LostError(self.kernels.lost.get(key, "not known to carry NaN"))
        self.live.update(
            name
            for k, name in enumerate(node.output)
            if name and name not in self.dead and (key, k) not in self.kernels.fixed
        )

    def replacement(self, node: onnx.NodeProto) -> Replacement | None:
        """What has to stand in for a node; None if nothing has to, or nothing can."""
        found = self.kernels.replaced.get(key_of(node))
        if found is None or (found.applies is not None and not found.applies(self, node)):
            return None
        return found

    def with_floats(self, node: onnx.NodeProto) -> onnx.NodeProto:
        """The same node, with all of its operands that hold data as floats.

        Raises
        ------
        LostError
            An operand that says where to read lives.
        """
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        for k, name in enumerate(node.input):
            if not name:
                continue
            formal = formal_of(node, self.opsets, k)
            if formal is not None and any("(tensor(float))" in kind for kind in formal.types):
                self.must_be_float(name)
            elif self.is_data(node, k):
                copy.input[k] = self.floats(name)
            elif name in self.live:
                what = f"its '{formal.name}'" if formal else f"its input {k}"
                raise LostError(f"{what} says where it reads, and is computed from the data")
        return copy

    def is_data(self, node: onnx.NodeProto, k: int) -> bool:
        """Whether input `k` of a node holds data, and does not say where they are read."""
        if k in self.kernels.steering.get(key_of(node), ()):
            return False
        formal = formal_of(node, self.opsets, k)
        return formal is None or any("tensor(float)" in kind for kind in formal.types)

    def must_be_float(self, name: str) -> None:
        """Fail unless a value that lives, of a type that is kept, is one of 32-bit floats.

        Raises
        ------
        LostError
            It is not, or not known to be.
        """
        if name in self.live and self.types.get(name) != TensorProto.FLOAT:
            raise LostError(f"'{name}' is not known to hold 32-bit floats")

    def drop(self, written: int) -> None:
        """Drop the nodes that were appended after so many."""
        del self.nodes[written:]
        self._casts = {k: v for k, v in self._casts.items() if v[1] < written}

    @contextmanager
    def into(self, nodes: list[onnx.NodeProto]) -> Iterator[None]:
        """Append to `nodes` meanwhile; what is cast there is known there alone."""
        outside, casts = self.nodes, self._casts
        self.nodes, self._casts = nodes, dict(casts)
        try:
            yield
        finally:
            self.nodes, self._casts = outside, casts

    # ------------------------------------------------ nodes of the probe's own

    def fresh(self) -> str:
        """A name that nothing has."""
        while True:
            self._count += 1
            name = f"probe_{self._count}"
            if name not in self._taken:
                return name

    def emit(
        self, op: str, inputs: Sequence[str], output: str = "", domain: str = "", **attributes: Any
    ) -> str:
        """Append a node with one output, and return its name."""
        output = output or self.fresh()
        self.nodes.append(helper.make_node(op, list(inputs), [output], domain=domain, **attributes))
        return output

    def rewritten(self, op: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        """Append what stands in for a node of ONNX that reads the same, and return its output."""
        output = output or self.fresh()
        self.rewrite(helper.make_node(op, list(inputs), [output], **attributes))
        return output

    def constant(self, value: object, dtype: type = np.float32) -> str:
        """Name of a new constant."""
        name = self.fresh()
        self.constants.append(numpy_helper.from_array(np.array(value, dtype), name))
        return name

    def floats(self, name: str) -> str:
        """An operand as floats: one that lives is, others are cast once."""
        if name in self.live or self.types.get(name) == TensorProto.FLOAT:
            return name
        if name not in self._casts:
            place = len(self.nodes)
            made = self.emit("Cast", [name], to=TensorProto.FLOAT)
            self._casts[name] = made, place
            shape = self.shapes.get(name)
            if shape is not None:
                self.shapes.added[made] = shape
        return self._casts[name][0]

    def average(self, name: str, over: int) -> str:
        """Weights that live, else as many that average `over` products."""
        if name in self.live:
            return name
        weight = numpy_helper.from_array(np.array([1 / max(over, 1)], np.float32))
        shape = self.constant(list(self.shapes[name]), np.int64)
        made = self.emit("ConstantOfShape", [shape], value=weight)
        self.shapes.added[made] = self.shapes[name]
        return made

    def tame(self, name: str) -> str:
        """An operand that is added for its NaN only: of one that does not live, zeros and ones."""
        if name in self.live:
            return name
        truth = self.emit("Cast", [name], to=TensorProto.BOOL)
        return self.emit("Cast", [truth], to=TensorProto.FLOAT)

    def clone(self, node: onnx.NodeProto, first: str, output: str = "", **changed: Any) -> str:
        """Append `node` reading `first` in place of its first input, some attributes changed."""
        copy = self.with_floats(node)
        return self.emit(
            node.op_type,
            [first, *copy.input[1:]],
            output,
            node.domain,
            **(attributes_of(node) | changed),
        )

    def sum(self, names: Sequence[str], output: str = "") -> str:
        """Append the sum of operands, broadcast alike."""
        terms = [self.tame(name) for name in names if name]
        if self.opset >= 8 or len(terms) == 1:
            return self.emit("Sum", terms, output)
        total = terms[0]
        for term in terms[1:-1]:
            total = self.emit("Add", [total, term])
        return self.emit("Add", [total, terms[-1]], output)

    def mean(
        self, name: str, axes: Sequence[int] | None, output: str = "", *, keepdims: int = 1
    ) -> str:
        """Append the mean over axes, over all if None."""
        if axes is None:
            return self.emit("ReduceMean", [name], output, keepdims=keepdims)
        if self.opset < 18:
            return self.emit("ReduceMean", [name], output, axes=list(axes), keepdims=keepdims)
        given = self.constant(list(axes), np.int64)
        return self.emit("ReduceMean", [name, given], output, keepdims=keepdims)

    def reshaped(self, name: str, shape: Sequence[int], output: str = "") -> str:
        """Append a reshape."""
        return self.emit("Reshape", [name, self.constant(list(shape), np.int64)], output)

    def spread(self, name: str, shape: Sequence[int], output: str = "") -> str:
        """Append an expansion to a shape."""
        return self.emit("Expand", [name, self.constant(list(shape), np.int64)], output)

    def turned(self, name: str, axes: Sequence[int], output: str = "") -> str:
        """Append a transposition."""
        turned = self.emit("Transpose", [name], output, perm=list(axes))
        if not output:
            shape = self.shapes.get(name)
            if shape is not None:
                self.shapes.added[turned] = tuple(shape[axis] for axis in axes)
            if name in self.live:
                self.live.add(turned)
        return turned

    def add(
        self, value: str, parameters: Sequence[tuple[str, int]], like: str, output: str = ""
    ) -> str:
        """Append the sum of a value and of parameters that live.

        Parameters
        ----------
        value : str
            A value.
        parameters : sequence of (str, int)
            Scales, zero points or a bias, one for all or one for each place along an axis.
        like : str
            What has the shape of `value`.
        output : str
            Its name, if it has one.
        """
        aligned = []
        for name, axis in parameters:
            if name not in self.live:
                continue
            shape, whole = self.shapes[name], self.shapes[like]
            if prod(shape) == 1:
                aligned.append(self.reshaped(name, ()))
            elif len(shape) == 1:
                rank = len(whole)
                aligned.append(self.reshaped(name, (*shape, *(1,) * (rank - 1 - axis % rank))))
            elif all(n in (1, m) for n, m in zip(shape[::-1], whole[::-1], strict=False)):
                aligned.append(name)
            else:
                raise LostError("a scale or zero point of a block is computed from the data")
        return self.emit("Sum", [value, *aligned], output)

    def with_parameters(
        self, value: str, node: onnx.NodeProto, inputs: Sequence[int], axis: int, like: str
    ) -> str:
        """A value to which some inputs of a node are added, of those that live; see `add`."""
        parameters = [(input_of(node, k), axis) for k in inputs if input_of(node, k) in self.live]
        if not parameters:
            return value
        total = self.add(value, parameters, like)
        self.live.add(total)
        self.shapes.added[total] = self.shapes[like]
        return total

    def generic(self, shape: Shape, kind: int, draw: int) -> str:
        """Name of a constant of generic elements: small numbers, and of bools true ones."""
        key = (shape, kind, draw)
        if key not in self._drawn:
            rng = np.random.default_rng((draw, *shape))
            numbers = rng.uniform(0.5, 1.5, shape) * rng.choice((-1, 1), shape)
            if kind == TensorProto.BOOL:
                numbers = np.ones(shape)
            elif kind not in FLOATS:
                numbers = rng.integers(1, 60, shape).astype(float)
            self._drawn[key] = self.constant(numbers)
        return self._drawn[key]

    def indicator(self, name: str) -> str:
        """1 where a value is NaN, 0 elsewhere."""
        if self.opset < 9:
            raise LostError("its rule needs operator set 9")
        return self.emit("Cast", [self.emit("IsNaN", [name])], to=TensorProto.FLOAT)

    def exceeds(self, name: str, limit: float) -> str:
        """Where the magnitude of a value exceeds `limit`."""
        return self.emit("Greater", [self.emit("Abs", [name]), self.constant(limit)])

    def nan_where(self, condition: str, output: str) -> None:
        """Make `output` NaN where `condition` holds, and some number elsewhere."""
        nan, number = self.constant(np.nan), self.constant(0.75)
        self.emit("Where", [condition, nan, number], output)
