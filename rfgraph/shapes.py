"""Shapes of every value, and the values that don't depend on the input's data.

ONNX's own whole-graph inference gives the bulk; what it leaves open (a Reshape to a computed
shape, as exporters write them) is walked node by node, with static values evaluated by ONNX's
reference implementation. A size that the data decide stands in a shape as an
`rfgraph.sizes.UnknownSize`. Nothing here knows what a receptive field is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, reduce
from math import inf, prod
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import onnx
from onnx import TensorProto, TypeProto, numpy_helper, shape_inference

from rfgraph.errors import MisfitError, MissingDataError, ModelError, RFGraphError, ShapeError
from rfgraph.graph import Graph, Node
from rfgraph.shape_rules import RULED, rule
from rfgraph.sizes import (
    Shape,
    UnknownSizeError,
    all_known,
    is_unknown,
    name_of,
    nominal,
    unknown,
)

# The longest axis that is worked with; beyond it a bound's array alone would fill the memory.
MAX_AXIS = 1 << 24

# numpy has room for 64 axes, of which the engines need some.
MAX_RANK = 48

# Values up to this many elements are evaluated to learn a shape; weights are larger.
_MAX_FED = 1024

# Static values are evaluated up to this many elements: shapes, axes, indices, masks.
MAX_STATIC = 1 << 22

# Their outputs are not a function of their inputs.
_RANDOM = frozenset(
    {
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
        "Bernoulli",
        "Multinomial",
    }
)


# What is said of a value of which nothing is known, such as a sequence from elsewhere.
_UNTYPED = onnx.helper.make_tensor_type_proto(TensorProto.UNDEFINED, None)

# Element types of a Constant that is given as numbers.
_CONSTANT_TYPES: dict[str, Any] = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
    "value_string": np.object_,
    "value_strings": np.object_,
}

# What stands for a size that the data decide among the others of a rule's answer.
Sized: TypeAlias = tuple[int | None, ...]

# They move the elements of input 0, of all inputs Concat, and don't look at them.
_MOVING = frozenset(
    ["Cast", "Concat", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Unsqueeze"]
)

# They work on numbers place by place.
_ARITHMETIC = frozenset(
    [
        *("Abs", "Add", "Ceil", "Div", "Equal", "Floor", "Greater", "Less", "Max", "Min", "Mod"),
        *("Mul", "Neg", "Sub", "Where"),
    ]
)

# The last input of each says what shape the output has.
_TOLD = frozenset({"ConstantOfShape", "Expand", "Reshape"})

# Nodes that make a size of others, one behind the other, are followed so far.
_MAX_CHAIN = 50

# Which inputs say where the axes of input 0 are cut, padded or resized.
_PLACES = {
    "CenterCropPad": (1,),
    "Pad": (1,),
    "Resize": (2, 3),
    "Slice": (1, 2, 4),
    "Split": (1,),
    "TopK": (1,),
}

# Numbers that are tried for unknown sizes.
_NUMBERS = (24, 48)

# Their outputs can be huge though their inputs are small.
_GROWING = frozenset({"ConstantOfShape", "Expand", "Pad", "Range", "Resize", "Tile"})

# ONNX's inference crashes where the type of their input is not known.
_FRAGILE = frozenset(
    {
        ("", "RegexFullMatch"),
        ("ai.onnx.ml", "DictVectorizer"),
        ("ai.onnx.ml", "LabelEncoder"),
        ("ai.onnx.ml", "TreeEnsemble"),
    }
)

# Element type and shape of each output of a node; None if no rule is registered for it.
Rules: TypeAlias = "Callable[[Node, Shapes], list[tuple[int, Sized | None]] | None]"


class _Part(NamedTuple):
    """A value that is known in parts.

    Attributes
    ----------
    value : ndarray
        What is known; means nothing elsewhere.
    which : ndarray of int64, of the same shape
        0 where it is known, ``k`` where it is the k-th unknown size, -1 where it is something else
        that the data decide.
    """

    value: np.ndarray
    which: np.ndarray


def misfit(node: Node, reason: str, file: str | None) -> MisfitError:
    """The error of a node that the sizes of its inputs don't suit."""
    return MisfitError(
        f"its inputs and attributes don't fit ({reason})",
        file=file,
        node=str(node),
        remedy="no runtime runs it: give other shapes if you gave any, else export the model again",
    )


