"""Seeded random graphs with If, Loop, Scan, sequences and optionals, nested in each other.

All values are of one shape and every operator hands NaN on exactly, so that what each unit sees is
observed by poison on the model as it is, without a probe. Conditions and trip counts are either
static (constants, shapes, the round's number), or inputs of the model of their own, of which all
values are tried: what is seen is then the union.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .observe import session

LENGTH = 6
SHAPE = (1, 2, LENGTH)

# Rounds that are tried where the data decide: enough for every view to settle.
_MOST_ROUNDS = 13


class _Scope:
    """The nodes of one graph or subgraph, and the values that it can use."""

    def __init__(self, graphs: Graphs, outer: _Scope | None = None) -> None:
        self.graphs = graphs
        self.nodes: list[onnx.NodeProto] = []
        self.values: list[str] = list(outer.values) if outer else []
        self.rounds: list[str] = list(outer.rounds) if outer else []
        self.depth = outer.depth + 1 if outer else 0
        self.looping = outer.looping if outer else False

    @property
    def rng(self) -> random.Random:
        return self.graphs.rng

    def op(self, op_type: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        names = [self.graphs.fresh(op_type.lower()) for _ in range(outputs)]
        self.nodes.append(helper.make_node(op_type, inputs, names, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, value: Any) -> str:
        """A constant of the subgraph's own, or an initializer of the main graph."""
        array = np.asarray(value)
        if self.rng.random() < 0.5:
            return self.op("Constant", value=numpy_helper.from_array(array))
        name = self.graphs.fresh("w")
        self.graphs.weights.append(numpy_helper.from_array(array, name))
        return name

    def pick(self) -> str:
        return self.rng.choice(self.values[-3:] if self.rng.random() < 0.7 else self.values)

    def subgraph(
        self,
        inputs: list[onnx.ValueInfoProto],
        build: Callable[[_Scope], list[tuple[str, int, Any]]],
    ) -> onnx.GraphProto:
        """A subgraph: `build` appends nodes and gives names, types and shapes of its outputs."""
        inner = _Scope(self.graphs, self)
        outputs = build(inner)
        infos: list[onnx.ValueInfoProto] = []
        for name, kind, shape in outputs:
            # An output must be made inside, and only once.
            own = {n for node in inner.nodes for n in node.output}
            if name not in own or name in {i.name for i in infos}:
                name = inner.op("Identity", name)
            infos.append(helper.make_tensor_value_info(name, kind, shape))
        return helper.make_graph(inner.nodes, self.graphs.fresh("body"), inputs, infos)


def _value(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE)


def _scalar(name: str, kind: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, ())


class Graphs:
    """A random graph.

    Parameters
    ----------
    seed : int
        Decides everything.

    Attributes
    ----------
    model : onnx.ModelProto
        The graph.
    inputs : list of str
        Its inputs that hold data.
    steering : dict of str to list
        Its inputs that decide, and the values that are tried.
    exact : bool
        Whether every combination of ways through the graph occurs.
    """

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.weights: list[onnx.TensorProto] = []
        self.steering: dict[str, list[np.ndarray]] = {}
        self.exact = True
        self._count = 0
        scope = _Scope(self)
        inputs = ["x", "z"][: self.rng.choice((1, 1, 2))]
        scope.values += inputs
        for _ in range(self.rng.randint(1, 4)):
            _grow(scope)
        outputs = []
        for k, name in enumerate(dict.fromkeys(scope.values[-2:])):
            scope.nodes.append(helper.make_node("Identity", [name], [f"y{k}"]))
            outputs.append(helper.make_tensor_value_info(f"y{k}", TensorProto.FLOAT, SHAPE))
        steering = [
            _scalar(name, helper.np_dtype_to_tensor_dtype(values[0].dtype))
            for name, values in self.steering.items()
        ]
        graph = helper.make_graph(
            scope.nodes,
            f"control_flow_{seed}",
            [*map(_value, inputs), *steering],
            outputs,
            self.weights,
        )
        imports = [helper.make_opsetid("", self.rng.choice((16, 17, 18, 21)))]
        self.model = helper.make_model(graph, ir_version=10, opset_imports=imports)
        self.inputs = inputs

    def fresh(self, prefix: str) -> str:
        """A name that nothing has."""
        self._count += 1
        return f"{prefix}{self._count}"

    def steer(self, scope: _Scope, values: list[np.ndarray]) -> str | None:
        """An input of the model that decides; None if there are enough already."""
        if len(self.steering) == 2:
            return None
        # Within a loop it decides alike in every round, which no union of rounds knows.
        self.exact = self.exact and not scope.looping
        name = self.fresh("s")
        self.steering[name] = values
        return name

    def masks(self) -> dict[str, dict[str, np.ndarray]]:
        """By input and output, which elements each unit sees: union over all that may steer."""
        opened = session(self.model)
        names = [v.name for v in self.model.graph.output]
        found = {i: {name: np.zeros(SHAPE + SHAPE, bool) for name in names} for i in self.inputs}
        ones = {i: np.ones(SHAPE, np.float32) for i in self.inputs}
        for choice in product(*self.steering.values()):
            feeds = dict(ones) | dict(zip(self.steering, choice, strict=True))
            for i in self.inputs:
                for place in np.ndindex(SHAPE):
                    feeds[i] = ones[i].copy()
                    feeds[i][place] = np.nan
                    for name, value in zip(names, opened.run(names, feeds), strict=True):
                        found[i][name][(..., *place)] |= np.isnan(value)
                feeds[i] = ones[i]
        return found


