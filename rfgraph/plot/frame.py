"""A mask in the frame of its input, along two axes: exact to the element."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rfgraph.plot.seen import Ends
from rfgraph.plot.style import EDGE, OUTLINE, OWN, PADDING, PAPER, QUIET, SEEN, label, plainly

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Masks with longer sides are scaled down to this: a part is filled if any of its elements is.
_MOST = 600

# What lies in the padding is drawn as far as this share of the input's side.
_BEYOND = 0.15

# A unit's own place is not drawn over a box that is smaller than this share of the picture.
_SMALL = 0.04

# A picture is drawn to scale unless it is so many times as long as it is wide.
_LONG = 4


def aspect(window: Sequence[Ends]) -> float:
    """The height of a frame for a width of 1."""
    height, width = (last - first + 1 for first, last in window)
    return min(max(height / width, 1 / _LONG), _LONG)


def shown(window: Sequence[Ends], fields: Sequence[Sequence[Ends]]) -> list[Ends]:
    """A window, and what fields reach beyond it."""
    grown = []
    for axis, (first, last) in enumerate(window):
        most = max(round(_BEYOND * (last - first + 1)), 1)
        low = min(field[axis][0] for field in fields)
        high = max(field[axis][1] for field in fields)
        grown.append((max(min(first, low), first - most), min(max(last, high), last + most)))
    return grown


def frame(
    ax: Axes,
    mask: np.ndarray,
    window: Sequence[Ends],
    *,
    box: Sequence[Ends] | None = None,
    field: Sequence[Ends] | None = None,
    own: Sequence[Ends | None] = (),
    photo: np.ndarray | None = None,
) -> None:
    """Draw a mask, the box around it, and what of the field lies in the padding.

    Parameters
    ----------
    ax : Axes
        Where.
    mask : ndarray of bool
        What is seen of the input, down and across.
    window : sequence of (int, int)
        What is shown of it: first and last element down and across.
    box, field : sequence of (int, int), optional
        What is outlined; and what would be seen were there no borders.
    own : sequence of (int, int) or None, optional
        The unit's own place.
    photo : ndarray, optional
        An image that is laid over the whole input.
    """
    plainly(ax)
    height, width = mask.shape
    whole = ((0, height - 1), (0, width - 1))
    if field is not None and box is not None and tuple(field) != tuple(box):
        outlined(ax, field, facecolor=PADDING, edgecolor=OUTLINE, linestyle=(0, (3, 2)), zorder=1)
    outlined(ax, whole, facecolor=PAPER, edgecolor=EDGE, linewidth=0.8, zorder=1.5)
    if photo is not None:
        extent = (-0.5, width - 0.5, height - 0.5, -0.5)
        ax.imshow(photo, cmap="gray", extent=extent, interpolation="antialiased", zorder=1.6)
    _filled(ax, mask, dimmed=photo is not None)
    if box is not None:
        outlined(ax, box, fill=False, edgecolor=OUTLINE, linewidth=0.9, zorder=3)
    if len(own) == 2 and own[0] is not None and own[1] is not None:
        sides = zip(box or whole, window, strict=True)
        if all(b - a + 1 > _SMALL * (last - first + 1) for (a, b), (first, last) in sides):
            # Lines alone: what is seen beneath stays as it is.
            for colour, width in (("black", 1.8), (OWN, 0.9)):
                outlined(
                    ax, (own[0], own[1]), fill=False, edgecolor=colour, linewidth=width, zorder=4
                )
    (top, bottom), (left, right) = window
    room = 0.008 * (right - left + 1), 0.008 * (bottom - top + 1)
    ax.set_xlim(left - 0.5 - room[0], right + 0.5 + room[0])
    ax.set_ylim(bottom + 0.5 + room[1], top - 0.5 - room[1])
    ratio = (bottom - top + 1) / (right - left + 1)
    ax.set_aspect("equal" if 1 / _LONG <= ratio <= _LONG else "auto")


def ticked(ax: Axes, window: Sequence[Ends], names: Sequence[str] = ()) -> None:
    """The first and the last element at the edges, and what the axes are."""
    for which, ends in zip((ax.set_yticks, ax.set_xticks), window, strict=True):
        which(sorted(set(ends)) if names else [])
    if names:
        ax.set_ylabel(label(names[0]), fontsize=6.5, color=QUIET, labelpad=-4)
        ax.set_xlabel(label(names[1]), fontsize=6.5, color=QUIET, labelpad=-4)


def keys(*, photo: bool, own: bool, padding: bool) -> list[Any]:
    """The keys of a legend for what is drawn."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    found: list[Any] = []
    if not photo:
        found.append(Patch(facecolor=SEEN, label="seen"))
    found.append(Patch(fill=False, edgecolor=OUTLINE, label="box of what is seen"))
    if own:
        place = Line2D([], [], color="none", marker="s", markersize=5, label="own place")
        place.set_markeredgecolor("#b8ac00")
        found.append(place)
    if padding:
        beyond = Patch(facecolor=PADDING, edgecolor=OUTLINE, label="in the padding")
        beyond.set_linestyle((0, (2, 1)))
        found.append(beyond)
    return found


def outlined(ax: Axes, ends: Sequence[Ends], **style: Any) -> None:
    """Draw the edge of a box, from the first to the last of its elements."""
    from matplotlib.patches import Rectangle

    (top, bottom), (left, right) = ends
    ax.add_patch(Rectangle((left - 0.5, top - 0.5), right - left + 1, bottom - top + 1, **style))


def _filled(ax: Axes, mask: np.ndarray, *, dimmed: bool) -> None:
    """Colour what is seen; over a photo, dim what is not."""
    from matplotlib.colors import to_rgba

    steps = [-(-n // _MOST) for n in mask.shape]
    cells = np.pad(mask, [(0, -n % step) for n, step in zip(mask.shape, steps, strict=True)])
    (rows, columns), (down, across) = cells.shape, steps
    parts = cells.reshape(rows // down, down, columns // across, across).any(axis=(1, 3))
    colours = np.zeros((*parts.shape, 4))
    if dimmed:
        colours[~parts] = to_rgba(PAPER, 0.72)
    else:
        colours[parts] = to_rgba(SEEN)
    extent = (-0.5, columns - 0.5, rows - 0.5, -0.5)
    ax.imshow(colours, extent=extent, interpolation="nearest", zorder=2)
