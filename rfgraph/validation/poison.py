"""A *probe*: a model rewritten so that a NaN put into an input shows what depends on it.

Run unoptimised, most of onnxruntime's kernels carry a NaN to exactly the elements that read it,
through a weight of zero, a saturated activation and a softmax over one element alike: `CARRIES`
lists them. Some lose it (a maximum, a comparison), some spread it (a running sum), and an integer
can't hold one. For those `RULES` has what stands in: an operator that reads the same elements and
carries NaN, or the operator itself on data of its own, with and without a change where its input is
NaN. All that depends on an input holds 32-bit floats in the probe.

What is in neither list is not trusted: what depends on it is *lost*, and the probe says why.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Literal, TypeAlias

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rfgraph.errors import QueryError
from rfgraph.graph import Node, read

Shape: TypeAlias = tuple[int, ...]
Key: TypeAlias = tuple[str, str]
Taps: TypeAlias = Literal["read", "weighted"]

FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)

MICROSOFT = "com.microsoft"
NCHWC = "com.microsoft.nchwc"
NHWC = "com.ms.internal.nhwc"

# Operators whose outputs are known from shapes alone, and outputs that no data can change.
_SHAPE_ONLY = frozenset({("", "Shape"), ("", "Size")})
_DEAD_OUTPUTS = frozenset({(("", "Dropout"), 1), (("", "SequenceLength"), 0)})

# An interpolation weight below this is rounding of one that is zero.
_WEIGHT = 1e-4

# How often an operator is run on data of its own.
_DRAWS = 2

_ONE = numpy_helper.from_array(np.ones(1, np.float32))

# ONNX's operator set where a model imports none.
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
    # Functions are inlined as the analysis has them, so that all names are the same.
    light = read(model)
    weights = {t.name for t in model.graph.initializer}
    weights.update(t.values.name for t in model.graph.sparse_initializer)
    live = {v.name for v in model.graph.input if v.name not in weights and v.name not in held}
    types = _types(light.proto)
    shapes = _Shapes(shape)
    shapes.added.update((tensor.name, tuple(tensor.dims)) for tensor in model.graph.initializer)
    rewriting = _Rewriting(
        {"": _OPSET, **_opsets(model)},
        {name: _element_type(kind) for name, kind in types.items()},
        shapes,
        taps,
        live,
        _names(light.proto.graph),
    )
    for name in sorted(live):
        kind = _element_type(types[name])
        if kind == TensorProto.STRING or (_is_container(types[name]) and kind != TensorProto.FLOAT):
            live.discard(name)
            rewriting.lost[name] = f"input '{name}': its type holds no NaN"
    for node in light.nodes:
        rewriting.follow(node)
    values = tuple(dict.fromkeys(values))
    lost = {name: rewriting.lost[name] for name in values if name in rewriting.lost}
    for name in values:
        if name in types and _is_container(types[name]):
            lost.setdefault(name, "it is no tensor, and has no units")
    returned = tuple(name for name in values if name not in lost)
    return Probe(_assembled(model, rewriting, returned), returned, lost)


def _assembled(
    model: onnx.ModelProto, rewriting: _Rewriting, values: Sequence[str]
) -> onnx.ModelProto:
    """The probe of `model`: its nodes that have been rewritten, and what they need."""
    probe = onnx.ModelProto(ir_version=model.ir_version, producer_name="rfgraph")
    probe.opset_import.extend(model.opset_import)
    if "" not in _opsets(model):
        probe.opset_import.append(helper.make_opsetid("", _OPSET))
    graph = probe.graph
    graph.name = model.graph.name or "probe"
    graph.doc_string = model.graph.doc_string
    nodes, read_by = needed(rewriting.nodes, values)
    graph.node.extend(nodes)
    weights = {t.name for t in model.graph.initializer}
    for value in model.graph.input:
        if value.name in weights:
            continue
        graph.input.append(value)
        if value.name in rewriting.live and not _is_container(value.type):
            graph.input[-1].type.tensor_type.elem_type = TensorProto.FLOAT
    for tensor in model.graph.initializer:
        if tensor.name in read_by:
            graph.initializer.append(tensor)
    for sparse in model.graph.sparse_initializer:
        if sparse.values.name in read_by:
            graph.sparse_initializer.append(sparse)
    graph.initializer.extend(t for t in rewriting.constants if t.name in read_by)
    graph.output.extend(helper.make_empty_tensor_value_info(name) for name in values)
    return probe


def needed(
    nodes: Sequence[onnx.NodeProto], values: Sequence[str]
) -> tuple[list[onnx.NodeProto], set[str]]:
    """The nodes that `values` are made by, in order, and every name that is read for them."""
    wanted, kept = set(values), []
    for node in reversed(nodes):
        if not wanted.isdisjoint(node.output):
            kept.append(node)
            wanted.update(_reads(node))
    return kept[::-1], wanted


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
    bodies = [model.graph.node, *(function.node for function in model.functions)]
    return any(_interpolates(node) for body in bodies for node in _walk(body))


def _walk(nodes: Any) -> Iterator[onnx.NodeProto]:
    for node in nodes:
        yield node
        for graph in _subgraphs(node):
            yield from _walk(graph.node)


def _interpolates(node: onnx.NodeProto) -> bool:
    default = _INTERPOLATIONS.get(_key(node))
    if default is None:
        return False
    mode = _attributes(node).get("mode", default.encode())
    return bool(mode != b"nearest")


# Operators that interpolate in some modes, and the mode that is theirs by default.
_INTERPOLATIONS: Mapping[Key, str] = {
    ("", "Resize"): "nearest",
    ("", "Upsample"): "nearest",
    (NCHWC, "Upsample"): "nearest",
    (NHWC, "Resize"): "nearest",
    ("", "GridSample"): "linear",
    (NHWC, "GridSample"): "linear",
}


# ---------------------------------------------------------------- protos


def _key(node: onnx.NodeProto) -> Key:
    return "" if node.domain == "ai.onnx" else node.domain, node.op_type


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def _subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _reads(node: onnx.NodeProto) -> set[str]:
    """What a node takes, with all that its subgraphs name: more than they capture does no harm."""
    names = set(node.input)
    for graph in _subgraphs(node):
        names.update(output.name for output in graph.output)
        for inner in graph.node:
            names |= _reads(inner)
    return names - {""}


def _opsets(model: onnx.ModelProto) -> dict[str, int]:
    return {o.domain if o.domain != "ai.onnx" else "": o.version for o in model.opset_import}


def _names(graph: onnx.GraphProto) -> set[str]:
    """Every name in a graph, those of its subgraphs too."""
    names = {v.name for v in graph.input} | {t.name for t in graph.initializer}
    for node in _walk(graph.node):
        names.update((*node.input, *node.output))
    return names


def _types(light: onnx.ModelProto) -> dict[str, onnx.TypeProto]:
    """Types of values, as far as ONNX infers them."""
    hidden = onnx.ModelProto()
    hidden.CopyFrom(light)
    hidden.opset_import.add(domain="hidden", version=1)
    for node in hidden.graph.node:
        # Inference crashes on some of these, where the type of their input is not known.
        if node.domain == "ai.onnx.ml" or node.op_type == "RegexFullMatch":
            node.domain = "hidden"
    try:
        graph = onnx.shape_inference.infer_shapes(hidden).graph
    except Exception:  # a model that ONNX can't infer may run all the same
        graph = light.graph
    types = {t.name: helper.make_tensor_type_proto(t.data_type, t.dims) for t in graph.initializer}
    types.update((v.name, v.type) for v in (*graph.input, *graph.value_info, *graph.output))
    return types


def _is_container(kind: onnx.TypeProto) -> bool:
    """Whether values of a type are sequences, optionals or maps."""
    return kind.WhichOneof("value") not in (None, "tensor_type", "sparse_tensor_type")


def _element_type(kind: onnx.TypeProto) -> int:
    """Of a tensor, or of those in a sequence or an optional; 0 where it is not known."""
    if kind.HasField("sequence_type"):
        return _element_type(kind.sequence_type.elem_type)
    if kind.HasField("optional_type"):
        return _element_type(kind.optional_type.elem_type)
    return int(kind.tensor_type.elem_type)


def _formal(node: onnx.NodeProto, opsets: Mapping[str, int], k: int) -> Any:
    """What the schema says of input `k` of a node; None if there is none."""
    domain, op_type = _key(node)
    try:
        schema = onnx.defs.get_schema(op_type, opsets.get(domain, 1), domain)
    except onnx.defs.SchemaError:
        return None
    return schema.inputs[min(k, len(schema.inputs) - 1)]


# ---------------------------------------------------------------- rewriting


class _LostError(Exception):
    """Nothing carries NaN for a node; the message says why."""


class _Shapes:
    """Shapes of the model's values, and of those that the probe adds."""

    def __init__(self, known: Callable[[str], Shape | None]) -> None:
        self._known = known
        self.added: dict[str, Shape] = {}

    def get(self, name: str) -> Shape | None:
        """Static shape of a value, or None."""
        if name in self.added:
            return self.added[name]
        try:
            return self._known(name)
        except QueryError:
            return None

    def __getitem__(self, name: str) -> Shape:
        shape = self.get(name)
        if shape is None:
            raise _LostError(f"the shape of '{name}' is not known")
        return shape


