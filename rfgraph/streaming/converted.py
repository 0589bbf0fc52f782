"""The converted model: the file, what a loop has to know of it, and a stream through it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper

from rfgraph.errors import QueryError
from rfgraph.streaming.lengths import Length
from rfgraph.streaming.run import Arrays, Stream, Typed, along
from rfgraph.streaming.writer import UNKNOWN_LENGTH, State, sized
from rfgraph.tiling.axes import up
from rfgraph.worker.source import opened

# Where a converted model says how it is to be run: see docs/streaming.md.
KEY = "rfgraph.streaming"


@dataclass(frozen=True)
class StreamedOutput:
    """An output of a converted model.

    Attributes
    ----------
    output : str
        Its name.
    axis : int
        Its time axis.
    steps : int
        How many steps there are for a hop of samples.
    delay : int
        How many steps come before the first one of the model.
    length : tuple of (int, int, int)
        How many steps there are of so many samples in all: to go through, from the number of
        samples on, as ``(number * times + plus) // by``.
    """

    output: str
    axis: int
    steps: int
    delay: int
    length: tuple[tuple[int, int, int], ...]

    def count(self, samples: int) -> int:
        """The steps that the model gives for so many samples.

        Parameters
        ----------
        samples : int
            How many samples there are in all.

        Returns
        -------
        int
            How many steps.
        """
        return Length(self.length).of(samples)


@dataclass(frozen=True)
class StreamingModel:
    """A model with explicit states, and how to run it.

    Attributes
    ----------
    model : onnx.ModelProto
        The model.
    hop : int
        A chunk has a multiple of so many samples.
    streams : tuple of (str, int)
        The inputs that are streams, and their time axis.
    whole : tuple of str
        The inputs that every chunk gets whole.
    outputs : tuple of StreamedOutput
        The outputs.
    states : tuple of State
        The states; what is given back before the next chunk.
    length : str or None
        The input for the number of samples that there are in all, `UNKNOWN_LENGTH` as long as that
        is not known; None if there is none, as the model needs no end.
    """

    model: onnx.ModelProto = field(repr=False)
    hop: int
    streams: tuple[tuple[str, int], ...]
    whole: tuple[str, ...]
    outputs: tuple[StreamedOutput, ...]
    states: tuple[State, ...]
    length: str | None

    def open(
        self, session: Any = None, whole: Mapping[str, np.ndarray] | None = None
    ) -> StateStream:
        """A stream through the model.

        Parameters
        ----------
        session : onnxruntime.InferenceSession, optional
            One that has the model open; one is made if left out.
        whole : mapping of str to ndarray, optional
            The inputs that are no streams, and states to begin with.

        Returns
        -------
        StateStream
            ``push(chunk)`` and ``finish()`` give the steps that become complete.

        Raises
        ------
        RFGraphError
            onnxruntime is not installed, or can't open the model.
        """
        model = self.model.SerializeToString() if session is None else session
        return StateStream(self, opened(model, None), whole or {})

    @property
    def described(self) -> dict[str, Any]:
        """What the file says of itself."""
        return {
            "version": 1,
            "hop": self.hop,
            "streams": [{"input": name, "axis": axis} for name, axis in self.streams],
            "whole": list(self.whole),
            "outputs": [asdict(output) for output in self.outputs],
            "states": [{**asdict(state), "initial": _told(state.initial)} for state in self.states],
            "length": self.length,
        }


def _told(number: float) -> float | str:
    """A number as JSON has it, which knows none that is infinite."""
    return number if np.isfinite(number) else str(number)


class StateStream(Stream):
    """A stream through a converted model: nothing is computed twice.

    `StreamingModel.open` makes one.

    Parameters
    ----------
    converted : StreamingModel
        The model.
    session : onnxruntime.InferenceSession
        What runs it.
    whole : mapping of str to array
        The inputs that are no streams, and states to begin with others than those of the model.
    """

    def __init__(
        self, converted: StreamingModel, session: Any, whole: Mapping[str, np.ndarray]
    ) -> None:
        axes = {output.output: output.axis for output in converted.outputs}
        graph = converted.model.graph
        shapes = {each.name: _typed(each) for each in (*graph.input, *graph.output)}
        others = {name: whole[name] for name in converted.whole if name in whole}
        super().__init__(session, converted.streams, others, axes, shapes, None)
        self._converted = converted
        names = [state.input for state in converted.states]
        self._first = {name: np.asarray(whole[name]) for name in names if name in whole}
        self._states: Arrays = {}
        # By output: how many steps before the first one are still to come, how many were given,
        # and those that came and may turn out to be behind the end.
        self._early = {output.output: output.delay for output in converted.outputs}
        self._gave = dict.fromkeys(self._early, 0)
        self._left: dict[str, Any] = dict.fromkeys(self._early)

    def _advance(self) -> None:
        name, axis = self._streams[0]
        there = self._held[name].shape[axis]
        whole = there - there % self._converted.hop
        if whole:
            chunk = {n: self._held[n][along(k, 0, whole)] for n, k in self._streams}
            self._held = {n: self._held[n][along(k, whole, None)] for n, k in self._streams}
            self._compute(chunk, UNKNOWN_LENGTH)

    def _flush(self) -> None:
        hop = self._converted.hop
        chunk = {}
        for name, k in self._streams:
            held = self._held[name]
            more = up(held.shape[k], hop) - held.shape[k]
            pads = [(0, more if axis == k else 0) for axis in range(held.ndim)]
            chunk[name] = np.pad(held, pads)
        name, k = self._streams[0]
        if chunk[name].shape[k]:
            self._compute(chunk, self.samples)
        while any(
            self._gave[output.output] < output.count(self.samples)
            for output in self._converted.outputs
        ):
            empty = {}
            for name, k in self._streams:
                shape = list(self._held[name].shape)
                shape[k] = hop
                empty[name] = np.zeros(shape, self._held[name].dtype)
            self._compute(empty, self.samples)

    def _compute(self, chunk: Arrays, length: int) -> None:
        if not self._states:
            self._states = self._initial()
        feeds = {**self._whole, **chunk, **self._states}
        if self._converted.length is not None:
            feeds[self._converted.length] = np.array(length)
        names = [*self.axes, *(state.output for state in self._converted.states)]
        made = dict(zip(names, self._run(feeds, names), strict=True))
        self._states = {state.input: made[state.output] for state in self._converted.states}
        for output in self._converted.outputs:
            name, axis = output.output, output.axis
            part = made[name]
            early = min(self._early[name], part.shape[axis])
            self._early[name] -= early
            part = part[along(axis, early, None)]
            if self._left[name] is not None:
                part = np.concatenate([self._left[name], part], axis)
            # Samples may still come, never fewer: so many steps there will be.
            ready = min(part.shape[axis], output.count(self.samples) - self._gave[name])
            self._keep(name, part, 0, ready)
            self._gave[name] += ready
            left = part[along(axis, ready, None)]
            self._left[name] = left if left.shape[axis] else None

    def _initial(self) -> Arrays:
        """The states before the first chunk."""
        sizes = self._sizes()
        found = {}
        for state in self._converted.states:
            shape = [sized(n, sizes) for n in state.shape]
            found[state.input] = np.full(shape, state.initial, state.dtype)
            if state.input in self._first:
                found[state.input] = self._first[state.input]
        return found


def _typed(value: onnx.ValueInfoProto) -> Typed:
    """Shape and type of an input or output."""
    kind = value.type.tensor_type
    dims = [dim.dim_value if dim.HasField("dim_value") else dim.dim_param for dim in kind.shape.dim]
    return dims, np.dtype(helper.tensor_dtype_to_np_dtype(kind.elem_type))


def load(model: str | Path | bytes | onnx.ModelProto) -> StreamingModel:
    """A model that was converted before.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
        As `rfgraph stream MODEL -o FILE` writes it.

    Returns
    -------
    StreamingModel
        The same as `Plan.convert` gave.

    Raises
    ------
    QueryError
        It is no such model.
    """
    if isinstance(model, bytes):
        proto = onnx.load_model_from_string(model)
    elif isinstance(model, onnx.ModelProto):
        proto = model
    else:
        proto = onnx.load(model)
    told = {each.key: each.value for each in proto.metadata_props}.get(KEY)
    if told is None:
        raise QueryError(
            "it is no model that was converted for streams",
            file=None if isinstance(model, bytes | onnx.ModelProto) else str(model),
            remedy="convert it: rfgraph stream MODEL -o FILE",
        )
    found = json.loads(told)
    return StreamingModel(
        model=proto,
        hop=found["hop"],
        streams=tuple((each["input"], each["axis"]) for each in found["streams"]),
        whole=tuple(found["whole"]),
        outputs=tuple(
            StreamedOutput(**{**each, "length": tuple(map(tuple, each["length"]))})
            for each in found["outputs"]
        ),
        states=tuple(
            State(**{**each, "initial": float(each["initial"]), "shape": tuple(each["shape"])})
            for each in found["states"]
        ),
        length=found["length"],
    )


__all__ = ["KEY", "StateStream", "StreamedOutput", "StreamingModel", "load"]
