"""The closed form against what onnxruntime shows at two input sizes, and figures found by hand.

What a unit sees is observed with ones on a background of zeros. Every weight is positive and every
layer ends in a step that makes a one of whatever is not zero, so nothing cancels or fades: a unit
sees a coordinate if it is one when only that coordinate of the input is.
"""

from __future__ import annotations

from fractions import Fraction
from math import inf
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from onnx import TensorProto, helper

import rfgraph
from rfgraph import AxisField
from tests.graphs import model
from tests.nets import Merge, Net, Step, assert_holds, build, observed, random_net

MODELS = Path(__file__).parents[1] / "models"

ENOUGH = settings(max_examples=300, deadline=None, derandomize=True, database=None)


@ENOUGH
@given(random_net(1))
def test_interior_units_of_a_signal(steps: list[Step | Merge]) -> None:
    forms = []
    for size in (241, 300):
        net = Net(1, size)
        value = build(net, steps)
        assume(assert_holds(net, value, margin=75))
        channels = range(net.shape(value)[1])
        forms.append([net.field(value, at={1: c}, local=False) for c in channels])
    assert forms[0] == forms[1]


@settings(ENOUGH, max_examples=40)
@given(random_net(2))
def test_interior_units_of_a_picture(steps: list[Step | Merge]) -> None:
    net = Net(1, 130, 150)
    value = build(net, steps)
    for axis in (2, 3):
        assume(assert_holds(net, value, margin=45, axis=axis))


# ---------------------------------------------------------------- figures found by hand


def test_two_dilated_convolutions() -> None:
    net = Net(1, 40, 40)
    v = net.conv(net.conv("x", 3, dilation=4, pads=4), 3, dilation=4, pads=4)
    found = net.analysis(v).field(v)
    assert found.size[2:] == (17, 17)
    assert found.stride[2:] == (1, 1)
    assert found.start[2:] == (-8, -8)
    assert found.centre[2:] == (0, 0)


def test_an_input_smaller_than_the_field() -> None:
    net = Net(1, 5)
    v = net.conv(net.conv("x", 3, dilation=4, pads=4), 3, dilation=4, pads=4)
    assert net.field(v).size == 17


def test_each_axis_has_its_own_kernel_stride_and_dilation() -> None:
    net = Net(1, 40, 60)
    v = net.conv("x", (3, 5), stride=(2, 1), dilation=(1, 3), pads=(1, 6, 1, 6))
    v = net.conv(v, (1, 3), stride=(1, 2), pads=(0, 0, 0, 0))
    found = net.analysis(v).field(v)
    # Rows: 3. Columns: 1 + 4 * 3 = 13, and 2 more by the second.
    assert found.size[2:] == (3, 15)
    assert found.stride[2:] == (2, 2)
    assert found.start[2:] == (-1, -6)
    assert found.centre[2:] == (0, 1)


def test_even_kernels_have_centres_between_elements() -> None:
    net = Net(1, 40)
    v = net.conv("x", 2)
    centre = net.field(v).centre
    assert centre == Fraction(1, 2)
    assert isinstance(centre, Fraction)
    # 4 wide, then 2 wide and 2 apart.
    assert net.field(net.conv(net.conv(v, 3, pads=1), 4, stride=2, pads=1)).centre == 1


def test_axes_in_three_dimensions() -> None:
    net = Net(1, 20, 24, 28)
    v = net.conv("x", (3, 5, 1), stride=(1, 2, 3), pads=(1, 2, 0, 1, 2, 0))
    v = net.pool(v, (2, 2, 2), (2, 2, 2))
    found = net.analysis(v).field(v)
    assert found.size[2:] == (4, 7, 4)
    assert found.stride[2:] == (2, 4, 6)
    assert found.start[2:] == (-1, -2, 0)
    assert found.centre[2:] == (Fraction(1, 2), 1, Fraction(3, 2))


def test_causal_dilated_convolutions() -> None:
    net = Net(1, 400)
    v = "x"
    for _ in range(2):
        for k in range(6):
            v = net.conv(v, 2, dilation=2**k, pads=(2**k, 0))
    # Twice 1 + 2 + 4 + 8 + 16 + 32 elements of the past.
    assert net.field(v) == AxisField.periodic(1, (-126, 0))


