"""What `rfgraph.agreement.agree` has found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rfgraph.notebook import Shown

AGREED = "agreed"
PARTED = "parted"
UNTESTED = "not tested"

OTHER_ELEMENTS = "other elements"
OTHER_VALUES = "other values"


@dataclass(frozen=True)
class SideFound:
    """A model in a runtime.

    Attributes
    ----------
    name : str
        The runtime with its options, or, of two models, the model's file with it.
    model : str
        The model's file.
    version : str
        The runtime's version.
    outcome : str
        ``answered``, or what came of the model instead, with the runtime's words.
    roundoff : float
        The unit of roundoff of what the runtime computes floats in.
    """

    name: str
    model: str
    version: str
    outcome: str
    roundoff: float

    @property
    def answered(self) -> bool:
        """Whether it answers."""
        return self.outcome == "answered"


@dataclass(frozen=True)
class OutputFound:
    """How two sides compare in one output.

    Attributes
    ----------
    name : str
        The output, of the first model.
    kind : str
        ``agreed``, ``parted`` or ``not tested``.
    distance : float
        The largest difference of values, relative to the largest value.
    units, tested : int
        How many units it has, and how many were looked at.
    ends : int
        Ends of bounds of these units that were changed.
    attained : tuple of int
        With how many of them the unit changed, on either side.
    alone : tuple of int
        Units, summed over the changes, that changed beyond rounding on one side only.
    beyond : tuple of int
        Units, summed over the changes, that changed although they are claimed not to see it, on
        either side.
    why : str
        Why it parted, or was not tested; ``""`` if it agreed.
    """

    name: str
    kind: str
    distance: float = 0.0
    units: int = 0
    tested: int = 0
    ends: int = 0
    attained: tuple[int, int] = (0, 0)
    alone: tuple[int, int] = (0, 0)
    beyond: tuple[int, int] = (0, 0)
    why: str = ""


@dataclass(frozen=True)
class AxisSeen:
    """What one unit of a node's output sees along one axis of an input.

    Attributes
    ----------
    input : str
        The node's input.
    axis : int
        Its axis.
    seen : mapping of str to tuple of int
        By side, and ``claim`` for what rfgraph claims: the coordinates.
    """

    input: str
    axis: int
    seen: Mapping[str, tuple[int, ...]]

    @property
    def differs(self) -> bool:
        """Whether the sides see other coordinates."""
        return len({found for who, found in self.seen.items() if who != "claim"}) > 1


@dataclass(frozen=True)
class Difference:
    """A node in which two sides part.

    Attributes
    ----------
    node, operator, value : str
        The node, its operator, and the output of it.
    kind : str
        ``other elements``, ``other values`` (the same elements, with other weights), or the kind
        of an `Outcome`.
    distance : float
        The largest difference of values, relative to the largest value, on the same inputs.
    unit : tuple of int
        A unit of the value that sees other elements.
    axes : tuple of AxisSeen
        What it sees, along the axes that differ.
    right : str
        The side that sees what rfgraph claims the operator to read, as ONNX specifies it; ``""``
        where neither does, or both may.
    reference : str
        The side that `onnx.reference` computes the same values as; ``""`` for neither.
    moved : tuple of int
        By how much the second side's output is the first one's, moved along each axis; ``()`` if
        it is not.
    whole : bool
        Whether the value parts too when the whole model runs up to it.
    text : str
        All of it in a sentence.
    reproduction : str
        The folder in which it was saved; ``""`` if it was not.
    """

    node: str
    operator: str
    value: str
    kind: str
    distance: float = 0.0
    unit: tuple[int, ...] = ()
    axes: tuple[AxisSeen, ...] = ()
    right: str = ""
    reference: str = ""
    moved: tuple[int, ...] = ()
    whole: bool = True
    text: str = ""
    reproduction: str = ""


@dataclass(frozen=True)
class Pair:
    """How two sides compare.

    Attributes
    ----------
    first, second : str
        Their names.
    outputs : tuple of OutputFound
        By output of the first model.
    differences : tuple of Difference
        The nodes in which they part, in topological order; the first is what is to be looked at.
    notes : tuple of str
        What else is to be known.
    """

    first: str
    second: str
    outputs: tuple[OutputFound, ...] = ()
    differences: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def parted(self) -> bool:
        """Whether they see other elements."""
        return any(one.kind == PARTED for one in self.outputs)


@dataclass(frozen=True, repr=False)
class Agreement(Shown):
    """Whether a model sees the same elements on several sides.

    Attributes
    ----------
    model : str
        The model's file, or its graph's name.
    sides : tuple of SideFound
        The runtimes, or the models.
    pairs : tuple of Pair
        The first side that answers with each other one.
    runs, parts : int
        Runs of whole models, and of parts of them, on all sides together.
    naive : int
        Runs of whole models were each input element changed by itself, by as many amounts.
    seconds : float
        How long it took.
    complete : bool
        Whether all changes that were planned were made.
    notes : tuple of str
        What else is to be known.
    """

    model: str
    sides: tuple[SideFound, ...]
    pairs: tuple[Pair, ...]
    runs: int = 0
    parts: int = 0
    naive: int = 0
    seconds: float = 0.0
    complete: bool = True
    notes: tuple[str, ...] = field(default=())

    def __repr__(self) -> str:
        said = "agreed" if self.ok else "parted" if self.parted else "not all answered"
        return f"Agreement({said}: {', '.join(side.name for side in self.sides)})"

    @property
    def parted(self) -> bool:
        """Whether two sides see other elements."""
        return any(pair.parted for pair in self.pairs)

    @property
    def ok(self) -> bool:
        """Whether every side answers, and all see the same elements."""
        return not self.parted and all(side.answered for side in self.sides)

    @property
    def tested(self) -> bool:
        """Whether any output of two sides could be compared."""
        return any(one.kind != UNTESTED for pair in self.pairs for one in pair.outputs)

    def __bool__(self) -> Any:
        raise TypeError("ask for .ok: whether all see the same elements")


__all__ = [
    "AGREED",
    "OTHER_ELEMENTS",
    "OTHER_VALUES",
    "PARTED",
    "UNTESTED",
    "Agreement",
    "AxisSeen",
    "Difference",
    "OutputFound",
    "Pair",
    "SideFound",
]
