"""RF902."""

from __future__ import annotations

from collections.abc import Iterator

from rfgraph.checks.finding import Finding
from rfgraph.checks.registry import check
from rfgraph.checks.subject import Subject


@check("RF902", "data-dependent-reads", "note", folds=True)
def data_dependent_reads(subject: Subject) -> Iterator[Finding]:
    """What an operator reads is decided by the data: all that it may read is assumed.

    A gather by computed indices, a sampling by a computed grid, a selection of the largest: which
    elements count is known at run time only. The fields behind them are the union over everything
    that may happen, which is right, but may be far more than one run uses.

    Example:

        RF902 GridSample 'warp': its grid is computed: any place of the input is assumed

    What to do: nothing, if it is intended. Inputs that are the same in every run can be held fixed
    (`values`), so that indices computed from them are known.
    """
    for note in subject.analysis.notes:
        if note.kind == "computed":
            yield subject.finding(
                str(note),
                "if some inputs are the same in every run, hold them fixed ('values'); else "
                "ignore RF902",
                node=note.node,
                operator=note.operator,
            )
