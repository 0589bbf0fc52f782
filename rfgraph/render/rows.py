"""What the renderers of `rfgraph show` and `rfgraph unit` have in common: the rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import combinations, pairwise
from typing import TypeAlias

from rfgraph.analysis.analysis import Analysis
from rfgraph.engine.closed_form import Field
from rfgraph.errors import ShapeError

# A module of the model, as ``("layer1", "0", "conv1")``: the names of those around it, and its own.
Module: TypeAlias = tuple[str, ...]

# The most nodes that are visited for the densities of one table: the support of a unit visits all
# nodes before it.
_MOST_NODES = 1_000_000


@dataclass(frozen=True, slots=True)
class Pair:
    """What a value sees of one input: the local part of it, and all."""

    local: Field
    full: Field


@dataclass(frozen=True, slots=True)
class Row:
    """One value, or a part of it; `fields` has the inputs that it depends on."""

    name: str
    tensor: str
    middle: tuple[int, ...] | None
    operator: str
    node: str
    shape: tuple[int | None, ...] | None
    is_output: bool
    fields: dict[str, Pair]


def rows(
    analysis: Analysis,
    select: Sequence[str] = (),
    *,
    constants: bool = False,
    along: int | None = None,
) -> list[Row]:
    """The values in topological order.

    Parameters
    ----------
    analysis : Analysis
        The analysis.
    select : sequence of str, optional
        Patterns (``*``, ``?``, ``[...]``) of which a value's name, its node's name or its
        operator has to match one. One that matches none of these is for modules: it has all that
        is in ``layer1.0`` of ``encoder.layer1.0``.
    constants : bool, optional
        Also values that depend on no input.
    along : int, optional
        An axis of the values: one row for each run of coordinates with equal fields.
    """
    found = _rows(analysis, select, constants)
    if along is None:
        return list(found)
    return [part for row in found for part in _parts(analysis, row, along)]


def _parts(analysis: Analysis, row: Row, along: int) -> Iterator[Row]:
    """The runs of coordinates of a value's axis with equal fields; the value if it has no such."""
    extent = analysis.extent(row.name)
    if row.shape is None or extent is None or along >= len(extent) or not row.fields:
        yield row
        return
    if row.shape[along] is None:
        yield row
        return
    cuts = {extent[along]}
    for name in row.fields:
        for local in (True, False):
            cuts.update(run.start for run, _ in analysis.fields(row.name, along, name, local))
    for begin, end in pairwise(sorted(cuts)):
        fields = {}
        for name in row.fields:
            near, full = (
                analysis.field(row.name, name, local, {along: begin}) for local in (True, False)
            )
            fields[name] = Pair(near, full)
        name = f"{row.name}[{':,' * along}{begin}:{end}]"
        middle = tuple((begin + end) // 2 if a == along else n // 2 for a, n in enumerate(extent))
        yield replace(row, name=name, middle=middle, fields=fields)


def _rows(analysis: Analysis, select: Sequence[str], constants: bool) -> Iterator[Row]:
    outputs = set(analysis.outputs)
    for name, operator, node, seen in selected(analysis, select, constants=constants):
        fields = {
            i: Pair(analysis.field(name, i), analysis.field(name, i, local=False)) for i in seen
        }
        shape, extent = analysis.shape(name), analysis.extent(name)
        middle = None if extent is None or 0 in extent else tuple(n // 2 for n in extent)
        yield Row(name, name, middle, operator, node, shape, name in outputs, fields)


def selected(
    analysis: Analysis, select: Sequence[str] = (), *, constants: bool = False
) -> Iterator[tuple[str, str, str, list[str]]]:
    """The values of which there are `rows`: name, operator, node, and the inputs they depend on."""
    outputs = set(analysis.outputs)
    found = []
    for name in analysis.tensors:
        made = analysis.node(name)
        if made is None:
            operator, node = "input", name
        else:
            domain = f"{made.domain}." if made.domain else ""
            operator, node = domain + made.op_type, made.name
        seen = [i for i in analysis.inputs if analysis.depends(name, i)]
        if seen or constants or name in outputs:
            found.append((name, operator, node, seen))
    if not select:
        yield from found
        return
    matching = {p: {f[0] for f in found if any(fnmatchcase(n, p) for n in f[:3])} for p in select}
    rest = [pattern for pattern, names in matching.items() if not names]
    of = modules(analysis) if rest else {}
    known = {path: _runs(path) for path in set(of.values())}
    chosen = set().union(*matching.values())
    for pattern in rest:
        within = {
            path for path, runs in known.items() if any(fnmatchcase(r, pattern) for r in runs)
        }
        chosen |= {name for name, path in of.items() if path in within}
    yield from (each for each in found if each[0] in chosen)


def _runs(path: Module) -> list[str]:
    """What a module and those around it are called, whole or without those around them."""
    ends = combinations(range(len(path) + 1), 2)
    return [".".join(path[begin:end]) for begin, end in ends]


def modules(analysis: Analysis) -> Mapping[str, Module]:
    """The module that each value is made in, of those that are in one.

    That is told by what the exporter has written into the file, else by the names of nodes.
    """
    # Most tables don't need them.
    from rfgraph.model import scopes

    stated: Mapping[str, tuple[str, ...]] = {}
    if analysis.file is not None:
        stated = scopes.declared(analysis.file)
    made = [(name, node) for name in analysis.tensors if (node := analysis.node(name)) is not None]
    paths = scopes.paths(
        [(node.name if node.named else "", node.outputs) for _, node in made], stated
    )
    return {name: _split(path) for (name, _), path in zip(made, paths, strict=True) if path}


def _split(path: tuple[str, ...]) -> Module:
    """A path of scopes, some of which repeat the one around them: ``layer1``, ``layer1.0``."""
    names: list[str] = []
    for around, scope in pairwise(("", *path)):
        names += scope.removeprefix(f"{around}.").split(".")
    return tuple(names)


def densities(analysis: Analysis, rows: Sequence[Row]) -> list[dict[str, float] | None]:
    """The share of its box that the middle unit of each row sees, by input.

    None where that is too much work, or where there is no unit.
    """
    place = {name: k for k, name in enumerate(analysis.tensors)}
    done = 0
    found: list[dict[str, float] | None] = []
    for row in rows:
        done += place[row.tensor] + 1
        if row.middle is None or done > _MOST_NODES:
            found.append(None)
            continue
        try:
            found.append(
                {i: analysis.support(row.tensor, row.middle, i).density for i in row.fields}
            )
        except ShapeError:
            found.append(None)
    return found


def shown_axes(analysis: Analysis, name: str, most: int = 2) -> tuple[int, ...]:
    """The axes of an input that a picture shows: of those that move, the last `most`."""
    shape = analysis.extent(name) or ()
    return tuple([axis for axis in analysis.moving_axes(name) if shape[axis] > 1][-most:])
