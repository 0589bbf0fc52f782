"""Cases of operators with the channels last, or in blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from tests.graphs import single

from ..observe import session
from ..perturbation import Case, Run
from . import cases
from .contrib_fused import MS, ms, normal

NHWC = "com.ms.internal.nhwc"
NCHWC = "com.microsoft.nchwc"
_Cases: TypeAlias = Iterator[Case]


# ---------------------------------------------------------------- channels last


def _last(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(array, 1, -1))


def _moving(model: onnx.ModelProto, first: str) -> Run:
    """Runs ONNX's operator with input `first` and the outputs transposed."""
    opened = session(model)

    def run(feeds: Any) -> list[np.ndarray]:
        given = {**feeds, first: np.ascontiguousarray(np.moveaxis(feeds[first], -1, 1))}
        return [_last(y) if y.ndim > 2 else y for y in opened.run(None, given)]

    return run


def last(
    name: str,
    op_type: str,
    inputs: dict[str, Any],
    outputs: int = 1,
    *,
    domain: str = NHWC,
    like: str = "",
    incomplete: str = "",
    **attributes: Any,
) -> Case:
    """A case with the channels last, run as the operator `like` of ONNX with them second."""
    first = next(iter(inputs))
    model, _ = single(like or op_type, inputs, outputs, **attributes)
    moved = {**inputs, first: _last(inputs[first])}
    versions = {domain: 21 if domain == NHWC else 1}
    given, feeds = single(op_type, moved, outputs, domain=domain, versions=versions, **attributes)
    return Case(name, given, feeds, incomplete, run=_moving(model, first))


@cases("AveragePool", NHWC)
@cases("LpPool", NHWC)
@cases("MaxPool", NHWC)
def pools() -> _Cases:
    for op in ("AveragePool", "LpPool", "MaxPool"):
        yield last(f"{op}-1d", op, {"X": normal(2, 2, 7)}, kernel_shape=[3], strides=[2])
        yield last(
            f"{op}-2d",
            op,
            {"X": normal(1, 2, 5, 4)},
            kernel_shape=[2, 3],
            pads=[1, 0, 0, 2],
        )
    yield last(
        "ceil",
        "MaxPool",
        {"X": normal(1, 2, 5, 4)},
        kernel_shape=[2, 2],
        strides=[2, 3],
        ceil_mode=1,
    )


@cases("NhwcMaxPool", MS)
def nhwc_max_pool() -> _Cases:
    X = np.random.default_rng(0).integers(0, 255, (2, 5, 4, 2), np.uint8)
    model, feeds = ms(
        "NhwcMaxPool", {"X": X}, kernel_shape=[2, 3], strides=[1, 2], pads=[1, 0, 0, 1]
    )
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.UINT8
    yield Case("2d", model, feeds, follow=("X",))


@cases("Conv", NHWC)
@cases("NhwcConv", MS)
@cases("NhwcFusedConv", MS)
def convolutions() -> _Cases:
    for domain, op in ((NHWC, "Conv"), (MS, "NhwcConv"), (MS, "NhwcFusedConv")):
        inputs = {"X": normal(2, 4, 5, 4), "W": normal(6, 2, 3, 2, seed=1), "B": normal(6)}
        yield last(
            op, op, inputs, domain=domain, like="Conv", group=2, pads=[1, 0, 2, 1], strides=[2, 1]
        )
    inputs = {"X": normal(1, 2, 6), "W": normal(3, 2, 3, seed=1)}
    yield last("1d", "Conv", inputs, dilations=[2])


@cases("NhwcFusedConv", MS)
def nhwc_fused_conv() -> _Cases:
    inputs = {"X": normal(2, 2, 5, 4), "W": normal(3, 2, 2, 2, seed=1), "B": normal(3)}
    plain = session(single("Conv", inputs)[0])

    def run(feeds: Any) -> list[np.ndarray]:
        given = {"X": np.moveaxis(feeds["X"], -1, 1), "W": feeds["W"], "B": feeds["B"]}
        return [np.tanh(1e-3 * (_last(plain.run(None, given)[0]) + feeds["Z"]))]

    more = {**inputs, "X": _last(inputs["X"]), "Z": normal(2, 4, 3, 3, seed=3)}
    yield Case("sum", *ms("NhwcFusedConv", more, activation="Tanh"), run=run)


@cases("ConvTranspose", NHWC)
def conv_transpose() -> _Cases:
    inputs = {"X": normal(2, 4, 3, 2), "W": normal(4, 3, 3, 2, seed=1), "B": normal(6)}
    yield last("2d", "ConvTranspose", inputs, group=2, strides=[2, 1], pads=[1, 0, 0, 0])


