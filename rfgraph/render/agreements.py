"""What `rfgraph agree` says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from rfgraph.agreement.result import (
    OTHER_VALUES,
    PARTED,
    Agreement,
    Difference,
    Pair,
    SideFound,
)
from rfgraph.checks import Finding
from rfgraph.render.findings.common import dumped
from rfgraph.render.text import aligned, plain

# Of the JSON document: it counts changes.
VERSION = 1

# The code under which it is reported that sides part.
PARTED_CODE = "RF402"

# What single precision and others are called, by their unit of roundoff.
_PRECISIONS = {2.0**-24: "single precision", 2.0**-11: "half precision", 2.0**-9: "bfloat16"}


def text(found: Agreement) -> str:
    """The sides, the outputs of each pair, the nodes that part, and the notes."""
    lines = [f"{side_words(side)}" for side in found.sides]
    for pair in found.pairs:
        lines += ["", *_pair(pair)]
    lines += ["", *summary(found)]
    lines += [f"note: {plain(note)}" for note in found.notes]
    return "\n".join(lines)


def side_words(side: SideFound) -> str:
    """What is said of a side."""
    if not side.answered:
        return plain(f"{side.name} {side.version}: {side.outcome}")
    precision = _PRECISIONS.get(side.roundoff, f"a unit of roundoff of {side.roundoff:.1g}")
    return plain(f"{side.name} {side.version}: answers, computes in {precision}")


def _pair(pair: Pair) -> Iterator[str]:
    yield plain(f"{pair.first} and {pair.second}")
    table = [["", "output", "elements", "values apart", "units", "ends seen", "seen by one"]]
    for one in pair.outputs:
        attained = "/".join(f"{n:,}" for n in one.attained)
        table.append(
            [
                "",
                one.name,
                one.kind,
                percent(one.distance),
                f"{one.tested:,} of {one.units:,}" if one.tested < one.units else f"{one.units:,}",
                f"{attained} of {one.ends:,}" if one.ends else "-",
                "/".join(f"{n:,}" for n in one.alone) if any(one.alone) else "-",
            ]
        )
    yield from aligned(table)
    for one in pair.outputs:
        if one.why:
            yield f"output: {plain(f'{one.name}: {one.why}')}"
    for difference in pair.differences:
        yield f"node: {plain(sentence(difference))}"
    for note in pair.notes:
        yield f"note: {plain(note)}"


def sentence(one: Difference) -> str:
    """What is said of a node."""
    said = f"{one.operator} '{one.node}' ({one.kind}): {one.text}"
    if not one.whole:
        said += "; only where the node stands alone, not where the whole model runs up to it"
    if one.reproduction:
        said += f"; to reproduce: {one.reproduction}/reproduce.py"
    return said


def percent(distance: float) -> str:
    """A relative difference, as a share.

    >>> percent(0.0123), percent(0), percent(3e-7)
    ('1.2 %', '0', '3e-05 %')
    """
    return f"{100 * distance:.2g} %" if distance else "0"


def json(found: Agreement) -> str:
    """The document of `rfgraph agree`."""
    return dumped(
        {
            "version": VERSION,
            **asdict(found),
            "ok": found.ok,
            "parted": found.parted,
            "seconds": round(found.seconds, 3),
        }
    )


def findings(found: Agreement) -> list[Finding]:
    """What parts as findings about the second side's model."""
    models = {side.name: side.model for side in found.sides}
    made = []
    for side in found.sides:
        if not side.answered:
            said = f"{side.name} {side.version}: {side.outcome}"
            made.append(Finding(PARTED_CODE, side.model, said, "", "error"))
    for pair in found.pairs:
        model = models[pair.second]
        for one in pair.differences:
            grave = one.kind != OTHER_VALUES and one.whole
            made.append(
                Finding(
                    PARTED_CODE,
                    model,
                    f"{pair.second}: {sentence(one)}",
                    "",
                    "error" if grave else "note",
                    one.node,
                    one.operator,
                    one.value,
                    figures={"kind": one.kind, "distance": one.distance, "right": one.right},
                )
            )
        if not any(one.kind != OTHER_VALUES and one.whole for one in pair.differences):
            made += [
                Finding(
                    PARTED_CODE,
                    model,
                    f"{pair.second}: output '{one.name}' sees other elements: {one.why}",
                    "",
                    "error",
                    value=one.name,
                    figures={"distance": one.distance},
                )
                for one in pair.outputs
                if one.kind == PARTED
            ]
    return made


def summary(found: Agreement) -> Iterator[str]:
    """What was found in all, and what it took."""
    parted = sum(one.kind == PARTED for pair in found.pairs for one in pair.outputs)
    outputs = sum(len(pair.outputs) for pair in found.pairs)
    if not found.tested:
        yield "nothing could be compared"
    elif parted:
        yield f"other elements are seen by {parted} of {outputs} outputs"
    else:
        yield "the same elements are seen, as far as was tested"
    silent = [side.name for side in found.sides if not side.answered]
    if silent:
        yield plain(f"not as it should answer: {', '.join(silent)}")
    yield (
        f"{found.runs:,} runs of whole models and {found.parts:,} of parts in {found.seconds:.1f} "
        f"s; one for each input element, amount and side would be {found.naive:,}"
    )


__all__ = ["findings", "json", "percent", "sentence", "side_words", "summary", "text"]
