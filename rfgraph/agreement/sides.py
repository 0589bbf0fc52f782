"""A side of a comparison: a model in a runtime, and what it makes of inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx.external_data_helper import load_external_data_for_model

from rfgraph.agreement.result import SideFound
from rfgraph.analysis.analysis import Analysis
from rfgraph.analysis.inputs import Model
from rfgraph.errors import RFGraphError
from rfgraph.model.model_file import whole
from rfgraph.runtimes import Outcome, Session
from rfgraph.runtimes.observe import MARGIN, Region, distance, roundoff, tensor
from rfgraph.runtimes.session import ANSWERED, OTHER_SHAPE, OTHER_TYPE
from rfgraph.worker.protos import element_type_of, runnable, types_of, upto

# Types of so few bits that numbers come in coarse steps.
_COARSE = frozenset(
    value
    for name, value in TensorProto.DataType.items()
    if name.startswith(("INT8", "UINT8", "INT4", "UINT4", "INT2", "UINT2", "FLOAT8", "FLOAT4"))
)

# A step of a type of eight bits, relative to the largest number.
_EIGHT_BITS = 2.0**-8

# Rounding of single precision is hardly ever larger at the end of a model.
_AMPLIFIED = 1e-3

# So many more equal runs tell what is random: one of few numbers may come twice.
_EQUAL = 3

_HALF = {TensorProto.FLOAT16: 2.0**-11, TensorProto.BFLOAT16: 2.0**-9}


class Side:
    """A model in a runtime.

    Parameters
    ----------
    name : str
        What it is called.
    model : path, bytes or onnx.ModelProto
        The model, as it is given.
    analysis : Analysis
        What rfgraph claims of it.
    session : Session
        The runtime.

    Attributes
    ----------
    proto : onnx.ModelProto
        The model with its weights and without functions.
    noise : float
        The unit of roundoff of what the runtime computes in, or, if larger, of the model's types.
    coarse : bool
        Whether something in it is computed in eight bits.
    outcome : Outcome
        What came of opening it.
    unsteady : set of int
        The places of the outputs that differ in equal runs.
    """

    def __init__(self, name: str, model: Model, analysis: Analysis, session: Session) -> None:
        self.name = name
        self.analysis = analysis
        self.session = session
        self.model = model
        proto, folder = whole(model)
        if folder:
            load_external_data_for_model(proto, folder)
        self.proto = runnable(proto)
        self.roundoff = roundoff(session)
        self.noise = max(self.roundoff, _narrowest(self.proto))
        self.coarse = is_coarse(self.proto)
        self.outputs = [output.name for output in self.proto.graph.output]
        self.unsteady: set[int] = set()
        self.outcome = self.open_whole()

    @property
    def compared(self) -> bool:
        """Whether it answers, if only with another shape or type."""
        return self.outcome.kind in (ANSWERED, OTHER_SHAPE, OTHER_TYPE)

    def open_whole(self) -> Outcome:
        """Open the model as it is given."""
        if isinstance(self.model, onnx.ModelProto):
            return self.session.open(self.model.SerializeToString())
        return self.session.open(self.model)

    def open_upto(self, values: Sequence[str]) -> Outcome:
        """Open the part of the model that makes some of its values."""
        part = upto(self.proto, values)
        for output in part.graph.output:
            # Some runtimes want to be told what they give back; shapes may be others than inferred.
            kind = self.kinds.get(output.name)
            if kind is not None and kind.tensor_type.elem_type:
                output.type.tensor_type.elem_type = kind.tensor_type.elem_type
        return self.session.open(serialized(part, self.analysis.file))

    @cached_property
    def kinds(self) -> dict[str, onnx.TypeProto]:
        """The types of the model's values, as far as ONNX infers them."""
        return types_of(self.proto)

    def names_of(self, names: Sequence[str]) -> dict[str, str]:
        """What this side calls another side's inputs, as `paired` has it."""
        weights = {tensor.name for tensor in self.proto.graph.initializer}
        own = [value.name for value in self.proto.graph.input if value.name not in weights]
        return paired(names, own, self.analysis.file)

    def feeds(self, feeds: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Inputs of another side's model as inputs of this one."""
        kinds = {value.name: value.type.tensor_type.elem_type for value in self.proto.graph.input}
        names = self.names_of([*feeds])
        return {own: as_type(np.asarray(feeds[name]), kinds[own]) for name, own in names.items()}

    def region(self, region: Region, feeds: Mapping[str, Any]) -> Region:
        """A region of another side's input as one of this; none of it where it has no such input.

        Parameters
        ----------
        region : Region
            Elements of the other side's input.
        feeds : mapping of str to array
            What the other side is fed.
        """
        names = self.names_of([*feeds])
        if region.input in names:
            return Region(names[region.input], region.index)
        some = next(iter(names))
        return Region(names[some], np.zeros(np.shape(feeds[some]), dtype=bool))

    def differing(self, feeds: Mapping[str, np.ndarray], before: Outcome) -> set[int]:
        """The outputs of the open model that differ in more runs equal to one, beyond rounding."""
        return {
            k
            for one in self.session.run([feeds] * _EQUAL)
            if one.answered and before.answered
            for k, pair in enumerate(zip(before.outputs, one.outputs, strict=True))
            if distance(*map(tensor, pair)).max(initial=0.0) > MARGIN * self.noise
        }

    def found(self) -> SideFound:
        """What is told of it."""
        file = self.analysis.file or self.proto.graph.name
        said = str(self.outcome)
        return SideFound(self.name, file, self.session.version, said, self.roundoff)


def paired(names: Sequence[str], twins: Sequence[str], file: str | None) -> dict[str, str]:
    """The inputs of a model with those of its twin: by name, the others in their order.

    An input that the twin lacks is left out.

    Raises
    ------
    RFGraphError
        The twin has one that the model lacks, or none at all.

    >>> paired(["a", "b", "c"], ["c", "x", "y"], None)
    {'c': 'c', 'a': 'x', 'b': 'y'}
    """
    if names and not twins:
        raise RFGraphError("it has no inputs, and the other model has", file=file)
    made = {name: name for name in twins if name in names}
    left = [name for name in names if name not in made]
    others = [name for name in twins if name not in made]
    if others and len(others) != len(left):
        raise RFGraphError(
            f"its input '{others[0]}' is none of the other model's, which has "
            f"{len(names)} inputs: {', '.join(names)}",
            file=file,
        )
    return made | dict(zip(left, others, strict=False))


def serialized(proto: onnx.ModelProto, file: str | None) -> bytes:
    """The bytes of a model.

    Raises
    ------
    RFGraphError
        It has more than protobuf can hold.
    """
    try:
        made: bytes = proto.SerializeToString()
    except Exception as error:  # what is raised differs from version to version of protobuf
        raise RFGraphError(
            "its weights are too large for copies of it that show inner values",
            file=file,
            remedy="compare a smaller model of the same architecture",
        ) from error
    return made


def alone(
    ours: np.ndarray,
    theirs: np.ndarray,
    seeing: Side,
    blind: Side,
    claimed: np.ndarray | None,
    *,
    coarse: bool,
    least: float = 0.0,
) -> np.ndarray:
    """Where one side sees what the other does not, beyond the rounding of both.

    Parameters
    ----------
    ours, theirs : ndarray
        Responses on the two sides, as `rfgraph.runtimes.observe.Sight` has them.
    seeing, blind : Side
        The sides.
    claimed : ndarray of bool or None
        What is claimed to be seen; None: everything. Elsewhere any change but that of rounding is
        sight.
    coarse : bool
        Whether a side computes in eight bits: a change that is to be seen may then be lost in a
        step, make one, or be cut off at the end of the range, and shows nothing.
    least : float
        What `amplified` says of the output.
    """
    inside = np.inf if coarse else MARGIN * max(seeing.noise, blind.noise)
    clear = inside if claimed is None else np.where(claimed, inside, MARGIN * seeing.noise)
    clear = np.maximum(clear, least)
    found: np.ndarray = (ours > clear) & (theirs <= MARGIN * blind.noise) & (theirs <= ours / 64)
    return found


def amplified(apart: float) -> float:
    """How large a response may be that is rounding which a model has made larger.

    Where a large number is added and taken away again, as by a bias and a normalisation behind it,
    one step of rounding is many units of roundoff of what is left. That shows where the sides
    differ on the same inputs; by more than can come of it they differ in earnest.

    >>> amplified(3e-6), amplified(0.5)
    (6e-06, 0.001)
    """
    return min(2 * apart, _AMPLIFIED)


def nothing(ours: np.ndarray, theirs: np.ndarray, blind: Side) -> np.ndarray:
    """What one side sees, of units with which the other changes with nothing at all.

    This tells also where steps are coarse: not every change is lost in one.

    Parameters
    ----------
    ours, theirs : ndarray, shape (regions, units)
        Responses on the two sides.
    blind : Side
        The other side.
    """
    still = (theirs <= MARGIN * blind.noise) & (theirs <= ours.max(axis=0, initial=0.0) / 64)
    found: np.ndarray = is_clear(ours) & still.all(axis=0)
    return found


def is_clear(responses: np.ndarray) -> np.ndarray:
    """Which responses are more than some steps of eight bits."""
    found: np.ndarray = responses > MARGIN * _EIGHT_BITS
    return found


def is_coarse(proto: onnx.ModelProto) -> bool:
    """Whether something is computed in eight bits or fewer."""
    given = {value.name for value in proto.graph.input}
    kinds = {tensor.data_type for tensor in proto.graph.initializer}
    kinds |= {element_type_of(kind) for name, kind in types_of(proto).items() if name not in given}
    return not kinds.isdisjoint(_COARSE)


def type_of(array: np.ndarray) -> int:
    """The element type of an array in ONNX."""
    if array.dtype.kind in "OUS":
        return int(TensorProto.STRING)
    return int(helper.np_dtype_to_tensor_dtype(array.dtype))


def as_type(array: np.ndarray, kind: int) -> np.ndarray:
    """An array as one of an element type of ONNX; as it is where that is not known, or strings."""
    if not kind or kind == TensorProto.STRING:
        return array
    return np.asarray(array, helper.tensor_dtype_to_np_dtype(kind))


def file_of(model: Model) -> str:
    """The name of a model's file without its ending; ``"model"`` for one that has none."""
    return Path(model).stem if isinstance(model, (str, Path)) else "model"


def _narrowest(proto: onnx.ModelProto) -> float:
    """The unit of roundoff of the narrowest float type of a model's weights and inputs."""
    kinds = {tensor.data_type for tensor in proto.graph.initializer}
    kinds |= {value.type.tensor_type.elem_type for value in proto.graph.input}
    return max((_HALF[kind] for kind in kinds if kind in _HALF), default=0.0)


__all__ = [
    "Side",
    "alone",
    "amplified",
    "as_type",
    "file_of",
    "is_clear",
    "is_coarse",
    "nothing",
    "paired",
    "serialized",
    "type_of",
]
