"""Models with explicit states, put together chunk by chunk, are what onnxruntime makes of all."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import rfgraph
from rfgraph.streaming import StreamingError, StreamingModel, load, plan
from rfgraph.streaming.run import through
from rfgraph.streaming.writer import UNKNOWN_LENGTH
from tests.chunks import share
from tests.graphs import Nodes, model
from tests.streaming import nets
from tests.streaming.nets import SignalNet
from tests.streaming.test_plan import NETS, converted, opened, planned
from tests.tiling.nets import with_open_axes

MODELS = Path(__file__).parents[2] / "models"

# Relative to the largest value: sums in another order, where there are fewer steps.
ROUNDING = 2e-6

# Of random nets: normalising two channels that are nearly the same makes it larger.
NORMALISED = 5e-6


def difference(found: np.ndarray, whole: np.ndarray) -> float:
    assert found.shape == whole.shape
    if not whole.size:
        return 0.0
    return float(np.abs(found - whole).max() / max(float(np.abs(whole).max()), 1e-9))


def signal(made: onnx.ModelProto, samples: int, batch: int = 1, seed: int = 0) -> np.ndarray:
    channels = made.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    shape = batch, channels, samples
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def streamed(
    found: StreamingModel, x: np.ndarray, chunks: int | Iterable[int], session: Any = None
) -> np.ndarray:
    stream = found.open(session or opened(found.model))
    made: np.ndarray = through(stream, found.streams, {found.streams[0][0]: x}, chunks)
    return made


# ---------------------------------------------------------------- nets as they are published


def assert_equal(
    made: onnx.ModelProto, found: StreamingModel, samples: int, chunks: Iterable[int]
) -> None:
    x = signal(made, samples)
    whole = opened(made).run(None, {"x": x})[0]
    session = opened(found.model)
    for chunk in chunks:
        assert difference(streamed(found, x, chunk, session), whole) <= ROUNDING


@pytest.mark.parametrize("name", NETS)
def test_chunks_of_any_size(name: str) -> None:
    samples = 211 if NETS[name].graph.input[0].type.tensor_type.shape.dim[1].dim_value > 1 else 1003
    assert_equal(NETS[name], converted(name), samples, (1 if samples < 500 else 3, 160, 4096))


@pytest.mark.parametrize("name", nets.PUBLISHED)
def test_as_large_as_published(name: str) -> None:
    """Several times as many samples as a step sees, or some seconds of frames."""
    make, rate = nets.PUBLISHED[name]
    made = make()
    found = plan(made)
    hop, back = found.hop, found.back
    samples = 200 if rate < 1000 else min(int(min(back, 6000)) + 3000 + 20 * hop, 70_000)
    assert_equal(made, found.convert(), samples + 7, (1, 7, 160, 4096))


@pytest.mark.parametrize("name", NETS)
def test_steps_are_as_late_as_the_plan_says_and_no_later(name: str) -> None:
    found = planned(name)
    (output,) = converted(name).outputs
    (timing,) = found.outputs.values()
    # A step comes with a hop of samples; the first of its own is so many samples before.
    late = output.delay * timing.stride + found.hop
    assert timing.latency <= late - 1 + (timing.stride < 1) < timing.latency + found.hop + 1


@pytest.mark.parametrize("name", NETS)
def test_an_end_is_asked_for_only_where_something_is_padded_there(name: str) -> None:
    found = planned(name)
    length = converted(name).length
    # Frames of a causal encoder look ahead, but see no padding.
    needs_none = found.is_causal or name == "speech encoder, causal"
    assert (length is None) is needs_none


def test_models_of_files() -> None:
    for name, outputs in (("wavenet", None), ("tcn", ["features"])):
        file = MODELS / f"{name}.onnx"
        found = plan(file, outputs=outputs).convert()
        made = with_open_axes(onnx.load(file), 2)
        x = signal(made, 4200)
        whole = opened(made).run(outputs, {"x": x})[0]
        assert difference(streamed(found, x, 160), whole) <= ROUNDING
        assert found.length is None
        assert found.outputs[0].delay == 0


# ---------------------------------------------------------------- random nets


def is_equal(seed: int) -> bool:
    """Whether a random net was converted; that it gives the same is asserted."""
    rng = np.random.default_rng(seed)
    made, layers = nets.random_net(seed)
    try:
        found = plan(made)
    except rfgraph.ShapeError:
        return False
    samples = found.moving.at.widest // 3 + int(rng.integers(1, 80))
    x = signal(made, samples, batch=2, seed=seed)
    try:
        whole = opened(made).run(None, {"x": x})[0]
    except Exception:
        # So few samples are too little for a window.
        return False
    most = (3, 20, 200)[seed % 3]
    sizes = rng.integers(0, most + 1, 4 * samples).tolist()
    assert difference(streamed(found.convert(), x, sizes), whole) <= NORMALISED, layers
    if found.context is not None:
        kept = found.run(opened(made), x, sizes)
        assert difference(kept, whole) <= NORMALISED, layers
    return True


@pytest.mark.parametrize("part", range(4))
def test_random_nets(part: int) -> None:
    assert sum(map(is_equal, range(6 * part, 6 * part + 6))) >= 4


@pytest.mark.parametrize("part", range(10))
def test_many_random_nets(part: int) -> None:
    seeds = range(10_000 + 50 * part, 10_000 + 50 * part + share(50))
    assert sum(map(is_equal, seeds)) >= int(0.9 * len(seeds))


# ---------------------------------------------------------------- the file


def by_hand(made: onnx.ModelProto, x: np.ndarray, chunk: int) -> dict[str, np.ndarray]:
    """A loop that knows nothing but what the file says."""
    (told,) = (json.loads(p.value) for p in made.metadata_props if p.key == "rfgraph.streaming")
    session = opened(made)
    declared = {each.name: each for each in session.get_inputs()}
    states = {}
    for state in told["states"]:
        shape = [n if isinstance(n, int) else len(x) for n in state["shape"]]
        assert len(shape) == len(declared[state["input"]].shape)
        states[state["input"]] = np.full(shape, float(state["initial"]), state["dtype"])
    hop, samples = told["hop"], x.shape[2]
    assert chunk % hop == 0
    came: dict[str, list[np.ndarray]] = {each["output"]: [] for each in told["outputs"]}
    wanted = {}
    for each in told["outputs"]:
        steps = samples
        for times, plus, by in each["length"]:
            steps = (steps * times + plus) // by
        wanted[each["output"]] = steps
    for begin in range(0, 1 << 30, chunk):
        part = x[..., begin : begin + chunk]
        part = np.pad(part, [(0, 0), (0, 0), (0, chunk - part.shape[2])])
        feeds = {told["streams"][0]["input"]: part, **states}
        if told["length"] is not None:
            is_over = begin + chunk > samples
            feeds[told["length"]] = np.array(samples if is_over else UNKNOWN_LENGTH)
        names = [*came, *(state["output"] for state in told["states"])]
        found = dict(zip(names, session.run(names, feeds), strict=True))
        states = {state["input"]: found[state["output"]] for state in told["states"]}
        for name, parts in came.items():
            parts.append(found[name])
        late = {each["output"]: each["delay"] for each in told["outputs"]}
        if all(sum(p.shape[2] for p in came[n]) - late[n] >= wanted[n] for n in came):
            break
    return {
        name: np.concatenate(parts, 2)[..., late[name] : late[name] + wanted[name]]
        for name, parts in came.items()
    }


@pytest.mark.parametrize("name", ["wavenet", "conv_tasnet", "encoder, not causal", "decoder"])
def test_the_file_says_how_it_is_run(name: str, tmp_path: Path) -> None:
    made, found = NETS[name], converted(name)
    onnx.save(found.model, tmp_path / "s.onnx")
    read = load(tmp_path / "s.onnx")
    assert read.described == found.described
    x = signal(made, 1234, batch=2)
    whole = opened(made).run(None, {"x": x})[0]
    (by_loop,) = by_hand(read.model, x, 4 * found.hop).values()
    assert difference(by_loop, whole) <= ROUNDING
    with pytest.raises(rfgraph.QueryError, match="no model that was converted"):
        load(made)


@pytest.mark.parametrize("name", ["tcn", "speech encoder"])
def test_it_is_a_model_as_any_other(name: str) -> None:
    found = converted(name)
    onnx.checker.check_model(found.model, full_check=True)
    shapes = {
        each.name: [
            dim.dim_value or (3 * found.hop if dim.dim_param == "chunk" else 1)
            for dim in each.type.tensor_type.shape.dim
        ]
        for each in found.model.graph.input
    }
    tested = rfgraph.validate(found.model, shapes=shapes, seconds=2)
    assert tested.ok
    assert tested.passes > 5


def test_what_is_masked_has_to_be() -> None:
    """Without the end being told, the last steps see more than padding; others don't."""
    made = NETS["speech encoder"]
    found = plan(made).convert()
    x = signal(made, 2000)
    whole = opened(made).run(None, {"x": x})[0]
    assert found.length is not None
    session = opened(found.model)

    class Endless:
        def run(self, names: list[str], feeds: dict[str, np.ndarray]) -> Any:
            return session.run(names, feeds | {found.length: np.array(UNKNOWN_LENGTH)})

        def get_inputs(self) -> Any:
            return session.get_inputs()

    endless = streamed(found, x, 160, Endless())
    wrong = np.flatnonzero((np.abs(endless - whole) > 1e-4).any(axis=(0, 1)))
    # Three layers of 5 frames, each of which sees 2 ahead.
    assert wrong.size
    assert whole.shape[2] - 6 <= wrong[0]


