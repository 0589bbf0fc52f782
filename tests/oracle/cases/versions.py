"""Meanings that changed with the operator set: each older one, at every version that has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from onnx import TensorProto

from tests.graphs import single

from ..perturbation import Case, Feeds, Run
from . import cases

_Generator: TypeAlias = Callable[[str], Iterator[Case]]

_RNG = np.random.default_rng(7)
_START = _RNG.bit_generator.state


def _x(*shape: int) -> np.ndarray:
    return _RNG.normal(size=shape).astype(np.float32)


def _ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def _case(
    version: int,
    op_type: str,
    inputs: dict[str, Any],
    outputs: int | Sequence[str] = 1,
    *,
    run: Run | None = None,
    name: str = "",
    follow: tuple[str, ...] = (),
    incomplete: str = "",
    within: tuple[float, float] = (-1e3, 1e3),
    **given: Any,
) -> Case:
    # The next case has its own data whatever came before it.
    _RNG.bit_generator.state = _START
    model, feeds = single(op_type, inputs, outputs, opset=version, **given)
    called = f"{op_type}-{version}{name and ' '}{name}"
    return Case(called, model, feeds, incomplete, run, follow, within)


def _each(*op_types: str) -> Callable[[_Generator], _Generator]:
    """Register a generator that is told for which operator its cases are."""

    def register(generator: _Generator) -> _Generator:
        for op_type in op_types:
            made = partial(generator, op_type)
            made.__name__ = generator.__name__  # type: ignore[attr-defined]
            cases(op_type)(made)
        return generator

    return register


# ---------------------------------------------------------------- elementwise


@_each("Add", "Sub", "Mul", "Div")
def arithmetic(op_type: str) -> Iterator[Case]:
    for version in (7, 13, 14):
        yield _case(version, op_type, {"A": _x(2, 1, 4), "B": _x(3, 1)})


@cases("Pow")
def powers() -> Iterator[Case]:
    for version in (7, 12, 13, 15):
        inputs = {"A": np.abs(_x(2, 3)) + 1, "B": np.abs(_x(3))}
        yield _case(version, "Pow", inputs, within=(0.5, 3))


@cases("PRelu")
def p_relu() -> Iterator[Case]:
    for version in (7, 9, 16):
        yield _case(version, "PRelu", {"X": -np.abs(_x(2, 3, 4)), "slope": _x(3, 1)})
        yield _case(version, "PRelu", {"X": -np.abs(_x(2, 3, 4)), "slope": _x(4)})


@cases("Clip")
def clip() -> Iterator[Case]:
    yield _case(7, "Clip", {"input": _x(5)}, min=-0.5, max=0.5)
    for version in (11, 12, 13):
        for given in ({"min": -0.5}, {"max": 0.5}, {"min": -0.5, "max": 0.5}):
            both = {n: np.float32(given[n]) if n in given else None for n in ("min", "max")}
            if both["max"] is None:
                del both["max"]
            yield _case(version, "Clip", {"input": _x(5), **both}, name=str([*given]))


@cases("Dropout")
def dropout() -> Iterator[Case]:
    for version in (7, 10):
        yield _case(version, "Dropout", {"data": _x(2, 3)}, ratio=0.25)
    off = np.array(False)
    for version in (12, 13, 22):
        yield _case(version, "Dropout", {"data": _x(2, 3)}, name="data")
        inputs = {"data": _x(2, 3), "ratio": np.float32(0.25)}
        yield _case(version, "Dropout", inputs, name="ratio", within=(0, 0.9))
        inputs = {**inputs, "training_mode": off}
        yield _case(version, "Dropout", inputs, name="not in training", within=(0, 0.9))


@cases("Cast")
def cast() -> Iterator[Case]:
    for version in (7, 9, 13, 19, 21, 23, 24, 25):
        for to in (10, 11):
            yield _case(
                version, "Cast", {"input": _x(2, 3)}, name=f"to {to}", kinds={"y0": to}, to=to
            )


@cases("Expand")
def expand() -> Iterator[Case]:
    for version in (8, 13):
        inputs = {"input": _x(3, 1), "shape": _ints(2, 1, 4)}
        yield _case(version, "Expand", inputs)


@cases("Where")
def where() -> Iterator[Case]:
    """Conditions that are computed may choose either; constant ones hide what they don't."""
    picture = _RNG.random((2, 3, 4)) < 0.5
    for version in (9, 16):
        for k, (condition, x, y) in enumerate(
            [
                (picture, (2, 3, 4), (2, 3, 4)),
                (picture, (3, 1), (4,)),
                (picture, (), (2, 1, 4)),
                (picture[0], (2, 1, 1), (2, 3, 4)),
                (picture[0, 0], (3, 4), (2, 1, 1)),
            ]
        ):
            inputs = {"condition": condition, "X": _x(*x), "Y": _x(*y)}
            yield _case(version, "Where", inputs, name=f"{k}", follow=tuple(inputs))
        hidden = "a condition is data, constant or not (docs/adr/0009-masks-by-attribute.md)"
        yield _case(version, "Where", inputs, name="held", incomplete=hidden)


