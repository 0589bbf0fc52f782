"""How fast rfgraph is, as ratios; see README.md in this folder."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

import networks
import numpy as np
import onnx
import onnxruntime as ort
from measure import alone, children, load_and_infer, start, traced, turns

import rfgraph
import rfgraph.streaming
from rfgraph.analysis.entry import forget

MODELS = Path(__file__).parent.parent / "models"

# What a part found: the measure, what it is, and what it is to be.
Found = list[tuple[str, str, str]]


def row(name: str, *numbers: float | str) -> None:
    """Print a line of a table."""
    cells = (f"{n:,.{2 if n < 100 else 0}f}" if isinstance(n, float) else str(n) for n in numbers)
    print(f"{name:32}" + "".join(f"{cell:>12}" for cell in cells), flush=True)


def rows(
    paths: Sequence[Path], measured: Callable[[str], Sequence[float]]
) -> Iterator[tuple[float, ...]]:
    """Print what is measured of each file; what can't be measured is told and left out."""
    for path in paths:
        try:
            numbers = tuple(measured(str(path)))
        except Exception as error:
            # Further models may be beyond one of the alternatives.
            print(f"{path.name:32}left out: {str(error).splitlines()[0]}")
            continue
        row(path.name, *numbers)
        yield numbers


def within(
    ratios: Iterable[float], *, half: float | None = None, all: float | None = None
) -> tuple[str, str]:
    """The median and the greatest of some ratios, and what they are to be."""
    ratios = list(ratios)
    if not ratios:
        return "not measured", ""
    texts, wanted = [f"median {median(ratios):.2f}", f"worst {max(ratios):.2f}"], []
    if half is not None:
        wanted.append(f"median <= {half}")
    if all is not None:
        count = sum(ratio <= all for ratio in ratios)
        texts.append(f"{count} of {len(ratios)} within {all}")
        wanted.append(f"every one <= {all}")
    return ", ".join(texts), ", ".join(wanted)


# ---------------------------------------------------------------- what is to be reached


RATIOS = ["/infer", "/session"]


