"""What the page works with: the reads of all nodes and the program of the bounds, as plain lists.

Supports go backward through the reads, and boxes are looked up in the program's slots: the page
does both as `rfgraph.engine` does (support.js, bounds.js). What is equal is written once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np

from rfgraph._core import NOTHING, Program
from rfgraph.engine._lowering import AxisView, Chain, Factor
from rfgraph.engine.bounds import Bounds
from rfgraph.engine.trace import Cycle, Flow, Step, sources
from rfgraph.reads.words import (
    Along,
    AxisRead,
    Elementwise,
    Everything,
    Fixed,
    Read,
    Rearrange,
    Shape,
    Stage,
)

# A list of more coordinates than this is not shipped: the whole axis stands for it, and what is
# seen through it is a box.
_MOST_LISTED = 1 << 16


class Once:
    """A list in which equal entries are one."""

    def __init__(self) -> None:
        self.all: list[Any] = []
        self._known: dict[str, int] = {}
        # By identity; the object is kept, so that no other one gets its place in memory.
        self._objects: dict[Hashable, tuple[int, object]] = {}

    def add(self, entry: Any) -> int:
        """Where an entry is in the list."""
        key = json.dumps(entry, separators=(",", ":"))
        if key not in self._known:
            self._known[key] = len(self.all)
            self.all.append(entry)
        return self._known[key]

    def of(self, thing: object, also: Hashable, entry: Callable[[], Any]) -> int:
        """Where the entry for an object is, which `entry` makes if the object is new."""
        key = id(thing), also
        if key not in self._objects:
            self._objects[key] = self.add(entry()), thing
        return self._objects[key][0]


class Shipped:
    """The reads and the bounds of a model, for the page.

    Parameters
    ----------
    flow : Flow
        The steps.
    bounds : Bounds
        Their bounds.

    Attributes
    ----------
    names : list of str
        The values that the steps make or read; everything else goes by their numbers.
    number : dict of str to int
        The number of each.
    """

    def __init__(self, flow: Flow, bounds: Bounds) -> None:
        self._flow = flow
        self._bounds = bounds
        self.names: list[str] = []
        self.number: dict[str, int] = {}
        self._reads, self._shapes, self._views, self._slots = Once(), Once(), Once(), Once()
        for name in flow.inputs:
            self._value(name)
        self._steps = [self._step(step) for step in flow.steps]

    def document(self) -> dict[str, Any]:
        """All of it."""
        shapes = [self._shapes.add(self._flow.shape(name)) for name in self.names]
        views = [
            {
                self.number[given]: [self._along(view) for view in found]
                for given, found in self._bounds.views.get(name, {}).items()
            }
            for name in self.names
        ]
        return {
            "values": self.names,
            "inputs": [self.number[name] for name in self._flow.inputs],
            "shape": shapes,
            "shapes": self._shapes.all,
            "reads": self._reads.all,
            "steps": self._steps,
            "views": views,
            "axisViews": self._views.all,
            "slots": self._slots.all,
        }

    def _value(self, name: str) -> int:
        """The number of a value."""
        if name not in self.number:
            self.number[name] = len(self.names)
            self.names.append(name)
        return self.number[name]

    # ------------------------------------------------ reads

    def _step(self, step: Step) -> list[Any]:
        """A node: the values that it makes, the reads of each, and what it repeats before."""
        cycle = [self._cycle(step.cycle)] if step.cycle is not None else []
        pairs = list(zip(step.node.outputs, step.reads, strict=False))
        outputs = [self._value(name) if name else -1 for name, _ in pairs]
        names = sources(step.node)
        return [outputs, [self._all(reads, names, name) for name, reads in pairs], *cycle]

    def _cycle(self, cycle: Cycle) -> dict[str, Any]:
        carried = [
            [self._value(inner), self._all(reads, names, inner)]
            for names, inner, reads in cycle.carried
        ]
        return {"carried": carried, "steps": [self._step(step) for step in cycle.steps]}

    def _all(self, reads: Sequence[Read], names: Sequence[str], output: str) -> list[Any]:
        """Each read, and after it the value that it reads.

        In place of a value a stage is its shape and what it reads itself.
        """
        return self._pairs(reads, names, self._flow.shape(output))

    def _pairs(
        self, reads: Sequence[Read], names: Sequence[str], extent: Shape | None
    ) -> list[Any]:
        found: list[Any] = []
        for read in reads:
            found.append(self._reads.of(read, extent, partial(_read, read, extent)))
            source = read.source
            if isinstance(source, Stage):
                shape = self._shapes.add(source.shape)
                found.append([shape, self._pairs(source.reads, names, source.shape)])
            else:
                found.append(self._value(names[source]))
        return found

    # ------------------------------------------------ bounds

    def _along(self, view: AxisView) -> int:
        """The number of a view of one axis of an input."""
        return self._views.of(view, None, lambda: self._view(view))

    def _view(self, view: AxisView) -> list[Any]:
        """Items as ``[slot, pieces, masks, global]``, chains as ``{axis, parts}``."""
        return [
            {
                "axis": item.axis,
                "parts": [[begin, size, self._view(part)] for begin, size, part in item.parts],
            }
            if isinstance(item, Chain)
            else [*self._factor(item), list(map(self._factor, item.masks)), int(item.is_global)]
            for item in view.items
        ]

    def _factor(self, factor: Factor) -> list[Any]:
        slot = self._slots.add(_slot(self._bounds.program, factor.slot))
        return [slot, [[p.axis, p.inner, p.size, p.shift] for p in factor.pieces]]


def _read(read: Read, extent: Shape | None) -> Any:
    """A read without its source: 0 for everything, 1 for the same position."""
    if isinstance(read, Everything) or extent is None:
        return 0
    if isinstance(read, Elementwise):
        return 1
    if isinstance(read, Rearrange):
        return {"view": read.view, "permutation": read.permutation}
    return {"axes": [_axis(r, extent) for r in read.axes]}


def _axis(read: AxisRead, extent: Shape) -> list[Any]:
    """A progression: ``[axis, starts, counts, advance, step]``, and the part if it has one;
    ``[-1, start, count]`` for what is fixed, with a count of -1 for all;
    ``[[axes], starts, counts, step]`` for a list; ``[-2]`` for a list that is too long.
    """
    if isinstance(read, Fixed):
        return [-1, read.start, -1 if read.count is None else read.count]
    if isinstance(read, Along):
        part = [] if read.part is None else [read.part]
        return [read.axis, read.starts, _short(read.counts), read.advance, read.step, *part]
    shape = [extent[a] for a in read.axes]
    if prod(shape) > _MOST_LISTED:
        return [-2]
    starts, counts = (np.broadcast_to(each, shape).ravel() for each in (read.starts, read.counts))
    return [read.axes, starts.tolist(), _short(counts.tolist()), read.step]


def _short(counts: Sequence[int]) -> Sequence[int] | int:
    """One number where all are the same."""
    return counts[0] if len(set(counts)) == 1 else counts


def _slot(program: Program, slot: int) -> list[Any]:
    """The segments of first coordinates and of last ones, negated: begin, advance, values."""
    return [
        [
            [begin, advance, [None if value >= NOTHING else value for value in values]]
            for begin, advance, values in program.segments_of(slot, which)
        ]
        for which in range(2)
    ]
