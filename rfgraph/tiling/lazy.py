"""Running a model tile by tile on dask arrays, which may be larger than memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from rfgraph.analysis import Analysis
from rfgraph.errors import QueryError, RFGraphError
from rfgraph.model.element_types import dtype_of
from rfgraph.tiling.axes import AxisPlan, Cut
from rfgraph.tiling.run import Place, cuts_of, named, place
from rfgraph.worker.source import OpenSource, Source, outputs_of

if TYPE_CHECKING:
    import dask.array as da

INSTALL = "pip install 'rfgraph[tiles]'"


def map_blocks(
    analysis: Analysis,
    axes: Sequence[AxisPlan],
    outputs: Sequence[str],
    model: Any,
    inputs: Any,
    providers: Sequence[str],
) -> Any:
    """See `rfgraph.tiling.Plan.map_blocks`."""
    try:
        import dask
        import dask.array as da
    except ImportError:
        raise RFGraphError(
            "dask, which holds the arrays, is not installed", remedy=INSTALL
        ) from None
    feeds = {name: da.asarray(value) for name, value in named(analysis, inputs).items()}
    for name, feed in feeds.items():
        if any(isnan(n) for n in feed.shape):
            raise QueryError(
                f"the array for input '{name}' has chunks of unknown size",
                file=analysis.file,
                remedy="compute_chunk_sizes() finds them out",
            )
    cuts, sizes = cuts_of(analysis, axes, feeds, even=True)
    tiles = Tiles(axes, outputs, cuts, sizes, output_shapes(analysis, axes, outputs, feeds, cuts))
    kept = OpenSource(model) if hasattr(model, "run") else Source.of(model, providers)
    source = dask.delayed(kept, name=f"model-{kept.digest}", traverse=False)
    grid = _run(tiles, source, feeds)
    joined = {name: _output(tiles, grid, name, element_dtype(analysis, name)) for name in outputs}
    return joined if len(outputs) > 1 else joined[outputs[0]]


def element_dtype(analysis: Analysis, name: str) -> np.dtype:
    """The type of the elements of an input or output."""
    return dtype_of(analysis.flow.shapes.element_type(name))


def output_shapes(
    analysis: Analysis,
    axes: Sequence[AxisPlan],
    outputs: Sequence[str],
    feeds: Mapping[str, Any],
    cuts: Sequence[list[Cut]],
) -> dict[str, tuple[int, ...]]:
    """The shape that each output of a tile has; the arrays have to be such as the model takes."""
    shapes = {}
    for name in analysis.inputs:
        wanted = element_dtype(analysis, name)
        if feeds[name].dtype != wanted:
            raise QueryError(
                f"the array for input '{name}' holds {feeds[name].dtype}, and the model takes "
                f"{wanted}",
                file=analysis.file,
                remedy="convert it as the model's training data were",
            )
        shape = list(feeds[name].shape)
        for axis, (cut, *_) in zip(axes, cuts, strict=True):
            for other, k in axis.inputs:
                if other == name:
                    shape[k] = cut.end - cut.begin
        shapes[name] = shape
    of_tile = analysis.resized(shapes)
    return {name: tuple(of_tile.extent(name) or ()) for name in outputs}


@dataclass(frozen=True)
class Tiles:
    """All tiles of a run.

    Attributes
    ----------
    axes : sequence of AxisPlan
        The axes that are cut.
    outputs : sequence of str
        The outputs that are put together.
    cuts : sequence of list of Cut
        Where each axis is cut.
    sizes : sequence of int
        The size of the whole along each axis.
    shapes : mapping of str to tuple of int
        The shape that each output of a tile has.
    """

    axes: Sequence[AxisPlan]
    outputs: Sequence[str]
    cuts: Sequence[list[Cut]]
    sizes: Sequence[int]
    shapes: Mapping[str, tuple[int, ...]]

    def places(self, index: Sequence[int]) -> list[Place]:
        """Where the cores of the outputs of a tile lie, by its index along each axis."""
        tile = [each[k] for each, k in zip(self.cuts, index, strict=True)]
        return [place(self.axes, n, self.shapes[n], tile, self.sizes) for n in self.outputs]

    def run(
        self,
        source: Source | OpenSource,
        index: Sequence[int],
        feed: Mapping[str, np.ndarray],
    ) -> tuple[np.ndarray, ...]:
        """The cores of the outputs of a tile."""
        file = source.model if isinstance(source.model, str) else None
        made = outputs_of(source.session(), self.outputs, feed, file)
        # Copies, so that the rest of the tile is not kept.
        places = self.places(index)
        return tuple(r[at.source].copy() for r, at in zip(made, places, strict=True))


# In what follows axes of dask's arrays have labels: those that are cut the number of their cut,
# all others one of their own.


def _run(tiles: Tiles, source: Any, feeds: Mapping[str, da.Array]) -> da.Array:
    """What is made of each tile: a block of a grid that has an axis for each that is cut."""
    import dask.array as da
    from dask.base import tokenize

    count = len(tiles.axes)
    # The index of each tile comes as a block of its own.
    given: list[Any] = []
    for k, each in enumerate(tiles.cuts):
        given += [da.arange(len(each), chunks=1), (k,)]
    for name, feed in feeds.items():
        labels = list(range(-1, -1 - feed.ndim, -1))
        for k, axis in enumerate(tiles.axes):
            for at in (at for other, at in axis.inputs if other == name):
                labels[at] = k
        given += [_side_by_side(feed, labels, tiles.cuts), tuple(labels)]
    return da.blockwise(
        partial(_run_block, tiles=tiles, names=tuple(feeds)),
        tuple(range(count)),
        *given,
        source=source,
        adjust_chunks={k: (1,) * len(each) for k, each in enumerate(tiles.cuts)},
        align_arrays=False,
        dtype=object,
        meta=np.empty((0,) * count, object),
        name=f"tiles-{tokenize(tiles, source.key, *(feed.name for feed in feeds.values()))}",
    )


def _run_block(
    *blocks: Any, source: Source | OpenSource, tiles: Tiles, names: Sequence[str]
) -> tuple[np.ndarray, ...]:
    count = len(tiles.axes)
    index = [int(block[0]) for block in blocks[:count]]
    arrays = (np.ascontiguousarray(_only(block)) for block in blocks[count:])
    return tiles.run(source, index, dict(zip(names, arrays, strict=True)))


def _side_by_side(feed: da.Array, labels: Sequence[int], cuts: Sequence[list[Cut]]) -> da.Array:
    """An array whose tiles lie side by side, each one block."""
    import dask.array as da

    blocks: dict[int, Any] = {}
    for at, label in enumerate(labels):
        blocks[at] = -1
        if label >= 0:
            before = (slice(None),) * at
            tiles = [feed[(*before, slice(cut.begin, cut.end))] for cut in cuts[label]]
            feed = da.concatenate(tiles, axis=at)
            blocks[at] = tuple(cut.end - cut.begin for cut in cuts[label])
    # Not over the disks of a cluster, which would hold all tiles at once.
    return feed.rechunk(blocks, method="tasks")


def _output(tiles: Tiles, grid: da.Array, name: str, dtype: np.dtype) -> da.Array:
    """An output, put together of its cores."""
    import dask.array as da
    from dask.base import tokenize

    k = tiles.outputs.index(name)
    labels: list[int] = list(range(-1, -1 - len(tiles.shapes[name]), -1))
    chunks: dict[int, tuple[int, ...]] = {}
    some: list[slice] = []
    for label, axis in enumerate(tiles.axes):
        follows = axis.outputs.get(name)
        if follows is None:
            # It is the same in all tiles along this axis.
            some.append(slice(1))
            continue
        at = labels[follows.axis] = label
        cores = []
        for j in range(len(tiles.cuts[label])):
            index = [0] * len(tiles.axes)
            index[label] = j
            core = tiles.places(index)[k].target[follows.axis]
            cores.append(core.stop - core.start)
        # Where borders are cropped the last tiles may have no core.
        chunks[at] = tuple(n for n in cores if n) or (0,)
        some.append(slice(len(chunks[at])))
    return da.blockwise(
        partial(_core, k=k),
        tuple(labels),
        grid.blocks[tuple(some)],
        tuple(range(len(tiles.axes))),
        new_axes={at: n for at, n in zip(labels, tiles.shapes[name], strict=True) if at < 0},
        adjust_chunks=chunks,
        align_arrays=False,
        dtype=dtype,
        meta=np.empty((0,) * len(labels), dtype),
        name=f"output-{tokenize(grid.name, name)}",
    )


def _core(block: Any, k: int) -> np.ndarray:
    core: np.ndarray = _only(block)[k]
    return core


def _only(block: Any) -> Any:
    """The one block along axes that are not cut, which dask gives as a list of lists."""
    while isinstance(block, list):
        (block,) = block
    return block
