"""What is run in tiles is what onnxruntime makes of the whole, and nothing less than planned is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import rfgraph
from rfgraph.tiling import Plan, plan
from tests.tiling.nets import OpenNet, random_net

MODELS = Path(__file__).parents[2] / "models"

# Relative to the largest value: sums in another order, and coordinates of linear resizing.
ROUNDING = 1e-5


def opened(made: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(
        made.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def difference(found: np.ndarray, whole: np.ndarray) -> float:
    assert found.shape == whole.shape
    return float(np.abs(found - whole).max() / np.abs(whole).max())


def small_tiles(found: Plan, rng: np.random.Generator, tiles: int = 3) -> tuple[Plan, list[int]]:
    """The plan with tiles that are about as small as can be, and sizes of a whole of several."""
    axes, sizes = [], []
    for axis in found.axes:
        tile = axis.smallest + axis.alignment + int(rng.integers(0, axis.alignment + 3))
        size = tiles * axis.smallest + 2 * axis.alignment + int(rng.integers(0, 9))
        residue = int(rng.choice(axis.sizes))
        sizes.append(size + (residue - size) % axis.alignment)
        axes.append(replace(axis, tile=tile))
    return replace(found, axes=tuple(axes)), sizes


# ---------------------------------------------------------------- random nets


def is_equal(seed: int, axes: int) -> bool:
    """Whether a random net was run in tiles and as a whole; that these are equal is asserted."""
    made, layers = random_net(seed, axes, layers=(5, 4, 2)[axes - 1])
    rng = np.random.default_rng(seed)
    try:
        found = plan(made)
    except rfgraph.ShapeError:
        # It takes few sizes, and none of those that are tried.
        return False
    found, sizes = small_tiles(found, rng, tiles=3 if axes < 3 else 2)
    shape = [1, 2, *[int(n) for n in rng.integers(12, 20, axes)]]
    for axis, size in zip(found.axes, sizes, strict=True):
        shape[axis.inputs[0][1]] = size
    x = rng.uniform(0, 1, shape).astype(np.float32)
    session = opened(made)
    whole = session.run(None, {"x": x})[0]
    assert difference(found.run(session, x), whole) <= ROUNDING, (layers, shape, found)
    return True


@pytest.mark.parametrize(("axes", "seeds"), [(1, 40), (2, 15), (3, 4)])
def test_random_nets(axes: int, seeds: int) -> None:
    assert sum(is_equal(seed, axes) for seed in range(seeds)) >= 0.9 * seeds


@pytest.mark.parametrize(("axes", "seeds"), [(1, 1000), (2, 300), (3, 60)])
def test_many_random_nets(axes: int, seeds: int) -> None:
    compared = sum(is_equal(seed, axes) for seed in range(10_000, 10_000 + seeds))
    assert compared >= 0.9 * seeds


# ---------------------------------------------------------------- no less than planned


LARGE = 1e4


@pytest.mark.parametrize("seed", range(25))
def test_margins_and_alignment_are_needed(seed: int) -> None:
    """Of nets that see all that their bounds say, as all weights are positive."""
    rng = np.random.default_rng(seed)
    net = OpenNet(1, rng)
    layers = ("same", "causal", "valid", "down", "hourglass", "up", "residual", "full")
    value = "x"
    for name in rng.choice(layers, 3):
        value = getattr(net, str(name))(value)
    made = net.model(value)
    try:
        (axis,) = plan(made).axes
    except rfgraph.ShapeError:
        pytest.skip("it takes few sizes")
    session, step = opened(made), axis.alignment
    follows = axis.outputs[value]
    before, after = axis.margin
    size = 4 * (before + after) + 12 * step
    size += (axis.sizes[0] - size) % step
    first = up(size // 2, step)
    last = first + 2 * step
    x = rng.uniform(1, 2, (1, 2, size)).astype(np.float32)
    # What a smaller tile lacks would change a maximum, or a sum.
    x[..., first - before : first - before + step] += LARGE
    x[..., last + axis.after - 1] += LARGE
    kept = slice(int(first * follows.scale), int(last * follows.scale))
    wanted = session.run(None, {"x": x})[0][..., kept]

    def off(begin: int, end: int) -> float:
        """How far a tile is from the whole."""
        part = session.run(None, {"x": np.ascontiguousarray(x[..., begin:end])})[0]
        start = int((first - begin) * follows.scale)
        part = part[..., start : start + wanted.shape[-1]]
        return difference(part, wanted) if part.shape == wanted.shape else np.inf

    end = last + axis.after
    end += (axis.sizes[0] - (end - first + before)) % step
    assert off(first - before, end) <= ROUNDING
    if axis.before > 0:
        assert off(first - before + step, end + step) > 10 * ROUNDING
    if axis.after > 0 and end - step > last:
        assert off(first - before, end - step) > 10 * ROUNDING
    # Away from the alignment, if an output element begins there.
    for shift in range(1, step):
        if (shift * follows.scale).denominator == 1:
            begin = first - before - 2 * step + shift
            assert off(begin, begin + 2 * step + end - (first - before)) > 10 * ROUNDING
    # The outermost elements that count, and those beyond.
    for place, counts in (
        (first - axis.before - 1, False),
        (first - axis.before, True),
        (last + axis.after - 1, True),
        (last + axis.after, False),
    ):
        if 0 <= place < size and (axis.before, axis.after) > (0, 0):
            changed = x.copy()
            changed[..., place] += LARGE
            other = session.run(None, {"x": changed})[0][..., kept]
            assert (difference(other, wanted) > ROUNDING) is counts


def up(number: int, step: int) -> int:
    return -(-number // step) * step
