"""Scopes: of names, and of what the file states."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import rfgraph
from rfgraph.model import scopes

from .graphs import model

MODELS = Path(__file__).parents[1] / "models"


def with_scopes(**stated: str) -> onnx.ModelProto:
    """A chain whose nodes, by what they make, have the property of the dynamo exporter."""
    made = model("a = Relu (x) b, c = Split <axis = 2> (a) y = Add (b, c)")
    for node in made.graph.node:
        node.metadata_props.add(key="namespace", value="something else")
        if node.output[0] in stated:
            node.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=stated[node.output[0]])
    return made


def test_what_the_file_states() -> None:
    made = with_scopes(
        a="['', 'trunk', 'trunk.0', 'trunk.0.act', 'relu']", b="['', 'trunk', 'split_1']", y="['']"
    )
    trunk = ("trunk",)
    wanted = {"a": ("trunk", "0", "act"), "b": trunk, "c": trunk, "y": ()}
    assert scopes.declared(made) == wanted
    assert scopes.declared(made.SerializeToString()) == wanted


@pytest.mark.parametrize(
    "value",
    ["", "nonsense", "[1, 2]", "{'a': 1}", "[[['a']]]", "'a'", "[" * 10_000, "__import__('os')"],
)
def test_what_is_no_list_of_names(value: str) -> None:
    assert scopes.declared(with_scopes(a=value)) == {"a": ()}


def test_a_property_that_can_not_be_read() -> None:
    content = with_scopes(a="['', 'marker', 'relu']").SerializeToString()
    at = content.index(b"pkg.torch.onnx.name_scopes") - 1
    # The length of the key reaches beyond the property.
    broken = content[:at] + b"\x7f" + content[at + 1 :]
    assert scopes.declared(broken) == {}
    assert rfgraph.analyze(broken).tensors == ["x", "a", "b", "c", "y"]


def test_names_of_a_model() -> None:
    analysis = rfgraph.analyze(MODELS / "resnet50.onnx", assume=True)
    nodes = [analysis.node(name) for name in analysis.tensors]
    found = scopes.paths([(node.name, node.outputs) for node in nodes if node is not None])
    assert ("trunk", "layer1", "layer1.0", "conv1", "conv1.0") in found
    assert max(map(len, found)) == 5


def test_what_the_file_states_goes_first() -> None:
    nodes = [("/name/Relu", ["a"]), ("/name/Split", ["b", "c"]), ("Add_3", ["y"])]
    assert scopes.paths(nodes, {"c": ("stated",)}) == [("name",), ("stated",), ()]
    assert scopes.paths([("/all/one/Relu", ["a"]), ("/all/two/Relu", ["b"])]) == [
        ("one",),
        ("two",),
    ]
    assert scopes.paths([]) == []
