"""Answers that notebooks show."""

from __future__ import annotations

from importlib import import_module


class Shown:
    """What a notebook shows, beside what `repr` gives: a table or a drawing.

    It is made in `rfgraph.render.notebook`, as other formats are, which stands above those who
    answer and is loaded when something is shown.
    """

    __slots__ = ()

    def _repr_html_(self) -> str:
        html: str = import_module("rfgraph.render.notebook").html(self)
        return html
