"""Pictures in the terminal."""

from __future__ import annotations

import numpy as np

from rfgraph.engine.products import region_of
from rfgraph.engine.support import Support
from rfgraph.render.picture import picture


def test_a_bar_in_the_terminal() -> None:
    support = Support("x", (1, 9), region_of([np.ones(1, bool), np.arange(9) % 4 == 0], (1, 9)))
    assert picture(support, (1,)) == "axis 1, 0..8 of 0..8\n│█   █   █│"
    assert picture(support, (1,), width=5, blocks=False) == (
        "axis 1, 0..8 of 0..8; 3 elements to a character\n|###|"
    )


def test_a_part_in_the_terminal() -> None:
    side = (np.arange(500) >= 250) & (np.arange(500) < 254)
    support = Support("x", (500, 500), region_of([side, side], (500, 500)))
    assert picture(support, (0, 1)) == (
        "axis 0 down, 249..254 of 0..499; axis 1 across, 249..254 of 0..499\n"
        "┌┄┄┄┄┄┄┐\n"
        "┆ ▄▄▄▄ ┆\n"
        "┆ ████ ┆\n"
        "┆ ▀▀▀▀ ┆\n"
        "└┄┄┄┄┄┄┘"
    )


def test_nothing_in_the_terminal() -> None:
    assert picture(Support("x", (3, 3), ()), (0, 1)) == ""
    assert picture(Support("x", (), ((),)), ()) == ""
