"""Reads of what is left of an axis, of a kernel and of an output, of which masks cut a part."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise
from math import prod
from typing import Literal, NamedTuple, Protocol, TypeVar

import numpy as np

from rfgraph.reads.words import (
    WHOLE,
    Along,
    AxisRead,
    Fixed,
    PerAxis,
    Read,
    Shape,
    Stage,
    Table,
    same,
    shifted,
    window,
)

T = TypeVar("T")

# One read is replaced by at most this many.
_MANY = 64

# The largest table by which the elements of an output are told apart.
_TABLE = 1 << 18

_MERGED = (
    f"its zeros leave more than {_MANY} pieces: some of the zeros between them are assumed to be "
    "read too"
)
_COARSE = "masked elements of its output are assumed to read what the others of their row read"


class Remarks(Protocol):
    """Who takes down what is assumed, and has what was made before."""

    def note(self, reason: str, kind: Literal["coarse", "mask"]) -> None:
        """Say what is assumed."""

    def once(self, what: Hashable, make: Callable[[], T]) -> T:
        """`make`, unless the same was made before."""


class Run(NamedTuple):
    """Coordinates ``start, start + step, ...``, `many` of them."""

    start: int
    many: int
    step: int = 1


def runs(kept: np.ndarray) -> list[Run]:
    """The places where a mask of one axis holds: one progression if it is one, else runs.

    >>> runs(np.array([1, 0, 1, 0, 1], bool))
    [Run(start=0, many=3, step=2)]
    >>> runs(np.array([1, 1, 0, 1], bool))
    [Run(start=0, many=2, step=1), Run(start=3, many=1, step=1)]
    """
    places = np.flatnonzero(kept)
    if not len(places):
        return []
    steps = np.diff(places)
    if len(places) == 1 or (steps == steps[0]).all():
        return [Run(int(places[0]), len(places), int(steps[0]) if len(steps) else 1)]
    cuts = np.flatnonzero(steps > 1) + 1
    return [Run(int(part[0]), len(part)) for part in np.split(places, cuts)]


# ---------------------------------------------------------------- along one axis


def kept_along(
    remarks: Remarks, kept: np.ndarray, axes: Sequence[int], whole: AxisRead = WHOLE
) -> list[AxisRead]:
    """The reads of an axis of which only some coordinates are kept; none for none.

    Parameters
    ----------
    remarks : Remarks
        What was made before, and where to say what is merged.
    kept : ndarray of bool
        Over coordinates of output axes and, last, of the axis. Compressed.
    axes : sequence of int
        These output axes, ascending.
    whole : AxisRead
        The read of all of the axis.
    """
    if kept.all():
        return [whole]
    statistic = isinstance(whole, Fixed) and whole.statistic
    over = [(axis, n) for axis, n in zip(axes, kept.shape, strict=False) if n > 1]
    packed = np.packbits(kept)
    # Imported where constants cut: OpenSSL takes its time.
    from hashlib import blake2b

    key = (blake2b(packed.tobytes()).digest(), tuple(over), kept.shape[-1], statistic)

    def make() -> tuple[list[AxisRead], bool]:
        sizes = [n for _, n in over]
        return _listed(kept.reshape(*sizes, -1), [a for a, _ in over], statistic)

    reads, exact = remarks.once(key, make)
    if not exact:
        remarks.note(_MERGED, "coarse")
    return reads


def kept_together(
    remarks: Remarks, kept: np.ndarray, axes: Sequence[int], whole: AxisRead
) -> list[tuple[AxisRead, ...]]:
    """As `kept_along`, of several axes: the last ones of `kept`, beyond those for `axes`."""
    outer = len(axes)
    if kept.ndim == outer + 1:
        return [(read,) for read in kept_along(remarks, kept, axes, whole)]
    if kept.all():
        return [(whole,) * (kept.ndim - outer)]
    # Coordinates of the first axis of which the same is kept go together.
    groups: dict[bytes, list[int]] = {}
    for k, inner in enumerate(np.moveaxis(kept, outer, 0)):
        groups.setdefault(np.packbits(inner).tobytes(), []).append(k)
    found: list[tuple[AxisRead, ...]] = []
    for places in groups.values():
        there = np.zeros(kept.shape[outer], dtype=bool)
        there[places] = True
        rest = kept_together(remarks, np.take(kept, places[0], axis=outer), axes, whole)
        if rest:
            along = kept_along(remarks, there, (), whole)
            found += [(read, *others) for read in along for others in rest]
    if len(found) <= _MANY:
        return found
    # Along each axis from the first to the last that is kept anywhere along the others.
    remarks.note(_MERGED, "coarse")
    sides = []
    for axis in range(outer, kept.ndim):
        others = tuple(a for a in range(outer, kept.ndim) if a != axis)
        seen = np.asarray(kept.any(axis=others))
        reached = np.maximum.accumulate(seen, axis=-1)
        ahead = np.maximum.accumulate(seen[..., ::-1], axis=-1)[..., ::-1]
        sides.append(kept_along(remarks, reached & ahead, axes, whole)[0])
    return [tuple(sides)]


def _listed(kept: np.ndarray, axes: list[int], statistic: bool) -> tuple[list[AxisRead], bool]:
    size = kept.shape[-1]
    if not axes:
        found = runs(kept)
        if all(run.step == 1 for run in found) and len(found) <= _MANY:
            return [Fixed(run.start, run.many, statistic) for run in found], True
        # A progression has no word of its own where no axis is followed.
        found = _merged(found if len(found) > 1 else _one_by_one(found[0]))
        return [Fixed(run.start, run.many, statistic) for run in found], False
    flat = kept.reshape(-1, size)
    edges = flat.copy()
    np.greater(flat[:, 1:], flat[:, :-1], out=edges[:, 1:])
    row, start = np.divmod(np.flatnonzero(edges), size)
    edges = flat.copy()
    np.greater(flat[:, :-1], flat[:, 1:], out=edges[:, :-1])
    end = np.flatnonzero(edges) % size + 1
    many = np.bincount(row, minlength=len(flat))
    exact = bool(many.max(initial=0) <= _MANY)
    if not exact:
        row, start, end, many = _joined(row, start, end, len(flat))
    # The place of each run among those of its row.
    number = np.arange(len(row)) - (np.cumsum(many) - many)[row]
    reads: list[AxisRead] = []
    for k in range(int(many.max(initial=0))):
        here = number == k
        starts = np.zeros(len(flat), dtype=np.int64)
        counts = np.zeros(len(flat), dtype=np.int64)
        starts[row[here]] = start[here]
        counts[row[here]] = end[here] - start[here]
        reads.append(_table(tuple(axes), starts, counts, kept.shape[:-1], size))
    return reads, exact


def _one_by_one(run: Run) -> list[Run]:
    """The same coordinates, one by one."""
    return [Run(run.start + k * run.step, 1) for k in range(run.many)]


def _merged(found: list[Run]) -> list[Run]:
    """At most `_MANY` runs that hold the given ones: the shortest gaps are filled."""
    while len(found) > _MANY:
        gaps = [b.start - a.start - a.many for a, b in pairwise(found)]
        k = int(np.argmin(gaps))
        joined = Run(found[k].start, found[k + 1].start + found[k + 1].many - found[k].start)
        found = [*found[:k], joined, *found[k + 2 :]]
    return found


def _joined(
    row: np.ndarray, start: np.ndarray, end: np.ndarray, total: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The runs of each row, of which those beyond `_MANY` are joined with the one before."""
    many = np.bincount(row, minlength=total)
    number = np.arange(len(row)) - (np.cumsum(many) - many)[row]
    kept = number < _MANY
    last = np.zeros(total, dtype=np.int64)
    np.maximum.at(last, row, end)
    end = np.where((number == _MANY - 1) & (many[row] > _MANY), last[row], end)
    return row[kept], start[kept], end[kept], np.minimum(many, _MANY)


