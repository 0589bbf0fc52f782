"""What a check finds, and what is found in a model and in many."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

# How bad a finding is: SARIF's levels. All of them are findings, and end with exit code 1.
Severity: TypeAlias = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """Something that a check has found.

    Attributes
    ----------
    code : str
        The check's.
    model : str
        The model's path, as reports show it.
    message : str
        What is wrong, with the figures: one line.
    remedy : str
        What to do: one line.
    severity : str
        ``error``, ``warning`` or ``note``.
    node, operator, value, input : str
        Where; ``""`` where that says nothing. `value` is a tensor of the model.
    axis : int or None
        An axis of the input.
    option : str
        The option whose limit is not kept, where a check has several.
    figures : mapping of str to number, str or None
        What was measured, and what is allowed.
    """

    code: str
    model: str
    message: str
    remedy: str
    severity: Severity
    node: str = ""
    operator: str = ""
    value: str = ""
    input: str = ""
    axis: int | None = None
    option: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Where it is, for people.

        Examples
        --------
        >>> Finding("RF302", "m.onnx", "…", "…", "warning", value="y", input="x", axis=2).place
        "value 'y', axis 2 of input 'x'"
        """
        where = []
        if self.node:
            where.append(f"{self.operator} '{self.node}'".strip())
        if self.value:
            where.append(f"value '{self.value}'")
        if self.input:
            axis = "" if self.axis is None else f"axis {self.axis} of "
            where.append(f"{axis}input '{self.input}'")
        return ", ".join(where)

    @property
    def fingerprint(self) -> str:
        """Tells the finding from others, and stays while only its figures change.

        A value tells where it is, and a node without a value does: nodes may have no names of
        their own.

        Examples
        --------
        >>> one = Finding("RF302", "m.onnx", "25 %", "…", "warning", value="y")
        >>> other = Finding("RF302", "m.onnx", "50 %", "…", "warning", value="y")
        >>> one.fingerprint == other.fingerprint, len(one.fingerprint)
        (True, 16)
        """
        axis = "" if self.axis is None else str(self.axis)
        place = self.value or self.node
        parts = (self.code, self.option, self.model, place, self.input, axis)
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass
class Checked:
    """What was found in one model.

    Attributes
    ----------
    model : str
        Its path, as reports show it.
    findings : list of Finding
        What is to be told.
    known : list of Finding
        What the baseline knows.
    codes : list of str
        The checks that were made.
    remarks : list of str
        What was assumed, and which checks could not be made.
    error : str
        Why it could not be checked; ``""`` if it could.
    fields : mapping
        What its values see, as `rfgraph.changes.snapshot` has it: what a baseline holds.
    seconds : float
        How long it took.
    trace : str
        The traceback of an internal error.
    """

    model: str
    findings: list[Finding] = field(default_factory=list)
    known: list[Finding] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    error: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    trace: str = ""


@dataclass
class Report:
    """What was found in all models.

    Attributes
    ----------
    models : list of Checked
        In the order in which they were named.
    stale : list of str
        Entries of the baseline that nothing matches any more.
    seconds : float
        How long it took.
    """

    models: list[Checked]
    stale: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def findings(self) -> list[Finding]:
        """Those of all models."""
        return [finding for checked in self.models for finding in checked.findings]

    @property
    def errors(self) -> list[Checked]:
        """The models that could not be checked."""
        return [checked for checked in self.models if checked.error]

    @property
    def ok(self) -> bool:
        """Whether all models were checked, and nothing was found."""
        return not self.errors and not self.findings
