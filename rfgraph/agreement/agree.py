"""`agree`: whether a model sees the same elements in several runtimes, or a twin of it does."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from rfgraph.agreement import twins
from rfgraph.agreement.cut import Cut, suspicious
from rfgraph.agreement.merged import apart, merged
from rfgraph.agreement.node import Alone, Seen, both, judged, parted
from rfgraph.agreement.reproduction import saved
from rfgraph.agreement.result import (
    OTHER_ELEMENTS,
    OTHER_VALUES,
    PARTED,
    Agreement,
    Difference,
    OutputFound,
    Pair,
)
from rfgraph.agreement.sides import Side, file_of, paired
from rfgraph.agreement.whole import Whole, until
from rfgraph.analysis import Analysis, analyze
from rfgraph.analysis.inputs import Model
from rfgraph.errors import QueryError
from rfgraph.files import new_folder
from rfgraph.model.graph import read
from rfgraph.runtimes import Outcome, start
from rfgraph.runtimes.observe import bases
from rfgraph.runtimes.registry import options_of
from rfgraph.runtimes.session import CRASHED, HUNG
from rfgraph.validation.plan import Run, planned
from rfgraph.worker.feeds import settled

# So many nodes that part are looked at and told.
_TOLD = 8

# Each element that is changed is changed by so many amounts.
_AMOUNTS = 3


def agree(
    model: Model,
    other: Model | None = None,
    *,
    runtimes: Sequence[str] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    values: Mapping[str, Any] | None = None,
    prune: bool = False,
    strict: bool = False,
    inputs: Mapping[str, Any] | None = None,
    samples: int = 8,
    seconds: float | None = 20.0,
    patience: float = 60.0,
    seed: int = 0,
    reproductions: str | os.PathLike[str] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Agreement:
    """Whether a model sees the same elements of its inputs in several runtimes, or a twin does.

    Planes and elements of the inputs are changed on all sides, and what changes with them is
    compared, beyond the rounding of each. Then the model is cut into its nodes, each of which is
    fed the values that the first side makes: a node that computes something else there is looked
    at by itself, unit by unit.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
        The model, with its weights.
    other : path, bytes or onnx.ModelProto, optional
        Its twin: converted, quantised, optimised.
    runtimes : sequence of str, optional
        Runtimes with their options, as ``onnxruntime:level=disable``; the first is what the others
        are compared with. If left out ``onnxruntime`` and ``openvino``; for two models
        ``onnxruntime``. Of two for two models each takes one.
    shapes, values, prune, strict
        As for `rfgraph.analyze`.
    inputs : mapping of str to array, optional
        What to run the models on; random numbers for the inputs that are left out.
    samples : int, optional
        At most so many planes across each axis, and elements of each input, are changed.
    seconds : float, optional
        No change of a whole model begins after so many seconds, for each pair of sides. None: all
        are made.
    patience : float, optional
        How many seconds opening a model, or a run, may take.
    seed : int, optional
        Of all random numbers.
    reproductions : path, optional
        A folder, empty or not there yet, for what shows each difference again: the node as a
        model, its inputs, and a script.
    progress : callable, optional
        Told what is being done.

    Returns
    -------
    Agreement
        ``ok`` if all sides answer and see the same.

    Raises
    ------
    ModelError, ShapeError
        As for `rfgraph.analyze`.
    QueryError
        A runtime, an input or an option makes no sense.
    RFGraphError
        What a runtime needs is not installed.

    Examples
    --------
    >>> from rfgraph.agreement import agree
    >>> sides = ("onnxruntime:level=disable", "onnxruntime")
    >>> found = agree("models/lenet_textbook.onnx", runtimes=sides)
    >>> found.ok, [one.kind for one in found.pairs[0].outputs]
    (True, ['agreed'])
    """
    names = _names(runtimes, other)
    if samples < 1 or seed < 0 or not patience >= 0 or not (seconds is None or seconds >= 0):
        raise QueryError("samples has to be at least 1; seed, seconds and patience at least 0")
    began = time.monotonic()
    folder = new_folder(reproductions)
    reads: dict[str, Any] = {"prune": prune, "strict": strict, "assume": True}
    analyses = [analyze(model, shapes=shapes, values=values, **reads)]
    if other is not None:
        own = [given.name for given in read(model).inputs]
        analyses.append(_twin(analyses[0], own, other, shapes or {}, values or {}, reads))
    tell = progress or (lambda _: None)
    with ExitStack() as stack:
        sides: list[Side] = []
        for k, name in enumerate(names):
            session = stack.enter_context(start(name, seconds=patience))
            place = k if other is not None else 0
            shown = name if other is None else f"{file_of((model, other)[k])} ({name})"
            if other is not None and shown in [side.name for side in sides]:
                shown = f"second {shown}"
            tell(f"opening the model in {shown}")
            given = (model, other)[place]
            assert given is not None
            sides.append(Side(shown, given, analyses[place], session))
        work = _Work(sides, names, samples, seconds, seed, folder, tell)
        pairs, notes, complete = work.carried_out({**(inputs or {})})
        naive = sum(prod(analyses[0].extent(n) or ()) for n in analyses[0].inputs)
        return Agreement(
            analyses[0].file or sides[0].proto.graph.name,
            tuple(side.found() for side in sides),
            tuple(pairs),
            sum(side.session.runs for side in sides) - work.parts,
            work.parts,
            naive * _AMOUNTS * len(sides),
            time.monotonic() - began,
            complete,
            tuple(notes),
        )


def _names(runtimes: Sequence[str] | None, other: Model | None) -> list[str]:
    """A runtime for each side."""
    if other is None:
        names = list(runtimes or ("onnxruntime", "openvino"))
        if len(names) < 2:
            raise QueryError(
                "one runtime alone agrees with itself",
                remedy="give two, as --runtimes onnxruntime,openvino, or a second model",
            )
    else:
        names = list(runtimes or ("onnxruntime",))
        if len(names) > 2:
            raise QueryError("two models are compared in one runtime, or each in one of two")
        names = names * 2 if len(names) == 1 else names
    for name in names:
        options_of(name)
    twice = next((name for k, name in enumerate(names) if name in names[:k]), None)
    if twice is not None and other is None:
        raise QueryError(f"runtime '{twice}' is given twice")
    for name in names:
        # Before any of them takes its time.
        options_of(name)
    return names


def _twin(
    first: Analysis,
    inputs: Sequence[str],
    model: Model,
    shapes: Mapping[str, Sequence[int]],
    values: Mapping[str, Any],
    reads: Mapping[str, Any],
) -> Analysis:
    """The analysis of a twin, at the sizes of the first: inputs are matched by name or place."""
    graph = read(model)
    names = [given.name for given in graph.inputs]
    theirs = paired(inputs, names, graph.file)
    known = [name for name in theirs if name in first.inputs]
    own = {theirs[n]: s for n in known if (s := first.extent(n)) is not None}
    own |= {name: tuple(shape) for name, shape in shapes.items() if name in names}
    held = {theirs.get(name, name): value for name, value in values.items()}
    held = {name: value for name, value in held.items() if name in names}
    sizes = {n: s for n, s in own.items() if n not in held}
    return analyze(model, shapes=sizes, values=held, **reads)


class _Work:
    """What is done with the sides of a comparison."""

    def __init__(
        self,
        sides: Sequence[Side],
        runtimes: Sequence[str],
        samples: int,
        seconds: float | None,
        seed: int,
        folder: Path | None,
        tell: Callable[[str], None],
    ) -> None:
        self._sides = sides
        self._runtimes = dict(zip([side.name for side in sides], runtimes, strict=True))
        self._samples = samples
        self._seconds = seconds
        self._seed = seed
        self._folder = folder
        self._tell = tell
        self._notes: list[str] = []
        self._complete = True
        # Runs of parts of the models.
        self.parts = 0

    def carried_out(self, inputs: Mapping[str, Any]) -> tuple[list[Pair], list[str], bool]:
        """Compare the first side that answers with every other one that does."""
        pairs: list[Pair] = []
        for first in self._sides:
            if not first.outcome.answered:
                continue
            notes = len(self._notes)
            points = self._points(first, inputs)
            self._answered(first, first, points)
            if first.outcome.answered:
                compared = [side for side in self._sides if side.compared]
                answers = {side.name: self._answered(side, first, points) for side in compared}
                others = [side for side in compared if side is not first and side.compared]
                pairs = [self._pair((first, side), points, answers) for side in others]
                break
            del self._notes[notes:]
        if self._folder is not None and not any(self._folder.iterdir()):
            self._folder.rmdir()
        return pairs, self._notes, self._complete

    def _points(self, first: Side, inputs: Mapping[str, Any]) -> list[dict[str, np.ndarray]]:
        """What the models are run on."""
        analysis = first.analysis
        first.open_whole()

        def runs(feeds: Mapping[str, Any]) -> bool:
            return first.session.run([feeds])[0].answered

        given = {**inputs, **analysis.held}
        feeds, limit = settled(analysis, first.proto, given, analysis.held, self._seed, runs)
        if limit is not None:
            self._notes.append(f"random whole numbers for the inputs are below {limit}")
        self._notes.extend(note.reason for note in analysis.notes if note.kind == "size")
        others = bases(feeds, self._seed)[1]
        return [feeds, {n: a if n in given else others[n] for n, a in feeds.items()}]

    def _answered(
        self, side: Side, first: Side, points: Sequence[Mapping[str, np.ndarray]]
    ) -> list[Outcome]:
        """What a side makes of the points; an output that is not as declared is told."""
        own = points if side is first else [side.feeds(point) for point in points]
        opened = side.open_whole()
        made = side.session.run(own[:1]) if opened.answered else [opened]
        # One that has crashed or hung is not asked again.
        lost = made[0].kind in (CRASHED, HUNG)
        made += made if lost or not opened.answered else side.session.run(own[1:])
        if made[0].answered and not lost:
            side.unsteady = side.differing(own[0], made[0])
        made = [self._held(side, one) for one in made]
        if not any(one.answered for one in made):
            side.outcome = made[0]
        return made

    def _held(self, side: Side, made: Outcome) -> Outcome:
        """An answer held against the shapes that the analysis knows, and the declared types."""
        expected = []
        for value in side.proto.graph.output:
            known = side.analysis.shape(value.name)
            kind = value.type.tensor_type.elem_type
            dtype = onnx.helper.tensor_dtype_to_np_dtype(kind) if kind else None
            if kind == onnx.TensorProto.STRING:
                dtype = None
            shape = None if known is None or None in known else known
            expected.append((shape, dtype))
        return made.held_against(expected)

    def _pair(
        self,
        sides: tuple[Side, Side],
        points: Sequence[dict[str, np.ndarray]],
        answers: Mapping[str, list[Outcome]],
    ) -> Pair:
        """Compare two sides."""
        first, second = sides
        notes: list[str] = []
        matched = twins.matched(first, second)
        compared = Whole(sides, points, (answers[first.name], answers[second.name]), matched)
        runs = self._runs(first)
        self._tell(f"changing inputs in {first.name} and {second.name}")
        for side in sides:
            side.open_whole()
        made = compared.observe(runs, until(self._seconds))
        if made < len(runs):
            self._complete = False
            notes.append(f"{made} of {len(runs)} changes were made within the time")
        outputs = compared.found()
        before = sum(side.session.runs for side in sides)
        differences: list[Difference] = []
        if first.analysis is second.analysis:
            gone = [one.name for one in outputs if one.kind == PARTED]
            differences = self._nodes(sides, points[0], gone, notes)
        else:
            notes.append(twins.claimed(first, second))
            if any(one.kind == PARTED for one in outputs):
                self._tell("looking for the first value that parts")
                found = twins.traced(sides, points[0], runs, outputs)
                if found is None:
                    notes.append("no value that both make of their inputs parts by itself")
                else:
                    shown = (None, None) if self._folder is None else found.shown()
                    differences = [self._kept(sides, found.difference(), *shown, 0)]
        self.parts += sum(side.session.runs for side in sides) - before
        outputs = [_with_nodes(first.analysis, one, differences) for one in outputs]
        return Pair(first.name, second.name, tuple(outputs), tuple(differences), tuple(notes))

    def _runs(self, first: Side) -> list[Run]:
        analysis = first.analysis
        changed = [
            name
            for name in analysis.inputs
            if (shape := analysis.extent(name)) is not None and 0 not in shape
        ]
        outputs = [name for name in first.outputs if analysis.extent(name) is not None]
        return planned(analysis, outputs, changed, samples=self._samples, seed=self._seed)

    def _nodes(
        self,
        sides: tuple[Side, Side],
        feeds: Mapping[str, np.ndarray],
        gone: Sequence[str],
        notes: list[str],
    ) -> list[Difference]:
        """The nodes that part when they are fed the same; `gone` are the outputs that part."""
        first, second = sides
        self._tell(f"running every node by itself in {second.name}")
        cut = Cut.of(first, feeds)
        if isinstance(cut, Outcome):
            notes.append(f"inner values can't be shown: {cut}")
            return []
        found: list[Difference] = []
        same: dict[bytes, int] = {}
        failed = 0
        random: list[str] = []
        for node, value, made in cut.held_against(second):
            if not made.answered:
                failed += 1
                continue
            ours, theirs = np.asarray(cut.values[value]), np.asarray(made.outputs[0])
            key = _kind_of(node)
            if not suspicious(ours, theirs, first, second):
                continue
            if key in same or len(found) >= _TOLD:
                same[key] = same.get(key, 0) + 1
                continue
            self._tell(f"looking at {node.op_type} '{node.name or value}'")
            if self._is_random(sides, cut, node, value):
                random.append(f"{node.op_type} '{node.name or value}'")
                continue
            one = self._node(sides, cut, node, value, feeds, len(found))
            if one is not None:
                found.append(one)
                if one.kind != OTHER_ELEMENTS:
                    same[key] = 0
        more = sum(same.values())
        if more:
            notes.append(f"{more} more nodes have other values, most as others of their operator")
        if random:
            more_ = f" and {len(random) - 3} more" if len(random) > 3 else ""
            notes.append(f"other values in equal runs are made by {', '.join(random[:3])}{more_}")
        if failed:
            notes.append(f"{failed} nodes can't be tried alone in {second.name}")
        if gone and not any(one.kind != OTHER_VALUES for one in found):
            self._tell("looking for nodes that part together")
            together = merged(sides, cut, feeds, gone)
            if together is None:
                notes.append("no node parts by itself, nor with those before it")
            else:
                found.append(self._kept(sides, *together, len(found)))
        return found

    def _is_random(
        self, sides: tuple[Side, Side], cut: Cut, node: onnx.NodeProto, value: str
    ) -> bool:
        """Whether a node's value differs in equal runs of a side."""
        model, fed, shown = cut.model([node])
        place = list(shown).index(value)
        answers = both(sides, model, fed)
        return any(
            place in side.differing(fed, answer)
            for side, answer in zip(sides, answers, strict=True)
        )

    def _node(
        self,
        sides: tuple[Side, Side],
        cut: Cut,
        node: onnx.NodeProto,
        value: str,
        feeds: Mapping[str, np.ndarray],
        number: int,
    ) -> Difference | None:
        model, fed, shown = cut.model([node])
        place = list(shown).index(value)
        found = parted(sides, model, fed, place)
        if found is None:
            return None
        difference, small, sight = judged(sides, node, value, found)
        difference = replace(difference, whole=apart(sides, feeds, value) > 0)
        return self._kept(sides, difference, small, sight, number)

    def _kept(
        self,
        sides: tuple[Side, Side],
        difference: Difference,
        small: Alone | None,
        sight: Seen | None,
        number: int,
    ) -> Difference:
        """A difference whose reproduction is saved, if that is asked for."""
        if self._folder is not None and small is not None:
            names = (self._runtimes[sides[0].name], self._runtimes[sides[1].name])
            folder = saved(self._folder, number, sides, names, difference, small, sight)
            difference = replace(difference, reproduction=folder)
        return difference


def _kind_of(node: onnx.NodeProto) -> bytes:
    """What nodes of the same operator and attributes have in common."""
    kind = onnx.NodeProto(op_type=node.op_type, domain=node.domain, attribute=node.attribute)
    return bytes(kind.SerializeToString(deterministic=True))


def _with_nodes(
    analysis: Analysis, output: OutputFound, differences: Sequence[Difference]
) -> OutputFound:
    """An output that sees other elements through a node that does."""
    if output.kind == PARTED:
        return output
    before = analysis.ancestors(output.name) | {output.name}
    for one in differences:
        if one.kind == OTHER_ELEMENTS and one.whole and one.value in before:
            return replace(output, kind=PARTED, why=f"through {one.operator} '{one.node}'")
    return output


__all__ = ["agree"]
