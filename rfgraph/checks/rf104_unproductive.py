"""RF104."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rfgraph.analysis import Analysis
from rfgraph.checks.finding import Finding
from rfgraph.checks.options import Option, name
from rfgraph.checks.registry import check
from rfgraph.checks.subject import Subject
from rfgraph.closed_form import Number


def _which(given: object) -> str:
    if given not in ("some", "every"):
        raise ValueError('"some" or "every"')
    return name(given)


SATURATED = Option(
    "saturated",
    _which,
    "some",
    "how many units of a layer's input have to see everything for the layer to add nothing: "
    '"some" (those in the middle; the published criterion) or "every" (those at the borders too)',
    "model",
)


@check("RF104", "unproductive-layer", "note", (SATURATED,), folds=True)
def unproductive_layer(subject: Subject) -> Iterator[Finding]:
    """A layer can add no context, as its input already sees everything.

    Where units see the whole input, a layer with a larger kernel brings in nothing that they have
    not seen. Such layers do not improve the accuracy of the networks that Richter, Schöning,
    Wiedenroth and Krumnack 2021 (Should You Go Deeper? Optimizing Convolutional Neural Network
    Architectures without Training by Receptive Field Analysis) have looked at, and can be left out
    before any training. The same network on a larger input may well need them.

    Where several paths lead to a layer the shortest one counts: what skips layers, by a residual
    sum or a concatenation, has not seen as much, and the layer adds context to that. So the layers
    of a deep residual network are not told, and those of a plain one are.

    A layer is one whose field is larger than that of its input: convolutions and poolings with a
    kernel. Statistics over whole axes (a global pooling, gates, attention) do not count, neither as
    layers nor as seeing everything, nor does a pooling that leaves a single unit.

    Example: 3x3 convolutions with padding on an input of 8x8. The fourth sees 9x9 and the middle of
    it everything, so that of the fifth it is said:

        RF104 Conv 'conv5' adds no context: its input 'a4' already sees all of axes 2, 3 of input
        'x' (8x8)

    What to do: leave the layer out, give it a kernel of 1, use smaller strides before it, or larger
    inputs. If the model is to be used with larger inputs too, check it at their size (`shapes`).
    """
    analysis = subject.analysis
    every = subject.settings.get("saturated") == "every"
    wanted = set().union(*map(analysis.ancestors, subject.outputs()))
    known = set(analysis.tensors)
    shortest: dict[str, dict[str, dict[int, Number]]] = {}
    for tensor in analysis.tensors:
        node = analysis.node(tensor)
        if node is None or tensor not in wanted:
            continue
        for given in analysis.inputs:
            if not analysis.depends(tensor, given):
                continue
            shape = analysis.extent(given) or ()
            axes = [axis for axis in subject.moving_axes(given) if shape[axis] > 1]
            sources = [name for name in node.inputs if name in known]
            source = _widened(analysis, sources, tensor, given, axes)
            if source is None or not axes or _sums_up(analysis, tensor, given, axes):
                continue
            if given not in shortest:
                shortest[given] = _shortest(analysis, given, axes)
            if any(shortest[given][source][axis] < shape[axis] for axis in axes):
                continue
            if all(_sees_all(analysis, source, given, axis, every=every) for axis in axes):
                which = f"ax{'i' if len(axes) == 1 else 'e'}s {', '.join(map(str, axes))}"
                sizes = "x".join(str(shape[axis]) for axis in axes)
                yield subject.finding(
                    f"{node} adds no context: its input '{source}' already sees all of {which} of "
                    f"input '{given}' ({sizes})",
                    "leave it out, use smaller strides before it, or larger inputs",
                    value=tensor,
                    made_by=tensor,
                    input=given,
                )
                break


def _widened(
    analysis: Analysis, sources: list[str], tensor: str, given: str, axes: list[int]
) -> str | None:
    """The widest source of a node, if the field of what the node makes is larger than its."""
    made = analysis.field(tensor, given)
    if any(made[axis].is_global for axis in axes):
        return None
    fields = {s: analysis.field(s, given) for s in sources if analysis.depends(s, given)}
    # Values that see the same have one field.
    if not fields or any(field is made for field in fields.values()):
        return None
    if any(field[axis].is_global for field in fields.values() for axis in axes):
        return None
    for axis in axes:
        if made[axis].size > max(field[axis].size for field in fields.values()):
            return max(fields, key=lambda source: fields[source][axis].size)
    return None


def _shortest(analysis: Analysis, given: str, axes: list[int]) -> dict[str, dict[int, Number]]:
    """For every value the size of its field by the shortest path, along some axes of an input."""
    found: dict[str, dict[int, Number]] = {}
    for tensor in analysis.tensors:
        if not analysis.depends(tensor, given):
            continue
        node = analysis.node(tensor)
        sources = [] if node is None else [s for s in (*node.inputs, *node.captures) if s in found]
        own = analysis.field(tensor, given)
        if not sources:
            found[tensor] = {axis: own[axis].size for axis in axes}
            continue
        fields = [analysis.field(source, given) for source in sources]
        if len(sources) == 1 and fields[0] is own:
            found[tensor] = found[sources[0]]
            continue
        found[tensor] = {}
        for axis in axes:
            sides = [own[axis], *(field[axis] for field in fields)]
            added: Number = own[axis].size - max(side.size for side in sides[1:])
            if not added > 0 or any(side.branches or side.irregular for side in sides):
                # Figures for this size of the input say nothing of how much a layer adds.
                added = 0
            found[tensor][axis] = min(found[source][axis] for source in sources) + added
    return found


def _sums_up(analysis: Analysis, tensor: str, given: str, axes: list[int]) -> bool:
    """Whether a layer leaves a single unit, as a pooling over all of a feature map does."""
    return all(analysis.bounds(tensor, given, axis=axis)[0].size == 1 for axis in axes)


def _sees_all(analysis: Analysis, tensor: str, given: str, axis: int, *, every: bool) -> bool:
    """Whether some units of a value, or all of them, see an axis from end to end."""
    size = (analysis.extent(given) or ())[axis]
    if analysis.field(tensor, given)[axis].size < size:
        return False
    lo, hi = analysis.bounds(tensor, given, local=True, axis=axis)
    whole = (lo == 0) & (hi == size - 1)
    return bool(np.all(whole) if every else np.any(whole))
