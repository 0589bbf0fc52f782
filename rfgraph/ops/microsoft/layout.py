"""Operators that a runtime has put into another layout: channels last, or in blocks.

com.ms.internal.nhwc has ONNX's operators with the channels of input 0 and of the outputs last,
com.microsoft.nchwc those of float images with the channels in blocks of a size that fits the
processor. Channels are then padded to a multiple of it; here they keep their order, and what is
padded to an input reads nothing. A Reshape that makes an axis of the blocks finds them behind the
positions.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rfgraph.model.graph import NCHWC
from rfgraph.model.sizes import Sized
from rfgraph.ops.equivalent import Recast, channels_first, inferred, last
from rfgraph.ops.microsoft.fused import MICROSOFT
from rfgraph.ops.onnx.convolution import conv
from rfgraph.ops.onnx.pooling import global_pool, pool
from rfgraph.ops.onnx.resizing import resize, resized
from rfgraph.ops.onnx.sampling import COMPUTED_GRID
from rfgraph.ops.registry import Operation, Reads, transfer
from rfgraph.reads.words import PerAxis, Read, Rearrange, Shape, Stage, same

NHWC = "com.ms.internal.nhwc"

# ---------------------------------------------------------------- channels last

CHANNELS_LAST = """
    AveragePool BatchNormalization Conv ConvTranspose DepthToSpace GlobalAveragePool GlobalLpPool
    GlobalMaxPool GridSample InstanceNormalization LRN LpPool MaxPool SpaceToDepth
