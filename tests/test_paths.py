"""Counts of paths against the Jacobians of linear nets, in onnxruntime, and against the support."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from math import prod

import numpy as np
import onnx
import pytest
from onnx import TensorProto

import rfgraph
from rfgraph.engine import paths
from tests.chunks import chunks, share
from tests.graphs import Nodes, model
from tests.oracle.generate import random_graph
from tests.oracle.observe import session

GRAPHS = share(200)
CHUNK = 25
MOST = 160


class Refused(Exception):  # noqa: N818 - drawn again
    """What was drawn does not fit."""


class Linear(Nodes):
    """A random net of sums with weights of 1: its Jacobian counts paths."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.rng = random.Random(seed)
        self.shapes: dict[str, tuple[int, ...]] = {}
        rank = self.rng.randint(1, 3)
        self.input = (self.rng.randint(1, 2), self.rng.randint(1, 4))
        self.input += tuple(self.rng.randint(2, (20, 7, 3)[rank - 1]) for _ in range(rank))
        self.shapes["x"] = self.input
        wanted = self.rng.randint(1, 9)
        for _ in range(wanted):
            for _ in range(20):
                kept = len(self.nodes), len(self.constants)
                names = list(self.shapes)
                x = names[-1] if self.rng.random() < 0.7 else self.rng.choice(names)
                try:
                    y = self.rng.choice(OPERATORS)(self, x)
                    found = self.made(y, since=kept[0])
                    if not 0 < prod(found) <= MOST or len(found) > 6:
                        raise Refused
                except Refused:
                    del self.nodes[kept[0] :], self.constants[kept[1] :]
                except Exception as error:
                    if "ONNXRuntimeError" not in str(error):
                        raise
                    del self.nodes[kept[0] :], self.constants[kept[1] :]
                else:
                    self.shapes[y] = found
                    break

    def made(self, value: str, since: int) -> tuple[int, ...]:
        """The shape that the nodes from `since` on make of what was there before."""
        read = {name for node in self.nodes[since:] for name in node.input}
        given = {name: shape for name, shape in self.shapes.items() if name in read}
        run = session(self.written(given, value, since=since)).run
        zeros = {name: np.zeros(shape, np.float32) for name, shape in given.items()}
        return np.shape(run([value], zeros)[0])

    def ints(self, count: int, least: int, most: int) -> list[int]:
        return [self.rng.randint(least, most) for _ in range(count)]

    def model(self, value: str) -> onnx.ModelProto:
        return self.written({"x": self.input}, value)

    def jacobian(self, value: str) -> np.ndarray:
        """Of shape (units..., input...)."""
        run = session(self.model(value)).run
        columns = []
        for k in range(prod(self.input)):
            x = np.zeros(self.input, dtype=np.float32)
            x.flat[k] = 1
            columns.append(np.asarray(run([value], {"x": x})[0], dtype=np.float64))
        return np.stack(columns, axis=-1).reshape(*columns[0].shape, *self.input)


def spatial(net: Linear, x: str) -> int:
    rank = len(net.shapes[x]) - 2
    if not 1 <= rank <= 3:
        raise Refused
    return rank


def axis_of(net: Linear, x: str) -> int:
    if not net.shapes[x]:
        raise Refused
    return net.rng.randrange(len(net.shapes[x]))


