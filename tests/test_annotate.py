"""A model with its fields in it: they are right, and all else is as it was."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import rfgraph
from rfgraph import annotate, cli
from rfgraph.model.metadata import with_metadata
from tests.graphs import model

MODELS = Path(__file__).parents[1] / "models"


def saved(made: onnx.ModelProto, path: Path, **external: Any) -> Path:
    onnx.save(made, path, **external)
    return path


def sees(made: onnx.ModelProto) -> dict[str, str]:
    """What the nodes of a model say, subgraphs included, by their first outputs."""
    return {
        node.output[0]: entry.value
        for node in nodes(made.graph)
        for entry in node.metadata_props
        if entry.key == "rfgraph: sees x"
    }


def nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in ([attribute.g] if attribute.HasField("g") else []) + [*attribute.graphs]:
                yield from nodes(inner)


def bare(path: Path) -> bytes:
    """A model without any metadata of rfgraph, and without the contents of other files."""
    made = onnx.load(path, load_external_data=False)
    entries = [made, *nodes(made.graph), *made.graph.input, *made.graph.output]
    for each in [*entries, *made.graph.value_info]:
        others = [e for e in each.metadata_props if not e.key.startswith("rfgraph: ")]
        del each.metadata_props[:]
        each.metadata_props.extend(others)
    return made.SerializeToString(deterministic=True)


def outputs(path: Path) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    feeds = {
        i.name: rng.uniform(0, 1, [n if isinstance(n, int) else 1 for n in i.shape]).astype("f4")
        for i in session.get_inputs()
    }
    found: list[np.ndarray] = session.run(None, feeds)
    return found


@pytest.mark.parametrize("name", ["lenet_textbook", "resnet50", "unet3d.dynamo", "tcn"])
def test_all_else_is_as_it_was(name: str, tmp_path: Path) -> None:
    source, target = MODELS / f"{name}.onnx", tmp_path / "a.onnx"
    analysis = rfgraph.analyze(source, assume=True)
    count = annotate.save(analysis, target)
    onnx.checker.check_model(target)
    assert bare(target) == bare(source)
    said = sees(onnx.load(target))
    assert len(said) == count > 1
    assert set(said) <= set(analysis.tensors)
    # Once more is the same.
    again = tmp_path / "b.onnx"
    annotate.save(rfgraph.analyze(target, assume=True), again)
    assert again.read_bytes() == target.read_bytes()


def test_it_computes_the_same(tmp_path: Path) -> None:
    source, target = MODELS / "lenet_textbook.onnx", tmp_path / "a.onnx"
    annotate.save(rfgraph.analyze(source), target)
    for found, whole in zip(outputs(target), outputs(source), strict=True):
        np.testing.assert_array_equal(found, whole)


def test_what_is_said(tmp_path: Path) -> None:
    """Textbook figures: 3x3 and 2x2 of stride 2, and a branch that sees less."""
    made = model(
        "a = Conv <pads = [1, 1, 1, 1]> (x, W)"
        "b = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (a)"
        "c, d = Split <axis = 2, num_outputs = 2> (b) unread = Shape (x) e = ReduceMean (a)",
        outputs="c d e",
        opset=18,
        ir=10,
        initializers={"W": np.ones((1, 1, 3, 3), np.float32)},
    )
    made.graph.node[0].metadata_props.add(key="own", value="kept")
    made.graph.node[0].metadata_props.add(key="rfgraph: sees y", value="of an older model")
    made.metadata_props.add(key="rfgraph.streaming", value="kept")
    path = saved(made, tmp_path / "a.onnx")
    assert annotate.save(rfgraph.analyze(path), path) == 4
    found = onnx.load(path)
    said = sees(found)
    assert said["a"] == "3x3 /1 @-1 reach 1/1"
    assert said["b"] == "4x4 /2 @-1 reach 1/1"
    assert "unread" not in said
    # The two halves begin elsewhere.
    assert said["c"].startswith("c: 4x4 /2 @-1")
    assert "; d: 4x4 /2 @3,-1" in said["c"]
    (first, *_) = found.graph.node
    assert [(e.key, e.value) for e in first.metadata_props] == [
        ("own", "kept"),
        ("rfgraph: sees x", "3x3 /1 @-1 reach 1/1"),
    ]
    streaming, legend = found.metadata_props
    assert (streaming.key, legend.key) == ("rfgraph.streaming", "rfgraph: what nodes see")
    assert found.graph.input[0].metadata_props[0].value == "1x1 /1 @0 reach 0/0"
    assert found.graph.output[0].metadata_props[0].value == said["c"].split("; ")[0][3:]


def test_branches(tmp_path: Path) -> None:
    made = model(
        "c = Equal (n, one) y = If (c) <"
        "then_branch = t () => (float[1,1,6] p) { p = MaxPool <kernel_shape = [3]> (x) },"
        "else_branch = e () => (float[1,1,6] q) { q = AveragePool <kernel_shape = [3]> (x) }>",
        "float[1,1,8] x, float[1] n",
        ir=10,
        initializers={"one": np.ones(1, np.float32)},
    )
    path = saved(made, tmp_path / "a.onnx")
    annotate.save(rfgraph.analyze(path), path)
    said = sees(onnx.load(path))
    assert said == dict.fromkeys("ypq", "3 /1 @0 reach 0/2")


def test_weights_in_another_file_stay_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = model("y = Conv (x, W)", ir=10, initializers={"W": np.ones((1, 1, 3, 3), np.float32)})
    path = tmp_path / "a.onnx"
    saved(made, path, save_as_external_data=True, location="a.data", size_threshold=0)
    target = tmp_path / "b.onnx"
    assert cli.main(["annotate", str(path), "-o", str(target)]) == 0
    assert capsys.readouterr().out == f"{target}: 1 node says what they see\n"
    (tensor,) = onnx.load(target, load_external_data=False).graph.initializer
    assert tensor.external_data[0].value == "a.data"
    for found, whole in zip(outputs(target), outputs(path), strict=True):
        np.testing.assert_array_equal(found, whole)
    (tmp_path / "c").mkdir()
    away = tmp_path / "c" / "b.onnx"
    assert cli.main(["annotate", str(path), "-o", str(away)]) == 2
    told = capsys.readouterr().err
    assert told == (
        f"rfgraph: error: {path}: its weights lie in files beside it, which a copy in another "
        f"folder does not find (write it into {tmp_path})\n"
    )
    assert not away.exists()


def test_weights_are_not_held(tmp_path: Path) -> None:
    made = model("y = Gemm (x, W)", "float[1,2048] x", initializers={
        "W": np.zeros((2048, 4096), np.float32)
    })  # fmt: skip
    path, target = saved(made, tmp_path / "a.onnx"), tmp_path / "b.onnx"
    analysis = rfgraph.analyze(path)
    tracemalloc.start()
    annotate.save(analysis, target)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert path.stat().st_size > 32e6
    assert peak < 1e6
    assert bare(target) == bare(path)


def test_names_of_any_kind(tmp_path: Path) -> None:
    made = model("y = Relu (x)")
    odd = 'a"; \u202e</script>\n'
    made.graph.node[0].input[0] = made.graph.input[0].name = odd
    path = saved(made, tmp_path / "a.onnx")
    annotate.save(rfgraph.analyze(path), path)
    assert onnx.load(path).graph.node[0].metadata_props[0].key == f"rfgraph: sees {odd}"


@pytest.mark.parametrize("cut", [1, 2, 5])
def test_what_is_cut_is_refused(cut: int) -> None:
    whole = model("y = Relu (x)").SerializeToString()
    with pytest.raises(ValueError, match=r"at byte|before byte"):
        with_metadata(whole[:-cut], "rfgraph: ", lambda kind, names: {})
    assert b"".join(with_metadata(whole, "rfgraph: ", lambda kind, names: {})) == whole


def test_what_can_not_be_annotated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = model("y = Relu (x)")
    with pytest.raises(rfgraph.QueryError, match="only the model of a file"):
        annotate.save(rfgraph.analyze(made), tmp_path / "a.onnx")
    path = saved(made, tmp_path / "a.onnx")
    nowhere = tmp_path / "none" / "a.onnx"
    assert cli.main(["annotate", str(path), "-o", str(nowhere)]) == 2
    assert "can't be written: No such file or directory" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["a.onnx"]
