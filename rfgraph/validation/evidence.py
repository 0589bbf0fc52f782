"""What all runs have shown together, and which contradictions of claims that makes."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np

from rfgraph.errors import RFGraphError
from rfgraph.reads.words import Shape
from rfgraph.validation.claims import Claims, Contradiction
from rfgraph.validation.narrowing import narrowed, save_reproduction
from rfgraph.validation.plan import Run
from rfgraph.validation.preparation import Prepared
from rfgraph.validation.report import (
    CLAIMS,
    OUTSIDE_BOUNDS,
    OUTSIDE_SUPPORT,
    Coverage,
    Tally,
    Validation,
    Violation,
)
from rfgraph.validation.runs import Order, Result, runner_of

# This many violations are listed; the others are only counted.
_TOLD = 100

# This many violations are narrowed down to one element.
_NARROWED = 8


class Evidence:
    """Adds up what the runs show.

    Parameters
    ----------
    report : Validation
        Where to.
    prepared : Prepared
        What is tested.
    runs : list of Run
        All runs, by their numbers.
    """

    def __init__(self, report: Validation, prepared: Prepared, runs: list[Run]) -> None:
        self.report = report
        self._prepared = prepared
        self._runs = runs
        self._found: list[tuple[Run, str, Contradiction]] = []
        self._lost: dict[str, int] = {}
        self._refused: dict[str, int] = {}
        self._unstable: set[str] = set()
        self._blank: dict[str, int] = {}
        self._counted: set[int] = set()
        self._narrowed: dict[tuple[str, Shape, int], np.ndarray | None] = {}
        analysis = prepared.analysis
        report.naive = sum(prod(analysis.extent(n) or ()) for n in prepared.inputs)
        self._coverage: dict[tuple[str, int | None], Coverage] = {}
        for region in (region for run in runs for region in run.regions):
            shape = analysis.extent(region.input) or ()
            there = prod(shape) if region.axis is None else shape[region.axis]
            part = Coverage(region.input, region.axis, there)
            self._coverage.setdefault((region.input, region.axis), part).planned += region.many
        report.coverage = list(self._coverage.values())

    def orders(self) -> Iterator[Order]:
        """All forward passes, with what is claimed of each."""
        claims = Claims(self._prepared.analysis, self._prepared.tensors)
        for run in self._runs:
            claimed = claims.of(run)
            for group in self._prepared.groups:
                yield Order(run, {tensor: claimed[tensor] for tensor in group})

    def lost(self, why: str) -> None:
        """A worker was lost, and one of its orders is carried out here."""
        self._lost[why] = self._lost.get(why, 0) + 1

    def add(self, result: Result) -> None:
        """Count a forward pass."""
        report = self.report
        run = self._runs[result.number]
        report.passes += 1
        if result.refused:
            self._refused[result.refused] = self._refused.get(result.refused, 0) + 1
            return
        if result.number not in self._counted:
            self._counted.add(result.number)
            for region in run.regions:
                self._coverage[region.input, region.axis].changed += region.many
        self._unstable.update(result.unstable)
        self._blank.update(result.blank)
        name = run.regions[0].input
        for value, tally in result.tallies.items():
            report.tallies.setdefault((value, name), Tally()).add(tally)
        self._found.extend((run, value, found) for value, found in result.contradictions)

    def finish(self, reproductions: Path | None) -> None:
        """Tell the violations, and what else is to be known."""
        report = self.report
        for tensor in sorted(self._unstable):
            report.untested[tensor] = "two equal runs differ: the model is not deterministic"
            report.units.pop(tensor, None)
            for key in [k for k in report.tallies if k[0] == tensor]:
                del report.tallies[key]
        found = self._contradictions()
        report.contradictions = len(found)
        report.violations = [
            self._violation(run, value, contradiction, reproductions)
            for run, value, contradiction in found[:_TOLD]
        ]
        if reproductions is not None and not any(reproductions.iterdir()):
            reproductions.rmdir()
        elif reproductions is not None:
            report.notes.append(f"to reproduce: {reproductions / 'violation-*' / 'reproduce.py'}")
        if len(found) > _TOLD:
            report.notes.append(f"{len(found) - _TOLD} more violations are not listed")
        if self._blank:
            first, some = next(iter(self._blank.items()))
            report.notes.append(
                f"{sum(self._blank.values())} units are NaN before anything is changed, and can't "
                f"be tested: {some} of '{first}'"
                + (f", and of {len(self._blank) - 1} more values" if len(self._blank) > 1 else "")
            )
        for why, n in self._lost.items():
            report.notes.append(f"a worker was lost, and {n} passes were made without it: {why}")
        for why, n in self._refused.items():
            report.notes.append(f"{report.runtime} refused {n} of the changed inputs: {why}")

    def _contradictions(self) -> list[tuple[Run, str, Contradiction]]:
        """What was found, in an order that does not depend on who was first; a shape once."""
        found = [f for f in self._found if f[1] not in self._unstable]
        place = {value: k for k, value in enumerate(self._prepared.tensors)}
        found.sort(key=lambda f: (f[0].number, place[f[1]]))
        once: dict[object, tuple[Run, str, Contradiction]] = {}
        for run, value, contradiction in found:
            key = run.number if contradiction.claim in CLAIMS else None
            once.setdefault((key, value, contradiction.claim), (run, value, contradiction))
        return list(once.values())

    def _violation(
        self, run: Run, value: str, contradiction: Contradiction, reproductions: Path | None
    ) -> Violation:
        analysis, shown = self._prepared.analysis, runner_of(self._prepared.workload)
        name = run.regions[0].input
        changed = " and ".join(map(str, run.regions))
        if contradiction.claim not in CLAIMS:
            changed = "whatever is changed"
        element: tuple[int, ...] | None = None
        places: np.ndarray | None = None
        # The same unit may be outside of its bounds and of its support.
        key = (value, contradiction.unit, run.number)
        number = len(self._narrowed)
        first = key not in self._narrowed and number < _NARROWED
        if contradiction.claim in (OUTSIDE_SUPPORT, OUTSIDE_BOUNDS):
            if first:
                claimed = np.asarray(analysis.support(value, contradiction.unit, name))
                self._narrowed[key] = narrowed(shown, run, value, contradiction.unit, claimed)
            places = self._narrowed.get(key)
            if places is not None:
                at = np.argwhere(places)
                element = tuple(map(int, at[0])) if len(at) == 1 else None
                changed = (
                    f"{name}[{', '.join(map(str, element))}]"
                    if element is not None
                    else f"{len(at)} elements together, of {changed}"
                )
        violation = Violation(
            value,
            name,
            contradiction.unit,
            contradiction.units,
            contradiction.claim,
            changed,
            analysis.box(value, contradiction.unit, name),
            element,
            run.number,
        )
        if first:
            self._narrowed.setdefault(key, None)
            if reproductions is not None:
                folder = reproductions / f"violation-{number}"
                try:
                    save_reproduction(folder, shown, run, violation, places)
                except RFGraphError as error:
                    self.report.notes.append(str(error))
        return violation
