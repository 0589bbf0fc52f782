"""What lies between a tiled axis and the outputs, and what of it can't be had in tiles.

A tile gives the same values as the whole if every node on the way does the same at every place, a
whole number of periods further on. Where a node does not, a `TilingError` names it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import isinf, lcm

import numpy as np

from rfgraph.analysis import Analysis
from rfgraph.engine.closed_form import AxisField
from rfgraph.engine.trace import Step, sources
from rfgraph.errors import RFGraphError
from rfgraph.model.sizes import UnknownSizeError
from rfgraph.ops import Operation, Undetermined, lookup_rule
from rfgraph.reads.words import (
    Along,
    Elementwise,
    Everything,
    PerAxis,
    Read,
    Rearrange,
    Shape,
    Stage,
    Table,
    followed,
    progressions,
)

# The remedy where the file fixes what could follow the size of the input.
OPEN_SIZES = "export the model with that axis open (dynamic)"

# The remedy where a node sees all there is.
BEFORE = "run the whole at once, or let the model end before this node"

# An input's name, and one of its axes.
Axis = tuple[str, int]


class TilingError(RFGraphError):
    """The result in tiles can't be that of the whole; `node` is the first one that is the reason.

    Attributes
    ----------
    reason : str
        Why, without file and node.
    """

    @property
    def reason(self) -> str:
        """Why it can't be."""
        return self.message


@dataclass(frozen=True)
class Way:
    """The values between a tiled axis and the outputs, at one size of it.

    Attributes
    ----------
    analysis : Analysis
        At that size.
    axes : tuple of (str, int)
        The axis, of one or several inputs that are tiled alike.
    fields : dict of str to dict
        By value, in topological order, and by input: the field along the axis.
    """

    analysis: Analysis
    axes: tuple[Axis, ...]
    fields: Mapping[str, Mapping[str, AxisField]] = field(repr=False)

    @property
    def size(self) -> int:
        """The size of the axis."""
        name, axis = self.axes[0]
        return (self.analysis.extent(name) or ())[axis]

    @property
    def alignment(self) -> int:
        """Elements of the input after which all values repeat."""
        found = 1
        for fields in self.fields.values():
            for seen in fields.values():
                found = lcm(found, period(seen))
        return found

    def stride(self, value: str) -> Fraction:
        """Elements of the input between neighbouring units of a value on the way."""
        return Fraction(next(iter(self.fields[value].values())).stride)

    def alike(self, other: Way) -> bool:
        """Whether the same values see the same at another size."""
        return self.fields == other.fields


def period(seen: AxisField) -> int:
    """Elements of the input after which the fields of a value repeat."""
    return int(len(seen.phases) * Fraction(seen.stride))


def way(analysis: Analysis, outputs: Collection[str], axes: Sequence[Axis]) -> Way:
    """The values between an axis and some outputs, all of which move along it.

    Raises
    ------
    TilingError
        One does not.
    """
    reached = _reached(analysis, outputs)
    seeing = {name: analysis.alike(name) for name, _ in axes}
    known: dict[tuple[str, int], AxisField] = {}
    fields: dict[str, dict[str, AxisField]] = {}
    for value in analysis.tensors:
        if value not in reached:
            continue
        found = {}
        for name, axis in axes:
            number = seeing[name].get(value)
            if number is None:
                continue
            if (name, number) not in known:
                try:
                    known[name, number] = _judged(analysis, value, name, axis)
                except TilingError:
                    # What was read before may be a reason as well, and is then the first.
                    check_tables(Way(analysis, tuple(axes), fields))
                    raise
            seen = known[name, number]
            if seen.size:
                found[name] = seen
        if len({Fraction(seen.stride) for seen in found.values()}) > 1:
            raise _obstacle(analysis, value, "its inputs move along the axis at different strides")
        if found:
            fields[value] = found
    return Way(analysis, tuple(axes), fields)


def _reached(analysis: Analysis, outputs: Collection[str]) -> set[str]:
    """The values that outputs read, directly or not; what only gives a shape is not read."""
    reached = set(outputs)
    for step in reversed(analysis.flow.steps):
        names = sources(step.node)
        for output, reads in zip(step.node.outputs, step.reads, strict=False):
            if output in reached:
                reached.update(names[k] for k in _inputs_read(reads))
        if step.cycle is not None and not reached.isdisjoint(step.node.outputs):
            reached.update(names)
    return reached


