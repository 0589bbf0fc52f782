"""Writes a model with explicit states: its nodes, and what delays, masks and counts steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from rfgraph.analysis import Analysis
from rfgraph.streaming.lengths import Length
from rfgraph.streaming.way import Moving, StreamingError

# What stands for an end that is not known yet: samples that no stream ever has.
UNKNOWN_LENGTH = 1 << 48

# No window that counts has so little of data.
_LEAST_SHARE = 1e-6

# The end of an axis, for Slice.
END = int(np.iinfo(np.int64).max)


@dataclass(frozen=True)
class Flow:
    """A value as the converted model has it: so many steps a chunk, and later than offline.

    Attributes
    ----------
    name : str
        What it is called there.
    delay : int
        Its step i is step ``i - delay`` of the value; less than 0 where padding comes first.
    axis : int
        Its time axis.
    steps : int
        How many steps a hop has.
    length : Length
        How many steps the value has.
    begin : int
        The first of them that is data and no padding.
    data : Length
        How many are.
    fill : float or None
        What the padding is to be; None where there is none.
    """

    name: str
    delay: int
    axis: int
    steps: int
    length: Length
    begin: int
    data: Length
    fill: float | None = None


@dataclass(frozen=True)
class State:
    """A state of the converted model.

    Attributes
    ----------
    input, output : str
        What is given before a chunk, and what to give before the next one.
    initial : float
        What all its elements are before the first chunk.
    shape : tuple of int or str
        Its shape; a name is that of an open axis of the model's inputs.
    dtype : str
        Its type, as numpy calls it.
    """

    input: str
    output: str
    initial: float
    shape: tuple[int | str, ...]
    dtype: str


class Writer:
    """The nodes, constants and states of the converted model."""

    def __init__(self, found: Moving, taken: Sequence[str], open_axes: OpenShapes) -> None:
        self.found = found
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.states: list[State] = []
        self._taken = set(taken)
        self.open = open_axes
        self._known: dict[Any, str] = {}
        # The samples before a chunk, and all that there are in the end.
        self.position, self.length = self.fresh("position"), self.fresh("length")

    # ------------------------------------------------------------ nodes

    def fresh(self, name: str) -> str:
        """A name that nothing has."""
        found, k = name, 1
        while found in self._taken:
            k += 1
            found = f"{name}_{k}"
        self._taken.add(found)
        return found

    def op(self, kind: str, *inputs: str | np.ndarray, name: str = "", **given: Any) -> str:
        """Append a node of one output; the same one only once."""
        names = [i if isinstance(i, str) else self.constant(i) for i in inputs]
        key = kind, tuple(names), repr(sorted(given.items()))
        if key not in self._known or name:
            made = name or self.fresh(f"stream_{kind.lower()}")
            self.nodes.append(helper.make_node(kind, names, [made], name=made, **given))
            self._known.setdefault(key, made)
            return made
        return self._known[key]

    def constant(self, value: np.ndarray) -> str:
        """A constant, the same one only once."""
        key = value.dtype.str, value.shape, value.tobytes()
        if key not in self._known:
            name = self._known[key] = self.fresh("stream_constant")
            self.constants[name] = numpy_helper.from_array(value, name)
        return self._known[key]

    def rename(self, value: str, name: str) -> None:
        """The same by the name that it is to have."""
        self.op("Identity", value, name=name)

    def slice(self, value: str, axis: int, begin: int | str, end: int, step: int = 1) -> str:
        """Elements along one axis."""
        first = np.array([begin]) if isinstance(begin, int) else begin
        given = [np.array([end]), np.array([axis])]
        return self.op("Slice", value, first, *given, *([np.array([step])] if step != 1 else []))

    # ------------------------------------------------------------ states

    def state(self, name: str, value: str, axis: int, steps: int, initial: float) -> str:
        """A state of some steps of a value; `carry` says what it goes on as."""
        shape = list(self.open.shape(value))
        shape[axis] = steps
        return self.given_state(name, tuple(shape), initial, self.dtype(value))

    def given_state(
        self, name: str, shape: tuple[int | str, ...], initial: float, dtype: np.dtype
    ) -> str:
        """A state of some shape."""
        given = self.fresh(f"{name}_state_in")
        made = self.fresh(f"{name}_state_out")
        self.states.append(State(given, made, initial, shape, dtype.name))
        return given

    def carry(self, given: str, value: str) -> None:
        """What a state is after a chunk."""
        (state,) = (state for state in self.states if state.input == given)
        self.rename(value, state.output)

    def counted(self) -> State:
        """The state that counts samples."""
        made = self.fresh(f"{self.position}_out")
        samples = self.op("Add", self.position, self.chunk_of_input())
        self.rename(samples, made)
        return State(self.position, made, 0, (), "int64")

    def shape(self, value: str) -> tuple[int | str, ...]:
        """The shape of a value of the model, with names where its inputs are open."""
        return self.open.shape(value)

    def dtype(self, value: str) -> np.dtype:
        """The type of a value of the model."""
        return dtype_of(self.found, value)

    # ------------------------------------------------------------ delays, masks, counts

    def with_past(self, value: str, flow: Flow, steps: int, initial: float) -> str:
        """A chunk with some steps before it, which are kept."""
        key = "past", flow.name, steps, initial
        if key not in self._known:
            given = self.state(value, value, flow.axis, steps, initial)
            joined = self.joined(given, flow)
            self.carry(given, self.slice(joined, flow.axis, -steps, END))
            self._known[key] = joined
        return self._known[key]

    def joined(self, given: str, flow: Flow) -> str:
        """A chunk with what a state has before it."""
        return self.op("Concat", given, flow.name, axis=flow.axis)

    def delayed(self, value: str, flow: Flow, delay: int) -> Flow:
        """The same, so many steps late."""
        more = delay - flow.delay
        if more <= 0:
            return flow
        joined = self.with_past(value, flow, more, flow.fill or 0.0)
        return replace(flow, name=self.slice(joined, flow.axis, 0, -more), delay=delay)

    def masked(
        self, value: str, flow: Flow, fill: float, *, before: bool = True, behind: bool = True
    ) -> Flow:
        """The same with a number in the place of what is no data: before it, and behind."""
        numbers = self.numbers(flow, len(self.shape(value)))
        there = self.there(flow, numbers, before=before, behind=behind)
        made = self.op("Where", there, flow.name, np.array(fill, self.dtype(value)))
        return replace(flow, name=made, begin=0, data=flow.length, fill=None)

    def there(self, flow: Flow, numbers: str, *, before: bool, behind: bool) -> str:
        """Which steps of a stream are data, by their numbers."""
        # Step i of the value is step i + delay of the stream.
        first, tests = flow.begin + flow.delay, []
        if before:
            tests.append(self.op("GreaterOrEqual", numbers, np.array(first)))
        if behind:
            end = self.written(flow.data.then(plus=first))
            tests.append(self.op("Less", numbers, end))
        return tests[0] if len(tests) == 1 else self.op("And", *tests)

    def ones(self, value: str, flow: Flow, there: str) -> str:
        """One row and channel of ones where there is data, and of zeros elsewhere."""
        dtype = self.dtype(value)
        data = self.op("Where", there, np.array(1, dtype), np.array(0, dtype))
        if len(self.shape(value)) == 3:
            return data
        sizes = self.slice(self.op("Shape", flow.name), 0, 2, END)
        return self.op("Expand", data, self.op("Concat", np.array([1, 1]), sizes, axis=0))

    def divided(self, mean: str, share: str, dtype: np.dtype, name: str) -> None:
        """A mean by the share of its window that is data.

        Before the first step that may be nothing, and what is made of it is left out.
        """
        some = self.op("Max", share, np.array(_LEAST_SHARE, dtype))
        self.op("Div", mean, some, name=name)

    def numbers(self, flow: Flow, rank: int, past: int = 0, over: int = 0) -> str:
        """Which steps of a stream are in a chunk, along the time axis of so many axes: with those
        that are kept of the `past`, and without as many that are `over`.
        """
        first = self.by_hops(self.position, flow.steps)
        end = self.op("Add", first, self.chunk(flow))
        begin = self.op("Sub", first, np.array(past)) if past else first
        end = self.op("Sub", end, np.array(over)) if over else end
        steps = self.op("Range", begin, end, np.array(1))
        dims = np.ones(rank, np.int64)
        dims[flow.axis] = -1
        return self.op("Reshape", steps, dims)

    def chunk(self, flow: Flow) -> str:
        """How many steps a chunk has."""
        return self.by_hops(self.chunk_of_input(), flow.steps)

    def chunk_of_input(self) -> str:
        """How many samples a chunk has."""
        name, axis = self.found.at.axes[0]
        return self.op("Gather", self.op("Shape", name), np.array(axis))

    def by_hops(self, samples: str, steps: int) -> str:
        """Steps of so many samples, of which there are whole hops."""
        if steps == self.found.hop:
            return samples
        hops = self.op("Div", samples, np.array(self.found.hop))
        return self.op("Mul", hops, np.array(steps))

    def written(self, length: Length) -> str:
        """A length, of the samples that there are in all."""
        made = self.length
        for times, plus, by in length.links:
            made = self.op("Mul", made, np.array(times)) if times != 1 else made
            made = self.op("Add", made, np.array(plus)) if plus else made
            made = self.op("Div", made, np.array(by)) if by != 1 else made
        return made


class Late:
    """A chunk whose first steps may be before the first step of a value: these change no state.

    Attributes
    ----------
    sliced : str
        The chunk without them; the last one if there is no other.
    has_none : str
        Whether there is none.
    """

    def __init__(self, writer: Writer, flow: Flow) -> None:
        self._writer = writer
        chunk = writer.chunk(flow)
        before = writer.op("Sub", np.array(flow.delay), writer.by_hops(writer.position, flow.steps))
        most = writer.op("Sub", chunk, np.array(1))
        start = writer.op("Max", writer.op("Min", before, most), np.array(0))
        self._start = writer.op("Reshape", start, np.array([1]))
        self.sliced = writer.slice(flow.name, flow.axis, self._start, END)
        self.has_none = writer.op("GreaterOrEqual", before, chunk)

    def kept(self, state: str, made: str, name: str) -> None:
        """A state that is as it was where there is no step."""
        self._writer.op("Where", self.has_none, state, made, name=name)

    def restored(self, name: str, value: str, axis: int, rank: int) -> None:
        """What is made of it, with as many steps as the chunk."""
        before, behind = np.zeros(axis, np.int64), np.zeros(2 * rank - axis - 1, np.int64)
        pads: list[str | np.ndarray] = [*([before] if axis else []), self._start, behind]
        self._writer.op("Pad", name, self._writer.op("Concat", *pads, axis=0), name=value)


class OpenShapes:
    """Shapes with a name for each axis that follows an open axis of the inputs but time."""

    def __init__(self, found: Moving) -> None:
        analysis = found.at.analysis
        self._base = analysis
        self._others: list[tuple[str, int, Analysis]] = []
        streams = set(found.at.axes)
        names: dict[str, list[tuple[str, int]]] = {}
        for name in analysis.inputs:
            for axis, dim in enumerate(analysis.dims(name)):
                if (name, axis) not in streams and not isinstance(dim, int):
                    names.setdefault(dim or f"{name}_{axis}", []).append((name, axis))
        for dim, axes in names.items():
            shapes = {name: list(analysis.extent(name) or ()) for name in analysis.inputs}
            for name, axis in axes:
                size = shapes[name][axis]
                shapes[name][axis] *= 2
            self._others.append((dim, size, analysis.resized(shapes)))

    def shape(self, value: str) -> tuple[int | str, ...]:
        """The shape of a value."""
        return self.by(lambda analysis: analysis.extent(value) or ())

    def by(self, shape_of: Callable[[Analysis], Sequence[int]]) -> tuple[int | str, ...]:
        """A shape that an analysis tells.

        Raises
        ------
        StreamingError
            A size follows an open axis in another way than as a multiple.
        """
        extent = shape_of(self._base)
        shape: list[int | str] = list(extent)
        for dim, size, other in self._others:
            for axis, (n, m) in enumerate(zip(extent, shape_of(other), strict=True)):
                if n != m:
                    times = n // size
                    if (n, m) != (times * size, 2 * times * size):
                        raise StreamingError(
                            f"it can't be converted: states follow axis '{dim}', which is not "
                            "that of time, and not as multiples of it",
                            file=self._base.file,
                            remedy="export it with this axis fixed",
                        )
                    shape[axis] = dim if times == 1 else f"{times}*{dim}"
        return tuple(shape)


def sized(size: int | str, sizes: Mapping[str, int]) -> int:
    """A size that may be written as ``batch`` or ``2*batch``."""
    if isinstance(size, int):
        return size
    times, star, dim = size.rpartition("*")
    return sizes.get(dim, 1) * (int(times) if star and times.isdecimal() else 1)


def dtype_of(found: Moving, value: str) -> np.dtype:
    """The type of a value of the model, as numpy calls it."""
    kind = found.at.analysis.flow.shapes.element_type(value)
    return np.dtype(helper.tensor_dtype_to_np_dtype(kind))


def type_of(name: str, dtype: np.dtype, shape: Sequence[int | str | None]) -> onnx.ValueInfoProto:
    """An input or output of the converted model."""
    kind = helper.np_dtype_to_tensor_dtype(dtype)
    return helper.make_tensor_value_info(name, kind, list(shape))


__all__ = [
    "END",
    "UNKNOWN_LENGTH",
    "Flow",
    "Late",
    "OpenShapes",
    "State",
    "Writer",
    "dtype_of",
    "sized",
    "type_of",
]
