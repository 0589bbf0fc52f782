"""ONNX models without their weights: the graph is read, the contents of tensors stay behind.

A receptive field is a matter of structure, so a model of many gigabytes is read in the time
that its graph takes: `load` takes the file apart and remembers where the initializers lie.
`Weights` fetches the contents of one when it is asked for.
"""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, numpy_helper

from rfgraph import formats
from rfgraph._wire import nodes, split
from rfgraph.errors import MissingDataError, ModelError

if TYPE_CHECKING:
    from rfgraph._wire import Key, Node

Buffer = bytes | mmap.mmap

# Whole numbers up to this many bytes are checked at once: shapes, axes, indices and the like.
SMALL = 4096

# A sparse tensor with more elements than this is not written out.
MAX_DENSE = 1 << 26

_WEIGHTS = frozenset(
    {
        TensorProto.FLOAT,
        TensorProto.FLOAT16,
        TensorProto.BFLOAT16,
        TensorProto.DOUBLE,
    }
)

_NIBBLES = frozenset({TensorProto.INT4, TensorProto.UINT4, TensorProto.FLOAT4E2M1})

# Files from this many bytes on are mapped: what is not looked at is not read.
_MAP_FROM = 1 << 20

# Element types whose arrays are their raw data, on machines that store the low byte first.
_PLAIN = {
    int(kind): np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind))
    for kind in (
        *(TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BOOL),
        *(TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64),
        *(TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64),
    )
    if sys.byteorder == "little"
}


class _Entry(NamedTuple):
    """An initializer: where it lies in the file, or the message itself, and its raw data."""

    element_type: int
    shape: tuple[int, ...]
    source: tuple[int, int] | TensorProto
    raw: tuple[int, int] | None = None


class Weights:
    """The model's initializers by name; their contents are read only when asked for."""

    def __init__(self, buffer: Buffer | None, path: Path | None):
        self._buffer = buffer
        self._path = path
        self._dense: dict[str, _Entry] = {}
        self._types: dict[str, tuple[int, tuple[int, ...]]] | None = None
        self.sparse: dict[str, onnx.SparseTensorProto] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._dense or name in self.sparse

    def __iter__(self) -> Iterator[str]:
        """The names of the dense ones."""
        return iter(self._dense)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of the initializer `name`."""
        found = self._dense.get(name)
        return found.shape if found is not None else tuple(self.sparse[name].dims)

    def element_type(self, name: str) -> int:
        """``TensorProto.DataType`` of the initializer `name`."""
        found = self._dense.get(name)
        return found.element_type if found is not None else self.sparse[name].values.data_type

    def types(self) -> dict[str, tuple[int, tuple[int, ...]]]:
        """Element type and shape of each: a dict of one's own."""
        if self._types is None:
            self._types = {name: entry[:2] for name, entry in self._dense.items()}
            for name, sparse in self.sparse.items():
                self._types[name] = sparse.values.data_type, tuple(sparse.dims)
        return dict(self._types)

    def put(self, name: str, tensor: TensorProto) -> None:
        """Make `tensor` the initializer `name`."""
        self._dense[name] = _Entry(tensor.data_type, tuple(tensor.dims), tensor)
        self._types = None

    def drop(self, name: str) -> None:
        """Forget the initializer `name` if there is one."""
        self._dense.pop(name, None)
        self._types = None

    def copy(self) -> Weights:
        """The same initializers, to which others may be added."""
        other = Weights(self._buffer, self._path)
        other._dense, other.sparse = dict(self._dense), self.sparse
        return other

    def array(self, name: str) -> np.ndarray:
        """Contents of the initializer `name`.

        Raises
        ------
        ModelError
            The contents don't fit, or lie in a file that is missing, too short or outside the
            model's folder.
        """
        if name in self.sparse:
            return self.dense(self.sparse[name])
        kind, shape, source, raw = self._dense[name]
        if isinstance(source, tuple):
            assert self._buffer is not None
            if raw is not None:
                found = _plain(kind, shape, self._buffer[slice(*raw)])
                if found is not None:
                    return found
            try:
                source = TensorProto.FromString(bytes(self._buffer[slice(*source)]))
            except DecodeError as error:
                raise ModelError(
                    f"its contents can't be read: {error}",
                    file=str(self._path) if self._path else None,
                    node=f"tensor '{name}'",
                ) from None
        return self.to_array(source)

    def to_array(self, tensor: TensorProto) -> np.ndarray:
        """Contents of any tensor of the model, external ones too."""
        file = str(self._path) if self._path else None
        where = f"tensor '{tensor.name}'"
        if tensor.data_location == TensorProto.EXTERNAL:
            tensor = self._fetch(tensor, file, where)
        if tensor.HasField("raw_data"):
            found = _plain(tensor.data_type, tuple(tensor.dims), tensor.raw_data)
            if found is not None:
                return found
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

    def _fetch(self, tensor: TensorProto, file: str | None, where: str) -> TensorProto:
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
        fetched = TensorProto()
        fetched.CopyFrom(tensor)
        fetched.ClearField("external_data")
        fetched.data_location = TensorProto.DEFAULT
        fetched.raw_data = contents
        return fetched


def _plain(kind: int, shape: tuple[int, ...], raw: bytes) -> np.ndarray | None:
    """The array that raw data are; None where it takes more to tell."""
    plain = _PLAIN.get(kind)
    if plain is None or len(raw) != prod(shape) * plain.itemsize or min(shape, default=0) < 0:
        return None
    return np.frombuffer(raw, plain).reshape(shape)


def location_of(tensor: TensorProto) -> str:
    """Where the contents of a tensor lie that are not in the model: relative to its folder."""
    return next((e.value for e in tensor.external_data if e.key == "location"), "")


