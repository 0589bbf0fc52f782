"""What a region of a value influences: forward through the same reads, as `support` goes backward.

Views are regions, as in `rfgraph.support`: unions of products of masks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rfgraph.compressed import NOTHING, placed, pulled
from rfgraph.reads import (
    Elementwise,
    Everything,
    PerAxis,
    Read,
    Rearrange,
    Shape,
    coordinates,
    followed,
    reads_everywhere,
)
from rfgraph.support import Factor, Product, Region, covers, reshaped, split, union

_ALL: Region = ((),)


class Influence:
    """The interpretation of reads as influence, for `rfgraph.flow.forward`."""

    def seed(self, shape: Shape) -> Region:
        """All of an input."""
        return _ALL

    def read(
        self, view: Region, read: Read, source: Shape | None, extent: Shape | None
    ) -> Region | None:
        """See `rfgraph.flow.Interpretation`."""
        if isinstance(read, Everything) or source is None or extent is None:
            return _ALL
        found = [_read(product, read, source, extent) for product in view]
        return union([product for product in found if product is not None], extent) or None

    def union(self, views: Sequence[Region], extent: Shape | None) -> Region:
        """See `rfgraph.flow.Interpretation`."""
        return union([product for view in views for product in view], extent)

    meet = union

    def everything(self, shape: Shape, extent: Shape | None) -> Region:
        """See `rfgraph.flow.Interpretation`."""
        return _ALL

    def equal(self, a: Region, b: Region) -> bool:
        """See `rfgraph.flow.Interpretation`."""
        return covers(a, b) and covers(b, a)


def _read(product: Product, read: Read, source: Shape, extent: Shape) -> Product | None:
    """The elements that read something of a product; None for none."""
    if isinstance(read, Elementwise):
        return _broadcast(product, source, extent)
    if isinstance(read, Rearrange):
        return _rearranged(product, read, source, extent)
    assert isinstance(read, PerAxis)
    masks = []
    held: set[int] = set()
    for factor in product:
        held.update(factor.axes)
        array = placed(np.where(factor.mask, 0, NOTHING)[None], factor.axes, source)
        masks.append(pulled(array, read.axes, source, extent)[0] < NOTHING)
    for axis, (r, size) in enumerate(zip(read.axes, source, strict=True)):
        if axis not in held and not reads_everywhere(r, size, extent):
            there = coordinates(r, size, extent)[1] > 0
            masks.append(placed(there[None], followed(r), extent)[0])
    return _all_of(masks)


def _broadcast(product: Product, source: Shape, extent: Shape) -> Product:
    lead = len(extent) - len(source)
    if not lead and source == extent:
        return product
    out = []
    for factor in product:
        kept = [k for k, a in enumerate(factor.axes) if source[a] > 1]
        mask = factor.mask.reshape([factor.mask.shape[k] for k in kept])
        out.append(Factor(tuple(factor.axes[k] + lead for k in kept), mask))
    return tuple(out)


def _rearranged(product: Product, read: Rearrange, source: Shape, extent: Shape) -> Product:
    place = {axis: k for k, axis in enumerate(read.permutation)}
    moved = []
    for factor in reshaped(product, source, read.view):
        axes = [place[a] for a in factor.axes]
        order = sorted(range(len(axes)), key=axes.__getitem__)
        moved.append(Factor(tuple(axes[k] for k in order), factor.mask.transpose(order)))
    between = tuple(read.view[a] for a in read.permutation)
    return reshaped(tuple(moved), between, extent)


def _all_of(masks: Sequence[np.ndarray]) -> Product | None:
    """Where all masks hold, which are compressed; None for nowhere."""
    groups: list[tuple[set[int], np.ndarray]] = []
    for mask in masks:
        axes = {axis for axis, n in enumerate(mask.shape) if n > 1}
        for group in [g for g in groups if g[0] & axes]:
            groups.remove(group)
            axes |= group[0]
            mask = mask & group[1]
        groups.append((axes, mask))
    made: list[Factor] = []
    for axes, mask in groups:
        if not mask.any():
            return None
        if not mask.all():
            over = tuple(sorted(axes))
            made.extend(split(over, mask.reshape([mask.shape[a] for a in over])))
    return tuple(made)
