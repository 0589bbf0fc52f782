"""Bounds of every unit of every value: what each value sees of the inputs, written out.

The steps of a flow are lowered to a program once (`rfgraph.engine._lowering`), and the core runs it
(`rfgraph._core`). A value's view of one axis of an input then is a few slots of the program with
the axes of the value along which they run; arrays are written only when somebody asks, of length 1
along axes on which they don't vary.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from rfgraph._core import NOTHING
from rfgraph.engine._lowering import AxisView, Factor, Item, Lowering, Piece, Walk, leaves, written
from rfgraph.engine.measured import Ends
from rfgraph.engine.trace import Flow
from rfgraph.reads.words import Shape


class _Ends(NamedTuple):
    """Whether a slot gets anywhere to the first and to the last element of an axis, and whether
    it has both at some place, or at every one.
    """

    first: bool
    last: bool
    some: bool
    every: bool


# An item, and the parts of the value's axes that it is confined to.
_Leaf = tuple[Item, list[tuple[int, int, int, int]]]


# What is kept of whether views see anything.
_SOMEWHERE = object()


class Bounds:
    """Bounds of all values.

    Parameters
    ----------
    flow : Flow
        The steps of a model.
    progress : callable, optional
        Called on long work with the number of steps done and of all steps.
    lowering : Lowering, optional
        What was lowered before, of which much may be the same.
    axes : mapping of str to sequence of int, optional
        The inputs, and the axes of them, that are asked for; all if left out.

    Attributes
    ----------
    program : Program
        The program that the steps were lowered to.
    walk : Walk
        What went through the steps.
    views : dict of str to dict of str to tuple of AxisView
        By value, then by input: one for each axis of the input that is asked for.

    Raises
    ------
    ShapeError
        There is no room for them.
    """

    def __init__(
        self,
        flow: Flow,
        progress: Callable[[int, int], None] | None = None,
        lowering: Lowering | None = None,
        axes: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        lowering = lowering or Lowering()
        self.walk = Walk(flow, lowering, axes)
        self.walk.run(progress)
        self._flow = flow
        self._axes = axes
        self.program = lowering.program
        self.views = self.walk.views
        self._is_seen: dict[AxisView | tuple[AxisView, ...], bool] = {}
        # Those that have no masks and see something, in models before too.
        self._somewhere: set[AxisView] = lowering.answers.setdefault(_SOMEWHERE, set())
        self._is_whole: dict[Hashable, bool] = {}
        self._ends_of: dict[tuple[int, int], _Ends] = {}

    def sees(self, tensor: str, input: str) -> bool:
        """Whether any element of a value sees anything of an input."""
        view = self.views.get(tensor, {}).get(input)
        if view is None:
            return False
        if self._somewhere.issuperset(view):
            return True
        found = self._is_seen.get(view)
        if found is None:
            axes = range(len(view)) if self._axes is None else self._axes[input]
            found = self._is_seen[view] = all(
                self._sees(tensor, input, axis, along)
                for axis, along in zip(axes, view, strict=True)
            )
        return found

    def _sees(self, tensor: str, input: str, axis: int, view: AxisView) -> bool:
        if view in self._somewhere:
            return True
        found = self._is_seen.get(view)
        if found is None:
            items = [item for item, _ in leaves(view)]
            somewhere = self.program.somewhere
            if any(somewhere(item.slot) and not item.masks for item in items):
                self._somewhere.add(view)
                return True
            # What masks leave may be where nothing is seen.
            kept = self.walk.lowering.answers
            key = "seen", view, self._flow.shape(tensor)
            found = kept.get(key)
            if found is None:
                at = self.kinds(tensor, input, axis)
                lowest = self.lowest(tensor, input, axis, at=at)
                found = kept[key] = bool((lowest[0] < NOTHING).any())
            self._is_seen[view] = found
        return found

    def parts(self, tensor: str, input: str, axis: int) -> tuple[bool, bool]:
        """Whether something of a view of one axis of an input is local, and something global."""
        found = {item.is_global for item, _ in leaves(self.views[tensor][input][axis])}
        return False in found, True in found

    def interval(
        self,
        tensor: str,
        input: str,
        axis: int,
        *,
        local: bool = False,
        at: Mapping[int, np.ndarray] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Bounds along one axis of an input, compressed.

        Parameters
        ----------
        tensor, input : str
            The value, and the input.
        axis : int
            Axis of the input.
        local : bool
            Leave out what is global along this axis; elements of which nothing is left keep their
            full bounds.
        at : mapping of int to ndarray, optional
            At these coordinates only, by axis of the value.

        Returns
        -------
        lo, hi : ndarray of int64
            Broadcastable to the value's shape; the axis's length and ``-1`` where nothing is seen.
        """
        full = self.lowest(tensor, input, axis, at=at)
        if local:
            near = self.lowest(tensor, input, axis, local=True, at=at)
            full = np.where(near[:1] >= NOTHING, full, near)
        return self._ends(full, (self._flow.inputs[input] or ())[axis])

    def end_to_end(self, tensor: str, input: str, axis: int, *, every: bool = False) -> bool:
        """Whether some unit of a value, or every one, sees an axis of an input from end to end;
        what is global does not count, unless a unit sees nothing else.
        """
        size = (self._flow.inputs[input] or ())[axis]
        view = self.views[tensor][input][self._place(input, axis)]
        parts = list(leaves(view))
        found = [self._at_ends(item.slot, size) for item, _ in parts]
        if not (any(ends.first for ends in found) and any(ends.last for ends in found)):
            return False
        near = any(not item.is_global for item, _ in parts)
        for (item, confined), ends in zip(parts, found, strict=True):
            # What holds for all units does so whatever others see beside it.
            holds = not (item.masks or confined or (near and item.is_global))
            told = ends.every if every else ends.some
            if holds and (told or len(parts) == 1):
                return told
        key = view, self._flow.shape(tensor), size, every
        if key not in self._is_whole:
            at = self.kinds(tensor, input, axis)
            lo, hi = self.interval(tensor, input, axis, local=True, at=at)
            whole = (lo == 0) & (hi == size - 1)
            self._is_whole[key] = bool(np.all(whole) if every else np.any(whole))
        return self._is_whole[key]

    def _at_ends(self, slot: int, size: int) -> _Ends:
        """Where a slot gets to along an axis of an input."""
        found = self._ends_of.get((slot, size))
        if found is None:
            array = np.empty((2, self.program.size(slot)), dtype=np.int64)
            self.program.write_out(slot, array)
            first, last = array[0] == 0, array[1] == 1 - size
            whole = first & last
            found = _Ends(bool(first.any()), bool(last.any()), bool(whole.any()), bool(whole.all()))
            self._ends_of[slot, size] = found
        return found

    def ends(
        self, tensor: str, input: str, axis: int, at: Mapping[int, np.ndarray], *, local: bool
    ) -> list[Ends]:
        """As `interval`, at some coordinates only, by axis of the value, and in parts that vary
        along different axes: a unit sees the hull of them. With `local` of what is local alone:
        elements of which nothing is left see nothing.
        """
        size = (self._flow.inputs[input] or ())[axis]
        extent = self._flow.shape(tensor) or ()
        found = self._leaves(tensor, input, axis, local)
        return [self._ends(self._joined(p, extent, at), size) for p in _apart(found)]

    def kinds(
        self, tensor: str, input: str, axis: int, pieces: Sequence[Piece] = ()
    ) -> dict[int, np.ndarray]:
        """Coordinates of the value, by axis: the first one of each kind, where those of a kind see
        the same along one axis of an input, and have the same digits of some further pieces.
        """
        extent = self._flow.shape(tensor) or ()
        found: dict[int, dict[_Told, None]] = {}
        for item, confined in leaves(self.views[tensor][input][self._place(input, axis)]):
            told = [*pieces, *item.pieces]
            for mask in item.masks:
                if len(mask.pieces) > 1:
                    told += mask.pieces
                    continue
                # Of one axis it is known where it holds.
                (piece,) = mask.pieces
                held = written(self.program, mask, extent)[0].reshape(-1) < NOTHING
                found.setdefault(piece.axis, {})[held.tobytes()] = None
            for piece in told:
                bare = piece.inner, piece.size, piece.shift
                found.setdefault(piece.axis, {})[bare] = None
            for a, begin, end, _ in confined:
                found.setdefault(a, {})[begin, end] = None
        return {a: _first_of_each(tuple(told), extent[a]) for a, told in found.items()}

    def _ends(self, lowest: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
        empty = lowest[0] >= NOTHING
        if not empty.any():
            return lowest[0], -lowest[1]
        return np.where(empty, size, lowest[0]), np.where(empty, -1, -lowest[1])

    def lowest(
        self,
        tensor: str,
        input: str,
        axis: int,
        *,
        local: bool = False,
        at: Mapping[int, np.ndarray] | None = None,
    ) -> np.ndarray:
        """First coordinates, and last ones negated: shape (2, ...), compressed, `NOTHING` where
        nothing is seen. With `at` only at these coordinates, ascending, by axis of the value.
        """
        extent = self._flow.shape(tensor) or ()
        return self._joined(self._leaves(tensor, input, axis, local), extent, at)

    def _leaves(self, tensor: str, input: str, axis: int, local: bool) -> list[_Leaf]:
        view = self.views.get(tensor, {}).get(input)
        return [] if view is None else list(leaves(view[self._place(input, axis)], local))

    def _joined(
        self, found: Sequence[_Leaf], extent: Shape, at: Mapping[int, np.ndarray] | None
    ) -> np.ndarray:
        """The lowest of some items."""
        if len(found) == 1 and not found[0][1]:
            return self._written(found[0][0], extent, at)
        axes = set().union(*map(_axes, found))
        at = at or {}
        dims = [len(at[a]) if a in at else n if a in axes else 1 for a, n in enumerate(extent)]
        best = np.full((2, *dims), NOTHING, dtype=np.int64)
        for item, confined in found:
            where = [slice(None)] * (len(extent) + 1)
            for a, begin, end, _ in confined:
                if a in at:
                    begin, end = np.searchsorted(at[a], (begin, end)).tolist()
                where[a + 1] = slice(begin, end)
            part = best[tuple(where)]
            np.minimum(part, self._written(item, extent, at), out=part)
        return best

    def _place(self, input: str, axis: int) -> int:
        """Where the view of an axis of an input stands among its views."""
        return axis if self._axes is None else self._axes[input].index(axis)

    def _written(
        self, item: Item, extent: Shape, at: Mapping[int, np.ndarray] | None
    ) -> np.ndarray:
        array = written(self.program, item, extent, at)
        for mask in item.masks:
            held = written(self.program, mask, extent, at)[:1] < NOTHING
            array = np.where(held, array, NOTHING)
        return array

    def box(
        self, tensor: str, input: str, unit: Sequence[int], *, local: bool = False
    ) -> tuple[tuple[int, int], ...] | None:
        """First and last coordinate, along each axis of an input, that one unit sees; None if it
        sees nothing. `local` is as for `interval`.
        """
        found = []
        for along in self.views.get(tensor, {}).get(input, ()):
            ends = self._at(along, unit, local=local) or self._at(along, unit, local=False)
            if ends is None:
                return None
            found.append(ends)
        # A scalar is followed as if it had an axis.
        return tuple(found[: len(self._flow.inputs[input] or ())]) if found else None

    def _at(self, view: AxisView, unit: Sequence[int], *, local: bool) -> tuple[int, int] | None:
        low = high = NOTHING
        for item, confined in leaves(view, local):
            if not all(begin <= unit[axis] < end for axis, begin, end, _ in confined):
                continue
            if any(self._one(mask, unit)[0] >= NOTHING for mask in item.masks):
                continue
            first, last = self._one(item, unit)
            low, high = min(low, first), min(high, last)
        return None if low >= NOTHING else (low, -high)

    def _one(self, factor: Factor, unit: Sequence[int]) -> tuple[int, int]:
        place = 0
        for piece in factor.pieces:
            place = place * piece.size + piece.of(unit[piece.axis])
        return self.program.at(factor.slot, place)

    def reads_across(self, input: str, axis: int) -> bool:
        """Whether the units of any value see several coordinates of an input's axis, or not every
        coordinate of it is seen.
        """
        size = (self._flow.inputs[input] or ())[axis]
        place = self._place(input, axis)
        asked: set[AxisView] = set()
        for tensor, views in self.views.items():
            if input not in views or views[input][place] in asked or not self.sees(tensor, input):
                continue
            asked.add(views[input][place])
            lo, hi = self.interval(tensor, input, axis)
            seen = lo <= hi
            if (lo != hi)[seen].any() or len(set(lo[seen].tolist())) != size:
                return True
        return False


# What tells coordinates apart: a digit (inner, size, shift), a part (begin, end), or where a mask
# holds, a byte for each coordinate.
_Told = tuple[int, ...] | bytes


def _axes(leaf: _Leaf) -> set[int]:
    """The axes of the value along which an item varies."""
    item, confined = leaf
    pieces = [piece for factor in (item, *item.masks) for piece in factor.pieces]
    return {piece.axis for piece in pieces} | {axis for axis, _, _, _ in confined}


def _apart(found: Sequence[_Leaf]) -> list[list[_Leaf]]:
    """Items in parts that have no axis in common."""
    parts: list[tuple[set[int], list[_Leaf]]] = []
    for leaf in found:
        axes, together = _axes(leaf), [leaf]
        for part in [part for part in parts if not axes.isdisjoint(part[0])]:
            parts.remove(part)
            axes, together = axes | part[0], part[1] + together
        parts.append((axes, together))
    return [together for _, together in parts]


@lru_cache(maxsize=256)
def _first_of_each(told: tuple[_Told, ...], size: int) -> np.ndarray:
    """The first of the coordinates of an axis that nothing tells apart."""
    coordinates = np.arange(size)
    number = np.zeros(size, dtype=np.int64)
    for by in told:
        if isinstance(by, bytes):
            own = np.frombuffer(by, dtype=np.int8).astype(np.int64)
        elif len(by) == 3:
            inner, many, shift = by
            own = (coordinates - shift) // inner % many
        else:
            own = ((coordinates >= by[0]) & (coordinates < by[1])).astype(np.int64)
        # Numbered anew, so that they stay small.
        number = np.unique(number * (int(own.max(initial=0)) + 1) + own, return_inverse=True)[1]
    return np.sort(np.unique(number, return_index=True)[1])


__all__ = ["NOTHING", "Bounds"]
