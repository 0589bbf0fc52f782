from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np

from rfgraph._core import Program
from rfgraph.engine.trace import Flow
from rfgraph.reads.words import AxisRead, Read, Shape

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

class Step:
    kind: int
    size: int
    outs: tuple[tuple[int, int], ...]
    shift: int | None
    is_statistic: bool
    read: AxisRead

class Plan:
    steps: dict[int, Step]
    places: int

class Move:
    source: Shape
    view: Shape
    permutation: tuple[int, ...]
    extent: Shape

SAME: int
FOLD: int
WINDOW: int

class Lowering:
    program: Program
    answers: dict[Hashable, Any]
    def __init__(self, like: Lowering | None = None) -> None: ...
    @property
    def size(self) -> int: ...
    def without_ends(self, make: Callable[[Lowering], Lowering]) -> Lowering: ...
    def seed(self, shape: Shape) -> tuple[AxisView, ...]: ...
    def everything(self, shape: Shape) -> tuple[AxisView, ...]: ...
    def view(self, items: tuple[Item | Chain, ...]) -> AxisView: ...
    def plan(self, steps: dict[int, Step]) -> Plan: ...
    def staying(self, out: int, size: int) -> Step: ...
    def zeros(self, size: int) -> int: ...
    def word(self, read: AxisRead, size: int, sizes: Shape) -> int: ...
    def both(self, a: AxisView, b: AxisView) -> AxisView | None: ...
    def merged(self, items: list[Item], extent: Shape | None) -> list[Item]: ...
    def holding_at_either(self, a: Item, b: Item) -> Item | None: ...
    def item(self, item: Item, how: Plan | Move) -> Item | None: ...

class Walk:
    lowering: Lowering
    views: dict[str, dict[str, tuple[AxisView, ...]]]
    def __init__(
        self,
        flow: Flow,
        lowering: Lowering,
        axes: Mapping[str, Sequence[int]] | None = None,
    ) -> None: ...
    def run(
        self,
        progress: Callable[[int, int], None] | None = None,
        every: int = 1000,
        rounds: int = 256,
    ) -> None: ...
    def seen(
        self, names: tuple[str, ...], reads: list[Read], extent: Shape | None
    ) -> dict[str, tuple[AxisView, ...]]: ...

def new_item(
    slot: int,
    pieces: tuple[Piece, ...],
    masks: tuple[Factor, ...] = (),
    is_global: bool = False,
) -> Item: ...
def digits_at(pieces: Sequence[Piece], coordinates: Mapping[int, np.ndarray]) -> np.ndarray: ...
def written(
    program: Program,
    factor: Factor,
    extent: Shape,
    at: Mapping[int, np.ndarray] | None = None,
) -> np.ndarray: ...
def leaves(
    view: AxisView, local: bool = False
) -> Iterator[tuple[Item, list[tuple[int, int, int, int]]]]: ...

class Likeness:
    def __init__(self) -> None: ...
    def of(self, view: AxisView) -> tuple[int, tuple[int, ...], bool, bool]: ...

def ascending(axes: Sequence[int]) -> tuple[int, ...]: ...