class Shapes:
    """Shapes and static values of one graph at given sizes of its inputs.

    To begin with there are the inputs, the initializers and what ONNX's inference finds for the
    whole graph; `walk` adds the rest.

    Parameters
    ----------
    graph : Graph
        The model.
    sizes : mapping of str to shape
        A concrete shape for every input that has one.
    rules : callable, optional
        Gives element type and shape of each output of a node that ONNX's inference doesn't know,
        or None: see `rfgraph.ops.output_shapes`.
    most : int
        Static values are evaluated up to this many elements.

    Raises
    ------
    ShapeError
        The sizes contradict each other or the graph, or an axis is longer than `MAX_AXIS`.
    """

    def __init__(
        self,
        graph: Graph,
        sizes: Mapping[str, Shape],
        rules: Rules | None = None,
        most: int = MAX_STATIC,
    ) -> None:
        self.graph = graph
        self._most = most
        self._rules = rules
        self._shapes: dict[str, Shape | None] = {}
        self._types: dict[str, TypeProto] = {}
        self._statics: dict[str, np.ndarray | None] = {}
        # Sizes that the data decide, by name, and what is known of values made of them.
        self._unknown: dict[str, int] = {}
        self._parts: dict[str, _Part | None] = {}
        self._infer(sizes)

    def shape(self, name: str) -> Shape | None:
        """Shape of the value `name`; None where it isn't known, not even how many axes."""
        return self._shapes.get(name)

    @property
    def unsized(self) -> bool:
        """Whether the data decide a size of some value."""
        return bool(self._unknown)

    def element_type(self, name: str) -> int:
        """``TensorProto.DataType`` of the value `name`; 0 where it isn't known."""
        if name in self.graph.weights:
            return self.graph.weights.element_type(name)
        found = self._types.get(name)
        return found.tensor_type.elem_type if found is not None else 0

    def static(self, name: str) -> np.ndarray | None:
        """The value `name`, if it is the same whatever the input's data are; else None."""
        if name not in self._statics:
            self._evaluate(name)
        return self._statics[name]

    # shapes

    def _infer(self, sizes: Mapping[str, Shape]) -> None:
        graph, shapes = self.graph, self._shapes
        weights = graph.weights
        proto = graph.proto
        for value in proto.graph.input:
            if value.name in sizes:
                dims = value.type.tensor_type.shape.dim
                while len(dims) < len(sizes[value.name]):
                    dims.add()
                for dim, size in zip(dims, sizes[value.name], strict=True):
                    dim.dim_value = size
        for name, tensor in weights.tensors.items():
            shapes[name] = tuple(tensor.dims)
        for name in weights.sparse:
            shapes[name] = weights.shape(name)
        shapes.update((name, tuple(given)) for name, given in sizes.items())
        self.check()
        self._collect(_whole_graph(graph))
        self._doubt()

    def _doubt(self) -> None:
        """Leave to the walk what inference found of a node whose inputs it does not know: some
        rules take what is open for 0.
        """
        shapes = self._shapes
        for node in self.graph.nodes:
            if not any(self._is_open(name) for name in node.inputs):
                continue
            for name in filter(None, node.outputs):
                if shapes.pop(name, None) is not None:
                    self._types[name] = _type_of(self.element_type(name), None)

    def _is_open(self, name: str) -> bool:
        """Whether a value is a tensor of whose shape something is not known."""
        kind = self._types.get(name)
        return name not in self._shapes and kind is not None and kind.HasField("tensor_type")

    def walk(self, nodes: Iterable[Node]) -> None:
        """Add what is still missing of the outputs of `nodes`, which are in topological order.

        Raises
        ------
        ShapeError
            A node's inputs don't fit.
        """
        shapes = self._shapes
        for node in nodes:
            for name in node.outputs:
                if name and name not in shapes:
                    self._step(node)
                    break

    def give(self, name: str, element_type: int, shape: Shape | None) -> None:
        """Say what the value `name` is, which no node makes."""
        self._shapes[name] = shape
        self._types[name] = _type_of(element_type, shape)

    def named(self, name: str, shape: Sized) -> Shape:
        """`shape`, of the value `name`, with an unknown size for each None."""
        return tuple(
            [self._size(f"{name}, axis {k}") if n is None else n for k, n in enumerate(shape)]
        )

    def _size(self, name: str) -> int:
        return self._unknown.setdefault(name, unknown(name))

    def forget(self, names: Iterable[str]) -> None:
        """Drop what is known of the values `names`."""
        for name in names:
            for known in (self._shapes, self._types, self._statics, self._parts):
                known.pop(name, None)

    def check(self) -> None:
        """Refuse what there is no room for.

        Raises
        ------
        ShapeError
            An axis is longer than `MAX_AXIS`, or a value has more axes than `MAX_RANK`.
        """
        for name, shape in self._shapes.items():
            most = max(nominal(shape)) if shape else 0
            if not shape or (most <= MAX_AXIS and len(shape) <= MAX_RANK):
                continue
            excess = f"an axis of {most}: more than {MAX_AXIS}"
            if len(shape) > MAX_RANK:
                excess = f"{len(shape)} axes: more than {MAX_RANK}"
            made = self.graph.producer.get(name)
            raise ShapeError(
                f"'{name}' has {excess}",
                file=self.graph.file,
                node=str(made[0]) if made else None,
                remedy="give smaller sizes with shapes= or --shape",
            )

    def _collect(self, proto: onnx.GraphProto) -> None:
        shapes, types = self._shapes, self._types
        for values in (proto.input, proto.value_info, proto.output):
            for value in values:
                name = value.name
                types.setdefault(name, value.type)
                tensor = value.type.tensor_type
                if name not in shapes and tensor.HasField("shape"):
                    dims = [d.dim_value for d in tensor.shape.dim]
                    # An open dimension reads as 0, and so does one of size 0.
                    # Negative sizes are left to the walk, which finds the node to blame.
                    if min(dims, default=1) > 0 or (
                        min(dims) == 0 and all(d.HasField("dim_value") for d in tensor.shape.dim)
                    ):
                        shapes[name] = tuple(dims)

    def _step(self, node: Node) -> None:
        """Shapes of the outputs of one node, from the types and static values of its inputs."""
        small = all(self._elements(name) <= _MAX_FED for name in node.inputs if name)
        if small:
            folded = {name: self._if_there(name) for name in node.outputs if name}
            for name, value in folded.items():
                if value is not None:
                    made = int(onnx.helper.np_dtype_to_tensor_dtype(value.dtype))
                    self._set(name, made, value.shape, node)
            if all(value is not None for value in folded.values()):
                return
        known_rule = rule(node)
        if known_rule is not None:
            inputs = [self._shapes.get(name) for name in node.inputs]
            if all(s is not None for s, n in zip(inputs, node.inputs, strict=True) if n):
                assert inputs[0] is not None
                kind = self.element_type(node.inputs[0])
                try:
                    ruled = known_rule(inputs[0], inputs)
                except UnknownSizeError:
                    return
                except MemoryError:
                    raise
                except Exception as error:
                    said = f"{type(error).__name__}: {error}"
                    raise misfit(node, said, self.graph.file) from error
                for k, name in enumerate(node.outputs):
                    if name:
                        self._set(name, _only_type(node, k) or kind, ruled, node)
            return
        if self._rules is not None:
            try:
                made_by_rule = self._rules(node, self)
            except (RFGraphError, MemoryError):
                raise
            except Exception as error:
                raise misfit(node, f"{type(error).__name__}: {error}", self.graph.file) from error
            if made_by_rule is not None:
                for k, (kind, shape) in enumerate(made_by_rule[: len(node.outputs)]):
                    name = node.outputs[k]
                    if name and shape is not None:
                        kind = self.element_type(name) or _only_type(node, k) or kind
                        self._set(name, kind, self.named(name, shape), node)
                if not made_by_rule and not node.domain and node.op_type in _PLACES:
                    self._keep(node)
                return
        if not node.domain and node.op_type in _TOLD and self._tell(node):
            return
        if not node.domain and node.op_type in _PLACES and self._keep(node):
            return
        schema = schema_of(node.domain, node.op_type, node.version)
        if schema is None:
            self._declared(node)
            return
        types: dict[str, TypeProto] = {}
        data: dict[str, TensorProto] = {}
        for name in node.inputs:
            if not name:
                continue
            known = self.type(name)
            if known is None or known == _UNTYPED:
                return
            types[name] = known
            if self._elements(name) <= _MAX_FED and self._shapes.get(name) is not None:
                value = self._if_there(name)
                if value is not None:
                    data[name] = numpy_helper.from_array(value)
        imports = [onnx.helper.make_opsetid(node.domain, schema.since_version)]
        open_ = any(not all_known(self._shapes.get(name) or ()) for name in types)
        try:
            found = shape_inference.infer_node_outputs(
                schema, node.proto, types, data, opset_imports=imports
            )
        except shape_inference.InferenceError as error:
            if not open_:
                raise misfit(node, str(error).rpartition("]")[2].strip(), self.graph.file) from None
            found = {}
        except onnx.checker.ValidationError as error:
            if "Unrecognized attribute" not in str(error):
                raise misfit(node, str(error), self.graph.file) from None
            # Whole graphs are not checked so strictly: an attribute too many is let pass.
            found = {}
        except (RuntimeError, ValueError, TypeError):
            found = {}
        if not all(kind.tensor_type.HasField("shape") for kind in found.values()) or not found:
            found = _alone(node, types, imports)
        if open_:
            found = _doubted(found, schema, node, types, data, imports)
        for name, kind in found.items():
            tensor = kind.tensor_type
            self._types.setdefault(name, kind)
            if tensor.HasField("shape"):
                dims = self.named(name, _dims(tensor, self._unknown))
                self._set(name, tensor.elem_type, dims, node)

    def _declared(self, node: Node) -> None:
        """Of an operator that nobody knows, what the file says, where its sizes are concrete."""
        if any(self._shapes.get(i.name) != i.dims for i in self.graph.inputs):
            return
        for name in filter(None, node.outputs):
            said = self.graph.declared.get(name)
            if said is not None:
                self._set(name, *said, node)

    def _if_there(self, name: str) -> np.ndarray | None:
        """`static` where the value only helps: weights that are not there are no error yet."""
        try:
            return self.static(name)
        except MissingDataError:
            return None

    def _elements(self, name: str) -> float:
        """How many elements a value has, endless where the data decide; 0 where it is not known."""
        shape = self._shapes.get(name) or (0,)
        return prod(shape) if all_known(shape) else inf

    def _set(self, name: str, element_type: int, shape: Shape, node: Node) -> None:
        if any(size < 0 for size in nominal(shape)):
            raise misfit(node, f"its output would have the shape {tuple(shape)}", self.graph.file)
        if self._shapes.get(name) is None:
            self._shapes[name] = tuple(shape)
            self._types[name] = _type_of(element_type, shape)

    def _tell(self, node: Node) -> bool:
        """The shape of what has it from another value, which may be known in parts; whether that
        is anything.
        """
        name = node.outputs[0]
        given = self.sizes(node.inputs[-1])
        wanted = self._shapes.get(node.inputs[-1])
        source = self._shapes.get(node.inputs[0])
        if wanted is None or len(wanted) != 1 or is_unknown(wanted[0]) or wanted[0] > MAX_RANK:
            return False
        if given is None:
            given = self.named(f"{name}, given", (None,) * wanted[0])
        elif all_known(given) and (source is None or all_known(source)):
            return False
        if node.op_type == "ConstantOfShape":
            value = node.attribute("value")
            kind = value.data_type if value is not None else TensorProto.FLOAT
            self._set(name, kind, given, node)
            return True
        if source is None:
            return False
        told: Sized = (
            _reshaped(source, given, bool(node.attribute("allowzero", 0)))
            if node.op_type == "Reshape"
            else _expanded(source, given)
        )
        self._set(name, self.element_type(node.inputs[0]), self.named(name, told), node)
        return True

    def _keep(self, node: Node) -> bool:
        """The shape of what is cut, padded or resized at computed places, all of whose axes
        inference leaves open; whether it is one.
        """
        source = self._shapes.get(node.inputs[0])
        steering = [n for k, n in enumerate(node.inputs) if n and k in _PLACES[node.op_type]]
        if source is None or all(self.static(name) is not None for name in steering):
            return False
        axes: Any = node.attribute("axis", {"Split": 0, "TopK": -1}.get(node.op_type))
        axes = node.attribute("axes") if axes is None else [axes]
        if axes is None and node.op_type in ("Pad", "Slice") and len(node.inputs) > 3:
            axes = self.static(node.inputs[3]) if node.inputs[3] else None
        sizes: list[int | None] = [None] * len(source)
        if axes is not None:
            changed = {int(axis) % len(source) for axis in axes}
            sizes = [None if axis in changed else n for axis, n in enumerate(source)]
        elif node.op_type == "Resize" and len(node.inputs) > 3:
            sizes = list(self.sizes(node.inputs[3]) or sizes)
        for name in filter(None, node.outputs):
            self._set(name, self.element_type(node.inputs[0]), self.named(name, tuple(sizes)), node)
        return True

    def type(self, name: str) -> TypeProto | None:
        """Type of the value `name`; None where it isn't known."""
        known = self._types.get(name)
        if known is None and name in self.graph.weights:
            weights = self.graph.weights
            known = _type_of(weights.element_type(name), weights.shape(name))
            self._types[name] = known
        return known

    # values that are known in parts

    def sizes(self, name: str) -> Shape | None:
        """The value `name` as sizes, with an unknown one where the data decide; None if nothing is
        known of it.

        A shape that is put together from parts of others, as exporters write it, is known where
        these are.
        """
        found = self._part(name)
        if found is None or found.value.dtype.kind not in "iu":
            return None
        known = list(self._unknown.values())
        pairs = zip(found.value.reshape(-1), found.which.reshape(-1), strict=True)
        sizes = [None if k < 0 else known[k - 1] if k else int(v) for v, k in pairs]
        return self.named(f"{name}, as sizes", tuple(sizes))

    def _part(self, name: str, chain: int = 0) -> _Part | None:
        if name in self._parts:
            return self._parts[name]
        static = self._if_there(name)
        if static is not None:
            return _Part(static, np.zeros(static.shape, dtype=np.int64))
        if not self._unknown or chain > _MAX_CHAIN or name not in self.graph.producer:
            return None
        self._parts[name] = found = self._learnt(self.graph.producer[name][0], chain)
        return found

    def _settled(self, name: str) -> np.ndarray | None:
        """A value that is made of the parts of a shape that don't depend on the data."""
        if not self._unknown:
            return None
        self._statics[name] = None
        part = self._part(name)
        return part.value if part is not None and not part.which.any() else None

    def _learnt(self, node: Node, chain: int) -> _Part | None:
        """What a node makes of values that are known in parts."""
        if node.domain or len(node.outputs) != 1:
            return None
        if node.op_type == "Shape":
            shape = self._shapes.get(node.inputs[0])
            if shape is None:
                return None
            told = shape[node.attribute("start", 0) : node.attribute("end")]
            order = list(self._unknown)
            which = [1 + order.index(name_of(n)) if is_unknown(n) else 0 for n in told]
            return _Part(np.array(nominal(told), dtype=np.int64), np.array(which, dtype=np.int64))
        if node.op_type not in _MOVING | _ARITHMETIC:
            return None
        names = [name for name in node.inputs if name]
        parts = []
        for name in names:
            part = self._part(name, chain + 1)
            if part is None:
                return None
            parts.append(part)
        try:
            (value,) = evaluate(node, {n: p.value for n, p in zip(names, parts, strict=True)})
            value = np.asarray(value)
            if node.op_type in _ARITHMETIC or (
                node.op_type == "Cast" and value.dtype.kind not in "iu"
            ):
                open_ = reduce(np.logical_or, [p.which != 0 for p in parts])
                return _Part(value, np.broadcast_to(np.where(open_, -1, 0), value.shape))
            if node.op_type == "Cast":
                return _Part(value, parts[0].which)
            # Where elements are only moved, so is what is told of them.
            moved = parts if node.op_type == "Concat" else parts[:1]
            if any(part.which.any() for part in parts[len(moved) :]):
                return None
            feeds = {n: p.value for n, p in zip(names, parts, strict=True)}
            feeds.update((n, p.which) for n, p in zip(names, moved, strict=False))
            (which,) = evaluate(node, feeds)
            return _Part(value, np.asarray(which))
        except Exception:
            # The reference lacks this use of an operator, or the number that stands for an
            # unknown one does not fit.
            return None

    # static values

    def _evaluate(self, name: str) -> None:
        """Fill in the static value of `name` and of all that it needs, without recursion."""
        statics = self._statics
        stack = [name]
        while stack:
            top = stack[-1]
            if top in statics:
                stack.pop()
                continue
            if top in self.graph.weights:
                statics[top] = self.graph.weights.array(top)
                continue
            made = self.graph.producer.get(top)
            if made is None:
                statics[top] = None
                continue
            node = made[0]
            if node.op_type in ("Shape", "Size") and not node.domain:
                statics[top] = self._shape_value(node)
                continue
            if node.op_type in _RANDOM or node.captures or any(True for _ in node.subgraphs()):
                statics[top] = None
                continue
            needed = next((n for n in node.inputs if n and statics.get(n) is None), None)
            if needed is None:
                self._run(node)
            elif needed not in statics:
                stack.append(needed)
                continue
            if top not in statics:
                statics[top] = self._settled(top)

    def _shape_value(self, node: Node) -> np.ndarray | None:
        shape = self._shapes.get(node.inputs[0])
        if shape is None:
            return None
        if node.op_type == "Shape":
            shape = shape[node.attribute("start", 0) : node.attribute("end")]
        if not all_known(shape):
            return None
        if node.op_type == "Size":
            return np.array(np.prod(shape, dtype=np.int64))
        return np.array(shape, dtype=np.int64)

    def _run(self, node: Node) -> None:
        """Evaluate one node if all of its inputs are static, with ONNX's reference operators."""
        feeds: dict[str, Any] = {}
        for name in node.inputs:
            if not name:
                continue
            value = self._statics[name]
            if value is None or value.size > self._most:
                return
            feeds[name] = value
        if not node.domain and (
            # The reference makes outputs of another length than runtimes, and other Indices.
            node.op_type in ("Resize", "Upsample")
            or (node.op_type == "MaxPool" and len(node.outputs) > 1)
        ):
            return
        if node.op_type == "Constant" and not node.domain:
            self._statics[node.outputs[0]] = self._constant(node)
            return
        if any(a.t.data_location == onnx.TensorProto.EXTERNAL for a in node.proto.attribute):
            return
        if sum(value.size for value in feeds.values()) > self._most:
            return
        for name in node.outputs:
            shape = self._shapes.get(name)
            if shape is not None and np.prod(nominal(shape), dtype=object) > self._most:
                return
        # Outputs that can be huge though the inputs are small are made only at a known size.
        sized = all(not name or name in self._shapes for name in node.outputs)
        if (
            not sized
            and node.op_type in _GROWING
            and not _modest(node, list(feeds.values()), self._most)
        ):
            return
        try:
            results = evaluate(node, feeds)
        except Exception:
            # The reference lacks this operator or this use of it: the value stays unknown.
            return
        for name, result in zip(node.outputs, results, strict=False):
            if name:
                self._statics[name] = np.asarray(result) if not isinstance(result, list) else None

    def _constant(self, node: Node) -> np.ndarray | None:
        reason = "no attribute that is one"
        for name, value in node.attributes.items():
            try:
                if name == "value":
                    return self.graph.weights.to_array(value)
                if name == "sparse_value":
                    return self.graph.weights.dense(value)
                if name in _CONSTANT_TYPES:
                    return np.asarray(value, dtype=_CONSTANT_TYPES[name])
            except ModelError as error:
                if isinstance(error, MissingDataError):
                    raise
                reason = error.message
            except (AttributeError, TypeError, ValueError) as error:
                reason = str(error)
        raise ModelError(
            f"its value '{node.outputs[0]}' can't be read: {reason}",
            file=self.graph.file,
            node=str(node),
        )


