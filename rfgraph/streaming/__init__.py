"""The same result on a stream: how far a model looks ahead, and the run itself.

`plan` reads look-ahead, hop and latency off the fields of the outputs, and names the node that
can't be had on a stream; `run` keeps the context between chunks; `convert` rewrites the model with
explicit states.
"""

from rfgraph.streaming.plan import LookAhead, OutputTiming, Plan, plan
from rfgraph.streaming.way import StreamingError

__all__ = ["LookAhead", "OutputTiming", "Plan", "StreamingError", "plan"]
