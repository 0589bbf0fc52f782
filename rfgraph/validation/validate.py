"""`validate`: an analysis held against the model itself, which onnxruntime runs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from math import prod
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from rfgraph.analysis.inputs import Model
from rfgraph.errors import QueryError, RFGraphError
from rfgraph.reads.words import Shape
from rfgraph.validation.claims import Claims, Finding
from rfgraph.validation.narrowing import narrowed, save_reproduction
from rfgraph.validation.probes import Run, planned
from rfgraph.validation.program import Subject, subject
from rfgraph.validation.report import (
    CLAIMS,
    OUTSIDE_BOUNDS,
    OUTSIDE_SUPPORT,
    Coverage,
    Tally,
    Validation,
    Violation,
)
from rfgraph.validation.runs import Order, Result, forget, runner
from rfgraph.validation.workers import carried_out, threads_of

Method = Literal["perturb", "poison"]

# So many violations are told; of the others there is the count.
_TOLD = 100

# So many are narrowed down to an element.
_NARROWED = 8


def validate(
    model: Model,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    values: Mapping[str, Any] | None = None,
    prune: bool = False,
    strict: bool = False,
    assume: bool = False,
    method: Method = "perturb",
    tensors: Sequence[str] | None = None,
    inputs: Mapping[str, Any] | None = None,
    samples: int | None = None,
    seconds: float | None = 20.0,
    exhaustive: bool = False,
    seed: int = 0,
    jobs: int = 1,
    processes: bool = False,
    executor: Executor | None = None,
    providers: Sequence[str] = ("CPUExecutionProvider",),
    reproductions: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Validation:
    """Test the claims of an analysis on the model itself, with onnxruntime and no gradients.

    The claim: nothing outside of its bounds, and of its support, can change a unit, and both ends
    of its bounds can. Whole planes ``x[..., c, ...]`` of an input are changed, which tests every
    unit of every value against coordinate ``c`` in one forward pass, and single elements besides.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
        The model, with its weights.
    shapes, values, prune, strict, assume
        As for `analyze`.
    method : {"perturb", "poison"}
        ``perturb`` changes numbers and compares with the unchanged run: what moves must be
        claimed; what does not move was not observed. ``poison`` makes them NaN, in a copy of the
        model in which operators that lose NaN are exchanged for ones that read the same: what is
        NaN must equal the claim.
    tensors : sequence of str, optional
        Values to test, or patterns as of a shell. If left out the outputs and up to 32 values
        spread over the graph.
    inputs : mapping of str to array, optional
        What to run the model on; random numbers for the inputs that are left out.
    samples : int, optional
        At most so many planes across each axis, and elements of each input. If left out all
        planes and 32 elements.
    seconds : float, optional
        No run begins after so many seconds, but one is always made. What the runs until then have
        changed is spread evenly over the inputs. None: all runs are made.
    exhaustive : bool, optional
        Whether every plane and every element is changed in a run of its own. Else planes share
        one where no unit that may see one of them comes within its field's size of another:
        then a unit that in truth depends on something further away than that can stay unnoticed.
    seed : int, optional
        Of all random numbers.
    jobs : int, optional
        Runs at a time.
    processes : bool, optional
        Whether these are processes; else threads.
    executor : concurrent.futures.Executor, optional
        Who carries out the runs, such as dask's ``client.get_executor()``; `jobs` is then how
        many workers it is taken to have. The model is sent along.
    providers : sequence of str, optional
        Execution providers of onnxruntime.
    reproductions : path, optional
        A folder, empty or not there yet, to write what shows the first violations again: the
        model, two sets of inputs and a script.
    progress : callable, optional
        Called with the number of forward passes made and of all.

    Returns
    -------
    Validation
        What was tested and what contradicts the claims; ``ok`` if nothing does. A
        `KeyboardInterrupt` ends it early, and is told by ``interrupted``.

    Raises
    ------
    ModelError, ShapeError, UnsupportedError
        As for `analyze`.
    QueryError
        A value, an input or an option makes no sense.
    RFGraphError
        onnxruntime is not installed, or does not run the model.

    Examples
    --------
    >>> found = validate("models/lenet_textbook.onnx", method="poison")
    >>> found.ok, found.passes, found.naive, found.total.ends == found.total.attained
    (True, 56, 900, True)
    """
    _check(method, prune=prune, samples=samples, jobs=jobs, seconds=seconds, seed=seed)
    folder = _empty(reproductions)
    begin = time.monotonic()
    tested = subject(
        model,
        shapes=shapes or {},
        values=values or {},
        options={"prune": prune, "strict": strict},
        assume=assume,
        poison=method == "poison",
        tensors=tensors,
        inputs=inputs or {},
        seed=seed,
        providers=providers,
        threads=threads_of(1 if executor is not None else jobs),
    )
    report = Validation(
        tested.analysis,
        method,
        seed,
        units={t: prod(tested.analysis.extent(t) or ()) for t in tested.tensors},
        untested=tested.untested,
        notes=tested.notes,
    )
    runs = planned(
        tested.analysis,
        tested.tensors,
        tested.inputs if tested.tensors else [],
        rows=tested.rows,
        samples=samples,
        exhaustive=exhaustive,
        seed=seed,
    )
    if not exhaustive and any(change.many > 1 for run in runs for change in run.changes):
        report.notes.append(
            "planes share passes: what a unit sees further from its field than that is long can "
            "stay unnoticed (exhaustive changes each plane by itself)"
        )
    tally = _Count(report, tested, runs)
    report.planned = len(runs) * len(tested.groups)
    started = time.monotonic()

    def going_on() -> bool:
        return seconds is None or time.monotonic() - started < seconds

    results = carried_out(
        tested.program,
        tally.orders(),
        going_on,
        tally.lost,
        jobs=jobs,
        processes=processes,
        executor=executor,
    )
    try:
        for result in results:
            tally.add(result)
            if progress is not None:
                progress(report.passes, report.planned)
    except KeyboardInterrupt:
        report.interrupted = True
    finally:
        results.close()
    tally.finish(folder)
    forget(tested.program)
    report.seconds = time.monotonic() - begin
    return report


def _check(
    method: str,
    *,
    prune: bool,
    samples: int | None,
    jobs: int,
    seconds: float | None,
    seed: int,
) -> None:
    if method not in get_args(Method):
        raise QueryError(f"'{method}' is no method", remedy="perturb or poison")
    if prune and method == "poison":
        raise QueryError(
            "poison shows the structure, which prune cuts: 0 times NaN is NaN",
            remedy="use the method perturb with prune",
        )
    if jobs < 1 or (samples is not None and samples < 1):
        raise QueryError("jobs and samples are at least 1")
    if seed < 0:
        raise QueryError("the seed is at least 0")
    if seconds is not None and not seconds > 0:
        raise QueryError("seconds: some time is needed")


def _empty(folder: str | os.PathLike[str] | None) -> Path | None:
    """A folder that has nothing in it yet."""
    if folder is None:
        return None
    path = Path(folder)
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise QueryError(f"{path} is there already", remedy="name a new folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RFGraphError(f"the folder can't be made: {error.strerror}", file=str(path)) from None
    return path


class _Count:
    """Adds up what the runs show."""

    def __init__(self, report: Validation, tested: Subject, runs: list[Run]) -> None:
        self._report = report
        self._tested = tested
        self._runs = runs
        self._findings: list[tuple[Run, str, Finding]] = []
        self._lost: dict[str, int] = {}
        self._refused: dict[str, int] = {}
        self._unstable: set[str] = set()
        self._blank: dict[str, int] = {}
        self._counted: set[int] = set()
        self._narrowed: dict[tuple[str, Shape, int], np.ndarray | None] = {}
        analysis = tested.analysis
        report.naive = sum(prod(analysis.extent(n) or ()) for n in tested.inputs)
        self._coverage: dict[tuple[str, int | None], Coverage] = {}
        for change in (change for run in runs for change in run.changes):
            shape = analysis.extent(change.input) or ()
            there = prod(shape) if change.axis is None else shape[change.axis]
            part = Coverage(change.input, change.axis, there)
            self._coverage.setdefault((change.input, change.axis), part).planned += change.many
        report.coverage = list(self._coverage.values())

    def orders(self) -> Iterator[Order]:
        """All forward passes, with what is claimed of each."""
        claims = Claims(self._tested.analysis, self._tested.tensors)
        for run in self._runs:
            claimed = claims.of(run)
            for group in self._tested.groups:
                yield Order(run, {tensor: claimed[tensor] for tensor in group})

    def lost(self, why: str) -> None:
        """A worker was lost, and one of its orders is carried out here."""
        self._lost[why] = self._lost.get(why, 0) + 1

    def add(self, result: Result) -> None:
        """Count a forward pass."""
        report = self._report
        run = self._runs[result.number]
        report.passes += 1
        if result.refused:
            self._refused[result.refused] = self._refused.get(result.refused, 0) + 1
            return
        if result.number not in self._counted:
            self._counted.add(result.number)
            for change in run.changes:
                self._coverage[change.input, change.axis].changed += change.many
        self._unstable.update(result.unstable)
        self._blank.update(result.blank)
        name = run.changes[0].input
        for value, tally in result.tallies.items():
            report.tallies.setdefault((value, name), Tally()).add(tally)
        self._findings.extend((run, value, finding) for value, finding in result.findings)

    def finish(self, reproductions: Path | None) -> None:
        """Tell the violations, and what else is to be known."""
        report = self._report
        for tensor in sorted(self._unstable):
            report.untested[tensor] = "two equal runs differ: the model is not deterministic"
            report.units.pop(tensor, None)
            for key in [k for k in report.tallies if k[0] == tensor]:
                del report.tallies[key]
        found = self._contradictions()
        report.contradictions = len(found)
        report.violations = [
            self._violation(run, value, finding, reproductions)
            for run, value, finding in found[:_TOLD]
        ]
        if reproductions is not None and not any(reproductions.iterdir()):
            reproductions.rmdir()
        elif reproductions is not None:
            report.notes.append(f"shown again by {reproductions / 'violation-*' / 'reproduce.py'}")
        if len(found) > _TOLD:
            report.notes.append(f"{len(found) - _TOLD} violations more are not listed")
        if self._blank:
            first, some = next(iter(self._blank.items()))
            report.notes.append(
                f"{sum(self._blank.values())} units are NaN without any change, which shows "
                f"nothing of them: {some} of '{first}'"
                + (f", and of {len(self._blank) - 1} more values" if len(self._blank) > 1 else "")
            )
        for why, n in self._lost.items():
            report.notes.append(f"a worker was lost, and {n} passes were made here: {why}")
        for why, n in self._refused.items():
            report.notes.append(f"onnxruntime refused {n} of the changed inputs: {why}")

    def _contradictions(self) -> list[tuple[Run, str, Finding]]:
        """What was found, in an order that does not depend on who was first; a shape once."""
        found = [f for f in self._findings if f[1] not in self._unstable]
        place = {value: k for k, value in enumerate(self._tested.tensors)}
        found.sort(key=lambda f: (f[0].number, place[f[1]]))
        once: dict[object, tuple[Run, str, Finding]] = {}
        for run, value, finding in found:
            key = run.number if finding.claim in CLAIMS else None
            once.setdefault((key, value, finding.claim), (run, value, finding))
        return list(once.values())

    def _violation(
        self, run: Run, value: str, finding: Finding, reproductions: Path | None
    ) -> Violation:
        analysis, shown = self._tested.analysis, runner(self._tested.program)
        name = run.changes[0].input
        changed = " and ".join(map(str, run.changes))
        if finding.claim not in CLAIMS:
            changed = "whatever is changed"
        element: tuple[int, ...] | None = None
        places: np.ndarray | None = None
        # The same unit may be outside of its bounds and of its support.
        key = (value, finding.unit, run.number)
        number = len(self._narrowed)
        first = key not in self._narrowed and number < _NARROWED
        if finding.claim in (OUTSIDE_SUPPORT, OUTSIDE_BOUNDS):
            if first:
                claimed = np.asarray(analysis.support(value, finding.unit, name))
                self._narrowed[key] = narrowed(shown, run, value, finding.unit, claimed)
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
            finding.unit,
            finding.units,
            finding.claim,
            changed,
            analysis.box(value, finding.unit, name),
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
                    self._report.notes.append(str(error))
        return violation
