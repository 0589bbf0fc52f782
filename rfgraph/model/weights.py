"""The contents of tensors, which stay where they are until somebody asks for them."""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Iterable, Iterator
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from rfgraph.errors import MissingDataError, ModelError
from rfgraph.model import element_types
from rfgraph.model._wire import any_zero, elements

if TYPE_CHECKING:
    import onnx
    from onnx import TensorProto

    from rfgraph.model._wire import Tensor as Told

Buffer = bytes | mmap.mmap

# Any message of ONNX.
Message = TypeVar("Message", bound=Any)

# Integer tensors of up to this many bytes are checked at once: they are shapes, axes or indices.
SMALL = 4096

# The bytes of values that steer shapes are at hand up to so many of each.
AT_HAND = 256

# A sparse tensor with more elements than this is not written out.
MAX_DENSE = 1 << 26

_WEIGHTS = frozenset(
    {
        element_types.FLOAT,
        element_types.FLOAT16,
        element_types.BFLOAT16,
        element_types.DOUBLE,
    }
)

_NIBBLES = frozenset({element_types.INT4, element_types.UINT4, element_types.FLOAT4E2M1})

# Where the contents of a tensor lie: ``TensorProto.EXTERNAL``.
EXTERNAL = 1

# Files from this many bytes on are mapped into memory, so that only what is used is read.
MAP_FROM = 1 << 20

# Files beside a model are mapped up to this many bytes: there may be little room for addresses.
_MAP_UP_TO = 1 << 28

# Element types whose raw data numpy reads as they are. ONNX stores the low byte first, as most
# machines do; on others there are none.
_PLAIN = element_types.DTYPES if sys.byteorder == "little" else {}

# Raw data of up to so many bytes are looked through for a zero as they stand in the file; numpy is
# faster for what is larger.
_SEARCHED = 1 << 16


# Of messages of up to so many bytes the elements are read here; for what is longer protobuf's own
# library is faster.
_LISTED = 1 << 12

# What is found out of initializers of up to so many elements is kept as long as the model.
_SHARED = 1 << 20


# Elements that are looked at together for zeros, and so few that they are counted in less time.
_TOGETHER = 1 << 16
_FEW = 1 << 10


class UndecodableError(ValueError):
    """Raised where a message of ONNX is to be read that is none."""


def merged(message: Message, content: bytes) -> Message:
    """A message of ONNX with what `content` says, by protobuf's own library.

    Raises
    ------
    UndecodableError
        That is no such message.
    """
    from google.protobuf.message import DecodeError

    try:
        message.MergeFromString(content)
    except DecodeError as error:
        raise UndecodableError(str(error)) from None
    return message