# ---------------------------------------------------------------- what layers need


def test_a_spectrogram() -> None:
    """Windows over frequency and time at once: time is the last axis of four."""
    net = Nodes()
    rng = np.random.default_rng(0)
    v = net.op("Conv", "x", rng.uniform(-1, 1, (3, 1, 3, 5)), pads=[1, 2, 1, 2], strides=[2, 1])
    v = net.op("MaxPool", v, kernel_shape=[2, 3], pads=[0, 1, 0, 1])
    v = net.op("Conv", v, rng.uniform(-1, 1, (2, 3, 3, 3)), pads=[0, 2, 0, 0], strides=[1, 2])
    made = net.written({"x": ("batch", 1, 16, "frames")}, v)  # type: ignore[arg-type]
    found = plan(made, axis="frames")
    assert (found.hop, found.ahead) == (2, 2)
    made_of = found.convert()
    x = rng.uniform(-1, 1, (2, 1, 16, 61)).astype(np.float32)
    whole = opened(made).run(None, {"x": x})[0]
    for chunk in (1, 5, 64):
        assert difference(streamed(made_of, x, chunk), whole) <= ROUNDING


@pytest.mark.parametrize("exclusive", [0, 1])
def test_running_totals_add_in_the_same_order(exclusive: int) -> None:
    """Behind a layer that looks ahead, so that the first steps of a stream are none."""
    net = SignalNet()
    made = net.model(net.op("CumSum", net.same("x", 5), np.array(-1), exclusive=exclusive))
    found = plan(made)
    assert (found.back, found.ahead) == (np.inf, 2 - exclusive)
    x = signal(made, 200, batch=2)
    whole = opened(made).run(None, {"x": x})[0]
    for chunk in (1, 7, 300):
        assert difference(streamed(found.convert(), x, chunk), whole) <= ROUNDING


