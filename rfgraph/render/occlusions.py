"""What `rfgraph occlude` says."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

import numpy as np

from rfgraph.measure.discrepancy import Occlusion, UnitField
from rfgraph.render.text import aligned, plain, shape, share, written

HEAD = ("units", "images", "responds to", "each image", "can see", "share")


def text(found: Occlusion) -> str:
    """A row for each channel or unit, and what was done."""
    parts = [*aligned([list(HEAD), *rows_of(found)]), *summary(found)]
    return "\n".join([*parts, *(f"note: {plain(note)}" for note in found.notes)])


def rows_of(found: Occlusion) -> Iterator[list[str]]:
    """What was found of each channel or unit: the cells below `HEAD`."""
    axes = len(found.axes)
    for unit in found.found:
        yield [
            written(unit.region),
            str(len(unit.images)),
            _cube(unit.side, axes),
            f"{np.mean(unit.sides):.3g}±{np.std(unit.sides):.2g}",
            _can_see(unit, found),
            share(unit.ratio),
        ]


def _cube(side: float, axes: int) -> str:
    """The sides of a square, or cube."""
    return "x".join([f"{side:.3g}"] * axes)


def _can_see(unit: UnitField, found: Occlusion) -> str:
    """The theoretical sizes; those longer than the input with what of them lies in it."""
    sides = found.images.fitting.size
    parts = [f"{size:.6g}" if isfinite(size) else "all" for size in unit.theoretical]
    beyond = any(size > n for size, n in zip(unit.theoretical, sides, strict=True))
    return "x".join(parts) + (f" of {shape(sides)}" if beyond else "")


def summary(found: Occlusion) -> list[str]:
    """What was done, and how much that took."""
    fill = found.fill if isinstance(found.fill, str) else f"{found.fill:g}"
    return [
        f"'{plain(found.tensor)}' on {plain(found.images.source)}: covered by "
        f"{shape(found.size)}, {shape(found.stride)} apart, {fill}",
        f"{found.passes:,} passes in {found.seconds:.1f} s, {found.looked:,} of them to find the "
        f"images; with the occluder at all places they would be {found.naive:,}",
    ]
