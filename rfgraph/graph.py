"""An ONNX file as a graph: nodes in topological order, and the values between them.

Model-local functions are inlined with the names of their values kept where these are unique,
subgraphs stay inside their node, and what a subgraph takes from outside (its captures) counts
among the node's inputs.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import AttributeProto, helper, numpy_helper

from rfgraph import model_file
from rfgraph.errors import ModelError, QueryError, ShapeError

if TYPE_CHECKING:
    import networkx as nx

# What an older operator set defines otherwise than this one is not read, nor run by onnxruntime.
_OLDEST = 7

# Functions are inlined into at most so many nodes, from at most so many levels.
_MAX_INLINED = 50_000
_MAX_NESTED = 100

# Types of attributes that hold graphs; one of no type may.
_MAYBE_GRAPHS = frozenset({AttributeProto.GRAPH, AttributeProto.GRAPHS, AttributeProto.UNDEFINED})

# A size of an axis: a number, a name ("batch"), or None where the file says nothing.
Dim = int | str | None


@dataclass(frozen=True, slots=True)
class Input:
    """An input of the model: `dims` is None where not even the rank is given."""

    name: str
    element_type: int
    dims: tuple[Dim, ...] | None


@dataclass(eq=False, slots=True)
class Node:
    """One operator of the graph.

    Attributes
    ----------
    name : str
        The node's own name, or its type and position where it has none.
    op_type, domain : str
        The operator; the domain ``ai.onnx`` is written ``""``.
    version : int
        Version of the operator set that the node is to be read by.
    inputs, outputs : list of str
        Names of values; ``""`` for an optional one that is left out.
    captures : list of str
        Values that the node's subgraphs take from outside; of a node with a `body`, what it
        takes from that.
    opsets : mapping of str to int
        The operator sets that the node's subgraphs are to be read by.
    body : Body or None
        What the node repeats.
    """

    name: str
    op_type: str
    domain: str
    version: int
    inputs: list[str]
    outputs: list[str]
    captures: list[str]
    proto: onnx.NodeProto
    opsets: Mapping[str, int] = field(default_factory=dict)
    body: Body | None = None
    _attributes: dict[str, Any] | None = None

    def __str__(self) -> str:
        domain = f"{self.domain}." if self.domain else ""
        return f"{domain}{self.op_type} '{self.name}'"

    def __repr__(self) -> str:
        return f"<{self}>"

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The node's attributes by name: int, float, str, list or proto."""
        if self._attributes is None:
            self._attributes = {a.name: _value(a) for a in self.proto.attribute}
        return self._attributes

    def attribute(self, name: str, default: Any = None) -> Any:
        """Value of the attribute `name`, else `default`."""
        return self.attributes.get(name, default)

    def subgraphs(self) -> Iterator[onnx.GraphProto]:
        """The graphs among the node's attributes."""
        for attribute in self.proto.attribute:
            if attribute.HasField("g"):
                yield attribute.g
            yield from attribute.graphs


@dataclass(eq=False, slots=True)
class Body:
    """Nodes that are repeated an unknown number of times.

    Attributes
    ----------
    nodes : list of Node
        In topological order.
    carried : list of (str, str, str)
        For each value that goes from round to round: what the first round begins with, the
        value inside, and what the next round begins with.
    at_least_once : bool
        Whether there is a first round.
    """

    nodes: list[Node]
    carried: list[tuple[str, str, str]]
    at_least_once: bool


def _value(attribute: AttributeProto) -> Any:
    kind = attribute.type
    if kind == AttributeProto.INTS:
        return list(attribute.ints)
    if kind == AttributeProto.INT:
        return attribute.i
    if kind == AttributeProto.STRING:
        return attribute.s.decode("utf-8", "replace")
    return helper.get_attribute_value(attribute)


