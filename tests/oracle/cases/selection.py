"""Selecting by comparison, drawing or class."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from onnx import TensorProto

from ..perturbation import Case, Feeds
from . import cases
from .common import positive
from .indexing import parsed, steered

SIZE = "its size depends on the data, and not every one is tried"


@cases("TopK")
def top_k() -> Iterator[Case]:
    kinds = {"y1": TensorProto.INT64}
    for axis, largest in ((-1, 1), (0, 0), (1, 1)):
        given = {"x": positive(3, 4, seed=3), "k": np.array([2])}
        yield steered(
            f"axis {axis}",
            "TopK",
            given,
            2,
            axis=axis,
            largest=largest,
            kinds=kinds,
            opset=11,
            trials=16,
        )
    given = {"x": positive(2, 3, 2, seed=3), "k": np.array([3])}
    yield steered("all of them", "TopK", given, 2, axis=1, kinds=kinds, trials=16)
    yield steered("version 10", "TopK", given, 2, axis=1, kinds=kinds, opset=10, trials=16)
    yield steered(
        "version 1", "TopK", {"x": positive(3, 4, seed=3)}, 2, k=2, kinds=kinds, opset=9, trials=16
    )
    yield steered(
        "computed",
        "TopK",
        {"x": positive(3), "k": np.array([2])},
        2,
        kinds=kinds,
        follow=("x", "k"),
        within=(1, 3),
    )


@cases("NonZero")
def non_zero() -> Iterator[Case]:
    x = np.array([[0, 1, 0], [2, 0, 3]], np.float32)
    yield steered("two axes", "NonZero", {"x": x}, kinds={"y0": TensorProto.INT64})


@cases("Unique")
def unique() -> Iterator[Case]:
    kinds = {f"y{k}": TensorProto.INT64 for k in (1, 2, 3)}
    x = np.array([[2, 1, 2, 4], [1, 1, 3, 2]], np.float32)
    for given in ({"sorted": 1}, {"sorted": 0}, {"axis": 1}, {"axis": 0, "sorted": 0}):
        yield steered(f"{given}", "Unique", {"x": x}, 4, kinds=kinds, incomplete=SIZE, **given)
        # The size of this output alone is known.
        attributes = ", ".join(f"{name} = {value}" for name, value in given.items())
        model = parsed(
            "g (float[2, 4] x) => (int64[N] inverse)",
            f"{{ y, i, inverse = Unique <{attributes}> (x) }}",
        )
        first = "" if given.get("sorted", 1) else "the first is always the first"
        yield Case(f"inverse {given}", model, {"x": x}, first, within=(1, 4), trials=24)


@cases("NonMaxSuppression")
def non_max_suppression() -> Iterator[Case]:
    boxes = np.array([[[0, 0, 1, 1], [0, 0.1, 1, 1.1], [0, 2, 1, 3]]], np.float32)
    given = {
        "boxes": boxes,
        "scores": positive(1, 2, 3),
        "most": np.array([2]),
        "iou": np.array([0.5], np.float32),
    }
    yield steered(
        "boxes",
        "NonMaxSuppression",
        given,
        kinds={"y0": TensorProto.INT64},
        follow=("boxes", "scores"),
        incomplete=SIZE,
    )


@cases("Bernoulli")
def bernoulli() -> Iterator[Case]:
    drawn = positive(3, 4, seed=5)

    def run(feeds: Feeds) -> list[np.ndarray]:
        return [(drawn < feeds["x"]).astype(np.float32)]

    yield steered("two axes", "Bernoulli", {"x": positive(3, 4)}, within=(0, 1), run=run, trials=8)


@cases("Multinomial")
def multinomial() -> Iterator[Case]:
    drawn = np.random.default_rng(0).uniform(0.1, 0.9, (2, 5))

    def run(feeds: Feeds) -> list[np.ndarray]:
        chances = np.exp(feeds["x"].astype(np.float64))
        running = np.cumsum(chances / chances.sum(axis=1, keepdims=True), axis=1)
        found = (running[:, None, :] < drawn[:, :, None]).sum(axis=2)
        return [found.astype(np.int32)]

    yield steered(
        "two rows",
        "Multinomial",
        {"x": positive(2, 3)},
        sample_size=5,
        trials=12,
        within=(-20, 20),
        run=run,
        kinds={"y0": TensorProto.INT32},
    )


@cases("Det")
def det() -> Iterator[Case]:
    for shape in ((3, 3), (2, 2, 2), (2, 1, 2, 2)):
        yield steered(f"{shape}", "Det", {"x": positive(*shape)})


@cases("NegativeLogLikelihoodLoss")
@cases("SoftmaxCrossEntropyLoss")
def losses() -> Iterator[Case]:
    for op_type in ("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"):
        for shape, target in (
            ((3, 4), [2, 0, 3]),
            ((2, 3, 2), [[2, 1], [0, 0]]),
            ((1, 3, 2, 2), [[[1, 0], [1, 2]]]),
        ):
            for reduction in ("none", "sum", "mean"):
                for weighted in (False, True):
                    for ignored in (None, 0):
                        given = {
                            "x": positive(*shape),
                            "target": np.array(target),
                            "weight": positive(shape[1], seed=1) if weighted else None,
                        }
                        log_prob = op_type[0] == "S" and weighted
                        extra = {} if ignored is None else {"ignore_index": ignored}
                        yield steered(
                            f"{op_type} {shape} {reduction} {weighted} {ignored}",
                            op_type,
                            given,
                            2 if log_prob else 1,
                            opset=12 if weighted else 13,
                            within=(-3, 3) if op_type[0] == "S" else (0.1, 5),
                            reduction=reduction,
                            **extra,
                        )
        yield steered(
            f"{op_type} computed",
            op_type,
            {"x": positive(3, 3), "target": np.array([2, 0, 1]), "weight": positive(3, seed=1)},
            follow=("x", "target", "weight"),
            within=(0, 2),
            reduction="none",
        )
