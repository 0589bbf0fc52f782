"""Where the fields of a value lie: their centres, and the boxes of some."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from rfgraph.analysis.analysis import Analysis
from rfgraph.errors import QueryError
from rfgraph.plot.frame import aspect, frame, outlined, ticked
from rfgraph.plot.photo import Photo, pixels
from rfgraph.plot.seen import (
    Ends,
    Index,
    axis_names,
    everywhere,
    input_name,
    short,
    without_borders,
)
from rfgraph.plot.style import (
    AHEAD,
    EDGE,
    PAPER,
    QUIET,
    SEEN,
    STRIDE,
    TEXT,
    available,
    label,
    legend,
    one,
    plainly,
    titled,
)
from rfgraph.render.rows import shown_axes
from rfgraph.render.text import shape as size_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Along each axis of the value so many units are drawn at most, evenly chosen.
_MOST = 48

# The boxes of these are drawn, with these colours.
_BOXES = (("first", SEEN), ("middle", AHEAD), ("last", STRIDE))


def centres(
    analysis: Analysis,
    tensor: str,
    input: str | None = None,
    *,
    image: Photo | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The centres of the fields of a value's units, and the boxes of the first, middle and last.

    Along one axis, the span of each unit in place of boxes.

    Parameters
    ----------
    analysis : Analysis
        The analysis.
    tensor : str
        The value.
    input : str, optional
        The input; may be left out where there is only one.
    image : path, PIL.Image.Image or ndarray, optional
        An image to lay over the whole input, as for `unit`.
    ax : Axes, optional
        Where to draw; in a new figure if left out.

    Returns
    -------
    matplotlib.axes.Axes
        What is drawn on. Centres are those of the fields without borders; of many units, some
        along each axis, evenly chosen.

    Raises
    ------
    QueryError
        No such tensor or input, or nothing is seen that can be drawn; or the image can't be read,
        or the input is not shown along two axes.
    PlotError
        matplotlib is not installed.

    Examples
    --------
    >>> import rfgraph
    >>> axes = centres(rfgraph.analyze("models/resnet50.onnx"), "features")
    >>> len(axes.lines[0].get_xdata()), axes.get_title(loc="left")
    (49, 'where units of features look on x')
    """
    available()
    name = input_name(analysis, input)
    axes = shown_axes(analysis, name)
    index = everywhere(analysis, tensor, name, axes)
    extent = analysis.extent(tensor) or ()
    units = [
        _some(n) if isinstance(at, slice) else [at] for at, n in zip(index, extent, strict=True)
    ]
    found = {unit: _box(analysis, tensor, unit, name) for unit in product(*units)}
    fields = {
        unit: [without_borders(analysis, tensor, unit, name, axis, box[axis]) for axis in axes]
        for unit, box in found.items()
        if box is not None
    }
    if not fields or not axes:
        raise QueryError(f"'{tensor}' sees nothing of '{name}' to be drawn", file=analysis.file)
    if image is not None and len(axes) != 2:
        raise QueryError(
            f"an image can't be laid over '{name}': it is shown along one axis",
            file=analysis.file,
            remedy="leave the image out",
        )
    boxes = {unit: [found[unit][axis] for axis in axes] for unit in fields}  # type: ignore[index]
    size = [(analysis.extent(name) or ())[axis] for axis in axes]
    names = axis_names(analysis, name, axes)
    if len(axes) == 1:
        ax = _along_one(ax, boxes, fields, size[0], names[0])
    else:
        photo = None if image is None else pixels(image)
        ax = _over_two(ax, boxes, fields, size, photo)
        ticked(ax, [(0, n - 1) for n in size], names)
    value, given = (size_of(analysis.shape(each)) for each in (tensor, name))
    some = "" if all(len(u) in (1, n) for u, n in zip(units, extent, strict=True)) else "some "
    titled(
        ax,
        f"where {some}units of {short(analysis, tensor)} look on {name}",
        f"{value} units on {given} elements",
    )
    return ax


