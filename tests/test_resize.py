"""Where runtimes depart from ONNX's specification of Resize, what runs wins and a note says so."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

import rfgraph
from tests.graphs import model
from tests.oracle.observe import session


def _scaled(ratios: list[tuple[int, int]]) -> ModelProto:
    """One Resize by float32(m / n) for each pair of an axis n long."""
    nodes, inputs, tensors = [], [], []
    for k, (n, m) in enumerate(ratios):
        inputs.append(helper.make_tensor_value_info(f"x{k}", TensorProto.FLOAT, [n]))
        tensors.append(numpy_helper.from_array(np.array([m / n], np.float32), f"s{k}"))
        nodes.append(helper.make_node("Resize", [f"x{k}", "", f"s{k}"], [f"y{k}"]))
    outputs = [helper.make_empty_tensor_value_info(f"y{k}") for k in range(len(ratios))]
    graph = helper.make_graph(nodes, "g", inputs, outputs, tensors)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 18)])


def test_an_axis_is_as_long_as_onnxruntime_makes_it() -> None:
    """As long as who divided the sizes meant in all but 10 of 465; exactly, in all but 157."""
    ratios = [(n, m) for m in range(2, 32) for n in range(1, m)]
    assert len(ratios) == 465
    made = _scaled(ratios)
    feeds = {f"x{k}": np.zeros(n, np.float32) for k, (n, _) in enumerate(ratios)}
    lengths = [y.shape for y in session(made).run(None, feeds)]
    meant = [length == (m,) for length, (_, m) in zip(lengths, ratios, strict=True)]
    assert meant.count(False) == 10
    analysis = rfgraph.analyze(made)
    assert [analysis.shape(y) for y in analysis.outputs] == lengths
    short = [note for note in analysis.notes if "single precision" in note.reason]
    assert len(short) == 157 - 10
    assert {note.kind for note in short} == {"runtime"}


def _resize(inputs: str, attributes: str = "", shape: str = "2", **arrays: object) -> ModelProto:
    given = {name: np.asarray(value) for name, value in arrays.items()}
    text = f"y = Resize{attributes}(x, {inputs})"
    return model(text, f"float[{shape}] x", opset=19, initializers=given)


def _notes(proto: ModelProto) -> list[str]:
    return [note.reason for note in rfgraph.analyze(proto).notes if note.kind == "runtime"]


def test_a_note_says_where_what_runs_is_not_what_the_specification_says() -> None:
    scale = np.float32
    copied = _resize(", s", '<nearest_mode="floor">', s=scale([1.3]))
    assert "onnxruntime copies axes that keep their size" in _notes(copied)[0]
    crop = '<coordinate_transformation_mode="tf_crop_and_resize">'
    cropped = _resize("r, , n", crop, "2,4", r=scale([0, 0.25, 1, 0.75]), n=[3, 4])
    assert "whatever the scales and the region say" in _notes(cropped)[0]
    kept = _resize(", , n", '<axes=[-1], keep_aspect_ratio_policy="not_larger">', n=[4])
    assert "counted from the end" in _notes(kept)[0]
    short = _resize(", s", shape="7", s=scale([11 / 7]))
    assert _notes(short) == [
        "its axis 0 has 11 elements, not 10: runtimes multiply by the scale in single precision"
    ]


def test_no_note_where_both_say_the_same() -> None:
    for scale in (1, 1.5, 2, 0.5):
        assert _notes(_resize(", s", s=np.float32([scale]), shape="4")) == []
    # The middle of what 1.3 makes of two: both read their own.
    assert _notes(_resize(", s", s=np.float32([1.3]))) == []


def test_a_resized_constant_is_as_long_as_what_runs() -> None:
    """ONNX's reference makes 10 of 7 by float32(11 / 7)."""
    proto = model(
        "r = Resize(c, , s) y = Relu(x)",
        "float[11] x",
        "y r",
        opset=19,
        initializers={"c": np.ones(7, np.float32), "s": np.array([11 / 7], np.float32)},
    )
    assert rfgraph.analyze(proto).shape("r") == (11,)
    assert session(proto).run(["r"], {"x": np.zeros(11, np.float32)})[0].shape == (11,)
