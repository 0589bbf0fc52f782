"""MNN as a runtime of rfgraph: an example of writing one.

A runtime has three things: a version, a way to open a file, and what runs it. It is made in a
process of its own, so that it may crash, hang or raise whatever it likes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx


class MNN:
    """MNN; its option is ``precision``: ``high`` (if left out), ``normal`` or ``low``."""

    def __init__(self, options: Mapping[str, str]) -> None:
        given = dict(options)
        self._precision = given.pop("precision", "high")
        if given or self._precision not in ("high", "normal", "low"):
            raise ValueError("its only option is 'precision': high, normal or low")

    def version(self) -> str:
        """As of the package."""
        # Here, not above: what a runtime needs is imported in the process that it has.
        import MNN

        return str(MNN.version())

    def open(self, path: str) -> _Net:
        """The model, converted and loaded.

        Raises
        ------
        RuntimeError
            MNN does not convert it.
        """
        # Not MNN.tools.mnnconvert: to be imported, that one installs packages, and it tells its
        # makers of each model.
        import _tools

        with tempfile.TemporaryDirectory(prefix="rfgraph-mnn-") as folder:
            target = os.path.join(folder, "model.mnn")
            said = ["mnnconvert", "-f", "ONNX", "--modelFile", path, "--MNNModel", target]
            _tools.mnnconvert([*said, "--bizCode", "rfgraph"])
            if not os.path.exists(target):
                raise RuntimeError("MNN does not convert the model")
            return _Net(path, target, self._precision)


class _Net:
    def __init__(self, path: str, target: str, precision: str) -> None:
        import MNN.nn as nn

        graph = onnx.load(path, load_external_data=False).graph
        held = {tensor.name for tensor in graph.initializer}
        self._inputs = [value.name for value in graph.input if value.name not in held]
        outputs = [value.name for value in graph.output]
        # MNN has no other integers than those of 32 bits: what is given back is made what the
        # model says, if it says so.
        kinds = [value.type.tensor_type.elem_type for value in graph.output]
        self._types = [
            onnx.helper.tensor_dtype_to_np_dtype(kind) if kind else None for kind in kinds
        ]
        settings = {"precision": precision, "backend": "CPU", "numThread": 1}
        manager = nn.create_runtime_manager((settings,))
        self._net = nn.load_module_from_file(target, self._inputs, outputs, runtime_manager=manager)
        # Without the file's bytes: a module keeps what it needs of them.
        Path(target).unlink()

    def run(self, feeds: Mapping[str, np.ndarray]) -> Sequence[Any]:
        import MNN.expr as expr

        kinds = {"f": (np.float32, expr.float), "u": (np.uint8, expr.uint8)}
        given = []
        for name in self._inputs:
            array = feeds[name]
            kind, told = kinds.get(array.dtype.kind, (np.int32, expr.int))
            if array.dtype.kind == "u" and array.dtype != np.uint8:
                kind, told = np.int32, expr.int
            given.append(
                expr.const(
                    np.ascontiguousarray(array.astype(kind)), list(array.shape), expr.NCHW, told
                )
            )
        made = self._net.forward(given)
        return [
            np.array(expr.convert(one, expr.NCHW).read(), dtype).reshape(one.shape)
            for one, dtype in zip(made, self._types, strict=True)
        ]
