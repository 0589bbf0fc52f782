"""``pytest --rfgraph``: every model is a file of tests, one for each check."""

from __future__ import annotations

import sys
from pathlib import Path

import onnx
import pytest

from rfgraph.checks import CHECKS
from tests.checks.test_checks import conv


@pytest.fixture
def models(pytester: pytest.Pytester) -> Path:
    """A good and an off-centre model, a file that is none, and a test."""
    onnx.save(conv(), pytester.path / "good.onnx")
    (pytester.path / "deep").mkdir()
    onnx.save(conv(5, (4, 0)), pytester.path / "deep" / "off.onnx")
    (pytester.path / "bad.onnx").write_bytes(b"")
    pytester.makepyfile(test_it="def test_it():\n    pass\n")
    return pytester.path


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """In this process: what a process of its own shows besides is tested once."""
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", *arguments)


def test_without_the_option_nothing_is_collected(pytester: pytest.Pytester, models: Path) -> None:
    """In a process of its own, as users have it: without the plugins of this run."""
    done = pytester.runpytest_subprocess(".")
    done.assert_outcomes(passed=1)
    pytester.makepyfile(
        test_it="import sys\ndef test_it():\n    assert 'rfgraph' not in sys.modules\n"
    )
    pytester.runpytest_subprocess(".").assert_outcomes(passed=1)


def test_every_check_is_a_test(pytester: pytest.Pytester, models: Path) -> None:
    done = run(pytester, "--rfgraph", "good.onnx", "deep", "-v")
    done.assert_outcomes(passed=2 * len(CHECKS) - 1, failed=1)
    done.stdout.fnmatch_lines(
        [
            "good.onnx::RF101 PASSED*",
            "deep/off.onnx::RF303 FAILED*",
            "*off.onnx: RF303 off-centre*",
            "output 'y' lies 2 elements before the middle of axis 2 of input 'x'",
            "  what to do: pad both sides alike, or declare the axis causal",
            "rfgraph explain RF303 says more",
        ]
    )
    assert "Traceback" not in done.stdout.str()
    assert "pytest_rfgraph.py" not in done.stdout.str()


def test_beside_other_tests(pytester: pytest.Pytester, models: Path) -> None:
    done = run(pytester, "--rfgraph", ".", "-k", "RF303 or test_it", "-n", "2")
    done.assert_outcomes(passed=2, failed=2)


def test_a_model_that_is_none_does_not_stop_the_others(
    pytester: pytest.Pytester, models: Path
) -> None:
    done = run(pytester, "--rfgraph", "bad.onnx", "good.onnx")
    done.assert_outcomes(passed=len(CHECKS), failed=len(CHECKS))
    done.stdout.fnmatch_lines(["*bad.onnx: not an ONNX model but an empty file (export it again)"])
    assert "Traceback" not in done.stdout.str()


def test_only_collecting(pytester: pytest.Pytester, models: Path) -> None:
    done = run(pytester, "--rfgraph", "good.onnx", "--collect-only", "-q")
    done.stdout.fnmatch_lines([f"good.onnx::{code}" for code in CHECKS])


def test_the_first_failure_ends_it(pytester: pytest.Pytester, models: Path) -> None:
    run(pytester, "--rfgraph", "bad.onnx", "-x").assert_outcomes(failed=1)


def test_configuration_and_baseline(pytester: pytest.Pytester, models: Path) -> None:
    (models / "rfgraph.toml").write_text('select = ["RF3"]\n[models."off*"]\ncausal = 2\n')
    run(pytester, "--rfgraph", "deep").assert_outcomes(passed=4)
    (models / "other.toml").write_text('select = ["RF303"]\n')
    arguments = ("--rfgraph", "deep", "--rfgraph-config", "other.toml")
    run(pytester, *arguments).assert_outcomes(failed=1)
    command = (sys.executable, "-m", "rfgraph", "check", "deep", "--config", "other.toml")
    written = pytester.run(*command, "--write-baseline", "known.json")
    assert written.ret == 0
    run(pytester, *arguments, "--rfgraph-baseline", "known.json").assert_outcomes(passed=1)


def test_a_configuration_that_makes_no_sense(pytester: pytest.Pytester, models: Path) -> None:
    (models / "rfgraph.toml").write_text("at-lest = 3\n")
    done = run(pytester, "--rfgraph", "deep")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["ERROR: *rfgraph.toml: at-lest: there is no option 'at-lest'*"])


def test_a_report(pytester: pytest.Pytester, models: Path) -> None:
    run(pytester, "--rfgraph", "deep", "--junit-xml", "report.xml")
    said = (models / "report.xml").read_text()
    assert 'name="RF303"' in said
    assert "lies 2 elements before the middle" in said
