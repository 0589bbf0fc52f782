"""The size of fields by the shortest path, by formula; and where what is seen changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

import rfgraph
from tests.graphs import model

# Of a node its inputs, its kernel and its stride: windows of odd kernels, padded alike.
Net = Mapping[str, tuple[Sequence[str], int, int]]

NETS: dict[str, Net] = {
    "chain": {"a": (["x"], 3, 1), "b": (["a"], 5, 2), "y": (["b"], 3, 1)},
    "skipped": {"a": (["x"], 3, 1), "b": (["a"], 3, 1), "y": (["x", "b"], 1, 1)},
    "projected": {
        "s": (["x"], 7, 2),
        "a": (["s"], 3, 2),
        "b": (["a"], 3, 1),
        "p": (["s"], 1, 2),
        "m": (["b", "p"], 1, 1),
        "y": (["m"], 3, 1),
    },
    "three ways": {
        "a": (["x"], 1, 1),
        "b": (["x"], 3, 1),
        "c": (["b"], 5, 1),
        "m": (["a", "b", "c"], 1, 1),
        "y": (["m"], 3, 1),
    },
    "ends that meet": {
        "a": (["x"], 5, 1),
        "b": (["a"], 5, 1),
        "m": (["a", "b"], 1, 1),
        "n": (["m", "x"], 1, 1),
        "y": (["n", "b"], 1, 1),
    },
}


def paths(net: Net, value: str) -> list[tuple[int, int]]:
    """By path from the input to a value: the size of its field alone, and its stride."""
    if value == "x":
        return [(1, 1)]
    sources, kernel, stride = net[value]
    return [
        (size + (kernel - 1) * before, before * stride)
        for source in sources
        for size, before in paths(net, source)
    ]


def built(net: Net) -> rfgraph.Analysis:
    """A convolution a node, or a sum where it takes several."""
    nodes, weights = [], {}
    for name, (sources, kernel, stride) in net.items():
        given = sources[0]
        if len(sources) > 1:
            nodes.append(f"{name}_sum = Sum ({', '.join(sources)})")
            given = f"{name}_sum"
        pad = kernel // 2
        nodes.append(
            f"{name} = Conv <pads = [{pad}, {pad}], strides = [{stride}]> ({given}, W{kernel})"
        )
        weights[f"W{kernel}"] = np.ones((1, 1, kernel), np.float32)
    return rfgraph.analyze(model("\n".join(nodes), "float[1, 1, 512] x", initializers=weights))


@pytest.mark.parametrize("name", NETS)
def test_it_is_the_least_of_all_paths(name: str) -> None:
    net = NETS[name]
    analysis = built(net)
    shortest = analysis.shortest(axes=[2])
    for value in ("x", *net):
        every = paths(net, value)
        assert shortest[value] == (min(size for size, _ in every),)
        assert analysis.field(value, "x")[2].size == max(size for size, _ in every)


def test_all_axes_and_those_that_are_asked_for() -> None:
    analysis = rfgraph.analyze("models/resnet50.onnx")
    whole = analysis.shortest("x")
    assert list(whole) == list(analysis.alike("x"))
    assert [sizes[2:] for sizes in whole.values()] == list(analysis.shortest("x", [2, 3]).values())
    assert [sizes[3:] for sizes in whole.values()] == list(analysis.shortest("x", [-1]).values())
    with pytest.raises(rfgraph.QueryError, match="no axis 4"):
        analysis.shortest("x", [4])
    with pytest.raises(rfgraph.QueryError, match="no input 'z'"):
        analysis.shortest("z")


def test_what_does_not_see_the_input_has_no_size() -> None:
    analysis = rfgraph.analyze("models/siamese.onnx")
    left, right = analysis.shortest("left"), analysis.shortest("right")
    assert "left_features" in left
    assert "left_features" not in right


def test_where_what_is_seen_changes() -> None:
    assert list(built(NETS["chain"]).changes("x")) == [("a", ["x"]), ("b", ["a"]), ("y", ["b"])]
    analysis = rfgraph.analyze("models/resnet50.onnx")
    changed = dict(analysis.changes())
    for value in analysis.alike():
        node = analysis.node(value)
        if node is not None and node.op_type in ("Relu", "BatchNormalization", "Identity"):
            assert value not in changed
        elif node is not None and all(
            analysis.field(value) != analysis.field(source)
            for source in node.inputs
            if source in analysis.tensors
        ):
            assert value in changed
    with pytest.raises(rfgraph.QueryError, match="no input 'z'"):
        analysis.changes("z")
