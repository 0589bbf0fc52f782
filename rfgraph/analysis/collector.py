"""The collector of garbage, which long work is better off without."""

from __future__ import annotations

import gc


class uncollected:  # noqa: N801 - written as what is done, in a with statement
    """Without the collector of garbage: an analysis makes many objects and keeps nearly all, which
    would be gone through again and again.
    """

    def __enter__(self) -> None:
        self._was_enabled = gc.isenabled()
        gc.disable()

    def __exit__(self, *_: object) -> None:
        if self._was_enabled:
            if not gc.get_freeze_count():
                # What was made is kept: it counts as old, and is not gone through as it would be if
                # it were young.
                gc.freeze()
                gc.unfreeze()
            gc.enable()
