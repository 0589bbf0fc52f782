"""Exact receptive fields of ONNX models: no framework, no gradients, no weights.

>>> import rfgraph
>>> a = rfgraph.analyze("models/lenet_textbook.onnx")
>>> a.box("y", (0, 0, 4, 5))
((0, 0), (0, 0), (8, 13), (10, 15))
"""

from rfgraph import plot, reads
from rfgraph.analysis import Analysis, analyze
from rfgraph.checks import Finding, Report, check
from rfgraph.closed_form import AxisField, Field
from rfgraph.errors import (
    ModelError,
    QueryError,
    RFGraphError,
    ShapeError,
    TransferError,
    UnsupportedError,
)
from rfgraph.explain import Explanation, Hop
from rfgraph.flow import Note
from rfgraph.ops import Operation, Undetermined, transfer
from rfgraph.validation import Validation, Violation, validate
from rfgraph.version import VERSION

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
