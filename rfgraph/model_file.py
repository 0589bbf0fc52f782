"""ONNX models without their weights: the graph is parsed, the bulk of the tensors stays behind.

A receptive field is a matter of structure, so a model of many gigabytes is read in the time
that its graph takes: `load` walks the protobuf wire format, leaves out the contents of every
large initializer and remembers where they lie. `Weights` fetches one when it is asked for.

Sources: the protobuf encoding (https://protobuf.dev/programming-guides/encoding/) and the field
numbers in onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Iterator
from math import prod
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from rfgraph import formats
from rfgraph.errors import MissingDataError, ModelError

Buffer = bytes | mmap.mmap

# Tensors up to this many bytes are parsed with the graph: shapes, axes, indices and the like.
SMALL = 4096

# A sparse tensor with more elements than this is not written out.
MAX_DENSE = 1 << 26

_WEIGHTS = frozenset(
    {
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.FLOAT16,
        onnx.TensorProto.BFLOAT16,
        onnx.TensorProto.DOUBLE,
    }
)

_NIBBLES = frozenset({onnx.TensorProto.INT4, onnx.TensorProto.UINT4, onnx.TensorProto.FLOAT4E2M1})

# Files up to this many bytes are parsed whole: that is faster than walking them.
_WALK_FROM = 1 << 20

# Tags: the field's number, and that its content is delimited.
_MODEL_GRAPH = 7 << 3 | 2
_GRAPH_INITIALIZER = 5 << 3 | 2
# float_data, int32_data, string_data, int64_data, raw_data, double_data, uint64_data
_TENSOR_CONTENTS = frozenset({4, 5, 6, 7, 9, 10, 11})
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class Weights:
    """The model's initializers by name; their contents are read only when asked for."""

    def __init__(self, buffer: Buffer | None, spans: dict[str, tuple[int, int]], path: Path | None):
        self._buffer = buffer
        self._spans = spans
        self._path = path
        self.tensors: dict[str, onnx.TensorProto] = {}
        self.sparse: dict[str, onnx.SparseTensorProto] = {}

    def __contains__(self, name: str) -> bool:
        return name in self.tensors or name in self.sparse

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of the initializer `name`."""
        found = self.tensors[name] if name in self.tensors else self.sparse[name]
        return tuple(found.dims)

    def element_type(self, name: str) -> int:
        """``TensorProto.DataType`` of the initializer `name`."""
        if name in self.tensors:
            return self.tensors[name].data_type
        return self.sparse[name].values.data_type

    def array(self, name: str) -> np.ndarray:
        """Contents of the initializer `name`.

        Raises
        ------
        ModelError
            The contents lie in a file that is missing, too short or outside the model's folder.
        """
        if name in self.sparse:
            return self.dense(self.sparse[name])
        tensor = self.tensors[name]
        if name in self._spans and self._buffer is not None:
            begin, end = self._spans[name]
            tensor = onnx.TensorProto.FromString(bytes(self._buffer[begin:end]))
        return self.to_array(tensor)

    def to_array(self, tensor: onnx.TensorProto) -> np.ndarray:
        """Contents of any tensor of the model, external ones too."""
        file = str(self._path) if self._path else None
        where = f"tensor '{tensor.name}'"
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            tensor = self._fetch(tensor, file, where)
        try:
            size = _bytes(tensor)
            if tensor.HasField("raw_data") and len(tensor.raw_data) != size:
                raise ValueError(f"{len(tensor.raw_data)} bytes for {size}")
            return numpy_helper.to_array(tensor)
        except (ValueError, TypeError, KeyError) as error:
            raise ModelError(
                f"its contents don't fit its type and shape {tuple(tensor.dims)}: {error}",
                file=file,
                node=where,
            ) from None

    def dense(self, sparse: onnx.SparseTensorProto) -> np.ndarray:
        """A sparse tensor written out; indices may be linear or one row an element."""
        values, indices = self.to_array(sparse.values), self.to_array(sparse.indices)
        shape = tuple(sparse.dims)
        try:
            if prod(shape) > MAX_DENSE or min(shape, default=0) < 0:
                raise ValueError(f"it has the shape {shape}")
            out = np.zeros(shape, dtype=values.dtype)
            if indices.ndim == 2:
                out[tuple(indices.T)] = values
            else:
                out.reshape(-1)[indices] = values
        except (ValueError, IndexError) as error:
            raise ModelError(
                f"it can't be written out: {error}",
                file=str(self._path) if self._path else None,
                node=f"sparse tensor '{sparse.values.name}'",
            ) from None
        return out

    def _fetch(self, tensor: onnx.TensorProto, file: str | None, where: str) -> onnx.TensorProto:
        location = location_of(tensor)
        entries = {entry.key: entry.value for entry in tensor.external_data}
        try:
            size = _bytes(tensor)
            target = _target(tensor, self._path, where)
            if not target.is_file():
                raise ValueError("it is no file")
            offset, length = int(entries.get("offset", 0)), int(entries.get("length", size))
            if length != size or offset < 0 or offset + size > target.stat().st_size:
                raise ValueError(f"{size} bytes at {offset} are wanted")
            with target.open("rb") as stream:
                stream.seek(offset)
                contents = stream.read(size)
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(
                f"its data in '{location}' can't be read: {error}",
                file=file,
                node=where,
                remedy="put the data file beside the model",
            ) from None
        fetched = onnx.TensorProto()
        fetched.CopyFrom(tensor)
        fetched.ClearField("external_data")
        fetched.data_location = onnx.TensorProto.DEFAULT
        fetched.raw_data = contents
        return fetched


def location_of(tensor: onnx.TensorProto) -> str:
    """Where the contents of a tensor lie that are not in the model: relative to its folder."""
    return next((e.value for e in tensor.external_data if e.key == "location"), "")


def _target(tensor: onnx.TensorProto, path: Path | None, where: str) -> Path:
    """The file that a tensor's contents lie in, which is there, inside the model's folder."""
    location = location_of(tensor)
    # Weights are numbers with a fraction; integers are shapes and indices, which count.
    missing = MissingDataError if tensor.data_type in _WEIGHTS else ModelError
    if path is None:
        raise missing(
            f"its data lies in '{location}', and a model given as bytes has no folder",
            node=where,
            remedy="give the model's path",
        )
    folder = path.parent.resolve()
    target = (folder / location).resolve()
    if not location or not target.is_relative_to(folder):
        raise ModelError(
            f"its data lies in '{location}', outside the model's folder",
            file=str(path),
            node=where,
        )
    if not target.exists():
        raise missing(
            f"its data in '{location}' can't be read: there is no such file",
            file=str(path),
            node=where,
            remedy="put the data file beside the model",
        )
    return target


def whole(model: str | os.PathLike[str] | bytes | onnx.ModelProto) -> tuple[onnx.ModelProto, str]:
    """A model with its weights, to be run; one that `load` accepts.

    Returns
    -------
    model : onnx.ModelProto
        A copy of one's own. External data stays where it is.
    folder : str
        The folder that external data is relative to; ``""`` if there is none.

    Raises
    ------
    ModelError
        External data is missing, or lies outside the model's folder.
    """
    path = None
    if isinstance(model, onnx.ModelProto):
        proto = onnx.ModelProto()
        proto.CopyFrom(model)
    elif isinstance(model, bytes):
        proto = onnx.ModelProto.FromString(model)
    else:
        path = Path(model)
        proto = onnx.load(path, load_external_data=False)
    bodies = [proto.graph.node, *(function.node for function in proto.functions)]
    every = [*_graph_tensors(proto.graph), *(t for body in bodies for t in _node_tensors(body))]
    outside = [t for t in every if t.data_location == onnx.TensorProto.EXTERNAL]
    for tensor in outside:
        _target(tensor, path, f"tensor '{tensor.name}'")
    return proto, str(path.parent.resolve()) if path and outside else ""


def _graph_tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)


def _node_tensors(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    """The tensors among the attributes of nodes, and in their subgraphs."""
    for node in nodes:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for graph in (attribute.g, *attribute.graphs):
                yield from _graph_tensors(graph)
                yield from _node_tensors(graph.node)


def _bytes(tensor: onnx.TensorProto) -> int:
    """How many bytes the contents of a tensor take; KeyError if its type is none."""
    elements: int = prod(tensor.dims)
    if tensor.data_type in _NIBBLES:
        return (elements + 1) // 2
    kind: np.dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    return elements * kind.itemsize


def load(
    model: str | os.PathLike[str] | bytes | onnx.ModelProto,
) -> tuple[onnx.ModelProto, Weights, str | None]:
    """A model's graph without the contents of its large initializers.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
        A ``ModelProto`` is left as it is.

    Returns
    -------
    model : onnx.ModelProto
        A copy of one's own.
    weights : Weights
        The initializers of the main graph.
    file : str or None
        The path, for messages.

    Raises
    ------
    ModelError
        No such file, or not an ONNX model.
    """
    file, path = None, None
    buffer: Buffer | None = None
    spans: dict[str, tuple[int, int]] = {}
    if isinstance(model, onnx.ModelProto):
        proto = _light_copy(model)
        originals = model.graph.initializer
    else:
        if isinstance(model, bytes):
            buffer = model
        elif isinstance(model, (str, os.PathLike)):
            path = Path(model)
            file = str(path)
            buffer = _contents(path)
        else:
            raise ModelError(
                f"a model is a path, bytes or an onnx.ModelProto, not {type(model).__name__}"
            )
        proto, spans = _parse(buffer, path)
        originals = proto.graph.initializer
    if not proto.ir_version or not proto.HasField("graph"):
        raise _no_model(buffer, path, "not an ONNX model")
    weights = Weights(buffer, spans, path)
    for tensor in originals:
        weights.tensors[tensor.name] = tensor
        # Integers are likely to be a shape or indices: they are checked at once.
        if (
            tensor.data_type == onnx.TensorProto.INT64
            and 8 * prod(tensor.dims) <= SMALL
            and tensor.HasField("raw_data")
        ):
            weights.to_array(tensor)
    weights.sparse = {s.values.name: s for s in proto.graph.sparse_initializer}
    return proto, weights, file


def _contents(path: Path) -> Buffer:
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size < _WALK_FROM:
                return stream.read()
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except IsADirectoryError:
        what, remedy = formats.folder(path)
        raise ModelError(what, file=str(path), remedy=remedy) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ModelError(reason, file=str(path), remedy="check the path") from None


def _no_model(buffer: Buffer | None, path: Path | None, otherwise: str) -> ModelError:
    """The error for what is no model: what it is instead, where that can be told."""
    known = formats.recognised(path, bytes(buffer[:512])) if buffer is not None else None
    what, remedy = otherwise, "export or download it again"
    if known is not None:
        what, remedy = f"not an ONNX model but {known[0]}", known[1]
    return ModelError(what, file=str(path) if path else None, remedy=remedy)


def _parse(buffer: Buffer, path: Path | None) -> tuple[onnx.ModelProto, dict[str, tuple[int, int]]]:
    try:
        if len(buffer) < _WALK_FROM:
            return onnx.ModelProto.FromString(bytes(buffer)), {}
        light, spans = _without_contents(buffer)
        proto = onnx.ModelProto.FromString(light)
    except (DecodeError, IndexError):
        raise _no_model(buffer, path, "not an ONNX model, or a truncated one") from None
    # The walk met the initializers in the order in which the parser lists them.
    named = {}
    for tensor, span in zip(proto.graph.initializer, spans, strict=True):
        if span is not None:
            named[tensor.name] = span
    return proto, named


def _varint(buffer: Buffer, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = buffer[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise DecodeError("varint too long")


def _fields(buffer: Buffer, at: int, end: int):  # type: ignore[no-untyped-def]
    """Yield (tag, begin, content's begin, end) for each field of the message in a slice."""
    while at < end:
        begin = at
        tag, at = _varint(buffer, at)
        kind = tag & 7
        content = at
        if kind == _BYTES:
            length, content = _varint(buffer, at)
            at = content + length
        elif kind == _VARINT:
            _, at = _varint(buffer, at)
        elif kind == _FIXED64:
            at += 8
        elif kind == _FIXED32:
            at += 4
        else:
            raise DecodeError(f"wire type {kind}")
        if at > end:
            raise DecodeError("truncated")
        yield tag, begin, content, at


def _delimited(tag: int, content: bytes) -> bytes:
    out = bytearray()
    for value in (tag, len(content)):
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        out.append(value)
    return bytes(out) + content


def _without_contents(buffer: Buffer) -> tuple[bytes, list[tuple[int, int] | None]]:
    model: list[bytes] = []
    spans: list[tuple[int, int] | None] = []
    for outer, begin, content, end in _fields(buffer, 0, len(buffer)):
        if outer != _MODEL_GRAPH:
            model.append(buffer[begin:end])
            continue
        graph: list[bytes] = []
        for inner, inner_begin, inner_content, inner_end in _fields(buffer, content, end):
            if inner != _GRAPH_INITIALIZER:
                graph.append(buffer[inner_begin:inner_end])
            elif inner_end - inner_content <= SMALL:
                spans.append(None)
                graph.append(buffer[inner_begin:inner_end])
            else:
                spans.append((inner_content, inner_end))
                tensor = [
                    buffer[b:e]
                    for tag, b, _, e in _fields(buffer, inner_content, inner_end)
                    if tag >> 3 not in _TENSOR_CONTENTS
                ]
                graph.append(_delimited(_GRAPH_INITIALIZER, b"".join(tensor)))
        model.append(_delimited(_MODEL_GRAPH, b"".join(graph)))
    return b"".join(model), spans


def _light_copy(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model` without the contents of its large initializers."""
    out = onnx.ModelProto()
    for field, value in model.ListFields():
        if field.name != "graph":
            _copy_field(out, field, value)
    if not model.HasField("graph"):
        return out
    for field, value in model.graph.ListFields():
        if field.name != "initializer":
            _copy_field(out.graph, field, value)
    for tensor in model.graph.initializer:
        light = out.graph.initializer.add()
        if 8 * prod(tensor.dims) <= SMALL:
            light.CopyFrom(tensor)
        else:
            light.name, light.data_type = tensor.name, tensor.data_type
            light.dims.extend(tensor.dims)
            light.data_location = tensor.data_location
    return out


def _copy_field(target, field, value) -> None:  # type: ignore[no-untyped-def]
    if hasattr(value, "CopyFrom"):
        getattr(target, field.name).CopyFrom(value)
    elif hasattr(value, "__len__") and not isinstance(value, (str, bytes)):
        getattr(target, field.name).extend(value)
    else:
        setattr(target, field.name, value)
