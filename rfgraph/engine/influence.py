"""What a region of a value influences: forward through the same reads, as `support` goes backward.

Views are regions, as in `rfgraph.engine.products`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rfgraph.engine.products import AxesMask, Product, Region, covers, reshaped, split, union
from rfgraph.engine.trace import Cycle, Flow, Step, sources
from rfgraph.reads.compressed import NOTHING, placed, pulled
from rfgraph.reads.words import (
    Elementwise,
    Everything,
    PerAxis,
    Read,
    Rearrange,
    Shape,
    Stage,
    coordinates,
    followed,
    reads_everywhere,
)

_ALL: Region = ((),)

# When a region has more products than this, they are merged before more are added.
_MANY = 64


def influenced(flow: Flow, tensor: str, region: Region) -> dict[str, Region]:
    """What of every value depends on a region of one.

    Parameters
    ----------
    flow : Flow
        The steps.
    tensor : str
        The value, an input or any other.
    region : Region
        Its elements.

    Returns
    -------
    dict of str to Region
        By value; what is not reached is left out.
    """
    walk = _Walk(flow, tensor, region)
    for step in flow.steps:
        walk.step(step)
    return {name: found for name, found in walk.regions.items() if found}


class _Walk:
    def __init__(self, flow: Flow, tensor: str, region: Region) -> None:
        self._shape = flow.shape
        self._tensor, self._begin = tensor, region
        self.regions = {tensor: region}

    def step(self, step: Step) -> None:
        """Go through a node."""
        node = step.node
        if step.cycle is not None:
            self._settle(step.cycle)
        names = sources(node)
        for name, reads in zip(node.outputs, step.reads, strict=False):
            if name and reads:
                self._reach(name, self._made(names, reads, self._shape(name)))

    def _reach(self, name: str, region: Region) -> None:
        """What is reached of a value; of the one that it begins with more than that in a loop."""
        if name == self._tensor:
            region = union((*self._begin, *region), self._shape(name)) if region else self._begin
        self.regions[name] = region

    def _made(self, names: Sequence[str], reads: list[Read], extent: Shape | None) -> Region:
        """What is reached of a value, or of a stage, of shape `extent`."""
        found: list[Product] = []
        for read in reads:
            source = read.source
            shape = source.shape if isinstance(source, Stage) else self._shape(names[source])
            if isinstance(source, Stage):
                given = self._made(names, source.reads, source.shape)
            else:
                given = self.regions.get(names[source], ())
            if not given:
                continue
            if isinstance(read, Everything) or shape is None or extent is None:
                return _ALL
            made = [_read(product, read, shape, extent) for product in given]
            found += [product for product in made if product is not None]
            if len(found) > _MANY:
                found = list(union(found, extent))
        return tuple(found) if len(found) < 2 else union(found, extent)

    def _settle(self, cycle: Cycle) -> None:
        """Go round until nothing more is reached.

        It ends: what is reached only grows, and is a set of finitely many elements.
        """
        for _, inner, _ in cycle.carried:
            if inner != self._tensor:
                self.regions.pop(inner, None)
        grown = True
        # What it begins with may lie within.
        while grown:
            for names, inner, reads in cycle.carried:
                self._reach(inner, self._made(names, reads, self._shape(inner)))
            before = [self.regions.get(inner, ()) for _, inner, _ in cycle.carried]
            for step in cycle.steps:
                self.step(step)
            after = [
                self._made(names, reads, self._shape(inner))
                for names, inner, reads in cycle.carried
            ]
            grown = not all(map(covers, before, after))


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
        out.append(AxesMask(tuple(factor.axes[k] + lead for k in kept), mask))
    return tuple(out)


def _rearranged(product: Product, read: Rearrange, source: Shape, extent: Shape) -> Product:
    place = {axis: k for k, axis in enumerate(read.permutation)}
    moved = []
    for factor in reshaped(product, source, read.view):
        axes = [place[a] for a in factor.axes]
        order = sorted(range(len(axes)), key=axes.__getitem__)
        moved.append(AxesMask(tuple(axes[k] for k in order), factor.mask.transpose(order)))
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
    made: list[AxesMask] = []
    for axes, mask in groups:
        if not mask.any():
            return None
        if not mask.all():
            over = tuple(sorted(axes))
            made.extend(split(over, mask.reshape([mask.shape[a] for a in over])))
    return tuple(made)
