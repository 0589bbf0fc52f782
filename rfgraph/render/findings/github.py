"""Annotations of GitHub Actions: workflow commands, one a line."""

from __future__ import annotations

from collections import Counter

from rfgraph.checks import CHECKS, Finding, Report
from rfgraph.compare import Comparison
from rfgraph.render.findings.common import (
    as_findings,
    differing,
    gravest_first,
    reason,
    sentences,
    totals,
)
from rfgraph.render.text import plain, printable

_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def report(report: Report) -> str:
    """An annotation for each error and finding, and a summary."""
    lines = [
        _command("error", c.model, "not checked", plain(reason(c.model, c.error)))
        for c in report.errors
    ]
    for finding in _spread(report.findings):
        title = f"{finding.code} {CHECKS[finding.code].name}"
        lines.append(
            _command(_COMMANDS[finding.severity], finding.model, title, sentences(finding))
        )
    lines += [
        _command("notice", checked.model, "assumed", plain(remark))
        for checked in report.models
        for remark in checked.remarks
    ]
    lines += [
        _command("notice", "", "in the baseline, but no longer found", plain(e))
        for e in report.stale
    ]
    # No name is written outside of a command: a runner takes ##[...] anywhere in a line for one.
    return "\n".join([*lines, f"rfgraph: {totals(report)}"])


def comparison(comparison: Comparison) -> str:
    """An annotation for each change, and a summary."""
    lines = [
        _command("notice", finding.model, finding.figures["kind"], sentences(finding))
        for finding in as_findings(comparison)
    ]
    return "\n".join([*lines, f"rfgraph: {differing(comparison)}"])


def _spread(findings: list[Finding]) -> list[Finding]:
    """In the order in which they are to be shown.

    GitHub shows the first ten errors, warnings and notices of a step only. The first one of each
    check and model says more than all of one check.
    """
    seen: Counter[tuple[str, str]] = Counter()
    placed = []
    for finding in findings:
        seen[finding.code, finding.model] += 1
        placed.append((seen[finding.code, finding.model], finding))
    return gravest_first(finding for _, finding in sorted(placed, key=lambda item: item[0]))


def _command(name: str, file: str, title: str, message: str) -> str:
    """A workflow command.

    >>> _command("error", "a,b.onnx", "RF101", "50% is seen")
    '::error file=a%2Cb.onnx,title=RF101::50%25 is seen'
    """
    properties = [f"file={_property(printable(file))}"] if file else []
    return f"::{name} {','.join([*properties, f'title={_property(title)}'])}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
