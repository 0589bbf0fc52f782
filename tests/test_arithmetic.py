"""The arithmetic of shapes, against what onnxruntime computes."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from rfgraph.ops import evaluate, traits_of
from tests.node_oracles import OPSETS, RefusedError, kind_of, node_of, run

# Operator, inputs, how many outputs, and attributes.
Made: TypeAlias = tuple[str, list[np.ndarray | None], int, dict[str, Any]]

_WHOLE = (np.int64, np.int64, np.int32)
_TYPES = (*_WHOLE, np.float32, np.float64, np.bool_)


def _values(rng: Random, shape: list[int], kind: Any) -> np.ndarray:
    """Small numbers, negative ones and zeros too."""
    count = int(np.prod(shape))
    pool: list[float] = [-7, -3, -2, -1, 0, 1, 2, 3, 5, 8]
    if np.dtype(kind).kind == "f":
        pool += [0.5, -2.5, 1e3]
    return np.array([rng.choice(pool) for _ in range(count)]).reshape(shape).astype(kind)


def _shape(rng: Random, least: int = 0, most: int = 3) -> list[int]:
    sizes = (1, 2, 3) if rng.random() < 0.9 else (0, 1, 2)
    return [rng.choice(sizes) for _ in range(rng.randint(least, most))]


def _pair(rng: Random, kinds: Any = _TYPES) -> list[np.ndarray | None]:
    kind, shape = rng.choice(kinds), _shape(rng)
    other = [n if rng.random() < 0.7 else 1 for n in shape][rng.randint(0, len(shape)) :]
    made: list[np.ndarray | None] = [_values(rng, s, kind) for s in (shape, other)]
    rng.shuffle(made)
    return made


def _numbers(rng: Random) -> Made:
    op = rng.choice(["Add", "Sub", "Mul", "Div", "Mod", "Max", "Min"])
    fmod = rng.choice((None, 0, 1)) if op == "Mod" else None
    return op, _pair(rng, _TYPES[:-1]), 1, {"fmod": fmod}


def _compared(rng: Random) -> Made:
    op = rng.choice(["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"])
    return op, _pair(rng), 1, {}


def _logical(rng: Random) -> Made:
    return rng.choice(["And", "Or", "Xor"]), _pair(rng, (np.bool_,)), 1, {}


def _unary(rng: Random) -> Made:
    op = rng.choice(["Abs", "Neg", "Floor", "Ceil", "Sqrt", "Not", "Identity"])
    kind = np.bool_ if op == "Not" else rng.choice(_TYPES)
    return op, [_values(rng, _shape(rng), kind)], 1, {}


def _cast(rng: Random) -> Made:
    x = _values(rng, _shape(rng), rng.choice(_TYPES))
    if x.dtype.kind == "f" and x.size and rng.random() < 0.2:
        x = x.copy()
        x.reshape(-1)[0] = rng.choice([np.nan, np.inf, 1e20])
    to = rng.choice([TensorProto.INT64, TensorProto.INT32, TensorProto.FLOAT, TensorProto.BOOL])
    return "Cast", [x], 1, {"to": to}


def _where(rng: Random) -> Made:
    a, b = _pair(rng)
    assert a is not None
    shape = list(a.shape)[rng.randint(0, a.ndim) :]
    return "Where", [_values(rng, shape, np.bool_), a, b], 1, {}


def _gather(rng: Random) -> Made:
    x = _values(rng, _shape(rng, 1), rng.choice(_TYPES))
    axis = rng.randint(-x.ndim, x.ndim - 1)
    n = x.shape[axis]
    indices = np.array([rng.randint(-n - 1, n) for _ in range(rng.randint(0, 3))], np.int64)
    if indices.size and rng.random() < 0.4:
        indices = indices[0].reshape(())
    return "Gather", [x, indices], 1, {"axis": axis}


def _slice(rng: Random) -> Made:
    x = _values(rng, _shape(rng, 1), rng.choice(_TYPES))
    count = rng.randint(1, x.ndim)

    def ints(low: int, high: int) -> np.ndarray:
        return np.array([rng.randint(low, high) for _ in range(count)], np.int64)

    axes = np.array(rng.sample(range(x.ndim), count), np.int64)
    steps = np.array([rng.choice((1, 2, -1, -2, 0)) for _ in range(count)], np.int64)
    return "Slice", [x, ints(-5, 5), ints(-5, 5), axes - rng.choice((0, x.ndim)), steps], 1, {}


def _joined(rng: Random) -> Made:
    kind, shape = rng.choice(_TYPES), _shape(rng, 1)
    axis = rng.randint(-len(shape), len(shape) - 1)
    if rng.random() < 0.5:
        parts = []
        for _ in range(rng.randint(1, 3)):
            shape[axis] = rng.randint(0, 2)
            parts.append(_values(rng, shape, kind))
        return "Concat", [*parts], 1, {"axis": axis}
    outputs = rng.randint(1, 3)
    sizes = [rng.randint(0, 2) for _ in range(outputs)]
    shape[axis] = sum(sizes)
    split = np.array(sizes, np.int64)
    return "Split", [_values(rng, shape, kind), split], outputs, {"axis": axis}


def _moved(rng: Random) -> Made:
    x = _values(rng, _shape(rng), rng.choice(_TYPES))
    how = rng.choice(["Reshape", "Squeeze", "Unsqueeze", "Transpose", "Flatten", "Expand", "Tile"])
    if how == "Transpose":
        perm = rng.sample(range(x.ndim), x.ndim)
        return how, [x], 1, {"perm": perm if perm and rng.random() < 0.7 else None}
    if how == "Flatten":
        return how, [x], 1, {"axis": rng.randint(-x.ndim, x.ndim)}
    if how == "Expand":
        wanted = [rng.choice((1, n, 2)) for n in x.shape]
    elif how == "Tile":
        wanted = [rng.randint(0, 2) for _ in x.shape]
    elif how == "Reshape":
        wanted = rng.sample(list(x.shape), x.ndim)
        wanted = [rng.choice((n, n, 0, -1)) for n in wanted]
    else:
        wanted = [rng.randint(-x.ndim - 1, x.ndim) for _ in range(rng.randint(0, 2))]
    return how, [x, np.array(wanted, np.int64)], 1, {}


def _summed(rng: Random) -> Made:
    x = _values(rng, _shape(rng), rng.choice(_TYPES[:-1]))
    keep = rng.choice((None, 0, 1))
    if rng.random() < 0.3 and x.ndim:
        axis = np.array(rng.randint(-x.ndim, x.ndim - 1), np.int64)
        turn, without = rng.choice((None, 0, 1)), rng.choice((None, 0, 1))
        return "CumSum", [x, axis], 1, {"reverse": turn, "exclusive": without}
    op = rng.choice(["ReduceSum", "ReduceProd", "ReduceMax", "ReduceMin"])
    axes = [rng.randint(-x.ndim, x.ndim - 1) for _ in range(rng.randint(0, x.ndim))]
    if rng.random() < 0.5:
        return op, [x, np.array(axes, np.int64)], 1, {"keepdims": keep}
    return op, [x], 1, {"keepdims": keep, "axes": axes or None}


def _made(rng: Random) -> Made:
    how = rng.random()
    if how < 0.3:
        value = numpy_helper.from_array(_values(rng, [1], rng.choice(_TYPES)))
        shape = np.array(_shape(rng), np.int64)
        return "ConstantOfShape", [shape], 1, {"value": value if how < 0.2 else None}
    if how < 0.7:
        kind = rng.choice([np.int64, np.int32, np.float32, np.float64])
        return "Range", [_values(rng, [], kind) for _ in range(3)], 1, {}
    x = _values(rng, _shape(rng, 2), rng.choice(_TYPES))
    k = np.array(rng.randint(-3, 3), np.int64)
    return "Trilu", [x, *([k] if how < 0.9 else [])], 1, {"upper": rng.choice((None, 0, 1))}


FAMILIES: list[Callable[[Random], Made]] = [
    *(_numbers, _compared, _logical, _unary, _cast, _where, _gather, _slice, _joined, _moved),
    *(_summed, _made),
]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__[1:])
def test_random_nodes(family: Callable[[Random], Made]) -> None:
    answered: Counter[str] = Counter()

    @settings(deadline=None, max_examples=150)
    @given(st.integers(0, 1 << 40))
    def test(seed: int) -> None:
        rng = Random(seed)
        op, inputs, outputs, attributes = family(rng)
        answered[op] += _agrees(op, inputs, outputs, attributes, rng.choice(OPSETS))

    test()
    assert answered.total() > 30


def _agrees(
    op: str, inputs: list[np.ndarray | None], outputs: int, attributes: dict[str, Any], opset: int
) -> bool:
    """Whether there is an answer, which then is that of onnxruntime."""
    node = node_of(op, inputs, outputs, **attributes)
    kind = kind_of(node, opset)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = traits_of("", op).value(kind, inputs)
    except Warning:
        raise
    except Exception:
        return False
    try:
        expected = run(node, inputs, opset)
    except RefusedError:
        # onnxruntime lacks kernels for some types and versions.
        return False
    several = found if isinstance(found, list) else [found]
    what = f"{op} {opset} {inputs} {attributes}: {several}, {expected}"
    for value, other in zip(several, expected, strict=True):
        value = np.asarray(value)
        assert (value.dtype, value.shape) == (other.dtype, other.shape), what
        np.testing.assert_array_equal(value, other, what)
    return True


@pytest.mark.parametrize(
    ("a", "b", "quotient", "remainder"),
    [(7, 2, 3, 1), (-7, 2, -3, 1), (7, -2, -3, -1), (-7, -2, 3, -1), (-6, 2, -3, 0)],
)
def test_integers_are_divided_towards_zero(a: int, b: int, quotient: int, remainder: int) -> None:
    inputs: list[np.ndarray | None] = [np.array(a), np.array([b])]
    for op, expected in (("Div", quotient), ("Mod", remainder)):
        (found,) = evaluate(kind_of(node_of(op, inputs, 1), 17), inputs)
        assert found.tolist() == [expected]
        assert run(node_of(op, inputs, 1), inputs, 17)[0].tolist() == [expected]


def test_what_is_unusual_is_left_to_the_reference() -> None:
    words = np.array(["a", "b"], dtype=object)
    inputs: list[np.ndarray | None] = [words, np.array(["a", "c"], dtype=object)]
    (found,) = evaluate(kind_of(node_of("Equal", inputs, 1), 19), inputs)
    assert found.tolist() == [True, False]
    node = helper.make_node("Sin", ["x0"], ["y0"])
    (found,) = evaluate(kind_of(node, 17), [np.zeros(2, np.float32)])
    assert found.tolist() == [0, 0]


def test_division_by_zero_has_no_answer() -> None:
    inputs: list[np.ndarray | None] = [np.array([1]), np.array([0])]
    for op in ("Div", "Mod"):
        with pytest.raises(Exception):  # noqa: B017, PT011
            traits_of("", op).value(kind_of(node_of(op, inputs, 1), 17), inputs)
