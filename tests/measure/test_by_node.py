"""One unit measured node by node, against what NumPy and the gradients of torch say."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from rfgraph.errors import QueryError
from rfgraph.measure import Effective, effective
from tests.graphs import model
from tests.measure.plain import Net
from tests.measure.test_effective import convolved, spread
from tests.measure.test_gradients import NETS

RNG = np.random.default_rng(0)


def measured(made: onnx.ModelProto, units: Sequence[int], images: Any = None, **more: Any) -> Any:
    return effective(
        made, "y", units=units, images=images, step=1, error=1e-9, seconds=None, by_node=True,
        **{"jobs": 1, **more},
    )  # fmt: skip


def over(found: Effective, unit: Sequence[int], strides: Sequence[int]) -> np.ndarray:
    """The map where it lies on the input, 0 elsewhere."""
    whole = np.zeros(found.shape)
    begins = [at * s + f for at, s, f in zip(unit, strides, found.first, strict=True)]
    window = tuple(slice(b, b + n) for b, n in zip(begins, found.extent, strict=True))
    whole[window] = found.map
    return whole


@pytest.mark.parametrize("axes", [1, 2])
def test_a_linear_net(axes: int) -> None:
    """All but the first image takes hardly a pass more: what is linear is measured once."""
    net = Net(0, 1, axes).conv(1, 3, stride=2).conv(1, 3, dilation=2, pad=2).conv(1, 3)
    kernels = [np.float64(layer.weight[0, 0]) for layer in net.layers if layer.weight is not None]
    wanted = reduce(convolved, [spread(k, by) for k, by in zip(kernels, [1, 4, 2], strict=True)])
    images = RNG.standard_normal((4, 1, *[28] * axes)).astype(np.float32)
    found = measured(net.model(28), (0, 0, *[7] * axes), images)
    np.testing.assert_allclose(found.map[0, 0], np.abs(wanted), rtol=1e-3, atol=1e-5)
    one = measured(net.model(28), (0, 0, *[7] * axes), images[:1])
    assert found.passes - one.passes <= 3 * 3
    assert found.passes <= wanted.size


def test_what_the_data_decide() -> None:
    """A product with a softmax of the same: the derivative by formula."""
    made = model("s = Softmax <axis = 1> (x)\n y = Mul (x, s)", "float[1, 6] x")
    images = RNG.standard_normal((3, 1, 6)).astype(np.float32)
    found = measured(made, (0, 2), images)
    wanted = np.zeros(6)
    for (x,) in images.astype(np.float64):
        s = np.exp(x) / np.exp(x).sum()
        wanted += np.abs((np.arange(6) == 2) * s[2] + x[2] * s[2] * ((np.arange(6) == 2) - s)) / 3
    np.testing.assert_allclose(found.map[0], wanted, rtol=2e-3)


def test_what_was_kept_is_not_trusted() -> None:
    """Linear in both images that are looked at first, and not in the last."""
    made = model(
        "y = Clip (x, low, high)",
        "float[1, 5] x",
        initializers={"low": np.float32(-50), "high": np.float32(50)},
    )
    images = RNG.standard_normal((3, 1, 5)).astype(np.float32)
    images[-1] = 80
    found = measured(made, (0, 3), images)
    np.testing.assert_allclose(found.map.ravel(), [2 / 3], rtol=1e-3)


def test_masks_of_infinity_and_branches() -> None:
    """What is left out by a mask changes nothing; two ways add up with their signs."""
    mask = np.where(np.tri(4, dtype=bool), 0, -np.inf).astype(np.float32)
    made = model(
        "m = Add (x, mask)\n s = Softmax <axis = 2> (m)\n t = Sub (s, x)\n y = Add (t, x)",
        "float[1, 4, 4] x",
        initializers={"mask": mask},
    )
    images = RNG.standard_normal((1, 4, 4)).astype(np.float32)
    found = measured(made, (0, 2, 1), images)
    row = images[0, 2, :3].astype(np.float64)
    s = np.exp(row) / np.exp(row).sum()
    wanted = np.zeros((4, 4))
    wanted[2, :3] = np.abs(s[1] * ((np.arange(3) == 1) - s))
    # Rows are laid over each other: it is the unit's own.
    np.testing.assert_allclose(found.map.reshape(-1), wanted[2], atol=2e-3)


def test_whoever_runs_it(tmp_path: Path) -> None:
    made = Net(3, 2).conv(4).relu().add("max", 2, 2).conv(3).model(12)
    unit = (0, 1, 3, 3)
    whole = effective(made, "y", units=unit, by_node=True, error=0.1, jobs=1)
    assert whole.complete
    store = str(tmp_path / "run")
    part = effective(
        made, "y", units=unit, by_node=True, error=0.1, jobs=1, seconds=1e-9, store=store
    )
    assert part.images < whole.images
    for other in (
        effective(made, "y", units=unit, by_node=True, error=0.1, jobs=2, store=store),
        effective(made, "y", units=unit, by_node=True, error=0.1, jobs=2, processes=True),
    ):
        assert other.map.tobytes() == whole.map.tobytes()
        assert other.passes == whole.passes
    with pytest.raises(QueryError, match="another batch and another change and another way"):
        effective(made, "y", units=unit, error=0.1, store=store)


SCALE = {"scale": np.float32(0.1), "zero": np.uint8(128)}


@pytest.mark.parametrize(
    ("made", "units", "said"),
    [
        (Net(0, 1).conv(1).model(8), None, "by node one unit is measured"),
        (
            model(
                "q = QuantizeLinear (x, scale, zero)\n y = DequantizeLinear (q, scale, zero)",
                "float[1, 5] x",
                initializers=SCALE,
            ),
            (0, 2),
            "'q' has no plain numbers",
        ),
        (
            model(
                "r = Relu (x)\n y = If <then_branch = a () => (float[1, 5] p) { p = Relu (r) }, "
                "else_branch = b () => (float[1, 5] q) { q = Neg (r) }> (which)",
                "float[1, 5] x, bool which",
            ),
            (0, 2),
            "it has a graph of its own",
        ),
        (
            model("n = Relu (x)\n m = Mul (n, x)\n y = ReduceMax <keepdims = 1> (m)",
                  "float[1, 1, 40, 40] x"),
            (0, 0, 0, 0),
            "",
        ),
    ],
    ids=["units", "quantised", "branches", "global"],
)  # fmt: skip
def test_what_can_not_be_measured_so(made: onnx.ModelProto, units: Any, said: str) -> None:
    if said:
        with pytest.raises(QueryError, match=said):
            effective(made, "y", "x", units=units, by_node=True)
    else:
        found = effective(made, "y", "x", units=units, by_node=True, seconds=1e-9, jobs=1)
        assert found.map.any()


@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
def test_gradients(name: str) -> None:
    torch: Any = pytest.importorskip("torch", reason="the gradients of torch are the oracle")
    net, size = NETS[name], 20
    images = RNG.standard_normal((6, 1, net.first, size, size)).astype(np.float32)
    every = net.torch(torch.from_numpy(images[0].astype(np.float64)))
    # A unit that is not dead.
    middle = (0, slice(None), *(n // 2 for n in every.shape[2:]))
    unit = (0, int(every[middle].argmax()), *middle[2:])
    strides = (1, 0, *(round(size / n) for n in every.shape[2:]))
    wanted: Any = 0
    for image in images:
        x = torch.from_numpy(image.astype(np.float64)).requires_grad_()
        wanted = wanted + np.asarray(torch.autograd.grad(net.torch(x)[unit], x)[0].abs()) / 6
    found = over(measured(net.model(size), unit, list(images)), unit, strides)
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.999
    np.testing.assert_allclose(found.sum(), wanted.sum(), rtol=5e-3)
