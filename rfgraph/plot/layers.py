"""One unit on every layer: as a grid of frames, or as spans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rfgraph.analysis.analysis import Analysis
from rfgraph.errors import QueryError
from rfgraph.plot.frame import aspect, frame, keys, shown, ticked
from rfgraph.plot.names import shortened
from rfgraph.plot.photo import Photo, pixels
from rfgraph.plot.seen import Ends, Index, Seen, axis_names, input_of, seen, window, written
from rfgraph.plot.spans import keys as span_keys
from rfgraph.plot.spans import spans
from rfgraph.plot.style import above, available, legend, one, panels, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# If there are more panels than this, some are left out, evenly.
_PANELS = 40
_BARS = 60
_COLUMNS = 6

# Inches: the width of a panel, and the height of a span.
_WIDE, _ROW = 1.6, 0.2


def layers(
    analysis: Analysis,
    tensors: Sequence[str],
    at: Index | None = None,
    input: str | None = None,
    *,
    image: Photo | None = None,
    crop: bool = False,
    ax: Axes | None = None,
) -> Figure:
    """What one unit sees, value by value, as a grid of masks; along one axis, as spans.

    Values that see the same as the one before get no panel of their own.

    Parameters
    ----------
    analysis : Analysis
        The analysis.
    tensors : sequence of str
        The values, in the order in which they are drawn.
    at : sequence of int or slice, optional
        The unit, by the last coordinates; those before it are 0. Values without it are left out.
        The one in the middle of every value if left out.
    input : str, optional
        The input; may be left out where there is only one.
    image : path, PIL.Image.Image or ndarray, optional
        An image to lay over the whole input, as for `unit`.
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
        No such tensor or input, or no value that has the unit and sees the input; or as `unit` of
        the image.
    PlotError
        matplotlib is not installed.

    Examples
    --------
    >>> import rfgraph
    >>> a = rfgraph.analyze("models/lenet_textbook.onnx")
    >>> figure = layers(a, a.tensors, (4, 5))
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['x', 'c', 'y']
    """
    available()
    photo = None if image is None else pixels(image)
    drawn: list[Seen] = []
    for tensor in tensors:
        shape = analysis.extent(tensor)
        if shape is None or 0 in shape or (at is not None and not _there(at, shape)):
            continue
        middle = tuple(n // 2 for n in shape)
        index = middle if at is None else (0,) * (len(shape) - len(at)) + tuple(at)
        found = seen(analysis, tensor, index, input)
        if found is None:
            continue
        if drawn and _alike(drawn[-1], found):
            drawn[-1].alike.append(tensor)
        else:
            drawn.append(found)
    which = "the middle unit" if at is None else f"unit {written(at)}"
    if not drawn:
        raise QueryError(
            f"no value that sees an input along an axis has {which.replace('the', 'a')}",
            file=analysis.file,
        )
    flat = len(drawn[0].axes) == 1
    if flat and photo is not None:
        raise QueryError(
            f"an image can't be laid over '{drawn[0].support.value}': it is shown along one axis",
            file=analysis.file,
            remedy="leave the image out",
        )
    drawn = _chosen(drawn, _BARS if flat else _PANELS)
    names = axis_names(analysis, drawn[0].support.value, drawn[0].axes)
    title = f"what {which} of every layer sees of {input_of(drawn[0].support)}"
    windows = [window([each.mask for each in drawn], axis, crop=crop) for axis in range(len(names))]
    if windows != [(0, n - 1) for n in drawn[0].size]:
        title += ": a part of it"
    if flat:
        return _spans(ax, drawn, windows, names, title)
    return _grid(ax, drawn, windows, names, title, photo)


def _there(at: Index, shape: Sequence[int]) -> bool:
    """Whether a value of a shape has a unit with these last coordinates."""
    if len(shape) < len(at):
        return False
    return all(
        bool(range(n)[i]) if isinstance(i, slice) else -n <= i < n
        for i, n in zip(at, shape[len(shape) - len(at) :], strict=True)
    )


def _alike(one: Seen, other: Seen) -> bool:
    """Whether two pictures are the same."""
    same = one.own == other.own and one.unclipped == other.unclipped
    return same and np.array_equal(one.mask, other.mask)


def _chosen(drawn: list[Seen], most: int) -> list[Seen]:
    if len(drawn) <= most:
        return drawn
    return [drawn[k] for k in np.linspace(0, len(drawn) - 1, most).round().astype(int)]


def _grid(
    ax: Axes | None,
    drawn: list[Seen],
    windows: Sequence[Ends],
    names: Sequence[str],
    title: str,
    photo: np.ndarray | None,
) -> Figure:
    view = shown(windows, [each.unclipped for each in drawn])
    columns = min(_COLUMNS, len(drawn))
    size = _WIDE, _WIDE * aspect(view)
    figure, axes = panels(ax, len(drawn), columns, size, (0.4, 0.15, 0.8, 0.5), (0.2, 0.42))
    shorts = shortened([each.tensor for each in drawn], [each.operator for each in drawn])
    first_of_last_row = (len(drawn) - 1) // columns * columns
    for k, (each, panel) in enumerate(zip(drawn, axes, strict=True)):
        frame(panel, each.mask, view, box=each.box, field=each.unclipped, own=each.own, photo=photo)
        alike = f"  +{len(each.alike)} alike" if each.alike else ""
        titled(panel, shorts[k], f"{each.operator}  {each.caption}{alike}", size=7.5)
        ticked(panel, windows, names if k == first_of_last_row else ())
    above(axes[0], title, 34, size=10)
    own = any(None not in each.own for each in drawn)
    padding = any(each.unclipped != each.box for each in drawn)
    legend(
        axes[first_of_last_row], keys(photo=photo is not None, own=own, padding=padding)
    )  # fmt: skip
    return figure


def _spans(
    ax: Axes | None,
    drawn: list[Seen],
    windows: Sequence[Ends],
    names: Sequence[str],
    title: str,
) -> Figure:
    (view,) = shown(windows, [each.unclipped for each in drawn])
    figure, ax = one(ax, 6.0, _ROW * len(drawn) + 0.1, (2.2, 1.6, 0.4, 0.75))
    spans(ax, drawn, view, names[0])
    titled(ax, title)
    legend(ax, span_keys(drawn), below=34)
    return figure
