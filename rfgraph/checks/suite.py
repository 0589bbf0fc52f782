"""Many models at once: which ones, in how many processes, and what came of it."""

from __future__ import annotations

import glob
import os
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from rfgraph import ops
from rfgraph.analysis.collector import uncollected
from rfgraph.analysis.inputs import Model
from rfgraph.checks.baseline import Baseline
from rfgraph.checks.baseline import read as read_baseline
from rfgraph.checks.finding import Checked, Report, folded
from rfgraph.checks.registry import CHECKS
from rfgraph.checks.settings import Config
from rfgraph.checks.subject import Subject
from rfgraph.compare import snapshot
from rfgraph.errors import QueryError, RFGraphError
from rfgraph.limits import Limits, too_much
from rfgraph.processes import Lost, carried_out

# The error of a model that was not reached when the user ended it.
INTERRUPTED = "not checked: interrupted"


def check(
    models: Model | Sequence[Model],
    *,
    config: Config | None = None,
    baseline: str | os.PathLike[str] | Baseline | None = None,
    jobs: int = 1,
    timeout: float = 0,
    memory: int = 0,
    progress: Callable[[int, int], None] | None = None,
    **settings: Any,
) -> Report:
    """Check the receptive fields of models, by rules and by limits that are given.

    Parameters
    ----------
    models : path, bytes, onnx.ModelProto, or a sequence of them
        Files, folders (every ``*.onnx`` in them and below), patterns as of a shell, or models.
    config : Config, optional
        What is asked of them, as ``rfgraph.checks.load`` reads it from a file. If left out, the
        defaults.
    baseline : path or Baseline, optional
        Findings that are known, and what values saw before.
    jobs : int, optional
        Processes at a time. Where they begin anew, as on other systems than Linux, a script that
        asks for several protects what it does with ``if __name__ == "__main__"``.
    timeout : float, optional
        So many seconds a model may take; 0: as long as it wants. With it, or `memory`, models are
        checked in processes of their own, so that one that ends its process is told like any error.
    memory : int, optional
        So many MiB a model may take, on Linux; 0: as much as there is.
    progress : callable, optional
        Called with the number of models done and of all.
    **settings
        Options of the configuration, with ``_`` for ``-``: they go before it.

    Returns
    -------
    Report
        What was found; ``ok`` if that is nothing, ``passed`` if it is nothing that fails
        (``fail_on``: by default notes don't). A model that can't be checked is told by its
        ``error``, and does not stop the others. `KeyboardInterrupt` ends it early, and is told by
        ``interrupted``.

    Raises
    ------
    QueryError
        The settings, or the baseline, make no sense.

    Examples
    --------
    >>> report = check("models/lenet_textbook.onnx", at_least=32)
    >>> for finding in report.findings:
    ...     print(finding.code, finding.message)
    RF101 output 'y' sees 6 elements along axis 2 of input 'x', and has to see at least 32
    RF101 output 'y' sees 6 elements along axis 3 of input 'x', and has to see at least 32
    """
    begin = time.monotonic()
    config = (config or Config()).with_values(
        {name.replace("_", "-"): value for name, value in settings.items()}, "check()"
    )
    general = config.settings(None)
    if baseline is None:
        named = general.get("baseline")
        baseline = config.root / named if named else Baseline()
    if not isinstance(baseline, (str, os.PathLike, Baseline)):
        raise QueryError(f"baseline: {baseline!r} is not a path")
    known = baseline if isinstance(baseline, Baseline) else read_baseline(baseline)
    work = list(_work(models, config, known))
    found: dict[int, Checked] = {}
    interrupted = False
    try:
        for k, checked in _carried_out(work, config, jobs, Limits(timeout, memory)):
            found[k] = checked
            if progress is not None:
                progress(len(found), len(work))
    except KeyboardInterrupt:
        interrupted = True
    for k, (_, name, *_) in enumerate(work):
        found.setdefault(k, Checked(name, error=INTERRUPTED))
    report = Report(
        [found[k] for k in range(len(work))],
        fail_on=general.get("fail-on"),
        interrupted=interrupted,
    )
    kinds = {code for code, one in CHECKS.items() if one.folds}
    for checked in report.models:
        # A baseline tells a layer that is new from those that are known: they are folded later.
        report.stale.extend(known.apply(checked))
        checked.findings = folded(checked.findings, kinds)
        checked.known = folded(checked.known, kinds)
    report.seconds = time.monotonic() - begin
    return report


