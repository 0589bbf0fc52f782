"""What shows a difference again without rfgraph: models, inputs, and a script."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from rfgraph.agreement.evidence import evidence
from rfgraph.agreement.node import Alone, Seen
from rfgraph.agreement.result import Difference
from rfgraph.agreement.sides import Side
from rfgraph.files import filled
from rfgraph.runtimes.observe import distance
from rfgraph.worker.feeds import save_arrays

_SCRIPT = '''"""Runs what is saved here on both sides, with its inputs and with changed ones.

difference.json says what is to be seen.
"""

import json
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
FOUND = json.loads((HERE / "difference.json").read_text())


def run(runtime, path, feeds):
    name, _, given = runtime.partition(":")
    options = dict(part.split("=") for part in given.split(",") if part)
    if name == "onnxruntime":
        import onnxruntime as ort

        settings = ort.SessionOptions()
        level = {"all": "ENABLE_ALL", "extended": "ENABLE_EXTENDED", "basic": "ENABLE_BASIC"}
        level = level.get(options.get("level", "all"), "DISABLE_ALL")
        settings.graph_optimization_level = getattr(ort.GraphOptimizationLevel, f"ORT_{level}")
        providers = [options.get("provider", "CPUExecutionProvider")]
        return ort.InferenceSession(path, settings, providers=providers).run(None, feeds)
    if name == "openvino":
        import openvino

        hints = {"INFERENCE_PRECISION_HINT": options["precision"]} if "precision" in options else {}
        model = openvino.Core().compile_model(path, options.get("device", "CPU"), hints)
        return [np.array(made) for made in model(feeds).values()]
    if name == "reference":
        from onnx.reference import ReferenceEvaluator

        return ReferenceEvaluator(path).run(None, feeds)
    # One of another package, which rfgraph knows by an entry point.
    from rfgraph import runtimes

    with runtimes.start(runtime) as session:
        opened = session.open(path)
        made = session.run([feeds])[0] if opened.answered else opened
        if not made.answered:
            raise SystemExit(f"{runtime}: {made}")
        return made.outputs


def main():
    print(FOUND["text"])
    for inputs in FOUND["inputs"]:
        for side in FOUND["sides"]:
            with np.load(HERE / side[inputs]) as stored:
                feeds = {name: stored[f"arr_{k}"] for k, name in enumerate(side["names"])}
            outputs = run(side["runtime"], str(HERE / side["model"]), feeds)
            made = np.asarray(outputs[FOUND["output"]])
            shown = [inputs, side["name"], made.shape]
            # Where the shapes differ the other may have no such unit.
            if all(k < size for k, size in zip(FOUND["unit"], made.shape)):
                shown += ["unit", FOUND["unit"], made[tuple(FOUND["unit"])]]
            print(*shown)


if __name__ == "__main__":
    main()
'''


def saved(
    folder: Path,
    number: int,
    sides: tuple[Side, Side],
    runtimes: tuple[str, str],
    difference: Difference,
    shown: Alone,
    sight: Seen | None,
) -> str:
    """Write a folder with what shows a difference; return it.

    The folder is written beside its place and renamed: it is whole or not there.

    Raises
    ------
    RFGraphError
        It can't be written.
    """
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", difference.node).strip("._")[-60:]
    target = folder / f"{number:02}-{difference.operator}-{plain}"
    unit = difference.unit
    if not unit and shown.ours.ndim:
        most = int(distance(shown.ours, shown.theirs).argmax())
        unit = tuple(int(k) for k in np.unravel_index(most, shown.ours.shape))
    base, changed = evidence(sides, shown, sight, unit)
    inputs = {"base": base} if changed is None else {"base": base, "changed": changed}
    document = {
        **asdict(difference),
        "inputs": list(inputs),
        "output": shown.place,
        "unit": list(unit),
        "sides": [_told(k, sides[k], runtimes[k], shown, inputs) for k in (0, 1)],
        "reproduction": "",
    }
    with filled(target, "the reproduction") as place:
        for k in (0, 1) if shown.twin is not None else (0,):
            told: Any = document["sides"][k]
            onnx.save(shown.model_of(k), place / told["model"])
            for name, feeds in inputs.items():
                save_arrays(place / told[name], shown.feeds_of(k, feeds).values())
        (place / "difference.json").write_text(json.dumps(document, indent=1))
        (place / "reproduce.py").write_text(_SCRIPT)
    return str(target)


def _told(
    k: int, side: Side, runtime: str, shown: Alone, inputs: Mapping[str, object]
) -> dict[str, Any]:
    """What the script is told of a side: both share the files of one model."""
    before = "" if shown.twin is None else ("first-", "second-")[k]
    return {
        "name": runtime if shown.twin is None else side.name,
        "runtime": runtime,
        "model": f"{before}model.onnx",
        "names": [shown.name_of(k, name) for name in shown.feeds],
        **{name: f"{before}{name}.npz" for name in inputs},
    }


__all__ = ["saved"]
