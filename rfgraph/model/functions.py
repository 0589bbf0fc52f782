"""Functions of ONNX: what calls one, and a model's own put in the place of their calls.

https://github.com/onnx/onnx/blob/main/docs/IR.md#functions
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from rfgraph.errors import EXPORT_AGAIN, ModelError
from rfgraph.model.subgraphs import fresh_names, own_names, rename

if TYPE_CHECKING:
    import onnx
    from onnx import AttributeProto

    from rfgraph.model.model_file import OperatorSet

# Limits for inlining functions: the number of nodes that are written, and how deep calls may nest.
_MAX_INLINED = 50_000
_MAX_NESTED = 100

# Domain, name and overload.
FunctionKey: TypeAlias = tuple[str, str, str]


def key_of_function(function: onnx.FunctionProto) -> FunctionKey:
    """Domain, name and overload of a function."""
    return function.domain, function.name, getattr(function, "overload", "")


def key_of_call(node: onnx.NodeProto) -> FunctionKey:
    """Domain, name and overload of the function that a node may call."""
    return node.domain, node.op_type, getattr(node, "overload", "")


def opsets_of(
    imports: Iterable[OperatorSet | onnx.OperatorSetIdProto], file: str | None
) -> dict[str, int]:
    """Versions of the operator sets by domain.

    Raises
    ------
    ModelError
        ONNX's own has a version that does not exist.
    """
    opsets = {i.domain if i.domain != "ai.onnx" else "": i.version for i in imports}
    version = opsets.get("")
    if version is not None and version < 1:
        raise ModelError(f"there is no operator set {version}", file=file, remedy=EXPORT_AGAIN)
    return opsets


def arguments_of(
    function: onnx.FunctionProto,
    inputs: Sequence[str],
    outputs: Sequence[str],
    file: str | None,
    node: str,
) -> dict[str, str]:
    """What a call gives to each input of a function; ``""`` for one that is left out.

    Parameters
    ----------
    function : onnx.FunctionProto
        The function.
    inputs, outputs : sequence of str
        Those of the node that calls it.
    file, node : str
        The model's path and the node, for messages.

    Raises
    ------
    ModelError
        The node has more inputs or outputs than the function.
    """
    if len(inputs) > len(function.input) or len(outputs) > len(function.output):
        raise ModelError(
            f"it has more inputs or outputs than the function '{function.name}' (inputs: "
            f"{len(function.input)}, outputs: {len(function.output)})",
            file=file,
            node=node,
            remedy=EXPORT_AGAIN,
        )
    given = [*inputs, *[""] * (len(function.input) - len(inputs))]
    return dict(zip(function.input, given, strict=True))


def attributes_of_call(
    function: onnx.FunctionProto, given: Iterable[AttributeProto]
) -> dict[str, AttributeProto]:
    """The attributes that hold in a function: those `given` to the call, else its defaults."""
    return {a.name: a for a in (*function.attribute_proto, *given)}


def instance(
    body: onnx.NodeProto,
    name: str,
    renamed: Mapping[str, str],
    given: Mapping[str, AttributeProto],
) -> onnx.NodeProto:
    """A node of a body for one call of it: under another name, with other names of values.

    Parameters
    ----------
    body : onnx.NodeProto
        The node; it is left as it is.
    name : str
        The name of the copy.
    renamed : mapping of str to str
        Names of values in the body, and outside.
    given : mapping of str to onnx.AttributeProto
        The attributes of the call: see `attributes_of_call`.
    """
    copy = type(body)()
    copy.CopyFrom(body)
    copy.name = name
    _bind(copy, renamed, given)
    return copy


def _bind(
    node: onnx.NodeProto, renamed: Mapping[str, str], given: Mapping[str, AttributeProto]
) -> None:
    """Put a function's arguments into a node of its body, in place."""
    node.input[:] = [renamed.get(name, name) for name in node.input]
    node.output[:] = [renamed.get(name, name) for name in node.output]
    attributes = []
    for attribute in node.attribute:
        if attribute.ref_attr_name:
            if attribute.ref_attr_name not in given:
                continue
            bound = type(attribute)()
            bound.CopyFrom(given[attribute.ref_attr_name])
            bound.name = attribute.name
        else:
            bound = attribute
        for graph in ([bound.g] if bound.HasField("g") else []) + list(bound.graphs):
            own = set(own_names(graph))
            outer = {old: new for old, new in renamed.items() if old not in own}
            # What comes from outside must not be hidden by a value that happens to have its name.
            hiding = own.intersection(outer.values())
            outer.update(fresh_names(hiding, own.union(outer.values())))
            rename(graph, outer)
            for inner in graph.node:
                _bind(inner, outer, given)
        attributes.append(bound)
    copies = [type(a).FromString(a.SerializeToString()) for a in attributes]
    del node.attribute[:]
    node.attribute.extend(copies)


