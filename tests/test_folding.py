"""What doesn't depend on the data is what onnxruntime computes, whichever outputs are left out."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from onnx import ModelProto, helper, numpy_helper

import rfgraph
from rfgraph.model.graph import read
from rfgraph.shapes.shapes import Shapes
from tests.graphs import around, model
from tests.oracle.observe import session


def _of(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)


_ROWS = np.array([[3, 1, 3], [2, 0, 2], [3, 1, 3]])
_GIVEN = [_of(1, 2, 3, 4), _of(1, 2, 5, 4), _of(1, 2, 5, 4)]
_PAST = [_of(1, 2, 2, 4), _of(1, 2, 2, 4)]

# Operator, inputs, attributes, how many outputs, and how many of them come first and may not be
# left out.
_NODES: list[tuple[str, list[np.ndarray | None], dict[str, object], int, int]] = [
    *[
        ("Unique", [_ROWS], {"sorted": order, **along}, 4, 1)
        for order in (0, 1)
        for along in ({}, {"axis": 0}, {"axis": 1}, {"axis": -1})
    ],
    ("Unique", [np.array([2, 0, 1, 2, 0])], {"sorted": 0}, 4, 1),
    ("MaxPool", [_of(1, 2, 5, 4)], {"kernel_shape": [2, 2]}, 2, 1),
    ("Dropout", [_of(3, 4)], {}, 2, 1),
    ("LayerNormalization", [_of(2, 3, 4), _of(4), _of(4)], {}, 3, 1),
    (
        "BatchNormalization",
        [_of(2, 3, 4), _of(3), _of(3), _of(3), abs(_of(3))],
        {"training_mode": 1},
        3,
        1,
    ),
    ("LSTM", [_of(4, 2, 3), _of(1, 8, 3), _of(1, 8, 2)], {"hidden_size": 2}, 3, 0),
    ("GRU", [_of(4, 2, 3), _of(1, 6, 3), _of(1, 6, 2)], {"hidden_size": 2}, 2, 0),
    ("RNN", [_of(4, 2, 3), _of(1, 2, 3), _of(1, 2, 2)], {"hidden_size": 2}, 2, 0),
    ("SoftmaxCrossEntropyLoss", [_of(3, 4), np.array([0, 1, 2])], {}, 2, 1),
    ("Attention", _GIVEN, {}, 4, 1),
    ("Attention", [*_GIVEN, None, *_PAST], {}, 4, 1),
]


def _model(
    op: str, inputs: list[np.ndarray | None], names: list[str], attributes: dict[str, object]
) -> ModelProto:
    given = {f"in{k}": value for k, value in enumerate(inputs) if value is not None}
    node = helper.make_node(
        op, [f"in{k}" if value is not None else "" for k, value in enumerate(inputs)], names
    )
    node.attribute.extend(helper.make_attribute(*pair) for pair in attributes.items())
    return around(node, given, given, {"": 24})


@pytest.mark.parametrize("node", _NODES, ids=lambda node: f"{node[0]} {node[2]}")
def test_outputs_that_are_left_out_give_no_value_to_others(
    node: tuple[str, list[np.ndarray | None], dict[str, object], int, int],
) -> None:
    op, inputs, attributes, count, needed = node
    names = [f"out{k}" for k in range(count)]
    computed = session(_model(op, inputs, names, attributes)).run(None, {})
    expected = dict(zip(names, computed, strict=True))
    for kept in product((True, False), repeat=count - needed):
        chosen = [
            *names[:needed],
            *(n if k else "" for n, k in zip(names[needed:], kept, strict=True)),
        ]
        if not any(chosen):
            continue
        graph = read(_model(op, inputs, chosen, attributes))
        shapes = Shapes(graph, {})
        shapes.walk(graph.nodes)
        for name in filter(None, chosen):
            assert shapes.shape(name) == expected[name].shape, (chosen, name)
            value = shapes.static(name)
            if value is None:
                assert op in ("Attention", "MaxPool")
                continue
            np.testing.assert_allclose(value, expected[name], 1e-4, 1e-6)


@pytest.mark.parametrize(
    ("outputs", "taken", "reads"),
    [
        # As onnxruntime computes them: u = 0 1 2, i = 1 2 0, inv = 2 0 1, n = 1 1 1.
        ("u, '', inv", "inv", [2, 0, 1]),
        ("u, i", "i", [1, 2, 0]),
        ("u, i, '', n", "i", [1, 2, 0]),
        ("u, '', '', n", "n", [1, 1, 1]),
        ("u, '', inv, ''", "u", [0, 1, 2]),
    ],
)
def test_unique_of_a_constant_tells_what_is_gathered(
    outputs: str, taken: str, reads: list[int]
) -> None:
    proto = model(f"u, i, inv, n = Unique(c) y = Gather(x, {taken})", "float[3] x", opset=18)
    proto.graph.node[0].output[:] = ["" if n == "''" else n for n in outputs.split(", ")]
    proto.graph.initializer.append(numpy_helper.from_array(np.array([2, 0, 1]), "c"))
    lo, hi = rfgraph.analyze(proto).bounds("y")
    shown = session(proto).run(None, {"x": np.arange(3, dtype=np.float32)})[0]
    np.testing.assert_array_equal(shown, reads)
    np.testing.assert_array_equal(np.broadcast_to(lo[:, 0], 3), reads)
    np.testing.assert_array_equal(np.broadcast_to(hi[:, 0], 3), reads)


def test_a_sum_over_segments_reads_its_segment() -> None:
    """The graph that tf2onnx makes of tf.math.segment_sum, whose ids are [0, 0, 1, 2, 2, 2]."""
    proto = model(
        """
        v, k = TopK(ids, six)
        u, none, inverse, n = Unique(v)
        own = Gather(n, inverse)
        place = Mod(count, own)
        column = Unsqueeze(place, one)
        first = Unsqueeze(v, one)
        at = Concat<axis = 1>(first, column)
        most = ReduceMax<keepdims = 1>(n)
        size = Concat<axis = 0>(three, most)
        empty = ConstantOfShape<value = int64[1] {6}>(size)
        rows = ScatterND(empty, at, k)
        padded = Concat<axis = 0>(x, zero)
        gathered = Gather(padded, rows)
        y = ReduceSum<keepdims = 0>(gathered, one)
        """,
        "float[6,2] x",
        opset=17,
    )
    proto.graph.node[1].output[1] = ""
    arrays = {
        "ids": np.array([0, 0, 1, 2, 2, 2]),
        "six": np.array([6]),
        "count": np.arange(6),
        "one": np.array([1]),
        "three": np.array([3]),
        "zero": np.zeros((1, 2), np.float32),
    }
    for name, value in arrays.items():
        proto.graph.initializer.append(numpy_helper.from_array(value, name))
    x = np.arange(12, dtype=np.float32).reshape(6, 2)
    sums = [x[:2].sum(0), x[2], x[3:].sum(0)]
    np.testing.assert_array_equal(session(proto).run(None, {"x": x})[0], sums)
    lo, hi = rfgraph.analyze(proto).bounds("y")
    np.testing.assert_array_equal(lo[:, 0, 0], [0, 2, 3])
    np.testing.assert_array_equal(hi[:, 0, 0], [1, 2, 5])


@pytest.mark.parametrize("condition", ["", "bool c"])
def test_a_branch_gives_as_many_outputs_as_the_node_has(condition: str) -> None:
    proto = model(
        """
        a, b = If(c) <
            then_branch = t () => (float[3] p, float[3] q) { p = Relu(x) q = Neg(x) },
            else_branch = e () => (float[3] r, float[3] s) { r = Relu(x) s = Neg(x) }>
        y = Identity(a)
        """,
        ", ".join(filter(None, ["float[3] x", condition])),
        opset=18,
    )
    if not condition:
        proto.graph.initializer.append(numpy_helper.from_array(np.array(True), "c"))
    proto.graph.node[0].output[:] = ["a"]
    with pytest.raises(rfgraph.ModelError, match="gives 2 outputs, and the node has 1"):
        rfgraph.analyze(proto)


def test_indices_of_a_pool_whose_shape_is_ruled_are_integers() -> None:
    proto = model(
        "v, i = MaxPool<kernel_shape = [2, 2], strides = [2, 2], ceil_mode = 1>(x) j = Add(i, one) "
        "y = Cast<to = 1>(j)",
        "float[1,1,5,5] x",
        initializers={"one": np.array([1])},
    )
    shown = session(proto).run(None, {"x": np.zeros((1, 1, 5, 5), np.float32)})[0]
    assert rfgraph.analyze(proto).shape("y") == shown.shape == (1, 1, 3, 3)
