"""The checks by code. A check is a function; its docstring is what `rfgraph explain` prints."""

from __future__ import annotations

import inspect
import json
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from rfgraph.checks.finding import Finding, Severity
from rfgraph.checks.options import Option

# What checks look at: `rfgraph.checks.subject.Subject`, which stands above them.
T = TypeVar("T")

Finder: TypeAlias = Callable[[T], Iterator[Finding]]


@dataclass(frozen=True)
class Check(Generic[T]):
    """A check.

    Attributes
    ----------
    code : str
        ``RF`` and three digits; the first is that of its group.
    name : str
        In a few words, in kebab-case.
    severity : str
        That of its findings.
    options : tuple of Option
        What it can be told.
    run : callable
        What is looked at in, findings out.
    folds : bool
        Whether it looks at layer after layer, so that its findings in a model are told as one.
    """

    code: str
    name: str
    severity: Severity
    options: tuple[Option, ...]
    run: Finder[T]
    folds: bool = False

    @property
    def summary(self) -> str:
        """The first line of its explanation."""
        return self.explanation.partition("\n")[0]

    @property
    def explanation(self) -> str:
        """What it finds, why that matters, an example, and what to do."""
        return inspect.getdoc(self.run) or ""


CHECKS: dict[str, Check[Any]] = {}


def check(
    code: str,
    name: str,
    severity: Severity,
    options: Sequence[Option] = (),
    *,
    folds: bool = False,
) -> Callable[[Finder[T]], Finder[T]]:
    """Register a check."""

    def register(run: Finder[T]) -> Finder[T]:
        CHECKS[code] = Check(code, name, severity, tuple(options), run, folds)
        return run

    return register


def check_options() -> dict[str, Option]:
    """Every option of every check, by name; those of one name are the same."""
    return {option.name: option for one in CHECKS.values() for option in one.options}


def explained(one: Check) -> str:
    """The explanation of a check, with its options."""
    lines = [f"{one.code} {one.name} ({one.severity})", "", one.explanation]
    if one.options:
        lines += ["", "Options"]
        for option in one.options:
            default = "off" if option.default is None else json.dumps(option.default)
            lines.append(f"  {option.name} (default: {default})")
            lines += textwrap.wrap(
                option.text, 100, initial_indent=" " * 6, subsequent_indent=" " * 6
            )
    return "\n".join(lines)
