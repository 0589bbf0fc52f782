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

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Literal, TypeAlias

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rfgraph.errors import QueryError
from rfgraph.model.graph import Node, read
from rfgraph.model.model_file import light
from rfgraph.validation.protos import (
    FLOATS,
    LostError,
    Shape,
    attributes_of,
    element_type_of,
    formal_of,
    input_of,
    is_container,
    key_of,
    names_in,
    needed,
    node_interpolates,
    opsets_of,
    reads_of,
    runnable,
    subgraphs_of,
    types_of,
    walk,
)
from rfgraph.validation.stand_ins import CARRIES, FLOWS, LOST, RULES, STEERING

Taps: TypeAlias = Literal["read", "weighted"]

# Operators whose outputs are known from shapes alone, and outputs that no data can change.
_SHAPE_ONLY = frozenset({("", "Shape"), ("", "Size")})
_DEAD_OUTPUTS = frozenset({(("", "Dropout"), 1), (("", "SequenceLength"), 0)})

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
    model = runnable(model)
    bare = light(model)
    weights = {t.name for t in model.graph.initializer}
    weights.update(t.values.name for t in model.graph.sparse_initializer)
    live = {v.name for v in model.graph.input if v.name not in weights and v.name not in held}
    types = types_of(bare)
    shapes = KnownShapes(shape)
    shapes.added.update((tensor.name, tuple(tensor.dims)) for tensor in model.graph.initializer)
    graph = read(model)
    rewriting = Rewriting(
        {"": _OPSET, **opsets_of(model)},
        {name: element_type_of(kind) for name, kind in types.items()},
        shapes,
        taps,
        live,
        names_in(bare.graph),
        graph.in_blocks,
    )
    for name in sorted(live):
        kind = element_type_of(types[name])
        if kind == TensorProto.STRING or (is_container(types[name]) and kind != TensorProto.FLOAT):
            live.discard(name)
            rewriting.lost[name] = f"input '{name}': its type holds no NaN"
    for node in graph.nodes:
        rewriting.follow(node)
    values = tuple(dict.fromkeys(values))
    lost = {name: rewriting.lost[name] for name in values if name in rewriting.lost}
    for name in values:
        if name in types and is_container(types[name]):
            lost.setdefault(name, "it is no tensor, and has no units")
    returned = tuple(name for name in values if name not in lost)
    return Probe(_assembled(model, rewriting, returned), returned, lost)


def _assembled(
    model: onnx.ModelProto, rewriting: Rewriting, values: Sequence[str]
) -> onnx.ModelProto:
    """The probe of `model`: its nodes that have been rewritten, and what they need."""
    probe = onnx.ModelProto(ir_version=model.ir_version, producer_name="rfgraph")
    probe.opset_import.extend(model.opset_import)
    if "" not in opsets_of(model):
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
        if value.name in rewriting.live and not is_container(value.type):
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


class KnownShapes:
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
            raise LostError(f"the shape of '{name}' is not known")
        return shape


