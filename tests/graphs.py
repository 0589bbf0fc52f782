"""Small models, the one place where tests make them: as text, of one node, or node by node.

Random ones are drawn elsewhere, with what these are made of: `tests.nets` (nets on signals and
pictures), `tests.oracle.generate` (any operators) and `tests.oracle.control_flow`; the published
networks are written by `tests.published`.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, parser

PICTURE = "float[1,1,8,8] x"


# ---------------------------------------------------------------- as text


def parsed(
    text: str,
    initializers: Mapping[str, Any] | None = None,
    opset: int = 17,
    *,
    ir: int = 8,
) -> onnx.ModelProto:
    """A model in ONNX's text form, from its name on, with further initializers.

    It imports the domains ``custom``, of operators that nobody knows, and ``own``, of functions.
    """
    made = parser.parse_model(
        f'<ir_version: {ir}, opset_import: ["": {opset}, "custom": 1, "own": 1]> {text}'
    )
    for name, array in (initializers or {}).items():
        made.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    return made


def model(
    body: str,
    inputs: str = PICTURE,
    outputs: str = "y",
    *,
    opset: int = 17,
    ir: int = 8,
    functions: str = "",
    initializers: Mapping[str, Any] | None = None,
) -> onnx.ModelProto:
    """A model whose nodes are text; its outputs are of any type and shape. See `parsed`."""
    declared = ", ".join(f"float[] {name}" for name in outputs.split())
    text = f"g ({inputs}) => ({declared}) {{ {body} }} {functions}"
    made = parsed(text, initializers, opset, ir=ir)
    for output in made.graph.output:
        output.ClearField("type")
    return made


# ---------------------------------------------------------------- one node


def single(
    op_type: str,
    inputs: Mapping[str, Any],
    outputs: int | Sequence[str] = 1,
    *,
    domain: str = "",
    opset: int = 21,
    versions: Mapping[str, int] | None = None,
    constants: Sequence[str] = (),
    kinds: Mapping[str, int] | None = None,
    **attributes: Any,
) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """A model of one node, and what it is run on.

    Parameters
    ----------
    op_type : str
        The operator.
    inputs : mapping of str to array
        Its inputs by name, in order; None for one that is left out.
    outputs : int or sequence of str
        How many outputs, or their names (``""`` for one that is left out).
    domain, opset, versions
        The operator's domain, the operator set of ONNX, and those of other domains.
    constants : sequence of str
        Inputs that become initializers.
    kinds : mapping of str to int, optional
        Element types of the outputs, 32-bit floats unless given.
    """
    names = [f"y{k}" for k in range(outputs)] if isinstance(outputs, int) else list(outputs)
    node = helper.make_node(
        op_type,
        [name if value is not None else "" for name, value in inputs.items()],
        names,
        domain=domain,
        **attributes,
    )
    arrays = {n: np.asarray(v) for n, v in inputs.items() if v is not None}
    infos = [
        helper.make_tensor_value_info(name, (kinds or {}).get(name, TensorProto.FLOAT), None)
        for name in names
        if name
    ]
    imports = {"": opset, **({domain: 1} if domain else {}), **(versions or {})}
    made = around(node, arrays, constants, imports, outputs=infos)
    return made, {n: v for n, v in arrays.items() if n not in constants}


def around(
    node: onnx.NodeProto,
    arrays: Mapping[str, np.ndarray],
    constants: Container[str],
    imports: Mapping[str, int],
    *,
    outputs: Sequence[onnx.ValueInfoProto] | None = None,
) -> onnx.ModelProto:
    """The model of a node that is there: its inputs by name, those that are `constants`, the
    versions of operator sets by domain. Its outputs are of any type and shape, if not told.
    """
    if outputs is None:
        outputs = [helper.make_empty_tensor_value_info(name) for name in node.output if name]
    graph = helper.make_graph(
        [node],
        node.op_type,
        [
            helper.make_tensor_value_info(name, _element(value), value.shape)
            for name, value in arrays.items()
            if name not in constants
        ],
        outputs,
        [numpy_helper.from_array(v, name) for name, v in arrays.items() if name in constants],
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in imports.items()]
    return helper.make_model(graph, ir_version=10, opset_imports=opsets)


def _element(value: np.ndarray) -> int:
    if value.dtype.kind in "OU":
        return TensorProto.STRING
    return int(helper.np_dtype_to_tensor_dtype(value.dtype))


# ---------------------------------------------------------------- node by node


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
