"""What `rfgraph effective` says."""

from __future__ import annotations

from math import isfinite

from rfgraph.measure.spread import SHARES, TWO_SIGMA, Effective, Growth
from rfgraph.render.text import aligned, coordinate, plain, shape


def text(document: Growth) -> str:
    """The figures of one value, or a table of several."""
    if len(document.layers) == 1:
        (one,) = document.layers
        return "\n".join([*summary(one), "", *aligned(shares_of(one)), *remarks_of(one)])
    return "\n".join([*aligned(layers_of(document)), *all_remarks(document)])


def all_remarks(document: Growth) -> list[str]:
    """What is to be known of several values; of which, where it is not said of all of them."""
    said: dict[str, list[str]] = {}
    for layer in document.layers:
        for line in remarks_of(layer):
            said.setdefault(line, []).append(layer.tensor)
    lines = []
    for line, tensors in said.items():
        if len(tensors) == len(document.layers):
            lines.append(line)
        elif len(tensors) > 2:
            lines.append(f"{line} (so for {len(tensors)} of the values)")
        else:
            lines.append(f"{line} ({', '.join(map(plain, tensors))})")
    return lines


def summary(found: Effective) -> list[str]:
    """What was measured, on what, and how wide it is."""
    every = all(at == slice(None) for at in found.units)
    units = "all units" if every else f"units {','.join(map(_units, found.units))}"
    if found.units and all(_single(at) for at in found.units):
        units = f"unit {','.join(str(at.start) for at in found.units)}"
    images = f"{found.images:,} images" + (" of noise" if found.is_noise else "")
    error = _percent(found.relative_error)
    return [
        f"{plain(found.tensor)} ({found.operator}), {units}, on {plain(found.input)} "
        f"{shape(found.shape)}: {found.passes:,} passes over {images}, relative error {error}",
        f"{TWO_SIGMA:.2%} of it lies within {_sides(found, TWO_SIGMA)} of {_field(found)}; "
        f"standard deviation {_width(found)}",
    ]


def shares_of(found: Effective) -> list[list[str]]:
    """The boxes that hold shares of the map."""
    table = [["share", "within", "of the input", "error", "of the field", "elements"]]
    for share in SHARES:
        box = found.share(share)
        error = found.area_error(share)
        table.append(
            [
                f"{share:.0%}",
                _sides(found, share),
                f"{box.area:.2%}",
                f"{error:.2%}" if isfinite(error) else "unknown",
                f"{box.of_field:.1%}",
                f"{box.elements:.1%}",
            ]
        )
    return table


def layers_of(document: Growth) -> list[list[str]]:
    """A row for each value."""
    head = ["value", "operator", "field", f"{TWO_SIGMA:.2%}", "ratio", "50%", "sigma", "error"]
    rows = [
        [
            found.tensor,
            found.operator,
            _field(found),
            _sides(found, TWO_SIGMA),
            f"{max(found.ratio):.2f}",
            _sides(found, 0.5),
            _width(found),
            _percent(found.relative_error),
        ]
        for found in document.layers
    ]
    return [head, *rows]


def remarks_of(found: Effective) -> list[str]:
    """What else is to be known."""
    lines = []
    if found.is_noise:
        lines.append("note: no images were given: it is measured on noise")
    if found.is_replacement:
        lines.append("note: changes are those by replacement of an element")
    if found.interrupted:
        lines.append("note: it was interrupted")
    elif not found.complete:
        lines.append("note: the time of --seconds ended it, before the error was as asked for")
    return [*lines, *(f"note: {plain(note)}" for note in found.notes)]


def _sides(found: Effective, share: float) -> str:
    return "x".join(map(str, found.share(share).sides))


def _percent(error: float) -> str:
    return f"{error:.1%}" if isfinite(error) else "unknown"


def _field(found: Effective) -> str:
    return "x".join(str(found.theoretical[axis]) for axis in found.axes)


def _width(found: Effective) -> str:
    return "x".join(f"{width:.1f}" for width in found.width)


def _single(at: slice) -> bool:
    return at.start is not None and at.stop == at.start + 1


def _units(at: slice) -> str:
    return str(at.start) if _single(at) else coordinate(at)