# ---------------------------------------------------------------- normalisation


def _normalise(axes: tuple[int, ...]) -> Run:
    """Training before version 14, with the old statistics weighted 0.9."""

    def run(feeds: Feeds) -> Sequence[Any]:
        x, scale, b, mean, var = (feeds[n] for n in ("X", "scale", "B", "mean", "var"))
        own = [1 if a in axes else n for a, n in enumerate(x.shape)]
        m, v = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
        y = (x - m) / np.sqrt(v + 1e-5) * scale.reshape(own) + b.reshape(own)
        m, v = m.reshape(mean.shape), v.reshape(var.shape)
        return [y, 0.9 * mean + 0.1 * m, 0.9 * var + 0.1 * v, m, v]

    return run


@cases("BatchNormalization")
def batch_normalization() -> Iterator[Case]:
    def inputs(*shape: int) -> dict[str, np.ndarray]:
        scale, b, mean, var = (_x(*shape) for _ in range(4))
        x = _x(2, 3, 4, 2)
        return {"X": x, "scale": scale, "B": b, "mean": mean, "var": np.abs(var) + 1}

    positive = {"within": (0.1, 1e3)}
    for version in (7, 9, 14, 15):
        yield _case(version, "BatchNormalization", inputs(3), **positive)
        training = {"training_mode": 1} if version >= 14 else {}
        yield _case(
            version,
            "BatchNormalization",
            inputs(3),
            3 if training else 5,
            run=None if training else _normalise((0, 2, 3)),
            name="training",
            **positive,
            **training,
        )
    for outputs in (1, 5):
        yield _case(
            7,
            "BatchNormalization",
            inputs(3, 4, 2),
            outputs,
            run=_normalise((0,)) if outputs == 5 else None,
            name=f"{outputs} outputs, not spatial",
            spatial=0,
            **positive,
        )


@cases("InstanceNormalization")
def instance_normalization() -> Iterator[Case]:
    for version in (7, 22):
        inputs = {"input": _x(2, 3, 4), "scale": _x(3), "B": _x(3)}
        yield _case(version, "InstanceNormalization", inputs)


# ---------------------------------------------------------------- reductions and softmax


@_each("Softmax", "LogSoftmax", "Hardmax")
def softmax(op_type: str) -> Iterator[Case]:
    for version in (7, 11, 13):
        for axis in (None, 0, 1, 2, -1, -2):
            if version == 7 and axis is not None and axis < 0:
                continue
            if op_type == "Hardmax" and axis in (2, -1, None):
                continue
            axes = {} if axis is None else {"axis": axis}
            # What is large hides the rest.
            inputs = {"x": _x(2, 2, 1 if op_type == "Hardmax" else 2)}
            yield _case(version, op_type, inputs, name=str(axis), within=(-3, 3), **axes)


