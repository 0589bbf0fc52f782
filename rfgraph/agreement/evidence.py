"""Inputs that show best what one side sees and the other does not: they are tried on both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rfgraph.agreement.node import Alone, Seen, points_of, run_alone
from rfgraph.agreement.sides import Side
from rfgraph.runtimes.observe import changes, distance

Feeds = dict[str, np.ndarray]

# So many changes of which one side alone is known to respond are tried, in all their amounts.
_TRIED = 4

# One side is still where it moves by less than so many parts of what the other does.
_STILL = 64


def evidence(
    sides: tuple[Side, Side], found: Alone, sight: Seen | None, unit: tuple[int, ...]
) -> tuple[Feeds, Feeds | None]:
    """Inputs of a node, and the same with a change that moves a unit on one side only.

    Parameters
    ----------
    sides : tuple of Side
        Both.
    found : Alone
        The node.
    sight : Seen, optional
        What its units see on either side.
    unit : tuple of int
        The unit.

    Returns
    -------
    base : dict of str to ndarray
        Inputs of the first side.
    changed : dict of str to ndarray, or None
        The same with the change that shows most; None where none shows it.
    """
    best: tuple[float, Feeds, Feeds | None] = (0.0, found.feeds, None)
    regions = [] if sight is None else _telling(found, sight, unit)
    for point in points_of(found) if regions else []:
        fed = [point]
        for region in regions:
            old = point[region.input]
            new = changes(old, region.index, np.random.default_rng(0))
            fed += [{**point, region.input: array} for array in new]
        moved = [_responses(k, side, found, fed, unit) for k, side in enumerate(sides)]
        if any(one is None for one in moved):
            continue
        ours, theirs = map(np.asarray, moved)
        scores = np.abs(ours - theirs) - _STILL * np.minimum(ours, theirs)
        k = int(scores.argmax())
        if scores[k] > best[0]:
            best = (float(scores[k]), point, fed[1 + k])
    return best[1], best[2]


def _telling(found: Alone, sight: Seen, unit: tuple[int, ...]) -> list:
    """The regions that one side alone sees from a unit, those that show most first."""
    flat = int(np.ravel_multi_index(unit, found.ours.shape))
    columns = np.flatnonzero(sight.units == flat)
    if not len(columns):
        return []
    column = int(columns[0])
    rows = np.flatnonzero((sight.lone[0] | sight.lone[1])[:, column])
    ours, theirs = (one.responses[found.place][rows, column] for one in sight.sights)
    order = np.argsort(-np.abs(ours - theirs), kind="stable")[:_TRIED]
    return [sight.regions[int(row)] for row in rows[order]]


def _responses(
    k: int, side: Side, found: Alone, fed: Sequence[Mapping[str, np.ndarray]], unit: tuple[int, ...]
) -> list[float] | None:
    """How far a unit moves from the first of the inputs; None where a side does not answer."""
    own = [found.feeds_of(k, feeds) for feeds in fed]
    base = run_alone(side, found.model_of(k), own[0])
    made = [base, *side.session.run(own[1:])]
    if not all(one.answered for one in made):
        return None
    arrays = [np.asarray(one.outputs[found.place]) for one in made]
    return [float(distance(arrays[0], array)[unit]) for array in arrays[1:]]


__all__ = ["evidence"]
