"""JUnit's XML: a suite for each model, a case for each check.

Jenkins, GitLab and others read it. There is no standard; this is what the schemas of Apache Ant
and of Jenkins agree on: one failure a case, and counts and times on suites. When and where it ran
is left out, so that the same findings give the same file.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from rfgraph.checks import CHECKS, Checked, Finding, Report
from rfgraph.compare import Comparison
from rfgraph.render.findings.common import as_findings, differing, grouped, reason
from rfgraph.render.text import plain, printable
from rfgraph.version import VERSION


def report(report: Report) -> str:
    """A suite for each model."""
    root = ET.Element("testsuites")
    for checked in report.models:
        _model(root, checked, report)
    return _written(root)


def _model(root: ET.Element, checked: Checked, report: Report) -> None:
    suite = _suite(root, checked.model)
    # The time is that of the analysis: what the checks ask of it, it works out once.
    case = _case(suite, checked.model, "analysis", checked.seconds)
    if checked.error:
        _told(case, "error", "error", reason(checked.model, checked.error), checked.error)
    failing = [finding for finding in checked.findings if report.fails(finding)]
    found = {findings[0].code: findings for findings in grouped(failing)}
    # A check is named once, whether or not it says what it was asked for.
    for code in dict.fromkeys([*checked.codes, *found]):
        case = _case(suite, checked.model, f"{code} {CHECKS[code].name}")
        if code in found:
            _failed(case, found[code])
    said = [f"known: {finding.code} {finding.message}" for finding in checked.known]
    said += [
        f"{finding.severity}: {finding.code} {finding.message}"
        for finding in checked.findings
        if not report.fails(finding)
    ]
    _closed(suite, [*said, *(f"note: {remark}" for remark in checked.remarks)], checked.seconds)


def _failed(case: ET.Element, findings: Sequence[Finding]) -> None:
    """The failure of a case. Most readers show one only: it tells all of the findings."""
    first = findings[0]
    more = f" (and {len(findings) - 1:,} more)" if len(findings) > 1 else ""
    lines = [CHECKS[first.code].summary]
    for finding in findings:
        lines += ["", finding.message]
        lines += [f"at {finding.place}"] if finding.place else []
        lines += [f"what to do: {finding.remedy}"] if finding.remedy else []
    lines += ["", f"rfgraph explain {first.code} says more"]
    _told(case, "failure", first.severity, first.message + more, *lines)


def comparison(comparison: Comparison) -> str:
    """A suite with a case for each change, or one that passes."""
    root = ET.Element("testsuites")
    suite = _suite(root, f"{comparison.before} -> {comparison.after}")
    for finding in as_findings(comparison):
        case = _case(suite, comparison.after, f"{finding.figures['kind']}: {finding.place}")
        _told(case, "failure", "note", finding.message, finding.message)
    if not comparison.changes:
        _case(suite, comparison.after, differing(comparison))
    _closed(suite, [], 0)
    return _written(root)


def _suite(root: ET.Element, name: str) -> ET.Element:
    suite = ET.SubElement(
        root, "testsuite", name=printable(name), package="rfgraph", id=f"{len(root)}"
    )
    properties = ET.SubElement(suite, "properties")
    ET.SubElement(properties, "property", name="version", value=VERSION)
    return suite


def _closed(suite: ET.Element, lines: Sequence[str], seconds: float) -> None:
    """Count the cases, and say what else there is."""
    suite.set("tests", str(len(suite.findall("testcase"))))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("errors", str(len(suite.findall("testcase/error"))))
    suite.set("time", f"{seconds:.3f}")
    ET.SubElement(suite, "system-out").text = "\n".join(map(plain, lines))
    ET.SubElement(suite, "system-err")


def _case(suite: ET.Element, model: str, name: str, seconds: float = 0) -> ET.Element:
    return ET.SubElement(
        suite, "testcase", classname=printable(model), name=plain(name), time=f"{seconds:.3f}"
    )


def _told(case: ET.Element, tag: str, kind: str, message: str, *lines: str) -> None:
    told = ET.SubElement(case, tag, type=kind, message=plain(message))
    told.text = "\n".join(map(plain, lines))


def _written(root: ET.Element) -> str:
    """The document. All names went through `plain`: nothing is left that XML does not allow."""
    ET.indent(root, " ")
    # In ASCII, so that what the declaration says holds on any terminal and in any file.
    body = ET.tostring(root, "us-ascii").decode("ascii")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'
