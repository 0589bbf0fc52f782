"""Parts of a model and of its twin that make one value of values that agree, as models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper

from rfgraph.agreement.cut import Cut
from rfgraph.agreement.node import Alone, Seen, run_alone, seen
from rfgraph.agreement.sides import Side, type_of
from rfgraph.runtimes.observe import Region, is_float
from rfgraph.worker.protos import dependent

Feeds = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Common:
    """A value that a model and its twin both have.

    Attributes
    ----------
    names : tuple of str
        What each calls it.
    made : tuple of ndarray
        What each makes of the same inputs.
    """

    names: tuple[str, str]
    made: tuple[np.ndarray, np.ndarray]

    @property
    def alike(self) -> bool:
        """Whether one can stand for the other."""
        ours, theirs = self.made
        kinds = ours.dtype == theirs.dtype or (is_float(ours) and is_float(theirs))
        return ours.shape == theirs.shape and kinds


@dataclass(frozen=True)
class Segments:
    """What a model and its twin make a value by, each as a model of its own.

    Attributes
    ----------
    models : tuple of onnx.ModelProto
        Both, with the same inputs in the same order, and the value as their output.
    feeds : dict of str to ndarray
        What the first is fed: values that agree, or inputs of the whole.
    """

    models: tuple[onnx.ModelProto, onnx.ModelProto]
    feeds: dict[str, np.ndarray]

    def nodes(self, side: int) -> list[onnx.NodeProto]:
        """The nodes of a side, but for those of constants, in topological order."""
        graph = self.models[side].graph
        return dependent(graph.node, [value.name for value in graph.input])

    def alone(self, sides: tuple[Side, Side]) -> Alone | None:
        """Both as they are run on their sides; None where one of these does not answer."""
        made = Alone(self.models[0], self.feeds, 0, np.zeros(0), np.zeros(0), twin=self.models[1])
        answers = [
            run_alone(side, made.model_of(k), made.feeds_of(k, self.feeds))
            for k, side in enumerate(sides)
        ]
        if not all(one.answered for one in answers):
            return None
        made.ours, made.theirs = (np.asarray(one.outputs[0]) for one in answers)
        return made


def between(
    sides: tuple[Side, Side], point: Feeds, value: Common, agreeing: Sequence[Common]
) -> Segments:
    """What makes a value of values that agree, in both models.

    Both parts read the same values: where one read what agrees and the other what that is made
    of, a change of one alone would be none that happens in the whole models.

    Parameters
    ----------
    sides : tuple of Side
        Both.
    point : mapping of str to ndarray
        Inputs of the first.
    value : Common
        The value.
    agreeing : sequence of Common
        Values that agree, of which the parts are fed those that they read.
    """
    inputs = sides[1].names_of([*point])
    given = (dict(point), sides[1].feeds(point))
    known = [one for one in agreeing if one.alike]
    while True:
        fed = [given[k] | {one.names[k]: one.made[k] for one in known} for k in (0, 1)]
        parts = [
            _part(side, fed[k], given[k], value.names[k], value.made[k])
            for k, side in enumerate(sides)
        ]
        # An input that the twin lacks is one that it does not read.
        names = {one.names[0]: one.names[1] for one in known}
        names |= {name: inputs.get(name, f"{name} of the first") for name in point}
        read = [{n for n, own in names.items() if (n, own)[k] in parts[k][1]} for k in (0, 1)]
        if read[0] == read[1] or not known:
            break
        both = [one for one in known if one.names[0] in read[0] & read[1]]
        known = both if len(both) < len(known) else []
    feeds = {name: fed[0][name] for name in names if name in read[0] | read[1]}
    for k, (model, _) in enumerate(parts):
        del model.graph.input[:]
        for name, array in feeds.items():
            own = (name, names[name])[k]
            kind = type_of(fed[k].get(own, array))
            model.graph.input.append(helper.make_tensor_value_info(own, kind, array.shape))
    return Segments((parts[0][0], parts[1][0]), feeds)


def _part(
    side: Side, fed: Feeds, inputs: Feeds, name: str, made: np.ndarray
) -> tuple[onnx.ModelProto, set[str]]:
    """A model that makes a value of what is fed, and what it reads of that."""
    cut = Cut(side.proto, {**fed, name: made}, [], frozenset(inputs))
    maker = next(node for node in side.proto.graph.node if name in node.output)
    model, read, shown = cut.model([maker])
    kept = [output for output in model.graph.output if output.name == shown[name]]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    return model, set(read)


def told_apart(
    sides: tuple[Side, Side],
    tried: Iterable[Segments],
    unit: int,
    region: Region,
) -> tuple[Alone | None, Seen | None]:
    """The first of several parts of both models that show what only one of them sees.

    Parameters
    ----------
    sides : tuple of Side
        Both.
    tried : iterable of Segments
        The parts, the smallest first.
    unit : int
        A unit of the value, as it lies in memory.
    region : Region
        Elements of an input of the first model that only one side sees from there.
    """
    found = None
    for segments in tried:
        made = segments.alone(sides)
        if made is None:
            continue
        found = found or made
        more = [region] if region.input in made.feeds else []
        sight = seen(sides, made, np.array([unit]), more)
        if sight is not None and (sight.lone[0] | sight.lone[1]).any():
            return made, sight
    return found, None


__all__ = ["Common", "Segments", "between", "told_apart"]
