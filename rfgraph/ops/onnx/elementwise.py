"""Operators whose output element reads the elements at its own position, and a few like them."""

from __future__ import annotations

import numpy as np

from rfgraph.ops.cuts import confined
from rfgraph.ops.families import ELEMENTWISE
from rfgraph.ops.registry import Operation, Reads, describe, transfer
from rfgraph.prune.passing import (
    Drops,
    Moves,
    Pointwise,
    by_all_low,
    by_condition,
    by_low_bound,
    by_low_minuend,
    by_low_term,
    by_truth,
    by_zero,
    by_zero_numerator,
    masked_by_choice,
    masked_by_factor,
)
from rfgraph.reads.words import Elementwise, Everything, Read


def elementwise(op: Operation) -> Reads:
    """Each output element reads the elements at its position, by numpy's broadcasting.

    Y[o] <- X_k[o]  for every input k;  o without the axes that X_k lacks, 0 where it has size 1

    (3,) with (1,):   o: 0 1 2   reads: {0} {1} {2} with {0} {0} {0}
    """
    return [Elementwise(k) for k in op.inputs]


# One input, or several that are broadcast as in numpy
# (https://onnx.ai/onnx/repo-docs/Broadcasting.html).
for _name in ELEMENTWISE.split():
    transfer(_name)(elementwise)


_COMPUTED_SHAPE = "its shape is computed: all along the axes of unknown size is assumed"


@transfer("Expand", since=8, computed=_COMPUTED_SHAPE)
def expand(op: Operation) -> Reads:
    """The input is repeated along axes of size 1, by numpy's broadcasting.

    Y[o] <- X[o], 0 where X has size 1

    https://onnx.ai/onnx/operators/onnx__Expand.html
    """
    if op.live(1) and not op.has_sizes_of_its_own(1):
        op.note(_COMPUTED_SHAPE)
        return [Elementwise(0), Everything(1)]
    return [Elementwise(0)]


@transfer("Where", since=9)
def where(op: Operation) -> Reads:
    """Each element of one of two inputs.

    output[o] <- condition[o], X[o], Y[o]

    Pruned, X is not read where the condition is known not to hold, nor Y where it is.

    https://onnx.ai/onnx/operators/onnx__Where.html
    """
    fact = op.known(0)
    if fact is None:
        return elementwise(op)
    extent, rank = op.out(), len(op.shape(0))
    lead = (1,) * (len(extent) - rank)
    nowhere = np.zeros((1,) * rank, dtype=bool)
    reads: list[Read] = []
    for k, settled in ((0, fact.known), (1, fact.zeros), (2, fact.ones)):
        there = ~(nowhere if settled is None else settled)
        there = there.reshape(lead + there.shape)
        reads.extend(confined(op, [Elementwise(k)], there, extent))
    return reads


@transfer("CastLike", since=15)
def cast_like(op: Operation) -> Reads:
    """Each element is converted; of `target_type` only the type counts.

    Y[o] <- X[o]

    https://onnx.ai/onnx/operators/onnx__CastLike.html
    """
    return [Elementwise(0)]


@transfer("Dropout", since=12)
def dropout(op: Operation) -> Reads:
    """In training each element is kept or dropped by chance: `mask` reads no data.

    Y[o] <- data[o]
    in training:  Y[o] <- data[o], ratio;  mask[o] <- ratio

    Both read `training_mode` where it is computed.

    https://onnx.ai/onnx/operators/onnx__Dropout.html
    """
    training = op.static(2) if op.has(2) else np.array(False)
    if training is not None and not training.any():
        return [Elementwise(0)], []
    settings: list[Read] = [Elementwise(k) for k in op.inputs[1:]]
    return [Elementwise(0), *settings], settings


@transfer("Dropout", since=7, shape=lambda op: op.shape(0))
def plain_dropout(op: Operation) -> Reads:
    """Each element as it is: `mask` reads nothing.

    Y[o] <- data[o]

    https://onnx.ai/onnx/operators/onnx__Dropout.html#dropout-10
    """
    return [Elementwise(0)], []


describe(ELEMENTWISE, facts=Pointwise())
describe("CastLike", facts=Pointwise())
describe("Add Sum", facts=Pointwise(by_low_term))
describe("And", facts=Pointwise(by_zero))
describe("Cast", facts=Pointwise(low="stays"))
describe("Div", facts=Pointwise(by_zero_numerator))
describe("Exp", facts=Pointwise(low="vanishes"))
describe("Max", facts=Pointwise(by_all_low))
describe("Min", facts=Pointwise(by_low_bound, masked_by_factor))
describe("Mul", facts=Pointwise(by_zero, masked_by_factor))
describe("Or", facts=Pointwise(by_truth))
describe("Sub", facts=Pointwise(by_low_minuend))
describe("Where", facts=Pointwise(by_condition, masked_by_choice))
describe("Dropout", facts=Drops())
describe("Expand Identity", facts=Moves())
