"""What is known of the elements of small arrays, worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rfgraph.model.weights import may_have_zeros
from rfgraph.prune.facts import (
    Fact,
    Knowledge,
    at_rank,
    compressed,
    in_blocks,
    rows,
    some,
    worth,
)

INF = np.inf


def bits(mask: np.ndarray | None) -> Any:
    return None if mask is None else mask.astype(int).tolist()


def fact(known: Any, value: Any, below: Any = None, maybe: Any = None) -> Fact:
    masks = [None if mask is None else np.array(mask, bool) for mask in (below, maybe)]
    return Fact(np.array(known, bool), np.array(value, np.float32), *masks)


# ---------------------------------------------------------------- compressed arrays


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        ([[1, 1], [1, 1]], [[1]]),
        ([[1, 2], [1, 2]], [[1, 2]]),
        ([[1, 1], [2, 2]], [[1], [2]]),
        ([[1, 2], [2, 1]], [[1, 2], [2, 1]]),
        ([[np.nan, np.nan]], [[np.nan]]),
        # First and last are alike, and what is between is not.
        ([1, 2, 1], [1, 2, 1]),
        (5, 5),
    ],
)
def test_length_1_where_it_does_not_vary(array: Any, expected: Any) -> None:
    np.testing.assert_array_equal(compressed(np.array(array)), np.array(expected), strict=True)


def test_a_mask_that_holds_nowhere_is_none() -> None:
    assert some(np.zeros((2, 3), bool)) is None
    assert bits(some(np.ones((2, 3), bool))) == [[1]]


def test_axes_before_its_own() -> None:
    assert at_rank(np.arange(3), 3).shape == (1, 1, 3)


# ---------------------------------------------------------------- one fact


def test_which_elements_are_what() -> None:
    known = [True, True, True, True, True, False]
    found = fact(known, [0, 1, -6000, -INF, -4000, 0])
    assert bits(found.zeros) == [1, 0, 0, 0, 0, 0]
    assert bits(found.ones) == [0, 1, 0, 0, 0, 0]
    # At most -5000: so low that their softmax is 0.
    assert bits(found.low) == [0, 0, 1, 1, 0, 0]
    # -6000 is not so low that it swallows what is added to it.
    assert bits(found.deep) == [0, 0, 0, 1, 0, 0]
    assert bits(found.lost) == [0, 0, 0, 1, 0, 0]
    assert found.assumes


def test_what_is_below_is_low_without_being_known() -> None:
    found = fact([[False, True]], [[0, 3]], below=[[True, False]])
    assert bits(found.low) == [[1, 0]]
    assert (found.zeros, found.lost, found.assumes) == (None, None, True)


def test_the_shape_is_that_of_all_parts() -> None:
    found = fact([[True]], [[1, 2, 3]], maybe=[[True], [False]])
    assert found.shape == (2, 3)


def test_the_same_elements_elsewhere() -> None:
    moved = fact([[True, False]], [[4, 0]], below=[[False, True]]).map(np.transpose)
    assert (bits(moved.known), moved.value.tolist()) == ([[1], [0]], [[4], [0]])
    assert bits(moved.below) == [[0], [1]]
    assert moved.maybe is None


# ---------------------------------------------------------------- rows of a softmax


def test_rows_by_hand() -> None:
    """0 stands for an element that varies."""
    known = [[0, 1, 1], [1, 1, 1], [1, 1, 0], [0, 0, 1], [1, 1, 1]]
    value = [[0, -INF, -1e4], [0, 0, -INF], [-1e4, 2, 0], [0, 0, -1e4], [-1e4, -1e4, -INF]]
    found = rows(fact(known, value), 1)
    assert bits(found.masked) == [[0, 1, 1], [0, 0, 1], [1, 0, 0], [0, 0, 1], [0, 0, 1]]
    # One is left beside masked ones: its weight is 1 whatever it is. A row of known ones is
    # constant besides.
    assert bits(found.alone) == [[1], [0], [0], [0], [0]]
    assert bits(found.constant) == [[1], [1], [0], [0], [1]]
    assert found.spared is False


@pytest.mark.parametrize("scores", [-1000.0, 0.0, 1000.0])
def test_what_is_masked_has_no_weight(scores: float) -> None:
    """Held against the softmax itself, in 64 bits, with scores of any size that is allowed for."""
    rng = np.random.default_rng(0)
    known = rng.random((40, 5)) < 0.6
    value = np.where(known, rng.choice([0.0, -1e4, -INF, 1.0], (40, 5)), 0)
    # A row of -inf alone is NaN.
    value[np.isneginf(value).all(axis=1)] = 0
    found = rows(fact(known, value), 1)
    assert found.masked is not None
    assert found.alone is not None
    full = np.where(known, value, scores + rng.uniform(-500, 500, (40, 5)))
    e = np.exp(full - full.max(axis=1, keepdims=True))
    weights = e / e.sum(axis=1, keepdims=True)
    assert (weights[found.masked] == 0).all()
    alone = np.broadcast_to(found.alone, (40, 5)) & ~found.masked
    assert alone.any()
    assert (weights[alone] == 1).all()


def test_what_the_data_may_mask_spares_the_others() -> None:
    """If the data mask the first one, the finite mask of the second one leaves it all the same."""
    found = rows(fact([[0, 1, 1]], [[0, -1e4, -INF]], maybe=[[1, 0, 0]]), 1)
    assert bits(found.masked) == [[0, 0, 1]]
    assert found.alone is None
    assert found.spared


def test_blocks_are_joined_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rfgraph.prune.facts._BLOCK", 4)
    value = np.arange(12, dtype=np.float32).reshape(6, 2)
    whole = Fact(np.ones((1, 1), bool), value)
    asked = []

    def doubled(block: Any) -> tuple[np.ndarray | None, ...]:
        asked.append(block[0].shape)
        odd = block[0].value % 2 == 1
        return block[0].value * 2, odd if odd.all() else None

    found, odd = in_blocks(doubled, [whole], 2)
    assert asked == [(2, 2)] * 3
    np.testing.assert_array_equal(found, value * 2)
    assert odd is None


# ---------------------------------------------------------------- what is worth keeping


def test_only_what_something_follows_from_is_kept() -> None:
    """0, 1, what is low and NaN."""
    value = np.array([0, 1, 2, -6000, np.nan])
    none = np.zeros(5, bool)
    learnt = worth(np.array([1, 1, 1, 1, 0], bool), value, none, none)
    assert learnt is not None
    assert bits(learnt.fact.known) == [1, 1, 0, 1, 0]
    assert [learnt.fact.below, learnt.fact.maybe] == [None, None]
    assert worth(np.array([0, 0, 1, 0, 0], bool), value, none, none) is None
    # That the data decide whether an element is masked is a fact too.
    learnt = worth(none, value, none, np.array([0, 0, 1, 0, 0], bool))
    assert learnt is not None
    assert bits(learnt.fact.maybe) == [0, 0, 1, 0, 0]


# ---------------------------------------------------------------- the facts of a graph


class Constants:
    """Static values, and nothing else."""

    unsized = False

    def __init__(self, **values: Any) -> None:
        self.values = {name: np.asarray(value) for name, value in values.items()}

    def static(self, name: str) -> np.ndarray | None:
        return self.values.get(name)

    def found(self, name: str) -> None:
        return None

    def may_have_zeros(self, name: str) -> bool:
        return name in self.values and may_have_zeros(self.values[name])


def knowledge(live: set[str], **values: Any) -> Knowledge:
    return Knowledge(Constants(**values), live, lambda kind, inputs: [])  # type: ignore[arg-type]


def test_of_a_constant_all_is_known() -> None:
    known = knowledge(set(), w=[[0.0, 2.0]], words=["a"], empty=np.zeros((0, 2)))
    found = known.of("w")
    assert found is not None
    assert (bits(found.known), bits(found.zeros)) == ([[1]], [[1, 0]])
    assert known.of("w") is found
    assert [known.of(name) for name in ("words", "empty", "nowhere")] == [None, None, None]


def test_a_constant_cuts_if_it_has_zeros() -> None:
    known = knowledge(set(), w=[0.0, 2.0], v=[1.0, 2.0])
    assert known.cutting("w") is known.of("w")
    assert known.cutting("v") is None


def test_of_what_varies_only_what_was_learnt_is_known() -> None:
    known = knowledge({"x"}, x=[0.0])
    assert known.of("x") is None
    learnt = fact([True], [0])
    known.keep(["x", ""], [learnt, learnt])
    assert known.of("x") is known.cutting("x") is learnt
    assert known.facts(["x", "y"]) == [learnt, None]
    known.keep(["x"], [None])
    assert known.of("x") is None


def test_an_answer_is_made_once_for_the_very_same_arguments() -> None:
    known, calls = knowledge(set()), []
    one, equal = np.zeros(2), np.zeros(2)
    for arguments in ([one], [one], [equal]):
        known.once("sum", arguments, lambda: calls.append(1))
    assert len(calls) == 2
