"""From a run that contradicts a claim to the element that does, and a way to see it again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx

from rfgraph.files import filled
from rfgraph.reads.words import Shape
from rfgraph.validation.plan import Run
from rfgraph.validation.report import Violation
from rfgraph.validation.runs import Runner
from rfgraph.worker.feeds import save_arrays
from rfgraph.worker.protos import needed


def narrowed(
    runner: Runner, run: Run, value: str, unit: Shape, claimed: np.ndarray
) -> np.ndarray | None:
    """The fewest elements, of those changed and not `claimed`, with which a unit still changes.

    Parameters
    ----------
    runner : Runner
        The workload.
    run : Run
        What was changed.
    value : str
        Name of the value.
    unit : tuple of int
        Its unit.
    claimed : ndarray of bool, of the input's shape
        What the unit is claimed to see.

    Returns
    -------
    ndarray of bool, of the input's shape, or None
        As a rule one element. None where the unit changes only with others that it may see.
    """
    name = run.regions[0].input
    shape = claimed.shape
    kept = np.zeros(shape, dtype=bool)
    for region in run.regions:
        kept[region.within(shape)] = True
    kept &= ~claimed

    def moves(places: np.ndarray) -> bool:
        try:
            moved = runner.moved([value], runner.changed(run, {name: places}))
        except Exception:  # what is raised differs from kernel to kernel
            # Fewer changes can make what the model does not accept.
            return False
        return bool(moved[-1][value][unit])

    if not kept.any() or not moves(kept):
        return None
    while True:
        flat = np.flatnonzero(kept)
        if len(flat) == 1:
            return kept
        for half in (flat[: len(flat) // 2], flat[len(flat) // 2 :]):
            part = np.zeros(shape, dtype=bool)
            part.reshape(-1)[half] = True
            if moves(part):
                kept = part
                break
        else:
            # Only together do they move it.
            return kept


_SCRIPT = '''"""Runs model.onnx with the inputs of base.npz and of changed.npz.

A unit changes that is claimed not to see the difference, or does not change although it is
claimed to see it.
"""

import json
from pathlib import Path

import numpy as np

here = Path(__file__).parent
violation = json.loads((here / "violation.json").read_text())


def run(feeds):
    if violation["runtime"]:
        from rfgraph import runtimes

        with runtimes.start(violation["runtime"]) as session:
            session.open(here / "model.onnx")
            return session.run([feeds])[0].outputs[0]
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    folder = violation["folder"]
    if folder:
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", folder
        )
    session = onnxruntime.InferenceSession((here / "model.onnx").read_bytes(), options)
    return session.run([violation["value"]], feeds)[0]


if __name__ == "__main__":
    for name in ("base", "changed"):
        with np.load(here / f"{name}.npz") as stored:
            arrays = [stored[f"arr_{k}"] for k in range(len(violation["inputs"]))]
        arrays = [a.astype(object) if a.dtype.kind == "U" else a for a in arrays]
        made = run(dict(zip(violation["inputs"], arrays)))
        print(name, made[tuple(violation["unit"])])
    print(violation["said"])
'''


def save_reproduction(
    folder: Path, runner: Runner, run: Run, violation: Violation, places: np.ndarray | None
) -> None:
    """Write a model, two sets of inputs and a script that shows what a violation says.

    The folder is written beside its place and renamed: it is whole or not there.

    Raises
    ------
    RFGraphError
        It can't be written.
    """
    workload = runner.workload
    model = _up_to(workload.models[-1], violation.value)
    inputs = [value.name for value in model.graph.input if value.name in workload.feeds]
    changed = runner.changed(run, None if places is None else {violation.input: places})
    document = {
        "inputs": inputs,
        "value": violation.value,
        "unit": violation.unit,
        "input": violation.input,
        "said": str(violation),
        "box": violation.box,
        "element": violation.element,
        "folder": workload.folder,
        "runtime": workload.runtime,
    }
    with filled(folder, "the reproduction") as place:
        onnx.save(model, place / "model.onnx")
        for name, feeds in (("base", workload.feeds), ("changed", changed)):
            save_arrays(place / f"{name}.npz", [feeds[n] for n in inputs])
        (place / "violation.json").write_text(json.dumps(document, indent=1))
        (place / "reproduce.py").write_text(_SCRIPT)


def _up_to(contents: bytes, value: str) -> onnx.ModelProto:
    """The part of a model that makes one value."""
    model: onnx.ModelProto = onnx.ModelProto.FromString(contents)
    graph = model.graph
    nodes, names = needed(graph.node, [value])
    kept = [
        (graph.node, nodes),
        (graph.initializer, [t for t in graph.initializer if t.name in names]),
        (graph.input, [i for i in graph.input if i.name in names]),
        (graph.output, [o for o in graph.output if o.name == value]),
    ]
    for field, entries in kept:
        copies = [type(entry).FromString(entry.SerializeToString()) for entry in entries]
        del field[:]
        field.extend(copies)
    return model
