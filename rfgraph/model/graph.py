"""An ONNX file as a graph: nodes in topological order, and the values between them.

Model-local functions are inlined with the names of their values kept where these are unique,
subgraphs stay inside their node, and what a subgraph takes from outside (its captures) counts
among the node's inputs.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from rfgraph.errors import EXPORT_AGAIN, ModelError, QueryError, ShapeError
from rfgraph.model import element_types, model_file
from rfgraph.model._known import made_of, outputs_of
from rfgraph.model._wire import Node as Node
from rfgraph.model._wire import attributes, operator, producers
from rfgraph.model.functions import (
    FunctionKey,
    inlined,
    key_of_call,
    key_of_function,
    opsets_of,
)
from rfgraph.model.model_file import Head, Value
from rfgraph.model.signatures import signature
from rfgraph.model.subgraphs import captures_of
from rfgraph.model.weights import Tensor, Weights, merged

if TYPE_CHECKING:
    import networkx as nx
    import onnx

    from rfgraph.model._wire import Key

# An operator that an older operator set defines differently from this one is not read; onnxruntime
# does not run it either.
_OLDEST = 7

# The attribute type of tensors: ``AttributeProto.TENSOR``.
_TENSOR = 4

# onnxruntime's domain for operators on images whose channels are split into blocks: N, blocks, H,
# W, channels of a block. _FROM_BLOCKS puts them back into NCHW.
NCHWC = "com.microsoft.nchwc"
_FROM_BLOCKS = "ReorderOutput"

# Attributes of up to this many bytes are compared, to find nodes that are alike.
_COMPARED = 4096

# What was worked out for the nodes of one model holds for those of the next: the kinds of ONNX's
# and onnxruntime's operators are kept, up to so many for some operator sets; then it begins anew.
_MOST_KEPT, _MOST_SETS = 2048, 16

# So much is known of a kind, shapes of its outputs by those of its inputs: more than a model has.
_MOST_KNOWN = 4096
_KEPT: dict[frozenset[tuple[str, int]], dict[Key, Kind]] = {}
_NUMBERS = itertools.count()
_KEPT_DOMAINS = ("ai.onnx.", "com.microsoft")

# A size of an axis: a number, a name ("batch"), or None where the file says nothing.
Dim = int | str | None


@dataclass(frozen=True, slots=True)
class Input:
    """An input of the model: `dims` is None where not even the rank is given."""

    name: str
    element_type: int
    dims: tuple[Dim, ...] | None


class Kind:
    """What equal nodes have in common: all but their names and those of their values.

    Within a graph it is one object for all of them (unless their attributes are large), and in most
    cases for the graphs that are read later too, so that what follows from it and from the shapes
    of a node's inputs is worked out once. What a node with a `Node.body` does is no matter of its
    kind alone.

    Attributes
    ----------
    op_type, domain : str
        The operator; the domain ``ai.onnx`` is written ``""``.
    version : int
        Version of the operator set that the nodes are to be read by.
    inputs, outputs : int
        How many inputs and outputs they have, those that are left out included.
    number : int
        Its own: no other kind of this process has it.
    left_out : tuple of int
        Which are left out: ``k`` for input `k`, ``~k`` for output `k`.
    captures : tuple of str
        Values that the subgraphs take from outside.
    fault : str
        In what such nodes are not as ONNX defines the operator; ``""`` if they are.
    holds_graphs, holds_external : bool
        Whether an attribute is a graph, or a tensor whose contents lie in another file.
    known : dict
        What was worked out for such nodes, by what it follows from: see `rfgraph.shapes.shapes`.
    answers : dict
        What they read, by what it follows from: see `rfgraph.engine.trace`.
    told : tuple or None
        By what `answers` was told last, and the answers: see `rfgraph.model._known.answered`.
    steering : tuple of int or None
        The inputs whose contents have a say in `known`: see `rfgraph.model._known.shaped`.
    contents : bytes or None
        The elements that each such node makes, where it is a constant of a few.
    rule : object
        The rule for the shapes of the outputs, once it has been looked for: see
        `rfgraph.ops.shaping`.
    """

    __slots__ = (
        "_attributes",
        "_content",
        "_others",
        "_types",
        "answers",
        "captures",
        "contents",
        "domain",
        "fault",
        "holds_external",
        "holds_graphs",
        "inputs",
        "known",
        "left_out",
        "number",
        "op_type",
        "outputs",
        "rule",
        "steering",
        "told",
        "version",
    )

    def __init__(self, key: Key, opsets: Mapping[str, int], name: str, file: str | None) -> None:
        self._content, self.inputs, self.outputs, self.left_out = key
        op_type, domain, self.holds_graphs, self.holds_external = operator(self._content)
        if domain == "ai.onnx":
            domain = ""
        if not isinstance(op_type, str):
            raise ModelError(
                f"{op_type!r} is not the name of an operator", file=file, remedy=EXPORT_AGAIN
            )
        if domain not in opsets:
            raise ModelError(
                f"the model imports no operator set of the domain '{domain or 'ai.onnx'}'",
                file=file,
                node=f"{op_type} '{name}'",
                remedy="add it to the model's opset_import",
            )
        if not domain and opsets[""] < _OLDEST and _is_outdated(op_type, opsets[""]):
            raise ModelError(
                f"operator set {opsets['']} defines it differently from operator set {_OLDEST}, "
                "the oldest one that is read",
                file=file,
                node=f"{op_type} '{name}'",
                remedy="convert the model to a newer one with onnx.version_converter",
            )
        self.op_type = op_type
        self.domain = domain
        self.version = opsets[domain]
        self.number = next(_NUMBERS)
        self.known: dict[Any, Any] = {}
        self.answers: dict[Any, Any] = {}
        self.told: tuple[Any, Any, dict[Any, Any]] | None = None
        self.steering: tuple[int, ...] | None = None
        self.contents: bytes | None = None
        self.rule: Any = NotImplemented
        # The attributes, those that are left to be parsed, and the types of all.
        self._attributes: dict[str, Any] = {}
        self._others: dict[str, bytes] | None = None
        self._types: dict[str, int] = {}
        own = not domain or domain.startswith("ai.onnx.")
        defined = signature(domain, op_type, self.version) if own else None
        self.fault = ""
        if defined is not None:
            self.fault = defined.fault(
                self.inputs, self.outputs, self.left_out, self.attribute_types
            )
        self.captures = tuple(captures_of(self.proto)) if self.holds_graphs else ()

    @property
    def proto(self) -> onnx.NodeProto:
        """Operator and attributes as a message of its own, without names."""
        import onnx

        return merged(onnx.NodeProto(), self._content)

    def proto_of(self, node: Node) -> onnx.NodeProto:
        """A node of the kind as a message of its own."""
        import onnx

        name = node.name if node.named else ""
        proto = onnx.NodeProto(name=name, input=node.inputs, output=node.outputs)
        return merged(proto, self._content)

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The attributes by name: int, float, str, list, `Tensor` or proto."""
        if self._others is None:
            self._parse()
        if self._others:
            from onnx import AttributeProto, helper

            for name, message in self._others.items():
                value = helper.get_attribute_value(merged(AttributeProto(), message))
                self._attributes[name] = value
            self._others = {}
        return self._attributes

    @property
    def attribute_types(self) -> Mapping[str, int]:
        """The types of the attributes by name: ``AttributeProto.AttributeType``."""
        self._parse()
        return self._types

    def _parse(self) -> None:
        if self._others is None:
            self._attributes, self._others, self._types = attributes(self._content)
            for name, kind in self._types.items():
                if kind == _TENSOR:
                    self._attributes[name] = Tensor.read(self._attributes[name], self._content)

    def attribute(self, name: str, default: Any = None) -> Any:
        """Value of the attribute `name`, else `default`."""
        return self.attributes.get(name, default)

    def learn(self, key: Any, made: Any) -> None:
        """Keep in `known` what follows from `key`."""
        if len(self.known) >= _MOST_KNOWN:
            self.known.clear()
        self.known[key] = made

    def subgraphs(self) -> Iterator[onnx.GraphProto]:
        """The graphs among the attributes."""
        for attribute in self.proto.attribute:
            if attribute.HasField("g"):
                yield attribute.g
            yield from attribute.graphs

    @property
    def called(self) -> FunctionKey:
        """Domain, name and overload of the function that the nodes may call."""
        return key_of_call(self.proto)


