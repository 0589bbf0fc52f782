"""Tasks carried out by whoever: what they add up to is the same, bit for bit."""

from __future__ import annotations

from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx.parser
import pytest

import rfgraph
from rfgraph.measure.runs import How, Network, Outcome, prepared, reduced
from rfgraph.measure.stored import Store

CONV = """
    <ir_version: 8, opset_import: ["" : 17]>
    net (float[N, 1, 9] x, float[N, 1, 9] bias) => (float[N, 1, M] y)
    <float[1, 1, 3] W = {1, 2, 3}> {
        c = Conv (x, W)
        d = Conv (bias, W)
        y = Add (c, d)
        z = Sigmoid (y)
    }
"""


def model(text: str) -> onnx.ModelProto:
    return onnx.parser.parse_model(text)


@dataclass(frozen=True)
class Seed:
    number: int


@dataclass(frozen=True)
class Job:
    """Numbers whose sum depends on the order in which they are added up."""

    network: Network

    def carry_out(self, task: Seed) -> np.ndarray:
        rng = np.random.default_rng(task.number)
        batch = rng.standard_normal((1, 1, 9)).astype(np.float32)
        return self.network.run(batch)[0][0].astype(np.float64) ** 3


@dataclass
class Sum:
    most: int
    total: np.ndarray = field(default_factory=lambda: np.zeros((1, 7)))
    many: int = 0

    def add(self, result: np.ndarray) -> None:
        self.total = self.total * 1.1 + result
        self.many += 1

    def enough(self) -> bool:
        return self.many >= self.most

    def planned(self) -> int:
        return self.most

    def state(self) -> dict[str, np.ndarray]:
        return {"total": self.total, "many": np.array(self.many)}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self.total, self.many = state["total"], int(state["many"])


@pytest.fixture(scope="module")
def job() -> Job:
    return Job(prepared(model(CONV), ["y"], "x").network)


def added(job: Job, how: How, most: int = 12, tasks: int = 40) -> tuple[Sum, Outcome]:
    into = Sum(most)
    return into, reduced(job, map(Seed, range(tasks)), into, how)


class Disordered(Executor):
    """Has results ready in another order, and loses every third task."""

    def __init__(self) -> None:
        self.given = 0

    def submit(self, function: Any, /, *arguments: Any, **options: Any) -> Future[Any]:
        self.given += 1
        future: Future[Any] = Future()
        if self.given % 3:
            future.set_result(function(*arguments, **options))
        else:
            future.set_exception(OSError("gone"))
        return future


def test_whoever_carries_tasks_out(job: Job) -> None:
    alone, outcome = added(job, How(jobs=1))
    assert (outcome.tasks, outcome.complete, outcome.before) == (12, True, 0)
    threads, _ = added(job, How(jobs=3))
    with ThreadPoolExecutor(2) as pool:
        foreign, _ = added(job, How(jobs=2, executor=pool))
    lossy, lost = added(job, How(jobs=4, executor=Disordered()))
    assert lost.notes
    for other in (threads, foreign, lossy):
        assert other.total.tobytes() == alone.total.tobytes()


@pytest.mark.slow
def test_processes(job: Job) -> None:
    alone, _ = added(job, How(jobs=1))
    processes, _ = added(job, How(jobs=2, processes=True))
    assert processes.total.tobytes() == alone.total.tobytes()


def test_a_run_is_gone_on_with(job: Job, tmp_path: Path) -> None:
    whole, _ = added(job, How(jobs=1))
    made_of = {"seed": 0}

    def interrupt(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    store = Store(tmp_path / "run", made_of)
    _, outcome = added(job, How(jobs=2, progress=interrupt, store=store))
    assert (outcome.interrupted, outcome.complete, outcome.tasks) == (True, False, 5)
    # What a process leaves that is killed while it writes.
    (tmp_path / "run" / ".sums-0").mkdir()
    again, outcome = added(job, How(jobs=2, store=Store(tmp_path / "run", made_of)))
    assert (outcome.before, outcome.tasks, outcome.complete) == (5, 12, True)
    assert again.total.tobytes() == whole.total.tobytes()
    finished, outcome = added(job, How(store=Store(tmp_path / "run", made_of)))
    assert (outcome.before, outcome.tasks, outcome.complete) == (12, 12, True)
    assert finished.total.tobytes() == whole.total.tobytes()


def test_the_time_is_over(job: Job) -> None:
    _, outcome = added(job, How(seconds=1e-9, jobs=1))
    assert (outcome.tasks, outcome.complete) == (1, False)
    # With the last one there is.
    _, outcome = added(job, How(seconds=1e-9, jobs=1), tasks=1)
    assert (outcome.tasks, outcome.complete) == (1, True)


def test_fewer_tasks_than_are_enough(job: Job) -> None:
    into, outcome = added(job, How(jobs=2), tasks=3)
    assert (into.many, outcome.complete) == (3, True)


def test_what_is_kept_of_another_measurement(tmp_path: Path) -> None:
    Store(tmp_path / "run", {"seed": 0, "model": "a"})
    with pytest.raises(rfgraph.QueryError, match="another model and another seed"):
        Store(tmp_path / "run", {"seed": 1, "model": "b"})
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "file").write_text("")
    with pytest.raises(rfgraph.QueryError, match="holds no measurement"):
        Store(tmp_path / "else", {})
    with pytest.raises(rfgraph.QueryError, match="holds no measurement"):
        Store(tmp_path / "else" / "file", {})


