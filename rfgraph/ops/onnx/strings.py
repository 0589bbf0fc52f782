"""Operators on text."""

from __future__ import annotations

import numpy as np

from rfgraph.ops.onnx.elementwise import elementwise
from rfgraph.ops.registry import Computed, Operation, Reads, transfer
from rfgraph.reads.words import (
    STATISTIC,
    AxisRead,
    Elementwise,
    Everything,
    PerAxis,
    Shape,
    Table,
    same,
)

for _name in ("RegexFullMatch", "StringConcat"):
    transfer(_name, since=20)(elementwise)


@transfer(
    "StringSplit",
    since=20,
    conservative="how long the last axis is depends on all strings: Y as a whole reads all of X",
)
def string_split(op: Operation) -> Reads:
    """The parts of each string; the last axis is as long as the most parts that a string has.

    Y <- X[all];  Z[o] <- X[o]

    https://onnx.ai/onnx/operators/onnx__StringSplit.html
    """
    if op.live(0):
        op.note("how many parts there are depends on the data")
    return [Everything(0)], [Elementwise(0)]


def _kept(op: Operation) -> Shape:
    if op.attribute("stopwords"):
        raise Computed("how many words are left depends on the data")
    return op.shape(0)


@transfer(
    "StringNormalizer",
    since=10,
    shape=_kept,
    conservative="with `stopwords` the words that are left move up: each may read all of X",
)
def string_normalizer(op: Operation) -> Reads:
    """Each word by itself; with `stopwords` those that are left close the gaps.

    Y[o] <- X[o] without `stopwords`, else X[all]

    https://onnx.ai/onnx/operators/onnx__StringNormalizer.html
    """
    _kept(op)
    return [Elementwise(0)]


@transfer("TfIdfVectorizer", since=9)
def tf_idf_vectorizer(op: Operation) -> Reads:
    """Each output element counts one n-gram in its row, wherever it is.

    Y[n, j] <- X[n, all], if an n-gram that fits into a row has `ngram_indexes` j

    https://onnx.ai/onnx/operators/onnx__TfIdfVectorizer.html
    """
    X, Y = op.shape(0), op.out()
    begins = np.array(op.attribute("ngram_counts"))
    words = len(op.attribute("pool_int64s") or op.attribute("pool_strings") or ())
    lengths = np.arange(1, len(begins) + 1)
    grams = np.diff(begins, append=words) // lengths
    least, most = op.attribute("min_gram_length"), op.attribute("max_gram_length")
    counted = (lengths >= least) & (lengths <= most) & (lengths <= X[-1])
    indices = np.array(op.attribute("ngram_indexes"))[np.repeat(counted, grams)]
    reads = np.isin(np.arange(Y[-1]), indices)
    row: AxisRead = STATISTIC
    if not reads.all():
        counts = np.where(reads, X[-1], 0)
        row = Table((len(Y) - 1,), np.zeros_like(counts), counts)
    return [PerAxis(0, (*[same(a) for a in range(len(X) - 1)], row))]
