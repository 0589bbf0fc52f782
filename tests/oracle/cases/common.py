"""What several families of cases are made with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.graphs import single

from ..perturbation import Case, Run


def floats(*shape: int, seed: int = 0) -> np.ndarray:
    """Generic numbers: none is zero, none equals another."""
    rng = np.random.default_rng(seed)
    sign = np.where(rng.random(shape) < 0.5, -1, 1)
    return np.asarray(sign * rng.uniform(0.2, 1, shape), np.float32)


def positive(*shape: int, seed: int = 0) -> np.ndarray:
    """Generic positive numbers."""
    return np.abs(floats(*shape, seed=seed))


def of(
    name: str,
    op_type: str,
    inputs: Mapping[str, Any],
    outputs: int | Sequence[str] = 1,
    *,
    incomplete: str = "",
    run: Run | None = None,
    follow: tuple[str, ...] = (),
    within: tuple[float, float] = (-1e3, 1e3),
    trials: int = 4,
    **given: Any,
) -> Case:
    """A case of one node; see `perturbation.single`."""
    model, feeds = single(op_type, inputs, outputs, **given)
    return Case(name, model, feeds, incomplete, run, follow, within, trials)