class Tensor(NamedTuple):
    """A tensor of the model, whose contents stay where they are.

    Attributes
    ----------
    element_type : int
        ``TensorProto.DataType`` of its elements.
    shape : tuple of int
        Its shape.
    name : str
        Its name.
    source : bytes-like, or onnx.TensorProto
        What it is read from, or the message itself.
    span : (int, int)
        Where the message begins and ends in what it is read from; there is none where that is but
        the raw data.
    raw : (int, int) or None
        Where its raw data do, if it has any there.
    is_external : bool
        Whether its contents lie in another file.
    """

    element_type: int
    shape: tuple[int, ...]
    name: str
    source: Buffer | TensorProto
    span: tuple[int, int] = (0, 0)
    raw: tuple[int, int] | None = None
    is_external: bool = False

    @classmethod
    def read(cls, told: Told, buffer: Buffer) -> Tensor:
        """What `rfgraph.model._wire.split` tells of a tensor in `buffer`."""
        name, kind, shape, span, raw, location = told
        return cls(kind, shape, name, buffer, span, raw, location == EXTERNAL)

    @classmethod
    def of(cls, proto: TensorProto) -> Tensor:
        """A message."""
        external = proto.data_location == EXTERNAL
        return cls(proto.data_type, tuple(proto.dims), proto.name, proto, is_external=external)

    @classmethod
    def of_array(cls, array: np.ndarray, name: str) -> Tensor:
        """An array."""
        kind = element_types.element_type_of(array.dtype)
        if kind in _PLAIN:
            data = array.tobytes()
            return cls(kind, array.shape, name, data, raw=(0, len(data)))
        from onnx import numpy_helper

        return cls.of(numpy_helper.from_array(array, name))

    @property
    def raw_size(self) -> int:
        """How many bytes of raw data there are; -1 if none."""
        if not isinstance(self.source, Buffer):
            return len(self.source.raw_data) if self.source.HasField("raw_data") else -1
        return -1 if self.raw is None else self.raw[1] - self.raw[0]

    @property
    def proto(self) -> TensorProto:
        """The message.

        Raises
        ------
        UndecodableError
            It is none.
        """
        if not isinstance(self.source, Buffer):
            return self.source
        from onnx import TensorProto

        return merged(TensorProto(), bytes(self.source[slice(*self.span)]))

    def array(self) -> np.ndarray:
        """The contents, which don't lie in another file.

        Raises
        ------
        ValueError, TypeError, KeyError
            They don't fit type and shape.
        """
        if self.raw is not None:
            assert isinstance(self.source, Buffer)
            # What is mapped is not copied.
            data = memoryview(self.source)[slice(*self.raw)]
            found = _plain(self.element_type, self.shape, data)
            if found is not None:
                return found
        elif isinstance(self.source, Buffer):
            listed = _listed(self.element_type, self.source, self.span)
            found = None if listed is None else _plain(self.element_type, self.shape, listed)
            if found is not None:
                return found
        proto = self.proto
        if proto.HasField("raw_data"):
            found = _plain(proto.data_type, self.shape, proto.raw_data)
            if found is not None:
                return found
            size = _bytes(proto)
            if len(proto.raw_data) != size:
                raise ValueError(f"it has {len(proto.raw_data)} bytes, and needs {size}")
        from onnx import numpy_helper

        made: np.ndarray = numpy_helper.to_array(proto)
        return made


