"""Fields that are measured part by part are those of all combinations, one by one."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

import rfgraph
from rfgraph.engine.closed_form import AxisField
from rfgraph.engine.measured import Ends, end_to_end, measured
from tests.graphs import model

SIZE = 12


def hulls(parts: list[Ends], dims: tuple[int, ...]) -> dict[tuple[int, ...], tuple[int, int]]:
    """What each unit sees that sees anything, unit by unit."""
    found = {}
    whole = [[np.broadcast_to(ends, dims) for ends in part] for part in parts]
    for unit in product(*map(range, dims)):
        some = [(int(lo[unit]), int(hi[unit])) for lo, hi in whole if lo[unit] <= hi[unit]]
        if some:
            found[unit] = min(lo for lo, _ in some), max(hi for _, hi in some)
    return found


def field_of(
    seen: dict[tuple[int, ...], tuple[int, int]], own: list[tuple[int, int]], axis: int
) -> AxisField:
    """The field of these units; `own` are the own elements of each along one axis."""
    first, last = min(lo for lo, _ in seen.values()), max(hi for _, hi in seen.values())
    start = next(iter(seen.values()))[0]
    inner = {unit: (lo, hi) for unit, (lo, hi) in seen.items() if lo > first and hi < last}
    inner = inner or seen
    widths = [hi - lo + 1 for lo, hi in inner.values()]
    return AxisField(
        size=max(widths),
        stride=1,
        start=start,
        centre=0,
        smallest=min(widths),
        back=max(own[unit[axis]][0] - lo for unit, (lo, _) in inner.items()),
        ahead=max(hi - own[unit[axis]][1] for unit, (_, hi) in inner.items()),
    )


def random_part(rng: np.random.Generator, shape: tuple[int, ...], holes: float) -> Ends:
    lo = rng.integers(0, SIZE, shape)
    hi = np.minimum(lo + rng.integers(0, rng.integers(1, SIZE + 1), shape), SIZE - 1)
    none = rng.random(shape) < holes
    return np.where(none, SIZE, lo), np.where(none, -1, hi)


@pytest.mark.parametrize("seed", range(3))
def test_parts_are_as_their_combinations(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(60):
        dims = tuple(int(n) for n in rng.integers(1, 5, 3))
        of_axis = rng.integers(0, 3, 3)
        parts = [
            random_part(
                rng,
                tuple(n if of_axis[a] == k else 1 for a, n in enumerate(dims)),
                rng.choice([0, 0.3, 0.8]),
            )
            for k in range(3)
        ]
        axis = int(rng.integers(3))
        begins = np.sort(rng.integers(0, SIZE, dims[axis]))
        own = list(zip(begins.tolist(), (begins + 1).tolist(), strict=True))
        along = [-1 if a == axis else 1 for a in range(3)]
        seen = hulls(parts, dims)
        known = AxisField(0, 1, 0, 0, 0)
        found = measured(parts, known, (begins.reshape(along), (begins + 1).reshape(along)))
        whole = all(ends == (0, SIZE - 1) for ends in seen.values())
        assert end_to_end(parts, SIZE) == whole
        if not seen:
            assert found == AxisField.nothing()
            continue
        expected = field_of(seen, own, axis)
        assert found == replace(expected, start=0)
        told = measured(parts, None, None)
        assert (told.size, told.smallest) == (expected.size, expected.smallest)
        assert told.start == expected.start


def test_scores_of_many_steps() -> None:
    """Neither time nor memory grows with the number of scores."""
    steps = 16_384
    made = model(
        "k = Transpose <perm = [0, 2, 1]> (x) scores = MatMul (x, k) "
        "p = Softmax <axis = -1> (scores) y = MatMul (p, x)",
        f"float[1,{steps},4] x",
        "y",
    )
    analysis = rfgraph.analyze(made)
    tracemalloc.start()
    assert analysis.moving_axes("x") == [1]
    field = analysis.field("scores", "x")[1]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (field.size, field.smallest) == (steps - 2, 1)
    assert peak < 20e6
