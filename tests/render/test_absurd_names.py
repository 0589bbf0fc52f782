"""Names that hold what a format is made of break none of them."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rfgraph.render.findings.common import short
from rfgraph.render.registry import formats, rendered
from rfgraph.render.text import plain
from tests.render import examples, readers
from tests.render.test_formats import read_all, read_all_of_comparison

# Any text, half of a surrogate pair among it, and pieces of what formats are made of.
NAMES = st.lists(
    st.one_of(
        st.text(st.characters(exclude_categories=()), max_size=5),
        st.sampled_from(examples.ABSURD[:-1]),
        st.sampled_from(list("|`\\\n\r<>&[]()*_~@#%:,'\"/ \x1b\x00$!")),
    ),
    min_size=1,
    max_size=6,
).map("".join)
NAMES = NAMES.filter(str.strip)  # there is no file, node or input without a name


def whole(name: str) -> str:
    """A name as JSON and SARIF have it."""
    return re.sub("[\ud800-\udfff]", "\ufffd", name)


@settings(max_examples=100, deadline=None)
@given(NAMES)
@example("n" * 10_000)
@example("|")
@example("'")
@example("/")
@example("C:/a.onnx")
@example("    a\nb")
def test_reports(name: str) -> None:
    report = examples.named(name)
    read_all(report)

    document = readers.read_json(rendered("report", "json", report), "check")
    finding = document["models"][0]["findings"][0]
    assert (finding["node"] or "", finding["figures"]["name"]) == (whole(name),) * 2

    run = readers.read_sarif(rendered("report", "sarif", report))
    uri = run["artifacts"][0]["location"]["uri"]
    if not uri.startswith("file:"):
        assert unquote(uri, errors="surrogatepass") == name

    # The names of all cases are told apart as those of ordinary ones are.
    lines = len(rendered("report", "text", examples.named("n")).splitlines())
    assert len(rendered("report", "text", report).splitlines()) == lines

    commands = readers.read_github(rendered("report", "github", report))
    assert len({file for _, file, _, _ in commands if file}) <= 2


@settings(max_examples=100, deadline=None)
@given(NAMES)
@example("n" * 10_000)
def test_comparisons(name: str) -> None:
    comparison = examples.named_comparison(name)
    read_all_of_comparison(comparison)
    text = rendered("comparison", "text", comparison)
    assert text.count("\n") == rendered("comparison", "text", examples.named_comparison("n")).count(
        "\n"
    )
    rows = readers.read_markdown(rendered("comparison", "markdown", comparison))
    value = f"{short(name, 300)} (was {short(name + '4', 300)})"
    assert " ".join(rows[1][0].split()) == " ".join(value.split())


@pytest.mark.parametrize("name", examples.ABSURD)
def test_absurd_names(name: str) -> None:
    read_all(examples.named(name))
    read_all_of_comparison(examples.named_comparison(name))
    rows = readers.read_markdown(rendered("report", "markdown", examples.named(name)))
    assert f"Add {short(name, 300)}" in [" ".join(row[1].split()) for row in rows if len(row) == 4]


@pytest.mark.parametrize("form", formats("table"))
@pytest.mark.parametrize("name", [whole(name) for name in examples.ABSURD])
def test_tables_of_show(name: str, form: str) -> None:
    """A format for programs has names as they are in the file: what it escapes can be read back."""
    assert form in readers.TABLES, "a new format takes a reader in tests/render/readers.py"
    names = [name, f"{name}2"]
    expected = list(map(plain, names)) if form == "text" else names
    assert readers.TABLES[form](rendered("table", form, examples.named_table(name))) == expected


@pytest.mark.parametrize("form", formats("table"))
def test_formats_of_show_are_in_the_readme(form: str) -> None:
    readme = Path(__file__).parents[2] / "README.md"
    assert f"`--output-format {form}`" in readme.read_text(encoding="utf-8")


def test_nothing_is_run_or_mentioned() -> None:
    """A name starts no command of a runner, and tells nobody of a comment."""
    for name in examples.ABSURD:
        made = rendered("report", "github", examples.named(name))
        assert all(line.startswith("::") for line in made.splitlines()[:-1])
        for form in ("report", "comparison"):
            given = examples.named(name) if form == "report" else examples.named_comparison(name)
            made = rendered(form, "markdown", given)
            assert not re.search(r"[@#][\w]", made.replace("&#", ""))
