"""The way of dependence through a model: which reads join which values, in order.

`trace` asks every operator that an input reaches for its reads, once; every analysis then
interprets the resulting steps.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING

from rfgraph.engine.answers import Answer, Answers, keep, keep_for_others, kept_for, shared
from rfgraph.errors import RFGraphError, ShapeError, UnsupportedError
from rfgraph.model._known import Step as Step
from rfgraph.model._known import answered, first_asked
from rfgraph.model.graph import Body, Graph, Node
from rfgraph.model.inference import misfit
from rfgraph.model.sizes import MAX_AXIS, UnknownSizeError, nominal
from rfgraph.ops import (
    Computed,
    NoteKind,
    Operation,
    Question,
    Reads,
    Undetermined,
    Unsized,
    blamed,
    check_answer,
    lookup_rule,
    rules,
)
from rfgraph.reads.widening import carrying, widened
from rfgraph.reads.words import (
    Elementwise,
    Everything,
    Fixed,
    PerAxis,
    Read,
    Rearrange,
    Shape,
    Stage,
    Table,
    followed,
)
from rfgraph.shapes import Shapes

if TYPE_CHECKING:
    from rfgraph.prune.facts import Knowledge


@dataclass(frozen=True, slots=True)
class Note:
    """Something that was assumed.

    Attributes
    ----------
    node : str
        Name of the node, or of the input.
    operator : str
        The operator's type; ``""`` for a note about an input.
    reason : str
        What was assumed, and why.
    kind : str
        ``unknown``: all of an operator's inputs are taken to be read, as nothing is known of it;
        ``computed``: the data decide what it reads; ``shape``: more is taken to be read than is,
        as a shape or a size is not known; ``coarse``: pruning cuts less than it could; ``mask``: it
        cuts nothing, as the data may mask a whole row; ``runtime``: runtimes depart from the
        specification, and the answer is for what runs; ``size``: an open axis was given one;
        ``merge``: branches meet unequally.
    axis : int or None
        Of a note of kind ``size``, the axis of the input.
    """

    node: str
    operator: str
    reason: str
    kind: NoteKind = "unknown"
    axis: int | None = None

    def __str__(self) -> str:
        where = f"{self.operator} '{self.node}'" if self.operator else self.node
        return f"{where}: {self.reason}"


@dataclass(slots=True)
class Cycle:
    """Steps that are repeated until nothing changes.

    Attributes
    ----------
    steps : list of Step
        In topological order.
    carried : list of (list of str, str, list of Read)
        For each value that goes from round to round: what the first round and what the later
        ones begin with, the value inside, and how it is read of these two.
    """

    steps: list[Step]
    carried: list[tuple[list[str], str, list[Read]]]

    @property
    def values(self) -> Iterator[str]:
        """The values that are made in each round, those of loops within it too."""
        for _, inner, _ in self.carried:
            yield inner
        for step in self.steps:
            yield from step.node.outputs
            if step.cycle is not None:
                yield from step.cycle.values


@dataclass(slots=True)
class Flow:
    """Everything an analysis needs to know.

    Attributes
    ----------
    inputs : dict of str to shape
        The inputs that are followed.
    steps : list of Step
        The nodes that an input reaches, in topological order.
    shapes : Shapes
        Shapes of the values.
    notes : list of Note
        What was assumed on the way.
    answers : dict
        What the operators answered, by what they were told.
    """

    inputs: dict[str, Shape | None]
    steps: list[Step]
    shapes: Shapes
    notes: list[Note]
    answers: Answers = field(default_factory=dict)

    def shape(self, name: str) -> Shape | None:
        """Shape of the value `name` as the steps read it: 1 for a size that the data decide."""
        shape = self.shapes.shape(name)
        return shape if shape is None or not self.shapes.unsized else nominal(shape)

    def reads_as(self, other: Flow) -> bool:
        """Whether the same is seen to be read by the same nodes."""
        # Most often they are the very same.
        return self.steps == other.steps or (
            len(self.steps) == len(other.steps)
            and all(
                a is b or (a.node is b.node and a.cycle is b.cycle and a.reads == b.reads)
                for a, b in zip(self.steps, other.steps, strict=True)
            )
        )


def trace(graph: Graph, shapes: Shapes, *, strict: bool = False) -> Flow:
    """Ask the operators for their reads; `rfgraph.engine.pruned` does where constants cut them.

    Parameters
    ----------
    graph : Graph
        The model.
    shapes : Shapes
        Its shapes.
    strict : bool
        Whether an operator without a transfer is an error.

    Raises
    ------
    UnsupportedError
        With `strict`, an operator whose reads are not known.
    TransferError
        A transfer that is not rfgraph's own fails.
    """
    return Tracer(graph, shapes, strict).flow()


class Tracer:
    """Asks the operators, and keeps which values an input reaches: see `trace`."""

    # What is known of the elements of values, where constants cut reads.
    _knowledge: Knowledge | None = None

    def __init__(self, graph: Graph, shapes: Shapes, strict: bool) -> None:
        self._graph = graph
        self._file = graph.file
        self._shapes = shapes
        self._strict = strict
        self._inputs = {i.name: shapes.shape(i.name) for i in graph.inputs}
        # What they reach is added.
        self._live = set(self._inputs)
        # Answers by what they rest on: first what every transfer may ask; where it asked more, a
        # question stands there, and what it was told leads on.
        self._answers: Answers = {}
        self._notes: list[Note] = []

    def flow(self) -> Flow:
        """What is read by what, of the whole model."""
        steps = self._steps(self._graph.nodes)
        return Flow(self._inputs, steps, self._shapes, self._notes, self._answers)

    def _steps(self, nodes: list[Node]) -> list[Step]:
        """The steps of some nodes, in topological order, that an input reaches."""
        steps: list[Step] = []
        live, known, at = self._live, self._shapes.known, 0
        told = {} if self._shapes.unsized else rules()
        while True:
            at = answered(nodes, at, live, known, self._answers, told, Answer, steps)
            if at >= len(nodes):
                return steps
            self._step(nodes[at], steps)
            at += 1

    def _step(self, node: Node, steps: list[Step]) -> int:
        """Ask for a node, and add its step if an input reaches it: how many of its outputs."""
        names, live = sources(node), self._live
        cycle = self._cycle(node.body) if node.body is not None else None
        if live.isdisjoint(names) and not self._settles(node):
            return 0
        if node.captures:
            # Of a body no key is made.
            operation = Operation(node, names, self._shapes, live, self._knowledge)
            answer = self._asked(node, operation)
            answer.reads = self._shared(answer.reads, names, node.outputs)
        else:
            answer = self._by_key(node, first_asked(node, names, live, self._shapes.known))
        self._learn(node, answer)
        if answer.reached:
            fresh = node.captures or answer.rests_on_prune
            steps.append(Step(node, answer.reads, cycle, None if fresh else answer))
            self._follow(node, answer)
        return len(answer.reached)

    # ------------------------------------------------ what differs where constants cut reads

    def _settles(self, node: Node) -> bool:
        """Whether a node is asked for though no input reaches it."""
        return False

    def _by_key(self, node: Node, key: Hashable) -> Answer:
        """What is answered to a node, by what every transfer may ask."""
        return self._answer(node, key, self._answers)

    def _learn(self, node: Node, answer: Answer) -> None:
        """Keep what an answer says of a node's outputs."""

    def _cut(
        self, node: Node, operation: Operation, per_output: Sequence[list[Read]]
    ) -> Sequence[list[Read]]:
        """The reads of each output, where elements that are known read nothing."""
        return per_output

    # ------------------------------------------------ what is asked

    def _follow(self, node: Node, answer: Answer) -> None:
        """Go on from what an input reaches of a node."""
        for k in answer.reached:
            self._live.add(node.outputs[k])
        if answer.notes:
            for reason, kind in answer.notes.items():
                self._notes.append(Note(node.name, node.op_type, reason, kind))

    def _answer(self, node: Node, key: Hashable, answers: Answers, *, lasts: bool = True) -> Answer:
        """What is answered to a node: the same as to an earlier one that asks the same.

        It may go back to another model, and be kept for others, unless it does not last.
        """
        found = answers.get(key)
        if type(found) is Answer:
            return found
        kept = kept_for(node) if lasts and not self._shapes.unsized else None
        others: Answers = {} if kept is None else kept
        start = key
        found = found or others.get(key)
        if type(found) is Answer:
            answers[key] = found
            return found
        told: dict[Question, Hashable] = {}
        operation = Operation(node, sources(node), self._shapes, self._live, self._knowledge, told)
        while found is not None and not isinstance(found, Answer):
            key = key, operation.tell(found)
            found = answers.get(key) or others.get(key)
        if found is None:
            found = self._asked(node, operation)
            found.rests_on_prune = ("prune", None) in told
            if kept is None or not keep_for_others(kept, start, told, found):
                found.reads = self._shared(found.reads, sources(node), node.outputs)
        keep(answers, start, told, found)
        return found

    def _asked(self, node: Node, operation: Operation) -> Answer:
        """What the transfer answers to a node."""
        reads = self._reads(node, operation)
        outputs = enumerate(zip(node.outputs, reads, strict=False))
        reached = [k for k, (name, found) in outputs if name and found]
        facts = self._knowledge.facts(node.outputs) if self._knowledge is not None else ()
        return Answer(reads, reached, operation.notes, facts)

    def _shared(
        self, reads: list[list[Read]], names: Sequence[str], outputs: Sequence[str]
    ) -> list[list[Read]]:
        """The same reads of each output, as lists that others share."""
        every = [self._shapes.shape(name) for name in (*names, *outputs)]
        # As an analysis has them: what the data decide is called otherwise in each model.
        shapes = [None if shape is None else nominal(shape) for shape in every]
        ends = shapes[len(names) :]
        return [
            shared(found, (*shapes[: len(names)], end))
            for found, end in zip(reads, ends, strict=False)
        ]

    def _reads(self, node: Node, operation: Operation) -> list[list[Read]]:
        rule = lookup_rule(node.domain, node.op_type, node.version)
        if rule is None:
            if self._strict:
                raise UnsupportedError(
                    "this operator is not known",
                    file=self._file,
                    node=str(node),
                    remedy="analyse it without strict, or say what it reads: rfgraph.transfer in "
                    "Python, --ops FILE on the command line (docs/custom-operators.md)",
                )
            operation.note(
                "this operator is not known: every output is assumed to read all of every input",
                "unknown",
            )
            return self._per_output(node, operation, _everything(operation))
        try:
            answer = rule.transfer(operation)
            if not rule.own:
                check_answer(answer, operation)
                if any(n and self._shapes.shape(n) is None for n in node.outputs):
                    operation.note(
                        "the shape of its output is not known (shape= in its transfer gives it): "
                        "the output is assumed to read all of every input that its transfer names",
                        "unknown",
                    )
            return self._per_output(node, operation, answer)
        except Undetermined as reason:
            return self._whole(node, operation, str(reason), _note_kind(reason))
        except UnknownSizeError as reason:
            return self._whole(node, operation, str(reason), "shape")
        except RFGraphError:
            raise
        except MemoryError:
            raise ShapeError(
                "out of memory for what it reads",
                file=self._file,
                node=str(node),
                remedy="give smaller sizes with shapes= or --shape, or more memory with --memory",
            ) from None
        except Exception as error:
            if operation.unsized:
                # What a transfer trips over is a size that it can't compute with.
                return self._whole(node, operation, str(UnknownSizeError()), "shape")
            if not rule.own:
                raise blamed(rule, error, operation) from error
            # A transfer trusts its node: what it trips over is a node that breaks the rules.
            raise misfit(node, error, self._file) from error

    def _whole(
        self, node: Node, operation: Operation, reason: str, kind: NoteKind
    ) -> list[list[Read]]:
        operation.note(f"{reason}: every output is assumed to read all of every input", kind)
        return self._per_output(node, operation, _everything(operation))

    def _per_output(self, node: Node, operation: Operation, answer: Reads) -> list[list[Read]]:
        """The reads of each output that an input reaches."""
        names = sources(node)
        each = answer if isinstance(answer, tuple) else [answer] * len(node.outputs)
        per_output = self._cut(node, operation, each)
        # What is left of a loop reads all that decides how often it repeats.
        if self._shapes.unsized and node.body is None:
            per_output = self._carrying(node, per_output)
        return [
            _live_reads(found, names, self._live, self._shapes, self._shapes.shape(name))
            for name, found in zip(node.outputs, per_output, strict=False)
        ]

    def _carrying(self, node: Node, per_output: Sequence[list[Read]]) -> list[list[Read]]:
        """The reads of each output, of which every element depends on what decides its size."""
        shapes = [self._shapes.shape(name) for name in sources(node)]
        extents = [self._shapes.shape(name) for name in node.outputs]
        return [
            reads if extent is None else carrying(reads, shapes, extent)
            for reads, extent in zip(per_output, extents, strict=False)
        ]

    def _cycle(self, body: Body) -> Cycle:
        """The steps of a body, in which what is carried lives once its beginning or end does."""
        live, kept = self._live, len(self._notes)
        live.update(inner for first, inner, _ in body.carried if first in live)
        while True:
            steps = self._steps(body.nodes)
            grown = {inner for _, inner, last in body.carried if last in live} - live
            if not grown:
                break
            live |= grown
            del self._notes[kept:]
        shape = self._shapes.shape
        carried = []
        for first, inner, last in body.carried:
            names = [first, last]
            reads: list[Read] = [Elementwise(0), Elementwise(1)]
            reads = _live_reads(reads, names, live, self._shapes, shape(inner))
            (reads,) = self._shared([reads], names, [inner])
            carried.append((names, inner, reads))
        return Cycle(steps, carried)


