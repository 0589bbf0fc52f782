"""Well-known architectures, narrow: what counts for tiles is their kernels, strides and paths."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx

from tests.tiling.nets import OpenNet

Made = tuple[onnx.ModelProto, str]


def _net(axes: int, channels: int = 2) -> OpenNet:
    return OpenNet(axes, np.random.default_rng(0), channels)


def _conv(net: OpenNet, v: str, k: int = 3, *, d: int = 1, s: int = 1, inputs: int = 0) -> str:
    """A convolution that keeps the size, but for its stride."""
    kernel = [k] * net.axes
    weights = net.weights(net.channels, inputs or net.channels, *kernel)
    pads = [(k - 1) * d // 2] * 2 * net.axes
    each = {"dilations": [d] * net.axes, "strides": [s] * net.axes}
    return net.op("Conv", v, weights, pads=pads, **each)


def _twice(net: OpenNet, v: str, *, inputs: int = 0) -> str:
    v = net.op("Relu", _conv(net, v, inputs=inputs))
    return net.op("Relu", _conv(net, v))


def _up(net: OpenNet, v: str, mode: str = "nearest", by: int = 2) -> str:
    """As exporters of PyTorch write it."""
    place = "asymmetric" if mode == "nearest" else "half_pixel"
    given = {"mode": mode, "coordinate_transformation_mode": place, "nearest_mode": "floor"}
    return net.op("Resize", v, "", np.array([1.0, 1.0, *[by] * net.axes]), **given)


def unet(levels: int = 3, axes: int = 1) -> Made:
    """Two convolutions a level, pooling down and transposed convolutions up."""
    net, two, skips = _net(axes), [2] * axes, []
    v = "x"
    for _ in range(levels - 1):
        v = _twice(net, v)
        skips.append(v)
        v = net.op("MaxPool", v, kernel_shape=two, strides=two)
    v = _twice(net, v)
    for skip in reversed(skips):
        v = net.op("ConvTranspose", v, net.weights(2, 2, *two), strides=two)
        v = _twice(net, net.op("Concat", skip, v, axis=1), inputs=4)
    return net.model(v), v


def deeplab() -> Made:
    """DeepLab v3 without its pooling of the image: stride 8, rates 2, 4 and 6, resized by 8."""
    net = _net(2)
    v = net.op("Relu", _conv(net, "x", 7, s=2))
    v = net.op("MaxPool", v, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    v = net.op("Relu", _conv(net, v, s=2))
    v = net.op("Add", v, _conv(net, net.op("Relu", _conv(net, v, d=2)), 1))
    paths = [_conv(net, v, 1), *[_conv(net, v, d=rate) for rate in (2, 4, 6)]]
    v = _conv(net, net.op("Concat", *paths, axis=1), 1, inputs=8)
    v = _up(net, _conv(net, net.op("Relu", _conv(net, v)), 1), "linear", 8)
    return net.model(v), v


def rrdb() -> Made:
    """Super-resolution by 4: dense blocks of five convolutions, by threes, with residuals."""
    net = _net(2)
    first = v = _conv(net, "x")
    for _ in range(2):
        block = v
        for _ in range(3):
            parts = [v]
            for k in range(5):
                joined = net.op("Concat", *parts, axis=1)
                parts.append(net.op("LeakyRelu", _conv(net, joined, inputs=2 * k + 2), alpha=0.2))
            v = net.op("Add", v, net.op("Mul", parts[-1], np.array(0.2)))
        v = net.op("Add", block, net.op("Mul", v, np.array(0.2)))
    v = net.op("Add", first, _conv(net, v))
    for _ in range(2):
        v = net.op("LeakyRelu", _conv(net, _up(net, v)), alpha=0.2)
    v = _conv(net, net.op("LeakyRelu", _conv(net, v), alpha=0.2))
    return net.model(v), v


def taesd() -> Made:
    """A decoder of latents as of TAESD: residual blocks of three convolutions, doubled thrice."""
    net = _net(2)
    v = net.op("Tanh", net.op("Div", "x", np.array(3.0)))
    v = net.op("Relu", _conv(net, v))
    for stage in range(4):
        for _ in range(3 if stage < 3 else 1):
            inner = net.op("Relu", _conv(net, net.op("Relu", _conv(net, v))))
            v = net.op("Relu", net.op("Add", v, _conv(net, inner)))
        if stage < 3:
            v = _conv(net, _up(net, v))
    v = _conv(net, v)
    return net.model(v), v


STRIDES = (2, 4)


def _past(net: OpenNet, v: str, k: int, s: int = 1, d: int = 1) -> str:
    """A convolution padded in front alone."""
    reach = (k - 1) * d + 1 - s
    v = net.op("Pad", v, np.array([0, 0, reach, 0, 0, 0]), mode="constant")
    return net.conv(v, kernel=[k], strides=[s], dilations=[d])


def _unit(net: OpenNet, v: str) -> str:
    inner = _past(net, net.op("Elu", v), 3)
    return net.op("Add", v, _past(net, net.op("Elu", inner), 1))


def encodec_encoder(*strides: int) -> Made:
    """The causal encoder of EnCodec without its LSTM; that has strides of 2, 4, 5 and 8."""
    net = _net(1)
    v = _past(net, "x", 7)
    for s in strides or STRIDES:
        v = _past(net, net.op("Elu", _unit(net, v)), 2 * s, s)
    v = _past(net, net.op("Elu", v), 7)
    return net.model(v), v


def encodec_decoder(*strides: int) -> Made:
    """The causal decoder of EnCodec without its LSTM: what is too long is cut off at the end."""
    net = _net(1)
    v = _past(net, "x", 7)
    for s in reversed(strides or STRIDES):
        v = net.op("ConvTranspose", net.op("Elu", v), net.weights(2, 2, 2 * s), strides=[s])
        v = net.slice(v, [0], [-s])
        v = _unit(net, v)
    v = _past(net, net.op("Elu", v), 7)
    return net.model(v), v


ARCHITECTURES: dict[str, Callable[[], Made]] = {
    "unet": unet,
    "deeplab": deeplab,
    "rrdb": rrdb,
    "taesd": taesd,
    "encodec_encoder": encodec_encoder,
    "encodec_decoder": encodec_decoder,
}

__all__ = ["ARCHITECTURES", "unet"]
