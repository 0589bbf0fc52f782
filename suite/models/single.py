"""Models of one node: what each of them is made of, and in which words it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from onnx import defs, helper, numpy_helper, shape_inference

MAX_ELEMENTS = 200
"""Elements of all inputs of a model together: it is run a few times for each."""


class BrokenModelError(Exception):
    """A model of the suite is not valid by the specification."""


@dataclass(frozen=True)
class Live:
    """An input of a model.

    Attributes
    ----------
    shape : tuple of int
        Its shape.
    low, high : float
        Between which its values lie.
    dtype : type
        Their type.
    """

    shape: tuple[int, ...]
    low: float = -1.0
    high: float = 1.0
    dtype: type = np.float32

    def values(self, seed: int) -> np.ndarray:
        """Generic values: no float is another, and none is near zero."""
        rng = np.random.default_rng(seed)
        if np.issubdtype(self.dtype, np.floating):
            drawn = rng.uniform(self.low, self.high, self.shape)
            near = 0.05 * (self.high - self.low)
            return np.asarray(np.where(np.abs(drawn) < near, drawn + 2 * near, drawn), self.dtype)
        if self.dtype is np.bool_:
            return np.asarray(rng.random(self.shape) < 0.5)
        drawn = rng.integers(int(self.low), int(self.high), self.shape, endpoint=True)
        return np.asarray(drawn, self.dtype)


def live(*shape: int, low: float = -1.0, high: float = 1.0, dtype: type = np.float32) -> Live:
    """Say that an operand is an input of the model, with values between `low` and `high`."""
    return Live(shape, low, high, dtype)


def floats(*shape: int, seed: int = 1, low: float = -1.0, high: float = 1.0) -> np.ndarray:
    """Draw generic constants: none is near zero, none is another."""
    return Live(shape, low, high).values(seed)


def ints(*values: int, dtype: type = np.int64) -> np.ndarray:
    """A constant of rank 1."""
    return np.array(values, dtype)


@dataclass(frozen=True)
class Single:
    """A model of one node.

    Attributes
    ----------
    operator : str
        Its operator, of the domain ``ai.onnx``.
    opset : int
        Operator-set version.
    operands : mapping of str to Live, ndarray or None
        By the name that the schema has for it; an array is an initializer, None is left out.
    outputs : tuple of str
        Those that are asked for; "" is left out.
    attributes : mapping
        As they are given.
    hides : bool
        Whether elements are chosen by their values, so that what is seen of them is never all.
    made : tuple of int or None
        The shape of its output, where ONNX does not infer it.
    note : str
        What tells it from another one of the same shapes and attributes.
    """

    operator: str
    opset: int
    operands: Mapping[str, Live | np.ndarray | None]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    note: str = ""
    made: tuple[int, ...] | None = None
    hides: bool = False

    @property
    def inputs(self) -> dict[str, Live]:
        """The operands that are fed."""
        return {name: one for name, one in self.operands.items() if isinstance(one, Live)}

    @cached_property
    def words(self) -> str:
        """Operator, operator set, shapes and attributes: no two models have the same."""
        shown = ", ".join(
            f"{name} {_told(one)}" for name, one in self.operands.items() if one is not None
        )
        given = ", ".join(f"{name}={_plain(value)}" for name, value in self.attributes.items())
        note = f" ({self.note})" if self.note else ""
        rest = f"; {given}" if given else ""
        extra = f"; outputs {', '.join(filter(None, self.outputs))}" if self.outputs[1:] else ""
        return f"{self.operator}-{self.opset}: {shown}{rest}{extra}{note}"

    @cached_property
    def model(self) -> onnx.ModelProto:
        """The model, checked.

        Raises
        ------
        BrokenModelError
            It is not valid by the specification, or too large.
        """
        names = [name if one is not None else "" for name, one in self.operands.items()]
        while names and not names[-1]:
            names.pop()
        attributes = {k: v for k, v in self.attributes.items() if v is not None}
        node = helper.make_node(self.operator, names, list(self.outputs), "node", **attributes)
        fed = [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(np.dtype(one.dtype)), one.shape
            )
            for name, one in self.inputs.items()
        ]
        made = [helper.make_empty_tensor_value_info(name) for name in self.outputs if name]
        if self.made is not None:
            made = [helper.make_tensor_value_info(self.outputs[0], 1, self.made)]
        held = [
            numpy_helper.from_array(one, name)
            for name, one in self.operands.items()
            if isinstance(one, np.ndarray)
        ]
        opsets = [helper.make_opsetid("", self.opset)]
        model = helper.make_model(
            helper.make_graph([node], "single", fed, made, held),
            opset_imports=opsets,
            ir_version=8 if self.opset < 19 else 10,
            producer_name="rfgraph suite",
        )
        try:
            told = shape_inference.infer_shapes(
                model, check_type=True, strict_mode=True, data_prop=True
            )
            onnx.checker.check_model(told, full_check=True)
        except Exception as error:
            raise BrokenModelError(f"{self.words}: {error}") from error
        if sum(int(np.prod(one.shape)) for one in self.inputs.values()) > MAX_ELEMENTS:
            raise BrokenModelError(f"{self.words}: more than {MAX_ELEMENTS} elements")
        for value in told.graph.output:
            if not value.type.tensor_type.HasField("shape"):
                raise BrokenModelError(f"{self.words}: the shape of {value.name} is not inferred")
        return told


def single(
    operator: str,
    *operands: Live | np.ndarray | None,
    opset: int,
    outputs: int | tuple[str, ...] = 1,
    note: str = "",
    made: tuple[int, ...] | None = None,
    hides: bool = False,
    **attributes: Any,
) -> Single:
    """Make a model of one node; operands are named as the schema names them."""
    # Runtimes promise nothing for what was before 7.
    opset = max(opset, 7)
    schema = defs.get_schema(operator, opset)
    formal = [one.name for one in schema.inputs]
    names = formal[: len(operands)]
    names += [f"{formal[-1]}{k}" for k in range(len(names), len(operands))]
    if isinstance(outputs, int):
        whole = [one.name for one in schema.outputs]
        whole += [f"{whole[-1]}{k}" for k in range(len(whole), outputs)]
        outputs = tuple(whole[:outputs])
    # An output that is called as an input is would be the same value.
    outputs = tuple(f"{name}_out" if name in names else name for name in outputs)
    given = dict(zip(names, operands, strict=True))
    return Single(operator, opset, given, outputs, attributes, note, made, hides)


Family = Callable[[], Iterator[Single]]
FAMILIES: dict[str, Family] = {}


def family(name: str) -> Callable[[Family], Family]:
    """Register what makes the models of a family."""

    def register(made: Family) -> Family:
        FAMILIES[name] = made
        return made

    return register


def _told(one: Live | np.ndarray) -> str:
    shape = "x".join(map(str, one.shape)) or "scalar"
    if isinstance(one, Live):
        kind = np.dtype(one.dtype).name
        return shape if kind == "float32" else f"{kind} {shape}"
    if one.size <= 8 and (one.dtype.kind in "iub" or one.ndim <= 1):
        return f"= {_plain(one.tolist())}"
    return f"= constant {shape}"


def _plain(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_plain(one) for one in value) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)
