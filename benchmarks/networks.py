"""Models of which the structure is large and the weights are small."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Network:
    """A model in the making, of one input and one output.

    Parameters
    ----------
    *shape : int or str
        Shape of the input ``x``; a name is an axis that is open.
    opset : int
        Version of ONNX's operators.
    """

    def __init__(self, *shape: int | str, opset: int = 17) -> None:
        self._shape = shape
        self._opsets = {"": opset}
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: dict[str, onnx.TensorProto] = {}

    def __len__(self) -> int:
        """The number of nodes."""
        return len(self._nodes)

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add an operator; its first output."""
        name = f"v{len(self._nodes)}"
        node = helper.make_node(kind, inputs, [name], name=f"{kind}_{name}", **attributes)
        if node.domain:
            self._opsets[node.domain] = 1
        self._nodes.append(node)
        return name

    def constant(self, name: str, value: np.ndarray) -> str:
        """Add a tensor, if there is none of that name."""
        if name not in self._tensors:
            self._tensors[name] = numpy_helper.from_array(value, name)
        return name

    def weight(self, *shape: int) -> str:
        """A weight; those of one shape are the same."""
        name = "x".join(map(str, ("W", *shape)))
        return self.constant(name, np.full(shape, 0.5, dtype=np.float32))

    def integers(self, *values: int) -> str:
        """A shape, or indices."""
        return self.constant(f"integers {values}", np.array(values, dtype=np.int64))

    def mask(self, allowed: np.ndarray) -> str:
        """What is added to scores so that only those that are allowed count: always the same."""
        return self.constant("mask", np.where(allowed, 0, -np.inf).astype(np.float32))

    def conv(self, x: str, into: int, out: int, *kernel: int, **attributes: Any) -> str:
        """A convolution from one number of channels to another."""
        return self.op("Conv", x, self.weight(out, into, *kernel), **attributes)

    def linear(self, x: str, into: int, out: int) -> str:
        """A linear layer along the last axis."""
        return self.op("MatMul", x, self.weight(into, out))

    def normalised(self, x: str, width: int) -> str:
        """A layer's normalisation along the last axis."""
        return self.op("LayerNormalization", x, self.weight(width), axis=-1)

    def slice(self, x: str, axis: int, begin: int, end: int, step: int = 1) -> str:
        """A part along one axis."""
        inputs = (self.integers(n) for n in (begin, end, axis, step))
        return self.op("Slice", x, *inputs)

    def model(self, output: str) -> onnx.ModelProto:
        """The model whose output is a value of as many axes as the input."""
        graph = helper.make_graph(
            self._nodes,
            "benchmark",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, self._shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, [None] * len(self._shape))],
            list(self._tensors.values()),
        )
        opsets = [helper.make_opsetid(*pair) for pair in self._opsets.items()]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)


# ---------------------------------------------------------------- convolutions


def chain(nodes: int) -> onnx.ModelProto:
    """A chain of convolutions and activations."""
    net, last = Network(1, 4, 64), "x"
    while len(net) < nodes:
        last = net.op("Relu", net.conv(last, 4, 4, 3, pads=[1, 1]))
    return net.model(last)


