"""RF202."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction
from functools import partial
from math import lcm

import numpy as np

from rfgraph.analysis import Analysis
from rfgraph.checks.finding import Finding
from rfgraph.checks.options import Option, causal, whole
from rfgraph.checks.registry import check
from rfgraph.checks.subject import Subject, first
from rfgraph.errors import QueryError, ShapeError

CAUSAL = Option(
    "causal",
    causal,
    None,
    "the axis of the inputs that is causal, such as time or tokens: causal = 2; true: the only one "
    "along which fields move; or a table that says for which input and along which axis of the "
    'output: { input = "x", axis = 1, output-axis = 2 }; false: none',
)
LOOK_AHEAD = Option("look-ahead", whole, 0, "how many steps of the future may be seen")


@check("RF202", "sees-the-future", "error", (CAUSAL, LOOK_AHEAD))
def sees_the_future(subject: Subject) -> Iterator[Finding]:
    """A value on an axis that is declared causal depends on later steps.

    A model that runs on a stream can't wait for what has not been said yet, and one that generates
    may not see what it is to generate: trained with a leak it is useless, and the loss looks better
    than ever. It takes one symmetrical padding in a stack of causal convolutions (van den Oord et
    al. 2016, WaveNet), or one mask of attention that got lost in an export (Vaswani et al. 2017,
    Attention Is All You Need, section 3.2.3).

    Constants cut reads here, whatever `prune` says: a mask of attention is a constant, and so are
    the taps of a masked convolution. The ends of the axes are aligned: the last unit of the output
    may see the last step of the input, and each unit before it one stride less. Of an output that
    is longer than the input it is the beginnings.

    Example: a convolution with kernel 3, padded by 1 on either side instead of by 2 before, along a
    declared axis (`causal = 2`):

        RF202 output 'y' sees 1 step ahead along axis 2 of input 'x': at step 0 it sees step 1

    What to do: pad before and not after; mask what is later; export with the mask. `rfgraph why`
    shows the way by which the future gets in. If a look-ahead is wanted, allow for it by
    `look-ahead`, in steps of the input.
    """
    for output in subject.outputs():
        declared = subject.settings.get("causal", output)
        if declared is None:
            continue
        analysis = subject.pruned
        subject.there(analysis, "causal", declared.input, declared.axis)
        allowed = subject.settings.get("look-ahead", output)
        for given in analysis.inputs:
            if not fnmatchcase(given, declared.input) or not analysis.depends(output, given):
                continue
            axis = _axis(subject, given) if declared.axis is None else declared.axis
            if axis >= len(analysis.shape(given) or ()):
                continue
            shape = analysis.shape(output)
            if shape is None:
                raise ShapeError(
                    f"the shape of output '{output}' is not known, so that it can't be told what "
                    "its steps see",
                    remedy="name a value before it, by a table of outputs, and ignore RF202 here",
                )
            if declared.output_axis is not None and declared.output_axis >= len(shape):
                raise QueryError(
                    f"causal: output '{output}' has no axis {declared.output_axis}",
                    remedy=f"its shape is {shape}",
                )
            seen = look_ahead(analysis, output, given, axis, declared.output_axis)
            if seen is None or seen.steps <= allowed:
                continue
            far = f"{seen.steps} step{'s' if seen.steps != 1 else ''} ahead"
            budget = f", and {allowed} {'is' if allowed == 1 else 'are'} allowed" * bool(allowed)
            yield subject.finding(
                f"output '{output}' sees {far} along axis {axis} of input '{given}'"
                f"{budget}"
                + (f": at step {seen.at} it sees step {seen.sees}" if seen.shows else ""),
                "pad before and not after, mask what is later, or allow for it by 'look-ahead'",
                value=output,
                made_by=first(analysis, output, partial(_too_far, analysis, given, axis, allowed)),
                input=given,
                axis=axis,
                steps=seen.steps,
                look_ahead=allowed,
            )


def _axis(subject: Subject, given: str) -> int:
    """The only axis of an input along which fields move."""
    axes = subject.moving_axes(given)
    if len(axes) != 1:
        raise QueryError(
            f"causal: fields move along axes {', '.join(map(str, axes))} of input '{given}'",
            remedy="say which one is causal: causal = 2",
        )
    return axes[0]


@dataclass(frozen=True)
class Ahead:
    """How far a value sees into the future.

    Attributes
    ----------
    steps : int
        So many steps of the input.
    at, sees : int
        At which step, and the last one that is seen from there.
    unit : tuple of int
        A unit that sees as far, of those the one in the middle.
    """

    steps: int
    at: int
    sees: int
    unit: tuple[int, ...]

    @property
    def shows(self) -> bool:
        """Whether a unit sees as far at this size: the end of the input may hide it."""
        return self.sees - self.at == self.steps


def look_ahead(
    analysis: Analysis, tensor: str, given: str, axis: int, output_axis: int | None = None
) -> Ahead | None:
    """How far a value sees ahead along an axis of an input; None if it sees nothing.

    The ends of the axes are aligned, each unit before the last lies one stride earlier; of a value
    that is longer than the input it is the beginnings.
    """
    shape = analysis.shape(tensor)
    if shape is None or not analysis.depends(tensor, given):
        return None
    size = (analysis.shape(given) or ())[axis]
    lo, hi = analysis.bounds(tensor, given, axis=axis)
    last = every = np.where(lo <= hi, hi, -1)
    along = _followed(last, shape, size, axis) if output_axis is None else output_axis
    units = shape[along] if along is not None and along < len(shape) else 1
    if along is not None and along < len(shape):
        other = tuple(a for a in range(last.ndim) if a != along)
        last = np.broadcast_to(last.max(axis=other), (units,))
    else:
        last = last.max(keepdims=False).reshape(1)
    side = analysis.field(tensor, given, local=False)[axis]
    regular = isinstance(side.stride, (int, Fraction)) and side.stride > 0 and not side.irregular
    stride = Fraction(side.stride) if regular else Fraction(size, units)
    # What is longer than the input, as of a convolution with full padding, begins with it.
    late = Fraction(size - units * stride if units * stride < size + stride else 0)
    denominator = lcm(stride.denominator, late.denominator)
    ends = np.arange(1, units + 1) * int(stride * denominator) + int(late * denominator)
    own = -(-ends // denominator) - 1
    ahead = np.where(last >= 0, last - own, np.iinfo(np.int64).min)
    if not (last >= 0).any():
        return None
    steps, at = int(ahead.max()), int(ahead.argmax())
    if regular and len(side.phases) == 1 and not side.is_global and not side.branches:
        # What the end of the input hides is in the closed form.
        steps = max(steps, int(side.start + side.size - 1 - own[0]))
    alike = np.flatnonzero(ahead == ahead.max())
    middle = int(alike[len(alike) // 2])
    if along is not None and along < every.ndim and every.shape[along] > 1:
        every = np.where(np.arange(units).reshape(_along(along, every.ndim)) == middle, every, -1)
    unit = [int(c) for c in np.unravel_index(int(every.argmax()), every.shape)]
    if along is not None and along < len(unit):
        unit[along] = middle
    return Ahead(steps, int(own[at]), int(last[at]), tuple(unit))


def _along(axis: int, rank: int) -> list[int]:
    return [-1 if a == axis else 1 for a in range(rank)]


def _followed(last: np.ndarray, shape: tuple[int, ...], size: int, axis: int) -> int | None:
    """The axis of a value that goes along with an axis of an input."""
    moving = [a for a in range(last.ndim) if last.shape[a] > 1]
    if len(moving) == 1:
        return moving[0]
    same = [a for a in moving or range(len(shape)) if shape[a] == size]
    if axis in same:
        return axis
    if same:
        return same[0]
    # One of another length has steps too if they are a part, or a multiple, of the input's.
    steps = axis < len(shape) and shape[axis] > 1 and (axis in moving or not moving)
    return axis if steps and 0 in (size % shape[axis], shape[axis] % size) else None


def _too_far(analysis: Analysis, given: str, axis: int, allowed: int, tensor: str) -> bool:
    seen = look_ahead(analysis, tensor, given, axis)
    return seen is not None and seen.steps > allowed