class Rewriting:
    """A model under rewriting: the same values by the same names, all that live are floats.

    Attributes
    ----------
    nodes, constants : list
        What has been written.
    live : set of str
        Values that depend on an input that is followed.
    lost : dict of str to str
        Those of which NaN tells nothing, and why.
    in_blocks : container of str
        Values whose channels the model has in blocks.
    """

    def __init__(
        self,
        opsets: Mapping[str, int],
        types: Mapping[str, int],
        shapes: KnownShapes,
        taps: Taps,
        live: set[str],
        taken: Container[str],
        in_blocks: Container[str],
    ) -> None:
        self.opsets = opsets
        self.opset = opsets[""]
        self.types = types
        self.shapes = shapes
        self.taps = taps
        self.live = live
        self.in_blocks = in_blocks
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
        except LostError as error:
            gone = f"{node}: {error}"
        if gone is not None:
            del self.nodes[written:]
            self._casts = {k: v for k, v in self._casts.items() if v[1] < written}
            self.lost.update({name: gone for name in node.outputs if name})

    def rewrite(self, node: onnx.NodeProto) -> None:
        """Write what stands in for a node that lives, and mark what it makes."""
        key = key_of(node)
        rule = RULES.get(key)
        if rule is not None and rule.applies(self, node):
            rule.rewrite(self, node)
        elif key in CARRIES:
            self.nodes.append(self.with_floats(node))
        else:
            raise LostError(LOST.get(key, "not known to carry NaN"))
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
        LostError
            An operand that says where to read lives.
        """
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        for k, name in enumerate(node.input):
            if not name:
                continue
            formal = formal_of(node, self.opsets, k)
            if formal is not None and any("(tensor(float))" in kind for kind in formal.types):
                self.must_be_float(name)
            elif self.is_data(node, k):
                copy.input[k] = self.floats(name)
            elif name in self.live:
                what = f"its '{formal.name}'" if formal else f"its input {k}"
                raise LostError(f"{what} says where it reads, and is computed from the data")
        return copy

    def is_data(self, node: onnx.NodeProto, k: int) -> bool:
        """Whether input `k` of a node holds data, and does not say where they are read."""
        key = key_of(node)
        if k in STEERING.get(key, ()):
            return False
        formal = formal_of(node, self.opsets, k)
        return formal is None or any("tensor(float)" in kind for kind in formal.types)

    def must_be_float(self, name: str) -> None:
        """Fail unless a value that lives, of a type that is kept, is one of 32-bit floats.

        Raises
        ------
        LostError
            It is not, or not known to be.
        """
        if name in self.live and self.types.get(name) != TensorProto.FLOAT:
            raise LostError(f"'{name}' is not known to hold 32-bit floats")

    def trust(self, node: onnx.NodeProto) -> list[bool]:
        """Which outputs of a control flow operator live; it is kept as it is.

        Raises
        ------
        LostError
            Data decide what it does, or something inside does not carry NaN as it is.
        """
        steering, first = FLOWS[node.op_type]
        if any(name in self.live for name in node.input[:steering]):
            raise LostError("what it does is decided by the data")
        outputs = [False] * len(node.output)
        for graph in subgraphs_of(node):
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
                    raise LostError("how often it does it is decided by the data")
                carried = len(begins) - attributes_of(node).get("num_scan_inputs", 0)
                loops = zip(graph.input[first : first + carried], made, strict=False)
                grown = inside | {formal.name for formal, alive in loops if alive}
                if node.op_type == "If" or grown == inside:
                    break
                inside = grown
            self.live = outside
            outputs = [one or other for one, other in zip(outputs, made, strict=True)]
        return outputs

    def _trust_inside(self, node: onnx.NodeProto) -> None:
        key = key_of(node)
        if key in _SHAPE_ONLY or self.live.isdisjoint(reads_of(node)):
            return
        rule = RULES.get(key)
        if node.op_type in FLOWS and not node.domain:
            living = self.trust(node)
        elif key in CARRIES and (rule is None or not rule.applies(self, node)):
            for k, name in enumerate(node.input):
                if name in self.live and not self.is_data(node, k):
                    raise LostError(f"inside, input {k} of {node.op_type} says where it reads")
            living = [(key, k) not in _DEAD_OUTPUTS for k in range(len(node.output))]
        else:
            raise LostError(f"{node.op_type} inside does not carry NaN as it is")
        self.live.update(name for name, alive in zip(node.output, living, strict=True) if alive)

    def branches(self, node: onnx.NodeProto) -> None:
        """Append an If whose branches are rewritten; its condition does not live.

        Raises
        ------
        LostError
            Data decide which branch is taken, or nothing carries NaN for something inside.
        """
        if node.input[0] in self.live:
            raise LostError("which branch is taken is decided by the data")
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        outside, casts = self.nodes, self._casts
        written = []
        try:
            for graph in subgraphs_of(copy):
                self.nodes, self._casts = [], dict(casts)
                for inner in graph.node:
                    if key_of(inner) in _SHAPE_ONLY or self.live.isdisjoint(reads_of(inner)):
                        self.nodes.append(inner)
                        continue
                    try:
                        self.rewrite(inner)
                    except LostError as error:
                        raise LostError(
                            f"inside, {inner.op_type} '{inner.name}': {error}"
                        ) from None
                written.append((graph, self.nodes))
            ends = [[output.name for output in graph.output] for graph, _ in written]
            living = [any(name in self.live for name in made) for made in zip(*ends, strict=True)]
            for graph, nodes in written:
                self.nodes, self._casts = nodes, dict(casts)
                for output, alive in zip(graph.output, living, strict=True):
                    if alive and not is_container(output.type):
                        output.CopyFrom(
                            helper.make_tensor_value_info(
                                self.floats(output.name), TensorProto.FLOAT, None
                            )
                        )
                # Some of them are the graph's own.
                kept = onnx.GraphProto(node=nodes)
                del graph.node[:], graph.value_info[:]
                graph.node.extend(kept.node)
        finally:
            self.nodes, self._casts = outside, casts
        self.dead.update(name for name, alive in zip(node.output, living, strict=True) if not alive)
        self.nodes.append(copy)

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
            **(attributes_of(node) | changed),
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
                raise LostError("a scale or zero point of a block is computed from the data")
        return self.emit("Sum", [value, *aligned], output)

    def with_parameters(
        self, value: str, node: onnx.NodeProto, inputs: Sequence[int], axis: int, like: str
    ) -> str:
        """A value to which some inputs of a node are added, of those that live; see `add`."""
        parameters = [(input_of(node, k), axis) for k in inputs if input_of(node, k) in self.live]
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
            raise LostError("its rule needs operator set 9")
        return self.emit("Cast", [self.emit("IsNaN", [name])], to=TensorProto.FLOAT)

    def exceeds(self, name: str, limit: float) -> str:
        """Where the magnitude of a value exceeds `limit`."""
        return self.emit("Greater", [self.emit("Abs", [name]), self.constant(limit)])

    def nan_where(self, condition: str, output: str) -> None:
        """Make `output` NaN where `condition` holds, and some number elsewhere."""
        nan, number = self.constant(np.nan), self.constant(0.75)
        self.emit("Where", [condition, nan, number], output)
