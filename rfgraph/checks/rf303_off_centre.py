"""RF303."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from math import isfinite

from rfgraph.analysis.analysis import Analysis
from rfgraph.checks.finding import Finding
from rfgraph.checks.options import Option, number
from rfgraph.checks.registry import check
from rfgraph.checks.subject import Subject

OFF_CENTRE = Option(
    "off-centre",
    number,
    0.5,
    "how far off the middle of the input the fields may lie, in strides (after an upsampling: in "
    "strides before it)",
)


@check("RF303", "off-centre", "warning", (OFF_CENTRE,), folds=True)
def off_centre(subject: Subject) -> Iterator[Finding]:
    """The fields of an output's units lie off the middle of the input.

    From the first to the last, the units of a feature map should look at the input evenly: as far
    beyond one border as beyond the other. Padding on one side only, croppings, and steps that leave
    the last rows over shift them, and with them boxes, masks and heat maps, by a constant that no
    loss corrects for at a new size of the input (Araujo, Norris and Sim 2019, Computing Receptive
    Fields of Convolutional Neural Networks, on the centres of fields).

    Half a stride is usual: convolutions with an odd kernel and stride 2 look at even pixels, so
    that a stride of 32 puts the middle 15.5 pixels to the left. Borders are not clipped here.

    Example: three convolutions with kernel 5, padded by 4 before and none after:

        RF303 output 'y' lies 6 elements before the middle of axis 2 of input 'x'

    What to do: pad both sides alike. If it is intended, as on a causal axis, declare the axis with
    `causal`.
    """
    analysis = subject.analysis
    for output, given in subject.pairs():
        field = analysis.field(output, given)
        for axis in subject.moving_axes(given):
            side = field[axis]
            if not side.stride or side.is_global or side.irregular:
                continue
            offset = analysis.once(
                output, given, ("off centre", axis), partial(_offset, analysis, output, given, axis)
            )
            if not offset or subject.is_causal(output, given, axis):
                continue
            period = max(len(side.phases), 1) * abs(Fraction(side.stride))
            allowed = subject.settings.get("off-centre", output)
            if abs(offset) > allowed * period:
                where = "before" if offset < 0 else "behind"
                yield subject.finding(
                    f"output '{output}' lies {_written(abs(offset))} {where} the middle "
                    f"of axis {axis} of input '{given}'",
                    "pad both sides alike, or declare the axis causal",
                    value=output,
                    input=given,
                    axis=axis,
                    offset=float(offset),
                    stride=float(period),
                    off_centre=allowed,
                )


def _offset(analysis: Analysis, output: str, given: str, axis: int) -> Fraction | None:
    """How far behind the middle of an axis the fields lie; None if they have no middle."""
    span = analysis.span(output, given, axis, local=True)
    size = (analysis.extent(given) or ())[axis]
    # What sees without end has none.
    if span is None or not size or not all(map(isfinite, span)):
        return None
    return (Fraction(span[0]) + Fraction(span[1]) - (size - 1)) / 2


def _written(number: Fraction) -> str:
    """A number of elements without needless decimals.

    >>> _written(Fraction(3, 2)), _written(Fraction(1))
    ('1.5 elements', '1 element')
    """
    return f"{float(number):g} element{'s' if number != 1 else ''}"
