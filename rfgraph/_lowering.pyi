from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import overload

import numpy as np

from rfgraph._core import Program
from rfgraph.flow import Flow
from rfgraph.reads import Shape

class Piece:
    axis: int
    inner: int
    size: int
    shift: int
    grows: bool
    def __init__(
        self, axis: int, inner: int, size: int, shift: int = 0, grows: bool = False
    ) -> None: ...
    @overload
    def of(self, coordinate: int) -> int: ...
    @overload
    def of(self, coordinate: np.ndarray) -> np.ndarray: ...
    def is_whole(self, extent: int) -> bool: ...

class Factor:
    slot: int
    pieces: tuple[Piece, ...]

class Item(Factor):
    masks: tuple[Factor, ...]
    is_global: bool

class Chain:
    axis: int
    size: int
    parts: tuple[tuple[int, int, AxisView], ...]

class AxisView:
    items: tuple[Item | Chain, ...]

class Lowering:
    program: Program
    def __init__(self) -> None: ...

class Walk:
    views: dict[str, dict[str, tuple[AxisView, ...]]]
    def __init__(self, flow: Flow, lowering: Lowering) -> None: ...
    def run(
        self,
        progress: Callable[[int, int], None] | None = None,
        every: int = 1000,
        rounds: int = 256,
    ) -> None: ...

def digits_at(pieces: Sequence[Piece], coordinates: Mapping[int, np.ndarray]) -> np.ndarray: ...
def regrouped(pieces: Sequence[Piece], source: Shape, target: Shape) -> list[Piece] | None: ...
def leaves(
    view: AxisView, local: bool = False
) -> Iterator[tuple[Item, list[tuple[int, int, int, int]]]]: ...
