"""The rest of com.microsoft: sampling, padding, and ONNX's own operators under its name.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md describes them all.
"""

from __future__ import annotations

from rfgraph.model.sizes import is_unknown
from rfgraph.ops.equivalent import Recast, inferred
from rfgraph.ops.microsoft.fused import MICROSOFT
from rfgraph.ops.onnx.indexing import gather_nd
from rfgraph.ops.onnx.moving import gathered, pad
from rfgraph.ops.registry import Operation, Reads, Undetermined, axis_of, transfer
from rfgraph.reads.words import (
    STATISTIC,
    WHOLE,
    Along,
    AxisRead,
    Elementwise,
    Everything,
    PerAxis,
    Read,
    Rearrange,
    Shape,
    Stage,
    point,
    same,
)


def _own(op: Operation) -> Recast:
    return Recast(op, op.op_type, [k if op.has(k) else None for k in op.inputs])


def under_another_name(op: Operation) -> Reads:
    """ONNX's operator of the same name reads the same."""
    return _own(op).reads()


for _name in ("Range", "Trilu"):
    transfer(_name, domain=MICROSOFT, shape=inferred(_own))(under_another_name)


def _gathered_shape(op: Operation) -> Shape:
    data, indices = op.shape(0), op.shape(1)
    return (*indices[:-1], *data[indices[-1] :])


transfer(
    "GatherND",
    domain=MICROSOFT,
    shape=_gathered_shape,
    computed="the whole axes of 'data' are read",
)(gather_nd)


def _pad_shape(op: Operation) -> Shape:
    shape = op.shape(0)
    pads = op.integers(1, "pads") or []
    ends = zip(shape, pads, pads[len(shape) :], strict=False)
    return tuple(size + begin + end for size, begin, end in ends)


transfer("Pad", domain=MICROSOFT, shape=_pad_shape, computed="everything is read")(pad)


def _expanded(op: Operation) -> Shape:
    shape = op.shape(0)
    axis = axis_of(int(op.constant(1, "axis").reshape(())), len(shape) + 1)
    return (*shape[:axis], 1, *shape[axis:])


@transfer("ExpandDims", domain=MICROSOFT, shape=_expanded)
def expand_dims(op: Operation) -> Reads:
    """The elements keep their order; an axis of size 1 is put in.

    Y.flat[o] <- X.flat[o]

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftexpanddims
    """
    shape = op.shape(0)
    return [Rearrange(0, shape, tuple(range(len(shape))))]


def _transposed(op: Operation) -> Recast:
    pads = [int(v) for v in op.constant(2, "Pads")]
    return Recast(op, "ConvTranspose", (0, 1, 3), pads=pads)


@transfer("ConvTransposeWithDynamicPads", domain=MICROSOFT, shape=inferred(_transposed))
def conv_transpose_with_dynamic_pads(op: Operation) -> Reads:
    """ConvTranspose, whose ``pads`` are an input.

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftconvtransposewithdynamicpads
    """
    return _transposed(op).reads()