def test_channels_last() -> None:
    net = Net(20, 30, 1)
    v = net.conv(net.op("Transpose", "x", perm=[0, 3, 1, 2]), (3, 5), pads=(1, 2, 1, 2))
    v = net.op("Transpose", v, perm=[0, 2, 3, 1])
    found = net.analysis(v).field(v)
    assert found.size == (1, 3, 5, 1)
    assert found.start == (0, -1, -2, 0)
    assert found.stride[1:3] == (1, 1)


def test_rows_that_become_columns() -> None:
    net = Net(1, 20, 30)
    v = net.conv(net.op("Transpose", "x", perm=[0, 1, 3, 2]), (5, 1), stride=(3, 1))
    found = net.analysis(v).field(v)
    assert found.size[2:] == (1, 5)
    assert found.stride[2:] == (1, 3)


def test_tokens_keep_the_fields_of_a_picture() -> None:
    net = Net(1, 32, 48)
    v = net.conv("x", 4, stride=4, channels=2)
    tokens = net.op("Transpose", net.reshape(v, 2, -1), perm=[0, 2, 1])
    mixed = net.op("LayerNormalization", tokens, np.ones(2), np.zeros(2), axis=-1)
    mixed = net.op("MatMul", mixed, np.ones((2, 2)))
    back = net.reshape(net.op("Transpose", mixed, perm=[0, 2, 1]), 2, 8, 12)
    for value in (net.conv(back, 3, pads=1), net.conv(v, 3, pads=1)):
        found = net.analysis(value).field(value)[2:]
        assert [(f.size, f.stride, f.start) for f in found] == [(12, 4, -4)] * 2
    # Token 17 is the patch in row 1 and column 5.
    found = net.analysis(mixed).field(mixed, at={1: 17})[2:]
    assert [(f.size, f.start) for f in found] == [(4, 4), (4, 20)]


