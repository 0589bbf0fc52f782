"""Every check: a model that trips it, one that just does not, and the text of the finding."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import rfgraph
from rfgraph.checks import baseline as baselines
from tests.graphs import model

MODELS = Path(__file__).parents[2] / "models"
SIGNAL = "float[1,1,32] x"


def found(code: str, made: onnx.ModelProto | Path, **settings: Any) -> list[str]:
    """The messages of one check."""
    report = rfgraph.check(made, select=[code], **settings)
    assert not report.errors, report.errors[0].error
    assert all(finding.code == code for finding in report.findings)
    return [finding.message for finding in report.findings]


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def conv(
    kernel: int = 3,
    pads: tuple[int, int] = (1, 1),
    *,
    stride: int = 1,
    dilation: int = 1,
    times: int = 1,
    inputs: str = SIGNAL,
) -> onnx.ModelProto:
    """Equal convolutions of a signal, one after the other."""
    attributes = f"pads=[{pads[0]},{pads[1]}], strides=[{stride}], dilations=[{dilation}]"
    names = ["x", *(f"a{k}" for k in range(1, times)), "y"]
    body = " ".join(f"{b} = Conv<{attributes}>({a}, w)" for a, b in pairwise(names))
    return model(body, inputs, initializers={"w": ones(1, 1, kernel)})


# ---------------------------------------------------------------- coverage


def test_at_least() -> None:
    made = conv(times=3)
    assert found("RF101", made, at_least=7) == []
    assert found("RF101", made, at_least=8) == [
        "output 'y' sees 7 elements along axis 2 of input 'x', and has to see at least 8"
    ]
    assert found("RF101", made, at_least=9, tolerance=2) == []
    assert len(found("RF101", made, at_least=9, tolerance=1)) == 1
    assert found("RF101", made) == []


def test_at_least_holds_beyond_the_borders() -> None:
    made = conv(9, (4, 4), inputs="float[1,1,5] x")
    assert found("RF101", made, at_least=9) == []
    assert len(found("RF101", made, at_least=10)) == 1


def test_covers() -> None:
    made = conv(times=3, inputs="float[1,1,14] x")
    assert found("RF101", made, covers=0.5) == []
    assert found("RF101", made, covers=0.51) == [
        "output 'y' sees 7 of the 14 elements along axis 2 of input 'x' (50.0%), and has to see "
        "51.0%"
    ]
    assert found("RF101", made, covers={"0": 1.0, "2": 0.5}) == []
    pooled = model("y = GlobalAveragePool(x)")
    assert found("RF101", pooled, covers=1.0, at_least=1000) == []


def test_what_sees_nothing_covers_nothing() -> None:
    two = model("y = Relu(x) z = Relu(w)", "float[1,1,8] x, float[1,1,8] w", "y z")
    assert found("RF101", two, at_least=1) == []
    made = model("y = Identity(w)", SIGNAL, initializers={"w": ones(3)})
    for limit in ({"covers": 0.01}, {"at_least": 1}):
        assert found("RF101", made, **limit) == ["output 'y' depends on no input"]
    assert found("RF101", made) == []


def test_at_most() -> None:
    made = conv(times=3)
    assert found("RF102", made, at_most=7) == []
    assert found("RF102", made, at_most=6) == [
        "output 'y' sees 7 elements along axis 2 of input 'x', and may see at most 6"
    ]
    assert found("RF102", made, at_most=6, tolerance=1) == []
    assert found("RF102", model("y = GlobalAveragePool(x)"), at_most={"2": 100}) == [
        "output 'y' sees everything along axis 2 of input 'x', and may see at most 100"
    ]


def test_halo() -> None:
    made = conv(5, (2, 2))
    assert found("RF102", made, halo=2) == []
    assert found("RF102", made, halo=1) == [
        "output 'y' reaches 2 elements beyond its own along axis 2 of input 'x', and 1 is allowed"
    ]
    # The side that reaches further counts, and a stride's own elements are no halo.
    assert found("RF102", conv(5, (4, 0)), halo=4) == []
    assert len(found("RF102", conv(5, (4, 0)), halo=3)) == 1
    assert found("RF102", conv(4, (1, 1), stride=2), halo=1) == []
    assert found("RF102", conv(2, (0, 0), stride=2), halo=0) == []


def test_local_leaves_gates_out() -> None:
    made = model(
        "a = Conv<pads=[1,1,1,1]>(x, w) g = GlobalAveragePool(a) y = Mul(a, g)",
        initializers={"w": ones(1, 1, 3, 3)},
    )
    assert len(found("RF102", made, at_most=3)) == 2
    assert found("RF102", made, at_most=3, local=True) == []


def test_unread() -> None:
    made = conv(3, (0, 0), stride=2, inputs="float[1,1,8] x")
    assert found("RF103", made) == [
        "1 of the 8 elements of input 'x' are read by no output: those at 7 along axis 2"
    ]
    assert found("RF103", made, unread=0.125) == []
    assert len(found("RF103", made, unread=0.124)) == 1
    assert found("RF103", conv(3, (0, 0), stride=2, inputs="float[1,1,9] x")) == []
    skipping = conv(1, (0, 0), stride=3, inputs="float[1,1,13] x")
    assert found("RF103", skipping) == [
        "8 of the 13 elements of input 'x' are read by no output: those at 1-2, 4-5, 7-8 and "
        "10-11 along axis 2"
    ]


def test_an_input_that_nothing_reads() -> None:
    made = model("y = Relu(x)", "float[1,8] x, float[2,8] z")
    assert found("RF103", made) == ["no output depends on the elements of input 'z'"]
    shape = model("s = Shape(z) y = Expand(x, s)", "float[1,8] x, float[2,8] z")
    report = rfgraph.check(shape, select=["RF103"])
    assert [(f.input, "only its shape" in f.remedy) for f in report.findings] == [("z", True)]


def test_unproductive() -> None:
    # 3, 5, 7 and 9 of 9 elements: only the fifth has an input of which a unit sees everything.
    made = conv(times=4, inputs="float[1,1,9] x")
    assert found("RF104", made) == []
    made = conv(times=5, inputs="float[1,1,9] x")
    assert found("RF104", made) == [
        "Conv 'Conv_4' adds no context: its input 'a4' already sees all of axis 2 of input 'x' (9)"
    ]
    # At the borders the ninth convolution is the first that adds nothing to any unit.
    assert found("RF104", made, saturated="every") == []
    assert found("RF104", conv(times=8, inputs="float[1,1,9] x"), saturated="every") == []
    made = conv(times=9, inputs="float[1,1,9] x")
    assert len(found("RF104", made, saturated="every")) == 1
    # A kernel of 1 asks for no context, and a statistic is no layer.
    made = model(
        "a = Conv<pads=[8,8]>(x, w) b = Conv(a, v) c = GlobalAveragePool(b) y = Mul(b, c)",
        "float[1,1,9] x",
        initializers={"w": ones(1, 1, 17), "v": ones(1, 1, 1)},
    )
    assert found("RF104", made) == []


def test_what_adds_context_elsewhere_is_productive() -> None:
    made = model(
        "a = Conv<pads=[1,0,1,0]>(x, w) y = Conv<pads=[1,1,1,1]>(a, v)",
        "float[1,1,3,8] x",
        initializers={"w": ones(1, 1, 3, 1), "v": ones(1, 1, 3, 3)},
    )
    assert found("RF104", made) == []


# ---------------------------------------------------------------- isolation

BATCH = "float[N,1,4,4] x"


def normalised(training: int) -> onnx.ModelProto:
    outputs = "y, m, v" if training else "y"
    return model(
        f"{outputs} = BatchNormalization<training_mode={training}>(x, s, s, s, s)",
        BATCH,
        initializers={"s": ones(1)},
    )


def test_batch_normalisation_in_training_mode() -> None:
    assert found("RF201", normalised(0)) == []
    assert found("RF201", normalised(1)) == [
        "output 'y' at 0,0,0,0 sees samples 0 to 1 of input 'x', first at BatchNormalization "
        "'BatchNormalization_0'"
    ]


ATTENTION = (
    "t = Transpose<perm=[0,2,1]>({0}) s = MatMul({0}, t) p = Softmax(s) {1} = MatMul(p, {0})"
)


def tokens(shape: str, back: str) -> onnx.ModelProto:
    """Attention over tokens that a reshape has made, and the reshape back."""
    return model(
        f"i = Constant<value_ints=[{shape}]>() r = Reshape(x, i) {ATTENTION.format('r', 'o')} "
        f"j = Constant<value_ints=[{back}]>() y = Reshape(o, j)",
        "float[N,4,3] x",
    )


def test_a_reshape_that_folds_the_batch_into_tokens() -> None:
    assert found("RF201", tokens("0,-1,3", "-1,4,3")) == []
    assert found("RF201", tokens("1,-1,3", "-1,4,3")) == [
        "output 'y' at 0,0,0 sees samples 0 to 1 of input 'x', first at MatMul 'MatMul_3'"
    ]


def test_a_reshape_in_place_of_a_transposition() -> None:
    right = model("a = Transpose<perm=[1,0,2]>(x) y = Transpose<perm=[1,0,2]>(a)", "float[N,4,3] x")
    assert found("RF201", right) == []
    wrong = model(
        "i = Constant<value_ints=[4,-1,3]>() a = Reshape(x, i) y = Transpose<perm=[1,0,2]>(a)",
        "float[N,4,3] x",
    )
    assert (
        found("RF201", wrong)
        == ["output 'y' at 0,1,0 sees sample 1 of input 'x' in place of its own"]
        or "in place of its own" in found("RF201", wrong)[0]
    )


def test_a_batch_of_one_is_built_in() -> None:
    made = model(
        "i = Constant<value_ints=[1,12]>() a = Reshape(x, i) y = Relu(a)", "float[N,4,3] x"
    )
    (message,) = found("RF201", made)
    assert message.startswith(
        "the batch axis of input 'x' is open, and the model fits no batch of 2: "
    )


def test_a_batch_of_which_one_sample_is_given() -> None:
    assert len(found("RF201", normalised(1), shapes={"x": [1, 1, 4, 4]})) == 1
    assert len(found("RF201", normalised(1), shapes={"x": [6, 1, 4, 4]})) == 1
    assert found("RF201", normalised(0), shapes={"x": [1, 1, 4, 4]}) == []


def test_a_fixed_batch_that_a_reshape_folds() -> None:
    """Row c of the output has channels of several samples: 4 x 3 x 2 x 2 elements, 16 a row."""
    weights = {"w": ones(3, 1, 3, 3), "s": np.array([1, 3, -1])}
    folded = "a = Conv(x, w) y = Reshape(a, s)"
    for inputs in ("float[4,1,4,4] x", "float[N,1,4,4] x"):
        (message,) = found("RF201", model(folded, inputs, initializers=weights))
        assert "none of its axes goes through them in turn, first at Reshape" in message
        # Nor is it a hole, whatever follows.
        more = model(
            folded.replace("y =", "b =") + " y = Conv(b, v)",
            inputs,
            initializers=weights | {"v": ones(1, 3, 3)},
        )
        assert found("RF302", more) == []
        (message,) = found("RF201", more)
        assert message.startswith("output 'y' at 0,0,")
    pointwise = {"w": ones(3, 1, 1, 1), "s": np.array([1, 3, -1])}
    assert len(found("RF201", model(folded, "float[4,1,4,4] x", initializers=pointwise))) == 1
    # One after the other they stay what they are, as the rows of tokens.
    weights["s"] = np.array([-1, 4])
    assert found("RF201", model(folded, "float[4,1,4,4] x", initializers=weights)) == []
    # The last axis of the output has the samples.
    turned = "a = Conv(x, w) y = Transpose<perm=[1,2,3,0]>(a)"
    assert found("RF201", model(turned, "float[4,1,4,4] x", initializers=weights)) == []
    # No window takes the first axis of these for a batch: a picture, tokens, time.
    picture = model(
        "b = Unsqueeze(x, z) y = Conv(b, w)",
        "float[3,8,8] x",
        initializers={"w": ones(1, 3, 3, 3), "z": np.array([0])},
    )
    assert found("RF201", picture) == []
    attention = "t = Transpose(x) s = MatMul(x, t) p = Softmax(s) y = MatMul(p, x)"
    assert (
        found("RF201", model(attention + " z = ReduceMean<axes=[0]>(y)", "float[6,4] x", "z")) == []
    )


def test_inputs_without_a_batch() -> None:
    scaled = model("y = Mul(x, t)", "float[4,3] x, float[1] t")
    assert found("RF201", scaled) == []
    mixed = model("s = Softmax<axis=0>(x) y = Mul(s, t)", "float[4,3] x, float[1] t")
    assert len(found("RF201", mixed)) == 1
    embedded = model(
        "p = Gather(e, i) t = Gather(e, ids) y = Add(t, p)",
        "int64[B,L] ids, int64[L] i",
        initializers={"e": ones(9, 4)},
    )
    assert found("RF201", embedded) == []
    masked = model("y = Add(x, m)", "float[B,L,L] x, float[L,L] m")
    assert found("RF201", masked) == []


def test_the_batch_axis() -> None:
    made = model("y = Softmax<axis=0>(x)", "float[5,4] x")
    assert len(found("RF201", made)) == 1
    assert found("RF201", made, batch_axis=1) == []
    assert found("RF201", made, batch_axis=False) == []
    # Channels that come first are no batch, unless it is said; they don't go through to the output.
    unbatched = model(
        "y = MatMul(w, x)", "float[3,8] x", initializers={"w": np.ones((5, 3), np.float32)}
    )
    assert found("RF201", unbatched) == []
    assert len(found("RF201", unbatched, batch_axis=0)) == 1
    # Neither is one of which it is not known whether it goes through.
    unknown = model("y = Compress<axis=0>(x, k)", "float[3,8] x, bool[3] k")
    assert found("RF201", unknown) == []
    # Of one sample nothing can be said.
    assert found("RF201", model("y = Softmax<axis=0>(x)", "float[1,4] x")) == []


def test_causal() -> None:
    assert found("RF202", conv(3, (2, 0), times=2), causal=2) == []
    assert found("RF202", conv(3, (1, 1), times=2), causal=2) == [
        "output 'y' sees 2 steps ahead along axis 2 of input 'x': at step 0 it sees step 2"
    ]
    assert found("RF202", conv(3, (1, 1), times=2), causal=2, look_ahead=2) == []
    assert found("RF202", conv(3, (1, 1), times=2), causal=2, look_ahead=1) == [
        "output 'y' sees 2 steps ahead along axis 2 of input 'x', and 1 is allowed: at step 0 it "
        "sees step 2"
    ]
    assert found("RF202", conv(3, (1, 1), times=2)) == []
    assert len(found("RF202", conv(3, (1, 1), times=2), causal=True)) == 1
    assert found("RF202", conv(3, (1, 1), times=2), causal=False) == []


def test_causal_with_strides() -> None:
    """Unit o has the steps 2 * o and 2 * o + 1, whatever the length."""
    for length in (15, 16, 17, 31):
        signal = f"float[1,1,{length}] x"
        assert found("RF202", conv(3, (1, 1), stride=2, inputs=signal), causal=2) == []
        assert found("RF202", conv(5, (3, 1), stride=2, inputs=signal), causal=2) == []
        assert found("RF202", conv(5, (2, 2), stride=2, inputs=signal), causal=2) == [
            "output 'y' sees 1 step ahead along axis 2 of input 'x': at step 1 it sees step 2"
        ]


def test_causal_without_padding() -> None:
    """The first unit sees steps 0 to 4: which of them is its own is to be said."""
    made = conv(5, (0, 0))
    assert found("RF202", made, causal=2) == [
        "output 'y' sees 4 steps ahead along axis 2 of input 'x': at step 0 it sees step 4"
    ]
    assert found("RF202", made, causal=2, aligned=4) == []
    assert found("RF202", made, causal=2, aligned=3) == [
        "output 'y' sees 1 step ahead along axis 2 of input 'x': at step 3 it sees step 4"
    ]
    assert found("RF202", made, causal=2, aligned="end") == []
    # Of ends that are aligned the length decides what a stride leaves over.
    for length, ahead in ((16, 0), (17, 1)):
        made = conv(5, (3, 1), stride=2, inputs=f"float[1,1,{length}] x")
        assert len(found("RF202", made, causal=2, aligned="end")) == ahead


def test_a_causal_axis_of_any_length() -> None:
    """What gets longer with the input are its steps, and not what has an assumed length."""
    for pads, ahead in (((3, 1), 0), ((2, 2), 1)):
        made = conv(5, pads, stride=2, inputs="float[1,1,T] x")
        assert len(found("RF202", made, causal=2)) == ahead
    (failed,) = rfgraph.check(made, causal=2, aligned="end").errors
    assert "has no end, as its length is open" in failed.error
    # The last state has 64 channels, and 64 is what the axis is taken to be long.
    gru = model(
        "a, y = GRU<hidden_size=64>(x, w, r)",
        "float[T,1,3] x",
        initializers={"w": ones(1, 192, 3), "r": ones(1, 192, 64)},
    )
    assert found("RF202", gru, causal=0) == []
    whole = model("s = ReduceSum<keepdims=1>(x, two) y = Sub(x, s)", "float[1,1,T] x")
    whole.graph.initializer.append(onnx.numpy_helper.from_array(np.array([2]), "two"))
    assert len(found("RF202", whole, causal=2)) == 1


def test_causal_outputs_that_are_longer_than_the_input() -> None:
    assert found("RF202", conv(5, (4, 4)), causal=2) == []
    (message,) = found("RF202", conv(5, (3, 4)), causal=2)
    assert message.startswith("output 'y' sees 1 step ahead")
    for pads, ahead in (((0, 0), 0), ((2, 0), 1), ((0, 2), 0)):
        upsampled = model(
            f"y = ConvTranspose<strides=[2], pads=[{pads[0]},{pads[1]}]>(x, w)",
            SIGNAL,
            initializers={"w": ones(1, 1, 4)},
        )
        assert len(found("RF202", upsampled, causal=2)) == ahead


def test_the_look_ahead_is_that_of_the_closed_form() -> None:
    """Longer than the signal, so that its end hides how far it is."""
    (message,) = found("RF202", conv(81, (40, 40)), causal=2)
    assert message == "output 'y' sees 40 steps ahead along axis 2 of input 'x'"


def test_a_causal_output_without_steps() -> None:
    lstm = model(
        "a, h, c = LSTM<hidden_size=2>(x, w, r) y = Identity(h)",
        "float[9,2,3] x",
        initializers={"w": ones(1, 8, 3), "r": ones(1, 8, 2)},
    )
    assert found("RF202", lstm, causal=0) == []


def test_a_causal_output_of_unknown_shape_is_an_error() -> None:
    made = model("y = Compress<axis=2>(x, k)", "float[1,4,16] x, bool[16] k")
    (failed,) = rfgraph.check(made, causal={"input": "x", "axis": 2}).errors
    assert failed.error.startswith("RF202: a size of output 'y' is not known")


def test_a_mask_that_got_lost() -> None:
    scores = "t = Transpose<perm=[0,2,1]>(x) s = MatMul(x, t)"
    mask = np.triu(np.full((6, 6), -np.inf, np.float32), 1)
    masked = model(
        f"{scores} m = Add(s, mask) p = Softmax(m) y = MatMul(p, x)",
        "float[1,6,4] x",
        initializers={"mask": mask},
    )
    assert found("RF202", masked, causal=1) == []
    lost = model(f"{scores} p = Softmax(s) y = MatMul(p, x)", "float[1,6,4] x")
    assert found("RF202", lost, causal=1) == [
        "output 'y' sees 5 steps ahead along axis 1 of input 'x': at step 0 it sees step 5"
    ]
    shifted = model(
        f"{scores} m = Add(s, mask) p = Softmax(m) y = MatMul(p, x)",
        "float[1,6,4] x",
        initializers={"mask": np.triu(np.full((6, 6), -np.inf, np.float32), 2)},
    )
    assert found("RF202", shifted, causal=1, look_ahead=1) == []
    assert found("RF202", shifted, causal=1) == [
        "output 'y' sees 1 step ahead along axis 1 of input 'x': at step 0 it sees step 1"
    ]


def test_a_convolution_by_fft() -> None:
    """Causal by its values only; onnxruntime shows that what is later moves it by rounding."""
    ort = pytest.importorskip("onnxruntime")
    steps = 16
    rng = np.random.default_rng(0)
    kernel = np.fft.fft(np.pad(rng.uniform(0.5, 1, steps), (0, steps))).reshape(1, -1, 1)
    made = model(
        """
        p = Pad(x, pads) X = DFT<axis=1>(p) re, im = Split<axis=2>(X, each)
        a = Mul(re, kr) b = Mul(im, ki) c = Mul(re, ki) d = Mul(im, kr)
        f = Sub(a, b) g = Add(c, d) Y = Concat<axis=2>(f, g)
        t = DFT<axis=1, inverse=1>(Y) y = Slice(t, begin, end, axes)
        """,
        f"float[1,{steps},1] x",
        initializers={
            "pads": np.array([0, 0, 0, 0, steps, 0]),
            "each": np.array([1, 1]),
            "kr": kernel.real.astype(np.float32),
            "ki": kernel.imag.astype(np.float32),
            "begin": np.array([0, 0]),
            "end": np.array([steps, 1]),
            "axes": np.array([1, 2]),
        },
    )
    report = rfgraph.check(made, select=["RF202"], causal=1)
    (one,) = report.findings
    assert one.message == (
        "output 'y' sees 15 steps ahead along axis 1 of input 'x': at step 0 it sees step 15, by "
        "structure"
    )
    assert "see whether the output changes by more than" in one.remedy
    session = ort.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    x = rng.uniform(1, 2, (1, steps, 1)).astype(np.float32)
    later = x.copy()
    later[0, -1] += 1
    moved = np.abs(session.run(None, {"x": later})[0] - session.run(None, {"x": x})[0])[0, :, 0]
    assert moved[:-1].max() < 1e-4 < 0.1 < moved[-1]


@pytest.mark.parametrize("name", ["tcn", "wavenet", "wavenet.dynamo"])
def test_causal_exports(name: str) -> None:
    assert found("RF202", MODELS / f"{name}.onnx", causal=2) == []


def test_the_first_node_that_sees_ahead_is_named() -> None:
    report = rfgraph.check(conv(3, (1, 1), times=3), select=["RF202"], causal=2, look_ahead=1)
    assert [finding.node for finding in report.findings] == ["Conv_1"]


def test_independent_inputs() -> None:
    pair = "float[1,8] a, float[1,8] b"
    made = model("y = Relu(a) z = Relu(b)", pair, "y z")
    assert found("RF203", made, independent_inputs=["a", "b"]) == []
    made = model("s = Add(a, b) y = Relu(s) z = Relu(b)", pair, "y z")
    assert found("RF203", made, independent_inputs=[["a", "b"]]) == [
        "output 'y' sees inputs 'a' and 'b', first at Add 'Add_0'"
    ]
    assert found("RF203", made) == []


def test_independent_groups() -> None:
    def grouped(group: int) -> onnx.ModelProto:
        return model(
            f"a = Relu(x) y = Conv<group={group}>(a, w)",
            "float[1,4,8] x",
            initializers={"w": ones(4, 4 // group, 1)},
        )

    halves = [{"input": "x", "axis": 1, "sizes": [2, 2]}]
    assert found("RF203", grouped(2), independent_groups=halves) == []
    assert found("RF203", grouped(1), independent_groups=halves) == [
        "output 'y' at 0,0,0 sees groups 0 and 1 along axis 1 of input 'x', first at Conv 'Conv_1'"
    ]
    report = rfgraph.check(
        grouped(1), select=["RF203"], independent_groups=[{"axis": 1, "sizes": [2, 3]}]
    )
    assert "has 4 coordinates, and the groups have 5" in report.models[0].error


# ---------------------------------------------------------------- shape


def merged(before: int, kernel: int = 5) -> onnx.ModelProto:
    """A signal and what a convolution makes of it."""
    return model(
        f"a = Conv<pads=[{before},{kernel - 1 - before}]>(x, w) y = Add(a, x)",
        SIGNAL,
        initializers={"w": ones(1, 1, kernel)},
    )


def test_branches_with_different_centres() -> None:
    assert found("RF301", merged(2)) == []
    assert found("RF301", merged(3)) == [
        "Add 'Add_1' joins branches of input 'x' whose centres lie 1 apart along axis 2"
    ]
    assert found("RF301", merged(3), misalignment=1) == []
    assert len(found("RF301", merged(3), misalignment=0.99)) == 1
    assert found("RF301", merged(4), causal=2) == []
    # Half of a stride is usual: an even kernel.
    assert found("RF301", merged(1, 4)) == []
    assert len(found("RF301", merged(1, 4), misalignment=0.4)) == 1


def test_branches_with_different_strides() -> None:
    made = model(
        "a = Conv<pads=[1,1], strides=[2]>(x, w) b = Slice(x, zero, sixteen, two) y = Add(a, b)",
        SIGNAL,
        initializers={
            "w": ones(1, 1, 3),
            "zero": np.array([0]),
            "sixteen": np.array([16]),
            "two": np.array([2]),
        },
    )
    assert found("RF301", made, misalignment=100) == [
        "Add 'Add_2' joins branches of input 'x' whose strides are 1 and 2 along axis 2"
    ]


def test_holes() -> None:
    made = conv(3, (2, 2), dilation=2, times=2)
    assert found("RF302", made) == [
        "output 'y' at 0,0,16 sees 5 of 9 coordinates from end to end along axis 2 of input 'x'"
    ]
    assert found("RF302", made, holes=4 / 9) == []
    assert found("RF302", made, holes=0.44) == [
        "output 'y' at 0,0,16 sees 5 of 9 coordinates from end to end along axis 2 of input 'x': "
        "44.4% are holes"
    ]
    filled = model(
        "a = Conv<pads=[2,2], dilations=[2]>(x, w) y = Conv<pads=[1,1]>(a, w)",
        SIGNAL,
        initializers={"w": ones(1, 1, 3)},
    )
    assert found("RF302", filled) == []


def test_off_centre() -> None:
    assert found("RF303", conv(5, (2, 2), times=3)) == []
    assert found("RF303", conv(5, (4, 0), times=3)) == [
        "output 'y' lies 6 elements before the middle of axis 2 of input 'x'"
    ]
    assert found("RF303", conv(5, (0, 4), times=3)) == [
        "output 'y' lies 6 elements behind the middle of axis 2 of input 'x'"
    ]
    assert found("RF303", conv(5, (4, 0), times=3), causal=2) == []
    assert found("RF303", conv(5, (4, 0), times=3), causal=True) == []
    assert found("RF303", conv(5, (4, 0), times=3), off_centre=6) == []
    assert len(found("RF303", conv(5, (4, 0), times=3), off_centre=5.9)) == 1
    # An even kernel, padded as well as it can be, lies half an element off; no padding is even.
    assert found("RF303", conv(4, (1, 2))) == []
    assert found("RF303", conv(5, (0, 0), times=3)) == []
    # Even pixels: half of a stride.
    assert found("RF303", conv(3, (1, 1), stride=2)) == []


def test_uneven_coverage() -> None:
    def upsampled(kernel: int) -> onnx.ModelProto:
        return model(
            "y = ConvTranspose<strides=[2]>(x, w)", SIGNAL, initializers={"w": ones(1, 1, kernel)}
        )

    assert found("RF304", upsampled(4)) == []
    assert found("RF304", upsampled(3)) == [
        "ConvTranspose 'ConvTranspose_0' adds up 1 to 2 elements along axis 2, in turn"
    ]
    # 1 and 2: their standard deviation is a third of their mean.
    assert found("RF304", upsampled(3), uneven=0.34) == []
    assert len(found("RF304", upsampled(3), uneven=0.33)) == 1


def test_the_shortest_path_counts_for_a_layer() -> None:
    """Eight convolutions that are skipped by sums: what skips them all has seen one element."""
    body = " ".join(
        f"c{k} = Conv<pads=[1,1]>(a{k}, w) a{k + 1} = Add(a{k}, c{k})" for k in range(8)
    )
    made = model(
        f"a0 = Identity(x) {body} y = Identity(a8)",
        "float[1,1,9] x",
        initializers={"w": ones(1, 1, 3)},
    )
    assert found("RF104", made) == []
    # Seven without a way around them, on nine elements: of the fifth on nothing is added.
    (told,) = found("RF104", conv(times=7, inputs="float[1,1,9] x"))
    assert "and 2 more like it" in told


# What is found in published models by default; docs/ci.md says why.
FOUND = {
    "tcn": ["RF303"],
    "wavenet": ["RF303"],
    "wavenet.dynamo": ["RF303"],
}


@pytest.mark.parametrize("name", [path.stem for path in sorted(MODELS.glob("*.onnx"))])
def test_published_models_are_as_they_should_be(name: str) -> None:
    report = rfgraph.check(MODELS / f"{name}.onnx")
    assert not report.errors
    assert [finding.code for finding in report.findings] == FOUND.get(name, [])


# ---------------------------------------------------------------- trust


def test_an_operator_that_is_not_known() -> None:
    made = model("a = Relu(x) y = custom.Fancy(a)")
    assert found("RF901", made) == [
        "Fancy 'Fancy_1': this operator is not known: every output is assumed to read all of "
        "every input"
    ]
    assert found("RF902", made) == []
    assert found("RF901", model("y = Relu(x)")) == []


def test_reads_that_the_data_decide() -> None:
    made = model("m = ReduceMax<keepdims=0>(x) i = Cast<to=7>(m) y = Gather<axis=2>(x, i)")
    (message,) = found("RF902", made)
    assert message.startswith("Gather 'Gather_2': ")
    assert found("RF901", made) == []
    fixed = model("i = Constant<value_int=3>() y = Gather<axis=2>(x, i)")
    assert found("RF902", fixed) == []


# ---------------------------------------------------------------- change


def test_changed(tmp_path: Path) -> None:
    def baseline_of(made: onnx.ModelProto, **settings: Any) -> baselines.Baseline:
        file = tmp_path / "baseline.json"
        report = rfgraph.check(made, **settings)
        file.write_text(baselines.written(report, baselines.Baseline()))
        return baselines.read(file)

    before = baseline_of(conv(times=3))
    assert found("RF401", conv(times=3), baseline=before) == []
    assert found("RF401", conv(times=4), baseline=before) == [
        "'y' sees 9 elements along axis 2 of input 'x', and saw 7 elements"
    ]
    assert found("RF401", conv(times=4), baseline=before, tolerance=2) == []
    assert len(found("RF401", conv(times=4), baseline=before, tolerance=1)) == 1
    assert found("RF401", conv(3, (2, 0), times=3), baseline=before) == [
        "'y' sees axis 2 of input 'x' with stride 1 from -6 on (reach 6 back, 0 ahead), and saw it "
        "with stride 1 from -3 on (reach 3 back, 3 ahead)"
    ]
    assert found("RF401", conv(times=3)) == []
    tracked = baseline_of(conv(times=3), track=["a*"])
    assert [
        finding.value
        for finding in rfgraph.check(
            conv(5, (2, 2), times=3), select=["RF401"], track=["a*"], baseline=tracked
        ).findings
    ] == ["a1", "a2", "y"]
    # What was tracked is compared, whether it is tracked now or not.
    assert found("RF401", conv(times=3), baseline=tracked) == []
    joined = model("y = Add(x, b)", "float[1,1,32] x, float[1,1,32] b")
    apart = model("y = Relu(x)", "float[1,1,32] x, float[1,1,32] b")
    assert found("RF401", joined, baseline=baseline_of(apart)) == [
        "'y' now sees input 'b', and did not before"
    ]
    gone = model("z = Relu(x)", SIGNAL, "z")
    assert found("RF401", gone, baseline=before) == ["'y' is gone"]


def test_an_open_axis_drops_nothing_at_its_end() -> None:
    def made(axis: str) -> onnx.ModelProto:
        return conv(3, (0, 0), stride=3, inputs=f"float[1,1,{axis}] x")

    assert found("RF103", made("T")) == []
    assert len(found("RF103", made("T"), shapes={"x": [1, 1, 10]})) == 1
    assert len(found("RF103", conv(1, (0, 0), stride=2, inputs="float[1,1,T] x"))) == 1


def test_padding_that_nothing_is_seen_of_is_not_off_centre() -> None:
    made = model(
        "p = Pad(x, pads) y = Conv<pads=[1,1]>(p, w)",
        SIGNAL,
        initializers={"w": ones(1, 1, 3), "pads": np.array([0, 0, 0, 0, 0, 100])},
    )
    assert found("RF303", made) == []


def test_axes_of_one_name_have_one_size() -> None:
    made = model("s = Transpose<perm=[1,0]>(h) y = Add(x, s)", "float[N,4] x, float[4,N] h")
    assert found("RF201", made) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"causal": 3}, "RF202: causal: no input has axis 3"),
        ({"causal": True}, "RF202: causal: fields move along axes"),
        ({"causal": {"input": "z", "axis": 2}}, "RF202: causal: the model has no input 'z'"),
        ({"at_least": {"3": 1}}, "RF101: at-least: no input has axis 3"),
        ({"halo": {"9": 1}}, "RF102: halo: no input has axis 9"),
        ({"independent_inputs": ["x", "z"]}, "RF203: independent-inputs: the model has no input"),
        (
            {"independent_groups": [{"axis": 3, "sizes": [1]}]},
            "RF203: independent-groups: no input has axis 3",
        ),
    ],
)
def test_what_would_hold_of_nothing_is_an_error(settings: dict[str, Any], said: str) -> None:
    made = model("y = Relu(x)") if settings.get("causal") is True else conv()
    (failed,) = rfgraph.check(made, **settings).errors
    assert failed.error.startswith(said)


def test_limits_of_one_check_are_findings_of_their_own() -> None:
    made = conv()
    report = rfgraph.check(made, select=["RF1"], covers=1.0, at_least=9, at_most=1, halo=0)
    prints = [finding.fingerprint for finding in report.findings]
    assert len(prints) == len(set(prints)) == 4


def test_a_fingerprint_stays_when_nodes_are_inserted() -> None:
    one = model("y = ConvTranspose<strides=[2]>(x, w)", SIGNAL, initializers={"w": ones(1, 1, 3)})
    two = model(
        "a = Relu(x) y = ConvTranspose<strides=[2]>(a, w)",
        SIGNAL,
        initializers={"w": ones(1, 1, 3)},
    )
    first, second = (rfgraph.check(m, select=["RF304"]).findings for m in (one, two))
    assert [f.fingerprint for f in first] == [f.fingerprint for f in second]
