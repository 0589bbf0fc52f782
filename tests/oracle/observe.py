"""What every unit of a model sees, observed by running the model and nothing else.

One element of an input is made NaN, the model is run unoptimised with onnxruntime, and the
units that came out NaN are those that read the element, directly or through other units. It
is an observation of structure: a NaN passes through a weight of any value, a saturated
activation and a softmax over one element alike. `poison` does this for every element.

Some of onnxruntime's kernels lose a NaN, or spread it: the model is rewritten into a *probe*, see
`rfgraph.validation.nan.probe`.

`perturb` changes values in place of poisoning them and compares bit for bit, on the model as it
is. What it finds is certainly read; what is read can escape it (a maximum elsewhere, a dead Relu,
a saturated sigmoid). The two check each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from rfgraph.validation.nan.emitter import Taps
from rfgraph.validation.nan.probe import poisoned

Shape: TypeAlias = tuple[int, ...]
Masks: TypeAlias = dict[str, np.ndarray]
Values: TypeAlias = Literal["outputs", "all"]

FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)


class UnobservableError(Exception):
    """The model can't be observed, and nothing may be concluded from it."""


# ---------------------------------------------------------------- sessions


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """Open a model with every kernel as it is: no fusion, one thread, no log.

    Parameters
    ----------
    model : onnx.ModelProto
        The model.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def input_shapes(model: onnx.ModelProto) -> dict[str, Shape]:
    """Shapes of the inputs that are not weights; they must be static, and floats.

    Raises
    ------
    UnobservableError
        An input is not of 32-bit floats, or a size is missing.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    shapes = {}
    for value in model.graph.input:
        if value.name in weights:
            continue
        tensor = value.type.tensor_type
        if tensor.elem_type != TensorProto.FLOAT:
            raise UnobservableError(f"input {value.name} does not hold 32-bit floats")
        if not all(dim.HasField("dim_value") for dim in tensor.shape.dim):
            raise UnobservableError(f"input {value.name} has no static shape")
        shapes[value.name] = tuple(dim.dim_value for dim in tensor.shape.dim)
    return shapes


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """The attributes that a node has."""
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def node_outputs(model: onnx.ModelProto) -> list[str]:
    """Every value that a node makes, in the order of the nodes."""
    return [name for node in model.graph.node for name in node.output if name]


def _shapes(model: onnx.ModelProto) -> dict[str, Shape]:
    """Static shapes, as far as ONNX infers them."""
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    return {
        value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        for value in (*graph.input, *graph.value_info, *graph.output)
        if value.type.tensor_type.HasField("shape")
        and all(dim.HasField("dim_value") for dim in value.type.tensor_type.shape.dim)
    }


def _names(model: onnx.ModelProto, values: Values | Sequence[str]) -> list[str]:
    if values == "outputs":
        return [output.name for output in model.graph.output]
    if values == "all":
        return node_outputs(model)
    return list(values)


def _with_outputs(model: onnx.ModelProto, names: Iterable[str]) -> onnx.ModelProto:
    """Copy `model`, making it return the values `names`."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.output[:]
    copy.graph.output.extend([helper.make_empty_tensor_value_info(name) for name in names])
    return copy


# ---------------------------------------------------------------- observing


class Poison:
    """A model opened once, to be poisoned at each of its inputs.

    Parameters
    ----------
    model : onnx.ModelProto
        The model: static shapes, inputs of 32-bit floats.
    values : "outputs", "all" or names
        What is observed.
    taps : "read" or "weighted"
        Whether a linear or cubic resize counts every tap that its kernel multiplies, or those
        whose weight is not zero. (With several poisoned taps under a cubic kernel, their weights
        can cancel: of "weighted" it is only certain that what is seen is read.)

    Raises
    ------
    UnobservableError
        Something lives and has no rule, or NaN occurs without any poison.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        values: Values | Sequence[str] = "outputs",
        taps: Taps = "read",
    ) -> None:
        self.names = _names(model, values)
        self.shapes = input_shapes(model)
        probe = poisoned(model, self.names, _shapes(model).get, taps=taps)
        for name, why in probe.lost.items():
            raise UnobservableError(f"{name} lives, and its operator has no rule: {why}")
        try:
            self._session = session(probe.model)
        except Exception as error:
            raise UnobservableError(f"the probe does not load: {error}") from error
        random = np.random.default_rng(0)
        self._feeds = {
            name: random.normal(size=shape).astype(np.float32)
            for name, shape in self.shapes.items()
        }
        self.base = self._run()
        for name, value in self.base.items():
            if value.dtype.kind == "f" and np.isnan(value).any():
                raise UnobservableError(f"{name} holds NaN without any poison")

    def _run(self) -> dict[str, np.ndarray]:
        return dict(zip(self.names, self._session.run(self.names, self._feeds), strict=True))

    def masks(self, name: str) -> Masks:
        """What every unit of every observed value reads of input `name`.

        Returns
        -------
        dict of ndarray of bool
            For each value an array of shape ``value.shape + input.shape``.
        """
        feed = self._feeds[name]
        flat = feed.reshape(-1)
        found = [np.empty((flat.size, v.size), v.dtype) for v in self.base.values()]
        for k in range(flat.size):
            kept = flat[k]
            flat[k] = np.nan
            outputs = self._session.run(self.names, self._feeds)
            flat[k] = kept
            for rows, output in zip(found, outputs, strict=True):
                rows[k] = output.reshape(-1)
        masks = {}
        for (value, base), rows in zip(self.base.items(), found, strict=True):
            nan = np.isnan(rows) if base.dtype.kind == "f" else np.zeros(rows.shape, bool)
            masks[value] = nan.T.reshape(base.shape + feed.shape)
        return masks


