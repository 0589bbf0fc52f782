"""The images that excite channels most, cropped to what their units see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rfgraph.errors import QueryError
from rfgraph.measure.discrepancy import Occluded, Occlusion, UnitField
from rfgraph.plot.frame import outlined
from rfgraph.plot.seen import short, written
from rfgraph.plot.shown import picture_of
from rfgraph.plot.style import (
    EDGE,
    OUTLINE,
    PADDING,
    QUIET,
    TEXT,
    above,
    available,
    label,
    panels,
    plainly,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches: the width of a crop, and between crops.
_SIDE, _GAP = 0.95, 0.06

# Inches that a title takes.
_TITLE = 4.6


def best(found: Occlusion, *, most: int = 10, ax: Axes | None = None) -> Figure:
    """A row for each channel: the images that excite it most, cropped to the field of the unit.

    It is the figure of Zhou et al. (2014): what the crops of a row have in common the channel
    responds to. What lies beyond the border of the image is left blank; a line goes around the
    elements that count as responded to. Of a volume it is the slice through the middle of what
    the unit sees, along the first of its axes.

    Parameters
    ----------
    found : Occlusion
        What `rfgraph.measure.occlusion` has found.
    most : int
        The most images of a row.
    ax : Axes, optional
        Where to draw; in a new figure if left out.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    QueryError
        The input has more than three spatial axes.
    PlotError
        matplotlib is not installed.

    Examples
    --------
    >>> from rfgraph.measure import occlusion
    >>> found = occlusion("models/lenet_textbook.onnx", "y", 0, top=3, most=8)
    >>> len(best(found).axes)
    3
    """
    available()
    if len(found.axes) > 3:
        raise QueryError(f"images along {len(found.axes)} axes are not drawn")
    rows = [unit.images[:most] for unit in found.found]
    columns = max(map(len, rows))
    high = _SIDE if len(found.axes) > 1 else _SIDE / 2
    # The title has room even above one crop.
    right = max(0.15, _TITLE - columns * (_SIDE + _GAP))
    figure, axes = panels(
        ax, len(rows) * columns, columns, (_SIDE, high), (0.5, right, 0.5, 0.1), (_GAP, 0.16)
    )
    for row, images in enumerate(rows):
        for column in range(columns):
            here = axes[row * columns + column]
            plainly(here)
            here.set_xticks([])
            here.set_yticks([])
            if column >= len(images):
                continue
            _crop(here, found, images[column], found.found[row])
            here.set_title(f"{images[column].value:.3g}", fontsize=5.5, color=QUIET, pad=2)
        first = axes[row * columns]
        first.set_ylabel(label(_named(found.found[row].region)), fontsize=6.5, color=TEXT)
    tensor = short(found.analysis, found.tensor)
    what = "images" if len(found.axes) < 3 else "slices of volumes"
    above(axes[0], f"{what} that excite {tensor} most, cropped to what it sees", 20, size=9)
    return figure


def _named(region: tuple[int | slice, ...]) -> str:
    """The coordinates that are the same in all images: the channel, or the unit."""
    if not any(isinstance(at, slice) for at in region):
        return written(region)
    fixed = [str(at) for at in region if not isinstance(at, slice)]
    return fixed[-1] if fixed else ":"


def _crop(ax: Axes, found: Occlusion, on: Occluded, unit: UnitField) -> None:
    """What a unit sees of an image, its own place where it is in all crops."""
    picture = picture_of(found.images.fitting, found.images[on.image])
    counted = on.map >= unit.level * (float(on.map.max(initial=0)) or 1.0)
    view = [(at + first, at + last) for at, (first, last) in zip(on.begin, unit.box, strict=True)]
    if len(found.axes) == 3:
        middle = sum(on.box[0]) // 2
        picture, counted, view = picture[middle], counted[middle], view[1:]
    if len(found.axes) == 1:
        ((first, last),) = on.box
        ((begin, end),) = view
        at = np.arange(first, last + 1)
        ax.plot(at, picture[first : last + 1], color=EDGE, linewidth=0.6)
        ax.plot(
            at,
            np.where(counted, picture, np.nan)[first : last + 1],
            color=OUTLINE,
            linewidth=0.8,
        )
        ax.set_xlim(begin - 0.5, end + 0.5)
        return
    sides = picture.shape[:2]
    extent = (-0.5, sides[1] - 0.5, sides[0] - 0.5, -0.5)
    (top, bottom), (left, right) = view
    outlined(ax, view, facecolor=PADDING, edgecolor="none", zorder=1)
    ax.imshow(picture, cmap="gray", extent=extent, interpolation="antialiased", zorder=2)
    if counted.any() and not counted.all() and min(sides) > 1:
        ax.contour(counted, [0.5], colors=OUTLINE, linewidths=0.6, zorder=3)
    ax.set_xlim(left - 0.5, right + 0.5)
    ax.set_ylim(bottom + 0.5, top - 0.5)
    ax.set_aspect("equal")