@_each(
    *("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean"),
    *("ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"),
)
def reductions(op_type: str) -> Iterator[Case]:
    """`axes` is an attribute, then an input; without axes all are reduced, or none."""
    # What overflows or is not a number hides the rest; the greatest is to be exceeded.
    inner = (-1e3, 1e3) if op_type in ("ReduceMax", "ReduceMin") else (0.5, 2.0)
    for version in (7, 11, 13, 18, 20):
        as_input = version >= 18 or (op_type == "ReduceSum" and version >= 13)
        for axes in ([1], [0, 2], [-1], None):
            if axes and axes[0] < 0 and version < 11:
                continue
            for keepdims in (0, 1):
                inputs: dict[str, Any] = {"data": np.abs(_x(2, 3, 2)) + 0.5}
                given: dict[str, Any] = {"keepdims": keepdims}
                if axes is not None and as_input:
                    inputs["axes"] = _ints(*axes)
                elif axes is not None:
                    given["axes"] = axes
                name = f"{axes} {keepdims}"
                yield _case(version, op_type, inputs, name=name, within=inner, **given)
        if as_input:
            for axes in ([], None):
                inputs = {"data": np.abs(_x(2, 3)) + 0.5}
                if axes is not None:
                    inputs["axes"] = _ints()
                yield _case(
                    version,
                    op_type,
                    inputs,
                    name=f"noop {axes}",
                    within=inner,
                    noop_with_empty_axes=1,
                )


# ---------------------------------------------------------------- moving


@cases("Concat")
def concat() -> Iterator[Case]:
    for version in (7, 11, 13):
        yield _case(version, "Concat", {"a": _x(1, 2), "b": _x(3, 2)}, axis=0)
    for version in (11, 13):
        yield _case(version, "Concat", {"a": _x(2, 1), "b": _x(2, 3)}, axis=-1)


@cases("Split")
def split() -> Iterator[Case]:
    x = _x(2, 6)

    for version in (7, 11):
        yield _case(version, "Split", {"x": x}, 3, axis=1)
        yield _case(version, "Split", {"x": x}, 3, name="sizes", axis=1, split=[1, 2, 3])
    for version in (13, 18):
        inputs = {"x": x, "split": _ints(1, 2, 3)}
        yield _case(version, "Split", inputs, 3, name="sizes", axis=1)
        # Onnxruntime breaks off.
        yield _case(
            version,
            "Split",
            inputs,
            ["y0", "", "y2"],
            name="one left out",
            run=lambda feeds: np.split(feeds["x"], [1, 3], axis=1)[::2],
            axis=-1,
        )
    yield _case(13, "Split", {"x": x}, 3, axis=1)
    for count in (2, 3):
        yield _case(18, "Split", {"x": _x(2, 7)}, count, name=f"{count}", axis=1, num_outputs=count)


@cases("Slice")
def slices() -> Iterator[Case]:
    x = _x(4, 5)
    for starts, ends, axes in (
        ([1, -3], [3, 1000], None),
        ([2], [-1], [1]),
        ([0, 1], [-2, 3], [1, 0]),
        ([-1000], [2], [0]),
    ):
        given = {} if axes is None else {"axes": axes}
        name = f"{starts} {ends} {axes}"
        yield _case(7, "Slice", {"x": x}, name=name, starts=starts, ends=ends, **given)
        for version in (10, 11, 13):
            inputs = {"x": x, "starts": _ints(*starts), "ends": _ints(*ends)}
            if axes is not None:
                inputs["axes"] = _ints(*axes)
            yield _case(version, "Slice", inputs, name=name)
    for version in (10, 11, 13):
        for start, end, step in ((3, -1000, -2), (-1, 0, -1), (0, 5, 2), (1000, -4, -1)):
            inputs = {
                "x": x,
                "starts": _ints(start),
                "ends": _ints(end),
                "axes": _ints(1),
                "steps": _ints(step),
            }
            yield _case(version, "Slice", inputs, name=f"{start} {end} {step}")


@cases("Pad")
def pads() -> Iterator[Case]:
    x = _x(3, 4)

    for mode in ("constant", "edge", "reflect", "wrap"):
        crops = [0, 0, 2, -1] if mode == "constant" else [1, 2, 0, 1]
        for amounts in ([1, 0, 2, 1], crops):
            name = f"{mode} {amounts}"
            if mode != "wrap":
                yield _case(7, "Pad", {"x": x}, name=name, mode=mode, pads=amounts)
            for version in (11, 13, 18, 19, 21, 23, 24, 25):
                if mode == "wrap" and version < 19:
                    continue
                inputs = {"x": x, "pads": _ints(*amounts)}
                if mode == "constant":
                    inputs["constant_value"] = np.float32(2)
                yield _case(version, "Pad", inputs, name=name, mode=mode)
    for version in (18, 19, 21):
        inputs = {
            "x": x,
            "pads": _ints(1, 2),
            "constant_value": np.float32(2),
            "axes": _ints(-1),
        }
        yield _case(version, "Pad", inputs, name="axes")


