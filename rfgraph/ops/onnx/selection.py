"""Operators that select by comparing, drawing or looking up: TopK, losses, random draws."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from rfgraph.model.graph import Kind
from rfgraph.model.sizes import Sized, all_known
from rfgraph.ops.onnx.indexing import listed
from rfgraph.ops.onnx.reduction import reduced
from rfgraph.ops.registry import Computed, Operation, Reads, axis_of, describe, transfer
from rfgraph.ops.shaping import (
    AxisCut,
    Extents,
    ShapeRule,
    Steering,
    axis_in,
    integers,
    need,
)
from rfgraph.reads.words import (
    STATISTIC,
    WHOLE,
    AxisRead,
    Elementwise,
    Everything,
    PerAxis,
    Read,
    Rearrange,
    Shape,
    Source,
    Stage,
    running,
    same,
)

_SIZE = "the size of its output depends on the data"
_COMPUTED_K = "its 'K' is computed: how many there are depends on the data"
_COMPUTED_TARGET = "its target is computed: any class is assumed"


@transfer("TopK", since=1, computed=_COMPUTED_K)
def top_k(op: Operation) -> Reads:
    """Each output element is one of all along `axis`, or says which.

    Values[o], Indices[o] <- X[o along the other axes, all along `axis`]

    https://onnx.ai/onnx/operators/onnx__TopK.html
    """
    rank = len(op.shape(0))
    axis = axis_of(op.attribute("axis", -1), rank)
    reads: list[Read] = [
        PerAxis(0, tuple(STATISTIC if a == axis else same(a) for a in range(rank)))
    ]
    if op.live(1):
        op.note(_COMPUTED_K)
        reads.append(Everything(1))
    return reads


def _count(op: Operation) -> Sized:
    X = op.static(0)
    return (len(op.shape(0)), None if X is None else int(np.count_nonzero(X)))


@transfer("NonZero", since=9, shape=_count, conservative=_SIZE)
@transfer("NonMaxSuppression", since=10, conservative=_SIZE)
@transfer("ImageDecoder", since=20, conservative=_SIZE)
def of_data_dependent_size(op: Operation) -> Reads:
    """How many elements there are, and which, can only be told from all of the input.

    Y <- all of every input

    https://onnx.ai/onnx/operators/onnx__NonZero.html
    https://onnx.ai/onnx/operators/onnx__NonMaxSuppression.html
    https://onnx.ai/onnx/operators/onnx__ImageDecoder.html
    """
    raise Computed(_SIZE)


def _different(op: Operation) -> list[Sized | None]:
    shape, axis = op.shape(0), op.attribute("axis")
    if axis is None:
        size = prod(shape) if all_known(shape) else None
        return [(None,), (None,), (size,), (None,)]
    axis = axis_of(axis, len(shape))
    kept = (*shape[:axis], None, *shape[axis + 1 :])
    return [kept, (None,), (shape[axis],), (None,)]


@transfer("Unique", since=11, shape=_different, conservative=_SIZE)
def unique(op: Operation) -> Reads:
    """Each element, or slice along `axis`, is compared with all; unsorted, with those before.

    inverse_indices[i] <- X[all], or X[0 .. i along `axis`] with ``sorted=0``
    the other outputs <- X[all]

    https://onnx.ai/onnx/operators/onnx__Unique.html
    """
    op.note(f"{_SIZE}: every output but 'inverse_indices' is assumed to read all of the input")
    shape, axis = op.shape(0), op.attribute("axis")
    source: Source = 0
    if axis is None:
        source = Stage((prod(shape),), [Rearrange(0, shape, tuple(range(len(shape))))])
        shape, axis = (prod(shape),), 0
    axis = axis_of(axis, len(shape))
    compared = STATISTIC if op.attribute("sorted", 1) else running(0, shape[axis])
    along = tuple(compared if a == axis else STATISTIC for a in range(len(shape)))
    everything: list[Read] = [Everything(0)]
    return everything, everything, [PerAxis(source, along)], everything


@transfer("Bernoulli", since=15)
def bernoulli(op: Operation) -> Reads:
    """Each element is drawn with its own probability.

    Y[o] <- input[o]

    https://onnx.ai/onnx/operators/onnx__Bernoulli.html
    """
    return [Elementwise(0)]


@transfer("Multinomial", since=7)
def multinomial(op: Operation) -> Reads:
    """Each sample is drawn by the probabilities of all classes of its row.

    Y[n, o] <- input[n, all]

    https://onnx.ai/onnx/operators/onnx__Multinomial.html
    """
    return [PerAxis(0, (same(0), STATISTIC))]


@transfer("Det", since=11)
def det(op: Operation) -> Reads:
    """The determinant of each matrix.

    Y[batch] <- X[batch, all, all]

    https://onnx.ai/onnx/operators/onnx__Det.html
    """
    batch = range(len(op.shape(0)) - 2)
    return [PerAxis(0, (*map(same, batch), STATISTIC, STATISTIC))]


# ---------------------------------------------------------------- losses


@transfer("NegativeLogLikelihoodLoss", since=12, computed=_COMPUTED_TARGET)
def negative_log_likelihood(op: Operation) -> Reads:
    """Each position reads the class that its target names; ``mean`` and ``sum`` read all positions.

    none:       loss[n, d] <- input[n, target[n, d], d], weight[target[n, d]], target[n, d]
    sum, mean:  loss <- all of these

    target [2, 0]:   n: 0 1   reads: input{(0,2)} input{(1,0)}

    Nothing is read where the target is `ignore_index`. A computed target may name any class.

    https://onnx.ai/onnx/operators/onnx__NegativeLogLikelihoodLoss.html
    """
    picked = _of_target(op, PerAxis(0, ()), op.shape(0))
    return _over_positions(op, picked)


@transfer("SoftmaxCrossEntropyLoss", since=12, computed=_COMPUTED_TARGET)
def softmax_cross_entropy(op: Operation) -> Reads:
    """As NegativeLogLikelihoodLoss, of the logarithm of the softmax over the classes.

    log_prob[n, c, d] <- scores[n, c, d], scores[n, all, d]
    none:       loss[n, d] <- log_prob[n, labels[n, d], d], weights[labels[n, d]], labels[n, d]
    sum, mean:  loss <- all of these

    https://onnx.ai/onnx/operators/onnx__SoftmaxCrossEntropyLoss.html
    """
    shape = op.shape(0)
    log_prob: list[Read] = [Elementwise(0), reduced(0, shape, {1}, True)]
    picked = _of_target(op, PerAxis(Stage(shape, list(log_prob)), ()), shape)
    return _over_positions(op, picked), log_prob


def _of_target(op: Operation, scores: PerAxis, shape: Shape) -> list[Read]:
    """The loss of each position."""
    positions = [axis for axis in range(len(shape)) if axis != 1]
    own = [same(axis) for axis in range(len(positions))]
    target = op.static(1)
    classes: AxisRead
    weight: AxisRead
    if target is None:
        op.note(_COMPUTED_TARGET)
        classes = weight = WHOLE
    else:
        ignored = op.attribute("ignore_index")
        counts = np.ones(target.shape, dtype=np.int64)
        if ignored is not None:
            counts[target == ignored] = 0
        classes = weight = listed(range(target.ndim), target, counts)
    reads: list[Read] = [
        PerAxis(scores.source, (own[0], classes, *own[1:])),
        Elementwise(1),
    ]
    if op.has(2):
        reads.append(PerAxis(2, (weight,)))
    return reads


def _over_positions(op: Operation, picked: list[Read]) -> list[Read]:
    if op.attribute("reduction", "mean") == "none":
        return picked
    shape = op.shape(1)
    return [PerAxis(Stage(shape, picked), (STATISTIC,) * len(shape))]


def _top(kind: Kind, shapes: Extents, values: Steering) -> Shape:
    shape = shapes[0]
    axis = axis_in(kind.attribute("axis", -1), len(shape))
    (k,) = integers(values[0]) if kind.version >= 10 else (kind.attribute("k"),)
    need(0 <= k <= shape[axis])
    return (*shape[:axis], k, *shape[axis + 1 :])


def _unique(kind: Kind, inputs: Sequence[Any]) -> list[Any]:
    """In the order of the input the reference takes the wrong elements."""
    axis = kind.attribute("axis")
    Y, indices, inverse, counts = np.unique(inputs[0], True, True, True, axis=axis)
    inverse = inverse.reshape(-1)
    if not kind.attribute("sorted", 1):
        order = np.argsort(indices)
        Y = np.take(Y, order, axis=0 if axis is None else axis)
        indices, counts = indices[order], counts[order]
        inverse = np.argsort(order)[inverse]
    return [Y, *(found.astype(np.int64) for found in (indices, inverse, counts))]


describe("TopK", shape=ShapeRule(_top, (1,)), cut=AxisCut((1,), axis=-1))
describe("Unique", value=_unique)
describe("Bernoulli Multinomial", is_random=True)
