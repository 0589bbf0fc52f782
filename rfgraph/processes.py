"""Work in processes that may die, go on for ever or want all memory: none takes others along.

Some of what looks at a model is no Python: ONNX's own inference, onnxruntime. A file can end such
code, and the process with it. What then is lost is told, and only that.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from types import ModuleType
from typing import Any, NamedTuple

from rfgraph.limits import Limits, confine, died, too_long

# Packages that start threads of their own: a forked copy of the process would lack them.
_THREADED = frozenset({"jax", "onnxruntime", "tensorflow", "torch"})


# The exit code of a process that SIGKILL has ended; Windows knows no such signal.
_KILLED = -9


class Lost(NamedTuple):
    """Work without a result, and why it has none.

    Attributes
    ----------
    why : str
        In words.
    code : int or None
        The exit code of a process that died; None of one that was ended, as it took too long.
    """

    why: str
    code: int | None = None


class _Order(NamedTuple):
    """What is to be done: its number, what it is, and whether it is tried for the second time."""

    k: int
    what: Any
    again: bool = False


class _Worker:
    """A process, the end of a pipe to it, and what it is at since when."""

    def __init__(
        self, copied: bool, limits: Limits, function: Callable[..., Any], others: Sequence[_Worker]
    ) -> None:
        context: Any = multiprocessing.get_context("fork" if copied else "spawn")
        self.pipe, theirs = context.Pipe()
        # A copy has the ends of all pipes: it would keep the others' open.
        inherited = [self.pipe, *(other.pipe for other in others)] if copied else []
        given = (theirs, inherited, limits.mebibytes, function)
        self.process = context.Process(target=_work, args=given, daemon=True)
        with _uninterrupted(), warnings.catch_warnings():
            # The threads that Python warns of are those of numpy's library, which reckons with it.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.process.start()
        theirs.close()
        self.at: _Order | None = None
        self.since = 0.0

    def give(self, order: _Order) -> None:
        """Begin with an order."""
        self.at, self.since = order, time.monotonic()
        # One that has died already is told by its silence.
        with suppress(OSError):
            self.pipe.send(order.what)

    def end(self) -> None:
        """End it, whatever it is at."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _work(
    pipe: Connection,
    inherited: Sequence[Connection],
    mebibytes: int,
    function: Callable[..., Any],
) -> None:
    """In a process: carry out what is sent until nothing more is."""
    # An interruption is left to the process that began this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for other in inherited:
        other.close()
    confine(mebibytes)
    while True:
        try:
            order = pipe.recv()
        except (EOFError, OSError):
            return
        result = function(order)
        with suppress(OSError):
            pipe.send(result)


class Child:
    """A process that is asked one thing after another, and keeps what it was told.

    It begins anew, as what it runs may have threads, and knows nothing of the script that this
    process runs.

    Parameters
    ----------
    function : callable
        What it makes of a question; raises nothing.
    mebibytes : int
        As in `Limits`.
    """

    def __init__(self, function: Callable[[Any], Any], mebibytes: int = 0) -> None:
        with _without_main():
            self._worker = _Worker(False, Limits(0, mebibytes), function, ())

    def ask(self, what: Any, seconds: float) -> Any:
        """What it makes of a question; `Lost`, and it has ended, if it dies or takes too long.

        Parameters
        ----------
        what : object
            The question.
        seconds : float
            How long it may take; 0: as long as it wants.
        """
        worker = self._worker
        worker.give(_Order(0, what))
        try:
            if worker.pipe.poll(seconds or None):
                return worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join()
            return Lost(died(worker.process.exitcode), worker.process.exitcode)
        self.end()
        return Lost(too_long(seconds))

    def end(self) -> None:
        """End it, whatever it is at."""
        self._worker.end()


def carried_out(
    function: Callable[[Any], Any],
    orders: Sequence[Any],
    *,
    jobs: int,
    limits: Limits,
) -> Iterator[tuple[int, Any]]:
    """What a function makes of each order, as soon as it is known, with the order's number.

    Parameters
    ----------
    function : callable
        What is run, which raises nothing.
    orders : sequence
        Its arguments.
    jobs : int
        Processes at a time.
    limits : Limits
        What one order may take.

    Notes
    -----
    Processes are copies of this one where that is safe, else they begin anew: a script protects
    what it does with ``if __name__ == "__main__"``.

    No malformed model ends its process by SIGKILL: somebody does, or a system that is short of
    memory. What such a process was at is tried once more, after all the rest.

    Yields
    ------
    (int, object)
        In no order; `Lost` where a process has died or was ended.
    """
    copied = (
        sys.platform == "linux"
        and threading.active_count() == 1
        and _THREADED.isdisjoint(sys.modules)
    )
    left = deque(_Order(k, what) for k, what in enumerate(orders))
    workers: list[_Worker] = []

    def begin() -> None:
        if left:
            workers.append(_Worker(copied, limits, function, workers))
            workers[-1].give(left.popleft())

    try:
        for _ in range(min(jobs, len(orders))):
            begin()
        while workers:
            yield from _heard(workers, left, limits, begin)
    finally:
        for worker in workers:
            worker.end()


def _heard(
    workers: list[_Worker],
    left: deque[_Order],
    limits: Limits,
    begin: Callable[[], None],
) -> Iterator[tuple[int, Any]]:
    """Wait until a process is done, dead or too late, and give it more to do."""
    first = min(worker.since for worker in workers) + limits.seconds - time.monotonic()
    ready = wait([worker.pipe for worker in workers], max(first, 0) if limits.seconds else None)
    for worker in list(workers):
        order = worker.at
        assert order is not None
        killed = False
        if worker.pipe in ready:
            try:
                result = worker.pipe.recv()
            except (EOFError, OSError):
                worker.process.join()
                killed = worker.process.exitcode == _KILLED
                result = Lost(died(worker.process.exitcode), worker.process.exitcode)
        elif limits.seconds and time.monotonic() - worker.since >= limits.seconds:
            result = Lost(too_long(limits.seconds))
        else:
            continue
        if killed and not order.again:
            left.append(order._replace(again=True))
        if left and not isinstance(result, Lost):
            worker.give(left.popleft())
        else:
            workers.remove(worker)
            worker.end()
            if isinstance(result, Lost):
                begin()
        if not killed or order.again:
            yield order.k, result


@contextmanager
def _without_main() -> Iterator[None]:
    """Processes that are begun meanwhile do not import this one's script, which may be none."""
    before = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = before


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Processes that are begun meanwhile leave an interruption to this one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
