"""How to cut the inputs of a model into tiles whose results together are that of the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from math import ceil, floor, prod
from typing import TYPE_CHECKING, Any

from rfgraph.analysis import Analysis, analyze
from rfgraph.errors import QueryError, ShapeError
from rfgraph.notebook import Shown
from rfgraph.tiling.axes import AxisPlan, OutputAxis, up
from rfgraph.tiling.borders import Borders, borders, window
from rfgraph.tiling.equality import Cause, Equality, equality, resized
from rfgraph.tiling.lazy import map_blocks
from rfgraph.tiling.local import global_reads
from rfgraph.tiling.memory import largest, peak
from rfgraph.tiling.obstacles import (
    OPEN_SIZES,
    Axis,
    TilingError,
    Way,
    check_constants,
    check_tables,
    moved,
    place,
    way,
)
from rfgraph.tiling.run import run
from rfgraph.tiling.verify import Verification, verify

if TYPE_CHECKING:
    import numpy as np

    from rfgraph.analysis.inputs import Model

# Where no tile is asked for, the core is so many times as long as both margins, but at least so
# many elements.
_CORES, _LEAST = 4, 128

# What is looked at is so many times as long as the largest field, and so many alignments.
_WIDE, _PERIODS = 3, 6

# Sizes are tried up to this many elements of alignment.
_MOST_SIZES = 512


@dataclass(frozen=True, repr=False)
class Plan(Shown):
    """How to run a model tile by tile; made by `plan`.

    Attributes
    ----------
    analysis : Analysis
        Of the model.
    outputs : tuple of str
        The outputs that are put together.
    axes : tuple of AxisPlan
        The axes that are cut.
    whole : tuple of str
        The inputs that every tile gets whole.
    left_out : tuple of TilingError
        The nodes that see whole axes, of a plan of the local part; each tile has its own then.

    Examples
    --------
    >>> from rfgraph.tiling import plan
    >>> found = plan("models/unet_tconv.onnx", tile=256)
    >>> [axis.name for axis in found.axes], round(float(found.waste), 2)
    (['height', 'width'], 2.56)
    """

    analysis: Analysis = field(repr=False, compare=False)
    outputs: tuple[str, ...]
    axes: tuple[AxisPlan, ...]
    whole: tuple[str, ...]
    left_out: tuple[TilingError, ...] = field(default=(), compare=False)

    def __repr__(self) -> str:
        axes = (
            f"{axis.title}: tile {axis.fitted(axis.tile)}, margin {axis.margin[0]}/"
            f"{axis.margin[1]}, alignment {axis.alignment}"
            for axis in self.axes
        )
        exact = "" if self.is_exact else "; not exact"
        return f"Plan({'; '.join(axes)}; waste {float(self.waste):.2f}{exact})"

    @property
    def is_exact(self) -> bool:
        """Whether the result is that of the whole, up to what `equality` says."""
        return not self.left_out

    @property
    def waste(self) -> Fraction:
        """How many elements are computed for each one that is kept, along all axes together."""
        return prod((axis.waste() for axis in self.axes), start=Fraction(1))

    @cached_property
    def memory(self) -> int:
        """What a run of one tile takes, in bytes, as estimated: the values that are alive at a
        time, and the weights; a runtime takes some more for itself.
        """
        sizes = [axis.fitted(axis.tile) for axis in self.axes]
        return peak(resized(self.analysis, self.axes, sizes), self.outputs)

    @cached_property
    def equality(self) -> Equality:
        """Whether the result is that of the whole bit for bit, or up to rounding, and why.

        Returns
        -------
        Equality
            What holds in onnxruntime, for tiles of the size that is planned.
        """
        if not self.is_exact:
            causes = tuple(Cause(str(error.node), error.reason) for error in self.left_out)
            return Equality("not the same", causes=causes)
        return equality(self.analysis, self.axes, self.outputs)

    def run(self, model: Any, inputs: np.ndarray | Mapping[str, np.ndarray]) -> Any:
        """Run the model tile by tile, and put the results together.

        Parameters
        ----------
        model : onnxruntime.InferenceSession, path or bytes
            The model, or a session that has it open.
        inputs : ndarray or mapping of str to ndarray
            Its inputs; the array alone where there is one.

        Returns
        -------
        ndarray or dict of str to ndarray
            The outputs of the plan by name; the array alone where there is one.

        Raises
        ------
        QueryError
            The inputs are not those of the model, or of a size that it does not take; or the file
            fixes an axis that is cut.
        RFGraphError
            onnxruntime is not installed, or can't run the model.

        Examples
        --------
        >>> import numpy as np
        >>> from rfgraph.tiling import plan
        >>> image = np.zeros((1, 1, 256, 192), np.float32)
        >>> found = plan("models/unet_tconv.onnx", tile=128, outputs=["logits"])
        >>> found.run("models/unet_tconv.onnx", image).shape
        (1, 2, 256, 192)
        """
        return run(self.analysis, self.axes, self.outputs, model, inputs)

    def map_blocks(
        self, model: Any, inputs: Any, *, providers: Sequence[str] = ("CPUExecutionProvider",)
    ) -> Any:
        """The same as `run` for arrays of dask, which may be larger than memory.

        Nothing is run before results are asked for; then dask runs it, with threads, processes or
        a cluster. A process opens the model once, with one thread: tiles run side by side.

        Parameters
        ----------
        model : path, bytes or onnxruntime.InferenceSession
            The model, at a path that all processes have; or a session that has it open, with
            dask's threads alone.
        inputs : dask.array.Array or mapping of str to dask.array.Array
            Its inputs; the array alone where there is one.
        providers : sequence of str
            The execution providers of onnxruntime.

        Returns
        -------
        dask.array.Array or dict of str to dask.array.Array
            The outputs of the plan by name; the array alone where there is one. Each chunk is the
            core of a tile.

        Raises
        ------
        QueryError
            As `run`; or, once it runs, that a session can't be sent to other processes.
        RFGraphError
            dask is not installed; or, once it runs, as `run`.

        Examples
        --------
        >>> import dask.array as da
        >>> from rfgraph.tiling import plan
        >>> image = da.zeros((1, 1, 256, 192), chunks=64, dtype="float32")
        >>> found = plan("models/unet_tconv.onnx", tile=128, outputs=["logits"])
        >>> found.map_blocks("models/unet_tconv.onnx", image).chunks[2:]
        ((32, 32, 32, 32, 32, 32, 32, 32), (32, 32, 32, 32, 32, 32))
        """
        return map_blocks(self.analysis, self.axes, self.outputs, model, inputs, providers)

    def verify(self, model: Any, *, tiles: int = 3, seed: int = 0) -> Verification:
        """Compare tiles with the whole in onnxruntime, on random data of a size that is small.

        It also tells what difference less makes: a margin of one alignment less, and a tile that
        begins off the alignment; of a plan of the local part, what each node that sees whole axes
        costs.

        Parameters
        ----------
        model : path, bytes or onnxruntime.InferenceSession
            The model; or a session that has it open.
        tiles : int
            How many tiles are compared along each axis: of random sizes, at random multiples of
            the alignment.
        seed : int
            Of what is random.

        Returns
        -------
        Verification
            The differences.

        Raises
        ------
        QueryError
            The file fixes an axis that is cut.
        RFGraphError
            onnxruntime is not installed, or can't run the model.

        Examples
        --------
        >>> from rfgraph.tiling import plan
        >>> model = "models/unet_tconv.onnx"
        >>> rows, columns = plan(model).verify(model).axes
        >>> rows.difference, rows.less_before > 0, rows.less_after > 0, rows.unaligned > 0
        (0.0, True, True, True)
        """
        return verify(
            self.analysis,
            self.axes,
            self.outputs,
            self.equality,
            model,
            tiles,
            seed,
            self.left_out,
        )


def plan(
    model: Model | Analysis,
    *,
    tile: int | Sequence[int] | None = None,
    axes: Sequence[int | str] | None = None,
    outputs: Sequence[str] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    local: bool = False,
    memory: int | None = None,
) -> Plan:
    """How to cut the inputs of a model into tiles whose results are that of the whole.

    Parameters
    ----------
    model : path, bytes, onnx.ModelProto or Analysis
        The model.
    tile : int or sequence of int, optional
        The largest size of a tile: along each axis that is cut, or along all. A sensible one if
        left out.
    axes : sequence of int or str, optional
        The axes to cut, by number or by their names in the file. If left out, those that the file
        leaves open and along which fields move; where it leaves none open, all along which fields
        move.
    outputs : sequence of str, optional
        The outputs that are wanted; all if left out.
    shapes : mapping of str to tuple of int, optional
        Shapes of inputs to begin with, as for `analyze`.
    local : bool, optional
        Plan for the local part alone, where some nodes see whole axes: a global pooling, a
        statistic, attention. Each tile has its own then, and the result is not that of the whole:
        `Plan.verify` measures how far it is.
    memory : int, optional
        In place of `tile`: the bytes that a run of one tile may take. Tiles are the largest of
        which `Plan.memory`, an estimate, is no more.

    Returns
    -------
    Plan
        Margins, alignment, sizes and waste of each axis; `Plan.run` runs it.

    Raises
    ------
    TilingError
        The results of tiles can't be that of the whole; it names the first node that is the
        reason.
    QueryError
        There is no such axis or output, or a tile is too small.
    ModelError, ShapeError
        As `analyze`.

    Examples
    --------
    >>> from rfgraph.tiling import plan
    >>> rows, columns = plan("models/espcn.dynamo.onnx").axes
    >>> rows.margin, rows.alignment, rows.outputs["y"].scale
    ((4, 4), 1, Fraction(3, 1))
    """
    analysis = model if isinstance(model, Analysis) else analyze(model, shapes=shapes, assume=True)
    if memory is not None and tile is not None:
        raise QueryError(
            "both tile= and memory= are given", file=analysis.file, remedy="leave out one"
        )
    found = _Planner(analysis, axes, outputs, local).plan(tile)
    if memory is None:
        return found
    sizes = largest(found.analysis, found.axes, found.outputs, memory)
    fitted = [replace(axis, tile=size) for axis, size in zip(found.axes, sizes, strict=True)]
    return replace(found, axes=tuple(fitted))


class _Planner:
    """Makes the plan of some outputs and axes."""

    def __init__(
        self,
        analysis: Analysis,
        axes: Sequence[int | str] | None,
        outputs: Sequence[str] | None,
        local: bool,
    ) -> None:
        self._analysis = analysis
        self._axes = axes
        self._local = local
        self._times: dict[tuple[Axis, ...], int] = {}
        self._outputs = chosen_outputs(analysis, outputs)
        self._groups = chosen_axes(analysis, axes)

    def plan(self, tile: int | Sequence[int] | None) -> Plan:
        sizes = self._tiles(tile)
        try:
            for axes in self._groups.values():
                self._settle(axes)
                self._repeat(axes)
            ways = [self._way(self._analysis, axes) for axes in self._groups.values()]
            plans = [self._along(at, size) for at, size in zip(ways, sizes, strict=True)]
        except TilingError as error:
            before = error.remedy
            error.remedy = lambda: self._remedy() or before
            error.global_reads = () if self._local else self._global_reads()
            raise
        used: dict[tuple[str, int], AxisPlan] = {}
        for found in plans:
            for output, follows in found.outputs.items():
                if used.setdefault((output, follows.axis), found) is not found:
                    raise TilingError(
                        f"{used[output, follows.axis].title} and {found.title} share axis "
                        f"{follows.axis} of output '{output}'",
                        file=self._analysis.file,
                        remedy="cut one of them: axes= or --axes",
                    )
        cut = {name for found in plans for name, _ in found.inputs}
        whole = tuple(name for name in self._analysis.inputs if name not in cut)
        left_out = self._global_reads() if self._local else ()
        return Plan(self._analysis, self._outputs, tuple(plans), whole, left_out)

    def _way(self, analysis: Analysis, axes: Sequence[Axis]) -> Way:
        found = way(analysis, self._outputs, axes, self._local)
        return replace(found, times=self._times.get(found.axes, 1))

    def _global_reads(self) -> tuple[TilingError, ...]:
        """The nodes that see whole axes, if the outputs see something else as well."""
        found: dict[str, TilingError] = {}
        for axes in self._groups.values():
            at = way(self._analysis, self._outputs, axes, local=True)
            if at.obstacle is not None:
                return ()
            try:
                longer = self._longer(at, at.alignment)
            except ShapeError:
                return ()
            for error in global_reads(at, longer, self._outputs):
                found.setdefault(str(error.node), error)
        return tuple(found.values())

    def _settle(self, axes: Sequence[Axis]) -> None:
        """Go on from a size that is large enough, but no larger, and not the only one that the
        model takes.

        At a size that was found by trying values may have no element, or one, which fits others
        as no other number does.
        """
        at = Way(self._analysis, tuple(axes), {})
        is_open = not any(isinstance(self._analysis.dims(name)[axis], int) for name, axis in axes)
        for size in range(_LEAST, 2 * _LEAST) if is_open and at.size < _LEAST else ():
            with suppress(ShapeError):
                longer = self._longer(at, size - at.size)
                if not any(0 in (longer.extent(name) or ()) for name in self._outputs):
                    self._analysis = longer
                    break
        at = self._way(self._analysis, axes)
        # Between both borders there has to be room for some periods.
        needed = max(_WIDE * at.widest + _PERIODS * at.alignment, _LEAST)
        room = up(needed - at.size, at.alignment)
        room = room if is_open else max(room, 0)
        for by in range(at.alignment if at.alignment <= _MOST_SIZES else 1):
            with suppress(ShapeError):
                settled = self._longer(at, room + by)
                self._longer(Way(settled, at.axes, {}), at.alignment)
                self._analysis = settled
                return

    def _repeat(self, axes: Sequence[Axis]) -> None:
        """Let the alignment be one after which constants repeat as well."""
        at = self._way(self._analysis, axes)
        if at.obstacle is not None or at.alignment > _MOST_SIZES:
            return
        with suppress(TilingError):
            longer = self._resized(at, at.alignment)
            self._times[at.axes] = check_constants(at, longer, moved(at, longer))
            self._settle(axes)

    def _tiles(self, tile: int | Sequence[int] | None) -> list[int | None]:
        count = len(self._groups)
        given: list[int | None] = (
            [tile] * count if tile is None or isinstance(tile, int) else list(tile)
        )
        if len(given) == 1:
            given *= count
        if len(given) != count:
            raise QueryError(
                f"a tile of {len(given)} sizes, and these axes are cut: {', '.join(self._groups)}",
                file=self._analysis.file,
                remedy="give one size for all, or one for each",
            )
        for size in given:
            if size is not None and size < 1:
                raise QueryError(f"a tile of {size} has no elements", file=self._analysis.file)
        return given

    def _remedy(self) -> str | None:
        """Which outputs can be had in tiles, where others can't."""
        if len(self._outputs) < 2:
            return None
        found = []
        for output in self._outputs:
            try:
                alone = _Planner(self._analysis, self._axes, [output], self._local)
                for axes in alone._groups.values():
                    alone._judged(alone._way(self._analysis, axes))
            except TilingError:
                continue
            found.append(output)
        if not found:
            return None
        listed = ", ".join(found)
        return f"these outputs can be had in tiles: {listed}; choose with outputs= or --output"

    def _judged(self, at: Way) -> tuple[dict[str, dict[int, int]], dict[str, int]]:
        """What grows with the tiled axis: of values on the way, and the one axis of each output.

        Raises
        ------
        TilingError
            Something can't be had in tiles.
        """
        longer = self._resized(at, at.alignment)
        if at.obstacle is not None:
            # What is read before may be a reason as well, and is then the first.
            longer = replace(longer, fields={v: longer.fields.get(v, {}) for v in at.fields})
        grown = moved(at, longer)
        if check_constants(at, longer, grown) > 1:
            raise TilingError(
                "constants repeat after too many elements along the axis",
                file=self._analysis.file,
            )
        borders(at, grown, longer)
        if at.obstacle is not None:
            raise at.obstacle
        self._check_others(at, longer)
        places = {}
        for output in self._outputs:
            if output in at.fields:
                axis = place(at, grown, output)
                if axis is None:
                    raise TilingError(
                        f"no single axis of output '{output}' follows the input",
                        file=self._analysis.file,
                        node=str(self._analysis.node(output)),
                    )
                places[output] = axis
        return grown, places

    def _along(self, at: Way, tile: int | None) -> AxisPlan:
        """The plan along one axis."""
        alignment = at.alignment
        grown, places = self._judged(at)
        ways = self._sizes(at, alignment)
        lost = [borders(each, grown) for each in ways.values()]
        outputs, unaligned = {}, [0, 0]
        for output, axis in places.items():
            units = grown[output][axis]
            needed = [
                _needed(each, output, axis, units, border)
                for each, border in zip(ways.values(), lost, strict=True)
            ]
            before, after, back, ahead = (max(sides) for sides in zip(*needed, strict=True))
            outputs[output] = _follows(list(ways.values()), output, axis, before, after)
            unaligned = [max(unaligned[0], back), max(unaligned[1], ahead)]
        before = max((o.before for o in outputs.values()), default=0)
        after = max((o.after for o in outputs.values()), default=0)
        if tile is None:
            tile = before + after + max(_CORES * (before + after), _LEAST)
            tile = up(tile, alignment)
        dims = {self._analysis.dims(name)[axis] for name, axis in at.axes}
        found = AxisPlan(
            inputs=at.axes,
            name=next((d for d in dims if isinstance(d, str)), ""),
            is_fixed=any(isinstance(d, int) for d in dims),
            alignment=alignment,
            before=before,
            after=after,
            unaligned=(unaligned[0], unaligned[1]),
            sizes=tuple(sorted(ways)),
            outputs=outputs,
            tile=tile,
        )
        try:
            found.fitted(tile)
        except QueryError as error:
            error.file = self._analysis.file
            raise
        return found

    def _longer(self, at: Way, by: int) -> Analysis:
        """The model with the axis longer."""
        shapes = {}
        for name in at.analysis.inputs:
            shape = list(at.analysis.extent(name) or ())
            for other, axis in at.axes:
                if other == name:
                    shape[axis] += by
            shapes[name] = shape
        return at.analysis.resized(shapes)

    def _resized(self, at: Way, by: int) -> Way:
        """The same with the axis longer."""
        try:
            return self._way(self._longer(at, by), at.axes)
        except ShapeError as error:
            check_tables(at)
            raise at.obstacle or TilingError(
                f"the model takes no other size along the axis: {error.message}",
                file=error.file,
                node=error.node,
                remedy=OPEN_SIZES,
            ) from error

    def _sizes(self, at: Way, alignment: int) -> dict[int, Way]:
        """The sizes, modulo the alignment, that the model takes, and what it sees at each."""
        found = {at.size % alignment: at}
        tried = range(1, alignment) if alignment <= _MOST_SIZES else [-at.size % alignment]
        for by in tried:
            try:
                other = self._resized(at, by)
                if not other.alike(at) and not other.alike(self._resized(at, by + alignment)):
                    continue
            except TilingError:
                continue
            if other.fields.keys() == at.fields.keys() and other.alignment == alignment:
                found[other.size % alignment] = other
        return found

    def _check_others(self, at: Way, longer: Way) -> None:
        """Outputs that depend on no tiled input must not depend on its size."""
        for output in self._outputs:
            if output in at.fields:
                continue
            same = at.analysis.extent(output) == longer.analysis.extent(output)
            values = [w.analysis.flow.shapes.static(output) for w in (at, longer)]
            if not same or (values[0] is not None and (values[0] != values[1]).any()):
                raise TilingError(
                    f"output '{output}' depends on the size of the input",
                    file=self._analysis.file,
                    node=str(self._analysis.node(output)),
                )


