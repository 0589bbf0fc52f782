"""Reads that constants cut: what is claimed equals what is seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.parser
import pytest
from onnx.reference import ReferenceEvaluator

import rfgraph
from rfgraph.engine.trace import Note
from rfgraph.prune import facts, learning
from tests.graphs import parsed, single
from tests.oracle.perturbation import Case, analysed, differences, observe

RNG = np.random.default_rng(7)
INF = np.float32(np.inf)
LEAST = np.finfo(np.float32).min


def floats(*shape: int) -> np.ndarray:
    """Away from 0, so that a product with 0 keeps its sign."""
    return RNG.uniform(0.5, 2, shape).astype(np.float32)


def net(text: str, feeds: dict[str, np.ndarray], constants: dict[str, np.ndarray]) -> Case:
    return Case(text, parsed(text, constants, opset=21, ir=10), feeds, within=(0.1, 3))


def node(op_type: str, inputs: dict[str, Any], constants: tuple[str, ...], **rest: Any) -> Case:
    return Case(op_type, *single(op_type, inputs, constants=constants, **rest), within=(0.1, 3))


def elements(case: Case) -> None:
    """Support of every unit equals what is seen, element by element, and bounds their hull."""
    analysis = analysed(case, prune=True)
    observation = observe(case, trials=6)
    assert list(differences(case, observation, analysis)) == []
    for output, shape in observation.outputs.items():
        for unit in np.ndindex(*shape):
            # One pass answers for all inputs.
            for name, by_output in observation.seen.items():
                seen = by_output[output].elements
                assert seen is not None
                support = np.asarray(analysis.support(output, unit, name))
                assert np.array_equal(support, seen[unit]), (output, unit, name)
    assert (
        rfgraph.analyze(
            case.model, values={n: case.feeds[n] for n in case.feeds if n not in case.followed}
        ).notes
        == []
    )


def attention(mask: np.ndarray, middle: str = "m = Add(s, mask)", **feeds: np.ndarray) -> Case:
    rows, columns = mask.shape[-2:]
    extra = "".join(
        f", {'bool' if v.dtype == bool else 'float'}[{','.join(map(str, v.shape))}] {n}"
        for n, v in feeds.items()
    )
    text = (
        f"net (float[1,{rows},2] q, float[1,2,{columns}] k, float[1,{columns},2] v{extra}) "
        f"=> (float[1,{rows},2] y, float[1,{rows},{columns}] p) "
        f"{{ s = MatMul(q, k) {middle} p = Softmax <axis = -1> (m) y = MatMul(p, v) }}"
    )
    given = {"q": floats(1, rows, 2), "k": floats(1, 2, columns), "v": floats(1, columns, 2)}
    return net(text, {**given, **feeds}, {"mask": mask})


def band(n: int, back: int, ahead: int = 0) -> np.ndarray:
    i, j = np.ogrid[:n, :n]
    return (j <= i + ahead) & (i - j < back)


# ---------------------------------------------------------------- kernels


def taps(shape: tuple[int, ...], kept: Callable[..., Any]) -> np.ndarray:
    index = np.indices(shape)
    return np.where(kept(*index), floats(*shape), 0).astype(np.float32)


CONVOLUTIONS: list[tuple[tuple[int, ...], tuple[int, ...], Callable[..., Any], dict[str, Any]]] = [
    ((1, 2, 7), (3, 2, 3), lambda m, c, k: k != 2, {"pads": [1, 1]}),
    ((1, 2, 7), (3, 2, 3), lambda m, c, k: (k != 1) | (m > c), {"pads": [1, 1]}),
    ((1, 2, 7), (3, 2, 3), lambda m, c, k: (m + c + k) % 2 == 0, {"pads": [2, 0]}),
    ((1, 4, 6), (4, 2, 2), lambda m, c, k: (c != 0) | (k == m % 2), {"group": 2}),
    ((1, 4, 5), (2, 4, 1), lambda m, c, k: (c == 0) | (c == 3), {}),
    ((1, 2, 5), (3, 2, 2), lambda m, c, k: m == 1, {}),
    ((1, 1, 9), (1, 1, 5), lambda m, c, k: k % 2 == 0, {"strides": [2], "dilations": [1]}),
    ((1, 1, 9), (1, 1, 4), lambda m, c, k: (k == 0) | (k == 3), {"dilations": [2], "pads": [3, 2]}),
    ((1, 1, 9), (1, 1, 3), lambda m, c, k: k > 0, {"dilations": [2], "pads": [2, 3]}),
    ((1, 1, 9), (1, 1, 5), lambda m, c, k: (k != 2) & (k != 4), {"pads": [1, 1]}),
    ((1, 1, 5, 6), (2, 1, 3, 3), lambda m, c, a, b: 3 * a + b < 4 + m, {"pads": [1, 1, 1, 1]}),
    ((1, 1, 3, 3, 3), (1, 1, 2, 2, 2), lambda m, c, a, b, d: a + b + d == 1, {}),
]


@pytest.mark.parametrize(("x", "w", "kept", "attributes"), CONVOLUTIONS)
@pytest.mark.parametrize("op_type", ["Conv", "ConvTranspose"])
def test_zero_taps(op_type: str, x: Any, w: Any, kept: Any, attributes: Any) -> None:
    W = taps(w, kept)
    if op_type == "ConvTranspose":
        group = attributes.get("group", 1)
        # The same channels: those of the input come first.
        W = W.reshape(group, w[0] // group, *w[1:]).swapaxes(1, 2)
        W = W.reshape(w[1] * group, w[0] // group, *w[2:])
    elements(node(op_type, {"X": floats(*x), "W": W}, ("W",), **attributes))


def test_a_computed_kernel_of_which_taps_are_zero() -> None:
    mask = np.array([1, 0, 1], np.float32).reshape(1, 1, 3)
    text = """net (float[1,1,6] x, float[2,1,3] w) => (float[1,2,4] y)
        { u = Mul(w, mask) y = Conv(x, u) }"""
    elements(net(text, {"x": floats(1, 1, 6), "w": floats(2, 1, 3)}, {"mask": mask}))


def test_the_blind_spot_of_a_masked_stack() -> None:
    def kernel(centre: bool) -> np.ndarray:
        return taps((1, 1, 3, 3), lambda m, c, a, b: (a < 1) | ((a == 1) & (b < 1 + centre)))

    text = """net (float[1,1,9,9] x) => (float[1,1,9,9] y) {
        a = Conv <pads = [1, 1, 1, 1]> (x, A)
        b = Conv <pads = [1, 1, 1, 1]> (a, B)
        y = Conv <pads = [1, 1, 1, 1]> (b, B) }"""
    case = net(text, {"x": floats(1, 1, 9, 9)}, {"A": kernel(False), "B": kernel(True)})
    elements(case)
    seen = np.asarray(analysed(case, prune=True).support("y", (0, 0, 4, 4)))[0, 0]
    # Above to the right of a diagonal nothing is seen, though it comes before.
    assert [row.nonzero()[0].tolist() for row in seen[1:5]] == [
        [1, 2, 3, 4, 5, 6, 7],
        [1, 2, 3, 4, 5, 6],
        [1, 2, 3, 4, 5],
        [1, 2, 3],
    ]


def test_scattered_zeros_stay_sound_and_say_so() -> None:
    W = np.where(np.random.default_rng(0).random((40, 40, 3, 3)) < 0.5, floats(40, 40, 3, 3), 0)
    W[:, :, 2] = 0
    model, _ = single(
        "Conv", {"X": floats(1, 40, 5, 5), "W": W.astype(np.float32)}, constants=("W",)
    )
    analysis = rfgraph.analyze(model, prune=True)
    seen = np.asarray(analysis.support("y0", (0, 3, 1, 1)))[0, :, 1:4, 1:4]
    assert (seen >= (W[3] != 0)).all()
    assert not seen[:, 2].any()
    assert "more than 64 pieces" in analysis.notes[0].reason


@pytest.mark.parametrize("op_type", ["ConvInteger", "MatMulInteger"])
def test_a_stored_zero_is_zero_only_at_the_zero_point(op_type: str) -> None:
    shape = (2, 1, 3) if op_type == "ConvInteger" else (4, 3)
    stored = np.arange(np.prod(shape)).reshape(shape).astype(np.uint8)
    x = np.arange(5, 17).reshape((2, 1, 6) if op_type == "ConvInteger" else (3, 4)).astype(np.uint8)
    names = ("x", "w") if op_type == "ConvInteger" else ("A", "B")
    inputs = {names[0]: x, names[1]: stored, "xz": np.uint8(1), "wz": np.uint8(4)}
    model, feeds = single(
        op_type, inputs, constants=(names[1], "xz", "wz"), kinds={"y0": onnx.TensorProto.INT32}
    )
    elements(Case(op_type, model, feeds, follow=(names[0],), within=(0, 255)))


# ---------------------------------------------------------------- products


@pytest.mark.parametrize("side", [0, 1])
def test_zeros_of_a_matrix(side: int) -> None:
    M = np.float32([[1, 0, 2], [0, 0, 3], [0, 0, 1], [4, 0, 0]])
    inputs = {"A": floats(2, 4), "B": M} if side else {"A": M.T.copy(), "B": floats(4, 2)}
    elements(node("MatMul", inputs, ("AB"[side],)))
    for a, b in ((0, 0), (1, 0), (0, 1), (1, 1)):
        given = {
            n: v.T.copy() if t else v for (n, v), t in zip(inputs.items(), (a, b), strict=True)
        }
        elements(node("Gemm", given, ("AB"[side],), transA=a, transB=b))


@pytest.mark.parametrize(
    ("a", "b"), [((4,), (4, 3)), ((3, 4), (4,)), ((2, 3, 4), (4, 2)), ((3, 4), (2, 4, 2))]
)
def test_zeros_of_batches_and_vectors(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    for k in range(2):
        arrays = [floats(*a), floats(*b)]
        arrays[k] = np.where(RNG.random(arrays[k].shape) < 0.5, arrays[k], 0).astype(np.float32)
        elements(node("MatMul", dict(zip("AB", arrays, strict=True)), ("AB"[k],)))


def test_zeros_of_both_factors() -> None:
    text = """net (float[3,4] x, float[4,3] z) => (float[3,3] y)
        { a = Mul(x, A) b = Mul(z, B) y = MatMul(a, b) }"""
    feeds = {"x": floats(3, 4), "z": floats(4, 3)}
    A = np.float32([[1, 0, 1, 1], [1, 1, 0, 0], [0, 0, 0, 1]])
    B = np.float32([[1, 1, 0], [0, 1, 1], [1, 0, 1], [1, 0, 0]])
    elements(net(text, feeds, {"A": A, "B": B}))


def test_a_factor_of_zero() -> None:
    elements(node("Gemm", {"A": floats(2, 3), "B": floats(3, 2), "C": floats(2)}, (), alpha=0.0))
    elements(node("Gemm", {"A": floats(2, 3), "B": floats(3, 2), "C": floats(2)}, (), beta=0.0))
    model = node("Gemm", {"A": floats(2, 3), "B": floats(3, 2)}, (), alpha=0.0).model
    assert rfgraph.analyze(model).depends("y0", "A")


def test_products_with_zero() -> None:
    text = """net (float[2,4] x, float[2,4] z) => (float[2,4] y, float[2,4] w) {
        a = Mul(x, m) y = Add(a, one)
        b = Pad(r, pads) c = Mul(z, b) w = Add(c, one) }"""
    constants = {
        "m": np.float32([0, 1, 0, 2]),
        "one": np.float32(1),
        "r": np.float32([3]),
        "pads": np.int64([1, 2]),
    }
    elements(net(text, {"x": floats(2, 4), "z": floats(2, 4)}, constants))


def test_zeros_that_are_put_beside() -> None:
    """Zeros before, behind and between what varies, and a triangle of them."""
    text = """net (float[2,3] x, float[6,2] w, float[3,3] t, float[3,2] v)
        => (float[2,2] y, float[3,2] z) {
        p = Pad(x, pads) c = Concat <axis = 1> (nought, p) y = MatMul(c, w)
        u = Trilu <upper = 0> (t) z = MatMul(u, v) }"""
    feeds = {"x": floats(2, 3), "w": floats(6, 2), "t": floats(3, 3), "v": floats(3, 2)}
    constants = {"pads": np.int64([0, 1, 0, 1]), "nought": np.zeros((2, 1), np.float32)}
    elements(net(text, feeds, constants))


@pytest.mark.parametrize("op_type", ["And", "Or"])
def test_logic(op_type: str) -> None:
    x = np.array([[True, False, True], [False, False, True]])
    mask = np.array([True, False, True])
    model, feeds = single(
        op_type, {"A": x, "B": mask}, constants=("B",), kinds={"y0": onnx.TensorProto.BOOL}
    )
    elements(Case(op_type, model, feeds, follow=("A",)))


def test_where() -> None:
    condition = np.array([[True, False, True], [False, False, False]])
    inputs = {"condition": condition, "X": floats(2, 3), "Y": floats(2, 3)}
    elements(node("Where", inputs, ("condition",)))
    assert rfgraph.analyze(node("Where", inputs, ("condition",)).model).support("y0", (0, 0), "Y")


def test_window_of_a_transform() -> None:
    for window in ([0, 1, 2, 1], [1, 1, 0, 1, 1, 1], [0, 1, 0, 1, 0], [1, 0, 0, 2]):
        inputs = {
            "signal": floats(1, 11, 1),
            "frame_step": np.int64(2),
            "window": np.float32(window),
            "frame_length": np.int64(len(window)),
        }
        case = node("STFT", inputs, ("frame_step", "window", "frame_length"))
        analysis = analysed(case, prune=True)
        found = [
            kind for kind, _ in differences(case, observe(case), analysis) if kind == "unsound"
        ]
        assert found == []
        for f in range(2):
            seen = np.asarray(analysis.support("y0", (0, f, 1, 0)))[0, :, 0]
            kept = np.flatnonzero(window) + 2 * f
            assert np.flatnonzero(seen).tolist() == kept.tolist()


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("lead", [(), (2,)])
def test_zeros_of_a_product_of_quantised_matrices(side: int, lead: tuple[int, ...]) -> None:
    stored = np.array([[9, 4, 9], [4, 4, 30], [4, 4, 9], [40, 4, 4]], np.uint8)
    x = np.arange(20, 20 + 8 * np.prod(lead, dtype=int)).astype(np.uint8)
    operands = [x.reshape(*lead, 2, 4), stored]
    if side == 0:
        operands = [stored.T.copy(), x.reshape(*lead, 4, 2)]
    inputs: dict[str, Any] = {}
    for k, name in enumerate("ab"):
        zero = np.uint8(4 if k != side else 1)
        inputs |= {name: operands[k], f"{name}s": np.float32(0.5), f"{name}z": zero}
    inputs |= {"ys": np.float32(40), "yz": np.uint8(2)}
    # The matrix is the constant one.
    inputs["ba"[side] + "z"], inputs["ab"[side] + "z"] = np.uint8(1), np.uint8(4)
    followed = "ba"[side]
    model, feeds = single(
        "QLinearMatMul",
        inputs,
        constants=tuple(n for n in inputs if n != followed),
        kinds={"y0": onnx.TensorProto.UINT8},
    )
    elements(Case("QLinearMatMul", model, feeds, follow=(followed,), within=(0, 255)))


@pytest.mark.parametrize(
    ("equation", "shapes", "side"),
    [
        ("ij,jk->ik", ((2, 4), (4, 3)), 1),
        ("ij,jk->ik", ((3, 4), (4, 2)), 0),
        ("ij,ij->ij", ((2, 3), (2, 3)), 1),
        ("ij,j->ji", ((2, 3), (3,)), 1),
        ("ij,k->ik", ((2, 3), (4,)), 1),
        ("ijk,jkm->im", ((2, 3, 4), (3, 4, 2)), 1),
        ("ijk,kj->", ((2, 2, 3), (3, 2)), 1),
        ("iij,j->j", ((3, 3, 2), (2,)), 0),
        ("i,iji->j", ((3,), (3, 2, 3)), 1),
        ("...ij,...jk->...ik", ((2, 2, 3), (1, 3, 2)), 1),
        ("...ij,...jk->...ik", ((2, 2, 3), (2, 3, 2)), 0),
        ("bij,bjk", ((2, 2, 3), (2, 3, 2)), 1),
    ],
)
def test_zeros_of_a_sum_over_labels(equation: str, shapes: Any, side: int) -> None:
    rng = np.random.default_rng(11)
    arrays = [floats(*shape) for shape in shapes]
    arrays[side] = np.where(rng.random(shapes[side]) < 0.5, arrays[side], np.float32(0))
    names = dict(zip("AB", arrays, strict=True))
    elements(node("Einsum", names, ("AB"[side],), equation=equation))


def test_zeros_of_three_factors() -> None:
    B = np.float32([[1, 0, 2], [0, 0, 1]])
    C = np.float32([[1, 0], [1, 1], [0, 1]])
    inputs = {"A": floats(2, 2), "B": B, "C": C, "D": floats(2, 2)}
    elements(node("Einsum", inputs, ("B", "C"), equation="ij,jk,kl,lm->im"))


def test_many_zeros_under_two_labels_stay_sound_and_say_so() -> None:
    B = np.where(np.random.default_rng(0).random((30, 30)) < 0.5, floats(30, 30), 0)
    B[:, :4] = 0
    inputs = {"A": floats(30, 30), "B": B.astype(np.float32)}
    model, _ = single("Einsum", inputs, constants=("B",), equation="ij,ij->")
    analysis = rfgraph.analyze(model, prune=True)
    seen = np.asarray(analysis.support("y0", (), "A"))
    assert (seen >= (B != 0)).all()
    assert not seen[:, :4].any()
    assert "more than 64 pieces" in analysis.notes[0].reason


SCALED = {
    "BatchNormalization": ({"mean": floats(4), "var": floats(4)}, {}),
    "InstanceNormalization": ({}, {}),
    "GroupNormalization": ({}, {"num_groups": 2}),
}


@pytest.mark.parametrize("op_type", SCALED)
@pytest.mark.parametrize("scale", [[0, 1, 0, 2], [0, 0, 0, 0]])
def test_channels_of_which_the_scale_is_0(op_type: str, scale: list[float]) -> None:
    more, attributes = SCALED[op_type]
    inputs = {"X": floats(2, 4, 3), "scale": np.float32(scale), "B": floats(4), **more}
    elements(node(op_type, inputs, ("scale", "B"), **attributes))


def test_groups_of_which_the_scale_is_0() -> None:
    inputs = {"X": floats(1, 4, 3), "scale": np.float32([0, 1]), "B": floats(2)}
    case = node("GroupNormalization", inputs, ("scale", "B"), opset=18, num_groups=2)
    elements(case)


@pytest.mark.parametrize("scale", [[1, 0, 2], [[1, 0, 2], [0, 0, 1]]])
def test_places_of_which_the_scale_is_0(scale: Any) -> None:
    axis = -np.ndim(scale)
    inputs = {"X": floats(2, 2, 3), "scale": np.float32(scale), "B": floats(3)}
    elements(node("LayerNormalization", inputs, ("scale", "B"), axis=axis))


def test_a_batch_of_training_of_which_the_scale_is_0() -> None:
    names = ("scale", "B", "mean", "var")
    inputs = {"X": floats(2, 3, 2), **{name: floats(3) for name in names}}
    inputs["scale"][1] = 0
    model, _ = single("BatchNormalization", inputs, 3, constants=names, training_mode=1)
    analysis = rfgraph.analyze(model, prune=True)
    assert [analysis.depends("y0", "X"), analysis.support("y0", (0, 1, 0), "X").count] == [True, 0]
    for unit, output in (((0, 0, 0), "y0"), ((1,), "y1"), ((1,), "y2")):
        assert analysis.support(output, unit, "X").count == 4


@pytest.mark.parametrize(("op_type", "gates"), [("RNN", 1), ("GRU", 3), ("LSTM", 4)])
def test_features_that_no_unit_of_a_recurrent_layer_reads(op_type: str, gates: int) -> None:
    W = floats(2, 2 * gates, 3) * np.float32(0.3)
    W[0, :, 1] = W[1, :, 2] = 0
    inputs = {
        "X": floats(2, 3, 3),
        "W": W,
        "R": floats(2, 2 * gates, 2) * np.float32(0.3),
    }
    case = node(op_type, inputs, ("W", "R"), hidden_size=2, direction="bidirectional")
    elements(case)
    for direction, features in enumerate(([True, False, True], [True, True, False])):
        seen = analysed(case, prune=True).support("y0", (1, direction, 0, 0), "X")
        assert seen.along(2).tolist() == features


@pytest.mark.parametrize("opset", [19, 21])
def test_stored_weights(opset: int) -> None:
    text = """net (float[2,3] x) => (float[2,2] y) {
        w = DequantizeLinear(stored, scale, zero) y = MatMul(x, w) }"""
    constants = {
        "stored": np.array([[7, 9], [9, 7], [7, 7]], np.uint8),
        "scale": np.float32(0.5),
        "zero": np.uint8(7),
    }
    case = net(text, {"x": floats(2, 3)}, constants)
    case.model.opset_import[0].version = opset
    elements(case)


@pytest.mark.parametrize(
    "op", ["Asinh", "Celu", "HardSwish", "Mish", "Shrink", "Sin", "Softsign", "Tan"]
)
def test_zeros_pass_what_makes_zeros_of_them(op: str) -> None:
    """What they are multiplied with is not read."""
    text = f"""net (float[2,3] x, float[2,3] v) => (float[2,3] y) {{
        m = Mul(x, c) s = {op}(m) y = Mul(s, v) }}"""
    case = net(text, {"x": floats(2, 3), "v": floats(2, 3)}, {"c": np.float32([[1, 0, 1]])})
    case.model.opset_import[0].version = 22
    elements(case)
    analysis = analysed(case, prune=True)
    assert [analysis.support("y", (0, k), "v").count for k in range(3)] == [1, 0, 1]


def test_a_mask_that_leaves_nothing_to_vary_is_passed_on() -> None:
    """Each row has one key left: its weight is 1 whatever the scores are, and the rest 0."""
    kept = np.array([[1, 0, 0], [0, 0, 1]], bool)
    text = """net (float[2,3] s, float[3,2] v) => (float[2,2] y) {
        m = Add(s, mask) p = Softmax(m) w = Mul(p, c) t = Transpose(w)
        u = Transpose(t) y = MatMul(u, v) }"""
    constants = {"mask": np.where(kept, np.float32(0), -INF), "c": floats(2, 3)}
    case = net(text, {"s": floats(2, 3), "v": floats(3, 2)}, constants)
    elements(case)
    analysis = analysed(case, prune=True)
    assert analysis.support("y", (0, 0), "s").count == 0
    assert np.argwhere(np.asarray(analysis.support("y", (1, 0), "v"))).tolist() == [[2, 0]]


@pytest.mark.parametrize("many", [1, 5])
def test_large_masks_are_gone_through_in_blocks(many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known of each element is the same; where it is not known, the value is open."""

    def answers() -> list[list[Any]]:
        rng = np.random.default_rng(3)
        found = []
        for shape in [(2, 3, 4), (1, 8, 5), (6, 1, 2)] * 4:
            known = rng.random(shape) < 0.8
            value = rng.choice(np.float32([-INF, -6000, -1e33, 0, 1, 2]), shape)
            maybe = rng.random(shape) < 0.1
            fact = facts.Fact(known, value, None, maybe if shape[0] == 2 else None)
            for axis in range(3):
                *masks, spared = facts.rows(fact, axis)
                found.append([*masks, np.array(spared)])

                def weights(block: Sequence[Any], axis: int = axis) -> facts.Learnt | None:
                    return learning._weights(block[0], axis)

                learnt = learning._learnt(weights, [fact], 3, axis)
                if learnt is not None:
                    own = learnt.fact
                    found.append([own.known, learnt.settled, np.where(own.known, own.value, 5)])
        return found

    at_once = answers()
    monkeypatch.setattr(facts, "_BLOCK", many)
    for whole, joined in zip(at_once, answers(), strict=True):
        for one, other in zip(whole, joined, strict=True):
            assert (one is None) == (other is None)
            assert one is None or np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def test_zeros_beside_what_no_longer_varies() -> None:
    text = """net (float[1,2,2] x, float[1,2,2] v) => (float[1,2,2] y) {
        n = BatchNormalization(x, scale, b, b, b) q = Div(c, n) y = Mul(q, v) }"""
    constants = {
        "scale": np.zeros(2, np.float32),
        "b": floats(2),
        "c": np.float32([[[1, 0], [0, 1]]]),
    }
    case = net(text, {"x": floats(1, 2, 2), "v": floats(1, 2, 2)}, constants)
    elements(case)
    analysis = analysed(case, prune=True)
    seen = [analysis.support("y", unit, "v").count for unit in np.ndindex(1, 2, 2)]
    assert seen == [1, 0, 0, 1]
    assert not analysis.depends("y", "x")


