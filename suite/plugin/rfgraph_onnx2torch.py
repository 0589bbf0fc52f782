"""onnx2torch as a runtime of rfgraph: what a model becomes as a module of PyTorch."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx


class Onnx2Torch:
    """onnx2torch; it has no options."""

    def __init__(self, options: Mapping[str, str]) -> None:
        if options:
            raise ValueError("it has no options")

    def version(self) -> str:
        """As of the package."""
        from importlib.metadata import version

        return version("onnx2torch")

    def open(self, path: str) -> _Module:
        """The module that the model becomes."""
        # What torchvision has no operator for it would compile, for minutes.
        os.environ["TORCHDYNAMO_DISABLE"] = "1"
        import torch

        _have_torchvision()
        import onnx2torch

        torch.set_num_threads(1)
        graph = onnx.load(path, load_external_data=False).graph
        held = {tensor.name for tensor in graph.initializer}
        inputs = [value.name for value in graph.input if value.name not in held]
        return _Module(onnx2torch.convert(path).eval(), inputs)


class _Module:
    def __init__(self, module: Any, inputs: list[str]) -> None:
        self._module = module
        self._inputs = inputs

    def run(self, feeds: Mapping[str, np.ndarray]) -> Sequence[Any]:
        import torch

        with torch.no_grad():
            made = self._module(*(torch.from_numpy(feeds[name].copy()) for name in self._inputs))
        several = made if isinstance(made, (list, tuple)) else [made]
        return [one.numpy() for one in several]


# torchvision's operators that it asks for when it is imported.
_OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def _have_torchvision() -> None:
    """Import torchvision, which onnx2torch does.

    PyPI's is built for CUDA. Beside a CPU build of torch its operators can't be loaded, and then
    it can't be imported without them: they are declared, and fail when a model needs them.
    """
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for operator in _OPERATORS:
            library.define(operator)
        _LIBRARIES.append(library)


# A library lives as long as something holds it.
_LIBRARIES: list[Any] = []
