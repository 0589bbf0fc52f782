"""A model cut into its nodes: each is fed what another side's nodes have made for it.

So no rounding adds up from node to node, as it does in the whole model, and one run of all nodes
side by side tells which of them computes something else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import TypeVar

import numpy as np
import onnx
from onnx import helper, numpy_helper

from rfgraph.agreement.sides import Side, serialized, type_of
from rfgraph.runtimes import Outcome
from rfgraph.runtimes.observe import MARGIN, distance, is_float
from rfgraph.runtimes.session import REFUSED
from rfgraph.worker.protos import dependent, is_container, needed, reads_of

T = TypeVar("T")

# The most bytes of values, and values, that are shown in a run.
_BYTES = 1 << 28
_VALUES = 200

# Whole numbers up to so many are weights of what is cut: runtimes want sizes to be constants.
_SIZES = 64

# Single precision's sums of thousands of products round by more than `MARGIN` units of roundoff.
_SINGLE = 1e-5

# A difference so many times as large as they are in the mean is not like rounding.
_OUTLIER = 30

# The most models that are opened to find out which nodes a runtime does not run by themselves.
_OPENED = 64


@dataclass
class Cut:
    """A model's nodes, and what the first side's have made.

    Attributes
    ----------
    proto : onnx.ModelProto
        The model, without functions.
    values : dict of str to ndarray
        What the inputs are, and what nodes make that depends on them.
    nodes : list of onnx.NodeProto
        The nodes that make such values, in topological order.
    """

    proto: onnx.ModelProto
    values: dict[str, np.ndarray]
    nodes: list[onnx.NodeProto]
    inputs: frozenset[str]
    _makers: dict[str, onnx.NodeProto] = field(init=False, repr=False)
    _weights: dict[str, onnx.TensorProto] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._makers = {name: node for node in self.proto.graph.node for name in node.output}
        self._weights = {tensor.name: tensor for tensor in self.proto.graph.initializer}

    @classmethod
    def of(cls, side: Side, feeds: Mapping[str, np.ndarray]) -> Cut | Outcome:
        """The cut model of a side, which is run with every value an output."""
        kept = dependent(side.proto.graph.node, feeds)
        names = [
            name
            for node in kept
            for name in node.output
            if name and not (name in side.kinds and is_container(side.kinds[name]))
        ]
        values = {name: np.asarray(array) for name, array in feeds.items()}
        refused: Outcome | None = None

        def size(name: str) -> int:
            known = name in side.analysis.tensors
            return 4 * prod(side.analysis.extent(name) or ()) if known else 0

        waiting = list(_in_groups(names, size))
        for _ in range(_OPENED):
            if not waiting:
                break
            group = waiting.pop(0)
            answer = side.open_upto(group)
            if answer.answered:
                answer = side.session.run([feeds])[0]
            if answer.answered:
                made = zip(group, answer.outputs, strict=True)
                values.update((n, np.asarray(a)) for n, a in made if isinstance(a, np.ndarray))
            elif len(group) > 1:
                waiting[:0] = [group[: len(group) // 2], group[len(group) // 2 :]]
            else:
                refused = answer
        if len(values) == len(feeds) and refused is not None:
            return refused
        return cls(side.proto, values, kept, frozenset(feeds))

    def model(
        self, nodes: Sequence[onnx.NodeProto]
    ) -> tuple[onnx.ModelProto, dict[str, np.ndarray], dict[str, str]]:
        """Nodes side by side: a model, what it is fed, and its outputs by value."""
        inside, wanted = self._closure(nodes)
        fed = {name: None for name in wanted if name in self.values}
        shown = {
            name: f"{name}'" if name in fed else name
            for node in nodes
            for name in node.output
            if name in self.values
        }
        hidden = {
            name: f"{name}'" for node in inside for name in node.output if name and name in fed
        }
        copies = []
        for node in inside:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.output[:] = [hidden.get(name, name) for name in node.output]
            copies.append(copy)
        sizes = {n for n in fed if n not in self.inputs and _is_size(self.values[n])}
        feeds = {name: self.values[name] for name in fed if name not in sizes}
        graph = helper.make_graph(
            copies,
            self.proto.graph.name or "cut",
            [
                helper.make_tensor_value_info(name, type_of(array), array.shape)
                for name, array in feeds.items()
            ],
            # Without shapes, in which runtimes may differ.
            [
                helper.make_tensor_value_info(made, type_of(self.values[name]), None)
                for name, made in shown.items()
            ],
            [
                *(self._weights[name] for name in wanted if name in self._weights),
                *(
                    numpy_helper.from_array(self.values[name], name)
                    for name in fed
                    if name in sizes
                ),
            ],
        )
        model = onnx.ModelProto(
            ir_version=self.proto.ir_version,
            opset_import=self.proto.opset_import,
            functions=self.proto.functions,
            graph=graph,
        )
        return model, feeds, shown

    def _closure(
        self, nodes: Sequence[onnx.NodeProto]
    ) -> tuple[list[onnx.NodeProto], dict[str, None]]:
        """The nodes with those that make what is not known for them, and all that is read."""
        chosen = {id(node) for node in nodes}
        waiting = list(nodes)
        wanted: dict[str, None] = {}
        while waiting:
            node = waiting.pop()
            for name in sorted(reads_of(node)):
                wanted[name] = None
                maker = self._makers.get(name)
                if name not in self.values and maker is not None and id(maker) not in chosen:
                    chosen.add(id(maker))
                    waiting.append(maker)
        return [node for node in self.proto.graph.node if id(node) in chosen], wanted

    def before(self, values: Collection[str]) -> tuple[list[onnx.NodeProto], set[str]]:
        """The nodes that values are made by, of those that depend on the inputs."""
        nodes, names = needed(self.proto.graph.node, list(values))
        living = {id(node) for node in self.nodes}
        return [node for node in nodes if id(node) in living], names

    def held_against(self, side: Side) -> Iterator[tuple[onnx.NodeProto, str, Outcome]]:
        """What another side makes of each node's inputs: node, value, and an outcome.

        The outcome is ``answered`` with the value, or says why there is none.
        """
        nodes = [n for n in self.nodes if any(name in self.values for name in n.output)]
        waiting = list(_in_groups(nodes, self._bytes))
        for _ in range(_OPENED):
            if not waiting:
                return
            group = waiting.pop(0)
            model, feeds, shown = self.model(group)
            answer = side.session.open(serialized(model, side.analysis.file))
            if answer.answered:
                answer = side.session.run([feeds])[0]
            if answer.answered:
                made = dict(zip(shown, answer.outputs, strict=True))
                for node in group:
                    for name in node.output:
                        if name in made:
                            yield node, name, Outcome(answer.kind, outputs=(made[name],))
            elif len(group) > 1:
                waiting[:0] = [group[: len(group) // 2], group[len(group) // 2 :]]
            else:
                yield group[0], next(n for n in group[0].output if n in shown), answer
        for node in (node for group in waiting for node in group):
            yield node, node.output[0], Outcome(REFUSED, "it was not tried")

    def _bytes(self, node: onnx.NodeProto) -> int:
        names = {*reads_of(node), *node.output}
        return sum(self.values[name].nbytes for name in names if name in self.values)


def suspicious(ours: np.ndarray, theirs: np.ndarray, first: Side, second: Side) -> float:
    """How far values of one node differ, relative to the largest; 0 if that is rounding."""
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        return 1.0
    apart = distance(ours, theirs)
    most = float(apart.max(initial=0.0))
    if not is_float(ours):
        # A tie that is rounded to the other side is a step apart.
        steps = ours.dtype.itemsize == 1 and ours.dtype.kind in "iu" and ours.size
        if steps and int(np.abs(ours.astype(int) - theirs.astype(int)).max()) <= 1:
            return 0.0
        return most
    noise = max(first.noise, second.noise)
    outlying = most > _OUTLIER * float(np.sqrt(np.mean(apart**2))) if apart.size else False
    if most > max(MARGIN * noise, _SINGLE) or (outlying and most > max(4 * noise, _SINGLE)):
        return most
    return 0.0


def _is_size(array: np.ndarray) -> bool:
    return array.dtype.kind in "iu" and array.ndim <= 1 and array.size <= _SIZES


def _in_groups(things: Sequence[T], size_of: Callable[[T], int]) -> Iterator[list[T]]:
    """Values or nodes in groups that a run can show, or feed."""
    group: list[T] = []
    room = _BYTES
    for thing in things:
        size = size_of(thing)
        if group and (size > room or len(group) == _VALUES):
            yield group
            group, room = [], _BYTES
        group.append(thing)
        room -= size
    if group:
        yield group


__all__ = ["Cut", "suspicious"]
