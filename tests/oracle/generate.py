"""Seeded random small ONNX graphs over every operator whose reads are known exactly.

`random_graph` makes one: a table of operators (`OPERATORS`) holds for each a function that draws
valid attributes and appends its nodes to a `Builder`. Every node is run with onnxruntime as it
is appended, so shapes are those of the runtime, and what it refuses is drawn again.

A third of the graphs hold one operator, in turn each of the table; the others start with one and
go on with a random handful of nodes, in branches that merge.

The same seed gives the same graph, with the same version of onnxruntime.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterable
from math import prod

import numpy as np
import onnx
from onnx import numpy_helper

from rfgraph.validation.nan.probe import interpolates

from . import drawn as drawn
from .builder import MAX_ELEMENTS, OPERATORS, Builder, Operator, Rejected, Value, reason
from .observe import UnobservableError, attributes, opened, session

_NODE_TRIES = 12
_TRIES = 100


# ---------------------------------------------------------------- graphs


def rotation() -> list[str]:
    """Every operator of the table, as often as it weighs, in one fixed random order."""
    names = [name for name, o in OPERATORS.items() for _ in range(max(1, round(2 * o.weight)))]
    random.Random(0).shuffle(names)
    return names


def random_graph(
    seed: int,
    *,
    rank: int | None = None,
    nodes: int | None = None,
    max_elements: int = MAX_ELEMENTS,
    first: str | None = None,
    opset: int | None = None,
    quirks: bool = False,
    rejections: Counter[str] | None = None,
) -> onnx.ModelProto:
    """Make a random small graph.

    Parameters
    ----------
    seed : int
        Decides everything else that is not given.
    rank : {0, 1, 2, 3}, optional
        Spatial rank of the inputs: 0 for tokens, (N, T, C), else (N, C, ...).
    nodes : int, optional
        Operators of the table: one for a third of the seeds, up to eight for the others.
    max_elements : int
        Elements of all inputs together.
    first : str, optional
        The first operator, of `OPERATORS`; the table in turn, by default.
    opset : int, optional
        Operator-set version.
    quirks : bool
        Whether to draw also what is in `builder.QUIRKS`: where onnxruntime's kernels
        do not follow the specification.
    rejections : Counter, optional
        Counts what was drawn and refused, by the reason.

    Returns
    -------
    onnx.ModelProto
        Static shapes, inputs of 32-bit floats; onnxruntime loads it, and `Poison` can observe
        it. Its ``doc_string`` says how to make it again.

    Raises
    ------
    ValueError
        Nothing was found that fits what is asked for.
    """
    kinds = [0, 1, 2, 3] if rank is None else [rank]
    asked = {"rank": rank, "nodes": nodes, "first": first, "opset": opset}
    asked |= {"max_elements": max_elements if max_elements != MAX_ELEMENTS else None}
    asked |= {"quirks": quirks or None}
    given = "".join(f", {key}={value!r}" for key, value in asked.items() if value is not None)
    names = [first] if first else rotation()
    fitting = [
        name
        for name in names
        if any(_input_rank(kind) in OPERATORS[name].ranks for kind in kinds)
        and (opset is None or OPERATORS[name].since <= opset <= OPERATORS[name].until)
    ]
    for tried in range(_TRIES if fitting else 0):
        rng = random.Random(f"{seed}/{tried}")
        # The table in turn, so that every operator gets its share; what never fits gives way.
        name = fitting[seed % len(fitting)] if tried < _TRIES // 2 else rng.choice(fitting)
        start = OPERATORS[name]
        wanted = nodes or (1 if rng.random() < 0.35 else rng.randint(3, 8))
        version = opset or rng.randint(start.since, start.until)
        b = Builder(rng, version, max_elements, quirks=quirks)
        try:
            _inputs(b, [k for k in kinds if _input_rank(k) in start.ranks], wanted)
            _append(b, start, b.values[0])
            for _ in range(wanted - 1):
                _grow(b, rejections)
            model = b.model(f"random_graph({seed}{given})  # {name} first, opset {version}")
            _check(model)
        except Rejected as refusal:
            if rejections is not None:
                rejections[f"{refusal} (first: {name})"] += 1
        else:
            return model
    raise ValueError(f"nothing fits random_graph({seed}{given})")


def _input_rank(kind: int) -> int:
    return kind + 2 if kind else 3


def _inputs(b: Builder, kinds: list[int], wanted: int) -> None:
    """One input or two; the second of the first one's shape, or broadcast to it."""
    shape = _input_shape(b, b.choice(kinds), b.room)
    b.values.append(b.input("x", shape))
    if wanted > 1 and b.chance(0.4):
        small = [n if b.chance(0.5) else 1 for n in shape]
        second = b.choice((shape, small))
        if prod(second) <= b.room:
            b.values.append(b.input("y", second))