def _inputs_read(reads: Sequence[Read]) -> Iterator[int]:
    for read in reads:
        if isinstance(read.source, Stage):
            yield from _inputs_read(read.source.reads)
        else:
            yield read.source


def _judged(analysis: Analysis, value: str, name: str, axis: int) -> AxisField:
    """The field of a value on the way, which has to move with its units, and to have an end."""
    seen = analysis.closed_form(value, name, axis, local=False)
    along = f"axis {axis} of '{name}'"
    if seen is not None and not seen.size:
        return seen
    whole = analysis.field_along(value, name, axis, local=False).is_global
    if seen is None:
        whole = whole or analysis.sees_end_to_end(value, name, axis, every=True)
    elif seen.stride == 0:
        length = (analysis.extent(name) or ())[axis]
        whole = whole or (seen.start, seen.size) == (0, length)
    if whole:
        raise _obstacle(analysis, value, f"it sees the whole of {along}", BEFORE)
    if seen is None:
        why = f"what it sees along {along} is no window that moves evenly"
    elif isinf(seen.size):
        side = "before" if seen.is_past else "after"
        why = f"it sees everything {side} a place along {along}"
    elif seen.stride == 0:
        why = f"it reads a fixed place along {along}"
    elif Fraction(seen.stride) < 0:
        why = f"it runs backwards along {along}"
    else:
        return seen
    raise _obstacle(analysis, value, why)


def _obstacle(analysis: Analysis, value: str, why: str, remedy: str | None = None) -> TilingError:
    node = analysis.node(value)
    assumed = [n.reason for n in analysis.notes if node is not None and n.node == node.name]
    return TilingError(
        why + "".join(f"; {reason}" for reason in assumed[:1]),
        file=analysis.file,
        node=str(node) if node else f"input '{value}'",
        remedy=remedy,
    )


# ---------------------------------------------------------------- at two sizes


def moved(at: Way, longer: Way) -> dict[str, tuple[int, ...]]:
    """The axes of each value on the way that grow with the tiled axis.

    Parameters
    ----------
    at, longer : Way
        The same at two sizes, a whole number of alignments apart.

    Raises
    ------
    TilingError
        A value does not grow, or what it sees depends on the size.
    """
    grown: dict[str, tuple[int, ...]] = {}
    for value, fields in at.fields.items():
        before, after = at.analysis.extent(value), longer.analysis.extent(value)
        if value not in longer.fields or before is None or after is None:
            raise _obstacle(at.analysis, value, "whether it is there depends on the input's size")
        axes = tuple([k for k, (n, m) in enumerate(zip(before, after, strict=False)) if n != m])
        if len(before) != len(after) or not axes:
            why = "its size does not follow that of the input"
            raise _obstacle(at.analysis, value, why, OPEN_SIZES)
        if longer.fields[value] != fields:
            raise _obstacle(at.analysis, value, "what it sees depends on the input's size")
        grown[value] = axes
    return grown


def place(at: Way, longer: Way, grown: Mapping[str, tuple[int, ...]], value: str) -> int | None:
    """The one axis of a value that counts its units along the tiled axis, if there is one."""
    axes = grown[value]
    before, after = at.analysis.extent(value), longer.analysis.extent(value)
    assert before is not None
    assert after is not None
    by = (longer.size - at.size) / at.stride(value)
    return axes[0] if len(axes) == 1 and after[axes[0]] - before[axes[0]] == by else None


# ---------------------------------------------------------------- constants


