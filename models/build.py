"""Build the small ONNX models of this folder.

Usage::

    python models/build.py [NAME ...]

Without a name every model is built; with names, only those.  The files are written next to this
script: ``NAME.onnx`` from the TorchScript exporter and ``NAME.dynamo.onnx`` from the dynamo
exporter of PyTorch.

The graphs have the depth, kernel sizes, strides, paddings and dilations of the published
networks.  Only channel counts are reduced.  In most models the larger weights are replaced, after
the export, by ``ConstantOfShape`` nodes that hold the mean of the weight, which keeps the files
small.  The models run, but they are untrained.

Every model is checked before it is written: the exported graph must give the values that PyTorch
gives, and the final graph must pass ``onnx.checker`` and run in ONNX Runtime with finite outputs
of the expected shapes.

Requires torch 2.13.0, onnx, onnxscript, onnxruntime and numpy.
"""

# ruff: noqa: D102, N812

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
SEED = 20240229
TORCHSCRIPT = "torchscript"
DYNAMO = "dynamo"
BOTH = (TORCHSCRIPT, DYNAMO)
# Weights with more elements than this are replaced by a fill.  Networks with default (signed)
# weights keep theirs, since layer normalisation would remove constant ones.
FILL_LIMIT = 64
FILL_LIMIT_SIGNED = 4096


# ------------------------------------------------------------------------------ shared blocks


