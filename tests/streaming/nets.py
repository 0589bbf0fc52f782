"""Nets on signals as they are run on streams, node by node, and random ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx

from tests.graphs import Nodes

END = 2**31 - 1


class SignalNet(Nodes):
    """A net with one input ``x`` of shape (batch, channels, time)."""

    def __init__(self, seed: int = 0, channels: int = 2) -> None:
        super().__init__()
        self.rng, self.channels = np.random.default_rng(seed), channels

    def model(self, *outputs: str, batch: int | str = "batch") -> onnx.ModelProto:
        sizes = {"x": (batch, self.channels, "time")}
        return self.written(sizes, *outputs)  # type: ignore[arg-type]

    def weights(self, *shape: int) -> np.ndarray:
        return self.rng.uniform(-1, 1, shape) / np.sqrt(np.prod(shape[1:]))

    def conv(
        self,
        v: str,
        kernel: int,
        pads: Sequence[int] = (0, 0),
        *,
        inp: int | None = None,
        out: int | None = None,
        group: int = 1,
        stride: int = 1,
        dilation: int = 1,
    ) -> str:
        inp, out = inp or self.channels, out or self.channels
        return self.op(
            "Conv",
            v,
            self.weights(out, inp // group, kernel),
            self.rng.uniform(-1, 1, out),
            pads=list(pads),
            group=group,
            strides=[stride],
            dilations=[dilation],
        )

    def same(self, v: str, kernel: int = 3, dilation: int = 1, **given: int) -> str:
        """Looks ahead as far as back."""
        half = (kernel - 1) // 2 * dilation
        return self.conv(v, kernel, (half, half), dilation=dilation, **given)

    def causal(self, v: str, kernel: int = 3, dilation: int = 1, **given: int) -> str:
        """Padded before alone, by the convolution itself."""
        return self.conv(v, kernel, ((kernel - 1) * dilation, 0), dilation=dilation, **given)

    def padded(self, v: str, kernel: int = 3, dilation: int = 1, **given: int) -> str:
        """Padded before alone, by a node of its own."""
        return self.conv(
            self.pad(v, (kernel - 1) * dilation, 0), kernel, dilation=dilation, **given
        )

    def chomped(self, v: str, kernel: int = 3, dilation: int = 1, **given: int) -> str:
        """Padded at both ends, and what is too much at the end cut off."""
        more = (kernel - 1) * dilation
        return self.crop(self.conv(v, kernel, (more, more), dilation=dilation, **given), 0, more)

    def pad(self, v: str, before: int, after: int, value: float = 0.0) -> str:
        return self.op("Pad", v, np.array([0, 0, before, 0, 0, after]), np.array(value))

    def crop(self, v: str, before: int, after: int) -> str:
        ends = -after if after else END
        return self.op("Slice", v, np.array([before]), np.array([ends]), np.array([2]))

    def transposed(
        self,
        v: str,
        kernel: int,
        stride: int,
        pads: Sequence[int] = (0, 0),
        *,
        inp: int | None = None,
        out: int | None = None,
        **given: int,
    ) -> str:
        inp, out = inp or self.channels, out or self.channels
        return self.op(
            "ConvTranspose",
            v,
            self.weights(inp, out, kernel),
            self.rng.uniform(-1, 1, out),
            strides=[stride],
            pads=list(pads),
            **{name: [value] for name, value in given.items()},
        )

    def recurrent(self, v: str, kind: str = "GRU", *, direction: str = "forward") -> str:
        """A layer of as many units as there are channels."""
        n, gates = self.channels, {"RNN": 1, "GRU": 3, "LSTM": 4}[kind]
        sides = 2 if direction == "bidirectional" else 1
        v = self.op(
            kind,
            self.op("Transpose", v, perm=[2, 0, 1]),
            self.weights(sides, gates * n, n),
            self.weights(sides, gates * n, n),
            self.rng.uniform(-1, 1, (sides, 2 * gates * n)),
            hidden_size=n,
            direction=direction,
        )
        if sides == 2:
            v = self.op("ReduceSum", v, np.array([1]), keepdims=0)
        else:
            v = self.op("Squeeze", v, np.array([1]))
        return self.op("Transpose", v, perm=[1, 2, 0])

    def norm(self, v: str) -> str:
        """Over the channels of each step."""
        v = self.op("Transpose", v, perm=[0, 2, 1])
        scale = np.ones(self.channels)
        v = self.op("LayerNormalization", v, scale, np.zeros(self.channels), axis=-1)
        return self.op("Transpose", v, perm=[0, 2, 1])


# ---------------------------------------------------------------- as they are published, small


def wavenet(stacks: int = 2, layers: int = 6) -> onnx.ModelProto:
    """Gated causal convolutions, residuals and skips."""
    net = SignalNet(channels=4)
    x, skips = net.causal("x", 2), []
    for layer in range(stacks * layers):
        dilation = 1 << layer % layers
        padded = net.pad(x, dilation, 0)
        z = net.op(
            "Mul",
            net.op("Tanh", net.conv(padded, 2, dilation=dilation)),
            net.op("Sigmoid", net.conv(padded, 2, dilation=dilation)),
        )
        skips.append(net.conv(z, 1))
        x = net.op("Add", x, net.conv(z, 1))
    total = skips[0]
    for skip in skips[1:]:
        total = net.op("Add", total, skip)
    return net.model(net.conv(net.op("Relu", total), 1))


def tcn(levels: int = 4, kernel: int = 5) -> onnx.ModelProto:
    """Pairs of convolutions that are padded at both ends and chomped, with shortcuts."""
    net, x = SignalNet(channels=4), "x"
    for level in range(levels):
        y = net.op("Relu", net.chomped(x, kernel, 1 << level))
        y = net.op("Relu", net.chomped(y, kernel, 1 << level))
        x = net.op("Relu", net.op("Add", x, y))
    return net.model(x)


def conv_tasnet(blocks: int = 4, repeats: int = 1, *, causal: bool = False) -> onnx.ModelProto:
    """An encoder of stride 8, depthwise convolutions with skips, a mask, and a decoder."""
    net = SignalNet(channels=1)
    basis = 6
    encoded = net.op("Relu", net.conv("x", 16, inp=1, out=basis, stride=8))
    net.channels = basis
    y, skips = net.conv(net.norm(encoded), 1), []
    for block in repeats * [*range(blocks)]:
        z = net.norm(net.op("PRelu", net.conv(y, 1), np.full((basis, 1), 0.25)))
        wide = net.causal if causal else net.same
        z = net.norm(wide(z, 3, 1 << block, group=basis))
        skips.append(net.conv(z, 1))
        y = net.op("Add", y, net.conv(z, 1))
    total = skips[0]
    for skip in skips[1:]:
        total = net.op("Add", total, skip)
    mask = net.op("Sigmoid", net.conv(total, 1))
    decoded = net.transposed(net.op("Mul", encoded, mask), 16, 8, inp=basis, out=1)
    net.channels = 1
    return net.model(decoded)


STRIDES = (2, 4, 5)


def encoder(strides: Sequence[int] = STRIDES, *, causal: bool = True) -> onnx.ModelProto:
    """As of EnCodec: residual units and strided convolutions, then a recurrent layer."""
    net = SignalNet(channels=1)
    width = 4
    wide = net.padded if causal else net.same
    v = wide("x", 7, inp=1, out=width)
    net.channels = width
    for stride in strides:
        v = net.op("Add", v, net.conv(net.op("Elu", wide(net.op("Elu", v), 3)), 1))
        v, kernel = net.op("Elu", v), 2 * stride
        if causal:
            v = net.conv(net.pad(v, kernel - stride, 0), kernel, stride=stride)
        else:
            before = (kernel - stride) // 2
            v = net.conv(v, kernel, (before, kernel - stride - before), stride=stride)
    v = net.op("Add", v, net.recurrent(v, "LSTM"))
    v = wide(net.op("Elu", v), 7)
    net.channels = 1
    return net.model(v)


def decoder(strides: Sequence[int] = STRIDES, *, causal: bool = True) -> onnx.ModelProto:
    """As of EnCodec: the other way round, with transposed convolutions that are cropped."""
    net = SignalNet(channels=4)
    wide = net.padded if causal else net.same
    v = wide("x", 7)
    v = net.op("Add", v, net.recurrent(v, "LSTM"))
    for stride in reversed(strides):
        more = stride
        v = net.transposed(net.op("Elu", v), 2 * stride, stride)
        v = net.crop(v, 0, more) if causal else net.crop(v, more // 2, more - more // 2)
        v = net.op("Add", v, net.conv(net.op("Elu", wide(net.op("Elu", v), 3)), 1))
    return net.model(wide(net.op("Elu", v), 7, out=1))


def speech_encoder(
    frames: Sequence[tuple[int, int]] = ((10, 5), (8, 4), (4, 2)),
    blocks: int = 3,
    kernel: int = 5,
    *,
    causal: bool,
) -> onnx.ModelProto:
    """Frames of strided convolutions, then blocks that normalise each frame."""
    net = SignalNet(channels=1)
    v, width = "x", 4
    for window, stride in frames:
        v = net.op("Relu", net.conv(v, window, out=width, stride=stride))
        net.channels = width
    for _ in range(blocks):
        wide = net.causal if causal else net.same
        v = net.op("Add", v, net.op("Elu", net.norm(wide(v, kernel, group=width))))
    net.channels = 1
    return net.model(v)


# As large as they are published, but for their channels, and the samples a second.
FRAMES = ((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2))
PUBLISHED: dict[str, tuple[Callable[[], onnx.ModelProto], int]] = {
    "WaveNet, three stacks of dilations 1 to 512": (lambda: wavenet(3, 10), 16000),
    "TCN, eight levels of kernel 7": (lambda: tcn(8, 7), 16000),
    "Conv-TasNet, three repeats of eight blocks": (lambda: conv_tasnet(8, 3), 8000),
    "the same, causal": (lambda: conv_tasnet(8, 3, causal=True), 8000),
    "encoder as of EnCodec, strides 2, 4, 5, 8": (lambda: encoder((2, 4, 5, 8)), 24000),
    "the same, not causal": (lambda: encoder((2, 4, 5, 8), causal=False), 24000),
    "its decoder": (lambda: decoder((2, 4, 5, 8)), 75),
    "the same, not causal ": (lambda: decoder((2, 4, 5, 8), causal=False), 75),
    "speech encoder, frames as of wav2vec 2.0, six causal convolutions of 31 frames": (
        lambda: speech_encoder(FRAMES, 6, 31, causal=True),
        16000,
    ),
    "the same, not causal  ": (lambda: speech_encoder(FRAMES, 6, 31, causal=False), 16000),
}


# ---------------------------------------------------------------- random ones


class RandomNet(SignalNet):
    """Layers that are drawn, each of as many channels as it gets."""

    def pick(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def window(self, v: str) -> str:
        """Any kernel, stride, dilation and padding, of a width that is taken."""
        kernel, dilation, stride = self.pick(1, 5), self.pick(1, 3), self.pick(1, 3)
        most = (kernel - 1) * dilation
        group = int(self.rng.choice([1, self.channels]))
        pads = self.pick(0, most), self.pick(0, most)
        return self.conv(v, kernel, pads, stride=stride, dilation=dilation, group=group)

    def max_pool(self, v: str) -> str:
        kernel = self.pick(1, 4)
        pads = [self.pick(0, kernel - 1), self.pick(0, kernel - 1)]
        given = {"kernel_shape": [kernel], "strides": [self.pick(1, 3)], "pads": pads}
        return self.op("MaxPool", v, **given)

    def average(self, v: str) -> str:
        kernel = self.pick(1, 4)
        pads = [self.pick(0, kernel - 1), self.pick(0, kernel - 1)]
        given = {"kernel_shape": [kernel], "strides": [self.pick(1, 2)], "pads": pads}
        return self.op("AveragePool", v, count_include_pad=1, **given)

    def mean(self, v: str) -> str:
        """An average that leaves padding out of the count."""
        kernel = self.pick(1, 5)
        pads = [self.pick(0, kernel - 1), self.pick(0, kernel - 1)]
        return self.op(
            "AveragePool", v, kernel_shape=[kernel], strides=[self.pick(1, 3)], pads=pads
        )

    def total(self, v: str) -> str:
        return self.op("CumSum", v, np.array(2), exclusive=self.pick(0, 1))

    def longer(self, v: str) -> str:
        """A transposed convolution with padding of its own."""
        kernel, stride, dilation = self.pick(1, 5), self.pick(1, 3), self.pick(1, 2)
        reach = (kernel - 1) * dilation + 1
        most = min(reach - 1, 3)
        pads = self.pick(0, most), self.pick(0, most)
        extra = self.pick(0, stride - 1) if stride > 1 else 0
        return self.transposed(v, kernel, stride, pads, dilations=dilation, output_padding=extra)

    def cropped(self, v: str) -> str:
        """A transposed convolution whose ends are cut off."""
        stride = self.pick(2, 3)
        more = self.pick(0, stride)
        return self.crop(self.transposed(v, 2 * stride, stride), stride - more, more)

    def repeated(self, v: str) -> str:
        scales = np.array([1.0, 1.0, self.pick(2, 3)])
        return self.op(
            "Resize",
            v,
            "",
            scales,
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )

    def number(self, v: str) -> str:
        """Padded with a number that is not 0, and then a window or something pointwise."""
        v = self.pad(v, self.pick(0, 3), self.pick(0, 3), float(self.rng.uniform(-1, 1)))
        return self.conv(v, self.pick(1, 4), (self.pick(0, 1), self.pick(0, 1)))

    def padded_twice(self, v: str) -> str:
        v = self.pad(self.pad(v, self.pick(0, 2), 1), self.pick(0, 2), self.pick(-1, 1))
        return self.relu(v)

    def relu(self, v: str) -> str:
        return self.op("LeakyRelu", v, alpha=0.5)

    def valid_skip(self, v: str) -> str:
        """A window without padding, and a shortcut that is cropped to it."""
        kernel, dilation = self.pick(2, 4), self.pick(1, 2)
        more = (kernel - 1) * dilation
        before = self.pick(0, more)
        short = self.crop(v, before, more - before)
        return self.op("Add", self.conv(v, kernel, dilation=dilation), short)

    def residual(self, v: str) -> str:
        return self.op("Add", v, self.relu(self.same(v, 3, self.pick(1, 3))))

    def mixed(self, v: str) -> str:
        """What looks ahead beside what does not."""
        both = self.op("Concat", self.same(v, 5), self.causal(v, self.pick(1, 4)), axis=1)
        return self.conv(both, 1, inp=2 * self.channels)

    def hourglass(self, v: str) -> str:
        """Down and up again: at the end there may be less, which is cut off the shortcut."""
        stride = self.pick(2, 3)
        low = self.relu(self.conv(v, 2 * stride, (stride - 1, 1), stride=stride))
        return self.transposed(low, stride, stride)

    def every_other(self, v: str) -> str:
        axes = np.array([2])
        return self.op("Slice", v, np.array([self.pick(0, 2)]), np.array([END]), axes, axes)

    def gru(self, v: str) -> str:
        return self.recurrent(v, "GRU")

    def lstm(self, v: str) -> str:
        return self.recurrent(v, "LSTM")

    def rnn(self, v: str) -> str:
        return self.recurrent(v, "RNN")


LAYERS = [
    *("window", "max_pool", "average", "longer", "cropped", "repeated", "number", "padded_twice"),
    *("relu", "valid_skip", "residual", "mixed", "hourglass", "every_other", "gru", "lstm", "rnn"),
    *("norm", "causal", "padded", "chomped", "mean", "total"),
]


def random_net(seed: int) -> tuple[onnx.ModelProto, list[str]]:
    """A net of several layers, and their names."""
    net = RandomNet(seed)
    chosen = [str(name) for name in net.rng.choice(LAYERS, net.pick(1, 5))]
    value = "x"
    for name in chosen:
        value = getattr(net, name)(value)
    return net.model(value), chosen
