"""`validate`: an analysis held against the model itself, which onnxruntime runs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from math import prod
from typing import Any, Literal, get_args

from rfgraph.analysis.inputs import Model
from rfgraph.errors import QueryError
from rfgraph.files import new_folder
from rfgraph.runtimes.registry import options_of
from rfgraph.validation.evidence import Evidence
from rfgraph.validation.plan import Run, planned
from rfgraph.validation.preparation import Prepared, prepared
from rfgraph.validation.report import Validation
from rfgraph.validation.runs import Workload, forget
from rfgraph.worker.pool import results_of, threads_of

Method = Literal["perturb", "poison"]


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
    runtime: str | None = None,
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
    runtime : str, optional
        Another runtime that runs the model, in a process of its own, as ``openvino`` or
        ``onnxruntime:level=all``; see `rfgraph.runtimes.start`. What changes there by no more than
        rounding has not changed. With `method` perturb only: what carries NaN is known of
        onnxruntime's own kernels.
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
    if runtime is not None:
        _check_runtime(method, runtime, providers)
    folder = new_folder(reproductions)
    begin = time.monotonic()
    found = prepared(
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
        runtime=runtime or "",
    )
    report = _report(found, method, seed)
    report.runtime = runtime or "onnxruntime"
    evidence = Evidence(report, found, _runs(found, report, samples, seed, exhaustive=exhaustive))
    options = {"jobs": jobs, "processes": processes, "executor": executor}
    _carry_out(found.workload, evidence, seconds, progress, options)
    evidence.finish(folder)
    forget(found.workload)
    report.seconds = time.monotonic() - begin
    return report


def _report(found: Prepared, method: Method, seed: int) -> Validation:
    """A report that says what is tested, and not yet what was found."""
    return Validation(
        found.analysis,
        method,
        seed,
        units={t: prod(found.analysis.extent(t) or ()) for t in found.tensors},
        untested=found.untested,
        notes=found.notes,
    )


def _runs(
    found: Prepared, report: Validation, samples: int | None, seed: int, *, exhaustive: bool
) -> list[Run]:
    """All runs; the report says how many passes these are, and what they can hide."""
    runs = planned(
        found.analysis,
        found.tensors,
        found.inputs if found.tensors else [],
        rows=found.rows,
        samples=samples,
        exhaustive=exhaustive,
        seed=seed,
    )
    if not exhaustive and any(region.many > 1 for run in runs for region in run.regions):
        report.notes.append(
            "planes share passes: what a unit sees farther from its field than the field is long "
            "can go unnoticed (exhaustive changes each plane in a pass of its own)"
        )
    report.planned = len(runs) * len(found.groups)
    return runs


def _carry_out(
    workload: Workload,
    evidence: Evidence,
    seconds: float | None,
    progress: Callable[[int, int], None] | None,
    options: Mapping[str, Any],
) -> None:
    """Make the runs until the time is up; `options` say who makes them."""
    started = time.monotonic()

    def going_on() -> bool:
        return seconds is None or time.monotonic() - started < seconds

    report = evidence.report
    results = results_of(workload, evidence.orders(), going_on, evidence.lost, **options)
    try:
        for result in results:
            evidence.add(result)
            if progress is not None:
                progress(report.passes, report.planned)
    except KeyboardInterrupt:
        report.interrupted = True
    finally:
        results.close()


def _check_runtime(method: str, runtime: str, providers: Sequence[str]) -> None:
    options_of(runtime)
    if method == "poison":
        raise QueryError(
            "poison needs onnxruntime: it is its kernels of which it is known what carries NaN",
            remedy="use the method perturb",
        )
    if tuple(providers) != ("CPUExecutionProvider",):
        raise QueryError(
            "providers are those of onnxruntime, and a runtime is given",
            remedy="name the provider with it, as in onnxruntime:provider=CPUExecutionProvider",
        )


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
        raise QueryError(
            f"there is no method '{method}'", remedy="the methods are perturb and poison"
        )
    if prune and method == "poison":
        raise QueryError(
            "poison can't be used with prune: 0 times NaN is NaN, so what prune cuts is still seen",
            remedy="use the method perturb",
        )
    if jobs < 1 or (samples is not None and samples < 1):
        raise QueryError("jobs and samples have to be at least 1")
    if seed < 0:
        raise QueryError("the seed has to be at least 0")
    if seconds is not None and not seconds > 0:
        raise QueryError("seconds has to be greater than 0")
