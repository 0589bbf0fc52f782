"""What is made is freed as soon as nobody has it: nothing refers to itself by way of others.

What does stays until the collector of garbage comes by: in a process that only analyses, never.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx.parser
import pytest

import rfgraph
from rfgraph import Analysis, analyze
from rfgraph.model.graph import forget_kinds

MODELS = Path(__file__).parent.parent / "models"


@contextmanager
def nothing_left() -> Iterator[None]:
    """Fail if something is left to the collector."""
    gc.collect()
    gc.disable()
    try:
        yield
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = Counter(type(thing).__name__ for thing in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not left


def seeing(analysis: Analysis) -> list[tuple[str, str]]:
    """Some values, and the inputs that they see."""
    pairs = [(tensor, name) for tensor in analysis.tensors[::7] for name in analysis.inputs]
    return [(tensor, name) for tensor, name in pairs if analysis.depends(tensor, name)]


def middle(analysis: Analysis, tensor: str) -> tuple[int, ...]:
    return tuple(n // 2 for n in analysis.extent(tensor) or ())


def ends(analysis: Analysis) -> list[tuple[str, str]]:
    """The outputs, and the inputs that they see."""
    pairs = [(output, name) for output in analysis.outputs for name in analysis.inputs]
    return [(output, name) for output, name in pairs if analysis.depends(output, name)]


QUESTIONS: dict[str, Callable[[Analysis], object]] = {
    "fields": lambda a: [a.field(tensor, name) for tensor, name in seeing(a)],
    "supports": lambda a: [a.support(o, middle(a, o), name).mask for o, name in ends(a)],
    "influence": lambda a: [a.influence(name, middle(a, name), o).count for o, name in ends(a)],
    "read": lambda a: [a.read(name).count for name in a.inputs],
    "paths": lambda a: [a.paths(o, middle(a, o), name).total for o, name in ends(a)],
    "branches": lambda a: list(a.unequal),
    "constants": lambda a: a.pruned.pruned,
    "other sizes": lambda a: a.resized({}),
    "graph": lambda a: list(a.graph),
    "checks": lambda a: rfgraph.check(str(a.file), causal=2, halo=4),
}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("name", ["resnet50", "unet3d.dynamo", "vit", "siamese", "tcn"])
def test_nothing_is_left_to_the_collector(name: str, question: str) -> None:
    def ask() -> None:
        QUESTIONS[question](analyze(str(MODELS / f"{name}.onnx"), assume=True))

    ask()
    with nothing_left():
        ask()


def test_sizes_that_do_not_fit_leave_nothing() -> None:
    # The first of the sizes at which open axes are tried don't fit here.
    text = """
        <ir_version: 8, opset_import: ["" : 17]>
        net (float[1, N] x) => (float[A, B] y) <int64[2] s = {3, -1}>
        { a = Reshape (x, s) y = Add (a, a) }
    """
    asked = onnx.parser.parse_model(text).SerializeToString()
    analyze(asked, assume=True)
    with nothing_left():
        assert analyze(asked, assume=True).shape("y") is not None


def test_what_is_kept_between_models_does_not_go_in_circles() -> None:
    with nothing_left():
        QUESTIONS["supports"](analyze(MODELS / "resnet50.onnx", assume=True))
        forget_kinds()
