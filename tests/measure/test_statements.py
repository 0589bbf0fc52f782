"""What others have published of effective fields, on random weights.

W. Luo, Y. Li, R. Urtasun, R. Zemel: Understanding the effective receptive field in deep
convolutional neural networks, NeurIPS 2016. X. Ding, X. Zhang, J. Han, G. Ding: Scaling up your
kernels to 31x31: revisiting large kernel design in CNNs, CVPR 2022.
"""

from __future__ import annotations

import numpy as np
import pytest

from rfgraph.measure import Effective, effective
from tests.measure.plain import Net

pytestmark = pytest.mark.slow

DEPTHS = (8, 16, 32)


def stack(depth: int, seed: int = 0) -> Net:
    """Convolutions of three taps on a signal, one after the other."""
    net = Net(seed, 1, 1)
    for layer in range(depth):
        net.conv(8, 3)
        if layer < depth - 1:
            net.relu()
    return net


def middle(net: Net, size: int, error: float = 0.03) -> Effective:
    """The effective field of the units in the middle of a signal."""
    stride = int(np.prod([layer.stride for layer in net.layers]))
    at = size // stride // 2
    units = (0, slice(None), slice(at - 4, at + 4))
    return effective(net.model(size), "y", units=units, step=1, error=error, seconds=None)


@pytest.fixture(scope="module")
def stacks() -> dict[int, list[Effective]]:
    return {
        depth: [middle(stack(depth, seed), 4 * depth + 8) for seed in range(2)] for depth in DEPTHS
    }


def test_it_is_like_a_gaussian(stacks: dict[int, list[Effective]]) -> None:
    for found in stacks[32]:
        offset, density = found.profile(2)
        mean = (offset * density).sum() / density.sum()
        gaussian = np.exp(-((offset - mean) ** 2) / 2 / found.width[0] ** 2)
        assert np.corrcoef(density, gaussian)[0, 1] > 0.99


def test_it_grows_with_the_root_of_the_depth(stacks: dict[int, list[Effective]]) -> None:
    """And so takes less and less of what is seen."""
    widths = [np.mean([found.width[0] for found in stacks[depth]]) for depth in DEPTHS]
    slope = np.polyfit(np.log(DEPTHS), np.log(widths), 1)[0]
    assert 0.4 < slope < 0.65
    ratios = [np.mean([found.ratio[0] for found in stacks[depth]]) for depth in DEPTHS]
    assert ratios == sorted(ratios, reverse=True)


def test_dilations_and_strides_widen_it() -> None:
    plain = middle(stack(8), 64)
    dilated = Net(0, 1, 1)
    for layer in range(8):
        dilated.conv(8, 3, dilation=2 ** (layer % 4)).relu()
    strided = Net(0, 1, 1)
    for layer in range(8):
        strided.conv(8, 3, stride=2 if layer in (1, 3) else 1).relu()
    for other in (dilated, strided):
        assert middle(other, 96).width[0] > 1.5 * plain.width[0]


def test_large_kernels_spread_wider_than_small_ones() -> None:
    """Two depthwise convolutions of 31x31 and thirty of 3x3, both in residual blocks: 61x61."""
    large = Net(0, 3).conv(4, 1)
    for _ in range(2):
        large.add("keep").conv(4, 1).relu().conv(4, 31, groups=4).relu().conv(4, 1).add("add")
    small = Net(0, 3).conv(4, 1)
    for _ in range(15):
        small.add("keep").conv(4, 3).relu().conv(4, 3).add("add").relu()
    found = [
        effective(
            net.model(64), "y", units=(0, slice(None), slice(28, 36), slice(28, 36)),
            step=(1, 3, 4, 4), error=0.4, seconds=None,
        )
        for net in (large, small)
    ]  # fmt: skip
    assert [f.theoretical[2:] for f in found] == [(61, 61)] * 2
    for share in (0.2, 0.5, 0.9, 0.99):
        wide, narrow = (f.share(share).area for f in found)
        assert wide > narrow, share