def _needed(
    at: Way, output: str, axis: int, units: int, lost: Borders
) -> tuple[int, int, int, int]:
    """The elements before and after an aligned core that an output needs, and any other core."""
    stride, missing = at.stride(output), _missing(at, output, axis)
    before, after, back, ahead = 0, missing, 0, missing
    for name in at.fields[output]:
        for k, (first, last) in enumerate(window(at, output, name, axis, units)):
            if first > last:
                continue
            first, last = first - lost.before, last + lost.after
            before, after = max(before, -first), max(after, last - (at.alignment - 1))
            back = max(back, floor(k * stride) - first)
            ahead = max(ahead, last - (ceil((k + 1) * stride) - 1))
    return before, after, back, ahead


def _follows(ways: Sequence[Way], output: str, axis: int, before: int, after: int) -> OutputAxis:
    """How an output follows the axis: at sizes that are multiples, if the model takes these."""
    at = min(ways, key=lambda each: each.size % each.alignment)
    scale = 1 / at.stride(output)
    length = (at.analysis.extent(output) or ())[axis]
    centre = Fraction(next(iter(at.fields[output].values())).centre)
    return OutputAxis(axis, scale, length - scale * at.size, centre, before, after)


def _missing(at: Way, output: str, axis: int) -> int:
    """The margin after a core that it takes for a tile to have all of the core's elements.

    Without padding, or where sizes are rounded down, an output has no elements for the last ones
    of the input. A tile ends, modulo the alignment, where the whole does.
    """
    length, step = (at.analysis.extent(output) or ())[axis], at.alignment
    least = max(ceil(at.size - at.stride(output) * length), 0)
    ends = least + (at.size - least) % step
    return max(ends - step + 1, 0)