class _Rewriting:
    """A model under rewriting: the same values by the same names, all that live are floats.

    Attributes
    ----------
    nodes, constants : list
        What has been written.
    live : set of str
        Values that depend on an input that is followed.
    lost : dict of str to str
        Those of which NaN tells nothing, and why.
    """

    def __init__(
        self,
        opsets: Mapping[str, int],
        types: Mapping[str, int],
        shapes: _Shapes,
        taps: Taps,
        live: set[str],
        taken: Container[str],
    ) -> None:
        self.opsets = opsets
        self.opset = opsets[""]
        self.types = types
        self.shapes = shapes
        self.taps = taps
        self.live = live
        self.lost: dict[str, str] = {}
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        # Outputs of nodes that live, and do not live themselves.
        self.dead: set[str] = set()
        self._taken = taken
        self._count = 0
        self._casts: dict[str, tuple[str, int]] = {}
        self._drawn: dict[tuple[Shape, int, int], str] = {}

    # ------------------------------------------------ node by node

    def follow(self, node: Node) -> None:
        """Write what stands in for a node of the model."""
        if (node.domain, node.op_type) in _SHAPE_ONLY:
            self._measure(node)
            return
        reads = {*node.inputs, *node.captures}
        gone = next((self.lost[name] for name in node.inputs if name in self.lost), None)
        gone = gone or next((self.lost[name] for name in node.captures if name in self.lost), None)
        if gone is None and self.live.isdisjoint(reads):
            self.nodes.append(node.proto)
            return
        written = len(self.nodes)
        try:
            if gone is None:
                self.rewrite(node.proto)
        except _LostError as error:
            gone = f"{node}: {error}"
        if gone is not None:
            del self.nodes[written:]
            self._casts = {k: v for k, v in self._casts.items() if v[1] < written}
            self.lost.update({name: gone for name in node.outputs if name})

    def rewrite(self, node: onnx.NodeProto) -> None:
        """Write what stands in for a node that lives, and mark what it makes."""
        key = _key(node)
        rule = RULES.get(key)
        if rule is not None and rule.applies(self, node):
            rule.rewrite(self, node)
        elif key in CARRIES:
            self.nodes.append(self.with_floats(node))
        else:
            raise _LostError(LOST.get(key, "not known to carry NaN"))
        self.live.update(
            name
            for k, name in enumerate(node.output)
            if name and name not in self.dead and (key, k) not in _DEAD_OUTPUTS
        )

    def _measure(self, node: Node) -> None:
        """A node that tells the shape of a value, which is a constant where the value is lost."""
        (name,), (output,) = node.inputs, node.outputs
        if name not in self.lost:
            self.nodes.append(node.proto)
            return
        shape = self.shapes.get(name)
        if shape is None:
            self.lost[output] = self.lost[name]
            return
        part = shape[node.attribute("start", 0) : node.attribute("end", len(shape))]
        told: object = part if node.op_type == "Shape" else prod(shape)
        value = numpy_helper.from_array(np.array(told, np.int64))
        self.nodes.append(helper.make_node("Constant", [], [output], value=value))

    def with_floats(self, node: onnx.NodeProto) -> onnx.NodeProto:
        """The same node, with all of its operands that hold data as floats.

        Raises
        ------
        _LostError
            An operand that says where to read lives.
        """
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        for k, name in enumerate(node.input):
            if not name:
                continue
            formal = _formal(node, self.opsets, k)
            if formal is not None and any("(tensor(float))" in kind for kind in formal.types):
                self.must_be_float(name)
            elif self.is_data(node, k):
                copy.input[k] = self.floats(name)
            elif name in self.live:
                what = f"its '{formal.name}'" if formal else f"its input {k}"
                raise _LostError(f"{what} says where it reads, and is computed from the data")
        return copy

    def is_data(self, node: onnx.NodeProto, k: int) -> bool:
        """Whether input `k` of a node holds data, and does not say where they are read."""
        key = _key(node)
        if k in _STEERING.get(key, ()):
            return False
        formal = _formal(node, self.opsets, k)
        return formal is None or any("tensor(float)" in kind for kind in formal.types)

    def must_be_float(self, name: str) -> None:
        """Fail unless a value that lives, of a type that is kept, is one of 32-bit floats.

        Raises
        ------
        _LostError
            It is not, or not known to be.
        """
        if name in self.live and self.types.get(name) != TensorProto.FLOAT:
            raise _LostError(f"'{name}' is not known to hold 32-bit floats")

    def trust(self, node: onnx.NodeProto) -> list[bool]:
        """Which outputs of a control flow operator live; it is kept as it is.

        Raises
        ------
        _LostError
            Data decide what it does, or something inside does not carry NaN as it is.
        """
        steering, first = _FLOWS[node.op_type]
        if any(name in self.live for name in node.input[:steering]):
            raise _LostError("what it does is decided by the data")
        outputs = [False] * len(node.output)
        for graph in _subgraphs(node):
            states = {formal.name for formal in graph.input[first:]}
            outside, begins = self.live, node.input[first:]
            inside = outside - states
            formals = zip(graph.input[first:], begins, strict=False)
            inside |= {formal.name for formal, name in formals if name in outside}
            while True:
                self.live = set(inside)
                for inner in graph.node:
                    self._trust_inside(inner)
                made = [output.name in self.live for output in graph.output]
                if node.op_type == "Loop" and made.pop(0):
                    raise _LostError("how often it does it is decided by the data")
                carried = len(begins) - _attributes(node).get("num_scan_inputs", 0)
                loops = zip(graph.input[first : first + carried], made, strict=False)
                grown = inside | {formal.name for formal, alive in loops if alive}
                if node.op_type == "If" or grown == inside:
                    break
                inside = grown
            self.live = outside
            outputs = [one or other for one, other in zip(outputs, made, strict=True)]
        return outputs

    def _trust_inside(self, node: onnx.NodeProto) -> None:
        key = _key(node)
        if key in _SHAPE_ONLY or self.live.isdisjoint(_reads(node)):
            return
        rule = RULES.get(key)
        if node.op_type in _FLOWS and not node.domain:
            living = self.trust(node)
        elif key in CARRIES and (rule is None or not rule.applies(self, node)):
            for k, name in enumerate(node.input):
                if name in self.live and not self.is_data(node, k):
                    raise _LostError(f"inside, input {k} of {node.op_type} says where it reads")
            living = [(key, k) not in _DEAD_OUTPUTS for k in range(len(node.output))]
        else:
            raise _LostError(f"{node.op_type} inside does not carry NaN as it is")
        self.live.update(name for name, alive in zip(node.output, living, strict=True) if alive)

    # ------------------------------------------------ writing

    def fresh(self) -> str:
        """A name that nothing has."""
        while True:
            self._count += 1
            name = f"probe_{self._count}"
            if name not in self._taken:
                return name

    def emit(
        self, op: str, inputs: Sequence[str], output: str = "", domain: str = "", **attributes: Any
    ) -> str:
        """Append a node with one output, and return its name."""
        output = output or self.fresh()
        self.nodes.append(helper.make_node(op, list(inputs), [output], domain=domain, **attributes))
        return output

    def probe(self, op: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        """Append what stands in for a node of ONNX that reads the same, and return its output."""
        output = output or self.fresh()
        self.rewrite(helper.make_node(op, list(inputs), [output], **attributes))
        return output

    def constant(self, value: object, dtype: type = np.float32) -> str:
        """Name of a new constant."""
        name = self.fresh()
        self.constants.append(numpy_helper.from_array(np.array(value, dtype), name))
        return name

    def floats(self, name: str) -> str:
        """An operand as floats: one that lives is, others are cast once."""
        if name in self.live or self.types.get(name) == TensorProto.FLOAT:
            return name
        if name not in self._casts:
            place = len(self.nodes)
            made = self.emit("Cast", [name], to=TensorProto.FLOAT)
            self._casts[name] = made, place
            shape = self.shapes.get(name)
            if shape is not None:
                self.shapes.added[made] = shape
        return self._casts[name][0]

    def average(self, name: str, over: int) -> str:
        """Weights that live, else as many that average `over` products."""
        if name in self.live:
            return name
        weight = numpy_helper.from_array(np.array([1 / max(over, 1)], np.float32))
        shape = self.constant(list(self.shapes[name]), np.int64)
        made = self.emit("ConstantOfShape", [shape], value=weight)
        self.shapes.added[made] = self.shapes[name]
        return made

    def tame(self, name: str) -> str:
        """An operand that is added for its NaN only: of one that does not live, zeros and ones."""
        if name in self.live:
            return name
        truth = self.emit("Cast", [name], to=TensorProto.BOOL)
        return self.emit("Cast", [truth], to=TensorProto.FLOAT)

    def clone(self, node: onnx.NodeProto, first: str, output: str = "", **changed: Any) -> str:
        """Append `node` reading `first` in place of its first input, some attributes changed."""
        copy = self.with_floats(node)
        return self.emit(
            node.op_type,
            [first, *copy.input[1:]],
            output,
            node.domain,
            **(_attributes(node) | changed),
        )

    def sum(self, names: Sequence[str], output: str = "") -> str:
        """Append the sum of operands, broadcast alike."""
        terms = [self.tame(name) for name in names if name]
        if self.opset >= 8 or len(terms) == 1:
            return self.emit("Sum", terms, output)
        total = terms[0]
        for term in terms[1:-1]:
            total = self.emit("Add", [total, term])
        return self.emit("Add", [total, terms[-1]], output)

    def mean(
        self, name: str, axes: Sequence[int] | None, output: str = "", *, keepdims: int = 1
    ) -> str:
        """Append the mean over axes, over all if None."""
        if axes is None:
            return self.emit("ReduceMean", [name], output, keepdims=keepdims)
        if self.opset < 18:
            return self.emit("ReduceMean", [name], output, axes=list(axes), keepdims=keepdims)
        given = self.constant(list(axes), np.int64)
        return self.emit("ReduceMean", [name, given], output, keepdims=keepdims)

    def reshaped(self, name: str, shape: Sequence[int], output: str = "") -> str:
        """Append a reshape."""
        return self.emit("Reshape", [name, self.constant(list(shape), np.int64)], output)

    def spread(self, name: str, shape: Sequence[int], output: str = "") -> str:
        """Append an expansion to a shape."""
        return self.emit("Expand", [name, self.constant(list(shape), np.int64)], output)

    def turned(self, name: str, axes: Sequence[int], output: str = "") -> str:
        """Append a transposition."""
        turned = self.emit("Transpose", [name], output, perm=list(axes))
        if not output:
            shape = self.shapes.get(name)
            if shape is not None:
                self.shapes.added[turned] = tuple(shape[axis] for axis in axes)
            if name in self.live:
                self.live.add(turned)
        return turned

    def add(
        self, value: str, parameters: Sequence[tuple[str, int]], like: str, output: str = ""
    ) -> str:
        """Append the sum of a value and of parameters that live.

        Parameters
        ----------
        value : str
            A value.
        parameters : sequence of (str, int)
            Scales, zero points or a bias, one for all or one for each place along an axis.
        like : str
            What has the shape of `value`.
        output : str
            Its name, if it has one.
        """
        aligned = []
        for name, axis in parameters:
            if name not in self.live:
                continue
            shape, whole = self.shapes[name], self.shapes[like]
            if prod(shape) == 1:
                aligned.append(self.reshaped(name, ()))
            elif len(shape) == 1:
                rank = len(whole)
                aligned.append(self.reshaped(name, (*shape, *(1,) * (rank - 1 - axis % rank))))
            elif all(n in (1, m) for n, m in zip(shape[::-1], whole[::-1], strict=False)):
                aligned.append(name)
            else:
                raise _LostError("a scale or zero point of a block is computed from the data")
        return self.emit("Sum", [value, *aligned], output)

    def with_parameters(
        self, value: str, node: onnx.NodeProto, inputs: Sequence[int], axis: int, like: str
    ) -> str:
        """A value to which some inputs of a node are added, of those that live; see `add`."""
        parameters = [(_input(node, k), axis) for k in inputs if _input(node, k) in self.live]
        if not parameters:
            return value
        total = self.add(value, parameters, like)
        self.live.add(total)
        self.shapes.added[total] = self.shapes[like]
        return total

    def generic(self, shape: Shape, kind: int, draw: int) -> str:
        """Name of a constant of generic elements: small numbers, and of bools true ones."""
        key = (shape, kind, draw)
        if key not in self._drawn:
            rng = np.random.default_rng((draw, *shape))
            numbers = rng.uniform(0.5, 1.5, shape) * rng.choice((-1, 1), shape)
            if kind == TensorProto.BOOL:
                numbers = np.ones(shape)
            elif kind not in FLOATS:
                numbers = rng.integers(1, 60, shape).astype(float)
            self._drawn[key] = self.constant(numbers)
        return self._drawn[key]

    def indicator(self, name: str) -> str:
        """1 where a value is NaN, 0 elsewhere."""
        if self.opset < 9:
            raise _LostError("its rule needs operator set 9")
        return self.emit("Cast", [self.emit("IsNaN", [name])], to=TensorProto.FLOAT)

    def exceeds(self, name: str, limit: float) -> str:
        """Where the magnitude of a value exceeds `limit`."""
        return self.emit("Greater", [self.emit("Abs", [name]), self.constant(limit)])

    def nan_where(self, condition: str, output: str) -> None:
        """Make `output` NaN where `condition` holds, and some number elsewhere."""
        nan, number = self.constant(np.nan), self.constant(0.75)
        self.emit("Where", [condition, nan, number], output)


# ---------------------------------------------------------------- what stands in


def _max_pool(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """The average where each window has an element; else the same window over the indicator.

    In a window of padding only the average is NaN, and the maximum is -max.
    """
    given = _attributes(node)
    simple = not given.get("ceil_mode") and set(given.get("dilations", ())) <= {1}
    if simple:
        for name in ("storage_order", "dilations", "ceil_mode"):
            given.pop(name, None)
        probe.emit("AveragePool", node.input, node.output[0], **given)
    else:
        indicator = probe.indicator(node.input[0])
        found = probe.emit("MaxPool", [indicator], **given)
        probe.nan_where(probe.emit("Greater", [found, probe.constant(0.5)]), node.output[0])
    for indices in node.output[1:]:
        if indices:
            probe.emit("Identity", [node.output[0]], indices)


def _lrn(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """The same operator on 1 and 101: their sums of squares are exact, so it forgets exactly."""
    exact: dict[str, Any] = {"alpha": 1.0, "beta": 1.0, "bias": 1.0}
    marked = probe.emit("Mul", [probe.indicator(node.input[0]), probe.constant(100.0)])
    with_it = probe.emit("Add", [marked, probe.constant(1.0)])
    without = probe.emit("Sub", [with_it, marked])
    difference = probe.emit(
        "Sub", [probe.clone(node, with_it, **exact), probe.clone(node, without, **exact)]
    )
    probe.nan_where(probe.exceeds(difference, 1e-3), node.output[0])


def _interpolation(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """Interpolate the indicator: what has a weight shows."""
    outside: dict[str, Any] = {}
    if "extrapolation_value" in _attributes(node):
        outside["extrapolation_value"] = 0.0
    found = probe.clone(node, probe.indicator(node.input[0]), **outside)
    probe.nan_where(probe.exceeds(found, _WEIGHT), node.output[0])


def _reduction(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """The mean over the same axes."""
    copy = probe.with_floats(node)
    probe.emit("ReduceMean", copy.input, node.output[0], **_attributes(node))


def _arg_reduction(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """The mean over the same axis."""
    given = _attributes(node)
    keepdims = given.get("keepdims", 1)
    probe.mean(node.input[0], [given.get("axis", 0)], node.output[0], keepdims=keepdims)


def _top_k(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """The mean over the same axis, repeated."""
    if len(node.input) > 1 and node.input[1] in probe.live:
        raise _LostError("the size of its output depends on the data")
    mean = probe.mean(node.input[0], [_attributes(node).get("axis", -1)])
    for output in filter(None, node.output):
        probe.spread(mean, probe.shapes[output], output)


def _hardmax(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """The softmax over the same axis, or axes before opset 13."""
    probe.emit("Softmax", node.input, node.output[0], **_attributes(node))


def _global_max_pool(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """The average over the same axes."""
    probe.emit("GlobalAveragePool", node.input, node.output[0])


def _pass(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """Each element reads its own."""
    if node.input[0] not in probe.live:
        raise _LostError("an operand beside the first is computed from the data")
    probe.emit("Identity", node.input[:1], node.output[0])


def _conv(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """Conv of X by weights of its own, and where a weight that is NaN meets an element of X."""
    X, W = node.input[:2]
    given = _attributes(node)
    taps = probe.shapes[W]
    ones = [
        probe.emit("ConstantOfShape", [probe.constant(list(shape), np.int64)], value=_ONE)
        for shape in (probe.shapes[X], taps)
    ]
    met = probe.emit("Conv", [ones[0], probe.indicator(W)], **given)
    read_ = probe.fresh()
    probe.nan_where(probe.emit("Greater", [met, probe.constant(0.5)]), read_)
    if X in probe.live:
        # Sums of a window's elements would grow from layer to layer.
        weights = probe.emit("Div", [ones[1], probe.constant(float(prod(taps[1:])))])
        read_ = probe.emit("Add", [read_, probe.emit("Conv", [X, weights], **given)])
    probe.add(read_, [(name, 1) for name in node.input[2:]], X, node.output[0])


def _dropout(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """The data; the mask is by chance."""
    if len(node.input) > 2 and not probe.live.isdisjoint(node.input[1:]):
        raise _LostError("its 'ratio' or 'training_mode' is computed from the data")
    probe.emit("Identity", node.input[:1], node.output[0])
    if len(node.output) > 1 and node.output[1]:
        copy = probe.with_floats(node)
        if _input(node, 1) in probe.live:
            copy.input[1] = ""
        copy.output[0] = probe.fresh()
        probe.nodes.append(copy)


def _split(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """Itself, with a name for every part."""
    copy = probe.with_floats(node)
    copy.output[:] = [name or probe.fresh() for name in node.output]
    probe.nodes.append(copy)


def _depart(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """Nothing."""
    raise _LostError("its kernel departs from the specification here")


def _scatter(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """Itself, adding."""
    copy = probe.with_floats(node)
    probe.emit(node.op_type, copy.input, node.output[0], **_attributes(node) | {"reduction": "add"})


def _sum(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """The sum of the operands that are given, broadcast alike."""
    probe.sum(node.input, node.output[0])


def _flow(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """Itself, if all that lives inside carries NaN."""
    for name in _reads(node):
        probe.must_be_float(name)
    live = probe.live
    try:
        living = probe.trust(node)
    finally:
        probe.live = live
    probe.dead.update(name for name, alive in zip(node.output, living, strict=True) if not alive)
    probe.nodes.append(node)


# ------------------------------------------------ embeddings


def _gather(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """The index itself, spread over what it picks."""
    data, indices = node.input
    if data in probe.live:
        raise _LostError("its 'indices' say where it reads, and are computed from the data")
    rank = len(probe.shapes[data])
    axis = _attributes(node).get("axis", 0) % rank
    trailing = (1,) * (rank - 1 - axis)
    placed = probe.reshaped(indices, (*probe.shapes[indices], *trailing))
    probe.spread(placed, probe.shapes[node.output[0]], node.output[0])


def _gather_elements(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """The index itself."""
    data, indices = node.input
    if data in probe.live:
        raise _LostError("its 'indices' say where it reads, and are computed from the data")
    probe.emit("Identity", [indices], node.output[0])


def _gather_nd(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """The mean of the index tuple, spread over what it picks."""
    data, indices = node.input
    if data in probe.live:
        raise _LostError("its 'indices' say where it reads, and are computed from the data")
    mean = probe.mean(indices, [-1])
    leading = probe.shapes[indices][:-1]
    shape = probe.shapes[node.output[0]]
    placed = probe.reshaped(mean, (*leading, *(1,) * (len(shape) - len(leading))))
    probe.spread(placed, shape, node.output[0])


def _one_hot(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """The index, spread along the new axis, and both values."""
    indices, depth, values = node.input
    if depth in probe.live:
        raise _LostError("the size of its output depends on the data")
    shape = probe.shapes[node.output[0]]
    axis = _attributes(node).get("axis", -1) % len(shape)
    placed = [n if k != axis else 1 for k, n in enumerate(shape)]
    read_ = probe.reshaped(probe.tame(indices), placed)
    if values in probe.live:
        read_ = probe.emit("Add", [read_, probe.mean(values, None, keepdims=0)])
    probe.spread(read_, shape, node.output[0])


# ------------------------------------------------ operators on data of their own


def _compared(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """The same operator on generic data, and on data that differ where there is NaN.

    It is run in 32-bit floats, or in the types of integers that it has. A mask by itself would not
    always show, where few keys are left.
    """
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    marked: dict[int, str] = {}
    for k, name in enumerate(node.input):
        if name in probe.live and k not in _COMPARED[_key(node)]:
            raise _LostError(f"its input {k} ('{name}') is computed from the data")
        if name in probe.live:
            marked[k] = probe.indicator(name)
        elif name and probe.types.get(name) in FLOATS:
            copy.input[k] = probe.floats(name)
    outputs = {k: name for k, name in enumerate(node.output) if name}
    found: dict[int, list[str]] = {k: [] for k in outputs}
    for draw in range(_DRAWS):
        runs = []
        for changed in (False, True):
            run = onnx.NodeProto()
            run.CopyFrom(copy)
            for k, indicator in marked.items():
                kind = probe.types.get(node.input[k]) or TensorProto.FLOAT
                data = probe.generic(probe.shapes[node.input[k]], kind, draw)
                if changed:
                    other = probe.generic(probe.shapes[node.input[k]], kind, draw + _DRAWS)
                    sign = "Sub" if kind == TensorProto.BOOL else "Add"
                    data = probe.emit(sign, [data, probe.emit("Mul", [indicator, other])])
                if kind not in FLOATS:
                    data = probe.emit("Cast", [data], to=kind)
                run.input[k] = data
            run.output[:] = [probe.fresh() if name else "" for name in node.output]
            probe.nodes.append(run)
            runs.append(run.output)
        for k, name in outputs.items():
            pair = [run[k] for run in runs]
            if probe.types.get(name, TensorProto.FLOAT) != TensorProto.FLOAT:
                pair = [probe.emit("Cast", [one], to=TensorProto.FLOAT) for one in pair]
            found[k].append(probe.emit("Abs", [probe.emit("Sub", pair)]))
    for k, name in outputs.items():
        total = probe.emit("Sum", found[k])
        probe.nan_where(probe.emit("Greater", [total, probe.constant(0.0)]), name)


def _recurrent(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """Itself with its default activations, without bias, peepholes and clipping."""
    if not probe.live.isdisjoint((*node.input[1:4], *node.input[7:])):
        raise _LostError("its weights are computed from the data")
    copy = probe.with_floats(node)
    for k in (3, 7):
        if _input(node, k):
            copy.input[k] = ""
    given = [a for a in copy.attribute if not a.name.startswith(("activation", "clip"))]
    del copy.attribute[:]
    copy.attribute.extend(given)
    probe.nodes.append(copy)


def _everything(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """The mean of all that lives."""
    if not probe.live.isdisjoint(node.input[1:4]):
        raise _LostError("its weights are computed from the data")
    means = [probe.mean(name, None, keepdims=0) for name in node.input if name in probe.live]
    total = probe.emit("Sum", means)
    for output in filter(None, node.output):
        probe.spread(total, probe.shapes[output], output)


# ------------------------------------------------ quantised values


def _quantise(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """Each element, its scale and its zero point."""
    axis = _attributes(node).get("axis", 1)
    if len(node.input) > 1 and any(name in probe.live for name in node.input[1:]):
        axis = min(axis, len(probe.shapes[node.output[0]]) - 1)
    parameters = [(name, axis) for name in node.input[1:]]
    probe.add(probe.floats(node.input[0]), parameters, node.output[0], node.output[0])


def _quantise_dynamically(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """Each element, and the mean of all: their range gives scale and zero point."""
    mean = probe.mean(node.input[0], None, keepdims=0)
    probe.emit("Add", [node.input[0], mean], node.output[0])
    for output in filter(None, node.output[1:]):
        probe.emit("Identity", [mean], output)


Rewrite: TypeAlias = "Callable[[_Rewriting, onnx.NodeProto], None]"


@dataclass(frozen=True)
class _Operand:
    """An input with its scale and zero point, which it is read with.

    Attributes
    ----------
    input : int
        Its position.
    parameters : tuple of int
        Those of scale, zero point or bias.
    axis : int
        Where they are one for each place along an axis: which axis.
    """

    input: int
    parameters: tuple[int, ...] = ()
    axis: int = -1


def _as(
    op: str,
    *operands: _Operand,
    added: Sequence[int] = (),
    axis: int = -1,
    everything: Collection[int] = (),
) -> Rewrite:
    """A rewriting into another operator, on floats; it averages by weights that do not live.

    Integers would grow from layer to layer until there is NaN without any poison.

    Parameters
    ----------
    op : str
        An operator of ONNX.
    *operands : _Operand
        Its first input and its weights.
    added : sequence of int
        Inputs that are added to what it makes.
    axis : int
        Where they are one for each place along an axis: which axis.
    everything : collection of int
        Inputs that each element reads all of.
    """

    def rewrite(probe: _Rewriting, node: onnx.NodeProto) -> None:
        given = _attributes(node)
        last = given.pop("channels_last", 0) or node.domain == NHWC
        first = node.input[operands[0].input]
        rank = len(probe.shapes[first]) if last else 0
        read_ = []
        for k, operand in enumerate(operands):
            name = node.input[operand.input]
            if k:
                value = probe.average(name, _terms(op, probe.shapes[name], given))
            else:
                value = probe.floats(name)
            along = operand.axis
            if k and op == "Gemm" and given.get("transB"):
                along = 0
            value = probe.with_parameters(value, node, operand.parameters, along, name)
            read_.append(probe.turned(value, _first(rank)) if last and not k else value)
        made = probe.probe(op, read_, **given)
        if last:
            made = probe.turned(made, _last(rank))
        for k in everything:
            if _input(node, k) in probe.live:
                made = probe.emit("Add", [made, probe.mean(node.input[k], None, keepdims=0)])
        output = node.output[0]
        made = probe.with_parameters(made, node, added, -1 if last else axis, output)
        probe.emit("Identity", [made], output)

    return rewrite


def _first(rank: int) -> Shape:
    """The transposition that moves the channels before the other axes."""
    return (0, rank - 1, *range(1, rank - 1))


def _last(rank: int) -> Shape:
    """The transposition that moves the channels behind the other axes."""
    return (0, *range(2, rank), 1)


def _terms(op: str, weights: Shape, given: Mapping[str, Any]) -> int:
    """How many products an output element is the sum of."""
    if op == "Conv":
        return prod(weights[1:])
    if op == "Gemm":
        return weights[1 if given.get("transB") else 0]
    return weights[-2] if len(weights) > 1 else weights[0]


def _input(node: onnx.NodeProto, k: int) -> str:
    return node.input[k] if k < len(node.input) else ""


def _sum_of(*operands: int) -> Rewrite:
    """A rewriting into the sum of some operands, and of scales and zero points that live."""

    def rewrite(probe: _Rewriting, node: onnx.NodeProto) -> None:
        given = [probe.tame(node.input[k]) for k in operands]
        added = [(name, -1) for k, name in enumerate(node.input) if k not in operands and name]
        probe.add(probe.emit("Sum", given), added, node.output[0], node.output[0])

    return rewrite


def _q_conv(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """Conv; the bias is quantised by the scales of x and w."""
    scales = (1, 4) if _input(node, 8) else ()
    operands = _Operand(0, (1, 2)), _Operand(3, (4, 5), 0)
    _as("Conv", *operands, added=(*scales, 6, 7, 8), axis=1)(probe, node)


def _q_concat(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """Concat of the parts; each has a scale and a zero point, and so has the output."""
    parts = []
    for k in range(2, len(node.input), 3):
        name = node.input[k]
        parts.append(
            probe.add(probe.floats(name), [(n, -1) for n in node.input[k + 1 : k + 3]], name)
        )
    made = probe.emit("Concat", parts, axis=_attributes(node)["axis"])
    added = [(name, -1) for name in node.input[:2]]
    probe.add(made, added, node.output[0], node.output[0])


def _q_reduce_mean(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """ReduceMean, the scales and the zero points."""
    given = _attributes(node)
    made = probe.mean(
        probe.floats(node.input[0]), given.get("axes"), keepdims=given.get("keepdims", 1)
    )
    probe.add(made, [(name, -1) for name in node.input[1:]], node.output[0], node.output[0])


def _q_softmax(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """Softmax over one axis, or from it on before operator set 13."""
    given = _attributes(node)
    rank = len(probe.shapes[node.output[0]])
    old = given.get("opset", 13) < 13
    axis = given.get("axis", -1) % rank
    mean = probe.mean(probe.floats(node.input[0]), range(axis, rank) if old else [axis])
    added = [(name, -1) for name in node.input[1:]]
    total = probe.emit("Add", [probe.floats(node.input[0]), mean])
    probe.add(total, added, node.output[0], node.output[0])


def _packed_product(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """The mean of a row, for each column of the weights; no bias."""
    if any(name in probe.live for name in node.input[1:]):
        raise _LostError("its weights are computed from the data")
    mean = probe.mean(node.input[0], [-1])
    probe.spread(mean, probe.shapes[node.output[0]], node.output[0])


# ------------------------------------------------ fused operators, and other layouts


def _fused_conv(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """Conv, and what is added to it; no activation."""
    given = {k: v for k, v in _attributes(node).items() if not k.startswith("activation")}
    X = node.input[0]
    if node.domain == NCHWC:
        X = _padded(probe, X, probe.shapes[node.input[1]][1] * given.get("group", 1))
    made = probe.probe("Conv", [X, *node.input[1:3]], **given)
    probe.sum([made, _input(node, 3)], node.output[0])


def _padded(probe: _Rewriting, X: str, channels: int) -> str:
    """X with as many channels as its weights know, if it has fewer."""

    def cut(name: str, axis: int, begin: int, end: int) -> str:
        return probe.emit(
            "Slice", [name, *(probe.constant([n], np.int64) for n in (begin, end, axis))]
        )

    shape = probe.emit("Shape", [X])
    sizes = [cut(shape, 0, 0, 1), probe.constant([channels], np.int64), cut(shape, 0, 2, 4)]
    zeros = probe.emit("ConstantOfShape", [probe.emit("Concat", sizes, axis=0)])
    padded = cut(probe.emit("Concat", [probe.floats(X), zeros], axis=1), 1, 0, channels)
    if X in probe.live:
        probe.live.add(padded)
    given = probe.shapes.get(X)
    if given is not None:
        probe.shapes.added[padded] = (given[0], channels, *given[2:])
    return padded


def _fused_gemm(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """Gemm; no activation."""
    given = {k: v for k, v in _attributes(node).items() if not k.startswith("activation")}
    probe.probe("Gemm", node.input, node.output[0], **given)


def _reorder_input(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """As it is, or with the channels moved to the front."""
    if _attributes(node).get("channels_last"):
        probe.turned(node.input[0], (0, 3, 1, 2), node.output[0])
    else:
        probe.emit("Identity", node.input, node.output[0])


def _reorder_output(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """The channels that are not padding, moved to the end if they are."""
    given = _attributes(node)
    ends = [probe.constant([n], np.int64) for n in (0, given["channels"], 1)]
    if given.get("channels_last"):
        kept = probe.emit("Slice", [node.input[0], *ends])
        probe.emit("Transpose", [kept], node.output[0], perm=[0, 2, 3, 1])
    else:
        probe.emit("Slice", [node.input[0], *ends], node.output[0])


def _upsample(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """Resize by the same scales; nearest rounds down."""
    given = _attributes(node)
    probe.probe(
        "Resize",
        [node.input[0], probe.constant([]), probe.constant(given["scales"])],
        node.output[0],
        mode=given.get("mode", b"nearest"),
        coordinate_transformation_mode=given.get("coordinate_transformation_mode", b"asymmetric"),
        nearest_mode="floor",
    )


def _plain(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """ONNX's operator of the same name, on NCHW."""
    probe.rewrite(helper.make_node(node.op_type, node.input, node.output, **_attributes(node)))


def _channels_last(op: str, inputs: int = 9) -> Rewrite:
    """A rewriting into an operator of ONNX between two transpositions.

    It has so many `inputs`; one more is added.
    """

    def rewrite(probe: _Rewriting, node: onnx.NodeProto) -> None:
        rank = len(probe.shapes[node.input[0]])
        first = probe.turned(node.input[0], _first(rank))
        given = {k: v for k, v in _attributes(node).items() if not k.startswith("activation")}
        inner = helper.make_node(op, [first, *node.input[1:inputs]], [], **given)
        inner.output.extend(probe.fresh() if name else "" for name in node.output)
        probe.rewrite(inner)
        for made, output in zip(inner.output, node.output, strict=True):
            if output and _input(node, inputs):
                probe.sum([probe.turned(made, _last(rank)), node.input[inputs]], output)
            elif output:
                probe.turned(made, _last(rank), output)

    return rewrite


def _embed(probe: _Rewriting, node: onnx.NodeProto) -> None:
    """The token, its segment and its position, spread over what they pick."""
    ids = [node.input[k] for k in (0, 1, 8) if _input(node, k)]
    if any(name in probe.live for name in node.input[2:7]):
        raise _LostError("its embeddings are computed from the data")
    total = probe.emit("Sum", [probe.tame(name) for name in ids])
    placed = probe.reshaped(total, (*probe.shapes[node.input[0]], 1))
    for output in (node.output[0], *node.output[2:]):
        if output:
            probe.spread(placed, probe.shapes[output], output)
    if len(node.output) > 1 and node.output[1]:
        if _input(node, 7):
            shape = probe.shapes[node.output[1]]
            mean = probe.mean(probe.tame(node.input[7]), [1], keepdims=0)
            probe.reshaped(mean, shape, node.output[1])
        else:
            probe.constants.append(numpy_helper.from_array(np.zeros(1, np.float32), node.output[1]))


# ------------------------------------------------ when a rule applies


def _always(probe: _Rewriting, node: onnx.NodeProto) -> bool:
    return True


def _weighted(probe: _Rewriting, node: onnx.NodeProto) -> bool:
    return probe.taps == "weighted" and _interpolates(node)


def _second_live(probe: _Rewriting, node: onnx.NodeProto) -> bool:
    return node.input[1] in probe.live


def _first_live(probe: _Rewriting, node: onnx.NodeProto) -> bool:
    return node.input[0] in probe.live


def _cuts_keys(probe: _Rewriting, node: onnx.NodeProto) -> bool:
    """Whether more than a mask as long as the keys says which of them a query attends to.

    A key that is alone is not read: its weight is 1, whatever the score.
    """
    given = _attributes(node)
    if given.get("is_causal") or any("window" in name for name in given) or _input(node, 6):
        return True
    keys = probe.shapes[node.input[1]][-2]
    keys += probe.shapes[node.input[4]][-2] if _input(node, 4) else 0
    if keys == 1:
        return True
    return bool(_input(node, 3)) and probe.shapes[node.input[3]][-1] != keys


def _to_reals(probe: _Rewriting, node: onnx.NodeProto) -> bool:
    given = _attributes(node)
    return bool(given.get("inverse") and given.get("onesided"))


def _one_left_out(probe: _Rewriting, node: onnx.NodeProto) -> bool:
    return not all(node.output)


def _of_given_shape(probe: _Rewriting, node: onnx.NodeProto) -> bool:
    return len(node.input) > 2


def _selects(probe: _Rewriting, node: onnx.NodeProto) -> bool:
    return _attributes(node).get("reduction") in (b"max", b"min")


@dataclass(frozen=True)
class Rule:
    """Why an operator is not observed as it is, and what stands in for it.

    Attributes
    ----------
    why : str
        What onnxruntime's kernel does with a NaN.
    instead : str
        What the probe has in the operator's place.
    rewrite : callable
        Appends that to a probe.
    applies : callable
        Whether the rule holds for a node: the others are in `CARRIES` too.
    """

    why: str
    instead: str
    rewrite: Callable[[_Rewriting, onnx.NodeProto], None]
    applies: Callable[[_Rewriting, onnx.NodeProto], bool] = _always


# Of operators with subgraphs: how many inputs decide what they do, and which of a subgraph's is
# the first that is one of the node's.
_FLOWS: Mapping[str, tuple[int, int]] = {"If": (1, 0), "Loop": (2, 2), "Scan": (0, 0)}

_LOSES = "a comparison with NaN is false, so a NaN only survives as the first element"
_NOT_FLOAT = "the output is no float, and can't hold a NaN"
_ZERO = "taps of weight zero are multiplied too, and 0 * NaN is NaN"
_UNDEFINED = "outside of its domain it is NaN without any poison"
_INDEX = "an index holds no NaN"

_IDENTITY: Mapping[str, str] = {
    "ThresholdedRelu": "NaN is not above alpha: 0",
    "Shrink": "NaN is neither below nor above: 0",
    "IsNaN": _NOT_FLOAT,
    "IsInf": _NOT_FLOAT,
    "Not": _NOT_FLOAT,
    "BitwiseNot": _NOT_FLOAT,
    "Cast": "the type may be one that can't hold a NaN",
    "CastLike": "the type may be one that can't hold a NaN",
    "BitCast": _NOT_FLOAT,
    "Bernoulli": "it is by chance",
    "Log": _UNDEFINED,
    "Sqrt": _UNDEFINED,
}

_SUM: Mapping[str, str] = {
    "Greater": _NOT_FLOAT,
    "GreaterOrEqual": _NOT_FLOAT,
    "Less": _NOT_FLOAT,
    "LessOrEqual": _NOT_FLOAT,
    "Equal": _NOT_FLOAT,
    "And": _NOT_FLOAT,
    "Or": _NOT_FLOAT,
    "Xor": _NOT_FLOAT,
    "BitShift": _NOT_FLOAT,
    "BitwiseAnd": _NOT_FLOAT,
    "BitwiseOr": _NOT_FLOAT,
    "BitwiseXor": _NOT_FLOAT,
    "Mod": "of integers it holds no NaN",
    "Where": "only the branch that is taken passes",
    "Clip": "a limit that is NaN does not limit",
    "Pow": "1 to the power of NaN is 1, and NaN to the power of 0",
    "PRelu": "the slope is not read where the value is positive",
}

_BODY = "what it has inside is not rewritten"
_INTEGERS = "quantised values are integers"
_ACTIVATION = "its activation may lose it"
_LAYOUT = "other values hold the channels elsewhere"
_BLOCKED = "the value holds its channels in blocks, which no name of an axis tells"

_A, _B = _Operand(0, (1, 2), -2), _Operand(3, (4, 5), -1)
_Q_POOL = _Operand(0, (1, 2))

_QUANTISED: Mapping[Key, Rule] = {
    (domain, op): Rule(_INTEGERS, instead, rewrite)
    for domains, op, instead, rewrite in (
        (("", MICROSOFT), "QuantizeLinear", "Identity", _quantise),
        (("", MICROSOFT), "DequantizeLinear", "Identity", _quantise),
        (("",), "DynamicQuantizeLinear", "itself and ReduceMean of all", _quantise_dynamically),
        (("",), "ConvInteger", "Conv", _as("Conv", _Operand(0, (2,)), _Operand(1, (3,), 0))),
        (("", MICROSOFT, NHWC), "QLinearConv", "Conv", _q_conv),
        (
            ("",),
            "MatMulInteger",
            "MatMul",
            _as("MatMul", _Operand(0, (2,), -2), _Operand(1, (3,))),
        ),
        (("",), "QLinearMatMul", "MatMul", _as("MatMul", _A, _B, added=(6, 7), axis=-2)),
        ((MICROSOFT,), "MatMulInteger16", "MatMul", _as("MatMul", _Operand(0), _Operand(1))),
        (
            (MICROSOFT,),
            "MatMulIntegerToFloat",
            "MatMul",
            _as("MatMul", _Operand(0, (2, 4), -2), _Operand(1, (3, 5)), added=(6,)),
        ),
        (
            (MICROSOFT,),
            "DynamicQuantizeMatMul",
            "MatMul and ReduceMean of all of A",
            _as("MatMul", _Operand(0), _Operand(1, (2, 3)), added=(4,), everything=(0,)),
        ),
        ((MICROSOFT,), "QGemm", "Gemm", _as("Gemm", _A, _B, added=(6, 7, 8))),
        ((MICROSOFT,), "QLinearAdd", "Sum", _sum_of(0, 3)),
        ((MICROSOFT,), "QLinearMul", "Sum", _sum_of(0, 3)),
        ((MICROSOFT,), "QLinearWhere", "Sum", _sum_of(0, 1, 4)),
        ((MICROSOFT,), "MulInteger", "Sum", _sum_of(0, 2)),
        ((MICROSOFT,), "QLinearSigmoid", "Identity", _sum_of(0)),
        ((MICROSOFT,), "QLinearLeakyRelu", "Identity", _sum_of(0)),
        ((MICROSOFT,), "QLinearConcat", "Concat", _q_concat),
        ((MICROSOFT,), "QLinearReduceMean", "ReduceMean", _q_reduce_mean),
        ((MICROSOFT,), "QLinearSoftmax", "Identity and ReduceMean", _q_softmax),
        (
            (MICROSOFT, NHWC),
            "QLinearAveragePool",
            "AveragePool",
            _as("AveragePool", _Q_POOL, added=(3, 4)),
        ),
        (
            (MICROSOFT,),
            "QLinearGlobalAveragePool",
            "GlobalAveragePool",
            _as("GlobalAveragePool", _Q_POOL, added=(3, 4)),
        ),
        ((MICROSOFT,), "DynamicQuantizeLSTM", "ReduceMean of all", _everything),
        ((MICROSOFT,), "MatMulNBits", "ReduceMean, expanded", _packed_product),
        ((MICROSOFT,), "MatMulBnb4", "ReduceMean, expanded", _packed_product),
    )
    for domain in domains
}

_TRANSPOSED = """
    AveragePool BatchNormalization Conv ConvTranspose DepthToSpace GlobalAveragePool GlobalLpPool
    GlobalMaxPool GridSample InstanceNormalization LRN LpPool MaxPool SpaceToDepth
"""

_FUSED: Mapping[Key, Rule] = {
    (MICROSOFT, "FusedConv"): Rule(_ACTIVATION, "Conv and Sum", _fused_conv),
    (MICROSOFT, "FusedGemm"): Rule(_ACTIVATION, "Gemm", _fused_gemm),
    (MICROSOFT, "EmbedLayerNormalization"): Rule(_INDEX, "the index, expanded", _embed),
    (MICROSOFT, "NhwcConv"): Rule(_LAYOUT, "Conv, transposed", _channels_last("Conv", 3)),
    (MICROSOFT, "NhwcFusedConv"): Rule(_LAYOUT, "Conv, transposed", _channels_last("Conv", 3)),
    (MICROSOFT, "NhwcMaxPool"): Rule(_LAYOUT, "MaxPool, transposed", _channels_last("MaxPool")),
    (NCHWC, "Conv"): Rule(_BLOCKED, "Conv and Sum", _fused_conv),
    (NCHWC, "ReorderInput"): Rule(_BLOCKED, "Identity or Transpose", _reorder_input),
    (NCHWC, "ReorderOutput"): Rule(_BLOCKED, "Slice", _reorder_output),
    (NCHWC, "Upsample"): Rule(_BLOCKED, "Resize", _upsample),
    **{
        (NCHWC, name): Rule(_BLOCKED, f"ONNX's {name}", _plain)
        for name in ("AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool")
    },
    (NHWC, "Resize"): Rule(_LAYOUT, "ONNX's Resize", _plain),
    **{
        (NHWC, name): Rule(_LAYOUT, f"ONNX's {name}, transposed", _channels_last(name))
        for name in _TRANSPOSED.split()
    },
}

_RECURRENT = "with a bias some sizes of it clip, and lose NaN; activations may"
_MASKED = "what is masked is multiplied by zero, and 0 * NaN is NaN"
_ITSELF = "itself on data of its own, compared"

# Of operators that are compared, the inputs whose change shows in what they make: a bias of all
# keys cancels in a softmax.
_COMPARED: Mapping[Key, Collection[int]] = {
    ("", "Attention"): (0, 1, 2, 4, 5),
    (MICROSOFT, "Attention"): (0, 4, 5),
    (MICROSOFT, "MultiHeadAttention"): (0, 1, 2, 5, 6, 7),
    (MICROSOFT, "GroupQueryAttention"): (0, 1, 2, 3, 4),
    (MICROSOFT, "QAttention"): (0, 8),
}

_SEQUENCES: Mapping[Key, Rule] = {
    **{
        ("", name): Rule(_RECURRENT, "itself without bias", _recurrent)
        for name in ("GRU", "LSTM", "RNN")
    },
    ("", "Attention"): Rule(_MASKED, _ITSELF, _compared, _cuts_keys),
    ("", "DFT"): Rule("of an inverse to reals it mixes more", "nothing", _depart, _to_reals),
    **{
        (MICROSOFT, name): Rule(_MASKED, _ITSELF, _compared)
        for name in ("Attention", "GroupQueryAttention", "MultiHeadAttention", "QAttention")
    },
}

# The rules, established with onnxruntime 1.32's CPU kernels; tests hold each of them against the
# kernel.
RULES: Mapping[Key, Rule] = {
    ("", "MaxPool"): Rule(_LOSES, "AveragePool, or itself on the indicator", _max_pool),
    ("", "GlobalMaxPool"): Rule(_LOSES, "GlobalAveragePool", _global_max_pool),
    ("", "ReduceMax"): Rule(_LOSES, "ReduceMean", _reduction),
    ("", "ReduceMin"): Rule(_LOSES, "ReduceMean", _reduction),
    ("", "ReduceLogSum"): Rule(_UNDEFINED, "ReduceMean", _reduction),
    ("", "ArgMax"): Rule(_NOT_FLOAT, "ReduceMean", _arg_reduction),
    ("", "ArgMin"): Rule(_NOT_FLOAT, "ReduceMean", _arg_reduction),
    ("", "TopK"): Rule(_LOSES, "ReduceMean, repeated", _top_k),
    ("", "Hardmax"): Rule("only zeros and ones are written", "Softmax", _hardmax),
    ("", "LRN"): Rule(
        "a running sum over the channels keeps NaN beyond the window",
        "itself on 1 and on 1 + 100 * the indicator, compared",
        _lrn,
    ),
    ("", "Resize"): Rule(_ZERO, "itself on the indicator", _interpolation, _weighted),
    ("", "Upsample"): Rule(_ZERO, "itself on the indicator", _interpolation, _weighted),
    ("", "Gather"): Rule(_INDEX, "the index, expanded", _gather, _second_live),
    ("", "GatherElements"): Rule(_INDEX, "Identity of the index", _gather_elements, _second_live),
    ("", "GatherND"): Rule(_INDEX, "the index's mean, expanded", _gather_nd, _second_live),
    ("", "OneHot"): Rule(_INDEX, "the index, expanded", _one_hot, _first_live),
    ("", "Conv"): Rule(
        "a weight that is NaN spreads over the padding",
        "itself on ones and the indicator",
        _conv,
        _second_live,
    ),
    ("", "Dropout"): Rule("in training it is by chance", "Identity", _dropout),
    ("", "Split"): Rule("an output left out ends the process", "itself", _split, _one_left_out),
    ("", "MaxUnpool"): Rule("it departs from the standard", "nothing", _depart, _of_given_shape),
    ("", "ScatterND"): Rule(_LOSES, "itself, adding", _scatter, _selects),
    ("", "ScatterElements"): Rule(_LOSES, "itself, adding", _scatter, _selects),
    (MICROSOFT, "SampleOp"): Rule("there is no kernel", "Identity", _pass),
    (MICROSOFT, "BiasAdd"): Rule("there is no kernel", "Sum", _sum),
    (MICROSOFT, "ScaledSiLU"): Rule("there is no kernel", "Sum", _sum),
    **{("", name): Rule(_BODY, "itself", _flow) for name in _FLOWS},
    **_QUANTISED,
    **_FUSED,
    **_SEQUENCES,
    ("", "GridSample"): Rule(_ZERO, "itself on the indicator", _interpolation, _weighted),
    **{("", name): Rule(why, "Identity", _pass) for name, why in _IDENTITY.items()},
    **{("", name): Rule(why, "Sum", _sum) for name, why in _SUM.items()},
}

_CARRY = """
    Abs Acos Acosh Add Asin Asinh Atan Atanh Attention AveragePool BatchNormalization Ceil Celu
    CenterCropPad Col2Im Compress Concat ConcatFromSequence Conv ConvTranspose Cos Cosh CumProd
    CumSum DFT DepthToSpace Det Div Einsum Elu Erf Exp Expand Flatten Floor Gather
    GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool GridSample
    GroupNormalization HardSigmoid HardSwish Identity InstanceNormalization LayerNormalization
    LeakyRelu LogSoftmax LpNormalization LpPool MatMul Max MaxUnpool Mean
    MeanVarianceNormalization Min Mish Mul Neg NegativeLogLikelihoodLoss OneHot Optional
    OptionalGetElement Pad RMSNormalization Reciprocal ReduceL1 ReduceL2 ReduceLogSumExp
    ReduceMean ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize ReverseSequence
    RotaryEmbedding Round STFT Scatter ScatterElements ScatterND Selu SequenceAt
    SequenceConstruct SequenceErase SequenceInsert SequenceLength Sigmoid Sign
    SimplifiedLayerNormalization Sin Sinh Slice Softmax SoftmaxCrossEntropyLoss Softplus
    Softsign SpaceToDepth Split SplitToSequence Squeeze Sub Sum Swish Tan Tanh TensorScatter
    Tile Transpose Trilu Unsqueeze Upsample
"""

_CARRY_FUSED = """
    BiasGelu ExpandDims FastGelu FusedMatMul GatherND Gelu Inverse Pad QuickGelu
    RotaryEmbedding SkipLayerNormalization SkipSimplifiedLayerNormalization TransposeMatMul Trilu
"""

# Operators whose unoptimised kernels carry a NaN to exactly the elements that read it.
CARRIES: frozenset[Key] = frozenset(("", name) for name in _CARRY.split()) | frozenset(
    (MICROSOFT, name) for name in _CARRY_FUSED.split()
)

# Inputs that hold no data, though their type is one of data, or there is no schema to tell.
_STEERING: Mapping[Key, Collection[int]] = {
    ("", "CastLike"): (1,),
    ("", "GridSample"): (1,),
    ("", "OneHot"): (1,),
    (MICROSOFT, "ExpandDims"): (1,),
    (MICROSOFT, "GatherND"): (1,),
    (MICROSOFT, "Pad"): (1,),
    (MICROSOFT, "RotaryEmbedding"): (1,),
    (MICROSOFT, "Trilu"): (1,),
}

# Operators that no rule can stand in for, and why.
LOST: Mapping[Key, str] = {
    ("", "NonZero"): "the size of its output depends on the data",
    ("", "NonMaxSuppression"): "the size of its output depends on the data",
    ("", "Unique"): "the size of its output depends on the data",
    ("", "Range"): "the size of its output depends on the data",
    ("", "ConstantOfShape"): "the shape of its output depends on the data",
}
