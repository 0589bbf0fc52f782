"""Every case by hand: what is claimed holds what is seen, and equals it where that is complete."""

from __future__ import annotations

import pytest

from .cases import CASES, Builder
from .perturbation import assert_holds


@pytest.mark.parametrize(
    "builder",
    [
        pytest.param(builder, id=f"{domain}.{op}-{builder.__name__}".strip("."))
        for (domain, op), builders in sorted(CASES.items())
        for builder in builders
    ],
)
def test_claims_are_what_is_seen(builder: Builder) -> None:
    for case in builder():
        assert_holds(case)
