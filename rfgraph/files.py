"""Files that are either whole or not there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EISDIR
from pathlib import Path
from shutil import rmtree
from typing import IO

from rfgraph.errors import QueryError, RFGraphError


def save(path: Path, fill: Callable[[IO[bytes]], object]) -> None:
    """Write a file that is either whole or not there.

    Raises
    ------
    RFGraphError
        It can't be written.
    """
    try:
        replace(path, fill)
    except (OSError, ValueError) as error:
        raise unwritten(error, path) from None


def replace(path: Path, fill: Callable[[IO[bytes]], object]) -> None:
    """Write beside the file and rename, with the permissions of any new file.

    Through a symbolic link the file that it leads to is written.
    """
    path = path.resolve()
    # No other process has the name, even one of the same number in a container.
    temporary = path.with_name(f".rfgraph-{os.urandom(8).hex()}")
    try:
        with temporary.open("xb") as stream:
            fill(stream)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def try_out(path: Path) -> None:
    """Fail at once, before long work, where `save` would fail after it.

    Raises
    ------
    RFGraphError
        The file can't be written.
    """
    beside = path.resolve().with_name(f".rfgraph-{os.urandom(8).hex()}")
    try:
        if path.is_dir():
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
        if path.exists() and not path.is_file():
            return  # A pipe or a device is written as it is.
        beside.open("xb").close()
    except (OSError, ValueError) as error:
        raise unwritten(error, path) from None
    beside.unlink(missing_ok=True)


def unwritten(error: Exception, path: Path | None) -> RFGraphError:
    """The error for a file, or standard output, that can't be written."""
    reason = getattr(error, "strerror", None) or str(error)
    return RFGraphError(f"can't be written: {reason}", file=str(path or "standard output"))


def new_folder(folder: str | os.PathLike[str] | None) -> Path | None:
    """A folder that has nothing in it yet; it is made if it is not there.

    Raises
    ------
    QueryError
        It is there, and has something in it.
    RFGraphError
        It can't be made.
    """
    if folder is None:
        return None
    path = Path(folder)
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise QueryError(
            f"{path} exists already, and is not an empty folder", remedy="name a new folder"
        )
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RFGraphError(
            f"the folder can't be created: {error.strerror}", file=str(path)
        ) from None
    return path


@contextmanager
def filled(folder: Path, what: str) -> Iterator[Path]:
    """A folder to be filled beside its place, to which it moves when it is whole.

    Raises
    ------
    RFGraphError
        `what` can't be written.
    """
    temporary = folder.with_name(f".{folder.name}.part")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        temporary.replace(folder)
    except OSError as error:
        raise RFGraphError(f"{what} can't be written: {error.strerror}", file=str(folder)) from None
    finally:
        rmtree(temporary, ignore_errors=True)


@contextmanager
def locked(folder: Path, told: Path) -> Iterator[None]:
    """A folder that no other process writes meanwhile; it is made if it is not there.

    Where files can't be locked, as on Windows, none is kept away. Errors name the file `told`.
    """
    try:
        import fcntl
    except ImportError:
        fcntl = None  # type: ignore[assignment]
    opened = -1
    try:
        folder.mkdir(exist_ok=True)
        if fcntl is not None:
            opened = os.open(folder, os.O_RDONLY)
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise QueryError("another process is at it", file=str(told)) from None
    except OSError as error:
        raise unwritten(error, told) from None
    finally:
        if opened >= 0:
            os.close(opened)
