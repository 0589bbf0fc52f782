"""The words in which an operator says what it reads; see `rfgraph.reads.words`."""

from rfgraph.reads.words import *  # noqa: F403
from rfgraph.reads.words import __all__ as __all__
