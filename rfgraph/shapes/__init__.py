"""Shapes of every value, and the values that don't depend on the input's data."""

from rfgraph.shapes.shapes import Shapes
from rfgraph.shapes.static import MAX_STATIC
from rfgraph.shapes.typed import Typed

__all__ = ["MAX_STATIC", "Shapes", "Typed"]
