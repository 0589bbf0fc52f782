"""Element types and shapes of the values of a graph, as far as they are known."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, prod
from typing import TYPE_CHECKING, TypeAlias

from rfgraph.errors import ShapeError
from rfgraph.model import element_types
from rfgraph.model.graph import Graph, Node
from rfgraph.model.inference import misfit, type_of
from rfgraph.model.sizes import MAX_AXIS, Shape, Sized, all_known, nominal, unknown

if TYPE_CHECKING:
    from onnx import TypeProto

# numpy has room for 64 axes, of which the engines need some.
MAX_RANK = 48

# A value: its element type and shape, None where not even the number of axes is known.
Typed: TypeAlias = "tuple[int, Shape | None]"

# What is said of a value of which nothing is known.
UNTYPED: Typed = (element_types.UNDEFINED, None)

# An input that is left out.
_LEFT_OUT: Typed = (0, ())


class TypedValues:
    """What is known of the values of one graph, to begin with of its initializers.

    Attributes
    ----------
    graph : Graph
        The model.
    known : dict of str to Typed
        By value, its element type and shape.
    others : dict of str to TypeProto
        The types of what is no tensor.
    unknown : dict of str to int
        Sizes that the data decide, by name.
    is_excessive : bool
        Whether there is no room for some value.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.known: dict[str, Typed] = {**graph.weights.types()}
        self.others: dict[str, TypeProto] = {}
        self.unknown: dict[str, int] = {}
        axes, longest = graph.weights.most
        self.is_excessive = axes > MAX_RANK or longest > MAX_AXIS
        self.known[""] = _LEFT_OUT

    def shape(self, name: str) -> Shape | None:
        """Shape of the value `name`; None where it isn't known, not even how many axes."""
        return self.known.get(name, UNTYPED)[1] if name else None

    def element_type(self, name: str) -> int:
        """``TensorProto.DataType`` of the value `name`; 0 where it isn't known."""
        return self.known.get(name, UNTYPED)[0]

    def type(self, name: str) -> TypeProto | None:
        """Type of the value `name`; None where it isn't known."""
        if name in self.others:
            return self.others[name]
        known = self.known.get(name)
        return None if known is None else type_of(*known)

    def count(self, name: str) -> float:
        """How many elements a value has, endless where the data decide; 0 where it is not known."""
        shape = self.shape(name) or (0,)
        return prod(shape) if all_known(shape) else inf

    def give(self, name: str, element_type: int, shape: Shape | None) -> None:
        """Say what the value `name` is, which no node makes."""
        if shape is not None:
            shape = tuple(shape)
            self.is_excessive |= _is_excessive(shape)
        self.known[name] = element_type, shape

    def learn(self, name: str, element_type: int, shape: Shape, node: Node) -> None:
        """Say what the value `name` is, which `node` makes, if its shape is not known yet."""
        if self.shape(name) is None:
            self.known[name] = element_type, self.sound(tuple(shape), node)

    def learn_all(self, names: Iterable[str], made: Iterable[Typed]) -> None:
        """Say what several values are, where the shape is not known yet."""
        for name, typed in zip(names, made, strict=True):
            if self.known.get(name, UNTYPED)[1] is None:
                self.known[name] = typed

    def sound(self, shape: Shape, node: Node) -> Shape:
        """The shape of an output, which no negative size has; whether there is room is seen to
        later.
        """
        sizes = nominal(shape) if self.unknown else shape
        if sizes and min(sizes) < 0:
            raise misfit(node, f"its output would have the shape {shape}", self.graph.file)
        if (sizes and max(sizes) > MAX_AXIS) or len(sizes) > MAX_RANK:
            self.is_excessive = True
        return shape

    def named(self, name: str, shape: Sized) -> Shape:
        """`shape`, of the value `name`, with an unknown size for each None."""
        return tuple(
            [self._size(f"{name}, axis {k}") if n is None else n for k, n in enumerate(shape)]
        )

    def _size(self, name: str) -> int:
        return self.unknown.setdefault(name, unknown(name))

    def check(self) -> None:
        """Refuse what there is no room for.

        Raises
        ------
        ShapeError
            An axis is longer than `MAX_AXIS`, or a value has more axes than `MAX_RANK`.
        """
        if not self.is_excessive:
            return
        for name, (_, shape) in self.known.items():
            if shape is None or not _is_excessive(shape):
                continue
            excess = f"an axis of {max(nominal(shape))}: more than {MAX_AXIS}"
            remedy = "give smaller sizes with shapes= or --shape"
            if len(shape) > MAX_RANK:
                excess = f"{len(shape)} axes: more than {MAX_RANK}"
                remedy = "export the model with fewer axes"
            made = self.graph.producer.get(name)
            raise ShapeError(
                f"'{name}' has {excess}",
                file=self.graph.file,
                node=str(made) if made else None,
                remedy=remedy,
            )


def _is_excessive(shape: Shape) -> bool:
    """Whether there is no room for a value of that shape."""
    return len(shape) > MAX_RANK or (bool(shape) and max(nominal(shape)) > MAX_AXIS)