@dataclass(slots=True)
class Graph:
    """A model's graph.

    Attributes
    ----------
    file : str or None
        The model's path.
    proto : onnx.ModelProto
        The model with its functions inlined and without the contents of large tensors.
    weights : rfgraph.model_file.Weights
        The initializers.
    inputs : list of Input
        The inputs proper: initializers that are listed as inputs are none.
    outputs : list of str
        Names of the model's outputs.
    nodes : list of Node
        In topological order; the file's own order where that is one.
    declared : dict of str to (int, shape)
        Element types and shapes that the file gives to inner values and outputs, for the
        sizes of the inputs that it states; empty if one is open.
    producer : dict of str to (Node, int)
        The node that makes a value, and which of its outputs the value is.
    functions : dict of (str, str, str) to onnx.FunctionProto
        The model's own functions by domain, name and overload: calls in subgraphs are inlined
        when these are.
    held : list of Input
        The inputs that are held fixed: their values are among the weights.
    """

    file: str | None
    proto: onnx.ModelProto
    weights: model_file.Weights
    inputs: list[Input]
    outputs: list[str]
    nodes: list[Node]
    declared: dict[str, tuple[int, tuple[int, ...]]] = field(default_factory=dict)
    producer: dict[str, tuple[Node, int]] = field(default_factory=dict)
    functions: dict[tuple[str, str, str], onnx.FunctionProto] = field(default_factory=dict)
    held: list[Input] = field(default_factory=list)

    def walk(self) -> Iterator[Node]:
        """The nodes, those of a body before the node that repeats them."""
        return _walk(self.nodes)

    def values(self) -> Iterator[str]:
        """Names of the values that nodes make, and of those that a body carries from round to
        round, in topological order.
        """
        return _values(self.nodes)

    def to_networkx(self) -> nx.DiGraph:
        """The graph as a networkx DAG: values are their names, operators their `Node`."""
        return _digraph(list(self.walk()), [i.name for i in self.inputs])


def _walk(nodes: list[Node]) -> Iterator[Node]:
    for node in nodes:
        if node.body is not None:
            yield from _walk(node.body.nodes)
        yield node


def _values(nodes: list[Node]) -> Iterator[str]:
    for node in nodes:
        if node.body is not None:
            yield from (inner for _, inner, _ in node.body.carried)
            yield from _values(node.body.nodes)
        yield from filter(None, node.outputs)


def read(
    model: str | os.PathLike[str] | bytes | onnx.ModelProto,
    values: Mapping[str, Any] | None = None,
) -> Graph:
    """Read a model.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
        The model; a ``ModelProto`` is not changed.
    values : mapping of str to array, optional
        Inputs to hold fixed: they become constants.

    Raises
    ------
    ModelError
        Not an ONNX model, or one that breaks a rule: a cycle, a value made twice or by nobody;
        or an operator as only an operator set before version 7 defines it.
    """
    proto, weights, file = model_file.load(model)
    opsets = opsets_of(proto.opset_import, file)
    functions = {key_of_function(f): f for f in proto.functions}
    versions = _inline(proto, functions, opsets, file) if functions else None
    graph = proto.graph
    if values:
        _hold(proto, weights, values, file)
    inputs = [_input(v, file) for v in graph.input if v.name not in weights]
    held = [_input(v, file) for v in graph.input if v.name in (values or ())]
    nodes = [
        make_node(node, opsets if versions is None else versions[index], f"_{index}", file)
        for index, node in enumerate(graph.node)
    ]
    out = Graph(file, proto, weights, inputs, [v.name for v in graph.output], nodes)
    out.functions, out.held = functions, held
    if any(n.domain for n in nodes):
        out.declared = _declared(proto.graph, inputs)
    _check(out)
    return out


def make_node(
    proto: onnx.NodeProto, opsets: Mapping[str, int], suffix: str, file: str | None
) -> Node:
    """A node by the operator sets that hold for it; one without a name gets type and `suffix`.

    Raises
    ------
    ModelError
        The node's operator set is not imported, or is too old for it.
    """
    domain = proto.domain if proto.domain != "ai.onnx" else ""
    if not isinstance(proto.op_type, str) or not isinstance(proto.name, str):
        raise ModelError(f"{proto.op_type!r} is no name of an operator", file=file)
    if domain not in opsets:
        raise ModelError(
            f"the model imports no operator set of the domain '{domain or 'ai.onnx'}'",
            file=file,
            node=f"{proto.op_type} '{proto.name}'",
            remedy="add it to the model's opset_import",
        )
    if not domain and opsets[""] < _OLDEST and _is_outdated(proto.op_type, opsets[""]):
        raise ModelError(
            f"operator set {opsets['']} defines it otherwise than operator set {_OLDEST}, from "
            "which on it is read",
            file=file,
            node=f"{proto.op_type} '{proto.name}'",
            remedy="convert the model with onnx.version_converter",
        )
    return Node(
        proto.name or f"{proto.op_type}{suffix}",
        proto.op_type,
        domain,
        opsets[domain],
        list(proto.input),
        list(proto.output),
        _captures(proto),
        proto,
        opsets,
    )


