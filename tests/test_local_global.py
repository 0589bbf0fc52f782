"""What passes a statistic over a whole axis is global: local bounds and fields leave it out.

The oracle is the same model with its statistics cut, each replaced by a constant: what a unit
of that one sees, as poisoning the input shows, is what is local.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import rfgraph
from rfgraph import AxisField
from tests.nets import Net, Step, assert_holds, build, keeping
from tests.oracle.observe import hull, poison

MODELS = Path(__file__).parents[1] / "models"

Bounds = tuple[np.ndarray, np.ndarray]

# A gate appends a statistic to a net, or with `cut` what is left of it without one.
Gate = Callable[[Net, str, bool], str]


def poisoned(net: Net, value: str, axis: int = 2) -> Bounds:
    """First and last coordinate that every unit sees."""
    lo, hi = hull(poison(net.model(value), "x")[value], len(net.input) + 1)
    return lo[..., axis], hi[..., axis]


def bounds(net: Net, value: str, axis: int = 2, *, local: bool = False) -> Bounds:
    """Claimed bounds of every unit."""
    shape = net.shape(value)
    lo, hi = net.analysis(value).bounds(value, axis=axis, local=local)
    return np.broadcast_to(lo, shape), np.broadcast_to(hi, shape)


def same(a: Bounds, b: Bounds) -> bool:
    return np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1])


# ---------------------------------------------------------------- gates of a signal


def gated(net: Net, v: str, pooled: str, cut: bool) -> str:
    channels = net.shape(v)[1]
    one = np.ones((1, channels, 1))
    gate = one if cut else net.op("Sigmoid", net.conv(pooled, 1, channels=channels))
    return net.op("Mul", v, gate)


def squeeze_and_excite(net: Net, v: str, cut: bool) -> str:
    return gated(net, v, net.op("GlobalAveragePool", v), cut)


def maximum_gate(net: Net, v: str, cut: bool) -> str:
    return gated(net, v, net.op("ReduceMax", v, np.array([2])), cut)


def instance_norm(net: Net, v: str, cut: bool) -> str:
    ones = np.ones(net.shape(v)[1])
    return net.op("Identity", v) if cut else net.op("InstanceNormalization", v, ones, 0 * ones)


def group_norm(net: Net, v: str, cut: bool) -> str:
    """As it is exported: the instance norm of the groups as channels."""
    if cut:
        return net.op("Identity", v)
    _, channels, size = net.shape(v)
    groups = net.reshape(v, 1, -1)
    normed = net.op("InstanceNormalization", groups, np.ones(1), np.zeros(1))
    return net.op("Mul", net.reshape(normed, channels, size), np.ones((channels, 1)))


def norm_over_positions(net: Net, v: str, cut: bool) -> str:
    size = net.shape(v)[2]
    if cut:
        return net.op("Identity", v)
    return net.op("LayerNormalization", v, np.ones(size), np.zeros(size), axis=-1)


def softmax(net: Net, v: str, cut: bool) -> str:
    return net.op("Identity", v) if cut else net.op("Softmax", v, axis=2)


def mixer(net: Net, v: str, cut: bool) -> str:
    size = net.shape(v)[2]
    mixed = np.zeros((1, 1, size)) if cut else net.op("MatMul", v, np.ones((size, size)))
    return net.op("Add", v, mixed)


def attention(net: Net, v: str, cut: bool) -> str:
    """Softmax(Q K') V: a token reads its own query, and all keys and values."""
    channels = net.shape(v)[1]
    weights = np.full((channels, channels), 1 / channels)
    tokens = net.op("Transpose", v, perm=[0, 2, 1])
    mixed = net.op("MatMul", tokens, weights)
    if not cut:
        keys = net.op("Transpose", net.op("MatMul", tokens, weights), perm=[0, 2, 1])
        scores = net.op("Softmax", net.op("MatMul", mixed, keys), axis=-1)
        mixed = net.op("MatMul", scores, net.op("MatMul", tokens, weights))
    return net.op("Transpose", mixed, perm=[0, 2, 1])


def image_pooling(net: Net, v: str, cut: bool) -> str:
    """The average of everything as further channels."""
    pooled = np.zeros((1, 1, 1)) if cut else net.op("GlobalAveragePool", v)
    return net.op("Concat", v, net.op("Expand", pooled, net.op("Shape", v)), axis=1)


GATES: list[Gate] = [
    squeeze_and_excite,
    maximum_gate,
    instance_norm,
    group_norm,
    norm_over_positions,
    softmax,
    mixer,
    attention,
    image_pooling,
]


def assert_local(whole: Net, cut: Net, value: str, other: str) -> None:
    """Bounds in full are those of the model, local ones those of the model that is cut."""
    full, near = poisoned(whole, value), poisoned(cut, other)
    assert same(bounds(whole, value), full)
    # Of what sees nothing by itself, the full bounds are left.
    left = near[0] > near[1]
    expected = np.where(left, full[0], near[0]), np.where(left, full[1], near[1])
    lo, hi = bounds(whole, value, local=True)
    assert same((lo, hi), expected)
    assert (full[0] <= lo).all()
    assert (hi <= full[1]).all()


@pytest.mark.parametrize("gate", GATES)
def test_a_gate_between_convolutions(gate: Gate) -> None:
    nets, values = (Net(1, 15), Net(1, 15)), []
    for net, cut in zip(nets, (False, True), strict=True):
        v = gate(net, net.conv("x", 3, pads=1, channels=2), cut)
        values.append(net.conv(v, 3, pads=1, channels=2))
    assert_local(*nets, *values)
    a, v = nets[0].analysis(values[0]), values[0]
    assert a.field(v)[2] == AxisField.periodic(1, (-2, 2))
    assert a.field(v, local=False)[2].size == inf
    assert a.field(v, local=False)[2].is_global
    assert a.unequal == []


# ---------------------------------------------------------------- random nets

Steps = Sequence[Step | Gate]


def with_gates(steps: Steps, size: int, cut: bool) -> tuple[Net, str]:
    net = Net(1, size)
    v = "x"
    for step in steps:
        v = build(net, [step], v) if isinstance(step, Step) else step(net, v, cut)
        # Where one unit is left, pooling it is not a statistic.
        assume(net.shape(v)[1] <= 6 and net.shape(v)[2] >= 8)
    return net, v


STEPS = st.lists(st.one_of(*keeping(1, 2), st.sampled_from(GATES)), max_size=6)
GATED = STEPS.filter(lambda steps: any(not isinstance(step, Step) for step in steps))


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(GATED)
def test_bounds_of_random_nets(steps: Steps) -> None:
    (whole, value), (cut, other) = (with_gates(steps, 24, cut) for cut in (False, True))
    assert_local(whole, cut, value, other)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(GATED)
def test_closed_forms_of_random_nets(steps: Steps) -> None:
    (whole, value), (cut, other) = (with_gates(steps, 150, cut) for cut in (False, True))
    assert_holds(cut, other, margin=50, analysis=whole.analysis(value))


# ---------------------------------------------------------------- blocks that people know


def test_squeeze_and_excite_is_global_at_every_unit() -> None:
    net = Net(2, 9)
    v = net.conv("x", 3, pads=1, channels=2)
    v = squeeze_and_excite(net, v, False)
    lo, hi = bounds(net, v)
    assert (lo == 0).all()
    assert (hi == 8).all()
    lo, hi = bounds(net, v, local=True)
    assert lo[0, 0].tolist() == [0, 0, 1, 2, 3, 4, 5, 6, 7]
    assert hi[0, 0].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 8]