class Weights:
    """The model's initializers by name; their contents are read only when asked for."""

    def __init__(self, file: str | None, told: Iterable[Told] = (), buffer: Buffer = b""):
        self._file = file
        self._buffer = buffer
        # What the file tells of each; most are never asked for.
        self._told = {entry[0]: entry for entry in told}
        # Those that were asked for, and others.
        self._dense: dict[str, Tensor] = {}
        self._types: dict[str, tuple[int, tuple[int, ...]]] | None = None
        self._most: tuple[int, int] | None = None
        self.sparse: dict[str, onnx.SparseTensorProto] = {}
        # The files that some lie in, how long these are, and what they hold if that is at hand; by
        # where they are said to lie.
        self._beside: dict[str, tuple[Path, int, Buffer | None]] = {}
        # The elements of a few that are small, for who looks at them often.
        self.contents: dict[str, bytes] = {}
        # Small ones that were asked for, and what others found out of any.
        self._arrays: dict[str, np.ndarray] = {}
        self._zeros: dict[str, bool] = {}
        self._found: dict[str, dict[str, Any]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._told or name in self._dense or name in self.sparse

    def __iter__(self) -> Iterator[str]:
        """The names of the dense ones."""
        return iter({**self._told, **self._dense})

    def _tensor(self, name: str) -> Tensor:
        found = self._dense.get(name)
        if found is None:
            found = self._dense[name] = Tensor.read(self._told[name], self._buffer)
        return found

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of the initializer `name`."""
        return self._known()[name][1]

    def element_type(self, name: str) -> int:
        """``TensorProto.DataType`` of the initializer `name`."""
        return self._known()[name][0]

    def _known(self) -> dict[str, tuple[int, tuple[int, ...]]]:
        if self._types is None:
            self._types = {name: entry[1:3] for name, entry in self._told.items()}
            for name, tensor in self._dense.items():
                self._types[name] = tensor[:2]
            for name, sparse in self.sparse.items():
                self._types[name] = sparse.values.data_type, tuple(sparse.dims)
        return self._types

    def types(self) -> dict[str, tuple[int, tuple[int, ...]]]:
        """Element type and shape of each: a dict of one's own."""
        return dict(self._known())

    @property
    def most(self) -> tuple[int, int]:
        """The most axes that any has, and the longest axis of any."""
        if self._most is None:
            shapes = {shape for _, shape in self._known().values() if shape}
            axes = max(map(len, shapes), default=0)
            self._most = axes, max(map(max, shapes), default=0)
        return self._most

    @property
    def are_elsewhere(self) -> bool:
        """Whether any of them lies in another file."""
        return any(self._tensor(name).is_external for name in self)

    def put(self, name: str, tensor: Tensor) -> None:
        """Make `tensor` the initializer `name`."""
        self.drop(name)
        self._dense[name] = tensor

    def drop(self, name: str) -> None:
        """Forget the initializer `name` if there is one."""
        told = self._told, self._dense, self.contents, self._arrays, self._zeros, self._found
        for known in told:
            known.pop(name, None)
        self._types = self._most = None

    def look_at(self, names: Iterable[str]) -> None:
        """Look at 64-bit integers at once, if there are few: they are likely to be shapes, axes or
        indices.

        Raises
        ------
        ModelError
            As `array`.
        """
        for name in names:
            tensor = self._tensor(name)
            size, raw = 8 * prod(tensor.shape), tensor.raw_size
            if not 0 <= size <= SMALL or raw < 0:
                continue
            if raw != size or tensor.is_external:
                self.array(name)
            elif tensor.raw is not None and size <= AT_HAND and _PLAIN:
                self.contents[name] = bytes(self._buffer[slice(*tensor.raw)])

    def copy(self) -> Weights:
        """The same initializers, to which others may be added."""
        other = Weights(self._file, (), self._buffer)
        other._told, other._dense, other.sparse = dict(self._told), dict(self._dense), self.sparse
        other.contents = dict(self.contents)
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
        found = self._arrays.get(name)
        if found is None:
            found = self.to_array(self._tensor(name))
            if found.nbytes <= SMALL:
                found.setflags(write=False)
                self._arrays[name] = found
        return found

    def found(self, name: str) -> dict[str, Any] | None:
        """What was found out of the initializer `name`, to be added to; None if there is none, or
        what is found out of it may be large.
        """
        found = self._found.get(name)
        if found is None and name in self and prod(self.shape(name)) <= _SHARED:
            found = self._found[name] = {}
        return found

    def may_have_zeros(self, name: str) -> bool:
        """Whether some element of the initializer `name` may be 0, or False.

        Raises
        ------
        ModelError
            As `array`.
        """
        found = self._zeros.get(name)
        if found is None:
            found = self._any_zero(name)
            if found is None:
                value = self.array(name)
                found = bool(value.size) and may_have_zeros(value)
            self._zeros[name] = found
        return found

    def _any_zero(self, name: str) -> bool | None:
        """The same of a small one, as it stands in the file; None if that takes its `array`."""
        told = self._told.get(name)
        if told is None or name in self._dense or name in self.sparse:
            return None
        _, kind, shape, span, raw, location = told
        plain = _PLAIN.get(kind)
        if plain is None or location == EXTERNAL:
            return None
        content: Buffer | bytearray = self._buffer
        if raw is None:
            listed = _listed(kind, self._buffer, span)
            if listed is None:
                return None
            content, raw = listed, (0, len(listed))
        size = raw[1] - raw[0]
        if not 0 < size <= _SEARCHED or size != prod(shape) * plain.itemsize:
            return None
        return any_zero(content, *raw, plain.itemsize, plain.kind == "f")

    def to_array(self, tensor: Tensor) -> np.ndarray:
        """Contents of any tensor of the model, external ones too.

        Raises
        ------
        ModelError
            As `array`.
        """
        try:
            if tensor.is_external:
                tensor = self._fetch(tensor.proto, f"tensor '{tensor.name}'")
            return tensor.array()
        except UndecodableError as error:
            said = f"its contents can't be read: {error}"
        except (ValueError, TypeError, KeyError) as error:
            said = f"its contents don't fit its type and shape {tensor.shape}: {error}"
        raise ModelError(said, file=self._file, node=f"tensor '{tensor.name}'")

    def dense(self, sparse: onnx.SparseTensorProto) -> np.ndarray:
        """A sparse tensor written out; indices may be linear or one row an element."""
        values, indices = (self.to_array(Tensor.of(t)) for t in (sparse.values, sparse.indices))
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
                f"it can't be made a dense tensor: {error}",
                file=self._file,
                node=f"sparse tensor '{sparse.values.name}'",
            ) from None
        return out

    def _fetch(self, tensor: TensorProto, where: str) -> Tensor:
        """A tensor with its contents, which lie in another file."""
        location = location_of(tensor)
        entries = {entry.key: entry.value for entry in tensor.external_data}
        try:
            size = _bytes(tensor)
            if location not in self._beside:
                target = target_of(tensor, Path(self._file) if self._file else None, where)
                if not target.is_file():
                    raise ValueError("it is not a file")
                self._beside[location] = target, target.stat().st_size, _whole(target)
            target, there, mapped = self._beside[location]
            offset, length = int(entries.get("offset", 0)), int(entries.get("length", size))
            if length != size or offset < 0 or offset + size > there:
                raise ValueError(f"there are no {size} bytes at offset {offset}")
            plain = tensor.data_type in _PLAIN and min(tensor.dims, default=0) >= 0
            if mapped is not None and plain:
                return Tensor.of(tensor)._replace(
                    source=mapped, raw=(offset, offset + size), is_external=False
                )
            with target.open("rb") as stream:
                stream.seek(offset)
                contents = stream.read(size)
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(
                f"its data in '{location}' can't be read: {error}",
                file=self._file,
                node=where,
                remedy="put the data file beside the model",
            ) from None
        fetched = type(tensor)()
        fetched.CopyFrom(tensor)
        fetched.ClearField("external_data")
        fetched.ClearField("data_location")
        fetched.raw_data = contents
        return Tensor.of(fetched)


