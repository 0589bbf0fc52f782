"""What is asked of a model that breaks a rule, and what may come of it."""

from __future__ import annotations

import traceback
import warnings
from contextlib import suppress
from pathlib import Path
from random import Random

import numpy as np
import onnx

import rfgraph
from rfgraph.errors import RFGraphError

# Values of which everything is asked, and units of them.
_VALUES, _UNITS = 6, 2

# Supports are compared with boxes up to this many elements.
_ELEMENTS = 1 << 16

# Bounds of values of up to this many elements are asked for.
_WRITTEN = 1 << 21


class WrongError(AssertionError):
    """An answer that contradicts another."""


def verdict(random: Random, model: onnx.ModelProto) -> str:
    """What came of a model: ``answered``, ``refused``, or what is wrong, in one line."""
    try:
        content = model.SerializeToString()
    except Exception:
        # The format itself refuses what was made of it.
        return "unwritable"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            _asked(random, content)
        except RFGraphError as error:
            said = str(error)
            if "\n" in said or len(said) > 2000:
                return f"wrong: an error of {len(said)} characters, {said.count(chr(10))} breaks"
            result = "refused"
        except WrongError as error:
            return f"wrong: {error}"
        except Exception as error:
            return f"foreign: {type(error).__name__} {_place(error)}: {str(error)[:100]!r}"
        else:
            result = "answered"
        return _checked(content, result)


def raised(random: Random, model: onnx.ModelProto) -> None:
    """Ask the same, and let an error be seen."""
    content = model.SerializeToString()
    _asked(random, content)
    print(rfgraph.check(content).models[0].trace)


def _place(error: BaseException) -> str:
    """Where an error comes from: the innermost lines of rfgraph's own, and the very innermost."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "rfgraph" in Path(f.filename).parts]
    places = [f"{Path(f.filename).name}:{f.lineno}" for f in [*own[-2:], frames[-1]]]
    return " > ".join(dict.fromkeys(places))


def _asked(random: Random, content: bytes) -> None:
    prune = random.random() < 0.3
    a = rfgraph.analyze(content, assume=True, prune=prune)
    values = a.tensors
    for tensor in random.sample(values, min(len(values), _VALUES)):
        extent = a.extent(tensor)
        a.node(tensor)
        for input in a.inputs:
            # That one question can't be answered is no fault.
            with suppress(RFGraphError):
                a.field(tensor, input)
            with suppress(RFGraphError):
                a.fields(tensor, axis=random.randrange(3), input=input)
            # A long answer takes long, and no more.
            if extent is not None and np.prod([float(n) for n in extent]) <= _WRITTEN:
                with suppress(RFGraphError):
                    a.bounds(tensor, input, local=True)
            with suppress(RFGraphError):
                a.explain(tensor, input)
            if extent is not None and all(extent):
                _compared(random, a, tensor, input, extent)
    with suppress(RFGraphError):
        _ = a.meetings


def _compared(
    random: Random, a: rfgraph.Analysis, tensor: str, input: str, extent: tuple[int, ...]
) -> None:
    """Supports lie in boxes, and reach their ends."""
    size = a.extent(input)
    if size is None or np.prod([float(n) for n in size]) > _ELEMENTS:
        return
    for _ in range(_UNITS):
        index = tuple(random.randrange(n) for n in extent)
        try:
            box = a.box(tensor, index, input)
            support = a.support(tensor, index, input)
        except RFGraphError:
            continue
        if support.box != box:
            raise WrongError(f"a unit with the box {box} has the support {support.box}")


def _checked(content: bytes, result: str) -> str:
    """Whether `rfgraph.check` says the same."""
    report = rfgraph.check(content)
    (found,) = report.models
    if "internal error" in found.error:
        return f"check: {' '.join(found.error.split())[:200]}"
    if result == "answered" and found.error:
        # A check may ask what the questions did not.
        return "answered"
    return result
