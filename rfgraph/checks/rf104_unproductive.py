"""RF104."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from operator import ge, gt
from typing import NamedTuple

from rfgraph.analysis.analysis import Analysis
from rfgraph.checks.finding import Finding
from rfgraph.checks.options import Option, name
from rfgraph.checks.registry import check
from rfgraph.checks.subject import Subject
from rfgraph.engine.closed_form import Number


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
    not seen. Such layers did not improve the accuracy of the networks studied by Richter, Schöning,
    Wiedenroth and Krumnack 2021 (Should You Go Deeper? Optimizing Convolutional Neural Network
    Architectures without Training by Receptive Field Analysis), and can be left out before any
    training. The same network on a larger input may well need them.

    Where several paths lead to a layer the shortest one counts: what skips layers, by a residual
    sum or a concatenation, has not seen as much, and the layer adds context to that. So the layers
    of a deep residual network are not reported, and those of a plain one are.

    A layer is one whose field is larger than that of its input: convolutions and poolings with a
    kernel. Statistics over whole axes (a global pooling, gates, attention) do not count, neither as
    layers nor as seeing everything, nor does a pooling that leaves a single unit.

    Example: 3x3 convolutions with padding on an input of 8x8. The fourth sees 9x9 and the middle of
    it everything, so the fifth adds nothing:

        RF104 Conv 'conv5' adds no context: its input 'a4' already sees all of axes 2, 3 of input
        'x' (8x8)

    What to do: leave the layer out, give it a kernel of 1, use smaller strides before it, or larger
    inputs. If the model is to be used with larger inputs too, check it at their size (`shapes`).
    """
    analysis = subject.analysis
    every = subject.settings.get("saturated") == "every"
    found: dict[str, tuple[Layers, str]] = {}
    for given in analysis.inputs:
        layers = Layers(analysis, given, subject.moving_axes(given), every=every)
        for tensor, source in layers.unproductive():
            found.setdefault(tensor, (layers, source))
    wanted = subject.wanted if found else set()
    for tensor in analysis.tensors if found else ():
        if tensor in found and tensor in wanted:
            of_input, source = found[tensor]
            yield subject.finding(
                f"{analysis.node(tensor)} adds no context: its input '{source}' already sees all "
                f"of {of_input.said}",
                "leave it out, use smaller strides before it, or larger inputs",
                value=tensor,
                made_by=tensor,
                input=of_input.given,
            )


class _Figures(NamedTuple):
    """What is known of the field of a value.

    Attributes
    ----------
    sizes : list of number
        Its size by axis.
    is_global : bool
        Whether it is all there is along some axis.
    is_wide : bool
        Whether it is as large as the input along all of them.
    is_full : bool
        Whether some units, or all of them, see everything.
    is_single : bool
        Whether there is a single unit, as after a pooling over all of a feature map.
    """

    sizes: list[Number]
    is_global: bool
    is_wide: bool
    is_full: bool
    is_single: bool


class Layers:
    """What the nodes of a model add to what is seen of an input.

    Values that see the same are told by their number (`Analysis.alike`): what is asked of one
    holds for all.

    Parameters
    ----------
    analysis : Analysis
        Of the model.
    given : str
        The input.
    axes : sequence of int
        The axes of the input that are looked at; those of length 1 are left out.
    every : bool, optional
        Whether each unit of a layer's input has to see everything; else one is enough.
    """

    def __init__(
        self, analysis: Analysis, given: str, axes: Sequence[int], *, every: bool = False
    ) -> None:
        self.analysis, self.given = analysis, given
        self.shape = self.analysis.extent(given) or ()
        self.axes = [axis for axis in axes if self.shape[axis] > 1]
        self._every = every
        self._number = self.analysis.alike(given)
        self._figures_of: dict[int, _Figures] = {}
        self._lengths = [self.shape[axis] for axis in self.axes]
        self._what = "layer", tuple(self.axes), every

    @cached_property
    def said(self) -> str:
        """The axes and the input, for people."""
        axes = f"ax{'i' if len(self.axes) == 1 else 'e'}s {', '.join(map(str, self.axes))}"
        sizes = "x".join(str(self.shape[axis]) for axis in self.axes)
        return f"{axes} of input '{self.given}' ({sizes})"

    def unproductive(self) -> Iterator[tuple[str, str]]:
        """The layers that add nothing, by what they make, and what they are made of."""
        figures = self._figures
        # What few values meet is asked first.
        far = self._far() if self.axes else set()
        for tensor, sources in self.analysis.changes(self.given) if far else ():
            if far.isdisjoint(sources):
                continue
            before = [figures(source) for source in sources]
            if not any(one.is_full for one in before):
                continue
            made = figures(tensor)
            widest = _widened(made, before)
            if widest < 0 or sources[widest] not in far or made.is_single:
                continue
            if before[widest].is_full and before[widest].is_wide:
                yield tensor, sources[widest]

    def _far(self) -> set[str]:
        """The values whose fields are as large as the input by the shortest path too."""
        if not self._any_is_wide():
            return set()
        shortest = self.analysis.shortest(self.given, self.axes)
        far = {sizes for sizes in set(shortest.values()) if self._is_wide(sizes)}
        return {tensor for tensor, sizes in shortest.items() if sizes in far} if far else set()

    def _any_is_wide(self) -> bool:
        """Whether the field of any value is as large as the input."""
        what = "wide", tuple(self.axes)
        return any(self.analysis.each_once(self.given, what, self._sees_widely))

    def _sees_widely(self, tensor: str) -> bool:
        field = self.analysis.field(tensor, self.given, local=True)
        return self._is_wide([field[axis].size for axis in self.axes])

    def _is_wide(self, sizes: Sequence[Number]) -> bool:
        """Whether fields of these sizes are as large as the input."""
        return all(map(ge, sizes, self._lengths))

    def _figures(self, tensor: str) -> _Figures:
        number = self._number[tensor]
        found = self._figures_of.get(number)
        if found is None:
            found = self._figures_of[number] = self.analysis.once(
                tensor, self.given, self._what, partial(self._asked, tensor)
            )
        return found

    def _asked(self, tensor: str) -> _Figures:
        ask, given, axes, every = self.analysis, self.given, self.axes, self._every
        field = ask.field(tensor, given)
        sizes = [field[axis].size for axis in axes]
        return _Figures(
            sizes,
            any(field[axis].is_global for axis in axes),
            self._is_wide(sizes),
            all(ask.sees_end_to_end(tensor, given, axis, every=every) for axis in axes),
            all(ask.bounds(tensor, given, axis=axis)[0].size == 1 for axis in axes),
        )


def _widened(made: _Figures, before: Sequence[_Figures]) -> int:
    """Which of the fields that a field is made of is the widest, if it is larger; else -1."""
    if made.is_global or any(one.is_global for one in before):
        return -1
    if len(before) == 1:
        return 0 if any(map(gt, made.sizes, before[0].sizes)) else -1
    for k, size in enumerate(made.sizes):
        sizes = [one.sizes[k] for one in before]
        if size > max(sizes):
            return sizes.index(max(sizes))
    return -1
