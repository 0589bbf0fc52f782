"""``python -m rfgraph``, and the command ``rfgraph``."""

from __future__ import annotations

import os
import signal
import sys


def main() -> int:
    """Run the command line; return the exit code."""
    # While modules are loaded an exception may become another one, and there is nothing to lose.
    asked = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if asked:
        signal.signal(signal.SIGINT, _end)
    from rfgraph import cli

    if asked:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return cli.main(guard=True)


def _end(*_: object) -> None:
    os.write(2, b"rfgraph: error: interrupted\n")
    os._exit(2)


if __name__ == "__main__":
    sys.exit(main())
