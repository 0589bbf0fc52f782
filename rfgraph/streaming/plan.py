"""How a model follows a stream: look-back and look-ahead, hop, latency, and what sets them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from math import ceil, floor, inf, isinf
from typing import TYPE_CHECKING, Any

import numpy as np

from rfgraph.analysis import Analysis, analyze
from rfgraph.errors import QueryError
from rfgraph.notebook import Shown
from rfgraph.streaming.assembly import convert
from rfgraph.streaming.converted import StreamingModel
from rfgraph.streaming.recurrent import states
from rfgraph.streaming.run import ContextStream, through
from rfgraph.streaming.way import Moving, StreamingError, moving, shortened, time_axis
from rfgraph.tiling.axes import AxisPlan, up
from rfgraph.tiling.obstacles import OPEN_SIZES, TilingError
from rfgraph.tiling.plan import chosen_outputs
from rfgraph.tiling.plan import plan as tiling_plan
from rfgraph.worker.source import opened

if TYPE_CHECKING:
    from rfgraph.analysis.inputs import Model
    from rfgraph.engine.closed_form import Number


@dataclass(frozen=True)
class LookAhead:
    """A node that adds to how far an output looks ahead, or takes from it.

    Attributes
    ----------
    node : str
        Its operator and name.
    tensor : str
        The value that it makes.
    samples : int
        By how many samples of the input; negative where it crops the end, or pads the begin.
    """

    node: str
    tensor: str
    samples: int


@dataclass(frozen=True)
class OutputTiming:
    """How one output follows the stream. All but `axis` are in samples of the input.

    A step's own samples are those under it: of step o ``floor(o * stride)`` to
    ``ceil((o + 1) * stride) - 1``.

    Attributes
    ----------
    axis : int
        The axis of the output that counts its steps.
    stride : Fraction
        From one step to the next: 1/2 where there are two steps a sample.
    back : int or inf
        How far before its own samples a step sees, of the step that reaches farthest; without end
        behind a recurrent layer.
    ahead : int
        How far behind its own samples a step sees, of the step that reaches farthest. Negative
        where no step sees its own samples, as if the model predicts.
    latency : int
        The algorithmic latency: the most samples that come between the first of a step's own
        samples and the one with which the step can be computed, if samples come hop by hop. Without
        look-ahead it is the hop less one.
    first : int
        How many samples there have to be for the first step.
    valid : int or None
        The first step that sees nothing before the begin of the stream; None where all do, behind
        a recurrent layer.
    path : tuple of LookAhead
        Which nodes look ahead, from the input to the output, and by how much each, for the step
        that looks farthest: together `ahead`. Empty if that is none.
    """

    axis: int
    stride: Fraction
    back: Number
    ahead: int
    latency: int
    first: int
    valid: int | None
    path: tuple[LookAhead, ...] = field(default=(), repr=False)


@dataclass(frozen=True, repr=False)
class Plan(Shown):
    """How a model follows a stream; made by `plan`.

    Attributes
    ----------
    analysis : Analysis
        Of the model.
    inputs : tuple of (str, int)
        The inputs that are streams, and their time axis.
    name : str
        The axis's name in the file; ``""`` if it has none.
    is_fixed : bool
        Whether the file fixes the axis at one size.
    hop : int
        Samples of the input after which the model does the same again.
    rate : float or None
        Samples a second.
    outputs : dict of str to OutputTiming
        The outputs.
    whole : tuple of str
        The inputs that are no streams.
    states : tuple of (str, str)
        The inputs that are states of recurrent layers before the first step, and the outputs that
        are the same behind the last.

    Examples
    --------
    >>> from rfgraph.streaming import plan
    >>> found = plan("models/wavenet.onnx", rate=16000)
    >>> found.is_causal, found.back, found.ahead, found.hop, found.ms(found.back)
    (True, 3070, 0, 1, 191.875)
    """

    analysis: Analysis = field(repr=False, compare=False)
    inputs: tuple[tuple[str, int], ...]
    name: str
    is_fixed: bool
    hop: int
    rate: float | None
    outputs: Mapping[str, OutputTiming]
    whole: tuple[str, ...]
    states: tuple[tuple[str, str], ...]
    moving: Moving = field(repr=False, compare=False)

    def __repr__(self) -> str:
        streams = ", ".join(f"axis {axis} of {name!r}" for name, axis in self.inputs)
        return (
            f"Plan({streams}: back {self.back}, ahead {self.ahead}, hop {self.hop}, "
            f"latency {self.latency})"
        )

    @property
    def is_causal(self) -> bool:
        """Whether no output sees behind its own samples."""
        return self.ahead <= 0

    @property
    def back(self) -> Number:
        """How far outputs see before their own samples; without end behind a recurrent layer."""
        return max(timing.back for timing in self.outputs.values())

    @property
    def ahead(self) -> int:
        """How far outputs see behind their own samples."""
        return max(timing.ahead for timing in self.outputs.values())

    @property
    def latency(self) -> int:
        """The algorithmic latency, as of `OutputTiming`."""
        return max(timing.latency for timing in self.outputs.values())

    @property
    def context(self) -> int | None:
        """Samples to keep between chunks: the look-back, up to the next multiple of the hop.

        None behind a recurrent layer, whose past has no end.
        """
        return None if isinf(self.back) else up(max(int(self.back), 0), self.hop)

    @cached_property
    def cut(self) -> AxisPlan:
        """How to cut the stream into chunks that are run with the context around them.

        Raises
        ------
        StreamingError
            It can't be cut, as behind a recurrent layer.
        QueryError
            The file fixes the size of the axis.
        """
        name, axis = self.inputs[0]
        if self.is_fixed:
            raise QueryError(
                f"the file fixes the size along axis {axis} of '{name}': it takes no chunk",
                file=self.analysis.file,
                remedy=f"convert it, which opens the axis, or {OPEN_SIZES}",
            )
        try:
            (found,) = tiling_plan(
                self.analysis, axes=[self.name or axis], outputs=list(self.outputs)
            ).axes
        except TilingError as error:
            raise StreamingError(
                f"it can't be run with kept context: {error.message}",
                file=error.file,
                node=error.node,
                remedy="convert it: rfgraph.streaming.plan(model).convert(), rfgraph stream -o",
            ) from error
        return found

    def open(self, model: Any, whole: Mapping[str, np.ndarray] | None = None) -> ContextStream:
        """A stream through the model as it is, each chunk with the samples before it.

        Parameters
        ----------
        model : onnxruntime.InferenceSession, path or bytes
            The model, or a session that has it open.
        whole : mapping of str to ndarray, optional
            The inputs that are no streams.

        Returns
        -------
        ContextStream
            ``push(chunk)`` and ``finish()`` give the steps that become complete.

        Raises
        ------
        StreamingError
            Its past has no end, as behind a recurrent layer.
        QueryError
            The file fixes the size of the time axis.
        RFGraphError
            onnxruntime is not installed, or can't open the model.
        """
        session = opened(model, self.analysis.file)
        return ContextStream(self.moving, self.cut, tuple(self.outputs), session, whole or {})

    def run(
        self,
        model: Any,
        inputs: np.ndarray | Mapping[str, np.ndarray],
        chunks: int | Iterable[int] = 1 << 14,
    ) -> Any:
        """Run the model chunk by chunk, and put the results together.

        Parameters
        ----------
        model : onnxruntime.InferenceSession, path or bytes
            As of `open`.
        inputs : ndarray or mapping of str to ndarray
            Its inputs; the array alone where there is one.
        chunks : int or iterable of int
            The samples of each chunk; what is left after the last one comes at once.

        Returns
        -------
        ndarray or dict of str to ndarray
            The outputs of the plan by name; the array alone where there is one.

        Raises
        ------
        StreamingError, QueryError, RFGraphError
            As `open` and the stream.
        """
        given = inputs if isinstance(inputs, Mapping) else {self.inputs[0][0]: inputs}
        return through(self.open(model, given), self.inputs, given, chunks)

    def convert(self) -> StreamingModel:
        """The same model with explicit states: nothing is computed twice.

        Returns
        -------
        StreamingModel
            The model, its states and delays; ``open()`` runs it.

        Raises
        ------
        StreamingError
            Something can't be converted; it names the first node.
        """
        return convert(self.moving, tuple(self.outputs), self.whole, self.states)

    def ms(self, samples: Number) -> float:
        """Samples in milliseconds.

        Parameters
        ----------
        samples : int or Fraction
            How many.

        Returns
        -------
        float
            Milliseconds; nan without a `rate`.
        """
        return float(samples) * 1000 / self.rate if self.rate else float("nan")


def plan(
    model: Model | Analysis,
    *,
    axis: int | str | None = None,
    rate: float | None = None,
    outputs: Sequence[str] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> Plan:
    """How a model follows a stream: how far it looks back and ahead, and which nodes do.

    Parameters
    ----------
    model : path, bytes, onnx.ModelProto or Analysis
        The model.
    axis : int or str, optional
        The time axis, by number or by its name in the file; may be left out where fields move
        along one axis only.
    rate : float, optional
        Samples a second, for times in milliseconds.
    outputs : sequence of str, optional
        The outputs that are wanted; all if left out.
    shapes : mapping of str to tuple of int, optional
        Shapes of inputs to begin with, as for `analyze`.

    Returns
    -------
    Plan
        Look-back, look-ahead, hop and latency.

    Raises
    ------
    StreamingError
        The model can't be had on a stream; it names the first node that is the reason, and what
        would not be one.
    QueryError
        There is no such axis or output, or several axes may be time.
    ModelError, ShapeError
        As `analyze`.

    Examples
    --------
    >>> from rfgraph.streaming import plan
    >>> found = plan("models/tcn.onnx", outputs=["features"])
    >>> timing = found.outputs["features"]
    >>> timing.axis, timing.stride, timing.back, timing.ahead, timing.first, timing.valid
    (2, Fraction(1, 1), 3060, 0, 1, 3060)
    """
    analysis = model if isinstance(model, Analysis) else analyze(model, shapes=shapes, assume=True)
    analysis = shortened(analysis)
    carried = states(analysis)
    wanted = chosen_outputs(analysis, outputs)
    if outputs is None:
        wanted = tuple(name for name in wanted if name not in dict(carried).values())
    axes = time_axis(analysis, axis)
    try:
        found = moving(analysis, wanted, axes)
    except StreamingError as error:
        before = error.remedy
        error.remedy = lambda: _others(analysis, wanted, axes) or before
        raise
    dims = {analysis.dims(name)[k] for name, k in axes}
    return Plan(
        analysis=analysis,
        inputs=tuple(axes),
        name=next((dim for dim in dims if isinstance(dim, str)), ""),
        is_fixed=any(isinstance(dim, int) for dim in dims),
        hop=found.hop,
        rate=rate,
        outputs={output: _timing(found, output) for output in wanted},
        whole=tuple(n for n in analysis.inputs if n not in dict(axes) and n not in dict(carried)),
        states=carried,
        moving=found,
    )


def _others(
    analysis: Analysis, outputs: Sequence[str], axes: Sequence[tuple[str, int]]
) -> str | None:
    """Which outputs can be had on a stream, where others can't."""
    found = []
    for output in outputs if len(outputs) > 1 else ():
        with suppress(StreamingError):
            moving(analysis, [output], axes)
            found.append(output)
    if not found:
        return None
    listed = ", ".join(found)
    return f"these outputs can be had on a stream: {listed}; choose with outputs= or --output"


