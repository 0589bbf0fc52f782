"""The answers about a model that is analysed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from rfgraph.analysis.addressing import Addressing
from rfgraph.engine.bounds import Bounds
from rfgraph.engine.closed_form import AxisField, Field, Meeting, Number
from rfgraph.engine.trace import Flow, Note
from rfgraph.errors import ShapeError
from rfgraph.model.graph import Graph, Node
from rfgraph.model.sizes import is_unknown
from rfgraph.notebook import Shown
from rfgraph.reads.words import Read

if TYPE_CHECKING:
    import networkx as nx

    from rfgraph.analysis.fields import Fields
    from rfgraph.analysis.regions import Regions
    from rfgraph.engine.paths import Paths
    from rfgraph.engine.support import Support
    from rfgraph.engine.why import Explainer, Explanation


T = TypeVar("T")

# Larger answers are refused; the error offers one axis at a time.
_MAX_ANSWER = 1 << 28

# Of so many inputs and outputs `repr` tells the shapes.
_MOST_NAMED = 3


class Origin(Protocol):
    """What made an analysis, and makes others of the same model."""

    def pruned(self, analysis: Analysis) -> Analysis:
        """The same with what constants cut left out."""

    def resized(
        self, shapes: Mapping[str, Sequence[int]], *, prune: bool | None = None
    ) -> Analysis:
        """The same model at other shapes of its inputs."""


class Analysis(Shown):
    """Receptive fields of every value of a model; made by `analyze`.

    Attributes
    ----------
    inputs, outputs : list of str
        Names of the model's inputs that are followed, and of its outputs.
    tensors : list of str
        Names of all values in topological order, inputs first; initializers are left out.
    notes : list of Note
        What was assumed: an operator that is not known, a size, indices that are computed.
    held : mapping of str to array
        The inputs that are held fixed, and at what.

    Examples
    --------
    >>> a = analyze("models/lenet_textbook.onnx")
    >>> a.inputs, a.outputs, a.tensors, a.shape("y")
    (['x'], ['y'], ['x', 'c', 'y'], (1, 1, 13, 13))
    """

    def __init__(
        self, graph: Graph, flow: Flow, bounds: Bounds, source: Origin | None = None
    ) -> None:
        self._source = source
        self._pruned: Analysis | None = None
        self._is_pruned = False
        self._graph = graph
        self._flow = flow
        self._bounds = bounds
        self._address = Addressing(graph, flow)
        self._reads_of: dict[str, list[Read]] | None = None
        self._ancestors: dict[str, set[str]] = {}
        self.held: Mapping[str, Any] = {}
        self.inputs = list(flow.inputs)
        self.outputs = list(graph.outputs)
        self.notes = list(flow.notes)

    def __repr__(self) -> str:
        def shapes(names: Sequence[str]) -> str:
            known = ", ".join(f"{name!r}: {self.shape(name)}" for name in names[:_MOST_NAMED])
            return "{" + known + (", ..." if len(names) > _MOST_NAMED else "") + "}"

        return (
            f"Analysis({self.file or 'a model'}, inputs={shapes(self.inputs)}, "
            f"outputs={shapes(self.outputs)}, {len(self.tensors)} values)"
        )

    def __getitem__(self, tensor: str) -> Value:
        """A value by its name: its shape, and what its units see.

        Parameters
        ----------
        tensor : str
            The value.

        Returns
        -------
        Value
            With `shape`, `field`, `bounds`, `box` and `support`.

        Raises
        ------
        QueryError
            No such tensor.

        Examples
        --------
        >>> analyze("models/lenet_textbook.onnx")["y"].support((0, 0, 4, 5)).count
        36
        """
        self._address.known(tensor)
        return Value(self, tensor)

    def __contains__(self, tensor: object) -> bool:
        return tensor in self.tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def _ipython_key_completions_(self) -> list[str]:
        return self.tensors

    @property
    def pruned(self) -> Analysis:
        """The same analysis with `prune`, made when it is first asked for.

        The model is not read again. Where constants cut nothing it is this very analysis.

        Returns
        -------
        Analysis
            Of the same model at the same shapes of its inputs.

        Raises
        ------
        ModelError
            The weights, which are then read, lie in a file that is not there.

        Examples
        --------
        >>> a = analyze("models/lenet_textbook.onnx")
        >>> a.pruned is a
        True
        """
        if self._is_pruned:
            return self
        if self._pruned is None:
            assert self._source is not None
            made = self._source.pruned(self)
            if made is self:
                # What holds itself would outlive its last user.
                self._is_pruned = True
            else:
                self._pruned = made
            return made
        return self._pruned

    def resized(
        self, shapes: Mapping[str, Sequence[int]], *, prune: bool | None = None
    ) -> Analysis:
        """The same model at other shapes of its inputs, which is not read again.

        Parameters
        ----------
        shapes : mapping of str to tuple of int
            Shapes of inputs, as for `analyze`; open axes get a sensible size.
        prune : bool, optional
            Whether constants cut reads; as they do here if left out.

        Returns
        -------
        Analysis
            The answers at those shapes.

        Raises
        ------
        ShapeError
            Sizes contradict each other or the model.
        QueryError
            `shapes` names what is not an input.

        Examples
        --------
        >>> a = analyze("models/resnet50.onnx")
        >>> a.resized({"x": (1, 3, 64, 64)}).shape("features")
        (1, 128, 2, 2)
        """
        assert self._source is not None
        return self._source.resized(shapes, prune=prune)

    @cached_property
    def tensors(self) -> list[str]:
        """Names of all values in topological order."""
        return self._address.tensors

    @cached_property
    def graph(self) -> nx.DiGraph:
        """The model as a networkx DAG: values are their names, operators their nodes.

        Examples
        --------
        >>> import networkx as nx
        >>> graph = analyze("models/lenet_textbook.onnx").graph
        >>> [str(step) for step in nx.shortest_path(graph, "x", "c")][::2]
        ['x', 'c']
        """
        return self._graph.to_networkx()

    @property
    def lowered(self) -> Bounds:
        """The program that bounds come from, and the views of all values: see docs/engine.md.

        It is made anew: there is nothing of other models in it.
        """
        return Bounds(self._flow)

    @property
    def flow(self) -> Flow:
        """The nodes that an input reaches, what they read, and the shapes of all values."""
        return self._flow

    @property
    def file(self) -> str | None:
        """The model's path."""
        return self._graph.file

    def node(self, tensor: str) -> Node | None:
        """The node that makes a value.

        Parameters
        ----------
        tensor : str
            The value.

        Returns
        -------
        Node or None
            With `name`, `op_type`, `domain`, `inputs`, `outputs` and `attributes`; None for an
            input of the model.

        Raises
        ------
        QueryError
            No such tensor.

        Examples
        --------
        >>> print(analyze("models/lenet_textbook.onnx").node("y").op_type)
        AveragePool
        """
        node = self._graph.producer.get(tensor)
        if node is None:
            self._address.known(tensor)
        return node

    def ancestors(self, tensor: str) -> set[str]:
        """The values that a value is made of, directly or not, and itself.

        Parameters
        ----------
        tensor : str
            The value.

        Returns
        -------
        set of str
            Their names; inputs of the model and weights are among them.

        Raises
        ------
        QueryError
            No such tensor.

        Examples
        --------
        >>> sorted(analyze("models/siamese.onnx").ancestors("left"))
        ['left']
        """
        self._address.known(tensor)
        if tensor not in self._ancestors:
            found = self._graph.ancestors(tensor)
            self._ancestors[tensor] = found.intersection(self._address.names)
        return set(self._ancestors[tensor])

    def dims(self, input: str) -> tuple[int | str | None, ...]:
        """The axes of an input as the file has them.

        Parameters
        ----------
        input : str
            The input.

        Returns
        -------
        tuple of int, str or None
            One entry an axis: its size, its name where it is open, or None where that has no name.

        Raises
        ------
        QueryError
            No such input.

        Examples
        --------
        >>> analyze("models/resnet50.onnx").dims("x")
        ('batch', 3, 224, 224)
        """
        name = self._address.input(input)
        (dims,) = [given.dims for given in self._graph.inputs if given.name == name]
        return dims or ()

    def shape(self, tensor: str) -> tuple[int | None, ...] | None:
        """Shape of a value.

        Bounds, and what else is asked of the value, have one place along an axis of unknown size:
        it stands for all there are. Any coordinate along it means that place.

        Parameters
        ----------
        tensor : str
            The value.

        Returns
        -------
        tuple of int or None, or None
            One size an axis, None for one that the data decide; None in place of the tuple where
            not even the number of axes is known.

        Raises
        ------
        QueryError
            No such tensor.

        Examples
        --------
        Some rows are kept, and each of their elements is of its own column.

        >>> import onnx.parser
        >>> model = onnx.parser.parse_model('''
        ...     <ir_version: 8, opset_import: ["" : 17]>
        ...     net (float[9, 2] x, bool[9] kept) => (float[N, 2] y)
        ...     { y = Compress <axis = 0> (x, kept) }
        ... ''')
        >>> a = analyze(model)
        >>> a.shape("y"), a.extent("y")
        ((None, 2), (1, 2))
        >>> lo, hi = a.bounds("y", "x")
        >>> lo.tolist(), hi.tolist()
        ([[[0, 0], [0, 1]]], [[[8, 0], [8, 1]]])
        """
        shape = self._address.sized(tensor)
        if shape is None or not self._flow.shapes.unsized:
            return shape
        return tuple([None if is_unknown(size) else size for size in shape])

    def extent(self, tensor: str) -> tuple[int, ...] | None:
        """Shape of a value, with 1 for sizes that the data decide: the units that are told apart.

        Parameters
        ----------
        tensor : str
            The value.

        Returns
        -------
        tuple of int or None
            One size an axis; None where not even the number of axes is known. `shape` has an
            example.

        Raises
        ------
        QueryError
            No such tensor.
        """
        return self._address.extent(tensor)

    def depends(self, tensor: str, input: str | None = None) -> bool:
        """Whether any unit of a value depends on an input.

        Parameters
        ----------
        tensor : str
            The value.
        input : str, optional
            The input; any of them if left out.

        Returns
        -------
        bool
            Whether one does.

        Raises
        ------
        QueryError
            No such tensor or input.

        Examples
        --------
        >>> a = analyze("models/siamese.onnx")
        >>> a.depends("left_features", "left"), a.depends("left_features", "right")
        (True, False)
        """
        self._address.known(tensor)
        if input is not None:
            return self._bounds.sees(tensor, self._address.input(input))
        return any(self._bounds.sees(tensor, name) for name in self.inputs)

    def bounds(
        self, tensor: str, input: str | None = None, local: bool = False, axis: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of every unit of a value.

        Parameters
        ----------
        tensor : str
            The value.
        input : str, optional
            The input; may be left out where there is only one.
        local : bool, optional
            Leave out what has passed a statistic over a whole axis (a squeeze-and-excite gate,
            attention); units of which nothing is left then keep their full bounds.
        axis : int, optional
            One axis of the input only: the answer then has no last axis.

        Returns
        -------
        lo, hi : ndarray of int64
            First and last coordinate, inclusive, along each axis of the input: broadcastable to
            ``shape(tensor) + (rank of input,)``. A unit that sees nothing has ``lo > hi``.

        Raises
        ------
        QueryError
            No such tensor, input or axis.
        ShapeError
            The arrays would not fit into memory; ask for one `axis`, or for a unit's `box`.

        Examples
        --------
        >>> lo, hi = analyze("models/lenet_textbook.onnx").bounds("y")
        >>> lo.shape, lo[0, 0, 4, 5].tolist(), hi[0, 0, 4, 5].tolist()
        ((1, 1, 13, 13, 4), [0, 0, 8, 10], [0, 0, 13, 15])
        """
        name = self._address.input(input)
        shape = self._flow.inputs[name] or ()
        sees = self.depends(tensor, name)
        rank = len(self.extent(tensor) or ())
        axes = range(len(shape)) if axis is None else [self._address.axis_of_input(axis, name)]
        parts = []
        for a in axes:
            if sees:
                parts.append(self._bounds.interval(tensor, name, a, local=local))
            else:
                ones = np.ones((1,) * rank, dtype=np.int64)
                parts.append((ones * shape[a], -ones))
        if axis is not None:
            return parts[0]
        if not parts:
            nothing = np.zeros((1,) * rank + (0,), dtype=np.int64)
            return nothing, nothing
        common = np.broadcast_shapes(*(lo.shape for lo, _ in parts))
        if prod(common) * len(parts) > _MAX_ANSWER:
            raise ShapeError(
                f"the bounds of '{tensor}' have {prod(common) * len(parts):,} elements",
                file=self.file,
                remedy="ask for one axis (axis=), or for the box of one unit",
            )
        lo, hi = (
            np.stack(np.broadcast_arrays(*(part[end] for part in parts)), axis=-1) for end in (0, 1)
        )
        return lo, hi

    def box(
        self,
        tensor: str,
        index: Sequence[int],
        input: str | None = None,
        local: bool = False,
    ) -> tuple[tuple[int, int], ...] | None:
        """The box that one unit sees.

        Parameters
        ----------
        tensor : str
            The value.
        index : sequence of int
            The unit: one coordinate an axis; negative ones count from the end, and any will do
            along an axis of unknown size.
        input : str, optional
            The input; may be left out where there is only one.
        local : bool, optional
            As for `bounds`.

        Returns
        -------
        tuple of (int, int), or None
            First and last coordinate, inclusive, along each axis; None if nothing is seen.

        Raises
        ------
        QueryError
            No such tensor, input or unit.

        Examples
        --------
        >>> analyze("models/lenet_textbook.onnx").box("y", (0, 0, 4, 5))
        ((0, 0), (0, 0), (8, 13), (10, 15))
        """
        name = self._address.input(input)
        unit = self._address.unit(tensor, index)
        return self._bounds.box(tensor, name, unit, local=local)

    def own(
        self, tensor: str, index: Sequence[int], input: str | None = None
    ) -> tuple[tuple[int, int] | None, ...]:
        """The own elements of a unit: those under it when the value is laid over the input.

        Parameters
        ----------
        tensor : str
            The value.
        index : sequence of int
            The unit, as for `box`.
        input : str, optional
            The input; may be left out where there is only one.

        Returns
        -------
        tuple of (int, int) or None
            First and last coordinate, inclusive, along each axis of the input, borders not
            clipped; None along an axis over which the value can't be laid, as it does not move
            there, or not evenly.

        Raises
        ------
        QueryError
            No such tensor, input or unit.

        Examples
        --------
        >>> analyze("models/resnet50.onnx").own("features", (0, 0, 3, 3))
        ((0, 0), None, (96, 127), (96, 127))
        """
        name = self._address.input(input)
        unit = self._address.unit(tensor, index)
        return self._fields.own(tensor, name, unit)

    def places(
        self, tensor: str, input: str | None = None, axis: int = 0
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """The own elements of all units of a value along one axis of an input, as `own` has them.

        Parameters
        ----------
        tensor : str
            The value.
        input : str, optional
            The input; may be left out where there is only one.
        axis : int
            Axis of the input; negative ones count from the end.

        Returns
        -------
        first, last : ndarray of int64, or None
            The first and the last own element of every unit, broadcastable to the value's shape;
            None where the value can't be laid over the axis.

        Raises
        ------
        QueryError
            No such tensor, input or axis.

        Examples
        --------
        >>> first, last = analyze("models/resnet50.onnx").places("features", axis=2)
        >>> first.shape, first.ravel().tolist()
        ((1, 1, 7, 1), [0, 32, 64, 96, 128, 160, 192])
        """
        name = self._address.input(input)
        self._address.known(tensor)
        return self._fields.places(tensor, name, self._address.axis_of_input(axis, name))

    def support(
        self, tensor: str, index: Sequence[int | slice], input: str | None = None
    ) -> Support:
        """The exact set of input elements that a unit, or a region of units, depends on.

        Parameters
        ----------
        tensor : str
            The value.
        index : sequence of int or slice
            The unit, one coordinate an axis; slices take in a region, whose support is the union.
        input : str, optional
            The input; may be left out where there is only one. One pass answers for all.

        Returns
        -------
        Support
            With `box`, `mask` inside the box, `count` and `density`; ``numpy.asarray`` gives the
            mask in full, bool, of the input's shape.

        Raises
        ------
        QueryError
            No such tensor, input or unit.
        ShapeError
            The shape of one of both is not known.

        Examples
        --------
        Three convolutions of dilation 2 see a grid of 49 points in a box of 169.

        >>> import onnx.parser
        >>> model = onnx.parser.parse_model('''
        ...     <ir_version: 8, opset_import: ["" : 17]>
        ...     net (float[1, 1, 25, 25] x) => (float[1, 1, 13, 13] y)
        ...     <float[1, 1, 3, 3] W = {1, 1, 1, 1, 1, 1, 1, 1, 1}> {
        ...       a = Conv <dilations = [2, 2]> (x, W)
        ...       b = Conv <dilations = [2, 2]> (a, W)
        ...       y = Conv <dilations = [2, 2]> (b, W)
        ...     }
        ... ''')
        >>> s = analyze(model).support("y", (0, 0, 6, 6))
        >>> s.box, s.count, round(s.density, 2)
        (((0, 0), (0, 0), (6, 18), (6, 18)), 49, 0.29)
        """
        return self._regions.support(tensor, index, self._address.input(input))

    def read(self, input: str | None = None) -> Support:
        """What the outputs of the model depend on, all of their units together.

        Parameters
        ----------
        input : str, optional
            The input; may be left out where there is only one. One pass answers for all.

        Returns
        -------
        Support
            As of `support`.

        Raises
        ------
        QueryError
            No such input.
        ShapeError
            The shape of the input, or of an output that depends on it, is not known.

        Examples
        --------
        >>> analyze("models/resnet50.onnx").read("x").density
        1.0
        """
        return self._regions.read(self._address.input(input))

    def paths(self, tensor: str, index: Sequence[int | slice], input: str | None = None) -> Paths:
        """How many paths lead from a unit, or a region of units, to each input element.

        A path is a sequence of reads. Their number is what the gradient would be were every
        operator a sum with weights of 1: overlapping windows count each time, and so does an
        element that one operator reads twice, as Softmax does its own (for itself and in the
        sum). Wherever there is a path the `support` has the element.

        Parameters
        ----------
        tensor : str
            The value.
        index : sequence of int or slice
            The unit, one coordinate an axis; slices take in a region, whose counts are summed up.
        input : str, optional
            The input; may be left out where there is only one.

        Returns
        -------
        Paths
            With `total`, `relative`, `along` and `unevenness`; ``numpy.asarray`` gives the counts
            in full, float64, of the input's shape.

        Raises
        ------
        QueryError
            No such tensor, input or unit; or a path leads through a loop whose end the data
            decide.
        ShapeError
            A shape on the way is not known, or the counts would not fit into memory.

        Examples
        --------
        What is between the steps of a strided window is read by two of them.

        >>> import onnx.parser
        >>> model = onnx.parser.parse_model('''
        ...     <ir_version: 8, opset_import: ["" : 17]>
        ...     net (float[1, 1, 9] x) => (float[1, 1, 4] y)
        ...     <float[1, 1, 3] W = {1, 1, 1}> { y = Conv <strides = [2]> (x, W) }
        ... ''')
        >>> np.asarray(analyze(model).paths("y", (0, 0, slice(None)))).astype(int).tolist()
        [[[1, 1, 2, 1, 2, 1, 2, 1, 1]]]
        """
        return self._regions.paths(tensor, index, self._address.input(input))

    def unevenness(self, tensor: str, axis: int, input: str | None = None) -> float:
        """How unevenly the units along one axis of a value are reached, away from its borders.

        Transposed convolutions whose kernel is no multiple of their stride add up more elements
        for some units than for others, which shows as a checkerboard. The number is the standard
        deviation, divided by the mean, of how many paths begin at each unit of one period in the
        middle of the value: 0 where all are alike.

        Parameters
        ----------
        tensor : str
            The value.
        axis : int
            Its axis.
        input : str, optional
            The input; may be left out where there is only one.

        Returns
        -------
        float
            A ratio, from 0 on.

        Raises
        ------
        QueryError
            No such tensor, axis or input, or a path leads through a loop.
        ShapeError
            As for `paths`.

        Examples
        --------
        >>> import onnx.parser
        >>> def net(kernel):
        ...     ones = ", ".join("1" * kernel)
        ...     return analyze(onnx.parser.parse_model(f'''
        ...         <ir_version: 8, opset_import: ["" : 17]>
        ...         net (float[1, 1, 9] x) => (float[1, 1, N] y)
        ...         <float[1, 1, {kernel}] W = {{{ones}}}>
        ...         {{ y = ConvTranspose <strides = [2]> (x, W) }}
        ...     '''))
        >>> round(net(3).unevenness("y", 2), 3), net(4).unevenness("y", 2)
        (0.333, 0.0)
        """
        name, axis = self._address.input(input), self._address.axis_of(axis, tensor)
        return self._regions.unevenness(tensor, axis, name, tuple(self.field(tensor, name)))

    def explain(
        self,
        tensor: str,
        input: str | None = None,
        index: Sequence[int] | None = None,
        local: bool = False,
        axes: Sequence[int] | None = None,
    ) -> list[Explanation]:
        """Which nodes set the bounds of a unit, and by how much.

        Parameters
        ----------
        tensor : str
            The value.
        input : str, optional
            The input; may be left out where there is only one.
        index : sequence of int, optional
            The unit; the one in the middle if left out.
        local : bool, optional
            Leave out what has passed a statistic over a whole axis, if anything else is left.
        axes : sequence of int, optional
            These axes of the input only.

        Returns
        -------
        list of Explanation
            One for every axis of the input along which the unit's bounds are more than one
            element: the chain of nodes that sets the lower end, that which sets the upper end,
            how much each node adds, and the first value that sees the whole axis.

        Raises
        ------
        QueryError
            No such tensor, input, unit or axis.

        Examples
        --------
        >>> a = analyze("models/lenet_textbook.onnx")
        >>> rows = next(e for e in a.explain("y", index=(0, 0, 4, 5)) if e.axis == 2)
        >>> [(hop.tensor, hop.bounds, hop.added) for hop in rows.lower]
        [('y', (8, 13), 1), ('c', (8, 12), 4), ('x', (8, 8), 0)]
        """
        name = self._address.input(input)
        if index is None:
            index = [n // 2 for n in self._address.shape_of(tensor)]
        unit = self._address.unit(tensor, index)
        box = self.box(tensor, unit, name, local)
        if box is None:
            return []
        asked = (
            range(len(box))
            if axes is None
            else [self._address.axis_of_input(axis, name) for axis in axes]
        )
        return [
            self._explainer.explain(tensor, unit, name, a, local=local)
            for a in asked
            if box[a][0] < box[a][1]
        ]

    def sparsity(self, tensor: str, input: str | None = None) -> Any:
        """The sparsity pattern of the Jacobian of a value with respect to an input.

        Parameters
        ----------
        tensor : str
            The value.
        input : str, optional
            The input; may be left out where there is only one.

        Returns
        -------
        scipy.sparse.csr_array of bool, shape (units, input elements)
            Row and column count the elements in row-major order. True where the unit depends on
            the element.

        Raises
        ------
        QueryError
            No such tensor or input.
        ShapeError
            The pattern may have more entries than fit: ask for the `support` of some units.
        RFGraphError
            scipy is not installed.

        Examples
        --------
        >>> pattern = analyze("models/lenet_textbook.onnx").sparsity("y")
        >>> pattern.shape, pattern.nnz
        ((169, 900), 6084)
        """
        return self._regions.sparsity(tensor, self._address.input(input))

    def influence(
        self, tensor: str, index: Sequence[int | slice], output: str | None = None
    ) -> Support:
        """The units of a value that depend on an element, or a region, of an earlier one.

        Parameters
        ----------
        tensor : str
            An input, or any other value.
        index : sequence of int or slice
            The element, one coordinate an axis; slices take in a region.
        output : str, optional
            The later value; may be left out where the model has only one output.

        Returns
        -------
        Support
            The set of units of `output`.

        Raises
        ------
        QueryError
            No such tensor or element, or the tensor depends on no input.
        ShapeError
            The shape of one of both is not known.

        Examples
        --------
        >>> a = analyze("models/lenet_textbook.onnx")
        >>> a.influence("x", (0, 0, 13, 13), "y").box
        ((0, 0), (0, 0), (4, 6), (4, 6))
        """
        return self._regions.influence(tensor, index, self._address.output(output))

    def influenced(
        self,
        tensor: str,
        index: Sequence[int | slice | Sequence[int] | np.ndarray],
        values: Collection[str] | None = None,
    ) -> dict[str, np.ndarray]:
        """The units of all values that depend on an element, or a region, of an earlier one.

        Parameters
        ----------
        tensor : str
            An input, or any other value.
        index : sequence of int, slice or ndarray
            The element, one coordinate an axis; slices and arrays of coordinates take in a
            region, their product.
        values : collection of str, optional
            The values to answer for; all if left out.

        Returns
        -------
        dict of str to ndarray of bool
            By value, where its units do; broadcastable to its shape. Values without such a unit
            are left out.

        Raises
        ------
        QueryError
            No such tensor or element, or the tensor depends on no input.
        ShapeError
            The shape of the tensor is not known.

        Examples
        --------
        >>> a = analyze("models/lenet_textbook.onnx")
        >>> rows = a.influenced("x", (slice(None), slice(None), [0, 1], slice(None)))["c"]
        >>> rows.shape, rows[0, 0, :, 0].nonzero()[0].tolist()
        ((1, 1, 26, 1), [0, 1])
        """
        return self._regions.influenced(tensor, index, values)

    def field(
        self,
        tensor: str,
        input: str | None = None,
        local: bool = True,
        at: Mapping[int, int] | None = None,
    ) -> Field:
        """Size, stride, start and centre of a value's receptive field, whatever the input's size.

        Parameters
        ----------
        tensor : str
            The value.
        input : str, optional
            The input; may be left out where there is only one.
        local : bool, optional
            Leave out what has passed a statistic over a whole axis, if anything else is left.
        at : mapping of int to int, optional
            Coordinates of the value to hold fixed: ``{1: 0}`` asks for channel 0 where channels
            differ; else the answer is the union over all units of a period.

        Returns
        -------
        Field
            One `AxisField` for each axis of the input, in its elements.

        Raises
        ------
        QueryError
            No such tensor, input, axis or coordinate.

        Examples
        --------
        >>> field = analyze("models/resnet50.onnx").field("features")
        >>> field.size[2:], field.stride[2:], field.start[2:]
        ((427, 427), (32, 32), (-213, -213))
        """
        if input not in self._flow.inputs:
            input = self._address.input(input)
        return self._fields.field(tensor, input, local, at)

    def field_along(
        self,
        tensor: str,
        input: str | None = None,
        axis: int = 0,
        local: bool = True,
        at: Mapping[int, int] | None = None,
    ) -> AxisField:
        """The part of a value's `field` along one axis of an input, the others not worked out.

        Parameters
        ----------
        tensor : str
            The value.
        input : str, optional
            The input; may be left out where there is only one.
        axis : int, optional
            Axis of the input; negative ones count from the end.
        local : bool, optional
            Leave out what has passed a statistic over a whole axis, if anything else is left.
        at : mapping of int to int, optional
            Coordinates of the value to hold fixed, by axis of the value; as for `field`.

        Returns
        -------
        AxisField
            Size, stride, start and centre in elements of the input.

        Raises
        ------
        QueryError
            No such tensor, input, axis or coordinate.

        Examples
        --------
        >>> a = analyze("models/resnet50.onnx")
        >>> a.field_along("features", "x", 2) == a.field("features", "x")[2]
        True
        """
        name = self._address.input(input)
        held = self._address.coordinates(tensor, at)
        return self._fields.along(
            tensor, name, self._address.axis_of_input(axis, name), local, held
        )

    def alike(self, input: str | None = None) -> Mapping[str, int]:
        """Which values see the same of an input.

        Values of one number see the same, unit for unit, as what an activation makes and what it is
        made of.

        Parameters
        ----------
        input : str, optional
            The input; may be left out where there is only one.

        Returns
        -------
        mapping of str to int
            The values that depend on the input, in topological order, and the number of each.

        Raises
        ------
        QueryError
            No such input.

        Examples
        --------
        >>> a = analyze("models/resnet50.onnx")
        >>> numbers, relu = a.alike("x"), a.node("features")
        >>> relu.op_type, numbers["features"] == numbers[relu.inputs[0]]
        ('Relu', True)
        """
        return self._fields.alike(self._address.input(input))

    def changes(self, input: str | None = None) -> Sequence[tuple[str, Sequence[str]]]:
        """Where what is seen of an input changes.

        That is in values whose number (`alike`) is none of those of what their nodes take. All that
        see more or less than that are among them.

        Parameters
        ----------
        input : str, optional
            The input; may be left out where there is only one.

        Returns
        -------
        sequence of (str, sequence of str)
            Each value, in topological order, and those that its node takes and that depend on the
            input.

        Raises
        ------
        QueryError
            No such input.

        Examples
        --------
        >>> analyze("models/lenet_textbook.onnx").changes()
        [('c', ['x']), ('y', ['c'])]
        """
        return self._fields.changes(self._address.input(input))

    def once(self, tensor: str, input: str, what: Hashable, make: Callable[[], T]) -> T:
        """What a function gives that follows from what a value sees of an input alone.

        It is called once for all values of a shape that see the same (`alike`), in models that are
        analysed later too.

        Parameters
        ----------
        tensor : str
            The value.
        input : str
            The input.
        what : hashable
            What it gives: no two functions may have the same, nor one with other settings.
        make : callable
            The function; what it returns may not be changed.

        Returns
        -------
        object
            What it returns, or returned.

        Raises
        ------
        QueryError
            No such tensor or input.

        Examples
        --------
        >>> a = analyze("models/resnet50.onnx")
        >>> size = lambda: a.field("features", "x").size[2]
        >>> a.once("features", "x", "size of rows", size)
        427
        """
        self._address.known(tensor)
        return self._fields.once(tensor, self._address.input(input), what, make)

    def each_once(self, input: str, what: Hashable, make: Callable[[str], T]) -> Sequence[T]:
        """What a function gives of all values that see an input: `once`, of each number of `alike`.

        Parameters
        ----------
        input : str
            The input.
        what : hashable
            What it gives: no two functions may have the same, nor one with other settings.
        make : callable
            The function, of the name of a value; what it returns may not be changed.

        Returns
        -------
        sequence of object
            What it returns, or returned, by number.

        Raises
        ------
        QueryError
            No such input.

        Examples
        --------
        >>> a = analyze("models/resnet50.onnx")
        >>> sizes = a.each_once("x", "sizes of rows", lambda tensor: a.field(tensor).size[2])
        >>> sizes[a.alike("x")["features"]], len(sizes)
        (427, 45)
        """
        return self._fields.each_once(self._address.input(input), what, make)

    def closed_form(
        self, tensor: str, input: str | None = None, axis: int = 0, local: bool = True
    ) -> AxisField | None:
        """The part of a value's `field` along one axis of an input, if no size enters into it.

        Parameters
        ----------
        tensor : str
            The value.
        input : str, optional
            The input; may be left out where there is only one.
        axis : int, optional
            Axis of the input; negative ones count from the end.
        local : bool, optional
            Leave out what has passed a statistic over a whole axis, if anything else is left.

        Returns
        -------
        AxisField or None
            In elements of the input; None where the field's figures are those of units at the size
            that was analysed.

        Raises
        ------
        QueryError
            No such tensor, input or axis.

        Examples
        --------
        >>> analyze("models/resnet50.onnx").closed_form("features", axis=2).size
        427
        """
        name = self._address.input(input)
        self._address.known(tensor)
        axis = self._address.axis_of_input(axis, name)
        return self._fields.without_size(tensor, name, axis, local)

    def fields(
        self, tensor: str, axis: int, input: str | None = None, local: bool = True
    ) -> list[tuple[range, Field]]:
        """The closed form along one axis of the value, in runs of coordinates with equal answers.

        After a concatenation channels differ: ``fields(tensor, axis=1)`` tells them apart.

        Parameters
        ----------
        tensor : str
            The value.
        axis : int
            Axis of the value; negative ones count from the end.
        input : str, optional
            The input; may be left out where there is only one.
        local : bool, optional
            Leave out what has passed a statistic over a whole axis, if anything else is left.

        Returns
        -------
        list of (range, Field)
            Runs of coordinates along `axis`, in order.

        Raises
        ------
        QueryError
            No such tensor, input or axis, or too many coordinates of it may differ.

        Examples
        --------
        Where branches with kernels of 1 and of 3 are concatenated:

        >>> import onnx.parser
        >>> model = onnx.parser.parse_model('''
        ...     <ir_version: 8, opset_import: ["" : 17]>
        ...     net (float[1, 1, 9] x) => (float[1, 2, 9] y)
        ...     <float[1, 1, 3] W = {1, 1, 1}> {
        ...       wide = Conv <pads = [1, 1]> (x, W)
        ...       y = Concat <axis = 1> (x, wide)
        ...     }
        ... ''')
        >>> [(run, field[2].size) for run, field in analyze(model).fields("y", axis=1)]
        [(range(0, 1), 1), (range(1, 2), 3)]
        """
        axis = self._address.axis_of(axis, tensor)
        return self._fields.runs(tensor, axis, self._address.input(input), local)

    def shortest(
        self, input: str | None = None, axes: Sequence[int] | None = None
    ) -> Mapping[str, tuple[Number, ...]]:
        """The size of the fields of all values by the shortest path alone.

        Where branches meet it is that of the branch that sees least: what skips layers has not seen
        as much as the field says (Richter, Schöning, Wiedenroth and Krumnack 2021, Should You Go
        Deeper?). Along a path it grows by as much as each value adds to what it is made of; where
        sizes of the input decide how much that is, by nothing.

        Parameters
        ----------
        input : str, optional
            The input; may be left out where there is only one.
        axes : sequence of int, optional
            The axes of the input; all if left out.

        Returns
        -------
        mapping of str to tuple of number
            Of each value that depends on the input, in topological order: one size an axis.

        Raises
        ------
        QueryError
            No such input or axis.

        Examples
        --------
        >>> a = analyze("models/resnet50.onnx")
        >>> a.field("features").size[2], a.shortest(axes=[2])["features"]
        (427, (11,))
        """
        name = self._address.input(input)
        every = range(len(self._address.given(name))) if axes is None else axes
        return self._fields.shortest(
            name, tuple([self._address.axis_of_input(axis, name) for axis in every])
        )

    @cached_property
    def meetings(self) -> list[tuple[str, str, Meeting]]:
        """Where branches with different strides or centres meet: value, input, and the branches."""
        return self._fields.meetings

    @cached_property
    def unequal(self) -> list[Note]:
        """Where branches with different strides or centres meet: the closed form is their union."""
        reasons: dict[tuple[str, str], list[str]] = {}
        for name, given, meeting in self.meetings:
            reasons.setdefault((name, given), []).append(str(meeting))
        found = []
        for (name, _), said in reasons.items():
            node = self._graph.producer[name]
            reason = f"branches meet with different {'; '.join(said)}"
            found.append(Note(node.name, node.op_type, reason, "merge"))
        return found

    def reads(self, tensor: str) -> list[Read]:
        """What the elements of a value read of its node's inputs.

        Parameters
        ----------
        tensor : str
            The value.

        Returns
        -------
        list of Read
            In the words of `rfgraph.reads`; their union is what an element reads. Empty for an
            input of the model.

        Raises
        ------
        QueryError
            No such tensor.

        Examples
        --------
        >>> [read.axes[2].counts for read in analyze("models/lenet_textbook.onnx").reads("y")]
        [(2,)]
        """
        self._address.known(tensor)
        if self._reads_of is None:
            self._reads_of = {
                name: reads
                for step in self._flow.steps
                for name, reads in zip(step.node.outputs, step.reads, strict=False)
            }
        return list(self._reads_of.get(tensor, ()))

    def span(
        self, tensor: str, input: str | None = None, axis: int = 0, local: bool = False
    ) -> tuple[Number, Number] | None:
        """The first and the last coordinate that the units of a value see, borders not clipped.

        Units that see nothing but padding don't count.

        Parameters
        ----------
        tensor : str
            The value.
        input : str, optional
            The input; may be left out where there is only one.
        axis : int
            Axis of the input.
        local : bool, optional
            Leave out what is global along the axis.

        Returns
        -------
        (first, last) or None
            Negative in the padding, or infinite; None where there is no closed form or nothing is
            seen.

        Raises
        ------
        QueryError
            No such tensor, input or axis.

        Examples
        --------
        >>> a = analyze("models/resnet50.onnx")
        >>> a.span("features", axis=2), a.shape("x")
        ((-213, 405), (1, 3, 224, 224))
        """
        name = self._address.input(input)
        self._address.known(tensor)
        axis = self._address.axis_of_input(axis, name)
        return self._fields.span(tensor, name, axis, local)

    def halo(
        self, tensor: str, input: str | None = None, axis: int = 0, local: bool = False
    ) -> tuple[Number, Number] | None:
        """How far the units of a value reach beyond their own elements, to both sides.

        As `AxisField.back` and `ahead`, with the value laid over the middle of the input: without
        padding a value is shorter, and its units' own elements lie further on.

        Parameters
        ----------
        tensor : str
            The value.
        input : str, optional
            The input; may be left out where there is only one.
        axis : int
            Axis of the input.
        local : bool, optional
            Leave out what is global along the axis.

        Returns
        -------
        (before, behind) or None
            Input elements, infinite for what is global; None where the value can't be laid over
            the input.

        Raises
        ------
        QueryError
            No such tensor, input or axis.

        Examples
        --------
        >>> a = analyze("models/tcn.onnx")
        >>> a.halo("features", axis=2), a.halo("x", axis=2)
        ((3060, 0), (0, 0))
        """
        name = self._address.input(input)
        axis = self._address.axis_of_input(axis, name)
        return self._fields.halo(tensor, name, axis, local)

    def moving_axes(self, input: str | None = None) -> list[int]:
        """The axes of an input along which some value's field both extends and moves.

        They are the height and width of a picture and the time of a signal, wherever these stand.
        Without any, all axes but the first.

        Parameters
        ----------
        input : str, optional
            The input; may be left out where there is only one.

        Returns
        -------
        list of int
            Ascending.

        Raises
        ------
        QueryError
            No such input.

        Examples
        --------
        >>> analyze("models/resnet50.onnx").moving_axes()
        [2, 3]
        """
        return self._fields.moving(self._address.input(input))

    def sees_end_to_end(self, tensor: str, input: str, axis: int, *, every: bool = False) -> bool:
        """Whether a unit of a value sees an axis of an input from its first to its last element.

        What is global counts only where a unit sees nothing else.

        Parameters
        ----------
        tensor : str
            The value.
        input : str
            The input.
        axis : int
            Axis of the input; negative ones count from the end.
        every : bool, optional
            Whether each unit has to; else one is enough.

        Returns
        -------
        bool
            Whether it does.

        Raises
        ------
        QueryError
            No such tensor, input or axis.

        Examples
        --------
        >>> a = analyze("models/resnet50.onnx")
        >>> a.sees_end_to_end("features", "x", 2), a.sees_end_to_end("x", "x", 2)
        (True, False)
        """
        name = self._address.input(input)
        axis = self._address.axis_of_input(axis, name)
        return self.depends(tensor, name) and self._bounds.end_to_end(
            tensor, name, axis, every=every
        )

    def reads_across(self, input: str, axis: int) -> bool:
        """Whether any value reads across an axis of an input.

        That is, its units see several coordinates along the axis, or not every coordinate is seen.

        Parameters
        ----------
        input : str
            The input.
        axis : int
            Axis of the input, from 0 on.

        Returns
        -------
        bool
            If not, what is along the axis is independent, as samples of a batch are.

        Examples
        --------
        >>> a = analyze("models/resnet50.onnx")
        >>> a.reads_across("x", 0), a.reads_across("x", 2)
        (False, True)
        """
        return self._bounds.reads_across(input, axis)

    @cached_property
    def _fields(self) -> Fields:
        from rfgraph.analysis.fields import Fields

        return Fields(self._address, self._flow, self._bounds)

    @cached_property
    def _regions(self) -> Regions:
        from rfgraph.analysis.regions import Regions

        return Regions(self._address, self._flow, self._bounds)

    @cached_property
    def _explainer(self) -> Explainer:
        from rfgraph.engine.why import Explainer

        return Explainer(self._flow, self._bounds)


class Value(Shown):
    """A value, as ``analysis[name]`` gives it: its shape, and what its units see.

    Its methods are those of `Analysis`, of this value.

    Parameters
    ----------
    analysis : Analysis
        The analysis.
    name : str
        The value's name.

    Examples
    --------
    >>> import rfgraph
    >>> value = rfgraph.analyze("models/resnet50.onnx")["features"]
    >>> value
    Value('features', shape=(1, 128, 7, 7), made by Relu '/trunk/layer4/layer4.2/relu/Relu')
    >>> value.field()[2].size, value.box((0, 0, 3, 3))
    (427, ((0, 0), (0, 2), (0, 223), (0, 223)))
    """

    def __init__(self, analysis: Analysis, name: str) -> None:
        self.analysis = analysis
        self.name = name

    def __repr__(self) -> str:
        made = "an input" if self.node is None else f"made by {self.node}"
        return f"Value({self.name!r}, shape={self.shape}, {made})"

    @property
    def node(self) -> Node | None:
        """The node that makes it; None for an input. See `Analysis.node`."""
        return self.analysis.node(self.name)

    @property
    def shape(self) -> tuple[int | None, ...] | None:
        """Its shape; see `Analysis.shape`."""
        return self.analysis.shape(self.name)

    def field(
        self, input: str | None = None, local: bool = True, at: Mapping[int, int] | None = None
    ) -> Field:
        """Size, stride, start and centre of its field; see `Analysis.field`."""
        return self.analysis.field(self.name, input, local, at)

    def bounds(
        self, input: str | None = None, local: bool = False, axis: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """First and last coordinate that each unit sees; see `Analysis.bounds`."""
        return self.analysis.bounds(self.name, input, local, axis)

    def box(
        self, index: Sequence[int], input: str | None = None, local: bool = False
    ) -> tuple[tuple[int, int], ...] | None:
        """The box that one unit sees; see `Analysis.box`."""
        return self.analysis.box(self.name, index, input, local)

    def support(self, index: Sequence[int | slice], input: str | None = None) -> Support:
        """The exact set of elements that a unit, or a region, sees; see `Analysis.support`."""
        return self.analysis.support(self.name, index, input)