def branches(nodes: int) -> onnx.ModelProto:
    """Sums of convolutions of several sizes, each of which reads one of the last eight sums."""
    chance = random.Random(0)
    net, values = Network(1, 1, 128, 128), ["x"]
    while len(net) < nodes:
        long, short = (chance.choice(values[-8:]) for _ in range(2))
        kernel, dilation = chance.choice((1, 3, 5)), chance.choice((1, 2))
        pads, dilations = [kernel // 2 * dilation] * 4, [dilation] * 2
        long = net.conv(long, 1, 1, kernel, kernel, pads=pads, dilations=dilations)
        values.append(net.op("Relu", net.op("Add", long, short)))
    return net.model(values[-1])


def picture(side: int, layers: int = 100) -> onnx.ModelProto:
    """Convolutions on a square picture, of which each 25th halves it."""
    net, last = Network(1, 4, side, side), "x"
    for k in range(layers):
        stride = 2 if k % 25 == 24 else 1
        last = net.conv(last, 4, 4, 3, 3, pads=[1, 1, 1, 1], strides=[stride, stride])
    return net.model(last)


def concatenations(count: int) -> onnx.ModelProto:
    """Dense connections as DenseNet has them, on a picture of 56 x 56: each layer adds channels."""
    grown = 2
    net, last = Network(1, grown, 56, 56), "x"
    for k in range(1, count + 1):
        narrow = net.conv(net.op("Relu", last), k * grown, grown, 1, 1)
        new = net.conv(net.op("Relu", narrow), grown, grown, 3, 3, pads=[1, 1, 1, 1])
        last = net.op("Concat", last, new, axis=1)
    return net.model(last)


def wavenet(samples: int | str) -> onnx.ModelProto:
    """Three stacks of ten gated causal convolutions, whose dilations double, and their skips."""
    width = 4
    net, last = Network(1, width, samples), "x"
    skips = []
    for k in range(30):
        dilation = 2 ** (k % 10)
        padded = net.op("Pad", last, net.integers(0, 0, dilation, 0, 0, 0))
        signal, gate = (
            net.op(kind, net.conv(padded, width, width, 2, dilations=[dilation]))
            for kind in ("Tanh", "Sigmoid")
        )
        gated = net.op("Mul", signal, gate)
        skips.append(net.conv(gated, width, width, 1))
        last = net.op("Add", last, net.conv(gated, width, width, 1))
    total = skips[0]
    for skip in skips[1:]:
        total = net.op("Add", total, skip)
    return net.model(net.conv(net.op("Relu", total), width, width, 1))


def separator(samples: int | str) -> onnx.ModelProto:
    """Frames of stride 8, sixteen convolutions that look ahead as far as back, and a decoder."""
    width = 8
    net = Network(1, 1, samples)
    frames = last = net.conv("x", 1, width, 16, strides=[8])
    for k in range(16):
        far = 2 ** (k % 8)
        seen = net.conv(last, width, width, 3, dilations=[far], pads=[far, far])
        last = net.op("Add", last, net.op("Tanh", seen))
    masked = net.op("Mul", frames, net.op("Sigmoid", last))
    return net.model(net.op("ConvTranspose", masked, net.weight(width, 1, 16), strides=[8]))


# Channels of VGG-19's convolutions; 0 is a pool.
VGG_19 = (64, 64, 0, 128, 128, 0, *(256,) * 4, 0, *(512,) * 4, 0, *(512,) * 4)


def vgg_19() -> onnx.ModelProto:
    """VGG-19 up to its last convolution, on a picture of 224 x 224, with random weights."""
    rng = np.random.default_rng(0)
    net, last, channels = Network(1, 3, 224, 224), "x", 3
    for k, wanted in enumerate(VGG_19):
        if not wanted:
            last = net.op("MaxPool", last, kernel_shape=[2, 2], strides=[2, 2])
            continue
        weight = rng.standard_normal((wanted, channels, 3, 3), dtype=np.float32)
        weight *= np.sqrt(2 / (9 * channels), dtype=np.float32)
        last = net.op("Conv", last, net.constant(f"W{k}", weight), pads=[1, 1, 1, 1])
        last, channels = net.op("Relu", last), wanted
    return net.model(last)


def unet(channels: int = 16) -> onnx.ModelProto:
    """A U-Net of three levels with so many channels, twice and four times as many."""
    net, rng = Network(1, 1, "height", "width"), np.random.default_rng(0)

    def weight(*shape: int) -> str:
        scale = np.sqrt(2 / np.prod(shape[1:]))
        value = (scale * rng.standard_normal(shape)).astype(np.float32)
        return net.constant(f"W{len(net)}", value)

    def double(x: str, into: int, out: int) -> str:
        for channels in (into, out):
            x = net.op("Conv", x, weight(out, channels, 3, 3), pads=[1, 1, 1, 1])
            x = net.op("Relu", x)
        return x

    def up(x: str, into: int, skip: str) -> str:
        larger = net.op("ConvTranspose", x, weight(into, into // 2, 2, 2), strides=[2, 2])
        return double(net.op("Concat", skip, larger, axis=1), into, into // 2)

    def down(x: str) -> str:
        return net.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])

    first = double("x", 1, channels)
    second = double(down(first), channels, 2 * channels)
    third = double(down(second), 2 * channels, 4 * channels)
    last = up(up(third, 4 * channels, second), 2 * channels, first)
    return net.model(net.op("Conv", last, weight(2, channels, 1, 1)))


def heavy() -> onnx.ModelProto:
    """Convolutions with 226 MB of weights."""
    rng = np.random.default_rng(0)
    net, last = Network(1, 512, 56, 56), "x"
    for k in range(24):
        weight = net.constant(f"W{k}", rng.standard_normal((512, 512, 3, 3), dtype=np.float32))
        last = net.op("Relu", net.op("Conv", last, weight, pads=[1, 1, 1, 1]))
    return net.model(last)


# ---------------------------------------------------------------- attention

# A layer of attention: from a value of shape (batch, tokens, width) to one of the same shape.
Attention = Callable[[Network, str], str]


def block(net: Network, x: str, width: int, attention: Attention) -> str:
    """A transformer's block: attention and two linear layers, each beside what it adds to."""
    attended = net.linear(attention(net, net.normalised(x, width)), width, width)
    x = net.op("Add", x, attended)
    inner = net.op("Relu", net.linear(net.normalised(x, width), width, 4 * width))
    return net.op("Add", x, net.linear(inner, 4 * width, width))


def transformer(
    tokens: int, layers: int, width: int, attention: Attention, opset: int = 17
) -> onnx.ModelProto:
    """Blocks of attention to tokens."""
    net, last = Network(1, tokens, width, opset=opset), "x"
    for _ in range(layers):
        last = block(net, last, width, attention)
    return net.model(last)


def plain_attention(
    tokens: int, width: int, heads: int, allowed: np.ndarray | None = None
) -> Attention:
    """Attention as exporters write it: products, softmax and moves of axes.

    Parameters
    ----------
    tokens, width, heads : int
        Sizes.
    allowed : bool array of shape (tokens, tokens), optional
        Which tokens each may attend to, as a constant mask that is added; all if left out.
    """

    def attention(net: Network, x: str) -> str:
        def split(x: str, perm: Sequence[int]) -> str:
            x = net.op("Reshape", x, net.integers(0, tokens, heads, width // heads))
            return net.op("Transpose", x, perm=perm)

        query, key, value = (net.linear(x, width, width) for _ in range(3))
        scores = net.op("MatMul", split(query, [0, 2, 1, 3]), split(key, [0, 2, 3, 1]))
        if allowed is not None:
            scores = net.op("Add", scores, net.mask(allowed))
        weighted = net.op("Softmax", scores, axis=-1)
        joined = net.op("MatMul", weighted, split(value, [0, 2, 1, 3]))
        joined = net.op("Transpose", joined, perm=[0, 2, 1, 3])
        return net.op("Reshape", joined, net.integers(0, tokens, width))

    return attention


def operator_attention(
    width: int, heads: int, reach: int, allowed: np.ndarray | None = None
) -> Attention:
    """The operator of ONNX, from opset 25 on.

    Parameters
    ----------
    width, heads : int
        Sizes.
    reach : int
        Each token attends to so many, up to itself.
    allowed : bool array of shape (tokens, tokens), optional
        The same as a constant mask, which is then given instead.
    """

    def attention(net: Network, x: str) -> str:
        given = [net.linear(x, width, width) for _ in range(3)]
        counts = {"q_num_heads": heads, "kv_num_heads": heads}
        if allowed is not None:
            return net.op("Attention", *given, net.mask(allowed), **counts)
        return net.op("Attention", *given, is_causal=1, left_window_size=reach - 1, **counts)

    return attention


def grouped_attention(tokens: int, width: int, heads: int, reach: int) -> Attention:
    """The operator of onnxruntime: causal, to the last tokens."""

    def attention(net: Network, x: str) -> str:
        given = (net.linear(x, width, width) for _ in range(3))
        return net.op(
            "GroupQueryAttention",
            *given,
            "",
            "",
            net.constant("last", np.array([tokens - 1], dtype=np.int32)),
            net.constant("total", np.array(tokens, dtype=np.int32)),
            domain="com.microsoft",
            num_heads=heads,
            kv_num_heads=heads,
            local_window_size=reach,
        )

    return attention


def swin(side: int, window: int, depths: Sequence[int] = (2, 2, 6, 2)) -> onnx.ModelProto:
    """Attention within windows of patches, which every second block shifts, as Swin has them.

    The picture is padded up to whole windows, the shift is cyclic, and between stages 2 x 2 places
    become one.
    """
    patch, width, heads = 4, 16, 2
    net = Network(1, 3, side, side)
    last = net.conv("x", 3, width, patch, patch, strides=[patch, patch])
    last = net.op("Transpose", last, perm=[0, 2, 3, 1])
    side //= patch
    for stage, depth in enumerate(depths):
        if stage:
            last = _merged(net, last, width)
            side, width = side // 2, 2 * width
        for k in range(depth):
            shift = window // 2 if k % 2 else 0
            last = block(net, last, width, _within_windows(side, window, shift, width, heads))
    return net.model(last)


def _merged(net: Network, x: str, width: int) -> str:
    rows = [net.slice(x, 1, k, 2**31, 2) for k in (0, 1)]
    places = [net.slice(row, 2, k, 2**31, 2) for k in (0, 1) for row in rows]
    return net.linear(net.op("Concat", *places, axis=-1), 4 * width, 2 * width)


def _within_windows(side: int, window: int, shift: int, width: int, heads: int) -> Attention:
    count = -(-side // window)
    padded = count * window
    attend = plain_attention(window**2, width, heads)

    def rolled(net: Network, x: str, by: int) -> str:
        for axis in (1, 2):
            parts = net.slice(x, axis, by, 2**31), net.slice(x, axis, 0, by)
            x = net.op("Concat", *parts, axis=axis)
        return x

    def reshaped(net: Network, x: str, *shape: int) -> str:
        return net.op("Reshape", x, net.integers(*shape))

    def attention(net: Network, x: str) -> str:
        if padded > side:
            ends = padded - side
            x = net.op("Pad", x, net.integers(0, 0, 0, 0, 0, ends, ends, 0))
        if shift:
            x = rolled(net, x, shift)
        x = reshaped(net, x, 1, count, window, count, window, width)
        x = net.op("Transpose", x, perm=[0, 1, 3, 2, 4, 5])
        x = attend(net, reshaped(net, x, count**2, window**2, width))
        x = reshaped(net, x, 1, count, count, window, window, width)
        x = net.op("Transpose", x, perm=[0, 1, 3, 2, 4, 5])
        x = reshaped(net, x, 1, padded, padded, width)
        if shift:
            x = rolled(net, x, -shift)
        for axis in (1, 2) if padded > side else ():
            x = net.slice(x, axis, 0, side)
        return x

    return attention
