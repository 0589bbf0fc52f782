"""What is run in tiles is what onnxruntime makes of the whole, and nothing less than planned is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import rfgraph
from rfgraph.tiling import Plan, TilingError, plan
from tests.chunks import share
from tests.graphs import model
from tests.tiling.nets import END, OpenNet, random_net, with_open_axes

MODELS = Path(__file__).parents[2] / "models"

# Relative to the largest value: sums in another order, and coordinates of linear resizing.
ROUNDING = 1e-5


def opened(made: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(
        made.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def difference(found: np.ndarray, whole: np.ndarray) -> float:
    assert found.shape == whole.shape
    return float(np.abs(found - whole).max() / np.abs(whole).max())


def small_tiles(found: Plan, rng: np.random.Generator, tiles: int = 3) -> tuple[Plan, list[int]]:
    """The plan with tiles that are about as small as can be, and sizes of a whole of several."""
    axes, sizes = [], []
    for axis in found.axes:
        tile = axis.smallest + axis.alignment + int(rng.integers(0, axis.alignment + 3))
        size = tiles * axis.smallest + 2 * axis.alignment + int(rng.integers(0, 9))
        residue = int(rng.choice(axis.sizes))
        sizes.append(size + (residue - size) % axis.alignment)
        axes.append(replace(axis, tile=tile))
    return replace(found, axes=tuple(axes)), sizes


# ---------------------------------------------------------------- random nets


def is_equal(seed: int, axes: int) -> bool:
    """Whether a random net was run in tiles and as a whole; that these are equal is asserted."""
    made, layers = random_net(seed, axes, layers=(5, 4, 2)[axes - 1])
    rng = np.random.default_rng(seed)
    try:
        found = plan(made)
    except rfgraph.ShapeError:
        # It takes few sizes, and none of those that are tried.
        return False
    found, sizes = small_tiles(found, rng, tiles=3 if axes < 3 else 2)
    shape = [1, 2, *[int(n) for n in rng.integers(12, 20, axes)]]
    for axis, size in zip(found.axes, sizes, strict=True):
        shape[axis.inputs[0][1]] = size
    x = rng.uniform(0, 1, shape).astype(np.float32)
    session = opened(made)
    whole = session.run(None, {"x": x})[0]
    exact = found.equality.level == "bit for bit"
    assert difference(found.run(session, x), whole) <= (0 if exact else ROUNDING), (layers, shape)
    return True


@pytest.mark.parametrize(("axes", "seeds"), [(1, 30), (2, 12), (3, 3)])
def test_random_nets(axes: int, seeds: int) -> None:
    assert sum(is_equal(seed, axes) for seed in range(seeds)) >= 0.9 * seeds


@pytest.mark.parametrize(("axes", "seeds"), [(1, share(1000)), (2, share(300)), (3, share(60))])
def test_many_random_nets(axes: int, seeds: int) -> None:
    compared = sum(is_equal(seed, axes) for seed in range(10_000, 10_000 + seeds))
    assert compared >= 0.9 * seeds


# ---------------------------------------------------------------- no less than planned


LARGE = 1e4


@pytest.mark.parametrize("seed", range(25))
def test_margins_and_alignment_are_needed(seed: int) -> None:
    """Of nets that see all that their bounds say, as all weights are positive."""
    rng = np.random.default_rng(seed)
    net = OpenNet(1, rng)
    layers = ("same", "causal", "valid", "down", "hourglass", "up", "residual", "full")
    value = "x"
    for name in rng.choice(layers, 3):
        value = getattr(net, str(name))(value)
    made = net.model(value)
    try:
        (axis,) = plan(made).axes
    except rfgraph.ShapeError:
        pytest.skip("it takes few sizes")
    session, step = opened(made), axis.alignment
    follows = axis.outputs[value]
    before, after = axis.margin
    size = 4 * (before + after) + 12 * step
    size += (axis.sizes[0] - size) % step
    first = up(size // 2, step)
    last = first + 2 * step
    x = rng.uniform(1, 2, (1, 2, size)).astype(np.float32)
    # What a smaller tile lacks would change a maximum, or a sum.
    x[..., first - before : first - before + step] += LARGE
    x[..., last + axis.after - 1] += LARGE
    kept = slice(int(first * follows.scale), int(last * follows.scale))
    wanted = session.run(None, {"x": x})[0][..., kept]

    def off(begin: int, end: int) -> float:
        """How far a tile is from the whole."""
        part = session.run(None, {"x": np.ascontiguousarray(x[..., begin:end])})[0]
        start = int((first - begin) * follows.scale)
        part = part[..., start : start + wanted.shape[-1]]
        return difference(part, wanted) if part.shape == wanted.shape else np.inf

    end = last + axis.after
    end += (axis.sizes[0] - (end - first + before)) % step
    assert off(first - before, end) <= ROUNDING
    if axis.before > 0:
        assert off(first - before + step, end + step) > 10 * ROUNDING
    if axis.after > 0 and end - step > last:
        assert off(first - before, end - step) > 10 * ROUNDING
    # Away from the alignment, if an output element begins there.
    for shift in range(1, step):
        if (shift * follows.scale).denominator == 1:
            begin = first - before - 2 * step + shift
            assert off(begin, begin + 2 * step + end - (first - before)) > 10 * ROUNDING
    # The outermost elements that count, and those beyond.
    for place, counts in (
        (first - axis.before - 1, False),
        (first - axis.before, True),
        (last + axis.after - 1, True),
        (last + axis.after, False),
    ):
        if 0 <= place < size and (axis.before, axis.after) > (0, 0):
            changed = x.copy()
            changed[..., place] += LARGE
            other = session.run(None, {"x": changed})[0][..., kept]
            assert (difference(other, wanted) > ROUNDING) is counts


def up(number: int, step: int) -> int:
    return -(-number // step) * step


# ---------------------------------------------------------------- models

# Alignment, what is needed before and after, reach, and sizes modulo the alignment.
FIGURES: dict[str, tuple[int, int, int, tuple[int, int], tuple[int, ...]]] = {
    "unet_tconv": (8, 46, 46, (51, 51), (0,)),
    "unet_bilinear": (8, 54, 54, (58, 58), (0,)),
    "unet3d.dynamo": (8, 46, 46, (51, 51), (0,)),
    "dynamic": (8, 19, 14, (22, 17), (0,)),
    "espcn.dynamo": (1, 4, 4, (4, 4), (0,)),
    "wavenet": (1, 3070, 0, (3070, 0), (0,)),
    "lenet_textbook": (2, 0, 4, (0, 4), (0, 1)),
    "hrnet": (32, 519, 488, (547, 516), (0, 29, 30, 31)),
}


@pytest.mark.parametrize("name", [name for name in FIGURES if name != "hrnet"])
def test_figures_of_models(name: str) -> None:
    assert_figures(name)


def assert_figures(name: str) -> None:
    for axis in plan(MODELS / f"{name}.onnx").axes:
        found = axis.alignment, axis.before, axis.after, axis.unaligned, axis.sizes
        assert found == FIGURES[name]


@pytest.mark.parametrize(
    ("name", "tile", "shape"),
    [
        ("unet_tconv", 112, (1, 1, 200, 168)),
        ("unet_bilinear", 128, (1, 1, 176, 192)),
        ("dynamic", 64, (2, 3, 136, 104)),
        ("espcn.dynamo", 21, (1, 1, 50, 33)),
        ("wavenet", 3300, (1, 1, 4000)),
        ("lenet_textbook", 17, (1, 1, 40, 45)),
    ],
)
def test_models(name: str, tile: int, shape: Sequence[int]) -> None:
    made = with_open_axes(onnx.load(MODELS / f"{name}.onnx"), *range(2, len(shape)))
    assert_equal(made, tile, shape)


@pytest.mark.parametrize(
    ("name", "tile", "shape"),
    [("unet3d.dynamo", 112, (1, 1, 120, 128, 112)), ("hrnet", 1120, (1, 3, 1184, 64))],
)
def test_large_models(name: str, tile: int, shape: Sequence[int]) -> None:
    assert_figures(name)
    made = with_open_axes(onnx.load(MODELS / f"{name}.onnx"), *range(2, len(shape)))
    assert_equal(made, tile, shape)


def assert_equal(made: onnx.ModelProto, tile: int, shape: Sequence[int]) -> None:
    """All outputs are those of the whole, and there are several tiles."""
    x = np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32)
    found, session = plan(made, tile=tile), opened(made)
    assert max(len(axis.cuts(n)) for axis, n in zip(found.axes, shape[2:], strict=True)) > 1
    given = found.run(session, x)
    whole = session.run(None, {"x": x})
    for name, of_whole in zip(found.outputs, whole, strict=True):
        assert difference(given[name] if len(whole) > 1 else given, of_whole) <= ROUNDING


def test_the_unet_needs_48_at_8() -> None:
    """As of the rows of an image: one step less, or off the alignment, is not the same."""
    session = opened(onnx.load(MODELS / "unet_tconv.onnx"))
    x = np.random.default_rng(0).uniform(0, 1, (1, 1, 384, 64)).astype(np.float32)
    whole = session.run(["logits"], {"x": x})[0]

    def off(first: int, begin: int) -> float:
        part = session.run(["logits"], {"x": x[:, :, begin : begin + 240]})[0]
        core = slice(first, first + 8)
        return difference(part[:, :, first - begin : first - begin + 8], whole[:, :, core])

    assert off(128, 80) == 0
    assert off(128, 88) > 0
    assert off(128, 76) > ROUNDING
    # A core that begins anywhere: its reach is 51, and the tile begins at a multiple of 8.
    assert max(off(first, (first - 51) // 8 * 8) for first in range(128, 136)) == 0
    assert off(130, 80) == 0
    assert off(133, 88) > 0


def cropping_unet(rng: np.random.Generator, axes: int = 2) -> tuple[onnx.ModelProto, int]:
    """A U-Net of two levels without padding, and how much smaller its output is."""
    net = OpenNet(axes, rng)
    three, two = [3] * axes, [2] * axes
    skip = net.conv(net.conv("x", kernel=three), kernel=three)
    low = net.op("MaxPool", skip, kernel_shape=two, strides=two)
    low = net.conv(net.conv(low, kernel=three), kernel=three)
    high = net.op("ConvTranspose", low, net.weights(2, 2, *two), strides=two)
    joined = net.op("Concat", net.slice(skip, [4] * axes, [-4] * axes), high, axis=1)
    value = net.op("Conv", joined, net.weights(2, 4, *three))
    return net.model(net.conv(value, kernel=three)), 16


@pytest.mark.parametrize("axes", [1, 2])
def test_a_unet_that_crops(axes: int) -> None:
    made, less = cropping_unet(np.random.default_rng(0), axes)
    (output,) = made.graph.output
    found = plan(made, tile=44)
    for axis in found.axes:
        follows = axis.outputs[output.name]
        assert (axis.alignment, axis.sizes) == (2, (0,))
        assert (follows.scale, follows.offset, follows.centre) == (1, -less, less // 2)
        assert (axis.before, axis.after) == (0, less)
    x = np.random.default_rng(1).uniform(0, 1, (1, 2, 98, 62)[: axes + 2]).astype(np.float32)
    session = opened(made)
    whole = session.run(None, {"x": x})[0]
    assert whole.shape[2:] == tuple(n - less for n in x.shape[2:])
    assert difference(found.run(session, x), whole) <= ROUNDING


def test_channels_last() -> None:
    net = OpenNet(2, np.random.default_rng(0))
    value = net.op(
        "Transpose", net.same(net.op("Transpose", "x", perm=[0, 3, 1, 2])), perm=[0, 2, 3, 1]
    )
    made = net.written({"x": ("batch", "height", "width", 2)}, value)  # type: ignore[arg-type]
    found = plan(made, tile=(9, 12))
    assert [axis.inputs for axis in found.axes] == [(("x", 1),), (("x", 2),)]
    x = np.random.default_rng(1).uniform(0, 1, (1, 30, 25, 2)).astype(np.float32)
    session = opened(made)
    assert difference(found.run(session, x), session.run(None, {"x": x})[0]) <= ROUNDING


# ---------------------------------------------------------------- several inputs and outputs

PICTURES = "float[1,2,h,w] x, float[1,2,h,w] z, float[1,2,1,1] gain"
KERNEL = {"W": np.random.default_rng(0).uniform(0.5, 1.5, (2, 2, 3, 3)).astype(np.float32)}


def test_inputs_are_cut_alike_or_held_whole() -> None:
    made = model(
        "a = Conv <pads = [1, 1, 1, 1]> (x, W) b = Add (a, z) y = Mul (b, gain) "
        "low = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (b)",
        PICTURES,
        "y low",
        initializers=KERNEL,
    )
    found = plan(made, tile=12)
    assert found.whole == ("gain",)
    assert [axis.inputs for axis in found.axes] == [(("x", k), ("z", k)) for k in (2, 3)]
    assert [axis.outputs["low"].scale for axis in found.axes] == [0.5, 0.5]
    rng = np.random.default_rng(0)
    given = {n: rng.uniform(0, 1, (1, 2, 34, 27)).astype(np.float32) for n in "xz"}
    given["gain"] = rng.uniform(1, 2, (1, 2, 1, 1)).astype(np.float32)
    session = opened(made)
    parts = found.run(session, given)
    for name, whole in zip(("y", "low"), session.run(None, given), strict=True):
        assert difference(parts[name], whole) <= ROUNDING
    with pytest.raises(rfgraph.QueryError, match="cut alike differ in size"):
        found.run(session, given | {"z": given["z"][:, :, 1:]})
    with pytest.raises(rfgraph.QueryError, match="no array for input 'gain'"):
        found.run(session, {name: given[name] for name in "xz"})
    with pytest.raises(rfgraph.QueryError, match="one array, and the model has 3 inputs"):
        found.run(session, given["x"])


def test_outputs_of_strides_2_and_3() -> None:
    made = model(
        "y = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (x) "
        "z = MaxPool <kernel_shape = [3, 3], strides = [3, 3]> (x)",
        "float[1,2,h,w] x",
        "y z",
    )
    found = plan(made, tile=8)
    assert [(axis.alignment, axis.sizes_text) for axis in found.axes] == [(6, "any size")] * 2
    x = np.random.default_rng(0).uniform(0, 1, (1, 2, 37, 20)).astype(np.float32)
    session = opened(made)
    parts = found.run(session, x)
    for name, whole in zip(("y", "z"), session.run(None, {"x": x}), strict=True):
        assert difference(parts[name], whole) == 0


def test_outputs_are_chosen() -> None:
    file = MODELS / "tcn.onnx"
    with pytest.raises(TilingError, match="Gather '/Gather': it reads a fixed place") as raised:
        plan(file)
    assert "these outputs can be had in tiles: features; choose with" in str(raised.value)
    (axis,) = plan(file, outputs=["features"]).axes
    assert (axis.alignment, axis.margin, axis.is_fixed) == (1, (3060, 0), True)


def test_a_file_that_fixes_the_size() -> None:
    file = MODELS / "lenet_textbook.onnx"
    tiles = plan(file)
    with pytest.raises(rfgraph.QueryError, match="fixes the size along axis 2") as raised:
        tiles.run(file, np.zeros((1, 1, 30, 30), np.float32))
    assert "with that axis open" in str(raised.value)


# ---------------------------------------------------------------- what can't be

IMAGE = "float[1,2,h,w] x"
CONV = "c = Conv <pads = [1, 1, 1, 1]> (x, W) "
TABLE = {"T": np.random.default_rng(0).uniform(0, 1, (1, 2, 32, 32)).astype(np.float32)}
SMALL = {"S": np.ones(2, np.float32), "two": np.array(2), "none": np.array(0), "one": np.array(1)}
SMALL |= {"ones": np.array([1]), "tokens": np.array([0, 0, -1]), "sizes": np.array([1, 2, 64, 64])}
OBSTACLES: dict[str, tuple[str, str, str, str]] = {
    "a global pooling": (
        CONV + "g = GlobalAveragePool (c) y = Mul (c, g)",
        IMAGE,
        "GlobalAveragePool",
        "sees the whole of axis 2",
    ),
    "an instance normalisation": (
        CONV + "y = InstanceNormalization (c, S, S)",
        IMAGE,
        "InstanceNormalization",
        "sees the whole of axis 2",
    ),
    "attention": (
        "q = Reshape (x, tokens) k = Transpose <perm = [0, 2, 1]> (q) a = MatMul (k, q) "
        "s = Softmax (a) y = MatMul (q, s)",
        IMAGE,
        "MatMul 'MatMul_2'",
        "no window that moves evenly",
    ),
    "a position table": (
        CONV + "a = Add (c, T) g = GlobalAveragePool (a) y = Mul (a, g)",
        "float[1,2,32,32] x",
        "Add",
        "'T', which has an element for each place",
    ),
    "a position table, the axes open": (
        CONV + "y = Add (c, T)",
        IMAGE,
        "Add",
        "'T', which has an element for each place",
    ),
    "places counted": (
        CONV + "s = Shape (c) n = Gather (s, two) r = Range (none, n, one) f = Cast <to = 1> (r) "
        "p = Unsqueeze (f, ones) y = Add (c, p)",
        IMAGE,
        "Add",
        "'p', which varies along the axis",
    ),
    "a size that is divided by": (
        CONV + "s = Shape (c) n = Gather (s, two) f = Cast <to = 1> (n) y = Div (c, f)",
        IMAGE,
        "Div",
        "'f', which depends on the size",
    ),
    "a size that is fixed": (
        CONV + 'y = Resize <mode = "nearest"> (c, , , sizes)',
        IMAGE,
        "Resize",
        "does not follow that of the input",
    ),
    "a running sum": (CONV + "y = CumSum (c, two)", IMAGE, "CumSum", "everything before a place"),
    "noise": ("r = RandomNormalLike (x) y = Add (x, r)", IMAGE, "Add", "varies along the axis"),
    "what nobody knows": ("y = custom.Foo (x)", IMAGE, "custom.Foo", "operator is not known"),
    "an input that is no smaller": (
        CONV + "y = Mul (c, z)",
        IMAGE + ", float[1,2,k,l] z",
        "Mul",
        "'z', which has an element for each place",
    ),
    "where a maximum is": (
        "a, i = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (x) y = Cast <to = 1> (i)",
        IMAGE,
        "MaxPool",
        "depend on where they are",
    ),
    "a triangle": ("y = Trilu (x)", IMAGE, "Trilu", "depend on where they are"),
    "a draw": ("y = Bernoulli (x)", IMAGE, "Bernoulli", "it is random"),
    "the other end": (
        'p = Constant <value_ints = [0, 0, 2, 0, 0, 0, 2, 0]> () y = Pad <mode = "wrap"> (x, p)',
        IMAGE,
        "Pad",
        "what it sees at one end depends on how far the other is",
    ),
    "the size before the whole": (
        CONV + "s = Shape (c) n = Gather (s, two) f = Cast <to = 1> (n) d = Div (c, f) "
        "g = GlobalAveragePool (d) y = Mul (d, g)",
        IMAGE,
        "Div",
        "'f', which depends on the size",
    ),
    "a quantisation by what is there": (
        "q, s, o = DynamicQuantizeLinear (x) y = DequantizeLinear (q, s, o)",
        IMAGE,
        "DynamicQuantizeLinear",
        "sees the whole of axis 2",
    ),
}


@pytest.mark.parametrize("name", OBSTACLES)
def test_what_no_tile_gives(name: str) -> None:
    body, inputs, node, reason = OBSTACLES[name]
    made = model(body, inputs, opset=19, ir=9, initializers=KERNEL | TABLE | SMALL)
    with pytest.raises(TilingError) as raised:
        plan(made)
    assert str(raised.value.node).startswith(node)
    assert reason in raised.value.reason
    assert raised.value.remedy


def test_what_looks_like_it_and_is_none() -> None:
    """Constants of the size of the input that do not vary, and the size as a shape alone."""
    made = model(
        CONV + "s = Shape (c) o = ConstantOfShape <value = float[1] {2}> (s) a = Mul (c, o) "
        "p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (a) "
        'u = Resize <mode = "nearest"> (p, , , s) y = Add (a, u)',
        IMAGE,
        initializers=KERNEL,
    )
    found = plan(made, tile=14)
    assert [axis.sizes_text for axis in found.axes] == ["multiples of 2"] * 2
    x = np.random.default_rng(0).uniform(0, 1, (1, 2, 40, 26)).astype(np.float32)
    session = opened(made)
    assert difference(found.run(session, x), session.run(None, {"x": x})[0]) <= ROUNDING


SHAPE = "s = Shape (c) h = Gather (s, number2) w = Gather (s, number3) "
EXACT: dict[str, tuple[str, tuple[int, int, int]]] = {
    "tokens and back": (
        CONV + SHAPE + "f = Reshape (c, tokens) t = Transpose <perm = [0, 2, 1]> (f) "
        "m = MatMul (t, M) b = Transpose <perm = [0, 2, 1]> (m) "
        "o = Concat <axis = 0> (number1, number2, h, w) d = Reshape (b, o) "
        "y = Conv <pads = [1, 1, 1, 1]> (d, W)",
        (1, 2, 2),
    ),
    "attention within windows": (
        CONV + SHAPE + "hw = Div (h, number4) ww = Div (w, number4) "
        "o = Concat <axis = 0> (number1, number2, hw, number4, ww, number4) f = Reshape (c, o) "
        "t = Transpose <perm = [0, 2, 4, 3, 5, 1]> (f) n = Mul (hw, ww) "
        "p = Concat <axis = 0> (n, number16, number2) q = Reshape (t, p) "
        "k = Transpose <perm = [0, 2, 1]> (q) a = MatMul (q, k) e = Softmax (a) v = MatMul (e, q) "
        "r = Concat <axis = 0> (number1, hw, ww, number4, number4, number2) u = Reshape (v, r) "
        "b = Transpose <perm = [0, 5, 1, 3, 2, 4]> (u) "
        "z = Concat <axis = 0> (number1, number2, h, w) y = Reshape (b, z)",
        (4, 1, 1),
    ),
    "rows that are written over": ("y = ScatterND (x, rows, zeros)", (1, 3, 0)),
    "rows that are cut off and replaced": (
        "a = Slice (x, number3, end, number2) f = Slice (x, number0, number3, number2) "
        "g = Shape (f) z = ConstantOfShape (g) y = Concat <axis = 2> (z, a)",
        (1, 3, 0),
    ),
    "rows that are cut off": ("y = Slice (x, number2, before_last, number2)", (1, 0, 4)),
    "taps on padding beside the same element": (
        'r = Resize <mode = "nearest", coordinate_transformation_mode = "asymmetric"> '
        "(x, , triple) y = Conv <pads = [2, 0, 0, 0]> (r, column)",
        (1, 2, 1),
    ),
    "strides of 2 and 3": (
        "a = MaxPool <kernel_shape = [2, 1], strides = [2, 1]> (x) "
        "b = MaxPool <kernel_shape = [3, 1], strides = [3, 1]> (x) "
        'c = Resize <mode = "nearest"> (a, , double) '
        'd = Resize <mode = "nearest"> (b, , triple) '
        "y = Add (c, d)",
        (6, 0, 0),
    ),
    "even and odd": (
        "a = Slice (x, number0, end, number2, number2) "
        "b = Slice (x, number1, end, number2, number2) "
        "y = Sub (a, b)",
        (2, 0, 0),
    ),
}
NUMBERS: dict[str, Any] = {f"number{n}": np.array([n]) for n in (0, 1, 2, 3, 4, 16)}
NUMBERS |= {"end": np.array([END]), "before_last": np.array([-2])}
NUMBERS |= {name: np.array([1, 1, n, 1], np.float32) for name, n in (("double", 2), ("triple", 3))}
NUMBERS["column"] = np.random.default_rng(0).uniform(0.5, 1.5, (2, 2, 3, 1)).astype(np.float32)
NUMBERS["tokens"] = np.array([0, 0, -1])
NUMBERS["M"] = np.random.default_rng(0).uniform(0.5, 1.5, (2, 2)).astype(np.float32)
NUMBERS["rows"] = np.array([[0, channel, row] for channel in range(2) for row in range(3)])
NUMBERS["zeros"] = np.zeros((6, 36), np.float32)


@pytest.mark.parametrize("name", EXACT)
def test_unusual_ways(name: str) -> None:
    """Alignment, and what is needed before and after, along the rows."""
    body, figures = EXACT[name]
    made = model(body, "float[1,2,h,36] x", opset=19, ir=9, initializers=KERNEL | NUMBERS)
    (axis,) = plan(made).axes
    assert (axis.alignment, axis.before, axis.after) == figures
    x = np.random.default_rng(0).uniform(0, 1, (1, 2, 48, 36)).astype(np.float32)
    session = opened(made)
    found = plan(made, tile=20).run(session, x)
    assert difference(found, session.run(None, {"x": x})[0]) <= ROUNDING


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"tile": 64}, "the smallest is 104"),
        ({"tile": 0}, "has no elements"),
        ({"tile": [256] * 3}, "give one size for all, or one for each"),
        ({"axes": ["depth"]}, "no input has an axis 'depth'"),
        ({"axes": [7]}, "no input has an axis 7"),
        ({"outputs": ["nix"]}, "its outputs are features, logits"),
    ],
)
def test_questions_without_an_answer(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(rfgraph.QueryError, match=r"unet_tconv\.onnx: ") as raised:
        plan(MODELS / "unet_tconv.onnx", **asked)
    assert words in str(raised.value)


def test_arrays_that_do_not_fit() -> None:
    file = MODELS / "unet_tconv.onnx"
    found = plan(file, tile=128)
    with pytest.raises(rfgraph.QueryError, match=r"takes multiples of 8 \(pad or crop it to 256\)"):
        found.run(file, np.zeros((1, 1, 250, 64), np.float32))
    with pytest.raises(rfgraph.QueryError, match="has 3 axes, not 4"):
        found.run(file, np.zeros((1, 64, 64), np.float32))
    with pytest.raises(rfgraph.RFGraphError, match="onnxruntime can't run a tile"):
        found.run(file, np.zeros((1, 1, 64, 64), np.int8))
    with pytest.raises(rfgraph.RFGraphError, match="onnxruntime can't open the model"):
        found.run("none.onnx", np.zeros((1, 1, 64, 64), np.float32))
