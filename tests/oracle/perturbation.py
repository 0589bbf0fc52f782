"""What the units of single operators and small models see, observed by changing their inputs.

Nothing is rewritten and nothing is poisoned: the model runs as it is, in onnxruntime or, for what
onnxruntime lacks, in ONNX's reference implementation. What changes by a bit was certainly read;
so every claim must hold what is observed, and where the observation is *complete* equal it.

A whole hyperplane ``x[..., c, ...]`` is changed at a time, which tells for every unit whether it
sees coordinate c: the hull, in as many runs as the axes are long. Small inputs are changed
element by element besides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import TensorProto

import rfgraph

from .observe import FLOATS, Shape, hull, session

Feeds: TypeAlias = dict[str, Any]
Run: TypeAlias = Callable[[Feeds], Sequence[Any]]

# Inputs up to this many elements are changed element by element too.
_SMALL = 256

# Random inputs that are tried, unless a case says otherwise.
_TRIALS = 4


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
    domain : (float, float)
        What the elements may be replaced by lies within: for operators that are defined, or
        unsaturated, only there.
    trials : int
        Random inputs that are tried; the first is the case's own. Inputs that steer the reads
        need more of them.
    """

    name: str
    model: onnx.ModelProto
    feeds: Feeds
    incomplete: str = ""
    run: Run | None = None
    follow: tuple[str, ...] = ()
    domain: tuple[float, float] = (-1e3, 1e3)
    trials: int = _TRIALS

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
    for opened in (_onnxruntime, _reference):
        try:
            run = opened(case.model)
            run(case.feeds)
        except Exception as error:  # what is raised differs from kernel to kernel
            failures.append(f"{opened.__name__[1:]}: {str(error).splitlines()[:1]}")
        else:
            return run
    raise CannotRunError(f"{case.name}: {'; '.join(failures)}")


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
    """Everything seen of one case: by output, then by input."""

    outputs: dict[str, Shape]
    seen: dict[str, dict[str, Seen]] = field(default_factory=dict)


def observe(case: Case, *, trials: int | None = None, seed: int = 0) -> Observation:
    """Run a case again and again with one hyperplane, or one element, of an input changed.

    Raises
    ------
    CannotRunError
        See `runner`.
    """
    run = runner(case)
    rng = np.random.default_rng(seed)
    names = [v.name for v in case.model.graph.output]
    first = dict(zip(names, run(case.feeds), strict=True))
    # A sequence has no units: what it sees as a whole is what counts.
    shapes = {n: () if isinstance(v, list) or v is None else np.shape(v) for n, v in first.items()}
    observation = Observation(shapes)
    for name in case.followed:
        given = np.asarray(case.feeds[name])
        found = {
            output: Seen(
                [np.zeros((*shape, n), bool) for n in given.shape or (1,)],
                np.zeros(shape + (given.shape or (1,)), bool) if given.size <= _SMALL else None,
            )
            for output, shape in shapes.items()
        }
        for trial in range(trials or case.trials):
            feeds = dict(case.feeds)
            if trial:
                for other in case.followed:
                    feeds[other] = _shuffled(np.asarray(case.feeds[other]), rng)
            base = run(feeds)
            original = feeds[name]
            for place, changed in _changes(original, trial, case.domain, rng):
                feeds[name] = changed
                after = run(feeds)
                for output, old, new in zip(names, base, after, strict=True):
                    moved = _moved(old, new, shapes[output])
                    kind, where = place
                    if kind == "axis":
                        axis, coordinate = where
                        found[output].axes[axis][..., coordinate] |= moved
                    else:
                        elements = found[output].elements
                        assert elements is not None
                        elements[(..., *where)] |= moved
            feeds[name] = original
        observation.seen[name] = {}
        for output in names:
            observation.seen[name][output] = found[output]
    return observation


