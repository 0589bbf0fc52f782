"""What a worker does for an effective field: elements are changed, and what moves is added up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from rfgraph.errors import RFGraphError
from rfgraph.measure.runs import Network
from rfgraph.measure.sampling import Grid
from rfgraph.measure.spread import relative_error
from rfgraph.measure.stored import State

# How far numbers are changed, as shares of the standard deviation of an image: less is lost in the
# rounding of values, more passes kinks (docs/measured.md has what was measured). The first is taken
# by which values move `_ABOVE` times as far as they are rounded.
AMPLITUDES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_ABOVE = 50

# So many grids, changed by this much, tell how far values move.
_PILOTS, _PILOT = 12, 0.1

# So many images are to have a word, at least, before a result counts as certain.
_LEAST_IMAGES = 8


@dataclass(frozen=True)
class Task:
    """One image, and the grids that are changed in it.

    Attributes
    ----------
    number : int
        Of the task.
    image : ndarray or None
        The image; None: noise.
    group : int
        The group that it belongs to.
    """

    number: int
    image: np.ndarray | None
    group: int


@dataclass(frozen=True)
class Sums:
    """What a task has shown: by cell of the map, what changes add up to, and of how many."""

    group: int
    sums: np.ndarray
    hits: np.ndarray
    passes: int


@dataclass(frozen=True)
class Job:
    """Carries out tasks.

    Attributes
    ----------
    network : Network
        What is run.
    grid : Grid
        Which elements are changed.
    rows : int
        Of a batch.
    each : int
        How many grids are changed in an image.
    seed : int
        Of noise, of the order of grids, and of what is drawn within cells.
    dtype : numpy.dtype
        Of the input.
    range : tuple of int
        The least whole number that takes the place of another, and one more than the greatest.
    amplitude : float
        How far numbers are changed, as a share of the standard deviation of the image.
    """

    network: Network
    grid: Grid
    rows: int
    each: int
    seed: int
    dtype: np.dtype
    range: tuple[int, int]
    amplitude: float = AMPLITUDES[0]

    @property
    def tasks_a_sweep(self) -> int:
        """How many tasks it takes for each grid to be changed once."""
        return -(-self.grid.phases // self.each)

    def carry_out(self, task: Task) -> Sums:
        """Change the grids of a task."""
        rng = np.random.default_rng((self.seed, 1, task.number))
        image = (
            random_image(rng, self.grid.shape, self.dtype, self.range)
            if task.image is None
            else task.image
        )
        sums = np.zeros(int(np.prod(self.grid.cells)))
        hits = np.zeros_like(sums)
        seen: list[tuple[int, ...]] = []
        for number in self._numbers(task):
            phase = self.grid.phase(number, rng)
            if self.grid.is_seen(phase):
                seen.append(phase)
            else:
                # Nothing changes where nothing is seen, and that counts too.
                self.grid.add(phase, None, sums, hits)
        passes = 0
        many = max(self.rows // 2, 1)
        for begin in range(0, len(seen), many):
            some = seen[begin : begin + many]
            for phase, change in zip(some, self._changes(image, some, rng), strict=True):
                self.grid.add(phase, change, sums, hits)
            passes += 2 * len(some)
        return Sums(task.group, sums, hits, passes)

    def tuned(self, image: np.ndarray | None) -> Job:
        """The same with an amplitude at which rounding counts little, by a few passes over one
        image.
        """
        if self.dtype.kind in "iub":
            return self
        rng = np.random.default_rng((self.seed, 3))
        image = (
            random_image(rng, self.grid.shape, self.dtype, self.range) if image is None else image
        )
        value = self._run([image])[0]
        if value.dtype.kind != "f":
            return replace(self, amplitude=AMPLITUDES[-1])
        level = float(np.finfo(value.dtype).eps) * float(np.abs(value[self.grid.units]).mean())
        order = rng.permutation(self.grid.phases)
        drawn = (self.grid.phase(number, rng) for number in order)
        phases = list(islice((p for p in drawn if self.grid.is_seen(p)), min(self.each, _PILOTS)))
        job = replace(self, amplitude=_PILOT)
        once, twice, many = 0.0, 0.0, max(self.rows // 2, 1)
        for begin in range(0, len(phases), many):
            for change in job._changes(image, phases[begin : begin + many], rng):
                once += float(change[self.grid.units].sum())
                twice += float((change[self.grid.units] ** 2).sum())
        # The mean by what changes add to the map: what is far from the middle hardly counts.
        moved = 2 * spread_of(image) * twice / once if once else 0.0
        # As far as values go on as they began.
        enough = (a for a in AMPLITUDES if a * moved >= _ABOVE * level)
        return replace(self, amplitude=next(enough, AMPLITUDES[-1]))

    def _numbers(self, task: Task) -> np.ndarray:
        """The grids of a task: those of a sweep are each grid once, in an order that is drawn.

        Of images that are given the order is always the same, so that in the end each image has
        had each grid once.
        """
        sweep, part = divmod(task.number, self.tasks_a_sweep)
        rng = np.random.default_rng((self.seed, 2, sweep if task.image is None else 0))
        order = rng.permutation(self.grid.phases)
        return order[part * self.each : (part + 1) * self.each]

    def _changes(
        self, image: np.ndarray, phases: Sequence[tuple[int, ...]], rng: np.random.Generator
    ) -> Iterator[np.ndarray]:
        """For each grid the change of every unit, per unit of change of the elements."""
        made: list[np.ndarray] = []
        by: list[float] = []
        for phase in phases:
            at = self.grid.elements(phase)
            low, high = image.copy(), image.copy()
            if self.dtype.kind in "iub":
                high[at] = self._others(image[at], rng)
                by.append(1.0)
            else:
                amount = self.amplitude * spread_of(image)
                low[at] -= np.asarray(amount, self.dtype)
                high[at] += np.asarray(amount, self.dtype)
                by.append(2.0 * amount)
            made += [low, high]
        values = self._run(made)
        for low_value, high_value, amount in zip(values[::2], values[1::2], by, strict=True):
            change = high_value.astype(np.float64) - low_value
            if not np.isfinite(change[self.grid.units]).all():
                raise RFGraphError(
                    f"'{self.network.tensors[0]}' has NaN or infinite numbers",
                    file=self.network.file,
                    remedy="give images that the model takes, or other units",
                )
            yield np.abs(change) / amount

    def _run(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The value of each image, of the shape that is analysed."""
        axis = self.network.axes[0]
        if axis is None:
            return [self.network.run(image)[0] for image in images]
        made = self.network.run(np.concatenate(images))[0]
        return [np.expand_dims(value, axis) for value in made]

    def _others(self, old: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Other whole numbers in place of some."""
        if self.dtype.kind == "b":
            return ~old
        low, end = self.range
        step = rng.integers(1, max(end - low, 2), old.shape)
        others = (old.astype(np.int64) - low + step) % max(end - low, 2) + low
        return others.astype(self.dtype)


def random_image(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype, ends: tuple[int, int]
) -> np.ndarray:
    """An image of random numbers: normal ones, or whole ones between two ends."""
    if dtype.kind == "f":
        return np.asarray(rng.standard_normal(shape), dtype)
    return np.asarray(rng.integers(*ends, shape), dtype)


def spread_of(image: np.ndarray) -> float:
    """How much the numbers of an image vary; their size where they are all the same."""
    wide = image.astype(np.float64)
    return float(wide.std()) or abs(float(wide.flat[0])) or 1.0


class Maps:
    """Adds up tasks, by group of images.

    Parameters
    ----------
    cells : int
        Of the map.
    sweep : int
        How many tasks change each grid once.
    groups : int
        Into how many groups images are dealt.
    error : float
        The relative standard error that is enough.
    """

    def __init__(self, cells: int, sweep: int, groups: int, error: float) -> None:
        self.sums = np.zeros((groups, cells))
        self.hits = np.zeros((groups, cells))
        self.passes = 0
        self.tasks = 0
        self._sweep = sweep
        self._error = error
        self._least = max(_LEAST_IMAGES, groups)

    def add(self, result: Sums) -> None:
        """Add what a task has shown."""
        self.sums[result.group] += result.sums
        self.hits[result.group] += result.hits
        self.passes += result.passes
        self.tasks += 1

    def enough(self) -> bool:
        """Whether the error is small enough, once every grid was changed as often as others."""
        if self.tasks % self._sweep or self.tasks < self._least:
            return False
        return relative_error(self.sums, self.hits) <= self._error

    def planned(self) -> int:
        """How many tasks it will take: the error falls with the root of their number."""
        least = -(-self._least // self._sweep) * self._sweep
        if self.tasks < least:
            return least
        now = relative_error(self.sums, self.hits)
        wanted = self.tasks * (now / self._error) ** 2
        return max(self.tasks, int(-(-wanted // self._sweep)) * self._sweep)

    def state(self) -> State:
        """All that was added."""
        return {
            "sums": self.sums,
            "hits": self.hits,
            "counts": np.array([self.passes, self.tasks], np.int64),
        }

    def restore(self, state: State) -> None:
        """Go on from a state."""
        self.sums, self.hits = state["sums"].copy(), state["hits"].copy()
        self.passes, self.tasks = map(int, state["counts"])


__all__ = ["AMPLITUDES", "Job", "Maps", "Sums", "Task", "random_image", "spread_of"]
