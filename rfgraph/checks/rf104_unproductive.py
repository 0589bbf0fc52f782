"""RF104."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
        if tensor not in found or tensor not in wanted:
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
        self._figures_of: dict[int, tuple[list[Number], bool]] = {}

    def unproductive(self) -> Iterator[tuple[str, str]]:
        """The layers that add nothing, by what they make, and what they are made of."""
        number, node_of = self._number, self.analysis.node
        # What few values meet is asked first.
        far = self._far() if self.axes else set()
        for tensor, own in number.items() if far else ():
            node = node_of(tensor)
            if node is None or far.isdisjoint(node.inputs):
                continue
            sources = [source for source in node.inputs if source in number]
            if any(number[source] == own for source in sources):
                continue
            full = [source for source in sources if source in far and self._is_full(source)]
            if full:
                source = self._widened(tensor, sources)
                if source in full and not self._is_single(tensor) and self._is_far(source):
                    yield tensor, source

    def _far(self) -> set[str]:
        """The values whose fields are as large as the input by the shortest path too."""
        shortest = self.analysis.shortest(self.given, self.axes)
        far = {sizes for sizes in set(shortest.values()) if self._is_wide(sizes)}
        return {tensor for tensor, sizes in shortest.items() if sizes in far} if far else set()

    def _is_far(self, tensor: str) -> bool:
        """Whether the field of a value is as large as the input."""
        return self._is_wide(self._figures(tensor)[0])

    def _is_wide(self, sizes: Sequence[Number]) -> bool:
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
        made, is_global = self._figures(tensor)
        found = {source: self._figures(source) for source in sources}
        if is_global or any(has_all for _, has_all in found.values()):
            return None
        for k, size in enumerate(made):
            widest = max(sources, key=lambda source: found[source][0][k])
            if size > found[widest][0][k]:
                return widest
        return None

    def _figures(self, tensor: str) -> tuple[list[Number], bool]:
        """The size of a value's field by axis, and whether it is all there is along some axis."""
        number = self._number[tensor]
        found = self._figures_of.get(number)
        if found is None:
            field = self.analysis.field(tensor, self.given)
            sides = [field[axis] for axis in self.axes]
            found = [side.size for side in sides], any(side.is_global for side in sides)
            self._figures_of[number] = found
        return found

    def _is_single(self, tensor: str) -> bool:
        """Whether there is a single unit, as after a pooling over all of a feature map."""
        ask, given, axes = self.analysis, self.given, self.axes
        return ask.once(
            tensor,
            given,
            ("single", *axes),
            lambda: all(ask.bounds(tensor, given, axis=a)[0].size == 1 for a in axes),
        )
