"""Errors planted in transfers: `rfgraph.validate` has to find each of them.

Of every operator that a case by hand has, and that onnxruntime runs, the reads of its node are
changed as people get them wrong: a start off by one, the stride or the dilation ignored, the last
tap dropped, a branch forgotten. An error that perturbation of the case does not show, as
`tests.oracle.perturbation` observes it, is none.

Usage: python -m tests.validation.teeth [OPERATOR...]
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import islice
from unittest.mock import patch

import numpy as np

import rfgraph
from rfgraph.engine.trace import Step
from rfgraph.ops import lookup_rule
from rfgraph.validation import preparation
from rfgraph.validation.report import OUTSIDE_BOUNDS, OUTSIDE_SUPPORT
from tests.mutation import COMMON, KILLED, Mutant, fate, mutants, of_case, supports_of, with_step
from tests.oracle.cases import CASES
from tests.oracle.perturbation import Case, analysed

# An operator, by domain and name.
Key = tuple[str, str]

# So many planted errors of one kind, in one operator.
_MOST = 2

# With so many other random numbers perturbation is tried.
_SEEDS = 8

# Errors that no finite number shows: operator, case, mutant (patterns as of a shell) and why.
LISTED = [
    (
        "LinearAttention",
        "*gated* past False *",
        "*",
        "what decays is a state of 0: only an exponential that overflows shows it",
    ),
    ("MelWeightMatrix", "mean-sample_rate", "*", "a rate that is one more has the same bins"),
    ("Unique", "inverse *", "output 2 *", "only rows that are equal show it: no random ones are"),
    (
        "RoiAlign",
        "computed, *",
        "*whole, last dropped",
        "regions of random numbers seldom reach the last row or column",
    ),
    (
        "DynamicQuantizeLSTM",
        "*",
        "*of input [56]*",
        "rows meet in the scale by which states are rounded: few numbers show that",
    ),
]


@dataclass
class Found:
    """What became of the planted errors of one operator.

    Attributes
    ----------
    key : (str, str)
        The operator.
    family : str
        The module of its transfer.
    caught : Counter of str
        By method, how many were found; those that poison finds are not tried with perturb.
    beyond : int
        Errors by which only too much is claimed, where poison is lost: other numbers can't
        contradict these.
    missed : list of str
        The others.
    wrong : list of str
        Violations where nothing is wrong.
    not_run : str
        Why onnxruntime runs none of its cases, if so.
    """

    key: Key
    family: str = ""
    caught: Counter[str] = field(default_factory=Counter)
    beyond: int = 0
    missed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    not_run: str = ""


def examine(key: Key, most: int = _MOST, cases: int | None = None) -> Found:
    """Plant errors in an operator's transfers, at most so many of a kind, in the first cases."""
    found = Found(key)
    kinds: Counter[str] = Counter()
    usable = (c for builder in CASES[key] for c in builder() if c.run is None and c.followed)
    for case in islice(usable, cases):
        try:
            _plant(found, case, kinds, most)
        except rfgraph.RFGraphError as error:
            found.not_run = str(error)
    if kinds:
        found.not_run = ""
    return found


def _plant(found: Found, case: Case, kinds: Counter[str], most: int) -> None:
    analysis = analysed(case)
    tensors = [n for n in analysis.outputs if _is_tested(analysis, n)]
    if not tensors:
        return
    found.wrong += _false_alarms(case, analysis, tensors)
    trial = of_case(case)
    for step, mutant in _errors(found, analysis):
        if kinds[mutant.kind] >= most:
            continue
        before = supports_of(step.reads, step, analysis)
        if fate(trial, analysis, step, mutant, before) != KILLED:
            continue
        kinds[mutant.kind] += 1
        wrong = with_step(analysis, Step(step.node, mutant.reads(), step.cycle))
        method = _caught(case, wrong, tensors)
        if not method and _listed(found.key[1], case.name, mutant.kind):
            kinds[mutant.kind] -= 1
        elif method:
            found.caught[method] += 1
        elif _claims_all(wrong, analysis, tensors):
            found.beyond += 1
        else:
            found.missed.append(f"{case.name}: {mutant.kind}")


def _claims_all(wrong: rfgraph.Analysis, right: rfgraph.Analysis, tensors: Sequence[str]) -> bool:
    """Whether all that is right is claimed."""
    for tensor in tensors:
        for unit in np.ndindex(*(right.extent(tensor) or ())):
            for name in right.inputs:
                one, other = (np.asarray(a.support(tensor, unit, name)) for a in (right, wrong))
                if (one & ~other).any():
                    return False
    return True


