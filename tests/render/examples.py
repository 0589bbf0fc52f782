"""Reports and comparisons, made by hand, with everything that there is to render."""

from __future__ import annotations

import numpy as np

from rfgraph import analyze
from rfgraph.checks import Checked, Finding, Report
from rfgraph.checks.finding import Severity
from rfgraph.compare import Change, Comparison
from rfgraph.render.documents import LayerTable
from rfgraph.render.rows import densities, rows
from tests.graphs import single

CODES = ["RF101", "RF104", "RF301", "RF302", "RF401", "RF902"]

# What ends lines, cells, elements, commands, code and comments, and what no terminal can show.
ABSURD = [
    "a\nb\r\nc\x0bd\x85e\u2028f",
    "\x1b[2J\x1b]0;title\x07",
    "]]><![CDATA[<b>&amp;",
    "a|b\\|c`d``e",
    "::error::no ##[error]no",
    "%0A,title=no:no",
    "\ud800\udc80 lone",
    "'quoted' \"twice\"",
    "\x00\ufffe\uffff",
    "</details><script>",
    "@octocat #1 _a_ *b* ~~c~~ $d$ [e](f) ![g](h)",
    "\u202egnp.exe",
    "n" * 10_000,
]


def finding(code: str, model: str, k: int = 0) -> Finding:
    """One of those that the checks make."""
    made = {
        "RF101": Finding(
            code,
            model,
            "output 'y' sees 7 of the 14 elements along axis 2 of input 'x' (50.0%), and has to "
            "see 80.0%",
            "use larger kernels, strides or dilations, or lower the limit",
            "error",
            value="y",
            input="x",
            axis=2,
            figures={"sees": 7, "of": 14, "share": 0.5, "covers": 0.8},
        ),
        "RF104": Finding(
            code,
            model,
            f"Conv '/layers.{k}/conv' adds no context: its input '/layers.{k - 1}/relu' already "
            "sees all 8 elements along axis 2 of 'x'",
            "leave it out, use smaller strides before it, or larger inputs",
            "note",
            node=f"/layers.{k}/conv",
            operator="Conv",
            value=f"/layers.{k}/conv_output",
            input="x",
        ),
        "RF301": Finding(
            code,
            model,
            f"Add 'sum_{k}' joins branches of input 'x' whose centres lie {k + 2} apart along "
            "axis 2",
            "give the branches the same strides, and paddings alike on both sides",
            "warning",
            node=f"sum_{k}",
            operator="Add",
            value=f"sum_{k}_output",
            input="x",
            axis=2,
            figures={"strides": ["1", "1/2"], "misalignment": k + 2.0, "allowed": 0.5},
        ),
        "RF401": Finding(
            code,
            model,
            "'y' sees everything along axis 2 of input 'x', and saw 23",
            "if that is intended, write a new baseline; else see what has changed with rfgraph "
            "diff OLD NEW",
            "error",
            value="y",
            input="x",
            axis=2,
            figures={"before": 23, "after": float("inf")},
        ),
        "RF902": Finding(
            code,
            model,
            "GridSample 'warp': its grid is computed: any place of the input is assumed",
            "if some inputs are the same in every run, hold them fixed ('values'); else ignore "
            "RF902",
            "note",
            node="warp",
            operator="GridSample",
        ),
    }
    return made[code]


def full() -> Report:
    """A model with everything, one that can't be checked, one that is clean."""
    one, known, broken, clean = (
        "models/my net.onnx",
        "models/known.onnx",
        "models/broken.onnx",
        "models/clean.onnx",
    )
    return Report(
        [
            Checked(
                one,
                [
                    finding("RF104", one, 4),
                    *(finding("RF301", one, k) for k in range(5)),
                    finding("RF101", one),
                    # The same place twice: its size, and whether there is more than that.
                    finding("RF401", one),
                    finding("RF401", one),
                    finding("RF902", one),
                ],
                [finding("RF104", one, 5), finding("RF104", one, 6)],
                CODES,
                ["input 'x': its axis 0 is open and taken as 1"],
                seconds=1.23449,
            ),
            Checked(known, [], [finding("RF902", known)], CODES, seconds=0.5),
            Checked(broken, error=f"{broken}: not an ONNX model (export it again)", seconds=0.001),
            Checked("/data/half.onnx", codes=CODES, error="RF302: out of memory", seconds=2),
            Checked(
                clean,
                codes=CODES,
                remarks=[f"input 'x{k}': its axis 0 is open and taken as 1" for k in range(5)],
            ),
        ],
        ["models/known.onnx: RF302 value 'y', axis 2 of input 'x'"],
        4.5678,
    )


