"""RF102."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from rfgraph.checks.finding import Finding
from rfgraph.checks.options import Option, by_axis, whole
from rfgraph.checks.registry import check
from rfgraph.checks.rf101_covers import LOCAL, TOLERANCE
from rfgraph.checks.subject import Subject, elements

AT_MOST = Option(
    "at-most",
    by_axis(whole),
    None,
    "the size that a field may have, as rfgraph show prints it, borders not clipped: one number "
    "for every axis along which fields move, or a table by axis: at-most = 512, at-most = { 2 = "
    "512 }",
)
HALO = Option(
    "halo",
    by_axis(whole),
    None,
    "how many elements a field may reach beyond the unit's own, on either side",
)


@check("RF102", "reaches-too-far", "error", (AT_MOST, HALO, TOLERANCE, LOCAL))
def reaches_too_far(subject: Subject) -> Iterator[Finding]:
    """An output sees more of an input than it may.

    To run a model over tiles of a large image, or over chunks of a stream, each tile needs a margin
    as wide as the field reaches beyond the unit's own elements: the halo. If the field grows, every
    tile becomes more expensive, and where the margin stays as it was, results are wrong at the
    seams. A layer that reads the whole axis (a global pooling, an instance normalisation,
    attention) makes exact tiles impossible.

    The own elements of unit o are o * stride to (o + 1) * stride - 1; the halo is what the field of
    any unit reaches beyond them, on the side where that is more. An output that is shorter than the
    input, because nothing is padded, is laid over the input's middle.

    Example: a convolution with kernel 5 and padding 2 has a halo of 2. With `halo = 1` that is

        RF102 output 'y' reaches 2 elements beyond its own along axis 2 of input 'x', and 1 is
        allowed

    What to do: smaller kernels or dilations, or fewer layers; `rfgraph why MODEL OUTPUT` names the
    nodes that make the field as large as it is. Or raise the limit, and the margin of the tiles
    with it. With `local = true` gates and attention are left out.
    """
    if not subject.asked(AT_MOST, HALO):
        return
    analysis = subject.analysis
    for output, name in subject.pairs():
        local = subject.settings.get("local", output)
        slack = subject.settings.get("tolerance", output)
        for axis, most in subject.limits("at-most", output, name).items():
            side = analysis.field(output, name, local=local)[axis]
            if side.is_global or side.size > most + slack:
                seen = "everything" if side.is_global else elements(side.size)
                yield subject.finding(
                    f"output '{output}' sees {seen} along axis {axis} of input "
                    f"'{name}', and may see at most {most}",
                    "narrow it (smaller kernels or dilations, fewer layers), or raise 'at-most'",
                    value=output,
                    input=name,
                    axis=axis,
                    option=AT_MOST.name,
                    size=None if side.is_global else int(side.size),
                    at_most=most,
                )
        for axis, most in subject.limits("halo", output, name).items():
            sides = analysis.halo(output, name, axis, local)
            reaches = int(max(sides)) if sides and isfinite(max(sides)) else None
            if reaches is None or reaches > most + slack:
                far = "any distance" if reaches is None else elements(reaches)
                yield subject.finding(
                    f"output '{output}' reaches {far} beyond its own along axis {axis} of input "
                    f"'{name}', and {most} {'is' if most == 1 else 'are'} allowed",
                    "narrow it (smaller kernels or dilations, fewer layers), or raise 'halo' and "
                    "the margin of tiles with it",
                    value=output,
                    input=name,
                    axis=axis,
                    option=HALO.name,
                    reaches=reaches,
                    halo=most,
                )
