"""Control flow that data decide, namely the elements of `s`; and sequences put together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from onnx import parser

from ..perturbation import Case, Feeds
from . import cases
from .common import floats

_STATE = "float[2, 2, 3]"


def _case(name: str, outputs: str, body: str, s: tuple[float, float]) -> Case:
    model = parser.parse_model(
        f'<ir_version: 8, opset_import: ["": 17]> g ({_STATE} x, {_STATE} z, float[2] s) => '
        f"({', '.join(f'float[] {name}' for name in outputs.split())}) "
        "<int64 first = {0}, int64 second = {1}, float zero = {0}> "
        "{ f = Gather(s, first) e = Gather(s, second) " + body + " }"
    )
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    feeds: Feeds = {
        "x": floats(2, 2, 3),
        "z": floats(2, 2, 3, seed=1),
        "s": np.array(s, np.float32),
    }
    return Case(name, model, feeds, within=(-4, 4), trials=32)


@cases("If")
def if_() -> Iterator[Case]:
    branches = [
        f"{branch} = {branch[0]} () => ({_STATE} {a}, {_STATE} {b}) {{ {a} = Neg(x) {b} = Abs(z) }}"
        for branch, a, b in (("then_branch", "p", "q"), ("else_branch", "u", "v"))
    ]
    branches[1] = branches[1].replace("Neg(x)", "Exp(z)").replace("Abs(z)", "Neg(x)")
    body = f"c = Greater(f, zero) y, w = If(c)<{', '.join(branches)}>"
    yield _case("two outputs", "y w", body, (1, -1))


def _loop(step: str, begin: str) -> str:
    return (
        f"{begin}<body = b (int64 i, bool c, {_STATE} m, {_STATE} n) "
        f"=> (bool o, {_STATE} p, {_STATE} q) {{ {step} p = Exp(m) q = Neg(n) }}>"
    )


@cases("Loop")
def loop() -> Iterator[Case]:
    trips = "t = Cast<to = 7>(f) "
    begin = 'y, w = Loop(t, "", x, z)'
    yield _case("trips", "y w", trips + _loop("o = Identity(c)", begin), (1, 2))
    step = "g = Cast<to = 1>(i) o = Less(g, f)"
    begin = 'y, w = Loop("", go, x, z)'
    yield _case("while", "y w", "go = Greater(e, zero) " + _loop(step, begin), (1, 2))
    one = f'y = Loop(t, "", x)<body = b (int64 i, bool c, {_STATE} m) => (bool o, {_STATE} p) '
    yield _case("one state", "y", trips + one + "{ o = Identity(c) p = Exp(m) }>", (1, 2))


@cases("ConcatFromSequence")
def concat_from_sequence() -> Iterator[Case]:
    for new_axis in (0, 1):
        for axis in range(-1, 3 + new_axis):
            body = (
                f"u = Neg(x) v = Exp(z) q = SequenceConstruct(x, z, u, v) "
                f"y = ConcatFromSequence<axis = {axis}, new_axis = {new_axis}>(q)"
            )
            yield _case(f"{axis}, {new_axis}", "y", body, (1, 2))
