"""What masks leave: of elements that a softmax sets in relation, and of the keys of attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce

import numpy as np

from rfgraph.prune.facts import Fact, rows
from rfgraph.prune.pieces import Remarks, kept_along, own_place
from rfgraph.prune.settling import masked_scores, set_in_relation
from rfgraph.reads.words import STATISTIC, Along, AxisRead, Fixed, Table, same

_SPARED = (
    "the data may mask all that a constant mask leaves of a row, so the constant mask cuts "
    "nothing of that row"
)

_WEAK = (
    "what is masked by a finite number is assumed to get a weight of exactly 0, as if no score "
    "were larger than 2,000"
)

_LEAK = (
    "the mask excludes all positions up to that of a query: onnxruntime then gives later "
    "positions weights that are not 0"
)


def masked(
    facts: Sequence[Fact | None], rank: int, axis: int, remarks: Remarks
) -> np.ndarray | None:
    """Elements without a weight where the sum of values is set in relation along an axis.

    Parameters
    ----------
    facts : sequence of Fact or None
        What is known of each of the values.
    rank : int
        How many axes their sum has.
    axis : int
        Along which axis it is set in relation.
    remarks : Remarks
        Where to say what is assumed.

    Returns
    -------
    ndarray of bool or None
        Compressed; None for none.
    """
    fact = set_in_relation(facts, rank)
    if fact is None:
        return None
    found = rows(fact, axis)
    if found.spared:
        remarks.note(_SPARED, "mask")
    if found.masked is not None and fact.assumes:
        remarks.note(_WEAK, "coarse")
    given = [m for m in (found.constant, found.masked) if m is not None]
    return reduce(np.logical_or, given) if given else None


def _where(axes: tuple[int, ...], there: np.ndarray) -> AxisRead:
    """The same coordinate along the last of `axes`, where `there`, over these, holds."""
    return same(axes[-1]) if there.all() else own_place(axes, there)


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys that each query may attend, of `total`.

    Attributes
    ----------
    total : int
        How many keys there are.
    first, counts : ndarray of int64, shape (batch, queries)
        The first one and how many; 1 long where nothing varies.
    interior, open
        As in `rfgraph.reads.words.Table`, along the queries, axis 2 of the scores.
    """

    total: int
    first: np.ndarray
    counts: np.ndarray
    interior: Along | None = None
    open: int = 0

    def _over(self, array: np.ndarray) -> tuple[tuple[int, ...], np.ndarray]:
        """An array of shape (batch, queries, ...) without those of length 1, and the others."""
        kept = [k for k in range(2) if array.shape[k] != 1]
        dims = tuple(array.shape[k] for k in kept)
        array = np.ascontiguousarray(array).reshape(dims + array.shape[2:])
        return tuple(2 * k for k in kept), array

    def read(self, least: int) -> list[AxisRead]:
        """The keys that are read by the queries that may attend `least` or more; none for none."""
        if not (self.counts >= least).any():
            return []
        axes, counts = self._over(np.where(self.counts >= least, self.counts, 0))
        if not axes:
            if counts == self.total:
                return [STATISTIC]
            return [Fixed(int(self.first[0, 0]), int(counts), statistic=True)]
        _, starts = self._over(np.broadcast_to(self.first, self.counts.shape))
        return [Table(axes, starts, counts, 1, self.interior, self.open)]

    def queries(self, least: int, length: int) -> list[AxisRead]:
        """Each query's own row of `length`, where it may attend `least` keys; none for none."""
        there = np.broadcast_to(self.counts >= least, (len(self.counts), length))
        if not there.any():
            return []
        return [_where((2,), there[0]) if len(there) == 1 else _where((0, 2), there)]

    def may(self) -> np.ndarray:
        """Which keys these are: bool, of shape (batch, queries, keys)."""
        ahead = np.arange(self.total) - self.first[..., None]
        return np.asarray((ahead >= 0) & (ahead < self.counts[..., None]))

    def attended(self) -> AxisRead:
        """A score's own key, if the query may attend it."""
        axes, there = self._over(self.may())
        return _where((*axes, 3), there)


