"""Attention and what goes with it: heads, masks, windows, caches, rotations, running states."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
import onnx.parser

from tests.graphs import single

from ..perturbation import Case, Feeds, Run, runner
from . import cases

_INPUTS = ("Q", "K", "V", "attn_mask", "past_key", "past_value", "nonpad_kv_seqlen")
_MASKED = ("Q", "K", "V", "attn_mask")
_BY_VALUE = "what a mask excludes by its values is read"


def _floats(*shape: int, seed: int = 1, high: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-high, high, shape).astype(np.float32)


def _attention(
    name: str,
    *,
    batch: int = 2,
    heads: tuple[int, int] = (2, 2),
    lengths: tuple[int, int] = (3, 4),
    sizes: tuple[int, int] = (2, 3),
    past: int | None = None,
    mask: np.ndarray | None = None,
    nonpad: Sequence[int] | None = None,
    flat: bool = False,
    outputs: Sequence[str] = ("Y",),
    opset: int = 24,
    within: tuple[float, float] = (-2, 2),
    constants: Sequence[str] = (),
    incomplete: str = "",
    follow: tuple[str, ...] = (),
    run: Run | None = None,
    **attributes: Any,
) -> Case:
    """`heads`, `lengths` and `sizes` are of queries and keys, then of keys and values."""
    (h, g), (n, m), (e, v) = heads, lengths, sizes
    inputs: dict[str, Any] = dict.fromkeys(_INPUTS[: 7 if opset >= 24 else 6])
    inputs["Q"] = _floats(batch, h, n, e, seed=2)
    inputs["K"] = _floats(batch, g, m, e, seed=3)
    inputs["V"] = _floats(batch, g, m, v, seed=4)
    if flat:
        for key in "QKV":
            value = inputs[key].transpose(0, 2, 1, 3)
            inputs[key] = value.reshape(*value.shape[:2], -1)
        attributes |= {"q_num_heads": h, "kv_num_heads": g}
    inputs["attn_mask"] = mask
    if past is not None:
        inputs["past_key"] = _floats(batch, g, past, e, seed=5)
        inputs["past_value"] = _floats(batch, g, past, v, seed=6)
    if nonpad is not None:
        inputs["nonpad_kv_seqlen"] = np.array(nonpad, np.int64)
    model, feeds = single(
        "Attention", inputs, outputs, opset=opset, constants=constants, **attributes
    )
    return Case(f"Attention {name}", model, feeds, incomplete, run, follow, within)


_CACHED = ("Y", "present_key", "present_value")
_SCORES = ("Y", "", "", "qk_matmul_output")


@cases("Attention")
def heads() -> Iterator[Case]:
    for flat in (False, True):
        for pair in ((1, 1), (3, 3), (4, 2), (3, 1)):
            yield _attention(f"{pair} heads, flat {flat}", heads=pair, batch=1, flat=flat)
        yield _attention(f"batch, flat {flat}", flat=flat, opset=23, scale=0.7, softcap=2.0)
        yield _attention(f"past, flat {flat}", flat=flat, past=2, outputs=_CACHED)
        yield _attention(f"presents without past, flat {flat}", flat=flat, outputs=_CACHED)
    yield _attention("one key", lengths=(3, 1))
    yield _attention("one key with one before", lengths=(2, 1), past=1, outputs=_CACHED)
    yield _attention("constant keys", constants=("K", "V"))


@cases("Attention")
def structure() -> Iterator[Case]:
    for lengths in ((4, 4), (2, 5), (5, 2), (1, 3)):
        yield _attention(f"causal {lengths}", lengths=lengths, is_causal=1, opset=23)
    yield _attention("causal shared", heads=(4, 2), batch=1, flat=True, is_causal=1)
    for past in (0, 1, 3):
        cached: dict[str, Any] = {"past": past, "is_causal": 1, "outputs": _CACHED}
        yield _attention(f"causal after {past}", **cached)
        yield _attention(f"causal after {past}, flat", flat=True, lengths=(3, 3), **cached)
    for left, right in ((0, -1), (1, -1), (-1, 1), (1, 1), (2, 0), (0, 0), (9, 9)):
        window = {"left_window_size": left, "right_window_size": right, "opset": 25}
        yield _attention(f"window {left} {right}", lengths=(5, 5), batch=1, **window)
        yield _attention(f"window {left} {right} after 2", past=2, batch=1, **window)
        single_query: dict[str, Any] = {"lengths": (1, 2), "past": 3, **window}
        yield _attention(f"window {left} {right} of one query", **single_query)
        if right <= 0:
            yield _attention(f"causal window {left}", lengths=(5, 4), is_causal=1, **window)


@cases("Attention")
def lengths() -> Iterator[Case]:
    for causal in (0, 1):
        for nonpad in ((4, 2), (3, 3), (1, 4), (0, 2)):
            yield _attention(f"{nonpad} keys, causal {causal}", nonpad=nonpad, is_causal=causal)
        yield _attention(f"decoding, causal {causal}", lengths=(1, 5), nonpad=(5, 2), heads=(4, 2))
    yield _attention(
        "window of lengths",
        nonpad=(4, 2),
        lengths=(2, 5),
        opset=25,
        left_window_size=1,
        right_window_size=1,
    )
    yield _attention(
        "window of equal lengths", nonpad=(4, 4), lengths=(2, 6), opset=25, left_window_size=1
    )
    yield _attention(
        "lengths constant", nonpad=(2, 3), is_causal=1, constants=("nonpad_kv_seqlen",)
    )
    yield _attention(
        "lengths computed",
        nonpad=(2, 3),
        is_causal=1,
        follow=("Q", "K", "V", "nonpad_kv_seqlen"),
        within=(1, 4),
        incomplete="any key may be one that is attended",
    )


@cases("Attention")
def masks() -> Iterator[Case]:
    for shape in ((3, 4), (1, 4), (3, 1, 1, 4), (2, 3, 4), (3, 2, 3, 4), (3, 1, 3, 4), (1, 1, 4)):
        yield _attention(f"mask {shape}", mask=_floats(*shape), batch=3)
        yield _attention(
            f"mask {shape} after 1", mask=_floats(*shape), batch=3, past=1, lengths=(3, 3)
        )
    yield _attention("mask for a row", mask=_floats(4), opset=25)
    # What a number adds to the scores of all keys cancels out: a bool excludes them.
    column: dict[str, Any] = {
        "mask": np.array([[True], [False], [True]]),
        "follow": _MASKED,
    }
    yield _attention("mask for every key", opset=23, run=_broadcast(4), **column)
    yield _attention("mask of 1", opset=25, batch=1, **column)
    for width in (2, 3):
        yield _attention(f"mask of {width}", mask=_floats(3, width), opset=25, batch=1)
        yield _attention(f"mask of {width}, 24", mask=_floats(2, 2, 3, width), run=_padded(4))
    causal = np.where(np.random.default_rng(1).random((2, 1, 3, 3)) < 0.2, -np.inf, 0)
    yield _attention(
        "mask of a single key", mask=causal.astype("f"), lengths=(3, 3), is_causal=1, batch=2
    )
    boolean = np.random.default_rng(2).random((2, 1, 3, 4)) < 0.7
    yield _attention("mask of bools", mask=boolean, follow=_MASKED)
    yield _attention("mask of bools, causal", mask=boolean, follow=_MASKED, is_causal=1)
    yield _attention("constant mask", mask=boolean, constants=("attn_mask",), incomplete=_BY_VALUE)
    yield _attention("mask and lengths", mask=_floats(3, 4), nonpad=(2, 4))


def _broadcast(keys: int) -> Run:
    """A mask with one column counts for every key: neither runtime knows."""
    full = runner(_attention("", mask=np.ones((3, keys), bool), opset=23))

    def run(feeds: Feeds) -> Sequence[Any]:
        mask = np.asarray(feeds["attn_mask"])
        return full(feeds | {"attn_mask": np.repeat(mask, keys, axis=-1)})

    return run


def _padded(keys: int) -> Run:
    """Beyond a short mask nothing is attended: onnxruntime knows from version 25 on."""
    full = runner(_attention("", mask=_floats(2, 2, 3, keys)))

    def run(feeds: Feeds) -> Sequence[Any]:
        mask = np.asarray(feeds["attn_mask"])
        pads = [(0, 0)] * (mask.ndim - 1) + [(0, keys - mask.shape[-1])]
        return full(feeds | {"attn_mask": np.pad(mask, pads, constant_values=-np.inf)})

    return run


@cases("Attention")
def scores() -> Iterator[Case]:
    for mode in range(4):
        kept: dict[str, Any] = {"outputs": _SCORES, "qk_matmul_output_mode": mode}
        yield _attention(f"scores {mode}", heads=(4, 2), batch=1, **kept)
        yield _attention(f"scores {mode} capped", softcap=1.5, flat=True, **kept)
        yield _attention(f"scores {mode} masked", mask=_floats(2, 1, 3, 4), **kept)
        yield _attention(f"scores {mode} causal", is_causal=1, mask=_infinite(), **kept)
        kept["outputs"] = (*_CACHED, "qk_matmul_output")
        yield _attention(f"scores {mode} after 2", past=2, is_causal=1, lengths=(3, 2), **kept)
        kept |= {"outputs": _SCORES, "nonpad": (4, 2)}
        yield _attention(f"scores {mode} of lengths", is_causal=1, **kept)
        yield _attention(f"scores {mode} below lengths", **kept)
        window: dict[str, Any] = {"left_window_size": 1, "opset": 25, "lengths": (4, 6)}
        kept = {"outputs": _SCORES, "qk_matmul_output_mode": mode}
        yield _attention(f"scores {mode} in a window", is_causal=1, **kept, **window)


def _infinite() -> np.ndarray:
    """A mask for 3 by 4 scores that excludes some."""
    chance = np.random.default_rng(4).random((3, 4))
    return np.where(chance < 0.3, -np.inf, chance).astype(np.float32)


# ---------------------------------------------------------------- FlexAttention


def _flex(
    name: str,
    *,
    shapes: tuple[tuple[int, ...], ...] = ((1, 2, 3, 2), (1, 2, 4, 2), (1, 2, 4, 3)),
    incomplete: str = "",
    run: Run | None = None,
    more: dict[str, np.ndarray] | None = None,
    **graphs: str,
) -> Case:
    inputs = {k: _floats(*s, seed=n) for n, (k, s) in enumerate(zip("QKV", shapes, strict=True))}
    modifiers = {k: onnx.parser.parse_graph(text) for k, text in graphs.items()}
    model, feeds = single(
        "FlexAttention",
        inputs,
        ["Y"],
        domain="ai.onnx.preview",
        opset=26,
        **modifiers,
    )
    for key, value in (more or {}).items():
        feeds[key] = value
        model.graph.input.append(
            onnx.helper.make_tensor_value_info(key, onnx.TensorProto.FLOAT, value.shape)
        )
    return Case(f"FlexAttention {name}", model, feeds, incomplete, run, within=(-2, 2))


def _modified(body: str) -> str:
    return f"m (float[B, H, L, S] s) => (float[B, H, L, S] t) {{ {body} }}"


@cases("FlexAttention", "ai.onnx.preview")
def flex_attention() -> Iterator[Case]:
    yield _flex("plain")
    yield _flex("batch", shapes=((2, 1, 2, 3), (2, 1, 3, 3), (2, 1, 3, 2)))
    yield _flex("shared", shapes=((1, 4, 2, 2), (1, 2, 3, 2), (1, 2, 3, 2)))
    yield _flex(
        "one key",
        shapes=((1, 2, 3, 2), (1, 2, 1, 2), (1, 2, 1, 2)),
        incomplete="a softmax of one element, which ONNX's body has, counts as read",
    )
    yield _flex(
        "elementwise",
        score_mod=_modified("c = Constant<value_float = 2.0>() u = Div(s, c) t = Tanh(u)"),
        prob_mod=_modified("c = Constant<value_float = 0.5>() t = Mul(s, c)"),
    )
    yield _flex(
        "by place",
        score_mod=_modified(
            "d = Shape(s) k = Constant<value_int = 3>() n = Gather(d, k)"
            " z = Constant<value_int = 0>() o = Constant<value_int = 1>()"
            " r = Range(z, n, o) f = Cast<to = 1>(r) t = Add(s, f)"
        ),
    )
    yield _flex(
        "relative",
        score_mod=_modified("m = ReduceMax<keepdims = 1>(s) t = Sub(s, m)"),
        incomplete="any score may depend on all",
    )
    slopes = _floats(2, 1, 1, seed=8)
    yield _flex(
        "slopes from outside",
        more={"slopes": slopes},
        score_mod=_modified("t = Mul(s, slopes)"),
        run=_sloped,
    )


def _sloped(feeds: Feeds) -> list[np.ndarray]:
    """Scores times `slopes`: the reference implementation does not reach values outside."""
    Q, K, V, slopes = (np.asarray(feeds[k], np.float64) for k in ("Q", "K", "V", "slopes"))
    s = Q @ K.swapaxes(-1, -2) / np.sqrt(Q.shape[-1]) * slopes
    weights = np.exp(s - s.max(-1, keepdims=True))
    return [weights / weights.sum(-1, keepdims=True) @ V]


# ---------------------------------------------------------------- positions


def _rotary(
    name: str,
    positions: np.ndarray | None = None,
    *,
    shape: tuple[int, ...] = (2, 3, 2, 4),
    rows: int = 4,
    turned: int = 0,
    incomplete: str = "",
    constants: Sequence[str] = (),
    follow: tuple[str, ...] = (),
    within: tuple[float, float] = (-2, 2),
    **attributes: Any,
) -> Case:
    heads = attributes.get("num_heads", 0)
    length, size = (shape[1], shape[2] // heads) if heads else shape[2:]
    leading = (shape[0], length) if positions is None else (rows,)
    pairs = (turned or size) // 2
    model, feeds = single(
        "RotaryEmbedding",
        {
            "X": _floats(*shape),
            "cos_cache": _floats(*leading, pairs, seed=2),
            "sin_cache": _floats(*leading, pairs, seed=3),
            "position_ids": positions,
        },
        opset=23,
        constants=constants,
        rotary_embedding_dim=turned,
        **attributes,
    )
    return Case(f"RotaryEmbedding {name}", model, feeds, incomplete, None, follow, within)


@cases("RotaryEmbedding")
def rotary_embedding() -> Iterator[Case]:
    varied, alike = np.array([[3, 0], [1, 2]]), np.array([[1, 2], [1, 2]])
    for interleaved in (0, 1):
        for turned in (0, 2):
            given: dict[str, Any] = {"interleaved": interleaved, "turned": turned}
            name = f"interleaved {interleaved} of {turned}"
            yield _rotary(name, **given)
            yield _rotary(f"{name} varied", varied, **given)
            yield _rotary(f"{name} flat", alike, shape=(2, 2, 8), num_heads=2, **given)
        yield _rotary(f"wide {interleaved}", shape=(1, 1, 1, 6), interleaved=interleaved)
        yield _rotary(f"flat {interleaved}", shape=(2, 3, 4), num_heads=1, interleaved=interleaved)
    yield _rotary("constant caches", varied, constants=("cos_cache", "sin_cache"))
    yield _rotary(
        "computed",
        varied,
        follow=("X", "cos_cache", "sin_cache", "position_ids"),
        within=(0, 3),
        incomplete="any row of the caches may be read",
    )
    yield _rotary(
        "computed, constant caches",
        varied,
        constants=("cos_cache", "sin_cache"),
        follow=("X", "position_ids"),
        within=(0, 3),
    )


@cases("TensorScatter")
def tensor_scatter() -> Iterator[Case]:
    def case(
        name: str,
        begin: Sequence[int] | None,
        shape: tuple[int, ...] = (2, 3, 5, 2),
        count: int = 2,
        **options: Any,
    ) -> Case:
        axis = options.get("axis", -2)
        update = list(shape)
        update[axis] = count
        fields = {k: options.pop(k) for k in ("follow", "within", "incomplete") if k in options}
        model, feeds = single(
            "TensorScatter",
            {
                "past_cache": _floats(*shape),
                "update": _floats(*update, seed=2),
                "write_indices": None if begin is None else np.array(begin),
            },
            opset=24,
            **options,
        )
        return Case(f"TensorScatter {name}", model, feeds, **fields)

    for mode in ("linear", "circular"):
        yield case(f"{mode} from the first", None, mode=mode)
        yield case(f"{mode} alike", [1, 1], mode=mode)
        yield case(f"{mode} varied", [3, 0], mode=mode)
        yield case(f"{mode} flat", [2, 1, 0], (3, 4, 5), mode=mode)
        yield case(f"{mode} axis", [2, 1], (2, 4, 3), 2, axis=1, mode=mode)
        yield case(f"{mode} last axis", [0, 2], (2, 1, 3), 1, axis=-1, mode=mode)
        yield case(f"{mode} whole", [0, 0], count=5, mode=mode)
        yield case(
            f"{mode} computed",
            [1, 0],
            (2, 4, 2),
            follow=("past_cache", "update", "write_indices"),
            within=(0, 2),
            mode=mode,
            incomplete="only some places are tried",
        )
    yield case("circular across the end", [4, 7], mode="circular")
    yield case("circular whole", [2, 4], count=5, mode="circular")


# ---------------------------------------------------------------- running states


def _linear(
    rule: str,
    *,
    length: int = 3,
    heads: tuple[int, int] = (2, 2),
    past: bool = False,
    by_key: bool = True,
    common: bool = False,
) -> Case:
    h, g = heads
    batch, d, m = 1 + (length < 3), 2, 3
    inputs = {
        "query": _floats(batch, length, h * d, seed=1),
        "key": _floats(batch, length, g * d, seed=2),
        "value": _floats(batch, length, g * m, seed=3),
        "past_state": _floats(batch, g, d, m, seed=4) if past else None,
        "decay": _floats(batch, length, g * (d if by_key else 1), seed=5),
        "beta": _floats(batch, length, 1 if common else g, seed=6),
    }
    if "gated" not in rule:
        inputs["decay"] = None
    if "delta" not in rule:
        inputs["beta"] = None
    model, feeds = single(
        "LinearAttention", inputs, 2, opset=27, update_rule=rule, q_num_heads=h, kv_num_heads=g
    )
    name = f"{rule} {length} {heads} past {past} by key {by_key} common {common}"
    # A decay that overflows is what reaches a state that is still zero.
    return Case(f"LinearAttention {name}", model, feeds, within=(-1e3, 1e3))


@cases("LinearAttention")
def linear_attention() -> Iterator[Case]:
    for rule in ("linear", "gated", "delta", "gated_delta"):
        for past in (False, True):
            for length in (1, 3):
                yield _linear(rule, past=past, length=length)
            yield _linear(rule, past=past, length=2, heads=(4, 2), by_key=False)
        yield _linear(rule, heads=(2, 1), common=True)


@cases("CausalConvWithState")
def causal_conv_with_state() -> Iterator[Case]:
    for length, kernel in ((5, 3), (2, 4), (1, 3), (4, 1)):
        for past in (False, True):
            for more in ({}, {"activation": "silu"}):
                if past and kernel == 1:
                    continue
                model, feeds = single(
                    "CausalConvWithState",
                    {
                        "input": _floats(2, 3, length),
                        "weight": _floats(3, 1, kernel, seed=2),
                        "bias": _floats(3, seed=3) if more else None,
                        "past_state": _floats(2, 3, kernel - 1, seed=4) if past else None,
                    },
                    2,
                    opset=27,
                    **more,
                )
                name = f"CausalConvWithState {length} {kernel} past {past} {more}"
                yield Case(name, model, feeds, within=(-2, 2))


@cases("SwiGLU")
def swiglu() -> Iterator[Case]:
    model, feeds = single("SwiGLU", {"A": _floats(2, 3), "B": _floats(2, 3, seed=2)}, opset=28)
    yield Case("SwiGLU", model, feeds, within=(-2, 2))
