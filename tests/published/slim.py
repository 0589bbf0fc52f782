"""The TF-Slim networks behind the published table of receptive fields.

Their topology is that of ``research/slim/nets`` in https://github.com/tensorflow/models, as
``rf_benchmark.py`` of https://github.com/google-research/receptive_field builds them: feature
trunks without classifier, SAME padding resolved at the given resolution. Values are named as
the table names its endpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import onnx

from .builder import SAME, VALID, Builder


def build(model: str, resolution: int) -> onnx.ModelProto:
    """Build one of the table's networks.

    Parameters
    ----------
    model
        A name from the table's first column.
    resolution
        Height and width of the input ``x``.

    Returns
    -------
    onnx.ModelProto
        A valid model whose output is the table's last endpoint of that network.
    """
    valid = SAME if model.endswith("-same") else VALID
    builder = Builder(resolution, valid=valid)
    return builder.model(MODELS[model](builder))


def _sequence(b: Builder, x: str, layers: Sequence[tuple[str, str | Sequence[str]]]) -> str:
    """Apply named layers in turn: a chain (text) or an Inception module (a list of texts)."""
    for name, layer in layers:
        x = b.chain(x, layer, name=name) if isinstance(layer, str) else b.mixed(x, layer, name=name)
    return x


def alexnet_v2(b: Builder) -> str:
    """AlexNet after "One weird trick": no local response normalisation."""
    layers = {
        "conv1": "11x11/4v",
        "pool1": "max3x3/2v",
        "conv2": "5x5",
        "pool2": "max3x3/2v",
        "conv3": "3x3",
        "conv4": "3x3",
        "conv5": "3x3",
        "pool5": "max3x3/2v",
    }
    return _sequence(b, "x", [(f"alexnet_v2/{name}", layer) for name, layer in layers.items()])


def vgg(b: Builder, *, scope: str, repeats: Sequence[int]) -> str:
    """VGG: ``repeats`` 3x3 convolutions and a 2x2 pool, five times over."""
    x = "x"
    for block, repeat in enumerate(repeats, start=1):
        for i in range(1, repeat + 1):
            x = b.chain(x, "3x3", name=f"{scope}/conv{block}/conv{block}_{i}")
        x = b.chain(x, "max2x2/2v", name=f"{scope}/pool{block}")
    return x


def mobilenet_v1(b: Builder, *, width: int) -> str:
    """MobileNet v1: thirteen depthwise separable convolutions."""
    x = b.chain("x", "3x3/2", out=width, name="Conv2d_0")
    for i, stride in enumerate((1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1), start=1):
        x = b.chain(x, f"dw3x3/{stride}", name=f"Conv2d_{i}_depthwise")
        x = b.chain(x, "1x1", out=width, name=f"Conv2d_{i}_pointwise")
    return x


def resnet(b: Builder, *, scope: str, units: Sequence[int], preactivate: bool) -> str:
    """ResNet with the stride in the last unit of a block, in its 3x3 convolution.

    Strided convolutions pad by hand, the same at every resolution; the root's max pool is SAME
    and pads by the resolution's parity, which is why the table's padding depends on it.
    """
    x = b.chain(b.chain(b.pad("x", 3), "7x7/2v"), "max3x3/2")
    for block, count in enumerate(units, start=1):
        for unit in range(1, count + 1):
            stride = 2 if unit == count and block < len(units) else 1
            name = f"{scope}/block{block}" if unit == count else ""
            x = _bottleneck(b, x, stride, project=unit == 1, preactivate=preactivate, name=name)
    return x


def _bottleneck(
    b: Builder, x: str, stride: int, *, project: bool, preactivate: bool, name: str
) -> str:
    y = b.relu(b.batch_norm(x)) if preactivate else x
    if project:
        shortcut = b.chain(y, "1x1")
    else:
        # VALID, though TF-Slim says SAME: the same for one tap, and onnxruntime refuses the
        # negative padding that ONNX's formula for SAME gives where kernel < stride.
        shortcut = x if stride == 1 else b.chain(x, f"max1x1/{stride}v")
    y = b.chain(y, "1x1")
    y = b.chain(y, "3x3") if stride == 1 else b.chain(b.pad(y, 1), f"3x3/{stride}v")
    y = b.chain(y, "1x1")
    if preactivate:
        return b.add(shortcut, y, name=name)
    return b.relu(b.add(shortcut, y), name=name)


def inception_v2(b: Builder, *, separable: bool) -> str:
    """Inception v2; its first convolution is depthwise separable, or a plain one."""
    stem = "Conv2d_1a_7x7"
    if separable:
        depthwise = b.conv("x", (7, 7), 2, out=6, group=3)
        x = b.chain(depthwise, "1x1", name=stem)
    else:
        x = b.chain("x", "7x7/2", name=stem)
    module = ["1x1", "1x1 3x3", "1x1 3x3 3x3", "avg3x3 1x1"]
    reduction = ["1x1 3x3/2", "1x1 3x3 3x3/2", "max3x3/2"]
    return _sequence(
        b,
        x,
        [
            ("MaxPool_2a_3x3", "max3x3/2"),
            ("Conv2d_2b_1x1", "1x1"),
            ("Conv2d_2c_3x3", "3x3"),
            ("MaxPool_3a_3x3", "max3x3/2"),
            ("Mixed_3b", module),
            ("Mixed_3c", module),
            ("Mixed_4a", reduction),
            *((f"Mixed_4{letter}", module) for letter in "bcde"),
            ("Mixed_5a", reduction),
            ("Mixed_5b", module),
            ("Mixed_5c", [*module[:3], "max3x3 1x1"]),
        ],
    )


MODULE_A = ("1x1", "1x1 3x3", "1x1 3x3 3x3", "avg3x3 1x1")
MODULE_A_WIDE = ("1x1", "1x1 5x5", "1x1 3x3 3x3", "avg3x3 1x1")
MODULE_B = ("1x1", "1x1 1x7 7x1", "1x1 7x1 1x7 7x1 1x7", "avg3x3 1x1")
REDUCTION_A = ("3x3/2v", "1x1 3x3 3x3/2v", "max3x3/2v")
REDUCTION_B = ("1x1 3x3/2v", "1x1 1x7 7x1 3x3/2v", "max3x3/2v")


def inception_v3(b: Builder) -> str:
    """Inception v3; torchvision's has the same topology and pads with numbers."""
    module_c = ("1x1", "1x1 1x3|3x1", "1x1 3x3 1x3|3x1", "avg3x3 1x1")
    return _sequence(
        b,
        "x",
        [
            ("Conv2d_1a_3x3", "3x3/2v"),
            ("Conv2d_2a_3x3", "3x3v"),
            ("Conv2d_2b_3x3", "3x3"),
            ("MaxPool_3a_3x3", "max3x3/2v"),
            ("Conv2d_3b_1x1", "1x1v"),
            ("Conv2d_4a_3x3", "3x3v"),
            ("MaxPool_5a_3x3", "max3x3/2v"),
            *((f"Mixed_5{letter}", MODULE_A_WIDE) for letter in "bcd"),
            ("Mixed_6a", REDUCTION_A),
            *((f"Mixed_6{letter}", MODULE_B) for letter in "bcde"),
            ("Mixed_7a", REDUCTION_B),
            *((f"Mixed_7{letter}", module_c) for letter in "bc"),
        ],
    )


