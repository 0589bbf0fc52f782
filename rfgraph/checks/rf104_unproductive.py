"""RF104."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rfgraph.analysis.analysis import Analysis
from rfgraph.checks.finding import Finding
from rfgraph.checks.options import Option, name
from rfgraph.checks.registry import check
from rfgraph.checks.subject import Subject
from rfgraph.engine.closed_form import Number
from rfgraph.model.graph import Node


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
    layers = {
        given: Layers(analysis, given, subject.moving_axes(given), every=every)
        for given in analysis.inputs
    }
    for tensor in analysis.tensors:
        node = analysis.node(tensor)
        if node is None or tensor not in wanted:
            continue
        for given, of_input in layers.items():
            source = of_input.saturated(tensor, node)
            if source is not None:
                shape = analysis.extent(given) or ()
                which = f"ax{'i' if len(of_input.axes) == 1 else 'e'}s "
                which += ", ".join(map(str, of_input.axes))
                sizes = "x".join(str(shape[axis]) for axis in of_input.axes)
                yield subject.finding(
                    f"{node} adds no context: its input '{source}' already sees all of {which} of "
                    f"input '{given}' ({sizes})",
                    "leave it out, use smaller strides before it, or larger inputs",
                    value=tensor,
                    made_by=tensor,
                    input=given,
                )
                break


class _Figures(NamedTuple):
    """What is known of the field of a value.

    Attributes
    ----------
    sizes : tuple of number
        Its size by axis.
    closed, own : tuple of number or None
        The same where it has a closed form, and where it is that of all units.
    is_global : bool
        Whether it is all there is along some axis.
    """

    sizes: tuple[Number, ...]
    closed: tuple[Number | None, ...]
    own: tuple[Number | None, ...]
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
        # By the shortest path, of every value up to the last one that was asked for.
        self._sizes: dict[str, list[Number]] = {}
        self._left = iter(self._number)

    def saturated(self, tensor: str, node: Node) -> str | None:
        """What a layer is made of that sees all there is, so that it adds nothing; else None."""
        number = self._number.get(tensor)
        if number is None or not self.axes:
            return None
        # What few layers meet, and costs least, is asked first.
        numbers = [self._number.get(source) for source in node.inputs]
        if number in numbers:
            return None
        sources = [source for source in node.inputs if source in self._number]
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
        if number not in self._sees_all:
            ask, given, axes, every = self.analysis, self.given, self.axes, self._every
            self._sees_all[number] = ask.once(
                tensor,
                given,
                ("sees all", *axes, every),
                lambda: all(ask.sees_end_to_end(tensor, given, a, every=every) for a in axes),
            )
        return self._sees_all[number]

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

    def shortest(self, tensor: str) -> list[Number]:
        """The size of a value's field by the shortest path, by axis."""
        while tensor not in self._sizes:
            value = next(self._left)
            self._sizes[value] = self._by_way_of(value)
        return self._sizes[tensor]

    def _by_way_of(self, tensor: str) -> list[Number]:
        number, sizes = self._number, self._sizes
        node = self.analysis.node(tensor)
        sources = [] if node is None else [s for s in (*node.inputs, *node.captures) if s in sizes]
        if not sources:
            return list(self._figures(tensor).sizes)
        before = sizes[sources[0]]
        if len(sources) > 1:
            before = [*map(min, zip(*[sizes[source] for source in sources], strict=True))]
        elif number[sources[0]] == number[tensor]:
            return before
        added = self._added(tensor, sources)
        return [size + more for size, more in zip(before, added, strict=True)]

    def _added(self, tensor: str, sources: list[str]) -> list[Number]:
        """How much larger the field of a value is than those of what it is made of, by axis."""
        found: list[Number] = []
        sides = zip(*[self._figures(source).closed for source in sources], strict=True)
        for own, others in zip(self._figures(tensor).own, sides, strict=True):
            # Figures for this size of the input say nothing of how much a layer adds.
            more = 0 if own is None or None in others else own - max(others)
            found.append(more if more > 0 else 0)
        return found

    def _figures(self, tensor: str) -> _Figures:
        """What is known of a value's field."""
        number = self._number[tensor]
        if number not in self._figures_of:
            self._figures_of[number] = self.analysis.once(
                tensor, self.given, ("figures", *self.axes), lambda: self._asked(tensor)
            )
        return self._figures_of[number]

    def _asked(self, tensor: str) -> _Figures:
        ask, given, axes = self.analysis, self.given, self.axes
        field = ask.field(tensor, given)
        closed = [ask.closed_form(tensor, given, axis) for axis in axes]
        sides = [field[a] if c is None else c for a, c in zip(axes, closed, strict=True)]
        return _Figures(
            tuple([field[axis].size for axis in axes]),
            tuple([None if side is None else side.size for side in closed]),
            tuple([None if s.branches or s.irregular else s.size for s in sides]),
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
