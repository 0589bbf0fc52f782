"""Wrong transfers, made on purpose: each of them must be found out by a case.

For every read with which a transfer answers, along every axis, mutants are made: one element more
at either end, one less, all one place later or earlier, a read left out, a part forgotten, an
output that reads what it does not. A mutant is *killed* by a trial in which what is claimed with
it is not what is observed. It *survives* if no trial kills it: a hole in the tests, unless it is
in `LISTED` with a reason.

A mutant that reads the same elements as the transfer at the shapes of a trial is no mutant there:
where another read of the same output has them all, as a statistic has the element itself, it is
*covered*, and where it never differs by itself, as along an axis that has one element in every
trial, it survives. Inside a transfer, where an axis of one element or a part may just be how it is
written, that is covered too. Where a transfer says that it assumes something, and a trial that not
all is seen, it may read more.

Mutants of one kind in several trials count as one. The kind is the operator with its `since`, the
output, the input or an inner stage, the axis, the word of the vocabulary and what is changed.

Usage: python -m tests.mutation [--jobs N] [--cache] [--all] [OPERATOR...]
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import os
import pickle
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache, partial
from math import prod
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnxruntime

import rfgraph
from rfgraph.engine.bounds import Bounds
from rfgraph.engine.trace import Flow, Step
from rfgraph.ops import lookup_rule, registered
from rfgraph.reads import (
    Along,
    AxisRead,
    Elementwise,
    Everything,
    Fixed,
    PerAxis,
    Read,
    Rearrange,
    Shape,
    Stage,
    Table,
    coordinates,
    followed,
    is_same,
    point,
    same,
)
from tests.oracle import perturbation
from tests.oracle.builder import OPERATORS
from tests.oracle.cases import CASES
from tests.oracle.compare import differing, observed
from tests.oracle.control_flow import SHAPE, Graphs
from tests.oracle.generate import random_graph
from tests.oracle.observe import hull
from tests.oracle.perturbation import Case, analysed, differences, settled

# An operator, by domain and name.
Key: TypeAlias = tuple[str, str]

# Random graphs that are tried of an operator, and at most as long as a mutant survives.
_SEEDS = 40
_MOST_SEEDS = 160

# Random graphs of control flow, and what occurs in them after all that is static is written out.
_NESTED = 150
_CONTROL = {("", "ConcatFromSequence"), ("", "If"), ("", "Loop")}

# A kind of mutant is tried at so many places of one answer: a recurrence repeats its reads.
_MOST_PLACES = 4

# Sets of elements are compared up to this many pairs of output and input.
_MOST_PAIRS = 1 << 23

# Survivors that are none: operator, mutant (both patterns as of a shell) and the reason.
_TRACED = "what a container holds is traced to its elements: tests/test_expansion.py"
LISTED: list[tuple[str, str, str]] = [
    *((f"Sequence{name}", "*", _TRACED) for name in ("At", "Construct", "Empty", "Erase")),
    *((f"Sequence{name}", "*", _TRACED) for name in ("Insert", "Length", "Map")),
    *((f"Optional{name}", "*", _TRACED) for name in ("", "GetElement", "HasElement")),
    ("SplitToSequence", "*", _TRACED),
    ("Scan", "*", "unrolled, but for lengths that no test has time for: tests/test_expansion.py"),
    ("ImageDecoder", "*", "it decodes files, which can't be changed by an element"),
    *(
        (name, "stage of input 5, axis 2 same, *", "the state after no step: runtimes differ")
        for name in ("GRU", "LSTM", "RNN")
    ),
    (
        "CausalConvWithState",
        "output 0 of input 1, axis 2 table, one more after",
        "every window ends with the last tap",
    ),
]


# ---------------------------------------------------------------- trials


@dataclass(frozen=True)
class Trial:
    """A model of which it is known what its outputs read.

    Attributes
    ----------
    name : str
        What to call it.
    analyse : callable
        Its analysis.
    compare : callable
        What is wrong with an analysis of the same model; None if nothing is.
    elements : callable
        By output and input, the elements that each unit was seen to read: bool, output by input.
        Bounds are hulls: a mutant that leaves them as they are is found out by these.
    complete : bool
        Whether all that is read was seen.
    """

    name: str
    analyse: Callable[[], rfgraph.Analysis]
    compare: Callable[[rfgraph.Analysis], str | None]
    elements: Callable[[], dict[tuple[str, str], np.ndarray]] = dict
    complete: bool = True


# Trials with an operator, those first that are likely to tell much.
Source: TypeAlias = Callable[[Key], Iterable[Trial]]


@dataclass(frozen=True)
class _Seen:
    """What `perturbation.Seen` shows, computed once."""

    bounds: tuple[np.ndarray, np.ndarray]
    elements: np.ndarray | None

    def hull(self) -> tuple[np.ndarray, np.ndarray]:
        """First and last coordinate seen on each axis."""
        return self.bounds


def by_hand(key: Key) -> Iterator[Trial]:
    """The cases of `tests.oracle.cases`."""
    for generator in CASES.get(key, ()):
        for case in generator():
            yield of_case(case)


def of_case(case: Case) -> Trial:
    """A case as a trial; of an incomplete one only what is missing counts."""

    @cache
    def seen() -> Any:
        return _kept(case)

    def compare(analysis: rfgraph.Analysis) -> str | None:
        for kind, message in differences(case, seen(), analysis):
            if kind == "unsound" or not case.incomplete:
                return f"{kind}: {message}"
        return None

    def elements() -> dict[tuple[str, str], np.ndarray]:
        return {
            (output, name): found.elements
            for name, by_output in seen().seen.items()
            for output, found in by_output.items()
            if found.elements is not None
        }

    complete = not (case.incomplete or case.hidden)
    return Trial(case.name, lambda: analysed(case), compare, elements, complete)


def at_random(key: Key) -> Iterator[Trial]:
    """Random graphs of the one operator."""
    domain, op_type = key
    if domain or op_type not in OPERATORS:
        return
    for seed in range(_MOST_SEEDS):
        model = random_graph(seed, first=op_type, nodes=1)
        found = observed(model)

        def compare(analysis: rfgraph.Analysis, found: Any = found) -> str | None:
            return "; ".join(map(str, differing(found, analysis))) or None

        elements = {(o.value, o.input): o.mask for o in found if o.mask is not None}
        yield Trial(
            model.doc_string,
            lambda model=model: rfgraph.analyze(model),
            compare,
            lambda elements=elements: elements,
        )


def nested(key: Key) -> Iterator[Trial]:
    """Random graphs of control flow."""
    for seed in range(_NESTED if key in _CONTROL else 0):
        graphs = Graphs(seed)
        analysis = rfgraph.analyze(graphs.model)
        if not any((node.domain, node.op_type) == key for node in analysis._graph.nodes):
            continue
        hulls = {
            (output, name): hull(mask, len(SHAPE))
            for name, by_output in graphs.masks().items()
            for output, mask in by_output.items()
        }

        def compare(
            analysis: rfgraph.Analysis, hulls: Any = hulls, exact: bool = graphs.exact
        ) -> str | None:
            for (output, name), (lo, hi) in hulls.items():
                below, above = (np.broadcast_to(b, lo.shape) for b in analysis.bounds(output, name))
                some = lo <= hi
                if (some & ((below > lo) | (above < hi))).any():
                    return f"unsound: {output} of {name}"
                if exact and ((below <= above) & ((below < lo) | (above > hi))).any():
                    return f"loose: {output} of {name}"
            return None

        made = partial(rfgraph.analyze, graphs.model)
        yield Trial(f"control flow {seed}", made, compare, complete=graphs.exact)


def of_onnx(key: Key) -> Iterator[Trial]:
    """ONNX's own cases."""
    from tests.backend.harness import float_cases, listed

    not_run, incomplete = listed("not_run.toml"), listed("incomplete.toml")
    hidden = listed("hidden.toml")
    for name, case in float_cases().items():
        nodes = case.model.graph.node
        if name not in not_run and any((n.domain, n.op_type) == key for n in nodes):
            reasons = incomplete.get(name, ""), hidden.get(name, "")
            yield of_case(replace(case, incomplete=reasons[0], hidden=reasons[1]))


