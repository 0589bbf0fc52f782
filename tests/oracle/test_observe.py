"""The oracle against cases that were worked out by hand, and against itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

from rfgraph.validation.nan import probe
from rfgraph.validation.nan.kernels import CARRIES, KERNELS, REPLACED
from tests.chunks import chunks
from tests.graphs import model

from . import observe
from .generate import random_graph
from .observe import UnobservableError, hull, perturb, poison

# The version that the rules were established with: others may lose a NaN where it does not.
ESTABLISHED = "1.32."


def sees(body: str, shape: str, opset: int = 17) -> list[str]:
    """What each unit of ``y`` sees of the input ``x`` with the given sizes."""
    made = poison(model(body, f"float[{shape}] x", opset=opset), "x")["y"]
    size = int(np.prod([int(n) for n in shape.split(",")]))
    return ["".join(map(str, row)) for row in made.astype(int).reshape(-1, size)]


# Body, sizes of x, and what each unit of y sees of x.
BY_HAND = {
    "a window, padded and strided": (
        "w = Constant<value = float[1,1,3] {1, 2, 3}> () "
        "y = Conv<pads = [1, 1], strides = [2]> (x, w)",
        "1,1,5",
        ["11000", "01110", "00011"],
    ),
    "a dilated window leaves holes": (
        "w = Constant<value = float[1,1,2] {1, 2}> () y = Conv<dilations = [3]> (x, w)",
        "1,1,5",
        ["10010", "01001"],
    ),
    "windows of padding only see nothing": (
        "w = Constant<value = float[1,1,1] {1}> () y = Conv<pads = [2, 1]> (x, w)",
        "1,1,2",
        ["00", "00", "10", "01", "00"],
    ),
    "a weight of zero is a weight": (
        "w = Constant<value = float[1,1,2] {0, 0}> () y = Conv(x, w)",
        "1,1,3",
        ["110", "011"],
    ),
    "groups of channels": (
        "w = Constant<value = float[2,1,1] {1, 2}> () y = Conv<group = 2> (x, w)",
        "1,2,1",
        ["10", "01"],
    ),
    "a transposed convolution with holes": (
        "w = Constant<value = float[1,1,2] {1, 2}> () y = ConvTranspose<strides = [3]> (x, w)",
        "1,1,2",
        ["10", "10", "00", "01", "01"],
    ),
    "a transposed convolution that overlaps": (
        "w = Constant<value = float[1,1,3] {1, 2, 3}> () y = ConvTranspose<strides = [2]> (x, w)",
        "1,1,2",
        ["10", "10", "11", "01", "01"],
    ),
    "a maximum in a padded window": (
        "y = MaxPool<kernel_shape = [3], pads = [1, 1], strides = [2]> (x)",
        "1,1,4",
        ["1100", "0111"],
    ),
    "an average over padding only": (
        "y = AveragePool<kernel_shape = [2], dilations = [2], pads = [1, 1]> (x)",
        "1,1,1",
        ["0"],
    ),
    "running sums": (
        "a = Constant<value = int64 {0}> () y = CumSum<exclusive = 1, reverse = 1> (x, a)",
        "3",
        ["011", "001", "000"],
    ),
    "softmax along an axis": ("y = Softmax<axis = 0> (x)", "2,2", ["1010", "0101"] * 2),
    "softmax over all axes from one on": ("y = Softmax<axis = 0> (x)", "2,2", ["1111"] * 4),
    "a softmax of one number": ("y = Softmax<axis = 1> (x)", "2,1", ["10", "01"]),
    "both branches of Where": (
        "s = Constant<value = int64[1] {1}> () z = Constant<value = int64[1] {0}> () "
        "e = Constant<value = int64[1] {-9}> () m = Constant<value = int64[1] {-1}> () "
        "c = Constant<value = bool[3] {1, 0, 1}> () r = Slice(x, m, e, z, m) y = Where(c, x, r)",
        "3",
        ["101", "010", "101"],
    ),
    "a live condition": (
        "c = Less(x, x) d = Not(c) i = Constant<value = int64[1] {2}> () a = Gather(x, i) "
        "y = Where(d, a, a)",
        "3",
        ["101", "011", "001"],
    ),
    "an index of a maximum": (
        "i = ArgMax<axis = 1, keepdims = 0> (x) y = Cast<to = 1> (i)",
        "2,2",
        ["1100", "0011"],
    ),
    "an integer on the way": ("i = Cast<to = 6> (x) y = Cast<to = 1> (i)", "2", ["10", "01"]),
    "a window of channels": ("y = LRN<size = 3> (x)", "1,4,1,1", ["1100", "1110", "0111", "0011"]),
    "a gathered turn": (
        "i = Constant<value = int64[2] {-1, 0}> () y = Gather(x, i)",
        "3",
        ["001", "100"],
    ),
    "branches that merge": (
        'p = Constant<value = int64[2] {1, -1}> () q = Pad<mode = "constant"> (x, p) y = Add(x, q)',
        "3",
        ["100", "110", "011"],
    ),
    "nothing but the shape": ("s = Shape(x) y = Cast<to = 1> (s)", "2,2", ["0000", "0000"]),
}

_OLD = {"softmax over all axes from one on": 11, "an average over padding only": 19}


@pytest.mark.parametrize("case", BY_HAND)
def test_by_hand(case: str) -> None:
    body, shape, expected = BY_HAND[case]
    assert sees(body, shape, _OLD.get(case, 17)) == expected


def test_two_inputs_are_told_apart() -> None:
    made = model("y = Mul(a, b)", "float[2,1] a, float[1,2] b")
    assert poison(made, "a")["y"].reshape(4, 2).astype(int).tolist() == [
        [1, 0],
        [1, 0],
        [0, 1],
        [0, 1],
    ]
    assert poison(made, "b")["y"].reshape(4, 2).astype(int).tolist() == [
        [1, 0],
        [0, 1],
        [1, 0],
        [0, 1],
    ]


def test_values_inside_are_observed_when_asked() -> None:
    made = model("r = ReduceMax<keepdims = 0> (x) y = Add(x, r)", "float[2] x")
    assert list(poison(made, "x")) == ["y"]
    found = poison(made, "x", "all")
    assert list(found) == ["r", "y"]
    assert found["r"].shape == (2,)
    assert found["r"].all()
    assert list(poison(made, "x", ["r"])) == ["r"]


def test_taps_of_weight_zero() -> None:
    # Aligned corners, two to three: the outer outputs fall on an input.
    made = model(
        "s = Constant<value = int64[3] {1, 1, 3}> () "
        'y = Resize<mode = "linear", coordinate_transformation_mode = "align_corners"> (x, , , s)',
        "float[1,1,2] x",
    )
    weighted = poison(made, "x", taps="weighted")["y"].reshape(3, 2).astype(int)
    read = poison(made, "x", taps="read")["y"].reshape(3, 2)
    assert weighted.tolist() == [[1, 0], [1, 1], [0, 1]]
    assert (read | ~weighted.astype(bool)).all()
    assert read[0, 1], "the kernel multiplies the second input by zero"


# For each rule a model, and how the operator's input reaches each unit of y.
EYE = ["10", "01"]
ALL = ["11"]
RULED = {
    "MaxPool": ("y = MaxPool<kernel_shape = [2]> (x)", "1,1,3", ["110", "011"]),
    "GlobalMaxPool": ("y = GlobalMaxPool(x)", "1,1,2", ALL),
    "ReduceMax": ("y = ReduceMax<axes = [0]> (x)", "2", ALL),
    "ReduceMin": ("y = ReduceMin<axes = [0]> (x)", "2", ALL),
    "ArgMax": ("y = ArgMax(x)", "2", ALL),
    "ArgMin": ("y = ArgMin(x)", "2", ALL),
    "Hardmax": ("y = Hardmax(x)", "2", ALL * 2),
    "ThresholdedRelu": ("y = ThresholdedRelu(x)", "2", EYE),
    "Shrink": ("y = Shrink(x)", "2", EYE),
    "IsNaN": ("y = IsNaN(x)", "2", EYE),
    "IsInf": ("y = IsInf(x)", "2", EYE),
    "Not": ("b = Cast<to = 9> (x) y = Not(b)", "2", EYE),
    "Cast": ("y = Cast<to = 7> (x)", "2", EYE),
    "CastLike": ("t = Constant<value = int32[1] {1}> () y = CastLike(x, t)", "2", EYE),
    "Greater": ("y = Greater(x, x)", "2", EYE),
    "GreaterOrEqual": ("y = GreaterOrEqual(x, x)", "2", EYE),
    "Less": ("y = Less(x, x)", "2", EYE),
    "LessOrEqual": ("y = LessOrEqual(x, x)", "2", EYE),
    "Equal": ("y = Equal(x, x)", "2", EYE),
    "And": ("b = Cast<to = 9> (x) y = And(b, b)", "2", EYE),
    "Or": ("b = Cast<to = 9> (x) y = Or(b, b)", "2", EYE),
    "Xor": ("b = Cast<to = 9> (x) y = Xor(b, b)", "2", EYE),
    "Where": (
        "c = Constant<value = bool {1}> () i = Constant<value = int64[2] {1, 0}> () "
        "t = Gather(x, i) y = Where(c, x, t)",
        "2",
        ALL * 2,
    ),
    "Clip": (
        "h = ReduceMean<keepdims = 0> (x) y = Clip(x, , h)",
        "2",
        ALL * 2,
    ),
    "Pow": ("o = Constant<value = float {1}> () y = Pow(o, x)", "2", EYE),
    "PRelu": (
        "s = ReduceMean<keepdims = 1> (x) o = Abs(x) y = PRelu(o, s)",
        "2",
        ALL * 2,
    ),
    "LRN": ("y = LRN<size = 1> (x)", "1,2,1,1", EYE),
}


def test_what_has_a_case_has_a_rule() -> None:
    assert {("", op) for op in RULED} <= set(REPLACED)


@pytest.mark.parametrize("op", RULED)
def test_rules_observe_what_is_read(op: str) -> None:
    body, shape, expected = RULED[op]
    assert sees(body, shape) == expected


@pytest.mark.skipif(
    not onnxruntime.__version__.startswith(ESTABLISHED),
    reason=f"the table says what onnxruntime {ESTABLISHED} does",
)
@pytest.mark.parametrize("op", RULED)
def test_without_its_rule_the_kernel_misleads(op: str, monkeypatch: pytest.MonkeyPatch) -> None:
    body, shape, expected = RULED[op]
    kept = {key: found for key, found in REPLACED.items() if key != ("", op)}
    trusted = replace(KERNELS, replaced=kept, carries=CARRIES | {("", op)})
    monkeypatch.setattr(probe, "KERNELS", trusted)
    try:
        found = sees(body, shape)
    except UnobservableError:
        return
    assert found != expected, "onnxruntime carries NaN now: the rule can go"


def test_what_can_not_be_observed_is_refused() -> None:
    with pytest.raises(UnobservableError, match="its operator has no rule"):
        poison(model("y = NonZero(x)", "float[2] x"), "x")
    with pytest.raises(UnobservableError, match="holds NaN without any poison"):
        poison(model("z = Sub(x, x) y = Div(z, z)", "float[2] x"), "x")
    with pytest.raises(UnobservableError, match="32-bit floats"):
        poison(model("y = Neg(x)", "int64[2] x"), "x")
    with pytest.raises(UnobservableError, match="no static shape"):
        poison(model("y = Neg(x)", "float[n] x"), "x")


def test_hulls() -> None:
    mask = np.zeros((2, 3, 4), bool)
    mask[0, 0, 1] = mask[0, 2, 3] = True
    lo, hi = hull(mask, 2)
    assert lo[0].tolist() == [0, 1]
    assert hi[0].tolist() == [2, 3]
    assert (lo[1] > hi[1]).all()


def test_perturbation_by_hand() -> None:
    made = model("y = MaxPool<kernel_shape = [2]> (x)", "float[1,1,3] x")
    assert perturb(made, "x")["y"].reshape(2, 3).astype(int).tolist() == [[1, 1, 0], [0, 1, 1]]


# A running sum forgets to within rounding only: a bit changes beyond the window of an LRN.
@pytest.mark.parametrize("start", chunks(200, 25, quick=1))
def test_what_a_perturbation_shows_is_observed(start: int) -> None:
    strong = 0
    for seed in range(100_000 + start, 100_025 + start):
        made = random_graph(seed)
        if any(node.op_type == "LRN" for node in made.graph.node):
            continue
        for name in observe.input_shapes(made):
            found = poison(made, name, "all")
            shown = perturb(made, name, "all", seed=seed)
            for value, mask in found.items():
                assert shown[value].shape == mask.shape, f"{made.doc_string}: {value}"
                assert not (shown[value] & ~mask).any(), f"{made.doc_string}: {value} by {name}"
                strong += bool((shown[value] == mask).all())
    assert strong > 100, "most values show all that they read"
