"""Effective fields against the gradients of torch in 64-bit floats, on nets that are not linear."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import rfgraph
from rfgraph.measure import Effective, effective
from rfgraph.measure.spread import TWO_SIGMA
from tests.measure.plain import Net, laid

pytestmark = pytest.mark.slow

SIZE, IMAGES = 14, 6

NETS = {
    "plain": Net(0, 3).conv(4).relu().conv(4).relu().conv(3).relu(),
    "pools": Net(1, 2).conv(4, 5).relu().add("max", 2, 2).conv(4).relu().add("max", 3, 2, 1),
    "residual": (
        Net(2, 3).conv(4, 3, 2).add("keep").relu().conv(4).relu().conv(4).add("add").relu()
    ),
    "dilated": Net(3, 2).conv(4).relu().conv(4, dilation=2).relu().conv(4, dilation=4).relu(),
    "groups": (
        Net(4, 4).conv(4, 5, 2, groups=4).relu().conv(6, 1).relu().add("max", 2, 2)
        .conv(6, groups=3).relu()
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def torch() -> Any:
    found = pytest.importorskip("torch", reason="the gradients of torch are the oracle")
    found.set_num_threads(1)
    return found


def gradients(net: Net, image: np.ndarray, torch: Any) -> np.ndarray:
    """Every unit by every element of an image: the sizes of the gradients."""
    x = torch.from_numpy(image.astype(np.float64)).requires_grad_()
    y = net.torch(x).ravel()
    every = torch.eye(len(y), dtype=torch.float64)
    (found,) = torch.autograd.grad(y, x, every, is_grads_batched=True)
    return np.asarray(found.abs())


@pytest.mark.parametrize("name", NETS)
def test_all_units(name: str, torch: Any) -> None:
    net = NETS[name]
    made = net.model(SIZE)
    rng = np.random.default_rng(0)
    images = [
        rng.standard_normal((1, net.first, SIZE, SIZE)).astype(np.float32) for _ in range(IMAGES)
    ]
    analysis = rfgraph.analyze(made)
    shape = analysis.extent("y")
    assert shape is not None
    own = []
    for axis in range(4):
        places = analysis.places("y", "x", axis)
        first = np.zeros(1, np.int64) if places is None else places[0]
        own.append(np.broadcast_to(first, shape).ravel())

    # All elements of all images: what is drawn has no part in it.
    found = effective(made, "y", images=images, error=1e-9, step=1, change=0.01, seconds=None)
    sums, many = np.zeros(found.extent), np.zeros(found.extent)
    for image in images:
        for total, part in zip(
            (sums, many),
            laid(gradients(net, image, torch), own, found.first, found.extent),
            strict=True,
        ):
            total += part
    truth = sums / np.maximum(many, 1)
    assert np.corrcoef(found.map.ravel(), truth.ravel())[0, 1] > 0.999
    np.testing.assert_allclose(found.map.sum(), truth.sum(), rtol=5e-3)

    exact = replace(found, map=truth)
    for share in (0.5, 0.9, TWO_SIGMA):
        assert found.share(share) == exact.share(share)
    assert found.width == pytest.approx(exact.width, rel=2e-3)

    # Other images, of noise: figures are within what the errors of both say.
    drawn = effective(made, "y", error=0.1, step=1, change=0.01, seconds=None, seed=3)
    for figure in (lambda e: e.width[0], lambda e: e.share(0.5).of_field, _middle):
        error = np.hypot(drawn.error_of(figure), found.error_of(figure))
        # Areas go by whole elements.
        assert abs(figure(drawn) - figure(exact)) < 4 * error + 0.03


def _middle(found: Effective) -> float:
    """How much of it the box of half the field's sides holds."""
    sides = [n // 2 for n in found.extent]
    inner = tuple(
        slice((n - side) // 2, (n + side) // 2) for n, side in zip(found.extent, sides, strict=True)
    )
    whole = found.contribution
    return float(whole[inner[2:]].sum())


def test_one_unit(torch: Any) -> None:
    """Of a deeper net, every element that it sees."""
    net = Net(7, 3).conv(6, 5, 2).relu()
    for _ in range(3):
        net.add("keep").conv(6).relu().conv(6).add("add").relu()
    unit = (0, 2, 8, 8)
    rng = np.random.default_rng(1)
    images = [rng.standard_normal((1, 3, 32, 32)).astype(np.float32) for _ in range(4)]
    truth: Any = 0
    for image in images:
        x = torch.from_numpy(image.astype(np.float64)).requires_grad_()
        truth = truth + np.asarray(torch.autograd.grad(net.torch(x)[unit], x)[0].abs())
    made = net.model(32)
    found = effective(
        made, "y", images=images, units=unit, step=1, error=1e-9, change=0.01, seconds=None
    )
    begins = [first + (at * 2 if axis > 1 else 0) for axis, (first, at) in
              enumerate(zip(found.first, unit, strict=True))]  # fmt: skip
    begins[1] = 0
    window = tuple(slice(b, b + n) for b, n in zip(begins, found.extent, strict=True))
    assert np.corrcoef(found.map.ravel(), truth[window].ravel())[0, 1] > 0.999
    assert truth.sum() == pytest.approx(truth[window].sum())
