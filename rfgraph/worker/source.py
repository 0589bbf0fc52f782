"""Models that several processes run: each opens them once, and sees that they are the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from rfgraph.errors import QueryError, RFGraphError

if TYPE_CHECKING:
    import numpy as np

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
    files : tuple of str
        Of a model at a path: its file, and those of its external data.
    digest : str
        Of their contents.
    providers : tuple of str
        The execution providers that run it.
    """

    model: str | bytes = field(repr=False)
    files: tuple[str, ...]
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
        if isinstance(model, bytes):
            return cls(model, (), sha256(model).hexdigest(), tuple(providers))
        from rfgraph.model.model_file import files

        path = Path(model).resolve()
        try:
            of_model = tuple(map(str, files(path)))
        except OSError as error:
            raise _unread(error, str(path)) from None
        return cls(str(path), of_model, _digest(of_model), tuple(providers))

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
    if file is not None and _digest(source.files) != source.digest:
        raise RFGraphError("it has changed since the run began", file=file)
    from onnxruntime import SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = 1
    # A pattern is memory that the second tile takes beside that of the first.
    options.enable_mem_pattern = False
    return opened(source.model, file, sess_options=options, providers=list(source.providers))


def _digest(files: Sequence[str]) -> str:
    found = sha256()
    for path in files:
        try:
            with open(path, "rb") as stream:
                while block := stream.read(1 << 20):
                    found.update(block)
        except OSError as error:
            raise _unread(error, path) from None
    return found.hexdigest()


def _unread(error: OSError, path: str) -> RFGraphError:
    return RFGraphError(f"it can't be read: {error.strerror}", file=path)


def opened(model: Any, file: str | None, **options: Any) -> Any:
    """A session of onnxruntime that has a model open: a path, its bytes, or a session already."""
    if hasattr(model, "run"):
        return model
    onnxruntime = runtime()
    source = str(model) if isinstance(model, Path) else model
    chosen = {"providers": ["CPUExecutionProvider"], **options}
    try:
        return onnxruntime.InferenceSession(source, **chosen)
    except Exception as error:  # what is raised differs from fault to fault
        raise RFGraphError(
            f"onnxruntime can't open the model: {line_of(error)}", file=file
        ) from error


def runtime() -> Any:
    """The module of onnxruntime, which is an extra."""
    try:
        import onnxruntime
    except ImportError:
        raise RFGraphError(
            "onnxruntime, which runs the model, is not installed",
            remedy="pip install 'rfgraph[validate]'",
        ) from None
    return onnxruntime


def outputs_of(
    session: Any, outputs: Sequence[str], tile: Mapping[str, np.ndarray], file: str | None
) -> list[np.ndarray]:
    """What the model makes of a tile."""
    try:
        made: list[np.ndarray] = session.run(list(outputs), tile)
    except Exception as error:  # what is raised differs from fault to fault
        raise RFGraphError(f"onnxruntime can't run a tile: {line_of(error)}", file=file) from error
    return made


def line_of(error: Exception) -> str:
    """What an error of onnxruntime says, in one line."""
    return " ".join(str(error).split())[:300]


__all__ = ["OpenSource", "Source", "line_of", "opened", "outputs_of", "runtime"]
