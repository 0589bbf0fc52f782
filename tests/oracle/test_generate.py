"""The random graphs: made again from their seed, and over everything that they promise."""

from __future__ import annotations

from collections import Counter
from math import prod

import onnx
import pytest

from .builder import MAX_ELEMENTS, OPERATORS, QUIRKS
from .generate import coverage, random_graph
from .observe import input_shapes

SEEDS = 2000

# What attributes and constant inputs must take on at least once.
PROMISED = """
Conv auto_pad=NOTSET; Conv auto_pad=VALID; Conv auto_pad=SAME_UPPER; Conv auto_pad=SAME_LOWER;
Conv group=2; Conv dilations > 1; Conv strides > 1; Conv pads asymmetric; Conv live input 1;
ConvTranspose auto_pad=NOTSET; ConvTranspose auto_pad=VALID; ConvTranspose auto_pad=SAME_UPPER;
ConvTranspose auto_pad=SAME_LOWER; ConvTranspose group=2; ConvTranspose dilations > 1;
ConvTranspose strides > 1; ConvTranspose pads asymmetric; ConvTranspose output_padding > 1;
ConvTranspose output_shape > 1; ConvTranspose live input 1;
MaxPool auto_pad=VALID; MaxPool auto_pad=SAME_UPPER; MaxPool auto_pad=SAME_LOWER;
MaxPool ceil_mode=0; MaxPool ceil_mode=1; MaxPool dilations > 1; MaxPool pads asymmetric;
AveragePool auto_pad=VALID; AveragePool auto_pad=SAME_UPPER; AveragePool auto_pad=SAME_LOWER;
AveragePool ceil_mode=1; AveragePool dilations > 1; AveragePool pads asymmetric;
AveragePool count_include_pad=0; AveragePool count_include_pad=1;
LpPool auto_pad=VALID; LpPool auto_pad=SAME_UPPER; LpPool auto_pad=SAME_LOWER; LpPool ceil_mode=1;
LpPool dilations > 1; LpPool pads asymmetric; LpPool p=1; LpPool p=2; LpPool p=3;
Clip live input 1; Clip live input 2; PRelu live input 1; Gelu approximate=tanh;
Cast to=1; Cast to=6; Cast to=7; Cast to=9; Cast to=10; Cast to=11;
BatchNormalization live input 1; InstanceNormalization live input 1;
LayerNormalization live input 1; LayerNormalization axis=-1; LayerNormalization axis=0;
GroupNormalization num_groups=1; GroupNormalization num_groups=2; RMSNormalization axis=-1;
LRN size=1; LRN size=3; LRN size=5;
Gemm transA=0; Gemm transA=1; Gemm transB=0; Gemm transB=1; Gemm live input 1; Gemm live input 2;
MatMul live input 1; Einsum live input 1; Div live input 1; Sub live input 1; Mean live input 2;
Softmax axis=-1; Softmax axis=0; LogSoftmax axis=1; Hardmax axis=1;
ReduceMax keepdims=0; ReduceMax keepdims=1; ReduceSum noop_with_empty_axes=0;
ReduceSum noop_with_empty_axes=1; ReduceMean noop_with_empty_axes=1; ReduceSum input 1 empty;
ReduceMean axes < 0; ReduceMean axes > 1; ReduceMean input 1 < 0; ReduceMean input 1 > 1;
ArgMax select_last_index=1; ArgMin select_last_index=1; ArgMax keepdims=0; ArgMin keepdims=0;
CumSum exclusive=1; CumSum reverse=1; CumSum input 1 < 0;
Reshape allowzero=0; Reshape allowzero=1; Reshape input 1 < 0; Flatten axis=0; Flatten axis=-1;
Squeeze axes > 1; Squeeze input 1 < 0; Unsqueeze axes > 1; Unsqueeze input 1 < 0;
Slice axes > 1; Slice starts < 0; Slice input 1 < 0; Slice input 3 < 0; Slice input 4 < 0;
Slice input 4 > 1; Split split > 1; Split input 1 > 1; Split num_outputs=2; Split num_outputs=3;
Concat axis=0; Concat axis=1; Concat axis=-1; Gather axis=-1; Gather input 1 < 0;
GatherElements input 1 < 0; GatherND input 1 < 0; GatherND batch_dims=1; GatherND batch_dims=2;
Pad mode=constant; Pad mode=reflect; Pad mode=edge; Pad mode=wrap; Pad pads < 0; Pad input 1 < 0;
Pad input 3 < 0; Pad live input 2; Pad pads asymmetric;
DepthToSpace mode=DCR; DepthToSpace mode=CRD; SpaceToDepth blocksize=2; SpaceToDepth blocksize=3;
Upsample mode=nearest; Upsample mode=linear;
Resize mode=nearest; Resize mode=linear; Resize mode=cubic; Resize antialias=0; Resize antialias=1;
Resize exclude_outside=0; Resize exclude_outside=1; Resize axes < 0; Resize input 3 > 1;
Resize nearest_mode=round_prefer_floor; Resize nearest_mode=round_prefer_ceil;
Resize nearest_mode=floor; Resize nearest_mode=ceil; Resize keep_aspect_ratio_policy=stretch;
Resize keep_aspect_ratio_policy=not_larger; Resize keep_aspect_ratio_policy=not_smaller;
Resize coordinate_transformation_mode=half_pixel;
Resize coordinate_transformation_mode=half_pixel_symmetric;
Resize coordinate_transformation_mode=pytorch_half_pixel;
Resize coordinate_transformation_mode=align_corners;
Resize coordinate_transformation_mode=asymmetric;
Resize coordinate_transformation_mode=tf_half_pixel_for_nn;
Resize coordinate_transformation_mode=tf_crop_and_resize;
Where live input 0; Where live input 1; Where live input 2; Shape start=0; Shape end=1
"""


