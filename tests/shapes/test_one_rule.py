"""A rule for shapes by itself, against sizes worked out by hand."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pytest

from tests.node_oracles import RefusedError, node_of, ruled

Shape: TypeAlias = tuple[int, ...]


def given(inputs: list[Any]) -> list[np.ndarray | None]:
    """Shapes stand for values that don't matter, lists for whole numbers."""
    return [
        np.zeros(value, np.float32) if isinstance(value, tuple) else np.array(value, np.int64)
        for value in inputs
    ]


# Operator, inputs, attributes, the version of the operator set, and the shape of each output.
RULES: list[tuple[str, list[Any], dict[str, Any], int, list[Shape]]] = [
    # (10 + 2 - 3) // 2 + 1 rows, 12 - 3 + 1 columns.
    (
        *("Conv", [(1, 3, 10, 12), (8, 3, 3, 3)]),
        *({"strides": [2, 1], "pads": [1, 0, 1, 0]}, 17, [(1, 8, 5, 10)]),
    ),
    # A window of 3, two apart, covers 5.
    ("Conv", [(1, 2, 9), (4, 1, 3)], {"group": 2, "dilations": [2]}, 17, [(1, 4, 5)]),
    # SAME is ceil(10 / 3), VALID is (10 - 4) // 3 + 1.
    ("Conv", [(1, 1, 10), (1, 1, 4)], {"auto_pad": "SAME_LOWER", "strides": [3]}, 17, [(1, 1, 4)]),
    ("Conv", [(1, 1, 10), (1, 1, 4)], {"auto_pad": "VALID", "strides": [3]}, 17, [(1, 1, 3)]),
    # (5 - 1) * 2 + 3 - 2 + 1, and two channels for each of two groups.
    (
        *("ConvTranspose", [(1, 4, 5), (4, 2, 3)]),
        *({"strides": [2], "pads": [1, 1], "output_padding": [1], "group": 2}, 17),
        [(1, 4, 10)],
    ),
    # Five steps of 2 don't fit into 7 - 2; with ceil_mode a last one is begun.
    ("MaxPool", [(1, 2, 7)], {"kernel_shape": [2], "strides": [2]}, 17, [(1, 2, 3)]),
    (
        *("MaxPool", [(1, 2, 7)], {"kernel_shape": [2], "strides": [2], "ceil_mode": 1}),
        *(17, [(1, 2, 4)]),
    ),
    ("GlobalAveragePool", [(2, 3, 5, 6)], {}, 17, [(2, 3, 1, 1)]),
    ("MatMul", [(2, 1, 3, 4), (5, 4, 6)], {}, 17, [(2, 5, 3, 6)]),
    ("MatMul", [(4,), (4,)], {}, 17, [()]),
    ("MatMul", [(4,), (3, 4, 5)], {}, 17, [(3, 5)]),
    ("Gemm", [(3, 2), (4, 3)], {"transA": 1, "transB": 1}, 17, [(2, 4)]),
    ("ReduceMean", [(2, 3, 4)], {"axes": [1, -1], "keepdims": 0}, 17, [(2,)]),
    ("ReduceMean", [(2, 3, 4), [1]], {}, 18, [(2, 1, 4)]),
    ("ReduceMean", [(2, 3, 4)], {}, 18, [(1, 1, 1)]),
    ("ReduceMean", [(2, 3, 4), []], {"noop_with_empty_axes": 1}, 18, [(2, 3, 4)]),
    ("ArgMax", [(2, 3, 4)], {"axis": 1, "keepdims": 0}, 17, [(2, 4)]),
    ("TopK", [(5, 3), [2]], {"axis": 0}, 17, [(2, 3), (2, 3)]),
    ("Add", [(3, 1), (2, 1, 4)], {}, 17, [(2, 3, 4)]),
    ("Where", [(3, 1), (4,), ()], {}, 17, [(3, 4)]),
    ("Expand", [(3, 1), [2, 1, 4]], {}, 17, [(2, 3, 4)]),
    ("Transpose", [(2, 3, 4)], {"perm": [2, 0, 1]}, 17, [(4, 2, 3)]),
    ("Transpose", [(2, 3, 4)], {}, 17, [(4, 3, 2)]),
    ("Concat", [(2, 3), (2, 5)], {"axis": -1}, 17, [(2, 8)]),
    ("Flatten", [(2, 3, 4, 5)], {"axis": 2}, 17, [(6, 20)]),
    ("Flatten", [(2, 3)], {"axis": 0}, 17, [(1, 6)]),
    # 0 takes over the size, -1 what is left; with allowzero 0 is 0.
    ("Reshape", [(2, 3, 4), [0, -1]], {}, 17, [(2, 12)]),
    ("Reshape", [(2, 0), [3, 0]], {"allowzero": 1}, 17, [(3, 0)]),
    ("Squeeze", [(1, 3, 1)], {}, 17, [(3,)]),
    ("Squeeze", [(1, 3, 1), [-1]], {}, 17, [(1, 3)]),
    ("Unsqueeze", [(3,), [0, -1]], {}, 17, [(1, 3, 1)]),
    ("Gather", [(2, 5, 3), (4, 1)], {"axis": 1}, 17, [(2, 4, 1, 3)]),
    # The third from the end and every other one: 4, 6. Backwards from the end: 6, 3, 0.
    ("Slice", [(2, 7), [-3], [100], [1], [2]], {}, 17, [(2, 2)]),
    ("Slice", [(2, 7), [-1], [-100], [1], [-3]], {}, 17, [(2, 3)]),
    ("Slice", [(2, 7), [5], [2]], {}, 17, [(0, 7)]),
    ("Pad", [(2, 5), [0, 1, 3, -2]], {}, 17, [(5, 4)]),
    ("Tile", [(2, 5), [2, 3]], {}, 17, [(4, 15)]),
    ("Split", [(4, 5), [2, 3]], {"axis": 1}, 17, [(4, 2), (4, 3)]),
    # 5 in parts of ceil(5 / 3): the last one is shorter.
    ("Split", [(5,)], {"num_outputs": 3}, 18, [(2,), (2,), (1,)]),
    ("DepthToSpace", [(1, 8, 2, 3)], {"blocksize": 2}, 17, [(1, 2, 4, 6)]),
    ("SpaceToDepth", [(1, 2, 4, 6)], {"blocksize": 2}, 17, [(1, 8, 2, 3)]),
    ("Range", [1, 10, 4], {}, 17, [(3,)]),
    ("ConstantOfShape", [[2, 0, 3]], {}, 17, [(2, 0, 3)]),
    ("Shape", [(2, 3, 4)], {"start": 1}, 17, [(2,)]),
    ("Size", [(2, 3, 4)], {}, 17, [()]),
    ("LayerNormalization", [(2, 3, 4), (4,)], {}, 17, [(2, 3, 4)]),
]