def key_of_function(function: onnx.FunctionProto) -> tuple[str, str, str]:
    """Domain, name and overload of a function."""
    return function.domain, function.name, getattr(function, "overload", "")


def key_of_call(node: onnx.NodeProto) -> tuple[str, str, str]:
    """Domain, name and overload of the function that a node may call."""
    return node.domain, node.op_type, getattr(node, "overload", "")


def _hold(
    proto: onnx.ModelProto, weights: model_file.Weights, values: Mapping[str, Any], file: str | None
) -> None:
    """Make constants of the inputs named in `values`."""
    types = {v.name: v.type.tensor_type for v in proto.graph.input}
    for name, value in values.items():
        if name not in types:
            raise QueryError(
                f"values: the model has no input '{name}'",
                file=file,
                remedy=f"its inputs are {', '.join(types)}",
            )
        if not types[name].elem_type:
            raise ShapeError(f"values: input '{name}' is no tensor", file=file)
        declared = helper.tensor_dtype_to_np_dtype(types[name].elem_type)
        rank = len(types[name].shape.dim)
        try:
            exact = np.asarray(value)
            with np.errstate(invalid="ignore"):
                array = exact.astype(declared)
            if declared.kind in "iub" and not (array == exact).all():
                raise ValueError("it would be rounded")
        except (TypeError, ValueError) as error:
            raise QueryError(
                f"values: what is given for '{name}' is no array of {declared}: {error}", file=file
            ) from None
        if not rank and array.size == 1:
            array = array.reshape(())
        if types[name].HasField("shape") and array.ndim != rank:
            raise ShapeError(
                f"values: '{name}' has {rank} axes, and the array given has {array.ndim}", file=file
            )
        if name not in weights:
            proto.graph.initializer.add().name = name
        for tensor in proto.graph.initializer:
            if tensor.name == name:
                tensor.CopyFrom(numpy_helper.from_array(array, name))
                weights.tensors[name] = tensor


def opsets_of(imports: Any, file: str | None) -> dict[str, int]:
    """Versions of the operator sets by domain.

    Raises
    ------
    ModelError
        ONNX's own has a version that does not exist.
    """
    opsets = {i.domain if i.domain != "ai.onnx" else "": i.version for i in imports}
    version = opsets.get("")
    if version is not None and version < 1:
        raise ModelError(f"there is no operator set {version}", file=file)
    return opsets


@cache
def _is_outdated(op_type: str, version: int) -> bool:
    """Whether an operator of ONNX is defined anew between a version and the oldest that is read."""
    try:
        since: int = onnx.defs.get_schema(op_type, _OLDEST, "").since_version
    except onnx.defs.SchemaError:
        return False
    # Its shape as an attribute is still run.
    return since > version and op_type != "Reshape"


def _input(value: onnx.ValueInfoProto, file: str | None) -> Input:
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not tensor.HasField("shape"):
        return Input(value.name, tensor.elem_type, None)
    dims: list[Dim] = []
    for dim in tensor.shape.dim:
        if dim.HasField("dim_value"):
            if dim.dim_value == -1:
                # Some exporters write an open axis so.
                dims.append(None)
                continue
            if dim.dim_value < 0:
                raise ModelError(
                    f"an axis of input '{value.name}' has the size {dim.dim_value}", file=file
                )
            dims.append(dim.dim_value)
        else:
            # A mark such as '?' is no name: two axes that have it may differ.
            name = str(dim.dim_param)
            dims.append(name if any(map(str.isalnum, name)) else None)
    return Input(value.name, tensor.elem_type, tuple(dims))


def _declared(
    graph: onnx.GraphProto, inputs: list[Input]
) -> dict[str, tuple[int, tuple[int, ...]]]:
    """The concrete shapes that the file states, which hold if no size of an input is open."""
    if not all(i.dims is not None and all(isinstance(d, int) for d in i.dims) for i in inputs):
        return {}
    found = {}
    for value in (*graph.value_info, *graph.output):
        tensor = value.type.tensor_type
        if tensor.HasField("shape") and all(d.HasField("dim_value") for d in tensor.shape.dim):
            found[value.name] = tensor.elem_type, tuple(d.dim_value for d in tensor.shape.dim)
    return found


def _captures(node: onnx.NodeProto) -> list[str]:
    """Names that the subgraphs of `node` use and do not define, in order of use."""
    found: dict[str, None] = {}
    for attribute in node.attribute:
        if attribute.type in _MAYBE_GRAPHS:
            for graph in (attribute.g, *attribute.graphs):
                found.update(dict.fromkeys(_free_names(graph)))
    return list(found)


