"""What a NaN shows in the probe of a case, against what a perturbation shows in the case itself."""

from __future__ import annotations

import numpy as np
import onnx

import rfgraph
from rfgraph.validation.nan.emitter import Taps
from rfgraph.validation.nan.probe import Probe, interpolates, poisoned
from rfgraph.worker.protos import Key
from tests.oracle.observe import Shape, session
from tests.oracle.perturbation import Case, Seen, observing, runner

# Elements of an input up to which each of them is poisoned by itself.
_SMALL = 16


class NotObservedError(Exception):
    """NaN tells nothing about a case; the message says why."""


def operators(model: onnx.ModelProto) -> set[Key]:
    """The operators of a model's main graph."""
    return {("" if n.domain == "ai.onnx" else n.domain, n.op_type) for n in model.graph.node}


def shapes_of(case: Case) -> dict[str, Shape]:
    """The shapes of the inputs, the outputs and all values between, by running the case; where
    onnxruntime does not run it, those between as an analysis has them.
    """
    shapes = {name: np.shape(value) for name, value in case.feeds.items()}
    shapes.update((tensor.name, tuple(tensor.dims)) for tensor in case.model.graph.initializer)
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    names = [value.name for value in model.graph.output]
    between = [n for node in model.graph.node for n in node.output if n and n not in names]
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(n) for n in between)
    try:
        if case.run is not None:
            raise NotImplementedError("onnxruntime lacks it, or it ends the process")
        made = session(model).run(names + between, case.feeds)
    except Exception:  # what is raised differs from kernel to kernel
        analysis = rfgraph.analyze(
            case.model, shapes={name: np.shape(value) for name, value in case.feeds.items()}
        )
        shapes.update((n, s) for n in between if (s := analysis.extent(n)) is not None)
        made, between = runner(case)(case.feeds), []
    for name, value in zip(names + between, made, strict=True):
        if isinstance(value, np.ndarray | np.generic):
            shapes[name] = np.shape(value)
    return shapes


def probe_of(case: Case, taps: Taps = "read") -> Probe:
    """The probe of a case: what is not followed is held."""
    held = {v.name for v in case.model.graph.input} - set(case.followed)
    outputs = [v.name for v in case.model.graph.output]
    return poisoned(case.model, outputs, shapes_of(case).get, taps=taps, held=held)


def shown(case: Case, taps: Taps = "read") -> dict[str, dict[str, Seen]]:
    """What NaN shows of a case, in hyperplanes and in the elements of small inputs.

    Returns
    -------
    dict of dict of Seen
        By input, then by output.

    Raises
    ------
    NotObservedError
        The probe has no values or does not run, or some are NaN without any poison.
    """
    probe = probe_of(case, taps)
    names = list(probe.values)
    if not names:
        raise NotObservedError(next(iter(probe.lost.values())))
    given = {value.name for value in probe.model.graph.input}
    feeds = {
        name: np.asarray(value).astype(np.float32) if name in case.followed else value
        for name, value in case.feeds.items()
        if name in given
    }
    try:
        opened = session(probe.model)
        base = dict(zip(names, opened.run(names, feeds), strict=True))
    except Exception as error:  # onnxruntime's errors have no common base but this
        raise NotObservedError(f"the probe does not run: {error}") from error
    for name, value in base.items():
        if np.isnan(value).any():
            raise NotObservedError(f"{name} is NaN without any poison")

    def nan(input: str, place: tuple[int | slice, ...]) -> dict[str, np.ndarray]:
        changed = feeds[input].reshape(feeds[input].shape or (1,)).copy()
        changed[place] = np.nan
        made = opened.run(names, {**feeds, input: changed.reshape(feeds[input].shape)})
        return {name: np.isnan(value) for name, value in zip(names, made, strict=True)}

    found: dict[str, dict[str, Seen]] = {}
    for input in case.followed:
        shape = np.shape(feeds[input]) or (1,)
        small = np.prod(shape) <= _SMALL
        found[input] = {
            name: Seen(
                [np.zeros((*value.shape, n), bool) for n in shape],
                np.zeros(value.shape + shape, bool) if small else None,
            )
            for name, value in base.items()
        }
        for axis, size in enumerate(shape):
            for k in range(size):
                for name, mask in nan(input, (slice(None),) * axis + (k,)).items():
                    found[input][name].axes[axis][..., k] = mask
        for place in np.ndindex(shape) if small else ():
            for name, mask in nan(input, place).items():
                elements = found[input][name].elements
                assert elements is not None
                elements[(..., *place)] = mask
    return found


def faults(case: Case, *, exact: bool, most: int) -> dict[str, str]:
    """What is wrong with a case's probe: reads that are "lost", or NaN that is "spread".

    Parameters
    ----------
    case : Case
        The case.
    exact : bool
        Whether a perturbation shows all that is read: then the hulls are compared too.
    most : int
        Trials of the perturbation at most.

    Raises
    ------
    NotObservedError
        See `shown`.
    CannotRunError
        Nothing runs the case.
    """
    read = shown(case)
    weighted = shown(case, "weighted") if interpolates(case.model) else read
    wrong: dict[str, str] = {}
    for trial, observation in enumerate(observing(case, trials=most, small=_SMALL), 1):
        wrong = {}
        for input, by_output in read.items():
            for output, nan in by_output.items():
                seen = observation.seen[input][output]
                label = f"{case.name}: {output} of {input}"
                wrong |= {"lost": label} if _misses(nan, seen) else {}
                if exact and _exceeds(weighted[input][output], seen):
                    wrong["spread"] = label
        if trial >= case.trials and ("lost" in wrong or not wrong):
            break
    return wrong


def _misses(nan: Seen, seen: Seen) -> bool:
    pairs = list(zip(seen.axes, nan.axes, strict=True))
    if seen.elements is not None and nan.elements is not None:
        pairs.append((seen.elements, nan.elements))
    return any(bool((one & ~other).any()) for one, other in pairs)


def _exceeds(nan: Seen, seen: Seen) -> bool:
    (lo, hi), (least, most) = nan.hull(), seen.hull()
    return bool(((lo <= hi) & ((lo < least) | (hi > most))).any())
