"""Cases of operators on text.

An input of text is followed as numbers of words, which are looked up before the model is run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from onnx import TensorProto

from tests.graphs import single

from ..observe import session
from ..perturbation import Case, Feeds
from . import cases

_TEXT, _BOOL, _INT = TensorProto.STRING, TensorProto.BOOL, TensorProto.INT64
_WORDS = np.array(["a", "b c", "d", "a b", "e  f g", "stop", "a c"], dtype=object)


def _spelled(feeds: Feeds) -> Feeds:
    return {name: np.array(_WORDS[numbers], dtype=object) for name, numbers in feeds.items()}


def _case(
    name: str,
    operator: str,
    inputs: Feeds,
    outputs: int = 1,
    incomplete: str = "",
    *,
    unobserved: int = 0,
    **options: Any,
) -> Case:
    """A case of one operator; `inputs` are numbers of words."""
    model, _ = single(operator, _spelled(inputs), outputs, **options)
    del model.graph.output[:unobserved]
    opened = session(model)

    def run(feeds: Feeds) -> Sequence[Any]:
        found: Sequence[Any] = opened.run(None, _spelled(feeds))
        return found

    within = (0, len(_WORDS) - 1)
    return Case(name, model, inputs, incomplete, run, tuple(inputs), within)


def _numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, len(_WORDS), shape)


@cases("StringConcat")
def string_concat() -> Iterator[Case]:
    for a, b in (((2, 3), (2, 3)), ((2, 1), (3,)), ((1, 3), (2, 1, 1)), ((), (2,))):
        inputs = {"X": _numbers(*a), "Y": _numbers(*b)}
        yield _case(f"{a}-{b}", "StringConcat", inputs, kinds={"y0": _TEXT})


@cases("RegexFullMatch")
def regex_full_match() -> Iterator[Case]:
    kinds = {"y0": _BOOL}
    yield _case("2d", "RegexFullMatch", {"X": _numbers(2, 3)}, kinds=kinds, pattern="a.*")
    yield _case("1d", "RegexFullMatch", {"X": _numbers(4)}, kinds=kinds, pattern="[ab c]+")


@cases("StringSplit")
def string_split() -> Iterator[Case]:
    reason = "the length of the last axis is that of the string with the most parts"
    for shape in ((3,), (2, 2)):
        inputs = {"X": _numbers(*shape)}
        for options in ({}, {"delimiter": "b"}, {"maxsplit": 1}):
            name = f"{shape}-{options}"
            options["kinds"] = {"y0": _TEXT, "y1": _INT}
            yield _case(name, "StringSplit", inputs, 2, reason, **options)
            yield _case(f"{name}-counts", "StringSplit", inputs, 2, unobserved=1, **options)


@cases("StringNormalizer")
def string_normalizer() -> Iterator[Case]:
    for shape in ((4,), (1, 3)):
        inputs = {"X": _numbers(*shape)}
        for action in ("NONE", "UPPER"):
            options = {"case_change_action": action, "locale": "C", "opset": 10}
            options["kinds"] = {"y0": _TEXT}
            yield _case(f"{shape}-{action}", "StringNormalizer", inputs, **options)
            options |= {"stopwords": ["stop", "d"], "is_case_sensitive": 1}
            reason = "words move up only where one before them is dropped"
            name = f"{shape}-{action}-stopwords"
            yield _case(name, "StringNormalizer", inputs, incomplete=reason, **options)


@cases("TfIdfVectorizer")
def tf_idf_vectorizer() -> Iterator[Case]:
    # Words are counted at 0 and 4, pairs at 1 and 3, and at 2 nothing: any change counts.
    numbers = range(4)
    pairs = [(a, b) for a in numbers for b in numbers]
    pool = [*numbers, *(number for pair in pairs for number in pair)]
    indices = [*(a % 2 * 4 for a in numbers), *(1 + (a + b) % 2 * 2 for a, b in pairs)]
    for shape in ((5,), (2, 4), (3, 1)):
        for mode, least, most, skips in (("TF", 1, 1, 0), ("IDF", 1, 2, 0), ("TFIDF", 2, 2, 2)):
            attributes = {
                "mode": mode,
                "min_gram_length": least,
                "max_gram_length": most,
                "max_skip_count": skips,
                "ngram_counts": [0, 4],
                "ngram_indexes": indices,
            }
            inputs = {"X": np.random.default_rng(3).integers(0, 4, shape)}
            model, feeds = single("TfIdfVectorizer", inputs, pool_int64s=pool, **attributes)
            reason = "what is there twice counts once" if mode == "IDF" else ""
            name = f"{shape}-{mode}-{least}-{most}"
            yield Case(name, model, feeds, reason, follow=("X",), within=(0, 3))
    attributes |= {"min_gram_length": 1, "pool_strings": [str(_WORDS[k]) for k in pool]}
    yield _case("words", "TfIdfVectorizer", {"X": _numbers(2, 5)}, **attributes)
