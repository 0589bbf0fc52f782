"""What is made is freed as soon as nobody has it: nothing refers to itself by way of others."""

from __future__ import annotations

import gc
from collections import Counter
from pathlib import Path

import pytest

from rfgraph import Analysis, analyze
from rfgraph.model.graph import forget_kinds

MODELS = Path(__file__).parent.parent / "models"


def asked(name: str) -> Analysis:
    """An analysis that has been asked for everything."""
    analysis = analyze(MODELS / f"{name}.onnx", assume=True)
    for tensor in analysis.tensors[::7]:
        for given in analysis.inputs:
            analysis.field(tensor, given)
    output = analysis.outputs[0]
    analysis.support(output, tuple(n // 2 for n in analysis.extent(output) or ()))
    list(analysis.unequal)
    return analysis


@pytest.mark.parametrize("name", ["resnet50", "unet3d.dynamo", "vit"])
def test_nothing_is_left_to_the_collector(name: str) -> None:
    asked(name)
    gc.collect()
    gc.disable()
    try:
        asked(name)
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = Counter(type(thing).__name__ for thing in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not left


def test_what_is_kept_between_models_does_not_go_in_circles() -> None:
    gc.collect()
    gc.disable()
    try:
        asked("resnet50")
        forget_kinds()
        gc.disable()
        assert not gc.collect()
    finally:
        gc.enable()
