"""`analyze`: a model is read once, and analysed at one or several sizes of its inputs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rfgraph.analysis.analysis import Analysis
from rfgraph.analysis.collector import uncollected
from rfgraph.analysis.held import Filling, parsed
from rfgraph.analysis.inputs import (
    Held,
    Model,
    OpenAxis,
    depends_on_size,
    dims_of,
    sizes_of,
    sizes_text,
    template,
    with_sizes,
)
from rfgraph.analysis.open_axes import OpenAxes, fitting, tries
from rfgraph.engine._lowering import Lowering
from rfgraph.engine.answers import forget_answers
from rfgraph.engine.bounds import Bounds
from rfgraph.engine.trace import Flow, Note, trace
from rfgraph.errors import MisfitError, QueryError, RFGraphError, ShapeError
from rfgraph.model.graph import Graph, Node, read
from rfgraph.model.sizes import Shape
from rfgraph.shapes import MAX_STATIC, Shapes
from rfgraph.timings import Timings, phase
from rfgraph.unroll.expand import expand

# Static values are evaluated up to this many elements where constants cut reads: large masks.
_MAX_MASK = 1 << 27

# If no size fits, an error lists this many of the sizes that were tried.
_TOLD = 12

# Sizes at which an open axis is probed: a read across the axis shows at 2, and slices far from the
# beginning are not empty at 61.
_PROBES = (2, 61)

# Most nets read across a picture or a signal at once: that is looked for in this many nodes first.
_EARLY = 24


def analyze(
    model: Model,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    values: Mapping[str, Any] | None = None,
    prune: bool = False,
    strict: bool = False,
    assume: bool = False,
    progress: Callable[[int, int], None] | None = None,
    timings: Timings | None = None,
) -> Analysis:
    """Analyse the receptive fields of a model.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
        The model. Its weights are not read, unless with `prune`.
    shapes : mapping of str to tuple of int, optional
        Shapes of inputs, for the axes that the model leaves open. That of an input that is held
        with `values` follows from its value.
    values : mapping of str to array or str, optional
        Inputs to hold fixed, such as a ``sizes`` input: nothing depends on them. ``"ones"``,
        ``"zeros"`` and ``"arange"`` (along the last axis) fill the input's shape, whatever it is;
        other texts are those of ``--value`` on the command line.
    prune : bool, optional
        Whether constants cut reads: taps of a kernel that are exactly zero, what a mask excludes
        from a softmax, what is multiplied by zero. The weights are then read.
    strict : bool, optional
        Whether an operator without a transfer is an error; else all of its inputs are taken to
        be read, with a note.
    assume : bool, optional
        Whether open axes on which the answer depends get a sensible size, with a note.
    progress : callable, optional
        Called on long work with the number of nodes done and of all nodes.
    timings : Timings, optional
        Is told how long each phase takes.

    Returns
    -------
    Analysis
        The answers, for all inputs and all values.

    Raises
    ------
    ModelError
        The model can't be read or is malformed.
    ShapeError
        The answer depends on the size of an open axis, or sizes contradict each other.
    UnsupportedError
        With `strict`, an operator without a transfer.
    QueryError
        `shapes` or `values` name what is not an input.

    Examples
    --------
    >>> import onnx.parser
    >>> model = onnx.parser.parse_model('''
    ...     <ir_version: 8, opset_import: ["" : 17]>
    ...     net (float[1, 1, 9] x) => (float[1, 1, 5] y)
    ...     <float[1, 1, 3] W = {1, 1, 1}>
    ...     { y = Conv <strides = [2], pads = [1, 1]> (x, W) }
    ... ''')
    >>> a = analyze(model)
    >>> lo, hi = a.bounds("y", "x")
    >>> lo[0, 0, :, 2].tolist(), hi[0, 0, :, 2].tolist()
    ([0, 1, 3, 5, 7], [1, 3, 5, 7, 8])
    >>> field = a.field("y", "x")[2]
    >>> field.size, field.stride, field.start, field.centre
    (3, 2, -1, 0)
    """
    with uncollected():
        held = _held_inputs(model, values or {}, shapes or {}, assume, timings)
        with phase(timings, "read"):
            graph = read(model, held.arrays)
        at = Analyser(graph, strict, prune, progress, timings, held)
        return at.answered(held.shapes, assume=assume)


def _held_inputs(
    model: Model,
    values: Mapping[str, Any],
    shapes: Mapping[str, Sequence[int]],
    assume: bool,
    timings: Timings | None,
) -> Held:
    """The inputs to hold; what fills one takes the shape that it has where it is not held."""
    given: dict[str, Any] = {}
    for name, value in values.items():
        try:
            given[name] = parsed(value)
        except ValueError as error:
            raise QueryError(f"values: input '{name}': {value!r}: {error}") from None
    filling = {name: value for name, value in given.items() if isinstance(value, Filling)}
    arrays = {name: value for name, value in given.items() if name not in filling}
    if not filling:
        return Held(arrays, dict(shapes), [])
    with phase(timings, "read"):
        graph = read(model, arrays)
    notes: list[Note] = []
    fitting, open_axes = sizes_of(graph, shapes)
    if any(name in filling for name, _ in open_axes):
        free = analyze(model, shapes=shapes, values=arrays, assume=assume, timings=timings)
        fitting = {n: s for n in free.inputs if (s := free.extent(n)) is not None}
        shapes = {**shapes, **fitting}
        notes = [note for note in free.notes if note.kind == "size"]
    for name, how in filling.items():
        if name not in fitting and any(i.name == name for i in graph.inputs):
            raise ShapeError(
                f"values: {how.kind} can't fill input '{name}', whose shape is not known",
                file=graph.file,
                remedy=f"give the shape with them: '2x3:{how.kind}'",
            )
        # One that the model does not have is told with all others.
        arrays[name] = how.array(fitting.get(name, ()))
    return Held(arrays, dict(shapes), notes)


# What was lowered for the models that were analysed in this thread.
_KEPT = threading.local()

# It is kept up to this size, some tens of megabytes, and then begun anew.
_MOST_KEPT = 200_000


def _lowering() -> Lowering:
    """What was lowered for other models, of which much is the same in the next."""
    kept: Lowering | None = getattr(_KEPT, "lowering", None)
    if kept is None:
        kept = _KEPT.lowering = Lowering()
    return kept


def forget() -> None:
    """Drop what is kept of models that were analysed before: the next one is like the first."""
    forget_answers()
    _KEPT.lowering = None


class Analyser:
    """A graph at given sizes of its inputs.

    What is lowered at some sizes is often the same at others, and is then made once.
    """

    def __init__(
        self,
        graph: Graph,
        strict: bool,
        prune: bool,
        progress: Callable[[int, int], None] | None,
        timings: Timings | None,
        held: Held,
    ) -> None:
        self.graph = graph
        self._strict, self._prune, self._held = strict, prune, held
        self._progress, self._timings = progress, timings
        self._lowering = _lowering()

    def pruning(self, prune: bool | None = True) -> Analyser:
        """The same where constants cut reads, or where they don't."""
        if prune in (None, self._prune):
            return self
        return self._but(_prune=bool(prune))

    def only(self, nodes: list[Node]) -> Analyser:
        """The same for some of the nodes."""
        return self._but(graph=replace(self.graph, nodes=nodes))

    def _but(self, **changed: Any) -> Analyser:
        """The same with other attributes."""
        # By hand: `copy` takes as long as the nodes of a small model.
        made = object.__new__(Analyser)
        made.__dict__.update(self.__dict__, **changed)
        return made

    def pruned(self, analysis: Analysis) -> Analysis:
        """An analysis with what constants cut left out."""
        at = self.pruning()
        if at is self:
            return analysis
        with uncollected():
            graph, flow = analysis._graph, analysis._flow
            shapes = flow.shapes.up_to(_MAX_MASK)
            if shapes is None:
                extents = {name: analysis.extent(name) for name in analysis.inputs}
                sizes = {name: shape for name, shape in extents.items() if shape is not None}
                made = Analysis(*at._made(sizes, None), at)
            else:
                with phase(at._timings, "lowering"):
                    cut = at._traced(graph, shapes, flow)
                    if cut.reads_as(flow):
                        return analysis
                    made = Analysis(graph, cut, at._lowered(cut, None), at)
        made.held = analysis.held
        made.notes.extend(self._held.notes)
        return made

    def resized(
        self, shapes: Mapping[str, Sequence[int]], *, prune: bool | None = None
    ) -> Analysis:
        """The same model at other shapes of its inputs, and sensible sizes for open axes."""
        return self.pruning(prune).answered(shapes, assume=True)

    def __call__(self, sizes: Mapping[str, Shape]) -> Analysis:
        """The analysis of all there is."""
        return Analysis(*self._made(sizes, None), self)

    def answered(self, shapes: Mapping[str, Sequence[int]], *, assume: bool) -> Analysis:
        """The analysis at given shapes of inputs, and sizes for the axes that these leave open."""
        with uncollected():
            sizes, open_axes = sizes_of(self.graph, shapes)
            answer = _answered(self, sizes, open_axes, assume, shapes)
        answer.held = self._held.arrays
        answer.notes.extend(self._held.notes)
        return answer

    def across(
        self, sizes: Mapping[str, Shape], axes: Sequence[OpenAxis]
    ) -> tuple[set[OpenAxis], list[Note]]:
        """Which of some axes of the inputs are read across, and what was assumed."""
        asked: dict[str, list[int]] = {}
        for name, axis in axes:
            asked.setdefault(name, []).append(axis)
        _, flow, bounds = self._made(sizes, asked)
        return {where for where in axes if bounds.reads_across(*where)}, flow.notes

    def _made(
        self, sizes: Mapping[str, Shape], axes: Mapping[str, Sequence[int]] | None
    ) -> tuple[Graph, Flow, Bounds]:
        with phase(self._timings, "shapes"):
            most = _MAX_MASK if self._prune else MAX_STATIC
            graph, shapes = expand(self.graph, sizes, most)
        with phase(self._timings, "lowering"):
            flow = self._traced(graph, shapes)
            return graph, flow, self._lowered(flow, axes)

    def _traced(self, graph: Graph, shapes: Shapes, like: Flow | None = None) -> Flow:
        if not self._prune:
            return trace(graph, shapes, strict=self._strict)
        # Imported where it is needed: most models are analysed without.
        from rfgraph.engine import pruned

        return pruned.trace(graph, shapes, strict=self._strict, like=like)

    def _lowered(self, flow: Flow, axes: Mapping[str, Sequence[int]] | None) -> Bounds:
        try:
            return Bounds(flow, self._progress, self._lowering, axes)
        except ShapeError as error:
            error.file = error.file or self.graph.file
            raise
        finally:
            if self._lowering.size > _MOST_KEPT:
                _KEPT.lowering = None


