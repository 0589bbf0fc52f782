"""What holds for every test, examples in docstrings included."""

from __future__ import annotations

import pytest

from rfgraph.ops import registry

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transfers that a test registers go with it: tests run in any order."""
    monkeypatch.setattr(registry, "_RULES", registry.registered())
