"""Control flow, containers and functions written out: what is left has one node an operator.

Where the shapes and static values decide, the live branch of an If takes its place, a Loop or a
Scan is unrolled, and a sequence is the list of its elements. Where the data decide, both branches
of an If stay and meet in it, and a loop keeps its `Body`, whose reads the analyses follow until
nothing changes any more. Operators that ONNX defines by a function, and that have no transfer of
their own, are replaced by its body.

Sources: https://onnx.ai/onnx/operators/onnx__If.html, onnx__Loop.html, onnx__Scan.html, and for
functions https://github.com/onnx/onnx/blob/main/docs/IR.md#functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from rfgraph.errors import ModelError
from rfgraph.model import element_types
from rfgraph.model.graph import (
    Body,
    Graph,
    Node,
    as_defined,
    bind,
    make_node,
    opsets_of,
)
from rfgraph.model.model_file import Tensor
from rfgraph.model.signatures import schema_of, signature
from rfgraph.model.sizes import Shape, is_unknown
from rfgraph.ops import lookup_rule
from rfgraph.shapes import MAX_STATIC, Shapes

if TYPE_CHECKING:
    import onnx

# Loops are unrolled into at most so many nodes.
_MAX_UNROLLED = 1 << 13

# What lies in branches and functions is written out into at most so many nodes: those that call
# each other twice double at each level.
_MAX_WRITTEN = 50_000

# Sequences have at most so many entries, all together.
_MAX_ENTRIES = 4_000_000

# Bodies may lie in each other so deep.
_MAX_NESTED = 100

# Operator sets of the nodes that are put in.
_OWN_OPSETS = {"": 18}


def expand(
    graph: Graph, sizes: Mapping[str, Shape], most: int = MAX_STATIC
) -> tuple[Graph, Shapes]:
    """The graph written out at given sizes of its inputs, and its shapes.

    Parameters
    ----------
    graph : Graph
        The model; it is left as it is.
    sizes : mapping of str to shape
        A concrete shape for every input that has one.
    most : int
        Static values are evaluated up to this many elements.

    Raises
    ------
    ShapeError
        The sizes contradict each other or the graph.
    ModelError
        A subgraph breaks a rule.
    """
    shapes = Shapes(graph, sizes, most)
    kinds = {node.kind for node in graph.nodes}
    if any(
        (kind.domain, kind.op_type) in _HANDLERS
        or _defined_by_function(kind.domain, kind.op_type, kind.version)
        for kind in kinds
    ):
        graph = _Expansion(graph, shapes).graph
    else:
        shapes.walk(graph.nodes)
    shapes.check()
    return graph, shapes


class _TooLong(Exception):  # noqa: N818 - an answer, not an error: it never leaves the module
    """Raised where a loop would be unrolled into too many nodes, or where its end isn't static."""


