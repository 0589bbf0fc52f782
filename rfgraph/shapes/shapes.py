"""Shapes of every value, and the values that don't depend on the input's data.

Nodes are walked in their order. The operators that graphs are made of have rules of their own
(`shape_rules`), of the others ONNX's inference of one node tells the shape; what either says of a
kind of node and the shapes of its inputs is kept. Static values are evaluated where somebody asks
for them (`arithmetic`). A size that the data decide stands in a shape as an `UnknownSize`. Nothing
here knows what a receptive field is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from functools import reduce
from math import inf, prod
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from rfgraph.errors import MisfitError, MissingDataError, ModelError, RFGraphError, ShapeError
from rfgraph.model import element_types
from rfgraph.model.graph import Graph, Node
from rfgraph.model.inference import alone, dims_of, doubted, misfit, type_of
from rfgraph.model.model_file import SMALL
from rfgraph.model.signatures import schema_of
from rfgraph.model.sizes import (
    MAX_AXIS,
    Shape,
    Sized,
    UnknownSizeError,
    all_known,
    is_unknown,
    name_of,
    nominal,
    unknown,
)
from rfgraph.ops import Traits, evaluate, output_shapes, shape_rule_of, traits_of
from rfgraph.ops.shaping import Cut, Wrong, element_type
from rfgraph.prune.passing import Moves, Pointwise

if TYPE_CHECKING:
    from onnx import TypeProto

# numpy has room for 64 axes, of which the engines need some.
MAX_RANK = 48

# Values up to this many elements are evaluated to learn a shape; weights are larger.
_MAX_FED = 1024

# Results of up to this many elements are kept for other nodes that are the same.
_MAX_KEPT = 64

# Static values are evaluated up to this many elements: shapes, axes, indices, masks.
MAX_STATIC = 1 << 22

# What is said of a value of which nothing is known.
_UNTYPED: Typed = (element_types.UNDEFINED, None)

# Element types of a Constant that is given as numbers.
_CONSTANT_TYPES: dict[str, Any] = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
    "value_string": np.object_,
    "value_strings": np.object_,
}

# Nodes that make a size of others, one behind the other, are followed so far.
_MAX_CHAIN = 50

# A value: its element type and shape, None where not even the number of axes is known.
Typed: TypeAlias = "tuple[int, Shape | None]"

# An input that is left out.
_LEFT_OUT: Typed = (0, ())


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


class Shapes:
    """Shapes and static values of one graph at given sizes of its inputs.

    To begin with there are the inputs and the initializers; `walk` adds what nodes make.

    Parameters
    ----------
    graph : Graph
        The model.
    sizes : mapping of str to shape
        A concrete shape for every input that has one.
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
        most: int = MAX_STATIC,
    ) -> None:
        self.graph = graph
        self._most = most
        # Whether a static value was too large to be evaluated.
        self._refused = False
        self._known: dict[str, Typed] = {**graph.weights.types()}
        # The types of what is no tensor.
        self._others: dict[str, TypeProto] = {}
        self._statics: dict[str, np.ndarray | None] = {}
        # How often somebody asked for one.
        self._asked = 0
        # Sizes that the data decide, by name, and what is known of values made of them.
        self._unknown: dict[str, int] = {}
        self._parts: dict[str, _Part | None] = {}
        # Whether there is no room for some value.
        self._excessive = any(s and _is_excessive(s) for s in {s for _, s in self._known.values()})
        self._known[""] = _LEFT_OUT
        for value in graph.head.inputs:
            name = value.name
            if name in sizes or name not in self._known:
                self.give(name, value.element_type, sizes.get(name))
                if value.other is not None:
                    self._others[name] = value.type
        self.check()

    def up_to(self, most: int) -> Shapes | None:
        """The same, with static values of up to `most` elements; None where larger ones than until
        now were asked for, as shapes may depend on them.
        """
        if self._refused:
            return None
        made = copy(self)
        made._most, made._statics = most, dict(self._statics)
        return made

    def shape(self, name: str) -> Shape | None:
        """Shape of the value `name`; None where it isn't known, not even how many axes."""
        return self._known.get(name, _UNTYPED)[1] if name else None

    @property
    def typed(self) -> Callable[[str], Typed | None]:
        """Gives element type and shape of the value of a name."""
        return self._known.get

    @property
    def unsized(self) -> bool:
        """Whether the data decide a size of some value."""
        return bool(self._unknown)

    def element_type(self, name: str) -> int:
        """``TensorProto.DataType`` of the value `name`; 0 where it isn't known."""
        return self._known.get(name, _UNTYPED)[0]

    def static(self, name: str) -> np.ndarray | None:
        """The value `name`, if it is the same whatever the input's data are; else None."""
        self._asked += 1
        if name not in self._statics:
            self._evaluate(name)
        return self._statics[name]

    # shapes

    def walk(self, nodes: Iterable[Node]) -> None:
        """Add what is still missing of the outputs of `nodes`, which are in topological order.

        Raises
        ------
        ShapeError
            A node's inputs don't fit.
        """
        known = self._known
        for node in nodes:
            outputs = node.outputs
            for name in outputs:
                if name not in known:
                    break
            else:
                continue
            made = None
            try:
                given = tuple(map(known.__getitem__, node.inputs))
                made = node.kind.known.get(given)
            except KeyError:
                given = tuple([known.get(name, _UNTYPED) for name in node.inputs])
            if made is None:
                made = self._ruled(node, given)
            if made is None:
                self._step(node, given)
                self._fill(node, given)
            elif len(outputs) == 1:
                known[outputs[0]] = made[0]
            else:
                self._put(outputs, made)

    def _fill(self, node: Node, given: tuple[Typed, ...]) -> None:
        """Say at least the element type of outputs of which nothing else is known."""
        types = [element for element, _ in given]
        for k, name in enumerate(node.outputs):
            if name not in self._known:
                self._known[name] = element_type(node.kind, types, k), None

    def _put(self, names: Iterable[str], made: Iterable[Typed]) -> None:
        for name, typed in zip(names, made, strict=True):
            if self._known.get(name, _UNTYPED)[1] is None:
                self._known[name] = typed

    def give(self, name: str, element_type: int, shape: Shape | None) -> None:
        """Say what the value `name` is, which no node makes."""
        if shape is not None:
            shape = tuple(shape)
            self._excessive |= _is_excessive(shape)
        self._known[name] = element_type, shape

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
            for known in (self._known, self._others, self._statics, self._parts):
                known.pop(name, None)

    def check(self) -> None:
        """Refuse what there is no room for.

        Raises
        ------
        ShapeError
            An axis is longer than `MAX_AXIS`, or a value has more axes than `MAX_RANK`.
        """
        if not self._excessive:
            return
        for name, (_, shape) in self._known.items():
            if shape is None or not _is_excessive(shape):
                continue
            excess = f"an axis of {max(nominal(shape))}: more than {MAX_AXIS}"
            remedy = "give smaller sizes with shapes= or --shape"
            if len(shape) > MAX_RANK:
                excess = f"{len(shape)} axes: more than {MAX_RANK}"
                remedy = "export the model with fewer axes"
            made = self.graph.producer.get(name)
            raise ShapeError(
                f"'{name}' has {excess}",
                file=self.graph.file,
                node=str(made) if made else None,
                remedy=remedy,
            )

    def _ruled(self, node: Node, given: tuple[Typed, ...]) -> tuple[Typed, ...] | None:
        """The outputs of a node by the rule of its operator; None if that has no answer."""
        kind = node.kind
        applied = shape_rule_of(kind)
        if applied is None:
            return None
        rule, instead, outputs = applied
        shapes: list[Any] = [shape for _, shape in given]
        if None in shapes or (self._unknown and not instead and not all(map(all_known, shapes))):
            return None
        values: list[np.ndarray | None] = []
        key: tuple[Any, ...] = given
        try:
            for k in rule.steering:
                value = None
                if k < kind.inputs and node.inputs[k]:
                    value = self._if_there(node.inputs[k]) if prod(shapes[k]) <= _MAX_FED else None
                    if value is None:
                        return None
                    key += (value.tobytes(),)
                values.append(value)
            made: tuple[Typed, ...] | None = kind.known.get(key) if values else None
            if made is not None:
                return made
            answer = rule.shape(kind, shapes, values)
            if rule.element is None:
                elements = [
                    alone or (given[like][0] if like >= 0 else 0) for alone, like in outputs
                ]
            else:
                elements = [rule.element(kind, [element for element, _ in given])]
        except (MemoryError, RFGraphError):
            raise
        except UnknownSizeError:
            return None
        except Wrong as error:
            raise misfit(node, str(error), self.graph.file) from None
        except Exception as error:
            if not instead:
                return None
            raise misfit(node, error, self.graph.file) from error
        if not instead and 0 in elements:
            return None
        several = answer[: kind.outputs] if isinstance(answer, list) else [answer] * kind.outputs
        made = tuple(zip(elements, [self._sound(s, node) for s in several], strict=True))
        if not self._unknown and not self._excessive:
            kind.known[key] = made
        return made

    def _sound(self, shape: Shape, node: Node) -> Shape:
        """The shape of an output, which no negative size has; whether there is room is seen to
        later.
        """
        sizes = nominal(shape) if self._unknown else shape
        if sizes and min(sizes) < 0:
            raise misfit(node, f"its output would have the shape {shape}", self.graph.file)
        if (sizes and max(sizes) > MAX_AXIS) or len(sizes) > MAX_RANK:
            self._excessive = True
        return shape

    def _step(self, node: Node, given: tuple[Typed, ...]) -> None:
        """Shapes of the outputs of a node that no rule here tells, from the types and static values
        of its inputs.
        """
        small = all(self._elements(name) <= _MAX_FED for name in node.inputs if name)
        if small:
            folded = {name: self._if_there(name) for name in node.outputs if name}
            for name, value in folded.items():
                if value is not None:
                    element = element_types.element_type_of(value.dtype)
                    self._set(name, element, value.shape, node)
                else:
                    # It may be told once the shape is known.
                    self._statics.pop(name, None)
            if all(value is not None for value in folded.values()):
                return
        applied = shape_rule_of(node.kind)
        if applied is not None and applied.instead:
            return
        traits = traits_of(node.domain, node.op_type)
        asked = self._asked
        try:
            made_by_rule = output_shapes(node, self)
        except (RFGraphError, MemoryError):
            raise
        except Exception as error:
            raise misfit(node, error, self.graph.file) from error
        if made_by_rule is not None:
            for k, (kind, shape) in enumerate(made_by_rule[: len(node.outputs)]):
                name = node.outputs[k]
                if name and shape is not None:
                    element = self.element_type(name) or self._element_of(node, given, k)
                    self._set(name, element or kind, self.named(name, shape), node)
            if self._asked == asked:
                self._remember(node, given)
            if not made_by_rule and traits.cut is not None:
                self._keep(node, traits.cut)
            # Of a sequence of which only the type is known, ONNX's inference tells that of an
            # element.
            if self._others.keys().isdisjoint(node.inputs[:1]):
                return
        if traits.told is not None and self._tell(node, traits):
            return
        if traits.cut is not None and self._keep(node, traits.cut):
            return
        schema = schema_of(node.domain, node.op_type, node.version)
        if schema is None:
            self._declared(node)
            return
        data: dict[str, np.ndarray] = {}
        for name, typed in zip(node.inputs, given, strict=True):
            if typed == _UNTYPED and name not in self._others:
                return
            if name and typed[1] is not None and self._elements(name) <= _MAX_FED:
                value = self._if_there(name)
                if value is not None:
                    data[name] = value
        key = (*given, *[(node.inputs.index(n), value.tobytes()) for n, value in data.items()])
        plain = not self._others.keys() & node.inputs and all(
            value.dtype != object for value in data.values()
        )
        made: tuple[Typed, ...] | None = node.kind.known.get(key) if plain else None
        if made is None:
            for name, found in self._inferred(node, schema, data).items():
                tensor = found.tensor_type
                if not found.HasField("tensor_type"):
                    self._others[name] = found
                self._known.setdefault(name, (tensor.elem_type, None))
                if tensor.HasField("shape"):
                    dims = self.named(name, dims_of(tensor, self._unknown))
                    self._set(name, tensor.elem_type, dims, node)
            if plain:
                self._remember(node, key)
        else:
            self._put(node.outputs, made)

    def _element_of(self, node: Node, given: tuple[Typed, ...], k: int) -> int:
        """Element type of output `k` of a node by ONNX's definition; 0 if it has none.

        Where the types of the inputs don't tell, as those of labels that are an attribute,
        inference does.
        """
        types = [element for element, _ in given]
        told = element_type(node.kind, types, k)
        if told or 0 in types:
            return told
        schema = schema_of(node.domain, node.op_type, node.version)
        if schema is None:
            return told
        try:
            found = self._inferred(node, schema, {}).get(node.outputs[k])
        except MisfitError:
            # Control flow that is written out is no longer what the operator takes.
            return told
        return found.tensor_type.elem_type if found is not None else told

    def _remember(self, node: Node, key: tuple[Any, ...]) -> None:
        """Keep the shapes of the outputs, where all are known, for other nodes of the kind."""
        made = tuple([self._known.get(name, _UNTYPED) for name in node.outputs])
        if not self._unknown and not self._excessive and all(s is not None for _, s in made):
            node.kind.known[key] = made

    def _inferred(
        self, node: Node, schema: Any, data: Mapping[str, np.ndarray]
    ) -> Mapping[str, TypeProto]:
        """The types of the outputs of a node by ONNX's inference."""
        import onnx
        from onnx import numpy_helper, shape_inference

        types = {name: kind for name in node.inputs if name and (kind := self.type(name))}
        tensors = {name: numpy_helper.from_array(value) for name, value in data.items()}
        proto = node.proto
        imports = [onnx.helper.make_opsetid(node.domain, schema.since_version)]
        open_ = any(not all_known(self.shape(name) or ()) for name in types)
        found: Mapping[str, TypeProto]
        try:
            found = shape_inference.infer_node_outputs(
                schema, proto, types, tensors, opset_imports=imports
            )
        except shape_inference.InferenceError as error:
            if not open_:
                said = re.split(r"\[\w+Error\]", str(error))[-1].strip()
                raise misfit(node, said, self.graph.file) from None
            found = {}
        except onnx.checker.ValidationError as error:
            if "Unrecognized attribute" not in str(error):
                raise misfit(node, str(error), self.graph.file) from None
            # Whole graphs are not checked so strictly: an attribute too many is let pass.
            found = {}
        except (RuntimeError, ValueError, TypeError):
            found = {}
        if not all(kind.tensor_type.HasField("shape") for kind in found.values()) or not found:
            found = alone(proto, types, list(tensors.items()), imports)
        return doubted(found, schema, proto, types, tensors, imports) if open_ else found

    def _declared(self, node: Node) -> None:
        """Of an operator that nobody knows, what the file says, where its sizes are concrete."""
        if any(self.shape(i.name) != i.dims for i in self.graph.inputs):
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
        shape = self.shape(name) or (0,)
        return prod(shape) if all_known(shape) else inf

    def _set(self, name: str, element_type: int, shape: Shape, node: Node) -> None:
        if self.shape(name) is None:
            self._known[name] = element_type, self._sound(tuple(shape), node)

    def _tell(self, node: Node, traits: Traits) -> bool:
        """The shape of what has it from another value, which may be known in parts; whether that
        is anything.
        """
        name = node.outputs[0]
        given = self.sizes(node.inputs[-1])
        wanted = self.shape(node.inputs[-1])
        source = self.shape(node.inputs[0])
        if wanted is None or len(wanted) != 1 or is_unknown(wanted[0]) or wanted[0] > MAX_RANK:
            return False
        if given is None:
            given = self.named(f"{name}, given", (None,) * wanted[0])
        elif all_known(given) and (source is None or all_known(source)):
            return False
        assert traits.told is not None
        told = traits.told(node, source, given)
        if told is None:
            return False
        element = self.element_type(node.inputs[0])
        if traits.shape is not None and traits.shape.element is not None:
            element = traits.shape.element(node.kind, [element])
        self._set(name, element, self.named(name, told), node)
        return True

    def _keep(self, node: Node, cut: Cut) -> bool:
        """The shape of what is cut, padded or resized at computed places, all of whose axes
        inference leaves open; whether it is one.
        """
        source = self.shape(node.inputs[0])
        inputs = {k: name for k, name in enumerate(node.inputs) if name}
        steering = [inputs[k] for k in cut.steering if k in inputs]
        if source is None or all(self.static(name) is not None for name in steering):
            return False
        axes: Any = node.attribute("axis", cut.axis)
        axes = node.attribute("axes") if axes is None else [axes]
        if axes is None and cut.axes in inputs:
            axes = self.static(inputs[cut.axes])
        sizes: list[int | None] = [None] * len(source)
        if axes is not None:
            changed = {int(axis) % len(source) for axis in axes}
            sizes = [None if axis in changed else n for axis, n in enumerate(source)]
        elif cut.sizes in inputs:
            sizes = list(self.sizes(inputs[cut.sizes]) or sizes)
        for name in filter(None, node.outputs):
            self._set(name, self.element_type(node.inputs[0]), self.named(name, tuple(sizes)), node)
        return True

    def type(self, name: str) -> TypeProto | None:
        """Type of the value `name`; None where it isn't known."""
        if name in self._others:
            return self._others[name]
        known = self._known.get(name)
        return None if known is None else type_of(*known)

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
        self._parts[name] = found = self._learnt(self.graph.producer[name], chain)
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
        if len(node.outputs) != 1:
            return None
        traits = traits_of(node.domain, node.op_type)
        if traits.measured is not None:
            shape = self.shape(node.inputs[0])
            if shape is None:
                return None
            try:
                told = traits.measured(node, shape)
            except UnknownSizeError:
                return None
            if isinstance(told, int):
                return None
            order = list(self._unknown)
            which = [1 + order.index(name_of(n)) if is_unknown(n) else 0 for n in told]
            return _Part(np.array(nominal(told), dtype=np.int64), np.array(which, dtype=np.int64))
        moves = isinstance(traits.facts, Moves) and traits.facts.fill is None
        if traits.value is None or not (moves or isinstance(traits.facts, Pointwise)):
            return None
        places = [k for k, name in enumerate(node.inputs) if name]
        parts = []
        inputs: list[np.ndarray | None] = [None] * len(node.inputs)
        for k in places:
            part = self._part(node.inputs[k], chain + 1)
            if part is None:
                return None
            parts.append(part)
            inputs[k] = part.value
        try:
            value = np.asarray(evaluate(node.kind, inputs)[0])
            if not moves:
                whole = value.dtype.kind in "iu"
                if whole and isinstance(traits.facts, Pointwise) and traits.facts.low == "stays":
                    # The same number in another type.
                    return _Part(value, parts[0].which)
                open_ = reduce(np.logical_or, [p.which != 0 for p in parts])
                return _Part(value, np.broadcast_to(np.where(open_, -1, 0), value.shape))
            # Where elements are only moved, so is what is told of them.
            every = isinstance(traits.facts, Moves) and traits.facts.every
            moved = parts if every else parts[:1]
            if any(part.which.any() for part in parts[len(moved) :]):
                return None
            for k, part in zip(places, moved, strict=False):
                inputs[k] = part.which
            return _Part(value, np.asarray(evaluate(node.kind, inputs)[0]))
        except Exception:
            # The reference lacks this use of an operator, or the number that stands for an
            # unknown one does not fit.
            return None

    # static values

    def _evaluate(self, name: str) -> None:
        """Fill in the static value of `name` and of all that it needs, without recursion."""
        statics, producer = self._statics, self.graph.producer
        stack = [name]
        while stack:
            top = stack[-1]
            if top in statics:
                stack.pop()
                continue
            node = producer.get(top)
            if node is None:
                weights = self.graph.weights
                statics[top] = weights.array(top) if top in weights else None
                continue
            traits = traits_of(node.domain, node.op_type)
            if traits.measured is not None:
                statics[top] = self._measured(node, traits.measured)
                continue
            if traits.is_random or node.captures or node.kind.holds_graphs:
                statics[top] = None
                continue
            for needed in node.inputs:
                if needed and statics.get(needed) is None:
                    break
            else:
                self._run(node, traits)
                needed = ""
            if needed and needed not in statics:
                stack.append(needed)
            elif top not in statics:
                statics[top] = self._settled(top)

    def _measured(
        self, node: Node, measured: Callable[[Node, Shape], Shape | int]
    ) -> np.ndarray | None:
        shape = self.shape(node.inputs[0])
        if shape is None:
            return None
        try:
            found = measured(node, shape)
        except UnknownSizeError:
            return None
        if not isinstance(found, int) and self._unknown and not all_known(found):
            return None
        return np.array(found, dtype=np.int64)

    def _run(self, node: Node, traits: Traits) -> None:
        """Evaluate one node all of whose inputs are static."""
        kind, statics = node.kind, self._statics
        if traits.is_constant:
            statics[node.outputs[0]] = self._constant(node)
            return
        if kind.holds_external or (traits.differs is not None and traits.differs(kind)):
            return
        inputs = [statics[name] if name else None for name in node.inputs]
        total = sum([value.size for value in inputs if value is not None])
        if total > self._most:
            self._refused = True
            return
        # Outputs that can be huge though the inputs are small are made only at a known size.
        sized = True
        for name in node.outputs:
            shape = self.shape(name)
            if shape is None:
                sized = False
            elif prod(nominal(shape) if self._unknown else shape) > self._most:
                self._refused = True
                return
        if (
            not sized
            and traits.growth is not None
            and traits.growth([value for value in inputs if value is not None]) > self._most
        ):
            self._refused = True
            return
        key = None
        if total <= _MAX_KEPT:
            key = tuple(
                [None if v is None else (v.dtype.char, v.shape, v.tobytes()) for v in inputs]
            )
            results = kind.known.get(key)
            if results is not None:
                statics.update(zip(node.outputs, results, strict=False))
                return
        try:
            made = evaluate(kind, inputs)
        except MemoryError:
            raise
        except Exception:
            # The reference lacks this operator or this use of it: the value stays unknown.
            return
        results = [None if isinstance(value, list) else np.asarray(value) for value in made]
        statics.update(zip(node.outputs, results, strict=False))
        if key is not None and all(v is not None and v.size <= _MAX_KEPT for v in results):
            kind.known[key] = results

    def _constant(self, node: Node) -> np.ndarray | None:
        found = node.kind.known.get("value")
        if found is None:
            found = self._read_constant(node)
            if found is not None and found.nbytes <= SMALL:
                node.kind.known["value"] = found
        return found

    def _read_constant(self, node: Node) -> np.ndarray | None:
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


def _is_excessive(shape: Shape) -> bool:
    """Whether there is no room for a value of that shape."""
    return len(shape) > MAX_RANK or (bool(shape) and max(nominal(shape)) > MAX_AXIS)