def sources(node: Node) -> Sequence[str]:
    """What reads of a node name by number: its inputs, and after them its captures."""
    return [*node.inputs, *node.captures] if node.captures else node.inputs


def _note_kind(reason: Undetermined) -> NoteKind:
    if isinstance(reason, Unsized):
        return "shape"
    return "computed" if isinstance(reason, Computed) else "unknown"


def _everything(operation: Operation) -> list[Read]:
    return [Everything(k) for k in operation.sources]


def _live_reads(
    reads: list[Read], names: Sequence[str], live: set[str], shapes: Shapes, shape: Shape | None
) -> list[Read]:
    """The reads that an input reaches; all of a source where its shape or the output's is unknown,
    and all along an axis whose size is.
    """
    kept, unsized = [], shapes.unsized
    for read in reads:
        source = read.source
        if isinstance(source, Stage):
            sizes = nominal(source.shape) if unsized else source.shape
            if sizes and not 0 <= min(sizes) <= max(sizes) <= MAX_AXIS:
                raise ValueError(f"it takes an array of shape {sizes}")
            inner = _live_reads(source.reads, names, live, shapes, source.shape)
            if not inner:
                continue
            source = Stage(source.shape, inner)
            read = replace(read, source=source)
            given: Shape | None = source.shape
        elif source >= len(names) or names[source] not in live:
            continue
        else:
            given = shapes.shape(names[source])
        if shape is None:
            read = Everything(source)
            if isinstance(source, Stage):
                read = Everything(replace(source, shape=nominal(source.shape)))
        elif given is None and isinstance(read, (PerAxis, Rearrange)):
            read = Everything(source)
        else:
            extent = shape
            if unsized and given is not None:
                read = widened(read, given, shape)
                given, extent = nominal(given), nominal(shape)
                if isinstance(read.source, Stage):
                    given = read.source.shape
            if given is not None and not isinstance(read, Everything):
                _check(read, given, extent)
        kept.append(read)
    return kept


