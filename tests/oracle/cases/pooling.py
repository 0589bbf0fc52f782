"""Pools."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from onnx import TensorProto

from ..perturbation import Case
from . import cases
from .common import floats, of

# Shape of X and attributes.
_WINDOWS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "1-D": ((2, 2, 9), {"kernel_shape": [3], "strides": [2], "pads": [1, 1]}),
    "ceil": ((2, 2, 8), {"kernel_shape": [3], "strides": [2], "ceil_mode": 1}),
    "stride beyond the kernel": ((1, 2, 9), {"kernel_shape": [2], "strides": [4]}),
    "2-D": ((2, 2, 5, 6), {"kernel_shape": [2, 3], "strides": [2, 1], "pads": [1, 0, 0, 2]}),
    "3-D": ((2, 2, 4, 3, 5), {"kernel_shape": [2, 2, 3], "strides": [1, 1, 2]}),
    "SAME_UPPER": ((1, 2, 7), {"kernel_shape": [4], "strides": [2], "auto_pad": "SAME_UPPER"}),
    "SAME_LOWER": ((1, 2, 6, 5), {"kernel_shape": [2, 3], "auto_pad": "SAME_LOWER"}),
    "VALID": ((1, 2, 7), {"kernel_shape": [4], "strides": [2], "auto_pad": "VALID"}),
}
_DILATED: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "dilation": ((1, 2, 9), {"kernel_shape": [3], "dilations": [3], "pads": [2, 1]}),
    "2-D dilation": ((1, 1, 6, 7), {"kernel_shape": [2, 3], "dilations": [3, 2]}),
}


# Without windows of one element, in which the place of the maximum is no question.
_PLACED = ("1-D", "ceil", "3-D", "VALID", "2-D dilation")


@cases("MaxPool")
def max_pool() -> Iterator[Case]:
    kinds = {"Indices": TensorProto.INT64}
    for name, (shape, given) in (_WINDOWS | _DILATED).items():
        inputs = {"X": floats(*shape)}
        yield of(name, "MaxPool", inputs, **given)
        if name in _PLACED:
            outputs = ["Y", "Indices"]
            placed = f"{name}, indices"
            yield of(placed, "MaxPool", inputs, outputs, kinds=kinds, trials=32, **given)
    inputs = {"X": floats(1, 2, 5, 4)}
    given = {"kernel_shape": [2, 2], "storage_order": 1, "kinds": kinds, "trials": 32}
    yield of("column by column", "MaxPool", inputs, ["Y", "Indices"], **given)
    yield of("version 7", "MaxPool", {"X": floats(1, 2, 6)}, opset=7, kernel_shape=[3])


@cases("AveragePool")
def average_pool() -> Iterator[Case]:
    for name, (shape, given) in (_WINDOWS | _DILATED).items():
        for counted in (0, 1):
            attributes = given | {"count_include_pad": counted}
            yield of(f"{name}, {counted}", "AveragePool", {"X": floats(*shape)}, **attributes)
    yield of("version 7", "AveragePool", {"X": floats(1, 2, 6)}, opset=7, kernel_shape=[3])


@cases("LpPool")
def lp_pool() -> Iterator[Case]:
    for p in (1, 2):
        for name, (shape, given) in (_WINDOWS | _DILATED).items():
            yield of(f"{name}, {p}", "LpPool", {"X": floats(*shape)}, p=p, **given)
    yield of("version 11", "LpPool", {"X": floats(1, 2, 6)}, opset=11, kernel_shape=[3])


def _global(op_type: str) -> Callable[[], Iterator[Case]]:
    def build() -> Iterator[Case]:
        for shape in ((2, 2, 5), (2, 3, 4, 3), (2, 2, 2, 3, 2)):
            yield of(f"{len(shape) - 2}-D", op_type, {"X": floats(*shape)})

    return build


for _name in ("GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool"):
    cases(_name)(_global(_name))
