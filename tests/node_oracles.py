"""One node by itself: what rfgraph's rules, ONNX's inference and onnxruntime say of it."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import helper, shape_inference

from rfgraph.model.graph import Kind, Kinds, make_node
from rfgraph.ops import shape_rule_of
from tests.graphs import around
from tests.oracle.observe import session

Typed: TypeAlias = "list[tuple[int, tuple[int, ...]]]"

# Versions of the operator set that are tried.
OPSETS = (9, 11, 13, 17, 18, 22)


class RefusedError(Exception):
    """Nobody, or one of the oracles, has no answer."""


def node_of(
    op_type: str, inputs: Sequence[np.ndarray | None], outputs: int, **attributes: Any
) -> onnx.NodeProto:
    """A node; attributes that are None are left out."""
    node = helper.make_node(
        op_type,
        [f"x{k}" if value is not None else "" for k, value in enumerate(inputs)],
        [f"y{k}" for k in range(outputs)],
    )
    for name, value in attributes.items():
        if value == []:
            node.attribute.add(name=name, type=onnx.AttributeProto.INTS)
        elif value is not None:
            node.attribute.append(helper.make_attribute(name, value))
    return node


def kind_of(node: onnx.NodeProto, opset: int) -> Kind:
    """What the node is."""
    return make_node(node, {"": opset}, "", None, Kinds()).kind


def ruled(node: onnx.NodeProto, inputs: Sequence[np.ndarray | None], opset: int) -> Typed:
    """Element type and shape of each output by the rule of the operator.

    Raises
    ------
    RefusedError
        The rule has no answer.
    """
    kind = kind_of(node, opset)
    applied = shape_rule_of(kind)
    if applied is None:
        raise RefusedError
    rule = applied.rule
    shapes = [() if value is None else value.shape for value in inputs]
    types = [0 if value is None else _element(value) for value in inputs]
    try:
        made = rule.shape(
            kind, shapes, [inputs[k] if k < len(inputs) else None for k in rule.steering]
        )
        several = made if isinstance(made, list) else [made] * kind.outputs
        if rule.element is not None:
            return [(rule.element(kind, types), several[0])]
        elements = [alone or types[like] for alone, like in applied.elements]
    except Exception as error:
        raise RefusedError from error
    return list(zip(elements, several, strict=True))


def inferred(
    node: onnx.NodeProto,
    inputs: Sequence[np.ndarray | None],
    opset: int,
    steering: Sequence[int] = (),
) -> Typed:
    """The same by ONNX's inference, which is told the values of the `steering` inputs.

    Raises
    ------
    RefusedError
        It refuses the node, or leaves something open.
    """
    known = {f"x{k}" for k in steering}
    try:
        model = shape_inference.infer_shapes(
            _model(node, inputs, opset, known), strict_mode=True, data_prop=True
        )
    except Exception as error:
        raise RefusedError from error
    made = []
    for value in model.graph.output:
        tensor = value.type.tensor_type
        if not tensor.HasField("shape") or not all(
            dim.HasField("dim_value") for dim in tensor.shape.dim
        ):
            raise RefusedError
        made.append((tensor.elem_type, tuple(dim.dim_value for dim in tensor.shape.dim)))
    return made


def run(node: onnx.NodeProto, inputs: Sequence[np.ndarray | None], opset: int) -> list[np.ndarray]:
    """The outputs by onnxruntime.

    Raises
    ------
    RefusedError
        It does not run.
    """
    given = {f"x{k}": value for k, value in enumerate(inputs) if value is not None}
    model = _model(node, inputs, opset)
    try:
        made: list[np.ndarray] = session(model).run(None, given)
    except Exception as error:
        raise RefusedError from error
    return made


def _model(
    node: onnx.NodeProto,
    inputs: Sequence[np.ndarray | None],
    opset: int,
    known: Container[str] = (),
) -> onnx.ModelProto:
    """The node as a model, in which the inputs that are `known` are initializers."""
    given = {f"x{k}": value for k, value in enumerate(inputs) if value is not None}
    return around(node, given, known, {"": opset})


def _element(value: np.ndarray) -> int:
    return int(helper.np_dtype_to_tensor_dtype(value.dtype))
