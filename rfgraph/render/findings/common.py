"""What the formats have in common: how findings are counted, grouped, worded and shortened."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from math import isfinite
from typing import Any, NamedTuple
from urllib.parse import quote

from rfgraph.checks import Finding, Report
from rfgraph.checks.finding import GRAVITY
from rfgraph.compare import Change, Comparison
from rfgraph.render.text import plain, shape

# This many findings of one code in one model are listed one by one.
MOST = 3

# The code under which a change of a field is reported.
CHANGED = "RF401"


def counted(number: int, noun: str) -> str:
    """How many there are of something.

    >>> counted(1, "finding"), counted(1200, "finding")
    ('1 finding', '1,200 findings')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def short(text: str, longest: int) -> str:
    """A text fit for one line of people's; the middle of a long one is left out.

    >>> short("a" * 50 + chr(10) + "b" * 50, 11)
    'aaaaa…bbbbb'
    """
    text = plain(text)
    if len(text) <= longest:
        return text
    half = (longest - 1) // 2
    return f"{text[: longest - 1 - half]}…{text[-half:]}"


def reason(model: str, error: str) -> str:
    """Why a model could not be checked, without its name before it."""
    return error.removeprefix(f"{model}: ")


def sentences(finding: Finding) -> str:
    """What is wrong and what to do.

    >>> sentences(Finding("RF303", "m.onnx", "output 'y' is off", "pad both sides", "warning"))
    "output 'y' is off. Pad both sides."
    """
    parts = (finding.message, finding.remedy[:1].upper() + finding.remedy[1:])
    return " ".join(f"{plain(part)}." for part in parts if part)


def grouped(findings: Iterable[Finding]) -> list[list[Finding]]:
    """Those of one code together, each place by itself, the gravest codes first."""
    groups: dict[str, list[Finding]] = {}
    for finding in gravest_first(findings):
        groups.setdefault(finding.code, []).extend(finding.each)
    return list(groups.values())


def gravest_first(findings: Iterable[Finding]) -> list[Finding]:
    """Errors, warnings, notes; else in the order in which they were found."""
    return sorted(findings, key=lambda finding: GRAVITY.index(finding.severity))


def totals(report: Report) -> str:
    """One line: how many models, findings, known findings and errors, and how long it took."""
    bad, models = len(report.errors), counted(len(report.models), "model")
    whole = f"{len(report.models) - bad:,} of {models}" if bad else models
    known = sum(len(checked.known) for checked in report.models)
    return (
        f"checked {whole} in {report.seconds:.3f} s: {counted(len(report.findings), 'finding')}, "
        f"{known:,} known, {counted(bad, 'error')}"
    )


def differing(comparison: Comparison) -> str:
    """One line: how many changes there are, of which kinds."""
    kinds = Counter(change.kind for change in comparison.changes)
    if not kinds:
        return "nothing differs"
    said = ", ".join(f"{number:,} {kind}" for kind, number in kinds.items())
    values = len({(change.kind == "vanished", change.value) for change in comparison.changes})
    return f"{counted(len(comparison.changes), 'difference')} in {counted(values, 'value')}: {said}"


def as_findings(comparison: Comparison) -> list[Finding]:
    """The changes as findings about the second model."""
    return [
        Finding(
            CHANGED,
            comparison.after,
            change.text,
            "",
            "note",
            value=change.value,
            input=change.input,
            axis=change.axis,
            figures={"kind": change.kind, "before": change.before, "after": change.after},
        )
        for change in comparison.changes
    ]


class Row(NamedTuple):
    """A row of the table of what differs: axes along which the same has changed are one."""

    kind: str
    value: str
    was: str
    input: str
    axes: str
    before: str
    after: str


def rows(comparison: Comparison) -> list[Row]:
    """The table of what differs."""
    was = {new: old for old, new in comparison.renamed.items()}
    found = []
    for _, group in groupby(comparison.changes, _without_axis):
        changes = list(group)
        first = changes[0]
        axes = ",".join(str(change.axis) for change in changes if change.axis is not None)
        axes = axes and f"{'axes' if ',' in axes else 'axis'} {axes}"
        # A value that is gone has the name that it had.
        gone = first.kind == "vanished" and not first.input
        old = "" if gone else was.get(first.value, "")
        before, after = _figure(first, first.before), _figure(first, first.after)
        found.append(Row(first.kind, first.value, old, first.input, axes, before, after))
    return found


def _without_axis(change: Change) -> tuple[Any, ...]:
    return change.kind, change.value, change.input, change.before, change.after


def _figure(change: Change, side: Any) -> str:
    """A side of a change, for a table."""
    if change.kind in ("grew", "shrank"):
        return _size(side)
    if change.kind == "moved":
        stride, start = ("?" if side[key] is None else side[key] for key in ("stride", "start"))
        return f"stride {stride} from {start}"
    if change.kind == "shape":
        return shape(side)
    if change.kind in ("global", "local"):
        return "all" if side else "a part"
    if side is None:
        return "-"
    if change.input:
        return _sizes(side)
    sees = ", ".join(f"sees {_sizes(sides)} of {name}" for name, sides in side["sees"].items())
    return f"{shape(side['shape'])} {sees}".rstrip()


def _sizes(sides: Sequence[Mapping[str, Any]]) -> str:
    return "x".join(_size(side["size"]) for side in sides) or "a scalar"


def _size(size: Any) -> str:
    return "all" if size is None else str(size)


def uri(path: str) -> str:
    """The URI of a file: relative as its path is, or with ``file:``.

    >>> uri("models/my net.onnx"), uri("/data/net.onnx"), uri("C:/net.onnx")
    ('models/my%20net.onnx', 'file:///data/net.onnx', 'file:///C:/net.onnx')
    """
    drive, rest = (path[:2], path[2:]) if re.match("[A-Za-z]:/", path) else ("", path)
    encoded = quote(rest.encode("utf-8", "surrogatepass"))
    if drive:
        return f"file:///{drive}{encoded}"
    return f"file://{encoded}" if path.startswith("/") else encoded


def dumped(document: Mapping[str, Any]) -> str:
    """JSON that every reader takes, in ASCII: it stays whole on any terminal and in any file."""
    return json.dumps(_data(document), indent=1, allow_nan=False, default=str)


def _data(value: Any) -> Any:
    """A value as JSON has it; what JSON has not (infinity, half a character) is left out."""
    if isinstance(value, Mapping):
        return {_data(str(key)): _data(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_data(item) for item in value]
    if isinstance(value, str):
        return re.sub("[\ud800-\udfff]", "\ufffd", value)
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not isfinite(value) else value
