"""Metadata beside the nodes and values of a file, of which all else stays as it is.

Weights are copied from where they lie, and no message is taken apart that holds none: a field of
protobuf is a number, a length and so many bytes, and may be copied without knowing what it means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import NamedTuple, TypeAlias

from rfgraph.model.weights import Buffer

Chunk: TypeAlias = bytes | memoryview

# Keys and texts for a "model", a "node" by the names of its outputs, or a "value" by its name.
Told: TypeAlias = Callable[[str, tuple[str, ...]], Mapping[str, str]]


class _Kind(NamedTuple):
    """What is looked at in a message: field numbers of onnx.proto."""

    inner: Mapping[int, str]
    name: int = 0
    metadata: int = 0


_KINDS = {
    "model": _Kind({7: "graph"}, metadata=14),
    "graph": _Kind({1: "node", 11: "value", 12: "value", 13: "value"}),
    # It is known by what it writes.
    "node": _Kind({5: "attribute"}, name=2, metadata=9),
    "value": _Kind({}, name=1, metadata=4),
    "attribute": _Kind({6: "graph", 11: "graph"}),
}

# Of `StringStringEntryProto`.
_KEY, _VALUE = 1, 2

_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5


def with_metadata(buffer: Buffer, prefix: str, told: Told) -> list[Chunk]:
    """A file with metadata on its nodes and values, and on itself.

    Parameters
    ----------
    buffer : bytes or mmap
        The file, a ``ModelProto``.
    prefix : str
        What the keys begin with: entries that were there under such keys go.
    told : callable
        What to tell: see `Told`.

    Returns
    -------
    list of bytes-like
        What to write, one after the other. What is as it was are views of `buffer`.

    Raises
    ------
    ValueError
        That is no such message.
    """
    view = memoryview(buffer)
    return list(_rewritten(view, 0, len(view), "model", prefix.encode(), told))


def _rewritten(
    view: memoryview,
    begin: int,
    end: int,
    kind: str,
    prefix: bytes,
    told: Told,
) -> Iterator[Chunk]:
    inner, name, metadata = _KINDS[kind]
    names: list[str] = []
    kept = begin
    for number, start, body, stop in _fields(view, begin, end):
        if number in inner:
            chunks = list(_rewritten(view, body, stop, inner[number], prefix, told))
            if len(chunks) == 1 and len(chunks[0]) == stop - body:
                # Nothing was added.
                continue
            yield view[kept:start]
            yield _head(number, sum(map(len, chunks)))
            yield from chunks
            kept = stop
        elif number == name:
            names.append(str(view[body:stop], "utf-8", "surrogateescape"))
        elif number == metadata and _key(view, body, stop).startswith(prefix):
            yield view[kept:start]
            kept = stop
    yield view[kept:end]
    if metadata:
        for key, text in told(kind, tuple(names)).items():
            yield _entry(metadata, key, text)


def _fields(view: memoryview, begin: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """The fields of a message: number, and where field, content and what follows begin."""
    at = begin
    while at < end:
        start = at
        tag, at = _varint(view, at, end)
        body = at
        wire = tag & 7
        if wire == _VARINT:
            _, at = _varint(view, at, end)
        elif wire == _BYTES:
            length, body = _varint(view, at, end)
            at = body + length
        elif wire in (_FIXED_32, _FIXED_64):
            at += 4 if wire == _FIXED_32 else 8
        else:
            raise ValueError(f"field {tag >> 3} at byte {start} is of the unknown type {wire}")
        if at > end:
            raise ValueError(f"field {tag >> 3} at byte {start} ends behind its message")
        yield tag >> 3, start, body, at


def _varint(view: memoryview, at: int, end: int) -> tuple[int, int]:
    """A number, and where it ends."""
    value = shift = 0
    while at < end and shift < 70:
        byte = view[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise ValueError(f"the number before byte {at} has no end")


def _key(view: memoryview, begin: int, end: int) -> bytes:
    for number, _, body, stop in _fields(view, begin, end):
        if number == _KEY:
            return bytes(view[body:stop])
    return b""


def _entry(number: int, key: str, text: str) -> bytes:
    pairs = ((_KEY, key), (_VALUE, text))
    encoded = [(k, s.encode("utf-8", "backslashreplace")) for k, s in pairs]
    content = b"".join(chain.from_iterable((_head(k, len(s)), s) for k, s in encoded))
    return _head(number, len(content)) + content


def _head(number: int, length: int) -> bytes:
    """What stands before the content of a field."""
    return _written(number << 3 | _BYTES) + _written(length)


def _written(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)
