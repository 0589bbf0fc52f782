"""The suite: its models are valid, its data say what its page says, and its verdicts are right."""

from __future__ import annotations

import json
from collections import Counter
from importlib import resources

import numpy as np
import pytest

import rfgraph
from rfgraph.runtimes import Outcome, start
from rfgraph.runtimes.known import differences
from suite import table
from suite.models import Single, suite
from suite.models.single import live, single
from suite.observed import Seen, claims, observe
from suite.verdicts import contradicted, verdict
from tests.runtimes.needed import need

MODELS = suite()
KNOWN = json.loads(resources.files("rfgraph.runtimes").joinpath("known.json").read_text("utf-8"))


def test_there_are_enough_and_no_two_are_one() -> None:
    assert len(MODELS) >= 600
    assert [words for words, n in Counter(one.words for one in MODELS).items() if n > 1] == []
    assert KNOWN["models"] == len(MODELS)


@pytest.mark.parametrize(
    "first", [0, *(pytest.param(k, marks=pytest.mark.slow) for k in range(1, 9))]
)
def test_models_are_valid(first: int) -> None:
    for one in MODELS[first::9]:
        # Making one checks it.
        assert one.model.graph.node[0].op_type == one.operator


def test_the_page_says_what_the_data_say() -> None:
    assert table.PAGE.read_text("utf-8") == table.page(KNOWN)


def test_all_are_counted() -> None:
    for name in KNOWN["runtimes"]:
        counts = [kinds.get(name, {}) for kinds in KNOWN["operators"].values()]
        assert sum(sum(kinds.values()) for kinds in counts) == len(MODELS)


@pytest.mark.parametrize("runtime", KNOWN["runtimes"])
def test_a_cause_holds_of_the_model_that_shows_it(runtime: str) -> None:
    by_words = {one.words: one for one in MODELS}
    for cause in differences(runtime):
        one = by_words[cause.smallest]
        node = rfgraph.analyze(one.model).node(next(filter(None, one.outputs)))
        assert node is not None
        assert cause.holds(node), cause.smallest
        assert cause.remedy
        assert 0 < cause.other <= cause.of


@pytest.mark.parametrize(
    ("runtime", "operator", "condition"),
    [
        ("openvino", "ConvTranspose", "output_shape is given"),
        ("openvino", "Resize", "antialias is 1"),
        ("openvino", "Resize", "keep_aspect_ratio_policy is not_larger or not_smaller"),
        ("openvino", "Softmax", None),
        ("openvino", "MaxPool", "ceil_mode is 1"),
        ("mnn", "Conv", "auto_pad is SAME_LOWER"),
        ("mnn", "GridSample", "mode is bicubic or cubic"),
        ("onnx2torch", "ConvTranspose", "output_shape is given"),
        ("reference", "LSTM", "sequence_lens is given"),
    ],
)
def test_what_is_known_from_elsewhere_is_found(
    runtime: str, operator: str, condition: str | None
) -> None:
    """Differences that were seen by hand, in the same versions or earlier ones."""
    found = [cause for cause in differences(runtime) if operator in cause.operators]
    assert any(condition is None or condition in cause.where for cause in found)


# ---------------------------------------------------------------- verdicts


def _shift() -> tuple[Single, Seen, Seen]:
    """A model, what it should show, and what it shows shifted by one."""
    one = single("Identity", live(4), opset=13)
    right = np.eye(4, dtype=bool)
    values = {"output": np.arange(4.0)}
    key = "output", "input"
    answered = Outcome("answered")
    return (
        one,
        Seen(answered, {key: right}, values),
        Seen(answered, {key: np.roll(right, 1, axis=1)}, values),
    )


def test_other_elements_are_told() -> None:
    one, right, shifted = _shift()
    due = claims(one)
    assert verdict(one, due, right, {"reference": right}).kind == "same"
    said = verdict(one, due, shifted, {"reference": right})
    assert said.kind == "other"
    assert said.text == (
        "output of input: 4 seen that should not be, 4 of 4 not seen "
        "(unit 0 sees 1 at 1, not 1 at 0)"
    )


def test_what_no_witness_shows_is_not_missed() -> None:
    one, right, _ = _shift()
    less = Seen(
        right.outcome, {k: m & (np.arange(4) > 0) for k, m in right.masks.items()}, right.values
    )
    due = claims(one)
    assert verdict(one, due, less, {"reference": less}).kind == "same"
    assert verdict(one, due, less, {"reference": right}).kind == "other"


def test_other_values_and_other_shapes_are_told_apart_from_other_elements() -> None:
    one, right, _ = _shift()
    due = claims(one)
    wrong = Seen(right.outcome, right.masks, {"output": np.arange(4.0) + 1})
    assert verdict(one, due, wrong, {"reference": right}).kind == "values"
    key = "output", "input"
    tall = Seen(right.outcome, {key: right.masks[key].reshape(4, 1, 4)}, right.values)
    assert verdict(one, due, tall, {"reference": right}).kind == "shape"
    short = Seen(right.outcome, {key: right.masks[key][:3]}, right.values)
    assert verdict(one, due, short, {"reference": right}).text == "output is 3, not 4"


def test_refused_and_crashed() -> None:
    one, right, _ = _shift()
    for kind, told in (("refused", "refused"), ("crashed", "crashed"), ("hung", "crashed")):
        said = verdict(one, claims(one), Seen(Outcome(kind, "so")), {"reference": right})
        assert (said.kind, said.text) == (told, f"{kind}: so")


def test_a_claim_that_all_witnesses_contradict_is_told() -> None:
    one, right, shifted = _shift()
    both = {"onnxruntime": shifted, "reference": shifted}
    assert contradicted(claims(one), both) == ["output of input"]
    assert contradicted(claims(one), both | {"reference": right}) == []


# ---------------------------------------------------------------- runs


@pytest.mark.parametrize(
    "first", [0, *(pytest.param(k, marks=pytest.mark.slow) for k in (30, 60, 90))]
)
def test_onnxruntime_sees_what_is_claimed(first: int) -> None:
    """Of a part of the suite, the claims against what is run here."""
    known = differences("onnxruntime")
    with start("onnxruntime:level=disable,threads=1") as session:
        for one in MODELS[first::120]:
            due = claims(one)
            seen = observe(one, due, session)
            said = verdict(one, due, seen, {"onnxruntime": seen})
            node = rfgraph.analyze(one.model).node(next(filter(None, one.outputs)))
            assert node is not None
            if said.kind == "other":
                assert any(cause.holds(node) for cause in known), (one.words, said.text)


@pytest.mark.slow
def test_an_input_that_openvino_gives_another_name() -> None:
    need("openvino")
    one = next(one for one in MODELS if one.operator == "Dropout")
    due = claims(one)
    with start("openvino") as session:
        seen = observe(one, due, session)
    assert verdict(one, due, seen, {}).kind == "same"
    np.testing.assert_array_equal(seen.values["output"], one.inputs["data"].values(0))


def test_a_runtime_of_an_entry_point() -> None:
    """An example of writing one, where it and what it needs are installed."""
    need("mnn")
    one = next(one for one in MODELS if one.words.startswith("Conv-11: X 1x2x7x5"))
    due = claims(one)
    with start("mnn") as session:
        seen = observe(one, due, session)
    assert verdict(one, due, seen, {}).kind == "same"