def test_means_over_time_and_frequency() -> None:
    """The count differs at the ends of both, and what a Pad puts there counts."""
    net = Nodes()
    rng = np.random.default_rng(0)
    v = net.op("AveragePool", "x", kernel_shape=[3, 5], pads=[1, 3, 2, 4], strides=[2, 1])
    v = net.op("Pad", v, np.array([0, 0, 0, 2, 0, 0, 0, 1]), np.array(3.0))
    v = net.op("AveragePool", v, kernel_shape=[2, 3], pads=[0, 2, 1, 1], strides=[1, 2])
    with pytest.raises(StreamingError, match="states follow axis 'bands'") as raised:
        plan(net.written({"x": ("batch", 2, "bands", "frames")}, v), axis="frames").convert()  # type: ignore[arg-type]
    assert "this axis fixed" in str(raised.value.remedy)
    made = net.written({"x": ("batch", 2, 9, "frames")}, v)  # type: ignore[arg-type]
    found = plan(made, axis="frames").convert()
    for frames in (61, 4, 1):
        x = rng.uniform(1, 2, (2, 2, 9, frames)).astype(np.float32)
        whole = opened(made).run(None, {"x": x})[0]
        for chunk in (1, 5, 64):
            assert difference(streamed(found, x, chunk), whole) <= ROUNDING


