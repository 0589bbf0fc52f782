"""What all pictures share: colours, figures and axes, and what is said without matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast

from rfgraph.errors import QueryError
from rfgraph.render.text import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Of Okabe and Ito's palette, which the colour-blind can tell apart: what is seen, what of it lies
# ahead, a unit's own place, and what is outlined.
SEEN, AHEAD, OWN, OUTLINE = "#0072b2", "#d55e00", "#f0e442", "#d55e00"

STRIDE = "#009e73"

# The frame of an input, what of a field lies beyond it, and what is written.
PAPER, EDGE, PADDING, TEXT, QUIET = "#f2efe9", "#b9b2a6", "#fbeee5", "#333333", "#777777"

# The map of colours for counts: as light as they are high, in grey too.
COUNTS = "cividis"

# That of what units respond to, laid over pictures: it tells its ends apart on light and dark.
HEAT = "inferno"

DPI = 150


class PlotError(QueryError, ImportError):
    """matplotlib is not installed."""


def available() -> None:
    """Refuse if matplotlib is not installed.

    Raises
    ------
    PlotError
        It is not.
    """
    try:
        import_module("matplotlib")
    except ImportError:
        remedy = "pip install 'rfgraph[plot]'"
        raise PlotError("pictures need matplotlib, which is not installed", remedy=remedy) from None


def sheet(width: float, height: float) -> Figure:
    """A new figure of so many inches, which notebooks show; pyplot knows nothing of it."""
    from matplotlib.figure import Figure

    class Sheet(Figure):
        def _repr_png_(self) -> bytes:
            stream = BytesIO()
            self.savefig(stream, format="png")
            return stream.getvalue()

    return Sheet(figsize=(width, height), dpi=DPI)


def one(
    ax: Axes | None, width: float, height: float, margins: Sequence[float]
) -> tuple[Figure, Axes]:
    """The axes that are given, or new ones of so many inches with margins around them.

    Margins are left, right, top and bottom.
    """
    if ax is not None:
        return cast("Figure", ax.figure), ax
    left, right, top, bottom = margins
    whole = width + left + right, height + top + bottom
    figure = sheet(*whole)
    place = (left / whole[0], bottom / whole[1], width / whole[0], height / whole[1])
    return figure, figure.add_axes(place)


def panels(
    ax: Axes | None,
    number: int,
    columns: int,
    size: tuple[float, float],
    margins: Sequence[float],
    gaps: tuple[float, float],
) -> tuple[Figure, list[Axes]]:
    """Axes of one size in rows, in a figure of their own or within the axes that are given.

    All is in inches; within given axes it is scaled to fit.
    """
    rows = -(-number // columns)
    (wide, high), (across, down) = size, gaps
    left, right, top, bottom = margins
    width = left + columns * wide + (columns - 1) * across + right
    height = top + rows * high + (rows - 1) * down + bottom
    figure = sheet(width, height) if ax is None else cast("Figure", ax.figure)
    if ax is not None:
        ax.set_axis_off()
    made = []
    for k in range(number):
        row, column = divmod(k, columns)
        place = (
            (left + column * (wide + across)) / width,
            1 - (top + row * (high + down) + high) / height,
            wide / width,
            high / height,
        )
        made.append(figure.add_axes(place) if ax is None else ax.inset_axes(place))
    return figure, made


def plainly(ax: Axes) -> None:
    """No box around the picture, small and quiet figures at its edges."""
    ax.tick_params(labelsize=6.5, length=2, pad=2, colors=QUIET)
    for spine in ax.spines.values():
        spine.set_visible(False)


def label(text: str) -> str:
    """A text that may have names in it, fit for one line; dollars begin no formula."""
    return plain(text).replace("$", r"\$")


def edged(colour: str) -> list[Any]:
    """Path effects of a white line, which is not seen everywhere without an edge."""
    from matplotlib.patheffects import Normal, Stroke

    return [Stroke(linewidth=2, foreground=colour), Normal()]


def titled(ax: Axes, title: str, subtitle: str = "", *, size: float = 9) -> None:
    """A title to the left, and a quiet line between it and the picture."""
    ax.set_title(
        label(title), fontsize=size, color=TEXT, loc="left", pad=size + 7 if subtitle else 6
    )
    if subtitle:
        above(ax, subtitle, 4, size=0.78 * size, colour=QUIET)


def above(ax: Axes, text: str, points: float, *, size: float, colour: str = TEXT) -> None:
    """A line of text so many points above the picture."""
    ax.annotate(
        label(text),
        (0, 1),
        xytext=(0, points),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=size,
        color=colour,
    )


def legend(ax: Axes, handles: Sequence[Any], *, below: float = 22) -> None:
    """A row of keys below the picture, so many points from it."""
    from matplotlib.transforms import ScaledTranslation

    if not handles:
        return
    # Figures given by others may be of any size: what is below is measured in points.
    down = ScaledTranslation(0, -below / 72, ax.figure.dpi_scale_trans)
    ax.legend(
        handles=list(handles),
        loc="upper left",
        bbox_to_anchor=(0, 0),
        bbox_transform=ax.transAxes + down,
        ncols=len(handles),
        fontsize=6.5,
        labelcolor=TEXT,
        frameon=False,
        borderpad=0,
        borderaxespad=0,
        handlelength=1.2,
        handletextpad=0.5,
        columnspacing=1.4,
    )
