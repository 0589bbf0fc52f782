"""Shapes, and sizes that the data decide: a name in place of a number.

How many boxes a detector keeps is not known before it runs, but that there are four coordinates to
each is. Such a size is an `UnknownSize`: it stands in a shape where a number would, is equal to
itself only, and nothing can be computed with it, so that no answer can rest on a number that it
does not have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn, cast

Shape = tuple[int, ...]
# A shape that a rule answers; None stands for a size that the data decide.
Sized = tuple[int | None, ...]

# Longer axes are refused: one array of bounds for such an axis would fill the memory.
MAX_AXIS = 1 << 24


class UnknownSizeError(Exception):
    """Raised where something is computed with a size that the data decide: an answer rather than
    an error, that never leaves rfgraph.
    """

    def __init__(self) -> None:
        super().__init__("it depends on a size that the data decide")


class UnknownSize:
    """A size that the data decide.

    Two sizes are the same only if they are the same object: the number of boxes that one node
    selects is that of their scores, if both are taken from the same selection.

    Parameters
    ----------
    name : str
        Tells it from the other ones of a graph.

    Examples
    --------
    >>> size = UnknownSize("boxes, axis 0")
    >>> size == size, size == 4
    (True, False)
    >>> try:
    ...     size + 1
    ... except UnknownSizeError as error:
    ...     print(error)
    it depends on a size that the data decide
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return "?"

    def _refuse(self, *_: Any) -> NoReturn:
        raise UnknownSizeError

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _refuse
    __floordiv__ = __rfloordiv__ = __truediv__ = __rtruediv__ = __mod__ = __rmod__ = _refuse
    __divmod__ = __rdivmod__ = __pow__ = __rpow__ = __neg__ = __pos__ = __abs__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __int__ = __index__ = __float__ = __bool__ = __round__ = __floor__ = __ceil__ = _refuse


def unknown(name: str) -> int:
    """A new `UnknownSize`, which counts as a whole number where only its place matters."""
    return cast(int, UnknownSize(name))


def is_unknown(size: object) -> bool:
    """Whether the data decide a size."""
    return isinstance(size, UnknownSize)


def name_of(size: int) -> str:
    """The name of an unknown size."""
    return cast(UnknownSize, size).name


def all_known(shape: Sequence[int]) -> bool:
    """Whether the data decide none of the sizes.

    >>> all_known((3, 4)), all_known((unknown("boxes"), 4))
    (True, False)
    """
    return not any(map(is_unknown, shape))


def nominal(shape: Shape) -> Shape:
    """The shape with 1 for sizes that the data decide: one place stands for all along them.

    >>> nominal((unknown("boxes"), 4))
    (1, 4)
    """
    return tuple([1 if is_unknown(size) else size for size in shape])


__all__ = [
    "MAX_AXIS",
    "Shape",
    "UnknownSize",
    "UnknownSizeError",
    "all_known",
    "is_unknown",
    "name_of",
    "nominal",
    "unknown",
]
