"""Runtimes in processes of their own: what they answer, and how they fail to."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import isfinite, isnan
from pathlib import Path
from typing import Any

import numpy as np

from rfgraph.errors import QueryError, RFGraphError
from rfgraph.limits import died_by, end_with
from rfgraph.processes import Child, Lost
from rfgraph.runtimes import registry
from rfgraph.runtimes.protocol import Opened, Runtime
from rfgraph.scratch import Scratch
from rfgraph.worker.source import line_of

ANSWERED = "answered"
REFUSED = "refused"
CRASHED = "crashed"
HUNG = "hung"
OTHER_SHAPE = "other shape"
OTHER_TYPE = "other type"

# So many sets of inputs are sent at a time, unless they are larger together than so many bytes.
_TOGETHER = 64
_BYTES = 1 << 26

# After so many crashes or hangs in a row the rest of the inputs is not tried.
_LOSSES = 2

# How long a process may take to import what its runtime needs.
_STARTING = 120.0


@dataclass(frozen=True)
class Outcome:
    """What came of opening or running a model in a runtime.

    Attributes
    ----------
    kind : str
        ``answered``, ``refused``, ``crashed``, ``hung``, ``other shape`` or ``other type``.
    text : str
        What the runtime said, or what is other; ``""`` if it answered.
    outputs : tuple of ndarray
        The outputs, in the model's order, of a run that was answered or is other.
    """

    kind: str
    text: str = ""
    outputs: tuple[Any, ...] = field(default=(), repr=False)

    @property
    def answered(self) -> bool:
        """Whether there is an answer as it should be."""
        return self.kind == ANSWERED

    def held_against(self, expected: Sequence[tuple[Any, Any]]) -> Outcome:
        """The same, or that the answer has another shape or type than is expected.

        Parameters
        ----------
        expected : sequence of (tuple of int or None, numpy.dtype or None)
            Of every output; None: anything.

        Returns
        -------
        Outcome
            Itself, if it is as expected or was none that was answered.
        """
        if self.kind != ANSWERED:
            return self
        if len(self.outputs) != len(expected):
            said = f"{len(self.outputs)} outputs, not {len(expected)}"
            return Outcome(OTHER_SHAPE, said, self.outputs)
        for k, (array, (shape, dtype)) in enumerate(zip(self.outputs, expected, strict=True)):
            if not isinstance(array, np.ndarray):
                continue
            if shape is not None and array.shape != tuple(shape):
                said = f"output {k} has the shape {array.shape}, not {tuple(shape)}"
                return Outcome(OTHER_SHAPE, said, self.outputs)
            if dtype is not None and array.dtype != dtype:
                said = f"output {k} is of {array.dtype}, not of {np.dtype(dtype)}"
                return Outcome(OTHER_TYPE, said, self.outputs)
        return self

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}" if self.text else self.kind


class Session:
    """A runtime in a process of its own; made by `start`, and ended by `close` or `with`.

    Attributes
    ----------
    name : str
        The runtime with its options, as it was asked for.
    version : str
        The runtime's version.
    seconds : float
        How long opening, or a run, may take.
    runs : int
        How many runs were asked for.
    """

    def __init__(self, name: str, seconds: float, mebibytes: int) -> None:
        self.name = name
        self.seconds = seconds
        self.runs = 0
        self._mebibytes = mebibytes
        self._child: Child | None = None
        self._path: str | None = None
        self._log = Scratch("rfgraph-runtime-")
        try:
            registry.options_of(name)
            self.version = self._begin()
        except BaseException:
            self.close()
            raise

    def open(self, model: str | os.PathLike[str] | bytes) -> Outcome:
        """Open a model, in place of the one before.

        Parameters
        ----------
        model : path or bytes
            Its file, or the contents of one that has no external data.

        Returns
        -------
        Outcome
            ``answered`` if it is open.
        """
        if isinstance(model, bytes):
            path = Path(self._log.name, "model.onnx")
            path.write_bytes(model)
            model = path
        self._path = str(model)
        return self._opened()

    def run(
        self,
        feeds: Sequence[Mapping[str, np.ndarray]],
        expected: Sequence[tuple[Any, Any]] | None = None,
        outputs: Sequence[int] | None = None,
    ) -> list[Outcome]:
        """What the open model makes of each of several sets of inputs.

        Parameters
        ----------
        feeds : sequence of (mapping of str to ndarray)
            An array for every input.
        expected : sequence of (tuple of int or None, numpy.dtype or None), optional
            The shape and type that each output should have.
        outputs : sequence of int, optional
            The places of the outputs that are asked for; all if left out.

        Returns
        -------
        list of Outcome
            One for each set.

        Raises
        ------
        QueryError
            No model was opened.
        """
        if self._path is None:
            raise QueryError(f"runtime '{self.name}': no model is open")
        self.runs += len(feeds)
        found: list[Outcome] = []
        for chunk in _chunks(feeds):
            found += self._answers(chunk, outputs)
        return found if expected is None else [one.held_against(expected) for one in found]

    def close(self) -> None:
        """End the process."""
        self._end()
        self._log.remove()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self) -> str:
        """Begin a process, and return the runtime's version."""
        self._child = Child(_carry_out, self._mebibytes)
        log = str(Path(self._log.name, "log"))
        # Linux ends a process with the thread that began it, not only with that thread's process.
        alone = threading.current_thread() is threading.main_thread()
        said = self._asked(("begin", self.name, log, os.getpid() if alone else 0), _STARTING)
        if isinstance(said, RFGraphError):
            raise said
        if isinstance(said, Outcome):
            raise RFGraphError(f"runtime '{self.name}' can't be started: {said}")
        return str(said)

    def _opened(self) -> Outcome:
        if self._child is None:
            self._begin()
        found: Outcome = self._asked(("open", self._path), self.seconds)
        return found

    def _answers(
        self, feeds: Sequence[Mapping[str, np.ndarray]], outputs: Sequence[int] | None
    ) -> list[Outcome]:
        """The outcomes of some sets of inputs; one that ends the process is told from others."""
        if self._child is not None:
            said = self._asked(("run", feeds, outputs), self.seconds)
            if not isinstance(said, Outcome):
                return list(said)
            if len(feeds) == 1:
                return [said]
        found: list[Outcome] = []
        losses = 0
        for one in feeds:
            if losses >= _LOSSES:
                found.append(found[-1])
                continue
            opened = self._opened() if self._child is None else Outcome(ANSWERED)
            said = self._asked(("run", [one], outputs), self.seconds) if opened.answered else opened
            found.append(said if isinstance(said, Outcome) else said[0])
            losses = losses + 1 if isinstance(said, Outcome) else 0
        return found

    def _asked(self, what: Any, seconds: float) -> Any:
        """What the process answers; an `Outcome` where it dies or takes too long."""
        assert self._child is not None
        said = self._child.ask(what, seconds)
        if not isinstance(said, Lost):
            return said
        self._end()
        if said.code is None:
            return Outcome(HUNG, f"no answer within {seconds:g} seconds")
        return Outcome(CRASHED, f"its process ended{died_by(said.code)}{self._last_words()}")

    def _last_words(self) -> str:
        """The last line that the process wrote."""
        with suppress(OSError):
            text = Path(self._log.name, "log").read_text(errors="replace")
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            return f": {lines[-1][:300]}" if lines else ""
        return ""

    def _end(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None


def start(name: str, *, seconds: float = 60.0, mebibytes: int = 0) -> Session:
    """Begin a runtime in a process of its own.

    Parameters
    ----------
    name : str
        The runtime with its options, as ``onnxruntime:level=disable,threads=1``.
    seconds : float
        How long opening a model, or a run, may take; 0: as long as it wants.
    mebibytes : int
        How much memory it may take beside what the process begins with; 0: as much as there is.

    Returns
    -------
    Session
        To be used with `with`, or closed.

    Raises
    ------
    QueryError
        There is no such runtime, or option, or so many seconds make no sense.
    RFGraphError
        What it needs is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> with start("reference") as session:
    ...     opened = session.open("models/lenet_textbook.onnx")
    ...     ran = session.run([{"x": np.zeros((1, 1, 28, 28), np.float32)}])
    >>> opened.kind, ran[0].kind, ran[0].outputs[0].shape
    ('answered', 'answered', (1, 1, 12, 12))
    """
    if isnan(seconds) or seconds < 0:
        raise QueryError(f"a runtime can't be given {seconds:g} seconds")
    return Session(name, seconds if isfinite(seconds) else 0, mebibytes)


def _chunks(feeds: Sequence[Mapping[str, np.ndarray]]) -> Iterator[list[Mapping[str, np.ndarray]]]:
    chunk: list[Mapping[str, np.ndarray]] = []
    size = 0
    for one in feeds:
        own = sum(np.asarray(array).nbytes for array in one.values())
        if chunk and (len(chunk) == _TOGETHER or size + own > _BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(one)
        size += own
    if chunk:
        yield chunk


# ---------------------------------------------------------------- in the process

# The runtime of this process, and the model that it has open.
_RUNTIME: list[Runtime] = []
_OPENED: list[Opened] = []


def _carry_out(order: tuple[Any, ...]) -> Any:
    """Answer an order: the version, an outcome, or those of several runs."""
    what, *rest = order
    try:
        if what == "begin":
            return _begun(*rest)
        if what == "open":
            _OPENED[:] = []
            _OPENED[:] = [_RUNTIME[0].open(*rest)]
            return Outcome(ANSWERED)
    except RFGraphError as error:
        return error if what == "begin" else Outcome(REFUSED, line_of(error))
    except Exception as error:  # what is raised differs from runtime to runtime
        return Outcome(REFUSED, line_of(error) or type(error).__name__)
    feeds, outputs = rest
    return [_ran(one, outputs) for one in feeds]


def _begun(name: str, log: str, parent: int) -> str:
    """Make the runtime, with all that is written from now on kept for last words."""
    if parent and sys.platform == "linux":
        end_with(parent)
    # In unbuffered descriptors: what a runtime writes in C is kept as well.
    stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    os.close(stream)
    # What it leaves behind when it crashes goes with the session.
    tempfile.tempdir = os.environ["TMPDIR"] = str(Path(log).parent)
    _RUNTIME[:] = [registry.made(name)]
    return _RUNTIME[0].version()


def _ran(feeds: Mapping[str, np.ndarray], outputs: Sequence[int] | None) -> Outcome:
    try:
        if not _OPENED:
            return Outcome(REFUSED, "it has not opened the model")
        made = _OPENED[0].run(feeds)
        wanted = made if outputs is None else [made[k] for k in outputs]
        return Outcome(ANSWERED, outputs=tuple(map(_plain, wanted)))
    except Exception as error:  # what is raised differs from runtime to runtime
        return Outcome(REFUSED, line_of(error) or type(error).__name__)


def _plain(output: Any) -> Any:
    """An output that can be sent: an array, or, of containers, what it holds."""
    if isinstance(output, (list, tuple)):
        return [_plain(one) for one in output]
    if output is None or isinstance(output, (dict, str)):
        return output
    return np.asarray(output)


__all__ = [
    "ANSWERED",
    "CRASHED",
    "HUNG",
    "OTHER_SHAPE",
    "OTHER_TYPE",
    "REFUSED",
    "Outcome",
    "Session",
    "start",
]
