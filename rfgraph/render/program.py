"""The program behind bounds, and the views of values, as `rfgraph show --program` prints them.

What the words mean stands in docs/engine.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from rfgraph._core import NOTHING, Program
from rfgraph.engine._lowering import AxisView, Chain, Factor, Item, Piece
from rfgraph.render.documents import Listing
from rfgraph.render.text import aligned, plain, shape

# Of longer lists only this many entries are printed.
_MOST = 8


def text(document: Listing) -> str:
    """What ``rfgraph show --program`` says."""
    analysis = document.analysis
    lines = instructions(analysis.lowered.program)
    for name in document.names:
        extent = analysis.extent(name)
        lines += ["", f"{plain(name)} {shape(analysis.shape(name))}"]
        for given, views in analysis.lowered.views.get(name, {}).items():
            for axis, view in enumerate(views):
                lines += _under(f"{plain(given)} axis {axis}", _view(view, extent or ()))
    return "\n".join(lines)


def instructions(program: Program) -> list[str]:
    """A line for each instruction: slot, name and operands, and what the slot holds."""
    table = [["slot", "instruction", "first", "last"]]
    for slot in range(len(program)):
        ends = (segments(program, slot, which) for which in range(2))
        table.append([str(slot), instruction(program, slot), *ends])
    return aligned(table)


def instruction(program: Program, slot: int) -> str:
    """Name and operands: ``WINDOW 1: start -1, count 3, step 1, advance 1, 64 -> 64``."""
    name, a, b, above, below = program.instruction(slot)
    if name == "SEED":
        said = f"SEED {a}"
    elif name == "WINDOW":
        said = f"WINDOW {a}: {_word(program, b)}"
    elif name == "FOLD":
        said = f"FOLD {a}: all of {b}"
    elif name == "LISTED":
        said = name
    else:
        said = f"{name} {a} {b}"
    return said + (f", above {above}, below {below}" if (above, below) != (1, 1) else "")


def _word(program: Program, number: int) -> str:
    starts, counts, advance, step, begin, end, outputs, size = program.progression(number)
    said = f"start {_numbers(starts)}, count {_numbers(counts)}, step {step}, advance {advance}"
    said += f", {size} -> {outputs}"
    return said if begin <= 0 and end >= outputs else f"{said}, from {_run(begin, end)} only"


def segments(program: Program, slot: int, which: int) -> str:
    """What a slot holds: ``0..9: 0, 10..63: o - 10``, the number for each coordinate ``o``.

    Parameters
    ----------
    program : Program
        The program.
    slot : int
        The slot.
    which : int
        0 for first coordinates, 1 for last ones.
    """
    found = program.segments_of(slot, which)
    ends = [*[begin for begin, _, _ in found], program.size(slot)]
    said = []
    for (begin, advance, values), (_, end) in zip(found, pairwise(ends), strict=True):
        if which:
            # They are kept negated.
            advance, values = -advance, [v if v >= NOTHING else -v for v in values]
        said.append(f"{_run(begin, end)}: {_function(begin, advance, values)}")
    return ", ".join(_cut(said)) or "empty"


def _function(begin: int, advance: int, values: Sequence[int]) -> str:
    if len(values) > 1:
        phases = _numbers(values)
        return f"{phases} + {_times(advance, 'q')}" if advance else phases
    if values[0] >= NOTHING or not advance:
        return _number(values[0])
    add = values[0] - advance * begin
    sign = "-" if add < 0 else "+"
    return _times(advance, "o") + (f" {sign} {abs(add)}" if add else "")


def _times(factor: int, what: str) -> str:
    return {1: what, -1: f"-{what}"}.get(factor, f"{factor}{what}")


def _run(begin: int, end: int) -> str:
    return str(begin) if end - begin == 1 else f"{begin}..{end - 1}"


def _number(value: int) -> str:
    return "nothing" if value >= NOTHING else str(value)


def _numbers(values: Sequence[int]) -> str:
    """One number, or the list of all phases."""
    if len(values) == 1:
        return _number(values[0])
    return f"[{', '.join(_cut([_number(value) for value in values]))}]"


def _cut(said: list[str]) -> list[str]:
    return said if len(said) <= _MOST else [*said[:_MOST], f"... ({len(said)} of them)"]


# ---------------------------------------------------------------- views


def _view(view: AxisView, extent: Sequence[int]) -> Iterator[str]:
    """The items and chains of a view, the parts of a chain below it.

    Concatenations of concatenations are no deeper calls: there may be thousands.
    """
    pending: list[tuple[int, Item | Chain | str]] = [(0, item) for item in reversed(view.items)]
    while pending:
        depth, item = pending.pop()
        if isinstance(item, Chain):
            yield f"{'  ' * depth}chain along axis {item.axis}, {item.size} long"
            for begin, size, part in reversed(item.parts):
                head = _run(begin, begin + size)
                first = part.items[0]
                if len(part.items) == 1 and isinstance(first, Item):
                    pending.append((depth + 1, f"{head}: {_item(first, extent)}"))
                else:
                    pending += [(depth + 2, one) for one in reversed(part.items)]
                    pending.append((depth + 1, head))
        else:
            yield "  " * depth + (item if isinstance(item, str) else _item(item, extent))


def _item(item: Item, extent: Sequence[int]) -> str:
    """``slot 5 along axis 2, where slot 3 along axis 1 has something, global``."""
    said = [_factor(item, extent)]
    said += [f"where {_factor(mask, extent)} has something" for mask in item.masks]
    return ", ".join(said + ["global"] * item.is_global)


def _factor(factor: Factor, extent: Sequence[int]) -> str:
    along = " and ".join(_piece(piece, extent) for piece in factor.pieces)
    return f"slot {factor.slot}" + (f" along {along}" if along else "")


def _piece(piece: Piece, extent: Sequence[int]) -> str:
    """``axis 1 // 14 % 14``, as far as that is not the coordinate itself."""
    said = f"axis {piece.axis}" if not piece.shift else f"(axis {piece.axis} - {piece.shift})"
    if piece.inner > 1:
        said += f" // {piece.inner}"
    if piece.shift or piece.inner * piece.size < extent[piece.axis]:
        said += f" % {piece.size}"
    return said.replace("- -", "+ ")


def _under(head: str, lines: Iterator[str]) -> list[str]:
    """What belongs to a heading: on the same line if it is one."""
    found = list(lines)
    if len(found) == 1:
        return [f"  {head}: {found[0]}"]
    return [f"  {head}", *[f"    {line}" for line in found]]
