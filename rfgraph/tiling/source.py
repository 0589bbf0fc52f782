"""Models that several processes run: each opens them once, and sees that they are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import uuid4

from rfgraph.errors import QueryError, RFGraphError
from rfgraph.model.model_file import files
from rfgraph.tiling.run import opened

# So many models stay open in a process.
_OPEN = 2

_OPENING = Lock()


@dataclass(frozen=True)
class Source:
    """A model as it is told to other processes; made by `Source.of`.

    Attributes
    ----------
    model : str or bytes
        The absolute path, or the contents.
    digest : str
        Of its contents, and of its external data.
    providers : tuple of str
        The execution providers that run it.
    """

    model: str | bytes = field(repr=False)
    digest: str
    providers: tuple[str, ...]

    @classmethod
    def of(cls, model: Any, providers: Sequence[str]) -> Source:
        """The source of a model.

        Raises
        ------
        ModelError
            It can't be read.
        """
        if hasattr(model, "SerializeToString"):
            model = model.SerializeToString()
        if not isinstance(model, bytes):
            model = str(Path(model).resolve())
        return cls(model, _digest(model), tuple(providers))

    def session(self) -> Any:
        """The session of this process.

        It has one thread: several tiles run at a time, and sums do not depend on how many threads
        they are split among.
        """
        with _OPENING:
            return _session(self)


class OpenSource:
    """A model that is open already, and can't be told to other processes.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        The session.
    """

    model = None

    def __init__(self, session: Any) -> None:
        self._session = session
        self.digest = uuid4().hex

    def session(self) -> Any:
        """The session."""
        return self._session

    def __reduce__(self) -> Any:
        raise QueryError(
            "an open session can't be sent to other processes", remedy="give the model's path"
        )


@lru_cache(_OPEN)
def _session(source: Source) -> Any:
    file = source.model if isinstance(source.model, str) else None
    if file is not None and _digest(file) != source.digest:
        raise RFGraphError("it has changed since the run began", file=file)
    from onnxruntime import SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = 1
    return opened(source.model, file, sess_options=options, providers=list(source.providers))


def _digest(model: str | bytes) -> str:
    found = sha256()
    if isinstance(model, bytes):
        found.update(model)
        return found.hexdigest()
    try:
        for path in files(Path(model)):
            with path.open("rb") as stream:
                while block := stream.read(1 << 20):
                    found.update(block)
    except OSError as error:
        raise RFGraphError(f"it can't be read: {error.strerror}", file=model) from None
    return found.hexdigest()


__all__ = ["OpenSource", "Source"]
