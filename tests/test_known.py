"""The way along nodes that are like others, against the same in Python."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest

from rfgraph.model._known import Step, answered, first_asked, shaped
from rfgraph.model._wire import Node

UNKNOWN = 0, None


class Answer(SimpleNamespace):
    """What is read of an answer."""


def node(kind: Any, inputs: tuple[str, ...], outputs: tuple[str, ...], **options: Any) -> Node:
    return Node("n", kind, inputs, outputs, options.get("captures", ()), {}, options.get("body"))


def kind(number: int) -> Any:
    return SimpleNamespace(number=number, known={}, told=None, steering=None, contents=None)


def drawn(chance: random.Random) -> tuple[list[Node], dict[str, Any]]:
    """Nodes that read values before them, some of which are told already, and what is told."""
    kinds = [kind(k) for k in range(3)]
    nodes: list[Node] = []
    names = ["", "x", "w"]
    for k in range(12):
        inputs = tuple(chance.choice(names) for _ in range(chance.randint(0, 3)))
        outputs = tuple(f"v{k}{j}" for j in range(chance.choice((1, 1, 2))))
        nodes.append(node(chance.choice(kinds), inputs, outputs))
        names += outputs
    known: dict[str, Any] = {"": (0, None), "x": (1, (2, 3)), "w": (7, (4,))}
    for made in nodes:
        if chance.random() < 0.2:
            known[made.outputs[-1]] = (1, None)
    return nodes, known


@pytest.mark.parametrize("seed", range(40))
def test_shapes_are_those_of_alike_nodes(seed: int) -> None:
    chance = random.Random(seed)
    nodes, known = drawn(chance)
    expected, at = dict(known), 0
    for one in nodes:
        if not all(name in expected for name in one.outputs):
            given = tuple(expected.get(name, UNKNOWN) for name in one.inputs)
            if given not in one.kind.known:
                if chance.random() < 0.2:
                    break
                one.kind.known[given] = [(1, (at, k)) for k in range(len(one.outputs))]
                one.kind.known[given] = tuple(one.kind.known[given])
            made = one.kind.known[given]
            if len(made) != len(one.outputs):
                break
            for name, typed in zip(one.outputs, made, strict=True):
                if expected.get(name, UNKNOWN)[1] is None:
                    expected[name] = typed
        at += 1
    assert shaped(nodes, 0, known, UNKNOWN, {}) == at
    assert known == expected


@pytest.mark.parametrize("contents", [b"3", b"4"])
def test_what_a_constant_holds_steers_shapes(contents: bytes) -> None:
    constant, steered = kind(0), kind(1)
    constant.contents, constant.known[()] = contents, ((7, (1,)),)
    steered.steering = (1,)
    steered.known[(1, (2,)), (7, (1,)), b"3"] = ((1, (3,)),)
    nodes = [node(constant, (), ("c",)), node(steered, ("x", "c"), ("y",))]
    known: dict[str, Any] = {"x": (1, (2,))}
    found: dict[str, bytes] = {}
    assert shaped(nodes, 0, known, UNKNOWN, found) == (2 if contents == b"3" else 1)
    assert known.get("y") == ((1, (3,)) if contents == b"3" else None)
    assert found == {"c": contents}


@pytest.mark.parametrize("seed", range(40))
def test_answers_are_those_to_alike_nodes(seed: int) -> None:
    chance = random.Random(seed)
    nodes, known = drawn(chance)
    live, answers = {"x"}, {}
    expected, steps, at = set(live), [], 0
    for one in nodes:
        if not expected.isdisjoint(one.inputs):
            key = first_asked(one, one.inputs, expected, known)
            assert key == (
                one.kind.number,
                tuple(name in expected for name in one.inputs),
                tuple(map(known.get, one.inputs)),
                tuple(map(known.get, one.outputs)),
            )
            if key not in answers:
                if chance.random() < 0.1:
                    break
                reached = [k for k in range(len(one.outputs)) if chance.random() < 0.9]
                answers[key] = Answer(
                    reads=[], reached=reached, notes={}, rests_on_prune=chance.random() < 0.5
                )
            answer = answers[key]
            if answer.reached and answer.reached[-1] >= len(one.outputs):
                break
            if answer.reached:
                steps.append((one, None if answer.rests_on_prune else answer))
            expected |= {one.outputs[k] for k in answer.reached}
        at += 1
    found: list[Step] = []
    assert answered(nodes, 0, live, known, answers, {}, Answer, found) == at
    assert live == expected
    assert [(step.node, step.answer) for step in found] == steps


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({"captures": ("x",)}, {}),
        ({"body": object()}, {}),
        ({}, {"notes": {"it is assumed": "unknown"}}),
        ({}, None),
    ],
)
def test_what_is_not_looked_up(options: dict[str, Any], answer: dict[str, Any] | None) -> None:
    """A body, notes that are to be told, and a question on the way to an answer."""
    one = node(kind(0), ("x",), ("y",), **options)
    live, known = {"x"}, {"x": (1, (2,))}
    made = Answer(
        **{"reads": [], "reached": [0], "notes": {}, "rests_on_prune": False} | (answer or {})
    )
    answers = {
        first_asked(one, one.inputs, live, known): made if answer is not None else ("size", 0)
    }
    assert answered([one], 0, live, known, answers, {}, Answer, []) == 0
    assert live == {"x"}


def test_from_where_it_is_told() -> None:
    nodes = [node(kind(k), ("x",), (f"y{k}",)) for k in range(3)]
    nodes[2].kind.known[(1, (2,)),] = ((1, (5,)),)
    known: dict[str, Any] = {"x": (1, (2,))}
    assert shaped(nodes, 0, known, UNKNOWN, {}) == 0
    assert shaped(nodes, 2, known, UNKNOWN, {}) == 3
    assert known["y2"] == (1, (5,))
    assert shaped([], 0, known, UNKNOWN, {}) == 0
    with pytest.raises(TypeError):
        shaped([object()], 0, known, UNKNOWN, {})  # type: ignore[list-item]


def test_contents_have_a_say() -> None:
    """Of inputs that are given: an optional one may be left out."""
    one = node(kind(0), ("x", "sizes", ""), ("y",))
    one.kind.steering = (1, 2, 3)
    known: dict[str, Any] = {"x": (1, (2,)), "sizes": (7, (1,)), "": (0, None)}
    given = tuple(map(known.get, one.inputs))
    one.kind.known[*given, b"4"] = ((1, (4,)),)
    assert shaped([one], 0, known, UNKNOWN, {}) == 0
    assert shaped([one], 0, known, UNKNOWN, {"sizes": b"5"}) == 0
    assert shaped([one], 0, known, UNKNOWN, {"sizes": b"4"}) == 1
    assert known["y"] == (1, (4,))


def test_what_a_kind_was_told_holds_until_anything_else_is_registered() -> None:
    one = node(kind(0), ("x",), ("y",))
    live, known = {"x"}, {"x": (1, (2,))}
    answer = Answer(reads=[], reached=[0], notes={}, rests_on_prune=False)
    key, before = first_asked(one, one.inputs, live, known), [object()]
    one.kind.told = ("", "Relu"), before, {key: answer}
    for rules, at in (({}, 0), ({("", "Relu"): [*before]}, 0), ({("", "Relu"): before}, 1)):
        answers: dict[Any, Any] = {}
        assert answered([one], 0, set(live), known, answers, rules, Answer, []) == at
        assert answers == ({key: answer} if at else {})
