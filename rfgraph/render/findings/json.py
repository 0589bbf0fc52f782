"""JSON for programs. docs/json.md describes it, docs/schemas/ has its schemas."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rfgraph.checks import CHECKS, Checked, Finding, Report
from rfgraph.compare import Change, Comparison
from rfgraph.render.findings.common import dumped

VERSION = 1


def report(report: Report) -> str:
    """The document of `rfgraph check`."""
    return dumped(
        {
            "version": VERSION,
            "ok": report.ok,
            "passed": report.passed,
            "fail_on": report.fail_on,
            "counts": {
                "models": len(report.models),
                "findings": len(report.findings),
                "known": sum(len(checked.known) for checked in report.models),
                "errors": len(report.errors),
            },
            "seconds": round(report.seconds, 3),
            "models": [_model(checked) for checked in report.models],
            "stale": report.stale,
        }
    )


def _model(checked: Checked) -> dict[str, Any]:
    return {
        "model": checked.model,
        "error": checked.error or None,
        "seconds": round(checked.seconds, 3),
        "checks": checked.codes,
        "findings": [_finding(finding) for finding in checked.findings],
        "known": [_finding(finding) for finding in checked.known],
        "remarks": checked.remarks,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "check": CHECKS[finding.code].name,
        "severity": finding.severity,
        "model": finding.model,
        "remedy": finding.remedy,
        "option": finding.option or None,
        **_place(finding),
        "places": [_place(place) for place in finding.places],
    }


def _place(finding: Finding) -> dict[str, Any]:
    return {
        "message": finding.message,
        "place": finding.place,
        "node": finding.node or None,
        "operator": finding.operator or None,
        "value": finding.value or None,
        "input": finding.input or None,
        "axis": finding.axis,
        "figures": finding.figures,
        "fingerprint": finding.fingerprint,
    }


def comparison(comparison: Comparison) -> str:
    """The document of `rfgraph diff`."""
    return dumped(
        {
            "version": VERSION,
            "ok": not comparison.changes,
            "before": comparison.before,
            "after": comparison.after,
            "matched": comparison.matched,
            "renamed": comparison.renamed,
            "counts": Counter(change.kind for change in comparison.changes),
            "changes": [_change(change) for change in comparison.changes],
        }
    )


def _change(change: Change) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "value": change.value,
        "input": change.input or None,
        "axis": change.axis,
        "before": change.before,
        "after": change.after,
        "text": change.text,
    }
