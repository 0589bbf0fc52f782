"""Sizes and reach, as `rfgraph show` prints them, are those of the bounds away from the borders."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import pytest

import rfgraph
from rfgraph import AxisField

MODELS = sorted((Path(__file__).parents[1] / "models").glob("*.onnx"))

# Inputs of so many axes are this long where the graph allows for it: more than two fields.
LONG = {3: 16384, 4: 1536}

# Of these all fields fit into less, or bounds vary over rows and columns at once.
SHORTER = {"densenet121": 224, "unet_bilinear": 512, "unet_bilinear.dynamo": 512, "unet_tconv": 512}


def enlarged(path: Path) -> rfgraph.Analysis:
    """The analysis of a model at a large size of its inputs, or at its own."""
    model = onnx.load(path, load_external_data=False)
    for given in model.graph.input:
        dims = given.type.tensor_type.shape.dim
        for axis, dim in enumerate(dims):
            if axis > 1 or dim.dim_value > 64:
                dim.dim_value = SHORTER.get(path.stem, LONG.get(len(dims), dim.dim_value))
            elif not dim.dim_value:
                dim.dim_value = 1
    try:
        return rfgraph.analyze(model)
    except rfgraph.RFGraphError:
        return rfgraph.analyze(path, assume=True)


def compare(field: AxisField, lo: np.ndarray, hi: np.ndarray, size: int) -> str:
    """Compare the figures with the bounds along an axis of `size`; what came of it.

    Units count that are as far from both borders as the largest field is long: nearer to them a
    field of dilated windows may be cut off without touching the border.
    """
    moving = [axis for axis in range(lo.ndim) if (np.diff(lo, axis=axis) != 0).any()]
    period = len(field.phases)
    margin = field.size - 1 if isinstance(field.size, int) else 1
    before, behind = (0 if open_ else margin for open_ in (field.is_past, field.is_future))
    inner = (lo <= hi) & (lo >= before) & (hi < size - behind)
    whole = (lo == 0) & (hi == size - 1)
    for axis in moving[-1:]:
        # Of what sees the whole axis, as pooled channels do, there is nothing local.
        if ((inner.sum(axis=axis) < period) & ~whole.all(axis=axis)).any():
            return "too few within the borders"
    widths = (hi - lo + 1)[inner]
    if not widths.size:
        return "too few within the borders"
    if field.is_past or field.is_future:
        assert (lo[inner] == 0).all() if field.is_past else (hi[inner] == size - 1).all()
    else:
        least = 0 if field.smallest == 0 else widths.min()
        assert (field.smallest, field.size) == (least, widths.max())
    if len(moving) != 1 or not field.stride > 0:
        return "size"
    unit = np.arange(lo.shape[moving[0]])
    stride = Fraction(field.stride)
    if abs(len(unit) * stride - size) > 4 * stride + margin:
        # Tokens of a picture, several of which are in a row.
        return "size"
    dims = [-1 if axis == moving[0] else 1 for axis in range(lo.ndim)]
    first = (unit * stride.numerator // stride.denominator).reshape(dims)
    last = (-(-(unit + 1) * stride.numerator // stride.denominator) - 1).reshape(dims)
    if not field.is_past:
        assert field.back == (first - lo)[inner].max()
    if not field.is_future:
        assert field.ahead == (hi - last)[inner].max()
    return "size and reach"


def compared(analysis: rfgraph.Analysis) -> Counter[str]:
    """Compare every value with a closed form."""
    found: Counter[str] = Counter()
    for name in analysis.inputs:
        for axis in analysis.moving_axes(name):
            size = (analysis.shape(name) or ())[axis]
            for tensor in analysis.tensors:
                if not analysis.depends(tensor, name) or size == 1:
                    continue
                field = analysis.field(tensor, name)[axis]
                if field.irregular or field.branches or field.is_global or not field.size:
                    continue
                lo, hi = analysis.bounds(tensor, name, local=True, axis=axis)
                try:
                    found[compare(field, lo, hi, size)] += 1
                except AssertionError as error:
                    raise AssertionError(f"{tensor}, axis {axis}: {field}") from error
    return found


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_models(path: Path) -> None:
    found = compared(enlarged(path))
    assert found["size and reach"]
