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

from collections.abc import Callable, Mapping

from rfgraph.model.graph import Graph, Node
from rfgraph.model.signatures import signature
from rfgraph.model.sizes import Shape
from rfgraph.shapes import MAX_STATIC, Shapes
from rfgraph.unroll import containers, control_flow, functions, scan
from rfgraph.unroll.writer import Writer

# The functions that write out nodes of an operator.
_HANDLERS: Mapping[tuple[str, str], Callable[[Writer, Node], None]] = {
    ("", "ConcatFromSequence"): containers.concat_from_sequence,
    ("", "If"): control_flow.if_,
    ("", "Loop"): control_flow.loop,
    ("", "Optional"): containers.optional,
    ("", "OptionalGetElement"): containers.optional_get_element,
    ("", "OptionalHasElement"): containers.optional_has_element,
    ("", "Scan"): scan.scan,
    ("", "SequenceAt"): containers.sequence_at,
    ("", "SequenceConstruct"): containers.sequence_construct,
    ("", "SequenceEmpty"): containers.sequence_construct,
    ("", "SequenceErase"): containers.sequence_erase,
    ("", "SequenceInsert"): containers.sequence_insert,
    ("", "SequenceLength"): containers.sequence_length,
    ("", "SequenceMap"): containers.sequence_map,
    ("", "SplitToSequence"): containers.split_to_sequence,
}

# An Identity has to be written out only in a graph with one of the others.
_WITH_IDENTITY = {**_HANDLERS, ("", "Identity"): containers.identity}


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
        or functions.is_defined_by_function(kind.domain, kind.op_type, kind.version)
        for kind in kinds
    ):
        writer = Writer(graph, shapes, _write)
        for node in graph.nodes:
            _write(writer, node)
        graph = writer.graph
    else:
        shapes.walk(graph.nodes)
    shapes.check()
    return graph, shapes


def _write(writer: Writer, node: Node) -> None:
    """Append a node, or what it consists of."""
    handler = _WITH_IDENTITY.get((node.domain, node.op_type))
    if handler is not None and signature(node.domain, node.op_type, node.version) is not None:
        writer.nested(handler, node)
        return
    function = functions.function_of(writer, node)
    if function is None:
        writer.emit(node)
    else:
        writer.nested(functions.call, node, function)
