"""Run the suite through runtimes, and write what comes of it.

Usage: pip install -e ".[test]" openvino, and for the others pip install -e "suite/plugin[mnn]"
       python -m suite.run --runtimes onnxruntime,reference,openvino,mnn,onnx2torch

What each runtime shows is kept in build/suite/; runtimes that are not named are taken from there.
With all there are, rfgraph/runtimes/known.json and docs/runtimes.md are written anew.
"""

from __future__ import annotations

import argparse
import pickle
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rfgraph.runtimes import start

from . import table
from .models import suite
from .observed import Masks, claims, observe
from .verdicts import confirmed_by, contradicted, verdict

KEPT = Path(__file__).parents[1] / "build" / "suite"

# How each is asked for.
RUNTIMES = {
    "onnxruntime": "onnxruntime:level=disable,threads=1",
    "reference": "reference",
    "openvino": "openvino:precision=f32,threads=1",
    "mnn": "mnn",
    "onnx2torch": "onnx2torch",
}

# One run of a model of one node.
_SECONDS = 60.0


def show(name: str, due: Mapping[str, Masks]) -> dict[str, Any]:
    """What a runtime shows of every model of which it is known what is due."""
    found: dict[str, Any] = {}
    began = time.monotonic()
    with start(RUNTIMES[name], seconds=_SECONDS) as session:
        for one in suite():
            if one.words in due:
                found[one.words] = observe(one, due[one.words], session)
        version, runs = session.version, session.runs
    took = time.monotonic() - began
    print(f"{name} {version}: {len(found)} models, {runs} runs, {took:.0f} s", flush=True)
    return {"version": version, "seen": found}


def main(arguments: list[str] | None = None) -> int:
    """Run it; 1 where all witnesses contradict rfgraph, or a difference has no cause."""
    parser = argparse.ArgumentParser(description="Run models of one node through runtimes.")
    parser.add_argument("--runtimes", default=",".join(RUNTIMES), help="those that are run now")
    parser.add_argument("--like", default="", help="only models whose words hold this text")
    given = parser.parse_args(arguments)
    KEPT.mkdir(parents=True, exist_ok=True)
    due = {one.words: claims(one) for one in suite() if given.like in one.words}
    shown = {}
    for name in RUNTIMES:
        path = KEPT / f"{name}.pickle"
        if name in filter(None, given.runtimes.split(",")):
            shown[name] = show(name, due)
            if path.exists() and given.like:
                before = pickle.loads(path.read_bytes())
                shown[name]["seen"] = before["seen"] | shown[name]["seen"]
            path.write_bytes(pickle.dumps(shown[name]))
        elif path.exists():
            shown[name] = pickle.loads(path.read_bytes())
    rows, doubts = [], 0
    confirmed: dict[str, list[str]] = {}
    for one in suite():
        if one.words not in due:
            continue
        seen = {
            n: kept["seen"][one.words] for n, kept in shown.items() if one.words in kept["seen"]
        }
        confirmed[one.words] = confirmed_by(due[one.words], seen)
        for doubt in contradicted(due[one.words], seen):
            doubts += 1
            print(f"contradicted: {one.words}: {doubt}")
        rows.append((one, {n: verdict(one, due[one.words], s, seen) for n, s in seen.items()}))
    if given.like:
        for one, found in rows:
            for name, said in found.items():
                print(f"{name}: {one.words}: {said.kind} {said.text}")
        return int(bool(doubts))
    without = table.write(rows, {name: kept["version"] for name, kept in shown.items()}, confirmed)
    for line in without:
        print(f"no cause: {line}")
    return int(bool(doubts or without))


if __name__ == "__main__":
    sys.exit(main())
