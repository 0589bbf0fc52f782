"""Where runtimes are known to see other elements than the specification says.

`known.json` holds it: what a suite of models of one node has shown, and its causes. `suite/` in the
repository is the suite, and `docs/runtimes.md` the same for people.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Protocol

from rfgraph.errors import QueryError


class Asked(Protocol):
    """What is asked of a node."""

    @property
    def op_type(self) -> str: ...
    @property
    def domain(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def inputs(self) -> Sequence[str]: ...
    @property
    def attributes(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class KnownDifference:
    """A difference that is known.

    Attributes
    ----------
    runtime, version : str
        The runtime, and the version that has shown it.
    operators : tuple of str
        The operators that have it, of the domain ``ai.onnx``.
    since, until : int
        The operator-set versions that have it, both included.
    where : tuple of str
        What a node has to have, as ``auto_pad is SAME_UPPER or SAME_LOWER``, ``output_shape is
        given``, ``axes is not given``, ``size is even``, ``dilations is not 1`` (some of them);
        names of attributes, with the values that they have by default, or of inputs.
    seen : str
        What is seen instead.
    right : str
        What the specification says.
    remedy : str
        How to say the same so that it is read right.
    checked : bool
        Whether `where` says most of it. If what else it takes stands in constants or sizes, it
        would be told of nodes that are read right.
    other, of : int
        How many of the models that fit have shown it, and how many there are.
    smallest : str
        The smallest of them, in words.
    shown : str
        What was seen of it.
    """

    runtime: str
    version: str
    operators: tuple[str, ...]
    since: int
    until: int
    where: tuple[str, ...]
    seen: str
    right: str
    remedy: str
    checked: bool = True
    other: int = 0
    of: int = 0
    smallest: str = ""
    shown: str = ""

    def holds(self, node: Asked) -> bool:
        """Whether a node is one that it may be seen of.

        Parameters
        ----------
        node : Node
            As `Analysis.node` answers.

        Returns
        -------
        bool
            Whether it is one of the operators, at such a version, with what `where` asks for.

        Examples
        --------
        >>> import rfgraph
        >>> conv = rfgraph.analyze("models/lenet_textbook.onnx").node("c")
        >>> lower = ("auto_pad is SAME_LOWER",)
        >>> one = KnownDifference("a", "1", ("Conv",), 1, 99, lower, "", "", "")
        >>> one.holds(conv)
        False
        """
        return (
            not node.domain
            and node.op_type in self.operators
            and self.since <= node.version <= self.until
            and all(_fits(node, condition) for condition in self.where)
        )


def differences(runtime: str) -> list[KnownDifference]:
    """The differences that are known of a runtime.

    Parameters
    ----------
    runtime : str
        Its name, without options.

    Returns
    -------
    list of KnownDifference
        As docs/runtimes.md has them.

    Raises
    ------
    QueryError
        Nothing is known of a runtime of that name.

    Examples
    --------
    >>> any("ConvTranspose" in one.operators for one in differences("openvino"))
    True
    """
    known = _known()
    if runtime not in known["runtimes"]:
        raise QueryError(
            f"nothing is known of a runtime '{runtime}'",
            remedy=f"the suite was run in {', '.join(known['runtimes'])}",
        )
    return [_read(one) for one in known["differences"] if one["runtime"] == runtime]


def _read(one: dict[str, Any]) -> KnownDifference:
    lists = {name: tuple(one[name]) for name in ("operators", "where")}
    return KnownDifference(**(one | lists))


@cache
def _known() -> dict[str, Any]:
    text = resources.files("rfgraph.runtimes").joinpath("known.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def _fits(node: Asked, condition: str) -> bool:
    """Whether a node has what a condition asks for."""
    name, _, wanted = condition.partition(" is ")
    if wanted in ("given", "not given"):
        return _given(node, name) == (wanted == "given")
    value = _value(node, name)
    if wanted in ("even", "odd"):
        return isinstance(value, int) and value % 2 == (wanted == "odd")
    if wanted in ("not 0", "not 1"):
        return isinstance(value, Sequence) and any(n != int(wanted[-1]) for n in value)
    return _plain(value) in wanted.split(" or ")


def _given(node: Asked, name: str) -> bool:
    if name in node.attributes:
        return True
    formal = [one.name for one in _schema(node).inputs]
    return name in formal and any(node.inputs[formal.index(name) :][:1])


def _value(node: Asked, name: str) -> Any:
    """An attribute, or what it is by default."""
    from onnx import helper

    if name in node.attributes:
        return node.attributes[name]
    declared = _schema(node).attributes.get(name)
    if declared is None or not declared.default_value.name:
        return None
    return helper.get_attribute_value(declared.default_value)


def _schema(node: Asked) -> Any:
    from onnx import defs

    return defs.get_schema(node.op_type, node.version)


def _plain(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


__all__ = ["KnownDifference", "differences"]
