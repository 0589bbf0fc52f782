"""How to cut along one axis: margins, alignment, sizes, and the cuts themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from rfgraph.errors import QueryError
from rfgraph.tiling.obstacles import Axis


class Cut(NamedTuple):
    """One tile along an axis: its ends, and those of its core, in elements of the whole.

    Attributes
    ----------
    begin, end : int
        The tile, the end excluded.
    first, last : int
        Its core, the last excluded.
    """

    begin: int
    end: int
    first: int
    last: int


@dataclass(frozen=True)
class OutputAxis:
    """How one output follows a tiled axis.

    Attributes
    ----------
    axis : int
        The axis of the output.
    scale : Fraction
        Output elements for one of the input: 1/4 behind a stride of 4, 3 where pixels are tripled.
    offset : Fraction
        The output has ``scale * size + offset`` elements, at sizes that are multiples of the
        alignment if the model takes these: negative where borders are cropped.
    centre : Fraction
        The input element that the field of the first output element is centred on.
    before, after : int
        As of `AxisPlan`, for this output alone.
    """

    axis: int
    scale: Fraction
    offset: Fraction
    centre: Fraction
    before: int
    after: int


@dataclass(frozen=True)
class AxisPlan:
    """How to cut along one axis.

    The *core* of a tile is the part of it whose results are kept; the cores lie side by side. The
    *margins* lie around it. Tiles, and so cores, begin at multiples of the *alignment*.

    Attributes
    ----------
    inputs : tuple of (str, int)
        The inputs that are cut alike, and their axis.
    name : str
        The axis's name in the file; ``""`` if it has none.
    is_fixed : bool
        Whether the file fixes the axis at one size, so that it takes no tile.
    alignment : int
        Elements of the input after which the model does the same again.
    before, after : int
        The elements around a core that its results depend on: of all outputs and phases, for a
        core that begins and ends at multiples of the alignment.
    unaligned : (int, int)
        The same for a core that begins and ends anywhere.
    sizes : tuple of int
        The sizes that the model takes, modulo the alignment.
    outputs : dict of str to OutputAxis
        The outputs that follow the axis.
    tile : int
        The size of a tile that is asked for, or a sensible one.

    Examples
    --------
    >>> from rfgraph.tiling import plan
    >>> rows = plan("models/unet_tconv.onnx", tile=256).axes[0]
    >>> rows.alignment, rows.before, rows.after, rows.margin, rows.unaligned, rows.sizes
    (8, 46, 46, (48, 48), (51, 51), (0,))
    """

    inputs: tuple[Axis, ...]
    name: str
    is_fixed: bool
    alignment: int
    before: int
    after: int
    unaligned: tuple[int, int]
    sizes: tuple[int, ...]
    outputs: Mapping[str, OutputAxis]
    tile: int

    @property
    def margin(self) -> tuple[int, int]:
        """Before and after, up to the next multiple of the alignment."""
        return up(self.before, self.alignment), up(self.after, self.alignment)

    @property
    def smallest(self) -> int:
        """The smallest tile that has a core with margins on both sides."""
        least = self.margin[0] + self.alignment + self.after
        return min(least + (r - least) % self.alignment for r in self.sizes)

    def fitted(self, tile: int, size: int | None = None) -> int:
        """The size that tiles get.

        Parameters
        ----------
        tile : int
            The largest that they may have.
        size : int, optional
            That of the whole, from which tiles differ by multiples of the alignment: so the model
            does the same at their ends.

        Returns
        -------
        int
            Elements of the input.

        Raises
        ------
        QueryError
            No tile of that size has a core, or the model does not take the whole.
        """
        if size is not None and size % self.alignment not in self.sizes:
            raise QueryError(
                f"{self.title} has a size of {size}, and the model takes {self.sizes_text}",
                remedy=f"pad or crop it to {self._near(size)}",
            )
        residues = self.sizes if size is None else (size % self.alignment,)
        fitted = max(tile - (tile - r) % self.alignment for r in residues)
        if size is not None and size <= tile:
            return size
        least = self.margin[0] + self.alignment + self.after
        if fitted < least:
            smallest = min(least + (r - least) % self.alignment for r in residues)
            raise QueryError(
                f"a tile of {tile} along {self.title} is too small: margins of {self.margin[0]} "
                f"and {self.after} leave no core",
                remedy=f"the smallest is {smallest}",
            )
        return fitted

    def core(self, tile: int | None = None) -> int:
        """How long the core of a tile between others is.

        Parameters
        ----------
        tile : int, optional
            The size of the tile; as planned if left out.

        Returns
        -------
        int
            Elements of the input, a multiple of the alignment.

        Raises
        ------
        QueryError
            There is none.
        """
        fitted = self.fitted(self.tile if tile is None else tile)
        return (fitted - self.margin[0] - self.after) // self.alignment * self.alignment

    def waste(self, tile: int | None = None) -> Fraction:
        """How many elements are computed for each one that is kept.

        Parameters
        ----------
        tile : int, optional
            The size of the tile; as planned if left out.

        Returns
        -------
        Fraction
            From 1 on, for a tile between others.

        Raises
        ------
        QueryError
            There is no core.

        Examples
        --------
        >>> from rfgraph.tiling import plan
        >>> rows = plan("models/unet_tconv.onnx").axes[0]
        >>> float(rows.waste(256)), float(rows.waste(512))
        (1.6, 1.2307692307692308)
        """
        fitted = self.fitted(self.tile if tile is None else tile)
        return Fraction(fitted, self.core(tile))

    def cuts(self, size: int, *, even: bool = False) -> list[Cut]:
        """Where to cut a whole of some size.

        Parameters
        ----------
        size : int
            Elements of the input.
        even : bool
            Whether all cores but the last have the same length, as the chunks of an array on disk
            do; tiles are then no larger than so many have to be. Else the core of the first tile
            is longer, as it needs no margin before it.

        Returns
        -------
        list of Cut
            Their cores lie side by side, and all have the same size.

        Raises
        ------
        QueryError
            The model does not take a whole of that size, or the tile is too small.

        Examples
        --------
        >>> from rfgraph.tiling import plan
        >>> rows = plan("models/unet_tconv.onnx", tile=256).axes[0]
        >>> [tuple(cut) for cut in rows.cuts(512)]
        [(0, 256, 0, 208), (160, 416, 208, 368), (256, 512, 368, 512)]
        >>> [tuple(cut) for cut in rows.cuts(512, even=True)]
        [(0, 224, 0, 128), (80, 304, 128, 256), (208, 432, 256, 384), (288, 512, 384, 512)]
        """
        tile, step = self.fitted(self.tile, size), self.alignment
        core = (tile - self.margin[0] - self.after) // step * step
        if even and tile < size:
            count = -(-size // core)
            core = up(-(-size // count), step)
            least = self.margin[0] + core + self.after
            tile = least + (size - least) % step
        found: list[Cut] = []
        first = 0
        while first < size:
            begin = min(max(0, first - self.margin[0]), size - tile)
            end = begin + tile
            last = size if end == size else (end - self.after) // step * step
            if even and tile < size:
                last = min(first + core, size)
            found.append(Cut(begin, end, first, last))
            first = last
        return found

    @property
    def title(self) -> str:
        """The axis, for people: ``axis 2 of 'x'``."""
        by_axis: dict[int, list[str]] = {}
        for name, axis in self.inputs:
            by_axis.setdefault(axis, []).append(f"'{name}'")
        return ", ".join(f"axis {axis} of {' and '.join(n)}" for axis, n in by_axis.items())

    @property
    def sizes_text(self) -> str:
        """The sizes that the model takes, for people: ``multiples of 8``."""
        if len(self.sizes) == self.alignment:
            return "any size"
        if self.sizes == (0,):
            return f"multiples of {self.alignment}"
        some = " or ".join(
            f"{self.alignment}n + {r}" if r else f"{self.alignment}n" for r in self.sizes
        )
        return f"sizes of {some}"

    def _near(self, size: int) -> int:
        return min(size + (r - size) % self.alignment for r in self.sizes)


def up(number: int, step: int) -> int:
    """The next multiple of a step.

    >>> up(46, 8), up(48, 8)
    (48, 48)
    """
    return -(-number // step) * step


__all__ = ["AxisPlan", "Cut", "OutputAxis", "up"]
