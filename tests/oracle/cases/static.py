"""Operators whose output does not depend on the data of any input."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from onnx import TensorProto, parser

from ..perturbation import Case
from . import cases
from .common import floats, of

_MODEL = """
    <ir_version: 8, opset_import: ["" : 21]>
    static (float[2, 3] x) => (float[] y, float[] own)
    {{ s = Shape(x) y = {} own = Identity(x) }}
"""


def _beside(text: str) -> Callable[[], Iterator[Case]]:
    """The operator beside one that reads the input; what it makes is the same in every run."""

    def build() -> Iterator[Case]:
        model = parser.parse_model(_MODEL.format(text))
        for output in model.graph.output:
            output.type.tensor_type.ClearField("shape")
        x = floats(2, 3)
        yield Case("beside", model, {"x": x}, run=lambda feeds: [np.zeros((2, 3)), feeds["x"]])

    return build


for _name, _text in {
    "Constant": "Constant<value = float[2,3] {1, 2, 3, 4, 5, 6}> ()",
    "ConstantOfShape": "ConstantOfShape(s)",
    "RandomNormal": "RandomNormal<shape = [2, 3]> ()",
    "RandomNormalLike": "RandomNormalLike(x)",
    "RandomUniform": "RandomUniform<shape = [2, 3]> ()",
    "RandomUniformLike": "RandomUniformLike(x)",
}.items():
    cases(_name)(_beside(_text))


@cases("EyeLike")
def eye_like() -> Iterator[Case]:
    yield of("2-D", "EyeLike", {"input": floats(2, 3)}, k=1)


@cases("Shape")
def shape() -> Iterator[Case]:
    kinds = {"y0": TensorProto.INT64}
    yield of("all", "Shape", {"data": floats(2, 3)}, kinds=kinds)
    yield of("part", "Shape", {"data": floats(2, 3, 4)}, kinds=kinds, start=1, end=-1)


@cases("Size")
def size() -> Iterator[Case]:
    yield of("all", "Size", {"data": floats(2, 3)}, kinds={"y0": TensorProto.INT64})
