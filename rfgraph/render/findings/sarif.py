"""SARIF 2.1.0, as OASIS specifies it and as GitHub's code scanning reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rfgraph.agreement.result import Agreement
from rfgraph.checks import CHECKS, Check, Finding, Report
from rfgraph.compare import Comparison
from rfgraph.render.agreements import findings
from rfgraph.render.findings.common import as_findings, dumped, reason, sentences, uri
from rfgraph.version import VERSION

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

# The folder that paths of models are relative to; the reader of the file knows where it is.
_ROOT = "%SRCROOT%"

# GitHub shows this many characters of a description.
_LONGEST = 1024

_RULES = {code: k for k, code in enumerate(CHECKS)}


def report(report: Report) -> str:
    """The log of `rfgraph check`."""
    fresh = [(finding, False) for finding in report.findings]
    known = [(finding, True) for checked in report.models for finding in checked.known]
    said = [_said(c.model, reason(c.model, c.error), "error") for c in report.errors]
    said += [_said(c.model, remark, "note") for c in report.models for remark in c.remarks]
    invocation: dict[str, Any] = {"executionSuccessful": not report.errors}
    if said:
        invocation["toolExecutionNotifications"] = said
    if report.stale:
        invocation["toolConfigurationNotifications"] = [
            {
                "level": "note",
                "message": {"text": f"In the baseline, but no longer found: {entry}."},
            }
            for entry in report.stale
        ]
    invocation["properties"] = {"seconds": round(report.seconds, 3)}
    models = {checked.model: {"seconds": round(checked.seconds, 3)} for checked in report.models}
    return _log(invocation, models, [*fresh, *known])


def comparison(comparison: Comparison) -> str:
    """The log of `rfgraph diff`: what has changed in the second model."""
    models: dict[str, dict[str, Any]] = {comparison.before: {}, comparison.after: {}}
    found = [(finding, False) for finding in as_findings(comparison)]
    return _log({"executionSuccessful": True}, models, found)


def agreement(found: Agreement) -> str:
    """The log of `rfgraph agree`: where other elements are seen."""
    models: dict[str, dict[str, Any]] = {side.model: {} for side in found.sides}
    return _log({"executionSuccessful": True}, models, [(one, False) for one in findings(found)])


def _log(
    invocation: Mapping[str, Any],
    models: Mapping[str, Mapping[str, Any]],
    findings: Iterable[tuple[Finding, bool]],
) -> str:
    """The document: which models were looked at, what was found, and what of it is known."""
    run = {
        "tool": {
            "driver": {
                "name": "rfgraph",
                "version": VERSION,
                "rules": [_rule(check) for check in CHECKS.values()],
            }
        },
        "invocations": [invocation],
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The root of the project."}}},
        "artifacts": [
            {"location": _file(model), "roles": ["analysisTarget"], "properties": properties}
            for model, properties in models.items()
        ],
        "results": _results(findings, list(models)),
        "columnKind": "unicodeCodePoints",
    }
    return dumped({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(check: Check) -> dict[str, Any]:
    # Examples are indented by four, which is code in Markdown; the lines of the rest are joined.
    paragraphs = [
        paragraph if paragraph.startswith("    ") else " ".join(paragraph.split())
        for paragraph in check.explanation.split("\n\n")
    ]
    full = " ".join(paragraphs[:2])
    return {
        "id": check.code,
        "name": check.name,
        "shortDescription": {"text": check.summary},
        "fullDescription": {"text": full if len(full) <= _LONGEST else check.summary},
        "help": {"text": check.explanation, "markdown": "\n\n".join(paragraphs)},
        "defaultConfiguration": {"level": check.severity},
    }


def _results(
    findings: Iterable[tuple[Finding, bool]], models: Sequence[str]
) -> list[dict[str, Any]]:
    index = {model: k for k, model in enumerate(models)}
    seen: Counter[str] = Counter()
    pairs = list(findings)
    # Either all results have the property, or none.
    suppressing = any(known for _, known in pairs)
    results = []
    for finding, known in pairs:
        seen[finding.fingerprint] += 1
        result: dict[str, Any] = {
            "ruleId": finding.code,
            "ruleIndex": _RULES[finding.code],
            "level": finding.severity,
            "message": {"text": sentences(finding)},
            "locations": [_location(finding, index[finding.model])],
            "partialFingerprints": {
                "rfgraph/v1": finding.fingerprint,
                # The only one that GitHub looks at. Left out, it is made of the first line of the
                # file, so that all findings of one rule in a model would be one alert. The upload
                # warns that it is another one, and keeps it.
                "primaryLocationLineHash": f"{finding.fingerprint}:{seen[finding.fingerprint]}",
            },
            "properties": {"place": finding.place, "figures": finding.figures},
        }
        if finding.places:
            result["relatedLocations"] = [
                {**_location(place, index[place.model]), "message": {"text": place.message}}
                for place in finding.places
            ]
        if suppressing:
            result["suppressions"] = [_SUPPRESSION] if known else []
        results.append(result)
    return results


# What a baseline knows: somebody has accepted it, and not in the model itself. Viewers hide it.
# Neither this nor `baselineState` is among what GitHub documents, but this is what its action
# advanced-security/dismiss-alerts goes by; and `baselineState` compares with an earlier log of
# SARIF, which a baseline is not.
_SUPPRESSION = {"kind": "external", "status": "accepted", "justification": "In the baseline."}


def _location(finding: Finding, index: int) -> dict[str, Any]:
    """The model, and the node, value and input in it. It has no lines, but GitHub asks for one."""
    places = ((finding.node, "node"), (finding.value, "variable"), (finding.input, "parameter"))
    logical = [
        {"name": name.rpartition("/")[2] or name, "fullyQualifiedName": name, "kind": kind}
        for name, kind in places
        if name
    ]
    location: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": {**_file(finding.model), "index": index},
            "region": {"startLine": 1},
        }
    }
    if logical:
        location["logicalLocations"] = logical
    return location


def _file(model: str) -> dict[str, str]:
    address = uri(model)
    return {"uri": address} if address.startswith("file:") else {"uri": address, "uriBaseId": _ROOT}


def _said(model: str, text: str, level: str) -> dict[str, Any]:
    """Something about a model that is no finding."""
    return {
        "level": level,
        "message": {"text": text},
        "locations": [{"physicalLocation": {"artifactLocation": _file(model)}}],
    }
