"""What lies between a tiled axis and the outputs, and what of it can't be had in tiles.

A tile gives the same values as the whole if every node on the way does the same at every place, a
whole number of periods further on. Where a node does not, a `TilingError` names it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from math import gcd, isinf, lcm
from typing import NamedTuple

import numpy as np

from rfgraph.analysis import Analysis
from rfgraph.engine.closed_form import AxisField
from rfgraph.engine.trace import Step, sources
from rfgraph.errors import RFGraphError
from rfgraph.model import element_types
from rfgraph.model.sizes import UnknownSizeError
from rfgraph.ops import Operation, Undetermined, lookup_rule, traits_of
from rfgraph.reads.words import (
    Along,
    Elementwise,
    Everything,
    PerAxis,
    Read,
    Rearrange,
    Shape,
    Stage,
    followed,
)

# The remedy where the file fixes what could follow the size of the input.
OPEN_SIZES = "export the model with that axis open (dynamic)"

# The remedy where there is no better one.
BEFORE = "run the whole at once, or let the model end before this node"

# What is said of fields that have no closed form.
UNEVEN = "what it sees is no window that moves evenly"

# An input's name, and one of its axes.
Axis = tuple[str, int]


class TilingError(RFGraphError):
    """The result in tiles can't be that of the whole; `node` is the first one that is the reason.

    Attributes
    ----------
    reason : str
        Why, without file and node.
    global_reads : sequence of TilingError
        All nodes that see whole axes, if a plan without that is possible: see `plan`, `local`.
    value : str or None
        What the node makes.
    """

    global_reads: Sequence[TilingError] = ()
    value: str | None = None

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
    obstacle : TilingError or None
        Why the value behind these does not move along the axis, if there is one.
    local : bool
        Whether what has passed a whole axis is left out of fields.
    left_out : dict of str to TilingError
        The values of which nothing is left then, and why.
    times : int
        How many times longer the alignment is than fields tell, for constants that repeat.
    """

    analysis: Analysis
    axes: tuple[Axis, ...]
    fields: Mapping[str, Mapping[str, AxisField]] = field(repr=False)
    obstacle: TilingError | None = None
    local: bool = False
    left_out: Mapping[str, TilingError] = field(default_factory=dict, repr=False)
    times: int = 1

    @property
    def size(self) -> int:
        """The size of the axis."""
        name, axis = self.axes[0]
        return (self.analysis.extent(name) or ())[axis]

    @cached_property
    def widest(self) -> int:
        """The size of the largest field that has an end."""
        sizes = (seen.size for fields in self.fields.values() for seen in fields.values())
        return max((int(size) for size in sizes if not isinf(size)), default=1)

    @cached_property
    def alignment(self) -> int:
        """Elements of the input after which all values repeat."""
        periods = {period(seen) for fields in self.fields.values() for seen in fields.values()}
        return lcm(*periods) * self.times

    def stride(self, value: str) -> Fraction:
        """Elements of the input between neighbouring units of a value on the way."""
        return abs(Fraction(next(iter(self.fields[value].values())).stride))

    def is_backward(self, value: str) -> bool:
        """Whether a value on the way is turned round: its first unit sees the end."""
        return any(Fraction(seen.stride) < 0 for seen in self.fields[value].values())

    def alike(self, other: Way) -> bool:
        """Whether the same values see the same at another size."""
        return self.fields.keys() == other.fields.keys() and all(
            self.is_alike(other, value) for value in self.fields
        )

    def is_alike(self, other: Way, value: str) -> bool:
        """Whether a value sees the same at another size: from the end on, if it is turned round."""
        by, fields = other.size - self.size, other.fields[value]
        return self.fields[value].keys() == fields.keys() and all(
            _later(seen, by if Fraction(seen.stride) < 0 else 0) == fields[name]
            for name, seen in self.fields[value].items()
        )


def _later(seen: AxisField, by: int) -> AxisField:
    """A field so many elements farther on."""
    if not by:
        return seen
    phases = tuple((first + by, last + by) for first, last in seen.phases)
    return replace(seen, start=seen.start + by, centre=seen.centre + by, phases=phases)


def period(seen: AxisField) -> int:
    """Elements of the input after which the fields of a value repeat."""
    return abs(int(len(seen.phases) * Fraction(seen.stride)))


