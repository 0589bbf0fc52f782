"""What every unit of a model sees, observed by running the model and nothing else.

One element of an input is made NaN, the model is run unoptimised with onnxruntime, and the
units that came out NaN are those that read the element, directly or through other units. It
is an observation of structure: a NaN passes through a weight of any value, a saturated
activation and a softmax over one element alike. `poison` does this for every element.

Some of onnxruntime's kernels lose a NaN, or spread it; `RULES` lists them. For those the model is
rewritten into a *probe*: the operator is replaced by one that reads the same elements and carries
NaN, or it is run, unchanged, on the indicator of NaN (1 where its input is NaN, else 0). Values
that are not floats (comparisons, casts to integers, ArgMax) are floats in the probe.

`perturb` changes values in place of poisoning them and compares bit for bit, on the model as it
is. What it finds is certainly read; what is read can escape it (a maximum elsewhere, a dead Relu,
a saturated sigmoid). The two check each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

Shape: TypeAlias = tuple[int, ...]
Masks: TypeAlias = dict[str, np.ndarray]
Values: TypeAlias = Literal["outputs", "all"]
Taps: TypeAlias = Literal["read", "weighted"]

FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)

# Operators whose outputs are known from shapes alone, and outputs that no data can change.
_SHAPE_ONLY = frozenset({"Shape", "Size"})
_DEAD_OUTPUTS = frozenset({("Dropout", 1)})

# An interpolation weight below this is rounding of one that is zero.
_WEIGHT = 1e-4


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


# ---------------------------------------------------------------- the probe


class _Probe:
    """A model under rewriting: the same values by the same names, all that live are floats."""

    def __init__(self, model: onnx.ModelProto, taps: Taps) -> None:
        self.taps = taps
        self.opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.live = set(input_shapes(model))
        for node in model.graph.node:
            living = [
                name
                for k, name in enumerate(node.output)
                if name and (node.op_type, k) not in _DEAD_OUTPUTS
            ]
            if node.op_type in _SHAPE_ONLY or self.live.isdisjoint(node.input):
                self.nodes.append(node)
                continue
            rule = RULES.get(node.op_type)
            if rule is None or not rule.applies(node, taps):
                self.nodes.append(node)
            else:
                rule.rewrite(self, node)
            self.live.update(living)

    def model(self, model: onnx.ModelProto, names: Iterable[str]) -> onnx.ModelProto:
        """The probe of `model`, returning `names`."""
        probe = _with_outputs(model, names)
        del probe.graph.node[:]
        probe.graph.node.extend(self.nodes)
        probe.graph.initializer.extend(self.constants)
        del probe.graph.value_info[:]
        return probe

    def emit(self, op: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        """Append a node with one output, and return its name."""
        output = output or f"probe_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [output], **attributes))
        return output

    def constant(self, value: object, dtype: type = np.float32) -> str:
        """Name of a new constant."""
        name = f"probe_constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(value, dtype), name))
        return name

    def floats(self, name: str) -> str:
        """An operand as floats: one that lives is, of others nobody knows."""
        return name if name in self.live else self.emit("Cast", [name], to=TensorProto.FLOAT)

    def clone(self, node: onnx.NodeProto, first: str, output: str = "", **changed: Any) -> str:
        """Append `node` reading `first` in place of its first input, some attributes changed."""
        return self.emit(
            node.op_type, [first, *node.input[1:]], output, **(attributes(node) | changed)
        )

    def indicator(self, name: str) -> str:
        """1 where a value is NaN, 0 elsewhere."""
        return self.emit("Cast", [self.emit("IsNaN", [name])], to=TensorProto.FLOAT)

    def exceeds(self, name: str, limit: float) -> str:
        """Where the magnitude of a value exceeds `limit`."""
        return self.emit("Greater", [self.emit("Abs", [name]), self.constant(limit)])

    def nan_where(self, condition: str, output: str) -> None:
        """Make `output` NaN where `condition` holds, and some number elsewhere."""
        nan, number = self.constant(np.nan), self.constant(0.75)
        self.emit("Where", [condition, nan, number], output)


def _max_pool(probe: _Probe, node: onnx.NodeProto) -> None:
    """The same window over the indicator; in a window of padding only the maximum is -max."""
    found = probe.clone(node, probe.indicator(node.input[0]))
    probe.nan_where(probe.emit("Greater", [found, probe.constant(0.5)]), node.output[0])
    for indices in node.output[1:]:
        probe.emit("Identity", [node.output[0]], indices)


def _lrn(probe: _Probe, node: onnx.NodeProto) -> None:
    """The same operator on 1 and 101: their sums of squares are exact, so it forgets exactly."""
    exact: dict[str, Any] = {"alpha": 1.0, "beta": 1.0, "bias": 1.0}
    marked = probe.emit("Mul", [probe.indicator(node.input[0]), probe.constant(100.0)])
    with_it = probe.emit("Add", [marked, probe.constant(1.0)])
    without = probe.emit("Sub", [with_it, marked])
    difference = probe.emit(
        "Sub", [probe.clone(node, with_it, **exact), probe.clone(node, without, **exact)]
    )
    probe.nan_where(probe.exceeds(difference, 1e-3), node.output[0])


def _resize(probe: _Probe, node: onnx.NodeProto) -> None:
    """Interpolate the indicator: what has a weight shows."""
    outside: dict[str, Any] = {}
    if "extrapolation_value" in attributes(node):
        outside["extrapolation_value"] = 0.0
    found = probe.clone(node, probe.indicator(node.input[0]), **outside)
    probe.nan_where(probe.exceeds(found, _WEIGHT), node.output[0])


def _reduction(probe: _Probe, node: onnx.NodeProto) -> None:
    """The mean over the same axes."""
    given = attributes(node)
    probe.emit("ReduceMean", node.input, node.output[0], **given)


def _arg_reduction(probe: _Probe, node: onnx.NodeProto) -> None:
    """The mean over the same axis."""
    given = attributes(node)
    axes = [given.get("axis", 0)]
    keepdims = given.get("keepdims", 1)
    if probe.opset < 18:
        probe.emit("ReduceMean", node.input, node.output[0], axes=axes, keepdims=keepdims)
    else:
        inputs = [node.input[0], probe.constant(axes, np.int64)]
        probe.emit("ReduceMean", inputs, node.output[0], keepdims=keepdims)


def _hardmax(probe: _Probe, node: onnx.NodeProto) -> None:
    """The softmax over the same axis, or axes before opset 13."""
    given = attributes(node)
    probe.emit("Softmax", node.input, node.output[0], **given)


def _global_max_pool(probe: _Probe, node: onnx.NodeProto) -> None:
    """The average over the same axes."""
    probe.emit("GlobalAveragePool", node.input, node.output[0])


def _pass(probe: _Probe, node: onnx.NodeProto) -> None:
    """Each element reads its own."""
    probe.emit("Identity", node.input[:1], node.output[0])


def _sum(probe: _Probe, node: onnx.NodeProto) -> None:
    """The sum of the operands that are given, broadcast alike."""
    probe.emit("Sum", [probe.floats(name) for name in node.input if name], node.output[0])


def _always(node: onnx.NodeProto, taps: Taps) -> bool:
    return True


def _to_non_float(node: onnx.NodeProto, taps: Taps) -> bool:
    return attributes(node)["to"] not in FLOATS


def interpolates(node: onnx.NodeProto) -> bool:
    """Whether a node is a resize that weighs its taps."""
    if node.op_type not in ("Resize", "Upsample"):
        return False
    return bool(attributes(node).get("mode", b"nearest") != b"nearest")


def _weighted(node: onnx.NodeProto, taps: Taps) -> bool:
    return taps == "weighted" and interpolates(node)


@dataclass(frozen=True)
class Rule:
    """Why an operator is not observed as it is, and what stands in for it.

    Attributes
    ----------
    why : str
        What onnxruntime's kernel does with a NaN.
    instead : str
        What the probe has in the operator's place.
    rewrite : callable
        Appends that to a probe.
    applies : callable
        Whether the rule holds for a node, and for the taps that are asked for.
    """

    why: str
    instead: str
    rewrite: Callable[[_Probe, onnx.NodeProto], None]
    applies: Callable[[onnx.NodeProto, Taps], bool] = _always


_LOST = "a comparison with NaN is false, so a NaN only survives as the first element"
_NOT_FLOAT = "the output is no float, and can't hold a NaN"
_ZERO = "taps of weight zero are multiplied too, and 0 * NaN is NaN"

# The rules, established with onnxruntime 1.32's CPU kernels; test_observe.py holds each of them
# against the kernel. Every other operator of the random graphs carries a NaN exactly.
RULES: Mapping[str, Rule] = {
    "MaxPool": Rule(_LOST, "itself on the indicator", _max_pool),
    "GlobalMaxPool": Rule(_LOST, "GlobalAveragePool", _global_max_pool),
    "ReduceMax": Rule(_LOST, "ReduceMean", _reduction),
    "ReduceMin": Rule(_LOST, "ReduceMean", _reduction),
    "ArgMax": Rule(_NOT_FLOAT, "ReduceMean", _arg_reduction),
    "ArgMin": Rule(_NOT_FLOAT, "ReduceMean", _arg_reduction),
    "Hardmax": Rule("only zeros and ones are written", "Softmax", _hardmax),
    "ThresholdedRelu": Rule("NaN is not above alpha: 0", "Identity", _pass),
    "Shrink": Rule("NaN is neither below nor above: 0", "Identity", _pass),
    "IsNaN": Rule(_NOT_FLOAT, "Identity", _pass),
    "IsInf": Rule(_NOT_FLOAT, "Identity", _pass),
    "Not": Rule(_NOT_FLOAT, "Identity", _pass),
    "Cast": Rule("an integer or a bool can't hold a NaN", "Identity", _pass, _to_non_float),
    "CastLike": Rule("the type may be one that can't hold a NaN", "Identity", _pass),
    "Greater": Rule(_NOT_FLOAT, "Sum", _sum),
    "GreaterOrEqual": Rule(_NOT_FLOAT, "Sum", _sum),
    "Less": Rule(_NOT_FLOAT, "Sum", _sum),
    "LessOrEqual": Rule(_NOT_FLOAT, "Sum", _sum),
    "Equal": Rule(_NOT_FLOAT, "Sum", _sum),
    "And": Rule(_NOT_FLOAT, "Sum", _sum),
    "Or": Rule(_NOT_FLOAT, "Sum", _sum),
    "Xor": Rule(_NOT_FLOAT, "Sum", _sum),
    "Where": Rule("only the branch that is taken passes", "Sum", _sum),
    "Clip": Rule("a limit that is NaN does not limit", "Sum", _sum),
    "Pow": Rule("1 to the power of NaN is 1, and NaN to the power of 0", "Sum", _sum),
    "PRelu": Rule("the slope is not read where the value is positive", "Sum", _sum),
    "LRN": Rule(
        "a running sum over the channels keeps NaN beyond the window",
        "itself on 1 and on 1 + 100 * the indicator, compared",
        _lrn,
    ),
    "Resize": Rule(_ZERO, "itself on the indicator", _resize, _weighted),
    "Upsample": Rule(_ZERO, "itself on the indicator", _resize, _weighted),
}


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
        Something lives that is no float and has no rule, or NaN occurs without any poison.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        values: Values | Sequence[str] = "outputs",
        taps: Taps = "read",
    ) -> None:
        probe = _Probe(model, taps)
        self.names = _names(model, values)
        self.shapes = input_shapes(model)
        try:
            self._session = session(probe.model(model, self.names))
        except Exception as error:
            raise UnobservableError(f"the probe does not load: {error}") from error
        random = np.random.default_rng(0)
        self._feeds = {
            name: random.normal(size=shape).astype(np.float32)
            for name, shape in self.shapes.items()
        }
        self.base = self._run()
        for name, value in self.base.items():
            if value.dtype.kind == "f":
                if np.isnan(value).any():
                    raise UnobservableError(f"{name} holds NaN without any poison")
            elif name in probe.live:
                raise UnobservableError(f"{name} lives, is no float, and its operator has no rule")

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
