"""Convolutions; their weights and biases are inputs too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..perturbation import Case
from . import cases
from .common import floats, of

_AUTO = ("VALID", "SAME_UPPER", "SAME_LOWER")


def _conv(name: str, x: tuple[int, ...], w: tuple[int, ...], **attributes: Any) -> Case:
    inputs = {"X": floats(*x), "W": floats(*w, seed=1), "B": floats(w[0], seed=2)}
    return of(name, "Conv", inputs, **attributes)


@cases("Conv")
def conv() -> Iterator[Case]:
    yield _conv("stride", (2, 2, 9), (3, 2, 3), strides=[2], pads=[1, 1])
    yield _conv("dilation", (1, 2, 8), (2, 2, 3), dilations=[3], pads=[2, 3])
    yield _conv("stride beyond the kernel", (1, 1, 9), (2, 1, 2), strides=[4], pads=[1, 0])
    yield _conv("groups", (2, 4, 5), (6, 2, 2), group=2)
    yield _conv("one channel a group", (1, 3, 4), (6, 1, 2), group=3)
    yield _conv("windows of padding", (1, 2, 2), (2, 2, 1), pads=[2, 1])
    yield _conv("kernel of the size", (2, 2, 4), (2, 2, 4), pads=[1, 2])
    yield _conv(
        "2-D", (2, 2, 5, 6), (2, 2, 2, 3), strides=[2, 1], dilations=[1, 2], pads=[1, 0, 0, 2]
    )
    yield _conv("3-D", (2, 2, 4, 3, 5), (2, 2, 2, 2, 3), strides=[1, 2, 2], pads=[1, 0, 1, 0, 1, 2])
    yield _conv("3-D groups", (1, 4, 3, 4, 3), (4, 2, 2, 2, 2), group=2, dilations=[1, 2, 1])
    for auto in _AUTO:
        yield _conv(f"{auto}", (1, 2, 7), (2, 2, 4), strides=[2], auto_pad=auto)
        yield _conv(f"{auto} 2-D", (1, 1, 6, 5), (2, 1, 2, 3), strides=[1, 2], auto_pad=auto)
    yield of("no bias", "Conv", {"X": floats(1, 2, 6), "W": floats(2, 2, 3)}, opset=11)


def _transposed(name: str, x: tuple[int, ...], w: tuple[int, ...], **attributes: Any) -> Case:
    bias = floats(w[1] * attributes.get("group", 1), seed=2)
    inputs = {"X": floats(*x), "W": floats(*w, seed=1), "B": bias}
    return of(name, "ConvTranspose", inputs, **attributes)


@cases("ConvTranspose")
def conv_transpose() -> Iterator[Case]:
    yield _transposed("stride", (2, 2, 5), (2, 3, 3), strides=[2], pads=[1, 1])
    yield _transposed("overlap", (2, 2, 5), (2, 3, 4), strides=[2])
    yield _transposed("dilation", (1, 2, 5), (2, 2, 3), dilations=[2], pads=[1, 2])
    yield _transposed("stride and dilation", (1, 1, 5), (1, 2, 3), strides=[2], dilations=[3])
    yield _transposed("a common factor", (1, 1, 4), (1, 2, 3), strides=[4], dilations=[2])
    yield _transposed("holes", (1, 2, 4), (2, 2, 2), strides=[3])
    yield _transposed("groups", (2, 4, 4), (4, 2, 2), group=2, strides=[2])
    yield _transposed("one channel a group", (1, 3, 4), (3, 2, 2), group=3)
    yield _transposed("output padding", (1, 2, 4), (2, 2, 3), strides=[3], output_padding=[2])
    yield _transposed("output shape", (1, 2, 4), (2, 2, 3), strides=[2], output_shape=[8])
    yield _transposed(
        "2-D", (2, 2, 3, 4), (2, 2, 2, 3), strides=[2, 1], dilations=[1, 2], pads=[0, 1, 1, 0]
    )
    yield _transposed("3-D", (2, 2, 3, 2, 3), (2, 2, 2, 2, 3), strides=[1, 2, 2])
    yield _transposed("3-D groups", (1, 4, 2, 3, 2), (4, 2, 2, 2, 2), group=2)
    for auto in _AUTO:
        yield _transposed(f"{auto}", (1, 2, 4), (2, 2, 3), strides=[2], auto_pad=auto)
        yield _transposed(f"{auto} 2-D", (1, 1, 4, 3), (1, 2, 2, 3), strides=[1, 2], auto_pad=auto)
    yield of("no bias", "ConvTranspose", {"X": floats(1, 2, 4), "W": floats(2, 2, 3)}, opset=11)