@pytest.mark.parametrize("k", ['""', "k"])
def test_a_triangle_of_what_has_zeros(k: str) -> None:
    text = f"""net (float[3,3] x, float[3,2] v) => (float[3,2] y) {{
        a = Mul(x, M) t = Trilu <upper = 0> (a, {k}) y = MatMul(t, v) }}"""
    M = np.float32([[0, 1, 1], [1, 0, 1], [1, 0, 1]])
    elements(net(text, {"x": floats(3, 3), "v": floats(3, 2)}, {"M": M, "k": np.int64(-1)}))


SUMS = {
    "s = MatMul(z, w)": (3, 3),
    "s = Gemm(z, w, c)": (3, 3),
    "s = Gemm <transA = 1> (z, w)": (3, 3),
    's = Einsum <equation = "ij,jk->ki"> (z, w)': (3, 3),
    "s = ReduceSum <keepdims = 0> (z, one)": (3,),
    "s = ReduceMean <keepdims = 1> (z, one)": (3, 1),
    "s = CumSum(z, nought)": (3, 3),
    "r = Reshape(z, form) q = Conv <kernel_shape = [2]> (r, W) s = Squeeze(q, front)": (2, 2),
    "r = Reshape(z, form) q = Conv(r, W, b) s = Squeeze(q, front)": (2, 2),
    "r = Reshape(z, form) q = ConvTranspose(r, T, b) s = Squeeze(q, front)": (2, 4),
    "r = Reshape(z, form) q = AveragePool <kernel_shape = [2]> (r) s = Squeeze(q, front)": (3, 2),
}


