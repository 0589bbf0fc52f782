"""One pure transfer for every operator: node in, reads out.

`transfer` registers one, by domain, operator and the operator-set version since which it holds;
the modules of this package are families of operators, which register theirs when one of them is
looked up (`families`).
"""

from __future__ import annotations

from rfgraph.ops.custom import check_answer, load
from rfgraph.ops.registry import (
    Computed,
    Digest,
    NoteKind,
    Operation,
    Question,
    Reads,
    Rule,
    Traits,
    Undetermined,
    Unsized,
    Windows,
    blamed,
    describe,
    evaluate,
    lookup_rule,
    output_shapes,
    registered,
    rules,
    shape_rule_of,
    traits_of,
    transfer,
)
from rfgraph.ops.rounding import Rounding

__all__ = [
    "Computed",
    "Digest",
    "NoteKind",
    "Operation",
    "Question",
    "Reads",
    "Rounding",
    "Rule",
    "Traits",
    "Undetermined",
    "Unsized",
    "Windows",
    "blamed",
    "check_answer",
    "describe",
    "evaluate",
    "load",
    "lookup_rule",
    "output_shapes",
    "registered",
    "rules",
    "shape_rule_of",
    "traits_of",
    "transfer",
]
