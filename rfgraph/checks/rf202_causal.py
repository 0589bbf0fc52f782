"""RF202."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from fractions import Fraction
from functools import partial
from math import inf, lcm

import numpy as np

from rfgraph.analysis.analysis import Analysis
from rfgraph.analysis.masks import hint
from rfgraph.checks.finding import Finding
from rfgraph.checks.options import Option, causal, whole
from rfgraph.checks.registry import check
from rfgraph.checks.subject import Subject, first
from rfgraph.errors import QueryError, ShapeError


def _aligned(given: object) -> str | int:
    if given in ("begin", "end"):
        return str(given)
    try:
        return whole(given)
    except ValueError:
        raise ValueError('"begin", "end", or the newest step that the first unit may see') from None


CAUSAL = Option(
    "causal",
    causal,
    None,
    "the axis of the inputs that is causal, such as time or tokens: causal = 2; true: the only one "
    "along which fields move; or a table that says for which input and along which axis of the "
    'output: { input = "x", axis = 1, output-axis = 2 }; false: none',
)
LOOK_AHEAD = Option("look-ahead", whole, 0, "how many steps of the future may be seen")
ALIGNED = Option(
    "aligned",
    _aligned,
    "begin",
    'where the output\'s steps lie on the input: "begin": unit o has the steps o * stride to '
    "(o + 1) * stride - 1; a number n: unit o has those up to o * stride + n, as n = kernel - 1 "
    'after a convolution that is not padded; "end": the last unit has the last step, each unit '
    "before it one stride less",
)


@check("RF202", "sees-the-future", "error", (CAUSAL, LOOK_AHEAD, ALIGNED))
def sees_the_future(subject: Subject) -> Iterator[Finding]:
    """A value on an axis that is declared causal depends on later steps.

    A model that runs on a stream can't wait for what has not been said yet, and one that generates
    may not see what it is to generate: trained with a leak it is useless, and the loss looks better
    than ever. One symmetrical padding is enough in a stack of causal convolutions (van den Oord et
    al. 2016, WaveNet), or one attention mask that was lost in an export (Vaswani et al. 2017,
    Attention Is All You Need, section 3.2.3).

    Constants cut reads here, whatever `prune` says: a mask of attention is a constant, and so are
    the taps of a masked convolution. The own steps of unit o are the steps o * stride to (o + 1) *
    stride - 1 of the input, rounded down; it may depend on them and on all before them, whatever
    the length. `aligned` is for outputs that do not begin where the input does, as after a
    convolution that is not padded.

    Example: a convolution with kernel 3, padded by 1 on either side instead of by 2 before, along a
    declared axis (`causal = 2`):

        RF202 output 'y' sees 1 step ahead along axis 2 of input 'x': at step 0 it sees step 1

    Language models take a mask of padding as an input. Where it may exclude all that the causal
    mask leaves of a row, a finite mask (-3.4e38) makes the softmax uniform, over later steps too.
    The finding names that input; where no token is padding it can be held at ones, by
    `values = { attention_mask = "ones" }` or `--value attention_mask=ones`.

    The structure counts, not the values. A convolution by FFT reads all steps at once; padded to
    twice the length it is causal by its values only, as what is later cancels out. The finding says
    'by structure' then. `rfgraph validate` reports any change, and so rounding too, which an FFT
    spreads over all steps. To tell them apart, change a later step: rounding changes a step by
    about 1e-6, a leak by as much as its own input does.

    What to do: pad before and not after; mask what is later; export with the mask. `rfgraph why`
    shows how the future gets in. If a look-ahead is intended, allow for it with `look-ahead`, in
    steps of the input.
    """
    for output in subject.outputs():
        declared = subject.settings.get("causal", output)
        if declared is None:
            continue
        analysis = subject.analysis
        subject.there(analysis, "causal", declared.input, declared.axis)
        allowed = subject.settings.get("look-ahead", output)
        for given in analysis.inputs:
            if not fnmatchcase(given, declared.input) or not analysis.depends(output, given):
                continue
            if (declared.axis or 0) >= len(analysis.extent(given) or ()):
                continue
            # What constants cut is asked last.
            if not subject.pruned.depends(output, given):
                continue
            axis = _axis(subject, given) if declared.axis is None else declared.axis
            shape = analysis.shape(output)
            if shape is None or None in shape:
                what = "the shape" if shape is None else "a size"
                raise ShapeError(
                    f"{what} of output '{output}' is not known, so RF202 can't tell what its "
                    "steps see",
                    remedy="name a value before it in a table 'outputs', and ignore RF202 for "
                    "this output",
                )
            if declared.output_axis is not None and declared.output_axis >= len(shape):
                raise QueryError(
                    f"causal: output '{output}' has no axis {declared.output_axis}",
                    remedy=f"its shape is {shape}",
                )
            seen, at, way = furthest(subject, output, given, axis)
            if seen is None or seen.steps <= allowed:
                continue
            far = f"{seen.steps} step{'s' if seen.steps != 1 else ''} ahead"
            budget = f", and {allowed} {'is' if allowed == 1 else 'are'} allowed" * bool(allowed)
            masks = _masks(subject, output, way, seen.steps)
            contracted = _contracted(at, output, way)
            if way.along is not None:
                way = replace(way, along=None)
            # With another length of the axis the two have to be alike.
            alike = given if way.longer is None else None
            where = first(at, output, partial(_too_far, at, way, allowed), alike)
            yield subject.finding(
                f"output '{output}' sees {far} along axis {axis} of input '{given}'"
                f"{budget}"
                + (f": at step {seen.at} it sees step {seen.sees}" if seen.shows else "")
                + (f", as {_listed(masks)} may mask whole rows" if masks else "")
                + (", by structure" if contracted else ""),
                hint(masks) if masks else _STRUCTURE if contracted else _REMEDY,
                value=output,
                made_by=where,
                input=given,
                axis=axis,
                steps=seen.steps,
                look_ahead=allowed,
            )


_STRUCTURE = (
    "if the values cancel out what is later, as in a convolution by FFT, allow for it with "
    "'look-ahead'; rfgraph validate counts rounding as a change: change a later step, and see "
    "whether the output changes by more than rounding"
)
_REMEDY = "pad before and not after, mask later steps, or allow for it with 'look-ahead'"


def _contracted(analysis: Analysis, output: str, way: Steps) -> bool:
    """Whether the steps of an output all read the same ones, and none of its own beside them."""
    return analysis.field_along(output, way.given, way.axis).is_global


def _masks(subject: Subject, output: str, way: Steps, steps: int) -> list[str]:
    """The inputs that make an output see so far ahead by what they may mask."""
    found = []
    for name, held in subject.masks.items():
        way = replace(way, longer=None)
        seen = look_ahead(held, output, way) if way.given in held.inputs else None
        if seen is None or seen.steps < steps:
            found.append(name)
    return found


def _listed(names: list[str]) -> str:
    return f"input{'s' * (len(names) > 1)} {', '.join(map(repr, names))}"


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
class Steps:
    """Which axis is causal, and where the steps of values lie on it.

    Attributes
    ----------
    given : str
        The input.
    axis : int
        Its axis.
    aligned : "begin", "end" or int
        As of the option.
    along : int or None
        The axis of the output that goes along with it, where that is declared.
    longer : Analysis or None
        Of an axis that the model leaves open: the same at another length of it. Which axis of a
        value goes along is seen by what gets longer, and by no size that is assumed.
    """

    given: str
    axis: int
    aligned: str | int = "begin"
    along: int | None = None
    longer: Analysis | None = None


def furthest(
    subject: Subject, output: str, given: str, axis: int
) -> tuple[Ahead | None, Analysis, Steps]:
    """How far an output sees ahead, by which analysis, and where its steps lie.

    Along an axis that the model leaves open that is the worst of two lengths.

    Raises
    ------
    QueryError
        Ends are to be aligned along an axis of which the model leaves the length open.
    """
    analysis = subject.pruned
    declared = subject.settings.get("causal", output)
    aligned = subject.settings.get("aligned", output)
    way = Steps(given, axis, aligned, declared.output_axis)
    if axis not in subject.assumed(given):
        return look_ahead(analysis, output, way), analysis, way
    if aligned == "end":
        raise QueryError(
            f"aligned: axis {axis} of input '{given}' has no end, as its length is open",
            remedy="give the newest step that the first unit may see (aligned = 4), or the length "
            "by 'shapes'",
        )
    longer = subject.longer(given, axis)
    pairs = [(analysis, longer)] if longer is None else [(analysis, longer), (longer, analysis)]
    found = [
        (look_ahead(a, output, mine), a, mine)
        for a, other in pairs
        for mine in [replace(way, longer=other)]
    ]
    return max(found, key=lambda item: -1 if item[0] is None else item[0].steps)


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


def look_ahead(analysis: Analysis, tensor: str, way: Steps) -> Ahead | None:
    """How far a value sees ahead; None if it sees nothing, or has no steps."""
    other = None if way.longer is None else way.longer.extent(tensor)

    def own() -> Ahead | int | None:
        if analysis.extent(tensor) is None or not analysis.depends(tensor, way.given):
            return None
        return _ahead(analysis, tensor, way, other, _stride(analysis, tensor, way))

    what = "look ahead", way.axis, way.aligned, way.along, other
    seen = analysis.once(tensor, way.given, what, own)
    if isinstance(seen, int):
        # What lies before the value counts too.
        stride = _stride_before(analysis, tensor, way, seen)
        seen = analysis.once(
            tensor,
            way.given,
            (*what, stride),
            lambda: _ahead(analysis, tensor, way, other, stride),
        )
    assert not isinstance(seen, int)
    return seen


def _ahead(
    analysis: Analysis,
    tensor: str,
    way: Steps,
    other: tuple[int, ...] | None,
    stride: Fraction | None,
) -> Ahead | int | None:
    """How far a value sees ahead; the number of its steps where their stride is not known."""
    given, axis, shape = way.given, way.axis, analysis.extent(tensor) or ()
    size = (analysis.extent(given) or ())[axis]
    lo, hi = analysis.bounds(tensor, given, axis=axis)
    last = every = np.where(lo <= hi, hi, -1)
    moves = analysis.field_along(tensor, given, axis, local=False).stride > 0
    along = _followed(last, shape, other, size, way, moves=moves)
    if along is None or not (last >= 0).any():
        # Without steps it is a summary, which is made when the last step is known.
        return None
    units = shape[along]
    apart = tuple(a for a in range(last.ndim) if a != along)
    last = np.broadcast_to(last.max(axis=apart), (units,))
    if stride is None:
        return units
    own = _own(units, size, stride, way.aligned)
    ahead = np.where(last >= 0, last - own, np.iinfo(np.int64).min)
    steps, at = int(ahead.max()), int(ahead.argmax())
    steps = max([steps, *_hidden(analysis, tensor, way, along, last, own)])
    alike = np.flatnonzero(ahead == ahead.max())
    middle = int(alike[len(alike) // 2])
    if every.shape[along] > 1:
        places = np.arange(units).reshape([-1 if a == along else 1 for a in range(every.ndim)])
        every = np.where(places == middle, every, -1)
    unit = [int(c) for c in np.unravel_index(int(every.argmax()), every.shape)]
    unit[along] = middle
    return Ahead(steps, int(own[at]), int(last[at]), tuple(unit))


def _own(units: int, size: int, stride: Fraction, aligned: str | int) -> np.ndarray:
    """The newest step that each unit may see.

    >>> _own(4, 8, Fraction(2), "begin"), _own(4, 2, Fraction(1, 2), "begin")
    (array([1, 3, 5, 7]), array([0, 0, 1, 1]))
    >>> _own(3, 8, Fraction(2), 4), _own(3, 8, Fraction(2), "end")
    (array([4, 6, 8]), array([3, 5, 7]))
    """
    if aligned == "end":
        # What is longer than the input, as of a convolution with full padding, begins with it.
        offset = stride - 1
        if units * stride < size + stride:
            offset += size - units * stride
    else:
        offset = Fraction(aligned) if isinstance(aligned, int) else max(stride - 1, Fraction(0))
    over = lcm(stride.denominator, offset.denominator)
    newest: np.ndarray = (np.arange(units) * int(stride * over) + int(offset * over)) // over
    return newest


def _stride(analysis: Analysis, tensor: str, way: Steps) -> Fraction | None:
    """The steps of the input between neighbouring units; None of a value without a closed form."""
    for local in (False, True):
        side = analysis.field_along(tensor, way.given, way.axis, local)
        if not side.irregular and side.stride > 0:
            return Fraction(side.stride)
    return None


def _stride_before(analysis: Analysis, tensor: str, way: Steps, units: int) -> Fraction:
    """The steps of the input between units of the nearest value before one, as behind attention,
    that has a closed form, and as many units.
    """
    before = analysis.ancestors(tensor)
    for name in reversed(analysis.tensors):
        if name != tensor and name in before and units in (analysis.extent(name) or ()):
            stride = _stride(analysis, name, way)
            if stride is not None:
                return stride
    return Fraction((analysis.extent(way.given) or ())[way.axis], units)


def _hidden(
    analysis: Analysis, tensor: str, way: Steps, along: int, last: np.ndarray, own: np.ndarray
) -> Iterator[int]:
    """How far units would see ahead if the input did not end: what its end hides."""
    whole = analysis.field_along(tensor, way.given, way.axis, local=False)
    if not whole.stride > 0:
        # What does not move along the input sees no more of a longer one.
        return
    period = max(len(whole.phases), 1)
    seeing = np.flatnonzero(last >= 0)
    # Units of one phase see equally far ahead, but where something else begins or ends.
    for unit in {*seeing[:period].tolist(), *seeing[-period:].tolist()}:
        side = analysis.field_along(tensor, way.given, way.axis, local=False, at={along: unit})
        phases = [phase for part in side.branches or (side,) for phase in part.phases]
        ends = [end for begin, end in phases if begin <= end < inf]
        if ends and not (side.irregular or side.is_global):
            yield int(max(ends) - own[unit])


def _followed(
    last: np.ndarray,
    shape: tuple[int, ...],
    other: tuple[int, ...] | None,
    size: int,
    way: Steps,
    *,
    moves: bool,
) -> int | None:
    """The axis of a value that goes along with the axis of the input."""
    if way.along is not None:
        return way.along
    axes = list(range(len(shape)))
    if other is not None and len(other) == len(shape):
        axes = [a for a in axes if shape[a] != other[a]]
        if len(axes) < 2:
            return axes[0] if axes else None
    moving = [a for a in axes if last.shape[a] > 1]
    if moving:
        # Channels may see further than others, but none as far as the steps go.
        return max(moving, key=lambda a: (_spread(last, a), a == way.axis, shape[a] == size, -a))
    same = [a for a in axes if shape[a] == size]
    if same:
        return way.axis if way.axis in same else same[0]
    # Where the input is so short that all see the same, what moves along a longer one has steps,
    # and what has a part of the input's, or a multiple.
    units = shape[way.axis] if way.axis in axes else 0
    steps = units > 1 and 0 in (size % units, units % size)
    return way.axis if steps or (units and moves) else None


def _spread(last: np.ndarray, axis: int) -> int:
    """How much the last coordinate that is seen varies along an axis."""
    first = np.where(last < 0, last.max(), last).min(axis=axis)
    return int((last.max(axis=axis) - first).max())


def _too_far(analysis: Analysis, way: Steps, allowed: int, tensor: str) -> bool:
    seen = look_ahead(analysis, tensor, way)
    return seen is not None and seen.steps > allowed
