"""The collector of garbage, which long work is better off without."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the collector of garbage: an analysis makes many objects and keeps nearly all, which
    would be gone through again and again.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            if not gc.get_freeze_count():
                # What was made is kept: it counts as old, and is not gone through as it would be
                # if it were young.
                gc.freeze()
                gc.unfreeze()
            gc.enable()
