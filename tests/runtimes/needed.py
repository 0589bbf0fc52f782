"""What runtimes need that is not installed everywhere."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

_MODULES = {
    "openvino": ("openvino",),
    "mnn": ("rfgraph_mnn", "MNN"),
    "onnx2torch": ("rfgraph_onnx2torch", "onnx2torch"),
}


def need(runtime: str) -> None:
    """Skip the test where a runtime is not installed."""
    # Not imported: what they need is for processes of their own.
    for module in _MODULES.get(runtime, ()):
        if find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
