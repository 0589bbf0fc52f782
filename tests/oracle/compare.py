"""Whether an analysis claims, of every unit, exactly what is observed.

Bounds of every unit against the hull of what poison shows; and the sets themselves, of units and of
regions, in both directions: what a unit reads, and which units an element of an input changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import onnx
from onnx import numpy_helper

from rfgraph.validation.nan.probe import interpolates

from .observe import Shape, UnobservableError, Values, attributes, hull, opened

Bounds: TypeAlias = tuple[np.ndarray, np.ndarray]

# Elements of an attribute or constant that a message shows.
_SHOWN = 12


# Coordinates of a unit, or of a region.
Index: TypeAlias = tuple[int | slice, ...]


class Bounded(Protocol):
    """The part of an analysis whose bounds are checked."""

    def bounds(self, tensor: str, input: str) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of every unit; broadcastable to the tensor's shape and the input's rank."""
        ...


class Analysis(Bounded, Protocol):
    """The part of an analysis that is checked."""

    def support(self, tensor: str, index: Index, input: str) -> Any:
        """What a unit, or a region, reads: of the input's shape, once it is an array."""
        ...

    def influence(self, tensor: str, index: Index, output: str) -> Any:
        """Which units of `output` an element, or a region, of an input changes."""
        ...


@dataclass(frozen=True)
class Mismatch:
    """The first unit of a value of which something else is observed than claimed.

    Attributes
    ----------
    value, input : str
        Of which value, and with respect to which input.
    unit : tuple of int or slice
        The unit, or the region.
    claimed, observed : str
        The two boxes, or sets.
    units : int
        How many units of the value differ.
    """

    value: str
    input: str
    unit: Index
    claimed: str
    observed: str
    units: int


def check_exact(
    model: onnx.ModelProto,
    analysis_fn: Callable[[onnx.ModelProto], Any],
    values: Values = "outputs",
    sets: int | None = 0,
) -> None:
    """Fail unless an analysis of `model` claims the observed hull of every unit, and the set.

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
    sets : int or None
        So many units and half as many regions are drawn whose supports are compared, and as many
        elements and regions of the inputs for what they influence; None: all units and elements.

    Raises
    ------
    AssertionError
        Something differs; the message has the graph up to the first such value.
    """
    try:
        analysis = analysis_fn(model)
        seen = observed(model, values)
        found = [*differing(seen, analysis), *differing_sets(seen, analysis, sets)]
    except UnobservableError:
        raise
    except Exception as error:
        lines = [f"{model.doc_string}: {type(error).__name__}: {error}", *graph_lines(model)]
        raise AssertionError("\n  ".join(lines)) from error
    assert not found, describe(model, found)


def mismatches(
    model: onnx.ModelProto, analysis: Bounded, values: Values = "outputs"
) -> list[Mismatch]:
    """Where claim and observation differ: one entry for each value and input, in graph order."""
    return differing(observed(model, values), analysis)


@dataclass(frozen=True)
class Observed:
    """What every unit of a value was observed to read of an input.

    Attributes
    ----------
    value, input : str
        Of which value, and with respect to which input.
    inner, outer : pair of ndarray
        First and last coordinate on each axis that must be claimed, and that may be.
    least, most : ndarray of bool, of shape value.shape + input.shape
        Which elements must be claimed, and which may be.
    """

    value: str
    input: str
    inner: Bounds
    outer: Bounds
    least: np.ndarray
    most: np.ndarray

    @property
    def units(self) -> Shape:
        """The value's shape."""
        return self.most.shape[: self.inner[0].ndim - 1]

    @property
    def elements(self) -> Shape:
        """The input's shape."""
        return self.most.shape[self.inner[0].ndim - 1 :]

    @property
    def mask(self) -> np.ndarray | None:
        """Which elements; None if there is some play."""
        return self.most if self.least is self.most else None