def test_two_at_a_time(job: Job, tmp_path: Path) -> None:
    store = Store(tmp_path / "run", {})
    with store.alone(), pytest.raises(rfgraph.QueryError, match="another process is at it"):
        added(job, How(store=Store(tmp_path / "run", {})))


def test_zarr_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "zarr", None)
    with pytest.raises(rfgraph.RFGraphError, match=r"pip install 'rfgraph\[tiles\]'"):
        Store(tmp_path / "run", {})


# ---------------------------------------------------------------- what is run


def test_up_to_the_value() -> None:
    found = prepared(model(CONV), ["c"], "x")
    part = onnx.ModelProto.FromString(found.network.model)
    assert [node.op_type for node in part.graph.node] == ["Conv"]
    assert [i.name for i in part.graph.input] == ["x"]
    assert not found.network.held
    batch = np.random.default_rng(0).standard_normal((2, 1, 9)).astype(np.float32)
    (made,) = found.network.run(batch)
    wanted = np.stack([np.correlate(row[0], [1, 2, 3], "valid") for row in batch])[:, None]
    np.testing.assert_allclose(made, wanted, rtol=1e-5)


def test_rows_of_a_batch() -> None:
    found = prepared(model(CONV), ["y"], "x")
    assert (found.rows, found.network.axes, found.analysis.shape("y")) == (64, (0,), (1, 1, 7))
    batch = np.random.default_rng(0).standard_normal((5, 1, 9)).astype(np.float32)
    (several,) = found.network.run(batch)
    for row, made in zip(batch, several, strict=True):
        assert (found.network.run(row[None])[0][0] == made).all()
    assert prepared(model(CONV), ["y"], "x", memory=3 * 4 * 9 * 2).rows == 2


@pytest.mark.parametrize(
    "text",
    [
        # Time first: rows have another axis in the value.
        "net (float[N, 4] x) => (float[4, M] y) { y = Transpose (x) }",
    ],
)
def test_rows_that_lie_elsewhere(text: str) -> None:
    found = prepared(model('<ir_version: 8, opset_import: ["" : 17]>' + text), ["y"])
    assert (found.rows, found.network.axes) == (64, (1,))
    batch = np.arange(8, dtype=np.float32).reshape(2, 4)
    assert (found.network.run(batch)[0] == batch).all()


@pytest.mark.parametrize(
    "text",
    [
        "net (float[1, 4] x) => (float[1, 4] y) { y = Relu (x) }",
        # The batch is normalised over, lies within an axis, or can only be one row.
        "net (float[N, 4] x) => (float[N, 4] y) { y = Softmax <axis = 0> (x) }",
        "net (float[N, 4] x) => (float[M] y) <int64[1] s = {-1}> { y = Reshape (x, s) }",
        "net (float[N, 4] x) => (float[1, 4] y) <int64[2] s = {1, 4}> { y = Reshape (x, s) }",
    ],
)
def test_one_row(text: str) -> None:
    found = prepared(model('<ir_version: 8, opset_import: ["" : 17]>' + text), ["y"])
    assert (found.rows, found.network.axes) == (1, (None,))
    assert found.network.run(found.base)[0].shape == found.analysis.shape("y")


@pytest.mark.parametrize(
    ("tensors", "input", "said"),
    [
        (["y"], None, "'y' depends on 2 inputs"),
        (["c"], "bias", "'c' depends on no element of input 'bias'"),
        (["x"], None, "'x' can't be measured: it is an input"),
        (["nowhere"], None, "nowhere"),
        (["c"], "nowhere", "nowhere"),
    ],
)
def test_what_can_not_be_measured(tensors: list[str], input: str | None, said: str) -> None:
    with pytest.raises(rfgraph.QueryError, match=said):
        prepared(model(CONV), tensors, input)


def test_inputs_that_are_given() -> None:
    bias = np.ones((1, 1, 9), np.float32)
    found = prepared(model(CONV), ["y"], "x", inputs={"bias": bias})
    zeros = np.zeros((3, 1, 9), np.float32)
    assert found.network.run(zeros)[0].tolist() == [[[6.0] * 7]] * 3
