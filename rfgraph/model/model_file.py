"""ONNX models without their weights: the graph is read, the contents of tensors stay behind.

A receptive field is a matter of structure, so a model of many gigabytes is read in the time
that its graph takes: `load` takes the file apart and remembers where the initializers lie.
`Weights` fetches the contents of one when it is asked for.
"""

from __future__ import annotations

import mmap
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rfgraph.errors import ModelError
from rfgraph.model import element_types, formats
from rfgraph.model._wire import head as read_head
from rfgraph.model._wire import nodes, split, value_info
from rfgraph.model.weights import (
    EXTERNAL,
    MAP_FROM,
    SMALL,
    Buffer,
    Tensor,
    Weights,
    merged,
    target_of,
)

if TYPE_CHECKING:
    import onnx
    from onnx import TensorProto

    from rfgraph.model._wire import Key, Node


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
    import onnx

    path = None
    if isinstance(model, onnx.ModelProto):
        proto = onnx.ModelProto()
        proto.CopyFrom(model)
    elif isinstance(model, bytes):
        proto = onnx.ModelProto.FromString(model)
    else:
        path = Path(model)
        proto = onnx.load(path, load_external_data=False)
    outside = _outside(proto, path)
    return proto, str(path.parent.resolve()) if path and outside else ""


def files(path: Path) -> list[Path]:
    """The files that a model consists of: its own, and those of external data.

    Raises
    ------
    ModelError
        External data is missing, or lies outside the model's folder.
    """
    import onnx

    return [path, *sorted(set(_outside(onnx.load(path, load_external_data=False), path)))]


def _outside(proto: onnx.ModelProto, path: Path | None) -> list[Path]:
    """The files of all tensors whose contents are not in the model."""
    bodies = [proto.graph.node, *(function.node for function in proto.functions)]
    every = [*_graph_tensors(proto.graph), *(t for body in bodies for t in _node_tensors(body))]
    outside = [t for t in every if t.data_location == EXTERNAL]
    return [target_of(tensor, path, f"tensor '{tensor.name}'") for tensor in outside]


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


class OperatorSet(NamedTuple):
    """A set of operators that a model uses."""

    domain: str
    version: int


class Value(NamedTuple):
    """A value as the file describes it.

    Attributes
    ----------
    name : str
        Its name.
    element_type : int
        ``TensorProto.DataType`` of the elements of a tensor; 0 if it is none.
    dims : tuple of (int or str) or None
        The sizes of a tensor's axes, a name (which may be empty) where one is open; None where not
        even the rank is given.
    other : bytes or None
        The ``TypeProto`` of what is no tensor.
    """

    name: str
    element_type: int
    dims: tuple[int | str, ...] | None
    other: bytes | None

    @property
    def type(self) -> onnx.TypeProto:
        """The type of what is no tensor."""
        import onnx

        return merged(onnx.TypeProto(), self.other or b"")


class Head:
    """A model without the nodes and initializers of its graph.

    Attributes
    ----------
    ir_version : int
        The version of the format.
    opset_import : list of OperatorSet
        The operator sets.
    has_graph : bool
        Whether there is a graph at all.
    inputs, outputs : list of Value
        The graph's inputs, initializers that are listed there included, and its outputs.
    sparse : list of onnx.SparseTensorProto
        The sparse initializers.
    functions : list of onnx.FunctionProto
        The model's own functions.

    Raises
    ------
    ValueError
        It is no message, or one that is cut off.
    """

    def __init__(self, content: bytes) -> None:
        told = read_head(content)
        self.ir_version, imports, self.has_graph, inputs, outputs, self._values, *messages = told
        self.opset_import = [OperatorSet(*told) for told in imports]
        self.inputs = [Value(*told) for told in inputs]
        self.outputs = [Value(*told) for told in outputs]
        self.sparse: list[onnx.SparseTensorProto] = []
        self.functions: list[onnx.FunctionProto] = []
        if any(messages):
            self._parse(*messages)

    def _parse(self, sparse: list[bytes], functions: list[bytes]) -> None:
        import onnx

        self.sparse = [merged(onnx.SparseTensorProto(), content) for content in sparse]
        self.functions = [merged(onnx.FunctionProto(), content) for content in functions]

    def values(self) -> Iterator[Value]:
        """The inner values that the file describes."""
        return (Value(*value_info(message)) for message in self._values)


