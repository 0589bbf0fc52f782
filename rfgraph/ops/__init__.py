"""One pure transfer for every operator: node in, reads out.

`transfer` registers one, by domain, operator and the operator-set version since which it holds;
the modules of this package are families of operators, and importing the package registers all.
"""

from __future__ import annotations

from rfgraph.ops.custom import check_answer, load
from rfgraph.ops.registry import (
    Computed,
    NoteKind,
    Operation,
    Question,
    Reads,
    Rule,
    Undetermined,
    Unsized,
    blamed,
    lookup_rule,
    output_shapes,
    registered,
    transfer,
)

# Importing a family registers its transfers.
from rfgraph.ops import (  # isort: skip
    attention as attention,
    contrib_attention as contrib_attention,
    contrib_fused as contrib_fused,
    contrib_layout as contrib_layout,
    contrib_quantised as contrib_quantised,
    contrib_various as contrib_various,
    control as control,
    convolution as convolution,
    elementwise as elementwise,
    indexing as indexing,
    learned as learned,
    linear as linear,
    moving as moving,
    normalisation as normalisation,
    pooling as pooling,
    quantised as quantised,
    recurrent as recurrent,
    reduction as reduction,
    resizing as resizing,
    sampling as sampling,
    scatter as scatter,
    selection as selection,
    signal as signal,
    static as static,
    strings as strings,
    training as training,
)

__all__ = [
    "Computed",
    "NoteKind",
    "Operation",
    "Question",
    "Reads",
    "Rule",
    "Undetermined",
    "Unsized",
    "blamed",
    "check_answer",
    "load",
    "lookup_rule",
    "output_shapes",
    "registered",
    "transfer",
]
