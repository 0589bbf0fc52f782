"""RF203."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import partial

import numpy as np

from rfgraph.analysis.analysis import Analysis
from rfgraph.checks.finding import Finding
from rfgraph.checks.options import Groups, Option, groups, sets_of_names
from rfgraph.checks.registry import check
from rfgraph.checks.subject import Subject, first, unit_text
from rfgraph.errors import QueryError

INPUTS = Option(
    "independent-inputs",
    sets_of_names,
    None,
    'lists of inputs, of which no output may see two: [["left", "right"]]',
)
GROUPS = Option(
    "independent-groups",
    groups,
    None,
    "runs of coordinates along an axis of an input, of which no unit may see two: "
    '[{ input = "x", axis = 1, sizes = [3, 1] }]',
)


@check("RF203", "mixes-independent", "error", (INPUTS, GROUPS))
def mixes_independent(subject: Subject) -> Iterator[Finding]:
    """An output depends on several inputs, or groups of channels, that are declared independent.

    The two sides of a siamese network, the sensors of a fault-tolerant system, a target and what is
    predicted of it, the groups of a grouped convolution (Krizhevsky, Sutskever and Hinton 2012):
    what is meant to be apart is easily joined by one concatenation too early, one convolution
    without `groups`, one normalisation over channels.

    Example: with `independent-groups = [{ axis = 1, sizes = [2, 2] }]`, after a convolution without
    groups,

        RF203 output 'y' at 0,0,0 sees groups 0 and 1 along axis 1 of input 'x', first at Conv 'mix'

    What to do: look at the node that is named, where they first meet.
    """
    analysis = subject.analysis
    for output in subject.outputs():
        for names in subject.settings.get("independent-inputs", output) or []:
            for name in names:
                subject.there(analysis, "independent-inputs", name)
            seen = [
                given
                for given in analysis.inputs
                if any(fnmatchcase(given, n) for n in names) and analysis.depends(output, given)
            ]
            if len(seen) > 1:
                where = first(analysis, output, partial(_sees_two, analysis, seen))
                together = _listed([f"'{name}'" for name in seen])
                yield subject.finding(
                    f"output '{output}' sees inputs {together}, first at {analysis.node(where)}",
                    "keep them apart at that node",
                    value=output,
                    made_by=where,
                )
        for group in subject.settings.get("independent-groups", output) or []:
            subject.there(analysis, "independent-groups", group.input, group.axis)
            for given in analysis.inputs:
                rank = len(analysis.extent(given) or ())
                if (
                    fnmatchcase(given, group.input)
                    and group.axis < rank
                    and analysis.depends(output, given)
                ):
                    yield from _mixed(subject, output, given, group)


def _mixed(subject: Subject, output: str, given: str, group: Groups) -> Iterator[Finding]:
    analysis = subject.analysis
    size = (analysis.extent(given) or ())[group.axis]
    if sum(group.sizes) != size:
        raise QueryError(
            f"independent-groups: axis {group.axis} of input '{given}' has {size} coordinates, and "
            f"the groups have {sum(group.sizes)}",
            remedy="give groups whose sizes add up to the length of the axis",
        )
    of = np.repeat(np.arange(len(group.sizes)), group.sizes)
    mixed = _mixes(analysis, output, given, group.axis, of)
    if mixed.any():
        unit = tuple(int(c) for c in np.argwhere(mixed)[0])
        lo, hi = analysis.bounds(output, given, axis=group.axis)
        where = first(
            analysis,
            output,
            lambda t: bool(_mixes(analysis, t, given, group.axis, of).any()),
            given,
        )
        yield subject.finding(
            f"output '{output}'{unit_text(unit)} sees groups {of[lo[unit]]} and {of[hi[unit]]} "
            f"along axis {group.axis} of input '{given}', first at {analysis.node(where)}",
            "keep them apart at that node",
            value=output,
            made_by=where,
            input=given,
            axis=group.axis,
        )


def _mixes(analysis: Analysis, tensor: str, given: str, axis: int, of: np.ndarray) -> np.ndarray:
    """The units that see several groups: both ends of bounds are seen, so they tell."""
    if not analysis.depends(tensor, given):
        return np.zeros(1, dtype=bool)
    lo, hi = analysis.bounds(tensor, given, axis=axis)
    seen = lo <= hi
    mixed: np.ndarray = seen & (of[np.where(seen, lo, 0)] != of[np.where(seen, hi, 0)])
    return mixed


def _sees_two(analysis: Analysis, inputs: list[str], tensor: str) -> bool:
    return sum(analysis.depends(tensor, given) for given in inputs) > 1


def _listed(items: list[str]) -> str:
    return f"{', '.join(items[:-1])} and {items[-1]}"
