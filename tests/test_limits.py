"""docs/limits.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rfgraph.analysis import analysis, entry, fields, regions
from rfgraph.cli import common
from rfgraph.model import functions, sizes
from rfgraph.shapes import static, typed
from rfgraph.unroll import writer

PAGE = (Path(__file__).parents[1] / "docs" / "limits.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "limit",
    [
        sizes.MAX_AXIS,
        typed.MAX_RANK,
        static.MAX_STATIC,
        writer.MAX_UNROLLED,
        writer.MAX_WRITTEN,
        writer.MAX_ENTRIES,
        writer.MAX_NESTED,
        functions._MAX_NESTED,
        functions._MAX_INLINED,
        entry._MAX_MASK,
        analysis._MAX_ANSWER,
        fields._MOST_RUNS,
        regions._MAX_ROWS,
        regions._MAX_ENTRIES,
    ],
)
def test_the_page_has_the_numbers_of_the_code(limit: int) -> None:
    assert re.search(rf"(?<![\d,]){limit:,}(?![\d,])", PAGE)


def test_the_page_has_the_defaults() -> None:
    assert f"| {common._TIMEOUT}; `validate`: never" in PAGE
    assert f"| {common._MEMORY}; `validate`: never" in PAGE
    assert f"at least {common._LEAST}" in PAGE
