"""Runtimes in processes: what they answer, and how they fail to, is told."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import ml_dtypes
import numpy as np
import onnx
import pytest

from rfgraph import runtimes
from rfgraph.errors import QueryError, RFGraphError
from rfgraph.runtimes import registry
from tests.graphs import model
from tests.runtimes.needed import need

MODEL = model(
    "y = ConvTranspose<strides=[2]>(x, w)",
    "float[1,1,4] x",
    initializers={"w": np.array([[[1, 2, 4]]], np.float32)},
).SerializeToString()
X = np.arange(4, dtype=np.float32).reshape(1, 1, 4)
Y = np.array([0, 0, 1, 2, 6, 4, 11, 6, 12], np.float32)
EXPECTED = [((1, 1, 9), np.dtype(np.float32))]


def outcome(fault: str, seconds: float = 60.0) -> runtimes.Outcome:
    with runtimes.start(f"planted:fault={fault}", seconds=seconds) as session:
        opened = session.open(MODEL)
        return session.run([{"x": X}], EXPECTED)[0] if opened.answered else opened


def test_those_of_rfgraph_and_of_packages():
    # Other packages that are installed here may have some too.
    assert registry.names()[:3] == ["onnxruntime", "openvino", "reference"]
    assert "planted" in registry.names()


@pytest.mark.parametrize("name", ["onnxruntime:level=disable,threads=1", "reference"])
def test_answers(name):
    with runtimes.start(name) as session:
        assert session.version
        with pytest.raises(QueryError, match="no model is open"):
            session.run([{"x": X}])
        assert session.open(MODEL) == runtimes.Outcome("answered")
        found = session.run([{"x": X}, {"x": 2 * X}], EXPECTED)
    assert [one.kind for one in found] == ["answered", "answered"]
    np.testing.assert_array_equal(found[0].outputs[0].ravel(), Y)
    np.testing.assert_array_equal(found[1].outputs[0].ravel(), 2 * Y)
    assert session.runs == 2


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_bfloat16_is_taken(name):
    pytest.importorskip(name)
    x = np.array([1, 2, -3, 0.5], ml_dtypes.bfloat16)
    with runtimes.start(name) as session:
        session.open(model("y = Cast<to=1>(x)", "bfloat16[4] x").SerializeToString())
        (y,) = session.run([{"x": x}])[0].outputs
    assert y.tolist() == [1, 2, -3, 0.5]


def test_openvino_says_what_is_wrong():
    pytest.importorskip("openvino", reason="openvino is an extra")
    with runtimes.start("openvino") as session:
        said = session.open(model("y = Bernoulli(x)", "float[4] x").SerializeToString())
    assert said.kind == "refused"
    assert said.text.endswith("No conversion rule found for operations: Bernoulli-17")
    assert "src/" not in said.text


@pytest.mark.skipif(sys.platform == "win32", reason="it takes a POSIX shell")
def test_nothing_is_left_behind_by_a_process_that_is_killed(tmp_path):
    script = (
        "import os, time\nfrom rfgraph.runtimes import start\n"
        "session = start('reference')\nprint(session.version, flush=True)\ntime.sleep(60)"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    given = [sys.executable, "-c", script]
    with subprocess.Popen(given, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        assert list(tmp_path.iterdir())
        process.kill()
    until = time.monotonic() + 20
    while list(tmp_path.iterdir()) and time.monotonic() < until:
        time.sleep(0.05)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_openvino_answers():
    need("openvino")
    with runtimes.start("openvino:precision=f32,threads=1") as session:
        assert session.open(MODEL).answered
        np.testing.assert_array_equal(session.run([{"x": X}])[0].outputs[0].ravel(), Y)


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        ("refuse", "refused", "no ConvTranspose here"),
        pytest.param(
            "crash at open", "crashed", "its process ended (SIGSEGV)", marks=pytest.mark.slow
        ),
        ("crash", "crashed", "its process ended (SIGSEGV): planted: about to crash"),
        pytest.param(
            "shape",
            "other shape",
            "output 0 has the shape (1, 1, 18), not (1, 1, 9)",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "type",
            "other type",
            "output 0 is of float64, not of float32",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_faults_are_told(fault, kind, said):
    found = outcome(fault)
    assert (found.kind, found.text) == (kind, said)


@pytest.mark.slow
def test_a_hang_is_told():
    found = outcome("hang", seconds=1)
    assert (found.kind, found.text) == ("hung", "no answer within 1 seconds")


@pytest.mark.slow
def test_one_crash_takes_no_other_run_along():
    with runtimes.start("planted:fault=crash at 7") as session:
        assert session.open(MODEL).answered
        found = session.run([{"x": X}, {"x": 7 + 0 * X}, {"x": X}])
    assert [one.kind for one in found] == ["answered", "crashed", "answered"]
    assert "SIGABRT" in str(found[1])


@pytest.mark.slow
def test_a_session_goes_on_after_a_crash():
    other = model("y = Relu(x)", "float[1,1,4] x").SerializeToString()
    with runtimes.start("planted:fault=crash") as session:
        session.open(MODEL)
        assert session.run([{"x": X}] * 5)[-1].kind == "crashed"
        assert session.open(other).answered
        assert session.run([{"x": X}])[0].answered


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("absent", "there is no runtime 'absent' (the runtimes are onnxruntime, openvino"),
        ("onnxruntime:level", "the option 'level' has no value"),
        ("reference:a=1,a=2", "the option 'a' is given twice"),
        ("onnxruntime:level=9", "'level' can't be '9': it is one of disable, basic"),
        ("onnxruntime:threads=x", "'threads' can't be 'x': it is a whole number"),
    ],
)
def test_what_is_no_runtime(name, said):
    with pytest.raises(QueryError) as found:
        registry.made(name)
    assert said in str(found.value)


def test_names_may_stand_apart():
    assert registry.parsed("openvino:threads=1, onnxruntime") == [
        "openvino:threads=1",
        "onnxruntime",
    ]


def test_no_patience_makes_no_sense():
    for seconds in (-1.0, float("nan")):
        with pytest.raises(QueryError, match="can't be given"):
            runtimes.start("reference", seconds=seconds)
    with runtimes.start("reference", seconds=float("inf")) as session:
        assert session.open(MODEL).answered


def test_an_option_that_its_process_does_not_know():
    said = "runtime 'planted:what=1': its options are fault and of"
    with pytest.raises(QueryError, match=said):
        runtimes.start("planted:what=1")


@pytest.mark.slow
def test_a_script_needs_no_guard():
    script = "from rfgraph.runtimes import start\nwith start('reference') as s: print(s.version)"
    done = subprocess.run(
        [sys.executable, "-"], input=script, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == onnx.__version__


def test_what_is_missing_is_named(monkeypatch, tmp_path):
    (tmp_path / "openvino.py").write_text("raise ImportError")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RFGraphError) as found:
        runtimes.start("openvino")
    assert str(found.value) == "openvino is not installed (pip install 'rfgraph[openvino]')"
