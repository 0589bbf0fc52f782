"""Figures of tiles as the tools around take them; docs/tiling.md says how exact each is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from functools import wraps
from math import lcm
from typing import Any

from rfgraph.errors import QueryError
from rfgraph.render.documents import Tiling
from rfgraph.render.tiles import text
from rfgraph.tiling import AxisPlan, Plan
from rfgraph.tiling.axes import up

# The axes of an image from its last one on, in bioimage.io.
_SPACE = "xyz"


def _export(made: Callable[[Plan], str]) -> Callable[[Tiling], str]:
    """What is said of a plan; where there is none, why."""

    @wraps(made)
    def export(document: Tiling) -> str:
        if document.plan is None:
            return text(document)
        if not document.plan.is_exact:
            raise _unsaid(document.plan, "tiles do not give the result of the whole (--local)")
        return made(document.plan)

    return export


@_export
def bioimageio(plan: Plan) -> str:
    """The inputs and outputs of a description of a model, with sizes and halos.

    It is JSON, which is YAML as well: what is missing in them is for their author to say.
    """
    analysis = plan.analysis
    cut = {(name, k): axis for axis in plan.axes for name, k in axis.inputs}
    if len(plan.axes) > len(_SPACE):
        raise _unsaid(plan, f"{len(plan.axes)} axes are cut, and it knows {', '.join(_SPACE)}")
    ids = {axis.inputs: _SPACE[k] for k, axis in enumerate(reversed(plan.axes))}
    inputs = []
    for name in analysis.inputs:
        axes = []
        for k, size in enumerate(analysis.extent(name) or ()):
            axis = cut.get((name, k))
            if axis is None:
                axes.append(_other(k, size, is_open=not isinstance(analysis.dims(name)[k], int)))
                continue
            first, at = axis.inputs[0]
            sizes: dict[str, Any] = {"min": _least(axis), "step": axis.alignment}
            if (first, at) != (name, k):
                sizes = {"tensor_id": _id(first), "axis_id": ids[axis.inputs]}
            axes.append(
                {"type": "space", "id": ids[axis.inputs], "size": sizes, "scale": _unit(axis)}
            )
        inputs.append({"id": _id(name), "axes": axes})
    outputs = []
    for name in plan.outputs:
        follows = {a.outputs[name].axis: a for a in plan.axes if name in a.outputs}
        axes = []
        for k, size in enumerate(analysis.extent(name) or ()):
            axis = follows.get(k)
            if axis is None:
                axes.append(_other(k, size, is_open=False))
                continue
            how = axis.outputs[name]
            if how.offset:
                raise _unsaid(plan, f"axis {k} of '{name}' has an offset of {how.offset}")
            first = axis.inputs[0][0]
            halo = int(_halo(axis) * how.scale)
            axes.append(
                {
                    "type": "space",
                    "id": ids[axis.inputs],
                    "size": {"tensor_id": _id(first), "axis_id": ids[axis.inputs], "offset": 0},
                    "scale": float(_unit(axis) / how.scale),
                    **({"halo": halo} if halo else {}),
                }
            )
        outputs.append({"id": _id(name), "axes": axes})
    return json.dumps({"inputs": inputs, "outputs": outputs}, indent=2)


_MONAI = """\
# For monai.inferers.sliding_window_inference(inputs, predictor=..., sw_batch_size=1, **options).
# Exact for images at least as large as roi_size that are of {sizes}, unless their last window lies
# {near} elements behind the one before it.
import torch

roi_size = {roi}
weights = torch.ones(roi_size)
for axis, (before, after) in enumerate({margins}):
    # Margins count at the image's border alone, where no core says anything.
    weights.narrow(axis, 0, before).mul_(2.0**-32)
    weights.narrow(axis, roi_size[axis] - after, after).mul_(2.0**-32)
options = {{
    "roi_size": roi_size,
    "overlap": {overlap},
    "mode": "constant",
    "roi_weight_map": weights,
}}"""


@_export
def monai(plan: Plan) -> str:
    """The options of MONAI's sliding window, in Python."""
    tiles = [_tile(axis) for axis in _of_images(plan)]
    cores = [axis.core(n) for axis, n in zip(plan.axes, tiles, strict=True)]
    # The distance of windows is the whole part of roi_size * (1 - overlap).
    overlap = [1 - (core + 0.5) / n for core, n in zip(cores, tiles, strict=True)]
    return _MONAI.format(
        sizes=" and ".join(dict.fromkeys(axis.sizes_text for axis in plan.axes)),
        near=f"less than {max(axis.after for axis in plan.axes)}",
        roi=_tuple(tiles),
        margins=_tuple((axis.margin[0], axis.after) for axis in plan.axes),
        overlap=_tuple(overlap),
    )


