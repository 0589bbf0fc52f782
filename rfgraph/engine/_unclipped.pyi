from rfgraph.engine._lowering import Lowering
from rfgraph.engine._waves import Digit, Waves

class Unclipped(Lowering):
    waves: Waves
    def __init__(self, like: Lowering) -> None: ...
    def one_digit(
        self, slot: int, digits: tuple[Digit, ...], axis: int, extent: int
    ) -> tuple[int, tuple[Digit, ...]]: ...
