"""What one unit sees: in the frame of the input, as a span, or in three slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rfgraph.analysis.analysis import Analysis
from rfgraph.errors import QueryError
from rfgraph.plot.frame import aspect, frame, keys, shown, ticked
from rfgraph.plot.photo import Photo, pixels
from rfgraph.plot.seen import Ends, Index, Seen, axis_names, input_of, seen, short, window, written
from rfgraph.plot.spans import keys as span_keys
from rfgraph.plot.spans import spans
from rfgraph.plot.style import QUIET, above, available, legend, one, panels, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches: of a picture, and of each of three slices.
_SIDE, _SLICE = 4.0, 2.5


def unit(
    analysis: Analysis,
    tensor: str,
    index: Index,
    input: str | None = None,
    *,
    image: Photo | None = None,
    crop: bool = False,
    ax: Axes | None = None,
) -> Figure:
    """What one unit, or a region, sees of an input, in the whole of it.

    The input is drawn along the axes along which fields move: along two as a frame with the exact
    mask, the box around it and the unit's own place, and dashed what of its field lies in the
    padding; along one as a span, in which what lies ahead of the unit's place has another colour;
    along three, as in a volume, in three slices through the unit's place.

    Parameters
    ----------
    analysis : Analysis
        The analysis.
    tensor : str
        The value.
    index : sequence of int or slice
        As for `Analysis.support`.
    input : str, optional
        The input; may be left out where there is only one.
    image : path, PIL.Image.Image or ndarray, optional
        An image to lay over the whole input, stretched to its frame: what is not seen is dimmed.
    crop : bool, optional
        Draw the part around what is seen, rather than the whole input.
    ax : Axes, optional
        Where to draw; in a new figure if left out.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    QueryError
        No such tensor, unit or input, or nothing is seen; or the image can't be read, or the input
        is not shown along two axes.
    PlotError
        matplotlib is not installed.

    Examples
    --------
    >>> import rfgraph
    >>> a = rfgraph.analyze("models/lenet_textbook.onnx")
    >>> figure = unit(a, "y", (0, 0, 4, 5))
    >>> figure.axes[0].get_title(loc="left")
    'what y[0,0,4,5] sees of x (1x1x30x30)'
    """
    available()
    found = seen(analysis, tensor, index, input, most=3)
    if found is None:
        raise QueryError(
            f"'{tensor}' at {written(index)} sees nothing that can be drawn", file=analysis.file
        )
    photo = None
    if image is not None:
        if len(found.axes) != 2:
            raise QueryError(
                f"an image can't be laid over '{found.support.value}': it is shown along "
                f"{len(found.axes)} axes",
                file=analysis.file,
                remedy="leave the image out",
            )
        photo = pixels(image)
    names = axis_names(analysis, found.support.value, found.axes)
    title = f"what {short(analysis, tensor)}[{written(index)}] sees of {input_of(found.support)}"
    windows = [window([found.mask], axis, crop=crop) for axis in range(len(found.axes))]
    if windows != [(0, n - 1) for n in found.size]:
        title += ": a part of it"
    if len(found.axes) == 1:
        return _span(ax, found, windows, names, title)
    if len(found.axes) == 3:
        return _slices(ax, found, windows, names, title)
    return _framed(ax, found, windows, names, title, photo)


def _framed(
    ax: Axes | None,
    found: Seen,
    windows: Sequence[Ends],
    names: Sequence[str],
    title: str,
    photo: np.ndarray | None,
) -> Figure:
    view = shown(windows, [found.unclipped])
    figure, ax = one(ax, _SIDE, _SIDE * aspect(view), (0.45, 0.25, 0.5, 0.6))
    frame(
        ax, found.mask, view, box=found.box, field=found.unclipped, own=found.own, photo=photo
    )  # fmt: skip
    ticked(ax, windows, names)
    titled(ax, title, _places(found, names))
    padding = found.unclipped != found.box
    legend(ax, keys(photo=photo is not None, own=None not in found.own, padding=padding))
    return figure


def _span(
    ax: Axes | None, found: Seen, windows: Sequence[Ends], names: Sequence[str], title: str
) -> Figure:
    (view,) = shown(windows, [found.unclipped])
    figure, ax = one(ax, 6.5, 0.4, (1.6, 1.3, 0.5, 0.75))
    spans(ax, [found], view, names[0])
    titled(ax, title, _places(found, names))
    legend(ax, span_keys([found]), below=34)
    return figure


def _slices(
    ax: Axes | None, found: Seen, windows: Sequence[Ends], names: Sequence[str], title: str
) -> Figure:
    """Three planes through the unit's own place, or through the middle of what it sees."""
    figure, axes = panels(ax, 3, 3, (_SLICE, _SLICE), (0.45, 0.2, 0.85, 0.6), (0.45, 0))
    at = [_through(found, axis) for axis in range(3)]
    for through, each in enumerate(axes):
        kept = [axis for axis in range(3) if axis != through]
        view = shown([windows[a] for a in kept], [[found.unclipped[a] for a in kept]])
        frame(
            each,
            found.mask.take(at[through], axis=through),
            view,
            box=[found.box[a] for a in kept],
            field=[found.unclipped[a] for a in kept],
            own=[found.own[a] for a in kept],
        )
        each.set_anchor("NW")
        # Where the other two planes are.
        for line, axis in zip((each.axhline, each.axvline), kept, strict=True):
            line(at[axis], color=QUIET, linewidth=0.6, linestyle=(0, (4, 3)), zorder=3.5)
        ticked(each, [windows[a] for a in kept], [names[a] for a in kept])
        titled(each, f"{names[through]} at {at[through]}", size=7.5)
    above(axes[0], title, 36, size=9)
    above(axes[0], _places(found, names), 25, size=7, colour=QUIET)
    legend(
        axes[0],
        keys(photo=False, own=None not in found.own, padding=found.unclipped != found.box),
    )
    return figure


def _through(found: Seen, axis: int) -> int:
    """A coordinate of an axis where something is seen: the own place, if that is."""
    others = tuple(a for a in range(found.mask.ndim) if a != axis)
    there = np.flatnonzero(found.mask.any(axis=others))
    own = found.own[axis]
    wanted = sum(own or found.box[axis]) // 2
    return int(there[np.abs(there - wanted).argmin()])


def _places(found: Seen, names: Sequence[str]) -> str:
    """The size of what is seen, and where it begins and ends."""
    where = ", ".join(
        f"{name} {first}..{last}" for name, (first, last) in zip(names, found.box, strict=True)
    )
    return f"{found.caption}: {where}"