def evaluate(node: Node, feeds: Mapping[str, np.ndarray]) -> Sequence[Any]:
    """The outputs of a node by ONNX's reference implementation, which is only now imported."""
    from onnx.reference import ReferenceEvaluator
    from onnx.reference.ops import load_op

    if node.op_type == "Unique" and not node.domain:
        return _unique(node, feeds[node.inputs[0]])
    parameters = {
        "log": lambda *_: None,
        "opsets": {node.domain: node.version},
        "verbose": 0,
        "new_ops": None,
        "existing_functions": {},
        "evaluator_cls": ReferenceEvaluator,
    }
    operator = load_op(node.domain, node.op_type, node.version, node=node.proto)
    if node.op_type == "CumSum" and not node.domain:
        # An axis of shape (1,), as exporters write it, is refused by the reference.
        feeds = {**feeds, node.inputs[1]: feeds[node.inputs[1]].reshape(())}
    with np.errstate(all="ignore"):
        results: Sequence[Any] = operator(node.proto, parameters).run(
            *[feeds.get(name) for name in node.inputs]
        )
    return results


def _unique(node: Node, X: np.ndarray) -> list[np.ndarray]:
    """All outputs of a Unique: in the order of the input the reference takes the wrong elements."""
    axis = node.attribute("axis")
    Y, indices, inverse, counts = np.unique(X, True, True, True, axis=axis)
    inverse = inverse.reshape(-1)
    if not node.attribute("sorted", 1):
        order = np.argsort(indices)
        Y = np.take(Y, order, axis=0 if axis is None else axis)
        indices, counts = indices[order], counts[order]
        inverse = np.argsort(order)[inverse]
    return [Y, *(found.astype(np.int64) for found in (indices, inverse, counts))]


