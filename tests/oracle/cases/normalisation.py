"""Normalisations; scales and biases are inputs too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..perturbation import Case, Feeds, Run
from . import cases
from .common import floats, of, positive

_SHAPES = ((2, 3), (2, 3, 4), (2, 2, 3, 2), (2, 2, 2, 3, 2))


@cases("BatchNormalization")
def batch_normalization() -> Iterator[Case]:
    for shape in _SHAPES:
        channels = shape[1]
        inputs = {
            "X": floats(*shape),
            "scale": floats(channels, seed=1),
            "B": floats(channels, seed=2),
            "input_mean": floats(channels, seed=3),
            "input_var": positive(channels, seed=4),
        }
        for opset in (9, 15):
            name = f"{shape}, version {opset}"
            yield of(name, "BatchNormalization", inputs, opset=opset, within=(0.1, 9))
        for opset, outputs, given in (
            (15, ["Y", "running_mean", "running_var"], {"training_mode": 1}),
            (9, ["Y", "mean", "var", "saved_mean", "saved_var"], {}),
        ):
            yield of(
                f"training on {shape}, version {opset}",
                "BatchNormalization",
                inputs,
                outputs,
                opset=opset,
                run=_training(len(outputs)),
                within=(0.1, 9),
                **given,
            )


def _training(outputs: int) -> Run:
    def run(feeds: Feeds) -> Sequence[np.ndarray]:
        X, scale, B, mean, var = (feeds[n] for n in ("X", "scale", "B", "input_mean", "input_var"))
        axes = tuple(a for a in range(X.ndim) if a != 1)
        batch_mean, batch_var = X.mean(axis=axes), X.var(axis=axes)
        side = (-1, *[1] * (X.ndim - 2))
        normal = (X - batch_mean.reshape(side)) / np.sqrt(batch_var.reshape(side) + 1e-5)
        Y = normal * scale.reshape(side) + B.reshape(side)
        running = 0.9 * mean + 0.1 * batch_mean, 0.9 * var + 0.1 * batch_var
        return [Y, *running, batch_mean, batch_var][:outputs]

    return run


@cases("InstanceNormalization")
def instance_normalization() -> Iterator[Case]:
    for shape in _SHAPES[1:]:
        inputs = {
            "input": floats(*shape),
            "scale": floats(shape[1], seed=1),
            "B": floats(shape[1], seed=2),
        }
        yield of(f"{shape}", "InstanceNormalization", inputs, within=(-9, 9))


_GROUPED = ((2, (2, 4, 3)), (3, (1, 6, 2, 3)), (2, (2, 4, 2, 3, 2)), (3, (2, 3, 2)))


@cases("GroupNormalization")
def group_normalization() -> Iterator[Case]:
    for opset in (18, 21):
        for groups, shape in (
            (2, (2, 4, 3)),
            (3, (1, 6, 2, 3)),
            (2, (2, 4, 2, 3, 2)),
            (3, (2, 3, 2)),
        ):
            count = groups if opset == 18 else shape[1]
            inputs = {
                "X": floats(*shape),
                "scale": floats(count, seed=1),
                "bias": floats(count, seed=2),
            }
            name = f"{groups} of {shape}, version {opset}"
            given = {"opset": opset, "num_groups": groups}
            yield of(
                name, "GroupNormalization", inputs, within=(-9, 9), run=_groups(groups), **given
            )


def _groups(groups: int) -> Run:
    def run(feeds: Feeds) -> Sequence[np.ndarray]:
        X = feeds["X"]
        grouped = X.reshape(X.shape[0], groups, -1)
        mean, var = grouped.mean(axis=2, keepdims=True), grouped.var(axis=2, keepdims=True)
        normal = ((grouped - mean) / np.sqrt(var + 1e-5)).reshape(X.shape)
        side = (-1, *[1] * (X.ndim - 2))
        repeats = X.shape[1] // feeds["scale"].size
        scale, bias = (np.repeat(feeds[n], repeats).reshape(side) for n in ("scale", "bias"))
        return [normal * scale + bias]

    return run


@cases("LayerNormalization")
def layer_normalization() -> Iterator[Case]:
    for shape in _SHAPES:
        for axis in range(len(shape)):
            for side in {shape[axis:], shape[-1:]}:
                inputs = {
                    "X": floats(*shape),
                    "Scale": floats(*side, seed=1),
                    "B": floats(*side, seed=2),
                }
                outputs = ["Y", "Mean", "InvStdDev"]
                name = f"{side} on {shape}, axis {axis}"
                yield of(name, "LayerNormalization", inputs, outputs, axis=axis, within=(-9, 9))
    inputs = {"X": floats(2, 3), "Scale": floats(3, seed=1)}
    yield of("no bias", "LayerNormalization", inputs, opset=17, within=(-9, 9))


@cases("RMSNormalization")
def rms_normalization() -> Iterator[Case]:
    for shape in _SHAPES:
        for axis in (*range(len(shape)), -1):
            inputs = {"X": floats(*shape), "scale": floats(*shape[axis:], seed=1)}
            name = f"{shape}, axis {axis}"
            yield of(name, "RMSNormalization", inputs, opset=23, axis=axis, within=(-9, 9))


@cases("LpNormalization")
def lp_normalization() -> Iterator[Case]:
    for p in (1, 2):
        for shape in _SHAPES:
            for axis in range(len(shape)):
                name = f"{p}, {axis} of {shape}"
                yield of(name, "LpNormalization", {"input": floats(*shape)}, p=p, axis=axis)
        yield of(f"{p}", "LpNormalization", {"input": floats(2, 3)}, p=p, within=(-9, 9))


@cases("MeanVarianceNormalization")
def mean_variance_normalization() -> Iterator[Case]:
    """Of two elements only their order would count."""
    for axes in ([1], [3], [0, 2, 3], [1, 2, 3], [-1, 0]):
        inputs = {"X": floats(2, 3, 2, 3)}
        yield of(f"{axes}", "MeanVarianceNormalization", inputs, axes=axes, within=(-9, 9))
    yield of("no axes", "MeanVarianceNormalization", {"X": floats(2, 2, 3, 2)}, within=(-9, 9))
    for axis in range(5):
        inputs = {"X": floats(*[3 if a == axis else 2 for a in range(5)])}
        name = f"{axis} of 5"
        yield of(name, "MeanVarianceNormalization", inputs, axes=[axis], within=(-9, 9))


@cases("LRN")
def lrn() -> Iterator[Case]:
    """A running sum of runtimes forgets to within rounding only: it is written out here."""
    for size in (1, 2, 3, 4):
        for shape in ((2, 5, 3), (2, 4, 2, 3), (1, 4, 2, 2, 2)):
            name = f"{size} on {shape}"
            yield of(name, "LRN", {"X": floats(*shape)}, run=_windows(size), size=size)


def _windows(size: int) -> Run:
    def run(feeds: Feeds) -> Sequence[np.ndarray]:
        X = feeds["X"]
        sums = np.zeros_like(X)
        for c in range(X.shape[1]):
            first, last = max(c - (size - 1) // 2, 0), c + size // 2
            sums[:, c] = (X[:, first : last + 1] ** 2).sum(axis=1)
        return [X / (1 + 0.1 * sums) ** 0.75]

    return run
