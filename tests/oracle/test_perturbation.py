"""What perturbation shows of sets, and that a wrong support or influence is found by it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.graphs import single

from .perturbation import (
    Case,
    Claim,
    Observation,
    analysed,
    narrow,
    observe,
    set_claims,
    set_differences,
    spread,
)


@pytest.fixture
def dilated() -> tuple[Case, Observation, list[Claim]]:
    """A window with holes over six places: units 0 and 1 read {0, 2, 4} and {1, 3, 5}."""
    inputs = {"x": np.arange(6, dtype=np.float32).reshape(1, 1, 6), "W": np.ones((1, 1, 3), "f4")}
    case = Case("dilated", *single("Conv", inputs, constants=("W",), dilations=[2]))
    observation = observe(case)
    return case, observation, set_claims(analysed(case), observation)


def _changed(claim: Claim, place: tuple[int, ...], value: bool) -> Claim:
    assert claim.masks is not None
    masks = claim.masks.copy()
    masks[place] = value
    return replace(claim, masks=masks)


def test_sets_by_hand(dilated: tuple[Case, Observation, list[Claim]]) -> None:
    case, observation, claims = dilated
    assert list(set_differences(case, observation, claims)) == []
    support, influence, *planes = claims
    assert support.what == "support"
    assert support.places == [(0, 0, 0), (0, 0, 1)]
    assert support.masks is not None
    assert support.masks.reshape(2, 6).astype(int).tolist() == [[1, 0] * 3, [0, 1] * 3]
    assert [np.ndim(side) for side in support.sides] == [2, 2, 2]
    assert influence.what == "influence"
    assert influence.places == [(0, 0, 0), (0, 0, 1), (0, 0, 3), (0, 0, 5)]
    assert influence.masks is not None
    assert influence.masks.reshape(4, 2).astype(int).tolist() == [[1, 0], [0, 1], [0, 1], [0, 1]]
    assert [plane.places for plane in planes] == [[(0, 0)], [(1, 0)], [(2, 3)]]


@pytest.mark.parametrize(
    ("place", "value", "kind"),
    [((0, 0, 0, 2), False, "unsound"), ((0, 0, 0, 1), True, "hidden")],
    ids=["a place left out", "a hole filled"],
)
def test_a_wrong_support_is_found(
    dilated: tuple[Case, Observation, list[Claim]], place: tuple[int, ...], value: bool, kind: str
) -> None:
    case, observation, (support, *_) = dilated
    wrong = [_changed(support, place, value)]
    assert [found for found, _ in set_differences(case, observation, wrong)] == [kind]
    # Nothing is tried again but what was claimed in vain.
    narrow(observation, wrong, 0)
    expected = [[0, 1, 0, 0, 0, 0]] if kind == "hidden" else [[0] * 6]
    assert observation.pending["x"].reshape(1, 6).astype(int).tolist() == expected


@pytest.mark.parametrize("which", [1, 4], ids=["of an element", "of a hyperplane"])
@pytest.mark.parametrize(("unit", "kind"), [(1, "unsound"), (0, "hidden")])
def test_a_wrong_influence_is_found(
    dilated: tuple[Case, Observation, list[Claim]], which: int, unit: int, kind: str
) -> None:
    case, observation, claims = dilated
    # The last of the elements, and the hyperplane in the middle, are read by unit 1 alone.
    wrong = [_changed(claims[which], (-1, 0, 0, unit), kind == "hidden")]
    assert [found for found, _ in set_differences(case, observation, wrong)] == [kind]


def test_a_wrong_projection_is_found(dilated: tuple[Case, Observation, list[Claim]]) -> None:
    """Of an input too large to be changed element by element the sides are compared."""
    case, observation, (support, *_) = dilated
    large = Observation(observation.outputs)
    large.seen["x"] = {"y0": replace(observation.seen["x"]["y0"], elements=None)}
    claim = replace(support, masks=None)
    assert list(set_differences(case, large, [claim])) == []
    for kind, coordinate in (("unsound", 2), ("hidden", 1)):
        side = support.sides[2].copy()
        side[0, coordinate] = kind == "hidden"
        wrong = [replace(claim, sides=[*support.sides[:2], side])]
        assert [found for found, _ in set_differences(case, large, wrong)] == [kind]


def test_a_spread_has_the_first_the_middle_and_the_last() -> None:
    found = spread((6, 50, 4), 32)
    assert len(set(found)) == 32
    assert {(0, 0, 0), (3, 0, 0), (5, 49, 3)} <= set(found)