def _table(
    axes: tuple[int, ...],
    starts: np.ndarray,
    counts: np.ndarray,
    shape: Shape,
    size: int,
) -> Table:
    """The reads of a mask."""
    interior, open_ = _interior(starts, counts, size, axes[0]) if len(axes) == 1 else (None, 0)
    return Table(
        axes,
        starts.reshape(shape),
        counts.reshape(shape),
        1,
        interior,
        open_,
    )


def _interior(
    starts: np.ndarray, counts: np.ndarray, size: int, axis: int
) -> tuple[Along | None, int]:
    """The pattern of a window that is clipped at the borders, or of all before or after a place.

    At the borders it may be clipped to nothing.
    """
    o = np.flatnonzero(counts)
    if len(o) < 3 or len(o) != o[-1] - o[0] + 1:
        return None, 0
    cut = len(counts) - len(o)
    starts, ends = starts[o], starts[o] + counts[o]
    behind, ahead = int((o - starts).max()), int((ends - o).max())
    if cut > max(behind + ahead, 1):
        return None, 0
    follows = (starts == np.maximum(o - behind, 0)).all()
    leads = (ends == np.minimum(o + ahead, size)).all()
    moves_behind, moves_ahead = len(np.unique(starts)) > 1, len(np.unique(ends)) > 1
    if follows and leads and moves_behind and moves_ahead:
        return window(axis, behind + ahead, 1, 1, behind), 0
    if leads and moves_ahead and not starts.any():
        return shifted(axis, ahead - 1), -1
    if follows and moves_behind and (ends == size).all():
        return shifted(axis, -behind), 1
    return None, 0


# ---------------------------------------------------------------- elements of an output


