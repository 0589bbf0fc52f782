"""Constant masks of attention operators beside ONNX's own: what is claimed equals what is seen."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.parser
import pytest
from onnx.reference import ReferenceEvaluator

import rfgraph
from tests.backend.harness import backend_cases
from tests.graphs import single
from tests.oracle.cases.contrib_fused import ms
from tests.oracle.observe import session
from tests.oracle.perturbation import Case, analysed, differences, observe
from tests.test_prune import INF, LEAST, band, elements
from tests.test_prune import attention as masked_chain

RNG = np.random.default_rng(11)
SMALL: dict[str, Any] = {"within": (-1, 1)}


def floats(*shape: int) -> np.ndarray:
    """So small that no weight vanishes."""
    return RNG.uniform(-1, 1, shape).astype(np.float32)


def i32(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def operator(
    op_type: str,
    inputs: dict[str, Any],
    constants: tuple[str, ...],
    outputs: Any = 1,
    **attributes: Any,
) -> Case:
    """The operator; inputs that are None at the end are left out."""
    chosen = dict(inputs)
    while chosen[next(reversed(chosen))] is None:
        chosen.popitem()
    held = tuple(name for name in constants if chosen.get(name) is not None)
    model, feeds = ms(op_type, chosen, outputs, constants=held, **attributes)
    return Case(f"{op_type} {attributes}", model, feeds, **SMALL)


# Two entries of a batch, three positions: lengths, ends and starts, keys, queries by keys.
MASKS = {
    "lengths": i32(2, 1),
    "ends and starts": i32(3, 2, 1, 0),
    "keys": np.array([[0, 1, 1], [1, 1, 0]], np.int32),
    "negative": np.array([[-3, 1, 2], [1, 0, 0]], np.int32),
    "alike": np.array([[1, 1, 0], [1, 1, 0]], np.int32),
    "none": np.array([[1, 1, 1], [1, 1, 1]], np.int32),
    "pairs": np.array(
        [[[1, 0, 1], [0, 1, 1], [0, 0, 1]], [[1, 1, 1], [1, 1, 0], [0, 1, 0]]], np.int32
    ),
    "whole rows": np.array([[[0, 0, 0], [0, 1, 1], [0, 0, 1]], [[1, 0, 1]] * 3], np.int32),
    "whole entries": np.array([[0, 0, 0], [0, 1, 1]], np.int32),
    "no mask": np.array([[0], [1]], np.int32),
}


def attention(mask: Any = None, bias: Any = None, past: Any = None, **attributes: Any) -> Case:
    inputs = {
        "input": floats(2, 3, 2),
        "weights": floats(2, 12),
        "bias": floats(12),
        "mask_index": mask,
        "past": past,
        "attention_bias": bias,
    }
    held = ("weights", "bias", "mask_index", "attention_bias")
    return operator("Attention", inputs, held, 1 if past is None else 2, num_heads=2, **attributes)


def multi_head(mask: Any = None, bias: Any = None, **more: Any) -> Case:
    inputs = {
        "query": floats(2, 3, 4),
        "key": floats(2, 3, 4),
        "value": floats(2, 3, 4),
        "bias": None,
        "mask": mask,
        "attention_bias": bias,
        "past_key": more.pop("past_key", None),
        "past_value": more.pop("past_value", None),
    }
    outputs = more.pop("outputs", 1)
    held = ("mask", "attention_bias")
    return operator("MultiHeadAttention", inputs, held, outputs, num_heads=2, **more)


@pytest.mark.parametrize("unidirectional", [0, 1])
@pytest.mark.parametrize("number", [-1e4, float(LEAST)])
@pytest.mark.parametrize("mask", MASKS)
def test_masks_of_attention(mask: str, number: float, unidirectional: int) -> None:
    options = {"mask_filter_value": number, "unidirectional": unidirectional}
    elements(attention(MASKS[mask], **options))


@pytest.mark.parametrize("unidirectional", [0, 1])
@pytest.mark.parametrize("number", [-1e4, float(LEAST)])
@pytest.mark.parametrize("mask", [m for m in MASKS if m not in ("ends and starts", "no mask")])
def test_masks_of_multi_head_attention(mask: str, number: float, unidirectional: int) -> None:
    options = {"mask_filter_value": number, "unidirectional": unidirectional}
    elements(multi_head(MASKS[mask], **options))


BIASES = {
    "band": band(3, 2)[None, None],
    "heads": np.stack([band(3, 2), band(3, 3, 1)])[None],
    "entries": np.stack([band(3, 1, 1), band(3, 2)])[:, None],
    "both": np.stack([[band(3, 1), band(3, 2)], [band(3, 3), band(3, 1, 2)]]),
    "a whole row": np.array([[1, 1, 0], [0, 0, 0], [0, 0, 1]], bool)[None, None],
}


@pytest.mark.parametrize("unidirectional", [0, 1])
@pytest.mark.parametrize(
    ("bias", "number"),
    [
        (bias, number)
        for bias in BIASES
        for number in (np.float32(-1e4), LEAST, -INF)
        # A row of NaN shows nothing.
        if (bias, number) != ("a whole row", -INF)
    ],
)
@pytest.mark.parametrize("make", [attention, multi_head])
def test_biases_that_mask(
    make: Callable[..., Case], bias: str, number: np.float32, unidirectional: int
) -> None:
    mask = np.where(BIASES[bias], np.float32(0.25), number)
    elements(make(bias=mask, unidirectional=unidirectional))


@pytest.mark.parametrize("make", [attention, multi_head])
@pytest.mark.parametrize("levels", [(-1e4, LEAST), (-1e4, -INF), (LEAST, -INF)])
def test_numbers_that_mask_beside_lower_ones(make: Callable[..., Case], levels: Any) -> None:
    """Where all are masked, the ones with the highest number are left."""
    high, low = levels
    bias = np.float32([[0, high, low], [high, low, high], [low, low, high]])[None, None]
    elements(make(bias=bias))
    elements(make(bias=bias, unidirectional=1))


@pytest.mark.parametrize("make", [attention, multi_head])
@pytest.mark.parametrize("number", [np.float32(-1e4), LEAST, -INF])
@pytest.mark.parametrize("mask", ["keys", "pairs", "lengths", "whole rows"])
def test_a_mask_beside_a_bias(make: Callable[..., Case], mask: str, number: np.float32) -> None:
    bias = np.where(band(3, 3, 1), floats(1, 2, 3, 3), number).astype(np.float32)
    for filtered in (-1e4, float(LEAST)):
        elements(make(MASKS[mask], bias, mask_filter_value=filtered))


@pytest.mark.parametrize("unidirectional", [0, 1])
def test_masks_over_a_past(unidirectional: int) -> None:
    options = {"unidirectional": unidirectional}
    keys = np.array([[0, 1, 1, 1, 0], [1, 0, 0, 1, 1]], np.int32)
    pairs = np.random.default_rng(2).integers(0, 2, (2, 3, 5), np.int32)
    pairs[:, :, 1] = 1
    bias = np.where(pairs[:1, None], floats(1, 2, 3, 5), -INF).astype(np.float32)
    pasts = {"past_key": floats(2, 2, 2, 2), "past_value": floats(2, 2, 2, 2)}
    for mask in (keys, pairs, i32(4, 3), i32(4, 5, 1, 2)):
        elements(attention(mask, past=floats(2, 2, 2, 2, 2), **options))
    for mask in (keys, pairs, i32(4, 3)):
        elements(multi_head(mask, **pasts, outputs=3, **options))
    elements(multi_head(bias=bias, **pasts, outputs=3, **options))


@pytest.mark.parametrize("number", [-1e4, float(LEAST)])
def test_scores_that_are_masked(number: float) -> None:
    """Where a number swallows the score, nothing is read; else the score is there still."""
    for mask in ("keys", "pairs"):
        elements(multi_head(MASKS[mask], outputs=["y", "", "", "qk"], mask_filter_value=number))
    bias = np.where(band(3, 2)[None, None], np.float32(0.25), np.float32(number))
    elements(multi_head(bias=bias, outputs=["y", "", "", "qk"], unidirectional=1))


def test_packed_lengths_of_multi_head_attention() -> None:
    inputs = {"query": floats(1, 3, 4), "key": floats(1, 3, 4), "value": floats(1, 3, 4)}
    given = {**inputs, "bias": None, "mask": i32(2, 0, 3, 0, 2)}
    elements(operator("MultiHeadAttention", given, ("mask",), num_heads=2))


@pytest.mark.parametrize("form", ["keys", "pairs", "lengths", "ends and starts"])
@pytest.mark.parametrize("unidirectional", [0, 1])
def test_masks_of_quantised_attention(form: str, unidirectional: int) -> None:
    rng = np.random.default_rng(0)
    inputs = {
        "input": rng.integers(100, 150, (2, 3, 2), np.uint8),
        "weight": rng.integers(100, 150, (2, 12), np.uint8),
        "bias": floats(12),
        "input_scale": np.float32(0.02),
        "weight_scale": np.float32(0.02),
        "mask_index": MASKS[form],
        "input_zero_point": np.uint8(128),
        "weight_zero_point": np.uint8(128),
    }
    held = tuple(name for name in inputs if name not in ("input", "bias"))
    made = operator("QAttention", inputs, held, num_heads=2, unidirectional=unidirectional)
    elements(Case("input", made.model, made.feeds, follow=("input",), within=(90, 160)))


def test_masks_of_one_decoded_position() -> None:
    inputs = {
        "query": floats(2, 1, 4),
        "key": floats(2, 1, 4),
        "value": floats(2, 1, 4),
        "mask": np.array([[0, 1, 1, 1], [1, 1, 0, 0]], np.int32),
        "attention_bias": None,
        "past_key": floats(2, 2, 6, 2),
        "past_value": floats(2, 2, 6, 2),
        "length": i32(3),
    }
    held = ("mask", "attention_bias", "length")
    # Keys of the past lie in another order than their shape says.
    followed = ("query", "value", "past_value")
    for number in (-1e4, float(LEAST)):
        options = {"num_heads": 2, "mask_filter_value": number, "past_present_share_buffer": 1}
        case = operator("DecoderMaskedMultiHeadAttention", inputs, held, 3, **options)
        elements(Case("mask", case.model, case.feeds, follow=followed, **SMALL))
    inputs["mask"] = None
    inputs["attention_bias"] = np.float32([0, -1e4, 0.25, -np.inf]).reshape(1, 1, 1, 4)
    case = operator("DecoderMaskedMultiHeadAttention", inputs, held, 3, **options)
    elements(Case("bias", case.model, case.feeds, follow=followed, **SMALL))
    cross = {
        "query": floats(2, 1, 4),
        "key": floats(2, 2, 3, 2),
        "value": floats(2, 2, 3, 2),
        "mask": np.array([[0, 1, 1], [1, 0, 0]], np.int32),
    }
    elements(operator("DecoderMaskedMultiHeadAttention", cross, held, num_heads=2))
    # onnxruntime has this one for CUDA alone; of one position it is Attention.
    for mask in (np.array([[0, 1, 1, 1], [1, 1, 0, 0]], np.int32), i32(3, 2)):
        given = {
            "input": floats(2, 1, 2),
            "weights": floats(2, 12),
            "bias": floats(12),
            "mask_index": mask,
            "past": floats(2, 2, 2, 3, 2),
        }
        case = operator("Attention", given, ("weights", "bias", "mask_index"), 2, num_heads=2)
        opened = session(case.model)
        case.model.graph.node[0].op_type = "DecoderMaskedSelfAttention"
        elements(
            Case("one", case.model, case.feeds, run=lambda f, o=opened: o.run(None, f), **SMALL)
        )


# ---------------------------------------------------------------- grouped queries


def grouped(bias: np.ndarray, held: tuple[int, ...] = (1,), **more: Any) -> Case:
    """Two new positions after a past of two at most, of which the first output is looked at."""
    batch, past = len(held), max(held)
    inputs = {
        "query": floats(batch, 2, 16),
        "key": floats(batch, 2, 8),
        "value": floats(batch, 2, 8),
        "past_key": floats(batch, 1, past, 8),
        "past_value": floats(batch, 1, past, 8),
        "seqlens_k": i32(*[h + 1 for h in held]),
        "total": i32(past + 2),
        "cos": None,
        "sin": None,
        "position_ids": None,
        "attention_bias": bias,
        "sink": more.pop("sink", None),
    }
    held_too = ("seqlens_k", "total", "attention_bias")
    options = {"num_heads": 2, "kv_num_heads": 1, **more}
    outputs = options.pop("outputs", 3)
    case = operator("GroupQueryAttention", inputs, held_too, outputs, **options)
    opened = session(case.model)
    alone = onnx.ModelProto()
    alone.CopyFrom(case.model)
    del alone.graph.output[1:3]

    def run(feeds: dict[str, np.ndarray]) -> list[Any]:
        found = opened.run(None, feeds)
        return [found[0], *found[3:]]

    return Case("grouped", alone, case.feeds, run=run, **SMALL)


GROUPED = {
    "plain": {},
    "window": {"local_window_size": 2},
    "all": {"causal": 0},
    "capped": {"softcap": 2.0},
    "smooth": {"smooth_softmax": 1},
    "sink": {"sink": floats(2)},
}


@pytest.mark.parametrize("number", [np.float32(-1e4), LEAST, -INF])
@pytest.mark.parametrize("options", GROUPED)
def test_biases_of_grouped_queries(options: str, number: np.float32) -> None:
    for kept in (
        [[[0, 1, 1], [1, 0, 1]]],
        [[[1, 1, 0], [0, 1, 1]], [[0, 1, 0], [0, 0, 1]]],
    ):
        bias = np.where(np.array(kept, bool)[None], np.float32(0.25), number)
        elements(grouped(bias, **GROUPED[options]))


@pytest.mark.parametrize("options", GROUPED)
def test_rows_of_grouped_queries_that_are_masked_whole(options: str) -> None:
    def case(number: Any) -> Case:
        bias = np.where([[[[0, 0, 0], [1, 0, 1]]]], np.float32(0), number)
        return grouped(bias, **GROUPED[options])

    elements(case(np.float32(-1e4)))
    # Of -inf it gives no weights, and no NaN.
    elements(case(-INF))
    if options in ("smooth", "sink"):
        elements(case(LEAST))
    else:
        # Of the lowest number onnxruntime gives no weights, where softmax has uniform ones.
        made = case(LEAST)
        analysis = analysed(made, prune=True)
        found = differences(made, observe(made), analysis)
        assert [message for kind, message in found if kind == "unsound"] == []
        assert analysis.support("y0", (0, 0, 0), "past_value").along(2).all()
        assert not analysis.support("y0", (0, 0, 0), "query")


# ---------------------------------------------------------------- what the data decide


# Where the lowest number masks all positions before, later ones get a weight (docs/adr/0009).
@pytest.mark.parametrize(("number", "unidirectional"), [(-1e4, 0), (-1e4, 1), (float(LEAST), 0)])
def test_a_mask_of_the_data_beside_a_constant_bias(number: float, unidirectional: int) -> None:
    """Where the data may mask all that the bias leaves, a finite bias cuts nothing."""
    for excluded, cut in ((np.float32(-1e4), False), (-INF, True)):
        bias = np.where([[1, 0, 1], [1, 1, 0], [1, 0, 0]], np.float32(0), excluded)[None, None]
        inputs = {
            "query": floats(1, 3, 4),
            "key": floats(1, 3, 4),
            "value": floats(1, 3, 4),
            "bias": None,
            "mask": np.array([[0, 1, 1]], np.int32),
            "attention_bias": bias,
        }
        options: dict[str, Any] = {
            "num_heads": 2,
            "mask_filter_value": number,
            "unidirectional": unidirectional,
        }
        case = operator("MultiHeadAttention", inputs, ("attention_bias",), **options)
        followed = ("query", "key", "value", "mask")
        case = Case("data", case.model, case.feeds, follow=followed, within=(0, 1))
        analysis = analysed(case, prune=True)
        found = differences(case, observe(case, trials=12), analysis)
        assert [message for kind, message in found if kind == "unsound"] == []
        seen = analysis.support("y0", (0, 2, 0), "value").along(1)
        assert seen.tolist() == [True, not cut, not cut]
        held = rfgraph.analyze(case.model, values={"mask": np.ones((1, 3), np.int32)}, prune=True)
        assert held.support("y0", (0, 2, 0), "value").along(1).tolist() == [True, False, False]


# ---------------------------------------------------------------- what only other kernels have


def softmax(scores: np.ndarray) -> np.ndarray:
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


@pytest.mark.parametrize("shape", [(1, 1, 3, 3), (2, 2, 3, 3)])
@pytest.mark.parametrize("number", [np.float32(-1e4), LEAST, -INF])
def test_biases_of_packed_sequences(shape: tuple[int, ...], number: np.float32) -> None:
    """The bias counts positions within a sequence."""
    kept = np.random.default_rng(5).random(shape) < 0.6
    kept[..., 0] = True
    bias = np.where(kept, np.float32(0.25), number)
    ends = i32(0, 2, 5)

    def run(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> list[np.ndarray]:
        q, k, v = (a.reshape(5, 2, -1).swapaxes(0, 1) for a in (q, k, v))
        y = np.zeros_like(v)
        for b, (first, last) in enumerate(((0, 2), (2, 5))):
            n = last - first
            own = bias[min(b, len(bias) - 1), :, :n, :n]
            scores = q[:, first:last] @ k[:, first:last].swapaxes(-1, -2) + own
            y[:, first:last] = softmax(scores) @ v[:, first:last]
        return [y.swapaxes(0, 1).reshape(5, -1)]

    more = {
        "token_offset": np.array([[0, 1, 2], [3, 4, 5]], np.int32),
        "cumulative_sequence_length": ends,
        "attention_bias": bias,
    }
    # The bias of keys adds the same to all scores of a row.
    shift = floats(12)
    inputs = {"input": floats(5, 2), "weights": floats(2, 12), "bias": shift, **more}
    case = operator("PackedAttention", inputs, ("bias", *more), num_heads=2)
    elements(
        Case(
            "projected",
            case.model,
            case.feeds,
            run=lambda f: run(*np.split(f["input"] @ f["weights"] + shift, 3, axis=-1)),
            **SMALL,
        )
    )
    given = {"query": floats(5, 4), "key": floats(5, 4), "value": floats(5, 6), "bias": None}
    case = operator("PackedMultiHeadAttention", {**given, **more}, tuple(more), num_heads=2)
    elements(
        Case(
            "given",
            case.model,
            case.feeds,
            run=lambda f: run(f["query"], f["key"], f["value"]),
            **SMALL,
        )
    )


def test_a_square_mask() -> None:
    """Of more rows and columns than there are positions; the past comes first."""
    rng = np.random.default_rng(3)
    square = (rng.random((2, 1, 7, 7)) < 0.5).astype(np.int32)
    square[..., 1] = 1

    def run(feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        product = feeds["input"] @ feeds["weights"] + feeds["bias"]
        q, k, v = product.reshape(2, 3, 3, 2, 2).transpose(2, 0, 3, 1, 4)
        present = np.concatenate([feeds["past"], np.stack([k, v])], axis=3)
        k, v = present
        added = np.where(square[:, :, 2:5, :5] > 0, 0, -1e4)
        y = softmax(q @ k.swapaxes(-1, -2) + added) @ v
        return [y.transpose(0, 2, 1, 3).reshape(2, 3, 4), present]

    case = attention(square, past=floats(2, 2, 2, 2, 2))
    feeds = {**case.feeds, "weights": None, "bias": None}
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in case.model.graph.initializer}
    given = {k: v for k, v in feeds.items() if v is not None}
    elements(Case("square", case.model, given, run=lambda f: run({**constants, **f}), **SMALL))


# ---------------------------------------------------------------- graphs that mask


def flexible(
    shapes: tuple[tuple[int, ...], ...] = ((1, 2, 3, 2), (1, 2, 4, 2), (1, 2, 4, 3)),
    constants: dict[str, np.ndarray] | None = None,
    outside: dict[str, np.ndarray] | None = None,
    **graphs: str,
) -> Case:
    """FlexAttention whose graphs, from s to t, hold constants, or take them from outside."""
    modifiers = {}
    for name, body in graphs.items():
        text = f"m (float[B, H, L, S] s) => (float[B, H, L, S] t) {{ {body} }}"
        modifiers[name] = onnx.parser.parse_graph(text)
        modifiers[name].initializer.extend(
            onnx.numpy_helper.from_array(v, n) for n, v in (constants or {}).items()
        )
    inputs = {name: floats(*shape) for name, shape in zip("QKV", shapes, strict=True)}
    model, feeds = single("FlexAttention", inputs, domain="ai.onnx.preview", opset=26, **modifiers)
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(v, n) for n, v in (outside or {}).items()
    )
    return Case("FlexAttention", model, feeds, **SMALL)


@pytest.mark.parametrize("number", [np.float32(-1e4), LEAST, -INF])
def test_scores_that_a_graph_masks(number: np.float32) -> None:
    kept = np.array([[1, 1, 0, 1], [0, 1, 0, 0], [0, 1, 1, 1]], bool)
    heads = np.stack([kept, kept[::-1]])
    for mask in (kept, heads):
        held = {"mask": np.where(mask, np.float32(0.25), number)}
        elements(flexible(constants=held, score_mod="t = Add(s, mask)"))
        chosen = {"kept": mask, "far": np.asarray(number)}
        elements(flexible(constants=chosen, score_mod="t = Where(kept, s, far)"))
    # Two heads of queries share one of keys.
    shared = ((1, 4, 3, 2), (1, 2, 4, 2), (1, 2, 4, 2))
    held = {"kept": np.concatenate([heads, heads[:, ::-1]]), "far": np.asarray(number)}
    elements(flexible(shared, constants=held, score_mod="t = Where(kept, s, far)"))


def test_a_graph_that_masks_by_place() -> None:
    """As exporters write it: the later ones of equally many keys."""
    body = """d = Shape(s) n = Gather(d, three) r = Range(zero, n, one)
        column = Unsqueeze(r, axis) keep = LessOrEqual(r, column) t = Where(keep, s, far)"""
    held: dict[str, Any] = {
        "three": np.asarray(3),
        "zero": np.asarray(0),
        "one": np.asarray(1),
        "axis": np.array([1]),
        "far": np.asarray(-INF),
    }
    shapes = ((1, 1, 4, 2),) * 3
    elements(flexible(shapes, constants=held, score_mod=body))


def test_weights_that_a_graph_sets_to_zero() -> None:
    kept = np.float32([[1, 1, 0, 1], [0, 2, 0, 0], [0, 1, 1, 1]])
    case = flexible(constants={"kept": kept}, prob_mod="t = Mul(s, kept)")
    analysis = analysed(case, prune=True)
    assert list(differences(case, observe(case, trials=6), analysis)) == []
    for query, keys in enumerate(([0, 1, 3], [1], [1, 2, 3])):
        seen = analysis.support("y0", (0, 0, query, 0), "V").along(2)
        assert np.flatnonzero(seen).tolist() == keys


def test_a_mask_from_outside_of_a_graph() -> None:
    """The reference implementation does not reach it: the same mask inside is run."""
    mask = np.where(band(3, 2), np.float32(0), -INF)
    shapes = ((1, 1, 3, 2),) * 3
    inside = flexible(shapes, constants={"mask": mask}, score_mod="t = Add(s, mask)")
    outside = flexible(shapes, outside={"mask": mask}, score_mod="t = Add(s, mask)")
    evaluator = ReferenceEvaluator(inside.model)
    elements(
        Case(
            "outside",
            outside.model,
            outside.feeds,
            run=lambda feeds: evaluator.run(None, feeds),
            **SMALL,
        )
    )


# ---------------------------------------------------------------- softmax with a bias


@pytest.mark.parametrize("number", [np.float32(-1e4), LEAST, -INF])
@pytest.mark.parametrize("shape", [(3, 4), (2, 1, 3, 4), (1, 2, 3, 4)])
def test_softmax_with_a_bias_that_masks(shape: tuple[int, ...], number: np.float32) -> None:
    """Where the weights are multiplied with values, these are not read either."""
    kept = np.random.default_rng(8).random(shape) < 0.5
    kept[..., 1] = True
    bias = np.where(kept, np.float32(0.25), number)
    text = """net (float[2,2,3,4] x, float[2,2,4,2] v) => (float[2,2,3,2] y, float[2,2,3,4] p) {
        p = com.microsoft.BiasSoftmax <axis = 3, is_inner_broadcast = 0> (x, bias)
        y = MatMul(p, v) }"""
    model = onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1]> {text}'
    )
    model.graph.initializer.append(onnx.numpy_helper.from_array(bias, "bias"))
    feeds = {"x": floats(2, 2, 3, 4), "v": floats(2, 2, 4, 2)}

    def run(given: dict[str, np.ndarray]) -> list[np.ndarray]:
        p = softmax(given["x"] + bias)
        return [p @ given["v"], p]

    elements(Case("bias", model, feeds, run=run, **SMALL))


@pytest.mark.parametrize("axis", [2, -1])
def test_softmax_of_the_last_axis_before_version_13(axis: int) -> None:
    case = masked_chain(np.where(band(4, 2), np.float32(0), -INF))
    case.model.opset_import[0].version = 11
    node = next(n for n in case.model.graph.node if n.op_type == "Softmax")
    node.attribute[0].i = axis
    elements(case)


@pytest.mark.parametrize("output", [1, 2])
def test_scores_and_weights_of_grouped_queries(output: int) -> None:
    """A past of one; without a mask: the weights of a query depend on all keys that it sees."""
    case = grouped(np.zeros((1, 1, 2, 3), np.float32), qk_output=output, outputs=4)
    analysis = analysed(case, prune=True)
    found = [kind for kind, _ in differences(case, observe(case), analysis)]
    assert found == []


def test_half_precision_is_compared_without_a_warning() -> None:
    """Of softmax only what is 0, 1 or NaN is known, and kept narrow; no number overflows in it."""
    case = backend_cases()["test_attention_4d_causal_fp16_expanded"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pruned = rfgraph.analyze(case.model, prune=True)
    assert pruned.box("Y", (0, 0, 1, 0), "K") == ((0, 0), (0, 0), (0, 1), (0, 7))