@pytest.mark.parametrize("text", SUMS)
def test_a_sum_of_nothing_but_zeros_is_zero(text: str) -> None:
    """What it is multiplied with is not read."""
    shape = SUMS[text]
    sizes = ",".join(map(str, shape))
    case = net(
        f"net (float[3,3] x, float[{sizes}] v) => (float[{sizes}] y) "
        f"{{ z = Mul(x, M) {text} y = Mul(s, v) }}",
        {"x": floats(3, 3), "v": floats(*shape)},
        {
            "M": np.float32([[0, 0, 1], [0, 0, 0], [1, 0, 0]]),
            "w": np.float32([[1, 0, 1], [1, 0, 1], [0, 0, 1]]),
            "c": np.float32([0, 1, 0]),
            "one": np.int64([1]),
            "nought": np.int64(0),
            "front": np.int64([0]),
            "form": np.int64([1, 3, 3]),
            "W": np.float32([[[1, 0], [0, 1], [0, 0]], [[1, 1], [0, 1], [0, 0]]]),
            "T": np.float32([[[1, 0], [0, 0]], [[1, 1], [0, 1]], [[0, 0], [0, 1]]]),
            "b": np.float32([1, 0]),
        },
    )
    elements(case)
    seen = [analysed(case, prune=True).support("y", unit, "v").count for unit in np.ndindex(shape)]
    assert 0 in seen


