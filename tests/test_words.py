"""What is wide, past or global is called so, by every command: the words beside the bounds.

Sizes of windows are by hand: what a unit sees of each block is its window, or the windows that its
own window meets. That they are right is checked against what onnxruntime shows when the input is
poisoned (`tests.oracle.observe`).
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from pathlib import Path

import numpy as np
import onnx.parser
import pytest

import rfgraph
from rfgraph.compare import compared, differences, snapshot
from rfgraph.render import reasons, rows, text
from rfgraph.render.documents import Reasons
from tests.nets import Net
from tests.oracle.observe import hull, poison

MODELS = Path(__file__).parents[1] / "models"


def observed(net: Net, value: str) -> tuple[np.ndarray, np.ndarray]:
    """First and last coordinate along the last axis that every unit sees."""
    lo, hi = hull(poison(net.model(value), "x")[value], len(net.input) + 1)
    return lo[..., -1], hi[..., -1]


def agrees(net: Net, value: str) -> None:
    """Bounds, in full and local, are those that are observed."""
    axis = len(net.input)
    for local in (False, True):
        ends = net.analysis(value).bounds(value, axis=axis, local=local)
        for claimed, seen in zip(ends, observed(net, value), strict=True):
            assert (np.broadcast_to(claimed, seen.shape) == seen).all()


def shown(analysis: rfgraph.Analysis, value: str) -> str:
    """The cell of `rfgraph show`."""
    (row,) = [row for row in rows.rows(analysis) if row.name == value]
    seen = row.fields["x"]
    return text.field(seen.local, seen.full, [len(analysis.shape("x") or ()) - 1])


# ---------------------------------------------------------------- within windows

Window = Callable[[Net, str, int], str]


def mean_of_windows(net: Net, v: str, window: int) -> str:
    parts = net.op("Reshape", v, np.array([1, -1, window]))
    centred = net.op("Sub", parts, net.op("ReduceMean", parts, np.array([2])))
    return net.op("Reshape", centred, np.array(net.shape(v)))


def softmax_of_windows(net: Net, v: str, window: int) -> str:
    parts = net.op("Reshape", v, np.array([1, -1, window]))
    return net.op("Reshape", net.op("Softmax", parts, axis=-1), np.array(net.shape(v)))


def attention_in_windows(net: Net, v: str, window: int) -> str:
    parts = net.op("Reshape", v, np.array([-1, window, 1]))
    scores = net.op("MatMul", parts, net.op("Transpose", parts, perm=[0, 2, 1]))
    mixed = net.op("MatMul", net.op("Softmax", scores, axis=-1), parts)
    return net.op("Reshape", mixed, np.array(net.shape(v)))


def linear_in_windows(net: Net, v: str, window: int) -> str:
    parts = net.op("Reshape", v, np.array([1, -1, window]))
    mixed = net.op("MatMul", parts, np.ones((window, window)))
    return net.op("Reshape", mixed, np.array(net.shape(v)))


def norm_of_windows(net: Net, v: str, window: int) -> str:
    parts = net.op("Reshape", v, np.array([1, -1, window]))
    ones = np.ones(window)
    normed = net.op("LayerNormalization", parts, ones, 0 * ones, axis=-1)
    return net.op("Reshape", normed, np.array(net.shape(v)))


WINDOWS: list[Window] = [
    mean_of_windows,
    softmax_of_windows,
    attention_in_windows,
    linear_in_windows,
    norm_of_windows,
]


@pytest.mark.parametrize("windowed", WINDOWS)
def test_windows_are_wide_and_local(windowed: Window) -> None:
    net = Net(1, 32)
    v = windowed(net, "x", 8)
    agrees(net, v)
    field = net.field(v)
    assert (field.smallest, field.size, field.is_global) == (8, 8, False)
    assert (field.stride, field.back, field.ahead) == (1, 7, 7)
    a = net.analysis(v)
    assert shown(a, v) == "8 /1 @0 reach 7/7"
    (why,) = a.explain(v, "x", (0, 0, 12), axes=[2])
    assert why.lower[0].bounds == (8, 15)


@pytest.mark.parametrize("windowed", WINDOWS)
def test_windows_of_windows(windowed: Window) -> None:
    net = Net(1, 96)
    v = windowed(net, net.conv("x", 3, pads=1), 8)
    v = net.conv(v, 3, pads=1)
    v = windowed(net, v, 12)
    agrees(net, v)
    lo, hi = observed(net, v)
    inner = (lo > 0) & (hi < 95)
    field = net.field(v)
    sizes = (hi - lo + 1)[inner]
    assert (field.smallest, field.size) == (sizes.min(), sizes.max())


def test_other_windows_are_a_difference() -> None:
    net, other = Net(1, 32), Net(1, 32)
    old, new = (n.analysis(mean_of_windows(n, "x", window)) for n, window in ((net, 8), (other, 4)))
    found = [c for c in compared(old, new, only_outputs=True).changes if c.axis == 2]
    assert [(c.kind, c.before, c.after) for c in found] == [("shrank", 8, 4)]


def test_windows_of_swin() -> None:
    """One, two and three windows of 28 pixels, in the first stage and after the first merge."""
    a = rfgraph.analyze(MODELS / "swin_tiny.onnx")
    for name, size in [
        ("/features/features.0/mlp/mlp.1/Gelu_output_0", 28),
        ("/features/features.1/mlp/mlp.1/Gelu_output_0", 56),
    ]:
        for axis in (2, 3):
            field = a.field(name)[axis]
            assert (field.smallest, field.size, field.is_global) == (size, size, False)
            lo, hi = a.bounds(name, axis=axis, local=True)
            inner = (lo > 0) & (hi < 223)
            assert (hi - lo + 1)[inner].max() == size


def test_channels_of_patches_are_pooled_globally() -> None:
    """Rows that became channels have no place left when what remains of them is pooled."""
    net = Net(1, 32)
    v = net.unshuffle("x", 2)
    v = net.op("Mul", v, net.op("GlobalAveragePool", v))
    a = net.analysis(v)
    assert a.field(v)[2].size == 1
    assert a.field(v, local=False)[2].is_global
    lo, hi = a.bounds(v, axis=2, local=True)
    assert (lo == hi).all()


# ---------------------------------------------------------------- past


def running_sum(net: Net, v: str) -> str:
    return net.op("CumSum", v, np.array(2))


def recurrent(net: Net, v: str) -> str:
    ones = np.ones((1, 3, 1)) / 3
    times = net.op("Transpose", v, perm=[2, 0, 1])
    states = net.op("GRU", times, ones, ones, hidden_size=1)
    return net.op("Reshape", net.op("Transpose", states, perm=[1, 2, 3, 0]), np.array(net.shape(v)))


PAST = [running_sum, recurrent]


@pytest.mark.parametrize("layer", PAST)
def test_what_sees_the_past_is_called_so(layer: Callable[[Net, str], str]) -> None:
    net = Net(1, 24)
    v = layer(net, net.conv("x", 3, pads=1))
    agrees(net, v)
    field = net.field(v)
    assert (field.size, field.smallest, field.start) == (inf, inf, -inf)
    assert (field.back, field.ahead, field.stride) == (inf, 1, 1)
    assert field.is_past
    assert not field.is_global
    assert not field.is_future
    a = net.analysis(v)
    assert shown(a, v) == "past /1 reach all/1"
    assert not a.field(v).is_global


def test_causal_attention_sees_the_past() -> None:
    model = onnx.parser.parse_model("""
        <ir_version: 11, opset_import: ["" : 23]>
        net (float[1, 2, 12, 4] x) => (float[1, 2, 12, 4] y)
        { y = Attention <is_causal = 1> (x, x, x) }
    """)
    field = rfgraph.analyze(model).field("y")[2]
    assert (field.is_past, field.is_global, field.ahead) == (True, False, 0)
    seen = poison(model, "x")["y"]
    assert (hull(seen, 4)[1][..., 2] == np.arange(12)[:, None]).all()


def test_what_sees_the_future_is_called_so() -> None:
    net = Net(1, 24)
    v = net.op("CumSum", "x", np.array(2), reverse=1)
    agrees(net, v)
    field = net.field(v)
    assert field.is_future
    assert (field.start, field.back, field.ahead) == (0, 0, inf)


def test_past_and_future_together_are_everything() -> None:
    net = Net(1, 24)
    both = net.op("Add", running_sum(net, "x"), net.op("CumSum", "x", np.array(2), reverse=1))
    agrees(net, both)
    assert net.field(both).size == inf
    assert not net.field(both).is_past


def test_the_past_pooled_is_global() -> None:
    net = Net(1, 24)
    v = net.op("GlobalAveragePool", running_sum(net, "x"))
    assert net.field(v).is_global


def test_a_causal_layer_that_is_not_any_more() -> None:
    net, other = Net(1, 24), Net(1, 24)
    old = net.analysis(running_sum(net, "x"))
    new = other.analysis(other.conv(running_sum(other, "x"), 3, pads=1))
    was, now = ({"y": snapshot(a, a.outputs)[a.outputs[0]]} for a in (old, new))
    found = [change for change in differences(was, now) if change.axis == 2]
    assert [change.kind for change in found] == ["moved"]
    assert "reach all back, 1 ahead" in found[0].text


# ---------------------------------------------------------------- phases


def test_an_average_and_a_linear_resize() -> None:
    """Every unit sees two means of two, whichever its phase."""
    net = Net(1, 64)
    v = net.resize(net.pool("x"), 2, mode="linear")
    lo, hi = observed(net, v)
    assert set((hi - lo + 1)[0, 0, 4:-4].tolist()) == {4}
    field = net.field(v)
    assert (field.smallest, field.size) == (4, 4)
    assert shown(net.analysis(v), v) == "4 /1 @-2 reach 2/2"


def test_an_axis_of_one_element_does_not_move() -> None:
    nets = []
    for stride in (1, 2):
        net = Net(1, 1, 32)
        nets.append(net.analysis(net.conv("x", (1, 3), stride=(stride, 1), pads=(0, 1, 0, 1))))
    assert compared(*nets).changes == []


def test_a_u_net_says_what_units_see() -> None:
    """Of eight phases the least sees 92 and the most 100; unit 261 begins 51 back."""
    a = rfgraph.analyze(MODELS / "unet_tconv.onnx", shapes={"x": (1, 1, 512, 512)})
    lo, hi = (end.reshape(-1) for end in a.bounds("logits", axis=2))
    unit = np.arange(512)
    inner = slice(128, 384)
    sizes = (hi - lo + 1)[inner]
    assert (sizes.min(), sizes.max()) == (92, 100)
    assert ((unit - lo)[inner].max(), (hi - unit)[inner].max()) == (51, 51)
    assert 261 - lo[261] == 51
    assert shown(a, "logits") == "92-100 /1 @-46 reach 51/51"
    # A unit in the middle has no border in its way, whatever its phase.
    for place in ((0, 0, 256, 256), (0, 0, 261, 261)):
        said = reasons.text(
            Reasons(a, "logits", place, False, {"x": a.explain("logits", "x", place)})
        )
        assert "border" not in said
    at_the_border = a.explain("logits", "x", (0, 0, 3, 3))
    said = reasons.text(Reasons(a, "logits", (0, 0, 3, 3), False, {"x": at_the_border}))
    assert "(92-100 away from the borders)" in said


@pytest.mark.parametrize("name", ["unet_tconv", "unet_bilinear", "unet3d.dynamo", "tcn", "wavenet"])
def test_networks_whose_branches_fit_have_no_notes_of_merges(name: str) -> None:
    assert rfgraph.analyze(MODELS / f"{name}.onnx", assume=True).unequal == []


def test_taps_of_zero_are_no_branches() -> None:
    """Channels that use other taps of one kernel: nothing meets."""
    weights = np.ones((2, 1, 5), np.float32)
    weights[0, 0, :3], weights[1, 0, 4:] = 0, 0
    net = Net(1, 32)
    v = net.op("Conv", net.op("Conv", "x", weights, pads=[2, 2]), np.ones((1, 2, 3)), pads=[1, 1])
    a = rfgraph.analyze(net.model(v), prune=True)
    assert a.unequal == []
