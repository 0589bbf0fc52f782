"""A folder for what is written meanwhile, which goes even if the process is killed."""

from __future__ import annotations

import os
import subprocess
import tempfile
from contextlib import suppress

# It waits for the end of its input, which comes with that of the process, whatever ends it; what
# the process began may write a moment longer.
_SWEEP = 'cat; [ ! -e "$1" ] || { rm -rf "$1"; sleep 1; rm -rf "$1"; }'


class Scratch:
    """A temporary folder that is removed by a process of its own if this one can't do it.

    Parameters
    ----------
    prefix : str
        What its name begins with.

    Attributes
    ----------
    name : str
        The folder.

    Notes
    -----
    Where there is no POSIX shell only `remove` removes it, or the end of Python.

    Examples
    --------
    >>> from pathlib import Path
    >>> folder = Scratch("rfgraph-")
    >>> Path(folder.name).is_dir()
    True
    >>> folder.remove()
    >>> Path(folder.name).exists()
    False
    """

    def __init__(self, prefix: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix=prefix)
        self.name = self._folder.name
        self._sweeper: subprocess.Popen[bytes] | None = None
        if os.name == "posix":
            with suppress(OSError):
                self._sweeper = subprocess.Popen(
                    ["/bin/sh", "-c", _SWEEP, "sh", self.name],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    # A signal to all of a terminal's processes is not for it.
                    start_new_session=True,
                )

    def remove(self) -> None:
        """Remove it."""
        self._folder.cleanup()
        if self._sweeper is not None:
            assert self._sweeper.stdin is not None
            self._sweeper.stdin.close()
            self._sweeper.wait()
            self._sweeper = None


__all__ = ["Scratch"]