class Content(NamedTuple):
    """A model as it is read.

    Attributes
    ----------
    head : Head
        The model without the nodes and initializers of its graph.
    weights : Weights
        The initializers of the main graph.
    tensors : list of str
        The names of the dense ones, as often as they are given.
    file : str or None
        The path, for messages.
    buffer : bytes-like
        What the nodes are read from.
    """

    head: Head
    weights: Weights
    tensors: list[str]
    file: str | None
    buffer: Buffer

    def nodes(
        self, kinds: dict[Key, Any], make: Callable[[Key, str], Any], opsets: Mapping[str, int]
    ) -> list[Node]:
        """The nodes of the main graph: see `rfgraph.model._wire.nodes`.

        Raises
        ------
        ModelError
            A node can't be read.
        """
        try:
            return nodes(self.buffer, kinds, make, opsets)
        except ValueError:
            raise _no_model(self.buffer, self.file, _TRUNCATED) from None


# What `pathlib` leaves out of a path.
_NEEDLESS = re.compile(r"//|(^|/)\.(/|$)|/$")


def tidied(path: str) -> str:
    """A path as `pathlib` writes it, which takes ten times as long to say so.

    >>> tidied("./models//lenet.onnx"), tidied("../models/lenet.onnx")
    ('models/lenet.onnx', '../models/lenet.onnx')
    """
    return str(Path(path)) if _NEEDLESS.search(path) else path


_TRUNCATED = "not an ONNX model, or a truncated one"


def load(model: str | os.PathLike[str] | bytes | onnx.ModelProto) -> Content:
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
    file = None
    given: Iterable[TensorProto] | None = None
    if isinstance(model, bytes):
        buffer: Buffer = model
    elif isinstance(model, (str, os.PathLike)):
        file = tidied(os.fspath(model))
        buffer = _contents(file)
    else:
        import onnx

        if not isinstance(model, onnx.ModelProto):
            raise ModelError(
                f"a model is a path, bytes or an onnx.ModelProto, not {type(model).__name__}"
            )
        buffer = light(model).SerializeToString()
        given = model.graph.initializer
    try:
        light_head, told = split(buffer)
        head = Head(light_head)
    except ValueError:
        raise _no_model(buffer, file, _TRUNCATED) from None
    if not head.ir_version or not head.has_graph:
        raise _no_model(buffer, file, "not an ONNX model")
    weights = Weights(file, told if given is None else (), buffer)
    for tensor in given or ():
        weights.put(tensor.name, Tensor.of(tensor))
    weights.sparse = {s.values.name: s for s in head.sparse}
    weights.look_at([entry[0] for entry in told if entry[1] == element_types.INT64])
    return Content(head, weights, [entry[0] for entry in told], file, buffer)


def _contents(file: str) -> Buffer:
    try:
        # Others are not even opened: a pipe would wait for somebody to write.
        mode = os.stat(file).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise ValueError("it is a pipe or a device, not a file")
        with open(file, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size < MAP_FROM:
                return stream.read()
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except IsADirectoryError:
        what, remedy = formats.folder(Path(file))
        raise ModelError(what, file=file, remedy=remedy) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ModelError(reason, file=file, remedy="check the path") from None


def _no_model(buffer: Buffer | None, file: str | None, otherwise: str) -> ModelError:
    """The error for what is no model: what it is instead, where that can be told."""
    path = None if file is None else Path(file)
    known = formats.recognised(path, bytes(buffer[:512])) if buffer is not None else None
    what, remedy = otherwise, "export or download it again"
    if known is not None:
        what, remedy = f"not an ONNX model but {known[0]}", known[1]
    return ModelError(what, file=file, remedy=remedy)


def light(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of `model` without the contents of its large initializers."""
    out = type(model)()
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
