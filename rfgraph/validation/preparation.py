"""What is run to test an analysis: a copy of the model that shows inner values too."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx.external_data_helper import load_external_data_for_model

from rfgraph.analysis import Analysis, analyze
from rfgraph.analysis.inputs import Model
from rfgraph.errors import QueryError, RFGraphError
from rfgraph.model.model_file import whole
from rfgraph.reads.words import Shape
from rfgraph.runtimes import start
from rfgraph.validation.leaks import without_leaks
from rfgraph.validation.nan.emitter import Taps
from rfgraph.validation.nan.probe import interpolates, poisoned
from rfgraph.validation.runs import Workload, runner_of
from rfgraph.worker.feeds import accepted, settled
from rfgraph.worker.protos import BLOCKED, blocked, runnable

# How many values besides the outputs are tested, unless values are named.
_INNER = 32

# The most bytes of values that are compared in one pass.
_GROUP = 1 << 28

# The batch size to test with, where the model leaves it open.
_ROWS = 4


@dataclass
class Prepared:
    """What is tested.

    Attributes
    ----------
    analysis : Analysis
        Who claims.
    workload : Workload
        What is run.
    tensors : list of str
        The values that are tested.
    inputs : list of str
        The inputs that are changed.
    rows : int
        Rows of the batch that do not mix; 1 where the model says how many there are.
    untested : dict of str to str
        Values that were asked for, and why nothing can be said of them.
    notes : list of str
        What else is to be known.
    """

    analysis: Analysis
    workload: Workload
    tensors: list[str]
    inputs: list[str]
    rows: int
    untested: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def groups(self) -> list[list[str]]:
        """The values in groups of which each fits into memory."""
        groups: list[list[str]] = []
        room = 0
        for tensor in self.tensors:
            size = _bytes(self.analysis, tensor)
            if size > room or not groups:
                groups.append([])
                room = _GROUP
            groups[-1].append(tensor)
            room -= size
        return groups


def _bytes(analysis: Analysis, tensor: str) -> int:
    return 4 * prod(analysis.extent(tensor) or ())


def prepared(
    model: Model,
    *,
    shapes: Mapping[str, Sequence[int]],
    values: Mapping[str, Any],
    options: Mapping[str, Any],
    assume: bool,
    poison: bool,
    tensors: Sequence[str] | None,
    inputs: Mapping[str, Any],
    seed: int,
    providers: Sequence[str],
    threads: int,
    runtime: str = "",
) -> Prepared:
    """Make ready what `rfgraph.validate` runs; its parameters are explained there.

    `options` are those of `rfgraph.analyze` that concern the reads.
    """
    alone = analyze(model, shapes=shapes, values=values, assume=assume, **options)
    proto, folder = whole(model)
    if runtime and folder:
        # Elsewhere nothing is said of the folder.
        load_external_data_for_model(proto, folder)
        folder = ""
    proto = runnable(proto)

    def ready(analysis: Analysis, rows: int) -> Prepared:
        untested: dict[str, str] = {}
        candidates = _candidates(analysis, proto, tensors, untested)
        held = analysis.held
        shown, models = _models(
            analysis, proto, candidates, held, untested, poison=poison, elsewhere=bool(runtime)
        )
        if tensors is None:
            untested = {t: why for t, why in untested.items() if t in analysis.outputs}
            shown = _spread(analysis, shown)
        if runtime:
            feeds, limit = _accepted_by(runtime, analysis, proto, inputs, seed)
        else:
            feeds, limit = accepted(analysis, proto, folder, inputs, held, seed, providers)
        workload = Workload(
            uuid.uuid4().hex,
            tuple(m.SerializeToString() for m in models),
            folder,
            _floats(feeds, models[0]) if poison else feeds,
            poison,
            seed,
            tuple(providers),
            threads,
            analysis.file,
            runtime,
        )
        return _with_inputs(Prepared(analysis, workload, shown, [], rows, untested), limit)

    batched, rows = _batched(alone, proto, model, shapes, {"values": values, **options})
    found = ready(batched, rows)
    if rows > 1 and found.tensors:
        try:
            runner_of(found.workload).base(found.tensors[:1])
        except RFGraphError:
            # Sizes in the file that say nothing of a batch can hold it to one row.
            return ready(alone, 1)
    return found


# ---------------------------------------------------------------- sizes


def _batched(
    analysis: Analysis,
    proto: onnx.ModelProto,
    model: Model,
    shapes: Mapping[str, Sequence[int]],
    given: Mapping[str, Any],
) -> tuple[Analysis, int]:
    """The analysis with several rows of a batch, if their number is open and they don't mix."""
    dims = {i.name: i.type.tensor_type.shape.dim for i in proto.graph.input}
    several: dict[str, Shape] = {}
    for name in analysis.inputs:
        shape = analysis.extent(name)
        open_ = dims.get(name) and not dims[name][0].HasField("dim_value")
        if not shape or not open_ or name in shapes or shape[0] != 1:
            return analysis, 1
        several[name] = (_ROWS, *shape[1:])
    largest = max((_bytes(analysis, t) for t in analysis.tensors), default=0)
    if not several or _ROWS * largest > _GROUP:
        return analysis, 1
    try:
        found = analyze(model, shapes=several, **given)
        if any(found.reads_across(name, 0) for name in found.inputs):
            return analysis, 1
    except RFGraphError:
        # The graph allows for one row only.
        return analysis, 1
    return found, _ROWS


