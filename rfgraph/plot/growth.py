"""How fields grow with depth."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from math import isfinite, log2
from typing import TYPE_CHECKING

import numpy as np

from rfgraph.analysis.analysis import Analysis
from rfgraph.checks.rf104_unproductive import Layers
from rfgraph.errors import QueryError
from rfgraph.plot.names import shortened
from rfgraph.plot.seen import axis_names, input_name
from rfgraph.plot.style import (
    AHEAD,
    QUIET,
    SEEN,
    STRIDE,
    TEXT,
    available,
    label,
    legend,
    one,
    titled,
)
from rfgraph.render.rows import shown_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(slots=True)
class _Depth:
    """What the values of one depth have, along the axis.

    Their sizes; those by the shortest way, where branches meet; the strides; and what adds nothing.
    """

    sizes: list[float] = field(default_factory=list)
    shortest: list[float] = field(default_factory=list)
    strides: list[float] = field(default_factory=list)
    unproductive: list[str] = field(default_factory=list)


def growth(
    analysis: Analysis, input: str | None = None, *, axis: int | None = None, ax: Axes | None = None
) -> Axes:
    """Size and stride of the fields of all values, by depth.

    The depth of a value is the number of layers on the longest way to it: of nodes that change size
    or stride. The line is the largest size of a depth. Where branches meet, as in residual sums, a
    mark shows the size by the shortest way, and a band what lies between. The input's size is a
    dashed line, and layers that can add no context, as their input already sees everything
    (``rfgraph explain RF104``), are marked. What has no size, such as behind a global pooling, is
    left out.

    Parameters
    ----------
    analysis : Analysis
        The analysis.
    input : str, optional
        The input; may be left out where there is only one.
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
        No such input or axis, or no value that has a size along it.
    PlotError
        matplotlib is not installed.

    Examples
    --------
    >>> import rfgraph
    >>> axes = growth(rfgraph.analyze("models/resnet50.onnx"))
    >>> axes.get_xlabel(), axes.get_title(loc="left")
    ('depth: layers on the longest way', 'receptive fields of resnet50.onnx')
    """
    available()
    name = input_name(analysis, input)
    shape = analysis.extent(name) or ()
    shown = shown_axes(analysis, name)
    if axis is None and shown:
        axis = shown[-1]
    if axis is None or not -len(shape) <= axis < len(shape):
        raise QueryError(f"'{name}' has no axis to draw fields along", file=analysis.file)
    axis %= len(shape)
    depths, ends = _depths(analysis, name, axis)
    if not depths:
        raise QueryError(f"no value has a size along axis {axis} of '{name}'", file=analysis.file)
    _, ax = one(ax, 6.2, 3.3, (0.65, 0.9, 0.5, 0.8))
    at = sorted(depths)
    largest = [max(depths[depth].sizes) for depth in at]
    met = [k for k, depth in enumerate(at) if depths[depth].shortest]
    if met:
        shortest = [min(depths[at[k]].shortest) for k in met]
        # Between one meeting of branches and the next there is no shorter way.
        lower = np.exp2(np.interp(at, [at[k] for k in met], np.log2(shortest), left=np.nan))
        ax.fill_between(at, lower, largest, color=SEEN, alpha=0.18, linewidth=0)
        ax.plot([at[k] for k in met], shortest, color=SEEN, linestyle="", marker="v", markersize=3)
    ax.plot(at, largest, color=SEEN, linewidth=1.6, marker="o", markersize=2.4)
    strided = [depth for depth in at if depths[depth].strides]
    strides = [max(depths[depth].strides) for depth in strided]
    ax.step(strided, strides, where="post", color=STRIDE, linewidth=1.4)
    idle = [depth for depth in at if depths[depth].unproductive]
    tops = [max(depths[depth].sizes) for depth in idle]
    ax.plot(idle, tops, linestyle="", marker="x", markersize=5, markeredgewidth=1.4, color=AHEAD)
    ax.axhline(shape[axis], color=TEXT, linewidth=0.9, linestyle=(0, (5, 3)))
    _scaled(ax, at[-1])
    where = axis_names(analysis, name, [axis])[0]
    beside: dict[str, tuple[float, str]] = {f"input {shape[axis]:,}": (shape[axis], TEXT)}
    if strides:
        beside[f"stride {strides[-1]:g}"] = strides[-1], STRIDE
    for size, tensors in _by_size(ends, at[-1]).items():
        beside[f"{', '.join(tensors)} {size:,.6g}"] = size, SEEN
    _beside(ax, beside)
    for tensor, depth, size in ends:
        if depth < at[-1]:
            ax.annotate(
                label(f"{tensor} {size:,.6g}"), (depth, size), xytext=(4, -10),
                textcoords="offset points", fontsize=7, color=SEEN,
            )  # fmt: skip
    _keyed(ax, banded=bool(met), idle=bool(idle))
    file = analysis.file or "the model"
    titled(ax, f"receptive fields of {file.replace(chr(92), '/').rpartition('/')[2]}",
           f"along {where} of {name}")  # fmt: skip
    return ax


def _depths(
    analysis: Analysis, name: str, axis: int
) -> tuple[dict[int, _Depth], list[tuple[str, int, float]]]:
    """What there is at each depth, and the outputs with theirs."""
    shortest = analysis.shortest(name, [axis])
    unproductive = dict(Layers(analysis, name, analysis.moving_axes(name)).unproductive())
    depth: dict[str, int] = {}
    figures: dict[str, tuple[float, float]] = {}
    found: dict[int, _Depth] = defaultdict(_Depth)
    for tensor in analysis.alike(name):
        side = analysis.field_along(tensor, name, axis)
        node = analysis.node(tensor)
        sources = () if node is None else (*node.inputs, *node.captures)
        before = [source for source in sources if source in depth]
        figures[tensor] = float(side.size), float(side.stride)
        changed = all(figures[tensor] != figures[source] for source in before)
        depth[tensor] = max((depth[s] for s in before), default=-1) + (changed or not before)
        if isfinite(side.size) and side.size > 0 and not side.is_global:
            here = found[depth[tensor]]
            here.sizes.append(float(side.size))
            if len(before) > 1:
                here.shortest.append(min(float(shortest[tensor][0]), float(side.size)))
            if side.stride > 0 and _has_neighbours(analysis, tensor, name, axis):
                here.strides.append(float(side.stride))
            if tensor in unproductive:
                here.unproductive.append(tensor)
    ends = [(t, depth[t], figures[t][0]) for t in analysis.outputs if t in depth]
    ends = [end for end in ends if isfinite(end[2]) and end[1] in found and end[2] > 0]
    shorts = shortened([t for t, *_ in ends], [""] * len(ends))
    return (
        dict(found),
        [(short, k, size) for short, (_, k, size) in zip(shorts, ends, strict=True)],
    )


def _has_neighbours(analysis: Analysis, tensor: str, name: str, axis: int) -> bool:
    """Whether there is more than one unit along an axis, for a stride to lie between."""
    lo, hi = analysis.bounds(tensor, name, axis=axis)
    return max(lo.size, hi.size) > 1 or analysis.node(tensor) is None


def _scaled(ax: Axes, last: int) -> None:
    """Logarithmic sizes with plain figures, whole depths."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

    ax.set_yscale("log", base=2)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlim(-0.02 * last - 0.2, last + 0.02 * last + 0.2)
    ax.tick_params(labelsize=7, length=2, colors=QUIET)
    ax.grid(axis="y", color="#e6e3dd", linewidth=0.6)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color("#b9b2a6")
    ax.set_xlabel("depth: layers on the longest way", fontsize=7.5, color=QUIET)
    ax.set_ylabel("elements of the input", fontsize=7.5, color=QUIET)


