"""What many elements decide together: reductions, normalisations, products of matrices."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from .single import Single, family, floats, ints, live, single

_SUMS = (
    "ReduceSum",
    "ReduceMean",
    "ReduceMax",
    "ReduceMin",
    "ReduceL1",
    "ReduceL2",
    "ReduceProd",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceSumSquare",
)


@family("reductions")
def reductions() -> Iterator[Single]:
    """Reductions along some axes, as attributes and as inputs."""
    for kind, axes in product(_SUMS, ((0,), (-1, 0), ())):
        x = live(3, 2, 4, low=0.3, high=1.4)
        if axes:
            yield single(kind, x, ints(*axes), opset=18, keepdims=0)
        else:
            yield single(kind, x, opset=18, keepdims=1)
    for kind in ("ReduceSum", "ReduceMax"):
        yield single(kind, live(3, 4), opset=18, noop_with_empty_axes=1)
        yield single(kind, live(3, 4), ints(), opset=18, noop_with_empty_axes=1, note="no axes")
    for kind in ("ReduceMean", "ReduceMax", "ReduceL2"):
        yield single(kind, live(3, 2, 4), opset=11, axes=[-2], keepdims=0)
    yield single("ReduceSum", live(3, 2, 4), opset=11, axes=[1, -1])


@family("Softmax")
def softmax() -> Iterator[Single]:
    """Along one axis, and before operator set 13 over all behind it."""
    for kind, axis in product(("Softmax", "LogSoftmax", "Hardmax"), (0, 1, 2, -1, -2)):
        # Before 11 an axis is counted from the first.
        for opset in (1, 11, 13) if axis >= 0 else (11, 13):
            hides = kind == "Hardmax"
            yield single(kind, live(2, 3, 4), opset=opset, hides=hides, axis=axis)
    for kind, opset in product(("Softmax", "LogSoftmax", "Hardmax"), (9, 11, 13)):
        hides = kind == "Hardmax"
        yield single(kind, live(1, 3, 2, 4), opset=opset, hides=hides, note="no axis given")


@family("LRN")
def lrn() -> Iterator[Single]:
    """Windows of channels, of odd and of even size."""
    for size, channels in product((1, 2, 3, 4, 5, 7), (3, 6)):
        yield single("LRN", live(1, channels, 2, 2), opset=13, size=size, alpha=0.5, bias=1.0)
    # The reference is right where there are as many samples as channels.
    for size in (2, 3, 4):
        yield single("LRN", live(4, 4, 1, 1), opset=13, size=size, alpha=0.5, bias=1.0)
    yield single("LRN", live(1, 4, 3), opset=13, size=3, alpha=0.5)
    yield single("LRN", live(2, 5), opset=13, size=2, alpha=0.5)


@family("normalisations")
def normalisations() -> Iterator[Single]:
    """Normalisations over instances, groups, layers, batches."""
    scale, bias = floats(4), floats(4, seed=2)
    for shape in ((2, 4, 5), (1, 4, 3, 3)):
        yield single("InstanceNormalization", live(*shape), scale, bias, opset=6)
        yield single(
            "BatchNormalization",
            live(*shape),
            scale,
            bias,
            floats(4, seed=3),
            floats(4, seed=4, low=0.3),
            opset=15,
        )
    for groups in (1, 2, 4):
        yield single(
            "GroupNormalization",
            live(1, 4, 3, 3),
            scale,
            bias,
            opset=21,
            num_groups=groups,
            made=(1, 4, 3, 3),
        )
    for axis in (0, 1, 2, -1, -2):
        over = (2, 3, 4)[axis:]
        yield single(
            "LayerNormalization",
            live(2, 3, 4),
            floats(*over),
            floats(*over, seed=2),
            opset=17,
            axis=axis,
        )
        yield single(
            "LayerNormalization", live(2, 3, 4), floats(*over), None, opset=17, axis=axis, outputs=3
        )
        yield single("RMSNormalization", live(2, 3, 4), floats(*over), opset=23, axis=axis)
    # ONNX does not infer the shape where axes are left out.
    for axes in ([0, 2, 3], [2, 3], [1], [-1]):
        yield single("MeanVarianceNormalization", live(2, 3, 3, 2), opset=13, axes=axes)
    for axis, p in product((-1, 0, 1), (1, 2)):
        yield single("LpNormalization", live(3, 4, 2), opset=1, axis=axis, p=p)
    yield single(
        "BatchNormalization",
        live(3, 2, 4),
        floats(2),
        floats(2, seed=2),
        floats(2, seed=3),
        floats(2, seed=4, low=0.3),
        opset=15,
        training_mode=1,
        outputs=("Y", "running_mean", "running_var"),
    )


@family("MatMul, Gemm")
def products() -> Iterator[Single]:
    """Products of matrices, of every rank."""
    for a, b in (
        ((3, 4), (4, 2)),
        ((4,), (4, 2)),
        ((3, 4), (4,)),
        ((4,), (4,)),
        ((2, 1, 3, 4), (3, 4, 2)),
        ((2, 3, 4), (4,)),
        ((4,), (2, 4, 3)),
    ):
        yield single("MatMul", live(*a), live(*b), opset=13)
    for left, right, c in product((0, 1), (0, 1), ((3, 2), (2,), (3, 1), ())):
        a, b = ((4, 3) if left else (3, 4)), ((2, 4) if right else (4, 2))
        yield single(
            "Gemm",
            live(*a),
            live(*b),
            live(*c),
            opset=13,
            transA=left,
            transB=right,
            alpha=0.5,
            beta=2.0,
        )
    x = live(3, 4, low=1, high=120, dtype=np.uint8)
    weights = np.arange(1, 9, dtype=np.uint8).reshape(4, 2)
    yield single("MatMulInteger", x, weights, np.array(10, np.uint8), opset=10)
    yield single("Det", live(2, 3, 3), opset=11)


@family("Einsum")
def einsum() -> Iterator[Single]:
    """Sums by letters."""
    for equation, *shapes in (
        ("ij->ji", (3, 4)), ("ii->i", (3, 3)), ("ii", (3, 3)), ("bii->bi", (2, 3, 3)),
        ("ij,jk->ik", (2, 3), (3, 2)), ("bij,bkj->bik", (2, 2, 3), (2, 4, 3)),
        ("...ij,...jk->...ik", (2, 2, 3), (1, 3, 2)), ("i,j->ij", (3,), (4,)),
        ("ij->", (3, 4)), ("ij->i", (3, 4)), ("bhqd,bhkd->bhqk", (1, 2, 2, 3), (1, 2, 3, 3)),
        ("ij,ij->ij", (2, 3), (2, 3)), ("...i->...", (2, 3, 4)), ("abc->cab", (2, 3, 4)),
        ("i,i", (4,), (4,)), ("ij,j", (3, 4), (4,)),
    ):  # fmt: skip
        yield single("Einsum", *(live(*shape) for shape in shapes), opset=12, equation=equation)


@family("losses")
def losses() -> Iterator[Single]:
    """Losses, with labels that are given."""
    labels = ints(2, 0, 1, 1).reshape(2, 2)
    for how in ("none", "sum", "mean"):
        yield single("NegativeLogLikelihoodLoss", live(2, 3, 2), labels, opset=13, reduction=how)
        yield single(
            "SoftmaxCrossEntropyLoss",
            live(2, 3, 2),
            labels,
            floats(3, low=0.3),
            opset=13,
            reduction=how,
            ignore_index=1,
        )


@family("signal")
def signal() -> Iterator[Single]:
    """Fourier transforms."""
    for axis, inverse, one in product((1, 2), (0, 1), (0, 1)):
        width = 2 if inverse else 1
        if not (inverse and one):
            yield single(
                "DFT",
                live(1, 5, 7, width),
                None,
                np.array(axis, np.int64),
                opset=20,
                inverse=inverse,
                onesided=one,
            )
            yield single(
                "DFT", live(1, 5, 7, width), opset=17, axis=axis, inverse=inverse, onesided=one
            )
    for length in (3, 7):
        yield single(
            "DFT", live(1, 5, 2), np.array(length, np.int64), np.array(1, np.int64), opset=20
        )
    for one, step in product((0, 1), (1, 3)):
        yield single(
            "STFT",
            live(1, 12, 1),
            np.array(step, np.int64),
            floats(5, low=0.3),
            opset=17,
            onesided=one,
        )
