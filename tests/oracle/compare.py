"""Whether an analysis claims, of every unit, exactly what is observed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import onnx
from onnx import numpy_helper

from .observe import Poison, Shape, UnobservableError, Values, attributes, hull, interpolates

Bounds: TypeAlias = tuple[np.ndarray, np.ndarray]

# Elements of an attribute or constant that a message shows.
_SHOWN = 12


class Analysis(Protocol):
    """The part of an analysis that is checked."""

    def bounds(self, tensor: str, input: str) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of every unit; broadcastable to the tensor's shape and the input's rank."""
        ...


@dataclass(frozen=True)
class Mismatch:
    """The first unit of a value of which something else is observed than claimed.

    Attributes
    ----------
    value, input : str
        Of which value, and with respect to which input.
    unit : tuple of int
        The unit.
    claimed, observed : str
        The two boxes.
    units : int
        How many units of the value differ.
    """

    value: str
    input: str
    unit: Shape
    claimed: str
    observed: str
    units: int


def check_exact(
    model: onnx.ModelProto,
    analysis_fn: Callable[[onnx.ModelProto], Analysis],
    values: Values = "outputs",
) -> None:
    """Fail unless an analysis of `model` claims the observed hull of every unit.

    A linear or cubic resize may count the taps to which it gives the weight zero or leave them
    out: with one in the graph, what is read through weights that are not zero must lie inside of
    what is claimed, and that inside of what its kernel multiplies. (A perturbation compared bit
    for bit would not do as the lower one: a weight that is zero is rounded to 1e-8 at times.)

    Parameters
    ----------
    model : onnx.ModelProto
        What `Poison` can observe.
    analysis_fn : callable
        Makes the analysis.
    values : {"outputs", "all"}
        Whether values inside are compared too.

    Raises
    ------
    AssertionError
        Something differs; the message has the graph up to the first such value.
    """
    try:
        analysis = analysis_fn(model)
        found = mismatches(model, analysis, values)
    except UnobservableError:
        raise
    except Exception as error:
        lines = [f"{model.doc_string}: {type(error).__name__}: {error}", *graph_lines(model)]
        raise AssertionError("\n  ".join(lines)) from error
    assert not found, describe(model, found)


def mismatches(
    model: onnx.ModelProto, analysis: Analysis, values: Values = "outputs"
) -> list[Mismatch]:
    """Where claim and observation differ: one entry for each value and input, in graph order."""
    return differing(observed(model, values), analysis)


@dataclass(frozen=True)
class Observed:
    """The hulls of what every unit of a value was observed to read of an input.

    Attributes
    ----------
    value, input : str
        Of which value, and with respect to which input.
    inner, outer : pair of ndarray
        First and last coordinate on each axis that must be claimed, and that may be.
    mask : ndarray of bool or None
        Which elements; None if there is some play.
    """

    value: str
    input: str
    inner: Bounds
    outer: Bounds
    mask: np.ndarray | None = None


def observed(model: onnx.ModelProto, values: Values = "outputs") -> list[Observed]:
    """Everything that is observed of a model, in graph order."""
    loose = any(map(interpolates, model.graph.node))
    most = Poison(model, values)
    least = Poison(model, values, taps="weighted") if loose else most
    found = []
    for name, shape in most.shapes.items():
        outer = most.masks(name)
        inner = least.masks(name) if loose else outer
        for value, mask in outer.items():
            bounds = hull(inner[value], len(shape)), hull(mask, len(shape))
            found.append(Observed(value, name, *bounds, None if loose else mask))
    order = {value: k for k, value in enumerate(most.names)}
    return sorted(found, key=lambda entry: order[entry.value])


def differing(found: list[Observed], analysis: Analysis) -> list[Mismatch]:
    """Where a claim differs from what was observed."""
    pairs = [
        _first_mismatch(o.value, o.input, analysis.bounds(o.value, o.input), o.inner, o.outer)
        for o in found
    ]
    return [mismatch for mismatch in pairs if mismatch is not None]


