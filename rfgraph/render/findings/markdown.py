"""A comment on a pull request, in the Markdown of GitHub and GitLab."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rfgraph.checks import CHECKS, Checked, Finding, Report
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
from rfgraph.render.findings.text import compared

# More findings than this are put into a folded section.
_MOST_OPEN = 20

# The longest report. GitHub refuses a comment of more than 65,536 characters.
_ROOM = 60_000

# Table cells with more characters than this are shortened.
_CELL = 300

# What means something in Markdown or HTML. Entities hold in tables, headings and HTML alike.
_SPECIAL = re.compile(r"[\\`*\[\]<>&|~$@#]|(?<![^\W_])_|_(?![^\W_])")

# An invisible comment after @ and #, so that names in a report mention nobody and link to no issue.
_SPARED = {"@": "@<!-- -->", "#": "#<!-- -->"}


def report(report: Report) -> str:
    """A heading with the outcome, what was found in tables, and a summary."""
    models = counted(len(report.models), "model")
    bad = [checked for checked in report.models if checked.findings]
    outcome = [f"{counted(len(report.findings), 'finding')} in {len(bad):,} of {models}"]
    if not bad:
        outcome = [f"nothing found in {models}"] if len(report.errors) < len(report.models) else []
    if report.errors:
        outcome.append(f"{counted(len(report.errors), 'model')} could not be checked")
    blocks = [_errors(report.errors)] if report.errors else []
    several = len(report.findings) > _MOST_OPEN
    blocks += [_model(checked, several) for checked in bad]
    if bad:
        blocks.append(_folded("What the codes mean", _meanings(report.findings)))
    remarks = [
        f"- {_code(checked.model)}: {_escaped(remark)}"
        for checked in report.models
        for remark in checked.remarks
    ]
    if remarks:
        blocks.append(_folded("What was assumed", _first(remarks)))
    if report.stale:
        title = "In the baseline, but no longer found: write a new baseline"
        blocks.append(_folded(title, _first([f"- {_escaped(entry)}" for entry in report.stale])))
    tail = f"{totals(report)}."
    tail = tail[0].upper() + tail[1:]
    if bad:
        tail += " `rfgraph explain CODE` says more."
    return _fitted(f"## rfgraph check: {', '.join(outcome) or 'no models'}", blocks, tail)


def _errors(errors: Sequence[Checked]) -> str:
    found = [(_code(c.model), _escaped(reason(c.model, c.error))) for c in errors[:_MOST_OPEN]]
    if len(errors) > _MOST_OPEN:
        found.append((f"and {len(errors) - _MOST_OPEN:,} more", ""))
    return _table(("not checked", "why"), found)


def _model(checked: Checked, several: bool) -> str:
    known = f", {len(checked.known):,} known" if checked.known else ""
    title = f"{_code(checked.model)}: {counted(len(checked.findings), 'finding')}{known}"
    table = _table(("code", "where", "what", "what to do"), _findings(checked.findings))
    return _folded(title, [table]) if several else f"### {title}\n\n{table}"


def _findings(findings: Sequence[Finding]) -> Iterator[Sequence[str]]:
    """The rows of findings. What is to be done is told once for those that follow each other."""
    for group in grouped(findings):
        told = ""
        for finding in group[:MOST]:
            remedy = "" if finding.remedy == told else _escaped(finding.remedy)
            yield finding.code, *_placed(finding), remedy
            told = finding.remedy
        if len(group) > MOST:
            yield group[0].code, "", f"and {len(group) - MOST:,} more like it", ""


def _placed(finding: Finding) -> tuple[str, str]:
    """Where and what; a message that begins with where is shorter for it.

    >>> _placed(Finding("RF303", "m.onnx", "output 'y' lies off", "", "warning", value="y"))
    ('output <code>y</code>', 'lies off')
    """
    names = [name for name in (finding.node, finding.value, finding.input) if name]
    for name in names:
        before, quoted, after = finding.message.partition(f"'{name}'")
        word = before.removesuffix(" ")
        if quoted and after and (word.isalnum() if before else True):
            return f"{before}{_code(name)}", _escaped(after.lstrip(": "))
    return _code(names[0]) if names else "", _escaped(finding.message)


def _meanings(findings: Sequence[Finding]) -> list[str]:
    checks = [CHECKS[group[0].code] for group in grouped(findings)]
    return [
        f"- **{one.code}** {one.name} ({one.severity}): {_escaped(one.summary)}" for one in checks
    ]


def comparison(comparison: Comparison) -> str:
    """A heading with the outcome, and a table of what differs."""
    files = f"{_code(comparison.before)} to {_code(comparison.after)}: {compared(comparison)}."
    head = f"## rfgraph diff: {differing(comparison)}\n\n{files}"
    table = []
    for kind, value, was, name, axes, *sides in rows(comparison):
        value = _code(value) + (f" (was {_code(was)})" if was else "")
        where = f"{_code(name)} {axes}".strip() if name else ""
        table.append([value, kind, where, *map(_escaped, sides)])
    blocks = []
    for k in range(0, len(table), _MOST_OPEN):
        some = table[k : k + _MOST_OPEN]
        part = _table(("value", "what", "of input", "before", "after"), some)
        # The first ones come first in the model too: most of the others follow from them.
        blocks.append(_folded(counted(len(some), "more row"), [part]) if k else part)
    return _fitted(head, blocks)


def _fitted(head: str, blocks: Sequence[str], tail: str = "") -> str:
    """The comment, of as many blocks as fit into one."""
    room, kept = _ROOM - len(head) - len(tail), []
    for block in blocks:
        if len(block) <= room:
            kept.append(block)
            room -= len(block) + 2
    if len(kept) < len(blocks):
        left = counted(len(blocks) - len(kept), "part")
        kept.append(f"{left} left out, as comments have a limit: the other formats have all of it.")
    return "\n\n".join([head, *kept, *([tail] if tail else [])])


def _folded(title: str, lines: Sequence[str]) -> str:
    body = "\n".join(lines)
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"


def _first(lines: Sequence[str]) -> list[str]:
    more = len(lines) - _MOST_OPEN
    return [*lines[:_MOST_OPEN], *([f"- and {more:,} more"] if more > 0 else [])]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]] | Iterator[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _escaped(text: str) -> str:
    """A text as Markdown, names in quotes as code.

    >>> _escaped("output 'a|b' is *off*")
    'output <code>a&#124;b</code> is &#42;off&#42;'
    """
    parts = re.split("'([^']+)'", short(text, _CELL))
    made = "".join(_code(part) if k % 2 else _entities(part) for k, part in enumerate(parts))
    # Blanks before an item of a list would make code of it.
    bare = made.lstrip(" ")
    return "&#32;" * (len(made) - len(bare)) + bare


def _code(name: str) -> str:
    """A name. HTML, as Markdown's own code can't hold every name."""
    return f"<code>{_entities(short(name, _CELL))}</code>"


def _entities(text: str) -> str:
    return _SPECIAL.sub(lambda match: _SPARED.get(match[0], f"&#{ord(match[0])};"), text)
