"""Size, stride, start and centre of receptive fields, whatever the input's size.

What the fields are is told here; they are read off the waves in `rfgraph.engine._figures`.

The terms are those of the field: *size* input elements from *start* to the last inclusive,
*stride* input elements between neighbouring units, *centre* ``start + (size - 1) / 2`` of unit 0
(Araujo, Norris and Sim, Computing Receptive Fields of Convolutional Neural Networks, Distill
2019, https://doi.org/10.23915/distill.00021; its padding is ``-start``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from math import inf, isfinite, nan
from typing import overload

from rfgraph.engine._waves import ENDLESS, NOTHING, Digit, Waves, ratio
from rfgraph.notebook import Shown

# First and last coordinates may be infinite.
Number = int | Fraction | float

# ---------------------------------------------------------------- fields


@dataclass(frozen=True, slots=True)
class AxisField(Shown):
    """A receptive field along one axis of the input, of units away from its borders.

    A unit's own elements are those under it when the value is laid over the input: of unit o
    ``floor(o * stride)`` to ``ceil((o + 1) * stride) - 1``.

    Attributes
    ----------
    size : int or inf
        Input elements from the first to the last that one unit sees, both included: of the unit
        that sees most; 0 if nothing is seen.
    stride : int, Fraction or 0
        Input elements between the fields of neighbouring units.
    start : int, -inf or nan
        The first input element that unit 0 sees, of all its channels; negative in the padding; nan
        where it is not known.
    centre : Fraction or nan
        Of unit 0: ``start + (size - 1) / 2``. Where units differ, on the line through the mean of
        all units.
    smallest : int or inf
        As `size`, of the unit that sees least. Units differ by phase, as after a transposed
        convolution, or by channel, as after a concatenation.
    back, ahead : int, inf or nan
        The reach: by how many elements fields begin before the first of the unit's own elements,
        and end behind the last of them; of the unit that reaches farthest. Negative where no
        field gets to its own elements; nan without a stride to lay the value out by.
    phases : tuple of (int, int)
        First and last element that each unit of one period sees, in order, the last before the
        first if it sees nothing; where channels differ, of all of them together.
    branches : tuple of AxisField
        Where paths of different stride meet, or the field's place depends on the unit: each. The
        figures are then those of the units away from the borders, at the size that was analysed.
    is_global : bool
        Whether the field is the whole axis, without a place along it, however long it is; or,
        where only the local part is asked for, nothing local is left.
    irregular : bool
        Whether there is no closed form; the figures are those of the units away from the borders,
        at the size that was analysed.
    """

    size: Number
    stride: Number
    start: Number
    centre: Number
    smallest: Number
    back: Number = nan
    ahead: Number = nan
    phases: tuple[tuple[Number, Number], ...] = ()
    branches: tuple[AxisField, ...] = ()
    is_global: bool = False
    irregular: bool = False

    def __repr__(self) -> str:
        # What most fields have not is left out.
        usual: dict[str, object] = {"smallest": self.size, "phases": (), "branches": ()}
        usual |= {"is_global": False, "irregular": False}
        if len(self.phases) == 1:
            usual["phases"] = self.phases
        given = ((each.name, getattr(self, each.name)) for each in fields(self))
        told = (f"{name}={value}" for name, value in given if usual.get(name, self) != value)
        return f"AxisField({', '.join(told)})"

    @classmethod
    def nothing(cls) -> AxisField:
        """The field of what sees nothing."""
        return cls(0, 0, nan, nan, 0)

    @classmethod
    def endless(cls) -> AxisField:
        """The field of what sees the whole axis, however long it is."""
        return cls(inf, 0, -inf, nan, inf, inf, inf, is_global=True)

    @classmethod
    def periodic(cls, stride: Number, *phases: tuple[Number, Number]) -> AxisField:
        """The field of units that see `phases`, first and last element, in turn.

        Units of one period later see ``stride * len(phases)`` elements on.

        Parameters
        ----------
        stride : int or Fraction
            Elements of the input between neighbouring units.
        *phases : (int, int)
            One pair for each unit of a period; empty where the last is before the first.

        Returns
        -------
        AxisField
            With all other figures.

        Examples
        --------
        >>> field = AxisField.periodic(Fraction(1, 2), (-1, 0), (0, 1))
        >>> field.size, field.start, field.centre, field.back, field.ahead
        (2, -1, Fraction(-1, 4), 1, 1)
        """
        waves = Waves()
        period = len(phases)
        firsts = [ENDLESS if lo == -inf else int(lo) if lo <= hi else NOTHING for lo, hi in phases]
        lasts = [ENDLESS if hi == inf else -int(hi) if lo <= hi else NOTHING for lo, hi in phases]
        advance = int(Fraction(stride) * period)
        slot = waves.listed((period,), (advance,), firsts, lasts)
        figures = waves.figures(slot, (Digit(0, 1, period, 0, True),), {})
        return cls.nothing() if figures is None else cls(*figures)

    @property
    def is_past(self) -> bool:
        """Whether everything before a certain place is seen, however much that is."""
        return self.back == inf and self.ahead < inf

    @property
    def is_future(self) -> bool:
        """Whether everything behind a certain place is seen, however much that is."""
        return self.ahead == inf and self.back < inf


@dataclass(frozen=True, slots=True)
class Field(Shown, Sequence[AxisField]):
    """A receptive field: one `AxisField` for every axis of the input.

    `size`, `stride`, `start` and `centre` give these for all axes at once.

    Attributes
    ----------
    axes : tuple of AxisField
        One for every axis of the input.

    Examples
    --------
    >>> field = Field((AxisField.periodic(2, (-1, 1)),))
    >>> field.size, field[0].stride, field.is_global
    ((3,), 2, False)
    """

    axes: tuple[AxisField, ...]

    @property
    def size(self) -> tuple[Number, ...]:
        """The size along each axis."""
        return tuple(a.size for a in self.axes)

    @property
    def stride(self) -> tuple[Number, ...]:
        """The stride along each axis."""
        return tuple(a.stride for a in self.axes)

    @property
    def start(self) -> tuple[Number, ...]:
        """The start along each axis."""
        return tuple(a.start for a in self.axes)

    @property
    def centre(self) -> tuple[Number, ...]:
        """The centre along each axis."""
        return tuple(a.centre for a in self.axes)

    @property
    def is_global(self) -> bool:
        """Whether the field is the whole input along some axis."""
        return any(a.is_global for a in self.axes)

    @overload
    def __getitem__(self, index: int) -> AxisField: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[AxisField, ...]: ...
    def __getitem__(self, index: int | slice) -> AxisField | tuple[AxisField, ...]:
        return self.axes[index]

    def __len__(self) -> int:
        return len(self.axes)

    def __iter__(self) -> Iterator[AxisField]:
        return iter(self.axes)


# ---------------------------------------------------------------- branches that meet


@dataclass(frozen=True, slots=True)
class Pace:
    """How a branch moves along an axis of the input.

    Attributes
    ----------
    stride : Fraction
        Input elements between neighbouring units.
    centre : Fraction
        Of unit 0, on the line through the mean of all units of a period.
    ahead : int or inf
        How far the fields reach beyond the units' own elements.
    span : int
        Input elements from one period of units to the next.
    """

    stride: Fraction
    centre: Fraction
    ahead: Number
    span: int

    @property
    def offset(self) -> Fraction:
        """How far the centre lies behind the middle of the units' own elements."""
        return self.centre - (self.stride - 1) / 2


@dataclass(frozen=True, slots=True)
class Meeting:
    """Branches that meet, and move differently along `axis` of the input."""

    axis: int
    paces: frozenset[Pace]

    @property
    def strides(self) -> list[Fraction]:
        """The strides, ascending."""
        return sorted({pace.stride for pace in self.paces})

    @property
    def misalignment(self) -> Fraction:
        """How far the branches lie apart, in units of their longest period."""
        offsets = [pace.offset for pace in self.paces]
        longest = max(abs(pace.span) for pace in self.paces)
        return (max(offsets) - min(offsets)) / longest

    def __str__(self) -> str:
        if len(self.strides) > 1:
            return f"strides {', '.join(map(str, self.strides))} on axis {self.axis}"
        centres = sorted({pace.centre for pace in self.paces})
        return f"centres {', '.join(map(str, centres))} on axis {self.axis}"


def centre(start: Number, size: Number) -> Number:
    """The middle of `size` elements from `start` on; nan if it is at no place."""
    if not (isfinite(start) and isfinite(size)):
        return nan
    middle: Number = ratio(2 * start + size - 1, 2)
    return middle


__all__ = [
    "AxisField",
    "Field",
    "Meeting",
    "Number",
    "Pace",
    "centre",
]
