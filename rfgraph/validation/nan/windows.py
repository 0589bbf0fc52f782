"""What stands in for operators that slide a window: pools, LRN, Conv, and interpolations."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from rfgraph.validation.nan.emitter import Emitter
from rfgraph.worker.protos import attributes_of, node_interpolates

# A smaller interpolation weight is a zero with rounding.
_WEIGHT = 1e-4

_ONE = numpy_helper.from_array(np.ones(1, np.float32))


def max_pool(to: Emitter, node: onnx.NodeProto) -> None:
    """The average where each window has an element; else the same window over the indicator.

    In a window of padding only the average is NaN, and the maximum is -max.
    """
    given = attributes_of(node)
    simple = not given.get("ceil_mode") and set(given.get("dilations", ())) <= {1}
    if simple:
        for name in ("storage_order", "dilations", "ceil_mode"):
            given.pop(name, None)
        to.emit("AveragePool", node.input, node.output[0], **given)
    else:
        indicator = to.indicator(node.input[0])
        found = to.emit("MaxPool", [indicator], **given)
        to.nan_where(to.emit("Greater", [found, to.constant(0.5)]), node.output[0])
    for indices in node.output[1:]:
        if indices:
            to.emit("Identity", [node.output[0]], indices)


def global_max_pool(to: Emitter, node: onnx.NodeProto) -> None:
    """The average over the same axes."""
    to.emit("GlobalAveragePool", node.input, node.output[0])


def lrn(to: Emitter, node: onnx.NodeProto) -> None:
    """The same operator on 1 and 101: their sums of squares are exact, so it forgets exactly."""
    exact: dict[str, Any] = {"alpha": 1.0, "beta": 1.0, "bias": 1.0}
    marked = to.emit("Mul", [to.indicator(node.input[0]), to.constant(100.0)])
    with_it = to.emit("Add", [marked, to.constant(1.0)])
    without = to.emit("Sub", [with_it, marked])
    difference = to.emit(
        "Sub", [to.clone(node, with_it, **exact), to.clone(node, without, **exact)]
    )
    to.nan_where(to.exceeds(difference, 1e-3), node.output[0])


def conv(to: Emitter, node: onnx.NodeProto) -> None:
    """Conv of X by weights of its own, and where a weight that is NaN meets an element of X."""
    X, W = node.input[:2]
    given = attributes_of(node)
    taps = to.shapes[W]
    ones = [
        to.emit("ConstantOfShape", [to.constant(list(shape), np.int64)], value=_ONE)
        for shape in (to.shapes[X], taps)
    ]
    met = to.emit("Conv", [ones[0], to.indicator(W)], **given)
    read_ = to.fresh()
    to.nan_where(to.emit("Greater", [met, to.constant(0.5)]), read_)
    if X in to.live:
        # Sums of a window's elements would grow from layer to layer.
        weights = to.emit("Div", [ones[1], to.constant(float(prod(taps[1:])))])
        read_ = to.emit("Add", [read_, to.emit("Conv", [X, weights], **given)])
    to.add(read_, [(name, 1) for name in node.input[2:]], X, node.output[0])


def interpolation(to: Emitter, node: onnx.NodeProto) -> None:
    """Interpolate the indicator: what has a weight shows."""
    outside: dict[str, Any] = {}
    if "extrapolation_value" in attributes_of(node):
        outside["extrapolation_value"] = 0.0
    found = to.clone(node, to.indicator(node.input[0]), **outside)
    to.nan_where(to.exceeds(found, _WEIGHT), node.output[0])


def is_weighted(to: Emitter, node: onnx.NodeProto) -> bool:
    """Whether an interpolation is to count taps of some weight alone."""
    return to.taps == "weighted" and node_interpolates(node)
