"""Tiles from one array of zarr to others, of which a worker does any that it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rfgraph.errors import RFGraphError
from rfgraph.worker.source import Source, outputs_of

if TYPE_CHECKING:
    import zarr

# So many arrays stay open in a process.
_OPEN = 16


class Tile(NamedTuple):
    """What is read, and what of the results is written.

    Attributes
    ----------
    part : tuple of slice
        The tile in the image.
    cores : dict of str to (tuple of slice, tuple of slice)
        Of the outputs that this tile writes: where the core lies in that of the tile, and in the
        whole.
    """

    part: tuple[slice, ...]
    cores: Mapping[str, tuple[tuple[slice, ...], tuple[slice, ...]]]


@dataclass(frozen=True)
class Work:
    """What a worker has to know to carry out any tile.

    Attributes
    ----------
    source : Source
        The model.
    name : str
        Its input.
    image : str
        The folder of the array that is read.
    results : mapping of str to str
        The folder of each output's array.
    held : mapping of str to ndarray
        The inputs that are held fixed.
    run : str
        What tells this run from others: what is open stays so as long as it is the same.
    """

    source: Source
    name: str
    image: str
    results: Mapping[str, str]
    held: Mapping[str, np.ndarray] = field(repr=False)
    run: str

    def carry_out(self, tile: Tile) -> None:
        """Read a tile, run it, and write its cores.

        A cluster does it once more if a worker is lost that has done it.
        """
        if self.is_done(tile):
            return
        try:
            read = np.asarray(_array(self.image, "r", self.run)[tile.part])
        except Exception as error:  # what is raised differs from fault to fault
            said = " ".join(str(error).split())[:300]
            raise RFGraphError(f"can't be read: {said}", file=self.image) from error
        file = self.source.model if isinstance(self.source.model, str) else None
        feed = {**self.held, self.name: np.ascontiguousarray(read)}
        made = outputs_of(self.source.session(), list(self.results), feed, file)
        for result, (name, folder) in zip(made, self.results.items(), strict=True):
            if name in tile.cores:
                source, target = tile.cores[name]
                _array(folder, "r+", self.run)[target] = result[source]

    def is_done(self, tile: Tile) -> bool:
        """Whether all chunks of a tile are there."""
        for name, (_, target) in tile.cores.items():
            folder = self.results[name]
            array = _array(folder, "r+", self.run)
            chunks = [
                range(s.start // n, ceil(s.stop / n))
                for s, n in zip(target, array.chunks, strict=True)
            ]
            for chunk in product(*chunks):
                if not Path(folder, array.metadata.encode_chunk_key(chunk)).exists():
                    return False
        return True


@lru_cache(_OPEN)
def _array(folder: str, mode: Any, run: str) -> zarr.Array[Any]:
    import zarr

    # Chunks of nothing but zeros are written as well: they tell that their tile is finished.
    with zarr.config.set({"array.write_empty_chunks": True}):
        return zarr.open_array(folder, mode=mode)


__all__ = ["Tile", "Work"]
