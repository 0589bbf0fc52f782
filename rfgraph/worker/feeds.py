"""What a model is run on, where its user gives nothing: random numbers that it accepts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from rfgraph.analysis.analysis import Analysis
from rfgraph.errors import QueryError, RFGraphError
from rfgraph.reads.words import Shape
from rfgraph.worker.sessions import exact

# Random whole numbers are drawn below the first of these that the model accepts: for tokens,
# classes, bytes, bits.
LIMITS = (30_000, 1_000, 256, 100, 10, 2, 1)

_UNFILLED = (TensorProto.UNDEFINED, TensorProto.STRING)


def accepted(
    analysis: Analysis,
    proto: onnx.ModelProto,
    folder: str,
    inputs: Mapping[str, Any],
    values: Mapping[str, Any],
    seed: int,
    providers: Sequence[str],
) -> tuple[dict[str, Any], int | None]:
    """What the model is run on, and below what limit whole numbers are drawn, if any are."""

    @cache
    def session() -> Any:
        return exact(proto.SerializeToString(), folder, providers, 0, analysis.file)

    def runs(feeds: Mapping[str, Any]) -> bool:
        try:
            session().run(None, feeds)
        except RFGraphError:
            raise
        except Exception:  # what is raised differs from kernel to kernel
            return False
        return True

    return settled(analysis, proto, {**inputs, **values}, values, seed, runs)


def settled(
    analysis: Analysis,
    proto: onnx.ModelProto,
    given: Mapping[str, Any],
    held: Collection[str],
    seed: int,
    runs: Callable[[Mapping[str, Any]], bool],
) -> tuple[dict[str, Any], int | None]:
    """As `accepted`, where `runs` says whether the model runs on given inputs.

    Parameters
    ----------
    analysis : Analysis
        Has the shapes.
    proto : onnx.ModelProto
        Has the types.
    given : mapping of str to array
        What is given for some inputs.
    held : collection of str
        Those that may have a weight of the same name, which is theirs if nothing else is given.
    seed : int
        Of the random numbers.
    runs : callable
        Asked only where there are whole numbers to be drawn.
    """
    weights = {t.name for t in proto.graph.initializer}
    weights |= {t.values.name for t in proto.graph.sparse_initializer}
    wanted = [i for i in proto.graph.input if i.name not in weights or i.name in held]
    shapes = {name: analysis.extent(name) or () for name in analysis.inputs}
    shapes = {n: s for n, s in shapes.items() if analysis.extent(n) is not None}

    def draw(limit: int) -> dict[str, Any]:
        return drawn(wanted, shapes, given, seed, limit, analysis.file)

    feeds = draw(LIMITS[0])
    if not whole_numbers([i for i in wanted if i.name not in given]):
        return feeds, None
    # What is too large, as a token beyond the vocabulary, the model itself refuses.
    for limit in LIMITS:
        feeds = draw(limit)
        if runs(feeds):
            return feeds, limit
    return feeds, LIMITS[-1]


def whole_numbers(inputs: Sequence[onnx.ValueInfoProto]) -> bool:
    """Whether one of the inputs holds whole numbers."""
    return any(_dtype(i).kind in "iu" for i in inputs if i.type.tensor_type.elem_type)


def drawn(
    inputs: Sequence[onnx.ValueInfoProto],
    shapes: Mapping[str, Shape],
    given: Mapping[str, Any],
    seed: int,
    limit: int,
    file: str | None,
) -> dict[str, np.ndarray]:
    """An array for every input.

    Parameters
    ----------
    inputs : sequence of onnx.ValueInfoProto
        The model's inputs.
    shapes : mapping of str to tuple of int
        Their shapes.
    given : mapping of str to array
        What is given for some of them: an array of the shape, or of one row of the batch.
    seed : int
        Of the random numbers.
    limit : int
        Whole numbers are below it.
    file : str or None
        The model's path, for messages.

    Raises
    ------
    QueryError
        What is given doesn't fit, or an input can't be filled with random numbers.
    """
    unknown = sorted(set(given) - {i.name for i in inputs})
    if unknown:
        raise QueryError(
            f"inputs: the model has no input '{unknown[0]}'",
            file=file,
            remedy=f"its inputs are {', '.join(i.name for i in inputs)}",
        )
    rng = np.random.default_rng(seed)
    feeds = {}
    for value in inputs:
        kind = value.type.tensor_type.elem_type
        if value.name in given:
            feeds[value.name] = _fitted(value, given[value.name], shapes.get(value.name), file)
            continue
        shape = shapes.get(value.name)
        if kind in _UNFILLED or shape is None:
            raise QueryError(
                f"input '{value.name}' can't be filled with random numbers",
                file=file,
                remedy="give it with inputs=, a tensor on the command line with --inputs FILE.npz",
            )
        dtype = _dtype(value)
        if dtype.kind == "b":
            feeds[value.name] = np.asarray(rng.random(shape) < 0.5)
        elif dtype.kind in "iu":
            top = min(limit, int(np.iinfo(dtype).max) + 1)
            feeds[value.name] = np.asarray(rng.integers(0, top, shape), dtype)
        else:
            feeds[value.name] = np.asarray(rng.standard_normal(shape), dtype)
    return feeds


def _dtype(value: onnx.ValueInfoProto) -> np.dtype:
    return np.dtype(helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))


def _fitted(
    value: onnx.ValueInfoProto, given: Any, shape: Shape | None, file: str | None
) -> np.ndarray:
    kind = value.type.tensor_type.elem_type
    if not kind:
        return given  # type: ignore[no-any-return]
    array = np.asarray(given)
    if kind == TensorProto.STRING:
        # As runtimes have strings, whatever a file has them as.
        array = array.astype(object)
    else:
        try:
            array = array.astype(_dtype(value))
        except (TypeError, ValueError) as error:
            raise QueryError(
                f"inputs: what is given for '{value.name}' is not an array of {_dtype(value)}: "
                f"{error}",
                file=file,
            ) from None
    if shape is not None and array.shape != shape:
        if not shape or array.shape != (1, *shape[1:]):
            sizes = ",".join(map(str, array.shape))
            raise QueryError(
                f"inputs: '{value.name}' is given with the shape {array.shape}, and is analysed "
                f"with the shape {shape}",
                file=file,
                remedy=f"analyse it with --shape {value.name}={sizes}, in Python "
                f"shapes={{'{value.name}': {array.shape}}}",
            )
        array = np.repeat(array, shape[0], axis=0)
    return array


def save_arrays(path: Path, arrays: Iterable[Any]) -> None:
    """Write arrays by their order, as ``arr_0``, ``arr_1``: a name may be one that `numpy.savez`
    takes for its own. Strings get a fixed length, so that nothing is pickled.
    """
    given = [np.asarray(array) for array in arrays]
    np.savez(path, *[a.astype(np.str_) if a.dtype.kind == "O" else a for a in given])
