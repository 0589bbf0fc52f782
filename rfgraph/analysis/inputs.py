"""The inputs of a model: which are held, at what, and the sizes of those that are followed."""

from __future__ import annotations

import operator
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from rfgraph.analysis.open_axes import evaluated
from rfgraph.engine.trace import Note
from rfgraph.errors import QueryError, ShapeError
from rfgraph.model.graph import Graph
from rfgraph.model.sizes import MAX_AXIS, Shape

if TYPE_CHECKING:
    import onnx

Model: TypeAlias = "str | os.PathLike[str] | bytes | onnx.ModelProto"


# ---------------------------------------------------------------- held


@dataclass(frozen=True)
class Held:
    """Inputs that are held, and what was assumed of their shapes.

    Attributes
    ----------
    arrays : dict of str to array
        By input.
    shapes : dict of str to tuple of int
        Shapes of inputs, as far as they are given or follow from that.
    notes : list of Note
        What was assumed.
    """

    arrays: dict[str, Any]
    shapes: dict[str, Sequence[int]]
    notes: list[Note]


# ---------------------------------------------------------------- sizes

# An input's name and the axis whose size the model leaves open.
OpenAxis = tuple[str, int]


def sizes_of(
    graph: Graph, shapes: Mapping[str, Sequence[int]]
) -> tuple[dict[str, Shape], list[OpenAxis]]:
    """Sizes of the inputs with 1 for open axes, and which axes are open."""
    declared = {i.name: i.dims for i in graph.inputs}
    held = {i.name: i.dims for i in graph.held}
    given = {name: _whole_numbers(name, sizes, graph) for name, sizes in shapes.items()}
    for name in held:
        _agrees_with_value(graph, name, given.get(name))
    for name, sizes in given.items():
        if name not in held:
            _fits_input(graph, name, sizes)
    named = _sizes_by_name(graph, given | {name: tuple(graph.weights.shape(name)) for name in held})
    found: dict[str, Shape] = {}
    open_axes: list[OpenAxis] = []
    for name, dims in declared.items():
        if name in given:
            found[name] = given[name]
        elif dims is not None:
            resolved = [evaluated(dim, named) for dim in dims]
            open_axes += [(name, axis) for axis, size in enumerate(resolved) if size is None]
            found[name] = tuple([1 if size is None else size for size in resolved])
    return found, open_axes


def _agrees_with_value(graph: Graph, name: str, given: Shape | None) -> None:
    """Refuse a shape of an input that is held, if it is not that of its value."""
    value = tuple(graph.weights.shape(name))
    if given is not None and given != value:
        raise ShapeError(
            f"shapes: input '{name}' is given the shape {given}, and values= holds it with the "
            f"shape {value}",
            file=graph.file,
            remedy="leave its shape out, or give a value of that shape",
        )


def _fits_input(graph: Graph, name: str, given: Shape) -> None:
    """Refuse a shape that an input can't have, or that is of no input."""
    inputs = {i.name: i for i in graph.inputs}
    if name not in inputs:
        names = [*inputs, *[i.name for i in graph.held]]
        raise QueryError(
            f"shapes: the model has no input '{name}'",
            file=graph.file,
            remedy=f"its inputs are {', '.join(names)}",
        )
    dims = inputs[name].dims
    if dims is not None and len(dims) != len(given):
        raise ShapeError(
            f"shapes: input '{name}' has {len(dims)} axes, and {len(given)} sizes are given",
            file=graph.file,
            remedy=f"its axes are {template(dims)}",
        )
    if not inputs[name].element_type:
        raise ShapeError(f"shapes: input '{name}' is not a tensor", file=graph.file)
    if min(given, default=0) < 0:
        raise ShapeError(f"shapes: a size of input '{name}' is negative", file=graph.file)
    if max(given, default=0) > MAX_AXIS:
        raise ShapeError(
            f"shapes: input '{name}' has an axis of {max(given)}: more than {MAX_AXIS}",
            file=graph.file,
            remedy="give smaller sizes with shapes= or --shape",
        )


def _sizes_by_name(graph: Graph, given: Mapping[str, Shape]) -> dict[str, int]:
    """The sizes that axes with a name have by the shapes that are given."""
    dims = {i.name: i.dims for i in (*graph.inputs, *graph.held)}
    named: dict[str, int] = {}
    for name, sizes in given.items():
        for dim, size in zip(dims[name] or (), sizes, strict=False):
            if isinstance(dim, str) and named.setdefault(dim, size) != size:
                raise ShapeError(
                    f"shapes: the axis '{dim}' is given as {named[dim]} and as {size}",
                    file=graph.file,
                )
    return named


def _whole_numbers(name: str, given: Sequence[int], graph: Graph) -> Shape:
    try:
        return tuple(operator.index(size) for size in given)
    except TypeError:
        raise ShapeError(
            f"shapes: {given!r} for input '{name}' is not a sequence of whole numbers",
            file=graph.file,
        ) from None


def label(graph: Graph, where: OpenAxis) -> str:
    """An open axis in words."""
    name, axis = where
    dims = dims_of(graph, name)
    called = f" ('{dims[axis]}')" if isinstance(dims[axis], str) else ""
    return f"axis {axis}{called} of input '{name}'"


def dims_of(graph: Graph, name: str) -> tuple[Any, ...]:
    """The axes of an input as the file has them."""
    return next(i.dims for i in graph.inputs if i.name == name) or ()


def sizes_text(shape: Sequence[int]) -> str:
    """Sizes as ``--shape`` takes them."""
    return ",".join(map(str, shape))


def template(dims: Sequence[Any]) -> str:
    """Axes as ``--shape`` takes them, a mark in the place of what is open."""
    return ",".join(str(d) if d is not None else "?" for d in dims)


def with_sizes(sizes: Mapping[str, Shape], axes: Mapping[OpenAxis, int]) -> dict[str, Shape]:
    """`sizes` with other sizes for some axes."""
    out = {name: list(shape) for name, shape in sizes.items()}
    for (name, axis), size in axes.items():
        out[name][axis] = size
    return {name: tuple(shape) for name, shape in out.items()}


def depends_on_size(graph: Graph, where: OpenAxis, found: str = "") -> ShapeError:
    """The error of an answer that rests on the size of an open axis."""
    name = where[0]
    dims = dims_of(graph, name)
    return ShapeError(
        f"the answer depends on the size of {label(graph, where)}, which the model leaves open"
        + (f"; at size 1: {found}" if found else ""),
        file=graph.file,
        remedy=f"give a size to every axis of --shape {name}={template(dims)}, in Python "
        f"shapes={{'{name}': ({template(dims)})}}",
    )
