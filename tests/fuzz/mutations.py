"""Changes that turn a valid model into one that breaks a rule, or lies at the edge of one.

Each mutation is a function of random numbers and a model, which it changes in place. None of them
aims at the parsers below rfgraph: what is made is small, and wrong in its meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import AttributeProto, helper, numpy_helper

Mutation: TypeAlias = Callable[[Random, onnx.ModelProto], None]

# Whole numbers at which programs stumble.
_EDGES = (0, 1, -1, 2, -2, 3, 7, -9, 64, 1 << 31, -(1 << 31), 1 << 62, -(1 << 63), (1 << 63) - 1)

# Sizes: small ones, mostly.
_SIZES = (0, 1, 1, 2, 3, 5, 8, 17, -1, 1 << 20, 1 << 31, 1 << 62)

_FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e30, -1e30, float("inf"), float("-inf"), float("nan"))

_NAMES = ("", "x", "y", "NOTSET", "SAME_UPPER", "linear", "\x1b[31m", "a" * 200, "\u202e", "?")

MUTATIONS: list[Mutation] = []


def _mutation(function: Mutation) -> Mutation:
    MUTATIONS.append(function)
    return function


def mutated(random: Random, model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a model with one to three changes."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        random.choice(MUTATIONS)(random, made)
    return made


def graphs(model: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    """The graph of a model and all that are attributes of nodes."""
    pending = [model.graph]
    while pending:
        graph = pending.pop()
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                pending += [attribute.g] if attribute.HasField("g") else []
                pending += attribute.graphs


def _graph(random: Random, model: onnx.ModelProto) -> onnx.GraphProto:
    return random.choice(list(graphs(model)))


def _node(random: Random, model: onnx.ModelProto) -> onnx.NodeProto | None:
    nodes = [node for graph in graphs(model) for node in graph.node]
    nodes += [node for function in model.functions for node in function.node]
    return random.choice(nodes) if nodes else None


def _name(random: Random, model: onnx.ModelProto) -> str:
    """The name of some value, or one that none has."""
    graph = _graph(random, model)
    known = [n for node in graph.node for n in (*node.input, *node.output)]
    known += [v.name for v in (*graph.input, *graph.initializer)]
    return random.choice([*known, "", "nowhere"])


def _value(random: Random, kind: int) -> Any:
    """A value for an attribute of some type; None for one that is made otherwise."""
    if kind == AttributeProto.INT:
        return random.choice(_EDGES)
    if kind == AttributeProto.FLOAT:
        return random.choice(_FLOATS)
    if kind == AttributeProto.STRING:
        return random.choice(_NAMES)
    if kind == AttributeProto.INTS:
        return [random.choice(_EDGES) for _ in range(random.randrange(5))]
    if kind == AttributeProto.FLOATS:
        return [random.choice(_FLOATS) for _ in range(random.randrange(5))]
    if kind == AttributeProto.STRINGS:
        return [random.choice(_NAMES) for _ in range(random.randrange(4))]
    if kind == AttributeProto.TENSOR:
        return numpy_helper.from_array(_array(random), "t")
    return None


def _array(random: Random) -> np.ndarray:
    shape = [random.choice((0, 1, 2, 3)) for _ in range(random.randrange(4))]
    kind = random.choice((np.int64, np.int32, np.float32, np.bool_))
    if kind is np.int64:
        count = int(np.prod(shape))
        return np.array([random.choice(_EDGES) for _ in range(count)], kind).reshape(shape)
    return np.ones(shape, kind)


def _set(attribute: AttributeProto, kind: int, value: Any) -> None:
    name = attribute.name
    if value == [] or value is None:
        attribute.Clear()
        attribute.name, attribute.type = name, kind
    else:
        attribute.CopyFrom(helper.make_attribute(name, value))


# ---------------------------------------------------------------- inputs and outputs of nodes


@_mutation
def input_dropped(random: Random, model: onnx.ModelProto) -> None:
    """A node loses an input, or all."""
    node = _node(random, model)
    if node is not None and node.input:
        if random.random() < 0.2:
            del node.input[:]
        else:
            del node.input[random.randrange(len(node.input))]


@_mutation
def input_left_out(random: Random, model: onnx.ModelProto) -> None:
    """An input of a node has no name."""
    node = _node(random, model)
    if node is not None and node.input:
        node.input[random.randrange(len(node.input))] = ""


@_mutation
def input_added(random: Random, model: onnx.ModelProto) -> None:
    """A node gets further inputs."""
    node = _node(random, model)
    if node is not None:
        node.input.extend(_name(random, model) for _ in range(random.choice((1, 1, 2, 9))))


@_mutation
def input_replaced(random: Random, model: onnx.ModelProto) -> None:
    """A node reads another value: of another shape or type, its own output, or none."""
    node = _node(random, model)
    if node is not None and node.input:
        node.input[random.randrange(len(node.input))] = _name(random, model)


@_mutation
def inputs_swapped(random: Random, model: onnx.ModelProto) -> None:
    """Two inputs of a node change places."""
    node = _node(random, model)
    if node is not None and len(node.input) > 1:
        i, k = random.sample(range(len(node.input)), 2)
        node.input[i], node.input[k] = node.input[k], node.input[i]


@_mutation
def outputs_changed(random: Random, model: onnx.ModelProto) -> None:
    """A node has an output less or more, or one without a name."""
    node = _node(random, model)
    if node is None:
        return
    how = random.randrange(3)
    if how == 0 and node.output:
        del node.output[random.randrange(len(node.output))]
    elif how == 1 and node.output:
        node.output[random.randrange(len(node.output))] = ""
    else:
        node.output.extend(f"more{k}" for k in range(random.choice((1, 2, 9))))


# ---------------------------------------------------------------- attributes


@_mutation
def attribute_dropped(random: Random, model: onnx.ModelProto) -> None:
    """A node loses an attribute."""
    node = _node(random, model)
    if node is not None and node.attribute:
        del node.attribute[random.randrange(len(node.attribute))]


@_mutation
def attribute_value(random: Random, model: onnx.ModelProto) -> None:
    """An attribute has another value of its type."""
    node = _node(random, model)
    if node is not None and node.attribute:
        attribute = random.choice(node.attribute)
        value = _value(random, attribute.type)
        if value is not None:
            _set(attribute, attribute.type, value)


@_mutation
def attribute_entry(random: Random, model: onnx.ModelProto) -> None:
    """A list loses or gets an entry, or one of its entries is another."""
    node = _node(random, model)
    lists = [a for a in node.attribute if a.ints] if node is not None else []
    if not lists:
        return
    ints = random.choice(lists).ints
    how = random.randrange(3)
    if how == 0:
        del ints[random.randrange(len(ints))]
    elif how == 1:
        ints.append(random.choice(_EDGES))
    else:
        ints[random.randrange(len(ints))] = random.choice(_EDGES)


@_mutation
def attribute_type(random: Random, model: onnx.ModelProto) -> None:
    """An attribute is of another type."""
    node = _node(random, model)
    if node is not None and node.attribute:
        kind = random.choice(
            [
                AttributeProto.INT,
                AttributeProto.FLOAT,
                AttributeProto.STRING,
                AttributeProto.INTS,
                AttributeProto.FLOATS,
                AttributeProto.STRINGS,
                AttributeProto.TENSOR,
            ]
        )
        _set(random.choice(node.attribute), kind, _value(random, kind))


@_mutation
def attribute_of_the_operator(random: Random, model: onnx.ModelProto) -> None:
    """An attribute that the operator has, and that the node does not give, is given."""
    node = _node(random, model)
    if node is None or node.domain not in ("", "ai.onnx"):
        return
    try:
        schema = onnx.defs.get_schema(node.op_type)
    except onnx.defs.SchemaError:
        return
    given = {a.name for a in node.attribute}
    free = sorted(schema.attributes.keys() - given)
    if free:
        name = random.choice(free)
        kind = int(schema.attributes[name].type)
        value = _value(random, kind)
        if value is not None:
            _set(node.attribute.add(name=name), kind, value)


@_mutation
def attribute_unknown(random: Random, model: onnx.ModelProto) -> None:
    """A node has an attribute that its operator does not, or one twice."""
    node = _node(random, model)
    if node is None:
        return
    if node.attribute and random.random() < 0.5:
        node.attribute.add().CopyFrom(random.choice(node.attribute))
    else:
        node.attribute.append(helper.make_attribute("colour", random.choice(_EDGES)))


# ---------------------------------------------------------------- sizes, types and contents


@_mutation
def input_shape(random: Random, model: onnx.ModelProto) -> None:
    """An input of the model has another size along an axis, or axes less or more."""
    tensors = [v.type.tensor_type for v in model.graph.input if v.type.HasField("tensor_type")]
    if not tensors:
        return
    dims = random.choice(tensors).shape.dim
    how = random.randrange(5)
    if how == 0 and dims:
        del dims[random.randrange(len(dims))]
    elif how == 1:
        dims.add(dim_value=random.choice(_SIZES))
    elif how == 2 and dims:
        dims[random.randrange(len(dims))].dim_param = random.choice(("n", "h", "2*n", "n//0", ""))
    elif dims:
        dims[random.randrange(len(dims))].dim_value = random.choice(_SIZES)


@_mutation
def input_type(random: Random, model: onnx.ModelProto) -> None:
    """An input of the model is of another element type, or of none."""
    tensors = [v.type.tensor_type for v in model.graph.input if v.type.HasField("tensor_type")]
    if tensors:
        random.choice(tensors).elem_type = random.randrange(28)


@_mutation
def shape_left_out(random: Random, model: onnx.ModelProto) -> None:
    """Of an input of the model nothing is said, or not its shape."""
    values = list(model.graph.input)
    if values:
        value = random.choice(values)
        if random.random() < 0.5:
            value.ClearField("type")
        elif value.type.HasField("tensor_type"):
            value.type.tensor_type.ClearField("shape")


def _tensors(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    found = [tensor for graph in graphs(model) for tensor in graph.initializer]
    for graph in graphs(model):
        found += [a.t for node in graph.node for a in node.attribute if a.HasField("t")]
    return found


@_mutation
def tensor_contents(random: Random, model: onnx.ModelProto) -> None:
    """A constant of whole numbers has another one in a place."""
    found = [t for t in _tensors(model) if t.data_type in (6, 7)]
    if not found:
        return
    tensor = random.choice(found)
    try:
        array = numpy_helper.to_array(tensor).copy()
    except (ValueError, TypeError):
        return
    if array.size:
        limits = np.iinfo(array.dtype)
        edge = min(max(random.choice(_EDGES), limits.min), limits.max)
        array.reshape(-1)[random.randrange(array.size)] = edge
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


@_mutation
def tensor_length(random: Random, model: onnx.ModelProto) -> None:
    """A small constant has an element less or more, or another number of axes."""
    found = [t for t in _tensors(model) if len(t.dims) < 3]
    if not found:
        return
    tensor = random.choice(found)
    try:
        array = numpy_helper.to_array(tensor).reshape(-1)
    except (ValueError, TypeError):
        return
    how = random.randrange(4)
    if how == 0:
        array = array[:-1]
    elif how == 1:
        array = np.concatenate([array, array[:1]])
    elif how == 2:
        array = array[None]
    else:
        array = array[:1].reshape(()) if array.size else array
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), tensor.name))


@_mutation
def tensor_shape(random: Random, model: onnx.ModelProto) -> None:
    """A constant says that it has another shape than its contents."""
    found = _tensors(model)
    if found:
        tensor = random.choice(found)
        if tensor.dims and random.random() < 0.7:
            tensor.dims[random.randrange(len(tensor.dims))] = random.choice(_SIZES)
        else:
            tensor.dims.append(random.choice(_SIZES))


@_mutation
def tensor_type(random: Random, model: onnx.ModelProto) -> None:
    """A constant is of another element type."""
    found = _tensors(model)
    if found:
        random.choice(found).data_type = random.randrange(28)


# ---------------------------------------------------------------- nodes and graphs


@_mutation
def operator(random: Random, model: onnx.ModelProto) -> None:
    """A node is of another operator."""
    node = _node(random, model)
    if node is not None:
        node.op_type = random.choice(_OPERATORS)


@_mutation
def domain(random: Random, model: onnx.ModelProto) -> None:
    """A node is of another domain."""
    node = _node(random, model)
    if node is not None:
        node.domain = random.choice(("", "ai.onnx", "ai.onnx.ml", "com.microsoft", "nobody"))


@_mutation
def opset(random: Random, model: onnx.ModelProto) -> None:
    """The model imports another operator set."""
    if model.opset_import:
        random.choice(model.opset_import).version = random.choice((*range(7, 29), 0, -1, 1 << 40))


@_mutation
def node_twice(random: Random, model: onnx.ModelProto) -> None:
    """A node stands in the graph twice."""
    graph = _graph(random, model)
    if graph.node:
        graph.node.add().CopyFrom(random.choice(graph.node))


@_mutation
def node_dropped(random: Random, model: onnx.ModelProto) -> None:
    """A node is missing."""
    graph = _graph(random, model)
    if graph.node:
        del graph.node[random.randrange(len(graph.node))]


@_mutation
def graph_ends(random: Random, model: onnx.ModelProto) -> None:
    """A graph has an input or an output less or more."""
    graph = _graph(random, model)
    values = random.choice((graph.input, graph.output))
    if values and random.random() < 0.5:
        del values[random.randrange(len(values))]
    else:
        values.add(name=_name(random, model))


@_mutation
def names(random: Random, model: onnx.ModelProto) -> None:
    """A node or an output has a name that nobody expects."""
    node = _node(random, model)
    if node is not None:
        name = random.choice((*_NAMES, "n" * 5000))
        if node.output and random.random() < 0.5:
            node.output[random.randrange(len(node.output))] = name
        else:
            node.name = name


_OPERATORS = sorted({schema.name for schema in onnx.defs.get_all_schemas()})
