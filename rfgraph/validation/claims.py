"""What is claimed of a run, and whether what is seen contradicts it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from rfgraph.analysis.analysis import Analysis
from rfgraph.reads.words import Shape
from rfgraph.validation.plan import InputRegion, Run
from rfgraph.validation.report import (
    END_NOT_SEEN,
    NOT_SEEN,
    OUTSIDE_BOUNDS,
    OUTSIDE_SUPPORT,
    Tally,
)


@dataclass(frozen=True)
class Claim:
    """What is claimed of the units of one value in one run; masks, compressed.

    Attributes
    ----------
    shape : tuple of int
        The value's shape.
    support : ndarray of bool
        Whose support holds something that is changed.
    bounds : ndarray of bool
        Whose bounds do.
    lower, upper : ndarray of bool
        Whose first, and last, coordinate is changed.
    """

    shape: Shape
    support: np.ndarray
    bounds: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


class Claims:
    """Everything that an analysis claims of some values.

    Parameters
    ----------
    analysis : Analysis
        Who claims.
    tensors : sequence of str
        The values.
    """

    def __init__(self, analysis: Analysis, tensors: Sequence[str]) -> None:
        self._analysis = analysis
        self._tensors = tensors
        self._wanted = frozenset(tensors)
        self._bounds = cache(self._bounds_of)

    def of(self, run: Run) -> dict[str, Claim]:
        """What is claimed of a run, by value."""
        parts = [self._of(region) for region in run.regions]
        return {
            tensor: Claim(
                self._analysis.extent(tensor) or (),
                *(
                    np.logical_or.reduce(np.broadcast_arrays(*masks))
                    for masks in zip(*(part[tensor] for part in parts), strict=True)
                ),
            )
            for tensor in self._tensors
        }

    def _of(self, region: InputRegion) -> dict[str, tuple[np.ndarray, ...]]:
        influenced = self._analysis.influenced(region.input, region.index, self._wanted)
        found: dict[str, tuple[np.ndarray, ...]] = {}
        for tensor in self._tensors:
            nowhere = np.zeros((1,) * len(self._analysis.extent(tensor) or ()), dtype=bool)
            bounds, lower, upper = ~nowhere, nowhere, nowhere
            for axis, coordinates in enumerate(region.coordinates):
                if coordinates is None:
                    # A unit that sees nothing of the input has no coordinate on any axis.
                    lo, hi = self._bounds(tensor, region.input, axis)
                    bounds = bounds & (lo <= hi)
                    continue
                lo, hi = self._bounds(tensor, region.input, axis)
                size = (self._analysis.extent(region.input) or ())[axis]
                held = np.zeros(size + 1, dtype=bool)
                held[list(coordinates)] = True
                before = np.concatenate([[0], np.cumsum(held)])
                bounds = bounds & (before[np.maximum(hi + 1, lo)] > before[lo]) & (lo <= hi)
                if axis == region.axis:
                    lower, upper = held[lo] & (lo <= hi), held[hi] & (lo <= hi)
            found[tensor] = (
                influenced.get(tensor, nowhere),
                bounds,
                lower & bounds,
                upper & bounds,
            )
        return found

    def _bounds_of(self, tensor: str, name: str, axis: int) -> tuple[np.ndarray, np.ndarray]:
        return self._analysis.bounds(tensor, name, axis=axis)


@dataclass(frozen=True)
class Contradiction:
    """A contradicted claim: what is said of `units` units, the first of which is `unit`."""

    claim: str
    unit: Shape
    units: int


def judged(
    claim: Claim, least: np.ndarray, most: np.ndarray, known: np.ndarray | None, *, equal: bool
) -> tuple[Tally, list[Contradiction]]:
    """Hold one value's claim against what is seen.

    Parameters
    ----------
    claim : Claim
        The claim.
    least, most : ndarray of bool
        Units of which it is certain that they changed, and all that may have: the same array
        where there is no doubt.
    known : ndarray of bool or None
        Units of which anything can be seen; None: all.
    equal : bool
        Whether what does not change contradicts the claim too.
    """
    if known is not None:
        least, most = least & known, most & known
    ends = [np.broadcast_to(end, most.shape) for end in (claim.lower, claim.upper)]
    if known is not None:
        ends = [end & known for end in ends]
    contradictions = []
    wrong = np.zeros(most.shape, dtype=bool)
    for what, mask in _contradicting(claim, least, most, ends, equal=equal):
        if known is not None:
            mask = mask & known
        units = int(np.count_nonzero(mask))
        if units:
            wrong |= mask
            unit = np.unravel_index(int(mask.argmax()), mask.shape) if mask.ndim else ()
            contradictions.append(Contradiction(what, tuple(int(k) for k in unit), units))
    tally = Tally(
        runs=1,
        moved=int(np.count_nonzero(most)),
        ends=sum(int(np.count_nonzero(end)) for end in ends),
        attained=sum(int(np.count_nonzero(end & most)) for end in ends),
        wrong=int(np.count_nonzero(wrong)),
    )
    return tally, contradictions


def _contradicting(
    claim: Claim, least: np.ndarray, most: np.ndarray, ends: list[np.ndarray], *, equal: bool
) -> Iterator[tuple[str, np.ndarray]]:
    yield OUTSIDE_SUPPORT, least & ~claim.support
    yield OUTSIDE_BOUNDS, least & ~claim.bounds
    if equal:
        yield NOT_SEEN, claim.support & ~most
        yield END_NOT_SEEN, (ends[0] | ends[1]) & ~most
