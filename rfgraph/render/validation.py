"""What `rfgraph validate` says."""

from __future__ import annotations

from rfgraph.render.text import aligned, box, plain, shape, share
from rfgraph.validation.report import Validation, Violation

# If there are more inputs than this, the rest is only counted.
_INPUTS = 8


def text(found: Validation) -> str:
    """The table, the violations and the notes."""
    several = len(found.analysis.inputs) > 1
    table = [["", "value", "operator", "shape", *["input"] * several, "ends seen", "contradicted"]]
    place = {value: k for k, value in enumerate(found.units)}
    for (value, name), tally in sorted(found.tallies.items(), key=lambda item: place[item[0][0]]):
        node = found.analysis.node(value)
        table.append(
            [
                "*" if value in found.analysis.outputs else "",
                value,
                node.op_type if node else "input",
                shape(found.analysis.shape(value)),
                *[name] * several,
                share(tally.attained / tally.ends) if tally.ends else "-",
                f"{tally.wrong:,}" if tally.wrong else "-",
            ]
        )
    parts = [*(aligned(table) if len(table) > 1 else []), *summary(found)]
    parts += [f"violation: {plain(_violation(v))}" for v in found.violations]
    parts += [f"not tested: {plain(f'{t}: {why}')}" for t, why in found.untested.items()]
    parts += [f"note: {plain(note)}" for note in found.notes]
    return "\n".join(parts)


def summary(found: Validation) -> list[str]:
    """What was tested, how, and what it has shown."""
    units, total, analysis = sum(found.units.values()), found.total, found.analysis
    where = "" if found.runtime == "onnxruntime" else f" in {plain(found.runtime)}"
    values = sum(1 for tensor in analysis.tensors if tensor not in analysis.inputs)
    lines = [
        f"{found.method}{where}, seed {found.seed}: all {units:,} units of {len(found.units)} of "
        f"{values} values, by {found.passes:,} forward passes in {found.seconds:.1f} s; one for "
        f"each input element would be {found.naive:,}",
        *_changed(found),
    ]
    if not found.complete:
        why = "interrupted" if found.interrupted else "a sample within the time of --seconds"
        lines.append(
            f"{why}: {found.passes:,} of {found.planned:,} passes, spread evenly over the inputs"
            + (f"; all take {_duration(found)} (--seconds inf)" if found.passes else "")
        )
    if not found.tested and found.ok:
        lines.append("nothing was tested")
    elif found.ok:
        seen = f"{total.attained:,} of {total.ends:,} ends of bounds that were changed were seen"
        lines.append(f"no claim is contradicted; {seen}")
    else:
        values = len({v.value for v in found.violations})
        lines.append(f"claims are contradicted {found.contradictions:,} times, in {values} values")
    return lines


def _changed(found: Validation) -> list[str]:
    """What was changed, a line for each input; of many inputs the first ones."""
    lines = []
    inputs = list(dict.fromkeys(part.input for part in found.coverage))
    for name in inputs[:_INPUTS]:
        planes, elements = [], ""
        for part in (part for part in found.coverage if part.input == name):
            many = "all" if part.changed == part.there else f"{part.changed:,} of"
            if part.axis is None:
                elements = f"{many} {part.there:,} elements"
            else:
                planes.append(f"{part.axis} ({many} {part.there:,})")
        across = f"planes across axis {', '.join(planes)}" if planes else ""
        lines.append(f"changed in '{plain(name)}': {'; '.join(filter(None, (across, elements)))}")
    if len(inputs) > _INPUTS:
        lines.append(f"and in {len(inputs) - _INPUTS:,} more inputs")
    return lines


def _duration(found: Validation) -> str:
    """How long all passes take, judged by those that were made."""
    seconds = found.seconds * found.planned / found.passes
    for size, unit in ((3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"about {seconds / size:,.0f} {unit}"
    return f"about {seconds:,.0f} seconds"


def _violation(violation: Violation) -> str:
    return f"{violation}; it is claimed to see {violation.input} at {box(violation.box)}"
