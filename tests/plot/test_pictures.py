"""Pictures look as they did.

``RFGRAPH_UPDATE_SNAPSHOTS=1 pytest -m "slow or not slow" tests/plot`` draws them anew; look at what
has changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rfgraph.engine.support import Support
from tests.plot.pictures import FOLDER, MASKS, PICTURES, draw

compare = pytest.importorskip("matplotlib.testing.compare")

# Drawn in the quick tests too: one of each number of axes, and a matrix.
QUICK = ("unit_2d", "unit_1d", "unit_3d", "tokens")


def cases(names: Iterable[str]) -> list[Any]:
    slow = pytest.mark.slow
    return [pytest.param(name, marks=() if name in QUICK else slow) for name in names]


# The root of the mean squared difference, of 255. Versions of matplotlib place the edges of
# elements up to a pixel of the screen apart, which makes 11 between 3.9 and 3.11; a mask that moves
# makes 15.
TOLERANCE = 13


@pytest.mark.parametrize("name", cases(PICTURES))
def test_a_picture_looks_as_it_did(name: str, tmp_path: Path) -> None:
    expected = FOLDER / f"{name}.png"
    if os.environ.get("RFGRAPH_UPDATE_SNAPSHOTS") == "1":
        FOLDER.mkdir(exist_ok=True)
        draw(name, expected)
    drawn = tmp_path / f"{name}.png"
    draw(name, drawn)
    assert compare.compare_images(str(expected), str(drawn), TOLERANCE) is None


@pytest.mark.parametrize("name", cases(MASKS))
def test_a_mask_that_moves_by_one_element_is_seen(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the whole picture nothing else moves: boxes and places stay."""
    there = Support.projection

    def moved(self: Support, axes: tuple[int, ...]) -> np.ndarray:
        return np.roll(there(self, axes), 1, axis=-1)

    monkeypatch.setattr(Support, "projection", moved)
    drawn = tmp_path / f"{name}.png"
    draw(name, drawn)
    said = compare.compare_images(str(FOLDER / f"{name}.png"), str(drawn), TOLERANCE)
    assert said is not None
    assert "RMS" in said


def test_pictures_are_small() -> None:
    """And there is none that nothing makes."""
    files = list(FOLDER.iterdir())
    assert {file.stem for file in files} == set(PICTURES)
    assert sum(file.stat().st_size for file in files) < 100_000
