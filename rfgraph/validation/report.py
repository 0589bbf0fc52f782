"""What a validation has shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rfgraph.analysis.analysis import Analysis
from rfgraph.notebook import Shown

# What a violation says of a unit.
OUTSIDE_SUPPORT = "changes with what is outside its support"
OUTSIDE_BOUNDS = "changes with what is outside its bounds"
NOT_SEEN = "does not depend on what its support holds"
END_NOT_SEEN = "does not depend on an end of its bounds"
CLAIMS = (OUTSIDE_SUPPORT, OUTSIDE_BOUNDS, NOT_SEEN, END_NOT_SEEN)


@dataclass
class Tally:
    """What the runs on one input have shown of one value; sums over runs.

    Attributes
    ----------
    runs : int
        Forward passes.
    moved : int
        Units that changed, summed over the passes.
    ends, attained : int
        Ends of the bounds of units, on the axes of planes, that were changed in some run, and
        those of them with which the unit changed.
    wrong : int
        Units about which a claim was contradicted, summed over the passes.
    """

    runs: int = 0
    moved: int = 0
    ends: int = 0
    attained: int = 0
    wrong: int = 0

    def add(self, other: Tally) -> None:
        """Count another one's too."""
        for name in ("runs", "moved", "ends", "attained", "wrong"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass
class Coverage:
    """How much of an input is changed: planes across one axis, or single elements.

    Attributes
    ----------
    input : str
        The input.
    axis : int or None
        The axis across which these are planes; None for elements.
    there : int
        How many there are.
    planned, changed : int
        How many all runs change, and how many have been changed: spread evenly over the axis.
    """

    input: str
    axis: int | None
    there: int
    planned: int = 0
    changed: int = 0


@dataclass
class Violation:
    """A claim that a run contradicts.

    Attributes
    ----------
    value, input : str
        Of which value, and with respect to which input.
    unit : tuple of int
        The first such unit.
    units : int
        How many units of the value the same is said of, in the same run.
    claim : str
        What is wrong.
    changed : str
        What was changed: as few elements as still show it.
    box : tuple of (int, int), optional
        First and last coordinate that the unit is claimed to see, along each axis; None: nothing.
    element : tuple of int, optional
        The input element, where it was narrowed down to one.
    run : int
        The run's number.
    """

    value: str
    input: str
    unit: tuple[int, ...]
    units: int
    claim: str
    changed: str
    box: tuple[tuple[int, int], ...] | None = None
    element: tuple[int, ...] | None = None
    run: int = 0

    def __str__(self) -> str:
        where = ",".join(map(str, self.unit))
        more = f", as {self.units - 1} more units of the value" if self.units > 1 else ""
        return f"'{self.value}' unit {where} {self.claim}: {self.changed}{more}"


@dataclass(repr=False)
class Validation(Shown):
    """What `rfgraph.validate` has tested, and what it found.

    Attributes
    ----------
    analysis : Analysis
        Who claims.
    method : str
        ``perturb`` or ``poison``.
    seed : int
        The seed of all random numbers.
    tallies : dict of (str, str) to Tally
        By value and input: what was tested.
    units : dict of str to int
        How many units each tested value has: every run tests all of them.
    violations : list of Violation
        Contradicted claims, the first of each value and kind in each run; at most 100.
    contradictions : int
        How many there are.
    untested : dict of str to str
        Values that were asked for, and why nothing can be said of them.
    notes : list of str
        What else is to be known.
    planned, passes : int
        Forward passes that all runs take, and those that were made.
    coverage : list of Coverage
        What was changed, and what is left: by input and axis.
    probes : int
        Planes and elements that were changed.
    naive : int
        Forward passes were every input element changed by itself.
    seconds : float
        How long it took.
    complete : bool
        Whether all runs were made.
    interrupted : bool
        Whether the user ended it.
    runtime : str
        What ran the model.
    """

    analysis: Analysis
    method: str
    seed: int
    tallies: dict[tuple[str, str], Tally] = field(default_factory=dict)
    units: dict[str, int] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)
    contradictions: int = 0
    untested: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    planned: int = 0
    passes: int = 0
    coverage: list[Coverage] = field(default_factory=list)
    naive: int = 0
    seconds: float = 0.0
    interrupted: bool = False
    runtime: str = "onnxruntime"

    def __repr__(self) -> str:
        said = "no claim contradicted" if self.ok else f"{self.contradictions} contradictions"
        said = said if self.tested else "nothing tested"
        return (
            f"Validation({said}: {self.method}, {self.passes} of {self.planned} passes, "
            f"{len(self.units)} values)"
        )

    @property
    def probes(self) -> int:
        """How many planes and elements were changed."""
        return sum(part.changed for part in self.coverage)

    @property
    def complete(self) -> bool:
        """Whether all runs were made."""
        return self.passes >= self.planned

    @property
    def tested(self) -> bool:
        """Whether anything was tested."""
        return bool(self.tallies)

    @property
    def ok(self) -> bool:
        """Whether no claim was contradicted."""
        return not self.violations

    @property
    def total(self) -> Tally:
        """What all runs have shown of all values."""
        total = Tally()
        for tally in self.tallies.values():
            total.add(tally)
        return total

    def __bool__(self) -> Any:
        raise TypeError("ask for .ok: whether no claim was contradicted")
