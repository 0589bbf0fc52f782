"""What ONNX's definitions say of operators: how many inputs and outputs, which attributes.

Of ONNX's own operators that stands in a table (`signature_table`), so that a usual model is read
without the onnx package, which takes as long to import as most models to analyse. What is not in
the table, as newer operator sets and other domains, is asked of ``onnx.defs``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any, NamedTuple

from rfgraph.model.signature_table import NEWEST, TABLE

# The types of attributes by number: ``AttributeProto.AttributeType``.
_TYPES = (
    *("UNDEFINED", "FLOAT", "INT", "STRING", "TENSOR", "GRAPH", "FLOATS", "INTS", "STRINGS"),
    *("TENSORS", "GRAPHS", "SPARSE_TENSOR", "SPARSE_TENSORS", "TYPE_PROTO", "TYPE_PROTOS"),
)

# If an operator takes more inputs than this, it takes any number of them.
_MANY = 1000


def _named(kind: int) -> str:
    return _TYPES[kind] if 0 <= kind < len(_TYPES) else str(kind)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


class Signature(NamedTuple):
    """What ONNX's definition says of an operator's inputs, outputs and attributes.

    Attributes
    ----------
    since : int
        The operator set from which on it holds.
    least, most : int
        How many inputs there may be.
    outputs : int
        How many outputs there may be.
    needed : frozenset of int
        The inputs that may not be left out.
    attributes : dict of str to int
        The attributes and their types (``AttributeProto.AttributeType``).
    required : frozenset of str
        Those that have to be given.
    elements : tuple of (int, int)
        For each output its element type, or else 0 and the input that has the same one, -1 if none
        has.
    """

    since: int
    least: int
    most: int
    outputs: int
    needed: frozenset[int]
    attributes: Mapping[str, int]
    required: frozenset[str]
    elements: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, schema: Any) -> Signature:
        """What an ``onnx.defs.OpSchema`` says."""
        from onnx import TensorProto, defs

        single = defs.OpSchema.FormalParameterOption.Single
        places: dict[str, int] = {}
        for k, formal in enumerate(schema.inputs):
            places.setdefault(formal.type_str, k)
        elements = []
        for formal in schema.outputs:
            allowed = list(formal.types)
            if len(allowed) == 1 and allowed[0].startswith("tensor("):
                elements.append((int(TensorProto.DataType.Value(allowed[0][7:-1].upper())), -1))
            else:
                elements.append((0, places.get(formal.type_str, -1)))
        return cls(
            schema.since_version,
            schema.min_input,
            schema.max_input,
            schema.max_output,
            frozenset(k for k, formal in enumerate(schema.inputs) if formal.option == single),
            {name: int(a.type) for name, a in schema.attributes.items()},
            frozenset(name for name, a in schema.attributes.items() if a.required),
            tuple(elements),
        )

    @classmethod
    def read(cls, line: str) -> Signature:
        """What `line` writes."""
        counts, needed, attributes, elements = line.split("|")
        types = {}
        required = set()
        for said in attributes.split():
            name, kind = said.split(":")
            types[name.rstrip("!")] = int(kind)
            if name.endswith("!"):
                required.add(name[:-1])
        since, least, most, outputs = map(int, counts.split())
        return cls(
            since,
            least,
            most,
            outputs,
            frozenset(map(int, needed.split())),
            types,
            frozenset(required),
            tuple((int(e[1:]), -1) if e[0] == "=" else (0, int(e)) for e in elements.split()),
        )

    def line(self) -> str:
        """The signature in one line of the table.

        These are the operator set and the numbers of inputs and outputs; which inputs are needed;
        the attributes with their types, ``!`` behind those that are required; and of each output
        its element type, ``=7``, or the input that has the same one.
        """
        attributes = [
            f"{name}{'!' if name in self.required else ''}:{kind}"
            for name, kind in sorted(self.attributes.items())
        ]
        elements = [f"={kind}" if kind else f"{like}" for kind, like in self.elements]
        counts = (self.since, self.least, self.most, self.outputs)
        parts = (counts, sorted(self.needed), attributes, elements)
        return "|".join(" ".join(map(str, part)) for part in parts)

    def fault(
        self, inputs: int, outputs: int, left_out: Collection[int], given: Mapping[str, int]
    ) -> str:
        """What a node breaks of the signature, in words; ``""`` if it is as it has to be.

        Parameters
        ----------
        inputs, outputs : int
            How many it has.
        left_out : collection of int
            The inputs that have no name, among others.
        given : mapping of str to int
            Its attributes and their types. One that the operator does not have is no fault:
            exporters write such, and whole graphs are read with them.
        """
        if not self.least <= inputs <= self.most:
            return f"it has {_counted(inputs, 'input')}, and takes {self._inputs()}"
        if outputs > self.outputs:
            return f"it has {_counted(outputs, 'output')}, and makes at most {self.outputs}"
        missing = sorted(self.needed.intersection(left_out))
        if missing:
            return f"its input {missing[0]} is left out, and is required"
        lacking = sorted(self.required - given.keys())
        if lacking:
            names = " and ".join(f"'{name}'" for name in lacking)
            return f"it lacks the required attribute{'s' if len(lacking) > 1 else ''} {names}"
        for name, kind in given.items():
            wanted = self.attributes.get(name, kind)
            # In old files attributes are of no type.
            if kind and kind != wanted:
                return f"its attribute '{name}' has the type {_named(kind)}, not {_named(wanted)}"
        return ""

    def _inputs(self) -> str:
        if self.least == self.most:
            return str(self.least)
        return f"{self.least} or more" if self.most > _MANY else f"{self.least} to {self.most}"

    def element(self, position: int) -> tuple[int, int]:
        """As `elements`, of one output."""
        # The last output may stand for many.
        return self.elements[min(position, len(self.elements) - 1)] if self.elements else (0, -1)


@cache
def signature(domain: str, op_type: str, version: int) -> Signature | None:
    """What ONNX's definition says of an operator; None if it has none.

    Examples
    --------
    >>> signature("", "Relu", 17).elements
    ((0, 0),)
    """
    if not domain and version <= NEWEST:
        known = [line for line in _lines().get(op_type, ()) if int(line.split()[0]) <= version]
        if known:
            return Signature.read(known[-1])
    schema = schema_of(domain, op_type, version)
    return None if schema is None else Signature.of(schema)


@cache
def _lines() -> dict[str, list[str]]:
    """The lines of the table by operator, the oldest first."""
    found: dict[str, list[str]] = {}
    for line in TABLE.splitlines():
        op_type, _, rest = line.partition(" ")
        found.setdefault(op_type, []).append(rest)
    return found


@cache
def schema_of(domain: str, op_type: str, version: int) -> Any:
    """ONNX's definition of an operator, an ``onnx.defs.OpSchema``; None if it has none."""
    from onnx import defs

    if not domain:
        # A later operator set is read as the latest that the onnx package knows.
        version = min(version, defs.onnx_opset_version())
    try:
        return defs.get_schema(op_type, version, domain)
    except (defs.SchemaError, TypeError):
        return None
