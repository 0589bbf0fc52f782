"""Running a model up to some of its values, again and again: what measurements have in common.

`prepared` cuts the model off behind the values that are looked at. A *job*, which can be sent to
other processes, carries out numbered *tasks* with it; `reduced` gives them to threads, processes or
a cluster, and adds results up in the order of their numbers. So who runs them, a worker that is
lost and an end in between change no bit of what comes out.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice
from math import prod
from pathlib import Path
from threading import Lock
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import onnx

from rfgraph.analysis import Analysis, analyze
from rfgraph.analysis.inputs import Model
from rfgraph.errors import QueryError, RFGraphError
from rfgraph.measure.stored import State, Store
from rfgraph.model.model_file import files, whole
from rfgraph.worker.feeds import accepted
from rfgraph.worker.pool import Workload, results_of
from rfgraph.worker.protos import BLOCKED, blocked, runnable, upto
from rfgraph.worker.sessions import session
from rfgraph.worker.source import line_of

# About how many bytes the values of one run may take, unless it is said. Larger batches leave the
# processor's caches: with 16 times as much a text detector takes twice the time, and 5 times the
# memory.
MEMORY = 1 << 24

# How many values of the size of the largest one are there at a time, by a rough estimate.
_AT_ONCE = 3

# The most rows of a batch: more make no run faster.
_MOST_ROWS = 64

# This many models stay open in a process.
_OPEN = 4

# A state is kept every so many seconds.
_KEEP = 5.0

# The sessions that this process used last.
_SESSIONS: OrderedDict[tuple[str, str, tuple[str, ...]], Any] = OrderedDict()
_OPENING = Lock()

Task = TypeVar("Task", bound="Numbered")
Result = TypeVar("Result")


class Numbered(Protocol):
    """A task."""

    @property
    def number(self) -> int:
        """Its place among all tasks, from 0 on: results are added up in this order."""


# ---------------------------------------------------------------- what is run


@dataclass(frozen=True)
class Network:
    """A model up to the values that are looked at, as it is sent to other processes.

    Attributes
    ----------
    key : str
        What tells it from others: the digest of the model.
    model : bytes
        The model, whose outputs are these values.
    folder : str
        Where its external data lies; ``""`` for none.
    input : str
        The input that is changed.
    tensors : tuple of str
        The values that are looked at.
    held : dict of str to ndarray
        What the other inputs are.
    stacked : frozenset of str
        Those of them that have a row for each row of the batch.
    axes : tuple of (int or None)
        By value: its axis that has the rows of the batch; None where there is only one row.
    providers : tuple of str
        Execution providers of onnxruntime.
    file : str or None
        The model's path, for messages.
    """

    key: str
    model: bytes = field(repr=False)
    folder: str
    input: str
    tensors: tuple[str, ...]
    held: dict[str, np.ndarray] = field(repr=False)
    stacked: frozenset[str]
    axes: tuple[int | None, ...]
    providers: tuple[str, ...]
    file: str | None

    def run(self, batch: np.ndarray) -> list[np.ndarray]:
        """The values for a batch.

        Parameters
        ----------
        batch : ndarray, shape (rows, ...)
            The input that is changed; several rows only where `Prepared.rows` allows for them.

        Returns
        -------
        list of ndarray
            By value of `tensors`: with the rows of the batch as its first axis where there may be
            several (``axes``), else as it is.

        Raises
        ------
        RFGraphError
            onnxruntime does not run the model.
        """
        rows = len(batch) if batch.ndim else 1
        feeds = {
            name: np.repeat(array, rows, axis=0) if name in self.stacked and rows > 1 else array
            for name, array in self.held.items()
        }
        feeds[self.input] = batch
        opened = _session(self)
        try:
            made = opened.run(list(self.tensors), feeds)
        except Exception as error:  # what is raised differs from kernel to kernel
            raise RFGraphError(
                f"onnxruntime can't run the model: {line_of(error)}",
                file=self.file,
                remedy="give inputs that it accepts",
            ) from None
        return [
            value if axis is None else np.moveaxis(value, axis, 0)
            for value, axis in zip(made, self.axes, strict=True)
        ]


def _session(network: Network) -> Any:
    """The session of this process for a network, opened once."""
    key = network.key, network.folder, network.providers
    with _OPENING:
        if key not in _SESSIONS:
            # One thread: several tasks run at a time, and sums do not depend on how many threads
            # they are split among.
            model, providers = network.model, network.providers
            _SESSIONS[key] = session(
                model, network.folder, providers, 1, network.file, optimised=True
            )
            while len(_SESSIONS) > _OPEN:
                _SESSIONS.popitem(last=False)
        _SESSIONS.move_to_end(key)
        return _SESSIONS[key]


@dataclass
class Prepared:
    """A model that is ready to be measured.

    Attributes
    ----------
    analysis : Analysis
        Of the model, at one row of the batch where its size is open.
    network : Network
        What is run.
    base : ndarray
        What the changed input is where nothing else is given: random numbers, or what `inputs`
        gave; of the shape that is analysed.
    rows : int
        The most rows of a batch; 1 where the model says how many there are, or mixes them.
    notes : list of str
        What is to be known.
    below : int or None
        What random whole numbers of the changed input are below, so that the model accepts them;
        None if they are given, or no whole numbers.
    """

    analysis: Analysis
    network: Network
    base: np.ndarray
    rows: int
    notes: list[str] = field(default_factory=list)
    below: int | None = None

    @property
    def input(self) -> str:
        """The input that is changed."""
        return self.network.input

    @property
    def elements(self) -> int:
        """How many elements all values have together that are computed in a pass."""
        return max(sum(_sizes(self.analysis, self.network.tensors)), 1)


def prepared(
    model: Model,
    tensors: Sequence[str],
    input: str | None = None,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    values: Mapping[str, Any] | None = None,
    prune: bool = False,
    strict: bool = False,
    inputs: Mapping[str, Any] | None = None,
    seed: int = 0,
    memory: int = MEMORY,
    providers: Sequence[str] = ("CPUExecutionProvider",),
) -> Prepared:
    """Make a model ready to be measured.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
        The model, with its weights.
    tensors : sequence of str
        The values that are looked at; the model is run no further than they need.
    input : str, optional
        The input that is changed; may be left out where the values depend on only one.
    shapes, values, prune, strict
        As for `rfgraph.analyze`; open axes get sensible sizes.
    inputs : mapping of str to array, optional
        What the inputs are; random numbers for those that are left out.
    seed : int
        Of these.
    memory : int
        About how many bytes the values of one run may take.
    providers : sequence of str
        Execution providers of onnxruntime.

    Raises
    ------
    ModelError, ShapeError, UnsupportedError
        As for `rfgraph.analyze`.
    QueryError
        There is no such value or input, or it can't be measured.
    RFGraphError
        onnxruntime is not installed, or does not run the model.
    """
    analysis = analyze(model, shapes=shapes, values=values, prune=prune, strict=strict, assume=True)
    given, folder = whole(model)
    proto = runnable(given)
    for tensor, why in obstacles(analysis, proto, tensors).items():
        raise QueryError(
            f"'{tensor}' can't be measured: {why}",
            file=analysis.file,
            remedy="rfgraph show MODEL lists the values",
        )
    name = _input(analysis, tensors, input)
    part = upto(proto, tensors)
    feeds, limit = accepted(analysis, proto, folder, inputs or {}, analysis.held, seed, providers)
    base = np.asarray(feeds[name])
    if base.dtype.kind not in "fiub":
        raise QueryError(
            f"input '{name}' can't be changed: it holds {base.dtype}, and no plain numbers",
            file=analysis.file,
        )
    wanted = {i.name for i in part.graph.input}
    held = {n: np.asarray(a) for n, a in feeds.items() if n in wanted and n != name}
    content = part.SerializeToString()
    network = Network(
        _digest(content, held, model if folder else None),
        content,
        folder,
        name,
        tuple(tensors),
        held,
        frozenset(),
        (None,) * len(tensors),
        tuple(providers),
        analysis.file,
    )
    drawn = {*held, name} - {*(inputs or {}), *analysis.held}
    notes, below = _random({n: np.asarray(feeds[n]) for n in drawn}, name, limit)
    several = _several(analysis, network, base)
    if several is not None:
        rows = _rows(analysis, tensors, memory)
        return Prepared(analysis, several, base, rows, notes, below)
    network.run(base)
    return Prepared(analysis, network, base, 1, notes, below)


def _random(
    drawn: Mapping[str, np.ndarray], name: str, limit: int | None
) -> tuple[list[str], int | None]:
    """What is to be known of random whole numbers of inputs, and what those of one are below."""
    whole_numbers = {n for n, array in drawn.items() if array.dtype.kind in "iu"}
    notes = []
    if whole_numbers - {name}:
        notes.append(f"random whole numbers for the other inputs are below {limit}")
    if name not in whole_numbers or limit is None or limit > np.iinfo(drawn[name].dtype).max:
        return notes, None
    return notes, limit


def _several(analysis: Analysis, network: Network, base: np.ndarray) -> Network | None:
    """The same for several rows of a batch, if there may be."""
    axes = _batched(analysis, network.tensors)
    if axes is None:
        return None
    stacked = frozenset(network.held) & frozenset(analysis.inputs)
    found = replace(network, stacked=stacked, axes=axes)
    try:
        found.run(np.repeat(base, 2, axis=0))
    except RFGraphError:
        # Sizes in the file that say nothing of a batch can hold it to one row.
        return None
    return found


def _digest(content: bytes, held: Mapping[str, np.ndarray], outside: Any) -> str:
    """What tells a network from others; `outside` is the model's path if it has external data."""
    found = hashlib.sha256(content)
    for name in sorted(held):
        found.update(f"{name}{held[name].dtype}{held[name].shape}".encode())
        found.update(held[name].tobytes())
    for file in files(Path(outside)) if outside is not None else ():
        # As make tells whether a file has changed: weights may be large.
        at = file.stat()
        found.update(f"{file.name}{at.st_size}{at.st_mtime_ns}".encode())
    return found.hexdigest()


