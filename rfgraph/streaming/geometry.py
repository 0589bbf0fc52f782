"""Which steps of the values that it reads a node needs for a step of its own: read off its record.

Nothing here knows an operator: reads tell whether a node works step by step, by windows, or within
blocks that lie side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isinf

import numpy as np

from rfgraph.engine.trace import Step, sources
from rfgraph.reads.words import (
    Along,
    Elementwise,
    PerAxis,
    Read,
    Rearrange,
    Stage,
    Table,
    coordinates,
    followed,
    is_same,
    same,
)
from rfgraph.streaming.way import Moving, StreamingError


@dataclass(frozen=True)
class Reading:
    """What a value on the way reads of another one, along time.

    Attributes
    ----------
    source : str
        The value that is read.
    number : int
        Which input of the node that is.
    steps : Along
        The steps of it that a step reads.
    shifts_alone : bool
        Whether a step is one step of the source, with all other axes as they are.
    """

    source: str
    number: int
    steps: Along
    shifts_alone: bool = False

    @property
    def is_pointwise(self) -> bool:
        """Whether a step reads the same step."""
        return is_same(self.steps)

    @property
    def is_within_blocks(self) -> bool:
        """Whether a period of steps reads the steps that lie under it."""
        ends = zip(self.steps.starts, self.steps.counts, strict=True)
        return all(
            n == 0 or (first >= 0 and first + (n - 1) * self.steps.step < self.steps.advance)
            for first, n in ends
        )

    def first(self) -> int:
        """The first step that is read for any from step 0 on."""
        pairs = zip(self.steps.starts, self.steps.counts, strict=True)
        return min((first for first, n in pairs if n), default=0)

    def last(self, step: int) -> int:
        """The last step that is read for any up to a step."""
        steps, period = self.steps, len(self.steps.starts)
        found = -1
        for k in range(max(step - period + 1, 0), step + 1):
            turns, phase = divmod(k, period)
            if steps.counts[phase]:
                first = turns * steps.advance + steps.starts[phase]
                found = max(found, first + (steps.counts[phase] - 1) * steps.step)
        return found


def readings(found: Moving, step: Step, value: str) -> list[Reading]:
    """What a value reads of others on the way.

    Raises
    ------
    StreamingError
        It can't be told, or is nothing that repeats.
    """
    reads = step.reads[list(step.node.outputs).index(value)]
    along = found.axis(value)
    if along is None:
        raise refusal(found, value, "no single axis of it counts the steps")
    names = sources(step.node)
    extent = found.at.analysis.extent(value) or ()
    answers: list[Reading] = []
    for read, at, shape in _leaves(reads, along, extent):
        assert isinstance(read.source, int)
        source = names[read.source]
        if source in found.at.fields:
            answers.append(_reading(found, value, source, read, at, shape))
    return answers


def _leaves(
    reads: Sequence[Read], along: int | None, extent: tuple[int, ...]
) -> Iterator[tuple[Read, int | None, tuple[int, ...]]]:
    """Reads of inputs, each with the axis that counts the steps of what reads, and its shape.

    That may be a stage: there is no such axis if it is not read step by step.
    """
    for read in reads:
        stage = read.source
        if not isinstance(stage, Stage):
            yield read, along, extent
            continue
        axis = None
        if isinstance(read, Elementwise) and along is not None:
            axis = along - len(extent) + len(stage.shape)
        elif isinstance(read, PerAxis):
            axes = [k for k, each in enumerate(read.axes) if along in followed(each)]
            if len(axes) == 1 and read.axes[axes[0]] == same(along or 0):
                axis = axes[0]
        yield from _leaves(stage.reads, axis, stage.shape)


def _reading(
    found: Moving,
    value: str,
    source: str,
    read: Read,
    along: int | None,
    extent: tuple[int, ...],
) -> Reading:
    assert isinstance(read.source, int)
    shape = found.at.analysis.extent(source) or ()
    axis = found.axis(source)
    if axis is None:
        raise refusal(found, value, f"no single axis of '{source}' counts the steps")
    if isinstance(read, Elementwise) and along is not None:
        if axis - len(shape) == along - len(extent):
            return Reading(source, read.source, same(along))
    elif isinstance(read, PerAxis) and along is not None:
        steps = read.axes[axis]
        if isinstance(steps, Table) and steps.axes == (along,) and steps.interior is not None:
            steps = _as_in_the_middle(found, value, steps, shape[axis], extent)
        others = [each for k, each in enumerate(read.axes) if k != axis]
        if (
            isinstance(steps, Along)
            and steps.axis == along
            and not any(along in followed(each) for each in others)
        ):
            alone = len(steps.starts) == 1 and steps.counts == (1,)
            alone &= all(isinstance(e, Along) and is_same(e) for e in others)
            return Reading(source, read.source, steps, alone)
    elif _keeps_fields(found, source, value, moved=isinstance(read, Rearrange)):
        return Reading(source, read.source, same(axis))
    raise refusal(found, value, "what a step of it reads is no window along time")


def _as_in_the_middle(
    found: Moving, value: str, steps: Table, size: int, extent: tuple[int, ...]
) -> Along:
    """The pattern of what is listed, if it holds at both ends."""
    assert steps.interior is not None
    if steps.open:
        why = "it reads everything before a step"
        raise refusal(found, value, why, "write it as a recurrent layer, or over a window")
    listed, pattern = (coordinates(each, size, extent) for each in (steps, steps.interior))
    there = listed[1] > 0
    if not (
        np.array_equal(listed[1], pattern[1])
        and np.array_equal(listed[0][there], pattern[0][there])
    ):
        why = "what it reads at the ends is not what it reads elsewhere, moved"
        raise refusal(found, value, why, "pad with a constant")
    return steps.interior


def _keeps_fields(found: Moving, source: str, value: str, *, moved: bool) -> bool:
    """Whether each step sees what the same step of the source sees, and so reads that step alone.

    If one element is `moved`, the last sample that is seen tells which; else one might read more
    of what sees everything before it.
    """
    fields = found.at.fields[value]
    ends = [seen.size for seen in fields.values()]
    return found.at.fields[source] == fields and (moved or not any(map(isinf, ends)))


def refusal(found: Moving, value: str, why: str, remedy: str | None = None) -> StreamingError:
    """The error that names the node of a value that can't be converted."""
    analysis = found.at.analysis
    node = analysis.node(value)
    return StreamingError(
        f"it can't be converted: {why}",
        file=analysis.file,
        node=str(node) if node else f"input '{value}'",
        remedy=remedy or "run it with kept context: rfgraph.streaming.plan(model).run",
    )


__all__ = ["Reading", "readings", "refusal"]
