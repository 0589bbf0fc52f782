"""The answers about a model that is analysed."""

from __future__ import annotations

import operator
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from math import ceil, inf, isinf, isnan, lcm, prod
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from rfgraph.analysis.collector import uncollected
from rfgraph.engine._lowering import AxisView, ascending
from rfgraph.engine.bounds import Bounds
from rfgraph.engine.closed_form import (
    AxisField,
    Field,
    Meeting,
    Number,
    measured,
    own_elements,
)
from rfgraph.engine.trace import Flow, Note, sources
from rfgraph.errors import QueryError, RFGraphError, ShapeError
from rfgraph.model.graph import Graph, Node
from rfgraph.model.sizes import Shape, is_unknown, nominal
from rfgraph.reads.words import Read

if TYPE_CHECKING:
    import networkx as nx

    from rfgraph.engine._figures import ClosedForm
    from rfgraph.engine.paths import Paths
    from rfgraph.engine.support import Region, Support
    from rfgraph.engine.why import Explainer, Explanation


# An answer with more elements than this is refused, and one axis at a time offered.
_MAX_ANSWER = 1 << 28

# The largest Jacobian whose pattern is made.
_MAX_ROWS = 1 << 17
_MAX_ENTRIES = 1 << 28

# Runs of coordinates with fields of their own, of one value.
_MOST_RUNS = 1 << 16


# The views of a value that sees nothing.
_NOTHING: dict[str, tuple[AxisView, ...]] = {}


class Source(Protocol):
    """What made an analysis, and makes others of the same model."""

    def pruned(self, analysis: Analysis) -> Analysis:
        """The same with what constants cut left out."""

    def resized(
        self, shapes: Mapping[str, Sequence[int]], *, prune: bool | None = None
    ) -> Analysis:
        """The same model at other shapes of its inputs."""


