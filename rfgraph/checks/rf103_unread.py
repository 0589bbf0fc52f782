"""RF103."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from rfgraph.analysis.analysis import Analysis
from rfgraph.checks.finding import Finding
from rfgraph.checks.options import Option, share
from rfgraph.checks.registry import check
from rfgraph.checks.subject import Subject
from rfgraph.engine.support import Support
from rfgraph.model.graph import Node

UNREAD = Option(
    "unread", share, 0.0, "the share of an input's elements that may go unread", "model"
)


@check("RF103", "unread-input", "warning", (UNREAD,))
def unread_input(subject: Subject) -> Iterator[Finding]:
    """Elements of an input are read by no output.

    A window that moves by more than one element at a time stops where it no longer fits: at some
    sizes of the input the last rows and columns are silently dropped. A kernel shorter than its
    stride skips what lies between, everywhere. Nothing can be learnt from what is dropped, and
    where it is on one side only, the model sees an off-centre part of its input. (Closed forms, as
    those of Araujo, Norris and Sim 2019, leave borders out; the figures here don't.)

    Example: a 3x3 convolution with stride 2 and no padding, on 8 rows, reads rows 0 to 6:

        RF103 8 of the 64 elements of input 'x' are read by no output: those at 7 along axis 2

    Along an axis whose size the model leaves open, what lies behind the last element that is read
    is no finding, unless `shapes` gives the size.

    What to do: give an input of a size that fits, or pad; if it is intended, allow for it with
    `unread`. An input that nothing reads can be removed from the model.
    """
    analysis = subject.analysis
    for name in analysis.inputs:
        shape = analysis.extent(name)
        if not shape or 0 in shape:
            continue
        readers = [output for output in analysis.outputs if analysis.depends(output, name)]
        if any(analysis.extent(output) is None for output in readers):
            # All of it is taken to be read.
            continue
        if not readers:
            if subject.assumed(name):
                subject.remark(f"input '{name}': none of it is read at the assumed size")
                continue
            used = any(name in (*node.inputs, *node.captures) for node in _nodes(analysis))
            yield subject.finding(
                f"no output depends on the elements of input '{name}'",
                "find where it is cut off, or make sure that only its shape is meant to be used"
                if used
                else "no node takes it: remove the input from the model",
                input=name,
                unread=prod(shape),
                of=prod(shape),
            )
            continue
        read = analysis.read(name)
        if read.count == prod(shape):
            continue
        # Of an axis of any size, what lies behind the last element that is read is no loss.
        ends = [last + 1 for _, last in read.box or ()]
        if read.box is not None:
            shape = tuple(
                end if axis in subject.assumed(name) else n
                for axis, (end, n) in enumerate(zip(ends, shape, strict=True))
            )
        size = prod(shape)
        unread = size - read.count
        if unread > subject.settings.get("unread") * size:
            yield subject.finding(
                f"{unread} of the {size} elements of input '{name}' are read by no output"
                + _where(read, shape),
                "give an input of a size that fits, pad it, or allow for it with 'unread'",
                input=name,
                unread=unread,
                of=size,
            )


def _nodes(analysis: Analysis) -> Iterator[Node]:
    for tensor in analysis.tensors:
        node = analysis.node(tensor)
        if node is not None:
            yield node


def _where(read: Support, shape: tuple[int, ...]) -> str:
    """The coordinates of which nothing is read."""
    said = []
    for axis, size in enumerate(shape):
        missing = np.flatnonzero(~read.along(axis)[:size])
        if missing.size:
            said.append(f"{_runs(missing.tolist())} along axis {axis}")
    return ": those at " + ", ".join(said) if said else ""


def _runs(coordinates: list[int], most: int = 4) -> str:
    """Coordinates as runs.

    >>> _runs([0, 1, 2, 7, 9])
    '0-2, 7 and 9'
    """
    runs: list[list[int]] = []
    for c in coordinates:
        if runs and runs[-1][-1] == c - 1:
            runs[-1][1:] = [c]
        else:
            runs.append([c])
    said = ["-".join(map(str, run)) for run in runs]
    if len(said) > most:
        return f"{', '.join(said[:most])} and {len(said) - most} more runs"
    return " and ".join([", ".join(said[:-1]), said[-1]] if len(said) > 1 else said)
