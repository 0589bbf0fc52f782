"""Values that don't depend on the input's data, whole or in parts.

They are evaluated where somebody asks for them: the sizes, axes, indices and masks that steer
operators.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from math import prod
from typing import Any, NamedTuple

import numpy as np

from rfgraph.errors import MissingDataError, ModelError
from rfgraph.model.graph import Kind, Node
from rfgraph.model.sizes import Shape, UnknownSizeError, all_known, is_unknown, name_of, nominal
from rfgraph.model.weights import AT_HAND, SMALL, may_have_zeros
from rfgraph.ops import Traits, evaluate, traits_of
from rfgraph.prune.passing import Moves, Pointwise
from rfgraph.shapes.typed import TypedValues

# Results of up to this many elements are kept for other nodes that are the same.
_MAX_KEPT = 64

# Static values are evaluated up to this many elements: shapes, axes, indices, masks.
MAX_STATIC = 1 << 22

# Element types of a Constant that is given as numbers.
_CONSTANT_TYPES: dict[str, Any] = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
    "value_string": np.object_,
    "value_strings": np.object_,
}

# Nodes that make a size of others, one behind the other, are followed so far.
_MAX_CHAIN = 50


class _Part(NamedTuple):
    """A value that is known in parts.

    Attributes
    ----------
    value : ndarray
        What is known; means nothing elsewhere.
    which : ndarray of int64, of the same shape
        0 where it is known, ``k`` where it is the k-th unknown size, -1 where it is something else
        that the data decide.
    """

    value: np.ndarray
    which: np.ndarray


class StaticValues:
    """The static values of one graph.

    Parameters
    ----------
    typed : TypedValues
        Shapes and element types, which the evaluation of some operators needs.
    most : int
        Values are evaluated up to this many elements.
    """

    def __init__(self, typed: TypedValues, most: int) -> None:
        self._typed = typed
        self._most = most
        # Whether a value was too large to be evaluated.
        self._refused = False
        self._values: dict[str, np.ndarray | None] = {}
        self._parts: dict[str, _Part | None] = {}

    def up_to(self, most: int) -> StaticValues | None:
        """The same, with values of up to `most` elements; None where larger ones than until now
        were asked for.
        """
        if self._refused:
            return None
        made = StaticValues(self._typed, most)
        made._values, made._parts = dict(self._values), self._parts
        return made

    def forget(self, names: Iterable[str]) -> None:
        """Drop what is known of the values `names`."""
        for name in names:
            self._values.pop(name, None)
            self._parts.pop(name, None)

    def value(self, name: str) -> np.ndarray | None:
        """The value `name`, if it is the same whatever the input's data are; else None."""
        if name not in self._values:
            graph = self._typed.graph
            if name in graph.weights and name not in graph.producer:
                self._values[name] = graph.weights.array(name)
            else:
                self._evaluate(name)
        return self._values[name]

    def may_have_zeros(self, name: str) -> bool:
        """Whether some element of a value that is the same whatever the input's data are may be 0,
        or False.
        """
        graph = self._typed.graph
        node = graph.producer.get(name)
        if node is None:
            return name in graph.weights and graph.weights.may_have_zeros(name)
        told: bool | None = node.kind.known.get("zeros")
        if told is not None:
            return told
        value = self.value(name)
        if value is None or not value.size:
            return False
        found = may_have_zeros(value)
        if traits_of(node.domain, node.op_type).filling is not None:
            # The same number fills any shape.
            node.kind.learn("zeros", found)
        return found

    def if_there(self, name: str) -> np.ndarray | None:
        """`value` where the value only helps: weights that are not there are no error yet."""
        try:
            return self.value(name)
        except MissingDataError:
            return None

    def doubt(self, names: Iterable[str]) -> None:
        """Look anew for the values `names` when somebody asks for them."""
        for name in names:
            self._values.pop(name, None)

    # in parts

    def sizes(self, name: str) -> Shape | None:
        """The value `name` as sizes, with an unknown one where the data decide; None if nothing is
        known of it.

        A shape that is put together from parts of others, as exporters write it, is known where
        these are.
        """
        found = self._part(name)
        if found is None or found.value.dtype.kind not in "iu":
            return None
        known = list(self._typed.unknown.values())
        pairs = zip(found.value.reshape(-1), found.which.reshape(-1), strict=True)
        sizes = [None if k < 0 else known[k - 1] if k else int(v) for v, k in pairs]
        return self._typed.named(f"{name}, as sizes", tuple(sizes))

    def _part(self, name: str, chain: int = 0) -> _Part | None:
        if name in self._parts:
            return self._parts[name]
        static = self.if_there(name)
        if static is not None:
            return _Part(static, np.zeros(static.shape, dtype=np.int64))
        if not self._typed.unknown or chain > _MAX_CHAIN or name not in self._typed.graph.producer:
            return None
        self._parts[name] = found = self._learnt(self._typed.graph.producer[name], chain)
        return found

    def _settled(self, name: str) -> np.ndarray | None:
        """A value that is made of the parts of a shape that don't depend on the data."""
        if not self._typed.unknown:
            return None
        self._values[name] = None
        part = self._part(name)
        return part.value if part is not None and not part.which.any() else None

    def _learnt(self, node: Node, chain: int) -> _Part | None:
        """What a node makes of values that are known in parts."""
        if len(node.outputs) != 1:
            return None
        traits = traits_of(node.domain, node.op_type)
        if traits.measured is not None:
            shape = self._typed.shape(node.inputs[0])
            if shape is None:
                return None
            try:
                told = traits.measured(node, shape)
            except UnknownSizeError:
                return None
            if isinstance(told, int):
                return None
            order = list(self._typed.unknown)
            which = [1 + order.index(name_of(n)) if is_unknown(n) else 0 for n in told]
            return _Part(np.array(nominal(told), dtype=np.int64), np.array(which, dtype=np.int64))
        moves = isinstance(traits.facts, Moves) and traits.facts.fill is None
        if traits.value is None or not (moves or isinstance(traits.facts, Pointwise)):
            return None
        places = [k for k, name in enumerate(node.inputs) if name]
        parts = []
        inputs: list[np.ndarray | None] = [None] * len(node.inputs)
        for k in places:
            part = self._part(node.inputs[k], chain + 1)
            if part is None:
                return None
            parts.append(part)
            inputs[k] = part.value
        try:
            value = np.asarray(evaluate(node.kind, inputs)[0])
            if not moves:
                whole = value.dtype.kind in "iu"
                if whole and isinstance(traits.facts, Pointwise) and traits.facts.low == "stays":
                    # The same number in another type.
                    return _Part(value, parts[0].which)
                open_ = reduce(np.logical_or, [p.which != 0 for p in parts])
                return _Part(value, np.broadcast_to(np.where(open_, -1, 0), value.shape))
            # Where elements are only moved, so is what is told of them.
            every = isinstance(traits.facts, Moves) and traits.facts.every
            moved = parts if every else parts[:1]
            if any(part.which.any() for part in parts[len(moved) :]):
                return None
            for k, part in zip(places, moved, strict=False):
                inputs[k] = part.which
            return _Part(value, np.asarray(evaluate(node.kind, inputs)[0]))
        except Exception:
            # The reference lacks this use of an operator, or the number that stands for an
            # unknown one does not fit.
            return None

    # as a whole

    def _evaluate(self, name: str) -> None:
        """Fill in the static value of `name` and of all that it needs, without recursion."""
        values, producer = self._values, self._typed.graph.producer
        stack = [name]
        while stack:
            top = stack[-1]
            if top in values:
                stack.pop()
                continue
            node = producer.get(top)
            if node is None:
                weights = self._typed.graph.weights
                values[top] = weights.array(top) if top in weights else None
                continue
            traits = traits_of(node.domain, node.op_type)
            if traits.measured is not None:
                values[top] = self._measured(node, traits.measured)
                continue
            if traits.is_random or node.captures or node.kind.holds_graphs:
                values[top] = None
                continue
            if traits.filling is not None:
                filled = self._filled(node, traits.filling)
                if filled is not None:
                    values[top] = filled
                    continue
            for needed in node.inputs:
                if needed and values.get(needed) is None:
                    break
            else:
                self._run(node, traits)
                needed = ""
            if needed and needed not in values:
                stack.append(needed)
            elif top not in values:
                values[top] = self._settled(top)

    def _measured(
        self, node: Node, measured: Callable[[Node, Shape], Shape | int]
    ) -> np.ndarray | None:
        shape = self._typed.shape(node.inputs[0])
        if shape is None:
            return None
        try:
            found = measured(node, shape)
        except UnknownSizeError:
            return None
        if not isinstance(found, int) and self._typed.unknown and not all_known(found):
            return None
        return np.array(found, dtype=np.int64)

    def _filled(self, node: Node, filling: Callable[[Kind], np.ndarray]) -> np.ndarray | None:
        """The output of a node whose elements are all one number, by its shape; None if that is
        not known, or too large.
        """
        shape = self._typed.shape(node.outputs[0])
        if shape is None or (self._typed.unknown and not all_known(shape)):
            return None
        if prod(shape) > self._most:
            return None
        key = "filled", shape
        found = node.kind.known.get(key)
        if found is None:
            try:
                found = np.broadcast_to(filling(node.kind), shape)
            except MemoryError:
                raise
            except Exception:
                # What is unusual is evaluated.
                return None
            node.kind.learn(key, found)
        return found

    def _run(self, node: Node, traits: Traits) -> None:
        """Evaluate one node all of whose inputs are static."""
        kind, values = node.kind, self._values
        if traits.is_constant:
            values[node.outputs[0]] = self._constant(node)
            return
        if kind.holds_external or (traits.differs is not None and traits.differs(kind)):
            return
        inputs = [values[name] if name else None for name in node.inputs]
        total = sum([value.size for value in inputs if value is not None])
        if total > self._most:
            self._refused = True
            return
        key = None
        if total <= _MAX_KEPT:
            key = tuple(
                [None if v is None else (v.dtype.char, v.shape, v.tobytes()) for v in inputs]
            )
            results = kind.known.get(key)
            if results is not None and max([value.size for value in results]) <= self._most:
                values.update(zip(node.outputs, results, strict=False))
                return
        # Outputs that can be huge though the inputs are small are made only at a known size.
        sized = True
        for name in node.outputs:
            shape = self._typed.shape(name)
            if shape is None:
                sized = False
            elif prod(nominal(shape) if self._typed.unknown else shape) > self._most:
                self._refused = True
                return
        if (
            not sized
            and traits.growth is not None
            and traits.growth([value for value in inputs if value is not None]) > self._most
        ):
            self._refused = True
            return
        try:
            made = evaluate(kind, inputs)
        except MemoryError:
            raise
        except Exception:
            # The reference lacks this operator or this use of it: the value stays unknown.
            return
        results = [None if isinstance(value, list) else np.asarray(value) for value in made]
        values.update(zip(node.outputs, results, strict=False))
        if key is not None and all(v is not None and _is_small(v) for v in results):
            kind.learn(key, results)

    def _constant(self, node: Node) -> np.ndarray | None:
        found = node.kind.known.get("value")
        if found is None:
            found = self._read_constant(node)
            if found is not None and found.nbytes <= SMALL:
                node.kind.learn("value", found)
                if found.nbytes <= AT_HAND and not found.dtype.hasobject:
                    node.kind.contents = found.tobytes()
        return found

    def _read_constant(self, node: Node) -> np.ndarray | None:
        reason = "it has no attribute that gives one"
        for name, value in node.attributes.items():
            try:
                if name == "value":
                    return self._typed.graph.weights.to_array(value)
                if name == "sparse_value":
                    return self._typed.graph.weights.dense(value)
                if name in _CONSTANT_TYPES:
                    return np.asarray(value, dtype=_CONSTANT_TYPES[name])
            except ModelError as error:
                if isinstance(error, MissingDataError):
                    raise
                reason = error.message
            except (AttributeError, TypeError, ValueError) as error:
                reason = str(error)
        raise ModelError(
            f"its value '{node.outputs[0]}' can't be read: {reason}",
            file=self._typed.graph.file,
            node=str(node),
        )


def _is_small(value: np.ndarray) -> bool:
    """Whether an array has few elements, or one in the place of all."""
    return value.size <= _MAX_KEPT or not any(value.strides)