def may_have_zeros(value: np.ndarray) -> bool:
    """Whether some element may be 0, or False."""
    if value.dtype.kind not in "biuf":
        return True
    if value.size and not any(value.strides):
        # One element in the place of all.
        return not value.item(0)
    if value.size <= _FEW:
        return int(np.count_nonzero(value)) < value.size
    elements = value.ravel(order="K")
    if elements.dtype == np.float16:
        # Without their signs: numbers of that type are looked at one by one.
        elements = elements.view(np.uint16) & np.uint16(0x7FFF)
    # The first zero is enough.
    blocks = (elements[k : k + _TOGETHER] for k in range(0, value.size, _TOGETHER))
    return not all(block.all() for block in blocks)


def _listed(kind: int, buffer: Buffer, span: tuple[int, int]) -> bytearray | None:
    """The elements of a tensor that stand in its message one by one, as raw data would have them;
    None where there are many, or it takes more to tell.
    """
    if kind not in _PLAIN or span[1] - span[0] > _LISTED:
        return None
    return elements(buffer, *span, kind)


def _plain(
    kind: int, shape: tuple[int, ...], raw: bytes | bytearray | memoryview
) -> np.ndarray | None:
    """The array that raw data are; None where it takes more to tell."""
    plain = _PLAIN.get(kind)
    if plain is None or len(raw) != prod(shape) * plain.itemsize or min(shape, default=0) < 0:
        return None
    return np.frombuffer(raw, plain).reshape(shape)


def _whole(file: Path) -> Buffer | None:
    """What a file with contents of tensors holds; None if it is large, and better read in parts."""
    with file.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > _MAP_UP_TO:
            return None
        if size < MAP_FROM:
            return stream.read()
        try:
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError:
            # There may be no room for it, or a system of files that maps none.
            return None


def location_of(tensor: TensorProto) -> str:
    """Where the contents of a tensor lie that are not in the model: relative to its folder."""
    return next((e.value for e in tensor.external_data if e.key == "location"), "")


def target_of(tensor: TensorProto, path: Path | None, where: str) -> Path:
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
            remedy="save the model again, with its data in the same folder",
        )
    if not target.exists():
        raise missing(
            f"its data in '{location}' can't be read: there is no such file",
            file=str(path),
            node=where,
            remedy="put the data file beside the model",
        )
    return target


def _bytes(tensor: TensorProto) -> int:
    """How many bytes the contents of a tensor take; KeyError if its type is none."""
    elements: int = prod(tensor.dims)
    if tensor.data_type in _NIBBLES:
        return (elements + 1) // 2
    return elements * element_types.dtype_of(tensor.data_type).itemsize
