"""Claims tested in other runtimes."""

from __future__ import annotations

from pathlib import Path

import pytest

from rfgraph.errors import QueryError, RFGraphError
from rfgraph.validation import validate
from tests.agreement.hidden import hidden
from tests.runtimes.conftest import _planted as _planted

MODEL = hidden("transposed", 8)


def test_a_shift_contradicts_claims(tmp_path: Path) -> None:
    found = validate(
        MODEL,
        runtime="planted:fault=shift",
        tensors=["h"],
        samples=3,
        reproductions=tmp_path / "shown",
    )
    assert found.runtime == "planted:fault=shift"
    assert not found.ok
    assert "runtimes.start" in (tmp_path / "shown/violation-0/reproduce.py").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["leak", "half"])
def test_rounding_contradicts_nothing(fault: str) -> None:
    found = validate(MODEL, runtime=f"planted:fault={fault}", samples=3, tensors=["h"])
    assert found.ok
    assert found.total.attained > 0


def test_what_fails_is_told() -> None:
    with pytest.raises(RFGraphError, match="refused: no ConvTranspose here"):
        validate(MODEL, runtime="planted:fault=refuse")
    with pytest.raises(QueryError, match="poison needs onnxruntime"):
        validate(MODEL, runtime="planted", method="poison")
    with pytest.raises(RFGraphError, match="crashed: its process ended") as found:
        validate(MODEL, runtime="planted:fault=crash")
    # Inputs are not what a crash asks for.
    assert found.value.remedy is None
    with pytest.raises(QueryError, match="providers are those of onnxruntime"):
        validate(MODEL, runtime="planted", providers=("OtherProvider",))