# ---------------------------------------------------------------- masks


@pytest.mark.parametrize("masked", [-INF, LEAST, np.float32(-1e9), np.float32(-1e4)])
@pytest.mark.parametrize(
    "kept",
    [
        band(4, 4),
        band(5, 2),
        band(5, 2, 1),
        band(4, 9).T,
        np.array([[1, 0, 1, 1], [0, 1, 0, 1], [1, 1, 1, 1]], bool),
        np.array([[1, 0, 1]], bool),
    ],
)
def test_added_masks(masked: np.float32, kept: np.ndarray) -> None:
    elements(attention(np.where(kept, np.float32(0), masked)))


def test_chosen_masks() -> None:
    kept = band(4, 2)
    elements(attention(kept, f"f = Constant <value_float = {LEAST}> () m = Where(mask, s, f)"))
    text = "c = Not(mask) n = Cast <to = 1> (c) d = Mul(n, big) b = Add(s, d) m = Identity(b)"
    case = attention(kept, text)
    case.model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(-1e9), "big"))
    elements(case)


def test_a_chain_as_exporters_write_it() -> None:
    """Shape, Range, Less and a Trilu beside it, moved and broadcast, with NaN made 0."""
    text = """net (float[1,4,2] q, float[1,2,4] k, float[1,4,2] v) => (float[1,4,2] y) {
        shape = Shape(q) n = Gather(shape, one)
        r = Range(zero, n, one) row = Unsqueeze(r, axes1) col = Unsqueeze(r, axes0)
        late = Less(row, col)
        full = ConstantOfShape <value = float[1] {1}> (square) low = Trilu <upper = 0> (full, back)
        far = Cast <to = 9> (low) cut = Or(late, far)
        mask = Where(cut, inf, nought) u = Unsqueeze(mask, axes0)
        s = MatMul(q, k) m = Add(s, u) p = Softmax(m)
        nan = IsNaN(p) f = Where(nan, nought, p) t = Transpose <perm = [0, 2, 1]> (f)
        g = Transpose <perm = [0, 2, 1]> (t) y = MatMul(g, v) }"""
    constants: dict[str, Any] = {
        "one": np.int64(1),
        "zero": np.int64(0),
        "axes0": np.int64([0]),
        "axes1": np.int64([1]),
        "square": np.int64([4, 4]),
        "back": np.int64(-2),
        "inf": -INF,
        "nought": np.float32(0),
    }
    feeds = {"q": floats(1, 4, 2), "k": floats(1, 2, 4), "v": floats(1, 4, 2)}
    case = net(text, feeds, constants)
    elements(case)
    for unit, keys in enumerate([[0], [0, 1], [1, 2], [2, 3]]):
        seen = analysed(case, prune=True).support("y", (0, unit, 0), "v")
        assert np.flatnonzero(seen.along(1)).tolist() == keys


