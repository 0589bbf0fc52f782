"""What `rfgraph stream` says."""

from __future__ import annotations

from math import isinf, prod

from rfgraph.engine.closed_form import Number
from rfgraph.render.documents import Streaming
from rfgraph.render.text import aligned, number, plain
from rfgraph.streaming import Plan, StreamingError, StreamingModel
from rfgraph.streaming.writer import UNKNOWN_LENGTH


def text(document: Streaming) -> str:
    """A table of the outputs and what looks ahead, or why it can't be had on a stream."""
    if document.obstacle is not None:
        return "\n".join(_obstacle(document.obstacle, is_plan=document.plan is not None))
    assert document.plan is not None
    plan = document.plan
    lines = [*aligned(outputs_of(plan)), *_paths(plan), "", *remarks_of(plan)]
    if document.converted is not None:
        lines += ["", *_converted(document.converted)]
    return "\n".join(lines)


def _obstacle(error: StreamingError, *, is_plan: bool) -> list[str]:
    """Why it can't be had on a stream, or not be converted."""
    what = "it can be run with kept context alone" if is_plan else "it can't be had on a stream"
    lines = [f"{what}: the first reason is"]
    lines.append(plain(f"{error.node or 'the model'}: {error.message}"))
    return [*lines, *([f"to do: {plain(error.remedy)}"] if error.remedy else [])]


def _converted(found: StreamingModel) -> list[str]:
    """How the model with explicit states is run."""
    elements = sum(prod(n for n in s.shape if isinstance(n, int)) for s in found.states)
    lines = [
        f"the converted model has {len(found.states)} states of {elements} elements in all, and "
        f"takes chunks of {'any size' if found.hop == 1 else f'a multiple of {found.hop} samples'}"
    ]
    for each in found.outputs:
        late = (
            f"the first {each.delay} steps come before those of the model, and are to be left out"
        )
        lines.append(f"of {plain(each.output)} {late if each.delay else 'all steps count'}")
    if found.length is not None:
        lines.append(
            f"its input '{plain(found.length)}' is {UNKNOWN_LENGTH} until the number of samples is "
            "known; then zeros are pushed until all steps are out"
        )
    return lines


def outputs_of(plan: Plan) -> list[list[str]]:
    """The table of the outputs."""
    table = [["output", "axis", "stride", "back", "ahead", "latency", "first", "valid from"]]
    for name, timing in plan.outputs.items():
        table.append(
            [
                name,
                str(timing.axis),
                number(timing.stride),
                _samples(plan, timing.back),
                _samples(plan, timing.ahead),
                _samples(plan, timing.latency),
                str(timing.first),
                "-" if timing.valid is None else str(timing.valid),
            ]
        )
    return table


def _samples(plan: Plan, samples: Number) -> str:
    """Samples, and milliseconds where these are known."""
    if isinf(samples):
        return "the past"
    return number(samples) + (f" ({plan.ms(samples):.4g} ms)" if plan.rate else "")


def _paths(plan: Plan) -> list[str]:
    lines = []
    for name, timing in plan.outputs.items():
        if timing.path:
            nodes = [[f"  {each.node}", f"{each.samples:+d}"] for each in timing.path]
            lines += ["", f"what makes {plain(name)} look {timing.ahead} ahead", *aligned(nodes)]
    return lines


def remarks_of(plan: Plan) -> list[str]:
    """What holds for the stream as a whole."""
    streams = ", ".join(f"axis {axis} of '{name}'" for name, axis in plan.inputs)
    name = f" ({plan.name})" if plan.name else ""
    causal = "causal" if plan.is_causal else "not causal"
    lines = [f"{plain(streams + name)}: {causal}, a hop of {_samples(plan, plan.hop)}"]
    if plan.context is not None:
        kept = _samples(plan, plan.context)
        lines.append(f"{kept} of context are to be kept between chunks")
    else:
        lines.append("its past has no end: it goes from chunk to chunk as a state")
    for given, made in plan.states:
        lines.append(f"the state {plain(given)} goes on as {plain(made)}")
    if plan.is_fixed:
        lines.append(
            "note: the file fixes the size of this axis: convert the model (-o), which opens it, "
            "or export it open (dynamic)"
        )
    notes = [note for note in plan.analysis.notes if note.kind != "size"]
    return [*lines, *(f"note: {plain(str(note))}" for note in notes)]