@_each("Squeeze", "Unsqueeze")
def squeezes(op_type: str) -> Iterator[Case]:
    for version in (7, 11, 13, 21):
        for axes in ([0, 2], [2, 0], [-1], None):
            if axes is None and op_type == "Unsqueeze":
                continue
            if axes and axes[0] < 0 and version < 11:
                continue
            inputs = {"x": _x(1, 3, 1) if op_type == "Squeeze" else _x(2, 3)}
            given = {}
            if axes and version >= 13:
                inputs["axes"] = _ints(*axes)
            elif axes:
                given["axes"] = axes
            yield _case(version, op_type, inputs, name=str(axes), **given)


@cases("Reshape")
def reshapes() -> Iterator[Case]:
    for version in (7, 13, 14, 19, 21):
        yield _case(version, "Reshape", {"x": _x(2, 3, 4), "shape": _ints(0, -1, 3)})


@cases("Flatten")
def flattens() -> Iterator[Case]:
    for version in (7, 9, 11, 13, 21):
        for axis in (None, 0, 1, 3, -1):
            if axis is not None and axis < 0 and version < 11:
                continue
            given = {} if axis is None else {"axis": axis}
            yield _case(version, "Flatten", {"x": _x(2, 3, 2)}, name=str(axis), **given)


@cases("Tile")
def tiles() -> Iterator[Case]:
    for version in (7, 13):
        yield _case(version, "Tile", {"x": _x(2, 3), "repeats": _ints(2, 3)})


@_each("DepthToSpace", "SpaceToDepth")
def blocks(op_type: str) -> Iterator[Case]:
    """Of SpaceToDepth `mode` is new in version 28, of DepthToSpace in version 11."""
    x = _x(1, 8, 2, 3) if op_type == "DepthToSpace" else _x(1, 2, 4, 6)
    for version in (7, 11, 13, 28):
        yield _case(version, op_type, {"x": x}, blocksize=2)
        if version == 28 or (op_type == "DepthToSpace" and version >= 11):
            for mode in ("DCR", "CRD"):
                yield _case(version, op_type, {"x": x}, name=mode, blocksize=2, mode=mode)


# ---------------------------------------------------------------- resampling


@cases("Upsample")
def upsamples() -> Iterator[Case]:
    for scales in ([1.0, 1.0, 2.0, 3.0], [1, 1, 1.5, 1], [1, 1, 2.5, 1.7]):
        for mode in ("nearest", "linear"):
            name = f"{mode} {scales}"
            yield _case(7, "Upsample", {"X": _x(1, 2, 4, 3)}, name=name, mode=mode, scales=scales)
            inputs = {"X": _x(1, 2, 4, 3), "scales": np.array(scales, np.float32)}
            yield _case(9, "Upsample", inputs, name=name, mode=mode, constants=["scales"])


@cases("Resize")
def resizes() -> Iterator[Case]:
    for scales in ([1, 1, 2, 3], [1, 1, 0.5, 0.6], [1, 1, 1.5, 0.75], [1, 1, 2.5, 0.3]):
        for mode in ("nearest", "linear"):
            inputs: dict[str, Any] = {
                "X": _x(1, 1, 6, 7),
                "scales": np.array(scales, np.float32),
            }
            name = f"{mode} {scales}"
            yield _case(10, "Resize", inputs, name=name, mode=mode, constants=["scales"])
            inputs = {"X": inputs["X"], "roi": np.array([], np.float32), "scales": inputs["scales"]}
            for version in (11, 13, 18, 19):
                for transformation in (
                    "half_pixel",
                    "asymmetric",
                    "align_corners",
                    "pytorch_half_pixel",
                    "tf_half_pixel_for_nn",
                    "half_pixel_symmetric",
                ):
                    if transformation == "tf_half_pixel_for_nn" and version > 11:
                        continue
                    if transformation == "half_pixel_symmetric" and version < 19:
                        continue
                    yield _case(
                        version,
                        "Resize",
                        inputs,
                        name=f"{name} {transformation}",
                        constants=["roi", "scales"],
                        mode=mode,
                        coordinate_transformation_mode=transformation,
                    )