def test_the_gate_itself_has_no_local_part() -> None:
    net = Net(2, 9)
    gate = net.op("Sigmoid", net.op("GlobalAveragePool", net.conv("x", 3, pads=1)))
    found = net.field(gate)
    assert (found.size, found.is_global) == (inf, True)
    assert same(bounds(net, gate, local=True), bounds(net, gate))


def test_pooling_along_one_axis_is_local_along_the_other() -> None:
    """Coordinate attention: a gate for each row, and one for each column."""
    net = Net(1, 8, 9)
    v = net.conv("x", 3, pads=1)
    rows = net.op("Sigmoid", net.op("ReduceMean", v, np.array([3])))
    v = net.op("Mul", v, rows)
    a = net.analysis(v)
    assert a.box(v, (0, 0, 4, 4)) == ((0, 0), (0, 0), (3, 5), (0, 8))
    assert a.box(v, (0, 0, 4, 4), local=True) == ((0, 0), (0, 0), (3, 5), (3, 5))
    assert [f.is_global for f in a.field(v, local=False)[2:]] == [False, True]


def test_statistics_of_channels_are_local_in_space() -> None:
    net = Net(4, 8, 9)
    mean = net.op("ReduceMean", "x", np.array([1]))
    v = net.op("Sub", "x", mean)
    for local in (False, True):
        found = net.analysis(v).field(v, local=local)[2:]
        assert [(f.size, f.is_global) for f in found] == [(1, False), (1, False)]


