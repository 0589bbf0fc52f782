"""RF104."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from math import inf
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
    wanted = subject.wanted
    every = subject.settings.get("saturated") == "every"
    found: dict[str, tuple[Layers, str]] = {}
    for given in analysis.inputs:
        layers = Layers(analysis, given, subject.moving_axes(given), every=every)
        for tensor, source in layers.unproductive():
            if tensor in wanted:
                found.setdefault(tensor, (layers, source))
    for tensor in analysis.tensors if found else ():
        if tensor not in found:
            continue
        of_input, source = found[tensor]
        given, axes = of_input.given, of_input.axes
        shape = analysis.extent(given) or ()
        which = f"ax{'i' if len(axes) == 1 else 'e'}s {', '.join(map(str, axes))}"
        sizes = "x".join(str(shape[axis]) for axis in axes)
        yield subject.finding(
            f"{analysis.node(tensor)} adds no context: its input '{source}' already sees all of "
            f"{which} of input '{given}' ({sizes})",
            "leave it out, use smaller strides before it, or larger inputs",
            value=tensor,
            made_by=tensor,
            input=given,
        )


class _Figures(NamedTuple):
    """What is known of the field of a value.

    Attributes
    ----------
    sizes : tuple of number
        Its size by axis.
    closed : tuple of number
        The same where it has a closed form; else inf.
    own : tuple of number
        The same where it is that of all units; else -inf.
    is_global : bool
        Whether it is all there is along some axis.
    """

    sizes: tuple[Number, ...]
    closed: tuple[Number, ...]
    own: tuple[Number, ...]
    is_global: bool


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
        self._sees_all: dict[int, bool] = {}
        self._figures_of: dict[int, _Figures] = {}
        self._what = ("figures", *self.axes)
        self._node = analysis.node
        # By the shortest path, of every value up to the last one that was asked for.
        self._sizes: dict[str, Sequence[Number]] = {}
        self._left = iter(self._number)

    def unproductive(self) -> Iterator[tuple[str, str]]:
        """The layers that add nothing, by what they make, and what they are made of."""
        number, node_of = self._number, self._node
        for tensor, own in number.items() if self.axes else ():
            node = node_of(tensor)
            if node is None:
                continue
            # What few layers meet, and costs least, is asked first.
            sources = []
            for source in node.inputs:
                other = number.get(source)
                if other == own:
                    break
                if other is not None:
                    sources.append(source)
            else:
                widest = self._saturated(tensor, sources)
                if widest is not None:
                    yield tensor, widest

    def _saturated(self, tensor: str, sources: list[str]) -> str | None:
        """What a value is made of that sees all there is, so that it adds nothing; else None."""
        full = [source for source in sources if self._is_full(source)]
        full = [source for source in full if self._is_far(self.shortest(source))]
        if not full:
            return None
        source = self._widened(tensor, sources)
        if source not in full or self._is_single(tensor):
            return None
        return source if self._is_far(self._figures(source).sizes) else None

    def _is_far(self, sizes: Sequence[Number]) -> bool:
        """Whether fields of these sizes are as large as the input."""
        return all(size >= self.shape[axis] for axis, size in zip(self.axes, sizes, strict=True))

    def _is_full(self, tensor: str) -> bool:
        """Whether some units of a value, or all of them, see everything."""
        number = self._number[tensor]
        found = self._sees_all.get(number)
        if found is None:
            ask, given, axes, every = self.analysis, self.given, self.axes, self._every
            found = self._sees_all[number] = ask.once(
                tensor,
                given,
                ("sees all", *axes, every),
                lambda: all(ask.sees_end_to_end(tensor, given, a, every=every) for a in axes),
            )
        return found

    def _widened(self, tensor: str, sources: list[str]) -> str | None:
        """The widest source of a node, if the field of what the node makes is larger than its."""
        made = self._figures(tensor)
        found = {source: self._figures(source) for source in sources}
        if made.is_global or any(one.is_global for one in found.values()):
            return None
        for k, size in enumerate(made.sizes):
            widest = max(sources, key=lambda source: found[source].sizes[k])
            if size > found[widest].sizes[k]:
                return widest
        return None

    def shortest(self, tensor: str) -> Sequence[Number]:
        """The size of a value's field by the shortest path, by axis."""
        sizes, number, figures, node_of = self._sizes, self._number, self._figures, self._node
        while tensor not in sizes:
            value = next(self._left)
            node = node_of(value)
            read = () if node is None else node.inputs
            if node is not None and node.captures:
                read = (*read, *node.captures)
            sources = [source for source in read if source in sizes]
            if not sources:
                sizes[value] = figures(value).sizes
                continue
            before = sizes[sources[0]]
            if len(sources) == 1 and number[sources[0]] == number[value]:
                sizes[value] = before
                continue
            closed = figures(sources[0]).closed
            for source in sources[1:]:
                before = [*map(min, before, sizes[source])]
                closed = [*map(max, closed, figures(source).closed)]
            # What the value adds: figures for this size of the input say nothing of that.
            own = figures(value).own
            sizes[value] = [
                size + (more - of) if more > of else size
                for size, more, of in zip(before, own, closed, strict=True)
            ]
        return sizes[tensor]

    def _figures(self, tensor: str) -> _Figures:
        """What is known of a value's field."""
        number = self._number[tensor]
        found = self._figures_of.get(number)
        if found is None:
            found = self._figures_of[number] = self.analysis.once(
                tensor, self.given, self._what, partial(self._asked, tensor)
            )
        return found

    def _asked(self, tensor: str) -> _Figures:
        ask, given, axes = self.analysis, self.given, self.axes
        field = ask.field(tensor, given)
        closed = [ask.closed_form(tensor, given, axis) for axis in axes]
        sides = [field[a] if c is None else c for a, c in zip(axes, closed, strict=True)]
        return _Figures(
            tuple([field[axis].size for axis in axes]),
            tuple([inf if side is None else side.size for side in closed]),
            tuple([-inf if s.branches or s.irregular else s.size for s in sides]),
            any(field[axis].is_global for axis in axes),
        )

    def _is_single(self, tensor: str) -> bool:
        """Whether there is a single unit, as after a pooling over all of a feature map."""
        ask, given, axes = self.analysis, self.given, self.axes
        return ask.once(
            tensor,
            given,
            ("single", *axes),
            lambda: all(ask.bounds(tensor, given, axis=a)[0].size == 1 for a in axes),
        )
