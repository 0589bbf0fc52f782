"""Cases of operators of com.microsoft on quantised values.

Scales are chosen so that a step of an input shows in the output and nothing saturates.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import TensorProto, helper

from ..observe import session
from ..perturbation import Case, Run
from . import cases
from .contrib_fused import MS, ms, normal

_U8 = {"y0": TensorProto.UINT8}
_Cases: TypeAlias = Iterator[Case]


def _bytes(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(20, 230, shape, np.uint8)


def _quantised(name: str, scale: float = 1.0, zero: int = 100) -> dict[str, Any]:
    return {f"{name}_scale": np.float32(scale), f"{name}_zero": np.uint8(zero)}


def _both(name: str, model: Any, feeds: Any, data: tuple[str, ...], **options: Any) -> _Cases:
    """Followed through the data, and through scales and zero points of one element or more."""
    yield Case(name, model, feeds, follow=data, within=(0, 255), **options)
    scales = tuple(n for n in feeds if n.endswith("_scale"))
    yield Case(f"{name}-scales", model, feeds, follow=scales, within=(0.1, 4), **options)
    zeros = tuple(n for n in feeds if n.endswith("_zero"))
    yield Case(f"{name}-zeros", model, feeds, follow=zeros, within=(60, 160), **options)


def _run(model: onnx.ModelProto) -> Run:
    opened = session(model)
    return lambda feeds: opened.run(None, feeds)


# ---------------------------------------------------------------- element by element


@cases("QLinearAdd", MS)
@cases("QLinearMul", MS)
def binary() -> _Cases:
    for op, scale in (("QLinearAdd", 2.0), ("QLinearMul", 150.0)):
        for left, right in (((2, 3), (2, 3)), ((2, 1, 3), (4, 1)), ((3,), (2, 3))):
            inputs = {
                "A": _bytes(*left),
                **_quantised("A"),
                "B": _bytes(*right, seed=1),
                **_quantised("B"),
                **_quantised("C", scale),
            }
            model, feeds = ms(op, inputs, kinds=_U8)
            yield Case(f"{op}-{left}", model, feeds, follow=("A", "B"), within=(0, 255))
            # A parameter shows in the whole output, if not in every element of it.
            followed = ("A_scale", "B_scale", "C_scale")
            why = "where an operand is zero its scale is not seen"
            yield Case(f"{op}-scales", model, feeds, why, follow=followed, within=(0.5, 2))


@cases("QLinearLeakyRelu", MS)
@cases("QLinearSigmoid", MS)
def unary() -> _Cases:
    for op, scale, out in (("QLinearLeakyRelu", 1.0, 1.0), ("QLinearSigmoid", 0.02, 0.004)):
        inputs = {"X": _bytes(2, 3), **_quantised("X", scale), **_quantised("Y", out, 10)}
        model, feeds = ms(op, inputs, kinds=_U8)
        yield Case(op, model, feeds, follow=("X",), within=(60, 255))


@cases("QLinearWhere", MS)
def where() -> _Cases:
    inputs = {
        "condition": np.array([[True], [False]]),
        "X": _bytes(2, 3),
        **_quantised("X"),
        "Y": _bytes(3, seed=1),
        **_quantised("Y"),
        **_quantised("Z"),
    }
    model, feeds = ms("QLinearWhere", inputs, kinds=_U8)
    yield Case("where", model, feeds, follow=("condition", "X", "Y"), within=(0, 255))


@cases("MulInteger", MS)
def mul_integer() -> _Cases:
    inputs = {
        "A": _bytes(2, 3),
        "A_zero": np.uint8(9),
        "B": _bytes(3, seed=1),
        "B_zero": np.uint8(5),
    }

    def run(feeds: Any) -> list[np.ndarray]:
        a, b = (feeds[n].astype(np.int32) - feeds[f"{n}_zero"] for n in "AB")
        return [a * b]

    model, feeds = ms("MulInteger", inputs, kinds={"y0": TensorProto.INT32})
    yield Case("product", model, feeds, run=run, follow=tuple(feeds), within=(0, 255))


@cases("QuantizeLinear", MS)
@cases("DequantizeLinear", MS)
def quantize_linear() -> _Cases:
    for axis, shape in ((None, ()), (0, (2,)), (1, (3,)), (2, (4,))):
        options = {} if axis is None else {"axis": axis}
        scale = np.full(shape, 1, np.float32)
        zero = np.full(shape, 100, np.uint8)
        inputs = {"x": normal(2, 3, 4) * 30, "y_scale": scale, "y_zero": zero}
        model, feeds = ms("QuantizeLinear", inputs, kinds=_U8, **options)
        yield Case(f"q-{axis}", model, feeds, follow=("x", "y_zero"), within=(10, 90))
        inputs = {"x": _bytes(2, 3, 4), "x_scale": scale, "x_zero": zero}
        model, feeds = ms("DequantizeLinear", inputs, **options)
        yield from _both(f"d-{axis}", model, feeds, ("x",))


# ---------------------------------------------------------------- others with scales


def _scaled(op: str, x: np.ndarray, out: float = 1.0, scale: float = 1.0, **attributes: Any) -> Any:
    inputs = {"X": x, **_quantised("X", scale), **_quantised("Y", out)}
    return ms(op, inputs, kinds=_U8, **attributes)


@cases("QLinearAveragePool", MS)
def average_pool() -> _Cases:
    options: dict[str, Any] = {"kernel_shape": [2, 3], "strides": [1, 2], "pads": [1, 0, 0, 1]}
    model, feeds = _scaled("QLinearAveragePool", _bytes(2, 2, 4, 5), 0.3, **options)
    yield Case("second", model, feeds, follow=("X",), within=(90, 120))
    model, feeds = _scaled(
        "QLinearAveragePool", _bytes(2, 4, 5, 2), 0.3, channels_last=1, **options
    )
    yield Case("last", model, feeds, follow=("X",), within=(90, 120))


@cases("QLinearAveragePool", "com.ms.internal.nhwc")
def average_pool_of_the_layout() -> _Cases:
    options: dict[str, Any] = {"kernel_shape": [2, 2], "strides": [1, 2]}
    x = _bytes(2, 4, 5, 2)
    run = _run(_scaled("QLinearAveragePool", x, 0.3, channels_last=1, **options)[0])
    model, feeds = _scaled("QLinearAveragePool", x, 0.3, **options)
    model.graph.node[0].domain = "com.ms.internal.nhwc"
    model.opset_import[1].domain = "com.ms.internal.nhwc"
    yield Case("last", model, feeds, run=run, follow=("X",), within=(90, 120))


@cases("QLinearGlobalAveragePool", MS)
def global_average_pool() -> _Cases:
    for last, shape in ((0, (2, 3, 2, 2)), (1, (2, 2, 2, 3))):
        model, feeds = _scaled("QLinearGlobalAveragePool", _bytes(*shape), 0.2, channels_last=last)
        yield Case(f"{last}", model, feeds, follow=("X",), within=(95, 110))


@cases("QLinearReduceMean", MS)
def reduce_mean() -> _Cases:
    for axes, keepdims in (([1], 1), ([0, 2], 0)):

        def run(feeds: Any, axes: Any = tuple(axes), keepdims: Any = bool(keepdims)) -> Any:
            x = (feeds["X"].astype(np.float64) - feeds["X_zero"]) * feeds["X_scale"]
            return [np.rint(x.mean(axes, keepdims=keepdims) / feeds["Y_scale"]).astype(np.uint8)]

        model, feeds = _scaled(
            "QLinearReduceMean", _bytes(2, 3, 2), 0.01, axes=axes, keepdims=keepdims
        )
        yield Case(f"{axes}", model, feeds, run=run, follow=("X",), within=(0, 255))


@cases("QLinearSoftmax", MS)
def softmax() -> _Cases:
    for opset, axis in ((13, -1), (13, 1), (12, 1)):
        model, feeds = _scaled("QLinearSoftmax", _bytes(2, 3, 2), 1 / 256, 0.02, axis=axis)
        model.graph.node[0].attribute.append(helper.make_attribute("opset", opset))
        feeds["Y_zero"] = np.array(0, np.uint8)
        yield Case(f"{opset}-{axis}", model, feeds, follow=("X",), within=(0, 255))


@cases("QLinearConcat", MS)
def concat() -> _Cases:
    for axis, shapes in ((1, ((2, 2), (2, 3), (2, 2))), (0, ((2, 2), (3, 2)))):
        inputs = {**_quantised("Y")}
        for k, shape in enumerate(shapes):
            inputs |= {f"x{k}": _bytes(*shape, seed=k), **_quantised(f"x{k}")}
        model, feeds = ms("QLinearConcat", inputs, kinds=_U8, axis=axis)
        data = tuple(f"x{k}" for k in range(len(shapes)))
        yield Case(f"{axis}", model, feeds, follow=data, within=(0, 255))


@cases("QLinearConv", "com.ms.internal.nhwc")
@cases("QLinearConv", MS)
def conv() -> _Cases:
    weights = _bytes(6, 2, 3, 2, seed=1)
    # Not the zero point: it would hide what it is multiplied with.
    weights[weights == 100] = 110
    for last, shape in ((0, (2, 4, 5, 4)), (1, (2, 5, 4, 4))):
        inputs = {
            "x": _bytes(*shape),
            **_quantised("x"),
            "w": weights,
            "w_scale": np.ones(6, np.float32),
            "w_zero": np.full(6, 100, np.uint8),
            **_quantised("y", 200.0),
            "B": np.zeros(6, np.int32),
        }
        model, feeds = ms(
            "QLinearConv",
            inputs,
            kinds=_U8,
            constants=("w", "w_scale", "w_zero", "B"),
            channels_last=last,
            group=2,
            pads=[1, 0, 2, 1],
            strides=[2, 1],
        )
        yield Case(f"{last}", model, feeds, follow=("x",), within=(0, 255))
    run = _run(model)
    moved = onnx.ModelProto()
    moved.CopyFrom(model)
    moved.graph.node[0].domain = moved.opset_import[1].domain = "com.ms.internal.nhwc"
    yield Case("layout", moved, feeds, run=run, follow=("x",), within=(0, 255))


@cases("QGemm", MS)
def gemm() -> _Cases:
    for transposed, scales in ((0, ()), (1, ()), (0, (4,)), (1, (4,))):
        inputs = {
            "A": _bytes(*((2, 3) if transposed else (3, 2))),
            **_quantised("A"),
            "B": _bytes(*((4, 2) if transposed else (2, 4)), seed=1),
            "B_scale": np.full(scales, 1, np.float32),
            "B_zero": np.full(scales, 100, np.uint8),
            "C": np.zeros((1, 4), np.int32),
        }
        attributes = {"transA": transposed, "transB": transposed}
        model, feeds = ms("QGemm", inputs, **attributes)
        yield from _both(f"{transposed}-{scales}", model, feeds, ("A", "B", "C"))
    quantised = {**inputs, **_quantised("Y", 200.0)}
    model, feeds = ms("QGemm", quantised, kinds=_U8, **attributes)
    yield Case("quantised", model, feeds, follow=("A",), within=(0, 255))


@cases("MatMulIntegerToFloat", MS)
def mat_mul_integer_to_float() -> _Cases:
    for scales in ((), (4,)):
        inputs = {
            "A": _bytes(2, 3, 2),
            "B": _bytes(2, 4, seed=1),
            "A_scale": np.float32(1),
            "B_scale": np.full(scales, 1, np.float32),
            "A_zero": np.uint8(100),
            "B_zero": np.full(scales, 100, np.uint8),
            "bias": normal(4),
        }
        model, feeds = ms("MatMulIntegerToFloat", inputs)
        yield from _both(f"{scales}", model, feeds, ("A", "B", "bias"))


@cases("MatMulInteger16", MS)
def mat_mul_integer_16() -> _Cases:
    inputs = {name: _bytes(*shape).astype(np.int16) for name, shape in _PRODUCT}
    model, feeds = ms("MatMulInteger16", inputs, kinds={"y0": TensorProto.INT32})
    yield Case("product", model, feeds, follow=("A", "B"), within=(-99, 99))


_PRODUCT = (("A", (2, 3, 2)), ("B", (2, 4)))

# ---------------------------------------------------------------- quantised as it runs


@cases("DynamicQuantizeMatMul", MS)
def dynamic_quantize_mat_mul() -> _Cases:
    for scales in ((), (4,)):
        inputs = {
            "A": normal(2, 3, 2),
            "B": _bytes(2, 4, seed=1),
            "B_scale": np.full(scales, 1, np.float32),
            "B_zero": np.full(scales, 100, np.uint8),
            "bias": normal(4),
        }
        model, feeds = ms("DynamicQuantizeMatMul", inputs, constants=("B",))
        yield Case(f"floats-{scales}", model, feeds, follow=("A", "B_scale", "bias"))


@cases("DynamicQuantizeLSTM", MS)
def dynamic_quantize_lstm() -> _Cases:
    """What is far away shows only by the rounding of what is near."""
    rng = np.random.default_rng(0)
    for direction in ("forward", "reverse", "bidirectional"):
        d = 1 + (direction == "bidirectional")
        inputs = {
            "X": normal(4, 2, 3),
            "W": rng.integers(100, 156, (d, 3, 8), np.uint8),
            "R": rng.integers(100, 156, (d, 2, 8), np.uint8),
            "B": normal(d, 16),
            "sequence_lens": None,
            "initial_h": normal(d, 2, 2),
            "initial_c": normal(d, 2, 2),
            "P": None,
            "W_scale": np.full(d, 0.02, np.float32),
            "W_zero": np.full(d, 128, np.uint8),
            "R_scale": np.full(d, 0.02, np.float32),
            "R_zero": np.full(d, 128, np.uint8),
        }
        constants = ("W", "R", "W_scale", "W_zero", "R_scale", "R_zero")
        options = {"hidden_size": 2, "direction": direction}
        model, feeds = ms("DynamicQuantizeLSTM", inputs, 3, constants=constants, **options)
        yield Case(direction, model, feeds, "rounding", within=(-2, 2))


# ---------------------------------------------------------------- packed weights


def _nibbles(rng: np.random.Generator, low: int, high: int, shape: tuple[int, ...]) -> np.ndarray:
    first, second = rng.integers(low, high, (2, *shape), np.uint8)
    return np.asarray(first + 16 * second, np.uint8)


@cases("MatMulNBits", MS)
def mat_mul_n_bits() -> _Cases:
    rng = np.random.default_rng(0)
    N, K, size = 3, 32, 16
    for flat in (False, True):
        scales = np.abs(normal(N, 2, seed=1)) + 0.1
        # No weight is zero: its element is above its zero point.
        zeros = _nibbles(rng, 0, 8, (N, 1))
        inputs = {
            "A": normal(2, 2, K),
            "B": _nibbles(rng, 9, 16, (N, 2, 8)),
            "scales": scales.reshape(-1) if flat else scales,
            "zero_points": zeros.reshape(-1) if flat else zeros,
            "g_idx": None,
            "bias": normal(N),
        }
        model, feeds = ms("MatMulNBits", inputs, K=K, N=N, bits=4, block_size=size)
        yield Case(f"data-{flat}", model, feeds, follow=("A", "scales", "bias"))
        yield Case(f"packed-{flat}", model, feeds, follow=("B", "zero_points"), within=(0, 255))


@cases("MatMulBnb4", MS)
def mat_mul_bnb4() -> _Cases:
    rng = np.random.default_rng(0)
    for N, K in ((3, 16), (2, 24)):
        inputs = {
            "A": normal(2, K),
            "B": _nibbles(rng, 8, 16, ((N * K + 1) // 2,)),
            "absmax": np.abs(normal(-(-N * K // 16), seed=1)) + 0.1,
        }
        model, feeds = ms("MatMulBnb4", inputs, K=K, N=N, block_size=16, quant_type=1)
        yield Case(f"{N}", model, feeds, follow=("A", "absmax"), within=(0.1, 9))
        yield Case(f"{N}-packed", model, feeds, follow=("B",), within=(0, 255))
