"""How each operator is drawn at random, one file a family: importing them fills the table."""

from __future__ import annotations

from . import (
    contractions as contractions,
)
from . import (
    elementwise as elementwise,
)
from . import (
    exporters as exporters,
)
from . import (
    indexing as indexing,
)
from . import (
    resizing as resizing,
)
from . import (
    shapes as shapes,
)
from . import (
    statistics as statistics,
)
from . import (
    windows as windows,
)
