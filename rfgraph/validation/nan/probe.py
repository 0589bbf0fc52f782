"""A *probe*: a model rewritten so that a NaN put into an input shows what depends on it.

Run unoptimised, most of onnxruntime's kernels carry a NaN to exactly the elements that read it,
through a weight of zero, a saturated activation and a softmax over one element alike. Some lose it
(a maximum, a comparison), some spread it (a running sum), and an integer can't hold one. For those
something stands in: an operator that reads the same elements and carries NaN, or the operator
itself on data of its own, with and without a change where its input is NaN. All that depends on an
input holds 32-bit floats in the probe. `rfgraph.validation.nan.kernels` has what holds for which.

An operator that is not known there is not trusted: what depends on it is *lost*, and the probe says
why.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rfgraph.model.graph import Node, read
from rfgraph.model.model_file import light
from rfgraph.ops import traits_of
from rfgraph.reads.words import Shape
from rfgraph.validation.nan.emitter import Emitter, KnownShapes, LostError, Taps
from rfgraph.validation.nan.kernels import KERNELS
from rfgraph.worker.protos import (
    element_type_of,
    is_container,
    is_measured,
    names_in,
    needed,
    node_interpolates,
    opsets_of,
    runnable,
    types_of,
    walk,
)

# The operator set of ONNX to use where the model imports none.
_OPSET = 17


@dataclass(frozen=True)
class Probe:
    """A model in which NaN shows what depends on what.

    Attributes
    ----------
    model : onnx.ModelProto
        Returns `values` under their own names; every input that is followed is a tensor of 32-bit
        floats of the same name and shape.
    values : tuple of str
        The values asked for that it returns, in order. Those that depend on no input that is
        followed are as they were.
    lost : dict of str to str
        The others: which node is the cause that NaN tells nothing about them, and why.
    """

    model: onnx.ModelProto
    values: tuple[str, ...]
    lost: dict[str, str]


def poisoned(
    model: onnx.ModelProto,
    values: Sequence[str],
    shape: Callable[[str], Shape | None],
    *,
    taps: Taps = "read",
    held: Container[str] = (),
) -> Probe:
    """Rewrite a model into its probe.

    Parameters
    ----------
    model : onnx.ModelProto
        The model, which is left as it is.
    values : sequence of str
        What the probe is to return.
    shape : callable
        The static shape of a value, or None.
    taps : "read" or "weighted"
        Whether an interpolation counts every tap that its kernel multiplies, or those whose weight
        is not zero. (With several poisoned taps under a cubic kernel, their weights can cancel: of
        "weighted" it is only certain that what is seen is read.)
    held : container of str
        Inputs that are not followed.

    Examples
    --------
    >>> from onnx import parser
    >>> model = parser.parse_model(
    ...     '<ir_version: 8, opset_import: ["": 17]> g (float[3] x) => (bool[3] y, int64[1, n] z)'
    ...     "{ y = Less(x, x) z = NonZero(y) }"
    ... )
    >>> probe = poisoned(model, ["y", "z"], {"x": (3,), "y": (3,)}.get)
    >>> [node.op_type for node in probe.model.graph.node], probe.values
    (['Sum'], ('y',))
    >>> print(probe.lost["z"])
    NonZero 'NonZero_1': the size of its output depends on the data
    """
    model = runnable(model)
    bare = light(model)
    weights = {t.name for t in model.graph.initializer}
    weights.update(t.values.name for t in model.graph.sparse_initializer)
    live = {v.name for v in model.graph.input if v.name not in weights and v.name not in held}
    types = types_of(bare)
    shapes = KnownShapes(shape)
    shapes.added.update((tensor.name, tuple(tensor.dims)) for tensor in model.graph.initializer)
    graph = read(model)
    emitter = Emitter(
        KERNELS,
        {"": _OPSET, **opsets_of(model)},
        {name: element_type_of(kind) for name, kind in types.items()},
        shapes,
        taps,
        live,
        names_in(bare.graph),
        graph.in_blocks,
    )
    told: dict[str, str] = {}
    for name in sorted(live):
        kind = element_type_of(types[name])
        if kind == TensorProto.STRING or (is_container(types[name]) and kind != TensorProto.FLOAT):
            live.discard(name)
            told[name] = f"input '{name}': its type can't hold NaN"
    for node in graph.nodes:
        _follow(emitter, node, told)
    values = tuple(dict.fromkeys(values))
    lost = {name: told[name] for name in values if name in told}
    for name in values:
        if name in types and is_container(types[name]):
            lost.setdefault(name, "it is not a tensor, and has no units")
    returned = tuple(name for name in values if name not in lost)
    return Probe(_assembled(model, emitter, returned), returned, lost)


def _follow(emitter: Emitter, node: Node, lost: dict[str, str]) -> None:
    """Append what stands in for a node of the model.

    `lost` has the values of which NaN tells nothing, and why; it gets those that the node makes.
    """
    if is_measured((node.domain, node.op_type)):
        _measure(emitter, node, lost)
        return
    reads = (*node.inputs, *node.captures)
    gone = next((lost[name] for name in reads if name in lost), None)
    if gone is None and emitter.live.isdisjoint(reads):
        emitter.nodes.append(node.proto)
        return
    written = len(emitter.nodes)
    try:
        if gone is None:
            emitter.rewrite(node.proto)
    except LostError as error:
        gone = f"{node}: {error}"
    if gone is not None:
        emitter.drop(written)
        lost.update({name: gone for name in node.outputs if name})


def _measure(emitter: Emitter, node: Node, lost: dict[str, str]) -> None:
    """A node that tells the shape of a value, which is a constant where the value is lost."""
    (name,), (output,) = node.inputs, node.outputs
    if name not in lost:
        emitter.nodes.append(node.proto)
        return
    shape = emitter.shapes.get(name)
    if shape is None:
        lost[output] = lost[name]
        return
    measured = traits_of(node.domain, node.op_type).measured
    assert measured is not None
    value = numpy_helper.from_array(np.array(measured(node, shape), np.int64))
    emitter.nodes.append(helper.make_node("Constant", [], [output], value=value))


def _assembled(model: onnx.ModelProto, emitter: Emitter, values: Sequence[str]) -> onnx.ModelProto:
    """The probe of `model`: its nodes that have been rewritten, and what they need."""
    probe = onnx.ModelProto(ir_version=model.ir_version, producer_name="rfgraph")
    probe.opset_import.extend(model.opset_import)
    if "" not in opsets_of(model):
        probe.opset_import.append(helper.make_opsetid("", _OPSET))
    graph = probe.graph
    graph.name = model.graph.name or "probe"
    graph.doc_string = model.graph.doc_string
    nodes, read_by = needed(emitter.nodes, values)
    graph.node.extend(nodes)
    weights = {t.name for t in model.graph.initializer}
    for value in model.graph.input:
        if value.name in weights:
            continue
        graph.input.append(value)
        if value.name in emitter.live and not is_container(value.type):
            graph.input[-1].type.tensor_type.elem_type = TensorProto.FLOAT
    for tensor in model.graph.initializer:
        if tensor.name in read_by:
            graph.initializer.append(tensor)
    for sparse in model.graph.sparse_initializer:
        if sparse.values.name in read_by:
            graph.sparse_initializer.append(sparse)
    graph.initializer.extend(t for t in emitter.constants if t.name in read_by)
    graph.output.extend(helper.make_empty_tensor_value_info(name) for name in values)
    return probe


def interpolates(model: onnx.ModelProto) -> bool:
    """Whether an operator in a model reads taps whose weight may be zero: a linear or cubic resize.

    Examples
    --------
    >>> from onnx import parser
    >>> model = parser.parse_model(
    ...     '<ir_version: 8, opset_import: ["": 17]>'
    ...     "g (float[1, 1, 2] x, float[3] s) => (float[1, 1, n] y)"
    ...     '{ y = Resize<mode = "linear"> (x, , s) }'
    ... )
    >>> interpolates(model)
    True
    """
    return any(node_interpolates(node) for node in walk(model.graph.node))
