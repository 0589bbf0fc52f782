"""Running a model tile by tile with onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from rfgraph.analysis import Analysis
from rfgraph.errors import QueryError
from rfgraph.tiling.axes import AxisPlan, Cut
from rfgraph.tiling.obstacles import OPEN_SIZES
from rfgraph.worker.source import opened, outputs_of


class Place(NamedTuple):
    """Where the core of a tile's output lies.

    Attributes
    ----------
    whole : tuple of int
        The shape of the output of the whole.
    target, source : tuple of slice
        The core in it, and in that of the tile.
    """

    whole: tuple[int, ...]
    target: tuple[slice, ...]
    source: tuple[slice, ...]


def run(
    analysis: Analysis,
    axes: Sequence[AxisPlan],
    outputs: Sequence[str],
    model: Any,
    inputs: np.ndarray | Mapping[str, np.ndarray],
) -> Any:
    """See `rfgraph.tiling.Plan.run`."""
    feeds = {name: np.asarray(value) for name, value in named(analysis, inputs).items()}
    cuts, sizes = cuts_of(analysis, axes, feeds)
    session = opened(model, analysis.file)
    joined: dict[str, np.ndarray] = {}
    for tile in product(*cuts):
        made = outputs_of(session, outputs, _cut(axes, feeds, tile), analysis.file)
        for output, result in zip(outputs, made, strict=True):
            at = place(axes, output, result.shape, tile, sizes)
            if output not in joined:
                joined[output] = np.empty(at.whole, result.dtype)
            joined[output][at.target] = result[at.source]
    return joined if len(outputs) > 1 else joined[outputs[0]]


def named(analysis: Analysis, inputs: Any) -> dict[str, Any]:
    """The arrays of all inputs by name, of whatever kind they are."""
    file, names = analysis.file, analysis.inputs
    if not isinstance(inputs, Mapping):
        if len(names) != 1:
            raise QueryError(
                f"one array, and the model has {len(names)} inputs",
                file=file,
                remedy=f"give a mapping of {', '.join(names)}",
            )
        inputs = {names[0]: inputs}
    missing = [name for name in names if name not in inputs]
    if missing:
        raise QueryError(f"there is no array for input '{missing[0]}'", file=file)
    return dict(inputs)


def cuts_of(
    analysis: Analysis, axes: Sequence[AxisPlan], feeds: Mapping[str, Any], *, even: bool = False
) -> tuple[list[list[Cut]], list[int]]:
    """Where each axis is cut, and the sizes of the whole: those of all inputs have to agree."""
    file, sizes = analysis.file, []
    for axis in axes:
        if axis.is_fixed:
            raise QueryError(
                f"the file fixes the size along {axis.title}: it takes no tile",
                file=file,
                remedy=OPEN_SIZES,
            )
        found = {}
        for name, k in axis.inputs:
            rank = len(analysis.dims(name))
            if feeds[name].ndim != rank:
                raise QueryError(
                    f"the array for input '{name}' has {feeds[name].ndim} axes, not {rank}",
                    file=file,
                )
            found[name] = feeds[name].shape[k]
        if len(set(found.values())) > 1:
            raise QueryError(f"inputs that are cut alike differ in size: {found}", file=file)
        sizes.append(next(iter(found.values())))
        if not sizes[-1]:
            raise QueryError(f"{axis.title} has no elements", file=file)
    try:
        return [a.cuts(n, even=even) for a, n in zip(axes, sizes, strict=True)], sizes
    except QueryError as error:
        error.file = file
        raise


def _cut(
    axes: Sequence[AxisPlan], feeds: Mapping[str, np.ndarray], tile: tuple[Cut, ...]
) -> dict[str, np.ndarray]:
    """The inputs of one tile."""
    part = dict(feeds)
    for axis, cut in zip(axes, tile, strict=True):
        for name, k in axis.inputs:
            part[name] = part[name][_along(k, cut.begin, cut.end)]
    return {name: np.ascontiguousarray(value) for name, value in part.items()}


def place(
    axes: Sequence[AxisPlan],
    output: str,
    shape: Sequence[int],
    tile: Sequence[Cut],
    sizes: Sequence[int],
) -> Place:
    """Where the core of a tile's output lies in it, and in the whole."""
    whole = list(shape)
    source = [slice(0, n) for n in shape]
    target = list(source)
    for axis, cut, size in zip(axes, tile, sizes, strict=True):
        follows = axis.outputs.get(output)
        if follows is None:
            continue
        k, scale = follows.axis, follows.scale
        # The rest of the whole is a whole number of periods.
        whole[k] += _whole((size - (cut.end - cut.begin)) * scale)
        begin = _whole(cut.begin * scale)
        # What an output has no elements for, as borders are cropped, is in no core.
        first = min(_whole(cut.first * scale), whole[k])
        last = whole[k] if cut.last == size else min(_whole(cut.last * scale), whole[k])
        target[k] = slice(first, last)
        source[k] = slice(first - begin, last - begin)
    return Place(tuple(whole), tuple(target), tuple(source))


def _whole(number: Fraction) -> int:
    assert number.denominator == 1
    return int(number)


def _along(axis: int, begin: int, end: int) -> tuple[slice, ...]:
    return (slice(None),) * axis + (slice(begin, end),)


__all__ = ["run"]
