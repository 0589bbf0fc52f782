"""Limits of size and reach hold for every unit: what passes a gate is what `bounds` shows of all.

The figures are counted from what onnxruntime shows when the input is poisoned, away from the
borders.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from rfgraph.testing import assert_receptive_field
from tests.nets import Net
from tests.oracle.observe import hull, poison

Build = Callable[[Net], str]


def passes(net: Net, value: str, **asked: int) -> bool:
    try:
        assert_receptive_field(net.model(value), value, **asked)
    except AssertionError:
        return False
    return True


def observed(net: Net, value: str) -> tuple[np.ndarray, np.ndarray]:
    """First and last coordinate of every unit of a signal."""
    lo, hi = hull(poison(net.model(value), "x")[value], 3)
    return lo[0, 0, :, 2], hi[0, 0, :, 2]


def u_net(net: Net) -> str:
    skip = net.conv(net.conv("x", 3, pads=1), 3, pads=1)
    v = net.conv(net.conv(net.pool(skip), 3, pads=1), 3, pads=1)
    v = net.merge("Concat", skip, net.tconv(v))
    return net.conv(net.conv(v, 3, pads=1), 3, pads=1)


def windows(net: Net) -> str:
    parts = net.op("Reshape", "x", np.array([1, -1, 8]))
    centred = net.op("Sub", parts, net.op("ReduceMean", parts, np.array([2])))
    return net.op("Reshape", centred, np.array(net.shape("x")))


def upsampled(net: Net) -> str:
    return net.resize(net.conv(net.pool("x"), 3, pads=1), 2, mode="linear")


def strided(net: Net) -> str:
    return net.conv(net.conv("x", 5, stride=2, pads=2), 3, stride=2, pads=1)


@pytest.mark.parametrize("build", [u_net, windows, upsampled, strided])
def test_halo_is_what_the_farthest_unit_reaches(build: Build) -> None:
    net = Net(1, 96)
    v = build(net)
    lo, hi = observed(net, v)
    stride = 96 // len(lo)
    unit = np.arange(len(lo))
    inner = (lo > 0) & (hi < 95)
    back = (unit * stride - lo)[inner].max()
    ahead = (hi - unit * stride - stride + 1)[inner].max()
    halo = int(max(back, ahead))
    assert halo > 0
    assert passes(net, v, halo=halo)
    assert not passes(net, v, halo=halo - 1)


def test_halo_without_padding() -> None:
    """Seven convolutions that each take one element from both ends."""
    net = Net(1, 64)
    v = "x"
    for _ in range(7):
        v = net.conv(v, 3)
    lo, hi = observed(net, v)
    assert len(lo) == 50
    assert set(((hi - lo + 1) // 2).tolist()) == {7}
    assert passes(net, v, halo=7)
    assert not passes(net, v, halo=6)


def test_halo_of_an_upsampling_without_padding() -> None:
    """Twice as many units over the middle of the input."""
    net = Net(1, 64)
    v = net.conv(net.resize(net.conv(net.conv("x", 3), 3), 2, mode="nearest"), 3)
    lo, hi = observed(net, v)
    # The middle units see as far to both sides of the middle of the input.
    middle = len(lo) // 2
    assert (lo[middle - 1] + hi[middle], lo[middle] + hi[middle - 1]) == (63, 63)
    own = 32 - len(lo) / 4 + np.arange(len(lo)) / 2
    halo = int(np.ceil(max((own - lo).max(), (hi + 1 - own - 0.5).max())))
    assert passes(net, v, halo=halo)
    assert not passes(net, v, halo=halo - 1)


def test_at_least_asks_every_unit() -> None:
    """Units of a transposed convolution of kernel 3 and stride 2 see one and two elements."""
    net = Net(1, 64)
    v = net.tconv(net.conv("x", 5, pads=2), 3)
    lo, hi = observed(net, v)
    sizes = set((hi - lo + 1)[10:-10].tolist())
    assert sizes == {5, 6}
    assert passes(net, v, at_least=5, at_most=6)
    assert not passes(net, v, at_least=6)
    assert not passes(net, v, at_most=5)


def test_at_least_asks_units_that_see_nothing() -> None:
    net = Net(1, 32)
    v = net.tconv("x", 1, stride=2)
    lo, hi = observed(net, v)
    assert (lo > hi).sum() == 31
    assert not passes(net, v, at_least=1)


def test_at_least_asks_every_channel() -> None:
    net = Net(1, 64)
    v = net.merge("Concat", net.conv("x", 3, pads=1), net.conv("x", 7, pads=3))
    assert passes(net, v, at_least=3, at_most=7)
    assert not passes(net, v, at_least=4)
