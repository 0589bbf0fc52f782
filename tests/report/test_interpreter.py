"""What the page works out from the program of random graphs is what Python says."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import pytest

import rfgraph
from rfgraph.report.assembly import _own
from rfgraph.report.program import Shipped
from tests.chunks import share
from tests.oracle.control_flow import Graphs
from tests.oracle.generate import random_graph

UNITS = 12

# What is asked of each: the masks of all inputs, and the boxes.
_ASKED = """([program, units]) => {
  const support = new Support(program), bounds = new Bounds(program, support);
  return units.map(([value, unit]) => {
    const found = support.behind(value, Regions.ofMasks(support.shape(value).map((n, a) => {
      const mask = new Uint8Array(n);
      mask[unit[a]] = 1;
      return mask;
    })));
    if (!found || support.widened) return null;
    return program.inputs.map((input) => {
      const shape = support.shape(input), region = found.get(input) || [];
      const mask = shape ? Regions.projection(region, shape.map((_, a) => a), shape) : null;
      return [mask && btoa(String.fromCharCode(...mask)), shape && Regions.size(region, shape),
        shape && bounds.box(value, unit, input)];
    });
  });
}"""


@pytest.fixture(scope="module")
def page(browser: Any) -> Iterator[Any]:
    made = browser.new_page()
    scripts = [_own(f"{name}.js") for name in ("regions", "support", "bounds")]
    made.set_content("<script>" + "\n".join(scripts) + "</script>")
    yield made
    made.close()


def check(page: Any, model: onnx.ModelProto, rng: random.Random) -> int:
    analysis = rfgraph.analyze(model, assume=True)
    shipped = Shipped(analysis.flow, analysis.lowered)
    values = [v for v in shipped.names if 0 not in (analysis.extent(v) or (0,))]
    if not values:
        return 0
    units = [
        (value, [rng.randrange(n) for n in analysis.extent(value) or ()])
        for value in rng.choices(values, k=UNITS)
    ]
    asked = [(shipped.number[value], unit) for value, unit in units]
    found = page.evaluate(_ASKED, [shipped.document(), asked])
    for (value, unit), answers in zip(units, found, strict=True):
        assert answers is not None
        for name, (mask, size, box) in zip(analysis.inputs, answers, strict=True):
            if analysis.extent(name) is None:
                continue
            wanted = np.asarray(analysis.support(value, unit, name))
            bits = np.frombuffer(base64.b64decode(mask), np.uint8).astype(bool)
            assert np.array_equal(bits, wanted.ravel()), (value, unit, name)
            assert size == wanted.sum()
            told = analysis.box(value, unit, name)
            assert box == (None if told is None else [list(ends) for ends in told])
    return len(units)


@pytest.mark.parametrize("first", range(0, 80, 40))
def test_random_graphs(first: int, page: Any) -> None:
    tested = [
        check(page, random_graph(seed), random.Random(seed))
        for seed in range(first, first + share(40))
    ]
    assert sum(tested) > 7 * len(tested)


def test_control_flow(page: Any) -> None:
    """Loops whose end the data decide go round until nothing grows."""
    loops = 0
    for seed in range(40):
        model = Graphs(seed).model
        check(page, model, random.Random(seed))
        steps = rfgraph.analyze(model, assume=True).flow.steps
        loops += any(step.cycle is not None for step in steps)
    assert loops > 2
