"""Chains of operators that move elements, against the same moves made with sets of elements."""

from __future__ import annotations

import random
from math import prod

import numpy as np
import onnx
import onnx.parser
import pytest

import rfgraph
from tests.graphs import Nodes

SHAPES = [(6, 4, 10), (3, 8, 5), (12, 7), (2, 3, 4, 5), (16, 9), (4, 6, 6), (24,)]


class Moves(Nodes):
    """Nodes in a row, and for each value which elements of the input its own ones see.

    Attributes
    ----------
    seen : dict of str to ndarray of bool
        By value: over its axes and the elements of the input.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape
        self.last = "x"
        self.seen = {"x": np.eye(prod(shape), dtype=bool).reshape(*shape, -1)}

    @property
    def now(self) -> np.ndarray:
        return self.seen[self.last]

    def _put(self, op_type: str, seen: np.ndarray, *lists: list[int], **attributes: object) -> None:
        inputs = [self.last, *[self.last] * (op_type == "Concat"), *map(self.constant, lists)]
        self.last = self.op(op_type, *inputs, **attributes)
        self.seen[self.last] = seen

    def reshape(self, *target: int) -> None:
        self._put("Reshape", self.now.reshape(*target, -1), list(target))

    def transpose(self, *order: int) -> None:
        self._put("Transpose", self.now.transpose(*order, len(order)), perm=order)

    def cut(self, axis: int, begin: int, end: int, step: int = 1) -> None:
        where = (slice(None),) * axis + (slice(begin, end, step),)
        self._put("Slice", self.now[where], [begin], [end], [axis], [step])

    def pad(self, axis: int, before: int, after: int) -> None:
        rank = self.now.ndim - 1
        pads = np.zeros((2, rank + 1), dtype=int)
        pads[:, axis] = before, after
        self._put("Pad", np.pad(self.now, pads.T), pads[:, :rank].ravel().tolist())

    def twice(self, axis: int) -> None:
        self._put("Concat", np.concatenate([self.now] * 2, axis), axis=axis)

    def sum(self, axis: int) -> None:
        self._put("ReduceSum", self.now.any(axis, keepdims=True), [axis])

    def smooth(self) -> None:
        """Neighbours along the last axis."""
        now = np.moveaxis(self.now, -2, 0)
        wide = now.copy()
        wide[1:] |= now[:-1]
        wide[:-1] |= now[1:]
        shape = self.now.shape[:-1]
        self.reshape(prod(shape[:-1]), 1, shape[-1])
        attributes = {"kernel_shape": [3], "pads": [1, 1]}
        self._put("AveragePool", np.moveaxis(wide, 0, -2).reshape(self.now.shape), **attributes)
        self.reshape(*shape)

    def analysis(self) -> rfgraph.Analysis:
        return rfgraph.analyze(self.written({"x": self.shape}, self.last, opset=17))

    def check(self) -> None:
        """Bounds are the hulls of what is seen."""
        analysis = self.analysis()
        places = np.indices(self.shape).reshape(len(self.shape), -1)
        for name, seen in self.seen.items():
            if name == "x":
                continue
            for axis, place in enumerate(places):
                lo, hi = analysis.bounds(name, axis=axis)
                size = self.shape[axis]
                least = np.where(seen, place, size).min(axis=-1)
                most = np.where(seen, place, -1).max(axis=-1)
                assert np.array_equal(np.broadcast_to(lo, least.shape), least), (name, axis)
                assert np.array_equal(np.broadcast_to(hi, most.shape), most), (name, axis)


def _factors(rng: random.Random, n: int) -> list[int]:
    """Some numbers whose product is `n`."""
    found = []
    while n > 1 and rng.random() < 0.8:
        found.append(rng.choice([d for d in range(2, n + 1) if not n % d]))
        n //= found[-1]
    if n > 1 or not found:
        found.append(n)
    rng.shuffle(found)
    return found


@pytest.mark.parametrize("seed", range(150))
def test_random_moves(seed: int) -> None:
    rng = random.Random(seed)
    moves = Moves(rng.choice(SHAPES))
    for _ in range(rng.randint(2, 6)):
        shape = moves.now.shape[:-1]
        axis = rng.randrange(len(shape))
        kind = rng.choice(["reshape"] * 3 + ["transpose", "cut", "pad", "twice", "sum", "smooth"])
        if prod(shape) > 500:
            break
        if kind == "reshape":
            moves.reshape(*_factors(rng, prod(shape)))
        elif kind == "transpose":
            moves.transpose(*rng.sample(range(len(shape)), len(shape)))
        elif kind == "cut" and shape[axis] > 2:
            begin = rng.randrange(shape[axis] - 1)
            moves.cut(axis, begin, rng.randint(begin + 1, shape[axis]), rng.randint(1, 2))
        elif kind == "pad":
            moves.pad(axis, rng.randrange(3), rng.randrange(3))
        elif kind == "twice":
            moves.twice(axis)
        elif kind == "sum":
            moves.sum(axis)
        elif kind == "smooth":
            moves.smooth()
    moves.check()


def test_a_reshape_may_cut_an_axis_where_no_axis_ends() -> None:
    moves = Moves((6, 4, 10))
    moves.reshape(5, 48)
    moves.smooth()
    moves.reshape(16, 15)
    moves.reshape(6, 4, 10)
    moves.check()


def test_a_part_may_itself_be_parts_of_the_same_axis() -> None:
    """Of a concatenation that is padded along another axis in between."""
    moves = Moves((10, 6, 4))
    moves.pad(2, 1, 2)
    moves.pad(1, 1, 1)
    moves.sum(0)
    moves.twice(2)
    moves.pad(1, 0, 2)
    moves.pad(2, 1, 0)
    moves.check()


def test_a_part_of_parts_that_are_read_together() -> None:
    moves = Moves((16, 9))
    moves.sum(0)
    moves.pad(0, 1, 0)
    moves.pad(1, 1, 0)
    moves.pad(0, 1, 0)
    moves.cut(1, 8, 9, 2)
    moves.check()


def test_what_does_not_decide_a_place_is_not_written_out() -> None:
    """Channels put into blocks behind the picture, read as if they were in their old order."""
    analysis = rfgraph.analyze(
        onnx.parser.parse_model("""
            <ir_version: 8, opset_import: ["" : 17]>
            net (float[1, 32, 56, 56] x) => (float[1, 2, 56, 56, 16] y)
            <int64[5] s = {1, 2, 56, 56, 16}> { y = Reshape (x, s) }""")
    )
    sizes = [analysis.bounds("y", axis=axis)[0].size for axis in range(4)]
    # A channel is `(row * 56 + column) // 196` within its half; a column of the picture
    # `(column * 16 + place) % 56`.
    assert sizes == [1, 2 * 56 * 56, 56 * 56 * 16, 56 * 16]