class _Expansion:
    """Writes one graph out, node by node."""

    def __init__(self, graph: Graph, shapes: Shapes) -> None:
        weights = graph.weights.copy()
        self.graph = replace(graph, nodes=[], producer={}, weights=weights)
        self._shapes = shapes
        shapes.graph = self.graph
        self._target = self.graph.nodes
        self._made: list[str] = []
        self._taken = {i.name for i in graph.inputs} | set(graph.producer) | set(weights)
        self._left = _MAX_UNROLLED
        self._written = self._entries = 0
        self._numbers: dict[str, Iterator[int]] = {}
        self._depth = 0
        # What is known of containers: the values that a sequence holds, and whether and what an
        # optional holds.
        self._sequences: dict[str, list[str]] = {}
        self._optionals: dict[str, str | None] = {}
        for node in graph.nodes:
            self._node(node)

    # ------------------------------------------------ nodes

    def _node(self, node: Node) -> None:
        handler = _HANDLERS.get((node.domain, node.op_type))
        if handler is None and (node.domain, node.op_type) == ("", "Identity"):
            handler = _Expansion._identity
        if handler is not None and signature(node.domain, node.op_type, node.version) is not None:
            self._nested(handler, node)
            return
        functions = self.graph.functions
        function = functions.get(node.kind.called) if functions else None
        if (
            function is None
            and _defined_by_function(node.domain, node.op_type, node.version)
            # What does not depend on the data is computed as a whole.
            and any(name and self._static(name) is None for name in node.inputs)
        ):
            function = self._function_of(node)
        if function is None:
            self._emit(node)
        else:
            self._nested(_Expansion._call, node, function)

    def _nested(self, handler: Callable[..., None], *arguments: Any) -> None:
        self._depth += 1
        if self._depth > _MAX_NESTED:
            raise ModelError(
                f"its subgraphs and functions lie in each other more than {_MAX_NESTED} deep",
                file=self.graph.file,
                node=str(arguments[0]),
            )
        handler(self, *arguments)
        self._depth -= 1

    def _emit(self, node: Node) -> None:
        self._target.append(node)
        for name in filter(None, node.outputs):
            self.graph.producer[name] = node
            self._made.append(name)
        self._left -= 1
        if self._depth:
            self._written += 1
            if self._written > _MAX_WRITTEN:
                raise ModelError(
                    "its subgraphs and functions, written out, have more than "
                    f"{_MAX_WRITTEN:,} nodes",
                    file=self.graph.file,
                    node=str(node),
                )
        self._shapes.walk([node])

    def _put(
        self, op_type: str, inputs: Sequence[str], outputs: Sequence[str], name: str, **given: Any
    ) -> None:
        """Add a node of ONNX's own domain."""
        from onnx import helper

        proto = helper.make_node(op_type, inputs, outputs, name=name, **given)
        self._emit(make_node(proto, _OWN_OPSETS, "", self.graph.file, self.graph.kinds))

    def _same(self, source: str, target: str, node: Node) -> None:
        """Make `target`, an output of `node`, what `source` is."""
        if not target:
            return
        if source in self._sequences:
            self._sequences[target] = self._sequences[source]
        if source in self._optionals:
            self._optionals[target] = self._optionals[source]
        self._put("Identity", [source], [target], f"{node.name}/{target}")

    def _constant(self, value: Any, name: str, node: Node) -> str:
        """The name of a new initializer."""
        made = self._fresh(name, node.name, keep=False)
        self._weight(Tensor.of_array(np.asarray(value), made), made)
        return made

    def _weight(self, tensor: Tensor, name: str) -> None:
        self.graph.weights.put(name, tensor)
        self._shapes.give(name, tensor.element_type, tensor.shape)

    def _fresh(self, name: str, prefix: str, *, keep: bool) -> str:
        """A name for the value `name` of a subgraph: its own where that is free and to be kept."""
        found = name if keep and name not in self._taken else f"{prefix}/{name}"
        if found in self._taken:
            # Where many have one name the next number is likely to be free.
            numbers = self._numbers.setdefault(found, count(1))
            found = next(f for k in numbers if (f := f"{prefix}/{name}.{k}") not in self._taken)
        self._taken.add(found)
        self._made.append(found)
        return found

    def _undo(self, mark: tuple[int, ...]) -> None:
        """Drop everything since `mark`."""
        nodes, made, self._left, self._written, self._entries = mark
        # Numbers that were given are free again.
        self._numbers.clear()
        del self._target[nodes:]
        dropped = self._made[made:]
        del self._made[made:]
        self._shapes.forget(dropped)
        for name in dropped:
            self.graph.producer.pop(name, None)
            self.graph.weights.drop(name)
            self._sequences.pop(name, None)
            self._optionals.pop(name, None)
            self._taken.discard(name)

    def _mark(self) -> tuple[int, ...]:
        made = len(self._target), len(self._made)
        return *made, self._left, self._written, self._entries

    def _static(self, name: str) -> np.ndarray | None:
        return self._shapes.static(name) if name else None

    # ------------------------------------------------ bodies

    def _inline(
        self,
        nodes: Iterable[onnx.NodeProto],
        bound: dict[str, str],
        opsets: Mapping[str, int],
        prefix: str,
        *,
        keep: bool,
        given: Mapping[str, onnx.AttributeProto] | None = None,
    ) -> None:
        """Add the nodes of a body; `bound` has the names of its values outside, and gets those
        of the values that it makes.
        """
        for index, body in enumerate(nodes):
            proto = type(body)()
            proto.CopyFrom(body)
            proto.name = f"{prefix}/{body.name or f'{body.op_type}_{index}'}"
            for name in filter(None, body.output):
                bound[name] = self._fresh(name, prefix, keep=keep)
            bind(proto, bound, given or {})
            node = make_node(proto, opsets, "", self.graph.file, self.graph.kinds)
            as_defined([node], self.graph.file)
            for name in (*node.inputs, *node.captures):
                if name and name not in self._taken:
                    raise ModelError(
                        f"its input '{name}' is made by no node before it",
                        file=self.graph.file,
                        node=str(node),
                    )
            self._node(node)

    def _subgraph(
        self, node: Node, which: str, inputs: Sequence[str], prefix: str, *, keep: bool
    ) -> list[str]:
        """Add a subgraph of `node`, called with `inputs`; the names of its outputs."""
        graph = _graph_of(node, which)
        if graph is None:
            raise ModelError(f"it has no '{which}'", file=self.graph.file, node=str(node))
        if len(graph.input) != len(inputs):
            raise ModelError(
                f"its '{which}' takes {len(graph.input)} inputs and is given {len(inputs)}",
                file=self.graph.file,
                node=str(node),
            )
        # The first output of a loop's body is its condition.
        given = len(graph.output) - (node.op_type == "Loop")
        if given != len(node.outputs):
            raise ModelError(
                f"its '{which}' gives {given} outputs, and the node has {len(node.outputs)}",
                file=self.graph.file,
                node=str(node),
            )
        bound = dict(zip((v.name for v in graph.input), inputs, strict=True))
        for tensor in graph.initializer:
            bound[tensor.name] = self._fresh(tensor.name, prefix, keep=keep)
            self._weight(Tensor.of(tensor), bound[tensor.name])
        for sparse in graph.sparse_initializer:
            name = sparse.values.name
            bound[name] = self._fresh(name, prefix, keep=keep)
            dense = Tensor.of_array(self.graph.weights.dense(sparse), bound[name])
            self._weight(dense, bound[name])
        self._inline(graph.node, bound, node.opsets, prefix, keep=keep)
        return [bound.get(v.name, v.name) for v in graph.output]

    def _call(self, node: Node, function: onnx.FunctionProto) -> None:
        """Put the body of a function in the place of `node`."""
        given = {a.name: a for a in function.attribute_proto}
        schema = schema_of(node.domain, node.op_type, node.version)
        if schema is not None:
            defaults = {name: a.default_value for name, a in schema.attributes.items()}
            given.update((name, d) for name, d in defaults.items() if d.name)
        given.update((a.name, a) for a in node.kind.proto.attribute)
        arguments = [*node.inputs, *[""] * (len(function.input) - len(node.inputs))]
        bound = dict(zip(function.input, arguments, strict=True))
        opsets = opsets_of(function.opset_import, self.graph.file) or node.opsets
        self._inline(function.node, bound, opsets, node.name, keep=False, given=given)
        for inner, outer in zip(function.output, node.outputs, strict=False):
            self._same(bound.get(inner, inner), outer, node)

    def _function_of(self, node: Node) -> onnx.FunctionProto | None:
        """The body that ONNX gives to an operator, for the types of this node's inputs."""
        import onnx

        schema = schema_of(node.domain, node.op_type, node.version)
        assert schema is not None
        try:
            if schema.has_function:
                version = max(v for v in schema.function_opset_versions if v <= node.version)
                made = schema.get_function_with_opset_version(version)
            else:
                versions = schema.context_dependent_function_opset_versions
                types = [self._shapes.type(name) for name in node.inputs]
                made = schema.get_context_dependent_function_with_opset_version(
                    max(v for v in versions if v <= node.version),
                    node.proto.SerializeToString(),
                    [kind.SerializeToString() if kind else b"" for kind in types],
                )
        except (RuntimeError, ValueError):
            return None
        function = made if isinstance(made, onnx.FunctionProto) else None
        if function is None and made:
            function = onnx.FunctionProto.FromString(made)
        if function is not None and all(i.domain for i in function.opset_import):
            # The body of an operator of another domain may not say which ONNX it is written in.
            function.opset_import.add(domain="", version={**_OWN_OPSETS, **node.opsets}[""])
        return function if function is not None and function.node else None

    # ------------------------------------------------ control flow

    def _if(self, node: Node) -> None:
        condition = self._static(node.inputs[0])
        if condition is not None and condition.size == 1:
            which = "then_branch" if condition.reshape(()) else "else_branch"
            made = self._subgraph(node, which, [], node.name, keep=True)
            for inner, outer in zip(made, node.outputs, strict=True):
                self._same(inner, outer, node)
            return
        then = self._subgraph(node, "then_branch", [], node.name, keep=True)
        other = self._subgraph(node, "else_branch", [], node.name, keep=True)
        for k, outer in enumerate(node.outputs):
            pair = self._sequences.get(then[k]), self._sequences.get(other[k])
            if pair[0] is not None and pair[1] is not None and len(pair[0]) == len(pair[1]):
                self._sequences[outer] = [
                    self._either(node, a, b, f"{outer}/{i}")
                    for i, (a, b) in enumerate(zip(pair[0], pair[1], strict=True))
                ]
        self._put("If", [node.inputs[0], *then, *other], node.outputs, node.name)
        for a, b, outer in zip(then, other, node.outputs, strict=True):
            kinds = {self._shapes.element_type(name) for name in (a, b)}
            if outer and self._shapes.shape(outer) is None and len(kinds) == 1:
                self._shapes.give(outer, kinds.pop(), None)

    def _either(self, node: Node, a: str, b: str, name: str) -> str:
        made = self._fresh(name, node.name, keep=True)
        self._put("If", [node.inputs[0], a, b], [made], f"{node.name}/{name}")
        return made

    def _loop(self, node: Node) -> None:
        inputs = [*node.inputs, *[""] * (2 - len(node.inputs))]
        trips, condition = self._static(inputs[0]), self._static(inputs[1])
        steered = (inputs[0] and trips is None) or (inputs[1] and condition is None)
        mark = self._mark()
        try:
            if steered:
                raise _TooLong
            begins = condition is None or bool(self._single(node, condition, "condition"))
            most = None if trips is None else int(self._single(node, trips, "trip count"))
            self._unrolled(node, inputs, most, begins)
        except _TooLong:
            self._undo(mark)
            self._repeated(node, inputs, trips)

    def _single(self, node: Node, value: np.ndarray, what: str) -> Any:
        """The only element of a value that steers a node."""
        if value.size != 1 or value.dtype.kind not in "biu":
            raise ModelError(
                f"its {what} is an array of {value.dtype} of shape {value.shape}, not one number",
                file=self.graph.file,
                node=str(node),
                remedy="no runtime runs it: export the model again",
            )
        return value.item()

    def _unrolled(self, node: Node, inputs: list[str], trips: int | None, goes_on: bool) -> None:
        """A loop as so many copies of its body."""
        graph = _graph_of(node, "body")
        if graph is None:
            raise ModelError("it has no 'body'", file=self.graph.file, node=str(node))
        size = len(graph.node)
        if trips is not None and trips * size > self._left and _counts_only(graph):
            raise _TooLong
        state = list(inputs[2:])
        condition = inputs[1] or self._constant(True, "cond", node)
        rows: list[list[str]] = [[] for _ in node.outputs[len(state) :]]
        for k in count():
            if not goes_on or (trips is not None and k >= trips):
                break
            if self._left < size:
                raise _TooLong
            number = self._constant(np.int64(k), f"{k}/iteration", node)
            made = self._subgraph(
                node, "body", [number, condition, *state], f"{node.name}/{k}", keep=False
            )
            condition, state = made[0], made[1 : 1 + len(state)]
            for row, name in zip(rows, made[1 + len(state) :], strict=False):
                row.append(name)
            known = self._static(condition)
            if known is None:
                raise _TooLong
            goes_on = bool(self._single(node, known, "condition"))
        for inner, outer in zip(state, node.outputs, strict=False):
            self._same(inner, outer, node)
        for row, outer in zip(rows, node.outputs[len(state) :], strict=True):
            if outer:
                self._stacked(row, outer, node, 0)

    def _stacked(self, rows: list[str], target: str, node: Node, axis: int) -> None:
        name = f"{node.name}/{target}"
        self._put("ConcatFromSequence", rows, [target], name, axis=axis, new_axis=1)

    def _repeated(self, node: Node, inputs: list[str], trips: np.ndarray | None) -> None:
        """A loop as a body that is repeated until nothing changes."""
        graph = _graph_of(node, "body")
        first = inputs[2:]
        if graph is None or len(graph.input) != len(first) + 2:
            raise ModelError(
                f"it has no 'body' that takes {len(first) + 2} inputs",
                file=self.graph.file,
                node=str(node),
            )

        def round_(state: list[str]) -> tuple[list[str], list[str], str]:
            number = self._inside(graph.input[0].name, node, element_types.INT64, ())
            condition = self._inside(graph.input[1].name, node, element_types.BOOL, ())
            made = self._subgraph(node, "body", [number, condition, *state], node.name, keep=True)
            return made[1 : 1 + len(state)], made[1 + len(state) :], made[0]

        most = None if trips is None else int(self._single(node, trips, "trip count"))
        begins = self._static(inputs[1]) if inputs[1] else np.array(True)
        begun = begins is not None and bool(self._single(node, begins, "condition"))
        sure = begun and (not inputs[0] or bool(most))
        counted = most if sure and _counts_only(graph) else None
        self._put_body(node, inputs[:2], first, round_, counted, at_least_once=sure)

    def _put_body(
        self,
        node: Node,
        steering: list[str],
        first: list[str],
        round_: Callable[[list[str]], tuple[list[str], list[str], str]],
        length: int | None,
        *,
        at_least_once: bool,
        **given: Any,
    ) -> None:
        """Add a node that repeats a body, once it is known which states keep their shape.

        `length` is the number of rounds if that is known.
        """
        shapes = self._shapes
        kept: list[Shape | None] = [shapes.shape(name) for name in first]
        while True:
            mark = self._mark()
            outside, self._target = self._target, []
            own = node.attribute("body").input[len(steering) :]
            state = [
                self._inside(value.name, node, shapes.element_type(name), shape)
                for value, name, shape in zip(own, first, kept, strict=False)
            ]
            after, rows, condition = round_(state)
            body, self._target = self._target, outside
            stays = [
                self._kept(f"{node.name}, state {k}", s, shapes.shape(a))
                for k, (s, a) in enumerate(zip(kept, after, strict=True))
            ]
            if stays == kept:
                break
            kept = stays
            self._undo((len(self._target), *mark[1:]))
        carried = list(zip(first, state, after, strict=True))
        inner = [*after, condition, *rows]
        from onnx import helper

        proto = helper.make_node(
            node.op_type, [*steering, *first], node.outputs, name=node.name, **given
        )
        made = make_node(proto, {"": node.version}, "", self.graph.file, self.graph.kinds)
        repeated = Node(
            made.name,
            made.kind,
            made.inputs,
            made.outputs,
            inner,
            made.opsets,
            Body(body, carried, at_least_once),
        )
        for k, name in enumerate(node.outputs[: len(state)]):
            shape = kept[k]
            if name and shape is not None:
                # The size of one round is not that of another one.
                left = tuple([None if is_unknown(n) else n for n in shape])
                shapes.give(name, shapes.element_type(first[k]), shapes.named(name, left))
        axes = given.get("scan_output_axes") or [0] * len(rows)
        for name, row, axis in zip(node.outputs[len(state) :], rows, axes, strict=False):
            shape = shapes.shape(row)
            if name and shape is not None:
                axis %= len(shape) + 1
                sizes = [None if is_unknown(n) else n for n in shape]
                stacked = shapes.named(name, (*sizes[:axis], length, *sizes[axis:]))
                shapes.give(name, shapes.element_type(row), stacked)
        self._emit(repeated)

    def _kept(self, name: str, before: Shape | None, after: Shape | None) -> Shape | None:
        """What a state's shape before and after a round have in common; what changes is unknown."""
        if before is None or after is None or len(before) != len(after):
            return None
        pairs = zip(before, after, strict=True)
        return self._shapes.named(name, tuple([n if n == m else None for n, m in pairs]))

    def _inside(self, name: str, node: Node, element_type: int, shape: Shape | None) -> str:
        """A value inside of a body that no node makes."""
        made = self._fresh(name, node.name, keep=True)
        self._shapes.give(made, element_type, shape)
        return made

    def _scan(self, node: Node) -> None:
        number = node.attribute("num_scan_inputs") or 0
        # Version 8 has lengths of its own first, and a batch.
        batched = node.version < 9
        names = node.inputs[batched:]
        graph = _graph_of(node, "body")
        if graph is None or len(graph.input) != len(names):
            raise ModelError(
                f"it has no 'body' that takes {len(names)} inputs",
                file=self.graph.file,
                node=str(node),
            )
        if not 0 < number <= len(names):
            raise ModelError(
                f"it scans {number} of {len(names)} inputs", file=self.graph.file, node=str(node)
            )
        first, scanned = names[:-number], names[-number:]
        outputs = node.outputs[len(first) :]
        axes = node.attribute("scan_input_axes") or [int(batched)] * number
        lengths = {
            shape[axis] if shape is not None and -len(shape) <= axis < len(shape) else None
            for shape, axis in zip(map(self._shapes.shape, scanned), axes, strict=True)
        }
        length = lengths.pop() if len(lengths) == 1 else None
        mark = self._mark()
        try:
            if length is None:
                raise _TooLong
            if batched:
                self._scanned_batch(node, first, scanned, length)
                return
            state, found = self._scanned(node, first, scanned, axes, length, node.name)
        except _TooLong:
            self._undo(mark)
        else:
            out_axes = node.attribute("scan_output_axes") or [0] * len(outputs)
            back = node.attribute("scan_output_directions") or [0] * len(outputs)
            for inner, outer in zip(state, node.outputs, strict=False):
                self._same(inner, outer, node)
            for rows, outer, axis, b in zip(found, outputs, out_axes, back, strict=True):
                if outer:
                    self._stacked(rows[::-1] if b else rows, outer, node, axis)
            return
        if batched:
            self._emit(node)
            return

        def round_(state: list[str]) -> tuple[list[str], list[str], str]:
            index = self._inside(f"{node.name}/index", node, element_types.INT64, ())
            made = self._round_of_scan(node, state, scanned, axes, [index] * number, node.name)
            return made[: len(first)], made[len(first) :], index

        self._put_body(
            node,
            [],
            list(first),
            round_,
            length,
            at_least_once=bool(length),
            scan_output_axes=node.attribute("scan_output_axes") or [0] * len(outputs),
        )

    def _scanned(
        self,
        node: Node,
        state: Sequence[str],
        scanned: Sequence[str],
        axes: Sequence[int],
        length: int,
        prefix: str,
    ) -> tuple[list[str], list[list[str]]]:
        """A scan as `length` copies of its body: the last state, and the rows of each output."""
        body, first = node.attribute("body"), len(state)
        if length * (len(body.node) + len(scanned)) > self._left:
            raise _TooLong
        back = node.attribute("scan_input_directions") or node.attribute("directions")
        back = back or [0] * len(scanned)
        now = list(state)
        found: list[list[str]] = [[] for _ in body.output[first:]]
        for k in range(length):
            indices = [
                self._constant(np.int64(length - 1 - k if b else k), f"{k}/index", node)
                for b in back
            ]
            made = self._round_of_scan(node, now, scanned, axes, indices, f"{prefix}/{k}")
            now = made[:first]
            for rows, name in zip(found, made[first:], strict=True):
                rows.append(name)
            if self._left < 0:
                raise _TooLong
        return now, found

    def _round_of_scan(
        self,
        node: Node,
        state: list[str],
        scanned: Sequence[str],
        axes: Sequence[int],
        indices: list[str],
        prefix: str,
    ) -> list[str]:
        """One round: a row of everything that is scanned, and the body."""
        keep = prefix == node.name
        inputs = list(state)
        for index, name, axis in zip(indices, scanned, axes, strict=True):
            own = node.attribute("body").input[len(inputs)].name
            inputs.append(self._fresh(own, prefix, keep=keep))
            self._put("Gather", [name, index], [inputs[-1]], f"{prefix}/{own}", axis=axis)
        return self._subgraph(node, "body", inputs, prefix, keep=keep)

    def _scanned_batch(
        self, node: Node, first: Sequence[str], scanned: Sequence[str], length: int
    ) -> None:
        """A scan of version 8: sample by sample, each of its own length, the rest zeros."""
        lengths = self._static(node.inputs[0])
        if node.inputs[0] and lengths is None:
            raise _TooLong
        batch = (self._shapes.shape(scanned[0]) or (0,))[0]
        gathered: list[list[str]] = [[] for _ in node.outputs]
        for b in range(batch):
            sample = self._constant(np.int64(b), f"{b}/sample", node)
            own = []
            for name in (*first, *scanned):
                own.append(self._fresh(f"{name}/{b}", node.name, keep=True))
                self._put("Gather", [name, sample], [own[-1]], f"{node.name}/{own[-1]}", axis=0)
            steps = length if lengths is None else int(lengths[b])
            state, found = self._scanned(
                node,
                own[: len(first)],
                own[len(first) :],
                [0] * len(scanned),
                steps,
                f"{node.name}/{b}",
            )
            for k, rows in enumerate(found):
                shape = self._shapes.shape(rows[0]) if rows else None
                if len(rows) < length and shape is None:
                    raise _TooLong
                for _ in range(length - len(rows)):
                    rows.append(self._constant(np.zeros(shape or (), np.float32), "zero", node))
                state.append(self._fresh(f"{b}/rows/{k}", node.name, keep=False))
                self._stacked(rows, state[-1], node, 0)
            for kept, name in zip(gathered, state, strict=False):
                kept.append(name)
        for samples, outer in zip(gathered, node.outputs, strict=True):
            if outer:
                self._stacked(samples, outer, node, 0)

    # ------------------------------------------------ sequences and optionals

    def _elements(self, name: str) -> list[str] | None:
        return self._sequences.get(name)

    def _sequence(self, node: Node, elements: list[str]) -> None:
        self._entries += len(elements)
        if self._entries > _MAX_ENTRIES:
            raise ModelError(
                f"its sequences, written out, have more than {_MAX_ENTRIES:,} entries",
                file=self.graph.file,
                node=str(node),
            )
        self._sequences[node.outputs[0]] = elements
        self._emit(node)

    def _sequence_construct(self, node: Node) -> None:
        self._sequence(node, list(node.inputs))

    def _sequence_insert(self, node: Node) -> None:
        elements = self._elements(node.inputs[0])
        place = self._place(node, 2, len(elements or ()), end=1)
        if elements is None or place is None:
            self._emit(node)
        else:
            self._sequence(node, [*elements[:place], node.inputs[1], *elements[place:]])

    def _sequence_erase(self, node: Node) -> None:
        elements = self._elements(node.inputs[0])
        place = self._place(node, 1, len(elements or ()))
        if elements is None or place is None:
            self._emit(node)
        else:
            self._sequence(node, [*elements[:place], *elements[place + 1 :]])

    def _place(self, node: Node, k: int, length: int, end: int = 0) -> int | None:
        """A position in a sequence, which is its last where input `k` is left out."""
        if len(node.inputs) <= k or not node.inputs[k]:
            return length if end else length - 1
        given = self._static(node.inputs[k])
        if given is None:
            return None
        place = int(self._single(node, given, "position"))
        if length and not -length <= place < length + end:
            raise ModelError(
                f"it asks for element {place} of {length}", file=self.graph.file, node=str(node)
            )
        return place + length if place < 0 else place

    def _sequence_at(self, node: Node) -> None:
        elements = self._elements(node.inputs[0])
        if not elements:
            self._emit(node)
            return
        place = self._place(node, 1, len(elements))
        if place is not None:
            self._same(elements[place], node.outputs[0], node)
        else:
            self._put("SequenceAt", [node.inputs[1], *elements], node.outputs, node.name)

    def _sequence_length(self, node: Node) -> None:
        elements = self._elements(node.inputs[0])
        if elements is None:
            self._emit(node)
        else:
            length = self._constant(np.int64(len(elements)), "length", node)
            self._same(length, node.outputs[0], node)

    def _split_to_sequence(self, node: Node) -> None:
        source, target = node.inputs[0], node.outputs[0]
        shape = self._shapes.shape(source)
        given = self._static(node.inputs[1]) if len(node.inputs) > 1 else None
        if shape is None or (given is None and len(node.inputs) > 1 and node.inputs[1]):
            self._emit(node)
            return
        axis = node.attribute("axis", 0)
        if not -len(shape) <= axis < len(shape):
            raise ModelError(
                f"there is no axis {axis} of {len(shape)}", file=self.graph.file, node=str(node)
            )
        size = shape[axis]
        if given is None:
            if is_unknown(size) or size > _MAX_UNROLLED:
                self._emit(node)
                return
            parts = [1] * size
        elif given.ndim:
            parts = [int(v) for v in given]
        else:
            chunk = max(int(given), 1)
            parts = [min(chunk, size - begin) for begin in range(0, size, chunk)]
        names = [self._fresh(f"{target}/{k}", node.name, keep=True) for k in range(len(parts))]
        split = self._constant(np.array(parts, dtype=np.int64), "split", node)
        if parts:
            self._put("Split", [source, split], names, f"{node.name}/split", axis=axis)
        if given is None and not node.attribute("keepdims", 1):
            axes = self._constant(np.array([axis]), "axes", node)
            flat = [self._fresh(f"{name}/squeezed", node.name, keep=True) for name in names]
            for name, squeezed in zip(names, flat, strict=True):
                self._put("Squeeze", [name, axes], [squeezed], f"{node.name}/{squeezed}")
            names = flat
        self._sequence(node, names)

    def _concat_from_sequence(self, node: Node) -> None:
        elements = self._elements(node.inputs[0])
        if elements is None:
            self._emit(node)
            return
        self._put(
            "ConcatFromSequence",
            elements,
            node.outputs,
            node.name,
            axis=node.attribute("axis"),
            new_axis=node.attribute("new_axis", 0),
        )

    def _sequence_map(self, node: Node) -> None:
        first = self._elements(node.inputs[0])
        given = [self._elements(name) for name in node.inputs]
        if first is None or len(first) * len(node.attribute("body").node) > self._left:
            self._emit(node)
            return
        made: list[list[str]] = [[] for _ in node.outputs]
        for k in range(len(first)):
            inputs = [
                name if elements is None else elements[k]
                for name, elements in zip(node.inputs, given, strict=True)
            ]
            found = self._subgraph(node, "body", inputs, f"{node.name}/{k}", keep=False)
            for kept, name in zip(made, found, strict=False):
                kept.append(name)
        for outer, names in zip(node.outputs, made, strict=True):
            if outer:
                self._sequences[outer] = names
                self._put("SequenceConstruct", names, [outer], f"{node.name}/{outer}")

    def _optional(self, node: Node) -> None:
        held = node.inputs[0] if node.inputs and node.inputs[0] else None
        self._optionals[node.outputs[0]] = held
        self._emit(node)

    def _optional_get_element(self, node: Node) -> None:
        name = node.inputs[0]
        held = self._optionals.get(name, name)
        opaque = name not in self._optionals and self._is_optional(name)
        if held is None or opaque:
            self._emit(node)
        else:
            self._same(held, node.outputs[0], node)

    def _is_optional(self, name: str) -> bool:
        kind = self._shapes.type(name)
        return kind is not None and kind.HasField("optional_type")

    def _optional_has_element(self, node: Node) -> None:
        name = node.inputs[0] if node.inputs else ""
        if name and name not in self._optionals and self._is_optional(name):
            self._emit(node)
            return
        holds = bool(name) and self._optionals.get(name, name) is not None
        answer = self._constant(np.array(holds), "holds", node)
        self._same(answer, node.outputs[0], node)

    def _identity(self, node: Node) -> None:
        source, target = node.inputs[0], node.outputs[0]
        if source in self._sequences:
            self._sequences[target] = self._sequences[source]
        if source in self._optionals:
            self._optionals[target] = self._optionals[source]
        self._emit(node)


