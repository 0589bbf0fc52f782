from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rfgraph.model._wire import Node

if TYPE_CHECKING:
    from rfgraph.reads.words import Read

class Step:
    node: Node
    reads: list[list[Read]]
    cycle: Any
    answer: Any
    def __init__(
        self, node: Node, reads: list[list[Read]], cycle: Any = None, answer: Any = None
    ) -> None: ...

def shaped(
    nodes: list[Node], at: int, known: dict[str, Any], unknown: Any, contents: dict[str, bytes]
) -> int: ...
def first_asked(
    node: Node, names: Sequence[str], live: set[str], known: dict[str, Any]
) -> Hashable: ...
def answered(
    nodes: list[Node],
    at: int,
    live: set[str],
    known: dict[str, Any],
    answers: dict[Any, Any],
    rules: Mapping[Any, Any],
    kind: type,
    steps: list[Step],
) -> int: ...
def unchanged(
    nodes: list[Node],
    at: int,
    before: list[Step],
    place: int,
    live: set[str],
    knowledge: Any,
    dead: set[str],
    steps: list[Step],
) -> tuple[int, int]: ...
def made_of(nodes: list[Node], name: str) -> set[str] | None: ...
def outputs_of(nodes: list[Node]) -> list[str] | None: ...
