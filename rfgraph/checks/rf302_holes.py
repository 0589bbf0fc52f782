"""RF302."""

from __future__ import annotations

from collections.abc import Iterator

from rfgraph.checks.finding import Finding
from rfgraph.checks.options import Option, share
from rfgraph.checks.registry import check
from rfgraph.checks.rf201_batch import is_batch
from rfgraph.checks.subject import Subject, unit_text

HOLES = Option(
    "holes", share, 0.0, "the share of a field's coordinates along an axis that may not be seen"
)


@check("RF302", "holes", "warning", (HOLES,), folds=True)
def holes(subject: Subject) -> Iterator[Finding]:
    """A field has holes: a unit does not see all that lies between its ends.

    Dilated convolutions whose dilations have a common factor look at every second or fourth element
    only, and neighbouring units look at different ones: gridding (Yu, Koltun and Funkhouser 2017,
    Dilated Residual Networks; Wang et al. 2018, Understanding Convolution for Semantic
    Segmentation). The size of the field then promises more than there is. A kernel shorter than its
    stride does the same.

    What counts are the coordinates along each axis that the unit in the middle of an output does
    not see at all, between the first and the last that it sees.

    Example: two 3x3 convolutions, both of dilation 2, see 5 of 9 rows:

        RF302 output 'y' at 0,0,8,8 sees 5 of 9 coordinates from end to end along axis 2 of
        input 'x'

    What to do: dilations without a common factor, such as 1, 2, 5 (Wang et al. call that hybrid
    dilated convolution), or a convolution of dilation 1 after them. `rfgraph unit` draws the field.
    """
    analysis = subject.analysis
    for output, given in subject.pairs():
        shape = analysis.extent(output)
        if shape is None or analysis.extent(given) is None:
            continue
        unit = tuple([n // 2 for n in shape])
        support = analysis.support(output, unit, given)
        for axis, (first, last) in enumerate(support.box or ()):
            seen, length = support.lengths[axis], last - first + 1
            if seen == length or is_batch(subject, given, axis):
                # Samples that meet are RF201's.
                continue
            allowed = subject.settings.get("holes", output)
            if length - seen > allowed * length:
                yield subject.finding(
                    f"output '{output}'{unit_text(unit)} sees {seen} of {length} coordinates "
                    f"from end to end along axis {axis} of input '{given}'"
                    + (f": {1 - seen / length:.1%} are holes" if allowed else ""),
                    "use dilations without a common factor, such as 1, 2, 5, or add a convolution "
                    "of dilation 1 after them",
                    value=output,
                    input=given,
                    axis=axis,
                    sees=seen,
                    of=length,
                    holes=allowed,
                )