def _shuffled(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same elements at other places: random, and still in the operator's domain."""
    return rng.permutation(array.reshape(-1)).reshape(array.shape).astype(array.dtype)


Place: TypeAlias = tuple[str, tuple[int, ...]]


def _changes(
    array: np.ndarray, trial: int, domain: tuple[float, float], rng: np.random.Generator
) -> Iterator[tuple[Place, np.ndarray]]:
    """`array` with a hyperplane or an element changed: up, down, or to something of its size."""
    grid = array if array.ndim else array.reshape(1)
    for axis, size in enumerate(grid.shape):
        for coordinate in range(size):
            where = (slice(None),) * axis + (coordinate,)
            yield ("axis", (axis, coordinate)), _replaced(array, grid, where, trial, domain, rng)
    if grid.size <= _SMALL:
        for place in np.ndindex(grid.shape):
            yield ("element", place), _replaced(array, grid, place, trial, domain, rng)


def _replaced(
    array: np.ndarray,
    grid: np.ndarray,
    where: tuple[Any, ...],
    trial: int,
    domain: tuple[float, float],
    rng: np.random.Generator,
) -> np.ndarray:
    low, high = domain
    changed = grid.copy()
    old = grid[where].astype(np.float64)
    if array.dtype == bool:
        changed[where] = ~grid[where]
        return changed.reshape(array.shape)
    jitter = rng.uniform(0.5, 1.0, size=np.shape(old))
    new = {
        0: high * jitter,
        1: low * jitter,
        2: old + 0.25 * jitter,
    }.get(trial % 4, old * (1 + jitter) + 0.01)
    if array.dtype.kind in "iu":
        new = np.rint(new)
        new = np.where(new == old, new + 1, new)
        info = np.iinfo(array.dtype)
        low, high = max(low, info.min), min(high, info.max)
    new = np.clip(new, low, high)
    with np.errstate(over="ignore"):
        changed[where] = new.astype(array.dtype)
    return changed.reshape(array.shape)


def _moved(old: Any, new: Any, shape: Shape) -> np.ndarray:
    """Which units of an output differ by a bit; all, if even the shape does."""
    if isinstance(old, list) or old is None:
        pairs = zip(old or (), new or (), strict=False)
        same = type(old) is type(new) and len(old or ()) == len(new or ())
        same = same and not any(_moved(a, b, np.shape(a)).any() for a, b in pairs)
        return np.full(shape, not same)
    old, new = np.asarray(old), np.asarray(new)
    if old.shape != new.shape:
        return np.ones(shape, bool)
    if old.shape != shape:
        # Another size than at first: there is no telling the units apart.
        return np.full(shape, not np.array_equal(old, new))
    if old.dtype.kind in "OUS":
        return np.asarray(old != new)
    bits = [np.ascontiguousarray(a).reshape(-1).view(f"V{a.dtype.itemsize}") for a in (old, new)]
    return np.asarray(bits[0] != bits[1]).reshape(shape)


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
    if known is not None and known != shape:
        raise AssertionError(f"{output} has the shape {shape}, and {known} is claimed")
    full = (*shape, lo.shape[-1])
    if known is None:
        lo, hi = (bound[(0,) * (bound.ndim - 1)] for bound in (lo, hi))
    return np.broadcast_to(lo, full), np.broadcast_to(hi, full)


def differences(
    case: Case, observation: Observation, analysis: rfgraph.Analysis
) -> Iterator[tuple[str, str]]:
    """What is wrong with a claim, as ("unsound" or "loose", message)."""
    for input, by_output in observation.seen.items():
        for output, seen in by_output.items():
            shape = observation.outputs[output]
            lo, hi = seen.hull()
            below, above = claimed(analysis, output, input, shape)
            if below.shape[-1] == 0:
                # A scalar input is seen, or it is not.
                claim = np.full(shape, analysis.depends(output, input))
                below = np.where(claim, 0, 1)[..., None]
                above = np.where(claim, 0, -1)[..., None]
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


def assert_holds(case: Case, **options: Any) -> None:
    """Fail unless every claim holds what is seen, and equals it where that is complete.

    Raises
    ------
    AssertionError
        A claim is unsound, or loose without a reason.
    """
    observation = observe(case, **options)
    for kind, message in differences(case, observation, analysed(case)):
        if kind == "unsound" or not case.incomplete:
            raise AssertionError(f"{kind}: {message}")


def single(
    op_type: str,
    inputs: Mapping[str, Any],
    outputs: int | Sequence[str] = 1,
    *,
    domain: str = "",
    opset: int = 21,
    versions: Mapping[str, int] | None = None,
    constants: Sequence[str] = (),
    kinds: Mapping[str, int] | None = None,
    **attributes: Any,
) -> tuple[onnx.ModelProto, Feeds]:
    """A model of one node, and its feeds.

    Parameters
    ----------
    op_type : str
        The operator.
    inputs : mapping of str to array
        Its inputs by name, in order; None for one that is left out.
    outputs : int or sequence of str
        How many outputs, or their names (``""`` for one that is left out).
    domain, opset, versions
        The operator's domain, the operator set of ONNX, and those of other domains.
    constants : sequence of str
        Inputs that become initializers.
    kinds : mapping of str to int, optional
        Element types of the outputs, 32-bit floats unless given.
    """
    names = [f"y{k}" for k in range(outputs)] if isinstance(outputs, int) else list(outputs)
    node = onnx.helper.make_node(
        op_type,
        [name if value is not None else "" for name, value in inputs.items()],
        names,
        domain=domain,
        **attributes,
    )
    arrays = {n: np.asarray(v) for n, v in inputs.items() if v is not None}
    feeds = {n: v for n, v in arrays.items() if n not in constants}

    def info(name: str, array: np.ndarray) -> onnx.ValueInfoProto:
        kind = (
            TensorProto.STRING
            if array.dtype.kind in "OU"
            else onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
        )
        return onnx.helper.make_tensor_value_info(name, kind, array.shape)

    graph = onnx.helper.make_graph(
        [node],
        op_type,
        [info(n, v) for n, v in feeds.items()],
        [
            onnx.helper.make_tensor_value_info(n, (kinds or {}).get(n, TensorProto.FLOAT), None)
            for n in names
            if n
        ],
        [onnx.numpy_helper.from_array(arrays[n], n) for n in constants],
    )
    imports = {"": opset, **({domain: 1} if domain else {}), **(versions or {})}
    model = onnx.helper.make_model(
        graph,
        ir_version=10,
        opset_imports=[onnx.helper.make_opsetid(d, v) for d, v in imports.items()],
    )
    return model, feeds
