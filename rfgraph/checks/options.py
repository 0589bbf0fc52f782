"""What options may hold: a parser each, which says what it expects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

# Limits by axis of an input; None stands for every axis along which fields move.
AxisLimits: TypeAlias = Mapping[int | None, float]


@dataclass(frozen=True)
class Option:
    """An option of a check.

    Attributes
    ----------
    name : str
        Its key, in kebab-case.
    parse : callable
        Takes what the configuration has; raises ValueError, which says what is expected.
    default : object
        What holds where it is not set, as a configuration has it; None: it is off.
    text : str
        What it says, for `rfgraph explain`.
    scope : str
        ``output`` if it may differ from output to output, else ``model``.
    """

    name: str
    parse: Callable[[Any], Any]
    default: Any
    text: str
    scope: Literal["output", "model"] = "output"

    @cached_property
    def value(self) -> Any:
        """The default, as `parse` answers."""
        return None if self.default is None else self.parse(self.default)


def flag(given: Any) -> bool:
    """True or false."""
    if not isinstance(given, bool):
        raise ValueError("true or false")
    return given


def whole(given: Any) -> int:
    """A number of elements.

    >>> whole(3)
    3
    """
    if isinstance(given, bool) or not isinstance(given, int) or given < 0:
        raise ValueError("a whole number from 0 on")
    return given


def number(given: Any) -> float:
    """A number that is not negative."""
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not given >= 0:
        raise ValueError("a number from 0 on")
    return given


def share(given: Any) -> float:
    """A share, from 0 to 1."""
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not 0 <= given <= 1:
        raise ValueError("a number from 0 to 1")
    return given


def name(given: Any) -> str:
    """A name."""
    if not isinstance(given, str):
        raise ValueError("a string")
    return given


def severity(given: Any) -> str:
    """A severity."""
    if given not in ("error", "warning", "note"):
        raise ValueError('"error", "warning" or "note"')
    return name(given)


def names(given: Any) -> list[str]:
    """Names or patterns, or one of them."""
    given = [given] if isinstance(given, str) else given
    if not isinstance(given, list) or not all(isinstance(item, str) for item in given):
        raise ValueError("a list of strings")
    return given


def by_axis(one: Callable[[Any], Any]) -> Callable[[Any], AxisLimits]:
    """One limit for every axis along which fields move, or a table of axis to limit.

    >>> by_axis(whole)(32), by_axis(whole)({"2": 32, "3": 16})
    ({None: 32}, {2: 32, 3: 16})
    """

    def parse(given: Any) -> AxisLimits:
        if not isinstance(given, dict):
            return {None: one(given)}
        if not all(str(axis).isdecimal() for axis in given):
            raise ValueError("a table with a limit for each axis, such as { 2 = 32, 3 = 16 }")
        return {int(axis): one(limit) for axis, limit in given.items()}

    return parse


@dataclass(frozen=True)
class Causal:
    """Axes that are causal: of which inputs, which of theirs, and which of the output's.

    An axis that is None is the only one along which fields move.
    """

    axis: int | None
    input: str = "*"
    output_axis: int | None = None


def causal(given: Any) -> Causal | None:
    """An axis of the inputs, or a table; true: the only one that moves; false: none.

    >>> causal(2), causal({"input": "x", "axis": 1, "output-axis": 2})
    (Causal(axis=2, input='*', output_axis=None), Causal(axis=1, input='x', output_axis=2))
    """
    wanted = 'an axis, true, or a table such as { input = "x", axis = 2, output-axis = 1 }'
    if given is False:
        return None
    if given is True:
        return Causal(None)
    if not isinstance(given, dict):
        given = {"axis": given}
    try:
        if "axis" not in given or not set(given) <= {"input", "axis", "output-axis"}:
            raise ValueError(wanted)
        out = given.get("output-axis")
        return Causal(
            whole(given["axis"]), name(given.get("input", "*")), None if out is None else whole(out)
        )
    except ValueError:
        raise ValueError(wanted) from None


@dataclass(frozen=True)
class Groups:
    """Runs of coordinates along an axis of an input, by their sizes."""

    axis: int
    sizes: tuple[int, ...]
    input: str = "*"


def groups(given: Any) -> list[Groups]:
    """A list of tables of `Groups`.

    >>> groups([{"input": "x", "axis": 1, "sizes": [3, 1]}])
    [Groups(axis=1, sizes=(3, 1), input='x')]
    """
    wanted = 'a list of tables such as { input = "x", axis = 1, sizes = [3, 1] }'
    found = []
    try:
        for item in [given] if isinstance(given, dict) else given:
            if not {"axis", "sizes"} <= set(item) <= {"input", "axis", "sizes"}:
                raise ValueError(wanted)
            sizes = tuple(whole(size) for size in item["sizes"])
            found.append(Groups(whole(item["axis"]), sizes, name(item.get("input", "*"))))
    except (TypeError, ValueError):
        raise ValueError(wanted) from None
    return found


def sets_of_names(given: Any) -> list[list[str]]:
    """A list of lists of names; one list may stand alone.

    >>> sets_of_names(["left", "right"])
    [['left', 'right']]
    """
    if isinstance(given, list) and all(isinstance(item, str) for item in given):
        given = [given]
    if not isinstance(given, list):
        raise ValueError("a list of lists of names")
    try:
        return [names(item) for item in given if not isinstance(item, str) or names(given)]
    except ValueError:
        raise ValueError("a list of lists of names") from None


def axis_or_none(given: Any) -> int | None:
    """An axis; false: none."""
    if given is False:
        return None
    try:
        return whole(given)
    except ValueError:
        raise ValueError("an axis from 0 on, or false") from None
