"""Models run elsewhere: other runtimes, each in a process that it may crash or hang.

`start` begins one and returns its `Session`; `protocol` says what a runtime is, `registry` which
there are.
"""

from rfgraph.runtimes.protocol import Opened, Options, Runtime
from rfgraph.runtimes.session import Outcome, Session, start

__all__ = ["Opened", "Options", "Outcome", "Runtime", "Session", "start"]
