from collections.abc import Callable
from mmap import mmap
from typing import TypeAlias, TypeVar

T = TypeVar("T")

Key: TypeAlias = tuple[bytes, int, int, tuple[int, ...]]

def split(
    content: bytes | mmap,
) -> tuple[bytes, list[tuple[str, int, tuple[int, ...], tuple[int, int], int, int]]]: ...
def nodes(
    content: bytes | mmap,
    make: Callable[[int, Key, tuple[str, ...], tuple[str, ...], str], T],
) -> list[T]: ...
def holdings(content: bytes) -> tuple[bool, bool]: ...