def scaled(channels: int, divisor: int) -> int:
    """Return ``channels`` divided by ``divisor``, at least one."""
    return max(1, channels // divisor)


def conv_bn(
    inp: int,
    out: int,
    kernel: int | tuple[int, int] = 3,
    stride: int = 1,
    padding: int | tuple[int, int] | None = None,
    dilation: int = 1,
    groups: int = 1,
    act: type[nn.Module] | None = nn.ReLU,
) -> nn.Sequential:
    """2-D convolution without bias, batch normalisation and activation.

    The default padding keeps the size at stride one.
    """
    if padding is None:
        kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (dilation * (kh - 1) // 2, dilation * (kw - 1) // 2)
    conv = nn.Conv2d(inp, out, kernel, stride, padding, dilation, groups, bias=False)
    layers: list[nn.Module] = [conv, nn.BatchNorm2d(out)]
    if act is not None:
        layers.append(act())
    return nn.Sequential(*layers)


# ------------------------------------------------------------------------------ plain CNNs


class AlexNet(nn.Module):
    """One-stream AlexNet.

    Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014.
    """

    def __init__(self, divisor: int = 8, classes: int = 10) -> None:
        super().__init__()
        c1, c2, c3, c4, c5 = (scaled(c, divisor) for c in (64, 192, 384, 256, 256))
        hidden = 32
        self.features = nn.Sequential(
            nn.Conv2d(3, c1, 11, stride=4, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(c1, c2, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(c2, c3, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(c3, c4, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(c4, c5, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(6)
        self.classifier = nn.Sequential(
            nn.Dropout(),
            nn.Linear(c5 * 36, hidden),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, classes),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.features(x)
        return y, self.classifier(torch.flatten(self.avgpool(y), 1))


class VGG16(nn.Module):
    """VGG, configuration D.

    Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
    2015.
    """

    def __init__(self, divisor: int = 16, classes: int = 10) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        last = 3
        for channels, repeat in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
            for _ in range(repeat):
                out = scaled(channels, divisor)
                layers += [nn.Conv2d(last, out, 3, padding=1), nn.ReLU()]
                last = out
            layers.append(nn.MaxPool2d(2, 2))
        hidden = 32
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            nn.Linear(last * 49, hidden),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(hidden, classes),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.features(x)
        return y, self.classifier(torch.flatten(self.avgpool(y), 1))


# ------------------------------------------------------------------------------ residual nets


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 residual block; the stride is in the 3x3 convolution."""

    expansion = 4

    def __init__(
        self, inp: int, mid: int, stride: int = 1, dilation: int = 1, project: bool = False
    ) -> None:
        super().__init__()
        out = mid * self.expansion
        self.conv1 = conv_bn(inp, mid, 1)
        self.conv2 = conv_bn(mid, mid, 3, stride, dilation=dilation)
        self.conv3 = conv_bn(mid, out, 1, act=None)
        self.downsample = conv_bn(inp, out, 1, stride, act=None) if project else None
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv3(self.conv2(self.conv1(x)))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class BasicBlock(nn.Module):
    """Residual block of two 3x3 convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = conv_bn(channels, channels, 3)
        self.conv2 = conv_bn(channels, channels, 3, act=None)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.conv2(self.conv1(x)) + x)


class ResNetTrunk(nn.Module):
    """Stem and four stages of a bottleneck ResNet.

    With ``output_stride`` 8 the last two stages use dilation in place of stride.
    """

    def __init__(self, blocks: Sequence[int], width: int, output_stride: int = 32) -> None:
        super().__init__()
        self.stem = conv_bn(3, width, 7, 2)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        channels, reached, dilation = width, 4, 1
        for index, count in enumerate(blocks):
            stride = 1 if index == 0 else 2
            first_dilation = dilation
            if stride == 2 and reached == output_stride:
                dilation, stride = dilation * 2, 1
            reached *= stride
            mid = width << index
            stage: list[nn.Module] = [
                Bottleneck(channels, mid, stride, first_dilation, project=True)
            ]
            channels = mid * Bottleneck.expansion
            stage += [Bottleneck(channels, mid, 1, dilation) for _ in range(count - 1)]
            self.add_module(f"layer{index + 1}", nn.Sequential(*stage))
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.stem(x))
        for index in range(1, 5):
            x = self.get_submodule(f"layer{index}")(x)
        return x


class ResNet(nn.Module):
    """ResNet of bottleneck blocks, with the stride in the 3x3 convolution.

    He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", 2016.
    """

    def __init__(self, blocks: Sequence[int], width: int = 4, classes: int = 10) -> None:
        super().__init__()
        self.trunk = ResNetTrunk(blocks, width)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(self.trunk.channels, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.trunk(x)
        return y, self.fc(torch.flatten(self.avgpool(y), 1))


class DeepLabV3(nn.Module):
    """DeepLabv3 on a dilated ResNet-50, output stride 8.

    Chen, Papandreou, Schroff and Adam, "Rethinking Atrous Convolution for Semantic Image
    Segmentation", 2017.
    """

    def __init__(self, width: int = 4, head: int = 16, classes: int = 5) -> None:
        super().__init__()
        self.trunk = ResNetTrunk((3, 4, 6, 3), width, output_stride=8)
        inp = self.trunk.channels
        branches = [conv_bn(inp, head, 1)]
        branches += [conv_bn(inp, head, 3, dilation=rate) for rate in (12, 24, 36)]
        self.aspp = nn.ModuleList(branches)
        self.image_pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv_bn(inp, head, 1))
        self.project = conv_bn(5 * head, head, 1)
        self.head = nn.Sequential(conv_bn(head, head, 3), nn.Conv2d(head, classes, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.trunk(x)
        pooled = F.interpolate(
            self.image_pool(y), size=y.shape[-2:], mode="bilinear", align_corners=False
        )
        aspp = self.project(torch.cat([branch(y) for branch in self.aspp] + [pooled], 1))
        logits = self.head(aspp)
        out = F.interpolate(logits, size=x.shape[-2:], mode="bilinear", align_corners=False)
        return y, out


class Exchange(nn.Module):
    """Fusion across resolutions: every branch receives the sum of all branches."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.paths = nn.ModuleList(
            nn.ModuleList(self._path(channels, source, target) for source in range(len(channels)))
            for target in range(len(channels))
        )
        self.relu = nn.ReLU()

    @staticmethod
    def _path(channels: Sequence[int], source: int, target: int) -> nn.Module:
        inp, out = channels[source], channels[target]
        if source == target:
            return nn.Identity()
        if source > target:
            up = nn.Upsample(scale_factor=2 ** (source - target), mode="nearest")
            return nn.Sequential(conv_bn(inp, out, 1, act=None), up)
        steps = [conv_bn(inp, inp, 3, 2) for _ in range(target - source - 1)]
        return nn.Sequential(*steps, conv_bn(inp, out, 3, 2, act=None))

    def forward(self, xs: list[Tensor]) -> list[Tensor]:
        fused = []
        for paths in self.paths:
            ys = [path(x) for path, x in zip(paths.children(), xs, strict=True)]
            fused.append(self.relu(reduce(torch.add, ys)))
        return fused


class HRModule(nn.Module):
    """Residual blocks on every branch, then an exchange."""

    def __init__(self, channels: Sequence[int], blocks: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(BasicBlock(c) for _ in range(blocks))) for c in channels
        )
        self.exchange = Exchange(channels)

    def forward(self, xs: list[Tensor]) -> list[Tensor]:
        return self.exchange([branch(x) for branch, x in zip(self.branches, xs, strict=True)])


class HRNet(nn.Module):
    """HRNet with four parallel branches (the W18 small v2 layout).

    Wang, Sun, Cheng, Jiang, Deng, Zhao, Liu, Mu, Tan, Wang, Liu and Xiao, "Deep High-Resolution
    Representation Learning for Visual Recognition", 2020.
    """

    def __init__(self, width: int = 4, modules: Sequence[int] = (1, 3, 2), blocks: int = 2) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_bn(3, 8, 3, 2), conv_bn(8, 8, 3, 2))
        self.layer1 = nn.Sequential(Bottleneck(8, 8, project=True), Bottleneck(32, 8))
        self.first = conv_bn(32, width, 3)
        self.new_branch = nn.ModuleList()
        self.stages = nn.ModuleList()
        last = 32
        for index, count in enumerate(modules):
            channels = [width << branch for branch in range(index + 2)]
            self.new_branch.append(conv_bn(last, channels[-1], 3, 2))
            last = channels[-1]
            self.stages.append(nn.Sequential(*(HRModule(channels, blocks) for _ in range(count))))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        y = self.layer1(self.stem(x))
        xs = [self.first(y)]
        source = y
        for new, stage in zip(self.new_branch, self.stages, strict=True):
            xs = stage([*xs, new(source)])
            source = xs[-1]
        return tuple(xs)


# ------------------------------------------------------------------------------ Inception


class Branches(nn.Module):
    """Parallel paths over one input, concatenated along the channels."""

    def __init__(self, *paths: nn.Module) -> None:
        super().__init__()
        self.paths = nn.ModuleList(paths)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([path(x) for path in self.paths], 1)


def chain(inp: int, *steps: tuple[int, int | tuple[int, int], int]) -> nn.Sequential:
    """Sequence of convolutions ``(channels, kernel, stride)``.

    Convolutions of stride one keep the size; those of stride two have no padding.
    """
    layers: list[nn.Module] = []
    for out, kernel, stride in steps:
        layers.append(conv_bn(inp, out, kernel, stride, padding=None if stride == 1 else 0))
        inp = out
    return nn.Sequential(*layers)


class InceptionV3(nn.Module):
    """Inception v3 without the auxiliary classifier.

    Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, "Rethinking the Inception Architecture for
    Computer Vision", 2016.
    """

    def __init__(self, divisor: int = 8, classes: int = 10) -> None:
        super().__init__()
        d = divisor

        def c(channels: int) -> int:
            return scaled(channels, d)

        self.Conv2d_1a_3x3 = conv_bn(3, c(32), 3, 2, 0)
        self.Conv2d_2a_3x3 = conv_bn(c(32), c(32), 3, 1, 0)
        self.Conv2d_2b_3x3 = conv_bn(c(32), c(64), 3)
        self.maxpool1 = nn.MaxPool2d(3, 2)
        self.Conv2d_3b_1x1 = conv_bn(c(64), c(80), 1)
        self.Conv2d_4a_3x3 = conv_bn(c(80), c(192), 3, 1, 0)
        self.maxpool2 = nn.MaxPool2d(3, 2)
        self.Mixed_5b = self._a(c(192), c(32), d)
        self.Mixed_5c = self._a(c(256), c(64), d)
        self.Mixed_5d = self._a(c(288), c(64), d)
        self.Mixed_6a = Branches(
            chain(c(288), (c(384), 3, 2)),
            chain(c(288), (c(64), 1, 1), (c(96), 3, 1), (c(96), 3, 2)),
            nn.MaxPool2d(3, 2),
        )
        self.Mixed_6b = self._c(c(768), c(128), d)
        self.Mixed_6c = self._c(c(768), c(160), d)
        self.Mixed_6d = self._c(c(768), c(160), d)
        self.Mixed_6e = self._c(c(768), c(192), d)
        inp = c(768)
        self.Mixed_7a = Branches(
            chain(inp, (c(192), 1, 1), (c(320), 3, 2)),
            chain(inp, (c(192), 1, 1), (c(192), (1, 7), 1), (c(192), (7, 1), 1), (c(192), 3, 2)),
            nn.MaxPool2d(3, 2),
        )
        self.Mixed_7b = self._e(c(1280), d)
        self.Mixed_7c = self._e(c(2048), d)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout()
        self.fc = nn.Linear(c(2048), classes)

    @staticmethod
    def _a(inp: int, pool: int, d: int) -> Branches:
        c48, c64, c96 = scaled(48, d), scaled(64, d), scaled(96, d)
        return Branches(
            chain(inp, (c64, 1, 1)),
            chain(inp, (c48, 1, 1), (c64, 5, 1)),
            chain(inp, (c64, 1, 1), (c96, 3, 1), (c96, 3, 1)),
            nn.Sequential(nn.AvgPool2d(3, 1, 1), conv_bn(inp, pool, 1)),
        )

    @staticmethod
    def _c(inp: int, c7: int, d: int) -> Branches:
        out = scaled(192, d)
        row, col = (1, 7), (7, 1)
        return Branches(
            chain(inp, (out, 1, 1)),
            chain(inp, (c7, 1, 1), (c7, row, 1), (out, col, 1)),
            chain(inp, (c7, 1, 1), (c7, col, 1), (c7, row, 1), (c7, col, 1), (out, row, 1)),
            nn.Sequential(nn.AvgPool2d(3, 1, 1), conv_bn(inp, out, 1)),
        )

    @staticmethod
    def _e(inp: int, d: int) -> Branches:
        c192, c320, c384, c448 = (scaled(n, d) for n in (192, 320, 384, 448))

        def split() -> Branches:
            return Branches(chain(c384, (c384, (1, 3), 1)), chain(c384, (c384, (3, 1), 1)))

        return Branches(
            chain(inp, (c320, 1, 1)),
            nn.Sequential(chain(inp, (c384, 1, 1)), split()),
            nn.Sequential(chain(inp, (c448, 1, 1), (c384, 3, 1)), split()),
            nn.Sequential(nn.AvgPool2d(3, 1, 1), conv_bn(inp, c192, 1)),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(self.maxpool1(x)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(self.maxpool2(x))))
        x = self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))
        x = self.Mixed_6e(self.Mixed_6d(x))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        return x, self.fc(torch.flatten(self.dropout(self.avgpool(x)), 1))


class InceptionV4(nn.Module):
    """Inception-v4.

    Szegedy, Ioffe, Vanhoucke and Alemi, "Inception-v4, Inception-ResNet and the Impact of Residual
    Connections on Learning", 2017.
    """

    def __init__(self, divisor: int = 16, classes: int = 10) -> None:
        super().__init__()
        d = divisor

        def c(channels: int) -> int:
            return scaled(channels, d)

        self.stem = nn.Sequential(
            conv_bn(3, c(32), 3, 2, 0),
            conv_bn(c(32), c(32), 3, 1, 0),
            conv_bn(c(32), c(64), 3),
            Branches(nn.MaxPool2d(3, 2), conv_bn(c(64), c(96), 3, 2, 0)),
            Branches(
                nn.Sequential(conv_bn(c(160), c(64), 1), conv_bn(c(64), c(96), 3, 1, 0)),
                nn.Sequential(
                    chain(c(160), (c(64), 1, 1), (c(64), (7, 1), 1), (c(64), (1, 7), 1)),
                    conv_bn(c(64), c(96), 3, 1, 0),
                ),
            ),
            Branches(conv_bn(c(192), c(192), 3, 2, 0), nn.MaxPool2d(3, 2)),
        )
        self.inception_a = nn.Sequential(*(self._a(c(384), d) for _ in range(4)))
        self.reduction_a = Branches(
            nn.MaxPool2d(3, 2),
            chain(c(384), (c(384), 3, 2)),
            chain(c(384), (c(192), 1, 1), (c(224), 3, 1), (c(256), 3, 2)),
        )
        self.inception_b = nn.Sequential(*(self._b(c(1024), d) for _ in range(7)))
        inp = c(1024)
        self.reduction_b = Branches(
            nn.MaxPool2d(3, 2),
            chain(inp, (c(192), 1, 1), (c(192), 3, 2)),
            chain(inp, (c(256), 1, 1), (c(256), (1, 7), 1), (c(320), (7, 1), 1), (c(320), 3, 2)),
        )
        self.inception_c = nn.Sequential(*(self._c(c(1536), d) for _ in range(3)))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(c(1536), classes)

    @staticmethod
    def _pool(inp: int, out: int) -> nn.Sequential:
        pool = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
        return nn.Sequential(pool, conv_bn(inp, out, 1))

    @classmethod
    def _a(cls, inp: int, d: int) -> Branches:
        c64, c96 = scaled(64, d), scaled(96, d)
        return Branches(
            cls._pool(inp, c96),
            chain(inp, (c96, 1, 1)),
            chain(inp, (c64, 1, 1), (c96, 3, 1)),
            chain(inp, (c64, 1, 1), (c96, 3, 1), (c96, 3, 1)),
        )

    @classmethod
    def _b(cls, inp: int, d: int) -> Branches:
        c128, c192, c224, c256, c384 = (scaled(n, d) for n in (128, 192, 224, 256, 384))
        row, col = (1, 7), (7, 1)
        return Branches(
            cls._pool(inp, c128),
            chain(inp, (c384, 1, 1)),
            chain(inp, (c192, 1, 1), (c224, row, 1), (c256, col, 1)),
            chain(
                inp, (c192, 1, 1), (c192, row, 1), (c224, col, 1), (c224, row, 1), (c256, col, 1)
            ),
        )

    @classmethod
    def _c(cls, inp: int, d: int) -> Branches:
        c256, c384, c448, c512 = (scaled(n, d) for n in (256, 384, 448, 512))

        def split(channels: int) -> Branches:
            return Branches(chain(channels, (c256, (1, 3), 1)), chain(channels, (c256, (3, 1), 1)))

        return Branches(
            cls._pool(inp, c256),
            chain(inp, (c256, 1, 1)),
            nn.Sequential(chain(inp, (c384, 1, 1)), split(c384)),
            nn.Sequential(
                chain(inp, (c384, 1, 1), (c448, (1, 3), 1), (c512, (3, 1), 1)), split(c512)
            ),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.reduction_a(self.inception_a(self.stem(x)))
        x = self.inception_c(self.reduction_b(self.inception_b(x)))
        return x, self.fc(self.dropout(torch.flatten(self.avgpool(x), 1)))


# ------------------------------------------------------------------------------ mobile nets


class MobileNetV1(nn.Module):
    """MobileNet of depthwise separable convolutions.

    Howard, Zhu, Chen, Kalenichenko, Wang, Weyand, Andreetto and Adam, "MobileNets: Efficient
    Convolutional Neural Networks for Mobile Vision Applications", 2017.
    """

    def __init__(self, divisor: int = 8, classes: int = 10) -> None:
        super().__init__()
        inp = scaled(32, divisor)
        layers: list[nn.Module] = [conv_bn(3, inp, 3, 2)]
        rows = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)]
        rows += [(512, 1)] * 5 + [(1024, 2), (1024, 1)]
        for channels, stride in rows:
            out = scaled(channels, divisor)
            layers += [conv_bn(inp, inp, 3, stride, groups=inp), conv_bn(inp, out, 1)]
            inp = out
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AvgPool2d(7)
        self.fc = nn.Linear(inp, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.features(x)
        return y, self.fc(torch.flatten(self.avgpool(y), 1))


class InvertedResidual(nn.Module):
    """Expansion, depthwise and linear projection, with a shortcut where shapes agree."""

    def __init__(self, inp: int, out: int, stride: int, expand: int) -> None:
        super().__init__()
        mid = inp * expand
        layers = [conv_bn(inp, mid, 1, act=nn.ReLU6)] if expand != 1 else []
        layers.append(conv_bn(mid, mid, 3, stride, groups=mid, act=nn.ReLU6))
        layers.append(conv_bn(mid, out, 1, act=None))
        self.conv = nn.Sequential(*layers)
        self.shortcut = stride == 1 and inp == out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.shortcut else self.conv(x)


class MobileNetV2(nn.Module):
    """MobileNetV2.

    Sandler, Howard, Zhu, Zhmoginov and Chen, "MobileNetV2: Inverted Residuals and Linear
    Bottlenecks", 2018.
    """

    def __init__(self, divisor: int = 4, last: int = 64, classes: int = 10) -> None:
        super().__init__()
        inp = scaled(32, divisor)
        layers: list[nn.Module] = [conv_bn(3, inp, 3, 2, act=nn.ReLU6)]
        rows = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1))
        for expand, channels, count, stride in (*rows, (6, 160, 3, 2), (6, 320, 1, 1)):
            out = scaled(channels, divisor)
            for index in range(count):
                layers.append(InvertedResidual(inp, out, stride if index == 0 else 1, expand))
                inp = out
        layers.append(conv_bn(inp, last, 1, act=nn.ReLU6))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, classes))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.features(x)
        return y, self.classifier(torch.flatten(F.adaptive_avg_pool2d(y, 1), 1))


class SqueezeExcite(nn.Module):
    """Channel gate computed from the global average.

    Hu, Shen and Sun, "Squeeze-and-Excitation Networks", 2018.
    """

    def __init__(self, channels: int, squeeze: int) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeeze, 1)
        self.fc2 = nn.Conv2d(squeeze, channels, 1)
        self.activation = nn.SiLU()
        self.scale_activation = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        scale = self.activation(self.fc1(self.avgpool(x)))
        return self.scale_activation(self.fc2(scale)) * x


class MBConv(nn.Module):
    """Inverted residual block with squeeze-and-excite."""

    def __init__(self, inp: int, out: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        mid = inp * expand
        layers: list[nn.Module] = []
        if expand != 1:
            layers.append(conv_bn(inp, mid, 1, act=nn.SiLU))
        layers.append(conv_bn(mid, mid, kernel, stride, groups=mid, act=nn.SiLU))
        layers.append(SqueezeExcite(mid, scaled(inp, 4)))
        layers.append(conv_bn(mid, out, 1, act=None))
        self.block = nn.Sequential(*layers)
        self.shortcut = stride == 1 and inp == out

    def forward(self, x: Tensor) -> Tensor:
        y = self.block(x)
        return y + x if self.shortcut else y


class EfficientNetB0(nn.Module):
    """EfficientNet-B0.

    Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019.
    """

    def __init__(self, divisor: int = 4, last: int = 64, classes: int = 10) -> None:
        super().__init__()
        inp = scaled(32, divisor)
        layers: list[nn.Module] = [conv_bn(3, inp, 3, 2, act=nn.SiLU)]
        rows = [(1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3)]
        rows += [(6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1)]
        for expand, kernel, stride, channels, count in rows:
            out = scaled(channels, divisor)
            stage = []
            for index in range(count):
                stage.append(MBConv(inp, out, kernel, stride if index == 0 else 1, expand))
                inp = out
            layers.append(nn.Sequential(*stage))
        layers.append(conv_bn(inp, last, 1, act=nn.SiLU))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, classes))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.features(x)
        return y, self.classifier(torch.flatten(self.avgpool(y), 1))


# ------------------------------------------------------------------------------ DenseNet


class DenseLayer(nn.Module):
    """Pre-activation 1x1 and 3x3 convolutions over all earlier feature maps."""

    def __init__(self, inp: int, growth: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inp)
        self.relu = nn.ReLU()
        self.conv1 = conv_bn(inp, 4 * growth, 1)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, xs: list[Tensor]) -> Tensor:
        return self.conv2(self.conv1(self.relu(self.norm1(torch.cat(xs, 1)))))


class DenseBlock(nn.Module):
    """Densely connected layers."""

    def __init__(self, inp: int, count: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            DenseLayer(inp + index * growth, growth) for index in range(count)
        )

    def forward(self, x: Tensor) -> Tensor:
        xs = [x]
        for layer in self.layers:
            xs.append(layer(xs))
        return torch.cat(xs, 1)


class DenseNet121(nn.Module):
    """DenseNet-121.

    Huang, Liu, van der Maaten and Weinberger, "Densely Connected Convolutional Networks", 2017.
    """

    def __init__(self, growth: int = 4, classes: int = 10) -> None:
        super().__init__()
        channels = 2 * growth
        layers: list[nn.Module] = [conv_bn(3, channels, 7, 2), nn.MaxPool2d(3, 2, 1)]
        counts = (6, 12, 24, 16)
        for index, count in enumerate(counts):
            layers.append(DenseBlock(channels, count, growth))
            channels += count * growth
            layers.append(nn.BatchNorm2d(channels))
            if index < len(counts) - 1:
                layers.append(nn.ReLU())
                layers.append(nn.Conv2d(channels, channels // 2, 1, bias=False))
                layers.append(nn.AvgPool2d(2, 2))
                channels //= 2
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.features(x)
        pooled = torch.flatten(F.adaptive_avg_pool2d(F.relu(y), 1), 1)
        return y, self.classifier(pooled)


# ------------------------------------------------------------------------------ U-Nets


class UNet(nn.Module):
    """Three-level U-Net with padded convolutions.

    Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image
    Segmentation", 2015.  Upsampling is a 2x2 transposed convolution of stride two or, with
    ``bilinear``, an interpolation followed by a 1x1 convolution.
    """

    def __init__(
        self, bilinear: bool, inp: int = 1, width: int = 4, levels: int = 3, classes: int = 2
    ) -> None:
        super().__init__()
        widths = [width << level for level in range(levels + 1)]
        self.down = nn.ModuleList()
        last = inp
        for channels in widths:
            self.down.append(self._double(last, channels))
            last = channels
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ModuleList()
        self.merge = nn.ModuleList()
        for channels in reversed(widths[:-1]):
            if bilinear:
                scale = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
                self.up.append(nn.Sequential(scale, nn.Conv2d(2 * channels, channels, 1)))
            else:
                self.up.append(nn.ConvTranspose2d(2 * channels, channels, 2, 2))
            self.merge.append(self._double(2 * channels, channels))
        self.head = nn.Conv2d(width, classes, 1)

    @staticmethod
    def _double(inp: int, out: int) -> nn.Sequential:
        return nn.Sequential(conv_bn(inp, out), conv_bn(out, out))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        skips = []
        for index, block in enumerate(self.down):
            x = block(x if index == 0 else self.pool(x))
            skips.append(x)
        bottom = skips.pop()
        x = bottom
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(torch.cat([skips.pop(), up(x)], 1))
        return bottom, self.head(x)


class UNet3D(nn.Module):
    """3-D U-Net with padded convolutions.

    Çiçek, Abdulkadir, Lienkamp, Brox and Ronneberger, "3D U-Net: Learning Dense Volumetric
    Segmentation from Sparse Annotation", 2016.
    """

    def __init__(self, divisor: int = 8, classes: int = 3) -> None:
        super().__init__()
        widths = [(32, 64), (64, 128), (128, 256), (256, 512)]
        levels = [(scaled(a, divisor), scaled(b, divisor)) for a, b in widths]
        self.down = nn.ModuleList()
        last = 1
        for first, second in levels:
            self.down.append(self._double(last, first, second))
            last = second
        self.pool = nn.MaxPool3d(2, 2)
        self.up = nn.ModuleList()
        self.merge = nn.ModuleList()
        for _, skip in reversed(levels[:-1]):
            self.up.append(nn.ConvTranspose3d(last, last, 2, 2))
            self.merge.append(self._double(last + skip, skip, skip))
            last = skip
        self.head = nn.Conv3d(last, classes, 1)

    @staticmethod
    def _double(inp: int, first: int, second: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        for a, b in ((inp, first), (first, second)):
            conv = nn.Conv3d(a, b, 3, padding=1, bias=False)
            layers += [conv, nn.BatchNorm3d(b), nn.ReLU()]
        return nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for index, block in enumerate(self.down):
            x = block(x if index == 0 else self.pool(x))
            skips.append(x)
        x = skips.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(torch.cat([up(x), skips.pop()], 1))
        return self.head(x)


# ------------------------------------------------------------------------------ LayerNorm nets


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of an NCHW tensor."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    """7x7 depthwise convolution and channel MLP in NHWC order, with layer scale."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, 7, padding=3, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.pwconv1 = nn.Linear(dim, 4 * dim)
        self.act = nn.GELU()
        self.pwconv2 = nn.Linear(4 * dim, dim)
        self.gamma = nn.Parameter(torch.full((dim, 1, 1), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        y = self.pwconv2(self.act(self.pwconv1(y))).permute(0, 3, 1, 2)
        return x + self.gamma * y


class ConvNeXtTiny(nn.Module):
    """ConvNeXt-T.

    Liu, Mao, Wu, Feichtenhofer, Darrell and Xie, "A ConvNet for the 2020s", 2022.
    """

    def __init__(self, dim: int = 4, classes: int = 10) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for index, depth in enumerate((3, 3, 9, 3)):
            if index == 0:
                layers += [nn.Conv2d(3, dim, 4, 4), ChannelNorm(dim, eps=1e-6)]
            else:
                layers += [ChannelNorm(dim, eps=1e-6), nn.Conv2d(dim, dim, 2, 2)]
            layers += [ConvNeXtBlock(dim) for _ in range(depth)]
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.norm = ChannelNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.features(x)
        return y, self.head(torch.flatten(self.norm(self.avgpool(y)), 1))


class MLP(nn.Sequential):
    """Two linear layers with GELU."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))


class WindowAttention(nn.Module):
    """Multi-head attention inside (shifted) windows, with a relative position bias."""

    def __init__(self, dim: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        span = 2 * window - 1
        self.bias_table = nn.Parameter(0.02 * torch.randn(span * span, heads))
        axis = torch.arange(window)
        rows, cols = (g.reshape(-1) for g in torch.meshgrid(axis, axis, indexing="ij"))
        dy = rows[:, None] - rows[None, :] + window - 1
        dx = cols[:, None] - cols[None, :] + window - 1
        self.bias_index: Tensor
        self.register_buffer("bias_index", (dy * span + dx).reshape(-1))

    def _mask(self, x: Tensor, height: int, width: int, shifts: tuple[int, int]) -> Tensor:
        """Return the additive mask that separates regions joined by the cyclic shift."""
        w = self.window
        labels = []
        for size, shift in zip((height, width), shifts, strict=True):
            label = x.new_zeros(size)
            label[-w:-shift] = 1
            label[-shift:] = 2
            labels.append(label)
        region = 3 * labels[0].unsqueeze(1) + labels[1].unsqueeze(0)
        region = region.view(height // w, w, width // w, w).permute(0, 2, 1, 3)
        region = region.reshape(-1, w * w)
        difference = region.unsqueeze(1) - region.unsqueeze(2)
        return difference.masked_fill(difference != 0, -100.0)

    def forward(self, x: Tensor) -> Tensor:
        batch, height, width, dim = x.shape
        w, heads = self.window, self.heads
        full_h, full_w = -(-height // w) * w, -(-width // w) * w
        x = F.pad(x, (0, 0, 0, full_w - width, 0, full_h - height))
        shifts = (0 if w >= full_h else self.shift, 0 if w >= full_w else self.shift)
        if sum(shifts) > 0:
            x = torch.roll(x, shifts=(-shifts[0], -shifts[1]), dims=(1, 2))

        windows = (full_h // w) * (full_w // w)
        x = x.view(batch, full_h // w, w, full_w // w, w, dim).permute(0, 1, 3, 2, 4, 5)
        x = x.reshape(batch * windows, w * w, dim)
        qkv = self.qkv(x).reshape(batch * windows, w * w, 3, heads, dim // heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        scores = (q * (dim // heads) ** -0.5) @ k.transpose(-2, -1)
        bias = self.bias_table[self.bias_index].view(w * w, w * w, heads)
        scores = scores + bias.permute(2, 0, 1).unsqueeze(0)
        if sum(shifts) > 0:
            mask = self._mask(x, full_h, full_w, shifts)
            scores = scores.view(batch, windows, heads, w * w, w * w)
            scores = scores + mask.unsqueeze(1).unsqueeze(0)
            scores = scores.view(-1, heads, w * w, w * w)
        y = (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch * windows, w * w, dim)
        y = self.proj(y)

        y = y.view(batch, full_h // w, full_w // w, w, w, dim).permute(0, 1, 3, 2, 4, 5)
        y = y.reshape(batch, full_h, full_w, dim)
        if sum(shifts) > 0:
            y = torch.roll(y, shifts=shifts, dims=(1, 2))
        return y[:, :height, :width, :].contiguous()


class SwinBlock(nn.Module):
    """Window attention and MLP, each pre-normalised and residual."""

    def __init__(self, dim: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, heads, window, shift)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = MLP(dim, 4 * dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchMerging(nn.Module):
    """Concatenation of 2x2 neighbours, normalisation and linear reduction."""

    def __init__(self, dim: int, out: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, out, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[1:3]
        x = F.pad(x, (0, 0, 0, width % 2, 0, height % 2))
        parts = [x[:, dy::2, dx::2, :] for dx in (0, 1) for dy in (0, 1)]
        return self.reduction(self.norm(torch.cat(parts, -1)))


class SwinTiny(nn.Module):
    """Swin-T.

    Liu, Lin, Cao, Hu, Wei, Zhang, Lin and Guo, "Swin Transformer: Hierarchical Vision Transformer
    using Shifted Windows", 2021.
    """

    def __init__(self, dim: int = 4, heads: int = 2, window: int = 7, classes: int = 10) -> None:
        super().__init__()
        self.patch_embed = nn.Conv2d(3, dim, 4, 4)
        self.patch_norm = nn.LayerNorm(dim)
        layers: list[nn.Module] = []
        for index, depth in enumerate((2, 2, 6, 2)):
            if index > 0:
                layers.append(PatchMerging(dim, dim))
            layers += [SwinBlock(dim, heads, window, window // 2 * (i % 2)) for i in range(depth)]
        self.features = nn.Sequential(*layers)
        self.norm = nn.LayerNorm(dim)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(dim, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.patch_norm(self.patch_embed(x).permute(0, 2, 3, 1))
        y = self.norm(self.features(y)).permute(0, 3, 1, 2)
        return y, self.head(torch.flatten(self.avgpool(y), 1))


class SelfAttention(nn.Module):
    """Global multi-head self-attention."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, dim = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, dim // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.proj(y.transpose(1, 2).reshape(batch, tokens, dim))


class ViTBlock(nn.Module):
    """Self-attention and MLP, each pre-normalised and residual."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = SelfAttention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = MLP(dim, 4 * dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    """Vision transformer with a class token, four blocks deep.

    Dosovitskiy, Beyer, Kolesnikov, Weissenborn, Zhai, Unterthiner, Dehghani, Minderer, Heigold,
    Gelly, Uszkoreit and Houlsby, "An Image is Worth 16x16 Words: Transformers for Image
    Recognition at Scale", 2021.
    """

    def __init__(
        self, dim: int = 4, heads: int = 2, depth: int = 4, size: int = 224, classes: int = 10
    ) -> None:
        super().__init__()
        patch = 16
        self.patch_embed = nn.Conv2d(3, dim, patch, patch)
        self.cls_token = nn.Parameter(0.02 * torch.randn(1, 1, dim))
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, (size // patch) ** 2 + 1, dim))
        self.blocks = nn.Sequential(*(ViTBlock(dim, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.patch_embed(x).flatten(2).transpose(1, 2)
        y = torch.cat([self.cls_token.expand(y.shape[0], -1, -1), y], 1) + self.pos_embed
        y = self.norm(self.blocks(y))
        return y, self.head(y[:, 0])


# ------------------------------------------------------------------------------ 1-D nets


class WaveNet(nn.Module):
    """WaveNet: three stacks of gated causal convolutions with dilations 1 to 512.

    van den Oord, Dieleman, Zen, Simonyan, Vinyals, Graves, Kalchbrenner, Senior and Kavukcuoglu,
    "WaveNet: A Generative Model for Raw Audio", 2016.
    """

    def __init__(
        self, residual: int = 4, skip: int = 8, classes: int = 16, stacks: int = 3, layers: int = 10
    ) -> None:
        super().__init__()
        self.dilations = [1 << layer for _ in range(stacks) for layer in range(layers)]
        self.causal = nn.Conv1d(1, residual, 2)
        self.filter = nn.ModuleList()
        self.gate = nn.ModuleList()
        self.residual = nn.ModuleList()
        self.skip = nn.ModuleList()
        for dilation in self.dilations:
            self.filter.append(nn.Conv1d(residual, residual, 2, dilation=dilation))
            self.gate.append(nn.Conv1d(residual, residual, 2, dilation=dilation))
            self.residual.append(nn.Conv1d(residual, residual, 1))
            self.skip.append(nn.Conv1d(residual, skip, 1))
        self.end1 = nn.Conv1d(skip, skip, 1)
        self.end2 = nn.Conv1d(skip, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.causal(F.pad(x, (1, 0)))
        skips = []
        for index, dilation in enumerate(self.dilations):
            padded = F.pad(x, (dilation, 0))
            z = torch.tanh(self.filter[index](padded)) * torch.sigmoid(self.gate[index](padded))
            skips.append(self.skip[index](z))
            if index < len(self.dilations) - 1:
                x = x + self.residual[index](z)
        return self.end2(F.relu(self.end1(F.relu(reduce(torch.add, skips)))))


class TemporalBlock(nn.Module):
    """Two dilated causal convolutions (padded on both sides, then chomped) and a shortcut."""

    def __init__(self, inp: int, out: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.chomp = (kernel - 1) * dilation
        self.conv1 = nn.Conv1d(inp, out, kernel, padding=self.chomp, dilation=dilation)
        self.conv2 = nn.Conv1d(out, out, kernel, padding=self.chomp, dilation=dilation)
        self.dropout = nn.Dropout(0.2)
        self.downsample = nn.Conv1d(inp, out, 1) if inp != out else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.dropout(F.relu(self.conv1(x)[:, :, : -self.chomp]))
        y = self.dropout(F.relu(self.conv2(y)[:, :, : -self.chomp]))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class TCN(nn.Module):
    """Temporal convolutional network: eight levels, kernel 7.

    Bai, Kolter and Koltun, "An Empirical Evaluation of Generic Convolutional and Recurrent
    Networks for Sequence Modeling", 2018.
    """

    def __init__(
        self, channels: int = 8, levels: int = 8, kernel: int = 7, classes: int = 10
    ) -> None:
        super().__init__()
        self.network = nn.Sequential(
            *(
                TemporalBlock(1 if level == 0 else channels, channels, kernel, 1 << level)
                for level in range(levels)
            )
        )
        self.linear = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.network(x)
        return y, self.linear(y[:, :, -1])


class SeparatorBlock(nn.Module):
    """Depthwise separable block of Conv-TasNet, with global layer normalisation."""

    def __init__(self, channels: int, hidden: int, skip: int, dilation: int, last: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(channels, hidden, 1),
            nn.PReLU(),
            nn.GroupNorm(1, hidden, eps=1e-8),
            nn.Conv1d(hidden, hidden, 3, padding=dilation, dilation=dilation, groups=hidden),
            nn.PReLU(),
            nn.GroupNorm(1, hidden, eps=1e-8),
        )
        self.residual = None if last else nn.Conv1d(hidden, channels, 1)
        self.skip = nn.Conv1d(hidden, skip, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.body(x)
        return x if self.residual is None else x + self.residual(y), self.skip(y)


class ConvTasNet(nn.Module):
    """Conv-TasNet for two speakers: kernel 16, three repeats of eight blocks.

    Luo and Mesgarani, "Conv-TasNet: Surpassing Ideal Time-Frequency Magnitude Masking for Speech
    Separation", 2019.
    """

    def __init__(
        self, basis: int = 16, channels: int = 8, hidden: int = 16, sources: int = 2
    ) -> None:
        super().__init__()
        self.sources = sources
        self.encoder = nn.Conv1d(1, basis, 16, stride=8, bias=False)
        self.norm = nn.GroupNorm(1, basis, eps=1e-8)
        self.bottleneck = nn.Conv1d(basis, channels, 1)
        count = 24
        self.blocks = nn.ModuleList(
            SeparatorBlock(channels, hidden, channels, 1 << index % 8, index == count - 1)
            for index in range(count)
        )
        self.output = nn.Sequential(nn.PReLU(), nn.Conv1d(channels, basis * sources, 1))
        self.decoder = nn.ConvTranspose1d(basis, 1, 16, stride=8, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        encoded = F.relu(self.encoder(x))
        y = self.bottleneck(self.norm(encoded))
        skips = []
        for block in self.blocks:
            y, skip = block(y)
            skips.append(skip)
        mask = torch.sigmoid(self.output(reduce(torch.add, skips)))
        batch, _, frames = mask.shape
        mask = mask.view(batch, self.sources, -1, frames)
        masked = (mask * encoded.unsqueeze(1)).view(batch * self.sources, -1, frames)
        return self.decoder(masked).view(batch, self.sources, -1), mask


# ------------------------------------------------------------------------------ others


class ESPCN(nn.Module):
    """Sub-pixel super-resolution by a factor of three.

    Shi, Caballero, Huszár, Totz, Aitken, Bishop, Rueckert and Wang, "Real-Time Single Image and
    Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network", 2016.
    """

    def __init__(self, divisor: int = 4, factor: int = 3) -> None:
        super().__init__()
        c1, c2 = scaled(64, divisor), scaled(32, divisor)
        self.conv1 = nn.Conv2d(1, c1, 5, padding=2)
        self.conv2 = nn.Conv2d(c1, c2, 3, padding=1)
        self.conv3 = nn.Conv2d(c2, factor * factor, 3, padding=1)
        self.shuffle = nn.PixelShuffle(factor)

    def forward(self, x: Tensor) -> Tensor:
        return self.shuffle(self.conv3(torch.tanh(self.conv2(torch.tanh(self.conv1(x))))))


class Siamese(nn.Module):
    """Siamese network with a shared trunk and a weighted L1 distance.

    Koch, Zemel and Salakhutdinov, "Siamese Neural Networks for One-shot Image Recognition", 2015.
    """

    def __init__(self, divisor: int = 16, embedding: int = 32) -> None:
        super().__init__()
        c1, c2, c3, c4 = (scaled(c, divisor) for c in (64, 128, 128, 256))
        self.trunk = nn.Sequential(
            nn.Conv2d(1, c1, 10),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(c1, c2, 7),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(c2, c3, 4),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(c3, c4, 4),
            nn.ReLU(),
        )
        self.embed = nn.Linear(c4 * 36, embedding)
        self.compare = nn.Linear(embedding, 1)

    def forward(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        maps = [self.trunk(x) for x in (left, right)]
        a, b = (torch.sigmoid(self.embed(torch.flatten(m, 1))) for m in maps)
        return maps[0], maps[1], torch.sigmoid(self.compare(torch.abs(a - b)))


class FullyConvolutional(nn.Module):
    """Small fully convolutional network, upsampled to the size of its input.

    After Long, Shelhamer and Darrell, "Fully Convolutional Networks for Semantic Segmentation",
    2015.
    """

    def __init__(self, width: int = 4, classes: int = 3) -> None:
        super().__init__()
        self.features = nn.Sequential(
            conv_bn(3, width, 3, 2),
            conv_bn(width, 2 * width, 3),
            nn.MaxPool2d(2),
            conv_bn(2 * width, 4 * width, 3),
            conv_bn(4 * width, 4 * width, 3, 2),
        )
        self.score = nn.Conv2d(4 * width, classes, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.features(x)
        return y, F.interpolate(
            self.score(y), size=x.shape[-2:], mode="bilinear", align_corners=False
        )


# ------------------------------------------------------------------------------ catalogue


@dataclass(frozen=True)
class Spec:
    """How one network is built and exported.

    ``gain`` scales the positive weights; ``None`` keeps the default weights of PyTorch.
    ``dynamic`` names the dynamic axes of the input ``x``.  ``dynamic_outputs`` does so for the
    outputs; it serves the TorchScript exporter, since the other one finds them by itself.
    ``opset`` gives the operator set by exporter where it is not the default.
    """

    make: Callable[[], nn.Module]
    inputs: Mapping[str, tuple[int, ...]]
    outputs: tuple[str, ...]
    exporters: tuple[str, ...] = (TORCHSCRIPT,)
    gain: float | None = 1.0
    dynamic: dict[int, str] = field(default_factory=dict)
    dynamic_outputs: dict[str, dict[int, str]] = field(default_factory=dict)
    opset: dict[str, int] = field(default_factory=dict)


IMAGE = {"x": (1, 3, 224, 224)}
IMAGE_299 = {"x": (1, 3, 299, 299)}
GRAY = {"x": (1, 1, 224, 224)}
CLASSIFIER = ("features", "logits")
NCHW = {0: "batch", 2: "height", 3: "width"}
SEGMENTER_AXES = {
    "features": {0: "batch", 2: "features_height", 3: "features_width"},
    "logits": NCHW,
}

SPECS: dict[str, Spec] = {
    "alexnet": Spec(AlexNet, IMAGE, CLASSIFIER, opset={TORCHSCRIPT: 9}),
    "vgg16": Spec(VGG16, IMAGE, CLASSIFIER),
    "resnet50": Spec(
        lambda: ResNet((3, 4, 6, 3)), IMAGE, CLASSIFIER, BOTH, gain=0.5, dynamic={0: "batch"}
    ),
    "resnet101": Spec(lambda: ResNet((3, 4, 23, 3)), IMAGE, CLASSIFIER, gain=0.5),
    "resnet152": Spec(lambda: ResNet((3, 8, 36, 3)), IMAGE, CLASSIFIER, gain=0.5),
    "inception_v3": Spec(InceptionV3, IMAGE_299, ("Mixed_7c", "logits")),
    "inception_v4": Spec(InceptionV4, IMAGE_299, CLASSIFIER),
    "mobilenet_v1": Spec(MobileNetV1, IMAGE, CLASSIFIER),
    "mobilenet_v2": Spec(MobileNetV2, IMAGE, CLASSIFIER, gain=0.8, dynamic={0: "batch"}),
    "densenet121": Spec(DenseNet121, IMAGE, CLASSIFIER),
    "efficientnet_b0": Spec(EfficientNetB0, IMAGE, CLASSIFIER, BOTH, gain=1.3),
    "unet_tconv": Spec(
        lambda: UNet(bilinear=False),
        GRAY,
        CLASSIFIER,
        dynamic=NCHW,
        dynamic_outputs=SEGMENTER_AXES,
    ),
    "unet_bilinear": Spec(lambda: UNet(bilinear=True), GRAY, CLASSIFIER, BOTH),
    "deeplabv3": Spec(DeepLabV3, IMAGE, CLASSIFIER, gain=0.5),
    "hrnet": Spec(
        HRNet,
        IMAGE,
        ("stride4", "stride8", "stride16", "stride32"),
        gain=0.5,
        opset={TORCHSCRIPT: 9},
    ),
    "convnext_tiny": Spec(ConvNeXtTiny, IMAGE, CLASSIFIER, gain=None, opset={TORCHSCRIPT: 13}),
    "swin_tiny": Spec(SwinTiny, IMAGE, CLASSIFIER, BOTH, gain=None),
    "vit": Spec(ViT, IMAGE, ("tokens", "logits"), BOTH, gain=None),
    "wavenet": Spec(WaveNet, {"x": (1, 1, 4096)}, ("logits",), BOTH),
    "tcn": Spec(TCN, {"x": (1, 1, 784)}, CLASSIFIER, gain=0.5),
    "conv_tasnet": Spec(ConvTasNet, {"x": (1, 1, 8000)}, ("sources", "mask")),
    "unet3d": Spec(UNet3D, {"x": (1, 1, 64, 64, 64)}, ("logits",), (DYNAMO,)),
    "espcn": Spec(ESPCN, GRAY, ("y",), BOTH, opset={TORCHSCRIPT: 10}),
    "siamese": Spec(
        Siamese,
        {"left": (1, 1, 105, 105), "right": (1, 1, 105, 105)},
        ("left_features", "right_features", "distance"),
    ),
    "dynamic": Spec(
        FullyConvolutional,
        IMAGE,
        CLASSIFIER,
        BOTH,
        dynamic=NCHW,
        dynamic_outputs=SEGMENTER_AXES,
    ),
}


# ------------------------------------------------------------------------------ export


def initialise(model: nn.Module, gain: float) -> None:
    """Give convolutions and linear layers positive weights that sum to about ``gain``."""
    convolutions = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
    transposed = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    for module in model.modules():
        if isinstance(module, convolutions):
            scale = gain / module.weight[0].numel()
        elif isinstance(module, transposed):
            scale = gain * np.prod(module.stride) / module.weight[:, 0].numel()
        elif isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            nn.init.uniform_(module.weight, 0.9, 1.1)
            nn.init.uniform_(module.bias, 0.0, 0.02)
            continue
        else:
            continue
        nn.init.uniform_(module.weight, 0.5 * scale, 1.5 * scale)
        if module.bias is not None:
            nn.init.uniform_(module.bias, 0.0, 0.02)


def make_model(spec: Spec) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """Return the seeded network in evaluation mode and its example inputs."""
    torch.manual_seed(SEED)
    model = spec.make()
    if spec.gain is not None:
        with torch.no_grad():
            initialise(model, spec.gain)
    return model.eval(), tuple(torch.rand(shape) for shape in spec.inputs.values())


def export(
    spec: Spec, exporter: str, model: nn.Module, args: tuple[Tensor, ...]
) -> onnx.ModelProto:
    """Export ``model`` with one of the two exporters."""
    inputs, outputs = list(spec.inputs), list(spec.outputs)
    opset = spec.opset.get(exporter)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        if exporter == TORCHSCRIPT:
            buffer = io.BytesIO()
            torch.onnx.export(
                model,
                args,
                buffer,  # type: ignore[arg-type]
                dynamo=False,
                input_names=inputs,
                output_names=outputs,
                opset_version=opset,
                dynamic_axes={"x": spec.dynamic, **spec.dynamic_outputs} if spec.dynamic else {},
            )
            return onnx.load_from_string(buffer.getvalue())
        shapes = None
        if spec.dynamic:
            shapes = {"x": {axis: torch.export.Dim(name) for axis, name in spec.dynamic.items()}}
        program = torch.onnx.export(
            model,
            args,
            dynamo=True,
            input_names=inputs,
            output_names=outputs,
            opset_version=opset,
            dynamic_shapes=shapes,
        )
    if program is None:
        raise RuntimeError("the exporter returned nothing")
    return program.model_proto


# ------------------------------------------------------------------------------ reduction

FILLABLE = {
    "Add",
    "BatchNormalization",
    "Conv",
    "ConvTranspose",
    "Gemm",
    "InstanceNormalization",
    "MatMul",
    "PRelu",
}


def subgraphs(
    graph: onnx.GraphProto | onnx.FunctionProto,
) -> Iterator[onnx.GraphProto | onnx.FunctionProto]:
    """Yield ``graph`` and all graphs nested in it."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    yield from subgraphs(inner)


def strip(model: onnx.ModelProto) -> None:
    """Remove documentation strings and exporter metadata."""
    owners: list[onnx.GraphProto | onnx.FunctionProto] = []
    for graph in (model.graph, *model.functions):
        owners.extend(subgraphs(graph))
    records: list[onnx.ModelProto | onnx.GraphProto | onnx.NodeProto] = [model, *owners]
    for owner in owners:
        records.extend(owner.node)
        records.extend(owner.value_info)
        if isinstance(owner, onnx.GraphProto):
            records.extend([*owner.initializer, *owner.input, *owner.output])
        for node in owner.node:
            records.extend(a.t for a in node.attribute if a.HasField("t"))
    for record in records:
        record.ClearField("doc_string")
        if "metadata_props" in record.DESCRIPTOR.fields_by_name:
            record.ClearField("metadata_props")


def fill_weights(model: onnx.ModelProto, limit: int) -> None:
    """Replace weights of more than ``limit`` elements by ``ConstantOfShape`` nodes.

    A float initializer is replaced when every use is a weight, bias or statistic of a layer.  The
    new node has the output name of the initializer and the mean of its values.
    """
    graph = model.graph
    as_weight: dict[str, bool] = {value.name: False for value in graph.output}
    for owner in subgraphs(graph):
        for node in owner.node:
            for index, name in enumerate(node.input):
                good = owner is graph and index > 0 and node.op_type in FILLABLE
                as_weight[name] = good and as_weight.get(name, True)
    kept, fills, shapes = [], [], {}
    for tensor in graph.initializer:
        count = int(np.prod(tensor.dims))
        if (
            tensor.data_type != TensorProto.FLOAT
            or count <= limit
            or not as_weight.get(tensor.name)
        ):
            kept.append(tensor)
            continue
        mean = np.float32(numpy_helper.to_array(tensor).mean(dtype=np.float64))
        shape = "fill_shape_" + "x".join(map(str, tensor.dims))
        shapes[shape] = numpy_helper.from_array(np.array(tensor.dims, np.int64), shape)
        value = numpy_helper.from_array(mean.reshape(1))
        fills.append(helper.make_node("ConstantOfShape", [shape], [tensor.name], value=value))
    nodes = [*fills, *graph.node]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend([*kept, *shapes.values()])
    graph.node.extend(nodes)


# ------------------------------------------------------------------------------ checks


def run(model: onnx.ModelProto, args: Iterable[np.ndarray]) -> list[np.ndarray]:
    """Run a model on the CPU with ONNX Runtime."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    feeds = {spec.name: arg for spec, arg in zip(session.get_inputs(), args, strict=True)}
    return session.run(None, feeds)


def check_same(
    name: str, model: onnx.ModelProto, args: Sequence[np.ndarray], expected: Sequence[np.ndarray]
) -> None:
    """Check that the exported model gives the values of PyTorch."""
    for got, want in zip(run(model, args), expected, strict=True):
        if got.shape != want.shape or not np.allclose(got, want, rtol=1e-3, atol=1e-4):
            raise AssertionError(f"{name}: the export does not agree with PyTorch")


def check_final(
    name: str, model: onnx.ModelProto, args: Sequence[np.ndarray], shapes: Sequence[tuple[int, ...]]
) -> None:
    """Check that the final model is valid and gives finite outputs of the expected shapes."""
    onnx.checker.check_model(model, full_check=True)
    for got, shape in zip(run(model, args), shapes, strict=True):
        if got.shape != shape:
            raise AssertionError(f"{name}: output shape {got.shape}, expected {shape}")
        if not np.isfinite(got).all():
            raise AssertionError(f"{name}: an output is not finite")


# ------------------------------------------------------------------------------ building


def lenet_textbook() -> onnx.ModelProto:
    """Return a 5x5 convolution and a 2x2 mean pool over a 30x30 image.

    The first two layers of LeNet: LeCun, Bottou, Bengio and Haffner, "Gradient-Based Learning
    Applied to Document Recognition", 1998.
    """
    weight = numpy_helper.from_array(np.full((1, 1, 5, 5), 0.04, np.float32), "weight")
    conv = helper.make_node("Conv", ["x", "weight"], ["c"], "conv", kernel_shape=[5, 5])
    pool = helper.make_node(
        "AveragePool", ["c"], ["y"], "pool", kernel_shape=[2, 2], strides=[2, 2]
    )
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 30, 30])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 13, 13])
    graph = helper.make_graph([conv, pool], "lenet_textbook", [x], [y], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def save(name: str, model: onnx.ModelProto) -> None:
    """Write one model and print its size."""
    path = HERE / f"{name}.onnx"
    data = model.SerializeToString(deterministic=True)
    path.write_bytes(data)
    print(f"{path.name:32s} {len(data):8d} bytes {len(model.graph.node):5d} nodes", flush=True)


def build(name: str) -> None:
    """Export, reduce, check and write one entry of the catalogue."""
    spec = SPECS[name]
    for exporter in spec.exporters:
        file = name if exporter == TORCHSCRIPT else f"{name}.dynamo"
        module, args = make_model(spec)
        with torch.no_grad():
            result = module(*args)
        expected = [t.numpy() for t in (result if isinstance(result, tuple) else (result,))]
        arrays = [t.numpy() for t in args]
        model = export(spec, exporter, module, args)
        check_same(file, model, arrays, expected)
        strip(model)
        fill_weights(model, FILL_LIMIT if spec.gain is not None else FILL_LIMIT_SIGNED)
        check_final(file, model, arrays, [array.shape for array in expected])
        save(file, model)


def main() -> None:
    """Build all models, or those named on the command line."""
    parser = argparse.ArgumentParser(description="Build the ONNX models of this folder.")
    names = [*SPECS, "lenet_textbook"]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(names)}")
    wanted = parser.parse_args().names or names
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        parser.error(f"unknown model: {', '.join(unknown)}")
    torch.set_num_threads(1)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    for name in wanted:
        if name == "lenet_textbook":
            model = lenet_textbook()
            image = np.ones((1, 1, 30, 30), np.float32)
            check_final(name, model, [image], [(1, 1, 13, 13)])
            save(name, model)
        else:
            build(name)


if __name__ == "__main__":
    main()
