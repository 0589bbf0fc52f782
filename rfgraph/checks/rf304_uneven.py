"""RF304."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from rfgraph.checks.finding import Finding
from rfgraph.checks.options import Option, number
from rfgraph.checks.registry import check
from rfgraph.checks.subject import Subject
from rfgraph.engine.paths import variation
from rfgraph.reads.words import Along, PerAxis, Stage

UNEVEN = Option(
    "uneven",
    number,
    0.0,
    "how much the number of elements that units add up may vary: its standard deviation over its "
    "mean, along an axis",
    "model",
)


@check("RF304", "uneven-coverage", "warning", (UNEVEN,), folds=True)
def uneven_coverage(subject: Subject) -> Iterator[Finding]:
    """Neighbouring units of a value add up different numbers of elements.

    A transposed convolution whose kernel is no multiple of its stride writes more often to some
    units than to others. The pattern repeats with the stride, and shows in pictures as a
    checkerboard (Odena, Dumoulin and Olah 2016, Deconvolution and Checkerboard Artifacts, Distill).

    What counts is how many elements each unit of a period reads along an axis, borders left out.

    Example: kernel 3 and stride 2: units read 1 and 2 elements in turn.

        RF304 ConvTranspose 'up' adds up 1 to 2 elements along axis 2, in turn

    What to do: a kernel that is a multiple of the stride (4 and 2), or resize first and convolve
    afterwards.
    """
    analysis = subject.analysis
    allowed = subject.settings.get("uneven")
    # Nodes that are alike share their reads, and few are uneven.
    steps = analysis.flow.steps
    every = {id(reads): reads for step in steps for reads in step.reads}
    found = {own: uneven for own, reads in every.items() if (uneven := _uneven(reads))}
    wanted = subject.wanted if found else set()
    for step in steps if found else ():
        for tensor, reads in zip(step.node.outputs, step.reads, strict=False):
            if tensor not in wanted:
                continue
            for axis, counts in sorted(found.get(id(reads), {}).items()):
                varies = _varies(counts)
                if varies > allowed:
                    yield subject.finding(
                        f"{analysis.node(tensor)} adds up {min(counts)} to {max(counts)} elements "
                        f"along axis {axis}, in turn",
                        "make the kernel a multiple of the stride, or resize first and convolve "
                        "afterwards",
                        value=tensor,
                        made_by=tensor,
                        least=min(counts),
                        most=max(counts),
                        varies=round(varies, 6),
                        uneven=allowed,
                    )


@lru_cache(maxsize=256)
def _varies(counts: tuple[int, ...]) -> float:
    """`variation`, of which the same is asked along every axis and of every layer of a kind."""
    return variation(counts)


def _uneven(reads: list) -> dict[int, tuple[int, ...]]:
    """The axes of a value along which the units of a period read different numbers of elements."""
    found: dict[int, tuple[int, ...]] = {}
    for read in reads:
        for along in read.axes if isinstance(read, PerAxis) else ():
            if type(along) is Along and len(along.counts) > 1 and len(set(along.counts)) > 1:
                found[along.axis] = along.counts
        if isinstance(read.source, Stage):
            found.update(_uneven(read.source.reads))
    return found
