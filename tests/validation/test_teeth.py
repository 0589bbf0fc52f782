"""Errors planted in transfers are found: an operator of each family. `teeth` has all."""

from __future__ import annotations

import pytest

from tests.validation import teeth

# One of every module in `rfgraph.ops`, or several where they are small.
FAMILIES = {
    "attention": ("", "RotaryEmbedding"),
    "control": ("", "If"),
    "convolution": ("", "Conv"),
    "elementwise": ("", "Mul"),
    "indexing": ("", "Gather"),
    "linear": ("", "MatMul"),
    "moving": ("", "Slice"),
    "normalisation": ("", "InstanceNormalization"),
    "pooling": ("", "AveragePool"),
    "quantised": ("", "QLinearConv"),
    "recurrent": ("", "RNN"),
    "reduction": ("", "ReduceMean"),
    "resizing": ("", "Upsample"),
    "scatter": ("", "ScatterElements"),
    "signal": ("", "STFT"),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_planted_errors_are_found(family: str) -> None:
    found = teeth.examine(FAMILIES[family], most=1, cases=3)
    assert found.missed == []
    assert found.wrong == []
    assert found.family == family
    assert sum(found.caught.values()) > 0
