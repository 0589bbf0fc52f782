"""Every backend case of ONNX: what is claimed holds what is seen, and equals it where complete."""

from __future__ import annotations

import pytest

from . import harness

# One test for each of so many parts, and not for each of 1,500 cases.
_PARTS = 40


@pytest.mark.parametrize("part", range(_PARTS))
def test_claims_are_what_is_seen(part: int) -> None:
    cases = list(harness.float_cases().values())[part::_PARTS]
    found = {case.name: harness.fault(case)[1] for case in cases}
    assert not [f"{name}: {wrong}" for name, wrong in found.items() if wrong]


@pytest.mark.parametrize("file", harness.LISTS)
def test_patterns_fit_and_have_one_reason(file: str) -> None:
    assert harness.listed(file)
    others = [set(harness.listed(other)) for other in harness.LISTS if other != file]
    assert not set(harness.listed(file)) & set().union(*others)
