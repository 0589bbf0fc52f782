"""``rfgraph unit``: what one unit sees."""

from __future__ import annotations

import argparse
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rfgraph import plot
from rfgraph.analysis.analysis import Analysis
from rfgraph.cli.common import (
    UNIT,
    add_common,
    analysis_of,
    blocks,
    index_of,
    middle,
    padded,
    unit_of,
    whole_units,
)
from rfgraph.cli.outputs import add_outputs, answered
from rfgraph.cli.pictures import PICTURES, draw_into
from rfgraph.errors import QueryError
from rfgraph.files import save
from rfgraph.render import text
from rfgraph.render.documents import Seen, Units
from rfgraph.render.rows import rows
from rfgraph.render.text import coordinate, written

Index = tuple[int | slice, ...]

# The value, the operator that makes it, and the unit or region.
_Unit = tuple[str, str, Index]


def add(commands: Any) -> None:
    """Add the command to the parser."""
    unit = commands.add_parser(
        "unit",
        help="show what one unit sees: its box, its density and a picture",
        description="Print the box of input elements that a unit sees, how many it sees, their "
        "share of the box, and a picture.",
    )
    add_common(unit)
    add_outputs(unit, "units")
    unit.add_argument("tensor", nargs="?", metavar="TENSOR", help="the value")
    unit.add_argument(
        "index", nargs="?", metavar="INDEX", help=f"{UNIT}; with slices a region: 0,0,:,3:5"
    )
    unit.add_argument("--at", metavar="INDEX", help="the same as INDEX")
    unit.add_argument(
        "--every",
        metavar="GLOB,...",
        help="the unit --at of every value made by these operators, such as Conv,MaxPool; the one "
        "in the middle of each if --at is left out",
    )
    unit.add_argument("--input", metavar="NAME", help="one input only")
    unit.add_argument(
        "--local",
        action="store_true",
        help="only the local part: leave out what is seen through a statistic; prints the box "
        "alone, no picture",
    )
    unit.add_argument(
        "--save",
        type=Path,
        metavar="FILE",
        help="write a picture (.png, .svg, .pdf), or the mask over the whole input (.npy)",
    )
    unit.add_argument(
        "--image", type=Path, metavar="FILE", help="in the picture: lay this image over the input"
    )
    unit.add_argument(
        "--crop", action="store_true", help="in the picture: only the part around what is seen"
    )
    unit.set_defaults(run=run)


def run(options: argparse.Namespace) -> str:
    """The answer."""
    if bool(options.every) == bool(options.tensor):
        raise QueryError("give TENSOR and INDEX, or --every")
    if options.index and options.at:
        raise QueryError("INDEX and --at mean the same: give one of them")
    given = options.at or options.index
    if given:
        index_of(given)
    _check_save(options)
    analysis = analysis_of(options)
    if options.tensor and not given:
        unit = [options.model, options.tensor, written(middle(analysis, options.tensor))]
        raise QueryError(
            "the unit is missing",
            remedy=f"for the one in the middle: rfgraph unit {shlex.join(unit)}",
        )
    inputs = analysis.inputs if options.input is None else [options.input]
    units = _units(analysis, options, given)
    found = [_found(analysis, unit, inputs, local=options.local) for unit in units]
    if options.save:
        _save(analysis, options, units, inputs)
    width = shutil.get_terminal_size().columns
    drawn = bool(options.tensor) and not options.local
    return answered(options, Units(analysis, inputs, found, drawn, width, blocks(options)))


def _units(analysis: Analysis, options: argparse.Namespace, given: str | None) -> list[_Unit]:
    if not options.every:
        assert given is not None
        node = analysis.node(options.tensor)
        index = unit_of(analysis, options.tensor, given)
        _check(analysis, options.tensor, index)
        return [(options.tensor, node.op_type if node else "input", index)]
    units = []
    for row in rows(analysis, options.every.split(",")):
        if given is None:
            place: Index | None = row.middle
        else:
            place = padded(index_of(given), analysis.shape(row.tensor))
        if place is not None:
            units.append((row.name, row.operator, place))
    if not units:
        unit = f"unit {options.at}" if given else "middle"
        raise QueryError(f"no value that {options.every} makes has a {unit}", file=analysis.file)
    return units


def _check(analysis: Analysis, tensor: str, index: Index) -> None:
    """Refuse a region without a unit; what else may be wrong the analysis says."""
    shape = analysis.shape(tensor)
    if shape is not None and len(shape) == len(index):
        for axis, (at, size) in enumerate(zip(index, shape, strict=True)):
            if isinstance(at, slice) and size is not None and not range(size)[at]:
                dims = text.shape(shape)
                raise QueryError(
                    f"'{tensor}' of shape {dims} has no unit at {coordinate(at)} on axis {axis}",
                    file=analysis.file,
                )


def _found(analysis: Analysis, unit: _Unit, inputs: Sequence[str], *, local: bool) -> Seen:
    tensor, operator, index = unit
    single = whole_units(index)
    if single is None and local:
        raise QueryError("--local needs one unit, not a region")
    boxes = {}
    if single is not None:
        boxes = {i: analysis.box(tensor, single, i, local) for i in inputs}
    supports = {} if local else {i: analysis.support(tensor, index, i) for i in inputs}
    boxes = boxes or {i: support.box for i, support in supports.items()}
    return Seen(tensor, operator, index, boxes, supports)


# ---------------------------------------------------------------- --save


def _check_save(options: argparse.Namespace) -> None:
    """Refuse what can't be saved, before anything is worked out."""
    is_picture = bool(options.save) and options.save.suffix.lower() != ".npy"
    if (options.image or options.crop) and not is_picture:
        raise QueryError(
            f"{'--image' if options.image else '--crop'} is for a picture",
            remedy="name its file as well: --save out.png",
        )
    if not options.save:
        return
    kinds = PICTURES if options.every else (*PICTURES, ".npy")
    if options.save.suffix.lower() not in kinds:
        raise QueryError(f"--save {options.save}: its name has to end in one of {', '.join(kinds)}")
    if options.local:
        raise QueryError("--save can't be combined with --local, which gives the box alone")
    if is_picture:
        plot.available()


def _save(
    analysis: Analysis, options: argparse.Namespace, units: Sequence[_Unit], inputs: Sequence[str]
) -> None:
    seen = [i for i in inputs if any(analysis.depends(tensor, i) for tensor, _, _ in units)]
    if len(seen) > 1:
        raise QueryError(
            f"--save needs one input, and {len(seen)} are seen",
            remedy=f"name one: --input {' or '.join(seen)}",
        )
    name = seen[0] if seen else inputs[0]
    path: Path = options.save
    if path.suffix.lower() == ".npy":
        mask = np.asarray(analysis.support(units[0][0], units[0][2], name))
        save(path, lambda stream: np.save(stream, mask))
        return
    style = {"image": options.image, "crop": options.crop}
    if options.every:
        at = index_of(options.at) if options.at else None
        figure = plot.layers(analysis, [unit[0] for unit in units], at, name, **style)
    else:
        figure = plot.unit(analysis, units[0][0], units[0][2], name, **style)
    draw_into(path, figure)
