"""Models of one node each, with attributes at their edges; every one is valid by ONNX's word."""

from __future__ import annotations

from . import (
    elementwise as elementwise,
)
from . import (
    indexing as indexing,
)
from . import (
    moving as moving,
)
from . import (
    resampling as resampling,
)
from . import (
    sequences as sequences,
)
from . import (
    statistics as statistics,
)
from . import (
    windows as windows,
)
from .single import FAMILIES, BrokenModelError, Live, Single

__all__ = ["FAMILIES", "BrokenModelError", "Live", "Single", "suite"]


def suite() -> list[Single]:
    """Every model of the suite, in the order of the families."""
    return [one for made in FAMILIES.values() for one in made()]
