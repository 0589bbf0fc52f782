"""Every format: what its readers make of it, and what is where."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import jsonschema
import pytest

import rfgraph
from rfgraph import checks
from rfgraph.checks import CHECKS, Checked, Report
from rfgraph.compare import Comparison, compared
from rfgraph.render.registry import formats, rendered
from tests.render import examples, readers

MODELS = Path(__file__).parents[2] / "models"


def read_all(report: Report) -> None:
    """Every format of a report can be read, and holds all of it."""
    made = {name: rendered("report", name, report) for name in formats("report")}
    document = readers.read_json(made["json"], "check")
    found = len(report.findings)
    known = sum(len(checked.known) for checked in report.models)
    assert document["counts"] == {
        "models": len(report.models),
        "findings": found,
        "known": known,
        "errors": len(report.errors),
    }
    run = readers.read_sarif(made["sarif"])
    assert len(run["results"]) == found + known
    assert len(run["artifacts"]) == len(report.models)
    root = readers.read_junit(made["junit"])
    assert len(root) == len(report.models)
    assert len(root.findall("testsuite/testcase/error")) == len(report.errors)
    told = sum("\nwhat to do: " in f.text for f in root.findall("testsuite/testcase/failure"))
    failing = [{f.code for f in checked.findings if report.fails(f)} for checked in report.models]
    assert told == sum(map(len, failing))
    commands = readers.read_github(made["github"])
    remarks = sum(len(checked.remarks) for checked in report.models)
    assert len(commands) == found + remarks + len(report.errors) + len(report.stale)
    readers.read_markdown(made["markdown"])
    assert all(line.isprintable() for line in made["text"].split("\n"))


def read_all_of_comparison(comparison: Comparison) -> None:
    """Every format of a comparison can be read, and holds all of it."""
    made = {name: rendered("comparison", name, comparison) for name in formats("comparison")}
    document = readers.read_json(made["json"], "diff")
    changes = len(comparison.changes)
    assert len(document["changes"]) == sum(document["counts"].values()) == changes
    assert document["ok"] == (not changes)
    run = readers.read_sarif(made["sarif"])
    assert [result["ruleId"] for result in run["results"]] == ["RF401"] * changes
    (suite,) = readers.read_junit(made["junit"])
    assert int(suite.get("failures")) == changes
    assert int(suite.get("tests")) == max(changes, 1)
    assert len(readers.read_github(made["github"])) == changes
    readers.read_markdown(made["markdown"])
    assert all(line.isprintable() for line in made["text"].split("\n"))


def test_every_model() -> None:
    """With limits that none meets, so that there is much to tell."""
    report = checks.check(MODELS, at_least=10**6, halo=0, covers=1.0)
    assert len(report.models) == len(list(MODELS.glob("*.onnx")))
    assert {"RF101", "RF102", "RF303"} <= {f.code for f in report.findings}
    read_all(report)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("resnet50", "resnet101"),
        ("efficientnet_b0", "efficientnet_b0.dynamo"),
        ("unet_bilinear", "unet_tconv"),
        ("mobilenet_v1", "mobilenet_v2"),
        ("vgg16", "vgg16"),
    ],
)
def test_comparisons_of_models(before: str, after: str) -> None:
    old, new = (rfgraph.analyze(MODELS / f"{n}.onnx", assume=True) for n in (before, after))
    read_all_of_comparison(compared(old, new))


@pytest.mark.parametrize("example", [examples.full, examples.nothing, examples.many])
def test_examples_of_reports(example: object) -> None:
    assert callable(example)
    read_all(example())


@pytest.mark.parametrize("example", [examples.differing, examples.same])
def test_examples_of_comparisons(example: object) -> None:
    assert callable(example)
    read_all_of_comparison(example())


def test_nothing_at_all() -> None:
    read_all(Report([]))
    assert rendered("report", "text", Report([])).startswith("checked 0 models")


def test_schemas_are_strict() -> None:
    made = readers.read_json(rendered("report", "json", examples.full()), "check")
    finding = made["models"][0]["findings"][0]
    for key, value in {"severity": "fatal", "code": "X1", "fingerprint": "", "axis": "2"}.items():
        good, finding[key] = finding[key], value
        with pytest.raises(jsonschema.ValidationError):
            readers.schema("check").validate(made)
        finding[key] = good
    readers.schema("check").validate({**made, "more": 1})
    for key in list(finding):
        good = finding.pop(key)
        with pytest.raises(jsonschema.ValidationError):
            readers.schema("check").validate(made)
        finding[key] = good
    made = readers.read_json(rendered("comparison", "json", examples.differing()), "diff")
    for change in made["changes"]:
        for bad in ({"kind": "changed"}, {"before": "much", "after": "more"}, {"text": ""}):
            wrong = {**made, "changes": [{**change, **bad}]}
            with pytest.raises(jsonschema.ValidationError):
                readers.schema("diff").validate(wrong)


def test_what_json_says() -> None:
    made = readers.read_json(rendered("report", "json", examples.full()), "check")
    first = made["models"][0]
    assert (first["seconds"], made["seconds"]) == (1.234, 4.568)
    assert (first["error"], len(first["known"])) == (None, 2)
    finding = first["findings"][6]
    assert finding["check"] == "covers-too-little"
    assert finding["place"] == "value 'y', axis 2 of input 'x'"
    assert (finding["node"], finding["value"], finding["axis"]) == (None, "y", 2)
    # What JSON has no number for.
    assert first["findings"][7]["figures"] == {"before": 23, "after": None}
    assert made["models"][2]["error"] == "models/broken.onnx: not an ONNX model (export it again)"


# ---------------------------------------------------------------- text


def test_findings_are_folded() -> None:
    lines = rendered("report", "text", examples.many()).splitlines()
    assert sum(line.startswith("    - ") for line in lines) == 9
    assert lines.count("      and 6 more like it") == 3
    assert sum(line.startswith("      what to do: ") for line in lines) == 3
    assert sum("rfgraph explain CODE" in line for line in lines) == 1


def test_clean_models_are_named_if_they_are_few() -> None:
    few = Report(examples.nothing().models[:5])
    assert "4.onnx: nothing found" in rendered("report", "text", few)
    assert "4.onnx" not in rendered("report", "text", examples.nothing())


def test_each_remedy_is_told() -> None:
    found = [examples.finding("RF301", "m.onnx", k) for k in range(6)]
    found[2] = replace(found[2], remedy="another way")
    lines = rendered("report", "text", Report([Checked("m.onnx", found)])).splitlines()
    assert [line.strip() for line in lines[2:8]] == [
        f"- {found[0].message}",
        f"- {found[1].message}",
        f"what to do: {found[1].remedy}",
        f"- {found[2].message}",
        "and 3 more like it",
        "what to do: another way",
    ]


# ---------------------------------------------------------------- SARIF


def test_known_findings_are_suppressed() -> None:
    run = readers.read_sarif(rendered("report", "sarif", examples.full()))
    assert [bool(result["suppressions"]) for result in run["results"]] == [False] * 10 + [True] * 3
    assert run["results"][-1]["suppressions"][0]["kind"] == "external"
    run = readers.read_sarif(rendered("report", "sarif", examples.many()))
    assert all("suppressions" not in result for result in run["results"])


def test_errors_are_notifications() -> None:
    (invocation,) = readers.read_sarif(rendered("report", "sarif", examples.full()))["invocations"]
    assert not invocation["executionSuccessful"]
    told = invocation["toolExecutionNotifications"]
    assert [note["level"] for note in told] == ["error"] * 2 + ["note"] * 6
    assert told[0]["message"]["text"] == "not an ONNX model (export it again)"
    (stale,) = invocation["toolConfigurationNotifications"]
    assert "models/known.onnx: RF302" in stale["message"]["text"]
    (invocation,) = readers.read_sarif(rendered("report", "sarif", examples.many()))["invocations"]
    assert invocation["executionSuccessful"]


def test_places_in_sarif() -> None:
    run = readers.read_sarif(rendered("report", "sarif", examples.full()))
    (location,) = run["results"][0]["locations"]
    assert location["physicalLocation"]["artifactLocation"] == {
        "uri": "models/my%20net.onnx",
        "uriBaseId": "%SRCROOT%",
        "index": 0,
    }
    assert location["logicalLocations"] == [
        {"name": "conv", "fullyQualifiedName": "/layers.4/conv", "kind": "node"},
        {"name": "conv_output", "fullyQualifiedName": "/layers.4/conv_output", "kind": "variable"},
        {"name": "x", "fullyQualifiedName": "x", "kind": "parameter"},
    ]
    assert run["artifacts"][3]["location"] == {"uri": "file:///data/half.onnx"}
    prints = [result["partialFingerprints"] for result in run["results"][7:9]]
    assert prints[0]["rfgraph/v1"] == prints[1]["rfgraph/v1"]
    assert [p["primaryLocationLineHash"][-2:] for p in prints] == [":1", ":2"]


def test_rules() -> None:
    """GitHub shows 255 characters of a name, and 1,024 of a description."""
    run = readers.read_sarif(rendered("comparison", "sarif", examples.same()))
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(CHECKS)
    for rule in rules:
        assert 0 < len(rule["shortDescription"]["text"]) < len(rule["fullDescription"]["text"])
        assert len(rule["fullDescription"]["text"]) <= 1024
        assert rule["help"]["text"] == CHECKS[rule["id"]].explanation
        assert "\n    RF" in rule["help"]["markdown"]


# ---------------------------------------------------------------- JUnit


def test_cases() -> None:
    root = readers.read_junit(rendered("report", "junit", examples.full()))
    suites = list(root)
    assert [suite.get("errors") for suite in suites] == ["0", "0", "1", "1", "0"]
    assert [suite.get("failures") for suite in suites] == ["3", "0", "0", "0", "0"]
    assert "note: RF104" in suites[0].find("system-out").text
    names = [case.get("name") for case in suites[0].findall("testcase")]
    assert names == ["analysis", *(f"{code} {CHECKS[code].name}" for code in examples.CODES)]
    assert {case.get("classname") for case in suites[0].findall("testcase")} == {
        "models/my net.onnx"
    }
    failure = suites[0].find("testcase[@name='RF301 unequal-branches']/failure")
    assert failure.get("type") == "warning"
    assert failure.get("message").endswith("(and 4 more)")
    assert failure.text.count("\nat Add 'sum_") == 5
    assert "known: RF104" in suites[0].find("system-out").text


# ---------------------------------------------------------------- GitHub


def test_the_gravest_are_first_and_no_check_hides_the_others() -> None:
    commands = readers.read_github(rendered("report", "github", examples.full()))
    ranks = [("error", "warning", "notice").index(name) for name, *_ in commands]
    assert ranks == sorted(ranks)
    assert [title for _, _, title, _ in commands[:2]] == ["not checked"] * 2
    commands = readers.read_github(rendered("report", "github", examples.many()))
    assert [file for _, file, _, _ in commands[:4]] == [f"models/{k}.onnx" for k in (0, 1, 2, 0)]


# ---------------------------------------------------------------- Markdown


def test_tables() -> None:
    rows = readers.read_markdown(rendered("report", "markdown", examples.full()))
    assert rows[:2] == [["not checked", "why"], ["models/broken.onnx", rows[1][1]]]
    assert rows[3] == ["code", "where", "what", "what to do"]
    assert rows[4][:2] == ["RF101", "output y"]
    assert rows[4][2].startswith("sees 7 of the 14 elements")
    assert rows[5][1:3] == ["y", "sees everything along axis 2 of input x, and saw 23"]
    assert rows[10] == ["RF301", "", "and 2 more like it", ""]


def test_many_findings_are_folded() -> None:
    assert rendered("report", "markdown", examples.many()).count("<details><summary><code>") == 3
    assert rendered("report", "markdown", examples.full()).count("<details><summary><code>") == 0


def test_a_comment_has_a_limit() -> None:
    models = [f"models/{k}{'|' * 200}.onnx" for k in range(300)]
    report = Report(
        [Checked(m, [examples.finding("RF104", m, k) for k in range(9)]) for m in models]
    )
    made = rendered("report", "markdown", report)
    readers.read_markdown(made)
    left = re.search("([0-9]+) parts left out", made)
    assert left
    assert int(left[1]) + made.count("</details>") == 301
    changes = [
        replace(change, value=f"{k}{'<' * 200}")
        for k in range(300)
        for change in examples.differing().changes
    ]
    made = rendered("comparison", "markdown", replace(examples.differing(), changes=changes))
    readers.read_markdown(made)
    assert "parts left out" in made


def test_renderers_change_nothing() -> None:
    """All of them get the same report, one after the other."""
    for first, second in pairwise([*formats("report"), *formats("report")]):
        report = examples.full()
        rendered("report", first, report)
        fresh = rendered("report", second, examples.full())
        assert rendered("report", second, report) == fresh