def _rfft_shape(op: Operation) -> Shape:
    shape = op.shape(0)
    if op.op_type == "Rfft":
        return (*shape[:-1], shape[-1] // 2 + 1, 2)
    return (*shape[:-2], 2 * (shape[-2] - 1))


@transfer("Irfft", domain=MICROSOFT, shape=_rfft_shape)
@transfer("Rfft", domain=MICROSOFT, shape=_rfft_shape)
def rfft(op: Operation) -> Reads:
    """A Fourier transform of the last ``signal_ndim`` axes; complex numbers are pairs.

    Rfft: Y[batch, f, 0 or 1] <- X[batch, all];  Irfft: Y[batch, o] <- X[batch, all, all]

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftrfft
    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftirfft
    """
    rank = len(op.shape(0))
    signal = op.attribute("signal_ndim", 1) + (op.op_type == "Irfft")
    if not 0 < signal <= rank:
        raise ValueError(f"signal_ndim is {op.attribute('signal_ndim')}, and X has {rank} axes")
    return [PerAxis(0, (*map(same, range(rank - signal)), *[STATISTIC] * signal))]


@transfer("CDist", domain=MICROSOFT, shape=lambda op: (op.shape(0)[0], op.shape(1)[0]))
def cdist(op: Operation) -> Reads:
    """The distance of every row of A from every row of B.

    C[i, j] <- A[i, all], B[j, all]

    A 2x3, B 4x3:   C[1, 2] reads A[1, 0..2] and B[2, 0..2]

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftcdist
    """
    return [PerAxis(0, (same(0), STATISTIC)), PerAxis(1, (same(1), STATISTIC))]


def _slices(op: Operation) -> tuple[int, int, int, Shape]:
    """The axis that is cut, size of a slice, step, and the shape of all slices where they are."""
    shape = op.shape(0)
    axis = axis_of(op.attribute("dim", -1), len(shape))
    size, step = op.attribute("size"), op.attribute("step", 1)
    if is_unknown(shape[axis]):
        raise Undetermined("the data decide how many slices there are")
    slices = (shape[axis] - size) // step + 1
    return axis, size, step, (*shape[:axis], slices, size, *shape[axis + 1 :])


def _slices_last(op: Operation) -> Shape:
    axis, size, _, view = _slices(op)
    return (*view[: axis + 1], *view[axis + 2 :], size)


@transfer("UnfoldTensor", domain=MICROSOFT, shape=_slices_last)
def unfold_tensor(op: Operation) -> Reads:
    """All slices along an axis, the places in a slice as the last axis.

    output[a, o, b, k] <- input[a, o*step + k, b],  0 <= k < size

    size=3, step=2, five elements:   o: 0 1   reads: {0,1,2} {2,3,4}

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftunfoldtensor
    """
    axis, size, step, view = _slices(op)
    # One slice after the other along the axis, which is then split.
    along: list[AxisRead] = [same(a) for a in range(len(view) - 1)]
    along[axis] = Along(axis, tuple(range(size)), (1,) * size, step)
    joined = (*view[:axis], view[axis] * size, *view[axis + 2 :])
    order = [a for a in range(len(view)) if a != axis + 1]
    return [Rearrange(Stage(joined, [PerAxis(0, tuple(along))]), view, (*order, axis + 1))]


_PLACES = "which places are read is computed: the whole of X is assumed"


@transfer(
    "GridSample",
    domain=MICROSOFT,
    shape=lambda op: (*op.shape(0)[:2], *op.shape(1)[1:3]),
    conservative="the grid says which places of X are read",
)
def grid_sample(op: Operation) -> Reads:
    """X at the places that the grid names, which may be anywhere.

    Y[n, c, h, w] <- X[n, c, all, all], Grid[n, h, w, all]

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftgridsample
    """
    if op.live(0):
        op.note(_PLACES)
    return [
        PerAxis(0, (same(0), same(1), WHOLE, WHOLE)),
        PerAxis(1, (same(0), same(2), same(3), WHOLE)),
    ]


def _cropped(op: Operation) -> Shape:
    height, width = (int(v) for v in op.constant(3, "crop_size").reshape(-1))
    return (op.shape(1)[0], op.shape(0)[1], height, width)


@transfer(
    "CropAndResize",
    domain=MICROSOFT,
    shape=_cropped,
    conservative="the boxes say which places of X are read",
)
def crop_and_resize(op: Operation) -> Reads:
    """X, sampled in boxes that may be anywhere.

    Y[r, c, i, j] <- X[batch_indices[r], c, all, all], rois[r, all], batch_indices[r]

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftcropandresize
    """
    if op.live(0):
        op.note(_PLACES)
    entries = op.static(2)
    image = WHOLE if entries is None else gathered((0,), entries)
    return [
        PerAxis(0, (image, same(1), WHOLE, WHOLE)),
        PerAxis(1, (same(0), WHOLE)),
        PerAxis(2, (same(0),)),
    ]


def _embedded_shapes(op: Operation) -> list[Shape | None]:
    batch, positions = op.shape(0)
    shape = (batch, positions, op.shape(2)[1])
    return [shape, (batch,), shape]


@transfer(
    "EmbedLayerNormalization",
    domain=MICROSOFT,
    shape=_embedded_shapes,
    like=2,
    computed="all rows of the embeddings are read",
)
def embed_layer_normalization(op: Operation) -> Reads:
    """LayerNormalization of the sum of the rows that word, position and segment name.

    s[b, t, c] = word_embedding[input_ids[b, t], c] + position_embedding[t or position_ids[b, t], c]
                 + segment_embedding[segment_ids[b, t], c], which is the third output
    output[b, t, c] <- s[b, t, c], s[b, t, all], gamma[c], beta[c];  mask_index[b] <- mask[b, all]

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftembedlayernormalization
    """
    batch, positions = op.shape(0)
    rows: list[Read] = []
    for table, ids in ((2, 0), (3, 8), (4, 1)):
        if not op.has(table):
            continue
        row: AxisRead = same(1)
        if op.has(ids):
            several = op.shape(ids)[0] == batch
            rows.append(PerAxis(ids, (same(0) if several else point(0), same(1))))
            known = op.static(ids)
            if known is not None:
                row = gathered((0, 1), known) if several else gathered((1,), known[0])
            else:
                row = WHOLE
                if op.live(table):
                    op.note("its ids are computed: all rows of the embeddings are assumed")
        rows.append(PerAxis(table, (row, same(2))))
    total = Stage((batch, positions, op.shape(2)[1]), rows)
    return (
        [
            Elementwise(total),
            PerAxis(total, (same(0), same(1), STATISTIC)),
            Elementwise(5),
            Elementwise(6),
        ],
        [PerAxis(7, (same(0), STATISTIC))] if op.has(7) else [],
        list(rows),
    )


@transfer(
    "Unique",
    domain=MICROSOFT,
    shape=lambda op: None,
    conservative="which elements differ depends on the data",
)
def unique(op: Operation) -> Reads:
    """Which elements there are depends on all.

    uniques, counts <- x[all];  idx[o] <- x[all]

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftunique
    """
    op.note("which elements differ is computed: all of its input is assumed")
    return [Everything(0)]
