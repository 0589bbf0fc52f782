"""Supports equal the elements that have a gradient in PyTorch, at centre, corner and edge."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

import rfgraph

HERE = Path(__file__).parent
MASKS = np.load(HERE / "masks.npz")


@cache
def analysis(model: str) -> rfgraph.Analysis:
    return rfgraph.analyze(HERE / f"{model}.onnx", strict=True)


@pytest.mark.parametrize("name", MASKS.files)
def test_support_is_where_the_gradient_is_not_zero(name: str) -> None:
    model, unit = name.split()
    seen = analysis(model).support("y", tuple(map(int, unit.split(","))))
    packed = np.unpackbits(MASKS[name], count=int(np.prod(seen.shape)))
    assert np.array_equal(seen, packed.astype(bool).reshape(seen.shape))


def test_the_units_are_no_boxes() -> None:
    """Among them are crosses, grids and windows that wrap around."""
    sparse = {
        model: min(
            analysis(model).support("y", tuple(map(int, name.split()[1].split(",")))).density
            for name in MASKS.files
            if name.startswith(model)
        )
        for model in ("inception", "dilated", "swin")
    }
    assert max(sparse.values()) < 0.7, sparse
