"""What shows a difference again without rfgraph: a model of one node, inputs, and a script."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from shutil import rmtree

import numpy as np
import onnx

from rfgraph.agreement.node import Alone, Seen
from rfgraph.agreement.result import Difference
from rfgraph.errors import RFGraphError
from rfgraph.runtimes.observe import changes, distance

_SCRIPT = '''"""Runs model.onnx in both runtimes, on base.npz and, if it is there, on changed.npz.

difference.json says what is to be seen.
"""

import json
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
FOUND = json.loads((HERE / "difference.json").read_text())


def run(runtime, feeds):
    name, _, given = runtime.partition(":")
    options = dict(part.split("=") for part in given.split(",") if part)
    path = str(HERE / "model.onnx")
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
    from rfgraph import runtimes

    with runtimes.start(runtime) as session:
        session.open(path)
        return session.run([feeds])[0].outputs


def main():
    print(FOUND["text"])
    for inputs in ("base", "changed"):
        if not (HERE / f"{inputs}.npz").exists():
            continue
        with np.load(HERE / f"{inputs}.npz") as stored:
            feeds = {name: stored[f"arr_{k}"] for k, name in enumerate(FOUND["inputs"])}
        for runtime in FOUND["runtimes"]:
            made = np.asarray(run(runtime, feeds)[FOUND["output"]])
            print(inputs, runtime, made.shape, "unit", FOUND["unit"], made[tuple(FOUND["unit"])])


if __name__ == "__main__":
    main()
'''


def saved(
    folder: Path,
    number: int,
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
    document = {
        **asdict(difference),
        "inputs": list(shown.feeds),
        "output": shown.place,
        "unit": list(unit),
        "runtimes": list(runtimes),
        "reproduction": "",
    }
    temporary = target.with_name(f".{target.name}.part")
    try:
        temporary.mkdir(parents=True)
        onnx.save(shown.model, temporary / "model.onnx")
        _store(temporary / "base.npz", shown.feeds)
        changed = _changed(shown, sight, unit)
        if changed is not None:
            _store(temporary / "changed.npz", changed)
        (temporary / "difference.json").write_text(json.dumps(document, indent=1))
        (temporary / "reproduce.py").write_text(_SCRIPT)
        temporary.replace(target)
    except OSError as error:
        raise RFGraphError(
            f"the reproduction can't be written: {error.strerror}", file=str(target)
        ) from None
    finally:
        rmtree(temporary, ignore_errors=True)
    return str(target)


def _store(path: Path, feeds: Mapping[str, np.ndarray]) -> None:
    # By number: a name may be one that savez takes for its own.
    arrays = [a.astype(np.str_) if a.dtype.kind == "O" else a for a in feeds.values()]
    np.savez(path, *arrays)


def _changed(
    shown: Alone, sight: Seen | None, unit: tuple[int, ...]
) -> dict[str, np.ndarray] | None:
    """The inputs with a change that moves the unit on one side only."""
    if sight is None:
        return None
    flat = int(np.ravel_multi_index(unit, shown.ours.shape))
    column = np.flatnonzero(sight.units == flat)
    if not len(column):
        return None
    rows = np.flatnonzero((sight.lone[0] | sight.lone[1])[:, column[0]])
    if not len(rows):
        return None
    region = sight.regions[int(rows[0])]
    *_, changed = changes(shown.feeds[region.input], region.index, np.random.default_rng(0))
    return {**shown.feeds, region.input: changed}


__all__ = ["saved"]
