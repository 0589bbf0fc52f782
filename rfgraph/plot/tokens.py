"""Which tokens each token sees, as a matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rfgraph.analysis.analysis import Analysis
from rfgraph.errors import QueryError
from rfgraph.plot.frame import frame, ticked
from rfgraph.plot.seen import axis_names, input_name, short
from rfgraph.plot.style import available, one, titled
from rfgraph.render.rows import shown_axes
from rfgraph.render.text import shape as size_of
from rfgraph.render.text import share

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Each unit's support is worked out: so many are at most.
_MOST = 1024


def tokens(
    analysis: Analysis,
    tensor: str,
    input: str | None = None,
    *,
    axis: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Which elements along an axis of an input the units along an axis of a value see.

    A row is a unit, such as a token behind attention; a column is an element of the input. Causal
    attention is a triangle, attention within a window a band. Masks that are constants count in an
    analysis with ``prune=True`` (`Analysis.pruned`).

    Parameters
    ----------
    analysis : Analysis
        The analysis.
    tensor : str
        The value.
    input : str, optional
        The input; may be left out where there is only one. The last of its axes along which fields
        move is shown.
    axis : int, optional
        The axis of the value; if left out, the one along which what is seen varies, or that has as
        many units as the input has elements. Along its other axes all units are taken together.
    ax : Axes, optional
        Where to draw; in a new figure if left out.

    Returns
    -------
    matplotlib.axes.Axes
        What is drawn on.

    Raises
    ------
    QueryError
        No such tensor, input or axis, nothing is seen, or there are more than 1,024 units.
    PlotError
        matplotlib is not installed.

    Examples
    --------
    >>> import onnx.parser, rfgraph
    >>> model = onnx.parser.parse_model('''
    ...     <ir_version: 8, opset_import: ["" : 17]>
    ...     net (float[1, 6] x) => (float[1, 6] y)
    ...     { axis = Constant <value_int = 1> ()
    ...       y = CumSum (x, axis) }
    ... ''')
    >>> axes = tokens(rfgraph.analyze(model), "y")
    >>> axes.get_title(loc="left")
    'what each unit of y sees of x'
    """
    available()
    shape = analysis.extent(tensor)
    if shape is None or 0 in shape or not shape:
        raise QueryError(f"'{tensor}' has no units that can be told apart", file=analysis.file)
    name = input_name(analysis, input)
    seen = shown_axes(analysis, name, 1)
    if not seen or not analysis.depends(tensor, name):
        raise QueryError(f"'{tensor}' sees nothing that can be drawn", file=analysis.file)
    axis = _along(analysis, tensor, name, seen[0]) if axis is None else axis
    if not -len(shape) <= axis < len(shape):
        raise QueryError(f"'{tensor}' of shape {size_of(shape)} has no axis {axis}")
    axis %= len(shape)
    if shape[axis] > _MOST:
        raise QueryError(
            f"'{tensor}' has {shape[axis]:,} units along axis {axis}: more than {_MOST:,}",
            file=analysis.file,
            remedy="analyse it at a shorter length (Analysis.resized)",
        )
    rows = []
    for unit in range(shape[axis]):
        index = [slice(None)] * len(shape)
        index[axis] = slice(unit, unit + 1)
        rows.append(analysis.support(tensor, index, name).projection(seen))
    mask = np.array(rows)
    window = [(0, n - 1) for n in mask.shape]
    _, ax = one(ax, 3.6, 3.6, (0.55, 0.25, 0.5, 0.4))
    frame(ax, mask, window)
    ax.set_aspect("auto")
    ticked(ax, window, (f"axis {axis} of {tensor}", axis_names(analysis, name, seen)[0]))
    _, columns = mask.shape
    titled(
        ax,
        f"what each unit of {short(analysis, tensor)} sees of {name}",
        f"rows see, columns are seen: {share(float(mask.mean()))} of {len(mask)}x{columns}",
    )
    return ax


def _along(analysis: Analysis, tensor: str, name: str, axis: int) -> int:
    """The axis of a value along which its units are told apart."""
    lo, hi = analysis.bounds(tensor, name, axis=axis)
    shape = analysis.extent(tensor) or ()
    varies = [a for a, n in enumerate(np.broadcast_shapes(lo.shape, hi.shape)) if n > 1]
    length = (analysis.extent(name) or ())[axis]
    alike = [a for a, n in enumerate(shape) if n == length]
    longest = max(range(len(shape)), key=lambda a: shape[a])
    return next(iter([a for a in varies if a in alike] + varies + alike + [longest]))
