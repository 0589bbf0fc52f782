"""Every backend case of ONNX that has a float input, and the verdict on what is claimed for it.

A case is run again and again with a part of one input changed (`tests.oracle.perturbation`). What
moves was read, so the bounds, the supports of units and the influences of elements must hold it;
and they must equal it, unless the operator can't be exact or the case's own data hide a read. Such
cases are listed in ``incomplete.toml``, or in ``hidden.toml`` if it is within the bounds that
something is hidden, and those that can't be observed at all in ``not_run.toml``, each with a
reason.
"""

from __future__ import annotations

import tomllib
import warnings
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases

import rfgraph
from rfgraph.ops import registered
from tests.oracle.observe import FLOATS
from tests.oracle.perturbation import (
    CannotRunError,
    Case,
    Claim,
    analysed,
    differences,
    is_deterministic,
    narrow,
    observing,
    set_claims,
    set_differences,
)

HERE = Path(__file__).parent

# The cases that show less than what is read, in bounds or within them, and those that show nothing.
LISTS = ("incomplete.toml", "hidden.toml", "not_run.toml")

# Trials that every case goes through, as long as something was not seen, and where that is known.
_LEAST = 2
_MOST = 600
_LISTED = 36

# A larger input needs as many runs as its axes are long: the first trial has to do.
_LARGE = 4096

# Inputs up to this many elements are changed one by one too: up to the first limit in every trial,
# of the others after the first trial only what is claimed and was not seen. Where it is known that
# not all will be seen so many trials have to do.
_SMALL = 16
_ONE_BY_ONE = 1024
_ENOUGH = 4

# Float inputs that say where to read, not what: they are held.
_STEERING = {
    "Resize": {"roi", "scales"},
    "Upsample": {"scales"},
    "OneHot": {"depth"},
}

# Cases whose outputs depart from the specification: there align_corners divides by the length of
# the resized tensor, here by a fraction, before the length is rounded down.
_DEPARTING = {
    "test_resize_downsample_scales_linear_align_corners",
    "test_resize_downsample_scales_cubic_align_corners",
}

# Cases of which nothing can be concluded, and why.
_MISLEADING = {
    "test_onehot_with_bfloat16_values": "ONNX's reference adds on - off to off, which rounds",
}


@dataclass(frozen=True)
class Verdict:
    """What became of a case.

    Attributes
    ----------
    not_run : str
        Why it was not observed; the others are then empty.
    unsound, loose, hidden : str
        The first wrong claim, the first bounds and the first set with more than what was seen;
        ``""`` if there is none.
    conservative : str
        Why its operator can't be exact, if so.
    sets : int
        How many sets were compared: supports of units, and influences.
    elements : bool
        Whether they were compared element by element, in every input and output: else along the
        axes of a large input, or not at all for an output whose shape the data decide.
    """

    not_run: str = ""
    unsound: str = ""
    loose: str = ""
    hidden: str = ""
    conservative: str = ""
    sets: int = 0
    elements: bool = False


