"""Long series of random things, in chunks: the first ones are tested by default, the rest with the
long runs.
"""

from __future__ import annotations

from typing import Any

import pytest


def chunks(total: int, size: int, quick: int) -> list[Any]:
    """Where the chunks of a series begin, as parameters of a test; after `quick` they are slow."""
    starts = range(0, total, size)
    return [*starts[:quick], *(pytest.param(k, marks=pytest.mark.slow) for k in starts[quick:])]