def _kept(opsets: Mapping[str, int]) -> dict[Key, Kind]:
    """The kinds that are kept of models of some operator sets."""
    if len(_KEPT) >= _MOST_SETS:
        _KEPT.clear()
    kept = _KEPT.setdefault(frozenset(opsets.items()), {})
    if len(kept) >= _MOST_KEPT:
        kept.clear()
    return kept


class Kinds:
    """The kinds of the nodes of a graph that are not kept beyond it."""

    def __init__(self) -> None:
        self._known: dict[frozenset[tuple[str, int]], dict[Key, Kind]] = {}

    def under(self, opsets: Mapping[str, int]) -> dict[Key, Kind]:
        """Those that are read by some operator sets."""
        return self._known.setdefault(frozenset(opsets.items()), {})


def _kind(
    kept: dict[Key, Kind],
    known: dict[Key, Kind],
    key: Key,
    opsets: Mapping[str, int],
    name: str,
    file: str | None,
) -> Kind:
    """The kind of a node that is called `name`, by its key: see `rfgraph.model._wire.nodes`."""
    kind = kept.get(key) or known.get(key)
    if kind is None:
        kind = Kind(key, opsets, name, file)
        if len(key[0]) <= _COMPARED:
            own = not kind.domain or kind.domain.startswith(_KEPT_DOMAINS)
            # Subgraphs and the contents of other files belong to their model.
            lasts = own and not (kind.holds_graphs or kind.holds_external)
            (kept if lasts and len(kept) < _MOST_KEPT else known)[key] = kind
    return kind