def _target(tensor: TensorProto, path: Path | None, where: str) -> Path:
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
    outside = [t for t in every if t.data_location == TensorProto.EXTERNAL]
    for tensor in outside:
        _target(tensor, path, f"tensor '{tensor.name}'")
    return proto, str(path.parent.resolve()) if path and outside else ""


def _graph_tensors(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)


def _node_tensors(nodes: Iterable[onnx.NodeProto]) -> Iterator[TensorProto]:
    """The tensors among the attributes of nodes, and in their subgraphs."""
    for node in nodes:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for graph in (attribute.g, *attribute.graphs):
                yield from _graph_tensors(graph)
                yield from _node_tensors(graph.node)


def _bytes(tensor: TensorProto) -> int:
    """How many bytes the contents of a tensor take; KeyError if its type is none."""
    elements: int = prod(tensor.dims)
    if tensor.data_type in _NIBBLES:
        return (elements + 1) // 2
    kind: np.dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    return elements * kind.itemsize


class Source(NamedTuple):
    """A model as it is read.

    Attributes
    ----------
    head : onnx.ModelProto
        The model without the nodes and initializers of its graph; a copy of one's own.
    weights : Weights
        The initializers of the main graph.
    tensors : list of str
        The names of the dense ones, as often as they are given.
    file : str or None
        The path, for messages.
    buffer : bytes-like
        What the nodes are read from.
    """

    head: onnx.ModelProto
    weights: Weights
    tensors: list[str]
    file: str | None
    buffer: Buffer

    def nodes(
        self, kinds: dict[Key, Any], make: Callable[[Key, str], Any], opsets: Mapping[str, int]
    ) -> list[Node]:
        """The nodes of the main graph: see `rfgraph._wire.nodes`.

        Raises
        ------
        ModelError
            A node can't be read.
        """
        try:
            return nodes(self.buffer, kinds, make, opsets)
        except (DecodeError, ValueError):
            path = None if self.file is None else Path(self.file)
            raise _no_model(self.buffer, path, _TRUNCATED) from None


_TRUNCATED = "not an ONNX model, or a truncated one"


def load(model: str | os.PathLike[str] | bytes | onnx.ModelProto) -> Source:
    """Take a model apart.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
        A ``ModelProto`` is left as it is.

    Raises
    ------
    ModelError
        No such file, or not an ONNX model.
    """
    file, path = None, None
    if isinstance(model, onnx.ModelProto):
        buffer: Buffer = light(model).SerializeToString()
    elif isinstance(model, bytes):
        buffer = model
    elif isinstance(model, (str, os.PathLike)):
        path = Path(model)
        file = str(path)
        buffer = _contents(path)
    else:
        raise ModelError(
            f"a model is a path, bytes or an onnx.ModelProto, not {type(model).__name__}"
        )
    try:
        light_head, tensors = split(buffer)
        head = onnx.ModelProto.FromString(light_head)
    except (DecodeError, ValueError):
        raise _no_model(buffer, path, _TRUNCATED) from None
    if not head.ir_version or not head.HasField("graph"):
        raise _no_model(buffer, path, "not an ONNX model")
    weights = Weights(buffer, path)
    weights.sparse = {s.values.name: s for s in head.graph.sparse_initializer}
    if isinstance(model, onnx.ModelProto):
        names = [tensor.name for tensor in model.graph.initializer]
        for tensor in model.graph.initializer:
            weights.put(tensor.name, tensor)
            if tensor.data_type == TensorProto.INT64 and tensor.HasField("raw_data"):
                outside = tensor.data_location == TensorProto.EXTERNAL
                if _is_suspect(tensor.dims, len(tensor.raw_data), outside):
                    weights.array(tensor.name)
    else:
        names = [name for name, *_ in tensors]
        for name, kind, shape, span, raw, location in tensors:
            outside = location == TensorProto.EXTERNAL
            weights._dense[name] = _Entry(kind, shape, span, None if outside else raw)
            size = -1 if raw is None else raw[1] - raw[0]
            if kind == TensorProto.INT64 and _is_suspect(shape, size, outside):
                weights.array(name)
    return Source(head, weights, names, file, buffer)


def _is_suspect(shape: Iterable[int], raw: int, outside: bool) -> bool:
    """Whether what is likely to be a shape or indices, whole numbers, is to be looked at at once:
    it has so many bytes of raw data, -1 if none, which don't fit, or are in another file.
    """
    size = 8 * prod(shape)
    return 0 <= size <= SMALL and raw >= 0 and (raw != size or outside)


def _contents(path: Path) -> Buffer:
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size < _MAP_FROM:
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


def light(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of `model` without the contents of its large initializers."""
    out = onnx.ModelProto()
    for field, value in model.ListFields():
        if field.name != "graph":
            _copy_field(out, field, value)
    if not model.HasField("graph"):
        return out
    out.graph.SetInParent()
    for field, value in model.graph.ListFields():
        if field.name != "initializer":
            _copy_field(out.graph, field, value)
    for tensor in model.graph.initializer:
        bare = out.graph.initializer.add()
        if 8 * prod(tensor.dims) <= SMALL:
            bare.CopyFrom(tensor)
            continue
        bare.name, bare.data_type = tensor.name, tensor.data_type
        bare.dims.extend(tensor.dims)
        bare.data_location = tensor.data_location
    return out


def _copy_field(target, field, value) -> None:  # type: ignore[no-untyped-def]
    if hasattr(value, "CopyFrom"):
        getattr(target, field.name).CopyFrom(value)
    elif hasattr(value, "__len__") and not isinstance(value, (str, bytes)):
        getattr(target, field.name).extend(value)
    else:
        setattr(target, field.name, value)