@pytest.mark.parametrize(
    ("op_type", "inputs", "attributes", "opset", "shapes"),
    RULES,
    ids=[f"{k} {rule[0]}" for k, rule in enumerate(RULES)],
)
def test_the_sizes_are_those_by_hand(
    op_type: str, inputs: list[Any], attributes: dict[str, Any], opset: int, shapes: list[Shape]
) -> None:
    values = given(inputs)
    node = node_of(op_type, values, len(shapes), **attributes)
    assert [shape for _, shape in ruled(node, values, opset)] == shapes


@pytest.mark.parametrize(
    ("op_type", "inputs", "attributes"),
    [
        ("MatMul", [(2, 3), (4, 5)], {}),
        ("Gemm", [(2, 3), (4, 5)], {}),
        ("Add", [(3,), (4,)], {}),
        ("Concat", [(2, 3), (3, 3)], {"axis": 1}),
        ("Concat", [(2, 3), (3,)], {"axis": 0}),
        ("Transpose", [(2, 3)], {"perm": [0, 0]}),
        ("Reshape", [(2, 3), [4, -1]], {}),
        ("Reshape", [(2, 3), [-1, -1]], {}),
        ("Slice", [(5,), [0], [5], [0], [0]], {}),
        ("Squeeze", [(2, 3), [0]], {}),
        ("Gather", [(2, 3), (1,)], {"axis": 2}),
        ("Tile", [(2, 3), [2]], {}),
        ("DepthToSpace", [(1, 6, 2, 3)], {"blocksize": 2}),
    ],
)
def test_what_does_not_fit_has_no_answer(
    op_type: str, inputs: list[Any], attributes: dict[str, Any]
) -> None:
    values = given(inputs)
    with pytest.raises(RefusedError):
        ruled(node_of(op_type, values, 1, **attributes), values, 17)
