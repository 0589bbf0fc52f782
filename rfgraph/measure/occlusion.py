"""Occlusion: which elements particular units respond to, by covering them.

As B. Zhou, A. Khosla, A. Lapedriza, A. Oliva, A. Torralba, *Object Detectors Emerge in Deep Scene
CNNs*, ICLR 2015 (https://arxiv.org/abs/1412.6856), section 3.2, find it; but only at places where
the unit can see the occluder at all.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from math import inf, isfinite
from typing import Any

import numpy as np

from rfgraph.analysis import Analysis
from rfgraph.analysis.inputs import Model
from rfgraph.errors import QueryError, RFGraphError
from rfgraph.measure.discrepancy import LEVEL, Occluded, Occlusion, UnitField
from rfgraph.measure.excited import (
    Excitement,
    Index,
    Looking,
    looks,
    region_of,
    rows_of,
    stacked,
)
from rfgraph.measure.images import Images, check_vocabulary, images_of
from rfgraph.measure.pictures import Resizing
from rfgraph.measure.places import Grid, packed
from rfgraph.measure.runs import MEMORY, How, Network, Outcome, Prepared, prepared, reduced
from rfgraph.measure.stored import Store

# The occluder that is taken if none is given: of Zhou et al. 11 of the 227 pixels of a side, and
# no more than a part of what a unit sees; its places are 3 apart where it is 11 long.
_OF_SIDE, _OF_FIELD, _STEP = 20, 6, 3 / 11

# The most runs of a task.
_MOST = 64

FILLS = ("random", "mean")


def occlusion(
    model: Model,
    tensor: str,
    units: int | tuple[int | slice, ...] | Sequence[int | tuple[int | slice, ...]],
    images: Any = None,
    *,
    input: str | None = None,
    size: int | Sequence[int] | None = None,
    stride: int | Sequence[int] | None = None,
    fill: str | float = "random",
    top: int = 10,
    level: float = LEVEL,
    layout: str | None = None,
    mean: float | Sequence[float] = 0.0,
    std: float | Sequence[float] = 1.0,
    scale: float | None = None,
    resize: Resizing | None = None,
    most: int | None = None,
    vocabulary: int | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    values: Mapping[str, Any] | None = None,
    prune: bool = False,
    strict: bool = False,
    inputs: Mapping[str, Any] | None = None,
    seed: int = 0,
    seconds: float | None = None,
    jobs: int = 0,
    processes: bool = False,
    executor: Executor | None = None,
    store: Any = None,
    memory: int = MEMORY,
    providers: Sequence[str] = ("CPUExecutionProvider",),
    progress: Callable[[int, int], None] | None = None,
) -> Occlusion:
    """What units respond to: their empirical fields, by covering parts of images.

    All images are run once to find those that excite a unit most, or any unit of a channel. Each of
    these is run again with an occluder at each place that meets the exact support of the unit that
    it excites most, and of each element the change of that unit is noted. The maps of the images,
    laid on one another at the unit's own place, make the map of the unit: Zhou et al. (2014),
    section 3.2. Units of which none sees two of the occluders share a run.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
        The model, with its weights.
    tensor : str
        The value whose units are looked at.
    units : int, tuple, or sequence of these
        A channel, of which image by image the most excited unit is looked at; or a unit, as a tuple
        of one coordinate an axis; with slices in it the units of a region, as of a channel.
    images : path, array or iterable, optional
        What the model is run on, see `rfgraph.measure.images_of`: a folder or a file, an
        array of NumPy, dask or zarr, or any iterable. Noise if left out, which the answer says.
    input : str, optional
        The input that takes them; may be left out where the value depends on only one.
    size, stride : int or sequence of int, optional
        The sides of the occluder, and how far its places are apart, in elements of the input along
        its spatial axes. A twentieth of the input's side if left out, but no more than a sixth of
        the field, and 3/11 of that: Zhou et al. took 11 and 3 of 227 pixels. Of tokens one.
    fill : str or float
        What covers: ``'random'``, elements from random places of the same image, or random tokens
        if there is a `vocabulary`; ``'mean'``, the mean of each channel of the image; or a number,
        as the model takes it.
    top : int
        How many images are covered for each unit or channel.
    level : float
        From which share of the largest discrepancy on an element counts as responded to.
    layout, mean, std, scale, resize, most
        How images are made to fit, see `rfgraph.measure.images_of`.
    vocabulary : int, optional
        How many different tokens there are.
    shapes, values, prune, strict
        As for `rfgraph.analyze`; open axes get sensible sizes.
    inputs : mapping of str to array, optional
        What the other inputs are; random numbers for those that are left out.
    seed : int
        Of random numbers.
    seconds : float, optional
        Begin nothing after so many seconds: the answer is of the images that were finished. Half
        of it at most goes into finding images.
    jobs, processes, executor
        How many tasks are carried out at a time, in threads, by processes, or by any executor, as
        for `rfgraph.validate`; 0: as many as there are processors.
    store : path, optional
        A folder in which a zarr group keeps what is done: a run that was ended is gone on with.
    memory : int
        About how many bytes the values of one run may take: so many images are run at a time.
    providers : sequence of str
        Execution providers of onnxruntime.
    progress : callable, optional
        Is told how many tasks are done, and how many there are.

    Returns
    -------
    Occlusion
        What was found, with all maps.

    Raises
    ------
    QueryError
        There is no such value, input, unit or channel, no images, or they do not fit.
    RFGraphError
        onnxruntime is not installed or does not run the model; or the time is over before one image
        was finished.

    Examples
    --------
    The mean of 3x3 pixels responds to these alone, to each alike.

    >>> import onnx.parser
    >>> model = onnx.parser.parse_model('''
    ...     <ir_version: 8, opset_import: ["" : 17]>
    ...     net (float[1, 1, 12, 12] x) => (float[1, 1, 10, 10] y)
    ...     { y = AveragePool <kernel_shape = [3, 3]> (x) }
    ... ''')
    >>> found = occlusion(model, "y", 0, size=1, stride=1, fill=0.0, top=64)
    >>> found.found[0].side, found.found[0].theoretical, found.images.is_noise
    (3.0, (3.0, 3.0), True)
    """
    if seed < 0:
        raise QueryError("the seed has to be at least 0")
    check_vocabulary(vocabulary)
    began = time.monotonic()
    ready = prepared(
        model, [tensor], input, shapes=shapes, values=values, prune=prune, strict=strict,
        inputs=inputs, seed=seed, memory=memory, providers=providers,
    )  # fmt: skip
    taken = images_of(
        ready.analysis, ready.input, ready.base.dtype, images, layout=layout, mean=mean, std=std,
        scale=scale, resize=resize, most=most, seed=seed, below=vocabulary or _below(ready),
    )  # fmt: skip
    how = How(seconds, jobs, processes, executor, progress)
    asked = _Asked.of(ready, taken, tensor, units, size, stride, fill, top, level, vocabulary, seed)
    if store is not None:
        how = replace(how, store=Store(store, asked.made_of(ready.rows)))
    return _Measurement(asked, how, began).carried_out()


def _below(ready: Prepared) -> int | None:
    """What the whole numbers of an input of tokens are below, where random ones were drawn."""
    if ready.base.dtype.kind not in "iu" or ready.base.dtype.itemsize == 1:
        return None
    return int(ready.base.max()) + 1


@dataclass(frozen=True)
class _Asked:
    """What is to be found out, checked."""

    ready: Prepared
    images: Images
    tensor: str
    regions: tuple[Index, ...]
    theoretical: tuple[tuple[float, ...], ...]
    grid: Grid
    stride: tuple[int, ...]
    fill: str | float
    top: int
    level: float
    vocabulary: int | None
    seed: int

    @classmethod
    def of(
        cls, ready: Prepared, images: Images, tensor: str, units: Any, size: Any, stride: Any,
        fill: str | float, top: int, level: float, vocabulary: int | None, seed: int,
    ) -> _Asked:  # fmt: skip
        analysis, fitting = ready.analysis, images.fitting
        given = units if isinstance(units, list) else [units]
        if not given:
            raise QueryError("no unit is given", remedy="give a channel or a unit")
        if top < 1:
            raise QueryError(f"top={top}: no image is to be covered", remedy="give 1 or more")
        if not 0 < level <= 1:
            raise QueryError(f"level={level}: not a share", remedy="give a number from 0 to 1")
        if isinstance(fill, str) and fill not in FILLS:
            raise QueryError(
                f"fill '{fill}' is not known", remedy=f"give {', '.join(FILLS)} or a number"
            )
        if not isinstance(fill, str) and not isfinite(fill):
            raise QueryError("fill: what covers has to be a number")
        regions = [region_of(analysis, tensor, ready.input, fitting.layout, u) for u in given]
        fields = [_theoretical(analysis, tensor, ready.input, fitting.layout.spatial, r)
                  for r in regions]  # fmt: skip
        sizes, strides = _occluder(images, fields, size, stride)
        return cls(
            ready, images, tensor, tuple(regions), tuple(fields),
            Grid.of(fitting.size, sizes, strides), strides, fill, top, level, vocabulary, seed,
        )  # fmt: skip

    def made_of(self, rows: int) -> dict[str, Any]:
        """What decides on every number."""
        images = hashlib.sha256()
        for image in self.images:
            images.update(image.tobytes())
        return {
            "kind": "occlusion",
            "model": self.ready.network.key,
            "value": self.tensor,
            "unit": [str(region) for region in self.regions],
            "set of images": images.hexdigest(),
            "size": self.grid.size,
            "stride": self.stride,
            "fill": self.fill,
            "vocabulary": self.vocabulary,
            "top": self.top,
            "seed": self.seed,
            "number of rows": rows,
        }


def _theoretical(
    analysis: Analysis, tensor: str, input: str, axes: Sequence[int], region: Index
) -> tuple[float, ...]:
    """What a unit sees along the axes, away from the borders."""
    at = {axis: k for axis, k in enumerate(region) if not isinstance(k, slice)}
    found = []
    for axis in axes:
        side = analysis.field_along(tensor, input, axis, local=False, at=at)
        found.append(inf if side.is_global else float(side.size))
    return tuple(found)


def _occluder(
    images: Images, fields: Sequence[Sequence[float]], size: Any, stride: Any
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The sides of the occluder, and how far its places are apart."""
    fitting = images.fitting
    sides = fitting.size
    if size is None:
        least = [min(field[k] for field in fields) for k in range(len(sides))]
        size = [
            max(1, round(min(n / _OF_SIDE, field / _OF_FIELD)))
            for n, field in zip(sides, least, strict=True)
        ]
        if fitting.dtype.kind in "iu" and fitting.dtype.itemsize > 1:
            size = 1
    sizes = _each(size, len(sides), "size")
    if stride is None:
        stride = [max(1, round(_STEP * s)) for s in sizes]
    strides = _each(stride, len(sides), "stride")
    if any(step > s for step, s in zip(strides, sizes, strict=True)):
        raise QueryError(
            f"stride {_by(strides)} is more than size {_by(sizes)}: some elements are never covered"
        )
    return sizes, strides


