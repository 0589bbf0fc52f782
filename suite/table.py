"""What the suite has shown: as data of the package, and as a page."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .causes import Row, assigned, reasons
from .verdicts import CRASHED, OTHER, REFUSED, SHAPE, VALUES, WITNESSES

ROOT = Path(__file__).parents[1]
DATA = ROOT / "rfgraph" / "runtimes" / "known.json"
PAGE = ROOT / "docs" / "runtimes.md"

# What runtimes are called.
_NAMES = {
    "onnxruntime": "onnxruntime",
    "reference": "onnx.reference",
    "openvino": "OpenVINO",
    "mnn": "MNN",
    "onnx2torch": "onnx2torch",
}


def write(
    rows: Sequence[Row], versions: dict[str, str], confirmed: Mapping[str, Sequence[str]]
) -> list[str]:
    """Write both, and say what is other without a cause.

    Parameters
    ----------
    rows : sequence of (Single, dict of str to Verdict)
        The verdicts of every model, by runtime.
    versions : dict of str to str
        The version of each runtime.
    confirmed : mapping of str to (sequence of str)
        By the words of a model, the runtimes that show exactly what is claimed.

    Returns
    -------
    list of str
        What has no cause.
    """
    found, rest = assigned(rows, versions)
    counts: dict[str, dict[str, Counter[str]]] = {}
    for one, verdicts in rows:
        operator = counts.setdefault(one.operator, {})
        for name, said in verdicts.items():
            operator.setdefault(name, Counter())[said.kind] += 1
    known = {
        "runtimes": versions,
        "models": len(rows),
        "claims": _claims(rows, confirmed),
        "operators": {operator: counts[operator] for operator in sorted(counts)},
        "differences": [asdict(one) for one in found],
    }
    DATA.write_text(json.dumps(known, indent=1, sort_keys=False) + "\n", encoding="utf-8")
    PAGE.write_text(page(known), encoding="utf-8")
    return rest


def _claims(rows: Sequence[Row], confirmed: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """How many claims are confirmed, by whom, and of which operators the rest is."""
    counts: Counter[str] = Counter()
    rest: Counter[str] = Counter()
    for one, _ in rows:
        names = confirmed[one.words]
        if any(name in WITNESSES for name in names):
            counts["witnesses"] += 1
        elif names:
            counts["others"] += 1
        else:
            rest[one.operator] += 1
    found = [
        {"operators": names, "models": sum(rest.pop(name, 0) for name in names), "why": why}
        for names, why in reasons()
    ]
    if rest:
        why = "not looked at yet"
        found.append({"operators": sorted(rest), "models": rest.total(), "why": why})
    return {**counts, "rest": found}


def page(known: dict[str, Any]) -> str:
    """The text of the page, from what `known.json` has."""
    return "\n".join(_lines(known)) + "\n"


def _lines(known: dict[str, Any]) -> Iterator[str]:
    versions = known["runtimes"]
    yield from _beginning(known)
    yield ""
    yield from _confirmed(known)
    yield ""
    yield "## Operators"
    yield ""
    yield from _wrapped(
        "In each cell: *same / other / refused*. *Same*: every element of every output sees the "
        "elements that the specification names. *Other*: some do not, or there are more or fewer "
        "outputs' elements. *Refused*: the runtime says that it does not run the model, and what "
        "crashes or hangs it (`!`) counts as well. In brackets how many of the same have other "
        "values (`v`), or have a shape that differs by axes of 1 (`s`)."
    )
    yield ""
    yield "| operator | models | " + " | ".join(_titles(versions)) + " |"
    yield "|---|---:|" + "---|" * len(versions)
    totals: dict[str, Counter[str]] = {name: Counter() for name in versions}
    for operator, by_runtime in known["operators"].items():
        for name, kinds in by_runtime.items():
            totals[name].update(kinds)
        models = max(sum(kinds.values()) for kinds in by_runtime.values())
        cells = [_cell(by_runtime.get(name, {})) for name in versions]
        yield f"| {operator} | {models} | " + " | ".join(cells) + " |"
    cells = [_cell(totals[name]) for name in versions]
    yield f"| all {len(known['operators'])} | {known['models']} | " + " | ".join(cells) + " |"
    yield ""
    yield from _wrapped(
        "What is other, and why, follows by runtime. *N of M models*: of those that fit and are "
        "not refused so many are other; where two causes meet, a model counts for both. The "
        "smallest is of few elements, and has no other cause if there is such a model."
    )
    for name in versions:
        yield from _differences(name, known)


def _confirmed(known: dict[str, Any]) -> Iterator[str]:
    """How far the claims themselves are confirmed."""
    claims = known["claims"]
    yield "## Claims"
    yield ""
    yield from _wrapped(
        f"In {claims['witnesses']} of {known['models']} models onnxruntime or ONNX's reference "
        f"shows exactly what rfgraph claims, element by element; in {claims['others']} another "
        "runtime does. In the rest nobody shows all of it:"
    )
    yield ""
    for one in claims["rest"]:
        yield from _item(f"{', '.join(one['operators'])} ({one['models']}): {one['why']}")


def _titles(versions: dict[str, str]) -> list[str]:
    return [f"{_NAMES.get(name, name)} {version}" for name, version in versions.items()]


def _cell(kinds: dict[str, int]) -> str:
    """Counts, as short as can be.

    >>> _cell({"same": 5, "values": 1, "refused": 2})
    '6 / 0 / 2 (1v)'
    """
    if not kinds:
        return ""
    other, lost = kinds.get(OTHER, 0), kinds.get(CRASHED, 0)
    refused = kinds.get(REFUSED, 0) + lost
    same = sum(kinds.values()) - other - refused
    marks = [f"{kinds[k]}{k[0]}" for k in (VALUES, SHAPE) if kinds.get(k)]
    marks += [f"{lost}!"] if lost else []
    return f"{same} / {other} / {refused}" + (f" ({' '.join(marks)})" if marks else "")


def _differences(name: str, known: dict[str, Any]) -> Iterator[str]:
    """The section of a runtime."""
    found = [one for one in known["differences"] if one["runtime"] == name]
    yield ""
    yield f"## {_NAMES.get(name, name)} {known['runtimes'][name]}"
    yield ""
    if not found:
        yield "Nothing is other."
    for k, one in enumerate(found):
        if k:
            yield ""
        where = f", where {' and '.join(one['where'])}" if one["where"] else ""
        versions = ""
        if one["since"] > 1 or one["until"] < 999:
            last = f" to {one['until']}" if one["until"] < 999 else " on"
            versions = f" (operator sets {one['since']}{last})"
        yield from _wrapped(
            f"**{', '.join(one['operators'])}**{versions}{where}: {one['seen']}. "
            f"({one['other']} of {one['of']} models"
            f"{'' if one['checked'] else '; not told by RF903'}.)"
        )
        yield ""
        yield from _item(f"smallest: {_code(one['smallest'])}: {one['shown']}")
        yield from _item(f"right: {one['right']}")
        yield from _item(f"instead: {one['remedy']}")


def _code(words: str) -> str:
    return f"`{words}`"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 118, break_long_words=False, break_on_hyphens=False)


def _item(text: str) -> list[str]:
    return textwrap.wrap(
        text, 118, initial_indent="- ", subsequent_indent="  ", break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def _beginning(known: dict[str, Any]) -> Iterator[str]:
    yield from (
        (Path(__file__).with_name("page.md").read_text("utf-8"))
        .format(
            models=known["models"],
            operators=len(known["operators"]),
            runtimes=", ".join(_titles(known["runtimes"])),
        )
        .splitlines()
    )
