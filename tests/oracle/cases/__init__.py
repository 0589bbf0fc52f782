"""Single-operator cases by hand, a module a family; see `tests.oracle.perturbation`.

A generator yields cases of one operator; `CASES` has the generators by domain and operator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import TypeAlias

from ..perturbation import Case

Generator: TypeAlias = Callable[[], Iterator[Case]]

CASES: dict[tuple[str, str], list[Generator]] = {}


def cases(op_type: str, domain: str = "") -> Callable[[Generator], Generator]:
    """Register the decorated generator as one that yields cases of an operator."""

    def register(generator: Generator) -> Generator:
        CASES.setdefault((domain, op_type), []).append(generator)
        return generator

    return register


for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
