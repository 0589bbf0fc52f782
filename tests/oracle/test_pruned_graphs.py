"""Pruning against the oracle: random graphs with zeros and masks, every unit of every value.

``RFGRAPH_PRUNED_GRAPHS`` is the number of seeded graphs, 400 by default: about 20 seconds on one
core. Bounds are compared at every unit, supports and influence of so many units and elements of a
graph as ``RFGRAPH_SETS`` says; ``all`` takes every one. A graph that fails is made again by the
call that the message begins with.
"""

from __future__ import annotations

import os

import numpy as np
import onnx
import pytest

import rfgraph

from .compare import Observed, describe, differing, differing_sets
from .observe import hull, node_outputs
from .zeros import changes, random_graph

GRAPHS = int(os.environ.get("RFGRAPH_PRUNED_GRAPHS", "400"))
SETS = None if os.environ.get("RFGRAPH_SETS") == "all" else int(os.environ.get("RFGRAPH_SETS", "8"))
CHUNK = 25

# So many trials are made at least, and so many as long as less is seen than is claimed.
_LEAST, _MOST = 3, 40

_SHOWN = 3


def check(model: onnx.ModelProto) -> int:
    """Fail unless what is claimed, pruned, equals what is seen; return how many units were seen."""
    try:
        analysis = rfgraph.analyze(model, prune=True)
    except Exception as error:
        raise AssertionError(f"{model.doc_string}: {type(error).__name__}: {error}") from error
    order = {value: k for k, value in enumerate(node_outputs(model))}
    for trial, seen in enumerate(changes(model, _MOST), 1):
        if trial < _LEAST:
            continue
        found = []
        for name, by_value in seen.items():
            for value, mask in by_value.items():
                if value in analysis.tensors:
                    bounds = hull(mask, mask.ndim - _rank(model, name))
                    bounds = hull(mask, _rank(model, name))
                    found.append(Observed(value, name, bounds, bounds, mask, mask))
                else:
                    assert not mask.any(), f"{model.doc_string}: {value} varies"
        found.sort(key=lambda entry: order[entry.value])
        wrong = [*differing(found, analysis), *differing_sets(found, analysis, SETS)]
        if not wrong:
            break
    assert not wrong, describe(model, wrong)
    for o in found:
        lo, hi = (np.broadcast_to(v, o.inner[0].shape) for v in analysis.bounds(o.value, o.input, local=True))
        some = lo <= hi
        inside = (lo >= o.inner[0]) & (hi <= o.inner[1])
        assert (inside | ~some).all(), f"{model.doc_string}: local bounds of {o.value}"
    return sum(o.least[(..., *(0,) * len(o.elements))].size for o in found)


def _rank(model: onnx.ModelProto, name: str) -> int:
    return next(len(v.type.tensor_type.shape.dim) for v in model.graph.input if v.name == name)


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
