"""How much time and memory the work on a model may take, and what is said of more."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import NamedTuple

# Memory limits are given in this unit.
MEBIBYTE = 1 << 20


class Limits(NamedTuple):
    """How much one piece of work may take.

    Attributes
    ----------
    seconds : float
        Time; 0: as long as it wants.
    mebibytes : int
        Memory beside what the process begins with; 0: as much as there is. It is kept on Linux
        only, where the system can tell what is a process's own.
    """

    seconds: float = 0
    mebibytes: int = 0


# What Linux's prctl calls the signal that a process gets when its parent ends.
_PR_SET_PDEATHSIG = 1


def end_with(parent: int) -> None:
    """Let this process, a copy of another, be killed when that one ends, on Linux."""
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # It may have ended before.
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def confine(mebibytes: int) -> None:
    """Let this process take no more than so much memory beside what it has, and leave no core."""
    if sys.platform != "linux":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if mebibytes:
        with open("/proc/self/statm", encoding="ascii") as stream:
            data = int(stream.read().split()[5]) * resource.getpagesize()
        most = data + mebibytes * MEBIBYTE
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        if hard == resource.RLIM_INFINITY or most < hard:
            resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def too_much(mebibytes: int) -> str:
    """Why work ended where memory did, in words."""
    if not mebibytes or sys.platform != "linux":
        return "out of memory (the model may be fine): give smaller sizes, or free memory"
    return f"it takes more than {mebibytes} MiB: give smaller sizes, or allow more with --memory"


def too_long(seconds: float) -> str:
    """Why work was given up, in words."""
    return (
        f"it took longer than {seconds:g} seconds and was stopped: give smaller sizes, or allow "
        "more time with --timeout"
    )


def died_by(code: int | None) -> str:
    """The signal that has ended a process, as words are followed by it; ``""`` if none has.

    >>> died_by(-11)
    ' (SIGSEGV)'
    """
    if code is not None and code < 0:
        with suppress(ValueError):
            return f" ({signal.Signals(-code).name})"
    return ""


def died(code: int | None) -> str:
    """What became of a process that ended with an exit code, in words."""
    return (
        f"the process that read it died{died_by(code)}: the model is malformed or too large for "
        "the memory, or its file was changed meanwhile"
    )
