"""How fast rfgraph is, as ratios; see README.md in this folder."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

import rfgraph

MODELS = Path(__file__).parent.parent / "models"
ROUNDS = 9


def turns(
    *functions: Callable[[], object],
    rounds: int = ROUNDS,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Median milliseconds of each function; they take turns, after one turn to warm up."""
    times: list[list[float]] = [[] for _ in functions]
    for turn in range(rounds + 1):
        for taken, function in zip(times, functions, strict=True):
            begin = clock()
            function()
            if turn:
                taken.append(1000 * (clock() - begin))
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


# A process that opens a session with default options but for one thread, and no warnings.
_OPEN = """
import sys
import onnxruntime as ort
options = ort.SessionOptions()
options.intra_op_num_threads = 1
options.log_severity_level = 4
ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
"""


def cold() -> None:
    """A new process that shows a file against one that opens it: processor time of the children."""
    import resource

    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    print(
        f"{'milliseconds of processor':26}{'show':>10}{'session':>10}{'onnx':>10}{'/session':>9}"
        f"{'/onnx':>9}"
    )
    ratios = []
    with TemporaryDirectory() as compiled:
        # Installed, rfgraph is compiled as everything else is: the first turn does that here.
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": compiled}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)

        def run(*arguments: str) -> None:
            command = [sys.executable, *arguments]
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)

        for path in map(str, sorted(MODELS.glob("*.onnx"))):
            shown, opened, imported = turns(
                lambda path=path: run("-m", "rfgraph", "show", path),
                lambda path=path: run("-c", _OPEN, path),
                lambda: run("-c", "import onnx"),
                rounds=3,
                clock=spent,
            )
            ratios.append(shown / opened)
            print(
                f"{Path(path).name:26}{shown:10.0f}{opened:10.0f}{imported:10.0f}"
                f"{shown / opened:9.2f}{shown / imported:9.2f}"
            )
    print(f"median of /session {median(ratios):.2f}, greatest {max(ratios):.2f}")


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
            rounds=3,
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


def peak(function: Callable[[], object]) -> float:
    """Megabytes of Python's and numpy's memory that a call holds at most, beyond what is there."""
    tracemalloc.start()
    function()
    held = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return held


# Channels of VGG-19's convolutions; 0 is a pool.
VGG_19 = (64, 64, 0, 128, 128, 0, *(256,) * 4, 0, *(512,) * 4, 0, *(512,) * 4)


