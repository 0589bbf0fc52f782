"""ONNX protos, as they are made ready to be run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import onnx
from onnx import TensorProto, helper
from onnx.inliner import inline_local_functions

from rfgraph.model.functions import key_of_call, key_of_function
from rfgraph.model.graph import NCHWC as NCHWC
from rfgraph.model.graph import read
from rfgraph.model.subgraphs import fresh_names, own_names, rename
from rfgraph.ops import traits_of
from rfgraph.ops.microsoft.fused import MICROSOFT as MICROSOFT
from rfgraph.ops.microsoft.layout import NHWC as NHWC

Key: TypeAlias = tuple[str, str]

FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)


# Why nothing is said of a value that is `blocked`.
BLOCKED = "its channels lie in blocks, so its elements are not in the order that its shape says"


def key_of(node: onnx.NodeProto) -> Key:
    """Domain and operator of a node."""
    return "" if node.domain == "ai.onnx" else node.domain, node.op_type


def is_measured(key: Key) -> bool:
    """Whether shapes alone tell what an operator makes."""
    return traits_of(*key).measured is not None


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """The attributes that a node has."""
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def subgraphs_of(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs among a node's attributes."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def reads_of(node: onnx.NodeProto) -> set[str]:
    """What a node takes, with all that its subgraphs name: more than they capture does no harm."""
    names = set(node.input)
    for graph in subgraphs_of(node):
        names.update(output.name for output in graph.output)
        for inner in graph.node:
            names |= reads_of(inner)
    return names - {""}


def opsets_of(model: onnx.ModelProto | onnx.FunctionProto) -> dict[str, int]:
    """Versions of the operator sets that a model or a function imports, by domain."""
    return {o.domain if o.domain != "ai.onnx" else "": o.version for o in model.opset_import}


def graphs_in(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph, and its subgraphs."""
    yield graph
    for node in graph.node:
        for inner in subgraphs_of(node):
            yield from graphs_in(inner)


def made_in(graph: onnx.GraphProto) -> Iterator[str]:
    """The values that a graph makes, and that its subgraphs make: once for each time."""
    for one in graphs_in(graph):
        yield from (formal.name for formal in one.input)
        yield from (tensor.name for tensor in one.initializer)
        yield from (name for node in one.node for name in node.output if name)


def names_in(graph: onnx.GraphProto) -> set[str]:
    """Every name in a graph, those of its subgraphs too."""
    return {*made_in(graph), *(name for node in walk(graph.node) for name in node.input)}


def types_of(light: onnx.ModelProto) -> dict[str, onnx.TypeProto]:
    """Types of values, as far as ONNX infers them; of one name in two subgraphs one type."""
    hidden = onnx.ModelProto()
    hidden.CopyFrom(light)
    hidden.opset_import.add(domain="hidden", version=1)
    for node in hidden.graph.node:
        # Inference crashes on some of these, where the type of their input is not known.
        if node.domain == "ai.onnx.ml" or node.op_type == "RegexFullMatch":
            node.domain = "hidden"
    try:
        graph = onnx.shape_inference.infer_shapes(hidden).graph
    except Exception:  # a model that ONNX can't infer may run all the same
        graph = light.graph
    types = {}
    for one in graphs_in(graph):
        for t in one.initializer:
            types[t.name] = helper.make_tensor_type_proto(t.data_type, t.dims)
        types.update((v.name, v.type) for v in (*one.input, *one.value_info, *one.output))
    return types


def is_container(kind: onnx.TypeProto) -> bool:
    """Whether values of a type are sequences, optionals or maps."""
    return kind.WhichOneof("value") not in (None, "tensor_type", "sparse_tensor_type")


def element_type_of(kind: onnx.TypeProto) -> int:
    """Of a tensor, or of those in a sequence or an optional; 0 where it is not known."""
    if kind.HasField("sequence_type"):
        return element_type_of(kind.sequence_type.elem_type)
    if kind.HasField("optional_type"):
        return element_type_of(kind.optional_type.elem_type)
    return int(kind.tensor_type.elem_type)


def formal_of(node: onnx.NodeProto, opsets: Mapping[str, int], k: int) -> Any:
    """What the schema says of input `k` of a node; None if there is none."""
    domain, op_type = key_of(node)
    try:
        schema = onnx.defs.get_schema(op_type, opsets.get(domain, 1), domain)
    except onnx.defs.SchemaError:
        return None
    return schema.inputs[min(k, len(schema.inputs) - 1)]


def walk(nodes: Any) -> Iterator[onnx.NodeProto]:
    """Nodes, and those of their subgraphs."""
    for node in nodes:
        yield node
        for graph in subgraphs_of(node):
            yield from walk(graph.node)


