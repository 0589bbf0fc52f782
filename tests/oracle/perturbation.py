"""What the units of single operators and small models see, observed by changing their inputs.

Nothing is rewritten and nothing is poisoned: the model runs as it is, in onnxruntime or, for what
onnxruntime lacks, in ONNX's reference implementation. What changes by a bit was certainly read;
so every claim must hold what is observed, and where the observation is *complete* equal it.

A whole hyperplane ``x[..., c, ...]`` is changed at a time, which tells for every unit whether it
sees coordinate c: the hull, in as many runs as the axes are long, and what the sets have along each
axis. Small inputs are changed element by element besides, which shows the sets themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from math import prod
from typing import Any, TypeAlias

import numpy as np
import onnx

import rfgraph

from .observe import FLOATS, Shape, hull, session

Feeds: TypeAlias = dict[str, Any]
Run: TypeAlias = Callable[[Feeds], Sequence[Any]]

# Inputs up to this many elements are changed element by element too.
_SMALL = 256

# So many units of an output, and elements of an input, are asked for their sets: all of fewer.
_UNITS = 32
_ELEMENTS = 4

# What is tried in turn: on which data, and how the elements change. The data are the case's own,
# these at other places, or random from a range.
_KINDS: tuple[tuple[str | tuple[float, float], str], ...] = (
    ("own", "high"),
    ("shuffled", "low"),
    ("shuffled", "more"),
    ("shuffled", "scaled"),
    ("own", "low"),
    ("own", "more"),
    ((0.1, 0.9), "more"),
    ((-2.0, 2.0), "negated"),
    ((-9.0, 9.0), "swapped"),
    ((-9.0, 9.0), "high"),
    ((1.0, 100.0), "scaled"),
    ("own", "swapped"),
)

# So many of them are tried, unless a case says otherwise, and so many where that shows not all: the
# less where it is known of some elements that they can't be seen.
_TRIALS = 4
_MOST = 600
_HIDDEN = 36

# So many runs are compared at once.
_BATCH = 64

# In onnxruntime these change, by rounding, what does not read the element: LRN's running sum.
_SPREADING = frozenset({"LRN"})


@dataclass(frozen=True)
class Case:
    """A model, what it is run on, and how much of its reads can be observed.

    Attributes
    ----------
    name : str
        The case's name.
    model : onnx.ModelProto
        The model.
    feeds : dict of str to array
        What it is run on: one entry for each input.
    incomplete : str
        Why some reads can't be observed, if so: claims may then be larger than what is seen.
    run : callable, optional
        Computes the outputs from the feeds, for what neither onnxruntime nor ONNX's reference
        implementation can run: the operator's specification written in numpy.
    follow : tuple of str
        The inputs that are changed, the others are held; all floats if empty.
    within : (float, float)
        What the elements may be replaced by lies within: for operators that are defined, or
        unsaturated, only there.
    expected : sequence, optional
        The outputs, if they are known: what computes others is not asked.
    trials : int
        Random inputs that are tried; the first is the case's own. Inputs that steer the reads
        need more of them.
    hidden : str
        Why, of sets whose hulls are seen, some elements can't be.
    """

    name: str
    model: onnx.ModelProto
    feeds: Feeds
    incomplete: str = ""
    run: Run | None = None
    follow: tuple[str, ...] = ()
    within: tuple[float, float] = (-1e3, 1e3)
    trials: int = _TRIALS
    expected: Sequence[Any] | None = None
    hidden: str = ""

    def __str__(self) -> str:
        return self.name

    @property
    def followed(self) -> list[str]:
        """The inputs that are changed."""
        types = {v.name: v.type.tensor_type.elem_type for v in self.model.graph.input}
        chosen = self.follow or [name for name, kind in types.items() if kind in FLOATS]
        return [name for name in chosen if np.asarray(self.feeds[name]).size]


class CannotRunError(Exception):
    """Neither onnxruntime nor the reference implementation runs the model."""


def runner(case: Case) -> Run:
    """What computes the outputs of a case from its feeds.

    Raises
    ------
    CannotRunError
        Nothing does.
    """
    if case.run is not None:
        return case.run
    failures = []
    spreads = any(not n.domain and n.op_type in _SPREADING for n in case.model.graph.node)
    for opened in (_reference,) if spreads else (_onnxruntime, _reference):
        try:
            run = opened(case.model)
            if case.expected is not None:
                _compare(run(case.feeds), case.expected)
            else:
                run(case.feeds)
        except Exception as error:  # what is raised differs from kernel to kernel
            failures.append(f"{opened.__name__[1:]}: {str(error).splitlines()[:1]}")
        else:
            return run
    raise CannotRunError(f"{case.name}: {'; '.join(failures)}")


def _compare(outputs: Sequence[Any], expected: Sequence[Any]) -> None:
    """Raise an AssertionError if outputs are not what they should be."""
    for one, other in zip(outputs, expected, strict=True):
        if isinstance(one, list) or one is None:
            _compare(one or [], other if other is not None else [])
        elif np.asarray(one).dtype.kind in "OUS":
            assert np.array_equal(one, np.asarray(other).astype(one.dtype)), "other strings"
        else:
            pair = (np.asarray(a).astype(np.float64) for a in (one, other))
            np.testing.assert_allclose(*pair, rtol=0.02, atol=1e-3)


def _onnxruntime(model: onnx.ModelProto) -> Run:
    opened = session(model)
    return lambda feeds: opened.run(None, feeds)


def _reference(model: onnx.ModelProto) -> Run:
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(model)

    def run(feeds: Feeds) -> Sequence[Any]:
        with np.errstate(all="ignore"):
            found: Sequence[Any] = evaluator.run(None, feeds)
        return found

    return run


def is_deterministic(case: Case) -> bool:
    """Whether equal runs agree, on the case's own data and on other data.

    Raises
    ------
    CannotRunError
        See `runner`.
    """
    run = runner(case)
    rng = np.random.default_rng(0)
    feeds = dict(case.feeds)
    for _ in range(2):
        first = _attempt(run, feeds)
        for _ in range(3):
            again = _attempt(run, feeds)
            pairs = zip(first or (), again or (), strict=True)
            if any(_differing(a, b, _shape(a)).any() for a, b in pairs):
                return False
        for name in case.followed:
            feeds[name] = _other_data(np.asarray(feeds[name]), (0.1, 0.9), case.within, rng)
    return True


# ---------------------------------------------------------------- observation


@dataclass
class Seen:
    """What the units of one output were seen to depend on, of one input.

    Attributes
    ----------
    axes : list of ndarray of bool
        For each axis of the input, of shape ``output.shape + (length of the axis,)``.
    elements : ndarray of bool or None
        Of shape ``output.shape + input.shape``; None for a large input.
    """

    axes: list[np.ndarray]
    elements: np.ndarray | None

    def hull(self) -> tuple[np.ndarray, np.ndarray]:
        """First and last coordinate seen on each axis; ``lo > hi`` where none is."""
        parts = [hull(seen, 1) for seen in self.axes]
        lo = np.concatenate([part[0] for part in parts], axis=-1)
        hi = np.concatenate([part[1] for part in parts], axis=-1)
        if self.elements is not None:
            low, high = hull(self.elements, len(self.axes))
            lo, hi = np.minimum(lo, low), np.maximum(hi, high)
        return lo, hi


@dataclass
class Observation:
    """Everything seen of one case.

    Attributes
    ----------
    outputs : dict of str to tuple of int
        Shapes of the outputs.
    seen : dict of str to dict of str to Seen
        By input, then by output.
    pending : dict of str to ndarray of bool
        By input, the elements that the next trial changes one by one: all of a small input, none of
        a larger one. Who has seen enough of some may clear them.
    """

    outputs: dict[str, Shape]
    seen: dict[str, dict[str, Seen]] = field(default_factory=dict)
    pending: dict[str, np.ndarray] = field(default_factory=dict)


def observe(case: Case, *, trials: int | None = None, seed: int = 0) -> Observation:
    """Run a case again and again with one hyperplane, or one element, of an input changed.

    Raises
    ------
    CannotRunError
        See `runner`.
    """
    *_, last = observing(case, trials=trials or case.trials, seed=seed)
    return last


def observing(
    case: Case, *, trials: int = len(_KINDS), seed: int = 0, small: int = _SMALL
) -> Iterator[Observation]:
    """The same trial by trial: what all trials so far have shown, after each.

    Parameters
    ----------
    case : Case
        The case.
    trials : int
        How many trials at most.
    seed : int
        Of the random numbers.
    small : int
        Inputs up to this many elements are changed element by element too.

    Raises
    ------
    CannotRunError
        See `runner`.
    """
    run = runner(case)
    rng = np.random.default_rng(seed)
    names = [v.name for v in case.model.graph.output]
    first = dict(zip(names, run(case.feeds), strict=True))
    shapes = {n: _shape(v) for n, v in first.items()}
    observation = Observation(shapes)
    for name in case.followed:
        given = np.asarray(case.feeds[name])
        observation.pending[name] = np.full(given.shape or (1,), given.size <= small)
        extent = given.shape or (1,)
        observation.seen[name] = {
            output: Seen(
                [_unseen(shape, (n,)) for n in extent],
                _unseen(shape, extent) if given.size <= small else None,
            )
            for output, shape in shapes.items()
        }
    for trial, (data, change) in enumerate(islice(cycle(_KINDS), trials)):
        if data == "own" and trial >= len(_KINDS):
            data = "shuffled"
        for name, found in observation.seen.items():
            feeds = dict(case.feeds)
            if data != "own":
                for other in case.followed:
                    feeds[other] = _other_data(np.asarray(feeds[other]), data, case.within, rng)
            base = _attempt(run, feeds)
            if base is None:
                continue
            given, pending = np.asarray(feeds[name]), observation.pending[name]
            told = [_told_by_all(seen) for seen in found.values()]
            changes = _changes(given, change, case.within, rng, pending, told)
            while batch := list(islice(changes, _BATCH)):
                runs = [(place, _attempt(run, {**feeds, name: other})) for place, other in batch]
                runs = [(place, after) for place, after in runs if after is not None]
                if not runs:
                    continue
                places, afters = zip(*runs, strict=True)
                for output, old, *new in zip(names, base, *afters, strict=True):
                    _note(found[output], places, _moved(old, new, shapes[output]))
        yield observation


def _unseen(units: Shape, places: Shape) -> np.ndarray:
    """An array of shape ``units + places`` in which all units of a place lie side by side."""
    return np.moveaxis(np.zeros(places + units, bool), range(len(places)), range(-len(places), 0))


# The coordinates of each axis of an input, and the elements, that every unit has been seen to see.
Told: TypeAlias = "list[np.ndarray | np.bool]"


def _told_by_all(seen: Seen) -> Told:
    units = tuple(range(seen.axes[0].ndim - 1))
    axes = [along.all(axis=units) for along in seen.axes]
    return [*axes, np.False_ if seen.elements is None else seen.elements.all(axis=units)]


def _attempt(run: Run, feeds: Feeds) -> Sequence[Any] | None:
    """The outputs; None for data that the operator refuses, which tell nothing."""
    try:
        return run(feeds)
    except Exception:  # what is raised differs from kernel to kernel
        return None


def _other_data(
    array: np.ndarray,
    data: str | tuple[float, float],
    domain: tuple[float, float],
    rng: np.random.Generator,
) -> np.ndarray:
    """Random data: the same elements at other places, or floats of a range."""
    if isinstance(data, str) or array.dtype.kind in "iub":
        return rng.permutation(array.reshape(-1)).reshape(array.shape).astype(array.dtype)
    return np.asarray(np.clip(rng.uniform(*data, array.shape), *domain)).astype(array.dtype)


Place: TypeAlias = tuple[str, tuple[int, ...]]


def _changes(
    array: np.ndarray,
    change: str,
    domain: tuple[float, float],
    rng: np.random.Generator,
    pending: np.ndarray,
    told: Sequence[Told],
) -> Iterator[tuple[Place, np.ndarray]]:
    """`array` with a hyperplane, or an element that is `pending`, changed.

    Those of which all units of all outputs have `told` that they see them are left out: there is
    nothing more to see.
    """
    grid = array if array.ndim else array.reshape(1)
    *axes, elements = (np.logical_and.reduce(parts) for parts in zip(*told, strict=True))
    for axis in range(grid.ndim):
        values = _replacements(np.moveaxis(grid, axis, 0), grid, change, domain, rng)
        for coordinate, value in enumerate(values):
            if axes[axis][coordinate]:
                continue
            changed = grid.copy()
            changed[(slice(None),) * axis + (coordinate,)] = value
            yield ("axis", (axis, coordinate)), changed.reshape(array.shape)
    values = _replacements(grid[pending], grid, change, domain, rng)
    for place, value in zip(np.argwhere(pending).tolist(), values, strict=True):
        if elements[tuple(place)]:
            continue
        changed = grid.copy()
        changed[tuple(place)] = value
        yield ("element", tuple(place)), changed.reshape(array.shape)


def _replacements(
    old: np.ndarray,
    grid: np.ndarray,
    change: str,
    domain: tuple[float, float],
    rng: np.random.Generator,
) -> np.ndarray:
    """What some elements of `grid` are changed to."""
    if old.dtype == bool:
        return ~old
    kind, (low, high) = old.dtype, domain
    old = old.astype(np.float64)
    jitter = rng.uniform(0.5, 1.0, size=old.shape)
    if change == "high":
        new = high * jitter
    elif change == "low":
        new = low * jitter
    elif change == "more":
        new = old + 0.25 * jitter
    elif change == "scaled":
        new = old * (1 + jitter) + 0.01
    elif change == "negated":
        new = -old
    else:
        new = rng.choice(grid.reshape(-1).astype(np.float64), size=old.shape)
    if kind.kind in "iu":
        new = np.rint(new)
        new = np.where(new == old, new + 1, new)
        info = np.iinfo(kind)
        low, high = max(low, info.min), min(high, info.max)
    with np.errstate(over="ignore"):
        return np.asarray(np.clip(new, low, high).astype(kind))


def _note(seen: Seen, places: Sequence[Place], moved: np.ndarray) -> None:
    """Add which units have moved with what was changed at each place."""
    for (kind, where), units in zip(places, moved, strict=True):
        if kind == "axis":
            axis, coordinate = where
            seen.axes[axis][..., coordinate] |= units
        else:
            assert seen.elements is not None
            seen.elements[(..., *where)] |= units


def _shape(value: Any) -> Shape:
    # A sequence has no units: what it sees as a whole is what counts.
    return () if isinstance(value, list) or value is None else np.shape(value)


def _moved(old: Any, new: Sequence[Any], shape: Shape) -> np.ndarray:
    """Which units of an output differ by a bit in each of several runs; all, if the shape does.

    Returns
    -------
    ndarray of bool, of shape ``(runs, *shape)``
    """
    if not isinstance(old, list) and old is not None:
        arrays = [np.asarray(value) for value in (old, *new)]
        kind = arrays[0].dtype
        alike = all((a.dtype, a.shape) == (kind, shape) for a in arrays)
        if alike and kind.kind not in "OUS" and kind.itemsize in (1, 2, 4, 8):
            bits = np.stack([np.atleast_1d(a) for a in arrays]).view(f"u{kind.itemsize}")
            return np.asarray(bits[1:] != bits[0]).reshape(len(new), *shape)
    return np.stack([_differing(old, one, shape) for one in new])


def _differing(old: Any, new: Any, shape: Shape) -> np.ndarray:
    if isinstance(old, list) or old is None:
        pairs = zip(old or (), new or (), strict=False)
        same = type(old) is type(new) and len(old or ()) == len(new or ())
        same = same and not any(_differing(a, b, _shape(a)).any() for a, b in pairs)
        return np.full(shape, not same)
    old, new = np.asarray(old), np.asarray(new)
    if old.shape != new.shape:
        return np.ones(shape, bool)
    if old.dtype.kind in "OUS":
        moved = np.asarray(old != new)
    else:
        one, other = (np.ascontiguousarray(a).reshape(-1) for a in (old, new))
        bits = f"V{old.dtype.itemsize}"
        moved = np.asarray(one.view(bits) != other.view(bits)).reshape(old.shape)
    # Another size than at first: there is no telling the units apart.
    return moved if moved.shape == shape else np.full(shape, moved.any())


# ---------------------------------------------------------------- claims


def analysed(case: Case, **options: Any) -> rfgraph.Analysis:
    """The analysis of a case: what is not followed is held."""
    followed = case.followed
    names = [v.name for v in case.model.graph.input]
    tensors = {v.name for v in case.model.graph.input if v.type.tensor_type.elem_type}
    held = {n: case.feeds[n] for n in names if n not in followed and n in tensors}
    shapes = {n: np.shape(case.feeds[n]) for n in followed if n in tensors}
    return rfgraph.analyze(case.model, values=held, shapes=shapes, **options)


def claimed(
    analysis: rfgraph.Analysis, output: str, input: str, shape: Shape
) -> tuple[np.ndarray, np.ndarray]:
    """The claim for every unit of an output that came out with `shape`."""
    lo, hi = analysis.bounds(output, input)
    known = analysis.shape(output)
    if known is not None and not _fits(known, shape):
        raise AssertionError(f"{output} has the shape {shape}, and {known} is claimed")
    if not lo.shape[-1]:
        # A scalar input is seen, or it is not, as if it had one axis.
        seen = np.full(shape, analysis.depends(output, input))
        if known is not None and seen.any():
            for unit in np.ndindex(shape):
                seen[unit] = analysis.box(output, unit, input) is not None
        lo, hi = np.where(seen, 0, 1)[..., None], np.where(seen, 0, -1)[..., None]
    full = (*shape, lo.shape[-1])
    if known is None:
        lo, hi = (bound[(0,) * (bound.ndim - 1)] for bound in (lo, hi))
    return np.broadcast_to(lo, full), np.broadcast_to(hi, full)


def _fits(known: tuple[int | None, ...], shape: Shape) -> bool:
    """Whether a shape is the known one; the data may decide some of its sizes."""
    return len(known) == len(shape) and all(
        n in (None, m) for n, m in zip(known, shape, strict=True)
    )


def differences(
    case: Case, observation: Observation, analysis: rfgraph.Analysis
) -> Iterator[tuple[str, str]]:
    """What is wrong with a claim, as ("unsound" or "loose", message)."""
    for input, by_output in observation.seen.items():
        for output, seen in by_output.items():
            shape = observation.outputs[output]
            lo, hi = seen.hull()
            below, above = claimed(analysis, output, input, shape)
            some = lo[..., :1] <= hi[..., :1]
            for kind, wrong in (
                ("unsound", some & ((lo < below) | (hi > above))),
                ("loose", (below <= above) & ((below < lo) | (above > hi))),
            ):
                if wrong.any():
                    unit = tuple(int(k) for k in np.argwhere(wrong.any(axis=-1))[0])
                    claim_text = f"{below[unit].tolist()} to {above[unit].tolist()}"
                    yield (
                        kind,
                        f"{case.name}: {output}{list(unit)} of {input}: claimed {claim_text}, "
                        f"seen {lo[unit].tolist()} to {hi[unit].tolist()} "
                        f"({int(wrong.any(axis=-1).sum())} units)",
                    )


# ---------------------------------------------------------------- claims of sets


@dataclass(frozen=True)
class Claim:
    """What an analysis says that units read, or that parts of an input influence.

    Attributes
    ----------
    output, input : str
        Between which values.
    what : str
        "support", of units; "influence", of elements; or "influence along", of hyperplanes.
    places : list of tuple of int
        The units, or the elements; of hyperplanes the axis and the coordinate, of one axis all.
    masks : ndarray of bool or None
        For each place which elements of the input, or which units of the output. None for supports
        in an input that is not observed element by element.
    sides : list of ndarray of bool
        Of supports, for each place which coordinates of each axis of the input.
    """

    output: str
    input: str
    what: str
    places: list[tuple[int, ...]]
    masks: np.ndarray | None
    sides: list[np.ndarray] = field(default_factory=list)

    @property
    def index(self) -> tuple[Any, ...]:
        """The places, as numpy takes them: there is one of a scalar output, and of a scalar input
        the only element of its only axis.
        """
        if self.places == [()]:
            return (np.newaxis,) if self.what == "support" else (np.zeros(1, dtype=int),)
        return tuple(np.array(self.places, dtype=int).T)


def spread(shape: Shape, count: int) -> list[tuple[int, ...]]:
    """Places in an array of `shape`: all, or `count` with the first, the middle and the last.

    >>> spread((2, 2), 9)
    [(0, 0), (0, 1), (1, 0), (1, 1)]
    >>> spread((5, 5), 3)
    [(0, 0), (2, 2), (4, 4)]
    """
    size = prod(shape)
    if size <= count:
        flat = np.arange(size)
    else:
        # Steps that share a factor with the sides would stay in a few rows or columns.
        drawn = np.random.default_rng(size).permutation(np.arange(1, size - 1))
        drawn = drawn[drawn != size // 2]
        flat = np.sort(np.concatenate([[0, size // 2, size - 1], drawn[: count - 3]]))
    return [tuple(int(k) for k in np.unravel_index(at, shape)) for at in flat]


def set_claims(analysis: rfgraph.Analysis, observation: Observation) -> list[Claim]:
    """The supports of units and the influences of elements, and of hyperplanes, to be compared.

    A value whose shape the analysis does not know has none: it says so instead.
    """
    claims = []
    outputs = [name for name in observation.outputs if analysis.shape(name) is not None]
    inputs = [name for name in observation.seen if analysis.shape(name) is not None]
    for output in outputs:
        units = spread(observation.outputs[output], _UNITS)
        # One pass answers for all inputs.
        supports = [[analysis.support(output, unit, input) for input in inputs] for unit in units]
        for input, found in zip(inputs, zip(*supports, strict=True), strict=False):
            masks = None
            if observation.seen[input][output].elements is not None:
                masks = np.stack([np.atleast_1d(np.asarray(one)) for one in found])
            rank = len(found[0].shape)
            sides = [np.stack([one.along(axis) for one in found]) for axis in range(rank)]
            # A scalar is read, or it is not, as if it had one axis.
            sides = sides or [np.array([[bool(one)] for one in found])]
            claims.append(Claim(output, input, "support", units, masks, sides))
    for input in inputs:
        claims += _influences(analysis, input, {o: observation.seen[input][o] for o in outputs})
    return claims


def _influences(
    analysis: rfgraph.Analysis, input: str, by_output: Mapping[str, Seen]
) -> Iterator[Claim]:
    shape = analysis.extent(input) or ()

    def claimed(
        what: str, places: list[tuple[int, ...]], asked: Sequence[tuple[int | slice, ...]]
    ) -> Iterator[Claim]:
        # One pass answers for all outputs.
        found = [[analysis.influence(input, each, o) for o in by_output] for each in asked]
        for output, masks in zip(by_output, zip(*found, strict=True), strict=False):
            # One place stands for all there are along an axis of unknown size.
            extent = by_output[output].axes[0].shape[:-1]
            full = [np.broadcast_to(np.asarray(mask), extent) for mask in masks]
            yield Claim(output, input, what, places, np.stack(full))

    small = all(seen.elements is not None for seen in by_output.values())
    if small:
        places = spread(shape, _ELEMENTS)
        yield from claimed("influence", places, places)
    for axis, size in enumerate(shape):
        coordinates = [size // 2] if small else sorted({0, size // 2, size - 1})
        planes = [
            tuple(c if a == axis else slice(None) for a in range(len(shape))) for c in coordinates
        ]
        yield from claimed("influence along", [(axis, c) for c in coordinates], planes)


def set_differences(
    case: Case, observation: Observation, claims: Sequence[Claim]
) -> Iterator[tuple[str, str]]:
    """What is wrong with sets, as ("unsound" or "hidden", message)."""
    for claim in claims:
        for where, said, seen in _pairs(observation.seen[claim.input][claim.output], claim):
            if np.array_equal(said, seen):
                continue
            for kind, wrong in (("unsound", seen & ~said), ("hidden", said & ~seen)):
                if wrong.any():
                    place, *first = np.argwhere(wrong)[0].tolist()
                    yield (
                        kind,
                        f"{case.name}: {claim.what} between {claim.output} and {claim.input}, "
                        f"{_told(claim, place)}{where}: "
                        f"{int(said[place].sum())} claimed, {int(seen[place].sum())} seen, "
                        f"{int(wrong[place].sum())} differ, first {first}",
                    )


def _told(claim: Claim, place: int) -> str:
    if claim.what != "influence along":
        return f"of {list(claim.places[place])}"
    axis, coordinate = claim.places[place]
    return f"of the plane at {coordinate} along axis {axis}"


def _pairs(seen: Seen, claim: Claim) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """What is compared of a claim, place by place: where, what is said, and what was seen."""
    if claim.what == "support":
        elements = None if seen.elements is None else seen.elements[claim.index]
        if claim.masks is not None:
            assert elements is not None
            yield "", claim.masks, elements
        for axis, side in enumerate(claim.sides):
            shown = seen.axes[axis][claim.index]
            if elements is not None:
                others = tuple(1 + a for a in range(len(claim.sides)) if a != axis)
                shown = shown | elements.any(axis=others)
            yield f", along axis {axis}", side, shown
        return
    assert claim.masks is not None
    if claim.what == "influence":
        assert seen.elements is not None
        shown = seen.elements[(..., *claim.index)]
    else:
        axis = claim.places[0][0]
        coordinates = [c for _, c in claim.places]
        shown = seen.axes[axis][..., coordinates]
        if seen.elements is not None:
            rank = len(seen.axes)
            planes = np.moveaxis(seen.elements, axis - rank, -1)[..., coordinates]
            shown = shown | planes.any(axis=tuple(range(planes.ndim - rank, planes.ndim - 1)))
    yield "", claim.masks, np.moveaxis(shown, -1, 0)


def narrow(observation: Observation, claims: Sequence[Claim], small: int) -> None:
    """Leave pending what is claimed and was not seen, and all of an input up to `small` elements.

    What was seen can't be taken back, and what no claim lacks need not be tried again.
    """
    for name, pending in observation.pending.items():
        if pending.size <= small or not pending.any():
            continue
        wanting = np.zeros(pending.shape, bool)
        for claim in claims:
            elements = observation.seen[name][claim.output].elements
            if claim.input != name or claim.masks is None or elements is None:
                continue
            for _, said, seen in _pairs(observation.seen[name][claim.output], claim):
                lacking = said & ~seen
                if claim.what == "support":
                    wanting |= lacking.any(axis=0)
                elif claim.what == "influence":
                    wanting[claim.index] |= lacking.reshape(len(lacking), -1).any(axis=1)
                break
        observation.pending[name] = wanting


def settled(
    case: Case, *, trials: int | None = None, seed: int = 0
) -> tuple[Observation, dict[str, str]]:
    """What is seen once it is all that is claimed, and what is wrong with the claims.

    As long as less is seen than claimed more trials are made, up to a limit.
    """
    analysis = analysed(case)
    least = trials or case.trials
    most = least if case.incomplete else max(least, _HIDDEN if case.hidden else _MOST)
    claims: list[Claim] = []
    wrong: dict[str, str] = {}
    for trial, seen in enumerate(observing(case, trials=most, seed=seed), 1):
        if trial < least:
            continue
        wrong = dict(differences(case, seen, analysis))
        claims = claims or set_claims(analysis, seen)
        wrong = dict(set_differences(case, seen, claims)) | wrong
        if "unsound" in wrong or not wrong:
            break
        narrow(seen, claims, 0)
    return seen, wrong


def assert_holds(case: Case, *, trials: int | None = None, seed: int = 0) -> None:
    """Fail unless every claim holds what is seen, and equals it where that is complete.

    Raises
    ------
    AssertionError
        A claim is unsound, or loose without a reason; or a reason is given for nothing.
    """
    _, wrong = settled(case, trials=trials, seed=seed)
    if case.incomplete:
        wrong.pop("loose", None)
        wrong.pop("hidden", None)
    elif case.hidden:
        assert wrong.pop("hidden", ""), f"{case.name}: all is seen, and '{case.hidden}' is said"
    for kind, message in wrong.items():
        raise AssertionError(f"{kind}: {message}")
