"""Which elements of its inputs a model sees in a runtime: they are changed, and outputs compared.

A bit that differs is no proof of sight: where a runtime computes tiles by Winograd's or Fourier's
transform, or keeps a running sum, an element moves the *rounding* of outputs that do not read it.
So the *response* of an output's element is what it changes by, relative to the largest number in
the output before or after. What only shares a tile with the element that is changed responds by a
few units of roundoff, of the precision that the runtime computes in (`roundoff`); what reads it by
its weight. Of these, `Sight.seen` is what responds by more than `MARGIN` units of roundoff, and
`Sight.untouched` what keeps every bit. What lies between is in doubt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from rfgraph.runtimes.session import Outcome, Session

# Sight is a response of more than so many units of roundoff.
MARGIN = 16

# How far floats are changed, in standard deviations of their input: a small change does not
# saturate, and a large one is not lost in rounding, and is the maximum, or minimum, of any window.
_AMOUNTS = (0.7, 8.0, -8.0)

# So many changed inputs are made at a time, unless they take more bytes with what comes of them.
_AT_ONCE = 256
_BYTES = 1 << 28


class Region(NamedTuple):
    """Elements of an input that are changed together.

    Attributes
    ----------
    input : str
        The input.
    index : object
        As numpy takes it.
    """

    input: str
    index: Any


@dataclass
class Sight:
    """How outputs respond to changes of regions.

    Attributes
    ----------
    regions : list of Region
        What is changed.
    responses : list of ndarray of float32, shape (regions, units)
        For each output: of each unit to each region the largest change over all base points and
        amounts, relative to the largest number in the output; 1 for what is no float.
    shapes : list of tuple of int
        The shapes of the outputs.
    failed : dict of int to Outcome
        By region: what came of a change that was not answered.
    roundoff : float
        The unit of roundoff of what the runtime computes in.
    runs : int
        Runs that it took.
    """

    regions: list[Region]
    responses: list[np.ndarray] = field(repr=False)
    shapes: list[tuple[int, ...]]
    failed: dict[int, Outcome] = field(default_factory=dict)
    roundoff: float = 2.0**-24
    runs: int = 0

    def seen(self, output: int = 0) -> np.ndarray:
        """Which units see which region, beyond any rounding.

        Parameters
        ----------
        output : int
            The output's place.

        Returns
        -------
        ndarray of bool, shape (regions, units)
            Not so of what is in doubt.
        """
        found: np.ndarray = self.responses[output] > MARGIN * self.roundoff
        return found

    def untouched(self, output: int = 0) -> np.ndarray:
        """Which units keep every bit, whatever is put in the place of a region.

        Parameters
        ----------
        output : int
            The output's place.

        Returns
        -------
        ndarray of bool, shape (regions, units)
            Not so of what is in doubt.
        """
        found: np.ndarray = self.responses[output] == 0
        return found


def elements(feeds: Mapping[str, np.ndarray], names: Sequence[str] | None = None) -> list[Region]:
    """Every element of some inputs, or of all, in their order in memory.

    Parameters
    ----------
    feeds : mapping of str to ndarray
        The inputs.
    names : sequence of str, optional
        Which of them; all if left out.

    Returns
    -------
    list of Region
        One for each element.

    Examples
    --------
    >>> elements({"x": np.zeros((1, 2))})
    [Region(input='x', index=(0, 0)), Region(input='x', index=(0, 1))]
    """
    return [
        Region(name, place)
        for name in (feeds if names is None else names)
        for place in np.ndindex(np.shape(feeds[name]))
    ]


def planes(shape: Sequence[int], name: str, axis: int) -> list[Region]:
    """Every plane of an input across an axis.

    Parameters
    ----------
    shape : sequence of int
        The input's shape.
    name : str
        The input.
    axis : int
        The axis.

    Returns
    -------
    list of Region
        One for each coordinate.

    Examples
    --------
    >>> planes((2, 3), "x", 1)[2]
    Region(input='x', index=(slice(None, None, None), 2))
    """
    return [Region(name, (slice(None),) * axis + (c,)) for c in range(shape[axis])]


def bases(feeds: Mapping[str, np.ndarray], seed: int = 0) -> list[dict[str, np.ndarray]]:
    """Base points around which a model of any kind shows what it sees.

    Parameters
    ----------
    feeds : mapping of str to ndarray
        One of them. It tells which whole numbers are allowed: those from its least to its greatest.
    seed : int
        Of those that are drawn.

    Returns
    -------
    list of dict of str to ndarray
        What is given; the same numbers elsewhere; and whole ones, of which many are the same, and
        which take all values that are allowed, in turn.
    """
    rng = np.random.default_rng(seed)
    other: dict[str, np.ndarray] = {}
    ties: dict[str, np.ndarray] = {}
    for name, array in feeds.items():
        array = np.asarray(array)
        if is_float(array):
            drawn = rng.permutation(array.reshape(-1)).reshape(array.shape)
            other[name] = drawn
            ties[name] = np.round(drawn.astype(np.float64)).astype(array.dtype)
        else:
            other[name] = rng.permutation(array.reshape(-1)).reshape(array.shape)
            ties[name] = _in_turn(array) if array.dtype.kind in "iu" else other[name]
    return [{name: np.asarray(array) for name, array in feeds.items()}, other, ties]


def _in_turn(array: np.ndarray) -> np.ndarray:
    """Whole numbers from the least to the greatest, again and again."""
    if not array.size:
        return array
    low, high = int(array.min()), int(array.max())
    made = low + np.arange(array.size).reshape(array.shape) % (high - low + 1)
    return np.asarray(made, array.dtype)


def observed(
    session: Session,
    points: Sequence[Mapping[str, np.ndarray]],
    regions: Sequence[Region],
    *,
    units: Sequence[np.ndarray | None] | None = None,
    precision: float | None = None,
    seed: int = 0,
) -> Sight | Outcome:
    """How the outputs of the open model respond to changes of its inputs.

    Parameters
    ----------
    session : Session
        The runtime, with the model open.
    points : sequence of (mapping of str to ndarray)
        Base points, as `bases` makes them.
    regions : sequence of Region
        What is changed, each by itself.
    units : sequence of (ndarray of int or None), optional
        For each output the units that are looked at, numbered as they lie in memory; None: all.
    precision : float, optional
        The runtime's unit of roundoff; it is measured if left out, which opens another model.
    seed : int
        Of the changes.

    Returns
    -------
    Sight or Outcome
        An outcome where no base point is answered.
    """
    runs = session.runs
    answers = session.run(points)
    good = [k for k, one in enumerate(answers) if one.answered]
    if not good:
        return answers[0]
    first = [tensor(output) for output in answers[good[0]].outputs]
    kept = [None] * len(first) if units is None else list(units)
    responses = [
        np.zeros((len(regions), array.size if at is None else len(at)), np.float32)
        for array, at in zip(first, kept, strict=True)
    ]
    found = Sight(list(regions), responses, [array.shape for array in first])
    found.roundoff = 2.0**-24 if precision is None else precision
    answered = np.zeros(len(regions), dtype=bool)
    for k in good:
        base = [tensor(output) for output in answers[k].outputs]
        made_of_one = sum(output.nbytes for output in base)
        for orders in _batches(points[k], regions, seed, made_of_one):
            outcomes = session.run([feeds for _, feeds in orders])
            for (region, _), outcome in zip(orders, outcomes, strict=True):
                if not outcome.answered:
                    found.failed[region] = outcome
                    continue
                answered[region] = True
                for row, at, old, new in zip(responses, kept, base, outcome.outputs, strict=True):
                    made = response(old, tensor(new))
                    made = made.reshape(-1) if at is None else made.reshape(-1)[at]
                    np.maximum(row[region], made, out=row[region])
    # Some amounts may be refused: what one of them shows is known.
    found.failed = {k: one for k, one in found.failed.items() if not answered[k]}
    found.runs = session.runs - runs
    return found


def response(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """What each element has changed by, relative to the largest number; 1 for what is no float.

    >>> response(np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.5, 4.0]))
    array([0.   , 0.125, 0.   ])
    """
    if old.shape == new.shape and not is_float(old):
        return np.asarray(old != new).astype(np.float64)
    return distance(old, new)


def distance(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """How far numbers are apart, relative to the largest; 1 for what is no number, or has become
    none, and where even the shapes differ.

    >>> distance(np.array([1, 2, 4]), np.array([1, 3, 4]))
    array([0.  , 0.25, 0.  ])
    """
    if old.shape != new.shape:
        return np.ones(old.shape)
    if not (is_float(old) or old.dtype.kind in "iu"):
        return np.asarray(old != new).astype(np.float64)
    old, new = old.astype(np.float64), new.astype(np.float64)
    sound = np.isfinite(old) & np.isfinite(new)
    alike = (old == new) | (np.isnan(old) & np.isnan(new))
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.where(sound, np.abs(new - old), np.inf)
    apart = np.where(alike, 0.0, apart)
    largest = max((np.abs(a[np.isfinite(a)]).max(initial=0.0) for a in (old, new)), default=0.0)
    made: np.ndarray = np.minimum(apart / (largest or 1.0), 1.0)
    return made


def _batches(
    base: Mapping[str, np.ndarray], regions: Sequence[Region], seed: int, made: int
) -> Iterator[list[tuple[int, dict[str, np.ndarray]]]]:
    """Changed inputs, with the numbers of their regions; `made` bytes come of each."""
    each = max((np.asarray(array).nbytes for array in base.values()), default=0) + made
    at_once = max(min(_AT_ONCE, _BYTES // max(each, 1)), 1)
    rng = np.random.default_rng(seed)
    batch: list[tuple[int, dict[str, np.ndarray]]] = []
    for k, region in enumerate(regions):
        for changed in changes(base[region.input], region.index, rng):
            batch.append((k, {**base, region.input: changed}))
            if len(batch) == at_once:
                yield batch
                batch = []
    if batch:
        yield batch


def changes(old: np.ndarray, index: Any, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """An input with other numbers in a region, in several ways; the last one is a large change.

    >>> old = np.zeros(2, np.float32)
    >>> [new.round().tolist() for new in changes(old, 1, np.random.default_rng(0))]
    [[0.0, 1.0], [0.0, 7.0], [0.0, -6.0]]
    """
    if old.dtype.kind in "OUS":
        new = np.array(old, dtype=object)
        new[index] = "changed"
        yield new
        return
    if old.dtype == bool:
        new = np.array(old)
        new[index] = ~new[index]
        yield new
        return
    if not is_float(old):
        # Only what occurs is known to be allowed.
        low, high = int(old.min()), int(old.max())
        there = max(high - low, 1) + 1
        for step in sorted({1, there // 2, there - 1} - {0}):
            new = np.array(old)
            new[index] = ((new[index].astype(np.int64) - low + step) % there + low).astype(
                old.dtype
            )
            yield new
        return
    wide = old.astype(np.float64)
    spread = float(wide[np.isfinite(wide)].std()) if np.isfinite(wide).any() else 1.0
    for amount in _AMOUNTS:
        new = np.array(old)
        part = wide[index]
        jitter = rng.uniform(0.75, 1.25, np.shape(part))
        new[index] = (part + amount * (spread or 1.0) * jitter).astype(old.dtype)
        yield new


def tensor(output: Any) -> np.ndarray:
    """An output as an array; of a sequence, or what else is none, an empty one."""
    return output if isinstance(output, np.ndarray) else np.zeros(0)


def is_float(array: np.ndarray) -> bool:
    """Whether it holds floats; numpy does not know bfloat16 as one."""
    return array.dtype.kind == "f" or array.dtype.name in ("bfloat16", "float16")


# ---------------------------------------------------------------- precision


def roundoff(session: Session) -> float:
    """The unit of roundoff of what a runtime computes floats in.

    A small network is run, and held against the same in double precision. What the session had
    open is not open any more.

    Parameters
    ----------
    session : Session
        The runtime.

    Returns
    -------
    float
        2^-24 for single precision, 2^-11 for half, 2^-9 for bfloat16, what is measured if it is
        more; 2^-24 also where the runtime does not run the network. What it computes otherwise,
        and not only less exactly, is left out.
    """
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 8, 12, 12)).astype(np.float32)
    w = rng.standard_normal((8, 8, 1, 1)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["y"]),
            helper.make_node("MatMul", ["x", "m"], ["z"]),
        ],
        "probe",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, x.shape) for n in ("y", "z")],
        [
            numpy_helper.from_array(w, "w"),
            numpy_helper.from_array(m := rng.standard_normal((12, 12)).astype(np.float32), "m"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    if not session.open(model.SerializeToString()).answered:
        return 2.0**-24
    ran = session.run([{"x": x}])[0]
    if not ran.answered:
        return 2.0**-24
    exact = [np.einsum("oc,ncij->noij", w[:, :, 0, 0], x, dtype=float), x.astype(float) @ m]
    errors = [
        float(np.sqrt(np.mean((made - true) ** 2) / np.mean(true**2)))
        for made, true in zip(ran.outputs, exact, strict=False)
        if np.shape(made) == true.shape
    ]
    # What is farther off is no rounding: the runtime computes something else. Were it taken for
    # rounding, that very difference would go unseen.
    rounded = max((error for error in errors if error < _WRONG), default=_UNITS[-1])
    # Of several roundings the root mean square comes to a few times that of one.
    return next((u for u in _UNITS if rounded <= 3 * u), rounded)


# Units of roundoff of single precision, half precision (and TF32), and bfloat16.
_UNITS = (2.0**-24, 2.0**-11, 2.0**-9)

# An error of two bits of a number and less.
_WRONG = 2.0**-3

__all__ = [
    "MARGIN",
    "Region",
    "Sight",
    "bases",
    "changes",
    "distance",
    "elements",
    "is_float",
    "observed",
    "planes",
    "response",
    "roundoff",
    "tensor",
]
