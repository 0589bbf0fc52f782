"""Cases of quantisation, and of convolutions and matrix products of quantised values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import onnx.parser
from onnx import TensorProto

from tests.graphs import single

from ..observe import session
from ..perturbation import Case, Feeds, Run
from . import cases

_U8, _I32 = TensorProto.UINT8, TensorProto.INT32
_Cases: TypeAlias = Iterator[Case]


def _floats(*shape: int, low: float = -100.0, high: float = 100.0) -> np.ndarray:
    return np.random.default_rng(7).uniform(low, high, shape).astype(np.float32)


def _bytes(*shape: int, kind: type = np.uint8) -> np.ndarray:
    info = np.iinfo(kind)
    return np.random.default_rng(8).integers(info.min, info.max, shape, kind, endpoint=True)


@cases("QuantizeLinear")
def quantize_linear() -> _Cases:
    x = _floats(2, 3, 4)
    for opset, shape in ((10, ()), (10, (1,)), (13, (1,)), (19, ()), (21, ()), (23, ())):
        inputs = {
            "x": x,
            "y_scale": np.full(shape, 0.9, np.float32),
            "y_zero_point": np.full(shape, 128, np.uint8),
        }
        model, feeds = single("QuantizeLinear", inputs, opset=opset, kinds={"y0": _U8})
        yield Case(f"{opset}-tensor-{shape}", model, feeds, within=(0.5, 100))
    for opset, axis in ((13, None), (13, 0), (13, -1), (19, 1), (21, 2), (23, 1)):
        size = x.shape[1 if axis is None else axis]
        attributes = {} if axis is None else {"axis": axis}
        yield from _quantised(f"{opset}-axis-{axis}", x, (size,), opset=opset, **attributes)
    for axis, size, shape in _BLOCKS:
        blocks = _blocks(axis, size, shape)
        yield from _quantised(
            f"blocks-{shape}-{axis}", _floats(*shape), blocks, axis=axis, block_size=size
        )
    inputs = {"x": _floats(3), "y_scale": np.float32(0.9)}
    yield Case(
        "no-zero-point",
        *single("QuantizeLinear", inputs, kinds={"y0": _U8}),
        within=(0.5, 100),
    )
    yield from _quantised("vector", _floats(4), (4,), axis=0)
    yield from _quantised("scalar", np.float32(9), (1,))


def _quantised(name: str, x: np.ndarray, shape: tuple[int, ...], **attributes: int) -> _Cases:
    """Scales are changed where nothing saturates, zero points by whole numbers."""
    inputs = {
        "x": x,
        "y_scale": _floats(*shape, low=0.5, high=1),
        "y_zero_point": _bytes(*shape) // np.uint8(8) + np.uint8(100),
    }
    model, feeds = single("QuantizeLinear", inputs, kinds={"y0": _U8}, **attributes)
    yield Case(name, model, feeds, within=(0.5, 100))
    yield Case(f"{name}-zero", model, feeds, follow=("x", "y_zero_point"), within=(10, 100))


# Axis, size of a block, shape.
_BLOCKS = ((1, 2, (2, 5, 3)), (-1, 3, (2, 4)), (0, 2, (5, 2)))


def _blocks(axis: int, size: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    sizes = list(shape)
    sizes[axis] = -(-shape[axis] // size)
    return tuple(sizes)


@cases("DequantizeLinear")
def dequantize_linear() -> _Cases:
    x = _bytes(2, 3, 4)
    for opset, axis in ((10, None), (13, None), (13, 0), (19, -1), (21, 1), (23, 2)):
        size = 1 if opset == 10 else x.shape[1 if axis is None else axis]
        scale = _floats(size, low=0.5, high=1) if opset > 10 else np.float32(0.7)
        zero = _bytes(size) if opset > 10 else np.uint8(3)
        model, feeds = single(
            "DequantizeLinear",
            {"x": x, "x_scale": scale, "x_zero_point": zero},
            opset=opset,
            **({} if axis is None else {"axis": axis}),
        )
        yield Case(f"{opset}-{axis}", model, feeds, follow=("x", "x_scale", "x_zero_point"))
    for axis, size, shape in _BLOCKS:
        blocks = _blocks(axis, size, shape)
        inputs = {
            "x": _bytes(*shape),
            "x_scale": _floats(*blocks, low=0.5, high=1),
            "x_zero_point": _bytes(*blocks),
        }
        model, feeds = single("DequantizeLinear", inputs, axis=axis, block_size=size)
        yield Case(f"blocks-{shape}-{axis}", model, feeds, follow=tuple(inputs))
    inputs = {"x": _bytes(3).astype(np.int32), "x_scale": np.float32(0.5)}
    model, feeds = single("DequantizeLinear", inputs)
    yield Case("int32", model, feeds, follow=tuple(inputs))


@cases("DynamicQuantizeLinear")
def dynamic_quantize_linear() -> _Cases:
    for shape in ((6,), (2, 3), (2, 1, 3)):
        inputs = {"x": _floats(*shape, low=-1, high=1)}
        model, feeds = single(
            "DynamicQuantizeLinear", inputs, 3, opset=11, kinds={"y0": _U8, "y2": _U8}
        )
        yield Case(f"{shape}", model, feeds, within=(-100, 100))


# Shapes of x and w, and attributes.
_GEOMETRIES = (
    ((1, 2, 6), (3, 2, 3), {"pads": [1, 0], "strides": [2]}),
    ((2, 2, 5, 4), (2, 2, 2, 3), {"pads": [1, 0, 0, 2], "dilations": [2, 1]}),
    ((1, 4, 4, 3), (2, 2, 2, 2), {"group": 2, "auto_pad": "SAME_LOWER"}),
    ((1, 2, 3, 4), (4, 1, 2, 1), {"group": 2, "auto_pad": "VALID"}),
    # Where windows meet nothing but padding.
    ((1, 1, 3), (2, 1, 1), {"pads": [1, 2]}),
    ((1, 1, 4), (2, 1, 2), {"pads": [2, 3], "strides": [2]}),
)


def _by_conv(inputs: dict[str, np.ndarray], attributes: dict[str, Any]) -> Run:
    """Conv of what is dequantised: runtimes lack zero points for each output channel."""
    x, w = inputs["x"], inputs["w"]
    model, _ = single(
        "Conv", {"x": x.astype(np.float32), "w": w.astype(np.float32)}, opset=11, **attributes
    )
    conv = session(model)

    def run(feeds: Feeds) -> list[np.ndarray]:
        def real(name: str) -> np.ndarray:
            value = feeds[name].astype(np.float32) - feeds[f"{name}_zero_point"].reshape(
                (-1,) + (1,) * (x.ndim - 1)
            )
            return value.astype(np.float32)

        product = conv.run(None, {"x": real("x"), "w": real("w")})[0].astype(np.float64)
        if "y_scale" not in feeds:
            return [product.astype(np.int32)]
        over = (1, -1) + (1,) * (x.ndim - 2)
        if "B" in feeds:
            product += feeds["B"].reshape(over)
        scale = (feeds["x_scale"] * feeds["w_scale"] / feeds["y_scale"]).reshape(over)
        y = np.rint(product * scale) + feeds["y_zero_point"].astype(np.int64)
        return [np.clip(y, 0, 255).astype(np.uint8)]

    return run


@cases("ConvInteger")
def conv_integer() -> _Cases:
    for shape, kernel, attributes in _GEOMETRIES:
        for per in (1, kernel[0]):
            inputs = {
                "x": _bytes(*shape),
                "w": _bytes(*kernel),
                "x_zero_point": np.full(1, 120, np.uint8),
                "w_zero_point": np.full(per, 120, np.uint8),
            }
            model, feeds = single("ConvInteger", inputs, opset=10, kinds={"y0": _I32}, **attributes)
            run = _by_conv(inputs, attributes) if per > 1 else None
            yield Case(f"{shape}-{kernel}-{per}", model, feeds, run=run, follow=tuple(inputs))
    inputs = {"x": _bytes(1, 1, 2, 3, 2), "w": _bytes(2, 1, 1, 2, 2)}
    model, feeds = single("ConvInteger", inputs, opset=10, kinds={"y0": _I32})
    yield Case("no-zero-points", model, feeds, follow=tuple(inputs))


@cases("QLinearConv")
def q_linear_conv() -> _Cases:
    for shape, kernel, attributes in _GEOMETRIES:
        for vector, bias in ((False, True), (True, False), (True, True)):
            per = kernel[0] if vector else 1
            inputs = {
                "x": _bytes(*shape),
                "x_scale": np.full(1, 0.5, np.float32),
                "x_zero_point": np.full(1, 120, np.uint8),
                "w": _bytes(*kernel),
                "w_scale": _floats(per, low=0.5, high=1),
                "w_zero_point": np.full(per, 120, np.uint8),
                "y_scale": np.full(1, 90, np.float32),
                "y_zero_point": np.full(1, 120, np.uint8),
            }
            if bias:
                inputs["B"] = np.arange(1, 1 + kernel[0], dtype=np.int32) * 700
            model, feeds = single("QLinearConv", inputs, opset=10, kinds={"y0": _U8}, **attributes)
            run = _by_conv(inputs, attributes) if vector else None
            bytes_ = ("x", "x_zero_point", "w", "w_zero_point", "y_zero_point")
            name = f"{shape}-{kernel}-{per}-{bias}"
            yield Case(name, model, feeds, run=run, follow=bytes_)
            # Without a bias a window of padding is zero at any y_scale.
            scales = ("x_scale", "w_scale", *(["y_scale", "B"] if bias else []))
            yield Case(f"{name}-scales", model, feeds, run=run, follow=scales, within=(0.1, 1e6))


@cases("MatMulInteger")
def mat_mul_integer() -> _Cases:
    for a, b, left, right in _PRODUCTS:
        inputs = {
            "A": _bytes(*a),
            "B": _bytes(*b),
            "a_zero_point": np.full(left, 120, np.uint8),
            "b_zero_point": np.full(right, 120, np.uint8),
        }
        model, feeds = single("MatMulInteger", inputs, opset=10, kinds={"y0": _I32})

        def run(feeds: Feeds) -> list[np.ndarray]:
            return [_product(feeds["A"], feeds["a_zero_point"], feeds["B"], feeds["b_zero_point"])]

        yield Case(f"{a}-{b}-{left}-{right}", model, feeds, run=run, follow=tuple(inputs))
    inputs = {"A": _bytes(2, 3), "B": _bytes(3, 2, kind=np.int8)}
    model, feeds = single("MatMulInteger", inputs, opset=10, kinds={"y0": _I32})
    yield Case("no-zero-points", model, feeds, follow=tuple(inputs))


# Shapes of a and b, of a's scale and of b's.
_PRODUCTS = (
    ((2, 3), (3, 4), (1,), (1,)),
    ((2, 3), (3, 4), (2,), (4,)),
    ((2, 1, 2, 3), (3, 3, 2), (2, 1, 2, 1), (3, 1, 2)),
    ((3,), (3, 2), (1,), (2,)),
    ((2, 3), (3,), (2,), (1,)),
)


def _product(
    a: np.ndarray, a_zero_point: np.ndarray, b: np.ndarray, b_zero_point: np.ndarray
) -> np.ndarray:
    """Runtimes lack zero points for each row."""
    rows = a_zero_point.astype(np.int32)
    if rows.size > 1 and rows.ndim == 1:
        rows = rows[:, None]
    found: np.ndarray = np.matmul(a.astype(np.int32) - rows, b.astype(np.int32) - b_zero_point)
    return found


@cases("QLinearMatMul")
def q_linear_mat_mul() -> _Cases:
    for opset in (10, 21):
        for a, b, left, right in _PRODUCTS:
            inputs = {
                "a": _bytes(*a),
                "a_scale": np.full(left, 0.5, np.float32),
                "a_zero_point": np.full(left, 120, np.uint8),
                "b": _bytes(*b),
                "b_scale": _floats(*right, low=0.5, high=1),
                "b_zero_point": np.full(right, 120, np.uint8),
                "y_scale": np.full(1, 60, np.float32),
                "y_zero_point": np.full(1, 120, np.uint8),
            }
            model, feeds = single("QLinearMatMul", inputs, opset=opset, kinds={"y0": _U8})

            def run(feeds: Feeds) -> list[np.ndarray]:
                product = _product(
                    feeds["a"], feeds["a_zero_point"], feeds["b"], feeds["b_zero_point"]
                )
                rows = feeds["a_scale"]
                if rows.size > 1 and rows.ndim == 1 and product.ndim > 1:
                    rows = rows[:, None]
                scaled = product * (rows / feeds["y_scale"]) * feeds["b_scale"]
                y = np.rint(scaled).astype(np.int64) + feeds["y_zero_point"]
                return [np.clip(y, 0, 255).astype(np.uint8)]

            bytes_ = tuple(name for name in inputs if not name.endswith("_scale"))
            name = f"{opset}-{a}-{b}-{left}-{right}"
            yield Case(name, model, feeds, run=run, follow=bytes_)
            yield Case(f"{name}-scales", model, feeds, run=run, within=(0.1, 1e4))


@cases("QuantizeLinear")
def graphs() -> _Cases:
    """Convolutions between pairs of QuantizeLinear and DequantizeLinear, and as integers."""
    pairs = """
        <ir_version: 10, opset_import: ["" : 21]>
        pairs (float[1, 2, 9] x) => (float[1, 2, 4] y)
        <float s = {1.0}, uint8 z = {128}, float[2] t = {0.5, 0.25}, int8[2] u = {0, 0},
         float v = {100.0}, int8[2, 2, 3] w = {70, -60, 50, 40, 80, -90, 99, 88, -77, 66, 55, 44}>
        {
            a = QuantizeLinear (x, s, z)
            b = DequantizeLinear (a, s, z)
            k = DequantizeLinear <axis = 0> (w, t, u)
            c = Conv <strides = [2]> (b, k)
            d = QuantizeLinear (c, v, z)
            y = DequantizeLinear (d, v, z)
        }
    """
    x = _floats(1, 2, 9)
    yield Case("pairs", onnx.parser.parse_model(pairs), {"x": x}, within=(-120, 120))
    integers = """
        <ir_version: 10, opset_import: ["" : 21]>
        integers (uint8[1, 2, 9] x, uint8 z) => (float[1, 1, 4] y)
        <uint8[1, 2, 3] w = {70, 60, 50, 40, 80, 90}, float s = {0.5}>
        {
            a = ConvInteger <strides = [2]> (x, w, z)
            b = Cast <to = 1> (a)
            y = Mul (b, s)
        }
    """
    feeds = {"x": _bytes(1, 2, 9), "z": np.uint8(120)}
    yield Case("integers", onnx.parser.parse_model(integers), feeds, follow=("x", "z"))
    dynamic = """
        <ir_version: 10, opset_import: ["" : 21]>
        dynamic (float[1, 1, 7] x) => (float[1, 1, 5] y)
        <uint8[1, 1, 3] w = {70, 60, 50}>
        {
            q, s, z = DynamicQuantizeLinear (x)
            a = ConvInteger (q, w, z)
            b = CastLike (a, x)
            y = Mul (b, s)
        }
    """
    yield Case("dynamic", onnx.parser.parse_model(dynamic), {"x": _floats(1, 1, 7)})
