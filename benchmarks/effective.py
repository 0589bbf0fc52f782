"""Effective fields by perturbation and by gradients of PyTorch, to one error; see README.md."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import numpy as np

import rfgraph
from rfgraph.measure import Effective, effective
from rfgraph.measure.spread import relative_error

# The same small nets, in ONNX and in torch, that tests hold against each other.
sys.path.append(str(Path(__file__).parents[1]))
from tests.measure.plain import Net

SIZE, GROUPS, MOST_SECONDS = 224, 16, 40.0


class Way(NamedTuple):
    """What one way took: forward and backward passes of an image, seconds, and the error."""

    passes: int
    seconds: float
    error: float
    how: str = ""


def network() -> Net:
    """A stem, a pool and four convolutions: 56 x 56 units of 16 channels that see 43 x 43."""
    net = Net(0, 3).conv(16, 7, 2).relu().add("max", 3, 2, 1)
    for _ in range(2):
        net.add("keep").conv(16).relu().conv(16).add("add").relu()
    return net


def by_gradients(
    net: Net, found: Effective, own: np.ndarray, unit: tuple[int, ...] | None, apart: int
) -> Way:
    """Gradients of one unit in new noise each time, or of random ones, `apart` pixels away from one
    another, until the error is that of `found`.
    """
    import torch

    torch.set_num_threads(1)
    error = found.relative_error
    first, extent = found.first, found.extent
    cells = found.map.shape
    sums, hits = np.zeros((GROUPS, found.map.size)), np.zeros((GROUPS, found.map.size))
    rng = np.random.default_rng(1)
    begin = process_time()
    pad = SIZE
    passes = 0
    for image in count():
        x = torch.from_numpy(rng.standard_normal((1, 3, SIZE, SIZE)).astype(np.float32))
        x.requires_grad_()
        y = net.torch(x)
        places = [unit[2:]] if unit is not None else _places(rng, y.shape[2:], apart, own)
        channel = unit[1] if unit is not None else int(rng.integers(y.shape[1]))
        chosen = sum(y[0, channel, r, c] for r, c in places)
        (gradient,) = torch.autograd.grad(chosen, x)
        passes += 2
        # Around each unit, with nothing beyond the borders.
        sizes = np.pad(np.abs(gradient[0].numpy()), [(0, 0), (pad, pad), (pad, pad)])
        inside = np.pad(np.ones((3, SIZE, SIZE)), [(0, 0), (pad, pad), (pad, pad)])
        for r, c in places:
            at = [own[p] + f + pad for p, f in zip((r, c), first[2:], strict=True)]
            window = (slice(None), *(slice(b, b + n) for b, n in zip(at, extent[2:], strict=True)))
            for total, part in ((sums, sizes), (hits, inside)):
                total[image % GROUPS] += _cells(part[window], found.step, cells).ravel()
        late = process_time() - begin > MOST_SECONDS
        if image >= GROUPS and (unit is not None or image % GROUPS == 0 or late):
            reached = relative_error(sums, hits)
            if reached <= error:
                return Way(passes, process_time() - begin, reached)
            if late:
                # Errors fall with the root of the number.
                more = (reached / error) ** 2
                return Way(int(passes * more), (process_time() - begin) * more, error, "estimated")
    raise AssertionError


def _places(
    rng: np.random.Generator, shape: Any, apart: int, own: np.ndarray
) -> list[tuple[int, int]]:
    """Units so far from each other that no two see the same pixel."""
    stride = int(own[1] - own[0])
    step = -(-apart // stride)
    offsets = rng.integers(min(step, *shape), size=2)
    return [
        (r, c) for r in range(offsets[0], shape[0], step) for c in range(offsets[1], shape[1], step)
    ]


def _cells(window: np.ndarray, step: tuple[int, ...], cells: tuple[int, ...]) -> np.ndarray:
    """What the elements of each cell add up to."""
    full = [n * b for n, b in zip(cells[1:], step[1:], strict=True)]
    padded = np.pad(window, [(0, n - m) for n, m in zip(full, window.shape, strict=True)])
    parts = [k for n, b in zip(cells[1:], step[1:], strict=True) for k in (n, b)]
    return padded.reshape(parts).sum(axis=(1, 3, 5))


def compared() -> None:
    """The mean over all units of a value, and the map of one unit, to the same error."""
    net = network()
    made = net.model(SIZE)
    analysis = rfgraph.analyze(made)
    places = analysis.places("y", "x", 2)
    assert places is not None
    own = places[0].ravel()
    field = analysis.field("y", "x")[2]
    print(f"units of {analysis.shape('y')} that see {field.size} x {field.size} of {SIZE} x {SIZE}")
    print(f"{'':64}{'passes':>10}{'seconds':>10}{'error':>8}")
    one = (0, 3, 28, 28)
    for label, unit, step, error, by_node in (
        ("all units, every pixel and channel", None, 1, 0.05, False),
        ("all units, cells of 4 x 4", None, (1, 3, 4, 4), 0.05, False),
        ("one unit, cells of 8 x 8", one, (1, 3, 8, 8), 0.1, False),
        ("one unit, cells of 8 x 8, by node", one, (1, 3, 8, 8), 0.02, True),
        ("one unit, every pixel and channel, by node", one, 1, 0.05, True),
    ):
        begin = process_time()
        found = effective(
            made, "y", units=unit, step=step, error=error, seconds=MOST_SECONDS, jobs=1,
            by_node=by_node,
        )  # fmt: skip
        ways = {
            "by perturbation": Way(found.passes, process_time() - begin, found.relative_error),
            "by gradients, a unit each": by_gradients(net, found, own, unit, 10**6),
        }
        if unit is None:
            apart = int(field.size)
            ways["by gradients, units apart"] = by_gradients(net, found, own, unit, apart)
        for name, way in ways.items():
            numbers = f"{way.passes:>10,}{way.seconds:>10.1f}{way.error:>8.1%}"
            print(f"{label + ', ' + name:64}{numbers}  {way.how}")
