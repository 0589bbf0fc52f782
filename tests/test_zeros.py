"""Factors of reads: what is left where they are 0, against the definition, element by element."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from itertools import product
from typing import Any

import numpy as np
import pytest

from rfgraph.prune.pieces import confined
from rfgraph.prune.zeros import without_zeros
from rfgraph.reads.words import (
    STATISTIC,
    WHOLE,
    AxisRead,
    Coordinate,
    Elementwise,
    Factor,
    Fixed,
    PerAxis,
    Read,
    Stage,
    Tap,
    block,
    coordinates,
    followed,
    point,
    progressions,
    same,
    tiled,
    transposed_window,
    window,
)


class Told:
    """Remarks that are kept."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, reason: str, kind: str) -> None:
        self.notes.append(reason)

    def once(self, what: Hashable, make: Callable[[], Any]) -> Any:
        return make()


def _taken(read: AxisRead, size: int, extent: tuple[int, ...], o: tuple[int, ...]) -> list[int]:
    """The coordinates that are read along an axis, those outside of it too."""
    starts, counts, step = progressions(read, size, extent)
    place = tuple(o[a] for a in followed(read))
    start, count = int(starts[place]), int(counts[place])
    return [start + k * step for k in range(count)]


def _defined(
    read: PerAxis, source: tuple[int, ...], extent: tuple[int, ...], zeros: dict[Any, np.ndarray]
) -> set[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The pairs of output and source element of which the product is not 0."""
    found = set()
    axes = [
        (f.source, word, n)
        for f in read.times
        for word, n in zip(f.axes, zeros[f.source].shape, strict=True)
    ]
    sizes = {word: n for _, word, n in axes if isinstance(word, str)}
    for o in product(*map(range, extent)):
        taken = [_taken(r, n, extent, o) for r, n in zip(read.axes, source, strict=True)]
        for i in product(*taken):
            if not all(0 <= at < n for at, n in zip(i, source, strict=True)):
                continue
            for values in product(*map(range, sizes.values())):
                named = dict(zip(sizes, values, strict=True))
                at: dict[Any, tuple[int, ...]] = {}
                for k, word, n in axes:
                    if isinstance(word, str):
                        place = named[word]
                    elif isinstance(word, Coordinate):
                        place = i[word.axis]
                    elif not isinstance(word, Tap):
                        (place,) = _taken(word, n, extent, o)
                    elif word.adjoint is None:
                        place = taken[word.axis].index(i[word.axis])
                    else:
                        (axis,) = followed(read.axes[word.axis])
                        _, stride, dilation, pad = word.adjoint
                        place = (o[axis] + pad - i[word.axis] * stride) // dilation
                    at[k] = (*at.get(k, ()), place)
                if not any(zeros[k][place] for k, place in at.items()):
                    found.add((o, i))
                    break
    return found


def _read(
    reads: list[Read], source: tuple[int, ...], extent: tuple[int, ...]
) -> dict[tuple[int, ...], set[tuple[int, ...]]]:
    """The source elements that each output element reads."""
    found: dict[tuple[int, ...], set[tuple[int, ...]]] = {
        o: set() for o in product(*map(range, extent))
    }
    for read in reads:
        assert isinstance(read, PerAxis)
        inner = read.source
        made = _read(inner.reads, source, inner.shape) if isinstance(inner, Stage) else {}
        for o, own in found.items():
            taken = []
            sizes = inner.shape if isinstance(inner, Stage) else source
            for r, n in zip(read.axes, sizes, strict=True):
                starts, counts, step = coordinates(r, n, extent)
                place = tuple(o[a] for a in followed(r))
                first, many = int(starts[place]), int(counts[place])
                taken.append([first + k * step for k in range(many)])
            if isinstance(inner, Stage):
                for i in product(*taken):
                    own |= made[i]
            else:
                own |= set(product(*taken))
    return found


def conv(group: int, kernel: int, stride: int, dilation: int, pad: int) -> Any:
    channels = block(1, 2, 2) if group > 1 else WHOLE
    along = window(2, kernel, stride, dilation, pad)
    times = (Factor(1, (same(1), Tap(1), Tap(2))),)
    read = PerAxis(0, (same(0), channels, along), times)
    return read, (2, 4, 7), (2, 4, 4), {1: (4, 4 // group, kernel)}


def transposed(group: int, kernel: int, stride: int, dilation: int, pad: int) -> Any:
    channels = block(1, 2, 2) if group > 1 else WHOLE
    along = transposed_window(2, kernel, stride, dilation, pad, 9)
    own = tiled(1, 4 // group)
    times = (Factor(1, (Coordinate(1), own, Tap(2, (kernel, stride, dilation, pad)))),)
    read = PerAxis(0, (same(0), channels, along), times)
    return read, (2, 4, 5), (2, 4, 9), {1: (4, 4 // group, kernel)}


def matrices(left: bool) -> Any:
    """``bik,bkj->bij``, both operands of which have zeros."""
    if left:
        times = (
            Factor(0, (same(0), same(1), Coordinate(2))),
            Factor(1, (same(0), Coordinate(2), same(2))),
        )
        read = PerAxis(0, (same(0), same(1), STATISTIC), times)
        return read, (2, 3, 5), (2, 3, 4), {0: (2, 3, 5), 1: (2, 5, 4)}
    times = (
        Factor(0, (same(0), same(1), Coordinate(1))),
        Factor(1, (same(0), Coordinate(1), same(2))),
    )
    read = PerAxis(1, (same(0), STATISTIC, same(2)), times)
    return read, (2, 5, 4), (2, 3, 4), {0: (2, 3, 5), 1: (2, 5, 4)}


def chain() -> Any:
    """``ij,jk,k->i``: what is read of the first operand counts for any k."""
    times = (Factor(1, (Coordinate(1), "k")), Factor(2, ("k",)))
    return PerAxis(0, (same(0), STATISTIC), times), (3, 4), (3,), {1: (4, 5), 2: (5,)}


def pairs() -> Any:
    """``abc,bc->a``: two axes are summed over together."""
    times = (Factor(1, (Coordinate(1), Coordinate(2))),)
    return PerAxis(0, (same(0), STATISTIC, STATISTIC), times), (2, 4, 5), (2,), {1: (4, 5)}


def depthwise() -> Any:
    """Each channel has a kernel of its own, and there is no axis of channels to sum over."""
    times = (Factor(1, (same(0), point(0), Tap(1))),)
    return PerAxis(0, (same(0), window(1, 3, 1, 1, 1)), times), (4, 6), (4, 6), {1: (4, 2, 3)}


def untied() -> Any:
    """Each place has a kernel of its own: no window slides."""
    times = (Factor(1, (same(0), Tap(0))),)
    return PerAxis(0, (window(0, 3, 1, 1, 1),), times), (6,), (6,), {1: (6, 3)}


def gated() -> Any:
    """A factor of each coordinate of the source, under a window."""
    times = (Factor(1, (Coordinate(0),)),)
    return PerAxis(0, (window(0, 3, 2, 1, 1),), times), (7,), (4,), {1: (7,)}


def patch() -> Any:
    """A part of an axis, weighed."""
    times = (Factor(1, (Tap(0), same(0))),)
    return PerAxis(0, (Fixed(2, 3, statistic=True),), times), (7,), (4,), {1: (3, 4)}


def scaled() -> Any:
    """One factor for a group of channels, and nothing that is summed up."""
    times = (Factor(1, (block(1, 2, 1),)),)
    return PerAxis(0, (same(0), same(1)), times), (2, 6), (2, 6), {1: (3,)}


CASES = {
    **{
        f"conv, group {g}, {w}": conv(g, *w)
        for g in (1, 2)
        for w in ((3, 1, 1, 1), (3, 2, 2, 2), (2, 2, 1, 0))
    },
    **{
        f"transposed, group {g}, {w}": transposed(g, *w)
        for g in (1, 2)
        for w in ((3, 2, 1, 1), (4, 2, 3, 0), (3, 1, 2, 1))
    },
    "left": matrices(True),
    "right": matrices(False),
    **{f.__name__: f() for f in (chain, pairs, depthwise, untied, gated, patch, scaled)},
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_left_is_what_no_factor_makes_0(name: str) -> None:
    read, source, extent, shapes = CASES[name]
    rng = np.random.default_rng(len(name))
    for trial in range(9):
        zeros = {}
        for k, shape in shapes.items():
            found = rng.random(shape) < (0.2, 0.5, 0.9)[trial % 3]
            if trial % 2:
                axis = int(rng.integers(len(shape)))
                found = found | (rng.random(shape[axis]) < 0.5).reshape(
                    [-1 if a == axis else 1 for a in range(len(shape))]
                )
            zeros[k] = found
        left = without_zeros([read], extent, zeros.get, {read.source: source}.get, Told())
        seen = {(o, i) for o, own in _read(left, source, extent).items() for i in own}
        assert seen == _defined(read, source, extent, zeros), (zeros, left)


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_made_anew_where_nothing_is_0(name: str) -> None:
    read, source, extent, shapes = CASES[name]
    inner = Stage(extent, [read])
    reads: list[Read] = [Elementwise(inner), read]
    shape = {read.source: source}.get
    left = without_zeros(reads, extent, {}.get, shape, Told())
    assert left[0] is reads[0]
    assert left[1] is read
    nowhere = {k: np.zeros((1,) * len(n), dtype=bool) for k, n in shapes.items()}
    assert len(without_zeros(reads, extent, nowhere.get, shape, Told())) == len(reads)


def test_factors_of_a_stage_are_asked_too() -> None:
    read, source, extent, shapes = CASES["left"]
    zeros = {1: np.ones((1,) * len(shapes[1]), dtype=bool)}
    outer = Elementwise(Stage(extent, [read, Elementwise(2)]))
    (left,) = without_zeros([outer], extent, zeros.get, {0: source}.get, Told())
    assert isinstance(left.source, Stage)
    assert left.source.reads == [Elementwise(2)]


def test_reads_with_the_same_factors_are_confined_together() -> None:
    times = (Factor(1, (same(0),)),)
    reads: list[Read] = [Elementwise(0, times), PerAxis(2, (same(0),), times), Elementwise(3)]
    zeros = {1: np.array([True, False, False])}
    left = without_zeros(reads, (3, 4), zeros.get, {}.get, Told())
    assert len(left) == 2
    stage = left[0].source
    assert isinstance(stage, Stage)
    assert stage.reads == reads[:2]
    assert left[1] is reads[2]
    given = confined(Told(), reads[:2], ~zeros[1][:, None], (3, 4))
    assert repr(given[0].axes) == repr(left[0].axes)  # type: ignore[union-attr]


def test_more_pieces_than_64_are_joined_and_it_is_said() -> None:
    zeros = {1: np.arange(200) % 3 == 1}
    read = PerAxis(0, (STATISTIC,), (Factor(1, (Coordinate(0),)),))
    told = Told()
    left = without_zeros([read], (2,), zeros.get, {0: (200,)}.get, told)
    assert len(left) == 64
    assert len(told.notes) == 1
    every = _read(left, (200,), (2,))[0,]
    assert {(int(i),) for i in np.flatnonzero(~zeros[1])} < every


def test_factors_tell_no_reads_apart() -> None:
    """Bounds don't ask them: equal reads are one instruction, whatever they are multiplied with."""
    assert PerAxis(0, (same(0),), (Factor(1, (same(0),)),)) == PerAxis(0, (same(0),))
    assert hash(Elementwise(0, (Factor(1, ()),))) == hash(Elementwise(0))