def test_outputs_of_several_rates() -> None:
    """Frames, samples and a finer grid of one signal; what meets again is as late as the latest."""
    net = SignalNet()
    frames = net.conv(net.same("x", 5), 10, (3, 4), stride=5)
    smooth = net.op("AveragePool", frames, kernel_shape=[3], pads=[1, 1])
    fine = net.transposed(frames, 8, 4, (2, 2))
    back = net.crop(net.transposed(smooth, 9, 5, (2, 2)), 0, 0)
    both = net.op("Add", back, net.op("Resize", frames, "", np.array([1.0, 1.0, 5.0])))
    made = net.model(frames, smooth, fine, both)
    found = plan(made)
    assert [str(each.stride) for each in found.outputs.values()] == ["5", "5", "5/4", "1"]
    x = signal(made, 205, batch=2)
    whole = opened(made).run(None, {"x": x})
    converted = found.convert()
    for chunk in (1, 7, 160, 4096):
        parts = through(converted.open(), converted.streams, {"x": x}, chunk)
        for name, wanted in zip(found.outputs, whole, strict=True):
            assert difference(parts[name], wanted) <= ROUNDING


def test_states_that_the_model_takes() -> None:
    """They begin as the user gives them, behind a window that looks ahead too."""
    rng = np.random.default_rng(0)
    constants = {
        "K": rng.uniform(-1, 1, (2, 2, 3)).astype(np.float32),
        "W": rng.uniform(-1, 1, (1, 8, 2)).astype(np.float32),
        "R": rng.uniform(-1, 1, (1, 8, 2)).astype(np.float32),
        "one": np.array([1]),
    }
    made = model(
        "f = Conv <pads = [1, 1]> (x, K) x1 = Transpose <perm = [2, 0, 1]> (f) "
        "y1, hn, cn = LSTM <hidden_size = 2> (x1, W, R, , , h, c) s = Squeeze (y1, one) "
        "y = Transpose <perm = [1, 2, 0]> (s)",
        "float[batch,2,time] x, float[1,batch,2] h, float[1,batch,2] c",
        "y hn cn",
        initializers=constants,
    )
    found = plan(made).convert()
    assert {("h", "hn"), ("c", "cn")} < {(s.input, s.output) for s in found.states}
    x = rng.uniform(-1, 1, (2, 2, 50)).astype(np.float32)
    first = {n: rng.uniform(-1, 1, (1, 2, 2)).astype(np.float32) for n in "hc"}
    whole = opened(made).run(["y"], {"x": x, **first})[0]
    for chunk in (1, 3, 64):
        made_by = through(found.open(whole=first), found.streams, {"x": x}, chunk)
        assert difference(made_by, whole) <= ROUNDING


def test_rows_that_are_made_of_several() -> None:
    """Two sources of each row, side by side in the batch."""
    net = SignalNet(channels=4)
    v = net.op("Reshape", net.same("x", 3), np.array([0, 2, 2, -1]))
    v = net.op("Reshape", v, np.array([-1, 2, 0, 0]), allowzero=0)
    shape = net.op("Concat", np.array([-1, 2]), net.op("Shape", "x", start=2), axis=0)
    v = net.op("Reshape", v, shape)
    net.channels = 2
    v = net.causal(v, 3)
    net.channels = 4
    made = net.model(v)
    found = plan(made).convert()
    assert "2*batch" in {size for state in found.states for size in state.shape}
    x = signal(made, 77, batch=3)
    whole = opened(made).run(None, {"x": x})[0]
    assert difference(streamed(found, x, 5), whole) <= ROUNDING


def test_channels_beside_padding() -> None:
    """Constants that are put beside what is padded are no padding."""
    net = SignalNet()
    late = net.same("x", 3)
    v = net.op("Pad", net.pad(late, 2, 1), np.array([0, 0, 0, 0, 1, 0]), np.array(2.0))
    made = net.model(net.conv(v, 3, inp=3))
    x = signal(made, 50)
    whole = opened(made).run(None, {"x": x})[0]
    assert difference(streamed(plan(made).convert(), x, 7), whole) <= ROUNDING


def test_several_streams_and_outputs() -> None:
    rng = np.random.default_rng(0)
    kernel = rng.uniform(-1, 1, (2, 2, 5)).astype(np.float32)
    made = model(
        "a = Conv <pads = [2, 2]> (x, W) b = Add (a, z) c = Mul (b, gain) "
        "y = MaxPool <kernel_shape = [2], strides = [2]> (c) d = Conv <pads = [4, 0]> (b, W)",
        "float[1,2,time] x, float[1,2,time] z, float[1,2,1] gain",
        "y d z2",
        initializers={"W": kernel},
    )
    made.graph.node.append(onnx.helper.make_node("Identity", ["z"], ["z2"]))
    found = plan(made)
    assert found.whole == ("gain",)
    made_of = found.convert()
    assert [(o.output, o.delay) for o in made_of.outputs] == [("y", 1), ("d", 2), ("z2", 0)]
    given = {n: rng.uniform(-1, 1, (1, 2, 77)).astype(np.float32) for n in "xz"}
    given["gain"] = np.array([[[2.0], [3.0]]], np.float32)
    whole = opened(made).run(None, given)
    for chunk in (1, 10, 100):
        stream = made_of.open(whole=given)
        parts = through(stream, made_of.streams, given, chunk)
        kept = found.run(opened(made), given, chunk)
        for output, wanted in zip(("y", "d", "z2"), whole, strict=True):
            assert difference(parts[output], wanted) <= ROUNDING
            assert difference(kept[output], wanted) <= ROUNDING


