"""Shapes of a small graph, node after node, and the sizes that it computes, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from rfgraph.errors import ShapeError
from rfgraph.model.graph import read
from rfgraph.model.sizes import UnknownSizeError, all_known, is_unknown, nominal, unknown
from rfgraph.shapes.shapes import Shapes
from tests.graphs import model


def walked(body: str, inputs: str, **sizes: tuple[int, ...]) -> Shapes:
    graph = read(model(body, inputs, opset=18))
    known = {i.name: tuple(i.dims or ()) for i in graph.inputs}
    shapes = Shapes(graph, {**known, **sizes})
    shapes.walk(graph.nodes)
    return shapes


HALVED = """
    s = Shape(x) two = Constant<value_int = 2>() one = Constant<value_int = 1>()
    n = Gather(s, two) h = Div(n, two) first = Constant<value_ints = [0]>()
    list = Unsqueeze(h, first) minus = Constant<value_ints = [-1]>()
    t = Concat<axis = 0>(minus, list) y = Reshape(x, t)
"""


@pytest.mark.parametrize("length", [6, 10])
def test_sizes_that_a_graph_computes(length: int) -> None:
    found = walked(HALVED, "float[1, 4, n] x", x=(1, 4, length))
    assert found.static("s").tolist() == [1, 4, length]  # type: ignore[union-attr]
    assert found.static("h") == length // 2
    assert found.static("t").tolist() == [-1, length // 2]  # type: ignore[union-attr]
    assert found.shape("y") == (8, length // 2)


def test_what_depends_on_the_data_has_no_value() -> None:
    found = walked("a = Relu(x) s = Shape(a) y = Add(a, a)", "float[2, 3] x")
    assert found.static("a") is None
    assert found.static("s").tolist() == [2, 3]  # type: ignore[union-attr]


def test_a_static_value_is_what_numpy_computes() -> None:
    body = """
        a = Constant<value_floats = [1.0, 2.0, 4.0]>() b = Constant<value_floats = [2.0]>()
        c = Mul(a, b) d = Sub(c, b) y = Add(x, d)
    """
    found = walked(body, "float[3] x").static("d")
    assert found is not None
    a, b = np.float32([1, 2, 4]), np.float32([2])
    assert (found.dtype, found.tolist()) == (np.float32, (a * b - b).tolist())


def test_sizes_that_the_data_decide() -> None:
    """How many elements are not 0 is open, that each has two coordinates is not; a number stays
    the same wherever it is passed on, and another selection has another one.
    """
    body = "a = NonZero(x) b = Transpose(a) c = Neg(b) z = NonZero(x) y = Neg(z)"
    found = walked(body, "float[3, 4] x")
    two, many = found.shape("a") or ()
    assert (two, is_unknown(many)) == (2, True)
    assert found.shape("c") == (many, 2)
    other = (found.shape("y") or ())[1]
    assert is_unknown(other)
    assert other != many


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("y = MatMul(x, x)", r"MatMul 'MatMul_0': .*: \(2, 3\) and \(2, 3\) can't be multiplied"),
        ("t = Transpose(x) y = Add(x, t)", r"Add 'Add_1': .*: .* and \(3, 2\) can't be broadcast"),
        (
            "t = Transpose(x) y = Concat<axis = 1>(x, t)",
            r"Concat 'Concat_1': .*: \(2, 3\) and \(3, 2\) can't be joined along axis 1",
        ),
    ],
)
def test_what_does_not_fit_names_the_node_and_the_shapes(body: str, why: str) -> None:
    with pytest.raises(ShapeError, match=why):
        walked(body, "float[2, 3] x")


# ---------------------------------------------------------------- unknown sizes by themselves


def test_nothing_is_computed_with_an_unknown_size() -> None:
    size = unknown("boxes")
    for compute in (
        lambda: size + 1,
        lambda: 2 * size,
        lambda: size // 2,
        lambda: size < 3,
        lambda: range(size),
        lambda: bool(size),
        lambda: int(size),
    ):
        with pytest.raises(UnknownSizeError):
            compute()


def test_an_unknown_size_equals_itself_alone() -> None:
    size = unknown("boxes")
    assert size == size
    assert size != unknown("boxes")
    assert size not in (0, 1, 4)
    assert [all_known((size, 4)), all_known((3, 4)), all_known(())] == [False, True, True]
    assert nominal((size, 4, size)) == (1, 4, 1)
