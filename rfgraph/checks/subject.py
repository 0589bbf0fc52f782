"""A model under check: its analyses, each made once, and its settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from glob import has_magic
from pathlib import Path
from typing import Any, NamedTuple

from rfgraph.analysis import Analysis, analyze
from rfgraph.analysis.held import Filling
from rfgraph.analysis.inputs import Model
from rfgraph.analysis.masks import to_hold
from rfgraph.checks.finding import Finding
from rfgraph.checks.options import AxisLimits, Option
from rfgraph.checks.registry import Check
from rfgraph.checks.settings import Settings, value
from rfgraph.engine.closed_form import Number
from rfgraph.errors import QueryError, RFGraphError, shortened
from rfgraph.model.graph import read

# Settings by input.
_TABLES = ("shapes", "values")


class _Given(NamedTuple):
    """What settings give inputs.

    Attributes
    ----------
    inputs : list of str or None
        The model's inputs; None where settings name none.
    shapes : dict of str to tuple of int
        Shapes.
    values : dict of str to object
        What they are held at.
    """

    inputs: list[str] | None
    shapes: dict[str, tuple[int, ...]]
    values: dict[str, Any]


@dataclass
class Subject:
    """What checks look at.

    Attributes
    ----------
    model : path, bytes or onnx.ModelProto
        The model.
    name : str
        Its path, as reports show it.
    settings : Settings
        What holds for it.
    root : Path
        What files in the settings are relative to.
    before : mapping or None
        What its values saw, by the baseline.
    remarks : list of str
        What was assumed, and what could not be looked at.
    check : Check or None
        The check that runs.
    only : sequence of str or None
        The values to look at in place of the outputs.
    held : mapping of str to array, optional
        Inputs to hold fixed, beside those of the settings.
    """

    model: Model
    name: str
    settings: Settings
    root: Path
    before: Mapping[str, Any] | None = None
    remarks: list[str] = field(default_factory=list)
    check: Check | None = None
    only: Sequence[str] | None = None
    held: Mapping[str, Any] | None = None
    _moving: dict[str, list[int]] = field(default_factory=dict, init=False)
    _pairs: dict[object, list[tuple[str, str]]] = field(default_factory=dict, init=False)
    _wanted: dict[tuple[str, ...], set[str]] = field(default_factory=dict, init=False)
    _longer: dict[tuple[str, int], Analysis | None] = field(default_factory=dict, init=False)

    # ------------------------------------------------ analyses

    @cached_property
    def analysis(self) -> Analysis:
        """The analysis that is asked for."""
        return self.at({})

    @cached_property
    def pruned(self) -> Analysis:
        """The same, where constants cut reads."""
        return self.analysis.pruned

    @cached_property
    def sizes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the inputs."""
        shapes = {name: self.analysis.extent(name) for name in self.analysis.inputs}
        return {name: shape for name, shape in shapes.items() if shape is not None}

    def at(
        self,
        sizes: Mapping[str, Sequence[int]],
        *,
        prune: bool | None = None,
        held: Mapping[str, Any] | None = None,
    ) -> Analysis:
        """The analysis at other shapes of the inputs, or with more of them held."""
        settings = self.settings
        # What fills an input takes its shape.
        filled = prune and any(isinstance(value, Filling) for value in self.values.values())
        if sizes and not held and not filled:
            made = self.analysis.resized(self.shapes | dict(sizes))
            return made.pruned if prune else made
        return analyze(
            self.model,
            shapes=self.shapes | dict(sizes),
            values=self.values | dict(held or {}),
            prune=settings.get("prune") if prune is None else prune,
            strict=settings.get("strict"),
            assume=True,
        )

    def resized(self, axes: Mapping[tuple[str, int], int]) -> dict[str, tuple[int, ...]]:
        """The shapes of the inputs with other lengths of some axes, by input and axis.

        Axes of one name have one length, wherever they stand.
        """
        named = {self.analysis.dims(name)[axis]: size for (name, axis), size in axes.items()}
        named = {dim: size for dim, size in named.items() if isinstance(dim, str)}
        made = {}
        for name, shape in self.sizes.items():
            dims = self.analysis.dims(name)
            made[name] = tuple(
                axes.get((name, axis), named.get(dims[axis], size))
                for axis, size in enumerate(shape)
            )
        return made

    def longer(self, name: str, axis: int) -> Analysis | None:
        """The pruned analysis with an axis twice as long; None if the model fits no such input."""
        if (name, axis) not in self._longer:
            size = self.sizes[name][axis]
            try:
                made = self.at(self.resized({(name, axis): 2 * size}), prune=True)
            except RFGraphError:
                made = None
            self._longer[name, axis] = made
        return self._longer[name, axis]

    @cached_property
    def masks(self) -> dict[str, Analysis]:
        """The inputs that keep constant masks from cutting anything, and the answers without."""
        return to_hold(self.pruned, lambda held: self.at(self.sizes, prune=True, held=held))

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of inputs that are given."""
        return self._given.shapes

    @property
    def values(self) -> dict[str, Any]:
        """What inputs are held at."""
        return self._given.values

    @cached_property
    def _given(self) -> _Given:
        held = dict(self.held or {})
        layers = self.settings.layers
        if not any(layer.values.get(key) for layer in layers for key in _TABLES):
            return _Given(None, {}, held)
        inputs = [given.name for given in read(self.model).inputs]
        shapes, written = [self.settings.table(key, inputs) for key in _TABLES]
        values = {name: value(name, one, self.root) for name, one in written.items()}
        return _Given(inputs, shapes, values | held)

    def nowhere(self) -> Iterator[str]:
        """What settings name that the model does not have."""
        inputs = self._given.inputs
        if inputs is not None:
            for key in _TABLES:
                for layer in self.settings.layers:
                    for name in layer.values.get(key, {}):
                        if name not in inputs:
                            yield f"{key}: the model has no input '{name}'"
        patterns = [(p, "outputs") for p in self.settings.outputs]
        patterns += [(p, "track") for p in self.settings.get("track")]
        known = set(self.analysis.tensors) if patterns else ()
        for pattern, key in patterns:
            if not has_magic(pattern) and pattern not in known:
                yield f"{key}: the model has no value '{pattern}'"

    # ------------------------------------------------ what is looked at

    def outputs(self, analysis: Analysis | None = None) -> Sequence[str]:
        """The outputs for which the check that runs is made, and other values that are named."""
        if self.only is not None:
            return self.only
        seen = self._outputs if analysis is None else self._seen_in(analysis)
        if self.check is None or not self.settings.outputs:
            return seen
        code = self.check.code
        return [output for output in seen if not self.settings.ignored(code, output)]

    @cached_property
    def _outputs(self) -> list[str]:
        return self._seen_in(self.analysis)

    def _seen_in(self, analysis: Analysis) -> list[str]:
        """The outputs that have elements, and other values that are named."""
        every = list(analysis.outputs)
        if self.settings.outputs:
            plain = dict.fromkeys(p for p in self.settings.outputs if not has_magic(p))
            known = set(analysis.tensors).difference(every)
            every += [name for name in plain if name in known]
        return [output for output in every if 0 not in (analysis.extent(output) or ())]

    @property
    def wanted(self) -> set[str]:
        """What those outputs are made of, and themselves."""
        outputs = tuple(self.outputs())
        if outputs not in self._wanted:
            self._wanted[outputs] = set().union(*map(self.analysis.ancestors, outputs))
        return self._wanted[outputs]

    @property
    def tracked(self) -> list[str]:
        """The values that a baseline keeps: the outputs, and those of the patterns of `track`."""
        analysis, patterns = self.analysis, self.settings.get("track")
        kept = dict.fromkeys(analysis.outputs)
        for tensor in analysis.tensors if patterns else ():
            if analysis.node(tensor) and any(fnmatchcase(tensor, p) for p in patterns):
                kept[tensor] = None
        return list(kept)

    def pairs(self, analysis: Analysis | None = None) -> Sequence[tuple[str, str]]:
        """Those outputs, and every input that each depends on."""
        asked = analysis, *self.outputs(analysis)
        found = self._pairs.get(asked)
        if found is None:
            within = analysis or self.analysis
            found = self._pairs[asked] = [
                (output, name)
                for output in self.outputs(analysis)
                for name in within.inputs
                if within.depends(output, name)
            ]
        return found

    def there(self, analysis: Analysis, option: str, name: str, axis: int | None = None) -> None:
        """Fail if an option speaks of an input, or an axis, that the model does not have.

        Raises
        ------
        QueryError
            What it says would hold of nothing.
        """
        inputs = [given for given in analysis.inputs if fnmatchcase(given, name)]
        if not inputs:
            raise QueryError(
                f"{option}: the model has no input '{name}'",
                remedy=f"its inputs are {', '.join(analysis.inputs)}",
            )
        if axis is not None and not any(axis < len(analysis.extent(i) or ()) for i in inputs):
            shapes = ", ".join(f"'{i}' of shape {analysis.extent(i)}" for i in inputs)
            raise QueryError(
                f"{option}: no input has axis {axis}",
                remedy=f"axes are counted from 0; the inputs: {shapes}",
            )

    def asked(self, *options: Option) -> bool:
        """Whether any of some options is set, for whatever output."""
        return any(self.settings.has(option.name) for option in options)

    def limits(self, option: str, output: str, name: str) -> dict[int, float]:
        """A limit for each axis of an input: the axes of a table, or those that move."""
        given: AxisLimits | None = self.settings.get(option, output)
        if given is None:
            return {}
        shape = self.analysis.extent(name) or ()
        if None in given:
            # Of a single channel there is no more to be seen.
            axes = [axis for axis in self.moving_axes(name) if shape[axis] != 1]
            return dict.fromkeys(axes, given[None])
        for axis in given:
            self.there(self.analysis, option, "*", axis)
        rank = len(shape)
        return {axis: limit for axis, limit in given.items() if axis is not None and axis < rank}

    def assumed(self, name: str) -> list[int]:
        """The axes of an input that were given a size, as the model leaves them open."""
        dims = () if name in self.shapes else self.analysis.dims(name)
        return [axis for axis, size in enumerate(dims) if not isinstance(size, int)]

    def moving_axes(self, name: str) -> list[int]:
        """The axes of an input along which fields extend and move."""
        if name not in self._moving:
            self._moving[name] = self.analysis.moving_axes(name)
        return self._moving[name]

    def is_causal(self, output: str, name: str, axis: int) -> bool:
        """Whether an axis of an input is declared causal for an output."""
        declared = self.settings.get("causal", output)
        return (
            declared is not None
            and declared.axis in (None, axis)
            and fnmatchcase(name, declared.input)
        )

    def causal_anywhere(self, name: str, axis: int) -> bool:
        """Whether an axis of an input is declared causal for some output."""
        return any(self.is_causal(output, name, axis) for output in self.analysis.outputs)

    # ------------------------------------------------ findings

    def remark(self, text: str) -> None:
        """Say what could not be looked at, once."""
        if text not in self.remarks:
            self.remarks.append(text)

    def finding(
        self,
        message: str,
        remedy: str,
        *,
        value: str = "",
        made_by: str = "",
        input: str = "",
        axis: int | None = None,
        node: str = "",
        operator: str = "",
        option: str = "",
        **figures: Any,
    ) -> Finding:
        """A finding of the check that runs; with `made_by` at the node that makes a value."""
        assert self.check is not None
        made = self.analysis.node(made_by) if made_by else None
        return Finding(
            self.check.code,
            self.name,
            shortened(message),
            shortened(remedy),
            self.check.severity,
            made.name if made else node,
            made.op_type if made else operator,
            value,
            input,
            axis,
            option,
            figures,
        )


def first(
    analysis: Analysis, output: str, holds: Callable[[str], bool], given: str | None = None
) -> str:
    """The first value on the way to an output of which something holds.

    With `given` it holds of no value that does not see that input, and of all that see the same of
    it or of none.
    """
    before = analysis.ancestors(output)
    if given is None:
        return next((t for t in analysis.tensors if t in before and holds(t)), output)
    asked: set[int] = set()
    for tensor, number in analysis.alike(given).items():
        if number not in asked and tensor in before:
            asked.add(number)
            if holds(tensor):
                return tensor
    return output


def elements(number: Number) -> str:
    """A number of elements, for people.

    >>> elements(1), elements(7)
    ('1 element', '7 elements')
    """
    return f"{number} element{'s' if number != 1 else ''}"


def unit_text(index: Sequence[int]) -> str:
    """Where a unit is, for people; nothing of a scalar.

    >>> unit_text((0, 3)), unit_text(())
    (' at 0,3', '')
    """
    return f" at {','.join(map(str, index))}" if index else ""
