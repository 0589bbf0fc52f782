"""The converted model, put together of what was written, and held against what it has to be."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from rfgraph.analysis import analyze
from rfgraph.errors import ShapeError
from rfgraph.streaming.converted import KEY, StreamedOutput, StreamingModel
from rfgraph.streaming.converter import Converter
from rfgraph.streaming.way import Moving, StreamingError
from rfgraph.streaming.writer import State, sized, type_of
from rfgraph.version import VERSION
from rfgraph.worker.protos import reads_of

# Operators that a conversion writes are those of this version of ONNX's operator set, and later.
_OLDEST = 13

# The version of the format that this operator set came with.
_FORMAT = 7


def convert(
    found: Moving,
    outputs: Sequence[str],
    whole: Sequence[str],
    states: Sequence[tuple[str, str]],
) -> StreamingModel:
    """See `rfgraph.streaming.Plan.convert`."""
    graph = found.at.analysis.flow.shapes.graph
    versions = {each.domain or "": each.version for each in graph.head.opset_import}
    versions[""] = versions.pop("ai.onnx", versions.get("", 0))
    if versions[""] < _OLDEST:
        raise StreamingError(
            f"it can't be converted: it is of operator set {versions['']}",
            file=graph.file,
            remedy=f"bring it to {_OLDEST} or later with onnx.version_converter",
        )
    converter = Converter(found, outputs, states)
    converter.convert()
    made = _assembled(converter, whole, versions)
    helper.set_model_props(made.model, {KEY: json.dumps(made.described)})
    _check(converter, made)
    return made


def _assembled(
    converter: Converter, whole: Sequence[str], versions: Mapping[str, int]
) -> StreamingModel:
    """The model of what was written, without what nothing reads."""
    writer, graph = converter.writer, converter.graph
    flows = {name: converter.flows[name] for name in converter.outputs}
    carried = [
        State(first, last, 0, writer.shape(first), writer.dtype(first).name)
        for first, last in converter.carried.items()
    ]
    states = [*writer.states, *carried]
    ends = [*flows, *(state.output for state in states)]
    if _reads(_used(writer.nodes, ends), writer.position):
        states.append(writer.counted())
        ends.append(states[-1].output)
    nodes = _used(writer.nodes, ends)
    length = writer.length if _reads(nodes, writer.length) else None
    read = set().union(*map(reads_of, nodes))
    weights = [name for name in sorted(read) if name in graph.weights]
    constants = [numpy_helper.from_array(graph.weights.array(name), name) for name in weights]
    inputs, outputs = _declared(converter, whole, states)
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
    return StreamingModel(
        model=model,
        hop=converter.found.hop,
        streams=converter.found.at.axes,
        whole=tuple(whole),
        outputs=tuple(
            StreamedOutput(name, flow.axis, flow.steps, flow.delay, flow.length.links)
            for name, flow in flows.items()
        ),
        states=tuple(states),
        length=length,
    )


def _declared(
    converter: Converter, whole: Sequence[str], states: Sequence[State]
) -> tuple[list[onnx.ValueInfoProto], list[onnx.ValueInfoProto]]:
    """The inputs and outputs of the model, the states among them."""
    writer, streams = converter.writer, dict(converter.found.at.axes)
    axes = {name: (axis, "chunk") for name, axis in streams.items()}
    axes |= {name: (converter.flows[name].axis, f"{name}_steps") for name in converter.outputs}

    def declared(name: str) -> onnx.ValueInfoProto:
        shape: list[int | str] = list(writer.shape(name))
        if name in axes:
            axis, steps = axes[name]
            shape[axis] = steps
        return type_of(name, writer.dtype(name), shape)

    inputs = [declared(name) for name in (*streams, *whole)]
    outputs = [declared(name) for name in converter.outputs]
    for state in states:
        dtype = np.dtype(state.dtype)
        inputs.append(type_of(state.input, dtype, state.shape))
        outputs.append(type_of(state.output, dtype, state.shape))
    return inputs, outputs


def _reads(nodes: Sequence[onnx.NodeProto], name: str) -> bool:
    return any(name in reads_of(node) for node in nodes)


def _used(nodes: list[onnx.NodeProto], outputs: list[str]) -> list[onnx.NodeProto]:
    """The nodes that outputs need, in their order."""
    needed, kept = set(outputs), []
    for node in reversed(nodes):
        if not needed.isdisjoint(node.output):
            kept.append(node)
            needed |= reads_of(node)
    return kept[::-1]


def _check(converter: Converter, made: StreamingModel) -> None:
    """Hold the sizes of all values against those that they have to have.

    A size that is computed from the shape of a value may come out otherwise of a chunk.
    """
    onnx.checker.check_model(made.model)
    hops = max(2, -(-64 // made.hop))
    base = converter.found.at.analysis
    shapes: dict[str, list[int]] = {}
    sizes: dict[str, int] = {}
    for name in base.inputs:
        shapes[name] = list(base.extent(name) or ())
        dims = (str(dim or f"{name}_{axis}") for axis, dim in enumerate(base.dims(name)))
        sizes.update(zip(dims, shapes[name], strict=True))
    for name, axis in made.streams:
        shapes[name][axis] = hops * made.hop
    for state in made.states:
        shapes.setdefault(state.input, [sized(n, sizes) for n in state.shape])
    try:
        analysis = analyze(made.model, shapes=shapes)
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


__all__ = ["convert"]