def _modest(node: Node, inputs: list[np.ndarray], most: int) -> bool:
    """Whether the output of a node that can blow up its inputs stays small."""
    if node.op_type == "Range":
        start, limit, delta = (float(v.item()) for v in inputs)
        return delta != 0 and abs((limit - start) / delta) <= most
    sizes = inputs[0] if node.op_type == "ConstantOfShape" else inputs[-1]
    if sizes.dtype.kind not in "iu":
        return False
    total = np.prod(np.maximum(np.abs(sizes), 1).astype(object)) * max(inputs[0].size, 1)
    return bool(total <= most)


def infer(
    node: Node, inputs: Sequence[tuple[int, Shape] | None], data: Mapping[int, np.ndarray]
) -> list[Sized | None]:
    """Shapes of the outputs of a node that stands in no graph; None for what is open.

    Parameters
    ----------
    node : Node
        The node.
    inputs : sequence of (int, shape) or None
        Element type and shape of each input, None for one that is left out.
    data : mapping of int to array
        The inputs, by position, that are known.
    """
    known_rule = rule(node)
    if known_rule is not None:
        shapes = [given[1] if given else None for given in inputs]
        assert shapes[0] is not None
        return [known_rule(shapes[0], shapes)] * len(node.outputs)
    schema = schema_of(node.domain, node.op_type, node.version)
    if schema is None:
        return []
    pairs = zip(node.inputs, inputs, strict=True)
    found = shape_inference.infer_node_outputs(
        schema,
        node.proto,
        {name: _type_of(*given) for name, given in pairs if given},
        {node.inputs[k]: numpy_helper.from_array(value) for k, value in data.items()},
        opset_imports=[onnx.helper.make_opsetid(node.domain, schema.since_version)],
    )
    passed = {name_of(n): n for given in inputs if given for n in given[1] if is_unknown(n)}
    made: list[Sized | None] = []
    for name in node.outputs:
        kind = found[name].tensor_type if name in found else TypeProto.Tensor()
        made.append(_dims(kind, passed) if kind.HasField("shape") else None)
    return made


