"""Random nested control flow: the bounds of every unit equal the hull of what poison shows."""

from __future__ import annotations

import os

import numpy as np
import pytest

import rfgraph

from .control_flow import Graphs
from .observe import hull

GRAPHS = int(os.environ.get("RFGRAPH_CONTROL_FLOW_GRAPHS", "600"))
CHUNK = 50


def check(seed: int) -> None:
    graphs = Graphs(seed)
    analysis = rfgraph.analyze(graphs.model, strict=True)
    for input, by_output in graphs.masks().items():
        for output, mask in by_output.items():
            lo, hi = hull(mask, 3)
            below, above = analysis.bounds(output, input)
            below, above = np.broadcast_to(below, lo.shape), np.broadcast_to(above, hi.shape)
            some = lo <= hi
            assert (below <= lo)[some].all(), (seed, output, input)
            assert (above >= hi)[some].all(), (seed, output, input)
            if graphs.exact:
                assert np.array_equal(some, below <= above), (seed, output, input)
                assert (lo == below)[some].all(), (seed, output, input)
                assert (hi == above)[some].all(), (seed, output, input)


@pytest.mark.parametrize("first", range(0, GRAPHS, CHUNK))
def test_bounds_equal_what_is_seen(first: int) -> None:
    for seed in range(first, min(first + CHUNK, GRAPHS)):
        check(seed)
