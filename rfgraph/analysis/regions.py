"""What regions of values see, and what sees them: supports, influence, Jacobian patterns, paths."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property, partial
from math import lcm, prod
from typing import Any

import numpy as np

from rfgraph.analysis.addressing import Addressing, Index
from rfgraph.engine.bounds import Bounds
from rfgraph.engine.closed_form import AxisField
from rfgraph.engine.influence import influenced
from rfgraph.engine.paths import Paths, counted, paths, proportions, variation
from rfgraph.engine.products import Region, compressed, region_of, region_of_unit
from rfgraph.engine.support import KnownRegions, Support, backward
from rfgraph.engine.trace import Flow
from rfgraph.errors import QueryError, RFGraphError, ShapeError

# The largest Jacobian whose pattern is made: each row is a pass of its own, and an entry takes
# nine bytes.
_MAX_ROWS = 1 << 17
_MAX_ENTRIES = 1 << 28

# Of models of more steps no support is kept: to find it takes nearly as long as to make it.
_MOST_DERIVED = 1 << 11

# Of other models so many bytes are kept.
_MOST_KEPT = 1 << 26


class Regions:
    """Answers about regions of values; the last one stays, as one pass answers for all inputs."""

    def __init__(self, address: Addressing, flow: Flow, bounds: Bounds) -> None:
        self._address = address
        self._flow = flow
        self._bounds = bounds
        self._last_seen: tuple[object, dict[str, Region]] | None = None
        self._derived: tuple[KnownRegions, dict[str, int]] | None = None
        self._last_reached: tuple[object, dict[str, Region]] | None = None

    def support(self, tensor: str, index: Index, name: str) -> Support:
        """What of an input a region depends on; see `Analysis.support`."""
        self._address.shape_of(name)
        unit = self._address.unit_at(tensor, index)
        if unit is not None:
            return self._once([tensor], unit, name, partial(self._of_unit, tensor, unit))
        places = self._address.places(tensor, index)
        region = region_of(places, tuple(map(len, places)))
        return self._among(self._seen(_key(tensor, places), tensor, region), name)

    def _of_unit(self, tensor: str, unit: tuple[int, ...]) -> dict[str, Region]:
        """What a unit depends on, of every value."""
        region = region_of_unit(unit, self._address.shape_of(tensor))
        return self._seen((tensor, unit), tensor, region)

    def _seen(self, key: object, tensor: str, region: Region) -> dict[str, Region]:
        """What a region depends on, of every value: the last answer stays."""
        if self._last_seen is None or self._last_seen[0] != key:
            self._last_seen = key, self._backward({tensor: region})
        return self._last_seen[1]

    def read(self, name: str) -> Support:
        """What of an input the model's outputs depend on; see `Analysis.read`."""
        self._address.shape_of(name)
        for output in self._address.outputs:
            if self._bounds.sees(output, name):
                self._address.shape_of(output)
        return self._once(self._read, None, name, lambda: self._read_by_outputs)

    @cached_property
    def _read_by_outputs(self) -> dict[str, Region]:
        return self._backward(dict.fromkeys(self._read, ((),)))

    @cached_property
    def _read(self) -> list[str]:
        """The outputs that see anything, as far as it is known what they have."""
        outputs = self._address.outputs
        seeing = [o for o in outputs if any(self._bounds.sees(o, i) for i in self._flow.inputs)]
        extents = {output: self._address.extent(output) for output in seeing}
        return [o for o, extent in extents.items() if extent is not None and 0 not in extent]

    def _once(
        self,
        tensors: Sequence[str],
        unit: tuple[int, ...] | None,
        name: str,
        make: Callable[[], Mapping[str, Region]],
    ) -> Support:
        """What some values depend on of an input, all of them or a unit, unless it is known of
        values that are derived in the same way.
        """
        if len(self._flow.steps) > _MOST_DERIVED:
            return self._among(make(), name)
        known = self._known()
        if self._derived is None or self._derived[0] is not known:
            self._derived = known, known.memory.derivations(self._flow)
        numbers = self._derived[1]
        ways = [numbers.get(value) for value in (name, *tensors)]
        if None in ways:
            return self._among(make(), name)
        # All of them, and a unit, are asked about in turn.
        asked = name, unit is None, *ways
        found = known.supports.get(asked)
        if found is None or found[0] != unit:
            found = known.supports[asked] = unit, self._among(make(), name)
        return found[1]

    def _among(self, regions: Mapping[str, Region], name: str) -> Support:
        """The part of an input among regions of all values."""
        return Support(name, self._address.shape_of(name), regions.get(name, ()))

    def _known(self) -> KnownRegions:
        """What is known of the regions of all models."""
        kept = self._bounds.walk.lowering.answers
        known: KnownRegions | None = kept.get(KnownRegions)
        if known is None or known.size > _MOST_KEPT:
            known = kept[KnownRegions] = KnownRegions()
        return known

    def _backward(self, wanted: dict[str, Region]) -> dict[str, Region]:
        """What regions of some values depend on."""
        return backward(self._flow, wanted, self._known())

    def influence(self, tensor: str, index: Index, output: str) -> Support:
        """The units of a later value that depend on a region; see `Analysis.influence`."""
        extent = self._address.shape_of(output)
        return Support(output, extent, self._reached(tensor, index).get(output, ()))

    def influenced(
        self, tensor: str, index: Index, values: Collection[str] | None
    ) -> dict[str, np.ndarray]:
        """The units of several values that depend on a region; see `Analysis.influenced`."""
        return {
            value: compressed(region, self._address.extent(value))
            for value, region in self._reached(tensor, index).items()
            if values is None or value in values
        }

    def _reached(self, tensor: str, index: Index) -> dict[str, Region]:
        """What of every value depends on a region of `tensor`."""
        places = self._address.places(tensor, index)
        inputs = self._flow.inputs
        if tensor not in inputs and not any(self._bounds.sees(tensor, name) for name in inputs):
            raise QueryError(
                f"'{tensor}' depends on no input: what it influences can't be told",
                file=self._address.file,
            )
        region = region_of(places, self._address.shape_of(tensor))
        if not region:
            return {}
        key = _key(tensor, places)
        if self._last_reached is None or self._last_reached[0] != key:
            self._last_reached = key, influenced(self._flow, tensor, region)
        return self._last_reached[1]

    def paths(self, tensor: str, index: Index, name: str) -> Paths:
        """How many paths lead from a region to an input's elements; see `Analysis.paths`."""
        terms = counted(self._address.places(tensor, index))
        try:
            found = paths(self._flow, {tensor: terms})
        except RFGraphError as error:
            error.file = error.file or self._address.file
            raise
        return Paths(name, self._address.given(name), found.get(name, ()))

    def unevenness(self, tensor: str, axis: int, name: str, sides: Sequence[AxisField]) -> float:
        """How unevenly units along an axis are reached; see `Analysis.unevenness`.

        `sides` is the value's field: after so many units as it has phases all is repeated.
        """
        shape = self._address.shape_of(tensor)
        if 0 in shape:
            return 0.0
        period = min(lcm(*(max(len(side.phases), 1) for side in sides)), shape[axis])
        first = (shape[axis] - period) // 2
        unit = [n // 2 for n in shape]
        totals = []
        for coordinate in range(first, first + period):
            unit[axis] = coordinate
            totals.append(self.paths(tensor, unit, name).total)
        return variation(proportions(totals))

    def sparsity(self, tensor: str, name: str) -> Any:
        """The pattern of a Jacobian; see `Analysis.sparsity`."""
        extent, shape = self._address.shape_of(tensor), self._address.shape_of(name)
        units, places = prod(extent), prod(shape)
        entries = 0
        if units <= _MAX_ROWS and self._bounds.sees(tensor, name):
            # No more than the boxes of all units have.
            ends = [self._bounds.interval(tensor, name, axis) for axis in range(len(shape))]
            sides = [np.maximum(hi - lo + 1, 0).astype(np.float64) for lo, hi in ends]
            boxes = np.broadcast_to(prod(sides, start=np.ones(1)), extent or (1,))
            entries = int(boxes.sum())
        if units > _MAX_ROWS or entries > _MAX_ENTRIES:
            said = f" and up to {entries:,} entries" if entries else ""
            raise ShapeError(
                f"the Jacobian of '{tensor}' is too large: {units:,} rows{said}",
                file=self._address.file,
                remedy="ask for the support of some units",
            )
        try:
            from scipy import sparse
        except ImportError:
            raise RFGraphError(
                "sparse patterns need scipy, which is not installed",
                remedy="pip install 'rfgraph[sparse]'",
            ) from None
        rows = [self.support(tensor, unit, name).elements for unit in np.ndindex(*extent)]
        starts = np.cumsum([0, *map(len, rows)])
        columns = np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)
        true = np.ones(len(columns), dtype=bool)
        return sparse.csr_array((true, columns, starts), shape=(units, places))


def _key(tensor: str, places: Sequence[np.ndarray]) -> object:
    return tensor, tuple(place.tobytes() for place in places)
