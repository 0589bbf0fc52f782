"""What each node that sees whole axes costs: how far the result moves if it alone sees a tile.

The nodes' values are made inputs of the model. Then all but one can be given what they are of the
whole, and that one what it is of a tile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rfgraph.analysis import Analysis
from rfgraph.errors import RFGraphError
from rfgraph.worker.source import opened, outputs_of

if TYPE_CHECKING:
    import onnx

# Of how many elements a tile begins at, and the whole and a tile have, along the axis that is cut.
Lengths = tuple[int, int, int]


class Costs:
    """The model with values that can be given.

    Parameters
    ----------
    analysis : Analysis
        Of the model.
    model : path, bytes or onnx.ModelProto
        The model.
    values : sequence of str
        What the nodes make that see whole axes.

    Raises
    ------
    RFGraphError
        The file does not have these values by these names, or onnxruntime can't open it.
    """

    def __init__(self, analysis: Analysis, model: Any, values: Sequence[str]) -> None:
        self._file, self._values = analysis.file, values
        proto = _read(model, analysis.file)
        made = {name for node in proto.graph.node for name in node.output}
        if not made.issuperset(values):
            raise RFGraphError("a node that sees whole axes stands within another", file=self._file)
        types = {value: analysis.flow.shapes.element_type(value) for value in values}
        self._told = _opened(_with_outputs(proto, types), self._file)
        self._given = _opened(_with_inputs(proto, types), self._file)

    def measured(
        self,
        whole: Mapping[str, np.ndarray],
        tile: Mapping[str, np.ndarray],
        lengths: Lengths,
        outputs: Sequence[str],
        difference: Callable[[Sequence[np.ndarray]], float],
        rounding: float,
    ) -> list[float] | None:
        """The difference from the whole that each of the values makes.

        Parameters
        ----------
        whole, tile : mapping of str to ndarray
            The inputs.
        lengths : (int, int, int)
            Where the tile begins, and how long the whole and the tile are.
        outputs : sequence of str
            The outputs that are compared.
        difference : callable
            Of the outputs of a tile: their difference from the whole.
        rounding : float
            Differences that count for nothing.

        Returns
        -------
        list of float or None
            For each value; None if tiles are not right where all values are those of the whole, so
            that nothing can be said of one.
        """
        of_whole = outputs_of(self._told, self._values, whole, self._file)
        of_tile = outputs_of(self._told, self._values, tile, self._file)
        given: dict[str, np.ndarray] = {}
        for value, larger, smaller in zip(self._values, of_whole, of_tile, strict=True):
            part = _part(larger, smaller.shape, lengths)
            if part is None:
                return None
            given[_renamed(value)] = part

        made = [name for name in outputs if name not in self._values]

        def moved(feeds: Mapping[str, np.ndarray]) -> float:
            arrays = outputs_of(self._given, made, {**tile, **feeds}, self._file) if made else []
            found = dict(zip(made, arrays, strict=True))
            # An output may be such a value itself.
            return difference([found[n] if n in found else feeds[_renamed(n)] for n in outputs])

        if moved(given) > rounding:
            return None
        own = outputs_of(self._given, self._values, {**tile, **given}, self._file)
        pairs = zip(self._values, own, strict=True)
        return [moved({**given, _renamed(value): array}) for value, array in pairs]


def _part(whole: np.ndarray, shape: Sequence[int], lengths: Lengths) -> np.ndarray | None:
    """What a tile has of a value of the whole, which grows with one axis at most."""
    begin, longer, shorter = lengths
    grown = [k for k, (n, m) in enumerate(zip(whole.shape, shape, strict=True)) if n != m]
    if not grown:
        return whole
    (k, *others) = grown
    first, rest = divmod(begin * (whole.shape[k] - shape[k]), longer - shorter)
    if others or rest:
        return None
    return np.ascontiguousarray(whole[(slice(None),) * k + (slice(first, first + shape[k]),)])


def _renamed(value: str) -> str:
    return f"{value}/given"


def _read(model: Any, file: str | None) -> onnx.ModelProto:
    import onnx

    if hasattr(model, "SerializeToString"):
        model = model.SerializeToString()
    if not isinstance(model, bytes):
        return onnx.load(Path(model))
    return onnx.load_from_string(model)


def _with_outputs(proto: onnx.ModelProto, types: Mapping[str, int]) -> onnx.ModelProto:
    from onnx import ModelProto, helper

    made = ModelProto()
    made.CopyFrom(proto)
    there = {output.name for output in proto.graph.output}
    for value, of_type in types.items():
        if value not in there:
            made.graph.output.append(helper.make_tensor_value_info(value, of_type, None))
    return made


def _with_inputs(proto: onnx.ModelProto, types: Mapping[str, int]) -> onnx.ModelProto:
    from onnx import helper

    made = _with_outputs(proto, types)
    for node in made.graph.node:
        node.input[:] = [_renamed(name) if name in types else name for name in node.input]
    for value, of_type in types.items():
        info = helper.make_tensor_value_info(_renamed(value), of_type, None)
        made.graph.input.append(info)
    return made


def _opened(proto: onnx.ModelProto, file: str | None) -> Any:
    from onnxruntime import SessionOptions

    options = SessionOptions()
    options.log_severity_level = 4
    try:
        contents = proto.SerializeToString()
    except ValueError as error:
        raise RFGraphError(f"it can't be written anew: {error}", file=file) from None
    return opened(contents, file, sess_options=options)


def costs_of(analysis: Analysis, model: Any, values: Sequence[str | None]) -> Costs | None:
    """The model with these values, if they can be given."""
    named = [value for value in values if value is not None]
    if hasattr(model, "run") or not named or len(named) < len(values):
        return None
    with suppress(RFGraphError):
        return Costs(analysis, model, named)
    return None


__all__ = ["Costs", "costs_of"]
