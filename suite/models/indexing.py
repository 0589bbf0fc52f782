"""Elements by their indices: gathers, scatters, the largest ones."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from .single import Single, family, floats, ints, live, single


def _places(*shape: int, size: int, seed: int = 5) -> np.ndarray:
    """Indices from either end."""
    return np.random.default_rng(seed).integers(-size, size, shape)


@family("Gather")
def gather() -> Iterator[Single]:
    """Gathers, with indices from either end."""
    for axis, shape in product((0, 1, -1), ((2,), (2, 3), ())):
        yield single("Gather", live(3, 4, 2), _places(*shape, size=2), opset=13, axis=axis)
    for axis in (0, 1, -1, -2):
        shape = [3, 3, 3]
        yield single("GatherElements", live(*shape), _places(2, 3, 2, size=3), opset=13, axis=axis)
    for batch, width in ((0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (2, 1)):
        shape = (*(3, 2)[:batch], 4, width)
        yield single("GatherND", live(3, 2, 4), _places(*shape, size=2), opset=13, batch_dims=batch)


@family("ScatterElements")
def scatter_elements() -> Iterator[Single]:
    """Scatters of elements."""
    for axis, how in product((0, 1, -1), ("none", "add", "mul", "max", "min")):
        # Without a reduction no place may be written twice.
        length = 4 if axis == 0 else 3
        order = np.argsort(np.random.default_rng(3).random((4, 3)), axis=axis)
        places = order[:2] if axis == 0 else order[:, :2]
        places = np.where(
            np.arange(places.size).reshape(places.shape) % 3 == 0, places - length, places
        )
        if how != "none":
            places = np.abs(places) % 2
        yield single(
            "ScatterElements",
            live(4, 3),
            places,
            live(*places.shape),
            opset=18,
            axis=axis,
            **({} if how == "none" else {"reduction": how}),
        )
    yield single("Scatter", live(3, 3), ints(1, 0, 2).reshape(1, 3), live(1, 3), opset=9, axis=0)
    yield single("Scatter", live(3, 3), ints(1, 0, 2).reshape(3, 1), live(3, 1), opset=9, axis=1)


@family("ScatterND")
def scatter_nd() -> Iterator[Single]:
    """Scatters of slices."""
    for how, width in product(("none", "add", "mul", "max", "min"), (1, 2)):
        places = ints(-1, 0).reshape(2, 1) if width == 1 else ints(0, -1, 3, 0).reshape(2, 2)
        if how != "none":
            places = np.repeat(places[:1], 2, axis=0)
        updates = live(2, *(4, 3)[width:])
        yield single(
            "ScatterND",
            live(4, 3),
            places,
            updates,
            opset=18,
            **({} if how == "none" else {"reduction": how}),
        )
    yield single("ScatterND", live(4, 3), ints(2).reshape(1, 1, 1), live(1, 1, 3), opset=13)


@family("TensorScatter")
def tensor_scatter() -> Iterator[Single]:
    """A cache that is written to at places."""
    for mode, axis in product(("linear", "circular"), (-2, 1)):
        at = ints(2, 0) if mode == "linear" else ints(3, 1)
        shapes = ((2, 2, 4, 2), (2, 2, 2, 2)) if axis == -2 else ((2, 4, 3), (2, 2, 3))
        yield single(
            "TensorScatter", live(*shapes[0]), live(*shapes[1]), at, opset=24, mode=mode, axis=axis
        )


@family("CumSum")
def cumsum() -> Iterator[Single]:
    """Running sums."""
    for axis, exclusive, reverse in product((0, 1, -1), (0, 1), (0, 1)):
        yield single(
            "CumSum",
            live(3, 4, 2),
            np.array(axis, np.int64),
            opset=14,
            exclusive=exclusive,
            reverse=reverse,
        )
    for exclusive, reverse in product((0, 1), (0, 1)):
        yield single(
            "CumProd",
            live(2, 4, low=0.5, high=1.5),
            np.array(1, np.int64),
            opset=26,
            exclusive=exclusive,
            reverse=reverse,
        )


@family("TopK")
def top_k() -> Iterator[Single]:
    """The largest and the smallest."""
    # Where they need not be sorted their order is anybody's.
    for axis, largest, k in product((0, 1, -1), (0, 1), (1, 3)):
        yield single(
            "TopK", live(4, 3, 4), ints(k), opset=11, axis=axis, largest=largest, outputs=2
        )
    yield single("TopK", live(3, 4), ints(4), opset=11, outputs=2)
    for kind, axis, keep, last in product(("ArgMax", "ArgMin"), (0, 1, -1), (0, 1), (0, 1)):
        yield single(kind, live(3, 4), opset=13, axis=axis, keepdims=keep, select_last_index=last)


@family("embeddings")
def rotary() -> Iterator[Single]:
    """Rotary embeddings."""
    for interleaved, part in product((0, 1), (0, 4)):
        half = (part or 6) // 2
        angles = floats(5, half, low=0.2)
        places = ints(0, 2, 4, 1, 1, 3).reshape(2, 3)
        yield single(
            "RotaryEmbedding",
            live(2, 2, 3, 6),
            angles,
            floats(5, half, seed=2),
            places,
            opset=23,
            interleaved=interleaved,
            rotary_embedding_dim=part,
        )
        yield single(
            "RotaryEmbedding",
            live(1, 3, 12),
            floats(1, 3, half, low=0.2),
            floats(1, 3, half, seed=2),
            opset=23,
            interleaved=interleaved,
            rotary_embedding_dim=part,
            num_heads=2,
        )
