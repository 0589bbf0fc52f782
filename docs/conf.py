"""The documentation as a site: the Markdown of the repository, and the reference from docstrings.

Usage: pip install -e ".[docs]" && sphinx-build -W --keep-going -c docs . build/site
"""

from __future__ import annotations

import shutil
from pathlib import Path

from sphinx.application import Sphinx

from rfgraph import __version__

project = "rfgraph"
release = version = __version__
copyright = "the authors of rfgraph; Apache-2.0"

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]

# The pages are those of the repository, where they lie, so that their links hold in both places.
root_doc = "README"
include_patterns = ["*.md", "docs/**.md", "models/README.md", "benchmarks/README.md"]
exclude_patterns = ["build", ".venv", "**/.*"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 3

# What stands in the margin. A code host shows the pages without it, so that it is no part of them.
CONTENTS = {
    "Use": [
        "docs/terms",
        "docs/gallery",
        "docs/report",
        "docs/tiling",
        "docs/streaming",
        "docs/ci",
        "docs/checks",
        "docs/custom-operators",
        "docs/validation",
        "docs/runtimes",
        "docs/measured",
        "docs/agree",
        "docs/operators",
        "docs/limits",
        "docs/json",
        "docs/api",
    ],
    "Work on it": [
        "docs/contributing",
        "docs/architecture",
        "docs/engine",
        "docs/performance",
        "docs/adding-an-operator",
        "docs/adr/README",
        "models/README",
        "benchmarks/README",
        "CHANGELOG",
    ],
}

# Docstrings: numpydoc; a name in backquotes is a link where there is such a name.
default_role = "py:obj"
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_class_signature = "separated"
autodoc_typehints = "none"
autosummary_generate = False
numpydoc_show_class_members = False
numpydoc_validation_checks = {
    "GL06",  # a section that is not known
    "GL07",  # sections in another order
    "GL08",  # no docstring
    "PR01",  # parameters that are not documented
    "PR02",  # parameters that there are not
    "PR03",  # parameters in another order
    "RT01",  # no section on what is returned
    "YD01",  # nor on what is yielded
}
# A record says under Attributes what it is made of, and errors are those of their root.
numpydoc_validation_overrides = {"PR01": [r"\nAttributes\n"]}
numpydoc_validation_exclude = {r"Error$", r"\.__(init|new)__$"}

# Nothing of the site is fetched from elsewhere.
html_theme = "furo"
html_title = f"rfgraph {version}"
html_copy_source = False
html_show_sphinx = False
pygments_style = "default"


def contents(_app: Sphinx, name: str, source: list[str]) -> None:
    """Add the tables of contents to the first page, and the decisions to theirs."""
    trees = CONTENTS if name == "README" else {}
    if name == "docs/adr/README":
        pages = sorted((Path(__file__).parent / "adr").glob("0*.md"))
        trees = {"Decisions": [f"/docs/adr/{page.stem}" for page in pages]}
    for caption, pages in trees.items():
        listed = "\n".join(map(str, pages))
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{listed}\n```\n"


def first_page(app: Sphinx, error: Exception | None) -> None:
    """The first page, under the name that is looked for."""
    if error is None and app.builder.name == "html":
        shutil.copyfile(app.outdir / "README.html", app.outdir / "index.html")


def setup(app: Sphinx) -> None:
    """Connect both."""
    app.connect("source-read", contents)
    app.connect("build-finished", first_page)