@cases("GlobalAveragePool", NHWC)
@cases("GlobalLpPool", NHWC)
@cases("GlobalMaxPool", NHWC)
def global_pools() -> _Cases:
    for op in ("GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool"):
        yield last(op, op, {"X": normal(2, 3, 3, 2)})


@cases("BatchNormalization", NHWC)
@cases("InstanceNormalization", NHWC)
@cases("LRN", NHWC)
def normalisations() -> _Cases:
    X = normal(2, 3, 2, 4)
    names = ("scale", "B", "mean", "var")
    channels = {name: np.abs(normal(3, seed=k)) for k, name in enumerate(names)}
    batch = last("batch", "BatchNormalization", {"X": X, **channels})
    yield Case(batch.name, batch.model, batch.feeds, run=batch.run, within=(0.1, 9))
    two = {name: channels[name] for name in ("scale", "B")}
    yield last("instance", "InstanceNormalization", {"X": X, **two})

    def response(feeds: Any) -> list[np.ndarray]:
        # Runtimes' running sum over channels leaves its window by rounding.
        squares = np.pad(feeds["X"].astype(np.float64) ** 2, [(0, 0)] * 3 + [(1, 1)])
        total = squares[..., :-2] + squares[..., 1:-1] + squares[..., 2:]
        return [feeds["X"] / (1 + total / 3e4) ** 0.75]

    window = last("lrn", "LRN", {"X": normal(2, 5, 2, 2)}, size=3)
    yield Case(window.name, window.model, window.feeds, run=response)


@cases("DepthToSpace", NHWC)
@cases("SpaceToDepth", NHWC)
def blocks() -> _Cases:
    for mode in ("DCR", "CRD"):
        yield last(mode, "DepthToSpace", {"X": normal(2, 8, 2, 3)}, blocksize=2, mode=mode)
    yield last("back", "SpaceToDepth", {"X": normal(2, 2, 4, 6)}, blocksize=2)


@cases("Resize", NHWC)
def resize() -> _Cases:
    inputs = {
        "X": normal(2, 3, 4, 2),
        "roi": None,
        "scales": np.array([1, 2, 0.5, 1], np.float32),
    }
    for mode in ("nearest", "linear"):
        options: dict[str, Any] = {"constants": ["scales"], "mode": mode}
        model, feeds = single(
            "Resize", inputs, domain=NHWC, versions={NHWC: 19}, opset=19, **options
        )
        plain = session(single("Resize", inputs, opset=19, **options)[0])
        yield Case(mode, model, feeds, run=lambda f, plain=plain: plain.run(None, f))


@cases("GridSample", NHWC)
def grid_sample() -> _Cases:
    inputs = {"X": normal(2, 2, 3, 4), "grid": np.clip(normal(2, 2, 3, 2, seed=1), -1, 1)}
    yield last("image", "GridSample", inputs, incomplete="where the grid points is not known")


# ---------------------------------------------------------------- channels in blocks

# Channels in a block on the processors that onnxruntime knows.
WIDTHS = (8, 16)

# A whole number of blocks of every width.
WIDE = max(WIDTHS)


@cache
def width_here() -> int | None:
    """How many channels the runtime puts into a block on this processor; None: it makes none.

    A convolution to one channel has a block of weights, once it is optimised.
    """
    node = helper.make_node("Conv", ["x", "W"], ["y"])
    model = _model([node], {"x": normal(1, 1, 2, 2)}, {"W": normal(1, 1, 1, 1)})
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    with TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder) / "optimised.onnx")
        onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        graph = onnx.load(options.optimized_model_filepath).graph
    blocks = any(node.domain == NCHWC for node in graph.node)
    return graph.initializer[0].dims[0] if blocks else None


def _model(
    nodes: list[onnx.NodeProto], feeds: dict[str, Any], weights: dict[str, np.ndarray]
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "blocks",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, v.shape) for n, v in feeds.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(v, n) for n, v in weights.items()],
    )
    imports = [helper.make_opsetid(domain, v) for domain, v in (("", 21), (NCHWC, 1))]
    return helper.make_model(graph, ir_version=10, opset_imports=imports)


def _blocks(
    name: str,
    nodes: list[onnx.NodeProto],
    feeds: dict[str, Any],
    width: int,
    **weights: np.ndarray,
) -> Case:
    """A case for blocks of a width: of this processor's the kernels run it, of another ONNX's."""
    packed = {n: _packed(v, width) if v.ndim > 1 else v for n, v in weights.items()}
    model = _model(nodes, feeds, packed)
    opened = session(
        _model([made for node in nodes for made in _plain(node, width)], feeds, weights)
    )

    def run(given: Any) -> list[np.ndarray]:
        found: list[np.ndarray] = opened.run(None, given)
        return found

    if width == width_here():
        return Case(f"{name} by {width}", model, feeds, expected=run(feeds))
    return Case(f"{name} by {width}", model, feeds, run=run)