@pytest.mark.parametrize("training", [False, True])
def test_weights_that_are_dropped(training: bool) -> None:
    text = """net (float[3,2] q, float[2,3] k, float[3,2] v) => (float[3,2] y) {
        s = MatMul(q, k) m = Add(s, mask) p = Softmax(m)
        d = Dropout(p, ratio, train) y = MatMul(d, v) }"""
    constants: dict[str, Any] = {
        "mask": np.where(band(3, 2), np.float32(0), -INF),
        "ratio": np.float32(0.5),
        "train": np.bool_(training),
    }
    case = net(text, {"q": floats(3, 2), "k": floats(2, 3), "v": floats(3, 2)}, constants)
    for unit, keys in enumerate([[0], [0, 1], [1, 2]]):
        seen = analysed(case, prune=True).support("y", (unit, 0), "v").along(0)
        assert np.flatnonzero(seen).tolist() == keys


def test_a_row_that_is_masked_whole_is_not_cut() -> None:
    mask = np.where([[1, 0, 0], [0, 0, 0]], np.float32(0), np.float32(-1e4))
    elements(attention(mask))
    case = attention(np.where([[1, 0, 0], [0, 0, 0]], np.float32(0), LEAST))
    kinds = [kind for kind, _ in differences(case, observe(case), analysed(case, prune=True))]
    assert kinds == []