def inception_v4(b: Builder) -> str:
    """Inception v4."""
    module_c = ("1x1", "1x1 1x3|3x1", "1x1 3x1 1x3 1x3|3x1", "avg3x3 1x1")
    return _sequence(
        b,
        "x",
        [
            ("Conv2d_1a_3x3", "3x3/2v"),
            ("Conv2d_2a_3x3", "3x3v"),
            ("Conv2d_2b_3x3", "3x3"),
            ("Mixed_3a", ("max3x3/2v", "3x3/2v")),
            ("Mixed_4a", ("1x1 3x3v", "1x1 1x7 7x1 3x3v")),
            ("Mixed_5a", ("3x3/2v", "max3x3/2v")),
            *((f"Mixed_5{letter}", MODULE_A) for letter in "bcde"),
            ("Mixed_6a", REDUCTION_A),
            *((f"Mixed_6{letter}", MODULE_B) for letter in "bcdefgh"),
            ("Mixed_7a", REDUCTION_B),
            *((f"Mixed_7{letter}", module_c) for letter in "bcd"),
        ],
    )


def inception_resnet_v2(b: Builder) -> str:
    """Inception-ResNet v2: 10, 20 and 10 residual modules between the reductions."""
    x = _sequence(
        b,
        "x",
        [
            ("Conv2d_1a_3x3", "3x3/2v"),
            ("Conv2d_2a_3x3", "3x3v"),
            ("Conv2d_2b_3x3", "3x3"),
            ("MaxPool_3a_3x3", "max3x3/2v"),
            ("Conv2d_3b_1x1", "1x1v"),
            ("Conv2d_4a_3x3", "3x3v"),
            ("MaxPool_5a_3x3", "max3x3/2v"),
            ("Mixed_5b", MODULE_A_WIDE),
        ],
    )
    x = _residual_modules(b, x, 10, ("1x1", "1x1 3x3", "1x1 3x3 3x3"))
    x = b.mixed(x, REDUCTION_A, name="Mixed_6a")
    x = _residual_modules(b, x, 20, ("1x1", "1x1 1x7 7x1"), name="PreAuxLogits")
    reduction = ("1x1 3x3/2v", "1x1 3x3/2v", "1x1 3x3 3x3/2v", "max3x3/2v")
    x = b.mixed(x, reduction, name="Mixed_7a")
    x = _residual_modules(b, x, 10, ("1x1", "1x1 1x3 3x1"))
    return b.chain(x, "1x1", name="Conv2d_7b_1x1")


def _residual_modules(
    b: Builder, x: str, count: int, branches: Sequence[str], *, name: str = ""
) -> str:
    for i in range(count):
        residual = b.chain(b.mixed(x, branches), "1x1", out=b.channels(x))
        scaled = b.node("Mul", [residual, b.ones()])
        x = b.relu(b.add(x, scaled), name=name if i == count - 1 else "")
    return x


UNITS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3)}

RESNETS: dict[str, Callable[[Builder], str]] = {
    scope: partial(resnet, scope=scope, units=units, preactivate=version == "v2")
    for version in ("v1", "v2")
    for depth, units in UNITS.items()
    for scope in [f"resnet_{version}_{depth}"]
}

MODELS: dict[str, Callable[[Builder], str]] = {
    "alexnet_v2": alexnet_v2,
    "vgg_a": partial(vgg, scope="vgg_a", repeats=(1, 1, 2, 2, 2)),
    "vgg_16": partial(vgg, scope="vgg_16", repeats=(2, 2, 3, 3, 3)),
    "mobilenet_v1": partial(mobilenet_v1, width=4),
    "mobilenet_v1_075": partial(mobilenet_v1, width=3),
    "inception_v2": partial(inception_v2, separable=True),
    "inception_v2-no-separable-conv": partial(inception_v2, separable=False),
    "inception_v3": inception_v3,
    "inception_v4": inception_v4,
    "inception_resnet_v2": inception_resnet_v2,
    "inception_resnet_v2-same": inception_resnet_v2,
    **RESNETS,
}