def _by_size(ends: list[tuple[str, int, float]], last: int) -> dict[float, list[str]]:
    """The outputs of the last depth, by their sizes."""
    found = defaultdict(list)
    for tensor, depth, size in ends:
        if depth == last:
            found[size].append(tensor)
    return found


def _beside(ax: Axes, labels: dict[str, tuple[float, str]]) -> None:
    """Labels at the right edge, each at its height or as little above it as keeps them apart."""
    low, high = (log2(end) for end in ax.get_ylim())
    points = 72 * ax.bbox.height / ax.figure.dpi
    free = 0.0
    for text, (at, colour) in sorted(labels.items(), key=lambda label: label[1][0]):
        wanted = points * (log2(at) - low) / (high - low)
        free = max(wanted, free)
        ax.annotate(
            label(text), (1, 0), xytext=(6, free), xycoords="axes fraction",
            textcoords="offset points", fontsize=7, color=colour, va="center",
            annotation_clip=False,
        )  # fmt: skip
        free += 9


def _keyed(ax: Axes, *, banded: bool, idle: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    keys: list[Line2D | Patch] = [
        Line2D([], [], color=SEEN, marker="o", markersize=2.4, label="size")
    ]
    if banded:
        keys.append(Patch(color=SEEN, alpha=0.18, label="from the shortest to the longest way"))
    keys.append(Line2D([], [], color=STRIDE, label="stride"))
    if idle:
        keys.append(Line2D([], [], color=AHEAD, linestyle="", marker="x", label="adds no context"))
    legend(ax, keys, below=38)
