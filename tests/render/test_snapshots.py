"""What is written, to the letter.

``RFGRAPH_UPDATE_SNAPSHOTS=1 pytest tests/render`` writes the files anew; look at what has changed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from rfgraph.compare import Comparison
from rfgraph.render.findings import junit, sarif
from rfgraph.render.registry import formats, rendered
from tests.render import examples

FOLDER = Path(__file__).parent / "snapshots"
ENDINGS = {
    "text": "txt",
    "json": "json",
    "sarif": "sarif",
    "junit": "xml",
    "github": "github",
    "markdown": "md",
}
EXAMPLES: dict[str, Any] = {
    "full": examples.full,
    "nothing": examples.nothing,
    "many": examples.many,
    "differing": examples.differing,
    "same": examples.same,
}


def written(form: str, made: Any) -> str:
    return rendered("comparison" if isinstance(made, Comparison) else "report", form, made)


@pytest.mark.parametrize("form", formats("report"))
@pytest.mark.parametrize("example", EXAMPLES)
def test_snapshot(example: str, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "VERSION", "0.0.0")
    monkeypatch.setattr(junit, "VERSION", "0.0.0")
    made = written(form, EXAMPLES[example]()) + "\n"
    assert made == written(form, EXAMPLES[example]()) + "\n"
    if form == "sarif":
        # The explanations of the checks have their own tests.
        log = json.loads(made)
        driver = log["runs"][0]["tool"]["driver"]
        driver["rules"] = [rule["id"] for rule in driver["rules"]]
        made = json.dumps(log, indent=1) + "\n"
    file = FOLDER / f"{example}.{ENDINGS[form]}"
    if os.environ.get("RFGRAPH_UPDATE_SNAPSHOTS") == "1":
        file.write_text(made, encoding="utf-8", newline="\n")
    assert made == file.read_text(encoding="utf-8")


def test_there_are_no_others() -> None:
    expected = {f"{example}.{ending}" for example in EXAMPLES for ending in ENDINGS.values()}
    assert {file.name for file in FOLDER.iterdir()} == expected
