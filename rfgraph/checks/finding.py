"""What a check finds, and what is found in a model and in many."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, get_args

# How bad a finding is: SARIF's levels, the worst first.
Severity: TypeAlias = Literal["error", "warning", "note"]
GRAVITY: tuple[Severity, ...] = get_args(Severity)


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
    places : tuple of Finding
        The findings that it stands for, if these are several: what it says of where is then that
        of the first.
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
    places: tuple[Finding, ...] = ()

    @property
    def each(self) -> tuple[Finding, ...]:
        """The findings that it stands for, which may be itself."""
        return self.places or (self,)

    @property
    def place(self) -> str:
        """Where the finding is, as text.

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
        more = f" and {len(self.places) - 1:,} more" if self.places else ""
        return ", ".join(where) + more

    @property
    def fingerprint(self) -> str:
        """An identifier of the finding, which stays the same while only its figures change.

        A value tells where it is, and a node without a value does: nodes may have no names of
        their own. One that stands for several is told by its kind: they have their own.

        Examples
        --------
        >>> one = Finding("RF302", "m.onnx", "25 %", "…", "warning", value="y")
        >>> other = Finding("RF302", "m.onnx", "50 %", "…", "warning", value="y")
        >>> one.fingerprint == other.fingerprint, len(one.fingerprint)
        (True, 16)
        """
        axis = "" if self.axis is None else str(self.axis)
        where = ("", "", "") if self.places else (self.value or self.node, self.input, axis)
        parts = (self.code, self.option, self.model, *where)
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def folded(findings: Iterable[Finding], codes: Collection[str]) -> list[Finding]:
    """The findings, those of one kind in one where the check is among `codes`.

    Examples
    --------
    >>> layers = [Finding("RF104", "m.onnx", "…", "…", "note", f"conv{k}", "Conv") for k in (1, 2)]
    >>> one, = folded(layers, ["RF104"])
    >>> one.message, one.place, len(one.places)
    ("… (and 1 more like it: Conv 'conv2')", "Conv 'conv1' and 1 more", 2)
    """
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in findings:
        alone = () if finding.code in codes else (str(len(groups)),)
        groups.setdefault((finding.code, finding.option, *alone), []).append(finding)
    return [_one(group) for group in groups.values()]


def _one(group: list[Finding]) -> Finding:
    first = group[0]
    if len(group) == 1:
        return first
    # The first one's name is the first.
    names = list(dict.fromkeys(map(_name, group)))
    shown = names[1 : _NAMED + 1]
    others = f": {', '.join(shown)}" if shown else ""
    others += ", …" if len(names) > len(shown) + 1 else ""
    return replace(
        first,
        message=f"{first.message} (and {len(group) - 1:,} more like it{others})",
        figures={"places": len(group)},
        places=tuple(group),
    )


# A finding that stands for several names this many other places.
_NAMED = 3


def _name(finding: Finding) -> str:
    """Where a finding is, in short."""
    if finding.node:
        return f"{finding.operator} '{finding.node}'".strip()
    return f"'{finding.value or finding.input}'"


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
        What its values see, as `rfgraph.compare.snapshot` has it: what a baseline holds.
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
        Entries of the baseline that no finding matches any more.
    seconds : float
        How long it took.
    fail_on : str
        The least severity of findings that fail.
    interrupted : bool
        Whether the user ended it, by `KeyboardInterrupt`: the models that were not reached have
        an `error` that says so.
    """

    models: list[Checked]
    stale: list[str] = field(default_factory=list)
    seconds: float = 0.0
    fail_on: Severity = "warning"
    interrupted: bool = False

    @property
    def findings(self) -> list[Finding]:
        """The findings of all models."""
        return [finding for checked in self.models for finding in checked.findings]

    @property
    def errors(self) -> list[Checked]:
        """The models that could not be checked."""
        return [checked for checked in self.models if checked.error]

    @property
    def ok(self) -> bool:
        """Whether all models were checked, and nothing was found, not even a note."""
        return not self.errors and not self.findings

    def fails(self, finding: Finding) -> bool:
        """Whether a finding is at least as severe as `fail_on`.

        Parameters
        ----------
        finding : Finding
            One of this report.

        Returns
        -------
        bool
            Whether it alone makes the report fail.
        """
        return GRAVITY.index(finding.severity) <= GRAVITY.index(self.fail_on)

    @property
    def passed(self) -> bool:
        """Whether all models were checked, and no finding fails."""
        return not self.errors and not any(map(self.fails, self.findings))
