"""Cases of fused operators of com.microsoft."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np

from tests.graphs import single

from ..perturbation import Case, Run
from . import cases

MS = "com.microsoft"
_Cases: TypeAlias = Iterator[Case]


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal, and of a size at which activations and softmax are far from their ends."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def ms(op_type: str, inputs: dict[str, Any], outputs: int | list[str] = 1, **options: Any) -> Any:
    """`single`, in the domain com.microsoft."""
    return single(op_type, inputs, outputs, domain=MS, **options)


# ---------------------------------------------------------------- element by element


@cases("Gelu", MS)
@cases("QuickGelu", MS)
@cases("SampleOp", MS)
@cases("FastGelu", MS)
@cases("ScaledSiLU", MS)
def activations() -> _Cases:
    for op in ("Gelu", "QuickGelu", "SampleOp", "FastGelu", "ScaledSiLU"):
        yield Case(op, *ms(op, {"X": normal(2, 3, 2)}), within=(-3, 3))
    inputs = {"X": normal(2, 3), "scale": np.float32(0.5)}
    yield Case("scale", *ms("ScaledSiLU", inputs), within=(0.1, 3))


@cases("BiasGelu", MS)
@cases("FastGelu", MS)
def biased_activations() -> _Cases:
    for op in ("BiasGelu", "FastGelu"):
        inputs = {"X": normal(2, 3, 4), "bias": normal(4, seed=1)}
        yield Case(f"{op}-bias", *ms(op, inputs), within=(-3, 3))


@cases("MurmurHash3", MS)
def murmur_hash() -> _Cases:
    model, feeds = ms("MurmurHash3", {"X": np.arange(6, dtype=np.int32).reshape(2, 3)})
    model.graph.output[0].type.tensor_type.elem_type = 12
    yield Case("hash", model, feeds, follow=("X",))


@cases("BiasAdd", MS)
def bias_add() -> _Cases:
    inputs = {"X": normal(2, 3, 4), "bias": normal(4), "skip": normal(2, 3, 4, seed=1)}
    yield Case("sum", *ms("BiasAdd", inputs), run=lambda f: [f["X"] + f["bias"] + f["skip"]])


@cases("BiasDropout", MS)
def bias_dropout() -> _Cases:
    inputs = {"data": normal(2, 3), "bias": normal(3), "residual": normal(2, 3, seed=1)}
    model, feeds = ms("BiasDropout", inputs, 2)
    yield Case(
        "inference",
        model,
        feeds,
        run=lambda f: [f["data"] + f["bias"] + f["residual"], np.ones((2, 3), np.float32)],
    )


@cases("GatedAdd", MS)
def gated_add() -> _Cases:
    for shape in ((4,), (3, 4), (2, 3, 4)):
        inputs = {
            "X": normal(*shape),
            "Y": normal(*shape, seed=1),
            "gate": normal(*shape[:-1], 1, seed=2),
        }
        yield Case(f"plain on {shape}", *ms("GatedAdd", inputs))
        yield Case(f"constant on {shape}", *ms("GatedAdd", inputs, constants=("gate",)))

    def projected(feeds: Any) -> list[np.ndarray]:
        return [feeds["X"] + feeds["Y"] / (1 + np.exp(-(feeds["gate"] @ feeds["gate_weight"])))]

    for shape in ((3, 4), (2, 3, 4)):
        inputs = {
            "X": normal(*shape),
            "Y": normal(*shape, seed=1),
            "gate": normal(*shape[:-1], 5, seed=2),
            "gate_weight": normal(5, 1, seed=3),
        }
        model, feeds = ms("GatedAdd", inputs)
        yield Case(f"projected on {shape}", model, feeds, run=projected, within=(-2, 2))


@cases("BiasSplitGelu", MS)
def bias_split_gelu() -> _Cases:
    def run(feeds: Any) -> list[np.ndarray]:
        left, right = np.split(feeds["X"] + feeds["bias"], 2, axis=-1)
        return [left * right / (1 + np.exp(-1.7 * right))]

    inputs = {"X": normal(2, 3, 6), "bias": normal(6)}
    yield Case("halves", *ms("BiasSplitGelu", inputs), run=run, within=(-3, 3))


@cases("BiasSoftmax", MS)
def bias_softmax() -> _Cases:
    def run(axis: int) -> Run:
        def softmax(feeds: Any) -> list[np.ndarray]:
            over = tuple(range(axis % 3, 3))
            e = np.exp(feeds["data"] + feeds["bias"])
            return [e / e.sum(axis=over, keepdims=True)]

        return softmax

    for axis, shape, inner in ((-1, (3, 4), 0), (2, (2, 1, 4), 1), (1, (3, 4), 0)):
        inputs = {"data": normal(2, 3, 4), "bias": normal(*shape)}
        model, feeds = ms("BiasSoftmax", inputs, axis=axis, is_inner_broadcast=inner)
        yield Case(f"{axis}-{shape}", model, feeds, run=run(axis), within=(-2, 2))


# ---------------------------------------------------------------- products


@cases("FusedConv", MS)
def fused_conv() -> _Cases:
    inputs = {"X": normal(2, 2, 7), "W": normal(3, 2, 3, seed=1), "B": normal(3)}
    yield Case("1d", *ms("FusedConv", inputs, activation="Relu", strides=[2], pads=[1, 2]))
    inputs = {"X": normal(2, 4, 5, 4), "W": normal(4, 2, 2, 3, seed=1), "B": normal(4)}
    settings: dict[str, Any] = {"group": 2, "dilations": [2, 1], "pads": [1, 0, 0, 2]}
    leaky = {"activation": "LeakyRelu", "activation_params": [0.1]}
    out = normal(2, 4, 4, 4, seed=3)
    for name, Z in (("plain", None), ("sum", out)):
        model, feeds = ms("FusedConv", {**inputs, "Z": Z}, **leaky, **settings)
        yield Case(f"2d-{name}", model, feeds)
    inputs = {"X": normal(1, 1, 3, 4, 3), "W": normal(2, 1, 2, 2, 2, seed=1)}
    model, feeds = ms(
        "FusedConv", inputs, activation="LeakyRelu", activation_params=[0.1], auto_pad="SAME_UPPER"
    )
    yield Case("3d", model, feeds)
    inputs = {"X": normal(1, 1, 3, 4, 3), "W": normal(1, 1, 3, 3, 3, seed=1)}
    yield Case("3d-pads", *ms("FusedConv", inputs, **leaky, pads=[1] * 6))


@cases("FusedGemm", MS)
def fused_gemm() -> _Cases:
    for a, b, c in ((0, 0, (4,)), (1, 0, (3, 1)), (0, 1, (3, 4)), (1, 1, ())):
        inputs = {
            "A": normal(*((2, 3) if a else (3, 2))),
            "B": normal(*((4, 2) if b else (2, 4)), seed=1),
            "C": normal(*c, seed=2),
        }
        model, feeds = ms(
            "FusedGemm", inputs, transA=a, transB=b, activation="Tanh", alpha=1e-3, beta=1e-3
        )
        yield Case(f"{a}{b}", model, feeds)
    inputs = {"A": normal(3, 2), "B": normal(2, 4, seed=1)}
    yield Case(
        "plain",
        *ms("FusedGemm", inputs, activation="Tanh", alpha=0.5, beta=1.0),
        within=(-0.5, 0.5),
    )


@cases("FusedMatMul", MS)
@cases("TransposeMatMul", MS)
def fused_mat_mul() -> _Cases:
    for a, b in ((0, 0), (1, 0), (0, 1), (1, 1)):
        A, B = normal(2, 3, 4), normal(2, 4, 5, seed=1)
        inputs = {"A": A.swapaxes(1, 2) if a else A, "B": B.swapaxes(1, 2) if b else B}
        for op in ("FusedMatMul", "TransposeMatMul"):
            yield Case(f"{op}-{a}{b}", *ms(op, inputs, transA=a, transB=b, alpha=0.5))
    inputs = {"A": normal(4), "B": normal(2, 5, 4, seed=1)}
    yield Case("vector", *ms("FusedMatMul", inputs, transB=1))
    inputs = {"A": normal(3, 1, 2, 4), "B": normal(2, 5, 4, seed=1)}
    yield Case("broadcast", *ms("FusedMatMul", inputs, transB=1))
    # (batch, i, k) with the first axis taken from behind the batch axes.
    for a, b in ((0, 0), (1, 0), (0, 1), (1, 1)):
        A = np.moveaxis(normal(2, 3, 4).swapaxes(1, 2) if a else normal(2, 3, 4), 1, 0)
        B = np.moveaxis(normal(2, 5, 4).swapaxes(1, 2) if not b else normal(2, 5, 4), 1, 0)
        model, feeds = ms(
            "FusedMatMul", {"A": A, "B": B}, transA=a, transB=b, transBatchA=1, transBatchB=1
        )
        yield Case(f"batch-{a}{b}", model, feeds)


@cases("FusedMatMulActivation", MS)
def fused_mat_mul_activation() -> _Cases:
    inputs = {"A": normal(2, 3), "B": normal(4, 3, seed=1)}
    model, feeds = ms("FusedMatMulActivation", inputs, transB=1, activation="Relu")
    yield Case("relu", model, feeds, run=lambda f: [np.maximum(f["A"] @ f["B"].T, 0)])


@cases("GemmFastGelu", MS)
def gemm_fast_gelu() -> _Cases:
    def run(feeds: Any) -> list[np.ndarray]:
        x = feeds["X"] @ feeds["W"] + feeds.get("bias", np.float32(0))
        return [x / (1 + np.exp(-1.7 * x))]

    inputs = {"X": normal(2, 2, 3), "W": normal(3, 4, seed=1), "bias": normal(4, seed=2)}
    yield Case("bias", *ms("GemmFastGelu", inputs), run=run, within=(-1, 1))
    inputs.pop("bias")
    yield Case("plain", *ms("GemmFastGelu", inputs), run=run, within=(-1, 1))


@cases("Inverse", MS)
def inverse() -> _Cases:
    X = normal(2, 3, 3) + 4 * np.eye(3, dtype=np.float32)
    yield Case("batch", *ms("Inverse", {"X": X}), within=(0, 9))


# ---------------------------------------------------------------- normalisations


@cases("LayerNormalization")
@cases("SimplifiedLayerNormalization")
def layer_normalization() -> _Cases:
    for op, outputs in (("LayerNormalization", 3), ("SimplifiedLayerNormalization", 2)):
        for axis in (-1, 1):
            X = normal(2, 3, 4)
            inputs = {"X": X, "scale": normal(*X.shape[axis:], seed=1)}
            if outputs == 3:
                inputs["B"] = normal(*X.shape[axis:], seed=2)
            yield Case(f"{op}-{axis}", *single(op, inputs, outputs, opset=13, axis=axis))


@cases("SkipLayerNormalization", MS)
@cases("SkipSimplifiedLayerNormalization", MS)
def skip_layer_normalization() -> _Cases:
    for skip in ((2, 3, 4), (1, 3, 4), (3, 4)):
        inputs = {
            "input": normal(2, 3, 4),
            "skip": normal(*skip, seed=1),
            "gamma": normal(4, seed=2),
            "beta": normal(4, seed=3),
            "bias": normal(4, seed=4),
        }
        outputs = ["y", "", "", "sum"]
        yield Case(f"{skip}", *ms("SkipLayerNormalization", inputs, outputs))
    for beta, bias in ((False, True), (True, False), (False, False)):
        chosen = {**inputs, "skip": normal(2, 3, 4, seed=1)}
        chosen["beta"] = chosen["beta"] if beta else None
        chosen["bias"] = chosen["bias"] if bias else None
        yield Case(f"{beta}-{bias}", *ms("SkipLayerNormalization", chosen, outputs))
    inputs.pop("beta")
    inputs["skip"] = normal(2, 3, 4, seed=1)
    yield Case("simplified", *ms("SkipSimplifiedLayerNormalization", inputs, outputs))
    two = {**inputs, "input": normal(3, 4), "skip": normal(3, 4, seed=1)}
    yield Case("simplified-2d", *ms("SkipSimplifiedLayerNormalization", two))

    def run(feeds: Any) -> list[np.ndarray]:
        s = (feeds["input"] + feeds["skip"] + feeds["bias"]).astype(np.float64)
        mean = s.mean(-1, keepdims=True)
        inverse = 1 / np.sqrt(((s - mean) ** 2).mean(-1, keepdims=True) + 1e-5)
        return [(s - mean) * inverse * feeds["gamma"], mean, inverse, s]

    order = ("input", "skip", "gamma", "beta", "bias")
    chosen = {name: inputs.get(name) for name in order}
    yield Case("statistics", *ms("SkipLayerNormalization", chosen, 4), run=run)


@cases("GroupNorm", MS)
@cases("SkipGroupNorm", MS)
def group_norm() -> _Cases:
    def run(groups: int, last: int) -> Run:
        def norm(feeds: Any) -> list[np.ndarray]:
            s = feeds["X"].astype(np.float64)
            if last:
                s = np.moveaxis(s, -1, 1)
            if "skip" in feeds:
                skip = feeds["skip"]
                if skip.ndim == 4:
                    s = s + (np.moveaxis(skip, -1, 1) if last else skip)
                else:
                    s = s + skip[:, :, None, None]
            if "bias" in feeds:
                s = s + feeds["bias"][:, None, None]
            g = s.reshape(len(s), groups, -1)
            g = (g - g.mean(-1, keepdims=True)) / g.std(-1, keepdims=True)
            y = g.reshape(s.shape) * feeds["gamma"][:, None, None] + feeds["beta"][:, None, None]
            y, s = (np.moveaxis(v, 1, -1) if last else v for v in (y, s))
            return [y, s] if "skip" in feeds else [y]

        return norm

    for last, shape in ((1, (2, 3, 2, 4)), (0, (2, 4, 3, 2))):
        inputs = {"X": normal(*shape), "gamma": normal(4, seed=1), "beta": normal(4, seed=2)}
        model, feeds = ms("GroupNorm", inputs, groups=2, activation=0, channels_last=last)
        yield Case(f"{last}", model, feeds, run=run(2, last))
        for skip in (shape, (2, 4), (2, 1, 1, 4) if last else (2, 4, 1, 1)):
            more = {**inputs, "skip": normal(*skip, seed=3), "bias": normal(4, seed=4)}
            model, feeds = ms("SkipGroupNorm", more, 2, groups=2, activation=0, channels_last=last)
            yield Case(f"skip-{last}-{skip}", model, feeds, run=run(2, last))