def conv(net: Linear, x: str) -> str:
    rank, channels = spatial(net, x), net.shapes[x][1]
    group = net.rng.choice([g for g in range(1, channels + 1) if channels % g == 0])
    W = np.ones((group * net.rng.randint(1, 2), channels // group, *net.ints(rank, 1, 3)))
    return net.op(
        "Conv",
        x,
        W,
        group=group,
        strides=net.ints(rank, 1, 3),
        dilations=net.ints(rank, 1, 2),
        pads=net.ints(2 * rank, 0, 2),
    )


def conv_transpose(net: Linear, x: str) -> str:
    rank, channels = spatial(net, x), net.shapes[x][1]
    group = net.rng.choice([g for g in range(1, channels + 1) if channels % g == 0])
    W = np.ones((channels, net.rng.randint(1, 2), *net.ints(rank, 1, 4)))
    return net.op(
        "ConvTranspose",
        x,
        W,
        group=group,
        strides=net.ints(rank, 1, 3),
        dilations=net.ints(rank, 1, 2),
        pads=net.ints(2 * rank, 0, 1),
    )


def pool(net: Linear, x: str) -> str:
    rank = spatial(net, x)
    kernel = net.ints(rank, 1, 3)
    mean = net.op(
        "AveragePool",
        x,
        kernel_shape=kernel,
        strides=net.ints(rank, 1, 2),
        pads=net.ints(2 * rank, 0, min(kernel) - 1),
        count_include_pad=1,
    )
    return net.op("Mul", mean, np.array(float(prod(kernel))))


def global_pool(net: Linear, x: str) -> str:
    spatial(net, x)
    area = float(prod(net.shapes[x][2:]))
    return net.op("Mul", net.op("GlobalAveragePool", x), np.array(area))


def add(net: Linear, x: str) -> str:
    return net.op("Add", x, net.rng.choice(list(net.shapes)))


def many(net: Linear, x: str) -> str:
    return net.op("Sum", x, x, net.rng.choice(list(net.shapes)))


def concat(net: Linear, x: str) -> str:
    shape = net.shapes[x]
    axis = axis_of(net, x)
    fitting = [
        n
        for n, s in net.shapes.items()
        if len(s) == len(shape) and all(s[a] == shape[a] for a in range(len(s)) if a != axis)
    ]
    return net.op("Concat", x, net.rng.choice(fitting), axis=axis)


def crop(net: Linear, x: str) -> str:
    axis = axis_of(net, x)
    size = net.shapes[x][axis]
    step = net.rng.choice([1, 1, 2, 3, -1, -2])
    start = net.rng.randint(0, size // 2)
    ends = (start, size - net.rng.randint(0, size // 3))
    ends = ends if step > 0 else (ends[1] - 1, -size - 1)
    return net.op("Slice", x, *(np.array([v]) for v in (*ends, axis, step)))


def pad(net: Linear, x: str) -> str:
    shape = net.shapes[x]
    mode = net.rng.choice(["constant", "edge", "reflect"])
    amounts = [net.rng.randint(0, min(2, n - 1)) for n in shape * 2]
    return net.op("Pad", x, np.array(amounts), mode=mode)


def transpose(net: Linear, x: str) -> str:
    axis_of(net, x)
    axes = list(range(len(net.shapes[x])))
    net.rng.shuffle(axes)
    return net.op("Transpose", x, perm=axes)


def reshape(net: Linear, x: str) -> str:
    left, sizes = prod(net.shapes[x]), []
    while left > 1 and len(sizes) < 4:
        sizes.append(net.rng.choice([n for n in range(1, left + 1) if left % n == 0]))
        left //= sizes[-1]
    return net.op("Reshape", x, np.array([*sizes, left]))


def mat_mul(net: Linear, x: str) -> str:
    shape = net.shapes[x]
    if len(shape) < 2:
        raise Refused
    if net.rng.random() < 0.5:
        return net.op("MatMul", x, np.ones((shape[-1], net.rng.randint(1, 4))))
    return net.op("MatMul", np.ones((net.rng.randint(1, 4), shape[-2])), x)


def einsum(net: Linear, x: str) -> str:
    shape = net.shapes[x]
    if len(shape) != 3:
        raise Refused
    if shape[1] == shape[2]:
        return net.op("Einsum", x, equation=net.rng.choice(["bii->bi", "bij->ij", "bij->jbi"]))
    return net.op("Einsum", x, np.ones((shape[1], 3)), equation="bij,ik->bjk")


def reduce_sum(net: Linear, x: str) -> str:
    rank = len(net.shapes[x])
    axes = net.rng.sample(range(rank), net.rng.randint(min(rank, 1), rank))
    return net.op("ReduceSum", x, np.array(axes), keepdims=net.rng.randint(0, 1))


def resize(net: Linear, x: str) -> str:
    scales = [float(net.rng.choice([1, 1, 0.5, 2, 1.5, 3])) for _ in net.shapes[x]]
    how = net.rng.choice(["asymmetric", "half_pixel"])
    if min(n * s for n, s in zip(net.shapes[x], scales, strict=True)) < 1:
        raise Refused
    return net.op(
        "Resize", x, "", np.array(scales), mode="nearest", coordinate_transformation_mode=how
    )


def gather(net: Linear, x: str) -> str:
    axis = axis_of(net, x)
    size = net.shapes[x][axis]
    dims = net.rng.choice([(3,), (2, 3), (1, 2)])
    indices = np.array(net.ints(prod(dims), 0, size - 1)).reshape(dims)
    return net.op("Gather", x, indices, axis=axis)


def gather_elements(net: Linear, x: str) -> str:
    axis = axis_of(net, x)
    shape = list(net.shapes[x])
    size, shape[axis] = shape[axis], net.rng.randint(1, 4)
    indices = np.array(net.ints(prod(shape), 0, size - 1)).reshape(shape)
    return net.op("GatherElements", x, indices, axis=axis)


def gather_nd(net: Linear, x: str) -> str:
    shape = net.shapes[x]
    axis_of(net, x)
    depth = net.rng.randint(1, len(shape))
    rows = [[net.rng.randrange(n) for n in shape[:depth]] for _ in range(4)]
    return net.op("GatherND", x, np.array(rows))


def tile(net: Linear, x: str) -> str:
    return net.op("Tile", x, np.array([net.rng.choice([1, 1, 2, 3]) for _ in net.shapes[x]]))


def expand(net: Linear, x: str) -> str:
    sizes = [net.rng.randint(1, 3) if n == 1 else n for n in net.shapes[x]]
    return net.op("Expand", x, np.array([net.rng.randint(1, 2), *sizes]))


def cum_sum(net: Linear, x: str) -> str:
    axis = axis_of(net, x)
    return net.op(
        "CumSum",
        x,
        np.array(axis),
        reverse=net.rng.randint(0, 1),
        exclusive=net.rng.randint(0, 1),
    )


def depth_to_space(net: Linear, x: str) -> str:
    shape = net.shapes[x]
    if len(shape) != 4 or shape[1] % 4:
        raise Refused
    return net.op("DepthToSpace", x, blocksize=2, mode=net.rng.choice(["DCR", "CRD"]))


def trilu(net: Linear, x: str) -> str:
    if len(net.shapes[x]) < 2:
        raise Refused
    return net.op("Trilu", x, np.array(net.rng.randint(-1, 2)), upper=net.rng.randint(0, 1))


OPERATORS: list[Callable[[Linear, str], str]] = [
    conv,
    conv,
    conv_transpose,
    conv_transpose,
    pool,
    global_pool,
    add,
    add,
    many,
    concat,
    crop,
    pad,
    transpose,
    reshape,
    mat_mul,
    einsum,
    reduce_sum,
    resize,
    gather,
    gather_elements,
    gather_nd,
    tile,
    expand,
    cum_sum,
    depth_to_space,
    trilu,
]


@pytest.mark.parametrize("sums", ["dense", "products"])
@pytest.mark.parametrize("start", chunks(GRAPHS, CHUNK, quick=1))
def test_equal_to_the_jacobian(start: int, sums: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if sums == "products":
        monkeypatch.setattr(paths, "_SMALL", 1)
        monkeypatch.setattr(paths, "_MAX_TERMS", 4)
    for seed in range(start, start + CHUNK):
        net = Linear(seed)
        last = list(net.shapes)[-1]
        analysis = rfgraph.analyze(net.model(last))
        jacobian = net.jacobian(last)
        for unit in np.ndindex(*net.shapes[last]):
            found = np.asarray(analysis.paths(last, unit))
            assert np.array_equal(found, jacobian[unit]), (seed, unit)
        everywhere = (slice(None),) * len(net.shapes[last])
        found = analysis.paths(last, everywhere)
        over = tuple(range(len(net.shapes[last])))
        assert np.array_equal(np.asarray(found), jacobian.sum(axis=over)), seed
        assert found.total == jacobian.sum(), seed
        for axis in range(len(net.input)):
            others = tuple(a for a in range(jacobian.ndim) if a != len(over) + axis)
            assert np.array_equal(found.along(axis), jacobian.sum(axis=others)), seed


@pytest.mark.parametrize("start", chunks(GRAPHS, CHUNK, quick=1))
def test_a_path_to_all_of_the_support(start: int) -> None:
    for seed in range(start, start + CHUNK):
        analysis = rfgraph.analyze(random_graph(seed))
        rng = random.Random(seed)
        for output in analysis.outputs:
            shape = analysis.shape(output)
            assert shape is not None
            units = list(np.ndindex(*shape))
            for unit in rng.sample(units, min(len(units), 12)):
                for name in analysis.inputs:
                    counts = np.asarray(analysis.paths(output, unit, name))
                    support = np.asarray(analysis.support(output, unit, name))
                    assert np.array_equal(counts > 0, support), (seed, output, unit, name)


def test_an_element_that_is_read_twice_counts_twice() -> None:
    analysis = rfgraph.analyze(model("y = Softmax (x)", "float[2, 3] x"))
    assert np.asarray(analysis.paths("y", (1, 2))).tolist() == [[0, 0, 0], [1, 1, 2]]


def chain(layers: int) -> rfgraph.Analysis:
    """Convolutions of 64 channels."""
    names = ["x", *(f"v{k}" for k in range(1, layers)), "y"]
    body = [f"{b} = Conv <pads = [1, 1]> ({a}, W)" for a, b in pairwise(names)]
    return rfgraph.analyze(
        model(
            " ".join(body),
            "float[1, 64, 300] x",
            initializers={"W": np.zeros((64, 64, 3), dtype=np.float32)},
        )
    )


def test_numbers_beyond_every_float() -> None:
    layers = 200
    found = chain(layers).paths("y", (0, 0, 150))
    assert repr(found) == f"Paths(about 2**{found.total.bit_length() - 1} to 'x')"
    with pytest.raises(OverflowError, match="relative"):
        np.asarray(found)
    # A walk of steps -1, 0 and 1 between two walls, in whole numbers.
    counts = [int(k == 150) for k in range(300)]
    for _ in range(layers):
        counts = [sum(counts[max(k - 1, 0) : k + 2]) for k in range(300)]
    expected = np.array([count / max(counts) for count in counts])
    np.testing.assert_allclose(found.relative[0, 63], expected, rtol=1e-12)
    assert found.total / (sum(counts) * 64**layers) == pytest.approx(1, rel=1e-12)


def test_paths_are_followed_once_however_many_branches_there_are() -> None:
    names = ["x", *(f"v{k}" for k in range(1, 60)), "y"]
    body = " ".join(f"{b} = Add ({a}, {a})" for a, b in pairwise(names))
    found = rfgraph.analyze(model(body, "float[2, 3] x")).paths("y", (1, 0))
    assert found.total == 2**60
    assert found.relative.tolist() == [[0, 0, 0], [1, 0, 0]]


def test_residual_blocks_at_full_width() -> None:
    """Sums of products of rows and columns, which are no products."""
    blocks = 30
    names = ["x", *(f"v{k}" for k in range(1, blocks)), "y"]
    body = " ".join(
        f"{b}_ = Conv <pads = [1, 1, 1, 1]> ({a}, W) {b} = Add ({b}_, {a})"
        for a, b in pairwise(names)
    )
    W = {"W": np.zeros((256, 256, 3, 3), dtype=np.float32)}
    a = rfgraph.analyze(model(body, "float[1, 256, 112, 112] x", initializers=W))
    p = a.paths("y", (0, 3, 56, 56))
    assert np.array_equal(p.relative > 0, np.asarray(a.support("y", (0, 3, 56, 56))))
    # Each block is passed by, once, or by one of 256 * 9 taps.
    assert p.total / (1 + 256 * 9) ** blocks == pytest.approx(1, rel=1e-12)


def test_an_operator_that_is_not_known_reads_everything_once() -> None:
    text = "a = Relu (x) y = custom.Mystery (a)"
    made = model(text, "float[2, 3] x")
    with pytest.raises(rfgraph.ShapeError, match="shape of 'y' is not known"):
        rfgraph.analyze(made).paths("y", ())
    made.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    made.graph.output[0].type.tensor_type.shape.dim.add().dim_value = 4
    found = rfgraph.analyze(made).paths("y", (slice(1, 3),))
    assert np.asarray(found).tolist() == [[2, 2, 2], [2, 2, 2]]


def test_a_loop_is_refused() -> None:
    text = (
        'z = Neg (x) y = Loop (n, "", z) <body = b (int64 i, bool c, float[1, 1, 9] s) => '
        "(bool o, float[1, 1, 9] r) { o = Identity (c) r = Neg (s) }>"
    )
    a = rfgraph.analyze(model(text, "float[1, 1, 9] x, int64 n"))
    with pytest.raises(rfgraph.QueryError, match=r"Loop.*can't be counted"):
        a.paths("y", (0, 0, 3), "x")
    assert a.paths("z", (0, 0, 3), "x").total == 1


def test_what_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "_MAX_ELEMENTS", 100)
    monkeypatch.setattr(paths, "_SMALL", 1)
    monkeypatch.setattr(paths, "_MAX_TERMS", 1)
    a = rfgraph.analyze(model("z = Transpose (x) y = Add (z, x)", "float[20, 20] x"))
    with pytest.raises(rfgraph.ShapeError, match="varies over 400 elements"):
        a.paths("y", (1, 3))


def net(*layers: str) -> rfgraph.Analysis:
    names = ["x", *(f"v{k}" for k in range(1, len(layers))), "y"]
    body = " ".join(
        f"{b} = {layer.format(a)}" for layer, (a, b) in zip(layers, pairwise(names), strict=True)
    )
    weights = {f"w{k}": np.zeros((2, 2, k), dtype=np.float32) for k in range(1, 6)}
    return rfgraph.analyze(model(body, "float[1, 2, 96] x", initializers=weights))


DOWN = "Conv <strides = [2], pads = [1, 1]> ({}, w3)"
SAME = "Conv <pads = [1, 1]> ({}, w3)"
UP = {k: f"ConvTranspose <strides = [2], pads = [1, 1]> ({{}}, w{k})" for k in (2, 3, 4, 5)}


@pytest.mark.parametrize(
    ("layers", "even"),
    [
        ((SAME, SAME), True),
        ((DOWN, DOWN), True),
        ((UP[4],), True),
        ((UP[3],), False),
        ((DOWN, UP[4]), True),
        ((DOWN, UP[3]), False),
        ((UP[4], UP[4]), True),
        ((UP[4], UP[3]), False),
        ((UP[2],), True),
        ((UP[5], SAME), False),
    ],
)
def test_a_checkerboard_shows(layers: tuple[str, ...], even: bool) -> None:
    found = net(*layers).unevenness("y", 2)
    assert found == 0 if even else found > 0.05


def test_what_strides_skip_shows() -> None:
    """One in two elements is never read; a window of 4 reads all of them twice."""
    everything = (slice(None),) * 3
    skipping = net("Conv <strides = [2]> ({}, w1)").paths("y", everything)
    assert skipping.unevenness(2, period=2) == 1
    assert net("Conv <strides = [2]> ({}, w4)").paths("y", everything).unevenness(2, 2) == 0
    with pytest.raises(rfgraph.QueryError, match="period=97"):
        skipping.unevenness(2, 97)