def _type_of(element_type: int, shape: Shape | None) -> TypeProto:
    """A tensor's type; ONNX's inference passes the names of unknown sizes on."""
    dims = None if shape is None else [name_of(n) if is_unknown(n) else n for n in shape]
    return onnx.helper.make_tensor_type_proto(element_type, dims)


def _dims(kind: TypeProto.Tensor, unknown: Mapping[str, Any]) -> Sized:
    """The sizes in a type, those that are `unknown` by their names; None for what is open."""
    return tuple(
        [
            d.dim_value if d.HasField("dim_value") else unknown.get(d.dim_param)
            for d in kind.shape.dim
        ]
    )


def _reshaped(source: Shape, given: Shape, allowzero: bool) -> Sized:
    """What a reshape makes of `source`: the sizes that are `given`, 0 and -1 as they are meant."""
    wanted: list[int | None] = []
    for axis, size in enumerate(given):
        if is_unknown(size):
            # Of any other number nobody knows whether it is 0 or -1.
            wanted.append(size if size in source else None)
        elif size == 0 and not allowzero:
            wanted.append(source[axis])
        else:
            wanted.append(None if size == -1 else size)
    if wanted.count(None) != 1:
        return tuple(wanted)
    # The elements that the others leave.
    left = [n for n in source if is_unknown(n)]
    for known in wanted:
        if known is not None and is_unknown(known):
            if known not in left:
                return tuple(wanted)
            left.remove(known)
    whole = prod(n for n in source if not is_unknown(n))
    others = prod(n for n in wanted if n is not None and not is_unknown(n))
    if others == 0 or whole % others or len(left) > 1 or (left and whole != others):
        return tuple(wanted)
    size = left[0] if left else whole // others
    return tuple([size if n is None else n for n in wanted])


