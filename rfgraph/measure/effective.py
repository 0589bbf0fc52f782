"""Effective fields: how much a unit changes, on average, with each element that it can see.

Elements are changed by a small amount to both sides, and the difference of what comes of it is
divided by that of the changes, as in a central difference: no gradients are asked for.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from itertools import count
from math import isfinite
from typing import Any

import numpy as np

from rfgraph.analysis import Analysis
from rfgraph.analysis.inputs import Model
from rfgraph.errors import QueryError
from rfgraph.measure.by_node import ByNode
from rfgraph.measure.by_node import by_node as chained
from rfgraph.measure.images import Images, check_vocabulary, images_of
from rfgraph.measure.perturbing import Job, Maps, Task, random_image
from rfgraph.measure.runs import (
    MEMORY,
    How,
    Outcome,
    Prepared,
    prepared,
    reduced,
)
from rfgraph.measure.sampling import Grid, grid_of
from rfgraph.measure.spread import Effective, mean_of, standard_error
from rfgraph.measure.stored import Store
from rfgraph.version import VERSION

# The images are dealt into so many groups, which tell how much the result would vary.
GROUPS = 16

# Unless the step is given, a map has about so many cells at most.
_MOST_CELLS = 1024

# So many elements of all values together a task computes at most, if that allows for one grid.
_MOST_ELEMENTS = 1 << 31


def effective(
    model: Model,
    tensor: str,
    input: str | None = None,
    images: Any = None,
    *,
    preparing: Mapping[str, Any] | None = None,
    units: Sequence[int | slice] | None = None,
    step: int | Sequence[int] | None = None,
    error: float = 0.05,
    seconds: float | None = 60.0,
    seed: int = 0,
    vocabulary: int | None = None,
    change: float | None = None,
    by_node: bool = False,
    shapes: Mapping[str, Sequence[int]] | None = None,
    values: Mapping[str, Any] | None = None,
    prune: bool = False,
    strict: bool = False,
    inputs: Mapping[str, Any] | None = None,
    jobs: int = 0,
    processes: bool = False,
    executor: Executor | None = None,
    providers: Sequence[str] = ("CPUExecutionProvider",),
    memory: int = MEMORY,
    store: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Effective:
    """Measure how much the units of a value change with each element that they can see.

    Each number of the map is the mean, over images and units, of ``|y(x + h) - y(x - h)| / 2h``:
    what a unit ``y`` changes by if the element at that offset from the unit's own place is changed
    by ``h`` to both sides. Elements are changed together where no unit sees two of them, so that
    one pass tells of every unit.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
        The model, with its weights.
    tensor : str
        The value.
    input : str, optional
        The input that is changed; may be left out where the value depends on only one.
    images : path, array or iterable, optional
        What the input is: a folder of pictures, an array, whatever
        `rfgraph.measure.images_of` takes, or what it gives. If left out what `inputs`
        gives, else noise: normal numbers of mean 0 and standard deviation 1, or whole ones of the
        range below; new ones for each task.
    preparing : mapping of str to object, optional
        How images are made to fit the input: ``mean``, ``std``, ``scale``, ``resize``, ``layout``
        and ``most`` of `images_of`.
    units : sequence of int or slice, optional
        The units, one coordinate an axis of the value; all if left out.
    step : int or sequence of int, optional
        How many elements share a cell of the map along each axis along which fields move, or along
        every axis of the input: of these one is drawn for each pass. If left out as few as make at
        most 1024 cells, and along the other axes, such as the channels, all or one.
    error : float, optional
        It ends when the relative standard error of the map, normalised to a sum of 1, is no
        larger: the root of the sum of all squared standard errors by that of all squared numbers.
    seconds : float, optional
        No task begins after so many seconds, whatever the error is then, but one is always
        finished. None: it ends with the error alone.
    seed : int, optional
        Of noise, and of all that is drawn.
    vocabulary : int, optional
        Inputs of whole numbers, such as tokens, are changed to others below this one. If left out
        to others of the range that the images have. The map is then of changes by replacement.
    change : float, optional
        How far numbers are changed, as a share of the standard deviation of the image. If left out
        the least of 0.02 to 1 by which the value moves well above its rounding; by node 0.01.
    by_node : bool, optional
        Of a single unit: measure how each node on the way changes with its own input, and put that
        together by the chain rule. It takes far fewer passes, as gradients do; but all on the way
        has to be made of plain numbers that change little by little.
    shapes, values, prune, strict
        As for `rfgraph.analyze`.
    inputs : mapping of str to array, optional
        What the other inputs are; random numbers, the same in all passes, if left out.
    jobs : int, optional
        Passes at a time; as many as there are processors if left out.
    processes : bool, optional
        Whether these are processes; else threads.
    executor : concurrent.futures.Executor, optional
        Who makes the passes, such as dask's ``client.get_executor()``; `jobs` is then how many
        workers it is taken to have.
    providers : sequence of str, optional
        Execution providers of onnxruntime.
    memory : int, optional
        About how many bytes the values of one pass may take: as many rows make a batch.
    store : path, optional
        A folder where what was measured is kept as a zarr group, and gone on from.
    progress : callable, optional
        Is told how many tasks are done, and about how many there will be.

    Returns
    -------
    Effective
        The map, its standard errors, and figures of how wide it is. Where images are given it
        ends, too, when each of them was used for every cell. A `KeyboardInterrupt` ends it
        early, and is told by ``interrupted``. With the same seed it is the same bit for bit, by
        however many workers and in however many parts it was made, unless the time ended it.

    Raises
    ------
    ModelError, ShapeError
        As for `rfgraph.analyze`.
    QueryError
        There is no such value, input or unit; an image does not fit; or an option makes no sense.
    RFGraphError
        onnxruntime, or zarr for `store`, is not installed; or the model can't be run.

    Notes
    -----
    The central difference of a single element is what W. Luo, Y. Li, R. Urtasun and R. Zemel,
    *Understanding the effective receptive field in deep convolutional neural networks*, NeurIPS
    2016, take the gradient for. docs/measured.md says how close both are.

    Examples
    --------
    A convolution of two taps of 1 and 3, over noise: what it is made of is found exactly.

    >>> import onnx.parser
    >>> model = onnx.parser.parse_model('''
    ...     <ir_version: 8, opset_import: ["" : 17]>
    ...     net (float[1, 1, 32] x) => (float[1, 1, 31] y)
    ...     <float[1, 1, 2] W = {1, 3}> { y = Conv (x, W) }
    ... ''')
    >>> found = effective(model, "y")
    >>> found.map.round(3), found.passes
    (array([[[1., 3.]]]), 32)
    """
    if not error > 0:
        raise QueryError("error has to be greater than 0")
    if change is not None and not (change > 0 and isfinite(change)):
        raise QueryError("change has to be a number greater than 0")
    check_vocabulary(vocabulary)
    if seed < 0:
        raise QueryError("the seed has to be at least 0")
    began = time.monotonic()
    ready = prepared(
        model,
        [tensor],
        input,
        shapes=shapes,
        values=values,
        prune=prune,
        strict=strict,
        inputs=inputs,
        seed=seed,
        memory=memory,
        providers=providers,
    )
    if images is None and (inputs or {}).get(ready.input) is not None:
        images = [ready.base]
    some = _images(ready, images, preparing or {})
    measuring = _Measuring(
        ready, tensor, some, units, step, error, seed, vocabulary, change, by_node=by_node
    )
    how = How(seconds, jobs, processes, executor, progress, measuring.kept(store))
    outcome = reduced(measuring.job, measuring.tasks(), measuring.into, how)
    outcome.seconds = time.monotonic() - began
    return measuring.result(outcome)


def _images(ready: Prepared, given: Any, options: Mapping[str, Any]) -> Images | None:
    """The images, made to fit; None for noise."""
    if given is None or isinstance(given, Images):
        return given
    return images_of(ready.analysis, ready.input, ready.base.dtype, given, **options)


class _Measuring:
    """One call of `effective`."""

    def __init__(
        self,
        ready: Prepared,
        tensor: str,
        images: Images | None,
        units: Sequence[int | slice] | None,
        step: int | Sequence[int] | None,
        error: float,
        seed: int,
        vocabulary: int | None,
        change: float | None,
        *,
        by_node: bool,
    ) -> None:
        self._ready = ready
        self._tensor = tensor
        self._images = images
        self._error = error
        analysis = ready.analysis
        grid = grid_of(analysis, tensor, ready.input, units, step, _MOST_CELLS)
        dtype = ready.base.dtype
        self._vocabulary = vocabulary
        range_ = (0, 2)
        if dtype.kind in "iu":
            range_ = (0, vocabulary) if vocabulary is not None else self._range()
        self.job: Job | ByNode
        if by_node:
            self.job = chained(ready, tensor, grid, seed, self._references(grid, seed), change)
            self._group()
            return
        each = min(max(ready.rows // 2, -(-grid.phases // GROUPS)), grid.phases)
        # Tasks of large values end in some seconds.
        each = max(1, min(each, _MOST_ELEMENTS // (2 * ready.elements)))
        job = Job(ready.network, grid, ready.rows, each, seed, dtype, range_)
        if change is None:
            self.job = job.tuned(None if images is None else self._fitting(0, grid.shape, dtype))
        else:
            self.job = replace(job, amplitude=change)
        self._group()

    def _group(self) -> None:
        """Into how many groups images are dealt, and what adds them up."""
        self._groups = GROUPS if self._images is None else min(len(self._images), GROUPS)
        cells = int(np.prod(self.job.grid.cells))
        self.into = Maps(cells, self.job.tasks_a_sweep, self._groups, self._error)

    def _references(self, grid: Grid, seed: int) -> list[np.ndarray]:
        """Two images that differ, by which what is linear is told."""
        dtype = self._ready.base.dtype
        rngs = [np.random.default_rng((seed, 4, k)) for k in range(2)]
        if self._images is None:
            return [random_image(rng, grid.shape, dtype, (0, 2)) for rng in rngs]
        first = self._fitting(0, grid.shape, dtype)
        if len(self._images) > 1:
            return [first, self._fitting(len(self._images) // 2, grid.shape, dtype)]
        # The same numbers elsewhere.
        return [first, rngs[0].permutation(first.ravel()).reshape(first.shape)]

    def _range(self) -> tuple[int, int]:
        """The least whole number that images have, and one more than the greatest."""
        if self._images is None:
            # Random whole numbers that the model is known to accept.
            some = [self._ready.base]
        else:
            some = [np.asarray(self._images[k]) for k in range(min(len(self._images), GROUPS))]
        return min(int(a.min()) for a in some), max(int(a.max()) for a in some) + 1

    def tasks(self) -> Iterator[Task]:
        """All tasks; with noise they have no end."""
        if self._images is None:
            yield from (Task(number, None, number % self._groups) for number in count())
            return
        many, sweep = len(self._images), self.job.tasks_a_sweep
        for number in range(many * sweep):
            # In each sweep an image has another part of the grids.
            at = (number % sweep + number // sweep) % many
            image = self._fitting(at, self.job.grid.shape, self.job.dtype)
            yield Task(number, image, at % self._groups)

    def _fitting(self, number: int, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """An image, as the input is."""
        assert self._images is not None
        image = np.ascontiguousarray(self._images[number], dtype)
        if image.shape != shape:
            # The model has a batch of its own.
            image = np.repeat(image, shape[0], axis=0)
        return image

    def kept(self, path: str | None) -> Store | None:
        """Where what is measured is kept."""
        if path is None:
            return None
        import onnxruntime

        grid, job = self.job.grid, self.job
        images = None
        if self._images is not None:
            digest = hashlib.sha256()
            for number in range(len(self._images)):
                digest.update(self._fitting(number, grid.shape, job.dtype).tobytes())
            images = digest.hexdigest()
        return Store(
            path,
            {
                "kind": "effective field",
                "way": "by node" if isinstance(job, ByNode) else "as a whole",
                "version": VERSION,
                "onnxruntime": onnxruntime.__version__,
                "model": job.network.key,
                "value": self._tensor,
                "input": job.network.input,
                "shape": grid.shape,
                "units": [[at.start, at.stop, at.step] for at in grid.units],
                "step": grid.step,
                "batch": [job.rows, job.each],
                "seed": job.seed,
                "change": job.amplitude,
                "range": job.range,
                "images": images,
                "providers": list(job.network.providers),
            },
        )

    def result(self, outcome: Outcome) -> Effective:
        """What was found."""
        analysis, grid, into = self._ready.analysis, self.job.grid, self.into
        node = analysis.node(self._tensor)
        known = len(self._images) if self._images is not None else into.tasks
        notes = [*self._ready.notes, *outcome.notes, *map(str, analysis.notes)]
        below, replaced = self._ready.below, self.job.dtype.kind in "iub"
        if self._images is None and self._vocabulary is None and below is not None:
            notes.append(f"random whole numbers for '{self._ready.input}' are below {below}")
        apart = unlaid(analysis, self._tensor, self._ready.input)
        if apart:
            axes = f"{'axes' if len(apart) > 1 else 'axis'} {' and '.join(map(str, apart))}"
            notes.append(
                f"units can't be laid over each other along {axes} of '{self._ready.input}': "
                "figures are of the coordinates that all of them see together"
            )
        if self._images is not None and outcome.complete and not into.enough():
            notes.append(
                "all images were used for every cell: the error is that of so few images"
                if len(self._images) > 1
                else "one image: nothing tells how much others differ"
            )
        unsampled = float((into.hits.sum(axis=0) == 0).mean())
        if into.tasks < self.job.tasks_a_sweep and unsampled:
            share = "less than 1%" if unsampled < 0.01 else f"{unsampled:.0%}"
            notes.append(f"{share} of the cells were not sampled, and count as 0")
        is_one = isinstance(self.job, Job) and grid.support is not None
        if is_one and not outcome.complete and not replaced:
            notes.append("of a single unit it takes fewer passes with --by-node, by_node=True")
        if into.tasks and not into.sums.any():
            notes.append("nothing has moved: changes are lost in rounding, or cancel each other")
        return Effective(
            tensor=self._tensor,
            operator=node.op_type if node else "input",
            input=self._ready.input,
            shape=grid.shape,
            units=grid.units,
            axes=_shown(analysis, grid, self._ready.input),
            first=grid.first,
            extent=grid.extent,
            step=grid.step,
            map=mean_of(into.sums.sum(axis=0), into.hits.sum(axis=0)).reshape(grid.cells),
            error=standard_error(into.sums, into.hits).reshape(grid.cells),
            centre=_centre(analysis, self._tensor, self._ready.input, grid),
            theoretical=_theoretical(analysis, self._tensor, self._ready.input, grid),
            passes=into.passes,
            images=min(known, into.tasks),
            is_noise=self._images is None,
            is_replacement=replaced,
            complete=outcome.complete,
            interrupted=outcome.interrupted,
            seconds=outcome.seconds,
            seed=self.job.seed,
            change=None if replaced else self.job.amplitude,
            notes=tuple(notes),
            groups=(into.sums, into.hits),
            file=analysis.file,
        )


def _shown(analysis: Analysis, grid: Grid, input: str) -> tuple[int, ...]:
    """The axes of the input along which figures are told: those along which fields move."""
    moving = analysis.moving_axes(input)
    return tuple(axis for axis in moving if grid.shape[axis] > 1) or tuple(moving[:1])


def unlaid(analysis: Analysis, tensor: str, input: str) -> list[int]:
    """The axes of the input along which fields move, but in no way that is the same for all units:
    as of attention inside of windows, or the weights of attention.
    """
    return [
        axis
        for axis in analysis.moving_axes(input)
        if analysis.places(tensor, input, axis) is None
        and not analysis.field_along(tensor, input, axis, local=False).is_global
    ]


def _centre(analysis: Analysis, tensor: str, input: str, grid: Grid) -> tuple[float, ...]:
    """By axis of the input, the offset of the middle of a unit's own elements.

    The value is laid over the middle of the input, as for the halo. Along axes over which it can't
    be laid it is the middle of the input.
    """
    found = []
    for axis, size in enumerate(grid.shape):
        places = analysis.places(tensor, input, axis)
        if places is None:
            found.append((size - 1) / 2)
            continue
        first, last = places
        middle = float((last - first).flat[0]) / 2
        side = analysis.field_along(tensor, input, axis, local=False)
        halo = analysis.halo(tensor, input, axis, local=False)
        if halo is not None and all(map(isfinite, (*halo, side.back, side.ahead))):
            # Both are whole numbers, rounded up.
            middle += float((halo[0] - side.back) + (side.ahead - halo[1])) / 2
        found.append(round(2 * middle) / 2)
    return tuple(found)


def _theoretical(analysis: Analysis, tensor: str, input: str, grid: Grid) -> tuple[int, ...]:
    """By axis of the input, the size of the field; of what is global that of the input."""
    found = []
    for axis, size in enumerate(grid.shape):
        told = analysis.field_along(tensor, input, axis, local=False).size
        seen = int((grid.hi[axis] - grid.lo[axis]).max()) + 1
        found.append(int(told) if isfinite(told) else min(seen, size))
    return tuple(found)


__all__ = ["effective", "unlaid"]
