"""Operators that move elements without changing them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import numpy as np

from ..perturbation import Case
from . import cases
from .common import floats, of

_RESHAPES = (
    ((2, 3, 4), (6, 4)),
    ((2, 3, 4), (4, 3, 2)),
    ((2, 6), (2, 2, 3)),
    ((2, 3, 2, 2), (0, -1, 2)),
    ((3, 4), (-1,)),
    ((12,), (2, 3, 2)),
    ((2, 2, 3, 2), (2, 3, 2, 2)),
    ((4, 6), (2, 2, 2, 3, 1)),
    ((24,), (2, 2, 3, 2)),
    ((24,), (1, 2, 2, 3, 2)),
    ((48,), (2, 2, 3, 2, 2)),
)


@cases("Reshape")
def reshape() -> Iterator[Case]:
    for shape, target in _RESHAPES:
        inputs = {"data": floats(*shape), "shape": np.array(target)}
        yield of(f"{shape} to {target}", "Reshape", inputs, constants=["shape"])
    inputs = {"data": floats(2, 3), "shape": np.array([3, 2])}
    yield of("held shape", "Reshape", inputs)


@cases("Flatten")
def flatten() -> Iterator[Case]:
    for shape in ((2, 3, 4), (2, 2, 2, 3)):
        for axis in range(-len(shape), len(shape) + 1):
            yield of(f"{axis} of {shape}", "Flatten", {"input": floats(*shape)}, axis=axis)


@cases("Squeeze")
def squeeze() -> Iterator[Case]:
    inputs = {"data": floats(1, 2, 1, 3, 1)}
    for axes in ([0], [2], [-1, 0], [0, 2, 4]):
        given = inputs | {"axes": np.array(axes)}
        yield of(f"{axes}", "Squeeze", given, constants=["axes"])
        yield of(f"{axes}, attribute", "Squeeze", inputs, opset=11, axes=axes)
    yield of("all", "Squeeze", inputs)
    given = {"data": floats(2, 2, 1, 3, 2), "axes": np.array([2])}
    yield of("of five", "Squeeze", given, constants=["axes"])


@cases("Unsqueeze")
def unsqueeze() -> Iterator[Case]:
    inputs = {"data": floats(2, 3)}
    for axes in ([0], [1], [-1, 0], [0, 2, 4]):
        given = inputs | {"axes": np.array(axes)}
        yield of(f"{axes}", "Unsqueeze", given, constants=["axes"])
        yield of(f"{axes}, attribute", "Unsqueeze", inputs, opset=11, axes=axes)
    given = {"data": floats(2, 2, 3, 2), "axes": np.array([1])}
    yield of("of four", "Unsqueeze", given, constants=["axes"])
    yield of("of four, last", "Unsqueeze", given | {"axes": np.array([4])}, constants=["axes"])


@cases("Transpose")
def transpose() -> Iterator[Case]:
    for perm in permutations(range(3)):
        yield of(f"{perm}", "Transpose", {"data": floats(2, 3, 4)}, perm=perm)
    yield of("reversed", "Transpose", {"data": floats(2, 3, 4)})
    yield of("five", "Transpose", {"data": floats(2, 3, 2, 2, 3)}, perm=[3, 0, 4, 2, 1])


@cases("DepthToSpace")
def depth_to_space() -> Iterator[Case]:
    for mode in ("DCR", "CRD"):
        for shape, b in (((2, 8, 2, 3), 2), ((1, 9, 2, 1), 3)):
            inputs = {"input": floats(*shape)}
            yield of(f"{mode}, {b}", "DepthToSpace", inputs, mode=mode, blocksize=b)


@cases("SpaceToDepth")
def space_to_depth() -> Iterator[Case]:
    for shape, b in (((2, 2, 4, 6), 2), ((1, 2, 3, 6), 3)):
        yield of(f"{b}", "SpaceToDepth", {"input": floats(*shape)}, blocksize=b)


@cases("Concat")
def concat() -> Iterator[Case]:
    for rank in (1, 3, 5):
        for axis in range(rank):
            for sizes in ((2, 3, 2), (3, 1)):
                inputs = {}
                for k, size in enumerate(sizes):
                    shape = [size if a == axis else 2 for a in range(rank)]
                    inputs[f"x{k}"] = floats(*shape, seed=k)
                yield of(f"{sizes} along {axis} of {rank}", "Concat", inputs, axis=axis - rank)


@cases("Split")
def split() -> Iterator[Case]:
    for rank in (1, 3, 5):
        for axis in range(rank):
            shape = [7 if a == axis else 2 for a in range(rank)]
            inputs = {"input": floats(*shape), "split": np.array([2, 3, 2])}
            name = f"along {axis} of {rank}"
            yield of(name, "Split", inputs, 3, constants=["split"], axis=axis)
    inputs = {"input": floats(2, 7)}
    yield of("attribute", "Split", inputs, 3, opset=11, axis=1, split=[2, 4, 1])
    yield of("equal", "Split", {"input": floats(6, 2)}, 3, opset=11)
    yield of("number", "Split", inputs, 3, axis=-1, num_outputs=3)


_SLICES = (
    ("from", [1, 0, 0], [9, 9, 9], None, None),
    ("to", [0, 0, 0], [2, 2, -1], None, None),
    ("steps", [0, 1, 0], [9, 9, 9], None, [2, 2, 3]),
    ("back", [-1, 9, 3], [-9, -9, 0], None, [-1, -2, -2]),
    ("axes", [1, -3], [3, 9], [2, 0], None),
    ("one axis back", [9], [-9], [-2], [-1]),
)


@cases("Slice")
def slice_() -> Iterator[Case]:
    for name, starts, ends, axes, steps in _SLICES:
        given = {"starts": starts, "ends": ends, "axes": axes, "steps": steps}
        inputs = {k: np.array(v) if v else None for k, v in given.items()}
        while list(inputs.values())[-1] is None:
            inputs.popitem()
        constants = [k for k, v in inputs.items() if v is not None]
        yield of(name, "Slice", {"data": floats(3, 4, 5), **inputs}, constants=constants)
    inputs = {"data": floats(2, 4, 3)}
    given = {"starts": [1, 0], "ends": [9, -1], "axes": [1, 2]}
    yield of("attributes", "Slice", inputs, opset=9, **given)
    held = {"starts": np.array([1, 1]), "ends": np.array([4, 3])}
    yield of("held", "Slice", inputs | held, opset=10)
    inputs = {"data": floats(2, 3, 3, 3, 3)}
    for axis in range(5):
        held = {"starts": np.array([1]), "ends": np.array([9]), "axes": np.array([axis])}
        yield of(f"{axis} of five", "Slice", inputs | held, constants=list(held))


@cases("Tile")
def tile() -> Iterator[Case]:
    for shape, repeats in (
        ((2, 3), (2, 1)),
        ((2, 3, 2), (1, 2, 3)),
        ((3,), (3,)),
        ((2, 2, 2, 2, 3), (1, 2, 1, 2, 2)),
        ((2, 2, 2, 2, 2), (2, 1, 2, 1, 1)),
    ):
        inputs = {"input": floats(*shape), "repeats": np.array(repeats)}
        yield of(f"{shape} by {repeats}", "Tile", inputs, constants=["repeats"])


@cases("Pad")
def pad() -> Iterator[Case]:
    pads = ([1, 0, 2, 0, 2, 1], [0, -1, 1, 1, 0, -1], [-1, 1, 0, 0, -1, 2])
    for mode in ("constant", "edge", "reflect", "wrap"):
        for amounts in pads:
            inputs = {
                "data": floats(3, 3, 4),
                "pads": np.array(amounts),
                "constant_value": np.array([0.3], np.float32),
            }
            if mode != "constant":
                del inputs["constant_value"]
            yield of(f"{mode} {amounts}", "Pad", inputs, constants=["pads"], mode=mode)
    for mode in ("constant", "edge", "reflect"):
        yield of(
            f"{mode}, attribute",
            "Pad",
            {"data": floats(3, 4)},
            opset=2 + 7,
            mode=mode,
            pads=[0, 2, 1, 1],
        )
    for opset in (18, 21):
        inputs = {
            "data": floats(2, 3, 4),
            "pads": np.array([1, 2, 0, 1]),
            "constant_value": None,
            "axes": np.array([-1, 0]),
        }
        yield of(f"axes, {opset}", "Pad", inputs, opset=opset, constants=["pads", "axes"])
    for mode in ("constant", "edge", "reflect", "wrap"):
        for axis in range(5):
            shape = [4 if a == axis else 2 for a in range(5)]
            amounts = np.zeros((2, 5), np.int64)
            amounts[:, axis] = 2, 1
            inputs = {"data": floats(*shape), "pads": amounts.reshape(-1)}
            if mode == "constant":
                inputs["constant_value"] = np.array([0.3], np.float32)
            yield of(f"{mode}, {axis} of five", "Pad", inputs, constants=["pads"], mode=mode)