def _packed(W: np.ndarray, width: int) -> np.ndarray:
    """Weights as the kernels have them: outputs in blocks, and inputs where they fill some."""
    outputs, inputs, *kernel = W.shape
    inner = 1 if inputs % width else width
    blocks = W.reshape(outputs // width, width, inputs // inner, inner, *kernel)
    return np.ascontiguousarray(blocks.transpose(0, 2, 4, 5, 3, 1)).reshape(W.shape)


def _node(op_type: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op_type, inputs.split(","), [output], domain=NCHWC, **attributes)


def _plain(node: onnx.NodeProto, width: int) -> Iterator[onnx.NodeProto]:
    """ONNX's operators for one that has the channels of an image in blocks."""
    first, made = node.input[0], node.output[0]
    given = {a.name: helper.get_attribute_value(a) for a in node.attribute}

    def emit(op_type: str, inputs: Sequence[str], output: str, **attributes: Any) -> onnx.NodeProto:
        return helper.make_node(op_type, inputs, [output], **attributes)

    def constant(output: str, values: Sequence[float]) -> onnx.NodeProto:
        kind = "value_ints" if isinstance(values[0], int) else "value_floats"
        return emit("Constant", [], output, **{kind: values})

    last = given.pop("channels_last", 0)
    if node.op_type == "ReorderInput":
        yield emit("Transpose", [first], f"{made}_t", perm=[0, 3, 1, 2] if last else [0, 1, 2, 3])
        yield emit("Shape", [f"{made}_t"], f"{made}_n", start=1, end=2)
        yield constant(f"{made}_w", [width])
        yield emit("Neg", [f"{made}_n"], f"{made}_m")
        yield emit("Mod", [f"{made}_m", f"{made}_w"], f"{made}_more")
        yield constant(f"{made}_0", [0, 0, 0, 0, 0])
        yield constant(f"{made}_00", [0, 0])
        pads = [f"{made}_0", f"{made}_more", f"{made}_00"]
        yield emit("Concat", pads, f"{made}_pads", axis=0)
        yield emit("Pad", [f"{made}_t", f"{made}_pads"], made)
    elif node.op_type == "ReorderOutput":
        yield constant(f"{made}_0", [0])
        yield constant(f"{made}_n", [given["channels"]])
        yield constant(f"{made}_1", [1])
        yield emit("Slice", [first, f"{made}_0", f"{made}_n", f"{made}_1"], f"{made}_s")
        yield emit("Transpose", [f"{made}_s"], made, perm=[0, 2, 3, 1] if last else [0, 1, 2, 3])
    elif node.op_type == "Upsample":
        yield constant(f"{made}_scales", [float(n) for n in given.pop("scales")])
        yield emit("Resize", [first, "", f"{made}_scales"], made, **given, nearest_mode="floor")
    elif node.op_type == "Conv":
        activation = given.pop("activation", b"Identity").decode()
        yield emit("Conv", node.input[:3], f"{made}_c", **given)
        yield emit("Sum", [f"{made}_c", *node.input[3:]], f"{made}_s")
        yield emit(activation, [f"{made}_s"], made)
    elif node.op_type == "Reshape" and node.input[1] == "blocks":
        # A size of 0 is that of the same axis before.
        yield emit("Transpose", [first], f"{made}_t", perm=[0, 2, 3, 1])
        yield constant(f"{made}_n", [0, 0, 0, -1, width])
        yield emit("Reshape", [f"{made}_t", f"{made}_n"], f"{made}_s")
        yield emit("Transpose", [f"{made}_s"], made, perm=[0, 3, 1, 2, 4])
    elif node.op_type == "Reshape":
        yield emit("Transpose", [first], f"{made}_t", perm=[0, 2, 3, 1, 4])
        yield constant(f"{made}_n", [0, 0, 0, -1])
        yield emit("Reshape", [f"{made}_t", f"{made}_n"], f"{made}_s")
        yield emit("Transpose", [f"{made}_s"], made, perm=[0, 3, 1, 2])
    else:
        yield emit(node.op_type, node.input, made, **given)


@cases("Conv", NCHWC)
@cases("ReorderOutput", NCHWC)
def convolution_from_image() -> _Cases:
    """Few channels are read from the image itself; all blocks but a part of the last remain."""
    weights = {"W": normal(WIDE, 3, 2, 3, seed=1), "B": normal(WIDE)}
    for width, channels_last in product(WIDTHS, (0, 1)):
        channels = WIDE - width + 5
        nodes = [
            _node("Conv", "x,W,B", "c", kernel_shape=[2, 3], pads=[1, 0, 0, 1], strides=[1, 2]),
            _node("ReorderOutput", "c", "y", channels=channels, channels_last=channels_last),
        ]
        yield _blocks(f"image-{channels_last}", nodes, {"x": normal(2, 3, 5, 4)}, width, **weights)


@cases("Conv", NCHWC)
@cases("ReorderInput", NCHWC)
@cases("ReorderOutput", NCHWC)
def convolution_of_blocks() -> _Cases:
    """Twelve channels fill their blocks with four that are not there."""
    for width, channels_last in product(WIDTHS, (0, 1)):
        X = normal(2, 12, 4, 3)
        nodes = [
            _node("ReorderInput", "x", "b", channels_last=channels_last),
            _node("ReorderInput", "z", "s"),
            _node("Conv", "b,W,B,s", "c", kernel_shape=[3, 1], activation="Relu"),
            _node("ReorderOutput", "c", "y", channels=WIDE - width + 2),
        ]
        feeds = {"x": _last(X) if channels_last else X, "z": normal(2, WIDE, 2, 3, seed=5)}
        weights = {"W": normal(WIDE, WIDE, 3, 1, seed=1), "B": normal(WIDE)}
        yield _blocks(f"blocks-{channels_last}", nodes, feeds, width, **weights)
        nodes = [
            nodes[0],
            _node("Conv", "b,W,B", "c", kernel_shape=[2, 2], group=WIDE),
            _node("ReorderOutput", "c", "y", channels=12),
        ]
        weights = {"W": normal(WIDE, 1, 2, 2, seed=1), "B": normal(WIDE)}
        yield _blocks(f"depthwise-{channels_last}", nodes, {"x": feeds["x"]}, width, **weights)


@cases("AveragePool", NCHWC)
@cases("GlobalAveragePool", NCHWC)
@cases("GlobalMaxPool", NCHWC)
@cases("MaxPool", NCHWC)
def pools_of_blocks() -> _Cases:
    window: dict[str, Any] = {"kernel_shape": [2, 3], "strides": [1, 2], "pads": [1, 0, 0, 1]}
    for op in ("AveragePool", "MaxPool", "GlobalAveragePool", "GlobalMaxPool"):
        nodes = [
            _node("ReorderInput", "x", "b"),
            _node(op, "b", "c", **({} if op.startswith("Global") else window)),
            _node("ReorderOutput", "c", "y", channels=WIDE),
        ]
        yield _blocks(op, nodes, {"x": normal(2, WIDE, 3, 5)}, width_here() or WIDE)


@cases("Reshape")
def blocks_as_an_axis() -> _Cases:
    """The runtime adds images that way whose sizes it can't tell to be the same."""
    for width in WIDTHS:
        blocks = np.array([0, 2 * WIDE // width, 0, 0, width])
        nodes = [
            _node("ReorderInput", "x", "b"),
            helper.make_node("Reshape", ["b", "blocks"], ["y"]),
        ]
        feeds = {"x": normal(2, 2 * WIDE, 4, 3)}
        yield _blocks("to blocks", nodes, feeds, width, blocks=blocks)
        nodes = [
            nodes[0],
            helper.make_node("Reshape", ["b", "blocks"], ["p"]),
            helper.make_node("ReduceSum", ["p", "axis"], ["q"]),
            helper.make_node("Add", ["p", "q"], ["r"]),
            helper.make_node("Reshape", ["r", "image"], ["i"]),
            _node("MaxPool", "i", "m", kernel_shape=[2, 2]),
            _node("ReorderOutput", "m", "y", channels=2 * WIDE),
        ]
        image, axis = np.array([0, 2 * WIDE, 0, 0]), np.array([2])
        yield _blocks("and back", nodes, feeds, width, blocks=blocks, image=image, axis=axis)


@cases("Upsample", NCHWC)
def upsample() -> _Cases:
    for mode, transformation in (
        ("nearest", "asymmetric"),
        ("linear", "asymmetric"),
        ("linear", "half_pixel"),
        ("linear", "align_corners"),
    ):
        nodes = [
            _node("ReorderInput", "x", "b"),
            _node(
                "Upsample",
                "b",
                "c",
                scales=[1, 1, 3, 2],
                mode=mode,
                coordinate_transformation_mode=transformation,
            ),
            _node("ReorderOutput", "c", "y", channels=WIDE),
        ]
        name = f"{mode}-{transformation}"
        yield _blocks(name, nodes, {"x": normal(2, WIDE, 2, 3)}, width_here() or WIDE)
