"""Shapes of every value, and the values that don't depend on the input's data."""

from rfgraph.shapes.shapes import MAX_STATIC, Shapes, Typed

__all__ = ["MAX_STATIC", "Shapes", "Typed"]