# ---------------------------------------------------------------- windows


@_each("AveragePool", "MaxPool", "LpPool")
def pools(op_type: str) -> Iterator[Case]:
    """``ceil_mode``, dilations and padding that counts, from the version on that has them."""
    versions = {
        "AveragePool": (7, 10, 11, 19, 22),
        "MaxPool": (7, 8, 10, 11, 12, 22),
        "LpPool": (7, 11, 18, 22),
    }
    ceil = {"AveragePool": 10, "MaxPool": 10, "LpPool": 18}
    dilated = {"AveragePool": 19, "MaxPool": 10, "LpPool": 18}
    for version in versions[op_type]:
        for size, kernel, stride, pads in (
            (7, 3, 2, [0, 0]),
            (8, 3, 2, [1, 1]),
            (6, 2, 3, [1, 1]),
            (5, 3, 4, [2, 2]),
            (9, 1, 4, [0, 0]),
        ):
            if op_type != "AveragePool" and max(pads) >= kernel:
                continue
            for ceil_mode in (0, 1) if version >= ceil[op_type] else (0,):
                given: dict[str, Any] = {
                    "kernel_shape": [kernel],
                    "strides": [stride],
                    "pads": pads,
                }
                if ceil_mode:
                    given["ceil_mode"] = 1
                if op_type == "AveragePool":
                    given["count_include_pad"] = 1
                name = f"{size} {kernel} {stride} {pads} {ceil_mode}"
                yield _case(version, op_type, {"X": _x(1, 2, size)}, name=name, **given)
        if version >= dilated[op_type]:
            yield _case(
                version,
                op_type,
                {"X": _x(1, 1, 9)},
                name="dilated",
                kernel_shape=[3],
                dilations=[2],
                strides=[2],
                pads=[1, 1],
                ceil_mode=1,
            )
        for auto_pad in ("SAME_UPPER", "SAME_LOWER", "VALID"):
            yield _case(
                version,
                op_type,
                {"X": _x(1, 1, 8)},
                name=auto_pad,
                kernel_shape=[4],
                strides=[3],
                auto_pad=auto_pad,
            )


@cases("Conv")
def conv() -> Iterator[Case]:
    for version in (7, 11, 22):
        for auto_pad in ("SAME_UPPER", "SAME_LOWER", "VALID"):
            inputs = {"X": _x(1, 1, 8), "W": _x(2, 1, 4), "B": _x(2)}
            yield _case(version, "Conv", inputs, name=auto_pad, strides=[3], auto_pad=auto_pad)


@cases("ConvTranspose")
def conv_transpose() -> Iterator[Case]:
    for version in (7, 11, 22):
        for auto_pad in ("SAME_UPPER", "SAME_LOWER", "VALID", None):
            for output_shape in (None, [7]):
                if output_shape and auto_pad == "VALID":
                    continue
                given = {"auto_pad": auto_pad, "output_shape": output_shape}
                given = {name: value for name, value in given.items() if value}
                yield _case(
                    version,
                    "ConvTranspose",
                    {"X": _x(1, 2, 4), "W": _x(2, 1, 4), "B": _x(1)},
                    name=f"{auto_pad} {output_shape}",
                    strides=[2],
                    **given,
                )


# ---------------------------------------------------------------- products


@cases("Gemm")
def gemms() -> Iterator[Case]:
    for version in (7, 9, 11, 13):
        for shape in ((2, 4), (4,), (1,), (2, 1)):
            inputs = {"A": _x(2, 3), "B": _x(3, 4), "C": _x(*shape)}
            yield _case(version, "Gemm", inputs, name=f"C {shape}")
        transposed = {"A": _x(3, 2), "B": _x(4, 3)}
        if version < 11:
            transposed["C"] = _x(2, 4)
        yield _case(version, "Gemm", transposed, name="transposed", transA=1, transB=1)


