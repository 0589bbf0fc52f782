"""Picking by index or by place: gathers, triangles, one-hot, reversal, compression, cropping."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import parser

from ..perturbation import Case
from . import cases
from .common import of, positive

# What a computed position may be is only ever tried in part.
POSITIONS = "not every position that an index may have is tried"


def steered(
    name: str,
    op_type: str,
    inputs: dict[str, Any],
    outputs: int | Sequence[str] = 1,
    *,
    follow: tuple[str, ...] = (),
    **given: Any,
) -> Case:
    """As `of`; what steers the reads, if it is followed, needs more trials."""
    trials = given.pop("trials", 24 if len(follow) > 1 else 4)
    return of(name, op_type, inputs, outputs, follow=follow, trials=trials, **given)


@cases("Gather")
def gather() -> Iterator[Case]:
    data = positive(3, 4, 2)
    for axis in (0, 1, -1):
        n = data.shape[axis]
        for indices in (
            np.array(n - 1),
            np.array([1, 0, -1, 1]),
            np.array([[0, 1, 0], [1, -2, 1]]),
        ):
            yield steered(
                f"axis {axis}, {indices.shape}", "Gather", {"data": data, "i": indices}, axis=axis
            )
    yield steered(
        "constant indices", "Gather", {"data": data, "i": np.array([2, 0])}, constants=["i"]
    )
    yield steered("version 1", "Gather", {"data": data, "i": np.array([2, 0])}, opset=9)
    yield steered(
        "computed",
        "Gather",
        {"data": positive(2, 2, 2), "i": np.array([1, 0, 1])},
        axis=1,
        follow=("data", "i"),
        within=(0, 1),
    )


@cases("GatherElements")
def gather_elements() -> Iterator[Case]:
    data = positive(3, 4)
    yield steered("rows", "GatherElements", {"data": data, "i": np.array([[2, 0, -1, 1]])})
    yield steered("columns", "GatherElements", {"data": data, "i": np.array([[3], [0]])}, axis=1)
    places = np.random.default_rng(1).integers(-2, 2, (2, 3, 2))
    yield steered("three axes", "GatherElements", {"data": positive(2, 4, 2), "i": places}, axis=-1)
    yield steered(
        "computed",
        "GatherElements",
        {"data": positive(2, 2), "i": np.array([[1, 0], [0, 1], [1, 1]])},
        opset=13,
        follow=("data", "i"),
        within=(0, 1),
    )


@cases("GatherND")
def gather_nd() -> Iterator[Case]:
    data = positive(2, 3, 4)
    yield steered("rows", "GatherND", {"data": data, "i": np.array([[1], [0], [-1]])})
    yield steered("elements", "GatherND", {"data": data, "i": np.array([[1, 2, 3], [0, 0, -1]])})
    yield steered("one", "GatherND", {"data": data, "i": np.array([1, 2])})
    yield steered(
        "batch", "GatherND", {"data": data, "i": np.array([[[2], [0]], [[1], [1]]])}, batch_dims=1
    )
    yield steered(
        "computed",
        "GatherND",
        {"data": positive(2, 2, 2), "i": np.array([[[0, 1]], [[1, 0]]])},
        batch_dims=1,
        follow=("data", "i"),
        within=(0, 1),
    )


@cases("Trilu")
def trilu() -> Iterator[Case]:
    for shape in ((3, 4), (4, 3), (2, 3, 3)):
        for k in (None, -1, 0, 2, 5, -5):
            for upper in (0, 1):
                given = {"x": positive(*shape), "k": None if k is None else np.array(k)}
                yield steered(f"{shape} {k} {upper}", "Trilu", given, upper=upper)
    yield steered(
        "computed",
        "Trilu",
        {"x": positive(3, 3), "k": np.array(0)},
        follow=("x", "k"),
        within=(-3, 3),
        incomplete="not every k is tried",
    )


@cases("OneHot")
def one_hot() -> Iterator[Case]:
    values, depth = np.array([0.5, 2.5], np.float32), np.array([4])
    for axis in (-1, 0, 1):
        indices = np.array([[2, 0, -1], [3, 7, 1]])
        given = {"indices": indices, "depth": depth, "values": values}
        yield steered(f"axis {axis}", "OneHot", given, axis=axis, follow=("values",))
    given = {"indices": np.array([0, 0]), "depth": np.array(1), "values": values}
    yield steered("all on", "OneHot", given, follow=("values",))
    given = {"indices": np.array([1, 0, 2]), "depth": np.array([3]), "values": values}
    yield steered("oldest", "OneHot", given, opset=9, follow=("values",))
    yield steered("computed", "OneHot", given, axis=0, follow=("indices", "values"), within=(0, 2))
    yield steered(
        "computed depth",
        "OneHot",
        given,
        follow=("depth",),
        within=(1, 5),
        incomplete="sizes vary",
    )
    given = {
        "indices": np.array([1, 0, 2], np.float32),
        "depth": np.array([3], np.float32),
        "values": values,
    }
    yield steered("floats", "OneHot", given, follow=("indices",), within=(0, 2.2), trials=12)


@cases("Range")
def range_() -> Iterator[Case]:
    given = {
        name: np.array(v, np.float32) for name, v in (("start", 0), ("limit", 3), ("delta", 1))
    }
    yield steered("computed", "Range", given, within=(1, 4))


@cases("CumProd")
def cum_prod() -> Iterator[Case]:
    for axis in (0, 1, -1):
        for given in ({}, {"exclusive": 1}, {"reverse": 1}, {"exclusive": 1, "reverse": 1}):
            inputs = {"x": positive(2, 3, 4), "axis": np.array(axis)}
            yield steered(f"{axis} {given}", "CumProd", inputs, opset=26, within=(0.5, 2), **given)


@cases("ReverseSequence")
def reverse_sequence() -> Iterator[Case]:
    lengths = np.array([4, 1, 3])
    yield steered("time first", "ReverseSequence", {"x": positive(4, 3, 2), "lens": lengths})
    yield steered(
        "batch first",
        "ReverseSequence",
        {"x": positive(3, 5), "lens": lengths},
        batch_axis=0,
        time_axis=1,
    )
    yield steered(
        "equal lengths", "ReverseSequence", {"x": positive(3, 2), "lens": np.array([2, 2])}
    )
    yield steered(
        "computed",
        "ReverseSequence",
        {"x": positive(3, 3), "lens": np.array([1, 2, 3])},
        follow=("x", "lens"),
        within=(1, 3),
    )


@cases("Compress")
def compress() -> Iterator[Case]:
    x = positive(3, 4)
    yield steered("rows", "Compress", {"x": x, "c": np.array([False, True, True])}, axis=0)
    yield steered("columns", "Compress", {"x": x, "c": np.array([True, False, True])}, axis=-1)
    yield steered("flat", "Compress", {"x": x, "c": np.array([0, 1, 1, 0, 0, 0, 1], bool)})
    yield steered("oldest", "Compress", {"x": x, "c": np.array([True, False])}, axis=0, opset=9)
    yield steered(
        "computed",
        "Compress",
        {"x": positive(3), "c": np.array([True, True, True])},
        follow=("x", "c"),
        incomplete="each element alone is not seen to depend on all",
    )


@cases("CenterCropPad")
def center_crop_pad() -> Iterator[Case]:
    x = positive(4, 5, 3)
    for shape in ((3, 2, 3), (2, 8, 4), (7, 4, 6), (1, 1, 1)):
        yield steered(f"{shape}", "CenterCropPad", {"x": x, "shape": np.array(shape)})
    yield steered("some axes", "CenterCropPad", {"x": x, "shape": np.array([6, 2])}, axes=[-1, 0])


@cases("NonZero")
def held() -> Iterator[Case]:
    """Indices of a mask that is held, too long to be evaluated for its shape alone."""
    model = parsed(
        "g (float[1200, 1] x, bool[1200] mask) => (float[N, 1, 1] y)",
        "{ rows = NonZero (mask) places = Transpose (rows) y = Gather (x, places) }",
    )
    feeds = {"x": positive(1200, 1), "mask": np.arange(1200) % 301 == 7}
    yield Case("a long mask", model, feeds, follow=("x",), trials=1)


def parsed(*nodes: str) -> onnx.ModelProto:
    """A model from its text."""
    return parser.parse_model(f'<ir_version: 10, opset_import: ["": 21]> {" ".join(nodes)}')


@cases("Trilu")
def causal() -> Iterator[Case]:
    """Behind other operators: the triangle joins what its rows and columns see."""
    model = parsed(
        "g (float[4, 1] x, float[1, 4] w) => (float[N, M] y)",
        "{ m = MatMul (x, w) y = Trilu <upper = 0> (m) }",
    )
    yield Case("outer product", model, {"x": positive(4, 1), "w": positive(1, 4, seed=1)})


__all__ = ["POSITIONS", "parsed", "steered"]
