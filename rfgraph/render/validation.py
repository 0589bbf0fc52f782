"""What `rfgraph validate` says."""

from __future__ import annotations

from rfgraph.render.text import aligned, box, plain, shape, share
from rfgraph.validation.report import Validation, Violation


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
    parts = [*(aligned(table) if len(table) > 1 else []), *_summary(found)]
    parts += [f"violation: {plain(_violation(v))}" for v in found.violations]
    parts += [f"not tested: {plain(f'{t}: {why}')}" for t, why in found.untested.items()]
    parts += [f"note: {plain(note)}" for note in found.notes]
    return "\n".join(parts)


def _summary(found: Validation) -> list[str]:
    units, total = sum(found.units.values()), found.total
    lines = [
        f"{found.method}, seed {found.seed}: {units:,} units of {len(found.units)} values, against "
        f"{found.probes:,} planes and elements of the inputs",
        f"{found.passes:,} forward passes in {found.seconds:.1f} s"
        + (f", of {found.planned:,} for all" if not found.complete else "")
        + f"; one for each input element would be {found.naive:,}",
    ]
    if found.interrupted:
        lines.append("interrupted: what is told was tested until then")
    elif not found.complete:
        lines.append("the time is up: --seconds gives more, inf all of it")
    if not found.tested and found.ok:
        lines.append("nothing was tested")
    elif found.ok:
        seen = f"{total.attained:,} of {total.ends:,} ends of bounds that were changed were seen"
        lines.append(f"no claim is contradicted; {seen}")
    else:
        values = len({v.value for v in found.violations})
        lines.append(f"claims are contradicted {found.contradictions:,} times, of {values} values")
    return lines


def _violation(violation: Violation) -> str:
    return f"{violation}; it is claimed to see {violation.input} at {box(violation.box)}"