def _formal_names(graph: onnx.GraphProto) -> Iterator[str]:
    yield from (v.name for v in graph.input)
    yield from (t.name for t in graph.initializer)
    yield from (s.values.name for s in graph.sparse_initializer)


def own_names(graph: onnx.GraphProto) -> Iterator[str]:
    """The values that a graph has of its own: those of its subgraphs not."""
    yield from _formal_names(graph)
    yield from (name for node in graph.node for name in node.output if name)


def _free_names(graph: onnx.GraphProto) -> list[str]:
    own = set(_formal_names(graph))
    free: dict[str, None] = {}
    for node in graph.node:
        for name in (*node.input, *_captures(node)):
            if name and name not in own:
                free[name] = None
        own.update(node.output)
    for output in graph.output:
        if output.name not in own:
            free[output.name] = None
    return list(free)


def _check(graph: Graph) -> None:
    """Fill in the producers, and put the nodes into topological order."""
    known: set[str] = set()
    tensors = [t.name for t in graph.proto.graph.initializer]
    tensors += [s.values.name for s in graph.proto.graph.sparse_initializer]
    for name in [*(i.name for i in graph.inputs), *tensors]:
        if name in known:
            kind = "initializers" if name in tensors else "inputs"
            raise ModelError(f"two {kind} are called '{name}'", file=graph.file)
        known.add(name)
    producer = graph.producer
    for node in graph.nodes:
        for k, name in enumerate(node.outputs):
            if not name:
                continue
            if not isinstance(name, str):
                raise ModelError(f"{name!r} is no name", file=graph.file, node=repr(node.name))
            if name in producer or name in known:
                raise ModelError(f"'{name}' is made twice", file=graph.file, node=str(node))
            producer[name] = node, k
    in_order = True
    for node in graph.nodes:
        for name in (*node.inputs, *node.captures) if node.captures else node.inputs:
            if name and name not in known:
                if name not in producer:
                    raise ModelError(
                        f"its input '{name}' is made by no node and is no input of the model",
                        file=graph.file,
                        node=str(node),
                    )
                in_order = False
        known.update(node.outputs)
    for name in graph.outputs:
        if name not in known:
            raise ModelError(f"the output '{name}' is made by no node", file=graph.file)
    if not in_order:
        graph.nodes = _in_order(graph)


def _in_order(graph: Graph) -> list[Node]:
    """The nodes in topological order, as near to the file's own as that allows."""
    # Imported where it is needed: it takes as long as numpy, and most files are in order.
    import networkx as nx

    digraph = _digraph(graph.nodes, [])
    position = {node: k for k, node in enumerate(graph.nodes)}
    try:
        order = nx.lexicographical_topological_sort(digraph, lambda n: position.get(n, -1))
        return [n for n in order if isinstance(n, Node)]
    except nx.NetworkXUnfeasible:
        cycle = [str(edge[0]) for edge in nx.find_cycle(digraph) if isinstance(edge[0], Node)]
        shown = [*cycle[:6], f"... {len(cycle) - 6} more"] if len(cycle) > 7 else cycle
        raise ModelError(
            "the graph has a cycle: " + " -> ".join([*shown, cycle[0]]), file=graph.file
        ) from None


def _digraph(nodes: list[Node], values: list[str]) -> nx.DiGraph:
    import networkx as nx

    graph = nx.DiGraph()
    graph.add_nodes_from(values)
    for node in nodes:
        graph.add_node(node, op_type=node.op_type)
        graph.add_edges_from((name, node) for name in (*node.inputs, *node.captures) if name)
        graph.add_edges_from((node, name) for name in node.outputs if name)
    return graph


# Inlining of model-local functions
# (https://github.com/onnx/onnx/blob/main/docs/IR.md#functions)


