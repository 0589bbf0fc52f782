"""Values that are turned round on the way, as where a net is averaged over flipped pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest

import rfgraph
from rfgraph.tiling import TilingError, plan
from tests.tiling.nets import END, OpenNet
from tests.tiling.test_tiling import ROUNDING, difference, opened


def turned(net: OpenNet, v: str) -> str:
    axes = np.arange(net.axes) + 2
    begins, ends, steps = (np.full(net.axes, n) for n in (-1, -END, -1))
    return net.op("Slice", v, begins, ends, axes, steps)


# What keeps the size, with what is not the same on both sides.
LAYERS = ("same", "causal", "chomped", "mirrored", "joined", "flat", "hourglass", "residual")


def averaged(seed: int, axes: int) -> onnx.ModelProto:
    """The sum of a net and of what it makes of the flipped input, flipped back."""
    rng = np.random.default_rng(seed)
    net = OpenNet(axes, rng)
    layers = [str(name) for name in rng.choice(LAYERS, 3)]
    results = []
    for begin in ("x", turned(net, "x")):
        value = begin
        for name in layers:
            value = getattr(net, name)(value)
        results.append(value)
    return net.model(net.op("Add", results[0], turned(net, results[1])))


@pytest.mark.parametrize(("axes", "seeds"), [(1, 6), (2, 3)])
def test_flipped_and_back(axes: int, seeds: int) -> None:
    for seed in range(seeds):
        made = averaged(seed, axes)
        found = plan(made)
        smaller = [replace(a, tile=a.smallest + 2 * a.alignment) for a in found.axes]
        found = replace(found, axes=tuple(smaller))
        sizes = []
        for axis in found.axes:
            size = 2 * axis.tile + 3
            residue = axis.sizes[seed % len(axis.sizes)]
            sizes.append(size + (residue - size) % axis.alignment)
            assert len(axis.cuts(sizes[-1])) > 1
        x = np.random.default_rng(seed).uniform(0, 1, (1, 2, *sizes)).astype(np.float32)
        session = opened(made)
        whole = session.run(None, {"x": x})[0]
        exact = found.equality.level == "bit for bit"
        assert difference(found.run(session, x), whole) <= (0 if exact else ROUNDING), seed


def test_margins_of_both_directions() -> None:
    """Three elements back: and, of what is turned round, three ahead."""
    net = OpenNet(1, np.random.default_rng(0))
    weights = net.weights(2, 2, 4)

    def past(v: str) -> str:
        return net.op("Conv", v, weights, pads=[3, 0])

    made = net.model(net.op("Add", past("x"), turned(net, past(turned(net, "x")))))
    (axis,) = plan(made).axes
    assert (axis.before, axis.after, axis.alignment) == (3, 3, 1)
    found = plan(made).verify(made.SerializeToString())
    assert found.ok
    (verified,) = found.axes
    assert min(verified.less_before or 0, verified.less_after or 0) > 0


def test_an_output_that_is_turned_round() -> None:
    net = OpenNet(1, np.random.default_rng(0))
    made = net.model(turned(net, net.same("x")))
    with pytest.raises(TilingError, match=r"Slice.*: it runs backwards"):
        plan(made)


def test_both_ways_at_once() -> None:
    net = OpenNet(1, np.random.default_rng(0))
    made = net.model(net.op("Add", "x", turned(net, "x")))
    with pytest.raises(rfgraph.RFGraphError, match="Add"):
        plan(made)
