"""The errors that rfgraph raises: one root, each naming the file, the place and the remedy."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

# Words of a message that are longer are shortened: names may have any length, but people read the
# message.
_LONGEST = 200
_LONG = re.compile(rf"\S{{{_LONGEST + 1},}}")


def shortened(text: str) -> str:
    """A message with the middle of very long words, as names may be, left out.

    >>> shortened("node '" + 999 * "n" + "'") == "node '" + 119 * "n" + "…" + 78 * "n" + "'"
    True
    """
    if len(text) <= _LONGEST:
        return text
    return _LONG.sub(lambda word: f"{word[0][:120]}…{word[0][-79:]}", text)


# The remedy for a model that breaks the rules of ONNX.
EXPORT_AGAIN = "no runtime runs it: export the model again"


class RFGraphError(Exception):
    """The base class of all errors that rfgraph raises on purpose.

    Parameters
    ----------
    message : str
        What is wrong.
    file : str, optional
        The model's path.
    node : str, optional
        The node, as ``Conv 'name'``.
    remedy : str or callable, optional
        What the user can do about it; or what works that out, once somebody asks.

    Examples
    --------
    >>> print(RFGraphError("no such thing", file="a.onnx", remedy="try another"))
    a.onnx: no such thing (try another)
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        node: str | None = None,
        remedy: str | Callable[[], str | None] | None = None,
    ) -> None:
        self.message = message
        self.file = file
        self.node = node
        self._remedy = remedy
        super().__init__(message)

    @property
    def remedy(self) -> str | None:
        """What the user can do about it."""
        remedy = self._remedy
        if callable(remedy):
            self._remedy = remedy = remedy()
        return remedy

    @remedy.setter
    def remedy(self, remedy: str | Callable[[], str | None] | None) -> None:
        self._remedy = remedy

    def __reduce__(self) -> Any:
        # What is sent to another process is the remedy itself.
        self._remedy = self.remedy
        return super().__reduce__()

    def __str__(self) -> str:
        node = f"{self.node}: " if self.node else ""
        remedy = f" ({self.remedy})" if self.remedy else ""
        where = f"{self.file}: " if self.file else ""
        return where + shortened(f"{node}{self.message}{remedy}")


class ModelError(RFGraphError):
    """The model is malformed: it can't be read, or breaks a rule of the ONNX format."""


class MissingDataError(ModelError):
    """The contents of a weight lie in a file that is not there."""


class ShapeError(RFGraphError):
    """A size that the answer depends on is not known, or the sizes contradict each other."""


class MisfitError(ShapeError, ModelError):
    """The sizes of a node's inputs contradict each other or its attributes."""


class UnsupportedError(RFGraphError):
    """``strict=True`` and an operator's reads are not known."""


class TransferError(RFGraphError):
    """A transfer fails or gives an answer that can't be used, or a file of them can't be loaded."""


class QueryError(RFGraphError, LookupError):
    """A question about something that the model doesn't have: a tensor, an input, a unit."""