def _grow(b: Builder, rejections: Counter[str] | None) -> None:
    """Append one more operator, if one of a dozen fits."""
    usable = [o for o in OPERATORS.values() if o.since <= b.opset <= o.until]
    for _ in range(_NODE_TRIES):
        # Mostly the newest value, sometimes any, so that branches arise.
        x = b.values[-1] if b.chance(0.6) else b.choice(b.values)
        fitting = [o for o in usable if x.rank in o.ranks]
        chosen = b.rng.choices(fitting, [o.weight for o in fitting])[0]
        before = b.snapshot()
        try:
            _append(b, chosen, x)
        except Rejected as refusal:
            b.restore(before)
            if rejections is not None:
                rejections[str(refusal)] += 1
        else:
            return


def _append(b: Builder, operator: Operator, x: Value) -> None:
    made = operator.build(b, x, operator.name)
    values = made if isinstance(made, list) else [made]
    if not any(v.live for v in values):
        raise Rejected(f"{operator.name}: nothing lives")
    b.values += [v for v in values if v.live]


def _input_shape(b: Builder, kind: int, room: int) -> list[int]:
    """A shape of at most `room` elements."""
    if kind == 0:
        n = b.choice((1, 1, 2))
        tokens = b.rng.randint(1, 8)
        return _trimmed([n, tokens, b.rng.randint(1, 6)], room)
    most = {1: 24, 2: 9, 3: 5}[kind]
    shape = [b.choice((1, 1, 1, 2)), b.choice((1, 1, 2, 2, 3, 4)), *b.ints(kind, 1, most)]
    return _trimmed(shape, room)


def _trimmed(shape: list[int], room: int) -> list[int]:
    while prod(shape) > room:
        widest = max(range(len(shape)), key=lambda k: shape[k])
        shape[widest] -= 1
    return shape


def _check(model: onnx.ModelProto) -> None:
    """Refuse what onnxruntime does not load as a whole, or what can't be observed."""
    try:
        session(model)
        opened(model, "all")
        if interpolates(model):
            opened(model, "all", "weighted")
    except UnobservableError as error:
        raise Rejected(str(error)) from None
    except Exception as error:  # onnxruntime's errors have no common base but this
        raise Rejected(reason(error)) from None


# ---------------------------------------------------------------- coverage

# Attributes that are numbers are told apart up to this one, and constants up to this length.
_BIG = 12
_LONG = 16


def features(model: onnx.ModelProto) -> set[str]:
    """What a graph covers: its operators, the values of their attributes and of constant inputs.

    Examples
    --------
    >>> from onnx import parser
    >>> model = parser.parse_model(
    ...     '<ir_version: 8, opset_import: ["": 17]>'
    ...     'g (float[1, 1, 3] x) => (float[1, 1, 2] y) { y = MaxPool <kernel_shape = [2]> (x) }'
    ... )
    >>> sorted(features(model))
    ['MaxPool', 'MaxPool kernel_shape > 1', 'MaxPool live input 0', 'opset 17']
    """
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    inputs = {v.name for v in model.graph.input}
    found = {f"opset {model.opset_import[0].version}"}
    for node in model.graph.node:
        op = node.op_type
        if op == "Constant":
            constants[node.output[0]] = numpy_helper.to_array(attributes(node)["value"])
        found.add(op)
        for name, value in attributes(node).items():
            key = f"{op} {name}"
            if isinstance(value, bytes):
                found.add(f"{key}={value.decode()}" if op != "Einsum" else key)
            elif isinstance(value, int) and abs(value) < _BIG:
                found.add(f"{key}={value}")
            elif isinstance(value, list) and value and isinstance(value[0], int):
                found |= _signs(key, np.array(value))
                half = len(value) // 2
                if name == "pads" and value[:half] != value[half:]:
                    found.add(f"{key} asymmetric")
        for k, name in enumerate(node.input):
            array = constants.get(name)
            if array is not None and array.dtype.kind == "i" and array.size <= _LONG:
                found |= _signs(f"{op} input {k}", array)
            elif array is None and name:
                found.add(f"{op} live input {k}")
            if k and name in inputs and name.startswith("w"):
                found.add(f"{op} weight {k} is an input")
    return found


def _signs(key: str, array: np.ndarray) -> set[str]:
    """What is telling about integers: that there is none, a negative one, or one beyond 1."""
    if not array.size:
        return {f"{key} empty"}
    found = {f"{key} < 0"} if array.min() < 0 else set()
    return found | ({f"{key} > 1"} if array.max() > 1 else set())


def coverage(seeds: Iterable[int]) -> Counter[str]:
    """In how many of the graphs each feature occurs."""
    found: Counter[str] = Counter()
    for seed in seeds:
        found.update(features(random_graph(seed)))
    return found


if __name__ == "__main__":
    for feature, count in sorted(coverage(range(int(sys.argv[1]))).items()):
        print(f"{count:6} {feature}")
