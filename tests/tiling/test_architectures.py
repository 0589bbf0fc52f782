"""Well-known architectures: margins by hand, and tiles against the whole in onnxruntime."""

from __future__ import annotations

from math import ceil, floor

import numpy as np
import pytest

import rfgraph
from rfgraph.tiling import AxisPlan, plan
from tests.streaming import nets
from tests.tiling.architectures import ARCHITECTURES, encodec_decoder, encodec_encoder, unet
from tests.tiling.test_tiling import difference, opened

# Alignment, what is needed before and after, scale.
FIGURES: dict[str, tuple[int, int, int, float]] = {
    "unet": (4, 22, 22, 1),
    "deeplab": (8, 89, 82, 1),
    "rrdb": (1, 34, 34, 4),
    "taesd": (1, 19, 19, 8),
    "encodec_encoder": (8, 70, 0, 1 / 8),
    "encodec_decoder": (1, 9, 0, 8),
}


def figures(axis: AxisPlan) -> tuple[int, int, int, float]:
    (follows,) = axis.outputs.values()
    return axis.alignment, axis.before, axis.after, float(follows.scale)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_tiles_are_the_whole(name: str) -> None:
    made, _ = ARCHITECTURES[name]()
    found = plan(made, tile=200 if name == "deeplab" else 80)
    assert [figures(axis) for axis in found.axes] == [FIGURES[name]] * len(found.axes)
    # The last picture is narrow: two tiles, and one.
    sizes = [axis.tile + 5 * axis.alignment for axis in found.axes]
    sizes[1:] = [axis.alignment * 4 for axis in found.axes[1:]]
    x = np.random.default_rng(0).uniform(0, 1, (1, 2, *sizes)).astype(np.float32)
    session = opened(made)
    assert len(found.axes[0].cuts(sizes[0])) > 1
    exact = found.equality.level == "bit for bit"
    whole = session.run(None, {"x": x})[0]
    assert difference(found.run(session, x), whole) <= (0 if exact else 1e-6)
    # What Elu makes of the last elements rests on the size.
    assert exact is not name.startswith("encodec")


# As published, but for their channels: alignment, what is needed before and after.
SIGNALS = {
    "tcn": (lambda: nets.tcn(8, 7), (1, 3060, 0)),
    "conv_tasnet": (lambda: nets.conv_tasnet(8, 3), (8, 6128, 6128)),
    "conv_tasnet, causal": (lambda: nets.conv_tasnet(8, 3, causal=True), (8, 12248, 8)),
    "speech encoder": (
        lambda: nets.speech_encoder(nets.FRAMES, 6, 31, causal=False),
        (320, 28800, 28880),
    ),
    "speech encoder, causal": (
        lambda: nets.speech_encoder(nets.FRAMES, 6, 31, causal=True),
        (320, 57600, 80),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SIGNALS)
def test_tiles_of_signals_are_the_whole(name: str) -> None:
    make, expected = SIGNALS[name]
    made = make()
    alignment, before, after = expected
    found = plan(made, tile=before + after + 66 * alignment)
    (axis,) = found.axes
    assert (axis.alignment, axis.before, axis.after) == expected
    size = 2 * axis.fitted(axis.tile) + 7 * axis.alignment
    size += (axis.sizes[0] - size) % axis.alignment
    shape = [n if isinstance(n, int) else 1 for n in found.analysis.dims("x")]
    shape[axis.inputs[0][1]] = size
    x = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    session = opened(made)
    (whole,) = session.run(list(found.outputs), {"x": x})
    assert len(axis.cuts(size)) > 1
    assert difference(found.run(session, x), whole) <= 1e-6


def through(first: int, last: int, layers: list[tuple[str, int, int]]) -> tuple[int, int]:
    """What the elements from one to another see, from the last layer back to the first."""
    for kind, before, after in reversed(layers):
        if kind == "window":
            first, last = first - before, last + after
        elif kind == "up":
            first, last = floor(first / before), floor(last / before)
        elif kind == "trimmed":
            # Transposed, twice as long as its stride, and cut at the end.
            first, last = ceil((first - 2 * before + 1) / before), floor(last / before)
        else:
            first, last = first * before - after, last * before + before - 1
    return first, last


def needed(layers: list[tuple[str, int, int]], units: int) -> tuple[int, int]:
    """Before and after a core, at an alignment of 1 of the input, of which there are `units`."""
    seen = [through(k, k, layers) for k in range(units)]
    return max(-first for first, _ in seen), max(last for _, last in seen)


def test_margins_by_hand() -> None:
    three = ("window", 1, 1)
    layers = [three] * (1 + 2 * 3 * 5 + 1)
    layers += [("up", 2, 0), three, ("up", 2, 0), three, three, three]
    assert needed(layers, 4) == FIGURES["rrdb"][1:3]
    layers = [three]
    for _ in range(3):
        layers += [three] * 9 + [("up", 2, 0), three]
    assert needed([*layers, *[three] * 4], 8) == FIGURES["taesd"][1:3]


@pytest.mark.parametrize("strides", [(2, 4), pytest.param((2, 4, 5, 8), marks=pytest.mark.slow)])
def test_margins_of_causal_codecs(strides: tuple[int, ...]) -> None:
    hop = int(np.prod(strides))
    layers = [("window", 6, 0)]
    for s in strides:
        layers += [("window", 2, 0), ("down", s, s)]
    first, last = through(0, 0, [*layers, ("window", 6, 0)])
    (axis,) = plan(encodec_encoder(*strides)[0]).axes
    assert (axis.alignment, axis.before, axis.after) == (hop, -first, 0)
    assert last == hop - 1
    layers = [("window", 6, 0)]
    for s in reversed(strides):
        layers += [("trimmed", s, 0), ("window", 2, 0)]
    (axis,) = plan(encodec_decoder(*strides)[0]).axes
    assert (axis.before, axis.after) == needed([*layers, ("window", 6, 0)], hop)


def test_reach_of_a_unet_by_phase() -> None:
    """Of the three levels of a U-Net the four phases reach back and ahead by turns: no one of them
    tells the margin. An input element is changed at a time, and what changes is looked at.
    """
    made, output = unet(3)
    reach = [(22, 21), (23, 20), (20, 23), (21, 22)]
    seen = rfgraph.analyze(made, assume=True).field_along(output, "x", 2)
    assert [(k - first, last - k) for k, (first, last) in enumerate(seen.phases)] == reach
    session, n = opened(made), 96
    x = np.random.default_rng(0).uniform(0, 1, (1, 2, n)).astype(np.float32)
    changed = np.repeat(x, n, axis=0)
    changed[np.arange(n), :, np.arange(n)] += 1e3
    made_of = session.run(None, {"x": changed})[0] != session.run(None, {"x": x})[0]
    for k, (back, ahead) in enumerate(reach):
        places = np.flatnonzero(made_of[:, :, 48 + k].any(axis=1))
        assert (48 + k - places[0], places[-1] - 48 - k) == (back, ahead)
    (axis,) = plan(made).axes
    assert (axis.alignment, axis.margin, axis.unaligned) == (4, (24, 24), (23, 23))
