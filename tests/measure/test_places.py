"""Where an occluder is laid, and which places share a run."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from rfgraph.measure.places import Grid, packed

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("sides", "size", "stride"),
    [((11,), (3,), (2,)), ((9, 12), (4, 2), (3, 1)), ((5, 6, 7), (2, 9, 3), (2, 4, 3))],
)
def test_every_element_is_covered(
    sides: tuple[int, ...], size: tuple[int, ...], stride: tuple[int, ...]
) -> None:
    grid = Grid.of(sides, size, stride)
    covered = np.zeros(sides, int)
    for place in range(grid.number):
        covered[grid.block(place)] += 1
    assert covered.min() >= 1
    mask = RNG.random(sides) < 0.05
    meeting = [p for p in range(grid.number) if mask[grid.block(p)].any()]
    assert grid.meeting(mask).tolist() == meeting
    values = RNG.random(len(meeting))
    total, tried = np.zeros(sides), np.zeros(sides)
    for place, value in zip(meeting, values, strict=True):
        total[grid.block(place)] += value
        tried[grid.block(place)] += 1
    expected = np.divide(total, tried, out=np.zeros(sides), where=tried > 0)
    assert np.allclose(grid.spread(np.array(meeting), values, sides), expected)


@pytest.mark.parametrize("seed", range(20))
def test_no_unit_sees_two_places_of_a_run(seed: int) -> None:
    rng = np.random.default_rng(seed)
    wanted = [
        np.unique(rng.integers(0, 60, rng.integers(1, 30))) for _ in range(rng.integers(1, 9))
    ]
    runs = packed(wanted)
    assert sorted(p for run in runs for p in run) == sorted(set(np.concatenate(wanted).tolist()))
    for run in runs:
        for one, other in combinations(run, 2):
            assert not any(one in places and other in places for places in wanted)
    assert len(runs) >= max(map(len, wanted))


def test_units_apart_cost_no_more_than_one() -> None:
    wanted = [np.arange(k, k + 16) for k in range(0, 160, 16)]
    assert len(packed(wanted)) == 16
