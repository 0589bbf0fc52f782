"""Assertions for tests, of whatever framework."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rfgraph.analysis.inputs import Model
from rfgraph.checks import CHECKS, Config, Finding
from rfgraph.checks.rf202_causal import furthest
from rfgraph.checks.subject import Subject
from rfgraph.errors import QueryError
from rfgraph.render import reasons
from rfgraph.render.documents import Reasons

# A limit for every axis along which fields move, or by axis.
Limit = float | Mapping[int, float]

# The checks that an assertion makes, and the options of each.
_ASKED = {
    "RF101": ("covers", "at-least"),
    "RF102": ("at-most", "halo"),
    "RF202": ("causal",),
}


def assert_receptive_field(
    model: Model,
    output: str | None = None,
    input: str | None = None,
    *,
    covers: Limit | None = None,
    at_least: Limit | None = None,
    at_most: Limit | None = None,
    halo: Limit | None = None,
    causal: int | bool | None = None,
    look_ahead: int = 0,
    aligned: int | str = "begin",
    tolerance: int = 0,
    local: bool = False,
    shapes: Mapping[str, Sequence[int]] | None = None,
    values: Mapping[str, Any] | None = None,
    prune: bool = False,
) -> None:
    """Fail unless the receptive field of an output is as it is asked to be.

    The limits are those of ``rfgraph check`` (``rfgraph explain RF101``, ``RF102``, ``RF202``): a
    number for every axis along which fields move, or a mapping of axis of the input to number.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
        The model.
    output : str, optional
        An output, or any other value; all outputs if left out.
    input : str, optional
        The input; all inputs that the output depends on if left out.
    covers : float or mapping, optional
        The share of the axis, from 0 to 1, that the widest unit sees at least.
    at_least, at_most : int or mapping, optional
        The size of the field, borders not clipped.
    halo : int or mapping, optional
        How many elements the field may reach beyond the unit's own, on either side.
    causal : int or True, optional
        The axis of the input on which nothing later may be seen, but for `look_ahead` steps; True:
        the only one along which fields move.
    look_ahead : int, optional
        Steps of the future that may be seen.
    aligned : "begin", "end" or int, optional
        Where the output's steps lie on the causal axis: unit o has the steps from ``o * stride``
        on (``"begin"``), those up to ``o * stride + aligned``, or the last one has the last step.
    tolerance : int, optional
        So many elements more or less of a size are as good.
    local : bool, optional
        Leave out what passes a statistic over a whole axis.
    shapes, values, prune
        As for `rfgraph.analyze`.

    Raises
    ------
    AssertionError
        The field is not as required; the message says by how much, what to do, and which
        nodes make it what it is.
    QueryError
        The model has no such value, input or axis, nothing is asked for, or a limit makes no
        sense.
    ModelError, ShapeError
        As for `rfgraph.analyze`.

    Examples
    --------
    >>> assert_receptive_field("models/lenet_textbook.onnx", "y", at_least=6, at_most=6)
    >>> assert_receptive_field("models/tcn.onnx", "features", causal=2)
    >>> assert_receptive_field("models/lenet_textbook.onnx", "y", at_least={2: 9})
    Traceback (most recent call last):
        ...
    AssertionError: models/lenet_textbook.onnx: the receptive field is not as required
    <BLANKLINE>
    output 'y' sees 6 elements along axis 2 of input 'x', and has to see at least 9
    what to do: widen it (larger kernels, strides or dilations, more layers), or lower 'at-least'
    <BLANKLINE>
    y[0,0,6,6] sees 6 of 30 along axis 2 of x: 12..17
    <BLANKLINE>
      adds                    size  lower end  upper end  value  operator
                              1     12..12     17..17     x      input
      +4    ################  5     12..16     13..17     c      Conv
      +1    ####              6     12..17     12..17     y      AveragePool
    """
    asked: dict[str, Any] = {
        "covers": _limit(covers),
        "at-least": _limit(at_least),
        "at-most": _limit(at_most),
        "halo": _limit(halo),
        "causal": _causal(causal, input),
    }
    asked = {name: value for name, value in asked.items() if value is not None}
    if not asked:
        raise QueryError(
            "assert_receptive_field: no limit is given",
            remedy="give covers=, at_least=, at_most=, halo= or causal=",
        )
    more = {
        "look-ahead": look_ahead,
        "aligned": aligned,
        "tolerance": tolerance,
        "local": local,
        "prune": prune,
        "shapes": {name: list(shape) for name, shape in (shapes or {}).items()},
    }
    config = Config().with_values(asked | more, "assert_receptive_field()")
    name = os.fspath(model) if isinstance(model, (str, os.PathLike)) else "model"
    subject = Subject(model, name, config.settings(None), Path.cwd(), held=values)
    subject.only = None if output is None else [output]
    # Of what is not there everything would hold.
    for value in filter(None, (output, input)):
        subject.analysis.extent(value)
    if input is not None:
        subject.there(subject.analysis, "input", input)
    failed = []
    for code, options in _ASKED.items():
        if any(option in asked for option in options):
            subject.check = CHECKS[code]
            failed += [f for f in subject.check.run(subject) if not input or f.input in ("", input)]
    if failed:
        head = f"{name}: the receptive field is not as required"
        raise AssertionError("\n\n".join([head, *(_told(subject, found) for found in failed)]))


def _causal(given: int | bool | None, input: str | None) -> Any:
    """A causal axis as a configuration has it."""
    if given is False:
        return None
    if input is None or isinstance(given, bool) or given is None:
        return given
    return {"input": input, "axis": given}


def _limit(given: Limit | None) -> Any:
    """A limit as a configuration has it."""
    if isinstance(given, Mapping):
        return {str(axis): limit for axis, limit in given.items()}
    return given


def _told(subject: Subject, found: Finding) -> str:
    """A finding, and the nodes that make it so."""
    lines = [found.message, f"what to do: {found.remedy}"]
    if found.axis is None:
        return "\n".join(lines)
    analysis, unit = subject.analysis, None
    if found.code == "RF202":
        seen, analysis, _ = furthest(subject, found.value, found.input, found.axis)
        unit = None if seen is None else seen.unit
    shape = analysis.extent(found.value)
    if shape is None:
        return "\n".join(lines)
    unit = unit or tuple(n // 2 for n in shape)
    local = bool(subject.settings.get("local", found.value)) and found.code != "RF202"
    way = analysis.explain(found.value, found.input, unit, local, [found.axis])
    shown = reasons.text(Reasons(analysis, found.value, unit, local, {found.input: way}))
    return "\n".join([*lines, "", *(line.rstrip() for line in shown.splitlines())])


__all__ = ["assert_receptive_field"]