def test_every_token_differs() -> None:
    net = Net(1, 32, 48)
    v = net.op("Transpose", net.reshape(net.conv("x", 4, stride=4), 1, -1), perm=[0, 2, 1])
    runs = net.analysis(v).fields(v, axis=1)
    starts = {token: found.start[2:] for tokens, found in runs for token in tokens}
    assert starts == {token: (token // 12 * 4, token % 12 * 4) for token in range(96)}


def test_squeeze_and_excite() -> None:
    net = Net(1, 20, 20)
    v = net.conv("x", 3, pads=1, channels=2)
    gate = net.op("Sigmoid", net.conv(net.op("GlobalAveragePool", v), 1, channels=2))
    a = net.analysis(net.conv(net.op("Mul", v, gate), 3, pads=1))
    v = a.outputs[0]
    assert a.box(v, (0, 0, 10, 10)) == ((0, 0), (0, 0), (0, 19), (0, 19))
    assert a.field(v)[2] == AxisField.periodic(1, (-2, 2))
    everything = a.field(v, local=False)
    assert everything.is_global
    assert everything.size[2:] == (inf, inf)
    assert a.unequal == []


# ---------------------------------------------------------------- units that differ


@pytest.mark.parametrize("upward", ["transposed", "linear", "nearest"])
def test_u_net(upward: str) -> None:
    net = Net(1, 320)

    def up(v: str) -> str:
        if upward == "transposed":
            return net.tconv(v)
        return net.conv(net.resize(v, 2, mode=upward), 1)

    v, skips = "x", []
    for _ in range(3):
        v = net.conv(net.conv(v, 3, pads=1), 3, pads=1)
        skips.append(v)
        v = net.pool(v)
    v = net.conv(net.conv(v, 3, pads=1), 3, pads=1)
    # 1 + 4, and 1 for the pool; + 8 + 2; + 16 + 4; + 32.
    assert net.field(v) == AxisField.periodic(8, (-30, 37))
    for skip in reversed(skips):
        v = net.merge("Concat", skip, up(v))
        v = net.conv(net.conv(v, 3, pads=1), 3, pads=1)
    assert assert_holds(net, v, margin=60)
    found = net.field(v)
    assert (found.stride, len(found.phases)) == (1, 8)
    # Of eight neighbours, the first at a multiple of eight.
    lo, hi = (end[0] for end in observed(net, v, 2))
    sizes = (hi - lo + 1)[160:168]
    assert (found.smallest, found.size) == (sizes.min(), sizes.max())
    assert found.start == lo[160] - 160
    own = np.arange(len(lo))
    assert (found.back, found.ahead) == ((own - lo)[160:168].max(), (hi - own)[160:168].max())


def test_upsampling_by_two() -> None:
    net = Net(1, 40)
    v = net.resize("x", 2, mode="nearest")
    assert net.field(v) == AxisField.periodic(Fraction(1, 2), (0, 0), (0, 0))
    assert isinstance(net.field(v).stride, Fraction)
    # Elements -1 | 0 0 | 1 1: the first unit reads -1, 0, 0 and the second 0, 0, 1.
    after = net.field(net.conv(v, 3, pads=1))
    assert after == AxisField.periodic(Fraction(1, 2), (-1, 0), (0, 1))
    assert (after.size, after.centre, after.back, after.ahead) == (2, Fraction(-1, 4), 1, 1)
    linear = net.resize("x", 2, mode="linear")
    assert net.field(linear).phases == ((-1, 0), (0, 1))
    cubic = Net(1, 40, 40)
    assert cubic.field(cubic.resize("x", 2, mode="cubic")).phases == ((-2, 1), (-1, 2))


def test_units_that_see_nothing() -> None:
    net = Net(1, 120)
    v = net.tconv("x", 2, stride=3)
    assert net.field(v).phases == ((0, 0), (0, 0), (0, -1))
    assert (net.field(v).smallest, net.field(v).size) == (0, 1)
    assert assert_holds(net, v, margin=20)


@pytest.mark.parametrize("exported", ["DepthToSpace", "Reshape and Transpose"])
def test_pixel_shuffle(exported: str) -> None:
    net = Net(1, 60, 60)
    v = net.conv("x", 3, pads=1, channels=9)
    v = net.op("DepthToSpace", v, blocksize=3) if exported == "DepthToSpace" else net.shuffle(v, 3)
    found = net.field(v)
    assert (found.size, found.stride, found.start) == (3, Fraction(1, 3), -1)
    assert found.phases == ((-1, 1),) * 3


def test_padding_after_a_pixel_shuffle() -> None:
    net = Net(1, 40)
    shuffled = net.upshuffle("x", 2)
    expected = AxisField.periodic(Fraction(1, 2), (-1, 0), (0, 1))
    assert net.field(net.conv(shuffled, 3, pads=1)) == expected
    assert net.field(net.conv(net.pad(shuffled, (1, 1)), 3)) == expected


def test_shuffling_and_unshuffling_by_other_factors() -> None:
    net = Net(1, 60)
    v = net.unshuffle(net.upshuffle("x", 2), 3)
    assert assert_holds(net, v, margin=10)
    # Each unit has three elements of half the size, which fill one and a half.
    assert net.field(v).stride == Fraction(3, 2)


def test_interleaved_channels() -> None:
    net = Net(1, 60)
    v = net.shuffle(net.merge("Concat", "x", net.conv("x", 3, pads=1)), 2)
    found = net.field(v)
    assert (found.smallest, found.size, found.start, len(found.branches)) == (1, 3, 0, 2)
    for unit in range(20, 24):
        seen = net.field(v, at={2: unit})
        assert (seen.size, seen.start) == ((3, unit // 2 - 1) if unit % 2 else (1, unit // 2))


# ---------------------------------------------------------------- where branches meet


@pytest.mark.parametrize("kind", ["Sum", "Concat"])
def test_unequal_strides_are_answered_and_told(kind: str) -> None:
    net = Net(1, 120)
    left, right = net.conv("x", 3, pads=1), net.conv("x", 3, stride=2, pads=1)
    v = net.conv(net.merge(kind, left, right), 3, pads=1)
    found = net.field(v)
    assert {branch.stride for branch in found.branches} == {1, 2}
    assert (found.start, found.stride) == (-3, 2)
    # The branches drift apart: the figures are those of the units away from the borders.
    lo, hi = (end[0] for end in observed(net, v, 2))
    inner = (lo > 0) & (lo <= hi) & (hi < hi.max())
    sizes = (hi - lo + 1)[inner]
    assert (found.smallest, found.size) == (sizes.min(), sizes.max())
    assert assert_holds(net, v, margin=10, until=0.4)
    notes = net.analysis(v).unequal
    assert len(notes) == 1
    assert "strides 1, 2 on axis 2" in notes[0].reason


@pytest.mark.parametrize("kind", ["Sum", "Concat"])
def test_unequal_centres_are_told(kind: str) -> None:
    net = Net(1, 60)
    left, right = net.conv("x", 3, pads=1), net.conv("x", 3, pads=(2, 0))
    v = net.conv(net.merge(kind, left, right), 1)
    assert net.field(v) == AxisField.periodic(1, (-2, 1))
    notes = net.analysis(v).unequal
    assert len(notes) == 1
    assert "centres -1, 0 on axis 2" in notes[0].reason


@pytest.mark.parametrize("kind", ["Sum", "Concat"])
def test_equal_branches_are_not_told(kind: str) -> None:
    net = Net(1, 60)
    wide = net.conv("x", 3, dilation=2, pads=2)
    v = net.conv(net.merge(kind, "x", net.conv("x", 3, pads=1), wide), 1)
    assert net.analysis(v).unequal == []
    assert net.field(v) == AxisField.periodic(1, (-2, 2))


def test_flips() -> None:
    net = Net(1, 60)
    v = net.conv(net.flip("x"), 3, stride=2, pads=(0, 1))
    # Unit 0 sees the last three elements.
    assert net.field(v) == AxisField.periodic(-2, (57, 59))
    assert assert_holds(net, v, margin=5)
    both = net.op("Add", "x", net.flip("x"))
    assert {branch.stride for branch in net.field(both).branches} == {1, -1}
    assert assert_holds(net, both, margin=5)


@pytest.mark.parametrize("shift", [3, 30])
def test_a_cyclic_shift_has_a_branch_for_each_part(shift: int) -> None:
    net = Net(1, 60)
    v = net.op("Concat", net.slice("x", shift), net.crop("x", [shift]), axis=2)
    # The first unit of one part sees element `shift`, that of the other one element 0.
    assert {(b.size, b.stride, b.start) for b in net.field(v).branches} == {
        (1, 1, shift),
        (1, 1, 0),
    }


def test_a_cyclic_shift_there_and_back() -> None:
    net = Net(1, 60)
    shifted = net.op("Concat", net.slice("x", 3), net.crop("x", [3]), axis=2)
    back = net.op("Concat", net.slice(shifted, 57), net.crop(shifted, [57]), axis=2)
    assert net.field(back) == AxisField.periodic(1, (0, 0))


# ---------------------------------------------------------------- channels that differ


def test_concatenated_channels() -> None:
    net = Net(1, 60)
    layers = [net.conv("x", k, pads=k // 2, channels=2) for k in (1, 3, 5)]
    v = net.merge("Concat", *layers)
    a = net.analysis(v)
    assert [a.field(v, at={1: c})[2].size for c in range(6)] == [1, 1, 3, 3, 5, 5]
    runs = [(channels, found[2].size) for channels, found in a.fields(v, axis=1)]
    assert runs == [(range(2), 1), (range(2, 4), 3), (range(4, 6), 5)]
    assert (a.field(v)[2].smallest, a.field(v)[2].size) == (1, 5)
    assert [channels for channels, _ in a.fields(v, axis=-2)] == [r[0] for r in runs]
    assert assert_holds(net, v, margin=10)


def test_channels_of_space_to_depth() -> None:
    net = Net(1, 60, 60)
    v = net.op("SpaceToDepth", net.conv("x", 3, pads=1), blocksize=2)
    a = net.analysis(v)
    places = [(-1, -1), (-1, 0), (0, -1), (0, 0)]
    assert [a.field(v, at={1: c}).start[2:] for c in range(4)] == places
    runs = {c: found.start[2:] for channels, found in a.fields(v, axis=1) for c in channels}
    assert runs == dict(enumerate(places))


def test_all_channels_of_space_to_depth() -> None:
    net = Net(1, 60, 60)
    v = net.op("SpaceToDepth", net.conv("x", 3, pads=1), blocksize=2)
    a = net.analysis(v)
    # All channels together see one element more than each.
    assert a.field(v).size[2:] == (3, 3)
    assert [side.phases for side in a.field(v)[2:]] == [((-1, 2),)] * 2
    assert a.field(v).stride[2:] == (2, 2)
    assert a.field(v).start[2:] == (-1, -1)


@pytest.mark.parametrize("order", [1, -1])
def test_space_to_depth_beside_other_channels(order: int) -> None:
    net = Net(1, 60)
    parts = [net.unshuffle("x", 2), net.pool("x")][::order]
    v = net.conv(net.merge("Concat", *parts), 1)
    assert net.field(v) == AxisField.periodic(2, (0, 1))


def test_channels_of_the_input_that_come_twice() -> None:
    net = Net(3, 60)
    v = net.conv(net.merge("Concat", "x", "x"), 1)
    assert (net.field(v, axis=1).start, net.field(v, axis=1).size) == (0, 3)


def test_repeated_channels() -> None:
    net = Net(1, 60)
    v = net.op("Tile", net.unshuffle("x", 2), np.array([1, 2, 1]))
    assert [net.field(v, at={1: c}).start for c in range(4)] == [0, 1, 0, 1]


# ---------------------------------------------------------------- no closed form


@pytest.mark.parametrize("size", [50, 600])
def test_aligned_corners_have_no_closed_form(size: int) -> None:
    net = Net(1, size)
    aligned = "align_corners"
    v = net.resize("x", 2, mode="linear", coordinate_transformation_mode=aligned)
    found = net.field(net.conv(v, 3, pads=1))
    # The ratio (size - 1) / (2 * size - 1) is another at every size; no unit sees more than 3.
    assert found.irregular
    assert found.size == 3


def test_a_repeated_signal_has_no_closed_form() -> None:
    net = Net(1, 40)
    assert net.field(net.op("Tile", "x", np.array([1, 1, 2]))).irregular


@pytest.mark.parametrize("size", [60, 61])
def test_symmetric_half_pixels(size: int) -> None:
    net = Net(1, size)
    how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel_symmetric"}
    v = net.resize("x", 1.5, **how)
    # 61 * 1.5 is not whole: the grid is centred, and moved by a part that the size decides.
    if size == 61 and net.field(v).irregular:
        return
    assert assert_holds(net, v, margin=10)


def test_a_reshape_that_ends_where_no_axis_does() -> None:
    net = Net(6, 4, 10)
    v = net.op("Reshape", "x", np.array([5, 48]))
    a = net.analysis(v)
    # Each row of 48 begins 8 elements on in a plane of 40.
    for row, column in np.ndindex(5, 48):
        element = np.unravel_index(48 * row + column, (6, 4, 10))
        assert a.field(v, at={0: row, 1: column}).start[1:] == element


def test_fields_along_an_axis_of_constant_indices() -> None:
    net = Net(3, 4)
    indices = np.array([[[0, 1], [3, 2], [1, 1]]])
    v = net.op("GatherElements", "x", indices, axis=2)
    a = net.analysis(v)
    for axis in range(3):
        for run, field in a.fields(v, axis=axis):
            for k in run:
                unit = tuple(k if d == axis else 0 for d in range(3))
                assert (field[2].start, field[2].size) == (indices[unit], 1)


def test_fields_of_a_table_that_constant_indices_pick_from() -> None:
    indices, depth = np.array([[0, 1], [3, 2], [1, 1]]), np.array(5)
    net = Net(2)
    table = net.op("Squeeze", "x", np.array([0]))
    v = net.op("OneHot", indices, depth, table, axis=1)
    a = net.analysis(v)
    for axis in range(3):
        for run, field in a.fields(v, axis=axis):
            for k in run:
                unit = tuple(k if d == axis else 0 for d in range(3))
                on = indices[unit[0], unit[2]] == unit[1]
                assert (field[1].start, field[1].size) == (int(on), 1)


def test_a_statistic_over_elements_gathered_along_several_axes() -> None:
    net = Net(2, 5)
    where = np.array([[[0, 1, 1, 1, 0], [1, 1, 0, 1, 1]]])
    v = net.op("GatherElements", "x", where, axis=1)
    most = net.op("ReduceMax", v, axes=[2], keepdims=1)
    both = net.op("ReduceMax", most, axes=[1], keepdims=1)
    a = net.analysis(both)
    # Which channels are gathered differs from place to place: all five together see both.
    assert a.box(most, (0, 0, 0)) == ((0, 0), (0, 1), (0, 4))
    assert a.field(most, local=False)[2].is_global
    assert [side.is_global for side in a.field(both, local=False)] == [False, True, True]


def test_inputs_of_which_nothing_is_seen() -> None:
    vector = helper.make_tensor_value_info("w", TensorProto.FLOAT, [3])
    picture = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 4, 4])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    nodes = [helper.make_node("Relu", ["w"], ["v"]), helper.make_node("Relu", ["x"], ["y"])]
    graph = helper.make_graph(nodes, "two", [vector, picture], [out])
    a = rfgraph.analyze(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))
    assert [len(a.field("v", "x")), len(a.field("y", "w"))] == [4, 1]
    assert [f.size for f in (*a.field("v", "x"), *a.field("y", "w"))] == [0] * 5


# ---------------------------------------------------------------- a unit's own elements


def one_axis(body: str, **initializers: np.ndarray) -> rfgraph.Analysis:
    return rfgraph.analyze(model(body, "float[1,1,24] x", initializers=initializers))


def test_own_elements_by_hand() -> None:
    """Of unit o ``floor(o * stride)`` to ``ceil((o + 1) * stride) - 1``."""
    weights = np.ones((1, 1, 4), np.float32)
    strided = one_axis("y = Conv <strides = [3]> (x, W)", W=weights)
    assert [strided.own("y", (0, 0, o))[2] for o in (0, 2, -1)] == [(0, 2), (6, 8), (18, 20)]
    upward = one_axis("y = ConvTranspose <strides = [2]> (x, W)", W=weights)
    assert [upward.own("y", (0, 0, o))[2] for o in (0, 5, 6)] == [(0, 0), (2, 2), (3, 3)]
    there = one_axis("a = Conv <strides = [3]> (x, W)\n y = ConvTranspose <strides = [2]> (a, W)",
                     W=weights)  # fmt: skip
    assert [there.own("y", (0, 0, o))[2] for o in (0, 1, 2)] == [(0, 1), (1, 2), (3, 4)]
    mean = one_axis("y = ReduceMean <axes = [2]> (x)")
    assert mean.own("y", (0, 0, 0))[2] is None
    assert one_axis("y = Relu (x)").own("x", (0, 0, 7))[2] == (7, 7)


@pytest.mark.parametrize("name", ["resnet50", "swin_tiny", "vit", "wavenet", "inception_v3"])
def test_fields_reach_beyond_their_own_elements(name: str) -> None:
    """By `back` and `ahead` at most: a place off by one would reach farther to one side."""
    a = rfgraph.analyze(MODELS / f"{name}.onnx")
    rng = np.random.default_rng(0)
    (given,) = a.inputs
    tested = 0
    for tensor in rng.permutation([name for name in a.tensors if a.depends(name)])[:40]:
        for axis, side in enumerate(a.field(tensor, given)):
            if side.irregular or side.branches or not np.isfinite(float(side.back)):
                continue
            reaches = []
            for _ in range(6):
                unit = [int(rng.integers(n)) for n in a.extent(tensor) or ()]
                own = a.own(tensor, unit, given)[axis]
                alone = a.field_along(tensor, given, axis, at=dict(enumerate(unit)))
                if own is None or not alone.size or alone.is_global:
                    continue
                last = alone.start + alone.size - 1
                reaches.append((own[0] - alone.start, last - own[1]))
            for back, ahead in reaches:
                assert back <= side.back, (tensor, axis)
                assert ahead <= side.ahead, (tensor, axis)
            tested += len(reaches)
    assert tested > 40
