"""Where the time of an answer goes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import thread_time


class Timings:
    """CPU time by phase, of the thread that works.

    What is measured within another phase counts as its own alone, so that the sum is the whole.

    Attributes
    ----------
    seconds : dict of str to float
        By phase, in the order in which they first ended.
    passes : dict of str to int
        How often each phase was gone through: sizes of open axes are found by trying.

    Examples
    --------
    >>> timings = Timings()
    >>> for _ in range(2):
    ...     with timings.phase("answer"), timings.phase("shapes"):
    ...         pass
    >>> timings.passes
    {'shapes': 2, 'answer': 2}
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.passes: dict[str, int] = {}
        self._within = 0.0

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measure what is done within; what fails is measured too."""
        outer, self._within = self._within, 0.0
        begin = thread_time()
        try:
            yield
        finally:
            took = thread_time() - begin
            self.seconds[name] = self.seconds.get(name, 0.0) + took - self._within
            self.passes[name] = self.passes.get(name, 0) + 1
            self._within = outer + took


def phase(timings: Timings | None, name: str) -> AbstractContextManager[None]:
    """Measure what is done within, if somebody asks: clocks can be slow."""
    return nullcontext() if timings is None else timings.phase(name)