def nothing() -> Report:
    """Many models, and nothing to say of them."""
    return Report([Checked(f"{k}.onnx", codes=CODES, seconds=0.1) for k in range(12)], seconds=1.2)


def many() -> Report:
    """More findings than one looks at."""
    models = [f"models/{k}.onnx" for k in range(3)]
    return Report(
        [
            Checked(model, [finding("RF104", model, k) for k in range(9)], codes=CODES, seconds=1)
            for model in models
        ],
        seconds=3,
    )


def differing() -> Comparison:
    """Every kind of change."""
    side = {"size": 3, "stride": 2, "start": -1, "global": False}
    whole = {"size": None, "stride": 0, "start": None, "global": True}
    seen = {"shape": [1, 8, 4, 4], "sees": {"x": [side, whole]}}
    return Comparison(
        "old.onnx",
        "new net.onnx",
        [
            Change("vanished", "gone", "", None, seen, None, "'gone' is gone"),
            Change("grew", "a", "x", 2, 7, 9, "'a' sees 9 elements along axis 2 of input 'x', …"),
            Change("grew", "a", "x", 3, 7, 9, "'a' sees 9 elements along axis 3 of input 'x', …"),
            Change("grew", "b", "x", 2, 7, None, "'b' sees everything along axis 2, …"),
            Change("shrank", "c", "x", 2, None, 5, "'c' sees 5 elements along axis 2, …"),
            Change(
                "moved",
                "d",
                "x",
                2,
                {"stride": 2, "start": 0},
                {"stride": "1/2", "start": None},
                "'d' sees axis 2 with stride 1/2, …",
            ),
            Change("shape", "d", "", None, [1, 2], None, "'d' has the shape not known, …"),
            Change("shape", "e", "", None, [1, 2], [], "'e' has the shape of a scalar, …"),
            Change("global", "e", "x", 2, False, True, "'e' sees all of axis 2, …"),
            Change("local", "f", "x", 2, True, False, "'f' sees no more than a part, …"),
            Change(
                "appeared",
                "f",
                "z",
                None,
                None,
                [side],
                "'f' now sees input 'z', and did not before",
            ),
            Change("vanished", "f", "x", None, [side, whole], None, "'f' no longer sees input 'x'"),
            Change("appeared", "new", "", None, None, {"shape": None, "sees": {}}, "'new' is new"),
        ],
        1234,
        {"/old/c": "c", "f": "f2"},
    )


def same() -> Comparison:
    """Nothing differs."""
    return Comparison("old.onnx", "new.onnx", [], 57, {})


def named(name: str) -> Report:
    """A report in which a name is wherever one can be."""
    kinds: list[tuple[str, str, Severity]] = [
        ("RF301", "Add", "warning"),
        ("RF301", name, "warning"),
        ("RF104", "Conv", "note"),
    ]
    found = [
        Finding(
            code,
            name,
            f"{operator} '{name}' is odd along axis 0 of input '{name}'",
            f"look at '{name}'",
            severity,
            node=name,
            operator=operator,
            value=name,
            input=name,
            axis=0,
            figures={"name": name},
        )
        for code, operator, severity in kinds
    ]
    return Report(
        [
            Checked(name, found, found[:1], CODES, [f"input '{name}': taken as 1"], seconds=0.5),
            Checked(f"{name}2", error=f"{name}: Conv '{name}': does not fit", remarks=[name]),
        ],
        [f"{name}: RF302 value '{name}'"],
        1.5,
    )


def named_comparison(name: str) -> Comparison:
    """A comparison in which a name is wherever one can be."""
    side = {"size": 3, "stride": 2, "start": -1, "global": False}
    seen = {"shape": [1, 8], "sees": {name: [side, side]}}
    return Comparison(
        name,
        f"{name}2",
        [
            Change("grew", name, name, 0, 3, 5, f"'{name}' sees 5 elements of '{name}'"),
            Change("vanished", f"{name}3", "", None, seen, None, f"'{name}3' is gone"),
            Change("appeared", name, "", None, None, seen, f"'{name}' is new"),
        ],
        2,
        {f"{name}4": name},
    )


def named_table(name: str) -> LayerTable:
    """A table in which a name is wherever one can be: an input, an operator, its node, an output,
    a note, as nobody knows the operator, and a hint.
    """
    model, _ = single(name, {name: np.zeros((2, 3), np.float32)}, [f"{name}2"], domain="absurd")
    model.graph.node[0].name = name
    analysis = analyze(model)
    found = rows(analysis)
    return LayerTable(analysis, found, densities(analysis, found), True, [f"hold '{name}'"])
