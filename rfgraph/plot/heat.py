"""What a unit responds to: a heat map over the image, beside what it can see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rfgraph.errors import QueryError
from rfgraph.measure.discrepancy import Occluded, Occlusion, UnitField
from rfgraph.plot.frame import aspect, frame, keys, outlined, shown, ticked
from rfgraph.plot.seen import Ends, axis_names, short, written
from rfgraph.plot.shown import picture_of
from rfgraph.plot.spans import runs
from rfgraph.plot.style import (
    EDGE,
    HEAT,
    OUTLINE,
    PAPER,
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
from rfgraph.render.text import shape as size_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches: the width of a panel.
_SIDE = 3.2

# How much of the picture a heat map hides where it is greatest.
_OPAQUE = 0.85


def heat(
    found: Occlusion,
    number: int = 0,
    image: int | None = 0,
    *,
    crop: bool = False,
    ax: Axes | None = None,
) -> Figure:
    """What a unit responds to, over one of the images that excite it most, beside what it can see.

    Along two axes it is the image with the exact mask and box, and the image with the discrepancy
    map over it and a line around the elements that count; along one axis the signal, or the tokens,
    with the map beneath and the exact mask as a bar; along three, as in a volume, three slices
    through the element that the map is greatest on.

    Parameters
    ----------
    found : Occlusion
        What `rfgraph.measure.occlusion` has found.
    number : int
        Which of the channels or units that were asked for.
    image : int or None
        Which of its images: 0 is the one that excites it most. None: the mean map of all, by offset
        from the unit's own place.
    crop : bool
        Draw the part around what is seen, rather than the whole input.
    ax : Axes, optional
        Where to draw; in a new figure if left out.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    QueryError
        There is no such unit or image, or the input has more than three spatial axes.
    PlotError
        matplotlib is not installed.

    Examples
    --------
    >>> from rfgraph.measure import occlusion
    >>> found = occlusion("models/lenet_textbook.onnx", "y", 0, top=1, most=8)
    >>> figure = heat(found)
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['what y[0,0,3,5] can see', 'what it responds to']
    """
    available()
    unit = _one(found.found, number, "channel or unit")
    if len(found.axes) > 3:
        raise QueryError(
            f"a map along {len(found.axes)} axes is not drawn",
            remedy="take what it is along fewer of them: Occlusion.arrays",
        )
    names = axis_names(found.analysis, found.input, found.axes)
    if image is None and len(found.axes) == 3:
        return _mean_slices(ax, found, unit, names)
    if image is None:
        return _mean(ax, found, unit, names)
    one_image = _one(unit.images, image, "image")
    if len(found.axes) == 1:
        return _along(ax, found, one_image, unit.level, names[0], crop=crop)
    if len(found.axes) == 3:
        return _slices(ax, found, one_image, unit.level, names, crop=crop)
    return _over(ax, found, one_image, unit.level, names, crop=crop)


def _one(things: Sequence, number: int, what: str):  # type: ignore[no-untyped-def]
    if not -len(things) <= number < len(things):
        raise QueryError(f"there is no {what} {number}: there are {len(things)}")
    return things[number]


def _window(found: Occluded, *, crop: bool) -> list[Ends]:
    """What of the input is drawn."""
    if not crop:
        return [(0, n - 1) for n in found.map.shape]
    made = []
    for (first, last), n in zip(found.box, found.map.shape, strict=True):
        margin = max((last - first + 1) // 8, 1)
        made.append((max(first - margin, 0), min(last + margin, n - 1)))
    return made


def _over(
    ax: Axes | None,
    found: Occlusion,
    on: Occluded,
    level: float,
    names: Sequence[str],
    *,
    crop: bool,
) -> Figure:
    """Two panels over the image."""
    view = shown(_window(on, crop=crop), [on.box])
    high = _SIDE * aspect(view)
    figure, (left, right) = panels(ax, 2, 2, (_SIDE, high), (0.45, 0.2, 0.75, 0.6), (0.35, 0))
    picture = picture_of(found.images.fitting, found.images[on.image])
    frame(left, on.seen, view, box=on.box, own=on.own, photo=picture)
    frame(right, np.ones_like(on.seen), view, photo=_grey(picture))
    _hot(right, on.map, level)
    outlined(right, on.box, fill=False, edgecolor=OUTLINE, linewidth=0.9, zorder=3)
    for axes in (left, right):
        ticked(axes, _window(on, crop=crop), names)
        axes.set_anchor("NW")
    titled(left, f"what {short(found.analysis, found.tensor)}[{written(on.unit)}] can see", size=8)
    titled(right, "what it responds to", size=8)
    above(left, _said(found, on), 22, size=6.5, colour=QUIET)
    legend(left, keys(photo=True, own=None not in on.own, padding=False))
    _keyed(right)
    return figure


def _slices(
    ax: Axes | None,
    found: Occlusion,
    on: Occluded,
    level: float,
    names: Sequence[str],
    *,
    crop: bool,
) -> Figure:
    """Three panels over slices of a volume, through the element that the map is greatest on."""
    window = shown(_window(on, crop=crop), [on.box])
    volume = picture_of(found.images.fitting, found.images[on.image])
    figure, drawn = _sliced(ax, on.map, names, window)
    for axes, cut, sides in drawn:
        box = [on.box[k] for k in sides]
        frame(axes, np.ones_like(on.seen[cut]), [window[k] for k in sides], photo=volume[cut])
        _hot(axes, on.map[cut], level, largest=float(on.map.max(initial=0)))
        outlined(axes, box, fill=False, edgecolor=OUTLINE, linewidth=0.9, zorder=3)
        ticked(axes, [_window(on, crop=crop)[k] for k in sides], [names[k] for k in sides])
    first = drawn[0][0]
    above(first, _titled(found, on.unit), 36, size=9)
    above(first, _said(found, on), 25, size=7, colour=QUIET)
    _keyed(first)
    return figure


def _mean_slices(
    ax: Axes | None, found: Occlusion, unit: UnitField, names: Sequence[str]
) -> Figure:
    """The mean map in three slices, by offset from the own place."""
    figure, drawn = _sliced(ax, unit.map, names, unit.box, [first for first, _ in unit.box])
    for axes, cut, sides in drawn:
        view = [unit.box[k] for k in sides]
        plainly(axes)
        outlined(axes, view, facecolor=PAPER, edgecolor=EDGE, linewidth=0.8, zorder=1.5)
        begins = (view[0][0], view[1][0])
        _hot(axes, unit.map[cut], unit.level, begins, float(unit.map.max(initial=0)))
        ticked(axes, view, [names[k] for k in sides])
    said = f"{unit.side:.3g} along each axis, {_mean_of(unit)}, by offset from the own place"
    above(drawn[0][0], _titled(found, unit.region), 36, size=9)
    above(drawn[0][0], said, 25, size=7, colour=QUIET)
    return figure


def _sliced(
    ax: Axes | None,
    map: np.ndarray,
    names: Sequence[str],
    window: Sequence[Ends],
    begins: Sequence[int] = (0, 0, 0),
) -> tuple[Figure, list[tuple[Axes, tuple[int | slice, ...], tuple[int, int]]]]:
    """Axes for each slice, what is cut there, and the axes of the input along it."""
    at = [int(k) for k in np.unravel_index(int(map.argmax()), map.shape)]
    high = _SIDE * max(aspect([window[1], window[2]]), aspect([window[0], window[2]]), 1)
    figure, panelled = panels(ax, 3, 3, (_SIDE, high), (0.45, 0.2, 0.85, 0.6), (0.45, 0))
    drawn = []
    for axes, held in zip(panelled, range(3), strict=True):
        cut = tuple(at[k] if k == held else slice(None) for k in range(3))
        down, across = (k for k in range(3) if k != held)
        axes.set_anchor("NW")
        titled(axes, f"{label(names[held])} at {at[held] + begins[held]}", size=7.5)
        drawn.append((axes, cut, (down, across)))
    return figure, drawn


def _titled(found: Occlusion, unit: Sequence[int | slice]) -> str:
    return f"what {short(found.analysis, found.tensor)}[{written(unit)}] responds to"


def _mean_of(unit: UnitField) -> str:
    number = len(unit.images)
    return "of one image" if number == 1 else f"the mean of {number} images"


def _said(found: Occlusion, on: Occluded) -> str:
    name = on.name.replace("\\", "/").rpartition("/")[2]
    return f"{on.value:.4g} on {name}; covered by {size_of(found.size)}"


def _grey(picture: np.ndarray) -> np.ndarray:
    """A picture without its colours, so that those of the map are the only ones."""
    return picture.mean(axis=-1) if picture.ndim == 3 else picture


def _hot(
    ax: Axes,
    map: np.ndarray,
    level: float,
    first: tuple[int, int] = (0, 0),
    largest: float | None = None,
) -> None:
    """Draw a map as colours that hide more where it is greater, and a line around what counts."""
    from matplotlib import colormaps

    share = map / ((float(map.max(initial=0)) if largest is None else largest) or 1.0)
    colours = colormaps[HEAT](share)
    colours[..., 3] = _OPAQUE * np.sqrt(share)
    (top, left), (rows, columns) = first, map.shape
    extent = (left - 0.5, left + columns - 0.5, top + rows - 0.5, top - 0.5)
    ax.imshow(colours, extent=extent, interpolation="nearest", zorder=2.2)
    if min(map.shape) > 1 and share.max() >= level > share.min():
        across, down = np.arange(columns) + left, np.arange(rows) + top
        ax.contour(across, down, share, [level], colors="white", linewidths=0.7, zorder=2.6)


def _keyed(ax: Axes) -> None:
    from matplotlib import colormaps
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    counts = Line2D([], [], color="white", linewidth=1.2, label="counts as responded to")
    counts.set_path_effects(edged(EDGE))
    legend(ax, [Patch(facecolor=colormaps[HEAT](0.75), label="changes the unit"), counts])


def _mean(ax: Axes | None, found: Occlusion, unit: UnitField, names: Sequence[str]) -> Figure:
    """The mean map, by offset from the own place."""
    from matplotlib.ticker import MaxNLocator

    title = _titled(found, unit.region)
    sides = "x".join(f"{size:.6g}" for size in unit.theoretical)
    side = f"{unit.side:.3g}" if len(found.axes) == 1 else f"{unit.side:.3g}x{unit.side:.3g}"
    said = f"{side} of {sides}, {_mean_of(unit)}"
    if len(found.axes) == 1:
        figure, ax = one(ax, 6.5, 1.2, (0.6, 0.3, 0.5, 0.6))
        plainly(ax)
        ((first, last),) = unit.box
        at = np.arange(first, last + 1)
        ax.fill_between(at, unit.map, step="mid", color=SEEN, linewidth=0)
        ax.set_xlim(first - 0.5, last + 0.5)
        ax.set_ylim(0, None)
    else:
        view = list(unit.box)
        figure, ax = one(ax, _SIDE, _SIDE * aspect(view), (0.5, 0.3, 0.5, 0.6))
        plainly(ax)
        outlined(ax, view, facecolor=PAPER, edgecolor=EDGE, linewidth=0.8, zorder=1.5)
        _hot(ax, unit.map, unit.level, (view[0][0], view[1][0]))
        ax.set_aspect("equal")
        ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        ax.set_ylabel(label(names[0]), fontsize=6.5, color=QUIET)
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.set_xlabel(
        label(f"{names[-1]}: offset from the unit's own place"), fontsize=6.5, color=QUIET
    )
    titled(ax, title, said, size=8)
    return figure


def _along(
    ax: Axes | None, found: Occlusion, on: Occluded, level: float, name: str, *, crop: bool
) -> Figure:
    """A signal or tokens, the map beneath, and what can be seen as a bar."""
    from matplotlib.patches import Patch
    from matplotlib.ticker import MaxNLocator

    figure, ax = one(ax, 6.5, 1.7, (0.3, 0.3, 0.55, 0.75))
    plainly(ax)
    ((first, last),) = _window(on, crop=crop)
    at = np.arange(len(on.map))
    share = on.map / (float(on.map.max(initial=0)) or 1.0)
    image = found.images[on.image]
    ax.axvspan(-0.5, len(at) - 0.5, facecolor=PAPER, edgecolor=EDGE, linewidth=0.8, zorder=0)
    if image.dtype.kind == "f":
        signal = picture_of(found.images.fitting, image)[first : last + 1]
        spread = float(np.ptp(signal)) or 1.0
        line = 1.15 + 0.8 * (signal - signal.min()) / spread
        ax.plot(at[first : last + 1], line, color=QUIET, linewidth=0.6, zorder=2)
    ax.fill_between(at, share, step="mid", color=OUTLINE, linewidth=0, zorder=2)
    ax.axhline(level, color=QUIET, linewidth=0.6, linestyle=(0, (4, 3)), zorder=2.5)
    bars = [(start - 0.5, n) for start, n in runs(on.seen)]
    ax.broken_barh(bars, (-0.22, 0.14), facecolor=SEEN, linewidth=0, zorder=2)
    (own,) = on.own
    if own is not None:
        ax.plot(sum(own) / 2, -0.3, marker="^", markersize=4, color=TEXT, zorder=3)
    ax.set_xlim(first - 0.5, last + 0.5)
    ax.set_ylim(-0.4, 2.05 if image.dtype.kind == "f" else 1.1)
    ax.set_yticks([])
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel(label(name), fontsize=6.5, color=QUIET)
    title = _titled(found, on.unit)
    titled(ax, title, _said(found, on), size=8)
    handles = [Patch(facecolor=OUTLINE, label="changes the unit"),
               Patch(facecolor=SEEN, label="can be seen")]  # fmt: skip
    legend(ax, handles, below=34)
    return figure
