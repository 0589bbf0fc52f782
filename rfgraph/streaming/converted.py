"""The converted model: the file, what a loop has to know of it, and a stream through it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from rfgraph.analysis import analyze
from rfgraph.errors import QueryError, ShapeError
from rfgraph.streaming.convert import Converter
from rfgraph.streaming.lengths import Length
from rfgraph.streaming.run import StateStream
from rfgraph.streaming.way import StreamingError
from rfgraph.streaming.writer import UNKNOWN_LENGTH, State, Writer, sized, type_of
from rfgraph.tiling.run import opened
from rfgraph.version import VERSION

if TYPE_CHECKING:
    from rfgraph.streaming.plan import Plan

# Where a converted model says how it is to be run: see docs/streaming.md.
_KEY = "rfgraph.streaming"

# Operators that a conversion writes are those of this version of ONNX's operator set, and later.
_OLDEST = 13

# The version of the format that this operator set came with.
_FORMAT = 7


@dataclass(frozen=True)
class StreamedOutput:
    """An output of a converted model.

    Attributes
    ----------
    output : str
        Its name.
    axis : int
        Its time axis.
    steps : int
        How many steps there are for a hop of samples.
    delay : int
        How many steps come before the first one of the model.
    length : tuple of (int, int, int)
        How many steps there are of so many samples in all: to go through, from the number of
        samples on, as ``(number * times + plus) // by``.
    """

    output: str
    axis: int
    steps: int
    delay: int
    length: tuple[tuple[int, int, int], ...]

    def count(self, samples: int) -> int:
        """The steps that the model gives for so many samples."""
        return Length(self.length).of(samples)


@dataclass(frozen=True)
class StreamingModel:
    """A model with explicit states, and how to run it.

    Attributes
    ----------
    model : onnx.ModelProto
        The model.
    hop : int
        A chunk has a multiple of so many samples.
    streams : tuple of (str, int)
        The inputs that are streams, and their time axis.
    whole : tuple of str
        The inputs that every chunk gets whole.
    outputs : tuple of StreamedOutput
        The outputs.
    states : tuple of State
        The states; what is given back before the next chunk.
    length : str or None
        The input for the number of samples that there are in all, `UNKNOWN_LENGTH` as long as that
        is not known; None if there is none, as the model needs no end.
    """

    model: onnx.ModelProto = field(repr=False)
    hop: int
    streams: tuple[tuple[str, int], ...]
    whole: tuple[str, ...]
    outputs: tuple[StreamedOutput, ...]
    states: tuple[State, ...]
    length: str | None

    def open(
        self, session: Any = None, whole: Mapping[str, np.ndarray] | None = None
    ) -> StateStream:
        """A stream through the model.

        Parameters
        ----------
        session : onnxruntime.InferenceSession, optional
            One that has the model open; one is made if left out.
        whole : mapping of str to ndarray, optional
            The inputs that are no streams, and states to begin with.

        Returns
        -------
        StateStream
            ``push(chunk)`` and ``finish()`` give the steps that become complete.

        Raises
        ------
        RFGraphError
            onnxruntime is not installed, or can't open the model.
        """
        model = self.model.SerializeToString() if session is None else session
        return StateStream(self, opened(model, None), whole or {})

    @property
    def described(self) -> dict[str, Any]:
        """What the file says of itself."""
        return {
            "version": 1,
            "hop": self.hop,
            "streams": [{"input": name, "axis": axis} for name, axis in self.streams],
            "whole": list(self.whole),
            "outputs": [asdict(output) for output in self.outputs],
            "states": [{**asdict(state), "initial": _told(state.initial)} for state in self.states],
            "length": self.length,
        }


def _told(number: float) -> float | str:
    """A number as JSON has it, which knows none that is infinite."""
    return number if np.isfinite(number) else str(number)


def convert(plan: Plan) -> StreamingModel:
    """See `rfgraph.streaming.Plan.convert`."""
    graph = plan.moving.at.analysis.flow.shapes.graph
    versions = {each.domain or "": each.version for each in graph.head.opset_import}
    versions[""] = versions.pop("ai.onnx", versions.get("", 0))
    if versions[""] < _OLDEST:
        raise StreamingError(
            f"it can't be converted: it is of operator set {versions['']}",
            file=graph.file,
            remedy=f"bring it to {_OLDEST} or later with onnx.version_converter",
        )
    converter = Converter(plan.moving, tuple(plan.outputs), plan.states)
    converter.convert()
    found = _assembled(plan, converter, versions)
    described = json.dumps(found.described)
    helper.set_model_props(found.model, {_KEY: described})
    _check(plan, converter, found)
    return found


def _assembled(plan: Plan, converter: Converter, versions: Mapping[str, int]) -> StreamingModel:
    """The model of what was written, without what nothing reads."""
    writer, graph = converter.writer, converter.graph
    carried = [
        State(first, last, 0, writer.shape(first), writer.dtype(first).name)
        for first, last in plan.states
    ]
    states = [*writer.states, *carried]
    ends = [*plan.outputs, *(state.output for state in states)]
    if _reads(_used(writer.nodes, ends), writer.position):
        states.append(writer.counted())
        ends.append(states[-1].output)
    nodes = _used(writer.nodes, ends)
    length = writer.length if _reads(nodes, writer.length) else None
    read = {name for node in nodes for name in node.input}
    weights = [name for name in sorted(read) if name in graph.weights]
    constants = [numpy_helper.from_array(graph.weights.array(name), name) for name in weights]
    inputs, outputs = _declared(plan, writer, states)
    if length is not None:
        inputs.append(type_of(length, np.dtype(np.int64), ()))
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "streaming",
            inputs,
            outputs,
            [*constants, *(t for name, t in writer.constants.items() if name in read)],
        ),
        opset_imports=[helper.make_opsetid(d, version) for d, version in versions.items()],
        ir_version=max(graph.head.ir_version, _FORMAT),
        producer_name="rfgraph",
        producer_version=VERSION,
    )
    flows = {name: converter.flows[name] for name in plan.outputs}
    return StreamingModel(
        model=model,
        hop=plan.hop,
        streams=plan.inputs,
        whole=plan.whole,
        outputs=tuple(
            StreamedOutput(name, flow.axis, flow.steps, flow.delay, flow.length.links)
            for name, flow in flows.items()
        ),
        states=tuple(states),
        length=length,
    )


def _declared(
    plan: Plan, writer: Writer, states: Sequence[State]
) -> tuple[list[onnx.ValueInfoProto], list[onnx.ValueInfoProto]]:
    """The inputs and outputs of the model, the states among them."""
    axes = {name: (axis, "chunk") for name, axis in plan.inputs}
    axes |= {name: (timing.axis, f"{name}_steps") for name, timing in plan.outputs.items()}

    def declared(name: str) -> onnx.ValueInfoProto:
        shape: list[int | str] = list(writer.shape(name))
        if name in axes:
            axis, steps = axes[name]
            shape[axis] = steps
        return type_of(name, writer.dtype(name), shape)

    inputs = [declared(name) for name, _ in plan.inputs]
    inputs += [declared(name) for name in plan.whole]
    outputs = [declared(name) for name in plan.outputs]
    for state in states:
        dtype = np.dtype(state.dtype)
        inputs.append(type_of(state.input, dtype, state.shape))
        outputs.append(type_of(state.output, dtype, state.shape))
    return inputs, outputs


def _reads(nodes: Sequence[onnx.NodeProto], name: str) -> bool:
    return any(name in node.input for node in nodes)


def _used(nodes: list[onnx.NodeProto], outputs: list[str]) -> list[onnx.NodeProto]:
    """The nodes that outputs need, in their order."""
    needed, kept = set(outputs), []
    for node in reversed(nodes):
        if not needed.isdisjoint(node.output):
            kept.append(node)
            needed.update(name for name in node.input if name)
            for attribute in node.attribute:
                for graph in [attribute.g, *attribute.graphs]:
                    needed.update(name for inner in graph.node for name in inner.input)
    return kept[::-1]


def _check(plan: Plan, converter: Converter, found: StreamingModel) -> None:
    """Hold the sizes of all values against those that they have to have.

    A size that is computed from the shape of a value may come out otherwise of a chunk.
    """
    onnx.checker.check_model(found.model)
    hops = max(2, -(-64 // found.hop))
    base = plan.moving.at.analysis
    shapes: dict[str, list[int]] = {}
    sizes: dict[str, int] = {}
    for name in base.inputs:
        shapes[name] = list(base.extent(name) or ())
        dims = (str(dim or f"{name}_{axis}") for axis, dim in enumerate(base.dims(name)))
        sizes.update(zip(dims, shapes[name], strict=True))
    for name, axis in plan.inputs:
        shapes[name][axis] = hops * found.hop
    for state in found.states:
        shapes.setdefault(state.input, [sized(n, sizes) for n in state.shape])
    try:
        analysis = analyze(found.model, shapes=shapes)
    except ShapeError as error:
        raise StreamingError(
            f"it can't be converted: with a chunk {error.message}",
            file=base.file,
            node=error.node,
            remedy="compute no sizes from the length of the stream",
        ) from error
    for value, flow in converter.flows.items():
        shape = analysis.shape(value) if value in analysis.tensors else None
        if flow.name == value and shape and shape[flow.axis] not in (None, hops * flow.steps):
            raise StreamingError(
                f"it can't be converted: with a chunk it has {shape[flow.axis]} steps, not "
                f"{hops * flow.steps}",
                file=base.file,
                node=str(base.node(value)),
                remedy="compute no sizes from the length of the stream",
            )


def load(model: str | Path | bytes | onnx.ModelProto) -> StreamingModel:
    """A model that was converted before.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
        As `rfgraph stream MODEL -o FILE` writes it.

    Returns
    -------
    StreamingModel
        The same as `Plan.convert` gave.

    Raises
    ------
    QueryError
        It is no such model.
    """
    if isinstance(model, bytes):
        proto = onnx.load_model_from_string(model)
    elif isinstance(model, onnx.ModelProto):
        proto = model
    else:
        proto = onnx.load(model)
    told = {each.key: each.value for each in proto.metadata_props}.get(_KEY)
    if told is None:
        raise QueryError(
            "it is no model that was converted for streams",
            file=None if isinstance(model, bytes | onnx.ModelProto) else str(model),
            remedy="convert it: rfgraph stream MODEL -o FILE",
        )
    found = json.loads(told)
    return StreamingModel(
        model=proto,
        hop=found["hop"],
        streams=tuple((each["input"], each["axis"]) for each in found["streams"]),
        whole=tuple(found["whole"]),
        outputs=tuple(
            StreamedOutput(**{**each, "length": tuple(map(tuple, each["length"]))})
            for each in found["outputs"]
        ),
        states=tuple(
            State(**{**each, "initial": float(each["initial"]), "shape": tuple(each["shape"])})
            for each in found["states"]
        ),
        length=found["length"],
    )


__all__ = ["UNKNOWN_LENGTH", "StreamedOutput", "StreamingModel", "convert", "load"]
