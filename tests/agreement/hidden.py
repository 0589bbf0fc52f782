"""Networks of fifty nodes with one operator hidden in the middle, of those that runtimes misread.

Each is a chain of convolutions, sums and rectifiers on a picture, and has in its middle a node
that some runtime is known to read in another way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto

from tests.graphs import model


class Hidden(NamedTuple):
    """A node that makes ``h`` of ``a`` in ONNX's text form, its opset, and its constants."""

    line: str
    opset: int = 17
    constants: dict[str, np.ndarray] | None = None


RNG = np.random.default_rng(0)

HIDDEN = {
    "transposed with output_shape": Hidden(
        'h = ConvTranspose<strides=[2,2], output_shape=[20,20], auto_pad="SAME_UPPER">(a, hw)',
        constants={"hw": RNG.uniform(0.2, 1, (4, 4, 3, 3)).astype(np.float32)},
    ),
    "antialias": Hidden(
        'h = Resize<mode="linear", antialias=1>(a, , scales)',
        18,
        {"scales": np.array([1, 1, 0.5, 0.5], np.float32)},
    ),
    "keep aspect": Hidden(
        'h = Resize<mode="nearest", keep_aspect_ratio_policy="not_larger">(a, , , sizes)',
        18,
        {"sizes": np.array([1, 4, 20, 15])},
    ),
    "softmax of old": Hidden("h = Softmax<axis=1>(a)", 11),
    "pool with ceil": Hidden(
        "h = MaxPool<kernel_shape=[2,2], strides=[3,3], pads=[1,1,1,1], ceil_mode=1>(a)",
    ),
    "transposed": Hidden(
        "h = ConvTranspose<strides=[2,2], pads=[1,1,0,0]>(a, hw)",
        constants={"hw": RNG.uniform(0.2, 1, (4, 4, 3, 3)).astype(np.float32)},
    ),
    "explicit output_shape": Hidden(
        "h = ConvTranspose<strides=[2,2], output_shape=[20,20]>(a, hw)",
        constants={"hw": RNG.uniform(0.2, 1, (4, 4, 3, 3)).astype(np.float32)},
    ),
    "even window at the end": Hidden(
        'h = Conv<auto_pad="SAME_LOWER">(a, hw)',
        constants={"hw": RNG.uniform(0.2, 1, (4, 4, 2, 2)).astype(np.float32)},
    ),
    "cubic samples": Hidden(
        'h = GridSample<mode="cubic", padding_mode="zeros", align_corners=0>(a, grid)',
        20,
        {"grid": RNG.uniform(-0.9, 0.9, (1, 10, 10, 2)).astype(np.float32)},
    ),
    # Rows are steps, and columns what stands at each.
    "short sequences": Hidden(
        "s = Squeeze(a, first)\nh = GRU<hidden_size=10>(s, W, R, , lengths)\n"
        "b = Transpose<perm=[1,0,2,3]>(h)",
        constants={
            "first": np.array([0]),
            "lengths": np.array([4, 3, 2, 1, 4, 2, 3, 4, 1, 2], np.int32),
            "W": RNG.standard_normal((1, 30, 10)).astype(np.float32) * 0.3,
            "R": RNG.standard_normal((1, 30, 10)).astype(np.float32) * 0.3,
        },
    ),
}


def hidden(name: str, nodes: int = 50, size: int = 10) -> onnx.ModelProto:
    """The network, whose hidden node is named ``hidden``."""
    node = HIDDEN[name]
    rng = np.random.default_rng(1)
    constants = dict(node.constants or {})
    lines: list[str] = []
    last = "x"

    def add(line: Callable[[str, str], str]) -> None:
        nonlocal last
        made = f"v{len(lines)}"
        lines.append(line(made, last))
        last = made

    def block(k: int) -> None:
        weights = f"w{k}"
        channels = 2 if k == 0 else 4
        constants[weights] = (rng.standard_normal((4, channels, 3, 3)) * 0.3).astype(np.float32)
        before = last
        add(lambda y, x: f"{y} = Conv<pads=[1,1,1,1]>({x}, {weights})")
        if k:
            add(lambda y, x: f"{y} = Add({x}, {before})")
        add(lambda y, x: f"{y} = Relu({x})")

    k = 0
    while len(lines) < nodes // 2 - 2:
        block(k)
        k += 1
    own = node.line.replace("(a,", f"({last},").replace("(a)", f"({last})").splitlines()
    lines += own
    last = own[-1].partition(" ")[0]
    while len(lines) < nodes:
        block(k)
        k += 1
    body = "\n".join(lines)
    made = model(
        body, f"float[1,2,{size},{size}] x", last, opset=node.opset, initializers=constants
    )
    for one in made.graph.node:
        one.name = "hidden" if one.output[0] == "h" else f"node of {one.output[0]}"
    made.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    return made
