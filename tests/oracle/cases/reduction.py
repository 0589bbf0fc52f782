"""Reductions, running sums and the softmax family."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from onnx import TensorProto

from ..perturbation import Case
from . import cases
from .common import floats, of, positive

_REDUCTIONS = (
    *("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean"),
    *("ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"),
)

# A place of a maximum moves in some trials only.
_MANY = 16

# What exponentials neither overflow nor forget at.
_TAME = (-4.0, 4.0)


def _reduce(op_type: str) -> Callable[[], Iterator[Case]]:
    since = 13 if op_type == "ReduceSum" else 18
    within = {"ReduceLogSum": (0.1, 1e3), "ReduceLogSumExp": _TAME}.get(op_type, (-1e2, 1e2))
    data = positive(2, 3, 4)

    def build() -> Iterator[Case]:
        for axes in ([0], [1], [-1], [0, 2], [2, 0, 1]):
            for keepdims in (0, 1):
                name = f"{axes}, {keepdims}"
                inputs = {"data": data, "axes": np.array(axes)}
                yield of(
                    name, op_type, inputs, constants=["axes"], keepdims=keepdims, within=within
                )
                yield of(
                    f"{name}, attribute",
                    op_type,
                    {"data": data},
                    opset=since - 1,
                    axes=axes,
                    keepdims=keepdims,
                    within=within,
                )
        yield of("all axes", op_type, {"data": data}, within=within)
        yield of("all axes, kept", op_type, {"data": data}, keepdims=1, within=within)
        for shape in ((2, 3, 4), (2, 2, 2, 2, 3)):
            inputs = {"data": positive(*shape)}
            # Of single elements each is reduced by itself.
            yield of(f"no axes of {shape}", op_type, inputs, noop_with_empty_axes=1, within=within)
            inputs["axes"] = np.array([len(shape) - 2, 0])
            yield of(f"{shape}", op_type, inputs, constants=["axes"], keepdims=1, within=within)

    return build


for _name in _REDUCTIONS:
    cases(_name)(_reduce(_name))


def _arg_reduce(op_type: str) -> Callable[[], Iterator[Case]]:
    def build() -> Iterator[Case]:
        kinds = {"y0": TensorProto.INT64}
        for axis in (0, 1, -1):
            for keepdims in (0, 1):
                for last in (0, 1):
                    yield of(
                        f"{axis}, {keepdims}, {last}",
                        op_type,
                        {"data": floats(2, 3, 4)},
                        kinds=kinds,
                        axis=axis,
                        keepdims=keepdims,
                        select_last_index=last,
                        trials=_MANY,
                    )
        inputs = {"data": floats(2, 2, 3, 2, 2)}
        yield of("axis 2 of 5", op_type, inputs, kinds=kinds, axis=2, trials=_MANY)
        inputs = {"data": floats(3, 2)}
        yield of("version 7", op_type, inputs, opset=7, kinds=kinds, axis=0, trials=_MANY)

    return build


for _name in ("ArgMax", "ArgMin"):
    cases(_name)(_arg_reduce(_name))


def _softmax(op_type: str) -> Callable[[], Iterator[Case]]:
    shapes = ((2, 3, 4), (2, 2, 3, 2, 2))

    def build() -> Iterator[Case]:
        for opset in (9, 12, 13, 21):
            for shape in shapes:
                for axis in range(len(shape)):
                    name = f"version {opset}, {axis} of {shape}"
                    inputs = {"input": floats(*shape)}
                    yield of(name, op_type, inputs, opset=opset, axis=axis, within=_TAME)
            inputs = {"input": floats(2, 3, 2)}
            yield of(f"version {opset}", op_type, inputs, opset=opset, within=_TAME)

    return build


for _name in ("LogSoftmax", "Softmax"):
    cases(_name)(_softmax(_name))


@cases("Hardmax")
def hardmax() -> Iterator[Case]:
    """Every element has to be the greatest once."""
    for opset in (9, 13):
        for axis in (None, 0, 1, 2):
            inputs = {"input": floats(2, 3, 2)}
            name = f"version {opset}, axis {axis}"
            given = {} if axis is None else {"axis": axis}
            yield of(name, "Hardmax", inputs, opset=opset, trials=200, within=_TAME, **given)


@cases("CumSum")
def cum_sum() -> Iterator[Case]:
    for axis in (0, 1, -1):
        for reverse in (0, 1):
            for exclusive in (0, 1):
                inputs = {"x": floats(3, 4, 2), "axis": np.array(axis)}
                yield of(
                    f"{axis}, {reverse}, {exclusive}",
                    "CumSum",
                    inputs,
                    constants=["axis"],
                    reverse=reverse,
                    exclusive=exclusive,
                )
    inputs = {"x": floats(2, 2, 3, 2, 2), "axis": np.array(2)}
    yield of("axis 2 of 5", "CumSum", inputs, constants=["axis"])
    yield of("axis 3 of 5", "CumSum", inputs | {"axis": np.array(3)}, constants=["axis"])
    yield of("axis 4 of 5", "CumSum", inputs | {"axis": np.array(4)}, constants=["axis"])
    yield of("held axis", "CumSum", {"x": floats(2, 3), "axis": np.array(1)})
