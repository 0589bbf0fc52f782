"""What operators may ask of the values of a graph."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from rfgraph.model.graph import Graph
from rfgraph.model.sizes import Shape


class Values(Protocol):
    """Shapes and static values of one graph, as `rfgraph.shapes.Shapes` works them out."""

    @property
    def graph(self) -> Graph:
        """The graph."""

    @property
    def unsized(self) -> bool:
        """Whether the data decide a size of some value."""

    def shape(self, name: str) -> Shape | None:
        """Shape of a value; None where it isn't known, not even how many axes."""

    def static(self, name: str) -> np.ndarray | None:
        """A value, if it is the same whatever the input's data are; else None."""

    def may_have_zeros(self, name: str) -> bool:
        """Whether some element of a value that is the same whatever the input's data are may be 0,
        or False.
        """

    def found(self, name: str) -> dict[str, Any] | None:
        """What was found out of an initializer, at any size, to be added to; None of others."""

    def element_type(self, name: str) -> int:
        """``TensorProto.DataType`` of a value; 0 where it isn't known."""

    def sizes(self, name: str) -> Shape | None:
        """A value as sizes, with an unknown one where the data decide; None if nothing is known
        of it.
        """
