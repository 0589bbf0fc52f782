"""Writes the models of this directory, and which elements of their inputs have a gradient.

Small copies of architectures without a rectifier, in 64-bit floats and with positive weights: no
path is closed and none cancels another, so that an element of the input has a gradient exactly
where a unit depends on it. Average pools stand for maxima. ``python tests/gradients/make.py``
writes ``<model>.onnx`` and ``masks.npz``: for each model and unit the mask as packed bits.

Requires torch 2.13, onnx, onnxscript and numpy.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

HERE = Path(__file__).parent


def conv(ins: int, outs: int, kernel: int | tuple[int, int], **given: object) -> nn.Sequential:
    """A convolution and its normalisation, padded by half its kernel unless told otherwise."""
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    d = given.get("dilation", 1)
    given = {"padding": tuple((k - 1) * d // 2 for k in sides), "bias": False, **given}
    return nn.Sequential(nn.Conv2d(ins, outs, sides, **given), nn.BatchNorm2d(outs))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 beside a shortcut."""

    def __init__(self, ins: int, outs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(ins, 2, 1), conv(2, 2, 3, stride=stride, groups=2), conv(2, outs, 1)
        )
        self.shortcut = conv(ins, outs, 1, stride=stride) if ins != outs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.shortcut(x)


def resnet() -> nn.Module:
    """A 7x7 stem, a pool, and two stages of bottlenecks with groups."""
    return nn.Sequential(
        conv(3, 4, 7, stride=2),
        nn.AvgPool2d(3, 2, 1, count_include_pad=False),
        Bottleneck(4, 6, 1),
        Bottleneck(6, 6, 1),
        Bottleneck(6, 8, 2),
    )


