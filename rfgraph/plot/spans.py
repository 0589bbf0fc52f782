"""What units see along one axis, as spans: what lies ahead of a unit's place is told apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rfgraph.plot.names import shortened
from rfgraph.plot.seen import Ends, Seen
from rfgraph.plot.style import AHEAD, EDGE, PAPER, QUIET, SEEN, TEXT, label, plainly

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def spans(ax: Axes, rows: Sequence[Seen], window: Ends, name: str) -> None:
    """Draw one span a row, from top to bottom.

    Parameters
    ----------
    ax : Axes
        Where.
    rows : sequence of Seen
        What is drawn, along one axis.
    window : (int, int)
        What is shown of the axis.
    name : str
        What the axis is.
    """
    from matplotlib.ticker import MaxNLocator

    plainly(ax)
    size = rows[0].size[0]
    ax.axvspan(-0.5, size - 0.5, facecolor=PAPER, edgecolor=EDGE, linewidth=0.8, zorder=0)
    for k, row in enumerate(rows):
        _span(ax, row, k)
    names = shortened([r.tensor for r in rows], [r.operator for r in rows], 36)
    labels = [label(f"{n}  {r.operator}") for n, r in zip(names, rows, strict=True)]
    ax.set_yticks(range(len(rows)), labels)
    ax.set_ylim(len(rows) - 0.3, -0.6)
    room = 0.004 * (window[1] - window[0] + 1)
    ax.set_xlim(window[0] - 0.5 - room, window[1] + 0.5 + room)
    ax.tick_params(axis="y", colors=TEXT, length=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel(label(name), fontsize=7, color=QUIET)


def _span(ax: Axes, row: Seen, k: int) -> None:
    ((begin, end),) = row.box
    ((first, last),) = row.unclipped
    (own,) = row.own
    behind = row.size[0] if own is None else own[1] + 1
    if (first, last) != (begin, end):
        ax.hlines(k, first - 0.5, last + 0.5, color=QUIET, linewidth=0.8, linestyle=":", zorder=1)
    ax.hlines(k, begin - 0.5, end + 0.5, color=SEEN, linewidth=0.8, zorder=2)
    for colour, part in ((SEEN, slice(0, max(behind, 0))), (AHEAD, slice(max(behind, 0), None))):
        shift = part.start or 0
        bars: list[Any] = [(s + shift - 0.5, n) for s, n in runs(row.mask[part])]
        if bars:
            ax.broken_barh(bars, (k - 0.36, 0.72), facecolor=colour, zorder=3, linewidth=0)
    if own is not None:
        # Beneath the span, so that nothing of it is hidden.
        ax.plot(sum(own) / 2, k + 0.5, marker="^", markersize=3, color=TEXT, zorder=4)
    alike = f"  +{len(row.alike)} alike" if row.alike else ""
    ahead = end - behind + 1
    further = f", {ahead} ahead" if own is not None and ahead > 0 else ""
    ax.annotate(
        f"{row.caption}{further}{alike}",
        (1, k),
        xytext=(5, 0),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        fontsize=6.3,
        va="center",
        color=QUIET,
    )


def keys(rows: Sequence[Seen]) -> list[Any]:
    """The keys of a legend for what is drawn."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    placed = [row for row in rows if row.own[0] is not None]
    found: list[Any] = [Patch(facecolor=SEEN, label="seen")]
    if any(row.own[0] is not None and row.box[0][1] > row.own[0][1] for row in rows):
        found.append(Patch(facecolor=AHEAD, label="seen, ahead of the unit's place"))
    if placed:
        found.append(
            Line2D([], [], color=TEXT, linestyle="", marker="^", markersize=4, label="own place")
        )
    if any(row.unclipped != row.box for row in rows):
        found.append(Line2D([], [], color=QUIET, linestyle=":", label="in the padding"))
    return found


def runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """Runs of true elements: start and length."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(a), int(b - a)) for a, b in edges.reshape(-1, 2)]
