"""The planted runtime, as if it were installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runtimes.planted import installed


@pytest.fixture(autouse=True)
def _planted(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(installed(tmp_path_factory.mktemp("installed")))
    # The processes of runtimes import what is planted from here.
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