def vgg_19() -> onnx.ModelProto:
    """VGG-19 up to its last convolution, on a picture of 224 x 224, with random weights."""
    rng = np.random.default_rng(0)
    nodes, tensors, last, channels = [], [], "x", 3
    for k, wanted in enumerate(VGG_19):
        if not wanted:
            pool = helper.make_node(
                "MaxPool", [last], [f"p{k}"], kernel_shape=[2, 2], strides=[2, 2]
            )
            nodes.append(pool)
            last = f"p{k}"
            continue
        weight = rng.standard_normal((wanted, channels, 3, 3), dtype=np.float32)
        weight *= np.sqrt(2 / (9 * channels), dtype=np.float32)
        tensors.append(numpy_helper.from_array(weight, f"W{k}"))
        nodes.append(helper.make_node("Conv", [last, f"W{k}"], [f"c{k}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"c{k}"], [f"r{k}"]))
        last, channels = f"r{k}", wanted
    return _whole(nodes, last, [1, 3, 224, 224], tensors, 17)


def _whole(
    nodes: Sequence[onnx.NodeProto],
    output: str,
    shape: Sequence[int],
    tensors: Sequence[onnx.TensorProto],
    opset: int,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "benchmark",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def asker(model: onnx.ModelProto, unit: Sequence[int], *, prune: bool = False) -> Callable[[], Any]:
    """A function that asks for the support of a unit as if for the first time."""
    analysis = rfgraph.analyze(model, prune=prune)
    (output,) = analysis.outputs
    units = itertools.cycle([tuple(unit), (*unit[:-1], unit[-1] - 1)])

    def ask() -> Any:
        # An analysis keeps its last answer.
        return analysis.support(output, next(units))

    return ask


def units() -> None:
    """The support of one unit against other ways to the same mask."""
    model = vgg_19()
    contents = model.SerializeToString()
    session = ort.InferenceSession(contents, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(1).standard_normal((1, 3, 224, 224), dtype=np.float32)
    unit = (0, 0, 7, 7)
    ask = asker(model, unit)
    asked, forward = turns(ask, lambda: session.run(None, {"x": x}), rounds=5)
    support = ask()
    elements = f"{x.size:,} passes, by one that was timed"
    planes = f"{sum(x.shape)} passes: the sides, without holes"
    print(f"VGG-19, a unit of its last convolution, which sees {support.count:,} elements")
    print(f"support          : {asked:12.2f} ms, peak {peak(ask):.2f} MB")
    print(f"one forward pass : {forward:12.2f} ms, 1/{forward / asked:.0f} of it is the support")
    print(f"NaN, by elements : {forward * x.size:12.0f} ms for {elements}")
    print(f"NaN, by planes   : {forward * sum(x.shape):12.0f} ms for {planes}")
    try:
        gradient = gradients(model, unit)
    except ImportError as missing:
        print(f"gradient         : not measured: {missing}")
    else:
        print(f"gradient         : {gradient:12.2f} ms")
    transformers()


def gradients(model: onnx.ModelProto, unit: Sequence[int]) -> float:
    """Milliseconds of a gradient in PyTorch, with positive weights and without activations."""
    import torch

    weights = [torch.rand(*t.dims) for t in model.graph.initializer]
    x = torch.rand(1, 3, 224, 224, requires_grad=True)

    def backward() -> None:
        value, left = x, iter(weights)
        for channels in VGG_19:
            if channels:
                value = torch.nn.functional.conv2d(value, next(left), padding=1)
                value = value / value.max().detach()
            else:
                # A max pool has a gradient for one element only.
                value = torch.nn.functional.avg_pool2d(value, 2)
        torch.autograd.grad(value[tuple(unit)], x)

    return turns(backward, rounds=3)[0]


TOKENS, LAYERS, WIDTH, HEADS, REACH = 4096, 12, 64, 4, 128


def transformer(*, masked: bool = False) -> onnx.ModelProto:
    """Layers of causal attention to the last tokens, by a window or by a constant mask."""
    rng = np.random.default_rng(0)
    tensors = {"ones": np.ones(WIDTH, dtype=np.float32)}
    if masked:
        distance = np.subtract.outer(np.arange(TOKENS), np.arange(TOKENS))
        tensors["mask"] = np.where((distance >= 0) & (distance < REACH), 0, -np.inf)
    nodes: list[onnx.NodeProto] = []

    def op(kind: str, *inputs: str, **attributes: object) -> str:
        nodes.append(helper.make_node(kind, inputs, [f"v{len(nodes)}"], **attributes))
        return f"v{len(nodes) - 1}"

    def linear(x: str, rows: int, columns: int) -> str:
        name = f"W{len(tensors)}"
        tensors[name] = rng.standard_normal((rows, columns)) / np.sqrt(rows)
        return op("MatMul", x, name)

    last = "x"
    for _ in range(LAYERS):
        x = op("LayerNormalization", last, "ones")
        query, key, value = (linear(x, WIDTH, WIDTH) for _ in range(3))
        heads = {"q_num_heads": HEADS, "kv_num_heads": HEADS}
        if masked:
            x = op("Attention", query, key, value, "mask", **heads)
        else:
            window = {"left_window_size": REACH - 1, "is_causal": 1}
            x = op("Attention", query, key, value, **heads, **window)
        last = op("Add", last, linear(x, WIDTH, WIDTH))
        x = op("LayerNormalization", last, "ones")
        x = linear(op("Gelu", linear(x, WIDTH, 4 * WIDTH)), 4 * WIDTH, WIDTH)
        last = op("Add", last, x)
    given = [numpy_helper.from_array(a.astype(np.float32), name) for name, a in tensors.items()]
    return _whole(nodes, last, [1, TOKENS, WIDTH], given, 25)


def transformers() -> None:
    """One unit of a transformer whose layers see a window of tokens."""
    unit = (0, TOKENS - 10, 3)
    expected = LAYERS * (REACH - 1) + 1
    print(f"transformer of {LAYERS} layers, {TOKENS:,} tokens, a window of {REACH}")
    print(f"a token sees     : {expected:9} tokens")
    for label, masked in (("by an attribute", False), ("by a mask", True)):
        ask = asker(transformer(masked=masked), unit, prune=masked)
        (asked,) = turns(ask, rounds=5)
        first, last = ask().box[1]
        assert last - first + 1 == expected
        print(f"{label:17}: {asked:12.2f} ms, peak {peak(ask):.2f} MB")


def checks() -> None:
    """All checks of a model against its analysis."""

    def row(name: str, model: str | bytes) -> None:
        analysed, checked = turns(
            lambda: rfgraph.analyze(model, assume=True),
            lambda: rfgraph.check(model, causal=2, covers=0.5, halo=64),
            rounds=3,
        )
        print(f"{name:26}{analysed:10.1f}{checked:10.1f}{checked / analysed:9.1f}")

    print(f"{'milliseconds':26}{'analyze':>10}{'check':>10}{'ratio':>9}")
    for path in sorted(MODELS.glob("*.onnx")):
        row(path.name, str(path))
    for nodes in (1_000, 10_000):
        row(f"chain of {nodes:,}", chain_model(nodes))
    for length in (1_000, 100_000):
        row(f"picture of {length:,} squared", wide_model(length))


def main(names: Sequence[str]) -> None:
    benchmarks = {"opening": opening, "cold": cold, "weights": weights, "chain": chain}
    benchmarks |= {"side": side, "units": units, "checks": checks}
    for name in names or benchmarks:
        print(f"== {name}")
        benchmarks[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
