"""Streams with kept context, and with states: any chunks, and what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rfgraph
from rfgraph.streaming import StreamingError, plan
from rfgraph.streaming.run import through
from tests.streaming.nets import SignalNet
from tests.streaming.test_convert import ROUNDING, difference, signal
from tests.streaming.test_plan import NETS, converted, opened, planned

MODELS = Path(__file__).parents[2] / "models"

LOCAL = ["wavenet", "tcn", "conv_tasnet", "speech encoder", "speech encoder, causal"]


def streams(name: str) -> list[Any]:
    """One with kept context, and one with states."""
    return [planned(name).open(opened(NETS[name])), converted(name).open()]


@pytest.mark.parametrize("name", LOCAL)
def test_kept_context(name: str) -> None:
    made = NETS[name]
    x = signal(made, 1503, batch=2)
    session = opened(made)
    whole = session.run(None, {"x": x})[0]
    found = planned(name)
    for chunks in (7, 160, 4096, [0, 1, 1000, 0, 3]):
        assert difference(found.run(session, x, chunks), whole) <= ROUNDING


@pytest.mark.parametrize("name", ["tcn", "speech encoder"])
def test_empty_short_and_long_chunks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rfgraph.streaming.run._LONGEST", 500)
    made = NETS[name]
    x = signal(made, 2345, batch=2)
    whole = opened(made).run(None, {"x": x})[0]
    for stream in streams(name):
        parts = [stream.push(x[..., :0])]
        assert parts[0].shape == (2, whole.shape[1], 0)
        assert parts[0].dtype == np.float32
        parts += [stream.push(x[..., :1]), stream.push(x[..., 1:2340]), stream.push(x[..., :0])]
        parts += [stream.push(x[..., 2340:]), stream.finish()]
        assert stream.samples == 2345
        assert difference(np.concatenate(parts, 2), whole) <= ROUNDING


def test_steps_come_as_soon_as_they_can() -> None:
    """Behind a window of 5 that looks 2 ahead, with each sample the step of 2 samples before."""
    net = SignalNet()
    made = net.model(net.same("x", 5))
    x = signal(made, 20)
    for stream in (plan(made).open(opened(made)), plan(made).convert().open()):
        counts = [stream.push(x[..., k : k + 1]).shape[2] for k in range(20)]
        assert counts[-10:] == [1] * 10
        assert sum(counts) == 18
        assert stream.finish().shape[2] == 2


def test_what_is_shorter_than_the_context() -> None:
    for name in ("tcn", "conv_tasnet"):
        made = NETS[name]
        x = signal(made, 30)
        whole = opened(made).run(None, {"x": x})[0]
        for stream in streams(name):
            parts = [stream.push(x[..., :9]), stream.push(x[..., 9:]), stream.finish()]
            assert difference(np.concatenate(parts, 2), whole) <= ROUNDING


def test_the_context_is_needed() -> None:
    """With one sample less, steps differ."""
    net = SignalNet()
    made = net.model(net.conv(net.padded("x", 4, 2), 3, (2, 0)))
    found = plan(made)
    assert found.context == 8
    x = signal(made, 600)
    session = opened(made)
    whole = session.run(None, {"x": x})[0]
    for kept in (8, 7):
        part = session.run(None, {"x": x[..., 300 - kept :]})[0][..., kept:]
        off = difference(part[..., :100], whole[..., 300:400])
        assert (off > 100 * ROUNDING) is (kept < 8)


def test_steps_that_see_nothing() -> None:
    """Between outputs of a transposed convolution there is its bias, and behind them padding."""
    net = SignalNet()
    made = net.model(net.same(net.transposed("x", 1, 2), 5))
    x = signal(made, 60)
    session = opened(made)
    whole = session.run(None, {"x": x})[0]
    assert difference(plan(made).run(session, x, 7), whole) <= ROUNDING
    assert difference(through(plan(made).convert().open(), [("x", 2)], {"x": x}, 7), whole) < 1e-6


def test_questions_without_an_answer() -> None:
    for stream in streams("tcn"):
        with pytest.raises(rfgraph.QueryError, match="the stream has no samples"):
            stream.finish()
        x = signal(NETS["tcn"], 10)
        with pytest.raises(rfgraph.QueryError, match="has 1 axes, and time is axis 2"):
            stream.push(x[0, 0])
        with pytest.raises(rfgraph.QueryError, match="no chunk of stream 'x'"):
            stream.push({"z": x})
        stream.push(x)
        stream.finish()
        for ask in (stream.finish, lambda stream=stream, x=x: stream.push(x)):
            with pytest.raises(rfgraph.QueryError, match="the stream has ended"):
                ask()
    for stream in streams("tcn"):
        with pytest.raises(rfgraph.RFGraphError, match="onnxruntime can't run a chunk"):
            stream.push(np.zeros((1, 9, 500), np.float32))
    with pytest.raises(StreamingError, match=r"convert it: .*convert\(\)"):
        planned("encoder").open(opened(NETS["encoder"]))
    with pytest.raises(rfgraph.QueryError, match="the file fixes the size along axis 2 of 'x'"):
        plan(MODELS / "wavenet.onnx").open(MODELS / "wavenet.onnx")
