"""The feature trunks of torchvision's classifiers, up to the last feature map.

Their topology is that of ``torchvision.models`` (https://github.com/pytorch/vision): no
global pooling, no classifier, paddings written as numbers. ResNet-50 stands here twice, with
its stride in the 3x3 convolution of a unit (torchvision) and in the first 1x1 (He et al. 2015).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import onnx

from . import slim
from .builder import HALF, Builder

RESOLUTION = 224


def build(model: str) -> onnx.ModelProto:
    """Build one of the trunks for an input of 224 x 224.

    Parameters
    ----------
    model
        A name from the first column of ``torch_goldens.csv``.

    Returns
    -------
    onnx.ModelProto
        A valid model whose output is the last feature map.
    """
    builder = Builder(RESOLUTION, same=HALF)
    return builder.model(MODELS[model](builder))


def alexnet(b: Builder) -> str:
    """AlexNet: conv1 pads by 2 where TF-Slim's is VALID, hence another padding in all."""
    return b.chain("x", "11x11/4p2 max3x3/2v 5x5 max3x3/2v 3x3 3x3 3x3 max3x3/2v")


def vgg16(b: Builder) -> str:
    """VGG-16, configuration D."""
    return b.chain("x", " ".join("3x3 " * n + "max2x2/2v" for n in (2, 2, 3, 3, 3)))


def resnet(b: Builder, *, units: Sequence[int], unit: str) -> str:
    """ResNet: a unit's layers as text, with ``{s}`` where its stride goes."""
    x = b.chain("x", "7x7/2 max3x3/2")
    for stage, count in enumerate(units):
        for i in range(count):
            stride = 2 if i == 0 and stage > 0 else 1
            shortcut = b.chain(x, f"1x1/{stride}") if i == 0 else x
            x = b.relu(b.add(b.chain(x, unit.format(s=stride)), shortcut))
    return x


def googlenet(b: Builder) -> str:
    """GoogLeNet, in which torchvision's '5x5' branch convolves 3x3 and pools round up."""
    x = b.chain("x", "7x7/2 max3x3/2vc 1x1 3x3 max3x3/2vc")
    for count, pool in ((2, "max3x3/2vc"), (5, "max2x2/2vc"), (2, "")):
        for _ in range(count):
            x = b.mixed(x, ("1x1", "1x1 3x3", "1x1 3x3", "max3x3c 1x1"))
        x = b.chain(x, pool) if pool else x
    return x


def mobilenet_v2(b: Builder) -> str:
    """MobileNet v2: stages of (units, stride of the first)."""
    stages = ((1, 1), (2, 2), (3, 2), (4, 2), (3, 1), (3, 2), (1, 1))
    x = b.chain("x", "3x3/2")
    for count, stride in stages:
        for i in range(count):
            x = inverted_residual(b, x, 3, stride if i == 0 else 1, residual=i > 0)
    return b.chain(x, "1x1")


def mobilenet_v3_large(b: Builder) -> str:
    """MobileNet v3: stages of (units, kernel, stride of the first, squeeze-and-excite)."""
    stages = (
        (1, 3, 1, False),
        (2, 3, 2, False),
        (3, 5, 2, True),
        (4, 3, 2, False),
        (2, 3, 1, True),
        (3, 5, 2, True),
    )
    x = b.chain("x", "3x3/2")
    for stage, (count, kernel, stride, gated) in enumerate(stages):
        for i in range(count):
            x = inverted_residual(
                b,
                x,
                kernel,
                stride if i == 0 else 1,
                residual=i > 0 or stage == 0,
                gated=gated,
            )
    return b.chain(x, "1x1")


def efficientnet_b0(b: Builder, *, squeeze_excite: bool) -> str:
    """EfficientNet-B0: stages of (units, kernel, stride of the first)."""
    stages = ((1, 3, 1), (2, 3, 2), (2, 5, 2), (3, 3, 2), (3, 5, 1), (4, 5, 2), (1, 3, 1))
    x = b.chain("x", "3x3/2")
    for count, kernel, stride in stages:
        for i in range(count):
            x = inverted_residual(
                b, x, kernel, stride if i == 0 else 1, residual=i > 0, gated=squeeze_excite
            )
    return b.chain(x, "1x1")


def inverted_residual(
    b: Builder, x: str, kernel: int, stride: int, *, residual: bool, gated: bool = False
) -> str:
    """Expand, filter each channel, perhaps gate, project; add the input where it fits."""
    y = b.chain(x, f"1x1 dw{kernel}x{kernel}/{stride}")
    if gated:
        y = squeeze_and_excite(b, y)
    y = b.chain(y, "1x1")
    return b.add(x, y) if residual else y