_HANDLERS: dict[tuple[str, str], Callable[[_Expansion, Node], None]] = {
    ("", "ConcatFromSequence"): _Expansion._concat_from_sequence,
    ("", "If"): _Expansion._if,
    ("", "Loop"): _Expansion._loop,
    ("", "Optional"): _Expansion._optional,
    ("", "OptionalGetElement"): _Expansion._optional_get_element,
    ("", "OptionalHasElement"): _Expansion._optional_has_element,
    ("", "Scan"): _Expansion._scan,
    ("", "SequenceAt"): _Expansion._sequence_at,
    ("", "SequenceConstruct"): _Expansion._sequence_construct,
    ("", "SequenceEmpty"): _Expansion._sequence_construct,
    ("", "SequenceErase"): _Expansion._sequence_erase,
    ("", "SequenceInsert"): _Expansion._sequence_insert,
    ("", "SequenceLength"): _Expansion._sequence_length,
    ("", "SequenceMap"): _Expansion._sequence_map,
    ("", "SplitToSequence"): _Expansion._split_to_sequence,
}


def _graph_of(node: Node, which: str) -> onnx.GraphProto | None:
    """A subgraph of a node; None if it has none of that name."""
    import onnx

    found = node.attribute(which)
    return found if isinstance(found, onnx.GraphProto) else None


def _counts_only(body: onnx.GraphProto) -> bool:
    """Whether the condition that a loop's body gives is the one that it got, or a constant."""
    if not body.output or len(body.input) < 2:
        return False
    name = body.output[0].name
    made = next((node for node in body.node if name in node.output), None)
    if made is None or made.op_type == "Constant":
        return True
    return made.op_type == "Identity" and body.input[1].name in made.input


@cache
def _defined_by_function(domain: str, op_type: str, version: int) -> bool:
    """Whether an operator has no transfer of its own, but a body of ONNX's operators."""
    if lookup_rule(domain, op_type, version) is not None:
        return False
    schema = schema_of(domain, op_type, version)
    if schema is None:
        return False
    return bool(schema.has_function or schema.has_context_dependent_function)
