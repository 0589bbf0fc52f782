"""What notebooks show of answers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lxml import etree, html

import rfgraph
from rfgraph import streaming, tiling
from rfgraph.engine.products import region_of
from rfgraph.engine.support import Support
from rfgraph.errors import QueryError
from rfgraph.validation.report import CLAIMS, Tally, Validation, Violation
from tests.graphs import model

from .examples import ABSURD

MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture(scope="module")
def resnet() -> rfgraph.Analysis:
    return rfgraph.analyze(MODELS / "resnet50.onnx")


def shown(answer: Any) -> Any:
    """What is shown, as a browser reads it."""
    return html.fragment_fromstring(answer._repr_html_(), create_parent="div")


def cells(answer: Any, number: int = 0) -> list[list[str]]:
    table = shown(answer).findall(".//table")[number]
    return [[cell.text or "" for cell in row] for row in table.iter("tr")]


def drawn(answer: Any) -> tuple[np.ndarray, Any]:
    """The cells of a drawing, and the drawing."""
    (svg,) = re.findall(r"<svg.*</svg>", answer._repr_html_())
    root = etree.fromstring(svg)
    width, height = map(float, root.get("viewBox").split()[2:])
    mask = np.zeros((int(np.ceil(height)), int(np.ceil(width))), bool)
    for a, top, b, bottom, back in re.findall(r"M(\d+) (\d+)H(\d+)V(\d+)H(\d+)z", root[0].get("d")):
        assert a == back
        part = mask[int(top) : int(bottom), int(a) : int(b)]
        assert not part.any()
        part[:] = True
    return mask, root


# ---------------------------------------------------------------- in words


def test_answers_in_short(resnet: rfgraph.Analysis) -> None:
    assert repr(resnet).endswith(
        "resnet50.onnx, inputs={'x': (1, 3, 224, 224)}, outputs={'features': (1, 128, 7, 7), "
        "'logits': (1, 10)}, 174 values)"
    )
    assert repr(resnet["x"]) == "Value('x', shape=(1, 3, 224, 224), an input)"
    assert repr(resnet.field("features")[2]) == (
        "AxisField(size=427, stride=32, start=-213, centre=0, back=213, ahead=182)"
    )
    assert repr(resnet.field("logits", local=False)[2]).endswith("is_global=True)")
    plan = tiling.plan(MODELS / "unet_tconv.onnx", tile=256, axes=["height"])
    assert repr(plan) == ("Plan(axis 2 of 'x': tile 256, margin 48/48, alignment 8; waste 1.60)")
    stream = streaming.plan(MODELS / "wavenet.onnx")
    assert repr(stream) == "Plan(axis 2 of 'x': back 3070, ahead 0, hop 1, latency 0)"


def test_a_field_is_told_in_full() -> None:
    """What is left out is what it is by the rest."""
    field = rfgraph.AxisField.periodic(1, (-3, 4), (-2, 6))
    names = {"AxisField": rfgraph.AxisField, "Fraction": __import__("fractions").Fraction}
    assert "phases=((-3, 4), (-2, 6))" in repr(field)
    one = rfgraph.AxisField.periodic(2, (-1, 1))
    assert "phases" not in repr(one)
    assert "smallest" not in repr(one)
    assert eval(repr(field).replace("AxisField(", "dict("), names)["smallest"] == field.smallest


def test_many_outputs_are_cut_short() -> None:
    made = model("\n".join(f"y{k} = Relu (x)" for k in range(20)), outputs=" ".join(
        f"y{k}" for k in range(20)))  # fmt: skip
    analysis = rfgraph.analyze(made)
    assert repr(analysis).count("(1, 1, 8, 8)") == 4
    assert "and 8 more outputs" in analysis._repr_html_()


def test_a_validation_in_short() -> None:
    analysis = rfgraph.analyze(MODELS / "lenet_textbook.onnx")
    found = Validation(analysis, "perturb", 0, planned=5)
    assert repr(found) == "Validation(nothing tested: perturb, 0 of 5 passes, 0 values)"
    found.tallies["y", "x"] = Tally(runs=5, moved=3)
    found.units["y"], found.passes = 169, 5
    assert repr(found) == "Validation(no claim contradicted: perturb, 5 of 5 passes, 1 values)"
    found.violations.append(Violation("y", "x", (0, 0, 1, 2), 1, CLAIMS[0], "element <b>"))
    found.contradictions = 1
    assert repr(found).startswith("Validation(1 contradictions: ")
    assert cells(found)[1] == ["y", "0,0,1,2", "x", CLAIMS[0], "element <b>"]


# ---------------------------------------------------------------- a value by its name


def test_a_value_answers_as_the_analysis_does(resnet: rfgraph.Analysis) -> None:
    value = resnet["features"]
    assert value.shape == resnet.shape("features")
    assert value.node is resnet.node("features")
    assert value.field("x", at={1: 0}) == resnet.field("features", "x", at={1: 0})
    unit = (0, 0, 3, 3)
    assert value.box(unit, local=True) == resnet.box("features", unit, local=True)
    assert value.support(unit).box == resnet.support("features", unit).box
    for one, other in zip(value.bounds(axis=2), resnet.bounds("features", axis=2), strict=True):
        assert np.array_equal(one, other)


def test_names_are_completed(resnet: rfgraph.Analysis) -> None:
    assert resnet._ipython_key_completions_() == resnet.tensors == list(resnet)
    assert "features" in resnet
    assert "wibble" not in resnet
    with pytest.raises(QueryError, match=r"'featuers'.*did you mean 'features'"):
        resnet["featuers"]


# ---------------------------------------------------------------- tables and drawings


def test_tables(resnet: rfgraph.Analysis) -> None:
    assert cells(resnet) == [
        ["", "shape", "sees x 1x3x224x224"],
        ["features", "1x128x7x7", "427x427 /32 @-213 reach 213/182"],
        ["logits", "1x10", "global"],
    ]
    assert cells(resnet.field("features"))[3] == ["2", "427", "32", "-213", "0", "213", "182"]
    assert cells(resnet.field("features")[2])[1] == ["427", "32", "-213", "0", "213", "182"]
    assert cells(resnet.field("logits", local=False))[3][1:3] == ["global", "-"]
    plan = tiling.plan(MODELS / "unet_tconv.onnx", tile=256)
    assert cells(plan)[1][:4] == ["axis 2 of 'x' (height)", "256", "160", "48/48"]
    assert cells(plan, 1)[1][:2] == ["features", "2"]
    stream = streaming.plan(MODELS / "wavenet.onnx")
    assert cells(stream)[1][:5] == ["logits", "2", "1", "3070", "0"]


def test_a_drawing_is_the_mask_in_its_frame() -> None:
    analysis = rfgraph.analyze(MODELS / "lenet_textbook.onnx")
    support = analysis.support("y", (0, 0, 4, 5))
    mask, _ = drawn(support)
    assert np.array_equal(mask, np.asarray(support)[0, 0])
    # That of a value is of the unit in its middle.
    mask, _ = drawn(analysis["y"])
    assert np.array_equal(mask, np.asarray(analysis.support("y", (0, 0, 6, 6)))[0, 0])


def test_a_drawing_with_holes_wherever_channels_stand() -> None:
    rows, columns = np.arange(9) % 4 == 1, np.arange(7) < 3
    support = Support("x", (1, 9, 7, 3), region_of([np.ones(1, bool), rows, columns,
                                                    np.ones(3, bool)], (1, 9, 7, 3)))  # fmt: skip
    mask, _ = drawn(support)
    assert np.array_equal(mask, rows[:, None] & columns)


def test_a_large_drawing_is_small_and_keeps_what_is_seen() -> None:
    rows = np.arange(1000) == 777
    support = Support("x", (1000, 2000), region_of([rows, np.ones(2000, bool)], (1000, 2000)))
    mask, svg = drawn(support)
    assert max(mask.shape) <= 112
    _, height = map(float, svg.get("viewBox").split()[2:])
    (row,) = mask.any(axis=1).nonzero()[0]
    assert row == int(777 / 1000 * height)
    assert len(support._repr_html_()) < 1000


def test_a_signal_and_nothing() -> None:
    support = Support("x", (1, 9), region_of([np.ones(1, bool), np.arange(9) % 2 == 0], (1, 9)))
    assert drawn(support)[0].tolist() == [[True, False] * 4 + [True]]
    assert "<svg" not in Support("x", (3, 3), ())._repr_html_()
    assert "<svg" not in Support("x", (), ((),))._repr_html_()


def test_names_do_nothing() -> None:
    for name in [*ABSURD, "<img src=x onerror=alert(1)>", '"><script>alert(1)</script>']:
        if "\ud800" in name or "\x00" in name:
            continue
        made = model("h = Relu (x)\n y = Relu (h)")
        made.graph.input[0].name = name
        made.graph.node[0].input[0] = name
        made.graph.node[0].name = name
        made.graph.output[0].name = made.graph.node[1].output[0] = f"{name}y"
        analysis = rfgraph.analyze(made)
        support = analysis.support(f"{name}y", (0, 0, 1, 2))
        for answer in (analysis, analysis[f"{name}y"], support):
            kinds = {element.tag for element in shown(answer).iter()}
            assert kinds <= {"div", "table", "thead", "tbody", "tr", "th", "td", "svg", "path"}
            assert "\n" not in repr(answer)
        drawn(support)