def way(
    analysis: Analysis,
    outputs: Collection[str],
    axes: Sequence[Axis],
    local: bool = False,
    *,
    past: bool = False,
) -> Way:
    """The values between an axis and some outputs, up to the first that does not move along it.

    Of the `local` part, those that do not move are left out. With `past`, a value may see
    everything before a place, as one of a recurrent layer does.
    """
    wanted = reached(analysis, outputs)
    seeing = {name: analysis.alike(name) for name, _ in axes}
    known: dict[tuple[str, int], AxisField] = {}
    fields: dict[str, dict[str, AxisField]] = {}
    left_out: dict[str, TilingError] = {}
    for value in analysis.tensors:
        if value not in wanted:
            continue
        found = {}
        try:
            for name, axis in axes:
                number = seeing[name].get(value)
                if number is None:
                    continue
                if (name, number) not in known:
                    known[name, number] = _judged(analysis, value, name, axis, local, past)
                if known[name, number].size:
                    found[name] = known[name, number]
            if len({Fraction(seen.stride) for seen in found.values()}) > 1:
                why = "its inputs move along the axis at different strides"
                raise obstacle(analysis, value, why)
        except TilingError as error:
            if local:
                left_out[value] = error
                continue
            return Way(analysis, tuple(axes), fields, error)
        try:
            _check_by_place(analysis, value)
        except TilingError as error:
            return Way(analysis, tuple(axes), fields, error, local, left_out)
        if found:
            fields[value] = found
    missing = next((name for name in outputs if name in left_out), None)
    reason = None if missing is None else left_out[_first(analysis, missing, fields, left_out)]
    found_way = Way(analysis, tuple(axes), fields, reason, local, left_out)
    for name in outputs:
        if name in fields and found_way.is_backward(name):
            return replace(found_way, obstacle=obstacle(analysis, name, "it runs backwards"))
    return found_way


def _first(
    analysis: Analysis, value: str, fields: Collection[str], left_out: Collection[str]
) -> str:
    """The first value on the way to one of which nothing is left, from which on nothing is."""
    reads = {
        output: {names[k] for k in _inputs_read(of_output)}
        for step in analysis.flow.steps
        for names in [sources(step.node)]
        for output, of_output in zip(step.node.outputs, step.reads, strict=False)
    }
    while True:
        read = reads.get(value, set())
        before = [name for name in left_out if name in read]
        if not before or not read.isdisjoint(fields):
            return value
        value = before[0]


def _check_by_place(analysis: Analysis, value: str) -> None:
    """Refuse what is no function of what is read alone."""
    node = analysis.node(value)
    if node is None:
        return
    traits = traits_of(node.domain, node.op_type)
    if traits.is_random:
        raise obstacle(analysis, value, "it is random")
    if node.outputs.index(value) in traits.by_place:
        raise obstacle(analysis, value, "its elements depend on where they are")


def reached(analysis: Analysis, outputs: Collection[str]) -> set[str]:
    """The values that outputs read, directly or not; what only gives a shape is not read."""
    found = set(outputs)
    for step in reversed(analysis.flow.steps):
        names = sources(step.node)
        for output, reads in zip(step.node.outputs, step.reads, strict=False):
            if output in found:
                found.update(names[k] for k in _inputs_read(reads))
        if step.cycle is not None and not found.isdisjoint(step.node.outputs):
            found.update(names)
    return found


def _inputs_read(reads: Sequence[Read]) -> Iterator[int]:
    for read in reads:
        if isinstance(read.source, Stage):
            yield from _inputs_read(read.source.reads)
        else:
            yield read.source


def _judged(
    analysis: Analysis, value: str, name: str, axis: int, local: bool, past: bool
) -> AxisField:
    """The field of a value on the way, which has to move with its units, and to have an end."""
    seen = analysis.closed_form(value, name, axis, local=local)
    along = f"axis {axis} of '{name}'"
    if seen is not None and not seen.size:
        return seen
    whole = analysis.field_along(value, name, axis, local=local).is_global
    if seen is None:
        whole = whole or analysis.sees_end_to_end(value, name, axis, every=True)
    elif seen.stride == 0:
        length = (analysis.extent(name) or ())[axis]
        whole = whole or (seen.start, seen.size) == (0, length)
    if whole:
        raise obstacle(analysis, value, f"it sees the whole of {along}")
    if seen is None:
        why = f"{UNEVEN} along {along}"
    elif isinf(seen.size) and not (past and seen.is_past):
        side = "before" if seen.is_past else "after"
        why = f"it sees everything {side} a place along {along}"
    elif seen.stride == 0:
        why = f"it reads a fixed place along {along}"
    else:
        return seen
    raise obstacle(analysis, value, why)


