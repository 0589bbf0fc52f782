"""Random fully convolutional nets that take inputs of many sizes, with weights that all count."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import helper

from tests.graphs import Nodes

END = 2**31 - 1


class OpenNet(Nodes):
    """A net with one input ``x``, whose axes but batch and channels are open.

    Layers keep the number of channels. What they are drawn with is that of `rng`.
    """

    def __init__(self, axes: int, rng: np.random.Generator, channels: int = 2) -> None:
        super().__init__()
        self.axes, self.rng, self.channels = axes, rng, channels

    def model(self, *outputs: str) -> onnx.ModelProto:
        sizes = {"x": ("batch", self.channels, *[f"size{k}" for k in range(self.axes)])}
        return self.written(sizes, *outputs, opset=20)  # type: ignore[arg-type]

    def some(self, low: int, high: int) -> list[int]:
        """One number an axis."""
        return [int(n) for n in self.rng.integers(low, high + 1, self.axes)]

    def weights(self, *shape: int) -> np.ndarray:
        """All positive, so that nothing cancels out."""
        return self.rng.uniform(0.5, 1.5, shape) / np.prod(shape[1:])

    def conv(self, v: str, **given: list[int]) -> str:
        kernel = given.pop("kernel", None) or self.some(1, 4)
        return self.op("Conv", v, self.weights(self.channels, self.channels, *kernel), **given)

    # layers of stride 1 and of the input's size: k * 2 + 1 wide, dilated by d

    def same(self, v: str) -> str:
        k, d = self.some(0, 2), self.some(1, 2)
        pads = [a * b for a, b in zip(k, d, strict=True)]
        return self.conv(v, kernel=[2 * a + 1 for a in k], dilations=d, pads=pads * 2)

    def causal(self, v: str) -> str:
        k = self.some(1, 3)
        return self.conv(v, kernel=[a + 1 for a in k], pads=[*k, *[0] * self.axes])

    def chomped(self, v: str) -> str:
        """Padded at both ends, and what is too much at the end cut off."""
        k = self.some(1, 3)
        v = self.conv(v, kernel=[a + 1 for a in k], pads=[*k, *k])
        return self.slice(v, [0] * self.axes, [-a for a in k])

    def mirrored(self, v: str) -> str:
        k = self.some(1, 2)
        v = self.pad(v, [*k, *k], str(self.rng.choice(["reflect", "edge"])))
        return self.conv(v, kernel=[2 * a + 1 for a in k])

    def joined(self, v: str) -> str:
        """Zeros put before the signal by Concat, along the last axis."""
        first = self.slice(v, [0] * self.axes, [END] * (self.axes - 1) + [1])
        zeros = self.op("ConstantOfShape", self.op("Shape", first))
        v = self.op("Concat", zeros, v, axis=self.axes + 1)
        return self.conv(v, kernel=[1] * (self.axes - 1) + [2])

    def flat(self, v: str) -> str:
        k = self.some(0, 1)
        return self.op(
            "AveragePool",
            v,
            kernel_shape=[2 * a + 1 for a in k],
            pads=k * 2,
            count_include_pad=int(self.rng.integers(2)),
        )

    def normed(self, v: str) -> str:
        """Channels last, normalised place by place, and back."""
        last = [0, *range(2, self.axes + 2), 1]
        first = [0, self.axes + 1, *range(1, self.axes + 1)]
        v = self.op("Transpose", v, perm=last)
        v = self.op("Add", self.op("Mul", v, self.weights(self.channels)), np.array(0.5))
        return self.op("Transpose", v, perm=first)

    def residual(self, v: str) -> str:
        return self.op("Add", v, self.same(self.op("Relu", self.same(v))))

    # layers that change the size

    def valid(self, v: str) -> str:
        return self.conv(v, dilations=self.some(1, 2))

    def cropped(self, v: str) -> str:
        """Two paths without padding, of which one is cut to the size of the other."""
        k = self.some(1, 2)
        wide = self.conv(v, kernel=[2 * a + 1 for a in k])
        return self.op("Add", wide, self.slice(v, k, [-a for a in k]))

    def cropped_and_padded(self, v: str) -> str:
        """What the border of a tile spoils is more than what its units see."""
        k = self.some(1, 2)
        v = self.slice(v, k, [-a for a in k])
        return self.conv(v, kernel=[2 * a + 1 for a in k], pads=k * 2)

    def full(self, v: str) -> str:
        k = self.some(1, 2)
        return self.conv(v, kernel=[a + 1 for a in k], pads=k * 2)

    def down(self, v: str) -> str:
        s = self.some(1, 3)
        return self.conv(v, kernel=[a + 1 for a in s], strides=s, pads=self.some(0, 1) * 2)

    def auto(self, v: str) -> str:
        way = str(self.rng.choice(["SAME_UPPER", "SAME_LOWER"]))
        weights = self.weights(self.channels, self.channels, *self.some(2, 4))
        return self.op("Conv", v, weights, strides=self.some(1, 2), auto_pad=way)

    def pool(self, v: str) -> str:
        kind = str(self.rng.choice(["MaxPool", "AveragePool"]))
        ceil = int(self.rng.integers(2))
        return self.op(
            kind, v, kernel_shape=self.some(2, 3), strides=[2] * self.axes, ceil_mode=ceil
        )

    def up(self, v: str) -> str:
        s = self.some(1, 3)
        weights = self.weights(self.channels, self.channels, *[a + 1 for a in s])
        return self.op("ConvTranspose", v, weights, strides=s, pads=self.some(0, 1) * 2)

    def resized(self, v: str) -> str:
        mode = str(self.rng.choice(["nearest", "linear"]))
        scales = np.array([1.0, 1.0, *self.rng.choice([0.5, 1.5, 2.0, 3.0], self.axes)])
        place = str(self.rng.choice(["half_pixel", "asymmetric"]))
        return self.op("Resize", v, "", scales, mode=mode, coordinate_transformation_mode=place)

    def hourglass(self, v: str) -> str:
        """Down, up again, and joined with what was before."""
        v = self.same(v)
        low = self.op("MaxPool", v, kernel_shape=[2] * self.axes, strides=[2] * self.axes)
        low = self.same(low)
        if self.rng.integers(2):
            weights = self.weights(self.channels, self.channels, *[2] * self.axes)
            high = self.op("ConvTranspose", low, weights, strides=[2] * self.axes)
        else:
            scales = np.array([1.0, 1.0, *[2.0] * self.axes])
            high = self.op("Resize", low, "", scales, mode="linear")
        joined = self.op("Concat", v, high, axis=1)
        kernel = self.weights(self.channels, 2 * self.channels, *[3] * self.axes)
        return self.op("Conv", joined, kernel, pads=[1] * 2 * self.axes)

    def pad(self, v: str, pads: list[int], mode: str) -> str:
        begins, ends = pads[: self.axes], pads[self.axes :]
        return self.op("Pad", v, np.array([0, 0, *begins, 0, 0, *ends]), mode=mode)

    def slice(self, v: str, begins: list[int], ends: list[int]) -> str:
        axes = np.arange(self.axes) + 2
        return self.op("Slice", v, np.array(begins), np.array(ends), axes)


KEEPING = ("same", "causal", "chomped", "mirrored", "joined", "flat", "normed", "residual")
CHANGING = (
    "valid",
    "cropped",
    "cropped_and_padded",
    "full",
    "down",
    "auto",
    "pool",
    "up",
    "resized",
    "hourglass",
)


def random_net(seed: int, axes: int, layers: int = 4) -> tuple[onnx.ModelProto, list[str]]:
    """A net of several layers, and their names."""
    rng = np.random.default_rng(seed)
    net = OpenNet(axes, rng)
    chosen = [
        str(rng.choice(KEEPING if rng.random() < 0.5 else CHANGING))
        for _ in range(int(rng.integers(1, layers + 1)))
    ]
    value = "x"
    for name in chosen:
        layer: Callable[[str], str] = getattr(net, name)
        value = layer(value)
    return net.model(value), chosen


def with_open_axes(model: onnx.ModelProto, *axes: int) -> onnx.ModelProto:
    """The model with these axes of all its inputs open, and outputs of any shape."""
    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    for given in opened.graph.input:
        for axis in axes:
            given.type.tensor_type.shape.dim[axis].dim_param = f"open{axis}"
    del opened.graph.value_info[:]
    outputs = [helper.make_empty_tensor_value_info(o.name) for o in opened.graph.output]
    del opened.graph.output[:]
    opened.graph.output.extend(outputs)
    return opened
