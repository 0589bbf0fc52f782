"""What outputs of a model of one node see: by the specification, and in a runtime."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import TypeAlias

import numpy as np

import rfgraph
from rfgraph.runtimes import Outcome, Session
from rfgraph.runtimes.observe import Sight, bases, elements, observed

from .models import Single

Masks: TypeAlias = dict[tuple[str, str], np.ndarray]
"""For each output and input which elements see which: the axes of the one, then of the other."""

_NEAR = 1e-3
"""Values that differ by less than this share of the largest are the same."""

# All are asked for single precision; sums that run along an axis round more than once.
_ROUNDOFF = 2.0**-22

_SEEDS = 6
"""Sets of base points that are tried as long as less is seen than is claimed."""


@dataclass(frozen=True)
class Seen:
    """What a runtime shows.

    Attributes
    ----------
    outcome : Outcome
        Whether it answered, and what it said if not.
    masks : Masks
        What is seen.
    values : dict of str to ndarray
        What it makes of the inputs that the model comes with.
    """

    outcome: Outcome
    masks: Masks = field(default_factory=dict)
    values: dict[str, np.ndarray] = field(default_factory=dict)


def claims(one: Single) -> Masks:
    """What rfgraph says that each element of each output sees."""
    analysis = rfgraph.analyze(one.model, prune=True)
    found = {}
    for output in filter(None, one.outputs):
        shape = analysis.shape(output)
        assert shape is not None
        for name, given in one.inputs.items():
            whole = np.zeros((*shape, *given.shape), bool)
            for unit in np.ndindex(*shape):
                whole[unit] = np.asarray(analysis.support(output, unit, name))
            found[output, name] = whole
    return found


def observe(one: Single, claimed: Masks, session: Session) -> Seen:
    """What a runtime lets each element of each output see.

    What a maximum hides is looked for at more points, as long as less is seen than is claimed.
    """
    opened = session.open(one.model.SerializeToString())
    if not opened.answered:
        return Seen(opened)
    names = [name for name in one.outputs if name]
    masks: Masks = {}
    values: dict[str, np.ndarray] = {}
    for seed in range(_SEEDS):
        feeds = {
            name: given.values(10 * seed + k) for k, (name, given) in enumerate(one.inputs.items())
        }
        ran = session.run([feeds])[0]
        if not ran.answered:
            return Seen(ran)
        if len(ran.outputs) != len(names):
            return Seen(Outcome("other shape", f"{len(ran.outputs)} outputs, not {len(names)}"))
        values = values or dict(zip(names, map(np.asarray, ran.outputs), strict=True))
        sight = observed(
            session, bases(feeds, seed), elements(feeds), precision=_ROUNDOFF, seed=seed
        )
        if isinstance(sight, Outcome):
            return Seen(sight)
        for key, found in _masks(one, sight).items():
            masks[key] = found | masks[key] if key in masks else found
        if not any(
            masks[key].shape == claim.shape and (claim & ~masks[key]).any()
            for key, claim in claimed.items()
        ):
            break
    return Seen(opened, masks, values)


def _masks(one: Single, sight: Sight) -> Masks:
    """What is seen, taken apart by outputs and inputs."""
    found = {}
    for k, output in enumerate(name for name in one.outputs if name):
        columns = sight.seen(k).T.reshape(*sight.shapes[k], len(sight.regions))
        first = 0
        for name, given in one.inputs.items():
            size = prod(given.shape)
            part = columns[..., first : first + size]
            found[output, name] = part.reshape(*sight.shapes[k], *given.shape)
            first += size
    return found


def near(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two outputs are the same but for rounding.

    >>> near(np.array([1.0, np.nan]), np.array([1.0001, np.nan]))
    True
    >>> near(np.array([3]), np.array([5]))
    False
    """
    if one.shape != other.shape:
        return False
    if one.dtype.kind not in "fc":
        # Where a rounded number is an integer, it may be the one beside.
        return bool((np.abs(one.astype(float) - other.astype(float)) <= 1).all())
    finite = np.isfinite(one) & np.isfinite(other)
    alike = (one == other) | (np.isnan(one) & np.isnan(other))
    if not alike[~finite].all():
        return False
    a, b = one[finite].astype(float), other[finite].astype(float)
    largest = max((np.abs(each).max(initial=0.0) for each in (a, b)), default=0.0)
    return bool((np.abs(a - b) <= _NEAR * max(largest, 1e-6)).all())
