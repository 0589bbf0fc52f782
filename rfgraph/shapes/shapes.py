"""Shapes of every value.

Nodes are walked in their order. The operators that graphs are made of have shape rules
(`rfgraph.ops.shaping`), of the others ONNX's inference of one node tells the shape; what either
says of a kind of node and the shapes of its inputs is kept. A size that the data decide stands in a
shape as an unknown size (`rfgraph.model.sizes`). Nothing here knows what a receptive field is.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from rfgraph.errors import MisfitError, RFGraphError
from rfgraph.model import element_types
from rfgraph.model._known import shaped
from rfgraph.model.graph import Graph, Node
from rfgraph.model.inference import dims_of, inferred, misfit
from rfgraph.model.signatures import schema_of
from rfgraph.model.sizes import Shape, Sized, UnknownSizeError, all_known, is_unknown
from rfgraph.model.weights import AT_HAND
from rfgraph.ops import Question, Traits, output_shapes, shape_rule_of, traits_of
from rfgraph.ops.shaping import AxisCut, Wrong, element_type
from rfgraph.shapes.static import MAX_STATIC, StaticValues
from rfgraph.shapes.typed import MAX_RANK, UNTYPED, Typed, TypedValues

if TYPE_CHECKING:
    from onnx import TypeProto

# Values up to this many elements are evaluated to learn a shape; weights are larger.
_MAX_FED = 1024


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
        self._typed = TypedValues(graph)
        self._static = StaticValues(self._typed, most)
        for value in graph.head.inputs:
            name = value.name
            if name in sizes or name not in self._typed.known:
                self._typed.give(name, value.element_type, sizes.get(name))
                if value.other is not None:
                    self._typed.others[name] = value.type
        self.check()

    @property
    def graph(self) -> Graph:
        """The graph whose values these are."""
        return self._typed.graph

    def go_on_in(self, graph: Graph) -> None:
        """Tell the shapes of another graph from now on, of which what is known holds too."""
        self._typed.graph = graph

    def up_to(self, most: int) -> Shapes | None:
        """The same, with static values of up to `most` elements; None where larger ones than until
        now were asked for, as shapes may depend on them.
        """
        static = self._static.up_to(most)
        if static is None:
            return None
        made = object.__new__(Shapes)
        made._typed, made._static = self._typed, static
        return made

    def shape(self, name: str) -> Shape | None:
        """Shape of the value `name`; None where it isn't known, not even how many axes."""
        return self._typed.shape(name)

    @property
    def known(self) -> dict[str, Typed]:
        """Element type and shape of each value of which something is known, by name."""
        return self._typed.known

    @property
    def unsized(self) -> bool:
        """Whether the data decide a size of some value."""
        return bool(self._typed.unknown)

    @property
    def unknown(self) -> Mapping[str, int]:
        """The sizes that the data decide, by what they are called; it grows."""
        return self._typed.unknown

    def element_type(self, name: str) -> int:
        """``TensorProto.DataType`` of the value `name`; 0 where it isn't known."""
        return self._typed.element_type(name)

    def type(self, name: str) -> TypeProto | None:
        """Type of the value `name`; None where it isn't known."""
        return self._typed.type(name)

    def static(self, name: str) -> np.ndarray | None:
        """The value `name`, if it is the same whatever the input's data are; else None."""
        return self._static.value(name)

    def may_have_zeros(self, name: str) -> bool:
        """Whether some element of a value that is the same whatever the input's data are may be 0,
        or False.
        """
        return self._static.may_have_zeros(name)

    def found(self, name: str) -> dict[str, Any] | None:
        """What was found out of an initializer, at any size, to be added to; None of others."""
        return self.graph.weights.found(name)

    def sizes(self, name: str) -> Shape | None:
        """The value `name` as sizes, with an unknown one where the data decide; None if nothing is
        known of it.
        """
        return self._static.sizes(name)

    def give(self, name: str, element_type: int, shape: Shape | None) -> None:
        """Say what the value `name` is, which no node makes."""
        self._typed.give(name, element_type, shape)

    def named(self, name: str, shape: Sized) -> Shape:
        """`shape`, of the value `name`, with an unknown size for each None."""
        return self._typed.named(name, shape)

    def forget(self, names: Iterable[str]) -> None:
        """Drop what is known of the values `names`."""
        names = list(names)
        self._static.forget(names)
        for name in names:
            self._typed.known.pop(name, None)
            self._typed.others.pop(name, None)
            self.graph.weights.contents.pop(name, None)

    def check(self) -> None:
        """Refuse what there is no room for.

        Raises
        ------
        ShapeError
            An axis is longer than `MAX_AXIS`, or a value has more axes than `MAX_RANK`.
        """
        self._typed.check()

    def walk(self, nodes: Iterable[Node]) -> None:
        """Add what is still missing of the outputs of `nodes`, which are in topological order.

        Raises
        ------
        ShapeError
            A node's inputs don't fit.
        """
        known, nodes, at = self._typed.known, list(nodes), 0
        contents = self.graph.weights.contents
        while (at := shaped(nodes, at, known, UNTYPED, contents)) < len(nodes):
            node = nodes[at]
            given = tuple([known.get(name, UNTYPED) for name in node.inputs])
            made = self._ruled(node, given)
            if made is None:
                self._step(node, given)
                self._fill(node, given)
            else:
                self._typed.learn_all(node.outputs, made)
            at += 1

    def _fill(self, node: Node, given: tuple[Typed, ...]) -> None:
        """Say at least the element type of outputs of which nothing else is known."""
        types = [element for element, _ in given]
        for k, name in enumerate(node.outputs):
            if name not in self._typed.known:
                self._typed.known[name] = element_type(node.kind, types, k), None

    def _ruled(self, node: Node, given: tuple[Typed, ...]) -> tuple[Typed, ...] | None:
        """The outputs of a node by the rule of its operator; None if that has no answer."""
        kind = node.kind
        applied = shape_rule_of(kind)
        if applied is None:
            return None
        rule, instead, outputs = applied
        shapes: list[Any] = [shape for _, shape in given]
        if None in shapes or (
            self._typed.unknown and not instead and not all(map(all_known, shapes))
        ):
            return None
        weights = self.graph.weights
        values: list[np.ndarray | None] = []
        key: tuple[Any, ...] = given
        try:
            for k in rule.steering:
                value = None
                if k < kind.inputs and node.inputs[k]:
                    if prod(shapes[k]) <= _MAX_FED:
                        value = self._static.if_there(node.inputs[k])
                    if value is None:
                        return None
                    key += (value.tobytes(),)
                    if node.inputs[k] in weights:
                        weights.contents[node.inputs[k]] = key[-1]
                values.append(value)
            kind.steering = rule.steering or None
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
        made = tuple(zip(elements, [self._typed.sound(s, node) for s in several], strict=True))
        if not self._typed.unknown and not self._typed.is_excessive:
            kind.learn(key, made)
        return made

    def _step(self, node: Node, given: tuple[Typed, ...]) -> None:
        """Shapes of the outputs of a node that no rule of its operator tells, from the types and
        static values of its inputs.
        """
        if self._as_static(node):
            return
        applied = shape_rule_of(node.kind)
        if applied is not None and applied.instead:
            return
        if self._by_transfer(node, given):
            return
        traits = traits_of(node.domain, node.op_type)
        if traits.told is not None and self._tell(node, traits):
            return
        if traits.cut is not None and self._keep(node, traits.cut):
            return
        self._by_inference(node, given)

    def _as_static(self, node: Node) -> bool:
        """Take the shapes of outputs that are static values; whether all are."""
        if any(self._typed.count(name) > _MAX_FED for name in node.inputs if name):
            return False
        folded = {name: self._static.if_there(name) for name in node.outputs if name}
        for name, value in folded.items():
            if value is not None:
                element = element_types.element_type_of(value.dtype)
                self._typed.learn(name, element, value.shape, node)
        # What is no static value as yet may be one once its shape is known.
        self._static.doubt(name for name, value in folded.items() if value is None)
        return all(value is not None for value in folded.values())

    def _by_transfer(self, node: Node, given: tuple[Typed, ...]) -> bool:
        """Take the shapes that are registered with the node's transfer; whether that is all."""
        kind = node.kind
        known = kind.known.get(self._steered(node, given)) if kind.steering else None
        if known is not None:
            self._typed.learn_all(node.outputs, known)
            return True
        told: dict[Question, Hashable] = {}
        try:
            made = output_shapes(node, self, told)
        except (RFGraphError, MemoryError):
            raise
        except Exception as error:
            raise misfit(node, error, self.graph.file) from error
        if made is None:
            return False
        for k, (like, shape) in enumerate(made[: len(node.outputs)]):
            name = node.outputs[k]
            if name and shape is not None:
                element = self.element_type(name) or self._element_of(node, given, k)
                self._typed.learn(name, element or like, self.named(name, shape), node)
        steering = [k for asked, k in told if asked == "static" and k is not None]
        # What shapes and the contents of a few inputs decide is the same for other nodes.
        if all(asked in ("static", "element_type") for asked, _ in told) and not node.captures:
            kind.steering = tuple(steering) or None
            key = self._steered(node, given)
            if key is not None:
                self._remember(node, key)
        cut = traits_of(node.domain, node.op_type).cut
        if not made and cut is not None:
            self._keep(node, cut)
        # Of a sequence of which only the type is known, ONNX's inference tells that of an element.
        return self._typed.others.keys().isdisjoint(node.inputs[:1])

    def _steered(self, node: Node, given: tuple[Typed, ...]) -> tuple[Any, ...] | None:
        """What a shape follows from that is steered by the contents of some inputs, as a key; None
        where these are not known, or many.
        """
        key: tuple[Any, ...] = given
        for k in node.kind.steering or ():
            value = self._static.if_there(node.inputs[k]) if k < len(node.inputs) else None
            if value is None or value.nbytes > AT_HAND or value.dtype.hasobject:
                return None
            key += (value.tobytes(),)
        return key

    def _by_inference(self, node: Node, given: tuple[Typed, ...]) -> None:
        """Take the shapes that ONNX's inference tells."""
        schema = schema_of(node.domain, node.op_type, node.version)
        if schema is None:
            self._declared(node)
            return
        others = self._typed.others
        data: dict[str, np.ndarray] = {}
        for name, typed in zip(node.inputs, given, strict=True):
            if typed == UNTYPED and name not in others:
                return
            if name and typed[1] is not None and self._typed.count(name) <= _MAX_FED:
                value = self._static.if_there(name)
                if value is not None:
                    data[name] = value
        key = (*given, *[(node.inputs.index(n), value.tobytes()) for n, value in data.items()])
        plain = not others.keys() & node.inputs and all(v.dtype != object for v in data.values())
        made: tuple[Typed, ...] | None = node.kind.known.get(key) if plain else None
        if made is not None:
            self._typed.learn_all(node.outputs, made)
            return
        for name, found in self._inferred(node, schema, data).items():
            tensor = found.tensor_type
            if not found.HasField("tensor_type"):
                others[name] = found
            self._typed.known.setdefault(name, (tensor.elem_type, None))
            if tensor.HasField("shape"):
                dims = self.named(name, dims_of(tensor, self._typed.unknown))
                self._typed.learn(name, tensor.elem_type, dims, node)
        if plain:
            self._remember(node, key)

    def _inferred(
        self, node: Node, schema: Any, data: Mapping[str, np.ndarray]
    ) -> Mapping[str, TypeProto]:
        types = {name: kind for name in node.inputs if name and (kind := self.type(name))}
        open_ = any(not all_known(self.shape(name) or ()) for name in types)
        return inferred(node, schema, types, data, open_, self.graph.file)

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
        made = tuple([self._typed.known.get(name, UNTYPED) for name in node.outputs])
        if (
            not self._typed.unknown
            and not self._typed.is_excessive
            and all(s is not None for _, s in made)
        ):
            node.kind.learn(key, made)

    def _declared(self, node: Node) -> None:
        """Of an operator that nobody knows, what the file says, where its sizes are concrete."""
        if any(self.shape(i.name) != i.dims for i in self.graph.inputs):
            return
        for name in filter(None, node.outputs):
            said = self.graph.declared.get(name)
            if said is not None:
                self._typed.learn(name, *said, node)

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
        self._typed.learn(name, element, self.named(name, told), node)
        return True

    def _keep(self, node: Node, cut: AxisCut) -> bool:
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
            self._typed.learn(
                name, self.element_type(node.inputs[0]), self.named(name, tuple(sizes)), node
            )
        return True
