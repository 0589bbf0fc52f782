"""Pictures of what units see, by matplotlib (``pip install rfgraph[plot]``).

Every function gives a `matplotlib.figure.Figure`; ``figure.savefig("a.png")`` writes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from rfgraph.analysis.analysis import Analysis
from rfgraph.engine.support import Support
from rfgraph.errors import QueryError
from rfgraph.render.rows import shown_axes
from rfgraph.render.text import plain, share
from rfgraph.render.text import shape as size_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Index = Sequence[int | slice]

# If there are more panels than this, some are left out, evenly.
_PANELS = 40
_BARS = 60
_COLUMNS = 6

_PAPER, _EDGE, _INK, _OUTLINE, _TEXT = "#f2efe9", "#b9b2a6", "#00798c", "#d1495b", "#333333"


def layers(
    analysis: Analysis, tensors: Sequence[str], at: Index, input: str | None = None
) -> Figure:
    """What one unit sees, value by value, as a grid of masks; along one axis, as bars.

    Values that see the same as the one before get no panel of their own.

    Parameters
    ----------
    analysis : Analysis
        The analysis.
    tensors : sequence of str
        The values, in the order in which they are drawn.
    at : sequence of int or slice
        The unit, by the last coordinates; those before it are 0. Values without it are left out.
    input : str, optional
        The input; may be left out where there is only one.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    QueryError
        No such tensor or input, or no value that has the unit and sees the input.
    ImportError
        matplotlib is not installed.

    Examples
    --------
    >>> import rfgraph
    >>> a = rfgraph.analyze("models/lenet_textbook.onnx")
    >>> figure = layers(a, a.tensors, (4, 5))
    >>> len([axes for axes in figure.axes if axes.images])
    3
    """
    available()
    panels: list[_Panel] = []
    for tensor in tensors:
        shape = analysis.extent(tensor)
        if shape is None or len(shape) < len(at) or not _there(at, shape[len(shape) - len(at) :]):
            continue
        index = (0,) * (len(shape) - len(at)) + tuple(at)
        support = analysis.support(tensor, index, input)
        if not support:
            continue
        node = analysis.node(tensor)
        axes = shown_axes(analysis, support.value)
        mask = support.projection(axes)
        if panels and np.array_equal(panels[-1].mask, mask):
            panels[-1].alike.append(tensor)
        else:
            panels.append(_Panel(tensor, node.op_type if node else "input", support, mask, []))
    if not panels or not panels[0].mask.ndim:
        raise QueryError(
            f"no value that sees an input along an axis has a unit {_index(at)}", file=analysis.file
        )
    axes = shown_axes(analysis, panels[0].support.value)
    title = f"what unit {_index(at)} of every layer sees of {_input(panels[0].support)}"
    draw = _grid if len(axes) == 2 else _bars
    return draw(_chosen(panels, _PANELS if len(axes) == 2 else _BARS), axes, plain(title))


def unit(analysis: Analysis, tensor: str, index: Index, input: str | None = None) -> Figure:
    """What one unit, or a region, sees of an input.

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

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    QueryError
        No such tensor, unit or input, or nothing is seen.
    ImportError
        matplotlib is not installed.

    Examples
    --------
    >>> import rfgraph
    >>> figure = unit(rfgraph.analyze("models/lenet_textbook.onnx"), "y", (0, 0, 4, 5))
    >>> figure.get_suptitle()
    'what y[0,0,4,5] sees of x (1x1x30x30): a part of it'
    """
    available()
    support = analysis.support(tensor, index, input)
    axes = shown_axes(analysis, support.value)
    if not support or not axes:
        raise QueryError(f"'{tensor}' at {_index(index)} sees nothing that can be drawn")
    node = analysis.node(tensor)
    operator = node.op_type if node else "input"
    panel = _Panel(tensor, operator, support, support.projection(axes), [])
    title = f"what {tensor}[{_index(index)}] sees of {_input(support)}"
    return (_grid if len(axes) == 2 else _bars)([panel], axes, plain(title))


def available() -> None:
    """Refuse if matplotlib is not installed.

    Raises
    ------
    QueryError
        It is not.
    """
    try:
        import_module("matplotlib")
    except ImportError:
        remedy = "pip install 'rfgraph[plot]'"
        raise PlotError("pictures need matplotlib, which is not installed", remedy=remedy) from None


class PlotError(QueryError, ImportError):
    """matplotlib is not installed."""


@dataclass(slots=True)
class _Panel:
    """What a value sees, and the values after it that see the same."""

    tensor: str
    operator: str
    support: Support
    mask: np.ndarray
    alike: list[str]


def _there(at: Index, shape: Sequence[int]) -> bool:
    return all(
        bool(range(n)[i]) if isinstance(i, slice) else -n <= i < n
        for i, n in zip(at, shape, strict=True)
    )


def _index(at: Index) -> str:
    parts = []
    for i in at:
        if isinstance(i, slice):
            ends = [i.start, i.stop] if i.step is None else [i.start, i.stop, i.step]
            parts.append(":".join("" if end is None else str(end) for end in ends))
        else:
            parts.append(str(i))
    return ",".join(parts)


def _input(support: Support) -> str:
    return f"{support.value} ({size_of(support.shape)})"


def _chosen(panels: list[_Panel], most: int) -> list[_Panel]:
    if len(panels) <= most:
        return panels
    return [panels[k] for k in np.linspace(0, len(panels) - 1, most).round().astype(int)]


# ---------------------------------------------------------------- names


def shortened(names: Sequence[str], operators: Sequence[str], most: int = 24) -> list[str]:
    """Names of values fit for a small title: without what exporters add and what all share.

    Examples
    --------
    >>> names = ["/net/layer1/layer1.0/Conv_output_0", "/net/layer1/layer1.1/conv/Conv_output_0"]
    >>> shortened(names, ["Conv", "Conv"])
    ['layer1.0', 'layer1.1/conv']
    """
    split = [_parts(name, operator) for name, operator in zip(names, operators, strict=True)]
    while len(split) > 1 and all(len(parts) > 1 and parts[0] == split[0][0] for parts in split):
        split = [parts[1:] for parts in split]
    texts = ["/".join(parts) for parts in split]
    return [plain(text if len(text) <= most else "…" + text[1 - most :]) for text in texts]


def _parts(name: str, operator: str) -> list[str]:
    parts = [part for part in name.split("/") if part]
    if not parts:
        return [name]
    last = parts[-1].partition("_output_")[0]
    stem = last.rstrip("0123456789").rstrip("_")
    parts[-1:] = [] if stem == operator and len(parts) > 1 else [last]
    # A module within another repeats its name: layer1/layer1.0.
    kept = [a for a, b in pairwise(parts) if not b.startswith(f"{a}.")]
    return [*kept, parts[-1]]


# ---------------------------------------------------------------- figures


def _grid(panels: list[_Panel], axes: Sequence[int], title: str) -> Figure:
    from matplotlib.figure import Figure

    size = [panels[0].support.shape[axis] for axis in axes]
    window = [_window(panels, k, n) for k, n in enumerate(size)]
    sides = [last - first + 1 for first, last in window]
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    aspect = min(max(sides[0] / sides[1], 0.25), 4)
    wide = 1.9 if columns > 1 else 4.6
    figure = Figure(figsize=(wide * columns + 0.3, (wide * aspect + 0.5) * rows + 0.55), dpi=150)
    grid = figure.subplots(rows, columns, squeeze=False)
    names = shortened([p.tensor for p in panels], [p.operator for p in panels])
    for k, panel_axes in enumerate(grid.flat):
        if k >= len(panels):
            panel_axes.set_axis_off()
            continue
        panel = panels[k]
        _mask(panel_axes, panel, axes, window)
        alike = f"  +{len(panel.alike)} alike" if panel.alike else ""
        panel_axes.set_title(f"{names[k]}", fontsize=7.5, color=_TEXT, pad=12, loc="left")
        panel_axes.text(
            0,
            1.02,
            f"{panel.operator}  {_caption(panel, axes)}{alike}",
            transform=panel_axes.transAxes,
            fontsize=6.3,
            color="#777777",
        )
        _ticks(panel_axes, window, labels=k == (rows - 1) * columns)
    if any(side < n for side, n in zip(sides, size, strict=True)):
        title += ": a part of it"
    figure.suptitle(title, fontsize=10, color=_TEXT)
    figure.tight_layout(h_pad=0.5, w_pad=0.7)
    return figure


def _caption(panel: _Panel, axes: Sequence[int]) -> str:
    box = panel.support.box
    assert box is not None
    sides = [box[axis][1] - box[axis][0] + 1 for axis in axes]
    filled = int(panel.mask.sum()) / int(np.prod(sides))
    holes = "" if filled == 1 else f", {share(filled)}"
    return "x".join(map(str, sides)) + holes


def _window(panels: Sequence[_Panel], k: int, size: int) -> tuple[int, int]:
    """The part of an axis that is drawn: all of it, or what any panel sees with a margin."""
    seen = np.flatnonzero(
        np.any(
            [p.mask.any(axis=tuple(a for a in range(p.mask.ndim) if a != k)) for p in panels],
            axis=0,
        )
    )
    first, last = int(seen[0]), int(seen[-1])
    margin = max((last - first + 1) // 8, 1)
    if 2 * (last - first + 1 + 2 * margin) > size:
        return 0, size - 1
    return max(first - margin, 0), min(last + margin, size - 1)


def _mask(
    drawn: Axes, panel: _Panel, axes: Sequence[int], window: Sequence[tuple[int, int]]
) -> None:
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Rectangle

    (top, bottom), (left, right) = window
    height, width = panel.mask.shape
    drawn.add_patch(Rectangle((-0.5, -0.5), width, height, facecolor=_PAPER, edgecolor=_EDGE))
    box = panel.support.box
    assert box is not None
    (first, last), (begin, end) = (box[axis] for axis in axes)
    cut = panel.mask[first : last + 1, begin : end + 1]
    drawn.imshow(
        np.ma.masked_equal(cut.astype(np.uint8), 0),
        cmap=ListedColormap([_INK]),
        extent=(begin - 0.5, end + 0.5, last + 0.5, first - 0.5),
        interpolation="nearest",
        zorder=2,
    )
    drawn.add_patch(
        Rectangle(
            (begin - 0.5, first - 0.5),
            end - begin + 1,
            last - first + 1,
            fill=False,
            edgecolor=_OUTLINE,
            linewidth=0.9,
            zorder=3,
        )
    )
    room = 0.008 * (right - left + 1), 0.008 * (bottom - top + 1)
    drawn.set_xlim(left - 0.5 - room[0], right + 0.5 + room[0])
    drawn.set_ylim(bottom + 0.5 + room[1], top - 0.5 - room[1])
    drawn.set_aspect("equal" if 0.25 <= (bottom - top + 1) / (right - left + 1) <= 4 else "auto")


def _ticks(drawn: Axes, window: Sequence[tuple[int, int]], *, labels: bool) -> None:
    for which, (first, last) in zip((drawn.set_yticks, drawn.set_xticks), window, strict=True):
        which([first, last] if labels else [])
    drawn.tick_params(labelsize=6, length=2, pad=1, colors="#777777")
    for spine in drawn.spines.values():
        spine.set_visible(False)


def _bars(panels: list[_Panel], axes: Sequence[int], title: str) -> Figure:
    from matplotlib.figure import Figure

    size = panels[0].support.shape[axes[0]]
    first, last = _window(panels, 0, size)
    figure = Figure(figsize=(9, 0.2 * len(panels) + 1.1), dpi=150)
    drawn = figure.subplots()
    names = shortened([p.tensor for p in panels], [p.operator for p in panels], 36)
    drawn.axvspan(-0.5, size - 0.5, facecolor=_PAPER, zorder=0)
    for k, panel in enumerate(panels):
        runs = _runs(panel.mask)
        begin, end = runs[0][0], runs[-1][0] + runs[-1][1]
        drawn.plot(
            [begin - 0.5, end - 0.5],
            [k, k],
            color=_OUTLINE,
            linewidth=0.9,
            zorder=2,
            solid_capstyle="butt",
        )
        bars: list[Any] = [(start - 0.5, length) for start, length in runs]
        drawn.broken_barh(bars, (k - 0.36, 0.72), facecolor=_INK, zorder=3, linewidth=0)
        alike = f"  +{len(panel.alike)} alike" if panel.alike else ""
        drawn.annotate(
            f"{_caption(panel, axes)}{alike}",
            (1.01, k),
            xycoords=("axes fraction", "data"),
            fontsize=6.3,
            va="center",
            color="#777777",
        )
    drawn.set_yticks(
        range(len(panels)), [f"{n}  {p.operator}" for n, p in zip(names, panels, strict=True)]
    )
    drawn.set_ylim(len(panels) - 0.4, -0.6)
    drawn.set_xlim(first - 0.5, last + 0.5)
    drawn.tick_params(labelsize=6.5, length=2, colors=_TEXT)
    drawn.set_xlabel(f"axis {axes[0]} of {panels[0].support.value}, 0..{size - 1}", fontsize=7.5)
    for spine in drawn.spines.values():
        spine.set_visible(False)
    drawn.set_title(title, fontsize=10, color=_TEXT, loc="left")
    figure.tight_layout()
    return figure


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """Runs of true elements: start and length."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(a), int(b - a)) for a, b in edges.reshape(-1, 2)]
