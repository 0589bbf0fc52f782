from collections.abc import Callable, Mapping, Sequence
from mmap import mmap
from typing import Any, TypeAlias

import onnx

from rfgraph.model.graph import Body, Kind

Key: TypeAlias = tuple[bytes, int, int, tuple[int, ...]]

Span: TypeAlias = tuple[int, int]
Tensor: TypeAlias = tuple[str, int, tuple[int, ...], Span, Span | None, int]

class Node:
    name: str
    kind: Kind
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    captures: Sequence[str]
    opsets: Mapping[str, int]
    body: Body | None
    named: bool
    def __init__(
        self,
        name: str,
        kind: Kind,
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        captures: Sequence[str],
        opsets: Mapping[str, int],
        body: Body | None = None,
        named: bool = True,
    ) -> None: ...
    @property
    def op_type(self) -> str: ...
    @property
    def domain(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def attributes(self) -> Mapping[str, Any]: ...
    def attribute(self, name: str, default: Any = None) -> Any: ...
    @property
    def proto(self) -> onnx.NodeProto: ...

# Name, element type, sizes of a tensor, and the message of what is none.
Value: TypeAlias = tuple[str, int, tuple[int | str, ...] | None, bytes | None]

def split(content: bytes | mmap) -> tuple[bytes, list[Tensor]]: ...
def head(
    content: bytes,
) -> tuple[
    int,
    list[tuple[str, int]],
    bool,
    list[Value],
    list[Value],
    list[bytes],
    list[bytes],
    list[bytes],
]: ...
def value_info(content: bytes) -> Value: ...
def nodes(
    content: bytes | mmap,
    kinds: dict[Key, Kind],
    make: Callable[[Key, str], Kind],
    opsets: Mapping[str, int],
) -> list[Node]: ...
def properties(content: bytes | mmap, key: str) -> dict[str, str]: ...
def producers(
    nodes: list[Node], given: set[str]
) -> tuple[dict[str, Node], bool, tuple[Node, str] | None]: ...
def operator(content: bytes) -> tuple[str, str, bool, bool]: ...
def attributes(content: bytes) -> tuple[dict[str, Any], dict[str, bytes], dict[str, int]]: ...
def elements(content: bytes | mmap, begin: int, end: int, kind: int) -> bytearray | None: ...
def any_zero(
    content: bytes | bytearray | mmap, begin: int, end: int, width: int, is_float: bool
) -> bool: ...
