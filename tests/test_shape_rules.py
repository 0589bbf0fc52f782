"""Every rule for shapes, against ONNX's own inference and what onnxruntime makes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any, TypeAlias

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx.backend.test.case.node import collect_testcases

from rfgraph.model.graph import Kinds, make_node
from rfgraph.ops import registered, shape_rule_of, traits_of
from tests.node_oracles import OPSETS, RefusedError, inferred, node_of, ruled, run

# Operator, inputs, how many outputs, and attributes.
Made: TypeAlias = tuple[str, list[np.ndarray | None], int, dict[str, Any]]


def _shape(
    rng: Random, least: int = 0, most: int = 4, sizes: tuple[int, ...] = (1, 2, 3, 4)
) -> Any:
    return [rng.choice(sizes) for _ in range(rng.randint(least, most))]


def _floats(shape: Any) -> np.ndarray:
    return np.zeros(shape, np.float32)


def _ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def _some(rng: Random, value: Any) -> Any:
    """A value, or None."""
    return value if rng.random() < 0.6 else None


def _elementwise(rng: Random) -> Made:
    op = rng.choice(["Add", "Mul", "Max", "Sum", "Mean", "Pow", "PRelu", "Greater", "Equal"])
    shape = _shape(rng)
    inputs = []
    for _ in range(rng.randint(1, 3) if op in ("Max", "Sum", "Mean") else 2):
        part = [n if rng.random() < 0.7 else rng.choice((1, 1, 2)) for n in shape]
        inputs.append(_floats(part[rng.randint(0, len(part)) if rng.random() < 0.3 else 0 :]))
    return op, [*inputs], 1, {}


def _unary(rng: Random) -> Made:
    op = rng.choice(["Relu", "Clip", "Erf", "Softmax", "LogSoftmax", "Identity", "Dropout", "Not"])
    x = np.zeros(_shape(rng), np.bool_ if op == "Not" else np.float32)
    axis = _some(rng, rng.randint(-4, 4)) if "Softmax" in op else None
    return op, [x], 1 + (op == "Dropout" and rng.random() < 0.3), {"axis": axis}


def _cast(rng: Random) -> Made:
    if rng.random() < 0.3:
        return "CastLike", [_floats(_shape(rng)), _ints(1)], 1, {}
    if rng.random() < 0.3:
        condition = np.zeros(_shape(rng, most=2), np.bool_)
        return "Where", [condition, _ints(1), np.zeros(_shape(rng, most=2), np.int64)], 1, {}
    return "Cast", [_floats(_shape(rng))], 1, {"to": rng.choice([1, 7, 9, 10, 6])}


def _window(rng: Random, rank: int) -> dict[str, Any]:
    def some(low: int, high: int, count: int = rank) -> Any:
        return _some(rng, [rng.randint(low, high) for _ in range(count)])

    auto = rng.choice(["NOTSET"] * 5 + ["VALID", "SAME_UPPER", "SAME_LOWER"])
    return {
        "strides": some(1, 3),
        "dilations": some(1, 2),
        "pads": some(0, 2, 2 * rank) if auto == "NOTSET" else None,
        "auto_pad": _some(rng, auto) if auto == "NOTSET" else auto,
    }


def _conv(rng: Random) -> Made:
    rank, group = rng.randint(1, 3), rng.choice((1, 1, 2))
    kernel = [rng.randint(1, 3) for _ in range(rank)]
    X = _floats([1, 2 * group, *(rng.randint(0, 7) for _ in range(rank))])
    W = _floats([2 * group, 2 if rng.random() < 0.95 else 3, *kernel])
    told = _some(rng, kernel if rng.random() < 0.9 else [2] * rank)
    return "Conv", [X, W], 1, {**_window(rng, rank), "group": group, "kernel_shape": told}


def _conv_transpose(rng: Random) -> Made:
    rank, group = rng.randint(1, 2), rng.choice((1, 1, 2))
    kernel = [rng.randint(1, 3) for _ in range(rank)]
    X = _floats([1, 2 * group, *(rng.randint(1, 5) for _ in range(rank))])
    attributes = {**_window(rng, rank), "group": group}
    if rng.random() < 0.3 and not str(attributes["auto_pad"]).startswith("SAME"):
        attributes["output_padding"] = [rng.randint(0, 1) for _ in range(rank)]
    return "ConvTranspose", [X, _floats([2 * group, 3, *kernel])], 1, attributes


def _pool(rng: Random) -> Made:
    rank = rng.randint(1, 3)
    attributes = _window(rng, rank)
    op = rng.choice(["MaxPool", "AveragePool", "LpPool"])
    attributes["kernel_shape"] = [rng.randint(1, 3) for _ in range(rank)]
    attributes["ceil_mode"] = _some(rng, rng.randint(0, 1))
    if rng.random() < 0.2:
        op, attributes = rng.choice(["GlobalAveragePool", "GlobalMaxPool"]), {}
    X = _floats([1, 2, *(rng.randint(0, 9) for _ in range(rank))])
    return op, [X], 1 + (op == "MaxPool" and rng.random() < 0.3), attributes


def _matmul(rng: Random) -> Made:
    a, b = _shape(rng, 1, sizes=(1, 2, 3)), _shape(rng, 1, sizes=(1, 2, 3))
    if rng.random() < 0.8:
        b[max(len(b) - 2, 0)] = a[-1]
    if rng.random() < 0.5:
        b = [*a[:-2], *b[-2:]] if len(b) > 1 else b
    return "MatMul", [_floats(a), _floats(b)], 1, {}


def _gemm(rng: Random) -> Made:
    m, n, k = (rng.randint(1, 3) for _ in range(3))
    ta, tb = _some(rng, rng.randint(0, 1)), _some(rng, rng.randint(0, 1))
    A, B = _floats([k, m] if ta else [m, k]), _floats([n, k] if tb else [k, n])
    C = _some(rng, _floats(rng.choice([[n], [1, n], [m, n], [m, 1], [1], []])))
    return "Gemm", [A, B, *([C] if C is not None else [])], 1, {"transA": ta, "transB": tb}


def _axes(rng: Random, rank: int, *, negative: bool = True) -> list[int]:
    low = -rank if negative else 0
    return [rng.randint(low, max(rank - 1, low)) for _ in range(rng.randint(0, max(rank, 1)))]


def _reduce(rng: Random) -> Made:
    op = rng.choice(["ReduceSum", "ReduceMean", "ReduceMax", "ReduceL2"])
    x = _floats(_shape(rng))
    keep, axes = _some(rng, rng.randint(0, 1)), _some(rng, _axes(rng, x.ndim))
    if rng.random() < 0.5:
        noop = _some(rng, rng.randint(0, 1))
        inputs = [x] if axes is None else [x, _ints(*axes)]
        return op, [*inputs], 1, {"keepdims": keep, "noop_with_empty_axes": noop}
    return op, [x], 1, {"keepdims": keep, "axes": axes}


def _placed(rng: Random) -> Made:
    x, axis = _floats(_shape(rng)), _some(rng, rng.randint(-4, 3))
    if rng.random() < 0.5:
        keep = _some(rng, rng.randint(0, 1))
        return rng.choice(["ArgMax", "ArgMin"]), [x], 1, {"axis": axis, "keepdims": keep}
    return "TopK", [x, _ints(rng.randint(0, 4))], 2, {"axis": axis}


def _reshape(rng: Random) -> Made:
    x = _floats(_shape(rng, sizes=(0, 1, 2, 3, 4) if rng.random() < 0.2 else (1, 2, 3, 4)))
    if rng.random() < 0.2:
        return "Flatten", [x], 1, {"axis": _some(rng, rng.randint(-5, 5))}
    wanted = list(x.shape)
    rng.shuffle(wanted)
    for k in range(len(wanted)):
        if rng.random() < 0.3:
            wanted[k] = rng.choice((0, -1))
    if rng.random() < 0.3:
        wanted.append(rng.choice((1, 2, -1)))
    return "Reshape", [x, _ints(*wanted)], 1, {"allowzero": _some(rng, rng.randint(0, 1))}


def _squeeze(rng: Random) -> Made:
    x = _floats(_shape(rng, sizes=(1, 1, 2)))
    op = rng.choice(["Squeeze", "Unsqueeze"])
    axes = _axes(rng, x.ndim + (op == "Unsqueeze"))
    if rng.random() < 0.5:
        return op, [x, _ints(*axes)], 1, {}
    return op, [x], 1, {"axes": _some(rng, axes)}


def _transpose(rng: Random) -> Made:
    x = _floats(_shape(rng))
    perm = list(range(x.ndim))
    rng.shuffle(perm)
    if rng.random() < 0.1 and perm:
        perm[0] = rng.randint(-1, 4)
    return "Transpose", [x], 1, {"perm": _some(rng, perm)}


_FAR = (1 << 31, -(1 << 31), (1 << 63) - 1)


def _slice(rng: Random) -> Made:
    x = _floats(_shape(rng, 1, sizes=(1, 2, 5)))

    def place() -> int:
        return rng.choice((rng.randint(-7, 7), rng.choice(_FAR)))

    count = rng.randint(1, x.ndim)
    starts, ends = _ints(*(place() for _ in range(count))), _ints(*(place() for _ in range(count)))
    axes = _some(rng, _ints(*rng.sample(range(x.ndim), count)))
    if axes is not None and rng.random() < 0.5:
        axes = axes - x.ndim
    steps = _some(rng, _ints(*(rng.choice((1, 1, 2, 3, -1, -2, 0)) for _ in range(count))))
    inputs = [x, starts, ends, axes, steps]
    while inputs[-1] is None:
        inputs.pop()
    return "Slice", inputs, 1, {}


def _concat(rng: Random) -> Made:
    shape = _shape(rng, 1)
    axis = rng.randint(-len(shape), len(shape) - 1)
    inputs = []
    for _ in range(rng.randint(1, 3)):
        part = list(shape)
        part[axis if rng.random() < 0.9 else 0] = rng.randint(0, 3)
        inputs.append(_floats(part))
    return "Concat", [*inputs], 1, {"axis": axis}


def _split(rng: Random) -> Made:
    x = _floats(_shape(rng, 1, sizes=(2, 3, 4, 5, 6)))
    axis, outputs = rng.randint(-x.ndim, x.ndim - 1), rng.randint(1, 3)
    n = x.shape[axis]
    parts = [rng.randint(0, n) for _ in range(outputs - 1)]
    parts.append(n - sum(parts) if rng.random() < 0.8 else 1)
    how = rng.random()
    if how < 0.3:
        return "Split", [x, _ints(*parts)], outputs, {"axis": axis}
    if how < 0.5:
        return "Split", [x], outputs, {"axis": axis, "split": parts}
    return "Split", [x], outputs, {"axis": axis, "num_outputs": _some(rng, outputs)}


def _gather(rng: Random) -> Made:
    x, indices = _floats(_shape(rng, 1)), np.zeros(_shape(rng, most=2), np.int64)
    how = rng.random()
    if how < 0.6:
        return "Gather", [x, indices], 1, {"axis": _some(rng, rng.randint(-4, 3))}
    if how < 0.8:
        indices = np.zeros([rng.randint(1, n) for n in x.shape], np.int64)
        return "GatherElements", [x, indices], 1, {"axis": _some(rng, rng.randint(-4, 3))}
    indices = np.zeros([*_shape(rng, most=2), rng.randint(1, x.ndim)], np.int64)
    return "GatherND", [x, indices], 1, {}


def _grown(rng: Random) -> Made:
    x = _floats(_shape(rng, sizes=(1, 2, 3)))
    how = rng.random()
    if how < 0.3:
        wanted = [rng.choice((1, n, 2)) for n in x.shape]
        return "Expand", [x, _ints(*([2] if rng.random() < 0.3 else []), *wanted)], 1, {}
    if how < 0.5:
        repeats = [rng.randint(0, 3) for _ in range(x.ndim + (rng.random() < 0.1))]
        return "Tile", [x, _ints(*repeats)], 1, {}
    if how < 0.6:
        return "ConstantOfShape", [_ints(*_shape(rng))], 1, {}
    if how < 0.7:
        kind = rng.choice([np.int64, np.float32, np.int32])
        numbers = [rng.randint(-5, 9), rng.randint(-9, 9), rng.choice((1, 2, -1, -3))]
        return "Range", [np.array(n, kind) for n in numbers], 1, {}
    pads = [rng.randint(-1, 2) for _ in range(2 * x.ndim)]
    if rng.random() < 0.3:
        axes = rng.sample(range(x.ndim), rng.randint(0, x.ndim))
        pads = [rng.randint(-1, 2) for _ in range(2 * len(axes))]
        return "Pad", [x, _ints(*pads), None, _ints(*axes)], 1, {}
    if rng.random() < 0.3:
        return "Pad", [x], 1, {"pads": pads}
    return "Pad", [x, _ints(*pads)], 1, {}


def _blocks(rng: Random) -> Made:
    block = rng.randint(1, 3)
    if rng.random() < 0.5:
        x = _floats([1, 2 * block * block if rng.random() < 0.9 else 3, 2, 3])
        return "DepthToSpace", [x], 1, {"blocksize": block}
    return "SpaceToDepth", [_floats([1, 2, 2 * block, 6])], 1, {"blocksize": block}


def _told(rng: Random) -> Made:
    x = _floats(_shape(rng))
    if rng.random() < 0.3:
        return "Size", [x], 1, {}
    start, end = (_some(rng, rng.randint(-5, 5)) for _ in range(2))
    return "Shape", [x], 1, {"start": start, "end": end}


def _normalised(rng: Random) -> Made:
    x = _floats(_shape(rng, 2, sizes=(2, 3)))
    if rng.random() < 0.5:
        axis = rng.randint(-x.ndim, x.ndim - 1)
        return "LayerNormalization", [x, _floats(x.shape[axis:])], 1, {"axis": axis}
    c = x.shape[1] if rng.random() < 0.9 else 1
    return "BatchNormalization", [x, *(_floats([c]) for _ in range(4))], 1, {}


def _quantised(rng: Random) -> Made:
    x, scale = _floats(_shape(rng)), np.array(0.5, np.float32)
    zero = np.array(0, rng.choice([np.uint8, np.int8]))
    how = rng.random()
    if how < 0.3:
        return "QuantizeLinear", [x, scale, *([zero] if rng.random() < 0.7 else [])], 1, {}
    if how < 0.6:
        stored = np.zeros(x.shape, zero.dtype)
        return "DequantizeLinear", [stored, scale, zero], 1, {}
    if how < 0.7:
        return "DynamicQuantizeLinear", [x], 3, {}
    a, b = np.zeros((2, 3), np.uint8), np.zeros((3, 2), zero.dtype)
    if how < 0.85:
        return "MatMulInteger", [a, b], 1, {}
    one = np.array(0, np.uint8)
    return "QLinearMatMul", [a, scale, one, b, scale, zero, scale, one], 1, {}


FAMILIES: list[Callable[[Random], Made]] = [
    *(_elementwise, _unary, _cast, _conv, _conv_transpose, _pool, _matmul, _gemm, _reduce),
    *(_placed, _reshape, _squeeze, _transpose, _slice, _concat, _split, _gather, _grown, _blocks),
    *(_told, _normalised, _quantised),
]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__[1:])
def test_random_nodes(family: Callable[[Random], Made]) -> None:
    answered: Counter[str] = Counter()

    @settings(deadline=None, max_examples=80)
    @given(st.integers(0, 1 << 40))
    def test(seed: int) -> None:
        rng = Random(seed)
        op, inputs, outputs, attributes = family(rng)
        answered[op] += _agrees(op, inputs, outputs, attributes, rng.choice(OPSETS))

    test()
    assert answered.total() > 13


def _agrees(
    op: str, inputs: list[np.ndarray | None], outputs: int, attributes: dict[str, Any], opset: int
) -> bool:
    """Whether the rule has an answer, which then is that of the oracles."""
    node = node_of(op, inputs, outputs, **attributes)
    try:
        found = ruled(node, inputs, opset)
    except RefusedError:
        return False
    kind = make_node(node, {"": opset}, "", None, Kinds()).kind
    applied = shape_rule_of(kind)
    assert applied is not None
    what = f"{op} {opset} {[None if x is None else x.shape for x in inputs]} {attributes}"
    if not applied.instead:
        try:
            expected = inferred(node, inputs, opset, applied.rule.steering)
        except RefusedError as error:
            raise AssertionError(f"{what}: {found}, refused: {error.__cause__}") from None
        assert found == expected, what
    if _departs(op, inputs, attributes):
        return True
    try:
        made = run(node, inputs, opset)
    except RefusedError:
        # onnxruntime lacks some kernels; what does not fit ONNX's inference would have refused.
        return True
    assert [shape for _, shape in found] == [value.shape for value in made], what
    types = [int(onnx.helper.np_dtype_to_tensor_dtype(value.dtype)) for value in made]
    assert [element for element, _ in found] == types, what
    return True


def _departs(op: str, inputs: list[np.ndarray | None], attributes: dict[str, Any]) -> bool:
    """Whether onnxruntime departs from the specification, and the rule does not."""
    if op == "Slice" and len(inputs) > 4:
        # Going backwards it takes this end for the beginning of the axis.
        ends, steps = inputs[2], inputs[4]
        assert ends is not None
        assert steps is not None
        return bool(((steps < 0) & (ends == (1 << 63) - 1)).any())
    same = str(attributes.get("auto_pad")).startswith("SAME")
    # It ignores the dilation of pools.
    return op.endswith("Pool") and same and max(attributes["dilations"] or [1]) > 1


def test_backend_cases() -> None:
    """What a case of ONNX expects has the shape that the rule gives."""
    answered: Counter[str] = Counter()
    for case in collect_testcases(None):
        if case.model is None or len(case.model.graph.node) != 1 or not case.data_sets:
            continue
        (node,), graph = case.model.graph.node, case.model.graph
        opset = next((o.version for o in case.model.opset_import if not o.domain), 0)
        if traits_of(node.domain, node.op_type).shape is None or graph.initializer:
            continue
        for given_, expected in case.data_sets:
            arrays = dict(zip((i.name for i in graph.input), given_, strict=True))
            inputs = [arrays.get(name) for name in node.input]
            if not all(isinstance(v, np.ndarray) for v in [*arrays.values(), *expected]):
                continue
            try:
                found = dict(zip(node.output, ruled(node, inputs, opset), strict=True))
            except (RefusedError, TypeError, KeyError):
                continue
            answered[node.op_type] += 1
            for value, array in zip(graph.output, expected, strict=True):
                element, shape = found[value.name]
                assert shape == array.shape, case.name
                assert element == value.type.tensor_type.elem_type, case.name
    assert answered.total() > 600
    assert len(answered) > 90


def test_every_rule_is_of_an_operator_of_onnx() -> None:
    for domain, op_type in registered():
        if traits_of(domain, op_type).shape is not None:
            assert onnx.defs.has(op_type, domain), op_type
