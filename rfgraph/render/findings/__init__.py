"""What `rfgraph check` and `rfgraph diff` have found, in every format: one file a format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rfgraph.checks import Report
from rfgraph.compare import Comparison
from rfgraph.render.findings import github, json, junit, markdown, sarif, text


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes
    ----------
    report : callable
        What `rfgraph check` has found in, text out.
    comparison : callable
        What `rfgraph diff` has found in, text out.
    """

    report: Callable[[Report], str]
    comparison: Callable[[Comparison], str]


FORMATS: Mapping[str, Format] = {
    "text": Format(text.report, text.comparison),
    "json": Format(json.report, json.comparison),
    "sarif": Format(sarif.report, sarif.comparison),
    "junit": Format(junit.report, junit.comparison),
    "github": Format(github.report, github.comparison),
    "markdown": Format(markdown.report, markdown.comparison),
}