# ---------------------------------------------------------------- what graphs are made of


def _conv(s: _Scope) -> None:
    kernel = s.rng.choice((1, 2, 2, 3))
    before = s.rng.randint(0, kernel - 1)
    group = s.rng.choice((1, 2))
    weight = s.constant(np.full((2, 2 // group, kernel), 0.5, np.float32))
    pads = [before, kernel - 1 - before]
    s.values.append(s.op("Conv", s.pick(), weight, pads=pads, group=group))


def _add(s: _Scope) -> None:
    s.values.append(s.op("Add", s.pick(), s.pick()))


def _roll(s: _Scope) -> None:
    x, cut = s.pick(), s.rng.randint(1, LENGTH - 1)
    axis = s.constant(np.array([2]))
    at, end = s.constant(np.array([cut])), s.constant(np.array([LENGTH]))
    zero = s.constant(np.array([0]))
    s.values.append(
        s.op("Concat", s.op("Slice", x, at, end, axis), s.op("Slice", x, zero, at, axis), axis=2)
    )


def _here(s: _Scope) -> None:
    """Add the column that has the round's number, where the number of rounds is static."""
    if not s.rounds:
        _add(s)
        return
    number = s.op("Mod", s.rng.choice(s.rounds), s.constant(np.int64(LENGTH)))
    axes = s.constant(np.array([2]))
    column = s.op("Unsqueeze", s.op("Gather", s.pick(), number, axis=2), axes)
    s.values.append(s.op("Add", s.pick(), column))


def _if(s: _Scope) -> None:
    condition = None
    if s.rng.random() < 0.4:
        condition = s.graphs.steer(s, [np.array(False), np.array(True)])
    if condition is None:
        if s.rng.random() < 0.5:
            condition = s.constant(np.array(s.rng.random() < 0.5))
        else:
            size = s.op("Size", s.pick())
            limit = s.constant(np.int64(2 * LENGTH + s.rng.choice((0, 1))))
            condition = s.op("Less", size, limit)
    several = s.rng.choice((1, 2))

    def branch(inner: _Scope) -> list[tuple[str, int, Any]]:
        for _ in range(s.rng.randint(0, 2)):
            _grow(inner)
        return [(inner.pick(), TensorProto.FLOAT, SHAPE) for _ in range(several)]

    then, other = s.subgraph([], branch), s.subgraph([], branch)
    made = s.op("If", condition, then_branch=then, else_branch=other, outputs=several)
    s.values += [made] if several == 1 else made


def _loop(s: _Scope) -> None:
    states = s.rng.choice((1, 1, 2))
    kind = s.rng.choice(("trips", "trips", "while", "given", "given while"))
    trips = s.rng.randint(0, 4)
    number = None
    if kind.startswith("given"):
        number = s.graphs.steer(s, [np.array(k, np.int64) for k in range(_MOST_ROUNDS)])
        kind = kind if number else "trips"
    first = [s.pick() for _ in range(states)]
    inner_names = [s.graphs.fresh("state") for _ in range(states)]
    i, c = s.graphs.fresh("i"), s.graphs.fresh("c")
    rows = s.rng.random() < 0.5 and kind == "trips" and trips > 0

    def body(inner: _Scope) -> list[tuple[str, int, Any]]:
        inner.values += inner_names
        inner.looping = True
        if not kind.startswith("given"):
            inner.rounds.append(i)
        for _ in range(s.rng.randint(1, 2)):
            _grow(inner)
        goes_on = inner.op("Identity", c)
        if kind == "while":
            goes_on = inner.op("Less", i, inner.constant(np.int64(trips)))
        elif kind == "given while":
            assert number is not None
            goes_on = inner.op("Less", i, number)
        after = [(inner.pick(), TensorProto.FLOAT, SHAPE) for _ in range(states)]
        after += [(inner.pick(), TensorProto.FLOAT, SHAPE)] if rows else []
        return [(goes_on, TensorProto.BOOL, ()), *after]

    graph = s.subgraph(
        [_scalar(i, TensorProto.INT64), _scalar(c, TensorProto.BOOL), *map(_value, inner_names)],
        body,
    )
    if kind == "trips":
        limit = s.constant(np.int64(trips))
    elif kind == "given":
        assert number is not None
        limit = number
    else:
        limit = s.rng.choice(("", s.constant(np.int64(2**62))))
    begins = s.constant(np.array(True)) if not limit or s.rng.random() < 0.5 else ""
    made = s.op("Loop", limit, begins, *first, body=graph, outputs=states + rows)
    made = [made] if states + rows == 1 else made
    s.values += made[:states]
    if rows:
        row = s.op("Gather", made[-1], s.constant(np.int64(s.rng.randrange(trips))), axis=0)
        s.values.append(row)


def _scan(s: _Scope) -> None:
    """Over the last axis: the state is one column."""
    x = s.pick()
    flat = s.op("Transpose", x, perm=[2, 0, 1])
    zero = s.op("Gather", x, s.constant(np.int64(s.rng.randrange(LENGTH))), axis=2)
    h, column = s.graphs.fresh("h"), s.graphs.fresh("column")
    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, SHAPE[:2]) for n in (h, column)]
    keeps = s.rng.random() < 0.3

    def body(inner: _Scope) -> list[tuple[str, int, Any]]:
        inner.values, inner.rounds = [], []
        total = inner.op("Add", h, column)
        mixed = total
        if s.rng.random() < 0.5:
            mixed = inner.op("MatMul", total, inner.constant(np.ones((2, 2), np.float32)))
        state = h if keeps else mixed
        return [(state, TensorProto.FLOAT, SHAPE[:2]), (mixed, TensorProto.FLOAT, SHAPE[:2])]

    directions = {}
    if s.rng.random() < 0.5:
        directions["scan_input_directions"] = [s.rng.choice((0, 1))]
    if s.rng.random() < 0.5:
        directions["scan_output_directions"] = [s.rng.choice((0, 1))]
    last = s.rng.random() < 0.5
    if last:
        directions |= {"scan_input_axes": [2], "scan_output_axes": [s.rng.choice((2, -1))]}
    _, rows = s.op(
        "Scan",
        zero,
        x if last else flat,
        num_scan_inputs=1,
        body=s.subgraph(info, body),
        outputs=2,
        **directions,
    )
    s.values.append(rows if last else s.op("Transpose", rows, perm=[1, 2, 0]))


def _sequence(s: _Scope) -> None:
    """Take apart, move around, put together."""
    x = s.pick()
    parts = s.rng.choice(([2, 2, 2], [1, 2, 3], [3, 3]))
    split = s.constant(np.array(parts))
    sequence = s.op("SplitToSequence", x, split, axis=2)
    end = len(parts) - 1
    for _ in range(s.rng.randint(1, 2)):
        place = s.constant(np.int64(s.rng.randint(-end - 1, end)))
        taken = s.op("SequenceAt", sequence, place)
        sequence = s.op("SequenceErase", sequence, place)
        if s.rng.random() < 0.5:
            sequence = s.op("SequenceInsert", sequence, taken)
        else:
            sequence = s.op("SequenceInsert", sequence, taken, s.constant(np.int64(0)))
    if s.rng.random() < 0.5:
        length = s.op("SequenceLength", sequence)
        last = s.op("Sub", length, s.constant(np.int64(1)))
        taken = s.op("SequenceAt", sequence, last)
        sequence = s.op("SequenceInsert", s.op("SequenceErase", sequence, last), taken, last)
    s.values.append(s.op("ConcatFromSequence", sequence, axis=2))


def _stack(s: _Scope) -> None:
    x, y = s.pick(), s.pick()
    if s.rng.random() < 0.5:
        sequence = s.op("SequenceConstruct", x, y)
    else:
        empty = s.op("SequenceEmpty")
        sequence = s.op("SequenceInsert", s.op("SequenceInsert", empty, x), y)
    stacked = s.op("ConcatFromSequence", sequence, axis=s.rng.choice((0, 1)), new_axis=1)
    axis = s.nodes[-1].attribute[0].i
    chosen = s.op("Gather", stacked, s.constant(np.int64(s.rng.choice((0, 1)))), axis=axis)
    s.values.append(chosen)


def _squeezed(s: _Scope) -> None:
    sequence = s.op("SplitToSequence", s.pick(), axis=2, keepdims=0)
    s.values.append(s.op("ConcatFromSequence", sequence, axis=2, new_axis=1))


def _optional(s: _Scope) -> None:
    optional = s.op("Optional", s.pick())
    held = s.op("OptionalGetElement", optional)
    s.values.append(s.op("Add", held, s.pick()))


_PLAIN = (_conv, _conv, _add, _roll, _here)
_STRUCTURED = (_if, _if, _loop, _loop, _scan, _sequence, _stack, _squeezed, _optional)


def _grow(s: _Scope) -> None:
    chosen = _PLAIN if s.depth > 2 or s.rng.random() < 0.35 else _STRUCTURED
    s.rng.choice(chosen)(s)
