"""What operands that are known in part settle of a result, whatever the others are.

The ways have names (`Pointwise.settled_by`, `Pointwise.masked_by`), which operators declare.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from typing import TypeAlias

import numpy as np

from rfgraph.prune.facts import SCORE, SWALLOWED, SWALLOWS, Fact, at_rank, some
from rfgraph.prune.passing import Pointwise

# Where, what the elements are there, and where they are low.
Settled: TypeAlias = "tuple[np.ndarray, np.ndarray, np.ndarray]"
Facts: TypeAlias = "Sequence[Fact | None]"

_NO = np.zeros((), dtype=bool)


def _by_zero(facts: Facts) -> Iterator[Settled]:
    """A 0 among the operands settles the result: it is 0, or False."""
    for fact in facts:
        if fact is not None and fact.zeros is not None:
            yield fact.zeros, np.zeros((), dtype=fact.value.dtype), _NO


def _by_zero_numerator(facts: Facts) -> Iterator[Settled]:
    """0 divided by anything is 0."""
    yield from _by_zero(facts[:1])


def _by_truth(facts: Facts) -> Iterator[Settled]:
    """A True among the operands settles the result."""
    for fact in facts:
        if fact is not None and fact.ones is not None:
            yield fact.ones, ~np.zeros((), dtype=fact.value.dtype), _NO


def _by_low_term(facts: Facts) -> Iterator[Settled]:
    """A sum with a term that is very low is as low."""
    for k in range(len(facts)):
        yield from _lowered(facts, k, 1)


def _by_low_minuend(facts: Facts) -> Iterator[Settled]:
    """A difference from what is very low is as low."""
    yield from _lowered(facts, 0, -1)


def _lowered(facts: Facts, k: int, sign: int) -> Iterator[Settled]:
    """What a low operand `k` settles of a sum with the others, or of its difference from them."""
    fact = facts[k]
    if fact is None or fact.low is None:
        return
    low, number = fact.low, fact.value
    # What is no larger than a score is part of one.
    most = SCORE if fact.deep is None else np.where(fact.deep, SWALLOWED, SCORE)
    for other in (f for j, f in enumerate(facts) if j != k and f is not None):
        given = other.known if other.below is None else other.known | other.below
        more = np.where(given, -other.value if sign < 0 else other.value, 0)
        low = low & ~(more > most)
        with np.errstate(over="ignore", invalid="ignore"):
            number = number + more.astype(number.dtype)
    swallows = low & fact.known & (fact.value <= SWALLOWS)
    yield swallows, number, low & ~swallows


def _by_low_bound(facts: Facts) -> Iterator[Settled]:
    """The least of some is as low as the lowest."""
    for fact in facts:
        if fact is not None and fact.low is not None:
            yield _NO, fact.value, fact.low


def _by_all_low(facts: Facts) -> Iterator[Settled]:
    """The greatest of some that are all very low is very low."""
    given = [(f.low, f.value) for f in facts if f is not None and f.low is not None]
    if len(given) == len(facts):
        lows, values = zip(*given, strict=True)
        yield _NO, reduce(np.maximum, values), reduce(np.logical_and, lows)


def _by_condition(facts: Facts) -> Iterator[Settled]:
    """A condition that is known chooses; what is the same in both is known without."""
    condition, X, Y = facts
    if condition is not None:
        for where, fact in ((condition.ones, X), (condition.zeros, Y)):
            if where is not None and fact is not None:
                below = _NO if fact.below is None else where & fact.below
                yield where & fact.known, fact.value, below
    if X is not None and Y is not None:
        low = _NO if X.low is None or Y.low is None else X.low & Y.low
        yield X.known & Y.known & (X.value == Y.value), np.maximum(X.value, Y.value), low


def maybe_masked(facts: Facts) -> np.ndarray:
    """Where the data decide whether an element is masked, as they do of an operand."""
    return reduce(
        np.logical_or, (f.maybe for f in facts if f is not None and f.maybe is not None), _NO
    )


def _masked_by_factor(facts: Facts) -> np.ndarray:
    """Where an operand is low, what it is multiplied or set in relation with decides."""
    return reduce(np.logical_or, (f.low for f in facts if f is not None and f.low is not None), _NO)


def _masked_by_choice(facts: Facts) -> np.ndarray:
    """Where one of two is low, a condition that is not known decides."""
    condition, *chosen = facts
    low = _masked_by_factor(chosen)
    return low if condition is None else low & ~condition.known


SETTLING: Mapping[str, Callable[[Facts], Iterator[Settled]]] = {
    "zero": _by_zero,
    "zero numerator": _by_zero_numerator,
    "truth": _by_truth,
    "low term": _by_low_term,
    "low minuend": _by_low_minuend,
    "lowest": _by_low_bound,
    "all low": _by_all_low,
    "condition": _by_condition,
}
MASKING: Mapping[str, Callable[[Facts], np.ndarray]] = {
    "factor": _masked_by_factor,
    "choice": _masked_by_choice,
}


def settles(how: Pointwise, fact: Fact) -> bool:
    """Whether what is known of an operand may settle a result that varies, or say that the data
    decide whether it is masked.
    """
    if how.settled_by == "condition" or fact.maybe is not None:
        return True
    if how.settled_by in ("zero", "zero numerator"):
        told = fact.zeros
    else:
        told = fact.ones if how.settled_by == "truth" else fact.low
    return told is not None or (how.masked_by != "" and fact.low is not None)


def set_in_relation(facts: Facts, rank: int) -> Fact | None:
    """What is known of a sum of values that a softmax sets in relation, or of a single one."""
    given = [fact for fact in facts if fact is not None]
    if len(facts) == 1 or not given:
        return facts[0]
    return masked_scores(given).map(lambda a: at_rank(a, rank))


def masked_scores(masks: Sequence[Fact]) -> Fact:
    """What is known of scores that vary, to which `masks` are added; these broadcast."""
    known = below = _NO
    value = np.zeros((), dtype=np.float32)
    for own, number, low in _by_low_term([None, *masks]):
        value = np.where(own | low, number.astype(np.float32), value)
        known, below = known | own, below | low
    maybe = maybe_masked(masks)
    known, value, below, maybe = np.broadcast_arrays(known, value, below, maybe)
    return Fact(known, value, some(below & ~known), some(maybe))
