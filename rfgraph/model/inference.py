"""ONNX's own code, asked about one node: its shape inference and its reference implementation.

The onnx package is imported when one of them is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rfgraph.errors import MisfitError
from rfgraph.model.graph import Kind, Node
from rfgraph.model.signatures import schema_of
from rfgraph.model.sizes import Shape, Sized, is_unknown, name_of

if TYPE_CHECKING:
    import onnx
    from onnx import TensorProto, TypeProto

# Numbers that are tried for unknown sizes.
_NUMBERS = (24, 48)


def misfit(node: Node, reason: str | Exception, file: str | None) -> MisfitError:
    """The error of a node that the sizes of its inputs don't suit."""
    # What others than a ValueError say is for maintainers, and goes with the traceback.
    said = not isinstance(reason, Exception) or isinstance(reason, ValueError)
    why = f": {reason}" if said and str(reason) else ""
    return MisfitError(
        f"its inputs and attributes don't fit together{why}",
        file=file,
        node=str(node),
        remedy="no runtime runs it: give other shapes if you gave any, else export the model again",
    )


def type_of(element_type: int, shape: Shape | None) -> TypeProto:
    """A tensor's type; ONNX's inference passes the names of unknown sizes on."""
    from onnx import helper

    dims = None if shape is None else [name_of(n) if is_unknown(n) else n for n in shape]
    return helper.make_tensor_type_proto(element_type, dims)


def dims_of(kind: TypeProto.Tensor, unknown: Mapping[str, Any]) -> Sized:
    """The sizes in a type, those that are `unknown` by their names; None for what is open."""
    return tuple(
        [
            d.dim_value if d.HasField("dim_value") else unknown.get(d.dim_param)
            for d in kind.shape.dim
        ]
    )


def attributes_of(op_type: str, version: int, domain: str) -> frozenset[str]:
    """Names of the attributes of an operator; none if ONNX doesn't know it."""
    schema = schema_of(domain, op_type, version)
    return frozenset(schema.attributes) if schema is not None else frozenset()


def inferred(
    node: Node,
    schema: Any,
    types: dict[str, TypeProto],
    values: Mapping[str, np.ndarray],
    open_: bool,
    file: str | None,
) -> Mapping[str, TypeProto]:
    """The types of the outputs of a node by ONNX's inference.

    Parameters
    ----------
    node : Node
        The node.
    schema : onnx.defs.OpSchema
        The definition of its operator.
    types : dict of str to TypeProto
        The types of its inputs.
    values : mapping of str to ndarray
        The static values of some.
    open_ : bool
        Whether a size of some input is unknown.
    file : str or None
        The model's path, for errors.

    Raises
    ------
    MisfitError
        The inputs don't fit, whatever the open sizes are.
    """
    import onnx
    from onnx import numpy_helper, shape_inference

    data = {name: numpy_helper.from_array(value) for name, value in values.items()}
    proto = node.proto
    imports = [onnx.helper.make_opsetid(node.domain, schema.since_version)]
    found: Mapping[str, TypeProto]
    try:
        found = shape_inference.infer_node_outputs(
            schema, proto, types, data, opset_imports=imports
        )
    except shape_inference.InferenceError as error:
        if not open_:
            said = re.split(r"\[\w+Error\]", str(error))[-1].strip()
            raise misfit(node, said, file) from None
        found = {}
    except onnx.checker.ValidationError as error:
        if "Unrecognized attribute" not in str(error):
            raise misfit(node, str(error), file) from None
        # Whole graphs are not checked so strictly: an attribute too many is let pass.
        found = {}
    except (RuntimeError, ValueError, TypeError):
        found = {}
    if not all(kind.tensor_type.HasField("shape") for kind in found.values()) or not found:
        found = _alone(proto, types, list(data.items()), imports)
    return _doubted(found, schema, proto, types, data, imports) if open_ else found


def _doubted(
    found: Mapping[str, TypeProto],
    schema: Any,
    node: onnx.NodeProto,
    types: Mapping[str, TypeProto],
    data: dict[str, TensorProto],
    imports: list[onnx.OperatorSetIdProto],
) -> dict[str, TypeProto]:
    """The types that inference finds for a node some of whose inputs have unknown sizes, without
    the sizes that are others once these have numbers: some rules take what is open for 0.
    """
    import onnx
    from onnx import TypeProto, shape_inference

    kept = dict(found)
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
                schema, node, given, data, opset_imports=imports
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
            if name not in kept:
                continue
            pairs = zip(kept[name].tensor_type.shape.dim, kind.tensor_type.shape.dim)  # noqa: B905
            for dim, other in pairs:
                if dim.HasField("dim_value") and dim.dim_value != other.dim_value:
                    dim.Clear()
    return kept


def _alone(
    node: onnx.NodeProto,
    types: Mapping[str, TypeProto],
    data: Iterable[tuple[str, TensorProto]],
    imports: list[onnx.OperatorSetIdProto],
) -> dict[str, TypeProto]:
    """Types of the outputs of a node that is a function, or has attributes too many: only whole
    graphs look into its body, or let these pass.
    """
    import onnx
    from onnx import shape_inference

    graph = onnx.helper.make_graph(
        [node],
        "alone",
        [onnx.helper.make_value_info(name, kind) for name, kind in types.items()],
        [onnx.helper.make_empty_tensor_value_info(name) for name in node.output if name],
    )
    for name, tensor in data:
        graph.initializer.add().CopyFrom(tensor)
        graph.initializer[-1].name = name
    model = onnx.helper.make_model(graph, opset_imports=imports)
    try:
        return {v.name: v.type for v in shape_inference.infer_shapes(model).graph.output}
    except (shape_inference.InferenceError, RuntimeError, ValueError):
        return {}


def referred(kind: Kind, inputs: Sequence[Any]) -> Sequence[Any]:
    """The outputs of a node by ONNX's reference implementation, which is only now imported."""
    import onnx
    from onnx.reference import ReferenceEvaluator
    from onnx.reference.ops import load_op

    parameters = {
        "log": lambda *_: None,
        "opsets": {kind.domain: kind.version},
        "verbose": 0,
        "new_ops": None,
        "existing_functions": {},
        "evaluator_cls": ReferenceEvaluator,
    }
    proto = onnx.NodeProto()
    proto.CopyFrom(kind.proto)
    proto.input.extend("" if value is None else f"{k}" for k, value in enumerate(inputs))
    proto.output.extend("" if ~k in kind.left_out else f"o{k}" for k in range(kind.outputs))
    operator = load_op(kind.domain, kind.op_type, kind.version, node=proto)
    if kind.op_type == "CumSum" and not kind.domain:
        # An axis of shape (1,), as exporters write it, is refused by the reference.
        inputs = [inputs[0], inputs[1].reshape(())]
    with np.errstate(all="ignore"):
        results: Sequence[Any] = operator(proto, parameters).run(*inputs)
    return results