# ---------------------------------------------------------------- values


def _candidates(
    analysis: Analysis,
    proto: onnx.ModelProto,
    patterns: Sequence[str] | None,
    untested: dict[str, str],
) -> list[str]:
    """The values that can be looked at, of those that are asked for."""
    made = {name for node in proto.graph.node for name in node.output}
    asked = analysis.tensors
    if patterns is not None:
        wanted: set[str] = set()
        for p in patterns:
            named = {t for t in asked if t == p or fnmatchcase(t, p)}
            if not named:
                raise QueryError(
                    f"no value has the name '{p}'",
                    file=analysis.file,
                    remedy="rfgraph show MODEL lists the values",
                )
            wanted |= named
        asked = [t for t in asked if t in wanted]
    found = []
    for tensor in asked:
        shape = analysis.shape(tensor)
        if tensor in analysis.inputs:
            untested[tensor] = "it is an input"
        elif tensor not in made:
            untested[tensor] = "it is inside a subgraph, whose values are not tested"
        elif shape is None or None in shape:
            untested[tensor] = "its shape depends on the data"
        elif 0 in shape:
            untested[tensor] = "it is empty"
        elif _bytes(analysis, tensor) > _GROUP:
            untested[tensor] = f"it has more than {_GROUP >> 20} MiB"
        else:
            found.append(tensor)
    return found


def _spread(analysis: Analysis, tensors: list[str]) -> list[str]:
    """The outputs, and values spread over the others that depend on an input."""
    inner = [t for t in tensors if t not in analysis.outputs and analysis.depends(t)]
    kept = {inner[k * len(inner) // _INNER] for k in range(_INNER)} if inner else set()
    return [t for t in tensors if t in analysis.outputs or t in kept]


def _models(
    analysis: Analysis,
    proto: onnx.ModelProto,
    tensors: list[str],
    held: Mapping[str, Any],
    untested: dict[str, str],
    *,
    poison: bool,
    elsewhere: bool,
) -> tuple[list[str], list[onnx.ModelProto]]:
    """The values that can be shown, and what shows them."""
    if not poison:
        shown = onnx.ModelProto()
        shown.CopyFrom(proto)
        if not elsewhere:
            without_leaks(shown)
        unclear = blocked(proto)
        untested.update((t, BLOCKED) for t in tensors if t in unclear)
        tensors = [t for t in tensors if t not in unclear]
        outputs = {o.name for o in shown.graph.output}
        shown.graph.output.extend(onnx.ValueInfoProto(name=t) for t in tensors if t not in outputs)
        return tensors, [shown]

    def sized(name: str) -> Shape | None:
        shape = analysis.shape(name)
        return None if shape is None or None in shape else analysis.extent(name)

    kinds: list[Taps] = ["read", "weighted"] if interpolates(proto) else ["read"]
    probes = [poisoned(proto, tensors, sized, taps=taps, held=held) for taps in kinds]
    for probe in probes:
        untested.update(probe.lost)
        tensors = [t for t in tensors if t not in probe.lost]
    return tensors, [probe.model for probe in probes]


# ---------------------------------------------------------------- inputs


def _with_inputs(found: Prepared, limit: int | None) -> Prepared:
    """Name the inputs that are changed, and note what is to be known of others."""
    feeds = found.workload.feeds
    for name in found.analysis.inputs:
        if name in feeds and np.asarray(feeds[name]).dtype.kind in "biuf":
            found.inputs.append(name)
        else:
            found.notes.append(f"input '{name}' is not changed: it is not a tensor of numbers")
    if limit is not None:
        found.notes.append(f"random whole numbers for the inputs are below {limit}")
    return found


def _accepted_by(
    runtime: str,
    analysis: Analysis,
    proto: onnx.ModelProto,
    inputs: Mapping[str, Any],
    seed: int,
) -> tuple[dict[str, Any], int | None]:
    """As `accepted`, of another runtime."""
    with start(runtime) as session:
        opened = session.open(proto.SerializeToString())
        if not opened.answered:
            raise RFGraphError(f"{runtime}: {opened}", file=analysis.file)

        def runs(feeds: Mapping[str, Any]) -> bool:
            return session.run([feeds])[0].answered

        given = {**inputs, **analysis.held}
        return settled(analysis, proto, given, analysis.held, seed, runs)


def _floats(feeds: Mapping[str, Any], model: onnx.ModelProto) -> dict[str, Any]:
    """The inputs of a probe: those that live are floats there, of the size of one."""
    rng = np.random.default_rng(0)
    found = {}
    for value in model.graph.input:
        if value.name not in feeds:
            continue
        feed = feeds[value.name]
        kind = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        if np.asarray(feed).dtype != kind or np.dtype(kind).kind != "f":
            same = np.asarray(feed).dtype == kind
            feed = feed if same else np.asarray(rng.standard_normal(np.shape(feed)), kind)
        found[value.name] = feed
    return found