def _listed(*what: str) -> bool:
    return any(all(map(fnmatchcase, what, patterns)) for *patterns, _ in LISTED)


def _errors(found: Found, analysis: rfgraph.Analysis) -> Iterator[tuple[Step, Mutant]]:
    flow = analysis._flow
    live = {*flow.inputs}
    for step in flow.steps:
        made = zip(step.node.outputs, step.reads, strict=False)
        live.update(name for name, reads in made if reads)
    for step in flow.steps:
        node = step.node
        rule = lookup_rule(node.domain, node.op_type, node.version)
        if (node.domain, node.op_type) == found.key and rule is not None:
            found.family = rule.transfer.__module__.rpartition(".")[2]
            told = tuple(
                f"output {k} "
                for k, name in enumerate(node.outputs)
                if name and not _is_tested(analysis, name)
            )
            for mutant in mutants(step, analysis, live):
                if mutant.change in COMMON and not mutant.kind.startswith(told):
                    yield step, mutant


def _is_tested(analysis: rfgraph.Analysis, tensor: str) -> bool:
    """Whether a value is of one shape: of others validation says that it does not test them."""
    shape = analysis.shape(tensor)
    return shape is not None and None not in shape


def _options(case: Case, seed: int) -> dict:
    """On the case's own data and, in every other trial, on random ones."""
    held = {n: v for n, v in case.feeds.items() if n not in case.followed}
    given = {} if seed % 2 else {n: case.feeds[n] for n in case.followed}
    return {"values": held, "seconds": None, "exhaustive": True, "inputs": given}


def _false_alarms(case: Case, analysis: rfgraph.Analysis, tensors: Sequence[str]) -> Iterator[str]:
    for method in ("perturb", "poison"):
        report = _validated(case, analysis, tensors, method, 0)
        wrong = [
            violation
            for violation in report.violations
            # What an operator makes of entries that hold nothing is not said, but claimed.
            if not case.incomplete or violation.claim in (OUTSIDE_SUPPORT, OUTSIDE_BOUNDS)
        ]
        yield from (f"{case.name}: {method}: {violation}" for violation in wrong[:1])


def _caught(case: Case, wrong: rfgraph.Analysis, tensors: Sequence[str]) -> str:
    for method, seeds in (("poison", 1), ("perturb", _SEEDS)):
        for seed in range(seeds):
            if not _validated(case, wrong, tensors, method, seed).ok:
                return method
    return ""


def _validated(
    case: Case, analysis: rfgraph.Analysis, tensors: Sequence[str], method: str, seed: int
) -> rfgraph.Validation:
    with patch.object(preparation, "analyze", lambda *_, **__: analysis):
        return rfgraph.validate(
            case.model, method=method, seed=seed, tensors=tensors, **_options(case, seed)
        )


def main(patterns: Sequence[str]) -> int:
    """Print a row for every family, and what was missed."""
    begin = time.monotonic()
    families: dict[str, list[Found]] = {}
    for key in CASES:
        name = ".".join(filter(None, key))
        if patterns and not any(fnmatchcase(name, pattern) for pattern in patterns):
            continue
        found = examine(key)
        if found.not_run:
            print(f"not run: {name}: {found.not_run[:120]}", flush=True)
        for wrong in found.wrong:
            print(f"wrong: {name}: {wrong}", flush=True)
        for missed in found.missed:
            print(f"missed: {name}: {missed}", flush=True)
        families.setdefault(found.family or "-", []).append(found)
    print(
        f"{'family':24}{'operators':>10}{'planted':>9}{'poison':>8}{'perturb':>9}{'beyond':>8}{'missed':>8}"
    )
    for family, rows in sorted(families.items()):
        by = Counter[str]()
        for row in rows:
            by.update(row.caught)
        missed = sum(len(row.missed) for row in rows)
        ran = sum(1 for row in rows if row.caught or row.missed)
        beyond = sum(row.beyond for row in rows)
        total = by["poison"] + by["perturb"] + beyond + missed
        print(f"{family:24}{ran:10}{total:9}{by['poison']:8}{by['perturb']:9}{beyond:8}{missed:8}")
    print(f"{time.monotonic() - begin:.0f} s")
    return any(row.missed or row.wrong for rows in families.values() for row in rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
