"""Whether elements that read the same are bit for bit the same where their value has another size.

Sums of floats depend on their order. An operator's `Traits.rounding` says what the order rests on
in the CPU kernels of onnxruntime: measured in 1.27 and 1.32 on x86-64, see docs/tiling.md.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction
from math import inf, isqrt

# A product of matrices sums up to so many addends in their order; longer sums are split, by how
# many columns of the product are left for a thread, if these are no more than _COLUMNS. Threads
# share columns by _SHARED.
_ADDENDS, _COLUMNS, _SHARED = 128, 64, 16

# Channels that a blocked convolution takes at once, at most.
BLOCK = 16


@dataclass(frozen=True)
class Rounding:
    """What the order of sums rests on; by default nothing, so that equal reads give equal bits.

    Attributes
    ----------
    addends : int
        Those of one sum of a product of matrices; 0 if it is none.
    columns : int
        Those of the product, one for each place.
    is_blocked : bool
        Whether a kernel of one order takes its place if onnxruntime optimises all it can.
    reason : str
        Why there are differences by rounding whatever is done; ``""`` if there are none.
    is_moved : bool
        Whether, for that reason, other elements may be read.

    Examples
    --------
    >>> Rounding(addends=576, columns=1024).threads, Rounding(addends=27, columns=4).threads
    (6, inf)
    """

    addends: int = 0
    columns: int = 0
    is_blocked: bool = False
    reason: str = ""
    is_moved: bool = False

    @property
    def threads(self) -> float:
        """With how many threads at most sums are in one order, at any larger size too."""
        if self.addends <= 1:
            return inf
        if self.addends <= _ADDENDS:
            # A single column is multiplied otherwise.
            return inf if self.columns > 1 else 0
        # With n threads the last is left with at least columns / n - _SHARED * (n - 1).
        n = isqrt(max(self.columns, 0) // _SHARED) + 1
        while n and self.columns <= n * (_COLUMNS + _SHARED * (n - 1)):
            n -= 1
        return n


def steady(_: object, __: Collection[int]) -> Rounding:
    """The order of sums rests on no size of another axis."""
    return Rounding()


def at_ends(_: object, __: Collection[int]) -> Rounding:
    """Elements that fill no vector are computed by another function: where those are depends on the
    size, and on threads.
    """
    return Rounding(
        reason="the last elements of all, or of a thread, are computed otherwise than vectors are"
    )


def is_exact(scale: float, ratio: Fraction) -> bool:
    """Whether whole numbers divided by a scale of 32 bits are what they are divided by its ratio,
    as long as that has 24 bits.

    >>> is_exact(0.3333333432674408, Fraction(1, 3)), is_exact(1.1428571939468384, Fraction(8, 7))
    (True, False)
    """
    return abs(Fraction(scale) / ratio - 1) * (2**24 - 1) < Fraction(1, 2)


__all__ = ["BLOCK", "Rounding", "at_ends", "is_exact", "steady"]