# A model, how reports name it, what its values saw, and why it can't be checked.
_Order = tuple[Model, str, Mapping[str, Any] | None, str]


def _work(models: Model | Sequence[Model], config: Config, known: Baseline) -> Iterator[_Order]:
    given: Sequence[Any] = models if isinstance(models, (list, tuple)) else [models]
    seen: set[str] = set()
    for item in given:
        if not isinstance(item, (str, os.PathLike)):
            name = "model" if len(given) == 1 else f"model {len(seen) + 1}"
            seen.add(name)
            yield item, name, known.fields(name), ""
            continue
        for path, error in _files(os.fspath(item)):
            name = config.shown(path)
            if name not in seen:
                seen.add(name)
                yield path, name, known.fields(name), error


def _files(given: str) -> Sequence[tuple[str, str]]:
    """The files that a path or a pattern means, and why one can't be checked."""
    if given and os.path.isdir(given):
        return _below(given) or [(given, "the folder has no .onnx file in it")]
    if glob.has_magic(given) and not os.path.exists(given):
        found = sorted(p for p in glob.glob(given, recursive=True) if os.path.isfile(p))
        return [(p, "") for p in found] or [(given, "no file matches the pattern")]
    return [(given, "")]


def _below(folder: str) -> Sequence[tuple[str, str]]:
    """The models in a folder and below; a folder that can't be looked into is told like one."""
    found: list[tuple[str, str]] = []

    def closed(error: OSError) -> None:
        found.append((error.filename, f"the folder can't be read: {error.strerror}"))

    for place, _, names in os.walk(folder, onerror=closed):
        found += [(os.path.join(place, name), "") for name in names if name.endswith(".onnx")]
    return sorted(found)


def _carried_out(
    work: Sequence[_Order], config: Config, jobs: int, limits: Limits
) -> Iterator[tuple[int, Checked]]:
    """What comes of every order, as soon as it is known."""
    if not any(limits) and (jobs <= 1 or len(work) <= 1):
        for k, order in enumerate(work):
            yield k, checked(order, config)
        return
    for k, one in carried_out(
        partial(checked, config=config, memory=limits.mebibytes), work, jobs=jobs, limits=limits
    ):
        yield k, Checked(work[k][1], error=one.why) if isinstance(one, Lost) else one


def checked(order: _Order, config: Config, memory: int = 0) -> Checked:
    """Check one model; `memory` is what it may take, in MiB, or 0."""
    model, name, before, error = order
    begin = time.monotonic()
    found = Checked(name, error=error)
    if not error:
        try:
            with uncollected():
                _check(model, found, before, config)
        except RFGraphError as reason:
            found.error = str(reason)
        except MemoryError:
            found.error = too_much(memory)
        except Exception as reason:  # one model must not stop the others
            said = " ".join(str(reason).split())
            found.error = f"internal error: {type(reason).__name__}: {said} (--debug shows where)"
            found.trace = traceback.format_exc()
    found.seconds = time.monotonic() - begin
    return found


def _check(model: Model, found: Checked, before: Mapping[str, Any] | None, config: Config) -> None:
    path = str(model) if isinstance(model, (str, os.PathLike)) else None
    settings = config.settings(path)
    for file in settings.get("ops"):
        if "\0" in file:
            raise QueryError(f"ops: {file!r} is not a path")
        ops.load(config.root / file)
    subject = Subject(model, found.model, settings, config.root, before)
    analysis = subject.analysis
    sizes = [f"input '{n.node}': {n.reason}" for n in analysis.notes if n.kind == "size"]
    for code in settings.codes:
        subject.check = CHECKS[code]
        try:
            found.findings.extend(subject.check.run(subject))
        except RFGraphError as error:
            # The others are made all the same; that one could not be is no clean answer.
            found.error = found.error or f"{code}: {error}"
        found.codes.append(code)
    found.remarks = [*sizes, *subject.nowhere(), *subject.remarks]
    found.fields = snapshot(analysis, subject.tracked)
