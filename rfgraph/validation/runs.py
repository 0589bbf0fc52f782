"""Running a model with onnxruntime, with and without a change: what a worker does.

A worker knows no analysis: it gets a workload, once, and orders, each with the masks of what is
claimed, and sends back sums and what contradicts the claims.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from threading import Lock
from typing import Any

import numpy as np
import onnx

from rfgraph.errors import RFGraphError
from rfgraph.runtimes import start
from rfgraph.runtimes.observe import MARGIN, response, roundoff
from rfgraph.runtimes.session import CRASHED, HUNG
from rfgraph.validation.claims import Claim, Contradiction, judged
from rfgraph.validation.plan import Run
from rfgraph.validation.report import Tally
from rfgraph.worker.sessions import exact
from rfgraph.worker.source import line_of

# The most bytes of outputs of unchanged runs that are kept.
_KEPT = 1 << 29

# How far inputs are changed, relative to how much they vary: a small change does not saturate, a
# large one is not lost in rounding.
_AMPLITUDES = (0.25, 4.0)


@dataclass(frozen=True)
class Workload:
    """A model that is to be run again and again.

    Attributes
    ----------
    key : str
        What tells it from others.
    models : tuple of bytes
        The model; two where operators read elements to which they give no weight: one that
        shows all reads and one that shows those of some weight.
    folder : str
        Where its external data lies; ``""`` for none.
    feeds : dict of str to ndarray
        Its inputs, unchanged.
    poison : bool
        Whether a change is NaN, and what is NaN has changed.
    seed : int
        Of the changes.
    providers : tuple of str
        Execution providers of onnxruntime.
    threads : int
        Threads of a session; 0: as onnxruntime chooses.
    file : str or None
        The model's path, for messages.
    runtime : str
        The runtime that runs it, in a process of its own; ``""`` for onnxruntime in this one, with
        every kernel as it is.
    """

    key: str
    models: tuple[bytes, ...]
    folder: str
    feeds: dict[str, np.ndarray] = field(repr=False)
    poison: bool = False
    seed: int = 0
    providers: tuple[str, ...] = ("CPUExecutionProvider",)
    threads: int = 0
    file: str | None = None
    runtime: str = ""

    def carry_out(self, order: Order) -> Result:
        """One forward pass, held against what is claimed."""
        return runner_of(self).carry_out(order)


@dataclass(frozen=True)
class Order:
    """One forward pass: a run, the values that are looked at, and what is claimed of them."""

    run: Run
    claims: Mapping[str, Claim]


@dataclass
class Result:
    """What a forward pass has shown.

    Attributes
    ----------
    number : int
        The run's number.
    tallies : dict of str to Tally
        By value.
    contradictions : list of (str, Contradiction)
        Values, and what contradicts their claims.
    unstable : list of str
        Values of which two equal runs differ; nothing is said of them.
    blank : dict of str to int
        By value: units that are NaN without any change, which shows nothing of them.
    refused : str
        Why onnxruntime did not run on the changed input; ``""`` if it did.
    """

    number: int
    tallies: dict[str, Tally] = field(default_factory=dict)
    contradictions: list[tuple[str, Contradiction]] = field(default_factory=list)
    unstable: list[str] = field(default_factory=list)
    blank: dict[str, int] = field(default_factory=dict)
    refused: str = ""


class Runner:
    """Runs a workload; may be shared by threads."""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self._elsewhere = Elsewhere(workload) if workload.runtime else None
        self._sessions = [
            self._elsewhere
            or exact(m, workload.folder, workload.providers, workload.threads, workload.file)
            for m in workload.models
        ]
        self._lock = Lock()
        self._kept: OrderedDict[tuple[str, ...], list[dict[str, np.ndarray]]] = OrderedDict()
        self._unstable: set[str] = set()
        self._ranges: dict[str, Range] = {}

    def run(self, names: Sequence[str], feeds: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
        """The values `names` of every model of the workload."""
        return [
            dict(zip(names, session.run(list(names), feeds), strict=True))
            for session in self._sessions
        ]

    def base(self, names: Sequence[str]) -> list[dict[str, np.ndarray]]:
        """The values without any region.

        Raises
        ------
        RFGraphError
            onnxruntime does not run the model.
        """
        key = tuple(names)
        with self._lock:
            if key not in self._kept:
                try:
                    first, again = (self.run(key, self.workload.feeds) for _ in range(2))
                except Exception as error:  # what is raised differs from kernel to kernel
                    said = line_of(error)
                    lost = said.startswith((CRASHED, HUNG))
                    raise RFGraphError(
                        f"{self.workload.runtime or 'onnxruntime'} can't run the model: {said}",
                        file=self.workload.file,
                        remedy=None if lost else "give inputs that it accepts",
                    ) from None
                for one, other in zip(first, again, strict=True):
                    self._unstable.update(n for n in key if self._differs(one[n], other[n]).any())
                self._kept[key] = first
                while len(self._kept) > 1 and sum(map(_bytes, self._kept.values())) > _KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return self._kept[key]

    def changed(self, run: Run, places: Mapping[str, np.ndarray] | None = None) -> dict[str, Any]:
        """The inputs of a run; with `places` only the elements there are changed."""
        feeds = dict(self.workload.feeds)
        rng = np.random.default_rng((self.workload.seed, run.number))
        for region in run.regions:
            old = feeds[region.input]
            new = np.array(old)
            at = region.within(old.shape)
            new[at] = (
                np.nan
                if self.workload.poison
                else other_numbers(old[at], self._range(region.input), rng)
            )
            feeds[region.input] = new
        for name, kept in (places or {}).items():
            feeds[name] = np.where(kept, feeds[name], self.workload.feeds[name])
        return feeds

    def _range(self, name: str) -> Range:
        if name not in self._ranges:
            self._ranges[name] = Range.of(np.asarray(self.workload.feeds[name]))
        return self._ranges[name]

    def moved(
        self, names: Sequence[str], feeds: Mapping[str, np.ndarray]
    ) -> list[dict[str, np.ndarray]]:
        """Which units of the values change with other inputs, by every model of the workload."""
        base = self.base(names)
        after = self.run(names, feeds)
        if self.workload.poison:
            return [{n: _nan(made[n]) for n in names} for made in after]
        moved = [
            {n: differs(old[n], new[n]) for n in names}
            for old, new in zip(base, after, strict=True)
        ]
        if self._elsewhere is not None:
            # Bits may differ where nothing is seen: what is certain comes last.
            moved.append({n: self._differs(base[0][n], after[0][n]) for n in names})
        return moved

    def _differs(self, old: np.ndarray, new: np.ndarray) -> np.ndarray:
        """Where it is certain that two arrays differ."""
        if self._elsewhere is None:
            return differs(old, new)
        found: np.ndarray = response(old, new) > MARGIN * self._elsewhere.roundoff
        return found

    def close(self) -> None:
        """End what runs elsewhere."""
        if self._elsewhere is not None:
            self._elsewhere.close()

    def carry_out(self, order: Order) -> Result:
        """One forward pass, held against what is claimed."""
        names = list(order.claims)
        base = self.base(names)
        result = Result(order.run.number)
        try:
            moved = self.moved(names, self.changed(order.run))
        except Exception as error:  # what is raised differs from kernel to kernel
            result.refused = line_of(error)
            return result
        result.unstable = sorted(self._unstable.intersection(names))
        for name, claim in order.claims.items():
            if name in self._unstable:
                continue
            most, least = moved[0][name], moved[-1][name]
            if base[0][name].shape != claim.shape:
                said = f"has the shape {base[0][name].shape}, and {claim.shape} is claimed"
                contradiction = Contradiction(said, (0,) * len(claim.shape), prod(claim.shape))
                result.contradictions.append((name, contradiction))
                continue
            # What is NaN without any poison tells nothing.
            known = None
            nan = _nan(base[0][name]) | _nan(base[-1][name])
            if nan.any():
                result.blank[name] = int(np.count_nonzero(nan))
                known = ~nan if self.workload.poison else None
            tally, contradictions = judged(claim, least, most, known, equal=self.workload.poison)
            result.tallies[name] = tally
            result.contradictions.extend((name, contradiction) for contradiction in contradictions)
        return result


class Elsewhere:
    """The model of a workload in a runtime that has a process of its own; as a session.

    Attributes
    ----------
    roundoff : float
        The unit of roundoff of what the runtime computes in.
    """

    def __init__(self, workload: Workload) -> None:
        self._lock = Lock()
        self._session = start(workload.runtime)
        self.roundoff = roundoff(self._session)
        opened = self._session.open(workload.models[0])
        if not opened.answered:
            self.close()
            raise RFGraphError(f"{workload.runtime}: {opened}", file=workload.file)
        outputs = onnx.ModelProto.FromString(workload.models[0]).graph.output
        self._places = {output.name: k for k, output in enumerate(outputs)}

    def run(self, names: Sequence[str], feeds: Mapping[str, np.ndarray]) -> Sequence[Any]:
        """The values `names`.

        Raises
        ------
        RFGraphError
            It does not answer.
        """
        with self._lock:
            made = self._session.run([feeds], outputs=[self._places[name] for name in names])[0]
        if not made.answered:
            raise RFGraphError(str(made))
        return made.outputs

    def close(self) -> None:
        """End the process."""
        self._session.close()


def differs(old: Any, new: Any) -> np.ndarray:
    """Where two arrays differ; everywhere, if even their shapes do. NaN equals itself, 0 is -0."""
    old, new = np.asarray(old), np.asarray(new)
    if old.shape != new.shape:
        return np.ones(old.shape, dtype=bool)
    apart = np.asarray(old != new)
    if old.dtype.kind not in "OUSb":
        both = (old != old) & (new != new)
        apart &= ~both
    return apart


@dataclass(frozen=True)
class Range:
    """What an input holds.

    Attributes
    ----------
    low, high : int
        The least and the greatest, of whole numbers.
    spread : float
        The standard deviation, of floats; their size where there is none.
    """

    low: int = 0
    high: int = 0
    spread: float = 1.0

    @classmethod
    def of(cls, array: np.ndarray) -> Range:
        """Of all numbers of an array."""
        if array.dtype.kind in "iu":
            return cls(int(array.min()), int(array.max()))
        if array.dtype.kind != "f":
            return cls()
        wide = array.astype(np.float64)
        within = wide[np.isfinite(wide)]
        if not within.size:
            return cls()
        return cls(spread=float(within.std()) or abs(float(within[0])) or 1.0)


def other_numbers(old: np.ndarray, every: Range, rng: np.random.Generator) -> np.ndarray:
    """Other numbers in place of `old`, of the same type, of an input that holds `every`."""
    if old.dtype == bool:
        return ~old
    if old.dtype.kind in "iu":
        # Only what occurs is known to be allowed.
        low, high = every.low, every.high
        if high == low:
            high = low + 1
        step = rng.integers(1, high - low + 1, old.shape)
        return ((old.astype(np.int64) - low + step) % (high - low + 1) + low).astype(old.dtype)
    jitter = rng.uniform(0.5, 1.0, old.shape) * rng.choice((-1, 1), old.shape)
    before = np.where(np.isfinite(old), old.astype(np.float64), 0)
    amount = every.spread * rng.choice(_AMPLITUDES)
    made: np.ndarray = (before + amount * jitter).astype(old.dtype)
    return made


def _nan(array: np.ndarray) -> np.ndarray:
    """Where an array holds NaN: one that is no float has not been reached by any."""
    return np.isnan(array) if array.dtype.kind == "f" else np.zeros(array.shape, dtype=bool)


def _bytes(outputs: list[dict[str, np.ndarray]]) -> int:
    return sum(a.nbytes for made in outputs for a in made.values())


# ---------------------------------------------------------------- in a worker

# The sessions that this process used last.
_RUNNERS: OrderedDict[str, Runner] = OrderedDict()
_RUNNERS_LOCK = Lock()
_MOST_RUNNERS = 2


def runner_of(workload: Workload) -> Runner:
    """The workload, opened once in this process."""
    with _RUNNERS_LOCK:
        if workload.key not in _RUNNERS:
            _RUNNERS[workload.key] = Runner(workload)
            while len(_RUNNERS) > _MOST_RUNNERS:
                _RUNNERS.popitem(last=False)[1].close()
        _RUNNERS.move_to_end(workload.key)
        return _RUNNERS[workload.key]


def forget(workload: Workload) -> None:
    """Close what this process has opened of a workload."""
    with _RUNNERS_LOCK:
        runner = _RUNNERS.pop(workload.key, None)
    if runner is not None:
        runner.close()
