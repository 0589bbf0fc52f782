"""Write docs/checks.md: what `rfgraph explain` says of every check, from their docstrings.

Usage: pip install -e . && python docs/checks.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from rfgraph.checks import CHECKS, Check

PAGE = Path(__file__).with_name("checks.md")


def page() -> str:
    """The text of the page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Checks"
    yield ""
    yield "Made by `python docs/checks.py` from the docstrings of the checks; not written by hand."
    yield "`rfgraph explain RF101` prints the same. [In CI](ci.md) says how checks are run."
    yield ""
    yield "| code | name | findings are | what is found |"
    yield "|---|---|---|---|"
    for check in CHECKS.values():
        link = f"[{check.code}](#{check.code.lower()}-{check.name})"
        yield f"| {link} | {check.name} | {check.severity}s | {check.summary} |"
    for check in CHECKS.values():
        yield from _section(check)


def _section(check: Check) -> Iterator[str]:
    yield ""
    yield f"## {check.code} {check.name}"
    yield ""
    yield check.explanation
    if check.options:
        yield ""
        yield "| option | default | |"
        yield "|---|---|---|"
    for option in check.options:
        default = "off" if option.default is None else f"`{json.dumps(option.default)}`"
        yield f"| `{option.name}` | {default} | {option.text} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