def forget_kinds() -> None:
    """Let models that are read from now on begin anew: operators are not what they were."""
    _KEPT.clear()


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


@dataclass(slots=True)
class Graph:
    """A model's graph.

    Attributes
    ----------
    file : str or None
        The model's path.
    head : rfgraph.model.model_file.Head
        The model without the nodes and initializers of its graph.
    weights : rfgraph.model.weights.Weights
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
    producer : dict of str to Node
        The node that makes a value.
    functions : dict of (str, str, str) to onnx.FunctionProto
        The model's own functions by domain, name and overload: calls in subgraphs are inlined
        when these are.
    held : list of Input
        The inputs that are held fixed: their values are among the weights.
    kinds : Kinds
        The kinds of its nodes that are not kept beyond it.
    """

    file: str | None
    head: Head
    weights: Weights
    inputs: list[Input]
    outputs: list[str]
    nodes: list[Node]
    declared: dict[str, tuple[int, tuple[int, ...]]] = field(default_factory=dict)
    producer: dict[str, Node] = field(default_factory=dict)
    functions: dict[FunctionKey, onnx.FunctionProto] = field(default_factory=dict)
    held: list[Input] = field(default_factory=list)
    kinds: Kinds = field(default_factory=Kinds)
    _in_blocks: frozenset[str] | None = None

    @property
    def in_blocks(self) -> frozenset[str]:
        """The values with channels in blocks, and what operators of ONNX's own make of them."""
        if self._in_blocks is None:
            found: set[str] = set()
            for node in self.walk():
                made = node.op_type != _FROM_BLOCKS if node.domain == NCHWC else not node.domain
                if made and (node.domain or not found.isdisjoint(node.inputs)):
                    found.update(node.outputs)
            self._in_blocks = frozenset(found)
        return self._in_blocks

    def walk(self) -> Iterator[Node]:
        """The nodes, those of a body before the node that repeats them."""
        return _walk(self.nodes)

    def values(self) -> Iterator[str]:
        """Names of the values that nodes make, and of those that a body carries from round to
        round, in topological order.
        """
        made = outputs_of(self.nodes)
        return _values(self.nodes) if made is None else iter(made)

    def ancestors(self, name: str) -> set[str]:
        """What a value is made of, directly or not, and itself."""
        known = made_of(self.nodes, name)
        if known is not None:
            return known
        # What goes from round to round depends on what comes behind it.
        found, pending = {name}, [name]
        while pending:
            made = self.producer.get(pending.pop())
            if made is not None:
                new = {*made.inputs, *made.captures} - found
                pending.extend(new)
                found |= new
        return found

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
    source = model_file.load(model)
    head, weights, file = source.head, source.weights, source.file
    opsets = opsets_of(head.opset_import, file)
    functions = {key_of_function(f): f for f in head.functions}
    kinds = Kinds()
    kept, known = _kept(opsets), kinds.under(opsets)

    def make(key: Key, name: str) -> Kind:
        return _kind(kept, known, key, opsets, name, file)

    nodes = source.nodes(kept, make, opsets)
    if functions:
        protos = [node.proto for node in nodes]
        taken = {v.name for v in (*head.inputs, *head.outputs)}
        taken.update(source.tensors)
        nodes = [
            make_node(node, imports, f"_{index}", file, kinds)
            for index, (node, imports) in enumerate(inlined(protos, taken, functions, opsets, file))
        ]
    as_defined(nodes, file)
    if values:
        _hold(head, weights, values, file)
    inputs = [_input(v, file) for v in head.inputs if v.name not in weights]
    held = [_input(v, file) for v in head.inputs if v.name in (values or ())]
    outputs = [v.name for v in head.outputs]
    out = Graph(file, head, weights, inputs, outputs, nodes)
    out.functions, out.held, out.kinds = functions, held, kinds
    if any(domain for domain in opsets):
        out.declared = _declared(head, inputs)
    fixed = [name for name in values or () if name not in source.tensors]
    _check(out, [*source.tensors, *fixed, *weights.sparse])
    return out


