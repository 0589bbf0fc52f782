"""Runs carried out by threads, processes and a dask cluster: nothing is lost or counted twice."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import pytest

import rfgraph
from rfgraph.worker import pool
from tests.validation.test_validate import CONV

MODEL = "models/espcn.onnx"
OPTIONS: dict[str, Any] = {"method": "poison", "seconds": None, "assume": True, "samples": 24}


@pytest.fixture(scope="module")
def alone() -> rfgraph.Validation:
    return rfgraph.validate(MODEL, **OPTIONS)


def assert_same(found: rfgraph.Validation, alone: rfgraph.Validation) -> None:
    assert found.ok
    assert found.passes == found.planned == alone.passes
    assert found.probes == alone.probes
    assert found.tallies == alone.tallies


@pytest.mark.parametrize("processes", [False, True])
def test_jobs(processes: bool, alone: rfgraph.Validation) -> None:
    assert_same(rfgraph.validate(MODEL, jobs=2, processes=processes, **OPTIONS), alone)


def test_an_executor_is_used_and_left_open(alone: rfgraph.Validation) -> None:
    with ThreadPoolExecutor(2) as executor:
        found = rfgraph.validate(MODEL, jobs=2, executor=executor, **OPTIONS)
        assert executor.submit(int).result() == 0
    assert_same(found, alone)
    assert found.notes == alone.notes


def test_a_killed_process(alone: rfgraph.Validation) -> None:
    """The pool breaks for all that is under way; that is made here."""
    killed = []

    def kill(done: int, total: int) -> None:
        if done == 5:
            for child in children():
                os.kill(child, signal.SIGKILL)
                killed.append(child)
                break

    found = rfgraph.validate(MODEL, jobs=2, processes=True, progress=kill, **OPTIONS)
    assert killed
    assert_same(found, alone)
    assert "a worker was lost" in " ".join(found.notes)


def children() -> list[int]:
    """The processes of a pool that were started from here."""
    from multiprocessing import active_children

    return [child.pid for child in active_children() if child.pid is not None]


class _Flaky(Executor):
    """Loses every third order."""

    def __init__(self) -> None:
        self.given = 0

    def submit(self, function: Any, /, *arguments: Any, **options: Any) -> Future[Any]:
        self.given += 1
        future: Future[Any] = Future()
        if self.given % 3:
            future.set_result(function(*arguments, **options))
        else:
            future.set_exception(ConnectionError("gone"))
        return future


def test_orders_that_are_lost_are_carried_out_here(alone: rfgraph.Validation) -> None:
    flaky = _Flaky()
    found = rfgraph.validate(MODEL, executor=flaky, **OPTIONS)
    assert flaky.given == found.passes
    assert_same(found, alone)
    lost = flaky.given // 3
    assert f"a worker was lost, and {lost} passes were made without it: ConnectionError: gone" in (
        found.notes
    )


def test_what_onnxruntime_does_not_run_is_no_lost_worker() -> None:
    import numpy as np
    import onnx.parser

    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> net (float[1, 6] x, int64[1] k) '
        "=> (float[1, n] y) { y = Gather <axis = 1> (x, k) }"
    )
    with pytest.raises(rfgraph.RFGraphError, match="can't run the model"):
        rfgraph.validate(model, inputs={"k": np.int64([99])}, jobs=2)


def test_the_budget_holds_for_workers() -> None:
    found = rfgraph.validate(CONV, seconds=1e-9, jobs=2)
    assert 0 < found.passes < found.planned
    assert found.tested


def test_threads_share_the_machine() -> None:
    assert pool.threads_of(1) == 0
    assert pool.threads_of(10**6) == 1


# ---------------------------------------------------------------- dask


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed", reason="the extra 'dask' is not installed")
    with distributed.LocalCluster(
        n_workers=3, threads_per_worker=1, processes=True, dashboard_address=":0"
    ) as made:
        yield made


def test_a_cluster(cluster: Any, alone: rfgraph.Validation) -> None:
    from distributed import Client

    with Client(cluster) as client:
        found = rfgraph.validate(MODEL, jobs=3, executor=client.get_executor(), **OPTIONS)
    assert_same(found, alone)


def test_a_worker_of_a_cluster_is_killed_midway(cluster: Any, alone: rfgraph.Validation) -> None:
    from distributed import Client

    killed = []

    def kill(done: int, total: int) -> None:
        if done == 6:
            pid = next(iter(client.run(os.getpid).values()))
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    with Client(cluster) as client:
        found = rfgraph.validate(
            MODEL, jobs=3, executor=client.get_executor(), progress=kill, **OPTIONS
        )
    assert killed
    assert_same(found, alone)


def test_the_command_line_with_a_cluster(cluster: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from rfgraph import cli

    code = cli.main(["validate", MODEL, "--dask", cluster.scheduler_address, "--samples", "4"])
    assert code == 0
    assert "no claim is contradicted" in capsys.readouterr().out


def test_a_cluster_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from rfgraph import cli

    began = time.monotonic()
    assert cli.main(["validate", MODEL, "--dask", "tcp://127.0.0.1:1"]) == 2
    assert "the scheduler can't be reached" in capsys.readouterr().err
    assert time.monotonic() - began < 60
    monkeypatch.setitem(__import__("sys").modules, "dask.distributed", None)
    assert cli.main(["validate", MODEL, "--dask", "tcp://127.0.0.1:1"]) == 2
    assert "pip install 'rfgraph[dask]'" in capsys.readouterr().err
