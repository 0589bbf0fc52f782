"""What a plan says is what onnxruntime shows when samples are changed."""

from __future__ import annotations

import re
import shlex
from functools import cache
from math import ceil, floor, inf, isinf
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import rfgraph
from rfgraph import cli
from rfgraph.streaming import Plan, StreamingError, StreamingModel, plan
from rfgraph.tiling.axes import up
from tests.graphs import model
from tests.streaming import nets
from tests.streaming.nets import SignalNet

MODELS = Path(__file__).parents[2] / "models"

NETS = {
    "wavenet": nets.wavenet(),
    "tcn": nets.tcn(),
    "conv_tasnet": nets.conv_tasnet(),
    "conv_tasnet, causal": nets.conv_tasnet(causal=True),
    "encoder": nets.encoder(),
    "encoder, not causal": nets.encoder(causal=False),
    "decoder": nets.decoder(),
    "decoder, not causal": nets.decoder(causal=False),
    "speech encoder, causal": nets.speech_encoder(causal=True),
    "speech encoder": nets.speech_encoder(causal=False),
}

# Hop, look-back, look-ahead, latency, and the samples for the first step.
FIGURES: dict[str, tuple[int, float, int, int, int]] = {
    "wavenet": (1, 127, 0, 0, 1),
    "tcn": (1, 120, 0, 0, 1),
    "conv_tasnet": (8, 135, 135, 135, 136),
    "conv_tasnet, causal": (8, 255, 15, 15, 16),
    "encoder": (40, inf, 0, 39, 40),
    "encoder, not causal": (40, inf, 163, 239, 203),
    "decoder": (1, inf, 0, 0, 1),
    "decoder, not causal": (1, inf, 4, 4, 4),
    "speech encoder, causal": (40, 480, 65, 119, 105),
    "speech encoder": (40, 240, 305, 359, 345),
}


@cache
def planned(name: str) -> Plan:
    """The plan of one of the nets."""
    return plan(NETS[name], rate=16000)


@cache
def converted(name: str) -> StreamingModel:
    """One of the nets with explicit states."""
    return planned(name).convert()


