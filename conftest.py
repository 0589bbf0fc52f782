"""What holds for every test, examples in docstrings included."""

from __future__ import annotations

import pytest

import rfgraph
from rfgraph.ops import registry

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def _examples(doctest_namespace: dict[str, object]) -> None:
    """Examples in docstrings begin where a user has imported what they are about."""
    doctest_namespace["rfgraph"] = rfgraph
    doctest_namespace["analyze"] = rfgraph.analyze


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transfers that a test registers go with it: tests run in any order."""
    monkeypatch.setattr(registry, "_RULES", registry.registered())
