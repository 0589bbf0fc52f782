"""Cases of steps of training (domain ai.onnx.preview.training)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx.parser
from onnx.reference import ReferenceEvaluator

from tests.graphs import single

from ..perturbation import Case, Feeds
from . import cases

_TRAINING = "ai.onnx.preview.training"


def _step(operator: str, kinds: int, **attributes: Any) -> Iterator[Case]:
    """One tensor, and two of different shapes."""
    rng = np.random.default_rng(4)
    for shapes in (((2, 3),), ((3,), (2, 3, 2))):
        for one in ((), (1,)):
            inputs = {"R": np.full(one, 0.5, np.float32), "T": np.full(one, 3)}
            for kind in range(kinds):
                for k, shape in enumerate(shapes):
                    inputs[f"{'XGVH'[kind]}{k}"] = rng.uniform(1, 2, shape).astype(np.float32)
            outputs = (kinds - 1) * len(shapes)
            model, feeds = single(operator, inputs, outputs, domain=_TRAINING, **attributes)
            evaluator = ReferenceEvaluator(model)

            def run(feeds: Feeds, run: Callable[..., Any] = evaluator.run) -> Any:
                return [np.asarray(value, np.float64) for value in run(None, feeds)]

            name = f"{shapes}-{one}-{attributes}"
            yield Case(name, model, feeds, run=run, follow=tuple(inputs), within=(0, 9))


@cases("Adagrad", _TRAINING)
def adagrad() -> Iterator[Case]:
    yield from _step("Adagrad", 3)
    yield from _step("Adagrad", 3, norm_coefficient=0.1, decay_factor=0.2)


@cases("Adam", _TRAINING)
def adam() -> Iterator[Case]:
    yield from _step("Adam", 4)
    yield from _step("Adam", 4, norm_coefficient=0.1, norm_coefficient_post=0.2)


@cases("Momentum", _TRAINING)
def momentum() -> Iterator[Case]:
    for mode in ("standard", "nesterov"):
        for norm in (0.0, 0.1):
            attributes = {"alpha": 0.7, "beta": 0.6, "norm_coefficient": norm, "mode": mode}
            yield from _step("Momentum", 3, **attributes)


@cases("Gradient", _TRAINING)
def gradient() -> Iterator[Case]:
    """Of a product: that with respect to one factor is the other."""
    text = f"""
        <ir_version: 10, opset_import: ["" : 21, "{_TRAINING}" : 1]>
        gradient (float[2, 3] a, float[2, 3] b) => (float[2, 3] c, float[2, 3] da, float[2, 3] db)
        {{
            c = Mul (a, b)
            da, db = {_TRAINING}.Gradient <xs = ["a", "b"], y = "c"> (a, b)
        }}
    """

    def run(feeds: Feeds) -> list[np.ndarray]:
        return [feeds["a"] * feeds["b"], feeds["b"], feeds["a"]]

    rng = np.random.default_rng(4)
    feeds = {name: rng.uniform(1, 2, (2, 3)).astype(np.float32) for name in "ab"}
    reason = "what is differentiated is not looked at"
    yield Case("product", onnx.parser.parse_model(text), feeds, reason, run)
    square = text.replace("float[2, 3] c,", "float c,").replace(
        "c = Mul (a, b)", "p = Mul (a, b) s = ReduceSum<keepdims = 0> (p) c = Mul (s, s)"
    )

    def of_square(feeds: Feeds) -> list[np.ndarray]:
        total = (feeds["a"] * feeds["b"]).sum()
        return [total * total, 2 * total * feeds["b"], 2 * total * feeds["a"]]

    yield Case("square", onnx.parser.parse_model(square), feeds, reason, of_square)
