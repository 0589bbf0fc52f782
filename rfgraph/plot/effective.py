"""How much units change with each element that they can see: the map of an effective field."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from rfgraph.errors import QueryError
from rfgraph.measure.spread import SHARES, TWO_SIGMA, Box, Effective
from rfgraph.plot.seen import Ends
from rfgraph.plot.style import (
    EDGE,
    HEAT,
    QUIET,
    SEEN,
    TEXT,
    above,
    available,
    edged,
    label,
    legend,
    one,
    panels,
    plainly,
    titled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches: the width of a panel.
_SIDE = 3.0

# How the boxes that hold shares are drawn, by the order of `SHARES`.
_DASHES: tuple[Any, ...] = ("-", (0, (4, 2)), (0, (1, 1.5)))
_LINE: dict[str, Any] = {"color": "white", "linewidth": 1.1}


def effective(found: Effective, *, ax: Axes | None = None) -> Figure:
    """The map of an effective field, by offset from a unit's own place.

    The boxes that hold 50, 90 and 99 % of it are outlined. Along one axis it is a curve, along
    three it is summed up along each of them in turn.

    Parameters
    ----------
    found : Effective
        What `rfgraph.measure.effective` has found.
    ax : Axes, optional
        Where to draw; in a new figure if left out.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    QueryError
        Fields move along more than three axes of the input.
    PlotError
        matplotlib is not installed.

    Examples
    --------
    >>> from rfgraph.measure import effective as measure
    >>> figure = effective(measure("models/lenet_textbook.onnx", "y"))
    >>> figure.axes[0].get_xlabel()
    'axis 3: offset from the middle'
    """
    available()
    axes = found.axes
    if len(axes) > 3:
        raise QueryError(
            f"a map along {len(axes)} axes is not drawn",
            remedy="take what it is along fewer of them: Effective.profile",
        )
    if len(axes) == 1:
        figure, ax = one(ax, 6.5, 1.6, (0.6, 0.3, 0.6, 0.75))
        _curve(ax, found)
        _told(ax, found)
        return figure
    planes = [(0, 1)] if len(axes) == 2 else [(1, 2), (0, 2), (0, 1)]
    shape = [found.extent[axis] for axis in axes]
    high = _SIDE * max(min(max(shape[d] / shape[a], 0.25), 4) for d, a in planes)
    # The title has room above one panel, too.
    right = 0.4 if len(planes) > 1 else 1.1
    figure, drawn = panels(
        ax, len(planes), len(planes), (_SIDE, high), (0.6, right, 0.75, 0.75), (0.6, 0)
    )
    for here, plane in zip(drawn, planes, strict=True):
        _plane(here, found, plane)
        here.set_anchor("NW")
    _told(drawn[0], found, higher=13 if len(axes) == 3 else 0)
    return figure


def _told(ax: Axes, found: Effective, higher: float = 0) -> None:
    """The title above the first panel, and the key of the boxes below it."""
    from matplotlib.lines import Line2D

    sides = "x".join(map(str, found.share(TWO_SIGMA).sides))
    size = "x".join(str(found.theoretical[axis]) for axis in found.axes)
    source = "images of noise" if found.is_noise else "images"
    name = found.tensor.strip("/").rpartition("/")[2]
    said = f"{TWO_SIGMA:.2%} within {sides} of {size}; {found.images:,} {source}"
    above(ax, label(f"what {name} makes of {found.input}"), 20 + higher, size=9)
    error = found.relative_error
    error_said = f", error {error:.1%}" if isfinite(error) else ""
    above(ax, said + error_said, 9 + higher, size=7, colour=QUIET)
    keys = [
        Line2D([], [], **_LINE, path_effects=edged(TEXT), linestyle=dash, label=f"{share:.0%}")
        for share, dash in zip(SHARES, _DASHES, strict=True)
    ]
    legend(ax, keys, below=34)


def _ends(found: Effective, box: Box, k: int) -> Ends:
    """The first and last offset of a box from the middle, along one axis."""
    axis = found.axes[k]
    first = found.first[axis] - found.centre[axis]
    half = (box.sides[k] - 1) / 2
    last = first + found.extent[axis] - 1
    # What lies outside of the field is no part of it.
    low = min(max(-half, first), last - 2 * half)
    return low, low + 2 * half  # type: ignore[return-value]


def _edges(found: Effective, axis: int) -> np.ndarray:
    """Where cells begin along an axis, and where the last one ends, from the middle."""
    cells = found.map.shape[axis]
    at = np.minimum(np.arange(cells + 1) * found.step[axis], found.extent[axis])
    edges: np.ndarray = at + found.first[axis] - found.centre[axis] - 0.5
    return edges


def _curve(ax: Axes, found: Effective) -> None:
    """What each element adds, along the only axis."""
    (axis,) = found.axes
    plainly(ax)
    ax.stairs(found.profile(axis)[1], _edges(found, axis), fill=True, color=SEEN)
    for share, dash in zip(SHARES, _DASHES, strict=True):
        low, high = _ends(found, found.share(share), 0)
        for at in (low - 0.5, high + 0.5):
            ax.axvline(at, **_LINE, path_effects=edged(TEXT), linestyle=dash)
    ax.set_ylim(0, None)
    ax.set_yticks([])
    _named(ax, [axis])


def _plane(ax: Axes, found: Effective, plane: Sequence[int]) -> None:
    """What elements add along two axes, the third summed up."""
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    down, across = (found.axes[k] for k in plane)
    others = tuple(k for k in range(len(found.axes)) if k not in plane)
    sizes = [np.diff(_edges(found, axis)) for axis in (down, across)]
    density = found.contribution.sum(axis=others) / np.outer(*sizes)
    plainly(ax)
    # As the eye sees it: a root shows what is small.
    ax.pcolormesh(
        _edges(found, across),
        _edges(found, down),
        np.sqrt(density / (density.max() or 1.0)),
        cmap=colormaps[HEAT],
        vmin=0,
        vmax=1,
        rasterized=True,
    )
    for share, dash in zip(SHARES, _DASHES, strict=True):
        box = found.share(share)
        (top, bottom), (left, right) = (_ends(found, box, k) for k in plane)
        ax.add_patch(
            Rectangle(
                (left - 0.5, top - 0.5), right - left + 1, bottom - top + 1,
                fill=False, **_LINE, path_effects=edged(TEXT), linestyle=dash,
            )
        )  # fmt: skip
    ax.invert_yaxis()
    ratio = found.extent[down] / found.extent[across]
    ax.set_aspect("equal" if 0.25 <= ratio <= 4 else "auto")
    for spine in ax.spines.values():
        spine.set_visible(True)
        spine.set_color(EDGE)
    if others:
        titled(ax, f"axis {found.axes[others[0]]} summed up", size=7.5)
    _named(ax, [down, across])


def _named(ax: Axes, axes: Sequence[int]) -> None:
    """What runs along the axes."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.set_xlabel(f"axis {axes[-1]}: offset from the middle", fontsize=6.5, color=QUIET)
    if len(axes) > 1:
        ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        ax.set_ylabel(f"axis {axes[0]}", fontsize=6.5, color=TEXT)
