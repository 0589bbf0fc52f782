"""RF301."""

from __future__ import annotations

from collections.abc import Iterator

from rfgraph.checks.finding import Finding
from rfgraph.checks.options import Option, number
from rfgraph.checks.registry import check
from rfgraph.checks.subject import Subject

MISALIGNMENT = Option(
    "misalignment",
    number,
    0.5,
    "how far apart the centres of branches may lie, in units of the longest stride of the "
    "branches (after an upsampling: of the stride before it)",
    "model",
)


@check("RF301", "unequal-branches", "warning", (MISALIGNMENT,), folds=True)
def unequal_branches(subject: Subject) -> Iterator[Finding]:
    """Branches that meet move with different strides, or look at different places.

    A sum or a concatenation takes unit o of one branch to belong to unit o of the other. With
    different strides they drift apart along the input, with different centres they are off by a
    constant: what is added up belongs to different places (Araujo, Norris and Sim 2019, Computing
    Receptive Fields of Convolutional Neural Networks, on the alignment of paths). Paddings that
    differ between branches, a stride that one of them lacks, and croppings that are off by one all
    lead to it.

    Centres that differ by up to half a stride are usual: convolutions with an odd kernel and
    stride 2 look at even pixels. After an upsampling the centre is that of all units of a period.

    Example: the sum of a convolution with kernel 5, padded by 4 before, and of its own input:

        RF301 Add 'sum' joins branches of input 'x' whose centres lie 2 apart along axis 2

    What to do: give the branches the same strides, and paddings that are alike on both sides. On an
    axis that is declared causal (`causal`) different centres are what one expects, and no finding.
    """
    analysis = subject.analysis
    allowed = subject.settings.get("misalignment")
    meetings = analysis.meetings
    wanted = subject.wanted if meetings else set()
    for tensor, given, meeting in meetings:
        if tensor not in wanted:
            continue
        strides = [str(stride) for stride in meeting.strides]
        if len(strides) > 1:
            said = f"whose strides are {' and '.join(strides)} along axis {meeting.axis}"
        elif meeting.misalignment > allowed and not subject.causal_anywhere(given, meeting.axis):
            offsets = [pace.offset for pace in meeting.paces]
            apart = max(offsets) - min(offsets)
            said = f"whose centres lie {apart} apart along axis {meeting.axis}"
        else:
            continue
        yield subject.finding(
            f"{analysis.node(tensor)} joins branches of input '{given}' {said}",
            "give the branches the same strides, and paddings alike on both sides",
            value=tensor,
            made_by=tensor,
            input=given,
            axis=meeting.axis,
            strides=strides,
            misalignment=round(float(meeting.misalignment), 6),
            allowed=allowed,
        )