class Analysis:
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
        self, graph: Graph, flow: Flow, bounds: Bounds, source: Source | None = None
    ) -> None:
        self._source = source
        self._graph = graph
        self._flow = flow
        self._bounds = bounds
        self._fields: dict[object, Field] = {}
        self._seen: dict[object, AxisField] = {}
        self._alike: dict[str, dict[str, int]] = {}
        self._answers: dict[tuple[str, str, bool], Field] = {}
        self._reads_of: dict[str, list[Read]] | None = None
        self._last: tuple[object, dict[str, Region]] | None = None
        self._last_reached: tuple[object, dict[str, Region]] | None = None
        self.held: Mapping[str, Any] = {}
        self.inputs = list(flow.inputs)
        self.outputs = list(graph.outputs)
        self.notes = list(flow.notes)

    @cached_property
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
        assert self._source is not None
        return self._source.pruned(self)

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
        return [*self.inputs, *self._graph.values()]

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
        """The program that bounds come from, and the views of all values: see docs/engine.md."""
        return self._bounds

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
        self._known(tensor)
        return self._graph.producer.get(tensor)

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
        self._known(tensor)
        found, pending = {tensor}, [tensor]
        while pending:
            node = self._graph.producer.get(pending.pop())
            if node is not None:
                new = {name for name in (*node.inputs, *node.captures) if name in self._names}
                pending.extend(new - found)
                found |= new
        return found

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
        name = self._input(input)
        return next(i.dims for i in self._graph.inputs if i.name == name) or ()

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
        shape = self._sized(tensor)
        if shape is None:
            return None
        return tuple([None if is_unknown(size) else size for size in shape])

    def _sized(self, tensor: str) -> Shape | None:
        """Shape of `tensor` with unknown sizes."""
        self._known(tensor)
        return self._flow.shapes.shape(tensor)

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
        self._known(tensor)
        return self._flow.shape(tensor)

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
        self._known(tensor)
        if input is not None:
            return self._bounds.sees(tensor, self._input(input))
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
        name = self._input(input)
        shape = self._flow.inputs[name] or ()
        sees = self.depends(tensor, name)
        rank = len(self.extent(tensor) or ())
        axes = range(len(shape)) if axis is None else [self._axis(axis, name)]
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
        name = self._input(input)
        place = self._unit(tensor, index)
        return self._bounds.box(tensor, name, place, local=local)

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
        from rfgraph.engine.support import Support, backward, region_of

        name = self._input(input)
        shape = self._shape_of(name)
        places = self._places(tensor, index)
        key = (tensor, tuple(place.tobytes() for place in places))
        if self._last is None or self._last[0] != key:
            region = region_of(places, tuple(map(len, places)))
            self._last = key, backward(self._flow, {tensor: region})
        return Support(name, shape, self._last[1].get(name, ()))

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
        from rfgraph.engine.support import Support

        name = self._input(input)
        shape = self._shape_of(name)
        for output in self.outputs:
            if self.depends(output, name):
                self._shape_of(output)
        return Support(name, shape, self._read.get(name, ()))

    @cached_property
    def _read(self) -> dict[str, Region]:
        from rfgraph.engine.support import backward

        extents = {output: self.extent(output) for output in self.outputs if self.depends(output)}
        known = [o for o, extent in extents.items() if extent is not None and 0 not in extent]
        return backward(self._flow, dict.fromkeys(known, ((),)))

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
        from rfgraph.engine.paths import Paths, counted, paths

        name = self._input(input)
        terms = counted(self._places(tensor, index))
        try:
            found = paths(self._flow, {tensor: terms})
        except RFGraphError as error:
            error.file = error.file or self.file
            raise
        return Paths(name, self._flow.inputs[name] or (), found.get(name, ()))

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
        from rfgraph.engine.paths import proportions, variation

        shape = self._shape_of(tensor)
        if not -len(shape) <= axis < len(shape):
            raise QueryError(f"'{tensor}' of shape {shape} has no axis {axis}", file=self.file)
        axis %= len(shape)
        unit = [n // 2 for n in shape]
        if 0 in shape:
            return 0.0
        period = lcm(*(max(len(side.phases), 1) for side in self.field(tensor, input)))
        period = min(period, shape[axis])
        first = (shape[axis] - period) // 2
        totals = []
        for coordinate in range(first, first + period):
            unit[axis] = coordinate
            totals.append(self.paths(tensor, unit, input).total)
        return variation(proportions(totals))

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
        name = self._input(input)
        if index is None:
            index = [n // 2 for n in self._shape_of(tensor)]
        unit = self._unit(tensor, index)
        box = self.box(tensor, unit, name, local)
        if box is None:
            return []
        asked = range(len(box)) if axes is None else [self._axis(axis, name) for axis in axes]
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
        name = self._input(input)
        extent, shape = self._shape_of(tensor), self._shape_of(name)
        units, places = prod(extent), prod(shape)
        entries = 0
        if units <= _MAX_ROWS:
            ends = [self.bounds(tensor, name, axis=axis) for axis in range(len(shape))]
            sides = [np.maximum(hi - lo + 1, 0).astype(np.float64) for lo, hi in ends]
            boxes = np.broadcast_to(prod(sides, start=np.ones(1)), extent or (1,))
            entries = int(boxes.sum())
        if units > _MAX_ROWS or entries > _MAX_ENTRIES:
            said = f" and up to {entries:,} entries" if entries else ""
            raise ShapeError(
                f"the Jacobian of '{tensor}' has {units:,} rows{said}: too many",
                file=self.file,
                remedy="ask for the support of some units",
            )
        try:
            from scipy import sparse
        except ImportError:
            raise RFGraphError(
                "scipy is not installed, which sparse patterns are made with",
                remedy="pip install 'rfgraph[sparse]'",
            ) from None
        rows = [self.support(tensor, unit, name).elements for unit in np.ndindex(*extent)]
        starts = np.cumsum([0, *map(len, rows)])
        columns = np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)
        true = np.ones(len(columns), dtype=bool)
        return sparse.csr_array((true, columns, starts), shape=(units, places))

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
        from rfgraph.engine.support import Support

        if output is None:
            if len(self.outputs) != 1:
                raise QueryError(
                    f"the model has {len(self.outputs)} outputs",
                    file=self.file,
                    remedy=f"name one of {', '.join(self.outputs)}",
                )
            output = self.outputs[0]
        extent = self._shape_of(output)
        return Support(output, extent, self._reached(tensor, index).get(output, ()))

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
        from rfgraph.engine.support import compressed

        reached = self._reached(tensor, index)
        return {
            value: compressed(region, self.extent(value))
            for value, region in reached.items()
            if values is None or value in values
        }

    def _reached(
        self, tensor: str, index: Sequence[int | slice | Sequence[int] | np.ndarray]
    ) -> dict[str, Region]:
        """What of every value depends on a region of `tensor`."""
        from rfgraph.engine.influence import influenced
        from rfgraph.engine.support import region_of

        places = self._places(tensor, index)
        if tensor not in self._flow.inputs and not self.depends(tensor):
            raise QueryError(
                f"'{tensor}' depends on no input, and what it influences is not followed",
                file=self.file,
            )
        region = region_of(places, self._shape_of(tensor))
        if not region:
            return {}
        key = (tensor, tuple(place.tobytes() for place in places))
        last = self._last_reached
        if last is None or last[0] != key:
            last = self._last_reached = key, influenced(self._flow, tensor, region)
        return last[1]

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
        name = self._input(input)
        asked = tensor, name, local
        if not at and asked in self._answers:
            return self._answers[asked]
        shape = self._sized(tensor) or ()
        held = self._coordinates(tensor, shape, at) if at else {}
        # Values that pass on what they see share their views, and so the answer.
        view = self._closed_form.view(tensor, name)
        bounds = self._bounds.views.get(tensor, _NOTHING).get(name)
        given = self._flow.inputs[name] or ()
        key = view, bounds, given, shape, local, tuple(held.items())
        answer = self._fields.get(key)
        if answer is None:
            answer = self._fields[key] = Field(
                tuple([self._side(tensor, name, a, local, held) for a in range(len(given))])
            )
        if not at:
            self._answers[asked] = answer
        return answer

    def _coordinates(self, tensor: str, shape: Shape, at: Mapping[int, int]) -> dict[int, int]:
        """The coordinates of `at` of axes that have several, ascending by axis."""
        held = {}
        for a, coordinate in sorted(at.items()):
            if 0 <= a < len(shape) and is_unknown(shape[a]):
                # One place stands for all there may be.
                continue
            if not (0 <= a < len(shape) and -shape[a] <= coordinate < shape[a]):
                raise QueryError(
                    f"'{tensor}' of shape {shape} has no coordinate {coordinate} on axis {a}",
                    file=self.file,
                )
            held[a] = coordinate % shape[a]
        return held

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
        name = self._input(input)
        shape = self._sized(tensor) or ()
        held = self._coordinates(tensor, shape, at) if at else {}
        return self._side(tensor, name, self._axis(axis, name), local, held)

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
        name = self._input(input)
        found = self._alike.get(name)
        if found is None:
            numbers: dict[object, int] = {}
            found = self._alike[name] = {}
            for tensor in self.tensors:
                if self._bounds.sees(tensor, name):
                    form = self._closed_form.view(tensor, name)
                    seen = form, self._bounds.views[tensor][name], self._sized(tensor)
                    found[tensor] = numbers.setdefault(seen, len(numbers))
        return found

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
        name = self._input(input)
        self._known(tensor)
        axis = self._axis(axis, name)
        view = self._closed_form.view(tensor, name)
        if view is None:
            return AxisField.nothing()
        extent = self._flow.shape(tensor) or ()
        found = self._closed_form.side_of(view, axis, extent, local=local, at={})
        return None if found is None or found.branches else found

    def _side(
        self, tensor: str, name: str, axis: int, local: bool, held: dict[int, int]
    ) -> AxisField:
        """The field along one axis of an input."""
        view = self._closed_form.view(tensor, name)
        if view is None:
            return AxisField.nothing()
        extent = self._flow.shape(tensor) or ()
        found = self._closed_form.side_of(view, axis, extent, local=local, at=held)
        if found is None or found.branches:
            return self._measured(tensor, name, axis, local, held, found)
        return found

    def _measured(
        self,
        tensor: str,
        name: str,
        axis: int,
        local: bool,
        held: dict[int, int],
        known: AxisField | None,
    ) -> AxisField:
        """The field along an axis where there is no closed form, from the bounds."""
        view = self._closed_form.view(tensor, name)
        assert view is not None
        extent = self._flow.shape(tensor) or ()
        size = (self._flow.inputs[name] or ())[axis]
        told, axes = self._closed_form.alike(view, axis, extent, held)
        number, others, _, _ = self._closed_form.likeness.of(self._bounds.views[tensor][name][axis])
        every = tuple(dict.fromkeys((*axes, *others)))
        key = (
            told,
            number,
            tuple([every.index(a) for a in others]),
            ascending(every),
            tuple([extent[a] for a in every]),
            tuple([held.get(a) for a in every]),
            size,
            local,
        )
        found = self._seen.get(key)
        if found is None:
            found = self._seen[key] = self._seen_of(tensor, name, axis, local, held, known, view)
        return found

    def _seen_of(
        self,
        tensor: str,
        name: str,
        axis: int,
        local: bool,
        held: dict[int, int],
        known: AxisField | None,
        view: tuple[AxisView, ...],
    ) -> AxisField:
        size = (self._flow.inputs[name] or ())[axis]
        near, far = self._bounds.parts(tensor, name, axis)
        layout = None
        if known is not None:
            layout = self._closed_form.layout(view, axis, known.stride)
        at = self._bounds.kinds(tensor, name, axis, (layout[0],) if layout else ())
        at.update((a, np.array([coordinate])) for a, coordinate in held.items() if a in at)
        lo, hi = self._bounds.sampled(tensor, name, axis, at, local=local and near)
        if far and not (local and near) and ((lo == 0) & (hi == size - 1))[lo <= hi].all():
            return AxisField.endless()
        found = measured((lo, hi), known, own_elements(*layout, at, lo.ndim) if layout else None)
        return found if near or not local else replace(found, is_global=True)

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
        shape = self.extent(tensor)
        if shape is None or not -len(shape) <= axis < len(shape):
            raise QueryError(f"'{tensor}' of shape {shape} has no axis {axis}", file=self.file)
        axis %= len(shape)
        edges = self._closed_form.edges(tensor, self._input(input), axis)
        if len(edges) > _MOST_RUNS:
            raise QueryError(
                f"'{tensor}' may have {len(edges):,} different fields along axis {axis}: more than "
                f"{_MOST_RUNS:,}",
                file=self.file,
                remedy="bounds has every unit",
            )
        runs: list[tuple[range, Field]] = []
        cuts = [0, *[e for e in edges if 0 < e < shape[axis]], shape[axis]]
        for begin, end in pairwise(cuts):
            found = self.field(tensor, input, local, {axis: begin})
            if runs and runs[-1][1] == found:
                runs[-1] = (range(runs[-1][0].start, end), found)
            else:
                runs.append((range(begin, end), found))
        return runs

    @cached_property
    def meetings(self) -> list[tuple[str, str, Meeting]]:
        """Where branches with different strides or centres meet: value, input, and the branches."""
        return [
            (name, given, meeting)
            for step in self._flow.steps
            for name, reads in zip(step.node.outputs, step.reads, strict=False)
            if name
            for given, found in self._closed_form.meetings(name, sources(step.node), reads).items()
            for meeting in found
        ]

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
        self._known(tensor)
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
        name = self._input(input)
        self._known(tensor)
        return self._closed_form.span(tensor, name, self._axis(axis, name), local=local)

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
        name = self._input(input)
        axis = self._axis(axis, name)
        field = self.field(tensor, name, local)[axis]
        if field.is_global:
            return inf, inf
        units = self._closed_form.units_along(tensor, name, axis)
        if units is None or isnan(field.back):
            return None
        stride = Fraction(field.stride)
        over = (self._flow.inputs[name] or ())[axis] - units * stride
        # The last unit may have fewer elements of its own, or leave some behind it.
        shift = over / 2 if abs(over) >= stride and abs(over) >= 1 else Fraction(0)
        before, behind = (
            side + by if isinf(side) else ceil(side + by)
            for side, by in ((field.back, shift), (field.ahead, -shift))
        )
        return before, behind

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
        name = self._input(input)
        rank = len(self.extent(name) or ())
        found = [axis for axis in range(rank) if self._moves(name, axis)]
        return found or list(range(rank))[min(1, rank - 1) :]

    def _moves(self, name: str, axis: int) -> bool:
        """Whether some value's field along an axis of an input both extends and moves."""
        # One value for each number.
        for tensor in {number: tensor for tensor, number in self.alike(name).items()}.values():
            side = self._side(tensor, name, axis, True, {})
            if side.stride and side.size > 1:
                return True
        return False

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
        name = self._input(input)
        axis = self._axis(axis, name)
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

    # helpers

    @cached_property
    def _explainer(self) -> Explainer:
        from rfgraph.engine.why import Explainer

        return Explainer(self._flow, self._bounds)

    @cached_property
    def _closed_form(self) -> ClosedForm:
        from rfgraph.engine._figures import ClosedForm

        with uncollected():
            return ClosedForm(self._flow, self._bounds.walk)

    def _shape_of(self, tensor: str) -> Shape:
        shape = self.extent(tensor)
        if shape is None:
            raise ShapeError(f"the shape of '{tensor}' is not known", file=self.file)
        return shape

    def _places(
        self, tensor: str, index: Sequence[int | slice | Sequence[int] | np.ndarray]
    ) -> list[np.ndarray]:
        """`index` as a mask for each axis of `tensor`."""
        shape = self._shape_of(tensor)
        if len(index) != len(shape):
            raise QueryError(
                f"'{tensor}' has the shape {self._sized(tensor)}: a unit has {len(shape)} "
                f"coordinates, and {len(index)} are given",
                file=self.file,
            )
        places = []
        for axis, (at, size) in enumerate(zip(index, self._sized(tensor) or (), strict=True)):
            if is_unknown(size):
                # One place stands for all there may be.
                at, size = slice(None), 1
            mask = np.zeros(size, dtype=bool)
            if not isinstance(at, slice):
                given = np.asarray(at)
                if given.dtype.kind not in "iu":
                    raise QueryError(
                        f"{at!r} is no coordinate: a whole number or a slice is wanted",
                        file=self.file,
                    )
                beyond = given[(given < -size) | (given >= size)]
                if beyond.size:
                    raise QueryError(
                        f"'{tensor}' of shape {self._sized(tensor)} has no coordinate {beyond[0]} "
                        f"on axis {axis}",
                        file=self.file,
                    )
            mask[at] = True
            places.append(mask)
        return places

    def _known(self, tensor: str) -> None:
        if tensor in self._graph.producer or tensor in self._flow.inputs:
            return
        if tensor not in self._names:
            raise QueryError(
                f"the model has no tensor '{tensor}'",
                file=self.file,
                remedy=_suggestion(tensor, list(self._names)),
            )

    @cached_property
    def _names(self) -> dict[str, None]:
        return dict.fromkeys([*self.tensors, *self._graph.weights])

    def _input(self, input: str | None) -> str:
        if input is None:
            if len(self.inputs) != 1:
                raise QueryError(
                    f"the model has {len(self.inputs)} inputs: name one",
                    file=self.file,
                    remedy=f"its inputs are {', '.join(self.inputs)}",
                )
            return self.inputs[0]
        if input not in self._flow.inputs:
            raise QueryError(
                f"the model has no input '{input}'",
                file=self.file,
                remedy=f"its inputs are {', '.join(self.inputs)}",
            )
        return input

    def _axis(self, axis: int, name: str) -> int:
        rank = len(self._flow.inputs[name] or ())
        if not -rank <= axis < rank:
            raise QueryError(f"input '{name}' has no axis {axis}", file=self.file)
        return axis % rank

    def _unit(self, tensor: str, index: Sequence[int]) -> tuple[int, ...]:
        shape = self._sized(tensor)
        if shape is None:
            raise QueryError(f"the shape of '{tensor}' is not known", file=self.file)
        try:
            index = [operator.index(i) for i in index]
        except TypeError:
            raise QueryError(
                f"{index!r} is no unit: one whole number is wanted for each axis", file=self.file
            ) from None
        if len(index) != len(shape):
            raise QueryError(
                f"'{tensor}' has {len(shape)} axes, and the unit {tuple(index)} has {len(index)}",
                file=self.file,
                remedy=f"its shape is {shape}",
            )
        # Along an axis of unknown size one place stands for all there may be.
        index = [0 if is_unknown(n) else i for i, n in zip(index, shape, strict=True)]
        shape = nominal(shape)
        if not all(-n <= i < n for i, n in zip(index, shape, strict=True)):
            raise QueryError(
                f"'{tensor}' has no unit {tuple(index)}",
                file=self.file,
                remedy=f"its shape is {shape}",
            )
        return tuple(i % n for i, n in zip(index, shape, strict=True))


def _suggestion(name: str, names: list[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, names, n=3, cutoff=0.5)
    return "did you mean " + " or ".join(f"'{c}'" for c in close) + "?" if close else ""
