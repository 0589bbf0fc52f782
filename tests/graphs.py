"""Small models: written as text, or node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, parser

PICTURE = "float[1,1,8,8] x"


def model(
    body: str,
    inputs: str = PICTURE,
    outputs: str = "y",
    *,
    opset: int = 17,
    ir: int = 8,
    functions: str = "",
    initializers: dict[str, np.ndarray] | None = None,
) -> onnx.ModelProto:
    """A model in ONNX's text form; its outputs are of any type and shape.

    It imports the domains ``custom``, of operators that nobody knows, and ``own``, of functions.
    """
    declared = ", ".join(f"float[] {name}" for name in outputs.split())
    made = parser.parse_model(
        f'<ir_version: {ir}, opset_import: ["": {opset}, "custom": 1, "own": 1]>'
        f"g ({inputs}) => ({declared}) {{ {body} }} {functions}"
    )
    for output in made.graph.output:
        output.ClearField("type")
    for name, array in (initializers or {}).items():
        made.graph.initializer.append(numpy_helper.from_array(array, name))
    return made


class Nodes:
    """Writes a graph node by node; values are handled by name.

    What writes nets of some kind has its layers as methods of a subclass.
    """

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def op(self, kind: str, *inputs: str | np.ndarray, **attributes: Any) -> str:
        """Append a node of one output; arrays become constants."""
        names = [i if isinstance(i, str) else self.constant(i) for i in inputs]
        self.nodes.append(helper.make_node(kind, names, [f"v{len(self.nodes)}"], **attributes))
        return self.nodes[-1].output[0]

    def constant(self, value: Any) -> str:
        """Append a constant of 64-bit integers or 32-bit floats."""
        name, array = f"c{len(self.constants)}", np.asarray(value)
        dtype = np.int64 if array.dtype.kind in "iu" else np.float32
        self.constants.append(numpy_helper.from_array(array.astype(dtype), name))
        return name

    def written(
        self,
        inputs: Mapping[str, Sequence[int]],
        *outputs: str,
        opset: int = 18,
        since: int = 0,
    ) -> onnx.ModelProto:
        """The model with these inputs, of floats, and outputs, of any type and shape; `since` is
        the first node that is in it.
        """
        floats = TensorProto.FLOAT
        nodes = self.nodes[since:]
        read = {name for node in nodes for name in node.input}
        graph = helper.make_graph(
            nodes,
            "written",
            [helper.make_tensor_value_info(name, floats, n) for name, n in inputs.items()],
            [helper.make_empty_tensor_value_info(name) for name in outputs],
            [constant for constant in self.constants if constant.name in read],
        )
        opsets = [helper.make_opsetid("", opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9)