_DASK = """\
# tiled(run, image) is {output} of a dask array, where run(tile) makes it of an array of numpy.
# For images of {sizes}.
import dask.array as da
import numpy as np

core = {core}
# Multiples of the alignment, {alignment}: dask moves chunks that are shorter than this.
depth = {depth}
# By axis, output elements for one of the input: numerator, denominator.
scale = {scale}
shape = {others}


def tiled(run, image, dtype="float32"):
    whole = {{}}
    for k, n in core.items():
        # The last chunk has to be as long as the overlap.
        count = max((image.shape[k] - max(depth[k])) // n, 0)
        whole[k] = (n,) * count + (image.shape[k] - n * count,)
    image = image.rechunk({{k: whole.get(k, -1) for k in range(image.ndim)}})

    def cropped(tile, block_info=None):
        made = run(tile)
        place = block_info[0]["chunk-location"]
        last = block_info[0]["num-chunks"]
        for k, (times, per) in scale.items():
            before = depth[k][0] * times // per if place[k] else 0
            after = depth[k][1] * times // per if place[k] < last[k] - 1 else 0
            made = made.take(range(before, made.shape[k] - after), axis=k)
        return made

    chunks = [(n,) for n in shape]
    for k, (times, per) in scale.items():
        chunks[k] = tuple(n * times // per for n in whole[k])
    chunks[0] = (image.shape[0],)
    # map_overlap would trim the depth in elements of the output, and pads the image's border.
    tiles = da.overlap.overlap(image, depth, boundary="none", allow_rechunk=False)
    return tiles.map_blocks(cropped, chunks=tuple(chunks), meta=np.empty((0,) * len(chunks), dtype))
"""


@_export
def dask(plan: Plan) -> str:
    """A function in Python that runs tiles by dask's overlaps."""
    axes, output = _of_images(plan), _one_output(plan)
    follows = [axis.outputs[output] for axis in axes]
    shape = plan.analysis.extent(output) or ()
    if [how.axis for how in follows] != [axis.inputs[0][1] for axis in axes]:
        raise _unsaid(plan, f"the axes of '{output}' are others than those of the input")
    numbers = [axis.inputs[0][1] for axis in axes]
    cores = {k: axis.core(_tile(axis)) for k, axis in zip(numbers, axes, strict=True)}
    depth = {k: _depth(axis) for k, axis in zip(numbers, axes, strict=True)}
    scales = {how.axis: how.scale.as_integer_ratio() for how in follows}
    return _DASK.format(
        output=repr(output),
        sizes=" and ".join(dict.fromkeys(axis.sizes_text for axis in axes)),
        core=cores,
        alignment=" and ".join(dict.fromkeys(str(axis.alignment) for axis in axes)),
        depth=depth,
        scale=scales,
        others=_tuple(shape),
    ).rstrip()


@_export
def nnunet(plan: Plan) -> str:
    """The patch size of nnU-Net's plans, and how its predictor steps."""
    tiles = [_tile(axis) for axis in _of_images(plan)]
    steps = [axis.core(n) / n for axis, n in zip(plan.axes, tiles, strict=True)]
    return json.dumps(
        {
            "patch_size": tiles,
            "tile_step_size": min(steps),
            "use_gaussian": True,
            "exact": False,
        },
        indent=2,
    )


def _unsaid(plan: Plan, why: str) -> QueryError:
    return QueryError(
        f"this format can't say it: {why}",
        file=plan.analysis.file,
        remedy="--output-format json says all, and rfgraph tile --run runs it",
    )


def _of_images(plan: Plan) -> tuple[AxisPlan, ...]:
    """The axes, if they are those of one input behind samples and channels."""
    (name, *others) = plan.analysis.inputs
    found = [axis.inputs for axis in plan.axes]
    rank = len(plan.analysis.dims(name))
    if others or found != [((name, k),) for k in range(2, rank)]:
        raise _unsaid(plan, "it takes one input, all axes of which are cut but the first two")
    outputs = {name: [a.outputs.get(name) for a in plan.axes] for name in plan.outputs}
    for name, follows in outputs.items():
        if any(how is None or how.offset for how in follows):
            raise _unsaid(plan, f"'{name}' has not the input's size times a number")
    return plan.axes


def _one_output(plan: Plan) -> str:
    if len(plan.outputs) > 1:
        raise QueryError(
            f"this format is of one output, and these are {', '.join(plan.outputs)}",
            file=plan.analysis.file,
            remedy=f"choose one: --output {plan.outputs[0]}",
        )
    return plan.outputs[0]


def _tile(axis: AxisPlan) -> int:
    """A tile whose core is at least as long as its margins, as these tools need."""
    least = axis.margin[0] + axis.after + max(axis.margin)
    return axis.fitted(max(axis.tile, up(least, axis.alignment) + axis.alignment))


def _depth(axis: AxisPlan) -> tuple[int, int]:
    """Both margins, so that a tile's size is one that the model takes."""
    before, after = axis.margin
    wanted = [n for n in axis.sizes if n == 0] or axis.sizes
    return before, after + wanted[0] % axis.alignment


def _halo(axis: AxisPlan) -> int:
    """The same on both sides."""
    return max(axis.margin)


def _least(axis: AxisPlan) -> int:
    """The smallest size that has a core between halos."""
    least = 2 * _halo(axis) + axis.alignment
    return min(least + (r - least) % axis.alignment for r in axis.sizes)


def _unit(axis: AxisPlan) -> int:
    """How long an input element is, so that those of outputs are whole numbers."""
    return lcm(*(how.scale.numerator for how in axis.outputs.values()))


def _other(k: int, size: int, *, is_open: bool) -> dict[str, Any]:
    if k == 0:
        return {"type": "batch"} if is_open or size == 1 else {"type": "index", "size": size}
    if k == 1:
        return {"type": "channel", "channel_names": [f"channel{n}" for n in range(size)]}
    return {"type": "index", "id": f"index{k}", "size": size}


def _id(name: str) -> str:
    """A name as bioimage.io takes it."""
    found = re.sub(r"\W", "_", name.lower(), flags=re.ASCII)
    return found if re.match("[a-z]", found) else f"t{found}"


def _tuple(items: Iterable[Any]) -> str:
    return repr(tuple(items))
