"""What a saved reproduction prints when it is run by itself."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

LINE = re.compile(r"(base|changed) (.+) (\([\d, ]*\))(?: unit \[[\d, ]*\] (\S+))?")


class Printed(NamedTuple):
    """A line: the inputs, the side, the output's shape, and the value of the unit."""

    inputs: str
    side: str
    shape: str
    value: float


# It runs a script where rfgraph can't be imported.
WITHOUT = """
import runpy, sys
sys.modules["rfgraph"] = None
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def printed(folder: str, *, without: bool = True) -> list[Printed]:
    """Run the script of a reproduction, without rfgraph unless it says so."""
    script = str(Path(folder, "reproduce.py"))
    code = ["-c", WITHOUT, script] if without else [script]
    done = subprocess.run([sys.executable, *code], capture_output=True, text=True, check=True)
    found = [match.groups() for text in done.stdout.splitlines() if (match := LINE.match(text))]
    return [
        Printed(inputs, side, shape, float(value) if value else float("nan"))
        for inputs, side, shape, value in found
    ]


def responses(lines: list[Printed]) -> tuple[float, float]:
    """How far the unit moves on either side, relative to the larger value."""
    ours, theirs, our_change, their_change = lines
    assert [one.inputs for one in lines] == ["base", "base", "changed", "changed"]
    assert (ours.side, theirs.side) == (our_change.side, their_change.side)
    largest = max(abs(one.value) for one in lines)
    return (
        abs(ours.value - our_change.value) / largest,
        abs(theirs.value - their_change.value) / largest,
    )