@cache
def backend_cases() -> dict[str, Any]:
    """All backend cases of ONNX, by name."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return {case.name: case for case in collect_testcases(None)}


@cache
def float_cases() -> dict[str, Case]:
    """The cases with an input that holds floats, as a tensor, a sequence or an optional."""
    return {
        name: _converted(backend)
        for name, backend in backend_cases().items()
        if any(_holds_floats(value.type) for value in backend.model.graph.input)
    }


def _holds_floats(kind: onnx.TypeProto) -> bool:
    if kind.HasField("sequence_type"):
        return _holds_floats(kind.sequence_type.elem_type)
    if kind.HasField("optional_type"):
        return _holds_floats(kind.optional_type.elem_type)
    return kind.tensor_type.elem_type in FLOATS


def _converted(backend: Any) -> Case:
    inputs = backend.data_sets[0][0]
    names = [value.name for value in backend.model.graph.input]
    feeds = {name: _array(value) for name, value in zip(names, inputs, strict=True)}
    held = {
        name
        for node in backend.model.graph.node
        for name in _STEERING.get(node.op_type, set()) & set(node.input)
    }
    expected = [_array(value) for value in backend.data_sets[0][1]]
    if backend.name in _DEPARTING:
        expected = None
    case = Case(backend.name, backend.model, feeds, expected=expected)
    return replace(case, follow=tuple(n for n in case.followed if n not in held)) if held else case


def _array(value: Any) -> Any:
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    return value if isinstance(value, list) or value is None else np.asarray(value)


def verdict(case: Case, *, listed: bool = False, hidden: bool = False) -> Verdict:
    """Observe a case, and compare.

    Parameters
    ----------
    case : Case
        The case.
    listed, hidden : bool
        Whether it is known that not all will be seen, of bounds or of sets within their bounds.
    """
    if not case.followed:
        return Verdict(not_run="no float input that can be changed")
    if case.name in _MISLEADING:
        return Verdict(not_run=_MISLEADING[case.name])
    try:
        if not is_deterministic(case):
            return Verdict(not_run="two equal runs differ")
    except CannotRunError as error:
        return Verdict(not_run=str(error))
    try:
        analysis = analysed(case)
    except Exception as error:  # no case may break the analysis
        return Verdict(unsound=f"{type(error).__name__}: {error}")
    conservative = _conservative(analysis)
    size = max(np.asarray(case.feeds[name]).size for name in case.followed)
    least = 1 if size > _LARGE else _LEAST
    most = _LISTED if listed or conservative else _MOST
    wrong: dict[str, str] = {}
    claims: list[Claim] = []
    for trial, seen in enumerate(observing(case, trials=most, small=_ONE_BY_ONE), 1):
        if (hidden or most == _LISTED) and _ENOUGH < trial < _LISTED:
            # Nothing new is expected, and what is seen adds up until the end.
            continue
        try:
            claims = claims or set_claims(analysis, seen)
            wrong = dict(set_differences(case, seen, claims))
            wrong |= dict(reversed(list(differences(case, seen, analysis))))
        except AssertionError as error:  # a shape that is not the one claimed
            return Verdict(unsound=str(error))
        settled = hidden and trial >= _LISTED and "loose" not in wrong
        if "unsound" in wrong or settled or (trial >= least and not wrong):
            break
        narrow(seen, claims, _SMALL)
        if (hidden or most == _LISTED) and trial >= _ENOUGH:
            for pending in seen.pending.values():
                pending[...] = False
    pairs = len(seen.seen) * len(seen.outputs)
    supports = [claim for claim in claims if claim.what == "support"]
    return Verdict(
        unsound=wrong.get("unsound", ""),
        loose=wrong.get("loose", ""),
        hidden=wrong.get("hidden", ""),
        conservative=conservative,
        sets=sum(len(claim.places) for claim in claims),
        elements=len(supports) == pairs and all(claim.masks is not None for claim in supports),
    )


def _conservative(analysis: rfgraph.Analysis) -> str:
    """The first reason for an operator that was noted, and that can't be exact."""
    operators = {note.operator for note in analysis.notes}
    rules = [
        rule for (_, name), found in registered().items() if name in operators for rule in found
    ]
    return next((rule.conservative for rule in rules if rule.conservative), "")


@cache
def listed(file: str) -> dict[str, str]:
    """The reason for each case that a file lists; its patterns are written out.

    Raises
    ------
    AssertionError
        A pattern fits no case, or a case has two reasons.
    """
    reasons: dict[str, str] = {}
    for reason, patterns in tomllib.loads((HERE / file).read_text()).items():
        for pattern in patterns:
            fitting = [name for name in float_cases() if fnmatchcase(name, pattern)]
            assert fitting, f"{file}: '{pattern}' fits no case"
            for name in fitting:
                assert reasons.get(name, reason) == reason, f"{file}: {name} has two reasons"
                reasons[name] = reason
    return reasons


def fault(case: Case) -> tuple[Verdict, str]:
    """The verdict on a case, and what is wrong with it or with the lists; ``""`` if nothing."""
    not_run, incomplete = listed("not_run.toml"), listed("incomplete.toml")
    hidden = listed("hidden.toml")
    found = verdict(case, listed=case.name in incomplete, hidden=case.name in hidden)
    if found.not_run or case.name in not_run:
        wrong = "" if found.not_run else "is listed in not_run.toml, and runs"
        if case.name not in not_run:
            wrong = f"is not run ({found.not_run}), and not listed in not_run.toml"
        return found, wrong
    if found.unsound:
        return found, f"unsound: {found.unsound}"
    if found.conservative:
        return found, ""
    if case.name in incomplete:
        return found, "" if found.loose else "is listed in incomplete.toml, and is exact"
    if found.loose:
        return found, f"loose: {found.loose}"
    if case.name in hidden:
        return found, "" if found.hidden else "is listed in hidden.toml, and shows every element"
    return found, f"hidden: {found.hidden}" if found.hidden else ""
