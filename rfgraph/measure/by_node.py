"""A unit's changes with all elements at once, node by node: the chain rule, with no gradients.

Of each node between an input and a unit it is measured how its output changes with its own input:
elements are changed on a grid that is as wide as the widest window of the node, so that each unit
of its output sees one of them. What the unit changes by is then carried back from node to node. So
it takes about as many passes as a node has elements in a window, rather than as the unit has in its
field; and what is linear is measured once for all images.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, product
from math import ceil, prod
from threading import Lock
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from rfgraph.analysis import Analysis, analyze
from rfgraph.errors import QueryError, RFGraphError
from rfgraph.measure.perturbing import Sums, Task, random_image, spread_of
from rfgraph.measure.runs import Network, Prepared
from rfgraph.measure.sampling import Grid
from rfgraph.worker.protos import reads_of, subgraphs_of, upto
from rfgraph.worker.sessions import session
from rfgraph.worker.source import line_of

# How far numbers are changed, as a share of their standard deviation; what is linear as far as it
# is wide. At least so many times as far as they are rounded.
_CHANGE, _WIDE, _ABOVE = 0.0003, 1.0, 50

# So many numbers that were measured of nodes are kept for the next images, 12 bytes each.
_MOST_KEPT = 1 << 25

# By what share a change of all elements may differ from what was kept.
_ALIKE = 1e-3

# So many chains stay ready in a process.
_OPEN = 2

Values = dict[str, np.ndarray]

_CHAINS: OrderedDict[tuple[Any, ...], _Chain] = OrderedDict()
_OPENING = Lock()


@dataclass(frozen=True)
class Link:
    """How one output of a node depends on one of its inputs.

    Attributes
    ----------
    model : bytes
        The node alone.
    inputs : tuple of str
        What it takes that depends on the changed input.
    input, output : str
        The two values.
    shape, made : tuple of int
        Their shapes.
    lo, hi : tuple of ndarray
        By axis of the input: the bounds of each unit of the output.
    """

    model: bytes = field(repr=False)
    inputs: tuple[str, ...]
    input: str
    output: str
    shape: tuple[int, ...]
    made: tuple[int, ...]
    lo: tuple[np.ndarray, ...] = field(repr=False)
    hi: tuple[np.ndarray, ...] = field(repr=False)

    @property
    def elements(self) -> int:
        """How many elements are computed to change each element of the widest window once."""
        widths = (int(np.max(hi - lo)) + 1 for lo, hi in zip(self.lo, self.hi, strict=True))
        return 2 * prod(max(width, 1) for width in widths) * prod(self.made)


@dataclass(frozen=True)
class ByNode:
    """Carries out tasks: each of them all elements of an image.

    Attributes
    ----------
    network : Network
        What is run.
    model : bytes
        The same with all values on the way as outputs.
    links : tuple of Link
        In the order of the graph.
    elements : int
        Of all values of a pass.
    grid : Grid
        Where cells lie.
    unit : tuple of int
        The unit.
    seed : int
        Of noise, and of all that is drawn.
    dtype : numpy.dtype
        Of the input.
    references : tuple of ndarray
        Two images: what changes alike in both is taken to be linear, until an image differs.
    amplitude : float
        How far numbers are changed at each node, as a share of their standard deviation.
    """

    network: Network
    model: bytes = field(repr=False)
    links: tuple[Link, ...]
    elements: int
    grid: Grid
    unit: tuple[int, ...]
    seed: int
    dtype: np.dtype
    references: tuple[np.ndarray, np.ndarray] = field(repr=False)
    amplitude: float = _CHANGE

    rows = each = tasks_a_sweep = 1
    range = (0, 2)

    def carry_out(self, task: Task) -> Sums:
        """Measure all elements in an image."""
        opened, taken = _chain(self)
        rng = np.random.default_rng((self.seed, 1, task.number))
        image = task.image
        if image is None:
            image = random_image(rng, self.grid.shape, self.dtype, self.range)
        changes, computed = opened.changes(image)
        if task.number == 0:
            # What was measured once for all images.
            computed += taken
        sums, hits = self._by_cell(np.abs(changes))
        return Sums(task.group, sums, hits, ceil(computed / self.elements))

    def _by_cell(self, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What elements add up to by cell of the map, and how many there are."""
        grid = self.grid
        cells, window = [], []
        for axis, size in enumerate(grid.shape):
            begin = int(grid.own[axis].flat[0]) + grid.first[axis]
            at = np.arange(max(begin, 0), min(begin + grid.extent[axis], size))
            window.append(slice(int(at[0]), int(at[-1]) + 1))
            cells.append((at - begin) // grid.step[axis])
        flat = np.ravel_multi_index(np.ix_(*cells), grid.cells).ravel()
        many = prod(grid.cells)
        sums = np.bincount(flat, sizes[tuple(window)].ravel(), minlength=many)
        return sums, np.bincount(flat, minlength=many).astype(np.float64)


# ---------------------------------------------------------------- what is to be measured


def by_node(
    ready: Prepared,
    tensor: str,
    grid: Grid,
    seed: int,
    references: Sequence[np.ndarray],
    amplitude: float | None,
) -> ByNode:
    """Plan how one unit is measured node by node.

    Parameters
    ----------
    ready : Prepared
        The model.
    tensor : str
        The value.
    grid : Grid
        Of one of its units.
    seed : int
        Of all that is drawn.
    references : sequence of ndarray
        Two images.
    amplitude : float, optional
        How far numbers are changed at each node.

    Raises
    ------
    QueryError
        There are several units, or something on the way has no small changes.
    """
    analysis, network = ready.analysis, ready.network
    if grid.support is None:
        raise QueryError("by node one unit is measured", remedy="name a unit")
    proto = onnx.load_model_from_string(network.model)
    nodes, changed = _between(analysis, proto, network.input)
    weights = {t.name: t for t in proto.graph.initializer}
    read = {name for node in nodes for name in (*node.input, *node.output) if name}
    wanted = sorted(read - set(weights) - {network.input} - set(network.held))
    everything = upto(proto, wanted).SerializeToString()
    values = {
        **network.held,
        network.input: ready.base,
        **_values(network, everything, wanted, ready.base),
    }
    for node in nodes:
        for name in {*node.input, *node.output} & changed:
            if name in values and values[name].dtype.kind != "f":
                raise _stuck(node, f"'{name}' has no plain numbers", analysis.file)
    constants = {
        name: numpy_helper.to_array(weights[name], network.folder)
        if name in weights
        else values[name]
        for name in read - changed
    }
    parts = (_links(node, changed, values, constants, proto) for node in nodes)
    links = tuple(chain.from_iterable(parts))
    for link in links:
        if link.elements > 2 * int(grid.support.sum()) * ready.elements:
            raise QueryError(
                f"by node it takes more passes than as a whole: each unit of '{link.output}' sees "
                f"nearly all of '{link.input}'",
                file=analysis.file,
                remedy="measure it without by_node= or --by-node",
            )
    on_the_way = sorted({link.input for link in links} - {network.input})
    return ByNode(
        network,
        upto(proto, on_the_way or [tensor]).SerializeToString(),
        links,
        ready.elements,
        grid,
        tuple(at.start for at in grid.units),
        seed,
        ready.base.dtype,
        (references[0], references[1]),
        _CHANGE if amplitude is None else amplitude,
    )


def _between(
    analysis: Analysis, proto: onnx.ModelProto, input: str
) -> tuple[list[onnx.NodeProto], set[str]]:
    """The nodes that depend on an input, and the values."""
    changed, nodes = {input}, []
    for node in proto.graph.node:
        if changed.isdisjoint(reads_of(node)):
            continue
        # Sizes depend on no element.
        some = [o for o in node.output if o and analysis.depends(o, input)]
        if some and any(True for _ in subgraphs_of(node)):
            raise _stuck(node, "it has a graph of its own", analysis.file)
        changed.update(some)
        nodes += [node] * bool(some)
    return nodes, changed


def _stuck(node: onnx.NodeProto, why: str, file: str | None) -> QueryError:
    return QueryError(
        f"it can't be measured by node: {why}",
        file=file,
        node=f"{node.op_type} '{node.name or node.output[0]}'",
        remedy="measure it as a whole, without by_node= or --by-node",
    )


def _values(network: Network, model: bytes, names: Sequence[str], image: np.ndarray) -> Values:
    """Values of a run."""
    if not names:
        return {}
    opened = session(model, network.folder, network.providers, 1, network.file, optimised=True)
    known = {i.name for i in opened.get_inputs()}
    feeds = {n: a for n, a in {**network.held, network.input: image}.items() if n in known}
    return dict(zip(names, opened.run(list(names), feeds), strict=True))


def _links(
    node: onnx.NodeProto,
    changed: set[str],
    values: Values,
    constants: Values,
    proto: onnx.ModelProto,
) -> Iterator[Link]:
    """The links of a node."""
    inputs = tuple(dict.fromkeys(name for name in node.input if name in changed))
    outputs = [name for name in node.output if name in changed]
    graph = onnx.GraphProto(
        name="node",
        node=[node],
        input=[_info(name, values[name]) for name in inputs],
        output=[_info(name, values[name]) for name in outputs],
        initializer=[
            numpy_helper.from_array(np.asarray(constants[name]), name)
            for name in dict.fromkeys(node.input)
            if name and name not in changed
        ],
    )
    alone = onnx.ModelProto(
        ir_version=proto.ir_version, opset_import=proto.opset_import, graph=graph
    )
    analysis = analyze(alone)
    content = alone.SerializeToString()
    for output in outputs:
        for name in inputs:
            if not analysis.depends(output, name):
                continue
            shape, made = values[name].shape, values[output].shape
            ends = [analysis.bounds(output, name, axis=axis) for axis in range(len(shape))]
            lo, hi = tuple(a for a, _ in ends), tuple(b for _, b in ends)
            yield Link(content, inputs, name, output, shape, made, lo, hi)


def _info(name: str, value: np.ndarray) -> onnx.ValueInfoProto:
    kind = helper.np_dtype_to_tensor_dtype(value.dtype)
    return helper.make_tensor_value_info(name, kind, value.shape)


# ---------------------------------------------------------------- what a worker does


def _chain(job: ByNode) -> tuple[_Chain, int]:
    """The chain of this process for a job, made once, and how many elements that has computed."""
    key = (
        job.network.key, job.network.input, job.unit, job.seed, job.amplitude,
        job.network.providers, *(image.tobytes() for image in job.references),
    )  # fmt: skip
    with _OPENING:
        if key not in _CHAINS:
            _CHAINS[key] = _Chain(job)
            while len(_CHAINS) > _OPEN:
                _CHAINS.popitem(last=False)
        _CHAINS.move_to_end(key)
        return _CHAINS[key], _CHAINS[key].computed


@dataclass(frozen=True)
class _Kept:
    """What was measured of a linear node, by element in ascending order.

    `amount` is a wide change, and `slope` what a unit of it of all elements, with the signs
    `along` of the step, adds up to over the units, each times a random weight; `size` is how large
    that is apart from signs.
    """

    units: np.ndarray
    elements: np.ndarray
    begins: np.ndarray
    change: np.ndarray
    amount: Any
    slope: float
    size: float

    def back(self, weight: np.ndarray, into: np.ndarray) -> None:
        """Carry what weighs on units back to elements."""
        if len(self.begins):
            into[self.elements] += np.add.reduceat(self.change * weight[self.units], self.begins)


@dataclass
class _Count:
    """How many elements were computed."""

    elements: int = 0


class _Step:
    """A link, and the units of its output that a unit of the whole depends on."""

    def __init__(self, link: Link, region: np.ndarray, rng: np.random.Generator) -> None:
        self.link = link
        self.region = region
        at = np.unravel_index(region, link.made) if link.made else ()
        self._lo, self._hi = (
            [
                bound[tuple(k if n > 1 else 0 for k, n in zip(at, bound.shape, strict=True))]
                for bound in bounds
            ]
            for bounds in (link.lo, link.hi)
        )
        self.spacing = tuple(
            max(int(np.max(hi - lo)) + 1, 1) for lo, hi in zip(self._lo, self._hi, strict=True)
        )
        self.weights = rng.standard_normal(len(region))
        self.along = rng.choice(np.array([-1, 1], np.int8), link.shape)

    @property
    def most(self) -> int:
        """How many numbers there are at most."""
        return prod(self.spacing) * len(self.region)

    def phases(self) -> Iterator[tuple[tuple[slice, ...], np.ndarray, np.ndarray]]:
        """Grids of elements: those of each, by unit which of them it sees, and whether any."""
        for phase in product(*map(range, self.spacing)):
            flat = np.zeros(len(self.region), np.int64)
            seen = np.ones(len(self.region), bool)
            for p, step, lo, hi, n in zip(
                phase, self.spacing, self._lo, self._hi, self.link.shape, strict=True
            ):
                element = lo + (p - lo) % step
                seen &= element <= hi
                flat = flat * n + np.minimum(element, n - 1)
            if seen.any():
                grid = tuple(slice(p, None, s) for p, s in zip(phase, self.spacing, strict=True))
                yield grid, flat, seen


class _Chain:
    """The steps from a unit back to the input, with what is linear measured."""

    def __init__(self, job: ByNode) -> None:
        self._job = job
        self._opened: dict[bytes, Any] = {}
        self._names = sorted({link.input for link in job.links} - {job.network.input})
        network = job.network
        self._whole = session(
            job.model, network.folder, network.providers, 1, network.file, optimised=True
        )
        self._taking = {i.name for i in self._whole.get_inputs()}
        self.computed = 0
        self._left = _MOST_KEPT
        rng = np.random.default_rng((job.seed, 5))
        tensor = network.tensors[0]
        reached = {tensor: np.zeros(job.links[-1].made if job.links else (), bool)}
        for link in job.links:
            reached.setdefault(link.output, np.zeros(link.made, bool))
            reached.setdefault(link.input, np.zeros(link.shape, bool))
        reached[tensor][job.unit] = True
        self._steps: list[_Step] = []
        for link in reversed(job.links):
            region = np.flatnonzero(reached[link.output])
            if not len(region):
                continue
            step = _Step(link, region, rng)
            for _, flat, seen in step.phases():
                reached[link.input].ravel()[flat[seen]] = True
            self._steps.append(step)
        count = _Count()
        known = [self._run(image, count) for image in job.references]
        self.computed += count.elements
        with np.errstate(all="ignore"):
            # A wide change may lead where a node is not defined.
            self._kept = [self._linear(step, known) for step in self._steps]

    def changes(self, image: np.ndarray) -> tuple[np.ndarray, int]:
        """By element of the input: how much the unit changes; and how many elements it took."""
        job = self._job
        count = _Count()
        values = self._run(image, count)
        carried = {job.network.tensors[0]: np.zeros(self._steps[0].link.made)}
        carried[job.network.tensors[0]][job.unit] = 1.0
        for step, kept in zip(self._steps, self._kept, strict=True):
            link = step.link
            if link.output not in carried:
                # Nothing has come back this way.
                continue
            weight = carried[link.output].ravel()[step.region]
            into = carried.setdefault(link.input, np.zeros(link.shape)).reshape(-1)
            if kept is not None and self._is_alike(step, kept, values, count):
                kept.back(weight, into)
                continue
            for units, elements, change in self._measured(step, values, count):
                into += np.bincount(elements, change * weight[units], minlength=into.size)
        return carried.get(job.network.input, np.zeros(job.grid.shape)), count.elements

    def _run(self, image: np.ndarray, count: _Count) -> Values:
        """All values on the way."""
        job = self._job
        values = {job.network.input: image}
        if self._names:
            feeds = {n: a for n, a in {**job.network.held, **values}.items() if n in self._taking}
            values.update(zip(self._names, self._whole.run(self._names, feeds), strict=True))
            count.elements += job.elements
        return values

    def _made(self, step: _Step, values: Values, value: np.ndarray, count: _Count) -> np.ndarray:
        """The units of a step's region, if its input is `value`."""
        link = step.link
        if link.model not in self._opened:
            network = self._job.network
            self._opened[link.model] = session(
                link.model, "", network.providers, 1, network.file, optimised=True
            )
        feeds = {n: value if n == link.input else values[n] for n in link.inputs}
        try:
            (made,) = self._opened[link.model].run([link.output], feeds)
        except Exception as error:  # what is raised differs from kernel to kernel
            raise RFGraphError(
                f"onnxruntime can't run the node that makes '{link.output}': {line_of(error)}",
                file=self._job.network.file,
            ) from None
        count.elements += prod(link.made)
        return made.reshape(-1)[step.region].astype(np.float64)  # type: ignore[no-any-return]

    def _amount(self, step: _Step, values: Values, share: float) -> Any:
        """How far a value is changed, a number of its own type."""
        value = values[step.link.input]
        finite = np.isfinite(value)
        if not finite.all():
            # As behind a mask of attention.
            value = value[finite]
        spread = spread_of(value) if value.size else 1.0
        largest = float(max(value.max(initial=0), -value.min(initial=0)))
        return value.dtype.type(max(share * spread, _ABOVE * np.finfo(value.dtype).eps * largest))

    def _amounts(self, step: _Step, values: Values) -> np.ndarray:
        """How far each element of a value is changed."""
        value = values[step.link.input]
        amount = self._amount(step, values, self._job.amplitude)
        if value.min(initial=np.inf) > 0 or value.max(initial=-np.inf) < 0:
            # There may be no root or logarithm of a number of the other sign.
            return np.minimum(amount, np.abs(value) / 16)  # type: ignore[no-any-return]
        return np.broadcast_to(amount, value.shape)

    def _measured(
        self, step: _Step, values: Values, count: _Count
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """By grid: units, the element that each sees, and how much it changes with that."""
        value = values[step.link.input]
        amounts = self._amounts(step, values)
        for grid, flat, seen in step.phases():
            ends = []
            for sign in (-1, 1):
                changed = value.copy()
                changed[grid] += sign * amounts[grid]
                ends.append(self._made(step, values, changed, count))
            change = _difference(*ends) / (2.0 * amounts.reshape(-1)[flat].astype(np.float64))
            if not np.isfinite(change[seen]).all():
                raise RFGraphError(
                    f"'{step.link.output}' has NaN or infinite numbers",
                    file=self._job.network.file,
                    remedy="give images that the model takes, or other units",
                )
            units = np.flatnonzero(seen & (change != 0))
            yield units, flat[units], change[units]

    def _linear(self, step: _Step, known: Sequence[Values]) -> _Kept | None:
        """What is kept of a step, if it changes in the same way in both references.

        What is linear is so however far it is changed, and to one side as to both; rounding hides
        little of a wide change.
        """
        if self._left < step.most:
            return None
        count = _Count()
        amount = self._amount(step, known[0], _WIDE)
        bases = [self._made(step, v, v[step.link.input], count) for v in known]
        (slope, size), (other, _) = (
            self._slope(step, values, amount, base, count)
            for values, base in zip(known, bases, strict=True)
        )
        kept = None
        if abs(slope - other) <= _ALIKE * size:
            kept = self._found(step, known[0], amount, bases[0], count)
            if abs(kept.slope - slope) > _ALIKE * size:
                kept = None
            else:
                self._left -= len(kept.units)
        self.computed += count.elements
        return kept

    def _found(
        self, step: _Step, values: Values, amount: Any, base: np.ndarray, count: _Count
    ) -> _Kept:
        """What a linear step changes by with each element."""
        parts = []
        for grid, flat, seen in step.phases():
            changed = values[step.link.input].copy()
            changed[grid] += amount
            change = _difference(base, self._made(step, values, changed, count)) / float(amount)
            units = np.flatnonzero(seen & (change != 0))
            parts.append((units, flat[units], change[units]))
        units, elements, change = (
            np.concatenate([part[k] for part in parts] or [np.zeros(0, np.int64)]) for k in range(3)
        )
        order = np.argsort(elements, kind="stable")
        units, elements, change = units[order].astype(np.int32), elements[order], change[order]
        moved = np.bincount(units, change * step.along.reshape(-1)[elements], len(step.region))
        weighed = moved * step.weights
        those, begins = np.unique(elements, return_index=True)
        return _Kept(units, those, begins, change, amount, float(weighed.sum()), _size(weighed))

    def _slope(
        self, step: _Step, values: Values, amount: Any, base: np.ndarray, count: _Count
    ) -> tuple[float, float]:
        """How much units change with all elements, by weight; and how much apart from signs."""
        changed = values[step.link.input] + step.along * amount
        moved = _difference(base, self._made(step, values, changed, count)) / float(amount)
        weighed = moved * step.weights
        return float(weighed.sum()), _size(weighed)

    def _is_alike(self, step: _Step, kept: _Kept, values: Values, count: _Count) -> bool:
        """Whether what was kept tells how a change of all elements moves the units in an image."""
        made = values.get(step.link.output)
        if made is None:
            base = self._made(step, values, values[step.link.input], count)
        else:
            base = made.reshape(-1)[step.region].astype(np.float64)
        with np.errstate(all="ignore"):
            slope, _ = self._slope(step, values, kept.amount, base, count)
        return abs(slope - kept.slope) <= _ALIKE * kept.size


def _size(array: np.ndarray) -> float:
    """The root of the sum of squares."""
    return float(np.sqrt(np.square(array).sum()))


def _difference(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """What units change by; what is infinite, as in a mask of attention, stays as it is."""
    moved: np.ndarray = np.subtract(high, low, out=np.zeros(len(low)), where=high != low)
    return moved


__all__ = ["ByNode", "by_node"]
