"""Exact receptive fields of ONNX models: no framework, no gradients, no weights.

>>> import rfgraph
>>> a = rfgraph.analyze("models/lenet_textbook.onnx")
>>> a.box("y", (0, 0, 4, 5))
((0, 0), (0, 0), (8, 13), (10, 15))
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rfgraph.version import VERSION

if TYPE_CHECKING:
    from rfgraph import plot, reads
    from rfgraph.analysis import Analysis, analyze
    from rfgraph.checks import Finding, Report, check
    from rfgraph.engine.closed_form import AxisField, Field
    from rfgraph.engine.trace import Note
    from rfgraph.engine.why import Explanation, Hop
    from rfgraph.errors import (
        ModelError,
        QueryError,
        RFGraphError,
        ShapeError,
        TransferError,
        UnsupportedError,
    )
    from rfgraph.ops import Operation, Undetermined, transfer
    from rfgraph.validation.report import Validation, Violation
    from rfgraph.validation.validate import validate

__version__ = VERSION

__all__ = [
    "Analysis",
    "AxisField",
    "Explanation",
    "Field",
    "Finding",
    "Hop",
    "ModelError",
    "Note",
    "Operation",
    "QueryError",
    "RFGraphError",
    "Report",
    "ShapeError",
    "TransferError",
    "Undetermined",
    "UnsupportedError",
    "Validation",
    "Violation",
    "analyze",
    "check",
    "plot",
    "reads",
    "transfer",
    "validate",
]

# Where the names above are made. They are imported when they are asked for: the command line is
# there at once, and answers an interruption, before numpy and onnx are loaded.
_HOMES = {
    "analysis": ("Analysis", "analyze"),
    "checks": ("Finding", "Report", "check"),
    "engine.closed_form": ("AxisField", "Field"),
    "errors": (
        "ModelError",
        "QueryError",
        "RFGraphError",
        "ShapeError",
        "TransferError",
        "UnsupportedError",
    ),
    "engine.why": ("Explanation", "Hop"),
    "engine.trace": ("Note",),
    "ops": ("Operation", "Undetermined", "transfer"),
    "validation": ("Validation", "Violation", "validate"),
}


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        for home, names in _HOMES.items():
            if name in names:
                found = globals()[name] = getattr(import_module(f"rfgraph.{home}"), name)
                return found
        if not name.startswith("_"):
            try:
                return import_module(f"rfgraph.{name}")
            except ModuleNotFoundError as error:
                if error.name != f"rfgraph.{name}":
                    raise
        raise AttributeError(f"module 'rfgraph' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
