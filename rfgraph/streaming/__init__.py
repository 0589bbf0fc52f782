"""The same result on a stream: how far a model looks ahead, and the run itself.

`plan` reads look-ahead, hop and latency off the fields of the outputs, and names the node that
can't be had on a stream; `run` keeps the context between chunks; `convert` rewrites the model with
explicit states.
"""

from rfgraph.streaming.converted import StateStream, StreamedOutput, StreamingModel, load
from rfgraph.streaming.plan import LookAhead, OutputTiming, Plan, plan
from rfgraph.streaming.run import ContextStream
from rfgraph.streaming.way import StreamingError
from rfgraph.streaming.writer import State

__all__ = [
    "ContextStream",
    "LookAhead",
    "OutputTiming",
    "Plan",
    "State",
    "StateStream",
    "StreamedOutput",
    "StreamingError",
    "StreamingModel",
    "load",
    "plan",
]
