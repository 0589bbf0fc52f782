"""RF401."""

from __future__ import annotations

from collections.abc import Iterator

from rfgraph.checks.finding import Finding
from rfgraph.checks.options import Option, names
from rfgraph.checks.registry import check
from rfgraph.checks.rf101_covers import TOLERANCE
from rfgraph.checks.subject import Subject
from rfgraph.compare import differences, snapshot

TRACK = Option(
    "track",
    names,
    [],
    'patterns of values that a baseline keeps beside the outputs: ["*"] for all',
    "model",
)


@check("RF401", "changed", "error", (TRACK, TOLERANCE))
def changed(subject: Subject) -> Iterator[Finding]:
    """The receptive field of a value is not what it was when the baseline was written.

    A change of code that should not touch the architecture, a new version of an exporter or an
    optimiser, a default that is now another one: the field tells whether the model is still the
    one that was trained and tested. A baseline (`rfgraph check --write-baseline FILE`) keeps size,
    stride and start of the field of every output, and of the values that match `track`.

    Example: after a stride went from 2 to 1,

        RF401 output 'y' sees 15 elements along axis 2 of input 'x', and saw 23

    What to do: if the change is intended, write a new baseline and commit it; else look at what has
    changed with `rfgraph diff OLD NEW`. `tolerance` is for sizes and starts.
    """
    if subject.before is None:
        return
    known = set(subject.analysis.tensors)
    values = dict.fromkeys([*subject.tracked, *(v for v in subject.before if v in known)])
    now = snapshot(subject.analysis, values)
    for change in differences(subject.before, now, subject.settings.get("tolerance")):
        if change.kind == "appeared" and not change.input:
            # A value that is new is none that has changed.
            continue
        yield subject.finding(
            change.text,
            "if that is intended, write a new baseline; else see what has changed with rfgraph "
            "diff OLD NEW",
            value=change.value,
            input=change.input,
            axis=change.axis,
            before=change.before,
            after=change.after,
        )
