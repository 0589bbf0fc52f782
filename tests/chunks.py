"""Long series of random things, in chunks: the first ones are tested by default, the rest with the
long runs. The environment variable ``RFGRAPH_SHARE`` is the share of them that is looked at: 1 by
default, and above 1 there are more.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

_SHARE = float(os.environ.get("RFGRAPH_SHARE", "1"))


def share(total: int) -> int:
    """How many of so many random things are looked at."""
    return max(1, round(total * _SHARE))


def chunks(total: int, size: int, quick: int) -> list[Any]:
    """Where the chunks of a series begin, as parameters of a test; after `quick` they are slow."""
    starts = range(0, total, size)
    return [*starts[:quick], *(pytest.param(k, marks=pytest.mark.slow) for k in starts[quick:])]
