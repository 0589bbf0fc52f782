from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from rfgraph.engine.trace import Flow
from rfgraph.reads.words import Read, Shape

_Region = TypeVar("_Region")

class Memory(Generic[_Region]):
    def __init__(
        self,
        pulled_back: Callable[[_Region, Read, Shape | None, Shape | None], _Region],
        union: Callable[[_Region, _Region, Shape | None], _Region],
        canonical: Callable[[_Region], _Region],
    ) -> None: ...
    def __len__(self) -> int: ...
    def derivations(self, flow: Flow) -> dict[str, int]: ...

class Backward(Generic[_Region]):
    def __init__(
        self, flow: Flow, wanted: Mapping[str, _Region], memory: Memory[_Region]
    ) -> None: ...
    def run(self) -> dict[str, _Region]: ...

def marked(
    outputs: bytes | None,
    many: int,
    starts: tuple[int, ...],
    counts: tuple[int, ...],
    advance: int,
    step: int,
    begin: int,
    end: int,
    size: int,
) -> tuple[bytearray, int]: ...
