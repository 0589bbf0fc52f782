"""The fields of values: in closed form, or measured at the size that is analysed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import cached_property, partial
from itertools import pairwise
from math import ceil, inf, isinf, isnan
from typing import TypeAlias, TypeVar

import numpy as np

from rfgraph.analysis.addressing import Addressing
from rfgraph.analysis.collector import uncollected
from rfgraph.engine._figures import ClosedForm
from rfgraph.engine._lowering import ascending
from rfgraph.engine.bounds import Bounds
from rfgraph.engine.closed_form import AxisField, Field, Meeting, Number
from rfgraph.engine.measured import end_to_end, measured, own_elements
from rfgraph.engine.trace import Flow
from rfgraph.errors import QueryError

# Runs of coordinates with fields of their own, of one value: each is a row of the answer.
_MOST_RUNS = 1 << 16

T = TypeVar("T")

# By axis.
_Sizes: TypeAlias = tuple[Number, ...]

# Stands where there is no answer yet.
_UNASKED = object()

# What is asked of a value: its field, the local part of it, and more.
_WHOLE, _LOCAL, _SPAN, _HALO, _MOVES, _CLOSED = (object() for _ in range(6))


class Fields:
    """Fields of all values, each worked out when it is first asked for.

    Inputs and axes are such as `Addressing` gives.
    """

    def __init__(self, address: Addressing, flow: Flow, bounds: Bounds) -> None:
        self._address = address
        self._flow = flow
        self._bounds = bounds
        with uncollected():
            self._form = ClosedForm(flow, bounds.walk)
        self._answers: dict[tuple[str, str, bool], Field] = {}
        self._look = self._form.look
        self._measured: dict[object, AxisField] = {}
        self._alike: dict[str, dict[str, int]] = {}
        self._shortest: dict[tuple[str, tuple[int, ...]], Mapping[str, _Sizes]] = {}

    def field(
        self, tensor: str, name: str, local: bool, at: Mapping[int, int] | None = None
    ) -> Field:
        """The field along all axes of an input; see `Analysis.field`."""
        if at:
            return self._held(tensor, name, local, at)
        asked = tensor, name, local
        answer = self._answers.get(asked)
        if answer is None:
            if tensor not in self._bounds.views:
                self._address.known(tensor)
            # `once`, written out: this is asked of every value.
            answers, what = self._look(tensor, name).answers, _LOCAL if local else _WHOLE
            answer = answers.get(what)
            if answer is None:
                answer = answers[what] = self._field(tensor, name, local, {})
            self._answers[asked] = answer
        return answer

    def _held(self, tensor: str, name: str, local: bool, at: Mapping[int, int]) -> Field:
        self._address.known(tensor)
        held = self._address.coordinates(tensor, at)
        what = (_LOCAL if local else _WHOLE, None, *held.items())
        return self.once(tensor, name, what, lambda: self._field(tensor, name, local, held))

    def _field(self, tensor: str, name: str, local: bool, held: dict[int, int]) -> Field:
        axes = range(len(self._address.given(name)))
        return Field(tuple([self.along(tensor, name, axis, local, held) for axis in axes]))

    def once(self, tensor: str, name: str, what: Hashable, make: Callable[[], T]) -> T:
        """`make`, unless it was called for the same `what`; see `Analysis.once`."""
        answers = self._look(tensor, name).answers
        found: T = answers.get(what, _UNASKED)
        if found is _UNASKED:
            found = answers[what] = make()
        return found

    def each_once(self, name: str, what: Hashable, make: Callable[[str], T]) -> list[T]:
        """The same for one value of each number; see `Analysis.each_once`."""
        return self._form.each_once(self.alike(name), name, what, make)

    def along(
        self, tensor: str, name: str, axis: int, local: bool, held: dict[int, int]
    ) -> AxisField:
        """The field along one axis, some coordinates of the value held; ascending by axis."""
        what = (_LOCAL if local else _WHOLE, axis, *held.items())
        return self.once(tensor, name, what, partial(self._along, tensor, name, axis, local, held))

    def _along(
        self, tensor: str, name: str, axis: int, local: bool, held: dict[int, int]
    ) -> AxisField:
        view = self._form.view(tensor, name)
        if view is None:
            return AxisField.nothing()
        extent = self._flow.shape(tensor) or ()
        known = self._form.side_of(view, axis, extent, local=local, at=held)
        if known is not None and not known.branches:
            return known
        # Without a closed form it is seen from the bounds, once for all values that look alike.
        told, axes = self._form.alike(view, axis, extent, held)
        number, others, _, _ = self._form.likeness.of(self._bounds.views[tensor][name][axis])
        every = tuple(dict.fromkeys((*axes, *others)))
        key = (
            told,
            number,
            tuple([every.index(a) for a in others]),
            ascending(every),
            tuple([extent[a] for a in every]),
            tuple([held.get(a) for a in every]),
            self._address.given(name)[axis],
            local,
        )
        found = self._measured.get(key)
        if found is None:
            found = self._seen(tensor, name, axis, local, held, known)
            self._measured[key] = found
        return found

    def _seen(
        self,
        tensor: str,
        name: str,
        axis: int,
        local: bool,
        held: dict[int, int],
        known: AxisField | None,
    ) -> AxisField:
        """The field along an axis as the bounds of the units have it."""
        view = self._form.view(tensor, name)
        assert view is not None
        size = self._address.given(name)[axis]
        near, far = self._bounds.parts(tensor, name, axis)
        layout = self._form.layout(view, axis, known.stride) if known is not None else None
        at = self._bounds.kinds(tensor, name, axis, (layout[0],) if layout else ())
        at.update((a, np.array([coordinate])) for a, coordinate in held.items() if a in at)
        parts = self._bounds.ends(tensor, name, axis, at, local=local and near)
        if far and not (local and near) and end_to_end(parts, size):
            return AxisField.endless()
        rank = len(self._flow.shape(tensor) or ())
        found = measured(parts, known, own_elements(*layout, at, rank) if layout else None)
        return found if near or not local else replace(found, is_global=True)

    def own(
        self, tensor: str, name: str, unit: tuple[int, ...]
    ) -> tuple[tuple[int, int] | None, ...]:
        """The own elements of a unit, along each axis of an input; see `Analysis.own`."""
        at = {axis: np.array([coordinate]) for axis, coordinate in enumerate(unit)}
        ends = (
            self.places(tensor, name, axis, at) for axis in range(len(self._address.given(name)))
        )
        return tuple([None if e is None else (int(e[0].item()), int(e[1].item())) for e in ends])

    def places(
        self, tensor: str, name: str, axis: int, at: Mapping[int, np.ndarray] | None = None
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """The own elements of all units, or of those `at`, along an axis; see `Analysis.places`."""
        view = self._form.view(tensor, name)
        if view is None:
            return None
        extent = self._flow.shape(tensor) or ()
        known = self._form.side_of(view, axis, extent, local=True, at={})
        layout = self._form.layout(view, axis, known.stride) if known is not None else None
        if layout is None:
            return None
        every = {a: np.arange(n) for a, n in enumerate(extent)} if at is None else at
        return own_elements(*layout, every, len(extent))

    def without_size(self, tensor: str, name: str, axis: int, local: bool) -> AxisField | None:
        """The field along one axis if no size enters into it; see `Analysis.closed_form`."""
        view = self._form.view(tensor, name)
        if view is None:
            return AxisField.nothing()
        extent = self._flow.shape(tensor) or ()
        found = self._form.side_of(view, axis, extent, local=local, at={})
        return None if found is None or found.branches else found

    def runs(self, tensor: str, axis: int, name: str, local: bool) -> list[tuple[range, Field]]:
        """The fields along one axis of the value; see `Analysis.fields`."""
        size = self._address.shape_of(tensor)[axis]
        edges = self._form.edges(tensor, name, axis)
        if len(edges) > _MOST_RUNS:
            raise QueryError(
                f"'{tensor}' may have {len(edges):,} different fields along axis {axis}: more than "
                f"{_MOST_RUNS:,}",
                file=self._address.file,
                remedy="ask for the bounds of every unit: bounds()",
            )
        runs: list[tuple[range, Field]] = []
        for begin, end in pairwise([0, *[e for e in edges if 0 < e < size], size]):
            found = self.field(tensor, name, local, {axis: begin})
            if runs and runs[-1][1] == found:
                runs[-1] = (range(runs[-1][0].start, end), found)
            else:
                runs.append((range(begin, end), found))
        return runs

    def alike(self, name: str) -> dict[str, int]:
        """The values that see an input, numbered by what they see; see `Analysis.alike`."""
        found = self._alike.get(name)
        if found is None:
            found = self._form.numbered(self._address.tensors, name, self._bounds.sees)
            self._alike[name] = found
        return found

    def changes(self, name: str) -> list[tuple[str, list[str]]]:
        """The values that see something else than what they are made of; see `Analysis.changes`."""
        return self._form.changes(self.alike(name), self._address.producer)

    def shortest(self, name: str, axes: tuple[int, ...]) -> Mapping[str, _Sizes]:
        """The sizes of fields by the shortest path; see `Analysis.shortest`."""
        found = self._shortest.get((name, axes))
        if found is None:
            numbers = self.alike(name)
            closed = self.each_once(
                name, (_CLOSED, axes), lambda tensor: self._closed(tensor, name, axes)
            )
            found = self._form.shortest(
                numbers,
                self._address.producer,
                closed,
                lambda tensor: self._own(tensor, name, axes),
                lambda tensor: tuple([self.along(tensor, name, a, True, {}).size for a in axes]),
            )
            self._shortest[name, axes] = found
        return found

    def _closed(
        self, tensor: str, name: str, axes: tuple[int, ...]
    ) -> tuple[_Sizes, _Sizes | None]:
        """The sizes of a value's field where it has a closed form, and inf elsewhere; and of units
        that are all alike, None where the bounds have to tell.
        """
        sides = [self.without_size(tensor, name, axis, local=True) for axis in axes]
        sizes = tuple([inf if side is None else side.size for side in sides])
        if None in sides:
            return sizes, None
        return sizes, tuple([_of_all(side) for side in sides if side is not None])

    def _own(self, tensor: str, name: str, axes: tuple[int, ...]) -> _Sizes:
        """The sizes of a value's field along axes along which all units are alike, else -inf."""
        closed = [self.without_size(tensor, name, axis, local=True) for axis in axes]
        return tuple(
            [
                _of_all(self.along(tensor, name, axis, True, {}) if side is None else side)
                for axis, side in zip(axes, closed, strict=True)
            ]
        )

    @cached_property
    def meetings(self) -> list[tuple[str, str, Meeting]]:
        """Where branches with different strides or centres meet: value, input, and the branches."""
        return self._form.meetings()

    def span(self, tensor: str, name: str, axis: int, local: bool) -> tuple[Number, Number] | None:
        """The first and the last coordinate seen, borders not clipped; see `Analysis.span`."""
        return self.once(
            tensor,
            name,
            (_SPAN, axis, local),
            partial(self._form.span, tensor, name, axis, local=local),
        )

    def halo(self, tensor: str, name: str, axis: int, local: bool) -> tuple[Number, Number] | None:
        """How far units reach beyond their own elements; see `Analysis.halo`."""
        return self.once(
            tensor, name, (_HALO, axis, local), partial(self._halo, tensor, name, axis, local)
        )

    def _halo(self, tensor: str, name: str, axis: int, local: bool) -> tuple[Number, Number] | None:
        field = self.field(tensor, name, local)[axis]
        if field.is_global:
            return inf, inf
        units = self._form.units_along(tensor, name, axis)
        if units is None or isnan(field.back):
            return None
        stride = Fraction(field.stride)
        over = self._address.given(name)[axis] - units * stride
        # The last unit may have fewer elements of its own, or leave some behind it.
        shift = over / 2 if abs(over) >= stride and abs(over) >= 1 else Fraction(0)
        before, behind = (
            side + by if isinf(side) else ceil(side + by)
            for side, by in ((field.back, shift), (field.ahead, -shift))
        )
        return before, behind

    def moving(self, name: str) -> list[int]:
        """The axes along which some field both extends and moves; see `Analysis.moving_axes`."""
        every = range(len(self._address.given(name)))
        found = self.each_once(name, _MOVES, lambda tensor: self._moves(tensor, name, every))
        moving = sorted(set().union(*found))
        return moving or list(every)[min(1, len(every) - 1) :]

    def _moves(self, tensor: str, name: str, axes: Iterable[int]) -> frozenset[int]:
        """The axes along which a value's field both extends and moves."""
        sides = ((axis, self.along(tensor, name, axis, True, {})) for axis in axes)
        return frozenset([axis for axis, side in sides if side.stride and side.size > 1])


def _of_all(side: AxisField) -> Number:
    """The size of a field along an axis where all units are alike, else -inf."""
    return -inf if side.branches or side.irregular else side.size
