"""What is seen is told from what only moves the rounding."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from rfgraph import runtimes
from rfgraph.runtimes import observe
from tests.graphs import model
from tests.runtimes.needed import need

RNG = np.random.default_rng(0)
W = RNG.uniform(0.5, 1, (1, 1, 3)).astype(np.float32)
MODEL = model(
    "y = Conv<pads=[1,1]>(x, w)", "float[1,1,6] x", initializers={"w": W}
).SerializeToString()
FEEDS = {"x": RNG.standard_normal((1, 1, 6)).astype(np.float32)}

# Each element is seen by the units at most one away.
BAND = np.abs(np.subtract.outer(np.arange(6), np.arange(6))) <= 1


@pytest.fixture(scope="module")
def exact() -> Iterator[runtimes.Session]:
    """One process for all tests."""
    with runtimes.start("onnxruntime:threads=1") as session:
        yield session


def sight(session: runtimes.Session, contents: bytes, feeds: dict) -> observe.Sight:
    precision = observe.roundoff(session)
    assert session.open(contents).answered
    points, regions = observe.bases(feeds), observe.elements(feeds)
    found = observe.observed(session, points, regions, precision=precision)
    assert isinstance(found, observe.Sight)
    return found


def sight_in(name: str) -> observe.Sight:
    with runtimes.start(name) as session:
        return sight(session, MODEL, FEEDS)


def test_what_is_seen(exact):
    found = sight(exact, MODEL, FEEDS)
    np.testing.assert_array_equal(found.seen(), BAND)
    np.testing.assert_array_equal(found.untouched(), ~BAND)
    # The unit of roundoff is measured.
    assert found.roundoff == 2.0**-24
    assert found.runs == 3 + 3 * 3 * 6
    assert not found.failed


def test_what_is_seen_in_half_precision():
    found = sight_in("planted:fault=half,of=Conv")
    np.testing.assert_array_equal(found.seen(), BAND)
    np.testing.assert_array_equal(found.untouched(), ~BAND)
    assert found.roundoff == 2.0**-11


def test_rounding_that_leaks_is_no_sight():
    found = sight_in("planted:fault=leak,of=Conv")
    np.testing.assert_array_equal(found.seen(), BAND)
    assert found.roundoff == 2.0**-24
    # Yet bits do change, in many units that read nothing of what is changed.
    assert (~found.untouched() & ~BAND).sum() > 10


@pytest.mark.slow
def test_openvino_in_bfloat16_or_not():
    need("openvino")
    for name in ("openvino", "openvino:precision=f32"):
        np.testing.assert_array_equal(sight_in(name).seen(), BAND)


@pytest.mark.parametrize(("fault", "unit"), [("shift", 2.0**-24), ("shape", 2.0**-9)])
def test_other_numbers_and_shapes_are_not_taken_for_rounding(fault, unit):
    with runtimes.start(f"planted:fault={fault},of=Conv") as session:
        assert observe.roundoff(session) == unit


def test_maxima_and_ties(exact):
    contents = model("y = MaxPool<kernel_shape=[2]>(x)", "float[1,1,4] x").SerializeToString()
    found = sight(exact, contents, {"x": np.zeros((1, 1, 4), np.float32)})
    np.testing.assert_array_equal(found.seen(), [[1, 0, 0], [1, 1, 0], [0, 1, 1], [0, 0, 1]])


def test_whole_numbers_and_booleans_and_strings(exact):
    contents = model(
        "c = Gather(x, i)\nd = Where(b, c, c)\ny = Identity(d)",
        "int64[3] x, int64[2] i, bool[2] b",
    ).SerializeToString()
    feeds = {
        "x": np.array([0, 5, 9]),
        "i": np.array([0, 2]),
        "b": np.array([True, False]),
    }
    found = sight(exact, contents, feeds)
    # What chooses between two of the same is not seen.
    np.testing.assert_array_equal(found.seen()[3:], [[1, 0], [0, 1], [0, 0], [0, 0]])
    assert found.seen()[:3].any(axis=1).all()
    contents = model("y = Identity(x)", "string[2] x").SerializeToString()
    found = sight(exact, contents, {"x": np.array(["a", "b"], object)})
    np.testing.assert_array_equal(found.seen(), np.eye(2))


@pytest.mark.slow
def test_a_model_that_is_never_answered():
    with runtimes.start("planted:fault=crash,of=Conv") as session:
        session.open(MODEL)
        found = observe.observed(session, [FEEDS], observe.elements(FEEDS))
    assert isinstance(found, runtimes.Outcome)
    assert found.kind == "crashed"


def test_planes_and_some_units(exact):
    assert exact.open(MODEL).answered
    regions = observe.planes((1, 1, 6), "x", 2)
    found = observe.observed(exact, [FEEDS], regions, units=[np.array([0, 3])])
    assert isinstance(found, observe.Sight)
    np.testing.assert_array_equal(found.seen(), BAND[:, [0, 3]])
