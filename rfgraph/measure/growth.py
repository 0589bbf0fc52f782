"""The effective fields of several values: how they grow with depth."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any

from rfgraph.analysis import Analysis, analyze
from rfgraph.analysis.inputs import Model
from rfgraph.errors import QueryError
from rfgraph.measure.effective import effective, unlaid
from rfgraph.measure.images import MOST
from rfgraph.measure.runs import obstacles
from rfgraph.measure.spread import Growth
from rfgraph.measure.stored import Store
from rfgraph.model.model_file import whole
from rfgraph.worker.protos import runnable

# How many values are measured if none are named.
_LAYERS = 8


def growth(
    model: Model,
    tensors: Sequence[str] | None = None,
    input: str | None = None,
    images: Any = None,
    *,
    seconds: float | None = 60.0,
    store: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Growth:
    """Measure the effective fields of several values: how they grow with depth.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
        The model, with its weights.
    tensors : sequence of str, optional
        The values, or patterns as of a shell; 8 of those that see more than the one before, spread
        over the model, if left out.
    input, images
        As for `effective`.
    seconds : float, optional
        For all of them together: each has an equal share of what is left.
    store : path, optional
        A folder with a zarr group for each value, where what was measured is kept, and gone on
        from.
    progress : callable, optional
        Is told how many values are done, and how many there are.
    **options
        As for `effective`.

    Returns
    -------
    Growth
        The effective field of each, in topological order.

    Raises
    ------
    ModelError, ShapeError, QueryError, RFGraphError
        As for `effective`.

    Examples
    --------
    >>> [layer.share(0.5).sides for layer in growth("models/lenet_textbook.onnx").layers]
    [(5, 5), (4, 4)]
    """
    analysis = analyze(
        model,
        shapes=options.get("shapes"),
        values=options.get("values"),
        prune=options.get("prune", False),
        assume=True,
    )
    began = time.monotonic()
    if input is None:
        if len(analysis.inputs) != 1:
            raise QueryError(
                f"the model has {len(analysis.inputs) or 'no'} inputs",
                file=analysis.file,
                remedy=f"name one: {', '.join(analysis.inputs)}" if analysis.inputs else None,
            )
        input = analysis.inputs[0]
    chosen = _layers(model, analysis, tensors, input)
    if isinstance(images, Iterator):
        # Each value has all of them, which an iterator gives once.
        images = list(islice(images, (options.get("preparing") or {}).get("most") or MOST))
    if store is not None:
        Store(store, {"kind": "effective fields of several values"})
    found = []
    for number, tensor in enumerate(chosen):
        left = None
        if seconds is not None:
            left = max((seconds - (time.monotonic() - began)) / (len(chosen) - number), 1e-3)
        kept = store
        if store is not None:
            # Names may be longer than those of files, and hold what these can't.
            kept = os.path.join(store, hashlib.sha256(tensor.encode()).hexdigest()[:16])
        found.append(effective(model, tensor, input, images, seconds=left, store=kept, **options))
        if progress is not None:
            progress(number + 1, len(chosen))
        if found[-1].interrupted:
            break
    return Growth(tuple(found))


def _layers(
    model: Model, analysis: Analysis, tensors: Sequence[str] | None, given: str
) -> list[str]:
    """The values that are measured."""
    every = [t for t in analysis.tensors if t not in analysis.inputs and t in analysis.alike(given)]
    if tensors is not None:
        for pattern in tensors:
            if not any(t == pattern or fnmatchcase(t, pattern) for t in every):
                raise QueryError(
                    f"no value that depends on input '{given}' has the name '{pattern}'",
                    file=analysis.file,
                    remedy="rfgraph show MODEL lists the values",
                )
        return [t for t in every if any(t == p or fnmatchcase(t, p) for p in tensors)]
    # Of values that see the same the last one: what comes of an activation.
    hindered = obstacles(analysis, runnable(whole(model)[0]), every)
    alike = analysis.alike(given)
    some = [t for t in every if t not in hindered and not unlaid(analysis, t, given)]
    last = list({alike[t]: t for t in some}.values())
    if not last:
        raise QueryError(
            f"no value can be laid over input '{given}'",
            file=analysis.file,
            remedy="name the values that are to be measured",
        )
    return (
        [last[k * (len(last) - 1) // max(_LAYERS - 1, 1)] for k in range(_LAYERS)]
        if len(last) > _LAYERS
        else last
    )


__all__ = ["growth"]
