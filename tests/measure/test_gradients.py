"""Effective fields against the gradients of torch in 64-bit floats, on nets that are not linear."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rfgraph
from rfgraph.measure import effective
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
    assert np.corrcoef(found.map.ravel(), truth.ravel())[0, 1] > 0.9999
    np.testing.assert_allclose(found.map.sum(), truth.sum(), rtol=5e-3)

    # Other images, drawn: figures are within what the errors say.
    drawn = effective(made, "y", error=0.03, step=1, change=0.01, seconds=None, seed=3)
    assert np.corrcoef(drawn.map.ravel(), truth.ravel())[0, 1] > 0.99
    exact = type(found)(**{**vars(found), "map": truth})
    for share in (0.5, 0.9, TWO_SIGMA):
        assert found.share(share) == exact.share(share)
        error = max(drawn.error_of(lambda e, s=share: e.share(s).area), 2e-2)
        assert abs(drawn.share(share).area - exact.share(share).area) < 4 * error
    assert found.width == pytest.approx(exact.width, rel=2e-3)
    figure = found.width[0]
    spread = np.hypot(found.error_of(lambda e: e.width[0]), drawn.error_of(lambda e: e.width[0]))
    assert abs(drawn.width[0] - figure) < 4 * spread


def test_one_unit(torch: Any) -> None:
    """Of a deeper net, every element that it sees."""
    net = Net(7, 3).conv(6, 5, 2).relu()
    for _ in range(3):
        net.add("keep").conv(6).relu().conv(6).add("add").relu()
    unit = (0, 2, 12, 12)
    rng = np.random.default_rng(1)
    images = [rng.standard_normal((1, 3, 48, 48)).astype(np.float32) for _ in range(16)]
    truth: Any = 0
    for image in images:
        x = torch.from_numpy(image.astype(np.float64)).requires_grad_()
        truth = truth + np.asarray(torch.autograd.grad(net.torch(x)[unit], x)[0].abs())
    made = net.model(48)
    found = effective(
        made, "y", images=images, units=unit, step=1, error=1e-9, change=0.01, seconds=None
    )
    begins = [first + (at * 2 if axis > 1 else 0) for axis, (first, at) in
              enumerate(zip(found.first, unit, strict=True))]  # fmt: skip
    begins[1] = 0
    window = tuple(slice(b, b + n) for b, n in zip(begins, found.extent, strict=True))
    assert np.corrcoef(found.map.ravel(), truth[window].ravel())[0, 1] > 0.9999
    assert truth.sum() == pytest.approx(truth[window].sum())
