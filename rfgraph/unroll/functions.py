"""Functions whose calls are written out: a model's own in subgraphs, and ONNX's of operators."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from rfgraph.model.functions import arguments_of, attributes_of_call, opsets_of
from rfgraph.model.graph import Node
from rfgraph.model.signatures import schema_of
from rfgraph.ops import lookup_rule
from rfgraph.unroll.writer import OWN_OPSETS, Writer

if TYPE_CHECKING:
    import onnx


@cache
def is_defined_by_function(domain: str, op_type: str, version: int) -> bool:
    """Whether an operator has no transfer of its own, but a body of ONNX's operators."""
    if lookup_rule(domain, op_type, version) is not None:
        return False
    schema = schema_of(domain, op_type, version)
    if schema is None:
        return False
    return bool(schema.has_function or schema.has_context_dependent_function)


def function_of(writer: Writer, node: Node) -> onnx.FunctionProto | None:
    """The function that a node is to be replaced by; None if it is to stay."""
    functions = writer.graph.functions
    function = functions.get(node.kind.called) if functions else None
    if function is not None:
        return function
    if not is_defined_by_function(node.domain, node.op_type, node.version):
        return None
    # What does not depend on the data is computed as a whole.
    if all(not name or writer.static(name) is not None for name in node.inputs):
        return None
    return _definition(writer, node)


def _definition(writer: Writer, node: Node) -> onnx.FunctionProto | None:
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
            types = [writer.shapes.type(name) for name in node.inputs]
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
        function.opset_import.add(domain="", version={**OWN_OPSETS, **node.opsets}[""])
    return function if function is not None and function.node else None


def call(writer: Writer, node: Node, function: onnx.FunctionProto) -> None:
    """Put the body of a function in the place of `node`."""
    file = writer.graph.file
    schema = schema_of(node.domain, node.op_type, node.version)
    defaults = () if schema is None else [a.default_value for a in schema.attributes.values()]
    own = (*(d for d in defaults if d.name), *node.kind.proto.attribute)
    bound = arguments_of(function, node.inputs, node.outputs, file, str(node))
    opsets = opsets_of(function.opset_import, file) or node.opsets
    given = attributes_of_call(function, own)
    writer.inline(function.node, bound, opsets, node.name, keep=False, given=given)
    for inner, outer in zip(function.output, node.outputs, strict=False):
        writer.same(bound.get(inner, inner), outer, node)
