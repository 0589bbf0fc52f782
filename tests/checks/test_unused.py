"""RF105: what was measured of a model, against what its units can see."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest

import rfgraph
from rfgraph import cli
from tests.measure.plain import Net


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """A stack of random convolutions, and its effective fields."""
    net = Net(0, 1, 1)
    for _ in range(12):
        net.conv(4, 3).relu()
    model = tmp_path / "net.onnx"
    onnx.save(net.model(64), model)
    told = tmp_path / "measured.json"
    code = cli.main(
        ["effective", str(model), "y", "--output-file", f"json={told}", "--error", "0.1"]
    )
    assert code == 0
    return told


def found(file: Path, **settings: Any) -> list[str]:
    report = rfgraph.check(file.parent / "net.onnx", select=["RF105"], **settings)
    assert not report.errors, report.errors[0].error
    return [finding.message for finding in report.findings]


def test_little_of_the_field_is_used(measured: Path) -> None:
    (told,) = json.loads(measured.read_text())["effective"]
    used = next(box["sides"][0] for box in told["shares"] if box["share"] == 0.9545)
    assert told["theoretical"] == [25]
    assert used < 25
    share = used / 25
    for margin, number in ((-0.01, 0), (0.01, 1)):
        some = found(measured, effective=str(measured), least_used=share + margin)
        assert len(some) == number
    assert some == [
        f"'y' uses {used} of the 25 elements that it sees along axis 2 of input 'x' ({share:.1%})"
    ]
    assert found(measured) == []


def test_all_of_the_input_is_used(measured: Path) -> None:
    (told,) = json.loads(measured.read_text())["effective"]
    wide = next(box["sides"][0] for box in told["shares"] if box["share"] == 0.99)
    left = 1 - wide / 64
    options = {"effective": str(measured), "least_used": 0}
    assert found(measured, **options, margin=left - 0.01) == []
    (message,) = found(measured, **options, margin=left + 0.01)
    assert message.startswith(f"'y' uses {wide} of the 64 elements of axis 2 of input 'x'")


@pytest.mark.parametrize("content", [None, "", "{}", '{"effective": [{}]}'])
def test_what_was_not_measured(measured: Path, content: str | None) -> None:
    other = measured.with_name("other.json")
    if content is not None:
        other.write_text(content)
    report = rfgraph.check(measured.parent / "net.onnx", select=["RF105"], effective=str(other))
    assert "other.json: effective: " in str(report.errors[0].error)