def squeeze_and_excite(b: Builder, x: str) -> str:
    """Scale each channel by a gate computed from the mean of the whole image."""
    mean = b.node("GlobalAveragePool", [x])
    return b.node("Mul", [x, b.node("HardSigmoid", [b.chain(mean, "1x1 1x1")])])


def densenet121(b: Builder) -> str:
    """DenseNet-121: every layer's channels are kept beside those it adds, never mixed.

    So channel 0 of a block's result is channel 0 of what entered the block.
    """
    x = b.chain("x", "7x7/2 max3x3/2")
    for block, layers in enumerate((6, 12, 24, 16)):
        if block > 0:
            x = b.chain(x, "1x1 avg2x2/2v")
        for _ in range(layers):
            x = b.concat([x, b.chain(b.relu(b.batch_norm(x)), "1x1 3x3", out=1)])
    return b.batch_norm(x)


def convnext_tiny(b: Builder) -> str:
    """ConvNeXt-T: depthwise 7x7 residual blocks, normalised over the channels only."""
    x = layer_norm(b, b.chain("x", "4x4/4v"))
    for stage, count in enumerate((3, 3, 9, 3)):
        if stage > 0:
            x = b.chain(layer_norm(b, x), "2x2/2v")
        for _ in range(count):
            x = b.add(x, b.chain(layer_norm(b, b.chain(x, "dw7x7")), "1x1 1x1"))
    return x


def layer_norm(b: Builder, x: str) -> str:
    """Normalise each position over its channels, which ONNX needs last."""
    scale = b.ones(b.channels(x))
    last = b.node("Transpose", [x], perm=[0, 2, 3, 1])
    normal = b.node("LayerNormalization", [last, scale], axis=-1)
    return b.node("Transpose", [normal], perm=[0, 3, 1, 2])


def shufflenet_v2_x1_0(b: Builder) -> str:
    """ShuffleNet v2: units work on half of the channels, which then trade places."""
    x = b.chain("x", "3x3/2 max3x3/2")
    side = RESOLUTION // 4
    for count in (4, 8, 4):
        side //= 2
        x = b.concat([b.chain(x, "dw3x3/2 1x1"), b.chain(x, "1x1 dw3x3/2 1x1")])
        x = channel_shuffle(b, x, side)
        for _ in range(count - 1):
            kept, worked = b.halves(x)
            x = channel_shuffle(b, b.concat([kept, b.chain(worked, "1x1 dw3x3 1x1")]), side)
    return b.chain(x, "1x1")


def channel_shuffle(b: Builder, x: str, side: int) -> str:
    """Interleave the two halves of the channels of a ``side`` x ``side`` map."""
    half = b.channels(x) // 2
    split = b.node("Reshape", [x, b.constant([1, 2, half, side, side])])
    swapped = b.node("Transpose", [split], perm=[0, 2, 1, 3, 4])
    return b.node("Reshape", [swapped, b.constant([1, 2 * half, side, side])])


BASIC = "3x3/{s} 3x3"
STRIDE_IN_3X3 = "1x1 3x3/{s} 1x1"
STRIDE_IN_1X1 = "1x1/{s} 3x3 1x1"

MODELS: dict[str, Callable[[Builder], str]] = {
    "alexnet": alexnet,
    "vgg16": vgg16,
    "resnet18": partial(resnet, units=(2, 2, 2, 2), unit=BASIC),
    "resnet34": partial(resnet, units=(3, 4, 6, 3), unit=BASIC),
    "resnet50 (stride in the 3x3)": partial(resnet, units=(3, 4, 6, 3), unit=STRIDE_IN_3X3),
    "resnet50 (stride in the 1x1)": partial(resnet, units=(3, 4, 6, 3), unit=STRIDE_IN_1X1),
    "resnet101": partial(resnet, units=(3, 4, 23, 3), unit=STRIDE_IN_3X3),
    "resnet152": partial(resnet, units=(3, 8, 36, 3), unit=STRIDE_IN_3X3),
    "googlenet": googlenet,
    "inception_v3": slim.inception_v3,
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v3_large": mobilenet_v3_large,
    "densenet121": densenet121,
    "efficientnet_b0": partial(efficientnet_b0, squeeze_excite=True),
    "efficientnet_b0 (squeeze-excite removed)": partial(efficientnet_b0, squeeze_excite=False),
    "convnext_tiny": convnext_tiny,
    "shufflenet_v2_x1_0": shufflenet_v2_x1_0,
}
