"""Why a unit sees as far as it does: the chain of nodes that sets each end of its bounds.

At every node one of the elements that the unit reads has the unit's own bound: going there again
and again leads to the input. What the nodes on the way add to the field sums up to its size.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rfgraph.engine.bounds import NOTHING, Bounds
from rfgraph.engine.products import Product, Region, region_of
from rfgraph.engine.pullback import pulled_back
from rfgraph.engine.trace import Flow
from rfgraph.model.graph import Node
from rfgraph.reads.words import Fixed, PerAxis, Read, Shape, Stage


@dataclass(frozen=True, slots=True)
class Hop:
    """One value on the way from a unit to an input.

    Attributes
    ----------
    tensor : str
        The value.
    unit : tuple of int
        Its unit that sets the bound.
    node : Node or None
        The node that makes it; None for the input.
    bounds : (int, int)
        What the unit sees of the input's axis, first and last coordinate.
    added : int
        By how much more than the unit that comes next on the way.
    """

    tensor: str
    unit: tuple[int, ...]
    node: Node | None
    bounds: tuple[int, int]
    added: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """What sets the bounds of a unit along one axis of an input.

    Attributes
    ----------
    input : str
        The input.
    axis : int
        Its axis.
    size : int
        The axis's length.
    lower, upper : tuple of Hop
        The ways from the unit to the input elements at both ends of its bounds.
    """

    input: str
    axis: int
    size: int
    lower: tuple[Hop, ...]
    upper: tuple[Hop, ...]

    @property
    def whole(self) -> Hop | None:
        """The first value, from the input on, of which a unit on the way sees the whole axis."""
        if self.size < 2:
            return None
        first: tuple[int, Hop] | None = None
        for end in (self.lower, self.upper):
            for left, hop in enumerate(reversed(end)):
                if hop.bounds == (0, self.size - 1):
                    if first is None or left < first[0]:
                        first = left, hop
                    break
        return first and first[1]


@dataclass(frozen=True, slots=True)
class _Goal:
    """Which end of the bounds is looked for: 0 the lower, 1 the upper.

    With `local`, of the local part only. With `plain`, what is read by a statistic is left out.
    With `bound`, nothing else will do.
    """

    input: str
    axis: int
    end: int
    local: bool
    plain: bool = False
    bound: int | None = None


# The values of `local` and `plain` for which a goal is tried, in this order.
_ATTEMPTS = ((True, True), (True, False), (False, True), (False, False))

# A value and one of its units.
_Place = tuple[str, tuple[int, ...]]

# The end of the bounds that is looked for, ``lo`` or ``-hi``, then the other one, and where.
_Found = tuple[int, int, str, tuple[int, ...]]

# The units that a way has passed, by value: in a loop it may come back to a value.
_Passed = Mapping[str, list[tuple[int, ...]]]
_NOWHERE: _Passed = {}


class Explainer:
    """Finds the ways.

    Parameters
    ----------
    flow : Flow
        The steps.
    bounds : Bounds
        The bounds of every value.
    """

    def __init__(self, flow: Flow, bounds: Bounds) -> None:
        self._flow = flow
        self._found = bounds
        # For every value what it is read of, and how.
        self._made: dict[str, tuple[Node, Sequence[str], list[Read]]] = {}
        # The values that go from round to round of a loop.
        self._carried: set[str] = set()
        steps = list(flow.steps)
        while steps:
            step = steps.pop()
            node = step.node
            for name, reads in zip(node.outputs, step.reads, strict=False):
                self._made[name] = node, [*node.inputs, *node.captures], reads
            if step.cycle is not None:
                steps += step.cycle.steps
                for names, inner, reads in step.cycle.carried:
                    self._made[inner] = node, names, reads
                    self._carried.add(inner)

    def explain(
        self, tensor: str, unit: tuple[int, ...], input: str, axis: int, *, local: bool
    ) -> Explanation:
        """The ways that set the bounds of one unit along one axis of an input."""
        size = (self._flow.inputs[input] or ())[axis]
        lower, upper = (self._way(tensor, unit, _Goal(input, axis, end, local)) for end in (0, 1))
        return Explanation(input, axis, size, lower, upper)

    def _way(self, tensor: str, unit: tuple[int, ...], goal: _Goal) -> tuple[Hop, ...]:
        way: list[tuple[_Place, _Goal]] = [((tensor, unit), goal)]
        passed: dict[str, list[tuple[int, ...]]] = defaultdict(list, {tensor: [unit]})
        while way and way[-1][0][0] != goal.input:
            found = self._before(*way[-1], passed)
            if found is None:
                # Gone round in a loop: back, and another way.
                way.pop()
            else:
                way.append(found)
                (name, place), _ = found
                passed[name].append(place)
        bounds = [self._bounds(place, goal) for place, goal in way]
        hops = []
        for k, ((name, at), _) in enumerate(way):
            first, last = bounds[k]
            begin, end = bounds[min(k + 1, len(way) - 1)]
            maker = self._made[name][0] if name != goal.input else None
            hops.append(Hop(name, at, maker, (first, last), last - first - (end - begin)))
        return tuple(hops)

    def _bounds(self, place: _Place, goal: _Goal) -> tuple[int, int]:
        """What a unit sees: of the local part, if there is one."""
        region = self._single(place)
        for local in (True, False) if goal.local else (False,):
            lo, hi = (
                self._farthest(place[0], region, replace(goal, end=end, local=local))
                for end in (0, 1)
            )
            if lo is not None and hi is not None:
                return lo[0], -hi[0]
        raise AssertionError(place)

    def _before(self, place: _Place, goal: _Goal, passed: _Passed) -> tuple[_Place, _Goal] | None:
        """An element that a unit reads and that has the unit's own bound.

        Where none has it by its local part, the way goes on in full.
        """
        tensor = place[0]
        if tensor not in self._made:
            return None
        bounds = self._bounds(place, goal)
        _, names, reads = self._made[tensor]
        region = self._single(place)
        for local, plain in _ATTEMPTS:
            if local and not goal.local:
                continue
            bound = bounds[0] if goal.end == 0 else -bounds[1]
            wanted = replace(goal, local=local, plain=plain, bound=bound)
            # Out of a loop rather than round once more.
            for some in [[read] for read in reads] if tensor in self._carried else [reads]:
                found = self._next(names, some, region, self._shape(tensor), wanted, passed)
                if found is not None:
                    return found[2:], replace(goal, local=local)
        return None

    def _next(
        self,
        names: Sequence[str],
        reads: list[Read],
        region: Region,
        extent: Shape,
        goal: _Goal,
        passed: _Passed,
    ) -> _Found | None:
        """The element behind a region that reaches farthest."""
        best: _Found | None = None
        for read in reads:
            if goal.plain and _is_statistic(read):
                continue
            source = read.source
            if isinstance(source, Stage):
                shape: Shape | None = source.shape
                found = pulled_back(region, read, shape, extent)
                far = None
                if found:
                    far = self._next(names, source.reads, found, source.shape, goal, passed)
            else:
                name = names[source]
                shape = self._flow.shape(name)
                found = pulled_back(region, read, shape, extent)
                far = None
                if found and shape is not None:
                    far = self._farthest(name, found, goal, passed)
            if far is not None and (best is None or far[:2] < best[:2]):
                best = far
        return best

    def _shape(self, name: str) -> Shape:
        return self._flow.shape(name) or ()

    def _single(self, place: _Place) -> Region:
        tensor, unit = place
        shape = self._shape(tensor)
        return region_of([np.arange(n) == i for n, i in zip(shape, unit, strict=True)], shape)

    def _farthest(
        self, tensor: str, region: Region, goal: _Goal, passed: _Passed = _NOWHERE
    ) -> _Found | None:
        """The element of a region that reaches farthest.

        Of several, the one whose other end reaches farthest: a unit that is cut off by the border
        of the input says less than its neighbour.
        """
        array = self._found.lowest(tensor, goal.input, goal.axis, local=goal.local)
        if goal.bound is not None:
            array = np.where(array[goal.end] == goal.bound, array, NOTHING)
        shape = self._shape(tensor)
        skipped = passed.get(tensor, ())
        best: _Found | None = None
        for product in region:
            found = _least(array, goal.end, product, shape, skipped)
            if found[0] < NOTHING and (best is None or found[:2] < best[:2]):
                best = (*found[:2], tensor, found[2])
        return best


def _is_statistic(read: Read) -> bool:
    return isinstance(read, PerAxis) and any(
        isinstance(r, Fixed) and r.statistic for r in read.axes
    )


def _least(
    ends: np.ndarray,
    end: int,
    product: Product,
    shape: Shape,
    skipped: Sequence[tuple[int, ...]],
) -> tuple[int, int, tuple[int, ...]]:
    """The least of one of two compressed arrays over a product, by the other one among equals, and
    where: at the first place for `end` 0, at the last one for 1, which is nearest to that end.
    """
    first, second = ends[end], ends[1 - end]
    # Regions are small where values are large: only what they span is looked at.
    places = [np.arange(size) for size in shape]
    for factor in product:
        for k, axis in enumerate(factor.axes):
            others = tuple(other for other in range(factor.mask.ndim) if other != k)
            places[axis] = np.flatnonzero(factor.mask.any(axis=others))
    sizes = [len(where) for where in places]
    outside = np.zeros((1,) * len(shape), dtype=bool)
    for factor in product:
        if len(factor.axes) > 1:
            mask = factor.mask[np.ix_(*(places[axis] for axis in factor.axes))]
            dims = [n if axis in factor.axes else 1 for axis, n in enumerate(sizes)]
            outside = outside | ~mask.reshape(dims)
    inside = [unit for unit in skipped if all(c in w for c, w in zip(unit, places, strict=True))]
    if inside:
        outside = np.broadcast_to(outside, sizes).copy()
        for unit in inside:
            at = zip(places, unit, strict=True)
            outside[tuple(int(np.searchsorted(where, c)) for where, c in at)] = True
    for axis, where in enumerate(places):
        first = first.take(where, axis) if first.shape[axis] > 1 else first
        second = second.take(where, axis) if second.shape[axis] > 1 else second
    first = np.where(outside, NOTHING, first)
    least = int(first.min())
    second = np.where(first > least, NOTHING, second)
    nearest = second.argmin() if end == 0 else second.size - 1 - second.ravel()[::-1].argmin()
    place = np.unravel_index(int(nearest), second.shape)
    unit = tuple(int(where[i]) for where, i in zip(places, place, strict=True))
    return least, int(second[place]), unit


__all__ = ["Explainer", "Explanation", "Hop"]