# ---------------------------------------------------------------- open axes


def _answered(
    at: Analyser,
    sizes: dict[str, Shape],
    open_axes: list[OpenAxis],
    assume: bool,
    given: Iterable[str],
) -> Analysis:
    graph = at.graph
    if not open_axes:
        try:
            return at(sizes)
        except MisfitError as error:
            # It takes trying, and who handles the error may not want it.
            before = error.remedy
            error.remedy = lambda: _near(graph, sizes, given) or before
            raise
    try:
        return _independent(graph, at, sizes, open_axes, assume)
    except ShapeError:
        if not assume:
            raise
    return _assumed(graph, at, sizes, open_axes)


def _near(graph: Graph, sizes: Mapping[str, Shape], given: Iterable[str]) -> str:
    """Which shapes near those given the model takes, for people; nothing if none was found."""
    groups: dict[object, list[OpenAxis]] = {}
    fixed: dict[OpenAxis, int] = {}
    for name in given:
        for axis, dim in enumerate(dims_of(graph, name)):
            if isinstance(dim, int):
                fixed[name, axis] = dim
            else:
                groups.setdefault(dim or (name, axis), []).append((name, axis))

    def fits(changed: Mapping[str, Shape]) -> bool:
        try:
            expanded, inferred = expand(graph, changed)
            trace(expanded, inferred)
        except RFGraphError:
            return False
        return not any(0 in (inferred.shape(name) or ()) for name in graph.outputs)

    # What the file fixes comes first.
    own = with_sizes(sizes, fixed)
    found = (own, 1) if fits(own) else fitting(own, list(groups.values()), fits, tries(graph) * 3)
    if found is None:
        return ""
    near, multiple = found
    changed = [name for name in near if near[name] != sizes[name]]
    said = " ".join(f"--shape {name}={sizes_text(near[name])}" for name in changed)
    if multiple == 1:
        return f"sizes that fit: {said}"
    axes = [
        f"axis {axis} of input '{name}'"
        for name in changed
        for axis, size in enumerate(near[name])
        if size != sizes[name][axis]
    ]
    return f"use a multiple of {multiple} for {' and '.join(axes)}: {said}"


