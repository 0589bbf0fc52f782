"""Wrong transfers are found out: an operator of each family. `python -m tests.mutation` has all."""

from __future__ import annotations

import numpy as np
import pytest

from rfgraph.ops import registry
from rfgraph.reads import WHOLE, PerAxis, point
from tests import mutation
from tests.mutation import Key, Trial
from tests.oracle.cases.common import of

FAMILIES = (
    *("Add", "AveragePool", "ConvTranspose", "Einsum", "Gather", "LayerNormalization"),
    *("MatMul", "Pad", "ReduceMean", "Shape", "Softmax", "Upsample"),
)


@pytest.mark.parametrize("name", FAMILIES)
def test_no_mutant_survives(name: str) -> None:
    report = mutation.examine(("", name), seeds=2)
    assert report.survivors() == []
    assert report.wrong == []
    assert report.trials > 0


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> list[Trial]:
    """The trials that there are."""
    trials: list[Trial] = []
    monkeypatch.setattr(mutation, "SOURCES", [lambda key: trials])
    return trials


CONV: Key = ("", "Conv")


def conv(size: int, kernel: int, incomplete: str = "", **given: list[int]) -> Trial:
    inputs = {"X": np.ones((1, 1, size), np.float32), "W": np.ones((1, 1, kernel), np.float32)}
    return mutation.of_case(of("c", "Conv", inputs, incomplete=incomplete, **given))


def kinds(report: mutation.Report, fate: str) -> set[str]:
    return {kind for (_, kind), found in report.fates.items() if found[0] == fate}


def test_what_no_trial_tells_survives(only: list[Trial]) -> None:
    """A kernel as long as the axis is not told from a longer one, nor a batch from its element."""
    only.append(conv(3, 3))
    report = mutation.examine(CONV)
    survivors = {kind for _, kind, _ in report.survivors()}
    assert "output 0 of input 0, axis 2 along, one more after" in survivors
    assert "output 0 of input 0, axis 0 same, one more before" in survivors
    assert "output 0 of input 0, axis 2 along, last dropped" in kinds(report, mutation.KILLED)
    only.append(conv(6, 3))
    more = mutation.examine(CONV)
    assert "output 0 of input 0, axis 2 along, one more after" in kinds(more, mutation.KILLED)
    assert "output 0 of input 0, axis 0 same, one more before" in kinds(more, mutation.NEVER)


def test_of_an_incomplete_trial_only_what_is_missing_counts(only: list[Trial]) -> None:
    only.append(conv(6, 3, "for a test"))
    report = mutation.examine(CONV)
    assert "output 0 of input 0, axis 2 along, one more after" in kinds(report, mutation.SURVIVES)
    assert "output 0 of input 0, axis 2 along, last dropped" in kinds(report, mutation.KILLED)
    assert "output 0 of input 0, left out" in kinds(report, mutation.KILLED)


def test_elements_inside_a_hull_count(only: list[Trial]) -> None:
    """With a dilation of two, a read that is one longer and begins one earlier has other holes."""
    only.append(conv(9, 2, dilations=[3]))
    report = mutation.examine(CONV)
    assert not [kind for kind in kinds(report, mutation.SURVIVES) if "axis 2" in kind]


def test_an_operator_without_a_trial_survives(only: list[Trial]) -> None:
    assert mutation.examine(CONV).survivors() == [(1, "every mutant", "no trial")]


def test_what_a_statistic_covers_is_no_survivor(only: list[Trial]) -> None:
    only.append(
        mutation.of_case(of("s", "Softmax", {"x": np.float32([[1, 2, 3], [3, 1, 2]])}, axis=1))
    )
    report = mutation.examine(("", "Softmax"))
    assert "output 0 of input 0, left out" in kinds(report, mutation.COVERED)
    assert "output 0 of input 0, axis -2 same, one later" in kinds(report, mutation.KILLED)


def test_a_wrong_transfer_is_told(only: list[Trial], monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [registry.Rule(1, lambda op: [PerAxis(0, (point(0), WHOLE))])]
    monkeypatch.setitem(registry._RULES, ("", "ReduceSum"), rules)
    only.append(mutation.of_case(of("r", "ReduceSum", {"x": np.ones((2, 3), np.float32)})))
    report = mutation.examine(("", "ReduceSum"))
    assert "unsound" in report.wrong[0]
    assert report.survivors() == [(1, "every mutant", "no trial")]


def test_the_conservative_may_read_more(only: list[Trial], monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [registry.Rule(1, registry.lookup_rule("", "Conv", 21).transfer, conservative="so")]  # type: ignore[union-attr]
    monkeypatch.setitem(registry._RULES, CONV, rules)
    only.append(conv(6, 3, "for a test"))
    changes = {
        kind.rpartition(", ")[2] for kind in kinds(mutation.examine(CONV), mutation.SURVIVES)
    }
    assert changes == set()


def test_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert mutation.main(["Shape", "Relu", "--jobs", "1"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in out] == ["operator", "Relu", "Shape", "2"]
    assert out[-1].startswith("2 operators, ")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("FusedGemm", "did you mean com.microsoft.FusedGemm?"),
        ("NhwcConf", "did you mean com.microsoft.NhwcConv?"),
        ("com.microsoft.LPool", "did you mean LpPool or com.ms.internal.nhwc.LpPool?"),
        ("?", "docs/operators.md has all"),
    ],
)
def test_a_name_of_nothing_is_refused(
    name: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        mutation.main(["Relu", name, "--jobs", "1"])
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert not out
    assert f"no operator is called {name}: {hint}" in err


def test_a_survivor_fails_the_command_line(
    only: list[Trial], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mutation.main(["Relu", "--jobs", "1"]) == 1
    assert "since 1: every mutant: no trial" in capsys.readouterr().out
    monkeypatch.setattr(mutation, "LISTED", [("Relu", "every *", "for a test")])
    assert mutation.main(["Relu", "--jobs", "1"]) == 0
