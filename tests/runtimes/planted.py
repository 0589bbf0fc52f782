"""A runtime with faults that are planted in it, as an installed package has one.

It runs models with onnxruntime, and is asked for as ``planted:fault=NAME``.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rfgraph.runtimes.builtin import OnnxRuntime

METADATA = "Metadata-Version: 2.1\nName: planted-runtime\nVersion: 0.1\n"
ENTRY = "[rfgraph.runtimes]\nplanted = tests.runtimes.planted:Planted\n"


def installed(folder: Path) -> Path:
    """A folder for `sys.path` in which the runtime is as of an installed package."""
    info = folder / "planted_runtime-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(METADATA)
    (info / "entry_points.txt").write_text(ENTRY)
    return folder


class Planted:
    """It crashes, hangs, refuses, answers otherwise, rounds, or sees other elements."""

    def __init__(self, options: Mapping[str, str]) -> None:
        if set(options) - {"fault", "of"}:
            raise ValueError("its options are fault and of")
        self._fault = options.get("fault", "")
        self._of = options.get("of", "ConvTranspose")
        self._runtime = OnnxRuntime({"level": "disable", "threads": "1"})

    def version(self) -> str:
        return "0.1"

    def open(self, path: str) -> Any:
        model = onnx.load(path)
        ours = [node for node in model.graph.node if node.op_type == self._of]
        if self._fault == "refuse" and ours:
            raise RuntimeError(f"no {self._of} here")
        if self._fault == "crash at open" and ours:
            os.kill(os.getpid(), signal.SIGSEGV)
        if self._fault == "half":
            _half(model)
        if self._fault == "merge":
            # What only happens where the node's output goes on, and nobody looks at it.
            shown = {output.name for output in model.graph.output}
            ours = [node for node in ours if node.output[0] not in shown]
            _shifted(model, ours)
        if self._fault == "shift":
            _shifted(model, ours)
        with TemporaryDirectory(prefix="planted-") as folder:
            changed = str(Path(folder, "model.onnx"))
            onnx.save(model, changed)
            return Run(self._runtime.open(changed), self._fault if ours else "")


class Run:
    def __init__(self, opened: Any, fault: str) -> None:
        self._opened = opened
        self._fault = fault

    def run(self, feeds: Mapping[str, np.ndarray]) -> Any:
        outputs = self._opened.run(feeds)
        first = next(iter(feeds.values()))
        if self._fault == "crash":
            print("planted: about to crash", flush=True)
            os.kill(os.getpid(), signal.SIGSEGV)
        if self._fault == "crash at 7" and (np.asarray(first) == 7).any():
            os.kill(os.getpid(), signal.SIGABRT)
        if self._fault == "hang":
            time.sleep(1000)
        if self._fault == "shape":
            return [np.concatenate([a, a], axis=-1) for a in outputs]
        if self._fault == "type":
            return [a.astype(np.float64) for a in outputs]
        if self._fault == "leak":
            # As a transform of a tile would: what is read by nobody moves the rounding of all.
            noise = np.random.default_rng(abs(hash(np.asarray(first).tobytes())))
            return [
                (a * (1 + 2.0**-24 * noise.uniform(-1, 1, a.shape))).astype(a.dtype)
                for a in outputs
            ]
        return outputs


def _half(model: onnx.ModelProto) -> None:
    """Round the outputs of all nodes to half precision."""
    nodes = list(model.graph.node)
    kinds = {v.name: v.type for v in onnx.shape_inference.infer_shapes(model).graph.value_info}
    kinds |= {v.name: v.type for v in model.graph.output}
    del model.graph.node[:]
    for node in nodes:
        added = []
        for k, name in enumerate(node.output):
            if name in kinds and kinds[name].tensor_type.elem_type == TensorProto.FLOAT:
                node.output[k] = f"{name} exact"
                added += [
                    helper.make_node(
                        "Cast", [f"{name} exact"], [f"{name} half"], to=TensorProto.FLOAT16
                    ),
                    helper.make_node("Cast", [f"{name} half"], [name], to=TensorProto.FLOAT),
                ]
        model.graph.node.extend([node, *added])


def _shifted(model: onnx.ModelProto, ours: list[onnx.NodeProto]) -> None:
    """Move the outputs of some nodes by one along the last axis."""
    nodes = list(model.graph.node)
    del model.graph.node[:]
    for name, number in (("zero", 0), ("one", 1), ("last", -1), ("end", 1 << 30)):
        tensor = numpy_helper.from_array(np.array([number], np.int64), f"planted {name}")
        model.graph.initializer.append(tensor)
    for node in nodes:
        added = []
        if node in ours:
            name = node.output[0]
            node.output[0] = f"{name} right"
            slices = ((f"{name} a", "one", "end"), (f"{name} b", "zero", "one"))
            for made, begin, end in slices:
                given = [f"{name} right", f"planted {begin}", f"planted {end}", "planted last"]
                added.append(helper.make_node("Slice", given, [made]))
            parts = [made for made, _, _ in slices]
            added.append(helper.make_node("Concat", parts, [name], axis=-1))
        model.graph.node.extend([node, *added])