@dataclass(frozen=True, slots=True)
class Left(Keys):
    """The keys that masks leave.

    Attributes
    ----------
    remarks : Remarks
        Where to say what is merged.
    kept, scored : ndarray of bool, shape (batch, heads, queries, keys)
        The keys with a weight, and those of which the weight varies; 1 long where nothing does.
    settled : ndarray of bool
        The scores that are the same whatever query and key are.
    """

    remarks: Remarks | None = None
    kept: np.ndarray = field(default_factory=lambda: np.ones((1, 1, 1, 1), dtype=bool))
    scored: np.ndarray = field(default_factory=lambda: np.ones((1, 1, 1, 1), dtype=bool))
    settled: np.ndarray = field(default_factory=lambda: np.zeros((1, 1, 1, 1), dtype=bool))

    def _there(self, least: int) -> np.ndarray:
        return self.kept if least < 2 else self.scored

    def read(self, least: int) -> list[AxisRead]:
        """The keys with a weight or, for a `least` of 2, with one that varies; none for none."""
        assert self.remarks is not None
        kept = self._there(least)
        return kept_along(self.remarks, kept, (0, 1, 2), STATISTIC) if kept.any() else []

    def queries(self, least: int, length: int) -> list[AxisRead]:
        """Each query's own row of `length`, if it has such keys; none for none."""
        there = self._there(least).any(axis=-1)
        if not there.any():
            return []
        there = np.broadcast_to(there, (*there.shape[:2], length))
        axes = [axis for axis in range(2) if there.shape[axis] > 1]
        return [_where((*axes, 2), there.reshape([*(there.shape[a] for a in axes), length]))]


def left(
    remarks: Remarks,
    keys: Keys,
    masks: Sequence[Fact],
    *,
    excluded: float = -np.inf,
    beside: bool = False,
    zeroed: bool = False,
) -> Keys:
    """The keys that masks leave, which are added to the scores; all of a query's if none is left.

    Parameters
    ----------
    remarks : Remarks
        Where to say what is assumed.
    keys : Keys
        The keys that queries may attend.
    masks : sequence of Fact
        What is known of the masks, which broadcast to (batch, heads, queries, keys); beyond the
        last key of a mask no key is attended.
    excluded : float
        What the score of a key is set to that may not be attended. Where that is finite, and the
        masks leave no more of the others, such a key has a weight after all.
    beside : bool
        Whether something else that is not masked shares the weights.
    zeroed : bool
        Whether the weights of a query are 0, and not NaN, where all its scores are -inf: it has
        no keys then.
    """
    if all(mask.low is None for mask in masks):
        return keys
    may = keys.may()[:, None]
    masks = [mask.map(lambda a: over_keys(a, keys.total)) for mask in masks]
    if not np.isfinite(excluded):
        masks = [mask.map(lambda a: np.where(may, a, np.zeros((), a.dtype))) for mask in masks]
    number = np.full((1,) * 4, excluded, np.float32)
    fact = masked_scores([Fact(~may, number), *masks])
    settled = fact.known
    if beside:
        fact = fact.map(lambda a: _beside(a, keys.total))
    found = rows(fact, 3)
    kept = may if found.masked is None else may & ~found.masked[..., : keys.total]
    if zeroed and fact.lost is not None:
        kept = kept & ~fact.lost.all(axis=-1, keepdims=True)
    if np.isfinite(excluded) and fact.deep is not None:
        leaking = fact.deep.all(axis=-1, keepdims=True) & ~may
        leaking = leaking if found.masked is None else leaking & ~found.masked
        if leaking.any():
            remarks.note(_LEAK, "coarse")
            kept = kept | leaking
    if found.spared:
        remarks.note(_SPARED, "mask")
    if fact.assumes:
        remarks.note(_WEAK, "coarse")
    kept = np.broadcast_to(kept, (*kept.shape[:3], keys.total))
    scored = kept if found.constant is None else kept & ~found.constant
    return Left(
        keys.total,
        keys.first,
        keys.counts,
        keys.interior,
        keys.open,
        remarks,
        kept,
        scored,
        settled,
    )


def _beside(mask: np.ndarray, total: int) -> np.ndarray:
    """A mask of scores, with a column for what is not masked."""
    mask = np.broadcast_to(mask, (*mask.shape[:3], total))
    return np.pad(mask, [(0, 0)] * 3 + [(0, 1)])


def over_keys(mask: np.ndarray, total: int) -> np.ndarray:
    """As four axes, the last one as long as the keys, or 1."""
    mask = mask.reshape((1,) * (4 - mask.ndim) + mask.shape)
    if mask.shape[-1] == 1:
        return mask
    return np.pad(mask[..., :total], [(0, 0)] * 3 + [(0, max(total - mask.shape[-1], 0))])


__all__ = ["Keys", "Left", "left", "masked", "over_keys"]
