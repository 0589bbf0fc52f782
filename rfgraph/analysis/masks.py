"""Inputs that are masks, and keep constant masks from cutting anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rfgraph.analysis.analysis import Analysis
from rfgraph.analysis.held import Filling
from rfgraph.errors import RFGraphError

ONES = Filling("ones")


def to_hold(
    analysis: Analysis, again: Callable[[Mapping[str, Filling]], Analysis]
) -> dict[str, Analysis]:
    """Inputs that let constant masks cut what they mask, if they are held at ones.

    Where a mask that is computed excludes all that a causal mask leaves of a row, a finite mask
    makes the softmax uniform, over what is masked too. Exports of language models have such an
    input, ``attention_mask``: where all tokens count it is all ones.

    Parameters
    ----------
    analysis : Analysis
        Of a model, where constants cut reads.
    again : callable
        The same analysis with some inputs held.

    Returns
    -------
    dict of str to Analysis
        The inputs, and the analysis with each of them held.
    """
    spared = _spared(analysis)
    found: dict[str, Analysis] = {}
    for name in analysis.inputs if spared else ():
        try:
            other = again({name: ONES})
        except RFGraphError:
            continue
        if other.inputs and _spared(other) < spared:
            found[name] = other
    return found


def _spared(analysis: Analysis) -> set[str]:
    """The nodes whose rows the data may mask whole."""
    return {note.node for note in analysis.notes if note.kind == "mask"}


def hint(names: list[str]) -> str:
    """How to hold them, for people.

    >>> hint(["attention_mask"])
    "if input 'attention_mask' is all ones, hold it fixed: --value attention_mask=ones"
    """
    several = f"inputs {', '.join(map(repr, names))} are all ones, hold them" if names[1:] else ""
    which = several or f"input '{names[0]}' is all ones, hold it"
    return f"if {which} fixed: {' '.join(f'--value {name}=ones' for name in names)}"