def _expanded(source: Shape, given: Shape) -> Sized:
    """`source` broadcast with a shape that is `given`."""
    rank = max(len(source), len(given))
    pairs = zip(*((1,) * (rank - len(s)) + s for s in (source, given)), strict=True)
    return tuple([_broadcast(n, m) for n, m in pairs])


def _broadcast(n: int, m: int) -> int | None:
    if n == m or m == 1:
        return n
    if n == 1:
        return m
    if is_unknown(n):
        return None if is_unknown(m) else m
    return n


def attributes_of(op_type: str, version: int, domain: str) -> frozenset[str]:
    """Names of the attributes of an operator; none if ONNX doesn't know it."""
    schema = schema_of(domain, op_type, version)
    return frozenset(schema.attributes) if schema is not None else frozenset()


@cache
def schema_of(domain: str, op_type: str, version: int) -> Any:
    """ONNX's definition of an operator, an ``onnx.defs.OpSchema``; None if it has none."""
    if not domain:
        # A later operator set is read as the latest that the onnx package knows.
        version = min(version, onnx.defs.onnx_opset_version())
    try:
        return onnx.defs.get_schema(op_type, version, domain)
    except (onnx.defs.SchemaError, TypeError):
        return None


def _only_type(node: Node, position: int) -> int:
    """The element type of an output that can have but one by ONNX's definition; else 0."""
    schema = schema_of(node.domain, node.op_type, node.version)
    if schema is None or position >= len(schema.outputs):
        return 0
    types = sorted(schema.outputs[position].types)
    if len(types) > 1 or not types[0].startswith("tensor("):
        return 0
    return int(TensorProto.DataType.Value(types[0][len("tensor(") : -1].upper()))


