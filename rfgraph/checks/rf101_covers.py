"""RF101."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rfgraph.analysis.analysis import Analysis
from rfgraph.checks.finding import Finding
from rfgraph.checks.options import Option, by_axis, flag, share, whole
from rfgraph.checks.registry import check
from rfgraph.checks.subject import Subject, elements

TOLERANCE = Option("tolerance", whole, 0, "differences of up to so many elements are no finding")
LOCAL = Option(
    "local",
    flag,
    False,
    "only the local part: leave out what is seen through a statistic over a whole axis (a "
    "squeeze-and-excite gate, attention)",
)
COVERS = Option(
    "covers",
    by_axis(share),
    None,
    "the share of the axis that the widest unit has to see: one number for every axis along which "
    "fields move, or a table by axis: covers = 1.0, covers = { 2 = 0.5 }",
)
AT_LEAST = Option(
    "at-least",
    by_axis(whole),
    None,
    "the size that the field of every unit has to have, as rfgraph show prints it, borders not "
    "clipped: at-least = 128",
)


@check("RF101", "covers-too-little", "error", (COVERS, AT_LEAST, TOLERANCE, LOCAL))
def covers_too_little(subject: Subject) -> Iterator[Finding]:
    """An output sees less of an input than it has to.

    What lies outside of the receptive field can't influence an output: if objects, or the context
    that tells them apart, are larger than the field, no training helps. How much of the input
    is seen decides what a network can learn (Luo et al. 2016, Understanding the Effective Receptive
    Field in Deep Convolutional Neural Networks; Araujo, Norris and Sim 2019, Computing Receptive
    Fields of Convolutional Neural Networks). Whoever needs a certain context writes it down, and
    this check holds every export to it.

    `covers` compares what the widest unit sees of the axis, clipped at the borders, with the axis;
    `at-least` compares the size of the field of the unit that sees least, borders left out; it is
    the same at every size of the input.

    Example: three convolutions with kernel 3 and stride 1 see 7 pixels. With `at-least = 9` that is

        RF101 output 'y' sees 7 elements along axis 2 of input 'x', and has to see at least 9

    What to do: larger kernels, strides or dilations, more layers before the output, or pooling;
    `rfgraph why MODEL OUTPUT` names the nodes that make the field as large as it is. Or lower the
    limit.
    """
    if not subject.asked(COVERS, AT_LEAST):
        return
    analysis = subject.analysis
    for output in subject.outputs():
        local = subject.settings.get("local", output)
        slack = subject.settings.get("tolerance", output)
        asked = any(subject.settings.get(o.name, output) for o in (COVERS, AT_LEAST))
        if asked and not analysis.depends(output):
            yield subject.finding(
                f"output '{output}' depends on no input",
                "find where it is cut off: rfgraph show MODEL lists all values",
                value=output,
            )
        for name in analysis.inputs:
            if not analysis.depends(output, name):
                continue
            for axis, least in subject.limits("covers", output, name).items():
                size = (analysis.extent(name) or ())[axis]
                widest = _widest(analysis, output, name, axis, local=local)
                if widest + slack < least * size:
                    yield subject.finding(
                        f"output '{output}' sees {widest} of the {size} elements along axis {axis} "
                        f"of input '{name}' ({widest / size:.1%}), and has to see {least:.1%}",
                        "widen it (larger kernels, strides or dilations, more layers), or lower "
                        "'covers'",
                        value=output,
                        input=name,
                        axis=axis,
                        option=COVERS.name,
                        sees=widest,
                        of=size,
                        covers=least,
                    )
            for axis, least in subject.limits("at-least", output, name).items():
                side = analysis.field(output, name, local=local)[axis]
                if not side.is_global and side.smallest + slack < least:
                    who = f"output '{output}'"
                    if side.smallest < side.size:
                        who = f"a unit of {who}"
                    yield subject.finding(
                        f"{who} sees {elements(side.smallest)} along axis {axis} of input "
                        f"'{name}', and has to see at least {least}",
                        "widen it (larger kernels, strides or dilations, more layers), or lower "
                        "'at-least'",
                        value=output,
                        input=name,
                        axis=axis,
                        option=AT_LEAST.name,
                        size=int(side.smallest),
                        at_least=least,
                    )


def _widest(analysis: Analysis, output: str, name: str, axis: int, *, local: bool) -> int:
    """How many elements along an axis the unit sees that sees most, from end to end."""

    def widest() -> int:
        lo, hi = analysis.bounds(output, name, local=local, axis=axis)
        return int(np.maximum(hi - lo + 1, 0).max(initial=0))

    return analysis.once(output, name, ("widest", axis, local), widest)