def make_node(
    proto: onnx.NodeProto,
    opsets: Mapping[str, int],
    suffix: str,
    file: str | None,
    kinds: Kinds,
) -> Node:
    """A node by the operator sets that hold for it; one without a name gets type and `suffix`.

    Raises
    ------
    ModelError
        The node's operator set is not imported, or is too old for it.
    """
    import onnx

    inputs, outputs = tuple(proto.input), tuple(proto.output)
    common = onnx.NodeProto(op_type=proto.op_type, domain=proto.domain, attribute=proto.attribute)
    if overload := getattr(proto, "overload", ""):
        common.overload = overload
    left_out = [k for k, name in enumerate(inputs) if not name]
    left_out += [~k for k, name in enumerate(outputs) if not name]
    key = common.SerializeToString(), len(inputs), len(outputs), tuple(left_out)
    kind = _kind(_kept(opsets), kinds.under(opsets), key, opsets, proto.name, file)
    name = proto.name or f"{kind.op_type}{suffix}"
    named = bool(proto.name)
    return Node(name, kind, inputs, outputs, kind.captures, opsets, None, named)


def as_defined(nodes: Iterable[Node], file: str | None) -> None:
    """Refuse nodes that are not as ONNX defines their operators: nothing else meets one."""
    for node in nodes:
        if node.kind.fault:
            raise ModelError(
                node.kind.fault,
                file=file,
                node=str(node),
                remedy=EXPORT_AGAIN,
            )


def _hold(head: Head, weights: Weights, values: Mapping[str, Any], file: str | None) -> None:
    """Make constants of the inputs named in `values`."""
    types = {v.name: v for v in head.inputs}
    for name, value in values.items():
        if name not in types:
            raise QueryError(
                f"values: the model has no input '{name}'",
                file=file,
                remedy=f"its inputs are {', '.join(types)}",
            )
        element_type, dims = types[name].element_type, types[name].dims
        if not element_type:
            raise ShapeError(f"values: input '{name}' is not a tensor", file=file)
        declared = element_types.dtype_of(element_type)
        try:
            exact = np.asarray(value)
            with np.errstate(invalid="ignore"):
                array = exact.astype(declared)
            if declared.kind in "iub" and not (array == exact).all():
                raise ValueError("numbers would be rounded")
        except (TypeError, ValueError) as error:
            raise QueryError(
                f"values: what is given for input '{name}' is not an array of {declared}: {error}",
                file=file,
            ) from None
        if not dims and array.size == 1:
            array = array.reshape(())
        if dims is not None and array.ndim != len(dims):
            raise ShapeError(
                f"values: input '{name}' has {len(dims)} axes, and the array that is given has "
                f"{array.ndim}",
                file=file,
            )
        weights.put(name, Tensor.of_array(array, name))