def _first_mismatch(
    value: str, name: str, claimed: Bounds, inner: Bounds, outer: Bounds
) -> Mismatch | None:
    shape = outer[0].shape
    if not all(_broadcasts(bound.shape, shape) for bound in claimed):
        shapes = f"bounds of shapes {claimed[0].shape}, {claimed[1].shape}"
        return Mismatch(value, name, (), shapes, f"for a shape of {shape}", 0)
    lo, hi = claimed = np.broadcast_to(claimed[0], shape), np.broadcast_to(claimed[1], shape)
    empty = (lo > hi).all(axis=-1)
    # A claim that is empty on some axes and not on others is wrong whatever is observed.
    torn = (lo > hi).any(axis=-1) & ~empty
    inner_empty = (inner[0] > inner[1]).all(axis=-1)
    outer_empty = (outer[0] > outer[1]).all(axis=-1)
    holds_inner = ((lo <= inner[0]) & (inner[1] <= hi)).all(axis=-1)
    inside_outer = ((outer[0] <= lo) & (hi <= outer[1])).all(axis=-1)
    fine = ~torn & np.where(empty, inner_empty, ~outer_empty & inside_outer)
    fine &= empty | inner_empty | holds_inner
    if fine.all():
        return None
    unit = tuple(int(k) for k in np.argwhere(~fine)[0])
    observed = _box(inner, unit)
    if _box(outer, unit) != observed:
        observed = f"between {observed} and {_box(outer, unit)}"
    return Mismatch(value, name, unit, _box(claimed, unit), observed, int((~fine).sum()))


def _broadcasts(shape: Shape, target: Shape) -> bool:
    try:
        return np.broadcast_shapes(shape, target) == target
    except ValueError:
        return False


def _box(bounds: Bounds, unit: Shape) -> str:
    lo, hi = bounds[0][unit], bounds[1][unit]
    if (lo > hi).all():
        return "nothing"
    return " x ".join(f"[{a}, {b}]" for a, b in zip(lo, hi, strict=True))


# ---------------------------------------------------------------- messages


def describe(model: onnx.ModelProto, found: list[Mismatch]) -> str:
    """Say what differs, and how to make it again: the seed, and the graph up to there."""
    first = found[0]
    lines = [
        f"{model.doc_string or 'the model'}: {len(found)} values differ; first",
        f"  {first.value} by {first.input} at unit {first.unit}, as {first.units} units of it:",
        f"  claimed  {first.claimed}",
        f"  observed {first.observed}",
        *("  " + line for line in graph_lines(upto(model, first.value))),
    ]
    return "\n".join(lines)


def upto(model: onnx.ModelProto, value: str) -> onnx.ModelProto:
    """The part of a model that `value` is made by, with `value` as its only output.

    Inputs that no longer matter are left out.
    """
    wanted = {value}
    kept = []
    for node in reversed(model.graph.node):
        if not wanted.isdisjoint(node.output):
            kept.append(node)
            wanted.update(node.input)
    part = onnx.ModelProto()
    part.CopyFrom(model)
    graph = part.graph
    for field in (graph.node, graph.input, graph.output, graph.initializer):
        del field[:]
    graph.node.extend(reversed(kept))
    graph.input.extend(v for v in model.graph.input if v.name in wanted)
    graph.output.extend([onnx.helper.make_empty_tensor_value_info(value)])
    graph.initializer.extend(t for t in model.graph.initializer if t.name in wanted)
    return part


def graph_lines(model: onnx.ModelProto) -> list[str]:
    """A model in a few lines: inputs, then a line a node with constants written in place."""
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    lines = [
        f"{v.name}: {[d.dim_value for d in v.type.tensor_type.shape.dim]}"
        for v in model.graph.input
    ]
    for node in model.graph.node:
        given = attributes(node)
        if node.op_type == "Constant" and "value" in given:
            constants[node.output[0]] = numpy_helper.to_array(given["value"])
            continue
        operands = [_operand(name, constants.get(name)) for name in node.input]
        shown = [f"{name}={_attribute(v)}" for name, v in given.items()]
        arguments = ", ".join(operands + shown)
        lines.append(f"{', '.join(node.output)} = {node.op_type}({arguments})")
    return lines


def _operand(name: str, array: np.ndarray | None) -> str:
    if array is None:
        return name or "-"
    if array.dtype.kind == "f" and array.size > 1 and array.ndim != 1:
        return f"{array.dtype}{list(array.shape)}"
    if array.size > _SHOWN:
        return f"{array.dtype}{list(array.shape)}"
    return np.array2string(array, separator=", ", precision=4).replace("\n", "")


def _attribute(value: object) -> str:
    if isinstance(value, bytes):
        return repr(value.decode())
    if isinstance(value, onnx.TensorProto):
        return str(numpy_helper.to_array(value).tolist())
    return str(value)
