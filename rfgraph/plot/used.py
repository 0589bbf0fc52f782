"""How much of what layers can see they use, with depth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rfgraph.errors import QueryError
from rfgraph.measure.discrepancy import Occlusion
from rfgraph.measure.spread import TWO_SIGMA, Effective, Growth
from rfgraph.plot.names import shortened
from rfgraph.plot.style import (
    AHEAD,
    EDGE,
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

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The shares between whose boxes the band lies.
_BAND = (0.5, 0.99)


def used(
    found: Growth,
    occlusions: Sequence[Occlusion] = (),
    *,
    axis: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Effective and empirical sizes against theoretical ones, layer by layer.

    The lines are the size of the field and, within it, the side of the box that holds 95.45 % of
    the effective field, with a band from 50 % to 99 %. Marks with bars are what occlusion found:
    the mean over units, and their standard deviation. The input's size is a dashed line.

    Parameters
    ----------
    found : Growth
        What `rfgraph.measure.growth` has found.
    occlusions : sequence of Occlusion, optional
        What `rfgraph.measure.occlusion` has found of any of its values.
    axis : int, optional
        Axis of the input; the last one along which fields move if left out.
    ax : Axes, optional
        Where to draw; in a new figure if left out.

    Returns
    -------
    matplotlib.axes.Axes
        What is drawn on.

    Raises
    ------
    QueryError
        Nothing was measured, or not along this axis, or of what was covered nothing was measured.
    PlotError
        matplotlib is not installed.

    Examples
    --------
    >>> from rfgraph.measure import growth
    >>> axes = used(growth("models/lenet_textbook.onnx"))
    >>> axes.get_title(loc="left")
    'how much of x is used'
    """
    available()
    layers = found.layers
    if not layers:
        raise QueryError("nothing was measured")
    axis = layers[0].axes[-1] if axis is None else axis
    if any(axis not in layer.axes for layer in layers):
        raise QueryError(
            f"along axis {axis} nothing was measured",
            remedy=f"give one of {', '.join(map(str, layers[0].axes))}",
        )
    at = {layer.tensor: k for k, layer in enumerate(layers)}
    for each in occlusions:
        if each.tensor not in at:
            raise QueryError(f"of '{each.tensor}' no effective field was measured")
    names = shortened([layer.tensor for layer in layers], [layer.operator for layer in layers])
    # Points that the names take below the picture, as they are turned.
    below = 34 + 2.4 * max(map(len, names))
    _, ax = one(ax, max(0.75 * len(layers), 3.2), 2.8, (0.65, 0.9, 0.5, (below + 14) / 72))
    places = np.arange(len(layers))
    ax.axhline(layers[0].shape[axis], color=TEXT, linewidth=0.9, linestyle=(0, (5, 3)))
    low, high = ([_side(layer, share, axis) for layer in layers] for share in _BAND)
    ax.fill_between(places, low, high, color=AHEAD, alpha=0.2, linewidth=0)
    theoretical = [layer.theoretical[axis] for layer in layers]
    ax.plot(places, theoretical, color=SEEN, linewidth=1.6, marker="o", markersize=3)
    two = [_side(layer, TWO_SIGMA, axis) for layer in layers]
    ax.plot(places, two, color=AHEAD, linewidth=1.6, marker="o", markersize=3)
    if occlusions:
        sides = [each.side for each in occlusions]
        ax.errorbar(
            [at[each.tensor] for each in occlusions],
            [mean for mean, _ in sides],
            [deviation for _, deviation in sides],
            color=STRIDE, linestyle="", marker="s", markersize=3.5, linewidth=1, capsize=2,
        )  # fmt: skip
    _scaled(ax, names)
    _keyed(ax, below, occluded=bool(occlusions))
    source = "noise" if layers[0].is_noise else "images"
    titled(
        ax,
        f"how much of {layers[0].input} is used",
        f"along axis {axis}, on {source}; the input has {layers[0].shape[axis]:,}",
    )
    return ax


def _side(layer: Effective, share: float, axis: int) -> int:
    """The side of the box that holds a share."""
    return layer.share(share).sides[layer.axes.index(axis)]


def _scaled(ax: Axes, names: Sequence[str]) -> None:
    """Logarithmic sizes with plain figures, and the names of the layers."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    plainly(ax)
    ax.set_yscale("log", base=2)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_xticks(range(len(names)), [label(name) for name in names], rotation=40, ha="right")
    ax.set_ylabel("elements of the input", fontsize=7, color=QUIET)
    ax.grid(axis="y", color="#e6e3dd", linewidth=0.6)
    ax.set_axisbelow(True)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(True)
        ax.spines[side].set_color(EDGE)


def _keyed(ax: Axes, below: float, *, occluded: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    keys: list[Line2D | Patch] = [
        Line2D([], [], color=SEEN, marker="o", markersize=3, label="can see"),
        Line2D([], [], color=AHEAD, marker="o", markersize=3, label="effective: 95.45 %"),
        Patch(color=AHEAD, alpha=0.2, label="50 % to 99 %"),
    ]
    if occluded:
        keys.append(
            Line2D([], [], color=STRIDE, linestyle="", marker="s", markersize=3.5,
                   label="responds to (occlusion)")
        )  # fmt: skip
    legend(ax, keys, below=below)