def _doubted(
    found: Mapping[str, TypeProto],
    schema: Any,
    node: Node,
    types: Mapping[str, TypeProto],
    data: dict[str, TensorProto],
    imports: list[onnx.OperatorSetIdProto],
) -> dict[str, TypeProto]:
    """The types that inference finds for a node some of whose inputs have unknown sizes, without
    the sizes that are others once these have numbers: some rules take what is open for 0.
    """
    doubted = dict(found)
    for size in _NUMBERS:
        given = {}
        for name, kind in types.items():
            given[name] = TypeProto()
            given[name].CopyFrom(kind)
            for dim in given[name].tensor_type.shape.dim:
                if dim.HasField("dim_param"):
                    dim.dim_value = size
        try:
            sure = shape_inference.infer_node_outputs(
                schema, node.proto, given, data, opset_imports=imports
            )
        except (
            shape_inference.InferenceError,
            onnx.checker.ValidationError,
            RuntimeError,
            ValueError,
            TypeError,
        ):
            # Not every number fits.
            continue
        for name, kind in sure.items():
            if name not in doubted:
                continue
            pairs = zip(doubted[name].tensor_type.shape.dim, kind.tensor_type.shape.dim)  # noqa: B905
            for dim, other in pairs:
                if dim.HasField("dim_value") and dim.dim_value != other.dim_value:
                    dim.Clear()
    return doubted


