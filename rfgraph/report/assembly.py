"""The page: its own HTML, CSS and JavaScript, dagre and the data in one file without a network."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping
from importlib import import_module
from importlib.resources import files
from pathlib import Path

from rfgraph.analysis.analysis import Analysis
from rfgraph.checks.finding import Checked
from rfgraph.errors import RFGraphError
from rfgraph.model import scopes
from rfgraph.report.facts import document

# In the order in which they build on each other.
_SCRIPTS = (
    "regions",
    "support",
    "bounds",
    "model",
    "elements",
    "picture",
    "units",
    "layout",
    "graph",
    "table",
    "growth",
    "details",
    "search",
    "page",
)

# What has to stand beside dagre, and beside what it is made of.
_LICENCE = re.compile(r"/\*(?:(?!\*/).)*Copyright.*?\*/", re.DOTALL)


def page(
    analysis: Analysis,
    checked: Checked | None = None,
    stated: Mapping[str, scopes.Path] | None = None,
) -> str:
    """The report of a model, as HTML.

    Parameters
    ----------
    analysis : Analysis
        Of the model.
    checked : Checked, optional
        What the checks find in it, to be shown with it.
    stated : mapping of str to tuple of str, optional
        The scopes that the file states: see `rfgraph.model.scopes.declared`.

    Returns
    -------
    str
        One file, which asks for nothing else.

    Raises
    ------
    RFGraphError
        What draws graphs is not installed.

    Examples
    --------
    >>> made = page(analyze("models/lenet_textbook.onnx"))
    >>> made.startswith("<!doctype html>"), "https:" in made.partition("</head>")[0]
    (True, False)
    """
    scripts = [_dagre(), "\n".join(_own(f"{name}.js") for name in _SCRIPTS)]
    style = _own("page.css")
    told = document(analysis, checked, stated)
    # Nothing in it can end the element that it stands in.
    data = json.dumps(told, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    policy = (
        f"default-src 'none'; script-src {_hashes(scripts)}; style-src {_hashes([style])}; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    parts = {
        "policy": policy,
        "title": html.escape(f"{told['model']}: receptive fields"),
        "style": f"<style>{style}</style>",
        "data": f'<script type="application/json" id="data">{data}</script>',
        "scripts": "\n".join(f"<script>{script}</script>" for script in scripts),
    }
    made = _own("page.html")
    for name, part in parts.items():
        made = made.replace(f"<!--{name}-->", part)
    return made


def available() -> None:
    """Raise the error that says what is missing, if graphs can't be drawn.

    Raises
    ------
    RFGraphError
        What draws graphs is not installed.
    """
    _dagre()


def _dagre() -> str:
    try:
        package = import_module("xstatic.pkg.dagre")
    except ImportError:
        raise RFGraphError(
            "reports need XStatic-Dagre, which is not installed",
            remedy="pip install 'rfgraph[report]'",
        ) from None
    folder = Path(package.BASE_DIR)
    # The small file has lost the licences.
    licences = _LICENCE.findall((folder / "dagre.js").read_text(encoding="utf-8"))
    return "\n".join([*licences, (folder / "dagre.min.js").read_text(encoding="utf-8")])


def _own(name: str) -> str:
    return (files("rfgraph.report") / "static" / name).read_text(encoding="utf-8")


def _hashes(texts: list[str]) -> str:
    """What the page may run: texts with these hashes."""
    digests = (hashlib.sha256(text.encode()).digest() for text in texts)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