def obstacles(analysis: Analysis, proto: onnx.ModelProto, tensors: Iterable[str]) -> dict[str, str]:
    """Why nothing can be measured of values, of those of which nothing can.

    Parameters
    ----------
    analysis : Analysis
        The analysis.
    proto : onnx.ModelProto
        The model as it is run.
    tensors : iterable of str
        The values.
    """
    made = {name for node in proto.graph.node for name in node.output}
    in_blocks = blocked(proto)

    def why(tensor: str) -> str | None:
        shape = analysis.shape(tensor)
        if tensor in analysis.inputs:
            return "it is an input"
        if tensor not in made:
            return "it is inside a subgraph, whose values can't be looked at"
        if shape is None or None in shape:
            return "its shape depends on the data"
        if 0 in shape:
            return "it is empty"
        return BLOCKED if tensor in in_blocks else None

    found = {tensor: why(tensor) for tensor in tensors}
    return {tensor: reason for tensor, reason in found.items() if reason is not None}


def _input(analysis: Analysis, tensors: Sequence[str], input: str | None) -> str:
    """The input that is changed."""
    name = _named(analysis, tensors, input)
    if not analysis.extent(name):
        raise QueryError(
            f"input '{name}' is a single number, over which nothing can be laid",
            file=analysis.file,
            remedy="measure what depends on another input",
        )
    return name