def test_the_same_seed_gives_the_same_graph() -> None:
    for seed in range(40):
        first, second = random_graph(seed), random_graph(seed)
        assert first.SerializeToString() == second.SerializeToString()


def test_the_description_makes_the_graph_again() -> None:
    made = random_graph(3, rank=2, nodes=4, max_elements=60, first="Conv", opset=17)
    call = made.doc_string.split("#", maxsplit=1)[0]
    again = eval(call, {"random_graph": random_graph})
    assert made.SerializeToString() == again.SerializeToString()


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_what_is_asked_for_holds(rank: int) -> None:
    for seed in range(25):
        made = random_graph(seed, rank=rank, nodes=3, max_elements=40, opset=21)
        shapes = input_shapes(made)
        onnx.checker.check_model(made)
        assert sum(map(prod, shapes.values())) <= 40
        assert made.opset_import[0].version == 21
        if "x" in shapes:
            assert len(shapes["x"]) == (rank + 2 if rank else 3)


def test_quirks_are_drawn_only_when_asked_for() -> None:
    refused: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for seed in range(300):
        for first in ("MaxPool", "LpPool"):
            random_graph(seed, first=first, nodes=1, rejections=refused)
            random_graph(seed, first=first, nodes=1, quirks=True, rejections=asked)
    for why in QUIRKS.values():
        assert any(why in reason for reason in refused), why
        assert not any(why in reason for reason in asked), why


def test_everything_occurs() -> None:
    found = coverage(range(SEEDS))
    operators = [name for name in OPERATORS if name[0].isupper()]
    operators += ["Shape", "Size", "ConstantOfShape", "Constant"]
    rare = {name: found[name] for name in operators if found[name] < 5}
    assert not rare
    missing = [key for key in PROMISED.replace("\n", " ").split("; ") if not found[key.strip()]]
    assert not missing
    assert max(found[f"opset {k}"] for k in range(9, 26)) < SEEDS / 4
    assert min(found[f"opset {k}"] for k in range(9, 26)) > 20


def test_no_input_is_too_large() -> None:
    for seed in range(100):
        assert sum(map(prod, input_shapes(random_graph(seed)).values())) <= MAX_ELEMENTS
