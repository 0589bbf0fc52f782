"""Who carries out the orders: this thread, or any executor of `concurrent.futures`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, Generic, Protocol, TypeVar

from rfgraph.errors import RFGraphError

Order = TypeVar("Order")
Result = TypeVar("Result")
OrderOf = TypeVar("OrderOf", contravariant=True)
ResultOf = TypeVar("ResultOf", covariant=True)


class Workload(Protocol, Generic[OrderOf, ResultOf]):
    """What can be sent to other processes, and carries out orders there."""

    def carry_out(self, order: OrderOf, /) -> ResultOf:
        """Carry out one of them."""


# This many orders for each worker are sent ahead.
_AHEAD = 2

# The workload of a process in our own pool; it is sent once.
_WORKLOAD: list[Workload[Any, Any]] = []


def results_of(
    workload: Workload[Order, Result],
    orders: Iterator[Order],
    going_on: Callable[[], bool],
    lost: Callable[[str], None],
    *,
    jobs: int = 1,
    processes: bool = False,
    executor: Executor | None = None,
) -> Generator[Result, None, None]:
    """The results of all orders, as they come; each once.

    Parameters
    ----------
    workload : Workload
        What is run.
    orders : iterator of Order
        Made when they are needed.
    going_on : callable
        Whether a further order is to be given.
    lost : callable
        Told why a worker was lost: its orders are carried out here.
    jobs : int
        Workers; with a foreign executor how many it is taken to have.
    processes : bool
        Whether they are processes; else threads.
    executor : Executor, optional
        One that is there already; it is not shut down.
    """
    if executor is None and jobs == 1:
        for order in orders:
            yield workload.carry_out(order)
            if not going_on():
                return
        return
    own = None if executor is not None else _pool(workload, jobs, processes=processes)
    waiting: dict[Future[Result], Order] = {}
    given = False
    try:
        while True:
            while len(waiting) < _AHEAD * jobs and (not given or going_on()):
                following = next(orders, None)
                if following is None:
                    break
                waiting[_submitted(workload, following, own, executor)] = following
                given = True
            if not waiting:
                return
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                yield _come_of(workload, future, waiting.pop(future), own, lost)
    finally:
        for future in waiting:
            future.cancel()
        if own is not None:
            own.shutdown(wait=True, cancel_futures=True)


def _submitted(
    workload: Workload[Order, Result], order: Order, own: Executor | None, executor: Executor | None
) -> Future[Result]:
    """An order, given to a pool of our own or to a foreign executor."""
    pool = executor or own
    assert pool is not None
    try:
        if isinstance(own, ProcessPoolExecutor):
            return pool.submit(_work, order)
        return pool.submit(workload.carry_out, order)
    except RuntimeError as error:
        # The pool broke.
        failed: Future[Result] = Future()
        failed.set_exception(error)
        return failed


def _come_of(
    workload: Workload[Order, Result],
    future: Future[Result],
    order: Order,
    own: Executor | None,
    lost: Callable[[str], None],
) -> Result:
    """The result of an order; if its worker was lost it is carried out here."""
    try:
        return future.result()
    except RFGraphError:
        raise
    except Exception as error:
        # The worker is gone, or was never reached: that says nothing of the model.
        lost(_why(error))
        if isinstance(error, BrokenProcessPool) and own is not None:
            _unblock(own)
        return workload.carry_out(order)


def _pool(workload: Workload[Order, Result], jobs: int, *, processes: bool) -> Executor:
    if not processes:
        return ThreadPoolExecutor(jobs)
    # A fork would copy the locks of the threads of a session that is open here.
    return ProcessPoolExecutor(jobs, get_context("spawn"), _begin, (workload,))


def _unblock(pool: Executor) -> None:
    """Let a broken pool end: before Python 3.11.5 it waits until an order that nobody is left to
    read is written (https://github.com/python/cpython/issues/94777).
    """
    reader = getattr(getattr(pool, "_call_queue", None), "_reader", None)
    if reader is not None and sys.version_info < (3, 11, 5):
        reader.close()


def _why(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _begin(workload: Workload[Any, Any]) -> None:
    """Of a process of a pool: remember what it runs, and leave an interruption to its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _WORKLOAD[:] = [workload]


def _work(order: Any) -> Any:
    return _WORKLOAD[0].carry_out(order)


def threads_of(jobs: int) -> int:
    """Threads of each session where so many workers share this machine; 0: as it chooses."""
    return 0 if jobs == 1 else max((os.cpu_count() or 1) // jobs, 1)
