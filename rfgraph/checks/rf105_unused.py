"""RF105."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rfgraph.checks.finding import Finding
from rfgraph.checks.options import Option, name, share
from rfgraph.checks.registry import check
from rfgraph.checks.subject import Subject
from rfgraph.errors import QueryError

EFFECTIVE = Option(
    "effective",
    name,
    None,
    "a file that rfgraph effective --output-format json has written of the model",
    "model",
)
LEAST_USED = Option(
    "least-used",
    share,
    0.3,
    "how much of a field's size the box of 95.45 % of what is used has to have",
)
MARGIN = Option(
    "margin",
    share,
    0.0,
    "how much of the input's size has to be left around the box of 99 % of what is used",
)

# The shares of what is used whose boxes are looked at.
_MOST, _ALL = 0.9545, 0.99


@check("RF105", "unused", "note", (EFFECTIVE, LEAST_USED, MARGIN))
def unused(subject: Subject) -> Iterator[Finding]:
    """A value uses little of what it sees, or all of the input.

    A field says what units can see. What a trained network makes of it is measured by running it,
    with `rfgraph effective`: most fields are used in the middle alone, and wider kernels or more
    layers are paid for and not used (Luo et al. 2016, Understanding the effective receptive field
    in deep convolutional neural networks). A value that uses the input from border to border may
    need more context than the input has: a larger one, or a tile with more around it.

    It is off unless `effective` names a file with what was measured. Values of which that says
    nothing are not looked at.

    Example: of a stack of convolutions with random weights:

        RF105 'features' uses 108 of the 427 elements that it sees along axis 2 of input 'x' (25.3%)

    What to do: take smaller kernels or fewer layers, or train on larger images; lower
    `least-used`.
    """
    file = subject.settings.get(EFFECTIVE.name)
    if file is None:
        return
    for measured in _measured(subject.root / file):
        value, given = measured["value"], measured["input"]
        if value not in subject.analysis.tensors or given not in subject.analysis.inputs:
            continue
        boxes = {box["share"]: box["sides"] for box in measured["shares"]}
        least = subject.settings.get(LEAST_USED.name, value)
        margin = subject.settings.get(MARGIN.name, value)
        for k, axis in enumerate(measured["axes"]):
            size, used = measured["theoretical"][k], boxes[_MOST][k]
            if used < least * size:
                yield subject.finding(
                    f"'{value}' uses {used} of the {size} elements that it sees along axis {axis} "
                    f"of input '{given}' ({used / size:.1%})",
                    "take smaller kernels or fewer layers, or lower 'least-used'",
                    value=value,
                    input=given,
                    axis=axis,
                    uses=used,
                    of=size,
                    least_used=least,
                )
            whole, wide = measured["shape"][axis], boxes[_ALL][k]
            if margin and wide > (1 - margin) * whole:
                yield subject.finding(
                    f"'{value}' uses {wide} of the {whole} elements of axis {axis} of input "
                    f"'{given}': no more than {1 - wide / whole:.1%} is left around it",
                    "give it larger inputs, or lower 'margin'",
                    value=value,
                    input=given,
                    axis=axis,
                    option=MARGIN.name,
                    uses=wide,
                    of=whole,
                    margin=margin,
                )


def _measured(file: Path) -> list[dict[str, Any]]:
    """What was measured, by value."""
    try:
        found = json.loads(file.read_text("utf-8"))["effective"]
        for measured in found:
            for key in ("value", "input", "shape", "axes", "theoretical", "shares"):
                measured[key]
        return list(found)
    except OSError as error:
        raise QueryError(f"effective: {error.strerror}", file=str(file)) from None
    except (ValueError, KeyError, TypeError):
        raise QueryError(
            "effective: it is not what rfgraph effective has written",
            file=str(file),
            remedy="write it with rfgraph effective MODEL --output-format json",
        ) from None


__all__ = ["unused"]