"""


def _as_onnx(op: Operation) -> Recast:
    given = [k if op.has(k) else None for k in op.inputs]
    return Recast(op, op.op_type, given, version=op.version, **last(op))


def nhwc(op: Operation) -> Reads:
    """ONNX's operator of the same name, with the channels of input 0 and of the outputs last.

    Y[n, o, m] <- what ONNX's operator reads for Y[n, m, o], as X[n, i, c] for X[n, c, i]

    https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/graph/contrib_ops/internal_nhwc_onnx_schemas.cc
    """
    return _as_onnx(op).reads()


for _name in CHANNELS_LAST.split():
    _computed = COMPUTED_GRID if _name == "GridSample" else ""
    transfer(_name, domain=NHWC, shape=inferred(_as_onnx), computed=_computed)(nhwc)


# Its scales and sizes are those of the axes as they are.
transfer("Resize", domain=NHWC, shape=resized)(resize)


def _nhwc_conv(op: Operation) -> Recast:
    return Recast(op, "Conv", (0, 1, 2), **last(op))


@transfer("NhwcConv", domain=MICROSOFT, shape=inferred(_nhwc_conv))
@transfer("NhwcFusedConv", domain=MICROSOFT, shape=inferred(_nhwc_conv))
def nhwc_conv(op: Operation) -> Reads:
    """Conv with the channels of X and Y last, to which Z, like Y, is added.

    Y[n, o, m] <- what Conv reads for Y[n, m, o], and Z[n, o, m]

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftnhwcconv
    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftnhwcfusedconv
    """
    reads = _nhwc_conv(op).reads()
    assert isinstance(reads, list)
    return [*reads, _own(3, len(op.out()))] if op.has(3) else reads


def _nhwc_max_pool(op: Operation) -> Recast:
    return Recast(op, "MaxPool", (0,), **last(op))


@transfer("NhwcMaxPool", domain=MICROSOFT, shape=inferred(_nhwc_max_pool))
def nhwc_max_pool(op: Operation) -> Reads:
    """MaxPool with the channels last.

    Y[n, o, c] <- what MaxPool reads for Y[n, c, o]

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftnhwcmaxpool
    """
    return _nhwc_max_pool(op).reads()


# ---------------------------------------------------------------- channels in blocks


def _own(k: int, rank: int) -> Read:
    """The element at the same position, without broadcasting: padded channels are not there."""
    return PerAxis(k, tuple(same(axis) for axis in range(rank)))


def _reordered(op: Operation) -> Shape:
    shape = op.shape(0)
    if op.attribute("channels_last", 0):
        return tuple(shape[axis] for axis in channels_first(len(shape)))
    return shape


@transfer("ReorderInput", domain=NCHWC, shape=_reordered)
def reorder_input(op: Operation) -> Reads:
    """The channels go into blocks; with ``channels_last`` they were last.

    Y[n, c, o] <- X[n, c, o], or X[n, o, c]

    https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/graph/contrib_ops/nchwc_schema_defs.cc
    """
    shape = op.shape(0)
    if op.attribute("channels_last", 0):
        return [Rearrange(0, shape, channels_first(len(shape)))]
    return [_own(0, len(shape))]


def _unpadded(op: Operation) -> Shape:
    N, _, *spatial = op.shape(0)
    channels = op.attribute("channels")
    return (N, *spatial, channels) if op.attribute("channels_last", 0) else (N, channels, *spatial)


@transfer("ReorderOutput", domain=NCHWC, shape=_unpadded)
def reorder_output(op: Operation) -> Reads:
    """The channels leave their blocks, and what was padded is dropped.

    Y[n, c, o] <- X[n, c, o], c < ``channels``;  with ``channels_last`` it is Y[n, o, c]

    https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/graph/contrib_ops/nchwc_schema_defs.cc
    """
    rank = len(op.shape(0))
    if op.attribute("channels_last", 0):
        return [PerAxis(0, tuple(same(axis) for axis in (0, rank - 1, *range(1, rank - 1))))]
    return [_own(0, rank)]


class _Padded(Operation):
    """A convolution in blocks whose input has as many channels as its weights know."""

    __slots__ = ()

    def shape(self, k: int = 0) -> Shape:
        shape = super().shape(k)
        if k:
            return shape
        channels = super().shape(1)[1] * self.attribute("group", 1)
        return (shape[0], max(shape[1], channels), *shape[2:])


def _padded(op: Operation) -> _Padded:
    return _Padded(op._node, op._names, op._shapes, op._live, told=op._told)


def _nchwc_conv_shape(op: Operation) -> list[Sized | None]:
    return Recast(_padded(op), "Conv", (0, 1, 2)).inferred()


@transfer("Conv", domain=NCHWC, shape=_nchwc_conv_shape)
def nchwc_conv(op: Operation) -> Reads:
    """Conv, to which Sum is added before the activation; X may have fewer channels than W knows.

    Y[n, m, o] <- what Conv reads of X, W, B, and Sum[n, m, o]

    https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/graph/contrib_ops/nchwc_schema_defs.cc
    """
    X, padded = op.shape(0), _padded(op)
    reads = conv(padded)
    assert isinstance(reads, list)
    first = reads[0]
    assert isinstance(first, PerAxis)
    image = 0 if padded.shape(0) == X else Stage(padded.shape(0), [_own(0, len(X))])
    # W is stored in blocks: its elements are not where its shape says, so that none is a factor.
    reads = [PerAxis(image, first.axes), *reads[1:]]
    return [*reads, _own(3, len(X))] if op.has(3) else reads


def _same_name(op: Operation) -> Recast:
    return Recast(op, op.op_type, (0,))


_POOLS: dict[str, Callable[[Operation], Reads]] = {
    "AveragePool": pool,
    "GlobalAveragePool": global_pool,
    "GlobalMaxPool": global_pool,
    "MaxPool": pool,
}

for _name, _pool in _POOLS.items():
    transfer(_name, domain=NCHWC, shape=inferred(_same_name))(_pool)


def _upsample(op: Operation) -> Recast:
    scales = np.array(op.attribute("scales"), dtype=np.float32)
    mode = op.attribute("coordinate_transformation_mode", "asymmetric")
    return Recast(
        op,
        "Resize",
        (0,),
        data={2: scales},
        coordinate_transformation_mode=mode,
        nearest_mode="floor",
    )


@transfer("Upsample", domain=NCHWC, shape=inferred(_upsample))
def nchwc_upsample(op: Operation) -> Reads:
    """Resize by whole ``scales``; nearest rounds down.

    Y[n, c, o] <- X[n, c, taps around x(o)],  x(o) by ``coordinate_transformation_mode``

    https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/graph/contrib_ops/nchwc_schema_defs.cc
    """
    return _upsample(op).reads()
