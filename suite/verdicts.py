"""Whether a runtime lets outputs see what the specification says, model by model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rfgraph.runtimes import Outcome

from .models import Single
from .observed import Masks, Seen, near

SAME = "same"
OTHER = "other"
VALUES = "values"
SHAPE = "shape"
REFUSED = "refused"
CRASHED = "crashed"

KINDS = (SAME, OTHER, VALUES, SHAPE, REFUSED, CRASHED)

WITNESSES = ("onnxruntime", "reference")
"""What is missing is missed only where one of these shows that it can be seen."""


@dataclass(frozen=True)
class Verdict:
    """What comes of one model in one runtime.

    Attributes
    ----------
    kind : str
        One of `KINDS`: the same elements; other ones; the same, but other values; the same, of
        another shape; refused; or the process ended or hung.
    text : str
        In words.
    """

    kind: str
    text: str = ""


def verdict(one: Single, claimed: Masks, seen: Seen, others: Mapping[str, Seen]) -> Verdict:
    """Judge what a runtime shows of a model.

    Parameters
    ----------
    one : Single
        The model.
    claimed : Masks
        What its outputs see by the specification.
    seen : Seen
        What the runtime shows.
    others : mapping of str to Seen
        What all runtimes show, by their names without options.
    """
    if not seen.outcome.answered:
        return _failed(seen.outcome)
    witnesses = [others[name] for name in WITNESSES if name in others]
    witnesses = [each for each in witnesses if each.masks] or list(others.values())
    told, shaped = [], []
    for (output, name), claim in claimed.items():
        mask = seen.masks[output, name]
        if mask.shape != claim.shape:
            made, due = (_units(each, one, name) for each in (mask, claim))
            said = f"{output} is {_sizes(made)}, not {_sizes(due)}"
            if mask.size != claim.size or _squeezed(made) != _squeezed(due):
                told.append(said)
                continue
            shaped.append(said)
            mask = mask.reshape(claim.shape)
        due = _shown(witnesses, output, name, claim) & (not one.hides)
        told += _apart(output, name, claim, mask, due, len(one.inputs[name].shape))
    if told:
        return Verdict(OTHER, "; ".join(dict.fromkeys(told)))
    if shaped:
        return Verdict(SHAPE, "; ".join(dict.fromkeys(shaped)))
    for output, value in seen.values.items():
        due = _due(witnesses, output, claimed)
        if due is not None and not near(value, due):
            return Verdict(VALUES, f"{output} has other values")
    return Verdict(SAME)


def contradicted(claimed: Masks, others: Mapping[str, Seen]) -> list[str]:
    """Where the witnesses agree, and not with rfgraph.

    Where one of them does not run the model the other one needs a cause, as all that is other.
    """
    found = []
    for (output, name), claim in claimed.items():
        masks = [
            others[w].masks[output, name] for w in WITNESSES if w in others and others[w].masks
        ]
        if len(masks) < len(WITNESSES) or not np.array_equal(*masks):
            continue
        if masks[0].shape != claim.shape or (masks[0] & ~claim).any():
            found.append(f"{output} of {name}")
    return found


def confirmed_by(claimed: Masks, others: Mapping[str, Seen]) -> list[str]:
    """The runtimes that show exactly what rfgraph claims."""
    return [
        name
        for name, seen in others.items()
        if seen.masks and all(np.array_equal(seen.masks[key], m) for key, m in claimed.items())
    ]


def _failed(outcome: Outcome) -> Verdict:
    return Verdict(CRASHED if outcome.kind in ("crashed", "hung") else REFUSED, str(outcome))


def _units(mask: np.ndarray, one: Single, name: str) -> tuple[int, ...]:
    """The shape of the output of a mask."""
    return mask.shape[: mask.ndim - len(one.inputs[name].shape)]


def _sizes(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "a scalar"


def _squeezed(shape: Sequence[int]) -> list[int]:
    return [n for n in shape if n != 1]


def _shown(witnesses: Sequence[Seen], output: str, name: str, claim: np.ndarray) -> np.ndarray:
    """Which of what is claimed some witness shows."""
    shown = np.zeros(claim.shape, bool)
    for each in witnesses:
        mask = each.masks.get((output, name))
        if mask is not None and mask.shape == claim.shape:
            shown |= mask
    return shown & claim


def _apart(
    output: str, name: str, claim: np.ndarray, mask: np.ndarray, due: np.ndarray, rank: int
) -> list[str]:
    """What is seen instead of what is claimed, in words, with the first unit of which it holds."""
    extra, missing = mask & ~claim, due & ~mask
    if not extra.any() and not missing.any():
        return []
    inner = tuple(range(mask.ndim - rank, mask.ndim))
    unit = tuple(int(k) for k in np.argwhere((extra | missing).any(axis=inner))[0])
    place = ",".join(map(str, unit))
    return [
        f"{output} of {name}: {int(extra.sum())} seen that should not be, {int(missing.sum())} of "
        f"{int(claim.sum())} not seen (unit {place} sees {_box(mask[unit])}, "
        f"not {_box(claim[unit])})"
    ]


def _box(mask: np.ndarray) -> str:
    """How many elements of an input are seen, from where to where.

    >>> _box(np.array([[False, True, True]])), _box(np.zeros(2, bool))
    ('2 at 0,1-2', 'nothing')
    """
    places = np.argwhere(mask)
    if not len(places):
        return "nothing"
    ends = zip(places.min(axis=0).tolist(), places.max(axis=0).tolist(), strict=True)
    return f"{len(places)} at " + ",".join(str(a) if a == b else f"{a}-{b}" for a, b in ends)


def _due(witnesses: Sequence[Seen], output: str, claimed: Masks) -> np.ndarray | None:
    """The values of the first witness that sees what is claimed."""
    for each in witnesses:
        value = each.values.get(output)
        masks = {key: m for key, m in each.masks.items() if key[0] == output}
        if value is not None and all(
            m.shape == claimed[key].shape and not (m & ~claimed[key]).any()
            for key, m in masks.items()
        ):
            return value
    return None
