"""Reads the tables of published receptive fields and compares an analysis with their rows."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple


class Row(NamedTuple):
    """What a table says of one value; ``padding`` is None where it says nothing."""

    model: str
    resolution: int | None
    endpoint: str
    size: int
    stride: int
    padding: int | None


def read(name: str) -> list[Row]:
    """Read a table that lies beside this file; a missing column leaves its field empty."""
    lines = (Path(__file__).parent / name).read_text(encoding="utf-8").splitlines()
    records = csv.DictReader(line for line in lines if not line.startswith("#"))
    return [
        Row(
            model=record["model"],
            resolution=_integer(record.get("resolution")),
            endpoint=record.get("endpoint") or "",
            size=int(record["rf"]),
            stride=int(record["effective_stride"]),
            padding=_integer(record["effective_padding"]),
        )
        for record in records
    ]


def differences(analysis: Any, rows: Iterable[Row]) -> list[str]:
    """Compare height and width of each row's endpoint with the row; a line for each difference.

    Parameters
    ----------
    analysis
        What `rfgraph.analyze` returned for a model with the input ``x``.
    rows
        Rows of that model; each names its endpoint.
    """
    return [
        f"{row.endpoint}, {axis}: size/stride/padding {found}, published {published}"
        for row in rows
        for axis, number in (("height", 2), ("width", 3))
        for found, published in [_compare(analysis.field(row.endpoint, "x")[number], row)]
        if found != published
    ]


def _compare(field: Any, row: Row) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    found = (field.size, field.stride, None if row.padding is None else -field.start)
    return found, (row.size, row.stride, row.padding)


def _integer(text: str | None) -> int | None:
    return None if text in (None, "None") else int(text)