def obstacle(analysis: Analysis, value: str, why: str, remedy: str = BEFORE) -> TilingError:
    """The error that names the node of a value, and what was assumed of it."""
    node = analysis.node(value)
    assumed = [n.reason for n in analysis.notes if node is not None and n.node == node.name]
    error = TilingError(
        why + "".join(f"; {reason}" for reason in assumed[:1]),
        file=analysis.file,
        node=str(node) if node else f"input '{value}'",
        remedy=remedy,
    )
    error.value = value
    return error


# ---------------------------------------------------------------- at two sizes


def moved(at: Way, longer: Way) -> dict[str, dict[int, int]]:
    """The axes of each value on the way that grow with the tiled axis, and by how many units.

    Parameters
    ----------
    at, longer : Way
        The same at two sizes, a whole number of alignments apart.

    Raises
    ------
    TilingError
        A value does not grow, or what it sees depends on the size.
    """
    grown: dict[str, dict[int, int]] = {}
    for value in at.fields:
        before, after = at.analysis.extent(value), longer.analysis.extent(value)
        if value not in longer.fields or before is None or after is None:
            raise obstacle(at.analysis, value, "whether it is there depends on the input's size")
        pairs = enumerate(zip(before, after, strict=False))
        axes = {k: m - n for k, (n, m) in pairs if n != m}
        if len(before) != len(after) or not axes:
            why = "its size does not follow that of the input"
            raise obstacle(at.analysis, value, why, OPEN_SIZES)
        if not at.is_alike(longer, value):
            raise obstacle(at.analysis, value, "what it sees depends on the input's size")
        grown[value] = axes
    return grown


def place(at: Way, grown: Mapping[str, Mapping[int, int]], value: str) -> int | None:
    """The one axis of a value that counts its units along the tiled axis, if there is one."""
    units = at.alignment / at.stride(value)
    return next(iter(grown[value])) if list(grown[value].values()) == [units] else None


# ---------------------------------------------------------------- constants