def _independent(
    graph: Graph, at: Analyser, sizes: Mapping[str, Shape], open_axes: list[OpenAxis], assume: bool
) -> Analysis:
    """The analysis with open axes of size 1, if nothing is read across them.

    That is seen at size 2, where what reads across an axis sees both of its elements. Beyond the
    batch a larger size is tried too, at which slices far from the beginning are not empty. With
    `assume` nobody reads why not.
    """
    beyond = [where for where in open_axes if where[1] > 0]
    try:
        if assume and beyond and len(graph.nodes) > 2 * _EARLY:
            early = at.only(graph.nodes[:_EARLY])
            found, _ = early.across(with_sizes(sizes, dict.fromkeys(open_axes, 2)), beyond)
            if found:
                raise depends_on_size(graph, beyond[0])
        answer = None if assume and beyond else at(sizes)
        crossed: set[OpenAxis] = set()
        noted = 0
        for n in _PROBES[: 1 + bool(beyond)]:
            found, notes = at.across(with_sizes(sizes, dict.fromkeys(open_axes, n)), open_axes)
            crossed |= found
            noted = max(noted, len(notes))
            if beyond and found:
                # That is enough, and the larger size takes the longer time.
                break
        if answer is None:
            if crossed:
                raise depends_on_size(graph, beyond[0])
            answer = at(sizes)
        rigid = noted > len(answer.notes)
    except RFGraphError as error:
        raise depends_on_size(graph, (beyond or open_axes)[0], str(error)) from None
    for where in open_axes:
        said = f"its axis {where[1]} is open and taken as 1: "
        if rigid:
            if beyond:
                raise depends_on_size(graph, beyond[0])
            said += "the graph allows no other size"
        elif where in crossed:
            raise depends_on_size(graph, where)
        else:
            said += "nothing is read across it"
        answer.notes.append(Note(where[0], "", said, "size", where[1]))
    return answer