def test_group_norm_of_groups() -> None:
    net = Net(4, 8)
    v = net.op("GroupNormalization", "x", np.ones(2), np.zeros(2), num_groups=2)
    model = net.model(v)
    model.opset_import[0].version = 18
    a = rfgraph.analyze(model)
    assert a.box(v, (0, 3, 5)) == ((0, 0), (2, 3), (0, 7))
    assert same(a.bounds(v, axis=2, local=True), a.bounds("x", axis=2))


def test_attention_sees_its_own_token() -> None:
    net = Net(3, 7)
    v = attention(net, "x", False)
    a = net.analysis(v)
    assert a.box(v, (0, 1, 4)) == ((0, 0), (0, 2), (0, 6))
    assert a.box(v, (0, 1, 4), local=True)[2] == (4, 4)  # type: ignore[index]
    assert a.field(v)[2] == AxisField.periodic(1, (0, 0))
    assert a.field(v, local=False)[2].is_global


@pytest.mark.parametrize("embedded", ["convolution", "linear layer"])
def test_patches_are_local(embedded: str) -> None:
    """A linear layer over the pixels of a patch is a convolution by another name."""
    net = Net(3, 32, 32)
    if embedded == "convolution":
        grid = net.conv("x", 4, stride=4, channels=6)
        tokens = net.op("Transpose", net.reshape(grid, 6, 64), perm=[0, 2, 1])
    else:
        patches = net.op("Transpose", net.reshape("x", 3, 8, 4, 8, 4), perm=[0, 2, 4, 3, 5, 1])
        tokens = net.op("MatMul", net.reshape(patches, 64, 48), np.ones((48, 6)))
    keys = net.op("Transpose", tokens, perm=[0, 2, 1])
    scores = net.op("Softmax", net.op("MatMul", tokens, keys), axis=-1)
    v = net.op("Add", tokens, net.op("MatMul", scores, tokens))
    a = net.analysis(v)
    assert a.box(v, (0, 9, 0)) == ((0, 0), (0, 2), (0, 31), (0, 31))
    assert a.box(v, (0, 9, 0), local=True) == ((0, 0), (0, 2), (4, 7), (4, 7))
    assert [f.is_global for f in a.field(tokens)[2:]] == [False, False]


def test_attention_in_windows_is_not_global() -> None:
    """Nothing passes from one window to the next, however long the input."""
    net = Net(1, 24)
    windows = net.op("Reshape", "x", np.array([6, 4, 1]))
    scores = net.op("MatMul", windows, net.op("Transpose", windows, perm=[0, 2, 1]))
    mixed = net.op("MatMul", net.op("Softmax", scores, axis=-1), windows)
    v = net.op("Reshape", mixed, np.array([1, 1, 24]))
    full = net.field(v, local=False)
    assert not full.is_global
    assert full == AxisField.periodic(1, *[(0, 3)] * 4)
    assert net.field(v) == full
    assert same(bounds(net, v, local=True), bounds(net, v))
    assert same(bounds(net, v), poisoned(net, v))


