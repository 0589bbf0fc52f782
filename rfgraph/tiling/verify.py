"""Tiles against the whole, in onnxruntime: that they are equal, and that less would not do.

Each axis is cut on its own, the others whole and small: borders along several axes are independent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from itertools import repeat
from math import inf
from typing import Any, NamedTuple

import numpy as np

from rfgraph.analysis import Analysis
from rfgraph.errors import QueryError, RFGraphError, ShapeError
from rfgraph.tiling.axes import AxisPlan
from rfgraph.tiling.costs import Costs, costs_of
from rfgraph.tiling.equality import OPTIMISED, THREADS, Equality, is_measured_here, resized
from rfgraph.tiling.obstacles import OPEN_SIZES, TilingError
from rfgraph.worker.source import opened, outputs_of

# Differences by rounding are at most this, relative to the largest value of an output.
ROUNDING = 1e-4

# What the order of sums may make of what was measured to be the same bit for bit elsewhere.
OTHER_PROCESSORS = 3e-6

# Axes that are not cut get the first of these sizes, or a little more, that the model takes.
_SMALL = 32, 64, 128, 256, 512, 1024

# The core of a tile, and what of the whole lies beyond it, in alignments at most.
_CORES, _BEYOND = 4, 3

# What is at the ends of a tile is that much larger in every other run.
_MUCH = 1000

# So many places of a start off the alignment are tried.
_SHIFTS = 3


class Part(NamedTuple):
    """A tile along the one axis that is cut, and its core."""

    begin: int
    end: int
    first: int
    last: int


@dataclass(frozen=True)
class AxisVerification:
    """What was found along one axis, relative to the largest value of an output.

    Attributes
    ----------
    axis : AxisPlan
        The axis.
    tiles : int
        How many tiles of random sizes were compared, at random multiples of the alignment.
    difference : float
        The largest one between tiles and the whole.
    less_before, less_after : float or None
        The same with a margin of one alignment less; None where none is needed. Infinite where
        elements are missing.
    unaligned : float or None
        The same for tiles that begin off the alignment; None if there is no such place at which an
        element of an output begins.
    """

    axis: AxisPlan
    tiles: int
    difference: float
    less_before: float | None
    less_after: float | None
    unaligned: float | None


@dataclass(frozen=True)
class Verification:
    """What `Plan.verify` has found.

    Attributes
    ----------
    shapes : dict of str to tuple of int
        The largest shape of each input.
    tolerance : float
        What a difference may be: 0 where the result is claimed to be that of the whole bit for bit,
        and the processor is one for which that was measured; infinite for a plan of the local part.
    axes : tuple of AxisVerification
        One for each axis that is cut.
    costs : dict of str to float or None
        Of a plan of the local part, by node that sees whole axes: the largest difference if it
        alone sees no more than a tile; None where that can't be measured, as for a session.
    """

    shapes: Mapping[str, tuple[int, ...]]
    tolerance: float
    axes: tuple[AxisVerification, ...]
    costs: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def is_exact(self) -> bool:
        """Whether the result is claimed to be that of the whole."""
        return self.tolerance < inf

    @property
    def difference(self) -> float:
        """The largest difference between tiles and the whole."""
        return max((axis.difference for axis in self.axes), default=0.0)

    @property
    def ok(self) -> bool:
        """Whether tiles give what the whole gives."""
        return self.difference <= self.tolerance


def verify(
    analysis: Analysis,
    axes: Sequence[AxisPlan],
    outputs: Sequence[str],
    equality: Equality,
    model: Any,
    tiles: int,
    seed: int,
    left_out: Sequence[TilingError] = (),
) -> Verification:
    """See `rfgraph.tiling.Plan.verify`."""
    session, tolerance = _session(model, analysis.file, equality)
    is_exact = not left_out
    tolerance = tolerance if is_exact else inf
    costs = costs_of(analysis, model, [error.value for error in left_out])
    moved: list[list[float] | None] = []
    shapes: dict[str, tuple[int, ...]] = {}
    found = []
    rng = np.random.default_rng(seed)
    for axis in axes:
        if axis.is_fixed:
            raise QueryError(
                f"the file fixes the size along {axis.title}: it takes no tile",
                file=analysis.file,
                remedy=OPEN_SIZES,
            )
        run = _Run(analysis, axes, axis, outputs, session, rng, is_exact)
        found.append(run.verified(tiles))
        shapes = {n: max(s, shapes.get(n, s), key=np.prod) for n, s in run.largest.items()}
        if left_out:
            moved.append(run.costs(costs) if costs else None)
    known = [each for each in moved if each is not None]
    worst = map(max, zip(*known, strict=True)) if len(known) == len(moved) else repeat(None)
    by_node = dict(zip([str(error.node) for error in left_out], worst, strict=False))
    return Verification(shapes, tolerance, tuple(found), by_node)


def _session(model: Any, file: str | None, equality: Equality) -> tuple[Any, float]:
    """A session, and what differences may be in it."""
    exact = equality.level == "bit for bit"
    least = 0 if is_measured_here() else OTHER_PROCESSORS
    if hasattr(model, "run"):
        return model, least if exact and not equality.options else ROUNDING
    try:
        from onnxruntime import GraphOptimizationLevel, SessionOptions
    except ImportError:
        # `opened` says what to do.
        return opened(model, file), ROUNDING
    options = SessionOptions()
    options.log_severity_level = 4
    level = str(equality.options.get(OPTIMISED, "ORT_ENABLE_ALL"))
    options.graph_optimization_level = getattr(GraphOptimizationLevel, level)
    # Smaller tiles than planned are run: with more threads their sums may be split otherwise.
    options.intra_op_num_threads = 1 if THREADS in equality.options else 0
    return opened(model, file, sess_options=options), least if exact else ROUNDING


class _Run:
    """Runs of the model with one axis cut."""

    def __init__(
        self,
        analysis: Analysis,
        axes: Sequence[AxisPlan],
        axis: AxisPlan,
        outputs: Sequence[str],
        session: Any,
        rng: np.random.Generator,
        is_exact: bool,
    ) -> None:
        self._axis, self._session, self._rng = axis, session, rng
        self._is_exact = is_exact
        self._outputs = [name for name in outputs if name in axis.outputs]
        self._analysis = analysis
        self._others = [other for other in axes if other is not axis]
        self._small = self._sizes()
        self.largest: dict[str, tuple[int, ...]] = {}

    def verified(self, tiles: int) -> AxisVerification:
        """All that is told of the axis."""
        equal, before, after, off = [], [], [], []
        for k in range(tiles):
            size, part = self._drawn()
            feeds = self._feeds(size)
            if k % 2 and self._is_exact:
                self._stress(feeds, part)
            whole = self._made(feeds)
            equal.append(self._difference(feeds, whole, part))
            if not self._is_exact:
                continue
            later = part._replace(begin=part.begin + self._step)
            before += self._tried(feeds, whole, [later] if self._axis.before else [])
            shorter = part._replace(end=part.end - self._step)
            after += self._tried(feeds, whole, [shorter] if self._axis.after else [])
            off += self._tried(feeds, whole, self._shifted(part, size))
        return AxisVerification(
            self._axis,
            tiles,
            max(equal),
            max(before, default=None if not self._axis.before else 0.0),
            max(after, default=None if not self._axis.after else 0.0),
            max(off, default=None),
        )

    def costs(self, costs: Costs) -> list[float] | None:
        """The difference that each node makes which sees whole axes; None if it can't be told."""
        size, part = self._drawn()
        feeds = self._feeds(size)
        whole, tile = self._made(feeds), self._cut(feeds, part)
        lengths = part.begin, size, part.end - part.begin
        with suppress(RFGraphError):
            return costs.measured(
                feeds, tile, lengths, self._outputs, partial(self._off, whole, part), ROUNDING
            )
        return None

    @property
    def _step(self) -> int:
        return self._axis.alignment

    def _sizes(self) -> list[int]:
        """Small sizes of the other axes that the model takes; where statistics are taken of tiles,
        those of tiles.
        """
        if not self._is_exact:
            return [other.fitted(other.tile) for other in self._others]
        for least in _SMALL:
            sizes = [
                min(least + (r - least) % other.alignment for r in other.sizes)
                for other in self._others
            ]
            axes = [*self._others, self._axis]
            with suppress(ShapeError):
                made = resized(self._analysis, axes, [*sizes, self._axis.smallest])
                if all(0 not in (made.extent(name) or ()) for name in self._outputs):
                    return sizes
        return [other.smallest for other in self._others]

    def _drawn(self) -> tuple[int, Part]:
        """A size of the whole, and a tile in the midst of it."""
        axis, step = self._axis, self._step
        first = axis.margin[0] + step * int(self._rng.integers(1, 1 + _BEYOND))
        last = first + step * int(self._rng.integers(1, 1 + _CORES))
        if not self._is_exact:
            last = first + axis.core()
        begin = first - axis.margin[0]
        residue = int(self._rng.choice(axis.sizes))
        least = last + axis.after
        end = least + (begin + residue - least) % step
        size = end + step * int(self._rng.integers(1, 1 + _BEYOND))
        if not self._is_exact:
            size += end - begin
        # As long as the tile, modulo the alignment.
        return size + (residue - size) % step, Part(begin, end, first, last)

    def _shifted(self, part: Part, size: int) -> Iterator[Part]:
        """Tiles off the alignment with margins that are no smaller."""
        scales = [self._axis.outputs[name].scale for name in self._outputs]
        tried = 0
        for shift in self._rng.permutation(range(1, self._step)):
            begin = part.begin - int(shift)
            end = part.end + self._step - int(shift)
            if tried < _SHIFTS and end <= size and any(_is_whole(shift * s) for s in scales):
                tried += 1
                yield part._replace(begin=begin, end=end)

    def _feeds(self, size: int) -> dict[str, np.ndarray]:
        """Random inputs."""
        shapes = {name: list(self._analysis.extent(name) or ()) for name in self._analysis.inputs}
        sizes = [*zip(self._others, self._small, strict=True), (self._axis, size)]
        for axis, n in sizes:
            for name, k in axis.inputs:
                shapes[name][k] = n
        self.largest = {name: tuple(shape) for name, shape in shapes.items()}
        types = {given.name: given.type for given in self._session.get_inputs()}
        feeds = {n: _random(self._rng, types.get(n, ""), s) for n, s in shapes.items()}
        for name, k in self._axis.inputs if not self._is_exact else ():
            # What is taken of tiles is not that of the whole, as in pictures.
            if feeds[name].dtype.kind == "f":
                ramp = np.linspace(0, 2, size, dtype=feeds[name].dtype)
                feeds[name] *= np.expand_dims(ramp, tuple(range(1, feeds[name].ndim - k)))
        return feeds | dict(self._analysis.held)

    def _stress(self, feeds: Mapping[str, np.ndarray], part: Part) -> None:
        """Make much of what a smaller tile lacks: else it may count for little."""
        for name, k in self._axis.inputs:
            if feeds[name].dtype.kind == "f":
                for begin in (part.begin, part.end - self._step):
                    feeds[name][(slice(None),) * k + (slice(begin, begin + self._step),)] *= _MUCH

    def _made(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        return outputs_of(self._session, self._outputs, feeds, self._analysis.file)

    def _tried(
        self, feeds: Mapping[str, np.ndarray], whole: Sequence[np.ndarray], parts: Iterable[Part]
    ) -> list[float]:
        """How far tiles are that are not as planned; the model may refuse them."""
        found = []
        for part in parts:
            with suppress(RFGraphError):
                found.append(self._difference(feeds, whole, part))
        return found

    def _difference(
        self, feeds: Mapping[str, np.ndarray], whole: Sequence[np.ndarray], part: Part
    ) -> float:
        """The largest difference in the core of a tile, of all outputs."""
        return self._off(whole, part, self._made(self._cut(feeds, part)))

    def _cut(self, feeds: Mapping[str, np.ndarray], part: Part) -> dict[str, np.ndarray]:
        """The inputs of a tile."""
        cut = dict(feeds)
        for name, k in self._axis.inputs:
            taken = (slice(None),) * k + (slice(part.begin, part.end),)
            cut[name] = np.ascontiguousarray(cut[name][taken])
        return cut

    def _off(self, whole: Sequence[np.ndarray], part: Part, tile: Sequence[np.ndarray]) -> float:
        """How far the outputs of a tile are from those of the whole, in its core."""
        largest = 0.0
        for name, of_whole, of_tile in zip(self._outputs, whole, tile, strict=True):
            follows = self._axis.outputs[name]
            if not _is_whole((part.first - part.begin) * follows.scale):
                continue
            first, last = (int(n * follows.scale) for n in (part.first, part.last))
            begin = int((part.first - part.begin) * follows.scale)
            before = (slice(None),) * follows.axis
            wanted = of_whole[(*before, slice(first, last))]
            given = of_tile[(*before, slice(begin, begin + last - first))]
            if given.shape != wanted.shape:
                return float("inf")
            if not np.array_equal(given, wanted, equal_nan=wanted.dtype.kind == "f"):
                given, wanted = given.astype(np.float64), wanted.astype(np.float64)
                scale = np.abs(of_whole.astype(np.float64)).max()
                largest = max(largest, float(np.abs(given - wanted).max() / scale))
        return largest


def _is_whole(number: Fraction) -> bool:
    return number.denominator == 1


def _random(rng: np.random.Generator, kind: str, shape: Sequence[int]) -> np.ndarray:
    """Data of a type as onnxruntime names it: ``tensor(float)``."""
    name = {"float": "float32", "double": "float64"}.get(kind[7:-1], kind[7:-1]) or "float32"
    dtype = np.dtype(name)
    if dtype.kind == "f":
        return rng.uniform(0, 1, shape).astype(dtype)
    return rng.integers(0, 2 if dtype.kind == "b" else 100, shape).astype(dtype)


__all__ = ["ROUNDING", "AxisVerification", "Verification", "verify"]