def _timing(found: Moving, output: str) -> OutputTiming:
    at, hop = found.at, found.hop
    axis, stride, units = found.axis(output), at.stride(output), found.steps(output)
    assert axis is not None
    firsts, lasts = _hop_of_steps(found, output, units)
    own = [(floor(k * stride), ceil((k + 1) * stride) - 1) for k in range(units)]
    back = max(begin - first for (begin, _), first in zip(own, firsts, strict=True))
    aheads = [last - end for (_, end), last in zip(own, lasts, strict=True)]
    # A step comes with the hop that has the last sample that it sees.
    heard = [up(int(last) + 1, hop) for last in lasts]
    waits = [n - 1 - begin for n, (begin, _) in zip(heard, own, strict=True)]
    phase = aheads.index(max(aheads))
    return OutputTiming(
        axis=axis,
        stride=stride,
        back=back,
        ahead=int(max(aheads)),
        latency=int(max(waits)),
        first=max(int(lasts[0]) + 1, 0),
        valid=None if isinf(min(firsts)) else _first_valid(firsts, hop, units),
        path=tuple(_path(found, output, axis, phase, units)) if max(aheads) > 0 else (),
    )


def _hop_of_steps(found: Moving, output: str, units: int) -> tuple[list[Number], list[Number]]:
    """The first and the last sample that each step of the first hop sees, of all inputs."""
    firsts: list[Number] = [inf] * units
    lasts: list[Number] = [-inf] * units
    for seen in found.at.fields[output].values():
        period = len(seen.phases)
        span = int(period * Fraction(seen.stride))
        for k in range(units):
            turns, phase = divmod(k, period)
            first, last = seen.phases[phase]
            if first <= last:
                firsts[k] = min(firsts[k], first + turns * span)
                lasts[k] = max(lasts[k], last + turns * span)
    # A step that sees nothing is there with the first sample of its own.
    stride = found.at.stride(output)
    for k in range(units):
        if firsts[k] > lasts[k]:
            firsts[k] = lasts[k] = floor(k * stride)
    return firsts, lasts


