"""Every document that rfgraph writes, and its formats: a pair that is missing is a usage error.

A document is what a command has found; a format makes a text of it. They are imported when one is
written.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

_FINDINGS = ("text", "json", "sarif", "junit", "github", "markdown")

# By document and format: a module of this package, and its function.
_FORMATS: Mapping[str, Mapping[str, str]] = {
    "table": {"text": "table.text", "json": "json.table"},
    "program": {"text": "program.text"},
    "units": {"text": "units.text", "json": "json.units"},
    "why": {"text": "reasons.text", "json": "json.why"},
    "tiling": {
        "text": "tiles.text",
        "json": "json.tiling",
        **{name: f"tile_exports.{name}" for name in ("bioimageio", "monai", "dask", "nnunet")},
    },
    "fits": {"text": "fits.text", "json": "json.fits"},
    "effective": {"text": "effective.text", "json": "json.effective"},
    "streaming": {"text": "streams.text", "json": "json.streaming"},
    "occlusion": {"text": "occlusions.text", "json": "json.occlusion"},
    "validation": {"text": "validation.text", "json": "json.validation"},
    "agreement": {
        "text": "agreements.text",
        "json": "agreements.json",
        "sarif": "findings.sarif.agreement",
    },
    "report": {name: f"findings.{name}.report" for name in _FINDINGS},
    "comparison": {name: f"findings.{name}.comparison" for name in _FINDINGS},
}


def formats(kind: str) -> tuple[str, ...]:
    """The formats of a kind of document.

    >>> formats("table")
    ('text', 'json')
    """
    return tuple(_FORMATS[kind])


def rendered(kind: str, form: str, document: Any) -> str:
    """A document of some kind in one of its formats."""
    module, _, function = _FORMATS[kind][form].rpartition(".")
    made: str = getattr(import_module(f"rfgraph.render.{module}"), function)(document)
    return made


__all__ = ["formats", "rendered"]