# ---------------------------------------------------------------- before operator set 7

# What operator set 7 takes over as it was, onnxruntime runs at the version that it is from.
_OLD: dict[str, list[tuple[int, dict[str, Any], dict[str, Any]]]] = {
    "ArgMax": [(1, {"X": (2, 3)}, {"axis": 1, "kinds": {"y0": TensorProto.INT64}})],
    "Clip": [(6, {"X": (2, 3)}, {"min": -9.0})],
    "Concat": [(4, {"a": (2, 2), "b": (2, 3)}, {"axis": 1})],
    "Conv": [(1, {"X": (1, 2, 7), "W": (3, 2, 3)}, {"pads": [1, 1], "strides": [2]})],
    "ConvTranspose": [(1, {"X": (1, 2, 4), "W": (2, 1, 3)}, {"strides": [2]})],
    "DepthToSpace": [(1, {"X": (1, 8, 2, 2)}, {"blocksize": 2})],
    "Flatten": [(1, {"X": (2, 3, 2)}, {"axis": 2})],
    "Gather": [(1, {"X": (4, 2), "i": _ints(2, 0)}, {"constants": ["i"]})],
    "GlobalAveragePool": [(1, {"X": (1, 2, 3)}, {})],
    "GlobalLpPool": [(2, {"X": (1, 2, 3, 4)}, {})],
    "InstanceNormalization": [(6, {"X": (1, 2, 4), "scale": (2,), "B": (2,)}, {})],
    "LpNormalization": [(1, {"X": (2, 3, 4)}, {"axis": 1})],
    "LpPool": [(2, {"X": (1, 1, 7)}, {"kernel_shape": [3], "strides": [2]})],
    "MatMul": [(1, {"a": (2, 3), "b": (3, 2)}, {})],
    "Max": [(6, {"a": (2, 3), "b": (2, 3)}, {})],
    "MaxPool": [(1, {"X": (1, 2, 6, 6)}, {"kernel_shape": [2, 2], "strides": [2, 2]})],
    "MaxRoiPool": [
        (
            1,
            {"X": (1, 2, 6, 6), "rois": np.array([[0, 1, 1, 4, 4]], np.float32)},
            {"pooled_shape": [2, 2], "constants": ["rois"]},
        )
    ],
    "Pad": [(2, {"X": (3, 4)}, {"pads": [0, 1, 1, 0], "mode": "reflect"})],
    "ReduceMean": [(1, {"X": (2, 3, 4)}, {"axes": [1]})],
    "Relu": [(6, {"X": (2, 3)}, {})],
    "Reshape": [
        (1, {"X": (2, 6)}, {"shape": [3, -1]}),
        (1, {"X": (2, 6)}, {"shape": [0, 2, 3]}),
        (5, {"X": (2, 6), "shape": _ints(4, -1)}, {"constants": ["shape"]}),
    ],
    "Slice": [(1, {"X": (5, 4)}, {"starts": [1, 0], "ends": [4, -1], "axes": [0, 1]})],
    "Softmax": [(1, {"X": (2, 3, 4)}, {"axis": 1})],
    "Split": [(2, {"X": (5, 2)}, {"axis": 0, "split": [2, 3], "outputs": 2})],
    "Squeeze": [(1, {"X": (2, 1, 3)}, {"axes": [1]})],
    "Sum": [(6, {"a": (2, 3), "b": (2, 3)}, {})],
    "Tile": [(6, {"X": (2, 3), "repeats": _ints(2, 1)}, {"constants": ["repeats"]})],
    "TopK": [(1, {"X": (2, 4)}, {"k": 2, "outputs": 2, "kinds": {"y1": TensorProto.INT64}})],
    "Transpose": [(1, {"X": (2, 3, 4)}, {"perm": [2, 0, 1]})],
    "Unsqueeze": [(1, {"X": (2, 3)}, {"axes": [1]})],
}


@_each(*_OLD)
def before_7(op_type: str) -> Iterator[Case]:
    for version, shapes, given in _OLD[op_type]:
        _RNG.bit_generator.state = _START
        inputs = {k: _x(*v) if isinstance(v, tuple) else v for k, v in shapes.items()}
        yield _case(version, op_type, inputs, **given)