def _first_valid(firsts: Sequence[Number], hop: int, units: int) -> int:
    """The first step from which on none sees anything before sample 0."""
    valid = 0
    for k, first in enumerate(firsts):
        if first < 0:
            valid = max(valid, (ceil(-first / hop) - 1) * units + k + 1)
    return valid


def _path(found: Moving, output: str, axis: int, phase: int, units: int) -> Iterator[LookAhead]:
    """What nodes add to the look-ahead of the step that looks farthest, from the input on."""
    at = found.at
    extent = at.analysis.extent(output) or ()
    step = extent[axis] // 2 // units * units + phase
    ends: dict[tuple[str, int], tuple[int, tuple[int, ...]]] = {}
    for name in at.fields[output]:
        along = dict(at.axes)[name]
        lo, hi = at.analysis.bounds(output, name, axis=along)
        last = np.where(lo <= hi, hi, -1)
        last = np.take(last, [step if last.shape[axis] > 1 else 0], axis)
        unit = [int(k) for k in np.unravel_index(int(last.argmax()), last.shape)]
        unit[axis] = step
        ends[name, along] = int(last.max()), tuple(unit)
    (name, along), (_, farthest) = max(ends.items(), key=lambda item: item[1][0])
    for explanation in at.analysis.explain(output, name, farthest, axes=[along]):
        hops = explanation.upper
        reach = []
        for hop in hops:
            stride, place = at.stride(hop.tensor), found.axis(hop.tensor)
            own = None if place is None else ceil((hop.unit[place] + 1) * stride) - 1
            # Where several axes count the steps, what follows is told of the node behind.
            reach.append(hop.bounds[1] - own if own is not None else None)
        nearest = 0
        for hop, ahead in reversed(list(zip(hops, reach, strict=True))):
            if ahead is not None and hop.node is not None and ahead != nearest:
                yield LookAhead(str(hop.node), hop.tensor, ahead - nearest)
            nearest = nearest if ahead is None else ahead


__all__ = ["LookAhead", "OutputTiming", "Plan", "plan"]
