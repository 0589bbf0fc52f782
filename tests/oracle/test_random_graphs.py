"""The library against the oracle: random graphs, every unit of every value of each.

There are 4,000 seeded graphs, which take about 40 seconds on one core. Bounds are compared at
every unit. ``RFGRAPH_SETS`` is the number of units a graph whose supports are compared, and of
elements whose influence is, with regions besides; ``all`` takes every one. A graph that fails is
made again by the call that the message begins with.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rfgraph
from tests.chunks import share

from .compare import check_exact
from .generate import random_graph

GRAPHS = share(4000)
SETS = None if os.environ.get("RFGRAPH_SETS") == "all" else int(os.environ.get("RFGRAPH_SETS", "8"))
CHUNK = 50

# So many failing graphs of a chunk are shown in full.
_SHOWN = 3


@pytest.mark.parametrize("start", range(0, GRAPHS, CHUNK))
def test_claims_are_exact(start: int) -> None:
    failures = []
    for seed in range(start, min(start + CHUNK, GRAPHS)):
        try:
            check_exact(random_graph(seed), rfgraph.analyze, "all", SETS)
        except AssertionError as failure:
            failures.append(str(failure))
    shown = "\n\n".join(sorted(failures, key=len)[:_SHOWN])
    assert not failures, f"{len(failures)} of {CHUNK} graphs fail\n\n{shown}"


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10**6),
    rank=st.integers(0, 3),
    nodes=st.integers(1, 8),
    max_elements=st.integers(8, 150),
)
def test_claims_are_exact_at_any_size(seed: int, rank: int, nodes: int, max_elements: int) -> None:
    model = random_graph(seed, rank=rank, nodes=nodes, max_elements=max_elements)
    check_exact(model, rfgraph.analyze, "all", SETS)
