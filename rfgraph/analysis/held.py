"""What inputs are held at, as people write it: ``ones``, ``3x4:1``, ``[[1, 1, 0]]``, ``m.npy``."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

Kind: TypeAlias = Literal["zeros", "ones", "arange"]

# What may be written, for messages.
FORMS = (
    "numbers (1,3,64,64), a nested list ([[1, 1, 0]]), a shape and what fills it (1x20:1), ones, "
    "zeros or arange of the input's shape, or a .npy file"
)

_SHAPED = re.compile(r"(\d+(?:x\d+)*):(.*)", re.DOTALL)


@dataclass(frozen=True)
class Filling:
    """Numbers that fill an input of any shape.

    Attributes
    ----------
    kind : str
        ``zeros``, ``ones``, or ``arange``: 0, 1, 2, ... along the last axis.

    Examples
    --------
    >>> Filling("arange").array((2, 3)).tolist()
    [[0, 1, 2], [0, 1, 2]]
    """

    kind: Kind

    def array(self, shape: tuple[int, ...]) -> np.ndarray:
        """The numbers for a shape."""
        if self.kind == "arange":
            return np.broadcast_to(np.arange(shape[-1] if shape else 1), shape).copy()
        return np.full(shape, int(self.kind == "ones"))


def parsed(given: Any, folder: str | os.PathLike[str] = "") -> Any:
    """What is written: an array, or a `Filling`; what is no text stays what it is.

    Parameters
    ----------
    given : object
        A text in one of the `FORMS`, or something else.
    folder : path, optional
        What the path of a file is relative to.

    Raises
    ------
    ValueError
        The text is none of these, or there is no such file.

    Examples
    --------
    >>> parsed("1,3").tolist(), parsed("2x3:1").tolist(), parsed("[[true, false]]").tolist()
    ([1, 3], [[1, 1, 1], [1, 1, 1]], [[True, False]])
    >>> parsed("ones"), parsed("1x3:arange").tolist()
    (Filling(kind='ones'), [[0, 1, 2]])
    """
    if not isinstance(given, str):
        return given
    text = given.strip()
    if text in get_args(Kind):
        return Filling(text)  # type: ignore[arg-type]
    if text.endswith(".npy"):
        return _stored(Path(folder) / text)
    if text.startswith("["):
        import json

        try:
            return np.array(json.loads(text))
        except (ValueError, RecursionError):
            raise ValueError(
                "expected nested lists of numbers, of equal length, such as [[1, 1, 0]]"
            ) from None
    shaped = _SHAPED.fullmatch(text)
    if shaped is None:
        return np.array(_numbers(text))
    shape = tuple(int(size) for size in shaped[1].split("x"))
    content = shaped[2].strip()
    try:
        if content in get_args(Kind):
            return Filling(content).array(shape)  # type: ignore[arg-type]
        numbers = np.array(_numbers(content))
        if numbers.size not in (1, prod(shape)):
            raise ValueError(f"{numbers.size} numbers for {prod(shape)} elements")
        return np.full(shape, numbers[0]) if numbers.size == 1 else numbers.reshape(shape)
    except MemoryError:
        raise ValueError("it does not fit into memory") from None


def _numbers(text: str) -> list[int | float]:
    try:
        return [_number(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"expected {FORMS}") from None


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _stored(path: Path) -> np.ndarray:
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(str(error)) from None