def needed(
    nodes: Sequence[onnx.NodeProto], values: Sequence[str]
) -> tuple[list[onnx.NodeProto], set[str]]:
    """The nodes that `values` are made by, in order, and every name that is read for them."""
    wanted, kept = set(values), []
    for node in reversed(nodes):
        if not wanted.isdisjoint(node.output):
            kept.append(node)
            wanted.update(reads_of(node))
    return kept[::-1], wanted


def dependent(nodes: Sequence[onnx.NodeProto], values: Iterable[str]) -> list[onnx.NodeProto]:
    """The nodes that depend on some of `values`, of nodes in topological order."""
    living, kept = set(values), []
    for node in nodes:
        if not living.isdisjoint(reads_of(node)):
            living.update(filter(None, node.output))
            kept.append(node)
    return kept


def upto(model: onnx.ModelProto, values: Sequence[str]) -> onnx.ModelProto:
    """The part of a model that `values` are made by, which are its outputs."""
    nodes, names = needed(model.graph.node, values)
    whole = model.graph
    graph = onnx.GraphProto(
        name=whole.name,
        node=nodes,
        input=[i for i in whole.input if i.name in names],
        initializer=[t for t in whole.initializer if t.name in names],
        sparse_initializer=[t for t in whole.sparse_initializer if t.values.name in names],
        value_info=[v for v in whole.value_info if v.name in names],
        output=[onnx.ValueInfoProto(name=name) for name in dict.fromkeys(values)],
    )
    return onnx.ModelProto(
        ir_version=model.ir_version,
        opset_import=model.opset_import,
        functions=model.functions,
        graph=graph,
    )


def blocked(proto: onnx.ModelProto) -> set[str]:
    """Values whose elements lie in blocks of channels, until they are laid out again."""
    found: set[str] = set()
    for node in proto.graph.node:
        blocks = node.domain == NCHWC and node.op_type != "ReorderOutput"
        if blocks or (node.domain != NCHWC and not found.isdisjoint(node.input)):
            found.update(node.output)
    return found


def input_of(node: onnx.NodeProto, k: int) -> str:
    """Input `k` of a node; ``""`` if it is left out."""
    return node.input[k] if k < len(node.input) else ""


def node_interpolates(node: onnx.NodeProto) -> bool:
    """Whether a node weighs taps, as a linear or cubic resize does."""
    default = _INTERPOLATIONS.get(key_of(node))
    if default is None:
        return False
    mode = attributes_of(node).get("mode", default.encode())
    return bool(mode != b"nearest")


# Operators that interpolate in some modes, with their default mode.
_INTERPOLATIONS: Mapping[Key, str] = {
    ("", "Resize"): "nearest",
    ("", "Upsample"): "nearest",
    (NCHWC, "Upsample"): "nearest",
    (NHWC, "Resize"): "nearest",
    ("", "GridSample"): "linear",
    (NHWC, "GridSample"): "linear",
}


# ---------------------------------------------------------------- copies


def runnable(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy without functions, in which no two values and no two nodes of a graph have one name.

    The values of the main graph have the names of the analysis.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    if copy.functions:
        nodes = [node.proto for node in read(model).nodes]
        del copy.graph.node[:]
        copy.graph.node.extend(nodes)
        imported = opsets_of(copy)
        for function in model.functions:
            for domain, version in opsets_of(function).items():
                if domain not in imported:
                    imported[domain] = version
                    copy.opset_import.add(domain=domain, version=version)
        if {key_of_call(node) for node in walk(nodes)}.isdisjoint(
            map(key_of_function, model.functions)
        ):
            del copy.functions[:]
        else:
            # Calls in subgraphs, whose values the analysis does not name as they are in the file.
            copy = inline_local_functions(copy)
    _distinguish(copy.graph, {}, set(own_names(copy.graph)))
    return copy


def _distinguish(graph: onnx.GraphProto, renamed: Mapping[str, str], taken: set[str]) -> None:
    """Give names of their own to the nodes of a graph, and to all values inside of its nodes."""
    nodes: set[str] = set()
    for node in graph.node:
        if node.name in nodes:
            node.name = fresh_names([node.name], nodes)[node.name]
        if node.name:
            nodes.add(node.name)
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
        for inner in subgraphs_of(node):
            own = set(own_names(inner))
            inside = {name: new for name, new in renamed.items() if name not in own}
            known = own & taken
            taken |= own
            if known:
                inside |= fresh_names(known, taken)
                taken.update(inside.values())
            rename(inner, inside)
            _distinguish(inner, inside, taken)
