"""Findings for people."""

from __future__ import annotations

from collections.abc import Iterator

from rfgraph.checks import CHECKS, Checked, Finding, Report
from rfgraph.checks.suite import INTERRUPTED
from rfgraph.compare import Comparison
from rfgraph.render.findings.common import (
    MOST,
    counted,
    differing,
    grouped,
    reason,
    rows,
    short,
    totals,
)
from rfgraph.render.text import aligned

# If more models than this have no finding, they are counted and not named.
_MOST_CLEAN = 5

# The most characters of a line, and of a table cell; the rest is left out.
_LINE, _CELL = 1000, 100


def report(report: Report) -> str:
    """The findings of every model, and a summary."""
    lines: list[str] = []
    for checked in report.models:
        if checked.error == INTERRUPTED:
            continue
        if checked.findings or checked.error or checked.remarks:
            lines += [*_model(checked), ""]
    lines += _clean(report, " more" if lines else "")
    if report.stale:
        lines.append("in the baseline, but no longer found (write a new baseline):")
        lines += [f"  {line}" for line in _first(report.stale)]
    if report.findings:
        lines.append("rfgraph explain CODE says more")
    if report.interrupted:
        lines.append("interrupted: these are the findings until then")
    lines.append(totals(report))
    return "\n".join(lines)


def _model(checked: Checked) -> Iterator[str]:
    told = [f"{len(checked.known):,} known"] if checked.known else []
    if checked.findings:
        told.insert(0, counted(len(checked.findings), "finding"))
    elif checked.error:
        told.insert(0, "not checked")
    else:
        told.insert(0, "nothing new found" if told else "nothing found")
    yield f"{short(checked.model, _LINE)}: {', '.join(told)}"
    if checked.error:
        yield f"  error: {short(reason(checked.model, checked.error), _LINE)}"
    for findings in grouped(checked.findings):
        yield from _group(findings)
    yield from (f"  {line}" for line in _first([f"note: {remark}" for remark in checked.remarks]))


def _group(findings: list[Finding]) -> Iterator[str]:
    """Findings of one code: why it matters, what is wrong where, and what to do."""
    check = CHECKS[findings[0].code]
    yield f"  {check.code} {check.name} ({findings[0].severity}): {check.summary}"
    for k, finding in enumerate(findings[:MOST]):
        yield f"    - {short(finding.message, _LINE)}"
        # What is to be done is mostly the same for all of them.
        if k + 1 == len(findings[:MOST]) or findings[k + 1].remedy != finding.remedy:
            if k + 1 == MOST < len(findings):
                yield f"      and {len(findings) - MOST:,} more like it"
            yield f"      what to do: {short(finding.remedy, _LINE)}"


def _first(lines: list[str]) -> Iterator[str]:
    yield from (short(line, _LINE) for line in lines[:MOST])
    if len(lines) > MOST:
        yield f"and {len(lines) - MOST:,} more like it"


def _clean(report: Report, more: str) -> Iterator[str]:
    """The models that nothing was said of."""
    clean = [c for c in report.models if not (c.findings or c.error or c.remarks)]
    if len(clean) > _MOST_CLEAN:
        yield f"nothing found in {len(clean):,}{more} models"
    else:
        for checked in clean:
            yield from _model(checked)


def comparison(comparison: Comparison) -> str:
    """What differs, as a table, and a summary."""
    before, after = (short(file, _LINE) for file in (comparison.before, comparison.after))
    lines = [f"{before} -> {after}", compared(comparison)]
    if comparison.changes:
        table = [["", "value", "of input", "before", "after"]]
        for kind, value, was, name, axes, *sides in rows(comparison):
            value = short(value, _CELL) + (f" (was {short(was, _CELL)})" if was else "")
            table.append([kind, value, f"{short(name, _CELL)} {axes}".strip(), *sides])
        lines += ["", *aligned([[short(cell, 3 * _CELL) for cell in row] for row in table]), ""]
    return "\n".join([*lines, differing(comparison)])


def compared(comparison: Comparison) -> str:
    """How many values were compared."""
    return (
        f"{counted(comparison.matched, 'value')} compared, {len(comparison.renamed):,} of them "
        "matched by structure"
    )