def _some(size: int) -> list[int]:
    """Coordinates along an axis, evenly chosen."""
    number = min(size, _MOST)
    return sorted(set(np.linspace(0, size - 1, number).round().astype(int).tolist()))


def _box(analysis: Analysis, tensor: str, unit: Index, name: str) -> tuple[Ends, ...] | None:
    return analysis.box(tensor, [at for at in unit if not isinstance(at, slice)], name)


def _over_two(
    ax: Axes | None,
    boxes: dict[tuple[int, ...], list[Ends]],
    fields: dict[tuple[int, ...], list[Ends]],
    size: list[int],
    photo: np.ndarray | None,
) -> Axes:
    from matplotlib.colors import to_rgba
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    middles = np.array([[(first + last) / 2 for first, last in ends] for ends in fields.values()])
    window = [(0, n - 1) for n in size]
    _, ax = one(ax, 4.0, 4.0 * aspect(window), (0.45, 0.25, 0.5, 0.6))
    # An image is only lightened, so that what is drawn on it can be seen.
    frame(ax, np.zeros(size, dtype=bool), window, photo=photo)
    ax.plot(
        middles[:, 1], middles[:, 0], linestyle="", marker="o", markersize=2.2, color=TEXT, zorder=4
    )
    order = sorted(fields)
    keys: list[Line2D | Patch] = [
        Line2D([], [], linestyle="", marker="o", markersize=3, color=TEXT, label="centres")
    ]
    for (which, colour), unit in zip(
        _BOXES, (order[0], _middle(order), order[-1]), strict=True
    ):  # fmt: skip
        outlined(ax, boxes[unit], facecolor=to_rgba(colour, 0.14), edgecolor=colour, linewidth=1.3,
                 zorder=3)  # fmt: skip
        keys.append(Patch(facecolor=to_rgba(colour, 0.14), edgecolor=colour, label=which))
    legend(ax, keys)
    return ax


def _middle(order: list[tuple[int, ...]]) -> tuple[int, ...]:
    """The unit in the middle along every axis."""
    along = [sorted(set(coordinates)) for coordinates in zip(*order, strict=True)]
    wanted = tuple(each[len(each) // 2] for each in along)
    return wanted if wanted in order else order[len(order) // 2]


def _along_one(
    ax: Axes | None,
    boxes: dict[tuple[int, ...], list[Ends]],
    fields: dict[tuple[int, ...], list[Ends]],
    size: int,
    name: str,
) -> Axes:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    _, ax = one(ax, 6.0, 3.2, (0.6, 0.2, 0.5, 0.8))
    plainly(ax)
    ax.axvspan(-0.5, size - 0.5, facecolor=PAPER, edgecolor=EDGE, linewidth=0.8, zorder=0)
    (moving,) = [k for k, us in enumerate(zip(*fields, strict=True)) if len(set(us)) > 1] or [-1]
    place = {unit: k for k, unit in enumerate(sorted(fields))}
    for unit, k in place.items():
        ((first, last),), ((begin, end),) = fields[unit], boxes[unit]
        ax.hlines(k, first - 0.5, last + 0.5, color=QUIET, linewidth=0.7, zorder=1)
        ax.barh(k, end - begin + 1, 0.7, begin - 0.5, color=SEEN, zorder=2)
        ax.plot((first + last) / 2, k, marker="o", markersize=1.8, color=TEXT, zorder=3)
    shown = [0, len(place) // 2, len(place) - 1]
    ax.set_yticks(shown, [str(sorted(fields)[k][moving]) for k in shown])
    ax.set_ylim(len(place) - 0.2, -0.8)
    ax.set_xlim(-0.15 * size, 1.15 * size)
    ax.set_ylabel("unit", fontsize=7, color=QUIET)
    ax.set_xlabel(label(name), fontsize=7, color=QUIET)
    legend(
        ax,
        [
            Patch(facecolor=SEEN, label="seen"),
            Line2D([], [], color=QUIET, linewidth=0.7, label="in the padding"),
            Line2D([], [], linestyle="", marker="o", markersize=3, color=TEXT, label="centres"),
        ],
        below=34,
    )
    return ax