def chosen_outputs(analysis: Analysis, outputs: Sequence[str] | None) -> tuple[str, ...]:
    """The outputs that are asked for, all if none is."""
    chosen = tuple(dict.fromkeys(analysis.outputs if outputs is None else outputs))
    for name in chosen:
        if name not in analysis.outputs:
            raise QueryError(
                f"the model has no output '{name}'",
                file=analysis.file,
                remedy=f"its outputs are {', '.join(analysis.outputs)}",
            )
    return chosen


def chosen_axes(analysis: Analysis, axes: Sequence[int | str] | None) -> dict[str, list[Axis]]:
    """The axes to cut, those of one size together."""
    every = [
        (name, axis) for name in analysis.inputs for axis in range(len(analysis.extent(name) or ()))
    ]
    moving = [(name, axis) for name in analysis.inputs for axis in analysis.moving_axes(name)]
    if axes is None:
        open_axes = [(n, a) for n, a in every if not isinstance(analysis.dims(n)[a], int)]
        # Where fields don't extend, all open axes may be cut, but not that of the samples.
        beyond = [(n, a) for n, a in open_axes if a > 0]
        chosen = [where for where in open_axes if where in moving] or beyond or moving
        if not chosen:
            raise QueryError("the model has no axis to cut", file=analysis.file)
    else:
        chosen = []
        for asked in axes:
            found = [
                (name, axis)
                for name, axis in every
                if asked in (analysis.dims(name)[axis], axis)
                if isinstance(asked, str) or asked == axis
            ]
            # A number means this axis of the inputs that have fields along it, if any has.
            found = [where for where in found if where in moving] or found
            if not found:
                raise QueryError(
                    f"no input has an axis {asked!r}",
                    file=analysis.file,
                    remedy="the axes are "
                    + "; ".join(
                        f"{n}: {', '.join(map(str, analysis.dims(n)))}" for n in analysis.inputs
                    ),
                )
            chosen += [where for where in found if where not in chosen]
    groups: dict[str, list[Axis]] = {}
    for name, axis in chosen:
        dim = analysis.dims(name)[axis]
        size = (analysis.extent(name) or ())[axis]
        key = dim if isinstance(dim, str) else f"axis {axis} of size {size}"
        groups.setdefault(key, []).append((name, axis))
    return groups


__all__ = ["Plan", "chosen_axes", "chosen_outputs", "plan"]
