"""Whether units see objects of a size whole: where fields, which lie at strides, fit around."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from rfgraph.analysis.analysis import Analysis
from rfgraph.engine.closed_form import AxisField, Number
from rfgraph.errors import QueryError

# A pattern of more places than this is not looked at place by place.
_MOST = 1 << 22


@dataclass(frozen=True)
class AxisFit:
    """How an output sees an object along one axis, away from the borders.

    Attributes
    ----------
    axis : int
        The axis of the input.
    size : int
        The elements of the object.
    share : Fraction or None
        At which share of its places the object lies whole in the field of some unit; None where
        fields are no windows that move evenly.
    margin, widest : int or None
        What the unit that has it best in its midst sees on both sides of it: at the place where
        that is least, and most. Negative: so much is missing. None where fields have no end, and
        where `share` is None.
    stride : Number
        Elements of the input between neighbouring units.
    smallest, largest : Number
        The fields of the units that see least and most, of all phases.
    """

    axis: int
    size: int
    share: Fraction | None
    margin: int | None
    widest: int | None
    stride: Number
    smallest: Number
    largest: Number


@dataclass(frozen=True)
class Fit:
    """How an output sees an object.

    Attributes
    ----------
    output, input : str
        The output, and the input that has the object.
    axes : tuple of AxisFit
        By axis of the object.
    share : Fraction or None
        At which share of all places some unit sees it whole; None where that of an axis is.
    is_global : bool
        Whether a part that sees the whole input is left out.
    """

    output: str
    input: str
    axes: tuple[AxisFit, ...]
    is_global: bool

    @property
    def share(self) -> Fraction | None:
        """See above: axes are independent."""
        found = Fraction(1)
        for axis in self.axes:
            if axis.share is None:
                return None
            found *= axis.share
        return found


def fit(analysis: Analysis, size: Sequence[int], outputs: Sequence[str] | None = None) -> list[Fit]:
    """At which share of places units of the outputs see an object of a size whole.

    What is seen through a statistic over a whole axis counts only where there is nothing else.

    Parameters
    ----------
    analysis : Analysis
        Of the model.
    size : sequence of int
        Elements of the object along each axis along which fields move, in order.
    outputs : sequence of str, optional
        The outputs; all if left out.

    Returns
    -------
    list of Fit
        One for each output and input that has so many of these axes.

    Raises
    ------
    QueryError
        No input has so many axes along which fields move, there is no such output, or a size is
        not from 1 on.

    Examples
    --------
    >>> import rfgraph
    >>> from rfgraph.analysis.objects import fit
    >>> (lenet,) = fit(rfgraph.analyze("models/lenet_textbook.onnx"), (5, 6))
    >>> lenet.share, [axis.share for axis in lenet.axes], [axis.margin for axis in lenet.axes]
    (Fraction(1, 2), [Fraction(1, 1), Fraction(1, 2)], [0, -1])
    """
    if not size or min(size) < 1:
        raise QueryError(
            f"an object of {'x'.join(map(str, size))} has no elements", file=analysis.file
        )
    chosen = analysis.outputs if outputs is None else list(outputs)
    for name in chosen:
        if name not in analysis.outputs:
            raise QueryError(
                f"the model has no output '{name}'",
                file=analysis.file,
                remedy=f"its outputs are {', '.join(analysis.outputs)}",
            )
    moving = {name: analysis.moving_axes(name) for name in analysis.inputs}
    fitting = {name: axes for name, axes in moving.items() if len(axes) == len(size)}
    if not fitting:
        counts = "; ".join(f"{name}: {len(axes)}" for name, axes in moving.items())
        raise QueryError(
            f"an object of {len(size)} sizes, and no input has so many axes along which fields "
            f"move ({counts})",
            file=analysis.file,
            remedy="give one size for each of these axes",
        )
    return [
        Fit(
            output,
            name,
            tuple(
                _along(analysis, output, name, axis, n) for axis, n in zip(axes, size, strict=True)
            ),
            any(_is_in_part_global(analysis, output, name, axis) for axis in axes),
        )
        for output in chosen
        for name, axes in fitting.items()
        if analysis.depends(output, name)
    ]


def _is_in_part_global(analysis: Analysis, output: str, name: str, axis: int) -> bool:
    every, local = (analysis.field_along(output, name, axis, local) for local in (False, True))
    return every.is_global and not local.is_global


def _along(analysis: Analysis, output: str, name: str, axis: int, size: int) -> AxisFit:
    seen = analysis.closed_form(output, name, axis)
    told = seen or analysis.field_along(output, name, axis)
    figures = axis, size, told.stride, told.smallest, told.size
    if seen is not None and np.isinf(float(seen.size)):
        return _fit(figures, Fraction(1))
    if seen is None or not seen.size or Fraction(seen.stride) <= 0:
        return _fit(figures, None)
    best = _margins(seen, size)
    if best is None:
        return _fit(figures, None)
    share = Fraction(int((best >= 0).sum()), len(best))
    return _fit(figures, share, int(best.min()), int(best.max()))


def _fit(
    figures: tuple[int, int, Number, Number, Number],
    share: Fraction | None,
    margin: int | None = None,
    widest: int | None = None,
) -> AxisFit:
    axis, size, stride, smallest, largest = figures
    return AxisFit(axis, size, share, margin, widest, stride, smallest, largest)


def _margins(seen: AxisField, size: int) -> np.ndarray | None:
    """By place in a period, what the unit that has the object best sees on both sides at least."""
    period = int(len(seen.phases) * Fraction(seen.stride))
    if period * len(seen.phases) > _MOST:
        return None
    places = np.arange(period)
    best = np.full(period, np.iinfo(np.int64).min)
    for first, last in seen.phases:
        if first > last:
            continue
        # Of this phase the unit whose middle is next to that of the object, on either side.
        before, after = places - int(first), int(last) - (places + size - 1)
        for turns in ((before - after) // (2 * period), -((after - before) // (2 * period))):
            each = np.minimum(before - turns * period, after + turns * period)
            best = np.maximum(best, each)
    return best


__all__ = ["AxisFit", "Fit", "fit"]
