"""An operator that is one of ONNX's under another name: fused, quantised, or with channels last.

A `Recast` shows a node to the transfer and to the shape inference of the operator that it is in
truth, and translates what these answer: no transfer is written twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import onnx

from rfgraph.model.graph import Node, make_node
from rfgraph.model.inference import attributes_of, dims_of, type_of
from rfgraph.model.signatures import schema_of
from rfgraph.model.sizes import Sized, is_unknown, name_of
from rfgraph.ops.registry import (
    Operation,
    Reads,
    ShapeFunction,
    Undetermined,
    by_output,
    lookup_rule,
    shape_rule_of,
)
from rfgraph.prune.facts import Fact
from rfgraph.reads.words import (
    Elementwise,
    Factor,
    PerAxis,
    Read,
    Rearrange,
    Shape,
    Source,
    Stage,
    point,
    same,
)

# An input of the operator that is shown: a position in the node, or a position and those of the
# parameters (scale, zero point) that make its value of what is stored; None if it is left out.
Given = int | tuple[int, ...] | None

# Element types of quantised values.
_NARROW = (
    onnx.TensorProto.INT8,
    onnx.TensorProto.UINT8,
    onnx.TensorProto.INT16,
    onnx.TensorProto.UINT16,
)

# A shape may depend on the values of an input with at most this many elements.
_MAX_STEERING = 64


class Recast(Operation):
    """A node as another operator.

    Parameters
    ----------
    op : Operation
        The node.
    op_type : str
        What it is in truth.
    inputs : sequence of int, of tuple of int, or None
        The inputs of that operator, see `Given`.
    moved : mapping of int to tuple of int, optional
        Inputs of that operator, by position, that are transposed first, and how.
    back : sequence of int, optional
        How the outputs are transposed after it.
    per : mapping of int to int, optional
        Along which axis of an input, by position, its parameters lie if they are vectors; the
        last one unless given.
    data : mapping of int to array, optional
        Inputs of that operator that the node has as attributes.
    version : int, optional
        The operator set by which it is read, the latest unless given.
    domain : str
        The domain of the operator.
    outputs : int, optional
        How many outputs there are, all unless given.
    attributes
        Attributes that the node has under another name.
    """

    __slots__ = ("_back", "_data", "_given", "_moved", "_outer", "_per")

    def __init__(
        self,
        op: Operation,
        op_type: str,
        inputs: Sequence[Given],
        *,
        moved: Mapping[int, Sequence[int]] | None = None,
        back: Sequence[int] | None = None,
        per: Mapping[int, int] | None = None,
        data: Mapping[int, np.ndarray] | None = None,
        version: int | None = None,
        domain: str = "",
        outputs: int | None = None,
        **attributes: Any,
    ) -> None:
        version = version or onnx.defs.onnx_opset_version()
        given = [(k,) if isinstance(k, int) else k for k in inputs]
        names = [op._names[k[0]] if k and op.has(k[0]) else "" for k in given]
        proto = onnx.NodeProto()
        proto.op_type = op_type
        proto.domain = domain
        proto.input.extend(f"{k}" if name else "" for k, name in enumerate(names))
        for k in data or {}:
            proto.input.extend("" for _ in range(len(proto.input), k + 1))
            proto.input[k] = f"{k}"
        proto.output.extend(op._node.outputs[:outputs])
        known = attributes_of(op_type, version, domain)
        proto.attribute.extend(
            a
            for a in op._node.kind.proto.attribute
            if (a.name in known or domain) and a.name not in attributes
        )
        proto.attribute.extend(onnx.helper.make_attribute(k, v) for k, v in attributes.items())
        proto.name = op._node.name
        node = make_node(proto, {domain: version}, "", op.file, op._shapes.graph.kinds)
        super().__init__(node, names, op._shapes, op._live, op._knowledge, op._told)
        self.notes = op.notes
        self._outer = op
        self._given = given
        self._moved = dict(moved or {})
        self._back = tuple(back) if back is not None else None
        self._per = dict(per or {})
        self._data = dict(data or {})

    def live(self, k: int) -> bool:
        """Whether input `k`, or one of its parameters, depends on an input of the model."""
        return k < len(self._given) and any(self._outer.live(p) for p in self._given[k] or ())

    def shape(self, k: int = 0) -> Shape:
        """Shape of input `k`, transposed."""
        if k in self._data:
            return self._data[k].shape
        shape = super().shape(k)
        return tuple(shape[axis] for axis in self._moved[k]) if k in self._moved else shape

    def out(self, k: int = 0) -> Shape:
        """Shape of output `k` before it is transposed."""
        shape = super().out(k)
        if self._back is None:
            return shape
        return tuple(shape[self._back.index(axis)] for axis in range(len(shape)))

    def static(self, k: int) -> np.ndarray | None:
        """Input `k` if it does not depend on the data."""
        if k in self._data:
            return self._data[k]
        return self._outer.static(self._first(k)) if self.has(k) else None

    def element_type(self, k: int = 0) -> int:
        """``TensorProto.DataType`` of input `k`."""
        return self._outer.element_type(self._first(k)) if self.has(k) else 0

    def sizes(self, k: int) -> Shape | None:
        """Input `k`, a shape, as far as it is known."""
        return self._outer.sizes(self._first(k)) if self.has(k) else None

    def _first(self, k: int) -> int:
        """Which input of the node input `k` is, or is stored in."""
        first, *_ = self._given[k] or ()
        return first

    def _which(self) -> None:
        self._outer._which()

    def known(self, k: int) -> Fact | None:
        """What is known of the elements of input `k`, transposed."""
        if k in self._data or k >= len(self._given) or not self._given[k]:
            return None
        stored = len(self._given[k] or ()) > 1
        fact = self._value(k) if stored else self._outer.known(self._first(k))
        if fact is None or k not in self._moved:
            return fact
        order = self._moved[k]
        return fact.map(lambda array: array.transpose(order))

    def zeros(self, k: int) -> np.ndarray | None:
        """The elements of input `k` that are exactly 0, transposed."""
        fact = self.known(k)
        return fact.zeros if fact is not None else None

    def _stored_zeros(self, k: int) -> np.ndarray | None:
        """Of what is stored with a scale and a zero point: where it stands for 0."""
        first, *parameters = self._given[k] or ()
        zero = next((p for p in parameters if self._outer.is_zero_point(p, first)), None)
        return self._outer.stored_zeros(first, zero, self._per.get(k, -1))

    def _value(self, k: int) -> Fact | None:
        """What is known of what is stored with a scale and a zero point."""
        stored = self._stored_zeros(k)
        return None if stored is None else Fact(stored, np.zeros((1,) * stored.ndim, np.float32))

    def reads(self) -> Reads:
        """What the outputs read, of the node's own inputs.

        Raises
        ------
        Undetermined
            Nothing is registered for the operator.
        """
        rule = lookup_rule(self._node.domain, self._node.op_type, self._node.version)
        if rule is None:
            raise Undetermined(f"it is a {self._node.op_type}, which is not known")
        answer = rule.transfer(self)
        if isinstance(answer, tuple):
            return tuple(self._outward(found, k) for k, found in enumerate(answer))
        return self._outward(answer, 0)

    def inferred(self) -> list[Sized | None]:
        """Shapes of the node's outputs."""
        rule = lookup_rule(self._node.domain, self._node.op_type, self._node.version)
        if rule is not None and rule.shape is not None:
            made = rule.shape(self)
            found = list(by_output(made, len(self._node.outputs)))
        else:
            inputs = [
                (self._type(k), self.shape(k)) if name else None
                for k, name in enumerate(self._node.inputs)
            ]
            found = _inferred(self._node, inputs, self.static)
        if self._back is None:
            return found
        back = self._back
        # Statistics beside the output keep their shape.
        return [
            tuple(shape[axis] for axis in back) if shape and len(shape) == len(back) else shape
            for shape in found
        ]

    def _type(self, k: int) -> int:
        if k in self._data:
            return int(onnx.helper.np_dtype_to_tensor_dtype(self._data[k].dtype))
        kind = self.element_type(k)
        # What stands for something else, as an integer for a real number, counts as a float.
        quantised = len(self._given[k] or ()) > 1 or kind in _NARROW
        return onnx.TensorProto.FLOAT if quantised else kind

    def _outward(self, reads: list[Read], output: int) -> list[Read]:
        found = [self._translated(read) for read in reads]
        if self._back is None:
            return found
        inner = self.out(output)
        return [Rearrange(Stage(inner, found), inner, self._back)]

    def _translated(self, read: Read) -> Read:
        if isinstance(read, PerAxis | Elementwise) and read.times:
            factors = map(self._factor, read.times)
            read = replace(read, times=tuple([f for f in factors if f is not None]))
        if isinstance(read.source, Stage):
            stage = read.source
            return replace(
                read, source=Stage(stage.shape, [self._translated(r) for r in stage.reads])
            )
        return replace(read, source=self._source(read.source))

    def _factor(self, factor: Factor) -> Factor | None:
        """The factor among the inputs of the node; None if nothing tells where it is 0."""
        k = factor.source
        if not isinstance(k, int):
            return factor
        if k in self._data or k >= len(self._given) or not self._given[k]:
            return None
        source: int | np.ndarray | None = self._first(k)
        if len(self._given[k] or ()) > 1:
            source = self._stored_zeros(k)
        if source is None:
            return None
        order = self._moved.get(k, range(len(factor.axes)))
        axes = dict(zip(order, factor.axes, strict=True))
        return Factor(source, tuple([axes[axis] for axis in sorted(axes)]))

    def _source(self, k: int) -> Source:
        if k >= len(self._given) or not self._given[k]:
            # Left out, as a position beyond the last input is.
            return len(self._outer.sources)
        first, *parameters = self._given[k] or ()
        source: Source = first
        used = [p for p in parameters if self._outer.live(p)]
        if used:
            shape = self._outer.shape(first)
            axis = self._per.get(k, -1) % max(len(shape), 1)
            reads = [vector(p, self._outer.shape(p), axis) for p in used]
            source = Stage(shape, [Elementwise(first), *reads])
        if k in self._moved:
            moved = Rearrange(source, self._outer.shape(first), tuple(self._moved[k]))
            source = Stage(self.shape(k), [moved])
        return source


