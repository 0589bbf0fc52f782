"""Models that break the rules end in an answer or in one clear line: a sample of `tests.fuzz`."""

from __future__ import annotations

import sys

import pytest

from tests.fuzz.run import run

# Some ten seconds; by hand there are 100,000 of them.
CASES = 300


@pytest.mark.skipif(sys.platform != "linux", reason="its limit of memory is Linux's")
def test_models_that_break_the_rules() -> None:
    assert run(range(CASES), 14, 1) == {}
