"""How many units of a value see each element of an input."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from rfgraph.analysis.analysis import Analysis
from rfgraph.errors import QueryError
from rfgraph.plot.frame import aspect, ticked
from rfgraph.plot.seen import Index, axis_names, everywhere, input_name, short, written
from rfgraph.plot.style import COUNTS, EDGE, QUIET, SEEN, available, label, one, plainly, titled
from rfgraph.render.rows import shown_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Each unit's support is worked out: so many are at most.
_MOST = 4096


def density(
    analysis: Analysis,
    tensor: str,
    input: str | None = None,
    *,
    index: Index | None = None,
    ax: Axes | None = None,
) -> Axes:
    """How many units of a value see each element of an input.

    The supports of units are counted one by one, so that holes and borders are exact. Elements that
    stride leaves out, and checkerboards, show at once.

    Parameters
    ----------
    analysis : Analysis
        The analysis.
    tensor : str
        The value.
    input : str, optional
        The input; may be left out where there is only one.
    index : sequence of int or slice, optional
        The region of units that are counted: all places of the first channel if left out, that is,
        along all axes of the value along which what is seen varies.
    ax : Axes, optional
        Where to draw; in a new figure if left out.

    Returns
    -------
    matplotlib.axes.Axes
        What is drawn on. Of an input that is shown along two axes the counts are its image, of one
        along a single axis a line. Along other axes an element counts if any of it is seen.

    Raises
    ------
    QueryError
        No such tensor, input or unit, nothing is seen, or there are more than 4,096 units.
    PlotError
        matplotlib is not installed.

    Examples
    --------
    >>> import rfgraph
    >>> axes = density(rfgraph.analyze("models/lenet_textbook.onnx"), "y")
    >>> int(axes.images[0].get_array().max())
    9
    """
    available()
    name = input_name(analysis, input)
    axes = shown_axes(analysis, name)
    moving = analysis.moving_axes(name)
    index = everywhere(analysis, tensor, name, moving) if index is None else tuple(index)
    whole = analysis.support(tensor, index, name)
    if not whole or not axes:
        raise QueryError(
            f"'{tensor}' at {written(index)} sees nothing that can be drawn", file=analysis.file
        )
    units = _units(analysis, tensor, index)
    counts = np.zeros([whole.shape[axis] for axis in axes], dtype=np.int64)
    for unit in units:
        counts += analysis.support(tensor, unit, whole.value).projection(axes)
    names = axis_names(analysis, whole.value, axes)
    title = f"how many units of {short(analysis, tensor)} see each element of {name}"
    least, most = int(counts.min()), int(counts.max())
    said = f"units {written(index)}, {len(units):,} in all: from {least:,} to {most:,}"
    if len(axes) == 1:
        _, ax = one(ax, 6.0, 1.8, (0.6, 0.2, 0.5, 0.5))
        plainly(ax)
        ax.stairs(counts, np.arange(counts.size + 1) - 0.5, fill=True, color=SEEN)
        ax.set_xlim(-0.5, counts.size - 0.5)
        ax.set_ylim(0, 1.05 * most)
        ax.set_xlabel(label(names[0]), fontsize=7, color=QUIET)
        ax.set_ylabel("units", fontsize=7, color=QUIET)
    else:
        window = [(0, n - 1) for n in counts.shape]
        figure, ax = one(ax, 4.0, 4.0 * aspect(window), (0.45, 0.85, 0.5, 0.4))
        plainly(ax)
        height, width = counts.shape
        drawn = ax.imshow(
            counts, cmap=COUNTS, vmin=0, interpolation="nearest",
            aspect="equal" if aspect(window) == height / width else "auto",
        )  # fmt: skip
        ticked(ax, window, names)
        bar = figure.colorbar(drawn, ax=ax, cax=ax.inset_axes((1.03, 0, 0.04, 1)))
        bar.ax.tick_params(labelsize=6.5, length=2, colors=QUIET)
        bar.outline.set_edgecolor(EDGE)
        bar.set_label("units", fontsize=7, color=QUIET)
    titled(ax, title, said)
    return ax


def _units(analysis: Analysis, tensor: str, index: Index) -> list[tuple[int, ...]]:
    """The units of a region, one by one."""
    extent = analysis.extent(tensor) or ()
    runs = [
        range(n)[at] if isinstance(at, slice) else [at] for at, n in zip(index, extent, strict=True)
    ]
    number = prod(map(len, runs))
    if number > _MOST:
        raise QueryError(
            f"the region {written(index)} of '{tensor}' has {number:,} units: more than {_MOST:,}",
            file=analysis.file,
            remedy="give a smaller one, such as index=(0, 0, slice(0, 64), slice(0, 64))",
        )
    return list(product(*runs))