def opened(model: onnx.ModelProto, values: Values, taps: Taps = "read") -> Poison:
    """Open a model to be poisoned; what was opened last is at hand still."""
    return _opened(model.SerializeToString(), values, taps)


@lru_cache(maxsize=4)
def _opened(model: bytes, values: Values, taps: Taps) -> Poison:
    return Poison(onnx.load_from_string(model), values, taps)


def poison(
    model: onnx.ModelProto,
    input: str,
    values: Values | Sequence[str] = "outputs",
    *,
    taps: Taps = "read",
) -> Masks:
    """Observe by poison what every unit reads of one input; see `Poison`.

    Returns
    -------
    dict of ndarray of bool
        For each value an array of shape ``value.shape + input.shape``.

    Examples
    --------
    >>> from onnx import parser
    >>> model = parser.parse_model(
    ...     '<ir_version: 8, opset_import: ["": 17]>'
    ...     'g (float[1, 1, 3] x) => (float[1, 1, 2] y) { y = MaxPool <kernel_shape = [2]> (x) }'
    ... )
    >>> poison(model, "x")["y"][0, 0, :, 0, 0].astype(int)
    array([[1, 1, 0],
           [0, 1, 1]])
    """
    return Poison(model, values, taps).masks(input)


def perturb(
    model: onnx.ModelProto,
    input: str,
    values: Values | Sequence[str] = "outputs",
    *,
    seed: int = 0,
    trials: int = 9,
) -> Masks:
    """Observe, by changing one element at a time, which units change by at least a bit.

    Parameters
    ----------
    model : onnx.ModelProto
        The model, which is run as it is.
    input : str
        The input to change.
    values : "outputs", "all" or names
        What is observed.
    seed : int
        Of the random inputs.
    trials : int
        How many random inputs; on each, every element is replaced once: in turn by 1000, by
        -1000 and by another random number, so that it gets to be the maximum and the minimum.

    Returns
    -------
    dict of ndarray of bool
        For each value an array of shape ``value.shape + input.shape``.
    """
    names = _names(model, values)
    opened = session(_with_outputs(model, names))
    random = np.random.default_rng(seed)
    shapes = input_shapes(model)
    found: list[np.ndarray] = []
    for trial in range(trials):
        feeds = {
            name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()
        }
        replacement = (1e3, -1e3, random.normal(scale=3))[trial % 3]
        flat = feeds[input].reshape(-1)
        base = opened.run(names, feeds)
        if not found:
            found = [np.zeros((flat.size, value.size), bool) for value in base]
        for k in range(flat.size):
            kept = flat[k]
            flat[k] = replacement
            for rows, old, new in zip(found, base, opened.run(names, feeds), strict=True):
                rows[k] |= _bits(old) != _bits(new)
            flat[k] = kept
    return {
        name: rows.T.reshape(value.shape + shapes[input])
        for name, rows, value in zip(names, found, base, strict=True)
    }


def _bits(value: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(value).reshape(-1).view(f"u{value.dtype.itemsize}")


# ---------------------------------------------------------------- hulls


def hull(mask: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """The smallest box around what each unit reads.

    Parameters
    ----------
    mask : ndarray of bool, shape value.shape + input.shape
        What each unit reads.
    rank : int
        Rank of the input.

    Returns
    -------
    lo, hi : ndarray of int, shape value.shape + (rank,)
        First and last coordinate on each axis, inclusive; ``lo > hi`` if nothing is read.

    Examples
    --------
    >>> lo, hi = hull(np.array([[False, True, True, False], [False] * 4]), 1)
    >>> lo.tolist(), hi.tolist()
    ([[1], [4]], [[2], [-1]])
    """
    split = mask.ndim - rank
    lo = np.empty((*mask.shape[:split], rank), np.int64)
    hi = np.empty_like(lo)
    for axis in range(rank):
        others = tuple(split + a for a in range(rank) if a != axis)
        seen = np.asarray(mask.any(axis=others))
        size = seen.shape[-1]
        some = seen.any(axis=-1)
        lo[..., axis] = np.where(some, seen.argmax(axis=-1), size)
        hi[..., axis] = np.where(some, size - 1 - seen[..., ::-1].argmax(axis=-1), -1)
    return lo, hi