def own_place(axes: Sequence[int], there: np.ndarray) -> AxisRead:
    """The same coordinate along the last of `axes`, where `there`, over these, holds."""
    own = np.zeros(there.shape, dtype=np.int64) + np.arange(there.shape[-1])
    return Table(tuple(axes), own, there.astype(np.int64), interior=same(axes[-1]))


def confined(remarks: Remarks, reads: list[Read], there: np.ndarray, extent: Shape) -> list[Read]:
    """`reads` of the elements of an output of shape `extent` that are `there`; the others read
    nothing. `there` is compressed.
    """
    if not reads or there.all():
        return reads
    if not there.any():
        return []
    axes = [axis for axis, n in enumerate(there.shape) if n > 1]
    if there.size > _TABLE:
        remarks.note(_COARSE, "coarse")
        return reads
    along: list[AxisRead] = [same(axis) for axis in range(len(extent))]
    along[axes[-1]] = own_place(axes, there.reshape([there.shape[a] for a in axes]))
    return [PerAxis(Stage(extent, reads), tuple(along))]


# ---------------------------------------------------------------- taps of a kernel


def boxes(taps: np.ndarray) -> list[tuple[Run, ...]]:
    """Products of progressions that make up a set of taps, disjoint.

    >>> mask = np.array([[1, 1, 1], [1, 0, 0], [0, 0, 0]], bool)
    >>> [[(run.start, run.many) for run in box] for box in boxes(mask)]
    [[(0, 1), (0, 3)], [(1, 1), (0, 1)]]
    """
    if taps.ndim == 1:
        return [(run,) for run in runs(taps)]
    found: dict[bytes, list[int]] = {}
    for k, inner in enumerate(taps):
        found.setdefault(inner.tobytes(), []).append(k)
    made: list[tuple[Run, ...]] = []
    for places in found.values():
        side = np.zeros(len(taps), dtype=bool)
        side[places] = True
        rest = boxes(taps[places[0]])
        made.extend((run, *box) for run in runs(side) for box in rest)
    return made


def tap_groups(remarks: Remarks, used: np.ndarray) -> list[tuple[tuple[Run, ...], np.ndarray]]:
    """The taps that are not zero, of every pair of channels.

    Parameters
    ----------
    remarks : Remarks
        Where to say what is merged.
    used : ndarray of bool
        Over two channel axes and those of the kernel.

    Returns
    -------
    list of (box, pairs)
        Boxes of taps, and the pairs of channels of which all these taps are used: bool, over
        the two channel axes. Together they are all that is used, or more, with a note.
    """
    pairs, kernel = used.shape[:2], used.shape[2:]
    if not kernel:
        return [((), used)]
    patterns = _patterns(used.reshape(-1, prod(kernel)))
    found: dict[tuple[Run, ...], None] = {}
    if len(patterns) <= _MANY:
        for pattern in patterns:
            found.update(dict.fromkeys(boxes(pattern.reshape(kernel))))
    groups = []
    total = 0
    for box in found:
        inside = np.zeros(kernel, dtype=bool)
        inside[tuple(slice(r.start, r.start + r.many * r.step, r.step) for r in box)] = True
        held = np.asarray(used[:, :, inside].all(axis=-1))
        total += _most_runs(held)
        groups.append((box, held))
    if found and total <= _MANY:
        return groups
    # Every tap that any pair has, with every pair that has any tap.
    whole = np.asarray(used.any(axis=(0, 1)))
    sides = boxes(whole)
    if len(sides) > _MANY:
        sides = [tuple(Run(0, n) for n in kernel)]
    held = np.asarray(used.reshape(*pairs, -1).any(axis=-1))
    if used.sum() < held.sum() * whole.sum():
        remarks.note(_MERGED, "coarse")
    return [(box, held) for box in sides]


def _patterns(rows: np.ndarray) -> np.ndarray:
    """The rows of an array of bool that differ."""
    packed = np.packbits(rows, axis=1)
    # Numbers are sorted in a hundredth of the time of rows of bytes.
    width = next((n for n in (1, 2, 4, 8) if n >= packed.shape[1]), 0)
    if width:
        padded = np.zeros((len(packed), width), dtype=np.uint8)
        padded[:, : packed.shape[1]] = packed
        found = np.unique(padded.view(f"u{width}")).view(np.uint8).reshape(-1, width)
    else:
        found = np.unique(packed, axis=0)
    return np.unpackbits(found, axis=1, count=rows.shape[1]).astype(bool)


def _most_runs(held: np.ndarray) -> int:
    """How many reads the second channels take, by the first, of either."""
    edges = np.diff(held.astype(np.int8), axis=1, prepend=0)
    return int((edges == 1).sum(axis=1).max(initial=0))


__all__ = [
    "Remarks",
    "Run",
    "boxes",
    "confined",
    "kept_along",
    "kept_together",
    "own_place",
    "runs",
    "tap_groups",
]
