"""How rules for shapes are written: what they are given, and words that they share.

A rule takes what nodes have in common, the shapes of its inputs and, of the inputs that steer the
shape, the values. What it raises means that it has no answer: ONNX's own inference is asked then,
which also finds the words for inputs that don't fit. Where that inference is wrong,
`ShapeRule.instead` says so and the rule has the last word.

Source: https://onnx.ai/onnx/operators/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import inf, prod
from typing import NamedTuple, TypeAlias

import numpy as np

from rfgraph.model.graph import Kind
from rfgraph.model.signatures import signature
from rfgraph.model.sizes import Shape

# Of each input; an input that is left out has the shape ().
Extents: TypeAlias = Sequence[Shape]
# Of the inputs that steer, in the order in which a rule names them; None for one left out.
Steering: TypeAlias = Sequence[np.ndarray | None]
# The shape of all outputs, or of each.
OutputShapes: TypeAlias = "Shape | list[Shape]"


class NoAnswer(Exception):  # noqa: N818 - an answer, not an error: it never leaves rfgraph
    """Raised by a rule that has none."""


class Wrong(Exception):  # noqa: N818 - told by `rfgraph.shapes` as the error of a node
    """Raised by a rule for a node that no runtime runs on inputs of such sizes; it says why.

    ONNX's own inference is not asked: it says so in other words, and of some it ends the process.
    """


class ShapeRule(NamedTuple):
    """How the outputs of an operator follow from its inputs.

    Attributes
    ----------
    shape : callable
        Gives the shape of the outputs.
    steering : tuple of int
        The inputs whose values the shape depends on.
    element : callable or None
        Gives the element type of the outputs from those of the inputs, where ONNX's definition of
        the operator does not tell it.
    instead : callable or None
        Whether ONNX's own inference is wrong about nodes of a kind, or knows nothing.
    """

    shape: Callable[[Kind, Extents, Steering], OutputShapes]
    steering: tuple[int, ...] = ()
    element: Callable[[Kind, Sequence[int]], int] | None = None
    instead: Callable[[Kind], bool] | None = None


class Applied(NamedTuple):
    """The rule for nodes of one kind.

    Attributes
    ----------
    rule : ShapeRule
        The rule.
    instead : bool
        Whether it has the last word.
    elements : list of (int, int)
        For each output its element type, or else 0 and the input that has the same one.
    """

    rule: ShapeRule
    instead: bool
    elements: list[tuple[int, int]]


def element_type(kind: Kind, types: Sequence[int], position: int) -> int:
    """The element type of an output by ONNX's definition and the types of the inputs; 0 where
    these don't tell it.
    """
    found = signature(kind.domain, kind.op_type, kind.version)
    alone, like = (0, -1) if found is None else found.element(position)
    return alone or (types[like] if 0 <= like < len(types) else 0)


def need(fits: object) -> None:
    """Give no answer unless something fits."""
    if not fits:
        raise NoAnswer


def axis_in(axis: int, rank: int) -> int:
    """An axis, which may count from the end, as a number from 0 on; no answer if there is none."""
    need(-rank <= axis < rank)
    return axis % rank


def integers(value: np.ndarray | None) -> list[int]:
    """A vector of whole numbers, or one alone."""
    if value is None or value.dtype.kind not in "iu" or value.ndim > 1:
        raise NoAnswer
    found: list[int] = value.reshape(-1).tolist()
    return found


def axes_given(kind: Kind, given: np.ndarray | None) -> list[int] | None:
    """Axes that are an attribute or, in later versions, an input."""
    axes: list[int] | None = kind.attribute("axes") if given is None else integers(given)
    # To count from the end is allowed since version 11.
    need(not axes or min(axes) >= 0 or kind.version >= 11)
    return axes


def unchanged(kind: Kind, shapes: Extents, _: Steering) -> Shape:
    """The shape of input 0."""
    return shapes[0]


def broadcast(shapes: Iterable[Shape]) -> Shape:
    """The shape that some shapes are broadcast to."""
    first, *others = shapes
    for other in others:
        if first == other or not other:
            continue
        rank = max(len(first), len(other))
        a = (1,) * (rank - len(first)) + first
        b = (1,) * (rank - len(other)) + other
        made = []
        for n, m in zip(a, b, strict=True):
            need(n == m or n == 1 or m == 1)
            made.append(m if n == 1 else n)
        first = tuple(made)
    return first


def always(kind: Kind) -> bool:
    """Of every kind of node."""
    return True


# ---------------------------------------------------------------- sizes that the data decide


class AxisCut(NamedTuple):
    """Where the axes of input 0 are cut, padded or resized, as far as the data don't decide.

    Attributes
    ----------
    steering : tuple of int
        The inputs that say it.
    axis : int or None
        The axis where an attribute ``axis`` is left out, of an operator that has one.
    axes : int or None
        The input that names the axes.
    sizes : int or None
        The input that has the sizes of the output.
    """

    steering: tuple[int, ...]
    axis: int | None = None
    axes: int | None = None
    sizes: int | None = None


# How many elements an output has, by the inputs, which are known.
Growth: TypeAlias = "Callable[[Sequence[np.ndarray]], float]"


def by_sizes(inputs: Sequence[np.ndarray]) -> float:
    """Any of the whole numbers among the inputs may be a size."""
    whole = [value for value in inputs if value.dtype.kind in "iu"]
    return _grown(inputs, whole)


def by_last(inputs: Sequence[np.ndarray]) -> float:
    """The last input has the sizes."""
    return _grown(inputs, [value for value in inputs[-1:] if value.dtype.kind in "iu"])


# Inputs with more whole numbers than this are not sizes.
_MAX_SIZES = 1024


def _grown(inputs: Sequence[np.ndarray], whole: Sequence[np.ndarray]) -> float:
    if not whole or sum(value.size for value in whole) > _MAX_SIZES:
        return inf
    total = prod(max(abs(n), 1) for value in whole for n in value.reshape(-1).tolist())
    return float(total) * max(inputs[0].size, 1)