def _inline(
    proto: onnx.ModelProto,
    functions: Mapping[tuple[str, str, str], onnx.FunctionProto],
    opsets: dict[str, int],
    file: str | None,
) -> list[dict[str, int]]:
    """Replace calls of model-local functions by their bodies; give each node's operator sets."""
    taken = {v.name for v in (*proto.graph.input, *proto.graph.output)}
    taken.update(t.name for t in proto.graph.initializer)
    for node in proto.graph.node:
        taken.update((*node.input, *node.output))
    nodes: list[onnx.NodeProto] = []
    versions: list[dict[str, int]] = []

    def expand(
        node: onnx.NodeProto, imports: dict[str, int], stack: tuple[tuple[str, str], ...]
    ) -> None:
        function = functions.get(key_of_call(node))
        if function is None:
            nodes.append(node)
            versions.append(imports)
            return
        if len(nodes) > _MAX_INLINED or len(stack) > _MAX_NESTED:
            raise ModelError(
                f"the function '{function.name}' is called too often or too deep to be inlined",
                file=file,
                node=node.name,
            )
        if (function.domain, function.name) in stack:
            raise ModelError(
                f"the function '{function.name}' calls itself", file=file, node=node.name
            )
        call = node.name or f"{node.op_type}_{len(nodes)}"
        if len(node.input) > len(function.input) or len(node.output) > len(function.output):
            raise ModelError(
                f"more arguments than the function '{function.name}' has: it takes "
                f"{len(function.input)} inputs and gives {len(function.output)} outputs",
                file=file,
                node=call,
            )
        arguments = [*node.input, *[""] * (len(function.input) - len(node.input))]
        renamed = dict(zip(function.input, arguments, strict=True))
        results = zip(function.output, node.output, strict=False)
        renamed.update((inner, outer) for inner, outer in results if outer)
        given = {a.name: a for a in function.attribute_proto}
        given.update((a.name, a) for a in node.attribute)
        inner = opsets_of(function.opset_import, file) or imports
        for body in function.node:
            copy = onnx.NodeProto()
            copy.CopyFrom(body)
            copy.name = f"{call}/{body.name or body.op_type}"
            for name in body.input:
                if name and name not in renamed:
                    raise ModelError(
                        f"'{name}' is made by no node of the function '{function.name}'",
                        file=file,
                        node=copy.name,
                    )
            for name in body.output:
                if name and name not in renamed:
                    renamed[name] = unique(name, call)
            bind(copy, renamed, given)
            expand(copy, inner, (*stack, (function.domain, function.name)))

    repeats: Counter[str] = Counter()

    def unique(name: str, call: str) -> str:
        candidate = name if name not in taken else f"{call}/{name}"
        while candidate in taken:
            repeats[f"{call}/{name}"] += 1
            candidate = f"{call}/{name}.{repeats[f'{call}/{name}']}"
        taken.add(candidate)
        return candidate

    for node in list(proto.graph.node):
        expand(node, opsets, ())
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del proto.graph.node[:]
    proto.graph.node.extend(copies)
    del proto.functions[:]
    return versions


def bind(
    node: onnx.NodeProto, renamed: Mapping[str, str], given: Mapping[str, AttributeProto]
) -> None:
    """Put a function's arguments into a node of its body, in place."""
    node.input[:] = [renamed.get(name, name) for name in node.input]
    node.output[:] = [renamed.get(name, name) for name in node.output]
    attributes = []
    for attribute in node.attribute:
        if attribute.ref_attr_name:
            if attribute.ref_attr_name not in given:
                continue
            bound = AttributeProto()
            bound.CopyFrom(given[attribute.ref_attr_name])
            bound.name = attribute.name
        else:
            bound = attribute
        for graph in ([bound.g] if bound.HasField("g") else []) + list(bound.graphs):
            own = set(own_names(graph))
            outer = {old: new for old, new in renamed.items() if old not in own}
            # What comes from outside must not be hidden by a value that happens to have its name.
            hiding = own.intersection(outer.values())
            outer.update(fresh_names(hiding, own.union(outer.values())))
            rename(graph, outer)
            for inner in graph.node:
                bind(inner, outer, given)
        attributes.append(bound)
    copies = [AttributeProto.FromString(a.SerializeToString()) for a in attributes]
    del node.attribute[:]
    node.attribute.extend(copies)


def fresh_names(names: Iterable[str], taken: Collection[str]) -> dict[str, str]:
    """For each of some names one that is not taken, nor given to another."""
    found: dict[str, str] = {}
    used = set(taken)
    for name in sorted(names):
        numbered = (f"{name}.{k}" for k in count(1))
        found[name] = next(other for other in numbered if other not in used)
        used.add(found[name])
    return found


def rename(graph: onnx.GraphProto, renamed: Mapping[str, str]) -> None:
    """Give other names to what a graph takes and returns, in place: its nodes are left alone."""
    tensors = [*graph.initializer, *(sparse.values for sparse in graph.sparse_initializer)]
    for value in (*graph.input, *graph.output, *graph.value_info, *tensors):
        value.name = renamed.get(value.name, value.name)
