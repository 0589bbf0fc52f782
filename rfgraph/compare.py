"""What the values of a model see, as plain data, and how two models differ in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from fnmatch import fnmatchcase
from fractions import Fraction
from functools import cache, partial
from math import inf, isfinite
from typing import Any, Literal, TypeAlias

from rfgraph.analysis.analysis import Analysis
from rfgraph.engine.closed_form import AxisField, Number
from rfgraph.errors import QueryError

# A value: its shape, and what it sees of each input, an entry for each axis.
Seen: TypeAlias = Mapping[str, Any]
Kind: TypeAlias = Literal[
    "grew", "shrank", "moved", "shape", "global", "local", "appeared", "vanished"
]

# More values than this are matched by name only.
_MOST_ALIGNED = 4000


@dataclass(frozen=True)
class Change:
    """What differs in a value.

    Attributes
    ----------
    kind : str
        ``grew``, ``shrank`` (its size), ``moved`` (its stride or start), ``shape``, ``global`` and
        ``local`` (whether a statistic over the axis is on the way), ``appeared``, ``vanished``
        (the value, or its dependence on the input).
    value, input : str
        Where; `input` is ``""`` where it is about the value itself.
    axis : int or None
        Of the input.
    before, after : object
        The figures that differ.
    text : str
        All of it, for people.
    """

    kind: Kind
    value: str
    input: str
    axis: int | None
    before: Any
    after: Any
    text: str


@dataclass(frozen=True)
class Comparison:
    """How two models differ.

    Attributes
    ----------
    before, after : str
        Their paths.
    changes : list of Change
        In the topological order of the first model; what is new comes last.
    matched : int
        How many values were compared.
    renamed : mapping of str to str
        Those of them that have other names, by structure: old name to new.
    """

    before: str
    after: str
    changes: list[Change]
    matched: int
    renamed: Mapping[str, str]


def snapshot(analysis: Analysis, values: Iterable[str]) -> dict[str, Seen]:
    """What values see, as it can be written to a file.

    Examples
    --------
    >>> import rfgraph
    >>> made = snapshot(rfgraph.analyze("models/lenet_textbook.onnx"), ["y"])
    >>> made["y"]["sees"]["x"][2]
    {'size': 6, 'smallest': 6, 'stride': 2, 'start': 0, 'back': 0, 'ahead': 4, 'global': False}
    """
    found: dict[str, Seen] = {}
    for value in values:
        sees = {}
        for name in analysis.inputs:
            if analysis.depends(value, name):
                single = tuple([length == 1 for length in analysis.dims(name)])
                sides = analysis.once(
                    value, name, ("sides", single), partial(_sides, analysis, value, name, single)
                )
                # Who asked may change what they got, and what is kept is for others too.
                sees[name] = [dict(side) for side in sides]
        shape = analysis.shape(value)
        found[value] = {"shape": None if shape is None else list(shape), "sees": sees}
    return found


def _sides(
    analysis: Analysis, value: str, name: str, single: Iterable[bool]
) -> list[dict[str, Any]]:
    """What a value sees along each axis of an input; `single` of those of one element."""
    near, full = (analysis.field(value, name, local) for local in (True, False))
    return [_side(*axis) for axis in zip(near, full, single, strict=True)]


def _side(near: AxisField, full: AxisField, is_single: bool) -> dict[str, Any]:
    """The local part along an axis of the input, and whether there is more."""
    if is_single:
        # Nothing moves along a single element, and no more of it can be seen.
        near = _single()
    return {
        "size": _plain(near.size),
        "smallest": _plain(near.smallest),
        "stride": _plain(near.stride),
        "start": _plain(near.start),
        "back": _plain(near.back),
        "ahead": _plain(near.ahead),
        "global": full.is_global,
    }


@cache
def _single() -> AxisField:
    """The field along an axis of one element."""
    return AxisField.periodic(0, (0, 0))


def _plain(number: Number) -> int | str | None:
    # What is looked up by its class takes a tenth of the time.
    if type(number) is Fraction:
        return str(number)
    return int(number) if isfinite(number) else None


def differences(
    before: Mapping[str, Seen],
    after: Mapping[str, Seen],
    tolerance: int = 0,
    names: Mapping[str, str] | None = None,
) -> Iterator[Change]:
    """How two snapshots differ.

    Parameters
    ----------
    before, after : mapping
        As `snapshot` makes them.
    tolerance : int, optional
        So many elements more or less of a size or a start are no difference.
    names : mapping of str to str, optional
        Which value of `before` is which one of `after`; by default those of the same name.
    """
    names = {name: name for name in before if name in after} if names is None else names
    for old, was in before.items():
        if old not in names:
            yield Change("vanished", old, "", None, was, None, f"'{old}' is gone")
            continue
        yield from _value(names[old], was, after[names[old]], tolerance)
    taken = set(names.values())
    for new, now in after.items():
        if new not in taken:
            yield Change("appeared", new, "", None, None, now, f"'{new}' is new")


def _value(value: str, was: Seen, now: Seen, tolerance: int) -> Iterator[Change]:
    if was["shape"] != now["shape"]:
        old, new = (_dims(seen["shape"]) for seen in (was, now))
        text = f"'{value}' has the shape {new}, and had {old}"
        yield Change("shape", value, "", None, was["shape"], now["shape"], text)
    for name in sorted({*was["sees"], *now["sees"]}):
        if name not in now["sees"]:
            text = f"'{value}' no longer sees input '{name}'"
            yield Change("vanished", value, name, None, was["sees"][name], None, text)
            continue
        if name not in was["sees"]:
            text = f"'{value}' now sees input '{name}', and did not before"
            yield Change("appeared", value, name, None, None, now["sees"][name], text)
            continue
        sides = was["sees"][name], now["sees"][name]
        if len(sides[0]) != len(sides[1]):
            text = f"input '{name}' of '{value}' has {len(sides[1])} axes, and had {len(sides[0])}"
            yield Change("shape", value, name, None, len(sides[0]), len(sides[1]), text)
            continue
        for axis, (old, new) in enumerate(zip(*sides, strict=True)):
            yield from _axis(value, name, axis, old, new, tolerance)


def _axis(
    value: str,
    name: str,
    axis: int,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    tolerance: int,
) -> Iterator[Change]:
    where = f"axis {axis} of input '{name}'"
    width = _width(old), _width(new)
    if not all(_close(a, b, tolerance) for a, b in zip(*width, strict=True)):
        grew = width[0] < width[1]
        of = "size" if old["size"] != new["size"] else "smallest"
        text = f"'{value}' sees {_size(new)} along {where}, and saw {_size(old)}"
        yield Change("grew" if grew else "shrank", value, name, axis, old[of], new[of], text)
    elif old["stride"] != new["stride"] or not all(
        _close(old[key], new[key], tolerance) for key in ("start", "back", "ahead")
    ):
        was, now = ({key: side[key] for key in _PLACE} for side in (old, new))
        text = f"'{value}' sees {where} {_place(new)}, and saw it {_place(old)}"
        yield Change("moved", value, name, axis, was, now, text)
    if old["global"] != new["global"] and old["size"] is not None and new["size"] is not None:
        kind: Kind = "global" if new["global"] else "local"
        said = "sees all of" if new["global"] else "sees no more than a part of"
        text = f"'{value}' {said} {where} now, through a statistic or attention"
        yield Change(kind, value, name, axis, old["global"], new["global"], text)


# The figures that say where a field lies.
_PLACE = ("stride", "start", "back", "ahead")


def _width(side: Mapping[str, Any]) -> tuple[float, float, int]:
    """How much is seen: the largest and the smallest size, and on how many sides without end."""
    sizes = [inf if side[key] is None else side[key] for key in ("size", "smallest")]
    sides = [side[key] is None for key in ("back", "ahead")] if side["size"] is None else []
    return sizes[0], sizes[1], sum(sides)


def _close(a: Any, b: Any, tolerance: int) -> bool:
    if a == b:
        return True
    return isinstance(a, int) and isinstance(b, int) and abs(a - b) <= tolerance


def _size(side: Mapping[str, Any]) -> str:
    """What is seen, in words."""
    if side["size"] is not None:
        some = "" if side["smallest"] == side["size"] else f"{side['smallest']} to "
        return f"{some}{side['size']} element{'s' if side['size'] != 1 else ''}"
    if side["ahead"] is not None:
        return "everything before a place"
    return "everything" if side["back"] is None else "everything behind a place"


def _place(side: Mapping[str, Any]) -> str:
    """Where it is seen, in words."""
    said = f"with stride {side['stride']}"
    if side["start"] is not None:
        said += f" from {side['start']} on"
    ends = [side[key] for key in ("back", "ahead")]
    if ends == [None, None]:
        return said
    back, ahead = ("all" if end is None else end for end in ends)
    return f"{said} (reach {back} back, {ahead} ahead)"


def _dims(shape: Sequence[int | None] | None) -> str:
    if shape is None:
        return "not known"
    return "x".join("?" if size is None else str(size) for size in shape) or "of a scalar"


def matched(before: Analysis, after: Analysis) -> dict[str, str]:
    """Which value of one model is which one of another: by name, else by structure.

    Values of the same name and operator are the same, and outputs of the same name. What is left
    is aligned in topological order, by operators and ranks, so that a longest run of equal ones is
    matched first.
    """
    old, new = ({t: _kind(a, t) for t in a.tensors} for a in (before, after))
    names = {t: t for t, kind in old.items() if new.get(t, ("",))[0] == kind[0]}
    names |= {t: t for t in before.outputs if t in after.outputs}
    left = [b for b in after.inputs if b not in names.values()]
    for a in before.inputs:
        alike = [b for b in left if len(after.dims(b)) == len(before.dims(a))]
        if a not in names and alike:
            names[a] = alike[0]
            left.remove(alike[0])
    left = [t for t in old if t not in names]
    taken = set(names.values())
    right = [t for t in new if t not in taken]
    if max(len(left), len(right)) > _MOST_ALIGNED:
        return names
    kinds = [old[t] for t in left], [new[t] for t in right]
    for block in SequenceMatcher(None, *kinds, autojunk=False).get_matching_blocks():
        span = zip(left[block.a :][: block.size], right[block.b :][: block.size], strict=True)
        names.update(span)
    return names


def _kind(analysis: Analysis, tensor: str) -> tuple[str, int]:
    node = analysis.node(tensor)
    shape = analysis.extent(tensor)
    return node.op_type if node else "input", -1 if shape is None else len(shape)


def compared(
    before: Analysis,
    after: Analysis,
    values: Sequence[str] = (),
    *,
    tolerance: int = 0,
    only_outputs: bool = False,
) -> Comparison:
    """How two models differ in what their values see.

    Parameters
    ----------
    before, after : Analysis
        The models.
    values : sequence of str, optional
        Patterns, of which the names of values have to match one; by default all values.
    tolerance : int, optional
        As for `differences`.
    only_outputs : bool, optional
        Whether only the outputs of the models are compared.

    Raises
    ------
    QueryError
        The models have no input in common.
    """
    names = matched(before, after)
    inputs = {a: names[a] for a in before.inputs if names.get(a) in after.inputs}
    if not inputs:
        raise QueryError(
            "the models have no input in common",
            file=after.file,
            remedy="give two versions of one model, whose inputs have the same names",
        )

    def of(analysis: Analysis) -> list[str]:
        return [
            t
            for t in analysis.tensors
            if analysis.node(t) is not None
            and (t in analysis.outputs or (analysis.depends(t) and not only_outputs))
            and (not values or any(fnmatchcase(t, pattern) for pattern in values))
        ]

    old, new = snapshot(before, of(before)), snapshot(after, of(after))
    for seen in old.values():
        renamed = {inputs.get(name, name): sides for name, sides in seen["sees"].items()}
        seen["sees"].clear()
        seen["sees"].update(renamed)
    pairs = {a: b for a, b in names.items() if a in old and b in new}
    return Comparison(
        before.file or "model",
        after.file or "model",
        list(differences(old, new, tolerance, pairs)),
        len(pairs),
        {a: b for a, b in pairs.items() if a != b},
    )
