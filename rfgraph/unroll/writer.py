"""A graph while it is written out: nodes appended under names of their own, and dropped again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rfgraph.errors import EXPORT_AGAIN, ModelError
from rfgraph.model.functions import instance
from rfgraph.model.graph import Graph, Node, as_defined, make_node
from rfgraph.model.weights import Tensor
from rfgraph.shapes import Shapes

if TYPE_CHECKING:
    import onnx

# A loop is unrolled only if that makes at most this many nodes.
MAX_UNROLLED = 1 << 13

# Branches and functions are written out into at most this many nodes: functions that call others
# twice double the number at each level.
MAX_WRITTEN = 50_000

# All sequences of a model together have at most this many entries.
MAX_ENTRIES = 4_000_000

# How deep subgraphs and functions may be nested.
MAX_NESTED = 100

# The operator set of the nodes that the writer adds.
OWN_OPSETS = {"": 18}


class Mark(NamedTuple):
    """How far a graph was written; see `Writer.undo`."""

    nodes: int
    made: int
    room: int
    written: int
    entries: int


class Writer:
    """Writes one graph out, node by node.

    Parameters
    ----------
    graph : Graph
        The model; it is left as it is.
    shapes : Shapes
        Its shapes, to which those of new values are added.
    write : callable
        Appends one node, or what stands for it; called for the nodes of bodies.

    Attributes
    ----------
    graph : Graph
        What is written.
    sequences : dict of str to list of str
        The values that a sequence holds.
    optionals : dict of str to (str or None)
        What an optional holds; None: nothing.
    room : int
        Loops may be unrolled into so many more nodes.
    """

    def __init__(self, graph: Graph, shapes: Shapes, write: Callable[[Writer, Node], None]) -> None:
        weights = graph.weights.copy()
        self.graph = replace(graph, nodes=[], producer={}, weights=weights)
        self.shapes = shapes
        shapes.go_on_in(self.graph)
        self.sequences: dict[str, list[str]] = {}
        self.optionals: dict[str, str | None] = {}
        self.room = MAX_UNROLLED
        self._write = write
        self._target = self.graph.nodes
        self._made: list[str] = []
        self._taken = {i.name for i in graph.inputs} | set(graph.producer) | set(weights)
        self._written = self._entries = 0
        self._numbers: dict[str, Iterator[int]] = {}
        self._depth = 0

    # ------------------------------------------------ nodes

    def nested(self, handler: Callable[..., None], node: Node, *arguments: Any) -> None:
        """Call ``handler(self, node, *arguments)``, one level deeper.

        Raises
        ------
        ModelError
            That is too deep.
        """
        self._depth += 1
        if self._depth > MAX_NESTED:
            raise self.error(
                node,
                f"its subgraphs and functions are nested more than {MAX_NESTED} deep",
                remedy="export the model with less nesting",
            )
        handler(self, node, *arguments)
        self._depth -= 1

    def emit(self, node: Node) -> None:
        """Append a node as it is.

        Raises
        ------
        ModelError
            There are too many.
        """
        self._target.append(node)
        for name in filter(None, node.outputs):
            self.graph.producer[name] = node
            self._made.append(name)
        self.room -= 1
        if self._depth:
            self._written += 1
            if self._written > MAX_WRITTEN:
                raise self.error(
                    node,
                    "its subgraphs and functions, written out, have more than "
                    f"{MAX_WRITTEN:,} nodes",
                    remedy="export the model with fewer or smaller functions and loops",
                )
        self.shapes.walk([node])

    def put(
        self, op_type: str, inputs: Sequence[str], outputs: Sequence[str], name: str, **given: Any
    ) -> None:
        """Append a node of ONNX's own domain."""
        from onnx import helper

        proto = helper.make_node(op_type, inputs, outputs, name=name, **given)
        self.emit(make_node(proto, OWN_OPSETS, "", self.graph.file, self.graph.kinds))

    def same(self, source: str, target: str, node: Node) -> None:
        """Make `target`, an output of `node`, what `source` is."""
        if not target:
            return
        self.hold_alike(source, target)
        self.put("Identity", [source], [target], f"{node.name}/{target}")

    def hold_alike(self, source: str, target: str) -> None:
        """Remember that `target` holds the elements of `source`, if that is a container."""
        if source in self.sequences:
            self.sequences[target] = self.sequences[source]
        if source in self.optionals:
            self.optionals[target] = self.optionals[source]

    def stacked(self, rows: list[str], target: str, node: Node, axis: int) -> None:
        """Make `target`, an output of `node`, of `rows` along a new axis."""
        name = f"{node.name}/{target}"
        self.put("ConcatFromSequence", rows, [target], name, axis=axis, new_axis=1)

    def sequence(self, node: Node, elements: list[str]) -> None:
        """Append a node that makes a sequence of `elements`.

        Raises
        ------
        ModelError
            All sequences together have too many entries.
        """
        self._entries += len(elements)
        if self._entries > MAX_ENTRIES:
            raise self.error(
                node,
                f"its sequences, written out, have more than {MAX_ENTRIES:,} entries",
                remedy="give smaller sizes with shapes= or --shape",
            )
        self.sequences[node.outputs[0]] = elements
        self.emit(node)

    # ------------------------------------------------ values

    def constant(self, value: Any, name: str, node: Node) -> str:
        """The name of a new initializer."""
        made = self.fresh(name, node.name, keep=False)
        self._weight(Tensor.of_array(np.asarray(value), made), made)
        return made

    def _weight(self, tensor: Tensor, name: str) -> None:
        self.graph.weights.put(name, tensor)
        self.shapes.give(name, tensor.element_type, tensor.shape)

    def fresh(self, name: str, prefix: str, *, keep: bool) -> str:
        """A name for the value `name` of a subgraph: its own where that is free and to be kept."""
        found = name if keep and name not in self._taken else f"{prefix}/{name}"
        if found in self._taken:
            # Where many have one name the next number is likely to be free.
            numbers = self._numbers.setdefault(found, count(1))
            found = next(f for k in numbers if (f := f"{prefix}/{name}.{k}") not in self._taken)
        self._taken.add(found)
        self._made.append(found)
        return found

    def static(self, name: str) -> np.ndarray | None:
        """A value if it is given and does not depend on the data."""
        return self.shapes.static(name) if name else None

    def single(self, node: Node, value: np.ndarray, what: str) -> Any:
        """The only element of a value that steers a node.

        Raises
        ------
        ModelError
            It has several, or it is no whole number.
        """
        if value.size != 1 or value.dtype.kind not in "biu":
            raise self.error(
                node,
                f"its {what} is an array of {value.dtype} of shape {value.shape}, not one number",
            )
        return value.item()

    # ------------------------------------------------ going back

    def mark(self) -> Mark:
        """How far the graph is written."""
        made = len(self._target), len(self._made)
        return Mark(*made, self.room, self._written, self._entries)

    def undo(self, mark: Mark) -> None:
        """Drop everything since `mark`."""
        self.room, self._written, self._entries = mark.room, mark.written, mark.entries
        # Numbers that were given are free again.
        self._numbers.clear()
        del self._target[mark.nodes :]
        dropped = self._made[mark.made :]
        del self._made[mark.made :]
        self.shapes.forget(dropped)
        for name in dropped:
            self.graph.producer.pop(name, None)
            self.graph.weights.drop(name)
            self.sequences.pop(name, None)
            self.optionals.pop(name, None)
            self._taken.discard(name)

    @contextmanager
    def apart(self) -> Iterator[list[Node]]:
        """Nodes that are appended meanwhile are in the list that it gives, not in the graph."""
        outside, self._target = self._target, []
        try:
            yield self._target
        finally:
            self._target = outside

    # ------------------------------------------------ bodies

    def inline(
        self,
        nodes: Iterable[onnx.NodeProto],
        bound: dict[str, str],
        opsets: Mapping[str, int],
        prefix: str,
        *,
        keep: bool,
        given: Mapping[str, onnx.AttributeProto] | None = None,
    ) -> None:
        """Write the nodes of a body.

        Parameters
        ----------
        nodes : iterable of onnx.NodeProto
            The nodes.
        bound : dict of str to str
            The names of its values outside; it gets those of the values that the body makes.
        opsets : mapping of str to int
            Operator sets that hold for them.
        prefix : str
            Goes before the names of nodes, and of values that do not keep theirs.
        keep : bool
            Whether values keep their names where these are free.
        given : mapping of str to onnx.AttributeProto, optional
            The attributes of the call, if the body is that of a function.

        Raises
        ------
        ModelError
            A node reads what no node before it makes.
        """
        for index, body in enumerate(nodes):
            for name in filter(None, body.output):
                bound[name] = self.fresh(name, prefix, keep=keep)
            called = f"{prefix}/{body.name or f'{body.op_type}_{index}'}"
            proto = instance(body, called, bound, given or {})
            node = make_node(proto, opsets, "", self.graph.file, self.graph.kinds)
            as_defined([node], self.graph.file)
            for name in (*node.inputs, *node.captures):
                if name and name not in self._taken:
                    raise self.error(node, f"no node before it makes its input '{name}'")
            self._write(self, node)

    def subgraph(
        self, node: Node, which: str, inputs: Sequence[str], prefix: str, *, keep: bool
    ) -> list[str]:
        """Write a subgraph of `node`, called with `inputs`; the names of its outputs.

        Raises
        ------
        ModelError
            There is no such subgraph, or it takes or gives another number of values.
        """
        graph = graph_of(node, which)
        if graph is None:
            raise self.error(node, f"it has no '{which}'")
        if len(graph.input) != len(inputs):
            raise self.error(
                node, f"its '{which}' takes {len(graph.input)} inputs and is given {len(inputs)}"
            )
        # The first output of a loop's body is its condition.
        given = len(graph.output) - (node.op_type == "Loop")
        if given != len(node.outputs):
            raise self.error(
                node, f"its '{which}' gives {given} outputs, and the node has {len(node.outputs)}"
            )
        bound = dict(zip((v.name for v in graph.input), inputs, strict=True))
        fresh = partial(self.fresh, prefix=prefix, keep=keep)
        for tensor in graph.initializer:
            bound[tensor.name] = fresh(tensor.name)
            self._weight(Tensor.of(tensor), bound[tensor.name])
        for sparse in graph.sparse_initializer:
            name = sparse.values.name
            bound[name] = fresh(name)
            dense = Tensor.of_array(self.graph.weights.dense(sparse), bound[name])
            self._weight(dense, bound[name])
        self.inline(graph.node, bound, node.opsets, prefix, keep=keep)
        return [bound.get(v.name, v.name) for v in graph.output]

    def error(self, node: Node, message: str, remedy: str = EXPORT_AGAIN) -> ModelError:
        """An error about a node, to be raised."""
        return ModelError(message, file=self.graph.file, node=str(node), remedy=remedy)


def graph_of(node: Node, which: str) -> onnx.GraphProto | None:
    """A subgraph of a node; None if it has none of that name."""
    import onnx

    found = node.attribute(which)
    return found if isinstance(found, onnx.GraphProto) else None
