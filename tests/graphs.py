"""Models written as text."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper, parser

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