def check_constants(at: Way, longer: Way, grown: Mapping[str, Mapping[int, int]]) -> int:
    """Refuse what varies with the place, or with the size, and is no input.

    Returns
    -------
    int
        How many alignments it takes for all of it to repeat; mostly 1.

    Raises
    ------
    TilingError
        A node on the way reads such a value.
    """
    shapes, later = at.analysis.flow.shapes, longer.analysis.flow.shapes
    times = 1
    for output, name, axes, word in _constants(at):
        if name in at.left_out:
            continue
        before, after = shapes.shape(name), later.shape(name)
        if before is None or after is None or len(before) != len(after):
            raise obstacle(at.analysis, output, f"the shape of '{name}' is not known")
        # What does not grow, as a kernel, is read at the same elements at every place.
        along = [
            k
            for k, (follows, is_each) in enumerate(axes)
            if not follows.isdisjoint(grown[output])
            and (before[k] != after[k] or (is_each and before[k] > 1))
        ]
        steady = name in shapes.graph.weights or not _is_data(shapes.element_type(name), word)
        if steady and not along:
            # Weights are left in the file.
            continue
        value = shapes.static(name)
        for k in along:
            period = None if value is None else _period(value, k)
            units = after[k] - before[k]
            if period is None or (period > 1 and not units):
                why = f"it reads '{name}', which varies along the axis"
                raise obstacle(at.analysis, output, why)
            times = lcm(times, period // gcd(period, units))
        if steady:
            continue
        other = later.static(name)
        if value is None and other is None:
            if _rests_on_sizes(at, name):
                why = f"it reads '{name}', which may depend on the size of the input"
                raise obstacle(at.analysis, output, why)
        elif value is None or other is None or not _same(value, other, along):
            why = f"it reads '{name}', which depends on the size of the input"
            raise obstacle(at.analysis, output, why)
    return times


def check_tables(at: Way) -> None:
    """Refuse what has an element for each place, and so is the reason for a size that is fixed.

    Raises
    ------
    TilingError
        A node on the way reads such a value.
    """
    shapes = at.analysis.flow.shapes
    for output, name, axes, _ in _constants(at):
        if name in at.left_out:
            continue
        shape = shapes.shape(name) or ()
        for given, axis in at.axes:
            if given not in at.fields[output]:
                continue
            lo, _ = at.analysis.bounds(output, given, axis=axis)
            moving = {k for k, n in enumerate(lo.shape) if n > 1}
            along = [
                k
                for k, (follows, is_each) in enumerate(axes)
                if shape[k] > 1 and is_each and not follows.isdisjoint(moving)
            ]
            value = shapes.static(name) if along else None
            if along and (value is None or any(_varies(value, k) for k in along)):
                why = f"it reads '{name}', which has an element for each place along the axis"
                raise obstacle(at.analysis, output, why)


class _Follows(NamedTuple):
    """Which axes of an output an axis of an input follows, and whether it has an element for each
    place, as in a table, or the same ones at every place, as in a kernel.
    """

    axes: frozenset[int] = frozenset()
    is_each: bool = False


def _constants(at: Way) -> Iterator[tuple[str, str, list[_Follows], type[Read]]]:
    """What nodes on the way read of values that are not on it.

    Yields
    ------
    output, name : str
        A value on the way, and what its node reads beside.
    axes : list of _Follows
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
            raise obstacle(at.analysis, outputs[0], why)
        if all(name in at.fields for name in names if name):
            continue
        reads = _all_reads(step, at.analysis)
        for output in outputs:
            extent = flow.shape(output) or ()
            own = [_Follows(frozenset([axis]), True) for axis in range(len(extent))]
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


# So often a value has to repeat at the size that is looked at, to be taken for one that goes on.
_REPEATS = 3

# Element types of what steers an operator: sizes, axes, indices.
_WHOLE_NUMBERS = (element_types.INT32, element_types.INT64)


def _is_data(element_type: int, word: type[Read]) -> bool:
    """Whether a value is combined with others; what steers an operator, as a shape does, shows in
    what is read.
    """
    if word is Everything:
        return False
    return word is Elementwise or element_type not in _WHOLE_NUMBERS


def _same(value: np.ndarray, other: np.ndarray, along: Collection[int]) -> bool:
    """Whether two values are the same, but for their length along some axes."""
    common = tuple([slice(0, n) if k in along else slice(None) for k, n in enumerate(value.shape)])
    return value.ndim == other.ndim and np.array_equal(value, other[common])


def _period(value: np.ndarray, axis: int) -> int | None:
    """After how many elements a value repeats along an axis, if it does so twice at least."""
    length = value.shape[axis]
    rows = np.moveaxis(value, axis, 0)
    if length < 2 or not _varies(value, axis):
        return 1
    again = (rows == rows[:1]).reshape(length, -1).all(axis=1)
    for period in np.flatnonzero(again[1 : length // _REPEATS + 1]) + 1:
        if np.array_equal(rows[period:], rows[:-period]):
            return int(period)
    return None


def _varies(value: np.ndarray, axis: int) -> bool:
    first = np.take(value, [0], axis)
    return not bool((value == first).all())


def _rests_on_sizes(at: Way, name: str) -> bool:
    """Whether a value that is no constant of the file is made of the shape of one on the way."""
    return any(value in at.fields for value in at.analysis.ancestors(name))


def _leaves(
    reads: Sequence[Read],
    own: Sequence[_Follows],
    shape_of: Callable[[str], Shape | None],
    names: Sequence[str],
) -> Iterator[tuple[int, list[_Follows], type[Read]]]:
    """The inputs that are read, what each of their axes follows, and by which word.

    `own` says that of the axes of what reads.
    """
    for read in reads:
        source = read.source
        shape = source.shape if isinstance(source, Stage) else shape_of(names[source])
        rank = len(shape or ())
        axes = [_Follows()] * rank
        if isinstance(read, Elementwise):
            axes = list(own[len(own) - rank :])
        elif isinstance(read, PerAxis):
            axes = [
                _Follows(
                    frozenset().union(*(own[a].axes for a in followed(along))),
                    isinstance(along, Along) and own[along.axis].is_each,
                )
                for along in read.axes
            ]
        elif isinstance(read, Rearrange):
            axes = [_Follows(frozenset().union(*(follows.axes for follows in own)))] * rank
        if isinstance(source, Stage):
            yield from _leaves(source.reads, axes, shape_of, names)
        else:
            yield source, axes, type(read)


__all__ = [
    "OPEN_SIZES",
    "UNEVEN",
    "Axis",
    "TilingError",
    "Way",
    "check_constants",
    "check_tables",
    "moved",
    "obstacle",
    "period",
    "place",
    "reached",
    "way",
]