def observed(model: onnx.ModelProto, values: Values = "outputs") -> list[Observed]:
    """Everything that is observed of a model, in graph order."""
    loose = interpolates(model)
    most = opened(model, values)
    least = opened(model, values, "weighted") if loose else most
    found = []
    for name, shape in most.shapes.items():
        outer = most.masks(name)
        inner = least.masks(name) if loose else outer
        for value, mask in outer.items():
            bounds = hull(inner[value], len(shape)), hull(mask, len(shape))
            found.append(Observed(value, name, *bounds, inner[value], mask))
    order = {value: k for k, value in enumerate(most.names)}
    return sorted(found, key=lambda entry: order[entry.value])


def differing(found: list[Observed], analysis: Bounded) -> list[Mismatch]:
    """Where a claim differs from what was observed."""
    pairs = [
        _first_mismatch(o.value, o.input, analysis.bounds(o.value, o.input), o.inner, o.outer)
        for o in found
    ]
    return [mismatch for mismatch in pairs if mismatch is not None]


def differing_sets(
    found: list[Observed], analysis: Analysis, count: int | None = None, seed: int = 0
) -> list[Mismatch]:
    """Where a support, or an influence, differs from what was observed.

    Parameters
    ----------
    found : list of Observed
        What was observed.
    analysis : Analysis
        What claims.
    count : int, optional
        How many units and elements are drawn; all, and no regions, if left out.
    seed : int
        Of what is drawn.
    """
    rng = np.random.default_rng(seed)
    by_value: dict[str, list[Observed]] = {}
    for o in found:
        by_value.setdefault(o.value, []).append(o)
    pairs = []
    for value, index in _drawn({v: os[0].units for v, os in by_value.items()}, count, rng):
        for o in by_value[value]:
            claimed = np.asarray(analysis.support(value, index, o.input))
            seen = tuple(_union(m[index], o.elements) for m in (o.least, o.most))
            pairs.append((o, f"support of {value}", index, claimed, seen))
    by_input: dict[str, list[Observed]] = {}
    for o in found:
        by_input.setdefault(o.input, []).append(o)
    for name, index in _drawn({n: os[0].elements for n, os in by_input.items()}, count, rng):
        every = by_input[name]
        for o in every if count is None else [every[rng.integers(len(every))]]:
            claimed = np.asarray(analysis.influence(name, index, o.value))
            rank = len(o.units)
            turned = [m.transpose(*range(rank, m.ndim), *range(rank)) for m in (o.least, o.most)]
            seen = tuple(_union(m[index], o.units) for m in turned)
            pairs.append((o, f"influence of {name}", index, claimed, seen))
    return [
        Mismatch(o.value, o.input, index, f"{what}: {_set(claimed, least, most)}", _set(least), 1)
        for o, what, index, claimed, (least, most) in pairs
        if claimed.shape != most.shape or (least & ~claimed).any() or (claimed & ~most).any()
    ]


def _drawn(
    shapes: dict[str, Shape], count: int | None, rng: np.random.Generator
) -> Iterator[tuple[str, Index]]:
    """Units of values of some shapes: all, or `count` units and half as many regions."""
    names = [name for name, shape in shapes.items() if 0 not in shape]
    if count is None:
        for name in names:
            for unit in np.ndindex(shapes[name]):
                yield name, unit
    elif names:
        for k in range(count + count // 2):
            name = names[rng.integers(len(names))]
            unit = tuple(int(rng.integers(n)) for n in shapes[name])
            if k < count:
                yield name, unit
            else:
                yield name, tuple(slice(a, None, int(rng.integers(1, 3))) for a in unit)


def _union(mask: np.ndarray, shape: Shape) -> np.ndarray:
    """The union over what comes before the axes of `shape`."""
    return np.asarray(mask.reshape(-1, *shape).any(axis=0))


def _set(mask: np.ndarray, least: np.ndarray | None = None, most: np.ndarray | None = None) -> str:
    said = f"{int(mask.sum())} of {mask.shape}"
    if least is None or most is None or mask.shape != most.shape:
        return said
    missing, added = np.argwhere(least & ~mask), np.argwhere(mask & ~most)
    said += f", without {missing[0].tolist()}" if len(missing) else ""
    return said + (f", with {added[0].tolist()}" if len(added) else "")


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