def _inferred(
    node: Node,
    inputs: Sequence[tuple[int, Shape] | None],
    static: Callable[[int], np.ndarray | None],
) -> list[Sized | None]:
    """Shapes of the outputs of a node that stands in no graph; None for what is open.

    Parameters
    ----------
    node : Node
        The node.
    inputs : sequence of (int, shape) or None
        Element type and shape of each input, None for one that is left out.
    static : callable
        Gives an input by its position, if it is known.
    """
    applied = shape_rule_of(node.kind)
    if applied is not None:
        # Only what the shape depends on is asked for: other nodes whose weights differ are alike.
        rule = applied.rule
        given = [made[1] if made else () for made in inputs]
        steering = {k: static(k) for k in rule.steering if k < len(inputs) and inputs[k]}
        try:
            if all(value is not None for value in steering.values()):
                values = [steering.get(k) for k in rule.steering]
                answer = rule.shape(node.kind, given, values)
                return list(answer) if isinstance(answer, list) else [answer] * len(node.outputs)
        except MemoryError:
            raise
        except Exception:
            if applied.instead:
                raise
    schema = schema_of(node.domain, node.op_type, node.version)
    if schema is None:
        return []
    import onnx
    from onnx import TypeProto, numpy_helper, shape_inference

    small = [k for k, i in enumerate(inputs) if i and prod(i[1]) <= _MAX_STEERING]
    data = {k: value for k in small if (value := static(k)) is not None}
    pairs = zip(node.inputs, inputs, strict=True)
    found = shape_inference.infer_node_outputs(
        schema,
        node.proto,
        {name: type_of(*given) for name, given in pairs if given},
        {node.inputs[k]: numpy_helper.from_array(value) for k, value in data.items()},
        opset_imports=[onnx.helper.make_opsetid(node.domain, schema.since_version)],
    )
    passed = {name_of(n): n for given in inputs if given for n in given[1] if is_unknown(n)}
    made: list[Sized | None] = []
    for name in node.outputs:
        kind = found[name].tensor_type if name in found else TypeProto.Tensor()
        made.append(dims_of(kind, passed) if kind.HasField("shape") else None)
    return made


def vector(k: int, shape: Shape, axis: int) -> Read:
    """Input `k`: a scalar, or a vector along output axis `axis`."""
    if len(shape) == 1:
        return PerAxis(k, (same(axis) if shape[0] > 1 else point(0),))
    return Elementwise(k)


def channels_first(rank: int) -> tuple[int, ...]:
    """How an array with the channels last is transposed to have them second.

    >>> channels_first(4)
    (0, 3, 1, 2)
    """
    return (0, rank - 1, *range(1, rank - 1))


def channels_last(rank: int) -> tuple[int, ...]:
    """How an array with the channels second is transposed to have them last.

    >>> channels_last(4)
    (0, 2, 3, 1)
    """
    return (0, *range(2, rank), 1)


def last(op: Operation) -> dict[str, Any]:
    """The arguments of a `Recast` of which input 0 and the outputs have the channels last."""
    rank = len(op.shape(0))
    return {"moved": {0: channels_first(rank)}, "back": channels_last(rank)}


def inferred(view: Callable[[Operation], Recast]) -> ShapeFunction:
    """The rule by which a node has the shapes of what `view` makes of it."""
    return lambda op: view(op).inferred()


__all__ = ["Given", "Recast", "channels_first", "channels_last", "inferred", "last", "vector"]