def _is_outdated(op_type: str, version: int) -> bool:
    """Whether an operator of ONNX is defined anew between a version and the oldest that is read."""
    known = signature("", op_type, _OLDEST)
    # Its shape as an attribute is still run.
    return known is not None and known.since > version and op_type != "Reshape"


def _input(value: Value, file: str | None) -> Input:
    if value.dims is None:
        return Input(value.name, value.element_type, None)
    dims: list[Dim] = []
    for dim in value.dims:
        if isinstance(dim, int):
            if dim < -1:
                raise ModelError(
                    f"an axis of input '{value.name}' has the size {dim}",
                    file=file,
                    remedy=EXPORT_AGAIN,
                )
            # Some exporters write an open axis as -1.
            dims.append(None if dim == -1 else dim)
        else:
            # A mark such as '?' is no name: two axes that have it may differ.
            name = str(dim)
            dims.append(name if any(map(str.isalnum, name)) else None)
    return Input(value.name, value.element_type, tuple(dims))


def _declared(head: Head, inputs: list[Input]) -> dict[str, tuple[int, tuple[int, ...]]]:
    """The concrete shapes that the file states, which hold if no size of an input is open."""
    if not all(i.dims is not None and all(isinstance(d, int) for d in i.dims) for i in inputs):
        return {}
    found = {}
    for value in (*head.values(), *head.outputs):
        sizes = tuple([size for size in value.dims or () if isinstance(size, int)])
        if value.dims is not None and len(sizes) == len(value.dims):
            found[value.name] = value.element_type, sizes
    return found


def _check(graph: Graph, tensors: list[str]) -> None:
    """Fill in the producers, and put the nodes into topological order."""
    given: set[str] = set()
    for name in [*(i.name for i in graph.inputs), *tensors]:
        if not name:
            raise ModelError(
                "an input or an initializer has no name",
                file=graph.file,
                remedy=EXPORT_AGAIN,
            )
        if name in given:
            kind = "initializers" if name in tensors else "inputs"
            raise ModelError(
                f"two {kind} have the name '{name}'", file=graph.file, remedy=EXPORT_AGAIN
            )
        given.add(name)
    producer, in_order, wrong = producers(graph.nodes, given)
    if wrong is not None:
        node, name = wrong
        if not isinstance(name, str):
            raise ModelError(
                f"{name!r} is not a name of an output",
                file=graph.file,
                node=repr(node.name),
                remedy=EXPORT_AGAIN,
            )
        raise ModelError(
            f"its output '{name}' has the name of another value",
            file=graph.file,
            node=str(node),
            remedy=EXPORT_AGAIN,
        )
    graph.producer = producer
    known = given | producer.keys()
    for node in graph.nodes if not in_order else ():
        for name in (*node.inputs, *node.captures):
            if name and name not in known:
                raise ModelError(
                    f"its input '{name}' is neither made by a node nor an input of the model",
                    file=graph.file,
                    node=str(node),
                    remedy=EXPORT_AGAIN,
                )
    for name in graph.outputs:
        if name not in known:
            raise ModelError(
                f"no node makes the output '{name}'", file=graph.file, remedy=EXPORT_AGAIN
            )
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
            "the graph has a cycle: " + " -> ".join([*shown, cycle[0]]),
            file=graph.file,
            remedy=EXPORT_AGAIN,
        ) from None
    finally:
        # It refers to itself, and would keep the nodes.
        digraph.clear()


def _digraph(nodes: list[Node], values: list[str]) -> nx.DiGraph:
    import networkx as nx

    graph = nx.DiGraph()
    graph.add_nodes_from(values)
    for node in nodes:
        graph.add_node(node, op_type=node.op_type)
        graph.add_edges_from((name, node) for name in (*node.inputs, *node.captures) if name)
        graph.add_edges_from((node, name) for name in node.outputs if name)
    return graph