def test_masks_by_the_data_beside_constant_ones() -> None:
    """Where the data may mask all that a finite mask leaves, a softmax is uniform again."""
    chosen = "b = And(mask, pad) z = Constant <value_float = 0.0> () e = Where(b, z, f)"
    pad = np.array([[False, True, True]])
    for number, cut in (
        (f"f = Constant <value_float = {LEAST}> ()", False),
        ("g = Constant <value_float = 1e30> () h = Mul(g, g) f = Neg(h)", True),
    ):
        case = attention(band(3, 3), f"{number} {chosen} m = Add(s, e)", pad=pad)
        case = Case(case.name, case.model, case.feeds, within=(0.1, 3), follow=(*"qkv", "pad"))
        found = differences(case, observe(case, trials=8), analysed(case, prune=True))
        assert [message for kind, message in found if kind == "unsound"] == []
        seen = analysed(case, prune=True).support("y", (0, 1, 0), "v").along(1)
        assert seen.tolist() == [True, True, not cut]
        held = rfgraph.analyze(case.model, values={"pad": np.array([[True] * 3])}, prune=True)
        assert held.support("y", (0, 1, 0), "v").along(1).tolist() == [True, True, False]


def test_a_mild_mask_cuts_nothing() -> None:
    """A mask of -100, as of shifted windows, leaves a little of what it masks."""
    case = attention(np.where(band(3, 3), np.float32(0), np.float32(-100)))
    seen = analysed(case, prune=True).support("y", (0, 0, 0), "v")
    assert seen.along(1).all()


