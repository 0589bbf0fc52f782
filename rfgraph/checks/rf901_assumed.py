"""RF901."""

from __future__ import annotations

from collections.abc import Iterator

from rfgraph.checks.finding import Finding
from rfgraph.checks.registry import check
from rfgraph.checks.subject import Subject


@check("RF901", "assumed-operator", "warning", folds=True)
def assumed_operator(subject: Subject) -> Iterator[Finding]:
    """An operator is not known: it is assumed to read all of its inputs.

    Values after it are then said to see too much, never too little: every other check still holds,
    but a field that is everything says nothing. It is a custom operator, or a mode that the ONNX
    specification does not define.

    Example:

        RF901 FancyPool 'pool': this operator is not known: every output is assumed to read all of
        every input

    What to do: say what it reads, in five lines of Python (docs/custom-operators.md), and name the
    file by `ops = ["my_ops.py"]`.
    """
    for note in subject.analysis.notes:
        if note.kind == "unknown":
            yield subject.finding(
                str(note),
                "say what it reads, in a Python file that 'ops' names (docs/custom-operators.md)",
                node=note.node,
                operator=note.operator,
            )