def _named(analysis: Analysis, tensors: Sequence[str], input: str | None) -> str:
    """The input that is named, or the only one."""
    seen = [n for n in analysis.inputs if all(analysis.depends(t, n) for t in tensors)]
    if input is None:
        if len(seen) == 1:
            return seen[0]
        what = " and ".join(f"'{tensor}'" for tensor in tensors)
        raise QueryError(
            f"{what} depends on {len(seen) or 'no'} inputs",
            file=analysis.file,
            remedy=f"name one of them: {', '.join(seen)}" if seen else "measure another value",
        )
    for tensor in tensors:
        if not analysis.depends(tensor, input):
            raise QueryError(
                f"'{tensor}' depends on no element of input '{input}'",
                file=analysis.file,
                remedy=f"it depends on {', '.join(seen)}" if seen else "measure another value",
            )
    return input


def _batched(analysis: Analysis, tensors: Sequence[str]) -> tuple[int | None, ...] | None:
    """The axis of each value that has the rows of a batch, if they are open and don't mix."""
    two: dict[str, tuple[int, ...]] = {}
    for name in analysis.inputs:
        shape, dims = analysis.extent(name), analysis.dims(name)
        if not shape or not dims or isinstance(dims[0], int) or shape[0] != 1:
            return None
        two[name] = (2, *shape[1:])
    try:
        found = analysis.resized(two)
        if any(found.reads_across(name, 0) for name in found.inputs):
            return None
    except RFGraphError:
        # The graph allows for one row only.
        return None
    axes = []
    for tensor in tensors:
        one, other = analysis.extent(tensor), found.extent(tensor)
        if one is None or other is None or len(one) != len(other):
            return None
        changed = [k for k, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
        if len(changed) != 1 or (one[changed[0]], other[changed[0]]) != (1, 2):
            # Rows lie within an axis, as where a batch is reshaped into it.
            return None
        axes.append(changed[0])
    return tuple(axes)


def _sizes(analysis: Analysis, tensors: Sequence[str]) -> list[int]:
    """How many elements the values have that are made for some, one row of the batch each."""
    made = set().union(*(analysis.ancestors(tensor) for tensor in tensors))
    return [prod(analysis.extent(t) or ()) for t in analysis.tensors if t in made]


def _rows(analysis: Analysis, tensors: Sequence[str], memory: int) -> int:
    """How many rows are run at a time."""
    largest = max(_sizes(analysis, tensors), default=1)
    return max(1, min(_MOST_ROWS, memory // (4 * _AT_ONCE * max(largest, 1))))


# ---------------------------------------------------------------- who runs it


class Reducer(Protocol[Result]):  # type: ignore[misc]
    """What results are added up in, one after the other in the order of their tasks."""

    def add(self, result: Result, /) -> None:
        """Add a result."""

    def enough(self) -> bool:
        """Whether no more are needed; it may depend on nothing but what was added."""

    def planned(self) -> int:
        """How many tasks there will have been, as it is to be expected now."""

    def state(self) -> State:
        """All that was added, as arrays."""

    def restore(self, state: State, /) -> None:
        """Go on from a state."""


@dataclass(frozen=True)
class How:
    """Who carries out tasks, and for how long.

    Attributes
    ----------
    seconds : float or None
        No task begins after so many seconds, but one is always carried out.
    jobs : int
        Tasks at a time; 0: as many as there are processors.
    processes : bool
        Whether these are processes; else threads.
    executor : concurrent.futures.Executor, optional
        Who carries them out, such as dask's ``client.get_executor()``; `jobs` is then how many
        workers it is taken to have.
    progress : callable, optional
        Is told how many tasks are done, and how many there will be.
    store : Store, optional
        Where states are kept, and gone on from.
    """

    seconds: float | None = None
    jobs: int = 0
    processes: bool = False
    executor: Executor | None = field(default=None, repr=False)
    progress: Callable[[int, int], None] | None = field(default=None, repr=False)
    store: Store | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.jobs < 0:
            raise QueryError("jobs has to be at least 0")
        if self.seconds is not None and not self.seconds > 0:
            raise QueryError("seconds has to be greater than 0")

    @property
    def workers(self) -> int:
        """Tasks at a time."""
        return self.jobs or os.cpu_count() or 1


@dataclass
class Outcome:
    """How far tasks were carried out.

    Attributes
    ----------
    tasks : int
        How many results were added, those of the run before that was gone on with included.
    before : int
        How many of them those were.
    complete : bool
        Whether that was enough, or all there are.
    interrupted : bool
        Whether the user ended it.
    lost : dict of str to int
        Why workers were lost, and how many tasks were carried out here for it.
    seconds : float
        How long it took.
    """

    tasks: int = 0
    before: int = 0
    complete: bool = False
    interrupted: bool = False
    lost: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def notes(self) -> list[str]:
        """What is to be known of it."""
        return [
            f"a worker was lost, and {n} tasks were carried out without it: {why}"
            for why, n in self.lost.items()
        ]


def reduced(
    job: Workload[Task, Result],
    tasks: Iterable[Task],
    into: Reducer[Result],
    how: How,
    part: str = "sums",
) -> Outcome:
    """Carry out tasks, and add their results up in the order of their numbers.

    Parameters
    ----------
    job : Workload
        What carries them out: it is pickled where others do.
    tasks : iterable
        Numbered from 0 on without gaps, in this order; made when they are needed.
    into : Reducer
        Where results are added up.
    how : How
        Who carries them out, and for how long.
    part : str
        The name of this part of a measurement, where states are kept.

    Returns
    -------
    Outcome
        How far it came. A `KeyboardInterrupt` ends it early, and is told by ``interrupted``.
    """
    with how.store.alone() if how.store is not None else nullcontext():
        return _Reduction(job, into, how, part).carried_out(tasks)


class _Reduction(Generic[Task, Result]):
    """One call of `reduced`."""

    def __init__(
        self, job: Workload[Task, Result], into: Reducer[Result], how: How, part: str
    ) -> None:
        self._job = job
        self._into = into
        self._how = how
        self._part = part
        self._began = self._kept = time.monotonic()
        self.outcome = Outcome()

    def carried_out(self, tasks: Iterable[Task]) -> Outcome:
        outcome = self.outcome
        stored = self._how.store.load(self._part) if self._how.store is not None else None
        if stored is not None:
            outcome.tasks = outcome.before = stored[0]
            self._into.restore(stored[1])
        try:
            if not self._into.enough():
                outcome.complete = self._added(islice(iter(tasks), outcome.tasks, None))
            else:
                outcome.complete = True
        except KeyboardInterrupt:
            outcome.interrupted = True
        self._keep()
        outcome.seconds = time.monotonic() - self._began
        return outcome

    def _added(self, tasks: Iterator[Task]) -> bool:
        """Whether there were enough results, or all there are."""
        waiting: dict[int, Result] = {}
        given = _Counted(tasks)
        results = results_of(
            _OfNumber(self._job),
            given,
            self._going_on,
            self._lost,
            jobs=self._how.workers,
            processes=self._how.processes,
            executor=self._how.executor,
        )
        try:
            for number, result in results:
                waiting[number] = result
                while self.outcome.tasks in waiting:
                    self._into.add(waiting.pop(self.outcome.tasks))
                    self.outcome.tasks += 1
                    if self._how.progress is not None:
                        planned = max(self._into.planned(), self.outcome.tasks)
                        self._how.progress(self.outcome.tasks, planned)
                    if self._into.enough():
                        return True
                if time.monotonic() - self._kept > _KEEP:
                    self._keep()
        finally:
            results.close()
        # The time may be over with the last of them.
        return given.ended or next(given, None) is None

    def _keep(self) -> None:
        """Keep the state, if there is a place for it."""
        if self._how.store is not None and self.outcome.tasks:
            self._how.store.save(self._part, self.outcome.tasks, self._into.state())
        self._kept = time.monotonic()

    def _going_on(self) -> bool:
        seconds = self._how.seconds
        return seconds is None or time.monotonic() - self._began < seconds

    def _lost(self, why: str) -> None:
        self.outcome.lost[why] = self.outcome.lost.get(why, 0) + 1


class _Counted(Iterator[Task]):
    """Tasks, and whether all of them were given."""

    def __init__(self, tasks: Iterator[Task]) -> None:
        self._tasks = tasks
        self.ended = False

    def __next__(self) -> Task:
        try:
            return next(self._tasks)
        except StopIteration:
            self.ended = True
            raise


@dataclass(frozen=True)
class _OfNumber(Generic[Task, Result]):
    """A job whose results have the numbers of their tasks."""

    job: Workload[Task, Result]

    def carry_out(self, task: Task) -> tuple[int, Result]:
        return task.number, self.job.carry_out(task)


__all__ = [
    "MEMORY", "How", "Network", "Outcome", "Prepared", "Reducer",
    "obstacles", "prepared", "reduced",
]  # fmt: skip