def opening(paths: Sequence[Path]) -> Found:
    """Analysing a file against opening it."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4

    def measured(path: str) -> Sequence[float]:
        def first() -> None:
            forget()
            rfgraph.analyze(path, assume=True)

        analysed, anew, inferred, opened = turns(
            lambda: rfgraph.analyze(path, assume=True),
            first,
            lambda: load_and_infer(path),
            lambda: ort.InferenceSession(path, options, providers=["CPUExecutionProvider"]),
        )
        nodes = len(onnx.load(path, load_external_data=False).graph.node)
        ratios = analysed / inferred, analysed / opened, anew / inferred, anew / opened
        return nodes, analysed, anew, inferred, opened, *ratios

    row("milliseconds", "nodes", "analyze", "anew", "infer", "session", *(2 * RATIOS))
    found = list(rows(paths, measured))
    return [
        ("analyze : load + infer_shapes", *within((f[5] for f in found), half=1, all=3)),
        ("analyze : session", *within((f[6] for f in found), half=0.25, all=1)),
        ("the same, nothing kept", *within((f[7] for f in found), half=1, all=3)),
        ("the same, nothing kept, : session", *within((f[8] for f in found), half=0.25, all=1)),
    ]


def fields(paths: Sequence[Path]) -> Found:
    """The closed forms of all values, along all axes of all inputs, against the analysis."""
    analysis: rfgraph.Analysis

    def measured(path: str) -> Sequence[float]:
        def analyse() -> None:
            nonlocal analysis
            analysis = rfgraph.analyze(path, assume=True)

        def ask() -> None:
            for tensor, name in itertools.product(analysis.tensors, analysis.inputs):
                analysis.field(tensor, name)

        analysed, asked = turns(analyse, ask, rounds=5)
        return len(analysis.tensors), analysed, asked, asked / analysed

    row("milliseconds", "values", "analyze", "fields", "ratio")
    found = list(rows(paths, measured))
    return [("closed form of everything : analyze", *within((f[3] for f in found), all=0.5))]


def checks(paths: Sequence[Path]) -> Found:
    """The checks of a model as they are, and with all that has to be asked for, against its
    analysis.
    """

    def measured(model: str | bytes) -> Sequence[float]:
        analysed, checked, every = turns(
            lambda: rfgraph.analyze(model, assume=True),
            lambda: rfgraph.check(model),
            lambda: rfgraph.check(model, causal=2, covers=0.5, halo=64),
            rounds=9,
        )
        return analysed, checked, every, checked / analysed, every / analysed

    row("milliseconds", "analyze", "check", "every", "ratio", "every")
    found = list(rows(paths, measured))
    for nodes in (1_000, 10_000):
        model = networks.chain(nodes).SerializeToString()
        row(f"chain of {nodes:,}", *measured(model))
    for side in (1_000, 100_000):
        model = networks.picture(side).SerializeToString()
        row(f"picture of {side:,} squared", *measured(model))
    return [
        ("check : analyze", *within((f[3] for f in found), all=3)),
        ("the same, causality and limits too", *within((f[4] for f in found), all=3)),
    ]


# A process that opens a session with default options but for one thread, and no warnings.
_OPEN = """
import sys
import onnxruntime as ort
options = ort.SessionOptions()
options.intra_op_num_threads = 1
options.log_severity_level = 4
ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
"""


def cold(paths: Sequence[Path]) -> Found:
    """A new process that shows a file against one that opens it: processor time of the children."""
    with TemporaryDirectory() as compiled:
        # Installed, rfgraph is compiled as everything else is: the first turns do that here.
        environment = {"PYTHONPYCACHEPREFIX": compiled, "PYTHONDONTWRITEBYTECODE": ""}

        def measured(path: str) -> Sequence[float]:
            shown, opened = turns(
                lambda: start("-m", "rfgraph", "show", path, environment=environment),
                lambda: start("-c", _OPEN, path, environment=environment),
                rounds=2,
                clock=children,
            )
            return shown, opened, shown / opened

        (imported,) = turns(
            lambda: start("-c", "import onnx", environment=environment), rounds=2, clock=children
        )
        print(f"import onnx, which an analysis needs: {imported:.0f} ms")
        row("milliseconds", "show", "session", "ratio")
        found = list(rows(paths, measured))
    return [("cold show : cold session", *within((f[2] for f in found), half=1.3))]


def chain() -> Found:
    """Ten times the nodes, against reading them; memory in a fresh process."""
    row("", "analyze ms", "infer ms", "ratio", "B/node held", "at most")
    for nodes in (10_000, 100_000):
        with TemporaryDirectory() as folder:
            path = saved(networks.chain(nodes), folder)
            analysed, inferred = turns(
                partial(rfgraph.analyze, path), partial(load_and_infer, path), rounds=4
            )
            cost = alone("analyze", path)
        ratio, held, peak = analysed / inferred, cost.held / nodes, cost.peak / nodes
        row(f"{nodes:,} nodes", analysed, inferred, ratio, held, peak)
    return [
        ("chain of 100,000 : load + infer_shapes", f"{ratio:.2f}", "<= 0.6"),
        ("bytes a node", f"{held:,.0f} held, {peak:,.0f} at most", "<= 1,500"),
    ]


def branches() -> Found:
    """The support of one unit of many branches: the first question to a fresh analysis."""
    analysis: rfgraph.Analysis
    model = networks.branches(20_000).SerializeToString()

    def analyse() -> None:
        nonlocal analysis
        analysis = rfgraph.analyze(model)

    def ask() -> rfgraph.engine.support.Support:
        return analysis.support(analysis.outputs[0], (0, 0, 64, 64))

    analysed, asked = turns(analyse, ask, rounds=3)
    row("milliseconds", "analyze", "support")
    row("20,000 nodes", analysed, asked)
    return [("one unit's support on 20,000 branching nodes", f"{asked:.1f} ms", "<= 20 ms")]


def large() -> Found:
    """What is large in one respect, in fresh processes: time, and memory beyond the file."""
    width, heads, tokens = 64, 4, 32_768
    grouped = networks.grouped_attention(tokens, width, heads, 128)
    causal = networks.plain_attention(4096, width, heads, np.tri(4096, dtype=bool))
    made: dict[str, Callable[[], onnx.ModelProto]] = {
        "1,000 concatenations": lambda: networks.concatenations(1_000),
        "WaveNet, 1,600,000 samples": lambda: networks.wavenet(1_600_000),
        "Swin, 1,024 x 1,024, window 7": lambda: networks.swin(1_024, 7),
        "grouped attention, 32,768 tokens": lambda: networks.transformer(
            tokens, 12, width, grouped
        ),
        "causal mask, 4,096 x 4,096": lambda: networks.transformer(4096, 12, width, causal),
    }
    row("", "nodes", "file MB", "analyze ms", "infer ms", "ratio", "MB held", "at most")
    found = []
    for name, make in made.items():
        with TemporaryDirectory() as folder:
            model = make()
            path = saved(model, folder)
            ways = "analyze-pruned" if "mask" in name else "analyze", "load-and-infer"
            costs = [[alone(way, path) for way in ways] for _ in range(2)]
            size = Path(path).stat().st_size
        analysed, inferred = (min(c.time for c in column) for column in zip(*costs, strict=True))
        held, peak = (max(getattr(c, m) for c, _ in costs) - size for m in ("held", "peak"))
        sizes = len(model.graph.node), size / 1e6
        times = analysed, inferred, analysed / inferred
        row(name, *sizes, *times, held / 1e6, peak / 1e6)
        most = max(1000, 3 * inferred)
        is_within = analysed <= most and peak <= 200e6
        text = f"{analysed:,.0f} ms of {most:,.0f}, {peak / 1e6:,.0f} MB beyond the file"
        wanted = "<= 3 x load + infer or 1 s, <= 200 MB: " + ("yes" if is_within else "no")
        found.append((name, text, wanted))
    return found


# ---------------------------------------------------------------- further parts


def weights() -> None:
    """A model of the weights that networks have, which an analysis leaves where they are."""
    with TemporaryDirectory() as folder:
        path = saved(networks.heavy(), folder)
        analysed, opened, inferred = turns(
            lambda: rfgraph.analyze(path),
            lambda: ort.InferenceSession(path, providers=["CPUExecutionProvider"]),
            lambda: load_and_infer(path),
            rounds=3,
        )
        size = Path(path).stat().st_size / 1e6
    row("milliseconds", "analyze", "infer", "session")
    row(f"{size:.0f} MB of weights", analysed, inferred, opened)


def side() -> None:
    """Larger pictures: convolutions that slide over them, and windows that do not fit in."""
    made: list[tuple[str, Callable[[int], onnx.ModelProto], int, int]] = [
        ("convolutions", networks.picture, 1_000, 100_000),
        ("Swin, window 7", lambda side: networks.swin(side, 7), 512, 2_048),
    ]
    row("milliseconds", "side", "analyze", "side", "analyze", "ratio")
    for name, make, small, large in made:
        models = [make(side).SerializeToString() for side in (small, large)]
        near, far = turns(*(partial(rfgraph.analyze, model) for model in models), rounds=2)
        row(name, f"{small:,}", near, f"{large:,}", far, far / near)


def tiles(size: int) -> Found:
    """An image in zarr in tiles on a dask cluster, and other ways to tile."""
    import tiles as part

    return part.measured(size, row)


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
    model = networks.vgg_19()
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    contents = model.SerializeToString()
    session = ort.InferenceSession(contents, options, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(1).standard_normal((1, 3, 224, 224), dtype=np.float32)
    unit = (0, 0, 7, 7)
    ask = asker(model, unit)
    asked, forward = turns(ask, lambda: session.run(None, {"x": x}), rounds=5)
    support = ask()
    elements = f"{x.size:,} passes, by one that was timed"
    planes = f"{sum(x.shape)} passes: the sides, without holes"
    print(f"VGG-19, a unit of its last convolution, which sees {support.count:,} elements")
    print(f"support          : {asked:12.2f} ms, peak {traced(ask):.2f} MB")
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

    torch.set_num_threads(1)
    weights = [torch.rand(*t.dims) for t in model.graph.initializer]
    x = torch.rand(1, 3, 224, 224, requires_grad=True)

    def backward() -> None:
        value, left = x, iter(weights)
        for channels in networks.VGG_19:
            if channels:
                value = torch.nn.functional.conv2d(value, next(left), padding=1)
                value = value / value.max().detach()
            else:
                # A max pool has a gradient for one element only.
                value = torch.nn.functional.avg_pool2d(value, 2)
        torch.autograd.grad(value[tuple(unit)], x)

    return turns(backward, rounds=3)[0]


def transformers() -> None:
    """One unit of a transformer whose layers see a window of tokens."""
    tokens, layers, width, heads, reach = 4096, 12, 64, 4, 128
    unit = (0, tokens - 10, 3)
    expected = layers * (reach - 1) + 1
    print(f"transformer of {layers} layers, {tokens:,} tokens, a window of {reach}")
    print(f"a token sees     : {expected:9} tokens")
    distance = np.subtract.outer(np.arange(tokens), np.arange(tokens))
    allowed = (distance >= 0) & (distance < reach)
    ways = {
        "by an attribute": networks.operator_attention(width, heads, reach),
        "by a mask": networks.operator_attention(width, heads, reach, allowed),
        "by a sum": networks.plain_attention(tokens, width, heads, allowed),
    }
    for label, attention in ways.items():
        model = networks.transformer(tokens, layers, width, attention, opset=25)
        ask = asker(model, unit, prune=label != "by an attribute")
        (asked,) = turns(ask, rounds=5)
        first, last = ask().box[1]
        assert last - first + 1 == expected
        print(f"{label:17}: {asked:12.2f} ms, peak {traced(ask):.2f} MB")


# Samples a second, and of a chunk: 10 ms and 100 ms.
_RATE, _CHUNKS = 16_000, (160, 1_600)


def streaming() -> None:
    """An hour of audio through models with explicit states, and against kept context."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    minute = 60 * _RATE
    noise = np.random.default_rng(0).uniform(-1, 1, (1, 4, minute)).astype(np.float32)
    for name, made in (
        ("WaveNet", networks.wavenet("time")),
        ("look-ahead", networks.separator("time")),
    ):
        found = rfgraph.streaming.plan(made, rate=_RATE)
        converted = found.convert()
        session, states = (
            ort.InferenceSession(m.SerializeToString(), options, providers=["CPUExecutionProvider"])
            for m in (made, converted.model)
        )
        x = noise[:, : session.get_inputs()[0].shape[1]]
        back, ahead = found.back, found.ahead
        print(f"{name}: {back:,} back, {ahead:,} ahead, a hop of {found.hop}")

        def cost(stream: Any, chunk: int, samples: int, x: np.ndarray = x) -> float:
            """Microseconds of processor time a sample."""
            begin = process_time()
            for k in range(0, samples, chunk):
                stream.push(x[..., k : k + chunk])
            return 1e6 * (process_time() - begin) / samples

        row("microseconds a sample", "states", "context", "ratio", "offline")
        whole = turns(lambda s=session, x=x: s.run(None, {"x": x}), rounds=2)[0] * 1e3 / minute
        for chunk in _CHUNKS:
            kept, stream = found.open(session), converted.open(states)
            for each in (kept, stream):
                cost(each, chunk, 2 * _RATE)
            ways = [cost(each, chunk, 8 * _RATE) for each in (stream, kept)]
            row(f"chunks of {chunk:,}", *ways, ways[1] / ways[0], whole)
        stream = converted.open(states)
        minutes = [cost(stream, _CHUNKS[-1], minute) for _ in range(60)]
        parts = [min(minutes[k : k + 10]) for k in (0, 25, 50)]
        row("an hour", "begin", "middle", "end", "ratio")
        row(f"chunks of {_CHUNKS[-1]:,}", *parts, parts[2] / parts[0])


