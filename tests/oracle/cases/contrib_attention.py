"""Cases of attention as com.microsoft has it; values so small that no weight vanishes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import onnx

from ..observe import session
from ..perturbation import Case, Feeds, Run
from . import cases
from .contrib_fused import MS, ms, normal

_Cases: TypeAlias = Iterator[Case]
_SMALL: dict[str, Any] = {"within": (-1, 1)}


def _i32(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def _softmax(scores: np.ndarray) -> np.ndarray:
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


# ---------------------------------------------------------------- rotary positions


@cases("RotaryEmbedding", MS)
def rotary_embedding() -> _Cases:
    for interleaved in (0, 1):
        inputs = {
            "input": normal(2, 3, 8),
            "position_ids": np.array([[0, 4, 2], [1, 1, 3]]),
            "cos": normal(5, 2, seed=1),
            "sin": normal(5, 2, seed=2),
        }
        yield Case(f"ids-{interleaved}", *ms("RotaryEmbedding", inputs, interleaved=interleaved))
        inputs["position_ids"] = np.array([2])
        yield Case(f"offset-{interleaved}", *ms("RotaryEmbedding", inputs, interleaved=interleaved))
        inputs["input"] = normal(2, 2, 3, 4)
        yield Case(f"heads-{interleaved}", *ms("RotaryEmbedding", inputs, interleaved=interleaved))
        inputs["input"] = normal(1, 3, 12)
        options = {"num_heads": 2, "rotary_embedding_dim": 4, "interleaved": interleaved}
        yield Case(f"part-{interleaved}", *ms("RotaryEmbedding", inputs, **options))
    model, feeds = ms("RotaryEmbedding", {**inputs, "position_ids": np.array([1])}, **options)
    yield Case(
        "computed",
        model,
        feeds,
        incomplete="the positions are computed",
        follow=("input", "position_ids", "cos"),
        within=(0, 2),
    )
    inputs = {
        "input": normal(2, 3, 4),
        "position_ids": np.array([[0, 4, 2], [1, 1, 3]]),
        "cos": normal(5, 2, seed=1),
        "sin": normal(5, 2, seed=2),
    }
    yield Case(
        "computed-ids",
        *ms("RotaryEmbedding", inputs),
        incomplete="the positions are computed",
        follow=tuple(inputs),
        within=(0, 4),
        trials=12,
    )


# ---------------------------------------------------------------- attention with projections


def _attention(outputs: int = 1, **inputs: Any) -> Callable[..., tuple[onnx.ModelProto, Feeds]]:
    order = ("input", "weights", "bias", "mask_index", "past", "attention_bias", "length")
    given = {
        "input": normal(2, 3, 2),
        "weights": normal(2, 12, seed=1),
        "bias": normal(12, seed=2),
        **inputs,
    }
    chosen = {name: given.get(name) for name in order}
    while chosen and chosen[next(reversed(chosen))] is None:
        chosen.popitem()
    return lambda **options: ms("Attention", chosen, outputs, **{"num_heads": 2, **options})


@cases("Attention", MS)
def attention() -> _Cases:
    yield Case("plain", *_attention()(), **_SMALL)
    yield Case("present", *_attention(2)(), **_SMALL)
    yield Case("unidirectional", *_attention(2)(unidirectional=1), **_SMALL)
    past = normal(2, 2, 2, 2, 2, seed=3)
    for unidirectional in (0, 1):
        model, feeds = _attention(2, past=past)(unidirectional=unidirectional)
        yield Case(f"past-{unidirectional}", model, feeds, **_SMALL)
    for shape in ((1, 2, 3, 3), (2, 1, 3, 3), (1, 1, 3, 3)):
        model, feeds = _attention(attention_bias=normal(*shape))()
        yield Case(f"bias-{shape}", model, feeds, **_SMALL)
    sizes = {"weights": normal(2, 14, seed=1), "bias": normal(14), "input": normal(1, 3, 2)}
    yield Case("sizes", *_attention(**sizes)(qkv_hidden_sizes=[4, 4, 6]), **_SMALL)


@cases("Attention", MS)
def masked_attention() -> _Cases:
    """A mask of finite numbers cuts nothing: a weak one shows it."""
    rng = np.random.default_rng(0)
    past = normal(2, 2, 2, 2, 2, seed=3)
    for name, mask, more in (
        ("length", _i32(2, 1), {}),
        ("ends-starts", _i32(3, 2, 1, 0), {}),
        ("keys", rng.integers(0, 2, (2, 3), np.int32), {}),
        ("pairs", rng.integers(0, 2, (2, 3, 3), np.int32), {}),
        ("past", rng.integers(0, 2, (2, 5), np.int32), {"past": past}),
        ("past-pairs", rng.integers(0, 2, (2, 3, 5), np.int32), {"past": past}),
    ):
        options: dict[str, Any] = {"mask_filter_value": -0.5}
        model, feeds = _attention(2 if more else 1, mask_index=mask, **more)(**options)
        followed = tuple(feeds)
        if mask.ndim == 1:
            yield Case(name, model, feeds, **_SMALL)
            yield Case(f"{name}-alone", model, feeds, follow=("mask_index",), within=(0, 3))
            # At which lengths the mask may be read depends on them.
            yield Case(f"{name}-read", model, feeds, "lengths", follow=followed, within=(0, 3))
        else:
            yield Case(name, model, feeds, follow=followed, within=(0, 1))


@cases("QAttention", MS)
def q_attention() -> _Cases:
    rng = np.random.default_rng(0)
    for columns in (1, 12):
        inputs = {
            "input": rng.integers(100, 150, (2, 3, 2), np.uint8),
            "weight": rng.integers(100, 150, (2, 12), np.uint8),
            "bias": normal(12),
            "input_scale": np.float32(0.02),
            "weight_scale": np.full(columns, 0.02, np.float32),
            "mask_index": None,
            "input_zero_point": np.uint8(128),
            "weight_zero_point": np.full(columns, 128, np.uint8),
            "past": normal(2, 2, 2, 2, 2, seed=3),
        }
        if columns == 1:
            inputs["weight_scale"], inputs["weight_zero_point"] = np.float32(0.02), np.uint8(128)
        options = {"num_heads": 2, "unidirectional": 1}
        constants = ("weight", "weight_scale", "weight_zero_point")
        model, feeds = ms("QAttention", inputs, 2, constants=constants, **options)
        yield Case(f"data-{columns}", model, feeds, follow=("input",), within=(90, 160))
        yield Case(f"floats-{columns}", model, feeds, follow=("bias", "past"), **_SMALL)
        inputs.pop("past")
        model, feeds = ms("QAttention", inputs, constants=constants, num_heads=2)
        yield Case(f"scale-{columns}", model, feeds, follow=("input_scale",), within=(0.01, 1))


@cases("DecoderMaskedSelfAttention", MS)
def decoder_masked_self_attention() -> _Cases:
    model, feeds = _attention(2, input=normal(2, 1, 2), past=normal(2, 2, 2, 3, 2, seed=3))()
    run = _run(model)
    model.graph.node[0].op_type = "DecoderMaskedSelfAttention"
    yield Case("one", model, feeds, run=run, **_SMALL)


def _run(model: onnx.ModelProto) -> Run:
    opened = session(model)
    return lambda feeds: opened.run(None, feeds)


def _numpy(unidirectional: int, held: int, scale: float = 1.0) -> Run:
    """Attention with a cache that has more room than it holds."""

    def run(feeds: Feeds) -> list[np.ndarray]:
        product = feeds["input"] @ feeds["weights"] + feeds["bias"]
        split = product.reshape(*product.shape[:2], 3, 2, -1).transpose(2, 0, 3, 1, 4)
        q, present = split[0], feeds["past"].copy()
        new = q.shape[2]
        present[:, :, :, held : held + new] = split[1:]
        k, v = present[:, :, :, : held + new]
        scores = q @ k.swapaxes(-1, -2) * scale
        if unidirectional:
            s, t = np.ogrid[:new, : held + new]
            scores = np.where(t <= s + held, scores, -np.inf)
        y = _softmax(scores) @ v
        return [y.transpose(0, 2, 1, 3).reshape(*product.shape[:2], -1), present]

    return run


@cases("Attention", MS)
def shared_buffer() -> _Cases:
    past = normal(2, 2, 2, 7, 2, seed=3)
    for unidirectional in (0, 1):
        model, feeds = _attention(2, past=past, length=_i32(2))(
            past_present_share_buffer=1, unidirectional=unidirectional
        )
        run = _numpy(unidirectional, 2)
        yield Case(f"shared-{unidirectional}", model, feeds, run=run, **_SMALL)
        yield Case(
            f"computed-{unidirectional}",
            model,
            feeds,
            "how much is held is computed",
            run=run,
            follow=tuple(feeds),
            **_SMALL,
        )
        yield Case(
            f"length-{unidirectional}",
            model,
            feeds,
            "how much is held is computed",
            run=lambda f, mask=unidirectional: _numpy(mask, int(f["length"][0]))(f),
            follow=("length",),
            within=(0, 4),
        )


# ---------------------------------------------------------------- attention of given projections


def _multi(op_type: str, order: str, outputs: Any = 1, **inputs: Any) -> Any:
    chosen = {name: inputs.get(name) for name in order.split()}
    while chosen[next(reversed(chosen))] is None:
        chosen.popitem()
    options = {k: v for k, v in inputs.items() if k not in chosen and k not in order.split()}
    return ms(op_type, chosen, outputs, **{"num_heads": 2, **options})


_MULTI_HEAD = "query key value bias mask attention_bias past_key past_value length beams"


def _plain(batch: int = 2) -> dict[str, Any]:
    return {
        "query": normal(batch, 3, 4),
        "key": normal(batch, 2, 4, seed=1),
        "value": normal(batch, 2, 6, seed=2),
    }


@cases("MultiHeadAttention", MS)
def multi_head_attention() -> _Cases:
    def case(name: str, outputs: Any = 1, incomplete: str = "", **inputs: Any) -> Case:
        model, feeds = _multi("MultiHeadAttention", _MULTI_HEAD, outputs, **inputs)
        return Case(name, model, feeds, incomplete, **_SMALL)

    plain = _plain()
    same = {**plain, "value": normal(2, 2, 4, seed=2)}
    yield case("cross", **plain)
    yield case("bias", **plain, bias=normal(14, seed=3))
    yield case("present", 3, **same, bias=normal(12, seed=3))
    past = {"past_key": normal(2, 2, 2, 2, seed=4), "past_value": normal(2, 2, 2, 2, seed=5)}
    own = {
        "query": normal(2, 3, 4),
        "key": normal(2, 3, 4, seed=1),
        "value": normal(2, 3, 4, seed=2),
    }
    more = normal(1, 2, 3, 5, seed=6)
    for unidirectional in (0, 1):
        options = {**own, **past, "unidirectional": unidirectional}
        yield case(f"past-{unidirectional}", 3, **options)
        yield case(f"past-bias-{unidirectional}", 3, **options, attention_bias=more)
    yield case("scores", ["y", "", "", "qk"], **own)
    yield case("causal", 3, **own, unidirectional=1)
    for shape in ((2, 2, 3, 2), (1, 1, 3, 2)):
        yield case(f"attention-bias-{shape}", **plain, attention_bias=normal(*shape, seed=6))
    for given in ((2, 2), (2, 3, 2)):
        mask = np.random.default_rng(1).integers(0, 2, given, np.int32)
        model, feeds = _multi(
            "MultiHeadAttention", _MULTI_HEAD, **plain, mask=mask, mask_filter_value=-0.5
        )
        yield Case(f"mask-{given}", model, feeds, follow=tuple(feeds), **_SMALL)
    heads = {"key": normal(2, 2, 5, 2, seed=1), "value": normal(2, 2, 5, 2, seed=2)}
    yield case("by-heads", query=normal(2, 3, 4), **heads)
    yield case("by-heads-bias", query=normal(2, 3, 4), **heads, bias=normal(12))


def _packed_run(feeds: Feeds) -> list[np.ndarray]:
    """Queries, keys and values in one input, or keys and values in a second one."""
    query = feeds["query"]
    packed = query if query.ndim == 5 else feeds["key"]
    *first, k, v = np.moveaxis(packed, 3, 0).swapaxes(2, 3)
    heads = packed.shape[2]
    q = first[0] if first else query.reshape(*query.shape[:2], heads, -1).swapaxes(1, 2)
    if "bias" in feeds:
        b = feeds["bias"].reshape(3, heads, 1, -1)
        q, k, v = q + b[0], k + b[1], v + b[2]
    y = _softmax(q @ k.swapaxes(-1, -2)) @ v
    return [y.swapaxes(1, 2).reshape(*query.shape[:2], -1)]


@cases("MultiHeadAttention", MS)
def packed() -> _Cases:
    for name, inputs in (
        ("all", {"query": normal(2, 3, 2, 3, 2)}),
        ("all-bias", {"query": normal(2, 3, 2, 3, 2), "bias": normal(12)}),
        ("two", {"query": normal(2, 3, 4), "key": normal(2, 4, 2, 2, 2, seed=1)}),
    ):
        model, feeds = _multi("MultiHeadAttention", _MULTI_HEAD, **inputs)
        yield Case(name, model, feeds, run=_packed_run, **_SMALL)


_DECODER = "query key value mask attention_bias past_key past_value length beam_width beams bias"


@cases("DecoderMaskedMultiHeadAttention", MS)
def decoder_masked_multi_head_attention() -> _Cases:
    own = {
        "query": normal(2, 1, 4),
        "key": normal(2, 1, 4, seed=1),
        "value": normal(2, 1, 4, seed=2),
        "past_key": normal(2, 2, 3, 2, seed=4),
        "past_value": normal(2, 2, 3, 2, seed=5),
    }
    op = "DecoderMaskedMultiHeadAttention"
    for name, more in (
        ("plain", {}),
        ("bias", {"bias": normal(12)}),
        ("attention-bias", {"attention_bias": normal(1, 2, 1, 4)}),
    ):
        run = _run(_multi("MultiHeadAttention", _MULTI_HEAD, 3, **own, **more)[0])
        model, feeds = _multi(op, _DECODER, 3, **own, **more)
        yield Case(name, model, feeds, run=run, **_SMALL)
    cross = {
        "query": normal(2, 1, 4),
        "key": normal(2, 2, 3, 2, seed=1),
        "value": normal(2, 2, 3, 2, seed=2),
    }
    yield Case("cross", *_multi(op, _DECODER, **cross), **_SMALL)

    def shared(feeds: Feeds) -> list[np.ndarray]:
        q, k, v = (feeds[n].reshape(2, 1, 2, 2).swapaxes(1, 2) for n in ("query", "key", "value"))
        keys, values = feeds["past_key"].copy(), feeds["past_value"].copy()
        keys[:, :, 1:2], values[:, :, 1:2] = k, v
        y = _softmax(q @ keys[:, :, :2].swapaxes(-1, -2)) @ values[:, :, :2]
        return [y.swapaxes(1, 2).reshape(2, 1, 4), keys, values]

    options = {"length": _i32(1), "past_present_share_buffer": 1}
    model, feeds = _multi(op, _DECODER, 3, **own, **options)
    yield Case("shared", model, feeds, "keys lie in another order", run=shared, **_SMALL)
    model, feeds = _multi("MultiHeadAttention", _MULTI_HEAD, 3, **own, length=_i32(1))
    yield Case("shared-too", model, feeds, run=shared, **_SMALL)

    def at(feeds: Feeds) -> list[np.ndarray]:
        before, now = shared(feeds), feeds["length"][0]
        moved = []
        for name, new in (("past_key", "key"), ("past_value", "value")):
            moved.append(feeds[name].copy())
            own = feeds[new].reshape(2, 1, 2, 2).swapaxes(1, 2)
            moved[-1][:, :, now : now + 1] = own
        return [before[0] * now, *moved]

    why = "how much is held is computed"
    yield Case("length", model, feeds, why, run=at, follow=("length",), within=(0, 2))


# ---------------------------------------------------------------- grouped queries

_GROUPED = (
    "query key value past_key past_value seqlens_k total cos sin position_ids attention_bias sink"
)


def _group(
    batch: int,
    new: int,
    past: int,
    held: tuple[int, ...],
    total: int,
    size: int = 8,
    **more: Any,
) -> tuple[onnx.ModelProto, Feeds]:
    inputs: dict[str, Any] = {
        "num_heads": 4,
        "kv_num_heads": 2,
        "query": normal(batch, new, 4 * size) / 2,
        "key": normal(batch, new, 2 * size, seed=1) / 2,
        "value": normal(batch, new, 2 * size, seed=2),
        "seqlens_k": _i32(*[h + new - 1 for h in held]),
        "total": _i32(total),
    }
    if past:
        inputs["past_key"] = normal(batch, 2, past, size, seed=3) / 2
        inputs["past_value"] = normal(batch, 2, past, size, seed=4)
    given = {k: v for k, v in {**inputs, **more}.items() if v is not None}
    made: tuple[onnx.ModelProto, Feeds] = _multi("GroupQueryAttention", _GROUPED, 3, **given)
    return made


def _first(name: str, model: onnx.ModelProto, feeds: Feeds) -> Case:
    """A case of the first output alone; the kernel needs the others too."""
    run = _run(model)
    alone = onnx.ModelProto()
    alone.CopyFrom(model)
    del alone.graph.output[1:]
    return Case(name, alone, feeds, run=lambda feeds: run(feeds)[:1], **_SMALL)


@cases("GroupQueryAttention", MS)
def group_query_attention() -> _Cases:
    yield Case("one", *_group(1, 1, 3, (3,), 4), **_SMALL)
    yield Case("batch", *_group(2, 1, 2, (2, 2), 3), **_SMALL)
    yield Case("several", *_group(1, 3, 2, (2,), 5), **_SMALL)
    yield Case("all", *_group(1, 2, 2, (2,), 4, causal=0), **_SMALL)
    yield Case("first", *_group(2, 3, 0, (0, 0), 3), **_SMALL)
    yield Case("smooth", *_group(1, 3, 0, (0,), 3, smooth_softmax=1), **_SMALL)
    yield Case("window", *_group(1, 3, 4, (4,), 7, local_window_size=3), **_SMALL)
    yield Case("window-of-one", *_group(1, 3, 2, (2,), 5, local_window_size=1), **_SMALL)
    yield Case("sink", *_group(1, 2, 1, (1,), 3, sink=normal(4)), **_SMALL)
    for shape in ((1, 4, 2, 3), (1, 1, 2, 3)):
        yield Case("bias", *_group(1, 2, 1, (1,), 3, attention_bias=normal(*shape)), **_SMALL)
    packed = {"query": normal(1, 2, 64) / 2, "key": None, "value": None}
    yield Case("packed", *_group(1, 2, 1, (1,), 3, **packed), **_SMALL)
    # What present has where nothing is held is not said.
    unsaid = "entries that hold nothing"
    yield Case("ragged", *_group(2, 1, 3, (3, 1), 4), unsaid, **_SMALL)
    yield _first("ragged-output", *_group(2, 1, 3, (3, 1), 4))
    yield Case("room", *_group(1, 2, 6, (2,), 4), unsaid, **_SMALL)
    yield _first("room-output", *_group(1, 2, 6, (2,), 4))


@cases("GroupQueryAttention", MS)
def computed_lengths() -> _Cases:
    model, feeds = _group(1, 1, 4, (2,), 5)
    followed = ("query", "key", "value", "past_key", "past_value", "seqlens_k")
    why = "how much is held is computed"
    yield Case("computed", model, feeds, why, follow=followed, within=(0, 3))


@cases("GroupQueryAttention", MS)
def rotary() -> _Cases:
    for interleaved in (0, 1):
        angles = {
            "size": 16,
            "cos": normal(8, 8, seed=5),
            "sin": normal(8, 8, seed=6),
            "do_rotary": 1,
            "rotary_interleaved": interleaved,
        }
        yield Case(f"several-{interleaved}", *_group(1, 2, 2, (2,), 4, **angles), **_SMALL)
    yield _first("ragged", *_group(2, 1, 3, (3, 1), 4, **angles))
    ids = np.array([[5, 1]])
    yield Case("ids", *_group(1, 2, 2, (2,), 4, **angles, position_ids=ids), **_SMALL)


# ---------------------------------------------------------------- sequences one after the other


def _within(q: np.ndarray, k: np.ndarray, v: np.ndarray, ends: np.ndarray, bias: Any) -> Any:
    """Attention of (heads, tokens, size), sequence by sequence."""
    y = np.zeros(v.shape, q.dtype)
    for b, (begin, end) in enumerate(pairwise(ends)):
        if end <= begin:
            continue
        scores = q[:, begin:end] @ k[:, begin:end].swapaxes(-1, -2)
        if bias is not None:
            scores = scores + bias[min(b, len(bias) - 1), :, : end - begin, : end - begin]
        y[:, begin:end] = _softmax(scores) @ v[:, begin:end]
    return y.swapaxes(0, 1).reshape(y.shape[1], -1)


def _tokens(array: np.ndarray, heads: int = 2) -> np.ndarray:
    return array.reshape(len(array), heads, -1).swapaxes(0, 1)


_ENDS: dict[str, Any] = {
    "token_offset": np.array([[0, 1, 2], [3, 4, 5]], np.int32),
    "cumulative_sequence_length": _i32(0, 2, 5),
}


@cases("PackedAttention", MS)
def packed_attention() -> _Cases:
    def run(feeds: Feeds) -> list[np.ndarray]:
        product = feeds["input"] @ feeds["weights"] + feeds["bias"]
        q, k, v = (_tokens(part) for part in np.split(product, 3, axis=-1))
        ends = feeds["cumulative_sequence_length"]
        return [_within(q, k, v, ends, feeds.get("attention_bias"))]

    inputs = {"input": normal(5, 2), "weights": normal(2, 12, seed=1), "bias": normal(12), **_ENDS}
    yield Case("plain", *ms("PackedAttention", inputs, num_heads=2), run=run, **_SMALL)
    for shape in ((2, 2, 3, 3), (1, 1, 3, 3)):
        more = {**inputs, "attention_bias": normal(*shape, seed=2)}
        model, feeds = ms("PackedAttention", more, num_heads=2)
        yield Case(f"bias-{shape}", model, feeds, run=run, **_SMALL)
    model, feeds = ms("PackedAttention", inputs, num_heads=2)
    followed = ("input", "cumulative_sequence_length")
    why = "where sequences end is computed"
    yield Case("computed", model, feeds, why, run=run, follow=followed, within=(0, 5))


@cases("PackedMultiHeadAttention", MS)
def packed_multi_head_attention() -> _Cases:
    def run(feeds: Feeds) -> list[np.ndarray]:
        query = feeds["query"]
        if query.ndim == 4:
            q, k, v = query.transpose(2, 1, 0, 3)
        else:
            q, k, v = (_tokens(feeds[name]) for name in ("query", "key", "value"))
        if "bias" in feeds:
            width = q.shape[0] * q.shape[2]
            b = feeds["bias"][:, None]
            q = q + b[:width].reshape(2, 1, -1)
            k = k + b[width : 2 * width].reshape(2, 1, -1)
            v = v + b[2 * width :].reshape(2, 1, -1)
        ends = feeds["cumulative_sequence_length"]
        return [_within(q, k, v, ends, feeds.get("attention_bias"))]

    three = {"query": normal(5, 4), "key": normal(5, 4, seed=1), "value": normal(5, 6, seed=2)}
    nothing = {"key": None, "value": None}
    for name, inputs in (
        ("three", {**three, "bias": None, **_ENDS}),
        ("bias", {**three, "bias": normal(14, seed=3), **_ENDS}),
        ("one", {"query": normal(5, 2, 3, 2), **nothing, "bias": normal(12), **_ENDS}),
        (
            "attention-bias",
            {**three, "bias": None, **_ENDS, "attention_bias": normal(2, 1, 3, 3, seed=4)},
        ),
    ):
        model, feeds = ms("PackedMultiHeadAttention", inputs, num_heads=2)
        yield Case(name, model, feeds, run=run, **_SMALL)
