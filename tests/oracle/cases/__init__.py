"""Single-operator cases by hand, a module a family; see `tests.oracle.perturbation`.

A builder yields the cases of one operator; `CASES` has the builders by domain and operator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import TypeAlias

from ..perturbation import Case

Builder: TypeAlias = Callable[[], Iterator[Case]]

CASES: dict[tuple[str, str], list[Builder]] = {}


def cases(op_type: str, domain: str = "") -> Callable[[Builder], Builder]:
    """Register the decorated generator as one that yields cases of an operator."""

    def register(builder: Builder) -> Builder:
        CASES.setdefault((domain, op_type), []).append(builder)
        return builder

    return register


for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
