"""How fast rfgraph is, as ratios; see README.md in this folder."""

from __future__ import annotations

import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

import rfgraph

MODELS = Path(__file__).parent.parent / "models"
ROUNDS = 9


def turns(*functions: Callable[[], object], rounds: int = ROUNDS) -> list[float]:
    """Median milliseconds of each function; they take turns, after one turn to warm up."""
    times: list[list[float]] = [[] for _ in functions]
    for turn in range(rounds + 1):
        for taken, function in zip(times, functions, strict=True):
            begin = time.perf_counter()
            function()
            if turn:
                taken.append(1000 * (time.perf_counter() - begin))
    return [median(taken) for taken in times]


def opening() -> None:
    """Analysing a file against opening it."""
    options = ort.SessionOptions()
    options.log_severity_level = 4

    def row(name: str, path: str) -> None:
        def open_session() -> None:
            ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])

        def load_and_infer() -> None:
            onnx.shape_inference.infer_shapes(onnx.load(path))

        nodes = len(onnx.load(path).graph.node)
        analysed, opened, inferred = turns(
            lambda: rfgraph.analyze(path, assume=True), open_session, load_and_infer
        )
        print(
            f"{name:26}{nodes:7}{analysed:10.2f}{opened:10.2f}{inferred:10.2f}"
            f"{analysed / opened:9.2f}{analysed / inferred:9.2f}"
        )

    print(
        f"{'milliseconds':26}{'nodes':>7}{'analyze':>10}{'session':>10}{'infer':>10}"
        f"{'/session':>9}{'/infer':>9}"
    )
    for path in sorted(MODELS.glob("*.onnx")):
        row(path.name, str(path))


def chain_model(nodes: int) -> bytes:
    """A chain of convolutions and activations."""
    made, last = [], "x"
    for k in range(nodes):
        name = f"v{k}"
        if k % 2:
            made.append(helper.make_node("Relu", [last], [name]))
        else:
            made.append(helper.make_node("Conv", [last, "W"], [name], pads=[1, 1]))
        last = name
    return _model(made, last, [1, 4, 64], [4, 4, 3])


def wide_model(side: int, layers: int = 100) -> bytes:
    """A stack of 3x3 convolutions on a square picture."""
    made, last = [], "x"
    for k in range(layers):
        name = f"v{k}"
        strides = [2, 2] if k % 25 == 24 else [1, 1]
        made.append(
            helper.make_node("Conv", [last, "W"], [name], pads=[1, 1, 1, 1], strides=strides)
        )
        last = name
    return _model(made, last, [1, 4, side, side], [4, 4, 3, 3])


def _model(
    nodes: Sequence[onnx.NodeProto], output: str, shape: Sequence[int], weight: Sequence[int]
) -> bytes:
    size = 1
    for n in weight:
        size *= n
    graph = helper.make_graph(
        nodes,
        "benchmark",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [helper.make_tensor("W", TensorProto.FLOAT, weight, [1.0] * size)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    contents: bytes = model.SerializeToString()
    return contents


def weights() -> None:
    """A model of the weights that networks have, which an analysis leaves where they are."""
    rng = np.random.default_rng(0)
    nodes, tensors, last = [], [], "x"
    for k in range(24):
        weight = rng.standard_normal((512, 512, 3, 3), dtype=np.float32)
        tensors.append(numpy_helper.from_array(weight, f"W{k}"))
        nodes.append(helper.make_node("Conv", [last, f"W{k}"], [f"c{k}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"c{k}"], [f"r{k}"]))
        last = f"r{k}"
    graph = helper.make_graph(
        nodes,
        "benchmark",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 512, 56, 56])],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, None)],
        tensors,
    )
    with TemporaryDirectory() as folder:
        path = f"{folder}/heavy.onnx"
        opsets = [helper.make_opsetid("", 17)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
        analysed, opened, inferred = turns(
            lambda: rfgraph.analyze(path),
            lambda: ort.InferenceSession(path, providers=["CPUExecutionProvider"]),
            lambda: onnx.shape_inference.infer_shapes(onnx.load(path)),
            rounds=5,
        )
        size = Path(path).stat().st_size / 1e6
    print(
        f"{size:.0f} MB of weights, milliseconds: analyze {analysed:.2f}, session {opened:.0f}, "
        f"infer {inferred:.0f}"
    )


def chain() -> None:
    """Ten times the nodes."""
    small, large = chain_model(10_000), chain_model(100_000)
    few, many = turns(lambda: rfgraph.analyze(small), lambda: rfgraph.analyze(large), rounds=3)
    peaks = []
    for model in (small, large):
        tracemalloc.start()
        kept = rfgraph.analyze(model)
        peaks.append(tracemalloc.get_traced_memory()[1] / 1e6)
        tracemalloc.stop()
        del kept
    print(f"nodes   10,000: {few:8.0f} ms {peaks[0]:8.0f} MB")
    print(f"nodes  100,000: {many:8.0f} ms {peaks[1]:8.0f} MB")
    print(f"ratio         : {many / few:8.2f}    {peaks[1] / peaks[0]:8.2f}")


def side() -> None:
    """A hundred times the side."""
    small, large = wide_model(1_000), wide_model(100_000)
    near, far = turns(lambda: rfgraph.analyze(small), lambda: rfgraph.analyze(large), rounds=3)
    print(f"side   1,000: {near:8.1f} ms")
    print(f"side 100,000: {far:8.1f} ms")
    print(f"ratio       : {far / near:8.1f}  (sides 100, areas 10,000)")


def main(names: Sequence[str]) -> None:
    benchmarks = {"opening": opening, "weights": weights, "chain": chain, "side": side}
    for name in names or benchmarks:
        print(f"== {name}")
        benchmarks[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
