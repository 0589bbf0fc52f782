"""Pictures of supports in the terminal, of half-block characters or plain ASCII."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rfgraph.engine.support import Support
from rfgraph.render import text

# Top and bottom half of a character, by what they hold; ends of a frame; its sides, by whether
# the input ends there.
_BLOCKS = (" ▄▀█", "┌┐└┘", "┄─", "┆│")
_ASCII = (" .'#", "++++", ".-", ":|")

# The most lines of a picture.
_LINES = 32


def picture(support: Support, axes: Sequence[int], *, width: int = 80, blocks: bool = True) -> str:
    """A support along two axes of its value, or along one as a bar.

    The frame is drawn through where the value ends and dotted where it goes on. What is too
    large is scaled down: a part is filled if any of its elements is in the support.

    Parameters
    ----------
    support : Support
        The elements.
    axes : sequence of int
        One axis, or two: down and across.
    width : int
        Characters in a line.
    blocks : bool
        Whether there are block characters; else ASCII.

    Examples
    --------
    >>> from rfgraph.engine.products import region_of
    >>> rows, columns = (np.arange(5) % 2 == 0, np.arange(9) % 4 == 0)
    >>> cross = Support("x", (5, 9), region_of([rows, columns], (5, 9)))
    >>> print(picture(cross, (0, 1), blocks=False))
    axis 0 down, 0..4 of 0..4; axis 1 across, 0..8 of 0..8
    +---------+
    |'   '   '|
    |'   '   '|
    |'   '   '|
    +---------+
    """
    box = support.box
    if box is None or not axes:
        return ""
    flat = len(axes) == 1
    room = [width - 2] if flat else [2 * _LINES, width - 2]
    windows = [
        _window(box[axis], support.shape[axis], most) for axis, most in zip(axes, room, strict=True)
    ]
    sides = [last - first + 1 for first, last in windows]
    scale = max(-(-side // most) for side, most in zip(sides, room, strict=True))
    mask = support.projection(axes)[tuple(slice(first, last + 1) for first, last in windows)]
    cells = scaled(mask if mask.ndim == 2 else mask[None], (1 if flat else scale, scale))
    marks, corners, level, upright = _BLOCKS if blocks else _ASCII
    if flat:
        lines = ["".join(marks[3] if cell else " " for cell in cells[0])]
    else:
        padded = np.vstack([cells, np.zeros((len(cells) % 2, cells.shape[1]), dtype=bool)])
        lines = [
            "".join(marks[2 * a + b] for a, b in zip(*two, strict=True))
            for two in padded.reshape(-1, 2, cells.shape[1])
        ]
    ends = [
        (window[0] == 0, window[1] == support.shape[axis] - 1)
        for axis, window in zip(axes, windows, strict=True)
    ]
    left, right = (upright[end] for end in ends[-1])
    framed = [f"{left}{line}{right}" for line in lines]
    if not flat:
        top, bottom = (level[end] * cells.shape[1] for end in ends[0])
        framed = [corners[0] + top + corners[1], *framed, corners[2] + bottom + corners[3]]
    names = [""] if flat else [" down", " across"]
    caption = "; ".join(
        f"axis {axis}{name}, {first}..{last} of 0..{support.shape[axis] - 1}"
        for axis, name, (first, last) in zip(axes, names, windows, strict=True)
    )
    if scale > 1:
        one = str(scale) if flat else f"{scale}x{scale}"
        caption += f"; {one} elements to a {'character' if flat else 'half character'}"
    return "\n".join([caption, *framed])


def summary(support: Support) -> str:
    """How many elements there are, and the share of the box."""
    total = int(np.prod(support.shape, dtype=np.int64))
    elements = "element" if total == 1 else "elements"
    return (
        f"{text.plain(support.value)}: {support.count:,} of {total:,} {elements}, "
        f"{text.share(support.density)} of the box"
    )


def _window(ends: tuple[int, int], size: int, room: int) -> tuple[int, int]:
    """The part of an axis that is shown: all of it, if it fits or if most of it is seen."""
    first, last = ends
    margin = (last - first + 1) // 8 + 1
    if size <= room or 2 * (last - first + 1 + 2 * margin) > size:
        return 0, size - 1
    return max(first - margin, 0), min(last + margin, size - 1)


def scaled(mask: np.ndarray, scale: tuple[int, int]) -> np.ndarray:
    """Parts of `scale` elements, true where any is."""
    missing = [-n % k for n, k in zip(mask.shape, scale, strict=True)]
    mask = np.pad(mask, [(0, n) for n in missing])
    rows, columns = (n // k for n, k in zip(mask.shape, scale, strict=True))
    parts = mask.reshape(rows, scale[0], columns, scale[1])
    return np.asarray(parts.any(axis=(1, 3)))
