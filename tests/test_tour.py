"""The notebook runs, and shows what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOUR = ROOT / "docs" / "tour.ipynb"


def test_its_outputs_are_not_kept() -> None:
    for cell in json.loads(TOUR.read_bytes())["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


@pytest.mark.slow
def test_it_runs() -> None:
    client = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    tour = pytest.importorskip("nbformat").read(TOUR, as_version=4)
    client.NotebookClient(
        tour, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}
    ).execute()
    shown = [
        set().union(*(output.get("data", {}) for output in cell.outputs))
        for cell in tour.cells
        if cell.cell_type == "code"
    ]
    # Answers are tables and drawings, figures pictures.
    pictures = [k for k, kinds in enumerate(shown) if "image/png" in kinds]
    tables = [k for k, kinds in enumerate(shown) if "text/html" in kinds]
    assert len(pictures) == 2
    assert sorted(pictures + tables) == list(range(len(shown)))