@pytest.mark.parametrize("masked", ["bool", -INF, np.float32(-1e4)])
@pytest.mark.parametrize("shape", [(3, 4), (2, 1, 3, 4), (1, 2, 1, 4)])
def test_masks_of_attention(masked: Any, shape: tuple[int, ...]) -> None:
    kept = np.random.default_rng(3).random(shape) < 0.6
    kept[..., 0] = True
    mask = kept if masked == "bool" else np.where(kept, np.float32(0), masked)
    inputs = {"Q": floats(2, 2, 3, 2), "K": floats(2, 2, 4, 2), "V": floats(2, 2, 4, 2)}
    # Beside causality onnxruntime takes a mask of one row for the first query's.
    for causal in (0, 1) if shape[-2] > 1 else (0,):
        given = {**inputs, "attn_mask": mask}
        case = node("Attention", given, ("attn_mask",), opset=23, is_causal=causal)
        elements(case)


def test_a_row_of_attention_that_is_masked_whole() -> None:
    inputs = {"Q": floats(1, 1, 2, 2), "K": floats(1, 1, 3, 2), "V": floats(1, 1, 3, 2)}
    mask = np.float32([[-1e4, -1e4, -1e4], [0, -1e4, 0]])
    elements(node("Attention", {**inputs, "attn_mask": mask}, ("attn_mask",), opset=23))


@pytest.mark.parametrize("opset", [23, 24, 25])
@pytest.mark.parametrize("masked", ["bool", -INF])
@pytest.mark.parametrize("more", ["", "causal", "capped", "packed", "scores", "keys"])
def test_a_query_of_which_a_mask_excludes_all_keys_reads_nothing(
    masked: Any, opset: int, more: str
) -> None:
    """As onnxruntime has it, and the specification: the row of the output is 0."""
    kept = np.array([[0, 0, 0, 0], [0, 0, 1, 1], [1, 0, 1, 1]], bool)
    mask = kept if masked == "bool" else np.where(kept, np.float32(0), masked)
    inputs = {"Q": floats(1, 2, 3, 2), "K": floats(1, 2, 4, 2), "V": floats(1, 2, 4, 2)}
    given: dict[str, Any] = {"opset": opset}
    unit: tuple[int, ...] = (0, 0, 0, 0)
    if more == "causal":
        # Beside the mask it empties the second row too.
        given["is_causal"] = 1
    elif more == "capped":
        given["softcap"] = 2.0
    elif more == "packed":
        inputs = {"Q": floats(1, 3, 4), "K": floats(1, 4, 4), "V": floats(1, 4, 4)}
        given |= {"q_num_heads": 2, "kv_num_heads": 2}
        unit = (0, 0, 0)
    elif more == "scores":
        given |= {"outputs": ("y0", "", "", "scores"), "qk_matmul_output_mode": 3}
    case = node("Attention", {**inputs, "attn_mask": mask}, ("attn_mask",), **given)
    if more == "keys":
        if opset == 23:
            return
        kept = np.array([[0, 0, 1, 1], [1, 1, 1, 1], [0, 1, 0, 0]], bool)
        mask = kept if masked == "bool" else np.where(kept, np.float32(0), masked)
        inputs |= {"attn_mask": mask, "past_key": None, "past_value": None}
        inputs["nonpad_kv_seqlen"] = np.array([2])
        case = node("Attention", inputs, ("attn_mask", "nonpad_kv_seqlen"), **given)
    elements(case)
    assert not analysed(case, prune=True).support("y0", unit, "V")


@pytest.mark.parametrize("masked", ["bool", -INF])
def test_a_mask_that_excludes_everything(masked: Any) -> None:
    mask = np.zeros((3, 4), bool) if masked == "bool" else np.full((3, 4), masked, np.float32)
    inputs = {"Q": floats(1, 1, 3, 2), "K": floats(1, 1, 4, 2), "V": floats(1, 1, 4, 2)}
    case = node("Attention", {**inputs, "attn_mask": mask}, ("attn_mask",), opset=23)
    elements(case)
    assert not analysed(case, prune=True).depends("y0")


