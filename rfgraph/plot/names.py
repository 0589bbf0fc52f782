"""Names of values, short enough for titles and ticks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from rfgraph.render.text import plain


def shortened(names: Sequence[str], operators: Sequence[str], most: int = 24) -> list[str]:
    """Names of values fit for a small title: without what exporters add and what all share.

    Examples
    --------
    >>> names = ["/net/layer1/layer1.0/Conv_output_0", "/net/layer1/layer1.1/conv/Conv_output_0"]
    >>> shortened(names, ["Conv", "Conv"])
    ['layer1.0', 'layer1.1/conv']
    """
    split = [_parts(name, operator) for name, operator in zip(names, operators, strict=True)]
    while len(split) > 1 and all(len(parts) > 1 and parts[0] == split[0][0] for parts in split):
        split = [parts[1:] for parts in split]
    texts = ["/".join(parts) for parts in split]
    return [plain(text if len(text) <= most else "…" + text[1 - most :]) for text in texts]


def _parts(name: str, operator: str) -> list[str]:
    parts = [part for part in name.split("/") if part]
    if not parts:
        return [name]
    last = parts[-1].partition("_output_")[0]
    stem = last.rstrip("0123456789").rstrip("_")
    parts[-1:] = [] if stem == operator and len(parts) > 1 else [last]
    # A module within another repeats its name: layer1/layer1.0.
    kept = [a for a, b in pairwise(parts) if not b.startswith(f"{a}.")]
    return [*kept, parts[-1]]
