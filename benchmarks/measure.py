"""Clocks and memory: functions that take turns in this process, and analyses in fresh ones."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx

import rfgraph


def load_and_infer(path: str) -> onnx.ModelProto:
    """Read a file and infer the shapes in it, with onnx alone."""
    return onnx.shape_inference.infer_shapes(onnx.load(path))


def turns(
    *functions: Callable[[], object],
    rounds: int = 9,
    clock: Callable[[], float] = time.process_time,
) -> list[float]:
    """Milliseconds of each function; they take turns, after one turn to warm up.

    The least of each counts: whatever else the machine does only adds to it.
    """
    least = [float("inf")] * len(functions)
    for turn in range(rounds + 1):
        for k, function in enumerate(functions):
            begin = clock()
            function()
            took = 1000 * (clock() - begin)
            if turn:
                least[k] = min(least[k], took)
    return least


def children() -> float:
    """Seconds of processor time of all processes that were started and have ended."""
    # Not there on Windows.
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def start(*arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """What Python prints in a new process."""
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


def traced(function: Callable[[], object]) -> float:
    """Megabytes of Python's and numpy's memory that a call holds at most, beyond what is there."""
    tracemalloc.start()
    function()
    held = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return held


# ---------------------------------------------------------------- in a process of its own


@dataclass(frozen=True)
class Cost:
    """What a function costs in a process where it is the first to be called.

    Attributes
    ----------
    time : float
        Milliseconds of processor time.
    held, peak : float
        Bytes of resident memory beyond those at the start: with the result alone, and at most.
    """

    time: float
    held: float
    peak: float


_ALONE: dict[str, Callable[[str], object]] = {
    "analyze": lambda path: rfgraph.analyze(path, assume=True),
    "analyze-pruned": lambda path: rfgraph.analyze(path, assume=True, prune=True),
    "load-and-infer": load_and_infer,
}


def alone(name: str, path: str) -> Cost:
    """What a function of `_ALONE` costs on a file in a fresh process; memory on Linux only."""
    took, held, peak = map(float, start(__file__, name, path).split())
    return Cost(took, held, peak)


def _memory(field: str) -> float:
    """Bytes of resident memory: now (``VmRSS``) or at most until now (``VmHWM``)."""
    # The greatest that getrusage knows is that of the process that started this one, if it was
    # greater.
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    (line,) = (line for line in status.read_text().splitlines() if line.startswith(field))
    return 1024 * float(line.split()[1])


def _main(name: str, path: str) -> None:
    function = _ALONE[name]
    # Imports do not count.
    _ = rfgraph.analyze
    gc.collect()
    before, begin = _memory("VmRSS"), time.process_time()
    kept = function(path)
    took = time.process_time() - begin
    gc.collect()
    print(1000 * took, _memory("VmRSS") - before, _memory("VmHWM") - before)
    del kept


if __name__ == "__main__":
    _main(*sys.argv[1:])
