from collections.abc import Callable, Hashable, Sequence
from fractions import Fraction
from typing import Any, TypeVar

from rfgraph.engine._lowering import AxisView, Likeness, Walk
from rfgraph.engine._waves import Digit
from rfgraph.engine.closed_form import AxisField, Meeting, Number
from rfgraph.engine.trace import Flow
from rfgraph.model.graph import Node
from rfgraph.reads.words import Shape

T = TypeVar("T")

View = tuple[AxisView, ...]
Sizes = tuple[Number, ...]

class Look:
    answers: dict[Hashable, Any]
    is_seen: bool | None

class ClosedForm:
    likeness: Likeness
    def __init__(self, flow: Flow, walk: Walk) -> None: ...
    def view(self, tensor: str, input: str) -> View | None: ...
    def look(self, tensor: str, input: str) -> Look: ...
    def numbered(
        self, tensors: list[str], input: str, sees: Callable[[str, str], bool]
    ) -> dict[str, int]: ...
    def alike(
        self, view: View, axis: int, extent: Shape, at: dict[int, int]
    ) -> tuple[Any, tuple[int, ...]]: ...
    def side_of(
        self,
        view: tuple[AxisView, ...],
        axis: int,
        extent: tuple[int, ...],
        *,
        local: bool,
        at: dict[int, int],
    ) -> AxisField | None: ...
    def span(
        self, tensor: str, input: str, axis: int, *, local: bool
    ) -> tuple[Number, Number] | None: ...
    def units_along(self, tensor: str, input: str, axis: int) -> int | None: ...
    def edges(self, tensor: str, input: str, axis: int) -> list[int]: ...
    def layout(self, view: View, axis: int, stride: Number) -> tuple[Digit, Fraction] | None: ...
    def meetings(self) -> list[tuple[str, str, Meeting]]: ...
    def each_once(
        self, numbers: dict[str, int], input: str, what: Hashable, make: Callable[[str], T]
    ) -> list[T]: ...
    def changes(
        self, numbers: dict[str, int], producer: dict[str, Node]
    ) -> list[tuple[str, list[str]]]: ...
    def shortest(
        self,
        numbers: dict[str, int],
        producer: dict[str, Node],
        closed: Sequence[tuple[Sizes, Sizes | None]],
        own_of: Callable[[str], Sizes],
        size_of: Callable[[str], Sizes],
    ) -> dict[str, Sizes]: ...