# The first two always; those after them for what still survives.
SOURCES: list[Source] = [by_hand, at_random, nested, of_onnx]

# Where observations are kept between runs; None: nowhere.
_directory: Path | None = None


def _kept(case: Case) -> perturbation.Observation:
    """The observation of a case with its hulls computed; from the directory where it is there."""
    kept, outputs = _found(case)
    made: Any = perturbation.Observation(outputs)
    for name, by_output in kept.items():
        made.seen[name] = {output: _Seen(*seen) for output, seen in by_output.items()}
    return made


@cache
def _claims() -> str:
    """A digest of what makes the claims."""
    files = sorted(Path(rfgraph.__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _found(case: Case) -> Any:
    if _directory is None:
        return _observed(case)
    code = [perturbation] + ([inspect.getmodule(case.run)] if case.run else [])
    parts = [case.model.SerializeToString(), case.follow, case.within, case.trials, case.name]
    parts += [(k, np.asarray(v).dtype.str, np.shape(v), repr(v)) for k, v in case.feeds.items()]
    parts += [inspect.getsource(module) for module in code if module]
    # How long is looked depends on what is claimed.
    parts.append(_claims())
    path = _directory / hashlib.sha256(repr(parts).encode()).hexdigest()
    if path.exists():
        return pickle.loads(path.read_bytes())
    made = _observed(case)
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_bytes(pickle.dumps(made))
    temporary.replace(path)
    return made


def _observed(case: Case) -> Any:
    made, _ = settled(case)
    return {
        name: {o: (seen.hull(), seen.elements) for o, seen in by_output.items()}
        for name, by_output in made.seen.items()
    }, made.outputs


# ---------------------------------------------------------------- mutants of a read

_MORE_BEFORE, _MORE_AFTER = "one more before", "one more after"
_FIRST_DROPPED, _LAST_DROPPED = "first dropped", "last dropped"
_LATER, _EARLIER = "one later", "one earlier"
_NO_STRIDE, _NO_DILATION = "stride ignored", "dilation ignored"
_LEFT_OUT, _ADDED = "left out", "read all the same"
_LONGER = ("part forgotten", "part begins earlier", "part ends later")
_SHORTER = ("part begins later", "part ends earlier")

# What people get wrong first.
COMMON = frozenset({_LATER, _EARLIER, _LAST_DROPPED, _NO_STRIDE, _NO_DILATION, _LEFT_OUT})

# With these alone nothing is missing: what is conservative may read more.
WIDER = frozenset({_MORE_BEFORE, _MORE_AFTER, _ADDED, *_LONGER})


def _word(read: AxisRead) -> str:
    if isinstance(read, Along):
        return "same" if is_same(read) else "along"
    if isinstance(read, Table):
        return "table"
    return {None: "whole", 1: "point"}.get(read.count, "range")


def _axis_mutants(read: AxisRead, size: int, extent: Shape) -> Iterator[tuple[str, AxisRead]]:
    """What is changed, and the changed read, along an axis of length `size`."""
    if isinstance(read, Fixed):
        yield from _fixed_mutants(read, size)
        return
    if isinstance(read, Along):
        starts, counts = np.array(read.starts), np.array(read.counts)
    else:
        starts, counts = read.starts, read.counts
    step, some = read.step, counts > 0

    def changed(start: int, count: int) -> AxisRead:
        new = np.where(some, starts + start, starts), np.where(some, counts + count, counts)
        if isinstance(read, Along):
            return replace(read, starts=tuple(new[0].tolist()), counts=tuple(new[1].tolist()))
        assert isinstance(read, Table)
        return replace(read, starts=new[0], counts=new[1], interior=None)

    # What is listed of a single element is that it is read, or not.
    if size > 1 or isinstance(read, Along):
        yield _MORE_BEFORE, changed(-step, 1)
        yield _MORE_AFTER, changed(0, 1)
    yield _LATER, changed(1, 0)
    yield _EARLIER, changed(-1, 0)
    # Of one element nothing would be left, which is what leaving out the read does.
    if counts.max(initial=0) > 1:
        yield _FIRST_DROPPED, changed(step, -1)
        yield _LAST_DROPPED, changed(0, -1)
    if isinstance(read, Along) and read.advance not in (0, 1):
        yield _NO_STRIDE, replace(read, advance=1)
    if step > 1 and counts.max(initial=0) > 1:
        yield _NO_DILATION, replace(read, step=1)
    if isinstance(read, Along) and read.part is not None:
        begin, end = read.part
        parts = [None, (begin - 1, end), (begin, end + 1), (begin + 1, end), (begin, end - 1)]
        for kind, part in zip(_LONGER + _SHORTER, parts, strict=True):
            if part is None or 0 <= part[0] < part[1] <= extent[read.axis]:
                yield kind, replace(read, part=part)


def _fixed_mutants(read: Fixed, size: int) -> Iterator[tuple[str, AxisRead]]:
    count = size - read.start if read.count is None else read.count
    end = read.start + count
    fits = [
        (_MORE_BEFORE, read.start - 1, end),
        (_MORE_AFTER, read.start, end + 1),
        (_LATER, read.start + 1, end + 1),
        (_EARLIER, read.start - 1, end - 1),
        (_FIRST_DROPPED, read.start + 1, end),
        (_LAST_DROPPED, read.start, end - 1),
    ]
    for kind, first, last in fits:
        if 0 <= first < last <= size:
            yield kind, replace(read, start=first, count=last - first)


def _mutants(
    read: Read, source: Shape | None, extent: Shape | None
) -> Iterator[tuple[str, str, Read]]:
    """Where, what is changed, and the changed read."""
    if source is None or extent is None:
        return
    if isinstance(read, Rearrange):
        # What lands at the neighbouring place.
        moved = PerAxis(Stage(extent, [read]), tuple(same(a) for a in range(len(extent))))
        for where, kind, new in _mutants(moved, extent, extent):
            yield where.replace("same", "moved"), kind, new
        return
    if isinstance(read, Elementwise):
        lead = len(extent) - len(source)
        axes: tuple[AxisRead, ...] = tuple(
            same(lead + a) if n == extent[lead + a] else point(0) for a, n in enumerate(source)
        )
    elif isinstance(read, Everything):
        axes = tuple(Fixed(0, None) for _ in source)
    else:
        axes = read.axes
    for axis, (along, size) in enumerate(zip(axes, source, strict=True)):
        # Broadcast axes are counted from the last one.
        place = axis - len(source) if isinstance(read, Elementwise) else axis
        for kind, new in _axis_mutants(along, size, extent):
            mutated = PerAxis(read.source, (*axes[:axis], new, *axes[axis + 1 :]))
            yield f", axis {place} {_word(along)}", kind, mutated


# ---------------------------------------------------------------- mutants of a step

# A read: the list that it stands in, and where.
_Site: TypeAlias = tuple[int, int]


@dataclass(frozen=True)
class Mutant:
    """A changed answer of a transfer.

    Attributes
    ----------
    kind : str
        Which read is changed along which axis, and how; the same in all trials.
    change : str
        The last part of it.
    reads : callable
        The changed answer, by output: only made where it is tried.
    alone : (Read or None, Read or None, shape, shape)
        The read before and after, the shapes of what it reads and of what reads it.
    """

    kind: str
    change: str
    reads: Callable[[], list[list[Read]]]
    alone: tuple[Read | None, Read | None, Shape | None, Shape | None]


def mutants(step: Step, analysis: rfgraph.Analysis, live: set[str]) -> Iterator[Mutant]:
    """The mutants of what a transfer answers for one node."""
    shape, node = analysis.shape, step.node
    names = [*node.inputs, *node.captures]
    stages: set[int] = set()

    def within(reads: list[Read], extent: Shape | None, who: str) -> Iterator[Mutant]:
        repeats: Counter[str] = Counter()
        for place, read in enumerate(reads):
            source = read.source
            name = "stage" if isinstance(source, Stage) else f"input {source}"
            repeats[name] += 1
            nth = f" ({repeats[name]})" if repeats[name] > 1 else ""
            size = source.shape if isinstance(source, Stage) else shape(names[source])
            site = id(reads), place
            changes = [(nth, _LEFT_OUT, None), *_mutants(read, size, extent)]
            for where, change, new in changes:
                kind = f"{who} of {name}{where}, {change}"
                changed = partial(_replaced, step.reads, site, new)
                yield Mutant(kind, change, changed, (read, new, size, extent))
            if isinstance(source, Stage) and id(source) not in stages:
                stages.add(id(source))
                yield from within(source.reads, source.shape, "stage")

    for k, (name, reads) in enumerate(zip(node.outputs, step.reads, strict=False)):
        if name:
            yield from within(reads, shape(name), f"output {k}")
            yield from _added(step, k, live)


def _added(step: Step, k: int, live: set[str]) -> Iterator[Mutant]:
    """Output `k` reading an input that it does not."""
    taken = _sources(step.reads[k])
    for i, name in enumerate(step.node.inputs):
        if name in live and i not in taken:
            kind = f"output {k} of input {i}, {_ADDED}"
            more = [found + [Everything(i)] * (j == k) for j, found in enumerate(step.reads)]
            yield Mutant(kind, _ADDED, lambda more=more: more, (None, Everything(i), None, None))


def _sources(reads: list[Read]) -> set[int]:
    """The inputs that are read, through stages too."""
    found: set[int] = set()
    pending, seen = list(reads), set[int]()
    while pending:
        source = pending.pop().source
        if not isinstance(source, Stage):
            found.add(source)
        elif id(source) not in seen:
            seen.add(id(source))
            pending += source.reads
    return found


def _replaced(per_output: list[list[Read]], site: _Site, new: Read | None) -> list[list[Read]]:
    """The answer with another read, or none, at a place; stages that are shared stay so."""
    stages: dict[int, Stage] = {}

    def rebuilt(reads: list[Read]) -> list[Read]:
        found = []
        for place, old in enumerate(reads):
            read = new if (id(reads), place) == site else old
            if read is None:
                continue
            found.append(attached(read))
        return found

    def attached(read: Read) -> Read:
        source = read.source
        if not isinstance(source, Stage):
            return read
        if id(source) not in stages:
            stages[id(source)] = Stage(source.shape, rebuilt(source.reads))
        return replace(read, source=stages[id(source)])

    return [rebuilt(reads) for reads in per_output]


# ---------------------------------------------------------------- the same elements


def _matrix(read: Read, source: Shape | None, extent: Shape | None) -> np.ndarray | None:
    """What each output element reads: bool, output by input; None if that is too large, or if the
    data decide a size.
    """
    if source is None or extent is None or None in (*source, *extent):
        return None
    if prod(source) * prod(extent) > _MOST_PAIRS:
        return None
    units, elements = prod(extent), prod(source)
    if isinstance(read, Everything):
        return np.ones((units, elements), bool)
    if isinstance(read, PerAxis):
        found = np.ones(extent + source, bool)
        for axis, (along, size) in enumerate(zip(read.axes, source, strict=True)):
            starts, counts, step = coordinates(along, size, extent)
            distance = np.arange(size) - starts[..., None]
            taken = (distance >= 0) & (distance % step == 0)
            taken &= distance // step < counts[..., None]
            dims = [1] * found.ndim
            for a in followed(along):
                dims[a] = extent[a]
            dims[len(extent) + axis] = size
            found &= taken.reshape(dims)
        return found.reshape(units, elements)
    places = np.arange(elements)
    if isinstance(read, Rearrange):
        places = places.reshape(read.view).transpose(read.permutation).reshape(-1)
    else:
        places = np.broadcast_to(places.reshape(source), extent).reshape(-1)
    return np.asarray(places[:, None] == np.arange(elements))


_Support: TypeAlias = "dict[int, np.ndarray] | None"


def _support(
    reads: Sequence[Read],
    extent: Shape | None,
    shape: Callable[[int], Shape | None],
    stages: dict[int, _Support],
) -> _Support:
    """By input, what each output element reads of it; None if that is too large.

    `stages` holds what is known of stages, which may be read again and again.
    """
    found: dict[int, np.ndarray] = {}
    for read in reads:
        source = read.source
        size = source.shape if isinstance(source, Stage) else shape(source)
        matrix = _matrix(read, size, extent)
        if matrix is None:
            return None
        if isinstance(source, Stage):
            if id(source) not in stages:
                stages[id(source)] = _support(source.reads, source.shape, shape, stages)
            inner = stages[id(source)]
            if inner is None:
                return None
            made = {k: (matrix.astype(np.float32) @ m) > 0 for k, m in inner.items()}
        else:
            made = {source: matrix}
        for k, m in made.items():
            found[k] = found[k] | m if k in found else m
    return {k: m for k, m in found.items() if m.any()}


def _same_alone(mutant: Mutant) -> bool:
    """Whether the changed read has the same elements as before, by itself."""
    old, new, source, extent = mutant.alone
    if new is None or old is None:
        found = _matrix(new or old, source, extent) if new or old else None  # type: ignore[arg-type]
        return found is not None and not found.any()
    inner = isinstance(new.source, Stage) and new.source is not old.source
    if inner:
        # A rearrangement that is read at the neighbouring place: only the place counts.
        assert isinstance(new, PerAxis)
        assert extent is not None
        old = PerAxis(0, tuple(same(a) for a in range(len(extent))))
        source = extent
    before, after = _matrix(old, source, extent), _matrix(new, source, extent)
    return before is not None and after is not None and np.array_equal(before, after)


# ---------------------------------------------------------------- killing

KILLED, COVERED, SURVIVES, NEVER = "killed", "covered", "survives", "never differs"
_RANK = (NEVER, COVERED, SURVIVES, KILLED)


@dataclass
class Report:
    """What became of the mutants of an operator.

    Attributes
    ----------
    key : (str, str)
        The operator.
    fates : dict of (int, str) to (str, str)
        By the `since` of the rule and the kind of mutant: its fate, and a trial that shows it.
    trials : int
        How many trials were run.
    tried : set of int
        The `since` of the rules that occurred.
    wrong : list of str
        Trials in which the transfer itself is not what is observed.
    """

    key: Key
    fates: dict[tuple[int, str], tuple[str, str]] = field(default_factory=dict)
    trials: int = 0
    tried: set[int] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The operator with its domain."""
        return ".".join(filter(None, self.key))

    def record(self, since: int, kind: str, fate: str, trial: str) -> None:
        """Keep the fate that tells most."""
        old = self.fates.get((since, kind), ("", ""))[0]
        if not old or _RANK.index(fate) > _RANK.index(old):
            self.fates[since, kind] = fate, trial

    def survivors(self) -> list[tuple[int, str, str]]:
        """Rule, mutant and how it came through, for each that no reason is listed for."""
        found = [
            (since, kind, f"{fate} ({trial})")
            for (since, kind), (fate, trial) in sorted(self.fates.items())
            if fate in (SURVIVES, NEVER)
        ]
        untried = {rule.since for rule in registered()[self.key]} - self.tried
        found += [(since, "every mutant", "no trial") for since in sorted(untried)]
        return [entry for entry in found if self.reason(entry[1]) is None]

    def reason(self, kind: str) -> str | None:
        """Why a survivor is none, if that is listed."""
        for operator, mutant, reason in LISTED:
            if fnmatchcase(self.name, operator) and fnmatchcase(kind, mutant):
                return reason
        return None


def examine(key: Key, seeds: int = _SEEDS) -> Report:
    """Make the mutants of an operator's transfers, and try to kill them."""
    report = Report(key)
    for place, source in enumerate(SOURCES):
        if place > 1 and not report.survivors():
            break
        for number, trial in enumerate(source(key), 1):
            report.trials += 1
            try:
                _try(report, trial)
            except Exception as error:  # a trial that breaks is shown, and the others go on
                report.wrong.append(f"{trial.name}: {type(error).__name__}: {error}")
            if source is at_random and number >= seeds and not report.survivors():
                break
    return report


def _try(report: Report, trial: Trial) -> None:
    analysis = trial.analyse()
    wrong = trial.compare(analysis)
    if wrong is not None:
        report.wrong.append(f"{trial.name}: {wrong}")
        return
    flow = analysis._flow
    live = {*flow.inputs}
    for step in flow.steps:
        made = zip(step.node.outputs, step.reads, strict=False)
        live.update(name for name, found in made if found and name)
    steps = {id(step.node): step for step in flow.steps}
    for node in analysis._graph.nodes:
        if (node.domain, node.op_type) != report.key:
            continue
        rule = lookup_rule(node.domain, node.op_type, node.version)
        if rule is None or not rule.own:
            continue
        report.tried.add(rule.since)
        step = steps.get(id(node)) or Step(node, [[] for _ in node.outputs])
        supports: list[Any] = []
        places: Counter[str] = Counter()
        for mutant in mutants(step, analysis, live):
            assumed = rule.conservative or (analysis.notes and not trial.complete)
            if assumed and mutant.change in WIDER:
                continue
            places[mutant.kind] += 1
            if places[mutant.kind] > _MOST_PLACES:
                continue
            if report.fates.get((rule.since, mutant.kind), ("",))[0] != KILLED:
                supports = supports or supports_of(step.reads, step, analysis)
                found = fate(trial, analysis, step, mutant, supports)
                report.record(rule.since, mutant.kind, found, trial.name)


def fate(
    trial: Trial,
    analysis: rfgraph.Analysis,
    step: Step,
    mutant: Mutant,
    supports: list[dict[str, np.ndarray] | None],
) -> str:
    """What becomes of a mutant in a trial; `supports` is what is read without it."""
    changed = mutant.reads()
    try:
        wrong = trial.compare(with_step(analysis, Step(step.node, changed, step.cycle)))
    except Exception:  # what no analysis can make sense of is found out too
        return KILLED
    if wrong is not None:
        return KILLED
    elements = trial.elements()
    differs = False
    after = supports_of(changed, step, analysis)
    for output, old, new in zip(step.node.outputs, supports, after, strict=True):
        if old is None or new is None:
            differs = True
            continue
        for name in old.keys() | new.keys():
            nothing = np.zeros((prod(analysis.shape(output) or ()), 1), bool)
            before, now = old.get(name, nothing), new.get(name, nothing)
            if np.array_equal(*np.broadcast_arrays(before, now)):
                continue
            differs = True
            seen = elements.get((output, name))
            if seen is not None:
                seen = seen.reshape(len(nothing), -1)
                if _tells(seen, before, now, trial.complete):
                    return KILLED
    if differs:
        return SURVIVES
    inner = "stage" in mutant.kind or mutant.change in _LONGER
    return COVERED if inner or not _same_alone(mutant) else NEVER


def _tells(seen: np.ndarray, old: np.ndarray, new: np.ndarray, complete: bool) -> bool:
    """Whether what was seen agrees with what is read, and not with what a mutant reads."""
    if complete:
        return bool((seen == old).all() and not (seen == new).all())
    return bool((seen & ~new).any() and not (seen & ~old).any())


def supports_of(
    per_output: list[list[Read]], step: Step, analysis: rfgraph.Analysis
) -> list[dict[str, np.ndarray] | None]:
    """By output and name of the input, what each element reads; None where that is too large."""
    names = [*step.node.inputs, *step.node.captures]
    stages: dict[int, _Support] = {}
    found: list[dict[str, np.ndarray] | None] = []
    for output, reads in zip(step.node.outputs, per_output, strict=True):
        if not output:
            found.append({})
            continue
        extent = analysis.shape(output)
        support = _support(reads, extent, lambda k: analysis.shape(names[k]), stages)
        merged: dict[str, np.ndarray] = {}
        for k, matrix in (support or {}).items():
            name = names[k]
            merged[name] = merged[name] | matrix if name in merged else matrix
        found.append(None if support is None else merged)
    return found


def with_step(analysis: rfgraph.Analysis, changed: Step) -> rfgraph.Analysis:
    """The analysis with another answer for one node."""
    flow, graph = analysis._flow, analysis._graph
    steps = {id(step.node): step for step in flow.steps}
    steps[id(changed.node)] = changed
    ordered = [steps[id(node)] for node in graph.nodes if id(node) in steps]
    mutated = Flow(flow.inputs, ordered, flow.shapes, flow.notes)
    made = rfgraph.Analysis(graph, mutated, Bounds(mutated))
    made.held = analysis.held
    return made


# ---------------------------------------------------------------- the run


def chosen(patterns: Sequence[str]) -> list[Key]:
    """The operators with a transfer, those whose name matches; a pattern that fits none is a
    ValueError.
    """
    names = {
        ".".join(filter(None, key)): key
        for key, rules in registered().items()
        if any(rule.own for rule in rules)
    }
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            near = get_close_matches(
                pattern.rpartition(".")[2], [op for _, op in names.values()], 1
            )
            meant = " or ".join(name for name, (_, op) in names.items() if op in near)
            hint = f"did you mean {meant}?" if meant else "docs/operators.md has all"
            raise ValueError(f"no operator is called {pattern}: {hint}")
    return [
        key
        for name, key in names.items()
        if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)
    ]


def _start(directory: Path | None) -> None:
    global _directory
    _directory = directory
    onnxruntime.set_default_logger_severity(4)


def run(keys: Sequence[Key], jobs: int, directory: Path | None = None) -> Iterator[Report]:
    """Examine operators, in several processes if that is asked for."""
    if jobs == 1:
        _start(directory)
        yield from map(examine, keys)
        return
    with ProcessPoolExecutor(jobs, initializer=_start, initargs=(directory,)) as pool:
        yield from pool.map(examine, keys)


def lines(report: Report, *, everything: bool = False) -> Iterator[str]:
    """A report as text."""
    fates = Counter(fate for fate, _ in report.fates.values())
    survivors = report.survivors()
    listed = fates[SURVIVES] + fates[NEVER] - len([s for s in survivors if s[2] != "no trial"])
    yield (
        f"{report.name:48}{report.trials:7}{len(report.fates):9}{fates[KILLED]:8}"
        f"{fates[COVERED]:9}{listed:8}{len(survivors):10}"
    )
    for since, kind, how in survivors:
        yield f"    since {since}: {kind}: {how}"
    for message in report.wrong:
        yield f"    wrong without any mutant: {message}"
    if everything:
        for (since, kind), (fate, trial) in sorted(report.fates.items()):
            yield f"    since {since}: {kind}: {fate} ({trial})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 1 if something survives."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument(
        "operators",
        nargs="*",
        metavar="OPERATOR",
        help="patterns of names, with their domain if that is not ONNX's; all if none",
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--cache", action="store_true", help="keep observations between runs")
    parser.add_argument("--all", action="store_true", help="print the fate of every mutant")
    options = parser.parse_args(arguments)
    try:
        keys = chosen(options.operators)
    except ValueError as error:
        parser.error(str(error))
    directory = Path(tempfile.gettempdir()) / "rfgraph-observations" if options.cache else None
    if directory is not None:
        directory.mkdir(exist_ok=True)
    begin = time.perf_counter()
    print(
        f"{'operator':48}{'trials':>7}{'mutants':>9}{'killed':>8}{'covered':>9}{'listed':>8}"
        f"{'survivors':>10}"
    )
    total: Counter[str] = Counter()
    for report in run(keys, options.jobs, directory):
        print("\n".join(lines(report, everything=options.all)), flush=True)
        total["operators"] += 1
        total["mutants"] += len(report.fates)
        total["survivors"] += len(report.survivors())
        total["wrong trials"] += len(report.wrong)
    summary = ", ".join(f"{total[name]} {name}" for name in total)
    print(f"{summary}, {time.perf_counter() - begin:.0f} s")
    return int(bool(total["survivors"] or total["wrong trials"]))


if __name__ == "__main__":
    sys.exit(main())
