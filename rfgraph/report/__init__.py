"""A report of a model: one HTML file that draws, explains and works out supports by itself."""

from rfgraph.report.assembly import available, page

__all__ = ["available", "page"]
