"""The way of dependence where constants cut reads.

What is known of constants, and learnt of values from them, decides what else is asked of a node;
where that is nothing, the step holds that is there without. Source: docs/adr/0018-kept-between-
models.md.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from itertools import chain

from rfgraph.engine.answers import Answer, Answers
from rfgraph.engine.trace import Flow, Tracer, sources
from rfgraph.model._known import Step, unchanged
from rfgraph.model.graph import Graph, Node
from rfgraph.ops import Operation, evaluate, lookup_rule, traits_of
from rfgraph.prune.facts import Knowledge, Lack
from rfgraph.prune.learning import is_silent, learn, rests_on_zeros, tells_of_nothing, watched
from rfgraph.prune.pieces import confined
from rfgraph.prune.zeros import factors_of, without_zeros
from rfgraph.reads.words import Read, Shape
from rfgraph.shapes import Shapes


def trace(graph: Graph, shapes: Shapes, *, strict: bool = False, like: Flow | None = None) -> Flow:
    """Ask the operators for their reads where constants cut them.

    Parameters
    ----------
    graph : Graph
        The model.
    shapes : Shapes
        Its shapes.
    strict : bool
        Whether an operator without a transfer is an error.
    like : Flow, optional
        The same where they don't: where nothing could be cut its answers hold.

    Raises
    ------
    UnsupportedError
        With `strict`, an operator whose reads are not known.
    TransferError
        A transfer that is not rfgraph's own fails.
    """
    return PruningTracer(graph, shapes, strict, like).flow()


class PruningTracer(Tracer):
    """Asks the operators where constants cut reads: see `trace`."""

    _knowledge: Knowledge

    def __init__(self, graph: Graph, shapes: Shapes, strict: bool, like: Flow | None) -> None:
        super().__init__(graph, shapes, strict)
        self._knowledge = Knowledge(shapes, self._live, evaluate)
        # The answers where nothing that is known tells anything.
        self._uncut: Answers = like.answers if like is not None else {}
        # The steps of the whole model where constants don't cut reads.
        self._before: list[Step] = like.steps if like is not None else []
        # Values that vary without an input that is read, as far as constants cut.
        self._dead: set[str] = set()

    def _steps(self, nodes: list[Node]) -> list[Step]:
        """The steps of some nodes, in topological order, that an input reaches."""
        # The first nodes that are asked for are those of the model, others of loops in it.
        before, self._before = self._before, []
        steps: list[Step] = []
        at = place = 0
        while True:
            at, place = unchanged(
                nodes, at, before, place, self._live, self._knowledge, self._dead, steps
            )
            if at >= len(nodes):
                return steps
            node, earlier = nodes[at], None
            if place < len(before) and before[place].node is node:
                earlier = before[place]
                held = earlier.answer
                if held is not None and held.watched is True:
                    held.watched = self._watched(earlier, held)
                    continue
                place += 1
            at += 1
            # As long as nothing is cut off, the same values are reached.
            if earlier is not None and held is not None and self._holds(earlier, held):
                steps.append(earlier)
                self._follow(node, held)
            elif self._step(node, steps) < (0 if earlier is None else _reached(earlier)):
                before = []

    def _watched(self, earlier: Step, answer: Answer) -> Sequence[int | Lack] | bool:
        """Which constants decide whether a step is the same where they cut reads; False if that
        can't be told.
        """
        node = earlier.node
        if earlier.cycle is not None or self._tells(node, answer):
            return False
        how = traits_of(node.domain, node.op_type).facts
        found = watched(self._knowledge, node, how, _factors(answer))
        return False if found is None else found

    def _holds(self, earlier: Step, answer: Answer) -> bool:
        """Whether a step is the same where constants cut reads."""
        node = earlier.node
        if earlier.cycle is not None or self._tells(node, answer):
            return False
        if self._knowledge.is_nothing_of(node.inputs):
            return True
        how = traits_of(node.domain, node.op_type).facts
        return is_silent(self._knowledge, node, how, _factors(answer))

    def _tells(self, node: Node, answer: Answer) -> bool:
        """Whether something is known of the outputs of a node of whose inputs nothing is."""
        if answer.tells is None:
            how = traits_of(node.domain, node.op_type).facts
            answer.tells = tells_of_nothing(self._knowledge, node, how, answer.reads)
        return answer.tells

    # ------------------------------------------------ what differs where constants cut reads

    def _settles(self, node: Node) -> bool:
        """Whether constants cut all that the inputs of a node read: what is known goes on."""
        if self._dead.isdisjoint(node.inputs):
            return False
        return lookup_rule(node.domain, node.op_type, node.version) is not None

    def _by_key(self, node: Node, key: Hashable) -> Answer:
        """What is answered to a node, by what every transfer may ask and what is known."""
        knowledge = self._knowledge
        how = traits_of(node.domain, node.op_type).facts
        if is_silent(knowledge, node, how):
            answer = self._answer(node, key, self._uncut)
            if not self._tells(node, answer):
                return answer
        # What was learnt of values is of this model; of constants is told what is asked.
        learnt = tuple(knowledge.facts(sources(node)))
        lasts = learnt.count(None) == len(learnt)
        return self._answer(node, (key, *learnt), self._answers, lasts=lasts)

    def _learn(self, node: Node, answer: Answer) -> None:
        """Keep what an answer says of a node's outputs."""
        outputs = node.outputs
        self._knowledge.keep(outputs, answer.facts or [None] * len(outputs))
        pairs = zip(outputs, answer.reads, strict=False)
        unread = [name for name, found in pairs if name and not found]
        self._dead.update(n for n in unread if self._shapes.static(n) is None)

    def _cut(
        self, node: Node, operation: Operation, per_output: Sequence[list[Read]]
    ) -> Sequence[list[Read]]:
        """The reads of each output, where elements that are known read nothing."""
        names = sources(node)

        def shape(k: int) -> Shape | None:
            return self._shapes.shape(names[k]) if k < len(names) else None

        extents = [self._shapes.shape(name) for name in node.outputs]
        per_output = [
            reads if n is None else without_zeros(reads, n, operation.zeros, shape, operation)
            for reads, n in zip(per_output, extents, strict=False)
        ]
        how = traits_of(node.domain, node.op_type).facts
        if how is not None:
            # What is learnt rests on what is known of the inputs: nodes of which that is the same
            # share it.
            for k in operation.inputs:
                operation.zeros(k) if rests_on_zeros(how) else operation.known(k)
        cut = list(per_output)
        for k, learnt in enumerate(learn(self._knowledge, node, how, per_output)):
            extent = extents[k]
            if learnt is not None and learnt.settled is not None and extent is not None:
                cut[k] = confined(operation, cut[k], ~learnt.settled, extent)
        return cut


def _factors(answer: Answer) -> Collection[int]:
    """The inputs with which reads are multiplied."""
    if answer.factors is None:
        answer.factors = factors_of(chain.from_iterable(answer.reads))
    return answer.factors


def _reached(step: Step) -> int:
    """How many outputs of a node an input reaches."""
    return sum([bool(name and found) for name, found in zip(step.node.outputs, step.reads)])  # noqa: B905