# ---------------------------------------------------------------- what can't be

SIGNAL = "float[1,2,time] x"
REFUSED: dict[str, tuple[str, str, str, str]] = {
    "padding by the size": (
        'y = Conv <strides = [2], auto_pad = "SAME_UPPER"> (x, W)',
        "Conv",
        "its padding depends on the size",
        "explicit pads",
    ),
    "windows beyond the end": (
        "y = MaxPool <kernel_shape = [3], strides = [2], ceil_mode = 1> (x)",
        "MaxPool",
        "in no even way",
        "ceil_mode",
    ),
    "reflection": (
        'p = Pad <mode = "reflect"> (x, two) y = Conv (p, W)',
        "Pad",
        "at the ends is not what it reads elsewhere",
        "pad with a constant",
    ),
    "interpolation": (
        'y = Resize <mode = "linear"> (x, , scales)',
        "Resize",
        "it has windows along time",
        "run it with kept context",
    ),
}
NUMBERS = {
    "W": np.ones((2, 2, 3), np.float32),
    "two": np.array([0, 0, 2, 0, 0, 2]),
    "scales": np.array([1, 1, 2], np.float32),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_converted(name: str) -> None:
    body, node, reason, remedy = REFUSED[name]
    made = model(body, SIGNAL, initializers=NUMBERS)
    with pytest.raises(StreamingError) as raised:
        plan(made, axis=2).convert()
    assert str(raised.value.node).startswith(node)
    assert reason in raised.value.reason
    assert remedy in str(raised.value.remedy)


def test_running_products_are_not_converted() -> None:
    made = model("y = CumProd (x, axis)", SIGNAL, opset=26, initializers={"axis": np.array(2)})
    with pytest.raises(StreamingError, match="everything before a step") as raised:
        plan(made, axis=2).convert()
    assert "recurrent" in str(raised.value.remedy)


def test_old_operator_sets_are_not_converted() -> None:
    made = model("y = Conv (x, W)", SIGNAL, opset=12, initializers=NUMBERS)
    with pytest.raises(StreamingError, match="version_converter"):
        plan(made).convert()


def test_a_size_that_is_computed_of_the_stream() -> None:
    """Of a chunk it would be another one."""
    net = SignalNet()
    v = net.conv("x", 3)
    size = net.op("Sub", net.op("Shape", "x", start=2), np.array([2]))
    shape = net.op("Concat", np.array([-1, 2]), size, axis=0)
    made = net.model(net.op("Reshape", v, shape))
    with pytest.raises(StreamingError, match="compute no sizes from the length of the stream"):
        plan(made).convert()


def test_onnxruntime_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    found = plan(NETS["tcn"]).convert()

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("no such thing")

    monkeypatch.setattr(onnxruntime, "InferenceSession", fails)
    with pytest.raises(rfgraph.RFGraphError, match="onnxruntime can't open the model: no such"):
        found.open()


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
def test_outputs_that_end_early(kernel: int) -> None:
    """What is computed of a chunk may be behind the end, if none follows."""
    net = SignalNet()
    made = net.model(net.transposed("x", kernel, 3, (0, min(kernel, 2))))
    x = signal(made, 20)
    whole = opened(made).run(None, {"x": x})[0]
    found = plan(made).convert()
    for chunk in (1, 3, 64):
        assert difference(streamed(found, x, chunk), whole) <= ROUNDING


def test_pools_of_whole_numbers() -> None:
    """Nothing is as low as infinity: they pad with the least number."""
    made = model(
        "s = Mul (x, hundred) q = Cast <to = 3> (s) "
        "y = MaxPool <kernel_shape = [3], pads = [1, 1]> (q)",
        SIGNAL,
        initializers={"hundred": np.float32(100)},
    )
    x = -np.abs(signal(made, 40))
    whole = opened(made).run(None, {"x": x})[0]
    assert (streamed(plan(made).convert(), x, 7) == whole).all()
