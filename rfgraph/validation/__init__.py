"""Claims of an analysis tested on the model itself, with onnxruntime: no gradients, any model.

`validate` plans runs (`plan`), asks the analysis what it claims of each (`claims`), and holds the
claims against forward passes (`runs`) of the model, or of a copy that carries NaN to all that reads
it (`nan`, which says what stands in for operators that don't), here or by any executor.
`evidence` adds up what they show.
"""

from rfgraph.validation.report import Tally, Validation, Violation
from rfgraph.validation.validate import validate

__all__ = ["Tally", "Validation", "Violation", "validate"]
