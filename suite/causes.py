"""Why runtimes see other elements: the causes in causes.toml, and which of them a model shows."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import rfgraph
from rfgraph.runtimes.known import KnownDifference

from .models import Single
from .verdicts import CRASHED, OTHER, REFUSED, Verdict

_FILE = Path(__file__).with_name("causes.toml")

# What the specification says where a cause does not say who is right.
_RIGHT = "the specification says what onnxruntime and ONNX's reference do"

Row = tuple[Single, dict[str, Verdict]]


def causes(versions: dict[str, str]) -> list[KnownDifference]:
    """The causes of runtimes that were run."""
    return [
        _cause(one, runtime, versions[runtime])
        for one in tomllib.loads(_FILE.read_text("utf-8"))["cause"]
        for runtime in one["runtimes"]
        if runtime in versions
    ]


def reasons() -> list[tuple[list[str], str]]:
    """Why no runtime shows all that is claimed: operators, and the reason."""
    return [
        (one["operators"], one["why"]) for one in tomllib.loads(_FILE.read_text("utf-8"))["rest"]
    ]


def _cause(one: dict[str, Any], runtime: str, version: str) -> KnownDifference:
    return KnownDifference(
        runtime=runtime,
        version=version,
        operators=tuple(one["operators"]),
        since=one.get("since", 1),
        until=one.get("until", 999),
        where=tuple(one.get("where", ())),
        seen=one["seen"],
        right=one.get("right", _RIGHT),
        remedy=one["remedy"],
        checked=one.get("checked", True),
    )


def assigned(
    rows: Sequence[Row], versions: dict[str, str]
) -> tuple[list[KnownDifference], list[str]]:
    """The causes with what shows them, and what no cause explains.

    Returns
    -------
    list of KnownDifference
        Those that some model shows, each with the smallest one.
    list of str
        The models, by their words, that are other without a cause.
    """
    nodes = {}
    for one, _ in rows:
        analysis = rfgraph.analyze(one.model)
        nodes[one.words] = analysis.node(next(filter(None, one.outputs)))
    known = causes(versions)
    fitting = {
        (name, one.words): [cause for cause in known if cause.runtime == name and cause.holds(node)]
        for one, verdicts in rows
        for name in verdicts
        if (node := nodes[one.words]) is not None
    }
    found = []
    for cause in known:
        fits = [(one, v[cause.runtime]) for one, v in rows if cause.runtime in v]
        fits = [(o, v) for o, v in fits if cause in fitting[cause.runtime, o.words]]
        shown = [(o, v) for o, v in fits if v.kind == OTHER]
        if not shown:
            continue
        # One that no other cause explains shows it best.
        smallest, said = min(
            shown, key=lambda pair: (len(fitting[cause.runtime, pair[0].words]), _size(pair[0]))
        )
        # What a runtime refuses says nothing about what it sees.
        answered = [v for _, v in fits if v.kind not in (REFUSED, CRASHED)]
        counts = {"other": len(shown), "of": len(answered)}
        found.append(replace(cause, smallest=smallest.words, shown=said.text, **counts))
    rest = [
        f"{name}: {one.words}: {said.text}"
        for one, verdicts in rows
        for name, said in verdicts.items()
        if said.kind == OTHER and not fitting[name, one.words]
    ]
    return found, rest


def _size(one: Single) -> tuple[int, int]:
    """How large a model is: its elements, and what has to be said of it."""
    elements = sum(given.values(0).size for given in one.inputs.values())
    return elements, len(one.words)
