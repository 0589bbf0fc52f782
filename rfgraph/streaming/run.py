"""Running a model on a stream, chunk by chunk, with onnxruntime."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any

import numpy as np

from rfgraph.errors import QueryError, RFGraphError
from rfgraph.streaming.way import Moving
from rfgraph.streaming.writer import OpenShapes, dtype_of, sized
from rfgraph.tiling.axes import AxisPlan

# Chunks that are longer are cut.
_LONGEST = 1 << 16

Arrays = dict[str, np.ndarray]

# A shape, with names for sizes that are open, and an element type.
Typed = tuple[Sequence[int | str], np.dtype]


class Stream(ABC):
    """A stream through a model: samples in, the steps of the outputs that they make out.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        Has the model open.
    streams : sequence of (str, int)
        The inputs that are streams, and their time axis.
    whole : mapping of str to ndarray
        The other inputs.
    axes : mapping of str to int
        The outputs, and their time axis.
    shapes : mapping of str to tuple
        Shapes and types of streams and outputs, with a name for what is open.
    file : str or None
        The model, for messages.

    Attributes
    ----------
    axes : dict of str to int
        The outputs, and their time axis.
    samples : int
        How many were pushed.
    """

    def __init__(
        self,
        session: Any,
        streams: Sequence[tuple[str, int]],
        whole: Mapping[str, np.ndarray],
        axes: Mapping[str, int],
        shapes: Mapping[str, Typed],
        file: str | None,
    ) -> None:
        self._session, self._streams, self._whole = session, tuple(streams), dict(whole)
        self.axes, self._shapes, self._file = dict(axes), shapes, file
        # Samples that are still to be read, and where the first of them is.
        self._held: Arrays = {}
        self._begin = 0
        self.samples = 0
        self._is_finished = False
        # What was computed and not given yet.
        self._made: dict[str, list[np.ndarray]] = {name: [] for name in self.axes}

    def push(self, chunk: np.ndarray | Mapping[str, np.ndarray]) -> Any:
        """Hear some samples.

        Parameters
        ----------
        chunk : ndarray or mapping of str to ndarray
            Any number of samples of each stream, none too; the array alone where there is one.

        Returns
        -------
        ndarray or dict of str to ndarray
            The steps of each output that these make complete; the array alone where there is one.

        Raises
        ------
        QueryError
            The stream has ended, or chunks don't fit.
        RFGraphError
            onnxruntime can't run the model.
        """
        if self._is_finished:
            raise QueryError("the stream has ended", file=self._file)
        chunks = self._chunks(chunk)
        name, axis = self._streams[0]
        count = chunks[name].shape[axis]
        # Most of the time nothing is left of the last chunk.
        for first in range(0, count, _LONGEST):
            for each, k in self._streams:
                part = chunks[each][along(k, first, min(first + _LONGEST, count))]
                held = self._held.get(each)
                if held is not None and held.shape[k]:
                    part = np.concatenate([held, part], k)
                self._held[each] = part
            self.samples += min(first + _LONGEST, count) - first
            self._advance()
        if not self._held:
            self._held = chunks
        return self._given()

    def finish(self) -> Any:
        """Hear that there are no more samples.

        Returns
        -------
        ndarray or dict of str to ndarray
            The steps that are left, as of `push`.

        Raises
        ------
        QueryError
            The stream has ended before, nothing was pushed, or the model does not take so many
            samples.
        RFGraphError
            onnxruntime can't run the model.
        """
        if self._is_finished or not self._held:
            raise QueryError(
                "the stream has ended" if self._is_finished else "the stream has no samples",
                file=self._file,
            )
        self._is_finished = True
        self._flush()
        return self._given()

    @abstractmethod
    def _advance(self) -> None:
        """Compute what can be computed."""

    @abstractmethod
    def _flush(self) -> None:
        """Compute what is left, now that the end is known."""

    def _keep(self, output: str, made: np.ndarray, begin: int, until: int | None) -> None:
        """Give some of the steps that were computed."""
        part = made[along(self.axes[output], begin, until)]
        if part.shape[self.axes[output]]:
            self._made[output].append(part)

    def _chunks(self, chunk: np.ndarray | Mapping[str, np.ndarray]) -> Arrays:
        names = [name for name, _ in self._streams]
        if not isinstance(chunk, Mapping):
            if len(names) != 1:
                raise QueryError(
                    f"one array, and the model has {len(names)} streams",
                    file=self._file,
                    remedy=f"give a mapping of {', '.join(names)}",
                )
            chunk = {names[0]: chunk}
        found, counts = {}, set()
        for name, axis in self._streams:
            if name not in chunk:
                raise QueryError(f"there is no chunk of stream '{name}'", file=self._file)
            found[name] = np.asarray(chunk[name])
            if found[name].ndim <= axis:
                raise QueryError(
                    f"the chunk of stream '{name}' has {found[name].ndim} axes, and time is axis "
                    f"{axis}",
                    file=self._file,
                )
            counts.add(found[name].shape[axis])
        if len(counts) > 1:
            raise QueryError(f"chunks differ in length: {sorted(counts)}", file=self._file)
        return found

    def _none(self, output: str) -> np.ndarray:
        """No steps of an output."""
        shape, dtype = self._shapes[output]
        sizes = self._sizes()
        dims = [sized(n, sizes) for n in shape]
        dims[self.axes[output]] = 0
        return np.zeros(dims, dtype)

    def _sizes(self) -> dict[str, int]:
        """The sizes of what is open, as chunks have them."""
        found = {}
        for name, _ in self._streams:
            pairs = zip(self._shapes[name][0], self._held[name].shape, strict=False)
            found.update({dim: size for dim, size in pairs if isinstance(dim, str)})
        return found

    def _run(self, feeds: Arrays, outputs: Sequence[str]) -> list[np.ndarray]:
        feeds = {name: np.ascontiguousarray(value) for name, value in feeds.items()}
        try:
            made: list[np.ndarray] = self._session.run(list(outputs), feeds)
        except Exception as error:  # what is raised differs from fault to fault
            said = " ".join(str(error).split())[:300]
            raise RFGraphError(f"onnxruntime can't run a chunk: {said}", file=self._file) from error
        return made

    def _given(self) -> Any:
        """What was computed since."""
        found: Arrays = {}
        for name, axis in self.axes.items():
            parts = self._made[name]
            if len(parts) > 1:
                found[name] = np.concatenate(parts, axis)
            else:
                found[name] = parts[0] if parts else self._none(name)
            self._made[name] = []
        return found if len(found) > 1 else next(iter(found.values()))


class ContextStream(Stream):
    """A stream through the model as it is: each chunk is run with the samples before it.

    How much is computed anew is the look-back, for each chunk. `Plan.open` makes one.

    Parameters
    ----------
    found : Moving
        How values move along the stream.
    axis : AxisPlan
        The time axis, cut as tiles are.
    outputs : sequence of str
        The outputs that are wanted.
    session : onnxruntime.InferenceSession
        What runs the model.
    whole : mapping of str to array
        The inputs that are no streams.
    """

    def __init__(
        self,
        found: Moving,
        axis: AxisPlan,
        outputs: Sequence[str],
        session: Any,
        whole: Mapping[str, np.ndarray],
    ) -> None:
        streams = found.at.axes
        open_shapes = OpenShapes(found)
        shapes = {
            name: (open_shapes.shape(name), dtype_of(found, name))
            for name in (*outputs, *dict(streams))
        }
        axes = {name: axis.outputs[name].axis for name in outputs}
        super().__init__(session, streams, whole, axes, shapes, found.at.analysis.file)
        self._axis = axis
        # Samples whose steps are out.
        self._done = 0

    def _advance(self) -> None:
        axis = self._axis
        step = axis.alignment
        end = self.samples
        end -= min((end - residue) % step for residue in axis.sizes)
        last = (end - axis.after) // step * step
        # What is shorter than the model takes waits.
        if last > self._done and end >= axis.smallest:
            self._compute(end, last)
            self._forget()

    def _flush(self) -> None:
        axis = self._axis
        if self.samples % axis.alignment not in axis.sizes:
            raise QueryError(
                f"the stream has {self.samples} samples, and the model takes {axis.sizes_text}",
                file=self._file,
                remedy="push samples until it has",
            )
        self._compute(self.samples, None)

    def _compute(self, end: int, last: int | None) -> None:
        """The steps of samples up to `last`, from the model run up to `end`."""
        first = self._first(min(self._done - self._axis.margin[0], end - self._axis.smallest))
        feeds = dict(self._whole)
        for name, k in self._streams:
            feeds[name] = self._held[name][along(k, first - self._begin, end - self._begin)]
        names = list(self.axes)
        for name, made in zip(names, self._run(feeds, names), strict=True):
            follows = self._axis.outputs[name]
            begin = int((self._done - first) * follows.scale)
            until = None if last is None else int((last - first) * follows.scale)
            self._keep(name, made, begin, until)
        self._done = end if last is None else last

    def _first(self, sample: int) -> int:
        """Where a chunk may begin, at a sample or before."""
        return max(sample // self._axis.alignment * self._axis.alignment, 0)

    def _forget(self) -> None:
        """Leave out the samples that nothing needs any more."""
        begin = self._first(self._done - max(self._axis.margin[0], self._axis.smallest))
        for name, k in self._streams:
            self._held[name] = self._held[name][along(k, begin - self._begin, None)].copy()
        self._begin = begin


def through(
    stream: Stream,
    streams: Sequence[tuple[str, int]],
    inputs: Mapping[str, np.ndarray],
    chunks: int | Iterable[int],
) -> Any:
    """All of the inputs through a stream, in chunks of some sizes; what is left comes at once."""
    name, axis = streams[0]
    total, first = inputs[name].shape[axis], 0
    sizes = repeat(chunks, -(-total // chunks)) if isinstance(chunks, int) else iter(chunks)
    given = []
    while first < total:
        last = min(first + next(sizes, total), total)
        given.append(stream.push({n: inputs[n][along(k, first, last)] for n, k in streams}))
        first = last
    given.append(stream.finish())
    if isinstance(given[0], dict):
        axes = stream.axes
        return {n: np.concatenate([part[n] for part in given], k) for n, k in axes.items()}
    return np.concatenate(given, next(iter(stream.axes.values())))


def along(axis: int, begin: int, end: int | None) -> tuple[slice, ...]:
    """What cuts an array along one axis."""
    return (slice(None),) * axis + (slice(begin, end),)


__all__ = ["ContextStream", "Stream", "along", "through"]
