"""Baselines: findings that are known, and what values saw, in a JSON file that is committed."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rfgraph.checks.finding import Checked, Finding, Report
from rfgraph.errors import QueryError

VERSION = 2

# What is kept of a finding.
_ENTRY = {"fingerprint": str, "code": str, "place": str, "count": int}

# What is kept of a field along an axis.
_SIDE = {
    "size": (int, type(None)),
    "smallest": (int, type(None)),
    "stride": (int, str, type(None)),
    "start": (int, type(None)),
    "back": (int, type(None)),
    "ahead": (int, type(None)),
    "global": (bool,),
}

# The check that compares with what values saw; a baseline lists no findings of it.
_BY_FIELDS = "RF401"


@dataclass(frozen=True)
class Baseline:
    """What is known of models, by their paths.

    Attributes
    ----------
    models : mapping of str to mapping
        By model: ``findings``, a list of ``{fingerprint, code, place, count}``, and ``fields``, as
        `rfgraph.compare.snapshot` makes it.
    file : str
        Where it is from.
    """

    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    file: str = ""

    def fields(self, model: str) -> Mapping[str, Any] | None:
        """What the values of a model saw; None where it is not known."""
        known = self.models.get(model)
        return None if known is None else known["fields"]

    def apply(self, checked: Checked) -> list[str]:
        """Set the findings that are known apart; return the entries that nothing matches."""
        known = self.models.get(checked.model, {}).get("findings", ())
        if not known:
            return []
        entries = {entry["fingerprint"]: entry for entry in known}
        left = Counter({fingerprint: e["count"] for fingerprint, e in entries.items()})
        fresh = []
        for finding in checked.findings:
            if left[finding.fingerprint] > 0:
                left[finding.fingerprint] -= 1
                checked.known.append(finding)
            else:
                fresh.append(finding)
        checked.findings = fresh
        if checked.error:
            return []
        return [
            f"{checked.model}: {entries[fingerprint]['code']} {entries[fingerprint]['place']}"
            for fingerprint, count in left.items()
            if count > 0 and entries[fingerprint]["code"] in checked.codes
        ]


def read(path: str | os.PathLike[str]) -> Baseline:
    """Read a baseline.

    Raises
    ------
    QueryError
        It can't be read, or is none.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        said = getattr(error, "strerror", None) or error
        raise QueryError(
            f"the baseline can't be read: {said}",
            file=str(path),
            remedy="write one with rfgraph check MODEL --write-baseline FILE",
        ) from None
    if not _is_baseline(content):
        raise QueryError(
            f"not a baseline of version {VERSION}",
            file=str(path),
            remedy="write a new one with rfgraph check MODEL --write-baseline FILE",
        )
    return Baseline(content["models"], str(path))


def _is_baseline(content: Any) -> bool:
    """Whether a document has all that is read of it, of the right types."""
    try:
        return (
            type(content["version"]) is int
            and content["version"] == VERSION
            and all(_is_known(known) for known in content["models"].values())
        )
    except (TypeError, KeyError, AttributeError):
        return False


def _is_known(known: Mapping[str, Any]) -> bool:
    sides = [
        side
        for seen in known["fields"].values()
        for given in seen["sees"].values()
        for side in given
    ]
    shapes = [seen["shape"] for seen in known["fields"].values()]
    return (
        all(shape is None or all(type(size) is int for size in shape) for shape in shapes)
        and all(type(side[key]) in _SIDE[key] for side in sides for key in _SIDE)
        and all(
            type(entry[key]) is kind for entry in known["findings"] for key, kind in _ENTRY.items()
        )
        and all(entry["count"] > 0 for entry in known["findings"])
    )


def written(report: Report, before: Baseline) -> str:
    """The content of a baseline of what a report has found; other models stay as they were."""
    models = {name: dict(known) for name, known in before.models.items()}
    for checked in report.models:
        if not checked.error:
            told = [*checked.findings, *checked.known]
            found = [place for finding in told for place in finding.each]
            models[checked.model] = {"findings": _entries(found), "fields": checked.fields}
    document = {"version": VERSION, "models": models}
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False)


def _entries(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    kept = [finding for finding in findings if finding.code != _BY_FIELDS]
    counts = Counter(finding.fingerprint for finding in kept)
    entries = {
        finding.fingerprint: {
            "fingerprint": finding.fingerprint,
            "code": finding.code,
            "place": finding.place,
            "count": counts[finding.fingerprint],
        }
        for finding in kept
    }
    return sorted(entries.values(), key=lambda e: (e["code"], e["place"], e["fingerprint"]))