def _each(given: int | Sequence[int], axes: int, name: str) -> tuple[int, ...]:
    """A number for each spatial axis."""
    found = tuple(int(n) for n in np.atleast_1d(given))
    found = found * axes if len(found) == 1 else found
    if len(found) != axes or min(found, default=1) < 1:
        raise QueryError(
            f"{name} {_by(found)}: give one number from 1 on, or one for each of {axes} axes"
        )
    return found


def _by(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))


# ---------------------------------------------------------------- covering


@dataclass(frozen=True)
class _Cover:
    """A task: runs of one image, in each of which some places are covered."""

    number: int
    image: int
    row: np.ndarray
    runs: tuple[tuple[int, ...], ...]
    units: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class _Covering:
    """Runs images with parts of them covered."""

    network: Network
    axes: tuple[int, ...]
    shape: tuple[int, ...]
    grid: Grid
    fill: str | float
    vocabulary: int | None
    seed: int
    rows: int

    def carry_out(self, task: _Cover) -> np.ndarray:
        """By run and unit: what the unit is."""
        found = np.empty((len(task.runs), len(task.units)))
        for first in range(0, len(task.runs), self.rows):
            some = task.runs[first : first + self.rows]
            batch = stacked([self._covered(task, run) for run in some], self.shape, self.rows)
            values = rows_of(self.network, self.network.run(batch), len(some))
            for k, value in enumerate(values):
                found[first + k] = [value[unit] for unit in task.units]
        return found

    def _covered(self, task: _Cover, places: Sequence[int]) -> np.ndarray:
        """A copy of the image with occluders at some places."""
        made = np.array(task.row)
        # The same elements, with those along spatial axes last.
        moved = np.moveaxis(made, self.axes, range(-len(self.axes), 0))
        whole = np.moveaxis(task.row, self.axes, range(-len(self.axes), 0))
        flat = whole.reshape(*whole.shape[: -len(self.axes)], -1)
        for place in places:
            block = self.grid.block(place)
            at: tuple[Any, ...] = (..., *block)
            moved[at] = self._patch(flat, (task.image, place))
        return made

    def _patch(self, flat: np.ndarray, of: tuple[int, int]) -> Any:
        """What covers, of an image and a place: the same in whatever run that is."""
        if not isinstance(self.fill, str):
            return self.fill
        if self.fill == "mean":
            mean = flat.mean(axis=-1)
            mean = np.rint(mean) if flat.dtype.kind in "iu" else mean
            return mean.reshape(*mean.shape, *[1] * len(self.axes))
        rng = np.random.default_rng((self.seed, *of))
        if self.vocabulary is not None and flat.dtype.kind in "iu":
            return rng.integers(0, self.vocabulary, (*flat.shape[:-1], *self.grid.size))
        return flat[..., rng.integers(0, flat.shape[-1], self.grid.size)]