def _alone(
    node: Node, types: Mapping[str, TypeProto], imports: list[onnx.OperatorSetIdProto]
) -> dict[str, TypeProto]:
    """Types of the outputs of a node that is a function: only whole graphs look into its body."""
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            [node.proto],
            "alone",
            [onnx.helper.make_value_info(name, kind) for name, kind in types.items()],
            [onnx.helper.make_empty_tensor_value_info(name) for name in node.outputs if name],
        ),
        opset_imports=imports,
    )
    try:
        return {v.name: v.type for v in shape_inference.infer_shapes(model).graph.output}
    except (shape_inference.InferenceError, RuntimeError, ValueError):
        return {}


def _propagated_sizes(graph: Graph) -> int:
    """The most elements that inference, which follows shapes as values, would put together."""
    sizes: dict[str, int] = {}
    for node in graph.nodes:
        if node.op_type == "ConstantOfShape":
            known = graph.weights.tensors.get(node.inputs[0])
            made = graph.producer.get(node.inputs[0])
            if made is not None and made[0].op_type == "Constant":
                known = made[0].attribute("value")
            if known is not None and len(known.dims) == 1 and known.dims[0] == 1:
                sizes[node.outputs[0]] = int(graph.weights.to_array(known)[0])
        elif node.op_type == "Concat":
            sizes[node.outputs[0]] = sum(sizes.get(name, 8) for name in node.inputs)
        elif sizes and node.inputs and node.outputs and node.inputs[0] in sizes:
            sizes[node.outputs[0]] = sizes[node.inputs[0]]
    return max(sizes.values(), default=0)


def _misled(node: Node, graph: Graph) -> bool:
    """Whether ONNX's inference can't be asked about a node: its transfer gives the shape."""
    operator = node.domain, node.op_type
    if operator == ("", "STFT"):
        # Left out it means 1, and inference takes it for 0.
        return "onesided" not in node.attributes
    if operator == ("", "Attention"):
        # Of keys of the past it forgets the scores where the present ones are left out.
        return len(node.outputs) > 3 and len(node.inputs) > 4
    if operator == ("ai.onnx.ml", "ArrayFeatureExtractor"):
        # All indices count, not only those along their last axis.
        return True
    if operator in (("", "Resize"), ("", "Upsample")):
        # It multiplies by the scales, and rounds, otherwise than runtimes do.
        policy = node.attribute("keep_aspect_ratio_policy", "stretch")
        return policy != "stretch" or not _harmless(node, graph)
    return operator in _FRAGILE and node.inputs[0] in graph.producer


def _harmless(node: Node, graph: Graph) -> bool:
    """Whether scales have so few digits that their products with sizes are exact everywhere."""
    scales = node.attribute("scales")
    name = (node.inputs[1:] if node.version < 11 else node.inputs[2:])[:1]
    if name and name[0]:
        made = graph.producer.get(name[0])
        constant = made is not None and made[0].op_type == "Constant"
        if name[0] in graph.weights.tensors:
            scales = graph.weights.array(name[0])
        elif made is not None and constant:
            value = made[0].attribute("value")
            scales = (
                made[0].attribute("value_floats")
                if value is None
                else graph.weights.to_array(value)
            )
    if scales is None:
        # Inference does not know them either.
        return True
    mantissas = np.frexp(np.asarray(scales, dtype=np.float64))[0]
    return bool((mantissas * 256 % 1 == 0).all())


def _whole_graph(graph: Graph) -> onnx.GraphProto:
    """What ONNX's own inference finds, declared shapes of inner values and outputs set aside."""
    proto = graph.proto
    if proto.graph.value_info:
        del proto.graph.value_info[:]
    inputs = {value.name for value in proto.graph.input}
    for output in proto.graph.output:
        if output.name not in inputs:
            output.type.tensor_type.ClearField("shape")
    opsets = {o.domain if o.domain != "ai.onnx" else "": o.version for o in proto.opset_import}
    ruled = {
        node.outputs[0]
        for node in graph.nodes
        # The body of a function may be of another operator set than the model.
        if (node.op_type in RULED and rule(node) is not None)
        or node.version != opsets.get(node.domain, node.version)
        or _misled(node, graph)
    }
    if ruled:
        # Hidden from inference, so that nothing is built on a wrong answer.
        copy = onnx.ModelProto()
        copy.CopyFrom(proto)
        for hidden in copy.graph.node:
            if hidden.output[:1] and hidden.output[0] in ruled:
                hidden.domain = "hidden"
        copy.opset_import.append(onnx.helper.make_opsetid("hidden", 1))
        proto = copy
    try:
        small = _propagated_sizes(graph) <= MAX_STATIC
        return shape_inference.infer_shapes(proto, data_prop=small).graph
    except (shape_inference.InferenceError, RuntimeError, ValueError, MemoryError):
        # Walking the nodes one by one finds the one to blame.
        return proto.graph
