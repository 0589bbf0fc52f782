"""Pruning against the oracle: random graphs with zeros and masks, every unit of every value.

There are 400 seeded graphs, which take about 15 seconds on one core. Bounds are compared at every
unit, supports and influence of so many units and elements of a graph as ``RFGRAPH_SETS`` says;
``all`` takes every one. A graph that fails is made again by the call that the message begins with.
"""

from __future__ import annotations

import os

import numpy as np
import onnx
import pytest

import rfgraph
from tests.chunks import share

from .compare import Observed, describe, differing, differing_sets
from .observe import hull, node_outputs
from .zeros import PATTERNS, changes, random_graph

GRAPHS = share(400)
SETS = None if os.environ.get("RFGRAPH_SETS") == "all" else int(os.environ.get("RFGRAPH_SETS", "8"))
CHUNK = 25

# So many trials are made at least, and so many as long as less is seen than is claimed.
_LEAST, _MOST = 3, 40

_SHOWN = 3


def check(model: onnx.ModelProto, trials: int = _MOST, prune: bool = True) -> int:
    """Fail unless what is claimed equals what is seen; return how many units were seen."""
    try:
        analysis = rfgraph.analyze(model, prune=prune)
        # What was not pruned at first is answered in another way.
        later = rfgraph.analyze(model).pruned if prune else analysis
    except Exception as error:
        raise AssertionError(f"{model.doc_string}: {type(error).__name__}: {error}") from error
    order = {value: k for k, value in enumerate(node_outputs(model))}
    for trial, seen in enumerate(changes(model, trials), 1):
        if trial < _LEAST:
            continue
        found = []
        for name, by_value in seen.items():
            for value, each in by_value.items():
                if value not in analysis.tensors:
                    assert not each.mask.any(), f"{model.doc_string}: {value} varies"
                    continue
                rank = each.mask.ndim - each.hidden.ndim
                most = each.mask | each.hidden.reshape(each.hidden.shape + (1,) * rank)
                inner, outer = hull(each.mask, rank), hull(most, rank)
                found.append(Observed(value, name, inner, outer, each.mask, most))
        found.sort(key=lambda entry: order[entry.value])
        wrong = [*differing(found, analysis), *differing_sets(found, analysis, SETS)]
        if not wrong:
            break
    assert not wrong, describe(model, wrong)
    for o in found:
        same = map(
            np.array_equal, analysis.bounds(o.value, o.input), later.bounds(o.value, o.input)
        )
        assert all(same), f"{model.doc_string}: bounds of {o.value}, pruned later"
        # What is local is a part of it.
        bounds = analysis.bounds(o.value, o.input, local=True)
        lo, hi = (np.broadcast_to(bound, o.outer[0].shape) for bound in bounds)
        inside = (lo >= o.outer[0]) & (hi <= o.outer[1])
        assert (inside | (lo > hi)).all(), f"{model.doc_string}: local bounds of {o.value}"
    return sum(o.inner[0][..., 0].size for o in found)


@pytest.mark.parametrize("start", range(0, GRAPHS, CHUNK))
def test_pruned_claims_are_exact(start: int) -> None:
    failures = []
    for seed in range(start, min(start + CHUNK, GRAPHS)):
        try:
            check(random_graph(seed))
        except AssertionError as failure:
            failures.append(str(failure))
    shown = "\n\n".join(sorted(failures, key=len)[:_SHOWN])
    assert not failures, f"{len(failures)} of {CHUNK} graphs fail\n\n{shown}"


def test_without_pruning_claims_are_larger() -> None:
    """The graphs hold what there is to cut, and it shows."""
    larger = 0
    for seed in range(len(PATTERNS)):
        try:
            check(random_graph(seed), trials=8, prune=False)
        except AssertionError:
            larger += 1
    assert larger > len(PATTERNS) // 2


def test_graphs_are_made_again() -> None:
    one, other = random_graph(3), random_graph(3)
    assert one.SerializeToString() == other.SerializeToString()
    firsts = {random_graph(seed).doc_string.split("# ")[1].split(",")[0] for seed in range(40)}
    assert len(firsts) > 30
