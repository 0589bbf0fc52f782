"""The outputs of whole models on two sides: how far their values differ, and what they see."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np

from rfgraph.agreement.result import AGREED, PARTED, UNTESTED, OutputFound
from rfgraph.agreement.sides import Side, alone, amplified, is_clear
from rfgraph.runtimes import Outcome
from rfgraph.runtimes.observe import MARGIN, Region, Sight, distance, observed, tensor
from rfgraph.validation.claims import Claim, Claims
from rfgraph.validation.plan import Run

# The most units of all outputs together that are looked at.
_UNITS = 200_000

# Where one side has clearly seen so many ends, and the other none, that one sees nothing.
_MANY = 64

# No unit.
_NONE = np.zeros(0, np.int64)

# So many changes are made between two looks at the clock; one of inputs of more bytes.
_STEP = 8
_LARGE = 1 << 26


@dataclass
class Tally:
    """What the changes have shown of one output so far; see `OutputFound`."""

    ends: int = 0
    attained: list[int] = field(default_factory=lambda: [0, 0])
    clear: list[int] = field(default_factory=lambda: [0, 0])
    alone: list[int] = field(default_factory=lambda: [0, 0])
    beyond: list[int] = field(default_factory=lambda: [0, 0])
    first: str = ""


class Whole:
    """Changes of the inputs of two whole models.

    Parameters
    ----------
    sides : tuple of Side
        Both; the first has the claims.
    points : sequence of mapping
        Base points, as inputs of the first.
    answers : tuple of sequence of Outcome
        What they have made of the base points.
    matched : sequence of (str, int or None)
        The outputs of the first, and their places among those of the second.
    """

    def __init__(
        self,
        sides: tuple[Side, Side],
        points: Sequence[Mapping[str, np.ndarray]],
        answers: tuple[Sequence[Outcome], Sequence[Outcome]],
        matched: Sequence[tuple[str, int | None]],
    ) -> None:
        self.sides = sides
        self._matched = matched
        self.claims = Claims(sides[0].analysis, [name for name, _ in matched])
        pairs = list(zip(*answers, strict=True))
        good = [k for k, pair in enumerate(pairs) if all(one.outputs for one in pair)]
        self._arrays = [
            (list(map(tensor, pairs[k][0].outputs)), list(map(tensor, pairs[k][1].outputs)))
            for k in good
        ]
        # One base point is enough to see whole models by: they have many paths.
        self._points = [points[k] for k in good[:1]]
        self._distances: dict[tuple[int, int], float] = {}
        self._tallies = {name: Tally() for name, _ in matched}
        self._units = self._chosen()

    def _chosen(self) -> list[np.ndarray | None]:
        """Which units of each output are looked at; spread evenly if there are too many."""
        sizes = [array.size for array in self._arrays[0][0]] if self._arrays else []
        share = max(_UNITS // max(len(sizes), 1), 1)
        return [
            None if size <= share else np.linspace(0, size - 1, share).astype(np.int64)
            for size in sizes
        ]

    def _apart(self, k: int, place: int) -> float:
        """How far an output's values are apart on the same inputs."""
        if (k, place) not in self._distances:
            self._distances[k, place] = max(
                float(distance(one[k], two[place]).max(initial=0.0)) for one, two in self._arrays
            )
        return self._distances[k, place]

    def _alike(self, k: int, place: int) -> bool:
        """Whether an output has the same shape on both sides, and as is claimed."""
        ours, theirs = self._arrays[0]
        name = self._matched[k][0]
        shape = np.shape(ours[k])
        return bool(shape == np.shape(theirs[place]) == self.sides[0].analysis.extent(name))

    def observe(self, runs: Sequence[Run], going_on: Callable[[], bool]) -> int:
        """Make the changes of some runs on both sides; return how many were made."""
        made = 0
        if not self._arrays:
            return len(runs)
        size = sum(np.asarray(array).nbytes for array in self._points[0].values())
        several = 1 if size > _LARGE else _STEP
        for k in range(0, len(runs), several):
            if k and not going_on():
                break
            step = runs[k : k + several]
            regions = [_region(run, self._points[0]) for run in step]
            sights = [self._sight(side, regions) for side in self.sides]
            made += len(step)
            if any(isinstance(sight, Outcome) for sight in sights):
                continue
            for row, run in enumerate(step):
                self._add(self.claims.of(run), row, str(run.regions[0]), sights)
        return made

    def _sight(self, side: Side, regions: Sequence[Region]) -> Sight | Outcome:
        first = self.sides[0]
        points = self._points if side is first else [side.feeds(p) for p in self._points]
        own = [r if side is first else side.region(r, self._points[0]) for r in regions]
        # The outputs of the second may be others, in another order.
        units: list[np.ndarray | None] = list(self._units)
        if side is not first:
            units = [None] * len(self._arrays[0][1])
            for k, (_, place) in enumerate(self._matched):
                if place is not None:
                    units[place] = self._units[k] if self._alike(k, place) else _NONE
        return observed(side.session, points, own, units=units, precision=side.noise)

    def _add(
        self,
        claims: Mapping[str, Claim],
        row: int,
        region: str,
        sights: Sequence[Sight | Outcome],
    ) -> None:
        first, second = self.sides
        for k, (name, place) in enumerate(self._matched):
            ours, theirs = sights
            assert isinstance(ours, Sight)
            assert isinstance(theirs, Sight)
            if (
                place is None
                or not self._alike(k, place)
                or row in ours.failed
                or row in theirs.failed
            ):
                continue
            a, b = ours.responses[k][row], theirs.responses[place][row]
            claim, tally = claims[name], self._tallies[name]
            masks = [
                flat(mask, claim.shape, self._units[k])
                for mask in (claim.support, claim.lower | claim.upper)
            ]
            support, ends = masks
            tally.ends += int(np.count_nonzero(ends))
            coarse = first.coarse or second.coarse
            least = amplified(self._apart(k, place))
            lone = (
                alone(a, b, first, second, support, coarse=coarse, least=least),
                alone(b, a, second, first, support, coarse=coarse, least=least),
            )
            for side, (response_, noise) in enumerate(((a, first.noise), (b, second.noise))):
                seen = response_ > max(MARGIN * noise, least)
                tally.attained[side] += int(np.count_nonzero(ends & (response_ > 0)))
                tally.clear[side] += int(np.count_nonzero(ends & is_clear(response_)))
                tally.beyond[side] += int(np.count_nonzero(seen & ~support))
                tally.alone[side] += int(np.count_nonzero(lone[side]))
                if lone[side].any() and not tally.first:
                    at = int(lone[side].argmax())
                    chosen = self._units[k]
                    place_ = at if chosen is None else int(chosen[at])
                    unit = ",".join(map(str, np.unravel_index(place_, claim.shape)))
                    tally.first = (
                        f"unit {unit} changes with {region} in {self.sides[side].name} only"
                    )

    def found(self) -> list[OutputFound]:
        """What is told of each output."""
        if not self._arrays:
            why = "there are no inputs that both sides answer"
            return [OutputFound(name, UNTESTED, why=why) for name, _ in self._matched]
        return [self._output(k, name, place) for k, (name, place) in enumerate(self._matched)]

    def _output(self, k: int, name: str, place: int | None) -> OutputFound:
        ours, theirs = self._arrays[0]
        size = ours[k].size
        if place is None:
            why = f"{self.sides[1].name} has no such output"
            return OutputFound(name, UNTESTED, units=size, why=why)
        apart = self._apart(k, place)
        random = [s.name for s, at in zip(self.sides, (k, place), strict=True) if at in s.unsteady]
        if random:
            why = f"equal runs differ in {' and in '.join(random)}: it is random"
            return OutputFound(name, UNTESTED, apart, size, why=why)
        if ours[k].shape != theirs[place].shape:
            why = f"its shape is {ours[k].shape} in one and {theirs[place].shape} in the other"
            return OutputFound(name, PARTED, apart, size, why=why)
        if not self._alike(k, place):
            why = "its shape depends on the data, or it is no tensor"
            return OutputFound(name, UNTESTED, apart, size, why=why)
        tally, chosen = self._tallies[name], self._units[k]
        why = tally.first
        for blind, attained, clear in zip(
            self.sides, tally.attained, reversed(tally.clear), strict=True
        ):
            if not attained and clear >= _MANY:
                why = why or f"it changes with nothing in {blind.name}"
        kind = PARTED if why else AGREED
        if kind == AGREED and tally.ends and not any(tally.attained):
            finite = any(np.isfinite(a[at]).any() for a, at in ((ours, k), (theirs, place)))
            why = "it changes with nothing on either side" if finite else "no number is finite"
            kind = UNTESTED
        return OutputFound(
            name,
            kind,
            apart,
            size,
            size if chosen is None else len(chosen),
            tally.ends,
            (tally.attained[0], tally.attained[1]),
            (tally.alone[0], tally.alone[1]),
            (tally.beyond[0], tally.beyond[1]),
            why,
        )


def _region(run: Run, point: Mapping[str, np.ndarray]) -> Region:
    region = run.regions[0]
    return Region(region.input, region.within(np.shape(point[region.input])))


def flat(mask: np.ndarray, shape: tuple[int, ...], chosen: np.ndarray | None) -> np.ndarray:
    """A mask of units, as they lie in memory; those that were chosen."""
    if mask.size == 1 and prod(shape) != 1:
        size = prod(shape) if chosen is None else len(chosen)
        return np.full(size, bool(mask.reshape(-1)[0]))
    spread = np.broadcast_to(mask, shape).reshape(-1)
    found: np.ndarray = spread if chosen is None else spread[chosen]
    return found


def until(seconds: float | None) -> Callable[[], bool]:
    """Whether so much time is not over yet."""
    began = time.monotonic()
    return lambda: seconds is None or time.monotonic() - began < seconds


__all__ = ["Whole", "flat", "until"]
