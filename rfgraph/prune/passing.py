"""How what is known of an operator's inputs passes to its outputs: what an operator says of itself.

`rfgraph.prune.learning` goes by it where constants cut reads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np

    from rfgraph.model.graph import Node

# What is known of all the elements of an input, which is one number; None: nothing.
Told: TypeAlias = "Callable[[int], Any]"

# Which single operands settle an element, whatever the others are: a 0 of a product; a 0 that is
# divided; a True; a term of a sum, or what is subtracted from, that is very low; the lowest; all,
# if all are low; a condition.
Settling: TypeAlias = Literal[
    "",
    "zero",
    "zero numerator",
    "truth",
    "low term",
    "low minuend",
    "lowest",
    "all low",
    "condition",
]


class Moves(NamedTuple):
    """Each output element is one input element, by the reads, or a number where nothing is read.

    Attributes
    ----------
    every : bool
        Whether all inputs are moved, and not the first alone.
    fill : callable or None
        Gives what stands where nothing is read, of a node, the type of its input 0 and what is
        known of its other inputs, by position, if that is one number; None where it is not known.
    steering : tuple of int or None
        The inputs that may not depend on the data; None: all that are not moved.
    """

    every: bool = False
    fill: Callable[[Node, np.dtype, Told], Any] | None = None
    steering: tuple[int, ...] | None = None


class Sums(NamedTuple):
    """A sum, or mean, of elements of input 0 or of their products with those of input 1: 0 where
    nothing is left to sum up, or nothing but zeros.

    Attributes
    ----------
    cut : bool
        Whether the reads of input 0 leave out its zeros already, or it has a zero point beside it.
    bias : int or None
        An input that is added, a vector along axis 1 of the output.
    """

    cut: bool = False
    bias: int | None = None


class Pointwise(NamedTuple):
    """Each output element is made of the input elements at its position, and of them alone.

    Attributes
    ----------
    settled_by : str
        Which single operands settle an element, see `Settling`.
    masked_by : str
        What decides, where it varies, whether an element is one that a mask made low: a factor
        that it is multiplied or compared with, or what chooses it.
    low : str
        What becomes of elements that are so low that their softmax is 0, of the only operand.
    """

    settled_by: Settling = ""
    masked_by: Literal["", "factor", "choice"] = ""
    low: Literal["", "stays", "vanishes"] = ""


class Drops(NamedTuple):
    """A dropout: what is 0 stays so, dropped or scaled; input 2 says whether it is in training."""


class SoftmaxWeights(NamedTuple):
    """A softmax of the sum of its inputs: what is masked gets a weight of 0.

    Attributes
    ----------
    axis : callable
        The axis of the rows, of a node and the number of its axes; None if there are several.
    """

    axis: Callable[[Node, int], int | None]


Passing: TypeAlias = Moves | Sums | Pointwise | Drops | SoftmaxWeights


def zeros_elsewhere(_: Node, kind: np.dtype, __: Told) -> Any:
    """The `fill` of an operator that puts zeros where it reads nothing."""
    return kind.type(0)
