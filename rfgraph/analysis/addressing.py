"""Which value, input, axis, unit or region a question is about, or what is wrong with its words."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from rfgraph.engine.trace import Flow
from rfgraph.errors import QueryError, ShapeError
from rfgraph.model.graph import Graph
from rfgraph.model.sizes import Shape, is_unknown, nominal

# A region of a value: along each axis one coordinate, a slice, or several coordinates.
Index = Sequence[int | slice | Sequence[int] | np.ndarray]


class Addressing:
    """The names, axes and units of a model, as questions give them."""

    def __init__(self, graph: Graph, flow: Flow) -> None:
        self._graph = graph
        self._flow = flow
        self._unknown, self._typed = flow.shapes.unknown, flow.shapes.known
        self.producer = graph.producer
        self.file = graph.file
        self.outputs = tuple(graph.outputs)

    @cached_property
    def tensors(self) -> list[str]:
        """Names of all values in topological order, inputs first."""
        return [*self._flow.inputs, *self._graph.values()]

    @cached_property
    def names(self) -> dict[str, None]:
        """The tensors, and the initializers."""
        return dict.fromkeys([*self.tensors, *self._graph.weights])

    def known(self, tensor: str) -> None:
        """Raise a QueryError if the model has no such tensor."""
        if tensor in self._graph.producer or tensor in self._flow.inputs:
            return
        if tensor not in self.names:
            raise self._wrong(f"the model has no tensor '{tensor}'", self._like(tensor))

    def input(self, name: str | None) -> str:
        """An input that is followed: the only one if none is named."""
        inputs = self._flow.inputs
        if name is None:
            if len(inputs) != 1:
                raise self._wrong(
                    f"the model has {len(inputs)} inputs", f"name one of {', '.join(inputs)}"
                )
            return next(iter(inputs))
        if name not in inputs:
            raise self._wrong(
                f"the model has no input '{name}'", f"its inputs are {', '.join(inputs)}"
            )
        return name

    def output(self, name: str | None) -> str:
        """A later value: the model's only output if none is named."""
        if name is not None:
            return name
        if len(self.outputs) != 1:
            raise self._wrong(
                f"the model has {len(self.outputs)} outputs",
                f"name one of {', '.join(self.outputs)}",
            )
        return self.outputs[0]

    def given(self, name: str) -> tuple[int, ...]:
        """Shape of an input that is followed; no axes where it has none or they are not known."""
        return self._flow.inputs[name] or ()

    def axis_of_input(self, axis: int, name: str) -> int:
        """An axis of an input, counted from the front."""
        rank = len(self.given(name))
        if not -rank <= axis < rank:
            raise self._wrong(f"input '{name}' has no axis {axis}")
        return axis % rank

    def axis_of(self, axis: int, tensor: str) -> int:
        """An axis of a value, counted from the front."""
        shape = self.extent(tensor)
        if shape is None or not -len(shape) <= axis < len(shape):
            raise self._wrong(f"'{tensor}' of shape {shape} has no axis {axis}")
        return axis % len(shape)

    def sized(self, tensor: str) -> Shape | None:
        """Shape of a value, with unknown sizes."""
        self.known(tensor)
        return self._flow.shapes.shape(tensor)

    def extent(self, tensor: str) -> tuple[int, ...] | None:
        """Shape of a value, with 1 for unknown sizes."""
        typed = self._typed.get(tensor)
        if typed is None:
            self.known(tensor)
            return None
        shape = typed[1]
        return shape if shape is None or not self._unknown else nominal(shape)

    def shape_of(self, tensor: str) -> tuple[int, ...]:
        """The extent of a value that has to have one."""
        shape = self.extent(tensor)
        if shape is None:
            raise ShapeError(f"the shape of '{tensor}' is not known", file=self.file)
        return shape

    def unit(self, tensor: str, index: Sequence[int]) -> tuple[int, ...]:
        """A unit's coordinates, counted from the front."""
        shape = self.sized(tensor)
        if shape is None:
            raise self._wrong(f"the shape of '{tensor}' is not known")
        try:
            index = [operator.index(i) for i in index]
        except TypeError:
            raise self._wrong(
                f"{index!r} is not a unit: give one whole number for each axis"
            ) from None
        if len(index) != len(shape):
            raise self._wrong(
                f"'{tensor}' has {len(shape)} axes, and the unit {tuple(index)} has {len(index)}",
                f"its shape is {shape}",
            )
        # Along an axis of unknown size one place stands for all there may be.
        index = [0 if is_unknown(n) else i for i, n in zip(index, shape, strict=True)]
        shape = nominal(shape)
        if not all(-n <= i < n for i, n in zip(index, shape, strict=True)):
            raise self._wrong(f"'{tensor}' has no unit {tuple(index)}", f"its shape is {shape}")
        return tuple(i % n for i, n in zip(index, shape, strict=True))

    def unit_at(self, tensor: str, index: Index) -> tuple[int, ...] | None:
        """The unit that a region is, if it is one whose coordinates are plain numbers, counted from
        the front.
        """
        shape = self.extent(tensor)
        if shape is None or len(index) != len(shape) or self._unknown:
            return None
        places = zip(index, shape, strict=True)
        unit = tuple([i for i, n in places if type(i) is int and 0 <= i < n])
        return unit if len(unit) == len(shape) else None

    def places(self, tensor: str, index: Index) -> list[np.ndarray]:
        """A region, as a mask for each axis of the value."""
        self.shape_of(tensor)
        sized = self.sized(tensor) or ()
        if len(index) != len(sized):
            raise self._wrong(
                f"'{tensor}' has the shape {sized}, and {len(index)} coordinates are given",
                f"give {len(sized)}",
            )
        places = []
        for axis, (at, size) in enumerate(zip(index, sized, strict=True)):
            if is_unknown(size):
                # One place stands for all there may be.
                at, size = slice(None), 1
            mask = np.zeros(size, dtype=bool)
            if not isinstance(at, slice):
                coordinates = np.asarray(at)
                if coordinates.dtype.kind not in "iu":
                    raise self._wrong(f"{at!r} is not a coordinate: give a whole number or a slice")
                beyond = coordinates[(coordinates < -size) | (coordinates >= size)]
                if beyond.size:
                    raise self._outside(tensor, sized, int(beyond[0]), axis)
            mask[at] = True
            places.append(mask)
        return places

    def coordinates(self, tensor: str, at: Mapping[int, int] | None) -> dict[int, int]:
        """The coordinates that are held along some axes of a value, ascending by axis."""
        shape = self.sized(tensor) or ()
        held = {}
        for axis, coordinate in sorted((at or {}).items()):
            if 0 <= axis < len(shape) and is_unknown(shape[axis]):
                # One place stands for all there may be.
                continue
            if not (0 <= axis < len(shape) and -shape[axis] <= coordinate < shape[axis]):
                raise self._outside(tensor, shape, coordinate, axis)
            held[axis] = coordinate % shape[axis]
        return held

    def _outside(self, tensor: str, shape: Shape, coordinate: int, axis: int) -> QueryError:
        return self._wrong(
            f"'{tensor}' of shape {shape} has no coordinate {coordinate} on axis {axis}"
        )

    def _wrong(self, message: str, remedy: str | None = None) -> QueryError:
        return QueryError(message, file=self.file, remedy=remedy)

    def _like(self, name: str) -> str | None:
        """A remedy: the names that look like one that there is not."""
        from difflib import get_close_matches

        close = get_close_matches(name, self.names, n=3, cutoff=0.5)
        return "did you mean " + " or ".join(f"'{c}'" for c in close) + "?" if close else None
