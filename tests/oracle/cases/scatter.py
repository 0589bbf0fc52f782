"""Placing by index: scatters, caches, unpooling, blocks put back into an image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tests.graphs import single

from ..perturbation import Case, Feeds
from . import cases
from .common import positive
from .indexing import POSITIONS, parsed, steered

REDUCTIONS = ("none", "add", "mul", "max", "min")


@cases("Scatter")
def scatter() -> Iterator[Case]:
    given = {"data": positive(3, 4), "i": np.array([[2, 0, 1]]), "updates": positive(1, 3, seed=1)}
    for opset in (9, 10):
        yield steered(f"version {opset}", "Scatter", given, opset=opset)


@cases("ScatterElements")
def scatter_elements() -> Iterator[Case]:
    data = positive(3, 5)
    shapes: Sequence[tuple[int, np.ndarray]] = (
        (0, np.array([[2, 0, 1, -1], [0, 0, 1, 1]])),
        (1, np.array([[4, 0, 4], [1, 1, 1]])),
        (-1, np.array([[1, 3]])),
        (1, np.array([[1, 2], [1, 2], [1, 2]])),
        (1, np.array([[3], [3], [3]])),
        (0, np.array([[1, 1, 1, 1, 1]])),
    )
    for k, (axis, indices) in enumerate(shapes):
        given = {"data": data, "i": indices, "updates": positive(*indices.shape, seed=1)}
        yield steered(f"{k}, none", "ScatterElements", given, axis=axis, opset=11 + k % 3)
        for reduction in REDUCTIONS[1:]:
            yield steered(
                f"{k}, {reduction}",
                "ScatterElements",
                given,
                axis=axis,
                opset=18,
                reduction=reduction,
                within=(-2, 2),
            )
    indices = np.random.default_rng(2).integers(-3, 3, (2, 4, 2))
    for axis in range(3):
        given = {"data": positive(3, 4, 3), "i": indices, "updates": positive(2, 4, 2, seed=1)}
        yield steered(f"three axes, {axis}", "ScatterElements", given, axis=axis)
        yield steered(
            f"three axes, {axis}, add", "ScatterElements", given, axis=axis, reduction="add"
        )
    yield steered(
        "computed",
        "ScatterElements",
        {"data": positive(2, 2), "i": np.array([[1, 0]]), "updates": positive(1, 2, seed=1)},
        follow=("data", "i", "updates"),
        within=(0, 1),
    )
    yield steered(
        "computed, three axes",
        "ScatterElements",
        {
            "data": positive(2, 2, 2),
            "i": np.array([[[1, 0], [0, 1]]]),
            "updates": positive(1, 2, 2, seed=1),
        },
        axis=1,
        reduction="add",
        follow=("data", "i", "updates"),
        within=(0, 1),
    )


@cases("ScatterElements")
def scattered_apart() -> Iterator[Case]:
    """What lands on one place is apart in the updates, and what lies between comes from afar."""
    model = parsed(
        "g (float[3] data, float[9] x) => (float[N] y)",
        "{ order = Constant <value_ints = [5, 4, 2, 8, 0, 1, 3, 6, 7]> ()",
        "indices = Constant <value_ints = [0, 2, 1, 2, 0, 2, 1, 0, 2]> ()",
        "updates = Gather (x, order)",
        'y = ScatterElements <reduction = "add"> (data, indices, updates) }',
    )
    yield Case("shuffled", model, {"data": positive(3), "x": positive(9, seed=1)}, within=(-2, 2))


def _grid(*axes: Sequence[int]) -> np.ndarray:
    """Indices of every place of a grid, as exporters write an assignment to a slice."""
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


@cases("ScatterND")
def scatter_nd() -> Iterator[Case]:
    data = positive(3, 4, 2)
    listed = {
        "rows": np.array([[2], [0]]),
        "rows twice": np.array([[2], [0], [2], [-1]]),
        "one row": np.array([1]),
        "places": np.array([[2, 1], [0, 3], [2, 1], [0, -1]]),
        "one place": np.array([[1, 2, 0]]),
        "elements": np.random.default_rng(0).integers(0, 2, (3, 3, 3)),
        "slice": _grid(range(3), [1, 2], range(2)),
        "slice of slices": _grid([0, 2], [1, 3]),
        "steps": _grid(range(3), [0, 2]),
        "samples": np.stack([np.arange(3)[:, None] + [[0, 0]], [[1, 2], [0, 3], [3, 3]]], axis=-1),
        "crossed": np.moveaxis(_grid([2, 0, 1], [3, 1]), 0, 1),
        "nothing": np.zeros((0, 1), np.int64),
    }
    for name, indices in listed.items():
        indices = indices.astype(np.int64)
        updates = positive(*indices.shape[:-1], *data.shape[indices.shape[-1] :], seed=1)
        given = {"data": data, "i": indices, "updates": updates}
        yield steered(name, "ScatterND", given)
        for reduction in ("add", "max", "mul", "min")[: 2 if indices.size > 8 else 4]:
            yield steered(
                f"{name}, {reduction}",
                "ScatterND",
                given,
                reduction=reduction,
                opset=18,
                within=(-2, 2),
            )
    rows = {"data": data, "i": np.array([[2], [0]]), "updates": positive(2, 4, 2, seed=1)}
    for opset in (11, 13, 16):
        yield steered(f"version {opset}", "ScatterND", rows, opset=opset)
    for name, indices in (("rows", [[1], [0]]), ("places", [[1, 1], [0, 1]])):
        places = np.array(indices)
        yield steered(
            f"computed {name}",
            "ScatterND",
            {
                "data": positive(2, 2, 2),
                "i": places,
                "updates": positive(2, *(2, 2)[places.shape[1] - 1 :], seed=1),
            },
            follow=("data", "i", "updates"),
            within=(0, 1),
            incomplete=POSITIONS,
        )


def _tensor_scatter(mode: str, axis: int) -> Any:
    def run(feeds: Feeds) -> list[np.ndarray]:
        made = feeds["past"].copy()
        update = feeds["update"]
        begins = feeds.get("at", np.zeros(len(made), np.int64))
        at = axis % made.ndim
        for place in np.ndindex(update.shape):
            target = list(place)
            target[at] += int(begins[place[0]])
            if mode == "circular":
                target[at] %= made.shape[at]
            made[tuple(target)] = update[place]
        return [made]

    return run


@cases("TensorScatter")
def tensor_scatter() -> Iterator[Case]:
    for axis, cache, update in (
        (-2, (2, 5, 2), (2, 2, 2)),
        (1, (3, 4), (3, 3)),
        (2, (2, 1, 4), (2, 1, 1)),
    ):
        for mode in ("linear", "circular"):
            begins = (
                np.array([1, 0, 1])[: cache[0]]
                if mode == "linear"
                else np.array([3, 1, 2])[: cache[0]]
            )
            for at in (None, begins):
                given = {"past": positive(*cache), "update": positive(*update, seed=1), "at": at}
                yield steered(
                    f"{axis} {mode} {at}",
                    "TensorScatter",
                    given,
                    opset=24,
                    run=_tensor_scatter(mode, axis),
                    axis=axis,
                    mode=mode,
                )
    for mode, n, begins in (
        ("linear", 3, [1, 0, 1]),
        ("linear", 4, [1, 0, 2]),
        ("circular", 3, [1, 0, 2]),
        ("circular", 2, [1, 0, 1]),
    ):
        at = np.array(begins)
        yield steered(
            f"computed {mode} {n}",
            "TensorScatter",
            {"past": positive(3, n), "update": positive(3, 2, seed=1), "at": at},
            opset=24,
            run=_tensor_scatter(mode, 1),
            follow=("past", "update", "at"),
            within=(0, max(begins)),
            axis=1,
            mode=mode,
        )


@cases("MaxUnpool")
def max_unpool() -> Iterator[Case]:
    def given(x: tuple[int, ...], indices: Any) -> dict[str, np.ndarray]:
        return {"x": positive(*x), "i": np.array(indices, np.int64).reshape(x)}

    yield steered(
        "one axis", "MaxUnpool", given((1, 2, 2), [1, 2, 4, 7]), kernel_shape=[2], strides=[2]
    )
    two = given((1, 2, 2, 2), [1, 2, 9, 11, 17, 18, 24, 27])
    yield steered("two axes", "MaxUnpool", two, kernel_shape=[2, 2], strides=[2, 2])
    apart = given((2, 1, 2, 2), [0, 3, 6, 9, 13, 14, 19, 22])
    yield steered("unequal", "MaxUnpool", apart, kernel_shape=[2, 3], strides=[1, 1], opset=9)
    padded = given((1, 1, 2, 2), [0, 2, 5, 8])
    yield steered(
        "padded", "MaxUnpool", padded, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]
    )
    three = given((1, 1, 1, 2, 1), [3, 6])
    yield steered("three axes", "MaxUnpool", three, kernel_shape=[2, 2, 2], strides=[2, 2, 2])

    def run(feeds: Feeds) -> list[np.ndarray]:
        # The indices count in what was pooled; onnxruntime counts in `output_shape`.
        made = np.zeros(16, np.float32)
        made[feeds["i"].reshape(-1)] = feeds["x"].reshape(-1)
        return [np.pad(made.reshape(1, 1, 4, 4), ((0, 0), (0, 0), (0, 1), (0, 2)))]

    larger = {**given((1, 1, 2, 2), [5, 7, 13, 15]), "shape": np.array([1, 1, 5, 6])}
    yield steered("larger", "MaxUnpool", larger, kernel_shape=[2, 2], strides=[2, 2], run=run)
    yield steered(
        "computed",
        "MaxUnpool",
        given((1, 2, 1), [0, 3]),
        kernel_shape=[2],
        strides=[2],
        follow=("x", "i"),
        within=(0, 3),
        incomplete=POSITIONS,
    )


def _col2im(feeds: Feeds, given: dict[str, Any]) -> np.ndarray:
    image, block = feeds["image"], feeds["block"]
    rank = len(image)
    strides = given.get("strides", [1] * rank)
    dilations = given.get("dilations", [1] * rank)
    pads = given.get("pads", [0] * 2 * rank)
    counts = [
        (image[a] + pads[a] + pads[a + rank] - (block[a] - 1) * dilations[a] - 1) // strides[a] + 1
        for a in range(rank)
    ]
    N, channels = feeds["x"].shape[:2]
    x = feeds["x"].reshape(N, channels // int(np.prod(block)), *block, *counts)
    made = np.zeros((N, x.shape[1], *image), x.dtype)
    for k in np.ndindex(*block):
        for place in np.ndindex(*counts):
            o = [place[a] * strides[a] + k[a] * dilations[a] - pads[a] for a in range(rank)]
            if all(0 <= o[a] < image[a] for a in range(rank)):
                made[(slice(None), slice(None), *o)] += x[(slice(None), slice(None), *k, *place)]
    return made


@cases("Col2Im")
def col2im() -> Iterator[Case]:
    for image, block, channels, given in (
        ((5,), (2,), 2, {}),
        ((6,), (3,), 1, {"strides": [2], "pads": [1, 2]}),
        ((7,), (2,), 1, {"dilations": [3], "strides": [2]}),
        ((4, 5), (2, 3), 1, {}),
        ((4, 5), (1, 2), 2, {"strides": [2, 1], "pads": [0, 1, 1, 0], "dilations": [1, 2]}),
        ((5, 4), (2, 2), 1, {"strides": [3, 2]}),
        ((2, 3, 2), (1, 2, 2), 1, {}),
    ):
        rank = len(image)
        strides, dilations = given.get("strides", [1] * rank), given.get("dilations", [1] * rank)
        pads = given.get("pads", [0] * 2 * rank)
        total = 1
        for a in range(rank):
            reach = (block[a] - 1) * dilations[a] + 1
            total *= (image[a] + pads[a] + pads[a + rank] - reach) // strides[a] + 1
        x = positive(1, channels * int(np.prod(block)), total)
        model, feeds = single(
            "Col2Im",
            {"x": x, "image": np.array(image), "block": np.array(block)},
            opset=18,
            **given,
        )

        def run(feeds: Feeds, given: dict[str, Any] = given) -> list[np.ndarray]:
            return [_col2im(feeds, given)]

        yield Case(f"{image} {block} {given}", model, feeds, run=run)
