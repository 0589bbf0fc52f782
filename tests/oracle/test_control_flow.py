"""Random nested control flow: bounds, support and influence of every unit are what poison shows.

There are 600 seeded graphs, of which the first 100 are not slow; at ``RFGRAPH_SETS`` units of each,
2 by default, all with ``all``, sets are compared, at all bounds.
"""

from __future__ import annotations

import os
import random

import numpy as np
import pytest

import rfgraph
from tests.chunks import chunks, share

from .control_flow import SHAPE, Graphs
from .observe import hull

GRAPHS = share(600)
SETS = os.environ.get("RFGRAPH_SETS", "2")
CHUNK = 50


def check(seed: int) -> None:
    graphs = Graphs(seed)
    places = list(np.ndindex(SHAPE))
    if SETS != "all":
        places = random.Random(seed).sample(places, min(int(SETS), len(places)))
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
            for place in places:
                unit = np.asarray(analysis.support(output, place, input))
                element = np.asarray(analysis.influence(input, place, output))
                for claim, seen in ((unit, mask[place]), (element, mask[(..., *place)])):
                    assert claim[seen].all(), (seed, output, input, place)
                    if graphs.exact:
                        assert np.array_equal(claim, seen), (seed, output, input, place)


@pytest.mark.parametrize("first", chunks(GRAPHS, CHUNK, quick=2))
def test_claims_are_what_is_seen(first: int) -> None:
    for seed in range(first, min(first + CHUNK, GRAPHS)):
        check(seed)