def opened(made: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(
        made.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


@pytest.mark.parametrize("name", NETS)
def test_figures(name: str) -> None:
    found = planned(name)
    (timing,) = found.outputs.values()
    figures = found.hop, found.back, found.ahead, found.latency, timing.first
    assert figures == FIGURES[name]
    assert found.is_causal is (found.ahead <= 0)
    assert found.ms(found.latency) == found.latency / 16
    assert sum(each.samples for each in timing.path) == max(found.ahead, 0)


@pytest.mark.parametrize("name", NETS)
def test_steps_look_as_far_as_the_plan_says(name: str) -> None:
    """Of all samples of a hop: the first step that moves if one, and all behind it, change."""
    made, found = NETS[name], planned(name)
    (timing,) = found.outputs.values()
    hops = ceil((min(timing.back, 400) + timing.ahead) / found.hop) + 2
    session = opened(made)
    channels = session.get_inputs()[0].shape[1]
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (1, channels, (2 * hops + 2) * found.hop)).astype(np.float32)

    def first_moved(x: np.ndarray, whole: np.ndarray, sample: int) -> int:
        changed = x.copy()
        changed[..., sample:] += rng.normal(0, 2, changed[..., sample:].shape)
        moved = session.run(None, {"x": changed})[0] != whole
        return int(moved.any(axis=(0, 1)).argmax()) if moved.any() else whole.shape[2]

    whole = session.run(None, {"x": x})[0]
    aheads, waits = [], []
    # Not every change shows behind a Relu.
    for sample in 4 * [*range(hops * found.hop, (hops + 1) * found.hop)]:
        step = first_moved(x, whole, sample)
        own = floor(step * timing.stride), ceil((step + 1) * timing.stride) - 1
        aheads.append(sample - own[1])
        waits.append(up(sample + 1, found.hop) - 1 - own[0])
    assert max(aheads) == timing.ahead
    assert max(waits) == timing.latency
    # The first step takes no more samples than are told, and one less won't do.
    x = x[..., : 3 * found.hop + timing.first]
    whole = session.run(None, {"x": x})[0]
    assert first_moved(x, whole, timing.first - 1) == 0
    assert first_moved(x, whole, timing.first) > 0


def test_the_first_step_that_sees_no_padding() -> None:
    for name in ("tcn", "conv_tasnet", "speech encoder"):
        (timing,) = planned(name).outputs.values()
        field = rfgraph.analyze(NETS[name], assume=True).field(next(iter(planned(name).outputs)))
        firsts = [
            first + turn * len(field[2].phases) * field[2].stride
            for turn in range(400)
            for first, _ in field[2].phases
        ]
        assert timing.valid == min(k for k, _ in enumerate(firsts) if min(firsts[k:]) >= 0)


def test_which_nodes_look_ahead() -> None:
    net = SignalNet()
    v = net.same("x", 5)
    v = net.conv(v, 4, (1, 1), stride=2)
    v = net.same(v, 3, dilation=2)
    found = plan(net.model(v), rate=8000)
    (timing,) = found.outputs.values()
    # 2 samples; those of 4 taps at stride 2, of which 1 is ahead of both own samples; 2 x 2.
    assert [each.samples for each in timing.path] == [2, 1, 4]
    assert [each.node.split()[0] for each in timing.path] == ["Conv"] * 3
    assert (timing.ahead, timing.stride, timing.latency) == (7, 2, 9)


def test_states_of_recurrent_layers() -> None:
    text = (
        "x1 = Transpose <perm = [2, 0, 1]> (x) "
        "y1, hn, cn = LSTM <hidden_size = 2> (x1, W, R, , , h, c) s = Squeeze (y1, one) "
        "y = Transpose <perm = [1, 2, 0]> (s)"
    )
    weights = {"W": np.ones((1, 8, 2), np.float32), "R": np.ones((1, 8, 2), np.float32)}
    made = model(
        text,
        "float[batch,2,time] x, float[1,batch,2] h, float[1,batch,2] c",
        "y hn cn",
        initializers=weights | {"one": np.array([1])},
    )
    found = plan(made)
    assert found.states == (("h", "hn"), ("c", "cn"))
    assert list(found.outputs) == ["y"]
    assert found.is_causal
    assert found.outputs["y"].back == inf
    assert found.context is None


# ---------------------------------------------------------------- what can't be

SIGNAL = "float[1,2,time] x"
WHOLE: dict[str, tuple[str, str, str]] = {
    "a norm over time": ("y = InstanceNormalization (x, S, S)", "InstanceNormalization", "its ch"),
    "a pool over time": ("g = GlobalAveragePool (x) y = Mul (x, g)", "GlobalAveragePool", "window"),
    "attention": (
        "t = Transpose <perm = [0, 2, 1]> (x) a = MatMul (t, x) s = Softmax (a) y = MatMul (x, s)",
        "MatMul",
        "causal mask",
    ),
    "both directions": (
        "t = Transpose <perm = [2, 0, 1]> (x) "
        'a = GRU <hidden_size = 2, direction = "bidirectional"> (t, W, R) '
        "s = ReduceSum <keepdims = 0> (a, one) y = Transpose <perm = [1, 2, 0]> (s)",
        "GRU",
        "runs forward",
    ),
}


@pytest.mark.parametrize("name", WHOLE)
def test_what_no_stream_gives(name: str) -> None:
    body, node, remedy = WHOLE[name]
    weights = {"W": np.ones((2, 6, 2), np.float32), "R": np.ones((2, 6, 2), np.float32)}
    given = weights | {"S": np.ones(2, np.float32), "one": np.array([1])}
    made = model(body, SIGNAL, opset=18, initializers=given)
    with pytest.raises(StreamingError) as raised:
        plan(made, axis=2)
    assert str(raised.value.node).startswith(node)
    assert remedy in str(raised.value.remedy)


def test_questions_without_an_answer() -> None:
    with pytest.raises(StreamingError, match="can be had on a stream: features") as raised:
        plan(MODELS / "tcn.onnx")
    assert "Gather '/Gather'" in str(raised.value)
    with pytest.raises(rfgraph.QueryError, match="fields move along several axes"):
        plan(MODELS / "unet_tconv.onnx")
    with pytest.raises(rfgraph.QueryError, match="no input has an axis 'seconds'"):
        plan(NETS["tcn"], axis="seconds")
    with pytest.raises(rfgraph.QueryError, match="has no output 'nix'"):
        plan(NETS["tcn"], outputs=["nix"])
    rows = plan(MODELS / "unet_tconv.onnx", axis="height")
    assert (rows.hop, rows.outputs["logits"].ahead, rows.outputs["logits"].back) == (8, 51, 51)


def test_own_samples() -> None:
    """Of a stride that is a fraction, and one that is not."""
    for name in ("decoder", "encoder, not causal"):
        found = planned(name)
        (timing,) = found.outputs.values()
        assert timing.latency >= timing.ahead + min(found.hop, floor(timing.stride) or 1) - 1


# ---------------------------------------------------------------- the page


def test_the_table_of_models() -> None:
    """As large as they are published along time."""
    page = (MODELS.parent / "docs" / "streaming.md").read_text("utf-8")
    table = page.split("| model | back")[1].split("\n\n")[0].splitlines()[2:]
    for line, (make, rate) in zip(table, nets.PUBLISHED.values(), strict=True):
        found = plan(make(), rate=rate)
        figures = (found.back, found.ahead, found.hop, found.latency)
        told = ["the past" if isinf(n) else f"{n:,} ({found.ms(n):.4g} ms)" for n in figures]
        assert line.split(" | ")[1:] == [*told[:3], told[3] + " |"]


def test_the_page(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(MODELS.parent)
    page = (MODELS.parent / "docs" / "streaming.md").read_text("utf-8")
    command, shown = re.findall(r"```(?:sh)?\n(.*?)```", page, re.DOTALL)[:2]
    assert cli.main(shlex.split(command)[1:]) == 0
    assert capsys.readouterr().out == shown


def test_the_python_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (MODELS.parent / "docs" / "streaming.md").read_text("utf-8")
    first, *others = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "smooth.py").write_text(first)
    monkeypatch.syspath_prepend(tmp_path)
    for text in others:
        exec(text, {})