class _Responses:
    """What each unit was in each run; what `_Covering` finds is added up.

    Parameters
    ----------
    sizes : sequence of (int, int)
        Runs and units of each task.
    """

    def __init__(self, sizes: Sequence[tuple[int, int]]) -> None:
        self._sizes = sizes
        self.found: list[np.ndarray] = []

    def add(self, result: np.ndarray) -> None:
        """Add what a task has shown."""
        self.found.append(result)

    def enough(self) -> bool:
        """Whether all is done."""
        return len(self.found) == len(self._sizes)

    def planned(self) -> int:
        """How many tasks there are."""
        return len(self._sizes)

    def state(self) -> dict[str, np.ndarray]:
        """All that was added, laid flat."""
        return {"values": np.concatenate([a.ravel() for a in self.found] or [np.empty(0)])}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from a state."""
        self.found, at = [], 0
        for runs, units in self._sizes:
            if at == len(state["values"]):
                break
            self.found.append(state["values"][at : at + runs * units].reshape(runs, units))
            at += runs * units


@dataclass(frozen=True)
class _Image:
    """An image that is to be covered: for which units, by region, and how."""

    number: int
    units: Mapping[int, tuple[int, ...]]
    seen: Mapping[int, np.ndarray]
    places: Mapping[int, np.ndarray]
    runs: list[tuple[int, ...]]


class _Measurement:
    """One call of `occlusion`."""

    def __init__(self, asked: _Asked, how: How, began: float) -> None:
        self._asked = asked
        self._how = how
        self._began = began
        self._ready = asked.ready
        self._axes = asked.images.fitting.layout.spatial
        # Runs of a task: as many as go at a time, or where that is one, not to be sent each alone.
        self._step = min(self._ready.rows if self._ready.rows > 1 else 16, _MOST)

    def carried_out(self) -> Occlusion:
        asked, images = self._asked, self._asked.images
        excitement = Excitement(len(images), len(asked.regions), self._ready.rows)
        looked = self._looked(excitement)
        chosen = list(self._chosen(excitement))
        responses = _Responses(
            [(min(self._step, len(image.runs) - first), len(image.units))
             for image in chosen for first in range(0, len(image.runs), self._step)]
        )  # fmt: skip
        covered = self._covered(chosen, responses, looked)
        maps = self._maps(chosen, responses, excitement)
        done = {image for of_region in maps for image, _ in of_region}
        found = tuple(
            UnitField(region, tuple(o for _, o in some), theoretical, asked.level)
            for region, some, theoretical in zip(
                asked.regions, maps, asked.theoretical, strict=True
            )
        )
        return Occlusion(
            self._ready.analysis, asked.tensor, self._ready.input, self._axes, found,
            asked.grid.size, asked.stride, asked.fill, images, excitement.seen,
            excitement.seen + sum(len(i.runs) for i in chosen if i.number in done),
            excitement.seen + asked.grid.number * len(done),
            time.monotonic() - self._began, looked.complete and covered.complete,
            looked.interrupted or covered.interrupted, asked.seed,
            tuple(self._notes(excitement, chosen, done, found, [looked, covered])),
        )  # fmt: skip

    def _looked(self, excitement: Excitement) -> Outcome:
        """Run all images as they are."""
        asked, seconds = self._asked, self._how.seconds
        how = self._how if seconds is None else replace(self._how, seconds=seconds / 2)
        looking = Looking(self._ready.network, asked.regions)
        tasks = looks(asked.images, self._ready.rows)
        return reduced(looking, tasks, excitement, how, "excited")

    def _chosen(self, excitement: Excitement) -> Iterator[_Image]:
        """The images that are covered, those first that excite a region most."""
        asked = self._asked
        wanted: dict[int, list[int]] = {}
        best = [excitement.best(region, asked.top) for region in range(len(asked.regions))]
        for rank in range(asked.top):
            for some in best:
                if rank < len(some):
                    wanted.setdefault(some[rank], [])
        for region, some in enumerate(best):
            if not some:
                raise RFGraphError(
                    f"'{asked.tensor}' is no number for any image, which tells nothing",
                    file=self._ready.analysis.file,
                )
            for image in some:
                wanted[image].append(region)
        for image, regions in wanted.items():
            units = {r: self._unit(r, int(excitement.where[image, r])) for r in regions}
            seen = {r: self._seen(unit) for r, unit in units.items()}
            places = {r: asked.grid.meeting(mask) for r, mask in seen.items()}
            yield _Image(image, units, seen, places, packed(list(places.values())))

    def _unit(self, region: int, where: int) -> tuple[int, ...]:
        """The unit at a place of a region that is laid flat."""
        index = self._asked.regions[region]
        extent = self._ready.analysis.extent(self._asked.tensor) or ()
        along = [
            range(n)[at] if isinstance(at, slice) else range(at, at + 1)
            for at, n in zip(index, extent, strict=True)
        ]
        at = np.unravel_index(where, [len(side) for side in along])
        return tuple(side[int(k)] for side, k in zip(along, at, strict=True))

    def _seen(self, unit: tuple[int, ...]) -> np.ndarray:
        """What a unit can see, along the spatial axes."""
        asked = self._asked
        support = self._ready.analysis.support(asked.tensor, unit, self._ready.input)
        if not support:
            raise QueryError(
                f"unit {','.join(map(str, unit))} of '{asked.tensor}' sees nothing of input "
                f"'{self._ready.input}'",
                file=self._ready.analysis.file,
            )
        return support.projection(self._axes)

    def _covered(self, chosen: list[_Image], responses: _Responses, looked: Outcome) -> Outcome:
        """Run images with parts of them covered."""
        if looked.interrupted:
            return Outcome(interrupted=True)
        asked, seconds = self._asked, self._how.seconds
        left = None if seconds is None else max(seconds - looked.seconds, 1e-3)
        covering = _Covering(
            self._ready.network, self._axes, asked.images.fitting.shape, asked.grid, asked.fill,
            asked.vocabulary, asked.seed, self._ready.rows,
        )  # fmt: skip
        tasks = self._tasks(chosen)
        return reduced(covering, tasks, responses, replace(self._how, seconds=left), "covered")

    def _tasks(self, chosen: list[_Image]) -> Iterator[_Cover]:
        number = 0
        for image in chosen:
            row = self._asked.images[image.number]
            for first in range(0, len(image.runs), self._step):
                runs = tuple(image.runs[first : first + self._step])
                yield _Cover(number, image.number, row, runs, tuple(image.units.values()))
                number += 1

    def _maps(
        self, chosen: list[_Image], responses: _Responses, excitement: Excitement
    ) -> list[list[tuple[int, Occluded]]]:
        """By region: what each image has shown, of those that were finished."""
        asked, analysis = self._asked, self._ready.analysis
        results = iter(responses.found)
        maps: list[list[tuple[int, Occluded]]] = [[] for _ in asked.regions]
        for image in chosen:
            parts = [next(results, None) for _ in range(0, len(image.runs), self._step)]
            whole = [part for part in parts if part is not None]
            if len(whole) < len(parts):
                break
            values = np.concatenate(whole)
            run_of = {place: k for k, run in enumerate(image.runs) for place in run}
            for column, (region, unit) in enumerate(image.units.items()):
                places = image.places[region]
                base = float(excitement.values[image.number, region])
                changes = np.abs(values[[run_of[p] for p in places.tolist()], column] - base)
                if not np.isfinite(changes).all():
                    raise RFGraphError(
                        f"'{asked.tensor}' is no number where {asked.images.name(image.number)} is "
                        "covered",
                        file=analysis.file,
                        remedy="cover with what the model is used to: fill='mean'",
                    )
                seen = image.seen[region]
                made = asked.grid.spread(places, changes, seen.shape) * seen
                laid = analysis.own(asked.tensor, unit, self._ready.input)
                own = tuple(laid[axis] for axis in self._axes)
                name = asked.images.name(image.number)
                found = Occluded(image.number, name, unit, base, seen, own, made)
                maps[region].append((image.number, found))
        if not all(maps):
            raise RFGraphError(
                "no image was finished for each unit before it was ended",
                file=analysis.file,
                remedy="allow more with seconds=, on the command line --seconds",
            )
        for of_region in maps:
            of_region.sort(key=lambda found: -found[1].value)
        return maps

    def _notes(
        self, excitement: Excitement, chosen: list[_Image], done: set[int],
        found: Sequence[UnitField], outcomes: Sequence[Outcome],
    ) -> Iterator[str]:  # fmt: skip
        """What is to be known."""
        images = self._asked.images
        if images.is_noise:
            yield "no images were given: to real ones units may respond in another way"
        if excitement.seen < len(images):
            yield f"{excitement.seen:,} of {len(images):,} images were run before it was ended"
        if len(done) < len(chosen):
            yield f"{len(done):,} of {len(chosen):,} images were covered before it was ended"
        for each in found:
            if not each.side:
                yield (
                    "what covers made no difference to unit "
                    f"{','.join(map(str, each.images[0].unit))}"
                )
        for outcome in outcomes:
            yield from outcome.notes
        yield from self._ready.notes
        below = self._ready.below
        if images.is_noise and self._asked.vocabulary is None and below is not None:
            yield f"random whole numbers for '{self._ready.input}' are below {below}"


__all__ = ["FILLS", "occlusion"]