def check_constants(at: Way, longer: Way, grown: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse what varies with the place, or with the size, and is no input.

    Raises
    ------
    TilingError
        A node on the way reads such a value.
    """
    shapes, later = at.analysis.flow.shapes, longer.analysis.flow.shapes
    for output, name, axes, word in _constants(at):
        before, after = shapes.shape(name), later.shape(name)
        if before is None or after is None or len(before) != len(after):
            raise _obstacle(at.analysis, output, f"the shape of '{name}' is not known")
        # What does not grow, as a kernel, is read at the same elements at every place.
        along = [
            k
            for k, follows in enumerate(axes)
            if not follows.isdisjoint(grown[output]) and before[k] != after[k]
        ]
        value = shapes.static(name)
        if along and (value is None or any(_varies(value, k) for k in along)):
            raise _obstacle(at.analysis, output, f"it reads '{name}', which varies along the axis")
        if name in shapes.graph.weights or not _is_data(shapes.element_type(name), word):
            continue
        other = later.static(name)
        if value is None and other is None:
            if _rests_on_sizes(at, name):
                why = f"it reads '{name}', which may depend on the size of the input"
                raise _obstacle(at.analysis, output, why)
        elif value is None or other is None or not _same(value, other, along):
            why = f"it reads '{name}', which depends on the size of the input"
            raise _obstacle(at.analysis, output, why)


def check_tables(at: Way) -> None:
    """Refuse what has an element for each place, and so is the reason for a size that is fixed.

    Raises
    ------
    TilingError
        A node on the way reads such a value.
    """
    shapes = at.analysis.flow.shapes
    for output, name, axes, word in _constants(at):
        shape = shapes.shape(name) or ()
        if word is not Elementwise or len(shape) != len(axes):
            continue
        value = shapes.static(name)
        for given, axis in at.axes:
            if given not in at.fields[output]:
                continue
            lo, _ = at.analysis.bounds(output, given, axis=axis)
            moving = {k for k, n in enumerate(lo.shape) if n > 1}
            along = [k for k, n in enumerate(shape) if n > 1 and not axes[k].isdisjoint(moving)]
            if along and (value is None or any(_varies(value, k) for k in along)):
                why = f"it reads '{name}', which has an element for each place along the axis"
                raise _obstacle(at.analysis, output, why)


def _constants(at: Way) -> Iterator[tuple[str, str, list[frozenset[int]], type[Read]]]:
    """What nodes on the way read of values that are not on it.

    Yields
    ------
    output, name : str
        A value on the way, and what its node reads beside.
    axes : list of frozenset of int
        By axis of that, the axes of the output that it follows.
    word : type
        The kind of read.
    """
    flow = at.analysis.flow
    for step in flow.steps:
        names = sources(step.node)
        outputs = [name for name in step.node.outputs if name in at.fields]
        if not outputs:
            continue
        if step.cycle is not None:
            why = "it is a loop: whether each of its rounds is the same at every place is not known"
            raise _obstacle(at.analysis, outputs[0], why)
        if all(name in at.fields for name in names if name):
            continue
        reads = _all_reads(step, at.analysis)
        for output in outputs:
            extent = flow.shape(output) or ()
            own = [frozenset([axis]) for axis in range(len(extent))]
            of_output = reads[list(step.node.outputs).index(output)]
            for source, axes, word in _leaves(of_output, own, flow.shapes.shape, names):
                if names[source] not in at.fields:
                    yield output, names[source], axes, word


def _all_reads(step: Step, analysis: Analysis) -> Sequence[list[Read]]:
    """What a node reads of all of its inputs, as if they depended on one of the model's."""
    names, node = sources(step.node), step.node
    rule = lookup_rule(node.domain, node.op_type, node.version)
    if rule is None:
        return step.reads
    operation = Operation(node, names, analysis.flow.shapes, {name for name in names if name})
    try:
        answer = rule.transfer(operation)
    except (Undetermined, UnknownSizeError):
        return step.reads
    return answer if isinstance(answer, tuple) else [answer] * len(node.outputs)


# Elements of type int32 and int64.
_WHOLE_NUMBERS = (6, 7)


def _is_data(element_type: int, word: type[Read]) -> bool:
    """Whether a value is combined with others; what steers an operator, as a shape does, shows in
    what is read.
    """
    if word is Everything:
        return False
    return word is Elementwise or element_type not in _WHOLE_NUMBERS


def _same(value: np.ndarray, other: np.ndarray, along: Collection[int]) -> bool:
    """Whether two values are the same, but for their length along some axes."""
    one = tuple([slice(0, 1) if k in along else slice(None) for k in range(value.ndim)])
    return value.ndim == other.ndim and np.array_equal(value[one], other[one])


def _varies(value: np.ndarray, axis: int) -> bool:
    first = np.take(value, [0], axis)
    return not bool((value == first).all())


def _rests_on_sizes(at: Way, name: str) -> bool:
    """Whether a value that is no constant of the file is made of the shape of one on the way."""
    return any(value in at.fields for value in at.analysis.ancestors(name))


def _leaves(
    reads: Sequence[Read],
    own: Sequence[frozenset[int]],
    shape_of: Callable[[str], Shape | None],
    names: Sequence[str],
) -> Iterator[tuple[int, list[frozenset[int]], type[Read]]]:
    """The inputs that are read, which output axes each of their axes follows, and by which word.

    `own` says that of the axes of what reads.
    """
    for read in reads:
        source = read.source
        shape = source.shape if isinstance(source, Stage) else shape_of(names[source])
        rank = len(shape or ())
        axes: list[frozenset[int]] = [frozenset()] * rank
        if isinstance(read, Elementwise):
            axes = [own[len(own) - rank + k] for k in range(rank)]
        elif isinstance(read, PerAxis):
            axes = [frozenset().union(*(own[a] for a in followed(r))) for r in read.axes]
        elif isinstance(read, Rearrange):
            axes = [frozenset().union(*own)] * rank
        if isinstance(source, Stage):
            yield from _leaves(source.reads, axes, shape_of, names)
        else:
            yield source, axes, type(read)


# ---------------------------------------------------------------- borders inside


@dataclass(frozen=True)
class Borders:
    """What of a tile differs from the whole for its border.

    A node that pads reads beyond the ends of a value. What such a unit sees of the input lies
    beyond the tile as well, unless the value was cropped before.

    Attributes
    ----------
    before, after : int
        Elements of the input, at the begin and at the end of a tile, that a unit must not see to
        be the same as in the whole; mostly 0.
    """

    before: int = 0
    after: int = 0


def borders(at: Way, grown: Mapping[str, tuple[int, ...]]) -> Borders:
    """How much of a tile is lost, beyond what units see."""
    before = after = 0
    flow = at.analysis.flow
    for step in at.analysis.flow.steps:
        for output, reads in zip(step.node.outputs, step.reads, strict=False):
            if output not in grown:
                continue
            extent = flow.shape(output)
            assert extent is not None
            names = sources(step.node)
            for name, low, high in _beyond(reads, extent, flow.shape, names):
                for seen in at.fields.get(name, {}).values():
                    axes = grown[name]
                    length = (flow.shape(name) or ())[axes[0]]
                    if low & set(axes):
                        before = max(before, 1 + max(_units(seen, range(-len(seen.phases), 0), 0)))
                    if high & set(axes):
                        units = range(length, length + len(seen.phases))
                        after = max(after, at.size - min(_units(seen, units, 1)))
    return Borders(before, after)


def _units(seen: AxisField, units: range, end: int) -> list[int]:
    """The first (end 0) or last (end 1) elements that some units would see."""
    found = []
    for unit in units:
        turn, phase = divmod(unit, len(seen.phases))
        ends = seen.phases[phase]
        if ends[0] <= ends[1]:
            found.append(int(ends[end]) + turn * period(seen))
    return found


def _beyond(
    reads: Sequence[Read],
    extent: Shape,
    shape_of: Callable[[str], Shape | None],
    names: Sequence[str],
) -> Iterator[tuple[str, set[int], set[int]]]:
    """Inputs of a node, and the axes along which it reads before the begin, and after the end."""
    for read in reads:
        source = read.source
        shape = source.shape if isinstance(source, Stage) else shape_of(names[source])
        low: set[int] = set()
        high: set[int] = set()
        if isinstance(read, PerAxis) and shape is not None:
            for axis, along in enumerate(read.axes):
                if isinstance(along, Table):
                    along = along.interior or along
                if isinstance(along, Along):
                    # What is joined to an end, as by Concat, stands for what lies beyond it.
                    along = replace(along, part=None)
                    starts, counts, step = progressions(along, shape[axis], extent)
                    there = counts > 0
                    if (starts[there] < 0).any():
                        low.add(axis)
                    if (starts + (counts - 1) * step >= shape[axis])[there].any():
                        high.add(axis)
        if isinstance(source, Stage):
            for name, inner_low, inner_high in _beyond(source.reads, source.shape, shape_of, names):
                yield name, inner_low | low, inner_high | high
        else:
            yield names[source], low, high


__all__ = [
    "OPEN_SIZES",
    "Axis",
    "Borders",
    "TilingError",
    "Way",
    "borders",
    "check_constants",
    "check_tables",
    "moved",
    "period",
    "place",
    "way",
]
