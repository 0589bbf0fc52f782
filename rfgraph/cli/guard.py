"""A command in a process of its own: see `rfgraph.processes`.

On Linux the process is a copy of this one, which takes a few milliseconds; elsewhere it is begun
anew.
"""

from __future__ import annotations

import atexit
import os
import select
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rfgraph.errors import RFGraphError
from rfgraph.limits import Limits, confine, died, end_with, too_long

if TYPE_CHECKING:
    import subprocess

# This environment variable tells a new process that it is guarded already.
_GUARDED = "RFGRAPH_GUARDED"

# Seconds that an interrupted process gets to report it.
_GRACE = 2.0


def guarded(
    run: Callable[[], int], arguments: Sequence[str], limits: Limits, model: str | None
) -> int:
    """The exit code of `run`, in a process that may take only so much time and memory.

    Parameters
    ----------
    run : callable
        What is run.
    arguments : sequence of str
        The command line that does the same, where a process can't be copied.
    limits : Limits
        What it may take.
    model : str or None
        The model that it is about, if it is one.

    Raises
    ------
    RFGraphError
        It has died, or was ended.
    KeyboardInterrupt
        The user has ended it, and it does not say so itself.
    """
    if os.environ.get(_GUARDED):
        return run()
    if sys.platform != "linux":
        return _anew(arguments, limits.seconds, model)
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    ours, theirs = os.pipe()
    with warnings.catch_warnings():
        # The threads that Python warns of are those of numpy's library, which reckons with it.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        os.close(ours)
        _carry_out(run, limits.mebibytes, parent)
    os.close(theirs)
    try:
        return _waited_for(child, ours, limits.seconds, model)
    finally:
        os.close(ours)


def _carry_out(run: Callable[[], int], mebibytes: int, parent: int) -> None:
    """In the copy: run, and end without going back."""
    code = 2
    # What is to be done at the end is left to whom it is of.
    atexit._clear()
    try:
        end_with(parent)
        confine(mebibytes)
        code = run()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        # There is nobody to tell.
        pass
    except BaseException as error:
        # An internal error that is to be seen.
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    finally:
        os._exit(code)


def _waited_for(child: int, pipe: int, seconds: float, model: str | None) -> int:
    """Wait for a copy, which keeps the other end of `pipe` open as long as it lives."""

    def end(signum: int, _: object) -> None:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        signal.signal(signum, signal.SIG_DFL)
        os.kill(os.getpid(), signum)

    before = signal.signal(signal.SIGTERM, end)
    try:
        try:
            lives = not select.select([pipe], [], [], seconds or None)[0]
            interrupted = False
        except KeyboardInterrupt:
            # The terminal tells both of them.
            lives = not select.select([pipe], [], [], _GRACE)[0]
            interrupted = True
        if lives:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    finally:
        signal.signal(signal.SIGTERM, before)
    if lives and interrupted:
        raise KeyboardInterrupt
    if lives:
        raise RFGraphError(too_long(seconds), file=model)
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        raise RFGraphError(died(code), file=model)
    return code


def _anew(arguments: Sequence[str], seconds: float, model: str | None) -> int:
    """Run the command line once more, in a process that is begun anew."""
    import subprocess

    process = subprocess.Popen(
        [sys.executable, "-m", "rfgraph", *arguments], env={**os.environ, _GUARDED: "1"}
    )
    try:
        code = process.wait(seconds or None)
    except KeyboardInterrupt:
        # The terminal tells both of them.
        ended = _ended(process)
        if ended is None:
            raise
        code = ended
    except subprocess.TimeoutExpired:
        _ended(process, 0)
        raise RFGraphError(too_long(seconds), file=model) from None
    if code not in (0, 1, 2):
        raise RFGraphError(died(code), file=model)
    return code


def _ended(process: subprocess.Popen[bytes], grace: float = _GRACE) -> int | None:
    """How a process ends by itself; None if it has to be ended."""
    import subprocess

    try:
        return process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None
