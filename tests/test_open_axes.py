"""Sizes for axes that a model leaves open: those assumed run in onnxruntime, and say what is what.

Which size is right is a matter of the model: a U-Net of n poolings takes multiples of 2**n, the
channels are those of the first weight, and tokens are few.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import rfgraph
from rfgraph import cli
from tests.graphs import model

MODELS = Path(__file__).parents[1] / "models"
UNET = MODELS / "unet_tconv.onnx"


def unet(poolings: int, channels: int, axes: int = 2, *, last: bool = False) -> onnx.ModelProto:
    """A U-Net of open sizes; with `last` its input and output have their channels last."""
    weights, lines = {}, []
    inner = list(range(1, axes + 1))
    front, back = [0, axes + 1, *inner], [0, *[a + 1 for a in inner], 1]
    lines.append(f"c = Transpose<perm = {front}>(x)" if last else "c = Identity(x)")
    ones = [1] * axes
    for k in range(poolings):
        weights[f"w{k}"] = np.ones((4, channels if k == 0 else 4, *[3] * axes), np.float32)
        source = "c" if k == 0 else f"p{k - 1}"
        lines.append(f"s{k} = Conv<pads = {ones + ones}>({source}, w{k})")
        twos = f"kernel_shape = {[2] * axes}, strides = {[2] * axes}"
        lines.append(f"p{k} = MaxPool<{twos}>(s{k})")
    weights["wt"] = np.ones((4, 4, *[2] * axes), np.float32)
    up = f"p{poolings - 1}"
    for k in reversed(range(poolings)):
        lines.append(f"t{k} = ConvTranspose<strides = {[2] * axes}>({up}, wt)")
        lines.append(f"j{k} = Add(t{k}, s{k})")
        up = f"j{k}"
    lines.append(f"y = Transpose<perm = {back}>({up})" if last else f"y = Identity({up})")
    sizes = ["b", *[f"n{a}" for a in range(axes)]]
    sizes.insert(len(sizes) if last else 1, str(channels))
    return model("\n".join(lines), f"float[{','.join(sizes)}] x", initializers=weights)


def opened(made: onnx.ModelProto) -> onnx.ModelProto:
    """The same with no size of an input given, and no name."""
    for value in made.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            dim.Clear()
    return made


def named(made: onnx.ModelProto, given: int, axis: int, dim: str) -> onnx.ModelProto:
    """The same with another name for an axis of one of its inputs."""
    made.graph.input[given].type.tensor_type.shape.dim[axis].dim_param = dim
    return made


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


WINDOW = {"w": floats(8, 1, 10)}
EMBED = "e = Gather(table, ids)"
TABLE = {"table": floats(100, 16), "zero": np.array(0, np.int64), "two": np.array([2], np.int64)}
ATTEND = "t = Transpose<perm = [0, 2, 1]>(%s) s = MatMul(%s, t)"

CASES: dict[str, tuple[onnx.ModelProto, dict[str, tuple[int, ...]]]] = {
    # Pictures: channels stand where the file or the weights say, sizes divide as often as asked.
    "U-Net": (unet(4, 3), {"x": (1, 3, 224, 224)}),
    "U-Net of six poolings": (unet(6, 3), {"x": (1, 3, 256, 256)}),
    "U-Net, channels last": (unet(4, 3, last=True), {"x": (1, 224, 224, 3)}),
    "U-Net of six poolings, channels last": (unet(6, 1, last=True), {"x": (1, 256, 256, 1)}),
    "U-Net, all open": (opened(unet(4, 5)), {"x": (1, 5, 224, 224)}),
    "U-Net, all open, channels last": (opened(unet(4, 3, last=True)), {"x": (1, 224, 224, 3)}),
    "U-Net in three dimensions": (unet(3, 1, 3), {"x": (1, 1, 64, 64, 64)}),
    "video, all open": (opened(unet(3, 4, 3)), {"x": (1, 4, 64, 64, 64)}),
    "U-Net of a signal": (unet(4, 1, 1), {"x": (1, 1, 16384)}),
    "U-Net of a signal, all open": (opened(unet(4, 2, 1)), {"x": (1, 2, 16384)}),
    "open channels": (
        model("y = Conv(x, w)", "float[b,c,64,64] x", initializers={"w": floats(4, 6, 3, 3)}),
        {"x": (1, 6, 64, 64)},
    ),
    "open channels, by a weight that is computed": (
        model(
            "t = Transpose<perm = [1, 0, 2, 3]>(w) y = Conv(x, t)",
            "float[b,c,64,64] x",
            initializers={"w": floats(6, 4, 3, 3)},
        ),
        {"x": (1, 6, 64, 64)},
    ),
    "a picture of bytes, channels last": (
        model(
            "f = Cast<to = 1>(x) t = Transpose<perm = [0, 3, 1, 2]>(f) y = Conv(t, w)",
            "uint8[b,h,v,3] x",
            initializers={"w": floats(4, 3, 3, 3)},
        ),
        {"x": (1, 224, 224, 3)},
    ),
    "sizes that the file writes as products": (
        model(
            "p = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(x) "
            "t = ConvTranspose<strides = [2, 2]>(p, w) y = Add(t, x)",
            "float[b,1,h,v] x",
            initializers={"w": floats(1, 1, 2, 2)},
        ),
        {"x": (1, 1, 224, 224)},
    ),
    # Sound: a recording is long, and begins behind a batch or behind one channel.
    "a recording without channels": (
        model("u = Unsqueeze(x, one) y = Conv<strides = [5]>(u, w)", "float[b,t] x",
              initializers=WINDOW | {"one": np.array([1], np.int64)}),
        {"x": (1, 16384)},
    ),
    "a recording": (
        model("y = Conv<strides = [5]>(x, w)", "float[b,1,t] x", initializers=WINDOW),
        {"x": (1, 1, 16384)},
    ),
    "a recording, all open": (
        opened(model("y = Conv<strides = [5]>(x, w)", "float[b,1,t] x", initializers=WINDOW)),
        {"x": (1, 1, 16384)},
    ),
    "mel bands": (
        model("y = Conv(x, w)", "float[b,80,t] x", initializers={"w": floats(8, 80, 3)}),
        {"x": (1, 80, 256)},
    ),
    "mel bands, all open": (
        model("y = Conv(x, w)", "float[b,m,t] x", initializers={"w": floats(8, 80, 3)}),
        {"x": (1, 80, 256)},
    ),
    # Tokens are few: they attend to each other.
    "vectors": (
        model(ATTEND % ("x", "x") + " y = MatMul(s, x)", "float[b,s,32] x"),
        {"x": (1, 256, 32)},
    ),
    "vectors, all open": (
        model(
            "k = MatMul(x, w)" + ATTEND % ("k", "k") + " y = MatMul(s, x)",
            "float[b,s,d] x",
            initializers={"w": floats(32, 32)},
        ),
        {"x": (1, 256, 32)},
    ),
    "tokens": (
        model(EMBED + ATTEND % ("e", "e") + " y = MatMul(s, e)", "int64[b,s] ids",
              initializers=TABLE),
        {"ids": (1, 64)},
    ),
    "tokens, a mask of floats": (
        model(EMBED + ATTEND % ("e", "e") + " m = Unsqueeze(mask, one) a = Add(s, m) "
              "y = MatMul(a, e)", "int64[b,s] ids, float[b,s] mask",
              initializers=TABLE | {"one": np.array([1], np.int64)}),
        {"ids": (1, 64), "mask": (1, 64)},
    ),
    "points": (
        model("c = Conv(x, w) y = Softmax<axis = 2>(c)", "float[b,3,n] x",
              initializers={"w": floats(8, 3, 1)}),
        {"x": (1, 3, 256)},
    ),
    "points, coordinates last, all open": (
        model("c = MatMul(x, w) y = Softmax<axis = 1>(c)", "float[b,n,c] x",
              initializers={"w": floats(3, 8)}),
        {"x": (1, 256, 3)},
    ),
}  # fmt: skip


def past(total: str) -> onnx.ModelProto:
    """Attention over what is kept of earlier tokens, and over the new ones, with a mask of both."""
    body = (
        f"{EMBED} k = Concat<axis = 1>(past, e) {ATTEND % ('k', 'e')} m = Unsqueeze(mask, one) "
        "f = Cast<to = 1>(m) a = Add(s, f) y = MatMul(a, k)"
    )
    inputs = "int64[b,s] ids, int64[b,n] mask, float[b,p,16] past"
    made = model(body, inputs, initializers=TABLE | {"one": np.array([1], np.int64)})
    return named(made, 1, 1, total)


for total in ("total", "p + s", "s+p"):
    CASES[f"past and new tokens: {total}"] = (
        past(total),
        {"ids": (1, 64), "mask": (1, 128), "past": (1, 64, 16)},
    )

# A recurrent layer reads along its first axis, whether the second is open or not.
for second in ("n", 1):
    CASES[f"time first, then {second}"] = (
        model(
            "y = LSTM<hidden_size = 4>(x, w, r)",
            f"float[t,{second},80] x",
            initializers={"w": floats(1, 16, 80), "r": floats(1, 16, 4)},
        ),
        {"x": (256, 1, 80)},
    )


def runs(made: onnx.ModelProto, shapes: dict[str, tuple[int, ...]]) -> bool:
    session = ort.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    kinds = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(uint8)": np.uint8}
    feeds = {i.name: np.ones(shapes[i.name], kinds[i.type]) for i in session.get_inputs()}
    return bool(session.run(None, feeds))


@pytest.mark.parametrize(("made", "shapes"), CASES.values(), ids=CASES)
def test_what_is_assumed_fits_and_is_of_its_kind(
    made: onnx.ModelProto, shapes: dict[str, tuple[int, ...]]
) -> None:
    a = rfgraph.analyze(made, assume=True)
    assert {name: a.shape(name) for name in a.inputs} == shapes
    assert a.shape("y") is not None
    assert runs(made, shapes)


def test_what_was_tried_is_said() -> None:
    made = model(
        "c = Conv(x, k) f = Flatten(c) y = MatMul(f, w)",
        "float[b,1,h,v] x",
        initializers={"k": floats(1, 1, 2, 2), "w": floats(76 * 90, 3)},
    )
    with pytest.raises(rfgraph.ShapeError) as caught:
        rfgraph.analyze(made, assume=True)
    said = str(caught.value)
    for size in ("x=1,1,224,224", "x=1,1,256,256", "x=1,1,64,64"):
        assert size in said
    assert "MatMul" in said
    assert "--shape x=b,1,h,v" in said
    a = rfgraph.analyze(made, shapes={"x": (1, 1, 77, 91)})
    assert a.shape("y") == (1, 3)


def test_a_size_that_follows_from_others_need_not_be_given() -> None:
    given = {"ids": (1, 5), "past": (1, 7, 16)}
    assert rfgraph.analyze(past("p + s"), shapes=given).shape("mask") == (1, 12)


def test_a_size_that_is_written_as_a_product() -> None:
    made = unet(3, 1)
    for axis in (2, 3):
        named(made, 0, axis, f"24*n{axis}")
    assert rfgraph.analyze(made, assume=True).shape("x") == (1, 1, 216, 216)


# ---------------------------------------------------------------- sizes near those given


NEAR: dict[str, tuple[onnx.ModelProto, tuple[int, ...], tuple[int, ...], int]] = {
    "both axes": (unet(3, 1), (1, 1, 100, 100), (1, 1, 104, 104), 8),
    "one of them": (unet(3, 1), (1, 1, 96, 100), (1, 1, 96, 104), 8),
    "the first of them": (unet(5, 3), (2, 3, 100, 128), (2, 3, 128, 128), 32),
    "channels last": (unet(4, 3, last=True), (1, 100, 90, 3), (1, 112, 96, 3), 16),
    "a signal": (unet(2, 1, 1), (1, 1, 101), (1, 1, 104), 4),
    "three axes": (unet(2, 1, 3), (1, 1, 30, 31, 32), (1, 1, 32, 32, 32), 4),
    "all open": (opened(unet(3, 2)), (1, 2, 50, 50), (1, 2, 56, 56), 8),
    "the channels of the file": (unet(3, 1), (1, 3, 96, 96), (1, 1, 96, 96), 1),
    "the channels of the weights": (opened(unet(3, 5)), (1, 3, 96, 96), (1, 5, 96, 96), 1),
    "a batch": (
        model("y = Reshape(x, s)", "float[b,3] x",
              initializers={"s": np.array([-1, 8, 3], np.int64)}),
        (10, 3), (16, 3), 8,
    ),
    "not long enough": (
        model("y = Conv(x, w)", "float[1,1,t] x", initializers={"w": floats(1, 1, 5)}),
        (1, 1, 2), (1, 1, 5), 1,
    ),
    "an odd size": (
        model("p = MaxPool<kernel_shape = [3], strides = [4]>(x) "
              "t = ConvTranspose<strides = [4]>(p, w) y = Add(t, x)", "float[1,1,t] x",
              initializers={"w": floats(1, 1, 3)}),
        (1, 1, 100), (1, 1, 99), 1,
    ),
    "the size of the file": (
        model("f = Flatten(x) y = MatMul(f, w)", "float[1,1,6,6] x",
              initializers={"w": floats(36, 2)}),
        (1, 1, 9, 9), (1, 1, 6, 6), 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("made", "given", "fits", "multiple"), NEAR.values(), ids=NEAR)
def test_a_size_that_does_not_fit_names_one_that_does(
    made: onnx.ModelProto, given: tuple[int, ...], fits: tuple[int, ...], multiple: int
) -> None:
    with pytest.raises(rfgraph.ShapeError) as caught:
        rfgraph.analyze(made, shapes={"x": given})
    said = str(caught.value)
    assert f"--shape x={','.join(map(str, fits))})" in said
    assert (f"use a multiple of {multiple} for" in said) == (multiple > 1)
    assert runs(made, {"x": fits})
    assert rfgraph.analyze(made, shapes={"x": fits}).shape("y") is not None
    beside = [[n + (a == axis) for axis, n in enumerate(fits)]
              for a in range(len(fits)) if fits[a] != given[a]]  # fmt: skip
    for other in beside if multiple > 1 else ():
        with pytest.raises(rfgraph.ShapeError):
            rfgraph.analyze(made, shapes={"x": other})


def test_at_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", str(UNET), "--shape", "1,1,100,100"]) == 2
    said = capsys.readouterr().err
    assert "use a multiple of 8 for axis 2 of input 'x' and axis 3 of input 'x'" in said
    option: list[Any] = said[said.index("--shape") :].rstrip(")\n").split()
    assert cli.main(["show", str(UNET), *option]) == 0
