"""What is kept between models: one after another they are answered as if each were the first."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx.parser
import pytest

import rfgraph
from rfgraph.analysis import entry
from rfgraph.engine import trace
from rfgraph.model import graph
from rfgraph.reads import PerAxis, same, window
from tests.graphs import model

MODELS = sorted((Path(__file__).parents[1] / "models").glob("*.onnx"))


@pytest.fixture(autouse=True)
def first() -> Iterator[None]:
    """Begin with nothing kept."""
    entry.forget()
    yield
    entry.forget()


def bounds(analysis: rfgraph.Analysis) -> dict[tuple[str, str, int], bytes]:
    """Bounds of all values along all axes of all inputs."""
    found = {}
    for tensor in analysis.tensors:
        for name in analysis.inputs:
            if analysis.depends(tensor, name):
                for axis in range(len(analysis.extent(name) or ())):
                    lo, hi = analysis.bounds(tensor, name, axis=axis)
                    found[tensor, name, axis] = lo.tobytes() + hi.tobytes()
    return found


def gathered(indices: np.ndarray) -> onnx.ModelProto:
    """Elements of an input that an initializer names."""
    return model(
        "y = Gather <axis = 0> (x, i)", f"float[{indices.size}] x", initializers={"i": indices}
    )


def test_large_constants_of_one_name_are_told_apart() -> None:
    order = np.arange(2048)
    for indices in (order, order[::-1].copy(), np.roll(order, 5), order):
        lo, hi = rfgraph.analyze(gathered(indices)).bounds("y", "x")
        assert (lo[:, 0] == indices).all()
        assert (hi[:, 0] == indices).all()


def test_small_constants_of_one_name_are_told_apart() -> None:
    for start in (0, 3, 1, 0):
        given = {"s": np.array([start]), "e": np.array([start + 4])}
        lo, _ = rfgraph.analyze(
            model("y = Slice (x, s, e)", "float[9] x", initializers=given)
        ).bounds("y", "x")
        assert lo[:, 0].tolist() == [start, start + 1, start + 2, start + 3]


def test_a_transfer_that_is_replaced_holds_for_the_next_model() -> None:
    asked = model("z = Relu (x)\ny = own.KeptSmooth (z)", "float[9] x")
    for reach in (1, 2, 1):

        @rfgraph.transfer("KeptSmooth", domain="own", shape=lambda op: op.shape(0), replace=True)
        def smooth(op, reach=reach):  # type: ignore[no-untyped-def]
            return [PerAxis(0, (window(0, 2 * reach + 1, 1, 1, reach),))]

        assert rfgraph.analyze(asked).field("y", "x").size == (2 * reach + 1,)


@pytest.mark.parametrize("domain", ["own", "com.microsoft"])
def test_a_shape_that_is_told_anew_holds_for_the_next_model(domain: str) -> None:
    asked = onnx.parser.parse_model(f"""
        <ir_version: 8, opset_import: ["": 17, "{domain}": 1]>
        net (float[9] x) => (float[n] y) {{ y = {domain}.KeptCropped (x) }}
    """)
    for size in (3, 5, 3):

        @rfgraph.transfer("KeptCropped", domain=domain, shape=lambda op, n=size: (n,), replace=True)
        def cropped(op):  # type: ignore[no-untyped-def]
            return [PerAxis(0, (same(0),))]

        assert rfgraph.analyze(asked).shape("y") == (size,)


def test_functions_of_one_name_are_those_of_their_model() -> None:
    text = """
        <ir_version: 8, opset_import: ["": 17, "own": 1]>
        net (float[1, 1, 9] x) => (float[1, 1, 9] y) {{ y = own.Block (x) }}
        <domain: "own", opset_import: ["": 17]>
        Block (x) => (y) {{
            w = Constant <value = float[1, 1, {taps}] {{{ones}}}> ()
            y = Conv <auto_pad = "SAME_UPPER"> (x, w)
        }}
    """
    for taps in (3, 5, 3):
        asked = onnx.parser.parse_model(text.format(taps=taps, ones=", ".join("1" * taps)))
        assert rfgraph.analyze(asked).field("y", "x").size[2] == taps


@pytest.mark.parametrize("limits", [(1, 1, 1), (3, 4, 500)])
def test_stores_that_begin_anew_change_nothing(
    limits: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [path for path in MODELS if path.stem in ("unet_tconv", "siamese", "wavenet", "tcn")]
    expected = [bounds(rfgraph.analyze(path, assume=True)) for path in paths]
    monkeypatch.setattr(graph, "_MOST_KEPT", limits[0])
    monkeypatch.setattr(graph, "_MOST_KNOWN", limits[0])
    monkeypatch.setattr(trace, "_MOST_KEPT", limits[1])
    monkeypatch.setattr(entry, "_MOST_KEPT", limits[2])
    for _ in range(2):
        assert [bounds(rfgraph.analyze(path, assume=True)) for path in paths] == expected


def test_threads_do_not_get_in_each_others_way() -> None:
    paths = [path for path in MODELS if path.stat().st_size < 300_000][:3]
    analyses = [rfgraph.analyze(path, assume=True) for path in paths]
    expected = [bounds(analysis) for analysis in analyses]
    wrong: list[str] = []

    def work(turn: int) -> None:
        for k in range(len(paths)):
            k = (k + turn) % len(paths)
            # What was made before is read while others are made.
            found = [analyses[k], rfgraph.analyze(paths[k], assume=True)]
            found.append(analyses[k].resized({}))
            wrong.extend(str(paths[k]) for a in found if bounds(a) != expected[k])

    threads = [threading.Thread(target=work, args=(turn,)) for turn in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