def effective() -> None:
    """Effective fields by perturbation and by gradients, to the same error."""
    # It takes PyTorch.
    from effective import compared

    compared()


def saved(model: onnx.ModelProto, folder: str) -> str:
    """The path of a model that is written into a folder."""
    path = f"{folder}/model.onnx"
    onnx.save(model, path)
    return path


OF_MODELS = {"opening": opening, "fields": fields, "checks": checks, "cold": cold}
OF_NETWORKS = {"chain": chain, "branches": branches, "large": large}
OF_IMAGES = {"tiles": tiles}
FURTHER = {
    "weights": weights,
    "side": side,
    "units": units,
    "streaming": streaming,
    "effective": effective,
}
ACCEPTANCE = [*OF_MODELS, *OF_NETWORKS]


def main() -> None:
    parts = [*ACCEPTANCE, *OF_IMAGES, *FURTHER]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "parts", nargs="*", choices=["acceptance", *parts], metavar="PART", help=", ".join(parts)
    )
    parser.add_argument("--models", nargs="+", type=Path, default=[MODELS], metavar="DIR")
    parser.add_argument(
        "--size", type=int, default=8_000, metavar="N", help="the side of the image in tiles"
    )
    arguments = parser.parse_args()
    paths = [path for folder in arguments.models for path in sorted(folder.glob("*.onnx"))]
    found: Found = []
    for name in arguments.parts or parts:
        for part in ACCEPTANCE if name == "acceptance" else [name]:
            print(f"== {part}")
            if part in FURTHER:
                FURTHER[part]()
            elif part in OF_IMAGES:
                found += OF_IMAGES[part](arguments.size)
            elif part in OF_MODELS:
                found += OF_MODELS[part](paths)
            else:
                found += OF_NETWORKS[part]()
    if found:
        print("== to reach")
    for what, reached, wanted in found:
        print(f"{what}: {reached}; to reach: {wanted}")


if __name__ == "__main__":
    main()