def test_pooling_by_reshape_and_mean_is_pooling() -> None:
    net = Net(1, 24)
    v = net.op("ReduceMean", net.reshape("x", 1, 6, 4), np.array([3]), keepdims=0)
    assert net.field(v, local=False) == AxisField.periodic(4, (0, 3))


def test_image_pooling_beside_dilated_branches() -> None:
    """The pooled channels of an ASPP head have no local part: their bounds are the full ones."""
    net = Net(1, 15, 15)
    features = net.conv("x", 3, pads=1)
    branches = [net.conv(features, 1), net.conv(features, 3, dilation=2, pads=2)]
    pooled = net.conv(net.op("GlobalAveragePool", features), 1)
    branches.append(net.resize(pooled, 15, mode="linear"))
    v = net.op("Concat", *branches, axis=1)
    a = net.analysis(v)
    assert [a.field(v, at={1: c})[2].size for c in range(3)] == [3, 7, inf]
    assert [a.field(v, at={1: c})[2].is_global for c in range(3)] == [False, False, True]
    lo, hi = bounds(net, v, local=True)
    assert (hi - lo + 1)[0, :, 7, 7].tolist() == [3, 7, 15]
    assert [channels for channels, _ in a.fields(v, axis=1)] == [range(1), range(1, 2), range(2, 3)]
    # The projection reads all of them, and has the local part of those that have one.
    projected = net.conv(v, 1)
    assert net.field(projected) == AxisField.periodic(1, (-3, 3))
    lo, hi = bounds(net, projected, local=True)
    assert (hi - lo + 1)[0, 0, 7, 7] == 7
    assert same(bounds(net, projected), poisoned(net, projected))


def test_padding_falls_back_to_the_gate() -> None:
    net = Net(1, 9)
    v = squeeze_and_excite(net, net.conv(net.pad("x", (4, 0)), 3, pads=1), False)
    lo, hi = (end[0, 0, :5] for end in bounds(net, v, local=True))
    # Three units read padding only: of them the gate is left.
    assert lo.tolist() == [0, 0, 0, 0, 0]
    assert hi.tolist() == [8, 8, 8, 0, 1]


# ---------------------------------------------------------------- models


@pytest.mark.parametrize(
    ("model", "tensor", "size", "stride", "start"),
    [
        # torchvision's last convolution, by gradients without the gates.
        ("efficientnet_b0", "features", 851, 32, -425),
        # Frames of 16 samples every 8, and 3 times 2 * (1 + 2 + ... + 128) more of them.
        ("conv_tasnet", "mask", 16 + 3 * 510 * 8, 8, -3 * 255 * 8),
    ],
)
def test_published_models(model: str, tensor: str, size: int, stride: int, start: int) -> None:
    a = rfgraph.analyze(MODELS / f"{model}.onnx")
    for axis in range(2, len(a.shape("x") or ())):
        found = a.field(tensor)[axis]
        assert (found.size, found.stride, found.start) == (size, stride, start)
        everything = a.field(tensor, local=False)[axis]
        assert (everything.size, everything.is_global) == (inf, True)


def test_tokens_of_a_vision_transformer() -> None:
    a = rfgraph.analyze(MODELS / "vit.onnx")
    # The class token comes first and has no place; patch 17 is in row 1 and column 3.
    assert a.box("tokens", (0, 0, 0), local=True) == ((0, 0), (0, 2), (0, 223), (0, 223))
    assert a.box("tokens", (0, 18, 0), local=True) == ((0, 0), (0, 2), (16, 31), (48, 63))
    runs = a.fields("tokens", axis=1)
    starts = {token: found.start[2:] for tokens, found in runs for token in tokens}
    expected = {1 + k: (k // 14 * 16, k % 14 * 16) for k in range(196)}
    assert starts == {0: (-inf, -inf), **expected}