def inlined(
    nodes: Iterable[onnx.NodeProto],
    taken: set[str],
    functions: Mapping[FunctionKey, onnx.FunctionProto],
    opsets: Mapping[str, int],
    file: str | None,
) -> list[tuple[onnx.NodeProto, Mapping[str, int]]]:
    """Replace calls of model-local functions by their bodies.

    Parameters
    ----------
    nodes : iterable of onnx.NodeProto
        The nodes of a graph.
    taken : set of str
        Names of values that no node makes; those of all others are added.
    functions : mapping of (str, str, str) to onnx.FunctionProto
        The functions by domain, name and overload.
    opsets : mapping of str to int
        The operator sets of the nodes.
    file : str or None
        The model's path, for messages.

    Returns
    -------
    list of (onnx.NodeProto, mapping of str to int)
        Nodes that call none of these functions, each with its operator sets.

    Raises
    ------
    ModelError
        A function calls itself or is called too often, or a call or a body breaks a rule.
    """
    given = list(nodes)
    for node in given:
        taken.update((*node.input, *node.output))
    inliner = _Inliner(taken, functions, file)
    for node in given:
        inliner.add(node, opsets, ())
    return inliner.nodes


class _Inliner:
    """Gathers nodes; values keep their names where these are unique."""

    def __init__(
        self,
        taken: set[str],
        functions: Mapping[FunctionKey, onnx.FunctionProto],
        file: str | None,
    ) -> None:
        self.nodes: list[tuple[onnx.NodeProto, Mapping[str, int]]] = []
        self._taken = taken
        self._functions = functions
        self._file = file
        self._repeats: Counter[str] = Counter()

    def add(
        self, node: onnx.NodeProto, opsets: Mapping[str, int], callers: tuple[tuple[str, str], ...]
    ) -> None:
        """Append a node, or what the function consists of that it calls."""
        key = key_of_call(node)
        function = self._functions.get(key)
        if function is None:
            self.nodes.append((node, opsets))
            return
        if len(self.nodes) > _MAX_INLINED or len(callers) > _MAX_NESTED:
            raise ModelError(
                f"the function '{function.name}' is called too often or nested too deeply to be "
                "inlined",
                file=self._file,
                node=node.name,
                remedy="export the model with fewer or smaller functions",
            )
        # Another overload of one name counts too.
        if key[:2] in callers:
            raise ModelError(
                f"the function '{function.name}' calls itself",
                file=self._file,
                node=node.name,
                remedy=EXPORT_AGAIN,
            )
        call = node.name or f"{node.op_type}_{len(self.nodes)}"
        renamed = arguments_of(function, node.input, node.output, self._file, call)
        results = zip(function.output, node.output, strict=False)
        renamed.update((inner, outer) for inner, outer in results if outer)
        given = attributes_of_call(function, node.attribute)
        inner = opsets_of(function.opset_import, self._file) or opsets
        for body in function.node:
            name = f"{call}/{body.name or body.op_type}"
            for value in body.input:
                if value and value not in renamed:
                    raise ModelError(
                        f"no node of the function '{function.name}' makes '{value}'",
                        file=self._file,
                        node=name,
                        remedy=EXPORT_AGAIN,
                    )
            for value in body.output:
                if value and value not in renamed:
                    renamed[value] = self._unique(value, call)
            self.add(instance(body, name, renamed, given), inner, (*callers, key[:2]))

    def _unique(self, name: str, call: str) -> str:
        candidate = name if name not in self._taken else f"{call}/{name}"
        while candidate in self._taken:
            self._repeats[f"{call}/{name}"] += 1
            candidate = f"{call}/{name}.{self._repeats[f'{call}/{name}']}"
        self._taken.add(candidate)
        return candidate