def _check(read: Elementwise | PerAxis | Rearrange, source: Shape, extent: Shape) -> None:
    """Whether a read fits the shapes; what does not comes from a node that breaks the rules."""
    if isinstance(read, Elementwise):
        if source == extent:
            return
        pairs = zip(reversed(source), reversed(extent), strict=False)
        if len(source) > len(extent) or not all(n in (1, m) for n, m in pairs):
            raise ValueError(f"{source} can't be broadcast to {extent}")
        return
    if isinstance(read, Rearrange):
        elements = prod(source)
        if prod(read.view) != elements or prod(extent) != elements:
            raise ValueError(f"{source} can't become {extent}")
        if sorted(read.permutation) != list(range(len(read.view))):
            raise ValueError(
                f"{list(read.permutation)} is not a permutation of {len(read.view)} axes"
            )
    elif len(read.axes) != len(source) or any(
        a >= len(extent) for r in read.axes for a in followed(r)
    ):
        raise ValueError(f"an input of shape {source} does not give an output of shape {extent}")
    else:
        for r in read.axes:
            if not isinstance(r, Fixed) and r.step < 1:
                raise ValueError(f"it would read every {r.step}th element of an axis")
            if isinstance(r, Table):
                table = r.starts.shape, r.counts.shape
                sizes = [extent[a] for a in r.axes]
                if any(
                    len(dims) != len(sizes)
                    or any(n not in (1, m) for n, m in zip(dims, sizes, strict=True))
                    for dims in table
                ):
                    raise ValueError(
                        f"it says what {table[0]} elements read, and there are {sizes}"
                    )