def _assumed(
    graph: Graph, at: Analyser, sizes: Mapping[str, Shape], open_axes: list[OpenAxis]
) -> Analysis:
    """The analysis with sensible sizes for the open axes: the same for those of one name."""
    axes = OpenAxes(graph, sizes, open_axes)
    found, chosen = _guessed(graph, at, sizes, axes.guesses())
    asked = axes.maybe_time
    if asked:
        try:
            several = with_sizes(sizes, chosen | dict.fromkeys(axes.samples, 3))
            crossed, _ = at.across(several, asked)
        except RFGraphError:
            crossed = set()
        if axes.begins_with_time(crossed):
            found, chosen = _guessed(graph, at, sizes, axes.guesses(batch_first=False))
    found.notes.extend(
        Note(name, "", f"its axis {axis} is open and taken as {size}", "size", axis)
        for (name, axis), size in chosen.items()
    )
    return found


def _guessed(
    graph: Graph, at: Analyser, sizes: Mapping[str, Shape], guesses: Iterable[dict[OpenAxis, int]]
) -> tuple[Analysis, dict[OpenAxis, int]]:
    """The first analysis whose outputs have known sizes above 0, else the one that has most."""
    best: tuple[Analysis, dict[OpenAxis, int]] | None = None
    lowest = (0, 0)
    tried: list[dict[str, Shape]] = []
    reason = ""
    for chosen in guesses:
        given = with_sizes(sizes, chosen)
        try:
            found = at(given)
        except ShapeError as error:
            tried.append(given)
            # An error that is kept keeps all that it went through.
            reason = reason or f"{error.node}: {error.message}"
            continue
        wanting = sum(s is None or 0 in s for s in map(found.shape, found.outputs))
        if best is None or (wanting, len(found.notes)) < lowest:
            best, lowest = (found, chosen), (wanting, len(found.notes))
        if not wanting:
            break
    if best is not None:
        return best
    names = dict.fromkeys(name for name, _ in chosen)
    shown = [" ".join(f"{n}={sizes_text(g[n])}" for n in names) for g in tried]
    raise ShapeError(
        f"the sizes of {len(chosen)} axes are open, and none of the {len(tried)} combinations "
        f"that were tried fits: {'; '.join(list(dict.fromkeys(shown))[:_TOLD])}, ...; with the "
        f"first one, {reason}",
        file=graph.file,
        remedy="give sizes that fit: "
        + " ".join(f"--shape {n}={template(dims_of(graph, n))}" for n in names),
    ) from None
