from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from rfgraph.engine._lowering import Piece

NOTHING: int
ENDLESS: int
IRREGULAR: int
MAX_PERIOD: int

class Digit(Piece):
    last: bool
    bare: tuple[int, int, int, bool]
    def __init__(
        self,
        axis: int,
        inner: int,
        size: int,
        shift: int = 0,
        grows: bool = False,
        last: bool = True,
    ) -> None: ...

class Wave:
    periods: tuple[int, ...]
    advances: tuple[int, ...]
    is_loose: bool
    is_open: bool
    is_endless: bool

class Waves:
    def __init__(self) -> None: ...
    def __getitem__(self, number: int) -> Wave: ...
    def listed(
        self,
        periods: Sequence[int],
        advances: Sequence[int],
        firsts: Sequence[int],
        lasts: Sequence[int],
        is_loose: bool = False,
    ) -> int: ...
    def endless(self, is_loose: bool = False) -> int: ...
    def window(
        self,
        number: int,
        k: int,
        digits: tuple[Digit, ...],
        starts: Sequence[int],
        counts: Sequence[int],
        step: int,
        advance: int,
    ) -> tuple[int, tuple[Digit, ...]]: ...
    def values_of(
        self,
        number: int,
        k: int,
        digits: tuple[Digit, ...],
        starts: Sequence[int],
        counts: Sequence[int],
        step: int,
        sizes: Sequence[int],
    ) -> tuple[int, tuple[Digit, ...]]: ...
    def joined_over(
        self, number: int, k: int, digits: tuple[Digit, ...], values: Collection[int]
    ) -> tuple[int, tuple[Digit, ...]]: ...
    def opened(
        self, number: int, side: int, digits: tuple[Digit, ...]
    ) -> tuple[int, tuple[Digit, ...]]: ...
    def cut(self, number: int, k: int, size: int) -> int: ...
    def without_digit(self, number: int, k: int) -> int: ...
    def diagonal(
        self,
        number: int,
        places: Sequence[int],
        values: Sequence[np.ndarray],
        advance: int,
        digits: tuple[Digit, ...],
    ) -> tuple[int, tuple[Digit, ...]]: ...
    def shortest(
        self, number: int, own: tuple[Digit, ...], digits: tuple[Digit, ...]
    ) -> tuple[int, tuple[Digit, ...]]: ...
    def loose(self, number: int) -> int: ...
    def least(
        self,
        first: int,
        second: int,
        own: tuple[Digit, ...],
        other: tuple[Digit, ...],
        digits: tuple[Digit, ...],
    ) -> tuple[int, tuple[Digit, ...]] | None: ...
    def is_list(self, number: int, digits: tuple[Digit, ...]) -> bool: ...
    def slope(self, number: int, digits: tuple[Digit, ...]) -> Fraction: ...
    def figures(
        self, number: int, digits: tuple[Digit, ...], first: Mapping[int, int]
    ) -> tuple[Any, ...] | None: ...
    def at(self, number: int, values: Sequence[Sequence[int]]) -> tuple[list[int], list[int]]: ...

def extremes(size: int, period: int) -> Sequence[int]: ...
def ratio(numerator: Any, denominator: Any) -> Any: ...