@pytest.mark.parametrize("packed", [False, True])
def test_values_of_attention_that_are_0(packed: bool) -> None:
    """Where all values that a query may attend are 0, neither scores nor mask are read."""
    V = np.float32([[1, 0], [0, 0], [0, 2], [0, 1]])
    mask = band(4, 2)
    inputs = {"Q": floats(1, 2, 4, 2), "K": floats(1, 1, 4, 2), "V": V[None, None]}
    heads: dict[str, int] = {}
    if packed:
        inputs = {"Q": floats(1, 4, 4), "K": floats(1, 4, 2), "V": V[None]}
        heads = {"q_num_heads": 2, "kv_num_heads": 1}
    case = node("Attention", {**inputs, "attn_mask": mask}, ("V", "attn_mask"), opset=23, **heads)
    elements(case)
    analysis = analysed(case, prune=True)
    for place, count in ((0, 2), (1, 0)):
        unit = (0, 1, 2 + place) if packed else (0, 1, 1, place)
        assert analysis.support("y0", unit, "Q").count == count


def test_a_mask_of_attention_by_the_data() -> None:
    text = f"""net (float[1,1,2,2] q, float[1,1,3,2] k, float[1,1,3,2] v, bool[2,3] pad)
        => (float[1,1,2,2] y) {{
        b = And(mask, pad) z = Constant <value_float = 0.0> ()
        f = Constant <value_float = {LEAST}> () e = Where(b, z, f) y = Attention(q, k, v, e) }}"""
    kept = np.array([[True, False, False], [True, True, False]])
    pad = np.array([[False, True, True], [True, True, True]])
    feeds = {"q": floats(1, 1, 2, 2), "k": floats(1, 1, 3, 2), "v": floats(1, 1, 3, 2), "pad": pad}
    case = net(text, feeds, {"mask": kept})
    case.model.opset_import[0].version = 23
    # onnxruntime gives a row that is masked whole no weights, where softmax has uniform ones.
    evaluator = ReferenceEvaluator(case.model)
    case = Case(
        "data",
        case.model,
        feeds,
        within=(0.1, 3),
        follow=(*"qkv", "pad"),
        run=lambda given: evaluator.run(None, given),
    )
    analysis = analysed(case, prune=True)
    found = list(differences(case, observe(case, trials=8), analysis))
    assert [message for kind, message in found if kind == "unsound"] == []
    held = rfgraph.analyze(case.model, values={"pad": np.ones((2, 3), bool)}, prune=True)
    for unit, keys in enumerate(([0], [0, 1])):
        assert analysis.support("y", (0, 0, unit, 0), "v").along(2).all()
        seen = held.support("y", (0, 0, unit, 0), "v").along(2)
        assert np.flatnonzero(seen).tolist() == keys


# ---------------------------------------------------------------- the whole


def test_layers_of_windows() -> None:
    n, w, layers = 24, 4, 3
    steps = [
        f"t{k} = Transpose <perm = [0, 2, 1]> (x{k}) s{k} = MatMul(x{k}, t{k}) "
        f"m{k} = Add(s{k}, mask) p{k} = Softmax(m{k}) c{k} = MatMul(p{k}, x{k}) "
        f"x{k + 1} = Add(c{k}, x{k}) "
        for k in range(layers)
    ]
    head = f"net (float[1,{n},2] x) => (float[1,{n},2] x{layers})"
    text = f"{head} {{ x0 = Identity(x) {''.join(steps)} }}"
    mask = np.where(band(n, w), np.float32(0), -INF)
    case = net(text, {"x": floats(1, n, 2)}, {"mask": mask})
    analysis = analysed(case, prune=True)
    for unit in range(n):
        seen = analysis.support(f"x{layers}", (0, unit, 0)).along(1)
        assert np.flatnonzero(seen).tolist() == list(
            range(max(0, unit - layers * (w - 1)), unit + 1)
        )
    field = analysis.field(f"x{layers}").axes[1]
    assert (field.size, field.start, field.is_global) == (layers * (w - 1) + 1, -9, False)
    assert (field.smallest, field.back, field.ahead) == (10, 9, 0)


def test_large_masks_are_cut_where_they_are_used() -> None:
    n = 600
    case = attention(np.where(band(n, 5), np.float32(0), -INF))
    analysis = analysed(case, prune=True)
    assert analysis.support("y", (0, 300, 0), "v").box == ((0, 0), (296, 300), (0, 0))
    assert analysis.support("y", (0, 300, 0), "k").box == ((0, 0), (0, 1), (296, 300))
    assert any("masked elements of its output" in note.reason for note in analysis.notes)


def test_nothing_is_cut_by_default() -> None:
    case = attention(np.where(band(4, 2), np.float32(0), -INF))
    assert rfgraph.analyze(case.model).support("y", (0, 0, 0), "v").along(1).all()


def test_what_is_assumed_is_said() -> None:
    def notes(masked: float) -> list[Note]:
        mask = np.where(band(4, 2), np.float32(0), np.float32(masked))
        return analysed(attention(mask), prune=True).notes

    assert notes(-np.inf) == notes(LEAST) == []
    assert "weight of exactly 0" in notes(-1e4)[0].reason


def test_the_command_line(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from rfgraph import cli

    W = np.float32([0, 1, 0]).reshape(1, 1, 3)
    case = node("Conv", {"X": floats(1, 1, 5), "W": W}, ("W",))
    path = tmp_path / "m.onnx"
    onnx.save(case.model, path)
    for options, box in ((["--prune"], "1..1"), ([], "0..2")):
        assert cli.main(["unit", str(path), "y0", "0,0,0", *options]) == 0
        assert f" {box} " in capsys.readouterr().out