class Mixed(nn.Module):
    """1x1, 1x7 and then 7x1, 3x3 twice, and a pool, side by side."""

    def __init__(self, ins: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                conv(ins, 1, 1),
                nn.Sequential(conv(ins, 1, 1), conv(1, 1, (1, 7))),
                conv(ins, 1, (7, 1)),
                nn.Sequential(conv(ins, 1, 3), conv(1, 1, 3)),
                nn.Sequential(nn.AvgPool2d(3, 1, 1), conv(ins, 1, 1)),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


def inception() -> nn.Module:
    """A stem without padding and two blocks, whose channels see different crosses."""
    return nn.Sequential(conv(3, 2, 3, stride=2, padding=0), Mixed(2), Mixed(5))


class UNet(nn.Module):
    """Two levels down by pools, up by a transposed convolution and by interpolation."""

    def __init__(self) -> None:
        super().__init__()
        self.top = nn.Sequential(conv(1, 2, 3), conv(2, 2, 3))
        self.middle = conv(2, 3, 3)
        self.bottom = conv(3, 3, 3, dilation=2)
        self.up = nn.ConvTranspose2d(3, 3, 3, 2, 1, output_padding=1)
        self.join = conv(6, 2, 3)
        self.out = conv(4, 2, (1, 3))

    def forward(self, x: Tensor) -> Tensor:
        top = self.top(x)
        middle = self.middle(functional.avg_pool2d(top, 2))
        bottom = self.bottom(functional.avg_pool2d(middle, 2))
        middle = self.join(torch.cat([self.up(bottom), middle], 1))
        wide = functional.interpolate(middle, scale_factor=2.0, mode="bilinear")
        return self.out(torch.cat([wide, top], 1))


def dilated() -> nn.Module:
    """A stack with gridding: dilations of 2 and 4, some depthwise, one without a symmetric pad."""
    return nn.Sequential(
        conv(2, 4, 3, stride=2),
        conv(4, 4, 3, dilation=2, groups=4),
        conv(4, 4, 3, dilation=2, groups=2),
        conv(4, 4, (3, 2), dilation=4, padding=(4, 2)),
        conv(4, 2, 1, groups=2),
    )


class Window(nn.Module):
    """Attention within windows, shifted or not, as Swin does it, with the mask it adds."""

    def __init__(self, size: int, window: int, shift: int, width: int, heads: int) -> None:
        super().__init__()
        self.size, self.window, self.shift, self.heads = size, window, shift, heads
        self.norm, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        self.bias = nn.Parameter(torch.rand(heads, window**2, window**2))
        parts = [slice(0, -window), slice(-window, -shift), slice(-shift, None)]
        areas = torch.zeros(1, size, size, 1)
        if shift:
            for number, (rows, columns) in enumerate((r, c) for r in parts for c in parts):
                areas[:, rows, columns] = number
        areas = self.split(areas).squeeze(-1)
        mask = (areas[:, None] != areas[:, :, None]) * -100.0
        self.register_buffer("mask", mask[:, None])

    def split(self, x: Tensor) -> Tensor:
        n, w = self.size // self.window, self.window
        x = x.reshape(n, w, n, w, x.shape[-1])
        return x.transpose(1, 2).reshape(n * n, w * w, -1)

    def forward(self, x: Tensor) -> Tensor:
        n, w = self.size // self.window, self.window
        y = self.norm(x)
        if self.shift:
            y = torch.roll(y, (-self.shift, -self.shift), (1, 2))
        y = self.split(y)
        q, k, v = self.qkv(y).reshape(n * n, w * w, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) + self.bias + self.mask
        y = (scores.softmax(-1) @ v).transpose(1, 2).reshape(n * n, w * w, -1)
        y = self.out(y).reshape(n, n, w, w, -1).transpose(1, 2).reshape(x.shape)
        if self.shift:
            y = torch.roll(y, (self.shift, self.shift), (1, 2))
        x = x + y
        return x + self.mlp(self.norm2(x))


class Swin(nn.Module):
    """Patches, two blocks of windows, merged patches, and another block."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 4, 2, 2)
        self.first = nn.Sequential(Window(18, 3, 0, 4, 2), Window(18, 3, 1, 4, 2))
        self.merge = nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 4, bias=False))
        self.second = Window(9, 3, 0, 4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.patches(x).permute(0, 2, 3, 1))
        corners = [x[:, a::2, b::2] for b in (0, 1) for a in (0, 1)]
        return self.second(self.merge(torch.cat(corners, -1))).permute(0, 3, 1, 2)


# The models and the shapes of their inputs.
MODELS = {
    "resnet": (resnet, (2, 3, 41, 50)),
    "inception": (inception, (1, 3, 31, 36)),
    "unet": (UNet, (1, 1, 48, 40)),
    "dilated": (dilated, (1, 2, 41, 46)),
    "swin": (Swin, (1, 1, 36, 36)),
}


def units(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """At the centre, in the corners and on the edges, in the first and in the last channel."""
    n, c, h, w = shape
    places = [(h // 2, w // 2), (0, 0), (0, w - 1), (h - 1, w - 1), (0, w // 2), (h // 2, w - 1)]
    return [(n - 1, channel, *place) for place in places for channel in (0, c // 2, c - 1)]


def made(make: object) -> nn.Module:
    """A model with random positive weights, ready to be looked at."""
    torch.manual_seed(0)
    model = make().double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(0.1, 1)
            if parameter.ndim > 1:
                parameter /= parameter[0].numel()
    return model


def main() -> None:
    masks = {}
    for name, (make, shape) in MODELS.items():
        model = made(make)
        x = torch.rand(shape, dtype=torch.float64, requires_grad=True)
        y = model(x)
        for unit in units(tuple(y.shape)):
            (gradient,) = torch.autograd.grad(y[unit], x, retain_graph=True)
            masks[f"{name} {','.join(map(str, unit))}"] = np.packbits(gradient.numpy() != 0)
        buffer = io.BytesIO()
        torch.onnx.export(
            model, (x.detach(),), buffer, dynamo=False, opset_version=17,
            input_names=["x"], output_names=["y"],
        )  # fmt: skip
        exported = onnx.load_from_string(buffer.getvalue())
        for node in exported.graph.node:
            node.ClearField("doc_string")
        onnx.checker.check_model(exported)
        onnx.save(exported, HERE / f"{name}.onnx")
    np.savez_compressed(HERE / "masks.npz", **masks)


if __name__ == "__main__":
    main()
